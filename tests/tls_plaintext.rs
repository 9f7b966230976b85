//! Every capture of the TLS corpus, by private key and by key log: the plaintext against what the endpoints wrote down.
//! Runs when `MAILCAP_CORPUS` names the corpus' folder (the one that holds `tls/`).

#![allow(clippy::print_stdout)]

mod streams;

use std::ops::Range;
use std::path::{Path, PathBuf};

use mailcap::diagnostic::Code;
use mailcap::event::{GapCause, SecretSource, TlsHandshake};
use mailcap::limits::Limits;
use mailcap::position::{Direction, FramePos, Span};
use mailcap::tls::{Connection, Env, KeyRing, Reason, SessionCache, Upper};
use serde_json::Value;
use streams::Piece;

#[derive(Default)]
struct Out {
    plain: [Vec<u8>; 2],
    /// Each record's place in the plaintext, with the pieces that it spans.
    records: Vec<(Direction, Range<usize>, Span)>,
    first_established: Option<u64>,
    lost: [u64; 2],
    odd: Vec<(Code, String)>,
}

impl Upper for Out {
    fn plaintext(&mut self, dir: Direction, bytes: &[u8], span: Span) {
        let plain = &mut self.plain[dir.index()];
        self.records.push((dir, plain.len()..plain.len() + bytes.len(), span));
        plain.extend_from_slice(bytes);
    }
    fn lost(&mut self, dir: Direction, len: u64, _: Option<GapCause>, _: Span) {
        self.lost[dir.index()] += len;
    }
    fn established(&mut self, _: u32, span: Span) {
        self.first_established.get_or_insert(span.last.index);
    }
    fn odd(&mut self, code: Code, detail: &str, _: Span) {
        self.odd.push((code, detail.to_owned()));
    }
    fn closed(&mut self, _: Direction, _: Span) {}
}

struct Case {
    folder: PathBuf,
    json: Value,
}

impl Case {
    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn keys(&self) -> KeyRing {
        let mut ring = KeyRing::new();
        let names: Vec<&str> = match &self.json["key_file"] {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        for name in names {
            // Keys that are no RSA keys can't be added; what then happens is the test.
            let _ = ring.add_key_path(&self.folder.join(name), &mut |_: &Path| None);
        }
        if let Some(hex) = self.json["psk"]["key_hex"].as_str() {
            let bytes: Vec<u8> =
                (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
            ring.add_psk(&bytes);
        }
        ring
    }

    fn keylog(&self, embedded: &[Vec<u8>]) -> KeyRing {
        let mut ring = KeyRing::new();
        match self.json["keylog_file"].as_str() {
            Some(name) => {
                ring.add_keylog(&self.folder.join(name)).unwrap();
            }
            None => {
                for secrets in embedded {
                    ring.add_keylog_bytes("embedded", secrets, SecretSource::Dsb);
                }
            }
        }
        ring
    }
}

/// Each connection's pieces after the STARTTLS preamble, by the truth's order.
fn pieces<'a>(case: &Case, connections: &'a streams::Connections) -> Vec<Vec<(Direction, Given<'a>)>> {
    let mut order: Vec<&Value> = case.json["connections"].as_array().unwrap().iter().collect();
    order.sort_by_key(|c| c["index"].as_u64());
    order
        .into_iter()
        .map(|truth| {
            let address = |name: &str| {
                let (ip, port) = truth[name].as_str().unwrap().rsplit_once(':').unwrap();
                let ip: std::net::IpAddr = ip.trim_matches(['[', ']']).parse().unwrap();
                std::net::SocketAddr::new(ip, port.parse().unwrap())
            };
            let mut skip = ["pre_tls_c2s", "pre_tls_s2c"].map(|name| truth[name]["length"].as_u64().unwrap() as usize);
            let dir = |client: bool| if client { Direction::Client } else { Direction::Server };
            let all = connections[&(address("client"), address("server"))].iter().map(|piece| match piece {
                Piece::Data { client, bytes } => {
                    let dir = dir(*client);
                    let n = skip[dir.index()].min(bytes.len());
                    skip[dir.index()] -= n;
                    (dir, Given::Data(&bytes[n..]))
                }
                Piece::Gap { client, len } => (dir(*client), Given::Gap(*len)),
            });
            all.filter(|(_, given)| !matches!(given, Given::Data(b""))).collect()
        })
        .collect()
}

/// The same streams in smaller pieces.
fn cut<'a>(pieces: &[(Direction, Given<'a>)], size: usize) -> Vec<(Direction, Given<'a>)> {
    let split = |&(dir, given): &(Direction, Given<'a>)| match given {
        Given::Data(bytes) => bytes.chunks(size).map(|c| (dir, Given::Data(c))).collect(),
        gap => vec![(dir, gap)],
    };
    pieces.iter().flat_map(split).collect()
}

