//! A capture file → each TCP connection's two streams, offline and in causal order: no more than the TLS tests need,
//! and independent of the library's own readers.

pub(crate) mod play;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// A piece of a stream, in the order in which the peers saw it.
pub(crate) enum Piece {
    Data { client: bool, bytes: Vec<u8> },
    Gap { client: bool, len: u64 },
}

/// A connection's pieces by (client, server).
pub(crate) type Connections = BTreeMap<(SocketAddr, SocketAddr), Vec<Piece>>;

struct Packet {
    from: SocketAddr,
    to: SocketAddr,
    seq: u32,
    ack: Option<u32>,
    syn: bool,
    payload: Vec<u8>,
}

fn u16be(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

fn u32be(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(b[at..at + 4].try_into().unwrap())
}

/// Link type and bytes.
type Frame = (u16, Vec<u8>);

/// Frames, and the key logs of decryption secrets blocks.
fn frames(file: &[u8]) -> (Vec<Frame>, Vec<Vec<u8>>) {
    let (mut frames, mut secrets) = (Vec::new(), Vec::new());
    let magic = u32be(file, 0);
    let big = matches!(magic, 0xa1b2c3d4 | 0xa1b23c4d);
    let u32at = |at: usize| {
        let bytes: [u8; 4] = file[at..at + 4].try_into().unwrap();
        if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    if magic != 0x0a0d0d0a {
        let link = u32at(20) as u16;
        let mut at = 24;
        while at + 16 <= file.len() {
            let len = u32at(at + 8) as usize;
            if at + 16 + len > file.len() {
                break;
            }
            frames.push((link, file[at + 16..at + 16 + len].to_vec()));
            at += 16 + len;
        }
        return (frames, secrets);
    }
    let (mut at, mut links) = (0, Vec::new());
    while at + 12 <= file.len() {
        let (kind, len) = (u32at(at), u32at(at + 4) as usize);
        match kind {
            0x0a0d0d0a => links.clear(),
            1 => links.push(u32at(at + 8) as u16),
            6 => {
                let caplen = u32at(at + 20) as usize;
                frames.push((links[u32at(at + 8) as usize], file[at + 28..at + 28 + caplen].to_vec()));
            }
            10 => secrets.push(file[at + 16..at + 16 + u32at(at + 12) as usize].to_vec()),
            _ => {}
        }
        at += len;
    }
    (frames, secrets)
}

fn ip(link: u16, frame: &[u8]) -> Option<&[u8]> {
    let (mut kind, mut at) = match link {
        1 => (u16be(frame, 12), 14),
        113 => (u16be(frame, 14), 16),
        276 => (u16be(frame, 0), 20),
        0 => return Some(&frame[4..]),
        _ => return Some(frame),
    };
    while matches!(kind, 0x8100 | 0x88a8) {
        kind = u16be(frame, at + 2);
        at += 4;
    }
    matches!(kind, 0x0800 | 0x86dd).then(|| &frame[at..])
}

fn packet(link: u16, frame: &[u8]) -> Option<Packet> {
    let ip = ip(link, frame)?;
    let (from, to, proto, tcp): (IpAddr, IpAddr, u8, &[u8]) = if ip[0] >> 4 == 4 {
        let header = usize::from(ip[0] & 15) * 4;
        let from: [u8; 4] = ip[12..16].try_into().ok()?;
        let to: [u8; 4] = ip[16..20].try_into().ok()?;
        (from.into(), to.into(), ip[9], ip.get(header..usize::from(u16be(ip, 2)))?)
    } else {
        let from: [u8; 16] = ip[8..24].try_into().ok()?;
        let to: [u8; 16] = ip[24..40].try_into().ok()?;
        (from.into(), to.into(), ip[6], ip.get(40..40 + usize::from(u16be(ip, 4)))?)
    };
    if proto != 6 {
        return None;
    }
    let flags = tcp[13];
    Some(Packet {
        from: (from, u16be(tcp, 0)).into(),
        to: (to, u16be(tcp, 2)).into(),
        seq: u32be(tcp, 4),
        ack: (flags & 16 != 0).then(|| u32be(tcp, 8)),
        syn: flags & 2 != 0,
        payload: tcp[usize::from(tcp[12] >> 4) * 4..].to_vec(),
    })
}

struct Segment {
    offset: i64,
    ack: i64,
    frame: usize,
    payload: Vec<u8>,
}

/// Everything in a capture file: connections, and embedded key logs.
pub(crate) fn read(file: &[u8]) -> (Connections, Vec<Vec<u8>>) {
    let (frames, secrets) = frames(file);
    // Per connection: both initial sequence numbers and both lists of segments.
    type Raw = ([Option<u32>; 2], [Vec<Segment>; 2]);
    let mut raw: BTreeMap<(SocketAddr, SocketAddr), Raw> = BTreeMap::new();
    for (number, (link, frame)) in frames.iter().enumerate() {
        let Some(p) = packet(*link, frame) else { continue };
        let (key, side) = if p.syn && p.ack.is_none() || raw.contains_key(&(p.from, p.to)) {
            ((p.from, p.to), 0)
        } else {
            ((p.to, p.from), 1)
        };
        let (initial, segments) = raw.entry(key).or_default();
        if p.syn {
            initial[side] = Some(p.seq.wrapping_add(1));
            continue;
        }
        if p.payload.is_empty() {
            continue;
        }
        let relative = |n: u32, base: &mut Option<u32>| i64::from(n.wrapping_sub(*base.get_or_insert(n)) as i32);
        let offset = relative(p.seq, &mut initial[side]);
        let ack = p.ack.map_or(0, |ack| relative(ack, &mut initial[1 - side]));
        segments[side].push(Segment { offset, ack, frame: number, payload: p.payload });
    }
    (raw.into_iter().map(|(key, (_, segments))| (key, merge(segments))).collect(), secrets)
}

/// Each byte's first copy, by offset.
fn first_copies(mut list: Vec<Segment>) -> Vec<Segment> {
    list.sort_by_key(|s| s.frame);
    let mut covered: BTreeMap<i64, Segment> = BTreeMap::new();
    for segment in list {
        let (mut at, end) = (segment.offset, segment.offset + segment.payload.len() as i64);
        while at < end {
            let before = covered.range(..=at).next_back().map_or(at, |(&o, s)| o + s.payload.len() as i64);
            if before > at {
                at = before;
                continue;
            }
            let stop = covered.range(at..).next().map_or(end, |(&o, _)| o.min(end));
            let range = (at - segment.offset) as usize..(stop - segment.offset) as usize;
            let payload = segment.payload[range].to_vec();
            covered.insert(at, Segment { offset: at, payload, ack: segment.ack, frame: segment.frame });
            at = stop;
        }
    }
    covered.into_values().collect()
}

fn merge(segments: [Vec<Segment>; 2]) -> Vec<Piece> {
    let mut queues = segments.map(|list| first_copies(list).into_iter().filter(|s| s.offset >= 0).peekable());
    let (mut delivered, mut out) = ([0i64; 2], Vec::new());
    loop {
        let heads: Vec<(usize, usize, bool)> = (0..2)
            .filter_map(|side| {
                let free = delivered[1 - side];
                queues[side].peek().map(|s| (side, s.frame, s.ack <= free))
            })
            .collect();
        let Some(&(side, ..)) = heads.iter().min_by_key(|&&(_, frame, free)| (!free, frame)) else { return out };
        let Some(segment) = queues[side].next() else { return out };
        let hole = segment.offset - delivered[side];
        if hole > 0 {
            out.push(Piece::Gap { client: side == 0, len: hole as u64 });
        }
        delivered[side] = segment.offset + segment.payload.len() as i64;
        out.push(Piece::Data { client: side == 0, bytes: segment.payload });
    }
}
