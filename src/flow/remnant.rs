//! What is left of closed connections: enough to tell their late segments from a new connection's first.
//!
//! Like TIME-WAIT (RFC 9293 §3.6.1), for two minutes of capture time and for a bounded number of connections.

use std::collections::{HashMap, VecDeque};

use crate::flow::Interest;
use crate::flow::key::{Key, KeyHash};
use crate::flow::seq::distance;

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

    /// If a segment for which no connection is known belongs to a closed one: whether that is of interest.
    pub(super) fn late(&self, key: &Key, from_low: bool, seq: u32, syn: bool) -> Option<Interest> {
        let remnant = self.map.get(key)?;
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

    fn key(port: u16) -> Key {
        Key::new(([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 25).into()).0
    }

    #[test]
    fn late_or_new() {
        let mut remnants = Remnants::default();
        remnants.insert(key(1), [Some((100, 200)), None], Interest::Keep, 0, 10);
        assert_eq!(remnants.late(&key(1), false, 150, false), Some(Interest::Keep));
        assert_eq!(remnants.late(&key(1), false, 200, false), Some(Interest::Keep));
        assert_eq!(remnants.late(&key(1), false, 99, true), Some(Interest::Keep), "its own SYN once more");
        assert_eq!(remnants.late(&key(1), false, 150, true), None, "another SYN");
        assert_eq!(remnants.late(&key(1), false, 90, false), None);
        assert_eq!(remnants.late(&key(1), false, 10_000_000, false), None);
        assert_eq!(remnants.late(&key(1), true, 7, false), Some(Interest::Keep));
        assert_eq!(remnants.late(&key(2), true, 7, false), None);
        remnants.expire(KEEP);
        assert_eq!(remnants.late(&key(1), false, 150, false), Some(Interest::Keep));
        remnants.expire(KEEP + 1);
        assert_eq!(remnants.late(&key(1), false, 150, false), None);
    }

    #[test]
    fn bounded() {
        let mut remnants = Remnants::default();
        for port in 0..100 {
            remnants.insert(key(port), [None, None], Interest::Keep, 0, 10);
        }
        assert_eq!((remnants.map.len(), remnants.queue.len()), (10, 10));
        assert_eq!(remnants.late(&key(89), true, 7, false), None);
        assert_eq!(remnants.late(&key(90), true, 7, false), Some(Interest::Keep));
    }
}
