//! The client's commands, and its responses in an AUTHENTICATE exchange.

use super::lines::{Lines, Logical, Word};
use super::{Kind, Sieve};
use crate::event::{Command, EventBody, Text};
use crate::mail::hold::{Pause, Pauses};
use crate::mail::queue::Pending;
use crate::mail::sasl::{Exchange, MASK, is_mechanism, is_response, shown_mechanism};
use crate::mail::{Advance, Chunk, Context, Missing, Next};
use crate::position::Direction;

const CLIENT: usize = 0;

impl Pauses for Sieve {
    fn pause(&mut self) -> &mut Pause {
        &mut self.pause
    }

    fn client_lines(&mut self, mut chunk: Chunk<'_>, cx: &mut Context<'_>) -> Option<usize> {
        while let Some(line) = self.lines[CLIENT].next(&mut chunk, cx.limits.line_bytes) {
            if self.client_line(&line, cx) {
                self.pause.on = true;
                return Some(chunk.bytes.len());
            }
        }
        None
    }

    fn lose_client(&mut self, missing: Missing, cx: &mut Context<'_>) {
        self.lose(Direction::Client, missing, cx);
    }

    fn assume_accepted(&mut self) {
        self.queue.waiting.pop_back();
    }
}

impl Sieve {
    /// One line; whether it is STARTTLS.
    fn client_line(&mut self, line: &Logical, cx: &mut Context<'_>) -> bool {
        self.tell_oddities(Direction::Client, line, cx);
        let (verb, args) = split_verb(&line.text);
        let kind = Kind::of(verb);
        if self.response(kind, line, cx) {
            return false;
        }
        if self.lost[CLIENT] {
            if kind == Kind::Unknown {
                cx.passes_over(&line.text);
                self.skip(line.text.len());
                self.queue.client_lost(self.replying(), line.span, cx);
                return false;
            }
            self.found(Direction::Client, line.span, cx);
        }
        self.queue.client_speaks(self.replying(), line.span, cx);
        self.command(kind, verb, args, line, cx);
        kind == Kind::StartTls
    }

    /// Takes the line as a response in an AUTHENTICATE exchange, if it is one: a string alone.
    fn response(&mut self, kind: Kind, line: &Logical, cx: &mut Context<'_>) -> bool {
        let first = self.joined && self.told.commands == 0 && self.queue.waiting.is_empty();
        if first
            && kind == Kind::Unknown
            && let [word] = line.words().as_slice()
            && is_response(word.value())
        {
            self.queue.join_exchange(Kind::Authenticate, line.span, cx.tls);
        }
        let challenged = std::mem::take(&mut self.challenged);
        let early = !challenged && self.queue.unasked(cx);
        let waiting = if challenged { self.queue.waiting.front_mut() } else { self.queue.waiting.back_mut() };
        let Some(pending) = waiting.filter(|pending| pending.kind == Kind::Authenticate) else { return false };
        if kind != Kind::Unknown {
            return false;
        }
        let Some(exchange) = pending.exchange.as_mut() else { return false };
        let words = line.words();
        let args = match words.first() {
            Some(word) => respond(exchange, word, line, &line.text, cx),
            None => cx.respond(exchange, &line.text, line.span),
        };
        let reveals = exchange.take_revealed();
        let command = Command { tls: cx.tls, args, assumed: cx.one_sided, ..Command::default() };
        let seq = cx.out.push(line.span, EventBody::Command(command));
        pending.respond(seq, line.span.last.ts, early);
        self.queue.client_responds();
        cx.warn_of_plaintext(reveals, line.span);
        true
    }

