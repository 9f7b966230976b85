//! Eight RSA private-key operations at once, each in a lane of its own of AVX-512's 52-bit multiply-and-add (IFMA).
//!
//! The sessions of an archive come by the hundred and share the server's key. So all lanes run through the same exponents,
//! and as nobody is there to watch the time, the windows slide and a power is looked up by its place. For keys of up to 2,048
//! bits with two primes of the same length: m = c^d mod n by the Chinese remainder theorem (RFC 8017 section 5.1.2).
//!
//! Numbers have limbs of 52 bits, the least first. Products are Montgomery's: `multiply(a, b)` is a·b·R⁻¹ mod m with R =
//! 2^1040. With R over 2^16 times the modulus, factors may be several times the modulus without a final subtraction: the
//! result is below 2m wherever a·b ≤ R·m.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_blend_epi64,
    _mm512_movepi64_mask, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_srai_epi64, _mm512_srli_epi64,
    _mm512_sub_epi64,
};
use std::hint::black_box;

use fearless_simd::{Avx512, Level, SimdInto, kernel, u64x8};
use rsa::BoxedUint;
use rsa::traits::PrivateKeyParts;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Operations at once.
const LANES: usize = super::TOGETHER;

/// Longest modulus, and the length of all numbers, bytes.
pub(super) const SIZE: usize = 256;

/// Limbs of numbers below R.
const LIMBS: usize = 20;

const LIMB_BITS: u32 = 52;
const MASK: u64 = (1 << LIMB_BITS) - 1;
const R_BITS: u32 = LIMB_BITS * LIMBS as u32;

/// Powers of the base that are made beforehand: the odd ones below 2^5.
const WINDOW: u32 = 5;
const POWERS: usize = 1 << (WINDOW - 1);

type Limbs = [u64; LIMBS];

/// A number a lane.
type Numbers = [__m512i; LIMBS];

/// The limbs of a product, with room for what a loop writes beyond them.
type Columns = [__m512i; 2 * LIMBS + 2];

/// What the operation takes of a private key, with the processor's word that it can do it.
pub(super) struct Lanes {
    simd: Avx512,
    p: Prime,
    q: Prime,
    /// q⁻¹·R mod p.
    coefficient: Zeroizing<Limbs>,
}

/// One of the primes and the exponent that goes with it.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Prime {
    modulus: Limbs,
    /// −m⁻¹ mod 2^52.
    inverse: u64,
    /// R² and R³ mod m.
    squared: Limbs,
    cubed: Limbs,
    /// The exponent's windows, the highest first: squarings, and the odd power to multiply with behind them, 0 for none.
    windows: Vec<(u16, u8)>,
}

/// A prime as the kernels take it.
struct Modulus {
    limbs: Numbers,
    inverse: __m512i,
}

impl Lanes {
    /// None where the processor can't do it, or for other keys.
    pub(super) fn new(key: &rsa::PrivateKey) -> Option<Self> {
        let simd = Level::new().as_avx512()?;
        let [p, q] = key.primes() else { return None };
        let coefficient = Zeroizing::new(Zeroizing::new(key.qinv()?.retrieve()).to_be_bytes());
        if p.bit_width() != q.bit_width() || p.bit_width() > SIZE as u32 * 4 {
            return None;
        }
        let coefficient = Zeroizing::new(limbs(&residue(&coefficient, R_BITS, p.as_ref())?));
        Some(Lanes { simd, p: Prime::new(p.as_ref(), key.dp()?)?, q: Prime::new(q.as_ref(), key.dq()?)?, coefficient })
    }

    /// m = c^d mod n for each ciphertext, which has to be below n; big-endian.
    pub(super) fn decrypt(&self, ciphertexts: &[[u8; SIZE]; LANES]) -> Zeroizing<[[u8; SIZE]; LANES]> {
        let simd = self.simd;
        let mut digits = [[0; LANES]; 2 * LIMBS];
        for (lane, ciphertext) in ciphertexts.iter().enumerate() {
            let limbs: [u64; 2 * LIMBS] = limbs(ciphertext);
            digits.iter_mut().zip(limbs).for_each(|(digit, limb)| digit[lane] = limb);
        }
        let vectors = digits.map(|digit| vector(simd, digit));
        let low: Numbers = std::array::from_fn(|i| vectors[i]);
        let high: Numbers = std::array::from_fn(|i| vectors[LIMBS + i]);
        let of_p = Zeroizing::new(self.p.power(simd, &low, &high));
        let of_q = Zeroizing::new(self.q.power(simd, &low, &high));
        // m = mq + q·((mp − mq)·q⁻¹ mod p); q is below 2p.
        let p = self.p.kernel(simd);
        let (difference, _) = subtract(simd, &add(simd, &of_p, &add(simd, &p.limbs, &p.limbs)), &of_q);
        let h = multiply(simd, &difference, &splat(simd, &self.coefficient), &p);
        let h = reduce_once(simd, &h, &p.limbs);
        let product = Zeroizing::new(multiply_add(simd, &h, &splat(simd, &self.q.modulus), &of_q));
        let digits = Zeroizing::new(product.map(|limb| lanes(simd, limb)));
        let mut out = Zeroizing::new([[0; SIZE]; LANES]);
        for (lane, out) in out.iter_mut().enumerate() {
            write_bytes(digits.iter().map(|digit| digit[lane]), out);
        }
        out
    }
}

