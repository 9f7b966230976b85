//! Which files are one capture: rings, any order on the command line, overlaps, duplicates, folders, `--separate`.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Collect, How, Told, config, corpus, hex, tell, testdata};
use mailcap::capture::{Input, expand};
use mailcap::event::{EventBody, Resumed};
use mailcap::output::json::{Json, Select};
use mailcap::pipeline::{Config, Report, run};
use serde_json::Value;

/// The header of a little-endian pcap file, and its records.
fn records(file: &Path) -> (Vec<u8>, Vec<Vec<u8>>) {
    let bytes = fs::read(file).unwrap();
    let (head, mut rest) = bytes.split_at(24);
    let mut records = Vec::new();
    while rest.len() >= 16 {
        let len = 16 + u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        records.push(rest[..len].to_vec());
        rest = &rest[len..];
    }
    (head.to_vec(), records)
}

fn write(dir: &Path, name: &str, head: &[u8], records: &[Vec<u8>]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, [head, &records.concat()].concat()).unwrap();
    path
}

/// Moves a record by that many microseconds.
fn later(record: &[u8], micros: u64) -> Vec<u8> {
    let word = |at: usize| u64::from(u32::from_le_bytes(record[at..at + 4].try_into().unwrap()));
    let time = word(0) * 1_000_000 + word(4) + micros;
    let (seconds, fraction) = ((time / 1_000_000) as u32, (time % 1_000_000) as u32);
    [&seconds.to_le_bytes()[..], &fraction.to_le_bytes(), &record[8..]].concat()
}

/// A capture with a message, and what of it must not change however it is divided: commands, replies, messages.
fn sample() -> (PathBuf, Vec<String>) {
    let file = testdata().join("servers/smtp-bdat.pcap");
    let told = tell(std::slice::from_ref(&file), &How::default());
    let facts = facts(&told);
    assert!(facts.len() > 50 && facts.iter().any(|f| f.starts_with("message true")), "{facts:?}");
    (file, facts)
}

fn facts(told: &Told) -> Vec<String> {
    let mut facts = Vec::new();
    for story in told.stories.values() {
        facts.extend(story.commands.iter().map(|c| format!("{:?} {:?}", c.verb, c.args)));
        facts.extend(story.replies.iter().map(|r| format!("{:?} {:?}", r.status, r.lines)));
        facts.extend(story.messages.iter().map(|m| format!("message {} {:?}", m.complete, m.sha256.map(|s| hex(&s)))));
        let session = story.session();
        facts.push(format!("session {} {:?} {:?}", session.complete, session.outcome, session.bytes));
    }
    facts
}

fn tell_folder(folder: &Path, separate: bool) -> Told {
    tell_inputs(expand(&[folder.to_owned()]).unwrap(), separate, &How::default())
}

fn tell_inputs(inputs: Vec<Input>, separate: bool, how: &How<'_>) -> Told {
    let mut sink = Collect::default();
    let report = run(Config { inputs, separate, ..config(&[], how) }, &mut sink).unwrap();
    common::stories(sink, report)
}

/// Cuts a capture's records at every `each`.
fn parts(records: &[Vec<u8>], each: usize) -> Vec<&[Vec<u8>]> {
    records.chunks(each).collect()
}

#[test]
fn a_ring_is_the_capture_it_was_cut_from() {
    let (file, facts_of_all) = sample();
    let (head, records) = records(&file);
    type Name = fn(usize) -> String;
    let names: [(&str, Name); 3] = [
        ("tcpdump -C", |n| if n == 0 { "r.pcap".into() } else { format!("r.pcap{n}") }),
        ("tcpdump -G", |n| format!("r-20261124{n:02}0000.pcap")),
        ("dumpcap -b", |n| format!("r_{:05}_2026112410{n:02}00.pcap", n + 1)),
    ];
    for (how, name) in names {
        let dir = tempfile::tempdir().unwrap();
        let mut paths: Vec<PathBuf> =
            parts(&records, 17).iter().enumerate().map(|(n, part)| write(dir.path(), &name(n), &head, part)).collect();
        assert!(paths.len() > 3, "{}", paths.len());
        let folder = tell_folder(dir.path(), false);
        assert_eq!(facts(&folder), facts_of_all, "{how}, as a folder");
        assert!(folder.stories.values().any(|s| s.session().files.len() > 1), "{how}: no session crossed files");
        // In any order on the command line.
        paths.reverse();
        assert_eq!(facts(&tell(&paths, &How::default())), facts_of_all, "{how}, backwards");
        paths.rotate_left(2);
        assert_eq!(facts(&tell(&paths, &How::default())), facts_of_all, "{how}, mixed");
    }
}

