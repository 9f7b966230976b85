//! One TLS connection, read passively: both directions' bytes in causal order → plaintext, loss, and the account.
//!
//! Each direction has its framer and its current [`Epoch`]; handshake messages fill a [`Handshake`], whose secrets
//! become the epochs that follow. A record goes through `record` → (after a loss: `recovery`) → `open_record` →
//! `content`; handshake messages go on to `messages`.

mod compressed;
mod early;
mod epoch;
mod export;
mod flight;
mod inflate;
mod messages;
mod midway;
mod records;
mod recovery;
mod report;
mod resumed;
mod secrets;
mod state;
mod story;
#[cfg(test)]
mod tests;
mod tls13;
mod together;
mod waiting;

use epoch::Epoch;
use inflate::Inflater;
use recovery::Lost;
pub(crate) use state::Handshake;

use super::Upper;
use super::handshake::Joiner;
use super::keys::KeyRing;
use super::record::{Framer, Header, Step};
use super::resume::SessionCache;
use crate::limits::Limits;
use crate::limits::tls::SEARCH_CONNECTION;
use crate::position::{Direction, Span};

/// What a connection borrows for each call.
pub struct Env<'a> {
    /// Keys and key logs.
    pub keys: &'a KeyRing,
    /// Sessions that may be resumed, of all connections.
    pub sessions: &'a mut SessionCache,
    /// Bounds.
    pub limits: &'a Limits,
    /// Frames of both sides are in the capture: a side that was not heard said nothing.
    pub both_captured: bool,
    /// There is memory to hold a few records back.
    pub may_hold_back: bool,
}

/// One direction.
struct Half {
    framer: Framer,
    /// Records in it that wait to be opened together.
    back: together::Back,
    joiner: Joiner,
    epoch: Epoch,
    /// What follows the next ChangeCipherSpec; in TLS 1.3, what may follow unseen.
    pending: Option<Epoch>,
    inflater: Option<Box<Inflater>>,
    /// Bytes were lost, and the next record has yet to be found.
    lost: Option<Lost>,
    /// TLS 1.3: bytes that stayed closed under the handshake's keys. They are no loss to the dialogue if the traffic's
    /// first record follows.
    aside: u64,
    /// What it carries is no TLS.
    dead: bool,
    /// Version of the last record that was protected.
    wire_version: Option<u16>,
    /// A session seen from the middle was looked for in vain, or found.
    tried_midway: bool,
    /// A handshake message may begin anywhere behind a loss: the next fragment is looked at before it is believed.
    unsure: bool,
    /// Bytes given.
    bytes: u64,
    /// Whole records.
    records: u64,
    /// TCP's FIN.
    ended: bool,
    /// close_notify or a fatal alert.
    closed: bool,
}

impl Half {
    fn new() -> Self {
        Half {
            framer: Framer::new(),
            back: Vec::new(),
            joiner: Joiner::default(),
            epoch: Epoch::clear(),
            pending: None,
            inflater: None,
            lost: None,
            aside: 0,
            dead: false,
            wire_version: None,
            tried_midway: false,
            unsure: false,
            bytes: 0,
            records: 0,
            ended: false,
            closed: false,
        }
    }

    /// Counts a whole record.
    fn count(&mut self, header: Header) {
        self.records += 1;
        // A ClientHello's record may say another one than those that follow.
        if !self.epoch.is_clear() {
            self.wire_version = Some(header.version);
        }
    }

    /// Memory beside its own fields, roughly.
    fn cost(&self) -> usize {
        let back = self.back.capacity() * size_of::<(Header, Span)>();
        let inflater = self.inflater.as_ref().map_or(0, |inflater| inflater.cost());
        let pending = self.pending.as_ref().map_or(0, Epoch::cost);
        self.framer.cost() + back + self.joiner.cost() + self.epoch.cost() + pending + inflater
    }

    fn enter(&mut self, epoch: Epoch) {
        self.inflater = epoch.compressed.then(|| Box::new(Inflater::new()));
        self.epoch = epoch;
        if let Some(lost) = &mut self.lost {
            lost.exact = None;
        }
    }
}

/// Where the captured bytes went.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
struct Account {
    opened: u64,
    overhead: u64,
    undecrypted: u64,
}

/// Passive decryption of one TLS connection.
///
/// Plaintext may be handed up before [`Upper::established`]: TLS 1.3's early data (once the server took it) and
/// half-RTT data, and data of a false start (RFC 7918).
pub struct Connection {
    session: u64,
    halves: [Half; 2],
    handshakes: Vec<Handshake>,
    account: Account,
    silent: bool,
    search_left: u64,
    scratch: Vec<u8>,
    early: early::Early,
    /// The capture begins within the connection: a direction may begin within a record.
    begins_unseen: bool,
    /// It has to know first what other connections saw.
    waiting: Option<Box<waiting::Waiting>>,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// Before the first byte.
    pub fn new() -> Self {
        Self::of_session(0)
    }

