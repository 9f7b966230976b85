//! One command while its text comes, and what it means once it is whole.

use super::Imap;
use super::append::{Append, Role};
use super::client::{State, Wait};
use super::pending::{Appended, Effect, Only, Pending, partial, ranges};
use super::tokens::{Token, Tokens};
use super::verbs;
use crate::diagnostic::Code;
use crate::event::{Command, EventBody, MessageOutcome, Text};
use crate::limits::Limits;
use crate::mail::sasl::{Exchange, MASK, shown_mechanism};
use crate::mail::{Context, Next};
use crate::position::Span;

/// Leading words kept of a command that needs them: LOGIN has two, APPEND keeps its own.
const WORDS: usize = 4;

/// A command that is not over yet.
pub(super) struct Open {
    /// Its reserved place.
    pub(super) seq: u64,
    /// Its frames so far.
    pub(super) span: Span,
    pub(super) tag: Option<Vec<u8>>,
    /// What the server takes for its tag.
    reply_tag: Vec<u8>,
    /// In upper case, if known.
    verb: Text,
    known: Option<&'static str>,
    args: Vec<u8>,
    /// The text was longer than its bound.
    pub(super) long: bool,
    /// Its end, or a part of it, is missing.
    pub(super) incomplete: bool,
    /// Its first words, literals among them.
    words: Vec<Vec<u8>>,
    keeps_words: bool,
    pub(super) append: Option<Append>,
    /// What the literal that was announced is.
    pub(super) role: Role,
    pub(super) messages: Vec<Appended>,
    pub(super) transaction: Option<u64>,
    /// The server answered before the command was over.
    pub(super) answered: Option<Answer>,
    /// Bytes of the server are missing since it began.
    pub(super) unheard: bool,
    /// A lone word that may be a response to a challenge that was not seen.
    secret: bool,
}

/// The reply to a command's messages.
pub(super) struct Answer {
    pub(super) outcome: MessageOutcome,
    pub(super) status: Text,
}

impl Open {
    /// Memory that it takes, roughly.
    pub(super) fn cost(&self) -> usize {
        let words = self.words.iter().map(Vec::capacity).sum::<usize>();
        let messages = self.messages.iter().map(Appended::cost).sum::<usize>();
        let tags = self.tag.as_ref().map_or(0, Vec::capacity) + self.reply_tag.capacity();
        let status = self.answered.as_ref().map_or(0, |answer| answer.status.heap());
        size_of::<Self>() + tags + self.verb.heap() + self.args.capacity() + words + messages + status
    }

    /// Reads tag and verb; gives the rest of the line. `uncertain`: a lone word need not be a command.
    pub(super) fn begin<'a>(text: &'a [u8], uncertain: bool, span: Span, cx: &mut Context<'_>) -> (Self, &'a [u8]) {
        let (first, rest) = verbs::word(text);
        let (second, args) = verbs::word(rest);
        let mut open = Open {
            seq: cx.out.reserve(),
            span,
            tag: None,
            reply_tag: first.to_vec(),
            verb: Text::default(),
            known: None,
            args: Vec::new(),
            long: false,
            incomplete: false,
            words: Vec::new(),
            keeps_words: false,
            append: None,
            role: Role::Argument,
            messages: Vec::new(),
            transaction: None,
            answered: None,
            unheard: false,
            secret: false,
        };
        let mut args = args;
        open.known = verbs::known(second);
        if second.is_empty() || (open.known.is_none() && verbs::known(first).is_some()) {
            // No tag: typed by hand, or a response to a challenge.
            open.known = verbs::known(first);
            open.secret = open.known.is_none() && uncertain;
            // The server takes a lone word for the tag, and answers with it.
            open.tag = (open.known.is_none() && !uncertain).then(|| first.to_vec());
            open.verb = open.known.map_or_else(|| first.into(), Text::from);
            args = rest;
        } else {
            open.tag = Some(first.to_vec());
            open.verb = open.known.map_or_else(|| second.into(), Text::from);
        }
        if open.known == Some("UID") {
            let (second, behind) = verbs::word(args);
            if let Some(whole) = verbs::uid(second) {
                open.known = Some(whole);
                open.verb = whole.into();
                args = behind;
            }
        }
        let keeps = ["LOGIN", "AUTHENTICATE", "SELECT", "EXAMINE", "COMPRESS"];
        open.keeps_words = open.known.is_some_and(|k| keeps.contains(&k));
        open.append = open.known.and_then(Append::of);
        (open, args)
    }

    /// It reaches to the end of those bytes.
    pub(super) fn reach(&mut self, span: Span) {
        self.span = self.span.to(span);
    }

    /// Whether its lines may end in literals: commands without arguments have none, however they end.
    pub(super) fn takes_literals(&self) -> bool {
        !matches!(self.known, Some("STARTTLS" | "LOGOUT" | "NOOP" | "CAPABILITY" | "IDLE")) && !self.secret
    }

    /// The next text, whole and without the literal's announcement.
    pub(super) fn text(&mut self, text: &[u8], before: &[u8], span: Span, cx: &mut Context<'_>) {
        let room = cx.limits.line_bytes.saturating_sub(self.args.len());
        self.args.extend(text.iter().take(room));
        if room < text.len() && !std::mem::replace(&mut self.long, true) {
            cx.out.diagnose(span, Code::LongLine, "a command is too long; its end is left out");
        }
        if self.keeps_words && self.words.len() < WORDS {
            let words = if self.is("LOGIN") { Tokens::bare(before) } else { Tokens::new(before) };
            let words = words.filter_map(|word| match word {
                Token::Quoted(content) => Some(content.into_owned()),
                Token::Atom(atom) => Some(atom.to_vec()),
                Token::Open | Token::Close => None,
            });
            self.words.extend(words.take(WORDS - self.words.len()));
        }
    }

    /// An argument that came as a literal.
    pub(super) fn argument_literal(&mut self, content: &[u8], limits: &Limits) {
        let room = limits.line_bytes.saturating_sub(self.args.len());
        if room > 0 && !content.is_empty() {
            self.args.push(b' ');
            self.args.extend(content.iter().take(room - 1));
        }
        if self.keeps_words && self.words.len() < WORDS {
            self.words.push(content.to_vec());
        }
    }

    /// The tag that its reply will carry.
    pub(super) fn reply_tag(&self) -> &[u8] {
        &self.reply_tag
    }

    fn word(&self, at: usize) -> Option<&[u8]> {
        self.words.get(at).map(Vec::as_slice)
    }

    fn is(&self, verb: &str) -> bool {
        self.known == Some(verb)
    }
}

