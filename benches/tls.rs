//! TLS: records a cipher, and what the private key costs: `cargo bench --bench tls`.

use std::path::Path;

use divan::counter::BytesCount;
use hmac::{Hmac, KeyInit, Mac};
use mailcap::tls::KeyRing;
use mailcap::tls::protection::Protection;
use mailcap::tls::schedule::{Options, record_keys};
use mailcap::tls::suites::{MacAlgorithm, Version, suite};
use sha1::Sha1;
use sha2::Sha256;

fn main() {
    divan::main();
}

/// CBC suites: with encrypt-then-MAC any bytes are a good record, once their MAC is.
const CBC: &[(&str, u16)] = &[
    ("AES-128-SHA", 0x002f),
    ("AES-256-SHA256", 0x003d),
    ("3DES-SHA", 0x000a),
    ("DES-SHA", 0x0009),
    ("CAMELLIA-128-SHA", 0x0041),
    ("ARIA-128-SHA256", 0xc03c),
    ("SEED-SHA", 0x0096),
    ("IDEA-SHA", 0x0007),
];

/// The client's protection, and a record of `len` bytes of ciphertext that opens as its first.
fn record(id: u16, len: usize) -> (Protection, Vec<u8>) {
    let suite = suite(id).expect("a suite");
    let (master, random) = ([7; 48], [9; 32]);
    let options = Options { encrypt_then_mac: true, truncated_hmac: false };
    let keys = record_keys(Version::Tls12, suite, &master, &random, &random, options).expect("keys");
    // The first block of RFC 5246's PRF: the client's MAC key stands at its beginning.
    let prf = || Hmac::<Sha256>::new_from_slice(&master).expect("any length");
    let seed = [&b"key expansion"[..], &random, &random].concat();
    let first = prf().chain_update(&seed).finalize().into_bytes();
    let block = prf().chain_update(first).chain_update(&seed).finalize().into_bytes();
    let mut fragment: Vec<u8> = (0..len).map(|i| (i * 31) as u8).collect();
    let [high, low] = (len as u16).to_be_bytes();
    let head = [0, 0, 0, 0, 0, 0, 0, 0, 23, 3, 3, high, low];
    let tag = match suite.mac {
        MacAlgorithm::Sha256 => {
            let mac = Hmac::<Sha256>::new_from_slice(&block[..32]).expect("any length");
            mac.chain_update(head).chain_update(&fragment).finalize().into_bytes().to_vec()
        }
        _ => {
            let mac = Hmac::<Sha1>::new_from_slice(&block[..20]).expect("any length");
            mac.chain_update(head).chain_update(&fragment).finalize().into_bytes().to_vec()
        }
    };
    fragment.extend(tag);
    (keys.0, fragment)
}

/// Records of a KiB and of full length.
#[divan::bench(args = CBC, consts = [1024, 16384])]
fn cbc<const LEN: usize>(bencher: divan::Bencher<'_, '_>, (_, id): &(&str, u16)) {
    let (mut protection, fragment) = record(*id, LEN);
    bencher.counter(BytesCount::new(LEN)).with_inputs(|| fragment.clone()).bench_local_refs(|fragment| {
        protection.set_sequence(0);
        assert!(protection.open(23, 0x0303, fragment).is_ok());
    });
}

/// What bounds handshakes: the private-key operation, of a ciphertext that was not seen before.
#[divan::bench(args = ["rsa1024.pem", "rsa2048.pem", "rsa3072.pem", "rsa4096.pem"])]
fn private_key(bencher: divan::Bencher<'_, '_>, name: &str) {
    let mut ring = KeyRing::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys").join(name);
    ring.add_key_path(&path, &mut |_| None).expect("a key");
    let key = ring.keys()[0].clone();
    let mut number = 0u64;
    bencher.bench_local(|| {
        number += 1;
        let mut encrypted = vec![0x55; key.modulus().len()];
        encrypted[0] = 0;
        encrypted[1..9].copy_from_slice(&number.to_be_bytes());
        divan::black_box(key.decrypt_premaster(&encrypted).is_ok())
    });
}
