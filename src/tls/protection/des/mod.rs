//! DES and triple DES in CBC, bitsliced: each word holds one bit of 64 blocks, so the S-boxes are logic and the
//! permutations are names. CBC decrypts its blocks independently, so a record fills the words; what is too short for
//! that is left to the `des` crate.

mod boxes;

use cbc::cipher::{Array, BlockModeDecrypt, InnerIvInit, KeyInit};
use des::TdesEde3;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Below so many blocks the crate is faster.
const FEW: usize = 8;

/// PC-1, PC-2 and the rotations of the key schedule; bits count from 1, the first being the highest.
const PC1: [u8; 56] = [
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36, 63, 55,
    47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
];
const PC2: [u8; 48] = [
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55, 30,
    40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];
const SHIFTS: [u32; 16] = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];

/// P: which bit of the S-boxes' output stands where.
const P: [usize; 32] = [
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4,
    25,
];

/// Where each bit of the S-boxes' output goes.
const TO: [usize; 32] = {
    let mut to = [0; 32];
    let mut i = 0;
    while i < 32 {
        to[P[i] - 1] = i;
        i += 1;
    }
    to
};

/// The initial permutation: the number, from the lowest, of the bit that comes to each place. Its first row is bits
/// 58, 50 … 2; the rows start at 58, 60, 62, 64, 57, 59, 61, 63.
const IP: [usize; 64] = {
    let mut ip = [0; 64];
    let mut i = 0;
    while i < 64 {
        let row = i / 8;
        let first = if row < 4 { 58 + 2 * row } else { 57 + 2 * (row - 4) };
        ip[i] = 64 - (first - 8 * (i % 8));
        i += 1;
    }
    ip
};

/// A key of DES or 3DES, for decryption.
#[derive(Clone)]
pub(crate) struct Des {
    rounds: Rounds,
    short: Short,
}

/// The 48 bits of each round's key, in the order of decryption: 16 rounds, or three times as many.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct Rounds(Vec<u64>);

/// The crate's cipher, for what is short.
#[derive(Clone)]
enum Short {
    Single(des::Des),
    Triple(Box<TdesEde3>),
}

/// The sixteen keys of one DES, for encryption; the first bit is the highest of 48.
fn schedule(key: [u8; 8]) -> [u64; 16] {
    let key = u64::from_be_bytes(key);
    let pick = |from: u64, width: u32, table: &[u8]| {
        table.iter().fold(0, |out, &bit| out << 1 | (from >> (width - u32::from(bit)) & 1))
    };
    let mut halves = pick(key, 64, &PC1);
    SHIFTS.map(|shift| {
        let turn = |half: u64| (half << shift | half >> (28 - shift)) & 0x0fff_ffff;
        halves = turn(halves >> 28) << 28 | turn(halves & 0x0fff_ffff);
        pick(halves, 56, &PC2)
    })
}

impl Des {
    /// None unless the key has 8 bytes (DES) or 24 (3DES).
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let (keys, _) = key.as_chunks::<8>();
        let (short, rounds) = match (keys, key.len()) {
            ([only], 8) => {
                let rounds = schedule(*only).into_iter().rev().collect();
                (Short::Single(KeyInit::new_from_slice(key).ok()?), rounds)
            }
            ([first, second, third], 24) => {
                let (first, second, third) = (schedule(*first), schedule(*second), schedule(*third));
                let rounds = third.into_iter().rev().chain(second).chain(first.into_iter().rev()).collect();
                (Short::Triple(Box::new(KeyInit::new_from_slice(key).ok()?)), rounds)
            }
            _ => return None,
        };
        Some(Des { rounds: Rounds(rounds), short })
    }

    /// Decrypts whole blocks of a CBC chain in place; a shorter rest and an IV of another length leave the data alone.
    pub(crate) fn decrypt_cbc(&self, iv: &[u8], data: &mut [u8]) {
        let Ok(iv) = <[u8; 8]>::try_from(iv) else { return };
        let mut previous = u64::from_be_bytes(iv);
        let (mut blocks, _) = data.as_chunks_mut::<8>();
        while blocks.len() >= FEW {
            let (now, later) = blocks.split_at_mut(blocks.len().min(64));
            previous = self.batch(previous, now);
            blocks = later;
        }
        let iv = Array::from(previous.to_be_bytes());
        let (blocks, _) = Array::slice_as_chunks_mut(blocks.as_flattened_mut());
        match &self.short {
            Short::Single(des) => cbc::Decryptor::<&des::Des>::inner_iv_init(des, &iv).decrypt_blocks(blocks),
            Short::Triple(des) => cbc::Decryptor::<&TdesEde3>::inner_iv_init(des, &iv).decrypt_blocks(blocks),
        }
    }

    /// Decrypts at most 64 blocks; the last one's ciphertext.
    fn batch(&self, iv: u64, blocks: &mut [[u8; 8]]) -> u64 {
        let mut bits = [0; 64];
        bits.iter_mut().zip(&*blocks).for_each(|(word, block)| *word = u64::from_be_bytes(*block));
        transpose(&mut bits);
        let mut left: [u64; 32] = std::array::from_fn(|i| bits[IP[i]]);
        let mut right: [u64; 32] = std::array::from_fn(|i| bits[IP[32 + i]]);
        for des in self.rounds.0.as_chunks::<16>().0 {
            for [a, b] in des.as_chunks::<2>().0 {
                round(&mut left, &right, *a);
                round(&mut right, &left, *b);
            }
            // The last round has no swap; the permutations between three of them cancel out.
            std::mem::swap(&mut left, &mut right);
        }
        for i in 0..32 {
            bits[IP[i]] = left[i];
            bits[IP[32 + i]] = right[i];
        }
        transpose(&mut bits);
        let mut previous = iv;
        for (block, plain) in blocks.iter_mut().zip(bits) {
            let ciphertext = u64::from_be_bytes(*block);
            *block = (plain ^ previous).to_be_bytes();
            previous = ciphertext;
        }
        previous
    }
}

