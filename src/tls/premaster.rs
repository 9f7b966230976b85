//! Premaster secrets: what the peers' key exchange and pre-shared keys make of them.

use super::secret::Secret;

/// Premaster of a plain PSK suite (RFC 4279 section 2).
pub fn psk(key: &[u8]) -> Secret {
    psk_with(&vec![0; key.len()], key)
}

/// Premaster of a PSK suite with another secret (RSA_PSK's 48 bytes, a Diffie-Hellman result): each with its two-byte
/// length, `other` first.
pub fn psk_with(other: &[u8], key: &[u8]) -> Secret {
    let mut out = Vec::with_capacity(4 + other.len() + key.len());
    for part in [other, key] {
        let len = part.len().min(usize::from(u16::MAX));
        out.extend_from_slice(&(len as u16).to_be_bytes());
        out.extend_from_slice(part.get(..len).unwrap_or_default());
    }
    Secret::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_of_rfc_4279() {
        assert_eq!(&psk(&[0xaa, 0xbb])[..], &[0, 2, 0, 0, 0, 2, 0xaa, 0xbb]);
        assert_eq!(&psk_with(&[1, 2, 3], &[0xaa])[..], &[0, 3, 1, 2, 3, 0, 1, 0xaa]);
    }
}
