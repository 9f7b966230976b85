//! NTLM messages (MS-NLMP §2.2.1), bare or inside a GSS-SPNEGO token.

use super::{Facts, Shown};

const SIGNATURE: &[u8] = b"NTLMSSP\0";
/// NTLMSSP_NEGOTIATE_UNICODE.
const UNICODE: u32 = 1;

/// Reads user and domain from an AUTHENTICATE_MESSAGE (type 3). NEGOTIATE (type 1) has no user; of other tokens
/// (Kerberos) nothing can be read.
pub(super) fn response(decoded: &[u8], facts: &mut Facts<'_>) -> Shown {
    if decoded.is_empty() {
        return Shown::Public;
    }
    let message = decoded.windows(SIGNATURE.len()).position(|window| window == SIGNATURE).map(|at| &decoded[at..]);
    let Some(message) = message.filter(|message| u32_at(message, 8) == Some(3)) else { return Shown::Secret };
    let unicode = u32_at(message, 60).is_none_or(|flags| flags & UNICODE != 0);
    let text = |at| field(message, at).map(|bytes| if unicode { utf16(bytes) } else { bytes.to_vec() });
    if let Some(domain) = text(28).filter(|domain| !domain.is_empty()) {
        *facts.realm = Some(domain.into());
    }
    if let Some(user) = text(36) {
        facts.user(&user);
    }
    if let Some(answer) = field(message, 20) {
        facts.answer(super::decode::hex(answer).as_bytes());
    }
    Shown::Secret
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
