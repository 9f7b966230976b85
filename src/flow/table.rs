//! The connection table: lookup, generations, expiry, and the bounds over all connections.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::event::EndReason;
use crate::flow::clock::Clock;
use crate::flow::connection::{Belongs, Connection, Context, Status, Wait};
use crate::flow::early::{EarlyReset, EarlyResets};
use crate::flow::key::{Key, KeyHash};
use crate::flow::lone::LoneSyn;
use crate::flow::remnant::Remnants;
use crate::flow::slab::{ESTABLISHED, HALF_OPEN, Slab};
use crate::flow::{Consumer, Interest};
use crate::limits::Limits;
use crate::position::FramePos;
use crate::wire::Segment;

/// Nanoseconds: connections used within it count as used at once, so that most segments leave the lists alone.
const SLACK: i64 = 1_000_000_000;

/// Connections put right a frame after the clock was set back.
const SET_BACK: usize = 64;

/// Remnants of closed connections kept.
const REMNANTS: usize = 65_536;

/// All connections of an input: segments in, [`StreamChunk`](crate::flow::StreamChunk)s out.
///
/// The consumer is lent to each call. Frames must come with rising [`FramePos::index`]; their timestamps need not rise.
pub struct FlowTable<C: Consumer> {
    limits: Limits,
    clock: Clock,
    /// The clock's reading, this table's own or its caller's.
    now: i64,
    at: FramePos,
    interface: Option<u32>,
    /// Slots of `slab` by their key.
    index: HashTable<u32>,
    hash: KeyHash,
    slab: Slab<Entry<C::Session>>,
    waits: VecDeque<Wait>,
    /// Connections that hold bytes, in the order in which they began to, with their ids.
    holders: VecDeque<(u32, u64)>,
    /// Memory held over all.
    held: usize,
    remnants: Remnants,
    early: EarlyResets,
    /// The clock before which nothing can expire.
    next_expiry: i64,
}

/// A connection in its slot.
struct Entry<S> {
    key: Key,
    state: State<S>,
}

enum State<S> {
    Lone(LoneSyn),
    /// Boxed, so that growing the slab moves pointers only.
    Whole(Box<Connection<S>>),
}

impl<S> Entry<S> {
    fn whole(&self) -> Option<&Connection<S>> {
        match &self.state {
            State::Whole(connection) => Some(connection),
            State::Lone(_) => None,
        }
    }

    /// Number of its first frame.
    fn id(&self) -> u64 {
        match &self.state {
            State::Whole(connection) => connection.info.id,
            State::Lone(lone) => lone.at.index,
        }
    }

    /// Clock at its latest segment.
    fn seen(&self) -> i64 {
        match &self.state {
            State::Whole(connection) => connection.seen,
            State::Lone(lone) => lone.seen,
        }
    }
}

impl<C: Consumer> FlowTable<C> {
    /// An empty table.
    pub fn new(limits: &Limits) -> Self {
        FlowTable {
            limits: limits.clone(),
            clock: Clock::default(),
            now: 0,
            at: FramePos::default(),
            interface: None,
            index: HashTable::new(),
            hash: KeyHash::default(),
            slab: Slab::new(),
            waits: VecDeque::new(),
            holders: VecDeque::new(),
            held: 0,
            remnants: Remnants::default(),
            early: EarlyResets::default(),
            next_expiry: i64::MIN,
        }
    }

    /// One segment, seen in the frame `at` on `interface`.
    pub fn segment(&mut self, segment: &Segment<'_>, at: FramePos, interface: Option<u32>, consumer: &mut C) {
        self.observe(at);
        self.segment_at(segment, at, self.clock.now(), interface, consumer);
    }

