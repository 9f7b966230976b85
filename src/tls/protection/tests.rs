//! Record protection and everything below it against sessions that other stacks recorded: `testdata/tls-records.txt`.

use std::collections::HashMap;
use std::path::Path;

use super::super::keys::KeyRing;
use super::super::prf::{self, Transcript};
use super::super::schedule::{self, Options};
use super::super::suites::{Suite, Version, suite};
use super::*;
use crate::fmt::hex;

/// Bytes of a hex string; blanks are skipped.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|d| (d[0] << 4 | d[1]) as u8).collect()
}

struct Record {
    content_type: u8,
    version: u16,
    fragment: Vec<u8>,
}

#[derive(Default)]
struct Case {
    fields: HashMap<String, String>,
    client: Vec<Record>,
    server: Vec<Record>,
}

impl Case {
    fn bytes(&self, key: &str) -> Option<Vec<u8>> {
        self.fields.get(key).map(|v| unhex(v))
    }

    fn random(&self, key: &str) -> [u8; 32] {
        self.bytes(key).unwrap().try_into().unwrap()
    }

    fn flag(&self, name: &str) -> bool {
        self.fields.get("flags").is_some_and(|f| f.split(' ').any(|f| f == name))
    }

    fn version(&self) -> Version {
        Version::from_wire(u16::from_str_radix(&self.fields["version"], 16).unwrap()).unwrap()
    }

    fn suite(&self) -> &'static Suite {
        suite(u16::from_str_radix(&self.fields["suite"], 16).unwrap()).unwrap()
    }

    fn name(&self) -> &str {
        &self.fields["case"]
    }

    fn options(&self) -> Options {
        Options { encrypt_then_mac: self.flag("etm"), truncated_hmac: self.flag("tr") }
    }

    fn protections(&self) -> (Protection, Protection) {
        let (client, server) = (self.random("client_random"), self.random("server_random"));
        let master = self.bytes("master").unwrap();
        schedule::record_keys(self.version(), self.suite(), &master, &client, &server, self.options()).unwrap()
    }
}

fn cases() -> Vec<Case> {
    let path = std::env::var("MAILCAP_TLS_RECORDS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tls-records.txt").into());
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("\n\n").filter(|b| !b.starts_with('#'));
    let cases: Vec<Case> = blocks
        .map(|block| {
            let mut case = Case::default();
            for line in block.lines() {
                let (key, value) = line.split_once(' ').unwrap_or((line, ""));
                let record = || {
                    let parts: Vec<&str> = value.split(' ').collect();
                    Record {
                        content_type: u8::from_str_radix(parts[0], 16).unwrap(),
                        version: u16::from_str_radix(parts[1], 16).unwrap(),
                        fragment: unhex(parts[2]),
                    }
                };
                match key {
                    "client" => case.client.push(record()),
                    "server" => case.server.push(record()),
                    _ => drop(case.fields.insert(key.into(), value.into())),
                }
            }
            case
        })
        .collect();
    assert!(cases.len() > 30);
    cases
}

/// Opens each record, inflates if need be, and gives handshake bytes and application data.
fn open_all(case: &Case, protection: &mut Protection, records: &[Record]) -> (Vec<u8>, Vec<u8>) {
    let mut inflate = flate2::Decompress::new(true);
    let (mut handshake, mut application) = (Vec::new(), Vec::new());
    for (n, record) in records.iter().enumerate() {
        let mut fragment = record.fragment.clone();
        assert!(fragment.len() >= protection.min_fragment(), "{}", case.name());
        let opened = protection
            .open(record.content_type, record.version, &mut fragment)
            .unwrap_or_else(|e| panic!("{}: record {n}: {e:?}", case.name()));
        let mut plaintext = opened.plaintext.to_vec();
        if case.flag("deflate") {
            let mut out = Vec::with_capacity(1 << 15);
            inflate.decompress_vec(&plaintext, &mut out, flate2::FlushDecompress::Sync).unwrap();
            plaintext = out;
        }
        match opened.content_type {
            22 => handshake.extend(plaintext),
            23 => application.extend(plaintext),
            _ => {}
        }
    }
    (handshake, application)
}

fn check_plaintext(case: &Case, side: &str, application: &[u8]) {
    let truth = case.bytes(side).unwrap();
    let common = truth.len().min(application.len());
    assert_eq!(application[..common], truth[..common], "{}: {side}", case.name());
}

