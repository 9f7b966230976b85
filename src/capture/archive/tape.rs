//! An archive's bytes in order, to look at and to step over: a file that seeks, or a stream that reads.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::Buffer;

/// Bytes read from a file at once: a header and the usual gap to the next small one.
const CHUNK: usize = 4096;

/// Bytes in order.
pub(super) trait Tape {
    /// Where it stands.
    fn offset(&self) -> u64;
    /// The next `n` bytes, fewer only at the end.
    fn ahead(&mut self, n: usize) -> &[u8];
    /// Steps over `n` bytes; how many there really were.
    fn skip(&mut self, n: u64) -> u64;
    /// The error that ended it early, once.
    fn take_error(&mut self) -> Option<io::Error>;
}

impl Tape for Buffer {
    fn offset(&self) -> u64 {
        Buffer::offset(self)
    }

    fn ahead(&mut self, n: usize) -> &[u8] {
        self.ensure(n);
        let data = self.data();
        data.get(..n).unwrap_or(data)
    }

    fn skip(&mut self, n: u64) -> u64 {
        Buffer::skip(self, n)
    }

    fn take_error(&mut self) -> Option<io::Error> {
        Buffer::take_error(self)
    }
}

/// A regular file.
pub(super) struct FileTape {
    file: File,
    len: u64,
    at: u64,
    window: Vec<u8>,
    window_at: u64,
    error: Option<io::Error>,
}

impl FileTape {
    pub(super) fn new(file: File) -> Option<Self> {
        let len = file.metadata().ok()?.len();
        Some(FileTape { file, len, at: 0, window: Vec::new(), window_at: 0, error: None })
    }

    /// Size of the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Goes to an offset, at most to the end.
    pub(super) fn seek(&mut self, at: u64) {
        self.at = at.min(self.len);
    }

    /// The window's range of the next `n` bytes, if it holds them.
    fn held(&self, n: usize) -> Option<std::ops::Range<usize>> {
        let from = usize::try_from(self.at.checked_sub(self.window_at)?).ok()?;
        let to = from.checked_add(n)?;
        (to <= self.window.len()).then_some(from..to)
    }

    fn load(&mut self, n: usize) -> io::Result<()> {
        self.window.clear();
        self.window_at = self.at;
        self.file.seek(SeekFrom::Start(self.at))?;
        Read::by_ref(&mut self.file).take(n.max(CHUNK) as u64).read_to_end(&mut self.window)?;
        Ok(())
    }
}

impl Tape for FileTape {
    fn offset(&self) -> u64 {
        self.at
    }

    fn ahead(&mut self, n: usize) -> &[u8] {
        let n = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX).min(n);
        if self.held(n).is_none()
            && let Err(e) = self.load(n)
        {
            self.error = Some(e);
        }
        let range = self.held(n).unwrap_or(0..self.window.len());
        self.window.get(range).unwrap_or_default()
    }

    fn skip(&mut self, n: u64) -> u64 {
        let step = n.min(self.len.saturating_sub(self.at));
        self.at = self.at.saturating_add(step);
        step
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }
}
