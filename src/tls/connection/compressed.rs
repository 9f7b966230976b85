//! Certificate messages that were sent compressed (RFC 8879).

use flate2::{Decompress, FlushDecompress, Status};

use crate::tls::handshake::Reader;

/// The Certificate message's body, at most `bound` bytes of it; else how it was compressed.
pub(super) fn certificate(body: &[u8], bound: usize) -> Result<Vec<u8>, String> {
    let mut r = Reader(body);
    let (Some(algorithm), Some(len), Some(bytes)) = (r.u16(), r.u24(), r.vec24()) else {
        return Err("cut".to_owned());
    };
    let inflated = match algorithm {
        _ if len > bound => None,
        1 => zlib(bytes, len),
        3 => zstd(bytes, len),
        _ => None,
    };
    inflated.filter(|message| message.len() == len).ok_or_else(|| match algorithm {
        1 => "zlib".to_owned(),
        2 => "brotli".to_owned(),
        3 => "zstd".to_owned(),
        other => format!("algorithm {other}"),
    })
}

fn zlib(bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    // It never grows, and one byte more shows what is too long.
    let mut out = Vec::with_capacity(len + 1);
    let status = Decompress::new(true).decompress_vec(bytes, &mut out, FlushDecompress::Finish).ok()?;
    (status == Status::StreamEnd).then_some(out)
}

#[cfg(feature = "compression")]
fn zstd(bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    ::zstd::bulk::decompress(bytes, len).ok()
}

#[cfg(not(feature = "compression"))]
fn zstd(_: &[u8], _: usize) -> Option<Vec<u8>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const BOUND: usize = 1000;

    fn message(algorithm: u16, len: usize, bytes: &[u8]) -> Vec<u8> {
        let u24 = |n: usize| (n as u32).to_be_bytes()[1..].to_vec();
        [algorithm.to_be_bytes().to_vec(), u24(len), u24(bytes.len()), bytes.to_vec()].concat()
    }

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn what_was_announced_comes_out() {
        let text = vec![b'a'; BOUND];
        let zlib = deflated(&text);
        assert_eq!(certificate(&message(1, BOUND, &zlib), BOUND), Ok(text.clone()));
        for wrong in [BOUND - 1, 1, 0] {
            assert_eq!(certificate(&message(1, wrong, &zlib), BOUND), Err("zlib".to_owned()));
        }
        assert_eq!(
            certificate(&message(1, BOUND + 1, &deflated(&vec![b'a'; BOUND])), BOUND + 1),
            Err("zlib".to_owned())
        );
        assert_eq!(certificate(&message(1, BOUND, &zlib), BOUND - 1), Err("zlib".to_owned()), "beyond the bound");
        assert_eq!(certificate(&message(1, 0xff_ffff, &zlib), BOUND), Err("zlib".to_owned()));
        assert_eq!(certificate(&message(1, BOUND, b"no zlib"), BOUND), Err("zlib".to_owned()));
        assert_eq!(certificate(&message(2, BOUND, &zlib), BOUND), Err("brotli".to_owned()));
        assert_eq!(certificate(&message(7, BOUND, &zlib), BOUND), Err("algorithm 7".to_owned()));
        let whole = message(1, BOUND, &zlib);
        for end in 0..whole.len() {
            assert!(certificate(&whole[..end], BOUND).is_err());
        }
    }

    #[cfg(feature = "compression")]
    #[test]
    fn zstd_too() {
        let text = vec![b'a'; BOUND];
        let bytes = ::zstd::bulk::compress(&text, 1).unwrap();
        assert_eq!(certificate(&message(3, BOUND, &bytes), BOUND), Ok(text));
        for wrong in [BOUND - 1, BOUND + 1] {
            assert_eq!(certificate(&message(3, wrong, &bytes), 2 * BOUND), Err("zstd".to_owned()));
        }
    }
}
