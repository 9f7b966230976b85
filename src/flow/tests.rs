//! The rules, one by one, with hand-made segments.

use std::net::SocketAddr;
use std::num::NonZeroU64;

use crate::event::EndReason;
use crate::flow::{ConnectionInfo, Consumer, FlowTable, Interest, Roles, Side, StreamChunk};
use crate::limits::Limits;
use crate::position::{FileId, FramePos, Timestamp};
use crate::wire::{Segment, TcpFlags};

const SECOND: i64 = 1_000_000_000;
const MILLI: i64 = 1_000_000;

#[derive(Default)]
struct Log {
    lines: Vec<String>,
    infos: Vec<ConnectionInfo>,
    /// Frame numbers of the gaps.
    gaps: Vec<u64>,
    no_lone_syns: bool,
    drop_at: Option<&'static str>,
}

impl Consumer for Log {
    type Session = u64;

    fn open(&mut self, info: &ConnectionInfo) -> u64 {
        info.id
    }

    fn chunk(&mut self, _: &mut u64, _: &ConnectionInfo, chunk: StreamChunk<'_>) -> Interest {
        let name = |side| if side == Side::Initiator { 'C' } else { 'S' };
        if let StreamChunk::Gap { at, .. } = chunk {
            self.gaps.push(at.number);
        }
        self.lines.push(match chunk {
            StreamChunk::Data { side, offset, bytes, .. } => {
                format!("{} {offset} {}", name(side), String::from_utf8_lossy(bytes))
            }
            StreamChunk::Gap { side, offset, len, cause, .. } => format!("{} {offset} gap {len} {cause:?}", name(side)),
            StreamChunk::Odd { side, code, .. } => format!("{} {code}", name(side)),
            StreamChunk::End { side, .. } => format!("{} end", name(side)),
        });
        match chunk {
            StreamChunk::Data { bytes, .. } if self.drop_at.is_some_and(|at| bytes == at.as_bytes()) => Interest::Drop,
            _ => Interest::Keep,
        }
    }

    fn close(&mut self, session: u64, info: &ConnectionInfo, reason: EndReason, _: FramePos) -> Interest {
        assert_eq!(session, info.id);
        self.lines.push(format!("{session} {reason:?}"));
        self.infos.push(info.clone());
        Interest::Keep
    }

    fn late(&mut self, bytes: u64) {
        if bytes > 0 {
            self.lines.push(format!("{bytes} late"));
        }
    }

    fn wants_lone_syns(&self) -> bool {
        !self.no_lone_syns
    }
}

/// Builds segments with sequence numbers relative to each side's initial one: 1 is the first byte.
struct Lab {
    table: FlowTable<Log>,
    log: Log,
    limits: Limits,
    frame: u64,
    now: i64,
    isn: [u32; 2],
    window: u16,
    ends: [SocketAddr; 2],
    file: FileId,
    interface: Option<u32>,
}

const ACK: TcpFlags = TcpFlags { syn: false, ack: true, fin: false, rst: false };
const SYN: TcpFlags = TcpFlags { syn: true, ack: false, ..ACK };
const SYN_ACK: TcpFlags = TcpFlags { syn: true, ..ACK };
const FIN: TcpFlags = TcpFlags { fin: true, ..ACK };
const RST: TcpFlags = TcpFlags { rst: true, ack: false, ..ACK };
const RST_ACK: TcpFlags = TcpFlags { rst: true, ..ACK };

impl Lab {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(adjust: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits { reorder_frames: 10, reorder_least_time: 0, ..Limits::default() };
        adjust(&mut limits);
        Lab {
            table: FlowTable::new(&limits),
            log: Log::default(),
            limits,
            frame: 0,
            now: 1000 * SECOND,
            isn: [0xffff_fff0, 7_000_000],
            window: 0x4000,
            ends: [([10, 0, 0, 1], 40_000).into(), ([10, 0, 0, 2], 25).into()],
            file: FileId(0),
            interface: None,
        }
    }

    fn at(&mut self) -> FramePos {
        self.frame += 1;
        FramePos { index: self.frame, number: self.frame, file: self.file, ts: Timestamp(self.now) }
    }

    fn send(&mut self, from: usize, flags: TcpFlags, seq: u32, ack: u32, text: &str) -> &mut Self {
        self.send_cut(from, flags, seq, ack, text, 0)
    }

    fn send_cut(&mut self, from: usize, flags: TcpFlags, seq: u32, ack: u32, text: &str, cut: u32) -> &mut Self {
        self.now += MILLI;
        let at = self.at();
        let segment = Segment {
            src: self.ends[from],
            dst: self.ends[1 - from],
            seq: self.isn[from].wrapping_add(seq),
            ack: if flags.ack { self.isn[1 - from].wrapping_add(ack) } else { 0 },
            window: self.window,
            window_scale: None,
            flags,
            payload: text.as_bytes(),
            missing_tail: cut,
            vlan: None,
            tunnel: None,
        };
        self.table.segment(&segment, at, self.interface, &mut self.log);
        self
    }

