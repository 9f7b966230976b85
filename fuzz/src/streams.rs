//! Operations on the connection table: any segments, whose bytes are a function of their place.

use std::net::SocketAddr;

use mailcap::event::EndReason;
use mailcap::flow::{ConnectionInfo, Consumer, FlowTable, Interest, StreamChunk};
use mailcap::limits::Limits;
use mailcap::position::{FileId, FramePos, Timestamp};
use mailcap::wire::{Segment, TcpFlags};

/// What a connection has been given.
#[derive(Default)]
struct Streams {
    open: u64,
    delivered: u64,
    lost: u64,
}

/// The sequence number at which each side's stream has its offset 0, once a byte has shown it, and the offset reached.
#[derive(Default)]
struct Session {
    zero: [Option<u8>; 2],
    next: [u64; 2],
    ended: [bool; 2],
}

/// The byte at a sequence number; modulo 251 tells neighbours and wraps apart.
fn byte(seq: u32) -> u8 {
    (seq % 251) as u8
}

impl Consumer for Streams {
    type Session = Session;

    fn open(&mut self, _info: &ConnectionInfo) -> Session {
        self.open += 1;
        Session::default()
    }

    fn chunk(&mut self, session: &mut Session, info: &ConnectionInfo, chunk: StreamChunk<'_>) -> Interest {
        if let StreamChunk::Data { side, offset, .. } | StreamChunk::Gap { side, offset, .. } = chunk
            && info.fins_in_gaps[side.index()].is_some_and(|fin| fin.get() == offset)
            && session.next[side.index()] == offset + 1
        {
            // What the gap before counted as a FIN may turn out to be a byte.
            session.next[side.index()] = offset;
            self.lost -= 1;
        }
        match chunk {
            StreamChunk::Data { side, offset, bytes, .. } => {
                let side = side.index();
                assert_eq!(offset, session.next[side], "data goes on where the stream was");
                assert!(!bytes.is_empty() && !session.ended[side]);
                session.next[side] += bytes.len() as u64;
                self.delivered += bytes.len() as u64;
            }
            StreamChunk::Gap { side, offset, len, .. } => {
                let side = side.index();
                assert_eq!(offset, session.next[side], "a gap begins where the stream was");
                assert!(len > 0 && !session.ended[side]);
                session.next[side] += len;
                self.lost += len;
            }
            StreamChunk::End { side, .. } => {
                assert!(!session.ended[side.index()], "a direction ends once");
                session.ended[side.index()] = true;
            }
            StreamChunk::Odd { .. } => {}
        }
        Interest::Keep
    }

    fn close(&mut self, _session: Session, _info: &ConnectionInfo, _reason: EndReason, _at: FramePos) -> Interest {
        self.open -= 1;
        Interest::Keep
    }
}

/// A segment takes twelve bytes: flags and side, port, length, milliseconds, sequence number, acknowledgement.
pub fn run(mut data: &[u8]) {
    let limits = Limits {
        connections: 8,
        reassembly_bytes: 4096,
        reassembly_segments: 16,
        reassembly_total_bytes: 8192,
        reorder_frames: 50,
        ..Limits::default()
    };
    let mut table: FlowTable<Streams> = FlowTable::new(&limits);
    let mut streams = Streams::default();
    let (mut index, mut millis, mut sent) = (0, 0, 0);
    while let [what, port, length, wait, s1, s2, s3, s4, a1, a2, a3, a4, rest @ ..] = data {
        data = rest;
        (index, millis) = (index + 1, millis + i64::from(*wait) * if *wait > 250 { 100_000 } else { 1 });
        let seq = u32::from_be_bytes([*s1, *s2, *s3, *s4]);
        let payload: Vec<u8> = (0..u32::from(*length)).map(|i| byte(seq.wrapping_add(i))).collect();
        sent += payload.len() as u64;
        let mut ends: [SocketAddr; 2] =
            [([10, 0, 0, 1], 1000 + u16::from(port % 16)).into(), ([10, 0, 0, 2], 25).into()];
        if what & 1 != 0 {
            ends.swap(0, 1);
        }
        let flags = TcpFlags { syn: what & 2 != 0, ack: what & 4 != 0, fin: what & 8 != 0, rst: what & 0x30 == 0x30 };
        let segment = Segment {
            src: ends[0],
            dst: ends[1],
            seq,
            ack: u32::from_be_bytes([*a1, *a2, *a3, *a4]),
            window: 0x1000,
            window_scale: (what & 0x40 != 0).then_some(4),
            flags,
            payload: &payload,
            missing_tail: if what & 0x80 != 0 { u32::from(*port) } else { 0 },
            vlan: None,
            tunnel: None,
        };
        let at = FramePos { index, number: index, file: FileId(0), ts: Timestamp(millis * 1_000_000) };
        table.segment(&segment, at, None, &mut streams);
        assert!(table.len() <= limits.connections, "{} connections", table.len());
        assert!(table.held() <= limits.reassembly_total_bytes + 65_536, "{} bytes held", table.held());
    }
    table.finish(&mut streams);
    assert_eq!(streams.open, 0, "every connection was closed");
    assert!(streams.delivered <= sent, "{} bytes came out of {sent}", streams.delivered);
}

/// A dialogue with its handshake, in order, reordered, and with a loss.
pub fn seeds() -> Vec<Vec<u8>> {
    let segment = |what: u8, length: u8, seq: u32, ack: u32| {
        let mut bytes = vec![what, 1, length, 1];
        bytes.extend(seq.to_be_bytes());
        bytes.extend(ack.to_be_bytes());
        bytes
    };
    let (c, s) = (u32::MAX - 20, 5000u32);
    let at = |n: u32| c.wrapping_add(n);
    let ordered = vec![
        segment(2, 0, c, 0),
        segment(7, 0, s, at(1)),
        segment(4, 0, at(1), s + 1),
        segment(5, 30, s + 1, at(1)),
        segment(4, 40, at(1), s + 31),
        segment(5, 50, s + 31, at(41)),
        segment(4, 60, at(41), s + 81),
        segment(12, 0, at(101), s + 81),
        segment(13, 0, s + 81, at(102)),
    ];
    let mut reordered = ordered.clone();
    reordered.swap(3, 5);
    reordered.swap(4, 6);
    let mut lossy = ordered.clone();
    lossy.remove(4);
    [ordered, reordered, lossy].into_iter().map(|list| list.concat()).collect()
}
