//! Where one rule ends and the next begins.

use super::*;

fn connections(lab: &mut Lab) -> usize {
    lab.finish().log.infos.len()
}

#[test]
fn another_syn_just_below_an_established_connection_is_the_next_one() {
    let mut lab = Lab::new();
    lab.handshake().send(0, SYN, 0_u32.wrapping_sub(5), 0, "");
    assert_eq!(connections(&mut lab), 2);
}

#[test]
fn a_syn_far_from_what_was_acknowledged_is_none_that_was_overtaken() {
    let mut lab = Lab::new();
    lab.s(1, 1, "220\r\n").send(0, SYN, 0, 0, "");
    assert_eq!(connections(&mut lab), 1);

    let mut lab = Lab::new();
    lab.s(1, 1, "220\r\n").send(0, SYN, 0x4000_0000, 0, "");
    assert_eq!(connections(&mut lab), 2);
}

#[test]
fn a_syn_behind_what_was_delivered_without_it_has_to_fit_exactly() {
    for (seq, count) in [(0, 1), (0_u32.wrapping_sub(500), 2), (0x4000_0000, 2)] {
        let mut lab = Lab::new();
        lab.c(1, 1, "EHLO x\r\n").s(1, 9, "250 x\r\n").tick(12).send(0, SYN, seq, 0, "");
        assert_eq!(connections(&mut lab), count, "{seq}");
    }
}

#[test]
fn the_lower_of_two_unknown_ports_is_the_server() {
    for (low, high) in [(70, 5000), (5000, 40_000), (25, 70)] {
        for from in [0, 1] {
            let mut lab = Lab::new();
            lab.ends = [([10, 0, 0, 1], high).into(), ([10, 0, 0, 2], low).into()];
            lab.send(from, ACK, 1, 1, "x").finish();
            assert_eq!(lab.info().responder.port(), low, "{low} {high}, from {from}");
        }
    }
}

#[test]
fn a_dropped_connection_ends_by_a_fin_that_waited() {
    let mut lab = Lab::new();
    lab.log.drop_at = Some("x");
    // The server's FIN is there before its last line.
    lab.handshake().send(1, FIN, 6, 1, "").send(0, FIN, 1, 1, "x").tick(20);
    lab.expect(&["C 0 x", "1 Fin"]);
}

#[test]
fn late_copies_are_known_by_where_the_connection_began_and_ended() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "QUIT\r\n").s(1, 7, "221\r\n").send(1, FIN, 6, 7, "").send(0, FIN, 7, 7, "").tick(20);
    lab.expect(&["C 0 QUIT\r\n", "S 0 221\r\n", "S end", "C end", "1 Fin"]);
    lab.c(1, 1, "QUIT\r\n").expect(&["6 late"]);
    // Far below the first byte, nothing of it can be.
    lab.c(0_u32.wrapping_sub(100), 1, "EHLO\r\n").finish();
    assert_eq!(lab.log.infos.len(), 2);
}

#[test]
fn an_end_with_its_last_bytes_is_acknowledged_before_it_is_seen() {
    // The acknowledgement is one beyond the bytes: the FIN's, which is known.
    let mut lab = Lab::new();
    lab.handshake().send(0, FIN, 3, 1, "").s(1, 4, "x").tick(20).finish();
    lab.expect(&["C 0 gap 2 Lost", "C end", "S 0 x", "1 Eof"]);
}

#[test]
fn a_dropped_connection_is_followed_to_where_its_reset_is_believed() {
    let long = "x".repeat(60_000);
    let mut lab = Lab::new();
    lab.log.drop_at = Some("HTTP");
    lab.handshake().c(1, 1, "HTTP").expect(&["C 0 HTTP"]);
    for piece in 0..10 {
        lab.c(5 + piece * 60_000, 1, &long);
    }
    // Beyond every window: neither these bytes nor the reset behind them.
    lab.c(50_000_000, 1, "stray").send(0, RST, 50_000_005, 0, "").tick(50).expect(&[]);
    lab.send(0, RST, 600_005, 0, "").tick(50).expect(&["1 Rst"]);
}

