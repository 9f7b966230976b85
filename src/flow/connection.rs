//! One connection: both directions' sequence spaces, and what each segment changes in them.
//!
//! [`intake`](super::intake) takes segments in.
//!
//! A segment in order whose acknowledgement has been reached goes straight to the consumer, borrowed. Everything else
//! is put into the direction's [`Store`](super::store::Store) and leaves it in [`drain`](super::drain).
//!
//! The rules are in [`super`]; here is how they are kept:
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

use crate::event::{EndReason, GapCause};
use crate::flow::early::EarlyReset;
use crate::flow::half::{Half, Start};
use crate::flow::intake::LATE_SYN;
use crate::flow::remnant::Range;
use crate::flow::seq::distance;
use crate::flow::{ConnectionInfo, Consumer, Interest, Roles, Side, StreamChunk};
use crate::limits::Limits;
use crate::ports::is_mail_port;
use crate::position::FramePos;
use crate::wire::Segment;

/// Nanoseconds without a segment after which a SYN within the window opens a new connection all the same.
const QUIET: i64 = 60_000_000_000;

/// Further rounds of the allowance, so four in all, that a hole is waited for when nobody's acknowledgements are seen: a
/// retransmission may come.
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
pub(super) enum WaitKind {
    /// The peer acknowledged up to here.
    Acknowledged(u64),
    /// Bytes are held behind a hole that ends here, and the peer is not in the capture.
    Unconfirmed(u64, u8),
    /// A direction was acknowledged before any of it was seen.
    Unseen,
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
    pub(super) interface: Option<u32>,
    pub(super) now: i64,
}

/// A RST that was accepted.
#[derive(Copy, Clone, Debug)]
pub(super) struct Reset {
    pub(super) side: Side,
    /// What it acknowledges, as [`Piece::bound`](super::store::Piece::bound), if anything.
    pub(super) bound: Option<u64>,
    pub(super) at: FramePos,
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
    pub(super) halves: [Half; 2],
    /// Clock at its latest segment.
    pub(super) seen: i64,
    /// And at each side's latest with bytes that can be its own.
    pub(super) heard: [i64; 2],
    /// The initiator is the key's lower endpoint.
    pub(super) initiator_low: bool,
    /// It was captured in several places: what a snapshot length cut off in one may come whole from another.
    pub(super) several: bool,
    /// The consumer lost interest.
    pub(super) dropped: bool,
    /// More than SYNs was seen.
    pub(super) established: bool,
    /// It stands in the table's queue of those that hold bytes.
    pub(super) holder: bool,
    /// A RST that was accepted.
    pub(super) reset: Option<Reset>,
    /// A RST that came before all else, and may be its end.
    pub(super) early: Option<Box<EarlyReset>>,
    /// Its closing wait was queued.
    closing: bool,
}

