//! What tables and transcripts say to a person.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::script::{c, capture, s};

/// A capture that ships with the sources.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// What a command writes to stdout.
fn text(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailcap"));
    let ran = command.env_remove("MAILCAP_KEY_PASSWORD").stdin(Stdio::null()).args(args).output().unwrap();
    String::from_utf8(ran.stdout).unwrap()
}

/// The exit code, and what is said on stderr.
fn said(args: &[&str]) -> (Option<i32>, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_mailcap")).stdin(Stdio::null()).args(args).output().unwrap();
    (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
}

/// Of several files frames are counted in each from 1, however the files were named.
#[test]
fn of_several_files_each_row_and_heading_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let files = ["pop3-stls-rsa.pcap", "rsa12-smtp-starttls.pcap"].map(|name| {
        let to = dir.path().join(name);
        fs::copy(data("servers").join(name), &to).unwrap();
        to.to_str().unwrap().to_owned()
    });
    let key = data("servers/keys/server.key");
    let key = key.to_str().unwrap();
    let folder = dir.path().to_str().unwrap();
    for how in [&[folder][..], &["--separate", &files[0], &files[1]], &[&files[0], &files[1]]] {
        for command in ["sessions", "auth", "tls"] {
            let table = text(&[&[command, "-k", key], how].concat());
            let mut rows = table.lines();
            assert!(rows.next().unwrap().ends_with("  FILE"), "{table}");
            let of = |file: &String| rows.clone().filter(|row| row.ends_with(&format!("  {file}"))).count();
            let [a, b] = [of(&files[0]), of(&files[1])];
            assert!(a > 0 && b > 0 && a + b == rows.clone().count(), "{table}");
        }
        for layout in [&["decode"][..], &["decode", "--live"]] {
            let told = text(&[layout, how].concat());
            for file in &files {
                let heads = told.lines().filter(|l| l.contains("── ") && l.ends_with(&format!(" · in {file}")));
                assert!(heads.count() > 0, "{layout:?} {how:?}");
            }
            assert!(told.lines().filter(|l| l.contains("── ")).all(|l| l.contains(" · in ")));
        }
    }
    // Of one there is nothing to tell apart.
    for command in ["sessions", "auth", "tls", "decode"] {
        assert!(!text(&[command, &files[0]]).contains("pop3-stls-rsa.pcap"), "{command}");
    }
}

/// The line of a handshake had the time of its session's first frame, and `unknown protocol` is two columns.
#[test]
fn one_line_has_times_that_rise_and_columns_to_count_on() {
    let key = data("servers/keys/server.key");
    let captures = ["servers/rsa12-smtp-starttls.pcap", "servers/starttls-failed.pcap", "tls/f-reneg-client-smtp.pcap"];
    let mut handshakes = 0;
    let opened = ["-k", key.to_str().unwrap()];
    for (capture, keys) in captures.iter().flat_map(|capture| [(capture, &[][..]), (capture, &opened)]) {
        let sessions = text(&["sessions", "--json", data(capture).to_str().unwrap()]);
        for session in sessions.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()) {
            let (id, capture) = (session["id"].to_string(), data(capture));
            let how = ["decode", "--one-line", "--session", &id, capture.to_str().unwrap()];
            let told = text(&[&how, keys].concat());
            let mut before = 0.0;
            for line in told.lines() {
                let [time, from, arrow, to, _, who] = line.split(' ').take(6).collect::<Vec<_>>()[..] else {
                    panic!("{line}");
                };
                let time: f64 = time.parse().unwrap();
                assert!(time >= before, "{told}");
                before = time;
                let addresses = [from, to].iter().all(|ip| ip.parse::<std::net::IpAddr>().is_ok());
                assert!(addresses && arrow == "->" && ["C:", "S:", "*:"].contains(&who), "{line}");
                handshakes += usize::from(line.contains(" *: TLS "));
            }
        }
    }
    assert!(handshakes > 10, "{handshakes}");
}

/// Each line of the example in the README is there as it is shown, and none is passed over but two recipients.
#[test]
fn the_readme_shows_what_the_program_says() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, example) = readme.split_once("$ mailcap decode smtp.pcapng --key server.key\n").unwrap();
    let shown: Vec<&str> = example.split("\n```").next().unwrap().lines().collect();
    let dir = tempfile::tempdir().unwrap();
    for (from, to) in [("tls10-des-cbc-sha-smtp-starttls.pcapng", "smtp.pcapng"), ("keys/rsa1024.pem", "server.key")] {
        fs::copy(data("tls").join(from), dir.path().join(to)).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailcap"));
    let ran = command.current_dir(&dir).args(["decode", "smtp.pcapng", "--key", "server.key"]).output().unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    let mut told = told.lines();
    let mut left_out = 0;
    for line in shown {
        let (begin, end) = line.split_once(" … ").unwrap_or((line, ""));
        let before = told.clone().count();
        assert!(
            told.any(|told| told == line || (!end.is_empty() && told.starts_with(begin) && told.ends_with(end))),
            "{line}"
        );
        left_out += before - told.clone().count() - 1;
    }
    // Two commands, and a reply to each.
    assert_eq!((left_out, told.next()), (4, None));
}

