//! NTLM messages (MS-NLMP §2.2.1), bare or inside a GSS-SPNEGO token, and what a password makes of them (§3.3).

use des::Des;
use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use hmac::{Hmac, Mac as _};
use md4::Md4;
use md5::{Digest as _, Md5};

use super::{Facts, Shown};

const SIGNATURE: &[u8] = b"NTLMSSP\0";
/// NTLMSSP_NEGOTIATE_UNICODE.
const UNICODE: u32 = 1;
/// NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY.
const EXTENDED: u32 = 0x8_0000;
/// Length of an NTLMv1 response; NTLMv2's are longer.
const V1: usize = 24;

/// NTLM, and the GSS mechanisms, whose tokens may carry it.
#[derive(Default)]
pub(super) struct Ntlm {
    /// The server's challenge.
    challenge: Option<[u8; 8]>,
}

impl Ntlm {
    /// Takes the challenge out of a CHALLENGE_MESSAGE (type 2).
    pub(super) fn challenge(&mut self, decoded: &[u8]) {
        if let Some(message) = message(decoded, 2) {
            self.challenge = message.get(24..).and_then(|rest| rest.first_chunk()).copied();
        }
    }

    /// Reads user and domain from an AUTHENTICATE_MESSAGE (type 3), and judges its answer. NEGOTIATE (type 1) has no
    /// user, other tokens are Kerberos.
    pub(super) fn response(&self, decoded: &[u8], facts: &mut Facts<'_>) -> Shown {
        if decoded.is_empty() {
            return Shown::Public;
        }
        let Some(message) = message(decoded, 3) else {
            return if message(decoded, 1).is_some() { Shown::Opening } else { Shown::Secret };
        };
        let flags = u32_at(message, 60);
        let unicode = flags.is_none_or(|flags| flags & UNICODE != 0);
        let text = |at| field(message, at).map(|bytes| if unicode { utf16(bytes) } else { bytes.to_vec() });
        let domain = text(28).filter(|domain| !domain.is_empty());
        if let Some(domain) = domain.clone() {
            *facts.realm = Some(domain.into());
        }
        let user = text(36);
        if let Some(user) = &user {
            facts.user(user);
        }
        let Some(answer) = field(message, 20) else { return Shown::Secret };
        facts.answer(crate::fmt::hex(answer).as_bytes());
        let (Some(challenge), Some(user)) = (self.challenge, user) else { return Shown::Secret };
        let domain = domain.unwrap_or_default();
        let known = facts
            .known_password()
            .or_else(|| facts.options.passwords.of(&[&domain[..], b"\\", &user].concat()))
            .or_else(|| facts.options.passwords.of(&[&user[..], b"@", &domain].concat()));
        if let Some(password) = known {
            let lm = field(message, 12).unwrap_or_default();
            let extended = flags.is_some_and(|flags| flags & EXTENDED != 0);
            facts.auth.verified = match answer.len() {
                V1 => Some(v1(password, challenge, extended.then_some(lm)) == answer),
                0..=V1 => None,
                _ => Some(v2(password, &user, &domain, challenge, answer)),
            };
        }
        Shown::Secret
    }
}

/// Whether a token holds a CHALLENGE_MESSAGE.
pub(super) fn is_challenge(token: &[u8]) -> bool {
    message(token, 2).is_some()
}

/// The NTLM message of that type in a token.
fn message(token: &[u8], kind: u32) -> Option<&[u8]> {
    let at = token.windows(SIGNATURE.len()).position(|window| window == SIGNATURE)?;
    token.get(at..).filter(|message| u32_at(message, 8) == Some(kind))
}

/// Whether the password made an NTLMv2 response: an HMAC of the challenge and of what follows it (§3.3.2).
fn v2(password: &[u8], user: &[u8], domain: &[u8], challenge: [u8; 8], answer: &[u8]) -> bool {
    let Some((proof, rest)) = answer.split_at_checked(16) else { return false };
    // The domain as the client sent it; some clients sign with none.
    [domain, b""].into_iter().any(|domain| {
        let name = String::from_utf8_lossy(user).to_uppercase() + &String::from_utf8_lossy(domain);
        let key = hmac_md5(&nt_hash(password), &[&wide(&name)]);
        hmac_md5(&key, &[&challenge, rest]) == proof
    })
}

