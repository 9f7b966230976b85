//! Replies (RFC 5321 §4.2): lines put together, enhanced status codes (RFC 3463), queue ids.

use super::queue_id::queue_id;
use crate::event::weight::texts;
use crate::event::{AuthOutcome, Text};
use crate::mail::line::{Line, LineEnd};
use crate::position::{FramePos, Span};

/// A whole reply.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    /// None where the line was no reply.
    pub(super) code: Option<u16>,
    /// Text of each line behind its code.
    pub(super) lines: Vec<Text>,
    /// Lines that had another code, and the last one's: a greeting that became a refusal (Postfix's postscreen).
    others: usize,
    other_code: Option<u16>,
    /// Text of the last line.
    pub(super) text: Text,
    pub(super) span: Span,
    /// A gap has its end, or a part of it.
    pub(super) incomplete: bool,
    /// The last line lacks its end.
    pub(super) torn: bool,
}

impl Reply {
    /// Memory beside its own fields.
    pub(super) fn cost(&self) -> usize {
        texts(&self.lines) + self.text.heap()
    }

    /// `2` for 250 and so on; 0 without a code.
    pub(super) fn class(&self) -> u16 {
        self.code.unwrap_or(0) / 100
    }

    /// Positive completion.
    pub(super) fn ok(&self) -> bool {
        self.class() == 2
    }

    /// Negative, transient or permanent.
    pub(super) fn negative(&self) -> bool {
        matches!(self.class(), 4 | 5)
    }

    /// Code and text of all lines.
    pub(super) fn status(&self) -> Text {
        let code = self.code.map(|c| c.to_string()).unwrap_or_default().into_bytes();
        Text([code, self.said().0].join(&b' ').trim_ascii().to_vec())
    }

    /// The text of its lines as one; the enhanced code that each begins with is said once. What servers say of the
    /// cause is in the first of them, as a rule, and the last has a link to read on.
    pub(super) fn said(&self) -> Text {
        /// Bytes behind which a line that follows is left out.
        const SAID: usize = 1000;
        let lines = self.lines.get(self.others..).unwrap_or_default();
        let first = lines.first().and_then(|line| enhanced(&line.0));
        let mut said = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let text = match first.filter(|_| at > 0).and_then(|code| line.0.strip_prefix(code)) {
                Some(rest) if rest.first().is_none_or(|b| *b == b' ') => rest,
                _ => &line.0,
            };
            let text = text.trim_ascii();
            if at > 0 && (text.is_empty() || said.len() + text.len() > SAID) {
                continue;
            }
            if !said.is_empty() {
                said.push(b' ');
            }
            said.extend_from_slice(text);
        }
        Text(said)
    }

    /// The lines of a greeting, without a refusal behind them.
    pub(super) fn greeting(&self) -> &[Text] {
        self.lines.get(..self.others).filter(|lines| !lines.is_empty()).unwrap_or(&self.lines)
    }

    /// The lines that had another code: which, and how many.
    pub(super) fn began(&self) -> Option<(u16, u32)> {
        Some((self.other_code?, self.others.try_into().ok()?))
    }

    /// The enhanced status code at the beginning of the text.
    pub(super) fn enhanced(&self) -> Option<Text> {
        let first = self.whole_words().nth(self.others).and_then(enhanced);
        first.or_else(|| enhanced(&self.text.0).filter(|_| !self.torn)).map(Text::from)
    }

    /// The lines, the last one without the word that lacks its end.
    fn whole_words(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let torn = if self.torn { self.lines.len().checked_sub(1) } else { None };
        self.lines.iter().enumerate().map(move |(at, line)| match torn {
            Some(last) if last == at => {
                let end = line.0.iter().rposition(u8::is_ascii_whitespace).unwrap_or(0);
                line.0.get(..end).unwrap_or_default()
            }
            _ => line.0.as_slice(),
        })
    }

    /// The id under which the server's log knows the message.
    pub(super) fn queue_id(&self) -> Option<Text> {
        self.whole_words().rev().find_map(queue_id).map(Text::from)
    }
}

/// A line of a reply: its code, whether more lines follow, its text.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_first_chunk::<3>()?;
    let [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'] = *digits else { return None };
    let code = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
    match rest {
        [] => Some((code, false, rest)),
        [b'-', text @ ..] => Some((code, true, text)),
        [b' ' | b'\t', text @ ..] => Some((code, false, text)),
        // More digits make it something else; anything else is text without its blank.
        [b'0'..=b'9', ..] => None,
        text => Some((code, false, text)),
    }
}

/// Whether a line can be taken for one of a reply: where to go on after a loss.
pub(super) fn is_trustworthy(line: &[u8]) -> bool {
    split(line).is_some() && line.get(3).is_none_or(|b| matches!(b, b' ' | b'-'))
}

/// Puts lines together.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    open: Option<Reply>,
    /// The rest of a line that was too long comes next.
    too_long: bool,
}

/// What a line did.
pub(super) enum Assembled {
    /// More lines follow.
    More,
    /// The reply is whole.
    Whole(Reply),
}

impl Assembler {
    /// Memory beside its own fields.
    pub(super) fn cost(&self) -> usize {
        self.open.as_ref().map_or(0, Reply::cost)
    }

    /// Whether the next line begins a reply.
    pub(super) fn at_start(&self) -> bool {
        self.open.is_none() && !self.too_long
    }

