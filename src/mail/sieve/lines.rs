//! ManageSieve's lines, which literals make longer than one line (RFC 5804 §4).

use sha2::{Digest, Sha256};

use crate::event::Text;
use crate::mail::line::{LineBuffer, LineEnd};
use crate::mail::quoted::unquote;
use crate::mail::{Chunk, LITERAL_SHOWN};
use crate::position::Span;

/// A line with its literals taken out of it.
#[derive(Debug, Default)]
pub(super) struct Logical {
    /// The text; in the place of a literal its size, as sent: `{85+}`.
    pub(super) text: Vec<u8>,
    /// The literals in order.
    literals: Vec<Literal>,
    pub(super) span: Span,
    /// Longer than the bound: the text lacks its end.
    pub(super) cut: bool,
    /// Bytes of a literal are missing, or were not kept.
    pub(super) partial: bool,
    pub(super) bare_lf: bool,
    /// A literal's size that can't be: taken for text.
    pub(super) bad_length: bool,
}

/// A literal.
#[derive(Debug, Default)]
pub(super) struct Literal {
    /// Its bytes, as many as the bound lets be kept.
    pub(super) bytes: Vec<u8>,
    /// How many were seen.
    pub(super) size: u64,
    /// Over all that were seen.
    pub(super) digest: Sha256,
    /// Frames of its bytes; none where there are none.
    pub(super) span: Option<Span>,
    /// Bytes of it are missing.
    pub(super) gap: bool,
    /// Where its size ends in the text.
    at: usize,
}

/// A direction's bytes in logical lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: LineBuffer,
    current: Logical,
    begun: bool,
    /// Where in the text the part behind the last literal begins.
    behind_literal: usize,
    /// Bytes of the literal still to come.
    left: u64,
    /// Bytes kept of text and literals.
    kept: usize,
}

impl Lines {
    /// Memory beside its own fields, roughly.
    pub(super) fn cost(&self) -> usize {
        let literals = self.current.literals.iter().map(|literal| size_of::<Literal>() + literal.bytes.capacity());
        self.lines.cost() + self.current.text.capacity() + literals.sum::<usize>()
    }

    /// Takes the next logical line out of `chunk`, advancing it. `max` bounds what is kept of it, bytes.
    pub(super) fn next(&mut self, chunk: &mut Chunk<'_>, max: usize) -> Option<Logical> {
        loop {
            if self.left > 0 {
                if chunk.bytes.is_empty() {
                    return None;
                }
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(chunk.bytes.len());
                let (literal, rest) = chunk.bytes.split_at(taken);
                chunk.bytes = rest;
                self.left -= taken as u64;
                let keep = literal.len().min(max.saturating_sub(self.kept));
                self.kept += keep;
                self.current.partial |= keep < literal.len();
                if let Some(last) = self.current.literals.last_mut() {
                    last.bytes.extend_from_slice(&literal[..keep]);
                    last.size += literal.len() as u64;
                    last.digest.update(literal);
                    last.span = Some(last.span.map_or(chunk.span, |span| span.to(chunk.span)));
                }
                continue;
            }
            let line = self.lines.next(chunk, max)?;
            if !std::mem::replace(&mut self.begun, true) {
                self.current.span = line.span;
            }
            self.current.span.last = line.span.last;
            let keep = line.bytes.len().min(max.saturating_sub(self.kept));
            self.kept += keep;
            self.current.text.extend_from_slice(&line.bytes[..keep]);
            self.current.cut |= keep < line.bytes.len() || line.end == LineEnd::TooLong;
            if line.end == LineEnd::TooLong {
                continue;
            }
            self.current.bare_lf |= line.end == LineEnd::Lf;
            let part = self.current.text.get(self.behind_literal..).unwrap_or_default();
            match literal_size(part) {
                Some(Ok(size)) if !self.current.cut => {
                    self.left = size;
                    self.behind_literal = self.current.text.len();
                    self.current.literals.push(Literal { at: self.behind_literal, ..Literal::default() });
                    // Each literal costs an entry, so it counts as a byte.
                    self.kept += 1;
                }
                found => {
                    self.current.bad_length |= matches!(found, Some(Err(())));
                    return Some(self.take());
                }
            }
        }
    }

