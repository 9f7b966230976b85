//! The server's side: replies, the commands they answer, what they do to the dialogue.

use super::answers::{Sight, likelihood};
use super::reply::{self, Assembled};
use super::*;
use crate::event::{self, EventBody};
use crate::mail::line::{Line, LineEnd};

impl Smtp {
    /// The server's next bytes.
    pub(super) fn server_input(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
        let total = chunk.bytes.len();
        let mut input = chunk;
        let mut next = Next::Continue;
        let mut lines = std::mem::take(&mut self.lines[1]);
        while next == Next::Continue
            && !self.turned
            && let Some(line) = lines.next(&mut input, cx.limits.line_bytes)
        {
            next = self.server_line(line, cx);
        }
        self.lines[1] = lines;
        if self.turned {
            self.skip(Direction::Server, std::mem::take(&mut input.bytes).len());
        }
        Advance { consumed: total - input.bytes.len(), next }
    }

    pub(super) fn server_line(&mut self, line: Line<'_>, cx: &mut Context<'_>) -> Next {
        // What is left of a command comes before any line of its reply.
        self.trail.torn[0] &= self.pending.len() > 1;
        if self.trail.lost[1] {
            if !reply::is_trustworthy(line.bytes) {
                self.skip(Direction::Server, line.wire_len());
                return Next::Continue;
            }
            self.found_again(Direction::Server, line.span, cx);
            let mut sent = self.pending.iter().filter_map(|command| command.sent);
            if !self.assembler.goes_on(&line, |from, to| sent.any(|at| from.index < at.index && at.index < to.index))
                && let Some(cut) = self.assembler.take()
            {
                // The gap has the end of that reply.
                self.answer(cut, cx);
            }
        }
        let torn = std::mem::replace(&mut self.trail.torn[1], line.end == LineEnd::Missing);
        if torn && !reply::is_trustworthy(line.bytes) {
            self.skip(Direction::Server, line.wire_len());
            return Next::Continue;
        }
        if line.end == LineEnd::TooLong {
            self.tell_once(line.span, Code::LongLine, "a reply is too long; its end is left out", cx);
        }
        if self.pending.len() > 1
            && self.pending.front().is_some_and(|p| p.kind == Kind::Greeting)
            && let Some(greeting) = self.assembler.greeting_before(&line)
        {
            self.answer(greeting, cx);
        }
        let mut overflowed = false;
        let assembled = self.assembler.line(line, cx.limits.reply_lines, || overflowed = true);
        if overflowed {
            self.tell_once(line.span, Code::EntryLimit, "more lines in a reply than are kept", cx);
        }
        let Assembled::Whole(reply) = assembled else { return Next::Continue };
        match self.answer(reply, cx) {
            Next::Continue => self.replay(cx),
            next => next,
        }
    }

    /// Replies that waited for a judgement.
    pub(super) fn replay(&mut self, cx: &mut Context<'_>) -> Next {
        while let Some(reply) = self.replay.pop_front() {
            let next = self.answer(reply, cx);
            if next != Next::Continue {
                return next;
            }
        }
        Next::Continue
    }

    /// A whole reply: finds its command, tells it, does what it does.
    pub(super) fn answer(&mut self, reply: Reply, cx: &mut Context<'_>) -> Next {
        if self.wait == Wait::Beginning {
            self.settle_beginning(&reply, cx);
        }
        self.weigh_commands(&reply, cx);
        let reply = if self.wait == Wait::EndOfData {
            match self.judge(reply, cx) {
                Some(reply) => reply,
                None => return Next::Continue,
            }
        } else {
            reply
        };
        let error_before = match reply.negative() {
            true => self.summary.last_error.replace(reply.status()),
            false => None,
        };
        if self.mode == Mode::Data && self.wait == Wait::No && self.pending.is_empty() {
            self.amid_data(&reply, cx);
        }
        let unseen = self.doubt.lossy && self.summary.helo.is_none();
        if unseen && self.protocol == Protocol::Smtp && self.is_of_lmtp(&reply) {
            self.protocol = Protocol::Lmtp;
        }
        self.doubt.rhythm.reply();
        if self.pending.front().is_some_and(|p| p.kind == Kind::Greeting) && likelihood(Kind::Greeting, &reply) == 0 {
            // The beginning is not in the capture.
            self.pending.pop_front();
        }
        let index = if self.doubt.lossy {
            match self.look_for_command(&reply, cx) {
                Sight::One(index) => Some(index),
                Sight::Several => {
                    self.keep_unplaced(reply, cx);
                    return Next::Continue;
                }
                Sight::Unseen => None,
            }
        } else {
            self.oldest(&reply)
        };
        let Some(index) = index else { return self.unmatched(reply, cx) };
        self.trail.unsure_commands &= self.sift.unsure;
        self.settle_before(index, reply.span, cx);
        let Some(pending) = self.answered(&reply) else { return Next::Continue };
        self.course.greeted = true;
        if reply.negative() && reply.code != Some(421) && self.follows_from_refusal(&pending) {
            self.summary.last_error = error_before;
        }
        let latency = self.latency(&pending, &reply);
        // A reply that ends the message comes behind it in the story, an authentication's outcome behind its reply.
        self.tell_reply(None, &reply, pending.seq, latency, cx);
        self.apply(pending, reply, cx)
    }