/// The server's own words, as the client recorded them.
#[test]
fn auth_says_with_which_words_a_login_was_refused() {
    let truth = fs::read_to_string(data("servers/smtp-auth-all.json")).unwrap();
    let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
    let sessions = truth["expected"].as_array().unwrap().iter();
    let known = sessions.flat_map(|session| session["auth"].as_array().cloned().unwrap_or_default());
    let refused: Vec<String> = known
        .filter(|auth| auth["outcome"] != "ok")
        .map(|auth| match auth["reply"].as_str().unwrap() {
            long if long.chars().count() > 60 => long.chars().take(59).chain(['…']).collect(),
            reply => reply.to_owned(),
        })
        .collect();
    let table = text(&["auth", data("servers/smtp-auth-all.pcap").to_str().unwrap()]);
    let column = |heading: &str| table.lines().next().unwrap().find(heading).unwrap();
    let (outcome, reply) = (column("OUTCOME"), column("REPLY"));
    let rows = table.lines().skip(1).map(|row| (row[outcome..].split(' ').next().unwrap(), &row[reply..]));
    let (success, failed): (Vec<_>, Vec<_>) = rows.partition(|(outcome, _)| *outcome == "success");
    assert!(success.iter().all(|(_, reply)| *reply == "-"), "{table}");
    assert_eq!(failed.into_iter().map(|(_, reply)| reply).collect::<Vec<_>>(), refused);
    assert!(refused.len() > 5);
}

/// A key log in the comment of a whole capture, as Wireshark's users leave it there, was shown and not used.
#[test]
fn secrets_in_a_comment_open_tls_and_are_masked() {
    let log = fs::read_to_string(data("tls/f-deflate-tls10-imap.keylog")).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("CLIENT_RANDOM ")).collect();
    let comment = format!("made by hand\n{}", lines.join("\n"));
    let option = |code: u16, text: &[u8]| {
        let padding = vec![0; text.len().next_multiple_of(4) - text.len()];
        [&code.to_le_bytes()[..], &u16::try_from(text.len()).unwrap().to_le_bytes(), text, &padding].concat()
    };
    let capture = fs::read(data("tls/f-deflate-tls10-imap.pcapng")).unwrap();
    let old = usize::try_from(u32::from_le_bytes(capture[4..8].try_into().unwrap())).unwrap();
    let options = [option(1, comment.as_bytes()), option(0, b"")].concat();
    let size = u32::try_from(28 + options.len()).unwrap().to_le_bytes();
    let file = tempfile::NamedTempFile::new().unwrap();
    let head = [&capture[..4], &size, &capture[8..24], &options, &size].concat();
    fs::write(file.path(), [&head, &capture[old..]].concat()).unwrap();
    let path = file.path().to_str().unwrap();
    let secret = lines[0].rsplit(' ').next().unwrap();
    for format in [&[][..], &["--json"]] {
        let told = text(&[&["decode", path], format].concat());
        assert!(told.contains("made by hand") && told.contains(" ***") && !told.contains(secret), "{told}");
        assert!(text(&[&["decode", path, "--show-secrets"], format].concat()).contains(secret));
    }
    assert!(text(&["decode", path]).contains(" · secrets inside the capture\n"));
}

/// What people type first, and what to type instead.
#[test]
fn usage_errors_say_what_to_do() {
    for (args, hint) in [
        (&["-k", "server.key", "decode", "x.pcap"][..], "options come after the command"),
        (&["sessions", "--slow", "5", "x.pcap"], "are for jq"),
        (&["sessions", "--live", "x.pcap"], "only decode has --live"),
        (&["auth", "--failed", "x.pcap"], "--errors shows only what failed"),
        (&["decode", "--live"], "to read a capture from standard input, name it: -"),
        (&["decode", "--live", "--json", "x.pcap"], "--json alone writes each object as soon as it is known"),
        (&["decode", "--proto", "imaps", "x.pcap"], "imap is also imap inside TLS"),
        (&["decode", "--host", "mx.example.com", "x.pcap"], "names are never looked up"),
        (&["decode", "--host", "10.0.0.1:25", "x.pcap"], "a port is for --port"),
    ] {
        let (code, text) = said(args);
        assert_eq!(code, Some(2), "{args:?}");
        assert!(text.contains(hint) && !text.contains("as a value"), "{text}");
    }
    // Options that are missing are not captures.
    assert!(!said(&["auth", "--compute", "apop"]).1.contains("standard input"));
}