    fn take(&mut self) -> Logical {
        self.begun = false;
        self.behind_literal = 0;
        self.left = 0;
        self.kept = 0;
        std::mem::take(&mut self.current)
    }

    /// `len` bytes are missing, `exact` or at most. Whether the place in the line is still known.
    pub(super) fn gap(&mut self, len: u64, exact: bool) -> bool {
        if exact && len <= self.left {
            self.left -= len;
            self.current.partial = true;
            if let Some(last) = self.current.literals.last_mut() {
                last.gap = true;
            }
            return true;
        }
        false
    }

    /// Gives up the unfinished line; its bytes that are not told.
    pub(super) fn reset(&mut self) -> usize {
        let pending = self.lines.take_pending().map_or(0, |(bytes, _)| bytes.len());
        let told = self.take();
        pending + told.text.len() + told.literals.iter().map(|literal| literal.bytes.len()).sum::<usize>()
    }

    pub(super) fn at_start(&self) -> bool {
        !self.begun && self.lines.at_start()
    }
}

/// Follows a text from its beginning.
#[derive(Default)]
struct Quotes {
    quoted: bool,
    escaped: bool,
}

impl Quotes {
    /// Takes the next byte. Whether it stands outside quoted strings, and is no quote.
    fn outside(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.quoted => self.escaped = true,
            b'"' => self.quoted = !self.quoted,
            _ => return !self.quoted,
        }
        false
    }
}

/// The size of the literal that ends this part of a line, if one does: `{n}` or `{n+}`, not inside quotes. An error
/// where no size of 32 bits stands in the braces.
fn literal_size(part: &[u8]) -> Option<Result<u64, ()>> {
    let inner = part.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|&byte| byte == b'{')?;
    let mut quotes = Quotes::default();
    for &byte in &part[..open] {
        quotes.outside(byte);
    }
    if quotes.quoted || !part[..open].last().is_none_or(|&before| before == b' ' || before == b'(') {
        return None;
    }
    let digits = &inner[open + 1..];
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u32>().ok());
    Some(size.map(u64::from).ok_or(()))
}

/// A word of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A quoted string, its escapes resolved.
    Quoted(Vec<u8>),
    /// A literal's bytes.
    Literal(Vec<u8>),
    /// Anything else up to a blank.
    Atom(Vec<u8>),
    /// What stood in parentheses, as sent.
    Code(Vec<u8>),
}

impl Word {
    pub(super) fn value(&self) -> &[u8] {
        match self {
            Word::Quoted(value) | Word::Literal(value) | Word::Atom(value) | Word::Code(value) => value,
        }
    }
}

impl Logical {
    /// Words looked at: no command has more than a few.
    const WORDS: usize = 16;

    /// The last literal.
    pub(super) fn last_literal(&self) -> Option<&Literal> {
        self.literals.last()
    }

    /// Whether a literal is the line's last word.
    fn is_last(&self, literal: &Literal) -> bool {
        literal.at >= self.text.trim_ascii_end().len()
    }

    /// Whether a literal is all there is in the line.
    pub(super) fn is_literal(&self) -> bool {
        self.text.starts_with(b"{") && matches!(self.literals.as_slice(), [only] if self.is_last(only))
    }

    /// The end of the text, with the literals that stand in it behind their sizes; not with a last word that is a
    /// `script`.
    pub(super) fn shown(&self, tail: &[u8], script: bool) -> Text {
        let start = self.text.len().saturating_sub(tail.len());
        let mut from = start;
        let mut shown = Vec::new();
        for literal in self.literals.iter().filter(|l| l.at >= start && !l.gap && !(script && self.is_last(l))) {
            shown.extend_from_slice(self.text.get(from..literal.at).unwrap_or_default());
            from = literal.at;
            if !literal.bytes.is_empty() {
                shown.push(b' ');
                shown.extend(literal.bytes.iter().take(LITERAL_SHOWN));
            }
        }
        shown.extend_from_slice(self.text.get(from..).unwrap_or_default());
        Text(shown)
    }

