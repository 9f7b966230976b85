//! TLS 1.3 early data is held until the server's answer: what it refuses, the client sends again.

use super::Connection;
use crate::diagnostic::count;
use crate::position::{Direction, Span};
use crate::tls::Upper;

/// Early data of which it is not known yet whether the server took it.
#[derive(Default)]
pub(super) struct Early {
    records: Vec<(Vec<u8>, Span)>,
    bytes: usize,
    taken: bool,
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

    /// The server takes it, or nothing will tell.
    pub(super) fn take_early(&mut self, up: &mut dyn Upper) {
        self.early.taken = true;
        self.early.bytes = 0;
        for (bytes, span) in std::mem::take(&mut self.early.records) {
            up.plaintext(Direction::Client, &bytes, span);
        }
    }

    /// The server refuses it: it never reached an application.
    pub(super) fn refuse_early(&mut self) {
        let refused = std::mem::take(&mut self.early);
        let bytes = refused.bytes as u64;
        self.account.opened = self.account.opened.saturating_sub(bytes);
        self.account.overhead += bytes;
        if bytes > 0 {
            self.last().note(format!("Early data that the server refused is left out: {}.", count(bytes, "byte")));
        }
    }
}
