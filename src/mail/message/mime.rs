//! MIME structure (RFC 2045, RFC 2046) followed line by line while a message streams by.
//!
//! A [`Walker`] holds no body: at most a header block, the beginning of a line that may be a delimiter, and what a
//! decoder carries over. Work is linear in the message; a line that begins with `--` costs one comparison a level.

use std::borrow::Cow;

use mail_parser::MessageParser;

use super::decode::Decoder;
use super::header_block::HeaderBlock;
use super::headers::{self, PartHeader};
use super::words;
use crate::limits::Limits;
use crate::mail::line::find_byte;

/// RFC 2046 §5.1.1 has 70; longer ones are seen.
const BOUNDARY_BYTES: usize = 256;
/// Blanks that may follow a boundary (transport padding).
const PADDING_BYTES: usize = 128;
/// Header bytes of a part that are kept.
const PART_HEADER_BYTES: usize = 32 << 10;
/// Messages within messages whose bytes are handed out as attachments: each level costs a pass over its bytes.
const MESSAGE_DEPTH: usize = 8;

/// A part that counts as an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartInfo {
    /// Its number among the message's attachments, from 0.
    pub id: u64,
    /// Decoded file name.
    pub filename: Option<String>,
    /// `type/subtype`, lower case.
    pub content_type: String,
}

/// Gets the attachments of a message as they stream by. A message within a message is an attachment that may hold
/// others, so several can be open at once.
pub trait PartObserver {
    /// An attachment begins.
    fn begin(&mut self, part: PartInfo);
    /// The next decoded bytes of it.
    fn data(&mut self, id: u64, bytes: &[u8]);
    /// It is over.
    fn end(&mut self, id: u64);
}

/// A multipart whose parts are being read.
#[derive(Debug)]
struct Level {
    boundary: Vec<u8>,
    digest: bool,
}

/// A message within the message, open as attachment `id`; `depth` levels enclose it.
#[derive(Debug)]
struct Enclosed {
    id: u64,
    depth: usize,
}

#[derive(Debug)]
enum State {
    /// In the header of the message or of a part.
    Header,
    /// In a part's body; `id` where it is an attachment.
    Body { id: Option<u64>, decoder: Decoder },
    /// In a preamble, an epilogue.
    Between,
}

/// A line end that is held back: it belongs to the delimiter if one follows.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    Cr,
    Lf,
    CrLf,
}

impl Held {
    fn bytes(self) -> &'static [u8] {
        match self {
            Held::Nothing => b"",
            Held::Cr => b"\r",
            Held::Lf => b"\n",
            Held::CrLf => b"\r\n",
        }
    }
}

/// Follows the structure of one message.
pub struct Walker {
    parser: MessageParser,
    levels: Vec<Level>,
    enclosed: Vec<Enclosed>,
    state: State,
    header: HeaderBlock,
    /// The beginning may be missing.
    begins_unsure: bool,
    default_type: &'static str,
    /// The first bytes of a line that may be a delimiter.
    line: Vec<u8>,
    at_line_start: bool,
    held: Held,
    scratch: Vec<u8>,
    nesting: usize,
    /// Attachments so far.
    attachments: u64,
    /// The header of the whole message, once it is there.
    root_header: Option<Vec<u8>>,
    is_root: bool,
    too_deep: bool,
}

impl Walker {
    /// A walker at the first byte of a message's header.
    pub fn new(limits: &Limits) -> Self {
        Walker {
            parser: headers::parser(),
            levels: Vec::new(),
            enclosed: Vec::new(),
            state: State::Header,
            header: HeaderBlock::new(limits.header_bytes),
            begins_unsure: false,
            default_type: "text/plain",
            line: Vec::new(),
            at_line_start: true,
            held: Held::Nothing,
            scratch: Vec::new(),
            nesting: limits.nesting,
            attachments: 0,
            root_header: None,
            is_root: true,
            too_deep: false,
        }
    }

