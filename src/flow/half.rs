//! One direction of a connection: where it stands in sequence space, and what it holds back.
//!
//! Offsets in here start at [`ORIGIN`], so that bytes before the first one seen have a place as well; the consumer
//! sees them counted from [`Half::origin`].

use crate::flow::intake::LATE_SYN;
use crate::flow::recent::Recent;
use crate::flow::seq;
use crate::flow::store::Store;
use crate::flow::unacknowledged::Repeats;
use crate::position::FramePos;

/// Where offsets start.
pub(super) const ORIGIN: u64 = 1 << 34;

/// Marks a bound that is an acknowledgement number as yet: nothing was seen of the direction that it counts in. Greater
/// than every offset.
pub(super) const UNRESOLVED: u64 = 1 << 63;

/// A window is never taken for smaller than this: probes, stale advertisements.
const LEAST_WINDOW: u32 = 65_535;

/// Shift for a window whose scale is not known: the largest there is (RFC 7323 §2.3).
const UNKNOWN_SCALE: u8 = 14;

/// How well the direction's beginning is known.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing of it was seen.
    Unseen,
    /// Without SYN: the lowest byte seen counts as the first, and data is held for the allowance, because an earlier
    /// byte, or the SYN, may follow.
    Tentative,
    /// Known: bytes flow.
    Running,
}

/// A FIN that was seen.
#[derive(Copy, Clone, Debug)]
pub(super) struct Fin {
    /// Offset behind the last byte.
    pub(super) offset: u64,
    /// As [`Piece::bound`](super::store::Piece::bound).
    pub(super) bound: u64,
    pub(super) at: FramePos,
}

/// What a direction needs once it carries data; absent until then, so that a lone SYN is cheap.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) store: Store,
    pub(super) recent: Recent,
    pub(super) fin: Option<Fin>,
    pub(super) repeats: Repeats,
}

#[derive(Debug)]
pub(super) struct Half {
    /// Offset of the next byte to deliver; everything before was delivered or declared lost.
    pub(super) next: u64,
    /// Offset of the stream's first byte.
    pub(super) origin: u64,
    /// Behind the highest byte seen.
    pub(super) seen_end: u64,
    /// How far it has sent by the sequence numbers of empty segments; a FIN counts as one.
    pub(super) sent: u64,
    /// How far the peer has acknowledged; a FIN counts as one.
    pub(super) acked: u64,
    /// How far waits have been queued.
    pub(super) queued: u64,
    pub(super) buffers: Option<Box<Buffers>>,
    /// Sequence number of `next`.
    pub(super) next_seq: u32,
    /// Largest window this side advertised, bytes.
    window: u32,
    pub(super) isn: Option<u32>,
    /// The peer's lowest and highest acknowledgement while nothing of this direction was seen.
    pub(super) hints: Option<(u32, u32)>,
    /// Window scale that this side offered on its SYN.
    scale: Option<u8>,
    pub(super) start: Start,
    /// It was waited for. As long as nothing of it is seen, it binds nothing.
    pub(super) absent: bool,
    /// Its end was delivered.
    pub(super) ended: bool,
    /// The peer acknowledged one number beyond the data and no more came: a FIN that was not captured.
    pub(super) fin_assumed: bool,
    /// Its last numbers were declared lost with nothing behind them: the last of all may have been a FIN's.
    pub(super) fin_in_gap: bool,
}

impl Half {
    pub(super) fn new() -> Self {
        Half {
            next: ORIGIN,
            origin: ORIGIN,
            seen_end: ORIGIN,
            sent: ORIGIN,
            acked: ORIGIN,
            queued: ORIGIN,
            buffers: None,
            next_seq: 0,
            window: 0,
            isn: None,
            hints: None,
            scale: None,
            start: Start::Unseen,
            absent: false,
            ended: false,
            fin_assumed: false,
            fin_in_gap: false,
        }
    }

    pub(super) fn buffers(&mut self) -> &mut Buffers {
        self.buffers.get_or_insert_default()
    }

    /// How far the direction has come, its FIN included: what an acknowledgement is compared with.
    /// Nothing, while earlier bytes may yet come.
    pub(super) fn reach(&self) -> u64 {
        if self.start == Start::Tentative { 0 } else { self.next + u64::from(self.done()) }
    }

    /// Whether the other direction's bytes with this bound may go.
    pub(super) fn has_reached(&self, bound: u64) -> bool {
        bound <= self.reach() || self.absent && bound & UNRESOLVED != 0
    }

    /// Nothing more is to come.
    pub(super) fn done(&self) -> bool {
        self.ended || self.fin_assumed && !self.pending()
    }

    /// What remains to be delivered, if all were there.
    pub(super) fn known_end(&self) -> u64 {
        let fin = self.fin().map_or(0, |fin| fin.offset + 1);
        self.seen_end.max(self.acked).max(self.sent).max(fin)
    }

