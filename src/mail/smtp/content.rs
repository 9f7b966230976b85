//! A message's bytes, behind 354 or in chunks (RFC 3030), and whether what looks like their end is it.

use super::command;
use super::data::{Before, Found, LookAlike, Scanner};
use super::*;
use crate::event::{Message, MessageDirection, MessagePart};
use crate::mail::line::{LineEnd, find_byte};
use crate::mail::message::MessageBuilder;

/// State of the data behind a 354.
pub(super) struct Content {
    pub(super) scanner: Scanner,
    /// The look-alike that waits to be judged, and its frame.
    look_alike: Option<(LookAlike, Span)>,
    /// Bytes in which look-alikes are content: the server has been asked about one before them.
    trusting: usize,
    /// Whether the bytes held behind the look-alike hold a regular end, and how many lines are behind that.
    regular_end: Option<Option<usize>>,
    /// The client's bytes have a gap in this message.
    pub(super) gap: bool,
    /// The server's have one since it began.
    pub(super) server_gap: bool,
    smuggling_told: bool,
}

/// BDAT, by what is known of the chunk that is under way or comes next.
pub(super) struct ChunkUnderWay {
    /// The server takes chunks, or may.
    pub offered: bool,
    /// It was refused before a byte of it came.
    pub refused_unsent: bool,
    /// Announced size, and the command's place.
    pub size: u64,
    pub seq: Option<u64>,
}

impl Default for ChunkUnderWay {
    fn default() -> Self {
        ChunkUnderWay { offered: true, refused_unsent: false, size: 0, seq: None }
    }
}

impl Content {
    pub(super) fn new() -> Self {
        Content {
            scanner: Scanner::new(),
            look_alike: None,
            trusting: 0,
            regular_end: None,
            gap: false,
            server_gap: false,
            smuggling_told: false,
        }
    }

    /// Lines behind the regular end in `held`, looked for once: nothing is added while replies wait.
    fn regular_end(&mut self, held: &[u8]) -> Option<usize> {
        if let Some(known) = self.regular_end {
            return known;
        }
        let mut ahead = self.scanner.clone();
        let mut found = self.look_alike.map(|(it, _)| Found::LookAlike(it)).unwrap_or(Found::Nothing);
        let mut at = 0;
        let end = loop {
            match found {
                Found::End => break Some(at),
                Found::LookAlike(it) => ahead.reject(it, |_| {}),
                Found::Nothing if at >= held.len() => break None,
                Found::Nothing => {}
            }
            let (used, next) = ahead.advance(held.get(at..).unwrap_or_default(), |_| {});
            at += used;
            found = next;
            if used == 0 && found == Found::Nothing {
                break None;
            }
        };
        let behind = end.map(|end| held.get(end..).unwrap_or_default().iter().filter(|&&b| b == b'\n').count());
        self.regular_end = Some(behind);
        behind
    }
}

impl Smtp {
    /// The open message of the current transaction.
    pub(super) fn builder(&mut self) -> Option<&mut MessageBuilder> {
        match &mut self.transactions.back_mut()?.message {
            Progress::Open(builder) => Some(builder),
            _ => None,
        }
    }

    pub(super) fn begin_message(&mut self, cx: &mut Context<'_>) {
        self.ordinals += 1;
        self.summary.messages += 1;
        let mut message = Message::new(self.protocol, MessageDirection::Submitted, MessagePart::Full);
        message.ordinal = self.ordinals;
        message.tls = cx.tls;
        message.assumed = cx.one_sided;
        let builder = MessageBuilder::new(message, cx.options, cx.limits);
        if self.open_transaction().is_none_or(|t| t.has_message()) {
            self.begin_transaction(cx);
        }
        if let Some(transaction) = self.open_transaction() {
            transaction.message = Progress::Open(Box::new(builder));
        }
    }

    /// The message behind DATA begins. `unsure`: DATA itself is in a gap, and perhaps some of the message.
    pub(super) fn begin_data(&mut self, unsure: bool, data: Option<u64>, cx: &mut Context<'_>) {
        self.begin_message(cx);
        self.mode = Mode::Data;
        self.content = Some(Content::new());
        if let Some(transaction) = self.open_transaction() {
            transaction.data_seq = data;
        }
        // Nothing has shown yet that DATA was one, or it stood in a mail's text.
        let doubtful = self.trail.unsure_commands || self.trail.lines_skipped > 1;
        let short = !doubtful && self.trail.last_gap <= SHORT_GAP;
        if (unsure || doubtful)
            && let Some(builder) = self.builder()
        {
            if short {
                builder.gap_before_header();
            } else {
                builder.gap();
            }
        }
    }

