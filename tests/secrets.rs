//! The commands that write secrets by purpose, and that the others do not.

#[path = "hostile/build.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod build;
#[path = "secrets/clear.rs"]
mod clear;
#[path = "secrets/leaks.rs"]
mod leaks;
#[path = "secrets/needles.rs"]
mod needles;
#[cfg(feature = "parquet")]
#[path = "common/parquet.rs"]
mod parquet_rows;
#[path = "common/tools.rs"]
mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailcap::capture::{Capture, Input, Item};
use mailcap::limits::Limits;
use mailcap::wire::{Decoded, Decoder};
use needles::{encodings, files, lossy};
use serde_json::Value;

struct Ran {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

fn run<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailcap"));
    command.env_remove("MAILCAP_KEY_PASSWORD").stdin(Stdio::null());
    let output = command.args(args).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{stderr}");
    Ran { code: output.status.code(), stdout: output.stdout, stderr }
}

/// A capture and what opens it.
struct Case {
    capture: PathBuf,
    keylog: Option<PathBuf>,
    keys: PathBuf,
}

impl Case {
    fn name(&self) -> String {
        self.capture.file_name().unwrap().to_string_lossy().into_owned()
    }

    fn truth(&self) -> Value {
        serde_json::from_slice(&fs::read(self.capture.with_extension("json")).unwrap()).unwrap()
    }

    /// `COMMAND capture -k keys [--keylog log] [-o out] more…`
    fn args(&self, command: &str, out: Option<&Path>, more: &[&str]) -> Vec<String> {
        let mut args = vec![command.to_owned(), text(&self.capture), "-k".to_owned(), text(&self.keys)];
        if let Some(log) = &self.keylog {
            args.extend(["--keylog".to_owned(), text(log)]);
        }
        if let Some(out) = out {
            args.extend(["-o".to_owned(), text(out)]);
        }
        args.extend(more.iter().map(|&m| m.to_owned()));
        args
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The captures that ship with the sources, by folder.
fn cases(folder: &str) -> Vec<Case> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    let mut cases = Vec::new();
    for entry in fs::read_dir(&home).unwrap() {
        let capture = entry.unwrap().path();
        if !capture.extension().is_some_and(|e| e == "pcap" || e == "pcapng") {
            continue;
        }
        let keylog = Some(capture.with_extension("keylog")).filter(|log| log.exists());
        cases.push(Case { capture, keylog, keys: home.join("keys") });
    }
    cases.sort_by_key(Case::name);
    assert!(cases.len() >= 10);
    cases
}

fn case(folder: &str, name: &str) -> Case {
    cases(folder).into_iter().find(|c| c.name() == name).unwrap()
}

fn json(bytes: &[u8]) -> Vec<Value> {
    bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect()
}

#[cfg(unix)]
#[track_caller]
fn assert_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
}

#[cfg(not(unix))]
fn assert_private(_path: &Path) {}

/// tshark with its preferences, where there is one.
fn tshark(args: &[&str]) -> Option<String> {
    let output = match Command::new("tshark").args(args).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(_) => {
            tools::lacking("tshark");
            return None;
        }
    };
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// What the RSA key gives is what the endpoints logged.
#[test]
fn a_key_log_of_the_rsa_key_is_the_endpoints() {
    let mut equal = 0;
    for case in cases("tls") {
        let Some(log) = &case.keylog else { continue };
        let logged = fs::read_to_string(log).unwrap().to_ascii_lowercase();
        let logged: BTreeSet<&str> = logged.lines().filter(|l| l.starts_with("client_random")).collect();
        let ran = run(&["keylog", &text(&case.capture), "-k", &text(&case.keys)]);
        for line in String::from_utf8(ran.stdout).unwrap().to_ascii_lowercase().lines() {
            // The RSA key has nothing to do with TLS 1.3, whose secrets a capture may bring along.
            if line.starts_with("client_random") {
                assert!(logged.contains(line), "{}: {line}", case.name());
                equal += 1;
            }
        }
    }
    assert!(equal >= 15, "only {equal}");
}

