//! Hand-made events for the tests of the sinks: the session that the contract shows, and every kind of event.

use crate::diagnostic::{Code, Diagnostic};
use crate::event::*;
use crate::position::{Direction, FileId, FramePos, Span, Timestamp};
use crate::tls::Reason;

/// Its id.
pub(crate) const SESSION: u64 = 1;

/// 2026-11-24 10:00:01.178 UTC.
pub(crate) const START: Timestamp = Timestamp(1_795_514_401_178_000_000);

/// A frame, a millisecond after the one before.
pub(crate) fn frame(number: u64) -> FramePos {
    FramePos { index: number, number, file: FileId(0), ts: Timestamp(START.0 + (number as i64 - 1) * 1_000_000) }
}

pub(crate) fn at(number: u64) -> Span {
    Span::at(frame(number))
}

pub(crate) fn span(first: u64, last: u64) -> Span {
    Span { first: frame(first), last: frame(last) }
}

/// Any event of a session.
pub(crate) fn event(session: u64, seq: u64) -> Event {
    Event { session, seq, span: at(seq), body: command("NOOP", "", false) }
}

pub(crate) fn command(verb: &str, args: &str, tls: bool) -> EventBody {
    EventBody::Command(Command { tls, verb: verb.into(), args: args.into(), ..Command::default() })
}

pub(crate) fn reply(code: u16, lines: &[&str], tls: bool, latency: Option<i64>) -> EventBody {
    EventBody::Reply(Reply {
        tls,
        code: Some(code),
        status: code.to_string().into(),
        text: (*lines.last().unwrap()).into(),
        lines: lines.iter().map(|l| Text::from(*l)).collect(),
        latency,
        ..Reply::default()
    })
}

pub(crate) fn certificate() -> Certificate {
    Certificate {
        subject: "CN=mail.example.test".into(),
        issuer: "CN=Test CA".into(),
        not_before: Some(Timestamp(1_735_689_600_000_000_000)),
        not_after: Some(Timestamp(1_798_761_600_000_000_000)),
        sha256: [0xab; 32],
        key: "RSA-2048".into(),
    }
}

pub(crate) fn handshake() -> TlsHandshake {
    TlsHandshake {
        handshake: 0,
        version: Some("TLSv1.2"),
        suite: Some("TLS_RSA_WITH_AES_128_CBC_SHA".into()),
        sni: Some("mail.example.test".into()),
        alpn: None,
        client_random: Some([1; 32]),
        certificate: Some(certificate()),
        chain: Vec::new(),
        client_certificate: None,
        progress: Progress::default(),
        answered_in_clear: false,
        resumed: Resumed::No,
        extended_master_secret: true,
        encrypt_then_mac: false,
        completed: true,
        decrypted: Decrypted::All,
        secret: Some(SecretSource::RsaKey),
        key: Some("server.key".into()),
        reason: None,
        records_decrypted: 20,
        records_undecrypted: 0,
        undecrypted_bytes: 0,
        alerts: Vec::new(),
        offered: vec!["TLS_RSA_WITH_AES_128_CBC_SHA".into()],
        steps: vec!["the certificate's key is server.key".into()],
        span: span(11, 14),
    }
}

/// A handshake that stayed closed.
pub(crate) fn closed(reason: Reason) -> TlsHandshake {
    TlsHandshake {
        decrypted: Decrypted::None,
        secret: None,
        key: None,
        reason: Some(reason),
        records_decrypted: 0,
        records_undecrypted: 12,
        undecrypted_bytes: 4321,
        ..handshake()
    }
}

pub(crate) fn auth() -> Auth {
    Auth {
        dir: Direction::Client,
        tls: true,
        mechanism: "PLAIN".into(),
        user: Some("alice".into()),
        authzid: None,
        secret: None,
        secret_sent: Some(true),
        outcome: AuthOutcome::Success,
        verified: None,
        assumed: false,
    }
}

pub(crate) fn message() -> Message {
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&[0x9f, 0x2c, 0x61, 0xd0]);
    Message {
        ordinal: 1,
        tls: true,
        transaction: 1,
        mail_from: Some("alice@example.test".into()),
        rcpt_to: vec![Recipient {
            address: "bob@example.net".into(),
            accepted: Some(true),
            code: Some(250),
            text: "2.1.5 Ok".into(),
        }],
        queue_id: Some("ABC123".into()),
        status: Some("250 2.0.0 Ok: queued as ABC123".into()),
        outcome: MessageOutcome::Accepted,
        from: Some("Alice <alice@example.test>".into()),
        to: vec!["bob@example.net".into()],
        subject: Some("post-mortem".into()),
        message_id: Some("1@example.test".into()),
        date: Some(START),
        size: 363,
        sha256: Some(digest),
        complete: true,
        attachments: vec![],
        ..Message::new(Protocol::Smtp, MessageDirection::Submitted, MessagePart::Full)
    }
}

