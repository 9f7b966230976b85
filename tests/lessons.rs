//! What users of other programs run into, and bad input that is known to hurt: a test a lesson, about SMTP, IMAP, POP3,
//! MIME and extraction. Where a lesson has its test elsewhere, [`ELSEWHERE`] says where.

mod common;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::packets::{Random, Shape, Turn, dialogues, packets};
use common::script::{c, capture, codes, decode, digest, flights, only, play, s, verbs};
use common::{How, hex, testdata};
use mailcap::event::{AuthOutcome, MessageOutcome, MessagePart, Outcome, Protocol, Security};
use mailcap::flow::Side;
use serde_json::Value;

/// A lesson, the file and the name of its test.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    // Seen by running other programs.
    (
        "mails are exported byte for byte, dots taken off, from BDAT and POP3, inside TLS",
        "tests/extract.rs",
        "files_are_what_servers_and_clients_recorded",
    ),
    (
        "one story from banner to QUIT across STARTTLS",
        "tests/server_captures.rs",
        "as_servers_logged_and_clients_recorded",
    ),
    ("LOGIN with literals", "src/mail/imap/tests/literals.rs", "login_with_literals"),
    ("partial fetches make a whole", "src/mail/imap/tests/fetches.rs", "ranges_make_a_whole"),
    ("literals+ export right", "src/mail/imap/tests/literals.rs", "append"),
    ("body lines are not commands", "src/mail/smtp/tests/framing.rs", "content_before_the_354"),
    // What people ask for.
    ("a gap is reported, never joined", "tests/extract.rs", "a_message_with_a_gap_says_so_in_its_name"),
    ("a gap amid a message costs its digest's truth", "src/mail/smtp/tests/losses.rs", "a_gap_amid_a_message"),
    ("BDAT 0 LAST", "src/mail/smtp/tests/dialogues.rs", "chunks"),
    ("rejected and pipelined chunks", "src/mail/smtp/tests/dialogues.rs", "refused_chunks"),
    ("RSET in the middle of chunks", "src/mail/smtp/tests/extensions.rs", "rset_around_chunks"),
    ("no envelope leaks into the next mail", "src/mail/smtp/tests/dialogues.rs", "envelopes_end_where_they_should"),
    ("plaintext injected before TLS", "tests/contract/framing.rs", "injected_commands_are_outside_the_counted_ones"),
    ("passwords are blanked everywhere, arguments too", "tests/secrets.rs", "no_command_leaks_a_password"),
    ("{50} inside quotes, {0}, literals split anywhere", "src/mail/imap/tests/literals.rs", "literals_in_arguments"),
    ("{5} at the end of response text", "src/mail/imap/tests/literals.rs", "response_text_carries_no_literals"),
    (
        "JSON does not change its shape",
        "tests/contract/fields.rs",
        "every_object_of_a_type_has_the_same_fields_in_real_captures",
    ),
    ("MAIL FROM:x without a space", "src/mail/smtp/tests/extensions.rs", "envelopes_without_blanks_and_brackets"),
    // Bad input: SMTP.
    ("no line end for long", "src/mail/smtp/tests/framing.rs", "endless_lines_are_bounded"),
    ("bare LF and CR, smuggling taken", "src/mail/smtp/tests/framing.rs", "smuggling_that_the_server_takes"),
    (
        "bare LF and CR, smuggling not taken",
        "src/mail/smtp/tests/framing.rs",
        "smuggling_that_the_server_does_not_take",
    ),
    ("a client of LFs alone", "src/mail/smtp/tests/framing.rs", "lf_only_client"),
    ("DATA refused", "src/mail/smtp/tests/dialogues.rs", "data_refused_is_no_message"),
    ("AUTH cancelled", "src/mail/smtp/tests/dialogues.rs", "authentication"),
    ("invalid base64", "src/mail/sasl/tests.rs", "cancelled_and_garbled"),
    ("PROXY before the banner", "tests/dialogues.rs", "a_proxy_header_names_the_client_of_any_protocol"),
    ("PROXY before TLS", "tests/dialogues.rs", "a_proxy_header_in_front_of_tls"),
    ("HTTP sent to port 25", "tests/dialogues.rs", "another_protocol_on_a_mail_port_is_a_session_that_says_so"),
    // Bad input: IMAP and POP3.
    ("{4294967296}, {-1}", "src/mail/imap/tests/literals.rs", "lengths_that_lie"),
    ("{10+} refused", "src/mail/imap/tests/literals.rs", "non_synchronising_literal_is_sent_even_if_refused"),
    ("~{n}", "src/mail/imap/tests/extensions.rs", "binary"),
    ("nesting is bounded", "src/mail/imap/tests/fetches.rs", "nesting_is_bounded"),
    ("IDLE", "src/mail/imap/tests/basics.rs", "idle"),
    ("a deflate bomb", "src/session/inflate.rs", "a_bomb_is_stopped_at_the_ratio"),
    ("stuffed dots in POP3", "src/mail/pop3/body.rs", "ends_and_dots"),
    ("TOP without a size", "src/mail/pop3/tests.rs", "top_is_told_from_retr_without_the_commands"),
    ("APOP", "src/mail/pop3/tests/auth.rs", "apop_is_judged"),
    ("STLS refused", "src/mail/pop3/tests.rs", "stls"),
    // Bad input: MIME and output.
    ("a boundary that prefixes another", "src/mail/message/tests.rs", "parts_are_found"),
    ("hostile names of attachments", "src/output/extract/names.rs", "attachment_names_are_harmless"),
    ("a name of 300 bytes", "src/output/extract/names.rs", "a_long_attachment_name_keeps_its_extension"),
    ("From lines in mbox", "src/output/extract/tests.rs", "a_maildir_and_an_mbox_hold_the_same_mails"),
    ("double the size, double the time", "tests/hostile/shapes.rs", "write_shapes"),
];

