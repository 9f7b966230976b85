//! The server's replies: data lines, then OK, NO or BYE.

use super::lines::{Logical, Word};
use super::{Kind, Sieve};
use crate::diagnostic::Code;
use crate::event::weight::{optional, texts};
use crate::event::{AuthOutcome, EventBody, Reply, Text};
use crate::fmt::count;
use crate::mail::hold::Pauses as _;
use crate::mail::queue::Pending;
use crate::mail::sasl::is_challenge;
use crate::mail::{Advance, Chunk, Context, Next};
use crate::position::{Direction, Span};

const SERVER: usize = 1;

/// The lines of a reply before its last.
pub(super) struct Data {
    lines: Vec<Text>,
    span: Span,
    bytes: usize,
    dropped: u64,
    /// They are the server's capabilities: only CAPABILITY asks for them, a greeting and TLS bring them unasked.
    capabilities: bool,
    implementation: Option<Text>,
}

/// A reply whose last line has come.
struct Finished {
    status: &'static str,
    reply: Reply,
    /// Its status, code and text as one.
    said: Text,
    span: Span,
    /// It lists the server's capabilities, and names its implementation.
    capabilities: bool,
    implementation: Option<Text>,
}

impl Data {
    /// Memory beside its own fields.
    pub(super) fn cost(&self) -> usize {
        texts(&self.lines) + optional(&self.implementation)
    }
}

/// The status word that begins a line.
pub(super) fn status(text: &[u8]) -> Option<(&'static str, &[u8])> {
    ["OK", "NO", "BYE"].into_iter().find_map(|word| {
        let (head, rest) = text.split_at_checked(word.len())?;
        let ends = rest.first().is_none_or(|&byte| byte == b' ' || byte == b'(');
        (ends && head.eq_ignore_ascii_case(word.as_bytes())).then_some((word, rest))
    })
}

impl Sieve {
    pub(super) fn server_input(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
        self.queue.server_speaks();
        let mut rest = chunk;
        let mut next = Next::Continue;
        while next == Next::Continue
            && let Some(line) = self.lines[SERVER].next(&mut rest, cx.limits.line_bytes)
        {
            next = self.server_line(&line, cx);
        }
        Advance { consumed: chunk.bytes.len() - rest.bytes.len(), next }
    }

    fn server_line(&mut self, line: &Logical, cx: &mut Context<'_>) -> Next {
        self.tell_oddities(Direction::Server, line, cx);
        if let Some((status, rest)) = status(&line.text) {
            self.found(Direction::Server, line.span, cx);
            return self.final_line(status, rest, line, cx);
        }
        if self.lost[SERVER] {
            // Perhaps the rest of a script.
            self.skip(line.text.len());
            return Next::Continue;
        }
        let string = matches!(line.text.first(), Some(b'"' | b'{'));
        if string && self.data.is_none() && self.challenge(line, cx) {
            return Next::Continue;
        }
        if string
            && let Some(asking) = self.queue.waiting.front().filter(|pending| pending.verb.0 == b"GETSCRIPT")
            && !asking.uncertain
        {
            self.scripts.returned(asking.seq, &asking.verb, line, cx);
        }
        // Behind a script's literal only its line end is left.
        if !line.text.is_empty() {
            self.data_line(line, cx);
        }
        Next::Continue
    }

    /// A string while AUTHENTICATE waits is a challenge.
    fn challenge(&mut self, line: &Logical, cx: &mut Context<'_>) -> bool {
        if cx.one_sided
            && self.queue.waiting.is_empty()
            && let [word] = line.words().as_slice()
            && is_challenge(word.value())
        {
            self.queue.join_exchange(Kind::Authenticate, line.span, cx.tls);
        }
        let Some(pending) = self.queue.waiting.front_mut().filter(|pending| pending.kind == Kind::Authenticate) else {
            return false;
        };
        let words = line.words();
        let [word] = words.as_slice() else { return false };
        let (asked, sent) = (pending.seq, pending.sent);
        pending.challenged();
        if let Some(exchange) = &mut pending.exchange {
            exchange.challenge(word.value(), line.span);
        }
        let seen = asked > 0;
        let latency = seen.then(|| line.span.first.ts.latency_since(sent)).flatten();
        let reply = Reply {
            tls: cx.tls,
            status: "+".into(),
            command: seen.then_some(asked),
            text: word.value().into(),
            lines: vec![word.value().into()],
            latency,
            assumed: cx.one_sided,
            ..Reply::default()
        };
        self.told.slowest_reply = self.told.slowest_reply.max(latency);
        self.challenged = true;
        cx.out.push(line.span, EventBody::Reply(reply));
        true
    }

