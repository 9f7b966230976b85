//! The client's side: command lines, responses to challenges, what comes before the first command.

use super::command::{self, Verb};
use super::xexch50::xexch50_size;
use super::*;
use crate::event::{Command, EventBody, Recipient};
use crate::mail::line::{Line, LineEnd};
use crate::mail::sasl::{MASK, shown_mechanism};

impl Smtp {
    /// The client's next bytes.
    pub(super) fn client_input(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
        let all = Advance { consumed: chunk.bytes.len(), next: Next::Continue };
        let span = chunk.span;
        if !self.deferred.is_empty() {
            // The client goes on after one reply: the look-alike was none.
            self.reject_look_alike(cx);
            if self.replay(cx) == Next::StartTls {
                return Advance { consumed: 0, next: Next::StartTls };
            }
        }
        let mut rest = chunk;
        if self.wait == Wait::No {
            self.client_bytes(&mut rest, cx);
        }
        if !rest.bytes.is_empty() {
            self.hold.push(rest);
            self.note_haste();
        }
        if self.wait != Wait::No {
            self.stop_waiting(span, cx);
        }
        all
    }

    /// Reads until the server has to decide something.
    pub(super) fn client_bytes(&mut self, input: &mut Chunk<'_>, cx: &mut Context<'_>) {
        while !input.bytes.is_empty() && self.wait == Wait::No {
            match self.mode {
                Mode::Command | Mode::Response => self.client_lines(input, cx),
                Mode::Data => self.data_bytes(input, cx),
                Mode::Chunk { .. } => self.chunk_bytes(input, cx),
                Mode::Xexch50 { .. } => self.xexch50_bytes(input, cx),
            }
        }
    }

    /// What was held can be read now.
    pub(super) fn release(&mut self, cx: &mut Context<'_>) {
        let mut hold = std::mem::take(&mut self.hold);
        while self.wait == Wait::No
            && let Some(front) = hold.front()
        {
            let used = match front {
                Front::Bytes(chunk) => {
                    let mut rest = chunk;
                    self.client_bytes(&mut rest, cx);
                    chunk.bytes.len() - rest.bytes.len()
                }
                Front::Gap(missing) => {
                    self.settle_commands(cx);
                    if self.wait != Wait::No {
                        break;
                    }
                    self.client_gap(missing, cx);
                    0
                }
            };
            hold.advance(used);
        }
        // What was withheld comes before the rest.
        self.hold.append(hold);
        self.note_haste();
    }

    /// Notes that the client does not wait for replies, where it sends more behind DATA before the 354.
    fn note_haste(&mut self) {
        self.doubt.rhythm.early |= self.wait == Wait::Data && !self.doubt.beyond && !self.hold.bytes().is_empty();
    }

    fn client_lines(&mut self, input: &mut Chunk<'_>, cx: &mut Context<'_>) {
        let mut lines = std::mem::take(&mut self.lines[0]);
        while let Some(line) = lines.next(input, cx.limits.line_bytes) {
            self.client_line(line, cx);
            if self.wait != Wait::No || !matches!(self.mode, Mode::Command | Mode::Response) {
                break;
            }
        }
        self.lines[0] = lines;
    }

    pub(super) fn client_line(&mut self, line: Line<'_>, cx: &mut Context<'_>) {
        let too_long = line.end == LineEnd::TooLong;
        if std::mem::replace(&mut self.trail.too_long, too_long) {
            self.skip(Direction::Client, line.wire_len());
            return;
        }
        if self.trail.lost[0] {
            if !command::is_trustworthy(line.bytes) {
                self.skip(Direction::Client, line.wire_len());
                self.trail.lines_skipped = self.trail.lines_skipped.saturating_add(1);
                self.envelope_in_gap(line.wire_len() as u64);
                return self.sift_text();
            }
            if self.withhold(&line, cx) {
                return;
            }
            self.found_again(Direction::Client, line.span, cx);
        }
        // What is left of a reply comes before the next command, as a rule.
        self.trail.torn[1] &= !self.pending.is_empty();
        let torn = std::mem::replace(&mut self.trail.torn[0], line.end == LineEnd::Missing);
        if torn && self.mode == Mode::Command && !command::is_trustworthy(line.bytes) {
            self.skip(Direction::Client, line.wire_len());
            return;
        }
        if too_long {
            self.tell_once(line.span, Code::LongLine, "a command is too long; its end is left out", cx);
        }
        if line.end == LineEnd::Lf {
            self.tell_once(line.span, Code::BareLf, "a command ends in LF alone", cx);
        }
        if self.mode == Mode::Response {
            let unsure = cx.one_sided || self.login.is_none();
            if !(unsure && command::is_trustworthy(line.bytes)) {
                return self.response(line, cx);
            }
            self.end_login(AuthOutcome::Unknown, line.span, cx);
        }
        let refuted = self.sift.refutes(line.bytes);
        if refuted || self.trail.unsure_commands && command::parse(line.bytes).verb == Verb::Unknown {
            // What looked like a command was a mail's text.
            self.trail.lost[0] = true;
            self.skip(Direction::Client, line.wire_len());
            self.trail.lines_skipped = self.trail.lines_skipped.saturating_add(1);
            self.suspect_chunk(self.chunk.offered, cx);
            return self.commands_lost(line.span, cx);
        }
        let (early, span) = (self.pending.front().is_some_and(|p| p.kind == Kind::Greeting), line.span);
        self.command(line, cx);
        if early && !cx.one_sided {
            self.tell_once(span, Code::EarlyTalker, "the client did not wait for the greeting", cx);
        }
    }

