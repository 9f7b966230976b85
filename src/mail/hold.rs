//! Client's bytes that wait for the server's word on how to read them.

use std::collections::VecDeque;

use super::{Chunk, Held};
use crate::position::Span;

#[derive(Debug)]
enum Piece {
    Bytes(usize, Span),
    Gap(u64, Span),
}

/// The next piece in the queue.
pub(crate) enum Front<'a> {
    Bytes(Chunk<'a>),
    Gap(u64, Span),
}

/// A queue of bytes and gaps.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    bytes: Vec<u8>,
    start: usize,
    pieces: VecDeque<Piece>,
}

impl Hold {
    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether TLS begins here: a handshake record, or an SSLv2 hello. No command begins so.
    pub(crate) fn begins_tls(&self) -> bool {
        matches!(self.bytes().first(), Some(0x16 | 0x80))
    }

    /// The bytes, without the gaps.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, chunk: Chunk<'_>) {
        if chunk.bytes.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(chunk.bytes);
        if let Some(Piece::Bytes(len, span)) = self.pieces.back_mut()
            && *span == chunk.span
        {
            *len += chunk.bytes.len();
            return;
        }
        self.pieces.push_back(Piece::Bytes(chunk.bytes.len(), chunk.span));
    }

    /// Adds a gap.
    pub(crate) fn push_gap(&mut self, len: u64, span: Span) {
        self.pieces.push_back(Piece::Gap(len, span));
    }

    /// What comes first.
    pub(crate) fn front(&self) -> Option<Front<'_>> {
        match self.pieces.front()? {
            Piece::Bytes(len, span) => {
                let bytes = self.bytes.get(self.start..self.start + len).unwrap_or_default();
                Some(Front::Bytes(Chunk { bytes, span: *span }))
            }
            Piece::Gap(len, span) => Some(Front::Gap(*len, *span)),
        }
    }

    /// Takes `n` bytes, or the gap, off the front.
    pub(crate) fn advance(&mut self, n: usize) {
        match self.pieces.front_mut() {
            Some(Piece::Bytes(len, _)) if n < *len => {
                *len -= n;
                self.start += n;
            }
            Some(Piece::Bytes(len, _)) => {
                self.start += *len;
                self.pieces.pop_front();
            }
            Some(Piece::Gap(..)) => {
                self.pieces.pop_front();
            }
            None => {}
        }
        if self.pieces.is_empty() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Gives everything away.
    pub(crate) fn take(&mut self) -> Option<Held> {
        let hold = std::mem::take(self);
        let mut spans = hold.pieces.iter().filter_map(|p| match p {
            Piece::Bytes(_, span) => Some(*span),
            Piece::Gap(..) => None,
        });
        let first = spans.next()?;
        let span = spans.next_back().map_or(first, |last| first.to(last));
        Some(Held { bytes: hold.bytes().to_vec(), span })
    }
}