#[test]
fn files_that_overlap_and_packets_seen_twice_do_no_harm() {
    let (file, facts_of_all) = sample();
    let (head, records) = records(&file);
    let dir = tempfile::tempdir().unwrap();
    let n = records.len();
    let early = write(dir.path(), "early", &head, &records[..2 * n / 3]);
    let late = write(dir.path(), "late", &head, &records[n / 3..]);
    assert_eq!(facts(&tell(&[late, early], &How::default())), facts_of_all, "overlapping files");
    // A second interface: all of it, a little later each time, in turn.
    let whole = write(dir.path(), "eth0", &head, &records);
    for micros in [0, 3, 90, 2000] {
        let copies: Vec<Vec<u8>> = records.iter().map(|r| later(r, micros)).collect();
        let other = write(dir.path(), "eth1", &head, &copies);
        let told = tell(&[whole.clone(), other], &How::default());
        assert_eq!(facts(&told), facts_of_all, "seen again {micros} microseconds later");
        // Each byte once more, and the account says so; copies behind a session's end are in none.
        let account = told.report.account;
        match micros {
            0 => assert_eq!(account.duplicate, account.decoded, "{account:?}"),
            _ => {
                assert!(account.duplicate <= account.decoded && account.duplicate > account.decoded / 2, "{account:?}")
            }
        }
    }
    // A mirror of two ports, or a router: the same frames twice in one file, the second time with a VLAN tag.
    let tagged = |r: &Vec<u8>| {
        let len = (r.len() as u32 - 16 + 4).to_le_bytes();
        [&r[..8], &len, &len, &r[16..28], &[0x81, 0, 0, 7], &r[28..]].concat()
    };
    let twice: Vec<Vec<u8>> = records.iter().flat_map(|r| [r.clone(), tagged(r)]).collect();
    let mirror = write(dir.path(), "mirror", &head, &twice);
    assert_eq!(facts(&tell(&[mirror], &How::default())), facts_of_all, "a mirror of two ports");
}

#[test]
fn separate_captures_share_nothing() {
    let (file, facts_of_all) = sample();
    let (head, records) = records(&file);
    let dir = tempfile::tempdir().unwrap();
    // In the middle of the first session.
    let cut = 12;
    let paths =
        [write(dir.path(), "r.pcap", &head, &records[..cut]), write(dir.path(), "r.pcap1", &head, &records[cut..])];
    let named = || paths.iter().cloned().map(Input::File).collect::<Vec<_>>();
    let whole = tell_inputs(named(), false, &How::default());
    assert_eq!(facts(&whole), facts_of_all);
    let apart = tell_inputs(named(), true, &How::default());
    assert_eq!(apart.stories.len(), whole.stories.len() + 1);
    // Ids and frames count on.
    let ids: Vec<u64> = apart.stories.keys().copied().collect();
    assert_eq!(ids[..2], [1, cut as u64 + 1]);
    for story in apart.stories.values() {
        assert_eq!(story.session().files.len(), 1);
    }
    assert_eq!(apart.report.frames, whole.report.frames);
    // As a folder with names of no ring it is separate without being told.
    let other = tempfile::tempdir().unwrap();
    for (path, name) in paths.iter().zip(["left.pcap", "right.pcap"]) {
        fs::copy(path, other.path().join(name)).unwrap();
    }
    assert_eq!(tell_folder(other.path(), false).stories.len(), apart.stories.len());
    assert_eq!(tell_folder(dir.path(), false).stories.len(), whole.stories.len());
}

