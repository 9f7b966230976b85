//! What holds for each protocol.

use super::imap::Imap;
use super::pop3::Pop3;
use super::script::{Step, Told, c, play, s};
use super::sieve::Sieve;
use super::smtp::Smtp;
use super::*;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;

/// An authentication in each protocol's words: `begin` behind AUTH or AUTHENTICATE, what the client answers to empty
/// challenges, and a refusal.
fn in_each(begin: &str, answers: &[&str]) -> [(&'static str, Told); 4] {
    let dialogue = |greeting: &str, command: &str, challenge: &str, refusal: &str| -> Vec<Step> {
        let mut steps = vec![s(greeting), c(format!("{command} {begin}\r\n"))];
        for answer in answers {
            steps.extend([s(challenge), c(format!("{answer}\r\n"))]);
        }
        steps.push(s(refusal));
        steps
    };
    let options = Options::default();
    let smtp = dialogue("220 mx ESMTP\r\n", "AUTH", "334 \r\n", "535 5.7.8 no\r\n");
    let imap = dialogue("* OK IMAP4rev1\r\n", "a AUTHENTICATE", "+ \r\n", "a NO no\r\n");
    let pop3 = dialogue("+OK ready\r\n", "AUTH", "+ \r\n", "-ERR no\r\n");
    let quoted = |line: &str| line.split(' ').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" ");
    let mut sieve = vec![s("OK\r\n"), c(format!("AUTHENTICATE {}\r\n", quoted(begin)))];
    for answer in answers {
        sieve.extend([s("\"\"\r\n"), c(format!("\"{answer}\"\r\n"))]);
    }
    sieve.push(s("NO\r\n"));
    [
        ("SMTP", play(Smtp::new, &smtp, &options, false)),
        ("IMAP", play(Imap::new, &imap, &options, false)),
        ("POP3", play(Pop3::new, &pop3, &options, false)),
        ("ManageSieve", play(Sieve::new, &sieve, &options, false)),
    ]
}

fn codes(told: &Told) -> Vec<String> {
    told.lines().into_iter().filter_map(|line| line.strip_prefix("! ").map(str::to_owned)).collect()
}

#[test]
fn a_password_or_token_in_the_clear_is_told_and_nothing_else() {
    let bearer = "bixhPWJvYkBleC5vcmcsAWF1dGg9QmVhcmVyIHNlY3JldAEB";
    let xoauth2 = "dXNlcj1ib2IBYXV0aD1CZWFyZXIgc2VjcmV0AQE=";
    type Case<'a> = (&'a str, &'a [&'a str], bool);
    let cases: [Case<'_>; 8] = [
        ("PLAIN AGJvYgBzZWNyZXQ=", &[], true),
        ("PLAIN", &["AGJvYgBzZWNyZXQ="], true),
        ("LOGIN", &["Ym9i", "c2VjcmV0"], true),
        (&format!("OAUTHBEARER {bearer}"), &[], true),
        ("XOAUTH2", &[xoauth2], true),
        // Refused before anything was sent, or cancelled.
        ("PLAIN", &[], false),
        ("PLAIN", &["*"], false),
        ("LOGIN", &["Ym9i"], false),
    ];
    for (begin, answers, told) in cases {
        for (protocol, dialogue) in in_each(begin, answers) {
            let want: &[&str] = if told { &["plaintext-password"] } else { &[] };
            assert_eq!(codes(&dialogue), want, "{protocol} {begin} {answers:?}");
        }
    }
}

#[test]
fn what_is_no_base64_is_told() {
    for (protocol, dialogue) in in_each("CRAM-MD5", &["my!pass*word"]) {
        assert_eq!(codes(&dialogue), ["invalid-base64"], "{protocol}");
    }
    for (protocol, dialogue) in in_each("PLAIN my!pass*word", &[]) {
        assert_eq!(codes(&dialogue), ["plaintext-password", "invalid-base64"], "{protocol}");
    }
}

