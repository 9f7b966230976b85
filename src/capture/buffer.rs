//! A window onto a byte stream: grows on need, never beyond what really arrived.

use std::io::{self, Read};

use super::ahead::Ahead;
use super::room::{Room, Share, Window};

/// Enough to see what a stream is, and all of a small file: thousands of them may be open together.
const FIRST: usize = 36 << 10;

/// Large enough that a read is cheap beside its copy, small enough to stay in the second-level cache.
const USUAL: usize = 256 << 10;

/// What a decoder remembers is counted anew each time that it has given so much.
const STEP: u64 = 64 << 10;

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
    /// What it holds, with the decoder below.
    share: Share,
    window: Window,
    /// It comes out of a decoder.
    decoded: bool,
    /// Its own window grows no further.
    most: usize,
    /// The offset from which on the decoder holds more.
    recount: u64,
}

impl Buffer {
    /// `window` is what the reader itself may come to hold.
    pub(super) fn new(reader: Box<dyn Read + Send>, window: Window, room: &Room) -> Self {
        Buffer {
            from: From::Reader(reader),
            data: Vec::new(),
            start: 0,
            end: 0,
            offset: 0,
            eof: false,
            error: None,
            share: room.share(),
            decoded: false,
            most: usize::MAX,
            recount: if window.bytes() > 0 { STEP } else { u64::MAX },
            window,
        }
    }

    /// As [`Buffer::new`], of what comes out of a decoder.
    pub(super) fn decoded(reader: Box<dyn Read + Send>, window: Window, room: &Room) -> Self {
        Buffer { decoded: true, ..Buffer::new(reader, window, room) }
    }

    /// A window onto the same file from that offset on, no larger than usual; none if there is no room for it.
    pub(super) fn twin(reader: Box<dyn Read + Send>, offset: u64, room: &Room) -> Option<Self> {
        let mut twin = Buffer { offset, most: USUAL, ..Buffer::new(reader, Window::default(), room) };
        twin.has_room().then_some(twin)
    }

    /// Whether a plain file's window can be as large as usual, whatever others come to hold.
    pub(super) fn has_room(&mut self) -> bool {
        self.share.hold(USUAL as u64).is_ok()
    }

    /// Whether offsets are those of the file as it is stored.
    pub(super) fn is_plain(&self) -> bool {
        !self.decoded
    }

    /// Reads on from another reader, which stands behind what is in memory: no thread reads ahead any more.
    pub(super) fn read_from(&mut self, reader: impl FnOnce(u64) -> Box<dyn Read + Send>) {
        if !matches!(self.from, From::Nowhere) {
            self.from = From::Reader(reader(self.offset.saturating_add(self.data().len() as u64)));
        }
    }

    /// Counts what it holds when its own window is `len` bytes; what does not fit ends it. By what was taken from it,
    /// as a thread may have read on.
    #[cold]
    fn count(&mut self, len: usize) -> bool {
        let remembered = self.window.bytes().min(self.offset.saturating_add(STEP));
        let Err(e) = self.share.hold(remembered.saturating_add(len as u64)) else { return true };
        self.eof = true;
        self.error = Some(e);
        self.from = From::Nowhere;
        self.start = self.end;
        false
    }

    /// Lets a thread of its own read what is to come, if that may be much; whether it does. Not for what has to be used
    /// as it comes.
    pub(super) fn read_ahead(&mut self) -> bool {
        if self.data().len() < WORTH_A_THREAD {
            return false;
        }
        self.from = match std::mem::replace(&mut self.from, From::Nowhere) {
            From::Reader(reader) => From::Ahead(Ahead::new(reader)),
            other => other,
        };
        true
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

    /// Grows only once half of it is unread: a length that lies costs no more than four times what the file holds.
    /// Moves only once half of it is done with: a copy costs no more than what was read.
    fn make_space(&mut self) -> bool {
        let unread = self.end - self.start;
        let len = match self.data.len() {
            0 => FIRST,
            len if len < USUAL => USUAL,
            len if unread >= len / 2 => len.saturating_mul(2),
            len => len,
        };
        if len > self.data.len() {
            if len > self.most {
                self.eof = true;
                return false;
            }
            if !self.count(len) {
                return false;
            }
            self.data.resize(len, 0);
        }
        self.data.copy_within(self.start..self.end, 0);
        self.start = 0;
        self.end = unread;
        true
    }

    #[cold]
    fn fill(&mut self, n: usize) -> bool {
        while self.end - self.start < n {
            if self.eof {
                return false;
            }
            if matches!(self.from, From::Reader(_)) && self.end == self.data.len() && !self.make_space() {
                return false;
            }
            let got = match &mut self.from {
                From::Reader(reader) => {
                    let Some(space) = self.data.get_mut(self.end..) else { return false };
                    reader.read(space).map(|got| {
                        let end = self.end.saturating_add(got).min(self.data.len());
                        (got > 0).then_some((self.start, end))
                    })
                }
                From::Ahead(ahead) => {
                    let got = ahead.append(&mut self.data, self.start, self.end);
                    if self.data.len() > 2 * USUAL && !self.count(self.data.len()) {
                        return false;
                    }
                    got
                }
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
        if self.offset >= self.recount {
            self.recount = self.offset.saturating_add(STEP);
            self.count(self.data.len());
        }
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
