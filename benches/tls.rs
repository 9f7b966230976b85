//! TLS beside what it stands on: `cargo bench --bench tls` gives records a cipher against the bare cipher and MAC, and whole
//! handshakes against the bare private-key operation. Both sides of a row take turns, and each keeps its fastest time, so that
//! the ratio holds on a busy machine, too.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use aes::cipher::consts::{U12, U16};
use aes::cipher::{Array, BlockCipherDecrypt, BlockModeDecrypt, BlockSizeUser, InnerIvInit, StreamCipher};
use aes_gcm::aead::AeadInOut;
use hmac::{Hmac, KeyInit, Mac};
use mailcap::diagnostic::Code;
use mailcap::limits::Limits;
use mailcap::position::{Direction, Span};
use mailcap::tls::protection::Protection;
use mailcap::tls::schedule::{Options, hkdf_expand_label, record_keys, tls13_protection};
use mailcap::tls::suites::{MacAlgorithm, PrfHash, Version, suite};
use mailcap::tls::{Connection, Env, KeyRing, PrivateKey, SessionCache, Upper};
use rsa::hazmat::rsa_encrypt;
use sha1::Sha1;
use sha2::Sha256;

const LENGTHS: [usize; 2] = [1024, 16_384];

/// Turns that each side takes.
const TURNS: usize = 200;

