//! What is done, in the dataset's own folder, so that a run that was ended by anything goes on where it was.
//!
//! ```text
//! DIR/.mailcap-batch/lock        held by the run that writes
//! DIR/.mailcap-batch/done.jsonl  what was done, a line a step
//! DIR/.mailcap-batch/work/ID/    parts while they are written
//! DIR/.mailcap-batch/ready/ID/   the same when they are whole
//! ```
//!
//! Inputs that were read one after the other share their parts: a [`Group`]. They are done when the step's line is on
//! the disk. Then the parts that they replace are removed and their own are moved to their places; a run that finds a
//! group with parts still under `ready/` does that first. Anything else there and under `work/` was left by a run that
//! ended in the middle, and is removed.
//!
//! A step that replaces some inputs of an older group, not all, has that group anew, too, without their rows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use super::plan::{absolute, short};
use crate::output::dataset::{Part, Table, Tally, copy_rows};

const HOME: &str = ".mailcap-batch";
const DONE: &str = "done.jsonl";
const WORK: &str = "work";
const READY: &str = "ready";
const LOCK: &str = "lock";

/// An input that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) key: String,
    /// What its files were.
    pub(super) input: String,
    /// What the options were.
    pub(super) options: String,
    /// What the keys were.
    pub(super) keys: String,
    /// Its files, absolute.
    pub(super) files: Vec<String>,
    pub(super) bytes: u64,
    /// The folder of its messages, where they were wanted.
    pub(super) messages: Option<String>,
    pub(super) tally: Tally,
}

impl Record {
    /// What tells what was made of it from that of other inputs, and of the same at another time: of these together, 12
    /// and 8 digits.
    pub(super) fn id<'a>(records: impl Iterator<Item = &'a Record> + Clone) -> String {
        let keys: Vec<&str> = records.clone().map(|r| r.key.as_str()).collect();
        let what: Vec<String> = records.map(|r| format!("{} {} {}", r.input, r.options, r.keys)).collect();
        format!("{}-{}", short(&keys.join("\n"), 12), short(&what.join("\n"), 8))
    }
}

/// Inputs whose rows are in the same parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    /// Its folder until it is done, and in the names of its parts.
    pub(super) id: String,
    pub(super) parts: Vec<Part>,
    pub(super) inputs: Vec<Record>,
}

impl Group {
    /// Whether it is as we write them: a journal comes with a dataset, which may be from anybody, and says what is
    /// removed.
    fn is_ours(&self) -> bool {
        let id = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let ours = |path: &str| match path.split('/').collect::<Vec<_>>()[..] {
            ["mail", folder] => id(folder),
            [table, day, part] => {
                let day = day.strip_prefix("day=").is_some_and(|day| day.bytes().all(|b| b != b'.' && b != b'\\'));
                Table::ALL.iter().any(|t| t.name() == table) && day && part.starts_with("part-")
            }
            _ => false,
        };
        id(&self.id) && self.paths().all(ours)
    }

    /// Everything that it has in the dataset.
    fn paths(&self) -> impl Iterator<Item = &str> {
        let parts = self.parts.iter().map(|p| p.path.as_str());
        parts.chain(self.inputs.iter().filter_map(|r| r.messages.as_deref()))
    }
}

/// A line of the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Step {
    /// These take the place of every group that held one of their inputs, or of `replaces`.
    groups: Vec<Group>,
    /// Inputs that are no more, as their files are others' now.
    replaces: Vec<String>,
}

/// The journal, open for more.
#[derive(Debug)]
struct Journal<W> {
    out: W,
    /// Its last line is not whole, as the disk was full.
    cut: bool,
}

impl<W: Write> Journal<W> {
    /// Adds a line. One that was cut is ended first, or this one could not be read either: other threads finish what
    /// they have even when the run is about to end.
    fn add(&mut self, step: &Step) -> io::Result<()> {
        let mut line = if self.cut { b"\n".to_vec() } else { Vec::new() };
        serde_json::to_writer(&mut line, step)?;
        line.push(b'\n');
        self.cut = true;
        self.out.write_all(&line)?;
        self.cut = false;
        Ok(())
    }
}

/// What is in the dataset.
#[derive(Debug, Default)]
struct Contents {
    groups: BTreeMap<String, Group>,
    /// In which group an input is.
    by_key: BTreeMap<String, String>,
    /// Which input holds a file.
    by_file: HashMap<String, String>,
}

impl Contents {
    fn group(&self, key: &str) -> Option<&Group> {
        self.groups.get(self.by_key.get(key)?)
    }

