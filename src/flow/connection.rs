//! One connection: both directions' sequence spaces, and what each segment changes in them.
//!
//! A segment in order whose acknowledgement has been reached goes straight to the consumer, borrowed. Everything else
//! is put into the direction's [`Store`](super::store::Store) and leaves it in [`drain`](super::drain).
//!
//! **Bounds.** The acknowledgement number of a segment says how much its sender had received of the other direction.
//! That offset is the bound of the segment's bytes: they are delivered only when the other direction has come that far.
//! A retransmission carries a later acknowledgement than the original, so the lowest among copies counts.
//! Acknowledgements beyond what was seen plus the receiver's window are nonsense and bind nothing.
//!
//! **Waits.** An acknowledgement beyond what was delivered, whatever the reason, starts a wait for that direction: when
//! the reordering allowance is over, the direction is forced up to it, and what is missing becomes a gap. So a causal
//! wait needs no timer of its own: the bound that holds a piece back is itself such an acknowledgement.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::diagnostic::Code;
use crate::event::{EndReason, GapCause};
use crate::flow::half::{Fin, Half, ORIGIN, Start};
use crate::flow::key::Key;
use crate::flow::remnant::Range;
use crate::flow::seq::distance;
use crate::flow::store::Piece;
use crate::flow::{ConnectionInfo, Consumer, Interest, Roles, Side, StreamChunk};
use crate::limits::Limits;
use crate::position::FramePos;
use crate::wire::Segment;

/// Nanoseconds without a segment after which a SYN within the window opens a new connection all the same.
const QUIET: i64 = 60_000_000_000;

/// Rounds of the allowance that a hole is waited for when nobody's acknowledgements are seen: a retransmission may come.
const UNCONFIRMED_ROUNDS: u8 = 3;

/// Something that is resolved when the reordering allowance is over.
#[derive(Copy, Clone, Debug)]
pub(super) struct Wait {
    pub(super) slot: u32,
    /// The connection's id: a slot may have passed to another.
    pub(super) id: u64,
    /// Which direction, by whether its sender is the key's lower endpoint.
    low: bool,
    kind: WaitKind,
    /// When it began: frame and clock.
    pub(super) frame: u64,
    pub(super) time: i64,
}

#[derive(Copy, Clone, Debug)]
enum WaitKind {
    /// The peer acknowledged up to here.
    Acknowledged(u64),
    /// Bytes are held behind a hole that ends here, and the peer is not in the capture.
    Unconfirmed(u64, u8),
    /// A direction without SYN has its first bytes.
    Beginning,
    /// The connection is over but for what may still come late.
    Closing,
}

/// What the table lends to a connection for one call.
pub(super) struct Context<'a, C: Consumer> {
    pub(super) consumer: &'a mut C,
    pub(super) limits: &'a Limits,
    pub(super) waits: &'a mut VecDeque<Wait>,
    pub(super) slot: u32,
    pub(super) at: FramePos,
    pub(super) now: i64,
}

/// Whether the connection goes on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Open,
    Over(EndReason),
}

/// What a segment means for the connection of its endpoints.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    /// It is part of it.
    Here,
    /// It opens the next one.
    Next,
    /// A SYN that a receiver would not take (RFC 5961 §4).
    Neither,
}

pub(super) struct Connection<S> {
    pub(super) info: ConnectionInfo,
    pub(super) session: S,
    pub(super) key: Key,
    pub(super) halves: [Half; 2],
    /// Clock at its latest segment.
    pub(super) seen: i64,
    /// The initiator is the key's lower endpoint.
    initiator_low: bool,
    /// The consumer lost interest.
    pub(super) dropped: bool,
    /// More than SYNs was seen.
    pub(super) established: bool,
    /// It stands in the table's queue of those that hold bytes.
    pub(super) holder: bool,
    /// A RST was accepted.
    pub(super) reset: bool,
    /// Its closing wait was queued.
    closing: bool,
}