    fn command(&mut self, line: Line<'_>, cx: &mut Context<'_>) {
        let parsed = command::parse(line.bytes);
        self.summary.commands += u64::from(parsed.verb != Verb::Unknown);
        if !matches!(parsed.verb, Verb::Bdat | Verb::Burl)
            && let Some(id) = self.open_transaction().filter(|t| t.chunk_refused).map(|t| t.id)
        {
            self.close_transaction(id, MessageOutcome::Aborted, line.span, cx);
        }
        let torn = line.end == LineEnd::Missing;
        if parsed.verb == Verb::Auth && !parsed.args.is_empty() {
            return self.auth(parsed, torn, line.span, cx);
        }
        let seq = match parsed.verb {
            Verb::Unknown => {
                let (seq, masked) = self.tell_unknown(parsed, line.span, cx);
                self.summary.commands += u64::from(!masked);
                self.trail.lines_skipped =
                    self.trail.lines_skipped.saturating_add(u32::from(self.trail.gap_since_mail));
                seq
            }
            _ => {
                cx.understands();
                let mut args = parsed.args.into();
                if parsed.verb == Verb::Burl {
                    cx.veil_urls(&mut args);
                }
                self.tell_command(parsed.name, args, torn, line.span, cx)
            }
        };
        let transaction = self.open_transaction().map_or(0, |t| t.id);
        let kind = parsed.verb.awaits();
        let mut pending = Pending { seq: Some(seq), kind, sent: Some(line.span.last), transaction, maybe: false };
        match parsed.verb {
            Verb::Helo | Verb::Ehlo | Verb::Lhlo => {
                self.hello(&parsed, torn);
                self.reset_sent(transaction, line.span, cx);
            }
            Verb::Rset => {
                self.reset_sent(transaction, line.span, cx);
            }
            Verb::Mail => {
                (self.trail.gap_since_mail, self.trail.lines_skipped) = (false, 0);
                pending.transaction = self.mail(parsed.args, torn, transaction, line.span, cx);
            }
            Verb::Rcpt => {
                pending.kind = Kind::Rcpt(self.rcpt(parsed.args, torn, line.span, cx));
                pending.transaction = self.open_transaction().map_or(0, |t| t.id);
            }
            Verb::Data => {
                if !cx.one_sided {
                    self.wait = Wait::Data;
                }
            }
            Verb::Bdat => return self.bdat(parsed.args, pending, line.span, cx),
            Verb::Burl => return self.burl(parsed.args, pending, line.span, cx),
            Verb::Xexch50 => {
                if let Some(size) = xexch50_size(parsed.args) {
                    pending.kind = Kind::Xexch50(size);
                    if cx.one_sided {
                        self.mode = Mode::Xexch50 { remaining: size, seq: Some(seq), begun: false };
                    } else {
                        self.wait = Wait::Xexch50;
                    }
                } else {
                    pending.kind = Kind::Other;
                }
            }
            Verb::StartTls => {
                if !cx.one_sided {
                    self.wait = Wait::StartTls;
                }
            }
            Verb::Quit => self.course.quit = true,
            // Without a mechanism.
            Verb::Auth => pending.kind = Kind::Other,
            Verb::Turn | Verb::Other | Verb::Unknown => {}
        }
        self.expect(pending, line.span, cx);
        if parsed.verb == Verb::Data && cx.one_sided {
            self.begin_data(false, Some(seq), cx);
        }
    }

