//! Messages on their way: a temporary file each, of which only some are open at once.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use tempfile::TempPath;

use super::temporary;
use crate::event::MessageData;

/// Files open at once; the usual limit of a process is 1024.
const OPEN_FILES: usize = 128;

/// Places of gaps that are remembered of one message: beyond them an attachment's file may differ from what is told of it.
const GAPS: usize = 64 << 10;

struct Draft {
    path: TempPath,
    gaps: Vec<u64>,
    file: Option<File>,
    used: u64,
}

/// Session and ordinal of a message.
type Key = (u64, u64);

/// The drafts.
pub(super) struct Drafts {
    dir: PathBuf,
    drafts: BTreeMap<Key, Draft>,
    /// Those whose file is open, by when they were used.
    open: BTreeMap<u64, Key>,
    clock: u64,
}

impl Drafts {
    pub(super) fn new(dir: PathBuf) -> Self {
        Drafts { dir, drafts: BTreeMap::new(), open: BTreeMap::new(), clock: 0 }
    }

    pub(super) fn append(&mut self, session: u64, data: &MessageData) -> io::Result<()> {
        self.clock += 1;
        let key = (session, data.ordinal);
        if self.drafts.get(&key).is_none_or(|d| d.file.is_none()) {
            self.make_room();
            match self.drafts.get_mut(&key) {
                Some(draft) => draft.file = Some(OpenOptions::new().append(true).open(&draft.path)?),
                None => {
                    let (file, path) = temporary(&self.dir)?.into_parts();
                    self.drafts.insert(key, Draft { path, gaps: Vec::new(), file: Some(file), used: 0 });
                }
            }
        }
        if let Some(draft) = self.drafts.get_mut(&key) {
            self.open.remove(&draft.used);
            self.open.insert(self.clock, key);
            draft.used = self.clock;
            if let Some(file) = &mut draft.file {
                file.write_all(&data.bytes)?;
            }
            if data.after_gap && draft.gaps.len() < GAPS {
                draft.gaps.push(data.offset);
            }
        }
        Ok(())
    }

    /// Closes the file that was not written to for the longest time, if too many are open.
    fn make_room(&mut self) {
        if self.open.len() >= OPEN_FILES
            && let Some((_, key)) = self.open.pop_first()
            && let Some(draft) = self.drafts.get_mut(&key)
        {
            draft.file = None;
        }
    }

    fn remove(&mut self, key: Key) -> Option<(TempPath, Vec<u64>)> {
        let draft = self.drafts.remove(&key)?;
        self.open.remove(&draft.used);
        Some((draft.path, draft.gaps))
    }

    /// The finished draft, closed, and before which of its bytes others are missing; an empty one where no byte came.
    pub(super) fn take(&mut self, session: u64, ordinal: u64) -> io::Result<(TempPath, Vec<u64>)> {
        match self.remove((session, ordinal)) {
            Some(draft) => Ok(draft),
            None => Ok((temporary(&self.dir)?.into_temp_path(), Vec::new())),
        }
    }

    /// Drops all of them.
    pub(super) fn clear(&mut self) {
        self.drafts.clear();
        self.open.clear();
    }

    /// Drops what a session left behind.
    pub(super) fn forget(&mut self, session: u64) {
        let keys: Vec<Key> = self.drafts.range((session, 0)..=(session, u64::MAX)).map(|(&key, _)| key).collect();
        for key in keys {
            self.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_messages_than_files_may_be_open_are_written_in_turns() {
        let dir = tempfile::tempdir().unwrap();
        let mut drafts = Drafts::new(dir.path().to_owned());
        let sessions = OPEN_FILES as u64 * 3;
        for round in 0..3u8 {
            for session in 0..sessions {
                let data =
                    MessageData { ordinal: 1, offset: round.into(), after_gap: round == 2, bytes: vec![b'a' + round] };
                drafts.append(session, &data).unwrap();
                assert_eq!(drafts.open.len(), drafts.drafts.values().filter(|d| d.file.is_some()).count());
                assert!(drafts.open.len() <= OPEN_FILES);
            }
        }
        drafts.forget(0);
        for session in 1..sessions {
            let (path, gaps) = drafts.take(session, 1).unwrap();
            assert_eq!((std::fs::read(path).unwrap(), gaps), (b"abc".to_vec(), vec![2]));
        }
        assert!(drafts.drafts.is_empty() && drafts.open.is_empty());
    }
}
