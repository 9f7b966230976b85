//! The server's side: greeting, status lines.

use super::Pop3;
use super::command::{Kind, Status, begins_mail, is_of_users, response_code, status};
use super::download::{Download, feed};
use super::listing::Listing;
use crate::diagnostic::Code;
use crate::event::weight::texts;
use crate::event::{AuthOutcome, EventBody, Reply, Text};
use crate::mail::hold::Pauses as _;
use crate::mail::line::{Line, LineEnd, without_cr};
use crate::mail::queue::Pending;
use crate::mail::sasl::Exchange;
use crate::mail::{Advance, Chunk, Context, Emitter, Next};
use crate::position::{Direction, Span};

const SERVER: usize = 1;

/// What the server's next line is.
#[derive(Default)]
pub(super) enum Mode {
    /// A status line.
    #[default]
    Status,
    /// A line of a multi-line reply.
    Listing(Box<Listing>),
    /// Part of a message.
    Body(Box<Download>),
    /// A status line, or the first line of a multi-line reply: the command is not known.
    Guess(Box<Guess>),
    /// The first status line came when the client had spoken already: a greeting, or the answer to its command.
    First(Box<First>),
}

impl Mode {
    /// Memory beside its own fields, roughly.
    pub(super) fn cost(&self) -> usize {
        match self {
            Mode::Status => 0,
            Mode::Listing(listing) => listing.cost(),
            Mode::Body(download) => size_of::<Download>() + download.builder.cost(),
            Mode::Guess(guess) => size_of::<Guess>() + texts(&guess.reply.lines) + guess.reply.text.heap(),
            Mode::First(first) => size_of::<First>() + first.bytes.capacity(),
        }
    }

    pub(super) fn in_body(&self) -> bool {
        matches!(self, Mode::Body(_))
    }

    /// Whether a reply is on its way of which nothing is missing.
    pub(super) fn busy(&self) -> bool {
        match self {
            Mode::Body(download) => download.body.goes_on(),
            Mode::Listing(listing) => !listing.gapped,
            Mode::Status | Mode::Guess(_) | Mode::First(_) => false,
        }
    }

    pub(super) fn is_guess(&self) -> bool {
        matches!(self, Mode::Guess(_))
    }
}

/// A status line that is not judged yet.
pub(super) struct First {
    bytes: Vec<u8>,
    end: LineEnd,
    span: Span,
}

pub(super) struct Guess {
    pub(super) reply: Reply,
    pub(super) span: Span,
    /// The reply's place in the story.
    pub(super) seq: u64,
    /// The client's next command shows that there was one line; not where the command was never seen.
    command_seen: bool,
}

impl Pop3 {
    pub(super) fn server_input(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
        self.queue.server_speaks();
        let len = chunk.bytes.len();
        let mut rest = chunk;
        let mut lines = std::mem::take(&mut self.lines[SERVER]);
        let mut next = Next::Continue;
        while next == Next::Continue {
            if let Mode::Body(download) = &mut self.mode {
                let span = chunk.span;
                let fed = feed(download, rest, !self.queue.waiting.is_empty(), cx.out);
                let behind: Vec<u8> = if fed.ended { download.body.behind().to_vec() } else { Vec::new() };
                rest.bytes = rest.bytes.get(fed.consumed..).unwrap_or_default();
                if !fed.ended {
                    break;
                }
                if download.body.ended_by_status() {
                    self.queue.go_astray();
                }
                self.finish_body(true, span, cx);
                // Too short to make a line.
                lines.next(&mut Chunk { bytes: &behind, span }, cx.limits.line_bytes);
                continue;
            }
            let Some(line) = lines.next(&mut rest, cx.limits.line_bytes) else { break };
            next = self.server_line(line, cx);
        }
        self.lines[SERVER] = lines;
        Advance { consumed: len - rest.bytes.len(), next }
    }

    fn server_line(&mut self, line: Line<'_>, cx: &mut Context<'_>) -> Next {
        if !self.whole(Direction::Server, &line, cx) {
            return Next::Continue;
        }
        self.whole_line(line, cx)
    }

