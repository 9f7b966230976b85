//! One connection's layer stack: detection, TLS, STARTTLS hand-over, compression, the mail dissector; makes events.
//!
//! Knows nothing of files, threads or formats.
//!
//! ```text
//! TCP ─ Stack ─────────────────────────────▶ Layers ─ inflate? ─ Detector ⇒ Dissector
//!         └─ tls::Connection (implicit, or after STARTTLS) ─▶┘
//! ```

mod decode_as;
mod detect;
mod ending;
mod inflate;
mod layers;
mod outcome;
mod plain;
mod proxied;
mod proxy_header;
mod stack;

pub use decode_as::DecodeAs;

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::event::{Account, EndReason, Event, EventBody, Gap, GapCause, Opening, Protocol};
use crate::flow::{ConnectionInfo, Interest, Roles, Side, StreamChunk};
use crate::limits::Limits;
use crate::mail::Options;
use crate::ports::is_mail_port;
use crate::position::{Direction, FramePos, Span, Timestamp};
use crate::tls::{KeyRing, SessionCache};

use layers::{Env, NAME};
use stack::{Input, Secrets, Stack};

/// What a session works with besides its own bytes.
pub struct World<'a> {
    /// Keys and key logs.
    pub keys: &'a KeyRing,
    /// Earlier TLS sessions, for resumption.
    pub sessions: &'a mut SessionCache,
    /// What the user wants.
    pub options: &'a Options,
    /// Bounds.
    pub limits: &'a Limits,
    /// The user's word on ports.
    pub decode_as: &'a [DecodeAs],
    /// Report TLS that carries no mail, too.
    pub all_tls: bool,
    /// Where finished events go.
    pub out: &'a mut Vec<Event>,
    /// What is undecided.
    pub undecided: &'a mut Undecided,
    /// Memory that the sessions take, roughly; who calls them bounds it.
    pub kept: &'a mut usize,
    /// Input-wide number of the frame that brought this about; beyond all others where that is the input's end.
    pub frame: u64,
    /// The next boundary. Rounds end anywhere before it, so that nothing told up to there may depend on *when* another
    /// shard's TLS sessions became known.
    pub boundary: u64,
}

/// What the sessions hold of which it is not known what they are.
#[derive(Copy, Clone, Debug, Default)]
pub struct Undecided {
    /// Bytes, roughly.
    pub held: usize,
    /// Bytes at most; beyond it sessions are judged before they have said enough.
    pub bound: usize,
    /// How many were.
    pub judged_early: u64,
}

/// Events kept of a connection that is not known to be mail; and where many such connections hold too much.
const UNDECIDED: usize = 256;
const UNDECIDED_LEAST: usize = 8;
/// Bytes of another protocol within which its STARTTLS is looked for, where all TLS is wanted.
const TLS_WATCH: u64 = 64 << 10;

/// One TCP connection on its way to becoming a story. Small until there is data.
#[derive(Default)]
pub struct Session(State);

#[derive(Default)]
enum State {
    #[default]
    New,
    Live(Box<Live>),
    /// Nothing of mail, and nobody wants to hear of it.
    Dropped,
}

struct Live {
    stack: Stack,
    /// The side that TCP calls the responder is the mail client.
    swapped: bool,
    gaps: (u64, u64),
    /// Some of them are packets that the snapshot length cut.
    cut_packets: bool,
    /// By side: the latest gap, as long as nothing follows it. Its last byte may turn out to be a FIN's.
    open_gaps: [Option<Box<OpenGap>>; 2],
    /// Application bytes by client and server.
    bytes: [u64; 2],
    diagnostics: BTreeMap<Code, (usize, String)>,
    /// Directions whose end was told.
    ended: [bool; 2],
    /// One of them by a FIN.
    fin: bool,
    /// Its part of [`Undecided::held`].
    held: usize,
    /// Its part of [`World::kept`], and how much it had been given by then, see [`Live::given`], less what came below the
    /// dialogue since.
    kept: usize,
    weighed: i64,
    /// It is not weighed up to that frame.
    frozen: u64,
    /// Handshakes so far that resume an earlier TLS session.
    resumptions: usize,
    /// Its first event was told.
    opened: bool,
    /// So was the first command or reply.
    spoken: bool,
}

/// A gap that has its place, and is told when the direction goes on.
struct OpenGap {
    seq: u64,
    span: Span,
    gap: Gap,
}

