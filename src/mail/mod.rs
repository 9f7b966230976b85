//! Plaintext → commands, replies, authentications, messages.
//!
//! Knows nothing of TLS or of output. A dissector gets one session's bytes in causal order and writes events; it
//! follows the dialogue and never polices it.

pub mod detect;
pub(crate) mod hold;
pub mod imap;
pub mod line;
pub mod message;
pub mod pop3;
mod queue;
mod quoted;
pub mod sasl;
#[cfg(test)]
mod script;
pub mod sieve;
pub mod smtp;
#[cfg(test)]
mod tests;
mod veil;

use std::borrow::Cow;

use crate::diagnostic::{Code, Diagnostic};
use crate::event::weight::optional;
use crate::event::{Event, EventBody, Outcome, Protocol, Text};
use crate::limits::Limits;
use crate::position::{Direction, Span};

/// Most bytes of a literal that a text shows behind its size: names and values, not what is long.
const LITERAL_SHOWN: usize = 1 << 10;

/// What the user wants decoded; the rest is not computed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Put passwords, tokens and challenge answers into events instead of masking them.
    pub show_secrets: bool,
    /// SHA-256 of messages and attachments.
    pub digests: bool,
    /// Emit [`EventBody::MessageData`].
    pub bodies: bool,
    /// Leave messages unread inside: no header fields, no attachments, and nothing odd that is found there.
    pub envelopes_only: bool,
    /// Emit [`EventBody::Secrets`].
    pub tls_secrets: bool,
    /// Emit [`EventBody::Plain`].
    pub plaintext: bool,
    /// Emit [`EventBody::Opening`].
    pub openings: bool,
    /// Known passwords, to verify answers with.
    pub passwords: sasl::Passwords,
}

/// A piece of a direction's stream, with the frames of its first and last byte (a decrypted record spans several).
#[derive(Copy, Clone, Debug)]
pub struct Chunk<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Their frames.
    pub span: Span,
}

/// Bytes of a direction that are missing.
#[derive(Copy, Clone, Debug)]
pub struct Missing {
    /// How many; inside TLS or deflate, at most.
    pub len: u64,
    /// They are the end of a packet that the capture's snapshot length cut: what follows begins another.
    pub tail: bool,
    /// Frames of what follows.
    pub span: Span,
}

/// What follows the bytes that a dissector consumed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// More of the same.
    Continue,
    /// The server accepted STARTTLS or STLS: what follows in both directions is (probably) TLS.
    StartTls,
    /// The server accepted COMPRESS DEFLATE: what follows in both directions is raw deflate (RFC 4978).
    Deflate,
}

/// How far a dissector got.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Bytes of the chunk that are done with. Less than all only with a `next` other than `Continue`.
    pub consumed: usize,
    /// What the rest is.
    pub next: Next,
}

/// Bytes that a dissector held back and gives up, see [`Dissector::take_held`].
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The bytes, in order.
    pub bytes: Vec<u8>,
    /// Their frames.
    pub span: Span,
}

/// What a dissector knows of the whole session.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The protocol, which content may have changed (SMTP → LMTP).
    pub protocol: Option<Protocol>,
    /// Text of the greeting.
    pub banner: Option<Text>,
    /// HELO, EHLO, LHLO name.
    pub helo: Option<Text>,
    /// Who authenticated, or last tried to.
    pub user: Option<Text>,
    /// Commands, without injected ones.
    pub commands: u64,
    /// Messages of part `full`.
    pub messages: u64,
    /// The last negative reply.
    pub last_error: Option<Text>,
    /// Slowest reply, nanoseconds.
    pub slowest_reply: Option<i64>,
    /// The dissector's word, if it has one: `completed`, `refused`, `auth-failed`, `no-banner`. Whether the rest was
    /// aborted or cut, or ended well without a word, the connection's end says (`session/outcome.rs`).
    pub outcome: Option<Outcome>,
    /// At the end nothing was under way: no command without its answer, no message or transaction open.
    pub at_rest: bool,
    /// Somebody logged in, or a message was taken.
    pub served: bool,
    /// Bytes passed over while looking for a line to trust.
    pub skipped_bytes: u64,
}

impl Summary {
    /// Memory beside its own fields.
    pub(crate) fn cost(&self) -> usize {
        [&self.banner, &self.helo, &self.user, &self.last_error].into_iter().map(optional).sum()
    }
}

/// A login's security layer (RFC 4422 §3.7): all that follows the reply that accepts it, in pieces behind their
/// lengths.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum SecurityLayer {
    /// There is none.
    #[default]
    None,
    /// A login that may agree on one is under way.
    Possible,
    /// It has succeeded: the next bytes tell.
    Decided,
    /// There is one.
    Begun,
}

/// Collects one session's events and numbers them.
#[derive(Debug)]
pub struct Emitter {
    pub(crate) layer: SecurityLayer,
    session: u64,
    next_seq: u64,
    events: Vec<Event>,
    veil: veil::Veil,
    /// See [`Emitter::passed`].
    passed: u32,
}

impl Emitter {
    /// An emitter for the session with that id.
    pub fn new(session: u64) -> Self {
        let veil = veil::Veil::default();
        Emitter { layer: SecurityLayer::None, session, next_seq: 1, events: Vec::new(), veil, passed: 0 }
    }