/// A capture with secrets inside tells the same without a key.
#[test]
fn a_decrypted_capture_tells_the_same_story() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = 0;
    for case in cases("tls").into_iter().chain(cases("servers")) {
        let out = dir.path().join(format!("{}.ng", case.name()));
        let ran = run(&case.args("decrypt", Some(&out), &[]));
        assert!(matches!(ran.code, Some(0 | 3)), "{}: {}", case.name(), ran.stderr);
        assert_private(&out);
        let before = run(&case.args("decode", None, &["--json"]));
        let after = run(&["decode", &text(&out), "--json"]);
        let told = |ran: &Ran| -> Vec<Value> {
            let mut lines = json(&ran.stdout);
            for line in &mut lines {
                strip(line);
            }
            lines
        };
        let (before, after) = (told(&before), told(&after));
        for (b, a) in before.iter().zip(&after) {
            assert_eq!(b, a, "{}", case.name());
        }
        assert_eq!(before.len(), after.len(), "{}", case.name());
        opened += before.iter().filter(|l| l["type"] == "tls" && l["decrypted"] == "all").count();
    }
    assert!(opened >= 30, "only {opened}");
}

/// Takes away what must differ: names of files, what opened it, the number of an interface that pcap does not have.
fn strip(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for field in ["file", "files", "key", "secret", "interface", "steps"] {
                object.remove(field);
            }
            object.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Kind and body of each block of a pcapng file, little-endian.
fn blocks(file: &Path) -> Vec<(u32, Vec<u8>)> {
    let bytes = fs::read(file).unwrap();
    let (mut rest, mut blocks) = (&bytes[..], Vec::new());
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        let len = word(4) as usize;
        blocks.push((word(0), rest[8..len - 4].to_vec()));
        rest = &rest[len..];
    }
    blocks
}

/// editcap, mergecap and reordercap could not write what they read of ours: an interface has to stand before the
/// secrets, the one of the first packet.
#[test]
fn secrets_stand_behind_the_first_interface() {
    const HEAD: [u32; 3] = [0x0a0d_0d0a, 1, 10];
    let dir = tempfile::tempdir().unwrap();
    let case = case("servers", "rsa12-resume.pcap");
    let id = json(&run(&case.args("sessions", None, &["--json"])).stdout)[1]["id"].to_string();
    for (n, more) in [&[][..], &["--mail-only"], &["--session", &id]].into_iter().enumerate() {
        let out = dir.path().join(format!("{n}.pcapng"));
        assert_eq!(run(&case.args("decrypt", Some(&out), more)).code, Some(0));
        let blocks = blocks(&out);
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds[..3], HEAD, "{more:?}");
        let (_, packet) = blocks.iter().find(|(kind, _)| *kind == 6).unwrap();
        assert_eq!(packet[..4], [0; 4], "{more:?}: the first packet is of the first interface");
        let again = dir.path().join(format!("{n}-again.pcapng"));
        match Command::new("editcap").args([&out, &again]).output() {
            Ok(ran) => assert!(ran.status.success(), "{more:?}: {}", lossy(&ran.stderr)),
            Err(_) => tools::lacking("editcap"),
        }
    }
}

/// The packets themselves, judged by another reader.
#[test]
fn the_packets_are_those_of_the_input() {
    let dir = tempfile::tempdir().unwrap();
    for case in cases("tls") {
        let out = dir.path().join(case.name());
        run(&case.args("decrypt", Some(&out), &[]));
        let fields = |path: &Path| {
            let columns = ["frame.number", "frame.time_epoch", "frame.len", "frame.cap_len"].map(|c| ["-e", c]);
            tshark(&[&["-r", &text(path), "-n", "-T", "fields"][..], columns.as_flattened()].concat())
        };
        let Some(before) = fields(&case.capture) else { return };
        assert_eq!(Some(before), fields(&out), "{}", case.name());
    }
}

/// tshark opens our capture with the secrets inside as it opens the original with the endpoints' key log.
#[test]
fn tshark_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut mail = 0;
    for case in cases("tls") {
        let Some(log) = &case.keylog else { continue };
        let out = dir.path().join(case.name());
        run(&case.args("decrypt", Some(&out), &[]));
        let log = format!("tls.keylog_file:{}", log.display());
        let seen = |path: &Path, more: &[&str]| {
            let path = text(path);
            let shown = ["-r", &path, "-n", "-Y", "smtp || imap || pop"];
            let columns = ["-T", "fields", "-e", "frame.number", "-e", "_ws.col.Info"];
            tshark(&[&shown[..], &columns[..], more].concat())
        };
        let Some(ours) = seen(&out, &[]) else { return };
        let theirs = seen(&case.capture, &["-o", &log]).unwrap();
        assert_eq!(theirs, ours, "{}", case.name());
        mail += ours.lines().count();
    }
    assert!(mail >= 300, "only {mail} frames of mail");
}

