//! A shard: one of the [`SHARDS`] that connections are divided over, with a connection table and sessions of its own.
//!
//! Which shard a connection belongs to depends on its endpoints alone, and no shard sees another's state, so what a
//! shard does is the same whenever and wherever it works. What crosses shards goes through the end of a round: a
//! session that resumes a TLS session which another shard may have seen begin in this round is *parked*, see `round`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::batch::Batch;
use super::round::session_grant;
use super::sessions::Sessions;
use crate::event::{Account, Comment, Connection, Event, Unreachable};
use crate::flow::FlowTable;
use crate::limits::Limits;
use crate::mail::Options;
use crate::position::FramePos;
use crate::session::{Closed, DecodeAs};
use crate::tls::{KeyRing, SessionCache};
use crate::wire::Segment;

/// Shards, whatever the number of threads: with fewer, the longest one's work decides how long a round takes.
pub(super) const SHARDS: usize = 64;

/// Added to a connection's id where it ends with the input, so that these come after all frames, in order of id.
pub(super) const AT_END: u64 = 1 << 63;

/// The shard that a segment's connection belongs to: the same for both directions, in every run.
pub(super) fn shard_of(segment: &Segment<'_>) -> usize {
    let sum = endpoint(segment.src).wrapping_add(endpoint(segment.dst));
    (mix(sum) >> 58) as usize % SHARDS
}

fn endpoint(address: SocketAddr) -> u64 {
    let ip = match address.ip() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            mix((bits >> 64) as u64) ^ bits as u64
        }
    };
    mix(ip << 16 ^ ip >> 48 ^ u64::from(address.port()))
}

fn mix(word: u64) -> u64 {
    let product = (word ^ word >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 29
}

/// Each shard's share of the bounds over all connections; what is held and kept is granted anew from boundary to
/// boundary.
pub(super) fn share(limits: &Limits) -> Limits {
    Limits {
        connections: limits.connections.div_ceil(SHARDS),
        undecided_bytes: limits.undecided_bytes.div_ceil(SHARDS),
        session_bytes: session_grant(limits, 0),
        round_event_bytes: limits.round_event_bytes.div_ceil(SHARDS),
        ..limits.clone()
    }
}

/// What is the same for all shards.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) keys: KeyRing,
    pub(super) options: Options,
    pub(super) limits: Limits,
    pub(super) decode_as: Vec<DecodeAs>,
    pub(super) all_tls: bool,
    pub(super) connections: bool,
    /// What all shards have to tell weighs so much.
    pub(super) weight: Arc<AtomicUsize>,
}

impl Shared {
    /// Whether any TLS session could be opened, and so be resumed.
    pub(super) fn opens_tls(&self) -> bool {
        !self.keys.keys().is_empty() || self.keys.has_keylog() || !self.keys.psks().is_empty()
    }
}

/// Where something happens: the frame being worked on, and how many calls before it that shard had for this frame.
pub(super) type Place = (u64, u32);

/// What a sink is told.
pub(super) enum Told {
    Event(Event),
    Connection(Box<Connection>),
    Unreachable(Unreachable),
    Comment(Comment),
}

/// How much of what is in order of place lies before that frame.
pub(super) fn before<T>(told: &[(Place, T)], frame: u64) -> usize {
    told.partition_point(|(place, _)| place.0 < frame)
}

/// What the sessions of a shard add to the report.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct ReportPart {
    pub(super) mail_sessions: u64,
    pub(super) incomplete: u64,
    pub(super) handshakes: u64,
    pub(super) judged_early: u64,
    pub(super) account: Account,
}

impl ReportPart {
    pub(super) fn count(&mut self, closed: &Closed) {
        let one = ReportPart {
            mail_sessions: u64::from(closed.mail),
            incomplete: u64::from(closed.incomplete),
            handshakes: closed.handshakes,
            judged_early: 0,
            account: closed.account,
        };
        self.add(&one);
    }

    pub(super) fn add(&mut self, other: &ReportPart) {
        self.mail_sessions += other.mail_sessions;
        self.incomplete += other.incomplete;
        self.handshakes += other.handshakes;
        self.judged_early += other.judged_early;
        let (sum, more) = (&mut self.account, other.account);
        sum.decoded += more.decoded;
        sum.overhead += more.overhead;
        sum.undecrypted += more.undecrypted;
        sum.skipped += more.skipped;
        sum.duplicate += more.duplicate;
        sum.gaps += more.gaps;
    }
}

impl Told {
    pub(super) fn weight(&self) -> usize {
        match self {
            Told::Event(event) => event.weight(),
            Told::Connection(connection) => size_of::<Told>() + size_of_val(&**connection),
            Told::Unreachable(_) => size_of::<Told>(),
            Told::Comment(comment) => size_of::<Told>() + comment.text.0.len(),
        }
    }
}

pub(super) struct Shard {
    pub(super) table: FlowTable<Sessions>,
    pub(super) sessions: Sessions,
    /// Items of the batch that it is done with, and one more once it has looked at the clock.
    pub(super) done: usize,
    /// Frame before which it stopped in the round, as it has enough to tell.
    pub(super) stopped: Option<u64>,
}

impl Shard {
    pub(super) fn new(shared: &Arc<Shared>, limits: &Limits, cache: &SessionCache) -> Self {
        let sessions = Sessions::new(shared, limits, cache);
        Shard { table: FlowTable::new(limits), sessions, done: 0, stopped: None }
    }

    /// One segment; `now` is the reader's clock.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, at: FramePos, now: i64, interface: Option<u32>) {
        self.sessions.at(at);
        self.table.segment_at(segment, at, now, interface, &mut self.sessions);
    }

    /// What a round has for this shard, which is the one of that number: all of it, or as much as may be told at once.
    pub(super) fn work(&mut self, number: usize, batch: &Batch) {
        let items = batch.items(number);
        while let Some(item) = items.get(self.done) {
            // What comes of one frame is told together.
            if item.at.index != self.sessions.frame() && self.sessions.stops_before(item.at.index) {
                self.stopped = Some(item.at.index);
                return;
            }
            self.done += 1;
            let segment = Segment { payload: batch.payload(item), ..item.segment };
            self.segment(&segment, item.at, item.now, item.interface);
        }
        if self.done == items.len() {
            self.done += 1;
            if let Some((at, now)) = batch.boundary {
                self.tick(at, now);
            }
        }
        if batch.last {
            self.finish();
        }
    }

    /// A boundary at which all shards look at the clock.
    pub(super) fn tick(&mut self, at: FramePos, now: i64) {
        self.sessions.at(at);
        self.table.tick_at(at, now, &mut self.sessions);
    }

    /// The input is over. To be called again if it stops.
    pub(super) fn finish(&mut self) {
        self.sessions.ending = true;
        let next = self.table.finish_while(&mut self.sessions, |sessions| !sessions.is_full());
        self.stopped = next.map(|id| AT_END + id);
    }
}
