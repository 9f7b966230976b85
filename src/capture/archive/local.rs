//! The headers of zip members (APPNOTE.TXT 4.3.7), and the walk from one to the next where nothing can be sought.

use flate2::{Decompress, FlushDecompress, Status};
use std::io;

use crate::limits::Limits;

use super::member::{Method, Sum};
use super::tape::Tape;
use super::{Buffer, Notes, shown};

/// Bytes of a local header before its name.
pub(super) const FIXED: usize = 30;

pub(super) fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..).and_then(|d| d.first_chunk()).map(|b| u16::from_le_bytes(*b))
}

pub(super) fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..).and_then(|d| d.first_chunk()).map(|b| u32::from_le_bytes(*b))
}

pub(super) fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    data.get(at..).and_then(|d| d.first_chunk()).map(|b| u64::from_le_bytes(*b))
}

/// What local headers and entries of the directory have in common.
#[derive(Debug)]
pub(super) struct Fields {
    flags: u16,
    method: u16,
    pub(super) crc: u32,
    pub(super) stored: u64,
    pub(super) size: u64,
}

impl Fields {
    /// From the flags on; `extra` has the wide values of those that are too large (4.5.3), `local` among them.
    pub(super) fn parse(head: &[u8], extra: &[u8], local: Option<&mut u64>) -> Option<Fields> {
        const WIDE: u64 = 0xffff_ffff;
        let mut fields = Fields {
            flags: u16_at(head, 0)?,
            method: u16_at(head, 2)?,
            crc: u32_at(head, 8)?,
            stored: u64::from(u32_at(head, 12)?),
            size: u64::from(u32_at(head, 16)?),
        };
        let mut wide = zip64(extra).unwrap_or_default();
        for value in [Some(&mut fields.size), Some(&mut fields.stored), local].into_iter().flatten() {
            if *value == WIDE
                && let Some(real) = u64_at(wide, 0)
            {
                *value = real;
                wide = wide.get(8..).unwrap_or_default();
            }
        }
        Some(fields)
    }

    /// How to read the member, or why it can't be.
    pub(super) fn readable(&self) -> Result<Method, String> {
        if self.flags & 1 != 0 {
            return Err("is encrypted".to_owned());
        }
        Method::from_zip(self.method).map_err(|name| format!("is compressed by {name}"))
    }

    /// Sizes and checksum follow the data.
    fn is_described_later(&self) -> bool {
        self.flags & 8 != 0
    }
}

/// The value of the zip64 extra field.
fn zip64(mut extra: &[u8]) -> Option<&[u8]> {
    loop {
        let (id, len) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        let value = extra.get(4..)?;
        if id == 1 {
            return Some(value.get(..len).unwrap_or(value));
        }
        extra = value.get(len..)?;
    }
}

/// A member whose data come next in the stream.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) header: u64,
    pub(super) body: Body,
    pub(super) method: Method,
    pub(super) sum: Option<Sum>,
}

/// What is left of the member's data.
pub(super) enum Body {
    /// So many bytes.
    Counted(u64),
    /// Deflate that says itself where it ends; a description follows.
    Deflate(Box<Decompress>),
    /// It ended.
    Done,
    /// It can't be followed.
    Broken,
}

impl Body {
    /// Reads on in the member.
    pub(super) fn read(&mut self, buffer: &mut Buffer, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if out.is_empty() || matches!(self, Body::Done | Body::Counted(0)) {
                return Ok(0);
            }
            let broken = || io::Error::new(io::ErrorKind::InvalidData, "the compressed data are damaged");
            let more = buffer.ensure(1);
            match self {
                Body::Counted(left) => {
                    let data = buffer.data();
                    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len()).min(out.len());
                    if let (Some(to), Some(from)) = (out.get_mut(..n), data.get(..n)) {
                        to.copy_from_slice(from);
                    }
                    buffer.consume(n);
                    *left -= n as u64;
                    return Ok(n);
                }
                Body::Deflate(state) => {
                    let (before_in, before_out) = (state.total_in(), state.total_out());
                    let result = state.decompress(buffer.data(), out, FlushDecompress::None);
                    let used = state.total_in().saturating_sub(before_in);
                    let got = usize::try_from(state.total_out().saturating_sub(before_out)).unwrap_or(0);
                    buffer.consume(usize::try_from(used).unwrap_or(0));
                    match result {
                        Ok(Status::StreamEnd) => *self = Body::Done,
                        Ok(_) if got == 0 && !more => {
                            *self = Body::Broken;
                            return Err(io::ErrorKind::UnexpectedEof.into());
                        }
                        Ok(_) if got == 0 && used == 0 => *self = Body::Broken,
                        Ok(_) => {}
                        Err(_) => *self = Body::Broken,
                    }
                    if got > 0 {
                        return Ok(got);
                    }
                }
                Body::Broken => return Err(broken()),
                Body::Done => return Ok(0),
            }
        }
    }
}