impl<S> Connection<S> {
    /// A connection whose first segment is `segment`; `open` makes the consumer's session.
    pub(super) fn new(
        key: Key,
        from_low: bool,
        segment: &Segment<'_>,
        at: FramePos,
        interface: Option<u32>,
        open: impl FnOnce(&ConnectionInfo) -> S,
    ) -> Self {
        let (sender_initiates, roles) = roles(segment);
        let (initiator, responder) =
            if sender_initiates { (segment.src, segment.dst) } else { (segment.dst, segment.src) };
        let info = ConnectionInfo {
            id: at.index,
            initiator,
            responder,
            roles,
            first: at,
            last: at,
            frames: 0,
            frames_by: [0; 2],
            bytes: [0; 2],
            duplicate_bytes: 0,
            files: vec![at.file],
            syn: [false; 2],
            vlan: segment.vlan,
            tunnel: segment.tunnel,
            interface,
            closed_by: None,
        };
        let session = open(&info);
        Connection {
            info,
            session,
            key,
            halves: [Half::new(), Half::new()],
            seen: 0,
            initiator_low: from_low == sender_initiates,
            dropped: false,
            established: false,
            holder: false,
            reset: false,
            closing: false,
        }
    }

    pub(super) fn half(&self, side: Side) -> &Half {
        match side {
            Side::Initiator => &self.halves[0],
            Side::Responder => &self.halves[1],
        }
    }

    pub(super) fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Initiator => &mut self.halves[0],
            Side::Responder => &mut self.halves[1],
        }
    }

    fn side(&self, from_low: bool) -> Side {
        if from_low == self.initiator_low { Side::Initiator } else { Side::Responder }
    }

    fn is_low(&self, side: Side) -> bool {
        (side == Side::Initiator) == self.initiator_low
    }

    /// Memory held for both directions.
    pub(super) fn cost(&self) -> usize {
        self.halves[0].cost() + self.halves[1].cost()
    }

    /// What distinguishes its late segments, for [`Remnants`](super::remnant::Remnants): higher endpoint's, lower's.
    pub(super) fn ranges(&self) -> [Range; 2] {
        [false, true].map(|low| {
            let half = self.half(self.side(low));
            let behind = (half.known_end() - half.next) as u32;
            let length = (half.next - half.origin).min(1 << 30) as u32;
            (half.start != Start::Unseen)
                .then(|| (half.next_seq.wrapping_sub(length), half.next_seq.wrapping_add(behind)))
        })
    }

    /// How it ended, given why the table closes it.
    pub(super) fn end_reason(&self, cause: EndReason) -> EndReason {
        if self.halves.iter().all(Half::done) {
            EndReason::Fin
        } else if self.reset {
            EndReason::Rst
        } else {
            cause
        }
    }

    /// Whether a segment is part of this connection or opens the next one between the same endpoints.
    pub(super) fn belongs(&self, from_low: bool, segment: &Segment<'_>, now: i64) -> Belongs {
        if !segment.flags.syn || segment.flags.rst {
            return Belongs::Here;
        }
        let side = self.side(from_low);
        let (half, peer) = (self.half(side), self.half(side.opposite()));
        let first = segment.seq.wrapping_add(1);
        let known = match half.start {
            Start::Unseen => {
                // A SYN that was overtaken by the answers to it.
                let answered = half.hints.is_none_or(|(low, _)| (0..=LATE_SYN).contains(&distance(first, low)));
                let answers = !segment.flags.ack
                    || peer.offset_of(segment.ack).is_none_or(|ack| ack >= peer.origin)
                    || peer.start == Start::Unseen;
                answered && answers
            }
            // Its own SYN, once more or late.
            _ if half.isn == Some(segment.seq) => true,
            _ if half.isn.is_some() => false,
            Start::Tentative | Start::Running => {
                let origin = half.next_seq.wrapping_sub((half.next - half.origin) as u32);
                if half.untouched() { (0..=LATE_SYN).contains(&distance(first, origin)) } else { first == origin }
            }
        };
        if known {
            return Belongs::Here;
        }
        if segment.flags.ack && !self.established {
            // The answer to an older SYN.
            return Belongs::Neither;
        }
        let over = self.reset || self.halves.iter().any(|half| half.done() || half.fin().is_some());
        let never = !self.established;
        let quiet = now.saturating_sub(self.seen) > QUIET;
        let within = half
            .offset_of(segment.seq)
            .is_some_and(|offset| offset >= half.next && offset <= half.seen_end + peer.window());
        if over || never || quiet || !within { Belongs::Next } else { Belongs::Neither }
    }
}

/// Bytes that may have overtaken the SYN of their direction.
const LATE_SYN: i32 = 1 << 16;

/// Ports where mail servers listen.
const MAIL_PORTS: [u16; 10] = [24, 25, 110, 143, 465, 587, 993, 995, 2000, 4190];