    fn c(&mut self, seq: u32, ack: u32, text: &str) -> &mut Self {
        self.send(0, ACK, seq, ack, text)
    }

    fn s(&mut self, seq: u32, ack: u32, text: &str) -> &mut Self {
        self.send(1, ACK, seq, ack, text)
    }

    fn handshake(&mut self) -> &mut Self {
        self.send(0, SYN, 0, 0, "").send(1, SYN_ACK, 0, 1, "").c(1, 1, "")
    }

    fn tick(&mut self, frames: u64) -> &mut Self {
        for _ in 0..frames {
            self.now += MILLI;
            let at = self.at();
            self.table.tick(at, &mut self.log);
        }
        self
    }

    fn finish(&mut self) -> &mut Self {
        self.table.finish(&mut self.log);
        assert_eq!(self.table.len(), 0);
        self
    }

    /// What came out since the last call.
    #[track_caller]
    fn expect(&mut self, lines: &[&str]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.log.lines), lines);
        self
    }

    fn info(&self) -> &ConnectionInfo {
        self.log.infos.last().unwrap()
    }
}

#[test]
fn a_plain_dialogue_over_the_wrap() {
    let mut lab = Lab::new();
    lab.handshake();
    lab.s(1, 1, "220 hello\r\n").expect(&["S 0 220 hello\r\n"]);
    lab.c(1, 12, "EHLO some.client.example\r\n").expect(&["C 0 EHLO some.client.example\r\n"]);
    lab.s(12, 27, "250 ok\r\n").c(27, 20, "QUIT\r\n").expect(&["S 11 250 ok\r\n", "C 26 QUIT\r\n"]);
    lab.send(1, FIN, 20, 33, "221\r\n").expect(&["S 19 221\r\n", "S end"]);
    lab.send(0, FIN, 33, 26, "").expect(&["C end"]);
    lab.s(26, 34, "").expect(&["1 Fin"]);
    let info = lab.info();
    assert_eq!((info.roles, info.syn, info.frames, info.frames_by), (Roles::Handshake, [true; 2], 10, [5, 5]));
    assert_eq!((info.bytes, info.duplicate_bytes, info.closed_by), ([32, 24], 0, Some(Side::Responder)));
    lab.finish().expect(&[]);
}

#[test]
fn late_segments_of_a_closed_connection_open_none() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "x").send(0, FIN, 2, 1, "").send(1, FIN, 1, 3, "").c(3, 2, "");
    lab.expect(&["C 0 x", "C end", "S end", "1 Fin"]);
    lab.c(1, 1, "x").c(3, 2, "").send(0, SYN, 0, 0, "").send(0, RST, 3, 0, "").finish().expect(&["1 late"]);
    assert_eq!(lab.log.infos.len(), 1);
}

#[test]
fn out_of_order_and_overlaps() {
    let mut lab = Lab::new();
    lab.handshake().c(4, 1, "def").c(7, 1, "g").expect(&[]);
    lab.c(3, 1, "cde").expect(&[]);
    lab.c(1, 1, "ab").expect(&["C 0 ab", "C 2 c", "C 3 def", "C 6 g"]);
    lab.c(6, 1, "fgh").expect(&["C 7 h"]);
    lab.finish().expect(&["1 Eof"]);
    assert_eq!((lab.info().bytes, lab.info().duplicate_bytes), ([8, 0], 4));
}

#[test]
fn an_acknowledged_hole_becomes_a_gap_after_the_allowance() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "ab").c(5, 1, "ef").s(1, 7, "ok").expect(&["C 0 ab"]);
    lab.tick(9).expect(&[]);
    lab.tick(1).expect(&["C 2 gap 2 Lost", "C 4 ef", "S 0 ok"]);
    lab.c(3, 3, "cd").c(7, 3, "gh").finish().expect(&["C 6 gh", "1 Eof"]);
}

#[test]
fn a_late_copy_fills_an_acknowledged_hole() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "ab").c(5, 1, "ef").s(1, 7, "ok").tick(8);
    lab.c(3, 1, "cd").expect(&["C 0 ab", "C 2 cd", "C 4 ef", "S 0 ok"]);
    lab.tick(100).expect(&[]);
}

#[test]
fn the_allowance_ends_by_time_too() {
    let mut lab = Lab::new();
    lab.handshake().c(3, 1, "cd").s(1, 5, "ok").expect(&[]);
    lab.now += 4 * SECOND;
    lab.tick(1).expect(&["C 0 gap 2 Lost", "C 2 cd", "S 0 ok"]);
}

