//! TCP headers (RFC 9293) and the ICMP errors that quote them.

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, TcpHeaderSlice};

use super::walk::Context;
use super::{Decoded, Segment, Skip, TcpFlags, Unreachable};

/// Fixed part of the header.
const FIXED: usize = 20;

/// A segment from `data`, the captured part of an IP payload; `cut` bytes of it were not captured.
#[inline]
pub(super) fn segment<'p>(data: &'p [u8], cut: u32, context: &Context) -> Decoded<'p> {
    let Ok(header) = TcpHeaderSlice::from_slice(data) else {
        return cut_header(data, cut, context);
    };
    let window_scale = if header.syn() { window_scale(header.options()) } else { None };
    Decoded::Segment(Segment {
        src: SocketAddr::new(context.src, header.source_port()),
        dst: SocketAddr::new(context.dst, header.destination_port()),
        seq: header.sequence_number(),
        ack: header.acknowledgment_number(),
        window: header.window_size(),
        window_scale,
        flags: TcpFlags { syn: header.syn(), ack: header.ack(), fin: header.fin(), rst: header.rst() },
        payload: data.get(header.slice().len()..).unwrap_or_default(),
        missing_tail: cut,
        vlan: context.vlan,
        tunnel: context.tunnel,
    })
}

/// A header whose options were not captured still says what was sent.
#[cold]
fn cut_header<'p>(data: &'p [u8], cut: u32, context: &Context) -> Decoded<'p> {
    let short = || Decoded::Skipped(if cut > 0 { Skip::Truncated } else { Skip::Malformed });
    let Some(fixed) = data.first_chunk::<FIXED>() else { return short() };
    let length = usize::from(fixed[12] >> 4) * 4;
    let options = u32::try_from(length.saturating_sub(data.len())).unwrap_or(u32::MAX);
    if length < FIXED || options > cut {
        return Decoded::Skipped(Skip::Malformed);
    }
    // The same header as if it had no options.
    let mut bare = *fixed;
    bare[12] = 5 << 4 | (bare[12] & 0x0f);
    match segment(&bare, 0, context) {
        Decoded::Segment(s) => {
            let window_scale = if s.flags.syn { window_scale(data.get(FIXED..).unwrap_or_default()) } else { None };
            Decoded::Segment(Segment { payload: &[], missing_tail: cut - options, window_scale, ..s })
        }
        _ => short(),
    }
}

/// The window scale option (RFC 7323 §2.2); a shift above 14 counts as 14.
fn window_scale(mut options: &[u8]) -> Option<u8> {
    loop {
        match options {
            [0, ..] | [] => return None,
            [1, rest @ ..] => options = rest,
            [3, 3, shift, ..] => return Some((*shift).min(14)),
            [_, length, ..] => options = options.get(usize::from(*length).max(2)..)?,
            [_] => return None,
        }
    }
}

/// An ICMP destination-unreachable message (RFC 792) that quotes a TCP segment.
pub(super) fn icmp4<'p>(data: &[u8], context: &Context) -> Decoded<'p> {
    /// "Fragmentation needed" is path MTU discovery at work, not a refusal.
    const FRAGMENTATION_NEEDED: u8 = 4;
    let [3, code, _, _, _, _, _, _, quoted @ ..] = data else { return Decoded::Skipped(Skip::NotTcp) };
    if *code == FRAGMENTATION_NEEDED {
        return Decoded::Skipped(Skip::NotTcp);
    }
    let Ok(ip) = Ipv4HeaderSlice::from_slice(quoted) else { return Decoded::Skipped(Skip::Malformed) };
    if ip.protocol() != IpNumber::TCP || ip.fragments_offset().value() != 0 {
        return Decoded::Skipped(Skip::NotTcp);
    }
    let rest = quoted.get(ip.slice().len()..).unwrap_or_default();
    unreachable(rest, ip.source_addr().into(), ip.destination_addr().into(), *code, context)
}

/// An ICMPv6 destination-unreachable message (RFC 4443 §3.1) that quotes a TCP segment.
pub(super) fn icmp6<'p>(data: &[u8], context: &Context) -> Decoded<'p> {
    let [1, code, _, _, _, _, _, _, quoted @ ..] = data else { return Decoded::Skipped(Skip::NotTcp) };
    let Ok(ip) = Ipv6HeaderSlice::from_slice(quoted) else { return Decoded::Skipped(Skip::Malformed) };
    if ip.next_header() != IpNumber::TCP {
        return Decoded::Skipped(Skip::NotTcp);
    }
    let rest = quoted.get(ip.slice().len()..).unwrap_or_default();
    unreachable(rest, ip.source_addr().into(), ip.destination_addr().into(), *code, context)
}

fn unreachable<'p>(quoted: &[u8], src: IpAddr, dst: IpAddr, code: u8, context: &Context) -> Decoded<'p> {
    // RFC 792 promises eight bytes: ports and sequence number.
    let [a, b, c, d, e, f, g, h, ..] = *quoted else { return Decoded::Skipped(Skip::Malformed) };
    Decoded::Unreachable(Unreachable {
        reporter: context.src,
        src: SocketAddr::new(src, u16::from_be_bytes([a, b])),
        dst: SocketAddr::new(dst, u16::from_be_bytes([c, d])),
        seq: u32::from_be_bytes([e, f, g, h]),
        code,
    })
}