impl Prime {
    fn new(prime: &BoxedUint, exponent: &BoxedUint) -> Option<Self> {
        let modulus: Limbs = limbs(&Zeroizing::new(prime.to_be_bytes()));
        // Newton's iteration doubles the bits that are right; of an odd number, m is its own inverse in the lowest three.
        let inverse = (0..5)
            .fold(modulus[0], |inverse, _| inverse.wrapping_mul(2u64.wrapping_sub(modulus[0].wrapping_mul(inverse))));
        Some(Prime {
            modulus,
            inverse: inverse.wrapping_neg() & MASK,
            squared: limbs(&residue(&[1], 2 * R_BITS, prime)?),
            cubed: limbs(&residue(&[1], 3 * R_BITS, prime)?),
            windows: windows(&Zeroizing::new(exponent.to_be_bytes())),
        })
    }

    fn kernel(&self, simd: Avx512) -> Modulus {
        Modulus { limbs: splat(simd, &self.modulus), inverse: vector(simd, [self.inverse; LANES]) }
    }

    /// (low + high·R)^exponent, at most m.
    fn power(&self, simd: Avx512, low: &Numbers, high: &Numbers) -> Numbers {
        let m = self.kernel(simd);
        let low = multiply(simd, low, &splat(simd, &self.squared), &m);
        let high = multiply(simd, high, &splat(simd, &self.cubed), &m);
        let base = add(simd, &low, &high);
        let mut columns: Columns = [base[0]; _];
        let mut double = base;
        square(simd, &mut double, &m, &mut columns);
        let mut powers = Zeroizing::new([base; POWERS]);
        for i in 1..POWERS {
            powers[i] = multiply(simd, &powers[i - 1], &double, &m);
        }
        let mut windows = self.windows.iter();
        let first = windows.next().map_or(0, |&(_, odd)| usize::from(odd) / 2);
        let mut sum = powers[first];
        for &(squarings, odd) in windows {
            for _ in 0..squarings {
                square(simd, &mut sum, &m, &mut columns);
            }
            if odd > 0 {
                sum = multiply(simd, &sum, &powers[usize::from(odd) / 2], &m);
            }
        }
        let mut one = [0; LIMBS];
        one[0] = 1;
        multiply(simd, &sum, &splat(simd, &one), &m)
    }
}

/// number · 2^bits mod m, big-endian.
fn residue(number: &[u8], bits: u32, m: &BoxedUint) -> Option<Zeroizing<Box<[u8]>>> {
    let wide = BoxedUint::from_be_slice(number, number.len() as u32 * 8 + bits).ok()?;
    let wide = Zeroizing::new(Zeroizing::new(wide).shl_vartime(bits)?);
    let m = Zeroizing::new(m.to_nz().into_option()?);
    Some(Zeroizing::new(wide.rem(&m).to_be_bytes()))
}

/// An exponent's windows ([`Prime::windows`]); it is not zero.
fn windows(exponent: &[u8]) -> Vec<(u16, u8)> {
    let bits: Zeroizing<Vec<u8>> =
        Zeroizing::new(exponent.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect());
    let mut out = Vec::new();
    let mut squarings = 0;
    let mut rest = bits.get(bits.iter().take_while(|bit| **bit == 0).count()..).unwrap_or_default();
    while let Some(&bit) = rest.first() {
        // A window begins and ends with a bit that is set.
        let most = rest.get(..WINDOW as usize).unwrap_or(rest);
        let len = if bit == 0 { 0 } else { most.iter().rposition(|bit| *bit == 1).map_or(0, |last| last + 1) };
        let (window, behind) = rest.split_at(len.max(1));
        rest = behind;
        squarings += window.len() as u16;
        if len > 0 {
            out.push((squarings, window.iter().fold(0, |value, bit| value << 1 | bit)));
            squarings = 0;
        }
    }
    if squarings > 0 {
        out.push((squarings, 0));
    }
    out
}

