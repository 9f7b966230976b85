//! Opening an input: what it is called, whether it can be opened again, and what its first bytes say it holds.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fmt::count;
use crate::limits::Limits;

use super::archive::{self, Kind, Notes};
use super::buffer::Buffer;
use super::compress::Decoder;
use super::error::CaptureError;
use super::hop::{self, Ahead};
use super::pipe::{self, Stop};
use super::room::{Room, Window};
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
    pub(super) fn open(&self, lazily: bool, stop: &Stop) -> Result<Box<dyn Read + Send>, CaptureError> {
        match self {
            Input::Stdin => pipe::stdin(stop).map_err(|e| CaptureError::new("-", format!("can't be read: {e}"), "")),
            #[cfg(unix)]
            Input::File(path) | Input::Found(path) if !self.reopens() => {
                Ok(Box::new(pipe::Pipe::new(opened(path)?, stop)))
            }
            Input::File(path) | Input::Found(path) => open_file(path, 0, lazily),
        }
    }

    /// Opens it as [`Input::open`] does, and for others who read a file at any place, if that can be.
    pub(super) fn open_for_several(&self, stop: &Stop) -> Result<(Box<dyn Read + Send>, Option<File>), CaptureError> {
        match self {
            Input::File(path) | Input::Found(path) if cfg!(unix) && self.reopens() => {
                let file = opened(path)?;
                let others = file.try_clone().ok();
                Ok((Box::new(file), others))
            }
            _ => Ok((self.open(false, stop)?, None)),
        }
    }

    /// The secrets that a file of that format holds wherever they are; none of what can't be sought.
    pub(super) fn secrets(&self, format: &Format, limits: &Limits) -> Ahead {
        let path = self.path().filter(|_| matches!(format, Format::PcapNg(_)) && self.reopens());
        path.map_or_else(Ahead::default, |path| hop::secrets(path, limits))
    }

    /// The path, unless it is a pipe's end.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Input::Stdin => None,
            Input::File(path) | Input::Found(path) => Some(path),
        }
    }
}

/// Opens a file at an offset. With `lazily`, it is only open while it is being read from.
pub(super) fn open_file(path: &Path, at: u64, lazily: bool) -> Result<Box<dyn Read + Send>, CaptureError> {
    if lazily {
        return Ok(Box::new(LazyFile { path: path.to_owned(), position: at }));
    }
    let mut file = opened(path)?;
    if at > 0 {
        file.seek(SeekFrom::Start(at)).map_err(|e| failed(path, &e))?;
    }
    Ok(Box::new(file))
}

fn opened(path: &Path) -> Result<File, CaptureError> {
    if path.is_dir() {
        let what = "a folder that can't be listed, or is nested too deeply";
        return Err(CaptureError::new(&path.display().to_string(), what, ""));
    }
    File::open(path).map_err(|e| failed(path, &e))
}

fn failed(path: &Path, e: &io::Error) -> CaptureError {
    let name = path.display().to_string();
    match e.kind() {
        io::ErrorKind::NotFound => CaptureError::new(&name, "no such file or folder", ""),
        io::ErrorKind::PermissionDenied => {
            CaptureError::new(&name, "permission denied", "captures often belong to root")
        }
        _ => CaptureError::new(&name, format!("can't be opened: {e}"), ""),
    }
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
#[derive(Clone, Debug)]
pub(super) enum Format {
    Pcap(pcap::Pcap),
    PcapNg(pcapng::PcapNg),
}

/// Bytes read of a file as it is stored, and the room for what is held of it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    read: Arc<AtomicU64>,
    room: Room,
    /// Compression is around what was found.
    pub(super) compressed: bool,
}

impl Stored {
    /// So many, and no more to come.
    pub(super) fn fixed(bytes: u64, room: &Room) -> Self {
        Stored { read: Arc::new(AtomicU64::new(bytes)), room: room.clone(), compressed: true }
    }
}

/// What a stream turned out to be.
pub(super) enum Content {
    Capture(Buffer, Format),
    /// An archive, at its first byte; what of it has been read as it is stored, if compression is around it.
    Archive(Kind, Buffer, Stored),
}

/// Why a stream is not read.
pub(super) struct Refused {
    error: CaptureError,
    /// It may hold packets all the same.
    hides_packets: bool,
}

