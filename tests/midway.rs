//! Captures that begin in the middle of their sessions: what is told of the rest is what the whole capture tells of it.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use common::packets::{Dialogue, Turn, pcap};
use common::script::{c, codes, decode, dialogue, flights, only, s};
use common::{Collect, How, Story, Told, config, tell};
use mailcap::event::{AuthOutcome, Event, EventBody, MessageOutcome, MessagePart, Outcome, Protocol};
use mailcap::pipeline::{Config, run};
use mailcap::session::DecodeAs;

/// Frames that are left out at most.
const CUTS: usize = 100;

/// Where the records of a little-endian pcap file begin, and where the file ends.
fn records(bytes: &[u8]) -> Vec<usize> {
    let mut at = 24;
    let mut all = Vec::new();
    while let Some(caplen) = bytes.get(at + 8..at + 12) {
        all.push(at);
        at += 16 + u32::from_le_bytes(caplen.try_into().unwrap()) as usize;
    }
    all
}

/// The capture without its first `n` frames.
fn without_first(bytes: &[u8], n: usize) -> tempfile::NamedTempFile {
    let from = records(bytes).get(n).copied().unwrap_or(bytes.len());
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(&[&bytes[..24], &bytes[from..]].concat()).unwrap();
    file
}

/// A command or reply by frame: what it says, and the frame and verb of the command that it answers.
type Line = (u64, String);

struct Known {
    commands: BTreeSet<Line>,
    replies: BTreeMap<Line, Vec<Option<Line>>>,
    /// Frame of the server's first byte.
    greeted: Option<u64>,
    protocol: Option<&'static str>,
    outcome: Outcome,
}

fn command_of(event: &Event, shift: u64) -> Option<Line> {
    let EventBody::Command(c) = &event.body else { return None };
    let verb = c.verb.to_str_lossy();
    Some((event.span.last.number + shift, format!("{verb} {}", c.args.to_str_lossy())))
}

fn pairs(story: &Story, shift: u64) -> Vec<(Line, Option<Line>)> {
    let by_seq: BTreeMap<u64, Line> =
        story.events.iter().filter_map(|e| Some((e.seq, command_of(e, shift)?))).collect();
    story
        .events
        .iter()
        .filter_map(|e| {
            let EventBody::Reply(r) = &e.body else { return None };
            let line = (e.span.last.number + shift, format!("{} {}", r.status.to_str_lossy(), r.text.to_str_lossy()));
            Some((line, r.command.and_then(|seq| by_seq.get(&seq)).cloned()))
        })
        .collect()
}

fn known(story: &Story) -> Known {
    let mut replies: BTreeMap<Line, Vec<Option<Line>>> = BTreeMap::new();
    for (reply, command) in pairs(story, 0) {
        replies.entry(reply).or_default().push(command);
    }
    Known {
        commands: story.events.iter().filter_map(|e| command_of(e, 0)).collect(),
        greeted: story.events.iter().find_map(|e| matches!(e.body, EventBody::Reply(_)).then_some(e.span.first.number)),
        replies,
        protocol: story.session().protocol.map(|p| p.as_str()),
        outcome: story.session().outcome,
    }
}

/// What the clients said in secret, as it stood in their lines.
fn secrets(capture: &Path) -> Vec<String> {
    let shown = tell(&[capture.to_owned()], &How { show_secrets: true, ..How::default() });
    let masked = tell(&[capture.to_owned()], &How::default());
    let args = |told: &Told| -> Vec<String> {
        told.stories.values().flat_map(|s| &s.commands).map(|c| c.args.to_str_lossy().into_owned()).collect()
    };
    let differ = args(&shown).into_iter().zip(args(&masked)).filter(|(a, b)| a != b);
    let last = |args: &str| args.rsplit(' ').next().unwrap().trim_matches('"').to_owned();
    differ.map(|(shown, _)| last(&shown)).filter(|secret| secret.len() > 3).collect()
}

