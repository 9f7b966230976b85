//! The lines of a multi-line reply as one stream: dots taken off, the end found (RFC 1939 §3).
//!
//! Never by the octet count of the reply, which is only advice. The usual end is a line that is a dot, between CR LFs.
//! Where the line before it ended in a bare LF, or bytes are missing before it, the dot may be text: then what follows
//! decides, for only a status line can follow the end.

/// Where in a line the stream stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum At {
    Start,
    /// A dot began the line.
    Dot,
    /// A dot and a CR began the line.
    DotCr,
    /// In the middle of a line, or at its CR.
    Middle {
        cr: bool,
    },
    /// A dot line that may be the end.
    Doubt,
}

/// What [`Body::feed`] found in the bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Fed {
    /// Bytes of the input that are done with.
    pub(super) consumed: usize,
    /// The end was found: what is left is the next reply.
    pub(super) ended: bool,
}

/// A body while it streams by.
#[derive(Debug)]
pub(super) struct Body {
    at: At,
    /// The current line follows a bare LF, or bytes that are missing.
    doubtful: bool,
    /// The dot line in doubt, and the bytes behind it so far.
    dot_line: &'static [u8],
    behind: Vec<u8>,
    bare_lf: bool,
    /// Bytes are missing, perhaps the end: a status line where one is due is the next reply.
    gapped: bool,
    /// Right behind one.
    behind_gap: bool,
}

impl Body {
    pub(super) fn new() -> Self {
        Body {
            at: At::Start,
            doubtful: false,
            dot_line: b"",
            behind: Vec::new(),
            bare_lf: false,
            gapped: false,
            behind_gap: false,
        }
    }

    /// Whether a line ended in a bare LF.
    pub(super) fn bare_lf(&self) -> bool {
        self.bare_lf
    }

    /// Whether the end is to come, and nothing is missing.
    pub(super) fn goes_on(&self) -> bool {
        !self.gapped && self.at != At::Doubt
    }

    /// Whether the end that was found had no dot line: it is in a gap, or the status line is the text's.
    pub(super) fn ended_by_status(&self) -> bool {
        self.at == At::Doubt && self.dot_line.is_empty()
    }

    /// Bytes are missing here; the next may stand anywhere in a line.
    pub(super) fn gap(&mut self, emit: &mut dyn FnMut(&[u8])) {
        self.settle(emit);
        self.at = At::Start;
        self.doubtful = true;
        self.gapped = true;
        self.behind_gap = true;
    }

    /// What was held back in doubt goes out as text.
    fn settle(&mut self, emit: &mut dyn FnMut(&[u8])) {
        match self.at {
            At::Doubt => {
                emit(self.dot_line);
                emit(&std::mem::take(&mut self.behind));
            }
            At::DotCr => emit(b".\r"),
            At::Dot => emit(b"."),
            At::Start | At::Middle { .. } => {}
        }
    }

    /// The direction is over. Whether the body ended: a dot line in doubt with nothing behind it was the end.
    pub(super) fn close(&mut self, emit: &mut dyn FnMut(&[u8])) -> bool {
        if self.at == At::Doubt && self.behind.is_empty() {
            return true;
        }
        self.settle(emit);
        false
    }

