//! Fields of commands, replies, authentications and the rest; exit codes.

use super::*;

#[test]
fn frame_and_ts_are_those_of_the_last_byte_and_first_frame_that_of_the_first() {
    let turns = [
        s("220-mx\r\n"),         // 4
        s("220 ready\r\n"),      // 5
        c("EH"),                 // 6
        c("LO me\r"),            // 7
        c("\n"),                 // 8
        s("250 mx\r\n"),         // 9
        c("MAIL FROM:<a>\r\n"),  // 10
        s("250 ok\r\n"),         // 11
        c("RCPT TO:<b>\r\n"),    // 12
        s("250 ok\r\n"),         // 13
        c("DATA\r\n"),           // 14
        s("354 go\r\n"),         // 15
        c("Subject: x\r\n\r\n"), // 16
        c("text\r"),             // 17
        c("\n"),                 // 18
        c(".\r\n"),              // 19
        s("250 ok\r\n"),         // 20
    ];
    let told = play(25, &turns);
    let story = only(&told);
    let commands = frames(story, |b| matches!(b, EventBody::Command(_)));
    assert_eq!(commands, [(6, 8), (10, 10), (12, 12), (14, 14)]);
    let replies = frames(story, |b| matches!(b, EventBody::Reply(_)));
    assert_eq!(replies, [(4, 5), (9, 9), (11, 11), (13, 13), (15, 15), (20, 20)]);
    assert_eq!(frames(story, |b| matches!(b, EventBody::Message(_))), [(16, 18)]);
    let hello = story.events.iter().find(|e| matches!(e.body, EventBody::Command(_))).unwrap();
    assert_eq!(hello.span.last.ts, Timestamp(1_000_000_000_000_000_000 + 7 * 100_000));
    let file = capture(25, &turns);
    let (_, objects) = program(&["decode", path(&file)]);
    let hello = objects.iter().find(|o| o["type"] == "command").unwrap();
    assert_eq!((&hello["first_frame"], &hello["frame"]), (&6.into(), &8.into()));
    assert_eq!(hello["ts"], "2001-09-09T01:46:40.000700000Z");
    assert_eq!(hello["file"], path(&file));
    // IMAP: literals belong to their command, an untagged reply ends behind its literal.
    let turns = mailbox(&[
        c("p APPEND x {4}\r\n"),        // 9
        s("+ go\r\n"),                  // 10
        c("ab"),                        // 11
        c("cd"),                        // 12
        c("\r\n"),                      // 13
        s("p OK\r\n"),                  // 14
        c("f FETCH 1 BODY[]\r\n"),      // 15
        s("* 1 FETCH (BODY[] {4}\r\n"), // 16
        s("ab"),                        // 17
        s("cd"),                        // 18
        s(" UID 5)\r\nf OK\r\n"),       // 19
    ]);
    let told = play(143, &turns);
    let story = only(&told);
    assert_eq!(frames(story, |b| matches!(b, EventBody::Command(c) if c.verb.0 == b"APPEND")), [(9, 13)]);
    assert_eq!(frames(story, |b| matches!(b, EventBody::Reply(r) if r.text.0.starts_with(b"1 FETCH"))), [(16, 19)]);
    assert_eq!(frames(story, |b| matches!(b, EventBody::Message(_))), [(11, 12), (17, 18)]);
    // POP3.
    let told = play(
        110,
        &[
            s("+OK\r\n"),
            c("RETR 1\r\n"),
            s("+OK\r\n"),
            s("a: b\r\n"),
            s("\r\n"),
            s(".\r\n"),
            c("QUIT\r\n"),
            s("+OK\r\n"),
        ],
    );
    assert_eq!(frames(only(&told), |b| matches!(b, EventBody::Message(_))), [(7, 8)]);
}

