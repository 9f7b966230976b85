//! From master and traffic secrets to record protection: the key block of SSL 3.0 to TLS 1.2 with export keys, and
//! TLS 1.3's HKDF schedule as far as a reader needs it.
//!
//! Key block: RFC 6101 section 6.2.2, RFC 2246 section 6.3 (with export keys), RFC 4346 and RFC 5246 section 6.3.
//! TLS 1.3: RFC 8446 section 7.

use md5::Md5;
use sha2::Digest;
use zeroize::{Zeroize, Zeroizing};

use super::prf;
use super::protection::{KeyMaterial, Protection};
use super::secret::Secret;
use super::suites::{BulkCipher, PrfHash, Suite, Version};

/// Extensions that change record protection.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// RFC 7366; of no effect on stream and AEAD ciphers.
    pub encrypt_then_mac: bool,
    /// RFC 6066 section 7: HMAC cut to 10 bytes.
    pub truncated_hmac: bool,
}

/// Both directions' protection, the client's first, from the master secret; none where the suite is not supported in
/// that version.
pub fn record_keys(
    version: Version,
    suite: &Suite,
    master: &[u8],
    client_random: &[u8; 32],
    server_random: &[u8; 32],
    options: Options,
) -> Option<(Protection, Protection)> {
    if version == Version::Tls13 || suite.is_tls13() || !suite.is_supported() {
        return None;
    }
    let mac_len = suite.mac.len();
    let key_len = if suite.is_export() { export_key_len(suite.cipher) } else { suite.cipher.key_len() };
    let iv_len = suite.cipher.key_block_iv_len();
    let mut block = Zeroizing::new(vec![0; 2 * (mac_len + key_len + iv_len)]);
    let seed: [&[u8]; 2] = [server_random, client_random];
    match version {
        Version::Ssl3 => prf::ssl3_expand(master, &seed, &mut block),
        _ => prf::expand(version, suite.prf, master, b"key expansion", &seed, &mut block),
    }
    let (macs, rest) = block.split_at_checked(2 * mac_len)?;
    let (keys, ivs) = rest.split_at_checked(2 * key_len)?;
    let export = suite.is_export().then(|| export_keys(version, suite, keys, client_random, server_random));
    let side = |client: bool| {
        let part = |both: &[u8], len: usize| -> Option<Secret> {
            let (first, second) = both.split_at_checked(len)?;
            Some(Secret::new(if client { first } else { second }))
        };
        let (key, iv) = match &export {
            Some(e) => (part(&e.keys, suite.cipher.key_len())?, part(&e.ivs, iv_len)?),
            None => (part(keys, key_len)?, part(ivs, iv_len)?),
        };
        Protection::new(KeyMaterial { version, suite, mac: &part(macs, mac_len)?, key: &key, iv: &iv, options })
    };
    Some((side(true)?, side(false)?))
}

/// Bytes of an export suite's keys before they are stretched: 40 bits, or up to 64 for the EXPORT1024 suites (RC4 and
/// RC2 take 56 of them).
fn export_key_len(cipher: BulkCipher) -> usize {
    match cipher {
        BulkCipher::Rc4_40 | BulkCipher::Rc2Cbc40 | BulkCipher::Des40Cbc => 5,
        BulkCipher::Rc4_56 | BulkCipher::Rc2Cbc56 => 7,
        other => other.key_len(),
    }
}

/// Client's then server's final keys and IVs.
struct ExportKeys {
    keys: Secret,
    ivs: Secret,
}

