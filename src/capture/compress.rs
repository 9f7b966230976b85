//! Compressed captures, recognised by content and decompressed as a stream.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::room::Window;

/// A stream of what was compressed, and what its decoder may remember.
pub(super) type Decoder = (Box<dyn Read + Send>, Window);

/// Reads on for a pipe, fewer system calls for a file.
const INPUT: usize = 128 << 10;

/// The compression that `head` shows, if any.
pub(super) fn detect(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        // The second is the legacy frame, as `lz4 -l` writes it.
        [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Some("lz4"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some("bzip2"),
        // A skippable frame (RFC 8878 §3.1.2), as pzstd writes first; lz4 shares the magic but does not begin with it.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some("zstd"),
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
        "gzip" => Ok((Box::new(Gzip { member: Some(GzDecoder::new(inner)) }), window(64))),
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
        "lz4" => Ok((Box::new(Lz4 { frames: lz4_flex::frame::FrameDecoder::new(inner) }), window(16 << 10))),
        #[cfg(feature = "compression")]
        "bzip2" => Ok((Box::new(bzip2::bufread::MultiBzDecoder::new(inner)), window(4 << 10))),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "built without the `compression` feature")),
    }
}

#[cfg(feature = "compression")]
fn too_large(tool: &str) -> io::Error {
    let gib = 1 << (WINDOW_LOG - 30);
    let text = format!("decompressing it takes more than {gib} GiB of memory at once; decompress it with {tool} first");
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}

/// gzip members one behind the other; zeros between or behind them, from tapes and the like, are none.
struct Gzip<R: BufRead> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let got = member.read(buf)?;
            if got > 0 || buf.is_empty() {
                return Ok(got);
            }
            let Some(mut rest) = self.member.take().map(GzDecoder::into_inner) else { break };
            loop {
                let data = rest.fill_buf()?;
                let zeros = data.iter().take_while(|&&b| b == 0).count();
                if data.is_empty() {
                    return Ok(0);
                }
                if zeros < data.len() {
                    rest.consume(zeros);
                    break;
                }
                rest.consume(zeros);
            }
            self.member = Some(GzDecoder::new(rest));
        }
        Ok(0)
    }
}

/// lz4 frames one behind the other: the decoder stops after each.
#[cfg(feature = "compression")]
struct Lz4<R: BufRead> {
    frames: lz4_flex::frame::FrameDecoder<R>,
}

#[cfg(feature = "compression")]
impl<R: BufRead> Read for Lz4<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let got = self.frames.read(buf)?;
            if got > 0 || buf.is_empty() || self.frames.get_mut().fill_buf()?.is_empty() {
                return Ok(got);
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
}

#[cfg(feature = "compression")]
impl<R: BufRead> Xz<R> {
    fn new(inner: R) -> io::Result<Self> {
        const FIRST: u64 = 1 << 20;
        let stream = liblzma::stream::Stream::new_stream_decoder(FIRST, liblzma::stream::CONCATENATED)?;
        Ok(Xz { inner, stream, window: Window::new(FIRST) })
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
        loop {
            let input = self.inner.fill_buf()?;
            let ended = input.is_empty();
            let (taken, made) = (self.stream.total_in(), self.stream.total_out());
            let result = self.stream.process(input, buf, if ended { Action::Finish } else { Action::Run });
            let (taken, made) = (self.stream.total_in() - taken, (self.stream.total_out() - made) as usize);
            self.inner.consume(taken as usize);
            let status = match result {
                Err(Error::MemLimit) => self.allow_more().map(|()| None)?,
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
    /// A frame has begun and not ended.
    within: bool,
}

#[cfg(feature = "compression")]
impl<R: BufRead> Zstd<R> {
    fn new(inner: R) -> io::Result<Self> {
        use zstd::zstd_safe::{DCtx, DParameter};
        let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(zstd_error)?;
        Ok(Zstd { inner, context, window: Window::new(INPUT as u64), within: false })
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
        loop {
            let input = self.inner.fill_buf()?;
            let ended = input.is_empty();
            if buf.is_empty() || (ended && !self.within) {
                return Ok(0);
            }
            let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(&mut *buf));
            let wanted = self.context.decompress_stream(&mut to, &mut from).map_err(zstd_error)?;
            let (taken, made) = (from.pos(), to.pos());
            self.inner.consume(taken);
            self.within = wanted != 0;
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
