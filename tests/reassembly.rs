//! Reassembly against known streams: a dialogue is sent as a sound TCP would send it, the capture spoils it, and the
//! table must give back exactly the dialogue, in its order, less exactly what the capture does not hold.

use std::net::SocketAddr;

use mailcap::event::{EndReason, GapCause};
use mailcap::flow::{ConnectionInfo, Consumer, FlowTable, Interest, Side, StreamChunk};
use mailcap::limits::Limits;
use mailcap::position::{FileId, FramePos, Timestamp};
use mailcap::wire::{Segment, TcpFlags};
use proptest::prelude::*;

/// What a consumer was given.
#[derive(Clone, Debug, PartialEq)]
enum Out {
    Data(usize, u64, Vec<u8>),
    Gap(usize, u64, u64),
    Odd(usize, &'static str),
    End(usize),
}

#[derive(Default)]
struct Log {
    ports: Vec<u16>,
    out: Vec<Vec<Out>>,
    closed: Vec<(u16, EndReason)>,
}

impl Consumer for Log {
    type Session = usize;

    fn open(&mut self, info: &ConnectionInfo) -> usize {
        self.ports.push(info.initiator.port());
        self.out.push(Vec::new());
        self.out.len() - 1
    }

    fn chunk(&mut self, session: &mut usize, _: &ConnectionInfo, chunk: StreamChunk<'_>) -> Interest {
        self.out[*session].push(match chunk {
            StreamChunk::Data { side, offset, bytes, .. } => Out::Data(side.index(), offset, bytes.to_vec()),
            StreamChunk::Gap { side, offset, len, cause, .. } => {
                assert_eq!(cause, GapCause::Lost);
                Out::Gap(side.index(), offset, len)
            }
            StreamChunk::Odd { side, code, .. } => Out::Odd(side.index(), code.as_str()),
            StreamChunk::End { side, .. } => Out::End(side.index()),
        });
        Interest::Keep
    }

    fn close(&mut self, _: usize, info: &ConnectionInfo, reason: EndReason, _: FramePos) -> Interest {
        self.closed.push((info.initiator.port(), reason));
        Interest::Drop
    }
}

#[derive(Clone, Debug)]
struct Packet {
    side: usize,
    flags: TcpFlags,
    /// Offset of the first payload byte; `isn + 1` is offset 0.
    offset: u64,
    /// Offset of the other side that is acknowledged.
    ack: u64,
    data: Vec<u8>,
}

const ACK: TcpFlags = TcpFlags { syn: false, ack: true, fin: false, rst: false };

/// A small generator, so that one seed stands for one way to spoil a capture.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below.max(1)
    }

    fn once_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

/// How the capture is spoilt.
#[derive(Clone, Debug)]
struct Faults {
    reorder: u64,
    retransmit: bool,
    lose: bool,
}

/// A strict dialogue: each turn is sent whole before the other side answers. Lengths are even, and so are all cuts, so
/// that no hole is one byte long (that would look like a FIN).
struct Dialogue {
    streams: [Vec<u8>; 2],
    /// Side, from, to.
    turns: Vec<(usize, u64, u64)>,
}

fn dialogue(lengths: &[u16], dice: &mut Dice) -> Dialogue {
    let mut streams = [Vec::new(), Vec::new()];
    let mut turns = Vec::new();
    for (i, &len) in lengths.iter().enumerate() {
        let side = (i + 1) % 2;
        let from = streams[side].len() as u64;
        let len = 2 * (1 + u64::from(len));
        streams[side].extend((0..len).map(|_| dice.roll(256) as u8));
        turns.push((side, from, from + len));
    }
    Dialogue { streams, turns }
}