    fn command(&mut self, kind: Kind, verb: &[u8], args: &[u8], line: &Logical, cx: &mut Context<'_>) {
        let span = line.span;
        let mut shown = match kind {
            // A password perhaps.
            Kind::Authenticate | Kind::Unknown => args.into(),
            _ => line.shown(args, [&b"PUTSCRIPT"[..], b"CHECKSCRIPT"].iter().any(|v| v.eq_ignore_ascii_case(verb))),
        };
        let mut exchange = None;
        if kind == Kind::Authenticate {
            cx.authenticates(b"");
            let words = line.words_of(args);
            let mechanism = words.first().map(Word::value).unwrap_or_default();
            let mut begun = Exchange::sasl(mechanism, cx.tls, span);
            if !is_mechanism(mechanism) {
                shown = shown_mechanism(mechanism, cx.options);
            }
            if let Some(initial) = words.get(1) {
                let at = args.len() - raw_tail(args).len();
                let response = respond(&mut begun, initial, line, raw_tail(args), cx);
                shown = Text([args.get(..at).unwrap_or_default(), &response.0].concat());
            }
            exchange = Some(begun);
        }
        let reveals = exchange.as_mut().is_some_and(Exchange::take_revealed);
        let verb = shown_verb(kind, verb);
        let mut command =
            Command { tls: cx.tls, verb: verb.clone(), args: shown, assumed: cx.one_sided, ..Command::default() };
        match kind {
            Kind::Unknown => cx.veil(&mut command),
            Kind::Authenticate => {}
            _ => cx.understands(),
        }
        self.told.commands += u64::from(!command.verb.is_empty());
        let seq = cx.out.push(span, EventBody::Command(command));
        cx.warn_of_plaintext(reveals, span);
        // What the server says next is an answer, from its first line on.
        self.lost[1] &= !self.joined || self.told.skipped_bytes > 0;
        self.scripts.command(seq, &verb, args, line, cx);
        let sent = span.last.ts;
        let pending = Pending { exchange, ..Pending::new(kind, verb, seq, sent) };
        self.queue.send(pending, span, cx);
    }
}

/// Hands a response to its exchange; what may be shown in the place of `raw`, its text in the line.
fn respond(exchange: &mut Exchange, word: &Word, line: &Logical, raw: &[u8], cx: &mut Context<'_>) -> Text {
    if line.partial {
        exchange.gap();
    }
    let shown = cx.respond(exchange, word.value(), line.span);
    match word {
        // The size stands for the literal.
        Word::Literal(_) => raw.into(),
        _ if shown.0 == word.value() => raw.into(),
        Word::Quoted(_) => Text([b"\"", shown.0.as_slice(), b"\""].concat()),
        Word::Atom(_) | Word::Code(_) => shown,
    }
}

/// What follows the first word of AUTHENTICATE's arguments.
fn raw_tail(args: &[u8]) -> &[u8] {
    let args = args.trim_ascii_start();
    let end = match args {
        [b'"', quoted @ ..] => quoted.iter().position(|&byte| byte == b'"').map_or(args.len(), |at| at + 2),
        bare => bare.iter().position(|&byte| byte == b' ').unwrap_or(bare.len()),
    };
    args.get(end..).unwrap_or_default().trim_ascii_start()
}

pub(super) fn split_verb(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|&byte| byte == b' ').unwrap_or(text.len());
    let (verb, rest) = text.split_at(end);
    (verb, rest.get(1..).unwrap_or_default())
}

fn shown_verb(kind: Kind, verb: &[u8]) -> Text {
    if kind == Kind::Unknown { verb.into() } else { Text(verb.to_ascii_uppercase()) }
}

/// Commands behind STARTTLS that came before TLS did.
pub(super) fn injected(chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
    let mut lines = Lines::default();
    let mut rest = chunk;
    let mut auth = false;
    let mut inject = |line: &Logical, cx: &mut Context<'_>| {
        let (verb, args) = split_verb(&line.text);
        let kind = Kind::of(verb);
        let command = Command { tls: cx.tls, injected: true, ..Command::default() };
        let mask = |text: &[u8]| if cx.options.show_secrets { text.into() } else { Text::from(MASK) };
        let command = if auth && kind == Kind::Unknown {
            Command { args: mask(&line.text), ..command }
        } else {
            auth = kind == Kind::Authenticate;
            let tail = raw_tail(args);
            let args = if auth && !tail.is_empty() {
                Text([args.get(..args.len() - tail.len()).unwrap_or_default(), &mask(tail).0].concat())
            } else {
                args.into()
            };
            let mut command = Command { verb: shown_verb(kind, verb), args, ..command };
            if kind == Kind::Unknown {
                cx.veil(&mut command);
            }
            command
        };
        cx.out.push(line.span, EventBody::Command(command));
    };
    while let Some(line) = lines.next(&mut rest, cx.limits.line_bytes) {
        inject(&line, cx);
    }
    // A last line without its end.
    if let Some(line) = lines.next(&mut Chunk { bytes: b"\r\n", span: chunk.span }, cx.limits.line_bytes)
        && !line.text.is_empty()
    {
        inject(&line, cx);
    }
    Advance { consumed: chunk.bytes.len(), next: Next::Continue }
}
