//! What the literals of an APPEND are (RFC 9051 §6.3.12; MULTIAPPEND, RFC 3502; CATENATE, RFC 4469; UTF8, RFC 6855;
//! ANNOTATION, RFC 5257).

use super::tokens::{Token, Tokens};
use crate::event::{MessagePart, Text};

/// What the next literal of a command is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Text of the command.
    Argument,
    /// A message, or a part of one.
    Message(MessagePart),
}

/// How far an APPEND got.
#[derive(Clone, Debug, Default)]
pub(super) struct Append {
    /// Where to.
    pub(super) mailbox: Option<Text>,
    /// Flags of the message at hand.
    pub(super) flags: Vec<Text>,
    /// Internal date of the message at hand.
    pub(super) date: Option<Text>,
    /// Which message of this command is at hand, from 0: all parts of a CATENATE are one.
    pub(super) index: usize,
    catenate: bool,
    /// Parentheses open in the annotation at hand.
    annotation: usize,
    /// REPLACE (RFC 8508) names the message to replace before the mailbox.
    replaces: bool,
    /// The message's literal is over: what follows belongs to the next one.
    done: bool,
}

/// Flags kept of one message: more is nobody's.
const FLAGS: usize = 100;

impl Append {
    /// For that command, if it is one that carries messages.
    pub(super) fn of(verb: &str) -> Option<Self> {
        match verb {
            "APPEND" => Some(Append::default()),
            "REPLACE" | "UID REPLACE" => Some(Append { replaces: true, ..Append::default() }),
            _ => None,
        }
    }

    /// Takes the text up to the next literal (its announcement cut off); says what that literal is.
    pub(super) fn text(&mut self, text: &[u8]) -> Role {
        let mut words = Tokens::new(text);
        let mut keyword: &[u8] = b"";
        if std::mem::take(&mut self.replaces) {
            words.next();
        }
        if self.mailbox.is_none() {
            match words.next() {
                Some(Token::Quoted(name)) => self.mailbox = Some(Text(name.into_owned())),
                Some(Token::Atom(name)) => self.mailbox = Some(name.into()),
                _ => return Role::Argument,
            }
        }
        while let Some(word) = words.next() {
            match word {
                Token::Open if self.annotation > 0 => self.annotation += 1,
                Token::Close if self.annotation > 0 => self.annotation -= 1,
                _ if self.annotation > 0 => {}
                Token::Open if keyword.eq_ignore_ascii_case(b"ANNOTATION") => {
                    self.begin();
                    self.annotation = 1;
                    keyword = b"";
                }
                Token::Close if self.catenate => {
                    self.catenate = false;
                    self.done = true;
                }
                Token::Open if keyword.eq_ignore_ascii_case(b"CATENATE") => {
                    self.catenate = true;
                    keyword = b"";
                }
                Token::Open if keyword.is_empty() && !self.catenate => {
                    self.begin();
                    self.flags = flag_list(&mut words);
                }
                Token::Quoted(date) if !self.catenate => {
                    self.begin();
                    self.date = Some(Text(date.into_owned()));
                }
                Token::Atom(atom) => keyword = atom,
                _ => {}
            }
        }
        self.begin();
        if self.annotation > 0 {
            return Role::Argument;
        }
        if !self.catenate {
            return Role::Message(MessagePart::Full);
        }
        if keyword.eq_ignore_ascii_case(b"TEXT") { Role::Message(MessagePart::Section) } else { Role::Argument }
    }

    /// The literal that was announced is over; `content` when it was an argument.
    pub(super) fn literal_ended(&mut self, role: Role, content: &[u8]) {
        match role {
            Role::Argument if self.mailbox.is_none() => self.mailbox = Some(content.into()),
            Role::Argument => {}
            Role::Message(_) => self.done = !self.catenate,
        }
    }

    fn begin(&mut self) {
        if std::mem::take(&mut self.done) {
            self.index = self.index.saturating_add(1);
            self.flags.clear();
            self.date = None;
        }
    }
}

/// The words up to the closing parenthesis.
pub(super) fn flag_list(words: &mut Tokens<'_>) -> Vec<Text> {
    let flags = words.take_while(|w| *w != Token::Close).filter_map(|word| match word {
        Token::Atom(flag) => Some(flag.into()),
        _ => None,
    });
    // The rest of an overlong list is still taken off.
    let mut kept = Vec::new();
    for flag in flags {
        if kept.len() < FLAGS {
            kept.push(flag);
        }
    }
    kept
}

