//! One connection captured in several places: what one copy lacks another has.

use super::*;

/// Both ways round: a copy that the snapshot length cut, and the whole one.
fn cut_and_whole(lab: &mut Lab, from: usize, seq: u32, ack: u32, text: &str, keep: usize, cut_first: bool) {
    for cut in [cut_first, !cut_first] {
        (lab.interface, lab.file) = (Some(u32::from(cut)), FileId(u32::from(cut)));
        let kept = if cut { &text[..keep] } else { text };
        lab.send_cut(from, ACK, seq, ack, kept, (text.len() - kept.len()) as u32);
    }
}

#[test]
fn a_copy_that_was_cut_hides_no_whole_one() {
    for (cut_first, keep) in [(true, 2), (false, 2), (true, 0), (false, 0)] {
        let mut lab = Lab::new();
        for interface in [0, 1] {
            lab.interface = Some(interface);
            lab.handshake();
        }
        cut_and_whole(&mut lab, 1, 1, 1, "220 mx\r\n", keep, cut_first);
        cut_and_whole(&mut lab, 0, 1, 9, "NOOP\r\n", keep, cut_first);
        cut_and_whole(&mut lab, 1, 9, 7, "250 ok\r\n", keep, cut_first);
        lab.c(7, 17, "").tick(20).finish();
        let text = |side: char| -> String {
            let lines = lab.log.lines.iter().filter(|line| line.starts_with(side));
            lines.map(|line| line.splitn(3, ' ').nth(2).unwrap()).collect()
        };
        assert_eq!(
            (text('C').as_str(), text('S').as_str()),
            ("NOOP\r\n", "220 mx\r\n250 ok\r\n"),
            "{cut_first} {keep}"
        );
        assert_eq!(lab.log.gaps, [0; 0]);
    }
}

#[test]
fn what_no_copy_has_is_a_gap_when_its_time_is_over() {
    let mut lab = Lab::new();
    for interface in [0, 1] {
        lab.interface = Some(interface);
        lab.handshake();
    }
    lab.send_cut(1, ACK, 1, 1, "220", 5).c(1, 9, "NOOP\r\n").expect(&["S 0 220"]);
    lab.tick(20).expect(&["S 3 gap 5 Snaplen", "C 0 NOOP\r\n"]);
    // Nor is it waited for where there is one place only.
    let mut lab = Lab::new();
    lab.handshake().send_cut(1, ACK, 1, 1, "220", 5).expect(&["S 0 220", "S 3 gap 5 Snaplen"]);
}

#[test]
fn what_was_cut_off_at_the_end_is_told_though_nobody_acknowledges_it() {
    let mut lab = Lab::new();
    for interface in [0, 1] {
        lab.interface = Some(interface);
        lab.send(1, SYN_ACK, 0, 1, "");
    }
    lab.send_cut(1, ACK, 1, 1, "220", 5).tick(60).expect(&["S 0 220", "S 3 gap 5 Snaplen"]);
}

#[test]
fn what_nobody_can_have_sent_is_another_connections() {
    // The same dialogue behind a firewall that adds to the numbers of the server.
    let far = 800_000_000;
    let mut lab = Lab::new();
    lab.handshake();
    for (seq, ack, text) in [(1, 1, "220 mx\r\n"), (9, 7, "250 ok\r\n"), (17, 13, "221 bye\r\n")] {
        if ack > 1 {
            lab.c(ack - 6, seq, "NOOP\r\n");
        }
        lab.s(seq, ack, text).s(seq + far, ack, text);
    }
    lab.tick(20).expect(&["S 0 220 mx\r\n", "C 0 NOOP\r\n", "S 8 250 ok\r\n", "C 6 NOOP\r\n", "S 16 221 bye\r\n"]);
    // However long each waits for the other.
    let mut lab = Lab::new();
    lab.handshake();
    for (seq, ack, text) in [(1, 1, "220 mx\r\n"), (9, 7, "250 ok\r\n"), (17, 13, "221 bye\r\n")] {
        lab.now += 60 * SECOND;
        if ack > 1 {
            lab.c(ack - 6, seq, "NOOP\r\n").c(ack - 6 + far, seq, "NOOP\r\n");
            lab.now += 60 * SECOND;
        }
        lab.s(seq, ack, text).s(seq, ack + far, text);
    }
    lab.tick(20).expect(&["S 0 220 mx\r\n", "C 0 NOOP\r\n", "S 8 250 ok\r\n", "C 6 NOOP\r\n", "S 16 221 bye\r\n"]);
    // The copy may come first, too.
    let mut lab = Lab::new();
    lab.handshake().s(1, 1, "220 mx\r\n");
    for (at, text) in ["EHLO me\r\n", "MAIL x\r\n", "RCPT y\r\n", "QUIT\r\n"].into_iter().enumerate() {
        lab.now += 60 * SECOND;
        lab.c(1 + 9 * at as u32 + far, 9, text).c(1 + [0, 9, 17, 25][at], 9, text);
    }
    lab.tick(20).expect(&["S 0 220 mx\r\n", "C 0 EHLO me\r\n", "C 9 MAIL x\r\n", "C 17 RCPT y\r\n", "C 25 QUIT\r\n"]);
    // What the capture missed in ten seconds is missing.
    let mut lab = Lab::new();
    lab.handshake().s(1, 1, "220 mx\r\n");
    lab.now += 10 * SECOND;
    lab.s(far, 1, "more").s(far + 4, 1, "and more").finish();
    lab.expect(&["S 0 220 mx\r\n", "S 8 gap 799999991 Lost", "S 799999999 more", "S 800000003 and more", "1 Eof"]);
}

#[test]
fn a_hole_of_many_megabytes_whose_acknowledgements_were_captured() {
    const HOLE: u32 = 100 << 20;
    // Up to ten gigabits a second.
    for step in [SECOND, 17 * MILLI] {
        let mut lab = Lab::new();
        lab.handshake().s(1, 1, "220 mx\r\n");
        for n in 1..=5 {
            lab.now += step;
            lab.c(1, 9 + HOLE / 5 * n, "");
        }
        lab.s(9 + HOLE, 1, "250 ok\r\n").s(17 + HOLE, 1, "221 bye\r\n").finish();
        lab.expect(&[
            "S 0 220 mx\r\n",
            "S 8 gap 104857600 Lost",
            "S 104857608 250 ok\r\n",
            "S 104857616 221 bye\r\n",
            "1 Eof",
        ]);
    }
}

#[test]
fn the_silence_of_a_direction_stays_its_own_when_a_late_syn_tells_the_roles() {
    // By its port the first sender is the client, which it is not.
    let mut lab = Lab::new();
    lab.ends = [([10, 0, 0, 1], 25).into(), ([10, 0, 0, 2], 40_000).into()];
    lab.s(1, 1, "220 mx\r\n");
    lab.now += SECOND / 2;
    lab.c(1, 9, "NOOP\r\n").send(0, SYN, 0, 0, "").send(1, SYN_ACK, 0, 1, "");
    let far = 100_000_000;
    lab.s(far, 7, "more").s(far + 4, 7, "and more").tick(20).finish();
    lab.expect(&[
        "S 0 220 mx\r\n",
        "C 0 NOOP\r\n",
        "S 8 gap 99999991 Lost",
        "S 99999999 more",
        "S 100000003 and more",
        "1 Eof",
    ]);
}
