//! What came from the wire, made safe for a terminal. Every sink that writes text uses this, and nothing else.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character could do more than appear: controls (C0, DEL, C1), those that change the direction of text,
/// those that break lines, and invisible ones that let two names look alike.
fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// Whether the character behind a backslash would make it look like an escape of ours.
fn looks_escaped(next: Option<char>) -> bool {
    matches!(next, Some('x' | 'u' | 't' | 'n' | 'r' | '\\'))
}

/// Appends `bytes` as text: `\xNN` for what is no UTF-8 and for controls, `\u{N}` for other unsafe characters, `\t`,
/// `\n`, `\r`. A backslash is doubled only where it could be taken for one of these, so `\Seen` stays as it is.
pub fn push(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        push_str(out, chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
}

fn push_str(out: &mut String, text: &str) {
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let after = at + c.len_utf8();
        let backslash = c == '\\' && looks_escaped(text.get(after..).and_then(|rest| rest.chars().next()));
        if !backslash && !is_unsafe(c) {
            continue;
        }
        out.push_str(text.get(plain..at).unwrap_or_default());
        plain = after;
        let _ = match c {
            '\\' => out.write_str("\\\\"),
            '\t' => out.write_str("\\t"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            c if (c as u32) < 0x100 => write!(out, "\\x{:02x}", c as u32),
            c => write!(out, "\\u{{{:x}}}", c as u32),
        };
    }
    out.push_str(text.get(plain..).unwrap_or_default());
}

/// The same, borrowed where nothing needs escaping.
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    if bytes.iter().all(|b| matches!(b, b' '..=b'~') && *b != b'\\')
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    push(&mut out, bytes);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_controls_are_shown_not_sent() {
        assert_eq!(escape(b"\x1b]52;c;aGk=\x07"), "\\x1b]52;c;aGk=\\x07");
        assert_eq!(escape(b"a\0b\x7f"), "a\\x00b\\x7f");
        assert_eq!(escape("\u{9b}31m".as_bytes()), "\\x9b31m");
        assert_eq!(escape(b"one\r\ntwo\tthree"), "one\\r\\ntwo\\tthree");
    }

    #[test]
    fn direction_and_invisible_characters() {
        assert_eq!(escape("invoice\u{202e}fdp.exe".as_bytes()), "invoice\\u{202e}fdp.exe");
        for c in ['\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{200e}', '\u{200f}', '\u{feff}', '\u{2028}'] {
            let shown = escape(c.to_string().as_bytes()).into_owned();
            assert_eq!(shown, format!("\\u{{{:x}}}", c as u32));
        }
    }

    #[test]
    fn no_utf8_is_shown_byte_by_byte() {
        assert_eq!(escape(b"caf\xe9 \xc3\xa9 \xff\xfe"), "caf\\xe9 é \\xff\\xfe");
        assert_eq!(escape(b"\xed\xa0\x80"), "\\xed\\xa0\\x80");
    }

    #[test]
    fn ordinary_text_is_untouched_and_borrowed() {
        assert!(matches!(escape(b"250 2.1.0 Ok"), Cow::Borrowed("250 2.1.0 Ok")));
        assert_eq!(escape("Grüße, 日本 👩\u{200d}🔧".as_bytes()), "Grüße, 日本 👩\u{200d}🔧");
        assert_eq!(escape(b"FLAGS (\\Seen \\Deleted)"), "FLAGS (\\Seen \\Deleted)");
    }

    #[test]
    fn a_backslash_never_fakes_an_escape() {
        assert_eq!(escape(b"\\x1b"), "\\\\x1b");
        assert_eq!(escape(b"\\\\x1b"), "\\\\\\\\x1b");
        assert_ne!(escape(b"\\n"), escape(b"\n"));
    }

    #[test]
    fn nothing_unsafe_survives_any_bytes() {
        let all: Vec<u8> = (0..=255).cycle().take(4096).collect();
        assert!(escape(&all).chars().all(|c| !is_unsafe(c)));
    }
}
