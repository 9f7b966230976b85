//! Messages and scripts: their bytes and what is told of them.

use serde::{Deserialize, Serialize};

use super::{Protocol, Text, serial};
use crate::position::{Direction, Timestamp};

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
