//! Captures that begin on an idle connection with a keep-alive: the number before the next, with no byte or one.

use super::*;

/// Keep-alives of `prober`, each acknowledged, and a dialogue when the waits are over, or at once.
fn lab(prober: usize, byte: &str, probes: usize, pause: u64) -> Lab {
    let mut lab = Lab::new();
    for _ in 0..probes {
        lab.send(prober, ACK, 0, 1, byte).send(1 - prober, ACK, 1, 1, "").tick(pause);
    }
    lab
}

#[test]
fn the_number_before_the_next_is_no_byte_of_the_stream() {
    for (prober, byte, probes, pause) in [0, 1]
        .into_iter()
        .flat_map(|p| ["", "\0"].into_iter().flat_map(move |b| [(p, b, 1, 0), (p, b, 1, 20), (p, b, 3, 20)]))
    {
        let mut lab = lab(prober, byte, probes, pause);
        lab.c(1, 1, "NOOP\r\n").s(1, 7, "250 ok\r\n").c(7, 9, "QUIT\r\n").tick(20);
        lab.expect(&["C 0 NOOP\r\n", "S 0 250 ok\r\n", "C 6 QUIT\r\n"]).finish().expect(&["1 Eof"]);
        let copies = (byte.len() * probes) as u64;
        assert_eq!(lab.info().duplicate_bytes, copies, "{prober} {byte:?} {probes} {pause}");
    }
}

#[test]
fn keep_alives_of_both_sides_end_no_connection() {
    let mut lab = Lab::new();
    lab.c(0, 1, "").s(1, 1, "").s(0, 1, "").c(1, 1, "").tick(20);
    lab.now += 10 * SECOND;
    lab.tick(20).c(0, 1, "").s(1, 1, "").tick(20);
    lab.c(1, 1, "NOOP\r\n").s(1, 7, "250 ok\r\n").expect(&["C 0 NOOP\r\n", "S 0 250 ok\r\n"]);
    lab.finish().expect(&["1 Eof"]);
}

#[test]
fn what_begins_further_on_has_lost_its_beginning() {
    let mut lab = lab(0, "", 1, 20);
    lab.c(3, 1, "OP\r\n").s(1, 7, "250 ok\r\n").tick(20);
    lab.expect(&["C 0 gap 2 MidStream", "C 2 OP\r\n", "S 0 250 ok\r\n"]);
}

#[test]
fn a_zero_byte_behind_a_handshake_is_one() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "\0").expect(&["C 0 \0"]);
}
