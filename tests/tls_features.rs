//! Features of TLS that no capture of the tests has, or not in this combination.

mod common;

use common::packets::{Dialogue, Random, Shape, dialogues, packets, pcap};
use common::script::{c, codes, only, s};
use common::tls13::{Sender, key_log};
use common::{How, Told, tell, testdata};
use mailcap::diagnostic::Code;
use mailcap::event::{Decrypted, EventBody, Outcome, Resumed, SecretSource};
use mailcap::limits::Limits;
use mailcap::position::{Direction, Span};
use mailcap::tls::{Connection, Env, KeyRing, Reason, Secret, SessionCache, Upper};

/// One connection in a file of its own, its client at 10.0.9.N, N hours later.
fn file(dialogue: &Dialogue, client: u8) -> tempfile::NamedTempFile {
    let list = packets(dialogue, &Shape { segment: 1400, isn: [1, 2] }, &mut Random::new(1));
    let mut bytes = pcap(dialogue, &list);
    let mut at = 24;
    while at < bytes.len() {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (time, len) = (word(at) + 3600 * u32::from(client), word(at + 8) as usize);
        bytes[at..at + 4].copy_from_slice(&time.to_le_bytes());
        at += 16 + len;
    }
    let from = [10, 0, 0, 1];
    for at in 0..bytes.len() - 4 {
        // The addresses of the IPv4 headers; the captures used have no such bytes elsewhere.
        if bytes[at..at + 4] == from {
            bytes[at..at + 4].copy_from_slice(&[10, 0, 9, client]);
        }
    }
    let file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

#[test]
fn a_session_is_resumed_in_another_file_from_another_address() {
    for (capture, key, how) in [
        ("tls/f-resume-id-tls12-cbc-imap.pcap", "tls/keys/rsa2048.pem", Resumed::SessionId),
        ("tls/f-resume-ticket-tls12-smtp-starttls.pcap", "tls/keys/rsa2048.pem", Resumed::Ticket),
        ("servers/rsa12-resume.pcap", "servers/keys/server.key", Resumed::Ticket),
    ] {
        let all = dialogues(testdata().join(capture));
        let files = [file(&all[0], 1), file(&all[1], 2)];
        let names: Vec<_> = files.iter().map(|f| f.path().to_owned()).collect();
        let keys = [testdata().join(key)];
        let how_to = How { keys: &keys, ..How::default() };
        let both = tell(&names, &how_to);
        let clients: Vec<_> = both.stories.values().map(|s| s.session().client.ip()).collect();
        assert_eq!((clients.len(), clients[0] != clients[1]), (2, true), "{capture}");
        let tls = &both.stories.values().nth(1).unwrap().tls[0];
        assert_eq!((tls.resumed, tls.decrypted), (how, Decrypted::All), "{capture}: {:#?}", tls.steps);
        assert_eq!(tls.secret, Some(SecretSource::Resumption), "{capture}");
        // Alone it stays closed.
        let alone = tell(&names[1..], &how_to);
        let tls = &alone.stories.values().next().unwrap().tls[0];
        assert_eq!((tls.resumed != Resumed::No, tls.records_decrypted), (true, 0), "{capture}");
    }
}

#[derive(Default)]
struct Out {
    plain: Vec<(Direction, Vec<u8>)>,
    lost: u64,
}

impl Upper for Out {
    fn plaintext(&mut self, dir: Direction, bytes: &[u8], _: Span) {
        self.plain.push((dir, bytes.to_vec()));
    }
    fn lost(&mut self, _: Direction, len: u64, _: Span) {
        self.lost += len;
    }
    fn established(&mut self, _: u32, _: Span) {}
    fn odd(&mut self, _: Code, _: &str, _: Span) {}
    fn closed(&mut self, _: Direction, _: Span) {}
}

/// RFC 8446 section 4.6.2: the client's Finished there ends no handshake and changes no keys.
#[test]
fn post_handshake_authentication_changes_no_keys() {
    use Direction::{Client, Server};
    let (client, server) = (Secret::new(&[2; 32]), Secret::new(&[3; 32]));
    let mut keys = KeyRing::new();
    keys.add_keylog_bytes("log", key_log(&[1; 32], &client, &server).as_bytes(), SecretSource::KeyLog);
    let (mut sessions, limits, mut out) = (SessionCache::new(), Limits::default(), Out::default());
    let mut env =
        Env { keys: &keys, sessions: &mut sessions, limits: &limits, both_captured: true, may_hold_back: true };
    let (mut connection, span) = (Connection::new(), Span::default());
    let (mut c, mut s) = (Sender::new(client), Sender::new(server));
    let message = |kind: u8, len: usize| [&[kind, 0, 0, len as u8][..], &vec![7; len]].concat();
    let records = [
        (Server, s.record(23, b"* OK ready\r\n")),
        (Client, c.record(23, b"a LOGIN x y\r\n")),
        // CertificateRequest, then Certificate, CertificateVerify and Finished in one record, and a new ticket.
        (Server, s.record(22, &message(13, 40))),
        (Client, c.record(22, &[message(11, 90), message(15, 70), message(20, 32)].concat())),
        (Server, s.record(22, &message(4, 60))),
        (Server, s.record(23, b"a OK\r\n")),
        (Client, c.update()),
        (Client, c.record(23, b"b LOGOUT\r\n")),
        (Server, s.record(23, b"b OK\r\n")),
    ];
    for (dir, bytes) in &records {
        connection.data(*dir, bytes, span, &mut env, &mut out);
    }
    let want = [
        (Server, "* OK ready\r\n"),
        (Client, "a LOGIN x y\r\n"),
        (Server, "a OK\r\n"),
        (Client, "b LOGOUT\r\n"),
        (Server, "b OK\r\n"),
    ];
    assert_eq!(out.plain, want.map(|(dir, text)| (dir, text.as_bytes().to_vec())));
    let reports = connection.finish(span, &mut env, &mut out);
    assert_eq!((out.lost, reports.len(), reports[0].records_decrypted, reports[0].reason), (0, 1, 9, None));
}

/// RFC 8879. The hashes are those of the certificates that the peers were given.
#[test]
fn a_certificate_that_was_sent_compressed_is_told() {
    let capture = testdata().join("handshakes/compressed-certificates.pcap");
    let told =
        tell(std::slice::from_ref(&capture), &How { keylogs: &[capture.with_extension("keylog")], ..How::default() });
    let tls = &told.stories.values().next().unwrap().tls[0];
    let hash = |hash: [u8; 32]| hash.iter().take(8).map(|b| format!("{b:02x}")).collect::<String>();
    let own = tls.certificate.as_ref().unwrap();
    assert_eq!((own.subject.as_str(), hash(own.sha256)), ("CN=mail.example.test", "69bd9c4e0c5838a0".to_owned()));
    let client = tls.client_certificate.as_ref().unwrap();
    assert_eq!((client.subject.as_str(), hash(client.sha256)), ("CN=client", "e8356354e200e345".to_owned()));
}

/// Without the handshake's secrets the certificate stays closed, but no byte of the dialogue: what opens next is record
/// 0. The closed records were told as a loss, behind which lines have to prove themselves, and those that could not
///    were lost.
#[test]
fn a_key_log_without_the_handshakes_secrets_opens_the_whole_dialogue() {
    let capture = testdata().join("tls/tls13-aes-128-gcm-sha256-pop3.pcap");
    let log = capture.with_extension("keylog");
    let text = std::fs::read_to_string(&log).unwrap();
    let told = |log: &std::path::Path| {
        let keylogs = [log.to_owned()];
        let told = tell(std::slice::from_ref(&capture), &How { keylogs: &keylogs, ..How::default() });
        let story = told.stories.into_values().next().unwrap();
        let said = story.events.iter().filter_map(|e| match &e.body {
            EventBody::Command(c) => Some(format!("{:?} {:?} {}", c.verb, c.args, c.incomplete)),
            EventBody::Reply(r) => Some(format!("{:?} {:?} {:?} {}", r.status, r.lines, r.latency, r.incomplete)),
            EventBody::Gap(_) => Some("gap".to_owned()),
            _ => None,
        });
        let said: Vec<String> = said.collect();
        let resynchronised = story.session().diagnostics.iter().any(|d| d.code == Code::Resynchronised);
        (said, resynchronised)
    };
    let whole = told(&log);
    assert!(whole.0.len() > 10 && !whole.1);
    for without in [&["CLIENT_HANDSHAKE"][..], &["SERVER_HANDSHAKE"], &["CLIENT_HANDSHAKE", "SERVER_HANDSHAKE"]] {
        let lines = text.lines().filter(|line| !without.iter().any(|w| line.starts_with(w)));
        let cut = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(cut.path(), lines.collect::<Vec<_>>().join("\n")).unwrap();
        assert_eq!(told(cut.path()), whole, "without {without:?}");
    }
}

/// It was told as an ephemeral key exchange, `forward-secrecy`, of an earlier session.
#[test]
fn a_pre_shared_key_alone_has_no_forward_secrecy() {
    let capture = testdata().join("handshakes/psk-alone.pcap");
    let closed = tell(std::slice::from_ref(&capture), &How { all_tls: true, ..How::default() });
    let tls = &closed.stories.values().next().unwrap().tls[0];
    assert_eq!((tls.resumed, tls.decrypted, tls.reason), (Resumed::Psk, Decrypted::None, Some(Reason::NoPsk)));
    let steps = tls.steps.join("\n");
    assert!(steps.contains("no key exchange") && !steps.contains("ephemeral"), "{steps}");
    let keylogs = [capture.with_extension("keylog")];
    let open = tell(&[capture], &How { keylogs: &keylogs, all_tls: true, ..How::default() });
    let tls = &open.stories.values().next().unwrap().tls[0];
    assert_eq!((tls.decrypted, tls.reason), (Decrypted::All, None));
}

/// A server that refuses early data has no secret of it to log. What the client sends again is not missing.
#[test]
fn early_data_that_the_server_refused_is_no_loss_without_its_secret() {
    let capture = testdata().join("handshakes/early-data-refused.pcap");
    let keylogs = [capture.with_extension("keylog")];
    assert!(!std::fs::read_to_string(&keylogs[0]).unwrap().contains("EARLY_TRAFFIC"));
    let told = tell(&[capture], &How { keylogs: &keylogs, ..How::default() });
    let story = told.stories.values().nth(1).unwrap();
    let tls = &story.tls[0];
    assert_eq!((tls.resumed, tls.decrypted, tls.reason), (Resumed::No, Decrypted::All, None));
    assert!(tls.steps.iter().any(|step| step.starts_with("Early data that the server refused")), "{:#?}", tls.steps);
    assert_eq!(story.commands.len(), 1);
    assert!(story.replies.last().unwrap().command.is_some());
    assert!(story.session().diagnostics.is_empty(), "{:?}", story.session().diagnostics);
    assert_eq!((story.session().undecrypted_bytes, story.session().complete), (0, true));
}

/// A certificate that was sent, and can't be seen for want of the secret of the client's handshake, was called none.
#[test]
fn a_client_certificate_that_is_not_seen_is_not_called_none() {
    let capture = testdata().join("handshakes/client-certificate-refused.pcap");
    let log = std::fs::read_to_string(capture.with_extension("keylog")).unwrap();
    let steps = |without: &str| {
        let lines: String = log.lines().filter(|l| !l.starts_with(without)).map(|l| format!("{l}\n")).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines).unwrap();
        let told = tell(std::slice::from_ref(&capture), &How { keylogs: &[file.path().to_owned()], ..How::default() });
        (told.stories.values().next().unwrap().tls[0].clone(), told)
    };
    for (without, word) in [("none", "the client sent "), ("CLIENT_HANDSHAKE", "asked for a client certificate.")] {
        let (tls, told) = steps(without);
        assert!(!tls.progress.lacks_certificate, "{without}");
        let story = tls.steps.join("\n");
        assert!(story.contains(word) && !story.contains("got none"), "{without}: {story}");
        assert!(!codes(&told).contains(&"not-mail"), "nothing was said");
    }
    let wanted = testdata().join("handshakes/client-certificate-wanted.pcap");
    let keylogs = [wanted.with_extension("keylog")];
    let told = tell(&[wanted], &How { keylogs: &keylogs, ..How::default() });
    assert!(told.stories.values().next().unwrap().tls[0].progress.lacks_certificate);
}

