//! Every capture of the TLS corpus, by private key and by key log: the plaintext against what the endpoints wrote down.
//! Runs when `MAILCAP_CORPUS` names the corpus' folder (the one that holds `tls/`).

mod streams;

use std::path::{Path, PathBuf};

use mailcap::diagnostic::Code;
use mailcap::event::{GapCause, SecretSource, TlsHandshake};
use mailcap::limits::Limits;
use mailcap::position::{Direction, Span};
use mailcap::tls::{Connection, Env, KeyRing, SessionCache, Upper};
use serde_json::Value;
use streams::Piece;

#[derive(Default)]
struct Out {
    plain: [Vec<u8>; 2],
    lost: [u64; 2],
    odd: Vec<(Code, String)>,
    established: u32,
}

impl Upper for Out {
    fn plaintext(&mut self, dir: Direction, bytes: &[u8], _: Span) {
        self.plain[dir.index()].extend_from_slice(bytes);
    }
    fn lost(&mut self, dir: Direction, len: u64, _: Option<GapCause>, _: Span) {
        self.lost[dir.index()] += len;
    }
    fn established(&mut self, _: u32, _: Span) {
        self.established += 1;
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

fn run(case: &Case, connections: &streams::Connections, keys: &KeyRing) -> Vec<(Out, Vec<TlsHandshake>)> {
    let mut sessions = SessionCache::new();
    let limits = Limits::default();
    let mut results = Vec::new();
    let mut order: Vec<&Value> = case.json["connections"].as_array().unwrap().iter().collect();
    order.sort_by_key(|c| c["index"].as_u64());
    for truth in order {
        let address = |name: &str| {
            let (ip, port) = truth[name].as_str().unwrap().rsplit_once(':').unwrap();
            let ip: std::net::IpAddr = ip.trim_matches(['[', ']']).parse().unwrap();
            std::net::SocketAddr::new(ip, port.parse().unwrap())
        };
        let pieces = &connections[&(address("client"), address("server"))];
        let mut skip = ["pre_tls_s2c", "pre_tls_c2s"].map(|name| truth[name]["length"].as_u64().unwrap() as usize);
        let mut connection = Connection::new();
        let mut out = Out::default();
        let mut env = Env { keys, sessions: &mut sessions, limits: &limits };
        let (mut given, span) = (0, Span::default());
        for piece in pieces {
            match piece {
                Piece::Data { client, bytes } => {
                    let dir = if *client { Direction::Client } else { Direction::Server };
                    let skip = &mut skip[usize::from(*client)];
                    let n = (*skip).min(bytes.len());
                    *skip -= n;
                    given += bytes.len() - n;
                    if n < bytes.len() {
                        connection.data(dir, &bytes[n..], span, &mut env, &mut out);
                    }
                }
                Piece::Gap { client, len } => {
                    let dir = if *client { Direction::Client } else { Direction::Server };
                    connection.gap(dir, *len, GapCause::Lost, span, &mut env, &mut out);
                }
            }
        }
        let handshakes = connection.finish(span, &mut env, &mut out);
        assert_eq!(
            connection.opened_bytes() + connection.overhead_bytes() + connection.undecrypted_bytes(),
            given as u64,
            "{}: the account",
            case.json["name"]
        );
        results.push((out, handshakes));
    }
    results
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
                    format!("{:?} {:?} {:?} reason {:?} {}/{}", h.version, h.suite, h.secret, h.reason, h.records_decrypted, h.records_undecrypted)
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
                    fail(format!("{side} {} of {} bytes, equal for {}", got.len(), want.len(), got.iter().zip(&want).take_while(|(a, b)| a == b).count()));
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

#[test]
fn plaintext_is_what_the_endpoints_had() {
    let Some(corpus) = std::env::var_os("MAILCAP_CORPUS") else { return };
    let folder = PathBuf::from(corpus).join("tls");
    let only = std::env::var("MAILCAP_CASE").ok();
    let mut failures = Vec::new();
    let mut done = 0;
    let mut names: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for path in names {
        if path.extension().is_none_or(|e| e != "json") || path.ends_with("index.json") {
            continue;
        }
        let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        if only.as_ref().is_some_and(|only| !path.to_string_lossy().contains(only.as_str())) {
            continue;
        }
        let case = Case { folder: folder.clone(), json };
        let (connections, embedded) = streams::read(&case.file(case.json["file"].as_str().unwrap()));
        if case.json["expect"]["rsa_key"] == "not-needed" {
            continue;
        }
        for (mode, keys) in [("rsa_key", case.keys()), ("keylog", case.keylog(&embedded))] {
            let Some(expect) = case.json["expect"][mode].as_str() else { continue };
            let results = run(&case, &connections, &keys);
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