#[test]
fn a_hole_nobody_acknowledged_waits() {
    let mut lab = Lab::new();
    lab.handshake().c(3, 1, "cd").s(1, 1, "").tick(1000).expect(&[]);
    lab.c(1, 1, "ab").expect(&["C 0 ab", "C 2 cd"]);
}

#[test]
fn a_reply_does_not_overtake_its_command() {
    let mut lab = Lab::new();
    lab.handshake().s(1, 7, "250 ok").expect(&[]);
    lab.c(1, 1, "NOOP\r\n").expect(&["C 0 NOOP\r\n", "S 0 250 ok"]);
    // Both ways round, three deep.
    lab.c(12, 13, "third").s(7, 12, "second").c(7, 7, "first").expect(&["C 6 first", "S 6 second", "C 11 third"]);
}

#[test]
fn a_lost_command_is_a_gap_before_its_reply() {
    let mut lab = Lab::new();
    lab.handshake().s(1, 7, "250 ok").tick(20).expect(&["C 0 gap 6 Lost", "S 0 250 ok"]);
}

#[test]
fn both_lost_in_turn() {
    let mut lab = Lab::new();
    lab.handshake();
    // "c1" lost, "s1" acknowledges it, "s2" lost, "c2" acknowledges that.
    lab.s(1, 3, "s1").c(3, 5, "c2").expect(&[]);
    lab.tick(20).expect(&["C 0 gap 2 Lost", "S 0 s1", "S 2 gap 2 Lost", "C 2 c2"]);
}

#[test]
fn the_lowest_acknowledgement_among_copies_binds() {
    let mut lab = Lab::new();
    lab.handshake();
    // The retransmission is seen first, with a later acknowledgement than the original.
    lab.c(1, 4, "HELP").expect(&[]);
    lab.c(1, 1, "HELP").expect(&["C 0 HELP"]);
}

#[test]
fn mutual_waits_end() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 3, "AA").s(1, 3, "BB").expect(&[]);
    lab.tick(20).expect(&["C 0 AA", "S 0 BB"]);
}

#[test]
fn an_impossible_acknowledgement_is_ignored() {
    let mut lab = Lab::new();
    lab.handshake().s(1, 900_000, "ok").expect(&["S 0 ok"]);
    lab.tick(100).finish().expect(&["1 Eof"]);
}

#[test]
fn a_direction_never_seen_is_waited_for_once() {
    let mut lab = Lab::new();
    lab.send(0, SYN, 0, 0, "").c(1, 50, "HELO").tick(9).expect(&[]);
    lab.tick(1).expect(&["C 0 HELO"]);
    lab.c(5, 90, "QUIT").expect(&["C 4 QUIT"]);
    // A hole is waited for longer, as nobody can say that it was received.
    lab.c(11, 90, "x").tick(39).expect(&[]);
    lab.tick(1).expect(&["C 8 gap 2 Lost", "C 10 x"]);
    lab.send(0, FIN, 12, 100, "").expect(&["C end"]);
    lab.tick(10).expect(&["1 Fin"]);
}

#[test]
fn the_tail_of_a_burst_is_lost() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "ab").s(1, 9, "").finish().expect(&["C 0 ab", "C 2 gap 6 Lost", "1 Eof"]);
}

#[test]
fn an_empty_segment_tells_what_was_sent_before_it() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "ab").c(9, 1, "").tick(50).expect(&["C 0 ab"]);
    lab.finish().expect(&["C 2 gap 6 Lost", "1 Eof"]);
}

#[test]
fn a_fin_that_was_not_captured_is_no_lost_byte() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "ab").s(1, 4, "").tick(20).send(1, FIN, 1, 4, "").c(4, 2, "");
    lab.expect(&["C 0 ab", "S end"]);
    lab.tick(10).expect(&["1 Fin"]);
    // It was none: the connection goes on.
    let mut lab = Lab::new();
    lab.handshake().s(1, 1, "ab").send(0, FIN, 1, 4, "").tick(9).s(4, 2, "d").c(2, 5, "").tick(30);
    lab.expect(&["S 0 ab", "C end", "S 2 gap 1 Lost", "S 3 d"]);
}

