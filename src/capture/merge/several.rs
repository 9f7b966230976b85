//! A file that several threads read: up to where all of them find the same.

use std::sync::atomic::Ordering;

use super::super::source::Source;
use super::super::twin::{Horizon, Twin};
use super::Capture;

impl Capture {
    /// That many readers of the file at hand, from the next packet on, for other threads. None where there is little
    /// left of it, it is not plain, or others are open beside it.
    pub fn twins(&mut self, count: usize) -> Option<Vec<Twin>> {
        let idle = !self.ready && self.told.is_none() && self.troubles.is_empty() && self.turns.is_empty();
        let slot = self.current.filter(|_| idle && self.ahead)?;
        let turn = self.waiting.last().map(|next| (next.first, next.rank));
        let opened = self.open.get_mut(slot)?.as_mut()?;
        let (left, len) = opened.source.left_for_twins()?;
        // None of them may end before the others do.
        if left < self.limits.several_readers_bytes || !opened.source.has_room() {
            return None;
        }
        let horizon = Horizon { len, turn };
        let (rank, frames) = (opened.rank, self.frames);
        let twin = || {
            let source = opened.source.twin(&self.room)?;
            Some(Twin { source, rank, horizon, frames, limits: self.limits.clone() })
        };
        let twins = std::iter::repeat_with(twin).take(count).collect::<Option<Vec<_>>>()?;
        self.horizon = Some(horizon);
        self.read_directly(slot);
        Some(twins)
    }

    /// Steps to the next packet as the [`Capture::twins`] do. False where something else is next, for
    /// [`Capture::advance`] to tell.
    pub fn advance_with_twins(&mut self) -> bool {
        self.told = None;
        let (Some(slot), Some(horizon)) = (self.current, self.horizon) else { return false };
        let opened = self.open.get_mut(slot).and_then(Option::as_mut);
        if !opened.is_some_and(|opened| opened.source.has_plain_packet(&horizon)) || !self.goes_on(slot) {
            return false;
        }
        let opened = self.open.get(slot).and_then(Option::as_ref);
        if !opened.is_some_and(|opened| opened.source.at_packet()) {
            self.ready = true;
            return false;
        }
        self.frames += 1;
        true
    }

    /// Whether it was told to stop ([`Capture::stop`]), which twins do not heed.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Reads ahead where [`Capture::twins`] might have been wanted, and were not.
    pub fn read_ahead_again(&mut self) {
        let slot = self.current.filter(|_| self.ahead && !self.live && self.turns.is_empty());
        if let Some(opened) = slot.and_then(|slot| self.open.get_mut(slot)?.as_mut()) {
            opened.source.read_ahead();
        }
    }

    /// Whether several may want to read it.
    pub(super) fn is_for_twins(&self, source: &Source) -> bool {
        source.left_for_twins().is_some_and(|(left, _)| left >= self.limits.several_readers_bytes)
    }

    /// Whether no other input is open.
    pub(super) fn is_first(&self) -> bool {
        self.open.len() == self.free.len()
    }

    fn read_directly(&mut self, slot: usize) {
        let meter = self.meter();
        if let Some(opened) = self.open.get_mut(slot).and_then(Option::as_mut) {
            opened.source.read_directly(|file| Box::new(super::Metered { inner: Box::new(file), meter }));
        }
    }
}
