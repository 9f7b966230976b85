//! End of data (RFC 5321 §4.1.1.4) and transparency (§4.5.2), byte by byte where it matters.
//!
//! The end is a line that is a lone dot, both line ends being CRLF. What only looks like it, because a bare LF or CR
//! stands for one of the two, is reported and left to the caller: some servers take it (SMTP smuggling).

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

use crate::mail::line::find_either;

/// What stood before a line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// CR LF, or the beginning of the data.
    CrLf,
    /// LF alone.
    Lf,
    /// CR alone.
    Cr,
    /// Bytes that are missing.
    Gap,
}

/// What followed a lone dot.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// CR LF.
    CrLf,
    /// LF alone.
    Lf,
    /// CR alone.
    Cr,
}

/// A lone dot between line ends of which at least one is not CR LF.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct LookAlike {
    pub(super) before: Before,
    pub(super) after: After,
}

impl LookAlike {
    /// How it is written in a diagnostic.
    pub(super) fn name(self) -> String {
        let before = match self.before {
            Before::CrLf => "<CR><LF>",
            Before::Lf => "<LF>",
            Before::Cr => "<CR>",
            Before::Gap => "(gap)",
        };
        let after = match self.after {
            After::CrLf => "<CR><LF>",
            After::Lf => "<LF>",
            After::Cr => "<CR>",
        };
        format!("{before}.{after}")
    }
}

/// Why the scanner stopped.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All bytes are used.
    Nothing,
    /// The end of the data.
    End,
    /// What may be the end, if the server takes it so.
    LookAlike(LookAlike),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum State {
    Line(Before),
    Within,
    Cr,
    Dot(Before),
    DotCr(Before),
}

/// Finds the end of data and takes off the dots.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    state: State,
    /// Bare LFs seen.
    pub(super) bare_lf: bool,
    /// Line ends of CR LF seen.
    pub(super) crlf: bool,
}

impl Scanner {
    /// At the first byte behind the 354.
    pub(super) fn new() -> Self {
        Scanner { state: State::Line(Before::CrLf), bare_lf: false, crlf: false }
    }

    /// Bytes are missing: the next byte may stand anywhere in a line.
    pub(super) fn gap(&mut self) {
        self.state = State::Line(Before::Gap);
    }

    /// Whether the last bytes were a lone dot and CR.
    pub(super) fn at_dot_cr(&self) -> Option<LookAlike> {
        match self.state {
            State::DotCr(before) => Some(LookAlike { before, after: After::Cr }),
            _ => None,
        }
    }

