//! A FETCH response while it comes: `* n FETCH (…)`, byte by byte, its contents streamed (RFC 9051 §7.5.2).

use super::append::{flag_list, number};
use super::fragment::before_announcement;
use super::halves::Half;
use super::shared::Shared;
use super::tokens::Tokens;
use crate::diagnostic::Code;
use crate::event::weight::texts;
use crate::event::{EventBody, Message, MessageDirection, MessageOutcome, MessagePart, Protocol, Text};
use crate::mail::Context;
use crate::mail::message::MessageBuilder;
use crate::position::Span;

/// Longest item name or atom kept, bytes: `BODY[HEADER.FIELDS (…)]` with every field there is.
const TOKEN: usize = 8 << 10;
/// Finished contents held until the response's end; earlier ones go out with what is known by then.
const HELD: usize = 256;

/// What the value that comes next is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Item {
    /// No value: a name comes next.
    Name,
    Uid,
    Size,
    Flags,
    Date,
    Content(Content),
    Other,
}

/// What a content is of its message.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Content {
    part: MessagePart,
    /// First byte, of a range.
    origin: Option<u64>,
    /// The range is one of the whole message.
    joins: bool,
    /// It is the message's header, or all behind it.
    half: Option<Half>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Quote {
    No,
    Inside,
    Escape,
}

/// Where a literal of the response goes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Sink {
    Nowhere,
    Token,
    Content,
}

struct Done {
    message: Message,
    span: Option<Span>,
    range: Option<(u64, u64)>,
    /// The message that this text and its header make.
    whole: Option<MessageBuilder>,
}

/// The response.
pub(super) struct Fetch {
    /// The message's number; or its UID, where it has no other.
    number: u32,
    numbered: bool,
    depth: usize,
    quote: Quote,
    bracket: bool,
    /// Within quotes in it: a header field's name.
    field_quote: Quote,
    token: Vec<u8>,
    /// Name of the item whose value is next.
    name: Vec<u8>,
    item: Item,
    sink: Sink,
    uid: Option<u32>,
    size: Option<u64>,
    flags: Vec<Text>,
    date: Option<Text>,
    content: Option<(MessageBuilder, Content)>,
    /// Length of the content at hand, gaps included.
    len: u64,
    done: Vec<Done>,
    too_deep: bool,
}

impl Fetch {
    /// Memory that it takes, roughly.
    pub(super) fn cost(&self) -> usize {
        let done = self.done.iter().map(|done| size_of::<Done>() + done.message.heap()).sum::<usize>();
        let content = self.content.as_ref().map_or(0, |(builder, _)| builder.cost());
        size_of::<Self>() + self.token.capacity() + self.name.capacity() + texts(&self.flags) + content + done
    }

    /// The response about that message.
    pub(super) fn new(seqno: u32) -> Self {
        Fetch {
            number: seqno,
            numbered: true,
            depth: 0,
            quote: Quote::No,
            bracket: false,
            field_quote: Quote::No,
            token: Vec::new(),
            name: Vec::new(),
            item: Item::Name,
            sink: Sink::Nowhere,
            uid: None,
            size: None,
            flags: Vec::new(),
            date: None,
            content: None,
            len: 0,
            done: Vec::new(),
            too_deep: false,
        }
    }

    /// The same, where the message is known by its UID alone.
    pub(super) fn by_uid(uid: u32) -> Self {
        Fetch { numbered: false, uid: Some(uid), ..Fetch::new(uid) }
    }

    /// The next text, line ends and literals left out.
    pub(super) fn text(&mut self, bytes: &[u8], span: Span, shared: &mut Shared, cx: &mut Context<'_>) {
        let mut rest = bytes;
        while let Some((&b, tail)) = rest.split_first() {
            match self.quote {
                Quote::Inside => {
                    let run = rest.iter().position(|&b| matches!(b, b'"' | b'\\')).unwrap_or(rest.len());
                    let (plain, after) = rest.split_at(run);
                    rest = after;
                    self.quoted(plain, span, shared, cx);
                    if let Some((&b, tail)) = rest.split_first() {
                        rest = tail;
                        if b == b'\\' {
                            self.quote = Quote::Escape;
                        } else {
                            self.quote = Quote::No;
                            self.quote_ended(shared);
                        }
                    }
                    continue;
                }
                Quote::Escape => {
                    self.quote = Quote::Inside;
                    self.quoted(&[b], span, shared, cx);
                }
                Quote::No => self.byte(b, span, shared, cx),
            }
            rest = tail;
        }
    }