    pub(super) fn fin(&self) -> Option<&Fin> {
        self.buffers.as_ref()?.fin.as_ref()
    }

    /// Whether its FIN was seen, or is assumed.
    pub(super) fn closing(&self) -> bool {
        self.done() || self.fin().is_some()
    }

    pub(super) fn store(&self) -> Option<&Store> {
        self.buffers.as_ref().map(|buffers| &buffers.store)
    }

    /// Whether something waits here: held bytes or an undelivered FIN.
    pub(super) fn pending(&self) -> bool {
        self.buffers.as_ref().is_some_and(|b| !b.store.is_empty() || (b.fin.is_some() && !self.ended))
    }

    /// Memory of what is held.
    pub(super) fn cost(&self) -> usize {
        self.store().map_or(0, Store::cost)
    }

    /// Offset of `seq`; none where it would lie before all offsets.
    pub(super) fn offset_of(&self, seq: u32) -> Option<u64> {
        seq::unwrap(self.next, self.next_seq, seq)
    }

    /// Begins the direction at `seq`.
    pub(super) fn begin(&mut self, seq: u32, start: Start) {
        self.next_seq = seq;
        self.start = start;
    }

    /// What an [`UNRESOLVED`] bound comes to, now that the direction has begun; 0 if it can't be meant.
    pub(super) fn resolve(&self, bound: u64, window: u64) -> u64 {
        if bound & UNRESOLVED == 0 {
            return bound;
        }
        self.offset_of(bound as u32).filter(|&offset| offset <= self.seen_end + 1 + window).unwrap_or(0)
    }

    /// Notes an acknowledgement by the peer while nothing was seen.
    pub(super) fn note_hint(&mut self, ack: u32) {
        let (low, high) = self.hints.unwrap_or((ack, ack));
        let low = if seq::distance(low, ack) < 0 { ack } else { low };
        let high = if seq::distance(high, ack) > 0 { ack } else { high };
        self.hints = Some((low, high));
    }

    /// It was waited for long enough: the first byte seen is the beginning, or there is none.
    pub(super) fn run(&mut self) {
        match self.start {
            Start::Unseen => self.absent = true,
            Start::Tentative => self.start = Start::Running,
            Start::Running => {}
        }
    }

    /// Begins it earlier than thought; only while nothing was delivered.
    pub(super) fn lower(&mut self, offset: u64) {
        let by = self.next.saturating_sub(offset);
        // Unless the peer acknowledged more.
        if self.acked <= self.next {
            self.acked = offset;
            self.queued = offset;
        }
        self.next = offset;
        self.origin = offset;
        self.next_seq = self.next_seq.wrapping_sub(by as u32);
    }

    /// Nothing was delivered or declared lost.
    pub(super) fn untouched(&self) -> bool {
        self.next == self.origin
    }

    /// Whether empty segments without SYN are all that was seen of it. They may be keep-alives, which have the number
    /// before the next (RFC 9293 §3.8.4).
    pub(super) fn only_probed(&self) -> bool {
        self.start != Start::Unseen
            && self.isn.is_none()
            && self.untouched()
            && self.seen_end == self.origin
            && self.buffers.as_ref().is_none_or(|b| b.fin.is_none() && b.store.is_empty())
    }

    /// What was taken for its first number was the one before it.
    pub(super) fn begin_behind_probe(&mut self) {
        self.origin += 1;
        (self.acked, self.queued) = (self.acked.max(self.origin), self.queued.max(self.origin));
        self.advance(1);
        self.fin_assumed = false;
    }

    /// The lowest offset at which the stream may yet turn out to begin.
    pub(super) fn earliest(&self) -> u64 {
        let may_be_late = self.start == Start::Tentative && self.untouched();
        self.origin - if may_be_late { LATE_SYN as u64 } else { 0 }
    }

    /// Moves on by `len` bytes.
    pub(super) fn advance(&mut self, len: u64) {
        self.next += len;
        self.next_seq = self.next_seq.wrapping_add(len as u32);
        self.seen_end = self.seen_end.max(self.next);
    }

    /// The last number that was declared lost was a FIN's.
    pub(super) fn take_fin_out(&mut self) {
        self.next -= 1;
        self.next_seq = self.next_seq.wrapping_sub(1);
        self.seen_end = self.seen_end.min(self.next);
        self.fin_in_gap = false;
        self.fin_assumed = true;
    }

    /// The offset that the consumer sees.
    pub(super) fn visible(&self, offset: u64) -> u64 {
        offset.saturating_sub(self.origin)
    }

    /// Notes a window as a header of this side has it. `peer` is the scale that the peer offered on its SYN (none
    /// inside: it offered none); none where that SYN was not seen.
    pub(super) fn note_window(&mut self, window: u16, on_syn: bool, peer: Option<Option<u8>>) {
        let shift = match (self.isn.map(|_| self.scale), peer) {
            _ if on_syn => 0,
            // Scaling holds only when both offered it (RFC 7323 §2.2).
            (Some(None), _) | (_, Some(None)) => 0,
            (Some(Some(scale)), _) => scale.min(UNKNOWN_SCALE),
            (None, _) => UNKNOWN_SCALE,
        };
        self.window = self.window.max(u32::from(window) << shift);
    }

