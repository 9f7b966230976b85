//! TLS 1.3 early data is held until the server's answer: what it refuses, the client sends again.

use super::Connection;
use super::epoch::{Epoch, Stage};
use crate::fmt::count;
use crate::position::{Direction, Span};
use crate::tls::Upper;
use crate::tls::record::Header;

/// Early data of which it is not known yet whether the server took it.
#[derive(Default)]
pub(super) struct Early {
    records: Vec<(Vec<u8>, Span)>,
    bytes: usize,
    taken: bool,
    /// Records that stayed closed.
    closed: Closed,
    /// The server refused it; so much of it was left out.
    refused: bool,
    left_out: u64,
}

/// Records that stayed closed: a server that refuses early data may not have had the secret to log.
#[derive(Copy, Clone, Default)]
struct Closed {
    records: u64,
    bytes: u64,
    /// Without headers.
    fragments: u64,
    last: Span,
}

impl Early {
    /// Memory beside its own fields.
    pub(super) fn cost(&self) -> usize {
        self.bytes + self.records.capacity() * size_of::<(Vec<u8>, Span)>()
    }
}

impl Connection {
    /// A record of early data.
    pub(super) fn hold_early(&mut self, bytes: &[u8], span: Span, bound: usize, up: &mut dyn Upper) {
        if !self.early.taken && self.early.bytes.saturating_add(bytes.len()) <= bound {
            self.early.bytes += bytes.len();
            self.early.records.push((bytes.to_vec(), span));
            return;
        }
        self.take_early(up);
        up.plaintext(Direction::Client, bytes, span);
    }

    /// A record of it stayed closed, and was counted as such. Whether that is no loss until the server's answer tells.
    pub(super) fn hold_closed_early(&mut self, header: Header, span: Span) -> bool {
        let half = &self.halves[Direction::Client.index()];
        // The answer will be out of reach if what follows stays closed as well.
        let hopeless = half.pending.as_ref().is_some_and(Epoch::is_closed);
        if half.epoch.stage != Stage::Early || self.early.taken || hopeless {
            return false;
        }
        let Closed { records, bytes, fragments, .. } = self.early.closed;
        self.early.closed = Closed {
            records: records + 1,
            bytes: bytes + header.record_len() as u64,
            fragments: fragments + header.len as u64,
            last: span,
        };
        if self.early.refused {
            self.refuse_early();
        }
        true
    }

    /// What stayed closed is a loss.
    pub(super) fn tell_closed_early(&mut self, up: &mut dyn Upper) {
        let closed = std::mem::take(&mut self.early.closed);
        if closed.fragments > 0 {
            up.lost(Direction::Client, closed.fragments, closed.last);
        }
    }

    /// The server takes it, or nothing will tell.
    pub(super) fn take_early(&mut self, up: &mut dyn Upper) {
        self.tell_closed_early(up);
        self.early.taken = true;
        self.early.bytes = 0;
        for (bytes, span) in std::mem::take(&mut self.early.records) {
            up.plaintext(Direction::Client, &bytes, span);
        }
    }

    /// The server refuses it: it never reached an application.
    pub(super) fn refuse_early(&mut self) {
        let early = std::mem::take(&mut self.early);
        let Closed { records, bytes, fragments, .. } = early.closed;
        self.account.opened = self.account.opened.saturating_sub(early.bytes as u64);
        self.account.undecrypted = self.account.undecrypted.saturating_sub(bytes);
        self.account.overhead += early.bytes as u64 + bytes;
        let handshake = self.last();
        handshake.closed = handshake.closed.saturating_sub(records);
        handshake.closed_bytes = handshake.closed_bytes.saturating_sub(bytes);
        if handshake.closed == 0 && records > 0 {
            handshake.reason = None;
        }
        self.early.refused = true;
        self.early.left_out = early.left_out + early.bytes as u64 + fragments;
    }

    /// The connection is over: what became of it.
    pub(super) fn note_early(&mut self) {
        let left_out = self.early.left_out;
        if left_out > 0 {
            self.last().note(format!("Early data that the server refused is left out: {}.", count(left_out, "byte")));
        }
    }
}
