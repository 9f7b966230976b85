//! What is said in the clear behind a handshake that failed, or when TLS is over. The TLS is OpenSSL's, from the
//! captures. `testdata/servers/starttls-failed` is what Cyrus and Exim really said.

mod common;

use common::essence::essence;
use common::packets::{Dialogue, Turn, dialogues, disturbed};
use common::script::{c, codes, decode, digest, flights, in_order, only, play, s};
use common::{How, Story, Told, testdata};
use mailcap::event::{EventBody, MessageOutcome, Outcome, Protocol, Security};
use mailcap::flow::Side;
use mailcap::tls::Reason;

/// A connection in which the handshake fails, up to its alert.
fn failed() -> Dialogue {
    dialogues(testdata().join("tls/f-handshake-failure-smtp-starttls.pcap")).remove(0)
}

fn with(mut dialogue: Dialogue, more: impl IntoIterator<Item = Turn>) -> Dialogue {
    dialogue.turns.extend(more);
    dialogue
}

fn is_tls(turn: &Turn) -> bool {
    matches!(turn.bytes.first(), Some(0x14..=0x17))
}

/// The TLS alone.
fn tls_of(dialogue: Dialogue) -> Vec<Turn> {
    dialogue.turns.into_iter().skip_while(|turn| !is_tls(turn)).collect()
}

fn tell(dialogue: &Dialogue) -> Told {
    let keys = [testdata().join("servers/keys/server.key")];
    let how = How { keys: &keys, ..How::default() };
    let told = decode(dialogue, &in_order(dialogue), &how);
    let story = |told: &Told| only(told).events.iter().filter_map(essence).collect::<Vec<_>>();
    for seed in 1..30 {
        let other = decode(dialogue, &disturbed(dialogue, seed), &how);
        assert_eq!(story(&other), story(&told), "cut otherwise, seed {seed}");
    }
    told
}

/// What was said behind STARTTLS's answer, as verbs and statuses.
fn behind(story: &Story, verb: &str) -> (Vec<String>, Vec<String>) {
    let verbs = story.commands.iter().map(|c| c.verb.to_str_lossy().into_owned());
    let replies = story.replies.iter().map(|r| r.text.to_str_lossy().into_owned());
    let asked = story.commands.iter().take_while(|c| c.verb.0 != verb.as_bytes()).count();
    (verbs.skip(asked + 1).collect(), replies.skip(asked + 2).collect())
}

#[test]
fn refused_after_the_alert() {
    let dialogue = with(
        failed(),
        [
            c("MAIL FROM:<a@example.com>\r\n"),
            s("554 Security failure\r\n"),
            c("QUIT\r\n"),
            s("221 2.0.0 closing connection\r\n"),
        ],
    );
    let told = tell(&dialogue);
    let story = only(&told);
    let session = story.session();
    assert_eq!(behind(story, "STARTTLS").0, ["MAIL", "QUIT"]);
    assert_eq!(behind(story, "STARTTLS").1, ["Security failure", "2.0.0 closing connection"]);
    assert!(story.commands.iter().all(|c| !c.tls && !c.injected));
    assert_eq!(story.tls[0].reason, Some(Reason::HandshakeFailed));
    assert_eq!((session.security, session.outcome), (Security::None, Outcome::TlsFailed));
    assert!(session.complete && session.undecrypted_bytes == 0);
    assert_eq!(session.last_error.as_ref().unwrap().0, b"554 Security failure");
    let codes = codes(&told);
    assert!(codes.contains(&"plaintext-after-starttls") && !codes.contains(&"bad-record"), "{codes:?}");
    let account = session.account;
    let sent: usize = dialogue.turns.iter().map(|turn| turn.bytes.len()).sum();
    assert_eq!(account.decoded + account.overhead, sent as u64);
}

#[test]
fn served_all_the_same() {
    let text = "Subject: in the clear\r\n\r\nhello\r\n";
    let dialogue = with(
        failed(),
        [
            c("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"),
            s("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go on\r\n"),
            c(format!("{text}.\r\nQUIT\r\n")),
            s("250 2.0.0 Ok: queued as 4711\r\n221 2.0.0 Bye\r\n"),
        ],
    );
    let told = tell(&dialogue);
    let story = only(&told);
    let [message] = &story.messages[..] else { panic!("{:?}", story.messages) };
    assert_eq!((message.outcome, message.complete, message.tls), (MessageOutcome::Accepted, true, false));
    assert_eq!(common::hex(&message.sha256.unwrap()), digest(text));
    assert_eq!(story.session().outcome, Outcome::Completed);
}

