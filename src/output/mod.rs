//! Events → what a person or a program reads. One file a format, behind the [`Sink`] trait.

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

use std::io;

pub use error::FileError;

use crate::event::{Comment, Connection, Event, Unreachable};
use crate::pipeline::Report;
use crate::position::{FileId, Timestamp};

/// Takes events in the order in which the pipeline releases them.
///
/// [`Sink::finish`] comes once and last.
pub trait Sink {
    /// The name of the next file by [`FileId`]. The inputs come before anything else; members of an archive that is read
    /// as a stream as they come up, before the first event of theirs.
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        let _ = name;
        Ok(())
    }

    /// Time of the first frame, once it is known and before the first event: what relative times count from. Without
    /// it they count from the first event.
    fn start(&mut self, first: Timestamp) -> io::Result<()> {
        let _ = first;
        Ok(())
    }

    /// The next event. An error ends the run; a broken pipe is for the caller to recognise.
    fn event(&mut self, event: Event) -> io::Result<()>;

    /// A TCP connection is over, of mail or not; its session's events came before. Only with
    /// [`Config::connections`](crate::pipeline::Config::connections).
    fn connection(&mut self, connection: &Connection) -> io::Result<()> {
        let _ = connection;
        Ok(())
    }

    /// A TCP segment did not reach its destination. Only with
    /// [`Config::connections`](crate::pipeline::Config::connections).
    fn unreachable(&mut self, unreachable: &Unreachable) -> io::Result<()> {
        let _ = unreachable;
        Ok(())
    }

    /// What somebody wrote into the capture.
    fn comment(&mut self, comment: &Comment) -> io::Result<()> {
        let _ = comment;
        Ok(())
    }

    /// The run is over, and this came of it.
    fn finish(&mut self, report: &Report) -> io::Result<()> {
        let _ = report;
        Ok(())
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        (**self).add_file(name)
    }

    fn start(&mut self, first: Timestamp) -> io::Result<()> {
        (**self).start(first)
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        (**self).event(event)
    }

    fn connection(&mut self, connection: &Connection) -> io::Result<()> {
        (**self).connection(connection)
    }

    fn unreachable(&mut self, unreachable: &Unreachable) -> io::Result<()> {
        (**self).unreachable(unreachable)
    }

    fn comment(&mut self, comment: &Comment) -> io::Result<()> {
        (**self).comment(comment)
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        (**self).finish(report)
    }
}

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