/// Whether the sender of a connection's first segment is the initiator, and how that is known.
fn roles(segment: &Segment<'_>) -> (bool, Roles) {
    if segment.flags.syn {
        return (!segment.flags.ack, Roles::Handshake);
    }
    let rank = |address: SocketAddr| match address.port() {
        port if MAIL_PORTS.contains(&port) => 0u8,
        0..1024 => 1,
        1024..10_000 => 2,
        _ => 3,
    };
    match rank(segment.src).cmp(&rank(segment.dst)) {
        std::cmp::Ordering::Less => (false, Roles::Ports),
        std::cmp::Ordering::Greater => (true, Roles::Ports),
        std::cmp::Ordering::Equal => (true, Roles::FirstSender),
    }
}

impl<S> Connection<S> {
    /// Takes one segment in.
    pub(super) fn segment<C: Consumer<Session = S>>(
        &mut self,
        from_low: bool,
        segment: &Segment<'_>,
        ctx: &mut Context<'_, C>,
    ) -> Status {
        let flags = segment.flags;
        if flags.syn && !flags.rst {
            self.settle_roles(from_low, flags.ack);
        }
        let side = self.side(from_low);
        self.note_frame(from_low, ctx);
        if flags.rst {
            return self.take_reset(side, segment, ctx);
        }
        if flags.syn {
            self.take_syn(side, segment);
        }
        self.established |= !flags.syn || flags.ack;
        let peer_scale = self.half(side.opposite()).offered_scale();
        let half = self.half_mut(side);
        half.note_window(segment.window, flags.syn, peer_scale);
        let bound = if flags.ack { self.acknowledge(side.opposite(), segment.ack) } else { 0 };
        let seq = segment.seq.wrapping_add(u32::from(flags.syn));
        let len = segment.payload.len() as u64 + u64::from(segment.missing_tail);
        if self.half(side).start == Start::Unseen {
            self.begin(side, seq, len > 0, ctx);
        }
        if len == 0 && flags.ack {
            let window = self.half(side.opposite()).window();
            let half = self.half_mut(side);
            if let Some(sent) = half.offset_of(seq).filter(|&sent| sent <= half.seen_end + window) {
                half.sent = half.sent.max(sent);
            }
        }
        if len > 0 {
            self.take_payload(side, seq, segment, bound, ctx);
        }
        if flags.fin {
            self.take_fin(side, seq.wrapping_add(len as u32), bound, ctx);
        }
        self.settle(ctx)
    }

    /// Counts a frame.
    pub(super) fn note_frame<C: Consumer<Session = S>>(&mut self, from_low: bool, ctx: &Context<'_, C>) {
        let side = self.side(from_low);
        let info = &mut self.info;
        info.frames += 1;
        info.frames_by[side.index()] += 1;
        info.last = ctx.at;
        if info.files.last() != Some(&ctx.at.file) && !info.files.contains(&ctx.at.file) {
            info.files.push(ctx.at.file);
        }
        self.seen = ctx.now;
    }

    /// A SYN tells the roles; while nothing was delivered, a wrong guess is put right.
    fn settle_roles(&mut self, from_low: bool, is_answer: bool) {
        if self.info.roles == Roles::Handshake {
            return;
        }
        let is_initiator = self.side(from_low) == Side::Initiator;
        if is_initiator == is_answer {
            if !self.halves.iter().all(|half| half.untouched() && !half.done()) {
                return;
            }
            self.initiator_low = !self.initiator_low;
            self.halves.swap(0, 1);
            self.info.frames_by.swap(0, 1);
            self.info.syn.swap(0, 1);
            std::mem::swap(&mut self.info.initiator, &mut self.info.responder);
        }
        self.info.roles = Roles::Handshake;
    }

    fn take_syn(&mut self, side: Side, segment: &Segment<'_>) {
        let half = self.half_mut(side);
        if half.isn.is_some() {
            return;
        }
        let first = segment.seq.wrapping_add(1);
        match half.start {
            Start::Unseen => {
                half.begin(first, Start::Running);
                if let Some(acked) = half.hints.and_then(|(_, high)| half.offset_of(high)) {
                    half.acked = half.acked.max(acked);
                }
            }
            Start::Tentative | Start::Running => {
                let Some(offset) = half.offset_of(first) else { return };
                if half.untouched() && offset <= half.next && half.next - offset <= LATE_SYN as u64 {
                    let acked = half.acked;
                    half.lower(offset);
                    half.acked = acked;
                    half.start = Start::Running;
                } else if offset != half.origin {
                    return;
                }
            }
        }
        half.note_syn(segment.seq, segment.window_scale);
        self.info.syn[side.index()] = true;
    }

