//! Lines of a key log in a text that is none, as in the comment of a capture.

use zeroize::Zeroizing;

use super::line::{self, Line};

/// The lines that are entries, without the others.
pub(crate) fn entries(text: &[u8]) -> Zeroizing<Vec<u8>> {
    // Never grown, which would leave copies behind.
    let mut found = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    for line in text.split(|b| *b == b'\n').filter(|l| matches!(line::parse(l), Line::Entry { .. })) {
        found.extend_from_slice(line);
        found.push(b'\n');
    }
    found
}

/// Least number of hex digits of what a secret is found by, which tells an entry from other words and numbers.
const KEY: usize = 16;

/// Puts `***` in the place of each secret, wherever in a line it stands.
pub(crate) fn mask(text: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(text.len());
    // The two words before.
    let mut before: [&[u8]; 2] = [b"", b""];
    for piece in text.split_inclusive(u8::is_ascii_whitespace) {
        let (word, blank) = match piece.split_last() {
            Some((last, rest)) if last.is_ascii_whitespace() => (rest, &piece[rest.len()..]),
            _ => (piece, &b""[..]),
        };
        let [label, key] = before;
        let entry = line::is_label(label) && key.len() >= KEY && line::is_hex(key) && line::is_hex(word);
        match word.strip_prefix(b"Master-Key:") {
            Some([_, ..]) => shown.extend_from_slice(b"Master-Key:***"),
            _ if !word.is_empty() && (entry || key == b"Master-Key:") => shown.extend_from_slice(b"***"),
            _ => shown.extend_from_slice(word),
        }
        shown.extend_from_slice(blank);
        if !word.is_empty() {
            before = [key, word];
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_among_other_words() {
        let (random, master) = ("0A".repeat(32), "0b".repeat(48));
        for (text, shown) in [
            (format!("CLIENT_RANDOM {random} {master}"), format!("CLIENT_RANDOM {random} ***")),
            (
                format!("the key:  RSA 0123456789abcdef\t{master}\r\nx"),
                "the key:  RSA 0123456789abcdef\t***\r\nx".to_owned(),
            ),
            (format!("RSA Session-ID:{random} Master-Key:{master}"), format!("RSA Session-ID:{random} Master-Key:***")),
            (format!("    Master-Key: {master}\n"), "    Master-Key: ***\n".to_owned()),
            (format!("EXPORTER_SECRET {random} {master}"), format!("EXPORTER_SECRET {random} ***")),
        ] {
            assert_eq!(mask(text.as_bytes()), shown.as_bytes(), "{text}");
        }
        for other in ["", " ", "MAIL 250 12 ab", "frame 12 of 34\n\n", "A B C", "sha256 0011223344556677 8899"] {
            assert_eq!(mask(other.as_bytes()), other.as_bytes());
        }
    }

    #[test]
    fn only_entries_are_taken() {
        let line = format!("CLIENT_RANDOM {} {}", "0A".repeat(32), "0b".repeat(48));
        assert_eq!(*entries(format!("made by hand:\n{line}\nend").as_bytes()), format!("{line}\n").into_bytes());
        assert!(entries(b"nothing here").is_empty());
    }
}
