//! HMAC-SHA1 of eight messages at once, each in a lane of its own of the processor's wide registers.
//!
//! Each step of SHA-1 waits for the one before, so that one message leaves most of a core idle, also where the processor
//! has instructions for it. FIPS 180-4 section 6.1, RFC 2104.

use fearless_simd::{Bytes, Level, Simd, SimdBase, SimdInto, dispatch, u8x32, u32x8};
use zeroize::Zeroizing;

/// Messages at once.
pub(super) const LANES: usize = 8;

/// Bytes of a key that suites with HMAC-SHA1 have, and of the MAC.
pub(super) const SIZE: usize = 20;

/// Bytes of a block.
const BLOCK: usize = 64;

/// Bytes before the content: record number, type, version, length.
const HEAD: usize = 13;

type Block = [u8; BLOCK];

/// Five words, a lane each.
type State = [[u32; LANES]; 5];

const INITIAL: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// Whether the processor's registers have as many lanes: else one message after the other takes no longer.
pub(super) fn are_faster() -> bool {
    dispatch!(Level::new(), simd => lanes_of(simd)) >= LANES
}

#[inline(always)]
fn lanes_of<S: Simd>(_simd: S) -> usize {
    <S::u32s as SimdBase<S>>::LEN
}

/// The MACs of heads and contents. None where contents are not of the same length, or too short to be worth it.
pub(super) fn hmac_sha1(
    key: &[u8; SIZE],
    heads: &[[u8; HEAD]; LANES],
    contents: &[&[u8]; LANES],
) -> Option<[[u8; SIZE]; LANES]> {
    let len = contents[0].len();
    if contents.iter().any(|content| content.len() != len) {
        return None;
    }
    let mut first = [[0; BLOCK]; LANES];
    let mut middle: [&[Block]; LANES] = [&[]; LANES];
    let mut last = [[[0; BLOCK]; 2]; LANES];
    let mut blocks = 1;
    for lane in 0..LANES {
        let (begin, rest) = contents[lane].split_at_checked(BLOCK - HEAD)?;
        let (whole, rest) = rest.as_chunks();
        first[lane][..HEAD].copy_from_slice(&heads[lane]);
        first[lane][HEAD..].copy_from_slice(begin);
        middle[lane] = whole;
        blocks = pad(&mut last[lane], rest, HEAD + len);
    }
    let mut state = begin(key, 0x36);
    compress(&mut state, &first.each_ref().map(std::slice::from_ref));
    compress(&mut state, &middle);
    compress(&mut state, &last.each_ref().map(|last| last.get(..blocks).unwrap_or_default()));
    let inner = digests(&state);
    let mut state = begin(key, 0x5c);
    let last = inner.map(|inner| {
        let mut last = [[0; BLOCK]; 2];
        pad(&mut last, &inner, SIZE);
        last
    });
    compress(&mut state, &last.each_ref().map(|last| std::slice::from_ref(&last[0])));
    Some(digests(&state))
}

/// The state behind the key, with which HMAC's hashes begin.
fn begin(key: &[u8; SIZE], pad: u8) -> State {
    let mut block = Zeroizing::new([pad; BLOCK]);
    block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    let mut state = INITIAL.map(|word| [word; LANES]);
    compress(&mut state, &[std::slice::from_ref(&*block); LANES]);
    state
}

/// Ends a hash with `rest`, which is less than a block, behind a key's block and `len` bytes in all. In so many blocks.
fn pad(blocks: &mut [Block; 2], rest: &[u8], len: usize) -> usize {
    let used = if rest.len() < BLOCK - 8 { 1 } else { 2 };
    let bytes = blocks.as_flattened_mut();
    bytes[..rest.len()].copy_from_slice(rest);
    bytes[rest.len()] = 0x80;
    let bits = (BLOCK + len) as u64 * 8;
    bytes[used * BLOCK - 8..used * BLOCK].copy_from_slice(&bits.to_be_bytes());
    used
}

fn digests(state: &State) -> [[u8; SIZE]; LANES] {
    std::array::from_fn(|lane| {
        let mut digest = [0; SIZE];
        digest.as_chunks_mut().0.iter_mut().zip(state).for_each(|(to, word)| *to = word[lane].to_be_bytes());
        digest
    })
}

/// Goes on with as many blocks as the shortest lane has.
fn compress(state: &mut State, lanes: &[&[Block]; LANES]) {
    dispatch!(Level::new(), simd => compress_with(simd, state, lanes));
}