#[test]
fn a_fin_that_was_lost_with_its_payload_is_no_byte_of_the_gap() {
    // "QUIT\r\n" and FIN in one segment; the server's FIN is acknowledged before the allowance is over, or by its end.
    for wait in [0, 20] {
        let mut lab = Lab::new();
        lab.handshake().c(1, 1, "ab").s(1, 10, "").send(1, FIN, 1, 10, "").c(10, 2, "").tick(wait).finish();
        lab.expect(&["C 0 ab", "C 2 gap 6 Lost", "S end", "1 Fin"]);
    }
    // The server's last words and FIN.
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "ab").s(1, 3, "").c(3, 8, "").send(0, FIN, 3, 8, "").s(8, 4, "").finish();
    lab.expect(&["C 0 ab", "S 0 gap 6 Lost", "C end", "1 Fin"]);
    // The connection was cut instead: all are bytes.
    let mut lab = Lab::new();
    lab.handshake()
        .c(1, 1, "ab")
        .s(1, 10, "")
        .send(1, FIN, 1, 10, "")
        .c(10, 2, "")
        .send(0, RST_ACK, 10, 2, "")
        .finish();
    lab.expect(&["C 0 ab", "C 2 gap 7 Lost", "S end", "1 Rst"]);
    // It was open for more, which came.
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "ab").s(1, 10, "").send(1, FIN, 1, 10, "").c(10, 2, "").c(10, 2, "cd").finish();
    lab.expect(&["C 0 ab", "C 2 gap 7 Lost", "S end", "C 9 cd", "1 Eof"]);
}

#[test]
fn a_fin_that_was_lost_with_its_payload_and_declared_lost_before_the_other_side_closed() {
    let lost = |lab: &mut Lab| {
        lab.handshake().c(1, 1, "ab").s(1, 10, "221").tick(20).expect(&["C 0 ab", "C 2 gap 7 Lost", "S 0 221"]);
    };
    let fin = |lab: &Lab| lab.info().fins_in_gaps.map(|fin| fin.map_or(0, NonZeroU64::get));
    let mut lab = Lab::new();
    lost(&mut lab);
    lab.send(1, FIN, 4, 10, "").c(10, 5, "").tick(20).expect(&["S end", "1 Fin"]);
    assert_eq!(fin(&lab), [8, 0]);
    // It was none: the client goes on, or resets.
    let mut lab = Lab::new();
    lost(&mut lab);
    lab.send(1, FIN, 4, 10, "").c(10, 5, "").c(10, 5, "cd").finish();
    lab.expect(&["S end", "C 8 gap 1 Lost", "C 9 cd", "1 Eof"]);
    assert_eq!(fin(&lab), [8, 0]);
    let mut lab = Lab::new();
    lost(&mut lab);
    lab.send(1, FIN, 4, 10, "").send(0, RST_ACK, 10, 5, "").tick(20).expect(&["S end", "1 Rst"]);
    assert_eq!(fin(&lab), [0, 0]);
    // The client's own FIN comes, or there is none yet.
    let mut lab = Lab::new();
    lost(&mut lab);
    lab.send(0, FIN, 10, 4, "").send(1, FIN, 4, 11, "").c(11, 5, "").expect(&["C end", "S end", "1 Fin"]);
    assert_eq!(fin(&lab), [0, 0]);
}

#[test]
fn who_ended_it_does_not_depend_on_the_order_in_the_file() {
    // The server's FIN, answered by a RST that acknowledges it, in either order.
    for late in [false, true] {
        let mut lab = Lab::new();
        lab.handshake().s(1, 1, "bye").c(1, 4, "");
        if late {
            lab.send(0, RST_ACK, 1, 5, "").send(1, FIN, 4, 1, "");
        } else {
            lab.send(1, FIN, 4, 1, "").send(0, RST_ACK, 1, 5, "");
        }
        lab.finish();
        assert_eq!(lab.info().closed_by, Some(Side::Responder), "{late}");
    }
    // A RST that crossed the FIN.
    let mut lab = Lab::new();
    lab.handshake().s(1, 1, "bye").c(1, 4, "").send(0, RST_ACK, 1, 4, "").send(1, FIN, 4, 1, "").finish();
    assert_eq!(lab.info().closed_by, Some(Side::Initiator));
    // The last acknowledgement first: it counts the FIN.
    let mut lab = Lab::new();
    lab.s(5, 2, "")
        .send(0, FIN, 1, 5, "")
        .send(1, FIN, 1, 1, "bye")
        .finish()
        .expect(&["S 0 bye", "S end", "C end", "1 Fin"]);
    assert_eq!(lab.info().closed_by, Some(Side::Responder));
    let mut lab = Lab::new();
    lab.s(2, 2, "").send(0, FIN, 1, 2, "").send(1, FIN, 1, 1, "").finish().expect(&["S end", "C end", "1 Fin"]);
    assert_eq!(lab.info().closed_by, Some(Side::Responder));
}