    fn whole_line(&mut self, line: Line<'_>, cx: &mut Context<'_>) -> Next {
        match std::mem::take(&mut self.mode) {
            Mode::Status => return self.status_line(&line, cx),
            // No line of such a list begins so: its end is in a gap, or the server forgot it.
            Mode::Listing(listing) if (listing.gapped || listing.of_numbers) && self.reply_due(line.bytes) => {
                self.finish_listing(*listing, cx);
                return self.status_line(&line, cx);
            }
            Mode::Listing(listing) => self.listing_line(listing, &line, cx),
            Mode::Guess(guess) => {
                if status(line.bytes).is_some() {
                    push_reply(Some(guess.seq), guess.reply, guess.span, cx.out);
                    return self.status_line(&line, cx);
                }
                if begins_mail(line.bytes) {
                    self.assumed_body(*guess, &line, cx);
                } else {
                    let listing = Listing::new(guess.reply, guess.span, Some(guess.seq), false);
                    self.listing_line(Box::new(listing), &line, cx);
                }
            }
            Mode::First(first) => {
                // Two status lines in a row: the first was the greeting. Any other line is the rest of an answer.
                let greeting = status(line.bytes).is_some();
                return match self.judge_first(&first, greeting, cx) {
                    Next::Continue => self.whole_line(line, cx),
                    next => next,
                };
            }
            // Taken as bytes, not as lines.
            Mode::Body(download) => self.mode = Mode::Body(download),
        }
        Next::Continue
    }

    fn reply_due(&self, line: &[u8]) -> bool {
        !self.queue.waiting.is_empty() && status(line).is_some()
    }

    fn status_line(&mut self, line: &Line<'_>, cx: &mut Context<'_>) -> Next {
        let Some((status, text)) = status(line.bytes) else {
            self.skip(line.bytes.len());
            self.lost[SERVER] = true;
            return Next::Continue;
        };
        self.found(Direction::Server, line.span, cx);
        if status != Status::Challenge && !self.greeted && !self.gap_seen[SERVER] {
            if !self.queue.waiting.is_empty() && !cx.one_sided && !is_greeting(text) {
                let bytes = line.bytes.to_vec();
                self.mode = Mode::First(Box::new(First { bytes, end: line.end, span: line.span }));
            } else {
                self.greet(line, cx);
            }
            return Next::Continue;
        }
        self.greeted = true;
        self.reply_line(line, cx)
    }

    /// A status line that is no greeting.
    fn reply_line(&mut self, line: &Line<'_>, cx: &mut Context<'_>) -> Next {
        let Some((status, mut reply)) = self.reply_of(line, cx) else { return Next::Continue };
        let text = reply.text.0.clone();
        if status == Status::Challenge || status == Status::Ok && self.asks_for_token(cx) {
            reply.enhanced = None;
            self.challenge(reply, &text, line.span, cx);
            return Next::Continue;
        }
        let sure = self.queue.sure();
        let Some(pending) = self.queue.waiting.pop_front() else {
            if self.gap_seen != [false, false] && !self.joined && !cx.one_sided && self.unseen == 0 {
                // All commands have their replies: it is a mail's text whose beginning is in the gap.
                self.skip(line.bytes.len());
                self.lost[SERVER] = true;
                return Next::Continue;
            }
            self.unseen = self.unseen.saturating_sub(1);
            if status == Status::Ok && (cx.one_sided || self.gap_seen != [false, false]) {
                let seq = cx.out.reserve();
                self.mode = Mode::Guess(Box::new(Guess { reply, span: line.span, seq, command_seen: false }));
                return Next::Continue;
            }
            if !cx.one_sided && self.gap_seen == [false, false] {
                cx.out.diagnose(line.span, Code::UnexpectedReply, "no command waits for it");
            }
            push_reply(None, reply, line.span, cx.out);
            return Next::Continue;
        };
        // Whether TLS follows is seen.
        let sure = sure || pending.kind == Kind::StartTls;
        if sure {
            self.answer(&mut reply, &pending, line.span);
            self.queue.take_early(&pending.early, Kind::Unknown);
        }
        if !sure || (pending.uncertain && pending.kind.has_lines() && status == Status::Ok) {
            self.uncertain(pending, status, reply, line.span, cx);
            Next::Continue
        } else if status == Status::Ok {
            self.accepted(pending, reply, line, cx)
        } else {
            self.denied(pending, reply, line, cx)
        }
    }

