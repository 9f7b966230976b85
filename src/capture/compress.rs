//! Compressed captures, recognised by content and decompressed as a stream.

use std::io::{self, BufRead, BufReader, Read};

use super::buffer::Buffer;
use super::room::Window;

#[cfg(feature = "compression")]
mod lz4;

/// A stream of what was compressed, and what its decoder may remember.
pub(super) type Decoder = (Box<dyn Read + Send>, Window);

/// Reads on for a pipe, fewer system calls for a file.
const INPUT: usize = 128 << 10;

/// What a skippable frame may take that is looked behind.
const SKIPPABLE: usize = 64 << 10;

/// The compression that a stream begins with, if any.
pub(super) fn detect(buffer: &mut Buffer) -> Option<&'static str> {
    let mut at = 0usize;
    // Skippable frames (RFC 8878 §3.1.2), as pzstd writes first, are of zstd and of lz4: what follows them tells.
    while let Some(&[0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d]) = buffer.data().get(at..).and_then(<[u8]>::first_chunk)
    {
        at = at.saturating_add(8).saturating_add(u32::from_le_bytes([a, b, c, d]) as usize);
        if at > SKIPPABLE || !buffer.ensure(at + 8) {
            break;
        }
    }
    let behind = buffer.data().get(at..).unwrap_or_default();
    shown_by(behind).or((at > 0).then_some("zstd"))
}

/// The compression that `head` shows, if any.
pub(super) fn shown_by(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        // The second is the legacy frame, as `lz4 -l` writes it.
        [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Some("lz4"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some("bzip2"),
        _ => None,
    }
}

/// What one decoder may ask to remember. It is taken from the capture's [`super::room`] as it fills.
#[cfg(feature = "compression")]
const WINDOW_LOG: u32 = 30;

/// A reader of what `inner` holds compressed as `kind`, and what it may come to hold.
pub(super) fn decoder(kind: &str, inner: Box<dyn Read + Send>) -> io::Result<Decoder> {
    let inner = BufReader::with_capacity(INPUT, inner);
    // Tables and what else does not depend on the input.
    let window = |kib: u64| Window::new(INPUT as u64 + (kib << 10));
    match kind {
        "gzip" => Ok((Box::new(Members::<_, flate2::Decompress>::new(inner)), window(64))),
        #[cfg(feature = "compression")]
        "zstd" => {
            let zstd = Zstd::new(inner)?;
            let window = zstd.window.clone();
            Ok((Box::new(zstd), window))
        }
        #[cfg(feature = "compression")]
        "xz" => {
            let xz = Xz::new(inner)?;
            let window = xz.window.clone();
            Ok((Box::new(xz), window))
        }
        #[cfg(feature = "compression")]
        "lz4" => Ok((Box::new(lz4::Lz4::new(inner)), Window::new(INPUT as u64 + lz4::MEMORY))),
        #[cfg(feature = "compression")]
        "bzip2" => Ok((Box::new(Members::<_, bzip2::Decompress>::new(inner)), window(4 << 10))),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "built without the `compression` feature")),
    }
}

#[cfg(feature = "compression")]
fn too_large(tool: &str) -> io::Error {
    let gib = 1 << (WINDOW_LOG - 30);
    let text = format!("decompressing it takes more than {gib} GiB of memory at once; decompress it with {tool} first");
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}

/// What decompresses one member of a file, and the next ones after it.
trait Codec {
    const NAME: &str;
    /// Zeros between members or behind them, from tapes and the like, are none.
    const PADDED: bool;

    /// For the next member.
    fn new() -> Self;

    /// Bytes taken and made since [`Codec::new`].
    fn totals(&self) -> (u64, u64);

    /// Takes from `input` and makes; whether the member is over.
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> io::Result<bool>;
}

impl Codec for flate2::Decompress {
    const NAME: &str = "gzip";
    const PADDED: bool = true;

    fn new() -> Self {
        flate2::Decompress::new_gzip(15)
    }

    fn totals(&self) -> (u64, u64) {
        (self.total_in(), self.total_out())
    }

    fn run(&mut self, input: &[u8], out: &mut [u8]) -> io::Result<bool> {
        let status = self.decompress(input, out, flate2::FlushDecompress::None);
        status.map(|status| status == flate2::Status::StreamEnd).map_err(io::Error::other)
    }
}

#[cfg(feature = "compression")]
impl Codec for bzip2::Decompress {
    const NAME: &str = "bzip2";
    const PADDED: bool = false;

    fn new() -> Self {
        bzip2::Decompress::new(false)
    }

    fn totals(&self) -> (u64, u64) {
        (self.total_in(), self.total_out())
    }

    fn run(&mut self, input: &[u8], out: &mut [u8]) -> io::Result<bool> {
        Ok(self.decompress(input, out)? == bzip2::Status::StreamEnd)
    }
}

/// Members one behind the other.
struct Members<R: BufRead, C: Codec> {
    inner: R,
    codec: C,
    /// A member has begun and not ended.
    within: bool,
    /// What went wrong behind the bytes handed out last.
    failed: Option<io::Error>,
}

impl<R: BufRead, C: Codec> Members<R, C> {
    fn new(inner: R) -> Self {
        Members { inner, codec: C::new(), within: false, failed: None }
    }
}

