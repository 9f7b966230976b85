//! RC4. Own, since the search behind a loss has to copy the keystream's state, which the crate does not let out.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A keystream and the position in it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    /// None for an empty key.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        if key.is_empty() {
            return None;
        }
        let mut state: [u8; 256] = std::array::from_fn(|i| i as u8);
        let mut j = 0u8;
        for (i, k) in (0..=255u8).zip(key.iter().cycle()) {
            j = j.wrapping_add(state[usize::from(i)]).wrapping_add(*k);
            state.swap(usize::from(i), usize::from(j));
        }
        Some(Rc4 { state, i: 0, j: 0 })
    }

    /// Decrypts in place.
    pub(super) fn apply(&mut self, data: &mut [u8]) {
        self.run(data.iter_mut(), |byte, key| *byte ^= key);
    }

    /// Moves the position on.
    pub(super) fn skip(&mut self, bytes: u64) {
        self.run(0..bytes, |_, _| {});
    }

    #[inline(always)]
    fn run<T>(&mut self, items: impl Iterator<Item = T>, mut each: impl FnMut(T, u8)) {
        // Locals: the compiler can keep them in registers, and an index of eight bits needs no check.
        let (mut i, mut j) = (self.i, self.j);
        let state = &mut self.state;
        for item in items {
            i = i.wrapping_add(1);
            let a = state[usize::from(i)];
            j = j.wrapping_add(a);
            let b = state[usize::from(j)];
            state[usize::from(i)] = b;
            state[usize::from(j)] = a;
            each(item, state[usize::from(a.wrapping_add(b))]);
        }
        (self.i, self.j) = (i, j);
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
            assert_eq!(super::super::tests::hex(&out), expected, "key of {} bytes at {offset}", key.len());
        }
    }
}
