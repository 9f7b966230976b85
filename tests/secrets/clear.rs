//! `decrypt --plaintext`: what is read of the file is what was read of the capture.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::build::{C, Conn, Pcap, S, client_hello, handshake, record};
use super::{Ran, json, run, text};

/// The sessions of a capture and of what `decrypt --plaintext` makes of it, and how that was.
fn before_and_after(capture: &Path, more: &[&str]) -> (Vec<Value>, Vec<Value>, Ran) {
    let out = capture.with_extension("clear");
    let input = text(capture);
    let before = json(&run(&[&["sessions", &input, "--json"], more].concat()).stdout);
    let ran = run(&[&["decrypt", "--plaintext", &input, "-o", &text(&out)], more].concat());
    let after = json(&run(&["sessions", &text(&out), "--json"]).stdout);
    (before, after, ran)
}

/// Digests of all messages.
fn digests(capture: &Path) -> Vec<String> {
    let lines = json(&run(&["decode", &text(capture), "--json"]).stdout);
    let messages = lines.iter().filter(|l| l["type"] == "message");
    let mut digests: Vec<String> = messages.map(|m| m["sha256"].as_str().unwrap().to_owned()).collect();
    digests.sort();
    digests
}

/// A mail with that text, sent in two steps.
fn mail(file: &mut Pcap, conn: &mut Conn, begin: bool, word: &str) {
    let turns: &[(usize, String)] = &match begin {
        true => [
            (S, "220 mx ESMTP\r\n".to_owned()),
            (C, "EHLO c\r\n".to_owned()),
            (S, "250 mx\r\n".to_owned()),
            (C, "MAIL FROM:<a@b>\r\n".to_owned()),
            (S, "250 ok\r\n".to_owned()),
            (C, "RCPT TO:<c@d>\r\n".to_owned()),
            (S, "250 ok\r\n".to_owned()),
            (C, "DATA\r\n".to_owned()),
        ],
        false => [
            (S, "354 go on\r\n".to_owned()),
            (C, format!("Subject: {word}\r\n\r\n{word}\r\n")),
            (C, ".\r\n".to_owned()),
            (S, "250 2.0.0 Ok\r\n".to_owned()),
            (C, "NOOP\r\n".to_owned()),
            (S, "250 ok\r\n".to_owned()),
            (C, "QUIT\r\n".to_owned()),
            (S, "221 bye\r\n".to_owned()),
        ],
    };
    if begin {
        conn.open(file);
    }
    for (side, line) in turns {
        conn.say(file, *side, line.as_bytes());
    }
    if !begin {
        conn.close(file);
    }
}

/// Each session began at sequence number 0, so that the second between the same endpoints was taken for a repetition of
/// the first.
#[test]
fn sessions_on_the_same_ports_one_after_the_other_stay_two() {
    let dir = tempfile::tempdir().unwrap();
    let capture = dir.path().join("reuse");
    let (mut file, mut first, mut second) = (Pcap::new(), Conn::new(0, 25), Conn::new(0, 25));
    for begin in [true, false] {
        mail(&mut file, &mut first, begin, "first");
    }
    file.now += 100_000_000;
    second.next = second.next.map(|next| next.wrapping_add(0x1000_0000));
    for begin in [true, false] {
        mail(&mut file, &mut second, begin, "second");
    }
    fs::write(&capture, &file.bytes).unwrap();
    let (before, after, _) = before_and_after(&capture, &[]);
    assert_eq!((before.len(), after.len()), (2, 2));
    let found = digests(&capture);
    assert_eq!(found.len(), 2);
    assert_eq!(digests(&capture.with_extension("clear")), found);
}

/// Port 465 is written as 25, where the same client's port may talk to 25 at that time.
#[test]
fn sessions_on_two_ports_at_the_same_time_stay_two() {
    let dir = tempfile::tempdir().unwrap();
    let capture = dir.path().join("ports");
    let (mut file, mut first, mut second) = (Pcap::new(), Conn::new(0, 465), Conn::new(0, 25));
    for begin in [true, false] {
        mail(&mut file, &mut first, begin, "first");
        mail(&mut file, &mut second, begin, "second");
    }
    fs::write(&capture, &file.bytes).unwrap();
    let (before, after, _) = before_and_after(&capture, &[]);
    assert_eq!((before.len(), after.len()), (2, 2));
    assert!(after.iter().all(|s| s["server"]["port"] == 25 && s["complete"] == true && s["messages"] == 1));
    let found = digests(&capture);
    assert_eq!(found.len(), 2);
    assert_eq!(digests(&capture.with_extension("clear")), found);
}

