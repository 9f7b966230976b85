//! SCRAM (RFC 5802, RFC 7677): the proof can be judged by a known password.

use hmac::digest::Digest;
use hmac::{EagerHash, Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::decode::decode_base64;
use super::{Facts, Shown};

/// Iterations up to which a proof is judged: servers ask for 4,096 to 210,000; a count is the peer's to choose, and
/// the work would be ours.
const MAX_ITERATIONS: u32 = 300_000;

#[derive(Copy, Clone)]
enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

/// A SCRAM exchange so far.
pub(super) struct Scram {
    hash: Hash,
    client_first_bare: Option<Vec<u8>>,
    server_first: Option<Vec<u8>>,
}

impl Scram {
    pub(super) fn cost(&self) -> usize {
        [&self.client_first_bare, &self.server_first].into_iter().flatten().map(Vec::capacity).sum()
    }

    /// `SCRAM-` with a known hash, with or without `-PLUS` (channel binding).
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        let hash = match name.strip_suffix(b"-PLUS").unwrap_or(name) {
            b"SCRAM-SHA-1" => Hash::Sha1,
            b"SCRAM-SHA-256" => Hash::Sha256,
            b"SCRAM-SHA-512" => Hash::Sha512,
            _ => return None,
        };
        Some(Scram { hash, client_first_bare: None, server_first: None })
    }

    pub(super) fn challenge(&mut self, decoded: Vec<u8>) {
        // The second challenge is the server's signature, an empty one asks for the first message.
        if self.client_first_bare.is_some() && self.server_first.is_none() {
            self.server_first = Some(decoded);
        }
    }

    pub(super) fn response(&mut self, decoded: &[u8], facts: &mut Facts<'_>) -> Shown {
        if decoded.is_empty() {
            return Shown::Public;
        }
        let Some(first) = &self.client_first_bare else {
            self.client_first(decoded, facts);
            return Shown::Opening;
        };
        let proof_at = decoded.windows(3).rposition(|window| window == b",p=");
        let Some((without_proof, proof)) = proof_at.map(|at| (&decoded[..at], &decoded[at + 3..])) else {
            return Shown::Secret;
        };
        facts.answer(proof);
        if let (Some(server_first), Some(password)) = (&self.server_first, facts.known_password()) {
            let message = [first, server_first, without_proof].join(&b',');
            match rounds(server_first) {
                Some(rounds) if rounds > MAX_ITERATIONS || !facts.options.passwords.spend(rounds) => {
                    *facts.unjudged = true;
                }
                Some(rounds) => facts.auth.verified = self.judge(server_first, rounds, &message, proof, password),
                None => {}
            }
        }
        Shown::Secret
    }

    /// `gs2-header client-first-message-bare`: `n,a=authzid,n=user,r=nonce`.
    fn client_first(&mut self, decoded: &[u8], facts: &mut Facts<'_>) {
        let mut parts = decoded.splitn(3, |&byte| byte == b',');
        let (Some(_binding), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else { return };
        facts.authzid(&unescape(authzid.strip_prefix(b"a=").unwrap_or_default()));
        if let Some(user) = attribute(bare, b'n') {
            facts.user(&unescape(user));
        }
        self.client_first_bare = Some(bare.to_vec());
    }

    fn judge(
        &self,
        server_first: &[u8],
        iterations: u32,
        message: &[u8],
        proof: &[u8],
        password: &[u8],
    ) -> Option<bool> {
        let salt = decode_base64(attribute(server_first, b's')?)?;
        let proof = decode_base64(proof)?;
        let matches = match self.hash {
            Hash::Sha1 => proves::<Sha1, 20>(password, &salt, iterations, message, &proof),
            Hash::Sha256 => proves::<Sha256, 32>(password, &salt, iterations, message, &proof),
            Hash::Sha512 => proves::<Sha512, 64>(password, &salt, iterations, message, &proof),
        };
        // Outside ASCII, SASLprep (RFC 4013) may have changed the password: a mismatch proves nothing.
        (matches || password.is_ascii()).then_some(matches)
    }
}

/// How many rounds the server asks for.
fn rounds(server_first: &[u8]) -> Option<u32> {
    std::str::from_utf8(attribute(server_first, b'i')?).ok()?.parse().ok().filter(|&rounds| rounds > 0)
}

/// Whether the proof is the one of that password (RFC 5802 §3).
fn proves<D: EagerHash + Digest, const N: usize>(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    message: &[u8],
    proof: &[u8],
) -> bool {
    let mut salted = [0; N];
    pbkdf2::pbkdf2_hmac::<D>(password, salt, iterations, &mut salted);
    let Some(client_key) = hmac::<D>(&salted, b"Client Key") else { return false };
    let Some(signature) = hmac::<D>(&D::digest(&client_key), message) else { return false };
    proof.len() == N && client_key.iter().zip(&signature).zip(proof).all(|((key, sign), &proof)| key ^ sign == proof)
}

fn hmac<D: EagerHash>(key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let mac = Hmac::<D>::new_from_slice(key).ok()?;
    Some(mac.chain_update(data).finalize().into_bytes().to_vec())
}

/// The value of a comma-separated `x=value`.
fn attribute(message: &[u8], name: u8) -> Option<&[u8]> {
    message.split(|&byte| byte == b',').find_map(|part| part.strip_prefix(&[name, b'=']))
}

/// A saslname: `=2C` is a comma, `=3D` an equals sign.
pub(super) fn unescape(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = match rest.get(..3).map(<[u8]>::to_ascii_uppercase).as_deref() {
            Some(b"=2C") => Some(b','),
            Some(b"=3D") => Some(b'='),
            _ => None,
        };
        out.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &rest[3..] } else { tail };
    }
    out
}
