//! A TLS connection of a capture, played into the library piece by piece.
#![allow(dead_code, reason = "each test binary uses its part of it")]

use std::ops::Range;
use std::path::{Path, PathBuf};

use mailcap::diagnostic::Code;
use mailcap::event::{SecretSource, TlsHandshake};
use mailcap::limits::Limits;
use mailcap::position::{Direction, FramePos, Span};
use mailcap::tls::{Connection, Env, KeyRing, SessionCache, Upper};
use serde_json::Value;

use super::{Connections, Piece};

#[derive(Default)]
pub(crate) struct Out {
    pub(crate) plain: [Vec<u8>; 2],
    /// Each record's place in the plaintext, with the pieces that it spans.
    pub(crate) records: Vec<(Direction, Range<usize>, Span)>,
    pub(crate) first_established: Option<u64>,
    pub(crate) lost: [u64; 2],
    pub(crate) odd: Vec<(Code, String)>,
    /// Most bytes of records that waited, for their end or for others.
    pub(crate) most_held: u64,
}

impl Upper for Out {
    fn plaintext(&mut self, dir: Direction, bytes: &[u8], span: Span) {
        let plain = &mut self.plain[dir.index()];
        self.records.push((dir, plain.len()..plain.len() + bytes.len(), span));
        plain.extend_from_slice(bytes);
    }
    fn lost(&mut self, dir: Direction, len: u64, _: Span) {
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

pub(crate) struct Case {
    pub(crate) folder: PathBuf,
    pub(crate) json: Value,
}

impl Case {
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub(crate) fn keys(&self) -> KeyRing {
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

    pub(crate) fn keylog(&self, embedded: &[Vec<u8>]) -> KeyRing {
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
pub(crate) fn pieces<'a>(case: &Case, connections: &'a Connections) -> Vec<Vec<(Direction, Given<'a>)>> {
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
            let own = &connections[&(address("client"), address("server"))];
            let mut skip = [("pre_tls_c2s", true), ("pre_tls_s2c", false)].map(|(name, client)| {
                truth[name]["length"].as_u64().map_or_else(|| preamble(own, client), |length| length as usize)
            });
            let dir = |client: bool| if client { Direction::Client } else { Direction::Server };
            let all = own.iter().map(|piece| match piece {
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

/// Bytes before TLS begins: all are text.
fn preamble(pieces: &[Piece], of_client: bool) -> usize {
    let data = pieces.iter().filter_map(|piece| match piece {
        Piece::Data { client, bytes } if *client == of_client => Some(bytes),
        _ => None,
    });
    data.flatten().take_while(|&&b| b.is_ascii_graphic() || matches!(b, b' ' | b'\r' | b'\n')).count()
}

/// The same streams in smaller pieces.
pub(crate) fn cut<'a>(pieces: &[(Direction, Given<'a>)], size: usize) -> Vec<(Direction, Given<'a>)> {
    let split = |&(dir, given): &(Direction, Given<'a>)| match given {
        Given::Data(bytes) => bytes.chunks(size).map(|c| (dir, Given::Data(c))).collect(),
        gap => vec![(dir, gap)],
    };
    pieces.iter().flat_map(split).collect()
}

#[derive(Copy, Clone)]
pub(crate) enum Given<'a> {
    Data(&'a [u8]),
    Gap(u64),
}

pub(crate) fn run(
    pieces: &[(Direction, Given<'_>)],
    keys: &KeyRing,
    sessions: &mut SessionCache,
    drop: &Range<usize>,
) -> (Out, Vec<TlsHandshake>) {
    run_with(true, pieces, keys, sessions, drop)
}

pub(crate) fn run_with(
    may_hold_back: bool,
    pieces: &[(Direction, Given<'_>)],
    keys: &KeyRing,
    sessions: &mut SessionCache,
    drop: &Range<usize>,
) -> (Out, Vec<TlsHandshake>) {
    let limits = Limits::default();
    let mut connection = Connection::new();
    let mut out = Out::default();
    let mut env = Env { keys, sessions, limits: &limits, both_captured: false, may_hold_back };
    let (mut given, mut span) = (0, Span::default());
    for (number, &(dir, piece)) in pieces.iter().enumerate() {
        span = Span::at(FramePos { index: number as u64, ..FramePos::default() });
        match piece {
            Given::Data(bytes) if drop.contains(&number) && dir == pieces[drop.start].0 => {
                connection.gap(dir, bytes.len() as u64, span, &mut env, &mut out);
            }
            Given::Data(bytes) => {
                given += bytes.len();
                connection.data(dir, bytes, span, &mut env, &mut out);
            }
            Given::Gap(len) => connection.gap(dir, len, span, &mut env, &mut out),
        }
        out.most_held = out.most_held.max(connection.held_bytes());
    }
    let handshakes = connection.finish(span, &mut env, &mut out);
    let counted = connection.opened_bytes() + connection.overhead_bytes() + connection.undecrypted_bytes();
    assert_eq!(counted, given as u64, "the account");
    (out, handshakes)
}

/// The corpus' cases with TLS in them.
pub(crate) fn corpus_cases() -> Vec<Case> {
    std::env::var_os("MAILCAP_CORPUS").map_or_else(Vec::new, |corpus| cases(&PathBuf::from(corpus).join("tls")))
}

/// Those that ship with the sources, and the corpus'.
pub(crate) fn all_cases() -> Vec<Case> {
    let mut all = cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls"));
    all.extend(corpus_cases());
    all
}

/// A folder's cases with TLS in them; `MAILCAP_CASE` names some.
fn cases(folder: &Path) -> Vec<Case> {
    let only = std::env::var("MAILCAP_CASE").unwrap_or_default();
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "json") && !path.ends_with("index.json"));
    names.retain(|path| path.to_string_lossy().contains(&only));
    names.sort();
    let json = |path: &PathBuf| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut cases: Vec<Case> = names.iter().map(|path| Case { folder: folder.to_owned(), json: json(path) }).collect();
    cases.retain(|case| case.json["expect"]["rsa_key"] != "not-needed");
    cases
}
