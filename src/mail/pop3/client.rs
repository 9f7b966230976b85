//! The client's lines: commands, responses to challenges, what is held behind STLS.

use super::Pop3;
use super::command::{Kind, Parsed};
use crate::diagnostic::Code;
use crate::event::{Command, EventBody, Text};
use crate::mail::hold::{Pause, Pauses};
use crate::mail::line::{Line, LineBuffer, LineEnd};
use crate::mail::queue::Pending;
use crate::mail::sasl::{Exchange, MASK, is_response, shown_mechanism};
use crate::mail::{Advance, Chunk, Context, Missing, Next};
use crate::position::{Direction, Span};

const CLIENT: usize = 0;

impl Pauses for Pop3 {
    fn pause(&mut self) -> &mut Pause {
        &mut self.pause
    }

    fn client_lines(&mut self, mut chunk: Chunk<'_>, cx: &mut Context<'_>) -> Option<usize> {
        let mut lines = std::mem::take(&mut self.lines[CLIENT]);
        let mut behind = None;
        while let Some(line) = lines.next(&mut chunk, cx.limits.line_bytes) {
            if self.client_line(line, cx) {
                self.pause.on = true;
                behind = Some(chunk.bytes.len());
                break;
            }
        }
        self.lines[CLIENT] = lines;
        behind
    }

    fn lose_client(&mut self, missing: Missing, cx: &mut Context<'_>) {
        self.lose(Direction::Client, missing, cx);
    }

    fn assume_accepted(&mut self) {
        self.queue.waiting.pop_back();
    }
}

impl Pop3 {
    /// One line; whether it is STLS.
    fn client_line(&mut self, line: Line<'_>, cx: &mut Context<'_>) -> bool {
        if !self.whole(Direction::Client, &line, cx) {
            return false;
        }
        if let Some(seq) = self.transmits {
            self.skip(line.wire_len());
            if line.bytes == b"." {
                self.transmits = None;
                cx.out.diagnose(line.span, Code::Skipped, "a mail that the client sent with XTND XMIT");
                self.client_speaks(false, line.span, cx);
                let pending = Pending::new(Kind::Single, "XTND".into(), seq, line.span.last.ts);
                self.queue.send(pending, line.span, cx);
            }
            return false;
        }
        let parsed = Parsed::new(line.bytes);
        if self.response(&parsed, &line, cx) {
            return false;
        }
        if self.lost[CLIENT] {
            if parsed.kind == Kind::Unknown {
                // The rest of a line whose beginning is missing, perhaps of a password.
                cx.passes_over(line.bytes);
                self.skip(line.bytes.len());
                self.unseen = self.unseen.saturating_add(1);
                self.client_speaks(true, line.span, cx);
                return false;
            }
            self.found(Direction::Client, line.span, cx);
        }
        self.client_speaks(false, line.span, cx);
        self.settle_guess(cx);
        self.command(&parsed, line.span, cx);
        parsed.kind == Kind::StartTls
    }

    /// Whether the line is to be read: the rest of an overlong one is not.
    pub(super) fn whole(&mut self, dir: Direction, line: &Line<'_>, cx: &mut Context<'_>) -> bool {
        let rest = std::mem::replace(&mut self.overlong[dir.index()], line.end == LineEnd::TooLong);
        if rest {
            self.skip(line.bytes.len());
            return false;
        }
        match line.end {
            LineEnd::TooLong => {
                cx.out.diagnose(line.span, Code::LongLine, format!("cut at {} bytes", line.bytes.len()))
            }
            LineEnd::Lf => self.tell_bare_lf(dir, line.span, cx),
            LineEnd::CrLf | LineEnd::Missing => {}
        }
        true
    }