#[test]
fn what_is_no_part_of_the_stream_counts_as_duplicate() {
    let mut lab = Lab::new();
    lab.handshake()
        .c(1, 1, "QUIT\r\n")
        .c(1, 1, "QUIT\r\n")
        .c(5, 1, "\r\nNO")
        .send(0, RST, 9, 0, "reset by me")
        .tick(20);
    // The copy, the part of one, and what the reset says.
    assert_eq!(lab.info().duplicate_bytes, 6 + 2 + 11);

    // Far above every window, and never confirmed.
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "QUIT\r\n").c(1_000_000, 1, "stray").finish();
    assert_eq!(lab.info().duplicate_bytes, 5);

    // Behind the end.
    let mut lab = Lab::new();
    lab.handshake().send(0, FIN, 1, 1, "").c(2, 1, "more").finish();
    assert_eq!(lab.info().duplicate_bytes, 4);
}

#[test]
fn the_files_of_a_connection_are_named_once_each() {
    let mut lab = Lab::new();
    lab.handshake();
    for file in [1, 1, 0, 2, 1] {
        lab.file = FileId(file);
        lab.c(1, 1, "");
    }
    lab.finish();
    assert_eq!(lab.info().files, [FileId(0), FileId(1), FileId(2)]);
}

#[test]
fn a_beginning_is_where_the_peer_says_it_was() {
    // Without a SYN: the server has acknowledged up to 9, and the client's next segment is 17.
    let mut lab = Lab::new();
    lab.s(1, 9, "250 a\r\n").c(17, 8, "QUIT\r\n").tick(40).finish();
    lab.expect(&["S 0 250 a\r\n", "C 0 gap 8 MidStream", "C 8 QUIT\r\n", "1 Eof"]);

    // A copy of what it had acknowledged comes first: the stream begins there.
    let mut lab = Lab::new();
    lab.s(1, 9, "250 a\r\n").c(1, 1, "EHLO a\r\n").c(9, 8, "QUIT\r\n").tick(40).finish();
    lab.expect(&["C 0 EHLO a\r\n", "S 0 250 a\r\n", "C 8 QUIT\r\n", "1 Eof"]);
}

#[test]
fn a_syn_within_the_window_is_the_next_connection_only_behind_an_end() {
    let mut lab = Lab::new();
    lab.handshake().send(0, SYN, 100, 0, "");
    assert_eq!(connections(&mut lab), 1);

    for side in [0, 1] {
        let mut lab = Lab::new();
        lab.handshake().send(side, FIN, 1, 1, "").send(0, SYN, 100, 0, "");
        assert_eq!(connections(&mut lab), 2, "FIN of {side}");
    }
}

#[test]
fn another_answer_to_a_syn_from_far_away_is_the_next_connection() {
    let mut lab = Lab::new();
    lab.send(0, SYN, 0, 0, "").send(1, SYN_ACK, 0, 1, "").send(1, SYN_ACK, 0x4000_0000, 1, "");
    assert_eq!(connections(&mut lab), 2);

    let mut lab = Lab::new();
    lab.handshake().send(1, SYN_ACK, 0x4000_0000, 1, "");
    assert_eq!(connections(&mut lab), 2);
}

#[test]
fn an_empty_segment_below_what_was_acknowledged_begins_nothing() {
    let mut lab = Lab::new();
    lab.s(1, 9, "250 a\r\n").c(5, 8, "").c(9, 8, "QUIT\r\n").tick(40).finish();
    lab.expect(&["S 0 250 a\r\n", "C 0 QUIT\r\n", "1 Eof"]);
}

#[test]
fn a_gap_has_the_frame_of_what_follows_it() {
    let mut lab = Lab::new();
    // Frames 1 to 3 are the handshake's; the last is 3 + 1 + 20 + 1.
    lab.handshake().c(5, 1, "behind").tick(20).c(20, 1, "").finish();
    lab.expect(&["C 0 gap 4 Lost", "C 4 behind", "C 10 gap 9 Lost", "1 Eof"]);
    assert_eq!(lab.log.gaps, [4, 25]);
}