    pub(super) fn data_bytes(&mut self, input: &mut Chunk<'_>, cx: &mut Context<'_>) {
        let (bytes, span) = (input.bytes, input.span);
        let Some(mut content) = self.content.take() else {
            self.mode = Mode::Command;
            return;
        };
        let builder = self.builder();
        let (used, found) = match builder {
            Some(builder) => content.scanner.advance(bytes, |b| builder.push(b, span, cx.out)),
            None => content.scanner.advance(bytes, |_| {}),
        };
        input.bytes = bytes.get(used..).unwrap_or_default();
        let trusted = content.trusting > 0;
        content.trusting = content.trusting.saturating_sub(used);
        self.content = Some(content);
        match found {
            Found::Nothing => {}
            Found::End => self.end_data(span, Some(span.last), cx),
            Found::LookAlike(it) => {
                if let Some(content) = &mut self.content {
                    content.look_alike = Some((it, span));
                    content.regular_end = None;
                }
                if trusted {
                    self.keep_look_alike(cx);
                } else {
                    self.wait = Wait::EndOfData;
                }
            }
        }
    }

    /// The message is over: by its dot at `span`, or, with `sent` absent, somewhere in a gap.
    pub(super) fn end_data(&mut self, span: Span, sent: Option<FramePos>, cx: &mut Context<'_>) {
        let content = self.content.take();
        if content.is_some_and(|c| c.scanner.bare_lf) {
            cx.out.diagnose(span, Code::BareLf, "lines of a message end in LF alone");
        }
        self.mode = Mode::Command;
        self.wait = Wait::No;
        self.trail.lost[0] |= sent.is_none();
        self.end_message(sent.is_some(), span, Kind::EndOfData, sent, cx);
    }

    fn end_message(&mut self, ended: bool, span: Span, kind: Kind, sent: Option<FramePos>, cx: &mut Context<'_>) {
        let Some(transaction) = self.transactions.back_mut() else { return };
        transaction.end_message(ended, span, cx.out);
        let id = transaction.id;
        self.current = false;
        if cx.one_sided {
            return self.close_transaction(id, MessageOutcome::Accepted, span, cx);
        }
        if kind == Kind::EndOfData {
            // It answers DATA a second time.
            let seq = self.last_data();
            self.expect(Pending { seq, kind, sent, transaction: id, maybe: false }, span, cx);
            if sent.is_none() {
                // More may be in the gap.
                self.commands_lost(span, cx);
            }
        }
    }

    /// `seq` of the DATA command that began the message.
    fn last_data(&self) -> Option<u64> {
        self.transactions.back().and_then(|t| t.data_seq)
    }

    /// A reply while the judgement on a look-alike is open.
    pub(super) fn judge(&mut self, reply: Reply, cx: &mut Context<'_>) -> Option<Reply> {
        let Some(content) = &mut self.content else { return Some(reply) };
        let held = self.hold.bytes();
        if reply.code == Some(354) && content.gap {
            // Another DATA is answered.
            self.take_look_alike(cx);
            return Some(reply);
        }
        let end = content.regular_end(held);
        let commands = begins_with_command(held);
        match end {
            None => {
                let nothing_behind = held.is_empty();
                let taken = match reply.class() {
                    2 => true,
                    4 | 5 if reply.code != Some(421) => nothing_behind || commands,
                    _ => false,
                };
                if taken {
                    self.take_look_alike(cx);
                } else if !nothing_behind {
                    self.reject_look_alike(cx);
                }
                Some(reply)
            }
            Some(_) if !commands || !matches!(reply.class(), 2 | 4 | 5) => {
                self.reject_look_alike(cx);
                Some(reply)
            }
            Some(commands_behind) => {
                // Either way this reply is a message's. More replies than the commands behind the regular end can
                // have show that the server took the look-alike, and what follows it for commands.
                self.deferred.push(reply);
                if self.deferred.len() > 1 + commands_behind {
                    self.take_look_alike(cx);
                } else if self.deferred.len() > cx.limits.pending_commands {
                    // So many commands are answered that they are there.
                    self.reject_look_alike(cx);
                }
                None
            }
        }
    }

