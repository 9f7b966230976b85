//! What handshakes take from earlier ones: master secrets by session ID and by ticket (SSL 3.0 to TLS 1.2), and the
//! servers' messages.
//!
//! Shared by all connections, whatever their addresses: clients move, and tickets are taken by every host of a farm.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sha2::{Digest, Sha256};

use super::certificate::Lately;
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

/// A server's messages from behind its hello to ServerHelloDone: the same in each full handshake under a certificate.
#[derive(Clone, Debug)]
pub struct Flight {
    hash: [u8; 32],
    modulus: Vec<u8>,
    messages: Vec<u8>,
}

impl Flight {
    /// `modulus` is that of the certificate's RSA key, `messages` are as they are hashed.
    pub fn new(modulus: Vec<u8>, messages: Vec<u8>) -> Self {
        Flight { hash: Sha256::digest(&messages).into(), modulus, messages }
    }

    /// Modulus of the certificate's RSA key, big-endian.
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The messages, each with its header.
    pub fn messages(&self) -> &[u8] {
        &self.messages
    }

    /// The first of them, which is Certificate.
    pub fn certificate(&self) -> &[u8] {
        let Some(&[_, a, b, c]) = self.messages.first_chunk() else { return &[] };
        let end = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
        self.messages.get(..end).unwrap_or_default()
    }
}

/// What all searches of a capture may cost, in bytes deciphered, so that a capture full of sessions that need one costs
/// seconds, not hours.
const TRIES: u64 = 512 << 20;

/// Of what is left each view may spend one in so many until it is settled: searches come in few connections at a time.
const GRANT: u64 = 8;

/// What it costs to try a record besides its bytes: copies of keys, and a tag.
pub(super) const TRY: u64 = 300;

/// Servers' messages that are taken until [`SessionCache::settle`] keeps the bound.
const MOST_FLIGHTS: usize = 256;

/// What is to be shared, see [`SessionCache::take_added`].
#[derive(Clone, Debug)]
pub struct Added(New);

#[derive(Clone, Debug)]
enum New {
    Session(Known),
    Flight(Arc<Flight>),
}

#[derive(Clone, Debug)]
struct Known {
    key: [u8; 32],
    session: Remembered,
}

/// Master secrets of sessions that may be resumed; the oldest goes first when it is full.
///
/// Its [`SessionCache::view`]s are lent to parts of a run that do not wait for one another. What one of them adds, the
/// others see once it was [shared](SessionCache::share); until then a session that a view does not know is
/// [uncertain](SessionCache::is_uncertain), as another part may have seen it begin.
#[derive(Debug)]
pub struct SessionCache {
    store: Arc<RwLock<Store>>,
    /// In a view: what is to be shared.
    added: Vec<Added>,
    /// What it does not know may be known elsewhere.
    partial: bool,
    view: bool,
    /// What searches for keys and record numbers have cost since the last [`SessionCache::grant`], and what they may.
    tried: u64,
    granted: u64,
    pub(super) certificates: Lately,
}