/// RFC 6101 section 6.2.2.1, RFC 2246 section 6.3.1.
fn export_keys(
    version: Version,
    suite: &Suite,
    short: &[u8],
    client_random: &[u8; 32],
    server_random: &[u8; 32],
) -> ExportKeys {
    let key_len = suite.cipher.key_len();
    let iv_len = suite.cipher.key_block_iv_len();
    let mut keys = Secret::zeroed(2 * key_len);
    let mut ivs = Secret::zeroed(2 * iv_len);
    let (client_short, server_short) = short.split_at(short.len() / 2);
    let (client_key, server_key) = keys.as_mut().split_at_mut(key_len);
    if version == Version::Ssl3 {
        let md5 = |parts: [&[u8]; 3], out: &mut [u8]| {
            let mut hash = Md5::new();
            parts.iter().for_each(|p| hash.update(p));
            let mut digest = hash.finalize();
            out.iter_mut().zip(&digest).for_each(|(o, d)| *o = *d);
            digest.zeroize();
        };
        let (client_iv, server_iv) = ivs.as_mut().split_at_mut(iv_len);
        md5([client_short, client_random, server_random], client_key);
        md5([server_short, server_random, client_random], server_key);
        md5([&[], client_random, server_random], client_iv);
        md5([&[], server_random, client_random], server_iv);
    } else {
        let seed: [&[u8]; 2] = [client_random, server_random];
        prf::expand(version, suite.prf, client_short, b"client write key", &seed, client_key);
        prf::expand(version, suite.prf, server_short, b"server write key", &seed, server_key);
        prf::expand(version, suite.prf, &[], b"IV block", &seed, ivs.as_mut());
    }
    ExportKeys { keys, ivs }
}

/// HKDF-Expand-Label of RFC 8446 section 7.1.
pub fn hkdf_expand_label(hash: PrfHash, secret: &[u8], label: &str, context: &[u8], out: &mut [u8]) {
    const PREFIX: &[u8] = b"tls13 ";
    // Lengths on the wire are 16 and 8 bits; callers pass a few dozen bytes.
    let len = u16::try_from(out.len()).unwrap_or(u16::MAX).to_be_bytes();
    let label_len = [u8::try_from(PREFIX.len() + label.len()).unwrap_or(u8::MAX)];
    let context_len = [u8::try_from(context.len()).unwrap_or(u8::MAX)];
    prf::hkdf_expand(hash, secret, &[&len, &label_len, PREFIX, label.as_bytes(), &context_len, context], out);
}

/// TLS 1.3: one direction's protection from its traffic secret (early, handshake or application); none where the suite
/// is not supported or the secret has another length than the suite's hash.
pub fn tls13_protection(suite: &Suite, traffic_secret: &[u8]) -> Option<Protection> {
    if !suite.is_tls13() || !suite.is_supported() || traffic_secret.len() != suite.prf.len() {
        return None;
    }
    let mut key = Secret::zeroed(suite.cipher.key_len());
    let mut iv = Secret::zeroed(12);
    hkdf_expand_label(suite.prf, traffic_secret, "key", &[], key.as_mut());
    hkdf_expand_label(suite.prf, traffic_secret, "iv", &[], iv.as_mut());
    Protection::new(KeyMaterial {
        version: Version::Tls13,
        suite,
        mac: &[],
        key: &key,
        iv: &iv,
        options: Options::default(),
    })
}

/// TLS 1.3: the traffic secret after a KeyUpdate (RFC 8446 section 7.2).
pub fn tls13_next_secret(suite: &Suite, secret: &[u8]) -> Secret {
    let mut next = Secret::zeroed(suite.prf.len());
    hkdf_expand_label(suite.prf, secret, "traffic upd", &[], next.as_mut());
    next
}

#[cfg(test)]
mod tests {
    use super::super::protection::tests::unhex;
    use super::super::suites::suite;
    use super::*;
    use crate::fmt::hex;

