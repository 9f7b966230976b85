//! Record framing: one direction's bytes → whole records, and the search for the next header after a loss.
//!
//! RFC 5246 section 6.2 (RFC 8446 section 5.1): type, version, two-byte length, fragment. The very first message of a
//! client may be an SSL 2.0-framed ClientHello instead (RFC 5246 appendix E.2).

use super::looks::{Looks, looks_like_tls};
use crate::position::{FramePos, Span};

/// Bytes of a record header.
pub const HEADER: usize = 5;

/// Longest fragment: 2^14 and the 2048 bytes that compression and protection may add (RFC 5246 section 6.2.3).
pub const MAX_FRAGMENT: usize = (1 << 14) + 2048;

/// Bytes kept of a cut record's end: a block and, with encrypt-then-MAC, a MAC behind it.
pub(super) const RESIDUE: usize = 16 + 48;

/// Content types.
pub mod content {
    /// ChangeCipherSpec.
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    /// Alert.
    pub const ALERT: u8 = 21;
    /// Handshake.
    pub const HANDSHAKE: u8 = 22;
    /// Application data.
    pub const APPLICATION: u8 = 23;
    /// Heartbeat (RFC 6520).
    pub const HEARTBEAT: u8 = 24;
}

/// A record's header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Content type; 20 to 24.
    pub content_type: u8,
    /// Version on the wire; major 3.
    pub version: u16,
    /// Bytes of the fragment; at most [`MAX_FRAGMENT`].
    pub len: usize,
}

impl Header {
    /// Reads a header, if the first five bytes can be one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[content_type, major, minor, high, low, ..] = bytes else { return None };
        let header = Header {
            content_type,
            version: u16::from_be_bytes([major, minor]),
            len: usize::from(u16::from_be_bytes([high, low])),
        };
        let known = (content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT).contains(&content_type);
        (known && major == 3 && minor <= 4 && header.len <= MAX_FRAGMENT).then_some(header)
    }

    /// Bytes of the whole record.
    pub fn record_len(&self) -> usize {
        HEADER + self.len
    }
}

/// What the framer has.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing whole: give it more bytes.
    More,
    /// A whole record, to be taken with [`Framer::take`].
    Record { header: Header, span: Span },
    /// An SSL 2.0-framed message of so many bytes, its two length bytes included.
    V2Hello { len: usize, span: Span },
    /// While searching: a record that may be one, whole. `chained` when another plausible header follows it.
    Candidate { header: Header, chained: Option<bool>, span: Span },
    /// Bytes that belong to no whole record were dropped.
    Dropped { bytes: u64, span: Span },
    /// The next bytes are no record header; [`Framer::search`] is the way on.
    Garbage { span: Span },
}

/// Where the framer is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Mode {
    /// At the very beginning: an SSL 2.0 header is possible.
    Start,
    /// At a record boundary, or within a record whose header is known or coming.
    Records,
    /// In the tail of a record whose middle is lost; so many bytes are left.
    Tail(usize),
    /// Anywhere.
    Search,
}

/// Where a gap struck.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Bytes of the cut record that were captured before the gap, header included.
    pub(super) before: u64,
    /// The cut record's header, where it was seen.
    pub(super) header: Option<Header>,
    /// Whether the cut record is the only one touched: its end lies behind the gap or at its end.
    pub(super) exact: bool,
}

/// Cuts one direction's bytes into records. Holds at most one record and one chunk, and what it is told to hold back.
#[derive(Debug)]
pub(super) struct Framer {
    buf: Vec<u8>,
    start: usize,
    /// Bytes of whole records from `start` on that are held back.
    back: usize,
    mode: Mode,
    first: FramePos,
    last: FramePos,
    residue: Vec<u8>,
}

impl Framer {
    pub(super) fn new() -> Self {
        Framer {
            buf: Vec::new(),
            start: 0,
            back: 0,
            mode: Mode::Start,
            first: FramePos::default(),
            last: FramePos::default(),
            residue: Vec::new(),
        }
    }

    /// Memory beside its own fields.
    pub(super) fn cost(&self) -> usize {
        self.buf.capacity() + self.residue.capacity()
    }

