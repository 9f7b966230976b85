//! How long is waited for what may come late.

use super::*;

#[test]
fn on_a_busy_link_frames_alone_end_no_wait() {
    let mut lab = Lab::with(|limits| limits.reorder_least_time = SECOND);
    // A frame a millisecond: the server's interface is written 60 frames late.
    lab.handshake().c(1, 1, "ab").c(5, 1, "ef").s(1, 7, "ok").tick(60).expect(&["C 0 ab"]);
    lab.c(3, 1, "cd").expect(&["C 2 cd", "C 4 ef", "S 0 ok"]);
    // What is really missing is told when a second is over, too.
    lab.c(9, 3, "ij").s(3, 11, "ok").tick(999).expect(&[]);
    lab.tick(1).expect(&["C 6 gap 2 Lost", "C 8 ij", "S 2 ok"]);
}

#[test]
fn frames_end_a_wait_where_time_stands_still_or_goes_back() {
    for (time, most) in [(-10 * SECOND, 1_000_000), (-MILLI, 50)] {
        let mut lab = Lab::with(|limits| {
            limits.reorder_least_time = SECOND;
            limits.reorder_most_frames = most;
        });
        lab.handshake().c(3, 1, "cd").s(1, 5, "ok");
        let (from, now) = (lab.frame, lab.now);
        while lab.log.lines.is_empty() {
            lab.frame += 1;
            let at = FramePos { index: lab.frame, number: lab.frame, ..FramePos::default() };
            let now = if time == -MILLI { now } else { now + time };
            lab.table.tick_at(at, now, &mut lab.log);
        }
        assert_eq!(lab.frame - from, if time == -MILLI { 50 } else { 10 });
    }
}

#[test]
fn what_was_lost_long_ago_is_not_told_as_a_limits_doing() {
    let limits = |limits: &mut Limits| {
        limits.reorder_least_time = SECOND;
        limits.reassembly_bytes = 10;
    };
    // Acknowledged, and ten frames old when the bound is reached.
    let mut lab = Lab::with(limits);
    lab.handshake().c(3, 1, "cc").c(7, 1, "dd").s(1, 9, "").tick(10).expect(&[]);
    lab.c(11, 1, "eeeeeeee");
    lab.expect(&["C 0 gap 2 Lost", "C 2 cc", "C 4 gap 2 Lost", "C 6 dd"]);
    // Not acknowledged.
    let mut lab = Lab::with(limits);
    lab.handshake().c(3, 1, "cc").s(1, 1, "").tick(10).c(5, 1, "eeeeeeeee");
    lab.expect(&["C reassembly-limit", "C 0 gap 2 Limit", "C 2 cc", "C 4 eeeeeeeee"]);
}

#[test]
fn what_was_lost_long_ago_yields_memory_without_a_word() {
    let mut lab = Lab::with(|limits| {
        limits.reorder_least_time = SECOND;
        limits.reassembly_total_bytes = 200;
    });
    lab.handshake().c(3, 1, "x").s(1, 4, "").tick(10);
    lab.ends[0].set_port(5);
    lab.handshake().c(3, 1, "y").expect(&["C 0 gap 2 Lost", "C 2 x"]);
}

/// The server's hole is acknowledged behind the client's, and comes before it all the same: what follows it was said
/// before what the client's hole has.
#[test]
fn what_was_said_before_the_other_sides_hole_is_told_before_it() {
    let mut lab = Lab::new();
    lab.handshake().c(1, 1, "DATA").s(3, 5, "go").s(5, 7, "ok").c(7, 7, "QUIT").tick(20);
    lab.expect(&["C 0 DATA", "S 0 gap 2 Lost", "S 2 go", "C 4 gap 2 Lost", "S 4 ok", "C 6 QUIT"]);
}
