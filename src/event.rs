//! The vocabulary between decoding and output: what happened in a mail session.
//!
//! Parsers make [`Event`]s, sinks show them; neither knows the other. Secrets are masked *before* they enter an
//! event unless the user asked for them ([`crate::mail::Options::show_secrets`]), so that no output can leak one.

mod serial;
pub(crate) mod weight;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;
use crate::position::{Direction, FileId, FramePos, Span, Timestamp};

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
    /// What opens its TLS; only when [`crate::mail::Options::tls_secrets`] is set. For sinks that write secrets by purpose:
    /// it is not serialised, so that nothing else keeps it.
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
    pub cut: bool,
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
    /// Nanoseconds from the command's last byte (or the final dot's, or chunk's) to the reply's first.
    pub latency: Option<i64>,
    /// Only one direction was captured.
    pub assumed: bool,
    /// A part of it, be it its end, is in a gap or behind the capture's end.
    pub cut: bool,
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
    /// How it ended.
    pub outcome: AuthOutcome,
    /// Whether a known password made the answer; none where nothing was checked.
    pub verified: Option<bool>,
    /// Only one direction was captured: success is an assumption.
    pub assumed: bool,
}

/// What decrypted a handshake.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretSource {
    /// The server's RSA private key.
    RsaKey,
    /// A key log file.
    KeyLog,
    /// A decryption secrets block of a pcapng file.
    Dsb,
    /// A pre-shared key given by the user.
    Psk,
    /// The master secret of an earlier handshake.
    Resumption,
    /// A NULL cipher.
    NoneNeeded,
}

/// How much of a handshake's records could be decrypted.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decrypted {
    /// Every record.
    All,
    /// Some.
    Part,
    /// None.
    None,
}

/// How a handshake took up an earlier session.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resumed {
    /// A full handshake.
    No,
    /// By session ID.
    SessionId,
    /// By session ticket.
    Ticket,
    /// By TLS 1.3 pre-shared key.
    Psk,
}

/// A certificate, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Subject, RFC 4514 order as OpenSSL's one line.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Start of validity.
    pub not_before: Option<Timestamp>,
    /// End of validity.
    pub not_after: Option<Timestamp>,
    /// SHA-256 of the DER encoding.
    pub sha256: [u8; 32],
    /// Key type and size: `RSA-2048`, `EC-P256`, `Ed25519`.
    pub key: String,
}

/// An alert record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Who sent it.
    pub dir: Direction,
    /// Level and description in IANA's words; `encrypted` where it could not be read.
    pub description: String,
    /// Fatal, as opposed to a warning.
    pub fatal: bool,
    /// Its frame.
    pub span: Span,
}

/// One of a few fixed names. (An alias, so that serde does not try to borrow it from what it reads.)
pub type Name = &'static str;

/// One TLS handshake and the records it protected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TlsHandshake {
    /// 0, or 1… for renegotiations.
    pub handshake: u32,
    /// `SSLv3` `TLSv1.0` `TLSv1.1` `TLSv1.2` `TLSv1.3`.
    #[serde(deserialize_with = "serial::version")]
    pub version: Option<Name>,
    /// IANA's name of the suite, or `0xXXXX` for one that IANA does not list.
    pub suite: Option<String>,
    /// Server name the client asked for.
    pub sni: Option<Text>,
    /// Protocol the server chose.
    pub alpn: Option<Text>,
    /// The client's random.
    pub client_random: Option<[u8; 32]>,
    /// The server's certificate.
    pub certificate: Option<Certificate>,
    /// The certificates that followed it.
    pub chain: Vec<Certificate>,
    /// The client's certificate.
    pub client_certificate: Option<Certificate>,
    /// The server asked for one. Part of `steps` in JSON.
    pub certificate_asked: bool,
    /// Resumption.
    pub resumed: Resumed,
    /// RFC 7627.
    pub extended_master_secret: bool,
    /// RFC 7366.
    pub encrypt_then_mac: bool,
    /// Whether the handshake ran to its end (ChangeCipherSpec or Finished of both sides seen).
    pub completed: bool,
    /// How much was decrypted.
    pub decrypted: Decrypted,
    /// With what.
    pub secret: Option<SecretSource>,
    /// Name of the key or key-log file.
    pub key: Option<String>,
    /// Why not (all of it).
    pub reason: Option<crate::tls::Reason>,
    /// Application and handshake records decrypted under this handshake's keys.
    pub records_decrypted: u64,
    /// Encrypted records left as they were.
    pub records_undecrypted: u64,
    /// Bytes of those records.
    pub undecrypted_bytes: u64,
    /// Alerts seen under it.
    pub alerts: Vec<Alert>,
    /// Suites the client offered, in its order (IANA names).
    pub offered: Vec<String>,
    /// Steps for a person: what was tried, how far it got, what to do next.
    pub steps: Vec<String>,
    /// Frames of the handshake itself.
    pub span: Span,
}

