//! A sequence of operations on one TLS connection.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailcap::diagnostic::Code;
use mailcap::event::GapCause;
use mailcap::limits::Limits;
use mailcap::position::{Direction, Span};
use mailcap::tls::{Connection, Env, KeyRing, SessionCache, Upper};

struct Count(usize);

impl Upper for Count {
    fn plaintext(&mut self, _dir: Direction, bytes: &[u8], _span: Span) {
        self.0 += bytes.len();
    }
    fn lost(&mut self, _dir: Direction, _len: u64, _cause: Option<GapCause>, _span: Span) {}
    fn established(&mut self, _handshake: u32, _span: Span) {}
    fn odd(&mut self, _code: Code, _detail: &str, _span: Span) {}
    fn closed(&mut self, _dir: Direction, _span: Span) {}
}

fuzz_target!(|data: &[u8]| {
    let (keys, limits) = (KeyRing::new(), Limits::default());
    let mut sessions = SessionCache::new(16);
    let mut connection = Connection::new();
    let mut up = Count(0);
    let mut rest = data;
    let span = Span::default();
    while let [operation, high, low, tail @ ..] = rest {
        let length = usize::from(*high) << 8 | usize::from(*low);
        let (bytes, tail) = tail.split_at(length.min(tail.len()));
        rest = tail;
        let dir = if operation & 1 == 0 { Direction::Client } else { Direction::Server };
        let mut env = Env { keys: &keys, sessions: &mut sessions, limits: &limits };
        match operation >> 4 {
            14 => connection.gap(dir, length as u64 + 1, GapCause::Lost, span, &mut env, &mut up),
            15 => connection.end(dir, span, &mut env, &mut up),
            _ => connection.data(dir, bytes, span, &mut env, &mut up),
        }
    }
    let mut env = Env { keys: &keys, sessions: &mut sessions, limits: &limits };
    connection.finish(span, &mut env, &mut up);
});
