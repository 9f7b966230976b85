//! What `decode` shows, line by line.

use super::*;
use crate::diagnostic::{Code, Diagnostic};
use crate::event::{
    Alert, Command, EndReason, Gap, GapCause, MessageData, Opening, Outcome, Protocol, Reply, Resumed, SecretSource,
    Security, Session, TlsHandshake,
};
use crate::output::samples::{self, at, command, feed, reply, span};
use crate::position::Direction;
use crate::tls::Reason;

fn tell(options: Options, events: Vec<Event>) -> String {
    let mut sink = Transcript::new(Vec::new(), options);
    feed(&mut sink, events);
    String::from_utf8(sink.into_inner()).unwrap()
}

/// The lines that a few events make, without heading, as the story of a session.
fn lines(bodies: Vec<EventBody>, session: Session) -> Vec<String> {
    let end = EventBody::Session(Box::new(session));
    let events = bodies.into_iter().chain([end]).zip(1..).map(|(body, seq)| Event {
        session: samples::SESSION,
        seq,
        span: at(seq),
        body,
    });
    tell(Options::default(), events.collect()).lines().skip(1).map(str::to_owned).collect()
}

fn line(body: EventBody) -> String {
    lines(vec![body], samples::session()).remove(0)
}

/// As the contract shows it; only what a gap goes on with has its own line, and there are two files.
const SAMPLE: &str = "\
── 1  2026-11-24 10:00:01.178  10.0.0.5:36034 → 10.0.0.9:587  SMTP + STARTTLS · TLSv1.2 TLS_RSA_WITH_AES_128_CBC_SHA · key server.key (certificate match) · in mail.pcap
     4             <-  220 mail.example.test ESMTP
     6              -> EHLO client.example
     7   0.000281  <-  250-mail.example.test / 250-PIPELINING / 250 STARTTLS
     9              -> STARTTLS
    10   0.000036  <-  220 2.0.0 Ready to start TLS
     ·              TLS established, frames 11–14
    15              ~> EHLO client.example
    16   0.000190  <~  250-mail.example.test / 250-PIPELINING / 250 AUTH PLAIN LOGIN
    17              ~> AUTH PLAIN  user alice, password hidden
    18   0.201004  <~  235 2.7.0 Authentication successful
    19              ~> MAIL FROM:<alice@example.test>
    19              ~> RCPT TO:<bob@example.net>
    19              ~> DATA
    21   0.000340  <~  250 2.1.0 Ok
    21   0.000340  <~  250 2.1.5 Ok
    21   0.000341  <~  354 End data with <CR><LF>.<CR><LF>
    25              ~> message 1: 363 bytes, sha256 9f2c61d0…, \"post-mortem\"
    27   0.200980  <~  250 2.0.0 Ok: queued as ABC123
    31              ·  gap: 73 bytes from the client
    31              ·  note tls-resynchronised: at TLS record 7
    33              ~> QUIT
    34   0.000102  <~  221 2.0.0 Bye
";

#[test]
fn the_contracts_sample() {
    assert_eq!(tell(Options::default(), samples::story()), SAMPLE);
}

#[test]
fn a_spilled_session_reads_the_same() {
    assert_eq!(tell(Options { memory: 1, ..Options::default() }, samples::story()), SAMPLE);
}

#[test]
fn the_time_of_day() {
    let text = tell(Options { absolute: true, ..Options::default() }, samples::story());
    let line = text.lines().nth(3).unwrap();
    assert_eq!(line, "     7 10:00:01.184000  <-  250-mail.example.test / 250-PIPELINING / 250 STARTTLS");
}

#[test]
fn tsharks_shape() {
    let text = tell(Options { layout: Layout::OneLine, ..Options::default() }, samples::story());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "0.003000 10.0.0.9 -> 10.0.0.5 SMTP S: 220 mail.example.test ESMTP");
    assert_eq!(lines[1], "0.005000 10.0.0.5 -> 10.0.0.9 SMTP C: EHLO client.example");
    assert_eq!(lines[2], "0.006000 10.0.0.9 -> 10.0.0.5 SMTP S: 250-mail.example.test | 250-PIPELINING | 250 STARTTLS");
    // As many as the story has below its heading.
    assert_eq!(lines.len(), SAMPLE.lines().count() - 1);
}

