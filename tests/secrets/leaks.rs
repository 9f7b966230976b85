//! Passwords in every place where a client can put one: each connection has its own, no output shows it.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::build::{C, Conn, Pcap, S};
use super::needles::{encodings, files, lossy};
use super::{run, text};

/// A side, its bytes, and whether they are missing in the capture.
type Turn = (usize, Vec<u8>, bool);

fn turn(side: usize, text: impl AsRef<[u8]>) -> Turn {
    (side, text.as_ref().to_vec(), false)
}

fn lost(side: usize, text: impl AsRef<[u8]>) -> Turn {
    (side, text.as_ref().to_vec(), true)
}

fn b64(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

/// Lines after which an SMTP client speaks; `>` is the client's, `<` the server's, `!>` and `!<` are missing, `|` cuts
/// a line into segments (behind `!`, all but the first are there). `{p}` is the password, `{plain}` PLAIN's response,
/// `{user}` and `{pass}` are LOGIN's, `{xoauth}` a token.
const SMTP: &[&str] = &[
    ">AUTH PLAIN {plain}\n<235 ok",
    ">auth  plain\t {plain}\n<535 no",
    ">AUTH=PLAIN {plain}\n<500 no",
    ">AUTH PLAIN\n<334 \n>{plain}\n<535 no",
    ">AUTH PLAIN\n<504 no\n>{plain}\n<500 what",
    ">AUTH PLAIN\n<250 ok\n>{plain}\n<250 ok",
    ">AUTH LOGIN\n<334 VXNlcm5hbWU6\n>{user}\n<334 UGFzc3dvcmQ6\n>{pass}\n<535 no",
    ">AUTH LOGIN\n<334 UGFzc3dvcmQ6\n>{pass}\n<334 VXNlcm5hbWU6\n>{user}\n<235 ok",
    ">AUTH LOGIN {user}\n<334 UGFzc3dvcmQ6\n>{pass}\n<535 no",
    ">AUTH LOGIN {user} {pass}\n<501 no",
    ">AUTH LOGIN\r{user}\r{pass}\n<501 no",
    ">AUTH LOGIN\n<504 no\n>{user}\n<500 5.5.1 Command unrecognized: \"{user}\"\n>{pass}\n<500 5.5.1 Command unrecognized: \"{pass}\"",
    ">AUTH LOGIN\n<334 VXNlcm5hbWU6\n>{user}\n<535 no\n>{pass}\n<500 no",
    ">AUTH LOGIN\n<334 VXNlcm5hbWU6\n>alice\n<334 UGFzc3dvcmQ6\n>{p}\n<501 not base64",
    ">AUTH LOGIN\n<334 VXNlcm5hbWU6\n>alice\n<501 not base64\n>{p}\n<500 unrecognized: {p}",
    ">AUTH PLAIN {plain}\n<500 unrecognized command: AUTH PLAIN {plain}",
    ">AUTH PLAIN {plain}\n<535 alice can not log in with {p}",
    ">AUTH XOAUTH2 {xoauth}\n<334 eyJzdGF0dXMiOiI0MDAifQ==\n>\n<535 no",
    ">AUTH XOAUTH2\n<334 \n>{xoauth}\n<334 eyJzdGF0dXMiOiI0MDAifQ==\n>AQ==\n<535 no",
    ">AUTH X-FOO {pass}\n<334 Y2hhbA==\n>{pass}\n<535 no",
    ">AUTH alice {p}\n<504 what",
    ">USER alice\n<500 what\n>PASS {p}\n<500 what",
    ">LOGIN alice {p}\n<500 what",
    ">a1 LOGIN alice {p}\n<500 what",
    ">AUTHPLAIN {plain}\n<500 what",
    ">ATUH PLAIN {plain}\n<500 what",
    ">AUTHX\u{8} PLAIN {plain}\n<500 what",
    ">GET / HTTP/1.1\n<500 what\n>Authorization: Basic {plain}\n<500 what",
    "!>AUTH LOGIN\n<334 VXNlcm5hbWU6\n>{user}\n<334 UGFzc3dvcmQ6\n>{pass}\n<535 no",
    ">AUTH LOGIN\n!<334 VXNlcm5hbWU6\n>{user}\n!<334 UGFzc3dvcmQ6\n>{pass}\n<535 no",
    "!>AUTH LOGIN\n!<334 VXNlcm5hbWU6\n>{user}\n!<334 UGFzc3dvcmQ6\n>{pass}\n<535 no",
    ">AUTH LOGIN\n<334 VXNlcm5hbWU6\n!>{user}\n<334 UGFzc3dvcmQ6\n>{pass}\n<535 no",
    "!>AUTH PLAIN |{plain}\n<235 ok",
    "!>AUTH XOAUTH2 dXNlcj1hb|{xoauth}\n<235 ok",
    ">STARTTLS\n<220 go\n>AUTH PLAIN {plain}\n<235 ok",
    ">AUTH PLAIN\n<334 \n>{half}\n>{rest}\n<535 no\n<500 what",
    ">AUTH PLAIN {half}\n<535 no\n>{rest}\n<500 what",
    ">AUTH PLAIN {half} {rest}\n<535 no",
];

const POP3: &[&str] = &[
    ">USER alice\n<+OK\n>PASS {p} with blanks {p}\n<-ERR no",
    ">PASS {p}\n<-ERR no",
    ">user alice\n<+OK\n>  pass\t{p}\n<-ERR no",
    ">user alice\n<+OK\n>PASS {p}\n<-ERR unknown command: PASS {p}",
    ">user alice\n<+OK\n>PASS \"{p}\"\n<-ERR {p} is wrong",
    ">user alice\n<+OK\n>PASS some {p}\n<-ERR some {p} is wrong",
    ">LOGIN alice \"{p}\"\n<-ERR {p} is what?",
    ">user alice\n<+OK\n>{p}\n<-ERR unknown command",
    ">user alice\n<+OK\n>PASS:{p}\n<-ERR unknown command",
    ">AUTH PLAIN\n<+ \n>{plain}\n<-ERR no",
    ">AUTH PLAIN\n<-ERR no\n>{plain}\n<-ERR no",
    ">AUTH LOGIN\n<+ VXNlcm5hbWU6\n>{user}\n<+ UGFzc3dvcmQ6\n>{pass}\n<+OK",
    "!>AUTH LOGIN\n!<+ VXNlcm5hbWU6\n>{user}\n<+ UGFzc3dvcmQ6\n>{pass}\n<+OK",
    "!>AUTH PLAIN\n!<+ \n>{plain}\n<+OK",
    ">AUTH PLAIN\n<-ERR no\n!>{plain}\n<-ERR unknown command {plain}",
    ">USER alice\n<+OK\n!>PAS|S {p}\n<+OK",
    ">USER alice\n<+OK\n!>PASS |{p}\n<+OK",
    ">USER alice\n<+OK\n!>PAS|S {p}\n<-ERR unknown command: PASS {p}",
];

const IMAP: &[&str] = &[
    ">a login alice {p}\n<a NO no",
    ">a login \"alice\" \"x\\\"{p}\"\n<a NO no",
    ">a login {5}\n<+ go\n>alice {14}\n<+ go\n>{p}\n<a OK",
    ">a login {5+}\n>alice {14+}\n>{p}\n<a BAD no",
    ">a login {5}\n<a BAD no literals\n>alice {14}\n<alice BAD no\n>{p}\n<* BAD no",
    ">a login alice {14}\n>{p}\n<a BAD no literals\n<* BAD no",
    ">a login alice {2+}\n>{p}\n<a BAD no\n<* BAD no",
    ">LOGIN alice {p}\n<LOGIN BAD no",
    ">a  LOGIN  alice  {p}\n<a BAD no",
    ">a LOGIN alice {p}\n<a BAD invalid: LOGIN alice {p}",
    ">a LOGIN \"alice\" \"{p}\"\n<a NO the password {p} of alice is wrong",
    ">a LOGIN alice \"{p}\n<a BAD unterminated: {p}",
    ">a LOGIN \"al ice\" \"my \\\"{p}\"\n<a NO not \"my \\\"{p}\"\n<* NO nor my \"{p}",
    ">a LOGIN alice\t{p}\n<a BAD no",
    ">a LOGIN alice\r{p}\n<a BAD no",
    ">a\tLOGIN\talice\t{p}\n<a BAD no",
    ">a LOGIN \"alice\"\t\"{p}\"\n<a NO {p}",
    ">alice {p}\n<alice BAD no",
    ">USER alice\n<USER BAD no\n>PASS {p}\n<PASS BAD no",
    ">a AUTHENTICATE PLAIN\n<+\n>{plain}\n<a NO no",
    ">a AUTHENTICATE PLAIN {plain}\n<a NO no",
    ">a AUTHENTICATE PLAIN\n<a NO no\n>{plain}\n<* BAD no",
    ">a AUTHENTICATE \"PLAIN\" \"{plain}\"\n<a BAD no",
    ">a AUTHENTICATE XOAUTH2 {xoauth}\n<+ eyJzdGF0dXMiOiI0MDAifQ==\n>\n<a NO no",
    "!>a AUTHENTICATE PLAIN\n<+\n>{plain}\n<a OK",
    ">a AUTHENTICATE PLAIN\n<a NO no\n!>{plain}\n<{plain} BAD what",
    "!>a AUTHENTICATE PLAIN\n!<+\n>{plain}\n<a OK",
    "!>a LOGIN alice |{p}\n<a OK",
    "!>a LO|GIN alice {p}\n<a OK",
    "!>a LO|GIN alice {p}\n<a NO not {p}",
    "!>a LOGIN alice |{p}\n<a BAD unknown command: LOGIN alice {p}",
    "!>a login alice {14}\n<+ go\n>{p}\n<a OK",
    ">a STARTTLS\n>b LOGIN alice {p}\n<a OK go",
];

const SIEVE: &[&str] = &[
    ">AUTHENTICATE \"PLAIN\" \"{plain}\"\n<NO",
    ">AUTHENTICATE \"PLAIN\"\n<\"\"\n>\"{plain}\"\n<NO",
    ">AUTHENTICATE \"PLAIN\"\n<NO\n>\"{plain}\"\n<NO",
    ">authenticate PLAIN {plain}\n<NO",
    ">LOGIN \"alice\" \"{p}\"\n<NO \"{p} is no password\"",
    ">AUTHENTICATE \"PLAIN\" \"{plain}\"\n<NO \"{p} is wrong\"",
    "!>AUTHENTICATE \"PLAIN\"\n<\"\"\n>\"{plain}\"\n<OK",
    "!>AUTHENTICATE \"PLAIN\" \"{plain}\"\n<NO \"not {plain}\"",
    "!>AUTHENTICATE \"PLAIN\" |\"{plain}\"\n<OK",
    "!>LOGIN \"alice\" |\"{p}\"\n<NO \"what is {p}?\"",
];

fn turns(script: &str, password: &str) -> Vec<Turn> {
    let plain = b64(format!("\0alice\0{password}"));
    let filled = script
        .replace("{plain}", &plain)
        .replace("{half}", &plain[..12])
        .replace("{rest}", &plain[12..])
        .replace("{user}", &b64("alice"))
        .replace("{pass}", &b64(password))
        .replace("{xoauth}", &b64(format!("user=alice\x01auth=Bearer {password}\x01\x01")))
        .replace("{p}", password);
    let mut turns = Vec::new();
    for line in filled.split('\n') {
        let (missing, line) = line.strip_prefix('!').map_or((false, line), |line| (true, line));
        let side = if line.starts_with('>') { C } else { S };
        let mut pieces: Vec<&str> = line[1..].split('|').collect();
        let last = format!("{}\r\n", pieces.pop().unwrap());
        if pieces.is_empty() && missing {
            turns.push(lost(side, last));
            continue;
        }
        turns.extend(pieces.iter().map(|piece| if missing { lost(side, piece) } else { turn(side, piece) }));
        turns.push(turn(side, last));
    }
    turns
}

fn dialogue(file: &mut Pcap, n: usize, port: u16, turns: &[Turn]) {
    let mut conn = Conn::new(n as u32, port);
    conn.open(file);
    for (side, bytes, missing) in turns {
        match missing {
            true => conn.next[*side] += bytes.len() as u32,
            false => conn.say(file, *side, bytes),
        }
    }
    conn.close(file);
}

/// A port, its scripts, and what stands before and behind each.
type Scripts = (u16, &'static [&'static str], Vec<Turn>, Vec<Turn>);

