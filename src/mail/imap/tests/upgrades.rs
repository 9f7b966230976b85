//! STARTTLS and COMPRESS.

use super::*;

#[test]
fn starttls() {
    for refused in [false, true] {
        let mut run = Run::default();
        run.feed(&[s("* OK hi\r\n"), c("a STARTTLS\r\nb LOGIN eve x\r\n")], 1);
        let answer = if refused { &b"a BAD no\r\nXYZ"[..] } else { b"a OK Begin TLS\r\nXYZ" };
        let advance = run.input(Direction::Server, answer);
        if refused {
            assert_eq!(advance.next, Next::Continue);
            assert_eq!(run.finish().lines(), ["a STARTTLS", "b LOGIN eve ***"]);
            continue;
        }
        assert_eq!(advance, Advance { consumed: answer.len() - 3, next: Next::StartTls });
        let held = run.imap.take_held(Direction::Client).unwrap();
        assert_eq!(held.bytes, b"b LOGIN eve x\r\n");
        run.injected = true;
        assert_eq!(run.input(Direction::Client, &held.bytes).consumed, held.bytes.len());
        run.input(Direction::Client, b"c CREATE {9");
        run.injected = false;
        run.with(|imap, _, _| imap.tls_started());
        run.tls = true;
        run.feed(&[c("d NOOP\r\n"), s("d OK\r\n")], 1);
        let story = run.finish();
        assert_eq!(story.lines(), ["a STARTTLS", "b LOGIN eve ***", "d NOOP"]);
        assert_eq!(story.commands().iter().map(|c| c.injected).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(story.summary.commands, 2);
        assert!(story.commands()[2].tls);
        assert!(!story.codes().contains(&"unanswered"));
    }
}

#[test]
fn compress() {
    let mut run = Run::default();
    run.feed(&[s("* OK hi\r\n"), c("a COMPRESS DEFLATE\r\n"), c("\x78zz")], 1);
    let advance = run.input(Direction::Server, b"a OK on\r\n\xff");
    assert_eq!(advance, Advance { consumed: 9, next: Next::Deflate });
    assert_eq!(run.imap.take_held(Direction::Client).unwrap().bytes, b"\x78zz");
    run.feed(&[c("b NOOP\r\n"), s("b OK\r\n")], 1);
    assert_eq!(run.finish().lines(), ["a COMPRESS DEFLATE", "b NOOP"]);
}

#[test]
fn lost_answer_to_compress_wherever_segments_end() {
    for size in [1, 2, 3, 100] {
        let mut run = Run::default();
        run.feed(&[s("* OK hi\r\n"), c("k1 COMPRESS DEFLATE\r\n"), Step::GapS(9)], 1);
        // It was NO.
        run.feed(&[c("k2 NOOP\r\n"), s("k2 OK done\r\n")], size);
        assert_eq!(run.finish().lines(), ["k1 COMPRESS DEFLATE", "k2 NOOP"], "pieces of {size}");
        let mut run = Run::default();
        run.feed(&[s("* OK hi\r\n"), c("k1 COMPRESS DEFLATE\r\n"), Step::GapS(9)], 1);
        let stream = b"\x72\xcb\xf3\xf7\x0f";
        let advances: Vec<_> = stream.chunks(size).map(|piece| run.input(Direction::Client, piece).next).collect();
        let at = advances.iter().position(|next| *next == Next::Deflate).unwrap();
        let held = run.imap.take_held(Direction::Client).unwrap().bytes;
        assert_eq!(held, stream[..stream.len().min((at + 1) * size)], "pieces of {size}");
        assert!(advances[..at].iter().all(|next| *next == Next::Continue));
    }
}

#[test]
fn one_sided_starttls() {
    let mut run = Run { one_sided: true, ..Run::default() };
    let advance = run.input(Direction::Client, b"a STARTTLS\r\n\x16\x03\x01");
    assert_eq!(advance, Advance { consumed: 12, next: Next::StartTls });
}

#[test]
fn lost_answer_to_starttls() {
    let mut run = Run::default();
    run.feed(&[s("* OK hi\r\n"), c("a STARTTLS\r\n"), Step::GapS(20)], 1);
    assert!(run.imap.at_line_start(Direction::Client));
    let advance = run.input(Direction::Client, b"\x16\x03\x01");
    assert_eq!(advance, Advance { consumed: 0, next: Next::StartTls });
}

#[test]
fn where_tls_could_begin() {
    let mut run = Run::default();
    run.feed(&[s("* OK hi\r\n"), c("a NOO")], 1);
    assert!(run.imap.at_line_start(Direction::Server));
    assert!(!run.imap.at_line_start(Direction::Client));
    run.feed(&[c("P\r\nb APPEND x {3+}\r\n"), s("* 1 FETCH (BODY[] {3}\r\n")], 1);
    assert!(!run.imap.at_line_start(Direction::Server));
    assert!(!run.imap.at_line_start(Direction::Client));
}
