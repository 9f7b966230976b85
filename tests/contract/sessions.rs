//! What a session is, and its fields.

use super::*;

#[test]
fn a_new_initial_sequence_number_opens_the_next_session() {
    let dialogue = of(&whole(), 25, 40_000);
    let first = flights(&dialogue);
    let moved = |by: u32| -> Vec<Packet> {
        let move_ =
            |p: &Packet| Packet { seq: p.seq.wrapping_add(by), ack: p.ack.map(|a| a.wrapping_add(by)), ..p.clone() };
        first.iter().map(move_).collect()
    };
    // After FINs; and with the old connection still open.
    let cut = first[..first.len() - 3].to_vec();
    for (list, reason) in [(first.clone(), EndReason::Fin), (cut, EndReason::Reused)] {
        let told = tell_file(&file_of(&[(dialogue.clone(), list), (dialogue.clone(), moved(1_000_000_000))]));
        let reasons: Vec<_> = told.stories.values().map(|s| s.session().end_reason).collect();
        assert_eq!(reasons, [reason, EndReason::Fin]);
        assert!(told.stories.values().all(|s| s.session().messages == 1 && s.session().outcome == Outcome::Completed));
    }
}

#[test]
fn a_mail_port_makes_a_session_even_when_nothing_was_said() {
    for port in [24, 25, 110, 143, 465, 587, 993, 995, 2000, 4190] {
        let told = play(port, &[]);
        let session = only(&told).session();
        assert_eq!((session.outcome, session.protocol, session.commands), (Outcome::NoBanner, None, 0), "port {port}");
    }
    assert!(play(2525, &[]).stories.is_empty());
    let file = capture(2525, &[]);
    let (_, objects) = program(&["sessions", path(&file), "-d", "tcp.port==2525,smtp"]);
    assert_eq!((objects.len(), &objects[0]["outcome"]), (1, &"no-banner".into()));
}

#[test]
fn closed_tls_is_mail_after_starttls_on_a_mail_port_or_by_d() {
    let mut dialogue = dialogues(testdata().join("tls/f-reneg-client-smtp.pcap")).remove(0);
    let run = |dialogue: &Dialogue| decode(dialogue, &flights(dialogue), &How::default());
    dialogue.server.set_port(465);
    let told = run(&dialogue);
    assert_eq!((only(&told).session().security, only(&told).session().protocol), (Security::Implicit, None));
    assert!(only(&told).session().undecrypted_bytes > 0);
    dialogue.server.set_port(8443);
    assert!(run(&dialogue).stories.is_empty());
    let file = file_of(&[(dialogue.clone(), flights(&dialogue))]);
    let (code, objects) = program(&["sessions", path(&file), "-d", "tcp.port==8443,smtps"]);
    assert_eq!((code, objects.len(), &objects[0]["security"]), (3, 1, &"implicit".into()));
    let (code, objects) = program(&["tls", path(&file)]);
    assert_eq!(
        (code, objects.len()),
        (0, objects.iter().filter(|o| o["type"] == "tls").count()),
        "no mail, no gap in it"
    );
    let mut dialogue = dialogues(testdata().join("tls/tls12-aes128-sha256-smtp-starttls.pcap")).remove(0);
    dialogue.server.set_port(2525);
    let told = run(&dialogue);
    assert_eq!(
        (only(&told).session().security, only(&told).session().protocol),
        (Security::StartTls, Some(Protocol::Smtp))
    );
}