#[test]
fn only_the_server_goes_on() {
    let story = tell(&with(failed(), [s("454 4.7.0 TLS not available\r\n")]));
    let story = only(&story);
    assert_eq!(behind(story, "STARTTLS").1, ["4.7.0 TLS not available"]);
    assert!(story.session().complete);
    assert_eq!(story.session().outcome, Outcome::TlsFailed);
}

/// The server did not mean its 220, and answers the client's hello in words.
#[test]
fn the_hello_is_answered_in_the_clear() {
    let mut dialogue = failed();
    let hello = dialogue.turns.iter().position(|turn| turn.bytes.first() == Some(&0x16)).unwrap();
    dialogue.turns.truncate(hello + 1);
    let told = tell(&with(dialogue, [s("500 5.5.1 Command unrecognized\r\n"), c("QUIT\r\n"), s("221 Bye\r\n")]));
    let story = only(&told);
    assert_eq!(
        behind(story, "STARTTLS"),
        (vec!["QUIT".into()], vec!["5.5.1 Command unrecognized".into(), "Bye".into()])
    );
    assert_eq!(story.tls[0].reason, Some(Reason::HandshakeFailed));
}

/// A server that does not speak TLS where TLS is due.
#[test]
fn the_port_of_tls_speaks_in_the_clear() {
    for (port, greeting, protocol) in [
        (465, "220 mail.example.test ESMTP\r\n", Protocol::Smtp),
        (993, "* OK IMAP4rev1 ready\r\n", Protocol::Imap),
        (995, "+OK POP3 ready\r\n", Protocol::Pop3),
        // Its greeting alone tells.
        (2525, "220 mx.example.net ESMTP Postfix\r\n", Protocol::Smtp),
        (1143, "* OK IMAP4rev1 ready\r\n", Protocol::Imap),
        (10110, "+OK Dovecot (Debian) ready.\r\n", Protocol::Pop3),
    ] {
        let mut dialogue = failed();
        dialogue.server.set_port(port);
        dialogue.turns = tls_of(failed());
        dialogue.turns.truncate(1);
        let told = tell(&with(dialogue, [s(greeting)]));
        let session = only(&told).session();
        assert_eq!((session.protocol, session.security), (Some(protocol), Security::None), "{port}");
        assert!(session.banner.as_ref().is_some_and(|banner| greeting.contains(&*banner.to_str_lossy())), "{port}");
        assert_eq!(session.outcome, Outcome::TlsFailed, "{port}");
        assert!(session.complete, "{port}");
        // No STARTTLS was ever said.
        assert_eq!(codes(&told), ["tls-mismatch"], "{port}");
        let steps = only(&told).tls[0].steps.join("\n");
        assert!(steps.contains("The server answered in the clear") && steps.contains("STARTTLS"), "{steps}");
    }
}

/// What OpenSSL's servers say to a client in the clear, and what others do.
#[test]
fn in_the_clear_to_a_port_of_tls() {
    let alert = s([0x15, 3, 1, 0, 2, 2, 70]);
    for (port, line, greeting) in [
        (465, "EHLO client.test\r\n", "220 mail.test ESMTP\r\n"),
        (993, "a1 CAPABILITY\r\n", "* OK IMAP4rev1 ready\r\n"),
        (995, "CAPA\r\n", "+OK ready\r\n"),
    ] {
        for answer in [vec![c(line), alert.clone()], vec![c(line)]] {
            let told = play(port, &answer);
            let session = only(&told).session();
            assert!(codes(&told).contains(&"tls-mismatch"), "{port}: {:?}", codes(&told));
            assert!(session.complete && session.account.skipped == 0, "{port}");
        }
        // Behind it OpenSSL says goodbye, in a packet of its own or not.
        let both = [0x15, 3, 1, 0, 2, 2, 70, 0x15, 3, 1, 0, 2, 1, 0];
        for at in [1, 3, 7, 10, 14] {
            let (one, two) = both.split_at(at);
            let told = play(port, &[c(line), s(one), s(two)]);
            assert_eq!(codes(&told).iter().filter(|code| **code == "tls-mismatch").count(), 1, "{port} {at}");
            assert!(only(&told).session().complete && only(&told).session().account.skipped == 0, "{port} {at}");
        }
        // On the port of STARTTLS a server may be out of order; one that greets has no part in this.
        for (port, turns) in [(587, vec![c(line)]), (port, vec![s(greeting), c(line), alert.clone()])] {
            assert!(!codes(&play(port, &turns)).contains(&"tls-mismatch"), "{port}");
        }
    }
}

