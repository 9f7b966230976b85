//! The end of a round: what crosses shards is settled, and their events become one sequence.
//!
//! Everything here is in order of (frame, shard, call), which the input alone decides. A round may end at any frame:
//! where it does is not seen in what comes out. Only at a *boundary*, every [`BOUNDARY`] frames, do the shards look at
//! the clock and the bounds over all of them change.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::sessions::Given;
use super::shard::{Place, SHARDS, Shard, Told, before};
use crate::flow::Consumer;
use crate::limits::Limits;
use crate::tls::SessionCache;
use crate::tls::resume::Added;

/// Frames between boundaries.
pub(super) const BOUNDARY: u64 = 4096;

/// Payload bytes after which a round ends early, as it is held in memory.
pub(super) const ROUND_BYTES: u64 = 4 << 20;

/// The same until a first round is over, which is to show soon what others will be like.
pub(super) const FIRST_BYTES: u64 = 64 << 10;

/// Of the free reassembly memory, what each shard may take until the next boundary: one in this many. Loss comes in few
/// connections at a time, so that 1 in [`SHARDS`] would be mean.
const GRANT: usize = 4;

/// Likewise of what sessions may keep: one in so many, as there are more of them.
const SESSION_GRANT: usize = 16;

/// The shards, each behind its lock.
pub(super) struct Shards(pub(super) Vec<Mutex<Shard>>);

/// Something that concerns other shards.
enum Crossing {
    Added(Vec<Added>),
    Parked(u64),
}

impl Shards {
    pub(super) fn lock(&self, number: usize) -> Option<MutexGuard<'_, Shard>> {
        Some(self.0.get(number)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        (0..self.0.len()).filter_map(|number| self.lock(number))
    }

    /// Ends a round, or the part of it before the first frame at which a shard stopped: nobody works on the shards.
    /// What there is to tell of it, in order, goes to `out`; `own` is what the reader has to add. Adds what sessions were
    /// given to `given`. Says whether the round is over.
    pub(super) fn end_round(
        &self,
        cache: &SessionCache,
        own: &mut Vec<(Place, Told)>,
        given: &mut Given,
        out: &mut Vec<Told>,
    ) -> bool {
        let mut stops: Vec<u64> = self.all().filter_map(|shard| shard.stopped).collect();
        stops.sort_unstable();
        let stopped = stops.first().copied();
        let next = stops.get(1).copied().unwrap_or(u64::MAX);
        let settled = self.settle_sessions(cache, stopped.unwrap_or(u64::MAX));
        let until = settled.or(stopped).unwrap_or(u64::MAX);
        let over = settled.is_none() && stopped.is_none();
        let mut told: Vec<Vec<(Place, Told)>> = Vec::new();
        for mut shard in self.all() {
            *given += std::mem::take(&mut shard.sessions.given);
            if !shard.sessions.events.is_empty() {
                told.push(shard.sessions.take_events(until));
            }
            shard.sessions.first = if shard.stopped.is_some() && shard.stopped == stopped { next } else { 0 };
            shard.stopped = None;
            if over {
                shard.done = 0;
            }
        }
        if !own.is_empty() {
            told.push(own.drain(..before(own, until)).collect());
        }
        merge(told, out);
        over
    }

    /// Behind a boundary's round: shares out what is bounded over all.
    pub(super) fn settle_bounds(&self, cache: &SessionCache, limits: &Limits) {
        cache.settle(limits.tls_sessions, limits.tls_flights);
        let tried = self.all().map(|mut shard| shard.sessions.cache.take_tried()).sum();
        let tries = cache.count_tried(tried);
        let total = limits.reassembly_total_bytes;
        let held: usize = self.all().map(|shard| shard.table.held()).sum();
        let free = total.saturating_sub(held);
        let kept: usize = self.all().map(|shard| shard.sessions.kept()).sum();
        for mut shard in self.all() {
            let own = shard.table.held();
            // Beyond the bound each gives back in proportion.
            let keeps = if held > total { (own as u128 * total as u128 / held as u128) as usize } else { own };
            shard.sessions.cache.grant(tries);
            shard.table.grant(keeps.saturating_add(free / GRANT));
            // Beyond the bound all have to give back, and whoever keeps little keeps it.
            let own = shard.sessions.kept();
            let keeps = if kept > limits.session_bytes { own.min(limits.session_bytes / SHARDS) } else { own };
            shard.table.grant_sessions(keeps.saturating_add(session_grant(limits, kept)));
        }
    }