impl Default for SessionCache {
    fn default() -> Self {
        SessionCache {
            store: Arc::default(),
            added: Vec::new(),
            partial: false,
            view: false,
            tried: 0,
            granted: TRIES,
            certificates: Lately::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Store {
    /// What all searches have cost.
    tried: u64,
    sessions: HashMap<[u8; 32], Remembered>,
    order: VecDeque<[u8; 32]>,
    /// Other secrets under handles that are taken.
    replacements: Vec<Known>,
    /// The oldest first.
    flights: VecDeque<Arc<Flight>>,
}

impl Store {
    fn insert(&mut self, added: Known) {
        if self.sessions.insert(added.key, added.session).is_none() {
            self.order.push_back(added.key);
        }
    }

    fn keep_bound(&mut self, bound: usize) {
        while self.sessions.len() > bound {
            let Some(oldest) = self.order.pop_front() else { return };
            self.sessions.remove(&oldest);
        }
    }
}

impl Store {
    fn keep_flights(&mut self, bound: usize) {
        let excess = self.flights.len().saturating_sub(bound);
        self.flights.drain(..excess);
    }

    fn knows_flight(&self, flight: &Flight) -> bool {
        self.flights.iter().any(|known| known.hash == flight.hash)
    }
}

impl SessionCache {
    /// Without any.
    pub fn new() -> Self {
        Self::default()
    }

    /// A view on the same sessions.
    pub fn view(&self) -> Self {
        let left = TRIES.saturating_sub(self.read().tried);
        SessionCache {
            store: Arc::clone(&self.store),
            partial: true,
            view: true,
            granted: left / GRANT,
            ..SessionCache::default()
        }
    }

    /// What searches may still cost through this view.
    pub(super) fn tries_left(&self) -> u64 {
        self.granted.saturating_sub(self.tried)
    }

    /// A search has cost that much.
    pub(super) fn tried(&mut self, cost: u64) {
        self.tried = self.tried.saturating_add(cost);
    }

    /// What searches have cost through this view since it was last asked.
    pub fn take_tried(&mut self) -> u64 {
        std::mem::take(&mut self.tried)
    }

    /// Counts what searches have cost through all views; what each may cost until the next time.
    pub fn count_tried(&self, cost: u64) -> u64 {
        let mut store = self.write();
        store.tried = store.tried.saturating_add(cost);
        TRIES.saturating_sub(store.tried) / GRANT
    }

    /// Says what searches may cost through this view, see [`SessionCache::count_tried`].
    pub fn grant(&mut self, cost: u64) {
        self.granted = cost;
    }

    fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of sessions.
    pub fn len(&self) -> usize {
        self.read().sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.read().sessions.is_empty()
    }

    /// Keeps a session; `bound` is [`crate::limits::Limits::tls_sessions`]. An empty handle is none.
    pub fn insert(&mut self, handle: Handle<'_>, session: Remembered, bound: usize) {
        let (Handle::Id(bytes) | Handle::Ticket(bytes)) = handle;
        if bytes.is_empty() || bound == 0 {
            return;
        }
        let added = Known { key: handle.key(), session };
        if self.view {
            // A handshake is told several times: when a MAC proves it, by Finished, with its ticket.
            let again = |a: &Added| matches!(&a.0, New::Session(a) if a.key == added.key && a.session.master == added.session.master);
            if !self.added.iter().any(again) {
                self.added.push(Added(New::Session(added)));
            }
            return;
        }
        let mut store = self.write();
        store.insert(added);
        store.keep_bound(bound);
    }

    /// The session, if it was seen.
    pub fn get(&self, handle: Handle<'_>) -> Option<Remembered> {
        let store = self.read();
        if store.sessions.is_empty() { None } else { store.sessions.get(&handle.key()).cloned() }
    }

    /// Whether a session that this view does not know may yet be shared by another.
    pub fn is_uncertain(&self, handle: Handle<'_>) -> bool {
        self.partial && self.get(handle).is_none()
    }

    /// Whether others may know what this view does not.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Keeps a server's messages; `bound` is [`crate::limits::Limits::tls_flights`].
    pub fn insert_flight(&mut self, flight: Flight, bound: usize) {
        if self.read().knows_flight(&flight) {
            return;
        }
        let flight = Arc::new(flight);
        if self.view {
            return self.added.push(Added(New::Flight(flight)));
        }
        let mut store = self.write();
        store.flights.push_back(flight);
        store.keep_flights(bound);
    }

    /// The servers' messages that are known, the oldest first.
    pub fn flights(&self) -> Vec<Arc<Flight>> {
        self.read().flights.iter().cloned().collect()
    }

    /// Tells a view whether all that was added elsewhere before now has been shared.
    pub fn set_partial(&mut self, partial: bool) {
        self.partial = partial;
    }

    /// What was added through this view since it was last asked.
    pub fn take_added(&mut self) -> Vec<Added> {
        std::mem::take(&mut self.added)
    }

    /// Makes an addition visible to all views. A handle that is taken keeps its session until
    /// [`SessionCache::settle`], so that what was found once stays found for as long.
    pub fn share(&self, added: Added) {
        let mut store = self.write();
        match added.0 {
            New::Session(added) => match store.sessions.get(&added.key) {
                None => store.insert(added),
                Some(known) if known.master == added.session.master => {}
                Some(_) => store.replacements.push(added),
            },
            New::Flight(flight) => {
                if store.flights.len() < MOST_FLIGHTS && !store.knows_flight(&flight) {
                    store.flights.push_back(flight);
                }
            }
        }
    }

    /// Puts replacements in force and keeps the bounds: of sessions, and of servers' messages.
    pub fn settle(&self, sessions: usize, flights: usize) {
        let mut store = self.write();
        for added in std::mem::take(&mut store.replacements) {
            store.insert(added);
        }
        store.keep_bound(sessions);
        store.keep_flights(flights);
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
    fn views_see_what_was_shared_and_doubt_the_rest() {
        let cache = SessionCache::new();
        let (mut one, other) = (cache.view(), cache.view());
        one.insert(Handle::Id(b"x"), session(1), 10);
        one.insert(Handle::Id(b"x"), session(1), 10);
        assert!(one.is_uncertain(Handle::Id(b"x")) && other.is_uncertain(Handle::Id(b"x")));
        let added = one.take_added();
        assert_eq!(added.len(), 1);
        added.into_iter().for_each(|added| cache.share(added));
        assert!(!other.is_uncertain(Handle::Id(b"x")));
        one.insert(Handle::Id(b"x"), session(2), 10);
        one.take_added().into_iter().for_each(|added| cache.share(added));
        assert_eq!(other.get(Handle::Id(b"x")).map(|s| s.frame), Some(1));
        cache.settle(10, 10);
        assert_eq!(other.get(Handle::Id(b"x")).map(|s| s.frame), Some(2));
    }

    #[test]
    fn searches_of_all_views_have_one_budget() {
        let cache = SessionCache::new();
        let (mut one, other) = (cache.view(), cache.view());
        assert_eq!(one.tries_left(), TRIES / GRANT);
        one.tried(TRIES);
        assert_eq!((one.tries_left(), other.tries_left()), (0, TRIES / GRANT));
        let left = cache.count_tried(one.take_tried());
        one.grant(left);
        assert_eq!((one.tries_left(), cache.view().tries_left()), (0, 0));
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
