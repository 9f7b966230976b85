//! Opening an input: what it is called, whether it can be opened again, and what its first bytes say it holds.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::Limits;

use super::buffer::Buffer;
use super::error::CaptureError;
use super::{Input, compress, pcap, pcapng};

/// Bytes that tell formats apart.
const HEAD: usize = 16;

impl Input {
    /// The name as the user gave it.
    pub fn name(&self) -> String {
        match self {
            Input::Stdin => "-".to_owned(),
            Input::File(path) | Input::Found(path) => path.display().to_string(),
        }
    }

    /// A regular file can be closed and opened again; a pipe can't.
    pub(super) fn reopens(&self) -> bool {
        match self {
            Input::Stdin => false,
            Input::File(path) | Input::Found(path) => path.metadata().is_ok_and(|m| m.is_file()),
        }
    }

    /// Opens it. With `lazily`, the file is only open while it is being read from, so that any number can be.
    pub(super) fn open(&self, lazily: bool) -> Result<Box<dyn Read + Send>, CaptureError> {
        match self {
            Input::Stdin => Ok(Box::new(io::stdin())),
            Input::File(path) | Input::Found(path) if lazily => {
                Ok(Box::new(LazyFile { path: path.clone(), position: 0 }))
            }
            Input::File(path) | Input::Found(path) => open_file(path).map(|f| Box::new(f) as Box<dyn Read + Send>),
        }
    }
}

fn open_file(path: &Path) -> Result<File, CaptureError> {
    let name = path.display().to_string();
    File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => CaptureError::new(&name, "no such file or folder", ""),
        io::ErrorKind::PermissionDenied => {
            CaptureError::new(&name, "permission denied", "captures often belong to root")
        }
        _ => CaptureError::new(&name, format!("can't be opened: {e}"), ""),
    })
}

/// A file that is opened for each read: for merges of more files than may be open.
struct LazyFile {
    path: PathBuf,
    position: u64,
}

impl Read for LazyFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.position))?;
        let got = file.read(buf)?;
        self.position = self.position.saturating_add(got as u64);
        Ok(got)
    }
}

/// What a stream holds.
#[derive(Debug)]
pub(super) enum Format {
    Pcap(pcap::Pcap),
    PcapNg(pcapng::PcapNg),
}

/// Looks into a stream, through compression if there is any.
pub(super) fn recognise(
    name: &str,
    reader: Box<dyn Read + Send>,
    limits: &Limits,
) -> Result<(Buffer, Format), CaptureError> {
    let stored = Arc::new(AtomicU64::new(0));
    let mut buffer = Buffer::new(Box::new(Counted { inner: reader, read: stored.clone() }));
    // A gzip file may be compressed once more by a rotation script; deeper is a trick.
    for _ in 0..3 {
        buffer.ensure(HEAD);
        let Some(kind) = compress::detect(buffer.data()) else { break };
        let inner = compress::decoder(kind, Box::new(Unread { buffer })).map_err(|e| {
            CaptureError::new(name, format!("{kind} can't be read: {e}"), format!("decompress it with {kind} first"))
        })?;
        buffer =
            Buffer::new(Box::new(Bounded { inner, made: 0, stored: stored.clone(), ratio: limits.expansion_ratio }));
    }
    buffer.ensure(HEAD);
    let bad = |what: &str| CaptureError::new(name, what, "");
    let format = if pcap::detect(buffer.data()).is_some() {
        Format::Pcap(pcap::Pcap::open(&mut buffer).map_err(bad)?)
    } else if pcapng::detect(buffer.data()) {
        Format::PcapNg(pcapng::PcapNg::open(&mut buffer).map_err(bad)?)
    } else {
        return Err(unknown(name, &mut buffer));
    };
    Ok((buffer, format))
}

/// Says what a file that is no capture seems to be.
fn unknown(name: &str, buffer: &mut Buffer) -> CaptureError {
    if let Some(e) = buffer.take_error() {
        return CaptureError::new(name, format!("can't be read: {e}"), "");
    }
    let convert = "convert it with: editcap -F pcapng IN OUT";
    let head = buffer.data();
    let text = || head.trim_ascii_start().to_ascii_lowercase();
    match head {
        [] => CaptureError::new(name, "the file is empty", ""),
        [b's', b'n', b'o', b'o', b'p', 0, ..] => CaptureError::new(name, "a snoop capture", convert),
        [b'G', b'M', b'B', b'U', ..] | [b'R', b'T', b'S', b'S', ..] => {
            CaptureError::new(name, "a Network Monitor capture", convert)
        }
        [b'P', b'K', 3, 4, ..] => CaptureError::new(name, "a zip archive", "unpack it first"),
        _ if text().starts_with(b"<!doctype") || text().starts_with(b"<html") || text().starts_with(b"<?xml") => {
            CaptureError::new(name, "a web page, not a capture", "download the raw file")
        }
        _ => CaptureError::new(name, "neither pcap nor pcapng, plain or compressed", ""),
    }
}

/// What a buffer has taken in and the stream behind it, as a stream again.
struct Unread {
    buffer: Buffer,
}

impl Read for Unread {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !buf.is_empty() && !self.buffer.ensure(1) {
            return self.buffer.take_error().map_or(Ok(0), Err);
        }
        let data = self.buffer.data();
        let n = data.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), data.get(..n)) {
            to.copy_from_slice(from);
        }
        self.buffer.consume(n);
        Ok(n)
    }
}

/// Counts what was read of a file as it is stored.
struct Counted {
    inner: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// What decompression gives, up to a multiple of what is stored: compression inside compression has no other bound.
struct Bounded {
    inner: Box<dyn Read + Send>,
    made: u64,
    stored: Arc<AtomicU64>,
    ratio: u64,
}

impl Bounded {
    /// Below this many bytes out the ratio is not judged.
    const FREE: u64 = 64 << 20;
}

impl Read for Bounded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.made = self.made.saturating_add(n as u64);
        let stored = self.stored.load(Ordering::Relaxed);
        if self.made > Self::FREE.saturating_add(stored.saturating_mul(self.ratio)) {
            let text = format!("it expands to more than {} times its size, as only a trap does", self.ratio);
            return Err(io::Error::other(text));
        }
        Ok(n)
    }
}

/// Whether a file's content is a capture; used for what is found in folders.
pub(super) fn is_capture(path: &Path) -> bool {
    File::open(path).is_ok_and(|f| recognise("", Box::new(f), &Limits::default()).is_ok())
}