#[test]
fn latency_runs_from_the_last_byte_to_the_first() {
    // A frame every 100 µs.
    let latencies = |port: u16, turns: &[Turn]| -> Vec<Option<i64>> {
        only(&play(port, turns)).replies.iter().map(|r| r.latency.map(|l| l / 100_000)).collect()
    };
    let turns = with(&[
        c("x\r\n"),
        c(".\r"),
        c("\n"),
        s("2"),
        s("50 ok\r\n"),
        c("MAIL FROM:<a>\r\n"),
        s("250 ok\r\n"),
        c("RCPT TO:<b>\r\n"),
        s("250 ok\r\n"),
        c("BDAT 4 LAST\r\nab"),
        c("cd"),
        c(""),
        s("250 ok\r\n"),
        c("NO"),
        c("OP\r\nNOOP\r\n"),
        s("250 a\r\n"),
        s("250 b\r\n"),
    ]);
    let turns: Vec<Turn> = turns.into_iter().filter(|t| !t.bytes.is_empty()).collect();
    // The final dot ends two frames before the reply's *last* byte, one before its first.
    assert_eq!(latencies(25, &turns)[5..], [Some(1), Some(1), Some(1), Some(1), Some(1), Some(2)]);
    assert_eq!(latencies(25, &turns)[0], None, "a greeting answers nothing");
    let told = play(25, &turns);
    assert_eq!(only(&told).session().slowest_reply, Some(200_000));
    // IMAP: from the end of the literal's command; untagged data that nobody asked for has none.
    let idle = [c("i IDLE\r\n"), s("+ go\r\n"), s("* 10 EXISTS\r\n"), c("DONE\r\n"), s("i OK\r\n")];
    let told = play(143, &mailbox(&idle));
    let replies = &only(&told).replies;
    let exists = replies.iter().find(|r| r.text.0 == b"10 EXISTS").unwrap();
    assert_eq!((exists.command, exists.latency), (None, None));
    assert_eq!(replies.last().unwrap().latency, Some(100_000));
    let append = [c("p APPEND x {4}\r\n"), s("+ go\r\n"), c("abcd"), c("\r\n"), s("p OK\r\n")];
    assert_eq!(latencies(143, &mailbox(&append)).last(), Some(&Some(1)));
}

#[test]
fn replies_name_the_command_that_they_answer() {
    let told = play(25, &whole());
    let story = only(&told);
    let seqs: Vec<u64> =
        story.events.iter().filter(|e| matches!(e.body, EventBody::Command(_))).map(|e| e.seq).collect();
    let answered: Vec<_> = story.replies.iter().map(|r| r.command).collect();
    let [ehlo, mail, rcpt, data, quit] = seqs[..] else { panic!() };
    assert_eq!(answered, [None, Some(ehlo), Some(mail), Some(rcpt), Some(data), Some(data), Some(quit)]);
    let codes: Vec<_> = story.replies.iter().map(|r| (r.code, r.status.to_str_lossy().into_owned())).collect();
    assert_eq!(codes[1], (Some(250), "250".to_owned()));
    let enhanced: Vec<_> = story.replies.iter().map(|r| r.enhanced.clone()).collect();
    assert_eq!(
        enhanced[2..],
        [Some("2.1.0".into()), Some("2.1.5".into()), None, Some("2.0.0".into()), Some("2.0.0".into())]
    );
}

#[test]
fn verbs_are_upper_case_and_uid_commands_whole() {
    let told = play(
        143,
        &mailbox(&[
            c("f uid fetch 1 FLAGS\r\n"),
            s("* 1 FETCH (UID 1 FLAGS ())\r\nf OK\r\n"),
            c("g Uid Store 1 +Flags (\\Seen)\r\n"),
            s("g OK\r\n"),
        ]),
    );
    let commands = &only(&told).commands;
    assert_eq!(verbs(&told), ["LOGIN", "SELECT", "UID FETCH", "UID STORE"]);
    assert_eq!((commands[3].tag.clone(), commands[3].args.clone()), (Some("g".into()), "1 +Flags (\\Seen)".into()));
    let statuses: Vec<_> =
        only(&told).replies.iter().map(|r| (r.status.to_str_lossy().into_owned(), r.tag.is_some())).collect();
    let own = |s: &str, tagged| (s.to_owned(), tagged);
    assert_eq!(
        statuses[2..],
        [own("*", false), own("OK", false), own("OK", true), own("*", false), own("OK", true), own("OK", true)]
    );
    let told = play(
        25,
        &[
            s("220 x\r\n"),
            c("ehlo x\r\n"),
            s("250 x\r\n"),
            c("xMagic on\r\n"),
            s("500 what\r\n"),
            c("quit\r\n"),
            s("221 x\r\n"),
        ],
    );
    assert_eq!(verbs(&told), ["EHLO", "xMagic", "QUIT"]);
}