/// A walk over local headers.
#[derive(Default)]
pub(super) struct Walk {
    members: usize,
    /// The last member's data are followed by a description.
    described: bool,
    ended: bool,
}

impl Walk {
    /// The next regular file, whose data the buffer then stands at. `left` is what is left of the one before.
    pub(super) fn next(
        &mut self,
        buffer: &mut Buffer,
        left: Body,
        notes: &mut Notes,
        limits: &Limits,
    ) -> Option<Found> {
        if !self.ended && !self.pass(buffer, left, notes) {
            self.ended = true;
        }
        while !self.ended {
            let at = buffer.offset();
            let head = buffer.ahead(FIXED);
            if [b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06"].iter().any(|end| head.starts_with(*end)) {
                break;
            }
            if !head.starts_with(b"PK\x03\x04") || head.len() < FIXED {
                let text = match buffer.take_error() {
                    Some(e) => format!("reading stopped: {e}"),
                    None if buffer.data().len() < FIXED => "the archive is cut short".to_owned(),
                    None => "a member's header is damaged; the rest of the archive is not read".to_owned(),
                };
                notes.loss(at, text);
                break;
            }
            let lengths = [26, 28].map(|field| usize::from(u16_at(head, field).unwrap_or(0)));
            let [name_len, extra_len] = lengths;
            let whole = buffer.ahead(FIXED + name_len + extra_len);
            let parsed = whole.get(FIXED..FIXED + name_len).and_then(|name| {
                let fields = Fields::parse(whole.get(6..)?, whole.get(FIXED + name_len..)?, None)?;
                Some((shown(name, limits), name.ends_with(b"/"), fields))
            });
            let Some((name, is_folder, fields)) = parsed.filter(|_| whole.len() == FIXED + name_len + extra_len) else {
                notes.loss(at, "the archive is cut short");
                break;
            };
            buffer.consume(FIXED + name_len + extra_len);
            self.members = self.members.saturating_add(1);
            if self.members > limits.archive_members {
                notes.loss(at, format!("more than {} members; the rest is not read", limits.archive_members));
                break;
            }
            self.described = fields.is_described_later();
            let unknown = self.described && fields.stored == 0;
            let readable = fields.readable();
            let body = match (&readable, unknown) {
                (_, false) => Body::Counted(fields.stored),
                (Ok(Method::Deflate), true) => Body::Deflate(Box::new(Decompress::new(false))),
                // Folders may be described later, too, and are nothing.
                _ if is_folder => Body::Done,
                _ => {
                    let text = format!("where {name} ends can only be seen in a file that is not compressed; not read");
                    notes.loss(at, format!("{text}, nor what follows"));
                    break;
                }
            };
            match readable {
                Ok(_) if is_folder => {}
                // What is not counted is inflated on the way.
                Ok(_) if unknown => return Some(Found { name, header: at, body, method: Method::Stored, sum: None }),
                Ok(method) => {
                    let sum = (!self.described).then_some(Sum { size: fields.size, crc: fields.crc });
                    return Some(Found { name, header: at, body, method, sum });
                }
                Err(why) => notes.loss(at, format!("{name} {why}; not read")),
            }
            if !self.pass(buffer, body, notes) {
                break;
            }
        }
        self.ended = true;
        None
    }

    /// Steps over what is left of a member, and its description.
    fn pass(&mut self, buffer: &mut Buffer, mut body: Body, notes: &mut Notes) -> bool {
        if let Body::Counted(left) = &mut body {
            if buffer.skip(*left) < *left {
                notes.loss(buffer.offset(), "the archive ends inside a member");
                return false;
            }
            *left = 0;
        }
        let mut sink = vec![0; if matches!(body, Body::Deflate(_)) { 64 << 10 } else { 1 }];
        loop {
            match body.read(buffer, &mut sink) {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => {
                    notes.loss(buffer.offset(), "a member is damaged; the rest of the archive is not read");
                    return false;
                }
            }
        }
        if std::mem::take(&mut self.described) {
            // Its sizes are of 4 or 8 bytes, its mark may be missing: what follows tells.
            let data = buffer.ahead(24 + 4);
            let sizes: [usize; 2] = if data.starts_with(b"PK\x07\x08") { [16, 24] } else { [12, 20] };
            let fits = |n: &usize| data.get(*n..).is_some_and(|d| d.starts_with(b"PK"));
            let n = sizes.into_iter().find(fits).unwrap_or(16);
            buffer.consume(n);
        }
        true
    }
}