/// Of a big-endian number that fits: two limbs are 13 bytes.
fn limbs<const N: usize>(big_endian: &[u8]) -> [u64; N] {
    let mut out = [0; N];
    let mut pairs = out.chunks_exact_mut(2);
    for bytes in big_endian.rchunks(13) {
        let value = bytes.iter().fold(0, |value: u128, byte| value << 8 | u128::from(*byte));
        if let Some([low, high]) = pairs.next() {
            *low = value as u64 & MASK;
            *high = (value >> LIMB_BITS) as u64;
        }
    }
    out
}

/// The reverse of [`limbs`].
fn write_bytes(mut limbs: impl Iterator<Item = u64>, big_endian: &mut [u8]) {
    for bytes in big_endian.rchunks_mut(13) {
        let (low, high) = (limbs.next().unwrap_or(0), limbs.next().unwrap_or(0));
        let value = u128::from(low) | u128::from(high) << LIMB_BITS;
        bytes.iter_mut().rev().zip(value.to_le_bytes()).for_each(|(byte, value)| *byte = value);
    }
}

fn vector(simd: Avx512, lanes: [u64; LANES]) -> __m512i {
    let vector: u64x8<_> = lanes.simd_into(simd);
    vector.into()
}

fn lanes(simd: Avx512, vector: __m512i) -> [u64; LANES] {
    let vector: u64x8<_> = vector.simd_into(simd);
    vector.into()
}

fn splat(simd: Avx512, number: &Limbs) -> Numbers {
    number.map(|limb| vector(simd, [limb; LANES]))
}

kernel!(
    /// Carries, which may be negative, from limb to limb; what is carried out of the last.
    #[inline]
    fn carry(_simd: Avx512, number: &mut [__m512i]) -> __m512i {
        let mask = _mm512_set1_epi64(MASK as i64);
        let mut carry = _mm512_setzero_si512();
        for limb in number {
            let sum = _mm512_add_epi64(*limb, carry);
            carry = _mm512_srai_epi64::<LIMB_BITS>(sum);
            *limb = _mm512_and_si512(sum, mask);
        }
        carry
    }
);

kernel!(
    fn add(simd: Avx512, a: &Numbers, b: &Numbers) -> Numbers {
        let mut sum = *a;
        for (limb, b) in sum.iter_mut().zip(b) {
            *limb = _mm512_add_epi64(*limb, *b);
        }
        carry(simd, &mut sum);
        sum
    }
);

kernel!(
    /// a − b, and a borrow in the lanes where that is negative.
    #[inline]
    fn subtract(simd: Avx512, a: &Numbers, b: &Numbers) -> (Numbers, __m512i) {
        let mut difference = *a;
        for (limb, b) in difference.iter_mut().zip(b) {
            *limb = _mm512_sub_epi64(*limb, *b);
        }
        let borrow = carry(simd, &mut difference);
        (difference, borrow)
    }
);

kernel!(
    /// a − m where that is not negative, else a.
    fn reduce_once(simd: Avx512, a: &Numbers, m: &Numbers) -> Numbers {
        let (mut out, borrow) = subtract(simd, a, m);
        let below = _mm512_movepi64_mask(borrow);
        for (limb, a) in out.iter_mut().zip(a) {
            *limb = _mm512_mask_blend_epi64(below, *limb, *a);
        }
        out
    }
);

kernel!(
    /// Adds q·m for the q that makes the lowest limb zero, and drops that limb: low parts of the products here, of which the
    /// high ones are a limb further up. `top` comes in at the other end.
    #[inline]
    fn reduce_low(_simd: Avx512, sum: &mut Numbers, m: &Modulus, top: __m512i) -> __m512i {
        let q = _mm512_madd52lo_epu64(_mm512_setzero_si512(), sum[0], m.inverse);
        let carry = _mm512_srli_epi64::<LIMB_BITS>(_mm512_madd52lo_epu64(sum[0], m.limbs[0], q));
        for j in 1..LIMBS {
            sum[j - 1] = _mm512_madd52lo_epu64(sum[j], m.limbs[j], q);
        }
        sum[0] = _mm512_add_epi64(sum[0], carry);
        sum[LIMBS - 1] = top;
        q
    }
);