#[test]
fn a_reset_before_all_else() {
    // The refusal of a SYN.
    let mut lab = Lab::new();
    lab.send(1, RST_ACK, 0, 1, "").send(0, SYN, 0, 0, "").finish().expect(&["2 Rst"]);
    assert_eq!((lab.info().frames, lab.info().frames_by), (2, [1, 1]));
    assert_eq!((lab.info().frames_by, lab.info().closed_by), ([1, 1], Some(Side::Responder)));
    // A dialogue backwards.
    let mut lab = Lab::new();
    lab.send(0, RST_ACK, 3, 1, "").c(1, 1, "ab").c(1, 1, "").send(1, SYN_ACK, 0, 1, "").send(0, SYN, 0, 0, "").finish();
    lab.expect(&["C 0 ab", "2 Rst"]);
    // Behind an acknowledgement only.
    let mut lab = Lab::new();
    lab.c(1, 1, "").send(1, RST_ACK, 6, 4, "").c(1, 1, "abc").s(1, 4, "503\n\n").send(0, SYN, 0, 0, "").finish();
    lab.expect(&["C 0 abc", "S 0 503\n\n", "1 Rst"]);
    // Of what came behind the SYN.
    let mut lab = Lab::new();
    lab.send(0, SYN, 0, 0, "").send(1, RST_ACK, 1, 4, "").c(1, 1, "abc").send(1, SYN_ACK, 0, 1, "").finish();
    lab.expect(&["C 0 abc", "1 Rst"]);
    // It was another connection's.
    let mut lab = Lab::new();
    lab.send(0, RST_ACK, 900, 1, "").handshake().c(1, 1, "ab").finish().expect(&["C 0 ab", "2 Eof"]);
    let mut lab = Lab::new();
    lab.send(1, RST_ACK, 0, 7, "").send(0, SYN, 0, 0, "").finish().expect(&["2 Eof"]);
    // Too long ago.
    let mut lab = Lab::new();
    lab.send(1, RST_ACK, 0, 1, "").tick(10).send(0, SYN, 0, 0, "").finish().expect(&["12 Eof"]);
}

#[test]
fn a_dialogue_backwards() {
    let mut lab = Lab::new();
    lab.s(12, 9, "").send(0, FIN, 8, 12, "").send(1, FIN, 11, 8, "").c(8, 11, "").s(7, 8, "250\n").c(1, 7, "EHLO x\n");
    lab.s(1, 1, "220 s\n").c(1, 1, "").send(1, SYN_ACK, 0, 1, "").send(0, SYN, 0, 0, "").finish();
    lab.expect(&["S 0 220 s\n", "C 0 EHLO x\n", "S 6 250\n", "S end", "C end", "1 Fin"]);
    assert_eq!((lab.info().roles, lab.info().closed_by), (Roles::Handshake, Some(Side::Responder)));
}

#[test]
fn a_syn_ack_behind_bytes_that_came_later() {
    let mut lab = Lab::new();
    lab.c(3, 7, "DATA").send(1, SYN_ACK, 0, 1, "").c(1, 1, "x\n").s(1, 3, "220 s\n").send(0, SYN, 0, 0, "").finish();
    lab.expect(&["C 0 x\n", "S 0 220 s\n", "C 2 DATA", "1 Eof"]);
}

#[test]
fn the_other_direction_is_late_altogether() {
    let mut lab = Lab::new();
    lab.send(0, SYN, 0, 0, "").c(1, 7, "EHLO x\n").tick(5).expect(&[]);
    lab.s(1, 1, "220 s\n").send(1, SYN_ACK, 0, 1, "").tick(20).expect(&["S 0 220 s\n", "C 0 EHLO x\n"]);
}

#[test]
fn snapshot_length() {
    let mut lab = Lab::new();
    lab.handshake().send_cut(0, ACK, 1, 1, "abc", 7).expect(&["C 0 abc", "C 3 gap 7 Snaplen"]);
    lab.send_cut(0, ACK, 21, 1, "", 5).c(26, 1, "z").c(11, 1, "0123456789");
    lab.expect(&["C 10 0123456789", "C 20 gap 5 Snaplen", "C 25 z"]);
    // A full copy that comes before delivery fills it.
    lab.send_cut(0, ACK, 30, 1, "d", 3).c(31, 1, "efg").c(27, 1, "abc");
    lab.expect(&["C 26 abc", "C 29 d", "C 30 efg"]);
    assert_eq!(lab.finish().info().bytes, [21, 0]);
}

#[test]
fn keep_alives_and_probes() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "ab").c(2, 1, "\0").c(2, 1, "").s(1, 3, "").expect(&["C 0 ab"]);
    // A zero-window probe carries the next byte.
    lab.window = 0;
    lab.s(1, 3, "").c(3, 1, "c").c(3, 1, "cde").expect(&["C 2 c", "C 3 de"]);
}

#[test]
fn data_on_syn() {
    let mut lab = Lab::new();
    lab.send(0, SYN, 0, 0, "GET").send(1, SYN_ACK, 0, 4, "").c(4, 1, " /").expect(&["C 0 GET", "C 3  /"]);
}

#[test]
fn conflicting_copies() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "good").c(1, 1, "evil").expect(&["C 0 good", "C conflicting-retransmission"]);
    lab.c(7, 1, "held").c(7, 1, "hexd").expect(&["C conflicting-retransmission"]);
    lab.c(5, 1, "..").expect(&["C 4 ..", "C 6 held"]);
    assert_eq!(lab.finish().info().duplicate_bytes, 8);
}

