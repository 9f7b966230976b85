//! Makes captures of mail traffic, the same for the same seed: what the benchmarks run over.

mod talk;
mod tls;

use std::io::{self, Write};

use talk::Texts;
pub(crate) use tls::Cipher;

/// What to make.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// Seed of everything random.
    pub(crate) seed: u64,
    /// Stop after about this many bytes of capture file.
    pub(crate) bytes: u64,
    /// Connections open at once, their packets interleaved.
    pub(crate) concurrent: usize,
    /// Longest TCP payload, bytes.
    pub(crate) segment: usize,
    /// Mean message size, bytes (sizes are spread evenly from a fifth to nine fifths of it).
    pub(crate) message: usize,
    /// Mails a connection.
    pub(crate) mails: usize,
    /// One packet in this many is dropped, swapped with its successor or repeated; 0 for none.
    pub(crate) disturb_one_in: usize,
    /// Of 100 connections, how many are no mail (HTTP).
    pub(crate) noise_percent: usize,
    /// Inside TLS 1.2 on port 465, RSA key exchange with a secret of its own for each session.
    pub(crate) tls: Option<Cipher>,
    /// Nothing but SYNs that nobody answers.
    pub(crate) scan: bool,
}

impl Default for Workload {
    fn default() -> Self {
        Workload {
            seed: 1,
            bytes: 100 << 20,
            concurrent: 64,
            segment: 1448,
            message: 75_000,
            mails: 2,
            disturb_one_in: 0,
            noise_percent: 0,
            tls: None,
            scan: false,
        }
    }
}

impl Workload {
    /// The workloads that `docs/performance.md` speaks of, by their names.
    pub(crate) fn named(kind: &str) -> Option<Self> {
        let base = Self::default();
        // Tens of megabytes in a connection, a few at a time: what a backup of mailboxes looks like.
        let bulk = |cipher| Workload { tls: Some(cipher), concurrent: 8, message: 8 << 20, ..Self::default() };
        Some(match kind {
            "plain" => base,
            "lossy" => Workload { disturb_one_in: 100, ..base },
            "noise" => Workload { noise_percent: 95, ..base },
            "scan" => Workload { scan: true, ..base },
            "tls" => Workload { tls: Some(Cipher::Cbc), message: 20_000, mails: 1, ..base },
            "bulk-cbc" => bulk(Cipher::Cbc),
            "bulk-gcm" => bulk(Cipher::Gcm),
            _ => return None,
        })
    }

    /// Changes one of its parameters, as in `message=500`; whether there is such a one.
    #[allow(dead_code, reason = "only the generator takes words")]
    pub(crate) fn set(&mut self, word: &str) -> bool {
        let Some((name, value)) = word.split_once('=') else { return false };
        let Ok(value) = value.parse() else { return false };
        match name {
            "seed" => self.seed = value as u64,
            "concurrent" => self.concurrent = value,
            "segment" => self.segment = value,
            "message" => self.message = value,
            "mails" => self.mails = value,
            "disturb" => self.disturb_one_in = value,
            "noise" => self.noise_percent = value,
            _ => return false,
        }
        true
    }
}

/// A small deterministic generator (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound.max(1)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// One connection on its way: what is still to be said, and the sequence numbers.
struct Connection {
    ports: [u16; 2],
    addresses: [[u8; 4]; 2],
    next: [u32; 2],
    turns: std::vec::IntoIter<Turn>,
    current: Option<(usize, Vec<u8>, usize)>,
    state: u8,
    /// Nobody answers its SYN.
    lone: bool,
}

/// What a side says before the other's turn: 0 is the client.
type Turn = (usize, Vec<u8>);

struct Packet {
    side: usize,
    flags: u8,
    seq: u32,
    ack: u32,
    payload: Vec<u8>,
}

const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 1;

impl Connection {
    fn new(number: u64, turns: Vec<Turn>, port: u16, lone: bool, random: &mut Random) -> Self {
        let client = [10, (number >> 16) as u8, (number >> 8) as u8, number as u8];
        Connection {
            ports: [1024 + (number % 60_000) as u16, port],
            addresses: [client, [192, 0, 2, 25]],
            next: [random.next() as u32, random.next() as u32],
            turns: turns.into_iter(),
            current: None,
            state: 0,
            lone,
        }
    }

    fn packet(&mut self, side: usize, flags: u8, payload: Vec<u8>) -> Packet {
        let packet = Packet { side, flags, seq: self.next[side], ack: self.next[1 - side], payload };
        let length = packet.payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.next[side] = self.next[side].wrapping_add(length);
        packet
    }

