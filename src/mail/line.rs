//! A direction's bytes in lines, whatever the segments were.
//!
//! Contract: a [`Line`] never contains its line end; what is longer than the bound is handed out in pieces of which
//! all but the last have [`LineEnd::TooLong`]. In-order lines that lie within one chunk are borrowed from it.

use super::Chunk;
use crate::position::Span;

/// How a line ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// CR LF.
    CrLf,
    /// LF alone.
    Lf,
    /// Not at all: the bound was reached, more of the line follows.
    TooLong,
    /// The capture lacks it, and what stood before it.
    Missing,
}

impl LineEnd {
    /// The bytes of the line end.
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            LineEnd::CrLf => b"\r\n",
            LineEnd::Lf => b"\n",
            LineEnd::TooLong | LineEnd::Missing => b"",
        }
    }
}

/// A line without its end.
#[derive(Copy, Clone, Debug)]
pub struct Line<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// What followed them.
    pub end: LineEnd,
    /// Frames of the first byte and of the line end.
    pub span: Span,
}

impl Line<'_> {
    /// How many bytes of the stream it takes, its end included.
    pub fn wire_len(&self) -> usize {
        self.bytes.len() + self.end.as_bytes().len()
    }
}

/// The part of a line that has been seen so far.
#[derive(Debug, Default)]
pub struct LineBuffer {
    partial: Vec<u8>,
    span: Span,
    /// The line in `partial` was handed out; it is cleared at the next call.
    spent: bool,
}

impl LineBuffer {
    /// Takes the next line out of `input`, advancing it; none when `input` is used up without a line end (its bytes
    /// are kept for the next call). `max` bounds a line, bytes.
    pub fn next<'a, 'b: 'a>(&'a mut self, input: &mut Chunk<'b>, max: usize) -> Option<Line<'a>> {
        if std::mem::take(&mut self.spent) {
            self.partial.clear();
        }
        let bytes = input.bytes;
        if bytes.is_empty() {
            return None;
        }
        let room = max.saturating_sub(self.partial.len()).max(1);
        let newline = find_byte(bytes.get(..room).unwrap_or(bytes), b'\n');
        let (taken, ended) = match newline {
            Some(at) => (at + 1, true),
            None if bytes.len() < room => (bytes.len(), false),
            None => (room, false),
        };
        let (head, rest) = bytes.split_at(taken);
        input.bytes = rest;
        let too_long = !ended && taken == room;
        if self.partial.is_empty() && (ended || too_long) {
            return Some(finish(head, ended, input.span));
        }
        if self.partial.is_empty() {
            self.span = input.span;
        }
        self.partial.extend_from_slice(head);
        self.span.last = input.span.last;
        if !ended && !too_long {
            return None;
        }
        self.spent = true;
        Some(finish(&self.partial, ended, self.span))
    }

    /// Memory beside its own fields.
    pub(crate) fn cost(&self) -> usize {
        self.partial.capacity()
    }

    /// Bytes of an unfinished line.
    pub fn pending(&self) -> &[u8] {
        if self.spent { &[] } else { &self.partial }
    }

    /// Whether the next byte begins a line.
    pub fn at_start(&self) -> bool {
        self.pending().is_empty()
    }

    /// Gives up the unfinished line.
    pub fn take_pending(&mut self) -> Option<(Vec<u8>, Span)> {
        if self.at_start() {
            self.partial.clear();
            self.spent = false;
            return None;
        }
        Some((std::mem::take(&mut self.partial), self.span))
    }
}

/// Without the half of a line end that a line without its own may have.
pub(crate) fn without_cr(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Where `needle` first stands.
pub(crate) fn find_byte(haystack: &[u8], needle: u8) -> Option<usize> {
    memchr::memchr(needle, haystack)
}

/// Where either of two bytes first stands.
pub(crate) fn find_either(haystack: &[u8], a: u8, b: u8) -> Option<usize> {
    memchr::memchr2(a, b, haystack)
}

fn finish(bytes: &[u8], ended: bool, span: Span) -> Line<'_> {
    match bytes {
        [line @ .., b'\r', b'\n'] if ended => Line { bytes: line, end: LineEnd::CrLf, span },
        [line @ .., b'\n'] if ended => Line { bytes: line, end: LineEnd::Lf, span },
        line => Line { bytes: line, end: LineEnd::TooLong, span },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]], max: usize) -> (Vec<(Vec<u8>, LineEnd)>, Vec<u8>) {
        let mut buffer = LineBuffer::default();
        let mut found = Vec::new();
        for piece in pieces {
            let mut chunk = Chunk { bytes: piece, span: Span::default() };
            while let Some(line) = buffer.next(&mut chunk, max) {
                found.push((line.bytes.to_vec(), line.end));
            }
        }
        (found, buffer.pending().to_vec())
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let input = b"one\r\n\ntwo\n\r\nthree\rfour\r\r\nrest";
        let expected = (
            vec![
                (b"one".to_vec(), LineEnd::CrLf),
                (b"".to_vec(), LineEnd::Lf),
                (b"two".to_vec(), LineEnd::Lf),
                (b"".to_vec(), LineEnd::CrLf),
                (b"three\rfour\r".to_vec(), LineEnd::CrLf),
            ],
            b"rest".to_vec(),
        );
        for size in 1..=input.len() {
            let pieces: Vec<&[u8]> = input.chunks(size).collect();
            assert_eq!(lines(&pieces, 100), expected, "pieces of {size}");
        }
    }

    #[test]
    fn long_lines_are_cut() {
        let expected = vec![
            (b"0123".to_vec(), LineEnd::TooLong),
            (b"4567".to_vec(), LineEnd::TooLong),
            (b"8".to_vec(), LineEnd::CrLf),
            (b"x".to_vec(), LineEnd::Lf),
        ];
        for size in 1..=9 {
            let pieces: Vec<&[u8]> = b"012345678\r\nx\n".chunks(size).collect();
            assert_eq!(lines(&pieces, 4).0, expected, "pieces of {size}");
        }
    }

    #[test]
    fn bytes_are_found_at_every_place() {
        for len in 0..40 {
            for at in 0..len {
                let mut bytes = vec![b'a'; len];
                bytes[at] = b'\n';
                if at + 2 < len {
                    bytes[at + 2] = b'\n';
                }
                assert_eq!(find_byte(&bytes, b'\n'), Some(at));
                assert_eq!(find_either(&bytes, b'\r', b'\n'), Some(at));
                assert_eq!(find_byte(&bytes, b'\r'), None);
            }
            assert_eq!(find_byte(&vec![0x8a; len], b'\n'), None);
        }
    }
}