    /// As scapy 2.8.0 makes them (`postprocess_key_for_export`, `generate_iv_for_export`, and its PRF for the IV block
    /// of TLS 1.0): both short keys, the client's and the server's final key, their IVs.
    #[test]
    fn export_keys_and_ivs() {
        let (client, server) = (std::array::from_fn(|n| 0x60 + n as u8), std::array::from_fn(|n| 0xa0 + n as u8));
        let (ssl3, tls10) = (Version::Ssl3, Version::Tls10);
        let ssl3_ivs = "6f913b498ad7931d9f940ef2b7c4ae8e";
        let tls10_ivs = "ba8cd08a1d6f53e3f38002ee3d97ceda";
        for (version, id, short, client_key, server_key, ivs) in [
            // TLS_RSA_EXPORT_WITH_RC4_40_MD5, …_RC2_CBC_40_MD5, …_DES40_CBC_SHA, TLS_RSA_EXPORT1024_WITH_RC4_56_SHA.
            (
                ssl3,
                3,
                "81bfced73322b1f1b808",
                "78b2af689b0a24a67a051aeac84d8a7f",
                "505519a0f2aab4019625eee1e81c683d",
                "",
            ),
            (
                ssl3,
                6,
                "81bfced73322b1f1b808",
                "78b2af689b0a24a67a051aeac84d8a7f",
                "505519a0f2aab4019625eee1e81c683d",
                ssl3_ivs,
            ),
            (ssl3, 8, "b808de0708f8ba0ce711", "08bc61f58b22abac", "5d0c62986c7bec98", ssl3_ivs),
            (
                ssl3,
                0x64,
                "b808de0708f8ba0ce711dc5deaa3",
                "07109458108e47f3c0d98ae387aae3d5",
                "a5198ff6ff2b07138c3a1d2d571efd0c",
                "",
            ),
            (
                tls10,
                3,
                "2681252cd5b43bfb07e4",
                "3c1d299dad1d4dc20f8dff89ec385bce",
                "7a4286f3673bf6c696d884a64a0bcffc",
                "",
            ),
            (
                tls10,
                6,
                "2681252cd5b43bfb07e4",
                "3c1d299dad1d4dc20f8dff89ec385bce",
                "7a4286f3673bf6c696d884a64a0bcffc",
                tls10_ivs,
            ),
            (tls10, 8, "07e414fe08cdc9ab8d19", "51e2b45d1667a992", "8adae589181ca9e9", tls10_ivs),
            (
                tls10,
                0x64,
                "07e414fe08cdc9ab8d19ef532b96",
                "49ce8874bc3cec7ba51330d2a6291a41",
                "343dbfc0d46665e923293949d4d9c4c8",
                "",
            ),
        ] {
            let suite = suite(id).unwrap();
            assert_eq!(export_key_len(suite.cipher) * 4, short.len(), "{}", suite.name);
            let made = export_keys(version, suite, &unhex(short), &client, &server);
            let want = (format!("{client_key}{server_key}"), ivs.to_owned());
            assert_eq!((hex(&made.keys), hex(&made.ivs)), want, "{version} {}", suite.name);
        }
    }

    /// RFC 8448 section 3.
    #[test]
    fn simple_handshake_of_rfc_8448() {
        let label = |secret: &str, label: &str, len: usize| {
            let mut out = vec![0; len];
            hkdf_expand_label(PrfHash::Sha256, &unhex(secret), label, &[], &mut out);
            hex(&out)
        };
        let early = prf::hkdf_extract(PrfHash::Sha256, &[0; 32], &[0; 32]);
        assert_eq!(hex(&early), "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a");
        let server = "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38";
        assert_eq!(label(server, "key", 16), "3fce516009c21727d0f2e4e86ee403bc");
        assert_eq!(label(server, "iv", 12), "5d313eb2671276ee13000b30");
        assert_eq!(label(server, "finished", 32), "008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8");
    }

    /// The client's application data record of RFC 8448 section 3.
    #[test]
    fn record_of_rfc_8448() {
        let secret = unhex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
        let mut record = unhex(
            "a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e\
             3deae63aeebb21694915e4",
        );
        let mut protection = tls13_protection(suite(0x1301).unwrap(), &secret).unwrap();
        let opened = protection.open(23, 0x0303, &mut record).unwrap();
        assert_eq!((opened.content_type, opened.plaintext.len()), (23, 50));
        assert!(opened.plaintext.iter().zip(0..).all(|(b, n)| *b == n));
        assert_eq!(protection.sequence(), 1);
    }
}