impl Imap {
    /// The open command is over; `whole` when it ended as it should and the server will act on it.
    pub(super) fn complete(&mut self, whole: bool, cx: &mut Context<'_>) -> Next {
        let Some(open) = self.client.open.take() else { return Next::Continue };
        let mut open = *open;
        self.client.scanner = super::fragment::Scanner::default();
        let mut effect = self.effect(&open);
        let args = self.shown_args(&mut open, whole, &mut effect, cx);
        let mut command = Command {
            tls: cx.tls,
            verb: if open.secret { Text::default() } else { std::mem::take(&mut open.verb) },
            args,
            tag: open.tag.as_deref().map(Text::from),
            injected: cx.injected,
            assumed: cx.one_sided,
            incomplete: open.incomplete,
        };
        if let Some("APPEND" | "URLFETCH") = open.known {
            cx.veil_urls(&mut command.args);
        }
        match open.known {
            None => cx.veil(&mut command),
            Some("AUTHENTICATE") => {}
            // Its password may be in a literal that was refused.
            Some("LOGIN") if !whole || open.word(1).is_none() => {}
            Some(_) => cx.understands(),
        }
        self.shared.commands += u64::from(!cx.injected && !command.verb.is_empty());
        cx.out.push_at(open.seq, open.span, EventBody::Command(command));
        let reveals = match &mut effect {
            Effect::Auth(exchange) => exchange.take_revealed(),
            _ => false,
        };
        cx.warn_of_plaintext(reveals && !cx.injected, open.span);
        if cx.injected || open.secret {
            self.shared.settle(open.messages, MessageOutcome::Unknown, None, None, cx.out);
            return Next::Continue;
        }
        if let Some(answer) = open.answered {
            self.shared.settle(open.messages, answer.outcome, Some(&answer.status), None, cx.out);
            if let Effect::Auth(exchange) = effect {
                let outcome = match answer.outcome {
                    MessageOutcome::Accepted => crate::event::AuthOutcome::Success,
                    _ => crate::event::AuthOutcome::Failure,
                };
                self.shared.login.over(*exchange, outcome, open.span, cx);
            }
            return Next::Continue;
        }
        let next = if whole && open.tag.is_some() { self.act(&open, &effect, cx) } else { Next::Continue };
        let pending = Pending {
            tag: open.reply_tag,
            last: open.span.last,
            effect,
            messages: open.messages,
            doubtful: open.unheard,
            gap_behind: false,
            transaction: open.transaction,
        };
        if self.shared.table.len() >= cx.limits.pending_commands
            && let Some((seq, oldest)) =
                self.shared.table.oldest().and_then(|s| Some((s, self.shared.table.remove(s)?)))
        {
            if !std::mem::replace(&mut self.shared.crowded, true) && !self.shared.client_only() {
                cx.out.diagnose(open.span, Code::EntryLimit, "more commands without a reply than are kept");
            }
            self.without_reply(seq, oldest, open.span, cx);
        }
        self.shared.table.insert(open.seq, pending);
        next
    }