/// Bit `i` of word `j` becomes bit `j` of word `i`.
fn transpose(words: &mut [u64; 64]) {
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

/// One round: `left ^= P(S(E(right) ^ key))`.
#[inline(always)]
fn round(left: &mut [u64; 32], right: &[u64; 32], key: u64) {
    let input = |s_box: usize| -> [u64; 6] {
        std::array::from_fn(|i| right[(4 * s_box + i + 31) % 32] ^ (key >> (47 - 6 * s_box - i) & 1).wrapping_neg())
    };
    let mut put = |s_box: usize, output: [u64; 4]| {
        for (i, bit) in output.into_iter().enumerate() {
            let to = TO[4 * s_box + i];
            left[to] ^= bit;
        }
    };
    put(0, boxes::s1(input(0)));
    put(1, boxes::s2(input(1)));
    put(2, boxes::s3(input(2)));
    put(3, boxes::s4(input(3)));
    put(4, boxes::s5(input(4)));
    put(5, boxes::s6(input(5)));
    put(6, boxes::s7(input(6)));
    put(7, boxes::s8(input(7)));
}

#[cfg(test)]
mod tests {
    use cbc::cipher::consts::U8;
    use cbc::cipher::{BlockCipherDecrypt, BlockSizeUser};

    use super::super::tests::unhex;
    use super::*;
    use crate::fmt::hex;

    /// Pseudo-random bytes (xorshift).
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut x = seed | 1;
        let mut next = || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    /// A key, and the `des` crate's with it: few blocks and many, whole words of them and parts.
    fn as_the_crate<C>(key_len: usize)
    where
        C: BlockCipherDecrypt + BlockSizeUser<BlockSize = U8> + KeyInit,
    {
        for (n, blocks) in (0..40).chain([63, 64, 65, 127, 128, 129, 191, 192, 193, 255, 256, 257, 2000]).enumerate() {
            let key = noise(1000 + n as u64, key_len);
            let iv = noise(n as u64, 8);
            let mut data = noise(77 + n as u64, 8 * blocks + n % 8);
            let mut expected = data.clone();
            let crates = C::new_from_slice(&key).unwrap();
            let (chunks, _) = Array::slice_as_chunks_mut(&mut expected);
            let iv_array = Array::from(<[u8; 8]>::try_from(&iv[..]).unwrap());
            cbc::Decryptor::<&C>::inner_iv_init(&crates, &iv_array).decrypt_blocks(chunks);
            Des::new(&key).unwrap().decrypt_cbc(&iv, &mut data);
            assert!(data == expected, "{blocks} blocks");
        }
    }

    #[test]
    fn as_the_crate_does() {
        as_the_crate::<des::Des>(8);
        as_the_crate::<TdesEde3>(24);
    }

    /// SP 800-17 appendix A, table 4 (the last of the S-boxes' tests), and the classic of many a textbook (Grabbe's).
    #[test]
    fn single_des() {
        for (key, cipher, plain) in [
            ("1c587f1c13924fef", "63fac0d034d9f793", "305532286d6f295a"),
            ("133457799bbcdff1", "85e813540f0ab405", "0123456789abcdef"),
        ] {
            for copies in [1, 40] {
                let mut data = unhex(&cipher.repeat(copies));
                Des::new(&unhex(key)).unwrap().decrypt_cbc(&[0; 8], &mut data);
                assert_eq!(hex(&data[..8]), plain);
            }
        }
    }

    /// SP 800-67 appendix B.1, the blocks one by one: a CBC chain over 40 copies of each.
    #[test]
    fn sp_800_67() {
        let key = unhex("0123456789abcdef23456789abcdef01456789abcdef0123");
        for (cipher, plain) in [
            ("a826fd8ce53b855f", "5468652071756663"),
            ("cce21c8112256fe6", "6b2062726f776e20"),
            ("68d5c05dd9b6b900", "666f78206a756d70"),
        ] {
            let mut data = unhex(&cipher.repeat(40));
            Des::new(&key).unwrap().decrypt_cbc(&[0; 8], &mut data);
            assert_eq!(hex(&data[..8]), plain);
            let chained: Vec<u8> = unhex(plain).iter().zip(unhex(cipher)).map(|(p, c)| p ^ c).collect();
            assert_eq!(hex(&data[8..]), hex(&chained).repeat(39));
        }
    }

    #[test]
    fn wrong_lengths() {
        assert!([0, 7, 9, 16, 25].iter().all(|len| Des::new(&vec![0; *len]).is_none()));
        let mut data = [1; 7];
        Des::new(&[0; 24]).unwrap().decrypt_cbc(&[0; 8], &mut data);
        assert_eq!(data, [1; 7]);
    }
}