    /// The scale offered on its SYN: none if no SYN was seen.
    pub(super) fn offered_scale(&self) -> Option<Option<u8>> {
        self.isn.map(|_| self.scale)
    }

    /// Notes this side's SYN.
    pub(super) fn note_syn(&mut self, isn: u32, scale: Option<u8>) {
        self.isn = Some(isn);
        self.scale = scale;
    }

    /// How far beyond what was seen the peer's bytes and this side's acknowledgements of them are believed.
    pub(super) fn window(&self) -> u64 {
        u64::from(self.window.max(LEAST_WINDOW))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_syn_is_small() {
        assert!(size_of::<Half>() <= 96, "{}", size_of::<Half>());
    }

    #[test]
    fn a_bound_from_before_the_beginning_is_resolved_within_the_window() {
        let mut half = Half::new();
        half.begin(100, Start::Running);
        let resolved = |seq: u32| half.resolve(UNRESOLVED | u64::from(seq), 1000);
        let at = half.next;
        assert_eq!(half.resolve(at + 7, 0), at + 7);
        assert_eq!(resolved(100), at);
        assert_eq!(resolved(90), at - 10);
        // A FIN's number more than the window.
        assert_eq!(resolved(1101), at + 1001);
        assert_eq!(resolved(1102), 0);
    }

    #[test]
    fn the_least_and_the_most_that_was_acknowledged_are_noted_over_the_wrap() {
        let mut half = Half::new();
        half.note_hint(5);
        assert_eq!(half.hints, Some((5, 5)));
        half.note_hint(0xffff_fff0);
        half.note_hint(40);
        half.note_hint(10);
        assert_eq!(half.hints, Some((0xffff_fff0, 40)));
    }

    #[test]
    fn an_earlier_beginning_keeps_what_was_acknowledged_beyond_it() {
        let begun = || {
            let mut half = Half::new();
            half.begin(100, Start::Tentative);
            half
        };
        let mut half = begun();
        let at = half.next;
        half.acked = at;
        half.lower(at - 30);
        assert_eq!((half.next, half.origin, half.acked, half.next_seq), (at - 30, at - 30, at - 30, 70));

        let mut half = begun();
        half.acked = at + 1;
        half.lower(at - 30);
        assert_eq!((half.next, half.acked), (at - 30, at + 1));
    }

    #[test]
    fn a_direction_that_is_not_in_the_capture_binds_by_resolved_bounds_only() {
        let mut half = Half::new();
        half.begin(100, Start::Running);
        let at = half.next;
        let unresolved = UNRESOLVED | 500;
        assert!(half.has_reached(at) && !half.has_reached(at + 1) && !half.has_reached(unresolved));
        half.absent = true;
        assert!(half.has_reached(at) && !half.has_reached(at + 1) && half.has_reached(unresolved));
    }

    #[test]
    fn a_fin_is_one_number_behind_the_last_byte() {
        let mut half = Half::new();
        let at = half.next;
        assert_eq!(half.known_end(), at);
        half.buffers().fin = Some(Fin { offset: at + 10, bound: 0, at: FramePos::default() });
        assert_eq!(half.known_end(), at + 11);
        assert!(half.closing() && !half.done());
    }

    #[test]
    fn only_an_untouched_beginning_that_is_not_sure_may_turn_out_earlier() {
        let mut half = Half::new();
        half.begin(100, Start::Tentative);
        assert_eq!(half.earliest(), half.origin - LATE_SYN as u64);
        half.advance(1);
        assert_eq!(half.earliest(), half.origin);
        let mut half = Half::new();
        half.begin(100, Start::Running);
        assert_eq!(half.earliest(), half.origin);
    }

    #[test]
    fn the_window_of_a_syn_is_not_scaled() {
        let mut half = Half::new();
        half.note_syn(1, Some(7));
        half.note_window(65_535, true, Some(Some(2)));
        assert_eq!(half.window(), 65_535);
        assert_eq!(half.offered_scale(), Some(Some(7)));
        assert_eq!(Half::new().offered_scale(), None);
    }

    #[test]
    fn windows_scale_only_when_both_offer() {
        let mut half = Half::new();
        half.note_window(1000, false, None);
        assert_eq!(half.window(), 1000 << 14);

        let mut half = Half::new();
        half.note_syn(1, Some(7));
        half.note_window(1000, true, None);
        half.note_window(1000, false, Some(Some(2)));
        assert_eq!(half.window(), 1000 << 7);

        let mut half = Half::new();
        half.note_syn(1, Some(7));
        half.note_window(65_535, false, Some(None));
        assert_eq!(half.window(), 65_535);
    }
}