    /// Scans `bytes`, giving the message's own to `emit`; gives how many are used, and why it stopped.
    pub(super) fn advance(&mut self, bytes: &[u8], mut emit: impl FnMut(&[u8])) -> (usize, Found) {
        let mut start = 0;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::Within => match self.pass_plain_lines(bytes, at) {
                    passed if passed > 0 => at += passed,
                    _ => match bytes.get(at..).and_then(|b| find_either(b, b'\r', b'\n')) {
                        None => at = bytes.len(),
                        Some(offset) => {
                            at += offset + 1;
                            if bytes.get(at - 1) == Some(&b'\n') {
                                self.bare_lf = true;
                                self.state = State::Line(Before::Lf);
                            } else {
                                self.state = State::Cr;
                            }
                        }
                    },
                },
                State::Cr => match byte {
                    b'\n' => {
                        at += 1;
                        self.crlf = true;
                        self.state = State::Line(Before::CrLf);
                    }
                    b'.' => self.state = State::Line(Before::Cr),
                    _ => self.state = State::Within,
                },
                State::Line(before) => match byte {
                    b'.' => {
                        emit(bytes.get(start..at).unwrap_or_default());
                        at += 1;
                        start = at;
                        self.state = State::Dot(before);
                    }
                    // The CR before it is in the gap.
                    b'\n' if before == Before::Gap => {
                        at += 1;
                        self.state = State::Line(Before::CrLf);
                    }
                    _ => self.state = State::Within,
                },
                State::Dot(before) => match byte {
                    b'\r' => {
                        at += 1;
                        start = at;
                        self.state = State::DotCr(before);
                    }
                    b'\n' => return (at + 1, self.look_alike(before, After::Lf)),
                    _ => {
                        // A client that stuffs behind LF alone would have sent two.
                        if !strips(before) || before == Before::Lf && byte != b'.' {
                            emit(b".");
                        }
                        start = at;
                        self.state = State::Within;
                    }
                },
                State::DotCr(before) => {
                    return match (byte, before) {
                        (b'\n', Before::CrLf) => (at + 1, Found::End),
                        (b'\n', _) => (at + 1, self.look_alike(before, After::CrLf)),
                        _ => (at, self.look_alike(before, After::Cr)),
                    };
                }
            }
        }
        if !matches!(self.state, State::Dot(_) | State::DotCr(_)) {
            emit(bytes.get(start..).unwrap_or_default());
        }
        (bytes.len(), Found::Nothing)
    }

    /// From within a line, passes over blocks in which every line ends in CR LF and none begins with a dot: most of most
    /// messages, without a branch for each line. How many bytes these are.
    fn pass_plain_lines(&mut self, bytes: &[u8], at: usize) -> usize {
        let bytes = bytes.get(at..).unwrap_or_default();
        let (passed, ends) = dispatch!(Level::new(), simd => plain_blocks(simd, bytes));
        self.crlf |= ends;
        self.state = match passed.checked_sub(1).and_then(|last| bytes.get(last)) {
            Some(b'\r') => State::Cr,
            Some(b'\n') => State::Line(Before::CrLf),
            _ => State::Within,
        };
        passed
    }

    fn look_alike(&mut self, before: Before, after: After) -> Found {
        Found::LookAlike(LookAlike { before, after })
    }

    /// The server did not take the look-alike: it is content. Such a server counts CR LF alone as a line end, so that
    /// it removes the dot only behind one.
    pub(super) fn reject(&mut self, it: LookAlike, mut emit: impl FnMut(&[u8])) {
        if it.before != Before::CrLf {
            emit(b".");
        }
        let (end, state): (&[u8], State) = match it.after {
            After::CrLf => (b"\r\n", State::Line(Before::CrLf)),
            After::Lf => (b"\n", State::Line(Before::Lf)),
            After::Cr => (b"\r", State::Cr),
        };
        emit(end);
        self.state = state;
    }

    /// What is kept because more bytes would decide about it, at a premature end.
    pub(super) fn flush(&mut self, mut emit: impl FnMut(&[u8])) {
        match self.state {
            State::Dot(before) if !strips(before) => emit(b"."),
            State::DotCr(before) => {
                if !strips(before) {
                    emit(b".");
                }
                emit(b"\r");
            }
            _ => {}
        }
        self.state = State::Within;
    }
}

/// From within a line, the bytes of the blocks in front in which each LF has its CR and each CR its LF, as far as they go,
/// and no line begins with a dot; and whether a line ends in them.
#[inline(always)]
fn plain_blocks<S: Simd>(simd: S, bytes: &[u8]) -> (usize, bool) {
    let (blocks, _) = bytes.as_chunks::<64>();
    // A bit a byte; what the block before ends with comes in at the lowest.
    let (mut cr_before, mut lf_before, mut line_ends) = (0, 0, 0);
    let mut passed = 0;
    for block in blocks {
        let block: u8x64<S> = (*block).simd_into(simd);
        let (cr, lf) = (block.simd_eq(b'\r').to_bitmask(), block.simd_eq(b'\n').to_bitmask());
        let odd = (cr << 1 | cr_before) ^ lf;
        if odd | (lf << 1 | lf_before) & block.simd_eq(b'.').to_bitmask() != 0 {
            break;
        }
        (cr_before, lf_before) = (cr >> 63, lf >> 63);
        line_ends |= lf;
        passed += 64;
    }
    (passed, line_ends != 0)
}

