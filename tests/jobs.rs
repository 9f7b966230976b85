//! What comes out depends on the input alone: not on the number of threads, nor on how a pipe delivers it.

mod common;
#[path = "../benches/workload/mod.rs"]
mod workload;

use std::fs;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use mailcap::capture::Capture;
use mailcap::limits::Limits;
use mailcap::output::json::{Json, Select};
use mailcap::pipeline::{Config, run, run_capture};

use common::{How, config, corpus, testdata};
use workload::Workload;

/// Bytes that can be looked at once the sink is gone.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The JSON of a run and its report, or why there is none.
fn json(go: impl FnOnce(&mut Json<Shared>) -> Result<String, String>) -> String {
    let out = Shared::default();
    let mut sink = Json::new(out.clone(), Select::All, false).with_stats(true);
    let end = go(&mut sink).unwrap_or_else(|e| e);
    drop(sink);
    let bytes = std::mem::take(&mut *out.0.lock().unwrap());
    String::from_utf8(bytes).unwrap() + &end
}

fn with_jobs(config: Config, jobs: usize) -> String {
    let config = Config { jobs: NonZeroUsize::new(jobs), all_tls: true, ..config };
    json(|sink| run(config, sink).map(|report| format!("{report:?}")).map_err(|e| e.to_string()))
}

/// A stream that gives few bytes at a time, as a slow pipe does.
struct Dribble(io::Cursor<Vec<u8>>, usize);

impl Read for Dribble {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.1.min(buf.len());
        self.0.read(&mut buf[..n])
    }
}

fn captures(home: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(home).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if path.is_dir() {
            captures(&path, out);
        } else if [".pcap", ".pcapng", ".gz", ".cap"].iter().any(|end| name.ends_with(end)) {
            out.push(path);
        }
    }
}

fn all() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for home in [Some(testdata()), corpus()].into_iter().flatten() {
        captures(&home, &mut found);
    }
    found
}

/// For `Limits::several_readers_bytes`.
const ONE_READER: u64 = u64::MAX;

/// Every key that a capture of the folder could need.
fn keys() -> Vec<PathBuf> {
    ["rsa1024.pem", "rsa3072.pem", "rsa4096.pem", "encoded/rsa2048.pkcs8.pem"]
        .map(|name| testdata().join("keys").join(name))
        .into_iter()
        .chain([testdata().join("servers/keys/server.key")])
        .collect()
}

/// The first line in which two outputs differ.
fn differ(a: &str, b: &str) -> Option<String> {
    if a == b {
        return None;
    }
    let pair = a.lines().zip(b.lines()).find(|(a, b)| a != b);
    Some(pair.map_or("one is longer".to_owned(), |(a, b)| format!("\n  {a}\n  {b}")))
}

#[test]
fn the_same_bytes_whatever_the_number_of_threads() {
    let keys = keys();
    let how = How { keys: &keys, bodies: true, show_secrets: true, ..How::default() };
    let captures = all();
    assert!(captures.len() >= 40, "only {} captures", captures.len());
    let mut resumed = 0;
    for capture in &captures {
        let inputs = [capture.clone()];
        let alone = with_jobs(config(&inputs, &how), 1);
        resumed += alone.matches("\"secret\":\"resumption\"").count();
        for (jobs, several) in [(2, ONE_READER), (4, ONE_READER), (7, ONE_READER), (2, 0), (7, 0)] {
            let mut config = config(&inputs, &how);
            config.limits.several_readers_bytes = several;
            if let Some(line) = differ(&alone, &with_jobs(config, jobs)) {
                panic!("{}: 1 and {jobs} threads differ, several readers from {several}: {line}", capture.display());
            }
        }
    }
    assert!(resumed > 0, "no session was opened by resumption: nothing crossed shards");
}