fn check(capture: &Path, cuts: usize) -> Vec<String> {
    let bytes = std::fs::read(capture).unwrap();
    let whole = tell(&[capture.to_owned()], &How::default());
    let known: BTreeMap<SocketAddr, Known> = whole.stories.values().map(|s| (s.session().client, known(s))).collect();
    let digests: BTreeSet<[u8; 32]> =
        whole.stories.values().flat_map(|s| &s.messages).filter_map(|m| m.sha256).collect();
    let secrets = secrets(capture);
    let mut problems = Vec::new();
    for n in 1..=cuts.min(records(&bytes).len() - 1) {
        let file = without_first(&bytes, n);
        let told = tell(&[file.path().to_owned()], &How::default());
        let mut wrong = |what: String| problems.push(format!("{n}: {what}"));
        for story in told.stories.values() {
            let session = story.session();
            let Some(known) = known.get(&session.client) else {
                wrong(format!("{} is no client", session.client));
                continue;
            };
            let protocol = session.protocol.map(|p| p.as_str());
            if protocol != known.protocol && (story.commands.len(), story.replies.len()) != (0, 0) {
                wrong(format!("{}: {protocol:?}", session.client));
            }
            let cut = known.greeted.is_some_and(|frame| frame <= n as u64);
            if cut && session.complete {
                wrong(format!("{}: complete, without its beginning", session.client));
            }
            let outcome = session.outcome;
            let same = outcome == known.outcome || known.outcome == Outcome::AuthFailed;
            if !same && (story.commands.len(), story.replies.len()) != (0, 0) {
                wrong(format!("{}: {outcome:?}, not {:?}", session.client, known.outcome));
            }
            for event in &story.events {
                let command = command_of(event, n as u64);
                // Without the command before it, a line of which nothing is known is masked.
                let masked = |(frame, said): &Line| {
                    said.trim_matches([' ', '"']) == "***" && known.commands.iter().any(|c| c.0 == *frame)
                };
                if let Some(command) = command
                    && !known.commands.contains(&command)
                    && !masked(&command)
                {
                    wrong(format!("no such command: {command:?}"));
                }
                let text = format!("{event:?}");
                if let Some(secret) = secrets.iter().find(|secret| text.contains(secret.as_str())) {
                    wrong(format!("{secret} is shown: {text}"));
                }
            }
            for (reply, command) in pairs(story, n as u64) {
                match known.replies.get(&reply) {
                    None => wrong(format!("no such reply: {reply:?}")),
                    Some(commands) => {
                        let frame = |c: &Option<Line>| c.as_ref().map(|c| c.0);
                        let seen = commands.iter().any(|c| frame(c) == frame(&command));
                        let before =
                            |c: &Option<Line>| c.as_ref().is_some_and(|c| c.0 <= n as u64 || command.is_none());
                        let unseen = command.is_none() && commands.iter().any(before);
                        if !(seen || unseen) {
                            wrong(format!("{reply:?} answers {command:?}, not {commands:?}"));
                        }
                    }
                }
            }
            for message in &story.messages {
                let whole = message.complete && message.part == MessagePart::Full;
                if whole && message.sha256.is_none_or(|digest| !digests.contains(&digest)) {
                    wrong(format!("no such message: {:?}, {} bytes", message.subject, message.size));
                }
            }
        }
    }
    problems
}

#[test]
fn what_is_left_of_a_capture_is_told_as_it_was() {
    const PLAIN: [&str; 9] = [
        "imap-auth-all",
        "imap-full-plain",
        "lmtp-direct",
        "pop3-auth-all",
        "pop3-full",
        "sieve-plain",
        "smtp-auth-all",
        "smtp-bdat",
        "swaks-plain",
    ];
    common::check_servers(&PLAIN, "captures without their first frames", 6, |capture| check(capture, CUTS));
}