/// What comes of a reset with that number behind `before`, and of one with one more or less.
fn is_believed(before: impl Fn(&mut Lab), from: usize, flags: TcpFlags, seq: u32, ack: u32) -> bool {
    let mut lab = Lab::new();
    before(&mut lab);
    lab.log.lines.clear();
    lab.send(from, flags, seq, ack, "").tick(20).finish();
    let ignored = lab.log.lines.iter().any(|line| line.ends_with("reset-ignored"));
    let ended = lab.log.lines.iter().any(|line| line.ends_with("Rst"));
    assert!(ignored != ended, "{:?}", lab.log.lines);
    ended
}

#[test]
fn a_reset_is_believed_in_the_receive_window_alone() {
    const WINDOW: u32 = 0x1_0000;
    let talk = |lab: &mut Lab| {
        lab.window = u16::MAX;
        lab.handshake().c(1, 1, "abcde").s(1, 4, "x");
    };
    // From what was acknowledged, three bytes, up to the window behind what was sent.
    for (seq, believed) in [(3, false), (4, true), (6, true), (6 + WINDOW, true), (7 + WINDOW, false)] {
        assert_eq!(is_believed(talk, 0, RST, seq, 0), believed, "{seq}");
    }
    // A server of which nothing was seen acknowledges what the client has sent.
    let syn = |lab: &mut Lab| {
        lab.window = u16::MAX;
        lab.send(0, SYN, 0, 0, "");
    };
    for (ack, believed) in [(0, false), (1, true), (2, true), (1 + WINDOW, true), (2 + WINDOW, false)] {
        assert_eq!(is_believed(syn, 1, RST_ACK, 77, ack), believed, "{ack}");
    }
    // Of which only its peer's acknowledgement is known, and no scale of its windows.
    let acknowledged = |lab: &mut Lab| {
        lab.window = u16::MAX;
        lab.c(1, 1, "abc");
    };
    const SCALED: u32 = (WINDOW - 1) << 14;
    for (seq, believed) in [(0, false), (1, true), (1 + SCALED, true), (2 + SCALED, false)] {
        assert_eq!(is_believed(acknowledged, 1, RST, seq, 0), believed, "{seq}");
    }
}

#[test]
fn a_fin_is_the_streams_end_only_behind_its_bytes_and_within_the_window() {
    const WINDOW: u32 = 0x1_0000;
    for (seq, ends) in [(5, false), (6, true), (6 + WINDOW - 1, true), (7 + WINDOW, false)] {
        let mut lab = Lab::new();
        lab.window = u16::MAX;
        lab.handshake().c(1, 1, "abcde").send(0, FIN, seq, 1, "").tick(20).finish();
        assert_eq!(lab.log.lines.iter().any(|line| line == "C end"), ends, "{seq}: {:?}", lab.log.lines);
    }
    // The first stays.
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "ab").send(0, FIN, 5, 1, "").send(0, FIN, 4, 1, "").tick(20).finish();
    lab.expect(&["C 0 ab", "C 2 gap 2 Lost", "C end", "1 Eof"]);
}

#[test]
fn what_was_sent_again_and_again_did_not_arrive() {
    // After 300, 600, 1,200 ms, as timers run; each captured twice, as by a mirrored port.
    let sent = |times: &[i64]| {
        let mut lab = Lab::new();
        lab.handshake().c(1, 1, "mail").c(5, 1, "more");
        for after in times {
            lab.now += after * MILLI;
            lab.c(1, 1, "mail").c(1, 1, "mail");
        }
        lab.log.lines.clear();
        lab
    };
    sent(&[300, 600, 1200]).s(1, 1, "421").finish().expect(&["S 0 421", "C unacknowledged", "1 Eof"]);
    // Acknowledged in part: it went on.
    sent(&[300, 600, 1200]).s(1, 5, "421").finish().expect(&["S 0 421", "1 Eof"]);
    // Copies that no timer made.
    sent(&[0, 0, 0, 0, 0]).finish().expect(&["1 Eof"]);
    // The other side is not in the capture.
    let mut lab = Lab::new();
    lab.c(1, 1, "mail").c(5, 1, "more");
    for _ in 0..5 {
        lab.now += SECOND;
        lab.c(1, 1, "mail");
    }
    lab.finish().expect(&["C 0 mail", "C 4 more", "1 Eof"]);
}

