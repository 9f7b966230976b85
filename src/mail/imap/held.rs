//! Client bytes that wait until the server's answer says what they are.

use std::collections::VecDeque;

use crate::mail::{Chunk, Held};
use crate::position::Span;

/// Small pieces share a buffer of that size, so that bytes typed one at a time cost no entry each.
const SHARED: usize = 512;

/// The bytes with their frames.
#[derive(Debug, Default)]
pub(super) struct Holding {
    pieces: VecDeque<(Vec<u8>, Span)>,
    len: usize,
}

impl Holding {
    /// Adds bytes.
    pub(super) fn push(&mut self, chunk: Chunk<'_>) {
        self.len += chunk.bytes.len();
        match self.pieces.back_mut() {
            Some((bytes, span)) if bytes.len() + chunk.bytes.len() <= SHARED => {
                bytes.extend_from_slice(chunk.bytes);
                *span = span.to(chunk.span);
            }
            _ => self.pieces.push_back((chunk.bytes.to_vec(), chunk.span)),
        }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The first of them, at least `n` if there are so many.
    pub(super) fn head(&self, n: usize) -> Vec<u8> {
        self.pieces.iter().flat_map(|(bytes, _)| bytes).take(n).copied().collect()
    }

    /// Gives them up, piece by piece.
    pub(super) fn take(&mut self) -> VecDeque<(Vec<u8>, Span)> {
        self.len = 0;
        std::mem::take(&mut self.pieces)
    }

    /// Gives them up as one.
    pub(super) fn take_whole(&mut self) -> Option<Held> {
        let pieces = self.take();
        let span = pieces.front()?.1.to(pieces.back()?.1);
        Some(Held { bytes: pieces.into_iter().flat_map(|(bytes, _)| bytes).collect(), span })
    }
}