kernel!(
    /// Adds a·b, of each product of limbs its high part.
    #[inline]
    fn add_high(_simd: Avx512, sum: &mut Numbers, a: &Numbers, b: __m512i) {
        for (limb, a) in sum.iter_mut().zip(a) {
            *limb = _mm512_madd52hi_epu64(*limb, *a, b);
        }
    }
);

kernel!(
    /// a·b·R⁻¹ mod m.
    fn multiply(simd: Avx512, a: &Numbers, b: &Numbers, m: &Modulus) -> Numbers {
        let zero = _mm512_setzero_si512();
        let mut sum = [zero; LIMBS];
        for b in b {
            // Out of the compiler's sight, lest it keeps copies of all limbs where it has no registers left.
            let (a, m) = black_box((a, m));
            for (limb, a) in sum.iter_mut().zip(a) {
                *limb = _mm512_madd52lo_epu64(*limb, *a, *b);
            }
            let q = reduce_low(simd, &mut sum, m, zero);
            add_high(simd, &mut sum, a, *b);
            add_high(simd, &mut sum, &m.limbs, q);
        }
        carry(simd, &mut sum);
        sum
    }
);

kernel!(
    /// a becomes a²·R⁻¹ mod m: the products of different limbs once, doubled. What is in `columns` does not matter.
    fn square(simd: Avx512, a: &mut Numbers, m: &Modulus, columns: &mut Columns) {
        let zero = _mm512_setzero_si512();
        columns[..LIMBS].fill(zero);
        // Two limbs, x and y, with all above them: four products to a column each time it is loaded.
        for i in (0..LIMBS).step_by(2) {
            let (x, y) = (a[i], a[i + 1]);
            columns[i + LIMBS] = zero;
            columns[i + LIMBS + 1] = zero;
            columns[2 * i + 1] = _mm512_madd52lo_epu64(columns[2 * i + 1], x, y);
            let mut column = _mm512_madd52hi_epu64(columns[2 * i + 2], x, y);
            let mut next = columns[2 * i + 3];
            for j in i + 2..LIMBS {
                columns[i + j] = _mm512_madd52lo_epu64(column, x, a[j]);
                column = _mm512_madd52lo_epu64(_mm512_madd52hi_epu64(next, x, a[j]), y, a[j]);
                next = _mm512_madd52hi_epu64(columns[i + j + 2], y, a[j]);
            }
            columns[i + LIMBS] = column;
            columns[i + LIMBS + 1] = next;
        }
        for (i, a) in a.iter().enumerate() {
            let (even, odd) = (columns[2 * i], columns[2 * i + 1]);
            columns[2 * i] = _mm512_madd52lo_epu64(_mm512_add_epi64(even, even), *a, *a);
            columns[2 * i + 1] = _mm512_madd52hi_epu64(_mm512_add_epi64(odd, odd), *a, *a);
        }
        let mut sum: Numbers = std::array::from_fn(|i| columns[i]);
        for i in 0..LIMBS {
            let m = black_box(m);
            let q = reduce_low(simd, &mut sum, m, columns[LIMBS + i]);
            add_high(simd, &mut sum, &m.limbs, q);
        }
        carry(simd, &mut sum);
        *a = sum;
    }
);

