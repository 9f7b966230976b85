//! [`Segment`](crate::wire::Segment) → for each connection and direction, [`StreamChunk`]s in causal order.
//!
//! Connection table, roles, reassembly, expiry. Knows nothing of TLS or mail.

mod clock;
mod connection;
mod drain;
mod half;
mod key;
mod recent;
mod remnant;
mod seq;
mod slab;
mod store;
mod table;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use crate::diagnostic::Code;
use crate::event::{EndReason, GapCause};
use crate::position::{FileId, FramePos};
use crate::wire::Tunnel;

pub use self::table::FlowTable;

/// A side of a connection as the TCP headers show it: who opened it, or who seems to have.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Sent the SYN; without one, the side that [`ConnectionInfo::roles`] explains.
    Initiator,
    /// The other.
    Responder,
}

impl Side {
    /// The other side.
    pub fn opposite(self) -> Self {
        match self {
            Side::Initiator => Side::Responder,
            Side::Responder => Side::Initiator,
        }
    }

    /// 0 for the initiator, 1 for the responder.
    pub fn index(self) -> usize {
        match self {
            Side::Initiator => 0,
            Side::Responder => 1,
        }
    }
}

/// How the initiator was told from the responder.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Roles {
    /// A SYN or SYN-ACK was seen.
    Handshake,
    /// One port is a well-known or mail port, or much lower.
    Ports,
    /// Who sent first; content may show better.
    FirstSender,
}

/// What is known of a connection by its headers.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// Input-wide number of its first frame: the session id.
    pub id: u64,
    /// Initiator's address and port.
    pub initiator: SocketAddr,
    /// Responder's.
    pub responder: SocketAddr,
    /// How sure that is.
    pub roles: Roles,
    /// First frame.
    pub first: FramePos,
    /// Latest frame.
    pub last: FramePos,
    /// Frames, retransmissions and empty ones too.
    pub frames: u64,
    /// Frames sent by each side, by [`Side::index`].
    pub frames_by: [u64; 2],
    /// New payload bytes delivered for each side.
    pub bytes: [u64; 2],
    /// Payload bytes seen more than once.
    pub duplicate_bytes: u64,
    /// Files that hold frames of it, in order, each once.
    pub files: Vec<FileId>,
    /// SYN of the initiator seen / SYN-ACK of the responder seen.
    pub syn: [bool; 2],
    /// Outermost VLAN id of its first frame.
    pub vlan: Option<u16>,
    /// Tunnel of its first frame.
    pub tunnel: Option<Tunnel>,
    /// Capture interface of its first frame.
    pub interface: Option<u32>,
    /// Who sent the first FIN, or the RST.
    pub closed_by: Option<Side>,
}

/// A piece of one direction's byte stream.
#[derive(Copy, Clone, Debug)]
pub enum StreamChunk<'a> {
    /// Bytes in order.
    Data {
        /// Sender.
        side: Side,
        /// Offset of the first byte in the direction's stream (0 is the byte after SYN, or the first seen).
        offset: u64,
        /// The bytes.
        bytes: &'a [u8],
        /// The frame that carried them.
        at: FramePos,
    },
    /// Bytes that the capture does not have.
    Gap {
        /// Sender.
        side: Side,
        /// Offset of the first missing byte.
        offset: u64,
        /// How many.
        len: u64,
        /// Why.
        cause: GapCause,
        /// The frame at which the loss was certain.
        at: FramePos,
    },
    /// Something odd in the stream.
    Odd {
        /// Sender.
        side: Side,
        /// What.
        code: Code,
        /// Particulars.
        detail: &'a str,
        /// Where.
        at: FramePos,
    },
    /// That direction is over (FIN delivered in order).
    End {
        /// Sender of the FIN.
        side: Side,
        /// Its frame.
        at: FramePos,
    },
}

/// Whether a connection's consumer wants more of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Go on.
    Keep,
    /// It is not mail: forget its bytes, keep only what tells its end.
    Drop,
}

/// What the connection table feeds. Given to each call, so the table owns no callbacks.
pub trait Consumer {
    /// State kept for a connection, made at its first frame; keep it small.
    type Session;

    /// A new connection.
    fn open(&mut self, info: &ConnectionInfo) -> Self::Session;

    /// The next piece, in causal order over both directions.
    fn chunk(&mut self, session: &mut Self::Session, info: &ConnectionInfo, chunk: StreamChunk<'_>) -> Interest;

    /// The connection is over.
    fn close(&mut self, session: Self::Session, info: &ConnectionInfo, reason: EndReason, at: FramePos);
}
