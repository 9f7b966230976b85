//! A message put together from its header and its text, where a client fetches one after the other (`RFC822.HEADER`,
//! then `BODY[TEXT]`: fetchmail, iOS).

use crate::event::Text;
use crate::mail::Emitter;
use crate::mail::message::MessageBuilder;
use crate::position::Span;

/// Which half a content is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Header,
    Text,
}

/// The header that was fetched last, for the text that may follow.
struct Header {
    seqno: u32,
    uid: Option<u32>,
    name: Text,
    bytes: Vec<u8>,
    span: Span,
}

/// The header that waits for its text, and the half at hand.
#[derive(Default)]
pub(super) struct Halves {
    header: Option<Header>,
    /// The content at hand.
    feed: Option<Half>,
    whole: Option<MessageBuilder>,
    /// The header has had its text.
    used: bool,
    /// Commands are missing since: a SELECT, perhaps.
    unsure: bool,
}

impl Halves {
    /// Memory beside its own fields, roughly.
    pub(super) fn cost(&self) -> usize {
        self.header.as_ref().map_or(0, |header| header.bytes.capacity() + header.name.heap())
            + self.whole.as_ref().map_or(0, MessageBuilder::cost)
    }

    /// That message's header begins.
    pub(super) fn begin_header(&mut self, seqno: u32, name: &[u8]) {
        let header = Header { seqno, uid: None, name: name.into(), bytes: Vec::new(), span: Span::default() };
        *self = Halves { header: Some(header), feed: Some(Half::Header), ..Halves::default() };
    }

    /// What that message's header was fetched as, if it is there.
    pub(super) fn header(&self, seqno: u32) -> Option<&Text> {
        self.header.as_ref().filter(|header| header.seqno == seqno).map(|header| &header.name)
    }

    /// The text behind the header that is there begins; `whole` is the message, still empty.
    pub(super) fn begin_text(&mut self, mut whole: MessageBuilder, out: &mut Emitter) {
        if let Some(header) = &self.header {
            whole.push(&header.bytes, header.span, out);
        }
        (self.whole, self.feed, self.used) = (Some(whole), Some(Half::Text), true);
    }

    /// Bytes of the content at hand. A header longer than `limit` is not kept.
    pub(super) fn push(&mut self, bytes: &[u8], span: Span, limit: usize, out: &mut Emitter) {
        match (self.feed, &mut self.header, &mut self.whole) {
            (Some(Half::Header), Some(header), _) if header.bytes.len() + bytes.len() <= limit => {
                header.span = if header.bytes.is_empty() { span } else { header.span.to(span) };
                header.bytes.extend_from_slice(bytes);
            }
            (Some(Half::Text), _, Some(whole)) => whole.push(bytes, span, out),
            (None, ..) => {}
            _ => *self = Halves::default(),
        }
    }

    /// Bytes of the content at hand are missing.
    pub(super) fn gap(&mut self) {
        match (self.feed, &mut self.whole) {
            (Some(Half::Text), Some(whole)) => whole.gap(),
            (None, _) => {}
            _ => *self = Halves::default(),
        }
    }

    /// Bytes of the client are missing.
    pub(super) fn commands_lost(&mut self) {
        self.unsure = true;
    }

    /// What a SELECT is answered with came, and maybe there was one.
    pub(super) fn selected(&mut self) {
        if self.unsure {
            self.lost();
        }
    }

    /// Bytes of the dialogue are missing, with which the numbers may have become other messages'.
    pub(super) fn lost(&mut self) {
        if self.feed.is_none() {
            self.header = None;
        }
    }

    /// The content is over; `ended` when its end was seen. Gives the message, if it was the text.
    pub(super) fn end(&mut self, ended: bool) -> Option<MessageBuilder> {
        match self.feed.take()? {
            Half::Header => {
                // Without the empty line it is not known what stands between the halves.
                let ends = |end: &[u8]| self.header.as_ref().is_some_and(|header| header.bytes.ends_with(end));
                if !ended || !(ends(b"\n\r\n") || ends(b"\n\n")) {
                    self.header = None;
                }
                None
            }
            Half::Text => self.whole.take().filter(|_| ended),
        }
    }

    /// The response about that message is over. Whether what it put together is one message.
    pub(super) fn one(&mut self, seqno: u32, uid: Option<u32>) -> bool {
        let Some(header) = self.header.as_mut().filter(|header| header.seqno == seqno) else { return false };
        let known = header.uid;
        header.uid = header.uid.or(uid);
        if std::mem::take(&mut self.used) {
            self.header = None;
        }
        known.is_none() || uid.is_none() || known == uid
    }
}