kernel!(
    /// a·b + c, whole.
    fn multiply_add(simd: Avx512, a: &Numbers, b: &Numbers, c: &Numbers) -> [__m512i; 2 * LIMBS] {
        let mut sum = [_mm512_setzero_si512(); 2 * LIMBS];
        sum[..LIMBS].copy_from_slice(c);
        for (i, a) in a.iter().enumerate() {
            for (j, b) in b.iter().enumerate() {
                sum[i + j] = _mm512_madd52lo_epu64(sum[i + j], *a, *b);
                sum[i + j + 1] = _mm512_madd52hi_epu64(sum[i + j + 1], *a, *b);
            }
        }
        carry(simd, &mut sum);
        sum
    }
);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use rsa::hazmat::rsa_decrypt;
    use rsa::traits::PublicKeyParts;

    use super::super::KeyRing;
    use super::super::private::NoRng;
    use super::*;

    fn key(name: &str) -> rsa::PrivateKey {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys").join(name);
        let mut ring = KeyRing::new();
        ring.add_key_path(&path, &mut |_| None).unwrap();
        ring.keys()[0].rsa().clone()
    }

    /// The same key, its primes the other way round.
    fn swapped(key: &rsa::PrivateKey) -> rsa::PrivateKey {
        let mut primes: Vec<BoxedUint> = key.primes().iter().map(|prime| prime.as_ref().clone()).collect();
        primes.reverse();
        let n = key.n().as_ref().clone();
        rsa::PrivateKey::from_components(n, key.e().clone(), key.d().clone(), primes).unwrap()
    }

    /// Eight at once give what the `rsa` crate gives one by one.
    fn same_as_one_by_one(key: &rsa::PrivateKey, mut ciphertexts: [[u8; SIZE]; LANES]) {
        let Some(lanes) = Lanes::new(key) else { return };
        let n = key.n().to_be_bytes();
        let zeros = SIZE - n.len();
        for number in &mut ciphertexts {
            number[..zeros].fill(0);
            if number[zeros..] >= n[..] {
                number[zeros] = 0;
            }
        }
        for (number, opened) in ciphertexts.iter().zip(&*lanes.decrypt(&ciphertexts)) {
            let number = BoxedUint::from_be_slice(&number[zeros..], n.len() as u32 * 8).unwrap();
            let alone = rsa_decrypt::<NoRng>(None, key, &number).unwrap().to_be_bytes();
            assert_eq!(opened[..zeros], vec![0; zeros]);
            assert_eq!(opened[zeros..], alone[..], "{number:x}");
        }
    }

    #[test]
    fn operations_at_the_edges() {
        let key = key("rsa2048.pem");
        let number = |number: BoxedUint| <[u8; SIZE]>::try_from(&number.to_be_bytes()[..]).unwrap();
        let zero = BoxedUint::zero_with_precision(SIZE as u32 * 8);
        let n = key.n().as_ref().clone();
        let small = |value: u32| zero.wrapping_add(BoxedUint::from(value));
        let prime = |index: usize| zero.wrapping_add(key.primes()[index].as_ref());
        let edges = [
            zero.clone(),
            small(1),
            small(2),
            n.wrapping_sub(BoxedUint::one()),
            prime(0),
            prime(1),
            n.wrapping_sub(prime(0)),
            small(1).shl_vartime(R_BITS).unwrap(),
        ];
        for key in [swapped(&key), key] {
            same_as_one_by_one(&key, edges.clone().map(number));
        }
    }

    /// Only keys of up to 2,048 bits, whose primes are of one length.
    #[test]
    fn keys_that_have_lanes() {
        for name in ["rsa2047.pem", "rsa3072.pem", "rsa4096.pem", "rsa2048-primes3.pem"] {
            assert!(Lanes::new(&key(name)).is_none(), "{name}");
        }
        for name in ["rsa512.pem", "rsa768.pem", "rsa1024.pem", "rsa2048.pem", "rsa2048e3.pem", "rsa2048e60.pem"] {
            assert_eq!(Lanes::new(&key(name)).is_some(), Level::new().as_avx512().is_some(), "{name}");
        }
    }

    /// Bits of the exponent from its windows.
    fn exponent_of(windows: &[(u16, u8)]) -> u64 {
        windows.iter().fold(0, |value, &(squarings, odd)| (value << squarings) + u64::from(odd))
    }

    proptest! {
        #[test]
        fn windows_make_the_exponent(exponent in 1u64..1 << 60) {
            let windows = windows(&exponent.to_be_bytes());
            prop_assert_eq!(exponent_of(&windows), exponent);
            prop_assert!(windows.iter().all(|(_, odd)| *odd == 0 || odd % 2 == 1 && *odd < 1 << WINDOW));
        }

        #[test]
        fn limbs_and_back(bytes in prop::collection::vec(any::<u8>(), SIZE)) {
            let limbs: [u64; 2 * LIMBS] = limbs(&bytes);
            prop_assert!(limbs.iter().all(|limb| *limb <= MASK));
            let mut back = [0; SIZE];
            write_bytes(limbs.into_iter(), &mut back);
            prop_assert_eq!(&back[..], &bytes[..]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn operations_together_are_operations_one_by_one(
            numbers in prop::array::uniform8(prop::collection::vec(any::<u8>(), SIZE)),
        ) {
            let long = [key("rsa2048.pem"), swapped(&key("rsa2048.pem")), key("rsa2048e3.pem")];
            for key in long.into_iter().chain([key("rsa512.pem"), key("rsa1024.pem"), swapped(&key("rsa1024.pem"))]) {
                same_as_one_by_one(&key, std::array::from_fn(|lane| numbers[lane][..].try_into().unwrap()));
            }
        }
    }
}