/// The fastest of each, taking turns; a turn repeats its work until it takes some time.
fn beside(mut ours: impl FnMut() -> Duration, mut bare: impl FnMut() -> Duration) -> (Duration, Duration) {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..TURNS {
        best = (best.0.min(ours()), best.1.min(bare()));
    }
    best
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn row(name: &str, len: usize, (ours, bare): (Duration, Duration)) {
    let rate = |time: Duration| len as f64 / time.as_secs_f64() / 1e6;
    let ratio = bare.as_secs_f64() / ours.as_secs_f64();
    println!("{name:<28} {len:>6}  {:>8.0}  {:>8.0}  {ratio:>5.2}", rate(ours), rate(bare));
}

/// Encrypt-then-MAC: any bytes are a good record, once their MAC is.
fn mac(algorithm: MacAlgorithm, key: &[u8], head: &[u8], data: &[u8]) -> Vec<u8> {
    match algorithm {
        MacAlgorithm::Sha256 => {
            let mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
            mac.chain_update(head).chain_update(data).finalize().into_bytes().to_vec()
        }
        _ => {
            let mac = Hmac::<Sha1>::new_from_slice(key).expect("any length");
            mac.chain_update(head).chain_update(data).finalize().into_bytes().to_vec()
        }
    }
}

const MASTER: [u8; 48] = [7; 48];
const RANDOM: [u8; 32] = [9; 32];

/// The first bytes of TLS 1.2's key block (RFC 5246 section 6.3), enough for the client's key and for the AEADs' IV.
fn key_block() -> Vec<u8> {
    let prf = || Hmac::<Sha256>::new_from_slice(&MASTER).expect("any length");
    let seed = [&b"key expansion"[..], &RANDOM, &RANDOM].concat();
    let mut a = prf().chain_update(&seed).finalize().into_bytes();
    let mut block = Vec::new();
    for _ in 0..3 {
        block.extend_from_slice(&prf().chain_update(a).chain_update(&seed).finalize().into_bytes());
        a = prf().chain_update(a).finalize().into_bytes();
    }
    block
}

/// The client's protection, and a record of `len` bytes of ciphertext that opens as its first.
fn record(id: u16, len: usize) -> (Protection, Vec<u8>) {
    let suite = suite(id).expect("a suite");
    let options = Options { encrypt_then_mac: true, truncated_hmac: false };
    let keys = record_keys(Version::Tls12, suite, &MASTER, &RANDOM, &RANDOM, options).expect("keys");
    let block = key_block();
    let mut fragment: Vec<u8> = (0..len).map(|i| (i * 31) as u8).collect();
    let [high, low] = (len as u16).to_be_bytes();
    let head = [0, 0, 0, 0, 0, 0, 0, 0, 23, 3, 3, high, low];
    let key = if suite.mac == MacAlgorithm::Sha256 { &block[..32] } else { &block[..20] };
    fragment.extend(mac(suite.mac, key, &head, &fragment));
    (keys.0, fragment)
}

/// The crate's cipher and HMAC alone, set up before.
fn cbc<C: BlockCipherDecrypt + KeyInit>(name: &str, id: u16, key_len: usize) {
    let cipher = C::new_from_slice(&[0x1b; 32][..key_len]).expect("a key");
    let algorithm = suite(id).expect("a suite").mac;
    let (sha1, sha256) = (Hmac::<Sha1>::new_from_slice(&[7; 20]), Hmac::<Sha256>::new_from_slice(&[7; 32]));
    let (sha1, sha256) = (sha1.expect("a key"), sha256.expect("a key"));
    for len in LENGTHS {
        let (mut protection, fragment) = record(id, len);
        let mut data = fragment.clone();
        let best = beside(
            || {
                let mut fragment = fragment.clone();
                protection.set_sequence(0);
                timed(|| assert!(protection.open(23, 0x0303, &mut fragment).is_ok()))
            },
            || {
                let iv = Array::<u8, <C as BlockSizeUser>::BlockSize>::default();
                timed(|| {
                    match algorithm {
                        MacAlgorithm::Sha256 => drop(black_box(sha256.clone().chain_update(&data).finalize())),
                        _ => drop(black_box(sha1.clone().chain_update(&data).finalize())),
                    }
                    let (blocks, _) = Array::slice_as_chunks_mut(&mut data);
                    cbc::Decryptor::<&C>::inner_iv_init(&cipher, &iv).decrypt_blocks(blocks);
                })
            },
        );
        row(name, len, best);
    }
}

/// RC4 with HMAC-SHA1, TLS_RSA_WITH_RC4_128_SHA: the MAC is enciphered, too.
fn rc4() {
    let block = key_block();
    let cipher = || rc4::Rc4::new_from_slice(&block[40..56]).expect("a key");
    let sha1 = Hmac::<Sha1>::new_from_slice(&block[..20]).expect("a key");
    for len in LENGTHS {
        let [high, low] = (len as u16).to_be_bytes();
        let head = [0, 0, 0, 0, 0, 0, 0, 0, 23, 3, 3, high, low];
        let mut sealed = vec![0x5a; len];
        sealed.extend(sha1.clone().chain_update(head).chain_update(&sealed).finalize().into_bytes());
        cipher().apply_keystream(&mut sealed);
        let fresh =
            || record_keys(Version::Tls12, suite(5).expect("a suite"), &MASTER, &RANDOM, &RANDOM, Options::default());
        let best = beside(
            || {
                let (mut fragment, mut protection) = (sealed.clone(), fresh().expect("keys").0);
                timed(|| assert!(protection.open(23, 0x0303, &mut fragment).is_ok()))
            },
            || {
                let (mut data, mut cipher) = (sealed.clone(), cipher());
                timed(|| {
                    cipher.apply_keystream(&mut data);
                    black_box(sha1.clone().chain_update(&data).finalize());
                })
            },
        );
        row("RC4-SHA", len, best);
    }
}

/// SEED is our own; beside it stands what hashing alone takes.
fn seed() {
    let sha1 = Hmac::<Sha1>::new_from_slice(&[7; 20]).expect("a key");
    for len in LENGTHS {
        let (mut protection, sealed) = record(0x0096, len);
        let best = beside(
            || {
                let mut fragment = sealed.clone();
                protection.set_sequence(0);
                timed(|| assert!(protection.open(23, 0x0303, &mut fragment).is_ok()))
            },
            || timed(|| drop(black_box(sha1.clone().chain_update(&sealed).finalize()))),
        );
        row("SEED-CBC-SHA (MAC alone)", len, best);
    }
}

/// What is sealed with the crate is opened by us, and by the crate: records of TLS 1.3, or of TLS 1.2 with their explicit
/// part of the nonce.
fn aead<A: AeadInOut + KeyInit>(name: &str, id: u16, hash: PrfHash) {
    let suite = suite(id).expect("a suite");
    let secret = vec![5; if hash == PrfHash::Sha256 { 32 } else { 48 }];
    let mut key = Array::<u8, A::KeySize>::default();
    let mut nonce = Array::<u8, A::NonceSize>::default();
    let mut protection = match suite.is_tls13() {
        true => {
            hkdf_expand_label(hash, &secret, "key", &[], &mut key);
            hkdf_expand_label(hash, &secret, "iv", &[], &mut nonce);
            tls13_protection(suite, &secret).expect("keys")
        }
        false => {
            let (block, len) = (key_block(), key.len());
            key.copy_from_slice(&block[..len]);
            nonce[..4].copy_from_slice(&block[2 * len..2 * len + 4]);
            record_keys(Version::Tls12, suite, &MASTER, &RANDOM, &RANDOM, Options::default()).expect("keys").0
        }
    };
    let cipher = A::new(&key);
    for len in LENGTHS {
        // The last byte is the content type of TLS 1.3.
        let mut sealed = vec![23; len];
        let tag_len = Array::<u8, A::TagSize>::default().len();
        let [high, low] = ((len + if suite.is_tls13() { tag_len } else { 0 }) as u16).to_be_bytes();
        let outer = [23, 3, 3, high, low];
        let head = if suite.is_tls13() { outer.to_vec() } else { [&[0; 8][..], &outer].concat() };
        let explicit: &[u8] = if suite.is_tls13() { &[] } else { &nonce[4..] };
        let tag = cipher.encrypt_inout_detached(&nonce, &head, sealed.as_mut_slice().into()).expect("sealed");
        let whole = [explicit, &sealed, &tag].concat();
        let best = beside(
            || {
                let mut fragment = whole.clone();
                protection.set_sequence(0);
                timed(|| assert!(protection.open(23, 0x0303, &mut fragment).is_ok()))
            },
            || {
                let mut data = sealed.clone();
                timed(|| {
                    let opened = cipher.decrypt_inout_detached(&nonce, &head, data.as_mut_slice().into(), &tag);
                    assert!(opened.is_ok());
                })
            },
        );
        row(name, len, best);
    }
}

struct Nothing;

impl Upper for Nothing {
    fn plaintext(&mut self, _: Direction, _: &[u8], _: Span) {}
    fn lost(&mut self, _: Direction, _: u64, _: Span) {}
    fn established(&mut self, _: u32, _: Span) {}
    fn odd(&mut self, _: Code, _: &str, _: Span) {}
    fn closed(&mut self, _: Direction, _: Span) {}
}

fn tls_record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    tls_record(22, &[&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat())
}

/// A new premaster secret, encrypted to the key.
fn encrypted_premaster(key: &PrivateKey, number: u64) -> Vec<u8> {
    let len = key.modulus().len();
    let precision = (len * 8) as u32;
    let n = rsa::BoxedUint::from_be_slice(key.modulus(), precision).expect("a modulus");
    let public = rsa::PublicKey::new_with_size_limits(n, rsa::BoxedUint::from(65_537u64), 512..=8192).expect("a key");
    let mut block = vec![0xa5; len];
    block[..2].copy_from_slice(&[0, 2]);
    block[len - 49] = 0;
    block[len - 48..len - 46].copy_from_slice(&[3, 3]);
    block[len - 8..].copy_from_slice(&number.to_be_bytes());
    let block = rsa::BoxedUint::from_be_slice(&block, precision).expect("a number");
    let bytes = rsa_encrypt(&public, &block).expect("encrypted").to_be_bytes();
    bytes[bytes.len() - len..].to_vec()
}

/// From ClientHello to the server's Finished, TLS_RSA_WITH_AES_128_CBC_SHA, against the operation alone.
fn handshakes() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys");
    let pem = std::fs::read(home.join("rsa2048.crt")).expect("a certificate");
    let certificate = pem::parse(pem).expect("PEM").into_contents();
    let mut keys = KeyRing::new();
    keys.add_key_path(&home.join("rsa2048.pem"), &mut |_| None).expect("a key");
    let key = keys.keys()[0].clone();
    let length = |n: usize| (n as u32).to_be_bytes()[1..].to_vec();
    let chain = [length(certificate.len() + 3), length(certificate.len()), certificate].concat();
    let (limits, mut sessions) = (Limits::default(), SessionCache::new());
    let mut number = 0;
    let mut next = || {
        number += 1;
        encrypted_premaster(&key, number)
    };
    let flights = |exchange: &[u8]| {
        let client = message(1, &[&[3, 3][..], &[7; 32], &[0, 0, 2, 0, 0x2f, 1, 0]].concat());
        let server =
            [message(2, &[&[3, 3][..], &[8; 32], &[0, 0, 0x2f, 0]].concat()), message(11, &chain), message(14, &[])];
        let exchange = message(16, &[&(exchange.len() as u16).to_be_bytes()[..], exchange].concat());
        let finished = [tls_record(20, &[1]), tls_record(22, &[5; 64])].concat();
        [
            (Direction::Client, client),
            (Direction::Server, server.concat()),
            (Direction::Client, [exchange, finished.clone()].concat()),
            (Direction::Server, finished),
        ]
    };
    let mut exchanges: Vec<(Vec<u8>, Vec<u8>)> = (0..TURNS).map(|_| (next(), next())).collect();
    let mut others: Vec<Vec<u8>> = exchanges.iter_mut().map(|(_, other)| std::mem::take(other)).collect();
    let best = beside(
        || {
            let flights = flights(&exchanges.pop().expect("one a turn").0);
            timed(|| {
                let mut env = Env {
                    keys: &keys,
                    sessions: &mut sessions,
                    limits: &limits,
                    both_captured: true,
                    may_hold_back: true,
                };
                let mut connection = Connection::new();
                for (dir, bytes) in &flights {
                    connection.data(*dir, bytes, Span::default(), &mut env, &mut Nothing);
                }
                black_box(connection.finish(Span::default(), &mut env, &mut Nothing));
            })
        },
        || {
            let exchange = others.pop().expect("one a turn");
            timed(|| assert!(key.decrypt_premaster(&exchange).is_ok()))
        },
    );
    rates("handshake RSA-2048", best);
}

