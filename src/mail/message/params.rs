//! Parameters of Content-Type and Content-Disposition in RFC 2231's extended form.

use mail_parser::decoders::charsets::map::charset_decoder;

use crate::mail::quoted::unquote;

/// A piece of a parameter's value.
struct Piece {
    index: u32,
    extended: bool,
    value: Vec<u8>,
}

/// The value of `name` where it comes as `name*` or in pieces `name*0*`, `name*1`: their bytes are one text, in the charset
/// that the first one names.
pub(super) fn extended(field: &[u8], name: &str) -> Option<String> {
    let mut pieces: Vec<Piece> = parameters(field).filter_map(|(key, value)| piece(&key, value, name)).collect();
    if !pieces.iter().any(|piece| piece.extended) {
        return None;
    }
    pieces.sort_by_key(|piece| piece.index);
    pieces.dedup_by_key(|piece| piece.index);
    let (mut charset, mut text) = (Vec::new(), Vec::new());
    for (at, Piece { extended, value, .. }) in pieces.into_iter().enumerate() {
        let mut value = value.as_slice();
        if at == 0 && extended {
            let mut parts = value.splitn(3, |&b| b == b'\'');
            if let (Some(named), Some(_), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
                (charset, value) = (named.to_vec(), rest);
            }
        }
        match extended {
            true => percent_decoded(value, &mut text),
            false => text.extend_from_slice(value),
        }
    }
    let decoded = match charset_decoder(&charset) {
        Some(decode) => decode(&text),
        None => String::from_utf8_lossy(&text).into_owned(),
    };
    Some(decoded).filter(|decoded| !decoded.is_empty())
}

/// The value of `name` in a field that names no type before its parameters.
pub(super) fn without_type(field: &[u8], name: &str) -> Option<String> {
    let (_, value) = parameters(field).next().filter(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))?;
    Some(String::from_utf8_lossy(&value).into_owned()).filter(|value| !value.is_empty())
}

/// What stands between semicolons and has an `=`: a name, and a value without its quotes.
fn parameters(field: &[u8]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let mut rest = field;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let equals = rest.iter().position(|b| matches!(b, b'=' | b';'));
            let (key, behind) = rest.split_at(equals.unwrap_or(rest.len()));
            let Some(behind) = behind.strip_prefix(b"=") else {
                rest = behind.get(1..).unwrap_or_default();
                continue;
            };
            let behind = behind.trim_ascii_start();
            let value = match behind.strip_prefix(b"\"") {
                Some(inner) => {
                    let (value, after) = unquote(inner);
                    rest = after;
                    value
                }
                None => {
                    let end = behind.iter().position(|&b| b == b';' || b.is_ascii_whitespace()).unwrap_or(behind.len());
                    let (value, after) = behind.split_at(end);
                    rest = after;
                    value.to_vec()
                }
            };
            let next = rest.iter().position(|&b| b == b';').map_or(rest.len(), |at| at + 1);
            rest = rest.get(next..).unwrap_or_default();
            return Some((key.trim_ascii().to_vec(), value));
        }
        None
    })
}

fn piece(key: &[u8], value: Vec<u8>, name: &str) -> Option<Piece> {
    let mut parts = key.split(|&b| b == b'*');
    if !parts.next()?.eq_ignore_ascii_case(name.as_bytes()) {
        return None;
    }
    let second = parts.next()?;
    let (index, extended) = match second {
        [] => (0, true),
        digits => (std::str::from_utf8(digits).ok()?.parse().ok()?, parts.next().is_some()),
    };
    Some(Piece { index, extended, value })
}

fn percent_decoded(value: &[u8], text: &mut Vec<u8>) {
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match hex_byte(rest).filter(|_| byte == b'%') {
            Some(coded) => {
                text.push(coded);
                rest = rest.get(2..).unwrap_or_default();
            }
            None => text.push(byte),
        }
    }
}

/// The byte that two hexadecimal digits at the beginning are.
pub(super) fn hex_byte(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| text.get(at).and_then(|&b| char::from(b).to_digit(16));
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected names as Python's `email` tells them.
    #[test]
    fn pieces_are_one_text() {
        let cases: [(&[u8], Option<&str>); 9] = [
            (b"attachment; filename*0*=koi8-r'ru'%F0%D2%C9;\r\n filename*1*=%D7%C5%D4.pdf", Some("Привет.pdf")),
            (b"attachment; filename*1*=%96%7B.pdf; filename*0*=Shift_JIS''%93%FA", Some("日本.pdf")),
            (b"attachment; filename*0*=utf-8''%e4%bd%a0%e5; filename*1*=%a5%bd; filename*2=\".pdf\"", Some("你好.pdf")),
            (b"attachment; filename=old.pdf; filename*=UTF-8''real%20name.pdf", Some("real name.pdf")),
            (b"attachment; x=\"a;filename*=utf-8''b\"; filename*=\"utf-8'en'c%2\"", Some("c%2")),
            (b"attachment; FileName*=plain", Some("plain")),
            (b"attachment; filename*0=a; filename*1=b", None),
            (b"attachment; filename=a", None),
            (b"attachment; filename*x*=a; filename*=", None),
        ];
        for (field, name) in cases {
            assert_eq!(extended(field, "filename").as_deref(), name, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn a_name_without_a_type_before_it() {
        assert_eq!(without_type(b" filename=\"a.pdf\"", "filename").as_deref(), Some("a.pdf"));
        assert_eq!(without_type(b" inline; filename=\"a.pdf\"", "name"), None);
    }
}
