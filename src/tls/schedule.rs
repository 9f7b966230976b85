//! From master and traffic secrets to record protection: the key block of SSL 3.0 to TLS 1.2 with export keys, and
//! TLS 1.3's HKDF schedule as far as a reader needs it.

use super::protection::Protection;
use super::secret::Secret;
use super::suites::{Suite, Version};

/// Extensions that change record protection.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// RFC 7366; of no effect on stream and AEAD ciphers.
    pub encrypt_then_mac: bool,
    /// RFC 6066 section 7: HMAC cut to 10 bytes.
    pub truncated_hmac: bool,
}

/// Both directions' protection, the client's first, from the master secret; none where the suite is not supported in
/// that version.
pub fn record_keys(
    version: Version,
    suite: &Suite,
    master: &[u8],
    client_random: &[u8; 32],
    server_random: &[u8; 32],
    options: Options,
) -> Option<(Protection, Protection)> {
    let _ = (version, suite, master, client_random, server_random, options);
    None
}

/// TLS 1.3: one direction's protection from its traffic secret (early, handshake or application); none where the suite
/// is not supported or the secret has another length than the suite's hash.
pub fn tls13_protection(suite: &Suite, traffic_secret: &[u8]) -> Option<Protection> {
    let _ = (suite, traffic_secret);
    None
}

/// TLS 1.3: the traffic secret after a KeyUpdate (RFC 8446 section 7.2).
pub fn tls13_next_secret(suite: &Suite, secret: &[u8]) -> Secret {
    let _ = suite;
    Secret::new(secret)
}

/// TLS 1.3: content of a Finished message under a handshake traffic secret (RFC 8446 section 4.4.4).
pub fn tls13_finished(suite: &Suite, handshake_secret: &[u8], transcript_hash: &[u8]) -> Vec<u8> {
    let _ = (suite, handshake_secret, transcript_hash);
    Vec::new()
}