/// So many a second.
fn rates(name: &str, (ours, bare): (Duration, Duration)) {
    let rate = |time: Duration| 1.0 / time.as_secs_f64();
    let ratio = bare.as_secs_f64() / ours.as_secs_f64();
    println!("{name:<28} {:>6}  {:>8.0}  {:>8.0}  {ratio:>5.2}", "", rate(ours), rate(bare));
}

/// Premaster secrets opened together, where the processor can, against one by one.
fn together(name: &str, file: &str) {
    const GROUP: u32 = 8;
    let mut keys = KeyRing::new();
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys");
    keys.add_key_path(&home.join(file), &mut |_| None).expect("a key");
    if !keys.opens_together() {
        return;
    }
    let key = keys.keys()[0].clone();
    let mut number = 0;
    let mut next = || {
        number += 1;
        encrypted_premaster(&key, number)
    };
    let mut groups: Vec<Vec<Vec<u8>>> = (0..TURNS).map(|_| (0..GROUP).map(|_| next()).collect()).collect();
    let mut others: Vec<Vec<u8>> = (0..TURNS).map(|_| next()).collect();
    let best = beside(
        || {
            let group = groups.pop().expect("one a turn");
            let time = timed(|| keys.open_ahead(group.iter().map(Vec::as_slice).collect()));
            assert!(group.iter().all(|exchange| key.decrypt_premaster(exchange).is_ok()));
            time / GROUP
        },
        || {
            let exchange = others.pop().expect("one a turn");
            timed(|| assert!(key.decrypt_premaster(&exchange).is_ok()))
        },
    );
    rates(name, best);
}

