//! After a gap: finding the next line to trust, and settling what waited for bytes that will not come.

use super::answers::likelihood;
use super::command::{self, Verb};
use super::content::{COMMAND_BYTES, begins_with_command};
use super::reply;
use super::*;
use crate::fmt::count;
use crate::mail::Missing;
use crate::mail::line::{Line, LineEnd, find_byte, without_cr};
use crate::mail::message::MessageBuilder;

/// What losses leave open of where the lines are.
pub(super) struct Trail {
    /// The beginning of the dialogue is not in the capture.
    pub joined: bool,
    /// Looking for a line to trust, by direction.
    pub lost: [bool; 2],
    /// By direction: nothing but ends of packets has gone missing since a line could be trusted.
    pub at_packet: [bool; 2],
    /// The last line lacks its end, by direction: what is left of it may come behind what is missing.
    pub torn: [bool; 2],
    /// Bytes of the client are missing since the last MAIL: chunks may be among them.
    pub gap_since_mail: bool,
    /// Length of the client's last gap.
    pub last_gap: u64,
    /// The client's lines go on behind a gap, and none of them has had a reply.
    pub unsure_commands: bool,
    /// Lines of the client behind its last gap that were passed over or are no commands, up to a MAIL. One may be the
    /// end of a line; with more, what follows may be the text of a mail.
    pub lines_skipped: u32,
    /// Bytes passed over since a line could be trusted, by direction.
    pub passed_over: [u64; 2],
    /// The rest of a line of the client's that was too long follows.
    pub too_long: bool,
}

impl Default for Trail {
    fn default() -> Self {
        Trail {
            joined: false,
            lost: [false; 2],
            at_packet: [true; 2],
            torn: [false; 2],
            gap_since_mail: false,
            last_gap: 0,
            unsure_commands: false,
            lines_skipped: 0,
            passed_over: [0; 2],
            too_long: false,
        }
    }
}

impl Smtp {
    /// Bytes of the client are missing.
    pub(super) fn gap_of_client(&mut self, missing: Missing, cx: &mut Context<'_>) {
        if self.wait == Wait::EndOfData {
            // What followed the look-alike is lost with what would judge it.
            self.reject_look_alike(cx);
            self.replay(cx);
        }
        self.settle_commands(cx);
        if self.wait == Wait::No {
            self.client_gap(missing, cx);
        } else {
            self.hold.push_gap(missing);
        }
    }

    pub(super) fn client_gap(&mut self, missing: Missing, cx: &mut Context<'_>) {
        let Missing { len, tail, span } = missing;
        if tail && self.take_cut_command(missing, cx) {
            return;
        }
        let gap_before = std::mem::replace(&mut self.trail.gap_since_mail, true);
        (self.trail.lines_skipped, self.trail.last_gap) = (0, len);
        self.sift.gap();
        cx.loses_client();
        self.course.login.loses_client(missing);
        match self.mode {
            Mode::Data => {
                let back = self.transactions.back_mut();
                if let (Some(content), Some(transaction)) = (&mut self.content, back)
                    && let Progress::Open(builder) = &mut transaction.message
                {
                    content.scanner.flush(|b| builder.push(b, span, cx.out));
                    content.scanner.gap();
                    content.gap = true;
                    builder.gap();
                }
                if self.content.as_ref().is_some_and(|c| c.server_gap) {
                    self.end_in_gap(span, cx);
                    self.replies_lost(cx);
                }
            }
            Mode::Chunk { .. } => self.chunk_gap(len, span, cx),
            Mode::Xexch50 { .. } => {
                if self.xexch50_gap(len, span, cx) {
                    // Nothing else is missing.
                    self.trail.gap_since_mail = gap_before;
                } else {
                    self.suspect_chunk(false, cx);
                    self.lose(Direction::Client, tail);
                    self.commands_lost(span, cx);
                }
            }
            Mode::Command | Mode::Response => {
                self.mode = Mode::Command;
                if let Some(login) = &mut self.login {
                    login.gap();
                }
                let between_chunks = self.builder().map(MessageBuilder::gap).is_some();
                let partial = self.lines[0].take_pending().map(|(bytes, _)| bytes).unwrap_or_default();
                let verb = partial.get(..b"BDAT".len()).unwrap_or(&partial);
                let cut = !verb.is_empty() && b"BDAT".get(..verb.len()).is_some_and(|b| b.eq_ignore_ascii_case(verb));
                self.suspect_chunk(between_chunks || cut, cx);
                self.skip(Direction::Client, partial.len());
                self.lose(Direction::Client, tail);
                self.trail.too_long = false;
                self.commands_lost(span, cx);
                self.envelope_in_gap(len.saturating_add(partial.len() as u64));
            }
        }
    }

