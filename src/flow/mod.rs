//! [`Segment`](crate::wire::Segment) → for each connection and direction, [`StreamChunk`]s in causal order.
//!
//! Connection table, roles, reassembly, expiry. Knows nothing of TLS or mail.
//!
//! # How it works
//!
//! [`FlowTable`] finds the connection of a segment by its endpoints, one entry for both directions. A SYN with another
//! initial sequence number after the end, outside the window or after a quiet minute opens the next connection between
//! the same endpoints (`EndReason::Reused`); the late segments of a connection that ended open none, because a small
//! remnant of it is kept for two minutes. Timeouts follow the frames' clock, which no single frame can move far.
//!
//! **In order.** Each direction has 64-bit offsets, unwrapped from the sequence numbers around the next byte to deliver.
//! A segment that begins there, and whose acknowledgement has been reached, is handed on as it lies in the frame. All
//! else is copied into the direction's store: first copy wins, a differing one is told.
//!
//! **Causal order.** The acknowledgement number of a segment is a *bound*: its sender had received so much of the
//! other direction, so that much is delivered, or declared lost, before the segment's bytes. A reply thus never
//! overtakes its command, whatever the order in the file. Among copies the lowest bound counts. A direction of which
//! nothing is seen is waited for once, for the allowance, and then binds nothing; nor does an acknowledgement beyond
//! what was seen plus the window. Where the two directions are concurrent (neither acknowledges the other) they come
//! in order of capture.
//!
//! **Holes.** One that the peer has not acknowledged will be retransmitted, and waits. One that it has acknowledged
//! was lost by the capture: after an allowance for copies captured late (so many frames and so much time,
//! `Limits::reorder_frames` and those behind it) it becomes a [`StreamChunk::Gap`], and the connection goes on. The same allowance ends
//! every causal wait, since a bound is an acknowledgement. Where both directions lost bytes at once, the order of the
//! gaps follows what the segments behind them acknowledge, as far as they have been seen by then. A number
//! acknowledged beyond the last byte seen, with nothing behind it, is taken for a FIN that was not captured; so is the
//! last number of a longer hole with nothing behind it, if its sender acknowledged the other side's FIN and nothing
//! was reset; where the gap was told before, [`ConnectionInfo::fins_in_gaps`] says so. Full buffers, the end of a
//! connection and the end of the input turn holes into gaps at once. If the peer is not in the capture, a hole waits
//! four allowances.
//!
//! **Without SYN** the first byte seen, or an earlier one that the peer still expected, is offset 0; the first bytes are
//! held until the allowance is over, as an earlier segment, or the SYN, may have been captured later.
//!
//! **Jumps.** A segment further ahead than the window is kept aside; the next one that agrees with it proves that the
//! capture lost more than a window. One alone is forged or damaged, and is ignored; so is one further ahead than can have
//! been sent since the last, which is of another connection between the same addresses.
//!
//! Reassembly memory is bounded for a direction and over all connections; the connections are bounded too. What happens
//! at these bounds is told: `Code::ReassemblyLimit` with `GapCause::Limit`, `EndReason::Evicted`.
//!
//! A RST without a known connection opens none; it is remembered for the allowance, as its connection may follow. When both FINs are acknowledged, the connection ends at once; after a RST,
//! or if something is missing, after the allowance.

mod clock;
mod connection;
mod drain;
mod early;
mod half;
mod intake;
mod key;
mod lone;
mod recent;
mod remnant;
mod seq;
mod slab;
mod spare;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod unacknowledged;

use std::net::SocketAddr;
use std::num::NonZeroU64;

use crate::diagnostic::Code;
use crate::event::{EndReason, GapCause};
use crate::position::{FileId, FramePos};
use crate::wire::Tunnel;

pub use self::clock::Clock;
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
    /// Frames, retransmissions and empty ones too. Those that come after the connection's end are not counted.
    pub frames: u64,
    /// Frames sent by each side, by [`Side::index`].
    pub frames_by: [u64; 2],
    /// New payload bytes delivered for each side.
    pub bytes: [u64; 2],
    /// Payload bytes seen more than once, keep-alive bytes, and what is no part of the stream: outside the window, behind
    /// a FIN.
    pub duplicate_bytes: u64,
    /// For each side the offset of its FIN, where a gap that was told before counts it as a byte, its last. If it was
    /// none after all, the direction goes on at that offset.
    pub fins_in_gaps: [Option<NonZeroU64>; 2],
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
    /// Who sent a RST that was accepted, be it behind the other side's FIN.
    pub reset_by: Option<Side>,
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
        /// The frame of the byte behind them; where none has come, the one at which the loss was certain.
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

    /// A new connection; at the latest when there is more of it than one SYN.
    fn open(&mut self, info: &ConnectionInfo) -> Self::Session;

    /// The next piece, in causal order over both directions.
    fn chunk(&mut self, session: &mut Self::Session, info: &ConnectionInfo, chunk: StreamChunk<'_>) -> Interest;

    /// The connection is over; whether [`Consumer::late`] is to hear of segments that come behind its end.
    fn close(&mut self, session: Self::Session, info: &ConnectionInfo, reason: EndReason, at: FramePos) -> Interest;

    /// Memory that its sessions take, roughly.
    fn kept(&self) -> usize {
        0
    }

    /// So many payload bytes came behind the end of a connection: copies of what it had.
    fn late(&mut self, _bytes: u64) {}

    /// Whether connections of which there is one SYN and nothing else are opened and closed, too.
    fn wants_lone_syns(&self) -> bool {
        true
    }
}
