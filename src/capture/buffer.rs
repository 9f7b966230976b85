//! A window onto a byte stream: grows on need, never beyond what really arrived.

use std::io::{self, Read};

use super::ahead::Ahead;

/// Large enough that a read is cheap beside its copy, small enough to stay in the second-level cache.
const INITIAL: usize = 256 << 10;

/// Of a stream that has given less at once, a thread would not read on: it may be over.
const WORTH_A_THREAD: usize = 32 << 10;

/// Where the bytes come from.
enum From {
    Reader(Box<dyn Read + Send>),
    Ahead(Ahead),
    Nowhere,
}

/// The unread part of a stream, contiguous in memory.
pub(super) struct Buffer {
    from: From,
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `start` in the stream.
    offset: u64,
    eof: bool,
    error: Option<io::Error>,
}

impl Buffer {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        Buffer { from: From::Reader(reader), data: Vec::new(), start: 0, end: 0, offset: 0, eof: false, error: None }
    }

    /// Lets a thread of its own read what is to come, if that may be much. Not for what has to be used as it comes.
    pub(super) fn read_ahead(&mut self) {
        if self.data().len() < WORTH_A_THREAD {
            return;
        }
        self.from = match std::mem::replace(&mut self.from, From::Nowhere) {
            From::Reader(reader) => From::Ahead(Ahead::new(reader)),
            other => other,
        };
    }

    /// Offset in the stream of the first unread byte.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// What is unread and in memory.
    pub(super) fn data(&self) -> &[u8] {
        self.data.get(self.start..self.end).unwrap_or_default()
    }

    /// Makes `n` unread bytes available if the stream has them. Reads no further than it must, so that what a live
    /// pipe has delivered is used at once.
    #[inline]
    pub(super) fn ensure(&mut self, n: usize) -> bool {
        self.end - self.start >= n || self.fill(n)
    }

    #[cold]
    fn fill(&mut self, n: usize) -> bool {
        while self.end - self.start < n {
            if self.eof {
                return false;
            }
            let got = match &mut self.from {
                From::Reader(reader) => {
                    if self.end == self.data.len() {
                        // Growing only once half of it is unread: a length that lies costs no more than four times what
                        // the file holds. Moving only once half of it is done with: a copy costs no more than what was
                        // read.
                        let unread = self.end - self.start;
                        if unread >= self.data.len() / 2 {
                            let len = self.data.len().saturating_mul(2).max(INITIAL);
                            self.data.resize(len, 0);
                        }
                        self.data.copy_within(self.start..self.end, 0);
                        self.start = 0;
                        self.end = unread;
                    }
                    let Some(space) = self.data.get_mut(self.end..) else { return false };
                    reader.read(space).map(|got| {
                        let end = self.end.saturating_add(got).min(self.data.len());
                        (got > 0).then_some((self.start, end))
                    })
                }
                From::Ahead(ahead) => ahead.append(&mut self.data, self.start, self.end),
                From::Nowhere => Ok(None),
            };
            match got {
                Ok(Some(place)) => (self.start, self.end) = place,
                Ok(None) => self.eof = true,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.eof = true;
                    self.error = Some(e);
                }
            }
        }
        true
    }

    /// Steps over `n` bytes that are in memory.
    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        let n = n.min(self.end - self.start);
        self.start += n;
        self.offset = self.offset.saturating_add(n as u64);
    }

    /// Steps over `n` bytes, read as needed and not kept; how many there really were.
    pub(super) fn skip(&mut self, n: u64) -> u64 {
        let mut left = n;
        while left > 0 && self.ensure(1) {
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(self.end - self.start);
            self.consume(step);
            left -= step as u64;
        }
        n - left
    }

    /// The error that ended the stream early, once.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }
}
