//! What the format readers hand to the merge: records as ranges of the buffer's unread bytes.

use zeroize::Zeroizing;

use crate::event::CommentOn;
use crate::position::Timestamp;

use super::LinkType;

/// A record of a capture file. Ranges start at the buffer's first unread byte.
#[derive(Debug)]
pub(super) enum Record {
    /// A packet.
    Packet(Packet),
    /// A key log.
    Secrets { at: usize, len: usize },
    /// A key log that was found ahead.
    Ahead(Zeroizing<Vec<u8>>),
    /// A comment.
    Comment { at: usize, len: usize, on: CommentOn },
    /// Trouble; what follows may still be read.
    Problem { offset: u64, text: String, loses_packets: bool },
    /// Nothing more.
    End,
}

/// A packet's place and description.
#[derive(Copy, Clone, Debug)]
pub(super) struct Packet {
    pub(super) ts: Timestamp,
    pub(super) interface: Option<u32>,
    pub(super) link_type: LinkType,
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) original_len: u32,
}

/// A record and the bytes of the buffer that go with it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) record: Record,
    /// Unread bytes to step over once the record has been used.
    pub(super) size: usize,
}

impl Step {
    pub(super) fn problem(offset: u64, text: impl Into<String>, loses_packets: bool) -> Self {
        Step { record: Record::Problem { offset, text: text.into(), loses_packets }, size: 0 }
    }

    pub(super) fn end() -> Self {
        Step { record: Record::End, size: 0 }
    }
}
