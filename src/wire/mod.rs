//! [`Frame`] → [`Segment`]: link layers, VLANs, tunnels, IP, defragmentation, TCP header.
//!
//! Knows nothing of connections.

mod defrag;
mod link;
mod tcp;
mod tunnel;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::capture::Frame;
use crate::limits::Limits;
use crate::position::Timestamp;

use defrag::Defragmenter;
pub use link::{LINK_TYPES, link_type_name};
pub use tunnel::TUNNELS;
use walk::{Context, Layer, Walked};

/// TCP header flags (RFC 9293 §3.1).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags {
    /// Synchronise.
    pub syn: bool,
    /// Acknowledgement number valid.
    pub ack: bool,
    /// No more data.
    pub fin: bool,
    /// Reset.
    pub rst: bool,
}

/// How an inner packet was carried: `gre`, `vxlan` with its network id…
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// Short name: `gre` `erspan` `vxlan` `geneve` `ipip` `6in4` `mpls` `pppoe` …
    pub kind: &'static str,
    /// Key, VNI or label.
    pub id: Option<u32>,
}

impl std::fmt::Display for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.id {
            Some(id) => write!(f, "{}:{id}", self.kind),
            None => f.write_str(self.kind),
        }
    }
}

/// A TCP segment.
#[derive(Copy, Clone, Debug)]
pub struct Segment<'a> {
    /// Sender.
    pub src: SocketAddr,
    /// Receiver.
    pub dst: SocketAddr,
    /// Sequence number of the first payload byte, or of the SYN.
    pub seq: u32,
    /// Acknowledgement number; meaningful with [`TcpFlags::ack`].
    pub ack: u32,
    /// Receive window as in the header, not scaled.
    pub window: u16,
    /// Window scale option, on SYN only (RFC 7323 §2.2).
    pub window_scale: Option<u8>,
    /// Flags.
    pub flags: TcpFlags,
    /// Captured payload; trailing link padding is cut off by the IP length.
    pub payload: &'a [u8],
    /// Payload bytes that were sent but not captured (snaplen), behind `payload`.
    pub missing_tail: u32,
    /// Outermost VLAN id.
    pub vlan: Option<u16>,
    /// Innermost tunnel.
    pub tunnel: Option<Tunnel>,
}

/// An ICMP or ICMPv6 message that says that a TCP segment did not arrive.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// The host that sent the ICMP message.
    pub reporter: IpAddr,
    /// Sender of the segment.
    pub src: SocketAddr,
    /// Its destination, which is not reachable.
    pub dst: SocketAddr,
    /// Its sequence number.
    pub seq: u32,
    /// The message's code: RFC 792 for IPv4, RFC 4443 §3.1 for IPv6.
    pub code: u8,
}

/// What a frame turned out to be.
#[derive(Copy, Clone, Debug)]
pub enum Decoded<'a> {
    /// A TCP segment, perhaps from a datagram that this frame completed.
    Segment(Segment<'a>),
    /// A refusal of one.
    Unreachable(Unreachable),
    /// Neither.
    Skipped(Skip),
}

/// Why a frame gave no segment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The capture's link type is not known.
    UnknownLinkType(u32),
    /// Not IP: ARP, LLDP, encrypted wireless…
    NotIp,
    /// IP, but neither TCP nor a tunnel that is known.
    NotTcp,
    /// The capture cut it before the end of the TCP header.
    Truncated,
    /// A fragment that waits for the others.
    FragmentHeld,
    /// A fragment given up at a bound.
    FragmentLimit,
    /// Nested more deeply than is followed.
    TooDeep,
    /// A header that contradicts itself or is too short.
    Malformed,
}

impl Skip {
    /// All reasons, in the order of [`Counters::skipped`].
    pub const REASONS: [&'static str; 8] = [
        "unknown-link-type",
        "not-ip",
        "not-tcp",
        "truncated",
        "fragment-held",
        "fragment-limit",
        "too-deep",
        "malformed",
    ];

    /// Its place in [`Skip::REASONS`].
    fn index(self) -> usize {
        match self {
            Skip::UnknownLinkType(_) => 0,
            Skip::NotIp => 1,
            Skip::NotTcp => 2,
            Skip::Truncated => 3,
            Skip::FragmentHeld => 4,
            Skip::FragmentLimit => 5,
            Skip::TooDeep => 6,
            Skip::Malformed => 7,
        }
    }

    /// The reason's name in the account.
    pub fn as_str(self) -> &'static str {
        Skip::REASONS.get(self.index()).copied().unwrap_or_default()
    }
}

