//! CBC suites: implicit and explicit IVs, padding, MAC before or behind encryption.
//!
//! SSL 3.0 and TLS 1.0 chain records: a record's IV is the last ciphertext block before it. From TLS 1.1 on each record
//! begins with its IV. Decrypting CBC needs no order, so the block cipher gets the whole record at once.

use std::ops::RangeInclusive;

use aes::cipher::{Array, BlockCipherDecrypt, BlockModeDecrypt, BlockSizeUser, InnerIvInit, KeyInit};
use aes::{Aes128Dec, Aes192Dec, Aes256Dec};
use aria::{Aria128, Aria256};
use camellia::{Camellia128, Camellia256};
use idea::Idea;
use rc2::Rc2;

use super::super::suites::{BulkCipher, Version};
use super::des::Des;
use super::lanes::LANES;
use super::mac::{Authenticated, RecordMac};
use super::seed::Seed;
use super::{Header, KeyMaterial, OpenError};

/// Longest block.
const MAX_BLOCK: usize = 16;

/// A block cipher, set up for decryption.
#[derive(Clone)]
pub(crate) enum BlockCipher {
    Aes128(Aes128Dec),
    Aes192(Aes192Dec),
    Aes256(Aes256Dec),
    Camellia128(Camellia128),
    Camellia256(Camellia256),
    Aria128(Aria128),
    Aria256(Aria256),
    Des(Box<Des>),
    Idea(Idea),
    Rc2(Rc2),
    Seed(Seed),
}