#[test]
fn a_selection_by_time_that_nothing_fits_tells_from_when_to_when_the_capture_goes() {
    let capture = data("servers/rsa12-smtp-starttls.pcap");
    let with = |options: &[&str]| said(&[&["sessions", capture.to_str().unwrap()], options].concat());
    let (code, text) = with(&["--since", "2026-11-25", "--tz", "+01:00"]);
    let span = "; the capture goes from 2026-11-24 03:59:27 to 2026-11-24 03:59:28 (+01)";
    assert!(code == Some(1) && text.contains(span), "{text}");
    assert!(with(&["--since", "2026-11-25", "--until", "2026-11-23"]).1.contains("; --since is later than --until"));
    assert!(!with(&["--port", "1"]).1.contains("the capture goes"));
    let (code, text) = with(&["--since", "24.11.2026"]);
    let forms = ["'2026-11-24 10:00'", "--tz", "RFC 3339", "@1795514400"];
    assert!(code == Some(2) && forms.iter().all(|form| text.contains(form)), "{text}");
}

/// It was silent, as if it had not looked.
#[test]
fn auth_says_that_there_is_none() {
    for (capture, option, text) in [
        ("lmtp-direct.pcap", &[][..], "no authentication was seen in "),
        ("pop3-full.pcap", &["--errors"], "no failed authentication was seen in "),
    ] {
        let capture = data("servers").join(capture);
        let (_, told) = said(&[&["auth", capture.to_str().unwrap()], option].concat());
        assert!(told.lines().last().unwrap().starts_with(&format!("mailcap: {text}")), "{told}");
    }
}

/// Moves the frames from that one on, counted from 1, by some seconds.
fn pause(capture: &Path, from: usize, seconds: u32) {
    let mut bytes = fs::read(capture).unwrap();
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut number) = (24, 1);
    while at < bytes.len() {
        let (time, len) = (word(&bytes, at), word(&bytes, at + 8) as usize);
        if number >= from {
            bytes[at..at + 4].copy_from_slice(&(time + seconds).to_le_bytes());
        }
        (at, number) = (at + 16 + len, number + 1);
    }
    fs::write(capture, bytes).unwrap();
}

/// It answers no command, so the slowest reply is another; the slow banner was in no list.
#[test]
fn a_greeting_that_was_long_in_coming_can_be_found() {
    let greeting = s("220 mail.example.test ESMTP\r\n");
    let more = [c("EHLO c.test\r\n"), s("250 mail\r\n"), c("QUIT\r\n"), s("221 bye\r\n")];
    for (seconds, first, late) in [(60, &greeting, true), (1, &greeting, false), (60, &c("NOOP\r\n"), false)] {
        let capture = capture(25, &[std::slice::from_ref(first), &more[..]].concat());
        pause(capture.path(), 4, seconds);
        let file = capture.path().to_str().unwrap();
        let told = text(&["decode", file]);
        let said = told.contains(
            "     4              ·  note late-greeting: the greeting came 60.0 s after the connection began\n",
        );
        assert_eq!(said, late, "{told}");
        let session: serde_json::Value = serde_json::from_str(&text(&["sessions", "--json", file])).unwrap();
        let codes = session["diagnostics"].as_array().unwrap().iter().map(|d| d["code"].as_str().unwrap());
        assert_eq!(codes.filter(|code| *code == "late-greeting").count(), usize::from(late));
        assert!(session["slowest_reply"].as_f64().unwrap() < 1.0, "of replies to commands");
    }
}

/// Cyrus' clients as they were made to fail: three of TLS 1.3 alone at a server without it, three that did not know its
/// CA; of these two logged in all the same.
#[test]
fn why_tls_failed_is_said_and_what_was_in_the_clear_for_it() {
    let file = data("servers/starttls-failed.pcap");
    let file = file.to_str().unwrap();
    let explained = text(&["tls", "--explain", file]);
    let verdicts =
        |why: &str| explained.matches(&format!("  Verdict      handshake failed: {why} (handshake-failed)")).count();
    assert_eq!(verdicts("no TLS version in common"), 3, "{explained}");
    assert_eq!(verdicts("the client does not trust the server's certificate"), 3, "{explained}");
    assert_eq!(explained.matches("  Next         Install the CA ").count(), 3);
    let told = text(&["decode", file]);
    assert_eq!(told.matches("handshake failed: no TLS version in common\n").count(), 3, "{told}");
    assert_eq!(
        told.matches("TLS failed, and the session went on in the clear, the password too\n").count(),
        2,
        "{told}"
    );
}
