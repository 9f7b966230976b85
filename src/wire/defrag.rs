//! IP datagrams from their fragments (RFC 791 §3.2, RFC 8200 §4.5), in any order.
//!
//! Where fragments overlap, the first to come wins. Bounded in datagrams, fragments and bytes; the oldest datagram
//! goes first.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use twox_hash::XxHash3_64;

use crate::limits::Limits;
use crate::position::Timestamp;

/// Datagrams that were put together and are remembered.
const KNOWN: usize = 512;

/// Nanoseconds for which the last fragment of one of them once more is a copy, as mirrored ports make.
const COPY: i64 = 500_000_000;

/// Largest payload of a datagram.
const LARGEST: u32 = 65_535;

/// What fragments of one datagram have in common.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) id: u32,
    /// IPv4's protocol; 0 in IPv6, where it is no part of the identity.
    pub(super) protocol: u8,
}

/// One fragment.
#[derive(Copy, Clone, Debug)]
pub(super) struct Fragment<'a> {
    /// Offset in the datagram's payload, bytes.
    pub(super) offset: u32,
    /// Whether more follow.
    pub(super) more: bool,
    /// Captured bytes.
    pub(super) data: &'a [u8],
    /// Bytes behind them that were not captured.
    pub(super) cut: u32,
    /// What the payload is, as this fragment says.
    pub(super) protocol: u8,
}

/// What became of a fragment.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It waits for others.
    Held,
    /// A bound was reached; its datagram is given up.
    Limit,
    /// It can't be part of any datagram.
    Malformed,
    /// Its datagram is whole. `cut` bytes of the end were not captured.
    Complete { data: Vec<u8>, cut: u32, protocol: u8 },
}

#[derive(Clone, Debug)]
struct Datagram {
    /// Tells it from an earlier one under the same key.
    serial: u64,
    first: Timestamp,
    data: Vec<u8>,
    /// What has come, sorted, neither overlapping nor touching.
    ranges: Vec<(u32, u32)>,
    /// End of the last fragment.
    total: Option<u32>,
    protocol: u8,
    fragments: usize,
    /// Everything before it was captured.
    captured: u32,
}

/// The datagrams being put together.
#[derive(Clone, Debug, Default)]
pub(super) struct Defragmenter {
    datagrams: HashMap<Key, Datagram>,
    /// Keys by age; may name some that are gone.
    order: VecDeque<(Key, u64)>,
    bytes: usize,
    serial: u64,
    /// Those that were put together lately: when, by which fragment.
    known: HashMap<Key, (Timestamp, u32, u64)>,
    /// Their keys, the oldest first; may name some twice.
    known_order: VecDeque<Key>,
    /// Datagrams given up.
    pub(super) evicted: u64,
}

impl Defragmenter {
    /// Unfinished datagrams.
    #[cfg(test)]
    pub(super) fn unfinished(&self) -> usize {
        self.datagrams.len()
    }

    /// Bytes that they take.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a fragment seen at `ts`.
    pub(super) fn add(&mut self, key: Key, fragment: Fragment<'_>, ts: Timestamp, limits: &Limits) -> Outcome {
        let captured = u32::try_from(fragment.data.len()).unwrap_or(u32::MAX);
        let length = captured.saturating_add(fragment.cut);
        let end = fragment.offset.saturating_add(length);
        if end > LARGEST || (fragment.more && length == 0) {
            return Outcome::Malformed;
        }
        // Identifications come round again: an old half of another datagram must not be joined.
        let stale = |d: &Datagram| ts.nanos_since(d.first).saturating_abs() > limits.fragment_timeout;
        if self.datagrams.get(&key).is_some_and(stale) {
            self.give_up(&key);
        }
        if !self.datagrams.contains_key(&key) {
            // What the copy of a last fragment would begin, the next datagram of that identification would be joined
            // with.
            if let Some((done, offset, hash)) = self.known.get(&key)
                && ts.nanos_since(*done).saturating_abs() <= COPY
                && (fragment.offset, XxHash3_64::oneshot(fragment.data)) == (*offset, *hash)
            {
                return Outcome::Held;
            }
            self.start(key, &fragment, ts, limits);
        }
        let Some(datagram) = self.datagrams.get_mut(&key) else { return Outcome::Limit };
        datagram.fragments += 1;
        if datagram.fragments > limits.fragments_per_datagram {
            self.give_up(&key);
            return Outcome::Limit;
        }
        if fragment.offset == 0 {
            datagram.protocol = fragment.protocol;
        }
        if !fragment.more && datagram.total.is_none() {
            datagram.total = Some(end);
        }
        let before = datagram.data.len();
        datagram.insert(&fragment, end);
        self.bytes += datagram.data.len() - before;
        if datagram.is_whole() {
            self.remember(key, (ts, fragment.offset, XxHash3_64::oneshot(fragment.data)));
            return match self.remove(&key) {
                Some(whole) => whole.finish(),
                None => Outcome::Limit,
            };
        }
        while self.bytes > limits.fragment_bytes && self.give_up_oldest() {}
        if self.datagrams.contains_key(&key) { Outcome::Held } else { Outcome::Limit }
    }

