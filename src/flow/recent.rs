//! What was delivered lately, as hashes: enough to notice that a retransmission says something else.
//!
//! Keeping the bytes would cost kilobytes for each connection; a hash of each of the last segments costs 24 bytes. A
//! copy is checked against every remembered segment that lies whole within it, so copies with the same or wider bounds
//! are judged; copies that are pieces of one delivered segment are not.

use twox_hash::XxHash3_64;

/// Segments remembered.
const KEPT: usize = 8;

#[derive(Copy, Clone, Debug, Default)]
struct Entry {
    offset: u64,
    len: u32,
    hash: u64,
}

#[derive(Debug, Default)]
pub(super) struct Recent {
    entries: [Entry; KEPT],
    newest: usize,
}

impl Recent {
    /// Remembers delivered bytes.
    pub(super) fn push(&mut self, offset: u64, bytes: &[u8]) {
        let Ok(len) = u32::try_from(bytes.len()) else { return };
        self.newest = (self.newest + 1) % KEPT;
        if let Some(entry) = self.entries.get_mut(self.newest) {
            *entry = Entry { offset, len, hash: hash(bytes) };
        }
    }

    /// Whether the same bytes were delivered, wherever.
    pub(super) fn has(&self, bytes: &[u8]) -> bool {
        let alike = |entry: &&Entry| entry.len as usize == bytes.len();
        self.entries.iter().filter(alike).any(|entry| entry.hash == hash(bytes))
    }

    /// Whether `bytes` at `offset` differ from what was delivered there.
    pub(super) fn conflicts(&self, offset: u64, bytes: &[u8]) -> bool {
        self.entries.iter().filter(|entry| entry.len > 0).any(|entry| {
            let copy = entry.offset.checked_sub(offset).and_then(|skip| {
                let skip = usize::try_from(skip).ok()?;
                bytes.get(skip..skip.checked_add(entry.len as usize)?)
            });
            copy.is_some_and(|copy| hash(copy) != entry.hash)
        })
    }
}

/// Not cryptographic: it notices differences, it does not withstand someone who computes collisions.
fn hash(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_wider_and_different() {
        let mut recent = Recent::default();
        recent.push(100, b"hello ");
        recent.push(106, b"world");
        assert!(!recent.conflicts(100, b"hello world"));
        assert!(!recent.conflicts(106, b"world"));
        assert!(recent.conflicts(106, b"wOrld"));
        assert!(recent.conflicts(98, b"xxhello!world"));
        assert!(!recent.conflicts(107, b"??"), "a part of a segment cannot be judged");
        assert!(!recent.conflicts(200, b"world"));
        assert!(recent.has(b"world") && !recent.has(b"wOrld") && !recent.has(b"worl"));
    }

    #[test]
    fn every_byte_counts() {
        let bytes: Vec<u8> = (0..253).collect();
        for i in 0..bytes.len() {
            let mut other = bytes.clone();
            if let Some(byte) = other.get_mut(i) {
                *byte ^= 1;
            }
            assert_ne!(hash(&bytes), hash(&other), "byte {i}");
            assert_ne!(hash(&bytes), hash(&bytes[..i]), "{i} bytes");
        }
    }
}