/// From the master secret of the endpoint's key log: Finished and the plaintext that the endpoint sent.
#[test]
fn recorded_sessions_to_tls12() {
    let mut application_bytes = 0;
    for case in cases().iter().filter(|c| c.version() < Version::Tls13) {
        let (mut client, mut server) = case.protections();
        let (handshake, application) = open_all(case, &mut client, &case.client);
        check_plaintext(case, "client_plaintext", &application);
        application_bytes += application.len();
        if let (Some(before), Some(master)) = (case.bytes("handshake"), case.bytes("master")) {
            let mut transcript = Transcript::new();
            transcript.update(&before);
            let (version, hash) = (case.version(), case.suite().prf);
            let expected = prf::finished(version, hash, &master, true, &transcript);
            assert_eq!(handshake[4..4 + expected.len()], expected, "{}: client's Finished", case.name());
        }
        let (_, application) = open_all(case, &mut server, &case.server);
        check_plaintext(case, "server_plaintext", &application);
        application_bytes += application.len();
    }
    assert!(application_bytes > 3000);
}

/// From the RSA private key to the master secret of the endpoint's key log.
#[test]
fn recorded_premasters() {
    let folder = std::env::var("MAILCAP_TLS_KEYS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/keys").into());
    let mut checked = 0;
    for case in cases() {
        let (Some(key), Some(encrypted)) = (case.fields.get("key"), case.bytes("encrypted")) else { continue };
        let mut ring = KeyRing::new();
        ring.add_key_path(&Path::new(&folder).join(key), &mut |_| None).unwrap();
        let premaster = ring.keys()[0].decrypt_premaster(&encrypted).unwrap();
        let (version, hash) = (case.version(), case.suite().prf);
        let master = if case.flag("ems") {
            let Some(handshake) = case.bytes("handshake") else { continue };
            let mut transcript = Transcript::new();
            transcript.update(&handshake[..case.fields["session_hash_at"].parse().unwrap()]);
            transcript.settle(version, hash);
            prf::extended_master_secret(version, hash, &premaster, &transcript.session_hash(version, hash))
        } else {
            let (client, server) = (case.random("client_random"), case.random("server_random"));
            prf::master_secret(version, hash, &premaster, &client, &server)
        };
        assert_eq!(hex(&master), case.fields["master"].to_lowercase(), "{}", case.name());
        checked += 1;
    }
    assert!(checked > 20);
}

/// TLS 1.3: handshake keys until Finished, application keys from there on.
#[test]
fn recorded_sessions_tls13() {
    let mut sessions = 0;
    for case in cases().iter().filter(|c| c.version() == Version::Tls13) {
        for (side, records) in [("client", &case.client), ("server", &case.server)] {
            let secret = |label: String| case.bytes(&label).unwrap();
            let suite = case.suite();
            let application = secret(format!("{side}_traffic_secret_0"));
            let mut generations = vec![
                schedule::tls13_protection(suite, &secret(format!("{side}_handshake_traffic_secret"))).unwrap(),
                schedule::tls13_protection(suite, &application).unwrap(),
            ];
            // After KeyUpdates.
            let mut next = schedule::tls13_next_secret(suite, &application);
            for _ in 0..8 {
                generations.push(schedule::tls13_protection(suite, &next).unwrap());
                next = schedule::tls13_next_secret(suite, &next);
            }
            let mut plaintext = Vec::new();
            for (n, record) in records.iter().filter(|r| r.content_type == 23).enumerate() {
                let opened = loop {
                    let Some(protection) = generations.first_mut() else { panic!("{}: {side} {n}", case.name()) };
                    let mut trial = protection.clone();
                    let mut fragment = record.fragment.clone();
                    if let Ok(opened) = trial.open(23, record.version, &mut fragment) {
                        let result = (opened.content_type, opened.plaintext.to_vec());
                        *protection = trial;
                        break result;
                    }
                    generations.remove(0);
                };
                match opened.0 {
                    23 => plaintext.extend(opened.1),
                    21 | 22 => {}
                    other => panic!("content type {other}"),
                }
            }
            check_plaintext(case, &format!("{side}_plaintext"), &plaintext);
        }
        sessions += 1;
    }
    assert!(sessions >= 5);
}

fn find(name: &str) -> Case {
    cases().into_iter().find(|c| c.name() == name).unwrap()
}

