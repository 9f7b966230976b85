//! The tar format: ustar and pax (POSIX.1-2024, `pax`), GNU's and the older one without a magic.

use std::path::Path;
use std::sync::Arc;

use crate::fmt::count;
use crate::limits::Limits;

use super::member::{Member, Method};
use super::tape::{FileTape, Tape};
use super::{Notes, shown};

/// Everything comes in blocks of this size.
pub(super) const BLOCK: usize = 512;

/// A header block's fields that matter.
pub(super) struct Header<'a> {
    block: &'a [u8; BLOCK],
    size: u64,
    kind: u8,
}

impl<'a> Header<'a> {
    /// A block whose checksum is right.
    pub(super) fn parse(block: &'a [u8; BLOCK]) -> Option<Self> {
        let claimed = number(block.get(148..156)?)?;
        // Some old tars summed signed bytes. The checksum's own field counts as spaces.
        let (mut unsigned, mut signed) = (0u64, 0i64);
        for (at, byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&at) { b' ' } else { *byte };
            unsigned += u64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        if claimed != unsigned && i64::try_from(claimed) != Ok(signed) {
            return None;
        }
        Some(Header { block, size: number(block.get(124..136)?)?, kind: *block.get(156)? })
    }

    /// Without a magic a checksum alone must do; in search of a header it must not.
    fn has_magic(&self) -> bool {
        self.block.get(257..262) == Some(b"ustar")
    }