    fn lose(&mut self, dir: Direction, tail: bool) {
        let at = dir.index();
        self.trail.at_packet[at] &= tail;
        self.trail.lost[at] = true;
    }

    /// The end of a packet is missing: tells the command that lacks its own. Whether all of what is missing is dealt
    /// with.
    fn take_cut_command(&mut self, missing: Missing, cx: &mut Context<'_>) -> bool {
        const MORE: u64 = "\r\nQUIT\r\n".len() as u64;
        let response = match self.mode {
            Mode::Command => false,
            Mode::Response => self.login.is_some(),
            Mode::Data | Mode::Chunk { .. } | Mode::Xexch50 { .. } => return false,
        };
        let line = self.lines[0].pending();
        let verb = command::parse(line).verb;
        // Where a chunk ends is not known without its size.
        if self.trail.too_long
            || matches!(verb, Verb::Bdat | Verb::Xexch50)
            || line.is_empty()
            || !response && !command::is_trustworthy(line)
        {
            return false;
        }
        let Some((bytes, span)) = self.lines[0].take_pending() else { return false };
        let more = MORE - u64::from(bytes.ends_with(b"\r"));
        let line = Line { bytes: without_cr(&bytes), end: LineEnd::Missing, span };
        if self.trail.lost[0] && self.withhold(&line, cx) {
            self.sift.commands.push_gap(missing);
            return true;
        }
        self.client_line(line, cx);
        let awaited = self.pending.back().is_some_and(|p| p.kind.is_awaited()) && !self.doubt.rhythm.early;
        if awaited || missing.len < more {
            return true;
        }
        if self.wait != Wait::No {
            self.hold.push_gap(missing);
            return true;
        }
        false
    }

    /// Commands are missing while an envelope is open, with what is left of those that are torn: RSET and the next MAIL
    /// may be among them.
    pub(super) fn envelope_in_gap(&mut self, len: u64) {
        const SHORTEST: u64 = "RSET\r\nMAIL FROM:<>\r\n".len() as u64;
        let Some(transaction) = self.open_transaction() else { return };
        if transaction.gap_bytes == 0 {
            transaction.whole_to = transaction.recipients.len();
        }
        transaction.gap_bytes = transaction.gap_bytes.saturating_add(len);
        if transaction.gap_bytes >= SHORTEST {
            transaction.gap_at = Some(transaction.recipients.len());
            if transaction.server_gap {
                transaction.forget_envelope();
            }
        }
    }

    /// Their replies may be as well.
    fn replies_to_envelope_lost(&mut self) {
        if let Some(transaction) = self.open_transaction() {
            transaction.server_gap = true;
            transaction.forget_envelope();
        }
    }

    /// A reply to what is missing: RSET's and MAIL's are two.
    pub(super) fn envelope_may_be_replaced(&mut self, reply: &Reply) {
        if reply.ok()
            && let Some(transaction) = self.open_transaction().filter(|t| t.gap_bytes > 0)
        {
            // RSET may be in one gap, and MAIL in the next.
            if transaction.reset_answered && likelihood(Kind::Mail, reply) > 0 {
                transaction.forget_envelope();
            }
            transaction.reset_answered |= likelihood(Kind::Rset, reply) > 0;
        }
    }

    /// Bytes of both sides are missing since the message began, a server's that has nothing to say before its end: it
    /// may be over.
    fn end_in_gap(&mut self, span: Span, cx: &mut Context<'_>) {
        if !cx.one_sided {
            self.end_data(span, None, cx);
        }
    }

    /// Bytes of the server are missing.
    pub(super) fn gap_of_server(&mut self, missing: Missing, cx: &mut Context<'_>) {
        let Missing { len, tail, span } = missing;
        if tail && self.take_cut_reply(len, cx) {
            return;
        }
        if let Some((partial, _)) = self.lines[1].take_pending() {
            self.skip(Direction::Server, partial.len());
        }
        self.course.server_gap = true;
        if let Some(login) = &mut self.login {
            login.loses_reply();
        }
        if let Some(content) = &mut self.content {
            content.server_gap = true;
            if content.gap && self.wait == Wait::No {
                self.end_in_gap(span, cx);
            }
        }
        self.weighing_lost(cx);
        self.lose(Direction::Server, tail);
        if self.pending.front().is_some_and(|p| p.kind == Kind::Greeting) {
            self.pending.pop_front();
        }
        self.replies_lost(cx);
        self.replies_to_envelope_lost();
        if !self.deferred.is_empty() {
            self.doubt_end(cx);
            self.reject_look_alike(cx);
            self.replay(cx);
        }
        if self.wait != Wait::No && !self.hold.is_empty() {
            self.decide_by_looks(span, cx);
        }
    }