/// The bytes of implicit TLS that stayed closed left no trace: the file said that the server never sent anything.
#[test]
fn what_stays_closed_is_missing_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let capture = dir.path().join("closed.pcap");
    fs::copy(super::case("tls", "tls12-ecdhe-rsa-aes128-gcm-sha256-pop3.pcap").capture, &capture).unwrap();
    let (before, after, ran) = before_and_after(&capture, &[]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("what was not decrypted in 1 of them"), "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing was decrypted"), "{}", ran.stderr);
    let [after] = after.as_slice() else { panic!("{} sessions", after.len()) };
    assert_eq!((&after["complete"], &after["outcome"]), (&Value::Bool(false), &"cut".into()));
    let missing = after["gaps"]["bytes"].as_u64().unwrap();
    assert!((1..=before[0]["undecrypted_bytes"].as_u64().unwrap()).contains(&missing), "{missing}");
}

/// The other direction's handshake and acknowledgements were made up, and denied all that its packets were not there to
/// say.
#[test]
fn one_direction_stays_one_direction() {
    let dir = tempfile::tempdir().unwrap();
    for heard in [C, S] {
        let capture = dir.path().join(format!("side-{heard}"));
        let (mut file, mut conn) = (Pcap::new(), Conn::new(0, 25));
        for begin in [true, false] {
            mail(&mut file, &mut conn, begin, "one way");
        }
        // A record is a header of 16 bytes and a frame, whose TCP header begins with the sender's port.
        let mut kept = file.bytes[..24].to_vec();
        let mut rest = &file.bytes[24..];
        while let Some(len) = rest.get(8..12) {
            let (record, more) = rest.split_at(16 + u32::from_le_bytes(len.try_into().unwrap()) as usize);
            let from_server = record[16 + 14 + 20..][..2] == 25u16.to_be_bytes();
            if from_server == (heard == S) {
                kept.extend_from_slice(record);
            }
            rest = more;
        }
        fs::write(&capture, kept).unwrap();
        let (before, after, _) = before_and_after(&capture, &[]);
        for (before, after) in before.iter().zip(&after) {
            for field in ["protocol", "commands", "messages", "complete", "outcome", "bytes"] {
                assert_eq!(before[field], after[field], "{heard}: {field}");
            }
        }
        assert_eq!((before.len(), after.len()), (1, 1));
        let found = digests(&capture);
        assert_eq!((found.len(), digests(&capture.with_extension("clear"))), (usize::from(heard == C), found));
    }
}

/// What a direction has lost was only missing in its own next packet, so that the other one's did not acknowledge it:
/// the reply to a lost mail answered nothing.
#[test]
fn a_reply_acknowledges_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let capture = dir.path().join("lost");
    let (mut file, mut conn) = (Pcap::new(), Conn::new(0, 25));
    mail(&mut file, &mut conn, true, "lost");
    conn.say(&mut file, S, b"354 go on\r\n");
    conn.next[C] += 710;
    conn.say(&mut file, S, b"250 2.0.0 Ok: queued as 4bXyZ\r\n221 2.0.0 Bye\r\n");
    conn.close(&mut file);
    fs::write(&capture, &file.bytes).unwrap();
    before_and_after(&capture, &[]);
    let message = |file: &Path| {
        let lines = json(&run(&["decode", &text(file), "--json"]).stdout);
        let message = lines.into_iter().find(|l| l["type"] == "message").unwrap();
        ["complete", "outcome", "queue_id"].map(|field| message[field].clone())
    };
    let told = message(&capture);
    assert_eq!(told, [Value::from(false), "accepted".into(), "4bXyZ".into()]);
    assert_eq!(message(&capture.with_extension("clear")), told);
}

/// A window without a scale is 64 KiB: readers did not believe that more than that was missing.
#[test]
fn more_than_a_window_may_be_missing() {
    let dir = tempfile::tempdir().unwrap();
    let capture = dir.path().join("long");
    let (mut file, mut conn) = (Pcap::new(), Conn::new(0, 465));
    conn.open(&mut file);
    conn.say(&mut file, C, &client_hello(7));
    // ServerHello: version, random, no session ID, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, no compression.
    let hello = [&[3, 3][..], &[9; 32], &[0, 0xc0, 0x2f, 0]].concat();
    conn.say(&mut file, S, &record(22, &handshake(2, &hello)));
    for side in [C, S] {
        conn.say(&mut file, side, &[record(20, &[1]), record(22, &[5; 40])].concat());
    }
    for _ in 0..10 {
        conn.say(&mut file, C, &record(23, &[5; 16_000]));
    }
    conn.say(&mut file, S, &record(23, &[5; 100]));
    conn.close(&mut file);
    fs::write(&capture, &file.bytes).unwrap();
    let (before, after, _) = before_and_after(&capture, &[]);
    let (missing, closed) =
        (after[0]["gaps"]["bytes"].as_u64().unwrap(), before[0]["undecrypted_bytes"].as_u64().unwrap());
    assert!((160_100..=closed).contains(&missing), "{missing} of {closed}");
}
