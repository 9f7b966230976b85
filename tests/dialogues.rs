//! The dialogues that a beginner types by hand, on usual and unusual ports; and what must not be taken for mail.

mod common;

use std::net::IpAddr;

use common::packets::{Dialogue, Packet, Random, Shape, Turn, dialogues, packets};
use common::script::{c, codes, decode, dialogue, digest, in_order, only, play, told, verbs};
use common::{How, Story, hex, testdata};
use mailcap::event::{AuthOutcome, MessageOutcome, MessagePart, Outcome, Protocol, Security};
use mailcap::flow::Side;

const SMTP: &str = "
    S: 220 mail.example.test ESMTP
    C: HELO admin
    S: 250 mail.example.test
    C: MAIL FROM:<>
    S: 250 2.1.0 Ok
    C: RCPT TO:<test@example.test>
    S: 250 2.1.5 Ok
    C: DATA
    S: 354 End data with <CR><LF>.<CR><LF>
    C: Subject: by hand
    C:
    C: ..a line with a dot
    C: the end
    C: .
    S: 250 2.0.0 Ok: queued as 1B2C3D
    C: QUIT
    S: 221 2.0.0 Bye";

#[test]
fn smtp_typed_by_hand() {
    let told = told(25, SMTP);
    assert_eq!(verbs(&told), ["HELO", "MAIL", "RCPT", "DATA", "QUIT"]);
    let story = told.stories.values().next().unwrap();
    let message = &story.messages[0];
    assert_eq!(hex(&message.sha256.unwrap()), digest("Subject: by hand\r\n\r\n.a line with a dot\r\nthe end\r\n"));
    assert_eq!(message.mail_from.as_ref().unwrap().0, b"");
    assert_eq!(message.rcpt_to[0].address.0, b"test@example.test");
    assert_eq!(message.rcpt_to[0].accepted, Some(true));
    assert_eq!(message.queue_id.as_ref().unwrap().0, b"1B2C3D");
    assert_eq!(message.outcome, MessageOutcome::Accepted);
    assert!(message.complete);
    let session = story.session();
    assert_eq!((session.outcome, session.complete, session.security), (Outcome::Completed, true, Security::None));
    assert_eq!(session.banner.as_ref().unwrap().0, b"mail.example.test ESMTP");
    assert_eq!((session.commands, session.messages), (5, 1));
}

#[test]
fn mail_is_found_by_content_on_odd_ports() {
    for port in [2025, 1026, 80, 443, 6379] {
        let told = told(port, SMTP);
        assert_eq!(told.report.mail_sessions, 1, "port {port}");
        assert_eq!(told.stories.values().next().unwrap().session().protocol, Some(Protocol::Smtp), "port {port}");
    }
}

#[test]
fn imap_typed_by_hand() {
    let header = "Subject: x\r\n\r\n";
    let script = format!(
        "
    S: * OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready
    C: 1 LOGIN test testpass
    S: 1 OK [CAPABILITY IMAP4rev1 IDLE] Logged in
    C: 2 CAPABILITY
    S: * CAPABILITY IMAP4rev1 IDLE
    S: 2 OK done
    C: 3 SELECT INBOX
    S: * 1 EXISTS
    S: * OK [UIDVALIDITY 1414] ok
    S: 3 OK [READ-WRITE] done
    C: 4 FETCH 1 body[header]
    S: * 1 FETCH (BODY[HEADER] {{{}}}
    S: Subject: x
    S:
    S: )
    S: 4 OK done
    C: 5 FETCH 1 body[]
    S: * 1 FETCH (BODY[] {{20}}
    S: Subject: x
    S:
    S: mail
    S: )
    S: 5 OK done
    C: 6 LOGOUT
    S: * BYE
    S: 6 OK bye",
        header.len()
    );
    let told = told(143, &script);
    assert_eq!(verbs(&told), ["LOGIN", "CAPABILITY", "SELECT", "FETCH", "FETCH", "LOGOUT"]);
    let story = told.stories.values().next().unwrap();
    let parts: Vec<_> = story.messages.iter().map(|m| (m.part, m.size, m.complete, hex(&m.sha256.unwrap()))).collect();
    assert_eq!(
        parts,
        [
            (MessagePart::Headers, 14, true, digest(header)),
            (MessagePart::Full, 20, true, digest("Subject: x\r\n\r\nmail\r\n")),
        ]
    );
    assert_eq!(story.messages[1].uidvalidity, Some(1414));
    assert_eq!(story.messages[1].mailbox.as_ref().unwrap().0, b"INBOX");
    let auth = &story.auth[0];
    assert_eq!(auth.mechanism.0, b"LOGIN-COMMAND");
    assert_eq!((auth.user.as_ref().unwrap().0.as_slice(), auth.outcome), (&b"test"[..], AuthOutcome::Success));
    assert_eq!(story.session().messages, 1);
    let all = format!("{:?}", story.events);
    assert!(!all.contains("testpass"), "the password is in an event");
}

