//! A message while it streams by: counted, hashed, its headers and attachments read; never held whole.

use super::{Emitter, Options};
use crate::event::{EventBody, Message, MessageData, MessageDirection, MessageOutcome, MessagePart, Protocol};
use crate::limits::Limits;
use crate::position::{Direction, Span};

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
    bodies: bool,
}

impl MessageBuilder {
    /// `message` carries its `ordinal`, `part` and what is known of its envelope so far.
    pub fn new(message: Message, options: &Options, _limits: &Limits) -> Self {
        MessageBuilder { message, span: None, gap: false, bodies: options.bodies }
    }

    /// The next bytes of the message (unstuffed, unquoted).
    pub fn push(&mut self, bytes: &[u8], span: Span, out: &mut Emitter) {
        self.span = Some(self.span.map_or(span, |s| s.to(span)));
        if self.bodies && !bytes.is_empty() {
            let data = MessageData { ordinal: self.message.ordinal, offset: self.message.size, bytes: bytes.to_vec() };
            out.push(span, EventBody::MessageData(data));
        }
        self.message.size += bytes.len() as u64;
    }

    /// Bytes are missing here: it will not be complete.
    pub fn gap(&mut self) {
        self.gap = true;
    }

    /// What is known of it, to be filled in.
    pub fn message_mut(&mut self) -> &mut Message {
        &mut self.message
    }

    /// No more bytes. `ended`: its protocol ended it. The digest is made, and what the headers tell is filled in; the
    /// caller adds the outcome and pushes the event (often later, when the final reply is there). The span is that of
    /// its bytes, none for an empty message.
    pub fn finish(mut self, ended: bool) -> (Message, Option<Span>) {
        self.message.complete = ended && !self.gap;
        (self.message, self.span)
    }
}
