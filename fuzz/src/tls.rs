//! Operations on one TLS connection, with the keys that open the seeds.

use std::sync::OnceLock;

use mailcap::diagnostic::Code;
use mailcap::event::SecretSource;
use mailcap::limits::Limits;
use mailcap::position::{Direction, Span};
use mailcap::tls::{Connection, Env, KeyRing, SessionCache, Upper};

use super::operations::{self, Operation};
use super::seeds;

#[derive(Default)]
struct Count {
    plain: [usize; 2],
}

impl Upper for Count {
    fn plaintext(&mut self, dir: Direction, bytes: &[u8], _span: Span) {
        self.plain[dir.index()] += bytes.len();
    }
    fn lost(&mut self, _dir: Direction, _len: u64, _span: Span) {}
    fn established(&mut self, _handshake: u32, _span: Span) {}
    fn odd(&mut self, _code: Code, _detail: &str, _span: Span) {}
    fn closed(&mut self, _dir: Direction, _span: Span) {}
}

/// Every key and key log of `testdata`: a seed decrypts, and so does what remains sound of it.
fn ring() -> &'static KeyRing {
    static RING: OnceLock<KeyRing> = OnceLock::new();
    RING.get_or_init(|| {
        let mut ring = KeyRing::new();
        let home = seeds::testdata();
        for folder in ["servers/keys", "tls/keys"] {
            let _ = ring.add_key_path(&home.join(folder), &mut |_| None);
        }
        for log in super::keys::log_seeds() {
            ring.add_keylog_bytes("seed", &log, SecretSource::KeyLog);
        }
        ring
    })
}

pub fn run(data: &[u8]) {
    let (keys, limits) = (ring(), Limits { tls_search_records: 8, ..Limits::default() });
    let mut sessions = SessionCache::new();
    let mut connection = Connection::new();
    let mut up = Count::default();
    let mut sent = [0; 2];
    let (mut rest, span) = (data, Span::default());
    while let Some((_, dir, operation)) = operations::next(&mut rest) {
        let mut env = Env { keys, sessions: &mut sessions, limits: &limits, both_captured: true, may_hold_back: true };
        match operation {
            Operation::Gap(len) => connection.gap(dir, len, span, &mut env, &mut up),
            Operation::End => connection.end(dir, span, &mut env),
            Operation::Data(bytes) => {
                sent[dir.index()] += bytes.len();
                connection.data(dir, bytes, span, &mut env, &mut up);
            }
        }
    }
    let mut env = Env { keys, sessions: &mut sessions, limits: &limits, both_captured: true, may_hold_back: true };
    connection.finish(span, &mut env, &mut up);
    for (plain, sent) in up.plain.iter().zip(sent) {
        assert!(*plain <= sent.saturating_mul(1100) + 1024, "{plain} bytes out of {sent}");
    }
}

/// The dialogues from their ClientHello on.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for dialogue in seeds::conversations("") {
        let hello = dialogue.turns.iter().position(|t| t.bytes.starts_with(&[0x16, 3]));
        all.extend(hello.map(|from| operations::encode(&dialogue, from)));
    }
    all
}