pub(crate) fn session() -> Session {
    Session {
        id: SESSION,
        mail: true,
        client: "10.0.0.5:36034".parse().unwrap(),
        server: "10.0.0.9:587".parse().unwrap(),
        proxy_client: None,
        proxied_to: None,
        protocol: Some(Protocol::Smtp),
        security: Security::StartTls,
        tls: vec![handshake()],
        banner: Some("mail.example.test ESMTP".into()),
        helo: Some("client.example".into()),
        user: Some("alice".into()),
        commands: 8,
        messages: 1,
        bytes: [900, 1200],
        gap_count: 1,
        cut_packets: false,
        gap_bytes: 73,
        undecrypted_bytes: 0,
        complete: false,
        outcome: Outcome::Completed,
        last_error: None,
        slowest_reply: Some(201_004_000),
        end_reason: EndReason::Fin,
        ended_by: Some(Direction::Client),
        closed_by: Some(Direction::Client),
        frames: 36,
        span: span(1, 36),
        files: vec![FileId(0)],
        vlan: None,
        tunnel: None,
        interface: Some(0),
        diagnostics: vec![Diagnostic { code: Code::TlsResynchronised, detail: "at TLS record 7".into() }],
        account: Account::default(),
    }
}

/// The session of the contract's sample transcript, in the order in which a pipeline could emit it: TLS, known with
/// its counts only at the end, late.
pub(crate) fn story() -> Vec<Event> {
    let micros = |n: i64| Some(n * 1000);
    let capabilities = ["mail.example.test", "PIPELINING", "AUTH PLAIN LOGIN"];
    let mut events: Vec<Event> = [
        (at(4), reply(220, &["mail.example.test ESMTP"], false, None)),
        (at(6), command("EHLO", "client.example", false)),
        (at(7), reply(250, &["mail.example.test", "PIPELINING", "STARTTLS"], false, micros(281))),
        (at(9), command("STARTTLS", "", false)),
        (at(10), reply(220, &["2.0.0 Ready to start TLS"], false, micros(36))),
        (span(11, 14), EventBody::Tls(Box::new(handshake()))),
        (at(15), command("EHLO", "client.example", true)),
        (at(16), reply(250, &capabilities, true, micros(190))),
        (at(17), command("AUTH", "PLAIN ***", true)),
        (at(18), reply(235, &["2.7.0 Authentication successful"], true, micros(201_004))),
        (span(17, 18), EventBody::Auth(auth())),
        (at(19), command("MAIL", "FROM:<alice@example.test>", true)),
        (at(19), command("RCPT", "TO:<bob@example.net>", true)),
        (at(19), command("DATA", "", true)),
        (at(21), reply(250, &["2.1.0 Ok"], true, micros(340))),
        (at(21), reply(250, &["2.1.5 Ok"], true, micros(340))),
        (at(21), reply(354, &["End data with <CR><LF>.<CR><LF>"], true, micros(341))),
        (span(23, 25), EventBody::Message(Box::new(message()))),
        (at(27), reply(250, &["2.0.0 Ok: queued as ABC123"], true, micros(200_980))),
        (at(31), EventBody::Gap(Gap { dir: Direction::Client, offset: 800, bytes: 73, cause: GapCause::Lost })),
        (at(31), EventBody::Diagnostic(Diagnostic { code: Code::TlsResynchronised, detail: "at TLS record 7".into() })),
        (at(33), command("QUIT", "", true)),
        (at(34), reply(221, &["2.0.0 Bye"], true, micros(102))),
        (span(1, 36), EventBody::Session(Box::new(session()))),
    ]
    .into_iter()
    .zip(1..)
    .map(|((span, body), seq)| Event { session: SESSION, seq, span, body })
    .collect();
    let tls = events.remove(5);
    events.insert(events.len() - 1, tls);
    events
}

/// Pushes a story through a sink.
pub(crate) fn feed(sink: &mut impl super::Sink, events: Vec<Event>) {
    for name in ["mail.pcap", "next.pcap"] {
        sink.add_file(name).unwrap();
    }
    sink.start(START).unwrap();
    for event in events {
        sink.event(event).unwrap();
    }
    sink.finish(&crate::pipeline::Report::default()).unwrap();
}