#[test]
fn live_lines_carry_their_session() {
    let text = tell(Options { layout: Layout::Live, ..Options::default() }, samples::story());
    assert!(text.lines().all(|l| l.starts_with("[1] ")));
    assert!(text.starts_with("[1]      4             <-  220 mail.example.test ESMTP\n"));
    assert!(text.contains("[1]     18              ~> authentication PLAIN: user alice, password hidden, success\n"));
    // It was begun long before.
    assert!(text.contains("[1] ── 1  ended 2026-11-24 10:00:01.213  10.0.0.5:36034 → 10.0.0.9:587"), "{text}");
}

#[test]
fn live_replies_have_a_star_in_imap_alone() {
    let live = |tag: Option<&str>, greeting: &[&str]| {
        let reply = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| (*line).into()).collect();
            EventBody::Reply(Reply { status: "OK".into(), lines, ..Reply::default() })
        };
        let noop = Command { verb: "NOOP".into(), tag: tag.map(Into::into), ..Command::default() };
        let bodies = [reply(greeting), EventBody::Command(noop), reply(&["done"])];
        let events = bodies.into_iter().zip(1..).map(|(body, seq)| Event { session: 1, seq, span: at(seq), body });
        let text = tell(Options { layout: Layout::Live, ..Options::default() }, events.collect());
        let replies = text.lines().filter_map(|line| line.split_once("<-  "));
        replies.map(|(_, said)| said.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(live(None, &["\"SIEVE\" \"fileinto\"", "ready"]), ["OK \"SIEVE\" \"fileinto\" / ready", "OK done"]);
    assert_eq!(live(Some("a"), &["ready"]), ["* OK ready", "* OK done"]);
}

#[test]
fn colour_only_when_asked_for() {
    assert!(!SAMPLE.contains('\u{1b}'));
    let text = tell(Options { color: Color::On, ..Options::default() }, samples::story());
    assert!(text.contains("\u{1b}["));
}

#[test]
fn two_sessions_are_set_apart() {
    let mut events = samples::story();
    events.extend(samples::story().into_iter().map(|e| Event { session: 2, ..e }));
    assert_eq!(tell(Options::default(), events), format!("{SAMPLE}\n{SAMPLE}"));
}

#[test]
fn the_wire_can_not_write_to_the_terminal() {
    let text = line(command("EHLO", "\u{1b}]0;owned\u{7}\r\n", false));
    assert_eq!(text, "     1              -> EHLO \\x1b]0;owned\\x07\\r\\n");
}

#[test]
fn imap_pop3_and_sieve_replies() {
    let said = |protocol, tag: Option<&str>, status: &str, lines: &[&str]| {
        let reply = Reply {
            status: status.into(),
            tag: tag.map(Into::into),
            text: (*lines.last().unwrap()).into(),
            lines: lines.iter().map(|l| (*l).into()).collect(),
            ..Reply::default()
        };
        let session = Session { protocol: Some(protocol), ..samples::session() };
        let text = self::lines(vec![EventBody::Reply(reply)], session).remove(0);
        text.split_once("<-  ").unwrap().1.to_owned()
    };
    assert_eq!(said(Protocol::Imap, None, "OK", &["Dovecot ready."]), "* OK Dovecot ready.");
    assert_eq!(said(Protocol::Imap, Some("a1"), "NO", &["nope"]), "a1 NO nope");
    assert_eq!(said(Protocol::Imap, None, "*", &["18 EXISTS"]), "* 18 EXISTS");
    assert_eq!(said(Protocol::Imap, None, "+", &[""]), "+");
    assert_eq!(said(Protocol::Pop3, None, "+OK", &["2 messages", "1 120", "2 200"]), "+OK 2 messages / 1 120 / 2 200");
    assert_eq!(said(Protocol::Sieve, None, "OK", &["done"]), "OK done");
    // Each line with the code that it had.
    let lines = ["mx.example ESMTP", "5.7.1 blocked"].map(Into::into).to_vec();
    let refusal = Reply { code: Some(550), lines, began: Some((220, 1)), ..Reply::default() };
    let told = phrase::reply(&refusal, Some(Protocol::Smtp), " / ", false);
    assert_eq!(told, "220-mx.example ESMTP / 550 5.7.1 blocked");
    // Only ManageSieve's code is no part of the text.
    let coded = |status: &str, code: &str, text: &str| {
        let (status, text, enhanced) = (status.into(), text.into(), Some(code.into()));
        phrase::reply(&Reply { status, text, enhanced, ..Reply::default() }, Some(Protocol::Sieve), " / ", false)
    };
    assert_eq!(coded("NO", "ENCRYPT-NEEDED", ""), "NO (ENCRYPT-NEEDED)");
    assert_eq!(coded("BYE", "REFERRAL \"sieve://b\"", "Try remote."), "BYE (REFERRAL \"sieve://b\") Try remote.");
    assert_eq!(coded("-ERR", "AUTH", "[AUTH] no"), "-ERR [AUTH] no");
}