    /// TLS sessions that began are told to all; sessions that wait for one go on, each seeing what began before it.
    /// What is at that frame or behind has to wait, as a shard has not got there.
    ///
    /// Gives the frame before which there is enough to tell, if that comes first: the rest has to wait, too.
    fn settle_sessions(&self, cache: &SessionCache, until: u64) -> Option<u64> {
        let mut crossings: BTreeMap<(Place, usize, bool), Crossing> = BTreeMap::new();
        let mut waiting = false;
        for (number, mut shard) in self.all().enumerate() {
            let ready = before(&shard.sessions.added, until);
            for (place, added) in shard.sessions.added.drain(..ready) {
                crossings.insert((place, number, false), Crossing::Added(added));
            }
            for (place, id) in shard.sessions.parked().filter(|(place, _)| place.0 < until) {
                waiting = true;
                crossings.insert((place, number, true), Crossing::Parked(id));
            }
        }
        let mut settled = None;
        let mut last = None;
        while let Some((&(place, number, _), _)) = crossings.first_key_value() {
            let enough = || self.lock(number).is_some_and(|shard| shard.sessions.are_full());
            if last.is_some_and(|last| last < place.0) && enough() {
                settled = Some(place.0);
                break;
            }
            let Some((_, crossing)) = crossings.pop_first() else { break };
            last = Some(place.0);
            match crossing {
                Crossing::Added(added) => added.into_iter().for_each(|added| cache.share(added)),
                Crossing::Parked(id) => {
                    let Some(mut shard) = self.lock(number) else { continue };
                    let later = shard.sessions.added.len();
                    if let Some(next) = shard.sessions.replay(id).filter(|next| next.0 < until) {
                        crossings.insert((next, number, true), Crossing::Parked(id));
                    }
                    for (_, added) in shard.sessions.added.drain(later..) {
                        added.into_iter().for_each(|added| cache.share(added));
                    }
                }
            }
        }
        if waiting {
            for mut shard in self.all() {
                // What was replayed was added behind what came later.
                shard.sessions.events.sort_by_key(|(place, _)| *place);
            }
        }
        // What was not shared is looked at again.
        for ((place, number, _), crossing) in crossings.into_iter().rev() {
            if let (Crossing::Added(added), Some(mut shard)) = (crossing, self.lock(number)) {
                shard.sessions.added.insert(0, (place, added));
            }
        }
        settled
    }
}

/// What each shard tells is in order; this is all of it in one sequence.
fn merge(mut told: Vec<Vec<(Place, Told)>>, out: &mut Vec<Told>) {
    if let [events] = &mut told[..] {
        out.extend(events.drain(..).map(|(_, event)| event));
        return;
    }
    let mut order: Vec<(Place, usize, usize)> = Vec::new();
    for (shard, events) in told.iter().enumerate() {
        order.extend(events.iter().enumerate().map(|(n, (place, _))| (*place, shard, n)));
    }
    // They are in order of shards, and within a shard the order is there already.
    order.sort_unstable_by_key(|&(place, shard, n)| (place.0, shard, n));
    let mut streams: Vec<_> = told.into_iter().map(Vec::into_iter).collect();
    for (_, shard, _) in order {
        out.extend(streams.get_mut(shard).and_then(Iterator::next).map(|(_, event)| event));
    }
}

/// What the sessions of a shard may keep until the next boundary besides what they do, where all keep so much.
pub(super) fn session_grant(limits: &Limits, kept: usize) -> usize {
    limits.session_bytes.saturating_sub(kept) / SESSION_GRANT
}

/// What a shard may hold until the first boundary.
pub(super) fn first_grant(limits: &Limits) -> usize {
    limits.reassembly_total_bytes / GRANT.min(SHARDS)
}
