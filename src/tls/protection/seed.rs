//! SEED (RFC 4269), decryption only: no crate offers it without unaligned access.

use zeroize::{Zeroize, ZeroizeOnDrop};

const ROUNDS: usize = 16;

/// The S-boxes are affine maps of powers in GF(2^8) modulo x^8 + x^6 + x^5 + x + 1 (RFC 4269 section 2.2): exponent,
/// the matrix's columns from the lowest bit on, constant.
const S1: [u8; 256] = s_box(247, [0x2c, 0xd0, 0x69, 0xc2, 0x41, 0x44, 0x58, 0xe2], 169);
const S2: [u8; 256] = s_box(251, [0xd0, 0x2a, 0xe1, 0x2c, 0x21, 0x30, 0xa2, 0x6c], 56);

/// S-box and permutation of G in one, a table for each byte from the lowest on.
static SS: [[u32; 256]; 4] = [masked(&S1, 0), masked(&S2, 1), masked(&S1, 2), masked(&S2, 3)];

const fn multiply(mut a: u16, mut b: u16) -> u16 {
    let mut product = 0;
    while b > 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        a <<= 1;
        if a & 0x100 != 0 {
            a ^= 0x163;
        }
        b >>= 1;
    }
    product
}

const fn s_box(exponent: u32, columns: [u8; 8], constant: u8) -> [u8; 256] {
    let mut table = [0; 256];
    let mut x = 0;
    while x < 256 {
        let (mut power, mut n) = (1, 0);
        while n < exponent {
            power = multiply(power, x as u16);
            n += 1;
        }
        let (mut y, mut bit) = (constant, 0);
        while bit < 8 {
            if power >> bit & 1 == 1 {
                y ^= columns[bit];
            }
            bit += 1;
        }
        table[x] = y;
        x += 1;
    }
    table
}

/// G takes other bits of an S-box's output to each of its four bytes.
const fn masked(s_box: &[u8; 256], byte: usize) -> [u32; 256] {
    const MASKS: [u8; 4] = [0xfc, 0xf3, 0xcf, 0x3f];
    let mut table = [0; 256];
    let mut x = 0;
    while x < 256 {
        let mut z = 0;
        while z < 4 {
            table[x] |= ((s_box[x] & MASKS[(byte + z) % 4]) as u32) << (8 * z);
            z += 1;
        }
        x += 1;
    }
    table
}

fn g(x: u32) -> u32 {
    let [x0, x1, x2, x3] = x.to_le_bytes();
    SS[0][usize::from(x0)] ^ SS[1][usize::from(x1)] ^ SS[2][usize::from(x2)] ^ SS[3][usize::from(x3)]
}

/// What a round adds to the left half.
fn f(right: [u32; 2], key: [u32; 2]) -> [u32; 2] {
    let c = right[0] ^ key[0];
    let mut d = right[1] ^ key[1];
    d = g(d ^ c);
    let c = g(c.wrapping_add(d));
    d = g(d.wrapping_add(c));
    [c.wrapping_add(d), d]
}

/// A key schedule.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Seed {
    keys: [[u32; 2]; ROUNDS],
}

impl Seed {
    /// None unless the key has 16 bytes.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let mut key = u128::from_be_bytes(key.try_into().ok()?);
        let mut keys = [[0; 2]; ROUNDS];
        let mut constant = 0x9e37_79b9_u32;
        for (i, round) in keys.iter_mut().enumerate() {
            let word = |n: u32| (key >> (96 - 32 * n)) as u32;
            let sum = word(0).wrapping_add(word(2)).wrapping_sub(constant);
            let difference = word(1).wrapping_sub(word(3)).wrapping_add(constant);
            *round = [g(sum), g(difference)];
            let (high, low) = ((key >> 64) as u64, key as u64);
            key = if i % 2 == 0 {
                u128::from(high.rotate_right(8)) << 64 | u128::from(low)
            } else {
                u128::from(high) << 64 | u128::from(low.rotate_left(8))
            };
            constant = constant.rotate_left(1);
        }
        Some(Seed { keys })
    }

    /// Decrypts whole blocks of a CBC chain in place; a shorter rest and an IV of another length leave the data alone.
    pub(crate) fn decrypt_cbc(&self, iv: &[u8], data: &mut [u8]) {
        let Ok(mut previous) = iv.try_into().map(u128::from_be_bytes) else { return };
        let (blocks, _) = data.as_chunks_mut::<16>();
        let mut pairs = blocks.chunks_exact_mut(2);
        for pair in &mut pairs {
            // Two at a time: each waits for its tables, not for the other.
            let [a, b] = [u128::from_be_bytes(pair[0]), u128::from_be_bytes(pair[1])];
            let [plain_a, plain_b] = self.decrypt([a, b]);
            pair[0] = (plain_a ^ previous).to_be_bytes();
            pair[1] = (plain_b ^ a).to_be_bytes();
            previous = b;
        }
        for block in pairs.into_remainder() {
            let ciphertext = u128::from_be_bytes(*block);
            let [plain] = self.decrypt([ciphertext]);
            *block = (plain ^ previous).to_be_bytes();
            previous = ciphertext;
        }
    }

    fn decrypt<const N: usize>(&self, blocks: [u128; N]) -> [u128; N] {
        let mut halves = blocks.map(|b| [[(b >> 96) as u32, (b >> 64) as u32], [(b >> 32) as u32, b as u32]]);
        for key in self.keys.iter().rev() {
            for [left, right] in &mut halves {
                let [c, d] = f(*right, *key);
                (*left, *right) = (*right, [left[0] ^ c, left[1] ^ d]);
            }
        }
        halves.map(|[left, right]| {
            [right[0], right[1], left[0], left[1]].iter().fold(0, |block, word| block << 32 | u128::from(*word))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::unhex;
    use super::*;
    use crate::fmt::hex;

    /// RFC 4269 appendix B.
    #[test]
    fn rfc_4269() {
        for (key, plain, cipher) in [
            (
                "00000000000000000000000000000000",
                "000102030405060708090a0b0c0d0e0f",
                "5ebac6e0054e166819aff1cc6d346cdb",
            ),
            (
                "000102030405060708090a0b0c0d0e0f",
                "00000000000000000000000000000000",
                "c11f22f20140505084483597e4370f43",
            ),
            (
                "4706480851e61be85d74bfb3fd956185",
                "83a2f8a288641fb9a4e9a5cc2f131c7d",
                "ee54d13ebcae706d226bc3142cd40d4a",
            ),
            (
                "28dbc3bc49ffd87dcfa509b11d422be7",
                "b41e6be2eba84a148e2eed84593c5ec7",
                "9b9b7bfcd1813cb95d0b3618f40f5122",
            ),
        ] {
            let seed = Seed::new(&unhex(key)).unwrap();
            // Three times, chained: alone, and as one of two.
            let mut data = unhex(cipher).repeat(3);
            seed.decrypt_cbc(&[0; 16], &mut data);
            let chained: Vec<u8> = unhex(plain).iter().zip(unhex(cipher)).map(|(p, c)| p ^ c).collect();
            assert_eq!(hex(&data), format!("{plain}{0}{0}", hex(&chained)));
        }
        assert!(Seed::new(&[0; 15]).is_none());
    }
}
