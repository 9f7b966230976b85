//! A message while it streams by: counted, hashed, its headers and attachments read; never held whole.

pub mod attachments;
pub mod decode;
mod header_block;
mod headers;
pub mod mime;
mod params;
mod words;

use sha2::{Digest, Sha256};

use super::{Emitter, Options};
use crate::diagnostic::Code;
use crate::event::{EventBody, Message, MessageData, MessageDirection, MessageOutcome, MessagePart, Protocol};
use crate::limits::Limits;
use crate::position::{Direction, Span};
use attachments::Attachments;
use mime::Walker;

impl Message {
    /// A message about which nothing more is known yet.
    pub fn new(protocol: Protocol, direction: MessageDirection, part: MessagePart) -> Self {
        let dir = match direction {
            MessageDirection::Submitted => Direction::Client,
            MessageDirection::Retrieved => Direction::Server,
        };
        Message {
            ordinal: 0,
            tls: false,
            protocol,
            direction,
            dir,
            transaction: 0,
            mail_from: None,
            mail_params: None,
            rcpt_to: Vec::new(),
            queue_id: None,
            status: None,
            outcome: MessageOutcome::Unknown,
            mailbox: None,
            uidvalidity: None,
            uid: None,
            seqno: None,
            flags: Vec::new(),
            internaldate: None,
            section: None,
            number: None,
            uidl: None,
            from: None,
            to: Vec::new(),
            subject: None,
            message_id: None,
            date: None,
            size: 0,
            sha256: None,
            complete: false,
            part,
            joined: false,
            attachments: Vec::new(),
            assumed: false,
        }
    }
}

/// Takes a message's bytes as they come and makes its events.
pub struct MessageBuilder {
    message: Message,
    span: Option<Span>,
    gap: bool,
    /// No byte has come since a gap.
    gap_before: bool,
    bodies: bool,
    digest: Option<Sha256>,
    /// For what has a header: messages of part `full` and `headers`.
    walker: Option<Box<Walker>>,
    /// Nothing is kept of its bytes, see [`Emitter::pass`].
    passes: bool,
    attachments: Attachments,
    told: Told,
}

/// Which bounds were spoken of.
#[derive(Debug, Default)]
struct Told {
    attachments: bool,
    nesting: bool,
    header: bool,
}

impl MessageBuilder {
    /// `message` carries its `ordinal`, `part` and what is known of its envelope so far.
    pub fn new(message: Message, options: &Options, limits: &Limits) -> Self {
        let has_header = matches!(message.part, MessagePart::Full | MessagePart::Headers) && !options.envelopes_only;
        MessageBuilder {
            message,
            span: None,
            gap: false,
            gap_before: false,
            bodies: options.bodies,
            digest: options.digests.then(Sha256::new),
            walker: has_header.then(|| Box::new(Walker::new(limits))),
            passes: !has_header,
            attachments: Attachments::new(options.digests, limits.attachments),
            told: Told::default(),
        }
    }

    /// The next bytes of the message (unstuffed, unquoted).
    pub fn push(&mut self, bytes: &[u8], span: Span, out: &mut Emitter) {
        if bytes.is_empty() {
            return;
        }
        self.span = Some(self.span.map_or(span, |s| s.to(span)));
        if self.bodies {
            let data = MessageData {
                ordinal: self.message.ordinal,
                offset: self.message.size,
                after_gap: std::mem::take(&mut self.gap_before),
                bytes: bytes.to_vec(),
            };
            out.push(span, EventBody::MessageData(data));
        }
        self.message.size = self.message.size.saturating_add(bytes.len() as u64);
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        if let Some(walker) = &mut self.walker {
            walker.push(bytes, &mut self.attachments);
            self.describe();
            self.tell(span, out);
        }
        if self.passes {
            out.pass(bytes.len());
        }
    }

    /// What becomes of its bytes is counted where they go as well.
    pub(crate) fn goes_elsewhere(&mut self) {
        self.passes = false;
    }

    /// Bytes are missing here: it will not be complete.
    pub fn gap(&mut self) {
        (self.gap, self.gap_before) = (true, true);
        if let Some(walker) = &mut self.walker {
            walker.gap(&mut self.attachments);
            self.attachments.gap();
        }
    }

    /// The message may have begun in a gap that has a part of its header at most.
    pub fn gap_before_header(&mut self) {
        (self.gap, self.gap_before) = (true, true);
        if let Some(walker) = &mut self.walker {
            walker.begin_unsure();
        }
    }

    /// Memory that it takes, roughly.
    pub(crate) fn cost(&self) -> usize {
        let walker = self.walker.as_ref().map_or(0, |walker| walker.cost());
        size_of::<Self>() + self.message.heap() + walker + self.attachments.cost()
    }

    /// What is known of it, to be filled in.
    pub fn message_mut(&mut self) -> &mut Message {
        &mut self.message
    }

    /// No more bytes. `ended`: its protocol ended it. The digest is made, and what the headers tell is filled in; the
    /// caller adds the outcome and pushes the event (often later, when the final reply is there). The span is that of
    /// its bytes, none for an empty message.
    pub fn finish(mut self, ended: bool) -> (Message, Option<Span>) {
        if let Some(walker) = &mut self.walker {
            if !ended {
                self.attachments.gap();
            }
            walker.finish(&mut self.attachments);
            self.describe();
        }
        self.message.complete = ended && !self.gap;
        self.message.sha256 = self.digest.map(|d| d.finalize().into());
        if self.message.part == MessagePart::Full {
            self.message.attachments = self.attachments.into_list();
        }
        (self.message, self.span)
    }

    fn describe(&mut self) {
        if let Some(walker) = &mut self.walker
            && let Some(block) = walker.take_header()
        {
            headers::describe(walker.parser(), &block, &mut self.message);
        }
    }

    fn tell(&mut self, span: Span, out: &mut Emitter) {
        if !self.told.attachments && self.attachments.overflowed() {
            self.told.attachments = true;
            out.diagnose(span, Code::EntryLimit, "more attachments than are listed");
        }
        if !self.told.nesting && self.walker.as_ref().is_some_and(|w| w.too_deep()) {
            self.told.nesting = true;
            out.diagnose(
                span,
                Code::NestingLimit,
                "MIME parts nested too deep to follow, or their boundary is too long",
            );
        }
        if !self.told.header && self.walker.as_ref().is_some_and(|w| w.header_cut()) {
            self.told.header = true;
            out.diagnose(span, Code::EntryLimit, "a header is too long to be kept; part of it is left out");
        }
    }
}

#[cfg(test)]
mod tests;
