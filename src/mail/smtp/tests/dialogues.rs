//! Whole dialogues: those of the RFCs, and what clients and servers make of them.

use super::*;

#[test]
fn a_typical_transaction() {
    // RFC 5321, appendix D.1, with a message.
    let steps = [
        s("220 foo.com Simple Mail Transfer Service Ready\r\n"),
        c("EHLO bar.com\r\n"),
        s("250-foo.com greets bar.com\r\n250-8BITMIME\r\n250-SIZE\r\n250-DSN\r\n250 HELP\r\n"),
        c("MAIL FROM:<Smith@bar.com>\r\n"),
        s("250 OK\r\n"),
        c("RCPT TO:<Jones@foo.com>\r\n"),
        s("250 OK\r\n"),
        c("RCPT TO:<Green@foo.com>\r\n"),
        s("550 No such user here\r\n"),
        c("RCPT TO:<Brown@foo.com>\r\n"),
        s("250 OK\r\n"),
        c("DATA\r\n"),
        s("354 Start mail input; end with <CRLF>.<CRLF>\r\n"),
        c("Blah blah blah...\r\n...etc. etc. etc.\r\n.\r\n"),
        s("250 OK\r\n"),
        c("QUIT\r\n"),
        s("221 foo.com Service closing transmission channel\r\n"),
    ];
    let (lines, summary) = Run::default().lines(&steps);
    assert_eq!(
        lines,
        [
            "S- 220 foo.com Simple Mail Transfer Service Ready",
            "C1 EHLO bar.com",
            "S1 250 foo.com greets bar.com / 8BITMIME / SIZE / DSN / HELP",
            "C2 MAIL FROM:<Smith@bar.com>",
            "S2 250 OK",
            "C3 RCPT TO:<Jones@foo.com>",
            "S3 250 OK",
            "C4 RCPT TO:<Green@foo.com>",
            "S4 550 No such user here",
            "C5 RCPT TO:<Brown@foo.com>",
            "S5 250 OK",
            "C6 DATA ",
            "S6 354 Start mail input; end with <CRLF>.<CRLF>",
            "M1 t1 Accepted complete from=Smith@bar.com to=Jones@foo.com=250,Green@foo.com=550,Brown@foo.com=250 size=37 id=-",
            "S6 250 OK",
            "C7 QUIT ",
            "S7 221 foo.com Service closing transmission channel",
        ]
    );
    assert_eq!(summary.outcome, Some(Outcome::Completed));
    assert_eq!((summary.commands, summary.messages), (7, 1));
    assert_eq!(summary.helo, Some("bar.com".into()));
    assert_eq!(summary.last_error, Some("550 No such user here".into()));
    // Frames are 1000 ns apart.
    assert_eq!(summary.slowest_reply, Some(1000));
    assert_eq!(bodies(&steps), ["Blah blah blah...\r\n..etc. etc. etc.\r\n"]);
}

#[test]
fn pipelining() {
    // RFC 2920 §4, second example, with the final dot and the next transaction in one flight.
    let steps = [
        s("220 Innosoft.com SMTP service ready\r\n"),
        c("EHLO dbc.mtview.ca.us\r\n"),
        s("250-Innosoft.com\r\n250 PIPELINING\r\n"),
        c("MAIL FROM:<mrose@dbc.mtview.ca.us>\r\nRCPT TO:<ned@innosoft.com>\r\nRCPT TO:<dan@innosoft.com>\r\nDATA\r\n"),
        s("250 sender OK\r\n250 recipient OK\r\n550 no\r\n354 enter mail, end with line containing only \".\"\r\n"),
        c("one\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<x@y>\r\nDATA\r\n"),
        s("250 2.0.0 Ok: queued as ABC\r\n250 a\r\n250 b\r\n354 c\r\n"),
        c(".\r\nQUIT\r\n"),
        s("250 2.0.0 Ok: queued as DEF\r\n221 bye\r\n"),
    ];
    assert_eq!(
        lines(&steps)[3..],
        [
            "C2 MAIL FROM:<mrose@dbc.mtview.ca.us>",
            "C3 RCPT TO:<ned@innosoft.com>",
            "C4 RCPT TO:<dan@innosoft.com>",
            "C5 DATA ",
            "S2 250 sender OK",
            "S3 250 recipient OK",
            "S4 550 no",
            "S5 354 enter mail, end with line containing only \".\"",
            "M1 t1 Accepted complete from=mrose@dbc.mtview.ca.us to=ned@innosoft.com=250,dan@innosoft.com=550 size=5 id=ABC",
            "C6 MAIL FROM:<>",
            "C7 RCPT TO:<x@y>",
            "C8 DATA ",
            "S5 250 2.0.0 Ok: queued as ABC",
            "S6 250 a",
            "S7 250 b",
            "S8 354 c",
            "M2 t2 Accepted complete from= to=x@y=250 size=0 id=DEF",
            "C9 QUIT ",
            "S8 250 2.0.0 Ok: queued as DEF",
            "S9 221 bye",
        ]
    );
}

