//! Protocol versions and cipher suites: what each is made of, and what can decrypt it.
//!
//! The table holds every suite of IANA's registry under its registered name, the unsupported ones too, so that a
//! report can name what it could not open; and the 1024-bit export suites of the expired draft
//! `draft-ietf-tls-56-bit-ciphersuites` and the ChaCha20-Poly1305 suites of two drafts, which servers of their day
//! offered.

mod table;

pub use table::all;

/// A protocol version.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// RFC 6101.
    Ssl3,
    /// RFC 2246.
    Tls10,
    /// RFC 4346.
    Tls11,
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Version {
    /// All of them.
    pub const ALL: &'static [Version] =
        &[Version::Ssl3, Version::Tls10, Version::Tls11, Version::Tls12, Version::Tls13];

    /// From the number in a hello; none for SSL 2.0, drafts, DTLS and unknown ones.
    pub fn from_wire(wire: u16) -> Option<Self> {
        Some(match wire {
            0x0300 => Version::Ssl3,
            0x0301 => Version::Tls10,
            0x0302 => Version::Tls11,
            0x0303 => Version::Tls12,
            0x0304 => Version::Tls13,
            _ => return None,
        })
    }

    /// The number in a hello.
    pub fn wire(self) -> u16 {
        match self {
            Version::Ssl3 => 0x0300,
            Version::Tls10 => 0x0301,
            Version::Tls11 => 0x0302,
            Version::Tls12 => 0x0303,
            Version::Tls13 => 0x0304,
        }
    }

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Ssl3 => "SSLv3",
            Version::Tls10 => "TLSv1.0",
            Version::Tls11 => "TLSv1.1",
            Version::Tls12 => "TLSv1.2",
            Version::Tls13 => "TLSv1.3",
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the peers agree on a premaster secret.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyExchange {
    /// None, or one that mailcap has no name for: `TLS_NULL_WITH_NULL_NULL`, the signalling values, Fortezza.
    Null,
    /// The client encrypts it to the server's RSA key.
    Rsa,
    /// The same, with a temporary RSA key of at most `bits` bits when the certificate's is longer.
    RsaExport {
        /// 512 or 1024.
        bits: u16,
    },
    /// Static Diffie-Hellman in the certificate.
    Dh,
    /// Ephemeral Diffie-Hellman, signed by RSA.
    DheRsa,
    /// Ephemeral Diffie-Hellman, signed by DSA.
    DheDss,
    /// Ephemeral Diffie-Hellman, signed by nobody.
    DhAnon,
    /// Static elliptic-curve Diffie-Hellman in the certificate.
    Ecdh,
    /// Ephemeral elliptic-curve Diffie-Hellman, signed by RSA.
    EcdheRsa,
    /// Ephemeral elliptic-curve Diffie-Hellman, signed by ECDSA.
    EcdheEcdsa,
    /// Ephemeral elliptic-curve Diffie-Hellman, signed by nobody.
    EcdhAnon,
    /// Pre-shared key (RFC 4279).
    Psk,
    /// Pre-shared key, and a secret encrypted to the server's RSA key.
    RsaPsk,
    /// Pre-shared key and ephemeral Diffie-Hellman.
    DhePsk,
    /// Pre-shared key and ephemeral elliptic-curve Diffie-Hellman (RFC 5489).
    EcdhePsk,
    /// Secure remote password (RFC 5054).
    Srp,
    /// Kerberos (RFC 2712).
    Krb5,
    /// Password-authenticated: ECCPWD (RFC 8492), EC J-PAKE.
    Eccpwd,
    /// GOST R 34.10 (RFC 9189).
    Gost,
    /// TLS 1.3: the suite does not say.
    Tls13,
}

impl KeyExchange {
    /// Whether the server's RSA private key opens it (an export suite only with a static key; RSA_PSK needs the PSK
    /// too).
    pub fn opened_by_rsa_key(self) -> bool {
        matches!(self, KeyExchange::Rsa | KeyExchange::RsaExport { .. } | KeyExchange::RsaPsk)
    }

    /// Whether the exchange is ephemeral, so that no long-term key opens a recording (JSON's `forward_secrecy`).
    pub fn is_forward_secret(self) -> bool {
        use KeyExchange::*;
        matches!(self, DheRsa | DheDss | DhAnon | EcdheRsa | EcdheEcdsa | EcdhAnon | DhePsk | EcdhePsk | Srp | Eccpwd)
            || self == Tls13
    }
}

/// The cipher that protects records.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum BulkCipher {
    /// No encryption.
    Null,
    /// RC4, 128-bit key.
    Rc4_128,
    /// RC4, a 128-bit key derived from 40 bits.
    Rc4_40,
    /// RC4, a 128-bit key derived from 56 bits.
    Rc4_56,
    /// RC2 in CBC mode, 128-bit key from 40 bits.
    Rc2Cbc40,
    /// RC2 in CBC mode, 128-bit key from 56 bits.
    Rc2Cbc56,
    /// IDEA in CBC mode.
    IdeaCbc,
    /// DES in CBC mode, key from 40 bits.
    Des40Cbc,
    /// DES in CBC mode.
    DesCbc,
    /// Triple DES (EDE, three keys) in CBC mode.
    TripleDesCbc,
    /// AES-128 in CBC mode.
    Aes128Cbc,
    /// AES-256 in CBC mode.
    Aes256Cbc,
    /// Camellia-128 in CBC mode.
    Camellia128Cbc,
    /// Camellia-256 in CBC mode.
    Camellia256Cbc,
    /// SEED in CBC mode.
    SeedCbc,
    /// ARIA-128 in CBC mode.
    Aria128Cbc,
    /// ARIA-256 in CBC mode.
    Aria256Cbc,
    /// AES-128-GCM.
    Aes128Gcm,
    /// AES-256-GCM.
    Aes256Gcm,
    /// Camellia-128-GCM.
    Camellia128Gcm,
    /// Camellia-256-GCM.
    Camellia256Gcm,
    /// ARIA-128-GCM.
    Aria128Gcm,
    /// ARIA-256-GCM.
    Aria256Gcm,
    /// AES-128-CCM, 16-byte tag.
    Aes128Ccm,
    /// AES-256-CCM, 16-byte tag.
    Aes256Ccm,
    /// AES-128-CCM, 8-byte tag.
    Aes128Ccm8,
    /// AES-256-CCM, 8-byte tag.
    Aes256Ccm8,
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305,
    /// ChaCha20-Poly1305 of the first IETF draft: the nonce is four bytes of IV and the record number.
    ChaCha20Poly1305Draft,
    /// ChaCha20-Poly1305 before the IETF's: a nonce of eight bytes, the record number, and another Poly1305 input.
    ChaCha20Poly1305Old,
    /// One that mailcap does not open: GOST, SM4, Ascon, AEGIS, integrity-only.
    Unsupported,
}