    /// The next bytes; `reply_due` when a later command waits for its reply. `emit` gets the body's bytes, in order, as slices of the input wherever they can be.
    pub(super) fn feed(&mut self, input: &[u8], reply_due: bool, emit: &mut dyn FnMut(&[u8])) -> Fed {
        let status_ends = self.gapped && reply_due;
        let mut at = 0;
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            let first = rest[0];
            match self.at {
                At::Start if first == b'.' => {
                    self.at = At::Dot;
                    at += 1;
                }
                At::Start if status_ends && matches!(first, b'+' | b'-') => {
                    self.at = At::Doubt;
                    self.dot_line = b"";
                    self.behind.clear();
                }
                At::Start | At::Middle { .. } => at += self.text(rest, status_ends, emit),
                At::Dot if first == b'\r' => {
                    self.at = At::DotCr;
                    at += 1;
                }
                At::Dot | At::DotCr if first == b'\n' => {
                    at += 1;
                    let dot_line: &[u8] = if self.at == At::Dot { b".\n" } else { b".\r\n" };
                    self.bare_lf |= self.at == At::Dot;
                    if !self.doubtful {
                        return Fed { consumed: at, ended: true };
                    }
                    self.at = At::Doubt;
                    self.dot_line = dot_line;
                    self.behind.clear();
                }
                // The dot was stuffed before a line that began with what follows. A server that does so behind LF alone would
                // have sent two dots.
                At::Dot => {
                    if self.doubtful && first != b'.' {
                        emit(b".");
                    }
                    self.at = At::Middle { cr: false };
                }
                At::DotCr => {
                    emit(if self.doubtful { b".\r" } else { b"\r" });
                    self.at = At::Middle { cr: false };
                }
                At::Doubt => {
                    const STATUS: [&[u8]; 2] = [b"+OK", b"-ERR"];
                    let fits = |behind: &[u8]| STATUS.iter().any(|status| status.starts_with(behind));
                    self.behind.push(first);
                    if !fits(&self.behind) {
                        // Text after all. The bytes behind it begin a line, and hold no dot or line end but the last.
                        emit(self.dot_line);
                        self.doubtful = self.dot_line == b".\n";
                        let taken = self.behind.len() - 1;
                        emit(&self.behind[..taken]);
                        self.behind.clear();
                        self.at = if taken == 0 { At::Start } else { At::Middle { cr: false } };
                        continue;
                    }
                    at += 1;
                    if STATUS.contains(&self.behind.as_slice()) {
                        return Fed { consumed: at, ended: true };
                    }
                }
            }
        }
        Fed { consumed: input.len(), ended: false }
    }

    /// Bytes of the next reply's status that were read to decide where the body ended.
    pub(super) fn behind(&self) -> &[u8] {
        &self.behind
    }

    /// Takes text up to the next line that begins with a dot, or all of it.
    fn text(&mut self, rest: &[u8], status_ends: bool, emit: &mut dyn FnMut(&[u8])) -> usize {
        // A line end that the gap cuts is not known.
        let behind_gap = std::mem::take(&mut self.behind_gap);
        let mut from = 0;
        while let Some(found) = rest[from..].iter().position(|&byte| byte == b'\n') {
            let newline = from + found;
            let cr = match newline.checked_sub(1).and_then(|before| rest.get(before)) {
                Some(&before) => before == b'\r',
                None => self.at == At::Middle { cr: true },
            };
            self.bare_lf |= !(cr || behind_gap && newline == 0);
            self.doubtful = !cr;
            from = newline + 1;
            match rest.get(from) {
                Some(b'+' | b'-') if !status_ends => {}
                Some(b'.' | b'+' | b'-') | None => {
                    self.at = At::Start;
                    emit(&rest[..from]);
                    return from;
                }
                Some(_) => {}
            }
        }
        self.at = At::Middle { cr: rest.last() == Some(&b'\r') };
        emit(rest);
        rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds it in two pieces at every place; what the body is, what was left behind the end.
    fn all_ways(input: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
        let run = |pieces: &[&[u8]]| {
            let mut body = Body::new();
            let mut out = Vec::new();
            let mut rest: Option<Vec<u8>> = None;
            for piece in pieces {
                if let Some(rest) = &mut rest {
                    rest.extend_from_slice(piece);
                    continue;
                }
                let fed = body.feed(piece, false, &mut |bytes| out.extend_from_slice(bytes));
                if fed.ended {
                    rest = Some([body.behind(), &piece[fed.consumed..]].concat());
                }
            }
            if rest.is_none() && body.close(&mut |bytes| out.extend_from_slice(bytes)) {
                rest = Some(Vec::new());
            }
            (out, rest)
        };
        let whole = run(&[input]);
        for at in 0..=input.len() {
            let (head, tail) = input.split_at(at);
            assert_eq!(run(&[head, tail]), whole, "split at {at}");
        }
        let single: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(run(&single), whole, "byte by byte");
        whole
    }

    #[test]
    fn ends_and_dots() {
        type Case = (&'static [u8], &'static [u8], Option<&'static [u8]>);
        let cases: [Case; 12] = [
            (b".\r\n", b"", Some(b"")),
            (b"a\r\n.\r\n+OK", b"a\r\n", Some(b"+OK")),
            (b"..\r\n...b\r\n.\r\n", b".\r\n..b\r\n", Some(b"")),
            (b".x\r\n.\rx\r\n.\r\n", b"x\r\n\rx\r\n", Some(b"")),
            (b"a\n.b\n.\rc\r\n.\r\n", b"a\n.b\n.\rc\r\n", Some(b"")),
            (b"a\n..b\r\n.\r\n", b"a\n.b\r\n", Some(b"")),
            (b"a\r\n.\r", b"a\r\n.\r", None),
            (b"a\n.\n+OK x", b"a\n", Some(b"+OK x")),
            (b"a\n.\r\nb\r\n.\r\n-ERR", b"a\n.\r\nb\r\n", Some(b"-ERR")),
            (b"a\n.\r\n+O no\r\n.\r\n", b"a\n.\r\n+O no\r\n", Some(b"")),
            (b"a\n.\n.\n-ERR", b"a\n.\n", Some(b"-ERR")),
            (b"a\n.\n.\nb\r\n.\r\n", b"a\n.\n.\nb\r\n", Some(b"")),
        ];
        for (input, body, rest) in cases {
            assert_eq!(all_ways(input), (body.to_vec(), rest.map(<[u8]>::to_vec)), "{:?}", input.escape_ascii());
        }
    }

    #[test]
    fn a_gap_before_the_dot() {
        for (behind, ended) in [("+OK 2", true), ("-- \r\n", false)] {
            let mut body = Body::new();
            let mut out = Vec::new();
            body.feed(b"one\r\ntw", false, &mut |bytes| out.extend_from_slice(bytes));
            body.gap(&mut |bytes| out.extend_from_slice(bytes));
            let rest = format!(".\r\n{behind}");
            let fed = body.feed(rest.as_bytes(), false, &mut |bytes| out.extend_from_slice(bytes));
            assert_eq!(fed.ended, ended);
            assert_eq!(out.starts_with(b"one\r\ntw.\r\n--"), !ended);
        }
    }

    /// What is known of a body besides its end.
    #[test]
    fn what_is_asked_of_a_body() {
        let body = |text: &[u8], due: bool| {
            let mut body = Body::new();
            body.feed(b"one\r\n", due, &mut |_| {});
            body.feed(text, due, &mut |_| {});
            body
        };
        assert!(!body(b"two\r\n", false).bare_lf());
        assert!(body(b"two\n", false).bare_lf());
        assert!(body(b".\n", false).bare_lf());
        assert!(body(b"two\r\n", false).goes_on());
        assert!(!body(b"two\n.\n", false).goes_on(), "it may have ended");
        let mut lossy = body(b"two", true);
        lossy.gap(&mut |_| {});
        assert!(!lossy.goes_on());
        assert!(!lossy.ended_by_status());
        lossy.feed(b" of it\r\n+OK", true, &mut |_| {});
        assert!(lossy.ended_by_status());
        let mut dotted = body(b"two", true);
        dotted.gap(&mut |_| {});
        dotted.feed(b".\r\n+OK", true, &mut |_| {});
        assert!(!dotted.ended_by_status());
    }

    #[test]
    fn a_line_end_that_a_gap_cuts_is_no_bare_lf() {
        for (behind, bare) in [("\nmore\r\n", false), ("\n\nmore\r\n", true), ("x\nmore\r\n", true)] {
            let mut body = Body::new();
            body.feed(b"one\r\ntw", false, &mut |_| {});
            body.gap(&mut |_| {});
            body.feed(behind.as_bytes(), false, &mut |_| {});
            assert_eq!(body.bare_lf, bare, "{behind:?}");
        }
    }

    #[test]
    fn a_gap_that_holds_the_end() {
        for (due, ended) in [(true, true), (false, false)] {
            let mut body = Body::new();
            body.feed(b"one\r\ntw", due, &mut |_| {});
            body.gap(&mut |_| {});
            let fed = body.feed(b" of it\r\n+OK next\r\n", due, &mut |_| {});
            assert_eq!((fed.ended, body.behind()), (ended, if due { b"+OK".as_slice() } else { b"" }));
        }
    }
}