    /// As [`Connection::new`]; `session` is the number by which the stories of other connections name it.
    pub fn of_session(session: u64) -> Self {
        Connection {
            session,
            halves: [Half::new(), Half::new()],
            handshakes: Vec::new(),
            account: Account::default(),
            silent: false,
            search_left: SEARCH_CONNECTION,
            scratch: Vec::new(),
            early: early::Early::default(),
            begins_unseen: false,
            waiting: None,
        }
    }

    /// The capture begins within the connection: what comes first in a direction may be the rest of a record.
    pub fn begins_unseen(&mut self) {
        self.begins_unseen = true;
    }

    /// Whether [`Connection::finish`] asks for sessions that stayed closed on other connections: better when all that
    /// these saw before has been shared.
    pub fn asks_for_closed(&self) -> bool {
        self.handshakes.iter().any(Handshake::seeks_earlier)
    }

    /// How many of its handshakes resume an earlier session. It may have to wait for each, or not, see
    /// [`Connection::is_waiting`]: that depends on what other connections have shared.
    pub(crate) fn resumptions(&self) -> usize {
        self.handshakes.iter().filter(|handshake| handshake.is_resumption()).count()
    }

    /// Memory that it takes, roughly, with all that it keeps.
    pub(crate) fn cost(&self) -> usize {
        let halves = self.halves.iter().map(Half::cost).sum::<usize>();
        let handshakes = self.handshakes.iter().map(Handshake::cost).sum::<usize>();
        size_of::<Self>() + halves + handshakes + self.scratch.capacity() + self.early.cost() + self.waiting_cost()
    }

    /// The next bytes of a direction.
    pub fn data(&mut self, dir: Direction, bytes: &[u8], span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        self.open_held_back(dir.opposite(), env, up);
        if self.keep_data(dir, bytes, span, env) {
            return;
        }
        let i = dir.index();
        self.halves[i].bytes += bytes.len() as u64;
        if self.handshakes.is_empty() {
            self.handshakes.push(Handshake::new(span));
        }
        self.run(dir, None, bytes, span, env, up);
    }

