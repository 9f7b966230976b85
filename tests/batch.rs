//! `mailcap batch`: the dataset is what the other commands tell, whatever ended the runs that made it.

mod common;
#[cfg(feature = "parquet")]
#[path = "common/parquet.rs"]
mod parquet_rows;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use common::packets::{Frames, Random};
use common::{hex, testdata};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

const TABLES: [&str; 10] =
    ["sessions", "commands", "replies", "auth", "tls", "messages", "scripts", "gaps", "diagnostics", "services"];

/// Captures of every protocol, with TLS that a key opens, with losses.
const MAIL: [&str; 9] = [
    "smtp-auth-all",
    "rsa12-smtp-starttls",
    "imap-full-starttls-rsa",
    "pop3-full",
    "smtp-bdat",
    "sieve-starttls-rsa",
    "wire-loss-reorder-dup",
    "imap-full-plain",
    "t-capture-gap-pop3",
];

fn capture(name: &str) -> PathBuf {
    let paths = ["servers", "tls"].map(|folder| testdata().join(folder).join(format!("{name}.pcap")));
    paths.into_iter().find(|p| p.exists()).unwrap()
}

/// The keys of all of them.
/// A folder with the servers' keys. The one with all kinds of key files has some that take seconds to open.
fn keys() -> String {
    static KEYS: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        for from in ["servers/keys", "tls/keys"] {
            for key in fs::read_dir(testdata().join(from)).unwrap() {
                let key = key.unwrap();
                fs::copy(key.path(), folder.path().join(key.file_name())).unwrap();
            }
        }
        folder
    });
    KEYS.path().display().to_string()
}

fn mailcap(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mailcap")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// What there is without Parquet.
const FORMAT: &[&str] = if cfg!(feature = "parquet") { &[] } else { &["--json"] };

/// A folder of captures, and where the dataset goes.
struct Archive {
    _home: tempfile::TempDir,
    captures: PathBuf,
    out: PathBuf,
}

impl Archive {
    fn new(names: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (captures, out) = (home.path().join("captures"), home.path().join("dataset"));
        fs::create_dir_all(captures.join("deep/er")).unwrap();
        for (at, name) in names.iter().enumerate() {
            let folder = if at % 2 == 0 { captures.clone() } else { captures.join("deep/er") };
            fs::copy(capture(name), folder.join(format!("{name}.pcap"))).unwrap();
        }
        Archive { _home: home, captures, out }
    }

    fn batch(&self, more: &[&str]) -> Output {
        let paths = [self.captures.to_str().unwrap(), "-o", self.out.to_str().unwrap()];
        let more: Vec<&str> = more.iter().copied().filter(|word| !FORMAT.contains(word)).collect();
        mailcap(&[&["batch"], &paths[..], &more, FORMAT].concat())
    }

    /// Another dataset of the same captures.
    fn beside(&self, name: &str) -> Archive {
        let home = tempfile::tempdir().unwrap();
        Archive { captures: self.captures.clone(), out: home.path().join(name), _home: home }
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// All files below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().map(|e| e.unwrap().path()) {
        if entry.is_dir() { all.extend(files(&entry)) } else { all.push(entry) }
    }
    all.sort();
    all
}

/// Files of the dataset, but for the run's own, with the digest of each.
fn tree(dir: &Path) -> BTreeMap<PathBuf, String> {
    let own = |path: &&PathBuf| !path.starts_with(dir.join(".mailcap-batch"));
    let digest = |path: &PathBuf| hex(&Sha256::digest(fs::read(path).unwrap()));
    files(dir).iter().filter(own).map(|p| (p.strip_prefix(dir).unwrap().to_owned(), digest(p))).collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same whether it went through columns or not: times as nanoseconds, empty `NAME_b64` left out, keys sorted.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(name, v)| !(name.ends_with("_b64") && v.is_null()));
            let sorted: BTreeMap<String, Value> = kept.map(|(name, v)| (name, plain(v))).collect();
            Value::Object(sorted.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(plain).collect()),
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => Value::String(format!("{} ns", time.as_nanosecond())),
            Err(_) => Value::String(text),
        },
        Value::Number(n) => Value::String(n.to_string()),
        other => other,
    }
}