impl<R: BufRead, C: Codec> Read for Members<R, C> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(e) = self.failed.take() {
            return Err(e);
        }
        loop {
            let input = self.inner.fill_buf()?;
            let ended = input.is_empty();
            if buf.is_empty() || (ended && !self.within) {
                return Ok(0);
            }
            if C::PADDED && !self.within && input.first() == Some(&0) {
                let zeros = input.iter().take_while(|&&b| b == 0).count();
                self.inner.consume(zeros);
                continue;
            }
            let before = self.codec.totals();
            let result = self.codec.run(input, buf);
            let after = self.codec.totals();
            let (taken, made) = ((after.0 - before.0) as usize, (after.1 - before.1) as usize);
            self.inner.consume(taken);
            self.within = true;
            match result {
                // What came out before the damage comes first.
                Err(e) if made > 0 => self.failed = Some(e),
                Err(e) => return Err(e),
                Ok(true) => {
                    self.codec = C::new();
                    self.within = false;
                }
                Ok(false) if made > 0 => {}
                Ok(false) if ended => {
                    let text = format!("the {} stream is cut off", C::NAME);
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
                }
                Ok(false) if taken == 0 => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, format!("corrupt {} stream", C::NAME)));
                }
                Ok(false) => {}
            }
            if made > 0 {
                return Ok(made);
            }
        }
    }
}

/// xz streams one behind the other.
#[cfg(feature = "compression")]
struct Xz<R: BufRead> {
    inner: R,
    stream: liblzma::stream::Stream,
    window: Window,
    /// What went wrong behind the bytes handed out last.
    failed: Option<io::Error>,
}

#[cfg(feature = "compression")]
impl<R: BufRead> Xz<R> {
    fn new(inner: R) -> io::Result<Self> {
        const FIRST: u64 = 1 << 20;
        let stream = liblzma::stream::Stream::new_stream_decoder(FIRST, liblzma::stream::CONCATENATED)?;
        Ok(Xz { inner, stream, window: Window::new(FIRST), failed: None })
    }

    /// Allows what the next block asks for, which the library does not tell: it refuses what is less.
    fn allow_more(&mut self) -> io::Result<()> {
        let mut limit = self.stream.memlimit();
        loop {
            limit += limit / 8;
            // Tables beside the dictionary.
            if limit > (1 << WINDOW_LOG) + (1 << (WINDOW_LOG - 3)) {
                return Err(too_large("xz"));
            }
            if self.stream.set_memlimit(limit).is_ok() {
                self.window.set(limit);
                return Ok(());
            }
        }
    }
}

#[cfg(feature = "compression")]
impl<R: BufRead> Read for Xz<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        use liblzma::stream::{Action, Error, Status};
        if let Some(e) = self.failed.take() {
            return Err(e);
        }
        loop {
            let input = self.inner.fill_buf()?;
            let ended = input.is_empty();
            let (taken, made) = (self.stream.total_in(), self.stream.total_out());
            let result = self.stream.process(input, buf, if ended { Action::Finish } else { Action::Run });
            let (taken, made) = (self.stream.total_in() - taken, (self.stream.total_out() - made) as usize);
            self.inner.consume(taken as usize);
            let status = match result {
                Err(Error::MemLimit) => self.allow_more().map(|()| None)?,
                Err(e) if made > 0 => {
                    self.failed = Some(e.into());
                    return Ok(made);
                }
                other => Some(other?),
            };
            match status {
                _ if made > 0 || buf.is_empty() => return Ok(made),
                Some(Status::StreamEnd) => return Ok(0),
                Some(_) if ended => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the xz stream is cut off"));
                }
                Some(_) if taken == 0 => return Err(io::Error::new(io::ErrorKind::InvalidData, "corrupt xz stream")),
                _ => {}
            }
        }
    }
}

/// zstd frames one behind the other.
#[cfg(feature = "compression")]
struct Zstd<R: BufRead> {
    inner: R,
    context: zstd::zstd_safe::DCtx<'static>,
    window: Window,
    /// How much the decoder wants at once: at most a block, as damage costs all that it makes of what it was given; 0 between
    /// frames.
    wanted: usize,
}

#[cfg(feature = "compression")]
impl<R: BufRead> Zstd<R> {
    fn new(inner: R) -> io::Result<Self> {
        use zstd::zstd_safe::{DCtx, DParameter};
        let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(zstd_error)?;
        Ok(Zstd { inner, context, window: Window::new(INPUT as u64), wanted: 0 })
    }
}

#[cfg(feature = "compression")]
fn zstd_error(code: usize) -> io::Error {
    use zstd::zstd_safe::{get_error_name, is_error_kind, zstd_sys::ZSTD_ErrorCode};
    match is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge) {
        true => too_large("zstd --long=31"),
        false => io::Error::other(get_error_name(code)),
    }
}

#[cfg(feature = "compression")]
impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        use zstd::zstd_safe::{InBuffer, OutBuffer};
        /// The longest header of a frame.
        const HEADER: usize = 18;
        loop {
            let input = self.inner.fill_buf()?;
            let ended = input.is_empty();
            if buf.is_empty() || (ended && self.wanted == 0) {
                return Ok(0);
            }
            let most = if self.wanted == 0 { HEADER } else { self.wanted };
            let input = input.get(..most).unwrap_or(input);
            let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(&mut *buf));
            self.wanted = self.context.decompress_stream(&mut to, &mut from).map_err(zstd_error)?;
            let (taken, made) = (from.pos(), to.pos());
            self.inner.consume(taken);
            self.window.set(INPUT as u64 + self.context.sizeof() as u64);
            if made > 0 {
                return Ok(made);
            }
            if ended {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the zstd frame is cut off"));
            }
        }
    }
}
