//! A session as a whole, at its beginning and at its end.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{Text, TlsHandshake};
use crate::diagnostic::{Code, Diagnostic};
use crate::position::{Direction, Span};

/// Who talks to whom, as far as it is known when a session's first event is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Client.
    pub client: SocketAddr,
    /// Server.
    pub server: SocketAddr,
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
    /// The server that the last proxy on the way was asked for, `host:port`. For a person; JSON has the diagnostic.
    pub proxied_to: Option<Text>,
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
    /// Some of them are the ends of packets that the capture's snapshot length cut. For a person; JSON has the gaps'
    /// causes.
    pub cut_packets: bool,
    /// Bytes of TLS records that stayed closed.
    pub undecrypted_bytes: u64,
    /// Nothing is missing, was passed over or stayed closed, and its beginning and end were seen: see
    /// `session/outcome.rs`.
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

impl Session {
    /// Whether such a diagnostic was told of it.
    pub fn has(&self, code: Code) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.code == code)
    }
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
