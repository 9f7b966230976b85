//! [`Frame`](crate::capture::Frame) → [`Segment`]: link layers, VLANs, tunnels, IP, defragmentation, TCP header.
//!
//! Knows nothing of connections.

use std::net::SocketAddr;

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