/// The NTLMv1 response (§3.3.1): the challenge under three DES keys out of the password's hash. With extended session
/// security, `lm` begins with the client's own challenge.
fn v1(password: &[u8], challenge: [u8; 8], lm: Option<&[u8]>) -> Vec<u8> {
    let mut block = challenge;
    if let Some(own) = lm.and_then(|lm| lm.get(..8)) {
        let digest = Md5::new().chain_update(challenge).chain_update(own).finalize();
        block.copy_from_slice(&digest[..8]);
    }
    let mut keys = [0; 21];
    keys[..16].copy_from_slice(&nt_hash(password));
    keys.chunks_exact(7).flat_map(|key| des(key, block)).collect()
}

/// DES of a block under seven bytes of key, a bit for parity put behind each seven bits (§6, `DESL`).
fn des(key: &[u8], block: [u8; 8]) -> [u8; 8] {
    let bits = key.iter().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
    let mut spread = [0; 8];
    for (at, byte) in spread.iter_mut().enumerate() {
        *byte = (bits >> (49 - 7 * at) << 1) as u8;
    }
    let mut block = block.into();
    Des::new(&spread.into()).encrypt_block(&mut block);
    block.into()
}

/// MD4 of the password in UTF-16 (§3.3.1, `NTOWFv1`).
fn nt_hash(password: &[u8]) -> [u8; 16] {
    Md4::digest(wide(&String::from_utf8_lossy(password))).into()
}

fn hmac_md5(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Hmac::<Md5>::new(&hmac::digest::Key::<Hmac<Md5>>::default());
    if let Ok(keyed) = Hmac::<Md5>::new_from_slice(key) {
        // HMAC takes keys of any length.
        mac = keyed;
    }
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn u32_at(message: &[u8], at: usize) -> Option<u32> {
    message.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// A field's bytes by its descriptor: length, allocated length, offset.
fn field(message: &[u8], at: usize) -> Option<&[u8]> {
    let len = u16::from_le_bytes(*message.get(at..)?.first_chunk()?);
    let offset = usize::try_from(u32_at(message, at.checked_add(4)?)?).ok()?;
    message.get(offset..offset.checked_add(usize::from(len))?)
}

fn utf16(bytes: &[u8]) -> Vec<u8> {
    let units: Vec<u16> = bytes.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    String::from_utf16_lossy(&units).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmt::hex;

    const CHALLENGE: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            hex.bytes().filter(|b| *b != b' ').map(|b| (b as char).to_digit(16).unwrap() as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// MS-NLMP §4.2.2: NTLMv1.
    #[test]
    fn ntlm_v1_as_published() {
        assert_eq!(hex(&nt_hash(b"Password")), "a4f49c406510bdcab6824ee7c30fd852");
        assert_eq!(hex(&v1(b"Password", CHALLENGE, None)), "67c43011f30298a2ad35ece64f16331c44bdbed927841f94");
    }

    /// MS-NLMP §4.2.3: NTLMv1 with the client's challenge.
    #[test]
    fn ntlm_v1_with_client_challenge_as_published() {
        let lm = [[0xaa; 8].as_slice(), &[0; 16]].concat();
        assert_eq!(hex(&v1(b"Password", CHALLENGE, Some(&lm))), "7537f803ae367128ca458204bde7caf81e97ed2683267232");
    }

    /// MS-NLMP §4.2.4: NTLMv2.
    #[test]
    fn ntlm_v2_as_published() {
        let answer = bytes(
            "68cd0ab851e51c96aabc927bebef6a1c 0101000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000 02000c00 \
             44006f006d00610069006e00 01000c00 530065007200760065007200 00000000 00000000",
        );
        assert!(v2(b"Password", b"User", b"Domain", CHALLENGE, &answer));
        assert!(v2(b"Password", b"uSER", b"Domain", CHALLENGE, &answer), "the name's case does not matter");
        assert!(!v2(b"password", b"User", b"Domain", CHALLENGE, &answer));
        assert!(!v2(b"Password", b"User", b"domain", CHALLENGE, &answer));
        assert!(!v2(b"Password", b"User", b"Domain", CHALLENGE, &answer[..20]));
    }
}
