//! Several readers of one plain file, each in a thread of its own: they find the same packets at the same time.
//!
//! A packet's bytes are then in the cache of the processor that works on them. That is less work than to hand them
//! over: reading once more costs a copy out of the kernel's memory, and a look at the headers.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::Frame;
use super::source::Source;
use crate::limits::Limits;

/// A longer record is for one reader alone: a twin's window does not grow. Packets that a network interface has joined
/// have 64 KiB.
pub(super) const LONGEST: usize = 68 << 10;

/// What all readers of a file know of its end, so that they agree on it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Horizon {
    /// Length of the file when they began; it may have grown since.
    pub(super) len: u64,
    /// Time and rank at which another file has its turn.
    pub(super) turn: Option<(i64, usize)>,
}

impl Horizon {
    /// Whether each of them has the record of that size at that offset.
    pub(super) fn has(&self, offset: u64, size: usize) -> bool {
        size <= LONGEST && offset.saturating_add(size as u64) <= self.len
    }

    /// Whether it is its file's turn, and no other's.
    pub(super) fn is_due(&self, turn: (i64, usize)) -> bool {
        self.turn.is_none_or(|other| turn <= other)
    }
}

/// A second reader of the file that a [`Capture`](super::Capture) reads.
pub struct Twin {
    pub(super) source: Source,
    pub(super) rank: usize,
    pub(super) horizon: Horizon,
    pub(super) frames: u64,
    pub(super) limits: Limits,
}

impl Twin {
    /// Steps to the next packet. False where something else is next, as
    /// [`Capture::advance_with_twins`](super::Capture::advance_with_twins) says at the same place; then it is over.
    pub fn advance(&mut self) -> bool {
        let more = self.source.has_plain_packet(&self.horizon)
            && self.source.advance(&self.limits)
            && self.source.at_packet()
            && self.horizon.is_due((self.source.turn(), self.rank));
        self.frames += u64::from(more);
        more
    }

    /// The packet that [`Twin::advance`] stepped to.
    pub fn frame(&self) -> Option<Frame<'_>> {
        self.source.frame(self.frames)
    }
}

/// A file from an offset on, wherever others read it.
pub(super) struct FileAt {
    file: Arc<File>,
    offset: u64,
}

impl FileAt {
    pub(super) fn new(file: &Arc<File>, offset: u64) -> Self {
        FileAt { file: Arc::clone(file), offset }
    }
}

#[cfg(unix)]
impl Read for FileAt {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = std::os::unix::fs::FileExt::read_at(&*self.file, buf, self.offset)?;
        self.offset = self.offset.saturating_add(got as u64);
        Ok(got)
    }
}

#[cfg(not(unix))]
impl Read for FileAt {
    fn read(&mut self, _buf: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}
