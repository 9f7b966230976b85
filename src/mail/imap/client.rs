//! The client's direction: commands, their literals, and what has to wait for the server's word.

use super::Imap;
use super::append::Role;
use super::command::Open;
use super::fragment::{Announced, Scanner, before_announcement};
use super::pending::{Appended, Effect, Pending};
use super::{plausible, verbs};
use crate::diagnostic::Code;
use crate::event::{Command, EventBody, MessageDirection, Text};
use crate::mail::hold::{Front, Hold};
use crate::mail::line::{Line, LineBuffer, LineEnd};
use crate::mail::message::MessageBuilder;
use crate::mail::sasl::{Exchange, is_response};
use crate::mail::{Advance, Chunk, Context, Missing, Next};
use crate::position::{Direction, Span};

/// Largest literal believed without the server's consent: RFC 3501 §9 has numbers of 32 bits.
pub(super) const BELIEVED: u64 = u32::MAX as u64;
/// Bytes needed to tell a command from literal data, when the server's answer is missing.
const TELLING: usize = 64;

/// What the next byte is.
#[derive(Default)]
pub(super) enum State {
    /// Text of a line.
    #[default]
    Lines,
    /// Data of a literal.
    Literal(Box<Literal>),
    /// Not known before the server answers.
    Wait(Wait),
    /// Not known; the next line to trust is looked for.
    Resync,
}

/// What the client waits for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Leave to send a literal of that many bytes.
    Literal(u64),
    /// The answer to STARTTLS.
    StartTls,
    /// The answer to COMPRESS DEFLATE.
    Compress,
}

/// A literal on its way.
pub(super) struct Literal {
    rest: u64,
    role: Role,
    builder: Option<MessageBuilder>,
    /// An argument's bytes, bounded.
    content: Vec<u8>,
    /// Its end is not exactly known: look for a line to trust.
    then_resync: bool,
}

/// The client's direction.
#[derive(Default)]
pub(super) struct Client {
    pub(super) lines: LineBuffer,
    pub(super) scanner: Scanner,
    pub(super) state: State,
    /// The command whose text is coming.
    pub(super) open: Option<Box<Open>>,
    /// `seq` of the AUTHENTICATE under way.
    pub(super) auth: Option<u64>,
    /// The server asked for the next line with `+`, so that it is a response whatever it looks like.
    pub(super) challenged: bool,
    /// `seq` of the IDLE under way.
    pub(super) idle: Option<u64>,
    /// The same, while its `+` has not come: `DONE` may be sent behind it at once.
    pub(super) idle_to_begin: Option<u64>,
    pub(super) held: Hold,
    /// The server's answer to what is waited for may be lost.
    pub(super) doubtful: bool,
    /// The tag used last.
    pub(super) last_tag: Vec<u8>,
    /// The bytes at hand were injected behind STARTTLS.
    pub(super) injected: bool,
    /// Nothing followed the line at hand in its piece.
    pub(super) lone: bool,
    /// Bytes passed over since the place was lost.
    pub(super) skipped: u64,
    /// The first command since the place was found; none once the server has answered one.
    pub(super) unsure: Option<u64>,
}

impl Client {
    /// Memory beside its own fields, roughly.
    pub(super) fn cost(&self) -> usize {
        let state = match &self.state {
            State::Literal(literal) => {
                literal.builder.as_ref().map_or(0, MessageBuilder::cost) + literal.content.capacity()
            }
            _ => 0,
        };
        let open = self.open.as_ref().map_or(0, |open| open.cost());
        self.lines.cost() + state + open + self.held.cost() + self.last_tag.capacity()
    }
}