    /// Whether the command could only be refused, as those before it in its transaction were: not its refusal is the
    /// cause.
    fn follows_from_refusal(&self, pending: &Pending) -> bool {
        if self.course.mail_refused && matches!(pending.kind, Kind::Rcpt(_) | Kind::Data | Kind::Chunk { .. }) {
            return true;
        }
        let Some(transaction) = self.transaction(pending.transaction) else {
            // Gone with its MAIL.
            return pending.transaction > 0 && matches!(pending.kind, Kind::Rcpt(_) | Kind::Data | Kind::Chunk { .. });
        };
        let none_taken = || {
            let recipients = &transaction.recipients;
            !recipients.is_empty() && recipients.iter().all(|recipient| recipient.accepted == Some(false))
        };
        match pending.kind {
            Kind::Data | Kind::EndOfData => none_taken(),
            Kind::Chunk { .. } => transaction.chunk_refused || none_taken(),
            _ => false,
        }
    }

    pub(super) fn latency(&mut self, pending: &Pending, reply: &Reply) -> Option<i64> {
        let latency = reply.span.first.ts.latency_since(pending.sent?.ts);
        self.summary.slowest_reply = self.summary.slowest_reply.max(latency);
        latency
    }

    /// `seq` is its place in the story where it has waited.
    pub(super) fn tell_reply(
        &mut self,
        seq: Option<u64>,
        reply: &Reply,
        command: Option<u64>,
        latency: Option<i64>,
        cx: &mut Context<'_>,
    ) {
        let status = reply.code.map(|c| c.to_string()).unwrap_or_default();
        let event = event::Reply {
            tls: cx.tls,
            code: reply.code,
            status: status.into(),
            enhanced: reply.enhanced(),
            tag: None,
            command,
            text: reply.text.clone(),
            lines: reply.lines.clone(),
            began: reply.began(),
            latency,
            assumed: cx.one_sided,
            incomplete: reply.incomplete,
        };
        let seq = seq.unwrap_or_else(|| cx.out.reserve());
        cx.out.push_at(seq, reply.span, EventBody::Reply(event));
    }

    /// A reply while message data comes, no end of which was seen.
    fn amid_data(&mut self, reply: &Reply, cx: &mut Context<'_>) {
        let Some(content) = &self.content else { return };
        let gap = content.gap;
        let at_dot_cr = content.scanner.at_dot_cr();
        if reply.code == Some(421) || reply.class() == 3 && !gap {
            // Closing down.
        } else if gap {
            self.end_data(reply.span, None, cx);
        } else if let Some(it) = at_dot_cr {
            cx.out.diagnose(reply.span, Code::IrregularEndOfData, format!("the server took {} for it", it.name()));
            self.end_data(reply.span, Some(reply.span.first), cx);
        } else if reply.negative()
            && let Some(transaction) = self.transactions.back_mut()
        {
            transaction.refusal = Some(reply.clone());
        }
    }

