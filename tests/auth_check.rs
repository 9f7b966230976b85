//! `auth --check` on the examples that RFCs and specifications publish: each answer is judged by its password.

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::packets::Turn;
use common::script::{c, capture, s};
use serde_json::Value;

/// An AUTHENTICATE in IMAP: challenges and responses in turn, a challenge first.
fn authenticate(mechanism: &str, lines: &[&str]) -> Vec<Turn> {
    let mut turns = vec![s("* OK hi\r\n"), c(format!("a AUTHENTICATE {mechanism}\r\n"))];
    for (n, line) in lines.iter().enumerate() {
        let line = if line.is_empty() { String::new() } else { STANDARD.encode(line) };
        turns.push(if n % 2 == 0 { s(format!("+ {line}\r\n")) } else { c(format!("{line}\r\n")) });
    }
    turns.extend([s("a OK in\r\n"), c("b LOGOUT\r\n"), s("* BYE\r\nb OK\r\n")]);
    turns
}

struct Example {
    mechanism: &'static str,
    user: &'static str,
    password: &'static str,
    port: u16,
    turns: Vec<Turn>,
}

fn examples() -> Vec<Example> {
    // RFC 2195 §2.
    let cram = ["<1896.697170952@postoffice.reston.mci.net>", "tim b913a602c7eda7a495b4e6e7334d3890"];
    // RFC 2831 §4.
    let digest = [
        "realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",qop=\"auth\",algorithm=md5-sess,charset=utf-8",
        "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",nc=00000001,\
         cnonce=\"OA6MHXh6VqTrRk\",digest-uri=\"imap/elwood.innosoft.com\",response=d388dad90d4bbd760a152321f2143af7,qop=auth",
        "rspauth=ea40f60335c427b5527b84dbabcdfffd",
        "",
    ];
    // RFC 5802 §5.
    let sha1 = [
        "",
        "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        "",
    ];
    // RFC 7677 §3.
    let sha256 = [
        "",
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        "",
    ];
    // RFC 1939 §7.
    let apop = vec![
        s("+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n"),
        c("APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"),
        s("+OK maildrop has 1 message\r\n"),
        c("QUIT\r\n"),
        s("+OK\r\n"),
    ];
    // The messages of Davenport's documentation of NTLM.
    let ntlm = vec![
        s("220 x\r\n"),
        c("AUTH NTLM TlRMTVNTUAABAAAABzIAAAYABgArAAAACwALACAAAABXT1JLU1RBVElPTkRPTUFJTg==\r\n"),
        s("334 TlRMTVNTUAACAAAADAAMADAAAAABAoEAASNFZ4mrze8AAAAAAAAAAGIAYgA8AAAA\r\n"),
        c(
            "TlRMTVNTUAADAAAAGAAYAGoAAAAYABgAggAAAAwADABAAAAACAAIAEwAAAAWABYAVAAAAAAAAACaAAAAAQIAAEQATwBNAEEASQBOAHUAcwBlAHIA\
           VwBPAFIASwBTAFQAQQBUAEkATwBOAMM3zVy9RPyXgqZnr21CfG3mfCDC0+d8ViWpjBwx6BhHRmspst9GgPOZWPuMITqcxg==\r\n",
        ),
        s("235 2.7.0 ok\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let imap = |mechanism, user, password, lines: &[&str]| Example {
        mechanism,
        user,
        password,
        port: 143,
        turns: authenticate(mechanism, lines),
    };
    vec![
        imap("CRAM-MD5", "tim", "tanstaaftanstaaf", &cram),
        imap("DIGEST-MD5", "chris", "secret", &digest),
        imap("SCRAM-SHA-1", "user", "pencil", &sha1),
        imap("SCRAM-SHA-256", "user", "pencil", &sha256),
        Example { mechanism: "APOP", user: "mrose", password: "tanstaaf", port: 110, turns: apop },
        Example { mechanism: "NTLM", user: "user", password: "SecREt01", port: 587, turns: ntlm },
    ]
}

/// What `auth --check -` says with these lines of users.
fn check(capture: &str, users: &str, json: bool) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailcap"));
    command.args(["auth", capture, "--check", "-", "--key", "testdata/servers/keys/server.key"]);
    command.args(json.then_some("--json"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(users.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn published_examples_are_judged() {
    for Example { mechanism, user, password, port, turns } in examples() {
        let file = capture(port, &turns);
        let path = file.path().to_str().unwrap();
        for (users, verified) in [
            (format!("{user}:{password}\n"), Value::Bool(true)),
            (format!("# a comment\nother:x\n{user}:wrong\n"), Value::Bool(false)),
            ("somebody:else\n".to_owned(), Value::Null),
            // As an editor on Windows saves it.
            (format!("\u{feff}{user}:{password}\r\n"), Value::Bool(true)),
            (format!("\u{feff}# a comment\r\n{user}:{password}\r\n"), Value::Bool(true)),
        ] {
            let text = check(path, &users, true);
            let auth: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
            assert_eq!((&auth["mechanism"], &auth["user"]), (&mechanism.into(), &user.into()));
            assert_eq!(auth["verified"], verified, "{mechanism} with {users:?}");
            assert_eq!((&auth["outcome"], &auth["secret"]), (&"success".into(), &Value::Null), "{mechanism}");
        }
        // A person sees the difference, and no password.
        let shown = |users: &str| check(path, users, false);
        let (right, wrong) = (shown(&format!("{user}:{password}\n")), shown(&format!("{user}:wrong\n")));
        assert_ne!(right, wrong, "{mechanism}");
        assert!(!right.contains(password), "{mechanism}: {right}");
    }
}

/// What curl and a raw client answered to Cyrus IMAP, which took it.
#[test]
fn answers_that_a_server_took_are_judged() {
    for (password, verified) in [("Tr0mb-one 88", true), ("tr0mb-one 88", false)] {
        let text = check("testdata/servers/sasl-cyrus.pcap", &format!("gwen:{password}\n"), true);
        let told: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut mechanisms: Vec<&str> = told.iter().filter_map(|auth| auth["mechanism"].as_str()).collect();
        mechanisms.sort_unstable();
        assert_eq!(mechanisms, ["DIGEST-MD5", "DIGEST-MD5", "NTLM", "NTLM", "SCRAM-SHA-256-PLUS"]);
        for auth in told {
            assert_eq!((&auth["outcome"], &auth["verified"]), (&"success".into(), &verified.into()), "{auth}");
        }
    }
}
