//! Small handshakes made by hand; whole ones with real peers are in `tests/tls_plaintext.rs`.

use super::*;
use crate::diagnostic::Code;
use crate::event::{Decrypted, SecretSource, TlsHandshake};
use crate::tls::Reason;

#[derive(Default)]
struct Out {
    plain: Vec<(Direction, Vec<u8>)>,
    lost: Vec<(Direction, u64)>,
    odd: Vec<Code>,
    established: Vec<u32>,
    closed: Vec<Direction>,
}

impl Upper for Out {
    fn plaintext(&mut self, dir: Direction, bytes: &[u8], _: Span) {
        self.plain.push((dir, bytes.to_vec()));
    }
    fn lost(&mut self, dir: Direction, len: u64, _: Span) {
        self.lost.push((dir, len));
    }
    fn established(&mut self, handshake: u32, _: Span) {
        self.established.push(handshake);
    }
    fn odd(&mut self, code: Code, _: &str, _: Span) {
        self.odd.push(code);
    }
    fn closed(&mut self, dir: Direction, _: Span) {
        self.closed.push(dir);
    }
}

use Direction::{Client, Server};

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32).to_be_bytes();
    record(22, &[&[kind, len[1], len[2], len[3]], body].concat())
}

fn client_hello() -> Vec<u8> {
    message(1, &[&[3, 1][..], &[7; 32], &[0, 0, 2, 0, 2, 1, 0]].concat())
}

/// TLS_RSA_WITH_NULL_SHA in TLS 1.0.
fn server_hello() -> Vec<u8> {
    message(2, &[&[3, 1][..], &[8; 32], &[0, 0, 2, 0]].concat())
}

/// A whole handshake with a certificate that can't be read.
fn handshake() -> Vec<(Direction, Vec<u8>)> {
    let finished = record(22, &[&[20, 0, 0, 12][..], &[1; 12 + 20]].concat());
    vec![
        (Client, client_hello()),
        (Server, server_hello()),
        (Server, message(11, &[0, 0, 5, 0, 0, 2, 1, 2])),
        (Server, message(14, &[])),
        (Client, message(16, &[&[1, 0][..], &[9; 256]].concat())),
        (Client, record(20, &[1])),
        (Client, finished.clone()),
        (Server, record(20, &[1])),
        (Server, finished),
    ]
}

fn play(pieces: &[(Direction, Vec<u8>)], chunk: usize) -> (Out, TlsHandshake) {
    let (out, reports) = play_all(pieces, chunk);
    (out, reports.into_iter().next().unwrap())
}

fn play_all(pieces: &[(Direction, Vec<u8>)], chunk: usize) -> (Out, Vec<TlsHandshake>) {
    play_with(&KeyRing::new(), pieces, chunk)
}

fn play_with(keys: &KeyRing, pieces: &[(Direction, Vec<u8>)], chunk: usize) -> (Out, Vec<TlsHandshake>) {
    let (mut sessions, limits) = (SessionCache::new(), Limits::default());
    let mut env = Env { keys, sessions: &mut sessions, limits: &limits, both_captured: false, may_hold_back: true };
    let (mut connection, mut out, span) = (Connection::new(), Out::default(), Span::default());
    let mut given = 0;
    for (dir, bytes) in pieces {
        if bytes.is_empty() {
            connection.gap(*dir, 100, span, &mut env, &mut out);
        }
        for piece in bytes.chunks(chunk) {
            connection.data(*dir, piece, span, &mut env, &mut out);
        }
        given += bytes.len() as u64;
    }
    let reports = connection.finish(span, &mut env, &mut out);
    assert_eq!(connection.opened_bytes() + connection.overhead_bytes() + connection.undecrypted_bytes(), given);
    (out, reports)
}

#[test]
fn a_null_cipher_needs_no_key() {
    let mut pieces = handshake();
    // Sent twice by mistake.
    pieces.insert(6, (Client, record(20, &[1])));
    pieces.push((Client, record(23, &[&b"QUIT\r\n"[..], &[0; 20]].concat())));
    for chunk in [1, 7, 100_000] {
        let (out, report) = play(&pieces, chunk);
        assert_eq!(out.plain, [(Client, b"QUIT\r\n".to_vec())]);
        assert_eq!(out.established, [0]);
        assert_eq!((report.decrypted, report.secret), (Decrypted::All, Some(SecretSource::NoneNeeded)));
        assert_eq!((report.reason, report.version), (None, Some("TLSv1.0")));
        assert_eq!(report.suite.as_deref(), Some("TLS_RSA_WITH_NULL_SHA"));
        assert_eq!(report.certificate.map(|c| c.subject), Some(String::new()));
    }
}

