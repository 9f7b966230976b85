//! The words of a command's text: atoms, quoted strings, parentheses. Anything goes, nothing is an error.

use std::borrow::Cow;

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `(`
    Open,
    /// `)`
    Close,
    /// What stood between quotes, unescaped.
    Quoted(Cow<'a, [u8]>),
    /// Anything else up to a blank or parenthesis.
    Atom(&'a [u8]),
}

/// Walks over the words of a text.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
    /// Blanks alone part its words.
    bare: bool,
}

impl<'a> Tokens<'a> {
    /// The words of `text`.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Tokens { rest: text, bare: false }
    }

    /// The words of a text without lists, whose parentheses are characters: a password's, sent as it is.
    pub(super) fn bare(text: &'a [u8]) -> Self {
        Tokens { rest: text, bare: true }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.rest = self.rest.trim_ascii_start();
        let (&first, tail) = self.rest.split_first()?;
        match first {
            b'(' | b')' if !self.bare => {
                self.rest = tail;
                Some(if first == b'(' { Token::Open } else { Token::Close })
            }
            b'"' => {
                let (content, rest) = quoted(tail);
                self.rest = rest;
                Some(Token::Quoted(content))
            }
            _ => {
                let len = match self.bare {
                    true => self.rest.iter().position(u8::is_ascii_whitespace).unwrap_or(self.rest.len()),
                    false => atom_len(self.rest),
                };
                let (atom, rest) = self.rest.split_at(len);
                self.rest = rest;
                Some(Token::Atom(atom))
            }
        }
    }
}

/// An atom ends at a blank (some clients send tabs) or parenthesis, but a section (`BODY[HEADER.FIELDS (DATE FROM)]<0.5>`) is one
/// word. Elsewhere a bracket is a character as any other (RFC 9051 §9, ATOM-CHAR).
fn atom_len(text: &[u8]) -> usize {
    let mut bracket = false;
    for (at, &b) in text.iter().enumerate() {
        match b {
            b'[' => bracket |= text.get(..at).is_some_and(has_section),
            b']' => bracket = false,
            b'(' | b')' if !bracket => return at,
            b if b.is_ascii_whitespace() && !bracket => return at,
            _ => {}
        }
    }
    text.len()
}

/// Whether a section follows that name.
fn has_section(name: &[u8]) -> bool {
    let names: [&[u8]; 5] = [b"BODY", b"BODY.PEEK", b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE"];
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The content of a quoted string whose first quote is off, and what follows it.
fn quoted(text: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let mut owned: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        match b {
            b'"' => {
                let plain = text.get(..at).unwrap_or_default();
                return (owned.map_or(Cow::Borrowed(plain), Cow::Owned), text.get(at + 1..).unwrap_or_default());
            }
            b'\\' if at + 1 < text.len() => {
                let copy = owned.get_or_insert_with(|| text.get(..at).unwrap_or_default().to_vec());
                copy.extend(text.get(at + 1));
                at += 2;
            }
            _ => {
                if let Some(copy) = &mut owned {
                    copy.push(b);
                }
                at += 1;
            }
        }
    }
    (owned.map_or(Cow::Borrowed(text), Cow::Owned), &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A backslash in front of the end, as a loss leaves it, is itself.
    #[test]
    fn a_quoted_string_that_breaks_off() {
        let words = |text| Tokens::new(text).collect::<Vec<_>>();
        assert_eq!(words(b"\"a\\"), [Token::Quoted(Cow::Borrowed(b"a\\"))]);
        assert_eq!(words(b"\"\\"), [Token::Quoted(Cow::Borrowed(b"\\"))]);
        assert_eq!(words(b"\"a\\\\"), [Token::Quoted(Cow::Borrowed(b"a\\"))]);
    }

    #[test]
    fn words() {
        let words: Vec<_> = Tokens::new(b"\"a\\\"b c\" (\\Seen x) BODY[HEADER.FIELDS (A B)]<0.5> \"open").collect();
        assert_eq!(
            words,
            [
                Token::Quoted(Cow::Borrowed(b"a\"b c")),
                Token::Open,
                Token::Atom(b"\\Seen"),
                Token::Atom(b"x"),
                Token::Close,
                Token::Atom(b"BODY[HEADER.FIELDS (A B)]<0.5>"),
                Token::Quoted(Cow::Borrowed(b"open")),
            ]
        );
    }
}
