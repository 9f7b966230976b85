//! Messages put together from the ranges (`BODY[]<a.b>`) that a client fetched.
//!
//! Ranges usually come one after another and stream through. One that overlaps what is there gives what is new; one
//! behind a hole is held, within a bound, until the hole is filled.

use std::collections::HashMap;

use super::halves::Halves;
use crate::diagnostic::Code;
use crate::mail::Emitter;
use crate::mail::message::MessageBuilder;
use crate::position::Span;

/// Joins going on at once: some clients fetch the beginnings of many messages, then what is behind them. More than the
/// first number as long as all together take no more memory than that.
const OPEN: (usize, usize) = (16, 256);
const OPEN_BYTES: usize = 1 << 20;
/// Sizes remembered, by which the last range is known: a hint, so that forgetting them all costs little.
const SIZES: usize = 16_384;
/// Bytes held behind holes, over all joins of a session, as many as of a line: hardly any client asks out of order.
const HELD: usize = 64 << 10;
/// Ranges held, over all joins of a session.
const HELD_RANGES: usize = 64;

/// A range behind a hole.
struct Held {
    origin: u64,
    bytes: Vec<u8>,
    span: Span,
}

struct Join {
    seqno: u32,
    uid: Option<u32>,
    /// How far it is whole.
    next: u64,
    /// Where it ends, once a range has shown it.
    end: Option<u64>,
    /// None until the first range is there.
    builder: Option<MessageBuilder>,
    held: Vec<Held>,
}

/// What becomes of the bytes which are coming in.
enum Feed {
    /// They go on where that join stands; so many of them are there already.
    On { at: usize, skip: u64 },
    /// They are held for it.
    Hold { at: usize },
}

/// The joins of the selected mailbox.
#[derive(Default)]
pub(super) struct Joins {
    /// Headers and texts that were fetched one after the other.
    pub(super) halves: Halves,
    open: Vec<Join>,
    feed: Option<Feed>,
    by_uid: HashMap<u32, u64>,
    by_seqno: HashMap<u32, u64>,
    /// A join was given up for those that came after it.
    evicted: bool,
    /// Ranges are not joined for a bound; and that this was told.
    over_limit: bool,
    limit_told: bool,
}

impl Joins {
    /// Memory beside its own fields, roughly.
    pub(super) fn cost(&self) -> usize {
        const SIZE: usize = 24;
        self.halves.cost() + self.open_cost() + (self.by_uid.capacity() + self.by_seqno.capacity()) * SIZE
    }

    fn open_cost(&self) -> usize {
        self.open.iter().map(Join::cost).sum()
    }

    /// Whether another join takes the place of one that is there.
    fn full(&self) -> bool {
        self.open.len() >= OPEN.1 || self.open.len() >= OPEN.0 && self.open_cost() > OPEN_BYTES
    }

    /// A range of that message begins. `make` builds the message when the range is its first one.
    pub(super) fn begin(&mut self, seqno: u32, origin: u64, make: impl FnOnce() -> MessageBuilder) {
        let known = self.open.iter().position(|j| j.seqno == seqno);
        // From the beginning again: another try.
        let known = match known.filter(|&at| origin == 0 && self.open.get(at).is_some_and(|j| j.builder.is_some())) {
            Some(at) => {
                self.open.remove(at);
                None
            }
            None => known,
        };
        self.feed = None;
        let full = known.is_none() && self.full();
        if full && origin > 0 {
            // Its beginning is not kept, or was not fetched.
            self.over_limit |= self.evicted;
            return;
        }
        if full {
            self.open.remove(0);
            self.evicted = true;
        }
        let at = known.unwrap_or_else(|| {
            self.open.push(Join { seqno, uid: None, next: 0, end: None, builder: None, held: Vec::new() });
            self.open.len() - 1
        });
        let held = self.open.iter().map(|join| join.held.len()).sum::<usize>();
        let Some(join) = self.open.get_mut(at) else { return };
        if origin == 0 {
            join.builder = Some(make());
        }
        if join.builder.is_some() && origin <= join.next {
            self.feed = Some(Feed::On { at, skip: join.next - origin });
        } else if held >= HELD_RANGES {
            self.beyond(at);
        } else {
            join.held.push(Held { origin, bytes: Vec::new(), span: Span::default() });
            self.feed = Some(Feed::Hold { at });
        }
    }

    /// Bytes of the range at hand.
    pub(super) fn push(&mut self, bytes: &[u8], span: Span, out: &mut Emitter) {
        match &mut self.feed {
            Some(Feed::On { at, skip }) => {
                let known = usize::try_from(*skip).unwrap_or(usize::MAX).min(bytes.len());
                *skip -= known as u64;
                if let Some(join) = self.open.get_mut(*at) {
                    join.push(bytes.get(known..).unwrap_or_default(), span, out);
                }
            }
            &mut Some(Feed::Hold { at }) => {
                let all: usize = self.open.iter().flat_map(|j| &j.held).map(|held| held.bytes.len()).sum();
                if all + bytes.len() > HELD {
                    self.beyond(at);
                } else if let Some(held) = self.open.get_mut(at).and_then(|join| join.held.last_mut()) {
                    held.span = if held.bytes.is_empty() { span } else { held.span.to(span) };
                    held.bytes.extend_from_slice(bytes);
                }
            }
            None => {}
        }
    }