#[test]
fn an_authentication_is_told_with_its_command() {
    let session = || Session { protocol: Some(Protocol::Pop3), ..samples::session() };
    let mut auth = samples::auth();
    auth.tls = false;
    auth.mechanism = "USER".into();
    let event = |seq, span, body| Event { session: samples::SESSION, seq, span, body };
    let pop3 = vec![
        event(1, at(1), command("USER", "alice", false)),
        event(2, at(3), command("PASS", "***", false)),
        event(3, span(1, 4), EventBody::Auth(auth.clone())),
        event(4, at(9), EventBody::Session(Box::new(session()))),
    ];
    let text = tell(Options::default(), pop3);
    assert_eq!(
        text.lines().skip(1).collect::<Vec<_>>(),
        ["     1              -> USER alice", "     3              -> PASS  user alice, password hidden"]
    );
    // A challenge's answer is no password; shown only where the event holds it.
    auth.mechanism = "CRAM-MD5".into();
    assert_eq!(phrase::auth(&auth, false), "authentication CRAM-MD5: user alice, answer hidden, success");
    auth.secret_sent = Some(false);
    assert_eq!(phrase::auth(&auth, false), "authentication CRAM-MD5: user alice, no answer sent, success");
    auth.secret_sent = None;
    assert_eq!(phrase::auth(&auth, false), "authentication CRAM-MD5: user alice, answer not seen, success");
    auth.mechanism = "LOGIN".into();
    auth.secret = Some("a\"b".into());
    auth.authzid = Some("root".into());
    auth.verified = Some(false);
    assert_eq!(
        phrase::auth(&auth, false),
        "authentication LOGIN: user alice for root, password \"a\"b\", does not match the known password, success"
    );
}

#[test]
fn an_authentication_without_its_command_has_its_own_line() {
    assert_eq!(
        line(EventBody::Auth(samples::auth())),
        "     1              ~> authentication PLAIN: user alice, password hidden, success"
    );
}

#[test]
fn injected_commands_stand_out() {
    let injected = Command { verb: "NOOP".into(), injected: true, ..Command::default() };
    assert_eq!(line(EventBody::Command(injected)), "     1              -> NOOP  [injected before TLS]");
}

#[test]
fn gaps_say_why() {
    let gap = |cause, bytes| phrase::gap(&Gap { dir: Direction::Server, offset: 0, bytes, cause });
    assert_eq!(gap(GapCause::Lost, 1), "gap: 1 byte from the server");
    assert_eq!(
        gap(GapCause::Snaplen, 1_234_567),
        "gap: 1,234,567 bytes from the server, cut off by the capture's snapshot length"
    );
    assert_eq!(gap(GapCause::MidStream, 2), "gap: 2 bytes from the server, before the capture began");
}

#[test]
fn bodies_are_shown_line_by_line() {
    let data = |offset, bytes: &[u8]| {
        EventBody::MessageData(MessageData { ordinal: 1, offset, after_gap: false, bytes: bytes.to_vec() })
    };
    let text = lines(
        vec![
            data(0, b"Subject: caf\xe9\r\n\r\nhal"),
            data(19, b"lo\x1b[2J\r\nend"),
            EventBody::Message(Box::new(samples::message())),
        ],
        samples::session(),
    );
    assert_eq!(
        text,
        [
            "                   |   Subject: caf\\xe9",
            "                   |",
            "                   |   hallo\\x1b[2J",
            "                   |   end",
            "     3              ~> message 1: 363 bytes, sha256 9f2c61d0…, \"post-mortem\"",
        ]
    );
}

#[test]
fn an_endless_body_line_does_not_pile_up() {
    let data = |n: u64| {
        EventBody::MessageData(MessageData { ordinal: 1, offset: n * 5000, after_gap: false, bytes: vec![b'x'; 5000] })
    };
    let text = lines((0..10).map(data).collect(), samples::session());
    let shown: usize = text.iter().map(|l| l.matches('x').count()).sum();
    assert_eq!(shown, 50_000);
    assert!(text.iter().all(|l| l.len() < 2 * 8192 + 64));
}