    fn byte(&mut self, b: u8, span: Span, shared: &mut Shared, cx: &mut Context<'_>) {
        match b {
            _ if self.bracket => {
                self.bracket = b != b']' || self.field_quote != Quote::No;
                self.field_quote = match (self.field_quote, b) {
                    (Quote::No, b'"') | (Quote::Escape, _) => Quote::Inside,
                    (Quote::Inside, b'"') => Quote::No,
                    (Quote::Inside, b'\\') => Quote::Escape,
                    (quote, _) => quote,
                };
                self.keep(b);
            }
            b'[' if self.depth == 1 && self.item == Item::Name => {
                self.bracket = true;
                self.keep(b);
            }
            b'(' => {
                self.atom_ended(span, cx);
                self.depth = self.depth.saturating_add(1);
                if self.depth > cx.limits.nesting && !std::mem::replace(&mut self.too_deep, true) {
                    cx.out.diagnose(span, Code::NestingLimit, "too many nested parentheses in a FETCH response");
                }
            }
            b')' => {
                if self.depth != 2 || self.item != Item::Flags {
                    self.atom_ended(span, cx);
                }
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 1 {
                    self.list_ended();
                }
            }
            b' ' if self.depth == 2 && self.item == Item::Flags => self.keep(b),
            b' ' => self.atom_ended(span, cx),
            b'"' => {
                self.quote = Quote::Inside;
                if self.depth == 1 {
                    self.token.clear();
                    if let Item::Content(content) = self.item {
                        self.begin(content, shared, cx);
                    }
                }
            }
            _ => self.keep(b),
        }
    }

    fn keep(&mut self, b: u8) {
        if (self.depth == 1 || (self.depth == 2 && self.item == Item::Flags)) && self.token.len() < TOKEN {
            self.token.push(b);
        }
    }

    fn quoted(&mut self, bytes: &[u8], span: Span, shared: &mut Shared, cx: &mut Context<'_>) {
        if self.content.is_some() {
            self.data(bytes, span, shared, cx);
        } else if self.depth == 1 {
            let room = TOKEN.saturating_sub(self.token.len());
            self.token.extend(bytes.iter().take(room));
        }
    }

    fn quote_ended(&mut self, shared: &mut Shared) {
        if self.content.is_some() {
            self.content_ended(true, shared);
        } else if self.depth == 1 {
            if self.item == Item::Date {
                self.date = Some(std::mem::take(&mut self.token).into());
            }
            self.token.clear();
        }
        if self.depth == 1 {
            self.item = Item::Name;
        }
    }

    fn list_ended(&mut self) {
        if self.item == Item::Flags {
            self.flags = flag_list(&mut Tokens::new(&self.token));
        }
        self.token.clear();
        self.item = Item::Name;
    }

    /// A space or parenthesis came: what stood before it is whole.
    fn atom_ended(&mut self, span: Span, cx: &mut Context<'_>) {
        if self.depth != 1 || self.token.is_empty() {
            return;
        }
        match self.item {
            Item::Name => {
                self.item = classify(&self.token);
                std::mem::swap(&mut self.name, &mut self.token);
            }
            item => {
                match item {
                    Item::Uid => self.uid = number(&self.token),
                    Item::Size => self.size = number(&self.token).map(u64::from),
                    // NIL is no string at the message's end, either: so a server answers for a message that is gone
                    // (RFC 2180 section 4.1.3), and its ranges so far are no whole.
                    Item::Content(_) if !self.token.eq_ignore_ascii_case(b"NIL") => {
                        cx.out.diagnose(span, Code::BadLength, "the content of a FETCH is not a string");
                    }
                    _ => {}
                }
                self.item = Item::Name;
            }
        }
        self.token.clear();
    }

    /// A literal begins behind the text so far. Whether it is a content.
    pub(super) fn literal(&mut self, shared: &mut Shared, cx: &mut Context<'_>) -> bool {
        self.sink = Sink::Nowhere;
        if self.bracket {
            // Part of a name: a header field's, say.
            let name = before_announcement(&self.token).len();
            self.token.truncate(name);
            self.sink = Sink::Token;
        } else if self.depth == 1 {
            if self.item == Item::Name && !self.token.is_empty() {
                // No blank stood before the announcement.
                let name = before_announcement(&self.token).len();
                self.token.truncate(name);
                self.item = classify(&self.token);
                std::mem::swap(&mut self.name, &mut self.token);
            }
            self.token.clear();
            if let Item::Content(content) = self.item {
                self.begin(content, shared, cx);
                self.sink = Sink::Content;
            }
        }
        self.sink == Sink::Content
    }

    /// Bytes of the literal.
    pub(super) fn literal_data(&mut self, bytes: &[u8], span: Span, shared: &mut Shared, cx: &mut Context<'_>) {
        match self.sink {
            Sink::Nowhere => {}
            Sink::Token => {
                let room = TOKEN.saturating_sub(self.token.len());
                self.token.extend(bytes.iter().take(room));
            }
            Sink::Content => self.data(bytes, span, shared, cx),
        }
    }

