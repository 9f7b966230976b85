//! What a lost segment costs: every segment of every session is left out in turn, in both directions, the handshake's
//! too, for every cipher family, by private key and by key log. Each record that the gap does not touch is decoded, but
//! for what [`Excuse`] lists; what is reported missing is at most the records touched, and at least what is missing.

#![allow(clippy::print_stdout)]

mod streams;

use std::collections::BTreeMap;
use std::ops::Range;

use mailcap::diagnostic::Code;
use mailcap::event::TlsHandshake;
use mailcap::position::{Direction, Span};
use mailcap::tls::{KeyRing, SessionCache};
use streams::play::{Case, Given, Out, all_cases, cut, pieces, run};

/// Why a record that the gap does not touch may stay closed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Excuse {
    /// A hello is lost, and with it a random or what the server chose: no key, whatever secret is known (SSL 3.0 to TLS
    /// 1.2).
    Hello,
    /// The encrypted premaster secret is lost.
    KeyExchange,
    /// The extended master secret hashes every message up to ClientKeyExchange.
    ExtendedMaster,
    /// Messages of a renegotiation are lost: the epoch behind it is that of a handshake with a hello less.
    Renegotiation,
    /// The dictionary is gone.
    Deflate,
    /// The last block of the record before is the IV (SSL 3.0, TLS 1.0).
    ImplicitIv,
}

/// A record of a stream: where it lies.
struct Record {
    range: Range<usize>,
}

/// A handshake message in the clear: type, and where the records that hold it lie.
struct Message {
    kind: u8,
    range: Range<usize>,
}

/// One direction as it was sent.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    records: Vec<Record>,
    messages: Vec<Message>,
}

impl Stream {
    fn parse(&mut self) {
        let mut clear: Vec<(u8, usize)> = Vec::new();
        let (mut at, mut open) = (0, true);
        while at + 5 <= self.bytes.len() {
            let head = &self.bytes[at..at + 5];
            let v2 = at == 0 && head[0] & 0x80 != 0;
            let len = match v2 {
                true => 2 + usize::from(u16::from_be_bytes([head[0] & 0x7f, head[1]])),
                false => 5 + usize::from(u16::from_be_bytes([head[3], head[4]])),
            };
            let range = at..at + len;
            open &= !matches!(head[0], 20 | 23);
            match head[0] {
                _ if v2 => self.messages.push(Message { kind: 1, range: range.clone() }),
                22 if open => clear.extend(range.clone().skip(5).map(|i| (self.bytes[i], i))),
                _ => {}
            }
            self.records.push(Record { range });
            at += len;
        }
        let mut rest = &clear[..];
        while rest.len() >= 4 {
            let len = 4 + rest[1..4].iter().fold(0, |n, (b, _)| n << 8 | usize::from(*b));
            let (message, behind) = rest.split_at(len.min(rest.len()));
            self.messages.push(Message { kind: message[0].0, range: message[0].1..message.last().unwrap().1 + 1 });
            rest = behind;
        }
    }

    /// The records that a stretch touches.
    fn touched(&self, lost: &Range<usize>) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |r| r.range.start < lost.end && lost.start < r.range.end)
    }
}

/// A connection, whole.
struct Played {
    /// Each piece's place in its stream.
    places: Vec<Range<usize>>,
    streams: [Stream; 2],
    clean: Out,
    handshakes: Vec<TlsHandshake>,
}

