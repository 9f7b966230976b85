//! Where in the capture something was seen: the frame and its time.

use serde::{Deserialize, Serialize};

/// Nanoseconds since the Unix epoch, UTC. The only clock there is: it comes from the frames.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Nanoseconds from `earlier` to `self`; negative when the capture's clock ran backwards.
    pub fn nanos_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Nanoseconds from a command to its reply: none if clocks differed, as no reply comes before its command.
    pub(crate) fn latency_since(self, command: Timestamp) -> Option<i64> {
        Some(self.nanos_since(command)).filter(|&nanos| nanos >= 0)
    }
}

/// Index of an input file in the order in which the run opened them.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId(pub u32);

/// The frame that carried a byte.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FramePos {
    /// Number of the frame over all inputs, from 1, in the order in which they were read.
    pub index: u64,
    /// Number of the record within its file, from 1, as Wireshark counts.
    pub number: u64,
    /// The file that holds it.
    pub file: FileId,
    /// Capture time.
    pub ts: Timestamp,
}

/// The stretch of frames that an object spans: those of its first and its last byte.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Frame of the first byte.
    pub first: FramePos,
    /// Frame of the last byte.
    pub last: FramePos,
}

impl Span {
    /// Both ends in one frame.
    pub fn at(pos: FramePos) -> Self {
        Span { first: pos, last: pos }
    }

    /// The same start, reaching to the end of `other`.
    pub fn to(self, other: Span) -> Self {
        Span { first: self.first, last: other.last }
    }
}

/// Who sent something: the side that connected, or the mail server.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// Sent by the client.
    Client,
    /// Sent by the server.
    Server,
}

impl Direction {
    /// The other way.
    pub fn opposite(self) -> Self {
        match self {
            Direction::Client => Direction::Server,
            Direction::Server => Direction::Client,
        }
    }

    /// 0 for the client, 1 for the server: an index into a pair of states.
    pub fn index(self) -> usize {
        match self {
            Direction::Client => 0,
            Direction::Server => 1,
        }
    }

    /// `client` or `server`, as in the JSON field `dir`.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Client => "client",
            Direction::Server => "server",
        }
    }
}
