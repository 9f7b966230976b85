//! What the server's answers decide.

use super::Imap;
use super::append::append_uid;
use super::client::{State as ClientState, Wait};
use super::command::Answer;
use super::pending::{Effect, Pending};
use super::server::joined;
use super::shared::Mailbox;
use crate::diagnostic::Code;
use crate::event::{AuthOutcome, MessageOutcome, Text};
use crate::fmt::count;
use crate::mail::sasl::{is_challenge, is_response};
use crate::mail::{Context, Next};
use crate::position::Span;

impl Imap {
    /// `+ …`: leave to send a literal, a challenge, or IDLE's beginning.
    pub(super) fn continuation(&mut self, text: Text, span: Span, cx: &mut Context<'_>) -> Next {
        // They come in the order of the commands.
        let idle = self.client.idle_to_begin.take();
        if let ClientState::Wait(Wait::Literal(len)) = self.client.state
            && idle.is_none()
        {
            let open = self.client.open.as_ref();
            let command = open.map(|o| o.seq);
            let latency = open.and_then(|o| span.first.ts.latency_since(o.span.last.ts));
            self.shared.timed(latency);
            self.push_timed_reply("+", None, command, latency, text, span, cx);
            self.accept_literal(len, cx);
            self.release(cx);
            return Next::Continue;
        }
        if self.challenges_unseen(&text.0) {
            self.join_exchange(span, cx);
            self.client.challenged = self.client.auth.is_some();
            if let Some(Effect::Auth(exchange)) =
                self.client.auth.and_then(|seq| self.shared.table.get_mut(seq)).map(|pending| &mut pending.effect)
            {
                exchange.challenge(&text.0, span);
            }
            self.push_timed_reply("+", None, None, None, text, span, cx);
            return Next::Continue;
        }
        self.client.challenged = self.client.auth.is_some();
        let command = self.client.auth.or(idle).or(self.client.idle).or_else(|| self.shared.table.oldest());
        if let Some(pending) = command.and_then(|seq| self.shared.table.get_mut(seq)) {
            let latency = span.first.ts.latency_since(pending.last.ts);
            if let Effect::Auth(exchange) = &mut pending.effect {
                exchange.challenge(&text.0, span);
            }
            self.shared.timed(latency);
        } else {
            self.unexpected("+", span, cx);
        }
        // An exchange that began before the capture has no command here.
        let known = |seq: &u64| self.shared.table.get(*seq).is_none_or(|pending| !pending.tag.is_empty());
        let command = command.filter(known);
        self.push_reply("+", None, command, text, span, cx);
        Next::Continue
    }

    /// `tag OK|NO|BAD …`.
    pub(super) fn tagged(
        &mut self,
        tag: &[u8],
        status: &'static str,
        text: Text,
        span: Span,
        cx: &mut Context<'_>,
    ) -> Next {
        if status != "OK" {
            self.shared.last_error = Some(joined(status, &text));
        }
        self.shared.end_transaction();
        let own = self.client.open.as_ref().is_some_and(|o| o.reply_tag() == tag) && !self.shared.table.has_tag(tag);
        if own {
            if let ClientState::Wait(Wait::Literal(_)) = self.client.state {
                self.refuse_literal(cx);
            } else {
                self.early_answer(tag, status, text, span, cx);
                return Next::Continue;
            }
        }
        if let Some((seq, pending)) = self.exchange_of_unseen(tag) {
            self.push_timed_reply(status, Some(tag), None, None, text.clone(), span, cx);
            return self.decided(seq, pending, status, &text, span, cx);
        }
        let Some((seq, pending)) = self.shared.table.take(tag) else {
            // Behind BYE it answers a LOGOUT that is not in the capture.
            let unseen = self.shared.uncertain || self.shared.joined || cx.one_sided;
            self.shared.logout |= unseen && self.shared.bye.is_some() && status == "OK";
            if self.shared.saw[0] && !self.shared.joined {
                self.unexpected(status, span, cx);
            }
            self.push_timed_reply(status, Some(tag), None, None, text, span, cx);
            return Next::Continue;
        };
        self.server.unsure = false;
        if self.client.unsure.is_some_and(|first| first <= seq) {
            self.client.unsure = None;
            if let ClientState::Resync = self.client.state {
                self.client.state = ClientState::Lines;
            }
        }
        while let Some((older, lost)) = self.shared.table.take_doubtful(seq) {
            self.without_reply(older, lost, span, cx);
        }
        let latency = self.shared.latency(&pending, span);
        self.shared.timed(latency);
        let next = self.decided(seq, pending, status, &text, span, cx);
        self.push_timed_reply(status, Some(tag), Some(seq), latency, text, span, cx);
        if own || next == Next::Continue {
            self.release_if_answered(cx);
        }
        next
    }

    /// Whether `+ said` asks for a response in an exchange whose command is not in the capture.
    pub(super) fn challenges_unseen(&self, said: &[u8]) -> bool {
        let idle = self.client.auth.is_none() && self.client.idle.is_none() && self.client.open.is_none();
        let midway = self.shared.joined && self.shared.commands == 0 && (said.is_empty() || is_response(said));
        idle && (midway || self.shared.server_only() && is_challenge(said))
    }

    /// The exchange whose command is not in the capture, where the tag is no other's.
    fn exchange_of_unseen(&mut self, tag: &[u8]) -> Option<(u64, Pending)> {
        let unseen = self.shared.joined || self.shared.server_only();
        if !unseen || self.shared.table.has_tag(tag) {
            return None;
        }
        self.shared.table.take(b"").filter(|(_, pending)| matches!(pending.effect, Effect::Auth(_)))
    }