/// The rows of a table, sorted; each with its partition as `day`.
fn rows(out: &Path, table: &str) -> Vec<Map<String, Value>> {
    let mut all = Vec::new();
    for file in files(&out.join(table)) {
        let day = file.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let day = day.strip_prefix("day=").unwrap();
        let rows = match file.extension().and_then(|e| e.to_str()) {
            #[cfg(feature = "parquet")]
            Some("parquet") => lines(&parquet_rows::rows(&file)),
            _ => {
                let mut text = String::new();
                flate2::read::GzDecoder::new(File::open(&file).unwrap()).read_to_string(&mut text).unwrap();
                lines(&text)
            }
        };
        for row in rows {
            let Value::Object(mut row) = plain(row) else { panic!("a row is an object") };
            row.insert("day".to_owned(), day.into());
            all.push(row);
        }
    }
    all.sort_by_key(|row| serde_json::to_string(row).unwrap());
    all
}

fn dataset(out: &Path) -> BTreeMap<&'static str, Vec<Map<String, Value>>> {
    TABLES.iter().map(|table| (*table, rows(out, table))).collect()
}

fn column<'a>(rows: &'a [Map<String, Value>], name: &str) -> BTreeSet<&'a str> {
    rows.iter().filter_map(|row| row[name].as_str()).collect()
}

/// What the other commands tell of the captures, as the dataset should have it.
fn told(archive: &Archive, names: &[&str]) -> BTreeMap<&'static str, Vec<Map<String, Value>>> {
    let mut all: BTreeMap<&'static str, Vec<Map<String, Value>>> = TABLES.iter().map(|t| (*t, Vec::new())).collect();
    for path in files(&archive.captures) {
        if !names.iter().any(|name| path.file_stem().unwrap() == *name) {
            continue;
        }
        for command in ["decode", "services"] {
            let output = mailcap(&[command, path.to_str().unwrap(), "--json", "-k", &keys()]);
            for object in lines(&String::from_utf8(output.stdout).unwrap()) {
                let table = match object["type"].as_str().unwrap() {
                    "session" => "sessions",
                    "command" => "commands",
                    "reply" => "replies",
                    "message" => "messages",
                    "script" => "scripts",
                    "gap" => "gaps",
                    "diagnostic" => "diagnostics",
                    "service" => "services",
                    "auth" => "auth",
                    "tls" => "tls",
                    // Of the capture itself, not of a session.
                    "comment" | "limit" => continue,
                    other => panic!("{other}"),
                };
                let time = object.get("ts").unwrap_or_else(|| &object["last"]);
                let day = time.as_str().unwrap()[..10].to_owned();
                let Value::Object(mut row) = plain(object) else { panic!("an object") };
                row.insert("input".to_owned(), path.to_str().unwrap().into());
                row.insert("day".to_owned(), day.into());
                let row: BTreeMap<String, Value> = row.into_iter().collect();
                all.get_mut(table).unwrap().push(row.into_iter().collect());
            }
        }
    }
    for rows in all.values_mut() {
        rows.sort_by_key(|row| serde_json::to_string(row).unwrap());
    }
    all
}

