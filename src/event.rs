//! The vocabulary between decoding and output: what happened in a mail session.
//!
//! Parsers make [`Event`]s, sinks show them; neither knows the other. Secrets are masked *before* they enter an
//! event unless the user asked for them ([`crate::mail::Options::show_secrets`]), so that no output can leak one.

mod message;
mod network;
mod serial;
mod session;
mod tls;
pub(crate) mod weight;

use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;
use crate::position::{Direction, Span};

pub use message::{Attachment, Message, MessageData, MessageDirection, MessageOutcome, MessagePart, Recipient, Script};
pub use network::{Comment, CommentOn, Connection, Unreachable};
pub use session::{Account, EndReason, Opening, Outcome, Protocol, Security, Session};
pub use tls::{Alert, Certificate, Decrypted, Name, Progress, Resumed, SecretSource, TlsHandshake};

/// Bytes from the wire that are meant as text. Usually UTF-8, never promised to be.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(pub Vec<u8>);

impl Text {
    /// The text with invalid UTF-8 replaced by U+FFFD.
    pub fn to_str_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// No bytes at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.to_str_lossy())
    }
}

impl From<&str> for Text {
    fn from(s: &str) -> Self {
        Text(s.as_bytes().to_vec())
    }
}

impl From<String> for Text {
    fn from(s: String) -> Self {
        Text(s.into_bytes())
    }
}

impl From<&[u8]> for Text {
    fn from(s: &[u8]) -> Self {
        Text(s.to_vec())
    }
}

impl From<Vec<u8>> for Text {
    fn from(s: Vec<u8>) -> Self {
        Text(s)
    }
}

/// One thing that happened in one session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The session's id: the input-wide number of its first frame.
    pub session: u64,
    /// Place in the session's story, from 1. An object that is known only later (a TLS handshake with its record
    /// counts) keeps the place where it began, so events may be emitted out of `seq` order.
    pub seq: u64,
    /// Frames of its first and last byte.
    pub span: Span,
    /// What happened.
    pub body: EventBody,
}

/// The kinds of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EventBody {
    /// A session began that is one of mail; only when [`crate::mail::Options::openings`] is set.
    Opening(Opening),
    /// A client's command.
    Command(Command),
    /// A server's reply, or one piece of untagged IMAP data.
    Reply(Reply),
    /// An authentication exchange that ended.
    Auth(Auth),
    /// A TLS handshake, emitted when its connection (or its epoch) is over.
    Tls(Box<TlsHandshake>),
    /// Bytes of a message, in order; only when [`crate::mail::Options::bodies`] is set.
    MessageData(MessageData),
    /// A message that ended, completely or not.
    Message(Box<Message>),
    /// A Sieve script that crossed the wire, completely or not.
    Script(Box<Script>),
    /// Bytes that the capture does not have.
    Gap(Gap),
    /// Something worth a word.
    Diagnostic(Diagnostic),
    /// What opens its TLS; only when [`crate::mail::Options::tls_secrets`] is set. For sinks that write secrets by
    /// purpose: it is not serialised, so that nothing else keeps it.
    #[serde(skip)]
    Secrets(Vec<crate::tls::keylog::Entry>),
    /// Bytes of the dialogue as they were before any TLS; only when [`crate::mail::Options::plaintext`] is set.
    Plain(Plain),
    /// The session is over; its last event.
    Session(Box<Session>),
}

/// A client's command (SMTP, LMTP, IMAP, POP3, ManageSieve).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Whether it came inside TLS.
    pub tls: bool,
    /// Upper case; IMAP's UID commands whole (`UID FETCH`). Kept as sent where it is no known verb.
    pub verb: Text,
    /// What follows the verb, secrets masked.
    pub args: Text,
    /// IMAP's tag.
    pub tag: Option<Text>,
    /// Sent behind STARTTLS in the clear, before TLS.
    pub injected: bool,
    /// Only one direction was captured: its success is an assumption.
    pub assumed: bool,
    /// Its end, or a part of it, is in a gap or behind the capture's end.
    pub incomplete: bool,
}

