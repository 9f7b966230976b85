//! Messages put together from the ranges (`BODY[]<a.b>`) that a client fetched one after another.

use std::collections::HashMap;

use crate::mail::Emitter;
use crate::mail::message::MessageBuilder;
use crate::position::Span;

/// Joins going on at once: clients fetch one message at a time, a few of them two.
const OPEN: usize = 16;
/// Sizes remembered, by which the last range is known: a hint, so that forgetting them all costs little.
const SIZES: usize = 16_384;

struct Join {
    seqno: u32,
    uid: Option<u32>,
    /// Where the next range has to begin.
    next: u64,
    builder: MessageBuilder,
}

/// The joins of the selected mailbox.
#[derive(Default)]
pub(super) struct Joins {
    open: Vec<Join>,
    /// The one that takes the bytes which are coming in.
    feeding: Option<usize>,
    by_uid: HashMap<u32, u64>,
    by_seqno: HashMap<u32, u64>,
}

impl Joins {
    /// A range of that message begins. `make` builds the message when the range is its first one.
    pub(super) fn begin(&mut self, seqno: u32, origin: u64, make: impl FnOnce() -> MessageBuilder) {
        let known = self.open.iter().position(|j| j.seqno == seqno);
        if origin == 0 {
            if let Some(at) = known {
                self.open.remove(at);
            }
            if self.open.len() >= OPEN {
                self.open.remove(0);
            }
            self.open.push(Join { seqno, uid: None, next: 0, builder: make() });
            self.feeding = Some(self.open.len() - 1);
            return;
        }
        self.feeding = known.filter(|&at| self.open.get(at).is_some_and(|j| j.next == origin));
        // A hole can't be filled later: what was put together so far is of no use.
        if let Some(at) = known.filter(|&at| self.open.get(at).is_some_and(|j| j.next < origin)) {
            self.open.remove(at);
        }
    }

    fn fed(&mut self) -> Option<&mut Join> {
        self.feeding.and_then(|at| self.open.get_mut(at))
    }

    /// Bytes of the range at hand.
    pub(super) fn push(&mut self, bytes: &[u8], span: Span, out: &mut Emitter) {
        if let Some(join) = self.fed() {
            join.next = join.next.saturating_add(bytes.len() as u64);
            join.builder.push(bytes, span, out);
        }
    }

    /// `len` bytes of the range at hand are missing.
    pub(super) fn gap(&mut self, len: u64) {
        if let Some(join) = self.fed() {
            join.next = join.next.saturating_add(len);
            join.builder.gap();
        }
    }

    /// The range is over; `whole` when its end was seen.
    pub(super) fn end(&mut self, whole: bool) {
        if let Some(at) = self.feeding.take()
            && !whole
            && at < self.open.len()
        {
            self.open.remove(at);
        }
    }

    /// The response that carried a range is over. `len` bytes were announced; `requested` is what was asked for.
    /// Gives the message when this was its last range.
    pub(super) fn complete(
        &mut self,
        seqno: u32,
        uid: Option<u32>,
        (origin, len): (u64, u64),
        requested: Option<u64>,
    ) -> Option<MessageBuilder> {
        let at = self.open.iter().position(|j| j.seqno == seqno)?;
        let size = uid.and_then(|u| self.by_uid.get(&u)).or_else(|| self.by_seqno.get(&seqno)).copied();
        let join = self.open.get_mut(at)?;
        if uid.is_some() && join.uid.is_some() && join.uid != uid {
            // The number belongs to another message by now.
            self.open.remove(at);
            return None;
        }
        join.uid = join.uid.or(uid);
        if origin.saturating_add(len) != join.next {
            return None;
        }
        let last = len == 0 || requested.is_some_and(|r| len < r) || size.is_some_and(|s| join.next >= s);
        last.then(|| self.open.remove(at).builder)
    }

    /// The server told a message's size.
    pub(super) fn size(&mut self, seqno: u32, uid: Option<u32>, size: u64) {
        let (map, key) = match uid {
            Some(uid) => (&mut self.by_uid, uid),
            None => (&mut self.by_seqno, seqno),
        };
        if map.len() >= SIZES {
            map.clear();
        }
        map.insert(key, size);
    }

    /// A message is gone, those behind it move up.
    pub(super) fn expunged(&mut self, seqno: u32) {
        self.by_seqno.clear();
        self.feeding = None;
        self.open.retain(|j| j.seqno != seqno);
        for join in &mut self.open {
            if join.seqno > seqno {
                join.seqno -= 1;
            }
        }
    }

    /// Another mailbox, or numbers that cannot be followed.
    pub(super) fn clear(&mut self) {
        *self = Joins::default();
    }
}
