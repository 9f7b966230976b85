//! BER made DER, as far as PKCS#12 needs it: NSS and others write lengths that are indefinite and strings in pieces
//! (X.690 sections 8.1.3.6 and 8.7.3).

use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::{Decode, Reader, SliceReader};
use zeroize::Zeroizing;

/// Structures inside structures that are followed; safes of PKCS#12 inside safes take three each.
const DEPTH: u32 = 64;

const CONSTRUCTED: u8 = 0x20;
const OCTET_STRING: u8 = 0x04;

/// The first element in `bytes`, all lengths definite and octet strings whole; none if it is not all there.
pub(super) fn to_der(mut bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len() + 16));
    element(&mut bytes, &mut out, DEPTH)?;
    Some(out)
}

/// Takes an element from `input` and writes it.
fn element(input: &mut &[u8], out: &mut Vec<u8>, depth: u32) -> Option<()> {
    let (&[tag, first], mut rest) = input.split_first_chunk()?;
    // A tag of several bytes does not occur here.
    if tag & 0x1f == 0x1f || depth == 0 {
        return None;
    }
    let mut content = Zeroizing::new(Vec::new());
    if first == 0x80 {
        if tag & CONSTRUCTED == 0 {
            return None;
        }
        while !rest.starts_with(&[0, 0]) {
            element(&mut rest, &mut content, depth - 1)?;
        }
        *input = rest.get(2..)?;
    } else {
        let digits = if first < 0x80 { 0 } else { usize::from(first & 0x7f) };
        let (digits, behind) = rest.split_at_checked(digits)?;
        let long = digits.iter().try_fold(0usize, |len, digit| Some(len.checked_mul(256)? | usize::from(*digit)));
        let len = if first < 0x80 { usize::from(first) } else { long? };
        let (mut value, behind) = behind.split_at_checked(len)?;
        *input = behind;
        if tag & CONSTRUCTED == 0 {
            content.extend_from_slice(value);
        } else {
            while !value.is_empty() {
                element(&mut value, &mut content, depth - 1)?;
            }
        }
    }
    if tag == OCTET_STRING | CONSTRUCTED {
        write(OCTET_STRING, &joined(&content)?, out);
    } else {
        write(tag, &content, out);
    }
    Some(())
}

/// The bytes of octet strings one behind the other, in DER.
pub(super) fn joined(pieces: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(pieces.len()));
    let mut reader = SliceReader::new(pieces).ok()?;
    while !reader.is_finished() {
        out.extend_from_slice(<&OctetStringRef>::decode(&mut reader).ok()?.as_bytes());
    }
    Some(out)
}

fn write(tag: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    let len = content.len().to_be_bytes();
    let digits = len.get(len.iter().take_while(|digit| **digit == 0).count()..).unwrap_or_default();
    match digits {
        [] => out.push(0),
        [short @ 0..0x80] => out.push(*short),
        _ => {
            out.push(0x80 | digits.len() as u8);
            out.extend_from_slice(digits);
        }
    }
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X.690 sections 8.1.3 and 8.7.3: the same in other words.
    #[test]
    fn lengths_and_pieces() {
        let der = |bytes: &[u8]| to_der(bytes).map(|der| der.to_vec());
        assert_eq!(der(b"\x30\x80\x02\x01\x05\0\0 behind"), Some(b"\x30\x03\x02\x01\x05".to_vec()));
        assert_eq!(der(b"\x30\x03\x02\x01\x05"), Some(b"\x30\x03\x02\x01\x05".to_vec()));
        assert_eq!(der(b"\x30\x83\0\0\x03\x02\x81\x01\x05"), None, "an element that ends behind its structure");
        assert_eq!(der(b"\x30\x83\0\0\x04\x02\x81\x01\x05"), Some(b"\x30\x03\x02\x01\x05".to_vec()));
        let pieces = b"\x24\x80\x04\x02ab\x24\x06\x04\x01c\x04\x01d\x04\0\0\0";
        assert_eq!(der(pieces), Some(b"\x04\x04abcd".to_vec()));
        let long = [&b"\x24\x80\x04\x81\xc8"[..], &[7; 200], b"\x04\x64", &[8; 100], &[0, 0]].concat();
        assert_eq!(der(&long), Some([&b"\x04\x82\x01\x2c"[..], &[7; 200], &[8; 100]].concat()));
        let of_context = b"\xa0\x80\x04\x01a\x04\x01b\0\0";
        assert_eq!(der(of_context), Some(b"\xa0\x06\x04\x01a\x04\x01b".to_vec()));
        assert_eq!(joined(b"\x04\x01a\x04\x01b").unwrap()[..], *b"ab");
        assert!(joined(b"\x04\x01a\x02\x01b").is_none());
    }

    #[test]
    fn what_is_not_whole_or_too_deep() {
        let whole = b"\x30\x80\x30\x80\x04\x02ab\0\0\0\0";
        assert!(to_der(whole).is_some());
        (0..whole.len()).for_each(|len| assert!(to_der(&whole[..len]).is_none(), "{len}"));
        assert!(to_der(b"\x04\x80ab\0\0").is_none(), "only what is constructed may end anywhere");
        assert!(to_der(&[0x30, 0xff].repeat(10)).is_none());
        assert!(to_der(&[0x30, 0x80].repeat(100_000)).is_none());
    }
}
