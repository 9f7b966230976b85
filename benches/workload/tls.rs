//! Both ends of TLS 1.2 (RFC 5246) with RSA key exchange, as far as a passive observer can tell.

use aes::Aes128;
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, Mac};
use mailcap::tls::prf::{Transcript, finished, master_secret};
use mailcap::tls::suites::{PrfHash, Version};
use rsa::hazmat::rsa_encrypt;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, PrivateKey, PublicKey};
use sha1::Sha1;
use sha2::Sha256;

use super::{Random, Turn};

/// The suites that are made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    /// TLS_RSA_WITH_AES_128_CBC_SHA.
    Cbc,
    /// TLS_RSA_WITH_AES_128_GCM_SHA256.
    Gcm,
}

/// The key and certificate of `testdata/keys`: what the captures decrypt with.
const KEY: &str = include_str!("../../testdata/keys/encoded/rsa2048.pkcs8.pem");
const CERTIFICATE: &str = include_str!("../../testdata/keys/rsa2048.crt");

const PRF: PrfHash = PrfHash::Sha256;
const VERSION: [u8; 2] = [3, 3];
/// Largest fragment of a record.
const FRAGMENT: usize = 1 << 14;

/// A server that every client talks to.
pub(crate) struct Server {
    cipher: Cipher,
    key: PublicKey,
    certificate: Vec<u8>,
}

/// Keys of one direction and the number of its next record.
struct Sender {
    cipher: Cipher,
    mac: [u8; 20],
    key: [u8; 16],
    salt: [u8; 4],
    number: u64,
}

impl Server {
    /// With the key of `testdata/keys`.
    pub(crate) fn new(cipher: Cipher) -> Self {
        let key = PrivateKey::from_pkcs8_pem(KEY).expect("the key of testdata");
        let certificate = pem::parse(CERTIFICATE).expect("the certificate of testdata").into_contents();
        Server { cipher, key: key.to_public_key(), certificate }
    }

    /// The dialogue inside TLS, the handshake first.
    pub(crate) fn wrap(&self, turns: Vec<Turn>, random: &mut Random) -> Vec<Turn> {
        let (mut client_random, mut server_random, mut premaster) = ([0; 32], [0; 32], [0; 48]);
        random.fill(&mut client_random);
        random.fill(&mut server_random);
        random.fill(&mut premaster);
        premaster[..2].copy_from_slice(&VERSION);
        let master = master_secret(Version::Tls12, PRF, &premaster, &client_random, &server_random);
        let mut block = Vec::new();
        expand(&master, b"key expansion", &[server_random, client_random].concat(), 128, &mut block);
        let [mut client, mut server] = [0, 1].map(|side| Sender::new(self.cipher, side, &block));

        let mut transcript = Transcript::new();
        let mut note = |message: Vec<u8>| {
            transcript.update(&message);
            message
        };
        let suite: [u8; 2] = if self.cipher == Cipher::Cbc { [0, 0x2f] } else { [0, 0x9c] };
        let hello = note(handshake(1, &[&VERSION, &client_random[..], &[0, 0, 2], &suite, &[1, 0]].concat()));
        let mut out = vec![(0, record(22, &hello))];
        let answer = note(handshake(2, &[&VERSION, &server_random[..], &[0], &suite, &[0]].concat()));
        let chain =
            [&len24(self.certificate.len() + 3)[..], &len24(self.certificate.len()), &self.certificate].concat();
        let flight = [answer, note(handshake(11, &chain)), note(handshake(14, &[]))].concat();
        out.push((1, record(22, &flight)));
        let encrypted = self.encrypt(&premaster, random);
        let exchange = [&(encrypted.len() as u16).to_be_bytes()[..], &encrypted].concat();
        let mut flight = record(22, &note(handshake(16, &exchange)));
        let ours = handshake(20, &finished(Version::Tls12, PRF, &master, true, &transcript));
        transcript.update(&ours);
        let theirs = handshake(20, &finished(Version::Tls12, PRF, &master, false, &transcript));
        flight.extend(record(20, &[1]));
        flight.extend(client.seal(22, &ours, random));
        out.push((0, flight));
        out.push((1, [record(20, &[1]), server.seal(22, &theirs, random)].concat()));
        for (side, bytes) in turns {
            let sender = if side == 0 { &mut client } else { &mut server };
            let records: Vec<u8> = bytes.chunks(FRAGMENT).flat_map(|part| sender.seal(23, part, random)).collect();
            out.push((side, records));
        }
        out.push((0, client.seal(21, &[1, 0], random)));
        out
    }