    /// Notes what the peer of `side` acknowledged; gives the bound that it puts on the peer's own bytes.
    fn acknowledge(&mut self, side: Side, ack: u32) -> u64 {
        let window = self.half(side.opposite()).window();
        let half = self.half_mut(side);
        if half.start == Start::Unseen {
            half.note_hint(ack);
            return 0;
        }
        let Some(offset) = half.offset_of(ack) else { return 0 };
        if offset > half.seen_end + 1 + window {
            return 0;
        }
        if half.start == Start::Tentative {
            if half.next.saturating_sub(offset) > window {
                return 0;
            }
            // The peer expected this byte, or has it: the stream did not begin after it.
            half.lower(offset.min(half.next));
            half.start = Start::Running;
        }
        half.acked = half.acked.max(offset);
        offset
    }

    /// The first segment of a direction that has no SYN.
    fn begin<C: Consumer<Session = S>>(&mut self, side: Side, seq: u32, has_data: bool, ctx: &mut Context<'_, C>) {
        let window = i32::try_from(self.half(side.opposite()).window()).unwrap_or(i32::MAX);
        let half = self.half_mut(side);
        if let Some((low, high)) = half.hints {
            // The peer's acknowledgements say where the stream stood.
            for hint in [low, high] {
                let ahead = distance(hint, seq);
                if (-window..=window).contains(&ahead) {
                    let first = if ahead < 0 && has_data { seq } else { hint };
                    half.begin(first, Start::Running);
                    half.acked = half.offset_of(high).unwrap_or(ORIGIN).max(ORIGIN);
                    return;
                }
            }
        }
        half.begin(seq, Start::Tentative);
        self.wait(side, WaitKind::Beginning, ctx);
    }

    fn take_payload<C: Consumer<Session = S>>(
        &mut self,
        side: Side,
        seq: u32,
        segment: &Segment<'_>,
        bound: u64,
        ctx: &mut Context<'_, C>,
    ) {
        let window = self.half(side.opposite()).window();
        let reach = self.half(side.opposite()).reach();
        let dropped = self.dropped;
        let half = self.half_mut(side);
        let captured = segment.payload.len() as u64;
        let Some(mut offset) = half.offset_of(seq) else { return };
        let end = offset + captured + u64::from(segment.missing_tail);
        if half.ended || half.fin().is_some_and(|fin| offset >= fin.offset) {
            self.info.duplicate_bytes += captured;
            return;
        }
        if dropped {
            if end > half.next && offset <= half.seen_end + window {
                half.advance(end - half.next);
            }
            return;
        }
        if offset > half.seen_end + window {
            self.take_stray(side, offset, segment, window, bound, ctx);
            return;
        }
        if half.start == Start::Tentative && offset < half.next && half.next - offset <= window {
            half.lower(offset);
        }
        let mut payload = segment.payload;
        let mut missing = u64::from(segment.missing_tail);
        if offset < half.next {
            // A copy of delivered bytes, as far as they go; a single byte there is a keep-alive (RFC 9293 §3.8.4).
            let old = (half.next - offset).min(captured) as usize;
            let (copy, rest) = payload.split_at(old);
            let conflict = old > 1 && half.buffers.as_ref().is_some_and(|b| b.recent.conflicts(offset, copy));
            let at_offset = half.visible(offset);
            missing = missing.saturating_sub((half.next - offset).saturating_sub(captured));
            payload = rest;
            offset = half.next;
            self.info.duplicate_bytes += old as u64;
            if conflict {
                self.conflicting(side, at_offset, ctx);
            }
        }
        if end <= offset {
            return;
        }
        let half = self.half_mut(side);
        half.seen_end = half.seen_end.max(end);
        let in_order = offset == half.next
            && half.start == Start::Running
            && bound <= reach
            && half.store().and_then(|store| store.first()).is_none_or(|(first, _)| first >= end);
        if in_order {
            if !payload.is_empty() {
                self.deliver(side, payload, ctx.at, ctx);
            }
            if missing > 0 && !self.dropped {
                self.skip(side, missing, GapCause::Snaplen, ctx);
            }
            return;
        }
        self.hold(side, offset, payload, missing, bound, ctx);
    }

