//! What is told of a capture beside its mail sessions.

use std::net::SocketAddr;

use super::{EndReason, Text};
use crate::position::{FileId, FramePos, Span};

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
