//! Bytes that the other side never acknowledged: sent again and again, or missing where that side closed without them.
//! The capture is not at fault then; they did not arrive.

use crate::diagnostic::Code;
use crate::flow::connection::{Connection, Context};
use crate::flow::drain::SIDES;
use crate::flow::half::{Half, Start};
use crate::flow::{Consumer, Side, StreamChunk};
use crate::fmt::count;

/// No timer for a retransmission is shorter (Linux: `TCP_RTO_MIN`, 200 ms): what comes sooner is a copy that the
/// capture made.
const TIMER: i64 = 200_000_000;

/// Retransmissions from which on the bytes count as lost on the way.
const REPEATS: u32 = 3;

/// Retransmissions of what the peer has yet to acknowledge.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Repeats {
    /// How far it had acknowledged.
    at: u64,
    count: u32,
    /// Time of the first, and of the latest.
    times: [i64; 2],
}

impl Repeats {
    /// A copy of bytes beyond `acked` came.
    pub(super) fn note(&mut self, acked: u64, now: i64) {
        if self.count == 0 || self.at != acked {
            *self = Repeats { at: acked, count: 1, times: [now; 2] };
        } else if now.saturating_sub(self.times[1]) >= TIMER {
            self.count = self.count.saturating_add(1);
            self.times[1] = now;
        }
    }
}

/// What is missing at a direction's end that its peer had not acknowledged.
#[derive(Copy, Clone, Debug)]
pub(super) struct Open {
    next: u64,
    delivered: u64,
}

impl<S> Connection<S> {
    /// Before everything held is delivered: where a direction has a hole that the other side, which closed, knows as
    /// well.
    pub(super) fn holes(&self) -> [Option<Open>; 2] {
        SIDES.map(|side| {
            let (half, peer) = (self.half(side), self.half(side.opposite()));
            let reset = self.reset.filter(|reset| reset.side == side.opposite()).map(|reset| reset.at);
            let closed = peer.fin().map(|fin| fin.at).or(reset);
            // What crossed its end may have arrived after it.
            let behind = half.store().and_then(|store| store.first()).map(|(_, piece)| piece.at.ts);
            let closed = closed.is_some_and(|end| behind.is_none_or(|ts| end.ts.nanos_since(ts) >= TIMER));
            let hole = half.start == Start::Running && !half.done() && half.acked <= half.next;
            let open = Open { next: half.next, delivered: self.info.bytes[side.index()] };
            (closed && hole && half.known_end() > half.next).then_some(open)
        })
    }

    /// Tells of bytes that did not arrive, when all was delivered.
    pub(super) fn tell_unacknowledged<C: Consumer<Session = S>>(
        &mut self,
        holes: [Option<Open>; 2],
        ctx: &mut Context<'_, C>,
    ) {
        for (side, hole) in SIDES.into_iter().zip(holes) {
            let peer = self.half(side.opposite());
            if self.dropped || peer.start == Start::Unseen {
                continue;
            }
            let detail = self.sent_in_vain(side).or_else(|| self.lost_on_the_way(side, hole?));
            if let Some(what) = detail {
                let sender = if side == Side::Initiator { self.info.initiator } else { self.info.responder };
                let (detail, at) = (format!("{what}, from {sender}"), self.info.last);
                self.emit(StreamChunk::Odd { side, code: Code::Unacknowledged, detail: &detail, at }, ctx);
            }
        }
    }

    fn sent_in_vain(&self, side: Side) -> Option<String> {
        let half = self.half(side);
        let repeats = half.buffers.as_ref()?.repeats;
        let bytes = end_of_data(half).saturating_sub(half.acked);
        let told = repeats.count >= REPEATS && repeats.at == half.acked && bytes > 0;
        told.then(|| {
            let seconds = (repeats.times[1] - repeats.times[0]) / 1_000_000_000;
            let bytes = count(bytes, "byte");
            format!("{bytes} were never acknowledged, though sent again {} times within {seconds} s", repeats.count)
        })
    }

    fn lost_on_the_way(&self, side: Side, hole: Open) -> Option<String> {
        let half = self.half(side);
        let passed = end_of_data(half).saturating_sub(hole.next);
        let missing = passed.saturating_sub(self.info.bytes[side.index()] - hole.delivered);
        // One alone may be a FIN's number.
        (missing > 1).then(|| {
            format!("{} are missing that were not acknowledged either: they did not arrive", count(missing, "byte"))
        })
    }
}

/// Where the bytes end of which anything is known.
fn end_of_data(half: &Half) -> u64 {
    half.fin().map_or(half.next, |fin| fin.offset.min(half.next))
}