/// `day` is added last above; keys are sorted for the comparison.
fn sorted(tables: BTreeMap<&'static str, Vec<Map<String, Value>>>) -> BTreeMap<&'static str, Vec<String>> {
    let line = |row: Map<String, Value>| {
        let row: BTreeMap<String, Value> = row.into_iter().collect();
        serde_json::to_string(&row).unwrap()
    };
    let mut all: BTreeMap<&'static str, Vec<String>> =
        tables.into_iter().map(|(t, rows)| (t, rows.into_iter().map(line).collect())).collect();
    all.values_mut().for_each(|rows| rows.sort());
    all
}

fn assert_same(got: BTreeMap<&'static str, Vec<String>>, want: BTreeMap<&'static str, Vec<String>>) {
    for (table, want) in want {
        let got = &got[table];
        assert_eq!(got.len(), want.len(), "{table}: number of rows");
        for (got, want) in got.iter().zip(&want) {
            assert_eq!(got, want, "{table}");
        }
    }
}

#[test]
fn the_tables_are_what_the_other_commands_tell() {
    let archive = Archive::new(&MAIL);
    let output = archive.batch(&["-k", &keys()]);
    assert!(matches!(code(&output), 0 | 3), "{}", stderr(&output));
    let want = told(&archive, &MAIL);
    for table in ["sessions", "commands", "replies", "auth", "tls", "messages", "services", "gaps", "diagnostics"] {
        assert!(!want[table].is_empty(), "{table} is tested by something");
    }
    let want = sorted(want);
    assert_same(sorted(dataset(&archive.out)), want.clone());
    // The same as JSON Lines.
    let other = archive.beside("json");
    other.batch(&["-k", &keys(), "--json"]);
    assert!(files(&other.out.join("sessions")).iter().all(|f| f.to_str().unwrap().ends_with(".jsonl.gz")));
    assert_same(sorted(dataset(&other.out)), want);
}

#[test]
fn nothing_depends_on_jobs() {
    let archive = Archive::new(&MAIL);
    let (one, four) = (archive.beside("one"), archive.beside("four"));
    assert_eq!(
        code(&one.batch(&["-k", &keys(), "-j", "1", "--bundle", "64K"])),
        code(&four.batch(&["-k", &keys(), "-j", "4", "--bundle", "64K"]))
    );
    let tree_of_one = tree(&one.out);
    assert!(tree_of_one.len() > 20);
    assert_eq!(tree_of_one, tree(&four.out), "not a byte");
}

#[test]
fn a_run_that_was_killed_goes_on_where_it_was() {
    let archive = Archive::new(&MAIL);
    let whole = archive.beside("whole");
    // Some inputs share their parts, some have their own.
    let arguments = ["-k", &keys(), "-j", "2", "--extract", "--bundle", "64K"];
    let begun = std::time::Instant::now();
    let undisturbed = code(&whole.batch(&arguments));
    let time = begun.elapsed();
    let mut random = Random::new(2026);
    let mut kills = 0;
    for round in 0..3 {
        let archive = archive.beside(&format!("round{round}"));
        for _ in 0..4 {
            let mut run = Command::new(env!("CARGO_BIN_EXE_mailcap"));
            run.arg("batch").arg(&archive.captures).arg("-o").arg(&archive.out).args(arguments).args(FORMAT);
            let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(time.mul_f64(random.below(700) as f64 / 1000.0));
            // Ctrl-C ends it in order, and what was finished is kept all the same.
            if cfg!(unix) && random.chance(3) {
                let interrupted = Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
                assert!(interrupted.success());
                let code = run.wait().unwrap().code();
                // Before it listens the signal ends it; when it has finished it is too late.
                assert!(code.is_none() || code == Some(130) || code == Some(undisturbed), "{code:?}");
                continue;
            }
            run.kill().unwrap();
            kills += usize::from(run.wait().unwrap().code().is_none());
        }
        assert_eq!(code(&archive.batch(&arguments)), undisturbed);
        assert_eq!(tree(&archive.out), tree(&whole.out));
        assert!(files(&archive.out.join(".mailcap-batch/work")).is_empty());
        assert!(files(&archive.out.join(".mailcap-batch/ready")).is_empty());
    }
    assert!(kills > 0, "no run was killed");
    let again = whole.batch(&arguments);
    assert_eq!(code(&again), undisturbed, "what was done before counts");
    assert!(String::from_utf8_lossy(&again.stdout).contains("0 done, 9 done before"), "{again:?}");
}

#[test]
fn small_captures_share_their_parts() {
    let archive = Archive::new(&MAIL);
    let (together, apart) = (archive.beside("together"), archive.beside("apart"));
    together.batch(&["-k", &keys(), "--extract"]);
    apart.batch(&["-k", &keys(), "--extract", "--bundle", "0"]);
    let count = |archive: &Archive, table: &str| files(&archive.out.join(table)).len();
    let days = |archive: &Archive, table: &str| column(&rows(&archive.out, table), "day").len();
    for table in TABLES {
        assert_eq!(count(&together, table), days(&together, table), "{table}: a part a day");
    }
    assert_eq!(count(&apart, "sessions"), MAIL.len(), "a part an input");
    assert_same(sorted(dataset(&together.out)), sorted(dataset(&apart.out)));
    assert_eq!(files(&together.out.join("mail")).len(), files(&apart.out.join("mail")).len());
}

/// Whatever shares its parts: what changes is replaced, the others' rows stay, those of files that are not there any
/// more too.
#[test]
fn one_of_several_that_share_their_parts_is_replaced() {
    let archive = Archive::new(&["smtp-auth-all", "pop3-full", "sieve-starttls-rsa"]);
    archive.batch(&["--extract"]);
    let of = |name: &'static str| {
        let mut tables = dataset(&archive.out);
        tables.values_mut().for_each(|rows| rows.retain(|row| row["input"].as_str().unwrap().contains(name)));
        sorted(tables)
    };
    let (gone, same) = (of("smtp-auth-all"), of("sieve-starttls-rsa"));
    fs::remove_file(archive.captures.join("smtp-auth-all.pcap")).unwrap();
    fs::copy(capture("pop3-auth-all"), archive.captures.join("deep/er/pop3-full.pcap")).unwrap();
    let output = archive.batch(&["--extract"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 done, 1 done before"), "{output:?}");
    assert_same(of("smtp-auth-all"), gone);
    assert_same(of("sieve-starttls-rsa"), same);
    let fresh = archive.beside("fresh");
    fresh.batch(&["--extract"]);
    let mut all = dataset(&archive.out);
    all.values_mut().for_each(|rows| rows.retain(|row| !row["input"].as_str().unwrap().contains("smtp-auth-all")));
    // Where its messages are is called by what the input is.
    assert_same(sorted(all), sorted(dataset(&fresh.out)));
}

#[test]
fn a_changed_input_is_read_anew_and_replaced() {
    let archive = Archive::new(&["smtp-auth-all", "pop3-full"]);
    archive.batch(&["--bundle", "0"]);
    let other = |rows: Vec<Map<String, Value>>| -> Vec<Map<String, Value>> {
        rows.into_iter().filter(|row| row["input"].as_str().unwrap().contains("pop3-full")).collect()
    };
    let before = dataset(&archive.out);
    fs::copy(capture("smtp-bdat"), archive.captures.join("smtp-auth-all.pcap")).unwrap();
    let output = archive.batch(&["--bundle", "0"]);
    assert!(
        stderr(&output).contains("read again, though done in an earlier run: 1 input; their files changed"),
        "{output:?}"
    );
    let fresh = archive.beside("fresh");
    fresh.batch(&["--bundle", "0"]);
    assert_eq!(tree(&archive.out), tree(&fresh.out), "as if it had never been another");
    assert_eq!(other(rows(&archive.out, "commands")), other(before["commands"].clone()));
    // Parts that somebody removed are made anew, too.
    fs::remove_dir_all(archive.out.join("commands")).unwrap();
    archive.batch(&["--bundle", "0"]);
    assert_eq!(tree(&archive.out), tree(&fresh.out));
}

#[test]
fn an_input_that_is_gone_keeps_its_rows() {
    let archive = Archive::new(&["smtp-auth-all", "pop3-full"]);
    archive.batch(&[]);
    let before = tree(&archive.out);
    fs::remove_file(archive.captures.join("smtp-auth-all.pcap")).unwrap();
    let output = archive.batch(&[]);
    assert!(stderr(&output).contains("no longer there, from earlier runs: 1 input;"), "{output:?}");
    assert_eq!(tree(&archive.out), before);
    archive.batch(&["--force"]);
    assert_eq!(column(&rows(&archive.out, "sessions"), "input").len(), 1, "starting over forgets it");
}

#[test]
fn a_broken_input_is_told_and_spoils_nothing() {
    let archive = Archive::new(&["smtp-auth-all", "pop3-full"]);
    let sound = archive.beside("sound");
    assert_eq!(code(&sound.batch(&[])), 0);
    fs::write(archive.captures.join("page.pcap"), "<html>no capture").unwrap();
    fs::write(archive.captures.join("short.pcap"), [0xd4, 0xc3, 0xb2, 0xa1, 2]).unwrap();
    let output = archive.batch(&[]);
    assert_eq!(code(&output), 2);
    let text = stderr(&output);
    assert!(text.contains("page.pcap: a web page, not a capture"), "{text}");
    assert!(text.contains("short.pcap: "), "{text}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("2 done, 0 done before, 2 failed"), "{output:?}");
    assert_same(sorted(dataset(&archive.out)), sorted(dataset(&sound.out)));
    // Tried again, and still told.
    assert_eq!(code(&archive.batch(&[])), 2);
}

#[test]
fn rows_of_an_input_that_can_be_used_no_more_are_said_to_stay() {
    let archive = Archive::new(&["smtp-auth-all", "pop3-full"]);
    archive.batch(&[]);
    let before = sorted(dataset(&archive.out));
    let first = archive.captures.join("smtp-auth-all.pcap");
    fs::write(&first, "<html>no capture").unwrap();
    let output = archive.batch(&[]);
    assert_eq!(code(&output), 2);
    let text = stderr(&output);
    assert!(text.contains("not a capture; download the raw file (its rows of an earlier run stay)"), "{text}");
    // Named, and gone; and a folder.
    fs::remove_file(&first).unwrap();
    fs::remove_dir_all(archive.captures.join("deep")).unwrap();
    let other = archive.captures.join("other.pcap");
    fs::copy(capture("smtp-bdat"), &other).unwrap();
    let [named, folder, never] = ["smtp-auth-all.pcap", "deep", "never.pcap"].map(|name| archive.captures.join(name));
    let paths = [&other, &named, &folder, &never].map(|path| path.to_str().unwrap());
    let output = mailcap(&[&["batch", "-o", archive.out.to_str().unwrap()], &paths[..], FORMAT].concat());
    assert_eq!(code(&output), 2);
    let text = stderr(&output);
    for kept in ["smtp-auth-all.pcap: no such file or folder (its rows", "deep: no such file or folder (its rows"] {
        assert!(text.contains(kept), "{text}");
    }
    assert!(text.contains("never.pcap: no such file or folder (nothing of it is in"), "{text}");
    let mut after = dataset(&archive.out);
    after.values_mut().for_each(|rows| rows.retain(|row| !row["input"].as_str().unwrap().contains("other.pcap")));
    assert_same(sorted(after), before);
}

#[test]
fn a_cut_capture_is_in_the_dataset_as_far_as_it_goes() {
    let archive = Archive::new(&[]);
    let whole = fs::read(capture("smtp-auth-all")).unwrap();
    fs::write(archive.captures.join("cut.pcap"), &whole[..whole.len() / 2]).unwrap();
    let output = archive.batch(&[]);
    assert_eq!(code(&output), 3, "{output:?}");
    assert!(stderr(&output).contains("cut.pcap: "), "{output:?}");
    assert!(!rows(&archive.out, "sessions").is_empty());
}

/// A pcap file's header and records.
fn records(name: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
    let file = fs::read(capture(name)).unwrap();
    let (header, mut rest) = file.split_at(24);
    assert_eq!(header[..2], [0xd4, 0xc3], "little-endian microseconds");
    let mut all = Vec::new();
    while rest.len() >= 16 {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (record, next) = rest.split_at(16 + len);
        all.push(record.to_vec());
        rest = next;
    }
    (header.to_vec(), all)
}

#[test]
fn a_ring_is_one_capture_and_unrelated_names_are_several() {
    let (header, all) = records("smtp-auth-all");
    let pieces: Vec<Vec<u8>> = all.chunks(all.len().div_ceil(3)).map(|c| [&header[..], &c.concat()].concat()).collect();
    let archive = Archive::new(&[]);
    for (name, piece) in ["mail.pcap", "mail.pcap1", "mail.pcap2"].iter().zip(&pieces) {
        fs::write(archive.captures.join(name), piece).unwrap();
    }
    assert_eq!(code(&archive.batch(&[])), 0);
    let ring = rows(&archive.out, "sessions");
    assert_eq!(
        column(&ring, "input").into_iter().collect::<Vec<_>>(),
        [archive.captures.join("mail.pcap*").to_str().unwrap()]
    );
    let whole = Archive::new(&["smtp-auth-all"]);
    whole.batch(&[]);
    let story = |rows: Vec<Map<String, Value>>| -> Vec<String> {
        let mut all: Vec<String> =
            rows.iter().map(|r| format!("{} {} {} {}", r["id"], r["commands"], r["outcome"], r["complete"])).collect();
        all.sort();
        all
    };
    let whole = story(rows(&whole.out, "sessions"));
    assert_eq!(story(ring), whole, "sessions that cross a rotation are one");

    // Unless each file is to be by itself.
    assert_eq!(code(&archive.batch(&["--separate"])), 3);
    let torn = rows(&archive.out, "sessions");
    assert_eq!(column(&torn, "input").len(), 3);
    assert_ne!(story(torn), whole);
    assert_eq!(code(&archive.batch(&[])), 0);
    assert_eq!(story(rows(&archive.out, "sessions")), whole, "and one again");

    let apart = Archive::new(&[]);
    for (name, piece) in ["case1.pcap", "case2.pcap", "case3.pcap"].iter().zip(&pieces) {
        fs::write(apart.captures.join(name), piece).unwrap();
    }
    apart.batch(&[]);
    let rows_apart = rows(&apart.out, "sessions");
    assert_eq!(column(&rows_apart, "input").len(), 3);
    assert_ne!(story(rows_apart), whole);

    // A ring that grows is read anew, also when it was a single file at first.
    let growing = Archive::new(&[]);
    fs::write(growing.captures.join("mail.pcap"), &pieces[0]).unwrap();
    growing.batch(&[]);
    for (name, piece) in ["mail.pcap1", "mail.pcap2"].iter().zip(&pieces[1..]) {
        fs::write(growing.captures.join(name), piece).unwrap();
    }
    assert_eq!(code(&growing.batch(&[])), 0);
    assert_eq!(story(rows(&growing.out, "sessions")), whole, "the single file's rows are replaced");
}

#[test]
fn a_session_that_crosses_midnight_has_rows_on_both_days() {
    let (header, all) = records("smtp-bdat");
    // A frame a second, midnight in the middle.
    let midnight = 1_795_564_800_u32; // 2026-11-25 00:00 UTC
    let mut file = header;
    for (second, mut record) in (0..).zip(all.iter().cloned()) {
        record[..4].copy_from_slice(&(midnight - all.len() as u32 / 2 + second).to_le_bytes());
        file.extend(record);
    }
    let archive = Archive::new(&[]);
    fs::write(archive.captures.join("night.pcap"), file).unwrap();
    archive.batch(&[]);
    let tables = dataset(&archive.out);
    let days: BTreeSet<&str> = column(&tables["commands"], "day");
    assert_eq!(days.into_iter().collect::<Vec<_>>(), ["2026-11-24", "2026-11-25"]);
    for row in tables.values().flatten() {
        let time = row.get("ts").unwrap_or_else(|| &row["last"]).as_str().unwrap();
        let nanos: i128 = time.trim_end_matches(" ns").parse().unwrap();
        let day = if nanos < i128::from(midnight) * 1_000_000_000 { "2026-11-24" } else { "2026-11-25" };
        assert_eq!(row["day"], day, "each row is where its time is: {row:?}");
    }
}

#[test]
fn secrets_are_masked_unless_asked_for() {
    let archive = Archive::new(&["smtp-auth-all", "pop3-auth-all", "imap-full-plain"]);
    archive.batch(&[]);
    let masked = dataset(&archive.out);
    assert!(masked["auth"].iter().all(|row| row["secret"].is_null()));
    let shown = archive.beside("shown");
    shown.batch(&["--show-secrets"]);
    let open = dataset(&shown.out);
    let secrets: BTreeSet<String> = column(&open["auth"], "secret").into_iter().map(str::to_owned).collect();
    assert!(!secrets.is_empty());
    let text = format!("{masked:?}");
    for secret in secrets.iter().filter(|s| s.len() >= 6) {
        assert!(!text.contains(secret.as_str()), "{secret}");
    }
    #[cfg(unix)]
    for part in ["auth", "messages", "sessions"]
        .iter()
        .flat_map(|t| [archive.out.join(t), shown.out.join(t)])
        .flat_map(|d| files(&d))
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(part.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}: for the owner", part.display());
    }
    // The same folder with other options: everything is read anew.
    let output = archive.batch(&["--show-secrets"]);
    assert!(stderr(&output).contains("read again, though done in an earlier run: 3 inputs; the options"), "{output:?}");
    assert_eq!(tree(&archive.out), tree(&shown.out));
}

#[test]
fn another_key_reads_anew_only_what_had_stayed_closed() {
    let archive = Archive::new(&["rsa12-smtp-starttls", "smtp-auth-all", "pop3-full"]);
    archive.batch(&[]);
    let closed = rows(&archive.out, "messages").len();
    let output = archive.batch(&["-k", &keys()]);
    assert!(
        stderr(&output).contains("read again, though done in an earlier run: 1 input; TLS was not decrypted"),
        "{output:?}"
    );
    assert!(rows(&archive.out, "messages").len() > closed);
    let fresh = archive.beside("fresh");
    fresh.batch(&["-k", &keys()]);
    assert_same(sorted(dataset(&archive.out)), sorted(dataset(&fresh.out)));
}

#[test]
fn messages_are_written_and_their_path_is_told() {
    let archive = Archive::new(&["smtp-bdat", "pop3-full", "rsa12-smtp-starttls"]);
    archive.batch(&["-k", &keys(), "--extract"]);
    let messages = rows(&archive.out, "messages");
    let full: Vec<_> = messages.iter().filter(|m| m["part"] == "full").collect();
    assert!(full.len() >= 3);
    let mut written = BTreeSet::new();
    for message in full {
        let path = archive.out.join(message["path"].as_str().unwrap());
        assert_eq!(message["sha256"], hex(&Sha256::digest(fs::read(&path).unwrap())));
        assert!(written.insert(path), "a file each");
    }
    assert_eq!(files(&archive.out.join("mail")), written.into_iter().collect::<Vec<_>>(), "and no other");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_utf8_stay_apart() {
    use std::os::unix::ffi::OsStrExt;
    let archive = Archive::new(&[]);
    for name in [&b"caf\xe9.pcap"[..], b"caf\xe8.pcap"] {
        fs::copy(capture("smtp-bdat"), archive.captures.join(std::ffi::OsStr::from_bytes(name))).unwrap();
    }
    assert_eq!(code(&archive.batch(&[])), 0);
    let again = archive.batch(&[]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("0 done, 2 done before"), "{again:?}");
    assert_eq!(stderr(&again), "");
    assert_eq!(column(&rows(&archive.out, "sessions"), "input").len(), 2);
}

#[test]
fn only_one_run_at_a_time_and_only_into_its_own_folder() {
    let archive = Archive::new(&["smtp-bdat"]);
    archive.batch(&[]);
    let lock = File::options().write(true).open(archive.out.join(".mailcap-batch/lock")).unwrap();
    lock.lock().unwrap();
    let output = archive.batch(&[]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("another run is writing there"), "{output:?}");
    drop(lock);
    assert_eq!(code(&archive.batch(&[])), 0);

    let other = archive.beside("other");
    fs::create_dir(&other.out).unwrap();
    fs::write(other.out.join("precious"), "x").unwrap();
    let output = other.batch(&[]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("holds something that is not a dataset"), "{output:?}");
    assert_eq!(files(&other.out).len(), 1, "untouched");
    assert_eq!(code(&other.batch(&["--force"])), 0);
    assert!(other.out.join("precious").exists());
}

#[test]
fn endpoints_that_are_too_many_to_keep_are_told() {
    let archive = Archive::new(&[]);
    let (client, mut frames) = (([10, 0, 0, 1], 40000), Frames::default());
    // With 16 MiB 2,048 are kept.
    for n in 0..2_050_u16 {
        let [high, low] = n.to_be_bytes();
        let server = ([10, 1, high, low], 25);
        frames.tcp(client, server, 100, 0, 2, b"");
        frames.tcp(server, client, 0, 101, 0x14, b"");
    }
    fs::write(archive.captures.join("scan.pcap"), frames.bytes(1)).unwrap();
    let more = "not or not fully in `services`: 2 connections to more endpoints than are kept";
    for _ in 0..2 {
        let output = archive.batch(&["--max-memory", "16M"]);
        assert!(stderr(&output).contains(more), "{output:?}");
        assert_eq!(rows(&archive.out, "services").len(), 2048);
    }
    assert!(!stderr(&archive.batch(&[])).contains("services"));
    assert_eq!(rows(&archive.out, "services").len(), 2050);
}

#[test]
fn what_batch_does_not_take() {
    let archive = Archive::new(&[]);
    let output = archive.batch(&[]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("no capture in this folder"), "{output:?}");
    assert!(!archive.out.exists(), "nothing is begun");
    // The captures' folder itself is no place for a dataset.
    fs::copy(capture("smtp-bdat"), archive.captures.join("a.pcap")).unwrap();
    let captures = archive.captures.to_str().unwrap();
    let output = mailcap(&[&["batch", captures, "-o", captures, "--force"], FORMAT].concat());
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("everything to be read is in the dataset's own folder"), "{output:?}");
    assert_eq!(files(&archive.captures).len(), 1, "nothing is begun");
    assert_eq!(code(&mailcap(&["batch", captures])), 2, "-o is missing");
    let output = mailcap(&["batch", "-", "-o", archive.out.to_str().unwrap()]);
    assert!(code(&output) == 2 && stderr(&output).contains("standard input"), "{output:?}");
}

#[test]
fn selections_hold_for_every_table() {
    let archive = Archive::new(&["smtp-auth-all", "pop3-full"]);
    archive.batch(&["--proto", "pop3"]);
    let tables = dataset(&archive.out);
    assert_eq!(column(&tables["sessions"], "protocol").into_iter().collect::<Vec<_>>(), ["pop3"]);
    let sessions: BTreeSet<String> = tables["sessions"].iter().map(|s| format!("{} {}", s["input"], s["id"])).collect();
    for row in tables["commands"].iter().chain(&tables["auth"]).chain(&tables["messages"]) {
        assert!(sessions.contains(&format!("{} {}", row["input"], row["session"])));
    }
    assert!(tables["services"].iter().all(|s| s["protocol"] == "pop3"));
}