    /// Takes the line as a response in an AUTH exchange, if it is one: after a challenge always, before it when it is
    /// no command (the client did not wait, or the challenge is missing).
    fn response(&mut self, parsed: &Parsed<'_>, line: &Line<'_>, cx: &mut Context<'_>) -> bool {
        let first = self.joined && self.told.commands == 0 && self.queue.waiting.is_empty();
        if first && parsed.kind == Kind::Unknown && is_response(line.bytes) {
            self.queue.join_exchange(Kind::Auth, line.span, cx.tls);
        }
        let challenged = std::mem::take(&mut self.challenged);
        let early = !challenged && self.queue.unasked(cx);
        let waiting = if challenged { self.queue.waiting.front_mut() } else { self.queue.waiting.back_mut() };
        let Some(pending) = waiting.filter(|pending| pending.kind == Kind::Auth) else { return false };
        if !challenged && parsed.kind != Kind::Unknown {
            return false;
        }
        let Some(exchange) = pending.exchange.as_mut() else { return false };
        let args = cx.respond(exchange, line.bytes, line.span);
        let reveals = exchange.take_revealed();
        let command = Command { tls: cx.tls, args, assumed: cx.one_sided, ..Command::default() };
        let seq = cx.out.push(line.span, EventBody::Command(command));
        pending.respond(seq, line.span.last.ts, early);
        self.queue.client_responds();
        cx.warn_of_plaintext(reveals, line.span);
        true
    }

    /// The end of a packet is missing, and its beginning answers a challenge: nothing else is missing then.
    pub(super) fn take_cut_response(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(pending) = self.queue.waiting.front_mut().filter(|pending| pending.kind == Kind::Auth) else {
            return false;
        };
        if !self.challenged || self.lines[CLIENT].at_start() {
            return false;
        }
        let Some((_, span)) = self.lines[CLIENT].take_pending() else { return false };
        self.challenged = false;
        if let Some(exchange) = &mut pending.exchange {
            exchange.gap();
        }
        let args = MASK.into();
        let command = Command { tls: cx.tls, args, assumed: cx.one_sided, incomplete: true, ..Command::default() };
        let seq = cx.out.push(span, EventBody::Command(command));
        pending.respond(seq, span.last.ts, false);
        self.queue.client_responds();
        true
    }

    fn command(&mut self, parsed: &Parsed<'_>, span: Span, cx: &mut Context<'_>) {
        let (args, mut exchange) = self.interpret(parsed, span, cx);
        let reveals = exchange.as_mut().is_some_and(Exchange::take_revealed);
        let verb = verb(parsed);
        let mut command =
            Command { tls: cx.tls, verb: verb.clone(), args, assumed: cx.one_sided, ..Command::default() };
        if parsed.kind == Kind::Unknown {
            cx.veil(&mut command);
        }
        self.told.commands += u64::from(!command.verb.is_empty());
        let seq = cx.out.push(span, EventBody::Command(command));
        cx.warn_of_plaintext(reveals, span);
        let pending = Pending::new(parsed.kind, verb, seq, span.last.ts);
        let pending = Pending { number: parsed.number(), exchange, ..pending };
        self.queue.send(pending, span, cx);
    }

