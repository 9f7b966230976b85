//! Dialogues through SOCKS and HTTP proxies: one behind another, behind a PROXY header, in TLS, without a beginning, in
//! any packets. `testdata/servers/smtp-proxied.pcap` has real ones.

mod common;

use common::packets::{Dialogue, Packet, Random, Shape, Turn, dialogues, packets};
use common::script::{c, codes, decode, dialogue, in_order, s, told, verbs};
use common::{How, Told, testdata};
use mailcap::event::{Protocol, Session};

const SMTP: &str = "S: 220 x ready\nC: EHLO me\nS: 250 x\nC: QUIT\nS: 221 bye";

fn session(told: &Told) -> &Session {
    told.stories.values().next().expect("a session").session()
}

/// What each of them is asked for.
const TARGETS: [&str; 3] = ["mx:25", "10.0.0.9:25", "mx:25"];

/// What is said to proxies that agree: SOCKS 5 with a password, SOCKS 4, CONNECT asked twice.
fn talks() -> Vec<Vec<Turn>> {
    vec![
        vec![
            c([5, 2, 0, 2]),
            s([5, 2]),
            c(b"\x01\x02me\x06secret"),
            s([1, 0]),
            c(b"\x05\x01\x00\x03\x02mx\x00\x19"),
            s([5, 0, 0, 1, 10, 0, 0, 9, 4, 0]),
        ],
        vec![c(b"\x04\x01\x00\x19\x0a\x00\x00\x09me\x00"), s([0, 90, 0, 0, 0, 0, 0, 0])],
        vec![
            c("CONNECT mx:25 HTTP/1.1\r\nHost: mx\r\n\r\n"),
            s("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nwho?\n"),
            c(format!("CONNECT mx:25 HTTP/1.1\r\nProxy-Authorization: Negotiate {}\r\n\r\n", "x".repeat(20_000))),
            s("HTTP/1.0 200 OK\r\n\r\n"),
        ],
    ]
}

fn through(talks: &[&[Turn]], dialogue: &Dialogue) -> Dialogue {
    Dialogue { turns: [&talks.concat()[..], &dialogue.turns].concat(), ..dialogue.clone() }
}

#[test]
fn any_proxies_behind_one_another_in_any_packets() {
    let plain = told(1080, SMTP);
    let all = talks();
    let talks: Vec<&[Turn]> = all.iter().map(Vec::as_slice).collect();
    for first in &talks {
        for (second, second_target) in talks.iter().zip(TARGETS) {
            let dialogue = through(&[first, second], &dialogue(1080, SMTP));
            for segment in [1, 7, 1400] {
                let list = packets(&dialogue, &Shape { segment, isn: [7, 99] }, &mut Random::new(1));
                let proxied = decode(&dialogue, &list, &How::default());
                assert_eq!(codes(&proxied), ["proxy-tunnel", "proxy-tunnel"], "{segment}");
                assert_eq!(verbs(&proxied), verbs(&plain));
                let session = session(&proxied);
                assert_eq!((session.protocol, session.complete), (Some(Protocol::Smtp), true));
                // The last one leads to the server. That was the first one's target, "(2 times in all)".
                assert_eq!(session.proxied_to, Some(second_target.into()));
                assert!(!format!("{:?}", proxied.stories.values().next().unwrap().events).contains("secret"));
            }
        }
    }
}

#[test]
fn a_proxy_header_before_and_behind_the_talk() {
    let header = c("PROXY TCP4 198.51.100.23 203.0.113.5 51234 25\r\n");
    for talk in talks() {
        let header = std::slice::from_ref(&header);
        for order in [[header, &talk[..]], [&talk, header]] {
            let dialogue = through(&order, &dialogue(1080, SMTP));
            let proxied = decode(&dialogue, &in_order(&dialogue), &How::default());
            let mut found = codes(&proxied);
            found.sort_unstable();
            assert_eq!(found, ["proxy-header", "proxy-tunnel"]);
            assert_eq!(verbs(&proxied), ["EHLO", "QUIT"]);
            assert_eq!(session(&proxied).proxy_client.map(|(ip, _)| ip.to_string()).as_deref(), Some("198.51.100.23"));
        }
    }
}

#[test]
fn tls_through_a_proxy_is_opened_or_told_to_be_closed() {
    let keys = [testdata().join("tls/keys/rsa2048.pem")];
    let mut plain = dialogues(testdata().join("tls/f-reneg-client-smtp.pcap")).remove(0);
    let clear = decode(&plain, &in_order(&plain), &How { keys: &keys, ..How::default() });
    assert!(!verbs(&clear).is_empty());
    plain.server.set_port(1080);
    for talk in talks() {
        let dialogue = through(&[&talk], &plain);
        let opened = decode(&dialogue, &in_order(&dialogue), &How { keys: &keys, ..How::default() });
        assert_eq!(verbs(&opened), verbs(&clear));
        // Without the key, the port that was asked for says that it is mail.
        let closed = decode(&dialogue, &in_order(&dialogue), &How::default());
        let session = session(&closed);
        assert!(!session.complete && session.undecrypted_bytes > 0);
    }
}

#[test]
fn who_asks_is_the_client_where_the_beginning_is_missing() {
    for talk in talks() {
        // A mail port on the client's side suggests the contrary.
        let mut dialogue = through(&[&talk], &dialogue(40_000, SMTP));
        dialogue.client.set_port(25);
        let without_syn: Vec<Packet> = in_order(&dialogue).into_iter().filter(|p| !p.payload.is_empty()).collect();
        let proxied = decode(&dialogue, &without_syn, &How::default());
        assert_eq!(verbs(&proxied), ["EHLO", "QUIT"]);
        assert_eq!(session(&proxied).client, dialogue.client);
    }
}

#[test]
fn a_talk_alone_is_a_mail_session_only_by_its_port() {
    for talk in talks() {
        let dialogue = Dialogue { turns: talk, ..dialogue(25, SMTP) };
        let proxied = decode(&dialogue, &in_order(&dialogue), &How::default());
        assert_eq!(codes(&proxied), ["proxy-tunnel"]);
        assert_eq!(session(&proxied).protocol, None);
        // Asked elsewhere, without an answer.
        let asked = Dialogue { server: ([10, 0, 0, 2], 1080).into(), turns: dialogue.turns[..1].to_vec(), ..dialogue };
        assert!(decode(&asked, &in_order(&asked), &How::default()).stories.is_empty());
    }
}
