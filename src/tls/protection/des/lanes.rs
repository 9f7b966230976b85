//! Sixty-four blocks a word, `N` words abreast: what the compiler turns into vector instructions.

use std::ops::{BitAnd, BitOr, BitXor, Not};

/// One bit of `64 * N` blocks.
#[derive(Copy, Clone)]
pub(super) struct Lanes<const N: usize>(pub(super) [u64; N]);

impl<const N: usize> Lanes<N> {
    pub(super) const ZERO: Self = Lanes([0; N]);

    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        let mut out = self;
        for i in 0..N {
            out.0[i] = f(self.0[i], other.0[i]);
        }
        out
    }

    /// `self` where `other` is not.
    #[inline(always)]
    pub(super) fn and_not(self, other: Self) -> Self {
        self.with(other, |a, b| a & !b)
    }

    /// The same bit for every block.
    #[inline(always)]
    pub(super) fn all(bit: bool) -> Self {
        Lanes([if bit { u64::MAX } else { 0 }; N])
    }
}

impl<const N: usize> BitAnd for Lanes<N> {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        self.with(other, |a, b| a & b)
    }
}

impl<const N: usize> BitOr for Lanes<N> {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        self.with(other, |a, b| a | b)
    }
}

impl<const N: usize> BitXor for Lanes<N> {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        self.with(other, |a, b| a ^ b)
    }
}

impl<const N: usize> Not for Lanes<N> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        self.with(self, |a, _| !a)
    }
}

/// Bit `i` of word `j` becomes bit `j` of word `i`.
pub(super) fn transpose(words: &mut [u64; 64]) {
    let mut mask = 0x0000_0000_ffff_ffff_u64;
    let mut step = 32;
    while step > 0 {
        let mut i = 0;
        while i < 64 {
            let swapped = (words[i] >> step ^ words[i + step]) & mask;
            words[i] ^= swapped << step;
            words[i + step] ^= swapped;
            i = (i + step + 1) & !step;
        }
        step >>= 1;
        mask ^= mask << step;
    }
}