    /// Whether `+OK` asks for NTLM's first token, as in Exchange 2003: before it nobody is let in.
    fn asks_for_token(&self, cx: &Context<'_>) -> bool {
        let first = self.queue.waiting.front().and_then(|pending| pending.exchange.as_ref());
        let lacks_token = |exchange: &Exchange| exchange.lacks_token() && !exchange.lacks_lines();
        first.is_some_and(lacks_token) && self.queue.sure() && !cx.one_sided
    }

    /// A reply that another command may have got, or whose beginning is missing: as if the command were not known.
    fn uncertain(&mut self, pending: Pending<Kind>, status: Status, reply: Reply, span: Span, cx: &mut Context<'_>) {
        self.challenged = false;
        if status == Status::Ok {
            let seq = cx.out.reserve();
            self.mode = Mode::Guess(Box::new(Guess { reply, span, seq, command_seen: true }));
        } else {
            push_reply(None, reply, span, cx.out);
        }
        if let Some(exchange) = pending.exchange {
            self.queue.end_exchange(exchange, AuthOutcome::Unknown, span, cx);
        }
        self.answer_may_be_lost(cx);
    }

    /// The reply that a status line is.
    fn reply_of(&mut self, line: &Line<'_>, cx: &Context<'_>) -> Option<(Status, Reply)> {
        let (status, text) = status(line.bytes)?;
        let word = match status {
            Status::Ok => "+OK",
            Status::Err => "-ERR",
            Status::Challenge => "+",
        };
        if status == Status::Err {
            self.told.last_error = Some(line.bytes.into());
        }
        let reply = Reply {
            tls: cx.tls,
            status: word.into(),
            enhanced: response_code(text).map(Text::from),
            text: text.into(),
            lines: vec![text.into()],
            assumed: cx.one_sided,
            incomplete: line.end == LineEnd::Missing,
            ..Reply::default()
        };
        Some((status, reply))
    }

    fn greet(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let Some((status, reply)) = self.reply_of(line, cx) else { return };
        self.greeted = true;
        if !reply.incomplete {
            self.greeting.clone_from(&reply.text.0);
            self.told.banner = Some(reply.text.clone());
        }
        self.refused = status == Status::Err;
        push_reply(None, reply, line.span, cx.out);
    }

    /// It is known now what the first status line was.
    fn judge_first(&mut self, first: &First, greeting: bool, cx: &mut Context<'_>) -> Next {
        let line = Line { bytes: &first.bytes, end: first.end, span: first.span };
        if greeting {
            self.greet(&line, cx);
            return Next::Continue;
        }
        self.greeted = true;
        self.reply_line(&line, cx)
    }

    /// A client that waits for its replies goes on after one status line, so that it was the answer to its command.
    pub(super) fn client_goes_on(&mut self, cx: &mut Context<'_>) -> Next {
        match std::mem::take(&mut self.mode) {
            Mode::First(first) if !self.queue.pipelined => self.judge_first(&first, false, cx),
            mode => {
                self.mode = mode;
                Next::Continue
            }
        }
    }

    /// The client speaks, or bytes of it are `lost`. If it waits for its replies, it has had all of a message of which
    /// bytes are missing.
    pub(super) fn client_speaks(&mut self, lost: bool, span: Span, cx: &mut Context<'_>) {
        let busy = self.mode.busy() || !self.lost[SERVER] && !self.lines[SERVER].at_start();
        let had_all = match lost {
            true => self.queue.client_lost(busy, span, cx),
            false => self.queue.client_speaks(busy, span, cx),
        };
        if had_all && let Mode::Body(download) = &mut self.mode {
            let Download { builder, body, .. } = &mut **download;
            body.close(&mut |bytes| builder.push(bytes, span, cx.out));
            self.finish_body(true, span, cx);
        }
    }

    /// Ties the reply to its command.
    fn answer(&mut self, reply: &mut Reply, pending: &Pending<Kind>, span: Span) {
        if pending.seq == 0 {
            return;
        }
        reply.command = Some(pending.seq);
        reply.latency = span.first.ts.latency_since(pending.sent);
        self.told.slowest_reply = self.told.slowest_reply.max(reply.latency);
    }

