//! AEAD suites: nonces, additional data, TLS 1.3's inner content type.
//!
//! GCM and CCM up to TLS 1.2: RFC 5288, RFC 6655, RFC 6209, RFC 6367. ChaCha20-Poly1305: RFC 7905, and two
//! drafts before it, `draft-agl-tls-chacha20poly1305-04` and `draft-ietf-tls-chacha20-poly1305-00`. TLS 1.3: RFC 8446
//! section 5.

#[cfg(feature = "aws-lc")]
use std::sync::Arc;

use aes::cipher::consts::{U8, U12, U16};
use aes::cipher::{Array, KeyInit, KeyIvInit, StreamCipher};
use aes::{Aes128, Aes256};
use aes_gcm::{AeadInOut, AesGcm};
use aria::{Aria128, Aria256};
#[cfg(feature = "aws-lc")]
use aws_lc_rs::aead::{self, LessSafeKey, UnboundKey};
use camellia::{Camellia128, Camellia256};
use ccm::Ccm;
use chacha20::ChaCha20Legacy;
use chacha20poly1305::ChaCha20Poly1305;
use poly1305::Poly1305;
use zeroize::Zeroizing;

use super::super::secret::Secret;
use super::super::suites::{BulkCipher, Version};
use super::{Header, KeyMaterial, OpenError, Opened};

#[derive(Clone)]
enum Cipher {
    Aes128Gcm(AesGcm<Aes128, U12>),
    Aes256Gcm(AesGcm<Aes256, U12>),
    Camellia128Gcm(AesGcm<Camellia128, U12>),
    Camellia256Gcm(AesGcm<Camellia256, U12>),
    Aria128Gcm(AesGcm<Aria128, U12>),
    Aria256Gcm(AesGcm<Aria256, U12>),
    Aes128Ccm(Ccm<Aes128, U16, U12>),
    Aes256Ccm(Ccm<Aes256, U16, U12>),
    Aes128Ccm8(Ccm<Aes128, U8, U12>),
    Aes256Ccm8(Ccm<Aes256, U8, U12>),
    ChaCha20Poly1305(ChaCha20Poly1305),
    ChaCha20Poly1305Old(Secret),
    /// AWS-LC's, of the ciphers that it has.
    #[cfg(feature = "aws-lc")]
    Fast(Arc<LessSafeKey>),
}

/// How a record's nonce is made.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Nonce {
    /// Four bytes from the key block, eight from the record.
    Explicit,
    /// Twelve bytes, XORed with the record number: the drafts have four bytes or none and zeros behind them.
    Xor,
}

/// A direction's state under an AEAD suite.
#[derive(Clone)]
pub(super) struct Aead {
    cipher: Cipher,
    iv: Zeroizing<[u8; 12]>,
    nonce: Nonce,
    tag_len: usize,
    tls13: bool,
}

