//! What open inputs hold in memory: their windows onto the stream, and what decoders remember of what they gave.
//!
//! Files that overlap in time are open together, any number of them, and each may ask for as much as its header says.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::Limits;

/// Memory for all inputs of a capture.
#[derive(Clone, Debug)]
pub(super) struct Room {
    used: Arc<AtomicU64>,
    limit: u64,
}

impl Default for Room {
    fn default() -> Self {
        Room::new(&Limits::default())
    }
}

impl Room {
    pub(super) fn new(limits: &Limits) -> Self {
        Room { used: Arc::default(), limit: limits.input_bytes as u64 }
    }

    /// A part of it, nothing yet.
    pub(super) fn share(&self) -> Share {
        Share { room: self.clone(), held: 0 }
    }
}

/// What one input holds; it goes back when this is dropped.
pub(super) struct Share {
    room: Room,
    held: u64,
}

impl Share {
    /// Holds `bytes` in all, if there is room.
    pub(super) fn hold(&mut self, bytes: u64) -> io::Result<()> {
        let Some(more) = bytes.checked_sub(self.held).filter(|more| *more > 0) else { return Ok(()) };
        let limit = self.room.limit;
        let fits = |used: u64| used.checked_add(more).filter(|sum| *sum <= limit);
        if self.room.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            let text = format!(
                "no room for it beside the other inputs of the same time: together they may hold {} MiB; decompress them \
                 first, read fewer at once, or allow more (--max-memory)",
                limit >> 20
            );
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, text));
        }
        self.held = bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.used.fetch_sub(self.held, Ordering::Relaxed);
    }
}

/// How much a decoder may remember of what it gave, as far as its input has said so yet: tables and dictionary.
#[derive(Clone, Debug, Default)]
pub(super) struct Window(Arc<AtomicU64>);

impl Window {
    pub(super) fn new(bytes: u64) -> Self {
        Window(Arc::new(AtomicU64::new(bytes)))
    }

    #[cfg(feature = "compression")]
    pub(super) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