impl Imap {
    /// The client's next bytes.
    pub(super) fn client_input(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
        if self.client.injected != cx.injected {
            // What was injected does not run on into what comes inside TLS.
            self.client = Client { injected: cx.injected, ..Client::default() };
        }
        let mut rest = chunk.bytes;
        let mut next = Next::Continue;
        let mut lines = std::mem::take(&mut self.client.lines);
        while !rest.is_empty() && next == Next::Continue {
            match &mut self.client.state {
                State::Literal(literal) => {
                    let room = usize::try_from(literal.rest).unwrap_or(usize::MAX).min(rest.len());
                    let (data, after) = rest.split_at(room);
                    literal.data(data, chunk.span, cx);
                    if let Some(open) = &mut self.client.open {
                        open.reach(chunk.span);
                    }
                    rest = after;
                    self.literal_if_over(cx);
                }
                &mut State::Wait(wait) => {
                    self.client.lines = std::mem::take(&mut lines);
                    let (taken, then) = self.wait(wait, Chunk { bytes: rest, span: chunk.span }, cx);
                    lines = std::mem::take(&mut self.client.lines);
                    rest = rest.get(taken..).unwrap_or_default();
                    next = then;
                }
                State::Lines | State::Resync => {
                    let mut input = Chunk { bytes: rest, span: chunk.span };
                    let line = lines.next(&mut input, cx.limits.line_bytes);
                    rest = rest.get(rest.len() - input.bytes.len()..).unwrap_or_default();
                    let Some(line) = line else { break };
                    self.client.lone = rest.is_empty();
                    next = self.client_line(line, cx);
                }
            }
        }
        self.client.lines = lines;
        Advance { consumed: chunk.bytes.len() - rest.len(), next }
    }

    /// Bytes came although the server has not answered. Gives how many were taken.
    fn wait(&mut self, wait: Wait, chunk: Chunk<'_>, cx: &mut Context<'_>) -> (usize, Next) {
        let doubtful = self.client.doubtful || cx.one_sided;
        let enough = self.client.held.bytes().len() >= cx.limits.line_bytes;
        match wait {
            Wait::StartTls if doubtful && self.client.held.is_empty() => {
                self.client.state = State::Lines;
                // A handshake record: the answer was yes.
                let tls = chunk.bytes.first() == Some(&22);
                return (0, if tls { Next::StartTls } else { Next::Continue });
            }
            _ => {}
        }
        self.client.held.push(chunk);
        if let Wait::Compress = wait
            && doubtful
        {
            return (chunk.bytes.len(), self.compressed_unheard(cx));
        }
        if enough {
            if let Wait::Literal(len) = wait {
                self.accept_literal(len, cx);
            }
            self.release(cx);
        } else if let Wait::Literal(len) = wait
            && doubtful
        {
            let held = self.client.held.bytes();
            let head = held.get(..TELLING).unwrap_or(held);
            if head.contains(&b'\n') || head.len() >= TELLING {
                if plausible::command(first_line(head), &self.client.last_tag) {
                    self.refuse_literal(cx);
                } else {
                    self.accept_literal(len, cx);
                }
                self.release(cx);
            }
        }
        (chunk.bytes.len(), Next::Continue)
    }

    /// The answer to COMPRESS may be lost: what the client sends behind it tells.
    fn compressed_unheard(&mut self, cx: &mut Context<'_>) -> Next {
        let held = self.client.held.bytes();
        let is_text = held.iter().all(|b| matches!(b, b'\r' | b'\n' | b'\t' | b' '..=b'~'));
        if is_text && !held.contains(&b'\n') && held.len() < TELLING {
            return Next::Continue;
        }
        if is_text && plausible::command(first_line(held), &self.client.last_tag) {
            self.release(cx);
            return Next::Continue;
        }
        self.client.state = State::Lines;
        self.shared.deflate = true;
        Next::Deflate
    }

    /// The literal that was announced may be sent.
    pub(super) fn accept_literal(&mut self, len: u64, cx: &mut Context<'_>) {
        self.client.doubtful = false;
        let Some(open) = &mut self.client.open else {
            self.client.state = State::Lines;
            return;
        };
        let mut builder = None;
        if let Role::Message(part) = open.role {
            let mut message = self.shared.message(MessageDirection::Submitted, part, cx);
            if open.transaction.is_none() {
                open.transaction = Some(self.shared.begin_transaction());
            }
            message.transaction = open.transaction.unwrap_or_default();
            if let Some(append) = &open.append {
                message.mailbox.clone_from(&append.mailbox);
                message.flags.clone_from(&append.flags);
                message.internaldate.clone_from(&append.date);
            }
            builder = Some(MessageBuilder::new(message, cx.options, cx.limits));
        }
        let literal = Literal { rest: len, role: open.role, builder, content: Vec::new(), then_resync: false };
        self.client.state = State::Literal(Box::new(literal));
        self.literal_if_over(cx);
    }

    /// The literal that was announced will never be sent: the command is over.
    pub(super) fn refuse_literal(&mut self, cx: &mut Context<'_>) {
        self.client.doubtful = false;
        self.client.state = State::Lines;
        // Without its literal the command does nothing.
        self.complete(false, cx);
    }

