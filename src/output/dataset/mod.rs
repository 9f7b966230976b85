//! Inputs as rows of tables, partitioned by day: `TABLE/day=2026-11-24/part-TAG-0.parquet`, or the same as JSON Lines. The
//! fields are those of `--json`, and `input`, which keeps the sessions of different inputs apart.

#[cfg(feature = "parquet")]
mod columns;
mod lines;
mod parts;
#[cfg(feature = "parquet")]
pub mod schema;
mod table;
mod tally;

use std::io;
use std::path::Path;

use super::services::{self, Services};
use super::{Files, Sink, extract, json};
use crate::event::{Connection, Event, EventBody, Unreachable};
use crate::limits::Limits;
use crate::pipeline::Report;
pub use parts::{Part, Parts, Storage, copy_rows};
use table::Day;
pub use table::Table;
pub use tally::Tally;

/// How rows are stored.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet, zstd.
    #[cfg(feature = "parquet")]
    Parquet,
    /// JSON Lines, gzip.
    Json,
}

impl Format {
    /// What part files end in.
    pub fn extension(self) -> &'static str {
        match self {
            #[cfg(feature = "parquet")]
            Format::Parquet => "parquet",
            Format::Json => "jsonl.gz",
        }
    }

    /// How a part is stored, by its name; none if this build does not know that.
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        #[cfg(feature = "parquet")]
        if name.ends_with(Format::Parquet.extension()) {
            return Some(Format::Parquet);
        }
        name.ends_with(Format::Json.extension()).then_some(Format::Json)
    }
}

/// What to tell of an input.
#[derive(Clone, Debug)]
pub struct Options {
    /// What `input` says.
    pub input: String,
    /// Messages, too: the folder below the parts' home, and how.
    pub messages: Option<(String, extract::Options)>,
    /// Ports that count as mail ports besides the usual ones.
    pub ports: Vec<u16>,
    /// Services are told of sessions only, as those were selected.
    pub only_sessions: bool,
}

/// The sink of `mailcap batch`, for one input.
pub struct Dataset<'a> {
    options: Options,
    parts: &'a mut Parts,
    files: Files,
    services: Services<io::Sink>,
    messages: Option<extract::Messages>,
    tally: Tally,
    line: Vec<u8>,
}

impl<'a> Dataset<'a> {
    /// Begins an input, whose rows go to `parts`.
    pub fn new(options: Options, parts: &'a mut Parts, limits: &Limits) -> io::Result<Self> {
        let messages = options.messages.as_ref().map(|(folder, how)| {
            let dir = parts.home().join(folder);
            extract::Messages::new(&dir, how.clone(), limits)
        });
        let listed = services::Options {
            ports: options.ports.clone(),
            only_sessions: options.only_sessions,
            json: true,
            ..services::Options::default()
        };
        parts.begin();
        Ok(Dataset {
            services: Services::new(io::sink(), listed, limits),
            messages: messages.transpose()?,
            options,
            parts,
            files: Files::default(),
            tally: Tally::default(),
            line: Vec::new(),
        })
    }

    /// What was found; after [`Sink::finish`].
    pub fn into_tally(self) -> Tally {
        self.tally
    }
}

impl Sink for Dataset<'_> {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.files.push(name);
        Ok(())
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        let path = match &mut self.messages {
            Some(messages) => messages.event(&event)?,
            None => None,
        };
        self.tally.count(&event, path.is_some());
        if let Some(table) = Table::of(&event.body) {
            let folder = self.options.messages.as_ref().map_or("", |(folder, _)| folder);
            let path = path.map(|path| format!("{folder}/{path}"));
            let extra = json::Extra { input: Some(&self.options.input), path: path.as_deref() };
            self.line.clear();
            json::push_event(&mut self.line, &event, &self.files, extra);
            self.line.push(b'\n');
            self.parts.push(table, Day::of(event.span.last.ts), &self.line)?;
        }
        match &event.body {
            EventBody::Session(session) if !session.mail => Ok(()),
            EventBody::MessageData(_) => Ok(()),
            _ => self.services.event(event),
        }
    }

    fn connection(&mut self, connection: &Connection) -> io::Result<()> {
        self.services.connection(connection)
    }

    fn unreachable(&mut self, unreachable: &Unreachable) -> io::Result<()> {
        self.services.unreachable(unreachable)
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        let mut services = std::mem::replace(
            &mut self.services,
            Services::new(io::sink(), services::Options::default(), &Limits::default()),
        );
        let input = self.options.input.clone();
        services.tell(Some(&input), &mut |line, last| self.parts.push(Table::Services, Day::of(last), line))?;
        [self.tally.beyond, self.tally.unoffered] = services.unlisted();
        self.tally.finish(report);
        self.messages.as_mut().map_or(Ok(()), extract::Messages::finish)
    }
}

#[cfg(test)]
mod tests;
