//! Taking a segment in: what its flags, numbers and payload change in a connection.

use crate::diagnostic::Code;
use crate::event::{EndReason, GapCause};
use crate::flow::connection::{Connection, Context, Reset, Status, WaitKind};
use crate::flow::half::{Buffers, Fin, ORIGIN, Start, UNRESOLVED};
use crate::flow::seq::distance;
use crate::flow::store::{Piece, Store};
use crate::flow::{Consumer, Roles, Side, StreamChunk};
use crate::wire::Segment;

/// Bytes that may have overtaken the SYN of their direction.
pub(super) const LATE_SYN: i32 = 1 << 16;

/// Bytes that a capture may have missed at once.
const JUMP: u64 = 64 << 20;

/// Nanoseconds within which a copy of a segment comes from another place of capture.
const COPY: i64 = 1_000_000_000;

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
            // What some stacks say in it is no part of the stream.
            self.info.duplicate_bytes += segment.payload.len() as u64;
            return self.take_reset(side, segment, ctx);
        }
        let unseen = self.half(side).start == Start::Unseen;
        if unseen && !self.established && self.answers_another(side, segment) {
            self.info.duplicate_bytes += segment.payload.len() as u64;
            return Status::Open;
        }
        if flags.syn {
            self.take_syn(side, segment);
        }
        self.established |= !flags.syn || flags.ack;
        let peer_scale = self.half(side.opposite()).offered_scale();
        let half = self.half_mut(side);
        half.note_window(segment.window, flags.syn, peer_scale);
        let bound = if flags.ack { self.acknowledge(side.opposite(), segment.ack, ctx) } else { 0 };
        let mut seq = segment.seq.wrapping_add(u32::from(flags.syn));
        let mut len = segment.payload.len() as u64 + u64::from(segment.missing_tail);
        if segment.payload == [0] && self.is_early_probe(side, segment) {
            self.info.duplicate_bytes += 1;
            (seq, len) = (seq.wrapping_add(1), 0);
        } else if seq == self.half(side).next_seq.wrapping_add(1) && self.half(side).only_probed() {
            self.half_mut(side).begin_behind_probe();
        }
        if self.half(side).start == Start::Unseen {
            self.begin(side, seq, len > 0, ctx);
        }
        if unseen {
            self.resolve_bounds(side);
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

    /// Whether it answers no SYN of this connection: a server that still holds one of before, of which the client knows
    /// nothing, answers the SYN with the numbers of that one (RFC 9293 §3.10.7.4), and without a byte. Bytes may answer much
    /// that the capture missed.
    fn answers_another(&self, side: Side, segment: &Segment<'_>) -> bool {
        let peer = self.half(side.opposite());
        let has_data = !segment.payload.is_empty() || segment.missing_tail > 0;
        let most = if has_data { JUMP } else { u64::from(u16::MAX) };
        let is_answer = |ack| ack >= peer.origin && ack <= peer.known_end() + 1 + most;
        peer.isn.is_some()
            && segment.flags.ack
            && !segment.flags.syn
            && !peer.offset_of(segment.ack).is_some_and(is_answer)
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
            self.several = true;
        }
        self.several |= ctx.interface != info.interface;
        // A frame ahead of the clock counts with its own time: when the clock catches up, its connection is not idle.
        self.seen = ctx.now.max(ctx.at.ts.0);
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
            self.heard.swap(0, 1);
            self.info.frames_by.swap(0, 1);
            self.info.syn.swap(0, 1);
            std::mem::swap(&mut self.info.initiator, &mut self.info.responder);
        }
        self.info.roles = Roles::Handshake;
    }

    /// Whether a zero byte in front of all that was seen of a direction without SYN is a keep-alive as Windows sends it: the
    /// number before the next, with a byte that is no part of the stream (RFC 9293 §3.8.4).
    fn is_early_probe(&self, side: Side, segment: &Segment<'_>) -> bool {
        let half = self.half(side);
        let is_first = half.start == Start::Unseen || half.untouched() && half.next_seq == segment.seq.wrapping_add(1);
        is_first && half.isn.is_none() && !segment.flags.syn && !segment.flags.fin && segment.missing_tail == 0
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
                    half.lower(offset);
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
    fn acknowledge<C: Consumer<Session = S>>(&mut self, side: Side, ack: u32, ctx: &mut Context<'_, C>) -> u64 {
        let window = self.half(side.opposite()).window();
        let half = self.half_mut(side);
        if half.start == Start::Unseen {
            let first = half.hints.is_none();
            half.note_hint(ack);
            if first {
                self.wait(side, WaitKind::Unseen, ctx);
            }
            return UNRESOLVED | u64::from(ack);
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
        }
        half.acked = half.acked.max(offset);
        offset
    }

    /// `side` has begun: what the other one holds may be bound by it.
    fn resolve_bounds(&mut self, side: Side) {
        let window = self.half(side.opposite()).window();
        let [low, high] = &mut self.halves;
        let (half, peer) = if side == Side::Initiator { (&*low, high) } else { (&*high, low) };
        if let Some(buffers) = &mut peer.buffers {
            buffers.store.rebind(|bound| half.resolve(bound, window));
            if let Some(fin) = &mut buffers.fin {
                fin.bound = half.resolve(fin.bound, window);
            }
        }
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
                    half.begin(first, Start::Tentative);
                    half.acked = half.offset_of(high).unwrap_or(ORIGIN).max(ORIGIN);
                    self.wait(side, WaitKind::Beginning, ctx);
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
        let dropped = self.dropped;
        let half = self.half_mut(side);
        let captured = segment.payload.len() as u64;
        let Some(mut offset) = half.offset_of(seq) else {
            self.info.duplicate_bytes += captured;
            return;
        };
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
            if old > 1 && offset + old as u64 > half.acked {
                let acked = half.acked;
                half.buffers().repeats.note(acked, ctx.at.ts.0);
            }
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
        let may_go = self.half(side.opposite()).has_reached(bound);
        self.heard[side.index()] = self.seen;
        let half = self.half_mut(side);
        half.seen_end = half.seen_end.max(end);
        let in_order = offset == half.next
            && half.start == Start::Running
            && may_go
            && half.store().and_then(|store| store.first()).is_none_or(|(first, _)| first >= end);
        if in_order {
            if !payload.is_empty() {
                self.deliver(side, payload, ctx.at, ctx);
            }
            if missing > 0 && !self.dropped {
                if self.several {
                    self.hold(side, end - missing, &[], missing, bound, ctx);
                } else {
                    self.skip(side, missing, GapCause::Snaplen, ctx);
                }
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
        // What nothing can have sent since is another connection's, of the same addresses: seen on both sides of a firewall that
        // changes numbers, say. A byte takes a nanosecond, at eight gigabits a second. There each segment comes twice.
        let pause = self.seen.saturating_sub(self.heard[side.index()]);
        let may_have_sent = JUMP + pause.max(0) as u64;
        let half = self.half_mut(side);
        let ahead = offset - half.seen_end;
        let copy = ahead > JUMP && pause < COPY && half.buffers.as_ref().is_some_and(|b| b.recent.has(segment.payload));
        if copy || ahead > may_have_sent && half.store().is_none_or(|store| store.stray().is_none()) {
            self.info.duplicate_bytes += segment.payload.len() as u64;
            return;
        }
        half.run();
        let seen_end = half.seen_end;
        let Buffers { store, recent, .. } = half.buffers();
        let agrees = store.stray().is_some_and(|(other, piece)| {
            // Its original may have come since.
            let copy = other.saturating_sub(seen_end) > JUMP && recent.has(&piece.data);
            other != offset && offset <= other + piece.len + window && other <= offset + window && !copy
        });
        let missing = u64::from(segment.missing_tail);
        if !agrees {
            let len = segment.payload.len() as u64 + missing;
            let other = store.take_stray().map_or(0, |(_, piece)| piece.data.len() as u64);
            self.info.duplicate_bytes += other;
            let store = &mut self.half_mut(side).buffers().store;
            store.set_stray(offset, Piece { len, data: segment.payload.to_vec(), bound, at: ctx.at });
            return;
        }
        self.heard[side.index()] = self.seen;
        let half = self.half_mut(side);
        if let Some((first, piece)) = half.buffers().store.take_stray() {
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
        let data_end = half.store().map_or(0, Store::end);
        if half.start == Start::Tentative && offset + 1 == half.seen_end && data_end <= offset {
            // The number that it began with counts the FIN.
            let acked = half.acked;
            half.lower(offset.min(half.next));
            half.seen_end = offset;
            half.acked = acked;
        }
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
        let seen = half.start != Start::Unseen;
        let acceptable = match half.start {
            Start::Unseen if let Some((_, high)) = half.hints => {
                (0..=peer.window() as i64).contains(&i64::from(distance(high, segment.seq)))
            }
            // The answer to a SYN carries sequence number 0 and acknowledges the SYN (RFC 9293 §3.10.7.1).
            Start::Unseen if segment.flags.ack && peer.start != Start::Unseen => peer
                .offset_of(segment.ack)
                .is_some_and(|ack| ack >= peer.origin && ack <= peer.known_end() + 1 + half.window()),
            Start::Unseen => true,
            Start::Tentative => true,
            // From what the receiver has acknowledged up to its window.
            Start::Running => offset.is_some_and(|offset| {
                offset >= half.acked.min(half.next) && offset <= half.seen_end + 1 + peer.window()
            }),
        };
        if !acceptable && !self.established && side == Side::Initiator {
            // It answers what answered another connection.
            return Status::Open;
        }
        if !acceptable {
            let detail = format!("sequence number {} is not in the receive window", segment.seq);
            self.emit(StreamChunk::Odd { side, code: Code::ResetIgnored, detail: &detail, at: ctx.at }, ctx);
            return self.settle(ctx);
        }
        if let Some(sent) = offset
            && seen
        {
            // Its number is the next that was to be sent.
            let half = self.half_mut(side);
            half.sent = half.sent.max(sent);
        }
        let bound = segment.flags.ack.then(|| self.acknowledge(side.opposite(), segment.ack, ctx));
        if self.reset.is_none_or(|reset| reset.side == side && reset.bound.is_none()) {
            self.reset = Some(Reset { side, bound, at: ctx.at });
        }
        // Refused, or of no interest. Else the other side's last bytes may have been under way, or come late in the file.
        if self.dropped || !self.established && !self.halves.iter().any(|half| half.pending() || half.acked > half.next)
        {
            return Status::Over(EndReason::Rst);
        }
        self.settle(ctx)
    }

    fn conflicting<C: Consumer<Session = S>>(&mut self, side: Side, offset: u64, ctx: &mut Context<'_, C>) {
        let detail = format!("at stream offset {offset}");
        self.emit(StreamChunk::Odd { side, code: Code::ConflictingRetransmission, detail: &detail, at: ctx.at }, ctx);
    }
}