/// Whether the first dot of a line behind that line end goes, of two at least behind LF. Lines that end in LF alone are lines
/// to the clients that send them and to the servers that take them.
fn strips(before: Before) -> bool {
    matches!(before, Before::CrLf | Before::Lf)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content, how many bytes were used, why it stopped; look-alikes are rejected when `reject`.
    fn scan(pieces: &[&[u8]], reject: bool) -> (Vec<u8>, usize, Found) {
        let mut scanner = Scanner::new();
        let mut content = Vec::new();
        let mut used = 0;
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let (n, found) = scanner.advance(rest, |b| content.extend_from_slice(b));
                used += n;
                rest = &rest[n..];
                match found {
                    Found::Nothing => {}
                    Found::LookAlike(it) if reject => scanner.reject(it, |b| content.extend_from_slice(b)),
                    _ => return (content, used, found),
                }
            }
        }
        scanner.flush(|b| content.extend_from_slice(b));
        (content, used, Found::Nothing)
    }

    fn check(input: &[u8], reject: bool, content: &[u8], used: usize, found: Found) {
        for size in 1..=input.len() {
            let pieces: Vec<&[u8]> = input.chunks(size).collect();
            let (c, u, f) = scan(&pieces, reject);
            assert_eq!(
                (String::from_utf8_lossy(&c), u, f),
                (String::from_utf8_lossy(content), used, found),
                "{:?} in pieces of {size}",
                String::from_utf8_lossy(input)
            );
        }
    }

    #[test]
    fn ends() {
        check(b".\r\nQUIT", true, b"", 3, Found::End);
        check(b"a\r\n.\r\nQUIT", true, b"a\r\n", 6, Found::End);
        check(b"a\r\n..\r\n...b\r\n.c\r\n.\r\n", true, b"a\r\n.\r\n..b\r\nc\r\n", 20, Found::End);
        check(b"\r\n\r\n.\r\n", true, b"\r\n\r\n", 7, Found::End);
        check(b"a.\r\nb .\r\n. \r\n.\r\n", true, b"a.\r\nb .\r\n \r\n", 16, Found::End);
        check(b"a\r\r\n.\r\n", true, b"a\r\r\n", 7, Found::End);
        check(b"open\r\n.", true, b"open\r\n", 7, Found::Nothing);
    }

    /// A style sheet with LF line ends in a mail whose sender stuffs behind CR LF alone (RFC 5321 §4.5.2).
    #[test]
    fn a_single_dot_behind_a_bare_lf_was_not_stuffed() {
        check(b"a\r\n\r\n<style>\n.b {}\r\n.\r\n", true, b"a\r\n\r\n<style>\n.b {}\r\n", 23, Found::End);
        check(b"a\n..b\r\n.\r\n", true, b"a\n.b\r\n", 10, Found::End);
    }

    #[test]
    fn look_alikes() {
        let found = |before, after| Found::LookAlike(LookAlike { before, after });
        check(b"a\n.\nb", false, b"a\n", 4, found(Before::Lf, After::Lf));
        check(b"a\r\n.\nb", false, b"a\r\n", 5, found(Before::CrLf, After::Lf));
        check(b"a\n.\r\nb", false, b"a\n", 5, found(Before::Lf, After::CrLf));
        check(b"a\r\n.\rb", false, b"a\r\n", 5, found(Before::CrLf, After::Cr));
        check(b"a\r.\rb", false, b"a\r", 4, found(Before::Cr, After::Cr));
        check(b"a\r.\r\nb", false, b"a\r", 5, found(Before::Cr, After::CrLf));
        check(b"a\n.\rb", false, b"a\n", 4, found(Before::Lf, After::Cr));
    }

    #[test]
    fn rejected_look_alikes_are_content() {
        check(b"a\n.\nb\r\n.\r\n", true, b"a\n.\nb\r\n", 10, Found::End);
        check(b"a\r\n.\nb\r\n.\r\n", true, b"a\r\n\nb\r\n", 11, Found::End);
        check(b"a\n.\r\n.\r\n", true, b"a\n.\r\n", 8, Found::End);
        check(b"a\r.\r.\r\n.\r\n", true, b"a\r.\r.\r\n", 10, Found::End);
    }

    #[test]
    fn premature_ends() {
        for (input, content) in
            [("a\r\n.", "a\r\n"), ("a\r\n.\r", "a\r\n\r"), ("a\r.", "a\r."), ("a\r.\r", "a\r.\r"), ("a\r.b", "a\r.b")]
        {
            check(input.as_bytes(), true, content.as_bytes(), input.len(), Found::Nothing);
        }
        let mut scanner = Scanner::new();
        let mut at_dot_cr = |bytes: &[u8]| {
            scanner.advance(bytes, |_| {});
            scanner.at_dot_cr()
        };
        let found = [at_dot_cr(b"a\r\n."), at_dot_cr(b"\r")];
        assert_eq!(found, [None, Some(LookAlike { before: Before::CrLf, after: After::Cr })]);
    }

    #[test]
    fn what_follows_a_gap() {
        let behind = |bytes: &[u8]| {
            let (mut scanner, mut content) = (Scanner::new(), Vec::new());
            scanner.advance(b"text\r", |_| {});
            scanner.gap();
            let (used, found) = scanner.advance(bytes, |b| content.extend_from_slice(b));
            (String::from_utf8(content).unwrap(), used, found)
        };
        // The CR of that line end is in the gap.
        assert_eq!(behind(b"\n.\r\nQUIT"), ("\n".into(), 4, Found::End));
        assert_eq!(behind(b"\n..\r\n"), ("\n.\r\n".into(), 5, Found::Nothing));
        let it = LookAlike { before: Before::Gap, after: After::CrLf };
        assert_eq!(behind(b".\r\nQUIT"), (String::new(), 3, Found::LookAlike(it)));
        assert_eq!(behind(b".x\r\n"), (".x\r\n".into(), 4, Found::Nothing));
        assert_eq!(it.name(), "(gap).<CR><LF>");
    }

    /// Blocks that are passed over leave the scanner as a look at each byte does.
    #[test]
    fn blocks_change_nothing() {
        let mut dice = 1u64;
        let mut roll = |below: u64| {
            dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (dice >> 33) % below
        };
        for _ in 0..2000 {
            let mut bytes = Vec::new();
            while bytes.len() < 600 {
                bytes.resize(bytes.len() + roll(100) as usize, b'x');
                let ends: [&[u8]; 8] = [b"\r\n", b"\r\n", b"\r\n", b"\r\n.", b"\n", b"\r", b".", b"\r\n\r\n"];
                let kinds = if roll(3) == 0 { 8 } else { 4 };
                bytes.extend_from_slice(ends[roll(kinds) as usize]);
            }
            let whole = |step: usize| {
                let mut scanner = Scanner::new();
                let (mut content, mut found) = (Vec::new(), Vec::new());
                let mut at = 0;
                while at < bytes.len() {
                    let end = bytes.len().min(at + step);
                    let (n, what) = scanner.advance(&bytes[at..end], |b| content.extend_from_slice(b));
                    at += n;
                    match what {
                        Found::Nothing => {}
                        Found::End => found.push((at, what)),
                        Found::LookAlike(it) => {
                            found.push((at, what));
                            scanner.reject(it, |b| content.extend_from_slice(b));
                        }
                    }
                    if what == Found::End {
                        break;
                    }
                }
                (content, found, scanner.bare_lf, scanner.crlf, scanner.state)
            };
            assert_eq!(whole(usize::MAX >> 1), whole(1), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