/// A server's reply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Whether it came inside TLS.
    pub tls: bool,
    /// SMTP's number.
    pub code: Option<u16>,
    /// `250`; `OK` `NO` `BAD` `BYE` `PREAUTH` `*` `+`; `+OK` `-ERR`.
    pub status: Text,
    /// RFC 3463 enhanced status code.
    pub enhanced: Option<Text>,
    /// IMAP's tag.
    pub tag: Option<Text>,
    /// `seq` of the command it answers; none for greetings and unsolicited data.
    pub command: Option<u64>,
    /// Text of the (last) line behind code or status, secrets masked.
    pub text: Text,
    /// Each line's text, without its code and line end.
    pub lines: Vec<Text>,
    /// How many of the lines come first with another code, and which: of a greeting that became a refusal.
    pub began: Option<(u16, u32)>,
    /// Nanoseconds from the command's last byte (or the final dot's, or chunk's) to the reply's first.
    pub latency: Option<i64>,
    /// Only one direction was captured.
    pub assumed: bool,
    /// A part of it, be it its end, is in a gap or behind the capture's end.
    pub incomplete: bool,
}

impl Reply {
    /// ManageSieve's response code, which is no part of the text as those of the other protocols are.
    pub(crate) fn code_apart(&self) -> Option<&Text> {
        let sieve = self.code.is_none() && matches!(self.status.0.as_slice(), b"OK" | b"NO" | b"BYE");
        self.enhanced.as_ref().filter(|_| sieve)
    }
}

/// How an authentication ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthOutcome {
    /// The server accepted.
    Success,
    /// The server refused.
    Failure,
    /// The client cancelled, or the connection ended.
    Aborted,
    /// The end was not captured.
    Unknown,
}

/// An authentication exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Auth {
    /// Who sent the identity; always the client.
    pub dir: Direction,
    /// Whether it was inside TLS.
    pub tls: bool,
    /// SASL's name in upper case; `USER` (POP3's USER/PASS), `APOP`, `LOGIN-COMMAND` (IMAP's).
    pub mechanism: Text,
    /// Authentication identity.
    pub user: Option<Text>,
    /// Authorization identity, when one was sent.
    pub authzid: Option<Text>,
    /// The password or token, only when secrets are shown.
    pub secret: Option<Text>,
    /// Whether a password, token or answer was sent, shown or not; none where that may be missing. For a person only.
    pub secret_sent: Option<bool>,
    /// How it ended.
    pub outcome: AuthOutcome,
    /// Whether a known password made the answer; none where nothing was checked.
    pub verified: Option<bool>,
    /// Only one direction was captured: success is an assumption.
    pub assumed: bool,
}

/// Bytes of one direction as TCP delivered them, or as TLS protected them. Passwords are in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plain {
    /// Who sent them.
    pub dir: Direction,
    /// Whether they came inside TLS.
    pub tls: bool,
    /// Bytes that are missing before these, of the client's and of the server's; inside TLS, at most so many.
    pub lost: [u64; 2],
    /// Of these, how many the snapshot length cut off the packet that was told last in that direction.
    pub cut: [u16; 2],
    /// The bytes; none where the dialogue ends with a loss.
    #[serde(with = "serial::bytes")]
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Plain { dir, tls, lost, cut, bytes } = self;
        write!(f, "Plain {{ dir: {dir:?}, tls: {tls}, lost: {lost:?}, cut: {cut:?}, {} bytes }}", bytes.len())
    }
}

/// Why bytes are missing.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GapCause {
    /// Not in the capture.
    Lost,
    /// Cut by the capture's snapshot length.
    Snaplen,
    /// A bound of [`crate::limits`] was reached.
    Limit,
    /// The capture began in the middle.
    MidStream,
}

/// Bytes that the capture does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Who sent them.
    pub dir: Direction,
    /// Where in that direction's TCP stream.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    /// Why.
    pub cause: GapCause,
}