#[test]
fn a_session_resumed_in_a_separate_capture_stays_closed() {
    let servers = testdata().join("servers");
    let keys = [servers.join("keys/server.key")];
    let how = How { keys: &keys, ..How::default() };
    let (head, records) = records(&servers.join("rsa12-resume.pcap"));
    let whole = tell(&[servers.join("rsa12-resume.pcap")], &how);
    let resumed = whole.stories.values().find(|s| s.tls.iter().any(|t| t.resumed != Resumed::No)).unwrap();
    let cut = resumed.session().id as usize - 1;
    let dir = tempfile::tempdir().unwrap();
    let files = [write(dir.path(), "a", &head, &records[..cut]), write(dir.path(), "b", &head, &records[cut..])]
        .map(Input::File);
    let reasons = |separate: bool| -> Vec<Option<&'static str>> {
        let told = tell_inputs(files.to_vec(), separate, &how);
        let story = told.stories.get(&(cut as u64 + 1)).unwrap();
        story.tls.iter().map(|t| t.reason.map(|r| r.as_str())).collect()
    };
    assert_eq!(reasons(false), [None]);
    assert_eq!(reasons(true), [Some("resumed-unseen")]);
}

/// The JSON of a run, a value a line, and its report.
fn json(inputs: Vec<Input>, separate: bool, jobs: usize, keys: &[PathBuf]) -> (Vec<Value>, Report) {
    let how = How { keys, bodies: true, ..How::default() };
    let jobs = NonZeroUsize::new(jobs);
    let mut sink = Json::new(Vec::new(), Select::All, false).with_stats(true);
    let report = run(Config { inputs, separate, jobs, all_tls: true, ..config(&[], &how) }, &mut sink).unwrap();
    let text = String::from_utf8(sink.into_inner()).unwrap();
    (text.lines().map(|l| serde_json::from_str(l).unwrap()).collect(), report)
}

#[test]
fn separate_captures_tell_what_each_tells_alone() {
    let servers = testdata().join("servers");
    let keys = [servers.join("keys/server.key")];
    let mut files: Vec<PathBuf> = fs::read_dir(&servers).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "pcap"));
    // Not in order of time.
    files.sort();
    let all: Vec<Input> = files.iter().cloned().map(Input::File).collect();
    let (mut expected, mut before, mut skipped) = (Vec::new(), 0, BTreeMap::new());
    for input in &all {
        let (lines, report) = json(vec![input.clone()], false, 1, &keys);
        for mut line in lines.into_iter().filter(|l| l["type"] != "stats") {
            let id = if line["type"] == "session" { "id" } else { "session" };
            line[id] = (line[id].as_u64().unwrap() + before).into();
            expected.push(line);
        }
        before += report.frames;
        for (reason, count) in report.skipped {
            *skipped.entry(reason).or_insert(0) += count;
        }
    }
    for jobs in [1, 2, 7] {
        let (mut lines, report) = json(all.clone(), true, jobs, &keys);
        let stats = lines.pop().unwrap();
        assert_eq!(lines.len(), expected.len());
        for (got, want) in lines.iter().zip(&expected) {
            assert_eq!(got, want, "{jobs} threads");
        }
        assert_eq!(stats["frames"]["read"], before);
        assert_eq!(stats["sessions"], expected.iter().filter(|l| l["type"] == "session").count());
        assert_eq!(report.skipped, skipped);
    }
}

#[test]
fn a_ring_of_tcpdump_from_the_corpus() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("servers/ring-C");
    let whole = tell_folder(&folder, false);
    assert!(whole.stories.values().any(|s| s.session().files.len() > 1));
    assert!(whole.stories.values().all(|s| s.session().complete));
    assert!(tell_folder(&folder, true).stories.values().any(|s| !s.session().complete));
}

/// The blocks of a little-endian pcapng file, with their types.
fn blocks(file: &Path) -> Vec<(u32, Vec<u8>)> {
    let bytes = fs::read(file).unwrap();
    let (mut rest, mut blocks) = (&bytes[..], Vec::new());
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    while !rest.is_empty() {
        let (block, behind) = rest.split_at(word(rest, 4) as usize);
        blocks.push((word(block, 0), block.to_vec()));
        rest = behind;
    }
    blocks
}