impl BulkCipher {
    /// Bytes of the key that the cipher is set up with.
    pub fn key_len(self) -> usize {
        use BulkCipher::*;
        match self {
            Null | Unsupported => 0,
            DesCbc | Des40Cbc => 8,
            TripleDesCbc => 24,
            Rc4_128 | Rc4_40 | Rc4_56 | Rc2Cbc40 | Rc2Cbc56 | IdeaCbc | SeedCbc => 16,
            Aes128Cbc | Camellia128Cbc | Aria128Cbc | Aes128Gcm | Camellia128Gcm | Aria128Gcm | Aes128Ccm
            | Aes128Ccm8 => 16,
            Aes256Cbc | Camellia256Cbc | Aria256Cbc | Aes256Gcm | Camellia256Gcm | Aria256Gcm | Aes256Ccm
            | Aes256Ccm8 => 32,
            ChaCha20Poly1305 | ChaCha20Poly1305Draft | ChaCha20Poly1305Old => 32,
        }
    }

    /// Bytes of a block in CBC mode; none for other modes.
    pub fn cbc_block(self) -> Option<usize> {
        use BulkCipher::*;
        match self {
            Rc2Cbc40 | Rc2Cbc56 | IdeaCbc | Des40Cbc | DesCbc | TripleDesCbc => Some(8),
            Aes128Cbc | Aes256Cbc | Camellia128Cbc | Camellia256Cbc | SeedCbc | Aria128Cbc | Aria256Cbc => Some(16),
            _ => None,
        }
    }

