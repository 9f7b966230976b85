//! Extensions and what vendors made of the protocol.

use super::*;

fn with(more: &[Step]) -> Vec<Step> {
    let begin = [s("220 x\r\n"), c("MAIL FROM:<a>\r\n"), s("250 ok\r\n"), c("RCPT TO:<b>\r\n"), s("250 ok\r\n")];
    [&begin, more].concat()
}

fn next_mail() -> [Step; 8] {
    [
        c("MAIL FROM:<next>\r\n"),
        s("250 ok\r\n"),
        c("RCPT TO:<n>\r\n"),
        s("250 ok\r\n"),
        c("DATA\r\n"),
        s("354 go\r\n"),
        c("n\r\n.\r\n"),
        s("250 ok\r\n"),
    ]
}

const NEXT: &str = "M t2 Accepted complete from=next to=n=250 size=3 id=-";

/// The messages, without their numbers.
fn messages(steps: &[Step]) -> Vec<String> {
    let lines = lines(steps).into_iter().filter(|l| l.starts_with('M'));
    lines.map(|l| format!("M {}", l.split_once(' ').unwrap().1)).collect()
}

/// RFC 4468 §3: what the server fetches itself is no part of what was seen.
#[test]
fn burl() {
    const URL: &str = "BURL imap://harry@gryffindor.example.com/outbox;uidvalidity=1078863300/;uid=25;urlauth=x:y";
    // Alone it is no message, and its envelope does not leak.
    let alone = [&[c(format!("{URL} LAST\r\n")), s("250 2.5.0 Ok.\r\n")][..], &next_mail()].concat();
    assert_eq!(messages(&with(&alone)), [NEXT]);
    // Behind a chunk, and between chunks.
    let behind =
        [c("BDAT 4\r\nabcd"), s("250 ok\r\n"), c(format!("{URL} LAST\r\n")), s("250 2.0.0 Ok: queued as Q\r\n")];
    let behind = [&behind[..], &next_mail()].concat();
    assert_eq!(messages(&with(&behind)), ["M t1 Accepted incomplete from=a to=b=250 size=4 id=Q", NEXT]);
    let between = [c(format!("{URL}\r\nBDAT 4 LAST\r\nabcd")), s("250 ok\r\n250 2.0.0 Ok: queued as Q\r\n")];
    let between = [&between[..], &next_mail()].concat();
    assert_eq!(messages(&with(&between)), ["M t1 Accepted incomplete from=a to=b=250 size=4 id=Q", NEXT]);
    // Refused.
    let refused =
        [&[c(format!("{URL} LAST\r\n")), s("554 5.7.0 no\r\n"), c("RSET\r\n"), s("250 ok\r\n")][..], &next_mail()];
    assert_eq!(messages(&with(&refused.concat())), [NEXT]);
}

/// An RSET amid a chunk is content; between chunks, and pipelined behind a refused one, it ends the transaction.
#[test]
fn rset_around_chunks() {
    let inside = [c("BDAT 10 LAST\r\nRSET\r\nabcd"), s("250 ok\r\n")];
    assert_eq!(
        messages(&with(&[&inside[..], &next_mail()].concat())),
        ["M t1 Accepted complete from=a to=b=250 size=10 id=-", NEXT]
    );
    let behind = [c("BDAT 4\r\nabcdRSET\r\n"), s("552 full\r\n250 ok\r\n")];
    assert_eq!(
        messages(&with(&[&behind[..], &next_mail()].concat())),
        ["M t1 Aborted incomplete from=a to=b=250 size=4 id=-", NEXT]
    );
    // BDAT 0 LAST behind a refused chunk, as RFC 3030 lets clients pipeline it.
    let last = [c("BDAT 4\r\nabcdBDAT 0 LAST\r\nRSET\r\n"), s("552 full\r\n503 no\r\n250 ok\r\n")];
    assert_eq!(
        messages(&with(&[&last[..], &next_mail()].concat())),
        ["M t1 Aborted complete from=a to=b=250 size=4 id=-", NEXT]
    );
    // BDAT 0 LAST alone: an empty message.
    let empty = [c("BDAT 0 LAST\r\n"), s("250 ok\r\n")];
    assert_eq!(
        messages(&with(&[&empty[..], &next_mail()].concat())),
        ["M t1 Accepted complete from=a to=b=250 size=0 id=-", NEXT]
    );
}