/// A piece of a message's bytes, after dot-unstuffing, chunk joining, unquoting.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageData {
    /// Number of the message within its session; equals [`Message::ordinal`] of the event that ends it.
    pub ordinal: u64,
    /// Offset of `bytes` in the message, not counting what gaps swallowed.
    pub offset: u64,
    /// Bytes of the message are missing before these.
    pub after_gap: bool,
    /// The bytes.
    #[serde(with = "serial::bytes")]
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for MessageData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MessageData {{ ordinal: {}, offset: {}, {} bytes }}", self.ordinal, self.offset, self.bytes.len())
    }
}

/// Who talks to whom, as far as it is known when a session's first event is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Client.
    pub client: std::net::SocketAddr,
    /// Server.
    pub server: std::net::SocketAddr,
}

/// Bytes of one direction as TCP delivered them, or as TLS protected them. Passwords are in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plain {
    /// Who sent them.
    pub dir: Direction,
    /// Whether they came inside TLS.
    pub tls: bool,
    /// Bytes that are missing before these; inside TLS, at most so many.
    pub lost: u64,
    /// The bytes; none where a direction ends with a loss.
    #[serde(with = "serial::bytes")]
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Plain { dir, tls, lost, bytes } = self;
        write!(f, "Plain {{ dir: {dir:?}, tls: {tls}, lost: {lost}, {} bytes }}", bytes.len())
    }
}

/// Mail given to the server, or taken from it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageDirection {
    /// SMTP, LMTP, APPEND.
    Submitted,
    /// RETR, TOP, FETCH.
    Retrieved,
}

/// What became of a message.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageOutcome {
    /// Positive final reply, or retrieved whole.
    Accepted,
    /// Refused by the final reply.
    Rejected,
    /// RSET, close, refused chunk.
    Aborted,
    /// Its end was not seen.
    Unknown,
}

/// Which part of a message was transferred.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessagePart {
    /// DATA, BDAT, APPEND, RETR, `BODY[]`, `RFC822`, `BINARY[]`.
    Full,
    /// TOP, `HEADER*`.
    Headers,
    /// `<a.b>`.
    Range,
    /// Any other section.
    Section,
}

/// A Sieve script: the argument of PUTSCRIPT or CHECKSCRIPT, or what GETSCRIPT returned (RFC 5804 §2.6, §2.9, §2.12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Who sent it.
    pub dir: Direction,
    /// Whether it came inside TLS.
    pub tls: bool,
    /// `seq` of the command that carried it or asked for it.
    pub command: u64,
    /// That command's verb.
    pub verb: Text,
    /// Its name; CHECKSCRIPT has none.
    pub name: Option<Text>,
    /// Bytes seen.
    pub size: u64,
    /// SHA-256 of them, where digests are wanted.
    pub sha256: Option<[u8; 32]>,
    /// All of it was seen.
    pub complete: bool,
    /// What the server said of it.
    pub outcome: MessageOutcome,
    /// The reply.
    pub status: Option<Text>,
    /// Its bytes, as many as fit a line's bound, where [`crate::mail::Options::bodies`] is set.
    pub text: Option<Text>,
    /// Only one direction was captured.
    pub assumed: bool,
}

/// One envelope recipient and its fate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The path without its angle brackets.
    pub address: Text,
    /// Whether the server took it; none where the reply was not seen.
    pub accepted: Option<bool>,
    /// Reply code to RCPT (or to the message, a recipient each, in LMTP).
    pub code: Option<u16>,
    /// Reply text.
    pub text: Text,
}

/// A MIME part with a disposition or a name of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Decoded file name.
    pub filename: Option<String>,
    /// `type/subtype`, lower case.
    pub content_type: String,
    /// Decoded size in bytes.
    pub size: u64,
    /// SHA-256 of the decoded bytes, where digests are wanted.
    pub sha256: Option<[u8; 32]>,
}

