//! Messages on their way: a temporary file each, of which only some are open at once.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use tempfile::TempPath;

use super::temporary;

/// Files open at once; the usual limit of a process is 1024.
const OPEN_FILES: usize = 128;

struct Draft {
    path: TempPath,
    file: Option<File>,
    used: u64,
}

/// The drafts by session and ordinal.
pub(super) struct Drafts {
    dir: PathBuf,
    drafts: BTreeMap<(u64, u64), Draft>,
    open: usize,
    clock: u64,
}

impl Drafts {
    pub(super) fn new(dir: PathBuf) -> Self {
        Drafts { dir, drafts: BTreeMap::new(), open: 0, clock: 0 }
    }

    pub(super) fn append(&mut self, session: u64, ordinal: u64, bytes: &[u8]) -> io::Result<()> {
        self.clock += 1;
        let key = (session, ordinal);
        if self.drafts.get(&key).is_none_or(|d| d.file.is_none()) {
            self.make_room();
            match self.drafts.get_mut(&key) {
                Some(draft) => draft.file = Some(OpenOptions::new().append(true).open(&draft.path)?),
                None => {
                    let (file, path) = temporary(&self.dir)?.into_parts();
                    self.drafts.insert(key, Draft { path, file: Some(file), used: 0 });
                }
            }
            self.open += 1;
        }
        if let Some(draft) = self.drafts.get_mut(&key) {
            draft.used = self.clock;
            if let Some(file) = &mut draft.file {
                file.write_all(bytes)?;
            }
        }
        Ok(())
    }

    /// Closes the file that was not written to for the longest time, if too many are open.
    fn make_room(&mut self) {
        if self.open < OPEN_FILES {
            return;
        }
        let idle = self.drafts.values_mut().filter(|d| d.file.is_some()).min_by_key(|d| d.used);
        if let Some(draft) = idle {
            draft.file = None;
            self.open -= 1;
        }
    }

    /// The finished draft, closed; an empty one where no byte came.
    pub(super) fn take(&mut self, session: u64, ordinal: u64) -> io::Result<TempPath> {
        match self.drafts.remove(&(session, ordinal)) {
            Some(draft) => {
                self.open -= usize::from(draft.file.is_some());
                Ok(draft.path)
            }
            None => Ok(temporary(&self.dir)?.into_temp_path()),
        }
    }

    /// Drops all of them.
    pub(super) fn clear(&mut self) {
        self.drafts.clear();
        self.open = 0;
    }

    /// Drops what a session left behind.
    pub(super) fn forget(&mut self, session: u64) {
        let keys: Vec<_> = self.drafts.range((session, 0)..=(session, u64::MAX)).map(|(&key, _)| key).collect();
        for key in keys {
            if let Some(draft) = self.drafts.remove(&key) {
                self.open -= usize::from(draft.file.is_some());
            }
        }
    }
}