    /// Memory that it takes, roughly.
    pub(super) fn cost(&self) -> usize {
        let levels = self.levels.iter().map(|level| size_of::<Level>() + level.boundary.capacity()).sum::<usize>();
        let buffers = self.header.cost() + self.line.capacity() + self.scratch.capacity();
        let header = self.root_header.as_ref().map_or(0, Vec::capacity);
        size_of::<Self>() + levels + self.enclosed.capacity() * size_of::<Enclosed>() + buffers + header
    }

    /// Gives the header block of the message (at most [`Limits::header_bytes`] of it, an empty line at its end) once,
    /// when the whole of it has been seen.
    pub fn take_header(&mut self) -> Option<Vec<u8>> {
        self.root_header.take()
    }

    /// Whether nesting beyond its bound was left as it was.
    pub fn too_deep(&self) -> bool {
        self.too_deep
    }

    /// Whether lines of a header were left out for its length.
    pub fn header_cut(&self) -> bool {
        self.header.is_cut()
    }

    pub(super) fn parser(&self) -> &MessageParser {
        &self.parser
    }

    /// The next bytes of the message.
    pub fn push(&mut self, mut bytes: &[u8], observer: &mut dyn PartObserver) {
        while !bytes.is_empty() {
            bytes = if !self.at_line_start {
                self.within_line(bytes, observer)
            } else if self.line.is_empty() && bytes.first() != Some(&b'-') {
                self.begin_line(observer);
                bytes
            } else {
                self.maybe_delimiter(bytes, observer)
            };
        }
    }

    /// Bytes are missing here: what follows is in the middle of some line. A header ends, as its end may be among them,
    /// and so may the rest of its last field.
    pub fn gap(&mut self, observer: &mut dyn PartObserver) {
        self.give_back_line(observer);
        self.begin_line(observer);
        if matches!(self.state, State::Header) {
            self.header.drop_last_field();
            self.header_ended(observer);
            if matches!(self.state, State::Header) {
                // That of a message within the message is all missing.
                self.state = State::Between;
            }
        }
        if let State::Body { id, decoder } = &mut self.state {
            decoder.finish(&mut self.scratch);
            if let Some(id) = *id {
                observer.data(id, &self.scratch);
            }
        }
    }

    /// What comes is in the header if its first line is a field.
    pub fn begin_unsure(&mut self) {
        self.begins_unsure = true;
    }

    /// No more bytes; closes what is open.
    pub fn finish(&mut self, observer: &mut dyn PartObserver) {
        if !self.line.is_empty() && self.delimiter().is_some() {
            let line = std::mem::take(&mut self.line);
            self.take_line(line, observer);
        }
        self.give_back_line(observer);
        self.begin_line(observer);
        if matches!(self.state, State::Header) {
            self.header_ended(observer);
        }
        self.close(0, observer);
    }

    /// The line under way is no delimiter: the line end before it is content.
    fn begin_line(&mut self, observer: &mut dyn PartObserver) {
        self.at_line_start = false;
        self.release(observer);
    }

    fn release(&mut self, observer: &mut dyn PartObserver) {
        let held = std::mem::replace(&mut self.held, Held::Nothing);
        if held != Held::Nothing {
            self.content(held.bytes(), observer);
        }
    }

    /// What was kept because it might be a delimiter is content after all.
    fn give_back_line(&mut self, observer: &mut dyn PartObserver) {
        if self.line.is_empty() {
            return;
        }
        let line = std::mem::take(&mut self.line);
        self.begin_line(observer);
        self.plain(&line, observer);
        self.line = line;
        self.line.clear();
    }