    /// The server took the look-alike for the end.
    pub(super) fn take_look_alike(&mut self, cx: &mut Context<'_>) {
        let Some((it, span)) = self.content.as_mut().and_then(|c| c.look_alike.take()) else { return };
        if it.before != Before::Gap {
            cx.out.diagnose(span, Code::IrregularEndOfData, format!("the server took {} for it", it.name()));
            if begins_with_command(self.hold.bytes()) {
                cx.out.diagnose(span, Code::Smuggling, "commands follow an irregular end of data in the same flight");
            }
        }
        self.end_data(span, Some(span.last), cx);
        self.replay.extend(std::mem::take(&mut self.deferred));
        self.release(cx);
    }

    /// The look-alike is content.
    pub(super) fn reject_look_alike(&mut self, cx: &mut Context<'_>) {
        // The server has been asked about all that is held, so that further look-alikes in it need no asking.
        self.reject_trusting(self.hold.bytes().len(), cx);
    }

    fn reject_trusting(&mut self, held: usize, cx: &mut Context<'_>) {
        self.replay.extend(std::mem::take(&mut self.deferred));
        self.keep_look_alike(cx);
        if let Some(content) = &mut self.content {
            content.trusting = held;
        }
        self.wait = Wait::No;
        self.release(cx);
    }

    fn keep_look_alike(&mut self, cx: &mut Context<'_>) {
        let Some(mut content) = self.content.take() else { return };
        if let Some((it, span)) = content.look_alike.take() {
            if let Some(builder) = self.builder() {
                content.scanner.reject(it, |b| builder.push(b, span, cx.out));
            }
            if it.before != Before::Gap && !std::mem::replace(&mut content.smuggling_told, true) {
                cx.out.diagnose(span, Code::Smuggling, format!("{} inside a message", it.name()));
            }
        }
        self.content = Some(content);
    }

    /// Judges a look-alike by what follows it, as the server's word is missing: a client that ends every line in LF
    /// alone means it.
    pub(super) fn judge_by_looks(&mut self, cx: &mut Context<'_>) {
        let held = self.hold.bytes();
        let lf_only = self.content.as_ref().is_some_and(|c| c.scanner.bare_lf && !c.scanner.crlf || c.gap);
        if lf_only && (held.is_empty() || begins_with_command(held)) {
            self.take_look_alike(cx);
        } else {
            self.doubt_end(cx);
            self.reject_trusting(0, cx);
        }
    }

    /// Whether the server took a look-alike for the end is lost, so that what the message holds is a guess.
    pub(super) fn doubt_end(&mut self, cx: &Context<'_>) {
        if !cx.one_sided
            && let Some(builder) = self.builder()
        {
            builder.gap();
        }
    }

    /// BDAT: its bytes follow, whatever the server will say. Gives the transaction.
    pub(super) fn begin_chunk(&mut self, size: u64, last: bool, cx: &mut Context<'_>) -> u64 {
        let open = self.open_transaction().is_some_and(|t| t.has_message());
        if !open {
            self.begin_message(cx);
            if self.trail.gap_since_mail
                && let Some(builder) = self.builder()
            {
                // Its first chunks may be missing.
                builder.gap();
            }
        }
        self.mode = Mode::Chunk { remaining: size, last, slack: 0 };
        self.transactions.back().map_or(0, |t| t.id)
    }

    pub(super) fn chunk_bytes(&mut self, input: &mut Chunk<'_>, cx: &mut Context<'_>) {
        let Mode::Chunk { remaining, last, slack } = self.mode else { return };
        let sure = remaining - slack.min(remaining);
        if sure == 0 && slack > 0 {
            return self.chunk_end_search(input, cx);
        }
        let n = usize::try_from(if slack > 0 { sure } else { remaining }).unwrap_or(usize::MAX).min(input.bytes.len());
        let (bytes, rest) = input.bytes.split_at(n);
        let span = input.span;
        if let Some(builder) = self.builder() {
            builder.push(bytes, span, cx.out);
        }
        input.bytes = rest;
        let remaining = remaining - n as u64;
        self.mode = Mode::Chunk { remaining, last, slack };
        if remaining == 0 {
            self.end_chunk(span, cx);
        }
    }