#[test]
fn many_captures_in_one_are_the_same_whatever_the_number_of_threads() {
    let keys = keys();
    let how = How { keys: &keys, ..How::default() };
    let captures = all();
    // Without digests, rounds of plain text are worked on without threads: here both kinds take turns.
    for digests in [true, false] {
        let with = |jobs, several| {
            let mut config = config(&captures, &how);
            config.mail.digests = digests;
            config.limits.several_readers_bytes = several;
            with_jobs(config, jobs)
        };
        let alone = with(1, ONE_READER);
        for (jobs, several) in [(2, ONE_READER), (7, ONE_READER), (2, 0), (7, 0)] {
            let differ = differ(&alone, &with(jobs, several));
            assert_eq!(differ, None, "{jobs} threads, digests: {digests}, several readers from {several}");
        }
    }
}

#[test]
fn the_same_bytes_when_rounds_stop_as_there_is_much_to_tell() {
    let keys = keys();
    let how = How { keys: &keys, bodies: true, ..How::default() };
    let captures = all();
    let whole = with_jobs(config(&captures, &how), 1);
    for (jobs, several) in [(1, ONE_READER), (2, ONE_READER), (7, ONE_READER)] {
        let mut config = config(&captures, &how);
        // Shards stop behind each frame that has something to tell.
        config.limits.round_event_bytes = 0;
        config.limits.several_readers_bytes = several;
        assert_eq!(differ(&whole, &with_jobs(config, jobs)), None, "{jobs} threads");
    }
    // Each by itself: of files that overlap in time there is one reader only.
    for capture in &captures {
        let with = |jobs, round_event_bytes| {
            let mut config = config(std::slice::from_ref(capture), &how);
            config.limits.round_event_bytes = round_event_bytes;
            config.limits.several_readers_bytes = 0;
            with_jobs(config, jobs)
        };
        let whole = with(1, usize::MAX);
        for (jobs, round_event_bytes) in [(2, 0), (3, 0), (4, 20), (2, 200)] {
            let differ = differ(&whole, &with(jobs, round_event_bytes));
            assert_eq!(differ, None, "{}: {jobs} threads, {round_event_bytes} bytes", capture.display());
        }
    }
}

#[test]
fn the_same_bytes_when_sessions_are_evicted_for_what_they_keep() {
    let keys = keys();
    let how = How { keys: &keys, bodies: true, ..How::default() };
    let captures = all();
    // A session at a time in each part, or a few of them.
    for bytes in [0, 300_000] {
        let with = |jobs, round_event_bytes| {
            let mut config = config(&captures, &how);
            config.limits.session_bytes = bytes;
            config.limits.round_event_bytes = round_event_bytes;
            with_jobs(config, jobs)
        };
        let whole = with(1, usize::MAX);
        assert!(whole.contains("\"evicted\""));
        for (jobs, round_event_bytes) in [(2, usize::MAX), (7, usize::MAX), (1, 0), (2, 0)] {
            assert_eq!(differ(&whole, &with(jobs, round_event_bytes)), None, "{bytes} bytes, {jobs} threads");
        }
    }
}

/// Hundreds of sessions in a round, whose premaster secrets are opened together where the processor can: all of them are
/// opened (by their MACs), whatever the number of threads.
#[test]
fn sessions_opened_together_are_those_opened_one_by_one() {
    let workload = Workload { bytes: 1_400_000, message: 500, ..Workload::named("tls").unwrap() };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let sessions = workload::write(&workload, file.as_file_mut()).unwrap();
    assert!(sessions > 200, "{sessions}");
    let inputs = [file.path().to_owned()];
    let keys = [testdata().join("keys/encoded/rsa2048.pkcs8.pem")];
    let with = |jobs| with_jobs(config(&inputs, &How { keys: &keys, ..How::default() }), jobs);
    let alone = with(1);
    let opened = |line: &&str| line.contains("\"type\":\"tls\"") && line.contains("\"decrypted\":\"all\"");
    assert_eq!(alone.lines().filter(opened).count() as u64, sessions);
    let whole = |line: &&str| line.contains("\"type\":\"message\"") && line.contains("\"complete\":true");
    assert_eq!(alone.lines().filter(whole).count() as u64, sessions);
    for jobs in [2, 3] {
        assert_eq!(differ(&alone, &with(jobs)), None, "{jobs} threads");
    }
}