    /// Reads on in what was held back.
    pub(super) fn release(&mut self, cx: &mut Context<'_>) {
        if let State::Wait(_) = self.client.state {
            self.client.state = State::Lines;
        }
        self.client.doubtful = false;
        let mut held = std::mem::take(&mut self.client.held);
        while let Some(Front::Bytes(chunk)) = held.front() {
            // A second STARTTLS that can't be waited for is not handed over from here: it reads on as text.
            let advance = self.client_input(chunk, cx);
            held.advance(advance.consumed);
        }
    }

    fn literal_if_over(&mut self, cx: &mut Context<'_>) {
        let State::Literal(literal) = &mut self.client.state else { return };
        if literal.rest > 0 {
            return;
        }
        if let State::Literal(literal) = std::mem::take(&mut self.client.state) {
            let resync = literal.then_resync;
            self.literal_ended(*literal, !resync, cx);
            if resync {
                self.complete(false, cx);
                self.client.state = State::Resync;
            }
        }
    }

    /// The literal's last byte, or the last that can be told to be its own.
    fn literal_ended(&mut self, literal: Literal, whole: bool, cx: &mut Context<'_>) {
        let Some(open) = &mut self.client.open else { return };
        if let Some(append) = &mut open.append {
            append.literal_ended(literal.role, &literal.content);
        }
        match literal.builder {
            None if !whole && literal.content.is_empty() => open.incomplete = true,
            None => open.argument_literal(&literal.content, cx.limits),
            Some(builder) => {
                let (message, span) = builder.finish(whole);
                // A gap that may have its end is told as one.
                if !whole && !literal.then_resync {
                    cx.out.diagnose(open.span, Code::MessageCut, "a message ended before its literal's length");
                }
                let index = open.append.as_ref().map_or(0, |a| a.index);
                let appended = Appended { seq: cx.out.reserve(), span: span.unwrap_or(open.span), index, message };
                open.messages.push(appended);
                if open.messages.len() > cx.limits.reply_lines {
                    // So many in one command: the early ones go out without their fate.
                    let early = std::mem::take(&mut open.messages);
                    let outcome = crate::event::MessageOutcome::Unknown;
                    self.shared.settle(early, outcome, None, None, cx.out);
                }
            }
        }
    }

    fn client_line(&mut self, line: Line<'_>, cx: &mut Context<'_>) -> Next {
        let too_long = line.end == LineEnd::TooLong;
        if !matches!(self.client.state, State::Resync) {
            self.shared.tell_bare_lf(Direction::Client, &line, cx);
        }
        if self.client.open.is_some() {
            return self.command_text(line.bytes, line.span, too_long, cx);
        }
        let text = line.bytes.trim_ascii_start();
        if self.client.unsure.is_some() && matches!(self.client.state, State::Lines) {
            // What looked like a command may have been a mail's text.
            self.client.state = State::Resync;
        }
        let found = matches!(self.client.state, State::Resync);
        if found {
            let first = self.shared.joined && self.shared.commands == 0;
            let done = (self.client.idle.is_some() || first) && text.eq_ignore_ascii_case(b"DONE");
            // Of a message there would be more.
            let lone = self.client.lone && self.client.skipped == 0;
            if first && lone && !done && self.client.auth.is_none() && is_response(text) {
                self.join_exchange(line.span, cx);
            }
            let response = self.client.auth.is_some() && !text.contains(&b' ');
            let numbered = first && plausible::numbered_command(text);
            if !done && !response && !numbered && !plausible::command(text, &self.client.last_tag) {
                return self.pass_over(&line, cx);
            }
            self.client.state = State::Lines;
            let skipped = std::mem::take(&mut self.client.skipped);
            self.shared.resynchronised("client", skipped, line.span, cx.out);
        }
        let challenged = std::mem::take(&mut self.client.challenged) && self.client.auth.is_some();
        if text.is_empty() && !too_long && !challenged {
            return Next::Continue;
        }
        if challenged || self.client.auth.is_some() && !text.contains(&b' ') {
            self.auth_response(text, line.span, cx);
            return Next::Continue;
        }
        if text.trim_ascii_end().eq_ignore_ascii_case(b"DONE") {
            self.done(line.span, cx);
            return Next::Continue;
        }
        if !self.shared.spoken && self.shared.commands == 0 && !cx.injected && !plausible::command(text, b"") {
            // A beginning in the middle: of a literal, say.
            let lone = verbs::known(verbs::word(verbs::word(text).1).0).is_none();
            if lone {
                self.client.state = State::Resync;
                return self.pass_over(&line, cx);
            }
        }
        let (open, args) = Open::begin(text, self.shared.uncertain || !self.shared.spoken, line.span, cx);
        if found {
            self.client.unsure.get_or_insert(open.seq);
        }
        if let Some(tag) = &open.tag {
            self.client.last_tag.clear();
            self.client.last_tag.extend_from_slice(tag);
        }
        self.client.open = Some(Box::new(open));
        self.command_text(args, line.span, too_long, cx)
    }

