//! Bytes of files or of a pipe → [`Frame`]s in time order, and the secrets found in pcapng blocks.
//!
//! Knows nothing of IP.

mod ahead;
mod archive;
mod buffer;
mod compress;
mod error;
mod expand;
mod group;
mod hop;
mod input;
mod merge;
mod pcap;
mod pcapng;
mod pipe;
mod record;
mod ring;
mod room;
mod source;
mod time;
mod twin;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::event::CommentOn;
use crate::position::{FileId, FramePos};

use buffer::Buffer;
pub use error::CaptureError;
pub use expand::{expand, expand_usable};
pub use group::group;
pub use merge::Capture;
pub use ring::{Hole, Ring, holes, rings};
pub use twin::Twin;

/// Where a capture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input, read as it comes.
    Stdin,
    /// A file that was named.
    File(PathBuf),
    /// A file that was found in a folder: if it can't be used that is a [`Problem`], not an error.
    Found(PathBuf),
}

/// Link-layer header type of a frame, as in the IANA/tcpdump registry of LINKTYPE_ values.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u32);

/// One captured packet.
#[derive(Copy, Clone, Debug)]
pub struct Frame<'a> {
    /// Number, file and time.
    pub pos: FramePos,
    /// Interface as its section counts it (pcapng); none in pcap.
    pub interface: Option<u32>,
    /// What `data` begins with.
    pub link_type: LinkType,
    /// The captured bytes.
    pub data: &'a [u8],
    /// Bytes that were on the wire; never less than `data.len()`.
    pub original_len: u32,
}

/// What a capture yields.
#[derive(Debug)]
pub enum Item<'a> {
    /// A packet.
    Frame(Frame<'a>),
    /// The text of an NSS key log from decryption secrets blocks. Valid for packets before and after it. Of a file that
    /// can be sought it comes before the packets, wherever its blocks are.
    Secrets {
        /// The file that holds it.
        file: FileId,
        /// Key-log lines.
        keylog: &'a [u8],
    },
    /// What somebody wrote into the capture; that on a packet comes before it.
    Comment {
        /// The file.
        file: FileId,
        /// What it is on.
        on: CommentOn,
        /// Number of the packet in its file, if it is on one.
        frame: Option<u64>,
        /// The text, UTF-8 if the writer kept the rules.
        text: &'a [u8],
    },
    /// Something wrong with an input; reading goes on with what is left.
    Problem(Problem),
}

/// Something wrong with an input, short of failing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: FileId,
    /// Offset in the (decompressed) file, bytes.
    pub offset: u64,
    /// What is wrong and what was done about it, without the file's name.
    pub text: String,
    /// Whether packets may be missing because of it (exit code 3).
    pub loses_packets: bool,
}
