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
            at.index.saturating_sub(reset.at.index) < limits.reorder_frames
                && now.saturating_sub(reset.time) < limits.reorder_time
        })
    }
}
