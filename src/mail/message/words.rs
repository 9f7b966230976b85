//! Encoded words (RFC 2047) as they are sent: cut between the bytes of a character, base64 without its padding.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::mail::sasl::decode_base64;

/// A word, and its length as it stands in the header.
struct Word<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
    len: usize,
    /// Base64 without all of its padding.
    unpadded: bool,
}

/// The header block with words of one charset that follow one another made one: only together are they whole characters,
/// where a program cut them by their length.
pub(super) fn joined(block: &[u8]) -> Cow<'_, [u8]> {
    let mut whole = Vec::new();
    let (mut taken, mut at) = (0, 0);
    while let Some(found) = block.get(at..).and_then(|rest| memchr::memmem::find(rest, b"=?")) {
        let start = at + found;
        let Some(mut first) = block.get(start..).and_then(word) else {
            at = start + 2;
            continue;
        };
        at = start + first.len;
        let mut change = first.unpadded;
        // Whole is also what ends in ASCII where escapes switch (ISO-2022): a second escape at once would be an error.
        while ![&b"\x1b(B"[..], b"\x1b(J"].iter().any(|escape| first.bytes.ends_with(escape))
            && let Some(rest) = block.get(at..)
            && let blanks = folding(rest)
            && let Some(next) = rest.get(blanks..).and_then(word)
            && next.charset.eq_ignore_ascii_case(first.charset)
        {
            first.bytes.extend_from_slice(&next.bytes);
            at += blanks + next.len;
            change = true;
        }
        if change {
            whole.extend_from_slice(block.get(taken..start).unwrap_or_default());
            let text = STANDARD.encode(&first.bytes);
            whole.extend_from_slice(&[b"=?", first.charset, b"?B?", text.as_bytes(), b"?="].concat());
            taken = at;
        }
    }
    if taken == 0 {
        return Cow::Borrowed(block);
    }
    whole.extend_from_slice(block.get(taken..).unwrap_or_default());
    Cow::Owned(whole)
}

/// The blanks between two words of a field, a folded line's end among them.
fn folding(text: &[u8]) -> usize {
    let mut len = 0;
    loop {
        len += match text.get(len..) {
            Some([b' ' | b'\t', ..]) => 1,
            Some([b'\n', b' ' | b'\t', ..]) => 2,
            Some([b'\r', b'\n', b' ' | b'\t', ..]) => 3,
            _ => return len,
        };
    }
}

/// `=?charset?encoding?text?=`, without anything in it that the RFC forbids.
fn word(at: &[u8]) -> Option<Word<'_>> {
    let part = |from: usize| {
        let len = at.get(from..)?.iter().position(|&b| b == b'?' || !b.is_ascii_graphic())?;
        at.get(from..from + len).filter(|_| at.get(from + len) == Some(&b'?'))
    };
    let charset = at.strip_prefix(b"=?").and_then(|_| part(2))?;
    let encoding = part(charset.len() + 3)?;
    let begin = charset.len() + encoding.len() + 4;
    let text = part(begin)?;
    let end = begin + text.len() + 2;
    if at.get(end - 1) != Some(&b'=') {
        return None;
    }
    let base64 = encoding.eq_ignore_ascii_case(b"B");
    let bytes = match base64 {
        true => decode_base64(text)?,
        false if encoding.eq_ignore_ascii_case(b"Q") => unquoted(text)?,
        false => return None,
    };
    // A language may follow the charset (RFC 2231 §5).
    let charset = charset.split(|&b| b == b'*').next().filter(|charset| charset.len() >= 2)?;
    Some(Word { charset, bytes, len: end, unpadded: base64 && !text.len().is_multiple_of(4) })
}

/// The Q encoding's bytes.
fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let byte = super::params::hex_byte(rest)?;
                rest = rest.get(2..)?;
                byte
            }
            byte => byte,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_one_charset_are_joined() {
        let cases: [(&str, &str); 11] = [
            ("S: =?utf-8?B?5L0=?=\r\n =?UTF-8*en?b?oOWlvQ==?= x", "S: =?utf-8?B?5L2g5aW9?= x"),
            ("S: =?utf-8?Q?=E4=BD_?= =?utf-8?Q?=A0?=", "S: =?utf-8?B?5L0goA==?="),
            ("S: =?utf-8?Q?=E4=BD?=\n\t=?utf-8?B?oA?=", "S: =?utf-8?B?5L2g?="),
            ("S: =?utf-8?b?w6Q?=", "S: =?utf-8?B?w6Q=?="),
            ("S: =?utf-8?b?w6Q=?= =?latin1?Q?=E4?=", "S: =?utf-8?b?w6Q=?= =?latin1?Q?=E4?="),
            ("S: =?utf-8?Q?a?= b =?utf-8?Q?c?=", "S: =?utf-8?Q?a?= b =?utf-8?Q?c?="),
            ("S: =?utf-8?Q?a?=\r\n=?utf-8?Q?c?=", "S: =?utf-8?Q?a?=\r\n=?utf-8?Q?c?="),
            ("S: =?=?utf-8?Q?a b?= =?utf-8?X?c?= =?utf-8?Q?=4?=", "S: =?=?utf-8?Q?a b?= =?utf-8?X?c?= =?utf-8?Q?=4?="),
            ("S: =?utf-8?Q?", "S: =?utf-8?Q?"),
            ("S: =?iso-2022-jp?Q?=1B(B?= =?iso-2022-jp?Q?a?=", "S: =?iso-2022-jp?Q?=1B(B?= =?iso-2022-jp?Q?a?="),
            ("S: =?iso-2022-jp?Q?=1B(J?= =?iso-2022-jp?Q?a?=", "S: =?iso-2022-jp?Q?=1B(J?= =?iso-2022-jp?Q?a?="),
        ];
        for (sent, told) in cases {
            assert_eq!(joined(sent.as_bytes()), told.as_bytes(), "{sent:?}");
        }
    }
}