/// Nanoseconds after which a greeting is late.
const LATE: i64 = 5_000_000_000;

/// A session is weighed again when it may have grown by that part, or by so many bytes.
const WEIGHED_PART: i64 = 4;
const WEIGHED_BYTES: i64 = 2048;

/// Bytes that are kept for a command that waits.
const WAITING: u64 = 256;

/// TLS records are held back as long as this part of what all sessions may keep is kept by those of the same shard.
const ROOMY: usize = 256;

impl Session {
    /// A connection of which nothing is known.
    pub fn new() -> Self {
        Session(State::New)
    }

    /// The next piece of the connection.
    pub fn chunk(&mut self, info: &ConnectionInfo, chunk: StreamChunk<'_>, world: &mut World<'_>) -> Interest {
        if let State::New = self.0 {
            self.0 = State::Live(Box::new(Live::new(info, world)));
        }
        let State::Live(live) = &mut self.0 else { return Interest::Drop };
        live.chunk(info, chunk, world);
        self.interest(info, world)
    }

    fn interest(&mut self, info: &ConnectionInfo, world: &mut World<'_>) -> Interest {
        let State::Live(live) = &mut self.0 else { return Interest::Drop };
        // A parked session may turn out to be no mail only when it goes on: up to its frozen frame it is kept in either
        // case.
        if live.interest(info, world) == Interest::Keep || world.frame <= live.frozen {
            return Interest::Keep;
        }
        live.release(world);
        self.0 = State::Dropped;
        Interest::Drop
    }

    /// Whether TLS has begun in it.
    pub fn is_in_tls(&self) -> bool {
        matches!(&self.0, State::Live(live) if live.stack.has_tls())
    }

    /// Whether it is a mail session, as far as can be said by now.
    pub fn is_mail(&self, info: &ConnectionInfo, world: &World<'_>) -> bool {
        matches!(&self.0, State::Live(live) if live.is_mail(info, world))
    }

    /// Whether it has met a resumed TLS session that [`World::sessions`] can't yet be certain of. Until
    /// [`Session::go_on`] it must be given nothing.
    pub fn is_waiting(&self) -> bool {
        matches!(&self.0, State::Live(live) if live.stack.is_waiting())
    }

    /// Whether its end depends on what [`World::sessions`] can't yet be certain of: a TLS session that stayed closed
    /// elsewhere.
    pub fn ends_uncertain(&self) -> bool {
        matches!(&self.0, State::Live(live) if live.stack.ends_uncertain())
    }

    /// It is parked. In which round it goes on depends on where rounds end, which must not be seen: up to frame `until`
    /// its part of [`World::kept`] stays as it is, so that evictions come out the same.
    pub fn freeze(&mut self, until: u64) {
        if let State::Live(live) = &mut self.0 {
            live.frozen = live.frozen.max(until);
        }
    }

    /// Its connection is over, while it is parked.
    pub fn release(&mut self, world: &mut World<'_>) {
        if let State::Live(live) = &mut self.0 {
            live.keep(0, world);
            live.frozen = u64::MAX;
        }
    }

    /// The session cache is certain: finishes the piece at which it stopped.
    pub fn go_on(&mut self, info: &ConnectionInfo, world: &mut World<'_>) -> Interest {
        let State::Live(live) = &mut self.0 else { return Interest::Keep };
        let env = env(info, world);
        live.stack.go_on(env, &mut Secrets { keys: world.keys, sessions: world.sessions });
        self.interest(info, world)
    }

    /// The connection is over.
    pub fn close(self, info: &ConnectionInfo, reason: EndReason, at: FramePos, world: &mut World<'_>) -> Closed {
        match self.0 {
            State::Live(live) => live.close(info, reason, at, world),
            // On a mail port even silence is a session, once the connection stood.
            State::New if info.syn == [true, true] && on_mail_port(info, world) => {
                Box::new(Live::new(info, world)).close(info, reason, at, world)
            }
            State::New | State::Dropped => Closed::default(),
        }
    }
}

/// What a closed connection adds to the run's report.
#[derive(Copy, Clone, Debug, Default)]
pub struct Closed {
    /// It was a mail session.
    pub mail: bool,
    /// And something of it is missing.
    pub incomplete: bool,
    /// TLS handshakes told.
    pub handshakes: u64,
    /// Where its bytes went.
    pub account: Account,
}