const POP3: &str = "
    S: +OK ready <1896.697170952@mail.example.test>
    C: USER test
    S: +OK
    C: PASS testpass
    S: +OK Logged in.
    C: NOOP
    S: +OK
    C: TOP 1 0
    S: +OK
    S: Subject: y
    S:
    S: .
    C: RETR 1
    S: +OK 20 octets
    S: Subject: y
    S:
    S: ..dot
    S: .
    C: DELE 1
    S: +OK
    C: QUIT
    S: +OK Logging out.";

#[test]
fn pop3_typed_by_hand() {
    let told = told(110, POP3);
    assert_eq!(verbs(&told), ["USER", "PASS", "NOOP", "TOP", "RETR", "DELE", "QUIT"]);
    let story = told.stories.values().next().unwrap();
    let parts: Vec<_> = story.messages.iter().map(|m| (m.part, m.complete, hex(&m.sha256.unwrap()))).collect();
    assert_eq!(
        parts,
        [
            (MessagePart::Headers, true, digest("Subject: y\r\n\r\n")),
            (MessagePart::Full, true, digest("Subject: y\r\n\r\n.dot\r\n")),
        ]
    );
    assert_eq!(story.auth[0].mechanism.0, b"USER");
    assert_eq!(story.session().outcome, Outcome::Completed);
    let all = format!("{:?}", story.events);
    assert!(!all.contains("testpass"), "the password is in an event");
}

#[test]
fn pop3_on_an_odd_port() {
    let told = told(11_000, POP3);
    assert_eq!(told.stories.values().next().unwrap().session().protocol, Some(Protocol::Pop3));
}

#[test]
fn managesieve_on_its_old_port() {
    let script = r#"
    S: "IMPLEMENTATION" "Example"
    S: "SIEVE" "fileinto"
    S: OK "ready"
    C: LOGOUT
    S: OK "bye""#;
    let told = told(2000, script);
    assert_eq!(told.stories.values().next().unwrap().session().protocol, Some(Protocol::Sieve));
    assert_eq!(verbs(&told), ["LOGOUT"]);
}

#[test]
fn lmtp_is_told_from_smtp() {
    let script = "
    S: 220 mail LMTP ready
    C: LHLO me
    S: 250 mail
    C: MAIL FROM:<a@b>
    S: 250 ok
    C: RCPT TO:<c@d>
    C: RCPT TO:<e@d>
    S: 250 ok
    S: 250 ok
    C: DATA
    S: 354 go
    C: Subject: z
    C:
    C: .
    S: 250 2.0.0 <c@d> saved
    S: 452 4.2.2 <e@d> quota
    C: QUIT
    S: 221 bye";
    let told = told(5024, script);
    let story = told.stories.values().next().unwrap();
    assert_eq!(story.session().protocol, Some(Protocol::Lmtp));
    let fates: Vec<_> = story.messages[0].rcpt_to.iter().map(|r| (r.accepted, r.code)).collect();
    assert_eq!(fates, [(Some(true), Some(250)), (Some(false), Some(452))]);
}