#[test]
fn without_a_key_it_says_so() {
    let mut pieces = handshake();
    // TLS_RSA_WITH_AES_128_CBC_SHA instead.
    pieces[1].1[5 + 4 + 2 + 32 + 2] = 0x2f;
    pieces.push((Client, record(23, &[0; 32])));
    let (out, report) = play(&pieces, 1000);
    assert_eq!((report.decrypted, report.reason), (Decrypted::None, Some(Reason::NoKey)));
    assert_eq!(out.lost, [(Client, 32)]);
    assert!(report.completed);
    assert_eq!(report.records_undecrypted, 3);
    assert!(report.steps.iter().any(|s| s.contains("--key")), "{:?}", report.steps);
}

#[test]
fn an_alert_in_mid_handshake_is_a_failure_between_the_peers() {
    let (out, report) = play(&[(Client, client_hello()), (Server, record(21, &[2, 40]))], 3);
    assert_eq!(report.reason, Some(Reason::HandshakeFailed));
    assert_eq!(report.alerts[0].description, "fatal handshake_failure");
    assert_eq!((out.closed, out.odd), (vec![Server], vec![Code::FatalAlert]));
    assert!(out.lost.is_empty());
}

/// The handshake with TLS_RSA_WITH_AES_128_CBC_SHA instead, up to where the server waits for the client.
fn up_to_the_client() -> Vec<(Direction, Vec<u8>)> {
    let mut pieces = handshake();
    pieces[1].1[5 + 4 + 2 + 32 + 2] = 0x2f;
    pieces.truncate(4);
    pieces
}

#[test]
fn a_refused_certificate_is_no_key_exchange() {
    let mut pieces = up_to_the_client();
    pieces.push((Client, record(21, &[2, 48])));
    let (_, report) = play(&pieces, 1000);
    assert_eq!(report.reason, Some(Reason::HandshakeFailed));
    let steps = report.steps.join("\n");
    assert!(steps.contains("The client did not continue with the key exchange."), "{steps}");
    assert!(!steps.contains("premaster") && !steps.contains("private key"), "{steps}");
    // The lost part of a handshake may hold one.
    pieces[3].1.clear();
    let steps = play(&pieces, 1000).1.steps.join("\n");
    assert!(!steps.contains("did not go on"), "{steps}");
}

#[test]
fn a_certificate_that_the_client_did_not_send_is_told() {
    let mut pieces = up_to_the_client();
    pieces.insert(3, (Server, message(13, &[1, 1, 0, 0])));
    let story = |pieces: &[(Direction, Vec<u8>)]| play(pieces, 1000).1.steps.join("\n");
    assert!(story(&pieces).contains("The server asked for a client certificate."), "{}", story(&pieces));
    pieces.push((Client, message(11, &[0, 0, 0])));
    pieces.push((Client, message(16, &[&[1, 0][..], &[9; 256]].concat())));
    pieces.push((Server, record(21, &[2, 40])));
    let said = "The server asked for a client certificate; the client sent none.";
    assert!(story(&pieces).contains(said), "{}", story(&pieces));
}

#[test]
fn secrets_in_the_capture_are_no_key_log_that_was_given() {
    let mut pieces = handshake();
    pieces.push((Client, record(23, &[0; 32])));
    let line = format!("CLIENT_RANDOM {} {}\n", "ab".repeat(32), "cd".repeat(48));
    // RSA, and ephemeral Diffie-Hellman.
    for (suite, without) in [([0, 0x2f], Reason::NoKey), ([0xc0, 0x13], Reason::ForwardSecrecy)] {
        pieces[1].1[5 + 4 + 2 + 32 + 1..][..2].copy_from_slice(&suite);
        for (source, reason) in [(SecretSource::Dsb, without), (SecretSource::KeyLog, Reason::KeylogNoEntry)] {
            let mut keys = KeyRing::new();
            assert_eq!(keys.add_keylog_bytes("secrets", line.as_bytes(), source), [""; 0]);
            let (_, reports) = play_with(&keys, &pieces, 1000);
            assert_eq!(reports[0].reason, Some(reason));
            let steps = reports[0].steps.join("\n");
            let given = source == SecretSource::KeyLog;
            assert_eq!(steps.contains("The key log has no entry"), given, "{steps}");
            assert_eq!(steps.contains("The secrets in the capture have no entry"), !given, "{steps}");
            let own = given && without == Reason::NoKey;
            assert_eq!(steps.contains("The server's private key opens it, too."), own, "{steps}");
        }
    }
}

