//! The sessions of a shard: what they tell is gathered in order of place, and one that has to wait for another shard is
//! parked until the round's end, with what comes for it meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::round::BOUNDARY;
use super::shard::{AT_END, Place, ReportPart, SHARDS, Shared, Told, before};
use crate::diagnostic::Code;
use crate::event::{Connection, EndReason, Event, GapCause};
use crate::flow::{ConnectionInfo, Consumer, Interest, Side, StreamChunk};
use crate::limits::Limits;
use crate::mail::Options;
use crate::position::{FramePos, Span};
use crate::session::{Closed, Session, Undecided, World};
use crate::tls::SessionCache;
use crate::tls::resume::Added;

/// Events that a shard keeps room for between calls.
const ROOM: usize = 1024;

fn own_options(options: &Options, limits: &Limits) -> Options {
    Options { passwords: options.passwords.with_rounds(limits.scram_rounds / SHARDS as u64), ..options.clone() }
}

/// The sessions of a shard, as its connection table's consumer.
pub(super) struct Sessions {
    shared: Arc<Shared>,
    /// As all have them, with this shard's share of the work that may be spent on passwords.
    options: Options,
    pub(super) cache: SessionCache,
    place: Place,
    /// The input is over.
    pub(super) ending: bool,
    out: Vec<Event>,
    /// What there is to tell since the last round, in order of place.
    pub(super) events: Vec<(Place, Told)>,
    /// What it weighs, and what that of all shards does; and how much is enough for each.
    weight: usize,
    weight_of_all: Arc<AtomicUsize>,
    bound: usize,
    /// It stopped before all others: whatever these hold back, it goes on up to that frame. 0 where it has to wait.
    pub(super) first: u64,
    /// TLS sessions learnt since the last round.
    pub(super) added: Vec<(Place, Vec<Added>)>,
    /// Sessions that wait for the round's end, by id.
    parked: BTreeMap<u64, Parked>,
    /// Those that have been through it and that their connection has not picked up again.
    back: BTreeMap<u64, Session>,
    pub(super) tally: ReportPart,
    /// What they were given in this round.
    pub(super) given: Given,
    undecided: Undecided,
    /// Memory that they take.
    kept: usize,
}

/// Bytes that sessions were given to work on.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Given {
    pub(super) bytes: u64,
    /// Those of connections in TLS.
    pub(super) in_tls: u64,
}

impl AddAssign for Given {
    fn add_assign(&mut self, other: Given) {
        self.bytes += other.bytes;
        self.in_tls += other.in_tls;
    }
}

/// A session in its connection, or away from it.
pub(super) enum Seat {
    Here(Session),
    /// Parked, or back.
    Away,
}

/// A session that waits, and what has come for it.
struct Parked {
    session: Session,
    pieces: VecDeque<(Place, ConnectionInfo, Piece)>,
}

/// A [`StreamChunk`] that owns its bytes, or what else there is to say of a connection.
enum Piece {
    /// Finish what it stopped at.
    GoOn,
    Data(Side, u64, Vec<u8>, FramePos),
    Gap(Side, u64, u64, GapCause, FramePos),
    Odd(Side, Code, String, FramePos),
    End(Side, FramePos),
    Close(EndReason, FramePos),
}

impl From<StreamChunk<'_>> for Piece {
    fn from(chunk: StreamChunk<'_>) -> Self {
        match chunk {
            StreamChunk::Data { side, offset, bytes, at } => Piece::Data(side, offset, bytes.to_vec(), at),
            StreamChunk::Gap { side, offset, len, cause, at } => Piece::Gap(side, offset, len, cause, at),
            StreamChunk::Odd { side, code, detail, at } => Piece::Odd(side, code, detail.to_owned(), at),
            StreamChunk::End { side, at } => Piece::End(side, at),
        }
    }
}

impl Sessions {
    pub(super) fn new(shared: &Arc<Shared>, limits: &Limits, cache: &SessionCache) -> Self {
        let mut sessions = Sessions {
            shared: Arc::clone(shared),
            options: own_options(&shared.options, limits),
            cache: cache.view(),
            place: (0, 0),
            ending: false,
            out: Vec::new(),
            events: Vec::new(),
            weight: 0,
            weight_of_all: Arc::clone(&shared.weight),
            bound: limits.round_event_bytes,
            first: 0,
            added: Vec::new(),
            parked: BTreeMap::new(),
            back: BTreeMap::new(),
            tally: ReportPart::default(),
            given: Given::default(),
            undecided: Undecided { bound: limits.undecided_bytes, ..Undecided::default() },
            kept: 0,
        };
        sessions.doubt();
        sessions
    }

