//! How far a run is, for whoever shows it, and the way to stop it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts that grow while a run goes on. All may be read from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    /// Inputs to be read in this run.
    pub inputs: AtomicU64,
    /// Bytes of these, as stored.
    pub bytes: AtomicU64,
    /// Inputs that are done or have failed.
    pub finished: AtomicU64,
    /// Mail sessions found.
    pub sessions: AtomicU64,
    /// Raised to end the run: what is finished is kept.
    pub stop: AtomicBool,
    finished_bytes: AtomicU64,
    /// Inputs being read: what was read of each, and its size.
    current: Mutex<Vec<(Arc<AtomicU64>, u64)>>,
}

impl Progress {
    /// Bytes read, as stored.
    pub fn read(&self) -> u64 {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let reading: u64 = current.iter().map(|(meter, size)| meter.load(Ordering::Relaxed).min(*size)).sum();
        self.finished_bytes.load(Ordering::Relaxed).saturating_add(reading)
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self, meter: &Arc<AtomicU64>, size: u64) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).push((Arc::clone(meter), size));
    }

    /// Inputs that were read have to be read once more.
    pub(super) fn take_back(&self, inputs: u64, bytes: u64) {
        self.finished.fetch_sub(inputs, Ordering::Relaxed);
        self.finished_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn end(&self, meter: Option<&Arc<AtomicU64>>, size: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = meter {
            current.retain(|(known, _)| !Arc::ptr_eq(known, meter));
        }
        self.finished_bytes.fetch_add(size, Ordering::Relaxed);
        self.finished.fetch_add(1, Ordering::Relaxed);
    }
}
