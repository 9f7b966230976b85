//! Passwords outside authentications: the response to an AUTH that the server refused, a login in another protocol's
//! words, base64 whose beginning was not captured; and servers that repeat what they did not understand.

use std::borrow::Cow;
use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::quoted::unquote;
use super::sasl::{Exchange, MASK, is_response};
use super::{Context, Emitter, SecurityLayer};
use crate::event::{AuthOutcome, Command, EventBody, Reply, Text};
use crate::position::Span;

/// Hidden texts that are looked for in replies; of one line, its words among them; and for how many replies, as a server
/// repeats a line at once.
const KEPT: usize = 32;
const WORDS: usize = KEPT / 2;
const REPLIES: u32 = 16;
/// A shorter one is found by chance.
const SHORTEST: usize = 4;

/// What a session hides.
#[derive(Default)]
pub(super) struct Veil {
    /// An authentication was begun: a line that is no command may be a response.
    expecting: bool,
    hidden: VecDeque<Zeroizing<Vec<u8>>>,
    replies: u32,
    /// Something was hidden in a reply: what repeats replies may repeat it.
    masked: bool,
    behind_loss: Option<Box<BehindLoss>>,
}

/// What a refusal may repeat of the client's lines that were not captured.
#[derive(Default)]
struct BehindLoss {
    /// For how many replies more.
    replies: u32,
    /// The last words of lines that were passed over.
    words: VecDeque<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for Veil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Veil").finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// [`Exchange::response`], whose text no reply shows either.
    pub(super) fn respond(&mut self, exchange: &mut Exchange, raw: &[u8], span: Span) -> Text {
        let shown = exchange.response(raw, span, self.options);
        let sent = exchange.take_sent();
        if exchange.may_begin_layer() {
            self.out.layer = SecurityLayer::Possible;
        }
        if shown.0 == MASK.as_bytes() {
            self.out.veil.hide(raw);
            if let Some(sent) = sent.filter(|sent| !is_plain_word(sent)) {
                self.out.veil.hide(&sent);
            }
        }
        shown
    }

    /// An authentication began; `line` is what its client sent, where a password stands in it.
    pub(super) fn authenticates(&mut self, line: &[u8]) {
        self.out.veil.expecting = true;
        if !self.options.show_secrets && !line.is_empty() {
            self.out.veil.hide(line);
            let end = words(line).next().map_or(0, |(raw, _)| raw.len());
            self.out.veil.hide_words(line.get(end..).unwrap_or_default());
        }
    }

    /// Bytes of the client are missing, or what came before the capture.
    pub(crate) fn loses_client(&mut self) {
        if !self.options.show_secrets {
            self.out.veil.behind_loss.get_or_insert_default().replies = REPLIES;
        }
    }

    /// A line of the client that is not told: the end of a command, a password perhaps.
    pub(super) fn passes_over(&mut self, line: &[u8]) {
        if !self.options.show_secrets {
            let loss = self.out.veil.behind_loss.get_or_insert_default();
            loss.replies = REPLIES;
            words(line).for_each(|(_, word)| keep(&mut loss.words, &word));
        }
    }

    /// A command that is known.
    pub(super) fn understands(&mut self) {
        self.out.veil.expecting = false;
    }

    /// Takes away the token of a URL that opens a mail to whoever has it (RFC 4467), here and where it is repeated.
    pub(super) fn veil_urls(&mut self, text: &mut Text) {
        if self.options.show_secrets {
            return;
        }
        let mut from = 0;
        while let Some((start, end)) = text.0.get(from..).and_then(url_token) {
            let token = from + start..from + end;
            self.out.veil.hide(text.0.get(token.clone()).unwrap_or_default());
            from = token.start + MASK.len();
            text.0.splice(token, MASK.bytes());
        }
    }

    /// A line that is no command of the protocol: takes away what may be a password.
    pub(super) fn veil(&mut self, command: &mut Command) {
        if self.options.show_secrets {
            return;
        }
        let veil = &mut self.out.veil;
        let lone = command.tag.as_ref() == Some(&command.verb);
        if veil.expecting {
            for field in [command.tag.as_ref(), Some(&command.verb), Some(&command.args)].into_iter().flatten() {
                veil.hide_words(&field.0);
            }
            *command = Command { tag: None, verb: Text::default(), args: MASK.into(), ..std::mem::take(command) };
            return;
        }
        let mut behind = false;
        if let Some(tag) = command.tag.as_mut().filter(|tag| lone || names_secret(&tag.0)) {
            behind = veil.words(tag, false);
        }
        behind = veil.words(&mut command.verb, behind);
        veil.words(&mut command.args, behind);
    }
}

