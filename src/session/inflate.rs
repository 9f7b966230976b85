//! One direction of a deflated stream (IMAP COMPRESS=DEFLATE, RFC 4978), bounded in what it may become.

use flate2::{Decompress, FlushDecompress, Status};

/// Why a compressed direction ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum InflateError {
    /// More came out than the bound allows.
    Expansion,
    /// The data is no deflate stream.
    Corrupt,
}

/// Below this many bytes out the ratio is not judged: a short greeting may compress well.
const FREE_BYTES: u64 = 1 << 20;

/// Made with its first byte: half of those who ask for compression say nothing more.
#[derive(Default)]
pub(super) struct Inflate {
    state: Option<Decompress>,
    ended: bool,
}

impl Inflate {
    /// Memory that one takes, about: a window of 32 KiB and tables.
    pub(super) const COST: usize = 48 << 10;

    pub(super) fn new() -> Self {
        Inflate::default()
    }

    /// Inflates `input`, giving each piece to `each`, which says whether there may be more. `ratio` bounds bytes out for each byte in.
    pub(super) fn push(
        &mut self,
        mut input: &[u8],
        ratio: u64,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), InflateError> {
        if input.is_empty() {
            return Ok(());
        }
        let state = self.state.get_or_insert_with(|| Decompress::new(false));
        let mut buffer = [0; 16 << 10];
        // Bytes behind the stream's end belong to nobody.
        while !self.ended {
            let (before_in, before_out) = (state.total_in(), state.total_out());
            let status = state.decompress(input, &mut buffer, FlushDecompress::Sync);
            let used = usize::try_from(state.total_in() - before_in).unwrap_or(input.len());
            let made = usize::try_from(state.total_out() - before_out).unwrap_or(0);
            input = input.get(used..).unwrap_or_default();
            if state.total_out() > FREE_BYTES.saturating_add(state.total_in().saturating_mul(ratio)) {
                return Err(InflateError::Expansion);
            }
            // What came out before the error, too: how the stream was cut must not matter.
            if made > 0 && !each(&buffer[..made]) {
                return Err(InflateError::Expansion);
            }
            self.ended = status.map_err(|_| InflateError::Corrupt)? == Status::StreamEnd;
            if made < buffer.len() && (input.is_empty() || used == 0) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    fn deflate(data: &[u8]) -> Vec<u8> {
        let mut state = Compress::new(Compression::best(), false);
        let mut out = Vec::with_capacity(data.len() + 1024);
        state.compress_vec(data, &mut out, FlushCompress::Sync).unwrap();
        out
    }

    #[test]
    fn any_split_inflates_to_the_same() {
        let text: Vec<u8> = (0..40_000u32).flat_map(|n| format!("{n} ").into_bytes()).collect();
        let packed = deflate(&text);
        for size in [1, 7, 1000, packed.len()] {
            let (mut inflate, mut got) = (Inflate::new(), Vec::new());
            for piece in packed.chunks(size) {
                inflate
                    .push(piece, 1100, |b| {
                        got.extend_from_slice(b);
                        true
                    })
                    .unwrap();
            }
            assert_eq!(got, text);
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_ratio() {
        let packed = deflate(&vec![0; 8 << 20]);
        let (mut inflate, mut got) = (Inflate::new(), 0u64);
        let result = inflate.push(&packed, 100, |b| {
            got += b.len() as u64;
            true
        });
        assert_eq!(result, Err(InflateError::Expansion));
        assert!(got <= FREE_BYTES + 100 * packed.len() as u64 + (16 << 10));
    }

    /// Found by fuzzing: in one piece, what stood before the error was lost.
    #[test]
    fn what_stands_before_an_error_comes_out_in_any_split() {
        let text: Vec<u8> = (0..2000u32).flat_map(|n| format!("{n} ").into_bytes()).collect();
        let mut packed = deflate(&text);
        // A block of a type that there is not.
        packed.extend([0b111, 0xff, 0xff]);
        for size in [1, 7, 1000, packed.len()] {
            let (mut inflate, mut got) = (Inflate::new(), Vec::new());
            let ends: Vec<_> = packed
                .chunks(size)
                .map(|piece| {
                    inflate.push(piece, 1100, |b| {
                        got.extend_from_slice(b);
                        true
                    })
                })
                .collect();
            assert!(ends.contains(&Err(InflateError::Corrupt)), "{size}");
            assert_eq!(got.len(), text.len(), "{size}");
        }
    }

    #[test]
    fn garbage_is_told() {
        let mut inflate = Inflate::new();
        assert_eq!(inflate.push(&[0xff; 64], 1100, |_| true), Err(InflateError::Corrupt));
    }
}