#[test]
fn cram_md5_of_the_article() {
    let script = "
    S: 220 mail.server.net ESMTP
    C: EHLO me
    S: 250-mail.server.net
    S: 250 AUTH CRAM-MD5
    C: AUTH CRAM-MD5
    S: 334 PDMzMjE2NDkzMTA1OTExNDQuMTQxNDc5NTExOUBtYWlsLnNlcnZlci5uZXQ+
    C: dGVzdCAxNTU0YTQwNzA1NTgxZjUwZmI1MmNjZDhlZDhjM2EyYg==
    S: 235 2.7.0 Authentication successful
    C: QUIT
    S: 221 bye";
    let told = told(587, script);
    let story = told.stories.values().next().unwrap();
    let auth = &story.auth[0];
    assert_eq!(auth.mechanism.0, b"CRAM-MD5");
    assert_eq!(auth.user.as_ref().unwrap().0, b"test");
    assert_eq!((auth.outcome, auth.verified), (AuthOutcome::Success, None));
    assert_eq!(story.session().user.as_ref().unwrap().0, b"test");
}

/// They share 220, USER and PASS, or +OK with the mail protocols.
#[test]
fn other_protocols_are_not_taken_for_mail() {
    let ftp = "
    S: 220 ProFTPD Server ready.
    C: USER anonymous
    S: 331 Password please
    C: PASS guest
    S: 230 Logged in
    C: QUIT
    S: 221 Goodbye.";
    let nntp = "
    S: 200 news.example.test ready
    C: MODE READER
    S: 200 ok
    C: QUIT
    S: 205 bye";
    let http = "
    C: GET / HTTP/1.1
    C: Host: mail.example.test
    C:
    S: HTTP/1.1 200 OK
    S: Content-Length: 0
    S:";
    let redis = "
    C: *1
    C: $4
    C: PING
    S: +PONG
    C: *3
    C: $3
    C: SET
    S: +OK
    C: QUIT
    S: +OK";
    for (name, port, script) in [("ftp", 21, ftp), ("nntp", 119, nntp), ("http", 8080, http), ("redis", 6379, redis)] {
        let told = told(port, script);
        assert_eq!(told.report.mail_sessions, 0, "{name}");
        assert!(told.stories.is_empty(), "{name}");
    }
}

#[test]
fn another_protocol_on_a_mail_port_is_a_session_that_says_so() {
    let told = told(
        25,
        "
    C: GET / HTTP/1.1
    C: Host: mail.example.test
    C:
    S: HTTP/1.1 400 Bad Request
    S:",
    );
    let session = told.stories.values().next().unwrap().session();
    assert_eq!(session.protocol, None);
    assert!(session.diagnostics.iter().any(|d| d.code.as_str() == "not-mail"), "{:?}", session.diagnostics);
}

#[test]
fn a_lone_refusal_on_a_mail_port_is_a_refused_session() {
    // Exim's answer where an ACL denies the connection, and what overloaded servers say.
    for (port, line) in [(25, "550 Administrative prohibition"), (587, "421 busy"), (24, "421 try again later")] {
        let told = told(port, &format!("S: {line}"));
        let story = told.stories.values().next().unwrap();
        assert_eq!(story.session().protocol, Some(Protocol::Smtp), "{line}");
        assert_eq!(story.session().outcome, Outcome::Refused, "{line}");
        assert_eq!(story.replies.len(), 1, "{line}");
        assert!(story.session().diagnostics.is_empty(), "{:?}", story.session().diagnostics);
    }
    // The port alone does not make mail of it.
    assert!(told(9999, "S: 421 busy").stories.is_empty());
}

#[test]
fn where_nothing_was_said_no_other_protocol_was_spoken() {
    let told = told(25, "");
    let session = told.stories.values().next().unwrap().session();
    assert_eq!((session.protocol, session.outcome), (None, Outcome::NoBanner));
    assert!(session.diagnostics.is_empty(), "{:?}", session.diagnostics);
}

const PROXY: &str = "C: PROXY TCP4 198.51.100.23 203.0.113.5 51234 25\n";

