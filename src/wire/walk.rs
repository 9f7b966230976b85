//! From a frame's first byte to its transport layer.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::{Ethernet2HeaderSlice, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice};

use crate::limits::Limits;
use crate::position::Timestamp;

use super::defrag::{Defragmenter, Fragment, Key, Outcome};
use super::{Decoded, Skip, Tunnel, link, tcp, tunnel};

/// What the bytes at hand begin with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Ethernet,
    /// What an EtherType announces.
    EtherType(u16),
    /// IEEE 802.2 behind a length.
    Llc,
    /// IPv4 or IPv6, by the version nibble.
    Ip,
    Ipv4,
    Ipv6,
    /// What an IP protocol number announces.
    Payload(u8),
    Ppp,
    /// One of [`link`]'s headers.
    Link(u32),
}

/// What has been learnt on the way.
#[derive(Copy, Clone, Debug)]
pub(super) struct Context {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) vlan: Option<u16>,
    pub(super) tunnel: Option<Tunnel>,
    /// Encapsulations passed.
    pub(super) depth: usize,
}

impl Context {
    pub(super) fn new() -> Self {
        let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Context { src: none, dst: none, vlan: None, tunnel: None, depth: 0 }
    }

    /// Enters a tunnel that is in [`TUNNELS`](tunnel::TUNNELS). Each encapsulation has to come here, or to count itself
    /// in `depth` as VLANs do: this bounds the work on a frame that nests endlessly.
    pub(super) fn enter(&mut self, kind: &'static str, id: Option<u32>) {
        debug_assert!(tunnel::TUNNELS.iter().any(|(name, _)| *name == kind), "{kind} is not in TUNNELS");
        self.tunnel = Some(Tunnel { kind, id });
        self.depth += 1;
    }
}

/// The next layer and its bytes, or why there is none. [`Skip::Malformed`] stands for missing bytes too.
pub(super) type Next<'p> = Result<(Layer, &'p [u8]), Skip>;

/// Where a walk ended.
pub(super) enum Walked<'p> {
    Decoded(Decoded<'p>),
    /// A datagram became whole: to be walked through from its payload.
    Reassembled {
        data: Vec<u8>,
        cut: u32,
        protocol: u8,
    },
}

/// Walks from `layer` at the start of `data`; `cut` bytes behind `data` were not captured.
#[inline]
pub(super) fn walk<'p>(
    defragmenter: &mut Defragmenter,
    limits: &Limits,
    context: &mut Context,
    (mut layer, mut data, mut cut): (Layer, &'p [u8], u32),
    ts: Timestamp,
) -> Walked<'p> {
    loop {
        if context.depth > limits.encapsulation_depth {
            return Walked::Decoded(Decoded::Skipped(Skip::TooDeep));
        }
        let next = match layer {
            Layer::Ethernet => ethernet(data),
            Layer::EtherType(0x0800) | Layer::Ipv4 => match ipv4(data, &mut cut, context) {
                Ok(Ip::Payload(protocol, rest)) => Ok((Layer::Payload(protocol), rest)),
                Ok(Ip::Fragment(key, fragment)) => match fragments(defragmenter, key, fragment, ts, limits) {
                    Ok(whole) => return whole,
                    Err(skip) => Err(skip),
                },
                Err(skip) => Err(skip),
            },
            Layer::EtherType(0x86dd) | Layer::Ipv6 => ipv6(data, &mut cut, context),
            // MPLS, unicast and multicast.
            Layer::EtherType(0x8847 | 0x8848) => link::mpls(data, cut, context),
            Layer::EtherType(ether_type) => link::ether_type(ether_type, data, context),
            Layer::Llc => link::llc(data),
            Layer::Ip => match data.first().map(|b| b >> 4) {
                Some(4) => Ok((Layer::Ipv4, data)),
                Some(6) => Ok((Layer::Ipv6, data)),
                Some(_) => Err(Skip::NotIp),
                None => Err(Skip::Malformed),
            },
            Layer::Payload(6) => return Walked::Decoded(tcp::segment(data, cut, context)),
            Layer::Payload(1) => return Walked::Decoded(tcp::icmp4(data, context)),
            Layer::Payload(58) => return Walked::Decoded(tcp::icmp6(data, context)),
            Layer::Payload(44) if context.src.is_ipv6() => match ipv6_fragment(data, cut, context) {
                Ok(Ip::Payload(protocol, rest)) => Ok((Layer::Payload(protocol), rest)),
                Ok(Ip::Fragment(key, fragment)) => match fragments(defragmenter, key, fragment, ts, limits) {
                    Ok(whole) => return whole,
                    Err(skip) => Err(skip),
                },
                Err(skip) => Err(skip),
            },
            Layer::Payload(protocol @ (0 | 43 | 51 | 60 | 135 | 139 | 140)) => extension(protocol, data, context),
            Layer::Payload(protocol) => tunnel::payload(protocol, data, context),
            Layer::Ppp => link::ppp(data),
            Layer::Link(link_type) => link::header(link_type, data),
        };
        match next {
            Ok(found) => (layer, data) = found,
            Err(Skip::Malformed) if cut > 0 => return Walked::Decoded(Decoded::Skipped(Skip::Truncated)),
            Err(skip) => return Walked::Decoded(Decoded::Skipped(skip)),
        }
    }
}

#[inline]
fn ethernet(data: &[u8]) -> Next<'_> {
    let header = Ethernet2HeaderSlice::from_slice(data).map_err(|_| Skip::Malformed)?;
    let rest = data.get(header.slice().len()..).unwrap_or_default();
    Ok(link::type_or_length(header.ether_type().0, rest))
}