/// What a capture with secrets inside tells of its one handshake from a pipe: how much was decrypted, and the reason.
fn from_a_pipe(blocks: &[Vec<u8>]) -> (String, Option<String>) {
    use mailcap::capture::Capture;
    use mailcap::pipeline::run_capture;
    let config = config(&[], &How::default());
    let capture = Capture::from_reader("-", Box::new(std::io::Cursor::new(blocks.concat())), &config.limits).unwrap();
    let mut sink = Collect::default();
    let report = run_capture(capture, config, &mut sink).unwrap();
    let told = common::stories(sink, report);
    let tls = &told.stories.values().find(|s| !s.tls.is_empty()).unwrap().tls[0];
    (format!("{:?}", tls.decrypted), tls.reason.map(|r| r.as_str().to_owned()))
}

#[test]
fn secrets_behind_their_packets_open_a_file_and_the_rest_of_a_pipe() {
    const DSB: u32 = 10;
    let file = testdata().join("tls/k-dsb-tls13-imap.pcapng");
    let whole = facts(&tell(std::slice::from_ref(&file), &How::default()));
    assert!(whole.iter().any(|f| f.contains("LOGIN") || f.contains("AUTHENTICATE")), "{whole:?}");
    let (secrets, others): (Vec<_>, Vec<_>) = blocks(&file).into_iter().partition(|(kind, _)| *kind == DSB);
    let strip = |blocks: Vec<(u32, Vec<u8>)>| blocks.into_iter().map(|(_, b)| b).collect::<Vec<_>>();
    let (secrets, others) = (strip(secrets), strip(others));
    let at = |n: usize| [&others[..n], &secrets, &others[n..]].concat();
    let dir = tempfile::tempdir().unwrap();
    for n in [others.len(), others.len() - 4, others.len() / 2] {
        let path = dir.path().join("late.pcapng");
        fs::write(&path, at(n).concat()).unwrap();
        assert_eq!(facts(&tell(&[path], &How::default())), whole, "behind block {n} of {}", others.len());
    }
    let (all, reason) = from_a_pipe(&at(2));
    assert_eq!((all.as_str(), reason), ("All", None));
    // In the middle of the session, and before the connection's end.
    assert_eq!(from_a_pipe(&at(others.len() - 4)).1.as_deref(), Some("secret-late"));
    // When the connection is over nobody waits for its secrets.
    assert_eq!(from_a_pipe(&at(others.len())).0, "None");
}

#[test]
fn comments_are_shown_where_they_stand() {
    let file = testdata().join("tls/k-dsb-tls13-imap.pcapng");
    let mut blocks = blocks(&file);
    // A comment with a control character at the end of the tenth packet, in whose place there is no option yet.
    let (at, text) = (blocks.iter().enumerate().filter(|(_, b)| b.0 == 6).nth(9).unwrap().0, b"see \x1b[31mticket 7");
    let block = &mut blocks[at].1;
    let captured = u32::from_le_bytes(block[20..24].try_into().unwrap()) as usize;
    block.truncate(28 + captured.next_multiple_of(4));
    block.extend([1, 0, text.len() as u8, 0]);
    block.extend(text);
    block.resize(block.len().next_multiple_of(4) + 4, 0);
    let len = (block.len() as u32 + 4).to_le_bytes();
    block.extend(len);
    block[4..8].copy_from_slice(&len);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("commented.pcapng");
    fs::write(&path, blocks.iter().flat_map(|b| b.1.clone()).collect::<Vec<u8>>()).unwrap();
    let stdout = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_mailcap")).args(args).arg(&path).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let story = stdout(&["decode"]);
    assert!(story.contains("commented.pcapng, frame 10: see \\x1b[31mticket 7"), "{story}");
    let json: Vec<Value> = stdout(&["decode", "--json"]).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let comment = json.iter().find(|l| l["type"] == "comment").unwrap();
    assert_eq!((&comment["on"], &comment["frame"]), (&"packet".into(), &10.into()));
    assert_eq!(comment["text"], std::str::from_utf8(text).unwrap());
    // Where sessions are chosen it is about none of them.
    assert!(!stdout(&["decode", "--proto", "imap"]).contains("ticket"));
}