#[test]
fn half_closed() {
    // One side is done; the other speaks on, an hour later, too.
    let mut lab = Lab::new();
    lab.handshake().send(0, FIN, 1, 1, "").s(1, 2, "a").expect(&["C end", "S 0 a"]);
    lab.now += 3600 * SECOND;
    lab.tick(1).s(2, 2, "b").send(1, FIN, 3, 2, "").c(2, 4, "").expect(&["S 1 b", "S end", "1 Fin"]);
}

#[test]
fn simultaneous_open() {
    let mut lab = Lab::new();
    lab.send(0, SYN, 0, 0, "").send(1, SYN, 0, 0, "").send(0, SYN_ACK, 0, 1, "").send(1, SYN_ACK, 0, 1, "");
    lab.c(1, 1, "a").s(1, 2, "b").finish().expect(&["C 0 a", "S 0 b", "1 Eof"]);
    assert_eq!(lab.info().syn, [true; 2]);
}

#[test]
fn resets() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "a").send(1, RST, 500_000, 0, "").expect(&["C 0 a", "S reset-ignored"]);
    lab.c(2, 1, "b").send(1, RST, 1, 0, "").expect(&["C 1 b"]);
    lab.tick(10).expect(&["1 Rst"]);
    assert_eq!(lab.info().closed_by, Some(Side::Responder));
    // What is held when it comes is not lost, and what comes a little later fills the hole.
    let mut lab = Lab::new();
    lab.handshake().c(3, 1, "c").send(0, RST, 4, 0, "").expect(&[]);
    lab.c(1, 1, "ab").expect(&["C 0 ab", "C 2 c"]);
    lab.tick(10).expect(&["1 Rst"]);
    let mut lab = Lab::new();
    lab.handshake().c(3, 1, "c").send(0, RST, 4, 0, "").tick(20).expect(&["C 0 gap 2 Lost", "C 2 c", "1 Rst"]);
}

#[test]
fn what_comes_behind_a_reset_was_under_way() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "a").send(0, RST, 2, 0, "").s(1, 2, "late").expect(&["C 0 a", "S 0 late"]);
    lab.tick(10).expect(&["1 Rst"]);
    // Its number tells what was sent before it.
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "a").send(0, RST, 5, 0, "").tick(10).expect(&["C 0 a", "C 1 gap 3 Lost", "1 Rst"]);
    // A new connection does not wait for it.
    let mut lab = Lab::new();
    lab.handshake().send(0, RST, 1, 0, "");
    lab.isn = [0x5000_0000, 0x6000_0000];
    lab.handshake().c(1, 1, "b").expect(&["1 Rst", "C 0 b"]);
}

#[test]
fn a_refused_connection() {
    let mut lab = Lab::new();
    lab.send(0, SYN, 0, 0, "");
    let isn = std::mem::replace(&mut lab.isn[1], 0);
    lab.send(1, TcpFlags { rst: true, ..ACK }, 0, 1, "").expect(&["1 Rst"]);
    lab.isn[1] = isn;
    assert_eq!((lab.info().syn, lab.info().closed_by), ([true, false], Some(Side::Responder)));
}

#[test]
fn port_reuse() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "one").s(1, 4, "");
    // Outside the window: the old one was not closed in sight.
    lab.isn = [0x5000_0000, 0x6000_0000];
    lab.handshake().c(1, 1, "two").expect(&["C 0 one", "1 Reused", "C 0 two"]);
    lab.send(0, FIN, 4, 1, "").send(1, FIN, 1, 5, "").c(5, 2, "").expect(&["C end", "S end", "6 Fin"]);
    lab.isn = [0x5000_1000, 0x6000_1000];
    lab.handshake().c(1, 1, "three").finish().expect(&["C 0 three", "13 Eof"]);
    // A SYN tried again with another number.
    let mut lab = Lab::new();
    lab.send(0, SYN, 0, 0, "").send(0, SYN, 0, 0, "");
    lab.isn[0] = 77;
    lab.handshake().c(1, 1, "x").finish().expect(&["1 Reused", "C 0 x", "3 Eof"]);
    // A SYN within the window of a live connection is none of its business.
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "a").send(0, SYN, 500, 0, "").c(2, 1, "b").finish();
    lab.expect(&["C 0 a", "C 1 b", "1 Eof"]);
}

