//! A direction's bytes in lines, whatever the segments were.
//!
//! Contract: a [`Line`] never contains its line end; what is longer than the bound is handed out in pieces of which
//! all but the last have [`LineEnd::Cut`]. In-order lines that lie within one chunk are borrowed from it.

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
    Cut,
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
        let newline = memchr(&bytes[..bytes.len().min(room)]);
        let (taken, ended) = match newline {
            Some(at) => (at + 1, true),
            None if bytes.len() < room => (bytes.len(), false),
            None => (room, false),
        };
        let (head, rest) = bytes.split_at(taken);
        input.bytes = rest;
        let cut = !ended && taken == room;
        if self.partial.is_empty() && (ended || cut) {
            return Some(finish(head, ended, input.span));
        }
        if self.partial.is_empty() {
            self.span = input.span;
        }
        self.partial.extend_from_slice(head);
        self.span.last = input.span.last;
        if !ended && !cut {
            return None;
        }
        self.spent = true;
        Some(finish(&self.partial, ended, self.span))
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

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&b| b == b'\n')
}

fn finish(bytes: &[u8], ended: bool, span: Span) -> Line<'_> {
    match bytes {
        [line @ .., b'\r', b'\n'] if ended => Line { bytes: line, end: LineEnd::CrLf, span },
        [line @ .., b'\n'] if ended => Line { bytes: line, end: LineEnd::Lf, span },
        line => Line { bytes: line, end: LineEnd::Cut, span },
    }
}