    fn unmatched(&mut self, reply: Reply, cx: &mut Context<'_>) -> Next {
        self.give_up_unplaced(cx);
        let greeting = !self.course.greeted
            && self.pending.is_empty()
            && likelihood(Kind::Greeting, &reply) > 0
            && !self.trail.joined;
        // QUIT was sent, be it before the capture or in a gap; but Postfix hangs up on HTTP with 221 2.7.0.
        let of_policy = reply.enhanced().is_some_and(|code| code.0.starts_with(b"2.7."));
        self.course.quit |= reply.code == Some(221) && (self.doubt.lossy || cx.one_sided) && !of_policy;
        self.tell_reply(None, &reply, None, None, cx);
        if greeting {
            self.greet(&reply);
            return Next::Continue;
        }
        if cx.one_sided {
            self.authenticates_unseen(&reply, cx);
            return Next::Continue;
        }
        let lossy = self.doubt.lossy;
        self.envelope_may_be_replaced(&reply);
        if reply.code == Some(354) && lossy && self.wait == Wait::No && self.mode == Mode::Command {
            // DATA is in the gap.
            self.all_answered(reply.span, cx);
            self.trail.lost[0] = false;
            self.sift = Sift::default();
            let unsure = !self.trail.joined || self.course.seen[Direction::Client.index()];
            self.begin_data(unsure, None, cx);
        } else if lossy && self.wait == Wait::No && (reply.code.is_some_and(reply::is_of_auth) || self.login.is_some())
        {
            // AUTH is, or a response.
            self.authenticates_behind_gap(&reply, cx);
        } else if !lossy && reply.code != Some(421) && !(self.mode == Mode::Data && reply.negative()) {
            cx.out.diagnose(reply.span, Code::UnexpectedReply, reply.status().to_str_lossy().into_owned());
        }
        Next::Continue
    }

    /// Whether bytes of both sides are missing since AUTH, or replies while the client went on, so that another login may
    /// be under way.
    fn login_may_be_over(&self) -> bool {
        self.login.as_ref().is_some_and(|login| login.lacks_replies() && (login.is_torn() || !self.hold.is_empty()))
    }

    /// Whether a verdict would be told of somebody, and may be another's.
    fn verdict_may_be_anothers(&self) -> bool {
        let named = self.login.as_ref().is_some_and(|login| login.user().is_some());
        self.login_may_be_over() && (named || !self.hold.bytes().is_empty())
    }

    /// What the client said is lost, which got a reply that AUTH gets alone, maybe.
    fn authenticates_behind_gap(&mut self, reply: &Reply, cx: &mut Context<'_>) {
        let verdict = reply.code.and_then(reply::auth_verdict);
        let maybe_anothers = self.login_may_be_over() && (verdict.is_none() || self.verdict_may_be_anothers());
        // As 501 does behind `*`: whatever comes behind it is another's.
        let otherwise_over = verdict.is_none() && reply.negative();
        if maybe_anothers || otherwise_over {
            self.end_login(AuthOutcome::Unknown, reply.span, cx);
        }
        if reply.code == Some(334) {
            if self.login.is_none() {
                self.all_answered(reply.span, cx);
                self.begin_login_midway(reply.span, cx);
            }
            self.challenged(reply);
            self.mode = Mode::Response;
            self.trail.lost[Direction::Client.index()] = false;
        } else if let Some(verdict) = verdict.filter(|_| !maybe_anothers) {
            if self.login.is_none() {
                if self.pending.back().map_or(self.trail.joined, |last| last.kind == Kind::Unseen) {
                    self.all_answered(reply.span, cx);
                    self.begin_login_midway(reply.span, cx);
                } else if verdict == AuthOutcome::Success {
                    // AUTH alone gets that, whatever was sent behind it in one flight.
                    let lost = self.pending.iter().rposition(|command| command.kind == Kind::Unseen);
                    self.settle_before(lost.map_or(0, |at| at + 1), reply.span, cx);
                    self.login = Some(Exchange::begun_before(cx.tls, reply.span));
                } else {
                    // Some servers refuse MAIL so.
                    return;
                }
            }
            self.end_login(verdict, reply.span, cx);
        }
    }

    /// The client's side is not in the capture: a challenge and its end, or a verdict that nothing but AUTH gets, show
    /// an authentication.
    fn authenticates_unseen(&mut self, reply: &Reply, cx: &mut Context<'_>) {
        let ends = match reply.code.and_then(reply::auth_verdict) {
            Some(verdict) => Some(verdict),
            None if reply.code == Some(334) => None,
            _ if self.login.is_some() && reply.negative() => Some(AuthOutcome::Failure),
            _ if self.login.is_some() => Some(AuthOutcome::Unknown),
            _ => return,
        };
        if self.login.is_none() {
            self.begin_login_midway(reply.span, cx);
        }
        match ends {
            Some(outcome) => self.end_login(outcome, reply.span, cx),
            None => self.challenged(reply),
        }
    }