    fn hello(&mut self, parsed: &command::Line<'_>, torn: bool) {
        let name = parsed.args.split(|b| *b == b' ').next().unwrap_or_default();
        self.helo_before = std::mem::replace(&mut self.summary.helo, (!torn).then(|| name.into()));
        if parsed.verb == Verb::Lhlo {
            self.protocol = Protocol::Lmtp;
        }
        self.smtp_hello = parsed.verb != Verb::Lhlo;
    }

    fn bdat(&mut self, args: &[u8], mut pending: Pending, span: Span, cx: &mut Context<'_>) {
        // What is not understood is refused, and no bytes follow.
        let Some((size, last)) = command::bdat(args) else {
            cx.out.diagnose(span, Code::BadLength, "the arguments of BDAT are not a size and LAST");
            return self.expect(pending, span, cx);
        };
        self.chunk.offered = true;
        pending.transaction = self.begin_chunk(size, last, cx);
        pending.kind = Kind::Chunk { last };
        (self.chunk.size, self.chunk.seq) = (size, pending.seq);
        self.expect(pending, span, cx);
        if size == 0 {
            self.end_chunk(span, cx);
        }
    }

    /// The server fetches a piece of the message itself (RFC 4468): its bytes are not here.
    fn burl(&mut self, args: &[u8], mut pending: Pending, span: Span, cx: &mut Context<'_>) {
        let last = args.split(|b| *b == b' ').next_back().is_some_and(|w| w.eq_ignore_ascii_case(b"LAST"));
        pending.kind = Kind::Chunk { last };
        let Some(builder) = self.builder() else {
            self.trail.gap_since_mail = true;
            return self.expect(pending, span, cx);
        };
        builder.gap();
        pending.transaction = self.begin_chunk(0, last, cx);
        (self.chunk.size, self.chunk.seq) = (0, pending.seq);
        self.expect(pending, span, cx);
        self.end_chunk(span, cx);
    }

    fn tell_command(&mut self, verb: &[u8], args: Text, torn: bool, span: Span, cx: &mut Context<'_>) -> u64 {
        let command = Command { incomplete: torn, ..command_of(verb, args, cx) };
        cx.out.push(span, EventBody::Command(command))
    }

    /// Gives whether it has no verb (any more), too.
    fn tell_unknown(&mut self, parsed: command::Line<'_>, span: Span, cx: &mut Context<'_>) -> (u64, bool) {
        let mut command = command_of(parsed.name, parsed.args.into(), cx);
        cx.veil(&mut command);
        let masked = command.verb.is_empty();
        (cx.out.push(span, EventBody::Command(command)), masked)
    }

    /// What follows RSET or a new EHLO is not the open transaction's, whether the reply will be heard or not.
    fn reset_sent(&mut self, transaction: u64, span: Span, cx: &mut Context<'_>) {
        if cx.one_sided {
            self.reset_transactions(transaction, span, cx);
        }
        self.current = false;
    }

    fn mail(&mut self, args: &[u8], torn: bool, before: u64, span: Span, cx: &mut Context<'_>) -> u64 {
        if cx.one_sided {
            self.reset_transactions(before, span, cx);
            self.numbered += 1;
        }
        let number = if cx.one_sided { self.numbered } else { 0 };
        let transaction = self.begin_transaction(cx);
        (transaction.number, transaction.begins_seen) = (number, true);
        if let Some(path) = command::path(args, b"FROM").filter(|_| !torn || command::is_path_whole(args, b"FROM")) {
            transaction.mail_from = Some(path.address.into());
            transaction.mail_params = (!path.params.is_empty() && !torn).then(|| path.params.into());
        }
        transaction.id
    }

    fn rcpt(&mut self, args: &[u8], torn: bool, span: Span, cx: &mut Context<'_>) -> Option<usize> {
        let address: Text = match command::path(args, b"TO") {
            Some(path) if !torn || command::is_path_whole(args, b"TO") => path.address.into(),
            _ if torn => Text::default(),
            _ => return None,
        };
        if self.open_transaction().is_none() {
            // MAIL is missing, or will be missed by the server.
            let unseen = self.trail.joined && self.next_transaction == 1;
            self.begin_transaction(cx).begins_unseen = unseen;
        }
        let transaction = self.open_transaction()?;
        transaction.torn |= torn && address.is_empty();
        let index = transaction.recipients.len();
        if index >= cx.limits.recipients {
            self.tell_once(span, Code::EntryLimit, "more recipients than are kept", cx);
            return None;
        }
        transaction.recipients.push(Recipient { address, ..Recipient::default() });
        Some(index)
    }