    fn data_line(&mut self, line: &Logical, cx: &mut Context<'_>) {
        // Alone it may be a script: then it is no text of the reply.
        let first = self.queue.waiting.front();
        let script = line.is_literal() && first.is_none_or(|p| p.uncertain || p.verb.0 == b"GETSCRIPT");
        let text = line.shown(&line.text, script);
        let data = self.data.get_or_insert_with(|| Data {
            lines: Vec::new(),
            span: line.span,
            bytes: 0,
            dropped: 0,
            capabilities: false,
            implementation: None,
        });
        data.span = data.span.to(line.span);
        data.bytes = data.bytes.saturating_add(text.0.len());
        if data.lines.len() < cx.limits.reply_lines && data.bytes <= cx.limits.header_bytes {
            data.lines.push(text);
        } else {
            data.dropped += 1;
        }
        if !data.capabilities
            && let [Word::Quoted(name), rest @ ..] = line.words().as_slice()
            && name.eq_ignore_ascii_case(b"IMPLEMENTATION")
            && let [Word::Quoted(value) | Word::Literal(value)] = rest
        {
            data.capabilities = true;
            data.implementation = Some(value.as_slice().into());
        }
    }

    /// The reply that this line, with its status and `rest`, ends.
    fn finished(&mut self, status: &'static str, rest: &[u8], line: &Logical, cx: &mut Context<'_>) -> Finished {
        let words = line.words_of(rest);
        let code = words.iter().find_map(|word| match word {
            Word::Code(code) => Some(code.as_slice()),
            _ => None,
        });
        let text: Text = words
            .iter()
            .find(|word| matches!(word, Word::Quoted(_) | Word::Literal(_)))
            .map_or_else(|| rest_of(rest, code), |word| word.value().into());
        let (mut lines, span, capabilities, implementation) = match self.data.take() {
            Some(data) => {
                if data.dropped > 0 {
                    let detail = format!("a reply is too long: {} left out", count(data.dropped, "line"));
                    cx.out.diagnose(data.span, Code::EntryLimit, detail);
                }
                (data.lines, data.span.to(line.span), data.capabilities, data.implementation)
            }
            None => (Vec::new(), line.span, false, None),
        };
        lines.push(text.clone());
        let code = code.map(Text::from);
        let said = match &code {
            Some(code) => [status.as_bytes(), b" (", &code.0, b") ", &text.0].concat(),
            None => [status.as_bytes(), b" ", &text.0].concat(),
        };
        let reply = Reply {
            tls: cx.tls,
            status: status.into(),
            enhanced: code,
            text,
            lines,
            assumed: cx.one_sided,
            ..Reply::default()
        };
        Finished { status, reply, said: said.trim_ascii_end().into(), span, capabilities, implementation }
    }