/// A message, or a part of one, that crossed the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Number within the session over all messages, from 1, in order of their first bytes.
    pub ordinal: u64,
    /// Whether it came inside TLS.
    pub tls: bool,
    /// `smtp` `lmtp` `imap` `pop3` `sieve`.
    pub protocol: Protocol,
    /// Given or taken.
    pub direction: MessageDirection,
    /// Who sent its bytes.
    pub dir: Direction,
    /// SMTP transaction, from 1; IMAP and POP3 count commands that carried messages.
    pub transaction: u64,
    /// Envelope sender (empty for `<>`).
    pub mail_from: Option<Text>,
    /// Parameters of MAIL FROM.
    pub mail_params: Option<Text>,
    /// Envelope recipients.
    pub rcpt_to: Vec<Recipient>,
    /// Queue id from the final reply.
    pub queue_id: Option<Text>,
    /// The final reply.
    pub status: Option<Text>,
    /// What became of it.
    pub outcome: MessageOutcome,
    /// IMAP mailbox.
    pub mailbox: Option<Text>,
    /// IMAP UIDVALIDITY.
    pub uidvalidity: Option<u32>,
    /// IMAP UID.
    pub uid: Option<u32>,
    /// IMAP sequence number.
    pub seqno: Option<u32>,
    /// IMAP flags.
    pub flags: Vec<Text>,
    /// IMAP internal date.
    pub internaldate: Option<Text>,
    /// IMAP section as the server named it.
    pub section: Option<Text>,
    /// POP3 message number.
    pub number: Option<u32>,
    /// POP3 unique id.
    pub uidl: Option<Text>,
    /// Header From, decoded.
    pub from: Option<String>,
    /// Header To, decoded, an address each.
    pub to: Vec<String>,
    /// Header Subject, decoded.
    pub subject: Option<String>,
    /// Header Message-ID without its angle brackets.
    pub message_id: Option<String>,
    /// Header Date.
    pub date: Option<Timestamp>,
    /// Bytes captured of it.
    pub size: u64,
    /// SHA-256 of those bytes, where digests are wanted.
    pub sha256: Option<[u8; 32]>,
    /// Ended by its protocol, and no gap inside.
    pub complete: bool,
    /// Which part.
    pub part: MessagePart,
    /// Put together from ranges.
    pub joined: bool,
    /// Its attachments.
    pub attachments: Vec<Attachment>,
    /// Only one direction was captured.
    pub assumed: bool,
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

/// Application protocols.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// RFC 5321.
    Smtp,
    /// RFC 2033.
    Lmtp,
    /// RFC 3501, RFC 9051.
    Imap,
    /// RFC 1939.
    Pop3,
    /// RFC 5804.
    Sieve,
}

impl Protocol {
    /// The name in JSON and in `-d`.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Smtp => "smtp",
            Protocol::Lmtp => "lmtp",
            Protocol::Imap => "imap",
            Protocol::Pop3 => "pop3",
            Protocol::Sieve => "sieve",
        }
    }

    /// What IANA (or custom, for 2000) has on that port, be it inside TLS.
    pub fn of_port(port: u16) -> Option<Self> {
        Some(match port {
            24 => Protocol::Lmtp,
            25 | 465 | 587 => Protocol::Smtp,
            110 | 995 => Protocol::Pop3,
            143 | 993 => Protocol::Imap,
            2000 | 4190 => Protocol::Sieve,
            _ => return None,
        })
    }
}

/// How a session was protected.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Security {
    /// Not at all.
    None,
    /// TLS after a command.
    StartTls,
    /// TLS from the first byte.
    Implicit,
}

/// The word for how a session went.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Ended as its protocol says.
    Completed,
    /// The server refused service.
    Refused,
    /// Authentication failed and nothing followed.
    AuthFailed,
    /// TLS could not be established.
    TlsFailed,
    /// Ended in the middle.
    Aborted,
    /// The server never said a word.
    NoBanner,
    /// The capture ended first, or has no end of it.
    Cut,
}

/// What ended a connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// Both sides closed.
    Fin,
    /// Reset.
    Rst,
    /// Idle for too long, by capture time.
    Timeout,
    /// Its addresses and ports were used anew.
    Reused,
    /// Pushed out by a bound.
    Evicted,
    /// The input ended.
    Eof,
}