impl BlockCipher {
    /// None where `cipher` is no CBC cipher or the key has another length.
    pub(crate) fn new(cipher: BulkCipher, key: &[u8]) -> Option<Self> {
        Some(match cipher {
            BulkCipher::Aes128Cbc => BlockCipher::Aes128(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Aes256Cbc => BlockCipher::Aes256(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Camellia128Cbc => BlockCipher::Camellia128(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Camellia256Cbc => BlockCipher::Camellia256(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Aria128Cbc => BlockCipher::Aria128(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Aria256Cbc => BlockCipher::Aria256(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::TripleDesCbc | BulkCipher::DesCbc | BulkCipher::Des40Cbc if key.len() == cipher.key_len() => {
                BlockCipher::Des(Box::new(Des::new(key)?))
            }
            BulkCipher::IdeaCbc => BlockCipher::Idea(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Rc2Cbc40 | BulkCipher::Rc2Cbc56 => BlockCipher::rc2(key, 128)?,
            BulkCipher::SeedCbc => BlockCipher::Seed(Seed::new(key)?),
            _ => return None,
        })
    }

    /// RC2 with that many effective key bits (RFC 2268): TLS stretches its export keys to 128, PKCS#12 does not.
    pub(crate) fn rc2(key: &[u8], effective_bits: usize) -> Option<Self> {
        let fits = (1..=128).contains(&key.len()) && (1..=1024).contains(&effective_bits);
        fits.then(|| BlockCipher::Rc2(Rc2::new_with_eff_key_len(key, effective_bits)))
    }

    /// AES-192, which no suite has, but encrypted PEM files do.
    pub(crate) fn aes192(key: &[u8]) -> Option<Self> {
        KeyInit::new_from_slice(key).ok().map(BlockCipher::Aes192)
    }

    /// Bytes of a block.
    pub(crate) fn block_len(&self) -> usize {
        match self {
            BlockCipher::Des(_) | BlockCipher::Idea(_) | BlockCipher::Rc2(_) => 8,
            _ => 16,
        }
    }

    /// Decrypts whole blocks in place; a shorter rest and an IV of another length leave the data alone.
    pub(crate) fn decrypt_cbc(&self, iv: &[u8], data: &mut [u8]) {
        match self {
            BlockCipher::Aes128(c) => decrypt(c, iv, data),
            BlockCipher::Aes192(c) => decrypt(c, iv, data),
            BlockCipher::Aes256(c) => decrypt(c, iv, data),
            BlockCipher::Camellia128(c) => decrypt(c, iv, data),
            BlockCipher::Camellia256(c) => decrypt(c, iv, data),
            BlockCipher::Aria128(c) => decrypt(c, iv, data),
            BlockCipher::Aria256(c) => decrypt(c, iv, data),
            BlockCipher::Des(c) => c.decrypt_cbc(iv, data),
            BlockCipher::Idea(c) => decrypt(c, iv, data),
            BlockCipher::Rc2(c) => decrypt(c, iv, data),
            BlockCipher::Seed(c) => c.decrypt_cbc(iv, data),
        }
    }
}

fn decrypt<C: BlockCipherDecrypt>(cipher: &C, iv: &[u8], data: &mut [u8]) {
    let Ok(iv) = <&Array<u8, <C as BlockSizeUser>::BlockSize>>::try_from(iv) else { return };
    let (blocks, _) = Array::slice_as_chunks_mut(data);
    cbc::Decryptor::<&C>::inner_iv_init(cipher, iv).decrypt_blocks(blocks);
}

/// A direction's state under a CBC suite.
#[derive(Clone)]
pub(super) struct Cbc {
    cipher: BlockCipher,
    mac: RecordMac,
    encrypt_then_mac: bool,
    explicit_iv: bool,
    /// Implicit IV of the next record; none when it was lost.
    iv: Option<[u8; MAX_BLOCK]>,
}

impl Cbc {
    pub(super) fn new(material: &KeyMaterial<'_>, mac: RecordMac) -> Option<Self> {
        let mut cbc = Cbc {
            cipher: BlockCipher::new(material.suite.cipher, material.key)?,
            mac,
            encrypt_then_mac: material.options.encrypt_then_mac && material.version != Version::Ssl3,
            explicit_iv: material.version >= Version::Tls11,
            iv: None,
        };
        cbc.set_iv(material.iv);
        Some(cbc)
    }

    pub(super) fn explicit_iv(&self) -> bool {
        self.explicit_iv
    }

    pub(super) fn mac_len(&self) -> usize {
        self.mac.len()
    }

    /// The last block of `ciphertext` becomes the next record's implicit IV.
    pub(super) fn set_iv(&mut self, ciphertext: &[u8]) {
        let block = self.cipher.block_len();
        self.iv = ciphertext.len().checked_sub(block).and_then(|at| ciphertext.get(at..)).map(|last| {
            let mut iv = [0; MAX_BLOCK];
            iv.iter_mut().zip(last).for_each(|(i, l)| *i = *l);
            iv
        });
    }

    pub(super) fn forget_iv(&mut self) {
        self.iv = None;
    }

    pub(super) fn min_fragment(&self) -> usize {
        let block = self.cipher.block_len();
        let iv = if self.explicit_iv { block } else { 0 };
        if self.encrypt_then_mac {
            iv + block + self.mac.len()
        } else {
            // At least one byte of padding.
            iv + (self.mac.len() + 1).next_multiple_of(block)
        }
    }

    /// Of a fragment of `len` bytes, with a block of padding at most.
    pub(super) fn content_len(&self, len: usize) -> RangeInclusive<usize> {
        let block = self.cipher.block_len();
        let iv = if self.explicit_iv { block } else { 0 };
        let padded = len.saturating_sub(iv + self.mac.len());
        padded.saturating_sub(block)..=padded.saturating_sub(1)
    }

    pub(super) fn open<'a>(&mut self, header: Header, fragment: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        let sealed = self.split(fragment)?;
        if self.encrypt_then_mac && !self.mac.matches(header, sealed.ciphertext, sealed.tag) {
            return Err(OpenError::BadMac);
        }
        let bare = self.unpad(self.decrypt(sealed)?)?;
        if !self.encrypt_then_mac && !self.mac.matches(header, bare.content, bare.tag) {
            return Err(bare.mismatch());
        }
        Ok(bare.content)
    }

    /// Whether [`Cbc::open_together`] takes less time than one by one.
    pub(super) fn is_faster_together(&self) -> bool {
        self.mac.is_faster_together()
    }

    /// Records that follow one another, each as by [`Cbc::open`].
    pub(super) fn open_together<'a>(
        &mut self,
        headers: [Header; LANES],
        fragments: [&'a mut [u8]; LANES],
    ) -> [Result<&'a mut [u8], OpenError>; LANES] {
        let mut sealed = fragments.map(|fragment| self.split(fragment));
        if self.encrypt_then_mac {
            let fits = self.mac.match_together(std::array::from_fn(|lane| {
                let Sealed { ciphertext, tag, .. } = sealed[lane].as_ref().ok()?;
                Some(Authenticated { header: headers[lane], content: ciphertext, tag })
            }));
            for (sealed, fits) in sealed.iter_mut().zip(fits) {
                if sealed.is_ok() && !fits {
                    *sealed = Err(OpenError::BadMac);
                }
            }
        }
        let bare = sealed.map(|sealed| self.unpad(self.decrypt(sealed?)?));
        if self.encrypt_then_mac {
            return bare.map(|bare| Ok(bare?.content));
        }
        let fits = self.mac.match_together(std::array::from_fn(|lane| {
            let Bare { content, tag, .. } = bare[lane].as_ref().ok()?;
            Some(Authenticated { header: headers[lane], content, tag })
        }));
        let mut fits = fits.into_iter();
        bare.map(|bare| {
            let (fits, bare) = (fits.next(), bare?);
            if fits == Some(true) { Ok(bare.content) } else { Err(bare.mismatch()) }
        })
    }

    /// Takes a record apart as it is on the wire; its end becomes the next one's IV.
    fn split<'a>(&mut self, fragment: &'a mut [u8]) -> Result<Sealed<'a>, OpenError> {
        let block = self.cipher.block_len();
        let outer_mac = if self.encrypt_then_mac { self.mac.len() } else { 0 };
        let Some(end) = fragment.len().checked_sub(outer_mac) else {
            self.forget_iv();
            return Err(OpenError::BadLength);
        };
        let (ciphertext, tag) = fragment.split_at_mut(end);
        let iv = self.iv;
        self.set_iv(ciphertext);
        if end + outer_mac < self.min_fragment() || !ciphertext.len().is_multiple_of(block) {
            return Err(OpenError::BadLength);
        }
        Ok(Sealed { iv, ciphertext, tag })
    }

    fn decrypt<'a>(&self, sealed: Sealed<'a>) -> Result<&'a mut [u8], OpenError> {
        let block = self.cipher.block_len();
        let Sealed { iv, ciphertext, .. } = sealed;
        if self.explicit_iv {
            let (iv, data) = ciphertext.split_at_mut_checked(block).ok_or(OpenError::BadLength)?;
            self.cipher.decrypt_cbc(iv, data);
            return Ok(data);
        }
        let iv = iv.ok_or(OpenError::UnknownIv)?;
        self.cipher.decrypt_cbc(iv.get(..block).unwrap_or_default(), ciphertext);
        Ok(ciphertext)
    }

    /// Takes padding and inner MAC off.
    fn unpad<'a>(&self, data: &'a mut [u8]) -> Result<Bare<'a>, OpenError> {
        let inner_mac = if self.encrypt_then_mac { 0 } else { self.mac.len() };
        let padding = *data.last().ok_or(OpenError::BadLength)?;
        let mac_end = data.len().checked_sub(usize::from(padding) + 1).ok_or(OpenError::BadPadding)?;
        let content_len = mac_end.checked_sub(inner_mac).ok_or(OpenError::BadPadding)?;
        let (content, rest) = data.split_at_mut(content_len);
        let (tag, padding) = rest.split_at_checked(inner_mac).ok_or(OpenError::BadPadding)?;
        Ok(Bare { content, tag, padding })
    }
}