#[test]
fn each_outcome_and_name_of_an_authentication() {
    let auth = |port, turns: &[Turn]| {
        let told = play(port, turns);
        let auth = only(&told).auth[0].clone();
        (auth.mechanism.to_str_lossy().into_owned(), auth.user, auth.outcome)
    };
    let alice = || Some("alice".into());
    let smtp = |answer: &str| [s("220 x\r\n"), c("AUTH PLAIN AGFsaWNlAHB3\r\n"), s(answer)];
    assert_eq!(auth(587, &smtp("235 ok\r\n")), ("PLAIN".to_owned(), alice(), AuthOutcome::Success));
    assert_eq!(auth(587, &smtp("535 no\r\n")), ("PLAIN".to_owned(), alice(), AuthOutcome::Failure));
    assert_eq!(auth(587, &smtp("")[..2]), ("PLAIN".to_owned(), alice(), AuthOutcome::Aborted));
    let cancelled = [s("220 x\r\n"), c("AUTH LOGIN\r\n"), s("334 VXNlcm5hbWU6\r\n"), c("*\r\n"), s("501 no\r\n")];
    assert_eq!(auth(587, &cancelled), ("LOGIN".to_owned(), None, AuthOutcome::Aborted));
    let pop = [s("+OK <1@x>\r\n"), c("USER alice\r\n"), s("+OK\r\n"), c("PASS pw\r\n"), s("+OK\r\n")];
    assert_eq!(auth(110, &pop), ("USER".to_owned(), alice(), AuthOutcome::Success));
    let apop = [s("+OK <1@x>\r\n"), c("APOP alice 00112233445566778899aabbccddeeff\r\n"), s("-ERR\r\n")];
    assert_eq!(auth(110, &apop), ("APOP".to_owned(), alice(), AuthOutcome::Failure));
    assert_eq!(auth(143, &mailbox(&[])), ("LOGIN-COMMAND".to_owned(), alice(), AuthOutcome::Success));
    // Its end was not captured.
    let dialogue = of(&smtp("")[..2], 587, 40_000);
    let list = flights(&dialogue);
    let told = decode(&dialogue, &list[..list.len() - 3], &How::default());
    assert_eq!(only(&told).auth[0].outcome, AuthOutcome::Unknown);
}

#[test]
fn each_cause_of_a_gap() {
    let dialogue = of(&whole(), 25, 40_000);
    let list = flights(&dialogue);
    let causes = |told: &Told| -> Vec<GapCause> { only(told).gaps.iter().map(|g| g.cause).collect() };
    let mut lost = list.clone();
    lost.remove(12);
    assert_eq!(causes(&decode(&dialogue, &lost, &How::default())), [GapCause::Lost]);
    // It begins with a command whose reply is missing; the next command acknowledges it.
    let mut middle = list[6..].to_vec();
    assert!(middle[1].side == Side::Responder && !middle[1].payload.is_empty());
    middle.remove(1);
    assert_eq!(causes(&decode(&dialogue, &middle, &How::default())), [GapCause::MidStream]);
    // More comes behind a hole than is held.
    let mut turns = with(&[c("lost\r\n")]);
    turns.extend((0..20).map(|i| c(format!("line {i}\r\n"))));
    turns.extend([c(".\r\n"), s("250 ok\r\n")]);
    let dialogue = of(&turns, 25, 40_000);
    let mut list = flights(&dialogue);
    list.remove(12);
    let file = file_of(&[(dialogue, list)]);
    let mut tight = config(&[file.path().to_owned()], &How::default());
    tight.limits.reassembly_bytes = 32;
    assert_eq!(causes(&tell_config(tight)), [GapCause::Limit]);
    let dialogue = of(&whole(), 25, 40_000);
    let list = flights(&dialogue);
    // The message's packet cut at 60 bytes.
    let bytes = pcap(&dialogue, &list);
    let mut cut = bytes[..24].to_vec();
    let mut at = 24;
    for n in 0.. {
        let Some(header) = bytes.get(at..at + 16) else { break };
        let len = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        let kept = if n == 12 { 60 } else { len };
        cut.extend_from_slice(&header[..8]);
        cut.extend_from_slice(&(kept as u32).to_le_bytes());
        cut.extend_from_slice(&header[12..]);
        cut.extend_from_slice(&bytes[at + 16..at + 16 + kept]);
        at += 16 + len;
    }
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(&cut).unwrap();
    let told = tell_file(&file);
    assert_eq!(causes(&told), [GapCause::Snaplen]);
    assert!(!only(&told).messages[0].complete);
}