    /// The server answered before the command was over: the rest of a literal that was sent anyway still comes.
    fn early_answer(&mut self, tag: &[u8], status: &'static str, text: Text, span: Span, cx: &mut Context<'_>) {
        let outcome = if status == "OK" { MessageOutcome::Accepted } else { MessageOutcome::Rejected };
        let mut command = None;
        if let Some(open) = &mut self.client.open {
            command = Some(open.seq);
            open.answered = Some(Answer { outcome, status: joined(status, &text) });
        }
        self.push_timed_reply(status, Some(tag), command, None, text, span, cx);
    }

    fn unexpected(&mut self, status: &str, span: Span, cx: &mut Context<'_>) {
        if !cx.one_sided {
            cx.out.diagnose(span, Code::UnexpectedReply, status.to_owned());
        }
    }

    /// A command's tagged reply: what it changes.
    fn decided(
        &mut self,
        seq: u64,
        pending: Pending,
        status: &'static str,
        text: &Text,
        span: Span,
        cx: &mut Context<'_>,
    ) -> Next {
        let ok = status == "OK";
        if ok && (matches!(pending.effect, Effect::Select(..)) || !pending.messages.is_empty()) {
            self.shared.login.served();
        }
        if !pending.messages.is_empty() {
            let uids = append_uid(&text.0, pending.messages.len()).filter(|_| ok);
            let outcome = if ok { MessageOutcome::Accepted } else { MessageOutcome::Rejected };
            self.shared.settle(pending.messages, outcome, Some(&joined(status, text)), uids.as_ref(), cx.out);
        }
        self.forget(seq);
        match pending.effect {
            Effect::Select(name, uidvalidity) => self.select(ok.then_some((name, uidvalidity)), status),
            Effect::Deselect if ok => self.select(None, "NO"),
            Effect::Auth(exchange) => {
                let outcome = match status {
                    "OK" => AuthOutcome::Success,
                    _ if exchange.cancelled() => AuthOutcome::Aborted,
                    _ => AuthOutcome::Failure,
                };
                self.shared.login.over(*exchange, outcome, span, cx);
            }
            Effect::StartTls if ok => return Next::StartTls,
            Effect::Compress if ok => {
                self.shared.deflate = true;
                return Next::Deflate;
            }
            _ => {}
        }
        Next::Continue
    }

    /// SELECT and EXAMINE: a failed one leaves nothing selected, a BAD one changes nothing (RFC 9051 §6.3.2).
    fn select(&mut self, selected: Option<(Text, Option<u32>)>, status: &str) {
        if status == "BAD" {
            return;
        }
        self.shared.joins.clear();
        self.shared.mailbox = match selected {
            Some((name, uidvalidity)) => Mailbox { name: Some(name), uidvalidity },
            None => Mailbox::default(),
        };
    }

    /// The command is over: nothing is part of it any more.
    fn forget(&mut self, seq: u64) {
        if self.client.auth == Some(seq) {
            self.client.auth = None;
            self.client.challenged = false;
        }
        for idle in [&mut self.client.idle, &mut self.client.idle_to_begin] {
            idle.take_if(|idle| *idle == seq);
        }
    }

    /// What was held behind STARTTLS or COMPRESS is plain text after all.
    fn release_if_answered(&mut self, cx: &mut Context<'_>) {
        let waiting = match self.client.state {
            ClientState::Wait(Wait::StartTls) => self.shared.table.find(|e| matches!(e, Effect::StartTls)).is_some(),
            ClientState::Wait(Wait::Compress) => self.shared.table.find(|e| matches!(e, Effect::Compress)).is_some(),
            ClientState::Wait(Wait::Literal(_)) => true,
            _ => self.client.held.is_empty(),
        };
        if !waiting {
            self.release(cx);
        }
    }

    /// A command whose reply was not seen.
    pub(super) fn without_reply(&mut self, seq: u64, pending: Pending, span: Span, cx: &mut Context<'_>) {
        let outcome = match self.shared.without_reply() {
            MessageOutcome::Aborted if pending.doubtful => MessageOutcome::Unknown,
            outcome => outcome,
        };
        self.shared.settle(pending.messages, outcome, None, None, cx.out);
        self.forget(seq);
        match pending.effect {
            // What comes after it will be from there, as far as one can tell.
            Effect::Select(name, uidvalidity) => self.select(Some((name, uidvalidity)), "OK"),
            Effect::Auth(exchange) => {
                let outcome = match outcome {
                    MessageOutcome::Aborted => AuthOutcome::Aborted,
                    _ => AuthOutcome::Unknown,
                };
                self.shared.login.over(*exchange, outcome, span, cx);
            }
            _ => {}
        }
    }

    /// The connection is over.
    pub(super) fn all_over(&mut self, span: Span, cx: &mut Context<'_>) {
        self.client_end(cx);
        self.server_end(cx);
        let mut unanswered = 0u64;
        while let Some((seq, pending)) =
            self.shared.table.oldest().and_then(|seq| Some((seq, self.shared.table.remove(seq)?)))
        {
            unanswered += 1;
            self.without_reply(seq, pending, span, cx);
        }
        if unanswered > 0 && !self.shared.client_only() {
            cx.out.diagnose(
                span,
                Code::Unanswered,
                format!("{} without a reply when the session ended", count(unanswered, "command")),
            );
        }
        if self.shared.skipped > self.shared.skipped_told {
            let bytes = self.shared.skipped - self.shared.skipped_told;
            cx.out.diagnose(span, Code::Skipped, count(bytes, "byte"));
        }
    }
}
