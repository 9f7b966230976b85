//! Messages on their way from the server: RETR's and TOP's, and those whose command was not seen.

use super::Pop3;
use super::body::{Body, Fed};
use super::server::{Guess, Mode, push_reply};
use crate::diagnostic::Code;
use crate::event::{EventBody, Message, MessageDirection, MessageOutcome, MessagePart, Protocol};
use crate::fmt::count;
use crate::mail::line::Line;
use crate::mail::message::MessageBuilder;
use crate::mail::{Chunk, Context, Emitter};
use crate::position::{Direction, Span};

/// Lines that nobody asks TOP for who does not want all of them: fetchmail asks for 99,999,999, so that the mail does
/// not count as read. Fewer come, as many as there are.
const ALL_LINES: u64 = 100_000;

/// A message, and where its bytes stand.
pub(super) struct Download {
    pub(super) builder: MessageBuilder,
    pub(super) body: Body,
    span: Span,
    /// The command that asked for it was not seen: RETR, or TOP.
    guessed: Option<Extent>,
    /// Lines until it may go on beyond what a TOP for all of it asked for.
    all_of: Option<u64>,
}

impl Download {
    /// TOP with that many lines asked for it.
    pub(super) fn top(&mut self, lines: u64) {
        self.builder.message_mut().part = MessagePart::Headers;
        self.all_of = Some(lines).filter(|&lines| lines >= ALL_LINES);
    }
}

/// How far a message goes: whether anything follows its header.
#[derive(Default)]
struct Extent {
    line_empty: bool,
    header_over: bool,
    text: bool,
}

impl Extent {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.header_over {
                self.text = true;
                return;
            }
            match byte {
                b'\n' if self.line_empty => self.header_over = true,
                b'\n' => self.line_empty = true,
                b'\r' => {}
                _ => self.line_empty = false,
            }
        }
    }
}

impl Pop3 {
    /// The reply that begins a message was read.
    pub(super) fn begin_body(
        &mut self,
        number: Option<u32>,
        status: &[u8],
        span: Span,
        cx: &mut Context<'_>,
    ) -> Box<Download> {
        self.queue.login.served();
        self.ordinal += 1;
        self.transaction += 1;
        let mut message = Message::new(Protocol::Pop3, MessageDirection::Retrieved, MessagePart::Full);
        message.ordinal = self.ordinal;
        message.transaction = self.transaction;
        message.tls = cx.tls;
        message.status = Some(status.into());
        message.uidl = number.and_then(|number| self.unique_ids.get(&number).cloned());
        message.number = number;
        message.assumed = cx.one_sided;
        let builder = MessageBuilder::new(message, cx.options, cx.limits);
        Box::new(Download { builder, body: Body::new(), span, guessed: None, all_of: None })
    }

    /// A status line whose command is missing, and a line that begins a mail.
    pub(super) fn assumed_body(&mut self, guess: Guess, line: &Line<'_>, cx: &mut Context<'_>) {
        let status = [&guess.reply.status.0, b" ".as_slice(), &guess.reply.text.0].concat();
        push_reply(Some(guess.seq), guess.reply, guess.span, cx.out);
        let mut download = self.begin_body(None, &status, guess.span, cx);
        download.builder.message_mut().assumed = true;
        download.guessed = Some(Extent::default());
        for bytes in [line.bytes, line.end.as_bytes()] {
            feed(&mut download, Chunk { bytes, span: line.span }, false, cx.out);
        }
        self.mode = Mode::Body(download);
        // The rest of an overlong line is text like any other.
        self.overlong[Direction::Server.index()] = false;
    }

    /// The message is over; `ended` by its dot.
    pub(super) fn finish_body(&mut self, ended: bool, span: Span, cx: &mut Context<'_>) {
        let Mode::Body(download) = std::mem::take(&mut self.mode) else { return };
        if download.body.bare_lf() {
            self.tell_bare_lf(Direction::Server, span, cx);
        }
        let Download { mut builder, guessed, all_of, span: status_span, .. } = *download;
        if all_of.is_some_and(|lines| lines > 0) {
            builder.message_mut().part = MessagePart::Full;
        }
        let announced = builder.message_mut().status.as_ref().and_then(|status| octets(&status.0));
        if let Some(extent) = guessed.as_ref().filter(|_| ended)
            && announced != Some(builder.message_mut().size)
            && (!extent.text || builder.message_mut().status.as_ref().is_some_and(|status| names_top(&status.0)))
        {
            builder.message_mut().part = MessagePart::Headers;
        }
        let (mut message, bytes_span) = builder.finish(ended);
        // That it is all of the message, and not what a TOP left of it, is sure only where the server told the size.
        message.complete &=
            guessed.is_none() || message.part == MessagePart::Headers || announced == Some(message.size);
        message.outcome = if ended { MessageOutcome::Accepted } else { MessageOutcome::Unknown };
        if message.part == MessagePart::Full {
            self.told.messages += 1;
        }
        let message_span = bytes_span.unwrap_or(status_span);
        if !ended {
            self.message_cut = true;
            cx.out.diagnose(span, Code::MessageCut, format!("after {}", count(message.size, "byte")));
        }
        cx.out.push(message_span, EventBody::Message(Box::new(message)));
    }
}

/// Whether a reply speaks of TOP, as in `+OK top of message follows` (RFC 1939 §7) or `+OK headers follow`.
fn names_top(status: &[u8]) -> bool {
    let mut words = status.split(|b| !b.is_ascii_alphanumeric());
    words.any(|word| [&b"top"[..], b"header", b"headers"].into_iter().any(|top| word.eq_ignore_ascii_case(top)))
}

/// The size in `+OK 120 octets` (RFC 1939 §5).
fn octets(status: &[u8]) -> Option<u64> {
    let words: Vec<&[u8]> = status.split(|b| !b.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let (number, _) = words.iter().zip(words.get(1..)?).find(|(_, unit)| unit.eq_ignore_ascii_case(b"octets"))?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// The next bytes; `reply_due` when a later command waits for its reply.
pub(super) fn feed(download: &mut Download, chunk: Chunk<'_>, reply_due: bool, out: &mut Emitter) -> Fed {
    let Download { builder, body, guessed, all_of, .. } = download;
    body.feed(chunk.bytes, reply_due, &mut |bytes| {
        if let Some(extent) = guessed {
            extent.push(bytes);
        }
        if let Some(lines) = all_of {
            *lines = lines.saturating_sub(memchr::memchr_iter(b'\n', bytes).count() as u64);
        }
        builder.push(bytes, chunk.span, out);
    })
}