/// What is told of a connection whose handshake, and whatever came before these words, is not in the capture.
fn joined(port: u16, turns: &[Turn]) -> Told {
    let client = "10.0.0.1:40000".parse().unwrap();
    let dialogue = Dialogue { client, server: ([10, 0, 0, 2], port).into(), turns: turns.to_vec() };
    decode(&dialogue, &flights(&dialogue)[3..], &How::default())
}

fn commands(told: &Told) -> Vec<String> {
    let line = |c: &mailcap::event::Command| format!("{} {}", c.verb.to_str_lossy(), c.args.to_str_lossy());
    only(told).commands.iter().map(|c| line(c).trim().to_owned()).collect()
}

/// Mechanism, user and outcome of the one authentication.
fn authentication(told: &Told) -> (String, Option<String>, AuthOutcome) {
    let [auth] = &only(told).auth[..] else { panic!("{:?}", only(told).auth) };
    let user = auth.user.as_ref().map(|user| user.to_str_lossy().into_owned());
    (auth.mechanism.to_str_lossy().into_owned(), user, auth.outcome)
}

#[test]
fn a_password_behind_an_unseen_challenge_is_no_command() {
    // "wonderland1", and "alice" with an answer to CRAM-MD5.
    const PASSWORD: &str = "d29uZGVybGFuZDE=\r\n";
    const CRAM: &str = "YWxpY2UgMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\r\n";
    let none = |mechanism: &str| (mechanism.to_owned(), None, AuthOutcome::Success);
    let alice = ("CRAM-MD5".to_owned(), Some("alice".to_owned()), AuthOutcome::Success);
    let mail = [c("MAIL FROM:<a@b>\r\n"), s("250 2.1.0 Ok\r\n"), c("QUIT\r\n"), s("221 2.0.0 Bye\r\n")];
    let smtp = |first: &[Turn]| joined(587, &[first, &mail].concat());
    for (first, expected) in [
        (vec![c(PASSWORD), s("235 2.7.0 Authentication successful\r\n")], none("")),
        (vec![s("334 UGFzc3dvcmQ6\r\n"), c(PASSWORD), s("235 2.7.0 Ok\r\n")], none("LOGIN")),
        (vec![c(CRAM), s("235 2.7.0 Ok\r\n")], alice.clone()),
    ] {
        let told = smtp(&first);
        assert_eq!(authentication(&told), expected);
        assert_eq!(commands(&told), ["***", "MAIL FROM:<a@b>", "QUIT"]);
        assert_eq!(only(&told).session().commands, 2, "a response is no command to count");
    }
    let failed = smtp(&[c(PASSWORD), s("535 5.7.8 no\r\n")]);
    assert_eq!(authentication(&failed).2, AuthOutcome::Failure);
    let cancelled = smtp(&[c("*\r\n"), s("501 5.7.0 cancelled\r\n")]);
    assert_eq!(authentication(&cancelled).2, AuthOutcome::Aborted);

    let pop3 = joined(110, &[c(CRAM), s("+OK Logged in.\r\n"), c("STAT\r\n"), s("+OK 0 0\r\n")]);
    assert_eq!((authentication(&pop3), commands(&pop3)), (alice.clone(), vec!["***".to_owned(), "STAT".to_owned()]));
    let pop3 = joined(110, &[s("+ \r\n"), c(PASSWORD), s("+OK Logged in.\r\n"), c("QUIT\r\n"), s("+OK\r\n")]);
    assert_eq!(authentication(&pop3), none(""));
    let imap = joined(143, &[c(CRAM), s("a1 OK Logged in\r\n"), c("a2 LOGOUT\r\n"), s("* BYE\r\na2 OK\r\n")]);
    assert_eq!((authentication(&imap), commands(&imap)), (alice.clone(), vec!["***".to_owned(), "LOGOUT".to_owned()]));
    let quoted = format!("\"{}\"\r\n", CRAM.trim_end());
    let sieve = joined(4190, &[c(quoted), s("OK \"in\"\r\n"), c("LOGOUT\r\n"), s("OK \"bye\"\r\n")]);
    assert_eq!(authentication(&sieve), alice);
}

