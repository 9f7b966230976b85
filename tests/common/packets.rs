//! Makes captures out of dialogues: any split, order, duplication and loss, with acknowledgements kept consistent.

use std::net::SocketAddr;
use std::path::PathBuf;

use mailcap::capture::{Capture, Input, Item};
use mailcap::event::EndReason;
use mailcap::flow::{ConnectionInfo, Consumer, FlowTable, Interest, Side, StreamChunk};
use mailcap::limits::Limits;
use mailcap::position::FramePos;
use mailcap::wire::{Decoded, Decoder};

/// What one side said before the other spoke again.
#[derive(Clone, Debug)]
pub struct Turn {
    pub side: Side,
    pub bytes: Vec<u8>,
}

/// A connection's dialogue.
#[derive(Clone, Debug)]
pub struct Dialogue {
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub turns: Vec<Turn>,
}

#[derive(Default)]
struct Turns(Vec<(u64, Dialogue)>);

impl Consumer for Turns {
    type Session = Vec<Turn>;

    fn open(&mut self, _info: &ConnectionInfo) -> Vec<Turn> {
        Vec::new()
    }

    fn chunk(&mut self, turns: &mut Vec<Turn>, _info: &ConnectionInfo, chunk: StreamChunk<'_>) -> Interest {
        if let StreamChunk::Data { side, bytes, .. } = chunk {
            match turns.last_mut() {
                Some(last) if last.side == side => last.bytes.extend_from_slice(bytes),
                _ => turns.push(Turn { side, bytes: bytes.to_vec() }),
            }
        }
        Interest::Keep
    }

    fn close(&mut self, turns: Vec<Turn>, info: &ConnectionInfo, _reason: EndReason, _at: FramePos) -> Interest {
        self.0.push((info.id, Dialogue { client: info.initiator, server: info.responder, turns }));
        Interest::Drop
    }
}

/// The dialogues of a capture, in the order of their first frames.
pub fn dialogues(file: PathBuf) -> Vec<Dialogue> {
    let limits = Limits::default();
    let mut capture = Capture::open(&[Input::File(file)], &limits).unwrap_or_else(|e| panic!("{e}"));
    let (mut decoder, mut table, mut turns) = (Decoder::new(&limits), FlowTable::new(&limits), Turns::default());
    while let Some(item) = capture.next() {
        if let Item::Frame(frame) = item
            && let Decoded::Segment(segment) = decoder.decode(&frame)
        {
            table.segment(&segment, frame.pos, frame.interface, &mut turns);
        }
    }
    table.finish(&mut turns);
    turns.0.sort_by_key(|(id, _)| *id);
    turns.0.into_iter().map(|(_, dialogue)| dialogue).filter(|d| !d.turns.is_empty()).collect()
}

/// A small deterministic generator (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `bound`, which is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound.max(1)
    }

    pub fn chance(&mut self, one_in: usize) -> bool {
        one_in > 0 && self.below(one_in) == 0
    }
}

/// A TCP segment to be.
#[derive(Clone, Debug)]
pub struct Packet {
    pub side: Side,
    pub seq: u32,
    pub ack: Option<u32>,
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
    pub payload: Vec<u8>,
}

/// How a dialogue becomes packets.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Longest payload of a segment; sizes are drawn from 1 to this.
    pub segment: usize,
    /// Initial sequence numbers.
    pub isn: [u32; 2],
}

/// The dialogue in order: handshake, turns in segments of random sizes, both FINs.
pub fn packets(dialogue: &Dialogue, shape: &Shape, random: &mut Random) -> Vec<Packet> {
    let [client, server] = shape.isn;
    let mut next = [client.wrapping_add(1), server.wrapping_add(1)];
    let bare = |side, seq, ack| Packet { side, seq, ack, syn: false, fin: false, rst: false, payload: Vec::new() };
    let mut list = vec![
        Packet { syn: true, ..bare(Side::Initiator, client, None) },
        Packet { syn: true, ..bare(Side::Responder, server, Some(next[0])) },
        bare(Side::Initiator, next[0], Some(next[1])),
    ];
    for turn in &dialogue.turns {
        let (me, peer) = (turn.side.index(), turn.side.opposite().index());
        let mut rest = &turn.bytes[..];
        while !rest.is_empty() {
            let (head, tail) = rest.split_at((1 + random.below(shape.segment)).min(rest.len()));
            list.push(Packet { payload: head.to_vec(), ..bare(turn.side, next[me], Some(next[peer])) });
            next[me] = next[me].wrapping_add(head.len() as u32);
            rest = tail;
        }
    }
    list.push(Packet { fin: true, ..bare(Side::Initiator, next[0], Some(next[1])) });
    next[0] = next[0].wrapping_add(1);
    list.push(Packet { fin: true, ..bare(Side::Responder, next[1], Some(next[0])) });
    next[1] = next[1].wrapping_add(1);
    list.push(bare(Side::Initiator, next[0], Some(next[1])));
    list
}

