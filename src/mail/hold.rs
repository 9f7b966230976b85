//! A client's bytes behind a command that may end plaintext (STLS, STARTTLS), kept until the server has answered it.

use super::{Chunk, Held};
use crate::position::Span;

/// Bytes that wait for a reply.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    waiting: bool,
    bytes: Vec<u8>,
    /// Bytes before this one were given up already.
    start: usize,
    span: Span,
}

impl Hold {
    /// From here on bytes wait.
    pub(crate) fn begin(&mut self) {
        self.waiting = true;
    }

    /// Whether bytes have to wait.
    pub(crate) fn waiting(&self) -> bool {
        self.waiting
    }

    /// Whether some do.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending().is_empty()
    }

    /// The bytes that wait.
    pub(crate) fn pending(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// More bytes that wait.
    pub(crate) fn push(&mut self, chunk: Chunk<'_>) {
        if chunk.bytes.is_empty() {
            return;
        }
        self.span = if self.is_empty() { chunk.span } else { self.span.to(chunk.span) };
        self.bytes.extend_from_slice(chunk.bytes);
    }

    /// The wait is over: gives up what waited.
    pub(crate) fn take(&mut self) -> Option<Held> {
        self.waiting = false;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.drain(..std::mem::take(&mut self.start).min(bytes.len()));
        (!bytes.is_empty()).then_some(Held { bytes, span: self.span })
    }

    /// The wait is over without TLS: gives up what waited, to be interpreted; what of it has to wait again comes back
    /// by [`Hold::put_back`], without a copy.
    pub(crate) fn release(&mut self) -> Released {
        self.waiting = false;
        Released { bytes: std::mem::take(&mut self.bytes), start: std::mem::take(&mut self.start), span: self.span }
    }

    /// The last `rest` bytes of what was released wait again.
    pub(crate) fn put_back(&mut self, released: Released, rest: usize) {
        self.start = released.bytes.len().saturating_sub(rest);
        self.bytes = released.bytes;
        self.span = released.span;
    }
}

/// What [`Hold::release`] gave up.
#[derive(Debug)]
pub(crate) struct Released {
    bytes: Vec<u8>,
    start: usize,
    span: Span,
}

impl Released {
    /// The bytes with their frames.
    pub(crate) fn chunk(&self) -> Chunk<'_> {
        Chunk { bytes: self.bytes.get(self.start..).unwrap_or_default(), span: self.span }
    }
}