/// Commands and replies of a capture, of all sessions in order.
fn dialogue(args: &[String]) -> Vec<String> {
    let mut lines: Vec<Value> = json(&run(args).stdout);
    lines.sort_by_key(|l| (l["ts"].as_str().map(str::to_owned), l["session"].as_u64(), l["seq"].as_u64()));
    let word = |l: &Value, name: &str| l[name].as_str().unwrap_or_default().to_owned();
    let told = lines.iter().filter_map(|l| match l["type"].as_str()? {
        "command" => Some(format!("{} {} {}", word(l, "tag"), word(l, "verb"), word(l, "args"))),
        "reply" => Some(format!("{} {}", word(l, "status"), word(l, "text"))),
        "message" => Some(format!("{} {}", l["size"], word(l, "sha256"))),
        _ => None,
    });
    told.collect()
}

/// The plaintext is the same dialogue, with nothing to decrypt and checksums that are right.
#[test]
fn plaintext_is_the_same_dialogue() {
    let dir = tempfile::tempdir().unwrap();
    let mut told = 0;
    for case in cases("tls").into_iter().chain(cases("servers")) {
        let sessions = json(&run(&case.args("sessions", None, &["--json"])).stdout);
        let whole = sessions.iter().all(|s| s["complete"] == true);
        let out = dir.path().join(format!("{}.ng", case.name()));
        let ran = run(&case.args("decrypt", Some(&out), &["--plaintext"]));
        assert!(matches!(ran.code, Some(0 | 3)), "{}: {}", case.name(), ran.stderr);
        assert!(ran.stderr.contains("in the clear"));
        assert_private(&out);
        let decode = vec!["decode".to_owned(), text(&out), "--json".to_owned()];
        let clear = json(&run(&decode).stdout);
        assert!(clear.iter().all(|l| l["type"] != "tls" && l["tls"] != true), "{}", case.name());
        // A dialogue with holes is told by what stands around them, which differs without record boundaries; one that
        // goes on behind STARTTLS has no greeting there.
        if whole && sessions.iter().all(|s| s["security"] != "starttls") {
            let before = dialogue(&case.args("decode", None, &["--json"]));
            let after = dialogue(&decode);
            assert_eq!(before, after, "{}", case.name());
            told += after.len();
        }
        let path = text(&out);
        let wrong = "ip.checksum.status == Bad || tcp.checksum.status == Bad || tcp.analysis.retransmission";
        let checks = ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"];
        if let Some(bad) = tshark(&[&["-r", &path, "-n", "-Y", wrong][..], &checks[..]].concat()) {
            assert_eq!(bad, "", "{}", case.name());
        }
    }
    assert!(told >= 300, "only {told}");
}

/// The payload between two endpoints, each way, of a capture in order.
fn payload(capture: &Path) -> BTreeMap<(String, String), Vec<u8>> {
    let limits = Limits::default();
    let mut capture = Capture::open(&[Input::File(capture.to_owned())], &limits).unwrap();
    let mut decoder = Decoder::new(&limits);
    let mut streams: BTreeMap<_, Vec<u8>> = BTreeMap::new();
    while let Some(item) = capture.next() {
        let Item::Frame(frame) = item else { continue };
        let Decoded::Segment(segment) = decoder.decode(&frame) else { panic!("frame {}", frame.pos.number) };
        let key = (segment.src.to_string(), segment.dst.to_string());
        streams.entry(key).or_default().extend_from_slice(segment.payload);
    }
    streams
}

