//! DIGEST-MD5 (RFC 2831): directives as in HTTP's digest authentication.

use md5::{Digest as _, Md5};

use super::{Facts, Shown};
use crate::fmt::hex;
use crate::mail::quoted::unquote;

/// DIGEST-MD5. All that a check needs stands in the response itself; the server's last word (`rspauth`) is answered
/// by an empty line.
pub(super) struct DigestMd5;

impl DigestMd5 {
    pub(super) fn response(&mut self, decoded: &[u8], facts: &mut Facts<'_>) -> Shown {
        let directives = Directives::parse(decoded);
        let (Some(user), Some(response)) = (directives.get("username"), directives.get("response")) else {
            // The empty answer to rspauth says nothing; what has no user or answer is not understood.
            return if decoded.is_empty() { Shown::Public } else { Shown::Secret };
        };
        facts.user(user);
        let realm = directives.get("realm").unwrap_or_default();
        *facts.realm = (!realm.is_empty()).then(|| realm.into());
        facts.authzid(directives.get("authzid").unwrap_or_default());
        facts.answer(response);
        let known = facts.known_password().or_else(|| {
            let full = [user, b"@", realm].concat();
            facts.options.passwords.of(&full)
        });
        if let Some(password) = known {
            facts.auth.verified = Some(directives.verify(user, realm, password, response));
        }
        Shown::Secret
    }
}

/// The `name=value` pairs of a challenge or response.
struct Directives(Vec<(Vec<u8>, Vec<u8>)>);

impl Directives {
    /// There are a dozen directives; a line of thousands is hostile.
    const MAX: usize = 64;

    fn parse(mut text: &[u8]) -> Self {
        let mut pairs = Vec::new();
        while pairs.len() < Self::MAX {
            let Some(equals) = text.iter().position(|&byte| byte == b'=') else { break };
            let (name, rest) = text.split_at(equals);
            let name = name.trim_ascii_start();
            let name = name.strip_prefix(b",").unwrap_or(name).trim_ascii().to_ascii_lowercase();
            let (value, rest) = match &rest[1..] {
                [b'"', quoted @ ..] => unquote(quoted),
                bare => {
                    let end = bare.iter().position(|&byte| byte == b',').unwrap_or(bare.len());
                    let (value, rest) = bare.split_at(end);
                    (value.trim_ascii().to_vec(), rest)
                }
            };
            pairs.push((name, value));
            text = rest;
        }
        Directives(pairs)
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// RFC 2831 §2.1.2.1, by the client's own directives.
    fn verify(&self, user: &[u8], realm: &[u8], password: &[u8], response: &[u8]) -> bool {
        let field = |name| self.get(name).unwrap_or_default();
        let qop = self.get("qop").unwrap_or(b"auth");
        // Where all characters fit ISO 8859-1 they are hashed in it, else in UTF-8; clients that never heard of this
        // rule hash what they have. Each way is tried.
        let ways = [true, false];
        ways.into_iter().any(|narrow| {
            let encode = |text: &[u8]| if narrow { latin1(text) } else { text.to_vec() };
            let secret = md5(&[&encode(user), &encode(realm), &encode(password)]);
            let mut a1 = secret.to_vec();
            for part in [field("nonce"), field("cnonce")] {
                a1.push(b':');
                a1.extend_from_slice(part);
            }
            if let Some(authzid) = self.get("authzid") {
                a1.push(b':');
                a1.extend_from_slice(authzid);
            }
            let a1 = hex(&Md5::digest(&a1));
            let integrity: &[&[u8]] = if qop == b"auth" { &[] } else { &[&[b'0'; 32]] };
            let a2 = hex(&md5(&[&[b"AUTHENTICATE".as_slice(), field("digest-uri")], integrity].concat()));
            let parts = [a1.as_bytes(), field("nonce"), field("nc"), field("cnonce"), qop, a2.as_bytes()];
            hex(&md5(&parts)).as_bytes().eq_ignore_ascii_case(response)
        })
    }
}

/// MD5 of the parts, joined by colons.
fn md5(parts: &[&[u8]]) -> [u8; 16] {
    Md5::digest(parts.join(&b':')).into()
}

/// UTF-8 turned into ISO 8859-1 where every character fits, else as it is.
fn latin1(text: &[u8]) -> Vec<u8> {
    let narrow = std::str::from_utf8(text).ok().and_then(|text| text.chars().map(|c| u8::try_from(c).ok()).collect());
    narrow.unwrap_or_else(|| text.to_vec())
}