    fn final_line(&mut self, status: &'static str, rest: &[u8], line: &Logical, cx: &mut Context<'_>) -> Next {
        let finished = self.finished(status, rest, line, cx);
        let span = finished.span;
        // A farewell to LOGOUT is no error.
        let farewell = || status == "BYE" && self.queue.waiting.front().is_some_and(|first| first.kind == Kind::Logout);
        if status != "OK" && !farewell() {
            self.told.last_error = Some(finished.said.clone());
        }
        if !std::mem::replace(&mut self.greeted, true) && !self.gap_seen[SERVER] {
            self.told.banner = match finished.reply.text.is_empty() {
                true => finished.implementation,
                false => Some(finished.reply.text.clone()),
            };
            self.refused = status != "OK";
            cx.out.push(span, EventBody::Reply(finished.reply));
            return Next::Continue;
        }
        if cx.one_sided && self.queue.waiting.is_empty() && last_challenge(&finished.reply).is_some() {
            self.queue.join_exchange(Kind::Authenticate, line.span, cx.tls);
        }
        let unasked =
            finished.capabilities && self.queue.waiting.front().is_none_or(|first| first.kind != Kind::Capability);
        let sure = self.queue.sure();
        let Some(pending) = self.queue.waiting.pop_front_if(|_| !unasked) else {
            if !unasked && status != "BYE" && !cx.one_sided && self.gap_seen == [false, false] {
                cx.out.diagnose(span, Code::UnexpectedReply, "no command waits for it");
            }
            cx.out.push(span, EventBody::Reply(finished.reply));
            return Next::Continue;
        };
        // Whether TLS follows is seen.
        if !sure && pending.kind != Kind::StartTls {
            cx.out.push(span, EventBody::Reply(finished.reply));
            self.scripts.unknown(pending.seq, cx);
            if let Some(exchange) = pending.exchange {
                self.queue.end_exchange(exchange, AuthOutcome::Unknown, span, cx);
            }
            self.answer_may_be_lost(cx);
            return Next::Continue;
        }
        self.answer(pending, finished, cx)
    }

    /// What the reply decides that `pending` was waiting for.
    fn answer(&mut self, mut pending: Pending<Kind>, finished: Finished, cx: &mut Context<'_>) -> Next {
        let Finished { status, mut reply, said, span, .. } = finished;
        let accepted = status == "OK";
        if pending.seq > 0 {
            reply.command = Some(pending.seq);
            reply.latency = span.first.ts.latency_since(pending.sent);
            self.told.slowest_reply = self.told.slowest_reply.max(reply.latency);
        }
        let last = last_challenge(&reply).map(<[u8]>::to_vec);
        cx.out.push(span, EventBody::Reply(reply));
        self.scripts.answered(pending.seq, accepted, &said, cx);
        if accepted && pending.kind == Kind::Scripts {
            self.queue.login.served();
        }
        self.queue.take_early(&pending.early, Kind::Unknown);
        if let Some(mut exchange) = pending.exchange.take() {
            self.challenged = false;
            if let Some(last) = last {
                exchange.challenge(&last, span);
            }
            let outcome = if accepted { AuthOutcome::Success } else { AuthOutcome::Failure };
            self.queue.end_exchange(exchange, outcome, span, cx);
        }
        match (pending.kind, status) {
            (Kind::StartTls, "OK") => return Next::StartTls,
            (Kind::StartTls, _) => self.resume(cx),
            (Kind::Logout, "OK" | "BYE") => self.logged_out = true,
            _ => {}
        }
        Next::Continue
    }

    pub(super) fn server_gap(&mut self, span: Span, cx: &mut Context<'_>) {
        self.queue.server_lost();
        if self.queue.waiting.iter().any(|pending| pending.verb.0 == b"GETSCRIPT") {
            self.queue.go_astray();
        }
        self.server_end(span, cx);
        self.answer_may_be_lost(cx);
    }

    /// Nothing more comes of the reply that has begun: what there is of it is told, without a status.
    pub(super) fn server_end(&mut self, _span: Span, cx: &mut Context<'_>) {
        if let Some(data) = self.data.take() {
            let text = data.lines.last().cloned().unwrap_or_default();
            let reply = Reply {
                tls: cx.tls,
                text,
                lines: data.lines,
                assumed: cx.one_sided,
                incomplete: true,
                ..Reply::default()
            };
            cx.out.push(data.span, EventBody::Reply(reply));
        }
    }
}

/// The mechanism's last word, which comes with the success: `OK (SASL "…")`.
fn last_challenge(reply: &Reply) -> Option<&[u8]> {
    let last = reply.enhanced.as_ref()?.0.strip_prefix(b"SASL ")?;
    let quoted = last.trim_ascii().strip_prefix(b"\"");
    Some(quoted.map_or(last, |quoted| quoted.strip_suffix(b"\"").unwrap_or(quoted)))
}

/// Text that a server sent without quotes: what is left of the line.
fn rest_of(rest: &[u8], code: Option<&[u8]>) -> Text {
    let behind = code.and_then(|code| rest.get(rest.iter().position(|&b| b == b'(')? + code.len() + 2..));
    behind.unwrap_or(rest).trim_ascii().into()
}
