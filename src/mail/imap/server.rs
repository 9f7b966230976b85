//! The server's direction: greeting, continuations, tagged replies, untagged data and their literals.

use super::Imap;
use super::append::{append_uid, number};
use super::client::{BELIEVED, State as ClientState, Wait};
use super::fetch::Fetch;
use super::fragment::{Announced, Scanner};
use super::pending::{Appended, Effect};
use super::shared::Mailbox;
use super::{plausible, verbs};
use crate::diagnostic::Code;
use crate::event::{EventBody, Reply, Text};
use crate::fmt::count;
use crate::mail::line::{Line, LineBuffer, LineEnd, without_cr};
use crate::mail::{Advance, Chunk, Context, LITERAL_SHOWN, Missing, Next};
use crate::position::{Direction, Span};

/// What the next byte is.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// Text of a line.
    #[default]
    Lines,
    /// Data of a literal.
    Literal {
        rest: u64,
        /// Its end is not exactly known: look for a line to trust.
        then_resync: bool,
    },
    /// Not known; the next line to trust is looked for.
    Resync,
}

enum Kind {
    /// `tag OK …`
    Tagged(Vec<u8>, &'static str),
    /// `* OK …`
    Condition(&'static str),
    /// `+ …`
    Continuation,
    /// `* n FETCH …`, `* uid UIDFETCH …`
    Fetch(Box<Fetch>),
    /// Any other untagged data.
    Data,
}

/// A response that is not over yet.
struct Response {
    kind: Kind,
    span: Span,
    /// Behind the status, or behind `* `; what came as a literal is behind its announcement and a blank.
    text: Vec<u8>,
    /// Bytes of the literal at hand that the text may still take.
    room: usize,
    /// The text was longer than its bound.
    long: bool,
    /// A literal has just ended.
    after_literal: bool,
    /// Its end is missing.
    incomplete: bool,
}

impl Response {
    fn new(kind: Kind, span: Span) -> Self {
        Response { kind, span, text: Vec::new(), room: 0, long: false, after_literal: false, incomplete: false }
    }

    fn has_literals(&self) -> bool {
        matches!(self.kind, Kind::Fetch(_) | Kind::Data)
    }
}

/// The server's direction.
#[derive(Default)]
pub(super) struct Server {
    lines: LineBuffer,
    scanner: Scanner,
    state: State,
    open: Option<Response>,
    skipped: u64,
    /// Of the response being told a part is missing.
    incomplete: bool,
    /// The place was found again, and no reply has shown yet that it is one.
    pub(super) unsure: bool,
}

impl Server {
    /// Memory beside its own fields, roughly.
    pub(super) fn cost(&self) -> usize {
        let open = self.open.as_ref().map_or(0, |open| {
            let fetch = if let Kind::Fetch(fetch) = &open.kind { fetch.cost() } else { 0 };
            open.text.capacity() + fetch
        });
        self.lines.cost() + open
    }

    /// What comes next may be the middle of a line.
    pub(super) fn find_line(&mut self) {
        self.state = State::Resync;
    }

    pub(super) fn at_line_start(&self) -> bool {
        self.state == State::Lines && self.open.is_none() && self.lines.at_start()
    }
}

impl Imap {
    /// The server's next bytes.
    pub(super) fn server_input(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
        let mut rest = chunk.bytes;
        let mut next = Next::Continue;
        let mut lines = std::mem::take(&mut self.server.lines);
        while !rest.is_empty() && next == Next::Continue {
            if let State::Literal { rest: missing, then_resync } = self.server.state {
                let room = usize::try_from(missing).unwrap_or(usize::MAX).min(rest.len());
                let (data, after) = rest.split_at(room);
                rest = after;
                self.literal_data(data, chunk.span, cx);
                self.server.state = State::Literal { rest: missing.saturating_sub(data.len() as u64), then_resync };
                self.server_literal_if_over(cx);
                continue;
            }
            let mut input = Chunk { bytes: rest, span: chunk.span };
            let line = lines.next(&mut input, cx.limits.line_bytes);
            rest = rest.get(rest.len() - input.bytes.len()..).unwrap_or_default();
            let Some(line) = line else { break };
            next = self.server_line(line, cx);
        }
        self.server.lines = lines;
        Advance { consumed: chunk.bytes.len() - rest.len(), next }
    }

    fn literal_data(&mut self, data: &[u8], span: Span, cx: &mut Context<'_>) {
        if let Some(open) = &mut self.server.open {
            open.span = open.span.to(span);
            if let Kind::Fetch(fetch) = &mut open.kind {
                fetch.literal_data(data, span, &mut self.shared, cx);
            }
            open.text.extend(data.iter().take(open.room));
            open.room = open.room.saturating_sub(data.len());
        }
    }

    fn server_literal_if_over(&mut self, cx: &mut Context<'_>) {
        let State::Literal { rest: 0, then_resync } = self.server.state else { return };
        self.server.state = State::Lines;
        if let Some(open) = &mut self.server.open {
            open.after_literal = true;
            if let Kind::Fetch(fetch) = &mut open.kind {
                fetch.literal_ended(!then_resync, &mut self.shared);
                if fetch.crowded() {
                    let span = open.span;
                    fetch.flush(span, &mut self.shared, cx);
                }
            }
        }
        if then_resync {
            self.response_cut(cx);
            self.server.state = State::Resync;
        }
    }

    fn server_line(&mut self, line: Line<'_>, cx: &mut Context<'_>) -> Next {
        let too_long = line.end == LineEnd::TooLong;
        if self.server.state != State::Resync {
            self.shared.tell_bare_lf(Direction::Server, &line, cx);
        }
        if let Some(open) = &mut self.server.open {
            let lied = std::mem::take(&mut open.after_literal)
                && !too_long
                && line.bytes.first().is_some_and(|b| !matches!(b, b' ' | b')' | b']' | b'>'));
            if !lied {
                return self.response_text(line.bytes, line.span, too_long, cx);
            }
            cx.out.diagnose(line.span, Code::BadLength, "what follows a literal does not continue its response");
            self.response_over(cx);
            self.server.state = State::Resync;
        }
        let text = line.bytes;
        if self.server.state == State::Resync || self.server.unsure {
            if !self.trusts(text) {
                self.server.state = State::Resync;
                self.server.skipped = self.server.skipped.saturating_add(text.len() as u64 + 2);
                return Next::Continue;
            }
            self.server.state = State::Lines;
            self.server.unsure = true;
        }
        if text.is_empty() && !too_long {
            return Next::Continue;
        }
        let Some((kind, rest)) = response_head(text) else {
            self.server.skipped = self.server.skipped.saturating_add(text.len() as u64 + 2);
            if !self.shared.spoken {
                // A beginning in the middle: of a mail, say.
                self.server.state = State::Resync;
            }
            return Next::Continue;
        };
        let skipped = std::mem::take(&mut self.server.skipped);
        self.shared.resynchronised("server", skipped, line.span, cx.out);
        if let Kind::Fetch(_) = kind {
            self.shared.mailbox_in_doubt();
        }
        self.server.open = Some(Response::new(kind, line.span));
        self.response_text(rest, line.span, too_long, cx)
    }

    /// Whether a line can be trusted after a loss.
    fn trusts(&self, text: &[u8]) -> bool {
        if plausible::untagged(text) {
            return true;
        }
        if let Some(said) = text.strip_prefix(b"+ ") {
            return self.challenges_unseen(said)
                || matches!(self.client.state, ClientState::Wait(Wait::Literal(_)))
                || self.client.auth.is_some()
                || self.client.idle.is_some();
        }
        plausible::tagged(text).is_some_and(|tag| {
            !self.shared.saw[0]
                || self.shared.joined
                || self.shared.table.has_tag(tag)
                || self.client.open.as_ref().is_some_and(|o| o.reply_tag() == tag)
        })
    }

    fn response_text(&mut self, text: &[u8], span: Span, too_long: bool, cx: &mut Context<'_>) -> Next {
        let Some(open) = &mut self.server.open else { return Next::Continue };
        open.span = open.span.to(span);
        let room = cx.limits.line_bytes.saturating_sub(open.text.len());
        open.text.extend(text.iter().take(room));
        if room < text.len() && !std::mem::replace(&mut open.long, true) {
            cx.out.diagnose(span, Code::LongLine, "a response is too long; its end is left out");
        }
        if let Kind::Fetch(fetch) = &mut open.kind {
            fetch.text(text, span, &mut self.shared, cx);
        }
        if too_long {
            self.server.scanner.feed(text);
            return Next::Continue;
        }
        let announced = self.server.scanner.last(text).filter(|_| open.has_literals());
        match announced {
            Some(Announced::Literal { len, .. }) if len <= BELIEVED => {
                let is_content = match &mut open.kind {
                    Kind::Fetch(fetch) => fetch.literal(&mut self.shared, cx),
                    _ => false,
                };
                open.room = 0;
                if !is_content && len > 0 && open.text.len() < cx.limits.line_bytes {
                    open.text.push(b' ');
                    open.room = LITERAL_SHOWN.min(cx.limits.line_bytes - open.text.len());
                }
                self.server.state = State::Literal { rest: len, then_resync: false };
                self.server_literal_if_over(cx);
                return Next::Continue;
            }
            Some(_) => cx.out.diagnose(span, Code::BadLength, "a response's literal has no length that makes sense"),
            None => {}
        }
        self.response_over(cx)
    }

    /// The open response is over.
    fn response_over(&mut self, cx: &mut Context<'_>) -> Next {
        let Some(Response { kind, span, text, incomplete, .. }) = self.server.open.take() else {
            return Next::Continue;
        };
        self.server.scanner = Scanner::default();
        self.server.incomplete = incomplete;
        let text = Text(text);
        let first = !std::mem::replace(&mut self.shared.spoken, true);
        let next = match kind {
            Kind::Tagged(tag, status) => self.tagged(&tag, status, text, span, cx),
            Kind::Continuation => self.continuation(text, span, cx),
            Kind::Condition(status) => {
                self.condition(first, status, text, span, cx);
                Next::Continue
            }
            Kind::Fetch(mut fetch) => {
                self.shared.login.served();
                fetch.cut(&mut self.shared);
                self.untagged(text, span, cx);
                fetch.flush(span, &mut self.shared, cx);
                Next::Continue
            }
            Kind::Data => {
                self.data(&text.0);
                let mut text = text;
                cx.veil_urls(&mut text);
                self.untagged(text, span, cx);
                Next::Continue
            }
        };
        if first && self.shared.banner.is_none() {
            self.shared.uncertain = true;
        }
        self.server.incomplete = false;
        next
    }

    /// What untagged data changes.
    fn data(&mut self, text: &[u8]) {
        let (first, rest) = verbs::word(text);
        if first.eq_ignore_ascii_case(b"VANISHED") {
            // EARLIER: no message number changes (RFC 7162 §3.2.10).
            if verbs::word(rest).0.eq_ignore_ascii_case(b"(EARLIER)") {
                return;
            }
            self.shared.joins.vanished();
        } else if first.eq_ignore_ascii_case(b"FLAGS") {
            self.shared.joins.halves.selected();
        } else if let Some(seqno) = number(first).filter(|_| !first.is_empty())
            && verbs::word(rest).0.eq_ignore_ascii_case(b"EXPUNGE")
        {
            self.shared.joins.expunged(seqno);
        }
    }

    fn untagged(&mut self, text: Text, span: Span, cx: &mut Context<'_>) {
        let command = self.shared.solicitor();
        self.push_reply("*", None, command, text, span, cx);
    }

    /// An untagged status: the greeting, a warning, a code.
    fn condition(&mut self, first: bool, status: &'static str, text: Text, span: Span, cx: &mut Context<'_>) {
        let greeting = first && self.shared.commands == 0 && matches!(status, "OK" | "PREAUTH" | "BYE");
        if greeting {
            self.shared.banner = Some(text.clone()).filter(|_| !self.server.incomplete);
            self.shared.login.inside |= status == "PREAUTH";
            self.shared.refused = status == "BYE";
        }
        if status == "BYE" {
            self.shared.bye = Some(joined(status, &text));
        }
        self.code(&text.0);
        if status == "BAD" || status == "NO" {
            self.shared.last_error = Some(joined(status, &text));
        }
        let command = if greeting { None } else { self.shared.solicitor() };
        self.push_reply(status, None, command, text, span, cx);
    }

    /// A response code that changes something.
    fn code(&mut self, text: &[u8]) {
        let Some(body) = text.strip_prefix(b"[") else { return };
        let Some(end) = body.iter().position(|&b| b == b']') else { return };
        let (code, args) = verbs::word(body.get(..end).unwrap_or_default());
        if code.eq_ignore_ascii_case(b"UIDVALIDITY") {
            let validity = number(args);
            let select = self.shared.table.iter_mut().find(|(_, p)| matches!(p.effect, Effect::Select(..)));
            match select.map(|(_, p)| &mut p.effect) {
                Some(Effect::Select(_, slot)) => *slot = validity,
                _ => {
                    // Of a SELECT that is missing.
                    self.shared.joins.clear();
                    self.shared.mailbox = Mailbox { name: None, uidvalidity: validity };
                }
            }
        } else if code.eq_ignore_ascii_case(b"APPENDUID")
            && let Some((_, pending)) = self.shared.table.iter_mut().find(|(_, p)| !p.messages.is_empty())
            && let Some((validity, uids)) = append_uid(text, pending.messages.len())
        {
            // REPLACE's comes before its tagged reply (RFC 8508 §3.3).
            for Appended { message, index, .. } in &mut pending.messages {
                message.uidvalidity = Some(validity);
                message.uid = uids.get(*index).copied();
            }
        }
    }

    /// Tells a reply; gives its latency.
    pub(super) fn push_reply(
        &mut self,
        status: &str,
        tag: Option<&[u8]>,
        command: Option<u64>,
        text: Text,
        span: Span,
        cx: &mut Context<'_>,
    ) {
        let pending = command.and_then(|seq| self.shared.table.get_mut(seq)).map(|p| p.last);
        let latency = pending.and_then(|last| span.first.ts.latency_since(last.ts));
        self.push_timed_reply(status, tag, command, latency, text, span, cx);
    }

    /// Tells a reply.
    #[expect(clippy::too_many_arguments, reason = "a reply's fields, each of another type")]
    pub(super) fn push_timed_reply(
        &mut self,
        status: &str,
        tag: Option<&[u8]>,
        command: Option<u64>,
        latency: Option<i64>,
        text: Text,
        span: Span,
        cx: &mut Context<'_>,
    ) {
        let reply = Reply {
            tls: cx.tls,
            status: status.into(),
            tag: tag.map(Text::from),
            command,
            lines: vec![text.clone()],
            text,
            latency,
            assumed: cx.one_sided,
            incomplete: self.server.incomplete,
            ..Reply::default()
        };
        cx.out.push(span, EventBody::Reply(reply));
    }

    /// Bytes of the server are missing.
    pub(super) fn server_gap(&mut self, missing: Missing, cx: &mut Context<'_>) {
        let Missing { len, tail, span } = missing;
        self.shared.table.doubt();
        self.client.doubtful = true;
        self.client.idle_to_begin = None;
        if let Some(open) = &mut self.client.open {
            open.unheard = true;
        }
        if self.server.state == State::Resync && tail && self.trusts(self.server.lines.pending()) {
            // A packet's end is missing, and its beginning is a response's.
            let skipped = std::mem::take(&mut self.server.skipped);
            self.shared.resynchronised("server", skipped, span, cx.out);
            self.server.state = State::Lines;
        }
        self.shared.joins.halves.lost();
        match self.server.state {
            State::Literal { rest, then_resync } => {
                if let Some(open) = &mut self.server.open {
                    if let Kind::Fetch(fetch) = &mut open.kind {
                        fetch.literal_gap(len.min(rest), &mut self.shared);
                    }
                    // The text lacks what was to be in it.
                    (open.incomplete, open.room) = (open.incomplete || open.room > 0, 0);
                }
                let exact = !cx.tls && !self.shared.deflate && len <= rest;
                // When not exact, at least that much of the literal is still to come.
                self.server.state =
                    State::Literal { rest: rest.saturating_sub(len), then_resync: then_resync || !exact };
                self.server_literal_if_over(cx);
            }
            State::Lines => {
                self.server_partial(cx);
                self.server.state = State::Resync;
                // What comes is no greeting.
                self.shared.spoken = true;
            }
            State::Resync => {
                let pending = self.server.lines.take_pending().map_or(0, |(bytes, _)| bytes.len() as u64);
                self.server.skipped = self.server.skipped.saturating_add(pending);
            }
        }
    }

    /// The line at hand will not be finished: tells what there is of it.
    fn server_partial(&mut self, cx: &mut Context<'_>) {
        let Some((bytes, span)) = self.server.lines.take_pending() else {
            self.response_cut(cx);
            return;
        };
        let bytes = without_cr(&bytes);
        if self.server.open.is_some() {
            self.response_text(bytes, span, true, cx);
        } else if self.server.state == State::Lines
            && self.trusts(bytes)
            && let Some((kind, rest)) = response_head(bytes)
        {
            self.server.open = Some(Response::new(kind, span));
            self.response_text(rest, span, true, cx);
        } else {
            self.server.skipped = self.server.skipped.saturating_add(bytes.len() as u64);
        }
        self.response_cut(cx);
    }

    /// The rest of the open response is missing.
    fn response_cut(&mut self, cx: &mut Context<'_>) {
        if let Some(open) = &mut self.server.open {
            open.incomplete = true;
        }
        self.response_over(cx);
    }

    /// The server's direction is over: what is half done ends here.
    pub(super) fn server_end(&mut self, cx: &mut Context<'_>) {
        if let State::Literal { then_resync: lossy, .. } = self.server.state {
            if let Some(Response { kind: Kind::Fetch(fetch), span, .. }) = &mut self.server.open
                && let Some(size) = fetch.under_way().filter(|_| !lossy)
            {
                cx.out.diagnose(*span, Code::MessageCut, format!("after {}", count(size, "byte")));
            }
            self.server.state = State::Literal { rest: 0, then_resync: true };
            self.server_literal_if_over(cx);
        } else {
            self.server_partial(cx);
        }
        self.shared.skipped = self.shared.skipped.saturating_add(std::mem::take(&mut self.server.skipped));
    }
}

/// Status and text, as in a line.
pub(super) fn joined(status: &str, text: &Text) -> Text {
    let mut whole = status.as_bytes().to_vec();
    whole.push(b' ');
    whole.extend_from_slice(&text.0);
    Text(whole)
}

/// What kind of response a line begins, and its text.
fn response_head(line: &[u8]) -> Option<(Kind, &[u8])> {
    if let Some(rest) = line.strip_prefix(b"+") {
        return Some((Kind::Continuation, rest.strip_prefix(b" ").unwrap_or(rest)));
    }
    if let Some(body) = line.strip_prefix(b"* ") {
        let body = body.trim_ascii_start();
        let (first, rest) = verbs::word(body);
        if let Some(status) = verbs::untagged_condition(first) {
            return Some((Kind::Condition(status), rest));
        }
        if let Some(number) = number(first).filter(|_| !first.is_empty()) {
            let named = |name: &[u8]| verbs::word(rest).0.eq_ignore_ascii_case(name);
            // The second where the client wants UIDs only (RFC 9586).
            if named(b"FETCH") {
                return Some((Kind::Fetch(Box::new(Fetch::new(number))), body));
            } else if named(b"UIDFETCH") {
                return Some((Kind::Fetch(Box::new(Fetch::by_uid(number))), body));
            }
        }
        return Some((Kind::Data, body));
    }
    let (tag, rest) = verbs::word(line);
    let (status, text) = verbs::word(rest);
    let status = verbs::condition(status).filter(|_| verbs::is_tag(tag))?;
    Some((Kind::Tagged(tag.to_vec(), status), text))
}