    /// Bytes of AEAD tag; 0 for other modes.
    pub fn tag_len(self) -> usize {
        use BulkCipher::*;
        match self {
            Aes128Gcm
            | Aes256Gcm
            | Camellia128Gcm
            | Camellia256Gcm
            | Aria128Gcm
            | Aria256Gcm
            | Aes128Ccm
            | Aes256Ccm
            | ChaCha20Poly1305
            | ChaCha20Poly1305Draft
            | ChaCha20Poly1305Old => 16,
            Aes128Ccm8 | Aes256Ccm8 => 8,
            _ => 0,
        }
    }

    /// Bytes of IV that the key block of SSL 3.0 to TLS 1.2 has for it: a block, or an AEAD's implicit nonce.
    pub fn key_block_iv_len(self) -> usize {
        match (self, self.cbc_block(), self.tag_len()) {
            (BulkCipher::ChaCha20Poly1305, ..) => 12,
            (BulkCipher::ChaCha20Poly1305Old, ..) => 0,
            (_, Some(block), _) => block,
            (_, None, 0) => 0,
            _ => 4,
        }
    }
}

/// The record MAC of suites that are not AEAD.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum MacAlgorithm {
    /// None, or the AEAD's own tag.
    Null,
    /// HMAC-MD5, or SSL 3.0's.
    Md5,
    /// HMAC-SHA1, or SSL 3.0's.
    Sha1,
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SHA384.
    Sha384,
}

impl MacAlgorithm {
    /// Bytes of an untruncated MAC, and of its key.
    pub fn len(self) -> usize {
        match self {
            MacAlgorithm::Null => 0,
            MacAlgorithm::Md5 => 16,
            MacAlgorithm::Sha1 => 20,
            MacAlgorithm::Sha256 => 32,
            MacAlgorithm::Sha384 => 48,
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == MacAlgorithm::Null
    }
}

/// The hash of the PRF from TLS 1.2 on; earlier versions have MD5 and SHA-1 whatever the suite.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum PrfHash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
}

impl PrfHash {
    /// Bytes of the hash.
    #[expect(clippy::len_without_is_empty, reason = "a hash is never empty")]
    pub fn len(self) -> usize {
        match self {
            PrfHash::Sha256 => 32,
            PrfHash::Sha384 => 48,
        }
    }
}

/// A cipher suite.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Number on the wire.
    pub id: u16,
    /// IANA's name.
    pub name: &'static str,
    /// Key exchange.
    pub kx: KeyExchange,
    /// Cipher.
    pub cipher: BulkCipher,
    /// Record MAC.
    pub mac: MacAlgorithm,
    /// Hash of the PRF (TLS 1.2) or of HKDF (TLS 1.3).
    pub prf: PrfHash,
}

impl Suite {
    /// Whether it belongs to TLS 1.3 alone.
    pub fn is_tls13(&self) -> bool {
        self.kx == KeyExchange::Tls13
    }

    /// Whether its keys are cut to 40 or 56 bits and stretched again.
    pub fn is_export(&self) -> bool {
        self.name.contains("_EXPORT")
    }

    /// Whether its records can be opened once the secrets are known.
    pub fn is_supported(&self) -> bool {
        self.cipher != BulkCipher::Unsupported
    }
}

