//! Rounds in which each thread reads the capture for itself and works on its own part of the shards.
//!
//! All of them find the same frames, and stop at the same one, so that shards stand where one thread alone would have
//! brought them. Who works on which shard is settled by the time that the last round took each, and by what its shards
//! had to do; nothing of that is seen in what comes out.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::round::{BOUNDARY, Shards};
use super::shard::{SHARDS, Shard, shard_of};
use crate::capture::Twin;
use crate::flow::Clock;
use crate::position::FramePos;
use crate::wire::{Decoded, Decoder, Segment};

/// Readers of one capture, the reader itself among them: what each of them reads and decodes for nothing adds up.
pub(super) const READERS: usize = 4;

/// What a segment costs besides its bytes, in bytes.
const SEGMENT: usize = 500;

/// Shards move to other threads where one has so many hundredths more to do than its part.
const UNEVEN: i64 = 105;

/// From frames to segments, and the time that it is meanwhile.
#[derive(Clone)]
pub(super) struct Track {
    pub(super) decoder: Decoder,
    pub(super) clock: Clock,
    pub(super) at: FramePos,
}

impl Track {
    /// The next frame is there.
    #[inline]
    pub(super) fn observe(&mut self, at: FramePos) {
        if at.index != self.at.index {
            self.clock.observe(at.ts.0);
        }
        self.at = at;
    }
}

/// The shards that a thread works on, locked.
pub(super) struct Own<'a>(Vec<Option<MutexGuard<'a, Shard>>>);

impl Own<'_> {
    /// Gives a segment to its shard if that is one of them. Says whether there is enough to tell, and the thread has to
    /// stop.
    pub(super) fn take(
        &mut self,
        number: usize,
        segment: &Segment<'_>,
        at: FramePos,
        now: i64,
        interface: Option<u32>,
    ) -> bool {
        let Some(Some(shard)) = self.0.get_mut(number) else { return false };
        shard.segment(segment, at, now, interface);
        let next = at.index + 1;
        let full = shard.sessions.stops_before(next);
        if full {
            shard.stopped = Some(next);
        }
        full
    }

    /// They look at the clock.
    pub(super) fn tick(&mut self, at: FramePos, now: i64) {
        self.0.iter_mut().flatten().for_each(|shard| shard.tick(at, now));
    }
}

/// A reader beside the first.
pub(super) struct Side {
    twin: Twin,
    track: Track,
    /// It has read the round, or all that it can.
    done: bool,
    /// What the round has taken it.
    busy: Duration,
}

impl Side {
    pub(super) fn new(twin: Twin, track: Track) -> Self {
        Side { twin, track, done: false, busy: Duration::ZERO }
    }

    /// Reads until the round is over, or there is enough to tell.
    fn read(&mut self, own: &mut Own<'_>) {
        while !self.done {
            let Some(frame) = self.twin.advance().then(|| self.twin.frame()).flatten() else {
                self.done = true;
                return;
            };
            let (at, interface) = (frame.pos, frame.interface);
            self.track.observe(at);
            let full = match self.track.decoder.decode(&frame) {
                Decoded::Segment(segment) => {
                    own.take(shard_of(&segment), &segment, at, self.track.clock.now(), interface)
                }
                Decoded::Unreachable(_) | Decoded::Skipped(_) => false,
            };
            if at.index % BOUNDARY == 0 {
                own.tick(at, self.track.clock.now());
            }
            self.done = ends_round(at.index);
            if full {
                return;
            }
        }
    }
}

/// Which thread works on which shard, and the readers beside the first.
pub(super) struct Twins {
    sides: Vec<Mutex<Option<Side>>>,
    parts: Mutex<Parts>,
}

/// Who works on what.
struct Parts {
    /// By shard: the side's number, or, for the first reader, how many there are.
    owners: [usize; SHARDS],
    /// What the first reader has to do besides, in what shards weigh: it tells, and ends rounds. Less than nothing
    /// where the sides are slower.
    besides: i64,
}

impl Twins {
    /// With that many threads besides the reader's.
    pub(super) fn new(threads: usize) -> Self {
        let sides = threads.min(READERS - 1);
        Twins {
            sides: std::iter::repeat_with(Mutex::default).take(sides).collect(),
            parts: Mutex::new(Parts { owners: std::array::from_fn(|shard| shard % (sides + 1)), besides: 0 }),
        }
    }

    /// Readers beside the first.
    pub(super) fn count(&self) -> usize {
        self.sides.len()
    }

    /// Lets these read with the first from the next round on, or nobody.
    pub(super) fn seat(&self, sides: impl IntoIterator<Item = Side>) {
        let mut sides = sides.into_iter();
        self.sides.iter().for_each(|seat| *lock(seat) = sides.next());
    }

