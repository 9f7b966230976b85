//! Gaps, and captures of one direction.

use super::*;

const CLIENT: Direction = Direction::Client;
const SERVER: Direction = Direction::Server;

fn messages(lines: &[String]) -> Vec<&str> {
    lines.iter().filter(|l| l.starts_with('M')).map(String::as_str).collect()
}

#[test]
fn a_gap_amid_a_message() {
    let steps = [
        &up_to_data()[..],
        &[c("one\r\n"), Step::Gap(CLIENT, 10), c("three\r\n.\r\n"), s("250 ok\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
    ]
    .concat();
    assert_eq!(
        lines(&steps)[9..],
        ["M1 t1 Accepted incomplete from=a@x to=b@y=250 size=12 id=-", "S4 250 ok", "C5 QUIT ", "S5 221 bye"]
    );
}

#[test]
fn the_end_of_data_in_a_gap() {
    // The dot is lost: the reply tells.
    let steps = [
        &up_to_data()[..],
        &[c("one\r\n"), Step::Gap(CLIENT, 10), s("250 2.0.0 Ok: queued as A\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
    ]
    .concat();
    let found = lines(&steps);
    assert_eq!(messages(&found), ["M1 t1 Accepted incomplete from=a@x to=b@y=250 size=5 id=A"]);
    assert_eq!(found.last().map(String::as_str), Some("S5 221 bye"));
    // The gap ends right before the dot.
    let steps = [
        &up_to_data()[..],
        &[c("one\r"), Step::Gap(CLIENT, 1), c(".\r\n"), s("250 ok\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
    ]
    .concat();
    assert_eq!(
        lines(&steps)[9..],
        ["M1 t1 Accepted incomplete from=a@x to=b@y=250 size=4 id=-", "S4 250 ok", "C5 QUIT ", "S5 221 bye"]
    );
}

/// A gap has the end of a reply of several lines, and what follows it has the same code.
#[test]
fn the_reply_behind_a_gap_does_not_end_the_one_before_it() {
    let told = |middle: &[Step]| {
        let begin = [s("220 x\r\n"), c("EHLO me\r\n"), s("250-mx\r\n250-PIPELINING\r\n250-SI")];
        let mut found = lines(&[&begin, middle, &[c("QUIT\r\n"), s("221 bye\r\n")]].concat());
        found.retain(|line| !line.starts_with("D "));
        found.sort();
        found
    };
    let gap = || Step::Gap(SERVER, 20);
    let mail = || c("MAIL FROM:<a@x>\r\n");
    // Without an enhanced status code only the command tells that was sent meanwhile, even if the gap is told behind
    // it.
    for ok in ["2.1.0 Ok", "Ok"] {
        for middle in [[gap(), mail()], [mail(), gap()]] {
            let found = told(&[&middle[..], &[s(format!("250 {ok}\r\n"))]].concat());
            let answer = format!("S2 250 {ok}");
            let replies = ["S- 220 x", "S1 250 mx / PIPELINING", &answer, "S3 221 bye"];
            assert_eq!(found, [&["C1 EHLO me", "C2 MAIL FROM:<a@x>", "C3 QUIT "], &replies[..]].concat(), "{middle:?}");
        }
    }
    // The middle of the reply is lost: it goes on.
    let found = told(&[gap(), s("250-8BITMIME\r\n250 CHUNKING\r\n")]);
    let reply = "S1 250 mx / PIPELINING / 8BITMIME / CHUNKING";
    assert_eq!(found, ["C1 EHLO me", "C2 QUIT ", "S- 220 x", reply, "S2 221 bye"]);
}

#[test]
fn commands_in_a_gap() {
    // DATA is lost; 354 tells that a message follows.
    let steps = [
        s("220 x\r\n"),
        c("MAIL FROM:<a>\r\n"),
        s("250 ok\r\n"),
        Step::Gap(CLIENT, 21),
        s("250 ok\r\n"),
        s("354 go\r\n"),
        c("hello\r\n.\r\n"),
        s("250 2.0.0 Ok: queued as A\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    assert_eq!(
        lines(&steps)[3..],
        [
            "S- 250 ok",
            "S- 354 go",
            "M1 t1 Accepted incomplete from=a to= size=7 id=A",
            "S- 250 2.0.0 Ok: queued as A",
            "C2 QUIT ",
            "S2 221 bye",
        ]
    );
    // Half a line is lost: what is left of it is passed over, the next one can be trusted.
    let steps = [
        s("220 x\r\n"),
        c("MAIL FR"),
        Step::Gap(CLIENT, 4),
        c("bc>\r\nRCPT TO:<b>\r\nDATA\r\n"),
        s("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n"),
        c("x\r\n.\r\n"),
        s("250 ok\r\n"),
    ];
    let (lines, summary) = Run::default().lines(&steps);
    assert_eq!(
        lines[1..],
        [
            "D resynchronised",
            "D skipped",
            "C1 RCPT TO:<b>",
            "C2 DATA ",
            "S- 250 2.1.0 Ok",
            "S1 250 2.1.5 Ok",
            "S2 354 go",
            "M1 t1 Accepted complete from=? to=b=250 size=3 id=-",
            "S2 250 ok",
        ]
    );
    assert_eq!(summary.skipped_bytes, 12);
}

#[test]
fn a_chunk_lost_in_a_gap_makes_the_message_incomplete() {
    // The first of two chunks, and the second of three.
    for (before, size) in [("", 3), ("BDAT 3\r\nabc", 6)] {
        let steps = [
            s("220 x\r\n"),
            c("MAIL FROM:<a>\r\nRCPT TO:<b>\r\n"),
            s("250 ok\r\n250 ok\r\n"),
            c(before),
            s(if before.is_empty() { "" } else { "250 3 bytes\r\n" }),
            Step::Gap(CLIENT, 14),
            s("250 6 bytes\r\n"),
            c("BDAT 3 LAST\r\nxyz"),
            s("250 ok\r\n"),
            c("MAIL FROM:<c>\r\nRCPT TO:<d>\r\nBDAT 1 LAST\r\nz"),
            s("250 ok\r\n250 ok\r\n250 ok\r\n"),
            c("QUIT\r\n"),
            s("221 bye\r\n"),
        ];
        let found = lines(&steps);
        assert_eq!(
            messages(&found),
            [
                format!("M1 t1 Accepted incomplete from=a to=b=250 size={size} id=-"),
                "M2 t2 Accepted complete from=c to=d=250 size=1 id=-".to_owned()
            ]
        );
    }
}

#[test]
fn a_lost_challenge_does_not_expose_the_password() {
    // base64 of `alice`, `secret`.
    let login = [s("220 x\r\n"), c("AUTH LOGIN\r\n")];
    let user = [c("YWxpY2U=\r\n"), s("334 UGFzc3dvcmQ6\r\n"), c("c2VjcmV0\r\n"), s("235 ok\r\n")];
    let first = [&login[..], &[Step::Gap(SERVER, 18)], &user[..]].concat();
    let second = [&login[..], &[s("334 VXNlcm5hbWU6\r\n")], &user[..1], &[Step::Gap(SERVER, 18)], &user[2..]].concat();
    // The refusal of one exchange is lost, the next one begins.
    let refused = [&login[..], &[Step::Gap(SERVER, 9), c("AUTH LOGIN\r\n"), s("334 x\r\n")], &user[..]].concat();
    for steps in [first, second, refused] {
        let found = lines(&steps);
        assert!(!found.iter().any(|l| l.contains("c2VjcmV0")), "{found:?}");
        assert!(found.iter().any(|l| l.starts_with('A') && l.contains("alice") && l.contains("Success")), "{found:?}");
    }
}

#[test]
fn replies_in_a_gap() {
    // The final reply is lost.
    let steps = [
        &up_to_data()[..],
        &[
            c("x\r\n.\r\n"),
            Step::Gap(SERVER, 8),
            c("MAIL FROM:<c>\r\n"),
            s("250 2.1.0 Ok\r\n"),
            c("QUIT\r\n"),
            s("221 bye\r\n"),
        ],
    ]
    .concat();
    let found = lines(&steps);
    assert_eq!(
        found[9..],
        [
            "M1 t1 Unknown complete from=a@x to=b@y=250 size=3 id=-",
            "C5 MAIL FROM:<c>",
            "D resynchronised",
            "S5 250 2.1.0 Ok",
            "C6 QUIT ",
            "S6 221 bye",
        ]
    );
    // The 354 is lost: what follows DATA is no command, so it was there.
    let steps = [
        &up_to_data()[..8],
        &[Step::Gap(SERVER, 8), c("Subject: x\r\n\r\nbody\r\n.\r\n"), s("250 2.0.0 Ok: queued as A\r\n")],
    ]
    .concat();
    assert_eq!(messages(&lines(&steps)), ["M1 t1 Accepted complete from=a@x to=b@y=250 size=20 id=A"]);
    // A refusal of DATA is lost.
    let steps = [&up_to_data()[..8], &[Step::Gap(SERVER, 8), c("RSET\r\n"), s("250 ok\r\n")]].concat();
    let found = lines(&steps);
    assert!(messages(&found).is_empty());
    assert_eq!(found[8..], ["C5 RSET ", "D resynchronised", "S5 250 ok"]);
    // Amid a reply of several lines.
    let steps = [
        s("220 x\r\n"),
        c("EHLO a\r\n"),
        s("250-x\r\n250-SI"),
        Step::Gap(SERVER, 3),
        s("1000\r\n250-VRFY\r\n250 DSN\r\n"),
        c("NOOP\r\n"),
        s("250 ok\r\n"),
    ];
    assert_eq!(
        lines(&steps)[1..],
        ["C1 EHLO a", "D resynchronised", "D skipped", "S1 250 x / VRFY / DSN", "C2 NOOP ", "S2 250 ok"]
    );
}

#[test]
fn chunks_with_gaps() {
    let hello = [s("220 x\r\n"), c("MAIL FROM:<a>\r\n"), s("250 ok\r\n")];
    let steps =
        [&hello[..], &[c("BDAT 10 LAST\r\nab"), Step::Gap(CLIENT, 6), c("ijQUIT\r\n"), s("250 ok\r\n221 bye\r\n")]]
            .concat();
    let expected =
        ["C2 BDAT 10 LAST", "M1 t1 Accepted incomplete from=a to= size=4 id=-", "C3 QUIT ", "S2 250 ok", "S3 221 bye"];
    assert_eq!(lines(&steps)[3..], expected);
    // Inside TLS the gap's length is a bound: the chunk ends before the next command.
    let steps = [
        &hello[..],
        &[c("BDAT 100 LAST\r\nab"), Step::Gap(CLIENT, 97), c("i\r\nQUIT\r\n"), s("250 ok\r\n221 bye\r\n")],
    ]
    .concat();
    let run = Run { tls: true, ..Run::default() };
    let found = run.lines(&steps).0;
    assert_eq!(messages(&found), ["M1 t1 Accepted incomplete from=a to= size=5 id=-"]);
    assert_eq!(found.last().map(String::as_str), Some("S3 221 bye"));
    // A gap beyond the chunk.
    let steps =
        [&hello[..], &[c("BDAT 4 LAST\r\nab"), Step::Gap(CLIENT, 60), c("T\r\nQUIT\r\n"), s("250 ok\r\n221 bye\r\n")]]
            .concat();
    assert_eq!(lines(&steps).last().map(String::as_str), Some("S3 221 bye"));
}

#[test]
fn mid_stream() {
    let steps = [
        Step::Gap(SERVER, 100),
        Step::Gap(CLIENT, 100),
        c("tail of a line\r\nMAIL FROM:<a>\r\n"),
        s("250 2.1.0 Ok\r\n"),
        c("RCPT TO:<b>\r\n"),
        s("250 2.1.5 Ok\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let found = lines(&steps);
    assert_eq!(found[2..4], ["D skipped", "C1 MAIL FROM:<a>"]);
    assert_eq!(found[4..], ["S1 250 2.1.0 Ok", "C2 RCPT TO:<b>", "S2 250 2.1.5 Ok", "C3 QUIT ", "S3 221 bye"]);
}

#[test]
fn client_only() {
    let run = Run { one_sided: true, ..Run::default() };
    let steps = [
        c("EHLO a\r\nAUTH LOGIN\r\n"),
        c("YWxpY2U=\r\nc2VjcmV0\r\n"),
        c("MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n"),
        c("x\r\n.\r\nMAIL FROM:<c>\r\nRCPT TO:<d>\r\nBDAT 3 LAST\r\nabcQUIT\r\n"),
    ];
    let (lines, summary) = run.lines(&steps);
    let found = messages(&lines);
    assert_eq!(
        found,
        [
            "M1 t1 Accepted complete from=a to=b=0 size=3 assumed id=-",
            "M2 t2 Accepted complete from=c to=d=0 size=3 assumed id=-",
        ]
    );
    assert!(lines.iter().filter(|l| l.starts_with('C')).all(|l| l.ends_with(" assumed")), "{lines:?}");
    assert_eq!(summary.commands, 9);
    assert_eq!(summary.outcome, Some(Outcome::Completed));
    // LF alone throughout: the end is meant.
    let steps = [c("MAIL FROM:<a>\nRCPT TO:<b>\nDATA\nx\n.\nQUIT\n")];
    let (lines, _) = run.lines(&steps);
    assert_eq!(messages(&lines), ["M1 t1 Accepted complete from=a to=b=0 size=2 assumed id=-"]);
    assert_eq!(lines.last().map(String::as_str), Some("C4 QUIT  assumed"));
}

#[test]
fn server_only() {
    let run = Run { one_sided: true, ..Run::default() };
    let steps = [s("220 x ESMTP\r\n250-x\r\n250 DSN\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued as X\r\n221 bye\r\n")];
    let (lines, summary) = run.lines(&steps);
    assert_eq!(lines[0], "S- 220 x ESMTP");
    assert_eq!(lines.len(), 7);
    assert!(lines.iter().all(|l| l.starts_with("S- ")));
    assert_eq!((summary.commands, summary.messages), (0, 0));
}

/// An envelope and its first chunk.
fn up_to_a_chunk() -> Vec<Step> {
    vec![
        s("220 x\r\n"),
        c("MAIL FROM:<a>\r\n"),
        s("250 ok\r\n"),
        c("RCPT TO:<b>\r\n"),
        s("250 ok\r\n"),
        c("BDAT 4\r\nabcd"),
        s("250 ok\r\n"),
    ]
}

#[test]
fn a_chunk_whose_bdat_is_lost_is_not_read_as_commands() {
    let begin = up_to_a_chunk();
    let content = "cky chunk\r\n\r\n.\r\nQUIT\r\nMAIL FROM:<x@y>\r\n250 ok\r\n";
    let steps = [
        &begin[..],
        &[
            Step::Gap(Direction::Client, 19),
            c(content),
            s("250 2.0.0 Ok: 104 bytes queued as EBB889A41CB\r\n"),
            c("RSET\r\n"),
            s("250 2.0.0 Ok\r\n"),
            c("QUIT\r\n"),
            s("221 bye\r\n"),
        ],
    ]
    .concat();
    let commands = |steps: &[Step]| -> Vec<String> {
        let lines = lines(steps).into_iter().filter(|l| l.starts_with('C'));
        lines.map(|l| l.split(' ').nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(commands(&steps), ["MAIL", "RCPT", "BDAT", "RSET", "QUIT"]);
    // A chunk that is announced behind the gap.
    let steps = [
        &begin[..],
        &[Step::Gap(Direction::Client, 9), c("zz\r\nBDAT 3 LAST\r\nxyzQUIT\r\n"), s("250 ok\r\n221 bye\r\n")],
    ]
    .concat();
    assert_eq!(commands(&steps), ["MAIL", "RCPT", "BDAT", "BDAT", "QUIT"]);
}

/// A mail that holds a log of SMTP, of which the BDAT is lost: a `BDAT` of the log announces nothing.
#[test]
fn a_bdat_in_a_text_does_not_derail_the_session() {
    let log = "ext\r\nBDAT 30\r\nMAIL FROM:<evil@x>\r\n250 ok\r\nRCPT TO:<evil@y>\r\nRSET\r\nQUIT\r\nBDAT 30\r\nmore of it\r\n";
    let rest = [
        Step::Gap(Direction::Client, 14),
        c(log),
        s("250 2.0.0 chunk\r\n"),
        c("BDAT 3 LAST\r\nxyz"),
        s("250 2.0.0 Ok: queued as EBB889A41CB\r\n"),
        c("NOOP\r\n"),
        s("250 2.0.0 nothing\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let lines = lines(&[&up_to_a_chunk()[..], &rest].concat());
    let commands: Vec<_> = lines.iter().filter(|line| line.starts_with('C')).map(|line| &line[3..]).collect();
    // The first of the log is believed until its chunk ends amid a line.
    let real = ["BDAT 3 LAST", "NOOP ", "QUIT "];
    assert_eq!(commands, [&["MAIL FROM:<a>", "RCPT TO:<b>", "BDAT 4", "BDAT 30"][..], &real].concat());
    assert_eq!(messages(&lines).len(), 1);
    assert!(messages(&lines)[0].contains("incomplete") && messages(&lines)[0].ends_with("id=EBB889A41CB"));
}

/// Whether `<LF>.<LF>` was the end, and what follows it commands, the server's lost words would tell.
#[test]
fn a_look_alike_of_which_the_servers_word_is_lost_leaves_the_message_in_doubt() {
    let data = "x\r\nhi\n.\nMAIL FROM:<e@f>\r\nRCPT TO:<g@h>\r\nDATA\r\ny\r\n.\r\n";
    let run = Run::default();
    let before = up_to_data();
    let (lines, _) =
        run.lines(&[&before[..], &[c(data), Step::Gap(SERVER, 48), c("QUIT\r\n"), s("221 bye\r\n")]].concat());
    let told = messages(&lines);
    assert!(told.len() == 1 && !told[0].contains(" complete "), "{told:?}");
    // With its word it is whole.
    let (lines, _) = run.lines(&[&before[..], &[c(data), s("250 ok\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]].concat());
    let told = messages(&lines);
    assert!(told.len() == 1 && told[0].contains(" complete "), "{told:?}");
}

#[test]
fn a_chunk_whose_bdat_is_cut_by_a_loss_is_not_read_as_commands() {
    let envelope = [s("220 x\r\n"), c("MAIL FROM:<a>\r\n"), s("250 ok\r\n"), c("RCPT TO:<b>\r\n"), s("250 ok\r\n")];
    let line = "BDAT 26 LAST\r\n";
    for kept in 1..line.len() - 1 {
        let lost = Step::Gap(CLIENT, (line.len() - 1 - kept) as u64);
        let rest = [lost, c("\nQUIT\r\nMAIL FROM:<x@y>\r\n"), s("250 ok\r\n"), c("NOOP\r\n"), s("250 ok\r\n")];
        let (lines, _) = Run::default().lines(&[&envelope[..], &[c(&line[..kept])], &rest].concat());
        let commands: Vec<&String> = lines.iter().filter(|l| l.starts_with('C')).collect();
        assert_eq!(commands.len(), 3, "{kept} bytes of it: {commands:?}");
        assert!(commands[2].contains("NOOP"), "{commands:?}");
    }
}

#[test]
fn an_authentication_without_its_reply_ends_where_the_client_goes_on() {
    let steps = [
        s("220 mx\r\n"),
        c("EHLO me\r\n"),
        s("250-mx\r\n250 AUTH PLAIN\r\n"),
        c("AUTH PLAIN AHVzcgBTM2NyZXQ=\r\n"),
        Step::Gap(SERVER, 8),
        c("MAIL FROM:<a@x>\r\n"),
        s("250 ok\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let (events, _) = Run::default().feed(&steps, usize::MAX);
    let auth = events.iter().find(|e| matches!(&e.body, EventBody::Auth(_))).unwrap();
    assert_eq!((auth.span.first.number, auth.span.last.number), (4, 6));
}

#[test]
fn a_capture_that_begins_with_a_dot_amid_a_message() {
    let run = Run { joined: true, ..Run::default() };
    let steps = [
        c(".\r\nmore text here\r\nlast line\r\n.\r\n"),
        s("250 queued as Q0\r\n"),
        c("MAIL FROM:<f1@x>\r\nRCPT TO:<r1@x>\r\nDATA\r\n"),
        s("250 sender 1\r\n250 rcpt 1\r\n354 go\r\n"),
        c("one\r\n.\r\n"),
        s("550 5.7.1 spam 1\r\n"),
        c("MAIL FROM:<f2@x>\r\nRCPT TO:<r2@x>\r\nDATA\r\n"),
        s("250 sender 2\r\n250 rcpt 2\r\n354 go\r\n"),
        c("two\r\n.\r\n"),
        s("250 queued as Q2\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    assert_eq!(
        messages(&run.lines(&steps).0),
        [
            "M1 t1 Accepted incomplete from=? to= size=30 id=Q0",
            "M2 t2 Rejected complete from=f1@x to=r1@x=250 size=5 id=-",
            "M3 t3 Accepted complete from=f2@x to=r2@x=250 size=5 id=Q2",
        ]
    );
}

/// A message whose first chunk's BDAT is missing: its text has lines like commands.
#[test]
fn a_first_chunk_whose_bdat_is_lost_is_not_read_as_commands() {
    let begin = [
        s("220 x\r\n"),
        c("EHLO me\r\n"),
        s("250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n"),
        c("MAIL FROM:<a>\r\nRCPT TO:<b>\r\n"),
        s("250 2.1.0 ok\r\n250 2.1.5 ok\r\n"),
    ];
    let text = "Subject: a\r\n\r\nso it went\r\n.\r\nQUIT\r\nRSET\r\nMAIL FROM:<x@y>\r\nNOOP\r\nRSET\r\n250 ok\r\nDATA\r\nbye\r\n";
    let chunk = format!("BDAT {} LAST\r\n{text}", text.len());
    let commands = |steps: &[Step]| -> Vec<String> {
        let lines = lines(steps).into_iter().filter(|l| l.starts_with('C')).skip(3);
        lines.map(|l| l.split(' ').nth(1).unwrap().to_owned()).collect()
    };
    let end = [s("250 2.0.0 queued as A1\r\n"), c("QUIT\r\n"), s("221 bye\r\n")];
    for lost in 1..chunk.len() {
        let gap = [Step::Gap(CLIENT, lost as u64), c(&chunk[lost..])];
        assert_eq!(commands(&[&begin[..], &gap, &end].concat()), ["QUIT"], "{lost} bytes lost");
        // Another command is sent with the chunk.
        let gap = [Step::Gap(CLIENT, lost as u64), c([&chunk[lost..], "QUIT\r\n"].concat())];
        let steps = [&begin[..], &gap, &[s("250 2.0.0 queued as A1\r\n221 bye\r\n")]].concat();
        assert_eq!(commands(&steps), ["QUIT"], "{lost} bytes lost");
    }
    // No reply to it is there.
    let gap = [Step::Gap(CLIENT, 40), c([&chunk[40..], "QUIT\r\n"].concat()), Step::Gap(SERVER, 33)];
    assert_eq!(commands(&[&begin[..], &gap].concat()), ["QUIT"]);
    assert_eq!(commands(&[&begin[..], &gap, &[c("NOOP\r\n"), s("250 ok\r\n")]].concat()), ["NOOP"]);
    // The envelope has its replies only now, and the chunk's first part is there.
    let early = [&begin[..4], &[Step::Gap(CLIENT, 36), c(&chunk[36..70])], &begin[4..]].concat();
    assert_eq!(commands(&[&early[..], &[c(&chunk[70..])], &end].concat()), ["QUIT"]);
}

/// A chunk ends amid a line, and the next one's BDAT follows the reply.
#[test]
fn a_command_behind_a_lost_chunk_without_a_line_end() {
    let steps = [
        s("220 x\r\n"),
        c("EHLO me\r\n"),
        s("250-x\r\n250 CHUNKING\r\n"),
        c("MAIL FROM:<a>\r\nRCPT TO:<b>\r\n"),
        s("250 ok\r\n250 ok\r\n"),
        Step::Gap(CLIENT, 12),
        c("rom: a\r\nTo: b\r\nSub"),
        s("250 20 bytes\r\n"),
        c("BDAT 6 LAST\r\nRSET\r\n"),
        s("250 ok\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    assert_eq!(
        lines(&steps)[8..],
        [
            "D resynchronised",
            "D skipped",
            "C4 BDAT 6 LAST",
            "M1 t1 Accepted incomplete from=a to=b=250 size=6 id=-",
            "S4 250 ok",
            "C5 QUIT ",
            "S5 221 bye",
        ]
    );
}

/// What is no chunk stays told, though the server takes chunks.
#[test]
fn commands_behind_a_gap_where_chunks_are_possible() {
    let begin = [s("220 x\r\n"), c("EHLO me\r\n"), s("250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n")];
    let flight = "MAIL FROM:<a>\r\nRCPT TO:<b>\r\nRCPT TO:<c>\r\nDATA\r\n";
    for (from, first) in [(3, "RCPT TO:<b>"), (15, "RCPT TO:<b>"), (20, "RCPT TO:<c>"), (30, "DATA ")] {
        let rest = [
            Step::Gap(CLIENT, from as u64),
            c(&flight[from..]),
            s("250 2.1.0 ok\r\n250 2.1.5 ok\r\n"),
            s("250 2.1.5 ok\r\n354 go\r\n"),
            c("x\r\n.\r\n"),
            s("250 2.0.0 queued as A1\r\n"),
            c("QUIT\r\n"),
            s("221 bye\r\n"),
        ];
        let found = lines(&[&begin[..], &rest].concat());
        let commands: Vec<&str> = found.iter().filter(|l| l.starts_with('C')).map(|l| &l[3..]).collect();
        assert_eq!(commands[1], first, "{from} bytes lost: {found:?}");
        assert_eq!(commands[commands.len() - 2..], ["DATA ", "QUIT "], "{from} bytes lost: {found:?}");
        assert!(messages(&found)[0].contains("Accepted"), "{from} bytes lost: {found:?}");
    }
}

/// A flight of commands in packets of which the ends are missing: a line's rest comes with the next.
#[test]
fn the_rest_of_a_cut_line_is_no_line() {
    let told = |client: &[Step], replies: &str| {
        let begin = [s("220 x\r\n"), c("EHLO me\r\n"), s("250-mx\r\n250 PIPELINING\r\n")];
        let end = [s(replies), c("Subject: x\r\n\r\nx\r\n.\r\n"), s("250 queued as AB12\r\n")];
        lines(&[&begin, client, &end].concat())
    };
    let commands =
        |lines: &[String]| lines.iter().filter(|l| l.starts_with('C')).map(|l| l[3..].to_owned()).collect::<Vec<_>>();
    let cut = || Step::Cut(CLIENT, 4);
    let first = c("MAIL FROM:<a@b>\r\nRCPT TO:<one@x.test>\r\nRCPT TO:<three@ex");
    let found = told(&[first, cut(), c(".test>\r\nDATA\r\n")], "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    assert_eq!(
        commands(&found),
        ["EHLO me", "MAIL FROM:<a@b>", "RCPT TO:<one@x.test>", "RCPT TO:<three@ex", "DATA "],
        "{found:#?}"
    );
    let again = [
        c("MAIL FROM:<a@b>\r\nRCPT TO:<one@x.test>\r\nRCPT"),
        cut(),
        c("<two@x.test>\r\nRCPT TO:<three@ex"),
        cut(),
        c(".test>\r\nDATA\r\n"),
    ];
    let found = told(&again, "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    assert!(commands(&found).iter().all(|c| !c.starts_with('.')), "{found:#?}");
    assert!(messages(&found)[0].contains("Accepted complete from=a@b to=one@x.test=250 size=17"), "{found:#?}");
    // The server's.
    let steps = [
        &up_to_data()[..up_to_data().len() - 4],
        &[c("RCPT TO:<b@y>\r\nNOOP\r\n"), s("250 2.1.5 <us"), Step::Cut(SERVER, 4), s("> Ok\r\n250 done\r\n")],
    ]
    .concat();
    let found = lines(&steps);
    assert!(!found.iter().any(|l| l.contains("> Ok")), "{found:#?}");
}

#[test]
fn seven_bytes_behind_a_carriage_return_may_be_data() {
    for (captured, len) in [("RCPT TO:<b@y>\r", 7), ("RCPT TO:<b@y>", 8)] {
        let steps = [
            s("220 x\r\n"),
            c("EHLO me\r\n"),
            s("250-mx\r\n250 PIPELINING\r\n"),
            c(format!("MAIL FROM:<a@x>\r\n{captured}")),
            Step::Cut(CLIENT, len),
            s("250 ok\r\n250 ok\r\n354 go\r\n"),
            c("Subject: hello\r\n\r\nDear all\r\n.\r\n"),
            s("250 queued as AB12\r\n"),
        ];
        let found = lines(&steps);
        assert_eq!(messages(&found).len(), 1, "{found:#?}");
        assert!(!found.iter().any(|l| l.contains("Dear all")), "{found:#?}");
    }
}

#[test]
fn a_mail_whose_data_alone_is_missing_has_its_header() {
    let mail = |len, text: &str| {
        let steps = [
            s("220 x\r\n"),
            c("EHLO me\r\n"),
            s("250-mx\r\n250 PIPELINING\r\n"),
            c("MAIL FROM:<a@x>\r\n"),
            s("250 ok\r\n"),
            c("RCPT TO:<b@y>\r\n"),
            s("250 ok\r\n"),
            Step::Gap(CLIENT, len),
            s("354 go\r\n"),
            c(text),
            s("250 queued as AB12\r\n"),
        ];
        let (events, _) = Run::default().feed(&steps, usize::MAX);
        let message = events.into_iter().find_map(|e| match e.body {
            EventBody::Message(message) => Some(*message),
            _ => None,
        });
        message.map(|m| (m.subject, m.complete))
    };
    let hello = "Message-ID: <1@x>\r\nSubject: hello\r\n\r\nDear all\r\n.\r\n";
    assert_eq!(mail(6, hello), Some((Some("hello".into()), false)));
    // What is missing may have more than a header: this one is quoted.
    assert_eq!(mail(6000, hello), Some((None, false)));
    assert_eq!(mail(100, "he wrote:\r\nSubject: other\r\n\r\nx\r\n.\r\n"), Some((None, false)));
}

#[test]
fn a_verdict_is_not_anothers_where_a_recipient_was_cut_off() {
    let begin = [
        s("220 x LMTP\r\n"),
        c("LHLO me\r\n"),
        s("250-mx\r\n250 PIPELINING\r\n"),
        c("MAIL FROM:<a@x>\r\n"),
        s("250 ok\r\n"),
    ];
    let recipients = [
        c("RCPT TO:<one-with-a-long-na"),
        Step::Cut(CLIENT, 12),
        s("250 ok\r\n"),
        c("RCPT TO:<two@x.test>\r\n"),
        s("250 ok\r\n"),
    ];
    let end =
        [c("DATA\r\n"), s("354 go\r\n"), c("x\r\n.\r\n"), s("452 4.2.2 <one-with-a-long-na full\r\n250 saved\r\n")];
    let found = lines(&[&begin[..], &recipients, &end].concat());
    assert_eq!(messages(&found), ["M1 t1 Accepted complete from=a@x to=two@x.test=250 size=3 id=-"], "{found:#?}");
}

/// Behind the reply to a cut command what comes is another one, be it none that is known.
#[test]
fn a_command_behind_a_cut_one_that_was_answered_is_its_own() {
    let cut = [s("220 x\r\n"), c("EHLO a-long-na"), Step::Cut(CLIENT, 12), s("250 x\r\n")];
    let found = lines(&[&cut[..], &[c("HELP\r\n"), s("214 none\r\n"), c("FROB x\r\n"), s("500 what\r\n")]].concat());
    assert_eq!(found[1..], ["C1 EHLO a-long-na", "S1 250 x", "C2 HELP ", "S2 214 none", "C3 FROB x", "S3 500 what"]);
}

#[test]
fn of_the_client_alone_nobody_knows_that_xexch50_was_refused() {
    let mail = |text: &str| [c("MAIL FROM:<a@x>\r\n"), c("RCPT TO:<b@y>\r\n"), c("XEXCH50 30 2\r\n"), c(text)];
    let data = c("DATA\r\nhello\r\n.\r\nQUIT\r\n");
    let run = Run { one_sided: true, ..Run::default() };
    for blob in ["", "\u{1}\u{2}ten bytes\0\r\nbinary 123456789"] {
        let steps = [&[c("EHLO me\r\n")], &mail(blob)[..], std::slice::from_ref(&data)].concat();
        let (events, summary) = run.feed(&steps, usize::MAX);
        assert_eq!((messages(&show(&events)).len(), summary.outcome), (1, Some(Outcome::Completed)), "{blob:?}");
    }
}

/// EHLO, its reply and the greeting are cut by the snapshot length: the command behind them was taken for the rest of
/// EHLO's line, and its reply for the greeting.
#[test]
fn the_command_behind_a_cut_hello_and_its_cut_reply_is_one() {
    let steps = [
        s("220 mx.example.test ESMTP "),
        Step::Cut(Direction::Server, 30),
        c("EHLO hhhhhhhhhhhhhhhh"),
        Step::Cut(Direction::Client, 40),
        s("250-mx\r\n250-PIPELINING\r\n25"),
        Step::Cut(Direction::Server, 23),
        c("VRFY joe user\r\n"),
        s("500 5.5.1 unknown command "),
        Step::Cut(Direction::Server, 3),
        c("MAIL FROM:<a@x>\r\n"),
        s("250 2.1.0 ok\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let (lines, summary) = Run::default().lines(&steps);
    assert!(
        lines.contains(&"C2 VRFY joe user".to_owned()) && lines.contains(&"C3 MAIL FROM:<a@x>".to_owned()),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("S2 500")), "{lines:#?}");
    assert_eq!(summary.outcome, Some(Outcome::Completed));
}

/// The packet with the password is what is missing: that none was sent is not so, nor that the client cancelled.
#[test]
fn a_login_whose_response_is_lost_has_its_verdict() {
    let begin = [s("220 x\r\n"), c("EHLO me\r\n"), s("250-x\r\n250 AUTH PLAIN LOGIN\r\n")];
    let plain = [c("AUTH PLAIN\r\n"), s("334 \r\n"), Step::Gap(CLIENT, 18)];
    let login = [
        c("AUTH LOGIN\r\n"),
        s("334 VXNlcm5hbWU6\r\n"),
        c("YWxpY2U=\r\n"),
        s("334 UGFzc3dvcmQ6\r\n"),
        Step::Gap(CLIENT, 10),
    ];
    let user_lost = [
        c("AUTH LOGIN\r\n"),
        s("334 VXNlcm5hbWU6\r\n"),
        Step::Gap(CLIENT, 10),
        s("334 UGFzc3dvcmQ6\r\n"),
        c("c2VjcmV0\r\n"),
    ];
    for (exchange, sent) in [(&plain[..], None), (&login[..], None), (&user_lost[..], Some(true))] {
        for (reply, outcome) in [("235 ok\r\n", AuthOutcome::Success), ("535 no\r\n", AuthOutcome::Failure)] {
            let steps = [&begin, exchange, &[s(reply), c("QUIT\r\n"), s("221 bye\r\n")]].concat();
            let events = Run::default().feed(&steps, usize::MAX).0;
            let auths = events.iter().filter_map(|e| if let EventBody::Auth(a) = &e.body { Some(a) } else { None });
            let told: Vec<_> = auths.map(|auth| (auth.outcome, auth.secret_sent)).collect();
            assert_eq!(told, [(outcome, sent)], "{reply} {exchange:?}");
            assert!(!format!("{events:?}").contains("c2VjcmV0"), "{events:?}");
        }
        // Nobody knows why there is none.
        let events = Run::default().feed(&[&begin, exchange, &[Step::End(Direction::Client)]].concat(), usize::MAX).0;
        assert!(!format!("{events:?}").contains("outcome: Success"), "{events:?}");
    }
}

/// Of both sides a second is missing, with the verdict on alice and another's AUTH: what follows is not alice's.
#[test]
fn a_login_of_which_both_sides_are_lost_has_no_later_ones_verdict() {
    let begin =
        [s("220 x\r\n"), c("AUTH LOGIN\r\n"), s("334 VXNlcm5hbWU6\r\n"), c("YWxpY2U=\r\n"), s("334 UGFzc3dvcmQ6\r\n")];
    let (client, server) = (Step::Gap(CLIENT, 40), Step::Gap(SERVER, 12));
    for gaps in [[client.clone(), server.clone()], [server, client]] {
        let steps = [&begin[..], &gaps, &[s("235 ok\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]].concat();
        let events = Run::default().feed(&steps, usize::MAX).0;
        let auths = events.iter().filter_map(|e| if let EventBody::Auth(a) = &e.body { Some(a) } else { None });
        let told: Vec<_> = auths.map(|auth| (auth.user.clone(), auth.outcome)).collect();
        assert_eq!(told, [(Some("alice".into()), AuthOutcome::Unknown)]);
        // Her password is there, what came next is not.
        let sent = [&begin[..], &[c("c2VjcmV0\r\n")], &gaps].concat();
        let steps = [&sent[..], &[s("235 ok\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]].concat();
        let events = Run::default().feed(&steps, usize::MAX).0;
        let succeeds = |e: &Event| matches!(&e.body, EventBody::Auth(a) if a.outcome == AuthOutcome::Success);
        assert!(!events.iter().any(succeeds), "{events:?}");
    }
}

/// AUTH is in the gap; its 235, which nothing else gets, shows that somebody got in, and not who was refused before.
#[test]
fn a_login_in_a_gap_is_not_that_of_who_was_refused() {
    let steps = [
        &[s("220 x\r\n"), c("EHLO me\r\n"), s("250-x\r\n250 AUTH PLAIN\r\n")][..],
        &[c("AUTH PLAIN AGFsaWNlAHdyb25n\r\n"), s("535 5.7.8 no\r\n"), Step::Gap(CLIENT, 40), s("235 2.7.0 ok\r\n")],
        &[c("MAIL FROM:<a@x>\r\n"), s("250 ok\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
    ]
    .concat();
    let (events, summary) = Run::default().feed(&steps, usize::MAX);
    let auths = events.iter().filter_map(|e| if let EventBody::Auth(a) = &e.body { Some(a) } else { None });
    let told: Vec<_> = auths.map(|auth| (auth.user.clone(), auth.outcome)).collect();
    assert_eq!(told, [(Some("alice".into()), AuthOutcome::Failure), (None, AuthOutcome::Success)]);
    assert_eq!(summary.user, None);
}

/// The challenge is missing with the response, or another login is; whoever it was got in, and not who was refused before.
#[test]
fn a_verdict_behind_losses_of_both_sides_is_told_where_it_names_nobody() {
    for (verdict, outcome) in [("235 2.7.0 ok\r\n", AuthOutcome::Success), ("535 5.7.8 no\r\n", AuthOutcome::Failure)] {
        let steps = [
            &[s("220 x\r\n"), c("EHLO me\r\n"), s("250-x\r\n250 AUTH PLAIN\r\n")][..],
            &[c("AUTH PLAIN AGFsaWNlAHdyb25n\r\n"), s("535 5.7.8 no\r\n"), c("AUTH PLAIN\r\n")],
            &[Step::Gap(Direction::Server, 6), Step::Gap(CLIENT, 18), s(verdict), c("QUIT\r\n"), s("221 bye\r\n")],
        ]
        .concat();
        let (events, summary) = Run::default().feed(&steps, usize::MAX);
        let auths = events.iter().filter_map(|e| if let EventBody::Auth(a) = &e.body { Some(a) } else { None });
        let told: Vec<_> = auths.map(|auth| (auth.user.clone(), auth.outcome)).collect();
        assert_eq!(told, [(Some("alice".into()), AuthOutcome::Failure), (None, outcome)]);
        assert_eq!(summary.user, Some("alice".into()).filter(|_| outcome == AuthOutcome::Failure));
    }
}

/// Some servers answer MAIL so where nobody is logged in; the 235 is missing, and no command.
#[test]
fn a_535_that_answers_mail_behind_a_gap_is_no_login() {
    let steps = [
        &[s("220 x\r\n"), c("EHLO me\r\n"), s("250-x\r\n250 AUTH PLAIN\r\n")][..],
        &[c("AUTH PLAIN AGJvYgBodW50ZXI=\r\n"), Step::Gap(Direction::Server, 14)],
        &[c("MAIL FROM:<a@x>\r\n"), s("250 ok\r\n"), c("RCPT TO:<b@y>\r\n"), s("535 5.7.3 not for you\r\n")],
        &[c("QUIT\r\n"), s("221 bye\r\n")],
    ];
    let (events, summary) = Run::default().feed(&steps.concat(), usize::MAX);
    let auths = events.iter().filter_map(|e| if let EventBody::Auth(a) = &e.body { Some(a) } else { None });
    let told: Vec<_> = auths.map(|auth| (auth.user.clone(), auth.outcome)).collect();
    assert_eq!(told, [(Some("bob".into()), AuthOutcome::Unknown)]);
    assert_eq!((summary.outcome, summary.user), (Some(Outcome::Completed), Some("bob".into())));
    // A command before the gap that had its reply in another one does not hide AUTH.
    let steps = [s("220 x\r\n"), c("EHLO me\r\n"), Step::Gap(Direction::Server, 60), Step::Gap(CLIENT, 40)];
    let steps = [&steps[..], &[s("235 2.7.0 ok\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]].concat();
    let events = Run::default().feed(&steps, usize::MAX).0;
    assert!(events.iter().any(|e| matches!(&e.body, EventBody::Auth(a) if a.outcome == AuthOutcome::Success)));
}

/// AUTH is missing, and what the client sent with it is not: a 235 is AUTH's alone, and takes no command's reply from it.
#[test]
fn a_login_in_a_gap_is_seen_with_commands_in_the_same_flight() {
    let steps = [
        &[s("220 x\r\n"), c("EHLO me\r\n"), s("250-x\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n")][..],
        &[Step::Gap(CLIENT, 29), c("MAIL FROM:<a@x>\r\n"), s("235 2.7.0 ok\r\n"), s("250 2.1.0 ok\r\n")],
        &[c("QUIT\r\n"), s("221 bye\r\n")],
    ];
    let events = Run::default().feed(&steps.concat(), usize::MAX).0;
    let outcome = events.iter().find_map(|e| if let EventBody::Auth(a) = &e.body { Some(a.outcome) } else { None });
    assert_eq!(outcome, Some(AuthOutcome::Success));
    let mail = events.iter().find(|e| matches!(&e.body, EventBody::Command(command) if command.verb == "MAIL".into()));
    let answered = events.iter().find_map(|event| match &event.body {
        EventBody::Reply(reply) if reply.enhanced == Some("2.1.0".into()) => Some(reply.command),
        _ => None,
    });
    assert_eq!(answered, Some(mail.map(|event| event.seq)));
}

/// QUIT is missing, and its 221 is not: nothing was broken off.
#[test]
fn the_answer_to_a_lost_quit_ends_the_session_in_order() {
    let steps = [&[s("220 x\r\n"), c("NOOP\r\n"), s("250 ok\r\n")][..], &[Step::Gap(CLIENT, 6), s("221 bye\r\n")]];
    assert_eq!(Run::default().feed(&steps.concat(), usize::MAX).1.outcome, Some(Outcome::Completed));
    // It was HTTP that is missing.
    let steps = [s("220 x\r\n"), Step::Gap(CLIENT, 27), s("221 2.7.0 Error: I can break rules, too. Goodbye.\r\n")];
    let steps = [&steps[..], &[Step::End(Direction::Server), Step::End(Direction::Client)]].concat();
    assert_ne!(Run::default().feed(&steps, usize::MAX).1.outcome, Some(Outcome::Completed));
}

/// The last chunk is missing, and the client goes on: the server may have taken the message, or not.
#[test]
fn a_message_whose_last_chunk_is_lost_is_not_aborted() {
    let steps = [
        &[s("220 x\r\n"), c("EHLO me\r\n"), s("250-x\r\n250 CHUNKING\r\n")][..],
        &[c("MAIL FROM:<a@x>\r\n"), s("250 ok\r\n"), c("RCPT TO:<b@y>\r\n"), s("250 ok\r\n")],
        &[c("BDAT 6\r\nA: 1\r\n"), s("250 6 octets\r\n"), Step::Gap(CLIENT, 13), s("452 4.2.2 full\r\n")],
        &[c("VRFY joe\r\n"), s("252 2.0.0 joe\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
        &[Step::End(Direction::Client), Step::End(Direction::Server)],
    ];
    let events = Run::default().feed(&steps.concat(), usize::MAX).0;
    assert!(messages(&show(&events)).len() == 1 && !format!("{events:?}").contains("MessageCut"), "{events:?}");
    assert!(format!("{events:?}").contains("outcome: Unknown"), "{events:?}");
}

/// RSET is missing: what a refused MAIL was to begin has nothing to do with the message before it.
#[test]
fn recipients_behind_a_lost_reset_are_not_those_of_the_message_before() {
    let together = [c("MAIL FROM:<d@x>\r\nRCPT TO:<e@y>\r\n"), s("530 5.7.0 no\r\n503 5.5.1 no\r\n")];
    let one_by_one = [c("MAIL FROM:<d@x>\r\n"), s("530 5.7.0 no\r\n"), c("RCPT TO:<e@y>\r\n"), s("503 5.5.1 no\r\n")];
    for refused in [&together[..], &one_by_one] {
        let steps = [
            &[s("220 x\r\n"), c("EHLO me\r\n"), s("250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n")][..],
            &[c("MAIL FROM:<a@x>\r\n"), s("250 ok\r\n"), c("RCPT TO:<b@y>\r\n"), s("250 ok\r\n")],
            &[c("BDAT 6\r\nA: 1\r\n"), s("250 6 octets\r\n"), Step::Gap(CLIENT, 6), s("250 2.0.0 ok\r\n")],
            refused,
            &[c("QUIT\r\n"), s("221 bye\r\n")],
        ];
        let events = Run::default().feed(&steps.concat(), usize::MAX).0;
        let message = events.iter().find_map(|e| if let EventBody::Message(m) = &e.body { Some(m) } else { None });
        let recipients: Vec<_> = message.unwrap().rcpt_to.iter().map(|r| r.address.clone()).collect();
        assert_eq!(recipients, ["b@y".into()], "{events:?}");
    }
}

/// LMTP: a verdict that names somebody whose RCPT is missing is not the next recipient's (RFC 2033 §4.2).
#[test]
fn a_verdict_on_a_recipient_in_a_gap_is_nobody_elses() {
    let steps = [
        &[s("220 x LMTP\r\n"), c("LHLO me\r\n"), s("250 x\r\n"), c("MAIL FROM:<s@x>\r\n"), s("250 2.1.0 OK\r\n")][..],
        &[c("RCPT TO:<a@x>\r\n"), s("250 2.1.5 OK\r\n"), Step::Gap(CLIENT, 15), s("250 2.1.5 OK\r\n")],
        &[c("RCPT TO:<c@x>\r\n"), s("250 2.1.5 OK\r\n"), c("DATA\r\n"), s("354 OK\r\n"), c("A: 1\r\n\r\n.\r\n")],
        &[s("250 2.0.0 <a@x> q1 Saved\r\n"), s("250 2.0.0 <b@x> q2 Saved\r\n"), s("552 5.2.2 <c@x> over quota\r\n")],
        &[c("QUIT\r\n"), s("221 bye\r\n")],
    ];
    let events = Run::default().feed(&steps.concat(), usize::MAX).0;
    let message = events.iter().find_map(|e| if let EventBody::Message(m) = &e.body { Some(m) } else { None }).unwrap();
    let told: Vec<_> = message.rcpt_to.iter().map(|r| (r.address.to_str_lossy().into_owned(), r.code)).collect();
    assert_eq!(told, [("a@x".into(), Some(250)), ("c@x".into(), Some(552))], "{events:?}");
    assert_eq!(message.outcome, MessageOutcome::Accepted);
}

/// The transaction seems to begin with its second recipient.
#[test]
fn a_verdict_on_who_is_missing_with_mail_is_nobody_elses() {
    let steps = [
        &[s("220 x LMTP\r\n"), c("LHLO me\r\n"), s("250 x\r\n"), Step::Gap(CLIENT, 17), s("250 2.1.0 OK\r\n")][..],
        &[Step::Gap(CLIENT, 15), s("250 2.1.5 OK\r\n"), c("RCPT TO:<c@x>\r\n"), s("250 2.1.5 OK\r\n")],
        &[c("DATA\r\n"), s("354 OK\r\n"), c("A: 1\r\n\r\n.\r\n")],
        &[s("250 2.0.0 <a@x> q1 Saved\r\n"), s("552 5.2.2 <c@x> over quota\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
    ];
    let events = Run::default().feed(&steps.concat(), usize::MAX).0;
    let message = events.iter().find_map(|e| if let EventBody::Message(m) = &e.body { Some(m) } else { None }).unwrap();
    let told: Vec<_> = message.rcpt_to.iter().map(|r| (r.address.to_str_lossy().into_owned(), r.code)).collect();
    assert_eq!((told, message.outcome), (vec![("c@x".into(), Some(552))], MessageOutcome::Accepted));
}

/// A server may write the recipient otherwise, and a gap too short for RCPT holds none: what follows is as ever.
#[test]
fn a_verdict_behind_a_gap_names_its_recipient_in_any_letters() {
    for (lost, named) in [("RCPT TO:<a@x>\r\n", "<C@X>"), ("DATA\r\n", "<c@x>"), ("DATA\r\n", "<charlie>")] {
        let rcpt = |line: &str| if line == lost { Step::Gap(CLIENT, line.len() as u64) } else { c(line) };
        let steps = [
            &[s("220 x LMTP\r\n"), c("LHLO me\r\n"), s("250 x\r\n"), c("MAIL FROM:<s@x>\r\n"), s("250 2.1.0 OK\r\n")][..],
            &[rcpt("RCPT TO:<a@x>\r\n"), s("250 2.1.5 OK\r\n"), c("RCPT TO:<c@x>\r\n"), s("250 2.1.5 OK\r\n")],
            &[rcpt("DATA\r\n"), s("354 OK\r\n"), c("A: 1\r\n\r\n.\r\n")],
            &[s("250 2.0.0 <A@X> q1 Saved\r\n"), s(format!("552 5.2.2 {named} over quota\r\n"))],
            &[c("QUIT\r\n"), s("221 bye\r\n")],
        ];
        let events = Run::default().feed(&steps.concat(), usize::MAX).0;
        let message = events.iter().find_map(|e| if let EventBody::Message(m) = &e.body { Some(m) } else { None });
        let last = message.unwrap().rcpt_to.last().unwrap().clone();
        assert_eq!((last.address, last.code, last.accepted), ("c@x".into(), Some(552), Some(false)), "{lost} {named}");
    }
}

/// Postfix's postscreen: a greeting's first line, and then the refusal.
#[test]
fn a_refusal_behind_a_teaser_is_no_part_of_the_banner() {
    let steps = [s("220-mx.example ESMTP\r\n"), s("550 5.7.1 Service unavailable\r\n")];
    let (events, summary) = Run::default().feed(&steps, usize::MAX);
    assert_eq!(summary.banner, Some("mx.example ESMTP".into()));
    let reply = events.iter().find_map(|e| if let EventBody::Reply(r) = &e.body { Some(r) } else { None });
    assert_eq!(reply.map(|reply| (reply.code, reply.began)), Some((Some(550), Some((220, 1)))));
}