#[derive(Copy, Clone)]
enum Given<'a> {
    Data(&'a [u8]),
    Gap(u64),
}

fn run(
    pieces: &[(Direction, Given<'_>)],
    keys: &KeyRing,
    sessions: &mut SessionCache,
    drop: &Range<usize>,
) -> (Out, Vec<TlsHandshake>) {
    let limits = Limits::default();
    let mut connection = Connection::new();
    let mut out = Out::default();
    let mut env = Env { keys, sessions, limits: &limits, both_captured: false };
    let (mut given, mut span) = (0, Span::default());
    for (number, &(dir, piece)) in pieces.iter().enumerate() {
        span = Span::at(FramePos { index: number as u64, ..FramePos::default() });
        match piece {
            Given::Data(bytes) if drop.contains(&number) && dir == pieces[drop.start].0 => {
                connection.gap(dir, bytes.len() as u64, GapCause::Lost, span, &mut env, &mut out);
            }
            Given::Data(bytes) => {
                given += bytes.len();
                connection.data(dir, bytes, span, &mut env, &mut out);
            }
            Given::Gap(len) => connection.gap(dir, len, GapCause::Lost, span, &mut env, &mut out),
        }
    }
    let handshakes = connection.finish(span, &mut env, &mut out);
    let counted = connection.opened_bytes() + connection.overhead_bytes() + connection.undecrypted_bytes();
    assert_eq!(counted, given as u64, "the account");
    (out, handshakes)
}

/// Whether `part` is `whole` with stretches missing, each at least 60 bytes of both ends apart: good enough to see that
/// nothing wrong was inserted.
fn is_whole_with_holes(whole: &[u8], part: &[u8]) -> bool {
    let mut at = 0;
    let mut rest = part;
    while !rest.is_empty() {
        let same = whole[at..].iter().zip(rest).take_while(|(a, b)| a == b).count();
        rest = &rest[same..];
        at += same;
        if rest.is_empty() {
            return true;
        }
        let probe = &rest[..rest.len().min(60)];
        match whole[at..].windows(probe.len()).position(|w| w == probe) {
            Some(hole) if hole > 0 => at += hole,
            _ => return false,
        }
    }
    true
}

fn check(case: &Case, mode: &str, expect: &str, results: &[(Out, Vec<TlsHandshake>)], failures: &mut Vec<String>) {
    let name = case.json["name"].as_str().unwrap();
    for (index, (out, handshakes)) in results.iter().enumerate() {
        let truth = &case.json["connections"][index];
        let mut fail = |what: String| {
            let shown: Vec<String> = handshakes
                .iter()
                .map(|h| {
                    format!(
                        "{:?} {:?} {:?} reason {:?} {}/{}",
                        h.version, h.suite, h.secret, h.reason, h.records_decrypted, h.records_undecrypted
                    )
                })
                .collect();
            failures.push(format!("{name} [{index}] by {mode}: {what}\n    {shown:?}\n    {:?}", out.odd));
        };
        for (side, dir) in [("c2s", 0), ("s2c", 1)] {
            let want = case.file(truth[side]["file"].as_str().unwrap());
            let got = &out.plain[dir];
            let min = truth["expected_prefix"][format!("{side}_min")].as_u64();
            match expect {
                "full" | "full-with-psk" if *got != want => {
                    fail(format!(
                        "{side} {} of {} bytes, equal for {}",
                        got.len(),
                        want.len(),
                        got.iter().zip(&want).take_while(|(a, b)| a == b).count()
                    ));
                }
                "none" if !got.is_empty() => fail(format!("{side} opened")),
                "prefix" if name.starts_with("t-capture-gap") => {
                    let max = truth["expected_prefix"][format!("{side}_max")].as_u64().unwrap() as usize;
                    if !is_whole_with_holes(&want, got) || (got.len() as u64) < min.unwrap() {
                        fail(format!("{side} wrong around the gap"));
                    }
                    // Of the lost direction, everything but the records touched.
                    if got.len() + 2 * 16_384 < max || (want != *got && out.lost[dir] == 0) {
                        fail(format!("{side} {} bytes of at most {max}", got.len()));
                    }
                }
                "prefix" if !want.starts_with(got) || (got.len() as u64) < min.unwrap() => {
                    fail(format!("{side} is no prefix of at least {min:?}: {} bytes", got.len()));
                }
                _ => {}
            }
        }
        for handshake in handshakes {
            let all = handshake.records_undecrypted == 0 && handshake.completed;
            if (handshake.reason.is_none() && !all) || handshake.steps.len() < 3 {
                fail("neither decrypted nor explained".to_owned());
            }
        }
        if expect == "full" && handshakes.iter().any(|h| h.reason.is_some() || h.secret.is_none()) {
            fail("decrypted, and yet a reason".to_owned());
        }
        if out.odd.iter().any(|(code, _)| *code == Code::BadFinished) {
            fail("Finished".to_owned());
        }
    }
}

/// The corpus' cases with TLS in them.
fn cases() -> Vec<Case> {
    let Some(corpus) = std::env::var_os("MAILCAP_CORPUS") else { return Vec::new() };
    let folder = PathBuf::from(corpus).join("tls");
    let only = std::env::var("MAILCAP_CASE").unwrap_or_default();
    let mut names: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "json") && !path.ends_with("index.json"));
    names.retain(|path| path.to_string_lossy().contains(&only));
    names.sort();
    let json = |path: &PathBuf| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut cases: Vec<Case> = names.iter().map(|path| Case { folder: folder.clone(), json: json(path) }).collect();
    cases.retain(|case| case.json["expect"]["rsa_key"] != "not-needed");
    cases
}