    /// The groups that hold one of these inputs.
    fn holding<'a>(&self, keys: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        keys.filter_map(|key| self.by_key.get(key).cloned()).collect()
    }

    /// Gives what is in the dataset no more.
    fn apply(&mut self, step: Step) -> Vec<String> {
        let own = step.groups.iter().flat_map(|group| &group.inputs).map(|r| r.key.as_str());
        let old = self.holding(own.chain(step.replaces.iter().map(String::as_str)));
        let old: Vec<Group> = old.iter().filter_map(|id| self.groups.remove(id)).collect();
        for record in old.iter().flat_map(|group| &group.inputs) {
            self.by_key.remove(&record.key);
            record.files.iter().for_each(|file| drop(self.by_file.remove(file)));
        }
        for group in step.groups {
            for record in &group.inputs {
                self.by_key.insert(record.key.clone(), group.id.clone());
                self.by_file.extend(record.files.iter().map(|file| (file.clone(), record.key.clone())));
            }
            self.groups.insert(group.id.clone(), group);
        }
        old.iter().flat_map(Group::paths).map(str::to_owned).collect()
    }

    /// The paths that are in the dataset, of those.
    fn live(&self) -> HashSet<&str> {
        self.groups.values().flat_map(Group::paths).collect()
    }
}

/// The state of a dataset, locked.
pub(super) struct State {
    dir: PathBuf,
    journal: Journal<File>,
    contents: Contents,
    /// Groups of which nothing was missing when this began.
    whole: HashSet<String>,
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
        create_private(&home).map_err(at(&home))?;
        let lock = lock(dir, &home.join(LOCK))?;
        let (mut contents, mut stale) = load(&home.join(DONE)).map_err(at(&home.join(DONE)))?;
        if force {
            let all = std::mem::take(&mut contents);
            stale.extend(all.groups.values().flat_map(Group::paths).map(str::to_owned));
        }
        recover(dir, &contents, &stale).map_err(at(dir))?;
        // Only now may it be forgotten what was to be removed.
        let out = rewrite(&home, contents.groups.values()).map_err(at(&home.join(DONE)))?;
        let journal = Journal { out, cut: false };
        let is_whole = |group: &&Group| group.paths().all(|path| dir.join(path).exists());
        let whole = contents.groups.values().filter(is_whole).map(|group| group.id.clone()).collect();
        Ok(State { journal, contents, whole, dir: dir.to_owned(), _lock: lock })
    }

    /// Where a group's parts are until it is done; empty, whatever was there.
    pub(super) fn work(dir: &Path, id: &str) -> io::Result<PathBuf> {
        let work = dir.join(HOME).join(WORK).join(id);
        remove(&work)?;
        fs::create_dir_all(&work)?;
        Ok(work)
    }

    /// Removes what a group had so far. What can't be removed now is when the next run begins.
    pub(super) fn give_up(dir: &Path, id: &str) {
        let _ = remove(&dir.join(HOME).join(WORK).join(id));
    }

    pub(super) fn get(&self, key: &str) -> Option<&Record> {
        self.contents.group(key)?.inputs.iter().find(|r| r.key == key)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.contents.groups.values().flat_map(|group| &group.inputs)
    }

    /// Whether rows are there of a file, or of files in a folder.
    pub(super) fn holds_any(&self, path: &Path) -> bool {
        let path = absolute(path);
        self.contents.by_file.keys().any(|file| Path::new(file).starts_with(&path))
    }

    /// Whether everything of an input was in its place when this began.
    pub(super) fn is_there(&self, record: &Record) -> bool {
        self.contents.by_key.get(&record.key).is_some_and(|id| self.whole.contains(id))
    }

    /// From here on these inputs are done: the group's parts under `work/` are whole.
    pub(super) fn commit(&mut self, group: Group) -> io::Result<()> {
        let own: HashSet<&str> = group.inputs.iter().map(|r| r.key.as_str()).collect();
        let files = group.inputs.iter().flat_map(|r| &r.files);
        let held = files.filter_map(|f| self.contents.by_file.get(f)).filter(|key| !own.contains(key.as_str()));
        let replaces: BTreeSet<&String> = held.collect();
        let gone: HashSet<&str> = own.iter().copied().chain(replaces.iter().map(|key| key.as_str())).collect();
        let old = self.contents.holding(gone.iter().copied());
        let ready = self.ready(&group.id)?;
        fs::rename(self.dir.join(HOME).join(WORK).join(&group.id), ready)?;
        let left = old.iter().filter_map(|id| self.rest(id, &gone).transpose()).collect::<io::Result<Vec<Group>>>()?;
        let replaces = replaces.into_iter().cloned().collect();
        let groups: Vec<Group> = [group].into_iter().chain(left).collect();

        let step = Step { groups, replaces };
        self.journal.add(&step)?;
        self.journal.out.sync_data()?;
        let stale = self.contents.apply(step.clone());
        let own: HashSet<&str> = step.groups.iter().flat_map(Group::paths).collect();
        for path in stale.iter().filter(|p| !own.contains(p.as_str())) {
            drop_path(&self.dir, path)?;
        }
        step.groups.iter().try_for_each(|group| place(&self.dir, group))
    }

    /// Where a group's parts are when they are whole; nothing is there.
    fn ready(&self, id: &str) -> io::Result<PathBuf> {
        let home = self.dir.join(HOME).join(READY);
        fs::create_dir_all(&home)?;
        let ready = home.join(id);
        remove(&ready)?;
        Ok(ready)
    }

    /// What is left of a group without some inputs, written under `ready/`; none if nothing is.
    fn rest(&self, id: &str, gone: &HashSet<&str>) -> io::Result<Option<Group>> {
        let Some(group) = self.contents.groups.get(id) else { return Ok(None) };
        let inputs: Vec<Record> = group.inputs.iter().filter(|r| !gone.contains(r.key.as_str())).cloned().collect();
        if inputs.is_empty() {
            return Ok(None);
        }
        let id = Record::id(inputs.iter());
        let ready = self.ready(&id)?;
        let mut parts = Vec::new();
        for part in &group.parts {
            let from = self.dir.join(&part.path);
            // Somebody removed it: then all of the group that is still there is read anew.
            if !from.exists() {
                continue;
            }
            let path = part.path.replace(&group.id, &id);
            let rows = copy_rows(&from, &ready.join(&path), &|input| !gone.contains(input))?;
            if rows > 0 {
                parts.push(Part { path, rows });
            }
        }
        Ok(Some(Group { id, parts, inputs }))
    }
}

