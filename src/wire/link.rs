//! Link layers: the header types that a capture file names, and what lies between them and IP.

use etherparse::SingleVlanHeaderSlice;

use super::Skip;
use super::walk::{Context, Layer, Next};

/// Link types that are read, by their number in the registry, with the registry's name.
pub const LINK_TYPES: &[(u32, &str)] = &[
    (NULL, "NULL"),
    (ETHERNET, "ETHERNET"),
    (PPP, "PPP"),
    (RAW_BSD, "RAW"),
    (RAW_OPENBSD, "RAW"),
    (PPP_HDLC, "PPP_HDLC"),
    (PPP_ETHER, "PPP_ETHER"),
    (RAW, "RAW"),
    (C_HDLC, "C_HDLC"),
    (IEEE802_11, "IEEE802_11"),
    (LOOP, "LOOP"),
    (ENC, "ENC"),
    (LINUX_SLL, "LINUX_SLL"),
    (PFLOG, "PFLOG"),
    (IEEE802_11_RADIOTAP, "IEEE802_11_RADIOTAP"),
    (PPP_PPPD, "PPP_PPPD"),
    (PPI, "PPI"),
    (PPP_WITH_DIR, "PPP_WITH_DIR"),
    (IPV4, "IPV4"),
    (IPV6, "IPV6"),
    (NFLOG, "NFLOG"),
    (LINUX_SLL2, "LINUX_SLL2"),
];

/// Names of link types that are not read but come up in captures, by the same registry.
const OTHERS: &[(u32, &str)] = &[
    (3, "AX25"),
    (6, "IEEE802_5"),
    (7, "ARCNET_BSD"),
    (8, "SLIP"),
    (10, "FDDI"),
    (100, "ATM_RFC1483"),
    (107, "FRELAY"),
    (119, "IEEE802_11_PRISM"),
    (122, "IP_OVER_FC"),
    (123, "SUNATM"),
    (138, "APPLE_IP_OVER_IEEE1394"),
    (143, "DOCSIS"),
    (144, "LINUX_IRDA"),
    (163, "IEEE802_11_AVS"),
    (177, "LINUX_LAPD"),
    (187, "BLUETOOTH_HCI_H4"),
    (189, "USB_LINUX"),
    (195, "IEEE802_15_4_WITHFCS"),
    (197, "ERF"),
    (201, "BLUETOOTH_HCI_H4_WITH_PHDR"),
    (220, "USB_LINUX_MMAPPED"),
    (226, "IPNET"),
    (227, "CAN_SOCKETCAN"),
    (230, "IEEE802_15_4_NOFCS"),
    (231, "DBUS"),
    (240, "NETANALYZER"),
    (242, "IPOIB"),
    (243, "MPEG_2_TS"),
    (247, "INFINIBAND"),
    (249, "USBPCAP"),
    (251, "BLUETOOTH_LE_LL"),
    (252, "WIRESHARK_UPPER_PDU"),
    (253, "NETLINK"),
    (256, "BLUETOOTH_LE_LL_WITH_PHDR"),
    (258, "PKTAP"),
    (271, "VSOCK"),
];

/// The registry's name of a link type, read or not; none of those that are rare.
pub fn link_type_name(number: u32) -> Option<String> {
    if let 147..=162 = number {
        return Some(format!("USER{}", number - 147));
    }
    LINK_TYPES.iter().chain(OTHERS).find(|(n, _)| *n == number).map(|(_, name)| (*name).to_owned())
}

const NULL: u32 = 0;
pub(super) const ETHERNET: u32 = 1;
const PPP: u32 = 9;
const RAW_BSD: u32 = 12;
const RAW_OPENBSD: u32 = 14;
const PPP_HDLC: u32 = 50;
const PPP_ETHER: u32 = 51;
const RAW: u32 = 101;
const C_HDLC: u32 = 104;
const IEEE802_11: u32 = 105;
const LOOP: u32 = 108;
const ENC: u32 = 109;
const LINUX_SLL: u32 = 113;
const PFLOG: u32 = 117;
const IEEE802_11_RADIOTAP: u32 = 127;
const PPP_PPPD: u32 = 166;
const PPI: u32 = 192;
const PPP_WITH_DIR: u32 = 204;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const NFLOG: u32 = 239;
const LINUX_SLL2: u32 = 276;

