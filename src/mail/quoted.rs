//! Quoted strings as SASL's DIGEST-MD5 (RFC 2831 §7.1) and ManageSieve (RFC 5804 §4) have them.

/// A quoted string whose opening quote was taken: its value and what follows the closing quote.
pub(super) fn unquote(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut value = Vec::new();
    let mut bytes = text.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => return (value, &text[at + 1..]),
            b'\\' => value.extend(bytes.next().map(|(_, &escaped)| escaped)),
            _ => value.push(byte),
        }
    }
    (value, &[])
}