#[test]
fn every_object_of_a_type_has_the_same_fields_in_real_captures() {
    let mut shapes: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    for folder in ["servers", "tls"] {
        let key = if folder == "servers" { "servers/keys/server.key" } else { "tls/keys/rsa2048.pem" };
        let mut files: Vec<_> =
            std::fs::read_dir(testdata().join(folder)).unwrap().map(|e| e.unwrap().path()).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == "pcap" || e == "pcapng"));
        for file in files {
            let name = file.to_str().unwrap();
            let (_, objects) =
                program(&["decode", name, "--bodies", "--stats", "-k", testdata().join(key).to_str().unwrap()]);
            let mut seqs: BTreeSet<(u64, u64)> = BTreeSet::new();
            for object in &objects {
                let kind = object["type"].as_str().unwrap().to_owned();
                let keys: Vec<String> = object.keys().filter(|k| !k.ends_with("_b64")).cloned().collect();
                assert_eq!(keys[0], "type", "{name}");
                let (known, first) = shapes.entry(kind.clone()).or_insert_with(|| (keys.clone(), name.to_owned()));
                assert_eq!(&keys, known, "{kind} of {name}, and of {first}");
                if kind == "stats" {
                    continue;
                }
                let session = object[if kind == "session" { "id" } else { "session" }].as_u64().unwrap();
                assert!(seqs.insert((session, object["seq"].as_u64().unwrap())), "{name}: a seq twice");
                let ts = object["ts"].as_str().unwrap();
                assert!(ts.len() == 30 && ts.ends_with('Z') && ts.as_bytes()[19] == b'.', "{ts}");
                assert!(object["first_frame"].as_u64() <= object["frame"].as_u64(), "{name}: {object:?}");
                if ["command", "reply", "auth", "message", "script"].contains(&kind.as_str()) {
                    assert!(object["tls"].is_boolean() && (object["dir"] == "client" || object["dir"] == "server"));
                }
            }
            // From 1, and the session itself last.
            for session in objects.iter().filter(|o| o["type"] == "session") {
                let id = session["id"].as_u64().unwrap();
                let own: Vec<u64> = seqs.iter().filter(|(s, _)| *s == id).map(|(_, seq)| *seq).collect();
                assert_eq!(own.first(), Some(&1), "{name}");
                assert_eq!(own.last(), session["seq"].as_u64().as_ref(), "{name}");
            }
        }
    }
    let kinds: Vec<&str> = shapes.keys().map(String::as_str).collect();
    assert_eq!(
        kinds,
        ["auth", "body", "command", "diagnostic", "gap", "message", "reply", "script", "session", "stats", "tls"]
    );
}

