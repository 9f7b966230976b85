//! What leaves a connection's stores, and in which order.
//!
//! A piece at the head of its direction is delivered when its bound is reached. Where nothing is deliverable, the
//! directions wait: for a hole to be filled, or for each other. *Forcing* a direction up to a target ends that: its
//! holes below the target become gaps; a head piece that waits for the other direction makes that one a target as well,
//! so what a piece acknowledges is delivered or declared lost before the piece. When both heads wait for each other
//! (which acknowledgements of sound stacks never cause), the one that was captured first goes.

use std::num::NonZeroU64;

use crate::diagnostic::Code;
use crate::event::{EndReason, GapCause};
use crate::flow::connection::{Connection, Context};
use crate::flow::half::{Half, Start, UNRESOLVED};
use crate::flow::spare;
use crate::flow::{Consumer, Interest, Side, StreamChunk};
use crate::position::FramePos;

pub(super) const SIDES: [Side; 2] = [Side::Initiator, Side::Responder];

/// What stands at the head of a direction.
enum Head {
    /// A piece, or the end.
    Ready { bound: u64, at: FramePos },
    /// A hole; the offset and the bound of what follows it, if anything does.
    Hole(Option<(u64, u64)>),
}

impl<S> Connection<S> {
    /// Delivers all that can be delivered, and forces each direction up to its target.
    pub(super) fn drain<C: Consumer<Session = S>>(
        &mut self,
        mut targets: [u64; 2],
        cause: GapCause,
        ctx: &mut Context<'_, C>,
    ) {
        while !self.dropped {
            let mut progress = false;
            for side in SIDES {
                while self.deliver_head(side, false, ctx) {
                    progress = true;
                }
            }
            if !progress && !self.unblock(&mut targets, cause, ctx) {
                break;
            }
        }
    }

    /// Delivers `side` up to `upto`, and what that takes of the other.
    pub(super) fn force<C: Consumer<Session = S>>(
        &mut self,
        side: Side,
        upto: u64,
        cause: GapCause,
        ctx: &mut Context<'_, C>,
    ) {
        let mut targets = [0; 2];
        targets[side.index()] = upto;
        self.drain(targets, cause, ctx);
    }

    /// Delivers everything held, and tells the consumer that it is over.
    pub(super) fn close<C: Consumer<Session = S>>(mut self, cause: EndReason, ctx: &mut Context<'_, C>) -> Interest {
        let holes = self.holes();
        self.flush(GapCause::Lost, ctx);
        self.recall_reset();
        self.tell_unacknowledged(holes, ctx);
        let reason = self.end_reason(cause);
        self.info.closed_by = self.closed_by();
        self.info.reset_by = self.reset.map(|reset| reset.side);
        ctx.consumer.close(self.session, &self.info, reason, self.info.last)
    }

    /// Delivers everything held; holes become gaps.
    pub(super) fn flush<C: Consumer<Session = S>>(&mut self, cause: GapCause, ctx: &mut Context<'_, C>) {
        self.run();
        for buffers in self.halves.iter_mut().filter_map(|half| half.buffers.as_mut()) {
            let stray = buffers.store.take_stray();
            self.info.duplicate_bytes += stray.map_or(0, |(_, piece)| piece.data.len() as u64);
        }
        if !self.dropped {
            let targets = [self.halves[0].known_end(), self.halves[1].known_end()];
            self.drain(targets, cause, ctx);
        }
        // What stands behind an end is nobody's.
        for buffers in self.halves.iter_mut().filter_map(|half| half.buffers.as_mut()) {
            self.info.duplicate_bytes += buffers.store.bytes() as u64;
            buffers.store.clear();
        }
    }

    /// Takes the first bytes seen for the beginning where no SYN was.
    fn run(&mut self) {
        self.halves.iter_mut().for_each(Half::run);
    }

    /// The table's memory is used up, and this connection holds most or longest.
    pub(super) fn yield_memory<C: Consumer<Session = S>>(&mut self, ctx: &mut Context<'_, C>) {
        let side = if self.halves[0].cost() >= self.halves[1].cost() { Side::Initiator } else { Side::Responder };
        self.run();
        self.drain([0; 2], GapCause::Lost, ctx);
        SIDES.into_iter().for_each(|side| self.give_up_overdue(side, ctx));
        if self.halves.iter().any(|half| half.pending()) {
            let detail = "too much held out of order over all connections";
            self.emit(StreamChunk::Odd { side, code: Code::ReassemblyLimit, detail, at: ctx.at }, ctx);
        }
        self.flush(GapCause::Limit, ctx);
    }