#[test]
fn why_not_decrypted_is_said_in_the_heading_with_what_to_do() {
    let heading = |tls| {
        let session = Session { tls: vec![tls], security: Security::Implicit, ..samples::session() };
        let mut out = String::new();
        let (options, files) = (Options::default(), Files::default());
        let view = View { options: &options, files: &files, start: None, session: None };
        header::push(&mut out, &session, &view);
        out.split_once("  SMTP in TLS · ").unwrap().1.trim_end().to_owned()
    };
    assert_eq!(
        heading(samples::closed(Reason::ForwardSecrecy)),
        "TLSv1.2 TLS_RSA_WITH_AES_128_CBC_SHA · not decrypted: forward secrecy; a key log is needed (--keylog); \
         the server's private key can't open it"
    );
    let resumed = crate::event::TlsHandshake {
        secret: Some(SecretSource::Resumption),
        resumed: Resumed::Ticket,
        key: None,
        ..samples::handshake()
    };
    assert_eq!(heading(resumed), "TLSv1.2 TLS_RSA_WITH_AES_128_CBC_SHA · resumed, secret of the earlier handshake");
}

#[test]
fn handshakes_that_failed_or_stayed_closed() {
    let mut failed = samples::closed(Reason::HandshakeFailed);
    failed.completed = false;
    failed.alerts = vec![Alert {
        dir: Direction::Server,
        description: "fatal handshake_failure".into(),
        fatal: true,
        span: at(13),
    }];
    let said = "TLS failed, frames 11–14; alert from the server: fatal handshake_failure";
    assert_eq!(phrase::handshake(&failed, false), said);
    let again = TlsHandshake { handshake: 1, ..failed.clone() };
    assert!(phrase::handshake(&again, false).starts_with("TLS renegotiation failed, frames 11–14"));
    failed.progress.lacks_certificate = true;
    assert_eq!(
        phrase::handshake(&failed, false),
        format!("{said}; it had asked for a client certificate and got none")
    );
    assert_eq!(
        phrase::handshake(&samples::closed(Reason::NoKey), false),
        "TLS established, frames 11–14; 12 records (4,321 bytes) not decrypted: no key was given"
    );
}

/// The heading has said why, with what to do.
#[test]
fn why_tls_stayed_closed_is_said_once() {
    let closed = samples::closed(Reason::NoKey);
    assert_eq!(
        phrase::handshake(&closed, true),
        "TLS established, frames 11–14; 12 records (4,321 bytes) not decrypted"
    );
    let session = Session { tls: vec![closed.clone()], ..samples::session() };
    let odd = Diagnostic { code: Code::Undecrypted, detail: "12 records: no-key".into() };
    let text = lines(vec![EventBody::Tls(Box::new(closed)), EventBody::Diagnostic(odd)], session);
    assert_eq!(text, ["     ·              TLS established, frames 11–14; 12 records (4,321 bytes) not decrypted"]);
}

/// Every session ends so, and it looked like a fault.
#[test]
fn an_alert_that_can_not_be_read_is_a_farewell_mostly() {
    let alert = Alert { dir: Direction::Server, description: "encrypted".into(), fatal: false, span: at(13) };
    let mut tls = TlsHandshake { alerts: vec![alert], ..samples::handshake() };
    assert_eq!(phrase::handshake(&tls, false), "TLS established, frames 11–14");
    tls.completed = false;
    assert!(phrase::handshake(&tls, false).ends_with("; alert from the server: encrypted"));
}