impl Veil {
    /// Memory beside its own fields.
    pub(super) fn cost(&self) -> usize {
        let passed_over = self.behind_loss.iter().flat_map(|loss| &loss.words);
        self.hidden.iter().chain(passed_over).map(|text| text.capacity()).sum()
    }

    fn hide(&mut self, text: &[u8]) {
        let text = text.trim_ascii();
        if text.len() < SHORTEST || text == MASK.as_bytes() {
            return;
        }
        self.replies = REPLIES;
        keep(&mut self.hidden, text);
    }

    /// Hides a text and its words, quoted strings also as the server reads them. So many words at most that the text itself
    /// stays among what is looked for.
    fn hide_words(&mut self, text: &[u8]) {
        self.hide(text);
        let both = words(text).flat_map(|(raw, value)| [Cow::Borrowed(raw), value]);
        both.filter(|word| !is_plain_word(word)).take(WORDS).for_each(|word| self.hide(&word));
    }

    /// Hides what may be a response in a server's complaint about a line that was not captured.
    fn hide_coded(&mut self, text: &[u8]) {
        let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        let words = text.split(|byte| !base64(byte));
        words.filter(|word| looks_coded(word) && is_response(word)).for_each(|word| self.hide(word));
    }

    /// Hides what a server's complaint repeats of lines that were passed over, with what is missing of the word. A word in
    /// capitals is a verb that the server did not know.
    fn hide_words_of(&mut self, passed_over: &VecDeque<Zeroizing<Vec<u8>>>, text: &[u8]) {
        let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'(' | b')');
        for word in passed_over.iter().filter(|word| word.len() >= SHORTEST && !is_plain_word(word) && !is_verb(word)) {
            let mut rest = text;
            while let Some(at) = memchr::memmem::find(rest, word) {
                let (before, found) = rest.split_at(at);
                let start = before.iter().rposition(ends).map_or(0, |at| at + 1);
                let end = at + found.iter().skip(word.len()).position(ends).map_or(found.len(), |n| word.len() + n);
                self.hide(rest.get(start..end).unwrap_or_default());
                rest = rest.get(end..).unwrap_or_default();
            }
        }
    }

    /// Masks words that look like a secret and, `behind` or behind a word that announces one, all; gives whether the
    /// next field is to be masked as well.
    fn words(&mut self, field: &mut Text, mut behind: bool) -> bool {
        let mut shown = Vec::new();
        let mut rest = field.0.as_slice();
        while !rest.is_empty() {
            if behind {
                self.hide_words(rest);
                shown.extend_from_slice(MASK.as_bytes());
                break;
            }
            let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
            let blanks = rest[end..].iter().take_while(|b| b.is_ascii_whitespace()).count();
            let (word, after) = rest.split_at(end);
            behind = names_secret(word);
            let head = word.iter().position(|b| matches!(b, b':' | b'=')).map_or(word.len(), |at| at + 1);
            if behind && head < word.len() {
                self.hide_words(&word[head..]);
                shown.extend_from_slice(&word[..head]);
                shown.extend_from_slice(MASK.as_bytes());
            } else if !behind && looks_coded(word) {
                self.hide(word);
                shown.extend_from_slice(MASK.as_bytes());
            } else {
                shown.extend_from_slice(word);
            }
            shown.extend_from_slice(&after[..blanks]);
            rest = &after[blanks..];
        }
        field.0 = shown;
        behind
    }

    /// Whether something was hidden.
    fn redact(&self, text: &mut Text) -> bool {
        let Some(shown) = self.redacted(&text.0) else { return false };
        text.0 = shown;
        true
    }

    fn redact_all<'a>(&self, texts: impl IntoIterator<Item = &'a mut Text>) {
        for text in texts {
            self.redact(text);
        }
    }

    fn redacted(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut shown = Cow::Borrowed(text);
        // A line before its words: without one of them it would not be found, and its other words be seen.
        let mut longest_first: Vec<&Zeroizing<Vec<u8>>> = self.hidden.iter().collect();
        longest_first.sort_by_key(|hidden| std::cmp::Reverse(hidden.len()));
        for hidden in longest_first {
            // Making ready to look for a long text costs as much as reading it.
            if hidden.len() > shown.len() {
                continue;
            }
            let mut from = 0;
            let mut parts = Vec::new();
            for at in memchr::memmem::find_iter(&shown, hidden.as_slice()) {
                let end = at + hidden.len();
                let alone = stands_alone(&shown, at, end) || is_url_password(&shown, at, end);
                if !alone && (!is_unmistakable(hidden) || is_of_address(&shown, at, end)) {
                    continue;
                }
                parts.extend_from_slice(&shown[from..at]);
                parts.extend_from_slice(MASK.as_bytes());
                from = at + hidden.len();
            }
            if from > 0 {
                parts.extend_from_slice(&shown[from..]);
                shown = Cow::Owned(parts);
            }
        }
        match shown {
            Cow::Owned(shown) => Some(shown),
            Cow::Borrowed(_) => None,
        }
    }
}