#[test]
fn tests_elsewhere_are_there() {
    for (lesson, file, test) in ELSEWHERE {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert!(text.contains(&format!("fn {test}(")), "{lesson}: no {test} in {file}");
    }
}

fn program(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mailcap")).args(args).output().unwrap()
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// A session with one mail of these bytes (no line begins with a dot), the data in packets of a size that fits.
fn mail_of(content: &[u8]) -> Vec<Turn> {
    let mut turns = vec![
        s("220 mx ESMTP\r\n"),
        c("EHLO me\r\n"),
        s("250 mx\r\n"),
        c("MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n"),
        s("250 ok\r\n250 ok\r\n354 go\r\n"),
    ];
    turns.extend(content.chunks(60_000).map(c));
    turns.extend([c(".\r\n"), s("250 2.0.0 Ok: queued as A1\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]);
    turns
}

// SMTP.

#[test]
fn lone_dots_at_segment_edges() {
    let content = "a\r\n..\r\n...\r\n.x\r\nb.\r\n.\r";
    let mut turns = mail_of(b"");
    turns.splice(5..5, (0..content.len()).map(|i| c(&content[i..=i])));
    let end = turns.iter().position(|t| t.bytes == b".\r\n").unwrap();
    turns[end] = c("\n");
    let told = play(25, &turns);
    let message = &only(&told).messages[0];
    assert_eq!(hex(&message.sha256.unwrap()), digest("a\r\n.\r\n..\r\nx\r\nb.\r\n"));
    assert_eq!((message.complete, codes(&told)), (true, vec![]));
}

#[test]
fn two_mails_of_a_connection_are_two() {
    let mut turns = mail_of(b"Subject: one\r\n\r\n");
    let second = mail_of(b"Subject: two\r\n\r\n")[3..].to_vec();
    turns.truncate(turns.len() - 2);
    let told = play(25, &[turns, second].concat());
    let subjects: Vec<_> = only(&told).messages.iter().map(|m| (m.transaction, m.subject.clone().unwrap())).collect();
    assert_eq!(subjects, [(1, "one".to_owned()), (2, "two".to_owned())]);
}

#[test]
fn plaintext_behind_an_accepted_starttls_goes_on_and_is_told() {
    // A capture from behind a middlebox that decrypts.
    let turns = [
        s("220 x\r\n"),
        c("EHLO a\r\n"),
        s("250-x\r\n250 STARTTLS\r\n"),
        c("STARTTLS\r\n"),
        s("220 go\r\n"),
        c("EHLO inside\r\n"),
        s("250 x\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let told = play(25, &turns);
    assert_eq!(verbs(&told), ["EHLO", "STARTTLS", "EHLO", "QUIT"]);
    assert_eq!(codes(&told), ["plaintext-after-starttls"]);
    let session = only(&told).session();
    assert_eq!((session.outcome, session.security, session.commands), (Outcome::Completed, Security::None, 4));
    assert!(only(&told).commands.iter().all(|c| !c.injected && !c.tls));
}

#[test]
fn replies_injected_behind_the_answer_to_starttls_are_told() {
    for (port, turns) in [
        (25, [s("220 x\r\n"), c("STARTTLS\r\n"), s("220 go\r\n250 injected\r\n")]),
        (143, [s("* OK x\r\n"), c("a STARTTLS\r\n"), s("a OK go\r\n* CAPABILITY evil\r\n")]),
        (110, [s("+OK x\r\n"), c("STLS\r\n"), s("+OK go\r\n+OK injected\r\n")]),
    ] {
        let hello = c([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]);
        let told = play(port, &[&turns[..], &[hello]].concat());
        assert!(codes(&told).contains(&"injected-replies"), "port {port}: {:?}", codes(&told));
    }
}

#[test]
fn a_password_with_esc_and_nul() {
    // `\0al\x1bice\0p\x1b]52;c;eA==\x07\0w`
    let turns = [
        s("220 x\r\n"),
        c("AUTH PLAIN AGFsG2ljZQBwG101MjtjO2VBPT0HAHc=\r\n"),
        s("235 ok\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let told = play(587, &turns);
    let auth = &only(&told).auth[0];
    assert_eq!((auth.user.clone(), auth.outcome), (Some("al\u{1b}ice".into()), AuthOutcome::Success));
    let file = capture(587, &turns);
    for args in [
        &["decode"][..],
        &["auth"],
        &["sessions"],
        &["decode", "--json"],
        &["auth", "--json"],
        &["auth", "--show-secrets"],
    ] {
        let shown = program(&[args, &[path(&file)]].concat()).stdout;
        assert!(!shown.iter().any(|b| matches!(b, 0 | 7 | 0x1b)), "{args:?}: {}", String::from_utf8_lossy(&shown));
    }
}

#[test]
fn xclient_before_the_banner() {
    let turns = [
        c("XCLIENT NAME=a ADDR=10.1.1.1\r\n"),
        s("220 x ESMTP\r\n"),
        s("220 x ESMTP\r\n"),
        c("EHLO a\r\n"),
        s("250 x\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let told = play(25, &turns);
    assert_eq!(verbs(&told), ["XCLIENT", "EHLO", "QUIT"]);
    assert_eq!(only(&told).session().outcome, Outcome::Completed);
    let answers: Vec<_> = only(&told).replies.iter().map(|r| r.command.is_some()).collect();
    assert_eq!(answers, [false, true, true, true], "the greeting, and the answer to XCLIENT");
}

#[test]
fn tls_sent_to_port_25() {
    let hello = [&[0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3][..], &[7; 32], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
    let turns = [s("220 mx ESMTP\r\n"), c(&hello), s("502 5.5.2 command not recognized\r\n")];
    let told = play(25, &turns);
    let session = only(&told).session();
    assert_eq!(session.banner, Some("mx ESMTP".into()));
    assert!(codes(&told).contains(&"unannounced-tls"), "{:?}", codes(&told));
    assert_ne!(session.outcome, Outcome::Completed);
}

// IMAP.

#[test]
fn parentheses_nested_a_hundred_thousand_deep() {
    let deep = "(".repeat(50_000);
    let turns = [
        s("* OK hi\r\n"),
        c("a FETCH 1 BODYSTRUCTURE\r\n"),
        s(format!("* 1 FETCH (BODYSTRUCTURE {deep}")),
        s(deep.clone()),
        s(" UID 3 BODY[] {2}\r\nhi)\r\n* 2 EXISTS\r\na OK done\r\n"),
        c("b LOGOUT\r\n"),
        s("* BYE\r\nb OK\r\n"),
    ];
    let told = play(143, &turns);
    assert_eq!(verbs(&told), ["FETCH", "LOGOUT"]);
    assert!(codes(&told).contains(&"nesting-limit"), "{:?}", codes(&told));
    assert_eq!(only(&told).session().outcome, Outcome::Completed);
}

#[test]
fn compressed_imap_is_read_and_a_gap_in_it_is_told() {
    let dialogue = dialogues(testdata().join("servers/imap-compress.pcap"))
        .into_iter()
        .find(|d| d.turns.iter().any(|t| t.bytes.windows(8).any(|w| w.eq_ignore_ascii_case(b"COMPRESS"))))
        .unwrap();
    let list = packets(&dialogue, &Shape { segment: 1400, isn: [1, 1] }, &mut Random::new(1));
    let whole = decode(&dialogue, &list, &How::default());
    let commands = only(&whole).commands.len();
    let at = verbs(&whole).iter().position(|v| v == "COMPRESS").unwrap();
    assert!(commands > at + 2, "what follows is told: {:?}", verbs(&whole));
    assert!(only(&whole).session().complete);
    // The client's last packets but one are inside.
    let mut lossy = list.clone();
    let inside: Vec<usize> =
        (0..list.len()).filter(|&i| list[i].side == Side::Initiator && !list[i].payload.is_empty()).collect();
    lossy.remove(inside[inside.len() - 3]);
    let told = decode(&dialogue, &lossy, &How::default());
    assert!(!only(&told).session().complete);
    assert!(only(&told).commands.len() < commands);
    assert!(only(&told).gaps.iter().any(|g| g.bytes > 0));
    assert!(codes(&told).contains(&"compression-failed"), "{:?}", codes(&told));
}

// POP3.

#[test]
fn a_retr_whose_reply_is_one_piece() {
    let turns = [
        s("+OK ready\r\n"),
        c("STLS\r\n"),
        s("-ERR\r\n"),
        c("RETR 1\r\n"),
        s("+OK\r\nSubject: x\r\n\r\n..hi\r\n.\r\n"),
        c("QUIT\r\n"),
        s("+OK\r\n"),
    ];
    let told = play(110, &turns);
    assert_eq!(hex(&only(&told).messages[0].sha256.unwrap()), digest("Subject: x\r\n\r\n.hi\r\n"));
    // A bare +OK to STLS, and TLS behind it.
    let mut tls = dialogues(testdata().join("servers/pop3-stls-rsa.pcap")).remove(0);
    let answer = tls.turns.iter_mut().skip_while(|t| !t.bytes.eq_ignore_ascii_case(b"STLS\r\n")).nth(1).unwrap();
    answer.bytes = b"+OK\r\n".to_vec();
    let keys = [testdata().join("servers/keys/server.key")];
    let told = decode(&tls, &flights(&tls), &How { keys: &keys, ..How::default() });
    assert_eq!(only(&told).session().security, Security::StartTls);
    assert!(only(&told).commands.iter().any(|c| c.tls) && only(&told).session().complete);
}

#[test]
fn an_octet_count_that_lies_ends_no_message() {
    for count in ["1 octets", "99999 octets", "0 octets", "4294967296 octets", "-1 octets"] {
        let told = play(
            110,
            &[
                s("+OK ready\r\n"),
                c("RETR 1\r\n"),
                s(format!("+OK {count}\r\na: b\r\n\r\nhi\r\n.\r\n")),
                c("QUIT\r\n"),
                s("+OK\r\n"),
            ],
        );
        let message = &only(&told).messages[0];
        assert_eq!((message.size, message.complete, message.part), (12, true, MessagePart::Full), "{count}");
        assert_eq!(only(&told).session().outcome, Outcome::Completed);
    }
}

// TLS on odd ports.

#[test]
fn tls_on_an_odd_port_is_decrypted_and_told_as_mail() {
    let mut dialogue = dialogues(testdata().join("tls/f-reneg-client-smtp.pcap")).remove(0);
    dialogue.server.set_port(12_345);
    let keys = [testdata().join("tls/keys/rsa2048.pem")];
    let told = decode(&dialogue, &flights(&dialogue), &How { keys: &keys, ..How::default() });
    assert_eq!(only(&told).session().protocol, Some(Protocol::Smtp));
    assert!(verbs(&told).contains(&"DATA".to_owned()));
}

// MIME.

#[test]
fn parts_nested_ten_thousand_deep() {
    let mut mail = String::from("MIME-Version: 1.0\r\n");
    for i in 0..10_000 {
        mail.push_str(&format!("Content-Type: multipart/mixed; boundary=b{i}x\r\n\r\n--b{i}x\r\n"));
    }
    mail.push_str("Content-Disposition: attachment; filename=deep\r\n\r\nx\r\n");
    let told = play(25, &mail_of(mail.as_bytes()));
    let message = &only(&told).messages[0];
    assert_eq!((message.size, hex(&message.sha256.unwrap())), (mail.len() as u64, digest(&mail)));
    assert_eq!((message.complete, message.outcome), (true, MessageOutcome::Accepted));
    assert!(codes(&told).contains(&"nesting-limit"));
}

#[test]
fn a_million_parts() {
    let mut mail = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for _ in 0..1_000_000 {
        mail.extend_from_slice(b"--b\r\n\r\nx\r\n");
    }
    let last = b"--b\r\nContent-Disposition: attachment; filename=last\r\n\r\nhello\r\n--b--\r\n";
    mail.extend_from_slice(last);
    let told = play(25, &mail_of(&mail));
    let message = &only(&told).messages[0];
    assert_eq!((message.size, message.complete), (mail.len() as u64, true));
    assert_eq!(message.attachments.last().and_then(|a| a.filename.as_deref()), Some("last"));
}

#[test]
fn a_boundary_that_prefixes_another() {
    let mail = "Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\
                Content-Type: multipart/mixed; boundary=abc\r\n\r\n--abc\r\n\
                Content-Disposition: attachment; filename=inner\r\n\r\nI\r\n--abc--\r\n--ab\r\n\
                Content-Disposition: attachment; filename=outer\r\n\r\nO\r\n--ab--\r\n";
    let told = play(25, &mail_of(mail.as_bytes()));
    let found: Vec<_> =
        only(&told).messages[0].attachments.iter().map(|a| (a.filename.clone().unwrap(), a.size)).collect();
    assert_eq!(found, [("inner".to_owned(), 1), ("outer".to_owned(), 1)]);
}

// Extraction and what is shown.

fn extract(turns: &[Turn], more: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let file = capture(25, turns);
    let out = dir.path().join("out");
    let ran = program(&[&["extract", path(&file), "-o", out.to_str().unwrap()], more].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    dir
}

fn listed(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn hostile_names_stay_in_the_folder() {
    let long = "n".repeat(300) + ".txt";
    let names = [
        "../x",
        "..",
        "/etc/x",
        "C:\\\\x",
        "CON",
        "nul.txt",
        "a%00b",
        "\u{202e}gpj.exe",
        &long,
        "Case",
        "cASE",
        "Case",
        ".hidden",
        "-rf",
        "",
        " ",
        "x/../../y",
    ];
    let mut mail = String::from("Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    for name in names {
        let name = match name {
            "a%00b" => "filename*=utf-8''a%00b".to_owned(),
            name => format!("filename=\"{name}\""),
        };
        mail.push_str(&format!("--b\r\nContent-Disposition: attachment; {name}\r\n\r\n{name}\r\n"));
    }
    mail.push_str("--b--\r\n");
    let dir = extract(&mail_of(mail.as_bytes()), &["--attachments"]);
    assert_eq!(listed(dir.path()), ["out"], "nothing beside the folder");
    let out = dir.path().join("out");
    let folder = listed(&out).into_iter().find(|n| n.ends_with(".attachments")).unwrap();
    let saved = listed(&out.join(folder));
    assert_eq!(saved.len(), names.len(), "{saved:?}");
    let folded: BTreeSet<String> = saved.iter().map(|n| n.to_lowercase()).collect();
    assert_eq!(folded.len(), saved.len(), "apart without regard to case: {saved:?}");
    for name in &saved {
        assert!(name.len() <= 255 && !name.chars().any(|c| c.is_control() || "/\\:\u{202e}".contains(c)), "{name:?}");
        let stem = name.split('.').next().unwrap().to_uppercase();
        assert!(!name.starts_with(['.', '-']) && !["CON", "NUL"].contains(&stem.as_str()), "{name}");
    }
}

#[test]
fn twenty_thousand_mails_of_one_subject() {
    const MAILS: usize = 20_000;
    let mut turns = vec![s("220 mx ESMTP\r\n"), c("EHLO me\r\n"), s("250 mx\r\n")];
    for i in 0..MAILS {
        turns.push(c("MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n"));
        turns.push(s("250 ok\r\n250 ok\r\n354 go\r\n"));
        turns.push(c(format!("Subject: the same\r\n\r\n{i}\r\n.\r\n")));
        turns.push(s("250 ok\r\n"));
    }
    turns.extend([c("QUIT\r\n"), s("221 bye\r\n")]);
    let dir = extract(&turns, &[]);
    let out = dir.path().join("out");
    assert_eq!(listed(&out).len(), MAILS + 1);
    let manifest = fs::read_to_string(out.join("manifest.jsonl")).unwrap();
    let mut seen = BTreeSet::new();
    for line in manifest.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = fs::read_to_string(out.join(row["path"].as_str().unwrap())).unwrap();
        assert_eq!(row["sha256"], digest(&text));
        seen.insert(text);
    }
    assert_eq!(seen.len(), MAILS);
}

#[test]
fn esc_and_osc_52_in_a_subject() {
    let mail = "Subject: \u{1b}]52;c;ZXZpbA==\u{7}\u{1b}[2J\u{9b}31m =?utf-8?q?=1b[31m=07?= \u{202e}x\r\nFrom: \u{1b}c <a@x>\r\n\r\n";
    let turns = mail_of(mail.as_bytes());
    let file = capture(25, &turns);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    for args in [
        &["decode"][..],
        &["decode", "--bodies"],
        &["decode", "--one-line"],
        &["decode", "--live"],
        &["decode", "--json"],
        &["decode", "--json", "--bodies"],
        &["sessions"],
        &["extract", "-o", out.to_str().unwrap()],
    ] {
        let ran = program(&[args, &[path(&file)]].concat());
        for shown in [ran.stdout, ran.stderr, fs::read(out.join("manifest.jsonl")).unwrap_or_default()] {
            let text = String::from_utf8(shown).unwrap();
            let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
            assert_eq!(bad, None, "{args:?}: {text}");
        }
    }
}

/// A JSON value of which no object has a key twice.
struct Unique;

impl<'de> serde::Deserialize<'de> for Unique {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> serde::de::Visitor<'de> for Visit {
            type Value = Unique;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut keys = BTreeSet::new();
                while let Some((key, Unique)) = map.next_entry::<String, Unique>()? {
                    if !keys.insert(key.clone()) {
                        return Err(serde::de::Error::custom(format!("{key} twice")));
                    }
                }
                Ok(Unique)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
                while seq.next_element::<Unique>()?.is_some() {}
                Ok(Unique)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_unit<E>(self) -> Result<Unique, E> {
                Ok(Unique)
            }
        }
        from.deserialize_any(Visit)
    }
}

#[test]
fn no_key_stands_twice_in_an_object() {
    let turns = [
        s(b"220 caf\xe9\r\n"),
        c(b"EHLO \xff\r\n"),
        s(b"250-x\xe9\r\n250 y\xe9\r\n"),
        c(b"MAIL FROM:<\xe9>\r\nRCPT TO:<\xe8>\r\nDATA\r\n"),
        s("250 ok\r\n250 ok\r\n354 go\r\n"),
        c(b"Subject: \xe9\r\n\r\n\xe9\r\n.\r\n"),
        s("250 ok\r\n"),
    ];
    let file = capture(25, &turns);
    let ran = program(&["decode", "--json", "--bodies", "--stats", path(&file)]);
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(text.lines().count() > 10 && text.contains("_b64"));
    for line in text.lines() {
        let unique: Result<Unique, _> = serde_json::from_str(line);
        assert!(unique.is_ok(), "{:?}: {line}", unique.err());
    }
    assert!(serde_json::from_str::<Unique>("{\"a\":1,\"a\":2}").is_err());
}