    /// Bytes that it has.
    pub(super) fn held(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Goes on, taking from `chunk` as much as it needs.
    pub(super) fn step(&mut self, chunk: &mut &[u8], span: Span) -> Step {
        if self.rest().is_empty() {
            self.first = span.first;
        }
        self.last = span.last;
        match self.mode {
            Mode::Tail(left) => {
                let n = left.min(chunk.len());
                let (tail, rest) = chunk.split_at_checked(n).unwrap_or((chunk, &[]));
                self.residue.extend_from_slice(tail.get(tail.len().saturating_sub(RESIDUE)..).unwrap_or_default());
                self.residue.drain(..self.residue.len().saturating_sub(RESIDUE));
                *chunk = rest;
                self.mode = if n == left { Mode::Records } else { Mode::Tail(left - n) };
                if n == 0 && left > 0 { Step::More } else { Step::Dropped { bytes: n as u64, span } }
            }
            Mode::Search => self.step_search(chunk),
            Mode::Start | Mode::Records => self.step_records(chunk),
        }
    }

    fn step_records(&mut self, chunk: &mut &[u8]) -> Step {
        // A look at the first byte decides which framing it is.
        if !self.fill(chunk, 1) {
            return self.more();
        }
        if self.mode == Mode::Start && self.rest().first().is_some_and(|b| b & 0x80 != 0) {
            if !self.fill(chunk, HEADER) {
                return self.more();
            }
            if let (Looks::Yes, &[high, low, ..]) = (looks_like_tls(self.rest()), self.rest()) {
                let len = 2 + usize::from(u16::from_be_bytes([high & 0x7f, low]));
                if !self.fill(chunk, len) {
                    return Step::More;
                }
                self.mode = Mode::Records;
                return Step::V2Hello { len, span: self.span() };
            }
        }
        if !self.fill(chunk, HEADER) {
            return Step::More;
        }
        let Some(header) = Header::parse(self.rest()) else { return Step::Garbage { span: self.span() } };
        self.mode = Mode::Records;
        if !self.fill(chunk, header.record_len()) {
            return Step::More;
        }
        Step::Record { header, span: self.span() }
    }

    fn step_search(&mut self, chunk: &mut &[u8]) -> Step {
        self.buf.extend_from_slice(chunk);
        *chunk = &[];
        let rest = self.rest();
        let at = rest.windows(HEADER).position(|w| Header::parse(w).is_some());
        let dropped = match at {
            Some(at) => at,
            // A header may have begun in the last bytes.
            None => rest.len().saturating_sub(HEADER - 1),
        };
        if dropped > 0 {
            let span = self.span();
            self.start += dropped;
            self.compact();
            // What is left came last, but for a rejected candidate's bytes.
            self.first = self.last;
            return Step::Dropped { bytes: dropped as u64, span };
        }
        let Some(header) = Header::parse(self.rest()) else { return Step::More };
        if self.held() < header.record_len() {
            return Step::More;
        }
        let next = self.rest().get(header.record_len()..).unwrap_or_default();
        let chained = match next.len() {
            0..HEADER => None,
            _ => Some(Header::parse(next).is_some()),
        };
        Step::Candidate { header, chained, span: self.span() }
    }

    fn more(&mut self) -> Step {
        self.compact();
        Step::More
    }

    /// The bytes behind what is held back.
    pub(super) fn rest(&self) -> &[u8] {
        self.buf.get(self.start + self.back..).unwrap_or_default()
    }

    fn span(&self) -> Span {
        Span { first: self.first, last: self.last }
    }

    /// Takes bytes until `need` are there.
    fn fill(&mut self, chunk: &mut &[u8], need: usize) -> bool {
        let missing = need.saturating_sub(self.rest().len());
        let n = missing.min(chunk.len());
        if let Some((head, tail)) = chunk.split_at_checked(n) {
            self.buf.extend_from_slice(head);
            *chunk = tail;
        }
        n == missing
    }

    /// Holds the record of `len` bytes back that comes next, the first of `of` such; they are taken together with
    /// [`Framer::take_held_back`].
    pub(super) fn hold_back(&mut self, len: usize, of: usize) {
        if self.back == 0 {
            self.buf.reserve_exact(len.saturating_mul(of).saturating_sub(self.held()));
        }
        self.back += len;
        self.first = self.last;
    }

    /// All that is held back, to work on in place; [`Framer::put_back_held_back`] must follow.
    pub(super) fn take_held_back(&mut self) -> Taken {
        let len = std::mem::take(&mut self.back);
        self.take(len)
    }

    /// Returns the buffer; what was held back is done with, and what came behind it is as it was.
    pub(super) fn put_back_held_back(&mut self, taken: Taken) {
        let first = self.first;
        self.put_back(taken);
        self.first = first;
    }

    /// The first `len` bytes held, to work on in place; [`Framer::put_back`] must follow.
    pub(super) fn take(&mut self, len: usize) -> Taken {
        let range = self.start..(self.start + len).min(self.buf.len());
        Taken { buf: std::mem::take(&mut self.buf), range }
    }

    /// Returns the buffer; its record is done with.
    pub(super) fn put_back(&mut self, taken: Taken) {
        self.start = taken.range.end;
        self.buf = taken.buf;
        self.first = self.last;
        self.compact();
    }

    /// Returns the buffer of a candidate that was none: the search goes on one byte further.
    pub(super) fn reject(&mut self, taken: Taken) {
        self.buf = taken.buf;
        self.start = (taken.range.start + 1).min(self.buf.len());
    }

    /// The last bytes (at most [`RESIDUE`]) of a cut record whose end was captured: the IV of the next in SSL 3.0 and
    /// TLS 1.0.
    pub(super) fn residue(&self) -> &[u8] {
        &self.residue
    }

    /// The candidate was right, or there is nothing better: its end is a boundary.
    pub(super) fn found(&mut self) {
        self.mode = Mode::Records;
    }

    /// The place is lost: bytes from here on are searched for a header.
    pub(super) fn search(&mut self) {
        self.mode = Mode::Search;
    }

    /// Whether what is held is the beginning of a record of the handshake.
    pub(super) fn begins_handshake(&self) -> bool {
        self.rest().first() == Some(&content::HANDSHAKE)
    }

    /// The record that is not whole yet: its header, and what there is of its fragment.
    pub(super) fn begun(&self) -> Option<(Header, &[u8])> {
        let header = Header::parse(self.rest()).filter(|_| self.mode == Mode::Records)?;
        Some((header, self.rest().get(HEADER..)?))
    }

    /// `len` bytes are missing here. The bytes of the cut record are dropped.
    pub(super) fn gap(&mut self, len: u64) -> Cut {
        self.residue.clear();
        if let Mode::Tail(left) = self.mode {
            let before = 0;
            return match (left as u64).checked_sub(len) {
                Some(rest) => {
                    self.mode = if rest == 0 { Mode::Records } else { Mode::Tail(rest as usize) };
                    Cut { before, header: None, exact: true }
                }
                None => {
                    self.mode = Mode::Search;
                    Cut { before, header: None, exact: false }
                }
            };
        }
        let held = self.held();
        let header = match self.mode {
            Mode::Records => Header::parse(self.rest()),
            _ => None,
        };
        self.buf.clear();
        self.start = 0;
        let missing = header.map(|h| (h.record_len() as u64).saturating_sub(held as u64));
        let exact = match missing.and_then(|missing| missing.checked_sub(len)) {
            Some(0) => true,
            Some(tail) => {
                self.mode = Mode::Tail(tail as usize);
                true
            }
            None => false,
        };
        if !exact {
            self.mode = Mode::Search;
        }
        Cut { before: held as u64, header, exact }
    }

    /// Drops what is held; says how much.
    pub(super) fn clear(&mut self) -> u64 {
        let held = self.held() as u64;
        self.buf = Vec::new();
        self.start = 0;
        held
    }

    /// Gives memory back between records: many connections are idle at any time.
    pub(super) fn rest_now(&mut self) {
        if self.held() == 0 && self.buf.capacity() > 2048 {
            self.buf = Vec::new();
            self.start = 0;
        }
    }

    fn compact(&mut self) {
        if self.start >= self.buf.len() {
            self.buf.clear();
            self.start = 0;
        } else if self.start > MAX_FRAGMENT {
            self.buf.drain(..self.start);
            self.start = 0;
        }
    }
}

/// A record taken out of the framer.
pub(super) struct Taken {
    buf: Vec<u8>,
    range: std::ops::Range<usize>,
}

impl Taken {
    /// The whole record, header included.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.range.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(framer: &mut Framer, mut chunk: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut out = Vec::new();
        loop {
            match framer.step(&mut chunk, Span::default()) {
                Step::More => return out,
                Step::Record { header, .. } => {
                    let mut taken = framer.take(header.record_len());
                    out.push((header.content_type, taken.bytes().split_at(HEADER).1.to_vec()));
                    framer.put_back(taken);
                }
                Step::V2Hello { len, .. } => {
                    let mut taken = framer.take(len);
                    out.push((0, taken.bytes().to_vec()));
                    framer.put_back(taken);
                }
                Step::Dropped { bytes, .. } => out.push((255, vec![bytes as u8])),
                Step::Candidate { header, .. } => {
                    let mut taken = framer.take(header.record_len());
                    out.push((100, taken.bytes().split_at(HEADER).1.to_vec()));
                    framer.put_back(taken);
                    framer.found();
                }
                Step::Garbage { .. } => framer.search(),
            }
        }
    }

