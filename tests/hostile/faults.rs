//! What the machine does to us: full disks, closed outputs, files cut while they are read, links that wait, Ctrl-C.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::build::*;
use crate::common::testdata;

fn mailcap() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailcap"));
    command.env_remove("MAILCAP_KEY_PASSWORD").stdin(Stdio::null());
    command
}

fn capture() -> PathBuf {
    testdata().join("servers/smtp-bdat.pcap")
}

/// One clear line or more, the code, and no panic.
#[track_caller]
fn assert_said(output: &Output, code: i32, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{part:?} in {stderr}");
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A session with a mail.
fn one_mail(file: &mut Pcap, n: u32) {
    let mut conn = Conn::new(n, 25);
    conn.open(file);
    conn.say(file, S, b"220 mx ESMTP\r\n");
    conn.say(file, C, b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n");
    conn.say(file, S, b"250 ok\r\n250 ok\r\n354 go\r\n");
    conn.say(file, C, b"Subject: the same\r\n\r\nx\r\n.\r\nQUIT\r\n");
    conn.say(file, S, b"250 ok\r\n221 bye\r\n");
    conn.close(file);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_says_so() {
    for args in [&["decode"][..], &["decode", "--json"], &["sessions"], &["auth"], &["tls"], &["ciphers"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = mailcap();
        command.args(args).stdout(full);
        match args[0] {
            "ciphers" => {}
            "tls" => drop(command.arg(testdata().join("servers/pop3-stls-rsa.pcap"))),
            _ => drop(command.arg(testdata().join("servers/smtp-auth-all.pcap"))),
        }
        assert_said(
            &command.output().unwrap(),
            2,
            &["mailcap: ", "No space left", if args[0] == "ciphers" { "" } else { "standard output" }],
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_can_not_be_written_is_named_once() {
    let mut command = mailcap();
    command.args(["decode", "-o", "/dev/full"]).arg(testdata().join("servers/smtp-auth-all.pcap"));
    let output = command.output().unwrap();
    assert_said(&output, 2, &["mailcap: /dev/full: No space left"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.matches("/dev/full").count(), 1, "{said}");
}

#[test]
fn a_closed_output_is_no_error() {
    let mut child = mailcap()
        .args(["decode", "--json"])
        .arg(testdata().join("servers/imap-full-plain.pcap"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_said(&child.wait_with_output().unwrap(), 0, &[]);
}

#[test]
fn an_input_cut_while_read_is_told_with_its_place() {
    let whole = fs::read(capture()).unwrap();
    let mut child = mailcap()
        .args(["sessions", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&whole[..whole.len() - 7]).unwrap();
    assert_said(&child.wait_with_output().unwrap(), 3, &["mailcap: -: the file ends inside", "at byte"]);
}

#[test]
fn an_output_never_replaces_an_input_or_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.pcap");
    fs::copy(capture(), &input).unwrap();
    let before = fs::read(&input).unwrap();
    for force in [&[][..], &["--force"]] {
        let output = mailcap().arg("decode").arg(&input).arg("-o").arg(&input).args(force).output().unwrap();
        assert_said(&output, 2, &["one of the inputs"]);
    }
    assert_eq!(fs::read(&input).unwrap(), before);
    let there = dir.path().join("there");
    fs::write(&there, "mine").unwrap();
    let output = mailcap().arg("decode").arg(&input).arg("-o").arg(&there).output().unwrap();
    assert_said(&output, 2, &["there", "--force"]);
    assert_eq!(fs::read_to_string(&there).unwrap(), "mine");
    let output = mailcap().arg("decode").arg(&input).arg("-o").arg(dir.path().join("no/such/out")).output().unwrap();
    assert_said(&output, 2, &["no/such/out: can't be written: there is no folder", "no/such; make it first"]);
}

#[test]
fn errors_of_the_system_are_told_without_their_numbers() {
    for option in ["--key", "--keylog", "--key-password-file"] {
        let output = mailcap().arg("decode").arg(capture()).args([option, "no/such/file"]).output().unwrap();
        assert_said(&output, 2, &["no/such/file: ", "No such file or directory\n"]);
    }
}

#[cfg(unix)]
#[test]
fn extract_follows_no_link_that_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (out, target) = (dir.path().join("out"), dir.path().join("target"));
    // What a first run makes, a second finds as links to somewhere else.
    assert!(mailcap().arg("extract").arg(capture()).arg("-o").arg(&out).output().unwrap().status.success());
    let made = names(&out);
    assert!(made.len() > 2, "{made:?}");
    fs::write(&target, "mine").unwrap();
    for name in &made {
        fs::remove_file(out.join(name)).unwrap();
        std::os::unix::fs::symlink(&target, out.join(name)).unwrap();
    }
    let output = mailcap().arg("extract").arg(capture()).arg("-o").arg(&out).output().unwrap();
    assert_said(&output, 2, &["manifest.jsonl already exists"]);
    fs::remove_file(out.join("manifest.jsonl")).unwrap();
    let output = mailcap().arg("extract").arg(capture()).arg("-o").arg(&out).output().unwrap();
    assert_said(&output, 2, &[".eml"]);
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    let output = mailcap().arg("extract").arg(capture()).arg("-o").arg(&out).arg("--force").output().unwrap();
    assert_said(&output, 0, &[]);
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine", "--force replaces the link, not what it names");
    assert_eq!(names(&out), made);
}

#[cfg(unix)]
#[test]
fn a_folder_with_what_can_not_be_read_gives_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(capture(), dir.path().join("a.pcap")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("nowhere"), dir.path().join("b.pcap")).unwrap();
    fs::write(dir.path().join("c.pcap"), b"<html>").unwrap();
    let output = mailcap().arg("sessions").arg(dir.path()).output().unwrap();
    assert_said(&output, 2, &["c.pcap: a web page, not a capture"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("SMTP"));
}

#[cfg(unix)]
fn send(signal: &str, child: &std::process::Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_is_finished_and_leaves_nothing_half_written() {
    ends_in_order_on("-INT");
}

#[cfg(unix)]
#[test]
fn sigterm_keeps_what_is_finished_and_leaves_nothing_half_written() {
    ends_in_order_on("-TERM");
}

#[cfg(unix)]
fn extract_a_pipe(out: &Path) -> std::process::Child {
    let mut command = mailcap();
    command.args(["extract", "-", "-o"]).arg(out).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[cfg(unix)]
fn wait_for_a_mail(out: &Path) {
    while !out.is_dir() || !names(out).iter().any(|n| n.ends_with(".eml")) {
        std::thread::yield_now();
    }
}

/// Messages and a line of the manifest for each, nothing else.
#[cfg(unix)]
fn assert_in_order(out: &Path) {
    let left = names(out);
    assert!(left.iter().all(|n| n.ends_with(".eml") || n == "manifest.jsonl"), "{left:?}");
    let manifest = fs::read_to_string(out.join("manifest.jsonl")).unwrap();
    assert_eq!(manifest.lines().count(), left.len() - 1);
}

#[cfg(unix)]
fn ends_in_order_on(signal: &str) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut file = Pcap::new();
    (0..100).for_each(|n| one_mail(&mut file, n));
    let mut child = extract_a_pipe(&out);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&file.bytes).unwrap();
    // Once there are mails, the signal; and mails without end, until nobody reads them any more.
    wait_for_a_mail(&out);
    send(signal, &child);
    for n in 100.. {
        file.bytes.clear();
        one_mail(&mut file, n);
        if stdin.write_all(&file.bytes).is_err() {
            break;
        }
    }
    let output = child.wait_with_output().unwrap();
    assert_said(&output, 130, &["mailcap: interrupted"]);
    assert_in_order(&out);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_wait_for_a_silent_pipe() {
    let mut child = mailcap()
        .args(["decode", "--live", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut file = Pcap::new();
    one_mail(&mut file, 0);
    stdin.write_all(&file.bytes).unwrap();
    stdin.flush().unwrap();
    let mut first = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    send("-INT", &child);
    assert_said(&child.wait_with_output().unwrap(), 130, &["mailcap: interrupted"]);
    drop(stdin);
}

/// A wait for a silent pipe was broken off: the manifest was lost, and a hidden half of it left behind.
#[cfg(unix)]
#[test]
fn a_signal_while_a_pipe_is_silent_leaves_what_was_finished_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut child = extract_a_pipe(&out);
    let mut stdin = child.stdin.take().unwrap();
    let mut file = Pcap::new();
    one_mail(&mut file, 0);
    // The next one has begun.
    let begun = file.bytes.len();
    one_mail(&mut file, 1);
    stdin.write_all(&file.bytes[..(begun + file.bytes.len()) / 2]).unwrap();
    stdin.flush().unwrap();
    wait_for_a_mail(&out);
    send("-TERM", &child);
    assert_said(&child.wait_with_output().unwrap(), 130, &["mailcap: interrupted"]);
    drop(stdin);
    assert_in_order(&out);
}

/// Runs it where no file may grow beyond 16 KiB, as on a disk that fills up.
#[cfg(unix)]
fn with_little_room(args: &[&str], files: &[&Path]) -> Output {
    let script = "ulimit -f 32; program=$1; shift; exec \"$program\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_mailcap")]).args(args).args(files);
    command.env_remove("MAILCAP_KEY_PASSWORD").stdin(Stdio::null()).output().unwrap()
}

/// A small mail, one of 100 KB, a small one.
fn mails_of_all_sizes() -> tempfile::NamedTempFile {
    let mut file = Pcap::new();
    one_mail(&mut file, 0);
    let mut conn = Conn::new(1, 25);
    conn.open(&mut file);
    conn.say(&mut file, S, b"220 mx ESMTP\r\n");
    conn.say(&mut file, C, b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n");
    conn.say(&mut file, S, b"250 ok\r\n250 ok\r\n354 go\r\n");
    for _ in 0..100 {
        conn.say(&mut file, C, &b"0123456789abcde\r\n".repeat(60));
    }
    conn.say(&mut file, C, b".\r\nQUIT\r\n");
    conn.say(&mut file, S, b"250 ok\r\n221 bye\r\n");
    conn.close(&mut file);
    one_mail(&mut file, 2);
    let mut out = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    out.write_all(&file.bytes).unwrap();
    out
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_leaves_what_was_whole_and_nothing_else() {
    let capture = mails_of_all_sizes();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let output = with_little_room(&["extract", "-o", out.to_str().unwrap()], &[capture.path()]);
    assert_said(&output, 2, &["mailcap: ", "out", "File too large"]);
    let left = names(&out);
    assert_eq!(left.iter().filter(|n| n.ends_with(".eml")).count(), 1, "{left:?}");
    assert!(left.iter().all(|n| n.ends_with(".eml") || n == "manifest.jsonl"), "{left:?}");
    let manifest = fs::read_to_string(out.join("manifest.jsonl")).unwrap();
    assert_eq!(manifest.lines().count(), 1, "{manifest}");

    // What is of use only when it is whole never gets its name; lines of text are of use one by one.
    let made = |args: &[&str], name: &str| {
        let file = dir.path().join(name);
        let args = [args, &["-o", file.to_str().unwrap()]].concat();
        assert_said(&with_little_room(&args, &[capture.path()]), 2, &["mailcap: ", name, "File too large"]);
        file.exists()
    };
    assert!(!made(&["decrypt", "--plaintext"], "a.pcapng"));
    assert!(made(&["decode", "--bodies", "--json"], "a.json"));
    assert_eq!(names(dir.path()), ["a.json", "out"]);
}

/// Every file below a folder, by its path in it.
#[cfg(target_os = "linux")]
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        match path.is_dir() {
            true => all.extend(tree(&path).into_iter().map(|(below, bytes)| (name.join(below), bytes))),
            false => drop(all.insert(name, fs::read(&path).unwrap())),
        }
    }
    all
}

/// The second attachment of a mail was left half written on a disk that was full then.
#[cfg(target_os = "linux")]
#[test]
fn attachments_are_whole_on_a_disk_of_any_size() {
    let mut file = Pcap::new();
    for n in 0..3 {
        let mut conn = Conn::new(n, 25);
        conn.open(&mut file);
        conn.say(&mut file, S, b"220 mx ESMTP\r\n");
        conn.say(&mut file, C, b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n");
        conn.say(&mut file, S, b"250 ok\r\n250 ok\r\n354 go\r\n");
        conn.say(&mut file, C, b"Content-Type: multipart/mixed; boundary=b\r\n\r\n");
        for (name, lines) in [("small", 1), ("large", 700), ("other", 300)] {
            let head = format!("--b\r\nContent-Disposition: attachment; filename={name}.txt\r\n\r\n");
            conn.say(&mut file, C, head.as_bytes());
            conn.say(&mut file, C, &b"0123456789abcde\r\n".repeat(lines));
        }
        conn.say(&mut file, C, b"--b--\r\n.\r\nQUIT\r\n");
        conn.say(&mut file, S, b"250 ok\r\n221 bye\r\n");
        conn.close(&mut file);
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("a.pcap"), &file.bytes).unwrap();
    fs::create_dir(at("disk")).unwrap();
    // The disk is there for this process only; what stands on it at the end is copied.
    let script = "mount -t tmpfs -o size=$1k none $2 || exit 77; \"$4\" extract --attachments -o $2/out $5; code=$?; \
                  cp -r $2/out $3; exit $code";
    let mut full = 0;
    for kib in (8..200).step_by(8) {
        let kept = at(&format!("kept{kib}"));
        let mut command = Command::new("unshare");
        command.args(["-r", "-m", "sh", "-c", script, "sh", &kib.to_string()]).arg(at("disk")).arg(&kept);
        command.arg(env!("CARGO_BIN_EXE_mailcap")).arg(at("a.pcap")).stdin(Stdio::null());
        let Some(output) = command.output().ok().filter(|o| matches!(o.status.code(), Some(0 | 2))) else {
            println!("skipped: no disk of its own can be had here");
            return;
        };
        if output.status.code() == Some(2) {
            assert_said(&output, 2, &["mailcap: ", "No space left"]);
            full += 1;
        }
    }
    let whole = tree(&at("kept192"));
    assert_eq!(whole.keys().filter(|path| path.ends_with("02-large.txt")).count(), 3);
    assert!(full > 10, "{full}");
    for kib in (8..200).step_by(8).filter(|kib| at(&format!("kept{kib}")).exists()) {
        for (path, bytes) in tree(&at(&format!("kept{kib}"))) {
            let expected = &whole[&path];
            let manifest = path.ends_with("manifest.jsonl");
            assert!(if manifest { expected.starts_with(&bytes) } else { *expected == bytes }, "{kib} KiB: {path:?}");
        }
    }
}