impl<S> Connection<S> {
    /// A connection whose first segment is `segment`; `open` makes the consumer's session.
    pub(super) fn new(
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
            fins_in_gaps: [None; 2],
            files: vec![at.file],
            syn: [false; 2],
            vlan: segment.vlan,
            tunnel: segment.tunnel,
            interface,
            closed_by: None,
            reset_by: None,
        };
        let session = open(&info);
        Connection {
            info,
            session,
            halves: [Half::new(), Half::new()],
            seen: 0,
            heard: [at.ts.0; 2],
            initiator_low: from_low == sender_initiates,
            several: false,
            dropped: false,
            established: false,
            holder: false,
            reset: None,
            early: None,
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

    pub(super) fn side(&self, from_low: bool) -> Side {
        if from_low == self.initiator_low { Side::Initiator } else { Side::Responder }
    }

    pub(super) fn is_low(&self, side: Side) -> bool {
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
        if self.reset.is_none() && self.ending() || self.halves.iter().all(Half::done) {
            EndReason::Fin
        } else if self.reset.is_some() {
            EndReason::Rst
        } else {
            cause
        }
    }

    /// Takes a RST that came before all else for its end, if it stands behind all that was sent.
    pub(super) fn recall_reset(&mut self) {
        let Some(early) = self.early.take().filter(|_| self.reset.is_none()) else { return };
        let side = self.side(early.from_low);
        let (half, peer) = (self.half(side), self.half(side.opposite()));
        let bound = early.ack.map(|ack| peer.offset_of(ack).unwrap_or(0));
        let fits = match half.start {
            // The answer to a SYN.
            Start::Unseen => bound == Some(peer.known_end()),
            _ => half.offset_of(early.seq) == Some(half.known_end()),
        };
        if fits {
            self.reset = Some(Reset { side, bound, at: early.at });
            self.info.frames += 1;
            self.info.frames_by[side.index()] += 1;
        }
    }

    /// Who ended it: causal order decides between two FINs, or a FIN and a RST, where one acknowledges the other; else
    /// the time of capture.
    pub(super) fn closed_by(&self) -> Option<Side> {
        let fin = |side| self.half(side).fin().map(|fin| Reset { side, bound: Some(fin.bound), at: fin.at });
        let ends = [fin(Side::Initiator), fin(Side::Responder), self.reset];
        let Some(first) = ends.into_iter().flatten().min_by_key(|end| (end.at.ts, end.at.index)) else {
            return self.info.closed_by;
        };
        let peer = self.half(first.side.opposite());
        let bound = peer.resolve(first.bound.unwrap_or(0), self.half(first.side).window());
        let knows = peer.fin().is_some_and(|fin| bound > fin.offset);
        Some(if knows { first.side.opposite() } else { first.side })
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
                    || peer.offset_of(segment.ack).is_none_or(|ack| ack >= peer.earliest())
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
        let over = self.reset.is_some() || self.halves.iter().any(Half::closing);
        let never = !self.established;
        let quiet = now.saturating_sub(self.seen) > QUIET;
        let within = half
            .offset_of(segment.seq)
            .is_some_and(|offset| offset >= half.next && offset <= half.seen_end + peer.window());
        if over || never || quiet || !within { Belongs::Next } else { Belongs::Neither }
    }
}

/// Whether the sender of a connection's first segment is the initiator, and how that is known.
fn roles(segment: &Segment<'_>) -> (bool, Roles) {
    if segment.flags.syn {
        return (!segment.flags.ack, Roles::Handshake);
    }
    let rank = |address: SocketAddr| match address.port() {
        port if is_mail_port(port) => 0u8,
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
    /// After any change: delivers what can be, keeps bounds, starts waits, sees whether it is over.
    pub(super) fn settle<C: Consumer<Session = S>>(&mut self, ctx: &mut Context<'_, C>) -> Status {
        if !self.dropped {
            if self.halves.iter().any(Half::pending) {
                self.drain([0; 2], GapCause::Lost, ctx);
                self.keep_bounds(ctx);
            }
            self.start_waits(ctx);
        }
        self.find_fins();
        let acknowledged = |half: &Half| half.ended && half.acked > half.next;
        if self.halves.iter().all(acknowledged) && self.reset.is_none() {
            return Status::Over(EndReason::Fin);
        }
        if self.ending() {
            self.close_later(ctx);
        }
        Status::Open
    }

    /// Whether nothing but latecomers is to be expected.
    fn ending(&self) -> bool {
        self.reset.is_some()
            || self.halves.iter().all(|half| half.done() || half.start == Start::Unseen)
                && self.halves.iter().any(Half::done)
    }

    fn start_waits<C: Consumer<Session = S>>(&mut self, ctx: &mut Context<'_, C>) {
        for side in [Side::Initiator, Side::Responder] {
            let peer_unseen = self.half(side.opposite()).start == Start::Unseen;
            let half = self.half_mut(side);
            if half.start == Start::Unseen {
                continue;
            }
            if half.acked > half.reach() && half.acked > half.queued {
                half.queued = half.acked;
                let kind = WaitKind::Acknowledged(half.acked);
                self.wait(side, kind, ctx);
            } else if peer_unseen
                && let Some((first, piece)) = half.store().and_then(|store| store.first())
                && let upto = if piece.data.is_empty() { first + piece.len } else { first }
                && upto > half.queued
            {
                half.queued = upto;
                self.wait(side, WaitKind::Unconfirmed(upto, 0), ctx);
            }
        }
    }

    pub(super) fn close_later<C: Consumer<Session = S>>(&mut self, ctx: &mut Context<'_, C>) {
        if !self.closing {
            self.closing = true;
            self.wait(Side::Initiator, WaitKind::Closing, ctx);
        }
    }

    pub(super) fn wait<C: Consumer<Session = S>>(&mut self, side: Side, kind: WaitKind, ctx: &mut Context<'_, C>) {
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
            WaitKind::Closing if !self.ending() => {
                // An end that was assumed was none.
                self.closing = false;
            }
            WaitKind::Closing => {
                let cause = if self.reset.is_some() { EndReason::Rst } else { EndReason::Fin };
                return Status::Over(cause);
            }
            WaitKind::Unseen => self.half_mut(side).absent = true,
            WaitKind::Beginning => self.half_mut(side).run(),
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
                half.run();
                half.ended |= half.buffers.take().is_some_and(|buffers| buffers.fin.is_some());
            }
        }
    }
}