/// The big-endian number at `at`.
pub(super) fn be16(data: &[u8], at: usize) -> Result<u16, Skip> {
    let bytes = data.get(at..).and_then(|d| d.first_chunk::<2>()).ok_or(Skip::Malformed)?;
    Ok(u16::from_be_bytes(*bytes))
}

/// The big-endian number at `at`.
pub(super) fn be32(data: &[u8], at: usize) -> Result<u32, Skip> {
    let bytes = data.get(at..).and_then(|d| d.first_chunk::<4>()).ok_or(Skip::Malformed)?;
    Ok(u32::from_be_bytes(*bytes))
}

/// The little-endian number at `at`.
fn le16(data: &[u8], at: usize) -> Result<u16, Skip> {
    be16(data, at).map(u16::swap_bytes)
}

/// What lies behind `at` bytes.
pub(super) fn behind(data: &[u8], at: usize) -> Result<&[u8], Skip> {
    data.get(at..).ok_or(Skip::Malformed)
}

/// The layer behind the header that a link type stands for.
pub(super) fn header(link_type: u32, data: &[u8]) -> Next<'_> {
    match link_type {
        ETHERNET => Ok((Layer::Ethernet, data)),
        RAW | RAW_BSD | RAW_OPENBSD => Ok((Layer::Ip, data)),
        IPV4 => Ok((Layer::Ipv4, data)),
        IPV6 => Ok((Layer::Ipv6, data)),
        NULL | LOOP => family(be32(data, 0)?, behind(data, 4)?),
        LINUX_SLL => Ok(sll(be16(data, 14)?, behind(data, 16)?)),
        LINUX_SLL2 => Ok(sll(be16(data, 0)?, behind(data, 20)?)),
        PPP | PPP_HDLC => Ok((Layer::Ppp, data)),
        // One byte of direction, which of PPP_PPPD may also be in the place of HDLC's address.
        PPP_WITH_DIR | PPP_PPPD => match data {
            [_, 3, rest @ ..] => Ok((Layer::Ppp, rest)),
            _ => Ok((Layer::Ppp, behind(data, 1)?)),
        },
        PPP_ETHER => Ok((Layer::EtherType(0x8864), data)),
        C_HDLC => Ok((Layer::EtherType(be16(data, 2)?), behind(data, 4)?)),
        ENC => family(be32(data, 0)?, behind(data, 12)?),
        PFLOG => {
            let &[length, family, ..] = data else { return Err(Skip::Malformed) };
            // Rounded up to a word.
            family_number(u32::from(family), behind(data, (usize::from(length) + 3) & !3)?)
        }
        IEEE802_11 => wireless(data, false),
        IEEE802_11_RADIOTAP => wireless(behind(data, usize::from(le16(data, 2)?))?, pads_header(data)),
        PPI => {
            let inner = u32::from(le16(data, 4)?);
            let rest = behind(data, usize::from(le16(data, 2)?).max(8))?;
            Ok((Layer::Link(inner), rest))
        }
        NFLOG => nflog(data),
        other => Err(Skip::UnknownLinkType(other)),
    }
}

/// BSD loopback: an address family in the byte order of the machine that captured.
fn family(family: u32, rest: &[u8]) -> Next<'_> {
    family_number(if family > 0xffff { family.swap_bytes() } else { family }, rest)
}

fn family_number(family: u32, rest: &[u8]) -> Next<'_> {
    match family {
        2 => Ok((Layer::Ipv4, rest)),
        // Linux, Windows, NetBSD and OpenBSD, FreeBSD, Darwin.
        10 | 23 | 24 | 28 | 30 => Ok((Layer::Ipv6, rest)),
        _ => Err(Skip::NotIp),
    }
}

/// Linux cooked capture: an EtherType, or one of Linux's own numbers below 1536.
fn sll(protocol: u16, rest: &[u8]) -> (Layer, &[u8]) {
    match protocol {
        // IEEE 802.2.
        4 => (Layer::Llc, rest),
        _ => (Layer::EtherType(protocol), rest),
    }
}