/// A path below the dataset. None of the folders on the way is a link: that would lead elsewhere.
fn below(dir: &Path, path: &str) -> io::Result<PathBuf> {
    let full = dir.join(path);
    let folders = full.ancestors().skip(1).take_while(|folder| *folder != dir);
    match folders.into_iter().find(|folder| folder.symlink_metadata().is_ok_and(|m| !m.is_dir())) {
        Some(link) => Err(io::Error::other(format!("{}: this is not a folder but a file or a link", link.display()))),
        None => Ok(full),
    }
}

/// Moves a group's parts to their places.
fn place(dir: &Path, group: &Group) -> io::Result<()> {
    let ready = dir.join(HOME).join(READY).join(&group.id);
    for path in group.paths() {
        let (from, to) = (ready.join(path), below(dir, path)?);
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

/// Finishes the groups whose step was written, and removes what has none.
fn recover(dir: &Path, contents: &Contents, stale: &[String]) -> io::Result<()> {
    let live = contents.live();
    for path in stale.iter().filter(|p| !live.contains(p.as_str())) {
        drop_path(dir, path)?;
    }
    for group in contents.groups.values().filter(|g| dir.join(HOME).join(READY).join(&g.id).exists()) {
        place(dir, group)?;
    }
    remove(&dir.join(HOME).join(READY))?;
    remove(&dir.join(HOME).join(WORK))
}

/// Removes a part, and the folders that are empty without it.
fn drop_path(dir: &Path, path: &str) -> io::Result<()> {
    let full = below(dir, path)?;
    remove(&full)?;
    for folder in full.ancestors().skip(1).take_while(|f| *f != dir) {
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

fn create_private(dir: &Path) -> io::Result<()> {
    let mut how = fs::DirBuilder::new();
    // Messages and passwords pass through it.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut how, 0o700);
    match how.create(dir) {
        // Another run may have been faster; the lock decides between them.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.symlink_metadata()?.is_dir() => Ok(()),
        made => made,
    }
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

/// Reads the journal: what is in the dataset, and what steps replaced. The last line may be cut: its step was not done.
fn load(path: &Path) -> io::Result<(Contents, Vec<String>)> {
    let (mut contents, mut stale) = (Contents::default(), Vec::new());
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((contents, stale)),
        other => other?,
    };
    for line in BufReader::new(file).split(b'\n') {
        let Ok(step) = serde_json::from_slice::<Step>(&line?) else { continue };
        if !step.groups.iter().all(Group::is_ours) {
            continue;
        }
        stale.extend(contents.apply(step));
    }
    Ok((contents, stale))
}

/// The journal as short as it can be, open for more.
fn rewrite<'a>(home: &Path, groups: impl Iterator<Item = &'a Group>) -> io::Result<File> {
    let new = home.join(format!("{DONE}.new"));
    remove(&new)?;
    let mut out = BufWriter::new(File::create_new(&new)?);
    for group in groups {
        let step = Step { groups: vec![group.clone()], replaces: Vec::new() };
        serde_json::to_writer(&mut out, &step)?;
        out.write_all(b"\n")?;
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_data()?;
    fs::rename(new, home.join(DONE))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
