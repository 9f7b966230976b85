//! What the scenario tests share: running a capture, and its story a connection.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of it")]

pub mod essence;
pub mod packets;
pub mod script;
pub mod tls13;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mailcap::capture::Input;
use mailcap::event::{Auth, Command, Event, EventBody, Gap, Message, Reply, Session, TlsHandshake};
use mailcap::limits::Limits;
use mailcap::mail::Options;
use mailcap::output::Sink;
use mailcap::pipeline::{Config, Report, run};
use mailcap::tls::{KeyError, KeyRing};

/// The folder of captures with ground truth, where there is one.
pub fn corpus() -> Option<PathBuf> {
    std::env::var_os("MAILCAP_CORPUS").map(PathBuf::from).filter(|p| p.is_dir())
}

/// The captures that ship with the sources.
pub fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// The folders of that name: in `testdata`, and in the corpus where there is one.
pub fn folders(name: &str) -> Vec<PathBuf> {
    [Some(testdata()), corpus()].into_iter().flatten().map(|home| home.join(name)).collect()
}

/// Keeps every event.
#[derive(Default)]
pub struct Collect(pub Vec<Event>);

impl Sink for Collect {
    fn event(&mut self, event: Event) -> io::Result<()> {
        self.0.push(event);
        Ok(())
    }
}

/// One connection as it was told.
#[derive(Default)]
pub struct Story {
    pub session: Option<Session>,
    pub commands: Vec<Command>,
    pub replies: Vec<Reply>,
    pub auth: Vec<Auth>,
    pub messages: Vec<Message>,
    pub tls: Vec<TlsHandshake>,
    pub gaps: Vec<Gap>,
    /// Everything, in the order of `seq`.
    pub events: Vec<Event>,
}

impl Story {
    pub fn session(&self) -> &Session {
        self.session.as_ref().expect("a story has its session")
    }
}

/// A run's result.
pub struct Told {
    pub report: Report,
    pub stories: BTreeMap<u64, Story>,
}

impl Told {
    pub fn by_client(&self, client: SocketAddr) -> Option<&Story> {
        self.stories.values().find(|s| s.session.as_ref().is_some_and(|s| s.client == client))
    }
}

/// How to run.
#[derive(Default)]
pub struct How<'a> {
    pub keys: &'a [PathBuf],
    pub keylogs: &'a [PathBuf],
    pub psk: Option<&'a [u8]>,
    pub bodies: bool,
    pub show_secrets: bool,
    /// Tell handshakes that carry no mail, too.
    pub all_tls: bool,
}

pub fn config(inputs: &[PathBuf], how: &How<'_>) -> Config {
    let mut keys = KeyRing::new();
    for key in how.keys {
        match keys.add_key_path(key, &mut |_| None) {
            // As the program does: a key that opens nothing does not end the run.
            Ok(_) | Err(KeyError::NotRsa { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    for log in how.keylogs {
        keys.add_keylog(log).unwrap_or_else(|e| panic!("{e}"));
    }
    if let Some(psk) = how.psk {
        keys.add_psk(psk);
    }
    Config {
        inputs: inputs.iter().cloned().map(Input::File).collect(),
        separate: false,
        keys,
        limits: Limits::default(),
        mail: Options { digests: true, bodies: how.bodies, show_secrets: how.show_secrets, ..Options::default() },
        decode_as: Vec::new(),
        all_tls: how.all_tls,
        jobs: None,
        connections: false,
    }
}

/// Decodes the captures and sorts the events by session.
pub fn tell(inputs: &[PathBuf], how: &How<'_>) -> Told {
    tell_config(config(inputs, how))
}

/// As [`tell`], with a configuration of one's own.
pub fn tell_config(config: Config) -> Told {
    let mut sink = Collect::default();
    let report = run(config, &mut sink).unwrap_or_else(|e| panic!("{e}"));
    stories(sink, report)
}

/// Sorts the events of a run by session.
pub fn stories(mut sink: Collect, report: Report) -> Told {
    let mut stories: BTreeMap<u64, Story> = BTreeMap::new();
    sink.0.sort_by_key(|e| (e.session, e.seq));
    for event in sink.0 {
        let story = stories.entry(event.session).or_default();
        match event.body.clone() {
            EventBody::Command(x) => story.commands.push(x),
            EventBody::Reply(x) => story.replies.push(x),
            EventBody::Auth(x) => story.auth.push(x),
            EventBody::Message(x) => story.messages.push(*x),
            EventBody::Tls(x) => story.tls.push(*x),
            EventBody::Gap(x) => story.gaps.push(x),
            EventBody::Session(x) => story.session = Some(*x),
            EventBody::Script(_) => {}
            EventBody::Diagnostic(_)
            | EventBody::MessageData(_)
            | EventBody::Opening(_)
            | EventBody::Secrets(_)
            | EventBody::Plain(_) => {}
        }
        story.events.push(event);
    }
    Told { report, stories }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Collects what fails, capture by capture, and tells it all at once.
#[derive(Default)]
pub struct Table {
    all: usize,
    failed: Vec<String>,
}

impl Table {
    pub fn row(&mut self, name: &str, problems: Vec<String>) {
        self.all += 1;
        if !problems.is_empty() {
            self.failed.push(format!("{name}: {}", problems.join("; ")));
        }
    }

    pub fn finish(self, title: &str, at_least: usize) {
        let ok = self.all - self.failed.len();
        println!("{title}: {ok} of {}", self.all);
        assert!(self.failed.is_empty(), "{title}: {ok} of {}\n{}", self.all, self.failed.join("\n"));
        assert!(self.all >= at_least, "{title}: only {} captures were found, {at_least} expected", self.all);
    }
}

/// Checks those of these captures of real servers that are there, and how many are.
pub fn check_servers(names: &[&str], title: &str, at_least: usize, check: impl Fn(&Path) -> Vec<String>) {
    let mut table = Table::default();
    for folder in folders("servers") {
        for name in names {
            let capture = folder.join(format!("{name}.pcap"));
            if capture.exists() {
                table.row(name, check(&capture));
            }
        }
    }
    table.finish(title, at_least);
}

/// What of `want` is not in `got`, and the other way round, as multisets.
pub fn difference<T: Ord + Clone>(want: &[T], got: &[T]) -> (usize, usize) {
    let mut counts: BTreeMap<T, (usize, usize)> = BTreeMap::new();
    for x in want {
        counts.entry(x.clone()).or_default().0 += 1;
    }
    for x in got {
        counts.entry(x.clone()).or_default().1 += 1;
    }
    counts.values().fold((0, 0), |(miss, extra), (w, g)| (miss + w.saturating_sub(*g), extra + g.saturating_sub(*w)))
}

/// The most memory that this process ever had, bytes, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// The seeds of property tests: the same each time, unless `PROPTEST_RNG_SEED` names others.
pub fn rng_seed() -> proptest::test_runner::RngSeed {
    let named = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|n| n.parse().ok());
    named.unwrap_or(proptest::test_runner::RngSeed::Fixed(1))
}
