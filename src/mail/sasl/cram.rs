//! Keyed digests over a timestamp: CRAM-MD5 (RFC 2195) and POP3's APOP (RFC 1939 §7).

use crate::fmt::hex;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};

use super::decode::{decode_base64, encode_base64};
use super::{Facts, Shown};

/// CRAM-MD5: the response is the user, a space, and HMAC-MD5 of the challenge under the password, in hexadecimal.
#[derive(Default)]
pub(super) struct CramMd5 {
    challenge: Option<Vec<u8>>,
}

impl CramMd5 {
    pub(super) fn cost(&self) -> usize {
        self.challenge.as_ref().map_or(0, Vec::capacity)
    }

    pub(super) fn challenge(&mut self, decoded: Vec<u8>) {
        self.challenge = Some(decoded);
    }

    pub(super) fn response(&mut self, decoded: &[u8], facts: &mut Facts<'_>) -> Shown {
        // The user may hold spaces, the digest does not.
        let Some(at) = decoded.iter().rposition(|&byte| byte == b' ') else { return Shown::Secret };
        let (user, digest) = (&decoded[..at], &decoded[at + 1..]);
        facts.user(user);
        facts.answer(digest);
        if let (Some(challenge), Some(password)) = (&self.challenge, facts.known_password()) {
            facts.auth.verified = Some(cram_md5(password, challenge).as_bytes().eq_ignore_ascii_case(digest));
        }
        Shown::Secret
    }
}

fn cram_md5(password: &[u8], challenge: &[u8]) -> String {
    match Hmac::<Md5>::new_from_slice(password) {
        Ok(mac) => hex(&mac.chain_update(challenge).finalize().into_bytes()),
        // HMAC takes keys of any length.
        Err(_) => String::new(),
    }
}

/// The response to a CRAM-MD5 challenge, base64 as it goes over the wire. The challenge is base64 as the server sent
/// it; one that is none is taken as it stands (`<…@host>`).
pub fn compute_cram_md5(user: &str, password: &str, challenge_base64: &str) -> String {
    let challenge = decode_base64(challenge_base64.as_bytes()).unwrap_or_else(|| challenge_base64.into());
    encode_base64(format!("{user} {}", cram_md5(password.as_bytes(), &challenge)).as_bytes())
}

/// The digest of APOP: MD5 over the greeting's timestamp (with its angle brackets) and the password, in hexadecimal.
/// Of a whole greeting, the timestamp in it is taken.
pub fn compute_apop(banner_timestamp: &str, password: &str) -> String {
    let timestamp = timestamp(banner_timestamp.as_bytes()).unwrap_or(banner_timestamp.as_bytes());
    apop(timestamp, password.as_bytes())
}

fn apop(timestamp: &[u8], password: &[u8]) -> String {
    hex(&Md5::new().chain_update(timestamp).chain_update(password).finalize())
}

/// The `<…>` of a greeting, with its brackets.
fn timestamp(banner: &[u8]) -> Option<&[u8]> {
    let from = banner.get(banner.iter().position(|&byte| byte == b'<')?..)?;
    let end = from.iter().position(|&byte| byte == b'>')?;
    from.get(..=end)
}

/// Judges an APOP digest by the greeting.
pub(super) fn check_apop(banner: &[u8], digest: &[u8], facts: &mut Facts<'_>) {
    if let (Some(timestamp), Some(password)) = (timestamp(banner), facts.known_password()) {
        facts.auth.verified = Some(apop(timestamp, password).as_bytes().eq_ignore_ascii_case(digest));
    }
}