#[test]
fn a_proxy_header_names_the_client_of_any_protocol() {
    let named = Some(("198.51.100.23".parse().unwrap(), Some(51234)));
    let scripts = [
        (Protocol::Smtp, "S: 220 x ready\nC: EHLO PROXY\nS: 250 x\nC: PROXY\nS: 500 what\nC: QUIT\nS: 221 bye"),
        (Protocol::Imap, "S: * OK hi\nC: P NOOP\nS: P OK\nC: PR LOGOUT\nS: * BYE\nS: PR OK"),
        (Protocol::Pop3, "S: +OK\nC: CAPA\nS: +OK\nS: .\nC: QUIT\nS: +OK"),
        (Protocol::Sieve, "S: \"IMPLEMENTATION\" \"x\"\nS: \"SIEVE\" \"x\"\nS: OK\nC: LOGOUT\nS: OK"),
    ];
    for (protocol, script) in scripts {
        let plain = told(9999, script);
        let proxied = told(9999, &(PROXY.to_owned() + script));
        let session = proxied.stories.values().next().unwrap().session();
        assert_eq!((session.protocol, session.proxy_client), (Some(protocol), named));
        assert_eq!(codes(&proxied), ["proxy-header"], "{protocol:?}");
        assert_eq!(verbs(&proxied), verbs(&plain), "{protocol:?}");
        assert_eq!(plain.stories.values().next().unwrap().session().proxy_client, None);
    }
    // Lines that look like a header at first.
    let told = told(25, "S: 220 x\nC: PROXIMATE\nS: 500 what\nC: P\nS: 500 what");
    assert_eq!((verbs(&told), codes(&told)), (vec!["PROXIMATE".to_owned(), "P".to_owned()], vec![]));
}

#[test]
fn a_proxy_header_in_front_of_tls() {
    let keys = [testdata().join("tls/keys/rsa2048.pem")];
    let mut dialogue = dialogues(testdata().join("tls/f-reneg-client-smtp.pcap")).remove(0);
    let how = How { keys: &keys, ..How::default() };
    let plain = decode(&dialogue, &in_order(&dialogue), &how);
    let hello = dialogue.turns.iter_mut().find(|t| t.side == Side::Initiator).unwrap();
    hello.bytes.splice(..0, b"PROXY TCP6 2001:db8::1 2001:db8::2 4000 465\r\n".iter().copied());
    let proxied = decode(&dialogue, &in_order(&dialogue), &how);
    assert!(!verbs(&plain).is_empty());
    assert_eq!(verbs(&proxied), verbs(&plain));
    let session = proxied.stories.values().next().unwrap().session();
    assert_eq!(session.proxy_client, Some(("2001:db8::1".parse().unwrap(), Some(4000))));
}

type Named = Option<(IpAddr, Option<u16>)>;

/// Headers of both versions, and whom they name.
fn proxy_headers() -> Vec<(Vec<u8>, Named)> {
    let v2 = |command: u8, family: u8, body: &[u8]| {
        let len = (body.len() as u16).to_be_bytes();
        [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x20 | command, family], &len, body].concat()
    };
    let v4: Vec<u8> = [&[198, 51, 100, 23, 203, 0, 113, 5][..], &51234u16.to_be_bytes(), &[0, 25]].concat();
    let v6: Vec<u8> = [&[0x20; 32][..], &4000u16.to_be_bytes(), &[3, 0xe1]].concat();
    // Behind the addresses: ALPN, a checksum, what was TLS in front of the proxy, padding.
    let more = b"\x01\0\x02h2\x03\0\x04abcd\x20\0\x05\x07\0\0\0\0\x04\0\x03\0\0\0";
    let named = |ip: &str, port| Some((ip.parse().unwrap(), Some(port)));
    vec![
        (b"PROXY TCP4 198.51.100.23 203.0.113.5 51234 25\r\n".to_vec(), named("198.51.100.23", 51234)),
        (b"PROXY TCP6 2020::1 2001:db8::2 4000 465\r\n".to_vec(), named("2020::1", 4000)),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (v2(1, 0x11, &v4), named("198.51.100.23", 51234)),
        (v2(1, 0x21, &v6), named("2020:2020:2020:2020:2020:2020:2020:2020", 4000)),
        (v2(1, 0x11, &[&v4[..], more].concat()), named("198.51.100.23", 51234)),
        (v2(0, 0, &[]), None),
        (v2(0, 0x11, &v4), None),
        // A Unix socket.
        (v2(1, 0x31, &[b'/'; 216]), None),
    ]
}