    /// Takes the next place in the story for an event that will be known later.
    pub fn reserve(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    /// Adds an event at the next place; returns its `seq`.
    pub fn push(&mut self, span: Span, body: EventBody) -> u64 {
        let seq = self.reserve();
        self.push_at(seq, span, body);
        seq
    }

    /// Adds an event at a reserved place.
    pub fn push_at(&mut self, seq: u64, span: Span, mut body: EventBody) {
        self.redact(&mut body);
        self.events.push(Event { session: self.session, seq, span, body });
    }

    /// Adds a diagnostic. A constant detail holds nothing of the wire, so it is not masked: were a password one of its
    /// words, the gap in a known sentence would give it away.
    pub fn diagnose(&mut self, span: Span, code: Code, detail: impl Into<Cow<'static, str>>) {
        let detail = detail.into();
        let fixed = matches!(detail, Cow::Borrowed(_));
        let mut body = EventBody::Diagnostic(Diagnostic { code, detail: detail.into_owned() });
        if !fixed {
            self.redact(&mut body);
        }
        let seq = self.reserve();
        self.events.push(Event { session: self.session, seq, span, body });
    }

    /// Drops what was added beyond the first `limit` events that have not been taken.
    pub fn truncate(&mut self, limit: usize) {
        self.events.truncate(limit);
    }

    /// Memory of what has not been taken, roughly, without texts.
    pub fn cost(&self) -> usize {
        self.events.len() * size_of::<Event>()
    }

    /// Memory of what is kept besides events, roughly.
    pub(crate) fn kept(&self) -> usize {
        self.events.capacity() * size_of::<Event>() + self.veil.cost()
    }

    /// Events so far.
    pub(crate) fn count(&self) -> u64 {
        self.next_seq
    }

    /// Notes that many bytes of the dialogue of which nothing is kept.
    pub(crate) fn pass(&mut self, bytes: usize) {
        self.passed = self.passed.saturating_add(bytes as u32);
    }

    /// Bytes of which nothing is kept, so far, as far as 32 bits count.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.into()
    }

    /// The session's id.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// Gives back the room of an unusual number of events.
    pub(crate) fn shrink(&mut self) {
        /// Most chunks make a few.
        const ROOM: usize = 64;
        // Shrunk, it would hold its place amid what is free then.
        if self.events.is_empty() && self.events.capacity() > ROOM {
            self.events = Vec::new();
        }
    }

    /// Whether nothing waits to be taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes what has been collected.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Event> {
        self.events.drain(..)
    }
}

/// What a dissector works with besides the bytes.
pub struct Context<'a> {
    /// Where events go.
    pub out: &'a mut Emitter,
    /// Whether the bytes came inside TLS.
    pub tls: bool,
    /// Whether the bytes are client commands that were sent behind STARTTLS in the clear: tell them as `injected`,
    /// outside the count, and expect no reply to them.
    pub injected: bool,
    /// Only one side's frames are in the capture, as far as it has been read: success is assumed where the other side's
    /// word is needed.
    pub one_sided: bool,
    /// What to compute.
    pub options: &'a Options,
    /// Bounds.
    pub limits: &'a Limits,
}

impl Context<'_> {
    /// A line was told; whether it `reveals` a password to whoever reads it.
    fn warn_of_plaintext(&mut self, reveals: bool, span: Span) {
        if reveals && !self.tls {
            self.out.diagnose(span, Code::PlaintextPassword, "a password or token was sent without TLS");
        }
    }
}

/// A mail protocol's dissector. One a session, from the first byte to the last, across STARTTLS and gaps.
pub trait Dissector {
    /// Whether these bytes, the server's first, are its greeting: what follows is all of the dialogue.
    fn greets(&self, bytes: &[u8]) -> bool;

    /// The beginning of the dialogue is not in the capture; before the first [`Dissector::input`]. `hint` is what the
    /// port suggests.
    fn join(&mut self, hint: Option<Protocol>);

    /// The next bytes of a direction.
    fn input(&mut self, dir: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance;

    /// Bytes are missing here. The `gap` event is the caller's; the dissector marks what it touches and looks for the
    /// next line it can trust.
    fn gap(&mut self, dir: Direction, missing: Missing, cx: &mut Context<'_>);

    /// That direction is over.
    fn end(&mut self, dir: Direction, span: Span, cx: &mut Context<'_>);

    /// The connection is over: finish what is open.
    fn finish(&mut self, span: Span, cx: &mut Context<'_>);

    /// After [`Next::StartTls`] or [`Next::Deflate`]: bytes of `dir` that were held and not interpreted (the client's
    /// behind STARTTLS). The caller gives them to the new layer, or back as injected.
    fn take_held(&mut self, dir: Direction) -> Option<Held>;

    /// TLS is up: forget what the protocol says to forget (RFC 3207 §4.2), expect no new greeting.
    fn tls_started(&mut self);

    /// Whether `dir` stands at the beginning of a line, outside literals and message data: where TLS could begin.
    fn at_line_start(&self, dir: Direction) -> bool;

    /// Whether a line, without its end, is one of the dialogue and hardly anything else.
    fn recognises(&self, dir: Direction, line: &[u8]) -> bool;

    /// What is known of the session.
    fn summary(&self) -> Summary;

    /// Memory that it takes, roughly, with all that waits in it.
    fn cost(&self) -> usize;
}