    fn pass_over(&mut self, line: &Line<'_>, cx: &mut Context<'_>) -> Next {
        cx.passes_over(line.bytes);
        self.client.skipped = self.client.skipped.saturating_add(line.bytes.len() as u64 + 2);
        Next::Continue
    }

    /// An authentication whose AUTHENTICATE is not in the capture goes on. Its tag is not known.
    pub(super) fn join_exchange(&mut self, span: Span, cx: &mut Context<'_>) {
        let seq = cx.out.reserve();
        let pending = Pending {
            tag: Vec::new(),
            last: span.last,
            effect: Effect::Auth(Box::new(Exchange::begun_before(cx.tls, span))),
            messages: Vec::new(),
            doubtful: false,
            gap_behind: false,
            transaction: None,
        };
        self.shared.table.insert(seq, pending);
        self.client.auth = Some(seq);
    }

    /// Lines of the authentication under way may be missing.
    pub(super) fn exchange_gap(&mut self) {
        if let Some(pending) = self.client.auth.and_then(|seq| self.shared.table.get_mut(seq))
            && let Effect::Auth(exchange) = &mut pending.effect
        {
            exchange.gap();
        }
    }

    /// A response to a challenge: secret, and not a command of its own.
    fn auth_response(&mut self, text: &[u8], span: Span, cx: &mut Context<'_>) {
        let mut args = Text::from(crate::mail::sasl::MASK);
        let mut reveals = false;
        if let Some(pending) = self.client.auth.and_then(|seq| self.shared.table.get_mut(seq)) {
            pending.last = span.last;
            if let Effect::Auth(exchange) = &mut pending.effect {
                args = cx.respond(exchange, text, span);
                reveals = exchange.take_revealed();
            }
        }
        let command = Command { tls: cx.tls, args, assumed: cx.one_sided, injected: cx.injected, ..Command::default() };
        cx.out.push(span, EventBody::Command(command));
        cx.warn_of_plaintext(reveals, span);
    }

    /// The end of an IDLE (RFC 2177).
    fn done(&mut self, span: Span, cx: &mut Context<'_>) {
        if let Some(pending) = self.client.idle.take().and_then(|seq| self.shared.table.get_mut(seq)) {
            pending.last = span.last;
        }
        self.shared.commands += u64::from(!cx.injected);
        let command = Command {
            tls: cx.tls,
            verb: "DONE".into(),
            assumed: cx.one_sided,
            injected: cx.injected,
            ..Command::default()
        };
        cx.out.push(span, EventBody::Command(command));
    }

    /// The next text of the open command: from a line's beginning or a literal's end to the line end.
    fn command_text(&mut self, text: &[u8], span: Span, too_long: bool, cx: &mut Context<'_>) -> Next {
        let Some(open) = &mut self.client.open else { return Next::Continue };
        open.reach(span);
        if too_long {
            self.client.scanner.feed(text);
            open.text(text, text, span, cx);
            if !std::mem::replace(&mut open.long, true) {
                cx.out.diagnose(span, Code::LongLine, "a command is too long; its end is left out");
            }
            return Next::Continue;
        }
        let announced = self.client.scanner.last(text);
        let Some(Announced::Literal { len, sync }) = announced.filter(|_| open.takes_literals()) else {
            if announced == Some(Announced::Bad) {
                cx.out.diagnose(span, Code::BadLength, "a command's literal has no length that makes sense");
            }
            open.text(text, text, span, cx);
            return self.complete(true, cx);
        };
        let before = before_announcement(text);
        open.role = match &mut open.append {
            Some(append) => append.text(before),
            None => Role::Argument,
        };
        open.text(text, before, span, cx);
        if !sync && len > BELIEVED {
            cx.out.diagnose(span, Code::BadLength, format!("a literal of {len} bytes"));
            return self.complete(true, cx);
        }
        if sync && !cx.one_sided && !cx.injected {
            self.client.state = State::Wait(Wait::Literal(len));
            self.client.doubtful = false;
        } else {
            self.accept_literal(len, cx);
        }
        Next::Continue
    }