/// The field that is an EtherType, or below 1536 a length with IEEE 802.2 behind it.
#[inline]
pub(super) fn type_or_length(field: u16, rest: &[u8]) -> (Layer, &[u8]) {
    if field >= 0x0600 { (Layer::EtherType(field), rest) } else { (Layer::Llc, rest) }
}

/// IEEE 802.2, of which SNAP (RFC 1042) and IP's own address lead on.
pub(super) fn llc(data: &[u8]) -> Next<'_> {
    match data {
        // OUI 0, or that of bridged Ethernet (RFC 2684) by some drivers.
        [0xaa, 0xaa, 3, 0, 0, 0 | 0xf8, a, b, rest @ ..] => Ok((Layer::EtherType(u16::from_be_bytes([*a, *b])), rest)),
        [6, 6, 3, rest @ ..] => Ok((Layer::Ip, rest)),
        [_, _, _, ..] => Err(Skip::NotIp),
        _ => Err(Skip::Malformed),
    }
}

/// Layers that an EtherType announces; IP itself is not among them.
pub(super) fn ether_type<'p>(ether_type: u16, data: &'p [u8], context: &mut Context) -> Next<'p> {
    match ether_type {
        // IEEE 802.1Q, 802.1ad, and what came before it.
        0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
            let tag = SingleVlanHeaderSlice::from_slice(data).map_err(|_| Skip::Malformed)?;
            // Identifier 0 is a priority only.
            let id = Some(tag.vlan_identifier().value()).filter(|id| *id != 0);
            context.vlan = context.vlan.or(id);
            context.depth += 1;
            Ok(type_or_length(tag.ether_type().0, behind(data, 4)?))
        }
        // PPPoE session (RFC 2516).
        0x8864 => {
            let session = be16(data, 2)?;
            if data.first() != Some(&0x11) || data.get(1) != Some(&0) {
                return Err(Skip::Malformed);
            }
            context.enter("pppoe", Some(u32::from(session)));
            Ok((Layer::Ppp, behind(data, 6)?))
        }
        // Transparent Ethernet bridging, as tunnels carry it.
        0x6558 => Ok((Layer::Ethernet, data)),
        0x880b => Ok((Layer::Ppp, data)),
        // Provider backbone bridging (IEEE 802.1ah): a service tag, then Ethernet.
        0x88e7 => {
            let tag = be32(data, 0)?;
            context.enter("pbb", Some(tag & 0x00ff_ffff));
            Ok((Layer::Ethernet, behind(data, 4)?))
        }
        _ => Err(Skip::NotIp),
    }
}

/// MPLS (RFC 3032): labels, then IP or Ethernet, which the first bits tell apart; `cut` bytes are missing behind.
pub(super) fn mpls<'p>(mut data: &'p [u8], cut: u32, context: &mut Context) -> Next<'p> {
    const BOTTOM: u32 = 0x100;
    loop {
        let entry = be32(data, 0)?;
        data = behind(data, 4)?;
        if entry & BOTTOM != 0 {
            context.enter("mpls", Some(entry >> 12));
            break;
        }
    }
    match data {
        _ if is_bridged(data, cut) => Ok((Layer::Ethernet, data)),
        [0x45..=0x4f, ..] => Ok((Layer::Ipv4, data)),
        [0x60..=0x6f, ..] => Ok((Layer::Ipv6, data)),
        // A pseudowire control word (RFC 4385), unless the type of a frame without one is in its place.
        [0, _, _, _, rest @ ..] if !be16(data, 12).is_ok_and(leads_on) => Ok((Layer::Ethernet, rest)),
        _ => Ok((Layer::Ethernet, data)),
    }
}

/// Whether what begins like IP is Ethernet without a control word, of a card whose address begins so (RFC 4928 §3): a type
/// that leads on stands in its place, which of IP is the address; and the length is not the packet's.
fn is_bridged(data: &[u8], cut: u32) -> bool {
    /// A segment without data is padded, to 64 bytes with the labels, and a frame check sequence may follow.
    const PADDING: usize = 10;
    let length = match data.first() {
        Some(0x45..=0x4f) => be16(data, 2).map(usize::from),
        Some(0x60..=0x6f) => be16(data, 4).map(|length| usize::from(length) + 40),
        _ => return false,
    };
    let sent = data.len().saturating_add(cut as usize);
    let fits = length.is_ok_and(|length| sent.checked_sub(length).is_some_and(|over| over <= PADDING));
    let leads = match (be16(data, 12), data.get(14)) {
        (Ok(0x0800), Some(version)) => (0x45..=0x4f).contains(version),
        (Ok(0x86dd), Some(version)) => (0x60..=0x6f).contains(version),
        (Ok(other), _) => leads_on(other),
        _ => false,
    };
    leads && !fits
}