/// What Dovecot says where a client is set up for TLS on the port of STARTTLS.
#[test]
fn imaps_on_the_port_of_imap_is_answered_bad() {
    let mut dialogue = failed();
    let hello = tls_of(failed()).into_iter().take(1);
    dialogue.server.set_port(143);
    dialogue.turns = vec![s("* OK [CAPABILITY IMAP4rev1 STARTTLS] Dovecot ready.\r\n")];
    let told = tell(&with(dialogue, hello.chain([s("* BAD Error in IMAP command received by server.\r\n")])));
    let session = only(&told).session();
    assert_eq!((session.security, session.outcome), (Security::None, Outcome::TlsFailed));
    assert_eq!(session.last_error.as_ref().unwrap().0, b"BAD Error in IMAP command received by server.");
    assert_eq!(codes(&told), ["unannounced-tls", "tls-mismatch"]);
    assert!(session.complete && session.undecrypted_bytes == 0);
}

#[test]
fn imap_as_cyrus_goes_on() {
    let mut dialogue = failed();
    let tls = tls_of(failed());
    dialogue.server.set_port(143);
    dialogue.turns = vec![
        s("* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"),
        c("a1 STARTTLS\r\n"),
        s("a1 OK Begin TLS negotiation now\r\n"),
    ];
    dialogue.turns.extend(tls);
    let more = [
        s("a1 NO Starttls negotiation failed\r\n"),
        c("a2 LOGIN joe secret\r\n"),
        s("a2 OK User logged in\r\n"),
        c("a3 LOGOUT\r\n"),
        s("* BYE LOGOUT received\r\na3 OK Completed\r\n"),
    ];
    let told = tell(&with(dialogue, more));
    let story = only(&told);
    assert_eq!(behind(story, "STARTTLS").0, ["LOGIN", "LOGOUT"]);
    assert_eq!(story.auth.len(), 1);
    assert!(codes(&told).contains(&"plaintext-password"));
    assert_eq!(story.session().outcome, Outcome::Completed);
}

#[test]
fn pop3_and_sieve_go_on() {
    let tls = tls_of(failed());
    let scripts = [
        (110, "+OK ready\r\n", "STLS\r\n", "+OK go\r\n", "-ERR TLS failed\r\n", "QUIT\r\n", "+OK bye\r\n"),
        (
            4190,
            "\"IMPLEMENTATION\" \"x\"\r\n\"STARTTLS\"\r\nOK\r\n",
            "STARTTLS\r\n",
            "OK\r\n",
            "NO \"TLS failed\"\r\n",
            "LOGOUT\r\n",
            "OK\r\n",
        ),
    ];
    for (port, greeting, asked, answer, refusal, farewell, bye) in scripts {
        let mut dialogue = failed();
        dialogue.server.set_port(port);
        dialogue.turns = vec![s(greeting), c(asked), s(answer)];
        dialogue.turns.extend(tls.clone());
        let told = tell(&with(dialogue, [s(refusal), c(farewell), s(bye)]));
        let story = only(&told);
        let verb = farewell.trim_end().as_bytes();
        assert!(story.commands.iter().any(|c| c.verb.0 == verb && !c.tls), "{port}: {:?}", story.commands);
        assert!(story.session().complete, "{port}");
    }
}

