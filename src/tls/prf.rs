//! From premaster to master secret, Finished, and the running hash of handshake messages (SSL 3.0 to TLS 1.2).
//!
//! SSL 3.0: RFC 6101 sections 5.6.9 and 6.1. TLS 1.0 and 1.1: the MD5/SHA-1 PRF of RFC 2246 section 5. TLS 1.2: HMAC
//! with the suite's hash, RFC 5246 section 5. Extended master secret: RFC 7627.

use super::secret::Secret;
use super::suites::{PrfHash, Version};

/// The 48-byte master secret.
pub fn master_secret(
    version: Version,
    prf: PrfHash,
    premaster: &[u8],
    client_random: &[u8; 32],
    server_random: &[u8; 32],
) -> Secret {
    let _ = (version, prf, premaster, client_random, server_random);
    Secret::zeroed(48)
}

/// The 48-byte master secret of a handshake with the extension of RFC 7627. `session_hash` is
/// [`Transcript::session_hash`] up to and including ClientKeyExchange.
pub fn extended_master_secret(version: Version, prf: PrfHash, premaster: &[u8], session_hash: &[u8]) -> Secret {
    let _ = (version, prf, premaster, session_hash);
    Secret::zeroed(48)
}

/// The content of a Finished message: 12 bytes, 36 in SSL 3.0. The transcript holds every handshake message before it
/// (HelloRequest excepted).
pub fn finished(version: Version, prf: PrfHash, master: &[u8], from_client: bool, transcript: &Transcript) -> Vec<u8> {
    let _ = (version, prf, master, from_client, transcript);
    Vec::new()
}

/// The running hash of handshake messages, each with its four-byte header, in the order sent. Runs every hash until
/// [`Transcript::settle`] says which one counts.
#[derive(Clone, Default)]
pub struct Transcript {}

impl Transcript {
    /// Before the first message.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next bytes of handshake messages.
    pub fn update(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// Version and hash are known: the other hashes are dropped.
    pub fn settle(&mut self, version: Version, prf: PrfHash) {
        let _ = (version, prf);
    }

    /// The hash so far: MD5 ‖ SHA-1 (36 bytes) up to TLS 1.1, the suite's hash from TLS 1.2 on (32 or 48 bytes).
    pub fn session_hash(&self, version: Version, prf: PrfHash) -> Vec<u8> {
        let _ = (version, prf);
        Vec::new()
    }
}