    fn record(content_type: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![content_type, 3, 3];
        out.extend_from_slice(&(body.len() as u16).to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn any_split_gives_the_same_records() {
        let mut stream = record(22, b"hello");
        stream.extend(record(23, b""));
        stream.extend(record(23, &[7; 300]));
        let whole = run(&mut Framer::new(), &stream);
        assert_eq!(whole.len(), 3);
        assert_eq!(whole[2].1.len(), 300);
        for size in 1..20 {
            let mut framer = Framer::new();
            let mut out = Vec::new();
            for piece in stream.chunks(size) {
                out.extend(run(&mut framer, piece));
            }
            assert_eq!(out, whole, "in pieces of {size}");
            assert_eq!(framer.held(), 0);
        }
    }

    #[test]
    fn gap_within_a_record_finds_its_end() {
        let mut framer = Framer::new();
        assert!(run(&mut framer, &record(23, &[1; 20])[..9]).is_empty());
        let header = Header { content_type: 23, version: 0x0303, len: 20 };
        assert_eq!(framer.gap(6), Cut { before: 9, header: Some(header), exact: true });
        let mut rest = vec![1; 10];
        rest.extend(record(23, b"next"));
        assert_eq!(run(&mut framer, &rest), [(255, vec![10]), (23, b"next".to_vec())]);
        assert_eq!(framer.residue(), [1; 10]);
    }

    #[test]
    fn gap_beyond_a_record_searches() {
        let mut framer = Framer::new();
        assert!(run(&mut framer, &record(23, &[1; 20])[..9]).is_empty());
        assert!(!framer.gap(60).exact);
        let mut rest = vec![1; 10];
        rest.extend(record(23, b"next"));
        rest.extend(record(23, b"more"));
        assert_eq!(run(&mut framer, &rest), [(255, vec![10]), (100, b"next".to_vec()), (23, b"more".to_vec())]);
    }

    #[test]
    fn lengths_beyond_the_protocol_are_garbage() {
        assert!(Header::parse(&[23, 3, 3, 0x48, 0x00]).is_some());
        assert!(Header::parse(&[23, 3, 3, 0x48, 0x01]).is_none());
        assert!(Header::parse(&[25, 3, 3, 0, 1]).is_none());
        assert!(Header::parse(&[23, 3, 3, 0]).is_none());
        let mut framer = Framer::new();
        assert_eq!(
            framer.step(&mut &[23, 3, 3, 0xff, 0xff][..], Span::default()),
            Step::Garbage { span: Span::default() }
        );
    }

    #[test]
    fn v2_hello_only_at_the_start() {
        let mut stream = vec![0x80, 0x1c, 1, 3, 1];
        stream.extend([0; 0x1c - 3]);
        stream.extend(record(22, b"x"));
        let mut framer = Framer::new();
        let out = run(&mut framer, &stream);
        assert_eq!(out.len(), 2);
        assert_eq!((out[0].0, out[0].1.len()), (0, 0x1e));
        assert_eq!(out[1], (22, b"x".to_vec()));
    }
}