#[test]
fn a_proxy_header_in_any_pieces_in_front_of_anything() {
    let keys = [testdata().join("tls/keys/rsa2048.pem"), testdata().join("servers/keys/server.key")];
    let how = How { keys: &keys, ..How::default() };
    let captures = ["servers/pop3-full.pcap", "servers/imap-full-starttls-rsa.pcap", "tls/f-reneg-client-smtp.pcap"];
    let mut all: Vec<Dialogue> = captures.iter().map(|file| dialogues(testdata().join(file)).remove(0)).collect();
    all.push(dialogue(2025, SMTP));
    for mut dialogue in all {
        let plain = decode(&dialogue, &in_order(&dialogue), &how);
        let before = dialogue.turns.clone();
        for (header, named) in proxy_headers() {
            for segment in [1, 13, 1400] {
                dialogue.turns = before.clone();
                match dialogue.turns.first_mut() {
                    Some(first) if first.side == Side::Initiator => drop(first.bytes.splice(..0, header.clone())),
                    _ => dialogue.turns.insert(0, Turn { side: Side::Initiator, bytes: header.clone() }),
                }
                let list = packets(&dialogue, &Shape { segment, isn: [7, 99] }, &mut Random::new(1));
                let proxied = decode(&dialogue, &list, &how);
                assert_eq!(verbs(&proxied), verbs(&plain), "{:?}", String::from_utf8_lossy(&header));
                let (with, without) = (only(&proxied).session(), only(&plain).session());
                assert_eq!((with.proxy_client, with.complete), (named, without.complete));
                assert_eq!((with.protocol, with.security), (without.protocol, without.security));
                assert_eq!(codes(&proxied), [&["proxy-header"], &codes(&plain)[..]].concat());
            }
        }
    }
}

#[test]
fn a_proxy_header_that_is_cut_short_says_so_and_is_no_command() {
    for (header, _) in proxy_headers() {
        for left in [14, header.len() - 1] {
            let cut = play(25, &[c(&header[..left.min(header.len() - 1)])]);
            assert_eq!((verbs(&cut), codes(&cut)), (vec![], vec!["proxy-header"]), "{header:?} {left}");
            assert_eq!(only(&cut).session().proxy_client, None);
        }
        // One alone, as of a health check.
        let alone = play(25, &[c(&header)]);
        assert_eq!((verbs(&alone), codes(&alone)), (vec![], vec!["proxy-header"]), "{header:?}");
    }
}

#[test]
fn nothing_is_assumed_where_both_sides_were_captured() {
    let told = told(25, SMTP);
    let story = told.stories.values().next().unwrap();
    assert!(story.replies.iter().all(|r| !r.assumed) && story.commands.iter().all(|c| !c.assumed));
    assert_eq!(codes(&told), Vec::<&str>::new());
}

#[test]
fn one_side_alone_is_assumed_and_said_once() {
    let dialogue = dialogue(25, SMTP);
    for side in [Side::Initiator, Side::Responder] {
        let list: Vec<Packet> = in_order(&dialogue).into_iter().filter(|p| p.side == side).collect();
        let told = decode(&dialogue, &list, &How::default());
        let story = told.stories.values().next().unwrap();
        assert!(story.replies.iter().all(|r| r.assumed) && story.commands.iter().all(|c| c.assumed));
        assert_eq!(story.replies.len() + story.commands.len(), if side == Side::Initiator { 5 } else { 7 });
        assert_eq!(codes(&told), ["one-sided"], "{side:?}");
        assert!(!story.session().complete);
    }
}

#[test]
fn a_capture_that_begins_in_the_middle_says_so_once() {
    let dialogue = dialogue(25, SMTP);
    let told = decode(&dialogue, &in_order(&dialogue)[3..], &How::default());
    assert_eq!(codes(&told), ["mid-stream"]);
    assert_eq!(verbs(&told), ["HELO", "MAIL", "RCPT", "DATA", "QUIT"]);
}

#[test]
fn any_reply_in_the_middle_is_no_greeting() {
    let pop3 = "S: -ERR Message is deleted.\nC: RSET\nS: +OK\nC: QUIT\nS: +OK bye\n";
    let imap = "S: * OK Still here\nC: DONE\nS: 7 OK Idle completed\nC: 8 LOGOUT\nS: * BYE\nS: 8 OK\n";
    for (port, script) in [(110, pop3), (143, imap)] {
        let dialogue = dialogue(port, script);
        let told = decode(&dialogue, &in_order(&dialogue)[3..], &How::default());
        assert_eq!((codes(&told)[0], told.report.incomplete), ("mid-stream", 1));
    }
}