    fn challenge(&mut self, mut reply: Reply, text: &[u8], span: Span, cx: &mut Context<'_>) {
        if self.queue.waiting.is_empty() && (self.gap_seen[0] || cx.one_sided) {
            self.queue.join_exchange(Kind::Auth, span, cx.tls);
        }
        if let Some(mut pending) = self.queue.waiting.pop_front_if(|pending| pending.kind == Kind::Auth) {
            self.answer(&mut reply, &pending, span);
            pending.challenged();
            if let Some(exchange) = &mut pending.exchange {
                exchange.challenge(text, span);
            }
            self.queue.wait_on(pending);
            self.challenged = true;
        }
        push_reply(None, reply, span, cx.out);
    }

    fn denied(&mut self, mut pending: Pending<Kind>, reply: Reply, line: &Line<'_>, cx: &mut Context<'_>) -> Next {
        self.challenged = false;
        // RFC 2449 §8.1.2: the password was right, and another session has the maildrop. Nobody got in.
        let in_use = reply.enhanced.as_ref().is_some_and(|code| code.0.eq_ignore_ascii_case(b"IN-USE"));
        push_reply(None, reply, line.span, cx.out);
        let (inside, refused) = (self.queue.login.inside, self.queue.login.refused);
        if let Some(exchange) = pending.exchange.take().or_else(|| self.refused_user(&pending, line.span, cx)) {
            let outcome = if in_use { AuthOutcome::Success } else { AuthOutcome::Failure };
            self.queue.end_exchange(exchange, outcome, line.span, cx);
        }
        if in_use {
            (self.queue.login.inside, self.queue.login.refused) = (inside, refused);
        }
        match pending.kind {
            Kind::StartTls => self.resume(cx),
            // RFC 1939 §6: the server could not remove every message, and closes all the same.
            Kind::Quit => self.quit = true,
            _ => {}
        }
        Next::Continue
    }

    /// The authentication that ended with its USER, unless PASS was sent with it.
    fn refused_user(&self, pending: &Pending<Kind>, span: Span, cx: &Context<'_>) -> Option<Exchange> {
        let user = self.login_user.as_deref().filter(|_| pending.verb.0 == b"USER" && self.queue.waiting.is_empty())?;
        Some(Exchange::password("USER", user, None, cx.tls, span, cx.options))
    }

    fn accepted(&mut self, mut pending: Pending<Kind>, reply: Reply, line: &Line<'_>, cx: &mut Context<'_>) -> Next {
        let span = line.span;
        if is_of_users(&pending.verb.0) {
            self.queue.login.served();
        }
        match pending.kind {
            Kind::Listing | Kind::UniqueIds => {
                let mut listing = Listing::new(reply, span, None, pending.kind == Kind::UniqueIds);
                listing.of_numbers = true;
                self.mode = Mode::Listing(Box::new(listing));
                return Next::Continue;
            }
            Kind::Unknown => {
                let seq = cx.out.reserve();
                self.mode = Mode::Guess(Box::new(Guess { reply, span, seq, command_seen: true }));
                return Next::Continue;
            }
            Kind::Retrieve | Kind::Top(_) => {
                push_reply(None, reply, span, cx.out);
                let mut download = self.begin_body(pending.number, line.bytes, span, cx);
                if let Kind::Top(lines) = pending.kind {
                    download.top(lines);
                }
                self.mode = Mode::Body(download);
                return Next::Continue;
            }
            Kind::UniqueId => self.unique_id(&reply.text.0, cx),
            Kind::Quit => self.quit = true,
            Kind::Auth => self.challenged = false,
            // What came behind it was read as commands.
            Kind::Transmit => self.transmits = Some(pending.seq).filter(|_| self.queue.waiting.is_empty()),
            Kind::Single | Kind::Password | Kind::Apop | Kind::StartTls => {}
        }
        push_reply(None, reply, span, cx.out);
        if let Some(exchange) = pending.exchange.take() {
            self.queue.end_exchange(exchange, AuthOutcome::Success, span, cx);
        }
        if pending.kind == Kind::StartTls { Next::StartTls } else { Next::Continue }
    }