/// Swaps packets with ones up to `window` later and repeats some; the first three and the last stay.
pub fn shuffle(list: &mut Vec<Packet>, window: usize, repeat_one_in: usize, random: &mut Random) {
    let last = list.len().saturating_sub(3);
    for i in 3..last {
        let j = (i + random.below(window + 1)).min(last - 1);
        list.swap(i, j);
    }
    let mut i = 3;
    while i < list.len().saturating_sub(3) {
        if random.chance(repeat_one_in) {
            let copy = list[i].clone();
            let at = (i + 1 + random.below(window + 1)).min(list.len() - 3);
            list.insert(at, copy);
            i += 1;
        }
        i += 1;
    }
}

/// Splits, reorders and repeats in one seeded way.
pub fn disturbed(dialogue: &Dialogue, seed: u64) -> Vec<Packet> {
    let mut random = Random::new(seed);
    let segment = [1, 7, 100, 536, 1400][random.below(5)];
    let isn = [random.next() as u32, u32::MAX - random.below(2000) as u32];
    let mut list = packets(dialogue, &Shape { segment, isn }, &mut random);
    let window = random.below(12);
    let repeat = [0, 3, 10][random.below(3)];
    shuffle(&mut list, window, repeat, &mut random);
    list
}

/// The packets as a pcap file (Ethernet, IPv4 whatever the addresses were, microseconds).
pub fn pcap(dialogue: &Dialogue, list: &[Packet]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, 1] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    let ports = [dialogue.client.port(), dialogue.server.port()];
    for (n, packet) in list.iter().enumerate() {
        let frame = frame(packet, ports);
        let micros = 1_000_000_000_000_000 + n as u64 * 100;
        let header = [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, frame.len() as u32, frame.len() as u32];
        for word in header {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&frame);
    }
    file
}

fn frame(packet: &Packet, ports: [u16; 2]) -> Vec<u8> {
    let (me, peer) = (packet.side.index(), packet.side.opposite().index());
    let mut frame = vec![0x02, 0, 0, 0, 0, peer as u8, 0x02, 0, 0, 0, 0, me as u8, 8, 0];
    let total = 40 + packet.payload.len() as u16;
    frame.extend_from_slice(&[0x45, 0]);
    frame.extend_from_slice(&total.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1 + me as u8, 10, 0, 0, 1 + peer as u8]);
    frame.extend_from_slice(&ports[me].to_be_bytes());
    frame.extend_from_slice(&ports[peer].to_be_bytes());
    frame.extend_from_slice(&packet.seq.to_be_bytes());
    frame.extend_from_slice(&packet.ack.unwrap_or(0).to_be_bytes());
    let flags = u8::from(packet.fin)
        | u8::from(packet.syn) << 1
        | u8::from(packet.rst) << 2
        | u8::from(packet.ack.is_some()) << 4;
    frame.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend_from_slice(&packet.payload);
    frame
}

/// Frames made one by one: Ethernet and IPv4, a microsecond apart.
#[derive(Default)]
pub struct Frames {
    file: Vec<u8>,
    count: u32,
}

/// An IPv4 address and a port.
pub type End = ([u8; 4], u16);

impl Frames {
    /// A TCP segment; the checksums are left out.
    pub fn tcp(&mut self, from: End, to: End, seq: u32, ack: u32, flags: u8, payload: &[u8]) {
        let segment =
            [&tcp_start(from, to, seq)[..], &ack.to_be_bytes(), &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0], payload];
        self.ip(from.0, to.0, 6, &segment.concat());
    }

    /// ICMP's word that the segment with `seq`, which `to` sent to `from`, did not arrive.
    pub fn icmp_unreachable(&mut self, from: End, to: End, seq: u32, code: u8) {
        let quoted = [ip_header(to.0, from.0, 6, 20).to_vec(), tcp_start(to, from, seq).to_vec()].concat();
        self.ip(from.0, to.0, 1, &[&[3, code, 0, 0, 0, 0, 0, 0][..], &quoted].concat());
    }

    fn ip(&mut self, from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend_from_slice(&ip_header(from, to, protocol, payload.len()));
        frame.extend_from_slice(payload);
        self.frame(&frame);
    }

    /// A frame as it is.
    pub fn frame(&mut self, frame: &[u8]) {
        let len = frame.len() as u32;
        for word in [1_000_000_000 + self.count / 1_000_000, self.count % 1_000_000, len, len] {
            self.file.extend_from_slice(&word.to_le_bytes());
        }
        self.file.extend_from_slice(frame);
        self.count += 1;
    }

    /// The whole pcap file.
    pub fn bytes(&self, link_type: u32) -> Vec<u8> {
        let mut file: Vec<u8> =
            [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, link_type].iter().flat_map(|w| w.to_le_bytes()).collect();
        file.extend_from_slice(&self.file);
        file
    }

    /// In a file that is removed when it is dropped.
    pub fn write(&self) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), self.bytes(1)).unwrap();
        file
    }
}

fn ip_header(from: [u8; 4], to: [u8; 4], protocol: u8, payload: usize) -> [u8; 20] {
    let [high, low] = (20 + payload as u16).to_be_bytes();
    let ([a, b, c, d], [e, f, g, h]) = (from, to);
    [0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0, a, b, c, d, e, f, g, h]
}

fn tcp_start(from: End, to: End, seq: u32) -> [u8; 8] {
    let ([a, b], [c, d], [e, f, g, h]) = (from.1.to_be_bytes(), to.1.to_be_bytes(), seq.to_be_bytes());
    [a, b, c, d, e, f, g, h]
}