#[test]
fn mid_stream() {
    let mut lab = Lab::new();
    // Server to client first; reordered at the very beginning.
    lab.s(500, 100, "def").s(497, 100, "abc").expect(&[]);
    lab.c(100, 503, "x").expect(&[]);
    lab.tick(10).expect(&["S 0 abc", "S 3 def", "C 0 x"]);
    lab.finish().expect(&["1 Eof"]);
    let info = lab.info();
    assert_eq!((info.roles, info.syn, info.initiator), (Roles::Ports, [false; 2], lab.ends[0]));
    // Nobody acknowledges.
    let mut lab = Lab::new();
    lab.s(500, 100, "def").tick(9).expect(&[]);
    lab.tick(1).expect(&["S 0 def"]);
    lab.s(503, 100, "g").expect(&["S 3 g"]);
    // The peer says where it stood.
    let mut lab = Lab::new();
    lab.c(100, 500, "").s(503, 100, "def").c(100, 506, "").tick(10);
    lab.expect(&["S 0 gap 3 MidStream", "S 3 def"]);
}

#[test]
fn the_handshake_out_of_order() {
    let mut lab = Lab::new();
    lab.c(1, 1, "EHLO").send(1, SYN_ACK, 0, 1, "").send(0, SYN, 0, 0, "").s(1, 5, "250");
    lab.expect(&["C 0 EHLO", "S 0 250"]);
    lab.finish();
    assert_eq!((lab.info().syn, lab.info().roles), ([true; 2], Roles::Handshake));
    // Data before the SYN, and a wrong guess about the roles put right.
    let mut lab = Lab::new();
    lab.ends = [([10, 0, 0, 1], 25).into(), ([10, 0, 0, 2], 40_000).into()];
    lab.c(1, 1, "a").send(0, SYN, 0, 0, "").send(1, SYN_ACK, 0, 1, "").c(2, 1, "b");
    lab.expect(&["C 0 a", "C 1 b"]);
    lab.finish();
    assert_eq!((lab.info().syn, lab.info().initiator), ([true; 2], lab.ends[0]));
}

#[test]
fn a_dialogue_that_overtook_its_handshake() {
    let mut lab = Lab::new();
    lab.c(1, 4, "EHLO").s(4, 5, "250").c(5, 7, "").s(1, 1, "220").expect(&[]);
    lab.send(1, SYN_ACK, 0, 1, "").send(0, SYN, 0, 0, "").expect(&["S 0 220", "C 0 EHLO", "S 3 250"]);
    lab.finish().expect(&["1 Eof"]);
}

#[test]
fn a_jump_beyond_the_window() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "a").c(50_000_000, 1, "forged").c(2, 1, "b").expect(&["C 0 a", "C 1 b"]);
    lab.finish().expect(&["1 Eof"]);
    // The capture lost more than a window: the second segment says so.
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "a").c(1_000_001, 1, "bc").c(1_000_003, 1, "d").s(1, 1_000_004, "ok").tick(10);
    lab.expect(&["C 0 a", "C 1 gap 999999 Lost", "C 1000000 bc", "C 1000002 d", "S 0 ok"]);
}

#[test]
fn streams_beyond_four_gigabytes() {
    let mut lab = Lab::new();
    lab.handshake();
    let mut seq: u64 = 1;
    while seq < 5 << 30 {
        // 64 KiB cut off by the snapshot length each time, to be quick.
        lab.send_cut(0, ACK, seq as u32, 1, "", 60_000);
        lab.log.lines.clear();
        seq += 60_000;
    }
    lab.c(seq as u32, 1, "end").expect(&[&format!("C {} end", seq - 1)]);
}

#[test]
fn limits_of_one_direction() {
    let mut lab = Lab::with(|limits| limits.reassembly_bytes = 10);
    lab.handshake().c(3, 1, "cccccccc").c(13, 1, "dd").expect(&[]);
    lab.c(15, 1, "e");
    lab.expect(&["C reassembly-limit", "C 0 gap 2 Limit", "C 2 cccccccc"]);
    let mut lab = Lab::with(|limits| limits.reassembly_segments = 2);
    lab.handshake().c(3, 1, "a").c(5, 1, "b").c(7, 1, "c");
    lab.expect(&["C reassembly-limit", "C 0 gap 2 Limit", "C 2 a"]);
}

#[test]
fn the_limit_over_all_connections() {
    let mut lab = Lab::with(|limits| limits.reassembly_total_bytes = 600);
    for port in 1..=6 {
        lab.ends[0].set_port(port);
        lab.handshake().c(3, 1, "x");
    }
    lab.expect(&["C reassembly-limit", "C 0 gap 2 Limit", "C 2 x", "C reassembly-limit", "C 0 gap 2 Limit", "C 2 x"]);
}