    /// The shards of that side, or of the first reader, whose number is the last.
    pub(super) fn own<'a>(&self, number: usize, shards: &'a Shards) -> Own<'a> {
        let owners = lock(&self.parts).owners;
        let own = |shard| (owners.get(shard) == Some(&number)).then(|| shards.lock(shard)).flatten();
        let mut own = Own((0..SHARDS).map(own).collect());
        // Where one of them may go on, the thread may.
        let first = own.0.iter().flatten().map(|shard| shard.sessions.first).max().unwrap_or(0);
        own.0.iter_mut().flatten().for_each(|shard| shard.sessions.first = first);
        own
    }

    /// What the thread of that number has to do in a round.
    pub(super) fn work(&self, number: usize, shards: &Shards) {
        let Some(seat) = self.sides.get(number) else { return };
        if let Some(side) = &mut *lock(seat) {
            let begin = Instant::now();
            side.read(&mut self.own(number, shards));
            side.busy += begin.elapsed();
        }
    }

    /// Ends a round, which has taken the first reader so long: whether all stand at that frame. `weights` is what each
    /// shard had to do in it, by which the next one is shared out.
    pub(super) fn end_round(&self, at: FramePos, weights: &[usize; SHARDS], busy: Duration) -> bool {
        let mut together = true;
        let mut sides = Duration::ZERO;
        for seat in &self.sides {
            if let Some(side) = &mut *lock(seat) {
                together &= side.track.at.index == at.index;
                side.done = false;
                sides += std::mem::take(&mut side.busy);
            }
        }
        let mut parts = lock(&self.parts);
        let count = self.sides.len().max(1);
        let weight = weights.iter().sum::<usize>();
        parts.correct(busy, sides / count as u32, weight / (count + 1));
        parts.share_out(weights, count + 1);
        together
    }
}

impl Parts {
    /// Half of the difference between the first reader and the others, who each had so much to do, goes to whoever was
    /// faster.
    fn correct(&mut self, first: Duration, others: Duration, weight: usize) {
        let (first, others) = (first.as_nanos() as i64, others.as_nanos() as i64);
        let weight = weight as i64;
        let change = (first - others).saturating_mul(weight / 2) / first.max(others).max(1);
        self.besides = (self.besides + change).clamp(-weight, weight);
    }

    fn share_out(&mut self, weights: &[usize; SHARDS], parts: usize) {
        let begin = |sums: &mut Vec<i64>| {
            sums.clear();
            sums.resize(parts - 1, (-self.besides).max(0));
            sums.push(self.besides.max(0));
        };
        let mut sums = Vec::new();
        begin(&mut sums);
        for (owner, weight) in self.owners.iter().zip(weights) {
            if let Some(sum) = sums.get_mut(*owner) {
                *sum += *weight as i64;
            }
        }
        let part = sums.iter().sum::<i64>() / parts as i64;
        if sums.iter().all(|sum| *sum <= part.saturating_mul(UNEVEN) / 100) {
            return;
        }
        begin(&mut sums);
        let mut order: Vec<usize> = (0..SHARDS).collect();
        order.sort_by_key(|&shard| std::cmp::Reverse(weights.get(shard)));
        for shard in order {
            let Some((least, sum)) = sums.iter_mut().enumerate().min_by_key(|(_, sum)| **sum) else { return };
            *sum += weights.get(shard).copied().unwrap_or(0) as i64;
            if let Some(owner) = self.owners.get_mut(shard) {
                *owner = least;
            }
        }
    }
}

/// What a segment gives a shard to do.
pub(super) fn weight(segment: &Segment<'_>) -> usize {
    SEGMENT + segment.payload.len()
}

/// Whether a round ends with that frame: the first ones soon, to show how shards are best shared out.
pub(super) fn ends_round(frame: u64) -> bool {
    frame.is_multiple_of(BOUNDARY) || frame < BOUNDARY && frame.is_power_of_two()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(parts: &Parts, weights: &[usize; SHARDS], count: usize) -> Vec<usize> {
        let sum = |number| {
            let own = parts.owners.iter().zip(weights).filter(|(owner, _)| **owner == number);
            own.map(|(_, weight)| weight).sum()
        };
        (0..count).map(sum).collect()
    }

    #[test]
    fn shards_are_shared_out_by_what_they_have_to_do() {
        let weights = std::array::from_fn(|shard| if shard % 2 == 0 { 100 + shard } else { 1 });
        for count in [2, 3, 4] {
            let mut parts = Parts { owners: [0; SHARDS], besides: 0 };
            parts.share_out(&weights, count);
            let sums = sums(&parts, &weights, count);
            let (least, most) = (sums.iter().min().unwrap(), sums.iter().max().unwrap());
            assert!(most - least <= 163, "as much as one shard at most: {sums:?}");
            // Nearly even: nothing moves.
            let before = parts.owners;
            let mut other = weights;
            other[0] += 10;
            parts.share_out(&other, count);
            assert_eq!(parts.owners, before);
        }
    }

    #[test]
    fn who_took_longer_gets_less() {
        let weights = [100; SHARDS];
        let mut parts = Parts { owners: std::array::from_fn(|shard| shard % 2), besides: 0 };
        let part = 100 * SHARDS / 2;
        for (first, others, expected) in [(20, 10, -1), (10, 10, 0), (10, 30, 1)] {
            let before = sums(&parts, &weights, 2)[1];
            parts.correct(Duration::from_millis(first), Duration::from_millis(others), part);
            parts.share_out(&weights, 2);
            let change = sums(&parts, &weights, 2)[1] as i64 - before as i64;
            assert_eq!(change.signum(), expected, "{first} and {others} ms: {change}");
        }
    }
}