fn forced(info: &ConnectionInfo, world: &World<'_>) -> Option<DecodeAs> {
    let ports = [info.responder.port(), info.initiator.port()];
    ports.iter().find_map(|port| world.decode_as.iter().find(|d| d.port == *port)).copied()
}

fn env<'a>(info: &ConnectionInfo, world: &World<'a>) -> Env<'a> {
    Env { options: world.options, limits: world.limits, one_sided: one_sided(info), may_hold_back: false }
}

/// Whether no frame of one side is in the capture. Frames, not bytes: a side that only listens still sends
/// acknowledgements.
fn one_sided(info: &ConnectionInfo) -> bool {
    info.frames_by.contains(&0)
}

fn on_mail_port(info: &ConnectionInfo, world: &World<'_>) -> bool {
    is_mail_port(info.responder.port()) || forced(info, world).is_some()
}

impl Live {
    fn new(info: &ConnectionInfo, world: &World<'_>) -> Self {
        let mut live = Live {
            stack: Stack::new(info.id, Protocol::of_port(info.responder.port()), forced(info, world)),
            swapped: false,
            gaps: (0, 0),
            cut_packets: false,
            open_gaps: [None, None],
            bytes: [0; 2],
            diagnostics: BTreeMap::new(),
            ended: [false; 2],
            fin: false,
            held: 0,
            kept: 0,
            weighed: 0,
            frozen: 0,
            resumptions: 0,
            opened: false,
            spoken: false,
        };
        if info.syn == [false; 2] {
            live.stack.begins_unseen();
            let detail = "the connection's beginning is not in the capture";
            live.stack.layers.emitter.diagnose(Span::at(info.first), Code::MidStream, detail);
            if let Some(detector) = live.stack.layers.detector() {
                detector.ports_alike = is_mail_port(info.initiator.port()) && is_mail_port(info.responder.port());
            }
        }
        live
    }

    /// A port that the user names is the server's, whoever seems to have opened the connection if no SYN says it.
    fn obey_port(&mut self, info: &ConnectionInfo, world: &World<'_>) {
        let named = |port| forced(info, world).is_some_and(|forced| forced.port == port);
        self.swapped = info.roles != Roles::Handshake && named(info.initiator.port()) && !named(info.responder.port());
    }

    fn direction(&self, side: Side) -> Direction {
        match (side, self.swapped) {
            (Side::Initiator, false) | (Side::Responder, true) => Direction::Client,
            _ => Direction::Server,
        }
    }

    fn chunk(&mut self, info: &ConnectionInfo, chunk: StreamChunk<'_>, world: &mut World<'_>) {
        self.stack.layers.begin_frame(world.frame);
        if !world.decode_as.is_empty() && self.bytes == [0; 2] && self.gaps.0 == 0 && !self.fin {
            self.obey_port(info, world);
        }
        // Where it may be parked, its part of what is kept is not known.
        let roomy = world.frame > self.frozen && *world.kept < world.limits.session_bytes / ROOMY;
        let env = Env { may_hold_back: roomy, ..env(info, world) };
        let mut secrets = Secrets { keys: world.keys, sessions: world.sessions };
        let chunk = match chunk {
            // A frame that fills a hole releases what stands behind it.
            StreamChunk::Data { side, offset, bytes, at } if self.stack.layers.has_enough(env) => {
                self.stack.open_held_back(env, &mut secrets);
                let detail = "one frame releases more than can be processed at once; the rest of it is skipped";
                self.stack.layers.emitter.diagnose(Span::at(at), Code::ReassemblyLimit, detail);
                StreamChunk::Gap { side, offset, len: bytes.len() as u64, cause: GapCause::Limit, at }
            }
            chunk => chunk,
        };
        if let StreamChunk::Data { side, .. } | StreamChunk::Gap { side, .. } | StreamChunk::End { side, .. } = chunk {
            self.tell_gap(side, info);
        }
        if !matches!(chunk, StreamChunk::Data { .. }) {
            // What came before takes its places in the story first.
            self.stack.open_held_back(env, &mut secrets);
        }
        match chunk {
            StreamChunk::Data { side, bytes, at, .. } => {
                let dir = self.direction(side);
                let len = bytes.len() as u64;
                self.bytes[dir.index()] += len;
                self.weighed = self.weighed.saturating_sub_unsigned(self.stack.most_below() * len);
                let input = Input { dir, bytes, span: Span::at(at), roles_sure: info.roles == Roles::Handshake };
                if self.stack.data(input, env, &mut secrets) {
                    self.swap();
                }
            }
            StreamChunk::Gap { side, offset, len, cause, at } => {
                let (dir, span) = (self.direction(side), Span::at(at));
                let seq = self.stack.layers.emitter.reserve();
                let gap = Gap { dir, offset, bytes: len, cause };
                self.open_gaps[side.index()] = Some(Box::new(OpenGap { seq, span, gap }));
                self.gaps = (self.gaps.0 + 1, self.gaps.1 + len);
                self.cut_packets |= cause == GapCause::Snaplen;
                self.stack.gap(dir, len, cause, span, env, &mut secrets);
            }
            StreamChunk::Odd { code, detail, at, .. } => {
                self.stack.layers.emitter.diagnose(Span::at(at), code, detail.to_owned());
            }
            StreamChunk::End { side, at } => {
                self.fin = true;
                self.end(side, Span::at(at), env, &mut secrets);
            }
        }
    }