/// STARTTLS once more, and now it succeeds.
#[test]
fn tls_at_the_second_try() {
    let good = dialogues(testdata().join("servers/rsa12-smtp-starttls.pcap")).remove(0);
    let asked = good.turns.iter().position(is_tls).unwrap();
    let dialogue = with(
        failed(),
        [c("NOOP\r\n"), s("250 Ok\r\n"), c("STARTTLS\r\n"), s("220 Ready\r\n")].into_iter().chain(tls_of(good.clone())),
    );
    let told = tell(&dialogue);
    let story = only(&told);
    assert_eq!(story.tls.iter().map(|t| (t.handshake, t.completed)).collect::<Vec<_>>(), [(0, false), (1, true)]);
    assert_eq!(story.session().security, Security::StartTls);
    let alone = decode(
        &Dialogue { turns: good.turns[..asked].iter().cloned().chain(tls_of(good.clone())).collect(), ..good.clone() },
        &in_order(&good),
        &How { keys: &[testdata().join("servers/keys/server.key")], ..How::default() },
    );
    let inside = |story: &Story| story.commands.iter().filter(|c| c.tls).cloned().collect::<Vec<_>>();
    assert!(!inside(story).is_empty());
    assert_eq!(inside(story), inside(only(&alone)));
}

/// A client that does not like the certificate of a server that sends it in several packets.
fn refused_by_the_client() -> Dialogue {
    let mut dialogue = dialogues(testdata().join("servers/rsa12-smtp-starttls.pcap")).remove(0);
    let hello = dialogue.turns.iter().position(is_tls).unwrap();
    dialogue.turns.truncate(hello + 2);
    let flight = dialogue.turns.pop().unwrap().bytes;
    with(dialogue, flight.chunks(500).map(s).chain([c([0x15, 3, 3, 0, 2, 2, 42])]))
}

/// One packet of the TLS that fails is lost, whichever. What follows was told as TLS that stayed closed.
#[test]
fn what_goes_on_in_the_clear_is_told_also_behind_a_packet_of_tls_that_is_lost() {
    let rest = [
        c("MAIL FROM:<a@example.com>\r\n"),
        s("554 Security failure\r\n"),
        c("QUIT\r\n"),
        s("221 2.0.0 closing connection\r\n"),
    ];
    for dialogue in [failed(), refused_by_the_client()] {
        let dialogue = with(dialogue, rest.clone());
        let first = dialogue.turns.iter().position(is_tls).unwrap();
        let last = dialogue.turns.len() - rest.len() - 1;
        assert!(first < last);
        for at in first..=last {
            let mut list = flights(&dialogue);
            // Behind the three packets of TCP's handshake.
            list.remove(3 + at);
            let told = decode(&dialogue, &list, &How::default());
            let story = only(&told);
            assert_eq!(behind(story, "STARTTLS").0, ["MAIL", "QUIT"], "{at}");
            assert_eq!(behind(story, "STARTTLS").1, ["Security failure", "2.0.0 closing connection"], "{at}");
            assert!(story.commands.iter().all(|c| !c.tls && !c.injected), "{at}");
            let session = story.session();
            assert_eq!((session.security, session.complete), (Security::None, false), "{at}");
            let bytes = |turns: &[Turn]| turns.iter().map(|turn| turn.bytes.len() as u64).sum::<u64>();
            let lost = bytes(&dialogue.turns[at..=at]);
            let (account, closed) = (session.account, session.undecrypted_bytes);
            assert!(closed <= bytes(&dialogue.turns[first..=last]) - lost, "{at}: {closed}");
            assert_eq!(account.decoded + account.overhead + closed, bytes(&dialogue.turns) - lost, "{at}");
            let codes = codes(&told);
            assert!(codes.contains(&"plaintext-after-starttls") && !codes.contains(&"bad-record"), "{at}: {codes:?}");
            let steps = story.tls.last().map(|tls| tls.steps.join("\n")).unwrap_or_default();
            assert!(!steps.contains("The server answered in the clear"), "{at}: {steps}");
        }
    }
}

