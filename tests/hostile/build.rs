//! Captures made packet by packet, without any wish that they be right.

/// A pcap file, little-endian, in microseconds.
pub struct Pcap {
    pub bytes: Vec<u8>,
    /// Microseconds of the next packet.
    pub now: u64,
}

impl Pcap {
    pub fn new() -> Self {
        Pcap::of(1)
    }

    pub fn of(link: u32) -> Self {
        let head = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, link];
        Pcap { bytes: head.into_iter().flat_map(u32::to_le_bytes).collect(), now: 1_700_000_000_000_000 }
    }

    pub fn packet(&mut self, data: &[u8]) {
        let len = data.len() as u32;
        self.record([(self.now / 1_000_000) as u32, (self.now % 1_000_000) as u32, len, len], data);
        self.now += 100;
    }

    pub fn record(&mut self, header: [u32; 4], data: &[u8]) {
        self.bytes.extend(header.into_iter().flat_map(u32::to_le_bytes));
        self.bytes.extend_from_slice(data);
    }
}

pub fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &kind.to_be_bytes(), payload].concat()
}

/// `fragment` is the field of flags and offset.
pub fn ipv4(protocol: u8, from: [u8; 4], to: [u8; 4], (id, fragment): (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45, 0];
    ip.extend(((20 + payload.len()).min(0xffff) as u16).to_be_bytes());
    ip.extend(id.to_be_bytes());
    ip.extend(fragment.to_be_bytes());
    ip.extend([64, protocol, 0, 0]);
    ip.extend(from);
    ip.extend(to);
    ip.extend_from_slice(payload);
    ip
}

pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0];
    ip.extend((payload.len() as u16).to_be_bytes());
    ip.extend([next, 64]);
    ip.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    ip.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    ip.extend_from_slice(payload);
    ip
}

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

pub fn tcp(ports: [u16; 2], seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut tcp = Vec::with_capacity(20 + payload.len());
    tcp.extend(ports[0].to_be_bytes());
    tcp.extend(ports[1].to_be_bytes());
    tcp.extend(seq.to_be_bytes());
    tcp.extend(ack.to_be_bytes());
    tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.extend_from_slice(payload);
    tcp
}

/// Client and server.
pub const C: usize = 0;
pub const S: usize = 1;

/// A connection that keeps its numbers.
#[derive(Clone)]
pub struct Conn {
    address: [[u8; 4]; 2],
    ports: [u16; 2],
    pub next: [u32; 2],
}

impl Conn {
    /// The `n`th of its kind, to a server's port.
    pub fn new(n: u32, port: u16) -> Self {
        let [_, a, b, c] = (n / 50_000).to_be_bytes();
        Conn {
            address: [[10, a, b, c], [192, 0, 2, 25]],
            ports: [(1025 + n % 50_000) as u16, port],
            next: [1000, 5000],
        }
    }

    /// A segment wherever it may lie.
    pub fn segment(&self, side: usize, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let (me, peer) = (side, 1 - side);
        let tcp = tcp([self.ports[me], self.ports[peer]], seq, ack, flags, payload);
        ethernet(0x0800, &ipv4(6, self.address[me], self.address[peer], (1, 0x4000), &tcp))
    }

    pub fn open(&mut self, file: &mut Pcap) {
        file.packet(&self.segment(C, self.next[C], 0, SYN, b""));
        self.next[C] += 1;
        file.packet(&self.segment(S, self.next[S], self.next[C], SYN | ACK, b""));
        self.next[S] += 1;
        file.packet(&self.segment(C, self.next[C], self.next[S], ACK, b""));
    }

    pub fn say_in(&mut self, file: &mut Pcap, side: usize, bytes: &[u8], segment: usize) {
        for piece in bytes.chunks(segment) {
            file.packet(&self.segment(side, self.next[side], self.next[1 - side], ACK, piece));
            self.next[side] = self.next[side].wrapping_add(piece.len() as u32);
        }
    }

    pub fn say(&mut self, file: &mut Pcap, side: usize, bytes: &[u8]) {
        self.say_in(file, side, bytes, 1400);
    }

    pub fn close(&mut self, file: &mut Pcap) {
        for side in [C, S] {
            file.packet(&self.segment(side, self.next[side], self.next[1 - side], FIN | ACK, b""));
            self.next[side] = self.next[side].wrapping_add(1);
        }
        file.packet(&self.segment(C, self.next[C], self.next[S], ACK, b""));
    }
}

/// A whole connection: who says what, in segments of a usual size.
pub fn talk(port: u16, turns: &[(usize, &[u8])]) -> Vec<u8> {
    talk_in(port, turns, 1400)
}

pub fn talk_in(port: u16, turns: &[(usize, &[u8])], segment: usize) -> Vec<u8> {
    let (mut file, mut conn) = (Pcap::new(), Conn::new(0, port));
    conn.open(&mut file);
    for (side, bytes) in turns {
        conn.say_in(&mut file, *side, bytes, segment);
    }
    conn.close(&mut file);
    file.bytes
}

/// A pcapng block, little-endian.
pub fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = (12 + body.len().next_multiple_of(4)) as u32;
    let mut block = kind.to_le_bytes().to_vec();
    block.extend(len.to_le_bytes());
    block.extend_from_slice(body);
    block.resize(len as usize - 4, 0);
    block.extend(len.to_le_bytes());
    block
}

pub fn section() -> Vec<u8> {
    block(0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255])
}

pub fn interface() -> Vec<u8> {
    block(1, &[1, 0, 0, 0, 0, 0, 4, 0])
}

pub fn enhanced(interface: u32, data: &[u8]) -> Vec<u8> {
    let len = data.len() as u32;
    let head: Vec<u8> =
        [interface, 0x0006_0a24, 0x1234_5678, len, len].into_iter().flat_map(u32::to_le_bytes).collect();
    block(6, &[&head, data].concat())
}

/// A TLS record.
pub fn record(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// A TLS handshake message.
pub fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// A ClientHello that offers RSA with AES-128.
pub fn client_hello(random: u8) -> Vec<u8> {
    let mut hello = vec![3, 3];
    hello.extend([random; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    handshake(1, &hello)
}