/// A record before decryption.
struct Sealed<'a> {
    /// Where it is the end of the record before.
    iv: Option<[u8; MAX_BLOCK]>,
    ciphertext: &'a mut [u8],
    /// The outer MAC.
    tag: &'a [u8],
}

/// A record behind decryption.
struct Bare<'a> {
    content: &'a mut [u8],
    /// The inner MAC.
    tag: &'a [u8],
    padding: &'a [u8],
}

impl Bare<'_> {
    /// What is wrong where the inner MAC does not fit. Where it does, the record is good whatever its padding holds: SSL 3.0
    /// leaves that open, and some early TLS 1.0 stacks did as SSL 3.0 does.
    fn mismatch(&self) -> OpenError {
        let uniform = self.padding.last().is_some_and(|last| self.padding.iter().all(|byte| byte == last));
        if uniform { OpenError::BadMac } else { OpenError::BadPadding }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::unhex;
    use super::*;
    use crate::fmt::hex;

    fn check(cipher: Option<BlockCipher>, iv: &str, ciphertext: &str, plaintext: &str) {
        let cipher = cipher.unwrap();
        let mut data = unhex(ciphertext);
        let iv = if iv.is_empty() { vec![0; cipher.block_len()] } else { unhex(iv) };
        cipher.decrypt_cbc(&iv, &mut data);
        assert_eq!(hex(&data), plaintext);
    }

    fn with(cipher: BulkCipher, key: &str) -> Option<BlockCipher> {
        BlockCipher::new(cipher, &unhex(key))
    }

    /// SP 800-38A appendix F.2, two blocks each.
    #[test]
    fn aes() {
        let iv = "000102030405060708090a0b0c0d0e0f";
        let plain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51";
        let key = with(BulkCipher::Aes128Cbc, "2b7e151628aed2a6abf7158809cf4f3c");
        check(key, iv, "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2", plain);
        let key = BlockCipher::aes192(&unhex("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"));
        check(key, iv, "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a", plain);
        let key = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
        let key = with(BulkCipher::Aes256Cbc, key);
        check(key, iv, "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d", plain);
    }

    /// RFC 3713 appendix A, RFC 5794 appendix A, RFC 4269 appendix B.1.
    #[test]
    fn camellia_aria_seed() {
        let key = "0123456789abcdeffedcba9876543210";
        check(with(BulkCipher::Camellia128Cbc, key), "", "67673138549669730857065648eabe43", key);
        let long = format!("{key}00112233445566778899aabbccddeeff");
        check(with(BulkCipher::Camellia256Cbc, &long), "", "9acc237dff16d76c20ef7c919e3a7509", key);

        let plain = "00112233445566778899aabbccddeeff";
        let key = "000102030405060708090a0b0c0d0e0f";
        check(with(BulkCipher::Aria128Cbc, key), "", "d718fbd6ab644c739da95f3be6451778", plain);
        let long = format!("{key}101112131415161718191a1b1c1d1e1f");
        check(with(BulkCipher::Aria256Cbc, &long), "", "f92bd7c79fb72e2f2b8f80c1972d24fc", plain);

        let plain = "000102030405060708090a0b0c0d0e0f";
        check(with(BulkCipher::SeedCbc, &"00".repeat(16)), "", "5ebac6e0054e166819aff1cc6d346cdb", plain);
    }

    /// DES: FIPS 46's worked example as published by NBS; 3DES: SP 800-67 appendix B; IDEA: Lai's thesis; RC2: RFC 2268
    /// section 5.
    #[test]
    fn blocks_of_eight() {
        check(with(BulkCipher::DesCbc, "133457799bbcdff1"), "", "85e813540f0ab405", "0123456789abcdef");
        let key = "0123456789abcdef23456789abcdef01456789abcdef0123";
        check(with(BulkCipher::TripleDesCbc, key), "", "a826fd8ce53b855f", "5468652071756663");
        let key = "00010002000300040005000600070008";
        check(with(BulkCipher::IdeaCbc, key), "", "11fbed2b01986de5", "0000000100020003");
        let rc2 = |key: &str, bits| BlockCipher::rc2(&unhex(key), bits);
        check(rc2("88bca90e90875a7f0f79c384627bafb2", 128), "", "2269552ab0f85ca6", "0000000000000000");
        check(rc2("3000000000000000", 64), "", "30649edf9be7d2c2", "1000000000000001");
        check(rc2("88bca90e90875a", 64), "", "6ccf4308974c267f", "0000000000000000");
    }

    #[test]
    fn wrong_lengths() {
        assert!(with(BulkCipher::Aes128Cbc, "00").is_none());
        assert!(with(BulkCipher::Aes128Gcm, &"00".repeat(16)).is_none());
        let cipher = with(BulkCipher::SeedCbc, &"00".repeat(16)).unwrap();
        let mut data = [7; 15];
        cipher.decrypt_cbc(&[0; 16], &mut data);
        assert_eq!(data, [7; 15], "no whole block");
    }
}