    fn challenged(&mut self, reply: &Reply) {
        match &mut self.login {
            Some(login) if reply.torn => login.gap(),
            Some(login) => login.challenge(&reply.text.0, reply.span),
            None => {}
        }
    }

    fn greet(&mut self, reply: &Reply) {
        self.course.greeted = true;
        self.course.greeting_refused = !reply.ok();
        let banner = joined(reply.greeting());
        // The first is the host's name.
        let mut words = banner.0.split(|b| *b == b' ').skip(1).flat_map(|w| w.split(|b| !b.is_ascii_alphanumeric()));
        if words.any(|w| w.eq_ignore_ascii_case(b"LMTP")) {
            self.protocol = Protocol::Lmtp;
        }
        self.summary.banner = Some(banner).filter(|_| !reply.incomplete);
    }

    pub(super) fn apply(&mut self, pending: Pending, reply: Reply, cx: &mut Context<'_>) -> Next {
        let span = reply.span;
        match pending.kind {
            Kind::Greeting => self.greet(&reply),
            Kind::Hello => {
                self.course.hello_refused = !reply.ok();
                if reply.ok() {
                    // Whatever port and banner suggested: a server of LMTP accepts no other (RFC 2033 §4.1).
                    self.protocol = if self.smtp_hello { Protocol::Smtp } else { Protocol::Lmtp };
                    self.reset_transactions(pending.transaction, span, cx);
                    let chunking = |line: &Text| line.0.trim_ascii().eq_ignore_ascii_case(b"CHUNKING");
                    self.chunk.offered = self.course.server_gap || reply.lines.iter().any(chunking);
                } else {
                    self.not_reset(pending.transaction);
                    if let Some(accepted) = self.helo_before.take() {
                        self.summary.helo = Some(accepted);
                    }
                }
            }
            Kind::Rset if reply.ok() => self.reset_transactions(pending.transaction, span, cx),
            Kind::Rset => self.not_reset(pending.transaction),
            Kind::Mail => self.mail_answered(pending.transaction, &reply, span, cx),
            Kind::Rcpt(index) => {
                if let Some(index) = index
                    && let Some(transaction) = self.transaction_mut(pending.transaction)
                    && let Some(recipient) = transaction.recipients.get_mut(index)
                {
                    recipient.accepted = Some(reply.ok());
                    recipient.code = reply.code;
                    recipient.text = reply.said();
                }
            }
            Kind::Data => self.data_answered(pending, &reply, cx),
            Kind::Xexch50(size) => self.xexch50_answered(pending, size, &reply, cx),
            Kind::EndOfData | Kind::Chunk { last: true } => self.message_answered(pending, &reply, cx),
            Kind::Chunk { last: false } => {
                let unsent = self.chunk_unsent(pending);
                if !reply.ok()
                    && let Some(transaction) = self.transaction_mut(pending.transaction)
                {
                    transaction.chunk_refused = true;
                    transaction.refusal.get_or_insert(reply);
                    self.chunk.refused_unsent = unsent;
                    self.expect_no_chunk(unsent);
                }
            }
            Kind::Auth => self.auth_answered(&reply, cx),
            Kind::StartTls => {
                self.wait = Wait::No;
                if reply.ok() {
                    return Next::StartTls;
                }
                self.release(cx);
            }
            Kind::Turn if reply.ok() => {
                self.turned = true;
                self.course.quit = true;
                cx.out.diagnose(span, Code::Skipped, "client and server swap roles here; what follows is not decoded");
            }
            Kind::Turn | Kind::Quit | Kind::Other | Kind::Unseen => {}
        }
        Next::Continue
    }

    /// The server refused to forget the transaction.
    fn not_reset(&mut self, id: u64) {
        self.current |= self.transactions.back().is_some_and(|t| t.id == id && !t.has_ended());
    }