/// Whether an EtherType is one of those that are followed.
fn leads_on(ether_type: u16) -> bool {
    matches!(ether_type, 0x0800 | 0x86dd | 0x8100 | 0x88a8 | 0x8847 | 0x8864)
}

/// PPP (RFC 1661), with or without HDLC's address and control, with or without a compressed protocol field.
pub(super) fn ppp(data: &[u8]) -> Next<'_> {
    let data = match data {
        [0xff, 3, rest @ ..] => rest,
        _ => data,
    };
    let (protocol, rest) = match data {
        // Protocol numbers end in an odd byte, their first is even.
        [a, rest @ ..] if a & 1 == 1 => (u16::from(*a), rest),
        [a, b, rest @ ..] => (u16::from_be_bytes([*a, *b]), rest),
        _ => return Err(Skip::Malformed),
    };
    match protocol {
        0x0021 => Ok((Layer::Ipv4, rest)),
        0x0057 => Ok((Layer::Ipv6, rest)),
        0x0281 => Ok((Layer::EtherType(0x8847), rest)),
        0x0283 => Ok((Layer::EtherType(0x8848), rest)),
        _ => Err(Skip::NotIp),
    }
}

/// Whether a radiotap header says that what follows is padded to a word behind its own header (flag 0x20).
fn pads_header(data: &[u8]) -> bool {
    let present = |at: usize| data.get(at..).and_then(|d| d.first_chunk::<4>()).map_or(0, |b| u32::from_le_bytes(*b));
    let mut at = 4;
    while present(at) >> 31 == 1 {
        at += 4;
    }
    at += 4;
    if present(4) & 1 != 0 {
        // A timestamp of eight bytes at its boundary.
        at = at.next_multiple_of(8) + 8;
    }
    present(4) & 2 != 0 && data.get(at).is_some_and(|flags| flags & 0x20 != 0)
}

/// IEEE 802.11 data frames that are not encrypted; `padded`: to a word behind the header.
fn wireless(data: &[u8], padded: bool) -> Next<'_> {
    let &[control, flags, ..] = data else { return Err(Skip::Malformed) };
    let (data_frame, without_data, qos) = (control & 0x0c == 0x08, control & 0x40 != 0, control & 0x80 != 0);
    let (protected, between_stations, order) = (flags & 0x40 != 0, flags & 3 == 3, flags & 0x80 != 0);
    if !data_frame || without_data || protected {
        return Err(Skip::NotIp);
    }
    let mut size = 24usize;
    if between_stations {
        size += 6;
    }
    if qos {
        size += 2;
        if order {
            size += 4;
        }
    }
    if padded {
        size = size.next_multiple_of(4);
    }
    Ok((Layer::Llc, behind(data, size)?))
}

/// Linux netfilter log: a family, then attributes, of which one is the packet.
fn nflog(data: &[u8]) -> Next<'_> {
    const PAYLOAD: u16 = 9;
    let mut rest = behind(data, 4)?;
    // In the byte order of the machine that captured, which no field tells. One of the two makes sense of a length; where
    // both do, the packet is long, and what stands before it is not.
    let length = |number: u16| if (4..=rest.len()).contains(&usize::from(number)) { number } else { u16::MAX };
    let number = if length(be16(rest, 0)?) < length(le16(rest, 0)?) { be16 } else { le16 };
    loop {
        let length = usize::from(number(rest, 0)?);
        if length < 4 {
            return Err(Skip::Malformed);
        }
        if number(rest, 2)? & 0x7fff == PAYLOAD {
            return Ok((Layer::Ip, behind(rest, 4)?));
        }
        rest = behind(rest, (length + 3) & !3)?;
    }
}