#[test]
fn data_refused_is_no_message() {
    // RFC 2920 §4: all recipients are refused, and so is DATA, behind which commands come at once.
    let steps = [
        s("220 x\r\n"),
        c("MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nRSET\r\n"),
        s("250 ok\r\n550 no\r\n554 no valid recipients given\r\n250 reset\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let (lines, summary) = Run::default().lines(&steps);
    assert_eq!(
        lines[1..],
        [
            "C1 MAIL FROM:<a>",
            "C2 RCPT TO:<b>",
            "C3 DATA ",
            "S1 250 ok",
            "S2 550 no",
            "S3 554 no valid recipients given",
            "C4 RSET ",
            "S4 250 reset",
            "C5 QUIT ",
            "S5 221 bye"
        ]
    );
    assert_eq!(summary.messages, 0);
    assert_eq!(summary.outcome, Some(Outcome::Completed));
}

#[test]
fn chunks() {
    // RFC 3030 §4.2.
    let steps = [
        s("220 cnri.reston.va.us SMTP service ready\r\n"),
        c("EHLO ymir.claremont.edu\r\n"),
        s("250-cnri.reston.va.us says hello\r\n250 CHUNKING\r\n"),
        c("MAIL FROM:<Sam@Random.com>\r\n"),
        s("250 <Sam@Random.com> Sender ok\r\n"),
        c("RCPT TO:<Susan@Random.com>\r\n"),
        s("250 <Susan@random.com> Recipient ok\r\n"),
        c("bdat 10\r\nRSET\r\nQUI\r"),
        s("250 10 octets received\r\n"),
        c("BDAT 5\r\n.\r\n.."),
        s("250 5 octets received\r\n"),
        c("BDAT 0 LAST\r\n"),
        s("250 Message OK, 15 octets received\r\n"),
        c("MAIL FROM:<two>\r\nRCPT TO:<b>\r\nBDAT 3 LAST\r\nabcQUIT\r\n"),
        s("250 ok\r\n250 ok\r\n250 2.0.0 Ok: 3 bytes queued as Q1\r\n221 bye\r\n"),
    ];
    // 10 bytes are `RSET CRLF QUI CR`.
    assert_eq!(
        lines(&steps)[7..],
        [
            "C4 BDAT 10",
            "S4 250 10 octets received",
            "C5 BDAT 5",
            "S5 250 5 octets received",
            "C6 BDAT 0 LAST",
            "M1 t1 Accepted complete from=Sam@Random.com to=Susan@Random.com=250 size=15 id=-",
            "S6 250 Message OK, 15 octets received",
            "C7 MAIL FROM:<two>",
            "C8 RCPT TO:<b>",
            "C9 BDAT 3 LAST",
            "M2 t2 Accepted complete from=two to=b=250 size=3 id=Q1",
            "C10 QUIT ",
            "S7 250 ok",
            "S8 250 ok",
            "S9 250 2.0.0 Ok: 3 bytes queued as Q1",
            "S10 221 bye",
        ]
    );
    assert_eq!(bodies(&steps), ["RSET\r\nQUI\r.\r\n..", "abc"]);
}

#[test]
fn refused_chunks() {
    let hello = [s("220 x\r\n"), c("MAIL FROM:<a>\r\n"), s("250 ok\r\n"), c("RCPT TO:<b>\r\n"), s("250 ok\r\n")];
    // Refused, then RSET: aborted; nothing leaks into the next mail.
    let steps = [
        &hello[..],
        &[
            c("BDAT 4\r\nabcd"),
            s("452 full\r\n"),
            c("RSET\r\n"),
            s("250 ok\r\n"),
            c("MAIL FROM:<c>\r\n"),
            s("250 ok\r\n"),
            c("RCPT TO:<d>\r\n"),
            s("250 ok\r\n"),
            c("BDAT 2 LAST\r\nxy"),
            s("250 ok\r\n"),
        ],
    ]
    .concat();
    let found: Vec<String> = lines(&steps).into_iter().filter(|l| l.starts_with('M')).collect();
    assert_eq!(
        found,
        ["M1 t1 Aborted incomplete from=a to=b=250 size=4 id=-", "M2 t2 Accepted complete from=c to=d=250 size=2 id=-"]
    );
    // Pipelined: the bytes of the later chunks follow though the first was refused.
    let steps =
        [&hello[..], &[c("BDAT 4\r\nabcdBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"), s("552 too big\r\n503 no\r\n250 ok\r\n")]]
            .concat();
    assert_eq!(
        lines(&steps)[5..],
        [
            "C3 BDAT 4",
            "C4 BDAT 6 LAST",
            "M1 t1 Aborted complete from=a to=b=250 size=10 id=-",
            "C5 NOOP ",
            "S3 552 too big",
            "S4 503 no",
            "S5 250 ok",
        ]
    );
    // The last one refused: rejected.
    let steps = [&hello[..], &[c("BDAT 4 LAST\r\nabcd"), s("550 spam\r\n")]].concat();
    assert_eq!(lines(&steps)[6], "M1 t1 Rejected complete from=a to=b=250 size=4 id=-");
    // RSET between chunks.
    let steps = [&hello[..], &[c("BDAT 4\r\nabcd"), s("250 ok\r\n"), c("RSET\r\n"), s("250 ok\r\n")]].concat();
    assert_eq!(lines(&steps)[7..], ["C4 RSET ", "S4 250 ok", "M1 t1 Aborted incomplete from=a to=b=250 size=4 id=-"]);
    // A size that is none: no bytes follow. A huge one, refused before a byte was sent.
    let steps = [
        &hello[..],
        &[
            c("BDAT x\r\n"),
            s("501 bad\r\n"),
            c("BDAT 99999999999999 LAST\r\n"),
            s("552 too big\r\n"),
            c("QUIT\r\n"),
            s("221 bye\r\n"),
        ],
    ]
    .concat();
    assert_eq!(
        lines(&steps)[5..],
        [
            "C3 BDAT x",
            "D bad-length",
            "S3 501 bad",
            "C4 BDAT 99999999999999 LAST",
            "S4 552 too big",
            "D bad-length",
            "M1 t1 Rejected incomplete from=a to=b=250 size=0 id=-",
            "C5 QUIT ",
            "S5 221 bye"
        ]
    );
}

#[test]
fn lmtp_replies_for_each_recipient() {
    // RFC 2033 §4.2, shortened.
    let steps = [
        s("220 foo.edu LMTP server ready\r\n"),
        c("LHLO foo.edu\r\n"),
        s("250-foo.edu\r\n250-PIPELINING\r\n250 SIZE\r\n"),
        c(
            "MAIL FROM:<chris@bar.com>\r\nRCPT TO:<pat@foo.edu>\r\nRCPT TO:<jones@foo.edu>\r\nRCPT TO:<green@foo.edu>\r\nDATA\r\n",
        ),
        s("250 OK\r\n250 OK\r\n550 No such user here\r\n250 OK\r\n354 Start mail input; end with <CRLF>.<CRLF>\r\n"),
        c("Blah\r\n.\r\nQUIT\r\n"),
        s("250 OK\r\n452 <green@foo.edu> is temporarily over quota\r\n221 foo.edu closing connection\r\n"),
    ];
    let (lines, summary) = Run::default().lines(&steps);
    assert_eq!(
        lines[13..],
        [
            "M1 t1 Accepted complete from=chris@bar.com to=pat@foo.edu=250,jones@foo.edu=550,green@foo.edu=452 size=6 id=-",
            "C7 QUIT ",
            "S6 250 OK",
            "S6 452 <green@foo.edu> is temporarily over quota",
            "S7 221 foo.edu closing connection",
        ]
    );
    assert_eq!(summary.protocol, Some(Protocol::Lmtp));
}

/// A verdict is for one recipient (RFC 2033 §4.2): without one it is neither accepted nor refused.
#[test]
fn lmtp_recipient_without_verdict_beside_one_that_has_one() {
    let accepted = |after: &[Step]| {
        let begin = [
            s("220 l LMTP\r\n"),
            c("LHLO me\r\n"),
            s("250 l\r\n"),
            c("MAIL FROM:<a>\r\nRCPT TO:<b>\r\nRCPT TO:<c>\r\nRCPT TO:<d>\r\n"),
            s("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n"),
        ];
        let (events, _) = Run::default().feed(&[&begin[..], after].concat(), usize::MAX);
        let message =
            events.iter().find_map(|e| if let EventBody::Message(m) = &e.body { Some(m) } else { None }).unwrap();
        message.rcpt_to.iter().map(|r| (r.accepted, r.code)).collect::<Vec<_>>()
    };
    let data = [c("DATA\r\n"), s("354 go\r\n"), c("x\r\n.\r\n")];
    for (reply, verdict) in
        [("550 bad\r\n", (false, 550)), ("421 going\r\n", (false, 421)), ("250 ok\r\n", (true, 250))]
    {
        let told = accepted(&[&data[..], &[s(reply)]].concat());
        let verdict = (Some(verdict.0), Some(verdict.1));
        assert_eq!(told, [verdict, (Some(false), Some(550)), (None, Some(250))], "{reply}");
    }
    let chunks =
        [c("BDAT 2\r\nab"), s("552 no\r\n"), c("BDAT 0 LAST\r\n"), s("503 x\r\n"), c("QUIT\r\n"), s("221 bye\r\n")];
    assert_eq!(accepted(&chunks), [(Some(false), Some(503)), (Some(false), Some(550)), (None, Some(250))]);
}

#[test]
fn authentication() {
    let steps = [
        s("220 x\r\n"),
        c("AUTH LOGIN\r\n"),
        s("334 VXNlcm5hbWU6\r\n"),
        c("YWxpY2U=\r\n"),
        s("334 UGFzc3dvcmQ6\r\n"),
        c("d3Jvbmc=\r\n"),
        s("535 5.7.8 failed\r\n"),
        c("AUTH PLAIN\r\n"),
        s("334 \r\n"),
        c("*\r\n"),
        s("501 5.7.0 aborted\r\n"),
        c("auth plain AGFsaWNlAHNlY3JldA==\r\n"),
        s("235 2.7.0 ok\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let (events, summary) = Run::default().feed(&steps, usize::MAX);
    let shown = show(&events);
    let kinds: Vec<&str> = shown.iter().map(|l| l.split(' ').next().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "S-", "C1", "S1", "C2", "S2", "C3", "D", "S3", "A", "C4", "S4", "C5", "S5", "A", "C6", "D", "S6", "A",
            "C7", "S7"
        ]
    );
    // Continuations are no commands of their own; no secret shows.
    assert_eq!(summary.commands, 4);
    assert_eq!(summary.outcome, Some(Outcome::Completed));
    assert!(!shown.iter().any(|l| l.contains("d3Jvbmc") || l.contains("AGFsaWNlAHNlY3JldA")), "{shown:?}");
    let outcomes: Vec<AuthOutcome> =
        events.iter().filter_map(|e| if let EventBody::Auth(a) = &e.body { Some(a.outcome) } else { None }).collect();
    assert_eq!(outcomes, [AuthOutcome::Failure, AuthOutcome::Aborted, AuthOutcome::Success]);
    // Inside TLS the password is not in the clear.
    let run = Run { tls: true, ..Run::default() };
    assert!(!run.lines(&steps).0.iter().any(|l| l.starts_with("D ")));
    // The failure stands when nothing but QUIT follows.
    assert_eq!(Run::default().feed(&[&steps[..7], &steps[13..]].concat(), 9).1.outcome, Some(Outcome::AuthFailed));
    // Commands in one flight with AUTH are commands, not responses.
    let steps = [s("220 x\r\n"), c("AUTH PLAIN AAA=\r\nMAIL FROM:<a>\r\n"), s("235 ok\r\n250 ok\r\n")];
    assert_eq!(lines(&steps)[5..], ["C2 MAIL FROM:<a>", "S2 250 ok"]);
}

#[test]
fn starttls() {
    let steps = [
        s("220 x\r\n"),
        c("EHLO a\r\n"),
        s("250 x\r\n"),
        c("STARTTLS now\r\n"),
        s("501 syntax\r\n"),
        c("STARTTLS\r\nEHLO injected\r\nAUTH PLAIN c2VjcmV0\r\n"),
        s("220 go\r\n"),
        Step::TlsStarted,
        c("EHLO inside\r\nQUIT\r\n"),
        s("250 x\r\n221 bye\r\n"),
    ];
    let (lines, summary) = Run::default().lines(&steps);
    assert_eq!(
        lines[3..],
        [
            "C2 STARTTLS now",
            "S2 501 syntax",
            "C3 STARTTLS ",
            "S3 220 go",
            "C4 EHLO injected injected",
            "C5 AUTH PLAIN *** injected",
            "C6 EHLO inside",
            "C7 QUIT ",
            "S6 250 x",
            "S7 221 bye",
        ]
    );
    assert_eq!(summary.commands, 5);
    assert_eq!(summary.helo, Some("inside".into()));
    // Refused: what was held are plain commands.
    let steps = [s("220 x\r\n"), c("STARTTLS\r\nNOOP\r\n"), s("454 no\r\n250 ok\r\n")];
    assert_eq!(self::lines(&steps)[1..], ["C1 STARTTLS ", "S1 454 no", "C2 NOOP ", "S2 250 ok"]);
}

#[test]
fn envelopes_end_where_they_should() {
    // RSET, a new EHLO, MAIL that is refused because one is open, another MAIL.
    let steps = [
        s("220 x\r\n"),
        c("MAIL FROM:<one>\r\nRCPT TO:<r1>\r\nRSET\r\nMAIL FROM:<two>\r\nRCPT TO:<r2>\r\n"),
        s("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n"),
        c("EHLO again\r\n"),
        s("250 x\r\n"),
        c("MAIL FROM: three@x SIZE=7 BODY=8BITMIME\r\n"),
        s("250 ok\r\n"),
        c("MAIL FROM:<four>\r\n"),
        s("503 nested MAIL\r\n"),
        c("RCPT TO:r3\r\n"),
        s("250 ok\r\n"),
        c("DATA\r\n"),
        s("354 go\r\n"),
        c("x\r\n.\r\n"),
        s("550 5.7.1 Content rejected\r\n"),
        c("RCPT TO:<late>\r\n"),
        s("503 no\r\n"),
        c("MAIL FROM:<@a,@b:five@c>\r\n"),
        s("250 ok\r\n"),
        c("RCPT TO:<r5>\r\n"),
        s("250 ok\r\n"),
        c("DATA\r\n"),
        s("354 go\r\n"),
        c(".\r\n"),
        s("250 OK id=1rABCd-0001Xy-2z\r\n"),
    ];
    let found: Vec<String> = lines(&steps).into_iter().filter(|l| l.starts_with('M')).collect();
    assert_eq!(
        found,
        [
            "M1 t3 Rejected complete from=three@x to=r3=250 size=3 id=-",
            "M2 t4 Accepted complete from=@a,@b:five@c to=r5=250 size=0 id=1rABCd-0001Xy-2z",
        ]
    );
    let (events, _) = Run::default().feed(&steps, usize::MAX);
    let message = events.iter().find_map(|e| if let EventBody::Message(m) = &e.body { Some(m) } else { None }).unwrap();
    assert_eq!(message.mail_params, Some("SIZE=7 BODY=8BITMIME".into()));
    assert_eq!(message.status, Some("550 5.7.1 Content rejected".into()));
}

#[test]
fn odd_replies() {
    let steps = [
        s("220-a\n220 b\n"),
        c("NOOP\n"),
        s("250\n"),
        c("ehl\x08lo foo\r\n"),
        s("500ok\r\n"),
        c("EHLO x\r\n"),
        s("250-x\r\nnot a reply line\r\n250 y\r\n"),
        s("421 4.4.2 timeout\r\n"),
    ];
    let (lines, summary) = Run::default().lines(&steps);
    assert_eq!(
        lines,
        [
            "S- 220 a / b",
            "D bare-lf",
            "C1 NOOP ",
            "S1 250 ",
            "C2 ehl\u{8}lo foo",
            "S2 500 ok",
            "C3 EHLO x",
            "S3 250 x / not a reply line / y",
            "S- 421 4.4.2 timeout",
        ]
    );
    assert_eq!(summary.banner, Some("a\nb".into()));
    assert_eq!(summary.last_error, Some("421 4.4.2 timeout".into()));
}

#[test]
fn outcomes() {
    let outcome = |steps: &[Step]| Run::default().feed(steps, usize::MAX).1.outcome;
    let end = || Step::End(Direction::Client);
    assert_eq!(outcome(&[s("554 no service\r\n"), c("QUIT\r\n"), s("221 bye\r\n"), end()]), Some(Outcome::Refused));
    assert_eq!(outcome(&[s("421 busy\r\n"), end()]), Some(Outcome::Refused));
    assert_eq!(outcome(&[s("220 x\r\n"), end()]), None);
    assert_eq!(outcome(&[s("220 x\r\n")]), None);
    assert_eq!(outcome(&[end()]), Some(Outcome::NoBanner));
    assert_eq!(outcome(&[s("220 x\r\n"), c("EHLO a\r\n"), s("550 go away\r\n"), end()]), Some(Outcome::Refused));
    assert_eq!(
        outcome(&[s("220 x\r\n"), c("EHLO a\r\n"), s("502 what\r\n"), c("HELO a\r\n"), s("250 x\r\n"), c("QUIT\r\n")]),
        Some(Outcome::Completed)
    );
    // Without a final reply, and in the middle.
    let steps = [&up_to_data()[..], &[c("x\r\n.\r\n"), end()]].concat();
    assert!(lines(&steps).contains(&"M1 t1 Aborted complete from=a@x to=b@y=250 size=3 id=-".to_owned()));
    let steps = [&up_to_data()[..], &[c("x\r\n"), end()]].concat();
    assert!(lines(&steps).contains(&"M1 t1 Aborted incomplete from=a@x to=b@y=250 size=3 id=-".to_owned()));
    let steps = [&up_to_data()[..], &[c("x\r\n")]].concat();
    assert!(lines(&steps).contains(&"M1 t1 Unknown incomplete from=a@x to=b@y=250 size=3 id=-".to_owned()));
}

#[test]
fn latency_runs_from_the_last_byte() {
    let steps = [&up_to_data()[..], &[c("x\r\n"), c(".\r\n"), s("250-a\r\n"), s("250 b\r\n")]].concat();
    let (events, _) = Run::default().feed(&steps, usize::MAX);
    let latencies: Vec<Option<i64>> =
        events.iter().filter_map(|e| if let EventBody::Reply(r) = &e.body { Some(r.latency) } else { None }).collect();
    assert_eq!(latencies, [None, Some(1000), Some(1000), Some(1000), Some(1000), Some(1000)]);
}

#[test]
fn bdat_with_something_other_than_last_announces_no_chunk() {
    let steps = [
        s("220 mx ESMTP\r\n"),
        c("MAIL FROM:<a@x>\r\n"),
        s("250 ok\r\n"),
        c("BDAT 5 X\r\n"),
        s("501 5.5.4 Syntax: BDAT count [LAST]\r\n"),
        c("BDAT 2 LAST\r\nhiRSET\r\n"),
    ];
    let lines = lines(&steps);
    let commands: Vec<&String> = lines.iter().filter(|l| l.starts_with('C')).collect();
    assert_eq!(commands, ["C1 MAIL FROM:<a@x>", "C2 BDAT 5 X", "C3 BDAT 2 LAST", "C4 RSET "]);
}

#[test]
fn a_354_answers_data_though_replies_are_shifted() {
    // A greeting and the reply to EHLO in one line: every reply is one too early.
    let steps = [
        s("220 mx ESMTP 250-mx\r\n"),
        c("EHLO me\r\n"),
        c("MAIL FROM:<a@x>\r\n"),
        s("250 ok\r\n"),
        c("RCPT TO:<b@y>\r\n"),
        s("250 ok\r\n"),
        c("DATA\r\n"),
        s("354 go\r\n"),
        c("Subject: x\r\n\r\ntext\r\n.\r\n"),
        s("250 queued\r\n"),
    ];
    assert_eq!(bodies(&steps), ["Subject: x\r\n\r\ntext\r\n"]);
}

/// 534 and 538 are AUTH's alone, as 535 is (RFC 4954 section 6).
#[test]
fn a_mechanism_that_is_too_weak_is_refused_to_auth_though_replies_are_shifted() {
    for code in ["534 5.7.9", "535 5.7.8", "538 5.7.11"] {
        let refusal = format!("{code} no\r\n");
        let steps = [
            s("220 mx ESMTP 250-mx\r\n"),
            c("EHLO me\r\n"),
            c("AUTH PLAIN AGpvZQBwdw==\r\n"),
            s(&refusal),
            c("QUIT\r\n"),
            s("221 bye\r\n"),
        ];
        let lines = lines(&steps);
        let of_auth = lines.iter().filter(|l| l.starts_with("S2")).collect::<Vec<_>>();
        assert!(matches!(of_auth[..], [line] if line.contains(code)), "{lines:#?}");
    }
}

#[test]
fn a_password_stays_masked_though_replies_are_shifted() {
    let steps = [
        s("220 mx ESMTP 250-mx\r\n"),
        c("EHLO me\r\n"),
        c("AUTH LOGIN\r\n"),
        s("334 VXNlcm5hbWU6\r\n"),
        c("dGlt\r\n"),
        s("334 UGFzc3dvcmQ6\r\n"),
        c("c2VjcmV0\r\n"),
        s("235 ok\r\n"),
    ];
    let lines = lines(&steps);
    assert!(!lines.iter().any(|l| l.contains("c2VjcmV0")), "{lines:#?}");
}

#[test]
fn the_name_of_a_refused_hello_replaces_none() {
    let helo = |second: &str| {
        let steps = [s("220 x\r\n"), c("EHLO one\r\n"), s("250 x\r\n"), c("EHLO two\r\n"), s(second)];
        Run::default().lines(&steps).1.helo.unwrap()
    };
    assert_eq!((helo("550 no\r\n"), helo("250 x\r\n")), ("one".into(), "two".into()));
}

/// Neither a host's name nor a refused LHLO makes LMTP of SMTP.
#[test]
fn what_the_server_accepts_decides_between_smtp_and_lmtp() {
    let dialogue = |begin: &[Step]| {
        let rest = [
            c("MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n"),
            s("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"),
            c("x\r\n.\r\n"),
            s("250 2.0.0 Ok: queued as A1\r\n"),
            c("MAIL FROM:<d@x>\r\n"),
            s("250 2.1.0 Ok\r\n"),
        ];
        let (found, summary) = Run::default().lines(&[begin, &rest].concat());
        assert_eq!(found.last().map(|line| &line[line.len() - 12..]), Some("250 2.1.0 Ok"), "{found:?}");
        let message = found.iter().find(|line| line.starts_with('M')).cloned().unwrap();
        (summary.protocol, message.contains("Accepted"), message.ends_with("id=A1"))
    };
    let smtp = (Some(Protocol::Smtp), true, true);
    let hello = [c("EHLO me\r\n"), s("250-mx\r\n250 PIPELINING\r\n")];
    assert_eq!(dialogue(&[&[s("220 lmtp.example.com ESMTP Postfix\r\n")], &hello[..]].concat()), smtp);
    assert_eq!(dialogue(&[&[s("220 mx LMTP\r\n")], &hello[..]].concat()), smtp);
    assert_eq!(dialogue(&[&[s("220 mx\r\n"), c("LHLO me\r\n"), s("500 what\r\n")], &hello[..]].concat()), smtp);
}

#[test]
fn a_refusal_of_several_lines_is_told_whole() {
    let mut steps = up_to_data();
    steps.extend([c("x\r\n.\r\n"), s("550-5.7.26 Your email has been blocked because\r\n550-5.7.26 the sender is unauthenticated.\r\n550-5.7.26\r\n550 5.7.26  https://mx.test/help abc - mx\r\n")]);
    let (events, summary) = Run::default().feed(&steps, usize::MAX);
    let said =
        "550 5.7.26 Your email has been blocked because the sender is unauthenticated. https://mx.test/help abc - mx";
    assert_eq!(summary.last_error, Some(said.into()));
    let status = events.into_iter().find_map(|event| match event.body {
        EventBody::Message(message) => message.status,
        _ => None,
    });
    assert_eq!(status, Some(said.into()));
}

#[test]
fn what_follows_from_a_refusal_is_not_the_cause() {
    let error = |replies: &[&str], commands: &str| {
        let steps = [s("220 x\r\n"), c("EHLO me\r\n"), s("250-x\r\n250 PIPELINING\r\n"), c(commands)];
        let steps = [&steps[..], &[s(replies.join("\r\n") + "\r\n")]].concat();
        Run::default().feed(&steps, usize::MAX).1.last_error.map(|error| error.to_str_lossy().into_owned())
    };
    let flight = "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n";
    assert_eq!(error(&["250 ok", "550 no b", "554 no valid recipients"], flight).as_deref(), Some("550 no b"));
    assert_eq!(error(&["250 ok", "550 no b", "421 too many errors"], flight).as_deref(), Some("421 too many errors"));
    assert_eq!(error(&["450 too much", "503 MAIL first", "503 RCPT first"], flight).as_deref(), Some("450 too much"));
    let two = "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n";
    assert_eq!(error(&["250 ok", "550 no b", "250 ok", "451 later"], two).as_deref(), Some("451 later"));
    assert_eq!(error(&["503 RCPT first"], "DATA\r\n").as_deref(), Some("503 RCPT first"));
    // A client that asks one by one, and goes on all the same.
    let steps = [
        [s("220 x\r\n"), c("MAIL FROM:<a@x>\r\n"), s("450 4.7.1 too much mail\r\n")],
        [c("RCPT TO:<b@y>\r\n"), s("503 need MAIL\r\n"), c("DATA\r\n")],
        [s("503 need RCPT\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
    ];
    assert_eq!(Run::default().feed(&steps.concat(), usize::MAX).1.last_error, Some("450 4.7.1 too much mail".into()));
}

#[test]
fn a_client_that_does_not_await_the_greeting_gets_no_end_of_it() {
    // Postfix's postscreen, which waits behind the first line of it.
    let steps = [s("220-mx.test ESMTP\r\n"), c("EHLO me\r\n"), s("250-mx.test\r\n250 SIZE 30000\r\n")];
    let (lines, summary) = Run::default().lines(&steps);
    assert_eq!(lines, ["C1 EHLO me", "D early-talker", "S- 220 mx.test ESMTP", "S1 250 mx.test / SIZE 30000"]);
    assert_eq!(summary.banner, Some("mx.test ESMTP".into()));
    let steps = [s("220-mx.test ESMTP\r\n"), c("EHLO me\r\n"), s("521 5.5.1 Protocol error\r\n")];
    let (lines, summary) = Run::default().lines(&steps);
    assert_eq!(lines[2..], ["S- 220 mx.test ESMTP", "S1 521 5.5.1 Protocol error"]);
    assert_eq!(summary.last_error, Some("521 5.5.1 Protocol error".into()));
    // Who is refused behind it is.
    let (_, summary) = Run::default().lines(&[s("220-mx.test ESMTP\r\n"), s("521 5.7.1 go away\r\n")]);
    assert_eq!(summary.outcome, Some(Outcome::Refused));
    assert_eq!(summary.last_error, Some("521 5.7.1 go away".into()));
}

#[test]
fn a_quit_behind_an_end_of_data_that_nobody_answered_completes_nothing() {
    let told = |answers: &[Step]| {
        let steps = [&up_to_data()[..], &[c("x\r\n.\r\nQUIT\r\n")], answers, &[Step::End(Direction::Server)]].concat();
        Run::default().feed(&steps, usize::MAX).1.outcome
    };
    assert_eq!(told(&[]), None);
    assert_eq!(told(&[s("250 queued\r\n")]), Some(Outcome::Completed));
    assert_eq!(told(&[s("250 queued\r\n221 bye\r\n")]), Some(Outcome::Completed));
    let behind = |last: &str| {
        let steps =
            [&up_to_data()[..], &[c("x\r\n.\r\n"), s("250 queued\r\n"), c(last)], &[Step::End(Direction::Client)]]
                .concat();
        Run::default().feed(&steps, usize::MAX).1.outcome
    };
    assert_eq!(behind("RSET\r\nQUIT\r\n"), Some(Outcome::Completed));
    assert_ne!(behind("RSET\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nQUIT\r\n"), Some(Outcome::Completed));
    // What follows an answered QUIT is nobody's concern.
    assert_eq!(told(&[s("250 queued\r\n221 bye\r\n"), c("NOOP\r\n")]), Some(Outcome::Completed));
}

#[test]
fn a_refusal_amid_the_data_answers_it() {
    let steps = [&up_to_data()[..], &[c("x\r\n"), s("552 too big\r\n"), Step::End(Direction::Server)]].concat();
    let (lines, summary) = Run::default().lines(&steps);
    assert!(!lines.iter().any(|line| line.contains("unexpected-reply")), "{lines:#?}");
    assert_eq!(summary.last_error, Some("552 too big".into()));
}