impl Emitter {
    /// What an event repeats of what is hidden.
    pub(super) fn redact(&mut self, body: &mut EventBody) {
        let veil = &mut self.veil;
        match body {
            EventBody::Reply(reply) => {
                veil.expecting |= reply.code == Some(334);
                if let Some(mut loss) = veil.behind_loss.take() {
                    // What the server answers by its tag is no end of a line.
                    loss.words.retain(|word| reply.tag.as_ref().is_none_or(|tag| tag.0 != word.as_slice()));
                    let texts = reply.tag.iter().chain(&reply.lines).chain([&reply.text]);
                    texts.filter(|_| refuses(reply)).for_each(|text| {
                        veil.hide_coded(&text.0);
                        veil.hide_words_of(&loss.words, &text.0);
                    });
                    loss.replies -= 1;
                    veil.behind_loss = Some(loss).filter(|loss| loss.replies > 0);
                }
                if veil.replies == 0 {
                    return;
                }
                veil.replies -= 1;
                for text in reply.tag.iter_mut().chain(&mut reply.lines).chain([&mut reply.text]) {
                    veil.masked |= veil.redact(text);
                }
            }
            EventBody::Auth(auth) if auth.outcome == AuthOutcome::Success => veil.expecting = false,
            EventBody::Diagnostic(told) if veil.replies > 0 => {
                if let Some(shown) = veil.redacted(told.detail.as_bytes()) {
                    told.detail = String::from_utf8_lossy(&shown).into_owned();
                }
            }
            // What repeats replies. Masked where none of them was, it would tell the words.
            EventBody::Message(message) if veil.masked || veil.replies > 0 => {
                let recipients = message.rcpt_to.iter_mut().map(|recipient| &mut recipient.text);
                veil.redact_all(message.status.iter_mut().chain(recipients));
            }
            EventBody::Script(script) if veil.masked || veil.replies > 0 => veil.redact_all(&mut script.status),
            EventBody::Session(session) if veil.masked => veil.redact_all(&mut session.last_error),
            // The session is over. What was known only after the reply is hidden if it can be nothing else.
            EventBody::Session(session) => {
                veil.hidden.retain(|hidden| is_unmistakable(hidden));
                veil.redact_all(&mut session.last_error);
            }
            _ => {}
        }
    }
}

/// Whether what stands there is no part of a longer word or name: `mail` is one of `mail.example`, `2023` of `12023`, and who
/// sees the rest would know it. An escaped character before it is none of its own.
fn stands_alone(text: &[u8], start: usize, end: usize) -> bool {
    const ESCAPES: [&[u8]; 9] = [b"\\x00", b"\\0", b"\\000", b"\\u0000", b"\\x3a", b"%00", b"%3a", b"=00", b"=3a"];
    let word = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    let joint =
        |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|b| matches!(b, b'.' | b'-' | b'_' | b'@'));
    let before = |n: usize| start.checked_sub(n);
    let escape = || text.get(..start).is_some_and(|before| ESCAPES.iter().any(|escape| ends_with(before, escape)));
    let goes_on_before = word(before(1)) && !escape() || joint(before(1)) && word(before(2));
    let goes_on_behind = word(Some(end)) || joint(Some(end)) && word(Some(end + 1));
    !(goes_on_before && word(Some(start)) || goes_on_behind && word(end.checked_sub(1)))
}