/// What the endpoints recorded is in the payload, in order, before and behind STARTTLS.
#[test]
fn plaintext_is_what_the_endpoints_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut found = 0;
    for case in cases("tls") {
        let truth = case.truth();
        let sessions = json(&run(&case.args("sessions", None, &["--json"])).stdout);
        // The record of a handshake that failed holds what would have been said.
        if sessions.iter().any(|s| s["complete"] != true || s["outcome"] == "tls-failed") {
            continue;
        }
        let out = dir.path().join(case.name());
        run(&case.args("decrypt", Some(&out), &["--plaintext"]));
        let streams = payload(&out);
        for connection in truth["connections"].as_array().unwrap() {
            let (ip, port) = connection["client"].as_str().unwrap().rsplit_once(':').unwrap();
            let ip: IpAddr = ip.trim_matches(['[', ']']).parse().unwrap();
            let client = &SocketAddr::new(ip, port.parse().unwrap()).to_string();
            let (_, sent) = streams.iter().find(|((from, _), _)| from == client).unwrap();
            let (_, received) = streams.iter().find(|((_, to), _)| to == client).unwrap();
            let both = [("pre_tls_commands", "pre_tls_replies"), ("commands", "replies")];
            let lists = |name: &str| connection[name].as_array().cloned().unwrap_or_default();
            for (stream, end, lines) in [
                (sent, "\r\n", both.iter().flat_map(|(commands, _)| lists(commands)).collect::<Vec<_>>()),
                (received, "", both.iter().flat_map(|(_, replies)| lists(replies)).collect()),
            ] {
                let text = lossy(stream);
                let mut rest = text.as_str();
                for line in lines {
                    let line = line.as_str().unwrap().to_owned() + end;
                    let at = rest.find(&line).unwrap_or_else(|| panic!("{}: {line:?} is not in {rest:?}", case.name()));
                    rest = &rest[at + line.len()..];
                    found += 1;
                }
            }
        }
    }
    assert!(found >= 400, "only {found}");
}

/// tshark finds every command of the truth in the plaintext, whatever port it was on.
#[test]
fn tshark_dissects_the_plaintext() {
    let dir = tempfile::tempdir().unwrap();
    let mut found = 0;
    for name in ["tls12-ecdhe-rsa-aes128-gcm-sha256-pop3.pcap", "tls13-aes-128-gcm-sha256-pop3.pcap"] {
        let case = case("tls", name);
        let out = dir.path().join(name);
        assert_eq!(run(&case.args("decrypt", Some(&out), &["--plaintext"])).code, Some(0));
        let fields = ["-T", "fields", "-e", "pop.request.command", "-e", "tcp.dstport"];
        let Some(seen) = tshark(&[&["-r", &text(&out), "-n", "-Y", "pop.request"][..], &fields[..]].concat()) else {
            return;
        };
        let verbs: Vec<&str> = seen.lines().filter_map(|l| l.split_once('\t')).map(|(verb, _)| verb).collect();
        assert!(seen.lines().all(|l| l.ends_with("\t110")), "{seen}");
        let commands = json(&run(&case.args("decode", None, &["--json"])).stdout);
        let want = commands.iter().filter(|l| l["type"] == "command");
        // What follows AUTH is an answer, not a command, to tshark too.
        for verb in want.filter_map(|l| l["verb"].as_str()).filter(|v| !v.is_empty()) {
            assert!(verbs.contains(&verb), "{name}: {verb} is not in {verbs:?}");
            found += 1;
        }
    }
    assert!(found >= 6, "only {found}");
}

#[test]
fn starttls_goes_on_in_a_connection_that_tshark_dissects() {
    let case = case("tls", "tls12-aes128-sha256-smtp-starttls.pcap");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("clear.pcapng");
    assert_eq!(run(&case.args("decrypt", Some(&out), &["--plaintext"])).code, Some(0));
    let fields = ["-T", "fields", "-e", "tcp.stream", "-e", "smtp.req.command"];
    let Some(seen) = tshark(&[&["-r", &text(&out), "-n", "-Y", "smtp.req.command"][..], &fields[..]].concat()) else {
        return;
    };
    // tshark 4.0 shows four letters of a verb.
    let seen: Vec<&str> = seen.lines().filter_map(|l| l.get(..6)).collect();
    assert_eq!(&seen[..3], ["0\tEHLO", "0\tSTAR", "1\tEHLO"]);
    assert_eq!(seen.last(), Some(&"1\tQUIT"));
}