    /// The arguments as they may be shown, and the exchange that the command begins.
    fn interpret(&mut self, parsed: &Parsed<'_>, span: Span, cx: &mut Context<'_>) -> (Text, Option<Exchange>) {
        let args = parsed.args;
        let shown = shown_args(parsed, cx);
        match parsed.kind {
            Kind::Single if parsed.verb.eq_ignore_ascii_case(b"USER") => {
                self.login_user = Some(args.trim_ascii().to_vec());
                cx.authenticates(b"");
                (shown, None)
            }
            Kind::Password => {
                let user = self.login_user.clone().unwrap_or_default();
                cx.authenticates(&joined(b"PASS", args).0);
                // Everything behind the one space is the password, blanks too (RFC 1939 §7).
                let mut exchange = Exchange::password("USER", &user, Some(args), cx.tls, span, cx.options);
                if self.login_user.is_none() {
                    exchange.forget_user();
                }
                cx.understands();
                (shown, Some(exchange))
            }
            Kind::Apop => {
                let (user, digest) = split_last(args);
                cx.authenticates(digest);
                cx.understands();
                (shown, Some(Exchange::apop(&self.greeting, user, digest, cx.tls, span, cx.options)))
            }
            Kind::Auth => {
                let (mechanism, initial) = split_first(args);
                cx.authenticates(b"");
                let mut exchange = Exchange::sasl(mechanism, cx.tls, span);
                let name = shown_mechanism(mechanism, cx.options);
                let shown = match initial {
                    [] => name,
                    initial => joined(&name.0, &cx.respond(&mut exchange, initial, span).0),
                };
                (shown, Some(exchange))
            }
            Kind::Unknown => (shown, None),
            _ => {
                cx.understands();
                (shown, None)
            }
        }
    }

    /// Commands behind STLS that came before TLS did.
    pub(super) fn injected(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
        let mut rest = chunk;
        let mut lines = LineBuffer::default();
        let mut auth = false;
        while let Some(line) = lines.next(&mut rest, cx.limits.line_bytes) {
            inject(line.bytes, line.span, &mut auth, cx);
        }
        if let Some((bytes, span)) = lines.take_pending() {
            inject(&bytes, span, &mut auth, cx);
        }
        Advance { consumed: chunk.bytes.len(), next: Next::Continue }
    }
}

/// Tells an injected command. Behind an AUTH, what is no command is a response.
fn inject(line: &[u8], span: Span, auth: &mut bool, cx: &mut Context<'_>) {
    let parsed = Parsed::new(line);
    let response = *auth && parsed.kind == Kind::Unknown;
    let (verb, args) = if response {
        (Text::default(), if cx.options.show_secrets { line.into() } else { MASK.into() })
    } else {
        *auth = parsed.kind == Kind::Auth;
        let (mechanism, initial) = split_first(parsed.args);
        let masked = *auth && !initial.is_empty() && !cx.options.show_secrets;
        let args = if masked { joined(mechanism, MASK.as_bytes()) } else { shown_args(&parsed, cx) };
        (verb(&parsed), args)
    };
    let mut command = Command { tls: cx.tls, verb, args, injected: true, ..Command::default() };
    if parsed.kind == Kind::Unknown && !response {
        cx.veil(&mut command);
    }
    cx.out.push(span, EventBody::Command(command));
}

fn verb(parsed: &Parsed<'_>) -> Text {
    match parsed.kind {
        Kind::Unknown => parsed.verb.into(),
        _ => Text(parsed.verb.to_ascii_uppercase()),
    }
}

/// The arguments with PASS's password and APOP's digest masked; AUTH's are its exchange's to judge.
fn shown_args(parsed: &Parsed<'_>, cx: &Context<'_>) -> Text {
    match parsed.kind {
        Kind::Password if !cx.options.show_secrets => MASK.into(),
        Kind::Apop if !cx.options.show_secrets => joined(split_last(parsed.args).0, MASK.as_bytes()),
        _ => parsed.args.into(),
    }
}

fn joined(head: &[u8], tail: &[u8]) -> Text {
    Text([head, b" ", tail].concat())
}

fn split_first(args: &[u8]) -> (&[u8], &[u8]) {
    let args = args.trim_ascii();
    let end = args.iter().position(u8::is_ascii_whitespace).unwrap_or(args.len());
    let (head, tail) = args.split_at(end);
    (head, tail.trim_ascii())
}

/// The name, which may hold blanks, and the last word.
fn split_last(args: &[u8]) -> (&[u8], &[u8]) {
    let args = args.trim_ascii();
    match args.iter().rposition(u8::is_ascii_whitespace) {
        Some(at) => (args[..at].trim_ascii_end(), &args[at + 1..]),
        None => (args, b""),
    }
}