/// The server has gone on in the clear, and of the client, which is about to, a packet is lost.
#[test]
fn a_packet_lost_amid_what_goes_on_in_the_clear_makes_no_tls_of_it() {
    let more = [
        s("454 4.7.0 TLS not available\r\n"),
        c("MAIL FROM:<a@example.com>\r\n"),
        s("250 2.1.0 Ok\r\n"),
        c("QUIT\r\n"),
        s("221 2.0.0 Bye\r\n"),
    ];
    let dialogue = with(failed(), more);
    let mut list = flights(&dialogue);
    let lost = list.iter().position(|packet| packet.payload.starts_with(b"MAIL")).unwrap();
    let len = list.remove(lost).payload.len() as u64;
    let told = decode(&dialogue, &list, &How::default());
    let story = only(&told);
    assert_eq!(behind(story, "STARTTLS").0, ["QUIT"]);
    assert_eq!(behind(story, "STARTTLS").1, ["4.7.0 TLS not available", "2.1.0 Ok", "2.0.0 Bye"]);
    let session = story.session();
    assert_eq!((session.undecrypted_bytes, session.gap_bytes), (0, len));
    assert!(codes(&told).contains(&"plaintext-after-starttls"));
}

#[test]
fn garbage_is_no_dialogue() {
    for garbage in [&b"hello out there\r\n"[..], b"454 \x01\x02\x03\r\n", b"no line end", b"\x00\x00\x00\x00\x00\x00\n"]
    {
        let story = tell(&with(failed(), [s(garbage)]));
        let session = only(&story).session();
        assert!(!session.complete, "{garbage:?}");
        assert!(!codes(&story).contains(&"plaintext-after-starttls"), "{garbage:?}");
    }
}

/// A forged line amid a handshake that succeeds.
#[test]
fn a_line_amid_a_handshake_is_not_the_end_of_tls() {
    let good = dialogues(testdata().join("servers/rsa12-smtp-starttls.pcap")).remove(0);
    let mut forged = good.clone();
    let at = forged.turns.iter().position(|turn| turn.side == Side::Responder && is_tls(turn)).unwrap();
    let turn = &mut forged.turns[at];
    turn.bytes = [b"454 4.7.0 TLS failed\r\n", &turn.bytes[..]].concat();
    let told = tell(&forged);
    assert!(!codes(&told).contains(&"plaintext-after-starttls"));
    assert_eq!(only(&told).session().security, Security::StartTls);
    assert!(!only(&told).session().complete);
}

/// As Exim does when a client closes without a word.
#[test]
fn a_farewell_in_the_clear_when_the_client_has_hung_up() {
    let mut dialogue = dialogues(testdata().join("servers/rsa12-smtp-starttls.pcap")).remove(0);
    let farewell = "421 mail.example.test lost input connection\r\n";
    dialogue.turns.push(s(farewell));
    let told = tell(&dialogue);
    let story = only(&told);
    let last = story.replies.last().unwrap();
    assert_eq!((last.code, last.tls), (Some(421), false));
    assert!(story.session().complete && !codes(&told).contains(&"bad-record"));
    assert_eq!((story.session().security, story.session().tls.len()), (Security::StartTls, 1));
    assert!(story.tls[0].completed);
    // Amid TLS, it is none.
    let at = dialogue.turns.iter().rposition(|turn| turn.side == Side::Responder && is_tls(turn)).unwrap();
    dialogue.turns.pop();
    dialogue.turns[at].bytes.splice(0..0, farewell.bytes());
    let told = tell(&dialogue);
    assert!(codes(&told).contains(&"bad-record") && !codes(&told).contains(&"plaintext-after-starttls"));
}

/// As GnuTLS's clients do with a certificate that they do not trust: no alert tells, and nothing was sent behind the
/// handshake.
#[test]
fn who_hangs_up_behind_the_handshake_without_a_word_has_completed_nothing() {
    let file = testdata().join("servers/tls-refused-in-silence.pcap");
    for dialogue in dialogues(file) {
        let told = tell(&dialogue);
        let session = only(&told).session();
        assert_eq!((session.outcome, session.tls[0].completed), (Outcome::Aborted, true));
        assert!(codes(&told).contains(&"silent-tls"), "{:?}", codes(&told));
    }
    // Where both spoke, the end of the connection tells.
    let spoken = dialogues(testdata().join("servers/rsa12-smtp-starttls.pcap")).remove(0);
    let unopened = decode(&spoken, &in_order(&spoken), &How::default());
    assert_eq!(only(&unopened).session().outcome, Outcome::Completed);
    assert!(!codes(&unopened).contains(&"silent-tls"));
}