impl From<Refused> for CaptureError {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl From<CaptureError> for Refused {
    fn from(error: CaptureError) -> Self {
        Refused { error, hides_packets: true }
    }
}

impl Refused {
    fn no_capture(name: &str, what: impl Into<String>, hint: &str) -> Self {
        Refused { error: CaptureError::new(name, what, hint), hides_packets: false }
    }

    /// Tells it of an archive's member.
    pub(super) fn note(self, offset: u64, name: &str, notes: &mut Notes) {
        let what = self.error.what;
        match self.hides_packets {
            true => notes.loss(offset, format!("{name} is not read: {what}")),
            false => notes.harmless(offset, format!("{name} is skipped: {what}")),
        }
    }
}

/// A stream that fails before it shows what it is.
pub(super) fn unreadable(name: &str, e: &io::Error) -> Refused {
    CaptureError::new(name, format!("can't be read: {e}"), "").into()
}

/// Looks into a stream, through compression if there is any.
pub(super) fn recognise(name: &str, reader: Box<dyn Read + Send>, room: &Room) -> Result<Content, Refused> {
    let stored = Stored { read: Arc::default(), room: room.clone(), compressed: false };
    let reader: Box<dyn Read + Send> = Box::new(Counted { inner: reader, read: stored.read.clone() });
    look_into(name, (reader, Window::default()), stored, Limits::default().free_expansion)
}

/// Whether an input begins like a capture or an archive.
pub(super) fn look(input: &Input) -> Result<(), CaptureError> {
    recognise(&input.name(), input.open(false, &Stop::default())?, &Room::default())?;
    Ok(())
}

/// As [`recognise`]; `free` bytes may come out whatever was stored.
fn look_into(name: &str, (reader, window): Decoder, mut stored: Stored, free: u64) -> Result<Content, Refused> {
    let mut buffer = Buffer::new(reader, window, &stored.room);
    let mut plain = true;
    // A gzip file may be compressed once more by a rotation script; deeper is a trick.
    for _ in 0..3 {
        buffer.ensure(HEAD);
        let Some(kind) = compress::detect(&mut buffer) else { break };
        let (inner, window) = compress::decoder(kind, Box::new(Unread { buffer })).map_err(|e| {
            CaptureError::new(name, format!("{kind} can't be read: {e}"), format!("decompress it with {kind} first"))
        })?;
        let ratio = Limits::default().expansion_ratio;
        let bounded = Bounded { inner, made: 0, stored: stored.read.clone(), ratio, free };
        buffer = Buffer::decoded(Box::new(bounded), window, &stored.room);
        plain = false;
    }
    buffer.ensure(HEAD);
    let bad = |what: &str| CaptureError::new(name, what, "");
    let format = if pcap::detect(buffer.data()).is_some() {
        Format::Pcap(pcap::Pcap::open(&mut buffer).map_err(bad)?)
    } else if pcapng::detect(buffer.data()) {
        Format::PcapNg(pcapng::PcapNg::open(&mut buffer).map_err(bad)?)
    } else if let Some(kind) = archive::detect(&mut buffer) {
        stored.compressed |= !plain;
        return Ok(Content::Archive(kind, buffer, stored));
    } else {
        return Err(unknown(name, &mut buffer, plain));
    };
    Ok(Content::Capture(buffer, format))
}

/// As [`recognise`], of an archive's member, which must not be an archive itself; `stored` is what was read of the
/// archive's file, or of the member in it: what is compressed once more is not stored.
pub(super) fn capture_inside(name: &str, reader: Decoder, stored: &Stored) -> Result<(Buffer, Format), Refused> {
    match look_into(name, reader, stored.clone(), Limits::default().free_member_expansion)? {
        Content::Capture(buffer, format) => Ok((buffer, format)),
        Content::Archive(kind, ..) => {
            let what = format!("a {} archive inside the archive; unpack it first", kind.name());
            Err(CaptureError::new(name, what, "").into())
        }
    }
}

/// What other captures begin with, which editcap converts, and what they are.
const OTHERS: [(&[u8], &str); 10] = [
    (b"snoop\0", "a snoop capture"),
    (b"GMBU", "a Network Monitor capture"),
    (b"RTSS", "a Network Monitor capture"),
    (b"XCP\0", "a NetXray or Windows Sniffer capture"),
    (b"TRSNIFF data", "a Sniffer capture"),
    (b"iptrace ", "an AIX iptrace capture"),
    (b"\x7fver", "a Peek capture"),
    (b"btsnoop\0", "a Bluetooth capture"),
    (b"LOGG", "a BLF capture"),
    (b"\0\0\x02\0\x12\x05\0\x10", "a K12 capture"),
];

/// What archives and compressed files begin with that are not read.
const PACKED: [(&[u8], &str); 5] = [
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"\x1f\x9d", "a file of compress (.Z)"),
    (b"LZIP", "an lzip file"),
    (b"\x5d\0\0", "an lzma file"),
];