    /// Keeps a copy until it can be delivered.
    fn hold<C: Consumer<Session = S>>(
        &mut self,
        side: Side,
        offset: u64,
        payload: &[u8],
        missing: u64,
        bound: u64,
        ctx: &mut Context<'_, C>,
    ) {
        let store = &mut self.half_mut(side).buffers().store;
        let inserted = store.insert(offset, payload, bound, ctx.at);
        if missing > 0 {
            store.insert_missing(offset + payload.len() as u64, missing, bound, ctx.at);
        }
        self.info.duplicate_bytes += inserted.duplicate;
        if let Some(conflict) = inserted.conflict {
            let offset = self.half(side).visible(conflict);
            self.conflicting(side, offset, ctx);
        }
    }

    /// A segment beyond the window: forged, or the capture lost more than a window. The second one that agrees decides.
    fn take_stray<C: Consumer<Session = S>>(
        &mut self,
        side: Side,
        offset: u64,
        segment: &Segment<'_>,
        window: u64,
        bound: u64,
        ctx: &mut Context<'_, C>,
    ) {
        let half = self.half_mut(side);
        if half.start == Start::Tentative {
            half.start = Start::Running;
        }
        let store = &mut half.buffers().store;
        let agrees = store.stray().is_some_and(|(other, piece)| {
            other != offset && offset <= other + piece.len + window && other <= offset + window
        });
        let missing = u64::from(segment.missing_tail);
        if !agrees {
            let len = segment.payload.len() as u64 + missing;
            store.set_stray(offset, Piece { len, data: segment.payload.to_vec(), bound, at: ctx.at });
            return;
        }
        if let Some((first, piece)) = store.take_stray() {
            half.seen_end = half.seen_end.max(first + piece.len);
            let at = std::mem::replace(&mut ctx.at, piece.at);
            self.hold(side, first, &piece.data, piece.len - piece.data.len() as u64, piece.bound, ctx);
            ctx.at = at;
        }
        let half = self.half_mut(side);
        half.seen_end = half.seen_end.max(offset + segment.payload.len() as u64 + missing);
        self.hold(side, offset, segment.payload, missing, bound, ctx);
    }

    fn take_fin<C: Consumer<Session = S>>(&mut self, side: Side, seq: u32, bound: u64, ctx: &mut Context<'_, C>) {
        let window = self.half(side.opposite()).window();
        let at = ctx.at;
        let dropped = self.dropped;
        let half = self.half_mut(side);
        let Some(offset) = half.offset_of(seq) else { return };
        // Data beyond it, or a jump: not this stream's end.
        if half.ended || offset < half.seen_end || offset > half.seen_end + window {
            return;
        }
        match &mut half.buffers().fin {
            Some(fin) if fin.offset == offset => fin.bound = fin.bound.min(bound),
            Some(_) => {}
            none => *none = Some(Fin { offset, bound, at }),
        }
        if dropped {
            half.advance(offset.saturating_sub(half.next));
            half.ended = true;
            self.info.closed_by.get_or_insert(side);
        }
    }

    fn take_reset<C: Consumer<Session = S>>(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        ctx: &mut Context<'_, C>,
    ) -> Status {
        let (half, peer) = (self.half(side), self.half(side.opposite()));
        let offset = half.offset_of(segment.seq);
        let acceptable = match half.start {
            // The answer to a SYN carries sequence number 0 and acknowledges the SYN (RFC 9293 §3.10.7.1).
            Start::Unseen if segment.flags.ack && peer.start != Start::Unseen => {
                peer.offset_of(segment.ack).is_some_and(|ack| ack >= peer.origin && ack <= peer.known_end() + 1)
            }
            Start::Unseen => half.hints.is_none_or(|(_, high)| high == segment.seq),
            Start::Tentative => true,
            // From what the receiver has acknowledged up to its window.
            Start::Running => offset.is_some_and(|offset| {
                offset >= half.acked.min(half.next) && offset <= half.seen_end + 1 + peer.window()
            }),
        };
        if !acceptable {
            let detail = format!("sequence number {} is not in the receive window", segment.seq);
            self.emit(StreamChunk::Odd { side, code: Code::ResetIgnored, detail: &detail, at: ctx.at }, ctx);
            return self.settle(ctx);
        }
        self.reset = true;
        self.info.closed_by.get_or_insert(side);
        if segment.flags.ack {
            self.acknowledge(side.opposite(), segment.ack);
        }
        let half = self.half(side);
        let known = half.start == Start::Unseen || offset.is_none_or(|offset| offset <= half.reach());
        let clean = known && self.halves.iter().all(|half| !half.pending() && half.acked <= half.reach());
        if clean || self.dropped {
            return Status::Over(EndReason::Rst);
        }
        self.close_later(ctx);
        self.settle(ctx)
    }