    /// The end of a packet is missing, `len` bytes: takes the reply's line that lacks its own. Whether no other is
    /// missing.
    fn take_cut_reply(&mut self, len: u64, cx: &mut Context<'_>) -> bool {
        const MORE: u64 = "\r\n250\r\n".len() as u64;
        // Whether TLS follows is seen.
        if self.wait == Wait::StartTls || !reply::is_trustworthy(self.lines[1].pending()) {
            return false;
        }
        let Some((bytes, span)) = self.lines[1].take_pending() else { return false };
        let more = MORE - u64::from(bytes.ends_with(b"\r"));
        self.server_line(Line { bytes: without_cr(&bytes), end: LineEnd::Missing, span }, cx);
        len < more || self.pending.is_empty() && self.assembler.at_start()
    }

    /// A line that can be trusted came.
    pub(super) fn found_again(&mut self, dir: Direction, span: Span, cx: &mut Context<'_>) {
        let index = dir.index();
        self.trail.lost[index] = false;
        self.trail.unsure_commands |= dir == Direction::Client;
        if dir == Direction::Client {
            self.sift.end();
        }
        let passed_over = std::mem::take(&mut self.trail.passed_over[index]);
        let at_packet = std::mem::replace(&mut self.trail.at_packet[index], true);
        if passed_over == 0 && (at_packet || self.trail.joined && self.summary.skipped_bytes == 0) {
            // It has not been lost.
            return;
        }
        cx.out.diagnose(span, Code::Resynchronised, format!("the {}'s lines can be trusted again", dir.as_str()));
        if passed_over > 0 {
            cx.out.diagnose(span, Code::Skipped, format!("{} of the {}", count(passed_over, "byte"), dir.as_str()));
        }
    }

    /// More was held while the server has to decide: it may never, or not in sight.
    pub(super) fn stop_waiting(&mut self, span: Span, cx: &mut Context<'_>) {
        while self.wait != Wait::No && !self.hold.is_empty() {
            if self.wait == Wait::Beginning {
                self.read_beginning(cx);
                if self.wait == Wait::Beginning {
                    return;
                }
                continue;
            }
            let held = self.hold.bytes();
            let unheard = cx.one_sided || self.doubt.beyond;
            let readable = held.len() >= COMMAND_BYTES || find_byte(held, b'\n').is_some();
            if held.len() > cx.limits.line_bytes || unheard && readable {
                self.decide_by_looks(span, cx);
            } else {
                return;
            }
        }
    }

    /// Decides in the server's place by what the client sent.
    fn decide_by_looks(&mut self, span: Span, cx: &mut Context<'_>) {
        let commands = begins_with_command(self.hold.bytes());
        match self.wait {
            Wait::No => return,
            Wait::Beginning => return self.pass_over_beginning(cx),
            Wait::EndOfData => {
                if self.course.server_gap || cx.one_sided {
                    self.judge_by_looks(cx);
                } else {
                    self.reject_look_alike(cx);
                }
                self.replay(cx);
                return;
            }
            Wait::Data if !commands => {
                self.wait = Wait::No;
                let seq = self.pending.iter().rev().find(|p| p.kind == Kind::Data).and_then(|p| p.seq);
                self.reply_unheard(span, cx);
                self.begin_data(false, seq, cx);
            }
            Wait::Xexch50 if !commands => {
                self.wait = Wait::No;
                let asked = self.pending.iter().rev().find_map(|p| match p.kind {
                    Kind::Xexch50(size) => Some((size, p.seq)),
                    _ => None,
                });
                self.reply_unheard(span, cx);
                if let Some((size, seq)) = asked {
                    self.begin_xexch50(size, seq, span, cx);
                }
            }
            Wait::Auth if !commands && self.login.is_some() => {
                self.wait = Wait::No;
                self.mode = Mode::Response;
            }
            Wait::Auth => {
                self.wait = Wait::No;
                self.end_login(AuthOutcome::Unknown, span, cx);
            }
            Wait::Data | Wait::Xexch50 | Wait::StartTls => {
                self.wait = Wait::No;
                self.reply_unheard(span, cx);
            }
        }
        self.release(cx);
    }

    /// The client goes on behind a command whose reply it had to await: the reply is in the gap.
    fn reply_unheard(&mut self, span: Span, cx: &mut Context<'_>) {
        if self.doubt.beyond && !self.doubt.rhythm.early {
            self.all_answered(span, cx);
        }
    }