    fn mail_answered(&mut self, id: u64, reply: &Reply, span: Span, cx: &mut Context<'_>) {
        self.course.mail_refused &= !reply.ok();
        if reply.ok() {
            self.course.login.goes_on();
            // A server that refused EHLO, or greeted so, and takes mail all the same has not refused service.
            self.course.hello_refused = false;
            self.course.greeting_refused = false;
            let next = self.numbered + 1;
            if let Some(transaction) = self.transaction_mut(id).filter(|t| t.number == 0) {
                transaction.number = next;
                self.numbered = next;
            }
            // What it replaces is over.
            self.reset_transactions(id.saturating_sub(1), span, cx);
            return;
        }
        // A refused MAIL leaves the transaction before it as it was (503: nested MAIL).
        if self.unite_nested(id, reply, span, cx) {
            return;
        }
        self.course.mail_refused = reply.negative();
        if self.transactions.back().is_some_and(|t| t.id == id && !t.has_message()) && self.current {
            self.close_transaction(id, MessageOutcome::Aborted, span, cx);
            self.current = self.transactions.back().is_some_and(|t| !t.has_ended() && t.gap_bytes == 0);
        }
    }

    /// What followed a refused MAIL in the same flight goes to the transaction that it was to replace, if there is one.
    fn unite_nested(&mut self, id: u64, reply: &Reply, span: Span, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.place_of(id) else { return false };
        let Some([outer, nested]) = self.transactions.make_contiguous().get_mut(at.wrapping_sub(1)..=at) else {
            return false;
        };
        if outer.number == 0 || outer.has_message() && (nested.has_message() || outer.has_ended()) {
            return false;
        }
        // A RSET may be missing.
        if outer.gap_bytes > 0 && reply.code != Some(503) {
            return false;
        }
        let (outer_id, moved) = (outer.id, outer.recipients.len());
        let room = cx.limits.recipients.saturating_sub(moved);
        let too_many = nested.recipients.len() > room;
        nested.recipients.truncate(room);
        outer.recipients.append(&mut nested.recipients);
        outer.torn |= nested.torn;
        if nested.has_message() {
            outer.message = std::mem::take(&mut nested.message);
            outer.data_seq = nested.data_seq;
        }
        for pending in self.pending.iter_mut().filter(|p| p.transaction == id) {
            pending.transaction = outer_id;
            if let Kind::Rcpt(index) = &mut pending.kind {
                *index = index.filter(|&index| index < room).map(|index| index + moved);
            }
        }
        self.transactions.remove(at);
        if too_many {
            self.tell_once(span, Code::EntryLimit, "more recipients than are kept", cx);
        }
        true
    }

    fn data_answered(&mut self, pending: Pending, reply: &Reply, cx: &mut Context<'_>) {
        if self.wait != Wait::Data {
            return;
        }
        self.wait = Wait::No;
        if reply.class() == 3 {
            self.begin_data(false, pending.seq, cx);
        }
        self.release(cx);
    }

    /// The verdict on a message, or on one of its recipients, has been noted.
    fn message_answered(&mut self, pending: Pending, reply: &Reply, cx: &mut Context<'_>) {
        let still =
            self.pending.front().is_some_and(|p| p.kind == pending.kind && p.transaction == pending.transaction);
        if still {
            return;
        }
        let unsent = self.chunk_unsent(pending);
        let id = pending.transaction;
        match self.transaction_mut(id) {
            Some(t) if matches!(t.message, Progress::Open(_)) => {
                t.decided = true;
                self.chunk.refused_unsent = unsent && !reply.ok();
                self.expect_no_chunk(self.chunk.refused_unsent);
            }
            _ => self.close_transaction(id, MessageOutcome::Unknown, reply.span, cx),
        }
    }

    /// Whether none of the bytes of the chunk that `pending` announced came yet.
    fn chunk_unsent(&self, pending: Pending) -> bool {
        matches!(self.mode, Mode::Chunk { remaining, .. } if self.chunk.size == remaining)
            && self.chunk.seq == pending.seq
    }

    fn expect_no_chunk(&mut self, unsent: bool) {
        if unsent && let Mode::Chunk { slack, remaining, .. } = &mut self.mode {
            *slack = *remaining;
        }
    }

    fn auth_answered(&mut self, reply: &Reply, cx: &mut Context<'_>) {
        let waited = self.wait == Wait::Auth;
        if waited {
            self.wait = Wait::No;
        }
        if reply.code == Some(334) {
            self.challenged(reply);
            // Whoever is asked, the next line is secret.
            self.mode = Mode::Response;
        } else {
            let outcome = match reply.ok() {
                _ if self.verdict_may_be_anothers() => AuthOutcome::Unknown,
                true => AuthOutcome::Success,
                false => AuthOutcome::Failure,
            };
            self.end_login(outcome, reply.span, cx);
        }
        if waited {
            self.release(cx);
        }
    }
}