#[test]
fn plaintext_is_what_the_endpoints_had() {
    let only = std::env::var("MAILCAP_CASE").ok();
    let mut failures = Vec::new();
    let mut done = 0;
    for case in cases() {
        let (connections, embedded) = streams::read(&case.file(case.json["file"].as_str().unwrap()));
        for (mode, keys) in [("rsa_key", case.keys()), ("keylog", case.keylog(&embedded))] {
            let Some(expect) = case.json["expect"][mode].as_str() else { continue };
            let mut sessions = SessionCache::new();
            let results: Vec<_> =
                pieces(&case, &connections).iter().map(|pieces| run(pieces, &keys, &mut sessions, &(0..0))).collect();
            if only.is_some() {
                for (_, handshakes) in &results {
                    for h in handshakes {
                        println!("{mode}: {:?} {:?}\n{:#?}", h.decrypted, h.reason, h.steps);
                    }
                }
            }
            check(&case, mode, expect, &results, &mut failures);
            done += 1;
        }
    }
    assert!(failures.is_empty(), "{} of {done} failed:\n{}", failures.len(), failures.join("\n"));
    println!("{done} runs");
}

/// Each segment of each session is left out in turn: nothing wrong is handed up, and every record that the lost bytes
/// did not touch is still there.
#[test]
fn a_lost_segment_costs_its_records_only() {
    let (mut failures, mut done, mut excused) = (Vec::new(), 0, 0);
    for case in cases() {
        let name = case.json["name"].as_str().unwrap();
        let (connections, embedded) = streams::read(&case.file(case.json["file"].as_str().unwrap()));
        for (mode, keys) in [("rsa_key", case.keys()), ("keylog", case.keylog(&embedded))] {
            if !case.json["expect"][mode].as_str().is_some_and(|e| e.starts_with("full")) {
                continue;
            }
            let mut sessions = SessionCache::new();
            // As captured, and in pieces so small that most records are cut.
            let whole = pieces(&case, &connections);
            let small: Vec<_> = whole.iter().map(|pieces| cut(pieces, 97)).collect();
            for (index, pieces) in whole.iter().enumerate().chain(small.iter().enumerate()) {
                let (clean, handshakes) = run(pieces, &keys, &mut sessions, &(0..0));
                let compressed = case.json["connections"][index]["compression"] == "DEFLATE";
                let implicit_iv = handshakes.iter().any(|h| matches!(h.version, Some("SSLv3" | "TLSv1.0")))
                    && handshakes.iter().any(|h| h.suite.as_ref().is_some_and(|s| s.contains("_CBC_")));
                // Long transfers: every few segments are enough.
                for (first, count) in
                    (0..pieces.len()).step_by(1 + pieces.len() / 30).zip([1, 1, 2, 1, 7].into_iter().cycle())
                {
                    let lost = first..(first + count).min(pieces.len());
                    let (dir, _) = pieces[first];
                    let (out, after) = run(pieces, &keys, &mut sessions, &lost);
                    done += 1;
                    let touched =
                        |span: &Span| (span.first.index..=span.last.index).any(|i| lost.contains(&(i as usize)));
                    let mut want = [Vec::new(), Vec::new()];
                    let mut gone = false;
                    let mut excuse = implicit_iv;
                    for (d, range, span) in &clean.records {
                        let hit = *d == dir && (touched(span) || span.first.index >= lost.end as u64);
                        if hit && (compressed || excuse) {
                            // The first whole record has lost its IV, unless the cut one's end was captured.
                            gone |= compressed;
                            excuse &= touched(span);
                        }
                        if !(*d == dir && (touched(span) || gone)) {
                            want[d.index()].extend_from_slice(&clean.plain[d.index()][range.clone()]);
                        }
                    }
                    for d in [0, 1] {
                        if !is_whole_with_holes(&clean.plain[d], &out.plain[d]) {
                            failures
                                .push(format!("{name} [{index}] by {mode}, without pieces {lost:?}: wrong plaintext"));
                        }
                    }
                    let in_handshake = handshakes.iter().any(|h| {
                        let span = h.span.first.index..=h.span.last.index;
                        lost.clone().any(|i| span.contains(&(i as u64)))
                    });
                    if in_handshake || first as u64 <= clean.first_established.unwrap_or(0) {
                        excused += usize::from(out.plain != want);
                        continue;
                    }
                    let one_record = if implicit_iv { 16_384 } else { 0 };
                    let missing = |d: usize| want[d].len().saturating_sub(out.plain[d].len());
                    let other = dir.opposite().index();
                    if out.plain[other] != want[other]
                        || missing(dir.index()) > one_record
                        || out.plain[dir.index()].len() > want[dir.index()].len()
                    {
                        failures.push(format!(
                            "{name} [{index}] by {mode}, without pieces {lost:?} of {dir:?}: {:?} bytes of {:?}; {:?} {:?}",
                            out.plain.each_ref().map(Vec::len),
                            want.each_ref().map(Vec::len),
                            after.iter().map(|h| (h.records_undecrypted, h.reason)).collect::<Vec<_>>(),
                            out.odd
                        ));
                    }
                }
            }
        }
    }
    println!("{done} runs, {excused} handshakes that could not do without");
    assert!(failures.is_empty(), "{} of {done} failed:\n{}", failures.len(), failures.join("\n"));
}

