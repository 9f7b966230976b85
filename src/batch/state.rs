//! What is done, in the dataset's own folder, so that a run that was ended by anything goes on where it was.
//!
//! ```text
//! DIR/.mailcap-batch/lock        held by the run that writes
//! DIR/.mailcap-batch/done.jsonl  a record an input that is done; of one key the last counts
//! DIR/.mailcap-batch/work/ID/    an input's parts while they are written
//! DIR/.mailcap-batch/ready/ID/   the same when they are whole
//! ```
//!
//! An input is done when its record is on the disk. Then the parts that it replaces are removed and its own are moved to
//! their places; a run that finds a record with parts still under `ready/` does that first. Anything else there and under
//! `work/` was left by a run that ended in the middle, and is removed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use crate::output::dataset::{Part, Tally};

const HOME: &str = ".mailcap-batch";
const DONE: &str = "done.jsonl";
const WORK: &str = "work";
const READY: &str = "ready";
const LOCK: &str = "lock";

/// An input that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) key: String,
    /// Of the input, the options and the keys: its folder until it is done, and in the names of its parts.
    pub(super) id: String,
    /// What its files were.
    pub(super) input: String,
    /// What the options were.
    pub(super) options: String,
    /// What the keys were.
    pub(super) keys: String,
    /// Its files, absolute.
    pub(super) files: Vec<String>,
    pub(super) bytes: u64,
    pub(super) parts: Vec<Part>,
    /// The folder of its messages, where they were wanted.
    pub(super) messages: Option<String>,
    pub(super) tally: Tally,
    /// Keys of earlier records that held some of its files.
    pub(super) replaces: Vec<String>,
}

impl Record {
    /// Everything that it has in the dataset.
    fn paths(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|p| p.path.as_str()).chain(self.messages.as_deref())
    }
}

/// The state of a dataset, locked.
pub(super) struct State {
    dir: PathBuf,
    journal: File,
    records: BTreeMap<String, Record>,
    /// Which record holds a file.
    by_file: HashMap<String, String>,
    _lock: File,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |error| Error::Output { path, error }
}

impl State {
    /// Opens it, makes it if it is not there, and finishes or removes what an earlier run left.
    pub(super) fn open(dir: &Path, force: bool) -> Result<Self, Error> {
        let home = dir.join(HOME);
        if !force && !home.exists() && super::plan::holds_something(dir) {
            return Err(Error::Foreign(dir.to_owned()));
        }
        fs::create_dir_all(dir).map_err(at(dir))?;
        if !home.exists() {
            create_private(&home).map_err(at(&home))?;
        }
        let lock = lock(dir, &home.join(LOCK))?;
        let mut loaded = load(&home.join(DONE)).map_err(at(&home.join(DONE)))?;
        if force {
            let all = std::mem::take(&mut loaded.records);
            loaded.stale.extend(all.values().flat_map(|r| r.paths().map(str::to_owned)));
        }
        recover(dir, &loaded).map_err(at(dir))?;
        // Only now may it be forgotten what was to be removed.
        let journal = rewrite(&home, loaded.records.values()).map_err(at(&home.join(DONE)))?;
        let by_file = by_file(&loaded.records);
        Ok(State { journal, by_file, records: loaded.records, dir: dir.to_owned(), _lock: lock })
    }

    /// Where an input's parts are until it is done; empty, whatever was there.
    pub(super) fn work(dir: &Path, id: &str) -> io::Result<PathBuf> {
        let work = dir.join(HOME).join(WORK).join(id);
        remove(&work)?;
        fs::create_dir_all(&work)?;
        Ok(work)
    }

    /// Removes what an input had so far. What can't be removed now is when the next run begins.
    pub(super) fn give_up(dir: &Path, id: &str) {
        let _ = remove(&dir.join(HOME).join(WORK).join(id));
    }