/// A record that fails uses its number and its keystream up: the next one opens.
#[test]
fn goes_on_behind_a_damaged_record() {
    for name in [
        "ssl3-rc4-md5-imap-starttls",
        "tls10-aes128-sha-pop3-starttls",
        "tls11-aes256-sha-imap-starttls",
        "tls10-des-cbc3-sha-imap-starttls",
        "tls12-aes256-gcm-sha384-pop3-starttls",
    ] {
        let case = find(name);
        let (mut client, _) = case.protections();
        let [damaged, next] = &case.client[..2] else { panic!() };
        let mut fragment = damaged.fragment.clone();
        // Not the last block: that is the next record's IV.
        fragment[0] ^= 1;
        assert!(client.open(damaged.content_type, damaged.version, &mut fragment).is_err(), "{name}");
        assert_eq!(client.sequence(), 1);
        let mut fragment = next.fragment.clone();
        assert!(client.open(next.content_type, next.version, &mut fragment).is_ok(), "{name}");
    }
}

/// A record that was lost whole: how each kind goes on.
#[test]
fn goes_on_behind_a_lost_record() {
    // RC4: the keystream has to be moved on.
    let case = find("ssl3-rc4-md5-imap-starttls");
    let (mut client, _) = case.protections();
    assert!(client.is_stream() && !client.has_implicit_iv());
    client.skip(1, case.client[0].fragment.len() as u64);
    assert!(client.open(23, 0x0300, &mut case.client[1].fragment.clone()).is_ok());

    // Implicit IV: one record more can't be checked, unless the end of the lost one is known.
    let case = find("tls10-aes128-sha-pop3-starttls");
    let (mut client, _) = case.protections();
    assert!(client.has_implicit_iv());
    client.skip(1, case.client[0].fragment.len() as u64);
    let mut known = client.clone();
    assert_eq!(client.open(23, 0x0301, &mut case.client[1].fragment.clone()), Err(OpenError::UnknownIv));
    assert!(client.open(23, 0x0301, &mut case.client[2].fragment.clone()).is_ok());
    known.set_previous_block(&case.client[0].fragment);
    assert!(known.open(23, 0x0301, &mut case.client[1].fragment.clone()).is_ok());

    // Explicit IV, TLS 1.2 AEAD: the number is enough, and a wrong one shows.
    for name in ["tls11-aes256-sha-imap-starttls", "tls12-aes128-ccm-smtp"] {
        let case = find(name);
        let (mut client, _) = case.protections();
        let version = case.client[1].version;
        assert_eq!(client.open(23, version, &mut case.client[1].fragment.clone()), Err(OpenError::BadMac));
        client.set_sequence(0);
        client.skip(1, 1000);
        assert!(client.open(23, version, &mut case.client[1].fragment.clone()).is_ok(), "{name}");
    }
}

/// Fragments of every length up to a few blocks, of garbage: an answer, never a panic, and no plaintext.
#[test]
fn garbage_is_refused() {
    for case in cases().iter().filter(|c| c.version() < Version::Tls13) {
        for len in 0..100 {
            let (mut client, _) = case.protections();
            let mut fragment: Vec<u8> = (0..len).map(|i| (i * 37 + len) as u8).collect();
            let result = client.open(23, 0x0303, &mut fragment);
            assert!(result.is_err(), "{} with {len} bytes", case.name());
            if len < client.min_fragment() {
                assert_eq!(result, Err(OpenError::BadLength), "{} with {len} bytes", case.name());
            }
        }
    }
}

#[test]
fn suites_that_cannot_be() {
    let random = [0; 32];
    let keys = |version, id| {
        schedule::record_keys(version, suite(id).unwrap(), &[0; 48], &random, &random, Options::default()).is_some()
    };
    assert!(keys(Version::Tls12, 0x009c));
    assert!(!keys(Version::Ssl3, 0x009c), "AEAD in SSL 3.0");
    assert!(!keys(Version::Ssl3, 0x003c), "HMAC-SHA256 in SSL 3.0");
    assert!(!keys(Version::Tls13, 0x1301), "TLS 1.3 has no key block");
    assert!(!keys(Version::Tls12, 0x0081), "GOST");
    assert!(schedule::tls13_protection(suite(0x1301).unwrap(), &[0; 48]).is_none(), "secret of another hash");
}
