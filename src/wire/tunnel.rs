//! Tunnels: IP in IP, GRE and what rides on UDP.
//!
//! A tunnel on UDP is told by its registered port, and must look like one: other protocols use any port.

use etherparse::UdpHeaderSlice;

use super::Skip;
use super::link::{be16, be32, behind};
use super::walk::{Context, Layer, Next};

/// Names of the tunnels in [`Tunnel::kind`](super::Tunnel::kind), and what each is.
pub const TUNNELS: &[(&str, &str)] = &[
    ("ipip", "IPv4 in IPv4 (RFC 2003)"),
    ("6in4", "IPv6 in IPv4 (RFC 4213)"),
    ("4in6", "IPv4 in IPv6 (RFC 2473)"),
    ("6in6", "IPv6 in IPv6 (RFC 2473)"),
    ("gre", "GRE, with key, checksum, sequence number and routing (RFC 2784, 2890, 1701); the id is the key"),
    ("pptp", "PPP in enhanced GRE (RFC 2637); the id is the call"),
    ("eoip", "MikroTik's Ethernet over IP, in GRE; the id is the tunnel"),
    ("erspan", "ERSPAN types I, II and III; the id is the session"),
    ("etherip", "Ethernet in IP (RFC 3378)"),
    ("vxlan", "VXLAN (RFC 7348) on UDP 4789, 8472 and, with other payloads, 4790; the id is the VNI"),
    ("geneve", "GENEVE (RFC 8926) on UDP 6081; the id is the VNI"),
    ("gtp", "GTP-U (3GPP TS 29.281) on UDP 2152; the id is the TEID"),
    ("l2tp", "L2TPv2 (RFC 2661) on UDP 1701; the id is tunnel and session, 16 bits each"),
    ("teredo", "Teredo (RFC 4380) on UDP 3544"),
    ("mpls", "MPLS (RFC 3032) on a link, in IP or GRE, or on UDP 6635; the id is the bottom label"),
    ("pppoe", "PPPoE sessions (RFC 2516); the id is the session"),
    ("pbb", "Provider backbone bridging (IEEE 802.1ah); the id is the service"),
];

/// What an IP protocol number leads to; TCP, ICMP and extension headers are not among them.
pub(super) fn payload<'p>(protocol: u8, data: &'p [u8], context: &mut Context) -> Next<'p> {
    match protocol {
        4 => {
            context.enter(if context.src.is_ipv4() { "ipip" } else { "4in6" }, None);
            Ok((Layer::Ipv4, data))
        }
        41 => {
            context.enter(if context.src.is_ipv4() { "6in4" } else { "6in6" }, None);
            Ok((Layer::Ipv6, data))
        }
        17 => udp(data, context),
        47 => gre(data, context),
        97 => {
            context.enter("etherip", None);
            Ok((Layer::Ethernet, behind(data, 2)?))
        }
        137 => Ok((Layer::EtherType(0x8847), data)),
        _ => Err(Skip::NotTcp),
    }
}

/// GRE (RFC 2784, 2890), version 0 with RFC 1701's routing, and version 1 (RFC 2637).
fn gre<'p>(data: &'p [u8], context: &mut Context) -> Next<'p> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGMENT: u16 = 0x0080;
    const EOIP: u16 = 0x6400;
    let (flags, protocol) = (be16(data, 0)?, be16(data, 2)?);
    let has = |flag: u16| flags & flag != 0;
    let mut at = 4;
    if flags & 7 == 1 {
        let call = be16(data, 6)?;
        if protocol == EOIP {
            // The identifier is little-endian; Ethernet follows.
            context.enter("eoip", Some(u32::from(call.swap_bytes())));
            return Ok((Layer::Ethernet, behind(data, 8)?));
        }
        at += 4 + 4 * usize::from(has(SEQUENCE)) + 4 * usize::from(has(ACKNOWLEDGMENT));
        context.enter("pptp", Some(u32::from(call)));
        return if protocol == 0x880b && has(SEQUENCE) {
            Ok((Layer::Ppp, behind(data, at)?))
        } else {
            Err(Skip::NotIp)
        };
    }
    if flags & 7 != 0 {
        return Err(Skip::NotIp);
    }
    if has(CHECKSUM | ROUTING) {
        at += 4;
    }
    let key = if has(KEY) {
        at += 4;
        Some(be32(data, at - 4)?)
    } else {
        None
    };
    if has(SEQUENCE) {
        at += 4;
    }
    if has(ROUTING) {
        // Source routes: family, offset, length; ended by one of family and length 0.
        loop {
            let (family, length) = (be16(data, at)?, *data.get(at + 3).ok_or(Skip::Malformed)?);
            at += 4 + usize::from(length);
            if family == 0 && length == 0 {
                break;
            }
        }
    }
    let rest = behind(data, at)?;
    match protocol {
        0x88be => erspan(rest, has(SEQUENCE), context),
        0x22eb => erspan3(rest, context),
        // WCCP: plain IP, or four bytes before it.
        0x883e => {
            context.enter("gre", key);
            let plain = rest.first().is_some_and(|b| b >> 4 == 4);
            Ok((Layer::Ipv4, if plain { rest } else { behind(rest, 4)? }))
        }
        _ => {
            context.enter("gre", key);
            Ok((Layer::EtherType(protocol), rest))
        }
    }
}

/// ERSPAN type II, or type I, which has no header and no GRE sequence number (draft-foschiano-erspan).
fn erspan<'p>(data: &'p [u8], sequence: bool, context: &mut Context) -> Next<'p> {
    if !sequence {
        context.enter("erspan", None);
        return Ok((Layer::Ethernet, data));
    }
    let word = be32(data, 0)?;
    context.enter("erspan", Some(word & 0x3ff));
    Ok((Layer::Ethernet, behind(data, 8)?))
}

