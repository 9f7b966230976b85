//! The program as people type it: usage, messages, exit codes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn mailcap() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailcap"));
    command.env_remove("MAILCAP_KEY_PASSWORD").env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Ran {
    ran(mailcap().args(args).output().unwrap())
}

fn run_with_input(args: &[&str], input: &[u8]) -> Ran {
    let mut child =
        mailcap().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have ended before it read any of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    ran(child.wait_with_output().unwrap())
}

/// A folder for one test, removed with it.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> String {
    let path = dir.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A pcap file without a packet.
const EMPTY_PCAP: &[u8] = &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];

/// Complaints are one line each, start with the program's name and hold no control characters.
#[track_caller]
fn assert_complaint(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    for line in ran.stderr.lines() {
        assert!(line.starts_with("mailcap: "), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    for part in parts {
        assert!(ran.stderr.contains(part), "{part:?} in {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"));
}

#[test]
fn alone_it_prints_help() {
    let ran = run(&[]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("Usage: mailcap"));
    assert!(ran.stdout.contains("mailcap decode mail.pcap"));
    let summary = ran.stdout.lines().next().unwrap();
    assert!(["SMTP", "LMTP", "IMAP", "POP3", "ManageSieve"].iter().all(|name| summary.contains(name)), "{summary}");
}

#[test]
fn help_teaches_by_examples() {
    for command in ["decode", "sessions", "tls", "auth", "decrypt", "keylog", "batch"] {
        for flag in ["-h", "--help"] {
            let ran = run(&[command, flag]);
            assert_eq!(ran.code, Some(0));
            assert!(ran.stdout.contains("Examples:") && ran.stdout.contains(&format!("mailcap {command} ")));
            assert!(ran.stdout.contains("--keylog") && ran.stdout.contains("--tshark-key"));
        }
    }
    let long = run(&["--help"]).stdout;
    assert!(long.contains("Exit status") && long.contains("0 all decoded"));
}

/// What an option does not do for a command is not in its help; what can be given several times is said, and how.
#[test]
fn help_of_a_command_speaks_of_that_command() {
    let help = |command: &str| {
        let text = run(&[command, "-h"]).stdout;
        // Its examples have options of other programs.
        let options = text.split("Examples:").next().unwrap().to_owned();
        options.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    };
    for command in ["decode", "sessions", "services", "tls", "auth", "extract", "decrypt", "keylog", "batch"] {
        let text = help(command);
        let json = !["decrypt", "keylog"].contains(&command);
        assert_eq!(text.contains("--json"), json, "{command}");
        assert_eq!(text.contains("--compute"), command == "auth", "{command}");
        assert_eq!(text.contains("The folder to write to"), ["extract", "batch"].contains(&command), "{command}");
        assert_eq!(text.contains("instead of standard output"), !["extract", "batch", "decrypt"].contains(&command));
        assert!(!text.contains("auth:") && !text.contains("batch:"), "{command}");
        let said = |option: &str, word: &str| {
            let (_, rest) = text.split_once(&format!("{option} <")).unwrap();
            assert!(rest.split(" --").next().unwrap().contains(word), "{command} {option}");
        };
        ["--key", "--keylog", "--psk", "--tshark-key", "--decode-as", "--user", "--from", "--to"]
            .iter()
            .for_each(|option| said(option, "repeatable"));
        ["--session", "--proto", "--host", "--port"].iter().for_each(|option| said(option, "several with commas"));
    }
    assert_eq!(run(&["auth", "--compute", "apop", "--user", "u", "--challenge", "<a@b>", "--json"]).code, Some(2));
    let dir = folder();
    let (capture, out) = (write(dir.path(), "empty.pcap", EMPTY_PCAP), dir.path().join("out"));
    let ran = run(&["extract", "--json", "--stats", &capture, "-o", out.to_str().unwrap()]);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("frames read"), "{}", ran.stderr);
}

#[test]
fn every_command_of_the_contract_is_offered() {
    let help = run(&["--help"]).stdout;
    for command in ["decode", "sessions", "services", "auth", "tls", "extract", "decrypt", "keylog", "batch", "ciphers"]
    {
        assert!(help.lines().any(|l| l.trim_start().starts_with(&format!("{command} "))), "{command}: {help}");
    }
    assert_eq!(run(&["mend", "x.pcap"]).code, Some(2));
}

#[test]
fn version() {
    let ran = run(&["--version"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), concat!("mailcap ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn a_file_without_a_command() {
    let ran = run(&["mail.pcap"]);
    assert_complaint(&ran, 2, &["mail.pcap: ", "try: mailcap decode mail.pcap"]);
    let dir = folder();
    let file = write(dir.path(), "trace", EMPTY_PCAP);
    assert_complaint(&run(&[&file]), 2, &["try: mailcap decode"]);
}

#[test]
fn usage_errors_are_2() {
    for args in [
        &["decode"][..],
        &["frobnicate"],
        &["decode", "x.pcap", "--nonsense"],
        &["decode", "x.pcap", "-d", "25,smtp"],
        &["decode", "x.pcap", "--tz", "Mars/Olympus"],
        &["decode", "x.pcap", "--host", "mail.example.test"],
        &["decode", "x.pcap", "--psk", "xyz"],
        &["decode", "x.pcap", "--max-memory", "1"],
        &["decode", "x.pcap", "--live", "--json"],
        &["decode", "x.pcap", "-j", "0"],
        &["auth"],
        &["auth", "--compute", "cram-md5", "--user", "tim"],
    ] {
        let ran = run(args);
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert!(!ran.stderr.is_empty() && ran.stdout.is_empty(), "{args:?}");
    }
}

/// "invalid digit found in string" does not say what to type.
#[test]
fn numbers_that_are_none_are_told_what_is_wanted() {
    for (option, value, wanted) in [
        ("--session", "33-59", "17,42"),
        ("--port", "smtp", "as in 587"),
        ("--port", "70000", "as in 587"),
        ("-j", "x", "1 to 1024"),
        ("-j", "1025", "1 to 1024"),
    ] {
        let ran = run(&["decode", "x.pcap", option, value]);
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains(wanted) && !ran.stderr.contains("digit"), "{}", ran.stderr);
    }
}

#[test]
fn a_pre_shared_key_is_not_repeated_with_its_error() {
    let dir = folder();
    let file = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    let ran = run(&["tls", &file, "--psk", "deadbeef5"]);
    assert_complaint(&ran, 2, &["--psk", "hexadecimal"]);
    assert!(!ran.stderr.contains("deadbeef"), "{}", ran.stderr);
}

#[test]
fn a_missing_file() {
    assert_complaint(&run(&["decode", "/nonexistent/mail.pcap"]), 2, &["mailcap: /nonexistent/mail.pcap: "]);
}

#[test]
fn a_web_page_called_pcap() {
    let dir = folder();
    let page = write(dir.path(), "mail.pcap", b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n");
    assert_complaint(&run(&["decode", &page]), 2, &["mail.pcap: "]);
}

/// Notes that begin like the header of a key log were called one.
#[test]
fn a_key_log_is_told_from_notes_on_tls() {
    let dir = folder();
    let entry = format!("CLIENT_RANDOM {} {}\n", "01".repeat(32), "02".repeat(48));
    for (text, is_log) in [
        (entry.clone(), true),
        (format!("# SSL/TLS secrets log file, generated by NSS\n{entry}"), true),
        ("# SSL/TLS secrets log file, generated by NSS\n".to_owned(), true),
        (format!("# TLS keys\n\n{entry}"), true),
        ("# TLS mail captures: set `shared`\n\nSee `index.json`.\n".to_owned(), false),
        ("CLIENT_SIDE notes of ours\n".to_owned(), false),
    ] {
        let ran = run(&["decode", &write(dir.path(), "notes.md", text.as_bytes())]);
        assert_complaint(&ran, 2, &["notes.md: "]);
        assert_eq!(ran.stderr.contains("a key log, not a capture"), is_log, "{text}");
    }
}

#[test]
fn a_folder_without_captures() {
    let dir = folder();
    write(dir.path(), "notes.txt", b"nothing here");
    assert_complaint(&run(&["sessions", dir.path().to_str().unwrap()]), 2, &[dir.path().to_str().unwrap()]);
}

#[test]
fn a_hostile_file_name_is_escaped() {
    assert_complaint(&run(&["decode", "/nonexistent/\u{1b}]0;x\u{7}.pcap"]), 2, &["\\x1b]0;x\\x07.pcap"]);
}

#[test]
fn an_empty_capture_holds_no_mail() {
    let dir = folder();
    let file = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    for command in ["decode", "sessions", "auth"] {
        let ran = run(&[command, &file]);
        assert_complaint(&ran, 1, &["no mail session found"]);
        assert_eq!(ran.stdout, "");
    }
    assert_complaint(&run(&["tls", &file]), 1, &["no TLS handshake found"]);
    let plain = format!("{}/testdata/servers/smtp-telnet-typed.pcap", env!("CARGO_MANIFEST_DIR"));
    assert_complaint(&run(&["tls", &plain]), 1, &["no TLS handshake found, in ", "`mailcap decode` shows"]);
    let ran = run(&["decode", &file, "--json", "--stats"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.starts_with("{\"type\":\"stats\",") && ran.stdout.ends_with("}\n"));
    assert_eq!(ran.stdout.lines().count(), 1);
}

#[test]
fn an_unknown_link_type_is_named_counted_and_skipped() {
    let dir = folder();
    let of_type = |number: u8, packets: usize| {
        let packet = [[0u8; 8], [4, 0, 0, 0, 4, 0, 0, 0]].concat();
        let packet = [&packet[..], b"data"].concat();
        [&EMPTY_PCAP[..20], &[number, 0, 0, 0], &packet.repeat(packets)].concat()
    };
    for command in ["decode", "sessions", "tls", "services", "auth"] {
        let can = write(dir.path(), "can.pcap", &of_type(227, 3));
        let ran = run(&[command, "--stats", &can]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{}", ran.stderr);
        assert!(ran.stderr.contains("3 frames of link type 227 (CAN_SOCKETCAN) were skipped"), "{}", ran.stderr);
        assert!(ran.stderr.lines().any(|l| l.split_whitespace().eq(["unknown-link-type", "3"])), "{}", ran.stderr);
    }
    // Beside something that can be read it is told, and the rest counts.
    let user = write(dir.path(), "user.pcap", &of_type(150, 2));
    let other = write(dir.path(), "other.pcap", &of_type(101, 1));
    let one = run(&["sessions", &write(dir.path(), "one.pcap", &of_type(227, 1))]);
    assert!(one.stderr.contains("1 frame of link type 227 (CAN_SOCKETCAN) was skipped"), "{}", one.stderr);
    let ran = run(&["sessions", &user, &other]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("2 frames of link type 150 (USER3) were skipped"), "{}", ran.stderr);
}

#[test]
fn standard_input() {
    let ran = run_with_input(&["decode", "-"], EMPTY_PCAP);
    assert_complaint(&ran, 1, &["no mail session found"]);
}

#[test]
fn output_files_are_not_overwritten() {
    let dir = folder();
    let file = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    let out = write(dir.path(), "out.txt", b"precious");
    assert_complaint(&run(&["decode", &file, "-o", &out]), 2, &["out.txt: the file exists", "--force"]);
    assert_eq!(fs::read(&out).unwrap(), b"precious");
    assert_eq!(run(&["decode", &file, "-o", &out, "--force"]).code, Some(1));
    assert_eq!(fs::read(&out).unwrap(), b"");
    assert_complaint(&run(&["decode", &file, "-o", &file, "--force"]), 2, &["one of the inputs"]);
    assert_eq!(fs::read(&file).unwrap(), EMPTY_PCAP);
    assert_complaint(&run(&["decode", &file, "-o", dir.path().to_str().unwrap()]), 2, &["folder"]);
    assert_complaint(&run(&["decode", &file, "-o", "/nonexistent/out.txt"]), 2, &["/nonexistent/out.txt: "]);
}

#[test]
fn a_key_that_can_not_be_used() {
    let dir = folder();
    let capture = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    let missing = dir.path().join("missing.key");
    assert_complaint(&run(&["decode", &capture, "-k", missing.to_str().unwrap()]), 2, &["missing.key: "]);
    let text = write(dir.path(), "text.key", b"this is no key\n");
    assert_complaint(&run(&["decode", &capture, "-k", &text]), 2, &["text.key: "]);
    let keylog = dir.path().join("missing.keylog");
    assert_complaint(&run(&["decode", &capture, "--keylog", keylog.to_str().unwrap()]), 2, &["missing.keylog: "]);
    let password = dir.path().join("missing.password");
    let args = ["decode", &capture, "-k", &text, "--key-password-file", password.to_str().unwrap()];
    assert_complaint(&run(&args), 2, &["missing.password: "]);
}

/// A file that is no key log has blank lines as well; one in which nothing was logged yet has nothing else.
#[test]
fn a_key_log_without_a_secret() {
    let dir = folder();
    let capture = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    let secret = format!("CLIENT_RANDOM {} {}\n", "01".repeat(32), "02".repeat(48));
    let text = "Keys\n\nThey are elsewhere.\n";
    let known_but_of_no_use = format!("EXPORTER_SECRET {} {}\n", "01".repeat(32), "02".repeat(32));
    for (bytes, code) in [
        ("".to_owned(), 1),
        ("\n# made by a browser\n".to_owned(), 1),
        (known_but_of_no_use, 1),
        (secret.clone(), 1),
        (format!("{text}{secret}"), 1),
        (text.to_owned(), 2),
        ("# a comment\nnonsense\n".to_owned(), 2),
        ("nonsense\n".to_owned(), 2),
    ] {
        let file = write(dir.path(), "log", bytes.as_bytes());
        let ran = run(&["decode", &capture, "--keylog", &file]);
        let said = if code == 2 { &["log: ", "is not a key log"][..] } else { &["no mail session found"] };
        assert_complaint(&ran, code, said);
    }
}

/// The passphrase comes from a file or the environment; a wrong one and none are told apart.
#[test]
fn a_key_with_a_passphrase() {
    let dir = folder();
    let capture = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/keys/encoded/rsa2048.enc-pkcs8-aes256-pbes2.pem");
    let right = write(dir.path(), "right", b"mailcap-test\r\n");
    let wrong = write(dir.path(), "wrong", b"guess\n");
    let args = ["decode", &capture, "-k", key];
    let with_file = |file: &str| run(&[&args[..], &["--key-password-file", file]].concat());
    // The capture holds no mail, and that is all there is to say.
    assert_eq!(with_file(&right).code, Some(1));
    assert_complaint(&with_file(&wrong), 2, &["rsa2048.enc", "the password is wrong"]);
    assert_complaint(&run(&args), 2, &["no password was given", "--key-password-file", "MAILCAP_KEY_PASSWORD"]);
    for (password, code) in [("mailcap-test", 1), ("guess", 2)] {
        let ran = ran(mailcap().args(args).env("MAILCAP_KEY_PASSWORD", password).output().unwrap());
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert!(!ran.stderr.contains(password), "{}", ran.stderr);
    }
    // Windows editors put a byte order mark first.
    let marked = write(dir.path(), "marked", b"\xef\xbb\xbfmailcap-test\r\n");
    assert_eq!(with_file(&marked).code, Some(1));
}

/// It was as if there were no passphrase.
#[cfg(unix)]
#[test]
fn a_passphrase_that_is_no_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let dir = folder();
    let capture = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/keys/encoded/rsa2048.enc-pkcs8-aes256-pbes2.pem");
    let latin1 = std::ffi::OsStr::from_bytes(b"Gr\xfc\xdfe");
    let with_variable = |args: &[&str]| ran(mailcap().args(args).env("MAILCAP_KEY_PASSWORD", latin1).output().unwrap());
    let args = ["decode", &capture, "-k", key];
    assert_complaint(&with_variable(&args), 2, &["MAILCAP_KEY_PASSWORD: the password is not valid UTF-8"]);
    let file = write(dir.path(), "password", latin1.as_bytes());
    let with_file = run(&[&args[..], &["--key-password-file", &file]].concat());
    assert_complaint(&with_file, 2, &["the password is not valid UTF-8"]);
    assert_eq!(with_variable(&args[..2]).code, Some(1));
}

/// A server key of a kind that opens no TLS is told, with what would; the run goes on without it.
#[test]
fn a_key_of_another_kind() {
    let dir = folder();
    let capture = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    let key = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys").join(name);
    for (name, kind) in [("ec256.pem", "an EC"), ("dsa1024.pem", "a DSA"), ("ed25519.pem", "an Ed25519")] {
        let ran = run(&["decode", &capture, "-k", key(name).to_str().unwrap()]);
        assert_complaint(&ran, 1, &[name, &format!("is {kind} private key"), "--keylog"]);
    }
    for name in ["rsa2048.pub", "rsa2048.crt", "rsa2048.csr"] {
        assert_complaint(&run(&["decode", &capture, "-k", key(name).to_str().unwrap()]), 2, &[name]);
    }
}

#[test]
fn tsharks_key_syntax() {
    let dir = folder();
    let capture = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    let key = dir.path().join("missing.key");
    for (port, protocol) in [("25", "smtp"), ("start_tls", "smtp"), ("587", "start_tls")] {
        let value = format!("94.127.66.53,{port},{protocol},{}", key.display());
        assert_complaint(&run(&["decode", &capture, "--tshark-key", &value]), 2, &["missing.key: "]);
    }
    let ran = run(&["decode", &capture, "--tshark-key", "94.127.66.53,25,smtp,server.key,secret"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--key-password-file"));
}

#[test]
fn times_that_are_none() {
    let dir = folder();
    let file = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    assert_complaint(&run(&["decode", &file, "--since", "yesterday"]), 2, &["--since yesterday: "]);
}

#[test]
fn a_zone_west_of_greenwich_is_no_option() {
    let dir = folder();
    let file = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    assert_complaint(&run(&["sessions", &file, "--tz", "-05:00"]), 1, &["no mail session found"]);
}

#[test]
fn a_port_can_not_be_two_protocols() {
    let dir = folder();
    let file = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    let twice = |second| run(&["decode", &file, "-d", "tcp.port==2525,smtp", "-d", second]);
    assert_complaint(&twice("tcp.port==2525,imap"), 2, &["port 2525 is given twice"]);
    assert_complaint(&twice("tcp.port==2525,smtp"), 1, &["no mail session found"]);
}

#[test]
fn passwords_to_check_with() {
    let dir = folder();
    let file = write(dir.path(), "empty.pcap", EMPTY_PCAP);
    let users = write(dir.path(), "users", b"# known\nalice:se:cret\n\nbob:x\r\n");
    assert_complaint(&run(&["auth", &file, "--check", &users]), 1, &["no mail session found"]);
    let bad = write(dir.path(), "bad", b"alice:x\nhunter2\n");
    let ran = run(&["auth", &file, "--check", &bad]);
    assert_complaint(&ran, 2, &["line 2 has no colon"]);
    assert!(!ran.stderr.contains("hunter2"), "a password is not repeated");
    assert_eq!(run_with_input(&["auth", &file, "--check", "-"], b"alice:x\n").code, Some(1));
    assert_complaint(&run_with_input(&["auth", "-", "--check", "-"], b"alice:x\n"), 2, &["both"]);
}

#[test]
fn computing_needs_a_password_from_somewhere() {
    let ran =
        run(&["auth", "--compute", "apop", "--user", "mrose", "--challenge", "<1896.697170952@dbc.mtview.ca.us>"]);
    assert_complaint(&ran, 2, &["--password-file"]);
}

/// RFC 2195 §2's example.
#[test]
fn cram_md5_is_computed() {
    let dir = folder();
    let password = write(dir.path(), "password", b"tanstaaftanstaaf\n");
    let challenge = "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";
    let args =
        ["auth", "--compute", "cram-md5", "--user", "tim", "--challenge", challenge, "--password-file", &password];
    let ran = run(&args);
    assert_eq!((ran.code, ran.stdout.trim()), (Some(0), "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"));
    assert_eq!(ran.stderr, "");
    // What the base64 says is as good; anything else is odd, and said to be.
    let with = |challenge| run(&[&args[..6], &[challenge], &args[7..]].concat());
    assert_eq!(with("<1896.697170952@postoffice.reston.mci.net>").stdout, ran.stdout);
    assert_complaint(&with("x"), 0, &["neither base64 nor a <timestamp>"]);
}

/// RFC 1939 §7's example.
#[test]
fn apop_is_computed() {
    let dir = folder();
    let password = write(dir.path(), "password", b"tanstaaf\n");
    let banner = "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>";
    let ran =
        run(&["auth", "--compute", "apop", "--user", "mrose", "--challenge", banner, "--password-file", &password]);
    assert_eq!((ran.code, ran.stdout.trim()), (Some(0), "APOP mrose c4c9334bac560ecc979e58001b3e22fb"));
}

#[test]
fn ciphers() {
    let ran = run(&["ciphers"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.starts_with("ID "), "{}", ran.stdout);
    let row = |name: &str| ran.stdout.lines().find(|l| l.contains(name)).unwrap_or_default().to_owned();
    assert!(row(" TLS_RSA_WITH_AES_128_CBC_SHA ").ends_with("RSA key or key log"));
    assert!(row(" TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 ").ends_with("  key log"));
    assert!(!ran.stdout.contains('\u{1b}'));
    assert!(run(&["ciphers", "--color", "always"]).stdout.contains('\u{1b}'));
    let json = run(&["ciphers", "--json"]).stdout;
    assert!(json.lines().all(|l| l.starts_with("{\"type\":\"suite\",") && l.ends_with('}')));
}

/// A reader that goes away is no error.
#[test]
fn a_broken_pipe_is_quiet() {
    let mut child =
        mailcap().args(["ciphers", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = ran(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

/// Real captures with their keys.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

#[test]
fn sessions_says_where_tls_that_was_not_decrypted_is_explained() {
    let tip = "`mailcap tls --explain` says why";
    let name = "tls/tls12-aes128-sha256-smtp-starttls";
    let (capture, keylog) = (data(&format!("{name}.pcap")), data(&format!("{name}.keylog")));
    let (capture, keylog) = (capture.to_str().unwrap(), keylog.to_str().unwrap());
    assert_complaint(&run(&["sessions", capture]), 3, &["not decrypted (no-key)", tip]);
    assert_eq!(run(&["sessions", capture, "--keylog", keylog]).stderr, "");
    // For programs, and of what is incomplete for another reason.
    assert!(!run(&["sessions", capture, "--json"]).stderr.contains(tip));
    let failed = data("tls/f-handshake-failure-smtp-starttls.pcap");
    assert!(!run(&["sessions", failed.to_str().unwrap()]).stderr.contains(tip));
}

#[test]
fn files_that_are_missing_amid_a_ring_are_named() {
    let dir = folder();
    let files = [1, 3, 4].map(|n| write(dir.path(), &format!("mail.pcap{n}"), EMPTY_PCAP));
    let [first, third, fourth] = files.each_ref().map(String::as_str);
    let missing = format!("{} is not among the inputs", dir.path().join("mail.pcap2").display());
    for named in [&[dir.path().to_str().unwrap()][..], &[fourth, first, third]] {
        // It is no reason for another exit code.
        assert_complaint(&run(&[&["sessions"], named].concat()), 1, &[&missing]);
        assert!(!run(&[&["sessions", "--separate"], named].concat()).stderr.contains("not among"));
    }
    assert!(!run(&["sessions", third, fourth]).stderr.contains("not among"));
}

#[test]
fn a_capture_without_and_with_its_key_log() {
    let name = "tls/tls12-aes128-sha256-smtp-starttls";
    let (capture, keylog) = (data(&format!("{name}.pcap")), data(&format!("{name}.keylog")));
    let (capture, keylog) = (capture.to_str().unwrap(), keylog.to_str().unwrap());
    let closed = run(&["decode", capture]);
    assert_complaint(&closed, 3, &["session ", "not decrypted (no-key)"]);
    assert!(closed.stdout.contains("SMTP + STARTTLS") && closed.stdout.contains("no key was given"));
    let open = run(&["decode", capture, "--keylog", keylog]);
    assert_eq!((open.code, open.stderr.as_str()), (Some(0), ""));
    assert!(open.stdout.contains(" ~> ") && open.stdout.contains(" <~  "));
    assert!(open.stdout.contains("TLS established, frames "));
    // Selection changes what is shown and what counts.
    assert_eq!(run(&["decode", capture, "--proto", "imap"]).code, Some(1));
    assert_eq!(run(&["tls", capture, "--keylog", keylog, "--explain"]).code, Some(0));
}