/// Three bytes of a hello and a FIN: nothing is missing, and it was told as if packets were.
#[test]
fn a_hello_that_is_never_sent_whole_is_no_loss() {
    let mut turns = vec![s("220 mail.test ESMTP\r\n"), c("EHLO c.test\r\n"), s("250-mail.test\r\n250 STARTTLS\r\n")];
    turns.extend([c("STARTTLS\r\n"), s("220 go\r\n"), c([0x16, 3, 1])]);
    let told = play(587, &turns);
    let session = only(&told).session();
    let [tls] = &session.tls[..] else { panic!("{:?}", session.tls) };
    assert!(session.complete && tls.reason == Some(Reason::HandshakeFailed));
    let steps = tls.steps.join("\n");
    assert!(steps.contains("closed before a whole ClientHello was sent") && !steps.contains("captured"), "{steps}");
}

/// Found by fuzzing: a server goes on in the clear behind its answer to STARTTLS, and amid a line comes what looks like
/// the beginning of a record. It was TLS where a segment began there.
#[test]
fn what_looks_like_tls_amid_a_line_behind_starttls_is_text_in_any_split() {
    let garbage = [&[0x15, 3, 3, 0, 34][..], &[0xb9; 34]].concat();
    let turns = [
        s("220 x\r\n"),
        c("EHLO me\r\n"),
        s("250-x\r\n250 STARTTLS\r\n"),
        c("STARTTLS\r\n"),
        s([&b"220 go\r\n250-injected"[..], &garbage].concat()),
    ];
    let whole = play(25, &turns);
    assert_eq!(only(&whole).session().security, Security::None);
    let (answer, rest) = turns[4].bytes.split_at(b"220 go\r\n250-injected".len());
    let split = play(25, &[&turns[..4], &[s(answer), s(rest)]].concat());
    let story = |told: &Told| only(told).events.iter().filter_map(essence).collect::<Vec<_>>();
    assert_eq!(story(&split), story(&whole));
}

/// The server's word on the handshake is missing, and its next answer begins with no status: it is that command's all
/// the same, and the one behind it is not.
#[test]
fn an_answer_behind_a_lost_one_is_not_passed_over() {
    let mut dialogue = failed();
    dialogue.server.set_port(4190);
    dialogue.turns = vec![s("\"IMPLEMENTATION\" \"x\"\r\n\"STARTTLS\"\r\nOK\r\n"), c("STARTTLS\r\n"), s("OK\r\n")];
    dialogue.turns.extend(tls_of(failed()));
    let more = [
        s("NO \"TLS failed\"\r\n"),
        c("CAPABILITY\r\n"),
        s("\"IMPLEMENTATION\" \"x\"\r\nOK \"listed\"\r\n"),
        c("LOGOUT\r\n"),
        s("OK \"bye\"\r\n"),
    ];
    let dialogue = with(dialogue, more);
    let mut list = flights(&dialogue);
    let lost = list.iter().position(|packet| packet.payload.starts_with(b"NO ")).unwrap();
    list.remove(lost);
    let told = decode(&dialogue, &list, &How::default());
    let story = only(&told);
    let asked = |text: &str| {
        let reply = story.replies.iter().find(|reply| reply.text.0 == text.as_bytes())?;
        let asked = story.events.iter().find(|event| Some(event.seq) == reply.command)?;
        if let EventBody::Command(command) = &asked.body { Some(command.verb.clone()) } else { None }
    };
    assert_eq!(behind(story, "STARTTLS").0, ["CAPABILITY", "LOGOUT"]);
    assert_eq!((asked("listed"), asked("bye")), (Some("CAPABILITY".into()), Some("LOGOUT".into())));
}

/// The beginning of the server's line is missing: the rest of it stands before the next one.
#[test]
fn what_goes_on_in_the_clear_amid_a_line_is_told() {
    let more = [s("454 4.7.0 TLS not"), s(" available\r\n421 4.3.2 shutting down\r\n"), c("QUIT\r\n")];
    let dialogue = with(failed(), more);
    let mut list = flights(&dialogue);
    let lost = list.iter().position(|packet| packet.payload.starts_with(b"454")).unwrap();
    list.remove(lost);
    let told = decode(&dialogue, &list, &How::default());
    let story = only(&told);
    assert_eq!(behind(story, "STARTTLS"), (vec!["QUIT".into()], vec!["4.3.2 shutting down".into()]));
    assert!(codes(&told).contains(&"plaintext-after-starttls"));
}