    /// The frame being worked on.
    pub(super) fn frame(&self) -> u64 {
        self.place.0
    }

    pub(super) fn at(&mut self, at: FramePos) {
        if self.place.0 != at.index {
            self.place = (at.index, 0);
        }
    }

    /// A place of its own for each call.
    fn step(&mut self, info: &ConnectionInfo) -> Place {
        let frame = if self.ending { AT_END + info.id } else { self.place.0 };
        if frame != self.place.0 {
            self.place = (frame, 0);
        }
        self.place.1 += 1;
        self.place
    }

    /// Whether enough events wait for the sink: the round should end.
    pub(super) fn is_full(&self) -> bool {
        self.weight > self.bound || self.first == 0 && self.are_full()
    }

    /// As [`Sessions::is_full`], before that frame.
    pub(super) fn stops_before(&self, frame: u64) -> bool {
        self.weight > self.bound || frame >= self.first && self.are_full()
    }

    /// As [`Sessions::is_full`], of all shards together.
    pub(super) fn are_full(&self) -> bool {
        self.weight_of_all.load(Ordering::Relaxed) > self.bound.saturating_mul(SHARDS)
    }

    fn push(&mut self, place: Place, told: Told) {
        let weight = told.weight();
        self.weight += weight;
        self.weight_of_all.fetch_add(weight, Ordering::Relaxed);
        self.events.push((place, told));
    }

    /// Takes what there is to tell of the frames before that one.
    pub(super) fn take_events(&mut self, until: u64) -> Vec<(Place, Told)> {
        let ready = before(&self.events, until);
        if ready == 0 {
            return Vec::new();
        }
        let rest = self.events.split_off(ready);
        let weight = rest.iter().map(|(_, told)| told.weight()).sum();
        let before = std::mem::replace(&mut self.weight, weight);
        self.weight_of_all.fetch_sub(before - weight, Ordering::Relaxed);
        std::mem::replace(&mut self.events, rest)
    }

    /// Whether what the cache does not know may be known elsewhere.
    pub(super) fn doubt(&mut self) {
        self.cache.set_partial(self.shared.opens_tls());
    }

    /// Exchanges what is shared.
    pub(super) fn set_shared(&mut self, shared: Arc<Shared>) {
        self.shared = shared;
        self.doubt();
    }

    /// Lets a session work and takes what came of it.
    fn with<R>(&mut self, place: Place, work: impl FnOnce(&mut World<'_>) -> R) -> R {
        let shared = &self.shared;
        let mut world = World {
            keys: &shared.keys,
            sessions: &mut self.cache,
            options: &self.options,
            limits: &shared.limits,
            decode_as: &shared.decode_as,
            all_tls: shared.all_tls,
            out: &mut self.out,
            undecided: &mut self.undecided,
            kept: &mut self.kept,
            frame: place.0,
            boundary: place.0.next_multiple_of(BOUNDARY),
        };
        let result = work(&mut world);
        let mut out = std::mem::take(&mut self.out);
        out.drain(..).for_each(|event| self.push(place, Told::Event(event)));
        if out.capacity() > ROOM {
            out = Vec::new();
        }
        self.out = out;
        let added = self.cache.take_added();
        if !added.is_empty() {
            self.added.push((place, added));
        }
        result
    }

    /// A session is over.
    fn closed(&mut self, place: Place, closed: &Closed, info: &ConnectionInfo, reason: EndReason) {
        self.tally.count(closed);
        if self.shared.connections {
            let connection = Connection {
                id: info.id,
                initiator: info.initiator,
                responder: info.responder,
                syn: info.syn,
                frames: info.frames_by,
                bytes: info.bytes,
                closed_by_responder: info.closed_by == Some(Side::Responder),
                reason,
                span: Span { first: info.first, last: info.last },
            };
            self.push(place, Told::Connection(Box::new(connection)));
        }
    }

    /// Takes a session aside until the round's end, when it is given that piece.
    fn park(&mut self, mut session: Session, info: &ConnectionInfo, place: Place, piece: Piece) {
        session.freeze(place.0.next_multiple_of(BOUNDARY));
        let pieces = VecDeque::from([(place, info.clone(), piece)]);
        self.parked.insert(info.id, Parked { session, pieces });
    }

    /// Whether a connection's session is there to be given something.
    fn fetch(&mut self, seat: &mut Seat, info: &ConnectionInfo) -> bool {
        if let Seat::Away = seat
            && let Some(session) = self.back.remove(&info.id)
        {
            *seat = Seat::Here(session);
        }
        matches!(seat, Seat::Here(_))
    }

    fn keep(&mut self, info: &ConnectionInfo, place: Place, piece: Piece) {
        if let Some(parked) = self.parked.get_mut(&info.id) {
            parked.pieces.push_back((place, info.clone(), piece));
        }
    }

    /// The parked sessions and where each goes on.
    pub(super) fn parked(&self) -> impl Iterator<Item = (Place, u64)> + '_ {
        self.parked.iter().filter_map(|(id, parked)| Some((parked.pieces.front()?.0, *id)))
    }