    /// PKCS #1 v1.5 (RFC 8017 section 7.2.1).
    fn encrypt(&self, secret: &[u8], random: &mut Random) -> Vec<u8> {
        let len = self.key.n().bit_width().div_ceil(8) as usize;
        let mut padded = vec![0; len];
        random.fill(&mut padded);
        padded.iter_mut().for_each(|byte| *byte |= 1);
        padded[..2].copy_from_slice(&[0, 2]);
        padded[len - secret.len() - 1] = 0;
        padded[len - secret.len()..].copy_from_slice(secret);
        let number = BoxedUint::from_be_slice(&padded, self.key.n().bits_precision()).expect("as long as the modulus");
        let encrypted = rsa_encrypt(&self.key, &number).expect("less than the modulus").to_be_bytes();
        encrypted[encrypted.len() - len..].to_vec()
    }
}

impl Sender {
    fn new(cipher: Cipher, side: usize, block: &[u8]) -> Self {
        // MAC keys, keys, IVs: the client's before the server's in each (RFC 5246 section 6.3).
        let (mac_len, salt_len) = if cipher == Cipher::Cbc { (20, 0) } else { (0, 4) };
        let (mut mac, mut salt) = ([0; 20], [0; 4]);
        mac[..mac_len].copy_from_slice(&block[side * mac_len..][..mac_len]);
        let key = block[2 * mac_len + side * 16..][..16].try_into().expect("16 bytes");
        salt[..salt_len].copy_from_slice(&block[2 * mac_len + 32 + side * salt_len..][..salt_len]);
        Sender { cipher, mac, key, salt, number: 0 }
    }

    /// One protected record.
    fn seal(&mut self, kind: u8, plain: &[u8], random: &mut Random) -> Vec<u8> {
        let mut head = self.number.to_be_bytes().to_vec();
        head.extend_from_slice(&[kind, VERSION[0], VERSION[1]]);
        head.extend_from_slice(&(plain.len() as u16).to_be_bytes());
        let mut body = Vec::with_capacity(plain.len() + 64);
        match self.cipher {
            Cipher::Cbc => {
                let mut iv = [0; 16];
                random.fill(&mut iv);
                let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(&self.mac).expect("any length");
                mac.update(&head);
                mac.update(plain);
                body.extend_from_slice(plain);
                body.extend_from_slice(&mac.finalize().into_bytes());
                let padding = 15 - body.len() % 16;
                body.extend(std::iter::repeat_n(padding as u8, padding + 1));
                let len = body.len();
                cbc::Encryptor::<Aes128>::new(&self.key.into(), &iv.into())
                    .encrypt_padded::<NoPadding>(&mut body, len)
                    .expect("whole blocks");
                body.splice(0..0, iv);
            }
            Cipher::Gcm => {
                let explicit = self.number.to_be_bytes();
                let nonce: [u8; 12] = [&self.salt[..], &explicit].concat().try_into().expect("12 bytes");
                body.extend_from_slice(plain);
                Aes128Gcm::new(&self.key.into())
                    .encrypt_in_place(&nonce.into(), &head, &mut body)
                    .expect("not too long");
                body.splice(0..0, explicit);
            }
        }
        self.number += 1;
        record(kind, &body)
    }
}

/// P_SHA256 (RFC 5246 section 5).
fn expand(secret: &[u8], label: &[u8], seed: &[u8], len: usize, out: &mut Vec<u8>) {
    let hmac = |parts: &[&[u8]]| {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).expect("any length");
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes()
    };
    let mut a = hmac(&[label, seed]);
    while out.len() < len {
        out.extend_from_slice(&hmac(&[&a, label, seed]));
        a = hmac(&[&a]);
    }
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u16).to_be_bytes();
    [&[kind, VERSION[0], VERSION[1]][..], &len, body].concat()
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &len24(body.len()), body].concat()
}

fn len24(len: usize) -> [u8; 3] {
    let [_, a, b, c] = (len as u32).to_be_bytes();
    [a, b, c]
}