    /// Holds no more than the limits allow for a direction.
    pub(super) fn keep_bounds<C: Consumer<Session = S>>(&mut self, ctx: &mut Context<'_, C>) {
        for side in SIDES {
            if self.over_limit(side, ctx) {
                self.run();
                self.drain([0; 2], GapCause::Lost, ctx);
            }
            if self.over_limit(side, ctx) {
                self.give_up_overdue(side, ctx);
            }
            if !self.over_limit(side, ctx) {
                continue;
            }
            let detail = "too much held out of order in one direction";
            self.emit(StreamChunk::Odd { side, code: Code::ReassemblyLimit, detail, at: ctx.at }, ctx);
            while !self.dropped && self.over_limit(side, ctx) {
                let Some(end) = self.half(side).store().and_then(|s| s.first()).map(|(o, p)| o + p.len) else { break };
                self.force(side, end, GapCause::Limit, ctx);
            }
        }
    }

    /// Ends waits early that have lasted for as many frames as reordering takes: then it is the capture that lost what is
    /// missing, not the bound.
    fn give_up_overdue<C: Consumer<Session = S>>(&mut self, side: Side, ctx: &mut Context<'_, C>) {
        while !self.dropped {
            let half = self.half(side);
            let Some((offset, piece)) = half.store().and_then(|store| store.first()) else { break };
            let is_acknowledged = offset <= half.next.max(half.acked);
            if !is_acknowledged || ctx.at.index.saturating_sub(piece.at.index) < ctx.limits.reorder_frames {
                break;
            }
            let next = half.next;
            self.force(side, offset + piece.len, GapCause::Lost, ctx);
            if self.half(side).next == next {
                break;
            }
        }
    }

    fn over_limit<C: Consumer<Session = S>>(&self, side: Side, ctx: &Context<'_, C>) -> bool {
        self.half(side).store().is_some_and(|store| {
            store.bytes() > ctx.limits.reassembly_bytes || store.segments() > ctx.limits.reassembly_segments
        })
    }

    /// Delivers bytes at the direction's head.
    pub(super) fn deliver<C: Consumer<Session = S>>(
        &mut self,
        side: Side,
        bytes: &[u8],
        at: FramePos,
        ctx: &mut Context<'_, C>,
    ) {
        let half = self.half_mut(side);
        let (from, offset) = (half.next, half.visible(half.next));
        half.buffers().recent.push(from, bytes);
        half.advance(bytes.len() as u64);
        (half.fin_assumed, half.fin_in_gap) = (false, false);
        self.info.bytes[side.index()] += bytes.len() as u64;
        self.emit(StreamChunk::Data { side, offset, bytes, at }, ctx);
    }

    /// Declares the next `len` bytes missing.
    pub(super) fn skip<C: Consumer<Session = S>>(
        &mut self,
        side: Side,
        len: u64,
        cause: GapCause,
        ctx: &mut Context<'_, C>,
    ) {
        let half = self.half_mut(side);
        let cause = match cause {
            GapCause::Lost if half.untouched() && half.isn.is_none() => GapCause::MidStream,
            cause => cause,
        };
        let offset = half.visible(half.next);
        half.advance(len);
        (half.fin_assumed, half.fin_in_gap) = (false, false);
        // Where the stream goes on says more than when waiting for it ended.
        let behind = half.store().and_then(|store| store.first()).filter(|(offset, _)| *offset == half.next);
        let at = behind.map_or(ctx.at, |(_, piece)| piece.at);
        self.emit(StreamChunk::Gap { side, offset, len, cause, at }, ctx);
    }

    /// Whether `side` has closed as well, by all that is known: it acknowledged the other's FIN, and nothing was reset.
    fn has_closed(&self, side: Side) -> bool {
        let peer = self.half(side.opposite());
        self.reset.is_none() && peer.fin().is_some_and(|fin| peer.acked > fin.offset)
    }

    /// Looks whether what was declared lost at a direction's end has its FIN in it.
    pub(super) fn find_fins(&mut self) {
        for side in SIDES {
            let half = self.half(side);
            if half.fin_in_gap && half.next == half.known_end() && !half.pending() && self.has_closed(side) {
                let half = self.half_mut(side);
                half.take_fin_out();
                self.info.fins_in_gaps[side.index()] = NonZeroU64::new(half.visible(half.next));
            }
        }
    }

    fn head(&self, side: Side) -> Option<Head> {
        let half = self.half(side);
        if half.start != Start::Running || half.ended {
            return None;
        }
        let first = half.store().and_then(|store| store.first());
        let fin = half.fin().map(|fin| (fin.offset, fin.bound, fin.at));
        let Some((offset, bound, at)) = first.map(|(offset, piece)| (offset, piece.bound, piece.at)).or(fin) else {
            return Some(Head::Hole(None));
        };
        // A direction that is not in the capture binds nothing.
        let free = bound & UNRESOLVED != 0 && self.half(side.opposite()).absent;
        let bound = if free { 0 } else { bound };
        if self.several && first.is_some_and(|(_, piece)| piece.data.is_empty()) && offset <= half.next {
            // A whole copy of it may come yet.
            let end = first.map_or(offset, |(offset, piece)| offset + piece.len);
            return Some(Head::Hole(Some((end, bound))));
        }
        Some(if offset <= half.next { Head::Ready { bound, at } } else { Head::Hole(Some((offset, bound))) })
    }