#[test]
fn a_chunk_in_lmtp_has_a_reply_for_each_recipient() {
    let steps = [
        s("220 x LMTP\r\n"),
        c("LHLO me\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nRCPT TO:<c>\r\nBDAT 2\r\nhiBDAT 1 LAST\r\n!QUIT\r\n"),
        s("250 x\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 chunk\r\n250 b\r\n451 c\r\n221 bye\r\n"),
    ];
    assert_eq!(messages(&steps), ["M t1 Accepted complete from=a to=b=250,c=451 size=3 id=-"]);
    assert_eq!(lines(&steps).last().map(String::as_str), Some("S7 221 bye"));
}

#[test]
fn a_353_announces_a_reply_for_each_recipient_and_one_for_all() {
    // draft-hall-prdr, as Exim speaks it.
    let steps = [
        s("220 mx ESMTP Exim\r\n"),
        c("EHLO me\r\n"),
        s("250-mx\r\n250 PRDR\r\n"),
        c("MAIL FROM:<a@x> PRDR\r\n"),
        s("250 OK\r\n"),
        c("RCPT TO:<b@y>\r\n"),
        s("250 Accepted\r\n"),
        c("RCPT TO:<no@y>\r\n"),
        s("550 Unknown\r\n"),
        c("RCPT TO:<c@y>\r\n"),
        s("250 Accepted\r\n"),
        c("DATA\r\n"),
        s("354 go\r\n"),
        c("x\r\n.\r\n"),
        s("353 PRDR content analysis beginning\r\n250 first ok\r\n"),
        s("550 second not\r\n250 OK id=1abCde-0001Xy-2z\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let (lines, _) = Run::default().lines(&steps);
    let message = "M1 t1 Accepted complete from=a@x to=b@y=250,no@y=550,c@y=550 size=3 id=1abCde-0001Xy-2z";
    assert!(lines.iter().any(|l| l == message), "{lines:#?}");
    assert_eq!(lines.iter().filter(|l| l.starts_with("S6")).count(), 5, "{lines:#?}");
    assert!(!lines.iter().any(|l| l.contains("unexpected")), "{lines:#?}");
}

#[test]
fn envelopes_without_blanks_and_brackets() {
    for (args, from) in [
        ("FROM:<x@y>", "x@y"),
        ("FROM:x@y", "x@y"),
        ("FROM: x@y", "x@y"),
        ("from:x", "x"),
        ("FROM:x@y SIZE=3", "x@y"),
        ("FROM:<\"a b\"@y> SIZE=3", "\"a b\"@y"),
        ("FROM:<>", ""),
    ] {
        let steps = [
            s("220 x\r\n"),
            c(format!("MAIL {args}\r\nRCPT TO:b\r\nDATA\r\n")),
            s("250 ok\r\n250 ok\r\n354 go\r\n"),
            c(".\r\n"),
            s("250 ok\r\n"),
        ];
        let want = format!("M t1 Accepted complete from={from} to=b=250 size=0 id=-");
        assert_eq!(messages(&steps), [want], "{args}");
    }
}

#[test]
fn a_421_ends_what_is_under_way() {
    // Unasked between commands, and as the answer to DATA.
    let idle = with(&[s("421 4.4.2 timeout\r\n"), Step::End(Direction::Server)]);
    assert_eq!(lines(&idle)[5..], ["S- 421 4.4.2 timeout"]);
    let data = with(&[c("DATA\r\n"), s("421 4.3.2 shutting down\r\n"), Step::End(Direction::Server)]);
    assert_eq!(lines(&data)[5..], ["C3 DATA ", "S3 421 4.3.2 shutting down"]);
    let summary = Run::default().feed(&data, usize::MAX).1;
    assert_eq!(summary.last_error, Some("421 4.3.2 shutting down".into()));
    assert_eq!(summary.outcome, None);
    // As the verdict.
    let verdict =
        with(&[c("DATA\r\n"), s("354 go\r\n"), c("x\r\n.\r\n"), s("421 4.3.2 no\r\n"), Step::End(Direction::Server)]);
    assert_eq!(messages(&verdict), ["M t1 Rejected complete from=a to=b=250 size=3 id=-"]);
}

#[test]
fn other_extensions_keep_the_dialogue() {
    let steps = [
        s("220 x\r\n"),
        c("EHLO me\r\n"),
        s("250-x\r\n250-XCLIENT NAME ADDR\r\n250-ETRN\r\n250-LIMITS MAILMAX=10\r\n250 MT-PRIORITY\r\n"),
        c("XCLIENT NAME=spike.example.org ADDR=168.100.189.2\r\n"),
        s("220 x again\r\n"),
        c("EHLO spike\r\n"),
        s("250 x\r\n"),
        c("XFORWARD NAME=spike ADDR=168.100.189.2 PROTO=ESMTP\r\n"),
        s("250 ok\r\n"),
        c("ETRN @example.org\r\n"),
        s("458 no\r\n"),
        c("TURN\r\n"),
        s("502 no\r\n"),
        c("X-LINK2STATE FIRST CHUNK={x}\r\n"),
        s("200 done\r\n"),
        c("MAIL FROM:<a> REQUIRETLS HOLDFOR=86400 MT-PRIORITY=3 SMTPUTF8 RET=HDRS ENVID=q\r\n"),
        s("250 ok\r\n"),
        c("RCPT TO:<b> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b\r\n"),
        s("250 ok\r\n"),
        c("DATA\r\n"),
        s("354 go\r\n"),
        c(".\r\n"),
        s("250 ok\r\n"),
    ];
    let (lines, summary) = Run::default().lines(&steps);
    let verbs: Vec<&str> = lines.iter().filter(|l| l.starts_with('C')).map(|l| l.split(' ').nth(1).unwrap()).collect();
    assert_eq!(verbs, ["EHLO", "XCLIENT", "EHLO", "XFORWARD", "ETRN", "TURN", "X-LINK2STATE", "MAIL", "RCPT", "DATA"]);
    assert!(lines.contains(&"S2 220 x again".to_owned()) && !lines.iter().any(|l| l.starts_with("D ")), "{lines:?}");
    assert_eq!((summary.helo, summary.banner), (Some("spike".into()), Some("x".into())));
    let (events, _) = Run::default().feed(&steps, usize::MAX);
    let message = events.iter().find_map(|e| if let EventBody::Message(m) = &e.body { Some(m) } else { None }).unwrap();
    let params = "REQUIRETLS HOLDFOR=86400 MT-PRIORITY=3 SMTPUTF8 RET=HDRS ENVID=q";
    assert_eq!(message.mail_params, Some(params.into()));
}

#[test]
fn only_a_refused_authentication_fails_a_session() {
    let outcome = |steps: &[Step]| {
        let ends = [c("QUIT\r\n"), s("221 bye\r\n"), Step::End(Direction::Client)];
        Run::default().feed(&[&[s("220 x\r\n")], steps, &ends].concat(), usize::MAX).1.outcome
    };
    let login = |answer: &str| [c("AUTH PLAIN AGEAYg==\r\n"), s(answer)];
    let cancelled = [c("AUTH LOGIN\r\n"), s("334 VXNlcm5hbWU6\r\n"), c("*\r\n"), s("501 5.7.0 aborted\r\n")];
    assert_eq!(outcome(&login("535 no\r\n")), Some(Outcome::AuthFailed));
    assert_eq!(outcome(&cancelled), Some(Outcome::Completed));
    // The token is refused by a challenge, which the client only ends.
    let token = [c("AUTH XOAUTH2 dXNlcj11QHgBYXV0aD1CZWFyZXIgdG9rAQE=\r\n"), s("334 eyJzdGF0dXMiOiI0MDEifQ==\r\n")];
    let token = [&token[..], &[c("*\r\n"), s("535 5.7.8 bad\r\n")]].concat();
    assert_eq!(outcome(&token), Some(Outcome::AuthFailed));
    assert_eq!(outcome(&[&login("535 no\r\n")[..], &login("235 ok\r\n")].concat()), Some(Outcome::Completed));
    assert_eq!(outcome(&[&login("235 ok\r\n")[..], &login("503 already\r\n")].concat()), Some(Outcome::Completed));
    // Given up by closing.
    let steps = [s("220 x\r\n"), c("AUTH LOGIN\r\n"), s("334 VXNlcm5hbWU6\r\n"), Step::End(Direction::Client)];
    assert_eq!(Run::default().feed(&steps, usize::MAX).1.outcome, None);
}

#[test]
fn a_refused_hello_is_no_refused_service_when_mail_is_taken() {
    let outcome = |steps: &[Step]| Run::default().feed(steps, usize::MAX).1.outcome;
    let refused = [s("220 x\r\n"), c("HELO\r\n"), s("501 5.0.0 HELO requires domain address\r\n")];
    let end = [Step::End(Direction::Client)];
    assert_eq!(outcome(&[&refused[..], &end].concat()), Some(Outcome::Refused));
    let taken = [c("MAIL FROM:a@x\r\n"), s("250 2.1.0 a@x... Sender ok\r\n")];
    assert_eq!(outcome(&[&refused[..], &taken, &end].concat()), None);
}

/// What Exchange 2000 and 2003 send to everyone who offers XEXCH50: the bytes behind its 354 are no commands.
#[test]
fn the_bytes_of_xexch50_are_no_commands() {
    let hello = [s("220 x\r\n"), c("EHLO me\r\n"), s("250-x\r\n250-CHUNKING\r\n250 XEXCH50\r\n")];
    let mail = [c("MAIL FROM:<a>\r\n"), s("250 ok\r\n"), c("RCPT TO:<b>\r\n"), s("250 ok\r\n")];
    let chunk = [c("BDAT 4 LAST\r\nabcd"), s("250 Queued\r\n"), c("QUIT\r\n"), s("221 bye\r\n")];
    let told = |middle: &[Step]| lines(&[&hello[..], &mail, middle, &chunk].concat());
    fn expected<'a>(middle: &[&'a str]) -> Vec<&'a str> {
        let begin = ["S- 220 x", "C1 EHLO me", "S1 250 x / CHUNKING / XEXCH50", "C2 MAIL FROM:<a>", "S2 250 ok"];
        let end = ["C5 BDAT 4 LAST", "M1 t1 Accepted complete from=a to=b=250 size=4 id=-", "S5 250 Queued"];
        [&begin[..], &["C3 RCPT TO:<b>", "S3 250 ok"], middle, &end, &["C6 QUIT ", "S6 221 bye"]].concat()
    }
    let taken = expected(&["C4 XEXCH50 30 2", "S4 354 Send binary data", "S4 250 XEXCH50 OK"]);
    for blob in [&b"\x00\x01\x02\x03\r\nMAIL FROM:<z>\r\nQUIT\r\n.\r\n"[..], b"\xffno line's end in thirty bytes"] {
        assert_eq!(blob.len(), 30);
        let asked = [c("XEXCH50 30 2\r\n"), s("354 Send binary data\r\n"), c(blob), s("250 XEXCH50 OK\r\n")];
        assert_eq!(told(&asked), taken);
    }
    let none = [c("XEXCH50 0 2\r\n"), s("354 Send binary data\r\n250 XEXCH50 OK\r\n")];
    assert_eq!(told(&none), expected(&["C4 XEXCH50 0 2", "S4 354 Send binary data", "S4 250 XEXCH50 OK"]));
    // Refused, no byte of it is sent.
    let refused = [c("XEXCH50 30 2\r\n"), s("504 Need to authenticate first\r\n")];
    assert_eq!(told(&refused), expected(&["C4 XEXCH50 30 2", "S4 504 Need to authenticate first"]));
    // The next command in the same flight as the bytes.
    let flight = [&hello[..], &mail, &[c("XEXCH50 3 2\r\n"), s("354 go\r\n"), c("\r\n.BDAT 4 LAST\r\nabcd")]].concat();
    let flight = [&flight[..], &[s("250 XEXCH50 OK\r\n250 Queued\r\n")]].concat();
    assert_eq!(messages(&flight), ["M t1 Accepted complete from=a to=b=250 size=4 id=-"]);
    // The client alone.
    let alone: Vec<Step> = [&hello[..], &mail, &[c("XEXCH50 9 2\r\n\0\r\nQUIT\r\n")], &chunk].concat();
    let alone: Vec<Step> = alone.into_iter().filter(|step| matches!(step, C(_))).collect();
    let (alone, _) = Run { one_sided: true, ..Run::default() }.lines(&alone);
    assert!(alone.iter().any(|l| l.starts_with("M1 t1 Accepted complete from=a")), "{alone:#?}");
    assert_eq!(alone.iter().filter(|l| l.starts_with('C')).count(), 6, "{alone:#?}");
}