#[test]
fn replies_do_not_become_the_commands_of_another_protocol() {
    let ehlo = "250-SIZE 1000\r\n250-AUTH=PLAIN LOGIN CRAM-MD5\r\n250 CHUNKING\r\n";
    let told = joined(25, &[s(ehlo), c("HELP\r\n"), s("214 2.0.0 this\r\n"), c("QUIT\r\n"), s("221 2.0.0 Bye\r\n")]);
    let session = only(&told).session();
    assert_eq!((session.protocol, session.server.port()), (Some(Protocol::Smtp), 25));
    assert_eq!(commands(&told), ["HELP", "QUIT"]);
}

#[test]
fn the_first_answer_of_managesieve_is_no_greeting() {
    let turns = [
        c("PUTSCRIPT \"s1\" {5+}\r\nkeep;\r\n"),
        s("OK \"Putscript completed.\"\r\n"),
        c("PUTSCRIPT \"s2\" {5+}\r\nkeep;\r\n"),
        s("NO \"no room\"\r\n"),
        c("GETSCRIPT \"s1\"\r\n"),
        s("{5}\r\nkeep;\r\nOK \"Getscript completed.\"\r\n"),
        c("LOGOUT\r\n"),
        s("OK \"bye\"\r\n"),
    ];
    let told = joined(4190, &turns);
    let scripts: Vec<_> = only(&told)
        .events
        .iter()
        .filter_map(|e| if let EventBody::Script(it) = &e.body { Some(it) } else { None })
        .map(|script| (script.verb.to_str_lossy().into_owned(), script.outcome))
        .collect();
    let (put, get) = ("PUTSCRIPT".to_owned(), "GETSCRIPT".to_owned());
    let (yes, no) = (MessageOutcome::Accepted, MessageOutcome::Rejected);
    assert_eq!(scripts, [(put.clone(), yes), (put, no), (get, yes)]);
    assert_eq!(only(&told).session().banner, None);
}

#[test]
fn a_session_without_its_beginning_is_not_complete() {
    let pop3 = [c("STAT\r\n"), s("+OK 0 0\r\n"), c("QUIT\r\n"), s("+OK Logging out.\r\n")];
    let lmtp = [c("RSET\r\n"), s("250 2.0.0 OK\r\n"), c("QUIT\r\n"), s("221 2.0.0 Bye\r\n")];
    let sieve = [c("LISTSCRIPTS\r\n"), s("OK \"done\"\r\n"), c("LOGOUT\r\n"), s("OK \"bye\"\r\n")];
    for (port, turns, protocol) in
        [(110, pop3, Protocol::Pop3), (24, lmtp, Protocol::Lmtp), (4190, sieve, Protocol::Sieve)]
    {
        let told = joined(port, &turns);
        let session = only(&told).session();
        assert_eq!((session.complete, session.outcome), (false, Outcome::Completed), "{protocol:?}");
        assert_eq!(session.protocol, Some(protocol));
        let missing = mailcap::output::transcript::incomplete(session).unwrap();
        assert_eq!(missing, "its beginning is not in the capture");
    }
    // Only the SYNs are missing.
    let greeted = [s("+OK Dovecot ready.\r\n"), c("QUIT\r\n"), s("+OK Logging out.\r\n")];
    assert!(only(&joined(110, &greeted)).session().complete);
}

#[test]
fn a_refusal_behind_the_beginning_is_no_refused_service() {
    let turns = [
        c("RCPT TO:<nobody@b>\r\n"),
        s("550 5.1.1 no such user\r\n"),
        c("RCPT TO:<a@b>\r\n"),
        s("250 2.1.5 Ok\r\n"),
        c("DATA\r\n"),
        s("354 go\r\n"),
        c("Subject: x\r\n\r\ny\r\n.\r\n"),
        s("250 2.0.0 Ok: queued as ABC123\r\n"),
        c("QUIT\r\n"),
        s("221 2.0.0 Bye\r\n"),
    ];
    // From the refusal on, too.
    for from in [0, 1] {
        let told = joined(25, &turns[from..]);
        let story = only(&told);
        assert_eq!((story.session().outcome, story.session().banner.clone()), (Outcome::Completed, None));
        assert_eq!((story.messages.len(), story.messages[0].complete), (1, true));
        assert_eq!(story.messages[0].rcpt_to.last().map(|r| r.accepted), Some(Some(true)));
    }
}