    fn step(&mut self, segment: usize) -> Option<Packet> {
        self.state = self.state.saturating_add(1);
        match self.state {
            1 => return Some(self.packet(0, SYN, Vec::new())),
            2 if self.lone => return None,
            2 => return Some(self.packet(1, SYN | ACK, Vec::new())),
            3 => return Some(self.packet(0, ACK, Vec::new())),
            _ => {}
        }
        if self.current.as_ref().is_none_or(|(_, bytes, at)| *at >= bytes.len()) {
            self.current = self.turns.next().map(|(side, bytes)| (side, bytes, 0));
        }
        if let Some((side, bytes, at)) = &mut self.current {
            let end = (*at + segment).min(bytes.len());
            let (side, payload) = (*side, bytes[*at..end].to_vec());
            *at = end;
            self.state = 3;
            return Some(self.packet(side, ACK, payload));
        }
        match self.state {
            4 => Some(self.packet(0, FIN | ACK, Vec::new())),
            5 => Some(self.packet(1, FIN | ACK, Vec::new())),
            6 => Some(self.packet(0, ACK, Vec::new())),
            _ => None,
        }
    }
}

/// Writes the capture (pcap, Ethernet, microseconds); gives the number of connections.
pub(crate) fn write(workload: &Workload, out: &mut dyn Write) -> io::Result<u64> {
    let mut random = Random(workload.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let texts = Texts::new(&mut random);
    let server = workload.tls.map(tls::Server::new);
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    let (mut written, mut micros, mut number) = (24u64, 1_795_536_000_000_000u64, 0u64);
    let mut open: Vec<Connection> = Vec::new();
    let mut held: Option<Vec<u8>> = None;
    loop {
        while open.len() < workload.concurrent && written < workload.bytes {
            number += 1;
            let noise = random.below(100) < workload.noise_percent;
            let (turns, port) = match &server {
                _ if workload.scan => (Vec::new(), (number % 65_535) as u16 + 1),
                _ if noise => (talk::http(&mut random), 80),
                Some(server) => (server.wrap(talk::smtp(workload, number, &texts, &mut random), &mut random), 465),
                None => (talk::smtp(workload, number, &texts, &mut random), 25),
            };
            open.push(Connection::new(number, turns, port, workload.scan, &mut random));
        }
        if open.is_empty() {
            break;
        }
        let chosen = random.below(open.len());
        let Some(packet) = open[chosen].step(workload.segment) else {
            open.swap_remove(chosen);
            continue;
        };
        let frame = frame(&open[chosen], &packet);
        let disturb = workload.disturb_one_in > 0 && random.below(workload.disturb_one_in) == 0;
        let fate = if disturb { random.below(3) } else { 3 };
        let mut emit = |frame: &[u8]| -> io::Result<()> {
            micros += 7;
            let seconds = (micros / 1_000_000) as u32;
            for word in [seconds, (micros % 1_000_000) as u32, frame.len() as u32, frame.len() as u32] {
                out.write_all(&word.to_le_bytes())?;
            }
            written += 16 + frame.len() as u64;
            out.write_all(frame)
        };
        match fate {
            0 => {}
            1 if held.is_none() => held = Some(frame),
            2 => {
                emit(&frame)?;
                emit(&frame)?;
            }
            _ => emit(&frame)?,
        }
        if fate != 1
            && let Some(late) = held.take()
        {
            emit(&late)?;
        }
    }
    Ok(number)
}

fn frame(connection: &Connection, packet: &Packet) -> Vec<u8> {
    let (me, peer) = (packet.side, 1 - packet.side);
    let mut frame = Vec::with_capacity(54 + packet.payload.len());
    frame.extend_from_slice(&[2, 0, 0, 0, 0, peer as u8, 2, 0, 0, 0, 0, me as u8, 8, 0, 0x45, 0]);
    frame.extend_from_slice(&(40 + packet.payload.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend_from_slice(&connection.addresses[me]);
    frame.extend_from_slice(&connection.addresses[peer]);
    frame.extend_from_slice(&connection.ports[me].to_be_bytes());
    frame.extend_from_slice(&connection.ports[peer].to_be_bytes());
    frame.extend_from_slice(&packet.seq.to_be_bytes());
    let ack = if packet.flags & ACK != 0 { packet.ack } else { 0 };
    frame.extend_from_slice(&ack.to_be_bytes());
    frame.extend_from_slice(&[0x50, packet.flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend_from_slice(&packet.payload);
    frame
}
