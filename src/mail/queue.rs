//! Commands that are answered one by one, in order (POP3, ManageSieve), and the authentications under way in them.

use std::collections::VecDeque;

use super::Context;
use super::sasl::Exchange;
use crate::diagnostic::{Code, count};
use crate::event::weight::optional;
use crate::event::{AuthOutcome, Text};
use crate::position::{Span, Timestamp};

/// A command that waits for its reply.
pub(crate) struct Pending<K> {
    /// What it asks for.
    pub(crate) kind: K,
    /// For a person.
    pub(crate) verb: Text,
    /// `seq` of its event, or of that of the last response in an exchange; 0 where it is not in the capture.
    pub(crate) seq: u64,
    /// When its last byte was sent.
    pub(crate) sent: Timestamp,
    /// The message that it names (POP3).
    pub(crate) number: Option<u32>,
    /// The authentication that it began.
    pub(crate) exchange: Option<Exchange>,
    /// A gap may hold its reply.
    pub(crate) uncertain: bool,
}

/// The commands that wait.
pub(crate) struct Queue<K> {
    /// The oldest first.
    pub(crate) waiting: VecDeque<Pending<K>>,
    /// The client has sent commands without waiting for replies.
    pub(crate) pipelined: bool,
    /// Nothing more will come from the server.
    pub(crate) server_ended: bool,
    /// Whether an authentication succeeded; absent before one that was not cancelled ended.
    pub(crate) authenticated: Option<bool>,
    /// Who authenticated, or last tried to.
    pub(crate) user: Option<Text>,
    limit_told: bool,
    /// Exchanges whose end was not seen before TLS began.
    orphans: Vec<Exchange>,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Queue {
            waiting: VecDeque::new(),
            pipelined: false,
            server_ended: false,
            authenticated: None,
            user: None,
            limit_told: false,
            orphans: Vec::new(),
        }
    }
}

impl<K> Pending<K> {
    fn cost(&self) -> usize {
        size_of::<Self>() + self.verb.weight() + self.exchange.as_ref().map_or(0, Exchange::cost)
    }
}

impl<K> Queue<K> {
    /// Memory beside its own fields.
    pub(crate) fn cost(&self) -> usize {
        let orphans = self.orphans.iter().map(|exchange| size_of::<Exchange>() + exchange.cost()).sum::<usize>();
        self.waiting.iter().map(Pending::cost).sum::<usize>() + orphans + optional(&self.user)
    }

    /// An authentication whose command is not in the capture goes on.
    pub(crate) fn join_exchange(&mut self, kind: K, span: Span, tls: bool) {
        self.waiting.push_back(Pending {
            kind,
            verb: Text::default(),
            seq: 0,
            sent: span.last.ts,
            number: None,
            exchange: Some(Exchange::begun_before(tls, span)),
            uncertain: false,
        });
    }

    /// The client sent a command.
    pub(crate) fn send(&mut self, pending: Pending<K>, span: Span, cx: &mut Context<'_>) {
        if self.waiting.front().is_some_and(|first| first.uncertain) && !self.pipelined {
            // This client waits for its replies, so it had one to each earlier command: they are in the gap.
            let answered = self.waiting.iter().take_while(|pending| pending.uncertain).count();
            self.give_up(answered, span, cx);
        }
        self.pipelined |= !self.waiting.is_empty() && !cx.one_sided;
        if self.waiting.len() >= cx.limits.pending_commands {
            if !std::mem::replace(&mut self.limit_told, true) {
                cx.out.diagnose(span, Code::EntryLimit, "commands without a reply");
            }
            self.give_up(1, span, cx);
        }
        self.waiting.push_back(pending);
    }

    /// An exchange is over: its event, and what it says of the session.
    pub(crate) fn end_exchange(&mut self, exchange: Exchange, outcome: AuthOutcome, span: Span, cx: &mut Context<'_>) {
        if exchange.invalid_base64() {
            cx.out.diagnose(span, Code::InvalidBase64, "in an authentication exchange");
        }
        let cancelled = exchange.cancelled();
        if let Some(user) = exchange.finish(outcome, span, cx.one_sided, cx.out) {
            self.user = Some(user);
        }
        match outcome {
            AuthOutcome::Success => self.authenticated = Some(true),
            AuthOutcome::Failure if self.authenticated.is_none() && !cancelled => self.authenticated = Some(false),
            _ => {}
        }
    }

    /// Replies are missing: each of those that wait may have had its own.
    pub(crate) fn doubt(&mut self) {
        for pending in &mut self.waiting {
            pending.uncertain = true;
        }
    }

    /// Part of what the exchanges under way say is missing.
    pub(crate) fn exchanges_gap(&mut self) {
        for exchange in self.waiting.iter_mut().filter_map(|pending| pending.exchange.as_mut()) {
            exchange.gap();
        }
    }

    /// TLS begins: nothing that was sent before it will be answered.
    pub(crate) fn tls_started(&mut self) {
        self.orphans.extend(self.waiting.drain(..).filter_map(|pending| pending.exchange));
    }

    /// The session is over; `sure` when no reply can be in a gap.
    pub(crate) fn finish(&mut self, sure: bool, span: Span, cx: &mut Context<'_>) {
        if let Some(first) = self.waiting.front().filter(|_| sure && !cx.one_sided) {
            let detail =
                format!("{}, from {} on", count(self.waiting.len() as u64, "command"), first.verb.to_str_lossy());
            cx.out.diagnose(span, Code::Unanswered, detail);
        }
        for exchange in std::mem::take(&mut self.orphans) {
            self.end_exchange(exchange, AuthOutcome::Unknown, span, cx);
        }
        self.give_up(self.waiting.len(), span, cx);
    }

    /// Drops the first waiting commands: nothing will answer them.
    fn give_up(&mut self, count: usize, span: Span, cx: &mut Context<'_>) {
        let outcome = if self.server_ended && !cx.one_sided { AuthOutcome::Aborted } else { AuthOutcome::Unknown };
        let unanswered: Vec<Pending<K>> = self.waiting.drain(..count.min(self.waiting.len())).collect();
        for exchange in unanswered.into_iter().filter_map(|pending| pending.exchange) {
            self.end_exchange(exchange, outcome, span, cx);
        }
    }
}
