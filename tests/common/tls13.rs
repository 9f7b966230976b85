//! A sender of TLS 1.3 records, and its key log.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm, Nonce, Tag};
use mailcap::tls::Secret;
use mailcap::tls::schedule::{hkdf_expand_label, tls13_next_secret};
use mailcap::tls::suites::{PrfHash, suite};

/// Both sides' first application traffic secrets.
pub fn key_log(random: &[u8; 32], client: &[u8], server: &[u8]) -> String {
    let (r, client, server) = (super::hex(random), super::hex(client), super::hex(server));
    format!("CLIENT_TRAFFIC_SECRET_0 {r} {client}\nSERVER_TRAFFIC_SECRET_0 {r} {server}\n")
}

/// Under either suite of AES in GCM.
enum Cipher {
    Aes128(Aes128Gcm),
    Aes256(Aes256Gcm),
}

/// A sender of TLS 1.3 records under TLS_AES_128_GCM_SHA256, or TLS_AES_256_GCM_SHA384 (RFC 8446 section 5.2).
pub struct Sender {
    secret: Secret,
    cipher: Cipher,
    iv: [u8; 12],
    number: u64,
}

impl Sender {
    pub fn new(secret: Secret) -> Self {
        let (mut key, mut iv) = ([0; 16], [0; 12]);
        hkdf_expand_label(PrfHash::Sha256, &secret, "key", &[], &mut key);
        hkdf_expand_label(PrfHash::Sha256, &secret, "iv", &[], &mut iv);
        Sender { secret, cipher: Cipher::Aes128(Aes128Gcm::new(&key.into())), iv, number: 0 }
    }

    pub fn aes_256(secret: Secret) -> Self {
        let (mut key, mut iv) = ([0; 32], [0; 12]);
        hkdf_expand_label(PrfHash::Sha384, &secret, "key", &[], &mut key);
        hkdf_expand_label(PrfHash::Sha384, &secret, "iv", &[], &mut iv);
        Sender { secret, cipher: Cipher::Aes256(Aes256Gcm::new(&key.into())), iv, number: 0 }
    }

    pub fn record(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut inner = [content, &[kind]].concat();
        let [high, low] = (inner.len() as u16 + 16).to_be_bytes();
        let header = [23, 3, 3, high, low];
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(self.number.to_be_bytes()).for_each(|(n, s)| *n ^= s);
        self.number += 1;
        let (nonce, content) = (Nonce::from(nonce), inner.as_mut_slice().into());
        let tag: Tag = match &self.cipher {
            Cipher::Aes128(cipher) => cipher.encrypt_inout_detached(&nonce, &header, content).unwrap(),
            Cipher::Aes256(cipher) => cipher.encrypt_inout_detached(&nonce, &header, content).unwrap(),
        };
        [&header[..], &inner, &tag[..]].concat()
    }

    /// A KeyUpdate and what follows from it.
    pub fn update(&mut self) -> Vec<u8> {
        let record = self.record(22, &[24, 0, 0, 1, 0]);
        *self = Sender::new(tls13_next_secret(suite(0x1301).unwrap(), &self.secret));
        record
    }
}
