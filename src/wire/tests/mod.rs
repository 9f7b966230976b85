//! Packets made byte by byte.

mod corpus;
mod docs;
mod fragments;
mod ip;
mod links;
mod tunnels;

use super::*;
use crate::capture::LinkType;
use crate::position::{FramePos, Timestamp};

/// A TCP segment from 10.0.0.1:40000 to 10.0.0.2:25 with sequence number 7.
fn tcp(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut segment = [&40_000u16.to_be_bytes()[..], &25u16.to_be_bytes(), &[0, 0, 0, 7, 0, 0, 0, 9]].concat();
    let words = 5 + options.len() / 4;
    segment.extend([u8::try_from(words << 4).unwrap(), flags, 0x20, 0, 0xba, 0xad, 0, 0]);
    segment.extend(options);
    segment.extend(payload);
    segment
}

/// Data with ACK and PSH.
fn data(payload: &[u8]) -> Vec<u8> {
    tcp(0x18, &[], payload)
}

fn ipv4_with(protocol: u8, id: u16, flags_and_offset: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let size = 20 + options.len();
    let total = u16::try_from(size + payload.len()).unwrap();
    let mut packet = vec![0x40 | u8::try_from(size / 4).unwrap(), 0];
    packet.extend(total.to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(flags_and_offset.to_be_bytes());
    packet.extend([64, protocol, 0xba, 0xad, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(options);
    packet.extend(payload);
    packet
}

fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with(protocol, 1, 0, &[], payload)
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    packet.extend([next, 64]);
    for last in [1, 2] {
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend(payload);
    packet
}

fn udp(to: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap();
    [&5555u16.to_be_bytes()[..], &to.to_be_bytes(), &len.to_be_bytes(), &[0, 0], payload].concat()
}

fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &ether_type.to_be_bytes(), payload].concat()
}

/// Ethernet, IPv4, TCP.
fn plain(payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(6, &data(payload)))
}

fn frame(link_type: u32, data: &[u8], original_len: usize) -> Frame<'_> {
    Frame {
        pos: FramePos::default(),
        interface: None,
        link_type: LinkType(link_type),
        data,
        original_len: u32::try_from(original_len).unwrap(),
    }
}

/// The skip, or the segment's payload, missing bytes, VLAN and tunnel.
type Seen = Result<(Vec<u8>, u32, Option<u16>, Option<Tunnel>), Skip>;

fn seen(decoded: Decoded<'_>) -> Seen {
    match decoded {
        Decoded::Segment(s) => {
            assert_eq!((s.src.port(), s.dst.port(), s.seq), (40_000, 25, 7));
            Ok((s.payload.to_vec(), s.missing_tail, s.vlan, s.tunnel))
        }
        Decoded::Unreachable(u) => panic!("{u:?}"),
        Decoded::Skipped(skip) => Err(skip),
    }
}

fn decode_cut(link_type: u32, bytes: &[u8], original_len: usize) -> Seen {
    let mut decoder = Decoder::new(&Limits::default());
    let seen = seen(decoder.decode(&frame(link_type, bytes, original_len)));
    assert_eq!(decoder.counters().frames, 1);
    assert_eq!(decoder.counters().segments, u64::from(seen.is_ok()));
    seen
}

fn decode(link_type: u32, bytes: &[u8]) -> Seen {
    decode_cut(link_type, bytes, bytes.len())
}

/// A whole segment that carries `hi`.
fn hi(vlan: Option<u16>, tunnel: Option<(&'static str, Option<u32>)>) -> Seen {
    Ok((b"hi".to_vec(), 0, vlan, tunnel.map(|(kind, id)| Tunnel { kind, id })))
}

/// Every prefix of a frame is decoded without a panic, and none gives more payload than the whole.
fn cut_everywhere(link_type: u32, bytes: &[u8]) {
    let whole = decode(link_type, bytes);
    for len in 0..bytes.len() {
        let cut = bytes.get(..len).unwrap();
        if let (Ok((all, ..)), Ok((part, missing, ..))) = (&whole, decode_cut(link_type, cut, bytes.len())) {
            assert_eq!(part.len() + missing as usize, all.len(), "cut at {len}");
            assert!(all.starts_with(&part));
        }
        let _ = decode(link_type, cut);
    }
}
