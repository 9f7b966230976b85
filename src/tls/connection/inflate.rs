//! TLS compression: one zlib stream a direction and epoch, flushed at each record's end (RFC 3749).

use flate2::{Decompress, FlushDecompress, Status};

/// The most that a record may expand to: a plaintext fragment is at most 2^14 bytes (RFC 5246 section 6.2.1).
const MAX_PLAINTEXT: usize = 1 << 14;

/// One direction's decompressor.
pub(super) struct Inflater {
    state: Decompress,
    out: Vec<u8>,
}

impl Inflater {
    pub(super) fn new() -> Self {
        Inflater { state: Decompress::new(true), out: Vec::new() }
    }

    /// Memory that it takes, about: a window of 32 KiB and tables.
    pub(super) fn cost(&self) -> usize {
        (48 << 10) + self.out.capacity()
    }

    /// A record's content decompressed; none when it is broken or expands beyond its bound.
    pub(super) fn inflate(&mut self, bytes: &[u8], ratio: u64) -> Option<&[u8]> {
        let bound = MAX_PLAINTEXT.min(usize::try_from(ratio.saturating_mul(bytes.len() as u64)).unwrap_or(usize::MAX));
        self.out.clear();
        // One byte more than allowed, to see the excess.
        self.out.reserve(bound + 1);
        let mut input = bytes;
        loop {
            let (read, written) = (self.state.total_in(), self.out.len());
            let status = self.state.decompress_vec(input, &mut self.out, FlushDecompress::Sync).ok()?;
            let used = usize::try_from(self.state.total_in() - read).ok()?;
            input = input.get(used..)?;
            if self.out.len() > bound {
                return None;
            }
            match status {
                Status::StreamEnd => break,
                _ if used == 0 && self.out.len() == written => break,
                _ if input.is_empty() && self.out.len() < self.out.capacity() => break,
                _ => {}
            }
        }
        input.is_empty().then_some(&self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    fn deflate(state: &mut Compress, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 100);
        state.compress_vec(bytes, &mut out, FlushCompress::Sync).unwrap();
        out
    }

    #[test]
    fn state_goes_on_over_records() {
        let mut state = Compress::new(Compression::default(), true);
        let mut inflater = Inflater::new();
        let text = b"the same words again and again, the same words";
        let (first, second) = (deflate(&mut state, text), deflate(&mut state, text));
        assert!(second.len() < first.len());
        assert_eq!(inflater.inflate(&first, 1100), Some(&text[..]));
        assert_eq!(inflater.inflate(&second, 1100), Some(&text[..]));
        // An empty record.
        let empty = deflate(&mut state, b"");
        assert_eq!(inflater.inflate(&empty, 1100), Some(&b""[..]));
    }

    #[test]
    fn full_records_pass_and_more_does_not() {
        let mut state = Compress::new(Compression::default(), true);
        let full = deflate(&mut state, &vec![b'a'; MAX_PLAINTEXT]);
        let mut inflater = Inflater::new();
        assert_eq!(inflater.inflate(&full, 1100).map(<[u8]>::len), Some(MAX_PLAINTEXT));
        let bomb = deflate(&mut state, &vec![b'a'; MAX_PLAINTEXT + 1]);
        assert_eq!(inflater.inflate(&bomb, 1100), None);
        assert_eq!(Inflater::new().inflate(b"no zlib", 1100), None);
    }
}
