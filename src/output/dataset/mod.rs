//! One input as rows of tables, partitioned by day: `TABLE/day=2026-11-24/part-TAG-0.parquet`, or the same as JSON
//! Lines. The fields are those of `--json`, and `input`, which keeps the sessions of different inputs apart.

#[cfg(feature = "parquet")]
mod columns;
mod lines;
#[cfg(feature = "parquet")]
pub mod schema;
mod table;
mod tally;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::services::{self, Services};
use super::{Files, Sink, extract, json};
use crate::event::{Connection, Event, EventBody, Unreachable};
use crate::limits::Limits;
use crate::pipeline::Report;
use crate::position::Timestamp;
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
}

/// What to write, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder that the tables' folders are made in.
    pub home: PathBuf,
    /// What `input` says.
    pub input: String,
    /// What tells this input's part files from others'.
    pub tag: String,
    /// How rows are stored.
    pub format: Format,
    /// Part files are for the owner alone: passwords are in them.
    pub private: bool,
    /// Messages, too: the folder below `home`, and how.
    pub messages: Option<(String, extract::Options)>,
    /// Ports that count as mail ports besides the usual ones.
    pub ports: Vec<u16>,
    /// Services are told of sessions only, as those were selected.
    pub only_sessions: bool,
    /// About how many bytes wait to be written.
    pub memory: usize,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Below the dataset's folder.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
}

/// Takes JSON lines.
trait Rows: Send {
    fn push(&mut self, line: &[u8]) -> io::Result<()>;
    /// Bytes that it holds in memory.
    fn held(&self) -> usize;
    /// Enough is in it: what it remembers of what was written grows, too.
    fn is_full(&self) -> bool;
    /// Writes what can be written.
    fn shed(&mut self) -> io::Result<()>;
    fn finish(self: Box<Self>) -> io::Result<File>;
}

struct Writer {
    rows: Box<dyn Rows>,
    /// Its entry in `parts`.
    part: usize,
    used: u64,
}

/// Part files open at once: two days of every table, and some. The usual limit of a process is 1024, for all inputs that
/// are read at once.
const OPEN: usize = 24;

/// The sink of `mailcap batch`, for one input.
pub struct Dataset {
    options: Options,
    files: Files,
    writers: BTreeMap<(Table, Day), Writer>,
    clock: u64,
    /// Times that a day's part was begun; beyond the limit further days share a partition, which has Hive's name for that.
    turns: usize,
    limit: usize,
    parts: Vec<Part>,
    services: Services<io::Sink>,
    messages: Option<extract::Messages>,
    tally: Tally,
    line: Vec<u8>,
}

impl Dataset {
    /// Begins it. Nothing may be below `home` yet.
    pub fn new(options: Options, limits: &Limits) -> io::Result<Self> {
        let messages = options.messages.as_ref().map(|(folder, how)| {
            let dir = options.home.join(folder);
            extract::Messages::new(&dir, how.clone(), limits)
        });
        let listed = services::Options {
            ports: options.ports.clone(),
            only_sessions: options.only_sessions,
            json: true,
            ..services::Options::default()
        };
        Ok(Dataset {
            services: Services::new(io::sink(), listed, limits),
            messages: messages.transpose()?,
            options,
            files: Files::default(),
            writers: BTreeMap::new(),
            clock: 0,
            turns: 0,
            limit: limits.partitions,
            parts: Vec::new(),
            tally: Tally::default(),
            line: Vec::new(),
        })
    }

    /// The files that were written, and what they hold; after [`Sink::finish`].
    pub fn into_parts(self) -> (Vec<Part>, Tally) {
        (self.parts, self.tally)
    }

    /// What was found so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Adds `line`, with its line end, to a table.
    fn row(&mut self, table: Table, ts: Timestamp) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.push(table, Day::of(ts), &line)?;
        self.line = line;
        Ok(())
    }

    fn push(&mut self, table: Table, day: Day, line: &[u8]) -> io::Result<()> {
        let day = match self.writers.contains_key(&(table, day)) || self.turns < self.limit {
            true => day,
            false => Day(None),
        };
        self.clock += 1;
        let clock = self.clock;
        if !self.writers.contains_key(&(table, day)) {
            self.make_room()?;
            self.turns += 1;
            let writer = self.open(table, day)?;
            self.writers.insert((table, day), writer);
        }
        let Some(writer) = self.writers.get_mut(&(table, day)) else { return Ok(()) };
        writer.used = clock;
        let before = writer.rows.held();
        writer.rows.push(line)?;
        let grown = writer.rows.held() > before;
        if let Some(part) = self.parts.get_mut(writer.part) {
            part.rows += 1;
        }
        if writer.rows.is_full() {
            let next = self.open(table, day)?;
            return self.writers.insert((table, day), next).map_or(Ok(()), finish);
        }
        if grown { self.shed() } else { Ok(()) }
    }

    fn open(&mut self, table: Table, day: Day) -> io::Result<Writer> {
        let folder = format!("{}/{}", table.name(), day.folder());
        let Options { home, tag, format, private, .. } = &self.options;
        let part = self.parts.len();
        let path = format!("{folder}/part-{tag}-{part:04}.{}", format.extension());
        fs::create_dir_all(home.join(&folder))?;
        let file = create(home.join(&path), *private)?;
        let rows: Box<dyn Rows> = match format {
            #[cfg(feature = "parquet")]
            Format::Parquet => Box::new(columns::Columns::new(table, file)?),
            Format::Json => Box::new(lines::Lines::new(file)),
        };
        self.parts.push(Part { path, rows: 0 });
        Ok(Writer { rows, part, used: self.clock })
    }

    /// Ends the part that was not written to for the longest time, if too many are open.
    fn make_room(&mut self) -> io::Result<()> {
        if self.writers.len() < OPEN {
            return Ok(());
        }
        let idle = self.writers.iter().min_by_key(|(_, w)| w.used).map(|(&key, _)| key);
        match idle.and_then(|key| self.writers.remove(&key)) {
            Some(writer) => finish(writer),
            None => Ok(()),
        }
    }

    /// Writes the largest row groups while more waits than may.
    fn shed(&mut self) -> io::Result<()> {
        let mut held: usize = self.writers.values().map(|w| w.rows.held()).sum();
        while held > self.options.memory {
            let Some(largest) = self.writers.values_mut().max_by_key(|w| w.rows.held()) else { break };
            let before = largest.rows.held();
            largest.rows.shed()?;
            let freed = before.saturating_sub(largest.rows.held());
            if freed == 0 {
                break;
            }
            held -= freed;
        }
        Ok(())
    }
}

fn create(path: PathBuf, private: bool) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    }
    how.open(&path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

/// Ends a part; it is on the disk before its name means that.
fn finish(writer: Writer) -> io::Result<()> {
    writer.rows.finish()?.sync_all()
}

impl Sink for Dataset {
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
            self.row(table, event.span.last.ts)?;
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
        services.tell(Some(&input), &mut |line, last| self.push(Table::Services, Day::of(last), line))?;
        self.tally.finish(report);
        while let Some((_, writer)) = self.writers.pop_first() {
            finish(writer)?;
        }
        self.messages.as_mut().map_or(Ok(()), extract::Messages::finish)
    }
}

#[cfg(test)]
mod tests;