/// HTTPS on a port of mail, opened: nothing stayed hidden.
#[test]
fn another_protocol_in_opened_tls_is_not_mail() {
    let capture = testdata().join("tls/tls13-aes-128-gcm-sha256-pop3.pcap");
    let keylogs = [capture.with_extension("keylog")];
    let log = std::fs::read_to_string(&keylogs[0]).unwrap();
    let sender = |label| Sender::new(Secret::new(&secret_of(&log, label)));
    let (mut client, mut server) = (sender("CLIENT_TRAFFIC_SECRET_0"), sender("SERVER_TRAFFIC_SECRET_0"));
    let whole = dialogues(capture).remove(0);
    let mut turns: Vec<_> = whole.turns.iter().take(3).cloned().collect();
    turns.push(c(client.record(23, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")));
    turns.push(s(server.record(23, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")));
    for (keylogs, codes) in [(&keylogs[..], vec!["not-mail"]), (&[], vec![])] {
        let file = file(&Dialogue { turns: turns.clone(), ..whole.clone() }, 1);
        let told = tell(&[file.path().to_owned()], &How { keylogs, ..How::default() });
        let session = told.stories.values().next().unwrap().session();
        let told: Vec<_> = session.diagnostics.iter().map(|d| d.code.as_str()).filter(|c| *c == "not-mail").collect();
        assert_eq!((session.protocol, told), (None, codes));
    }
}

fn secret_of(log: &str, label: &str) -> Vec<u8> {
    let line = log.lines().find(|line| line.starts_with(label)).unwrap();
    let digits = line.rsplit(' ').next().unwrap().as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// The key exchange of TLS 1.0 knows nothing of the hellos but their randoms: a client that offers TLS 1.1 has written,
/// as far as its premaster secret goes, another version into it.
#[test]
fn a_premaster_secret_of_another_version_than_the_client_offered_is_told() {
    let keys = [testdata().join("tls/keys/rsa2048e3.pem")];
    let how = How { keys: &keys, ..How::default() };
    let mut dialogue = dialogues(testdata().join("tls/tls10-camellia128-sha-smtp.pcap")).remove(0);
    let as_it_was = tell(&[file(&dialogue, 1).path().to_owned()], &how);
    assert!(!codes(&as_it_was).contains(&"premaster-version"));
    let offered = &mut dialogue.turns[0].bytes[9..11];
    assert_eq!(offered, [3, 3]);
    offered[1] = 2;
    let told = tell(&[file(&dialogue, 1).path().to_owned()], &how);
    let details = details(&told, Code::PremasterVersion);
    assert_eq!(details, ["the premaster secret says 0x0303, ClientHello 0x0302"]);
    assert_eq!(only(&told).tls[0].decrypted, Decrypted::All);
}

/// The certificate of the capture is valid until 2036-11-21 (`openssl x509 -enddate`).
#[test]
fn a_certificate_that_had_expired_is_told() {
    let mut bytes = std::fs::read(testdata().join("tls/tls10-camellia128-sha-smtp.pcap")).unwrap();
    let mut at = 24;
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        bytes[at..at + 4].copy_from_slice(&2_200_000_000u32.to_le_bytes());
        at += 16 + len;
    }
    let file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let told = tell(&[file.path().to_owned()], &How::default());
    let details = details(&told, Code::CertificateNotValid);
    assert!(details.len() == 1 && details[0].starts_with("expired on 2036-11-21: "), "{details:?}");
}

fn details(told: &Told, code: Code) -> Vec<&str> {
    let events = told.stories.values().flat_map(|story| &story.events);
    events
        .filter_map(|event| match &event.body {
            EventBody::Diagnostic(d) if d.code == code => Some(d.detail.as_str()),
            _ => None,
        })
        .collect()
}

/// A server's fatal alert before its first word failed the handshake, whatever it was about and though tickets had
/// shown that the server was done with it.
#[test]
fn an_alert_behind_a_ticket_or_of_another_error_fails_no_handshake() {
    let capture = testdata().join("tls/tls13-aes-128-gcm-sha256-pop3.pcap");
    let keylogs = [capture.with_extension("keylog")];
    let log = std::fs::read_to_string(&keylogs[0]).unwrap();
    let secret = secret_of(&log, "SERVER_TRAFFIC_SECRET_0");
    let whole = dialogues(capture).remove(0);
    let to_the_finished = whole.turns.iter().take(3).cloned();
    let (ticket, internal_error, bad_certificate) = ([&[4, 0, 0, 60][..], &[7; 60]].concat(), [2, 80], [2, 42]);
    for (ticket, alert, outcome) in [
        (Some(&ticket), bad_certificate, Outcome::Aborted),
        (None, internal_error, Outcome::Aborted),
        (None, bad_certificate, Outcome::TlsFailed),
    ] {
        let mut server = Sender::new(Secret::new(&secret));
        let mut said = ticket.map(|ticket| server.record(22, ticket)).unwrap_or_default();
        said.extend(server.record(21, &alert));
        let turns = to_the_finished.clone().chain([s(said)]).collect();
        let file = file(&Dialogue { turns, ..whole.clone() }, 1);
        let told = tell(&[file.path().to_owned()], &How { keylogs: &keylogs, ..How::default() });
        let story = told.stories.values().next().unwrap();
        assert_eq!(story.session().outcome, outcome, "{ticket:?} {alert:?} {:#?}", story.tls[0].steps);
        assert_eq!(story.tls[0].completed, outcome == Outcome::Aborted, "{ticket:?} {alert:?}");
    }
}

/// Whatever a server calls it: it answers a client that has not spoken since it was asked for a certificate. So it does
/// where the beginning was not captured.
#[test]
fn any_alert_behind_the_finished_of_a_client_that_was_asked_for_a_certificate_is_a_refusal() {
    let capture = testdata().join("handshakes/client-certificate-refused.pcap");
    let keylogs = [capture.with_extension("keylog")];
    let log = std::fs::read_to_string(&keylogs[0]).unwrap();
    let secret = secret_of(&log, "SERVER_TRAFFIC_SECRET_0");
    let whole = dialogues(capture).remove(0);
    for (alert, hello_lost) in [(80, false), (20, false), (47, false), (10, false), (48, false), (48, true), (80, true)]
    {
        let record = Sender::aes_256(Secret::new(&secret)).record(21, &[2, alert]);
        let turns = whole.turns.iter().take(3).cloned().chain([s(record)]).collect();
        let dialogue = Dialogue { turns, ..whole.clone() };
        let mut list = packets(&dialogue, &Shape { segment: 1400, isn: [1, 2] }, &mut Random::new(1));
        let hello = list.iter().position(|packet| !packet.payload.is_empty()).unwrap();
        if hello_lost {
            list.remove(hello);
        }
        let file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
        std::fs::write(file.path(), pcap(&dialogue, &list)).unwrap();
        let told = tell(&[file.path().to_owned()], &How { keylogs: &keylogs, ..How::default() });
        let story = told.stories.values().next().unwrap();
        assert_eq!(story.session().outcome, Outcome::TlsFailed, "{alert} {hello_lost} {:#?}", story.tls[0].steps);
        assert!(!story.tls[0].completed, "{alert} {hello_lost}");
    }
}

/// In TLS 1.3 the client is done before the server judges its certificate: that was told as a handshake that ran to its
/// end.
#[test]
fn a_server_that_refuses_the_clients_certificate_behind_its_finished_has_failed() {
    for name in ["client-certificate-wanted", "client-certificate-refused"] {
        let capture = testdata().join(format!("handshakes/{name}.pcap"));
        let keylogs = [capture.with_extension("keylog")];
        let told = tell(&[capture], &How { keylogs: &keylogs, ..How::default() });
        let story = told.stories.values().next().unwrap();
        assert_eq!((story.tls[0].reason, story.tls[0].completed), (Some(Reason::HandshakeFailed), false), "{name}");
        assert_eq!((story.session().outcome, story.session().complete), (Outcome::TlsFailed, true), "{name}");
    }
}