/// The whole session, at its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Input-wide number of its first frame.
    pub id: u64,
    /// Whether it is a mail session; other TLS is told only where all TLS is asked for.
    pub mail: bool,
    /// The side that connected.
    pub client: SocketAddr,
    /// The mail server.
    pub server: SocketAddr,
    /// The client as a PROXY header named it.
    pub proxy_client: Option<(IpAddr, Option<u16>)>,
    /// What was spoken.
    pub protocol: Option<Protocol>,
    /// Protection.
    pub security: Security,
    /// The handshakes.
    pub tls: Vec<TlsHandshake>,
    /// The server's greeting.
    pub banner: Option<Text>,
    /// The name in HELO, EHLO, LHLO.
    pub helo: Option<Text>,
    /// Who authenticated, or last tried to.
    pub user: Option<Text>,
    /// Commands, without injected ones.
    pub commands: u64,
    /// Messages of part `full`.
    pub messages: u64,
    /// TCP payload bytes by the client, then by the server, duplicates left out.
    pub bytes: [u64; 2],
    /// Number of gaps.
    pub gap_count: u64,
    /// Bytes in them.
    pub gap_bytes: u64,
    /// Bytes of TLS records that stayed closed.
    pub undecrypted_bytes: u64,
    /// Nothing missing, nothing undecrypted, ended in sight.
    pub complete: bool,
    /// The word for it.
    pub outcome: Outcome,
    /// The last negative reply.
    pub last_error: Option<Text>,
    /// Nanoseconds that the slowest reply took.
    pub slowest_reply: Option<i64>,
    /// What ended it.
    pub end_reason: EndReason,
    /// Who ended it: whose FIN was the first or, of one that was reset, whose RST it was.
    pub ended_by: Option<Direction>,
    /// Whose FIN or RST was the first of all: of one that was reset perhaps the other side's.
    pub closed_by: Option<Direction>,
    /// Number of frames.
    pub frames: u64,
    /// First and last frame.
    pub span: Span,
    /// Every file that holds a frame of it, in order.
    pub files: Vec<crate::position::FileId>,
    /// Outermost VLAN id.
    pub vlan: Option<u16>,
    /// Innermost tunnel, as in `gre` or `vxlan:42`.
    pub tunnel: Option<String>,
    /// Index of the capture interface, as the capture counts them.
    pub interface: Option<u32>,
    /// Each diagnostic once, with the first detail.
    pub diagnostics: Vec<Diagnostic>,
    /// The account of its bytes.
    pub account: Account,
}

/// Where the captured bytes of a session went; the parts add up to what was captured.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Decoded as mail.
    pub decoded: u64,
    /// TLS framing, handshakes, MACs, padding.
    pub overhead: u64,
    /// Encrypted bytes that stayed closed.
    pub undecrypted: u64,
    /// Passed over while looking for the next place to trust.
    pub skipped: u64,
    /// Seen more than once.
    pub duplicate: u64,
    /// Not captured.
    pub gaps: u64,
}

/// A TCP connection that is over, of mail or not: what its headers alone tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Input-wide number of its first frame: the id of its session, if it has one.
    pub id: u64,
    /// Who opened it, as far as it is known.
    pub initiator: SocketAddr,
    /// The other side.
    pub responder: SocketAddr,
    /// The initiator's SYN was seen / the responder's SYN-ACK was seen.
    pub syn: [bool; 2],
    /// Frames of the initiator, of the responder.
    pub frames: [u64; 2],
    /// Payload bytes of each.
    pub bytes: [u64; 2],
    /// The responder sent the first FIN, or the RST.
    pub closed_by_responder: bool,
    /// What ended it.
    pub reason: EndReason,
    /// First and last frame.
    pub span: Span,
}

/// What somebody wrote into a pcapng file (`opt_comment`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// What it is on.
    pub on: CommentOn,
    /// The file.
    pub file: FileId,
    /// Number of the frame in that file, if it is on one.
    pub frame: Option<u64>,
    /// Its text.
    pub text: Text,
}

/// What a comment is on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum CommentOn {
    /// A section: the whole capture.
    Section,
    /// An interface.
    Interface,
    /// A packet.
    Packet,
}

impl CommentOn {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            CommentOn::Section => "section",
            CommentOn::Interface => "interface",
            CommentOn::Packet => "packet",
        }
    }
}

/// An ICMP message that says that a TCP segment did not reach its destination.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Sender of the segment.
    pub source: SocketAddr,
    /// Where it should have gone.
    pub destination: SocketAddr,
    /// The message's code: RFC 792 for IPv4, RFC 4443 §3.1 for IPv6.
    pub code: u8,
    /// The message's frame.
    pub at: FramePos,
}
