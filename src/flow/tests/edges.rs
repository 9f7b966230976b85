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
