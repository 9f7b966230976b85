//! TLS that nobody opened is a mail session where its port, the protocol it agreed on (ALPN) or the user says so; any
//! other is told by `tls` alone.

mod common;

use std::io::Write;

use common::packets::{Dialogue, Random, Shape, dialogues, packets, pcap};
use common::{Collect, How, config, testdata};
use mailcap::diagnostic::Code;
use mailcap::event::{EventBody, Session};
use mailcap::flow::Side;
use mailcap::pipeline::{Config, run};
use mailcap::session::DecodeAs;

const PORT: u16 = 40_001;

/// A session in TLS 1.2 that no key opens, on a port of no protocol.
fn dialogue() -> Dialogue {
    let file = testdata().join("tls/tls12-ecdhe-rsa-aes128-gcm-sha256-pop3.pcap");
    let mut dialogue = dialogues(file).remove(0);
    dialogue.server.set_port(PORT);
    dialogue
}

/// The ServerHello with that protocol in an extension (RFC 7301 section 3.1).
fn choose(dialogue: &mut Dialogue, protocol: &[u8]) {
    let turn = dialogue.turns.iter_mut().find(|turn| turn.side == Side::Responder).unwrap();
    let len = protocol.len() as u8;
    let extension = [&[0, 16, 0, len + 3, 0, len + 1, len][..], protocol].concat();
    let hello = &mut turn.bytes;
    assert_eq!((hello[0], hello[5]), (22, 2));
    // Random, session ID, suite and compression stand before the extensions' length.
    let id = usize::from(hello[43]);
    for (at, what) in [(3, "record"), (7, "message"), (47 + id, "extensions")] {
        let grown = u16::from_be_bytes([hello[at], hello[at + 1]]) + extension.len() as u16;
        assert!(grown < 1000, "{what}");
        hello[at..at + 2].copy_from_slice(&grown.to_be_bytes());
    }
    hello.splice(49 + id..49 + id, extension);
}

/// The sessions told, and the handshakes counted.
fn told(dialogue: &Dialogue, decode_as: Option<DecodeAs>, all_tls: bool) -> (Vec<Session>, u64) {
    let list = packets(dialogue, &Shape { segment: 1400, isn: [1, 2] }, &mut Random::new(1));
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(&pcap(dialogue, &list)).unwrap();
    let how = How { all_tls, ..How::default() };
    let config = config(&[file.path().to_owned()], &how);
    let mut sink = Collect::default();
    let report = run(Config { decode_as: decode_as.into_iter().collect(), ..config }, &mut sink).unwrap();
    let sessions = sink.0.into_iter().filter_map(|event| match event.body {
        EventBody::Session(session) => Some(*session),
        _ => None,
    });
    (sessions.collect(), report.handshakes)
}

#[test]
fn on_any_port_it_is_told_as_tls_alone() {
    let dialogue = dialogue();
    assert_eq!(told(&dialogue, None, false).0, []);
    let (sessions, handshakes) = told(&dialogue, None, true);
    assert_eq!((sessions.len(), handshakes), (1, 1));
    assert_eq!(sessions[0].protocol, None);
}

#[test]
fn a_mail_protocol_by_alpn_makes_it_a_mail_session() {
    for (protocol, mail) in [
        (&b"pop3"[..], true),
        (b"imap", true),
        (b"smtp", true),
        (b"managesieve", true),
        (b"http/1.1", false),
        (b"h2", false),
    ] {
        let mut dialogue = dialogue();
        choose(&mut dialogue, protocol);
        let (sessions, _) = told(&dialogue, None, false);
        assert_eq!(sessions.len(), usize::from(mail), "{protocol:?}");
        for session in sessions {
            assert_eq!(session.tls[0].alpn.as_ref().map(|a| a.0.as_slice()), Some(protocol));
            assert!(!session.complete && session.undecrypted_bytes > 0, "{protocol:?}");
        }
    }
}

#[test]
fn a_port_that_the_user_names_makes_it_a_mail_session() {
    let named = |port| DecodeAs { port, protocol: Some(mailcap::event::Protocol::Pop3), tls: true };
    let (sessions, _) = told(&dialogue(), Some(named(PORT)), false);
    assert_eq!(sessions.len(), 1);
    assert!(!sessions[0].complete && sessions[0].undecrypted_bytes > 0);
    assert!(sessions[0].diagnostics.iter().any(|d| d.code == Code::Undecrypted));
    assert_eq!(told(&dialogue(), Some(named(PORT + 1)), false).0, []);
}

#[test]
fn on_a_mail_port_it_is_one() {
    let mut dialogue = dialogue();
    dialogue.server.set_port(995);
    let (sessions, _) = told(&dialogue, None, false);
    assert_eq!(sessions.len(), 1);
    assert!(sessions[0].undecrypted_bytes > 0);
}