    /// The line's words.
    pub(super) fn words(&self) -> Vec<Word> {
        self.words_of(&self.text)
    }

    /// The words of a part of the line that holds its first literal first.
    pub(super) fn words_of(&self, text: &[u8]) -> Vec<Word> {
        let mut literals = self.literals.iter();
        let mut words = Vec::new();
        let mut rest = text.trim_ascii_start();
        while let Some(&first) = rest.first()
            && words.len() < Self::WORDS
        {
            let (word, tail) = match first {
                b'"' => {
                    let (value, tail) = unquote(&rest[1..]);
                    (Word::Quoted(value), tail)
                }
                b'(' => {
                    let end = closing(rest);
                    let inner = rest.get(1..end).unwrap_or_default();
                    // Theirs are none of the words behind it.
                    literals.by_ref().take(announced(inner)).for_each(drop);
                    (Word::Code(inner.to_vec()), rest.get(end + 1..).unwrap_or_default())
                }
                _ => {
                    let end = rest.iter().position(|&byte| byte == b' ' || byte == b'(').unwrap_or(rest.len());
                    // A literal may stand right against what follows it.
                    let brace = rest.iter().position(|&byte| byte == b'}').filter(|&at| first == b'{' && at < end);
                    let (word, tail) = rest.split_at(brace.map_or(end, |at| at + 1));
                    match literal_size(word).and_then(|_| literals.next()) {
                        Some(literal) => (Word::Literal(literal.bytes.clone()), tail),
                        None => (Word::Atom(word.to_vec()), tail),
                    }
                }
            };
            words.push(word);
            rest = tail.trim_ascii_start();
        }
        words
    }
}

/// How many literals a code holds.
fn announced(code: &[u8]) -> usize {
    let (mut quotes, mut open, mut before, mut found) = (Quotes::default(), None, b' ', 0);
    for (at, &byte) in code.iter().enumerate() {
        match byte {
            _ if !quotes.outside(byte) => {}
            b'{' => open = Some(at).filter(|_| matches!(before, b' ' | b'(' | b'}')),
            b'}' => {
                let size = open.take().and_then(|open| literal_size(code.get(open..=at)?));
                found += usize::from(matches!(size, Some(Ok(_))));
            }
            _ => {}
        }
        before = byte;
    }
    found
}