fn protocols() -> [Scripts; 4] {
    let greeting = |text: &str| vec![turn(S, text)];
    [
        (
            25,
            SMTP,
            vec![turn(S, "220 mx ESMTP\r\n"), turn(C, "EHLO x\r\n"), turn(S, "250-mx\r\n250 AUTH PLAIN LOGIN\r\n")],
            vec![turn(C, "NOOP\r\n"), turn(S, "250 ok\r\n"), turn(C, "QUIT\r\n"), turn(S, "221 bye\r\n")],
        ),
        (110, POP3, greeting("+OK hi\r\n"), vec![turn(C, "QUIT\r\n"), turn(S, "+OK\r\n")]),
        (143, IMAP, greeting("* OK hi\r\n"), vec![turn(C, "z LOGOUT\r\n"), turn(S, "* BYE\r\nz OK\r\n")]),
        (4190, SIEVE, greeting("\"SASL\" \"PLAIN\"\r\nOK\r\n"), vec![turn(C, "LOGOUT\r\n"), turn(S, "OK\r\n")]),
    ]
}

#[test]
fn a_password_is_hidden_wherever_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = Pcap::new();
    let mut secrets = Vec::new();
    for (port, scripts, before, behind) in protocols() {
        for script in scripts {
            let n = secrets.len();
            let password = format!("Xq7zKw9pLm{n:02}Vt");
            let all = [before.clone(), turns(script, &password), behind.clone()].concat();
            dialogue(&mut file, n, port, &all);
            secrets.push((script, password));
        }
    }
    // A capture that begins behind the challenge.
    for (port, answer) in [(25, "235 2.7.0 Authentication successful\r\n"), (110, "+OK logged in\r\n")] {
        let n = secrets.len();
        let password = format!("Xq7zKw9pLm{n:02}Vt");
        let line = if port == 25 { b64(&password) } else { format!("PASS {password}") };
        dialogue(&mut file, n, port, &[turn(C, line + "\r\n"), turn(S, answer), turn(C, "NOOP\r\n"), turn(S, answer)]);
        secrets.push((&"in the middle", password));
    }
    let capture = dir.path().join("a.pcap");
    fs::write(&capture, &file.bytes).unwrap();
    let (capture, tables, mails) = (text(&capture), dir.path().join("tables"), dir.path().join("mails"));
    let commands: [&[&str]; 15] = [
        &["decode"],
        &["decode", "--bodies", "--abs"],
        &["decode", "--one-line"],
        &["decode", "--live", "--color", "always"],
        &["decode", "--errors", "--stats"],
        &["decode", "--json", "--stats"],
        &["sessions", "--stats"],
        &["sessions", "--json"],
        &["services", "--all"],
        &["services", "--json"],
        &["auth"],
        &["auth", "--json"],
        &["tls", "--explain"],
        &["batch", "-o", tables.to_str().unwrap()],
        &["extract", "--parts", "-o", mails.to_str().unwrap()],
    ];
    let mut outputs = Vec::new();
    for command in commands {
        let ran = run(&[command, &[&capture]].concat());
        assert!(matches!(ran.code, Some(0 | 1 | 3)), "{command:?}: {}", ran.stderr);
        outputs.push((format!("{command:?}"), lossy(&ran.stdout)));
        outputs.push((format!("stderr of {command:?}"), ran.stderr));
    }
    files(&tables, &mut outputs);
    files(&mails, &mut outputs);
    let mut leaks = Vec::new();
    for (script, password) in &secrets {
        // Verbs are told in upper case.
        let needles: Vec<String> = encodings(password.as_bytes()).into_iter().filter(|e| e.len() >= 8).collect();
        let upper = needles.iter().map(|needle| needle.to_ascii_uppercase());
        for needle in upper.chain(needles.iter().cloned()) {
            let found = outputs.iter().find(|(_, output)| output.contains(&needle));
            leaks.extend(found.map(|(name, _)| format!("{script:?} in {name}")));
        }
    }
    leaks.dedup();
    assert!(leaks.is_empty(), "{leaks:#?}");
    // They are all there for who asks.
    let shown = lossy(&run(&["decode", &capture, "--show-secrets"]).stdout);
    let told = secrets.iter().filter(|(_, p)| encodings(p.as_bytes()).iter().any(|e| shown.contains(e))).count();
    assert!(told > secrets.len() * 2 / 3, "{told} of {}", secrets.len());
}