    /// `len` bytes of the range at hand are missing.
    pub(super) fn gap(&mut self, len: u64) {
        match self.feed {
            Some(Feed::On { at, skip }) => {
                if let Some(join) = self.open.get_mut(at) {
                    join.next = join.next.saturating_add(len.saturating_sub(skip));
                    // What is missing may have come before.
                    if let Some(builder) = join.builder.as_mut().filter(|_| len > skip) {
                        builder.gap();
                    }
                }
                self.feed = Some(Feed::On { at, skip: skip.saturating_sub(len) });
            }
            Some(Feed::Hold { at }) => self.give_up(at),
            None => {}
        }
    }

    /// More than is held: that join is given up.
    fn beyond(&mut self, at: usize) {
        self.over_limit = true;
        self.give_up(at);
    }

    fn give_up(&mut self, at: usize) {
        self.feed = None;
        if at < self.open.len() {
            self.open.remove(at);
        }
    }

    /// The range is over; `whole` when its end was seen.
    pub(super) fn end(&mut self, whole: bool) {
        if let Some(Feed::On { at, .. } | Feed::Hold { at }) = self.feed.take()
            && !whole
        {
            self.give_up(at);
        }
    }

    /// The response that carried a range is over. `len` bytes were announced; `requested` is what was asked for.
    /// Gives the message when nothing of it is missing any more.
    pub(super) fn complete(
        &mut self,
        seqno: u32,
        uid: Option<u32>,
        (origin, len): (u64, u64),
        requested: Option<u64>,
        span: Span,
        out: &mut Emitter,
    ) -> Option<MessageBuilder> {
        if self.over_limit && !std::mem::replace(&mut self.limit_told, true) {
            out.diagnose(span, Code::EntryLimit, "more ranges than are kept: they are not joined");
        }
        let at = self.open.iter().position(|j| j.seqno == seqno)?;
        let size = uid.and_then(|u| self.by_uid.get(&u)).or_else(|| self.by_seqno.get(&seqno)).copied();
        let join = self.open.get_mut(at)?;
        if uid.is_some() && join.uid.is_some() && join.uid != uid {
            // The number belongs to another message by now.
            self.open.remove(at);
            return None;
        }
        join.uid = join.uid.or(uid);
        if len == 0 || requested.is_some_and(|requested| len < requested) {
            join.end = Some(origin.saturating_add(len));
        }
        join.fill(out);
        // Some servers estimate the size: one that a range goes beyond says nothing.
        if size != Some(join.next) && join.end.is_none_or(|end| join.next < end) {
            return None;
        }
        join.builder.is_some().then(|| self.open.remove(at).builder)?
    }

    /// The server told a message's size.
    pub(super) fn size(&mut self, seqno: u32, uid: Option<u32>, size: u64) {
        let remember = |map: &mut HashMap<u32, u64>, key| {
            if map.len() >= SIZES {
                map.clear();
            }
            map.insert(key, size);
        };
        // The ranges may be told by either.
        remember(&mut self.by_seqno, seqno);
        if let Some(uid) = uid {
            remember(&mut self.by_uid, uid);
        }
    }

    /// A message is gone, those behind it move up.
    pub(super) fn expunged(&mut self, seqno: u32) {
        self.halves = Halves::default();
        self.by_seqno.clear();
        self.feed = None;
        self.open.retain(|j| j.seqno != seqno);
        for join in &mut self.open {
            if join.seqno > seqno {
                join.seqno -= 1;
            }
        }
    }

    /// Messages are gone by UID: which numbers those behind them have now is not known. A UID's size stays what it is.
    pub(super) fn vanished(&mut self) {
        self.halves = Halves::default();
        self.by_seqno.clear();
        self.feed = None;
        self.open.clear();
    }

    /// Another mailbox.
    pub(super) fn clear(&mut self) {
        *self = Joins { over_limit: self.over_limit, limit_told: self.limit_told, ..Joins::default() };
    }
}

impl Join {
    fn cost(&self) -> usize {
        let held = self.held.iter().map(|held| size_of::<Held>() + held.bytes.capacity()).sum::<usize>();
        size_of::<Self>() + self.builder.as_ref().map_or(0, MessageBuilder::cost) + held
    }

    fn push(&mut self, bytes: &[u8], span: Span, out: &mut Emitter) {
        self.next = self.next.saturating_add(bytes.len() as u64);
        if let Some(builder) = &mut self.builder {
            builder.push(bytes, span, out);
        }
    }

    /// Takes up what was held, as far as it goes on.
    fn fill(&mut self, out: &mut Emitter) {
        if self.builder.is_none() {
            return;
        }
        while let Some(at) = self.held.iter().position(|held| held.origin <= self.next) {
            let Held { origin, bytes, span } = self.held.swap_remove(at);
            let known = usize::try_from(self.next - origin).unwrap_or(usize::MAX);
            self.push(bytes.get(known..).unwrap_or_default(), span, out);
        }
    }
}