    /// Delivers what stands at the head of `side` if it may go, or if it must.
    fn deliver_head<C: Consumer<Session = S>>(&mut self, side: Side, must: bool, ctx: &mut Context<'_, C>) -> bool {
        let Some(Head::Ready { bound, at }) = self.head(side) else { return false };
        if self.dropped || !(must || bound <= self.half(side.opposite()).reach()) {
            return false;
        }
        let half = self.half_mut(side);
        match half.buffers().store.pop() {
            Some((_, piece)) if piece.data.is_empty() => self.skip(side, piece.len, GapCause::Snaplen, ctx),
            Some((_, piece)) => {
                self.deliver(side, &piece.data, at, ctx);
                spare::take_back(piece.data);
            }
            None => {
                half.ended = true;
                self.info.closed_by.get_or_insert(side);
                self.emit(StreamChunk::End { side, at }, ctx);
            }
        }
        true
    }

    /// Makes one step where nothing was deliverable; false if no target calls for it.
    fn unblock<C: Consumer<Session = S>>(
        &mut self,
        targets: &mut [u64; 2],
        cause: GapCause,
        ctx: &mut Context<'_, C>,
    ) -> bool {
        let mut blocked: Option<(Side, FramePos)> = None;
        let mut hole: Option<(Side, u64)> = None;
        for side in SIDES {
            let target = targets[side.index()];
            if self.half(side).start == Start::Tentative && target >= self.half(side).next {
                self.half_mut(side).run();
                return true;
            }
            let half = self.half(side);
            if half.reach() >= target {
                continue;
            }
            match self.head(side) {
                None => {}
                Some(Head::Hole(None)) => {
                    hole.get_or_insert((side, target - half.next));
                }
                Some(Head::Hole(Some((behind, bound)))) => {
                    // What the other side said behind its own hole, before it knew of this one, comes first.
                    let said_before = self
                        .head(side.opposite())
                        .is_some_and(|head| matches!(head, Head::Hole(Some((_, bound))) if bound <= half.reach()));
                    let other = &mut targets[side.opposite().index()];
                    if (behind < target || said_before) && *other < bound {
                        *other = bound;
                        return true;
                    }
                    // Where both have holes, that one was first whose continuation does not need the other's.
                    if hole.is_none() || bound <= self.half(side.opposite()).reach() {
                        hole = Some((side, behind.min(target) - half.next));
                    }
                }
                Some(Head::Ready { bound, at }) => {
                    let other = &mut targets[side.opposite().index()];
                    if *other < bound {
                        *other = bound;
                        return true;
                    }
                    if blocked.is_none_or(|(_, earliest)| at.index < earliest.index) {
                        blocked = Some((side, at));
                    }
                }
            }
        }
        if let Some((side, len)) = hole {
            let half = self.half(side);
            let cut = half.store().and_then(|store| store.first()).is_some_and(|(offset, _)| offset <= half.next);
            if cut && let Some((_, piece)) = self.half_mut(side).buffers().store.pop() {
                self.skip(side, piece.len, GapCause::Snaplen, ctx);
                return true;
            }
            let needed = match self.head(side.opposite()) {
                Some(Head::Ready { bound, .. } | Head::Hole(Some((_, bound)))) => bound,
                _ => 0,
            };
            let half = self.half(side);
            // One number beyond the last byte: far more likely a FIN than a byte.
            let fin = !half.pending() && (len == 1 || half.next + len == half.known_end() && self.has_closed(side));
            // No further than the other direction waits for: what it has goes before the rest of the hole.
            let needed = needed.checked_sub(half.next).filter(|&needed| needed > 0).unwrap_or(len);
            match len - u64::from(fin) {
                // Its first number was a keep-alive's.
                0 if half.only_probed() => self.half_mut(side).begin_behind_probe(),
                0 => self.half_mut(side).fin_assumed = true,
                bytes => {
                    self.skip(side, bytes.min(needed), cause, ctx);
                    let half = self.half_mut(side);
                    half.fin_in_gap = !fin && cause == GapCause::Lost && half.next == half.known_end();
                }
            }
            return true;
        }
        blocked.is_some_and(|(side, _)| self.deliver_head(side, true, ctx))
    }
}
