//! The secrets of a pcapng file, found before its packets are read.
//!
//! Writers may put a secrets block behind the packets that it opens. A file can be hopped through first, from block to
//! block by their lengths; a pipe, or a file that is compressed, can't.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::limits::Limits;

use super::pcapng::{self, FRAME};

/// Most blocks are packets, which are shorter: reading on is cheaper than seeking.
const INPUT: usize = 64 << 10;

/// What was found ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// All key logs, one behind the other.
    pub(super) keylog: Zeroizing<Vec<u8>>,
    /// Where their blocks begin, in order: they need not be read again.
    pub(super) blocks: Vec<u64>,
}

/// The secrets of the file, up to its first block that is not sound; none if it is no pcapng file.
pub(super) fn secrets(path: &Path, limits: &Limits) -> Ahead {
    let mut ahead = Ahead::default();
    if let Ok(file) = File::open(path) {
        // What can't be read is told by the reader of the packets.
        let _ = hop(BufReader::with_capacity(INPUT, file), limits, &mut ahead);
    }
    ahead
}

fn hop(mut file: BufReader<File>, limits: &Limits, ahead: &mut Ahead) -> io::Result<()> {
    let mut big_endian = None;
    let mut offset = 0;
    loop {
        let mut head = [0; FRAME];
        file.read_exact(&mut head)?;
        // A section says its byte order; whatever comes before the first is no pcapng.
        if let Some(order) = pcapng::section(&head) {
            big_endian = order;
        }
        let Some(big_endian) = big_endian else { return Ok(()) };
        let word = |bytes: [u8; 4]| if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        let [k0, k1, k2, k3, l0, l1, l2, l3, first @ ..] = head;
        let (kind, len) = (word([k0, k1, k2, k3]), word([l0, l1, l2, l3]));
        let size = len as usize;
        if size < FRAME || !size.is_multiple_of(4) || size > limits.record_bytes {
            return Ok(());
        }
        let mut trailer = first;
        if size > FRAME {
            let rest = size - FRAME - 4;
            if pcapng::is_keylog(kind, word(first)) && rest > 0 {
                let mut body = Zeroizing::new(vec![0; rest]);
                file.read_exact(&mut body)?;
                if let Some((len, text)) = body.split_first_chunk() {
                    let text = text.get(..word(*len) as usize).unwrap_or(text);
                    if ahead.keylog.len().saturating_add(text.len()) > limits.secret_bytes {
                        return Ok(());
                    }
                    append(&mut ahead.keylog, text);
                    ahead.blocks.push(offset);
                }
            } else {
                file.seek_relative(i64::try_from(rest).unwrap_or(i64::MAX))?;
            }
            file.read_exact(&mut trailer)?;
        }
        if word(trailer) != len {
            return Ok(());
        }
        offset += u64::from(len);
    }
}

/// Adds a key log and a line end. Where there is no room it moves, and what it leaves behind is wiped.
fn append(all: &mut Zeroizing<Vec<u8>>, text: &[u8]) {
    let len = all.len() + text.len() + 1;
    if len > all.capacity() {
        let mut more = Zeroizing::new(Vec::with_capacity(len.max(2 * all.len())));
        more.extend_from_slice(all);
        *all = more;
    }
    all.extend_from_slice(text);
    all.push(b'\n');
}