/// Of three recipients the capture has the last. It got the first one's verdict.
#[test]
fn a_verdict_of_lmtp_on_a_recipient_before_the_capture_is_not_the_first_ones_behind() {
    let told = |verdicts: &[Turn]| {
        let begin = [
            c("RCPT TO:<c@x>\r\n"),
            s("250 2.1.5 OK\r\n"),
            c("DATA\r\n"),
            s("354 OK\r\n"),
            c("Subject: x\r\n\r\ny\r\n.\r\n"),
        ];
        let told = joined(24, &[&begin[..], verdicts, &[c("QUIT\r\n"), s("221 2.0.0 Bye\r\n")]].concat());
        let [message] = &only(&told).messages[..] else { panic!("{:?}", only(&told).messages) };
        let [recipient] = &message.rcpt_to[..] else { panic!("{:?}", message.rcpt_to) };
        assert_eq!(recipient.address, "c@x".into());
        assert_eq!(only(&told).session().outcome, Outcome::Completed);
        (message.protocol, message.outcome, recipient.code, recipient.accepted)
    };
    let named =
        ["250 2.0.0 <a@x> q1 Saved\r\n", "250 2.0.0 <b@x> q2 Saved\r\n", "552 5.2.2 <c@x> over quota\r\n"].map(s);
    assert_eq!(told(&named), (Protocol::Lmtp, MessageOutcome::Accepted, Some(552), Some(false)));
    // Whose each is nothing tells, nor whether there are more than those that came.
    let (yes, no) = (s("250 2.0.0 queued as 4711\r\n"), s("552 5.2.2 over quota\r\n"));
    for (verdicts, outcome) in [
        (&[yes.clone(), no.clone()][..], MessageOutcome::Accepted),
        (&[no.clone(), yes.clone()], MessageOutcome::Unknown),
        (&[no], MessageOutcome::Unknown),
    ] {
        assert_eq!(told(verdicts), (Protocol::Lmtp, outcome, None, None), "{verdicts:?}");
    }
}

#[test]
fn the_rest_of_a_mail_is_a_message_and_no_commands() {
    let told = joined(
        25,
        &[
            c("meeting garden network\r\nMAIL me the list\r\n\r\n-- \r\nAlice\r\n"),
            c("and more\r\n.\r\n"),
            s("250 2.0.0 Ok: queued as 6A2A69A465D\r\n"),
            c("QUIT\r\n"),
            s("221 2.0.0 Bye\r\n"),
        ],
    );
    let story = only(&told);
    let [message] = &story.messages[..] else { panic!("{:?}", story.messages) };
    assert_eq!((message.complete, message.outcome), (false, MessageOutcome::Accepted));
    assert_eq!(message.queue_id, Some("6A2A69A465D".into()));
    assert_eq!(commands(&told), ["QUIT"]);
    // More than is held without an answer.
    let long = "a line of a mail that is long enough\r\n".repeat(1700);
    let end = [c(".\r\n"), s("250 2.0.0 Ok: queued as ABC\r\n"), c("QUIT\r\n"), s("221 x\r\n")];
    let turns: Vec<Turn> = [&[c(&long), c(&long), c(&long)][..], &end].concat();
    let told = joined(25, &turns);
    assert_eq!((commands(&told), only(&told).messages.len()), (vec!["QUIT".to_owned()], 1));
    assert_eq!(only(&told).messages[0].size, 3 * long.len() as u64);
}