/// The packets of a dialogue in the order of sending.
fn packets(dialogue: &Dialogue, faults: &Faults, dice: &mut Dice) -> Vec<Packet> {
    let mut sent = [0u64; 2];
    let mut packets = Vec::new();
    for &(side, from, to) in &dialogue.turns {
        let ack = sent[1 - side];
        let bytes = |a: u64, b: u64| dialogue.streams[side][a as usize..b as usize].to_vec();
        let mut cursor = from;
        while cursor < to {
            let end = to.min(cursor + 2 * (1 + dice.roll(40)));
            packets.push(Packet { side, flags: ACK, offset: cursor, ack, data: bytes(cursor, end) });
            cursor = end;
            match dice.roll(10) {
                // The peer acknowledges some of it without a word.
                0 => packets.push(Packet {
                    side: 1 - side,
                    flags: ACK,
                    offset: ack,
                    ack: from + 2 * dice.roll((cursor - from) / 2 + 1),
                    data: vec![],
                }),
                // Sent again, with other bounds.
                1 | 2 if faults.retransmit => {
                    let a = from + 2 * dice.roll((cursor - from) / 2);
                    let b = a + 2 * dice.roll((cursor - a) / 2 + 1);
                    packets.push(Packet { side, flags: ACK, offset: a, ack, data: bytes(a, b) });
                }
                3 if cursor > 0 => {
                    let probe = if dice.once_in(2) { vec![] } else { bytes_before(dialogue, side, cursor) };
                    packets.push(Packet { side, flags: ACK, offset: cursor - 1, ack, data: probe });
                }
                _ => {}
            }
        }
        sent[side] = to;
    }
    packets
}

fn bytes_before(dialogue: &Dialogue, side: usize, cursor: u64) -> Vec<u8> {
    vec![dialogue.streams[side][cursor as usize - 1]]
}

/// Both sides close, the one of `side` first.
fn closing(sent: [u64; 2], side: usize) -> [Packet; 3] {
    let fin = TcpFlags { fin: true, ..ACK };
    let other = 1 - side;
    [
        Packet { side, flags: fin, offset: sent[side], ack: sent[other], data: vec![] },
        Packet { side: other, flags: fin, offset: sent[other], ack: sent[side] + 1, data: vec![] },
        Packet { side, flags: ACK, offset: sent[side] + 1, ack: sent[other] + 1, data: vec![] },
    ]
}

fn opening() -> [Packet; 3] {
    let syn = TcpFlags { syn: true, ..ACK };
    [
        Packet { side: 0, flags: TcpFlags { ack: false, ..syn }, offset: 0, ack: 0, data: vec![] },
        Packet { side: 1, flags: syn, offset: 0, ack: 0, data: vec![] },
        Packet { side: 0, flags: ACK, offset: 0, ack: 0, data: vec![] },
    ]
}

/// What the capture makes of the packets: some are lost to it, some come twice, none strays further than `reorder`.
fn capture(packets: Vec<Packet>, faults: &Faults, dice: &mut Dice) -> Vec<Packet> {
    let mut keyed = Vec::new();
    for (i, packet) in (0u64..).zip(packets) {
        if faults.lose && !packet.data.is_empty() && dice.once_in(8) {
            continue;
        }
        if faults.retransmit && dice.once_in(10) {
            // Much later, as old copies do.
            keyed.push((i + dice.roll(100), packet.clone()));
        }
        if dice.once_in(10) {
            keyed.push((i + dice.roll(faults.reorder + 1), packet.clone()));
        }
        keyed.push((i + dice.roll(faults.reorder + 1), packet));
    }
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, packet)| packet).collect()
}

struct Player {
    table: FlowTable<Log>,
    log: Log,
    frame: u64,
    isn: [u32; 2],
}

impl Player {
    fn new(isn: [u32; 2], reorder_frames: u64) -> Self {
        let limits = Limits { reorder_frames, reorder_least_time: 0, ..Limits::default() };
        Player { table: FlowTable::new(&limits), log: Log::default(), frame: 0, isn }
    }