impl Played {
    fn new(pieces: &[(Direction, Given<'_>)], keys: &KeyRing, sessions: &mut SessionCache) -> Self {
        let mut streams: [Stream; 2] = Default::default();
        let mut places = Vec::new();
        for (dir, given) in pieces {
            let Given::Data(bytes) = given else { panic!("a gap in a whole capture") };
            let stream = &mut streams[dir.index()].bytes;
            places.push(stream.len()..stream.len() + bytes.len());
            stream.extend_from_slice(bytes);
        }
        streams.iter_mut().for_each(Stream::parse);
        let (clean, handshakes) = run(pieces, keys, sessions, &(0..0));
        Played { places, streams, clean, handshakes }
    }

    fn first(&self) -> &TlsHandshake {
        &self.handshakes[0]
    }

    fn is_tls13(&self) -> bool {
        self.first().version == Some("TLSv1.3")
    }

    fn has_implicit_iv(&self) -> bool {
        let cbc = |h: &TlsHandshake| h.suite.as_deref().is_some_and(|s| s.contains("CBC"));
        matches!(self.first().version, Some("SSLv3" | "TLSv1.0")) && self.handshakes.iter().any(cbc)
    }

    /// Whether more of the client's hello is lost than what is behind its random.
    fn client_random_gone(&self, lost: &Range<usize>) -> bool {
        let client = &self.streams[Direction::Client.index()];
        let Some(hello) = client.messages.first() else { return true };
        let one_record = client.touched(&hello.range).count() == 1;
        let v2 = client.bytes[0] & 0x80 != 0;
        // Message header, version, random.
        !one_record || v2 || lost.start < hello.range.start + 4 + 2 + 32
    }

    /// What excuses the loss of everything, or of everything behind it.
    fn excuse(&self, dir: Direction, lost: &Range<usize>, by_premaster: bool) -> Option<Excuse> {
        let stream = &self.streams[dir.index()];
        // Behind the gap the record's end is known, not what stands in it.
        let end = stream.touched(lost).map(|r| r.range.end).max().unwrap_or(lost.end);
        let gone = |kinds: &[u8]| {
            let mut gone = stream.messages.iter().filter(|m| m.range.start < end && lost.start < m.range.end);
            gone.any(|m| kinds.contains(&m.kind))
        };
        if self.is_tls13() {
            return None;
        }
        let resumed = self.first().resumed != mailcap::event::Resumed::No;
        if gone(&[2]) || gone(&[1]) && (self.client_random_gone(lost) || resumed && by_premaster) {
            return Some(Excuse::Hello);
        }
        let by_premaster = by_premaster && !resumed;
        if by_premaster && gone(&[16]) {
            return Some(Excuse::KeyExchange);
        }
        if by_premaster && self.first().extended_master_secret && gone(&[1, 11, 12, 13, 14, 22]) {
            return Some(Excuse::ExtendedMaster);
        }
        None
    }
}

/// The outcome of one loss.
struct Loss<'a> {
    played: &'a Played,
    dir: Direction,
    /// The piece that is lost.
    number: usize,
    out: Out,
    reports: Vec<TlsHandshake>,
}

impl Loss<'_> {
    fn touches(&self, dir: Direction, span: &Span) -> bool {
        dir == self.dir && (span.first.index..=span.last.index).contains(&(self.number as u64))
    }

    /// Whether a record of the whole session is behind the loss.
    fn is_behind(&self, span: &Span) -> bool {
        span.last.index > self.number as u64
    }