/// A session can be passed on without the others' packets and secrets.
#[test]
fn selection_takes_a_sessions_packets_and_secrets_alone() {
    let case = case("servers", "rsa12-resume.pcap");
    let dir = tempfile::tempdir().unwrap();
    let sessions = json(&run(&case.args("sessions", None, &["--json"])).stdout);
    let opened: Vec<&Value> = sessions.iter().filter(|s| !s["tls"].as_array().unwrap().is_empty()).collect();
    assert!(opened.len() >= 4);
    for (n, session) in opened.iter().enumerate() {
        let id = session["id"].to_string();
        let out = dir.path().join(format!("{n}.pcapng"));
        assert_eq!(run(&case.args("decrypt", Some(&out), &["--session", &id])).code, Some(0));
        let only = json(&run(&["sessions", &text(&out), "--json"]).stdout);
        let [only] = only.as_slice() else { panic!("{} sessions", only.len()) };
        for field in ["client", "server", "user", "commands", "messages", "bytes", "complete", "start", "end"] {
            assert_eq!(only[field], session[field], "{field}");
        }
        assert_eq!(only["frames"]["count"], session["frames"]["count"]);
        let log = String::from_utf8(run(&["keylog", &text(&out)]).stdout).unwrap();
        let randoms: BTreeSet<&str> = log.lines().filter_map(|l| l.split(' ').nth(1)).collect();
        let own: BTreeSet<&str> =
            session["tls"].as_array().unwrap().iter().filter_map(|t| t["client_random"].as_str()).collect();
        assert_eq!(randoms, own);
        assert_eq!(run(&case.args("keylog", None, &["--session", &id])).stdout, log.as_bytes());
    }
    let out = dir.path().join("mail.pcapng");
    assert_eq!(run(&case.args("decrypt", Some(&out), &["--mail-only"])).code, Some(0));
    assert_eq!(json(&run(&["sessions", &text(&out), "--json"]).stdout).len(), sessions.len());
}

#[test]
fn files_are_private_and_neither_inputs_nor_overwritten() {
    let case = case("servers", "rsa12-smtp-starttls.pcap");
    let dir = tempfile::tempdir().unwrap();
    let capture = dir.path().join("mail.pcap");
    fs::copy(&case.capture, &capture).unwrap();
    let (input, keys) = (text(&capture), text(&case.keys));
    for command in ["keylog", "decrypt"] {
        let out = dir.path().join(command);
        let base = [command, &input, "-k", &keys];
        let with = |more: &[&str]| run(&[&base[..], more].concat());
        fs::write(&out, "precious").unwrap();
        let refused = with(&["-o", &text(&out)]);
        assert!(refused.code == Some(2) && refused.stderr.contains("--force"), "{}", refused.stderr);
        assert_eq!(fs::read(&out).unwrap(), b"precious");
        let forced = with(&["-o", &text(&out), "--force"]);
        assert_eq!(forced.code, Some(0), "{}", forced.stderr);
        assert!(forced.stderr.contains("secret"), "{}", forced.stderr);
        assert_private(&out);
        let own = with(&["-o", &input, "--force"]);
        assert!(own.code == Some(2) && own.stderr.contains("one of the inputs"), "{}", own.stderr);
        assert_eq!(fs::read(&capture).unwrap(), fs::read(&case.capture).unwrap());
        assert_eq!(with(&["-o", "/dev/null", "--force"]).code, Some(2));
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        assert_eq!(with(&["-o", "/nonexistent/out"]).code, Some(2));
        assert_eq!(with(&["--json", "-o", &text(&dir.path().join("json"))]).code, Some(2));
    }
    let names: BTreeSet<String> =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, ["decrypt", "keylog", "mail.pcap"].map(str::to_owned).into(), "nothing is left behind");
    let aliased = dir.path().join("w.pcapng");
    assert_eq!(run(&["decrypt", &input, "-k", &keys, "-w", &text(&aliased)]).code, Some(0));
    assert_eq!(fs::read(&aliased).unwrap(), fs::read(dir.path().join("decrypt")).unwrap());
    assert_eq!(run(&["decrypt", &input]).code, Some(2));
}

#[test]
fn standard_input_is_for_the_key_log_only() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.pcapng");
    let ran = run(&["decrypt", "-", "-o", &text(&out)]);
    assert!(ran.code == Some(2) && ran.stderr.contains("can't be read twice"), "{}", ran.stderr);
    assert!(!out.exists());
    let case = case("servers", "rsa12-smtp-starttls.pcap");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailcap"));
    command.args(["keylog", "-", "-k", &text(&case.keys)]).stdin(fs::File::open(&case.capture).unwrap());
    assert_eq!(command.output().unwrap().stdout, run(&case.args("keylog", None, &[])).stdout);
}

#[test]
fn without_mail_or_tls_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pcap");
    fs::write(&empty, [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]).unwrap();
    let out = dir.path().join("out");
    for args in [&["decrypt"][..], &["decrypt", "--plaintext"], &["decrypt", "--mail-only"], &["keylog"]] {
        let ran = run(&[args, &[&text(&empty), "-o", &text(&out)]].concat());
        assert_eq!(ran.code, Some(1), "{args:?}: {}", ran.stderr);
        assert!(!out.exists());
    }
}