    fn play(&mut self, packets: &[Packet], port: u16) {
        let ends: [SocketAddr; 2] = [([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 25).into()];
        for packet in packets {
            self.frame += 1;
            let ts = Timestamp(self.frame as i64 * 1_000_000);
            let at = FramePos { index: self.frame, number: self.frame, file: FileId(0), ts };
            let first = self.isn[packet.side].wrapping_add(1).wrapping_add(packet.offset as u32);
            let segment = Segment {
                src: ends[packet.side],
                dst: ends[1 - packet.side],
                seq: first.wrapping_sub(u32::from(packet.flags.syn)),
                ack: self.isn[1 - packet.side].wrapping_add(1).wrapping_add(packet.ack as u32),
                window: 0xffff,
                window_scale: None,
                flags: packet.flags,
                payload: &packet.data,
                missing_tail: 0,
                vlan: None,
                tunnel: None,
            };
            self.table.segment(&segment, at, None, &mut self.log);
        }
    }
}

/// The dialogue as the consumer should see it, given what was captured: per turn, runs of captured and lost bytes.
fn expected(dialogue: &Dialogue, captured: &[Packet]) -> Vec<(usize, u64, u64, bool)> {
    let mut have = [vec![false; dialogue.streams[0].len()], vec![false; dialogue.streams[1].len()]];
    for packet in captured {
        for i in 0..packet.data.len() {
            have[packet.side][packet.offset as usize + i] = true;
        }
    }
    let mut runs = Vec::new();
    for &(side, from, to) in &dialogue.turns {
        for i in from..to {
            push_run(&mut runs, (side, i, i + 1, have[side][i as usize]));
        }
    }
    runs
}

fn push_run(runs: &mut Vec<(usize, u64, u64, bool)>, run: (usize, u64, u64, bool)) {
    // Which of two adjacent losses in opposite directions was first, no capture can tell.
    if !run.3 && runs.len() > 1 {
        let before = runs.len() - 2;
        if let [earlier, last] = &mut runs[before..]
            && (earlier.0, last.0, earlier.3, last.3) == (run.0, 1 - run.0, false, false)
        {
            earlier.2 = run.2;
            return;
        }
    }
    match runs.last_mut() {
        Some(last) if (last.0, last.2, last.3) == (run.0, run.1, run.3) => last.2 = run.2,
        _ => runs.push(run),
    }
}

/// The runs of one direction.
fn one_side(runs: &[(usize, u64, u64, bool)], side: usize) -> Vec<(usize, u64, u64, bool)> {
    let mut result = Vec::new();
    for run in runs.iter().filter(|run| run.0 == side) {
        push_run(&mut result, *run);
    }
    result
}

/// The client's loss first, where two are adjacent.
fn sorted(mut runs: Vec<(usize, u64, u64, bool)>) -> Vec<(usize, u64, u64, bool)> {
    for losses in runs.chunk_by_mut(|a, b| !a.3 && !b.3) {
        losses.sort_unstable_by_key(|run| run.0);
    }
    runs
}

/// What the consumer saw, in the same form; its bytes must be those of the streams.
fn seen(dialogue: &Dialogue, out: &[Out]) -> Vec<(usize, u64, u64, bool)> {
    let mut runs = Vec::new();
    for item in out {
        match item {
            Out::Data(side, offset, bytes) => {
                let end = offset + bytes.len() as u64;
                assert_eq!(Some(&bytes[..]), dialogue.streams[*side].get(*offset as usize..end as usize));
                push_run(&mut runs, (*side, *offset, end, true));
            }
            Out::Gap(side, offset, len) => push_run(&mut runs, (*side, *offset, offset + len, false)),
            Out::Odd(side, code) => panic!("{code} from side {side}"),
            Out::End(_) => {}
        }
    }
    runs
}

fn isn() -> impl Strategy<Value = [u32; 2]> {
    let one = || prop_oneof![any::<u32>(), (0u32..3000).prop_map(|below| u32::MAX - below)];
    [one(), one()]
}

fn faults(lose: bool) -> impl Strategy<Value = Faults> {
    (prop_oneof![Just(0), Just(3), Just(12)], any::<bool>()).prop_map(move |(reorder, retransmit)| Faults {
        reorder,
        retransmit,
        lose,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to the packets on the way into the file, the dialogue comes out, turn by turn; a byte is
    /// missing only if no captured packet has it, and then as a gap at its place.
    #[test]
    fn a_dialogue_comes_out_as_it_was(
        lengths in prop::collection::vec(0u16..300, 1..14),
        isn in isn(),
        faults in (any::<bool>()).prop_flat_map(faults),
        with_syn in any::<bool>(),
        hurried in any::<bool>(),
        seed in 1u64..,
    ) {
        let mut dice = Dice(seed);
        let dialogue = dialogue(&lengths, &mut dice);
        let mut sent = packets(&dialogue, &faults, &mut dice);
        let totals = [dialogue.streams[0].len() as u64, dialogue.streams[1].len() as u64];
        sent.extend(closing(totals, dice.roll(2) as usize));
        let mut captured = capture(sent, &faults, &mut dice);
        if with_syn || faults.lose {
            captured.splice(0..0, opening());
        } else {
            // Bare acknowledgements show both directions; one that was never seen would not be waited for.
            let bare = |side| Packet { side, flags: ACK, offset: 0, ack: 0, data: vec![] };
            captured.splice(0..0, [bare(0), bare(1)]);
        }
        let mut player = Player::new(isn, if hurried { 60 } else { 10_000 });
        player.play(&captured, 40_000);
        player.table.finish(&mut player.log);
        prop_assert_eq!(player.log.out.len(), 1, "one connection: {:?}", player.log.closed);
        let out = &player.log.out[0];
        let (seen, expected) = (seen(&dialogue, out), expected(&dialogue, &captured));
        if faults.lose && hurried {
            // A loss is told when the allowance is over, even if more of what went before it is still to come.
            for side in 0..2 {
                prop_assert_eq!(one_side(&seen, side), one_side(&expected, side));
            }
            let mut delivered = [0; 2];
            for &(side, from, to, is_data) in &seen {
                let mut before = 0;
                for turn in &dialogue.turns {
                    if turn.0 != side {
                        before = turn.2;
                    } else if is_data && turn.1 < to && turn.2 > from {
                        prop_assert!(delivered[1 - side] >= before, "{turn:?} came at {delivered:?}");
                    }
                }
                delivered[side] = to;
            }
        } else {
            prop_assert_eq!(sorted(seen), sorted(expected));
        }
        let ends: Vec<_> = out.iter().filter(|item| matches!(item, Out::End(_))).collect();
        prop_assert_eq!(ends.len(), 2);
        prop_assert_eq!(player.log.closed[0].1, EndReason::Fin);
    }

    /// Both sides talk at the same time: no byte comes before what it acknowledges, none is lost, none comes twice.
    #[test]
    fn nothing_comes_before_what_it_acknowledges(
        turns in prop::collection::vec((0usize..2, 1u64..200, 0u64..400), 1..60),
        isn in isn(),
        reorder in 0u64..15,
        seed in 1u64..,
    ) {
        let mut dice = Dice(seed);
        let mut streams = [Vec::new(), Vec::new()];
        let mut sent = Vec::new();
        let mut acked = [0u64; 2];
        for &(side, len, lag) in &turns {
            // What the sender has received may lag behind what the peer has sent, but never goes back.
            let arrived = (streams[1 - side].len() as u64).saturating_sub(lag).max(acked[side]);
            acked[side] = arrived;
            let data: Vec<u8> = (0..len).map(|_| dice.roll(256) as u8).collect();
            sent.push(Packet { side, flags: ACK, offset: streams[side].len() as u64, ack: arrived, data: data.clone() });
            streams[side].extend(data);
        }
        let faults = Faults { reorder, retransmit: true, lose: false };
        let mut captured = capture(sent.clone(), &faults, &mut dice);
        captured.splice(0..0, opening());
        let mut player = Player::new(isn, 60);
        player.play(&captured, 40_000);
        player.table.finish(&mut player.log);
        let mut delivered = [0u64; 2];
        for item in &player.log.out[0] {
            let Out::Data(side, offset, bytes) = item else { panic!("{item:?}") };
            prop_assert_eq!(*offset, delivered[*side]);
            let end = offset + bytes.len() as u64;
            prop_assert_eq!(Some(&bytes[..]), streams[*side].get(*offset as usize..end as usize));
            for packet in sent.iter().filter(|packet| packet.side == *side) {
                let overlaps = packet.offset < end && packet.offset + packet.data.len() as u64 > *offset;
                prop_assert!(!overlaps || packet.ack <= delivered[1 - side], "{packet:?} came at {delivered:?}");
            }
            delivered[*side] = end;
        }
        prop_assert_eq!(delivered, [streams[0].len() as u64, streams[1].len() as u64]);
    }

    /// Any segments at all: no panic, offsets that never go back, bounded memory, every connection closed.
    #[test]
    fn any_segments_at_all(
        segments in prop::collection::vec(
            (0usize..2, 0u8..16, prop_oneof![0u32..50, any::<u32>()], prop_oneof![0u32..50, any::<u32>()], 0usize..30, 0u32..9),
            1..200,
        ),
        small in any::<bool>(),
    ) {
        let limits = Limits {
            reorder_frames: 5,
            reorder_least_time: 0,
            reassembly_segments: if small { 3 } else { 100 },
            reassembly_total_bytes: if small { 500 } else { 1 << 20 },
            ..Limits::default()
        };
        let mut table = FlowTable::new(&limits);
        let mut log = Log2::default();
        let ends: [SocketAddr; 2] = [([10, 0, 0, 1], 40_000).into(), ([10, 0, 0, 2], 25).into()];
        for (i, &(from, flags, seq, ack, len, cut)) in (1u64..).zip(&segments) {
            let segment = Segment {
                src: ends[from],
                dst: ends[1 - from],
                seq,
                ack,
                window: 100,
                window_scale: None,
                flags: TcpFlags { syn: flags == 1, ack: flags > 3, fin: flags & 7 == 6, rst: flags == 2 },
                payload: &[7; 30][..len],
                missing_tail: cut.saturating_sub(5),
                vlan: None,
                tunnel: None,
            };
            let at = FramePos { index: i, number: i, file: FileId(0), ts: Timestamp(i as i64) };
            table.segment(&segment, at, None, &mut log);
        }
        table.finish(&mut log);
        prop_assert_eq!(log.open, 0);
        prop_assert!(table.is_empty());
    }
}

/// Checks the order of offsets, whatever comes.
#[derive(Default)]
struct Log2 {
    open: i64,
}

impl Consumer for Log2 {
    type Session = [(u64, bool); 2];

    fn open(&mut self, _: &ConnectionInfo) -> Self::Session {
        self.open += 1;
        Default::default()
    }

    fn chunk(&mut self, session: &mut Self::Session, info: &ConnectionInfo, chunk: StreamChunk<'_>) -> Interest {
        let (side, from, len) = match chunk {
            StreamChunk::Data { side, offset, bytes, .. } => (side, offset, bytes.len() as u64),
            StreamChunk::Gap { side, offset, len, .. } => (side, offset, len),
            StreamChunk::Odd { .. } => return Interest::Keep,
            StreamChunk::End { side, .. } => {
                assert!(!session[side.index()].1);
                session[side.index()].1 = true;
                return Interest::Keep;
            }
        };
        let (next, ended) = &mut session[side.index()];
        // The number of a FIN that the gap before counted may turn out to be a byte's after all.
        if info.fins_in_gaps[side.index()].is_some_and(|fin| fin.get() == from && from + 1 == *next) {
            *next = from;
        }
        assert!(!*ended && *next == from && len > 0);
        *next = from + len;
        assert!(info.bytes[side.index()] <= *next);
        let _ = Side::opposite(side);
        Interest::Keep
    }

    fn close(&mut self, _: Self::Session, _: &ConnectionInfo, _: EndReason, _: FramePos) -> Interest {
        self.open -= 1;
        Interest::Drop
    }
}

/// The TCP segments of a classic pcap file of Ethernet and IPv4 without options, fragments or tunnels.
fn read_pcap(file: &[u8], mut each: impl FnMut(&Segment<'_>, FramePos)) {
    let le32 = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!((le32(0), le32(20)), (0xa1b2_c3d4, 1));
    let (mut at, mut number) = (24, 0);
    while at + 16 <= file.len() {
        number += 1;
        let ts = Timestamp(le32(at) as i64 * 1_000_000_000 + le32(at + 4) as i64 * 1000);
        let frame = &file[at + 16..at + 16 + le32(at + 8)];
        at += 16 + frame.len();
        let be16 = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let be32 = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
        if frame.len() < 54 || be16(12) != 0x0800 || frame[14] != 0x45 || frame[23] != 6 {
            continue;
        }
        let end = 14 + usize::from(be16(16));
        let data = 34 + usize::from(frame[46] >> 4) * 4;
        let address = |at: usize| [frame[at], frame[at + 1], frame[at + 2], frame[at + 3]];
        let bit = |mask: u8| frame[47] & mask != 0;
        // Window scale: the only option that matters.
        let mut options = &frame[54..data];
        let mut window_scale = None;
        while let [kind, rest @ ..] = options {
            options = match (kind, rest) {
                (0, _) => break,
                (1, rest) => rest,
                (3, [3, scale, ..]) => {
                    window_scale = Some(*scale);
                    &rest[2..]
                }
                (_, [len, ..]) => &options[usize::from(*len).max(2)..],
                _ => break,
            };
        }
        let segment = Segment {
            src: (address(26), be16(34)).into(),
            dst: (address(30), be16(36)).into(),
            seq: be32(38),
            ack: be32(42),
            window: be16(48),
            window_scale,
            flags: TcpFlags { fin: bit(1), syn: bit(2), rst: bit(4), ack: bit(16) },
            payload: &frame[data..end],
            missing_tail: 0,
            vlan: None,
            tunnel: None,
        };
        each(&segment, FramePos { index: number, number, file: FileId(0), ts });
    }
}

/// Real servers behind a wire that lost, doubled and reordered packets before and behind the capture point: every
/// command is there once, in order, and with no gap, as what the capture lost was sent again.
#[test]
fn real_loss_against_the_servers_logs() {
    let Ok(corpus) = std::env::var("MAILCAP_CORPUS") else { return };
    let base = std::path::Path::new(&corpus).join("servers/wire-loss-reorder-dup");
    let file = std::fs::read(base.with_extension("pcap")).unwrap();
    let truth: serde_json::Value =
        serde_json::from_slice(&std::fs::read(base.with_extension("json")).unwrap()).unwrap();
    let mut table = FlowTable::new(&Limits::default());
    let mut log = Log::default();
    read_pcap(&file, |segment, at| table.segment(segment, at, None, &mut log));
    table.finish(&mut log);
    let expected = truth["expected"].as_array().unwrap();
    assert_eq!(log.ports.len(), expected.len());
    for (i, connection) in expected.iter().enumerate() {
        assert_eq!(Some(u64::from(log.ports[i])), connection["client_port"].as_u64());
        // Turns: who spoke, and everything until the other did.
        let mut turns: Vec<(usize, Vec<u8>)> = Vec::new();
        for item in &log.out[i] {
            match item {
                Out::Data(side, _, bytes) => match turns.last_mut() {
                    Some((last, turn)) if last == side => turn.extend(bytes),
                    _ => turns.push((*side, bytes.clone())),
                },
                Out::End(_) => {}
                other => panic!("{other:?}"),
            }
        }
        let mut client = turns.iter().filter(|turn| turn.0 == 0).map(|turn| &turn.1[..]);
        for command in connection["commands"].as_array().unwrap() {
            let raw = command["raw"].as_str().unwrap();
            assert!(
                client.any(|turn| turn.starts_with(raw.as_bytes()) && turn.ends_with(b"\r\n")),
                "{raw} has no turn of its own"
            );
        }
        // Messages sent by SMTP, byte for byte.
        if connection["proto"] == "smtp" {
            let mut sent = turns.iter().filter(|turn| turn.0 == 0).filter(|turn| turn.1.ends_with(b"\r\n.\r\n"));
            for message in connection["messages"].as_array().unwrap() {
                let (_, turn) = sent.next().unwrap();
                let text: Vec<u8> = turn[..turn.len() - 3]
                    .split_inclusive(|&byte| byte == b'\n')
                    .flat_map(|line| line.strip_prefix(b".").unwrap_or(line).iter().copied())
                    .collect();
                use sha2::Digest;
                let digest: String = sha2::Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(Some(&*digest), message["sha256"].as_str(), "message of {} bytes", text.len());
            }
        }
    }
    assert!(log.closed.iter().all(|closed| closed.1 == EndReason::Fin), "{:?}", log.closed);
}
