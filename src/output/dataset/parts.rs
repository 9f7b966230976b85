//! Part files: one a table and day, of several inputs one after the other.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

#[cfg(feature = "parquet")]
use super::columns;
use super::table::Day;
use super::{Format, Table, lines};
use crate::limits::Limits;
use crate::output::FileError;

/// Where parts go, and how they are stored.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Folder that the tables' folders are made in. Nothing may be below it yet.
    pub home: PathBuf,
    /// What tells these part files from others.
    pub tag: String,
    /// How rows are stored.
    pub format: Format,
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
pub(super) trait Rows: Send {
    fn push(&mut self, line: &[u8]) -> io::Result<()>;
    /// Bytes that it holds in memory.
    fn held(&self) -> usize;
    /// Enough is in it: what it remembers of what was written grows, too.
    fn is_full(&self) -> bool;
    /// Writes what can be written.
    fn shed(&mut self) -> io::Result<()>;
    fn finish(self: Box<Self>) -> io::Result<File>;
}

pub(super) struct Writer {
    pub(super) rows: Box<dyn Rows>,
    /// Its entry in `parts`.
    part: usize,
    used: u64,
}

/// Part files open at once: two days of every table, and some. The usual limit of a process is 1024, for all that are
/// written at once.
const OPEN: usize = 24;

/// Part files being written.
pub struct Parts {
    storage: Storage,
    pub(super) writers: BTreeMap<(Table, Day), Writer>,
    clock: u64,
    /// Times that a day's part was begun for this input; beyond the limit further days share a partition, which has
    /// Hive's name for that.
    turns: usize,
    limit: usize,
    parts: Vec<Part>,
    rows: u64,
}

impl Parts {
    /// None yet.
    pub fn new(storage: Storage, limits: &Limits) -> Self {
        Parts {
            storage,
            writers: BTreeMap::new(),
            clock: 0,
            turns: 0,
            limit: limits.partitions,
            parts: Vec::new(),
            rows: 0,
        }
    }

    pub(super) fn home(&self) -> &Path {
        &self.storage.home
    }

    /// Rows of another input follow.
    pub(super) fn begin(&mut self) {
        self.turns = 0;
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds `line`, with its line end, to a table.
    pub(super) fn push(&mut self, table: Table, day: Day, line: &[u8]) -> io::Result<()> {
        let day = match self.writers.contains_key(&(table, day)) || self.turns < self.limit {
            true => day,
            false => Day(None),
        };
        self.clock += 1;
        self.rows += 1;
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
        let Storage { home, tag, format, .. } = &self.storage;
        let part = self.parts.len();
        let path = format!("{folder}/part-{tag}-{part:04}.{}", format.extension());
        fs::create_dir_all(home.join(&folder))?;
        let file = create(&home.join(&path))?;
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
        while held > self.storage.memory {
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

    /// Ends them all; gives what was written.
    pub fn finish(mut self) -> io::Result<Vec<Part>> {
        while let Some((_, writer)) = self.writers.pop_first() {
            finish(writer)?;
        }
        Ok(self.parts)
    }
}

/// For the owner alone: envelopes and subjects are in it, and passwords if they were asked for.
fn create(path: &Path) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    how.open(path).map_err(|e| FileError::wrap(path, &e))
}

/// Ends a part; it is on the disk before its name means that.
fn finish(writer: Writer) -> io::Result<()> {
    writer.rows.finish()?.sync_all()
}

/// Writes a part once more, with the rows that `keep` says by their input. Gives their number; of none there is no
/// file.
pub fn copy_rows(from: &Path, to: &Path, keep: &dyn Fn(&str) -> bool) -> io::Result<u64> {
    let Some(format) = Format::of(from) else {
        let text = format!("{}: can't be read by a mailcap that was built without Parquet", from.display());
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    };
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let old = File::open(from)?;
    // As private as it was: its owner may have opened it to others.
    let new = create(to)?;
    new.set_permissions(old.metadata()?.permissions())?;
    let (rows, new) = match format {
        #[cfg(feature = "parquet")]
        Format::Parquet => columns::copy(old, new, keep)?,
        Format::Json => lines::copy(old, new, keep)?,
    };
    match rows {
        0 => fs::remove_file(to)?,
        _ => new.sync_all()?,
    }
    Ok(rows)
}
