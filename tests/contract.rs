//! The contract, sentence by sentence: what sessions and messages are, and what the fields of the JSON mean. Captures are
//! made by hand; truth is the dialogue itself. What a single protocol does beyond that is tested beside its dissector.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::Command;

use common::packets::{Dialogue, Packet, Turn, dialogues, pcap};
use common::script::{c, capture, codes, decode, dialogue, digest, flights, only, play, s, verbs};
use common::{How, Story, Told, config, hex, tell_config, testdata};
use mailcap::event::{
    AuthOutcome, EndReason, EventBody, GapCause, MessageOutcome, MessagePart, Outcome, Protocol, Security,
};
use mailcap::flow::Side;
use mailcap::position::{Direction, Span, Timestamp};
use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Runs the program; the objects that it writes.
fn program(args: &[&str]) -> (i32, Vec<Object>) {
    let run = Command::new(env!("CARGO_BIN_EXE_mailcap")).args(args).arg("--json").output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    (run.status.code().unwrap(), text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn exit_code(args: &[&str]) -> i32 {
    Command::new(env!("CARGO_BIN_EXE_mailcap")).args(args).output().unwrap().status.code().unwrap()
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// Frames of the events of a kind; the first turn is frame 4.
fn frames(story: &Story, kind: impl Fn(&EventBody) -> bool) -> Vec<(u64, u64)> {
    let span = |span: Span| (span.first.number, span.last.number);
    story.events.iter().filter(|e| kind(&e.body)).map(|e| span(e.span)).collect()
}

/// Up to the 354 of one message: 9 turns, frames 4 to 12.
fn up_to_data() -> Vec<Turn> {
    vec![
        s("220 mx ESMTP\r\n"),
        c("EHLO me\r\n"),
        s("250 mx\r\n"),
        c("MAIL FROM:<a@x>\r\n"),
        s("250 2.1.0 Ok\r\n"),
        c("RCPT TO:<b@y>\r\n"),
        s("250 2.1.5 Ok\r\n"),
        c("DATA\r\n"),
        s("354 go\r\n"),
    ]
}

fn with(more: &[Turn]) -> Vec<Turn> {
    [up_to_data(), more.to_vec()].concat()
}

/// A whole mail and the farewell.
fn whole() -> Vec<Turn> {
    with(&[
        c("Subject: x\r\n\r\nhi\r\n.\r\n"),
        s("250 2.0.0 Ok: queued as A1\r\n"),
        c("QUIT\r\n"),
        s("221 2.0.0 Bye\r\n"),
    ])
}

/// A dialogue with an IMAP server, logged in, with a mailbox.
fn mailbox(more: &[Turn]) -> Vec<Turn> {
    let begin = [
        s("* OK hi\r\n"),
        c("a LOGIN alice pw\r\n"),
        s("a OK\r\n"),
        c("b SELECT INBOX\r\n"),
        s("* 9 EXISTS\r\n* OK [UIDVALIDITY 77] x\r\nb OK [READ-WRITE] x\r\n"),
    ];
    [&begin, more].concat()
}

fn of(turns: &[Turn], port: u16, client: u16) -> Dialogue {
    Dialogue { client: ([10, 0, 0, 1], client).into(), server: ([10, 0, 0, 2], port).into(), turns: turns.to_vec() }
}

/// Several connections in one file, one after the other.
fn file_of(parts: &[(Dialogue, Vec<Packet>)]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    for (n, (dialogue, list)) in parts.iter().enumerate() {
        let bytes = pcap(dialogue, list);
        file.write_all(if n == 0 { &bytes } else { &bytes[24..] }).unwrap();
    }
    file
}

fn tell_file(file: &tempfile::NamedTempFile) -> Told {
    tell_config(config(&[file.path().to_owned()], &How::default()))
}

// Sessions.

#[test]
fn a_new_initial_sequence_number_opens_the_next_session() {
    let dialogue = of(&whole(), 25, 40_000);
    let first = flights(&dialogue);
    let moved = |by: u32| -> Vec<Packet> {
        let move_ =
            |p: &Packet| Packet { seq: p.seq.wrapping_add(by), ack: p.ack.map(|a| a.wrapping_add(by)), ..p.clone() };
        first.iter().map(move_).collect()
    };
    // After FINs; and with the old connection still open.
    let cut = first[..first.len() - 3].to_vec();
    for (list, reason) in [(first.clone(), EndReason::Fin), (cut, EndReason::Reused)] {
        let told = tell_file(&file_of(&[(dialogue.clone(), list), (dialogue.clone(), moved(1_000_000_000))]));
        let reasons: Vec<_> = told.stories.values().map(|s| s.session().end_reason).collect();
        assert_eq!(reasons, [reason, EndReason::Fin]);
        assert!(told.stories.values().all(|s| s.session().messages == 1 && s.session().outcome == Outcome::Completed));
    }
}

#[test]
fn a_mail_port_makes_a_session_even_when_nothing_was_said() {
    for port in [24, 25, 110, 143, 465, 587, 993, 995, 2000, 4190] {
        let told = play(port, &[]);
        let session = only(&told).session();
        assert_eq!((session.outcome, session.protocol, session.commands), (Outcome::NoBanner, None, 0), "port {port}");
    }
    assert!(play(2525, &[]).stories.is_empty());
    let file = capture(2525, &[]);
    let (_, objects) = program(&["sessions", path(&file), "-d", "tcp.port==2525,smtp"]);
    assert_eq!((objects.len(), &objects[0]["outcome"]), (1, &"no-banner".into()));
}

#[test]
fn closed_tls_is_mail_after_starttls_on_a_mail_port_or_by_d() {
    let mut dialogue = dialogues(testdata().join("tls/f-reneg-client-smtp.pcap")).remove(0);
    let run = |dialogue: &Dialogue| decode(dialogue, &flights(dialogue), &How::default());
    dialogue.server.set_port(465);
    let told = run(&dialogue);
    assert_eq!((only(&told).session().security, only(&told).session().protocol), (Security::Implicit, None));
    assert!(only(&told).session().undecrypted_bytes > 0);
    dialogue.server.set_port(8443);
    assert!(run(&dialogue).stories.is_empty());
    let file = file_of(&[(dialogue.clone(), flights(&dialogue))]);
    let (code, objects) = program(&["sessions", path(&file), "-d", "tcp.port==8443,smtps"]);
    assert_eq!((code, objects.len(), &objects[0]["security"]), (3, 1, &"implicit".into()));
    let (code, objects) = program(&["tls", path(&file)]);
    assert_eq!(
        (code, objects.len()),
        (0, objects.iter().filter(|o| o["type"] == "tls").count()),
        "no mail, no gap in it"
    );
    let mut dialogue = dialogues(testdata().join("tls/tls12-aes128-sha256-smtp-starttls.pcap")).remove(0);
    dialogue.server.set_port(2525);
    let told = run(&dialogue);
    assert_eq!(
        (only(&told).session().security, only(&told).session().protocol),
        (Security::StartTls, Some(Protocol::Smtp))
    );
}

/// A ServerHello chooses the protocol; what follows stays closed.
#[test]
fn closed_tls_is_mail_by_alpn() {
    let record = |kind: u8, body: &[u8]| [&[kind, 3, 3][..], &(body.len() as u16).to_be_bytes(), body].concat();
    let hello = |kind: u8, head: &[u8], name: &str| {
        let list = [&[name.len() as u8], name.as_bytes()].concat();
        let list = [&(list.len() as u16).to_be_bytes()[..], &list].concat();
        let extension = [&[0, 16][..], &(list.len() as u16).to_be_bytes(), &list].concat();
        let body = [head, &(extension.len() as u16).to_be_bytes(), &extension].concat();
        record(22, &[&[kind, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat())
    };
    let client = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
    let server = [&[3, 3][..], &[8; 32], &[0, 0, 0x2f, 0]].concat();
    for (name, mail) in [("imap", true), ("smtp", true), ("pop3", true), ("managesieve", true), ("h2", false)] {
        let done = record(22, &[14, 0, 0, 0]);
        let finished = [record(20, &[1]), record(22, &[1; 48])].concat();
        let turns = [
            c(hello(1, &client, name)),
            s([hello(2, &server, name), done].concat()),
            c(&finished),
            s(&finished),
            c(record(23, &[1; 64])),
        ];
        let told = play(8443, &turns);
        assert_eq!(told.stories.len(), usize::from(mail), "{name}");
        if mail {
            let session = only(&told).session();
            assert_eq!((session.security, session.protocol, session.complete), (Security::Implicit, None, false));
            assert_eq!(session.tls[0].alpn, Some(name.into()));
            assert!(session.undecrypted_bytes > 0);
        }
    }
}

#[test]
fn each_outcome_of_a_session() {
    let outcome = |turns: &[Turn]| only(&play(587, turns)).session().outcome;
    assert_eq!(outcome(&whole()), Outcome::Completed);
    assert_eq!(outcome(&[s("554 5.7.1 go away\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]), Outcome::Refused);
    let failed = [s("220 x\r\n"), c("AUTH PLAIN AGEAYg==\r\n"), s("535 5.7.8 no\r\n"), c("QUIT\r\n"), s("221 bye\r\n")];
    assert_eq!(outcome(&failed), Outcome::AuthFailed);
    assert_eq!(outcome(&with(&[c("half a ma")])), Outcome::Aborted);
    assert_eq!(outcome(&[]), Outcome::NoBanner);
    let (_, objects) =
        program(&["sessions", testdata().join("tls/f-handshake-failure-smtp-starttls.pcap").to_str().unwrap()]);
    assert_eq!(objects[0]["outcome"], "tls-failed");
    let dialogue = of(&up_to_data(), 25, 40_000);
    let list = flights(&dialogue);
    let cut = decode(&dialogue, &list[..list.len() - 3], &How::default());
    assert_eq!((only(&cut).session().outcome, only(&cut).session().end_reason), (Outcome::Cut, EndReason::Eof));
}

#[test]
fn each_end_of_a_session_and_who_ended_it() {
    let dialogue = of(&whole(), 25, 40_000);
    let list = flights(&dialogue);
    let ended = |list: &[Packet]| {
        let told = decode(&dialogue, list, &How::default());
        (only(&told).session().end_reason, only(&told).session().ended_by)
    };
    assert_eq!(ended(&list), (EndReason::Fin, Some(Direction::Client)));
    let n = list.len();
    // The server's FIN first.
    let mut other = list.clone();
    let acks = [other[n - 3].ack, other[n - 2].ack];
    other.swap(n - 3, n - 2);
    (other[n - 3].ack, other[n - 2].ack) = (acks[1].map(|a| a - 1), acks[0].map(|a| a + 1));
    assert_eq!(ended(&other), (EndReason::Fin, Some(Direction::Server)));
    for (side, dir) in [(Side::Initiator, Direction::Client), (Side::Responder, Direction::Server)] {
        let mut reset = list[..n - 3].to_vec();
        let mut last = list[if side == Side::Initiator { n - 3 } else { n - 2 }].clone();
        (last.fin, last.rst) = (false, true);
        reset.push(last);
        assert_eq!(ended(&reset), (EndReason::Rst, Some(dir)));
    }
    assert_eq!(ended(&list[..n - 3]), (EndReason::Eof, None));
    // Idle for longer than the bound, by the time of later frames (looked at every 4,096 frames).
    let later = |client| (of(&whole(), 110, client), flights(&of(&whole(), 110, client)));
    let later = file_of(&(0..300).map(|i| later(41_000 + i)).collect::<Vec<_>>());
    let mut late = std::fs::read(later.path()).unwrap().split_off(24);
    let mut at = 0;
    while at < late.len() {
        let seconds = u32::from_le_bytes(late[at..at + 4].try_into().unwrap()) + 100_000;
        late[at..at + 4].copy_from_slice(&seconds.to_le_bytes());
        at += 16 + u32::from_le_bytes(late[at + 8..at + 12].try_into().unwrap()) as usize;
    }
    let mut file = file_of(&[(dialogue.clone(), list[..n - 3].to_vec())]);
    file.write_all(&late).unwrap();
    let told = tell_file(&file);
    let first = told.stories.values().next().unwrap().session();
    assert_eq!((first.end_reason, first.ended_by), (EndReason::Timeout, None));
    // More connections than are known at once.
    let open = |client| (of(&whole(), 25, client), list[..n - 3].to_vec());
    let file = file_of(&(0..300).map(|i| open(30_000 + i)).collect::<Vec<_>>());
    let mut few = config(&[file.path().to_owned()], &How::default());
    few.limits.connections = 64;
    let told = tell_config(few);
    let reasons: Vec<_> = told.stories.values().map(|s| s.session().end_reason).collect();
    assert_eq!(reasons.len(), 300, "none is lost");
    assert!(reasons.contains(&EndReason::Evicted) && reasons.contains(&EndReason::Eof));
}

#[test]
fn counts_of_a_session() {
    let told = play(25, &whole());
    let session = only(&told).session();
    let bytes = |side| whole().iter().filter(|t| t.side == side).map(|t| t.bytes.len() as u64).sum::<u64>();
    assert_eq!(session.bytes, [bytes(Side::Initiator), bytes(Side::Responder)]);
    assert_eq!((session.span.first.number, session.span.last.number, session.frames), (1, 19, 19));
    assert_eq!((session.commands, session.messages), (5, 1));
    assert_eq!(session.helo, Some("me".into()));
    assert_eq!(session.banner, Some("mx ESMTP".into()));
    assert_eq!(session.last_error, None);
    let told = told_of_errors();
    assert_eq!(only(&told).session().last_error, Some("550 5.1.1 two".into()));
}

fn told_of_errors() -> Told {
    let turns = [s("220 x\r\n"), c("VRFY a\r\n"), s("502 5.5.1 one\r\n"), c("VRFY b\r\n"), s("550 5.1.1 two\r\n")];
    play(25, &[&turns[..], &[c("NOOP\r\n"), s("250 ok\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]].concat())
}

#[test]
fn ids_are_the_same_whatever_the_filter() {
    let pop = [s("+OK\r\n"), c("USER a\r\n"), s("+OK\r\n"), c("QUIT\r\n"), s("+OK\r\n")];
    let parts = [(whole(), 25), (pop.to_vec(), 110), (whole(), 587)];
    let parts: Vec<_> = parts
        .iter()
        .zip(40_000..)
        .map(|((turns, port), client)| (of(turns, *port, client), flights(&of(turns, *port, client))))
        .collect();
    let file = file_of(&parts);
    let (_, all) = program(&["decode", path(&file)]);
    let session = |o: &Object| o.get("session").or(o.get("id")).unwrap().as_u64().unwrap();
    let ids: BTreeSet<u64> = all.iter().map(session).collect();
    assert_eq!(ids, BTreeSet::from([1, 20, 31]));
    for (option, value, kept) in
        [("--proto", "pop3", vec![20]), ("--port", "587", vec![31]), ("--session", "1", vec![1])]
    {
        let (_, some) = program(&["decode", path(&file), option, value]);
        // The order in which they are known is not that of the story.
        let mut want: Vec<&Object> = all.iter().filter(|o| kept.contains(&session(o))).collect();
        want.sort_by_key(|o| (session(o), o["seq"].as_u64()));
        let same = some.iter().collect::<Vec<_>>() == want;
        assert!(same, "{option}: {} objects, {} expected", some.len(), want.len());
    }
}

// Messages.

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

// Framing.

#[test]
fn a_refused_synchronising_literal_is_never_sent() {
    for no in ["NO no such", "BAD what"] {
        let told = play(
            143,
            &mailbox(&[c("p APPEND nope {9}\r\n"), s(format!("p {no}\r\n")), c("q NOOP\r\n"), s("q OK\r\n")]),
        );
        assert_eq!(verbs(&told)[2..], ["APPEND", "NOOP"]);
        assert_eq!(only(&told).messages.len(), 0);
    }
}

#[test]
fn a_non_synchronising_literal_is_sent_even_if_refused() {
    let told = play(
        143,
        &mailbox(&[c("p APPEND nope {8+}\r\n"), s("p NO no\r\n"), c("q NOOP\r\n\r\nr NOOP\r\n"), s("r OK\r\n")]),
    );
    assert_eq!(verbs(&told)[2..], ["APPEND", "NOOP"]);
    let message = &only(&told).messages[0];
    assert_eq!((message.size, message.outcome), (8, MessageOutcome::Rejected));
}

#[test]
fn braces_in_response_text_or_quotes_are_no_literal() {
    let told = play(
        143,
        &[
            s("* OK quota {5}\r\n"),
            c("a LIST \"\" \"x {50}\"\r\n"),
            s("* LIST () \"/\" \"{3}\"\r\n* NO full {7}\r\na OK done {9}\r\n"),
            c("b LOGOUT\r\n"),
            s("* BYE {2}\r\nb OK {4}\r\n"),
        ],
    );
    assert_eq!(verbs(&told), ["LIST", "LOGOUT"]);
    assert_eq!((only(&told).replies.len(), only(&told).session().outcome), (6, Outcome::Completed));
    assert!(codes(&told).is_empty());
}

#[test]
fn injected_commands_are_outside_the_counted_ones() {
    for (port, script, injected, counted) in [
        (25, "S: 220 x\nC: EHLO a\nS: 250 STARTTLS\nC: STARTTLS\nC: MAIL FROM:<evil>\nS: 220 go", "MAIL", 2),
        (143, "S: * OK x\nC: a STARTTLS\nC: b LOGIN x y\nS: a OK go", "LOGIN", 1),
        (110, "S: +OK x\nC: STLS\nC: USER x\nS: +OK go", "USER", 1),
        (4190, "S: \"IMPLEMENTATION\" \"x\"\nS: \"SIEVE\" \"x\"\nS: OK\nC: STARTTLS\nC: NOOP\nS: OK", "NOOP", 1),
    ] {
        // TLS follows.
        let mut dialogue = dialogue(port, script);
        dialogue.turns.push(c([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]));
        let told = decode(&dialogue, &flights(&dialogue), &How::default());
        let story = only(&told);
        let flagged: Vec<_> = story.commands.iter().filter(|c| c.injected).map(|c| c.verb.to_str_lossy()).collect();
        assert_eq!(flagged, [injected], "port {port}");
        assert_eq!(story.session().commands, counted, "port {port}");
        assert!(codes(&told).contains(&"injected-commands"), "port {port}: {:?}", codes(&told));
    }
}

#[test]
fn a_dot_line_with_a_bare_lf_ends_a_message_only_if_the_server_took_it_so() {
    let smuggle = "x\n.\nMAIL FROM:<evil>\r\nRCPT TO:<v>\r\nDATA\r\ny\r\n.\r\n";
    let taken = play(25, &with(&[c(smuggle), s("250 a\r\n250 b\r\n250 c\r\n354 d\r\n250 e\r\n")]));
    assert_eq!(only(&taken).messages.len(), 2);
    assert!(codes(&taken).contains(&"smuggling"));
    let content = play(25, &with(&[c(smuggle), s("250 a\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]));
    assert_eq!(only(&content).messages.len(), 1);
    assert_eq!(hex(&only(&content).messages[0].sha256.unwrap()), digest(&smuggle[..smuggle.len() - 3]));
    assert!(codes(&content).contains(&"smuggling"));
}

#[test]
fn with_one_direction_only_success_is_assumed() {
    let dialogue = of(&whole(), 25, 40_000);
    let client: Vec<Packet> = flights(&dialogue).into_iter().filter(|p| p.side == Side::Initiator).collect();
    let told = decode(&dialogue, &client, &How::default());
    let story = only(&told);
    assert_eq!(verbs(&told), ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]);
    let message = &story.messages[0];
    assert!(message.assumed && story.commands.iter().all(|c| c.assumed));
    assert_eq!(
        (message.outcome, hex(&message.sha256.unwrap())),
        (MessageOutcome::Accepted, digest("Subject: x\r\n\r\nhi\r\n"))
    );
}

// Fields.

#[test]
fn frame_and_ts_are_those_of_the_last_byte_and_first_frame_that_of_the_first() {
    let turns = [
        s("220-mx\r\n"),         // 4
        s("220 ready\r\n"),      // 5
        c("EH"),                 // 6
        c("LO me\r"),            // 7
        c("\n"),                 // 8
        s("250 mx\r\n"),         // 9
        c("MAIL FROM:<a>\r\n"),  // 10
        s("250 ok\r\n"),         // 11
        c("RCPT TO:<b>\r\n"),    // 12
        s("250 ok\r\n"),         // 13
        c("DATA\r\n"),           // 14
        s("354 go\r\n"),         // 15
        c("Subject: x\r\n\r\n"), // 16
        c("text\r"),             // 17
        c("\n"),                 // 18
        c(".\r\n"),              // 19
        s("250 ok\r\n"),         // 20
    ];
    let told = play(25, &turns);
    let story = only(&told);
    let commands = frames(story, |b| matches!(b, EventBody::Command(_)));
    assert_eq!(commands, [(6, 8), (10, 10), (12, 12), (14, 14)]);
    let replies = frames(story, |b| matches!(b, EventBody::Reply(_)));
    assert_eq!(replies, [(4, 5), (9, 9), (11, 11), (13, 13), (15, 15), (20, 20)]);
    assert_eq!(frames(story, |b| matches!(b, EventBody::Message(_))), [(16, 18)]);
    let hello = story.events.iter().find(|e| matches!(e.body, EventBody::Command(_))).unwrap();
    assert_eq!(hello.span.last.ts, Timestamp(1_000_000_000_000_000_000 + 7 * 100_000));
    let file = capture(25, &turns);
    let (_, objects) = program(&["decode", path(&file)]);
    let hello = objects.iter().find(|o| o["type"] == "command").unwrap();
    assert_eq!((&hello["first_frame"], &hello["frame"]), (&6.into(), &8.into()));
    assert_eq!(hello["ts"], "2001-09-09T01:46:40.000700000Z");
    assert_eq!(hello["file"], path(&file));
    // IMAP: literals belong to their command, an untagged reply ends behind its literal.
    let turns = mailbox(&[
        c("p APPEND x {4}\r\n"),        // 9
        s("+ go\r\n"),                  // 10
        c("ab"),                        // 11
        c("cd"),                        // 12
        c("\r\n"),                      // 13
        s("p OK\r\n"),                  // 14
        c("f FETCH 1 BODY[]\r\n"),      // 15
        s("* 1 FETCH (BODY[] {4}\r\n"), // 16
        s("ab"),                        // 17
        s("cd"),                        // 18
        s(" UID 5)\r\nf OK\r\n"),       // 19
    ]);
    let told = play(143, &turns);
    let story = only(&told);
    assert_eq!(frames(story, |b| matches!(b, EventBody::Command(c) if c.verb.0 == b"APPEND")), [(9, 13)]);
    assert_eq!(frames(story, |b| matches!(b, EventBody::Reply(r) if r.text.0.starts_with(b"1 FETCH"))), [(16, 19)]);
    assert_eq!(frames(story, |b| matches!(b, EventBody::Message(_))), [(11, 12), (17, 18)]);
    // POP3.
    let told = play(
        110,
        &[
            s("+OK\r\n"),
            c("RETR 1\r\n"),
            s("+OK\r\n"),
            s("a: b\r\n"),
            s("\r\n"),
            s(".\r\n"),
            c("QUIT\r\n"),
            s("+OK\r\n"),
        ],
    );
    assert_eq!(frames(only(&told), |b| matches!(b, EventBody::Message(_))), [(7, 8)]);
}

#[test]
fn latency_runs_from_the_last_byte_to_the_first() {
    // A frame every 100 µs.
    let latencies = |port: u16, turns: &[Turn]| -> Vec<Option<i64>> {
        only(&play(port, turns)).replies.iter().map(|r| r.latency.map(|l| l / 100_000)).collect()
    };
    let turns = with(&[
        c("x\r\n"),
        c(".\r"),
        c("\n"),
        s("2"),
        s("50 ok\r\n"),
        c("MAIL FROM:<a>\r\n"),
        s("250 ok\r\n"),
        c("RCPT TO:<b>\r\n"),
        s("250 ok\r\n"),
        c("BDAT 4 LAST\r\nab"),
        c("cd"),
        c(""),
        s("250 ok\r\n"),
        c("NO"),
        c("OP\r\nNOOP\r\n"),
        s("250 a\r\n"),
        s("250 b\r\n"),
    ]);
    let turns: Vec<Turn> = turns.into_iter().filter(|t| !t.bytes.is_empty()).collect();
    // The final dot ends two frames before the reply's *last* byte, one before its first.
    assert_eq!(latencies(25, &turns)[5..], [Some(1), Some(1), Some(1), Some(1), Some(1), Some(2)]);
    assert_eq!(latencies(25, &turns)[0], None, "a greeting answers nothing");
    let told = play(25, &turns);
    assert_eq!(only(&told).session().slowest_reply, Some(200_000));
    // IMAP: from the end of the literal's command; untagged data that nobody asked for has none.
    let idle = [c("i IDLE\r\n"), s("+ go\r\n"), s("* 10 EXISTS\r\n"), c("DONE\r\n"), s("i OK\r\n")];
    let told = play(143, &mailbox(&idle));
    let replies = &only(&told).replies;
    let exists = replies.iter().find(|r| r.text.0 == b"10 EXISTS").unwrap();
    assert_eq!((exists.command, exists.latency), (None, None));
    assert_eq!(replies.last().unwrap().latency, Some(100_000));
    let append = [c("p APPEND x {4}\r\n"), s("+ go\r\n"), c("abcd"), c("\r\n"), s("p OK\r\n")];
    assert_eq!(latencies(143, &mailbox(&append)).last(), Some(&Some(1)));
}

#[test]
fn replies_name_the_command_that_they_answer() {
    let told = play(25, &whole());
    let story = only(&told);
    let seqs: Vec<u64> =
        story.events.iter().filter(|e| matches!(e.body, EventBody::Command(_))).map(|e| e.seq).collect();
    let answered: Vec<_> = story.replies.iter().map(|r| r.command).collect();
    let [ehlo, mail, rcpt, data, quit] = seqs[..] else { panic!() };
    assert_eq!(answered, [None, Some(ehlo), Some(mail), Some(rcpt), Some(data), Some(data), Some(quit)]);
    let codes: Vec<_> = story.replies.iter().map(|r| (r.code, r.status.to_str_lossy().into_owned())).collect();
    assert_eq!(codes[1], (Some(250), "250".to_owned()));
    let enhanced: Vec<_> = story.replies.iter().map(|r| r.enhanced.clone()).collect();
    assert_eq!(
        enhanced[2..],
        [Some("2.1.0".into()), Some("2.1.5".into()), None, Some("2.0.0".into()), Some("2.0.0".into())]
    );
}

#[test]
fn verbs_are_upper_case_and_uid_commands_whole() {
    let told = play(
        143,
        &mailbox(&[
            c("f uid fetch 1 FLAGS\r\n"),
            s("* 1 FETCH (UID 1 FLAGS ())\r\nf OK\r\n"),
            c("g Uid Store 1 +Flags (\\Seen)\r\n"),
            s("g OK\r\n"),
        ]),
    );
    let commands = &only(&told).commands;
    assert_eq!(verbs(&told), ["LOGIN", "SELECT", "UID FETCH", "UID STORE"]);
    assert_eq!((commands[3].tag.clone(), commands[3].args.clone()), (Some("g".into()), "1 +Flags (\\Seen)".into()));
    let statuses: Vec<_> =
        only(&told).replies.iter().map(|r| (r.status.to_str_lossy().into_owned(), r.tag.is_some())).collect();
    let own = |s: &str, tagged| (s.to_owned(), tagged);
    assert_eq!(
        statuses[2..],
        [own("*", false), own("OK", false), own("OK", true), own("*", false), own("OK", true), own("OK", true)]
    );
    let told = play(
        25,
        &[
            s("220 x\r\n"),
            c("ehlo x\r\n"),
            s("250 x\r\n"),
            c("xMagic on\r\n"),
            s("500 what\r\n"),
            c("quit\r\n"),
            s("221 x\r\n"),
        ],
    );
    assert_eq!(verbs(&told), ["EHLO", "xMagic", "QUIT"]);
}

#[test]
fn each_outcome_and_name_of_an_authentication() {
    let auth = |port, turns: &[Turn]| {
        let told = play(port, turns);
        let auth = only(&told).auth[0].clone();
        (auth.mechanism.to_str_lossy().into_owned(), auth.user, auth.outcome)
    };
    let alice = || Some("alice".into());
    let smtp = |answer: &str| [s("220 x\r\n"), c("AUTH PLAIN AGFsaWNlAHB3\r\n"), s(answer)];
    assert_eq!(auth(587, &smtp("235 ok\r\n")), ("PLAIN".to_owned(), alice(), AuthOutcome::Success));
    assert_eq!(auth(587, &smtp("535 no\r\n")), ("PLAIN".to_owned(), alice(), AuthOutcome::Failure));
    assert_eq!(auth(587, &smtp("")[..2]), ("PLAIN".to_owned(), alice(), AuthOutcome::Aborted));
    let cancelled = [s("220 x\r\n"), c("AUTH LOGIN\r\n"), s("334 VXNlcm5hbWU6\r\n"), c("*\r\n"), s("501 no\r\n")];
    assert_eq!(auth(587, &cancelled), ("LOGIN".to_owned(), None, AuthOutcome::Aborted));
    let pop = [s("+OK <1@x>\r\n"), c("USER alice\r\n"), s("+OK\r\n"), c("PASS pw\r\n"), s("+OK\r\n")];
    assert_eq!(auth(110, &pop), ("USER".to_owned(), alice(), AuthOutcome::Success));
    let apop = [s("+OK <1@x>\r\n"), c("APOP alice 00112233445566778899aabbccddeeff\r\n"), s("-ERR\r\n")];
    assert_eq!(auth(110, &apop), ("APOP".to_owned(), alice(), AuthOutcome::Failure));
    assert_eq!(auth(143, &mailbox(&[])), ("LOGIN-COMMAND".to_owned(), alice(), AuthOutcome::Success));
    // Its end was not captured.
    let dialogue = of(&smtp("")[..2], 587, 40_000);
    let list = flights(&dialogue);
    let told = decode(&dialogue, &list[..list.len() - 3], &How::default());
    assert_eq!(only(&told).auth[0].outcome, AuthOutcome::Unknown);
}

#[test]
fn each_cause_of_a_gap() {
    let dialogue = of(&whole(), 25, 40_000);
    let list = flights(&dialogue);
    let causes = |told: &Told| -> Vec<GapCause> { only(told).gaps.iter().map(|g| g.cause).collect() };
    let mut lost = list.clone();
    lost.remove(12);
    assert_eq!(causes(&decode(&dialogue, &lost, &How::default())), [GapCause::Lost]);
    assert!(causes(&decode(&dialogue, &list[5..], &How::default())).iter().all(|c| *c == GapCause::MidStream));
    // The message's packet cut at 60 bytes.
    let bytes = pcap(&dialogue, &list);
    let mut cut = bytes[..24].to_vec();
    let mut at = 24;
    for n in 0.. {
        let Some(header) = bytes.get(at..at + 16) else { break };
        let len = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        let kept = if n == 12 { 60 } else { len };
        cut.extend_from_slice(&header[..8]);
        cut.extend_from_slice(&(kept as u32).to_le_bytes());
        cut.extend_from_slice(&header[12..]);
        cut.extend_from_slice(&bytes[at + 16..at + 16 + kept]);
        at += 16 + len;
    }
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(&cut).unwrap();
    let told = tell_file(&file);
    assert_eq!(causes(&told), [GapCause::Snaplen]);
    assert!(!only(&told).messages[0].complete);
}

#[test]
fn every_object_of_a_type_has_the_same_fields_in_real_captures() {
    let mut shapes: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    for folder in ["servers", "tls"] {
        let key = if folder == "servers" { "servers/keys/server.key" } else { "tls/keys/rsa2048.pem" };
        let mut files: Vec<_> =
            std::fs::read_dir(testdata().join(folder)).unwrap().map(|e| e.unwrap().path()).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == "pcap" || e == "pcapng"));
        for file in files {
            let name = file.to_str().unwrap();
            let (_, objects) =
                program(&["decode", name, "--bodies", "--stats", "-k", testdata().join(key).to_str().unwrap()]);
            let mut seqs: BTreeSet<(u64, u64)> = BTreeSet::new();
            for object in &objects {
                let kind = object["type"].as_str().unwrap().to_owned();
                let keys: Vec<String> = object.keys().filter(|k| !k.ends_with("_b64")).cloned().collect();
                assert_eq!(keys[0], "type", "{name}");
                let (known, first) = shapes.entry(kind.clone()).or_insert_with(|| (keys.clone(), name.to_owned()));
                assert_eq!(&keys, known, "{kind} of {name}, and of {first}");
                if kind == "stats" {
                    continue;
                }
                let session = object[if kind == "session" { "id" } else { "session" }].as_u64().unwrap();
                assert!(seqs.insert((session, object["seq"].as_u64().unwrap())), "{name}: a seq twice");
                let ts = object["ts"].as_str().unwrap();
                assert!(ts.len() == 30 && ts.ends_with('Z') && ts.as_bytes()[19] == b'.', "{ts}");
                assert!(object["first_frame"].as_u64() <= object["frame"].as_u64(), "{name}: {object:?}");
                if ["command", "reply", "auth", "message", "script"].contains(&kind.as_str()) {
                    assert!(object["tls"].is_boolean() && (object["dir"] == "client" || object["dir"] == "server"));
                }
            }
            // From 1, and the session itself last.
            for session in objects.iter().filter(|o| o["type"] == "session") {
                let id = session["id"].as_u64().unwrap();
                let own: Vec<u64> = seqs.iter().filter(|(s, _)| *s == id).map(|(_, seq)| *seq).collect();
                assert_eq!(own.first(), Some(&1), "{name}");
                assert_eq!(own.last(), session["seq"].as_u64().as_ref(), "{name}");
            }
        }
    }
    let kinds: Vec<&str> = shapes.keys().map(String::as_str).collect();
    assert_eq!(
        kinds,
        ["auth", "body", "command", "diagnostic", "gap", "message", "reply", "script", "session", "stats", "tls"]
    );
}

/// Sizes as the client recorded them; Dovecot gives back what it was given.
#[test]
fn scripts_are_objects() {
    let capture = testdata().join("servers/sieve-starttls-rsa.pcap");
    let key = testdata().join("servers/keys/server.key");
    let (code, objects) = program(&["decode", capture.to_str().unwrap(), "-k", key.to_str().unwrap()]);
    assert_eq!(code, 0);
    let scripts: Vec<&Object> = objects.iter().filter(|o| o["type"] == "script").collect();
    let facts: Vec<_> = scripts
        .iter()
        .map(|s| {
            let text = |name: &str| s[name].as_str().unwrap_or("-").to_owned();
            (text("verb"), text("name"), s["size"].as_u64().unwrap(), text("outcome"), text("dir"))
        })
        .collect();
    let row = |verb: &str, name: &str, size, outcome: &str, dir: &str| {
        (verb.to_owned(), name.to_owned(), size, outcome.to_owned(), dir.to_owned())
    };
    assert_eq!(
        facts,
        [
            row("PUTSCRIPT", "s0", 85, "accepted", "client"),
            row("PUTSCRIPT", "s1", 62, "accepted", "client"),
            row("PUTSCRIPT", "bad", 20, "rejected", "client"),
            row("CHECKSCRIPT", "-", 20, "rejected", "client"),
            row("GETSCRIPT", "s0", 85, "accepted", "server"),
            row("GETSCRIPT", "s1", 62, "accepted", "server"),
        ]
    );
    assert!(scripts.iter().all(|s| s["complete"] == true && s["tls"] == true && s["text"].is_null()));
    assert_eq!((&scripts[0]["sha256"], &scripts[1]["sha256"]), (&scripts[4]["sha256"], &scripts[5]["sha256"]));
    assert_eq!(scripts[2]["sha256"], scripts[3]["sha256"]);
    let shown = Command::new(env!("CARGO_BIN_EXE_mailcap"))
        .args(["decode", "--bodies", capture.to_str().unwrap(), "-k", key.to_str().unwrap()])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("script \"s0\": 85 bytes, sha256 ") && shown.contains("script \"bad\": 20 bytes, rejected"));
}

// Exit codes.

#[test]
fn exit_codes() {
    let mail = capture(25, &whole());
    assert_eq!(exit_code(&["decode", path(&mail)]), 0);
    // Nothing to list on mail is no failure.
    let no_auth = capture(25, &[s("220 x\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]);
    assert_eq!(exit_code(&["auth", path(&no_auth)]), 0);
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(exit_code(&["extract", path(&no_auth), "-o", dir.path().join("x").to_str().unwrap()]), 0);
    // No mail, no handshake.
    let other = capture(8080, &[c("GET / HTTP/1.0\r\n\r\n"), s("HTTP/1.0 200 OK\r\n\r\n")]);
    assert_eq!(exit_code(&["sessions", path(&other)]), 1);
    assert_eq!(exit_code(&["tls", path(&mail)]), 1);
    // A gap in mail, and one elsewhere, which does not count.
    let gap = |turns: &[Turn], port| {
        let dialogue = of(turns, port, 42_000);
        let mut list = flights(&dialogue);
        list.remove(4);
        (dialogue, list)
    };
    assert_eq!(exit_code(&["decode", path(&file_of(&[gap(&whole(), 25)]))]), 3);
    let http: Vec<Turn> = (0..4).flat_map(|_| [c("GET / HTTP/1.1\r\n\r\n"), s("HTTP/1.1 204 x\r\n\r\n")]).collect();
    let whole_mail = (of(&whole(), 25, 40_000), flights(&of(&whole(), 25, 40_000)));
    assert_eq!(exit_code(&["decode", path(&file_of(&[whole_mail, gap(&http, 8080)]))]), 0);
    // A handshake that failed between its peers leaves nothing to decrypt.
    let failed = testdata().join("tls/f-handshake-failure-smtp-starttls.pcap");
    assert_eq!(exit_code(&["decode", failed.to_str().unwrap()]), 0);
    // 2 wins over 3.
    let cut = file_of(&[gap(&whole(), 25)]);
    assert_eq!(exit_code(&["decode", path(&cut), "-k", "/nonexistent.key"]), 2);
}