/// What an IP header leads to.
enum Ip<'p> {
    Payload(u8, &'p [u8]),
    Fragment(Key, Fragment<'p>),
}

/// Cuts `rest`, an IP payload as captured, to the `length` bytes that the header announces, and says in `cut` how
/// many of them are missing: no more than were cut off the frame, whatever the header claims.
#[inline]
fn fit<'p>(rest: &'p [u8], length: usize, cut: &mut u32) -> &'p [u8] {
    match rest.get(..length) {
        Some(payload) => {
            *cut = 0;
            payload
        }
        None => {
            *cut = (*cut).min(u32::try_from(length - rest.len()).unwrap_or(u32::MAX));
            rest
        }
    }
}

/// Bytes missing from a packet without a length: segmentation offload, where it did not fit or was left to the card.
#[inline]
fn unmeasured(cut: u32) -> u32 {
    /// Linux's bound for these is 512 KiB; a capture file's word alone is no reason to believe in gigabytes.
    const LARGEST: u32 = 1 << 20;
    if cut > LARGEST { 0 } else { cut }
}

#[inline]
fn ipv4<'p>(data: &'p [u8], cut: &mut u32, context: &mut Context) -> Result<Ip<'p>, Skip> {
    let header = Ipv4HeaderSlice::from_slice(data).map_err(|_| Skip::Malformed)?;
    let (total, size) = (usize::from(header.total_len()), header.slice().len());
    let rest = data.get(size..).unwrap_or_default();
    let rest = match total {
        0 => {
            *cut = unmeasured(*cut);
            rest
        }
        _ => fit(rest, total.checked_sub(size).ok_or(Skip::Malformed)?, cut),
    };
    context.src = header.source_addr().into();
    context.dst = header.destination_addr().into();
    let (protocol, offset, more) = (header.protocol().0, header.fragments_offset(), header.more_fragments());
    if !more && offset.value() == 0 {
        return Ok(Ip::Payload(protocol, rest));
    }
    let key = Key { src: context.src, dst: context.dst, id: u32::from(header.identification()), protocol };
    let fragment = Fragment { offset: u32::from(offset.value()) * 8, more, data: rest, cut: *cut, protocol };
    Ok(Ip::Fragment(key, fragment))
}

#[inline]
fn ipv6<'p>(data: &'p [u8], cut: &mut u32, context: &mut Context) -> Next<'p> {
    let header = Ipv6HeaderSlice::from_slice(data).map_err(|_| Skip::Malformed)?;
    context.src = header.source_addr().into();
    context.dst = header.destination_addr().into();
    let rest = data.get(header.slice().len()..).unwrap_or_default();
    let next = header.next_header().0;
    let rest = match usize::from(header.payload_length()) {
        0 => match jumbo_length(next, rest) {
            Some(length) => fit(rest, length, cut),
            None => {
                *cut = unmeasured(*cut);
                rest
            }
        },
        length => fit(rest, length, cut),
    };
    Ok((Layer::Payload(next), rest))
}

/// The jumbo payload option (RFC 2675 §2) of a hop-by-hop header.
fn jumbo_length(next: u8, data: &[u8]) -> Option<usize> {
    let &[_, words, ..] = data else { return None };
    let mut options = data.get(2..(usize::from(words) + 1) * 8).filter(|_| next == 0)?;
    loop {
        match options {
            [0, rest @ ..] => options = rest,
            [0xc2, 4, a, b, c, d, ..] => return usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok(),
            [_, length, rest @ ..] => options = rest.get(usize::from(*length)..)?,
            _ => return None,
        }
    }
}

/// An extension header that only leads to the next; their number is bounded by the packet's length.
fn extension<'p>(protocol: u8, data: &'p [u8], context: &Context) -> Next<'p> {
    const AUTHENTICATION: u8 = 51;
    let &[next, length, ..] = data else { return Err(Skip::Malformed) };
    let size = match protocol {
        // RFC 4302 §2.2: in words, less two.
        AUTHENTICATION => (usize::from(length) + 2) * 4,
        // Protocol 0 and its kin exist in IPv6 only.
        _ if context.src.is_ipv4() => return Err(Skip::NotTcp),
        _ => (usize::from(length) + 1) * 8,
    };
    Ok((Layer::Payload(next), data.get(size..).ok_or(Skip::Malformed)?))
}

fn ipv6_fragment<'p>(data: &'p [u8], cut: u32, context: &Context) -> Result<Ip<'p>, Skip> {
    let header = Ipv6FragmentHeaderSlice::from_slice(data).map_err(|_| Skip::Malformed)?;
    let rest = data.get(header.slice().len()..).unwrap_or_default();
    let (protocol, offset, more) = (header.next_header().0, header.fragment_offset(), header.more_fragments());
    // Atomic fragments (RFC 6946) are whole.
    if !more && offset.value() == 0 {
        return Ok(Ip::Payload(protocol, rest));
    }
    let key = Key { src: context.src, dst: context.dst, id: header.identification(), protocol: 0 };
    Ok(Ip::Fragment(key, Fragment { offset: u32::from(offset.value()) * 8, more, data: rest, cut, protocol }))
}

#[cold]
fn fragments<'p>(
    defragmenter: &mut Defragmenter,
    key: Key,
    fragment: Fragment<'_>,
    ts: Timestamp,
    limits: &Limits,
) -> Result<Walked<'p>, Skip> {
    match defragmenter.add(key, fragment, ts, limits) {
        Outcome::Complete { data, cut, protocol } => Ok(Walked::Reassembled { data, cut, protocol }),
        Outcome::Held => Err(Skip::FragmentHeld),
        Outcome::Limit => Err(Skip::FragmentLimit),
        Outcome::Malformed => Err(Skip::Malformed),
    }
}