    /// Tells a side's latest gap, for which it is certain by now what it lacks.
    fn tell_gap(&mut self, side: Side, info: &ConnectionInfo) {
        let Some(open) = self.open_gaps[side.index()].take() else { return };
        let OpenGap { seq, span, mut gap } = *open;
        let last = gap.offset + gap.bytes.saturating_sub(1);
        if gap.bytes > 1 && info.fins_in_gaps[side.index()].is_some_and(|fin| fin.get() == last) {
            gap.bytes -= 1;
            self.gaps.1 -= 1;
        }
        self.stack.layers.emitter.push_at(seq, span, EventBody::Gap(gap));
    }

    fn end(&mut self, side: Side, span: Span, env: Env<'_>, secrets: &mut Secrets<'_>) {
        if !std::mem::replace(&mut self.ended[side.index()], true) {
            self.stack.end(self.direction(side), span, env, secrets);
        }
    }

    fn swap(&mut self) {
        self.swapped = !self.swapped;
        self.bytes.swap(0, 1);
    }

    /// Whether this is a mail session, by the contract's definition.
    fn is_mail(&self, info: &ConnectionInfo, world: &World<'_>) -> bool {
        let behind_proxy = self.stack.proxied.as_ref().is_some_and(|opened| is_mail_port(opened.port));
        self.stack.layers.is_mail() || self.stack.mail_alpn() || behind_proxy || on_mail_port(info, world)
    }

    fn nobody_cares(&self, info: &ConnectionInfo, world: &World<'_>) -> bool {
        let maybe_tls = self.stack.has_tls() || self.bytes.iter().sum::<u64>() < TLS_WATCH;
        self.stack.layers.is_other() && !(world.all_tls && maybe_tls) && !self.is_mail(info, world)
    }

    /// Passes on what is ready; whether there may be more.
    fn interest(&mut self, info: &ConnectionInfo, world: &mut World<'_>) -> Interest {
        self.flush(info, world);
        self.keep_bound(info, world);
        let resumptions = self.stack.resumptions();
        if resumptions > self.resumptions {
            // Whether it was parked for that session depends on where rounds end: as if it had been, see
            // `Session::freeze`.
            self.resumptions = resumptions;
            self.frozen = self.frozen.max(world.boundary);
        }
        self.weigh(world);
        match !self.stack.is_waiting() && self.nobody_cares(info, world) {
            true => Interest::Drop,
            false => Interest::Keep,
        }
    }

    /// Notes what is held. Where that is too much over all, what this is has to be judged now.
    fn keep_bound(&mut self, info: &ConnectionInfo, world: &mut World<'_>) {
        let undecided = self.stack.layers.held();
        if undecided == self.held {
            return;
        }
        self.hold(undecided, world);
        if world.undecided.held <= world.undecided.bound || self.stack.is_waiting() {
            return;
        }
        if self.stack.layers.detector().is_some_and(|detector| detector.has_bytes()) {
            world.undecided.judged_early += 1;
            let env = env(info, world);
            let mut secrets = Secrets { keys: world.keys, sessions: world.sessions };
            if self.stack.has_tls() {
                self.stack.layers.detect(true, env);
            } else if self.stack.detect(info.roles == Roles::Handshake, true, env, &mut secrets) {
                self.swap();
            }
            self.flush(info, world);
        }
        self.stack.layers.emitter.truncate(UNDECIDED_LEAST);
        self.hold(self.stack.layers.held(), world);
    }

