//! What handshakes take from earlier ones: master secrets by session ID and by ticket (SSL 3.0 to TLS 1.2), or why
//! there is none; and the servers' messages.
//!
//! Shared by all connections, whatever their addresses: clients move, and tickets are taken by every host of a farm.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sha2::{Digest, Sha256};

use super::Reason;
use super::certificate::Lately;
use super::secret::Secret;
use crate::limits::tls::{FLIGHTS_UNSETTLED, SEARCH_ALL, SEARCH_SHARE, TICKETS_BACK};

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

/// A session whose beginning was seen, and whose secret is not known for all that.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Number of the connection on which it began.
    pub session: u64,
    /// Why.
    pub reason: Reason,
    /// It was itself taken up from an earlier one, and got this ticket anew.
    before: Option<ClosedKey>,
}

impl Closed {
    /// A full handshake stayed closed on that connection, or one that resumed an `earlier` session.
    pub fn new(session: u64, reason: Reason, earlier: Option<Handle<'_>>) -> Self {
        Closed { session, reason, before: earlier.map(Handle::short_key) }
    }
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

    /// Enough to tell sessions apart of which no secret hangs on it.
    fn short_key(self) -> ClosedKey {
        self.key().first_chunk().copied().unwrap_or_default()
    }

    fn is_empty(self) -> bool {
        let (Handle::Id(bytes) | Handle::Ticket(bytes)) = self;
        bytes.is_empty()
    }
}

type ClosedKey = [u8; 16];

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

/// What is to be shared, see [`SessionCache::take_added`].
#[derive(Clone, Debug)]
pub struct Added(New);

#[derive(Clone, Debug)]
enum New {
    Session(Known),
    Closed(ClosedKey, Closed),
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
            granted: SEARCH_ALL,
            certificates: Lately::default(),
        }
    }
}

/// A map that forgets its oldest entries first.
#[derive(Debug)]
struct Oldest<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Oldest<K, V> {
    fn default() -> Self {
        Oldest { map: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Copy + Eq + Hash, V> Oldest<K, V> {
    fn insert(&mut self, key: K, value: V) {
        if self.map.insert(key, value).is_none() {
            self.order.push_back(key);
        }
    }

    fn keep_bound(&mut self, bound: usize) {
        while self.map.len() > bound {
            let Some(oldest) = self.order.pop_front() else { return };
            self.map.remove(&oldest);
        }
    }
}

#[derive(Debug, Default)]
struct Store {
    /// What all searches have cost.
    tried: u64,
    sessions: Oldest<[u8; 32], Remembered>,
    closed: Oldest<ClosedKey, Closed>,
    /// Other secrets under handles that are taken.
    replacements: Vec<Known>,
    /// The oldest first.
    flights: VecDeque<Arc<Flight>>,
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
        let left = SEARCH_ALL.saturating_sub(self.read().tried);
        SessionCache {
            store: Arc::clone(&self.store),
            partial: true,
            view: true,
            granted: left / SEARCH_SHARE,
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
        SEARCH_ALL.saturating_sub(store.tried) / SEARCH_SHARE
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
        self.read().sessions.map.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.read().sessions.map.is_empty()
    }

    /// Keeps a session; `bound` is [`crate::limits::Limits::tls_sessions`]. An empty handle is none.
    pub fn insert(&mut self, handle: Handle<'_>, session: Remembered, bound: usize) {
        if handle.is_empty() || bound == 0 {
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
        store.sessions.insert(added.key, added.session);
        store.sessions.keep_bound(bound);
    }

    /// Keeps word of a session without its secret, under the same bound as [`SessionCache::insert`].
    pub fn insert_closed(&mut self, handle: Handle<'_>, closed: Closed, bound: usize) {
        if handle.is_empty() || bound == 0 {
            return;
        }
        if self.view {
            return self.added.push(Added(New::Closed(handle.short_key(), closed)));
        }
        let mut store = self.write();
        store.closed.insert(handle.short_key(), closed);
        store.closed.keep_bound(bound);
    }

    /// The full handshake of a session that stayed closed, if it was seen. Of what was added through other views, what
    /// has been shared: to be asked where that is certain.
    pub fn closed(&self, handle: Handle<'_>) -> Option<Closed> {
        let store = self.read();
        let mut found = *store.closed.map.get(&handle.short_key())?;
        for _ in 0..TICKETS_BACK {
            let Some(before) = found.before else { return Some(found) };
            found = *store.closed.map.get(&before)?;
        }
        None
    }

    /// The session, if it was seen.
    pub fn get(&self, handle: Handle<'_>) -> Option<Remembered> {
        let store = self.read();
        if store.sessions.map.is_empty() { None } else { store.sessions.map.get(&handle.key()).cloned() }
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
            New::Session(added) => match store.sessions.map.get(&added.key) {
                None => store.sessions.insert(added.key, added.session),
                Some(known) if known.master == added.session.master => {}
                Some(_) => store.replacements.push(added),
            },
            New::Closed(key, closed) => store.closed.insert(key, closed),
            New::Flight(flight) => {
                if store.flights.len() < FLIGHTS_UNSETTLED && !store.knows_flight(&flight) {
                    store.flights.push_back(flight);
                }
            }
        }
    }

    /// Puts replacements in force and keeps the bounds: of sessions, and of servers' messages.
    pub fn settle(&self, sessions: usize, flights: usize) {
        let mut store = self.write();
        for added in std::mem::take(&mut store.replacements) {
            store.sessions.insert(added.key, added.session);
        }
        store.sessions.keep_bound(sessions);
        store.closed.keep_bound(sessions);
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
    fn what_stayed_closed_is_found_through_the_tickets_got_since() {
        let mut cache = SessionCache::new();
        let no_key = Closed::new(4, Reason::NoKey, None);
        cache.insert_closed(Handle::Ticket(b"first"), no_key, 3);
        let later = |n, before| Closed::new(n, Reason::ResumedUnseen, Some(Handle::Ticket(before)));
        cache.insert_closed(Handle::Ticket(b"second"), later(5, b"first"), 3);
        cache.insert_closed(Handle::Ticket(b"third"), later(6, b"second"), 3);
        assert_eq!(cache.closed(Handle::Ticket(b"third")), Some(no_key));
        assert!(cache.closed(Handle::Id(b"third")).is_none() && cache.is_empty());
        // The first goes, and with it what is known of the others.
        cache.insert_closed(Handle::Ticket(b"loop"), later(7, b"loop"), 3);
        assert_eq!(cache.closed(Handle::Ticket(b"third")), None);
        assert_eq!(cache.closed(Handle::Ticket(b"loop")), None);
    }

    #[test]
    fn searches_of_all_views_have_one_budget() {
        let cache = SessionCache::new();
        let (mut one, other) = (cache.view(), cache.view());
        assert_eq!(one.tries_left(), SEARCH_ALL / SEARCH_SHARE);
        one.tried(SEARCH_ALL);
        assert_eq!((one.tries_left(), other.tries_left()), (0, SEARCH_ALL / SEARCH_SHARE));
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