    /// As [`FlowTable::segment`], by the caller's clock: nanoseconds since the epoch.
    pub fn segment_at(
        &mut self,
        segment: &Segment<'_>,
        at: FramePos,
        now: i64,
        interface: Option<u32>,
        consumer: &mut C,
    ) {
        self.tick_at(at, now, consumer);
        self.interface = interface;
        let (key, from_low) = Key::new(segment.src, segment.dst);
        let hash = self.hash.hash_one(key);
        let slab = &self.slab;
        let is_it = |slot: &u32| slab.get(*slot).is_some_and(|entry| entry.key == key);
        let mut known = self.index.find(hash, is_it).copied();
        if let Some(slot) = known {
            self.make_whole(slot, consumer);
        }
        if segment.flags.syn
            && let Some(slot) = known
            && let Some(connection) = self.whole(slot)
        {
            match connection.belongs(from_low, segment, self.now.max(at.ts.0)) {
                Belongs::Here => {}
                Belongs::Neither => {
                    self.with(slot, consumer, |connection, ctx| {
                        connection.note_frame(from_low, ctx);
                        Status::Open
                    });
                    return;
                }
                Belongs::Next => {
                    self.close(slot, EndReason::Reused, consumer);
                    known = None;
                }
            }
        }
        let slot = match known {
            Some(slot) => slot,
            // A RST alone says nothing, nor does what was still under way when a connection ended.
            None if segment.flags.rst => {
                let ack = segment.flags.ack.then_some(segment.ack);
                self.early.insert(key, EarlyReset { from_low, seq: segment.seq, ack, at, time: self.now });
                return;
            }
            None if let Some(interest) = self.remnants.late(&key, from_low, segment, self.now.max(at.ts.0)) => {
                if interest == Interest::Keep {
                    consumer.late(segment.payload.len() as u64);
                }
                return;
            }
            None => {
                self.make_room(consumer);
                let early = self.early.take(&key, at, self.now, &self.limits).map(Box::new);
                let lone = LoneSyn::new(segment, from_low, at, self.now, interface).filter(|_| early.is_none());
                let state = match lone {
                    Some(lone) => State::Lone(lone),
                    None => {
                        let mut new = Connection::new(from_low, segment, at, interface, |info| consumer.open(info));
                        new.early = early;
                        State::Whole(Box::new(new))
                    }
                };
                let Some(slot) = self.slab.insert(HALF_OPEN, self.now, Entry { key, state }) else { return };
                let (slab, hasher) = (&self.slab, &self.hash);
                let hash_of = |slot: &u32| slab.get(*slot).map_or(0, |entry| hasher.hash_one(entry.key));
                self.index.insert_unique(hash, slot, hash_of);
                self.next_expiry = self.next_expiry.min(self.now.saturating_add(self.shortest()));
                if let Some(lone) = lone {
                    self.slab.touch(slot, HALF_OPEN, lone.seen, SLACK);
                    return;
                }
                slot
            }
        };
        self.with(slot, consumer, |connection, ctx| connection.segment(from_low, segment, ctx));
        self.keep_bound(consumer);
        self.keep_sessions(consumer);
    }

    fn whole(&self, slot: u32) -> Option<&Connection<C::Session>> {
        self.slab.get(slot)?.whole()
    }

    /// Makes a connection of a lone SYN, as if it had been one from the beginning.
    fn make_whole(&mut self, slot: u32, consumer: &mut C) {
        let Some(entry) = self.slab.get_mut(slot) else { return };
        let State::Lone(lone) = entry.state else { return };
        let syn = lone.segment(&entry.key);
        let new = Connection::new(lone.from_low, &syn, lone.at, lone.interface, |info| consumer.open(info));
        entry.state = State::Whole(Box::new(new));
        let (at, interface, now) = (self.at, self.interface, self.now);
        (self.at, self.interface, self.now) = (lone.at, lone.interface, lone.seen);
        self.with(slot, consumer, |connection, ctx| connection.segment(lone.from_low, &syn, ctx));
        (self.at, self.interface, self.now) = (at, interface, now);
    }

    /// The clock moved on without a TCP segment: only what has waited long enough is resolved.
    pub fn tick(&mut self, at: FramePos, consumer: &mut C) {
        self.observe(at);
        self.tick_at(at, self.clock.now(), consumer);
    }

