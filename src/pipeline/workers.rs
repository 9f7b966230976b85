//! Threads that work on the shards of a round while the reader fills the next, or read with it (`twins`).
//!
//! Each takes the next shard that nobody has taken; the reader helps once it has nothing to read. Nobody waits for anybody
//! within a round, so nothing can deadlock, and which thread does what is not seen in what comes out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use super::batch::Batch;
use super::round::Shards;
use super::twins::Twins;
use crate::tls::KeyRing;

/// What a round is for the threads.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// A batch that the reader has filled.
    #[default]
    Batch,
    /// Frames that each reads for itself, the reader too.
    Twins,
}

#[derive(Default)]
struct State {
    /// Rounds begun.
    round: usize,
    kind: Kind,
    /// Workers that have not finished the round.
    busy: usize,
    /// No further round will come.
    over: bool,
    /// A worker panicked.
    broken: bool,
}

/// The rounds and those who work on them.
pub(super) struct Workers {
    state: Mutex<State>,
    begun: Condvar,
    done: Condvar,
    next: AtomicUsize,
    /// What opens premaster secrets before the shards ask for them, and the next group of these.
    keys: KeyRing,
    next_premasters: AtomicUsize,
    /// The round being worked on, and the one being filled.
    batches: [RwLock<Batch>; 2],
    pub(super) twins: Twins,
    threads: usize,
}

impl Workers {
    pub(super) fn new(threads: usize, keys: KeyRing) -> Self {
        Workers {
            state: Mutex::default(),
            begun: Condvar::new(),
            done: Condvar::new(),
            next: AtomicUsize::new(usize::MAX / 2),
            keys,
            next_premasters: AtomicUsize::new(0),
            batches: [RwLock::new(Batch::new()), RwLock::new(Batch::new())],
            twins: Twins::new(threads),
            threads,
        }
    }

    /// Threads besides the reader's.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the reader at the batch of the round that is to come.
    pub(super) fn fill<R>(&self, fill: impl FnOnce(&mut Batch) -> R) -> R {
        let round = self.state().round + 1;
        fill(&mut self.batches[round % 2].write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins the next round. The one before must be done.
    pub(super) fn begin(&self) {
        self.next_premasters.store(0, Ordering::SeqCst);
        self.begin_after(1, Kind::Batch);
    }

    /// Lets the twins read what the reader itself is going to read.
    pub(super) fn begin_twins(&self) {
        self.begin_after(2, Kind::Twins);
    }

    /// Every second round has the same batch.
    fn begin_after(&self, rounds: usize, kind: Kind) {
        self.next.store(0, Ordering::SeqCst);
        let mut state = self.state();
        state.round += rounds;
        state.kind = kind;
        state.busy = self.threads;
        self.begun.notify_all();
    }

    /// Goes on with the round that was not finished, its batch being the same.
    pub(super) fn again(&self) {
        self.begin_after(2, Kind::Batch);
    }

    /// Works on what nobody has taken, then waits for the others. False when one of them panicked.
    pub(super) fn join(&self, shards: &Shards) -> bool {
        let round = self.state().round;
        self.work(round, shards);
        self.wait()
    }

    /// Waits for the others. False when one of them panicked.
    pub(super) fn wait(&self) -> bool {
        let mut state = self.state();
        while state.busy > 0 && !state.broken {
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.broken
    }

    fn work(&self, round: usize, shards: &Shards) {
        let batch = self.batches[round % 2].read().unwrap_or_else(PoisonError::into_inner);
        while let Some(group) = batch.premasters(self.next_premasters.fetch_add(1, Ordering::SeqCst)) {
            self.keys.open_ahead(group);
        }
        while let Some(&number) = batch.order.get(self.next.fetch_add(1, Ordering::SeqCst)) {
            if let Some(mut shard) = shards.lock(number) {
                shard.work(number, &batch);
            }
        }
    }

    /// What the thread of that number does until all is over.
    pub(super) fn run(&self, number: usize, shards: &Shards) {
        let mut seen = 0;
        loop {
            let mut state = self.state();
            while state.round == seen && !state.over {
                state = self.begun.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.over {
                return;
            }
            seen = state.round;
            let kind = state.kind;
            drop(state);
            let busy = Busy(self);
            match kind {
                Kind::Batch => self.work(seen, shards),
                Kind::Twins => self.twins.work(number, shards),
            }
            drop(busy);
        }
    }
}

/// A worker at work; told to the reader when it is not, also by a panic.
struct Busy<'a>(&'a Workers);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.busy -= 1;
        state.broken |= std::thread::panicking();
        if state.busy == 0 || state.broken {
            self.0.done.notify_all();
        }
    }
}

/// Ends the workers when the reader leaves, however it does.
pub(super) struct Over<'a>(pub(super) &'a Workers);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.state().over = true;
        self.0.begun.notify_all();
    }
}