/// What became of the frames: `frames` is the sum of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames seen.
    pub frames: u64,
    /// Those that gave a TCP segment.
    pub segments: u64,
    /// Those that gave an [`Unreachable`].
    pub unreachable: u64,
    /// The others, by reason: in the order of [`Skip::REASONS`].
    pub skipped: [u64; Skip::REASONS.len()],
    /// Frames by link type that is not known; the first few types.
    pub unknown_link_types: BTreeMap<u32, u64>,
}

impl Counters {
    /// Reasons for which frames were skipped, and how many.
    pub fn skipped_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Skip::REASONS.into_iter().zip(self.skipped).filter(|(_, n)| *n > 0)
    }

    fn count(&mut self, decoded: &Decoded<'_>) {
        self.frames += 1;
        match decoded {
            Decoded::Segment(_) => self.segments += 1,
            Decoded::Unreachable(_) => self.unreachable += 1,
            Decoded::Skipped(skip) => {
                if let Some(n) = self.skipped.get_mut(skip.index()) {
                    *n += 1;
                }
                if let Skip::UnknownLinkType(link_type) = skip {
                    const KEPT: usize = 16;
                    let known = self.unknown_link_types.len();
                    match self.unknown_link_types.get_mut(link_type) {
                        Some(count) => *count += 1,
                        None if known < KEPT => drop(self.unknown_link_types.insert(*link_type, 1)),
                        None => {}
                    }
                }
            }
        }
    }
}

/// Decodes frames; holds fragments between them.
#[derive(Clone, Debug)]
pub struct Decoder {
    limits: Limits,
    defragmenter: Defragmenter,
    /// The datagram put together last: its segment borrows from it.
    assembled: Vec<u8>,
    counters: Counters,
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new(limits: &Limits) -> Self {
        Decoder {
            limits: limits.clone(),
            defragmenter: Defragmenter::default(),
            assembled: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// What became of the frames so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Datagrams that still wait for fragments.
    #[cfg(test)]
    fn unfinished_datagrams(&self) -> usize {
        self.defragmenter.unfinished()
    }

    #[cfg(test)]
    fn fragment_bytes(&self) -> usize {
        self.defragmenter.bytes()
    }

    /// Datagrams that were given up unfinished: too old, or at a bound.
    pub fn abandoned_datagrams(&self) -> u64 {
        self.defragmenter.evicted
    }

    /// Forgets what waits for its fragments: another capture begins. The counters count on.
    pub fn forget(&mut self) {
        self.defragmenter = Defragmenter::default();
    }

    /// Decodes a frame. The segment borrows the frame's bytes, or the decoder's if it came in fragments.
    #[inline]
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Decoded<'a> {
        let mut context = Context::new();
        let cut = frame.original_len.saturating_sub(u32::try_from(frame.data.len()).unwrap_or(u32::MAX));
        let layer = match frame.link_type.0 {
            link::ETHERNET => Layer::Ethernet,
            other => Layer::Link(other),
        };
        let start = (layer, frame.data, cut);
        let walked = walk::walk(&mut self.defragmenter, &self.limits, &mut context, start, frame.pos.ts);
        match walked {
            Walked::Decoded(decoded) => {
                self.counters.count(&decoded);
                decoded
            }
            Walked::Reassembled { data, cut, protocol } => {
                self.decode_assembled(context, (data, cut, protocol), frame.pos.ts)
            }
        }
    }

    /// Goes on in a datagram that became whole; its content may be a fragment in its turn.
    #[cold]
    fn decode_assembled(&mut self, mut context: Context, mut whole: (Vec<u8>, u32, u8), ts: Timestamp) -> Decoded<'_> {
        let (decoded, place) = loop {
            context.depth += 1;
            let (data, cut, protocol) = whole;
            self.assembled = data;
            let start = (Layer::Payload(protocol), self.assembled.as_slice(), cut);
            match walk::walk(&mut self.defragmenter, &self.limits, &mut context, start, ts) {
                Walked::Decoded(Decoded::Segment(segment)) => {
                    // Kept as a place, since the next round would write where the payload borrows from.
                    let from = segment.payload.as_ptr().addr().saturating_sub(self.assembled.as_ptr().addr());
                    let place = from..from.saturating_add(segment.payload.len());
                    break (Decoded::Segment(Segment { payload: &[], ..segment }), place);
                }
                Walked::Decoded(Decoded::Unreachable(u)) => break (Decoded::Unreachable(u), 0..0),
                Walked::Decoded(Decoded::Skipped(s)) => break (Decoded::Skipped(s), 0..0),
                Walked::Reassembled { data, cut, protocol } => whole = (data, cut, protocol),
            }
        };
        self.counters.count(&decoded);
        match decoded {
            Decoded::Segment(segment) => {
                let payload = self.assembled.get(place).unwrap_or_default();
                Decoded::Segment(Segment { payload, ..segment })
            }
            other => other,
        }
    }
}
