//! A file of whole records: one that can't be written to its end, as on a full disk, leaves nothing.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use tempfile::{NamedTempFile, TempPath};

pub(super) struct Whole {
    file: NamedTempFile,
    len: u64,
}

impl Whole {
    /// Goes on behind what stands in the file.
    pub(super) fn new(mut file: NamedTempFile) -> io::Result<Self> {
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Whole { file, len })
    }

    /// Adds what `write` writes, or nothing.
    pub(super) fn append(&mut self, write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(64 << 10, self.file.as_file());
        let result = write(&mut out).and_then(|()| out.flush());
        // What is left in the buffer was not written, and must not be when it is dropped.
        drop(out.into_parts());
        match result {
            Ok(()) => self.len = self.file.stream_position()?,
            Err(_) => {
                self.file.as_file().set_len(self.len)?;
                self.file.seek(SeekFrom::Start(self.len))?;
            }
        }
        result
    }

    pub(super) fn into_temp_path(self) -> TempPath {
        self.file.into_temp_path()
    }
}
