//! What a message is, and its fields.

use super::*;

#[test]
fn without_354_there_is_no_message_and_after_it_one_whatever_the_reply() {
    let refused = [up_to_data()[..8].to_vec(), vec![s("554 no\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]].concat();
    assert_eq!(only(&play(25, &refused)).messages.len(), 0);
    for reply in ["250 ok\r\n", "550 no\r\n", "451 later\r\n", "421 bye\r\n", ""] {
        let mut turns = with(&[c("x\r\n.\r\n")]);
        if !reply.is_empty() {
            turns.push(s(reply));
        }
        assert_eq!(only(&play(25, &turns)).messages.len(), 1, "{reply:?}");
    }
}

#[test]
fn a_message_is_its_bytes_on_the_wire() {
    let of = |data: &str| {
        let told = play(25, &with(&[c(data), s("250 ok\r\n")]));
        let message = only(&told).messages[0].clone();
        assert!(message.complete);
        (message.size, hex(&message.sha256.unwrap()))
    };
    // The CRLF before the dot belongs to it; stuffed dots are taken off; an empty one is empty.
    for (wire, mail) in [
        ("a\r\n.\r\n", "a\r\n"),
        ("..\r\n.x\r\n...\r\n.\r\n", ".\r\nx\r\n..\r\n"),
        (".\r\n", ""),
        ("\r\n.\r\n", "\r\n"),
        ("tail\t \r\n\r\n\r\n.\r\n", "tail\t \r\n\r\n\r\n"),
        ("\0\u{fffd}\r\n.\r\n", "\0\u{fffd}\r\n"),
    ] {
        assert_eq!(of(wire), (mail.len() as u64, digest(mail)), "{wire:?}");
    }
    // Chunks are joined; a quoted string is unquoted.
    let chunks =
        [&up_to_data()[..7], &[c("BDAT 3\r\n.\r\n"), s("250 ok\r\n"), c("BDAT 2 LAST\r\n\r."), s("250 ok\r\n")]];
    let told = play(25, &chunks.concat());
    assert_eq!(hex(&only(&told).messages[0].sha256.unwrap()), digest(".\r\n\r."));
    let told = play(143, &mailbox(&[c("f FETCH 1 BODY[]\r\n"), s("* 1 FETCH (BODY[] \"a\\\\\\\"b\")\r\nf OK\r\n")]));
    assert_eq!(hex(&only(&told).messages[0].sha256.unwrap()), digest("a\\\"b"));
}

#[test]
fn complete_is_ended_by_its_protocol_and_without_a_gap() {
    let complete = |turns: &[Turn]| only(&play(25, turns)).messages[0].complete;
    assert!(complete(&with(&[c("x\r\n.\r\n"), s("550 no\r\n")])), "whatever became of it");
    assert!(!complete(&with(&[c("x\r\n")])));
    let turns = with(&[c("x\r\n"), c("lost\r\n"), c("y\r\n.\r\n"), s("250 ok\r\n")]);
    let dialogue = of(&turns, 25, 40_000);
    let mut list = flights(&dialogue);
    list.remove(3 + 10);
    let told = decode(&dialogue, &list, &How::default());
    let message = &only(&told).messages[0];
    assert_eq!((message.complete, message.size, message.outcome), (false, 6, MessageOutcome::Accepted));
    assert_eq!((only(&told).gaps[0].bytes, only(&told).gaps[0].cause), (6, GapCause::Lost));
}

#[test]
fn each_outcome_of_a_message() {
    let outcome = |turns: &[Turn]| only(&play(25, turns)).messages[0].outcome;
    assert_eq!(outcome(&whole()), MessageOutcome::Accepted);
    assert_eq!(outcome(&with(&[c("x\r\n.\r\n"), s("550 no\r\n")])), MessageOutcome::Rejected);
    assert_eq!(outcome(&with(&[c("x\r\n")])), MessageOutcome::Aborted);
    let chunk = |more: &[Turn]| [&up_to_data()[..7], &[c("BDAT 2\r\nab")], more].concat();
    assert_eq!(outcome(&chunk(&[s("250 ok\r\n"), c("RSET\r\n"), s("250 ok\r\n")])), MessageOutcome::Aborted);
    assert_eq!(outcome(&chunk(&[s("452 full\r\n"), c("QUIT\r\n"), s("221 bye\r\n")])), MessageOutcome::Aborted);
    // Its end was not captured.
    let dialogue = of(&with(&[c("x\r\n")]), 25, 40_000);
    let list = flights(&dialogue);
    let told = decode(&dialogue, &list[..list.len() - 3], &How::default());
    assert_eq!(only(&told).messages[0].outcome, MessageOutcome::Unknown);
}

#[test]
fn each_part_and_only_full_ones_are_counted() {
    let fetched = [
        ("BODY[]", MessagePart::Full),
        ("BODY[]<0>", MessagePart::Range),
        ("RFC822", MessagePart::Full),
        ("BINARY[]", MessagePart::Full),
        ("BODY[HEADER]", MessagePart::Headers),
        ("BODY[HEADER.FIELDS (FROM)]", MessagePart::Headers),
        ("RFC822.HEADER", MessagePart::Headers),
        ("BODY[TEXT]", MessagePart::Section),
        ("BODY[1]", MessagePart::Section),
        ("BODY[1.MIME]", MessagePart::Section),
        ("RFC822.TEXT", MessagePart::Section),
        ("BINARY[1]", MessagePart::Section),
        ("BODY[1]<7>", MessagePart::Range),
    ];
    for (item, part) in fetched {
        let told = play(
            143,
            &mailbox(&[
                c(format!("f FETCH 4 ({item})\r\n")),
                s(format!("* 4 FETCH ({item} {{3}}\r\na\r\n UID 8)\r\nf OK\r\n")),
            ]),
        );
        let story = only(&told);
        let message = &story.messages[0];
        assert_eq!((message.part, message.size, message.seqno, message.uid), (part, 3, Some(4), Some(8)), "{item}");
        assert_eq!(message.section, Some(item.into()));
        assert_eq!(story.session().messages, u64::from(part == MessagePart::Full), "{item}");
        assert_eq!((message.mailbox.clone(), message.uidvalidity), (Some("INBOX".into()), Some(77)));
    }
    let pop = |command: &str| {
        let told = play(
            110,
            &[s("+OK\r\n"), c(format!("{command}\r\n")), s("+OK\r\na: b\r\n\r\n.\r\n"), c("QUIT\r\n"), s("+OK\r\n")],
        );
        let story = only(&told);
        (story.messages[0].part, story.session().messages)
    };
    assert_eq!(pop("RETR 1"), (MessagePart::Full, 1));
    assert_eq!(pop("TOP 1 0"), (MessagePart::Headers, 0));
    let told = play(143, &mailbox(&[c("p APPEND x {2+}\r\nab\r\n"), s("p OK\r\n")]));
    assert_eq!((only(&told).messages[0].part, only(&told).session().messages), (MessagePart::Full, 1));
}

#[test]
fn ranges_that_make_a_whole_give_one_more() {
    let turns = mailbox(&[
        c("f UID FETCH 8 BODY[]<0.4>\r\n"),
        s("* 4 FETCH (UID 8 BODY[]<0> {4}\r\nSubj)\r\nf OK\r\n"),
        c("g UID FETCH 8 BODY[]<4.4096>\r\n"),
        s("* 4 FETCH (UID 8 BODY[]<4> {10}\r\nect: x\r\n\r\n)\r\ng OK\r\n"),
    ]);
    let told = play(143, &turns);
    let parts: Vec<_> = only(&told).messages.iter().map(|m| (m.part, m.joined, hex(&m.sha256.unwrap()))).collect();
    assert_eq!(
        parts,
        [
            (MessagePart::Range, false, digest("Subj")),
            (MessagePart::Range, false, digest("ect: x\r\n\r\n")),
            (MessagePart::Full, true, digest("Subject: x\r\n\r\n")),
        ]
    );
    let joined = &only(&told).messages[2];
    assert_eq!((joined.subject.as_deref(), joined.uid, joined.complete), (Some("x"), Some(8), true));
    assert_eq!(only(&told).session().messages, 1);
}

#[test]
fn envelope_and_fate_of_a_message() {
    let turns = [
        s("220 x\r\n"),
        c("EHLO me\r\n"),
        s("250 x\r\n"),
        c("MAIL FROM:<a@x> SIZE=99 BODY=8BITMIME\r\nRCPT TO:<b@y> NOTIFY=NEVER\r\nRCPT TO:<c@z>\r\nDATA\r\n"),
        s("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n550 5.1.1 who\r\n354 go\r\n"),
        c("From: =?utf-8?q?J=C3=B6rg?= <a@x>\r\nTo: b@y, c@z\r\nSubject: =?iso-8859-1?q?gr=FC=DFe?=\r\n\
           Message-ID: <1@x>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0100\r\n\r\n.\r\n"),
        s("250 2.0.0 Ok: queued as 4XyZ12\r\n"),
        c("MAIL FROM:<>\r\nRCPT TO:<d@y>\r\nDATA\r\n"),
        s("250 ok\r\n250 ok\r\n354 go\r\n"),
        c(".\r\n"),
        s("554 5.7.1 spam\r\n"),
    ];
    let told = play(25, &turns);
    let [first, second] = &only(&told).messages[..] else { panic!() };
    assert_eq!((first.transaction, second.transaction), (1, 2));
    assert_eq!(
        (first.mail_from.clone(), first.mail_params.clone()),
        (Some("a@x".into()), Some("SIZE=99 BODY=8BITMIME".into()))
    );
    let rcpt: Vec<_> =
        first.rcpt_to.iter().map(|r| (r.address.to_str_lossy().into_owned(), r.accepted, r.code)).collect();
    assert_eq!(rcpt, [("b@y".to_owned(), Some(true), Some(250)), ("c@z".to_owned(), Some(false), Some(550))]);
    assert_eq!(first.rcpt_to[1].text, "5.1.1 who".into());
    assert_eq!(
        (first.queue_id.clone(), first.status.clone()),
        (Some("4XyZ12".into()), Some("250 2.0.0 Ok: queued as 4XyZ12".into()))
    );
    assert_eq!((first.subject.as_deref(), first.message_id.as_deref()), (Some("grüße"), Some("1@x")));
    assert!(first.from.as_deref().unwrap().contains("Jörg") && first.to.len() == 2);
    assert_eq!(first.date, Some(Timestamp(1_795_510_800_000_000_000)));
    assert_eq!(
        (second.mail_from.clone(), second.rcpt_to.len(), second.outcome),
        (Some("".into()), 1, MessageOutcome::Rejected)
    );
    assert_eq!((second.queue_id.clone(), second.status.clone()), (None, Some("554 5.7.1 spam".into())));
}