// Closures and iterators would not be inlined into what `dispatch!` makes, and go without its instructions.
#[inline(always)]
fn compress_with<S: Simd>(simd: S, state: &mut State, lanes: &[&[Block]; LANES]) {
    let mut sum = [u32x8::splat(simd, 0); 5];
    for i in 0..5 {
        sum[i] = state[i].simd_into(simd);
    }
    for n in 0.. {
        let mut halves = [[&[0; BLOCK / 2]; LANES]; 2];
        for lane in 0..LANES {
            let Some(block) = lanes[lane].get(n) else {
                for i in 0..5 {
                    state[i] = sum[i].into();
                }
                return;
            };
            let (low, high) = block.split_at(BLOCK / 2);
            halves[0][lane] = low.try_into().unwrap_or(&[0; BLOCK / 2]);
            halves[1][lane] = high.try_into().unwrap_or(&[0; BLOCK / 2]);
        }
        let (low, high) = (words(simd, halves[0]), words(simd, halves[1]));
        let mut words = [low[0]; 16];
        words[..8].copy_from_slice(&low);
        words[8..].copy_from_slice(&high);
        let mut work = sum;
        rounds(&mut work, &mut words, 0, 0x5a82_7999, |b, c, d| d ^ (b & (c ^ d)));
        rounds(&mut work, &mut words, 20, 0x6ed9_eba1, |b, c, d| b ^ c ^ d);
        rounds(&mut work, &mut words, 40, 0x8f1b_bcdc, |b, c, d| (b & c) | (d & (b | c)));
        rounds(&mut work, &mut words, 60, 0xca62_c1d6, |b, c, d| b ^ c ^ d);
        for i in 0..5 {
            sum[i] += work[i];
        }
    }
}

/// Of half a block of each lane, the eight words, with a lane each.
#[inline(always)]
fn words<S: Simd>(simd: S, halves: [&[u8; BLOCK / 2]; LANES]) -> [u32x8<S>; 8] {
    let mut rows = [u32x8::splat(simd, 0); 8];
    for lane in 0..LANES {
        let bytes: u8x32<S> = (*halves[lane]).simd_into(simd);
        let row: u32x8<S> = u32x8::from_bytes(bytes);
        // Big-endian.
        rows[lane] = rotate::<S, 16>(((row & 0x00ff_00ff) << 8) | ((row >> 8) & 0x00ff_00ff));
    }
    // Transposed.
    for _ in 0..3 {
        let mut next = rows;
        for i in 0..4 {
            (next[2 * i], next[2 * i + 1]) = rows[i].interleave(rows[i + 4]);
        }
        rows = next;
    }
    rows
}

#[inline(always)]
fn rotate<S: Simd, const N: u32>(word: u32x8<S>) -> u32x8<S> {
    (word << N) | (word >> (32 - N))
}

/// Twenty rounds, from that number on. The words that the schedule makes take the places of those that it needs no more.
#[inline(always)]
fn rounds<S: Simd>(
    state: &mut [u32x8<S>; 5],
    words: &mut [u32x8<S>; 16],
    from: usize,
    constant: u32,
    choose: impl Fn(u32x8<S>, u32x8<S>, u32x8<S>) -> u32x8<S>,
) {
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    macro_rules! round {
        ($($n:literal)*) => {$({
            let i = from + $n;
            if i >= 16 {
                words[i % 16] =
                    rotate::<S, 1>(words[(i + 13) % 16] ^ words[(i + 8) % 16] ^ words[(i + 2) % 16] ^ words[i % 16]);
            }
            let next = rotate::<S, 5>(a) + choose(b, c, d) + (e + words[i % 16]) + constant;
            (a, b, c, d, e) = (next, a, rotate::<S, 30>(b), c, d);
        })*};
    }
    // Unrolled by hand: so all words have their fixed places.
    round!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
    *state = [a, b, c, d, e];
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha1::Sha1;

    use super::*;

    fn one_by_one(key: &[u8], head: &[u8], content: &[u8]) -> Vec<u8> {
        let mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
        mac.chain_update(head).chain_update(content).finalize().into_bytes().to_vec()
    }

    /// All lengths of the rest behind whole blocks, and the end of what is too short.
    #[test]
    fn together_as_one_by_one() {
        let key = std::array::from_fn(|i| i as u8 * 11);
        let bytes: Vec<u8> = (0..4000u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        let heads = std::array::from_fn(|lane| [lane as u8; HEAD]);
        for len in (0..200).chain([1024, 3000]) {
            let contents = std::array::from_fn(|lane| &bytes[lane * 100..lane * 100 + len]);
            let macs = hmac_sha1(&key, &heads, &contents);
            assert_eq!(macs.is_some(), len >= BLOCK - HEAD, "{len} bytes");
            for (lane, mac) in macs.iter().flatten().enumerate() {
                assert_eq!(mac[..], one_by_one(&key, &heads[lane], contents[lane]), "{len} bytes, lane {lane}");
            }
        }
    }

    #[test]
    fn of_one_length_only() {
        let mut contents = [&[1; 100][..]; LANES];
        assert!(hmac_sha1(&[0; SIZE], &[[0; HEAD]; LANES], &contents).is_some());
        contents[5] = &[1; 99];
        assert!(hmac_sha1(&[0; SIZE], &[[0; HEAD]; LANES], &contents).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_contents(
            key: [u8; SIZE],
            heads: [[u8; HEAD]; LANES],
            contents in prop::array::uniform8(prop::collection::vec(any::<u8>(), 333)),
        ) {
            let contents = contents.each_ref().map(Vec::as_slice);
            let macs = hmac_sha1(&key, &heads, &contents).unwrap();
            for (lane, mac) in macs.iter().enumerate() {
                prop_assert_eq!(&mac[..], one_by_one(&key, &heads[lane], contents[lane]));
            }
        }
    }
}
