//! Where messages end: dots, bare line ends, smuggling, content sent too early.

use super::*;

fn with(more: &[Step]) -> Vec<Step> {
    [&up_to_data()[..], more].concat()
}

/// What follows the 354.
fn after(more: &[Step]) -> Vec<String> {
    lines(&with(more)).split_off(9)
}

#[test]
fn lf_only_client() {
    let steps = [c("a\n..b\n.\n"), s("250 ok\r\n"), c("QUIT\n"), s("221 bye\r\n")];
    assert_eq!(
        after(&steps),
        [
            "D irregular-end-of-data",
            "D bare-lf",
            "M1 t1 Accepted complete from=a@x to=b@y=250 size=5 id=-",
            "S4 250 ok",
            "D bare-lf",
            "C5 QUIT ",
            "S5 221 bye",
        ]
    );
    assert_eq!(bodies(&with(&steps)), ["a\n.b\n"]);
    // Refused, as well.
    assert_eq!(
        after(&[c("a\n.\n"), s("550 no\r\n")])[2..],
        ["M1 t1 Rejected complete from=a@x to=b@y=250 size=2 id=-", "S4 550 no"]
    );
}

#[test]
fn smuggling_that_the_server_takes() {
    let steps = [
        c("outer\r\n\n.\r\nMAIL FROM:<i@x>\r\nRCPT TO:<j@y>\r\nDATA\r\ninner\r\n.\r\n"),
        s("250 2.0.0 Ok: queued as A1\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n250 2.0.0 Ok: queued as A2\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    assert_eq!(
        after(&steps),
        [
            "D irregular-end-of-data",
            "D smuggling",
            "D bare-lf",
            "M1 t1 Accepted complete from=a@x to=b@y=250 size=8 id=A1",
            "C5 MAIL FROM:<i@x>",
            "C6 RCPT TO:<j@y>",
            "C7 DATA ",
            "S4 250 2.0.0 Ok: queued as A1",
            "S5 250 2.1.0 Ok",
            "S6 250 2.1.5 Ok",
            "S7 354 go",
            "M2 t2 Accepted complete from=i@x to=j@y=250 size=7 id=A2",
            "S7 250 2.0.0 Ok: queued as A2",
            "C8 QUIT ",
            "S8 221 bye",
        ]
    );
    assert_eq!(bodies(&with(&steps)), ["outer\r\n\n", "inner\r\n"]);
}

#[test]
fn smuggling_that_the_server_does_not_take() {
    for (dots, content) in [
        ("\n.\n", "\n.\n"),
        ("\n.\r\n", "\n.\r\n"),
        ("\r\n.\n", "\r\n\n"),
        ("\r.\r", "\r.\r"),
        ("\r\n.\r", "\r\n\r"),
        ("\r.\r\n", "\r.\r\n"),
    ] {
        let data = format!("outer{dots}MAIL FROM:<i@x>\r\nRCPT TO:<j@y>\r\nDATA\r\ninner\r\n.\r\n");
        let steps = [c(data), s("250 2.0.0 Ok: queued as A1\r\n"), c("QUIT\r\n"), s("221 bye\r\n")];
        let found = after(&steps);
        let message = found.iter().find(|l| l.starts_with('M')).unwrap();
        assert!(message.starts_with("M1 t1 Accepted complete from=a@x to=b@y=250"), "{dots:?} {found:?}");
        assert!(found.contains(&"D smuggling".to_owned()), "{dots:?} {found:?}");
        assert_eq!(found.last().map(String::as_str), Some("S5 221 bye"), "{dots:?}");
        assert_eq!(
            bodies(&with(&steps)),
            [format!("outer{content}MAIL FROM:<i@x>\r\nRCPT TO:<j@y>\r\nDATA\r\ninner\r\n")],
            "{dots:?}"
        );
    }
}

#[test]
fn look_alikes_without_commands_behind_are_content() {
    // Binary-like text with several, in flights of their own; the reply comes behind the regular end.
    let steps = [c("a\n.\nb\n"), c(".\nc\r.\rd"), c("\r\n.\r\nNOOP\r\n"), s("250 ok\r\n250 noop\r\n")];
    assert_eq!(
        after(&steps),
        [
            "D smuggling",
            "D bare-lf",
            "M1 t1 Accepted complete from=a@x to=b@y=250 size=15 id=-",
            "C5 NOOP ",
            "S4 250 ok",
            "S5 250 noop",
        ]
    );
    assert_eq!(bodies(&with(&steps)), ["a\n.\nb\n.\nc\r.\rd\r\n"]);
    // Held bytes are bounded: what goes on for long was no end.
    let long = "x".repeat(200_000);
    let steps = [c("a\n.\n"), c(&long), c("\r\n.\r\n"), s("250 ok\r\n")];
    let found = after(&steps);
    assert_eq!(found[2], "M1 t1 Accepted complete from=a@x to=b@y=250 size=200006 id=-");
}

#[test]
fn content_before_the_354() {
    // A client that does not wait for the answer to DATA.
    let steps = [
        s("220 x\r\n"),
        c("MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nRSET\r\n.\r\nQUIT\r\n"),
        s("250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 Ok: queued as A\r\n221 bye\r\n"),
    ];
    assert_eq!(
        lines(&steps)[4..],
        [
            "S1 250 ok",
            "S2 250 ok",
            "S3 354 go",
            "M1 t1 Accepted complete from=a to=b=250 size=6 id=A",
            "C4 QUIT ",
            "S3 250 2.0.0 Ok: queued as A",
            "S4 221 bye",
        ]
    );
}

#[test]
fn an_empty_message_has_size_0() {
    assert_eq!(
        after(&[c(".\r\n"), s("250 ok\r\n")]),
        ["M1 t1 Accepted complete from=a@x to=b@y=250 size=0 id=-", "S4 250 ok"]
    );
    // A lone line end is content.
    assert_eq!(after(&[c("\r\n.\r\n"), s("250 ok\r\n")])[0], "M1 t1 Accepted complete from=a@x to=b@y=250 size=2 id=-");
}

#[test]
fn early_refusals() {
    // The server refuses amid the data, and closes: aborted, with the server's word.
    let steps = [c("big\r\n"), s("552 5.3.4 too big\r\n"), c("more\r\n"), Step::End(Direction::Server)];
    let found = after(&steps);
    assert!(found.contains(&"M1 t1 Aborted incomplete from=a@x to=b@y=250 size=11 id=-".to_owned()), "{found:?}");
    assert!(found.contains(&"S- 552 5.3.4 too big".to_owned()), "{found:?}");
    // The client ends its message all the same; no other reply comes.
    let steps = [c("big\r\n"), s("552 5.3.4 too big\r\n"), c("more\r\n.\r\n"), Step::End(Direction::Server)];
    let found = after(&steps);
    assert!(found.contains(&"M1 t1 Rejected complete from=a@x to=b@y=250 size=11 id=-".to_owned()), "{found:?}");
    // 421 amid the data is no verdict, nor does it end a look-alike.
    let found = after(&[c("a\n.\n"), s("421 timeout\r\n"), Step::End(Direction::Server)]);
    assert!(found.contains(&"M1 t1 Aborted incomplete from=a@x to=b@y=250 size=4 id=-".to_owned()), "{found:?}");
}

#[test]
fn a_refusal_amid_the_data_is_the_verdict_wherever_segments_end() {
    let begin = [c("big\r\n"), s("552 5.3.4 too big\r\n")];
    let end = s("250 2.0.0 reset\r\n221 bye\r\n");
    let together = [&begin[..], &[c("more\r\n.\r\nRSET\r\nQUIT\r\n"), end.clone()]].concat();
    let apart = [&begin[..], &[c("more\r\n.\r\n"), c("RSET\r\nQUIT\r\n"), end]].concat();
    let found = after(&together);
    assert_eq!(after(&apart), found);
    assert!(found.contains(&"M1 t1 Rejected complete from=a@x to=b@y=250 size=11 id=-".to_owned()), "{found:?}");
    assert!(found.contains(&"S5 250 2.0.0 reset".to_owned()), "{found:?}");
}

#[test]
fn endless_lines_are_bounded() {
    let run = Run::default();
    let long = "x".repeat(300_000);
    let steps = [s("220 x\r\n"), c(format!("{long}\r\nQUIT\r\n")), s("500 long\r\n221 bye\r\n")];
    let (events, summary) = run.feed(&steps, 1000);
    let shown = show(&events);
    assert_eq!(shown[1], "D long-line");
    assert!(shown[2].len() < 70_000);
    assert_eq!(shown[3..], ["C2 QUIT ", "S1 500 long", "S2 221 bye"]);
    assert_eq!(summary.skipped_bytes, 300_002 - run.limits.line_bytes as u64);
}

/// Replies wait while a look-alike is not judged: no more of them than commands are kept.
#[test]
fn replies_that_wait_for_a_look_alike_are_bounded() {
    let steps = |lines: usize, replies: usize| {
        let data = format!("outer\n.\nMAIL FROM:<i@x>\r\n.\r\n{}", "NOOP\r\n".repeat(lines));
        [c(data), s("250 2.0.0 Ok\r\n".repeat(replies)), c("QUIT\r\n"), s("221 bye\r\n")]
    };
    // Both ways the look-alike is content; with so many replies that is known before the client goes on.
    for lines in [10, 10_000] {
        let found = bodies(&with(&steps(lines, lines)));
        assert_eq!(found, ["outer\n.\nMAIL FROM:<i@x>\r\n"], "{lines}");
    }
}
