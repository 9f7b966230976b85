//! RC4: the `rc4` crate's keystream, shared by all clones of one direction's state.
//!
//! The crate's state can't be copied, but the search behind a loss tries many positions. So clones share one generator
//! and each has its own position. Whoever is alone runs the cipher over the data directly; as long as there are clones,
//! the stretch of keystream that they may still ask for is kept.

use std::sync::{Arc, Mutex, PoisonError};

use rc4::{KeyInit, StreamCipher};
use zeroize::Zeroizing;

/// Keystream that is kept for clones at most: more than a search over every number of records can ask for.
const WINDOW: usize = 1 << 20;

/// A keystream and the position in it.
#[derive(Clone)]
pub(super) struct Rc4 {
    shared: Arc<Mutex<Generator>>,
    at: u64,
}

/// The cipher, and what it has put out that may be needed again.
struct Generator {
    key: Zeroizing<Vec<u8>>,
    cipher: rc4::Rc4,
    /// Bytes put out.
    produced: u64,
    /// The last of them.
    window: Zeroizing<Vec<u8>>,
}

impl Rc4 {
    /// None for an empty key.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        let generator = Generator {
            key: Zeroizing::new(key.to_vec()),
            cipher: rc4::Rc4::new_from_slice(key).ok()?,
            produced: 0,
            window: Zeroizing::default(),
        };
        Some(Rc4 { shared: Arc::new(Mutex::new(generator)), at: 0 })
    }

    /// Decrypts in place.
    pub(super) fn apply(&mut self, data: &mut [u8]) {
        let at = self.at;
        self.at = at.wrapping_add(data.len() as u64);
        match Arc::get_mut(&mut self.shared) {
            Some(own) => own.get_mut().unwrap_or_else(PoisonError::into_inner).apply_alone(at, data),
            None => self.shared.lock().unwrap_or_else(PoisonError::into_inner).apply_shared(at, data),
        }
    }

    /// Moves the position on.
    pub(super) fn skip(&mut self, bytes: u64) {
        self.at = self.at.wrapping_add(bytes);
    }
}

impl Generator {
    fn apply_alone(&mut self, at: u64, data: &mut [u8]) {
        self.reach(at, 0);
        let mut rest = data;
        if at < self.produced {
            let len = rest.len().min(usize::try_from(self.produced - at).unwrap_or(usize::MAX));
            let (known, new) = rest.split_at_mut(len);
            self.xor(at, known);
            rest = new;
        } else if !self.window.is_empty() {
            self.window = Zeroizing::default();
        }
        self.cipher.apply_keystream(rest);
        self.produced += rest.len() as u64;
        if !rest.is_empty() {
            self.window = Zeroizing::default();
        }
    }

    fn apply_shared(&mut self, at: u64, data: &mut [u8]) {
        self.reach(at, WINDOW);
        let end = at.saturating_add(data.len() as u64);
        self.extend(end.saturating_sub(self.produced));
        self.xor(at, data);
        if self.window.len() > 2 * WINDOW {
            let old = self.window.len() - WINDOW;
            self.window.drain(..old);
        }
    }

    fn start(&self) -> u64 {
        self.produced - self.window.len() as u64
    }

    /// Gets to where the keystream at `at` is known or comes next. What is passed over is kept up to `keep` bytes.
    fn reach(&mut self, at: u64, keep: usize) {
        if at < self.start() {
            let Ok(cipher) = rc4::Rc4::new_from_slice(&self.key) else { return };
            (self.cipher, self.produced, self.window) = (cipher, 0, Zeroizing::default());
        }
        let Some(ahead) = at.checked_sub(self.produced).filter(|n| *n > 0) else { return };
        if ahead.saturating_add(self.window.len() as u64) <= keep as u64 {
            return self.extend(ahead);
        }
        self.window = Zeroizing::default();
        let mut buffer = Zeroizing::new([0; 4096]);
        let mut left = ahead;
        while left > 0 {
            let len = left.min(buffer.len() as u64);
            self.cipher.write_keystream(&mut buffer[..len as usize]);
            left -= len;
        }
        self.produced = at;
    }

    /// Puts so many bytes of keystream into the window.
    fn extend(&mut self, bytes: u64) {
        let old = self.window.len();
        self.window.resize(old + bytes as usize, 0);
        self.cipher.write_keystream(&mut self.window[old..]);
        self.produced += bytes;
    }

    /// Applies the window from `at` on.
    fn xor(&self, at: u64, data: &mut [u8]) {
        let from = usize::try_from(at - self.start()).unwrap_or(usize::MAX);
        let keystream = self.window.get(from..).unwrap_or_default();
        data.iter_mut().zip(keystream).for_each(|(byte, key)| *byte ^= key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6229 section 2: offset and sixteen bytes of keystream.
    #[test]
    fn rfc_6229() {
        let long: Vec<u8> = (1..=16).collect();
        let cases: [(&[u8], usize, &str); 6] = [
            (&long[..5], 0, "b2396305f03dc027ccc3524a0a1118a8"),
            (&long[..5], 4096, "ff25b58995996707e51fbdf08b34d875"),
            (&long[..7], 0, "293f02d47f37c9b633f2af5285feb46b"),
            (&long[..], 0, "9ac7cc9a609d1ef7b2932899cde41b97"),
            (&long[..], 240, "065902e4b620f6cc36c8589f66432f2b"),
            (&long[..], 4096, "a36a4c301ae8ac13610ccbc12256cacc"),
        ];
        for (key, offset, expected) in cases {
            let mut rc4 = Rc4::new(key).unwrap();
            rc4.skip(offset as u64);
            let mut out = [0; 16];
            rc4.apply(&mut out);
            assert_eq!(crate::fmt::hex(&out), expected, "key of {} bytes at {offset}", key.len());
        }
    }

    fn keystream(rc4: &mut Rc4, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        rc4.apply(&mut out);
        out
    }

    /// Clones before, behind and far ahead of each other see the keystream that one alone sees.
    #[test]
    fn clones_share_a_keystream() {
        let whole = keystream(&mut Rc4::new(b"mailcap").unwrap(), 5 << 20);
        let mut base = Rc4::new(b"mailcap").unwrap();
        assert_eq!(keystream(&mut base, 1000), whole[..1000]);
        for skip in [0, 5, 1, 70_000, 69_995, 3 << 20, (3 << 20) + 5, 4 << 20, 2] {
            let mut trial = base.clone();
            trial.skip(skip as u64);
            for at in [1000 + skip, 1100 + skip] {
                assert_eq!(keystream(&mut trial, 100), whole[at..at + 100], "{skip} bytes on");
            }
        }
        let mut found = base.clone();
        found.skip(40);
        drop(base);
        assert_eq!(keystream(&mut found, 100), whole[1040..1140], "a part of it known, a part new");
        assert_eq!(keystream(&mut found, 10_000), whole[1140..11_140]);
        let generator = found.shared.lock().unwrap();
        assert!(generator.window.capacity() == 0, "alone, nothing is kept");
    }

    /// However long a clone lives, what is kept is bounded.
    #[test]
    fn the_window_is_bounded() {
        let mut rc4 = Rc4::new(b"mailcap").unwrap();
        let _clone = rc4.clone();
        for _ in 0..400 {
            keystream(&mut rc4, 1 << 14);
        }
        let generator = rc4.shared.lock().unwrap();
        assert!((1..=2 * WINDOW).contains(&generator.window.len()));
    }
}
