//! Sessions to resume: master secrets of earlier handshakes by session ID and by ticket (SSL 3.0 to TLS 1.2).
//!
//! Shared by all connections, whatever their addresses: clients move, and tickets are taken by every host of a farm.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::secret::Secret;

/// What a resumed handshake needs of the one before.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// Master secret.
    pub master: Secret,
    /// Name of the key or key log that opened the full handshake.
    pub key: Option<Arc<str>>,
    /// Input-wide number of the frame at which it was known.
    pub frame: u64,
}

/// What a session is found by.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Handle<'a> {
    /// Session ID of a ServerHello.
    Id(&'a [u8]),
    /// Ticket of a NewSessionTicket.
    Ticket(&'a [u8]),
}

impl Handle<'_> {
    /// Tickets are long and hostile ones longer: only the hash is kept.
    fn key(self) -> [u8; 32] {
        let (tag, bytes) = match self {
            Handle::Id(bytes) => (1u8, bytes),
            Handle::Ticket(bytes) => (2, bytes),
        };
        Sha256::new().chain_update([tag]).chain_update(bytes).finalize().into()
    }
}

/// Master secrets of sessions that may be resumed; the oldest goes first when it is full.
#[derive(Debug, Default)]
pub struct SessionCache {
    sessions: HashMap<[u8; 32], Remembered>,
    order: VecDeque<[u8; 32]>,
    /// Bytes that were tried to open in sessions joined midway.
    pub(super) tried: u64,
}

impl SessionCache {
    /// Without any.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of sessions.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Keeps a session; `bound` is [`crate::limits::Limits::tls_sessions`]. An empty handle is none.
    pub fn insert(&mut self, handle: Handle<'_>, session: Remembered, bound: usize) {
        let (Handle::Id(bytes) | Handle::Ticket(bytes)) = handle;
        if bytes.is_empty() || bound == 0 {
            return;
        }
        let key = handle.key();
        if self.sessions.insert(key, session).is_none() {
            self.order.push_back(key);
        }
        while self.sessions.len() > bound {
            let Some(oldest) = self.order.pop_front() else { return };
            self.sessions.remove(&oldest);
        }
    }

    /// The session, if it was seen.
    pub fn get(&self, handle: Handle<'_>) -> Option<&Remembered> {
        self.sessions.get(&handle.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(n: u8) -> Remembered {
        Remembered { master: Secret::new(&[n; 48]), key: None, frame: u64::from(n) }
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut cache = SessionCache::new();
        for n in 1..=3 {
            cache.insert(Handle::Id(&[n]), session(n), 2);
        }
        assert!(cache.get(Handle::Id(&[1])).is_none());
        assert_eq!(cache.get(Handle::Id(&[2])).map(|s| s.frame), Some(2));
        assert_eq!(cache.get(Handle::Id(&[3])).map(|s| s.frame), Some(3));
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn ids_and_tickets_are_apart_and_empty_ones_are_none() {
        let mut cache = SessionCache::new();
        cache.insert(Handle::Id(b"x"), session(1), 10);
        assert!(cache.get(Handle::Ticket(b"x")).is_none());
        cache.insert(Handle::Id(b""), session(1), 10);
        assert_eq!(cache.len(), 1);
    }
}
