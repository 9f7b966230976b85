//! What a header block tells: of a message, and of a MIME part.

use std::borrow::Cow;

use mail_parser::{Addr, Address, ContentType, HeaderName, HeaderValue, Message as Parsed, MessageParser};

use mail_parser::decoders::charsets::map::charset_decoder;

use super::decode::Decoder;
use super::params;
use crate::event::Message;
use crate::position::Timestamp;

/// A parser of the header fields that anything here asks for; the others are passed over.
pub(super) fn parser() -> MessageParser {
    MessageParser::new()
        .header_address(HeaderName::From)
        .header_address(HeaderName::To)
        .header_text(HeaderName::Subject)
        .header_id(HeaderName::MessageId)
        .header_date(HeaderName::Date)
        .header_content_type(HeaderName::ContentType)
        .header_content_type(HeaderName::ContentDisposition)
        .header_text(HeaderName::ContentTransferEncoding)
        .default_header_ignore()
}

/// Fills in what the header says of the message. `block` ends with an empty line.
pub(super) fn describe(parser: &MessageParser, block: &[u8], message: &mut Message) {
    let Some(parsed) = parser.parse_headers(block) else { return };
    message.from = parsed.from().map(|list| list.iter().map(mailbox).collect::<Vec<_>>().join(", "));
    message.to = parsed.to().map(addresses).unwrap_or_default();
    message.subject = parsed.subject().map(str::to_owned);
    message.message_id = parsed.message_id().map(str::to_owned);
    let seconds = parsed.date().filter(|date| date.is_valid()).map(|date| date.to_timestamp());
    message.date = seconds.and_then(|seconds| seconds.checked_mul(1_000_000_000)).map(Timestamp);
}

/// A header block with lines in another charset than UTF-8, which old programs write as they are, read by the one that its
/// Content-Type names.
pub(super) fn in_named_charset(parser: &MessageParser, block: &[u8]) -> Option<Vec<u8>> {
    if std::str::from_utf8(block).is_ok() {
        return None;
    }
    let parsed = parser.parse_headers(block)?;
    let field = parsed.parts.first()?.headers.iter().find(|h| h.name == HeaderName::ContentType)?;
    let charset = field.value.as_content_type()?.attribute("charset")?;
    let decode = charset_decoder(charset.as_bytes())?;
    let line = |line: &[u8]| match std::str::from_utf8(line) {
        Ok(_) => line.to_vec(),
        Err(_) => decode(line).into_bytes(),
    };
    Some(block.split_inclusive(|&b| b == b'\n').flat_map(line).collect())
}

fn addresses(list: &Address<'_>) -> Vec<String> {
    list.iter().map(mailbox).filter(|a| !a.is_empty()).collect()
}

/// `Name <address>`, or the one of them that is there.
fn mailbox(addr: &Addr<'_>) -> String {
    match (addr.name(), addr.address()) {
        (Some(name), Some(address)) if !name.is_empty() => format!("{} <{address}>", quoted(name)),
        (_, Some(address)) => address.to_owned(),
        (name, None) => name.unwrap_or_default().to_owned(),
    }
}

/// The name, in quotes where it could be taken for an address or for the end of one.
fn quoted(name: &str) -> Cow<'_, str> {
    if !name.contains([',', ';', '<', '>', '@', '"', '\\']) {
        return Cow::Borrowed(name);
    }
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
    Cow::Owned(format!("\"{escaped}\""))
}

/// What a MIME part says of itself.
#[derive(Debug)]
pub(super) struct PartHeader {
    /// `type/subtype`, lower case.
    pub(super) content_type: String,
    /// Of a multipart.
    pub(super) boundary: Option<Vec<u8>>,
    /// Decoded file name.
    pub(super) filename: Option<String>,
    /// `Content-Disposition: attachment`.
    pub(super) attachment: bool,
    /// Its encoding.
    pub(super) decoder: Decoder,
}

impl PartHeader {
    /// Reads a header block that ends with an empty line. `default_type` is the type where none is named (RFC 2045
    /// §5.2, RFC 2046 §5.1.5).
    pub(super) fn parse(parser: &MessageParser, block: &[u8], default_type: &str) -> Self {
        let mut header = PartHeader {
            content_type: default_type.to_owned(),
            boundary: None,
            filename: None,
            attachment: false,
            decoder: Decoder::Identity,
        };
        let Some(parsed) = parser.parse_headers(block) else { return header };
        let Some(part) = parsed.parts.first() else { return header };
        // Of several fields of a name the first, as most programs have it.
        let first = |name| {
            let field = part.headers.iter().find(|h| h.name == name)?;
            let (start, end) = (field.offset_start as usize, field.offset_end as usize);
            Some((block.get(start..end).unwrap_or_default(), field.value.as_content_type()))
        };
        if let Some((raw, Some(content_type))) = first(HeaderName::ContentType) {
            header.content_type = match content_type.subtype() {
                Some(subtype) => format!("{}/{}", content_type.ctype(), subtype).to_ascii_lowercase(),
                // RFC 2045 §5.2: what cannot be read is text/plain.
                None if content_type.ctype().is_empty() => default_type.to_owned(),
                None => content_type.ctype().to_ascii_lowercase(),
            };
            let boundary = params::extended(raw, "boundary");
            let boundary = boundary.as_deref().or_else(|| content_type.attribute("boundary"));
            header.boundary = boundary.map(|b| b.trim_end().as_bytes().to_vec());
            header.filename = params::extended(raw, "name").or_else(|| best(content_type, "name"));
        }
        if let Some((raw, disposition)) = first(HeaderName::ContentDisposition) {
            header.attachment = disposition.is_some_and(|d| d.ctype().eq_ignore_ascii_case("attachment"));
            let name = params::extended(raw, "filename")
                .or_else(|| best(disposition?, "filename"))
                .or_else(|| params::without_type(raw, "filename"));
            header.filename = name.or(header.filename);
        }
        if let Some(encoding) = encoding(&parsed) {
            header.decoder = Decoder::for_encoding(encoding);
        }
        header
    }

    /// Whether it is a multipart that can be taken apart.
    pub(super) fn is_multipart(&self) -> bool {
        self.content_type.starts_with("multipart/") && self.boundary.as_ref().is_some_and(|b| !b.is_empty())
    }

    /// Whether its body is a message of its own, in the clear.
    pub(super) fn is_message(&self) -> bool {
        matches!(self.content_type.as_str(), "message/rfc822" | "message/global")
            && matches!(self.decoder, Decoder::Identity)
    }

    /// Whether it counts as an attachment: by its disposition, by its name, or because it is no text.
    pub(super) fn is_attachment(&self) -> bool {
        self.attachment
            || self.filename.is_some()
            || !(self.content_type.starts_with("text/") || self.content_type.starts_with("multipart/"))
    }
}

/// Of a parameter that is there twice the one that is more than ASCII; else the later one, as the form for old programs
/// comes first.
fn best(field: &ContentType<'_>, name: &str) -> Option<String> {
    let values = || field.attributes().unwrap_or_default().iter().filter(|a| a.name == name).map(|a| a.value.as_ref());
    values().find(|value| !value.is_ascii()).or_else(|| values().next_back()).map(str::to_owned)
}

fn encoding<'a>(parsed: &'a Parsed<'_>) -> Option<&'a str> {
    match parsed.parts.first()?.headers.iter().find(|h| h.name == HeaderName::ContentTransferEncoding)?.value() {
        HeaderValue::Text(text) => Some(text),
        _ => None,
    }
}