/// A session that resumes TLS waits for the round's end, or not, as it happens: what it keeps counts alike.
#[test]
fn the_same_bytes_when_resumed_sessions_are_evicted() {
    let keys = keys();
    let how = How { keys: &keys, ..How::default() };
    let captures: Vec<PathBuf> = all().into_iter().filter(|file| file.to_string_lossy().contains("resum")).collect();
    for bytes in (0..=256_000).step_by(16_000) {
        let with = |round_event_bytes| {
            let mut config = config(&captures, &how);
            config.limits.session_bytes = bytes;
            config.limits.round_event_bytes = round_event_bytes;
            with_jobs(config, 1)
        };
        assert_eq!(differ(&with(usize::MAX), &with(0)), None, "{bytes} bytes");
    }
}

#[test]
fn the_same_bytes_however_a_pipe_delivers_them() {
    let keys = keys();
    let how = How { keys: &keys, bodies: true, ..How::default() };
    for capture in all() {
        let bytes = fs::read(&capture).unwrap();
        if bytes.len() > 200_000 {
            continue;
        }
        let piped = |step: usize, jobs: usize| {
            let config = Config { jobs: NonZeroUsize::new(jobs), all_tls: true, ..config(&[], &how) };
            let stream = Dribble(io::Cursor::new(bytes.clone()), step);
            json(|sink| {
                let capture = Capture::from_reader("-", Box::new(stream), &Limits::default());
                let report = run_capture(capture.map_err(|e| e.to_string())?, config, sink);
                report.map(|report| format!("{report:?}")).map_err(|e| e.to_string())
            })
        };
        let whole = piped(usize::MAX, 1);
        // One byte at a time a pipe is drained behind every record: a round a frame.
        for (step, jobs) in [(1, 1), (1, 2), (97, 1)] {
            if let Some(line) = differ(&whole, &piped(step, jobs)) {
                panic!("{}: in steps of {step}, {jobs} threads: {line}", capture.display());
            }
        }
    }
}

/// Changes the file that is being read, once.
struct Meddler<F>(Option<F>);

impl<F: FnOnce()> mailcap::output::Sink for Meddler<F> {
    fn event(&mut self, _event: mailcap::event::Event) -> io::Result<()> {
        if let Some(change) = self.0.take() {
            change();
        }
        Ok(())
    }
}

/// Reads it while `change` happens to it; frames, and what was wrong.
fn meddled_with(path: &Path, jobs: usize, change: impl FnOnce()) -> (u64, Vec<String>) {
    let mut config = config(&[path.to_owned()], &How::default());
    config.jobs = NonZeroUsize::new(jobs);
    config.limits.several_readers_bytes = 0;
    let report = run(config, &mut Meddler(Some(change))).unwrap();
    (report.frames, report.problems.into_iter().map(|problem| problem.text).collect())
}

#[test]
fn a_file_that_changes_while_several_threads_read_it_is_read_as_far_as_it_goes() {
    let workload = Workload { bytes: 12_000_000, ..Workload::named("plain").unwrap() };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    workload::write(&workload, file.as_file_mut()).unwrap();
    let whole = fs::read(file.path()).unwrap();
    let (frames, problems) = meddled_with(file.path(), 1, || {});
    assert!(frames > 8000 && problems.is_empty());
    for jobs in [2, 4] {
        // Half of its end comes later, behind a record.
        let end = (0..frames * 3 / 4).fold(24, |at, _| {
            let len = whole[at + 8..at + 12].first_chunk().map(|len| u32::from_le_bytes(*len)).unwrap();
            at + 16 + len as usize
        });
        fs::write(file.path(), &whole[..end]).unwrap();
        let append = || {
            let mut file = fs::OpenOptions::new().append(true).open(file.path()).unwrap();
            io::Write::write_all(&mut file, &whole[end..]).unwrap();
        };
        assert_eq!(meddled_with(file.path(), jobs, append), (frames, vec![]), "{jobs} threads");

        let cut_off = || fs::OpenOptions::new().write(true).open(file.path()).unwrap().set_len(6_000_001).unwrap();
        let (some, problems) = meddled_with(file.path(), jobs, cut_off);
        assert!(some < frames && !problems.is_empty(), "{jobs} threads: {some} frames, {problems:?}");
    }
}