#[test]
fn the_token_of_a_url_is_hidden_wherever_it_stands() {
    const TOKEN: &str = "91354a473744909de610943775f92038";
    let url = format!("imap://joe@ex.test/INBOX/;uid=20;urlauth=submit+fred:internal:{TOKEN}");
    let imap = [
        s("* OK IMAP4rev1\r\n"),
        c("a GENURLAUTH \"imap://joe@ex.test/INBOX/;uid=20;urlauth=submit+fred\" INTERNAL\r\n"),
        s(format!("* GENURLAUTH \"{url}\"\r\na OK\r\n")),
        c(format!("b URLFETCH \"{url}\"\r\n")),
        s(format!("* URLFETCH \"{url}\" \"x\"\r\nb OK\r\n")),
        c(format!("c APPEND x CATENATE (URL \"{url}\")\r\n")),
        s(format!("c NO [BADURL \"{url}\"] no\r\n")),
    ];
    let smtp = [
        s("220 mx ESMTP\r\n"),
        c("MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\n"),
        s("250 ok\r\n250 ok\r\n"),
        c(format!("BURL {url} LAST\r\n")),
        s(format!("554 5.6.6 {url}\r\n")),
    ];
    for (told, count) in [
        (play(Imap::new, &imap, &Options::default(), false), 5),
        (play(Smtp::new, &smtp, &Options::default(), false), 2),
    ] {
        let lines = told.lines();
        assert_eq!(lines.iter().filter(|line| line.contains("fred:internal:***")).count(), count, "{lines:?}");
        assert!(!format!("{:?}", told.events).contains(TOKEN));
    }
    let shown = Options { show_secrets: true, ..Options::default() };
    assert!(play(Imap::new, &imap, &shown, false).lines()[2].contains(TOKEN));
}

#[test]
fn a_password_that_a_refusal_repeats_is_hidden_in_the_messages_status() {
    let steps = [
        s("220 mx ESMTP\r\n"),
        c("AUTH PLAIN AGJvYgBTM2NyZXQtd29yZA==\r\n"),
        s("235 ok\r\n"),
        c("MAIL FROM:<a@x>\r\n"),
        s("250 ok\r\n"),
        c("RCPT TO:<b@y>\r\n"),
        s("250 ok S3cret-word\r\n"),
        c("DATA\r\n"),
        s("354 go\r\n"),
        c("x\r\n.\r\n"),
        s("554 no: S3cret-word\r\n"),
    ];
    let told = format!("{:?}", play(Smtp::new, &steps, &Options::default(), false).events);
    assert!(told.contains("554 no: ***") && !told.contains("S3cret"), "{told}");
}

/// Texts of replies that follow a login as `alice` with a password.
fn answered(password: &str, replies: &[&str]) -> String {
    let login = BASE64.encode(format!("\0alice\0{password}"));
    let mut steps = vec![s("220 mx\r\n"), c(format!("AUTH PLAIN {login}\r\n")), s("235 ok\r\n")];
    for reply in replies {
        steps.extend([c("NOOP\r\n"), s(format!("{reply}\r\n"))]);
    }
    format!("{:?}", play(Smtp::new, &steps, &Options::default(), false).events)
}

#[test]
fn a_short_password_is_hidden_in_urls_and_behind_escapes() {
    for password in ["abc123", "Zq7XkWv"] {
        for text in [
            "imap://alice:PW@imap.example.test",
            "alice:PW@host",
            r"\x00alice\x00PW",
            r"\000alice\000PW",
            "alice%3APW",
            "alice=00PW",
            "alice:PW",
        ] {
            let told = answered(password, &[&format!("454 no {}", text.replace("PW", password))]);
            assert!(told.contains("454") && !told.contains(password), "{text}: {told}");
        }
        // The name of a host or of a mailbox is none.
        for text in ["PW.example.test", "<PW@example.test>"] {
            let told = answered(password, &[&format!("454 no {}", text.replace("PW", password))]);
            assert!(told.contains(password), "{text}: {told}");
        }
    }
}

#[test]
fn a_name_typed_with_its_line_end_is_told() {
    // `echo alice | base64`.
    for (protocol, told) in in_each("LOGIN", &["YWxpY2UK", "c2VjcmV0"]) {
        assert!(format!("{:?}", told.events).contains("alice"), "{protocol}");
    }
}