    fn auth(&mut self, parsed: command::Line<'_>, torn: bool, span: Span, cx: &mut Context<'_>) {
        // One exchange at a time: an older one never got its end.
        self.end_login(AuthOutcome::Unknown, span, cx);
        let (mechanism, initial) = split_word(parsed.args);
        let mut login = Exchange::sasl(mechanism, cx.tls, span);
        cx.authenticates(b"");
        let mut args = shown_mechanism(mechanism, cx.options).0;
        if !initial.is_empty() {
            args.push(b' ');
            args.extend_from_slice(&respond(&mut login, initial, torn, span, cx).0);
        }
        let reveals = login.take_revealed();
        self.login = Some(login);
        let seq = self.tell_command(parsed.name, args.into(), torn, span, cx);
        cx.warn_of_plaintext(reveals, span);
        self.expect_auth(seq, span, cx);
        if cx.one_sided {
            self.mode = Mode::Response;
        } else {
            self.wait = Wait::Auth;
        }
    }

    fn expect_auth(&mut self, seq: u64, span: Span, cx: &mut Context<'_>) {
        let (seq, sent) = (Some(seq), Some(span.last));
        self.expect(Pending { seq, kind: Kind::Auth, sent, transaction: 0, maybe: false }, span, cx);
    }

    /// A line that answers a challenge.
    fn response(&mut self, line: Line<'_>, cx: &mut Context<'_>) {
        let bytes = line.bytes.trim_ascii();
        let torn = line.end == LineEnd::Missing;
        let (shown, reveals) = match &mut self.login {
            Some(login) => {
                let shown = respond(login, bytes, torn, line.span, cx);
                (shown, login.take_revealed())
            }
            None => (MASK.into(), false),
        };
        let seq = self.tell_command(b"", shown, torn, line.span, cx);
        cx.warn_of_plaintext(reveals, line.span);
        self.expect_auth(seq, line.span, cx);
        if !cx.one_sided {
            self.mode = Mode::Command;
            self.wait = Wait::Auth;
        }
    }

    /// Commands that were sent in the clear behind STARTTLS.
    pub(super) fn injected(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) {
        let mut lines = std::mem::take(&mut self.injected_lines);
        let mut input = chunk;
        while let Some(line) = lines.next(&mut input, cx.limits.line_bytes) {
            self.injected_line(line.bytes, line.span, cx);
        }
        if let Some((rest, span)) = lines.take_pending() {
            self.injected_line(&rest, span, cx);
        }
    }

    fn injected_line(&mut self, line: &[u8], span: Span, cx: &mut Context<'_>) {
        let parsed = command::parse(line);
        let mut args = parsed.args.to_vec();
        if parsed.verb == Verb::Auth {
            let (mechanism, initial) = split_word(parsed.args);
            args = shown_mechanism(mechanism, cx.options).0;
            if !initial.is_empty() {
                let mut exchange = Exchange::sasl(mechanism, cx.tls, span);
                args.push(b' ');
                args.extend_from_slice(&cx.respond(&mut exchange, initial, span).0);
            }
            cx.authenticates(b"");
        } else if parsed.verb == Verb::Unknown {
            self.tell_unknown(parsed, span, cx);
            return;
        }
        self.tell_command(parsed.name, args.into(), false, span, cx);
    }
}

/// The response as it may be shown. One that is `torn`, as its end is missing, says nothing for sure.
fn respond(login: &mut Exchange, response: &[u8], torn: bool, span: Span, cx: &mut Context<'_>) -> Text {
    if torn {
        login.gap();
        return MASK.into();
    }
    cx.respond(login, response, span)
}

fn command_of(verb: &[u8], args: Text, cx: &Context<'_>) -> Command {
    Command {
        tls: cx.tls,
        verb: verb.into(),
        args,
        tag: None,
        injected: cx.injected,
        assumed: cx.one_sided && !cx.injected,
        incomplete: false,
    }
}

fn split_word(args: &[u8]) -> (&[u8], &[u8]) {
    let end = args.iter().position(|b| matches!(b, b' ' | b'\t' | b'\r')).unwrap_or(args.len());
    let (word, rest) = args.split_at(end);
    (word, rest.trim_ascii())
}
