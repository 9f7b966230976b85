//! Events → what a person or a program reads, each format a [`Sink`].
//!
//! - Sinks: `transcript`, `json`, `sessions`, `services`, `tls`, `auth`, `extract`, `decrypt`, `keylog`, `dataset`;
//!   `filter` hands on to another what was asked for. `ciphers` is a table that needs no run.
//! - What they share: `words` (the word for each value), `table`, `style`, `time`, `escape`, `tally` (counts), `spill`
//!   (events that wait for their session's end, in memory and then in a file), `pcapng` (writing one).

pub mod auth;
pub mod ciphers;
pub mod dataset;
pub mod decrypt;
mod error;
pub mod escape;
pub mod extract;
pub mod filter;
pub mod json;
pub mod keylog;
pub mod pcapng;
pub mod services;
pub mod sessions;
pub mod spill;
pub mod style;
mod table;
pub mod tally;
pub mod time;
pub mod tls;
pub mod transcript;
pub mod words;

#[cfg(test)]
pub(crate) mod samples;

pub use error::FileError;

pub use crate::pipeline::Sink;

use crate::position::FileId;

/// Names of the inputs by their id.
#[derive(Clone, Debug, Default)]
pub struct Files(Vec<String>);

impl Files {
    /// Adds the next.
    pub fn push(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name, empty where none is known.
    pub fn get(&self, id: FileId) -> &str {
        self.0.get(id.0 as usize).map_or("", String::as_str)
    }
}