/// In any case.
fn ends_with(text: &[u8], end: &[u8]) -> bool {
    text.len().checked_sub(end.len()).and_then(|at| text.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// Whether a text is not there by chance: of eight characters and more, of several kinds.
fn is_unmistakable(text: &[u8]) -> bool {
    let joint = |b: &u8| matches!(b, b'.' | b'-' | b'_' | b'@');
    let letters = || text.iter().filter(|b| b.is_ascii_alphabetic());
    let lower = letters().any(u8::is_ascii_lowercase) && letters().skip(1).any(u8::is_ascii_uppercase);
    let digits = text.iter().any(u8::is_ascii_digit) && letters().next().is_some();
    text.len() >= 8 && (lower || digits || text.iter().any(|b| !b.is_ascii_alphanumeric() && !joint(b)))
}

/// Whether it is the beginning of a mail address, and not what stands before a host in a URL.
fn is_of_address(text: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1).and_then(|at| text.get(at));
    text.get(end) == Some(&b'@') && !matches!(before, Some(b':' | b'/'))
}

/// As in `imap://user:password@host`.
fn is_url_password(text: &[u8], start: usize, end: usize) -> bool {
    text.get(..start).is_some_and(|before| before.ends_with(b":")) && text.get(end) == Some(&b'@')
}

/// Adds a text to the last ones.
fn keep(texts: &mut VecDeque<Zeroizing<Vec<u8>>>, text: &[u8]) {
    if texts.iter().any(|kept| kept.as_slice() == text) {
        return;
    }
    texts.push_back(Zeroizing::new(text.to_vec()));
    if texts.len() > KEPT {
        texts.pop_front();
    }
}

fn refuses(reply: &Reply) -> bool {
    reply.code.is_some_and(|code| code >= 400) || matches!(reply.status.0.as_slice(), b"-ERR" | b"NO" | b"BAD")
}

/// Where the first token of a URL stands: behind the mechanism in `;urlauth=access:mechanism:token`.
fn url_token(text: &[u8]) -> Option<(usize, usize)> {
    const NAME: &[u8] = b";urlauth=";
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr(b';', rest)) {
        let name = at + found;
        at = name + 1;
        if !text.get(name..name + NAME.len()).is_some_and(|word| word.eq_ignore_ascii_case(NAME)) {
            continue;
        }
        let from = name + NAME.len();
        let value = text.get(from..)?;
        let len = value.iter().position(|b| matches!(b, b'"' | b')' | b'>') || !b.is_ascii_graphic());
        let value = value.get(..len.unwrap_or(value.len()))?;
        let mut colons = memchr::memchr_iter(b':', value);
        if let Some(mechanism) = colons.nth(1).filter(|&colon| colon + 1 < value.len()) {
            return Some((from + mechanism + 1, from + value.len()));
        }
    }
    None
}

/// The words of a text, each as it stands and without its quotes and escapes.
fn words(text: &[u8]) -> impl Iterator<Item = (&[u8], Cow<'_, [u8]>)> {
    let mut rest = text.trim_ascii_start();
    std::iter::from_fn(move || {
        let (raw, after, value) = match rest {
            [] => return None,
            [b'"', inner @ ..] => {
                let (value, behind) = unquote(inner);
                let (raw, after) = rest.split_at(rest.len() - behind.len());
                (raw, after, Cow::Owned(value))
            }
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                let (raw, after) = rest.split_at(end);
                (raw, after, Cow::Borrowed(raw))
            }
        };
        rest = after.trim_ascii_start();
        Some((raw, value))
    })
}

/// Whether a password or its like follows this word.
fn names_secret(word: &[u8]) -> bool {
    const NAMES: [&[u8]; 7] = [b"LOGIN", b"APOP", b"PLAIN", b"XOAUTH2", b"OAUTHBEARER", b"BEARER", b"BASIC"];
    let begins = |name: &[u8]| word.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    begins(b"AUTH") || begins(b"PASS") || NAMES.iter().any(|name| word.eq_ignore_ascii_case(name))
}

/// Whether a password could be a word of any reply: hiding it there would hide the reply, and tell what it is.
fn is_plain_word(word: &[u8]) -> bool {
    word.iter().all(u8::is_ascii_lowercase)
}

fn is_verb(word: &[u8]) -> bool {
    word.iter().all(u8::is_ascii_uppercase)
}

/// Whether a word looks like base64 or a digest rather than a word of a language.
fn looks_coded(word: &[u8]) -> bool {
    let coded = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_' | b'"');
    let inner = word.get(1..).unwrap_or_default();
    let mixed = inner.iter().any(u8::is_ascii_uppercase) && inner.iter().any(u8::is_ascii_lowercase);
    let digits = word.iter().any(u8::is_ascii_digit);
    word.len() >= 8 && word.iter().all(coded) && (mixed || word.ends_with(b"=") || (digits && word.len() >= 16))
}