/// Says what a file that is no capture seems to be.
fn unknown(name: &str, buffer: &mut Buffer, plain: bool) -> Refused {
    if let Some(e) = buffer.take_error() {
        return unreadable(name, &e);
    }
    buffer.ensure(KEY_LOG);
    let key_log = is_key_log(buffer.data());
    let convert = "convert it with: editcap -F pcapng IN OUT";
    let head = buffer.data().get(..HEAD).unwrap_or(buffer.data());
    let named = |known: &[(&[u8], &'static str)]| known.iter().find(|(magic, _)| head.starts_with(magic)).map(|k| k.1);
    let text = || head.trim_ascii_start().to_ascii_lowercase();
    match head {
        [] if plain => Refused::no_capture(name, "the file is empty", ""),
        [] => Refused::no_capture(name, "a compressed file with nothing in it", ""),
        [_] | [_, _] | [_, _, _] => {
            Refused::no_capture(name, format!("too short for a capture: {}", count(head.len() as u64, "byte")), "")
        }
        _ if let Some(what) = named(&OTHERS) => CaptureError::new(name, what, convert).into(),
        _ if let Some(what) = named(&PACKED) => CaptureError::new(name, what, "unpack it first").into(),
        [b'-', b'-', b'-', b'-', b'-', b'B', b'E', b'G', b'I', b'N', ..] => {
            Refused::no_capture(name, "a key or a certificate, not a capture", "give a private key with --key")
        }
        _ if key_log => Refused::no_capture(name, "a key log, not a capture", "give it with --keylog"),
        _ if text().starts_with(b"<!doctype") || text().starts_with(b"<html") || text().starts_with(b"<?xml") => {
            Refused::no_capture(name, "a web page, not a capture", "download the raw file")
        }
        _ => {
            let hint = "if Wireshark can open it, convert it with: editcap -F pcapng IN OUT";
            Refused::no_capture(name, "neither pcap nor pcapng, plain or compressed", hint)
        }
    }
}

/// Bytes in which a key log shows that it is one.
const KEY_LOG: usize = 4096;

/// Whether a text's beginning is a key log's: what is written above one, or a label and two numbers in hex.
fn is_key_log(text: &[u8]) -> bool {
    let text = text.get(..KEY_LOG).unwrap_or(text);
    let is_label = |word: &[u8]| {
        word.first().is_some_and(u8::is_ascii_uppercase)
            && word.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
    };
    let is_hex = |word: &[u8]| word.len() >= 16 && word.iter().all(u8::is_ascii_hexdigit);
    let is_entry = |line: &[u8]| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let entry = [words.next(), words.next(), words.next(), words.next()];
        matches!(entry, [Some(label), Some(key), Some(secret), None] if is_label(label) && is_hex(key) && is_hex(secret))
    };
    text.starts_with(b"# SSL/TLS secrets log") || text.split(|b| *b == b'\n').any(is_entry)
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
    free: u64,
}

impl Read for Bounded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.made = self.made.saturating_add(n as u64);
        let stored = self.stored.load(Ordering::Relaxed);
        if self.made > self.free.saturating_add(stored.saturating_mul(self.ratio)) {
            let text =
                format!("it expands to more than {} times its size, as only a decompression bomb does", self.ratio);
            return Err(io::Error::other(text));
        }
        Ok(n)
    }
}

/// Whether a file's content is a capture, or an archive that holds one, or nobody here may see what it is; used for
/// what is found in folders.
pub(super) fn is_capture(path: &Path) -> bool {
    holds_packets(path).unwrap_or(false)
}

/// As [`is_capture`], or what may hold packets all the same: of another format, damaged.
pub(super) fn may_be_capture(path: &Path) -> bool {
    holds_packets(path).unwrap_or_else(|refused| refused.hides_packets)
}

fn holds_packets(path: &Path) -> Result<bool, Refused> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) => return Ok(e.kind() == io::ErrorKind::PermissionDenied),
    };
    Ok(match recognise("", Box::new(file), &Room::default())? {
        Content::Capture(..) => true,
        Content::Archive(kind, buffer, stored) => archive::holds_capture(kind, path, buffer, stored),
    })
}
