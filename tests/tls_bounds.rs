//! Memory does not grow with the length of a connection, and little with that of a key log. One test, as it is this
//! process' peak that is measured.

mod common;

use std::io::Write;

use common::peak_memory;
use common::tls13::{Sender, key_log};
use mailcap::event::SecretSource;
use mailcap::limits::Limits;
use mailcap::position::{Direction, Span};
use mailcap::tls::{Connection, Env, KeyRing, Secret, SessionCache, Upper};

/// Counts what it is given.
#[derive(Default)]
struct Count {
    bytes: u64,
    lost: u64,
}

impl Upper for Count {
    fn plaintext(&mut self, _: Direction, bytes: &[u8], _: Span) {
        self.bytes += bytes.len() as u64;
    }
    fn lost(&mut self, _: Direction, len: u64, _: Span) {
        self.lost += len;
    }
    fn established(&mut self, _: u32, _: Span) {}
    fn odd(&mut self, _: mailcap::diagnostic::Code, _: &str, _: Span) {}
    fn closed(&mut self, _: Direction, _: Span) {}
}

/// In each direction.
const RECORDS: u64 = 500_000;

/// A connection of a million records, with KeyUpdates and alerts.
fn long_connection() {
    let (random, client, server) = ([1; 32], Secret::new(&[2; 32]), Secret::new(&[3; 32]));
    let log = key_log(&random, &client, &server);
    let mut keys = KeyRing::new();
    keys.add_keylog_bytes("log", log.as_bytes(), SecretSource::KeyLog);
    let (mut sessions, limits, mut out) = (SessionCache::new(), Limits::default(), Count::default());
    let mut env =
        Env { keys: &keys, sessions: &mut sessions, limits: &limits, both_captured: true, may_hold_back: true };
    let (mut connection, span) = (Connection::new(), Span::default());
    let mut senders = [Sender::new(client), Sender::new(server)];
    let mut before = None;
    for n in 0..RECORDS {
        for (dir, sender) in [Direction::Client, Direction::Server].into_iter().zip(&mut senders) {
            let record = match n % 1000 {
                500 => sender.update(),
                // Of no effect: user_canceled.
                700 => sender.record(21, &[1, 90]),
                _ => sender.record(23, b"250 2.1.0 Ok\r\n"),
            };
            connection.data(dir, &record, span, &mut env, &mut out);
        }
        if n == RECORDS / 100 {
            before = peak_memory();
        }
    }
    assert_eq!((out.bytes, out.lost), (2 * 14 * (RECORDS - 2 * RECORDS / 1000), 0));
    assert_eq!(connection.held_bytes(), 0);
    let reports = connection.finish(span, &mut env, &mut out);
    assert_eq!((reports.len(), reports[0].records_decrypted), (1, 2 * RECORDS));
    assert!(reports[0].alerts.len() <= 16 && reports[0].steps.len() <= 64);
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        assert!(after - before < 1 << 20, "{} bytes more for 99 times the records", after - before);
    }
}

const LINES: u64 = 200_000;

/// A key log of 35 MB.
fn long_key_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.log");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let line = |n: u64| format!("CLIENT_RANDOM {n:064X} {:096x}\r\n", n * n);
    for n in 0..LINES {
        file.write_all(line(n).as_bytes()).unwrap();
    }
    drop(file);
    let before = peak_memory();
    let mut ring = KeyRing::new();
    assert!(ring.add_keylog(&path).unwrap().is_empty());
    for n in (0..LINES).step_by(7919) {
        let mut random = [0; 32];
        random[24..].copy_from_slice(&n.to_be_bytes());
        let found = ring.master_for_client_random(&random).unwrap();
        assert_eq!(found.secret[40..], (n * n).to_be_bytes());
    }
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        // While it grows a list is there twice.
        let most = 2 * 16 * LINES + (4 << 20);
        assert!(after - before <= most, "{} bytes for {LINES} lines", after - before);
    }
}

#[test]
fn memory_is_bounded() {
    long_connection();
    long_key_log();
}
