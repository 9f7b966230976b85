//! Base64 as it is found on the wire, and hexadecimal.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes base64 (RFC 4648 §4) with missing, right or excess padding and surrounding blanks; none where it is none.
pub fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut text = text.trim_ascii();
    while let [head @ .., b'='] = text {
        text = head;
    }
    LENIENT.decode(text).ok()
}

/// Encodes base64 with padding.
pub(super) fn encode_base64(bytes: &[u8]) -> String {
    LENIENT.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_lenient() {
        // RFC 4648 §10.
        for text in ["Zm9vYg==", "Zm9vYg=", "Zm9vYg", "Zm9vYg===", " Zm9vYg== "] {
            assert_eq!(decode_base64(text.as_bytes()).as_deref(), Some(b"foob".as_slice()), "{text}");
        }
        assert_eq!(decode_base64(b"").as_deref(), Some(b"".as_slice()));
        assert_eq!(decode_base64(b"!!!"), None);
        assert_eq!(decode_base64(b"Z"), None);
        assert_eq!(encode_base64(b"foob"), "Zm9vYg==");
    }
}