    fn check(&self, by_premaster: bool, compressed: bool, excuses: &mut BTreeMap<Excuse, usize>) -> Vec<String> {
        let (played, mut problems) = (self.played, Vec::new());
        let lost = &played.places[self.number];
        let excuse = played.excuse(self.dir, lost, by_premaster);
        let renegotiation = played.handshakes.iter().skip(1).any(|h| {
            let (first, last) = (h.span.first.index, h.span.last.index);
            // What stands before the first record that is told may be a request for it.
            (first.saturating_sub(2)..=last + 1).contains(&(self.number as u64))
        });
        let mut missing = [0u64; 2];
        let mut excused_wire = 0;
        for dir in [Direction::Client, Direction::Server] {
            let i = dir.index();
            let mut got = self.out.records.iter().filter(|(d, ..)| *d == dir).peekable();
            let mut iv_gone = dir == self.dir && played.has_implicit_iv();
            for (_, range, span) in played.clean.records.iter().filter(|(d, ..)| *d == dir) {
                let plain = &played.clean.plain[i][range.clone()];
                let touched = self.touches(dir, span);
                if let Some((_, at, found)) = got.peek()
                    && found.last == span.last
                    && self.out.plain[i][at.clone()] == *plain
                    && !touched
                {
                    got.next();
                    iv_gone &= !self.is_behind(span);
                    continue;
                }
                missing[i] += plain.len() as u64;
                if touched {
                    continue;
                }
                let behind = self.is_behind(span) && dir == self.dir;
                let why = match excuse {
                    Some(excuse) => excuse,
                    None if compressed && behind => Excuse::Deflate,
                    None if renegotiation && self.is_behind(span) => Excuse::Renegotiation,
                    None if iv_gone && behind => {
                        iv_gone = false;
                        Excuse::ImplicitIv
                    }
                    None => {
                        problems.push(format!(
                            "{dir:?} record at pieces {}–{} is missing",
                            span.first.index, span.last.index
                        ));
                        continue;
                    }
                };
                excused_wire += plain.len() as u64 + 512;
                *excuses.entry(why).or_default() += 1;
            }
            if let Some((_, at, span)) = got.next() {
                problems.push(format!("{dir:?} {} bytes that nobody sent, at {span:?}", at.len()));
            }
        }
        // What is told: at least what is missing, at most the records that the gap touches.
        let stream = &played.streams[self.dir.index()];
        let mut wire: u64 = stream.touched(lost).map(|r| r.range.len() as u64).sum();
        if played.has_implicit_iv() {
            // The next record, which may be empty.
            let next = stream.records.iter().find(|r| r.range.start >= lost.end);
            wire += next.map_or(0, |r| r.range.len() as u64);
        }
        let told: u64 = self.out.lost.iter().sum();
        if !compressed && told < missing.iter().sum() {
            problems.push(format!("told {told} bytes missing, in truth {missing:?}"));
        }
        if told > wire + excused_wire && excuse.is_none() && !compressed {
            problems.push(format!("told {told} bytes missing, the records touched have {wire}"));
        }
        if missing != [0, 0]
            && self.reports.iter().all(|h| h.reason.is_none() && h.undecrypted_bytes == 0)
            && self.out.lost == [0, 0]
        {
            problems.push("called whole".to_owned());
        }
        if excuse.is_some() && missing != [0, 0] && self.reports.iter().all(|h| h.reason.is_none()) {
            problems.push("no reason given".to_owned());
        }
        problems
    }
}

/// Pieces so small that most records are cut.
const SMALL: usize = 97;

/// Segments left out of a connection in small pieces; all of them as captured.
const SMALL_LOSSES: usize = 60;