    /// Gives a parked session its next piece, now that the cache is certain up to there; where the one after is.
    pub(super) fn replay(&mut self, id: u64) -> Option<Place> {
        let Parked { mut session, mut pieces } = self.parked.remove(&id)?;
        let (place, info, piece) = pieces.pop_front()?;
        self.cache.set_partial(false);
        let closed = self.with(place, |world| {
            let chunk = match &piece {
                Piece::GoOn => {
                    session.go_on(&info, world);
                    return Err(session);
                }
                Piece::Close(reason, at) => return Ok((session.close(&info, *reason, *at, world), *reason)),
                Piece::Data(side, offset, bytes, at) => {
                    StreamChunk::Data { side: *side, offset: *offset, bytes, at: *at }
                }
                Piece::Gap(side, offset, len, cause, at) => {
                    StreamChunk::Gap { side: *side, offset: *offset, len: *len, cause: *cause, at: *at }
                }
                Piece::Odd(side, code, detail, at) => StreamChunk::Odd { side: *side, code: *code, detail, at: *at },
                Piece::End(side, at) => StreamChunk::End { side: *side, at: *at },
            };
            session.chunk(&info, chunk, world);
            Err(session)
        });
        self.doubt();
        let session = match closed {
            Ok((closed, reason)) => {
                self.closed(place, &closed, &info, reason);
                return None;
            }
            Err(session) => session,
        };
        let next = pieces.front().map(|(place, ..)| *place);
        match next {
            Some(_) => drop(self.parked.insert(id, Parked { session, pieces })),
            None => drop(self.back.insert(id, session)),
        }
        next
    }
}

impl Consumer for Sessions {
    type Session = Seat;

    fn open(&mut self, _info: &ConnectionInfo) -> Seat {
        Seat::Here(Session::new())
    }

    fn chunk(&mut self, seat: &mut Seat, info: &ConnectionInfo, chunk: StreamChunk<'_>) -> Interest {
        let place = self.step(info);
        if !self.fetch(seat, info) {
            self.keep(info, place, chunk.into());
            return Interest::Keep;
        }
        let Seat::Here(session) = seat else { return Interest::Keep };
        if let StreamChunk::Data { bytes, .. } = chunk {
            let len = bytes.len() as u64;
            self.given.bytes += len;
            self.given.in_tls += if session.is_in_tls() { len } else { 0 };
        }
        let interest = self.with(place, |world| session.chunk(info, chunk, world));
        if session.is_waiting() {
            let session = std::mem::replace(seat, Seat::Away);
            if let Seat::Here(session) = session {
                self.park(session, info, place, Piece::GoOn);
            }
        }
        interest
    }

    fn close(&mut self, mut seat: Seat, info: &ConnectionInfo, reason: EndReason, at: FramePos) -> Interest {
        let place = self.step(info);
        self.fetch(&mut seat, info);
        let mail = match seat {
            Seat::Here(mut session) if session.ends_uncertain() => {
                let mail = self.with(place, |world| {
                    session.release(world);
                    session.is_mail(info, world)
                });
                self.park(session, info, place, Piece::Close(reason, at));
                mail
            }
            Seat::Here(session) => {
                let closed = self.with(place, |world| session.close(info, reason, at, world));
                self.closed(place, &closed, info, reason);
                closed.mail
            }
            Seat::Away => {
                self.keep(info, place, Piece::Close(reason, at));
                self.parked.remove(&info.id).is_some_and(|mut parked| {
                    let mail = self.with(place, |world| {
                        parked.session.release(world);
                        parked.session.is_mail(info, world)
                    });
                    self.parked.insert(info.id, parked);
                    mail
                })
            }
        };
        if mail { Interest::Keep } else { Interest::Drop }
    }

    fn kept(&self) -> usize {
        self.kept
    }

    fn late(&mut self, bytes: u64) {
        self.tally.account.duplicate += bytes;
    }

    fn wants_lone_syns(&self) -> bool {
        self.shared.connections
    }
}
