//! Memory does not grow with the length of a connection, and little with that of a key log. One test, as it is this process'
//! peak that is measured.

mod common;

use std::io::Write;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Nonce, Tag};
use common::peak_memory;
use mailcap::event::{GapCause, SecretSource};
use mailcap::limits::Limits;
use mailcap::position::{Direction, Span};
use mailcap::tls::schedule::{hkdf_expand_label, tls13_next_secret};
use mailcap::tls::suites::{PrfHash, suite};
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
    fn lost(&mut self, _: Direction, len: u64, _: Option<GapCause>, _: Span) {
        self.lost += len;
    }
    fn established(&mut self, _: u32, _: Span) {}
    fn odd(&mut self, _: mailcap::diagnostic::Code, _: &str, _: Span) {}
    fn closed(&mut self, _: Direction, _: Span) {}
}

/// A sender of TLS 1.3 records under TLS_AES_128_GCM_SHA256 (RFC 8446 section 5.2).
struct Sender {
    secret: Secret,
    cipher: Aes128Gcm,
    iv: [u8; 12],
    number: u64,
}

impl Sender {
    fn new(secret: Secret) -> Self {
        let (mut key, mut iv) = ([0; 16], [0; 12]);
        hkdf_expand_label(PrfHash::Sha256, &secret, "key", &[], &mut key);
        hkdf_expand_label(PrfHash::Sha256, &secret, "iv", &[], &mut iv);
        Sender { secret, cipher: Aes128Gcm::new(&key.into()), iv, number: 0 }
    }

    fn record(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut inner = [content, &[kind]].concat();
        let [high, low] = (inner.len() as u16 + 16).to_be_bytes();
        let header = [23, 3, 3, high, low];
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(self.number.to_be_bytes()).for_each(|(n, s)| *n ^= s);
        self.number += 1;
        let tag: Tag =
            self.cipher.encrypt_inout_detached(&Nonce::from(nonce), &header, inner.as_mut_slice().into()).unwrap();
        [&header[..], &inner, &tag[..]].concat()
    }

    /// A KeyUpdate and what follows from it.
    fn update(&mut self) -> Vec<u8> {
        let record = self.record(22, &[24, 0, 0, 1, 0]);
        *self = Sender::new(tls13_next_secret(suite(0x1301).unwrap(), &self.secret));
        record
    }
}

/// In each direction.
const RECORDS: u64 = 500_000;

/// A connection of a million records, with KeyUpdates and alerts.
fn long_connection() {
    let (random, client, server) = ([1; 32], Secret::new(&[2; 32]), Secret::new(&[3; 32]));
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let log = format!(
        "CLIENT_TRAFFIC_SECRET_0 {r} {}\nSERVER_TRAFFIC_SECRET_0 {r} {}\n",
        hex(&client),
        hex(&server),
        r = hex(&random)
    );
    let mut keys = KeyRing::new();
    keys.add_keylog_bytes("log", log.as_bytes(), SecretSource::KeyLog);
    let (mut sessions, limits, mut out) = (SessionCache::new(), Limits::default(), Count::default());
    let mut env = Env { keys: &keys, sessions: &mut sessions, limits: &limits, both_captured: true };
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