#[test]
fn grease_is_no_suite() {
    let hello = message(1, &[&[3, 1][..], &[7; 32], &[0, 0, 6, 0x5a, 0x5a, 0, 0x2f, 0, 0xff, 1, 0]].concat());
    let (_, report) = play(&[(Client, hello)], 1000);
    assert!(report.steps[0].starts_with("The client offered TLS_RSA_WITH_AES_128_CBC_SHA, "), "{:?}", report.steps);
}

#[test]
fn the_word_for_what_is_missing() {
    let whole = handshake();
    let reason = |pieces: &[(Direction, Vec<u8>)]| play(pieces, 1000).1.reason;
    assert_eq!(reason(&whole[..1]), Some(Reason::HandshakeIncomplete));
    assert_eq!(reason(&whole[..4]), Some(Reason::HandshakeIncomplete));
    let client: Vec<_> = whole.iter().filter(|(dir, _)| *dir == Client).cloned().collect();
    assert_eq!(reason(&client), Some(Reason::OneSided));
    let both = [(Client, record(23, &[5; 40])), (Server, record(23, &[6; 40]))];
    assert_eq!(reason(&both), Some(Reason::MidSession));
    assert_eq!(reason(&both[..1]), Some(Reason::OneSided));
    assert_eq!(reason(&[(Server, b"220 mail.example.test ESMTP\r\n".to_vec())]), Some(Reason::NotTls));
    // The ServerHello is lost.
    let mut gap = whole.clone();
    gap[1].1.clear();
    gap.push((Client, record(23, &[5; 40])));
    assert_eq!(reason(&gap), Some(Reason::HandshakeGap));
}

#[test]
fn a_silent_peer_whose_frames_were_captured_is_not_one_sided() {
    let (keys, mut sessions, limits) = (KeyRing::new(), SessionCache::new(), Limits::default());
    let mut env =
        Env { keys: &keys, sessions: &mut sessions, limits: &limits, both_captured: true, may_hold_back: true };
    let (mut connection, mut out, span) = (Connection::new(), Out::default(), Span::default());
    connection.data(Client, &client_hello(), span, &mut env, &mut out);
    connection.end(Client, span, &mut env);
    let reports = connection.finish(span, &mut env, &mut out);
    assert_eq!(reports[0].reason, Some(Reason::HandshakeFailed));
}

#[test]
fn a_lost_handshake_message_that_keys_do_not_need_costs_nothing() {
    let mut pieces = handshake();
    pieces[2].1.clear();
    pieces.push((Server, record(23, &[&b"+OK"[..], &[0; 20]].concat())));
    let (out, report) = play(&pieces, 1000);
    assert_eq!(out.plain, [(Server, b"+OK".to_vec())]);
    assert_eq!(out.lost, []);
    assert_eq!(report.decrypted, Decrypted::All);
}

#[test]
fn gaps_are_told_at_their_place() {
    let mut pieces = handshake();
    let data = |text: &[u8]| record(23, &[text, &[0; 20]].concat());
    pieces.push((Server, data(b"one")));
    pieces.push((Server, Vec::new()));
    pieces.push((Server, [data(b"two"), data(b"three")].concat()));
    let (out, _) = play(&pieces, 1000);
    assert_eq!(out.plain.len(), 3);
    assert_eq!(out.lost, [(Server, 100)]);
}