/// Where the parenthesis that opens `text` closes, outside quotes; its length where it does not.
fn closing(text: &[u8]) -> usize {
    let mut quotes = Quotes::default();
    text.iter().position(|&byte| quotes.outside(byte) && byte == b')').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first logical line of `text` where `max` bytes may be kept, in one piece and byte by byte.
    fn first(text: &[u8], max: usize) -> Logical {
        let whole = Lines::default().next(&mut Chunk { bytes: text, span: Span::default() }, max).unwrap();
        let mut lines = Lines::default();
        let pieces = text.chunks(1).find_map(|bytes| lines.next(&mut Chunk { bytes, span: Span::default() }, max));
        let pieces = pieces.unwrap();
        assert_eq!((&pieces.text, pieces.cut, pieces.partial), (&whole.text, whole.cut, whole.partial));
        assert_eq!(format!("{:?}", pieces.literals), format!("{:?}", whole.literals));
        whole
    }

    #[test]
    fn lines_at_their_bound() {
        let exact = first(b"12345678\r\n", 10);
        assert_eq!((&exact.text[..], exact.cut), (&b"12345678"[..], false));
        let long = first(b"123456789012345\r\n", 10);
        assert_eq!((&long.text[..], long.cut), (&b"1234567890"[..], true));
        assert_eq!((exact.bare_lf, first(b"12345678\n", 10).bare_lf), (false, true));
        let announces = first(b"123 {3}4567\r\nabc\r\n", 7);
        assert_eq!((&announces.text[..], announces.cut, announces.literals.len()), (&b"123 {3}"[..], true, 0));
    }

    #[test]
    fn literals_at_their_bound() {
        // Of 20 bytes the text takes 6, and the literal counts as one more.
        let exact = first(b"p {13}\r\n1234567890123\r\n", 20);
        assert_eq!((exact.partial, exact.cut, exact.literals[0].size), (false, false, 13));
        assert_eq!(exact.literals[0].bytes, b"1234567890123");
        let long = first(b"p {14}\r\n12345678901234\r\n", 20);
        assert_eq!((long.partial, long.literals[0].size), (true, 14));
        assert_eq!(long.literals[0].bytes, b"1234567890123");
        assert_eq!(long.literals[0].digest.clone().finalize()[..], Sha256::digest(b"12345678901234")[..]);
        let behind = first(b"p {13}\r\n1234567890123x\r\n", 20);
        assert_eq!((&behind.text[..], behind.partial, behind.cut), (&b"p {13}"[..], false, true));
    }

    #[test]
    fn literals_are_announced_outside_quotes_alone() {
        for (part, size) in [
            (&b"PUTSCRIPT \"a\" {5+}"[..], Some(Ok(5))),
            (b"({3}", Some(Ok(3))),
            (b"{0}", Some(Ok(0))),
            (b"\"a\\\"\" {3}", Some(Ok(3))),
            (b"a \\\"b {3}", None),
            (b"\" {3}", None),
            (b"\"a\\\" {3}", None),
            (b"x{3}", None),
            (b"{}", None),
            (b"{+}", None),
            (b"{1a}", None),
            (b"{4294967296}", Some(Err(()))),
        ] {
            assert_eq!(literal_size(part), size, "{}", String::from_utf8_lossy(part));
        }
    }

    #[test]
    fn words_end_where_quotes_and_parentheses_do() {
        let words = |text: &[u8]| {
            let line = first(&[text, b"\r\n"].concat(), 1000);
            line.words()
        };
        let quoted = |value: &[u8]| Word::Quoted(value.to_vec());
        let code = |value: &[u8]| Word::Code(value.to_vec());
        let atom = |value: &[u8]| Word::Atom(value.to_vec());
        let limit = b"QUOTA \"a)\\\")\"";
        assert_eq!(
            words(&[b"NO (", &limit[..], b") \"too \\\"big\\\"\""].concat()),
            [atom(b"NO"), code(limit), quoted(b"too \"big\"")]
        );
        assert_eq!(words(b"NO(x)y z"), [atom(b"NO"), code(b"x"), atom(b"y"), atom(b"z")]);
        assert_eq!(words(b"a \\) (open"), [atom(b"a"), atom(b"\\)"), code(b"open")]);
        assert_eq!(words(&b"a ".repeat(20)).len(), Logical::WORDS);
        // What was sent against a literal's end.
        let line = first(b"x {3}\r\nabc\"q\" {2+}\r\nde\r\n", 1000);
        let literal = |value: &[u8]| Word::Literal(value.to_vec());
        assert_eq!(line.words(), [atom(b"x"), literal(b"abc"), quoted(b"q"), literal(b"de")]);
    }

    #[test]
    fn an_unfinished_line_is_given_up_whole() {
        let mut lines = Lines::default();
        assert!(lines.at_start());
        let mut give = |bytes: &[u8]| assert!(lines.next(&mut Chunk { bytes, span: Span::default() }, 100).is_none());
        give(b"x {5}\r\nab");
        assert!(!lines.at_start());
        assert_eq!(lines.reset(), "x {5}".len() + "ab".len());
        assert!(lines.at_start());
        lines.next(&mut Chunk { bytes: b"abc", span: Span::default() }, 100);
        assert!(!lines.at_start());
        assert_eq!(lines.reset(), 3);
    }
}