#[test]
fn a_blank_response_is_no_beginning_of_a_proxy_header() {
    let told = joined(
        587,
        &[
            s("334 cnNwYXV0aD0x\r\n"),
            c("\r\n"),
            s("235 2.7.0 Ok\r\n"),
            c("MAIL FROM:<a@b>\r\n"),
            s("250 2.1.0 Ok\r\n"),
            c("QUIT\r\n"),
            s("221 2.0.0 Bye\r\n"),
        ],
    );
    assert_eq!(commands(&told), ["", "MAIL FROM:<a@b>", "QUIT"]);
    assert!(!codes(&told).contains(&"skipped"));
}

#[test]
fn http_is_no_mail_whatever_its_body_says() {
    let request = "POST /imap HTTP/1.1\r\nHost: x\r\n\r\na1 LOGIN alice x\r\n";
    for port in [80, 8080] {
        let turns = [c(request), s("HTTP/1.1 200 OK\r\n\r\n* OK IMAP4rev1 ready\r\na1 OK done\r\n")];
        assert!(joined(port, &turns).stories.is_empty());
        assert!(common::script::play(port, &turns).stories.is_empty());
    }
}

/// The greeting was one only if its line stood in one segment.
#[test]
fn a_greeting_is_one_in_any_two_segments() {
    let greetings = [
        (25, "220 mx ESMTP\r\n", "EHLO x\r\n", "250 mx\r\n"),
        (143, "* OK [CAPABILITY IMAP4rev1] hi\r\n", "a NOOP\r\n", "a OK\r\n"),
        (110, "+OK <1.2@x>\r\n", "CAPA\r\n", "-ERR\r\n"),
    ];
    for (port, greeting, command, reply) in greetings {
        for cut in 1..greeting.len() {
            let (head, tail) = greeting.split_at(cut);
            let told = joined(port, &[s(head), s(tail), c(command), s(reply)]);
            let banner = only(&told).session().banner.clone().expect("a banner");
            assert!(greeting.contains(&String::from_utf8_lossy(&banner.0).into_owned()), "{greeting} {cut}");
        }
    }
}

/// A dialogue without its handshake, the server's greeting first, and its FINs.
fn greeted(dialogue: &Dialogue) -> tempfile::NamedTempFile {
    let list = flights(dialogue).split_off(3);
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(&pcap(dialogue, &list)).unwrap();
    file
}

fn served_by(file: &tempfile::NamedTempFile, decode_as: Option<DecodeAs>) -> (u16, u64) {
    let config = config(&[file.path().to_owned()], &How::default());
    let mut sink = Collect::default();
    run(Config { decode_as: decode_as.into_iter().collect(), ..config }, &mut sink).unwrap();
    let session = sink.0.iter().find_map(|event| match &event.body {
        EventBody::Session(session) => Some((session.server.port(), session.messages)),
        _ => None,
    });
    session.unwrap()
}

const MAIL: &str = "S: 220 mx ESMTP
C: EHLO a
S: 250 mx
C: MAIL FROM:<a@example.net>
S: 250 ok
C: RCPT TO:<b@example.net>
S: 250 ok
C: DATA
S: 354 go on
C: Subject: x
C:
C: text
C: .
S: 250 queued
C: QUIT
S: 221 bye";

#[test]
fn a_port_that_the_user_names_is_the_servers() {
    let file = greeted(&dialogue(10_025, MAIL));
    assert_eq!(served_by(&file, None), (10_025, 1));
    let smtp = DecodeAs { port: 10_025, protocol: Some(Protocol::Smtp), tls: false };
    assert_eq!(served_by(&file, Some(smtp)), (10_025, 1));
}

#[test]
fn between_two_mail_ports_the_greeting_tells_the_server() {
    for (client, server) in [(25, 25), (25, 587), (587, 25)] {
        let mut dialogue = dialogue(server, MAIL);
        dialogue.client.set_port(client);
        assert_eq!(served_by(&greeted(&dialogue), None), (server, 1), "{client} {server}");
    }
}
