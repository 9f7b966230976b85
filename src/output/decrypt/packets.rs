//! IP packets made up for a dialogue: one connection's headers and sequence numbers.

use std::io;
use std::net::{IpAddr, SocketAddr};

use etherparse::{Ipv4Header, PacketBuilder, PacketBuilderStep, TcpHeader, TcpOptionElement};

use crate::position::Direction;

/// Payload of a packet at most; an IPv4 packet has room for 65,495 bytes.
pub(super) const SEGMENT: usize = 32 << 10;

/// What a packet says besides its payload.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Syn,
    SynAck,
    Ack,
    Data,
    Fin,
    Rst,
}

/// One connection. The sequence numbers of its successor go on, as Wireshark knows a new connection by its new initial
/// numbers; for the same reason each session has an initial number of its own.
#[derive(Copy, Clone, Debug)]
pub(super) struct Wire {
    ends: [SocketAddr; 2],
    next: [u32; 2],
}

impl Wire {
    /// The connection of a session between client and server.
    pub(super) fn new(session: u64, ends: [SocketAddr; 2]) -> Self {
        // Sessions that follow one another have numbers far apart.
        Wire { ends, next: [(session as u32).wrapping_mul(0x9e37_79b9); 2] }
    }

    /// The next connection between the same endpoints.
    pub(super) fn successor(&self) -> Self {
        Wire { ends: self.ends, next: self.next.map(|n| n.wrapping_add(1)) }
    }

    /// Bytes of a direction are missing.
    pub(super) fn skip(&mut self, dir: Direction, len: u64) {
        let next = &mut self.next[dir.index()];
        // Sequence numbers wrap (RFC 9293 §3.4).
        *next = next.wrapping_add(len as u32);
    }

    /// The next packet of a direction, from the IP header on.
    pub(super) fn packet(&mut self, dir: Direction, kind: Kind, payload: &[u8]) -> io::Result<Vec<u8>> {
        let (from, to) = (self.ends[dir.index()], self.ends[dir.opposite().index()]);
        let mut tcp = TcpHeader::new(from.port(), to.port(), self.next[dir.index()], u16::MAX);
        tcp.ack = kind != Kind::Syn;
        if tcp.ack {
            tcp.acknowledgment_number = self.next[dir.opposite().index()];
        }
        tcp.syn = matches!(kind, Kind::Syn | Kind::SynAck);
        tcp.fin = kind == Kind::Fin;
        tcp.rst = kind == Kind::Rst;
        tcp.psh = kind == Kind::Data;
        if tcp.syn {
            // What is lost may be more than a window without a scale: readers believe no jump beyond it.
            tcp.set_options(&[TcpOptionElement::WindowScale(14)]).map_err(io::Error::other)?;
        }
        let counted = payload.len() as u64 + u64::from(tcp.syn || tcp.fin);
        let step: PacketBuilderStep<_> = match (from.ip(), to.ip()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => PacketBuilder::ipv4(a.octets(), b.octets(), 64),
            (a, b) => PacketBuilder::ipv6(wide(a), wide(b), 64),
        };
        let step = step.tcp_header(tcp);
        let mut out = Vec::with_capacity(step.size(payload.len()));
        step.write(&mut out, payload).map_err(io::Error::other)?;
        self.skip(dir, counted);
        Ok(out)
    }
}

/// Says in a packet's IP header that `more` bytes of it were not captured. None where it would be too long.
pub(super) fn cut(packet: &mut [u8], more: u16) -> Option<()> {
    // Total length in IPv4, that of the payload in IPv6.
    let v4 = packet.first()? >> 4 == 4;
    let at = if v4 { 2 } else { 4 };
    let len: &mut [u8; 2] = packet.get_mut(at..)?.first_chunk_mut()?;
    *len = u16::from_be_bytes(*len).checked_add(more)?.to_be_bytes();
    if v4 {
        let (mut header, _) = Ipv4Header::from_slice(packet).ok()?;
        header.header_checksum = header.calc_header_checksum();
        let header = header.to_bytes();
        packet.get_mut(..header.len())?.copy_from_slice(&header);
    }
    Some(())
}

fn wide(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}
