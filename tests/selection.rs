//! The selection options: which sessions stay, for `decode` and for every command on sessions.

mod common;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Command;

use common::packets::{Dialogue, Turn, pcap};
use common::script::{c, flights, s};
use serde_json::Value;

/// SMTP on 25 at 10:00: alice's mail to bob.
fn smtp() -> Vec<Turn> {
    vec![
        s("220 mx ESMTP\r\n"),
        c("EHLO me\r\n"),
        s("250-mx\r\n250 AUTH PLAIN\r\n"),
        c("AUTH PLAIN AGFsaWNlAHB3\r\n"),
        s("235 ok\r\n"),
        c("MAIL FROM:<alice@sender.test>\r\nRCPT TO:<bob@here.test>\r\nDATA\r\n"),
        s("250 ok\r\n250 ok\r\n354 go\r\n"),
        c("From: Somebody <list@lists.test>\r\nTo: everybody@lists.test\r\n\r\nhi\r\n.\r\n"),
        s("250 2.0.0 Ok: queued as A1\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ]
}

/// POP3 on 110 at 11:00: carol is not let in.
fn pop3() -> Vec<Turn> {
    vec![
        s("+OK ready\r\n"),
        c("USER carol\r\n"),
        s("+OK\r\n"),
        c("PASS x\r\n"),
        s("-ERR [AUTH] no\r\n"),
        c("QUIT\r\n"),
        s("+OK bye\r\n"),
    ]
}

/// IMAP on 143 at 12:00: dave reads a mail of erin's.
fn imap() -> Vec<Turn> {
    vec![
        s("* OK hi\r\n"),
        c("a LOGIN dave@here.test pw\r\n"),
        s("a OK in\r\n"),
        c("b SELECT INBOX\r\n"),
        s("* 1 EXISTS\r\nb OK\r\n"),
        c("f FETCH 1 BODY[]\r\n"),
        s("* 1 FETCH (BODY[] {54}\r\nFrom: erin@there.test\r\nTo: Frank <frank@here.test>\r\n\r\n)\r\nf OK\r\n"),
        c("c LOGOUT\r\n"),
        s("* BYE\r\nc OK\r\n"),
    ]
}

/// All three, from 10.0.1.1 to 10.0.1.2, and so on, an hour apart; and the ids of the sessions.
fn captured() -> (tempfile::NamedTempFile, [u64; 3]) {
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    let (mut ids, mut frame) = ([0; 3], 1);
    for (n, (turns, port)) in [(smtp(), 25), (pop3(), 110), (imap(), 143)].into_iter().enumerate() {
        let (client, server) = (([10, 0, 0, 1], 40_000 + n as u16).into(), ([10, 0, 0, 2], port).into());
        let dialogue = Dialogue { client, server, turns };
        let list = flights(&dialogue);
        let mut bytes = pcap(&dialogue, &list);
        let mut at = 24;
        while at < bytes.len() {
            // 2026-11-24T10:00:00Z and later.
            let seconds = 1_795_514_400 + 3600 * n as u32;
            bytes[at..at + 4].copy_from_slice(&seconds.to_le_bytes());
            let ip = at + 16 + 14;
            (bytes[ip + 14], bytes[ip + 18]) = (n as u8 + 1, n as u8 + 1);
            at += 16 + u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        }
        file.write_all(&bytes[if n == 0 { 0 } else { 24 }..]).unwrap();
        ids[n] = frame;
        frame += list.len() as u64;
    }
    (file, ids)
}

fn run(args: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_mailcap")).args(args).output().unwrap();
    (out.status.code(), String::from_utf8(out.stdout).unwrap())
}

/// The sessions of JSON lines.
fn sessions(text: &str) -> BTreeSet<u64> {
    let id = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap();
        object["session"].as_u64().or(object["id"].as_u64()).unwrap()
    };
    text.lines().map(id).collect()
}

#[test]
fn each_option_leaves_its_sessions() {
    let (file, [smtp, pop3, imap]) = captured();
    let all = [smtp, pop3, imap];
    let (id_smtp, id_imap) = (smtp.to_string(), imap.to_string());
    let cases: Vec<(Vec<&str>, Vec<u64>)> = vec![
        (vec![], all.to_vec()),
        (vec!["--session", &id_smtp], vec![smtp]),
        (vec!["--session", &id_smtp, "--session", &id_imap], vec![smtp, imap]),
        (vec!["--proto", "smtp"], vec![smtp]),
        (vec!["--proto", "imap", "--proto", "pop3"], vec![pop3, imap]),
        (vec!["--proto", "sieve"], vec![]),
        (vec!["--host", "10.0.2.2"], vec![pop3]),
        (vec!["--host", "10.0.3.1"], vec![imap]),
        (vec!["--host", "10.0.0.0/22"], all.to_vec()),
        (vec!["--host", "10.9.9.9"], vec![]),
        (vec!["--port", "143"], vec![imap]),
        (vec!["--port", "40000"], vec![smtp]),
        (vec!["--port", "25", "--port", "110"], vec![smtp, pop3]),
        (vec!["--user", "carol"], vec![pop3]),
        (vec!["--user", "DAVE@here"], vec![imap]),
        (vec!["--user", "mallory"], vec![]),
        // Envelope and header count, part of an address is enough.
        (vec!["--from", "alice@sender.test"], vec![smtp]),
        (vec!["--from", "list@lists"], vec![smtp]),
        (vec!["--from", "ERIN"], vec![imap]),
        (vec!["--from", "frank"], vec![]),
        (vec!["--to", "bob@"], vec![smtp]),
        (vec!["--to", "everybody"], vec![smtp]),
        (vec!["--to", "frank@here.test"], vec![imap]),
        (vec!["--to", "alice"], vec![]),
        (vec!["--since", "2026-11-24 11:30"], vec![imap]),
        (vec!["--since", "2026-11-24T11:00:00Z"], vec![pop3, imap]),
        (vec!["--until", "2026-11-24 10:30"], vec![smtp]),
        // What is not written counts to its end: as `sessions` shows it, a session is in it.
        (vec!["--until", "2026-11-24 10:00:00"], vec![smtp]),
        (vec!["--until", "2026-11-24 11:00"], vec![smtp, pop3]),
        (vec!["--until", "2026-11-24 12:00", "--tz", "+01:00"], vec![smtp, pop3]),
        (vec!["--until", "2026-11-24"], all.to_vec()),
        (vec!["--until", "2026-11-23"], vec![]),
        (vec!["--since", "2026-11-24 10:30", "--until", "2026-11-24 11:30"], vec![pop3]),
        (vec!["--since", "2026-11-25"], vec![]),
        (vec!["--since", "2026-11-24 12:30", "--tz", "+01:00"], vec![imap]),
        (vec!["--errors"], vec![pop3]),
        // Kinds must all hold.
        (vec!["--proto", "smtp", "--user", "carol"], vec![]),
        (vec!["--proto", "pop3", "--errors", "--host", "10.0.2.0/24"], vec![pop3]),
    ];
    for (options, left) in cases {
        let left: BTreeSet<u64> = left.into_iter().collect();
        let path = file.path().to_str().unwrap();
        for command in ["decode", "sessions", "auth"] {
            let (code, text) = run(&[&[command, path, "--json"], &options[..]].concat());
            assert_eq!(sessions(&text), left, "{command} {options:?}");
            assert_eq!(code, Some(i32::from(left.is_empty())), "{command} {options:?}");
        }
        // Messages are those of the sessions that are left, and all of theirs.
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let (code, _) = run(&[&["extract", path, "-o", out.to_str().unwrap()], &options[..]].concat());
        assert_eq!(code, Some(i32::from(left.is_empty())), "extract {options:?}");
        let manifest = std::fs::read_to_string(out.join("manifest.jsonl")).unwrap_or_default();
        let with_mail: BTreeSet<u64> = left.iter().copied().filter(|id| *id != pop3).collect();
        assert_eq!(sessions(&manifest), with_mail, "extract {options:?}");
        let (_, table) = run(&[&["sessions", path], &options[..]].concat());
        assert_eq!(table.lines().count(), if left.is_empty() { 0 } else { left.len() + 1 }, "sessions {options:?}");
    }
}
