//! Writes JSON objects straight into bytes: no tree in between.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::event::Text;
use crate::output::time;
use crate::position::Timestamp;

/// Appends a JSON string. Besides what JSON demands, everything that a terminal could take for more than a character
/// is written as `\uXXXX`, which reads back as the same character.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // All of them, whatever is found: sixteen at a time.
    match text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        true => out.extend_from_slice(text.as_bytes()),
        false => push_escaped(out, text),
    }
    out.push(b'"');
}

/// What stands in a string as it is, as most does. No ASCII beyond this does, but some of what is not ASCII.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\')
}

fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let escaped = match c {
            '"' => Some("\\\""),
            '\\' => Some("\\\\"),
            '\n' => Some("\\n"),
            '\r' => Some("\\r"),
            '\t' => Some("\\t"),
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => None,
            _ => continue,
        };
        out.extend_from_slice(text.get(plain..at).unwrap_or_default().as_bytes());
        plain = at + c.len_utf8();
        match escaped {
            Some(escaped) => out.extend_from_slice(escaped.as_bytes()),
            None => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
        }
    }
    out.extend_from_slice(text.get(plain..).unwrap_or_default().as_bytes());
}

/// Appends lower-case hexadecimal digits.
pub(super) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
    out.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
}

/// Appends decimal digits: what `write!` gives, in a fraction of its time.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// An object being written. [`Object::end`] closes it.
pub(super) struct Object<'a> {
    pub(super) out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Object { out, first: true }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    /// Writes a field's name; its value must follow.
    pub(super) fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        push_string(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(super) fn null(&mut self, name: &str) {
        self.name(name).extend_from_slice(b"null");
    }

    /// The value by `write`, or null.
    pub(super) fn option<T>(&mut self, name: &str, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
        match value {
            Some(value) => write(self.name(name), value),
            None => self.null(name),
        }
    }

    pub(super) fn str(&mut self, name: &str, value: &str) {
        push_string(self.name(name), value);
    }

    pub(super) fn opt_str(&mut self, name: &str, value: Option<&str>) {
        self.option(name, value, push_string);
    }

    /// Text of the wire; `NAME_b64` follows when it is no UTF-8.
    pub(super) fn text(&mut self, name: &str, value: &Text) {
        self.bytes(name, &value.0);
    }

    pub(super) fn bytes(&mut self, name: &str, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(text) => self.str(name, text),
            Err(_) => {
                self.str(name, &String::from_utf8_lossy(value));
                self.str(&format!("{name}_b64"), &STANDARD.encode(value));
            }
        }
    }

    pub(super) fn opt_text(&mut self, name: &str, value: Option<&Text>) {
        match value {
            Some(value) => self.text(name, value),
            None => self.null(name),
        }
    }

    /// A list of texts; when one of them is no UTF-8, `NAME_b64` follows: a list with the bytes of these, null for
    /// the others.
    pub(super) fn texts(&mut self, name: &str, values: &[Text]) {
        self.list(name, values, |out, value| push_string(out, &value.to_str_lossy()));
        if values.iter().any(|v| std::str::from_utf8(&v.0).is_err()) {
            self.list(&format!("{name}_b64"), values, |out, value| match std::str::from_utf8(&value.0) {
                Ok(_) => out.extend_from_slice(b"null"),
                Err(_) => push_string(out, &STANDARD.encode(&value.0)),
            });
        }
    }

    pub(super) fn list<T>(&mut self, name: &str, values: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
        let out = self.name(name);
        out.push(b'[');
        for (i, value) in values.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write(out, value);
        }
        out.push(b']');
    }

    pub(super) fn number(&mut self, name: &str, value: impl Into<u64>) {
        push_number(self.name(name), value.into());
    }

    pub(super) fn opt_number(&mut self, name: &str, value: Option<impl Into<u64>>) {
        self.option(name, value, |out, value| push_number(out, value.into()));
    }

    pub(super) fn bool(&mut self, name: &str, value: bool) {
        self.name(name).extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub(super) fn opt_bool(&mut self, name: &str, value: Option<bool>) {
        match value {
            Some(value) => self.bool(name, value),
            None => self.null(name),
        }
    }

    pub(super) fn time(&mut self, name: &str, value: Option<Timestamp>) {
        self.option(name, value, |out, ts| {
            out.push(b'"');
            time::push_rfc3339(out, ts);
            out.push(b'"');
        });
    }

    /// Nanoseconds, written as seconds.
    pub(super) fn seconds(&mut self, name: &str, value: Option<i64>) {
        self.option(name, value, time::push_seconds);
    }

    pub(super) fn hex(&mut self, name: &str, value: Option<&[u8]>) {
        self.option(name, value, |out, bytes| {
            out.push(b'"');
            push_hex(out, bytes);
            out.push(b'"');
        });
    }

    /// An object as the value.
    pub(super) fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        let mut inner = Object::new(self.name(name));
        write(&mut inner);
        inner.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_read_back_as_they_were_and_hold_no_controls() {
        let all: String = (0..0x3000_u32).filter_map(char::from_u32).chain(['\u{feff}', '👩', '\u{10ffff}']).collect();
        let mut out = Vec::new();
        push_string(&mut out, &all);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), all);
        let text = String::from_utf8(out).unwrap();
        assert!(text.chars().all(|c| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c)));
    }

    #[test]
    fn no_utf8_keeps_its_bytes_beside() {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        object.text("a", &Text(b"caf\xe9".to_vec()));
        object.text("b", &"plain".into());
        object.texts("c", &["x".into(), Text(vec![0xff])]);
        object.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"a\":\"caf\u{fffd}\",\"a_b64\":\"Y2Fm6Q==\",\"b\":\"plain\",\"c\":[\"x\",\"\u{fffd}\"],\"c_b64\":[null,\"/w==\"]}"
        );
    }
}