/// A 235, or a challenge and what followed it, are enough; that a LOGIN or a PASS succeeded, the server alone does not say.
#[test]
fn the_server_alone_tells_of_authentications() {
    let mut recognised = 0;
    for (name, needs_challenge) in [("smtp-auth-all", false), ("pop3-auth-all", true), ("sasl-cyrus", true)] {
        for dialogue in dialogues(testdata().join(format!("servers/{name}.pcap"))) {
            let mut list = in_order(&dialogue);
            let both = decode(&dialogue, &list, &How::default());
            list.retain(|packet| packet.side == Side::Responder);
            let told = decode(&dialogue, &list, &How::default());
            let place = format!("{name}, {}", dialogue.client);
            let (Some(both), Some(story)) = (both.stories.values().next(), told.stories.values().next()) else {
                panic!("{place}")
            };
            let challenged =
                both.replies.iter().any(|r| matches!(r.status.0.as_slice(), b"+" | b"334") && !r.text.is_empty());
            let outcomes = |story: &Story| {
                let told = story.auth.iter().map(|a| a.outcome);
                told.filter(|o| *o == AuthOutcome::Success).count()
            };
            if needs_challenge && !challenged {
                assert!(outcomes(story) <= outcomes(both), "{place}");
            } else if !story.session().tls.is_empty() {
                continue;
            } else {
                assert_eq!(outcomes(story), outcomes(both), "{place}");
            }
            for auth in &story.auth {
                assert!(auth.assumed && auth.user.is_none() && auth.secret.is_none(), "{place}: {auth:?}");
                let known = both.auth.iter().any(|a| a.mechanism == auth.mechanism);
                assert!(known || auth.mechanism.is_empty(), "{place}: {auth:?}");
                recognised += u32::from(!auth.mechanism.is_empty());
            }
        }
    }
    assert!(recognised > 10, "{recognised}");
}

#[test]
fn a_client_that_talks_first_is_not_one_sided() {
    let told =
        told(2525, &("C: EHLO hasty\nS: 220 x ESMTP\nS: 250 x\n".to_owned() + &SMTP[SMTP.find("C: MAIL").unwrap()..]));
    let story = told.stories.values().next().unwrap();
    assert_eq!(verbs(&told), ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]);
    assert!(story.commands.iter().all(|c| !c.assumed));
    assert_eq!(story.session().banner.as_ref().unwrap().0, b"x ESMTP");
    assert_eq!(story.replies[1].command, Some(1), "250 answers the EHLO that came before the greeting");
    assert_eq!((codes(&told), story.session().outcome), (vec!["early-talker"], Outcome::Completed));
}

#[test]
fn a_reset_aborts_the_message_under_way() {
    let mut dialogue = dialogue(25, SMTP);
    let data = dialogue.turns.iter_mut().find(|t| t.bytes.starts_with(b"Subject")).unwrap();
    data.bytes.truncate(20);
    let at = dialogue.turns.iter().position(|t| t.bytes.starts_with(b"Subject")).unwrap();
    dialogue.turns.truncate(at + 1);
    let mut list = in_order(&dialogue);
    list.truncate(list.len() - 3);
    let last = list.last().unwrap().clone();
    let seq = last.seq.wrapping_add(last.payload.len() as u32);
    list.push(Packet { seq, rst: true, payload: Vec::new(), ..last });
    let told = decode(&dialogue, &list, &How::default());
    let story = told.stories.values().next().unwrap();
    assert_eq!(story.session().end_reason, mailcap::event::EndReason::Rst);
    assert_eq!((story.messages[0].outcome, story.messages[0].complete), (MessageOutcome::Aborted, false));
    assert_eq!(story.session().outcome, Outcome::Aborted);
}