/// The UIDs of `[APPENDUID uidvalidity uid-set]` (RFC 4315), the first `count` of them.
pub(super) fn append_uid(text: &[u8], count: usize) -> Option<(u32, Vec<u32>)> {
    let body = text.strip_prefix(b"[")?;
    let end = body.iter().position(|&b| b == b']')?;
    let mut words = body.get(..end)?.split(|&b| b == b' ').filter(|w| !w.is_empty());
    if !words.next()?.eq_ignore_ascii_case(b"APPENDUID") {
        return None;
    }
    let validity = number(words.next()?)?;
    let mut uids = Vec::new();
    for range in words.next()?.split(|&b| b == b',') {
        let mut ends = range.splitn(2, |&b| b == b':');
        let first = number(ends.next()?)?;
        let last = ends.next().map_or(Some(first), number)?;
        let room = count.saturating_sub(uids.len());
        uids.extend((first.min(last)..=first.max(last)).take(room));
    }
    Some((validity, uids))
}

/// A decimal number of 32 bits.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Role = Role::Message(MessagePart::Full);
    const SECTION: Role = Role::Message(MessagePart::Section);

    #[test]
    fn multiappend() {
        // RFC 3502 §6.3.11's example.
        let mut append = Append::default();
        assert_eq!(append.text(b"saved-messages (\\Seen) "), FULL);
        assert_eq!(append.flags, [Text::from("\\Seen")]);
        append.literal_ended(FULL, b"");
        assert_eq!(append.text(b" (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" "), FULL);
        assert_eq!((append.index, append.date.clone()), (1, Some(" 7-Feb-1994 22:43:04 -0800".into())));
        append.literal_ended(FULL, b"");
        assert_eq!(append.text(b" "), FULL);
        assert_eq!((append.index, append.flags.len(), append.date.clone()), (2, 0, None));
    }

    #[test]
    fn catenate() {
        // RFC 4469 §3's example.
        let mut append = Append::default();
        assert_eq!(append.text(b"Drafts (\\Seen \\Draft $MDNSent) CATENATE (TEXT "), SECTION);
        append.literal_ended(SECTION, b"");
        assert_eq!(append.text(b" TEXT "), SECTION);
        append.literal_ended(SECTION, b"");
        assert_eq!(append.text(b" URL \"/Drafts;UIDVALIDITY=385759045/;UID=30\" TEXT "), SECTION);
        append.literal_ended(SECTION, b"");
        assert_eq!(append.text(b" URL "), Role::Argument);
        append.literal_ended(Role::Argument, b"/x");
        assert_eq!((append.index, append.flags.len()), (0, 3));
        assert_eq!(append.text(b") (\\Flagged) "), FULL);
        assert_eq!((append.index, append.flags.len()), (1, 1));
    }

    /// RFC 5257 §4.7: neither the values of an annotation nor their literals are the message's.
    #[test]
    fn annotations() {
        let mut append = Append::default();
        let text = b"drafts (\\Seen \\Draft) ANNOTATION (/comment (value.shared \"hi\" value.priv ";
        assert_eq!(append.text(text), Role::Argument);
        append.literal_ended(Role::Argument, b"hello");
        assert_eq!(append.text(b")) \" 7-Feb-1994 22:43:04 -0800\" "), FULL);
        assert_eq!((append.index, append.flags.len()), (0, 2));
        assert_eq!(append.date, Some(" 7-Feb-1994 22:43:04 -0800".into()));
        append.literal_ended(FULL, b"");
        assert_eq!(append.text(b" ANNOTATION (/comment (value.priv \"x\")) "), FULL);
        assert_eq!((append.index, append.flags.len(), append.date), (1, 0, None));
    }

    #[test]
    fn mailbox_as_literal_and_utf8() {
        let mut append = Append::default();
        assert_eq!(append.text(b""), Role::Argument);
        append.literal_ended(Role::Argument, b"INBOX");
        assert_eq!(append.text(b" UTF8 ("), FULL);
        assert_eq!(append.mailbox, Some("INBOX".into()));
        append.literal_ended(FULL, b"");
        assert_eq!(append.text(b")"), FULL);
    }

    #[test]
    fn uids() {
        assert_eq!(append_uid(b"[APPENDUID 38505 3955] done", 1), Some((38505, vec![3955])));
        assert_eq!(append_uid(b"[APPENDUID 7 8:10,12] done", 4), Some((7, vec![8, 9, 10, 12])));
        assert_eq!(append_uid(b"[APPENDUID 7 1:4294967295] x", 2), Some((7, vec![1, 2])));
        assert_eq!(append_uid(b"[COPYUID 7 1 1] x", 2), None);
    }
}