    /// The client's next command: what could have been a multi-line reply was one line.
    pub(super) fn settle_guess(&mut self, cx: &mut Context<'_>) {
        if let Mode::Guess(guess) = &self.mode
            && guess.command_seen
            && !self.queue.ahead
        {
            self.end_guess(cx);
        }
    }

    fn end_guess(&mut self, cx: &mut Context<'_>) {
        if let Mode::Guess(guess) = std::mem::take(&mut self.mode) {
            push_reply(Some(guess.seq), guess.reply, guess.span, cx.out);
        }
    }

    /// The end of a packet is missing: takes the status line that lacks its own. Whether nothing else is missing.
    pub(super) fn take_cut_status(&mut self, cx: &mut Context<'_>) -> bool {
        let line = self.lines[SERVER].pending();
        // Of these more than the status counts.
        let more = |kind| matches!(kind, Kind::StartTls | Kind::Retrieve | Kind::Top(_) | Kind::UniqueId);
        if !matches!(self.mode, Mode::Status)
            || !matches!(status(line), Some((Status::Ok | Status::Err, _)))
            || self.queue.waiting.front().is_some_and(|pending| more(pending.kind))
        {
            return false;
        }
        if let Some((bytes, span)) = self.lines[SERVER].take_pending() {
            self.status_line(&Line { bytes: without_cr(&bytes), end: LineEnd::Missing, span }, cx);
        }
        self.queue.waiting.is_empty() && matches!(self.mode, Mode::Status)
    }

    pub(super) fn server_gap(&mut self, span: Span, cx: &mut Context<'_>) {
        match &mut self.mode {
            Mode::Status => self.lost[SERVER] = true,
            Mode::Listing(listing) => listing.gapped = true,
            Mode::Body(download) => {
                let Download { builder, body, .. } = &mut **download;
                body.gap(&mut |bytes| builder.push(bytes, span, cx.out));
                builder.gap();
            }
            Mode::Guess(_) => {
                self.end_guess(cx);
                self.lost[SERVER] = true;
            }
            Mode::First(_) => {
                if let Mode::First(first) = std::mem::take(&mut self.mode) {
                    self.judge_first(&first, true, cx);
                }
                self.lost[SERVER] = true;
            }
        }
        self.queue.server_lost();
        if self.queue.waiting.iter().any(|pending| matches!(pending.kind, Kind::Retrieve | Kind::Top(_))) {
            self.queue.go_astray();
        }
        self.answer_may_be_lost(cx);
    }

    /// Nothing more will come from the server.
    pub(super) fn server_end(&mut self, span: Span, cx: &mut Context<'_>) {
        match std::mem::take(&mut self.mode) {
            Mode::Status => {}
            Mode::Guess(guess) => push_reply(Some(guess.seq), guess.reply, guess.span, cx.out),
            // A server greets, whatever the client does (RFC 1939 §4).
            Mode::First(first) => {
                self.judge_first(&first, true, cx);
            }
            Mode::Listing(mut listing) => {
                listing.gapped = true;
                self.finish_listing(*listing, cx);
            }
            Mode::Body(mut download) => {
                let Download { builder, body, .. } = &mut *download;
                let ended = body.close(&mut |bytes| builder.push(bytes, span, cx.out));
                self.mode = Mode::Body(download);
                self.finish_body(ended, span, cx);
            }
        }
    }
}

/// Whether a status line's text is a greeting's for sure: it holds APOP's timestamp, or names the protocol or a
/// product.
pub(super) fn is_greeting(text: &[u8]) -> bool {
    let text = text.to_ascii_lowercase();
    let has = |word: &[u8]| text.windows(word.len()).any(|w| w == word);
    has(b"<") && has(b"@") || [&b"pop"[..], b"ready", b"welcome", b"hello", b"server"].into_iter().any(has)
}

/// Tells a reply, at its place if it has one.
pub(super) fn push_reply(seq: Option<u64>, reply: Reply, span: Span, out: &mut Emitter) {
    match seq {
        Some(seq) => out.push_at(seq, span, EventBody::Reply(reply)),
        None => {
            out.push(span, EventBody::Reply(reply));
        }
    }
}