    fn remember(&mut self, key: Key, last: (Timestamp, u32, u64)) {
        if self.known_order.len() >= KNOWN
            && let Some(oldest) = self.known_order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known_order.push_back(key);
        self.known.insert(key, last);
    }

    fn start(&mut self, key: Key, fragment: &Fragment<'_>, ts: Timestamp, limits: &Limits) {
        while self.datagrams.len() >= limits.fragment_datagrams.max(1) && self.give_up_oldest() {}
        if self.order.len() > limits.fragment_datagrams.saturating_mul(2) {
            let datagrams = &self.datagrams;
            self.order.retain(|(key, serial)| datagrams.get(key).is_some_and(|d| d.serial == *serial));
        }
        self.serial += 1;
        self.order.push_back((key, self.serial));
        self.datagrams.insert(
            key,
            Datagram {
                serial: self.serial,
                first: ts,
                data: Vec::new(),
                ranges: Vec::new(),
                total: None,
                protocol: fragment.protocol,
                fragments: 0,
                captured: u32::MAX,
            },
        );
    }

    fn remove(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.datagrams.remove(key)?;
        self.bytes -= datagram.data.len();
        Some(datagram)
    }

    fn give_up(&mut self, key: &Key) {
        if self.remove(key).is_some() {
            self.evicted += 1;
        }
    }

    /// False if there is none.
    fn give_up_oldest(&mut self) -> bool {
        while let Some((key, serial)) = self.order.pop_front() {
            if self.datagrams.get(&key).is_some_and(|d| d.serial == serial) {
                self.give_up(&key);
                return true;
            }
        }
        false
    }
}

impl Datagram {
    /// Copies in what is new of a fragment that ends at `end`.
    fn insert(&mut self, fragment: &Fragment<'_>, end: u32) {
        let have = fragment.offset + u32::try_from(fragment.data.len()).unwrap_or(u32::MAX);
        if self.data.len() < end as usize {
            self.data.resize(end as usize, 0);
        }
        // The ranges that touch the fragment become one with it; the holes between them are filled.
        let first = self.ranges.partition_point(|&(_, to)| to < fragment.offset);
        let last = self.ranges.partition_point(|&(from, _)| from <= end);
        let mut at = fragment.offset;
        let mut merged = (fragment.offset, end);
        for &(from, to) in self.ranges.get(first..last).unwrap_or_default() {
            merged = (merged.0.min(from), merged.1.max(to));
            copy(&mut self.data, &mut self.captured, fragment, have, (at, from));
            at = at.max(to);
        }
        copy(&mut self.data, &mut self.captured, fragment, have, (at, end));
        self.ranges.splice(first..last, [merged]);
    }

    fn is_whole(&self) -> bool {
        let Some(total) = self.total else { return false };
        self.ranges.first().is_some_and(|&(from, to)| from == 0 && to >= total)
    }

    fn finish(mut self) -> Outcome {
        let total = self.total.unwrap_or(0);
        let captured = self.captured.min(total);
        self.data.truncate(captured as usize);
        Outcome::Complete { data: self.data, cut: total - captured, protocol: self.protocol }
    }
}

/// Copies a fragment's bytes of the stretch from `from` to `to`, of which it has those before `have`.
fn copy(data: &mut [u8], captured: &mut u32, fragment: &Fragment<'_>, have: u32, (from, to): (u32, u32)) {
    if from >= to {
        return;
    }
    if to > have {
        *captured = (*captured).min(from.max(have));
    }
    let to = to.min(have).max(from);
    let source = (from - fragment.offset) as usize..(to - fragment.offset) as usize;
    if let (Some(target), Some(source)) = (data.get_mut(from as usize..to as usize), fragment.data.get(source)) {
        target.copy_from_slice(source);
    }
}