fn losses(
    case: &Case,
    (mode, by_premaster): (&str, bool),
    keys: &KeyRing,
    whole: &[Vec<(Direction, Given<'_>)>],
    tally: &mut Tally,
) {
    let name = case.json["name"].as_str().unwrap();
    let small: Vec<_> = whole.iter().map(|pieces| cut(pieces, SMALL)).collect();
    for (connections, step) in [(whole, 1), (&small[..], usize::MAX)] {
        for (index, pieces) in connections.iter().enumerate() {
            let before = || {
                let mut sessions = SessionCache::new();
                connections[..index].iter().for_each(|pieces| drop(run(pieces, keys, &mut sessions, &(0..0))));
                sessions
            };
            let played = Played::new(pieces, keys, &mut before());
            let undamaged = played.clean.lost == [0, 0] && played.handshakes.iter().all(|h| h.reason.is_none());
            if !undamaged {
                tally.failures.push(format!("{name} [{index}] by {mode}: not whole to begin with"));
                continue;
            }
            let compressed = name.contains("deflate") || case.json["connections"][index]["compression"] == "DEFLATE";
            let step = step.min(1 + pieces.len() / SMALL_LOSSES);
            for number in (0..pieces.len()).step_by(step) {
                let (out, reports) = run(pieces, keys, &mut before(), &(number..number + 1));
                let loss = Loss { played: &played, dir: pieces[number].0, number, out, reports };
                let problems = loss.check(by_premaster, compressed, &mut tally.excuses);
                tally.losses += 1;
                tally.resynchronised += usize::from(loss.out.odd.iter().any(|(c, _)| *c == Code::TlsResynchronised));
                for problem in problems.into_iter().take(3) {
                    let reports: Vec<_> = loss.reports.iter().map(|h| (h.records_undecrypted, h.reason)).collect();
                    tally.failures.push(format!(
                        "{name} [{index}] by {mode}, {} pieces, without {number} ({:?}): {problem}\n    {reports:?} {:?}",
                        pieces.len(),
                        loss.dir,
                        loss.out.odd
                    ));
                }
            }
        }
    }
}

#[derive(Default)]
struct Tally {
    losses: usize,
    /// Of these, so many were told to go on behind the loss.
    resynchronised: usize,
    excuses: BTreeMap<Excuse, usize>,
    failures: Vec<String>,
}

/// Every capture in one mode.
fn all_losses(mode: &str) {
    let mut tally = Tally::default();
    for case in all_cases() {
        let (connections, embedded) = streams::read(&case.file(case.json["file"].as_str().unwrap()));
        let keys = if mode == "rsa_key" { case.keys() } else { case.keylog(&embedded) };
        if case.json["expect"][mode].as_str().is_some_and(|e| e.starts_with("full")) {
            // Lines of the kind `RSA` are found by what ClientKeyExchange holds.
            let by_premaster = mode == "rsa_key" || case.json["name"].as_str().unwrap().contains("rsa-lines");
            losses(&case, (mode, by_premaster), &keys, &pieces(&case, &connections), &mut tally);
        }
    }
    let Tally { losses, resynchronised, excuses, failures } = tally;
    println!("{losses} losses by {mode}, {resynchronised} of them within a dialogue; records excused: {excuses:?}");
    assert!(failures.is_empty(), "{} of {losses}:\n{}", failures.len(), failures.join("\n"));
    assert!(resynchronised * 3 > losses, "{resynchronised} of {losses}");
    assert!(losses > 1000 || std::env::var_os("MAILCAP_CASE").is_some(), "only {losses}");
}

#[test]
fn a_lost_segment_costs_its_records_only_by_key() {
    all_losses("rsa_key");
}

#[test]
fn a_lost_segment_costs_its_records_only_by_key_log() {
    all_losses("keylog");
}

/// The cases above hold one of each kind of record protection, whether there is a corpus or not.
#[test]
fn every_cipher_family_is_among_the_cases() {
    let cases = all_cases();
    let suites: Vec<(&str, &str)> = cases
        .iter()
        .flat_map(|case| case.json["connections"].as_array().unwrap())
        .filter_map(|c| Some((c["version"].as_str()?, c["suite"].as_str()?)))
        .collect();
    let implicit = ["SSL 3.0", "TLS 1.0"];
    for (family, old) in [
        ("_RC4_128_", true),
        ("_EXPORT_", true),
        ("_RC2_", true),
        ("_WITH_DES_CBC_", true),
        ("_3DES_", true),
        ("_IDEA_", true),
        ("_SEED_", true),
        ("_CAMELLIA_128_CBC_", true),
        ("_AES_128_CBC_", true),
        ("_AES_256_CBC_", false),
        ("_ARIA_128_CBC_", false),
        ("_NULL_", false),
        ("_AES_128_GCM_", false),
        ("_CAMELLIA_128_GCM_", false),
        ("_ARIA_128_GCM_", false),
        ("_AES_128_CCM", false),
        ("_CHACHA20_POLY1305_", false),
        ("TLS_AES_", false),
    ] {
        let there = suites.iter().any(|(version, suite)| suite.contains(family) && implicit.contains(version) == old);
        assert!(there, "{family}");
    }
}