    /// Works through a piece of the stream, behind a record that was found before.
    fn run(
        &mut self,
        dir: Direction,
        mut found: Option<(Header, Span)>,
        bytes: &[u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        let i = dir.index();
        if found.is_none() && self.is_adrift(dir) && up.adrift(dir, bytes, span) {
            let n = self.halves[i].framer.clear();
            return self.passed(dir, n, span, up);
        }
        let mut chunk = bytes;
        loop {
            if self.halves[i].dead {
                let n = chunk.len() as u64 + self.halves[i].framer.clear();
                self.account.undecrypted += n;
                self.last().closed_bytes += n;
                if n > 0 {
                    up.lost(dir, n, span);
                }
                return;
            }
            let again = found.is_some();
            let step = match found.take() {
                Some((header, span)) => Step::Record { header, span },
                None => self.halves[i].framer.step(&mut chunk, span),
            };
            match step {
                Step::More => {}
                Step::Record { header, span } if !again && self.hold_back(dir, header, span, env, up) => continue,
                _ => self.open_held_back(dir, env, up),
            }
            match step {
                Step::More => break,
                Step::Record { header, span: of }
                    if !again && self.stop_before(dir, (header, of), chunk, span, env) =>
                {
                    return;
                }
                Step::Record { header, span } => {
                    let mut taken = self.halves[i].framer.take(header.record_len());
                    self.record(dir, header, taken.bytes(), span, env, up);
                    self.halves[i].framer.put_back(taken);
                }
                Step::V2Hello { len, span } => {
                    let mut taken = self.halves[i].framer.take(len);
                    self.halves[i].records += 1;
                    self.account.overhead += len as u64;
                    self.v2_hello(dir, taken.bytes().get(2..).unwrap_or_default(), span, env, up);
                    self.halves[i].framer.put_back(taken);
                }
                Step::Candidate { header, chained, span } => {
                    let mut taken = self.halves[i].framer.take(header.record_len());
                    if self.candidate(dir, header, chained, taken.bytes(), span, env, up) {
                        self.halves[i].framer.found();
                        self.halves[i].framer.put_back(taken);
                    } else {
                        self.halves[i].framer.reject(taken);
                        self.passed(dir, 1, span, up);
                    }
                }
                Step::Dropped { bytes, span } => self.passed(dir, bytes, span, up),
                Step::Garbage { span: of } if self.may_be_over(dir) => {
                    if up.no_record(dir, self.halves[i].framer.rest(), of) {
                        self.halves[i].framer.clear();
                        up.no_record(dir, chunk, span);
                        break;
                    }
                    self.garbage(dir, of, up);
                }
                Step::Garbage { span } => self.garbage(dir, span, up),
            }
        }
        self.halves[i].framer.rest_now();
        if self.scratch.capacity() > 0 {
            self.scratch = Vec::new();
        }
    }

    /// Bytes of a direction are missing.
    pub fn gap(&mut self, dir: Direction, len: u64, span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        self.open_all_held_back(env, up);
        if self.keep_gap(dir, len, span, env) {
            return;
        }
        if self.handshakes.is_empty() {
            self.handshakes.push(Handshake::new(span));
        }
        self.lose(dir, len, span, env, up);
    }

    /// A direction is over: its FIN was seen.
    pub fn end(&mut self, dir: Direction, span: Span, env: &mut Env<'_>) {
        if self.keep_end(dir, span, env) {
            return;
        }
        self.halves[dir.index()].ended = true;
    }

    /// Whether a hello was seen, or the end of a handshake.
    fn has_begun(&self) -> bool {
        self.handshakes.iter().any(|h| h.client.is_some() || h.server.is_some() || h.failed)
    }

    /// Whether what is no record may be no TLS any more, rather than TLS out of step.
    fn may_be_over(&self, dir: Direction) -> bool {
        self.halves[dir.index()].lost.as_ref().is_none_or(Lost::ends_in_sight) && self.has_begun()
    }

    /// Whether TLS may have ended in what is missing, or behind it where records are only searched for.
    fn is_adrift(&self, dir: Direction) -> bool {
        let half = &self.halves[dir.index()];
        !half.dead && half.lost.as_ref().is_some_and(Lost::is_adrift) && self.has_begun()
    }

    /// The peers went on without TLS, and `first` was the first to do so: a handshake under way failed, with an alert
    /// or without. What was missing before may have been the dialogue's, too.
    pub fn break_off(&mut self, first: Direction, span: Span, up: &mut dyn Upper) {
        let spoke_tls = self.halves[Direction::Server.index()].records > 0;
        let last = self.last();
        last.failed |= !last.established;
        last.answered_in_clear = last.failed && first == Direction::Server && !spoke_tls && !last.answer_lost;
        for dir in [first, first.opposite()] {
            let lost = self.halves[dir.index()].lost.take().filter(Lost::is_adrift);
            if let Some(len) = lost.and_then(|lost| lost.deferred) {
                up.lost(dir, len, span);
            }
        }
    }

    /// Whether the server answered a hello in the clear, and never in TLS.
    pub fn was_answered_in_clear(&self) -> bool {
        self.handshakes.last().is_some_and(Handshake::was_answered_in_clear)
    }

    /// Bytes of records that stayed closed, or that belong to no whole record.
    pub fn undecrypted_bytes(&self) -> u64 {
        self.account.undecrypted
    }

    /// Headers, MACs, padding, handshake messages, alerts.
    pub fn overhead_bytes(&self) -> u64 {
        self.account.overhead
    }

    /// Behind [`Connection::finish`]: all that came behind the handshake stayed closed, and one side can't have said a
    /// word in it.
    pub fn stayed_silent(&self) -> bool {
        self.silent
    }

    /// Bytes on the wire of the application data that was handed up: its length, before decompression where TLS
    /// compressed it. With overhead, undecrypted and held bytes it adds up to what was given.
    pub fn opened_bytes(&self) -> u64 {
        self.account.opened
    }

    /// Bytes of records that are not whole yet; [`Connection::finish`] counts them as undecrypted.
    pub fn held_bytes(&self) -> u64 {
        self.halves.iter().map(|half| half.framer.held() as u64).sum()
    }

    /// Whether a handshake ran to its end.
    pub fn is_established(&self) -> bool {
        self.handshakes.iter().any(|handshake| handshake.established)
    }

    /// The protocol that the server chose (TLS 1.3: only when its flight was decrypted).
    pub fn alpn(&self) -> Option<&[u8]> {
        self.handshakes.iter().find_map(|handshake| handshake.alpn.as_deref())
    }

    /// The handshake that is going on, or was last.
    fn last(&mut self) -> &mut Handshake {
        let index = self.current();
        &mut self.handshakes[index]
    }

    fn current(&mut self) -> usize {
        if self.handshakes.is_empty() {
            self.handshakes.push(Handshake::new(Span::default()));
        }
        self.handshakes.len() - 1
    }

    /// The handshake whose keys protect a direction now.
    fn protecting(&mut self, dir: Direction) -> &mut Handshake {
        let index = self.halves[dir.index()].epoch.handshake.min(self.current());
        &mut self.handshakes[index]
    }
}