    /// `len` bytes of the literal are missing.
    pub(super) fn literal_gap(&mut self, len: u64, shared: &mut Shared) {
        if let Some((builder, content)) = &mut self.content {
            builder.gap();
            self.len = self.len.saturating_add(len);
            if content.joins {
                shared.joins.gap(len);
            }
            shared.joins.halves.gap();
        }
    }

    /// The literal is over; `whole` when that is its announced end.
    pub(super) fn literal_ended(&mut self, whole: bool, shared: &mut Shared) {
        self.content_ended(whole, shared);
        self.sink = Sink::Nowhere;
        if self.depth == 1 && !self.bracket {
            self.item = Item::Name;
        }
    }

    fn begin(&mut self, mut content: Content, shared: &mut Shared, cx: &mut Context<'_>) {
        if let Some(origin) = shared.partial().filter(|_| content.origin.is_none()) {
            let joins = content.part == MessagePart::Full;
            content = Content { part: MessagePart::Range, origin: Some(origin), joins, half: None };
        }
        let mut message = shared.message(MessageDirection::Retrieved, content.part, cx);
        message.seqno = self.seqno();
        message.section = Some(self.name.as_slice().into());
        shared.selected(&mut message);
        self.len = 0;
        let mut builder = MessageBuilder::new(message, cx.options, cx.limits);
        if content.joins || content.half == Some(Half::Header) {
            builder.goes_elsewhere();
        }
        self.content = Some((builder, content));
        match content.half {
            Some(Half::Header) => shared.joins.halves.begin_header(self.number, &self.name),
            Some(Half::Text) => self.begin_text(shared, cx),
            None => {}
        }
        if let Some(origin) = content.origin.filter(|_| content.joins) {
            let mut whole = Message::new(Protocol::Imap, MessageDirection::Retrieved, MessagePart::Full);
            if origin == 0 {
                whole = shared.message(MessageDirection::Retrieved, MessagePart::Full, cx);
                whole.joined = true;
                let end = self.name.iter().rposition(|&b| b == b'<').unwrap_or(self.name.len());
                whole.section = self.name.get(..end).map(Text::from);
                shared.selected(&mut whole);
            }
            shared.joins.begin(self.number, origin, || MessageBuilder::new(whole, cx.options, cx.limits));
        }
    }

    /// The text of a message begins, whose header may be there.
    fn begin_text(&self, shared: &mut Shared, cx: &mut Context<'_>) {
        let Some(header) = shared.joins.halves.header(self.number) else { return };
        let section = Text([header.0.as_slice(), b" ", &self.name].concat());
        let mut whole = shared.message(MessageDirection::Retrieved, MessagePart::Full, cx);
        whole.joined = true;
        whole.section = Some(section);
        shared.selected(&mut whole);
        let mut whole = MessageBuilder::new(whole, cx.options, cx.limits);
        whole.goes_elsewhere();
        shared.joins.halves.begin_text(whole, cx.out);
    }

    fn data(&mut self, bytes: &[u8], span: Span, shared: &mut Shared, cx: &mut Context<'_>) {
        let Some((builder, content)) = &mut self.content else { return };
        builder.push(bytes, span, cx.out);
        self.len = self.len.saturating_add(bytes.len() as u64);
        if content.joins {
            shared.joins.push(bytes, span, cx.out);
        }
        shared.joins.halves.push(bytes, span, cx.limits.header_bytes, cx.out);
    }

    fn content_ended(&mut self, whole: bool, shared: &mut Shared) {
        let Some((builder, content)) = self.content.take() else { return };
        if content.joins {
            shared.joins.end(whole);
        }
        let (mut message, span) = builder.finish(whole);
        message.outcome = if message.complete { MessageOutcome::Accepted } else { MessageOutcome::Unknown };
        let range = content.origin.filter(|_| content.joins && whole).map(|origin| (origin, self.len));
        let whole = shared.joins.halves.end(whole);
        self.done.push(Done { message, span, range, whole });
    }

    /// Bytes of the content at hand, if one is.
    pub(super) fn under_way(&mut self) -> Option<u64> {
        self.content.as_mut().map(|(builder, _)| builder.message_mut().size)
    }

    /// The line ended, or was lost, within a quoted content.
    pub(super) fn cut(&mut self, shared: &mut Shared) {
        self.content_ended(false, shared);
    }

    /// Whether so many contents wait that they had better go out.
    pub(super) fn crowded(&self) -> bool {
        self.done.len() >= HELD
    }