    fn maybe_delimiter<'a>(&mut self, bytes: &'a [u8], observer: &mut dyn PartObserver) -> &'a [u8] {
        let room = (2 + BOUNDARY_BYTES + PADDING_BYTES).saturating_sub(self.line.len());
        let window = bytes.get(..room).unwrap_or(bytes);
        let newline = find_byte(window, b'\n');
        let (head, rest) = bytes.split_at(newline.map_or(window.len(), |at| at + 1));
        self.line.extend_from_slice(head);
        let hopeless = self.line.get(1).is_some_and(|&b| b != b'-') || room <= head.len();
        if newline.is_none() && !hopeless {
            return rest;
        }
        let line = std::mem::take(&mut self.line);
        self.take_line(line, observer);
        rest
    }

    /// A line that begins with `-`, whole or beyond the length of a delimiter.
    fn take_line(&mut self, mut line: Vec<u8>, observer: &mut dyn PartObserver) {
        match match_delimiter(&self.levels, &line) {
            Some((level, closing)) => self.delimited(level, closing, &line, observer),
            None => {
                self.begin_line(observer);
                self.plain(&line, observer);
            }
        }
        line.clear();
        self.line = line;
    }

    fn delimiter(&self) -> Option<(usize, bool)> {
        match_delimiter(&self.levels, &self.line)
    }

    /// Bytes of lines, none of which can be a delimiter unless it begins within them.
    fn plain(&mut self, mut bytes: &[u8], observer: &mut dyn PartObserver) {
        while !bytes.is_empty() {
            if self.at_line_start {
                self.begin_line(observer);
            }
            bytes = self.within_line(bytes, observer);
        }
    }

    /// Takes bytes up to a line end behind which a delimiter may stand, or all.
    fn within_line<'a>(&mut self, bytes: &'a [u8], observer: &mut dyn PartObserver) -> &'a [u8] {
        if matches!(self.state, State::Header) {
            return self.header_line(bytes, observer);
        }
        if self.held == Held::Cr {
            if bytes.first() == Some(&b'\n') {
                self.held = Held::CrLf;
                self.at_line_start = true;
                return bytes.get(1..).unwrap_or_default();
            }
            self.release(observer);
        }
        let mut from = 0;
        while let Some(at) = bytes.get(from..).and_then(|b| find_byte(b, b'\n')) {
            let next = from + at + 1;
            if bytes.get(next).is_some_and(|&b| b != b'-') {
                from = next;
                continue;
            }
            let (line, rest) = bytes.split_at(next);
            let content = match line {
                [content @ .., b'\r', b'\n'] => {
                    self.held = Held::CrLf;
                    content
                }
                [content @ .., _] => {
                    self.held = Held::Lf;
                    content
                }
                [] => line,
            };
            self.at_line_start = true;
            self.content(content, observer);
            return rest;
        }
        match bytes {
            [content @ .., b'\r'] => {
                self.content(content, observer);
                self.held = Held::Cr;
            }
            content => self.content(content, observer),
        }
        &[]
    }

    fn header_line<'a>(&mut self, bytes: &'a [u8], observer: &mut dyn PartObserver) -> &'a [u8] {
        let newline = find_byte(bytes, b'\n');
        let (line, rest) = bytes.split_at(newline.map_or(bytes.len(), |at| at + 1));
        self.header.push(line);
        self.enclosed_data(line, observer);
        if newline.is_some() {
            self.at_line_start = true;
            let unsure = std::mem::take(&mut self.begins_unsure);
            if self.header.end_line() {
                self.header_ended(observer);
            } else if unsure && !self.header.begins_with_field() {
                self.gap(observer);
            }
        }
        rest
    }

    fn header_ended(&mut self, observer: &mut dyn PartObserver) {
        let mut block = self.header.take();
        block.extend_from_slice(b"\r\n\r\n");
        if let Some(read) = headers::in_named_charset(&self.parser, &block) {
            block = read;
        }
        if let Cow::Owned(joined) = words::joined(&block) {
            block = joined;
        }
        let default_type = std::mem::replace(&mut self.default_type, "text/plain");
        let part = PartHeader::parse(&self.parser, &block, default_type);
        if std::mem::replace(&mut self.is_root, false) {
            self.header.limit(PART_HEADER_BYTES);
            self.root_header = Some(block);
        } else {
            self.header.give_back(block);
        }
        self.open(part, observer);
    }

    fn open(&mut self, part: PartHeader, observer: &mut dyn PartObserver) {
        let depth = self.levels.len() + self.enclosed.len();
        if part.is_multipart() {
            let digest = part.content_type == "multipart/digest";
            match part.boundary {
                Some(boundary) if depth < self.nesting && boundary.len() <= BOUNDARY_BYTES => {
                    self.levels.push(Level { boundary, digest });
                }
                _ => self.too_deep = true,
            }
            self.state = State::Between;
            return;
        }
        let id = part.is_attachment().then(|| {
            let id = self.attachments;
            self.attachments += 1;
            observer.begin(PartInfo { id, filename: part.filename.clone(), content_type: part.content_type.clone() });
            id
        });
        if let Some(id) = id
            && part.is_message()
        {
            if depth < self.nesting && self.enclosed.len() < MESSAGE_DEPTH {
                self.enclosed.push(Enclosed { id, depth: self.levels.len() });
                self.state = State::Header;
                self.header.begin();
                return;
            }
            self.too_deep = true;
        }
        self.state = State::Body { id, decoder: part.decoder };
    }

    fn content(&mut self, bytes: &[u8], observer: &mut dyn PartObserver) {
        if bytes.is_empty() {
            return;
        }
        self.enclosed_data(bytes, observer);
        if let State::Body { id: Some(id), decoder } = &mut self.state {
            let decoded = decoder.decode(bytes, &mut self.scratch);
            if !decoded.is_empty() {
                observer.data(*id, decoded);
            }
        }
    }

    fn enclosed_data(&self, bytes: &[u8], observer: &mut dyn PartObserver) {
        for message in &self.enclosed {
            observer.data(message.id, bytes);
        }
    }

    /// A delimiter of the level with that index.
    fn delimited(&mut self, level: usize, closing: bool, line: &[u8], observer: &mut dyn PartObserver) {
        // Enclosed messages that contain the delimiter get it, and the line end before it, as their bytes.
        let held = std::mem::replace(&mut self.held, Held::Nothing);
        for message in self.enclosed.iter().filter(|m| m.depth <= level) {
            observer.data(message.id, held.bytes());
            observer.data(message.id, line.strip_suffix(b"\n").map_or(line, |l| l.strip_suffix(b"\r").unwrap_or(l)));
        }
        if matches!(self.state, State::Header) {
            // A header cut short by a delimiter: its part is empty.
            self.header_ended(observer);
        }
        self.close(level + 1, observer);
        let digest = self.levels.get(level).is_some_and(|l| l.digest);
        if closing {
            self.levels.truncate(level);
            self.state = State::Between;
        } else {
            self.state = State::Header;
            self.header.begin();
            self.default_type = if digest { "message/rfc822" } else { "text/plain" };
        }
        // The delimiter's own line end is not content of a part, but it is of an enclosed message.
        let ended = line.ends_with(b"\n");
        if ended {
            let end: &[u8] = if line.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
            if closing {
                self.held = if end.len() == 2 { Held::CrLf } else { Held::Lf };
            } else {
                self.enclosed_data(end, observer);
            }
        }
        self.at_line_start = ended;
    }

    /// Closes what lies deeper than `depth` levels.
    fn close(&mut self, depth: usize, observer: &mut dyn PartObserver) {
        if let State::Body { id: Some(id), decoder } = &mut self.state {
            decoder.finish(&mut self.scratch);
            if !self.scratch.is_empty() {
                observer.data(*id, &self.scratch);
            }
            observer.end(*id);
        }
        self.state = State::Between;
        while self.enclosed.last().is_some_and(|m| m.depth >= depth) {
            if let Some(message) = self.enclosed.pop() {
                observer.end(message.id);
            }
        }
        self.levels.truncate(depth);
    }
}

/// The innermost level whose delimiter `line` is, and whether it closes the multipart.
fn match_delimiter(levels: &[Level], line: &[u8]) -> Option<(usize, bool)> {
    let rest = line.strip_prefix(b"--")?;
    levels.iter().enumerate().rev().find_map(|(index, level)| {
        let rest = rest.strip_prefix(level.boundary.as_slice())?.trim_ascii_end();
        match rest {
            b"" => Some((index, false)),
            b"--" => Some((index, true)),
            _ => None,
        }
    })
}