/// Sizes as the client recorded them; Dovecot gives back what it was given.
#[test]
fn scripts_are_objects() {
    let capture = testdata().join("servers/sieve-starttls-rsa.pcap");
    let key = testdata().join("servers/keys/server.key");
    let (code, objects) = program(&["decode", capture.to_str().unwrap(), "-k", key.to_str().unwrap()]);
    assert_eq!(code, 0);
    let scripts: Vec<&Object> = objects.iter().filter(|o| o["type"] == "script").collect();
    let facts: Vec<_> = scripts
        .iter()
        .map(|s| {
            let text = |name: &str| s[name].as_str().unwrap_or("-").to_owned();
            (text("verb"), text("name"), s["size"].as_u64().unwrap(), text("outcome"), text("dir"))
        })
        .collect();
    let row = |verb: &str, name: &str, size, outcome: &str, dir: &str| {
        (verb.to_owned(), name.to_owned(), size, outcome.to_owned(), dir.to_owned())
    };
    assert_eq!(
        facts,
        [
            row("PUTSCRIPT", "s0", 85, "accepted", "client"),
            row("PUTSCRIPT", "s1", 62, "accepted", "client"),
            row("PUTSCRIPT", "bad", 20, "rejected", "client"),
            row("CHECKSCRIPT", "-", 20, "rejected", "client"),
            row("GETSCRIPT", "s0", 85, "accepted", "server"),
            row("GETSCRIPT", "s1", 62, "accepted", "server"),
        ]
    );
    assert!(scripts.iter().all(|s| s["complete"] == true && s["tls"] == true && s["text"].is_null()));
    assert_eq!((&scripts[0]["sha256"], &scripts[1]["sha256"]), (&scripts[4]["sha256"], &scripts[5]["sha256"]));
    assert_eq!(scripts[2]["sha256"], scripts[3]["sha256"]);
    let shown = Command::new(env!("CARGO_BIN_EXE_mailcap"))
        .args(["decode", "--bodies", capture.to_str().unwrap(), "-k", key.to_str().unwrap()])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("script \"s0\": 85 bytes, sha256 ") && shown.contains("script \"bad\": 20 bytes, rejected"));
}

// Exit codes.

#[test]
fn exit_codes() {
    let mail = capture(25, &whole());
    assert_eq!(exit_code(&["decode", path(&mail)]), 0);
    // Nothing to list on mail is no failure.
    let no_auth = capture(25, &[s("220 x\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]);
    assert_eq!(exit_code(&["auth", path(&no_auth)]), 0);
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(exit_code(&["extract", path(&no_auth), "-o", dir.path().join("x").to_str().unwrap()]), 0);
    // No mail, no handshake.
    let other = capture(8080, &[c("GET / HTTP/1.0\r\n\r\n"), s("HTTP/1.0 200 OK\r\n\r\n")]);
    assert_eq!(exit_code(&["sessions", path(&other)]), 1);
    assert_eq!(exit_code(&["tls", path(&mail)]), 1);
    // A gap in mail, and one elsewhere, which does not count.
    let gap = |turns: &[Turn], port| {
        let dialogue = of(turns, port, 42_000);
        let mut list = flights(&dialogue);
        list.remove(4);
        (dialogue, list)
    };
    assert_eq!(exit_code(&["decode", path(&file_of(&[gap(&whole(), 25)]))]), 3);
    let http: Vec<Turn> = (0..4).flat_map(|_| [c("GET / HTTP/1.1\r\n\r\n"), s("HTTP/1.1 204 x\r\n\r\n")]).collect();
    let whole_mail = (of(&whole(), 25, 40_000), flights(&of(&whole(), 25, 40_000)));
    assert_eq!(exit_code(&["decode", path(&file_of(&[whole_mail, gap(&http, 8080)]))]), 0);
    // A handshake that failed between its peers leaves nothing to decrypt.
    let failed = testdata().join("tls/f-handshake-failure-smtp-starttls.pcap");
    assert_eq!(exit_code(&["decode", failed.to_str().unwrap()]), 0);
    // 2 wins over 3.
    let cut = file_of(&[gap(&whole(), 25)]);
    assert_eq!(exit_code(&["decode", path(&cut), "-k", "/nonexistent.key"]), 2);
}