    /// A frame with several segments is one reading of the clock.
    fn observe(&mut self, at: FramePos) {
        if at.index != self.at.index {
            self.clock.observe(at.ts.0);
        }
    }

    /// As [`FlowTable::tick`], by the caller's clock: nanoseconds since the epoch.
    pub fn tick_at(&mut self, at: FramePos, now: i64, consumer: &mut C) {
        if now < self.now {
            // It was set back.
            self.next_expiry = i64::MIN;
        }
        self.at = at;
        self.now = now;
        while let Some(wait) = self.waits.front().copied() {
            let frames = at.index.saturating_sub(wait.frame);
            if !self.limits.reordering_is_over(frames, now.saturating_sub(wait.time)) {
                break;
            }
            self.waits.pop_front();
            if self.whole(wait.slot).is_some_and(|connection| connection.info.id == wait.id) {
                self.with(wait.slot, consumer, |connection, ctx| connection.resolve(wait, ctx));
            }
        }
        if now >= self.next_expiry {
            self.expire(now, consumer);
        }
    }

    /// The input is over: everything held is delivered, holes become gaps, every connection is closed in order of id.
    ///
    /// The reason is [`EndReason::Eof`], except for those that had ended and only waited for latecomers.
    pub fn finish(&mut self, consumer: &mut C) {
        self.finish_while(consumer, |_| true);
    }

    /// As [`FlowTable::finish`], while `more` wants it; the id of the connection that it goes on with when called again.
    pub fn finish_while(&mut self, consumer: &mut C, more: impl Fn(&C) -> bool) -> Option<u64> {
        self.waits.clear();
        let id = |table: &Self, slot: u32| table.slab.get(slot).map_or(u64::MAX, Entry::id);
        let mut slots: Vec<u32> = self.slab.indices().collect();
        slots.sort_unstable_by_key(|slot| id(self, *slot));
        for slot in slots {
            if !more(consumer) {
                return Some(id(self, slot));
            }
            self.close(slot, EndReason::Eof, consumer);
        }
        None
    }

    /// Bytes held out of order, over all connections.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Sets the bound on [`FlowTable::held`]; kept from the next segment on.
    pub fn grant(&mut self, bytes: usize) {
        self.limits.reassembly_total_bytes = bytes;
    }

    /// Sets the bound on [`Consumer::kept`]; kept from the next segment on.
    pub fn grant_sessions(&mut self, bytes: usize) {
        self.limits.session_bytes = bytes;
    }