#[test]
fn hostile_gap_lengths_do_not_overflow() {
    let (keys, mut sessions, limits) = (KeyRing::new(), SessionCache::new(), Limits::default());
    let mut env =
        Env { keys: &keys, sessions: &mut sessions, limits: &limits, both_captured: false, may_hold_back: true };
    let (mut connection, mut out, span) = (Connection::new(), Out::default(), Span::default());
    for (dir, bytes) in handshake() {
        connection.data(dir, &bytes, span, &mut env, &mut out);
        connection.gap(dir, u64::MAX, span, &mut env, &mut out);
        connection.gap(dir, u64::MAX, span, &mut env, &mut out);
    }
    connection.finish(span, &mut env, &mut out);
}

#[test]
fn it_can_go_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Connection>();
    is_send::<SessionCache>();
}

/// The server, which was not captured, chose TLS 1.2.
#[test]
fn a_client_alone_that_offered_tls13_and_exchanged_keys_is_encrypted_behind_its_change() {
    let extension = [0, 7, 0, 43, 0, 3, 2, 3, 4];
    let hello = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0, 2, 1, 0], &extension].concat();
    // The nonce of AES-GCM, as some count it, looks like two HelloRequests; what follows like a message.
    let finished = [&[0; 8][..], &[1, 0xff, 0xff, 0xff], &[9; 28]].concat();
    let pieces = [
        (Client, message(1, &hello)),
        (Client, message(16, &[&[1, 0][..], &[9; 256]].concat())),
        (Client, record(20, &[1])),
        (Client, record(22, &finished)),
        (Client, record(23, &[0; 40])),
    ];
    for chunk in [1, 1000] {
        let (out, report) = play(&pieces, chunk);
        assert_eq!((report.reason, report.records_undecrypted), (Some(Reason::OneSided), 2), "{:?}", report.steps);
        assert!(!out.odd.contains(&Code::EntryLimit), "{:?}", out.odd);
        assert!(!report.steps.iter().any(|step| step.contains("renegotiation")), "{:?}", report.steps);
    }
}

/// The client asks for another handshake, the server does not want it, and both go on.
#[test]
fn a_declined_renegotiation_leaves_the_handshake_in_force() {
    let protected = |kind: u8, content: &[u8]| record(kind, &[content, &[0; 20]].concat());
    let mut pieces = handshake();
    pieces.push((Client, protected(22, &client_hello()[5..])));
    pieces.push((Server, protected(21, &[1, 100])));
    pieces.push((Client, protected(23, b"NOOP\r\n")));
    // Lost.
    pieces.push((Server, Vec::new()));
    pieces.push((Server, protected(23, b"250 ok\r\n")));
    pieces.push((Client, protected(21, &[1, 0])));
    for chunk in [1, 1000] {
        let (out, reports) = play_all(&pieces, chunk);
        let [report] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!((report.reason, report.completed), (None, true), "{:?}", report.steps);
        assert_eq!(out.plain, [(Client, b"NOOP\r\n".to_vec()), (Server, b"250 ok\r\n".to_vec())]);
        let alerts: Vec<&str> = report.alerts.iter().map(|alert| alert.description.as_str()).collect();
        assert_eq!(alerts, ["warning no_renegotiation", "warning close_notify"]);
        assert!(report.steps.iter().any(|step| step.contains("declined")), "{:?}", report.steps);
    }
    // Taken up all the same by a second try.
    let again = pieces.len() - 1;
    pieces.truncate(again);
    pieces.push((Client, protected(22, &client_hello()[5..])));
    pieces.push((Server, protected(22, &server_hello()[5..])));
    assert_eq!(play_all(&pieces, 1000).1.len(), 2);
}

/// The alert says that there was a ServerHello, which is in the gap; of that the capture's end may tell, behind the alert.
#[test]
fn a_server_whose_hello_was_lost_is_not_said_to_have_given_none() {
    let alert = (Client, record(21, &[2, 48]));
    let step = |pieces: &[(Direction, Vec<u8>)]| {
        let report = play(pieces, 1000).1;
        assert_eq!(report.reason, Some(Reason::HandshakeFailed));
        report.steps.into_iter().find(|step| step.contains("ServerHello")).unwrap()
    };
    let lost = (Server, Vec::new());
    let none = "No ServerHello was captured.";
    assert_eq!(step(&[(Client, client_hello()), alert.clone(), lost.clone()]), none);
    assert_eq!(step(&[(Client, client_hello()), lost, alert.clone()]), none);
    assert_eq!(step(&[(Client, client_hello()), alert]), "The server did not answer with a ServerHello.");
}
