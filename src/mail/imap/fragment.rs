//! Framing apart from grammar: where a line announces a literal, whatever the line means.
//!
//! `{n}`, `{n+}`, `{n-}` and `~{n…}` at the end of a line, outside quotes (RFC 9051 §4.3, RFC 7888, RFC 3516).

/// A literal's announcement.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    /// That many bytes follow the line end.
    Literal {
        /// Bytes.
        len: u64,
        /// The sender waits for the other side's `+` first.
        sync: bool,
    },
    /// Braces with a number that is none, or does not fit.
    Bad,
}

#[derive(Copy, Clone, Debug, Default)]
enum Brace {
    #[default]
    None,
    Open {
        len: Option<u64>,
        digits: u32,
        sync: bool,
        negative: bool,
        suffix: bool,
    },
    Closed(Announced),
}

/// Follows the text of one line, in as many pieces as it comes.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Scanner {
    quoted: bool,
    escaped: bool,
    /// The byte before.
    last: u8,
    brace: Brace,
}

impl Scanner {
    /// The next piece of the line, without its line end.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        for &b in piece {
            if self.quoted {
                match b {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.quoted = false,
                    _ => {}
                }
                continue;
            }
            self.brace = match (self.brace, b) {
                (_, b'"') => {
                    self.quoted = true;
                    Brace::None
                }
                // A literal is a word of its own: `pa{5}` is none.
                (_, b'{') if !matches!(self.last, 0 | b' ' | b'(' | b'~' | b'[' | b']' | b'>') => Brace::None,
                (_, b'{') => Brace::Open { len: Some(0), digits: 0, sync: true, negative: false, suffix: false },
                (Brace::Open { len, digits, sync, negative, suffix: false }, b'0'..=b'9') => {
                    let len = len.and_then(|l| l.checked_mul(10)).and_then(|l| l.checked_add(u64::from(b - b'0')));
                    Brace::Open { len, digits: digits.saturating_add(1), sync, negative, suffix: false }
                }
                (Brace::Open { len, digits: 0, sync, .. }, b'-') => {
                    Brace::Open { len, digits: 0, sync, negative: true, suffix: false }
                }
                (Brace::Open { len, digits, negative, suffix: false, .. }, b'+' | b'-') => {
                    Brace::Open { len, digits, sync: false, negative, suffix: true }
                }
                (Brace::Open { digits: 0, .. }, b'}') => Brace::None,
                (Brace::Open { len: Some(len), sync, negative: false, .. }, b'}') => {
                    Brace::Closed(Announced::Literal { len, sync })
                }
                (Brace::Open { .. }, b'}') => Brace::Closed(Announced::Bad),
                // A piece may end between CR and LF.
                (closed @ Brace::Closed(_), b'\r') => closed,
                _ => Brace::None,
            };
            self.last = b;
        }
    }

    /// The line has ended: what it announced. Ready for the next.
    pub(super) fn end(&mut self) -> Option<Announced> {
        match std::mem::take(self).brace {
            Brace::Closed(announced) => Some(announced),
            _ => None,
        }
    }

    /// For the last piece of a line: [`Scanner::feed`] and [`Scanner::end`], at no cost for lines that announce nothing.
    pub(super) fn last(&mut self, piece: &[u8]) -> Option<Announced> {
        if piece.last().is_some_and(|&b| b != b'}' && b != b'\r') {
            *self = Scanner::default();
            return None;
        }
        self.feed(piece);
        self.end()
    }
}

/// The text without the announcement at its end.
pub(super) fn before_announcement(text: &[u8]) -> &[u8] {
    let brace = text.iter().rposition(|&b| b == b'{').unwrap_or(text.len());
    let head = text.get(..brace).unwrap_or(text);
    head.strip_suffix(b"~").unwrap_or(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced(line: &[u8]) -> Option<Announced> {
        let whole = Scanner::default().last(line);
        for at in 0..=line.len() {
            let mut scanner = Scanner::default();
            scanner.feed(&line[..at]);
            assert_eq!(scanner.last(&line[at..]), whole, "split at {at}");
        }
        whole
    }

    #[test]
    fn forms_of_rfc_7888_and_3516() {
        let literal = |len, sync| Some(Announced::Literal { len, sync });
        assert_eq!(announced(b"A001 LOGIN {11}"), literal(11, true));
        assert_eq!(announced(b"A001 LOGIN {11+}"), literal(11, false));
        assert_eq!(announced(b"A001 LOGIN {11-}"), literal(11, false));
        assert_eq!(announced(b"a APPEND x ~{25}"), literal(25, true));
        assert_eq!(announced(b"a APPEND x ~{25+}"), literal(25, false));
        assert_eq!(announced(b"* 1 FETCH (BODY[] {0}"), literal(0, true));
        assert_eq!(announced(b"{4294967296}"), literal(4_294_967_296, true));
    }

    /// A piece that ends between CR and LF.
    #[test]
    fn with_the_carriage_return_of_its_line_end() {
        let literal = Some(Announced::Literal { len: 11, sync: true });
        assert_eq!(announced(b"A001 LOGIN {11}\r"), literal);
        assert_eq!(announced(b"A001 LOGIN {11}\r\r"), literal);
        assert_eq!(announced(b"A001 LOGIN {11}x\r"), None);
    }

    #[test]
    fn what_is_none() {
        assert_eq!(announced(b"a SEARCH SUBJECT \"x {50}\""), None);
        assert_eq!(announced(b"a SEARCH SUBJECT \"x \\\" {50}"), None);
        assert_eq!(announced(b"a NOOP {5} "), None);
        assert_eq!(announced(b"a NOOP {}"), None);
        assert_eq!(announced(b"a LOGIN x pa{5}"), None);
        assert_eq!(announced(b"a NOOP {5x}"), None);
        assert_eq!(announced(b"a NOOP {-1}"), Some(Announced::Bad));
        assert_eq!(announced(b"a NOOP {99999999999999999999}"), Some(Announced::Bad));
        assert_eq!(announced(b""), None);
    }

    #[test]
    fn text_before() {
        assert_eq!(before_announcement(b"INBOX ~{5}"), b"INBOX ");
        assert_eq!(before_announcement(b"{5+}"), b"");
    }
}