/// The suite with that number.
pub fn suite(id: u16) -> Option<&'static Suite> {
    let all = all();
    all.binary_search_by_key(&id, |s| s.id).ok().and_then(|i| all.get(i))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_named_once() {
        let all = all();
        assert!(all.len() > 350);
        assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id));
        let mut names: Vec<&str> = all.iter().map(|s| s.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(suite(0x0a0a).is_none(), "GREASE");
    }

    /// What a name says is what the suite is made of.
    #[test]
    fn parts_fit_names() {
        for suite in all().iter().filter(|s| s.is_supported()) {
            let has = |word: &str| suite.name.contains(word);
            assert_eq!(has("_CBC"), suite.cipher.cbc_block().is_some(), "{}", suite.name);
            assert_eq!(has("_GCM") || has("_CCM") || has("POLY1305"), suite.cipher.tag_len() > 0, "{}", suite.name);
            assert_eq!(has("_CCM_8"), suite.cipher.tag_len() == 8, "{}", suite.name);
            let aead_or_none = suite.cipher.tag_len() > 0 || suite.id == 0;
            assert_eq!(aead_or_none, suite.mac.is_empty(), "{}", suite.name);
            assert_eq!(suite.name.ends_with("SHA384"), suite.prf == PrfHash::Sha384, "{}", suite.name);
            let family = format!("{:?}", suite.cipher);
            for (start, word) in [
                ("Aes", "_AES_"),
                ("Camellia", "CAMELLIA"),
                ("Aria", "ARIA"),
                ("Rc4", "RC4"),
                ("Seed", "SEED"),
                ("Idea", "IDEA"),
                ("TripleDes", "3DES"),
                ("ChaCha20", "CHACHA20"),
            ] {
                assert_eq!(family.starts_with(start), has(word), "{}", suite.name);
            }
            // RC2 and RC4 have 128 bits in any name.
            for (word, key_len) in [("_128_", 16), ("_256_", 32)] {
                assert!(!has(word) || suite.cipher.key_len() == key_len, "{}", suite.name);
            }
            if !suite.mac.is_empty() {
                let (_, mac) = suite.name.rsplit_once('_').unwrap();
                let mac = match mac {
                    "MD5" => MacAlgorithm::Md5,
                    "SHA" => MacAlgorithm::Sha1,
                    "SHA256" => MacAlgorithm::Sha256,
                    "SHA384" => MacAlgorithm::Sha384,
                    _ => panic!("{}", suite.name),
                };
                assert_eq!(suite.mac, mac, "{}", suite.name);
            }
            assert_eq!(suite.name.starts_with("TLS_RSA_WITH") || has("_FIPS_"), suite.kx == KeyExchange::Rsa);
            assert_eq!(
                has("DHE_"),
                suite.kx.is_forward_secret()
                    && !has("anon")
                    && !has("SRP")
                    && !has("PWD")
                    && !has("PAKE")
                    && !suite.is_tls13(),
                "{}",
                suite.name
            );
            assert_eq!(
                has("PSK_"),
                matches!(
                    suite.kx,
                    KeyExchange::Psk | KeyExchange::RsaPsk | KeyExchange::DhePsk | KeyExchange::EcdhePsk
                ),
                "{}",
                suite.name
            );
        }
    }

    /// A suite of each family against its RFC.
    #[test]
    fn known_suites() {
        let parts = |id| suite(id).map(|s| (s.name, s.kx, s.cipher, s.mac));
        let rsa = KeyExchange::Rsa;
        let gcm = BulkCipher::Aes256Gcm;
        assert_eq!(
            parts(0x0035),
            Some(("TLS_RSA_WITH_AES_256_CBC_SHA", rsa, BulkCipher::Aes256Cbc, MacAlgorithm::Sha1))
        );
        assert_eq!(parts(0x009d), Some(("TLS_RSA_WITH_AES_256_GCM_SHA384", rsa, gcm, MacAlgorithm::Null)));
        assert_eq!(
            parts(0x0062),
            Some((
                "TLS_RSA_EXPORT1024_WITH_DES_CBC_SHA",
                KeyExchange::RsaExport { bits: 1024 },
                BulkCipher::DesCbc,
                MacAlgorithm::Sha1
            ))
        );
        let sha384 = MacAlgorithm::Sha384;
        assert_eq!(
            parts(0xc028),
            Some(("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", KeyExchange::EcdheRsa, BulkCipher::Aes256Cbc, sha384))
        );
        assert_eq!(parts(0x1302), Some(("TLS_AES_256_GCM_SHA384", KeyExchange::Tls13, gcm, MacAlgorithm::Null)));
        assert!(suite(0x0062).unwrap().is_export());
        assert!(!suite(0xc102).unwrap().is_supported(), "GOST");
    }
}