/// Passwords of a capture's accounts and the digests that the truth records.
fn known_secrets(truth: &Value) -> BTreeMap<String, String> {
    let mut secrets = BTreeMap::new();
    for (user, password) in truth["accounts"].as_object().into_iter().flatten() {
        let password = password.as_str().unwrap();
        secrets.insert(format!("password of {user}"), password.to_owned());
    }
    for connection in truth["connections"].as_array().into_iter().flatten() {
        if let Some(password) = connection["auth"]["password"].as_str() {
            secrets.insert(format!("password of {}", connection["auth"]["username"]), password.to_owned());
        }
    }
    let sessions = truth["expected"].as_array().into_iter().flatten();
    for command in sessions.flat_map(|s| s["commands"].as_array().into_iter().flatten()) {
        let raw = command["raw"].as_str().unwrap_or_default();
        if let Some(digest) = raw.strip_prefix("APOP ").and_then(|rest| rest.rsplit(' ').next()) {
            secrets.insert(raw.to_owned(), digest.to_owned());
        }
    }
    secrets
}

/// What a client said to proxies, which the truth of the mail sessions does not have.
fn proxy_secrets(capture: &Path) -> Vec<String> {
    let bytes = fs::read(capture).unwrap();
    let mark = b"Proxy-Authorization: Basic ";
    let at = bytes.windows(mark.len()).position(|w| w == mark).unwrap() + mark.len();
    let line = bytes[at..].split(|b| *b == b'\r').next().unwrap();
    let login = String::from_utf8(STANDARD.decode(line).unwrap()).unwrap();
    let (user, password) = login.split_once(':').unwrap();
    // RFC 1929: the same ones, to a SOCKS proxy.
    let socks = [&[1, user.len() as u8], user.as_bytes(), &[password.len() as u8], password.as_bytes()].concat();
    assert!(bytes.windows(socks.len()).any(|w| w == socks));
    vec![login.clone(), password.to_owned()]
}

/// Every command, every output, every encoding: no password without --show-secrets.
#[test]
fn no_command_leaks_a_password() {
    let dir = tempfile::tempdir().unwrap();
    let (mut searched, mut shown) = (0, 0);
    for case in cases("servers").into_iter().chain(cases("tls").into_iter().step_by(3)) {
        let truth = case.truth();
        let mut secrets = known_secrets(&truth);
        if case.name() == "smtp-proxied.pcap" {
            secrets.extend(proxy_secrets(&case.capture).into_iter().map(|s| (format!("{s}, to a proxy"), s)));
        }
        if secrets.is_empty() {
            continue;
        }
        let home = dir.path().join(case.name());
        fs::create_dir(&home).unwrap();
        let users = home.join("users");
        let accounts = truth["accounts"].as_object().into_iter().flatten();
        let list: String = accounts.map(|(u, p)| format!("{u}:{}\n", p.as_str().unwrap())).collect();
        fs::write(&users, format!("{list}nobody:x\n")).unwrap();
        let [mails, boxes, tables, lines, dirs] =
            ["mails", "mbox", "tables", "lines", "maildir"].map(|name| home.join(name));
        let runs: Vec<Vec<String>> = vec![
            case.args("decode", None, &[]),
            case.args("decode", None, &["--bodies", "--abs"]),
            case.args("decode", None, &["--json", "--stats"]),
            case.args("decode", None, &["--one-line"]),
            case.args("decode", None, &["--live", "--color", "always"]),
            case.args("decode", None, &["--user", "a", "--stats"]),
            case.args("sessions", None, &[]),
            case.args("sessions", None, &["--json"]),
            case.args("sessions", None, &["--stats", "--errors"]),
            case.args("services", None, &["--all"]),
            case.args("services", None, &["--json", "--stats"]),
            case.args("tls", None, &["--explain"]),
            case.args("tls", None, &["--json"]),
            case.args("auth", None, &[]),
            case.args("auth", None, &["--json"]),
            case.args("auth", None, &["--check", &text(&users)]),
            case.args("auth", None, &["--json", "--check", &text(&users)]),
            case.args("extract", Some(&mails), &["--attachments", "--parts"]),
            case.args("extract", Some(&boxes), &["--format", "mbox"]),
            case.args("extract", Some(&dirs), &["--format", "maildir", "--json"]),
            case.args("batch", Some(&tables), &["--extract", "--attachments", "--stats"]),
            case.args("batch", Some(&lines), &["--json"]),
            case.args("keylog", None, &[]),
            case.args("decrypt", Some(&home.join("a.pcapng")), &[]),
            case.args("decrypt", Some(&home.join("b.pcapng")), &["--plaintext"]),
        ];
        let mut outputs: Vec<(String, String)> = Vec::new();
        for args in &runs {
            let ran = run(args);
            assert!(matches!(ran.code, Some(0 | 1 | 3)), "{args:?}: {}", ran.stderr);
            outputs.push((format!("{args:?}"), lossy(&ran.stdout)));
            outputs.push((format!("stderr of {args:?}"), ran.stderr));
        }
        for folder in [mails, boxes, tables, lines, dirs] {
            files(&folder, &mut outputs);
        }
        for (what, secret) in &secrets {
            for needle in encodings(secret.as_bytes()) {
                for (name, output) in &outputs {
                    assert!(!output.contains(&needle), "{}: {what} ({needle}) in {name}", case.name());
                    searched += 1;
                }
            }
        }
        // The search finds what is there: with --show-secrets passwords are shown.
        let open = lossy(&run(&case.args("auth", None, &["--json", "--show-secrets"])).stdout);
        shown += secrets.values().filter(|secret| open.contains(secret.as_str())).count();
    }
    assert!(searched > 10_000, "only {searched} searches");
    assert!(shown >= 5, "only {shown} passwords with --show-secrets");
}