impl Aead {
    pub(super) fn new(material: &KeyMaterial<'_>) -> Option<Self> {
        let key = material.key;
        let cipher = match material.suite.cipher {
            #[cfg(feature = "aws-lc")]
            cipher if let Some(key) = fast_key(cipher, key) => Cipher::Fast(Arc::new(key)),
            BulkCipher::Aes128Gcm => Cipher::Aes128Gcm(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Aes256Gcm => Cipher::Aes256Gcm(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Camellia128Gcm => Cipher::Camellia128Gcm(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Camellia256Gcm => Cipher::Camellia256Gcm(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Aria128Gcm => Cipher::Aria128Gcm(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Aria256Gcm => Cipher::Aria256Gcm(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Aes128Ccm => Cipher::Aes128Ccm(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Aes256Ccm => Cipher::Aes256Ccm(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Aes128Ccm8 => Cipher::Aes128Ccm8(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::Aes256Ccm8 => Cipher::Aes256Ccm8(KeyInit::new_from_slice(key).ok()?),
            BulkCipher::ChaCha20Poly1305 | BulkCipher::ChaCha20Poly1305Draft => {
                Cipher::ChaCha20Poly1305(KeyInit::new_from_slice(key).ok()?)
            }
            BulkCipher::ChaCha20Poly1305Old => Cipher::ChaCha20Poly1305Old(Secret::new(key)),
            _ => return None,
        };
        let tls13 = material.version == Version::Tls13;
        let mut iv = Zeroizing::new([0; 12]);
        iv.iter_mut().zip(material.iv).for_each(|(i, m)| *i = *m);
        let chacha = matches!(
            material.suite.cipher,
            BulkCipher::ChaCha20Poly1305 | BulkCipher::ChaCha20Poly1305Draft | BulkCipher::ChaCha20Poly1305Old
        );
        Some(Aead {
            cipher,
            iv,
            nonce: if tls13 || chacha { Nonce::Xor } else { Nonce::Explicit },
            tag_len: material.suite.cipher.tag_len(),
            tls13,
        })
    }

    pub(super) fn tag_len(&self) -> usize {
        self.tag_len
    }

    pub(super) fn min_fragment(&self) -> usize {
        let explicit = if self.nonce == Nonce::Explicit { 8 } else { 0 };
        explicit + usize::from(self.tls13) + self.tag_len
    }

    pub(super) fn open<'a>(&self, header: Header, fragment: &'a mut [u8]) -> Result<Opened<'a>, OpenError> {
        let fragment_len = fragment.len();
        let mut nonce = *self.iv;
        let ciphertext = match self.nonce {
            Nonce::Xor => {
                nonce.iter_mut().skip(4).zip(header.sequence.to_be_bytes()).for_each(|(n, s)| *n ^= s);
                fragment
            }
            Nonce::Explicit => {
                let (explicit, rest) = fragment.split_at_mut_checked(8).ok_or(OpenError::BadLength)?;
                nonce.iter_mut().skip(4).zip(&*explicit).for_each(|(n, e)| *n = *e);
                rest
            }
        };
        let content_len = ciphertext.len().checked_sub(self.tag_len).ok_or(OpenError::BadLength)?;
        let full = header.bytes(content_len);
        let outer = header.outer_bytes(fragment_len);
        let aad: &[u8] = if self.tls13 { &outer } else { &full };
        if !self.cipher.decrypt(&nonce, aad, (ciphertext, content_len)) {
            return Err(OpenError::BadMac);
        }
        let (content, _) = ciphertext.split_at_mut(content_len);
        if !self.tls13 {
            return Ok(Opened { plaintext: content, content_type: header.content_type });
        }
        // The type is the last byte that is not zero; zeros behind it are padding.
        let at = content.iter().rposition(|b| *b != 0).ok_or(OpenError::BadPadding)?;
        let (plaintext, rest) = content.split_at_mut(at);
        let content_type = *rest.first().ok_or(OpenError::BadPadding)?;
        Ok(Opened { plaintext, content_type })
    }
}

impl Cipher {
    /// Decrypts in place; whether the tag fits.
    fn decrypt(&self, nonce: &[u8; 12], aad: &[u8], sealed: Sealed<'_>) -> bool {
        match self {
            Cipher::Aes128Gcm(c) => decrypt(c, nonce, aad, sealed),
            Cipher::Aes256Gcm(c) => decrypt(c, nonce, aad, sealed),
            Cipher::Camellia128Gcm(c) => decrypt(c, nonce, aad, sealed),
            Cipher::Camellia256Gcm(c) => decrypt(c, nonce, aad, sealed),
            Cipher::Aria128Gcm(c) => decrypt(c, nonce, aad, sealed),
            Cipher::Aria256Gcm(c) => decrypt(c, nonce, aad, sealed),
            Cipher::Aes128Ccm(c) => decrypt(c, nonce, aad, sealed),
            Cipher::Aes256Ccm(c) => decrypt(c, nonce, aad, sealed),
            Cipher::Aes128Ccm8(c) => decrypt(c, nonce, aad, sealed),
            Cipher::Aes256Ccm8(c) => decrypt(c, nonce, aad, sealed),
            Cipher::ChaCha20Poly1305(c) => decrypt(c, nonce, aad, sealed),
            Cipher::ChaCha20Poly1305Old(key) => decrypt_old_chacha(key, nonce, aad, sealed),
            #[cfg(feature = "aws-lc")]
            Cipher::Fast(key) => {
                let nonce = aead::Nonce::assume_unique_for_key(*nonce);
                key.open_in_place(nonce, aead::Aad::from(aad), sealed.0).is_ok()
            }
        }
    }
}

/// None for ciphers that AWS-LC does not have.
#[cfg(feature = "aws-lc")]
fn fast_key(cipher: BulkCipher, key: &[u8]) -> Option<LessSafeKey> {
    let algorithm = match cipher {
        BulkCipher::Aes128Gcm => &aead::AES_128_GCM,
        BulkCipher::Aes256Gcm => &aead::AES_256_GCM,
        BulkCipher::ChaCha20Poly1305 | BulkCipher::ChaCha20Poly1305Draft => &aead::CHACHA20_POLY1305,
        _ => return None,
    };
    UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}

/// A ciphertext with its tag behind it, and the length of the content.
type Sealed<'a> = (&'a mut [u8], usize);

fn decrypt<A: AeadInOut>(aead: &A, nonce: &[u8; 12], aad: &[u8], sealed: Sealed<'_>) -> bool {
    let Some((data, tag)) = sealed.0.split_at_mut_checked(sealed.1) else { return false };
    let (Ok(nonce), Ok(tag)) =
        (<&Array<u8, A::NonceSize>>::try_from(&nonce[..]), <&Array<u8, A::TagSize>>::try_from(&*tag))
    else {
        return false;
    };
    aead.decrypt_inout_detached(nonce, aad, data.into(), tag).is_ok()
}

/// `draft-agl-tls-chacha20poly1305-04` section 5: the nonce is the last eight bytes, and Poly1305 takes both lengths
/// behind their parts, without padding.
fn decrypt_old_chacha(key: &[u8], nonce: &[u8; 12], aad: &[u8], sealed: Sealed<'_>) -> bool {
    let Some((data, tag)) = sealed.0.split_at_mut_checked(sealed.1) else { return false };
    let Ok(mut cipher) = ChaCha20Legacy::new_from_slices(key, &nonce[4..]) else { return false };
    let mut first_block = Zeroizing::new([0; 64]);
    cipher.apply_keystream(&mut first_block[..]);
    let Ok(poly) = Poly1305::new_from_slice(&first_block[..32]) else { return false };
    let len = |part: &[u8]| (part.len() as u64).to_le_bytes();
    let input = [aad, &len(aad), data, &len(data)].concat();
    if poly.compute_unpadded(&input)[..] != *tag {
        return false;
    }
    cipher.apply_keystream(data);
    true
}

#[cfg(test)]
mod tests {
    use super::super::tests::unhex;
    use super::*;
    use crate::fmt::hex;

    fn check<A: AeadInOut + KeyInit>(key: &str, nonce: &str, aad: &str, sealed: (&str, &str), plain: &str) {
        let cipher = A::new_from_slice(&unhex(key)).unwrap();
        let nonce: [u8; 12] = unhex(nonce).try_into().unwrap();
        let (data, mut tag) = (unhex(sealed.0), unhex(sealed.1));
        let opened = |tag: &[u8]| {
            let mut sealed = [&data, tag].concat();
            let opens = decrypt(&cipher, &nonce, &unhex(aad), (&mut sealed, data.len()));
            opens.then(|| hex(&sealed[..data.len()]))
        };
        assert_eq!(opened(&tag).as_deref(), Some(plain));
        assert_eq!(opened(&tag[1..]), None, "a tag of another length");
        tag[0] ^= 1;
        assert_eq!(opened(&tag), None);
    }

    /// McGrew and Viega, The Galois/Counter Mode of Operation, test cases 4 and 16.
    #[test]
    fn gcm() {
        let plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525\
                     b16aedf5aa0de657ba637b39";
        let (key, nonce) = ("feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888");
        let aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
        let sealed = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa05\
                      1ba30b396a0aac973d58e091";
        check::<AesGcm<Aes128, U12>>(key, nonce, aad, (sealed, "5bc94fbc3221a5db94fae95ae7121a47"), plain);
        let sealed = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838\
                      c5f61e6393ba7a0abcc9f662";
        let long = key.repeat(2);
        check::<AesGcm<Aes256, U12>>(&long, nonce, aad, (sealed, "76fc6ece0f4e1768cddf8853bb2d551b"), plain);
    }

    /// draft-kato-ipsec-camellia-gcm, test cases 4 and 16; GnuTLS makes the same.
    #[test]
    fn camellia_gcm() {
        let plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525\
                     b16aedf5aa0de657ba637b39";
        let (key, nonce) = ("feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888");
        let aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
        let sealed = "d0d94a13b632f337a0cc9955b94fa020c815f903aab12f1efaf2fe9d90f729a6cccbfa986ef2ff\
                      2c33de418d9a2529091cf18fe652c1cfde13f82606";
        check::<AesGcm<Camellia128, U12>>(key, nonce, aad, (sealed, "9f458869431576ea6a095456ec6b8101"), plain);
        let sealed = "ad142c11579dd95e41f3c1f324dabc255864d920f1b65759d8f560d4948d447758dfdcf77aa9f6\
                      2581c7ff572a037f810cb1a9c4b3ca6ed638179b77";
        let long = key.repeat(2);
        check::<AesGcm<Camellia256, U12>>(&long, nonce, aad, (sealed, "4e4b178d8fe26fdc95e2e7246dd94bec"), plain);
    }

    /// RFC 8269 appendix A.
    #[test]
    fn aria_gcm() {
        let (nonce, aad) = ("000020e8f5eb00000000315e", "8008315ebf2e6fe020e8f5eb");
        let plain = "f57af5fd4ae19562976ec57a5a7ad55a5af5c5e5c5fdf5c55ad57a4a7272d57262e9729566ed66e\
                     97ac54a4a5a7ad5e15ae5fdd5fd5ac5d56ae56ad5c572d54ae54ac55a956afd6aed5a4ac562957a\
                     9516991691d572fd14e97ae962ed7a9f4a955af572e162f57a956666e17ae1f54a95f566d54a66e\
                     16e4afd6a9f7ae1c5c55ae5d56afde916c5e94a6ec56695e14afde1148416e94ad57ac5146ed59d\
                     1cc5";
        let key = "e91e5e75da65554a48181f3846349562";
        let sealed = "4d8a9a0675550c704b17d8c9ddc81a5cd6f7da34f2fe1b3db7cb3dfb9697102ea0f3c1fc2dbc87\
                      3d44bceeae8e4442974ba21ff6789d3272613fb9631a7cf3f14bacbeb421633a90ffbe58c2fa6b\
                      dca534f10d0de0502ce1d531b6336e58878278531e5c22bc6c85bbd784d78d9e680aa19031aaf8\
                      9101d669d7a3965c1f7e16229d7463e0535f4e253f5d18187d40b8ae0f564bd970b5e7e2adfb21\
                      1e89a953";
        check::<AesGcm<Aria128, U12>>(key, nonce, aad, (sealed, "5abace3f37f5a736f4be984bbffbedc1"), plain);
        let key = "0c5ffd37a11edc42c325287fc0604f2e3e8cd5671a00fe3216aa5eb105783b54";
        let sealed = "6f9e4bcbc8c85fc0128fb1e4a0a20cb9932ff74581f54fc013dd054b19f99371425b352d97d3f3\
                      37b90b63d1b082adeeea9d2d7391897d591b985e55fb50cb5350cf7d38dc27dda127c078a149c8\
                      eb98083d66363a46e3726af217d3a00275ad5bf772c7610ea4c23006878f0ee69a8397703169a4\
                      19303f40b72e4573714d19e2697df61e7c7252e5abc6bade876ac4961bfac4d5e867afca351a48\
                      aed52822";
        check::<AesGcm<Aria256, U12>>(key, nonce, aad, (sealed, "e210d6ced2cf430ff841472915e7ef48"), plain);
    }

    /// SP 800-38C, example 3: a nonce of 12 bytes and a tag of 8.
    #[test]
    fn ccm() {
        check::<Ccm<Aes128, U8, U12>>(
            "404142434445464748494a4b4c4d4e4f",
            "101112131415161718191a1b",
            "000102030405060708090a0b0c0d0e0f10111213",
            ("e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5", "484392fbc1b09951"),
            "202122232425262728292a2b2c2d2e2f3031323334353637",
        );
    }

    /// RFC 8439 section 2.8.2.
    #[test]
    fn chacha20_poly1305() {
        let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                      sunscreen would be it.";
        check::<ChaCha20Poly1305>(
            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            "070000004041424344454647",
            "50515253c0c1c2c3c4c5c6c7",
            (
                "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a\
                 9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9d\
                 e576d26586cec64b6116",
                "1ae10b594f09e26a7e902ecbd0600691",
            ),
            &hex(plain),
        );
    }

    /// The vector of `draft-agl-tls-chacha20poly1305-04` section 7.
    #[test]
    fn chacha20_poly1305_before_the_ietf() {
        let key = unhex("4290bcb154173531f314af57f3be3b5006da371ece272afa1b5dbdd1100a1007");
        let nonce: [u8; 12] = unhex("00000000cd7cf67be39c794a").try_into().unwrap();
        let (aad, mut tag) = (unhex("87e229d4500845a079c0"), unhex("677dabf4e3d24b876bb284753896e1d6"));
        let opened = |tag: &[u8]| {
            let mut sealed = [&unhex("e3e446f7ede9a19b62a4"), tag].concat();
            decrypt_old_chacha(&key, &nonce, &aad, (&mut sealed, 10)).then(|| hex(&sealed[..10]))
        };
        assert_eq!(opened(&tag).as_deref(), Some("86d09974840bded2a5ca"));
        tag[15] ^= 1;
        assert_eq!(opened(&tag), None);
    }
}