/// ERSPAN type III: 12 bytes, and 8 more if the last bit says so; frame type 0 is Ethernet, 2 is IP.
fn erspan3<'p>(data: &'p [u8], context: &mut Context) -> Next<'p> {
    let (word, last) = (be32(data, 0)?, be32(data, 8)?);
    context.enter("erspan", Some(word & 0x3ff));
    let rest = behind(data, if last & 1 != 0 { 20 } else { 12 })?;
    match last >> 10 & 0x1f {
        2 => Ok((Layer::Ip, rest)),
        _ => Ok((Layer::Ethernet, rest)),
    }
}

fn udp<'p>(data: &'p [u8], context: &mut Context) -> Next<'p> {
    let header = UdpHeaderSlice::from_slice(data).map_err(|_| Skip::Malformed)?;
    let rest = behind(data, header.slice().len())?;
    let (from, to) = (header.source_port(), header.destination_port());
    match to {
        4789 | 8472 => vxlan(rest, context),
        4790 => vxlan_gpe(rest, context),
        6081 => geneve(rest, context),
        2152 => gtp(rest, context),
        6635 => Ok((Layer::EtherType(0x8847), rest)),
        1701 => l2tp(rest, context),
        3544 => teredo(rest, context),
        // These answer from their port.
        _ => match from {
            2152 => gtp(rest, context),
            1701 => l2tp(rest, context),
            3544 => teredo(rest, context),
            _ => Err(Skip::NotTcp),
        },
    }
}

fn vxlan<'p>(data: &'p [u8], context: &mut Context) -> Next<'p> {
    // The I flag must be set; with group policy the reserved bytes are not zero.
    if data.first().is_none_or(|flags| flags & 0x08 == 0) {
        return Err(Skip::NotTcp);
    }
    let vni = be32(data, 4)? >> 8;
    context.enter("vxlan", Some(vni));
    Ok((Layer::Ethernet, behind(data, 8)?))
}

/// The generic protocol extension: what follows is named.
fn vxlan_gpe<'p>(data: &'p [u8], context: &mut Context) -> Next<'p> {
    let &[flags, _, _, next, ..] = data else { return Err(Skip::Malformed) };
    if flags & 0x08 == 0 {
        return Err(Skip::NotTcp);
    }
    let vni = be32(data, 4)? >> 8;
    let rest = behind(data, 8)?;
    let layer = match next {
        // Without the P flag it is plain VXLAN.
        _ if flags & 0x04 == 0 => Layer::Ethernet,
        1 => Layer::Ipv4,
        2 => Layer::Ipv6,
        3 => Layer::Ethernet,
        _ => return Err(Skip::NotTcp),
    };
    context.enter("vxlan", Some(vni));
    Ok((layer, rest))
}

fn geneve<'p>(data: &'p [u8], context: &mut Context) -> Next<'p> {
    let &[version, ..] = data else { return Err(Skip::Malformed) };
    if version >> 6 != 0 {
        return Err(Skip::NotTcp);
    }
    let (protocol, vni) = (be16(data, 2)?, be32(data, 4)? >> 8);
    let rest = behind(data, 8 + 4 * usize::from(version & 0x3f))?;
    context.enter("geneve", Some(vni));
    Ok((Layer::EtherType(protocol), rest))
}

fn gtp<'p>(data: &'p [u8], context: &mut Context) -> Next<'p> {
    const USER_DATA: u8 = 255;
    let &[flags, kind, ..] = data else { return Err(Skip::Malformed) };
    // Version 1, GTP rather than GTP'.
    if flags & 0xf0 != 0x30 || kind != USER_DATA {
        return Err(Skip::NotTcp);
    }
    let teid = be32(data, 4)?;
    let mut at = 8;
    if flags & 0x07 != 0 {
        // Sequence number, N-PDU number, type of the first extension header; present together.
        at = 12;
        let mut next = if flags & 0x04 != 0 { *data.get(11).ok_or(Skip::Malformed)? } else { 0 };
        while next != 0 {
            let size = 4 * usize::from(*data.get(at).ok_or(Skip::Malformed)?);
            if size == 0 {
                return Err(Skip::Malformed);
            }
            at += size;
            next = *data.get(at - 1).ok_or(Skip::Malformed)?;
        }
    }
    context.enter("gtp", Some(teid));
    Ok((Layer::Ip, behind(data, at)?))
}

fn l2tp<'p>(data: &'p [u8], context: &mut Context) -> Next<'p> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    let flags = be16(data, 0)?;
    if flags & CONTROL != 0 || flags & 0x0f != 2 {
        return Err(Skip::NotTcp);
    }
    let mut at = if flags & LENGTH != 0 { 4 } else { 2 };
    let id = be32(data, at)?;
    at += 4;
    if flags & SEQUENCE != 0 {
        at += 4;
    }
    if flags & OFFSET != 0 {
        at += 2 + usize::from(be16(data, at)?);
    }
    context.enter("l2tp", Some(id));
    Ok((Layer::Ppp, behind(data, at)?))
}

/// IPv6, perhaps behind an authentication or an origin header (RFC 4380 §5.1.1).
fn teredo<'p>(data: &'p [u8], context: &mut Context) -> Next<'p> {
    let mut rest = data;
    if let [0, 1, id, value, ..] = rest {
        rest = behind(rest, 13 + usize::from(*id) + usize::from(*value))?;
    }
    if let [0, 0, ..] = rest {
        rest = behind(rest, 8)?;
    }
    if rest.first().is_none_or(|b| b >> 4 != 6) {
        return Err(Skip::NotTcp);
    }
    context.enter("teredo", None);
    Ok((Layer::Ipv6, rest))
}