    /// The connection is over: what is open ends.
    pub(super) fn wind_up(&mut self, span: Span, cx: &mut Context<'_>) {
        self.finish_lines(span, cx);
        let unsure = !self.doubt.unplaced.is_empty() || self.pending.iter().any(|p| p.kind == Kind::Unseen);
        self.give_up_unplaced(cx);
        let aborted = self.course.closed() && !self.course.server_gap && !cx.one_sided && !unsure;
        let message = if aborted { MessageOutcome::Aborted } else { MessageOutcome::Unknown };
        // The beginning of the dialogue may have made its reply another's.
        let awaited = self.doubt.lossy && self.pending.iter().any(|p| p.kind == Kind::Auth);
        let lacks_lines = self.login.as_ref().is_some_and(Exchange::lacks_lines);
        let unheard = self.course.server_gap || cx.one_sided || lacks_lines || awaited;
        let login = if self.course.closed() && !unheard { AuthOutcome::Aborted } else { AuthOutcome::Unknown };
        self.end_login(login, span, cx);
        self.pending.retain(|p| !matches!(p.kind, Kind::Greeting | Kind::Unseen));
        // A QUIT that was sent together with what nobody answered ends nothing in order.
        let quits = self.pending.iter().any(|p| p.kind == Kind::Quit);
        let acts = |p: &Pending| !matches!(p.kind, Kind::Quit | Kind::Rset | Kind::Other);
        let unanswered = quits && self.pending.iter().any(acts);
        self.course.quit &= !unanswered || cx.one_sided || self.course.server_gap || self.doubt.lossy;
        if !cx.one_sided && self.course.seen[1] && !self.course.server_gap && !self.pending.is_empty() {
            let commands = self.pending.len();
            let detail = match self.doubt.lossy {
                true => format!(
                    "{}: it is not known which reply is theirs, or whether they had one",
                    count(commands as u64, "command")
                ),
                false => {
                    let sent = self.pending.front().and_then(|pending| pending.sent);
                    let waited = sent.map_or(0, |sent| span.last.ts.nanos_since(sent.ts)) / 1_000_000_000;
                    let long = if waited > 0 { format!(", after {waited} s") } else { String::new() };
                    format!("{} without a reply when the session ended{long}", count(commands as u64, "command"))
                }
            };
            cx.out.diagnose(span, Code::Unanswered, detail);
        }
        // The last chunk may be missing.
        let between_chunks = self.mode == Mode::Command && self.trail.gap_since_mail;
        let is_cut = |t: &Transaction| matches!(t.message, Progress::Open(_)) && !between_chunks;
        if self.transactions.iter().any(is_cut) {
            cx.out.diagnose(span, Code::MessageCut, "the session ended within a message");
        }
        let lossy = self.doubt.lossy;
        // Its end may be missing, with the verdict.
        let end_unseen = self.course.server_gap && self.trail.last_gap > 0;
        while let Some(transaction) = self.transactions.front_mut() {
            let id = transaction.id;
            transaction.verdicts_missing(lossy);
            // Whether or not the server was captured: a message that was not finished is aborted by the connection's
            // end.
            let open = matches!(transaction.message, Progress::Open(_));
            let refused = transaction.refusal.is_some() && !open;
            let outcome = match open {
                _ if refused => MessageOutcome::Rejected,
                true if between_chunks || end_unseen => MessageOutcome::Unknown,
                true if self.course.closed() => MessageOutcome::Aborted,
                _ => message,
            };
            self.close_transaction(id, outcome, span, cx);
        }
    }

    /// What is left in the buffers.
    fn finish_lines(&mut self, span: Span, cx: &mut Context<'_>) {
        if let Some((bytes, span)) = self.lines[1].take_pending() {
            // A last line without its end is a reply all the same.
            if reply::is_trustworthy(&bytes) {
                self.server_line(Line { bytes: &bytes, end: LineEnd::Lf, span }, cx);
            } else {
                self.skip(Direction::Server, bytes.len());
            }
        }
        if let Some(reply) = self.assembler.take() {
            self.answer(reply, cx);
        }
        if self.wait == Wait::EndOfData {
            if self.course.server_gap || cx.one_sided {
                self.judge_by_looks(cx);
            } else {
                self.reject_look_alike(cx);
            }
            self.replay(cx);
        }
        if self.wait == Wait::Beginning {
            self.pass_over_beginning(cx);
        }
        self.end_sifting(cx);
        if self.wait != Wait::No && !self.hold.is_empty() {
            if cx.one_sided || self.course.server_gap {
                self.decide_by_looks(span, cx);
            }
            let unread = self.hold.bytes().len();
            if unread > 0 {
                self.skip(Direction::Client, unread);
                cx.out.diagnose(
                    span,
                    Code::Skipped,
                    format!("{} from the client, sent before an answer", count(unread as u64, "byte")),
                );
            }
        }
        if let Some((bytes, _)) = self.lines[0].take_pending() {
            self.skip(Direction::Client, bytes.len());
        }
        if let Some(content) = &mut self.content
            && let Some(transaction) = self.transactions.back_mut()
            && let Progress::Open(builder) = &mut transaction.message
        {
            content.scanner.flush(|b| builder.push(b, span, cx.out));
        }
    }
}
