//! Every reason why TLS stays closed, brought about with real captures: the reason is told, and `tls --explain` says
//! what was offered and chosen, what was tried, how far it came, and what to do next.

mod common;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use common::packets::{Dialogue, Packet, Random, Shape, dialogues, packets, pcap};
use common::{How, config, testdata};
use mailcap::capture::Capture;
use mailcap::event::TlsHandshake;
use mailcap::flow::Side;
use mailcap::limits::Limits;
use mailcap::pipeline::{run, run_capture};
use mailcap::tls::Reason;

/// What `tests/tls_midway.rs` shows.
const TLS13: &str = "ith TLS 1.3 a key log is enough";

const KEY: &str = "tls/keys/rsa2048.pem";

/// The handshakes of a capture, in the order of sessions.
fn handshakes(file: &std::path::Path, how: &How<'_>) -> Vec<TlsHandshake> {
    let mut sink = common::Collect::default();
    run(config(&[file.to_owned()], how), &mut sink).unwrap();
    sorted(sink)
}

fn sorted(mut sink: common::Collect) -> Vec<TlsHandshake> {
    sink.0.sort_by_key(|event| (event.session, event.seq));
    let told = sink.0.into_iter().filter_map(|event| match event.body {
        mailcap::event::EventBody::Tls(tls) => Some(*tls),
        _ => None,
    });
    told.collect()
}

fn tls(name: &str) -> PathBuf {
    let pcap = testdata().join(format!("tls/{name}.pcap"));
    if pcap.exists() { pcap } else { pcap.with_extension("pcapng") }
}

/// A dialogue's capture with packets taken out or changed.
fn changed(name: &str, change: impl Fn(&Dialogue, &mut Vec<Packet>)) -> tempfile::NamedTempFile {
    let dialogue = dialogues(tls(name)).remove(0);
    let mut list = packets(&dialogue, &Shape { segment: 400, isn: [1000, 5000] }, &mut Random::new(3));
    change(&dialogue, &mut list);
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(&pcap(&dialogue, &list)).unwrap();
    file
}

/// A dialogue's capture in which the server chose another suite.
fn with_suite(name: &str, suite: [u8; 2]) -> tempfile::NamedTempFile {
    changed(name, |_, list| {
        let hello = with_record(list, Side::Responder, 22, 0);
        let id = usize::from(list[hello].payload[43]);
        list[hello].payload[44 + id..46 + id].copy_from_slice(&suite);
    })
}

/// The number of the packet, the last or the first, with the record of that type at its beginning.
fn with_record(list: &[Packet], side: Side, kind: u8, nth: usize) -> usize {
    let is = |p: &Packet| p.side == side && p.payload.starts_with(&[kind, 3]);
    list.iter().enumerate().filter(|(_, p)| is(p)).nth(nth).unwrap().0
}

struct Case {
    reason: Reason,
    told: Vec<TlsHandshake>,
    /// What the story says.
    says: &'static [&'static str],
}

