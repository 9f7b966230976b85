//! What is left of closed connections: enough to tell their late segments from a new connection's first.
//!
//! Like TIME-WAIT (RFC 9293 §3.6.1), for two minutes of capture time and for a bounded number of connections.

use std::collections::{HashMap, VecDeque};

use crate::flow::Interest;
use crate::flow::key::{Key, KeyHash};
use crate::flow::seq::distance;
use crate::wire::Segment;

/// Nanoseconds that a remnant is kept: twice a maximum segment lifetime of one minute.
const KEEP: i64 = 120_000_000_000;

/// Bytes beyond the last one seen that can still have been under way.
const SLACK: i32 = 1 << 20;

/// The sequence numbers that a direction used: of its first byte, and behind its last. None if it was not seen.
pub(super) type Range = Option<(u32, u32)>;

#[derive(Copy, Clone, Debug)]
struct Remnant {
    /// By whether the sender is the key's lower endpoint.
    ranges: [Range; 2],
    interest: Interest,
    time: i64,
}

#[derive(Debug, Default)]
pub(super) struct Remnants {
    map: HashMap<Key, Remnant, KeyHash>,
    /// In order of time; an entry whose time differs from the map's is stale.
    queue: VecDeque<(Key, i64)>,
}

impl Remnants {
    /// Remembers a connection that ended; at most `bound` of them, the oldest goes first.
    pub(super) fn insert(&mut self, key: Key, ranges: [Range; 2], interest: Interest, time: i64, bound: usize) {
        while self.queue.len() >= bound.max(1) {
            self.pop();
        }
        self.map.insert(key, Remnant { ranges, interest, time });
        self.queue.push_back((key, time));
    }

    /// The interest in the closed connection to which a segment without a connection belongs; none where it belongs to
    /// none. `now` may be its own time, ahead of the clock: of a SYN that is enough, as behind a pause the clock
    /// follows some frames later only.
    pub(super) fn late(&self, key: &Key, from_low: bool, segment: &Segment<'_>, now: i64) -> Option<Interest> {
        let remnant = self.map.get(key)?;
        let (seq, syn) = (segment.seq, segment.flags.syn);
        if syn && now.saturating_sub(remnant.time) > KEEP {
            return None;
        }
        let [high, low] = remnant.ranges;
        let is_late = match if from_low { low } else { high } {
            Some((first, _)) if syn => seq.wrapping_add(1) == first,
            Some((first, end)) => distance(first, seq) >= -1 && distance(end, seq) <= SLACK,
            None => !syn,
        };
        is_late.then_some(remnant.interest)
    }

    /// Forgets those that are old enough.
    pub(super) fn expire(&mut self, now: i64) {
        while self.queue.front().is_some_and(|&(_, time)| now.saturating_sub(time) > KEEP) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((key, time)) = self.queue.pop_front()
            && self.map.get(&key).is_some_and(|remnant| remnant.time == time)
        {
            self.map.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TcpFlags;

    fn key(port: u16) -> Key {
        Key::new(([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 25).into()).0
    }

    fn late(remnants: &Remnants, port: u16, from_low: bool, (seq, syn): (u32, bool), now: i64) -> Option<Interest> {
        let end = ([10, 0, 0, 1], port).into();
        let segment = Segment {
            src: end,
            dst: end,
            seq,
            ack: 0,
            window: 0,
            window_scale: None,
            flags: TcpFlags { syn, ..TcpFlags::default() },
            payload: &[],
            missing_tail: 0,
            vlan: None,
            tunnel: None,
        };
        remnants.late(&key(port), from_low, &segment, now)
    }

    #[test]
    fn late_or_new() {
        let mut remnants = Remnants::default();
        remnants.insert(key(1), [Some((100, 200)), None], Interest::Keep, 0, 10);
        assert_eq!(late(&remnants, 1, false, (150, false), 0), Some(Interest::Keep));
        assert_eq!(late(&remnants, 1, false, (200, false), 0), Some(Interest::Keep));
        assert_eq!(late(&remnants, 1, false, (99, true), 0), Some(Interest::Keep), "its own SYN once more");
        assert_eq!(late(&remnants, 1, false, (99, true), KEEP), Some(Interest::Keep));
        assert_eq!(late(&remnants, 1, false, (99, true), KEEP + 1), None, "the same number, much later");
        assert_eq!(late(&remnants, 1, false, (150, false), KEEP + 1), Some(Interest::Keep), "its time may be wild");
        assert_eq!(late(&remnants, 1, false, (150, true), 0), None, "another SYN");
        assert_eq!(late(&remnants, 1, false, (90, false), 0), None);
        assert_eq!(late(&remnants, 1, false, (10_000_000, false), 0), None);
        assert_eq!(late(&remnants, 1, true, (7, false), 0), Some(Interest::Keep));
        assert_eq!(late(&remnants, 2, true, (7, false), 0), None);
        remnants.expire(KEEP);
        assert_eq!(late(&remnants, 1, false, (150, false), 0), Some(Interest::Keep));
        remnants.expire(KEEP + 1);
        assert_eq!(late(&remnants, 1, false, (150, false), 0), None);
    }

    #[test]
    fn bounded() {
        let mut remnants = Remnants::default();
        for port in 0..100 {
            remnants.insert(key(port), [None, None], Interest::Keep, 0, 10);
        }
        assert_eq!((remnants.map.len(), remnants.queue.len()), (10, 10));
        assert_eq!(late(&remnants, 89, true, (7, false), 0), None);
        assert_eq!(late(&remnants, 90, true, (7, false), 0), Some(Interest::Keep));
    }
}