    fn hold(&mut self, bytes: usize, world: &mut World<'_>) {
        world.undecided.held = (world.undecided.held + bytes).saturating_sub(self.held);
        self.held = bytes;
    }

    /// What the dialogue has been given, by the most that it can have made of it.
    fn given(&self) -> i64 {
        let layers = &self.stack.layers;
        let kept = layers.given.saturating_sub(layers.emitter.passed());
        let most = NAME * kept + WAITING * layers.emitter.count() + layers.inflaters_cost() as u64;
        most.try_into().unwrap_or(i64::MAX)
    }

    /// Notes what it takes, if that may have changed by much.
    fn weigh(&mut self, world: &mut World<'_>) {
        if world.frame <= self.frozen {
            return;
        }
        let given = self.given();
        let grown = given.saturating_sub(self.weighed);
        if self.kept == 0 || grown > WEIGHED_BYTES.max(self.kept as i64 / WEIGHED_PART) {
            self.weighed = given;
            let details = self.diagnostics.values().map(|(_, detail)| 64 + detail.len()).sum::<usize>();
            self.keep(size_of::<Live>() + details + self.stack.cost(), world);
        }
    }

    fn keep(&mut self, bytes: usize, world: &mut World<'_>) {
        *world.kept = (*world.kept + bytes).saturating_sub(self.kept);
        self.kept = bytes;
    }

    /// It is over, or away: it holds nothing any more.
    fn release(&mut self, world: &mut World<'_>) {
        self.hold(0, world);
        self.keep(0, world);
    }

    /// Passes on what is ready, once it is known to be mail.
    fn flush(&mut self, info: &ConnectionInfo, world: &mut World<'_>) {
        if self.stack.layers.emitter.is_empty() {
            return;
        }
        if !self.is_mail(info, world) {
            // What may never be told must not grow.
            self.stack.layers.emitter.truncate(UNDECIDED);
            return;
        }
        let limit = world.limits.diagnostics_per_code;
        let mut greeting = None;
        for event in self.stack.layers.emitter.drain() {
            if world.options.openings && !std::mem::replace(&mut self.opened, true) {
                let (client, server) = match self.swapped {
                    false => (info.initiator, info.responder),
                    true => (info.responder, info.initiator),
                };
                let (span, body) = (Span::at(info.first), EventBody::Opening(Opening { client, server }));
                world.out.push(Event { session: info.id, seq: 0, span, body });
            }
            if let EventBody::Diagnostic(Diagnostic { code, detail }) = &event.body {
                let (count, _) = self.diagnostics.entry(*code).or_insert_with(|| (0, detail.clone()));
                *count += 1;
                if *count > limit {
                    continue;
                }
            }
            match &event.body {
                EventBody::Reply(reply) if !std::mem::replace(&mut self.spoken, true) => {
                    greeting = Some(event.span).filter(|_| reply.command.is_none());
                }
                EventBody::Command(_) => self.spoken = true,
                _ => {}
            }
            world.out.push(event);
        }
        self.stack.layers.emitter.shrink();
        if greeting.is_some_and(|span| self.tell_if_late(span, info)) {
            self.flush(info, world);
        }
    }

    /// Tells of a greeting that was long in coming: name look-ups, or a trap for spam. It answers no command, so no
    /// reply's latency has it.
    fn tell_if_late(&mut self, greeting: Span, info: &ConnectionInfo) -> bool {
        let (since, what) = match self.stack.layers.tls_began {
            Some(since) => (Timestamp(since.get()), "TLS was established"),
            None => (info.first.ts, "the connection began"),
        };
        // postscreen is late with its last line only.
        let nanos = greeting.last.ts.nanos_since(since);
        let whole = self.gaps == (0, 0) && self.stack.undecrypted_bytes() == 0;
        let late = nanos >= LATE && info.syn != [false; 2] && whole;
        if late {
            let detail = format!("the greeting came {:.1} s after {what}", nanos as f64 / 1e9);
            self.stack.layers.emitter.diagnose(greeting, Code::LateGreeting, detail);
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There may be 100,000 of them.
    #[test]
    fn a_live_session_is_small() {
        assert!(size_of::<Live>() <= 592, "{}", size_of::<Live>());
    }
}