    fn conflicting<C: Consumer<Session = S>>(&mut self, side: Side, offset: u64, ctx: &mut Context<'_, C>) {
        let detail = format!("at stream offset {offset}");
        self.emit(StreamChunk::Odd { side, code: Code::ConflictingRetransmission, detail: &detail, at: ctx.at }, ctx);
    }

    /// After any change: delivers what can be, keeps bounds, starts waits, sees whether it is over.
    pub(super) fn settle<C: Consumer<Session = S>>(&mut self, ctx: &mut Context<'_, C>) -> Status {
        if !self.dropped {
            if self.halves.iter().any(Half::pending) {
                self.drain([0; 2], GapCause::Lost, ctx);
                self.keep_bounds(ctx);
            }
            self.start_waits(ctx);
        }
        let [a, b] = &self.halves;
        if a.done() && b.done() && !self.reset {
            if a.acked > a.next && b.acked > b.next {
                return Status::Over(EndReason::Fin);
            }
            self.close_later(ctx);
        } else if (a.done() && b.start == Start::Unseen) || (b.done() && a.start == Start::Unseen) {
            self.close_later(ctx);
        }
        Status::Open
    }

    fn start_waits<C: Consumer<Session = S>>(&mut self, ctx: &mut Context<'_, C>) {
        for side in [Side::Initiator, Side::Responder] {
            let peer_unseen = self.half(side.opposite()).start == Start::Unseen;
            let half = self.half_mut(side);
            if half.start != Start::Running {
                continue;
            }
            if half.acked > half.reach() && half.acked > half.queued {
                half.queued = half.acked;
                let kind = WaitKind::Acknowledged(half.acked);
                self.wait(side, kind, ctx);
            } else if peer_unseen
                && let Some(first) = half.store().and_then(|store| store.first()).map(|(first, _)| first)
                && first > half.queued
            {
                half.queued = first;
                self.wait(side, WaitKind::Unconfirmed(first, 0), ctx);
            }
        }
    }

    fn close_later<C: Consumer<Session = S>>(&mut self, ctx: &mut Context<'_, C>) {
        if !self.closing {
            self.closing = true;
            self.wait(Side::Initiator, WaitKind::Closing, ctx);
        }
    }

    fn wait<C: Consumer<Session = S>>(&mut self, side: Side, kind: WaitKind, ctx: &mut Context<'_, C>) {
        ctx.waits.push_back(Wait {
            slot: ctx.slot,
            id: self.info.id,
            low: self.is_low(side),
            kind,
            frame: ctx.at.index,
            time: ctx.now,
        });
    }

    /// The allowance of a wait is over.
    pub(super) fn resolve<C: Consumer<Session = S>>(&mut self, wait: Wait, ctx: &mut Context<'_, C>) -> Status {
        let side = self.side(wait.low);
        match wait.kind {
            WaitKind::Closing => {
                let cause = if self.reset { EndReason::Rst } else { EndReason::Fin };
                return Status::Over(cause);
            }
            WaitKind::Beginning => {
                let half = self.half_mut(side);
                if half.start == Start::Tentative {
                    half.start = Start::Running;
                }
            }
            WaitKind::Acknowledged(upto) => self.force(side, upto, GapCause::Lost, ctx),
            WaitKind::Unconfirmed(upto, rounds) => {
                if self.half(side).next >= upto {
                    return Status::Open;
                } else if rounds < UNCONFIRMED_ROUNDS {
                    self.wait(side, WaitKind::Unconfirmed(upto, rounds + 1), ctx);
                } else {
                    self.force(side, upto, GapCause::Lost, ctx);
                }
            }
        }
        self.settle(ctx)
    }

    /// Hands a chunk to the consumer, unless it lost interest.
    pub(super) fn emit<C: Consumer<Session = S>>(&mut self, chunk: StreamChunk<'_>, ctx: &mut Context<'_, C>) {
        if !self.dropped && ctx.consumer.chunk(&mut self.session, &self.info, chunk) == Interest::Drop {
            self.dropped = true;
            for half in &mut self.halves {
                if let Some(buffers) = &mut half.buffers {
                    buffers.store.clear();
                }
                half.advance(half.seen_end - half.next);
                if half.start == Start::Tentative {
                    half.start = Start::Running;
                }
                half.ended |= half.buffers.take().is_some_and(|buffers| buffers.fin.is_some());
            }
        }
    }
}