/// Runs mailcap where no more than so many files may be open.
#[cfg(unix)]
fn sessions_with_descriptors(limit: u32, args: &[&str]) -> (usize, String) {
    let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_mailcap"), "sessions", "--json"]).args(args);
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (String::from_utf8(output.stdout).unwrap().lines().count(), stderr)
}

/// A record between other hosts: the ends of both IPv4 addresses of an Ethernet frame.
#[cfg(unix)]
fn between(record: &[u8], n: u16) -> Vec<u8> {
    let mut record = record.to_owned();
    for at in [16 + 14 + 14, 16 + 14 + 18] {
        record[at..at + 2].copy_from_slice(&n.to_be_bytes());
    }
    record
}

/// A ring of so many files with a session each; each begins where the one before ends.
#[cfg(unix)]
fn ring(dir: &Path, files: u16) -> PathBuf {
    let (head, records) = records(&testdata().join("servers/smtp-telnet-typed.pcap"));
    let ring = dir.join("ring");
    fs::create_dir(&ring).unwrap();
    for n in 0..files {
        let moved = |r: &Vec<u8>| later(&between(r, n), u64::from(n) * 3_600_000_000);
        write(&ring, &format!("r.pcap{n:05}"), &head, &records.iter().take(10).map(moved).collect::<Vec<_>>());
    }
    ring
}

/// Run with `cargo test --release --test captures -- --ignored`.
#[cfg(unix)]
#[test]
#[ignore = "makes ten thousand files"]
fn a_ring_of_ten_thousand_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = ring(dir.path(), 10_000);
    let (sessions, stderr) = sessions_with_descriptors(64, &[path.to_str().unwrap()]);
    assert!(!stderr.contains("opened"), "{stderr}");
    assert_eq!(sessions, 10_000);
}

#[cfg(unix)]
#[test]
fn many_files_are_not_many_descriptors() {
    let sample = testdata().join("servers/smtp-telnet-typed.pcap");
    let (head, records) = records(&sample);
    let dir = tempfile::tempdir().unwrap();
    let ring = ring(dir.path(), 300);
    let path = ring.to_str().unwrap();
    let (ring_sessions, stderr) = sessions_with_descriptors(64, &[path]);
    assert!(!stderr.contains("opened"), "{stderr}");
    let (apart, stderr) = sessions_with_descriptors(64, &["--separate", path]);
    assert!(!stderr.contains("opened"), "{stderr}");
    assert_eq!((ring_sessions, apart), (300, 300));
    // All of one time, between hosts of their own.
    let (names, together) = (dir.path().join("x"), 200u16);
    fs::create_dir(&names).unwrap();
    for n in 0..together {
        let other = |r: &Vec<u8>| between(r, n);
        write(&names, &format!("eth{n}"), &head, &records.iter().map(other).collect::<Vec<_>>());
    }
    let (sessions, stderr) = sessions_with_descriptors(64, &[names.to_str().unwrap()]);
    let of_one = tell(&[sample], &How::default()).stories.len();
    assert_eq!((sessions, stderr.as_str()), (usize::from(together) * of_one, ""));
}

#[test]
fn a_bad_file_among_separate_ones_is_told_and_the_others_are_read() {
    let (file, _) = sample();
    let dir = tempfile::tempdir().unwrap();
    fs::copy(&file, dir.path().join("good.pcap")).unwrap();
    fs::write(dir.path().join("bad.pcap"), "<html>").unwrap();
    fs::write(dir.path().join("worse.pcap"), "nothing").unwrap();
    let told = tell_folder(dir.path(), false);
    assert!(told.report.mail_sessions > 0);
    let files: Vec<&str> = told.report.problems.iter().map(|p| p.file.rsplit('/').next().unwrap()).collect();
    assert_eq!(files, ["bad.pcap", "worse.pcap"]);
    // One that was named ends the run before anything is told.
    let named = [file, dir.path().join("bad.pcap")].map(Input::File).to_vec();
    let mut sink = Collect::default();
    let error = run(Config { inputs: named, separate: true, ..config(&[], &How::default()) }, &mut sink).unwrap_err();
    assert!(error.to_string().contains("bad.pcap: a web page"), "{error}");
    assert!(!sink.0.iter().any(|e| matches!(e.body, EventBody::Session(_))));
}