fn log(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[allow(clippy::too_many_lines, reason = "a case a reason")]
fn cases() -> Vec<Case> {
    let key = [testdata().join(KEY)];
    let with_key = How { keys: &key, ..How::default() };
    let nothing = How::default();
    let other_log = log(&format!("CLIENT_RANDOM {} {}\n", "ab".repeat(32), "cd".repeat(48)));
    let others = [other_log.path().to_owned()];
    let logged = How { keylogs: &others, ..How::default() };
    let plain = "f-ems-off-etm-on-pop3-starttls";
    let mut cases = Vec::new();
    let mut add = |reason, told, says| cases.push(Case { reason, told, says });
    add(Reason::NoKey, handshakes(&tls(plain), &nothing), &["No private key was given", "--key"] as &[&str]);
    add(
        Reason::KeyMismatch,
        handshakes(&tls("f-wrong-key-smtp"), &How { keys: &[testdata().join("keys/rsa1024.pem")], ..How::default() }),
        &["does not belong to the certificate: ", "rsa1024.pem (RSA-1024)", "in use when the capture"],
    );
    add(
        Reason::ForwardSecrecy,
        handshakes(&tls("tls12-ecdhe-rsa-aes128-gcm-sha256-pop3"), &with_key),
        &["ephemeral (Diffie-Hellman)", "SSLKEYLOGFILE"],
    );
    add(
        Reason::ExportEphemeral,
        handshakes(&tls("tls10-exp-rc4-md5-ephemeral512-pop3"), &with_key),
        &["temporary RSA key", "key log"],
    );
    add(
        Reason::ResumedUnseen,
        handshakes(&tls("f-resume-original-not-captured-imap-starttls"), &with_key),
        &["resumed an earlier session by its session ID", "Add the capture"],
    );
    add(
        Reason::HandshakeFailed,
        handshakes(&tls("f-handshake-failure-smtp-starttls"), &with_key),
        &["sent an alert: fatal handshake_failure", "nothing to decrypt"],
    );
    add(
        Reason::KeylogNoEntry,
        handshakes(&tls("tls13-aes-128-gcm-sha256-pop3"), &logged),
        &["has no entry for this client random (", "was it begun before the connection"],
    );
    add(
        Reason::NoPsk,
        handshakes(&tls("tls12-rsa-psk-aes128-gcm-sha256-pop3-starttls"), &with_key),
        &["RSA_PSK", "which its private key opens, and the pre-shared key", "--psk"],
    );
    // Without the server's hello.
    let lost = changed(plain, |_, list| drop(list.remove(with_record(list, Side::Responder, 22, 0))));
    add(Reason::HandshakeGap, handshakes(lost.path(), &with_key), &["No ServerHello was captured", "key log helps"]);
    // One direction, and the end before the handshake's.
    let half = changed(plain, |_, list| list.retain(|p| p.side == Side::Initiator));
    add(Reason::OneSided, handshakes(half.path(), &with_key), &["No ServerHello", "one direction", TLS13]);
    let cut = changed(plain, |_, list| list.truncate(with_record(list, Side::Initiator, 22, 1)));
    add(
        Reason::HandshakeIncomplete,
        handshakes(cut.path(), &with_key),
        &["The end of the handshake was not seen", "begins or ends within the handshake", TLS13],
    );
    let late = changed("f-wrong-key-smtp", |_, list| {
        let behind = with_record(list, Side::Initiator, 23, 2);
        list.drain(..behind);
    });
    add(
        Reason::MidSession,
        handshakes(late.path(), &with_key),
        &["No ClientHello was captured", "from the beginning of the connection", TLS13],
    );
    // The log's secret is another one.
    let right = std::fs::read_to_string(tls(plain).with_extension("keylog")).unwrap();
    let wrong: String = right
        .lines()
        .filter(|line| line.starts_with("CLIENT_RANDOM"))
        .map(|line| format!("{} {}\n", line.rsplit_once(' ').unwrap().0, "5a".repeat(48)))
        .collect();
    let wrong = log(&wrong);
    let wrongs = [wrong.path().to_owned()];
    add(
        Reason::BadMac,
        handshakes(&tls(plain), &How { keylogs: &wrongs, ..How::default() }),
        &[
            "has an entry for this client random",
            "Tried with a key log's secret: not a single record was decrypted",
            "did not match",
        ],
    );
    // A lost packet of a compressed session.
    let hole = changed("f-deflate-tls10-imap", |_, list| drop(list.remove(with_record(list, Side::Responder, 23, 1))));
    let part = handshakes(hole.path(), &with_key);
    add(Reason::CompressionStateLost, part, &["DEFLATE compression", "can't be decompressed"]);
    // A server without the RSA key of its certificate: what it was sent makes no sense.
    let damaged = changed(plain, |_, list| {
        let exchange = with_record(list, Side::Initiator, 22, 1);
        list[exchange].payload[40] ^= 1;
    });
    add(
        Reason::BadPremaster,
        handshakes(damaged.path(), &with_key),
        &["belongs to the certificate", "is not a valid premaster secret"],
    );
    let gost = with_suite(plain, [0, 0x81]);
    add(
        Reason::UnsupportedSuite,
        handshakes(gost.path(), &with_key),
        &["TLS_GOSTR341001_WITH_28147_CNT_IMIT", "does not decrypt this suite"],
    );
    let ecdh = with_suite(plain, [0xc0, 4]);
    add(
        Reason::StaticDh,
        handshakes(ecdh.path(), &with_key),
        &["TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", "the Diffie-Hellman key in the server's certificate", "key log"],
    );
    // Behind a loss nothing is as it was sent.
    let lost = changed(plain, |_, list| {
        let first = with_record(list, Side::Responder, 23, 1);
        list.remove(first);
        for packet in list[first..].iter_mut().filter(|p| p.side == Side::Responder && p.payload.len() > 20) {
            packet.payload[20] ^= 1;
        }
    });
    let told = handshakes(lost.path(), &with_key);
    add(
        Reason::GapNotBridged,
        told,
        &["belongs to the certificate", "the rest was not decrypted", "could not be matched"],
    );
    add(
        Reason::SecretLate,
        late_secrets(),
        &["in the capture have an entry for this client random", "a separate key log"],
    );
    cases
}

/// A capture with its secrets in the middle: the session was over its handshake by then.
fn late_secrets() -> Vec<TlsHandshake> {
    let bytes = std::fs::read(tls("k-dsb-tls13-imap")).unwrap();
    let (mut blocks, mut secrets, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(head) = bytes.get(at..at + 8) {
        let len = u32::from_le_bytes(head[4..].try_into().unwrap()) as usize;
        let list = if head[..4] == [10, 0, 0, 0] { &mut secrets } else { &mut blocks };
        list.push(bytes[at..at + len].to_vec());
        at += len;
    }
    assert!(!secrets.is_empty() && blocks.len() > 40);
    blocks.splice(30..30, secrets);
    let packets = blocks.concat();
    let mut sink = common::Collect::default();
    let capture = Capture::from_reader("-", Box::new(std::io::Cursor::new(packets)), &Limits::default()).unwrap();
    run_capture(capture, config(&[], &How::default()), &mut sink).unwrap();
    sorted(sink)
}

/// That nothing of the client was captured says nothing about what it did.
#[test]
fn tls13_of_the_server_alone_is_one_sided_and_opened_by_a_key_log() {
    let name = "tls13-aes-128-gcm-sha256-pop3";
    let keylogs = [tls(name).with_extension("keylog")];
    for side in [Side::Responder, Side::Initiator] {
        let half = changed(name, |_, list| list.retain(|p| p.side == side));
        let closed = handshakes(half.path(), &How::default());
        let reason = if side == Side::Responder { Reason::OneSided } else { closed[0].reason.unwrap() };
        assert_eq!(closed[0].reason, Some(reason), "{:#?}", closed[0].steps);
        assert_ne!(reason, Reason::HandshakeFailed, "{:#?}", closed[0].steps);
        let open = handshakes(half.path(), &How { keylogs: &keylogs, ..How::default() });
        assert!(open[0].records_decrypted > 3, "{:#?}", open[0].steps);
    }
}

/// A pre-shared key that does not fit is none.
#[test]
fn a_wrong_psk_is_no_psk() {
    let keys = [testdata().join(KEY)];
    let how = How { keys: &keys, psk: Some(&[0x5a; 16]), ..How::default() };
    let told = handshakes(&tls("tls12-rsa-psk-aes128-gcm-sha256-pop3-starttls"), &how);
    assert_eq!(told[0].reason, Some(Reason::NoPsk), "{:#?}", told[0].steps);
    assert!(told[0].steps.join("\n").contains("not a single record was decrypted"), "{:#?}", told[0].steps);
}

/// What is not there at all does not come late.
#[test]
fn a_key_log_that_lacks_a_secret_says_which() {
    let name = "tls13-aes-128-gcm-sha256-pop3";
    let whole = std::fs::read_to_string(tls(name).with_extension("keylog")).unwrap();
    for lacking in [
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_TRAFFIC_SECRET_0",
        "CLIENT_TRAFFIC_SECRET_0",
    ] {
        let part: String = whole.lines().filter(|l| !l.starts_with(lacking)).map(|l| format!("{l}\n")).collect();
        assert!(part.len() < whole.len(), "{lacking}");
        let part = log(&part);
        let told = handshakes(&tls(name), &How { keylogs: &[part.path().to_owned()], ..How::default() });
        let story = told[0].steps.join("\n");
        assert_eq!(told[0].reason, Some(Reason::KeylogNoEntry), "{lacking}: {story}");
        assert!(story.contains(&format!("entries for this client random, but no {lacking}.")), "{lacking}: {story}");
    }
}

/// A key of another kind is a key that was given: what it is, and why it does not help.
#[test]
fn a_key_of_another_kind_is_not_none() {
    let rsa = tls("f-ems-off-etm-on-pop3-starttls");
    let ephemeral = tls("tls12-ecdhe-rsa-aes128-gcm-sha256-pop3");
    let changed = with_suite("f-ems-off-etm-on-pop3-starttls", [0xc0, 4]);
    for (file, reason, why) in [
        (&rsa, Reason::NoKey, "the RSA key of the certificate is needed"),
        (&ephemeral, Reason::ForwardSecrecy, "whatever its kind, a server's key only signs"),
        (&changed.path().to_owned(), Reason::StaticDh, "mailcap can't use such a key"),
    ] {
        for (key, kind) in
            [("keys/ec256.pem", "an EC"), ("keys/dsa1024.pem", "a DSA"), ("keys/ed25519.pem", "an Ed25519")]
        {
            let keys = [testdata().join(key)];
            let told = handshakes(file, &How { keys: &keys, ..How::default() });
            assert_eq!(told[0].reason, Some(reason), "{key}");
            let story = told[0].steps.join("\n");
            let says = format!("No RSA key was given, only {} ({kind} key): {why}.", keys[0].display());
            assert!(story.contains(&says) && !story.contains("No private key"), "{key}: {story}");
        }
    }
}

#[test]
fn each_reason_is_told_and_explained() {
    let mut seen = BTreeSet::new();
    for Case { reason, told, says } in cases() {
        let Some(tls) = told.iter().find(|tls| tls.reason == Some(reason)) else {
            panic!("{reason}: {:#?}", told.iter().map(|t| (t.reason, &t.steps)).collect::<Vec<_>>())
        };
        let story = tls.steps.join("\n");
        for word in says {
            assert!(story.contains(word), "{reason}: {word:?} is not in\n{story}");
        }
        assert!(story.contains("The client offered") || story.contains("No ClientHello"), "{reason}:\n{story}");
        assert!(story.contains("The server chose") || story.contains("ServerHello"), "{reason}:\n{story}");
        assert!(tls.steps.len() >= 4, "{reason}:\n{story}");
        seen.insert(reason);
    }
    // Bytes that are no TLS where it was sure to be: a unit test of the connection has them.
    seen.insert(Reason::NotTls);
    assert_eq!(seen, Reason::ALL.iter().copied().collect());
}