/// A loss among the bytes of XEXCH50 costs nothing behind them: their number is known.
#[test]
fn a_loss_within_xexch50_ends_where_its_bytes_do() {
    let begin = [c("XEXCH50 30 2\r\n"), s("354 Send binary data\r\n"), c("QUIT\r\n0123")];
    let end = [s("250 XEXCH50 OK\r\n"), c("BDAT 4 LAST\r\nabcd"), s("250 Queued\r\n")];
    let within = [&begin[..], &[Step::Gap(Direction::Client, 12), c("QUIT\r\n\r\n")], &end].concat();
    let up_to_its_end = [&begin[..], &[Step::Gap(Direction::Client, 20)], &end].concat();
    for steps in [within, up_to_its_end] {
        let lines = lines(&with(&steps));
        assert!(!lines.iter().any(|l| l.contains("QUIT")), "{lines:#?}");
        assert!(lines.iter().any(|l| l.starts_with("M1 t1 Accepted") && l.contains("size=4")), "{lines:#?}");
    }
}

/// RFC 2645 §5.2.2, and TURN alike: from there on the server asks and the client answers.
#[test]
fn what_follows_an_accepted_turn_is_passed_over() {
    let turned = [
        c("220 example.org ready to receive email\r\n"),
        s("EHLO EXAMPLE.NET\r\n"),
        c("250-example.org\r\n250 SIZE\r\n"),
        s("MAIL FROM:<Lester.Tester@dot.foo.bar>\r\n"),
        c("250 OK\r\n"),
        s("RCPT TO:<l.eva.msg@example.com>\r\n"),
        c("250 OK, recipient accepted\r\n"),
        s("DATA\r\n"),
        c("354 OK, send message\r\n"),
        s("x\r\n.\r\n"),
        c("250 OK, message accepted\r\n"),
        s("QUIT\r\n"),
        c("221 example.org closing connection\r\n"),
        Step::End(Direction::Client),
    ];
    for command in ["ATRN example.org,example.com", "TURN "] {
        let begin = [s("220 x\r\n"), c(format!("{command}\r\n")), s("502 no\r\n"), c(format!("{command}\r\n"))];
        let begin = [&begin[..], &[s("250 OK now reversing the connection\r\n")]].concat();
        let (lines, summary) = Run::default().lines(&[&begin[..], &turned].concat());
        let again = [format!("C1 {command}"), "S1 502 no".to_owned(), format!("C2 {command}")];
        assert_eq!(lines[1..4], again);
        assert_eq!(lines[4..], ["S2 250 OK now reversing the connection", "D skipped"]);
        assert_eq!((summary.commands, summary.messages, summary.outcome), (2, 0, Some(Outcome::Completed)));
        // In the same flight as the reply.
        let at_once = [&begin[..4], &[s("250 OK now reversing the connection\r\nEHLO EXAMPLE.NET\r\n")]].concat();
        assert_eq!(Run::default().lines(&at_once).0, lines);
        let bytes = turned.iter().map(|step| if let C(b) | S(b) = step { b.len() } else { 0 }).sum::<usize>();
        assert_eq!(summary.skipped_bytes, bytes as u64);
    }
}