    /// What the client does next depends on some commands.
    fn act(&mut self, open: &Open, effect: &Effect, cx: &Context<'_>) -> Next {
        match effect {
            Effect::Auth(_) if open.is("AUTHENTICATE") => self.client.auth = Some(open.seq),
            Effect::Idle => (self.client.idle, self.client.idle_to_begin) = (Some(open.seq), Some(open.seq)),
            Effect::StartTls if cx.one_sided => return Next::StartTls,
            Effect::Compress if cx.one_sided => {
                self.shared.deflate = true;
                return Next::Deflate;
            }
            Effect::StartTls => self.client.state = State::Wait(Wait::StartTls),
            Effect::Compress => self.client.state = State::Wait(Wait::Compress),
            Effect::Logout => self.shared.logout = true,
            _ => {}
        }
        Next::Continue
    }

    fn effect(&self, open: &Open) -> Effect {
        match open.known {
            // Of a name that is cut nothing is known.
            Some("SELECT" | "EXAMINE") if open.incomplete => Effect::Deselect,
            Some("SELECT" | "EXAMINE") => Effect::Select(open.word(0).unwrap_or_default().into(), None),
            Some("CLOSE" | "UNSELECT") => Effect::Deselect,
            Some("FETCH" | "UID FETCH") => {
                Effect::Fetch(Only::of(&open.args, open.is("UID FETCH")), ranges(&open.args))
            }
            Some("PARTIAL") => partial(&open.args).map_or(Effect::None, Effect::Partial),
            Some("IDLE") => Effect::Idle,
            Some("STARTTLS") => Effect::StartTls,
            Some("COMPRESS") if open.word(0).is_some_and(|w| w.eq_ignore_ascii_case(b"DEFLATE")) => Effect::Compress,
            Some("LOGOUT") => Effect::Logout,
            _ => Effect::None,
        }
    }

    /// The arguments without what is secret in them; begins the authentication that they belong to.
    fn shown_args(&mut self, open: &mut Open, whole: bool, effect: &mut Effect, cx: &mut Context<'_>) -> Text {
        if open.secret {
            return MASK.into();
        }
        if open.is("LOGIN") {
            let Some(mut user) = open.word(0).map(<[u8]>::to_vec) else { return Text::default() };
            let password = open.word(1);
            let announced = open.args.last() == Some(&b'}');
            // An odd spelling: what is behind the blank may be the password.
            let blank = user.iter().position(u8::is_ascii_whitespace).filter(|_| password.is_none() && !announced);
            if let Some(blank) = blank {
                user.truncate(blank);
            }
            // Its end may be missing.
            let cut = !whole && password.is_none() && !announced;
            cx.authenticates(&open.args);
            let mut exchange = Exchange::password("LOGIN-COMMAND", &user, password, cx.tls, open.span, cx.options);
            if cut {
                exchange.forget_user();
            }
            if cut || open.incomplete || blank.is_some() {
                exchange.gap();
            }
            *effect = Effect::Auth(Box::new(exchange));
            if cx.options.show_secrets {
                return std::mem::take(&mut open.args).into();
            }
            let mut shown = if user.is_empty() && !cut { b"\"\"".to_vec() } else { user };
            if password.is_some() || announced || blank.is_some() {
                shown.push(b' ');
                shown.extend_from_slice(MASK.as_bytes());
            }
            return shown.into();
        }
        if open.is("AUTHENTICATE") {
            let Some(mechanism) = open.word(0).map(<[u8]>::to_vec) else { return Text::default() };
            let torn = open.incomplete && open.word(1).is_none();
            let mechanism_known = if torn { &b""[..] } else { &mechanism };
            let mut exchange = Exchange::sasl(mechanism_known, cx.tls, open.span);
            cx.authenticates(b"");
            let mut shown = shown_mechanism(&mechanism, cx.options).0;
            if let Some(initial) = open.word(1) {
                shown.push(b' ');
                if open.incomplete {
                    exchange.gap();
                    shown.extend_from_slice(MASK.as_bytes());
                } else {
                    shown.extend_from_slice(&cx.respond(&mut exchange, initial, open.span).0);
                }
            }
            *effect = Effect::Auth(Box::new(exchange));
            return shown.into();
        }
        std::mem::take(&mut open.args).into()
    }
}
