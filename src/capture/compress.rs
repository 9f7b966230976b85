//! Compressed captures, recognised by content and decompressed as a stream.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

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

/// A reader of what `inner` holds compressed as `kind`.
pub(super) fn decoder(kind: &str, inner: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let inner = BufReader::with_capacity(INPUT, inner);
    match kind {
        "gzip" => Ok(Box::new(Gzip { member: Some(GzDecoder::new(inner)) })),
        #[cfg(feature = "compression")]
        "zstd" => Ok(Box::new(zstd::stream::read::Decoder::with_buffer(inner)?)),
        #[cfg(feature = "compression")]
        "xz" => {
            // The dictionary is allocated as the header says; xz -9 needs 64 MiB.
            const MEMORY: u64 = 256 << 20;
            let stream = liblzma::stream::Stream::new_stream_decoder(MEMORY, liblzma::stream::CONCATENATED)?;
            Ok(Box::new(liblzma::bufread::XzDecoder::new_stream(inner, stream)))
        }
        #[cfg(feature = "compression")]
        "lz4" => Ok(Box::new(Lz4 { frames: lz4_flex::frame::FrameDecoder::new(inner) })),
        #[cfg(feature = "compression")]
        "bzip2" => Ok(Box::new(bzip2::bufread::MultiBzDecoder::new(inner))),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "built without the `compression` feature")),
    }
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