    /// The next line; at most `max` are kept. `overflow` is called when more come.
    pub(super) fn line(&mut self, line: Line<'_>, max: usize, mut overflow: impl FnMut()) -> Assembled {
        let too_long = line.end == LineEnd::TooLong;
        if std::mem::replace(&mut self.too_long, too_long) {
            // The rest of a line that was too long: only its end matters.
            if let (Some(open), false) = (&mut self.open, too_long) {
                open.span.last = line.span.last;
            }
            return Assembled::More;
        }
        let (code, more, text) = match (split(line.bytes), &self.open) {
            (Some((code, more, text)), _) => (Some(code), more, text),
            // No code amid a reply: a line of its text.
            (None, Some(open)) => (open.code, true, line.bytes),
            (None, None) => (None, false, line.bytes),
        };
        let mut reply = self.open.take().unwrap_or_else(|| Reply { span: line.span, ..Reply::default() });
        reply.torn = line.end == LineEnd::Missing;
        reply.incomplete |= reply.torn;
        if reply.code != code {
            // Where it changes again, those before it did not all have it.
            (reply.other_code, reply.others) = (reply.code.filter(|_| reply.others == 0), reply.lines.len());
        }
        reply.code = code;
        reply.span.last = line.span.last;
        reply.text = text.into();
        if reply.lines.len() < max {
            reply.lines.push(text.into());
        } else {
            overflow();
        }
        if more {
            self.open = Some(reply);
            return Assembled::More;
        }
        Assembled::Whole(reply)
    }

    /// The greeting, where this line is another reply's: to a client that did not await its end, the server will not
    /// say it (Postfix's postscreen).
    pub(super) fn greeting_before(&mut self, line: &Line<'_>) -> Option<Reply> {
        let (code, ..) = split(line.bytes)?;
        let greets = self.open.as_ref().is_some_and(|open| open.code == Some(220));
        if greets && code != 220 { self.open.take() } else { None }
    }

    /// Gives up what is not finished.
    pub(super) fn take(&mut self) -> Option<Reply> {
        self.too_long = false;
        self.open.take().map(|reply| Reply { incomplete: true, ..reply })
    }

    /// After a gap: a reply that is open goes on only with a line of its own code, which has an enhanced status code
    /// only if its lines do (RFC 2034 §4), and not behind a command that was sent meanwhile, as `sent` says of two
    /// positions.
    pub(super) fn goes_on(&mut self, line: &Line<'_>, sent: impl FnOnce(FramePos, FramePos) -> bool) -> bool {
        let Some(open) = &mut self.open else { return true };
        open.incomplete = true;
        let Some((code, _, text)) = split(line.bytes) else { return false };
        Some(code) == open.code
            && (enhanced(text).is_none() || enhanced(&open.text.0).is_some())
            && !sent(open.span.last, line.span.first)
    }
}

/// The codes that only AUTH gets (RFC 4954 §4, §6).
pub(super) fn is_of_auth(code: u16) -> bool {
    code == 334 || auth_verdict(code).is_some()
}

/// What an authentication ends with that gets this code, which nothing else gets.
pub(super) fn auth_verdict(code: u16) -> Option<AuthOutcome> {
    match code {
        235 => Some(AuthOutcome::Success),
        534 | 535 | 538 => Some(AuthOutcome::Failure),
        _ => None,
    }
}

pub(super) fn enhanced(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(text.len());
    let word = text.get(..end)?;
    let mut parts = word.split(|&b| b == b'.');
    let number = |part: &[u8]| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    let class = parts.next()?;
    let good = matches!(class, b"2" | b"4" | b"5") && number(parts.next()?) && number(parts.next()?);
    (good && parts.next().is_none()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes() {
        for good in ["2.1.0 Ok", "5.7.26", "4.123.999 x"] {
            assert!(enhanced(good.as_bytes()).is_some(), "{good}");
        }
        for bad in ["2.1 x", "2.1.0.1 x", "3.1.0", "2.1.x", "", "2.1.1000", "mail.2.1"] {
            assert!(enhanced(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    fn assemble(lines: &[&str]) -> Vec<(Option<u16>, Vec<String>)> {
        let mut assembler = Assembler::default();
        let mut replies = Vec::new();
        for line in lines {
            let line = Line { bytes: line.as_bytes(), end: LineEnd::CrLf, span: Span::default() };
            if let Assembled::Whole(reply) = assembler.line(line, 10, || {}) {
                replies.push((reply.code, reply.lines.iter().map(|l| l.to_str_lossy().into_owned()).collect()));
            }
        }
        replies
    }

    #[test]
    fn lines_make_replies() {
        assert_eq!(
            assemble(&["250-a", "250-b c", "250 d", "250", "354-", "354", "250ok"]),
            [
                (Some(250), vec!["a".into(), "b c".into(), "d".into()]),
                (Some(250), vec!["".into()]),
                (Some(354), vec!["".into(), "".into()]),
                (Some(250), vec!["ok".into()]),
            ]
        );
        // Another code in the last line decides; a line without a code amid others is text.
        assert_eq!(assemble(&["250-a", "oops", "550 b"]), [(Some(550), vec!["a".into(), "oops".into(), "b".into()])]);
        let began = |lines: &[&str]| {
            let mut assembler = Assembler::default();
            let lines =
                lines.iter().map(|line| Line { bytes: line.as_bytes(), end: LineEnd::CrLf, span: Span::default() });
            lines.fold(None, |last, line| match assembler.line(line, 10, || {}) {
                Assembled::Whole(reply) => reply.began(),
                Assembled::More => last,
            })
        };
        assert_eq!(began(&["220-a", "oops", "550-b", "550 c"]), Some((220, 2)));
        // A damaged code amid others is not theirs.
        assert_eq!(began(&["250-a", "250-b", "251-c", "250 d"]), None);
        assert_eq!(assemble(&["* OK"]), [(None, vec!["* OK".into()])]);
        assert_eq!(assemble(&["2500"]), [(None, vec!["2500".into()])]);
    }
}