fn main() {
    println!("{:<28} {:>6}  {:>8}  {:>8}  {:>5}", "", "bytes", "ours", "bare", "ratio");
    println!("{:<28} {:>6}  {:>8}  {:>8}", "", "", "MB/s", "MB/s");
    cbc::<aes::Aes128Dec>("AES-128-CBC-SHA", 0x002f, 16);
    cbc::<aes::Aes256Dec>("AES-256-CBC-SHA256", 0x003d, 32);
    cbc::<des::TdesEde3>("3DES-CBC-SHA", 0x000a, 24);
    cbc::<des::Des>("DES-CBC-SHA", 0x0009, 8);
    cbc::<camellia::Camellia128>("CAMELLIA-128-CBC-SHA", 0x0041, 16);
    cbc::<aria::Aria128>("ARIA-128-CBC-SHA256", 0xc03c, 16);
    cbc::<idea::Idea>("IDEA-CBC-SHA", 0x0007, 16);
    seed();
    rc4();
    aead::<aes_gcm::Aes128Gcm>("AES-128-GCM", 0x1301, PrfHash::Sha256);
    aead::<aes_gcm::Aes256Gcm>("AES-256-GCM", 0x1302, PrfHash::Sha384);
    aead::<chacha20poly1305::ChaCha20Poly1305>("CHACHA20-POLY1305", 0x1303, PrfHash::Sha256);
    aead::<ccm::Ccm<aes::Aes128, U16, U12>>("AES-128-CCM", 0x1304, PrfHash::Sha256);
    aead::<aes_gcm::AesGcm<camellia::Camellia128, U12>>("CAMELLIA-128-GCM", 0xc07a, PrfHash::Sha256);
    aead::<aes_gcm::AesGcm<aria::Aria128, U12>>("ARIA-128-GCM", 0xc050, PrfHash::Sha256);
    handshakes();
    together("together RSA-2048", "rsa2048.pem");
    together("together RSA-1024", "rsa1024.pem");
}