#[test]
fn tls_of_something_else_has_its_addresses_and_is_no_mail() {
    let mut dialogue = dialogues(testdata().join("tls/f-reneg-client-smtp.pcap")).remove(0);
    dialogue.server.set_port(8443);
    let list = in_order(&dialogue);
    let told = decode(&dialogue, &list, &How { all_tls: true, ..How::default() });
    assert_eq!((told.report.mail_sessions, told.report.incomplete), (0, 0));
    let story = told.stories.values().next().unwrap();
    let session = story.session();
    assert_eq!((session.mail, session.protocol, session.server.port()), (false, None, 8443));
    assert_eq!(session.tls, story.tls);
    assert!(!session.tls.is_empty() && told.report.handshakes == session.tls.len() as u64);
    assert!(decode(&dialogue, &list, &How::default()).stories.is_empty());
}

/// RFC 4954 §4: another AUTH is refused, and changes nothing. `AGpvZQBwdw==` is joe, `AGV2ZQBwdw==` eve.
#[test]
fn the_user_is_who_got_in_and_else_who_tried_last() {
    let scripts = [
        (25, "S: 220 x\nC: EHLO x\nS: 250-x\nS: 250 AUTH PLAIN\n", "C: AUTH PLAIN {}\nS: 535 no\n", "S: 235 ok\n"),
        (110, "S: +OK POP3\n", "C: AUTH PLAIN {}\nS: -ERR no\n", "S: +OK in\n"),
        (143, "S: * OK IMAP\n", "C: a{} AUTHENTICATE PLAIN {}\nS: a{} NO no\n", "S: a{} OK in\n"),
        (
            4190,
            "S: \"IMPLEMENTATION\" \"x\"\nS: \"SASL\" \"PLAIN\"\nS: OK\n",
            "C: AUTHENTICATE \"PLAIN\" \"{}\"\nS: NO \"no\"\n",
            "S: OK \"in\"\n",
        ),
    ];
    for (port, begin, refused, accepted) in scripts {
        let attempt = |number: u32, who: &str, ok: bool| {
            let refused = refused.replace("a{}", &format!("a{number}")).replace("{}", who);
            let (command, refusal) = refused.split_at(refused.find("S:").unwrap());
            let reply = if ok { accepted.replace("a{}", &format!("a{number}")) } else { refusal.to_owned() };
            format!("{command}{reply}")
        };
        let (joe, eve) = ("AGpvZQBwdw==", "AGV2ZQBwdw==");
        for (attempts, user) in [
            (vec![attempt(1, joe, true), attempt(2, eve, false)], "joe"),
            (vec![attempt(1, joe, false), attempt(2, eve, false)], "eve"),
            (vec![attempt(1, joe, false), attempt(2, eve, true)], "eve"),
        ] {
            let told = told(port, &format!("{begin}{}", attempts.concat()));
            let session = told.stories.values().next().unwrap().session();
            assert_eq!(session.user, Some(user.into()), "port {port}: {attempts:?}");
        }
    }
}

/// Long after the login, `Mailbox` is a word: a session whose last error masks it where the reply does not would tell that it
/// is alice's password (`AGFsaWNlAE1haWxib3g=`).
#[test]
fn what_no_reply_hides_is_not_hidden_in_the_last_error() {
    let noops = "C: NOOP\nS: 250 ok\n".repeat(20);
    let told = told(
        25,
        &format!(
            "S: 220 x\nC: EHLO x\nS: 250-x\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AGFsaWNlAE1haWxib3g=\nS: 235 ok\n{noops}\
             C: VRFY bob\nS: 550 5.1.1 Mailbox unavailable\n"
        ),
    );
    assert_eq!(only(&told).replies.last().unwrap().text, "5.1.1 Mailbox unavailable".into());
    assert_eq!(only(&told).session().last_error, Some("550 5.1.1 Mailbox unavailable".into()));
}

/// The server repeats a password before it was seen (`AGFsaWNlAFMzY3IudFB3OXg=`): the summary of the session is told later.
#[test]
fn a_password_that_is_known_later_is_hidden_in_the_last_error() {
    let told = told(
        25,
        "S: 220 x\nC: EHLO x\nS: 250-x\nS: 250 AUTH PLAIN\nC: HELP\nS: 500 bad S3cr.tPw9x\n\
         C: AUTH PLAIN AGFsaWNlAFMzY3IudFB3OXg=\nS: 235 ok\n",
    );
    assert_eq!(only(&told).session().last_error, Some("500 bad ***".into()));
}
