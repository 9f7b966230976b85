//! Resets that came before anything else of their connection.
//!
//! In a capture in order that is the end of a connection that began before it, and nothing is made of it. Where two
//! interfaces' clocks differ, or packets stand backwards, its connection follows: a SYN whose refusal stands before it
//! must not seem unanswered. So they are kept for as long as reordering is allowed for, and for a bounded number.

use std::collections::{HashMap, VecDeque};

use crate::flow::key::{Key, KeyHash};
use crate::limits::Limits;
use crate::position::FramePos;

/// Resets kept.
const KEPT: usize = 1024;

#[derive(Copy, Clone, Debug)]
pub(super) struct EarlyReset {
    pub(super) from_low: bool,
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) at: FramePos,
    /// Clock when it came.
    pub(super) time: i64,
}

#[derive(Debug, Default)]
pub(super) struct EarlyResets {
    map: HashMap<Key, EarlyReset, KeyHash>,
    /// Their keys and frames, in order; an entry whose frame differs from the map's is stale.
    queue: VecDeque<(Key, u64)>,
}

impl EarlyResets {
    /// Keeps it, unless there is an earlier one; the oldest of all goes first.
    pub(super) fn insert(&mut self, key: Key, reset: EarlyReset) {
        if self.map.contains_key(&key) {
            return;
        }
        while self.queue.len() >= KEPT {
            let Some((oldest, frame)) = self.queue.pop_front() else { break };
            if self.map.get(&oldest).is_some_and(|kept| kept.at.index == frame) {
                self.map.remove(&oldest);
            }
        }
        self.queue.push_back((key, reset.at.index));
        self.map.insert(key, reset);
    }

    /// The one of a connection that begins now.
    pub(super) fn take(&mut self, key: &Key, at: FramePos, now: i64, limits: &Limits) -> Option<EarlyReset> {
        if self.map.is_empty() {
            return None;
        }
        self.map.remove(key).filter(|reset| {
            let frames = at.index.saturating_sub(reset.at.index);
            !limits.reordering_is_over(frames, now.saturating_sub(reset.time))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: usize) -> Key {
        Key::new(([10, 0, 0, 1], 25).into(), ([10, 0, (port >> 8) as u8, port as u8], 1000).into()).0
    }

    fn reset(frame: u64, seq: u32) -> EarlyReset {
        let at = FramePos { index: frame, number: frame, ..FramePos::default() };
        EarlyReset { from_low: true, seq, ack: None, at, time: frame as i64 * 10 }
    }

    fn taken(resets: &mut EarlyResets, port: usize, frame: u64, now: i64) -> Option<u32> {
        let limits = Limits { reorder_frames: 50, reorder_least_time: 0, reorder_time: 700, ..Limits::default() };
        let at = FramePos { index: frame, ..FramePos::default() };
        resets.take(&key(port), at, now, &limits).map(|reset| reset.seq)
    }

    #[test]
    fn one_is_taken_once_and_within_what_reordering_is_allowed() {
        for (frame, now, found) in [(149, 1699, true), (150, 1699, false), (149, 1700, false)] {
            let mut resets = EarlyResets::default();
            resets.insert(key(1), reset(100, 7));
            assert_eq!(taken(&mut resets, 2, frame, now), None);
            assert_eq!(taken(&mut resets, 1, frame, now), found.then_some(7), "{frame} {now}");
            assert_eq!(taken(&mut resets, 1, frame, now), None);
        }
    }

    #[test]
    fn the_earlier_of_two_stays() {
        let mut resets = EarlyResets::default();
        resets.insert(key(1), reset(100, 7));
        resets.insert(key(1), reset(101, 8));
        assert_eq!(taken(&mut resets, 1, 102, 1020), Some(7));
    }

    #[test]
    fn beyond_the_bound_the_oldest_goes_and_no_other() {
        let mut resets = EarlyResets::default();
        // The first was taken and came again: its old entry must not take the new one along.
        resets.insert(key(0), reset(0, 0));
        assert_eq!(taken(&mut resets, 0, 1, 10), Some(0));
        for n in 0..KEPT {
            resets.insert(key(n), reset(n as u64 + 1, 0));
        }
        assert_eq!((resets.map.len(), resets.queue.len()), (KEPT, KEPT));
        resets.insert(key(KEPT), reset(KEPT as u64 + 1, 0));
        assert_eq!((resets.map.len(), resets.queue.len()), (KEPT, KEPT));
        assert!(!resets.map.contains_key(&key(0)));
        assert!((1..=KEPT).all(|n| resets.map.contains_key(&key(n))));
    }
}