    /// Connections known.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no connection is known.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Lets a connection work, then puts it where it belongs.
    fn with(
        &mut self,
        slot: u32,
        consumer: &mut C,
        work: impl FnOnce(&mut Connection<C::Session>, &mut Context<'_, C>) -> Status,
    ) {
        let Some(State::Whole(connection)) = self.slab.get_mut(slot).map(|entry| &mut entry.state) else { return };
        let before = connection.cost();
        let (limits, waits) = (&self.limits, &mut self.waits);
        let (at, interface, now) = (self.at, self.interface, self.now);
        let mut ctx = Context { consumer: &mut *consumer, limits, waits, slot, at, interface, now };
        let status = work(connection, &mut ctx);
        let after = connection.cost();
        self.held = (self.held + after).saturating_sub(before);
        if after > 0 && !connection.holder {
            connection.holder = true;
            self.holders.push_back((slot, connection.info.id));
        }
        let list = if connection.established { ESTABLISHED } else { HALF_OPEN };
        let seen = connection.seen;
        match status {
            Status::Open => self.slab.touch(slot, list, seen, SLACK),
            Status::Over(reason) => self.close(slot, reason, consumer),
        }
    }

    fn close(&mut self, slot: u32, cause: EndReason, consumer: &mut C) {
        if consumer.wants_lone_syns() {
            self.make_whole(slot, consumer);
        }
        let Some(entry) = self.slab.get(slot) else { return };
        if let Ok(found) = self.index.find_entry(self.hash.hash_one(entry.key), |other| *other == slot) {
            found.remove();
        }
        let Some(Entry { key, state: State::Whole(connection) }) = self.slab.remove(slot) else { return };
        self.held = self.held.saturating_sub(connection.cost());
        let ranges = connection.ranges();
        let ended = matches!(connection.end_reason(cause), EndReason::Fin | EndReason::Rst);
        let (at, interface, now) = (self.at, self.interface, self.now);
        let mut ctx = Context { consumer, limits: &self.limits, waits: &mut self.waits, slot, at, interface, now };
        let interest = connection.close(cause, &mut ctx);
        if ended {
            let bound = self.limits.connections.min(REMNANTS);
            self.remnants.insert(key, ranges, interest, self.now, bound);
        }
    }

    /// Before a new connection: evicts the longest idle one when the table is full, never-established ones first. These
    /// may not take more than half of the table, so that a flood of SYNs stays cheap.
    fn make_room(&mut self, consumer: &mut C) {
        while self.slab.len(HALF_OPEN) > 0 && self.slab.len(HALF_OPEN) >= self.limits.connections / 2
            || self.index.len() >= self.limits.connections.max(1)
        {
            let Some((slot, _)) = self.slab.oldest(HALF_OPEN).or_else(|| self.slab.oldest(ESTABLISHED)) else { break };
            self.close(slot, EndReason::Evicted, consumer);
        }
    }

    /// Lets sessions keep no more than the limits allow: the longest idle goes first.
    fn keep_sessions(&mut self, consumer: &mut C) {
        while consumer.kept() > self.limits.session_bytes {
            let oldest = [ESTABLISHED, HALF_OPEN].into_iter().filter_map(|list| self.slab.oldest(list));
            let Some((slot, _)) = oldest.min_by_key(|(_, stamp)| *stamp) else { break };
            self.close(slot, EndReason::Evicted, consumer);
        }
    }

    /// Closes what has been idle for too long.
    fn expire(&mut self, now: i64, consumer: &mut C) {
        self.next_expiry = i64::MAX;
        let mut set_back = 0;
        for (list, timeout) in [(HALF_OPEN, self.limits.syn_timeout), (ESTABLISHED, self.limits.idle_timeout)] {
            while let Some((slot, stamp)) = self.slab.oldest(list) {
                let seen = self.slab.get(slot).map_or(i64::MIN, Entry::seen);
                if stamp > now {
                    // The clock was set back. It may be again and again: the rest waits for the next frame.
                    if set_back == SET_BACK {
                        self.next_expiry = i64::MIN;
                        break;
                    }
                    set_back += 1;
                    self.slab.touch(slot, list, now, 0);
                } else if now.saturating_sub(stamp) < timeout {
                    self.next_expiry = self.next_expiry.min(stamp.saturating_add(timeout));
                    break;
                } else if now.saturating_sub(seen).saturating_abs() < timeout {
                    self.slab.touch(slot, list, seen.min(now), 0);
                } else {
                    self.close(slot, EndReason::Timeout, consumer);
                }
            }
        }
        self.remnants.expire(now);
        self.next_expiry = self.next_expiry.min(now.saturating_add(self.shortest()));
    }

    /// The shorter timeout: what is new now is looked at no later than that.
    fn shortest(&self) -> i64 {
        self.limits.syn_timeout.min(self.limits.idle_timeout).max(SLACK)
    }

    /// Holds no more over all connections than the limits allow: who has held for longest yields.
    fn keep_bound(&mut self, consumer: &mut C) {
        while self.held > self.limits.reassembly_total_bytes {
            let Some((slot, id)) = self.holders.pop_front() else { break };
            if self.whole(slot).is_none_or(|connection| connection.info.id != id) {
                continue;
            }
            self.with(slot, consumer, |connection, ctx| {
                if connection.cost() > 0 {
                    connection.yield_memory(ctx);
                }
                connection.holder = false;
                connection.settle(ctx)
            });
        }
        if self.holders.len() > 2 * self.index.len() + 64 {
            let slab = &self.slab;
            self.holders.retain(|&(slot, id)| slab.get(slot).is_some_and(|entry| entry.id() == id));
        }
    }
}
