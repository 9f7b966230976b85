//! Commands that are answered one by one, in order (POP3, ManageSieve), and the authentications under way in them.
//!
//! SMTP's replies show what they answer; it has `smtp/answers.rs` instead, where `maybe` is what `uncertain` is here.

use std::collections::VecDeque;

use super::Context;
use super::sasl::{Exchange, Standing};
use crate::diagnostic::Code;
use crate::event::weight::optional;
use crate::event::{AuthOutcome, Text};
use crate::fmt::count;
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
    /// Responses that the client sent before it was asked for them, by `seq` and time: commands, if it never is.
    pub(crate) early: Vec<(u64, Timestamp)>,
    /// A gap may hold its reply, or the next reply may be another command's.
    pub(crate) uncertain: bool,
}

/// The commands that wait.
pub(crate) struct Queue<K> {
    /// The oldest first.
    pub(crate) waiting: VecDeque<Pending<K>>,
    /// All that wait are uncertain: each new command need not make them so again.
    doubted: bool,
    /// The client has sent commands without waiting for replies.
    pub(crate) pipelined: bool,
    /// The client has spoken again before the server was done: that it speaks does not show what it has had. One that
    /// sends several commands at once, and then waits for all replies, does not.
    pub(crate) ahead: bool,
    turn: Turn,
    /// There may be more replies than commands that wait, since the client began to speak: commands are lost, or the
    /// beginning of a text whose lines look like replies.
    astray: bool,
    /// Bytes of the client were lost since it began to speak.
    client_lost: bool,
    /// The beginning of what the client says is not in the capture, perhaps.
    midway: bool,
    /// That a reply answers the first command rests on the client's waiting for its replies.
    trusting: bool,
    /// Nothing more will come from the server.
    pub(crate) server_ended: bool,
    pub(crate) login: Standing,
    limit_told: bool,
    /// Exchanges whose end was not seen before TLS began.
    orphans: Vec<Exchange>,
}

/// What came of the server since the client spoke.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Turn {
    /// Nothing.
    Client,
    /// Bytes are missing.
    Lost,
    Server,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Queue {
            waiting: VecDeque::new(),
            doubted: false,
            pipelined: false,
            ahead: false,
            turn: Turn::Client,
            astray: false,
            client_lost: false,
            midway: false,
            trusting: false,
            server_ended: false,
            login: Standing::default(),
            limit_told: false,
            orphans: Vec::new(),
        }
    }
}

impl<K> Pending<K> {
    /// One whose event has that `seq`.
    pub(crate) fn new(kind: K, verb: Text, seq: u64, sent: Timestamp) -> Self {
        Pending { kind, verb, seq, sent, number: None, exchange: None, early: Vec::new(), uncertain: false }
    }

    /// The client sent a response.
    pub(crate) fn respond(&mut self, seq: u64, sent: Timestamp, early: bool) {
        match early && self.seq > 0 {
            true => self.early.push((seq, sent)),
            false => (self.seq, self.sent) = (seq, sent),
        }
    }

    /// The server asked for a response; the client may have sent it.
    pub(crate) fn challenged(&mut self) {
        if !self.early.is_empty() {
            (self.seq, self.sent) = self.early.remove(0);
        }
    }

    fn cost(&self) -> usize {
        size_of::<Self>()
            + self.verb.heap()
            + size_of_val(self.early.as_slice())
            + self.exchange.as_ref().map_or(0, Exchange::cost)
    }
}

impl<K> Queue<K> {
    /// Memory beside its own fields.
    pub(crate) fn cost(&self) -> usize {
        let orphans = self.orphans.iter().map(|exchange| size_of::<Exchange>() + exchange.cost()).sum::<usize>();
        self.waiting.iter().map(Pending::cost).sum::<usize>() + orphans + optional(&self.login.user)
    }

    /// An authentication whose command is not in the capture goes on.
    pub(crate) fn join_exchange(&mut self, kind: K, span: Span, tls: bool) {
        self.doubted = false;
        let exchange = Some(Exchange::begun_before(tls, span));
        self.waiting.push_back(Pending { exchange, ..Pending::new(kind, Text::default(), 0, span.last.ts) });
    }

    /// The beginning of the dialogue is not in the capture.
    pub(crate) fn join(&mut self) {
        (self.midway, self.trusting) = (true, true);
    }

    /// The server speaks.
    pub(crate) fn server_speaks(&mut self) {
        self.turn = Turn::Server;
    }

    /// Bytes of the server are missing: each of those that wait may have had its reply.
    pub(crate) fn server_lost(&mut self) {
        if self.turn == Turn::Client {
            self.turn = Turn::Lost;
        }
        self.doubt();
    }