#[test]
fn what_is_missing_here_and_was_missed_there_did_not_arrive() {
    for (after, told) in [(SECOND, &["C unacknowledged"][..]), (MILLI, &[])] {
        let mut lab = Lab::new();
        lab.handshake().c(3, 1, "rest");
        lab.now += after;
        lab.s(1, 1, "421").send(1, FIN, 4, 1, "").finish();
        lab.expect(&[&["S 0 421", "S end", "C 0 gap 2 Lost", "C 2 rest"][..], told, &["1 Eof"]].concat());
    }
    // It was acknowledged: the capture lost it.
    let mut lab = Lab::new();
    lab.handshake().c(3, 1, "rest").s(1, 7, "250").send(1, FIN, 4, 7, "").finish();
    lab.expect(&["C 0 gap 2 Lost", "C 2 rest", "S 0 250", "S end", "1 Eof"]);
}

#[test]
fn behind_a_pause_the_same_numbers_are_another_connection() {
    for pause in [130 * SECOND, 600 * SECOND] {
        let mut lab = Lab::new();
        for _ in 0..2 {
            lab.handshake().s(1, 1, "220\r\n").c(1, 6, "QUIT\r\n");
            lab.send(1, FIN, 6, 7, "").send(0, FIN, 7, 7, "").s(7, 8, "");
            lab.now += pause;
        }
        assert_eq!(connections(&mut lab), 2);
        assert_eq!(lab.log.lines.iter().filter(|line| line.contains("QUIT")).count(), 2);
    }
    // Nor is a SYN within the old window part of what was never ended.
    let mut lab = Lab::new();
    lab.handshake().s(1, 1, "220\r\n");
    lab.now += 100 * SECOND;
    lab.send(0, SYN, 500, 0, "");
    assert_eq!(connections(&mut lab), 2);
}

#[test]
fn the_only_side_that_was_captured_ends_it_whatever_follows() {
    for frames in [0, 100] {
        let mut lab = Lab::new();
        lab.send(0, SYN, 0, 0, "").c(1, 1, "x").send(0, FIN, 2, 1, "").tick(12 + frames).finish();
        assert_eq!(lab.log.lines.last().unwrap(), "1 Fin");
        let mut lab = Lab::new();
        lab.send(0, SYN, 0, 0, "").c(1, 1, "x").tick(50).send(0, FIN, 2, 1, "").finish();
        assert_eq!(lab.log.lines.last().unwrap(), "1 Fin");
    }
}

#[test]
fn the_answer_to_a_connection_of_before_is_no_part_of_the_next() {
    let mut lab = Lab::new();
    // The server holds a connection of the client's ports; the client says that it does not, and tries again.
    lab.send(0, SYN, 0, 0, "").s(5_000_000, 70_000_000, "").send(0, RST, 70_000_000, 0, "");
    lab.handshake().s(1, 1, "220\r\n").c(1, 6, "QUIT\r\n").expect(&["S 0 220\r\n", "C 0 QUIT\r\n"]);
    lab.finish().expect(&["1 Eof"]);
    assert_eq!((lab.info().syn, lab.info().roles), ([true; 2], Roles::Handshake));
}

#[test]
fn an_answer_to_more_than_a_window_that_was_lost_behind_the_syn_is_the_connections() {
    let mut lab = Lab::new();
    lab.send(0, SYN, 0, 0, "").s(40, 100_018, "250 ok\r\n").c(100_018, 48, "MAIL\r\n").s(48, 100_024, "250 ok\r\n");
    lab.c(100_024, 56, "QUIT\r\n").tick(20).finish();
    let of = |side: char| Vec::from_iter(lab.log.lines.iter().filter(|line| line.starts_with(side)));
    assert_eq!(of('S'), ["S 0 250 ok\r\n", "S 8 250 ok\r\n"]);
    assert_eq!(of('C'), ["C 0 gap 100017 Lost", "C 100017 MAIL\r\n", "C 100023 QUIT\r\n"]);
    assert_eq!(lab.info().duplicate_bytes, 0);
}