/// A ServerHello chooses the protocol; what follows stays closed.
#[test]
fn closed_tls_is_mail_by_alpn() {
    let record = |kind: u8, body: &[u8]| [&[kind, 3, 3][..], &(body.len() as u16).to_be_bytes(), body].concat();
    let hello = |kind: u8, head: &[u8], name: &str| {
        let list = [&[name.len() as u8], name.as_bytes()].concat();
        let list = [&(list.len() as u16).to_be_bytes()[..], &list].concat();
        let extension = [&[0, 16][..], &(list.len() as u16).to_be_bytes(), &list].concat();
        let body = [head, &(extension.len() as u16).to_be_bytes(), &extension].concat();
        record(22, &[&[kind, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat())
    };
    let client = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
    let server = [&[3, 3][..], &[8; 32], &[0, 0, 0x2f, 0]].concat();
    for (name, mail) in [("imap", true), ("smtp", true), ("pop3", true), ("managesieve", true), ("h2", false)] {
        let done = record(22, &[14, 0, 0, 0]);
        let finished = [record(20, &[1]), record(22, &[1; 48])].concat();
        let turns = [
            c(hello(1, &client, name)),
            s([hello(2, &server, name), done].concat()),
            c(&finished),
            s(&finished),
            c(record(23, &[1; 64])),
        ];
        let told = play(8443, &turns);
        assert_eq!(told.stories.len(), usize::from(mail), "{name}");
        if mail {
            let session = only(&told).session();
            assert_eq!((session.security, session.protocol, session.complete), (Security::Implicit, None, false));
            assert_eq!(session.tls[0].alpn, Some(name.into()));
            assert!(session.undecrypted_bytes > 0);
        }
    }
}

#[test]
fn each_outcome_of_a_session() {
    let outcome = |turns: &[Turn]| only(&play(587, turns)).session().outcome;
    assert_eq!(outcome(&whole()), Outcome::Completed);
    assert_eq!(outcome(&[s("554 5.7.1 go away\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]), Outcome::Refused);
    let failed = [s("220 x\r\n"), c("AUTH PLAIN AGEAYg==\r\n"), s("535 5.7.8 no\r\n"), c("QUIT\r\n"), s("221 bye\r\n")];
    assert_eq!(outcome(&failed), Outcome::AuthFailed);
    assert_eq!(outcome(&with(&[c("half a ma")])), Outcome::Aborted);
    assert_eq!(outcome(&[]), Outcome::NoBanner);
    let (_, objects) =
        program(&["sessions", testdata().join("tls/f-handshake-failure-smtp-starttls.pcap").to_str().unwrap()]);
    assert_eq!(objects[0]["outcome"], "tls-failed");
    let dialogue = of(&up_to_data(), 25, 40_000);
    let list = flights(&dialogue);
    let cut = decode(&dialogue, &list[..list.len() - 3], &How::default());
    assert_eq!((only(&cut).session().outcome, only(&cut).session().end_reason), (Outcome::Cut, EndReason::Eof));
    // Of a connection of which the capture has the end alone, what the server said is not known.
    let silent = of(&[], 25, 40_000);
    let list = flights(&silent);
    let end = decode(&silent, &list[list.len() - 3..], &How::default());
    assert_eq!(only(&end).session().outcome, Outcome::Cut);
}

#[test]
fn each_end_of_a_session_and_who_ended_it() {
    let dialogue = of(&whole(), 25, 40_000);
    let list = flights(&dialogue);
    let ended = |list: &[Packet]| {
        let told = decode(&dialogue, list, &How::default());
        (only(&told).session().end_reason, only(&told).session().ended_by)
    };
    assert_eq!(ended(&list), (EndReason::Fin, Some(Direction::Client)));
    let n = list.len();
    // The server's FIN first.
    let mut other = list.clone();
    let acks = [other[n - 3].ack, other[n - 2].ack];
    other.swap(n - 3, n - 2);
    (other[n - 3].ack, other[n - 2].ack) = (acks[1].map(|a| a - 1), acks[0].map(|a| a + 1));
    assert_eq!(ended(&other), (EndReason::Fin, Some(Direction::Server)));
    for (side, dir) in [(Side::Initiator, Direction::Client), (Side::Responder, Direction::Server)] {
        let mut reset = list[..n - 3].to_vec();
        let mut last = list[if side == Side::Initiator { n - 3 } else { n - 2 }].clone();
        (last.fin, last.rst) = (false, true);
        reset.push(last);
        assert_eq!(ended(&reset), (EndReason::Rst, Some(dir)));
    }
    // Closed by one, and reset by the other: "reset by" is asked of who reset.
    for (first, rst, by) in [(n - 3, n - 2, Direction::Server), (n - 2, n - 3, Direction::Client)] {
        let reset = [&list[..n - 3], &fin_and_rst(&list[first], &list[rst])].concat();
        assert_eq!(ended(&reset), (EndReason::Rst, Some(by)));
    }
    assert_eq!(ended(&list[..n - 3]), (EndReason::Eof, None));
    // Idle for longer than the bound, by the time of later frames (looked at every 4,096 frames).
    let later = |client| (of(&whole(), 110, client), flights(&of(&whole(), 110, client)));
    let later = file_of(&(0..300).map(|i| later(41_000 + i)).collect::<Vec<_>>());
    let mut late = std::fs::read(later.path()).unwrap().split_off(24);
    let mut at = 0;
    while at < late.len() {
        let seconds = u32::from_le_bytes(late[at..at + 4].try_into().unwrap()) + 100_000;
        late[at..at + 4].copy_from_slice(&seconds.to_le_bytes());
        at += 16 + u32::from_le_bytes(late[at + 8..at + 12].try_into().unwrap()) as usize;
    }
    let mut file = file_of(&[(dialogue.clone(), list[..n - 3].to_vec())]);
    file.write_all(&late).unwrap();
    let told = tell_file(&file);
    let first = told.stories.values().next().unwrap().session();
    assert_eq!((first.end_reason, first.ended_by), (EndReason::Timeout, None));
    // More connections than are known at once.
    let open = |client| (of(&whole(), 25, client), list[..n - 3].to_vec());
    let file = file_of(&(0..300).map(|i| open(30_000 + i)).collect::<Vec<_>>());
    let mut few = config(&[file.path().to_owned()], &How::default());
    few.limits.connections = 64;
    let told = tell_config(few);
    let reasons: Vec<_> = told.stories.values().map(|s| s.session().end_reason).collect();
    assert_eq!(reasons.len(), 300, "none is lost");
    assert!(reasons.contains(&EndReason::Evicted) && reasons.contains(&EndReason::Eof));
}

#[test]
fn counts_of_a_session() {
    let told = play(25, &whole());
    let session = only(&told).session();
    let bytes = |side| whole().iter().filter(|t| t.side == side).map(|t| t.bytes.len() as u64).sum::<u64>();
    assert_eq!(session.bytes, [bytes(Side::Initiator), bytes(Side::Responder)]);
    assert_eq!((session.span.first.number, session.span.last.number, session.frames), (1, 19, 19));
    assert_eq!((session.commands, session.messages), (5, 1));
    assert_eq!(session.helo, Some("me".into()));
    assert_eq!(session.banner, Some("mx ESMTP".into()));
    assert_eq!(session.last_error, None);
    let told = told_of_errors();
    assert_eq!(only(&told).session().last_error, Some("550 5.1.1 two".into()));
}

fn told_of_errors() -> Told {
    let turns = [s("220 x\r\n"), c("VRFY a\r\n"), s("502 5.5.1 one\r\n"), c("VRFY b\r\n"), s("550 5.1.1 two\r\n")];
    play(25, &[&turns[..], &[c("NOOP\r\n"), s("250 ok\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]].concat())
}

#[test]
fn ids_are_the_same_whatever_the_filter() {
    let pop = [s("+OK\r\n"), c("USER a\r\n"), s("+OK\r\n"), c("QUIT\r\n"), s("+OK\r\n")];
    let parts = [(whole(), 25), (pop.to_vec(), 110), (whole(), 587)];
    let parts: Vec<_> = parts
        .iter()
        .zip(40_000..)
        .map(|((turns, port), client)| (of(turns, *port, client), flights(&of(turns, *port, client))))
        .collect();
    let file = file_of(&parts);
    let (_, all) = program(&["decode", path(&file)]);
    let session = |o: &Object| o.get("session").or(o.get("id")).unwrap().as_u64().unwrap();
    let ids: BTreeSet<u64> = all.iter().map(session).collect();
    assert_eq!(ids, BTreeSet::from([1, 20, 31]));
    for (option, value, kept) in
        [("--proto", "pop3", vec![20]), ("--port", "587", vec![31]), ("--session", "1", vec![1])]
    {
        let (_, some) = program(&["decode", path(&file), option, value]);
        // The order in which they are known is not that of the story.
        let mut want: Vec<&Object> = all.iter().filter(|o| kept.contains(&session(o))).collect();
        want.sort_by_key(|o| (session(o), o["seq"].as_u64()));
        let same = some.iter().collect::<Vec<_>>() == want;
        assert!(same, "{option}: {} objects, {} expected", some.len(), want.len());
    }
}

#[test]
fn closed_between_two_transactions_is_completed() {
    let of = |port: u16, turns: &[Turn]| only(&play(port, turns)).session().outcome;
    let taken = with(&[c("x\r\n.\r\n"), s("250 2.0.0 Ok: queued as A1\r\n")]);
    assert_eq!(of(25, &taken), Outcome::Completed, "as LMTP clients do");
    assert_eq!(of(143, &mailbox(&[])), Outcome::Completed);
    let pop3 = [s("+OK POP3 ready\r\n"), c("USER a\r\n"), s("+OK\r\n"), c("PASS b\r\n"), s("+OK in\r\n")];
    assert_eq!(of(110, &pop3), Outcome::Completed);
    // A command unanswered, a transaction open, a message cut, nothing achieved; or a reset.
    let more = |turns: &[Turn]| of(25, &[&taken, turns].concat());
    assert_eq!(more(&[c("NOOP\r\n")]), Outcome::Aborted);
    assert_eq!(more(&[c("MAIL FROM:<a@x>\r\n"), s("250 2.1.0 Ok\r\n")]), Outcome::Aborted);
    assert_eq!(of(110, &[&pop3[..], &[c("RETR 1\r\n"), s("+OK\r\nhalf")]].concat()), Outcome::Aborted);
    assert_eq!(of(25, &[s("220 mx ESMTP\r\n"), c("EHLO me\r\n"), s("250 mx\r\n")]), Outcome::Aborted);
    let dialogue = self::of(&taken, 25, 40_000);
    let mut list = flights(&dialogue);
    list.truncate(list.len() - 3);
    let last = list.last().unwrap().clone();
    let seq = last.ack.unwrap();
    list.push(Packet {
        side: last.side.opposite(),
        seq,
        ack: Some(last.seq.wrapping_add(last.payload.len() as u32)),
        rst: true,
        payload: Vec::new(),
        ..last
    });
    assert_eq!(only(&decode(&dialogue, &list, &How::default())).session().outcome, Outcome::Aborted);
    // A FIN that is answered by a RST.
    let whole = flights(&dialogue);
    let n = whole.len();
    let list = [&whole[..n - 3], &fin_and_rst(&whole[n - 3], &whole[n - 2])].concat();
    assert_eq!(only(&decode(&dialogue, &list, &How::default())).session().outcome, Outcome::Completed);
}

/// One side's FIN, answered by a RST of the other, whose own FIN was `other`.
fn fin_and_rst(fin: &Packet, other: &Packet) -> [Packet; 2] {
    let ack = Some(fin.seq.wrapping_add(1));
    let rst = Packet { fin: false, rst: true, ack, ..other.clone() };
    [Packet { ack: Some(other.seq), ..fin.clone() }, rst]
}

#[test]
fn closed_tls_ends_as_its_connection_did_and_is_no_error() {
    let file = testdata().join("servers/rsa12-resume.pcap");
    let file = file.to_str().unwrap();
    let (code, objects) = program(&["sessions", file]);
    // Each is reset behind the server's close_notify.
    assert_eq!((code, objects.len()), (3, 6));
    assert!(objects.iter().all(|o| o["outcome"] == "completed" && o["complete"] == false));
    let (_, objects) = program(&["sessions", file, "--errors"]);
    assert_eq!(objects.len(), 0);
}

#[test]
fn bytes_passed_over_are_missing() {
    let file = capture(25, &whole());
    let run = |protocol: &str| {
        let args = ["decode", path(&file), "-d", protocol];
        Command::new(env!("CARGO_BIN_EXE_mailcap")).args(args).output().unwrap()
    };
    assert_eq!(run("tcp.port==25,smtp").status.code(), Some(0));
    let forced = run("tcp.port==25,imap");
    assert_eq!(forced.status.code(), Some(3));
    let said = String::from_utf8(forced.stderr).unwrap();
    assert!(said.contains("skipped: is this really IMAP?"), "{said}");
}

#[test]
fn a_client_that_leaves_amid_its_hello_fails_and_leaves_nothing_missing() {
    let turns = [s("220 mx ESMTP\r\n"), c("STARTTLS\r\n"), s("220 2.0.0 Ready to start TLS\r\n"), c(b"\x16\x03\x01")];
    let file = capture(587, &turns);
    let (code, objects) = program(&["tls", path(&file)]);
    let tls = objects.iter().find(|o| o["type"] == "tls").unwrap();
    assert_eq!((code, &tls["reason"]), (0, &"handshake-failed".into()));
    assert_eq!(exit_code(&["decode", path(&file)]), 0);
}

/// The text of a mail whose beginning was not captured is no command in the plaintext either.
#[test]
fn plaintext_of_what_begins_in_the_middle_begins_there() {
    let dialogue = of(&whole(), 25, 40_000);
    // From the message's text on.
    let list = flights(&dialogue).split_off(12);
    let file = file_of(&[(dialogue, list)]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("plain.pcapng");
    let out = out.to_str().unwrap();
    assert_eq!(exit_code(&["decrypt", "--plaintext", path(&file), "-o", out]), 3);
    let told = |file: &str| {
        let (code, objects) = program(&["decode", file]);
        let session = objects.iter().find(|o| o["type"] == "session").unwrap();
        let kinds = |kind: &str| objects.iter().filter(|o| o["type"] == kind).count();
        let seen = (session["complete"].clone(), session["outcome"].clone(), session["banner"].clone());
        (code, seen, kinds("command"), kinds("reply"), kinds("message"))
    };
    assert_eq!(told(out), told(path(&file)));
    assert_eq!((told(out).0, told(out).2), (3, 1), "QUIT");
}