/// Damaged and reordered sessions: no panic, the account adds up (which `run` checks), and nothing is made up.
#[test]
fn damaged_sessions_are_survived() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % n.max(1)
    };
    for case in cases() {
        let (connections, embedded) = streams::read(&case.file(case.json["file"].as_str().unwrap()));
        let keys = if random(2) == 0 { case.keys() } else { case.keylog(&embedded) };
        let mut sessions = SessionCache::new();
        for pieces in pieces(&case, &connections) {
            for _ in 0..12 {
                let mut owned: Vec<(Direction, Vec<u8>)> = cut(&pieces, 1 + random(3000))
                    .iter()
                    .filter_map(|(dir, given)| match given {
                        Given::Data(bytes) => Some((*dir, bytes.to_vec())),
                        Given::Gap(_) => None,
                    })
                    .collect();
                for _ in 0..1 + random(4) {
                    let at = random(owned.len());
                    let len = owned[at].1.len();
                    match random(6) {
                        0 => owned[at].1[random(len)] ^= 1 << random(8),
                        1 => owned[at].1.truncate(random(len) + 1),
                        2 => {
                            let other = random(owned.len());
                            owned.swap(at, other);
                        }
                        3 => owned[at].0 = owned[at].0.opposite(),
                        4 => owned.truncate(at + 1),
                        _ => {
                            let copy = owned[at].clone();
                            owned.insert(random(owned.len()), copy);
                        }
                    }
                }
                let given: Vec<_> = owned.iter().map(|(dir, bytes)| (*dir, Given::Data(bytes))).collect();
                let lost = random(given.len());
                run(&given, &keys, &mut sessions, &(lost..lost + random(2)));
            }
        }
    }
}