    /// The client speaks; `busy` while the server is in the midst of a reply of which nothing is missing. Whether it
    /// is known to have had all replies to what it said before.
    pub(crate) fn client_speaks(&mut self, busy: bool, span: Span, cx: &mut Context<'_>) -> bool {
        let turn = std::mem::replace(&mut self.turn, Turn::Client);
        if turn == Turn::Client {
            return false;
        }
        // Where both sides' bytes are lost, which came first is not known.
        self.midway = std::mem::take(&mut self.client_lost) && turn == Turn::Lost;
        let early = busy || self.waiting.front().is_some_and(|first| !first.uncertain);
        if early && !cx.one_sided && !std::mem::replace(&mut self.ahead, true) && self.trusting {
            self.go_astray();
        }
        if !self.ahead {
            // This client waits for its replies, so it had one to each earlier command: they are in the gap.
            self.trusting |= std::mem::take(&mut self.astray) || !self.waiting.is_empty();
            self.give_up(self.waiting.len(), span, cx);
        }
        !self.ahead
    }

    /// The client sent a response to a challenge.
    pub(crate) fn client_responds(&mut self) {
        self.turn = Turn::Client;
    }

    /// Whether what the client sends comes before the server can have asked for it.
    pub(crate) fn unasked(&self, cx: &Context<'_>) -> bool {
        let many = self.waiting.back().is_some_and(|last| last.early.len() >= cx.limits.pending_commands);
        self.turn == Turn::Client && !cx.one_sided && !many
    }

    /// An authentication is over: responses that nobody asked for were taken for commands, `unknown` ones.
    pub(crate) fn take_early(&mut self, early: &[(u64, Timestamp)], unknown: K)
    where
        K: Copy,
    {
        self.doubted &= early.is_empty();
        for &(seq, sent) in early.iter().rev() {
            self.waiting.push_front(Pending::new(unknown, Text::default(), seq, sent));
        }
    }

    /// Bytes of the client are missing, commands perhaps.
    pub(crate) fn client_lost(&mut self, busy: bool, span: Span, cx: &mut Context<'_>) -> bool {
        let had_all = self.client_speaks(busy, span, cx);
        (self.astray, self.client_lost) = (true, true);
        had_all
    }

    /// There may be replies to other commands, or lines of a text that look like one.
    pub(crate) fn go_astray(&mut self) {
        self.astray = true;
        self.doubt();
    }

    /// The client sent a command.
    pub(crate) fn send(&mut self, mut pending: Pending<K>, span: Span, cx: &mut Context<'_>) {
        let several = !self.waiting.is_empty() && !cx.one_sided;
        self.pipelined |= several;
        if self.pipelined && self.midway {
            self.go_astray();
        }
        if self.waiting.len() >= cx.limits.pending_commands {
            if !std::mem::replace(&mut self.limit_told, true) {
                cx.out.diagnose(span, Code::EntryLimit, "more commands without a reply than are kept");
            }
            self.give_up(1, span, cx);
            self.doubt();
        }
        pending.uncertain |= self.astray || self.waiting.front().is_some_and(|first| first.uncertain);
        self.doubted &= pending.uncertain;
        self.waiting.push_back(pending);
    }

    /// The one that was answered first waits on: the reply was a challenge.
    pub(crate) fn wait_on(&mut self, pending: Pending<K>) {
        self.doubted &= pending.uncertain;
        self.waiting.push_front(pending);
    }

    /// Whether the server's next reply answers the first command for sure. Where replies are lost, it may be any of
    /// those that wait: of a single one if the client waits for its replies.
    pub(crate) fn sure(&self) -> bool {
        let alone = self.waiting.len() == 1 && !self.ahead && !self.astray;
        alone || self.waiting.front().is_none_or(|first| !first.uncertain)
    }

    /// An exchange is over: its event, and what it says of the session.
    pub(crate) fn end_exchange(&mut self, exchange: Exchange, outcome: AuthOutcome, span: Span, cx: &mut Context<'_>) {
        let (cancelled, torn) = (exchange.cancelled(), exchange.is_torn());
        let user = exchange.finish(outcome, span, cx.one_sided, cx.out);
        let outcome = match outcome {
            AuthOutcome::Failure if cancelled => AuthOutcome::Aborted,
            outcome => outcome,
        };
        self.login.ended(user, outcome, torn);
    }

    fn doubt(&mut self) {
        if std::mem::replace(&mut self.doubted, true) {
            return;
        }
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
        (self.turn, self.astray, self.client_lost, self.midway) = (Turn::Client, false, false, false);
        self.orphans.extend(self.waiting.drain(..).filter_map(|pending| pending.exchange));
    }

    /// Whether a command of that kind was sent whose reply may be missing in the capture.
    pub(crate) fn is_unheard(&self, kind: K, one_sided: bool) -> bool
    where
        K: PartialEq,
    {
        self.waiting.iter().any(|pending| pending.kind == kind && (one_sided || pending.uncertain))
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
        let unanswered: Vec<Pending<K>> = self.waiting.drain(..count.min(self.waiting.len())).collect();
        for pending in unanswered {
            let aborted = self.server_ended && !cx.one_sided && !pending.uncertain;
            let outcome = if aborted { AuthOutcome::Aborted } else { AuthOutcome::Unknown };
            if let Some(exchange) = pending.exchange {
                self.end_exchange(exchange, outcome, span, cx);
            }
        }
    }
}