    /// Bytes of the client are missing.
    pub(super) fn client_gap(&mut self, missing: Missing, cx: &mut Context<'_>) {
        let Missing { len, tail, span } = missing;
        self.client.challenged = false;
        self.client.unsure = None;
        cx.loses_client();
        self.shared.login.loses_client(missing);
        self.shared.joins.halves.commands_lost();
        self.exchange_gap();
        if let State::Wait(Wait::Literal(announced)) = self.client.state {
            // It went on sending: the server's leave is what is missing.
            self.accept_literal(announced, cx);
            self.release(cx);
        }
        let found = || plausible::command(self.client.lines.pending(), &self.client.last_tag);
        if matches!(self.client.state, State::Resync) && tail && found() {
            // A packet's end is missing, and its beginning is a command's.
            let skipped = std::mem::take(&mut self.client.skipped);
            self.shared.resynchronised("client", skipped, span, cx.out);
            self.client.state = State::Lines;
        }
        let exact = !cx.tls && !self.shared.deflate;
        let within = matches!(&self.client.state, State::Literal(literal) if exact && len <= literal.rest);
        match &mut self.client.state {
            State::Literal(literal) => {
                if let Some(builder) = &mut literal.builder {
                    builder.gap();
                }
                if exact && len <= literal.rest {
                    literal.rest -= len;
                } else {
                    // At least that much of the literal is still to come.
                    literal.rest = literal.rest.saturating_sub(len);
                    literal.then_resync = true;
                }
                self.literal_if_over(cx);
            }
            State::Wait(_) => {
                let dropped = self.client.held.take().map_or(0, |held| held.bytes.len() as u64);
                self.client.skipped = self.client.skipped.saturating_add(dropped);
            }
            State::Lines => {
                self.cut_command(cx);
                self.client.state = State::Resync;
            }
            State::Resync => {
                let pending = self.client.lines.take_pending().map_or(0, |(bytes, _)| bytes.len() as u64);
                self.client.skipped = self.client.skipped.saturating_add(pending);
            }
        }
        if !within {
            self.shared.table.commands_lost();
        }
        self.client.scanner = Scanner::default();
    }

    /// The command at hand will not be finished: tells what there is of it.
    fn cut_command(&mut self, cx: &mut Context<'_>) {
        self.partial_line(cx);
        if let Some(open) = &mut self.client.open {
            open.incomplete = true;
        }
        self.complete(false, cx);
    }

    /// The line at hand will not be finished: takes it if it is a command's.
    fn partial_line(&mut self, cx: &mut Context<'_>) {
        let Some((bytes, span)) = self.client.lines.take_pending() else { return };
        let text = bytes.trim_ascii();
        if let Some(open) = &mut self.client.open {
            open.reach(span);
            open.text(text, text, span, cx);
        } else if let State::Lines = self.client.state
            && self.client.auth.is_none()
            && plausible::command(text, &self.client.last_tag)
        {
            let (mut open, args) = Open::begin(text, true, span, cx);
            open.text(args, args, span, cx);
            self.client.open = Some(Box::new(open));
        } else {
            self.client.skipped = self.client.skipped.saturating_add(bytes.len() as u64);
        }
    }

    /// The client's direction is over: what is half done ends here.
    pub(super) fn client_end(&mut self, cx: &mut Context<'_>) {
        if let State::Wait(Wait::Literal(len)) = self.client.state
            && !self.client.held.is_empty()
        {
            self.accept_literal(len, cx);
            self.release(cx);
        } else if !self.client.held.is_empty() {
            self.release(cx);
        }
        if let State::Literal(literal) = std::mem::take(&mut self.client.state) {
            self.literal_ended(*literal, false, cx);
        }
        self.cut_command(cx);
        self.shared.skipped = self.shared.skipped.saturating_add(std::mem::take(&mut self.client.skipped));
    }
}

impl Literal {
    fn data(&mut self, bytes: &[u8], span: Span, cx: &mut Context<'_>) {
        self.rest = self.rest.saturating_sub(bytes.len() as u64);
        match &mut self.builder {
            Some(builder) => builder.push(bytes, span, cx.out),
            None => {
                let room = cx.limits.line_bytes.saturating_sub(self.content.len());
                self.content.extend(bytes.iter().take(room));
            }
        }
    }
}

fn first_line(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default().trim_ascii_end()
}
