//! One member: where it lies in its archive, and how it is stored.

use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use super::super::buffer::Buffer;
use super::super::compress::{self, Decoder};
use super::super::error::CaptureError;
use super::super::input::{self, Format, Refused, Stored};
use super::super::room::{Room, Window};

/// Reads through the archive for one member.
const INPUT: usize = 64 << 10;

/// How a member is stored.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::capture) enum Method {
    Stored,
    Deflate,
    /// As [`compress`] names it.
    Other(&'static str),
}

/// Size and CRC-32 of what a member holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) size: u64,
    pub(super) crc: u32,
}

impl Method {
    /// A zip method by its number (APPNOTE.TXT 4.4.5), or its name if it is not read.
    pub(super) fn from_zip(number: u16) -> Result<Method, String> {
        let name = match number {
            0 => return Ok(Method::Stored),
            8 => return Ok(Method::Deflate),
            12 => return Ok(Method::Other("bzip2")),
            93 => return Ok(Method::Other("zstd")),
            95 => return Ok(Method::Other("xz")),
            1 => "shrink",
            6 => "implode",
            9 => "Deflate64",
            14 => "LZMA",
            98 => "PPMd",
            99 => "AES",
            _ => return Err(format!("method {number}")),
        };
        Err(name.to_owned())
    }

    /// A reader of what `inner` holds, which is held to the sum.
    pub(super) fn reader(self, inner: Box<dyn Read + Send>, sum: Option<Sum>) -> io::Result<Decoder> {
        let (plain, window): Decoder = match self {
            Method::Stored => (inner, Window::default()),
            Method::Deflate => {
                let inner = BufReader::with_capacity(INPUT, inner);
                (Box::new(flate2::bufread::DeflateDecoder::new(inner)), Window::new(2 * INPUT as u64))
            }
            Method::Other(kind) => compress::decoder(kind, inner)?,
        };
        Ok(match sum {
            Some(sum) => (Box::new(Summed { inner: plain, sum, crc: flate2::Crc::new(), size: 0 }), window),
            None => (plain, window),
        })
    }
}

/// A member of an archive that is a regular file.
#[derive(Clone, Debug)]
pub(in crate::capture) struct Member {
    /// The archive.
    pub(super) path: Arc<Path>,
    /// As the archive has it; for showing only.
    pub(in crate::capture) name: String,
    /// Where its header stands.
    pub(in crate::capture) header: u64,
    /// Where its data begin, and how many bytes they are in the archive.
    pub(super) data: u64,
    pub(super) stored: u64,
    pub(super) method: Method,
    pub(super) sum: Option<Sum>,
}

impl Member {
    /// Opens it. With `lazily`, the archive is only open while it is being read from.
    pub(in crate::capture) fn open(&self, lazily: bool) -> Result<Decoder, CaptureError> {
        let archive = input::open_file(&self.path, self.data, lazily)?;
        let failed = |e: io::Error| CaptureError::new(&self.name, format!("can't be read: {e}"), "");
        self.method.reader(Box::new(archive.take(self.stored)), self.sum).map_err(failed)
    }

    /// Looks into what was opened.
    pub(in crate::capture) fn look_into(&self, reader: Decoder, room: &Room) -> Result<(Buffer, Format), Refused> {
        input::capture_inside(&self.name, reader, &Stored::fixed(self.stored, room))
    }

    /// Opens it and looks into it.
    pub(in crate::capture) fn recognise(&self) -> Result<(Buffer, Format), Refused> {
        self.look_into(self.open(false)?, &Room::default())
    }
}

/// Holds what it passes on to a size and a CRC-32. A member that gives more than it said is stopped there.
struct Summed {
    inner: Box<dyn Read + Send>,
    sum: Sum,
    crc: flate2::Crc,
    size: u64,
}

impl Read for Summed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bad = |text: &str| Err(io::Error::new(io::ErrorKind::InvalidData, text));
        let got = self.inner.read(buf)?;
        self.crc.update(buf.get(..got).unwrap_or_default());
        self.size = self.size.saturating_add(got as u64);
        if self.size > self.sum.size {
            return bad("the member is longer than its archive says");
        }
        if got == 0 && !buf.is_empty() {
            if self.size < self.sum.size {
                return bad("the member is shorter than its archive says");
            }
            if self.crc.sum() != self.sum.crc {
                return bad("the member's checksum is wrong");
            }
        }
        Ok(got)
    }
}