    fn name(&self) -> Vec<u8> {
        let field = |from: usize, to: usize| until_nul(self.block.get(from..to).unwrap_or_default());
        let name = field(0, 100);
        // GNU keeps other things where POSIX has the prefix.
        match field(345, 500) {
            prefix if self.block.get(257..263) == Some(b"ustar\0") && !prefix.is_empty() => {
                [prefix, b"/", name].concat()
            }
            _ => name.to_vec(),
        }
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// A number field: octal digits, or base 256 if the high bit is set; none if it is neither, negative or too large.
fn number(field: &[u8]) -> Option<u64> {
    if let [first @ 0x80..=0xff, rest @ ..] = field {
        let start = if *first == 0x80 { Some(0u64) } else { None };
        return rest.iter().fold(start, |n, b| Some(n?.checked_mul(256)? + u64::from(*b)));
    }
    let digits = until_nul(field).trim_ascii();
    digits.iter().try_fold(0u64, |n, b| match b {
        b'0'..=b'7' => Some(n.checked_mul(8)? + u64::from(b - b'0')),
        _ => None,
    })
}

/// A regular file in the archive.
pub(super) struct Found {
    pub(super) name: String,
    /// Where its header stands.
    pub(super) header: u64,
    pub(super) size: u64,
}

/// What the headers before a member's own say of it.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

/// A walk from header to header.
#[derive(Default)]
pub(super) struct Walk {
    /// Where the next header stands.
    next: u64,
    members: usize,
    /// An end mark was passed.
    marked: bool,
    ended: bool,
    extended: Extended,
    /// Name of the member that `next` lies behind.
    last: String,
}

impl Walk {
    /// The next regular file; the tape then stands at its data. None at the end.
    pub(super) fn next(&mut self, tape: &mut dyn Tape, notes: &mut Notes, limits: &Limits) -> Option<Found> {
        while !self.ended {
            let due = self.next.saturating_sub(tape.offset());
            if tape.skip(due) < due {
                self.cut(tape, notes, &format!("inside the member {}", self.last));
                break;
            }
            let at = tape.offset();
            let ahead = tape.ahead(BLOCK);
            let Some(block) = ahead.first_chunk::<BLOCK>() else {
                let (empty, marked) = (ahead.is_empty(), self.marked);
                match tape.take_error() {
                    Some(e) => notes.loss(at, format!("reading stopped: {e}")),
                    None if marked => {}
                    None if empty => notes.loss(at, "the archive has no end mark; it may be cut short"),
                    None => notes.loss(at, "the archive ends inside a member's header"),
                }
                self.ended = true;
                break;
            };
            if block.iter().all(|b| *b == 0) {
                self.marked = true;
                self.next = at.saturating_add(BLOCK as u64);
                continue;
            }
            let Some(header) = Header::parse(block).filter(|h| !self.marked || h.has_magic()) else {
                self.odd(at, tape, notes);
                continue;
            };
            if std::mem::take(&mut self.marked) {
                notes.harmless(at, "another tar archive is appended here; reading continues");
            }
            let (name, kind, size) = (header.name(), header.kind, header.size);
            let continued = block.get(482).is_some_and(|b| *b != 0);
            if let Some(found) = self.header(at, name, (kind, size, continued), tape, notes, limits) {
                self.members = self.members.saturating_add(1);
                if self.members > limits.archive_members {
                    let text = format!("more than {} members; the rest is not read", limits.archive_members);
                    notes.loss(at, text);
                    self.ended = true;
                    break;
                }
                return Some(found);
            }
        }
        None
    }

    /// Takes in a header and goes behind it; a member if it is a regular file's.
    fn header(
        &mut self,
        at: u64,
        name: Vec<u8>,
        (kind, size, continued): (u8, u64, bool),
        tape: &mut dyn Tape,
        notes: &mut Notes,
        limits: &Limits,
    ) -> Option<Found> {
        tape.skip(BLOCK as u64);
        match kind {
            b'x' | b'X' | b'L' => {
                self.next = behind(tape.offset(), size);
                if size > limits.archive_header_bytes as u64 {
                    notes.loss(at, format!("an extended header of {size} bytes is skipped"));
                    return None;
                }
                let body = tape.ahead(usize::try_from(size).unwrap_or(0));
                match kind {
                    b'L' => self.extended.path = Some(until_nul(body).to_vec()),
                    _ => self.extended.records(body),
                }
                return None;
            }
            // What holds for all members, long link names, a volume's name: nothing that matters.
            b'g' | b'K' | b'V' | b'N' => {
                self.next = behind(tape.offset(), size);
                return None;
            }
            // Links, devices, folders and pipes have no data, whatever the size says.
            b'1'..=b'6' => {
                self.extended = Extended::default();
                self.next = tape.offset();
                return None;
            }
            _ => {}
        }
        let extended = std::mem::take(&mut self.extended);
        let name = shown(&extended.path.unwrap_or(name), limits);
        let size = extended.size.unwrap_or(size);
        self.last.clone_from(&name);
        if kind == b'S' {
            // The map of holes goes on in blocks that the size does not count.
            let mut more = continued;
            while more {
                more = tape.ahead(BLOCK).get(504).is_some_and(|b| *b != 0);
                tape.skip(BLOCK as u64);
            }
        }
        self.next = behind(tape.offset(), size);
        match kind {
            b'S' => notes.loss(at, format!("{name} is a sparse file; not read")),
            _ if extended.sparse => notes.loss(at, format!("{name} is a sparse file; not read")),
            // Old tars mark a folder by its name alone.
            0 if name.ends_with('/') => {}
            0 | b'0' | b'7' => return Some(Found { name, header: at, size }),
            b'M' => notes.loss(at, format!("{name} continues from another volume; not read")),
            _ => notes.harmless(at, format!("{name} is of the unknown type {:?}; skipped", char::from(kind))),
        }
        None
    }

    /// The stream ended before `next`.
    fn cut(&mut self, tape: &mut dyn Tape, notes: &mut Notes, place: &str) {
        self.ended = true;
        match tape.take_error() {
            Some(e) => notes.loss(tape.offset(), format!("reading stopped: {e}")),
            None => notes.loss(tape.offset(), format!("the archive ends {place}")),
        }
    }

    /// No header where one was due: behind the end mark that is the end, before it damage.
    fn odd(&mut self, at: u64, tape: &mut dyn Tape, notes: &mut Notes) {
        if self.marked {
            notes.harmless(at, "what follows the archive's end mark is not read");
            self.ended = true;
            return;
        }
        self.extended = Extended::default();
        loop {
            tape.skip(BLOCK as u64);
            let Some(block) = tape.ahead(BLOCK).first_chunk::<BLOCK>() else {
                notes.loss(at, "a member's header is damaged; the rest of the archive is not read");
                self.ended = true;
                return;
            };
            if Header::parse(block).is_some_and(|h| h.has_magic()) {
                self.next = tape.offset();
                let text =
                    format!("a member's header is damaged; {} skipped up to the next", count(self.next - at, "byte"));
                return notes.loss(at, text);
            }
        }
    }
}

/// The block behind `size` bytes of data at `at`.
fn behind(at: u64, size: u64) -> u64 {
    at.saturating_add(size.checked_next_multiple_of(BLOCK as u64).unwrap_or(u64::MAX))
}

impl Extended {
    /// Records of a pax header: `LENGTH KEY=VALUE\n`, the length counting itself.
    fn records(&mut self, mut body: &[u8]) {
        while let Some(space) = body.iter().position(|b| *b == b' ')
            && let Some(len) = std::str::from_utf8(body.get(..space).unwrap_or_default()).ok()
            && let Ok(len) = len.parse::<usize>()
            && let Some(record) = body.get(space + 1..len)
        {
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            if let Some(equals) = record.iter().position(|b| *b == b'=')
                && let (Some(key), Some(value)) = (record.get(..equals), record.get(equals + 1..))
            {
                match key {
                    b"path" => self.path = Some(value.to_vec()),
                    b"size" => self.size = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()),
                    _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                    _ => {}
                }
            }
            body = body.get(len..).unwrap_or_default();
        }
    }
}

/// The regular files of a tar file.
pub(super) fn list(path: &Path, mut tape: FileTape, notes: &mut Notes, limits: &Limits) -> Vec<Member> {
    let path: Arc<Path> = path.into();
    let mut walk = Walk::default();
    let mut members = Vec::new();
    while let Some(Found { name, header, size }) = walk.next(&mut tape, notes, limits) {
        let data = tape.offset();
        members.push(Member {
            path: path.clone(),
            name,
            header,
            data,
            stored: size,
            method: Method::Stored,
            sum: None,
        });
    }
    members
}