#[test]
fn expiry() {
    let mut lab = Lab::new();
    lab.send(0, SYN, 0, 0, "");
    lab.ends[0].set_port(40_001);
    lab.handshake().c(1, 1, "a").c(5, 1, "e");
    lab.now += 50 * SECOND;
    lab.tick(1);
    lab.now += 30 * SECOND;
    lab.tick(1).expect(&["C 0 a", "1 Timeout"]);
    let wild = std::mem::replace(&mut lab.now, i64::MAX - SECOND);
    lab.tick(3).expect(&[]);
    lab.now = wild;
    lab.tick(3);
    assert_eq!(lab.table.len(), 1);
    lab.now += lab.limits.idle_timeout;
    lab.tick(20).expect(&["C 1 gap 3 Lost", "C 4 e", "2 Timeout"]);
    assert_eq!(lab.table.len(), 0);
}

#[test]
fn eviction_takes_the_never_established_first() {
    let mut lab = Lab::with(|limits| limits.connections = 4);
    lab.handshake();
    for port in 1..=3 {
        lab.ends[0].set_port(port);
        lab.send(0, SYN, 0, 0, "");
    }
    // Lone SYNs get half of the table.
    lab.expect(&["4 Evicted"]);
    for port in 4..=6 {
        lab.ends[0].set_port(port);
        lab.handshake();
    }
    lab.expect(&["5 Evicted", "6 Evicted"]);
    lab.now += 2 * SECOND;
    lab.ends[0].set_port(40_000);
    lab.c(1, 1, "a");
    lab.ends[0].set_port(7);
    lab.handshake().expect(&["C 0 a", "7 Evicted"]);
    assert_eq!(lab.table.len(), 4);
    lab.finish().expect(&["1 Eof", "10 Eof", "13 Eof", "17 Eof"]);
}

#[test]
fn lost_interest() {
    let mut lab = Lab::new();
    lab.log.drop_at = Some("HTTP");
    lab.handshake().c(5, 1, " rest").c(1, 1, "HTTP").expect(&["C 0 HTTP"]);
    lab.c(10, 1, "more").s(1, 14, "answer").c(90, 1, "x").tick(50).expect(&[]);
    lab.send(0, FIN, 91, 7, "").send(1, FIN, 7, 92, "").c(92, 8, "").expect(&["1 Fin"]);
}

#[test]
fn captured_twice() {
    let mut lab = Lab::new();
    let twice: [(usize, TcpFlags, u32, u32, &str); 9] = [
        (0, SYN, 0, 0, ""),
        (1, SYN_ACK, 0, 1, ""),
        (0, ACK, 1, 1, ""),
        (1, ACK, 1, 1, "220"),
        (0, ACK, 1, 4, "QUIT"),
        (1, ACK, 4, 5, "221"),
        (1, FIN, 7, 5, ""),
        (0, FIN, 5, 8, ""),
        (1, ACK, 8, 6, ""),
    ];
    for (from, flags, seq, ack, text) in twice {
        lab.send(from, flags, seq, ack, text).send(from, flags, seq, ack, text);
    }
    lab.expect(&["S 0 220", "C 0 QUIT", "S 3 221", "S end", "C end", "1 Fin"]);
    assert_eq!(lab.info().duplicate_bytes, 10);
}

#[test]
fn a_flood_of_syns_is_bounded() {
    let mut lab = Lab::with(|limits| limits.connections = 1000);
    for i in 0..20_000u32 {
        lab.ends[0] = (i.to_be_bytes(), 1).into();
        lab.send(0, SYN, 0, 0, "");
    }
    assert_eq!(lab.table.len(), 500);
    assert_eq!(lab.log.infos.len(), 19_500);
}

#[test]
fn everything_can_move_between_threads() {
    fn check<T: Send>() {}
    check::<FlowTable<Log>>();
}

#[test]
fn lone_syns_are_told_to_who_wants_them() {
    let play = |no_lone_syns: bool| {
        let mut lab = Lab::with(|l| l.connections = 8);
        lab.log.no_lone_syns = no_lone_syns;
        lab.send(0, SYN, 0, 0, "");
        for port in 1..=4 {
            lab.ends[0].set_port(port);
            lab.send(0, SYN, 0, 0, "");
        }
        // The SYN once more, late and as an answer's; then the dialogue.
        lab.ends[0].set_port(3);
        lab.send(0, SYN, 0, 0, "").send(1, SYN_ACK, 0, 1, "").c(1, 1, "hello").send(0, RST, 6, 0, "");
        lab.table.finish(&mut lab.log);
        assert!(lab.table.is_empty());
        lab.log
    };
    let (all, less) = (play(false), play(true));
    assert_eq!(less.lines, ["4 Rst", "C 0 hello"].into_iter().rev().map(str::to_owned).collect::<Vec<_>>());
    let whole = |log: &Log| format!("{:?}", log.infos.iter().filter(|i| i.frames > 1).collect::<Vec<_>>());
    assert_eq!(whole(&all), whole(&less));
    assert_eq!(all.lines, ["1 Evicted", "C 0 hello", "2 Eof", "3 Eof", "4 Rst", "5 Eof"]);
}

mod copies;
mod edges;
mod keep_alive;
mod waits;