    pub(super) fn get(&self, key: &str) -> Option<&Record> {
        self.records.get(key)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// Whether everything of a record is in its place.
    pub(super) fn is_there(&self, record: &Record) -> bool {
        record.paths().all(|path| self.dir.join(path).exists())
    }

    /// Other records that hold one of these files.
    pub(super) fn holders(&self, key: &str, files: &[String]) -> Vec<String> {
        let found: HashSet<&String> =
            files.iter().filter_map(|f| self.by_file.get(f)).filter(|k| k.as_str() != key).collect();
        let mut keys: Vec<String> = found.into_iter().cloned().collect();
        keys.sort();
        keys
    }

    /// From here on the input is done: its parts under `work/` are whole.
    pub(super) fn commit(&mut self, record: Record) -> io::Result<()> {
        let home = self.dir.join(HOME);
        let ready = home.join(READY).join(&record.id);
        remove(&ready)?;
        fs::create_dir_all(home.join(READY))?;
        fs::rename(home.join(WORK).join(&record.id), ready)?;
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        self.journal.write_all(&line)?;
        self.journal.sync_data()?;
        let mut stale = Vec::new();
        for key in record.replaces.iter().chain([&record.key]) {
            if let Some(old) = self.records.remove(key) {
                stale.extend(old.paths().map(str::to_owned));
                old.files.iter().for_each(|f| {
                    self.by_file.remove(f);
                });
            }
        }
        let own: HashSet<&str> = record.paths().collect();
        for path in stale.iter().filter(|p| !own.contains(p.as_str())) {
            drop_path(&self.dir, path)?;
        }
        place(&self.dir, &record)?;
        for file in &record.files {
            self.by_file.insert(file.clone(), record.key.clone());
        }
        self.records.insert(record.key.clone(), record);
        Ok(())
    }
}

/// Moves an input's parts to their places.
fn place(dir: &Path, record: &Record) -> io::Result<()> {
    let ready = dir.join(HOME).join(READY).join(&record.id);
    for path in record.paths() {
        let (from, to) = (ready.join(path), dir.join(path));
        if !from.exists() {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        if from.is_dir() {
            remove(&to)?;
        }
        fs::rename(&from, &to)?;
    }
    remove(&ready)
}

/// Finishes the inputs whose record was written, and removes what has none.
fn recover(dir: &Path, loaded: &Loaded) -> io::Result<()> {
    let live: HashSet<&str> = loaded.records.values().flat_map(Record::paths).collect();
    for path in loaded.stale.iter().filter(|p| !live.contains(p.as_str())) {
        drop_path(dir, path)?;
    }
    for record in loaded.records.values().filter(|r| dir.join(HOME).join(READY).join(&r.id).exists()) {
        place(dir, record)?;
    }
    remove(&dir.join(HOME).join(READY))?;
    remove(&dir.join(HOME).join(WORK))
}

/// Removes a part, and the folders that are empty without it.
fn drop_path(dir: &Path, path: &str) -> io::Result<()> {
    let full = dir.join(path);
    remove(&full)?;
    for folder in full.ancestors().skip(1).take_while(|f| *f != dir) {
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

fn by_file(records: &BTreeMap<String, Record>) -> HashMap<String, String> {
    records.values().flat_map(|r| r.files.iter().map(|f| (f.clone(), r.key.clone()))).collect()
}

fn create_private(dir: &Path) -> io::Result<()> {
    let mut how = fs::DirBuilder::new();
    // Messages and passwords pass through it.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut how, 0o700);
    how.create(dir)
}

/// Removes a file or a folder, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    let result = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn lock(dir: &Path, path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(at(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Busy(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(at(path)(error)),
    }
}

#[derive(Default)]
struct Loaded {
    records: BTreeMap<String, Record>,
    /// What replaced records had in the dataset.
    stale: Vec<String>,
}

/// Reads the journal. The last line may be cut: its input was not done then.
fn load(path: &Path) -> io::Result<Loaded> {
    let mut loaded = Loaded::default();
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(loaded),
        other => other?,
    };
    for line in BufReader::new(file).split(b'\n') {
        let Ok(record) = serde_json::from_slice::<Record>(&line?) else { continue };
        for key in record.replaces.iter().chain([&record.key]) {
            if let Some(old) = loaded.records.remove(key) {
                loaded.stale.extend(old.paths().map(str::to_owned));
            }
        }
        loaded.records.insert(record.key.clone(), record);
    }
    Ok(loaded)
}

/// The journal with one record an input, open for more.
fn rewrite<'a>(home: &Path, records: impl Iterator<Item = &'a Record>) -> io::Result<File> {
    let new = home.join(format!("{DONE}.new"));
    let mut out = BufWriter::new(File::create(&new)?);
    for record in records {
        serde_json::to_writer(&mut out, record)?;
        out.write_all(b"\n")?;
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_data()?;
    fs::rename(new, home.join(DONE))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
