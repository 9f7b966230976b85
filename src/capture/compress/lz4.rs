//! lz4 frames one behind the other, of all kinds (lz4_Frame_format.md).

use std::io::{self, BufRead, Chain, Cursor, Read, Take};

use lz4_flex::frame::FrameDecoder;

/// Magic numbers.
const MODERN: u32 = 0x184d_2204;
/// As `lz4 -l` writes it.
const LEGACY: u32 = 0x184c_2102;

/// What each block of a legacy frame holds but its last, which may hold less.
const BLOCK: usize = 8 << 20;

/// What a block takes at most that did not compress at all.
const COMPRESSED: usize = BLOCK + BLOCK / 255 + 16;

/// What is remembered at most: a block, compressed and not. Other frames remember less.
pub(super) const MEMORY: u64 = (BLOCK + COMPRESSED) as u64;

pub(super) struct Lz4<R: BufRead> {
    /// `None` at the end, and where it failed between two.
    frame: Option<Frame<R>>,
}

enum Frame<R: BufRead> {
    /// A decoder for each frame: it asserts that its buffers have the frame's size, but keeps larger ones.
    Modern(FrameDecoder<Source<R>>),
    /// The same decoder could read this if nothing followed and if each block had become smaller.
    Legacy(Legacy<R>),
    Skippable(Take<R>),
}

impl<R: BufRead> Lz4<R> {
    pub(super) fn new(inner: R) -> Self {
        Lz4 { frame: Some(Frame::Skippable(inner.take(0))) }
    }
}

impl<R: BufRead> Read for Lz4<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let Some(frame) = &mut self.frame {
            let got = match frame {
                Frame::Modern(frame) => modern(frame, buf).map_err(cut_off)?,
                Frame::Legacy(frame) => frame.read(buf).map_err(cut_off)?,
                Frame::Skippable(rest) => io::copy(rest, &mut io::sink()).map(|_| 0)?,
            };
            if got > 0 || buf.is_empty() {
                return Ok(got);
            }
            self.frame = self.frame.take().map(Frame::next).transpose().map_err(cut_off)?.flatten();
        }
        Ok(0)
    }
}

impl<R: BufRead> Frame<R> {
    /// What follows this one, which is over.
    fn next(self) -> io::Result<Option<Self>> {
        let (mut inner, magic) = match self {
            Frame::Modern(frame) if !frame.get_ref().whole => return Err(io::ErrorKind::UnexpectedEof.into()),
            Frame::Modern(frame) => (frame.into_inner().inner.into_inner().1, None),
            Frame::Legacy(frame) => (frame.inner, frame.next),
            Frame::Skippable(rest) => (rest.into_inner(), None),
        };
        let magic = match magic {
            None => number(&mut inner)?,
            some => some,
        };
        Ok(match magic {
            None => None,
            Some(MODERN) => {
                Some(Frame::Modern(FrameDecoder::new(Source::new(Cursor::new(MODERN.to_le_bytes()).chain(inner)))))
            }
            Some(LEGACY) => Some(Frame::Legacy(Legacy::new(inner))),
            Some(0x184d_2a50..=0x184d_2a5f) => {
                let len = number(&mut inner)?.unwrap_or(0);
                Some(Frame::Skippable(inner.take(len.into())))
            }
            Some(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "no lz4 frame")),
        })
    }
}

/// Reads of a frame. The decoder gives nothing at an empty block as well, not at the frame's end alone.
fn modern<R: BufRead>(frame: &mut FrameDecoder<Source<R>>, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        let got = frame.read(buf)?;
        if got > 0 || buf.is_empty() || frame.get_ref().is_over() {
            return Ok(got);
        }
    }
}

/// Whoever reads wanted more than there is. A stream around it that is cut off says so itself.
fn cut_off(e: io::Error) -> io::Error {
    match e.kind() {
        io::ErrorKind::UnexpectedEof if e.get_ref().is_none() => io::Error::new(e.kind(), "the lz4 frame is cut off"),
        _ => e,
    }
}

/// What the decoder of a frame reads: its magic number once more, and what follows. It asks for one field at a time.
struct Source<R> {
    inner: Chain<Cursor<[u8; 4]>, R>,
    /// Bytes before the next field that tells how many others follow.
    left: u64,
    /// What a block's checksum takes.
    checksum: u64,
    /// The mark at the frame's end was read.
    whole: bool,
    /// The decoder wanted more than there is. It takes that for the end in some places.
    ended: bool,
}

impl<R: BufRead> Source<R> {
    fn new(inner: Chain<Cursor<[u8; 4]>, R>) -> Self {
        Source { inner, left: 4, checksum: 0, whole: false, ended: false }
    }

    fn is_over(&self) -> bool {
        self.whole || self.ended
    }

    /// Follows the frame by a field that was read whole.
    fn follow(&mut self, field: &[u8]) {
        match *field {
            _ if self.left > 0 => self.left = self.left.saturating_sub(field.len() as u64),
            // What the frame has, the size of its blocks, and a byte of what follows.
            [flags, _, _] => {
                let has = |bit: u8, len: u64| if flags & bit == 0 { 0 } else { len };
                (self.checksum, self.left) = (has(0x10, 4), has(8, 8) + has(1, 4));
            }
            [0, 0, 0, 0] => self.whole = true,
            // The highest bit says that the block is not compressed.
            [a, b, c, d] => self.left = u64::from(u32::from_le_bytes([a, b, c, d & 0x7f])) + self.checksum,
            _ => {}
        }
    }
}

impl<R: BufRead> Read for Source<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut got = 0;
        while let Some(space) = buf.get_mut(got..).filter(|space| !space.is_empty()) {
            match self.inner.read(space) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(got);
                }
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.follow(buf);
        Ok(got)
    }
}

/// The number that comes next, if anything comes.
fn number(inner: &mut impl BufRead) -> io::Result<Option<u32>> {
    if inner.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut bytes = [0; 4];
    inner.read_exact(&mut bytes)?;
    Ok(Some(u32::from_le_bytes(bytes)))
}

/// Blocks behind their sizes. Nothing tells the end but that what comes is no size.
struct Legacy<R> {
    inner: R,
    /// The magic number of what follows.
    next: Option<u32>,
    compressed: Vec<u8>,
    plain: Vec<u8>,
    /// Where in `plain` is what was not yet given out.
    from: usize,
    to: usize,
}

impl<R: BufRead> Legacy<R> {
    fn new(inner: R) -> Self {
        Legacy { inner, next: None, compressed: Vec::new(), plain: vec![0; BLOCK], from: 0, to: 0 }
    }

    /// Nothing at the frame's end.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.from == self.to && self.next.is_none() {
            let Some(size) = number(&mut self.inner)? else { return Ok(0) };
            if size as usize > COMPRESSED {
                self.next = Some(size);
                return Ok(0);
            }
            self.compressed.resize(size as usize, 0);
            self.inner.read_exact(&mut self.compressed)?;
            self.to = lz4_flex::block::decompress_into(&self.compressed, &mut self.plain).map_err(io::Error::other)?;
            self.from = 0;
        }
        let got = (&self.plain[self.from..self.to]).read(buf)?;
        self.from += got;
        Ok(got)
    }
}