    /// A chunk of which an unknown number of bytes is missing ends before the next command, at the latest when all
    /// bytes are there.
    fn chunk_end_search(&mut self, input: &mut Chunk<'_>, cx: &mut Context<'_>) {
        let mut lines = std::mem::take(&mut self.lines[0]);
        let first_only = self.chunk.refused_unsent;
        while let Mode::Chunk { remaining, last, slack } = self.mode {
            if slack == 0 {
                break;
            }
            let bound = usize::try_from(remaining).unwrap_or(usize::MAX).min(cx.limits.line_bytes);
            let Some(line) = lines.next(input, bound) else { break };
            self.chunk.refused_unsent = false;
            if line.end != LineEnd::TooLong && command::is_trustworthy(line.bytes) {
                if first_only {
                    self.chunk_not_sent(line.span, cx);
                } else {
                    self.end_chunk(line.span, cx);
                    // The gap may have had more than the chunk's bytes.
                    self.commands_lost(line.span, cx);
                }
                self.client_line(line, cx);
                break;
            }
            let end = line.end.as_bytes();
            if let Some(builder) = self.builder() {
                builder.push(line.bytes, line.span, cx.out);
                builder.push(end, line.span, cx.out);
            }
            let remaining = remaining.saturating_sub(line.wire_len() as u64);
            self.mode = Mode::Chunk { remaining, last, slack: if first_only { 0 } else { remaining } };
            if remaining == 0 {
                self.end_chunk(line.span, cx);
            }
        }
        self.lines[0] = lines;
    }

    /// A chunk's last byte is there (or lost).
    pub(super) fn end_chunk(&mut self, span: Span, cx: &mut Context<'_>) {
        let Mode::Chunk { last, .. } = self.mode else { return };
        self.mode = Mode::Command;
        let id = self.transactions.back().map_or(0, |t| t.id);
        // Its reply's latency counts from here.
        if let Some(pending) =
            self.pending.iter_mut().rev().find(|p| matches!(p.kind, Kind::Chunk { .. }) && p.transaction == id)
        {
            pending.sent = Some(span.last);
        }
        if last {
            self.end_message(true, span, Kind::Chunk { last }, None, cx);
            self.close_decided(id, span, cx);
        }
    }

    /// The server's verdict came before the last byte.
    fn close_decided(&mut self, id: u64, span: Span, cx: &mut Context<'_>) {
        if self.transaction(id).is_some_and(|t| t.decided) {
            self.close_transaction(id, MessageOutcome::Rejected, span, cx);
        }
    }

    /// A gap amid a chunk: `len` bytes, or at most so many inside TLS.
    pub(super) fn chunk_gap(&mut self, len: u64, span: Span, cx: &mut Context<'_>) {
        let Mode::Chunk { remaining, last, slack } = self.mode else { return };
        if let Some((partial, span)) = self.lines[0].take_pending()
            && let Some(builder) = self.builder()
        {
            builder.push(&partial, span, cx.out);
        }
        if let Some(builder) = self.builder() {
            builder.gap();
        }
        if cx.tls || slack > 0 {
            self.mode = Mode::Chunk { remaining, last, slack: slack.saturating_add(len).min(remaining) };
        } else if len <= remaining {
            self.mode = Mode::Chunk { remaining: remaining - len, last, slack };
            if len == remaining {
                self.end_chunk(span, cx);
            }
        } else {
            self.end_chunk(span, cx);
            self.trail.lost[0] = true;
            self.suspect_chunk(!last, cx);
            self.commands_lost(span, cx);
        }
    }

    /// The server refused a chunk before a byte of it came, and a command comes in its place: it will not come.
    fn chunk_not_sent(&mut self, span: Span, cx: &mut Context<'_>) {
        let Mode::Chunk { remaining, .. } = self.mode else { return };
        cx.out.diagnose(span, Code::BadLength, format!("a refused chunk of {remaining} bytes was not sent"));
        self.mode = Mode::Command;
        let id = self.transactions.back().map_or(0, |t| t.id);
        self.close_decided(id, span, cx);
    }
}

/// What a gap has of a message besides the DATA before it is no more than a part of the header, up to here.
const SHORT_GAP: u64 = 512;

/// Bytes in which a line is looked for that would be a command; bounds what a look-alike costs.
pub(super) const COMMAND_BYTES: usize = 512;

/// Whether the first line of `held` is a command.
pub(super) fn begins_with_command(held: &[u8]) -> bool {
    let held = held.get(..COMMAND_BYTES).unwrap_or(held);
    let Some(end) = find_byte(held, b'\n') else { return false };
    let line = held.get(..end).unwrap_or_default();
    command::is_trustworthy(line.strip_suffix(b"\r").unwrap_or(line))
}