/// Passwords that are typed, or stand in files that were given, are not repeated when something is wrong with them.
/// `--tshark-key` did so.
#[test]
fn what_was_given_in_confidence_is_not_repeated() {
    const SECRET: &str = "Xq7zKw9pLm";
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        fs::write(dir.path().join(name), content).unwrap();
        text(&dir.path().join(name))
    };
    let capture = text(&case("servers", "smtp-auth-all.pcap").capture);
    let locked = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys/encoded");
    let wrong = file("password", &format!("{SECRET}\n"));
    let mut runs: Vec<Vec<String>> = vec![
        vec!["--tshark-key".into(), format!("1.2.3.4,25,smtp,server.key,{SECRET}")],
        vec![format!("--tshark-key=1.2.3.4,x,smtp,server.key,{SECRET}")],
        vec!["--psk".into(), SECRET.into()],
        vec!["--keylog".into(), file("log", &format!("CLIENT_RANDOM {SECRET} {SECRET}\n{SECRET}\n"))],
        vec![
            "-k".into(),
            file("key", &format!("-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----")),
        ],
        vec!["--key-password-file".into(), wrong.clone(), "-k".into(), wrong.clone()],
    ];
    for name in ["rsa2048.password.p12", "rsa2048.enc-legacy-des3.pem", "rsa2048.enc-pkcs8-aes256-scrypt.pem"] {
        runs.push(vec!["--key-password-file".into(), wrong.clone(), "-k".into(), text(&locked.join(name))]);
    }
    for run in &mut runs {
        run.splice(0..0, ["decode".to_owned(), capture.clone()]);
    }
    for list in [format!("alice{SECRET}\n"), format!("alice:x\n\u{0}{SECRET}\n")] {
        let users = file(&format!("users{}", runs.len()), &list);
        runs.push(vec!["auth".into(), capture.clone(), "--check".into(), users]);
    }
    for method in ["cram-md5", "apop"] {
        let compute = ["auth", "--compute", method, "--user", "alice", "--challenge", "?", "--password-file", &wrong];
        runs.push(compute.map(str::to_owned).to_vec());
    }
    for args in &runs {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mailcap"));
        let output = command.env("MAILCAP_KEY_PASSWORD", SECRET).args(args).stdin(Stdio::null()).output().unwrap();
        let told = lossy(&output.stdout) + &lossy(&output.stderr);
        assert!(!told.is_empty(), "{args:?}");
        for needle in encodings(SECRET.as_bytes()) {
            assert!(!told.contains(&needle), "{args:?}: {told}");
        }
    }
    let mut help = Command::new(env!("CARGO_BIN_EXE_mailcap"));
    let output = help.env("MAILCAP_KEY_PASSWORD", SECRET).args(["decode", "--help"]).output().unwrap();
    assert!(!lossy(&output.stdout).contains(SECRET));
}