/// What follows a stream's first five records of encrypted data: behind the handshake, at a boundary.
fn late(stream: &[u8]) -> &[u8] {
    let (mut at, mut seen) = (0, 0);
    while at + 5 <= stream.len() {
        seen += usize::from(stream[at] == 23);
        if seen > 5 {
            break;
        }
        at += 5 + usize::from(u16::from_be_bytes([stream[at + 3], stream[at + 4]]));
    }
    &stream[at..]
}

/// TLS 1.3 whose beginning was not captured: a key log is enough, with other sessions' secrets in it, too.
#[test]
fn tls13_is_joined_midway() {
    let mut joined = 0;
    let all = cases();
    let logs: Vec<PathBuf> = all
        .iter()
        .filter(|c| ["tls13-aes", "tls13-chacha"].iter().any(|n| c.json["name"].as_str().unwrap().starts_with(n)))
        .map(|c| c.folder.join(c.json["keylog_file"].as_str().unwrap()))
        .collect();
    let mut ring = KeyRing::new();
    for log in &logs {
        ring.add_keylog(log).unwrap();
    }
    for case in
        all.iter().filter(|c| logs.iter().any(|log| log.ends_with(c.json["keylog_file"].as_str().unwrap_or("-"))))
    {
        let name = case.json["name"].as_str().unwrap();
        let (connections, _) = streams::read(&case.file(case.json["file"].as_str().unwrap()));
        let mut whole: [Vec<u8>; 2] = Default::default();
        for (dir, given) in pieces(case, &connections).remove(0) {
            let Given::Data(bytes) = given else { continue };
            whole[dir.index()].extend_from_slice(bytes);
        }
        let given =
            [(Direction::Client, Given::Data(late(&whole[0]))), (Direction::Server, Given::Data(late(&whole[1])))];
        let (out, reports) = run(&given, &KeyRing::new(), &mut SessionCache::new(), &(0..0));
        assert_eq!((&out.plain, reports[0].reason), (&Default::default(), Some(Reason::MidSession)), "{name}");
        let (out, reports) = run(&given, &ring, &mut SessionCache::new(), &(0..0));
        for (side, plain) in ["c2s", "s2c"].iter().zip(&out.plain) {
            let truth = case.file(case.json["connections"][0][side]["file"].as_str().unwrap());
            assert!(!plain.is_empty() && truth.ends_with(plain), "{name}: {side}");
        }
        assert_eq!((reports[0].reason, reports[0].records_undecrypted), (None, 0), "{name}");
        assert_eq!(reports[0].suite.as_deref(), case.json["connections"][0]["suite"].as_str(), "{name}");
        joined += 1;
    }
    assert!(all.is_empty() || joined >= 5, "{joined} joined");
}