    /// Pushes the messages that ended, with what is known by now. `span` is that of the response.
    pub(super) fn flush(&mut self, span: Span, shared: &mut Shared, cx: &mut Context<'_>) {
        if let Some(size) = self.size.take() {
            shared.joins.size(self.number, self.uid, size);
        }
        if self.done.is_empty() {
            return;
        }
        let transaction = shared.fetch_transaction();
        let halves = shared.joins.halves.one(self.number, self.uid);
        for Done { mut message, span: own, range, whole } in std::mem::take(&mut self.done) {
            self.tell(&mut message, transaction);
            shared.count(&message);
            cx.out.push(own.unwrap_or(span), EventBody::Message(Box::new(message)));
            let joined = match range {
                Some((origin, len)) => {
                    let requested = shared.requested(origin, self.number, self.uid);
                    shared.joins.complete(self.number, self.uid, (origin, len), requested, span, cx.out)
                }
                None => whole.filter(|_| halves),
            };
            if let Some(builder) = joined {
                let (mut whole, own) = builder.finish(true);
                self.tell(&mut whole, transaction);
                whole.outcome = if whole.complete { MessageOutcome::Accepted } else { MessageOutcome::Unknown };
                shared.count(&whole);
                cx.out.push(own.unwrap_or(span), EventBody::Message(Box::new(whole)));
            }
        }
    }

    fn seqno(&self) -> Option<u32> {
        Some(self.number).filter(|_| self.numbered)
    }

    /// Fills in what the response told beside the content.
    fn tell(&self, message: &mut Message, transaction: u64) {
        message.seqno = self.seqno();
        message.uid = self.uid;
        message.flags.clone_from(&self.flags);
        message.internaldate.clone_from(&self.date);
        message.transaction = transaction;
    }
}

/// What the value behind that name is.
fn classify(name: &[u8]) -> Item {
    let upper = name.to_ascii_uppercase();
    let content = |part, half| Item::Content(Content { part, origin: None, joins: false, half });
    match upper.as_slice() {
        b"UID" => return Item::Uid,
        b"FLAGS" => return Item::Flags,
        b"INTERNALDATE" => return Item::Date,
        b"RFC822.SIZE" => return Item::Size,
        b"RFC822" | b"RFC822.PEEK" => return content(MessagePart::Full, None),
        b"RFC822.HEADER" => return content(MessagePart::Headers, Some(Half::Header)),
        b"RFC822.TEXT" | b"RFC822.TEXT.PEEK" => return content(MessagePart::Section, Some(Half::Text)),
        _ => {}
    }
    section(&upper).map_or(Item::Other, Item::Content)
}

/// `BODY[section]<origin>`, `BINARY[section]<origin>`, in upper case.
fn section(name: &[u8]) -> Option<Content> {
    let prefixes: [&[u8]; 4] = [b"BODY[", b"BODY.PEEK[", b"BINARY[", b"BINARY.PEEK["];
    let body = prefixes.iter().find_map(|p| name.strip_prefix(*p))?;
    let close = body.iter().rposition(|&b| b == b']')?;
    let (inside, behind) = (body.get(..close)?, body.get(close + 1..)?);
    let range = behind.strip_prefix(b"<");
    let origin = range.and_then(|o| {
        let digits = o.iter().position(|b| !b.is_ascii_digit()).unwrap_or(o.len());
        std::str::from_utf8(o.get(..digits)?).ok()?.parse::<u64>().ok()
    });
    let part = match inside {
        _ if range.is_some() => MessagePart::Range,
        b"" => MessagePart::Full,
        s if s.starts_with(b"HEADER") => MessagePart::Headers,
        _ => MessagePart::Section,
    };
    let half = match inside {
        _ if range.is_some() => None,
        b"HEADER" => Some(Half::Header),
        b"TEXT" => Some(Half::Text),
        _ => None,
    };
    Some(Content { part, origin, joins: origin.is_some() && inside.is_empty(), half })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let part = |name: &[u8]| match classify(name) {
            Item::Content(content) => Some((content.part, content.origin)),
            _ => None,
        };
        assert_eq!(part(b"BODY[]"), Some((MessagePart::Full, None)));
        assert_eq!(part(b"body[]<0>"), Some((MessagePart::Range, Some(0))));
        assert_eq!(part(b"BODY[]<4294967296>"), Some((MessagePart::Range, Some(1 << 32))));
        assert_eq!(part(b"BODY[]<99999999999999999999>"), Some((MessagePart::Range, None)));
        assert_eq!(part(b"BINARY[1.2]"), Some((MessagePart::Section, None)));
        assert_eq!(part(b"BODY[HEADER.FIELDS (DATE FROM)]"), Some((MessagePart::Headers, None)));
        assert_eq!(part(b"BODY[1.2.MIME]"), Some((MessagePart::Section, None)));
        assert_eq!(part(b"RFC822.TEXT"), Some((MessagePart::Section, None)));
        assert_eq!(part(b"BINARY.SIZE[2]"), None);
        assert_eq!(part(b"BODY"), None);
        assert_eq!(part(b"BODYSTRUCTURE"), None);
    }
}