/// It stood in the frame where the literal ended, behind the server's `+ OK` to it.
#[test]
fn a_command_stands_where_it_begins() {
    let append = |first, last| {
        let body = EventBody::Command(Command { verb: "APPEND".into(), ..Command::default() });
        Event { session: samples::SESSION, seq: 1, span: span(first, last), body }
    };
    let go_on = Event { seq: 2, span: at(5), session: samples::SESSION, body: reply(250, &["OK"], false, None) };
    let end = Event {
        seq: 3,
        span: at(9),
        session: samples::SESSION,
        body: EventBody::Session(Box::new(samples::session())),
    };
    let frames = |events: Vec<Event>| {
        let text = tell(Options::default(), events);
        text.lines().skip(1).map(|l| l[..6].trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(frames(vec![append(4, 7), go_on.clone(), end.clone()]), ["4", "5"]);
    // None goes back.
    let before = Event { seq: 0, span: at(5), ..go_on };
    assert_eq!(frames(vec![before, append(4, 7), end]), ["5", "7"]);
}

#[test]
fn of_one_direction_the_heading_says_what_is_assumed() {
    let odd = Diagnostic { code: Code::OneSided, detail: "the capture has no frame from the other side".into() };
    let session = Session { diagnostics: vec![odd.clone()], bytes: [9, 0], ..samples::session() };
    let hello = EventBody::Reply(Reply { status: "OK".into(), assumed: true, ..Reply::default() });
    let events = |session: Session| {
        let bodies = [hello.clone(), EventBody::Diagnostic(odd.clone()), EventBody::Session(Box::new(session))];
        bodies.into_iter().zip(1..).map(|(body, seq)| Event { session: samples::SESSION, seq, span: at(seq), body })
    };
    let text = tell(Options::default(), events(session.clone()).collect());
    let (heading, rest) = text.split_once('\n').unwrap();
    assert!(heading.contains(" · only the client was captured: success is assumed"), "{text}");
    assert!(!rest.contains("assumed") && !rest.contains("one-sided"), "{text}");
    let text = tell(Options { layout: Layout::OneLine, ..Options::default() }, events(session).collect());
    assert!(text.contains("[assumed: one direction only]") && text.contains("one-sided"), "{text}");
    // The other direction came late.
    let text = tell(Options::default(), events(samples::session()).collect());
    assert!(text.contains("[assumed: one direction only]"), "{text}");
}

#[test]
fn a_session_that_broke_off_says_in_which_way() {
    let whole = Session { complete: true, gap_count: 0, outcome: Outcome::Aborted, ..samples::session() };
    let odd = |code| vec![Diagnostic { code, detail: String::new() }];
    let said = |session: &Session, farewell| phrase::closing(session, farewell).unwrap();
    assert!(said(&whole, false).starts_with("ended without QUIT: connection closed"));
    let imap = Session { protocol: Some(Protocol::Imap), ..whole.clone() };
    assert!(said(&imap, false).starts_with("ended without LOGOUT: connection closed"));
    let mute = Session { outcome: Outcome::NoBanner, bytes: [9, 0], ..whole.clone() };
    assert!(said(&mute, false).starts_with("the server never sent anything; "));
    let alert = Session { bytes: [9, 7], diagnostics: odd(Code::TlsMismatch), ..mute };
    assert!(said(&alert, false).starts_with("the server sent nothing but a TLS alert; "));
    let cut = Session { diagnostics: odd(Code::MessageCut), ..whole.clone() };
    for amid in [said(&whole, true), said(&cut, false), said(&Session { complete: false, ..whole.clone() }, false)] {
        assert!(amid.starts_with("broke off: "), "{amid}");
    }
    // Nothing in it told that what should have been in TLS was not.
    let failed = samples::closed(Reason::HandshakeFailed);
    let clear = Session { outcome: Outcome::Completed, security: Security::None, tls: vec![failed], ..whole };
    assert_eq!(said(&clear, true), "TLS failed, and the session went on in the clear");
    let password = Session { diagnostics: odd(Code::PlaintextPassword), ..clear };
    assert_eq!(said(&password, true), "TLS failed, and the session went on in the clear, the password too");
}

#[test]
fn the_closing_line() {
    let closing = |outcome, end_reason, ended_by| {
        let session = Session {
            outcome,
            end_reason,
            ended_by,
            closed_by: Some(Direction::Server),
            last_error: Some("554 5.7.1 go away".into()),
            ..samples::session()
        };
        phrase::closing(&session, false)
    };
    assert_eq!(closing(Outcome::Completed, EndReason::Fin, None), None);
    assert_eq!(
        closing(Outcome::Aborted, EndReason::Rst, Some(Direction::Server)).unwrap(),
        "broke off: connection reset by the server; last error: 554 5.7.1 go away; 73 bytes missing in 1 gap"
    );
    assert_eq!(
        closing(Outcome::Aborted, EndReason::Rst, Some(Direction::Client)).unwrap(),
        "broke off: connection closed by the server, then reset by the client; \
         last error: 554 5.7.1 go away; 73 bytes missing in 1 gap"
    );
    assert_eq!(
        closing(Outcome::Cut, EndReason::Eof, None).unwrap(),
        "incomplete in the capture: the capture ends here; last error: 554 5.7.1 go away; 73 bytes missing in 1 gap"
    );
    let closed = closing(Outcome::Cut, EndReason::Eof, Some(Direction::Client)).unwrap();
    assert!(
        closed.contains("the client closed the connection, and the capture ends before the server did"),
        "{closed}"
    );
}

#[test]
fn what_is_incomplete() {
    let whole = Session { complete: true, ..samples::session() };
    assert_eq!(incomplete(&whole), None);
    let closed = Session {
        gap_count: 0,
        gap_bytes: 0,
        undecrypted_bytes: 4321,
        tls: vec![samples::closed(Reason::NoKey)],
        ..samples::session()
    };
    assert_eq!(incomplete(&closed).unwrap(), "4,321 bytes not decrypted (no-key)");
    let short = Session { cut_packets: true, complete: false, ..samples::session() };
    let said = "73 bytes missing in 1 gap (packets cut short: capture with `-s 0`)";
    assert_eq!(incomplete(&short).unwrap(), said);
    let handshake =
        TlsHandshake { records_undecrypted: 0, undecrypted_bytes: 0, ..samples::closed(Reason::HandshakeIncomplete) };
    let nothing = Session { undecrypted_bytes: 0, tls: vec![handshake.clone()], ..closed.clone() };
    let why = "the capture does not hold the whole handshake";
    assert_eq!(incomplete(&nothing).unwrap(), format!("{why} (handshake-incomplete)"));
    assert_eq!(phrase::handshake(&handshake, false), format!("TLS established, frames 11–14; {why}"));
    let cut = Session { gap_count: 0, security: Security::None, tls: vec![], end_reason: EndReason::Eof, ..closed };
    assert_eq!(incomplete(&Session { undecrypted_bytes: 0, ..cut }).unwrap(), "its end is not in the capture");
}

#[test]
fn a_session_over_two_files_says_where_it_goes_on() {
    let mut events = samples::story();
    for event in &mut events {
        if event.seq >= 22 {
            event.span.last.file = crate::position::FileId(1);
        }
    }
    let text = tell(Options::default(), events);
    assert!(text.contains("     ·              continues in next.pcap\n    33              ~> QUIT\n"), "{text}");
    assert_eq!(text.matches("continues in").count(), 1);
}

#[test]
fn the_first_line_of_a_session_may_be_in_another_file_than_its_heading() {
    let mut events = samples::story();
    for event in &mut events {
        event.span.last.file = crate::position::FileId(1);
    }
    for layout in [Layout::Story, Layout::Live] {
        let opening = Opening { client: samples::session().client, server: samples::session().server };
        let body = EventBody::Opening(opening);
        let first = Event { session: samples::SESSION, seq: 0, span: at(1), body };
        let events = [first].into_iter().filter(|_| layout == Layout::Live).chain(events.clone()).collect();
        let text = tell(Options { layout, ..Options::default() }, events);
        let lines: Vec<&str> = text.lines().take(3).collect();
        assert!(lines[0].ends_with("in mail.pcap"), "{text}");
        assert!(lines[1].ends_with("continues in next.pcap"), "{text}");
        assert!(lines[2].ends_with("<-  220 mail.example.test ESMTP"), "{text}");
    }
}

#[test]
fn a_session_without_events_has_its_heading() {
    let session = Session { outcome: Outcome::NoBanner, gap_count: 0, ..samples::session() };
    let silent = |id| {
        let body = EventBody::Session(Box::new(Session { id, ..session.clone() }));
        Event { session: id, seq: 1, span: at(1), body }
    };
    let text = tell(Options::default(), vec![silent(1), silent(2)]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines[0].starts_with("── 1  2026-11-24 10:00:01.178  10.0.0.5:36034 → 10.0.0.9:587"), "{text}");
    assert!(lines[2].is_empty() && lines[3].starts_with("── 2  "), "{text}");
    for closing in [lines[1], lines[4]] {
        assert!(closing.contains("·              the server never sent anything; connection closed"), "{text}");
    }
}

#[test]
fn diagnostics_name_their_code() {
    let diagnostic = Diagnostic { code: Code::PlaintextPassword, detail: "AUTH PLAIN".into() };
    assert_eq!(
        line(EventBody::Diagnostic(diagnostic)),
        "     1              ·  warning plaintext-password: AUTH PLAIN"
    );
}

#[test]
fn a_reply_without_text_has_no_trailing_blank() {
    assert!(line(reply(250, &[""], false, None)).ends_with("<-  250"));
}
