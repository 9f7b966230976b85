//! Multi-line replies that are no messages: lists of numbers, capabilities.

use super::Pop3;
use super::server::{Mode, push_reply};
use crate::diagnostic::Code;
use crate::event::weight::texts;
use crate::event::{Reply, Text};
use crate::fmt::count;
use crate::mail::Context;
use crate::mail::line::{Line, LineEnd};
use crate::position::Span;

/// One that is coming.
pub(super) struct Listing {
    reply: Reply,
    span: Span,
    seq: Option<u64>,
    unique_ids: bool,
    /// Numbers or capabilities, of a command that is known.
    pub(super) of_numbers: bool,
    /// Bytes of the lines kept.
    bytes: usize,
    dropped: u64,
    pub(super) gapped: bool,
}

impl Pop3 {
    pub(super) fn listing_line(&mut self, mut listing: Box<Listing>, line: &Line<'_>, cx: &mut Context<'_>) {
        listing.span.last = line.span.last;
        if line.bytes == b"." && line.end != LineEnd::TooLong {
            self.finish_listing(*listing, cx);
            return;
        }
        let text = line.bytes.strip_prefix(b".").unwrap_or(line.bytes);
        if listing.unique_ids {
            self.unique_id(text, cx);
        }
        listing.add(text, cx);
        self.mode = Mode::Listing(listing);
    }

    pub(super) fn finish_listing(&mut self, mut listing: Listing, cx: &mut Context<'_>) {
        let (span, dropped) = (listing.span, listing.dropped);
        listing.reply.incomplete |= listing.gapped;
        if listing.seq.is_some() && lists_messages(&listing.reply) {
            // Of a command that is missing, LIST or UIDL: no capability is a number.
            self.queue.login.served();
        }
        push_reply(listing.seq, listing.reply, span, cx.out);
        if dropped > 0 {
            cx.out.diagnose(
                span,
                Code::EntryLimit,
                format!("a reply is too long: {} left out", count(dropped, "line")),
            );
        }
    }

    /// Remembers `number unique-id`.
    pub(super) fn unique_id(&mut self, text: &[u8], cx: &Context<'_>) {
        let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let number = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse::<u32>().ok());
        if let (Some(number), Some(id)) = (number, words.next())
            // RFC 1939 §7: 1 to 70 characters.
            && id.len() <= 255
            && (self.unique_ids.len() < cx.limits.unique_ids || self.unique_ids.contains_key(&number))
        {
            self.unique_ids.insert(number, id.into());
        }
    }
}

/// Whether each line behind the first begins with a number.
fn lists_messages(reply: &Reply) -> bool {
    let begins_with_number = |line: &Text| {
        let digits = line.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        digits > 0 && line.0.get(digits).is_some_and(u8::is_ascii_whitespace)
    };
    reply.lines.len() > 1 && reply.lines.iter().skip(1).all(begins_with_number)
}

impl Listing {
    /// Memory, roughly.
    pub(super) fn cost(&self) -> usize {
        size_of::<Self>() + texts(&self.reply.lines) + self.reply.text.heap()
    }

    pub(super) fn new(reply: Reply, span: Span, seq: Option<u64>, unique_ids: bool) -> Self {
        Listing { reply, span, seq, unique_ids, of_numbers: false, bytes: 0, dropped: 0, gapped: false }
    }

    fn add(&mut self, text: &[u8], cx: &Context<'_>) {
        self.bytes = self.bytes.saturating_add(text.len());
        if self.reply.lines.len() < cx.limits.reply_lines && self.bytes <= cx.limits.header_bytes {
            self.reply.lines.push(text.into());
        } else {
            self.dropped += 1;
        }
    }
}
