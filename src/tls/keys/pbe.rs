//! Opening encrypted keys with a passphrase: PBES2 and PBES1 (RFC 8018), PKCS#12's schemes (RFC 7292 appendices B and
//! C), and the `DEK-Info` header of old PEM files (RFC 1421, with OpenSSL's key derivation).

use md5::Md5;
use pbkdf2::pbkdf2_hmac;
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode, Reader, SliceReader};
use pkcs8::pkcs5::pbes2::{self, Kdf, Parameters};
use pkcs8::spki::AlgorithmIdentifierRef;
use rc4::{KeyInit, Rc4, StreamCipher};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use zeroize::{Zeroize, Zeroizing};

use super::super::protection::BlockCipher;
use super::super::suites::BulkCipher;
use super::ber;

/// Rounds of key derivation that one file may ask for over all that is in it: a minute of work. A fuzzer has no patience.
pub(super) const MAX_ROUNDS: u64 = if cfg!(fuzzing) { 20_000 } else { 20_000_000 };

/// The tag of a sequence.
const SEQUENCE: u8 = 0x30;

/// scrypt with more memory than this, bytes, is refused. OpenSSL writes 16 MiB by default.
const MAX_SCRYPT_BYTES: u64 = if cfg!(fuzzing) { 1 << 24 } else { 1 << 30 };

/// Rounds that a file may still ask for.
pub(super) struct Work(u64);

impl Work {
    pub(super) fn of(rounds: u64) -> Self {
        Work(rounds)
    }

    fn take(&mut self, rounds: u64) -> Result<(), PbeError> {
        let excess = || PbeError::Method(format!("more than {MAX_ROUNDS} rounds of key derivation in all"));
        self.0 = self.0.checked_sub(rounds).ok_or_else(excess)?;
        Ok(())
    }
}

/// Why a key stayed closed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PbeError {
    /// The passphrase, or the data, is wrong.
    Wrong,
    /// Another method than those known.
    Method(String),
}

impl From<pkcs8::der::Error> for PbeError {
    fn from(_: pkcs8::der::Error) -> Self {
        PbeError::Wrong
    }
}

type Opened = Result<Zeroizing<Vec<u8>>, PbeError>;

/// Opens PKCS#8's `EncryptedPrivateKeyInfo`; what comes out is a `PrivateKeyInfo`.
pub(super) fn open_pkcs8(der: &[u8], password: &str, work: &mut Work) -> Opened {
    let (algorithm, data) = parse_encrypted(der)?;
    open(&algorithm, data, password, work)
}

/// Opens what is encrypted as `algorithm` says; what comes out is a structure in DER.
pub(super) fn open(algorithm: &AlgorithmIdentifierRef<'_>, data: &[u8], password: &str, work: &mut Work) -> Opened {
    // A wrong passphrase leaves valid padding once in 256 times, and with RC4 there is none.
    let structure = |plain: Zeroizing<Vec<u8>>| {
        ber::to_der(&plain).filter(|der| der.first() == Some(&SEQUENCE)).ok_or(PbeError::Wrong)
    };
    let oid = algorithm.oid.to_string();
    if oid == "1.2.840.113549.1.5.13" {
        return open_pbes2(algorithm, data, password, work).and_then(structure);
    }
    let scheme = Pbes1::by_oid(&oid).ok_or_else(|| unknown(&oid))?;
    let (salt, iterations) = parse_parameters(algorithm)?;
    let mut opened = Err(PbeError::Wrong);
    for password in scheme.passwords(password) {
        work.take(iterations.into())?;
        opened = scheme.decrypt(&password, salt, iterations, data).and_then(structure);
        if opened.is_ok() {
            break;
        }
    }
    opened
}

fn parse_encrypted(der: &[u8]) -> pkcs8::der::Result<(AlgorithmIdentifierRef<'_>, &[u8])> {
    let mut reader = SliceReader::new(der)?;
    reader.sequence(|inner| {
        let algorithm = AlgorithmIdentifierRef::decode(inner)?;
        let data: &OctetStringRef = inner.decode()?;
        Ok((algorithm, data.as_bytes()))
    })
}

fn parse_parameters<'a>(algorithm: &AlgorithmIdentifierRef<'a>) -> pkcs8::der::Result<(&'a [u8], u32)> {
    let parameters = algorithm.parameters.ok_or(pkcs8::der::ErrorKind::Failed)?;
    parameters.sequence(|inner| {
        let salt: &OctetStringRef = inner.decode()?;
        Ok((salt.as_bytes(), u32::decode(inner)?))
    })
}

fn open_pbes2(algorithm: &AlgorithmIdentifierRef<'_>, data: &[u8], password: &str, work: &mut Work) -> Opened {
    use pkcs8::pkcs5::Error;
    let parameters = algorithm.parameters.ok_or(PbeError::Wrong)?;
    let Ok(parameters) = parameters.decode_as::<Parameters>() else {
        return open_pbkdf2(parameters, data, password, work);
    };
    work.take(rounds(&parameters.kdf)?)?;
    match parameters.decrypt(password, data) {
        Ok(plain) => Ok(Zeroizing::new(plain)),
        Err(Error::UnsupportedAlgorithm { oid } | Error::AlgorithmParametersInvalid { oid }) => {
            Err(unknown(&oid.to_string()))
        }
        Err(_) => Err(PbeError::Wrong),
    }
}

/// PBES2 as the `pkcs5` crate does not read it: other ciphers and digests, and salts of more than 32 bytes.
fn open_pbkdf2(parameters: AnyRef<'_>, data: &[u8], password: &str, work: &mut Work) -> Opened {
    let (kdf, scheme) = parse_pbes2(parameters)?;
    if kdf.oid != pbes2::PBKDF2_OID {
        return Err(unknown(&kdf.oid.to_string()));
    }
    let oid = scheme.oid.to_string();
    let (cipher, key_len) = pbes2_cipher(&oid).ok_or_else(|| unknown(&oid))?;
    let iv: &OctetStringRef = scheme.parameters.ok_or(PbeError::Wrong)?.decode_as()?;
    let (salt, iterations, prf) = parse_pbkdf2(&kdf)?;
    let prf = prf.map(|prf| prf.oid.to_string());
    let derive = match prf.as_deref() {
        None | Some("1.2.840.113549.2.7") => pbkdf2_hmac::<Sha1>,
        Some("1.2.840.113549.2.6") => pbkdf2_hmac::<Md5>,
        Some("1.2.840.113549.2.8") => pbkdf2_hmac::<Sha224>,
        Some("1.2.840.113549.2.9") => pbkdf2_hmac::<Sha256>,
        Some("1.2.840.113549.2.10") => pbkdf2_hmac::<Sha384>,
        Some("1.2.840.113549.2.11") => pbkdf2_hmac::<Sha512>,
        Some("1.2.840.113549.2.12") => pbkdf2_hmac::<Sha512_224>,
        Some("1.2.840.113549.2.13") => pbkdf2_hmac::<Sha512_256>,
        Some(other) => return Err(unknown(other)),
    };
    work.take(iterations.into())?;
    let mut key = Zeroizing::new(vec![0; key_len]);
    derive(password.as_bytes(), salt, iterations, &mut key);
    decrypt(block_cipher(cipher, &key).ok_or(PbeError::Wrong)?, iv.as_bytes(), data)
}

fn parse_pbes2(parameters: AnyRef<'_>) -> pkcs8::der::Result<(AlgorithmIdentifierRef<'_>, AlgorithmIdentifierRef<'_>)> {
    parameters.sequence(|inner| Ok((inner.decode()?, inner.decode()?)))
}

type Pbkdf2<'a> = (&'a [u8], u32, Option<AlgorithmIdentifierRef<'a>>);

/// Salt, rounds and what makes the digest.
fn parse_pbkdf2<'a>(kdf: &AlgorithmIdentifierRef<'a>) -> pkcs8::der::Result<Pbkdf2<'a>> {
    let parameters = kdf.parameters.ok_or(pkcs8::der::ErrorKind::Failed)?;
    parameters.sequence(|inner| {
        let (salt, rounds): (&OctetStringRef, u32) = (inner.decode()?, inner.decode()?);
        // Each cipher has one length of key here.
        let _key_len: Option<u16> = inner.decode()?;
        Ok((salt.as_bytes(), rounds, inner.decode()?))
    })
}

/// A cipher and its key length; none for AES-192, which no TLS suite has.
type Known = (Option<BulkCipher>, usize);

fn pbes2_cipher(oid: &str) -> Option<Known> {
    let known = |cipher: BulkCipher| Some((Some(cipher), cipher.key_len()));
    match oid {
        "1.3.14.3.2.7" => known(BulkCipher::DesCbc),
        "1.2.840.113549.3.7" => known(BulkCipher::TripleDesCbc),
        "2.16.840.1.101.3.4.1.2" => known(BulkCipher::Aes128Cbc),
        "2.16.840.1.101.3.4.1.22" => Some((None, 24)),
        "2.16.840.1.101.3.4.1.42" => known(BulkCipher::Aes256Cbc),
        "1.2.392.200011.61.1.1.1.2" => known(BulkCipher::Camellia128Cbc),
        "1.2.392.200011.61.1.1.1.4" => known(BulkCipher::Camellia256Cbc),
        "1.2.410.200046.1.1.2" => known(BulkCipher::Aria128Cbc),
        "1.2.410.200046.1.1.12" => known(BulkCipher::Aria256Cbc),
        "1.2.410.200004.1.4" => known(BulkCipher::SeedCbc),
        _ => None,
    }
}

fn block_cipher(cipher: Option<BulkCipher>, key: &[u8]) -> Option<BlockCipher> {
    match cipher {
        Some(cipher) => BlockCipher::new(cipher, key),
        None => BlockCipher::aes192(key),
    }
}

/// A method that is not known, by its number and, where it is met, its name.
fn unknown(oid: &str) -> PbeError {
    let name = match oid {
        "1.2.840.113549.3.4" => "RC4 in PBES2",
        "1.2.840.113549.3.2" => "RC2 in PBES2",
        "1.2.840.113533.7.66.10" => "CAST5",
        "1.3.6.1.4.1.3029.1.2" => "Blowfish",
        "1.2.392.200011.61.1.1.1.3" => "192-bit Camellia",
        "1.2.410.200046.1.1.7" => "192-bit ARIA",
        "1.3.6.1.4.1.11591.4.11" => "this kind of scrypt",
        _ if oid.starts_with("2.16.840.1.101.3.4.1.") => "AES in this mode",
        _ if oid.starts_with("1.2.643.") => "GOST",
        _ => return PbeError::Method(oid.into()),
    };
    PbeError::Method(format!("{name} ({oid})"))
}

/// The work of a key derivation; a key file may ask for any amount, and of memory.
fn rounds(kdf: &Kdf) -> Result<u64, PbeError> {
    match kdf {
        Kdf::Pbkdf2(kdf) => Ok(kdf.iteration_count.into()),
        Kdf::Scrypt(kdf) => {
            let (n, r, p) = (kdf.cost_parameter, u64::from(kdf.block_size), u64::from(kdf.parallelization));
            // RFC 7914 §6: N is a power of two beyond 1.
            let sound = n > 1 && n.is_power_of_two() && r > 0 && p > 0;
            let memory = n.checked_mul(128 * r).filter(|bytes| sound && *bytes <= MAX_SCRYPT_BYTES);
            // 64 bytes are mixed four times: about one round in two.
            let rounds = memory.and_then(|bytes| (bytes / 64).checked_mul(p));
            rounds.ok_or_else(|| PbeError::Method(format!("scrypt with N={n}, r={r}, p={p}")))
        }
        _ => Ok(0),
    }
}

/// The older schemes of one OID each.
#[derive(Copy, Clone)]
enum Pbes1 {
    Md5Des,
    Md5Rc2,
    Sha1Des,
    Sha1Rc2,
    Pkcs12 { cipher: BulkCipher, key_len: usize },
    Pkcs12Rc4 { key_len: usize },
}

impl Pbes1 {
    fn by_oid(oid: &str) -> Option<Self> {
        let pkcs12 = |cipher, key_len| Pbes1::Pkcs12 { cipher, key_len };
        Some(match oid {
            "1.2.840.113549.1.5.3" => Pbes1::Md5Des,
            "1.2.840.113549.1.5.6" => Pbes1::Md5Rc2,
            "1.2.840.113549.1.5.10" => Pbes1::Sha1Des,
            "1.2.840.113549.1.5.11" => Pbes1::Sha1Rc2,
            "1.2.840.113549.1.12.1.1" => Pbes1::Pkcs12Rc4 { key_len: 16 },
            "1.2.840.113549.1.12.1.2" => Pbes1::Pkcs12Rc4 { key_len: 5 },
            "1.2.840.113549.1.12.1.3" => pkcs12(BulkCipher::TripleDesCbc, 24),
            "1.2.840.113549.1.12.1.4" => pkcs12(BulkCipher::TripleDesCbc, 16),
            "1.2.840.113549.1.12.1.5" => pkcs12(BulkCipher::Rc2Cbc40, 16),
            "1.2.840.113549.1.12.1.6" => pkcs12(BulkCipher::Rc2Cbc40, 5),
            _ => return None,
        })
    }

    /// The passphrase as bytes. For PKCS#12 it is a BMPString with its terminator; without any, some have the terminator
    /// alone and some, as GnuTLS with `--null-password`, nothing at all.
    fn passwords(self, password: &str) -> Vec<Zeroizing<Vec<u8>>> {
        if !matches!(self, Pbes1::Pkcs12 { .. } | Pbes1::Pkcs12Rc4 { .. }) {
            return vec![Zeroizing::new(password.into())];
        }
        // No more than its bytes: what grows leaves copies.
        let mut string = Vec::with_capacity(2 * (password.len() + 1));
        string.extend(password.encode_utf16().chain([0]).flat_map(u16::to_be_bytes));
        let nothing = password.is_empty().then(Vec::new);
        [string].into_iter().chain(nothing).map(Zeroizing::new).collect()
    }

    fn decrypt(self, password: &[u8], salt: &[u8], iterations: u32, data: &[u8]) -> Opened {
        if let Pbes1::Pkcs12Rc4 { key_len } = self {
            let key = pkcs12_kdf(password, salt, iterations, 1, key_len);
            let mut plain = Zeroizing::new(data.to_vec());
            Rc4::new_from_slice(&key).map_err(|_| PbeError::Wrong)?.apply_keystream(&mut plain);
            return Ok(plain);
        }
        let (cipher, iv) = self.cipher(password, salt, iterations);
        decrypt(cipher.ok_or(PbeError::Wrong)?, &iv, data)
    }

    /// The block cipher with its key, and the IV; all of these have blocks of eight bytes.
    fn cipher(self, password: &[u8], salt: &[u8], iterations: u32) -> (Option<BlockCipher>, Zeroizing<Vec<u8>>) {
        let Pbes1::Pkcs12 { cipher, key_len } = self else {
            // PBKDF1: eight bytes of key, eight of IV.
            let derived = match self {
                Pbes1::Md5Des | Pbes1::Md5Rc2 => pbkdf1::<Md5>(password, salt, iterations),
                _ => pbkdf1::<Sha1>(password, salt, iterations),
            };
            let (key, rest) = derived.split_at_checked(8).unwrap_or_default();
            let iv = Zeroizing::new(rest.iter().copied().take(8).collect());
            let cipher = match self {
                Pbes1::Md5Des | Pbes1::Sha1Des => BlockCipher::new(BulkCipher::DesCbc, key),
                _ => BlockCipher::rc2(key, 64),
            };
            return (cipher, iv);
        };
        let mut key = pkcs12_kdf(password, salt, iterations, 1, key_len);
        let iv = pkcs12_kdf(password, salt, iterations, 2, 8);
        let cipher = match cipher {
            BulkCipher::TripleDesCbc => {
                // Two keys: the first again in third place.
                let first: Zeroizing<Vec<u8>> = Zeroizing::new(key.iter().copied().take(24 - key_len).collect());
                key.extend_from_slice(&first);
                BlockCipher::new(BulkCipher::TripleDesCbc, &key)
            }
            _ => BlockCipher::rc2(&key, key_len * 8),
        };
        (cipher, iv)
    }
}

/// PBKDF1 (RFC 8018 section 5.1).
fn pbkdf1<D: Digest>(password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
    let mut state = D::new().chain_update(password).chain_update(salt).finalize();
    for _ in 1..iterations {
        state = D::digest(&state);
    }
    let out = Zeroizing::new(state.to_vec());
    state.zeroize();
    out
}

/// PKCS#12's key derivation with SHA-1 (RFC 7292 appendix B.2). `id`: 1 a key, 2 an IV.
fn pkcs12_kdf(password: &[u8], salt: &[u8], iterations: u32, id: u8, len: usize) -> Zeroizing<Vec<u8>> {
    const BLOCK: usize = 64;
    let stretched =
        |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().cycle().take(bytes.len().next_multiple_of(BLOCK)).collect() };
    let mut input = Zeroizing::new(stretched(salt));
    input.extend_from_slice(&Zeroizing::new(stretched(password)));
    let mut out = Zeroizing::new(Vec::with_capacity(len + 20));
    while out.len() < len {
        let mut a = Sha1::new().chain_update([id; BLOCK]).chain_update(&*input).finalize();
        for _ in 1..iterations {
            a = Sha1::digest(a);
        }
        out.extend_from_slice(&a);
        // Each block of the input plus the repeated digest plus one, modulo 2^512.
        for block in input.chunks_mut(BLOCK) {
            let mut carry = 1;
            let addend: [u8; BLOCK] = std::array::from_fn(|i| a.get(i % 20).copied().unwrap_or_default());
            for (digit, add) in block.iter_mut().zip(addend).rev() {
                let sum = u16::from(*digit) + u16::from(add) + carry;
                *digit = sum as u8;
                carry = sum >> 8;
            }
        }
        a.zeroize();
    }
    out.truncate(len);
    out
}

/// Opens a PEM block encrypted as its `DEK-Info` says (`AES-128-CBC,` and the IV in hex).
pub(super) fn open_dek(dek_info: &str, data: &[u8], password: &str) -> Opened {
    let (name, iv) = dek_info.split_once(',').ok_or(PbeError::Wrong)?;
    let name = name.trim();
    let iv = super::super::keylog::parse_hex(iv.trim().as_bytes()).ok_or(PbeError::Wrong)?;
    let Some((cipher, key_len)) = dek_cipher(name) else { return Err(PbeError::Method(name.into())) };
    let salt = iv.get(..8).ok_or(PbeError::Wrong)?;
    // OpenSSL's EVP_BytesToKey: MD5, one round.
    let mut key = Zeroizing::new(Vec::with_capacity(key_len + 16));
    let mut last = Zeroizing::new(Vec::new());
    while key.len() < key_len {
        let digest = Md5::new().chain_update(&*last).chain_update(password).chain_update(salt).finalize();
        last = Zeroizing::new(digest.to_vec());
        key.extend_from_slice(&last);
    }
    key.truncate(key_len);
    decrypt(block_cipher(cipher, &key).ok_or(PbeError::Wrong)?, &iv, data)
}

/// By OpenSSL's name.
fn dek_cipher(name: &str) -> Option<Known> {
    let known = |cipher: BulkCipher| Some((Some(cipher), cipher.key_len()));
    match name {
        "DES-CBC" => known(BulkCipher::DesCbc),
        "DES-EDE3-CBC" => known(BulkCipher::TripleDesCbc),
        "AES-128-CBC" => known(BulkCipher::Aes128Cbc),
        "AES-192-CBC" => Some((None, 24)),
        "AES-256-CBC" => known(BulkCipher::Aes256Cbc),
        "CAMELLIA-128-CBC" => known(BulkCipher::Camellia128Cbc),
        "CAMELLIA-256-CBC" => known(BulkCipher::Camellia256Cbc),
        "ARIA-128-CBC" => known(BulkCipher::Aria128Cbc),
        "ARIA-256-CBC" => known(BulkCipher::Aria256Cbc),
        "SEED-CBC" => known(BulkCipher::SeedCbc),
        "IDEA-CBC" => known(BulkCipher::IdeaCbc),
        _ => None,
    }
}

/// Decrypts and takes PKCS#7 padding off.
fn decrypt(cipher: BlockCipher, iv: &[u8], data: &[u8]) -> Opened {
    let block = cipher.block_len();
    if iv.len() != block || data.is_empty() || !data.len().is_multiple_of(block) {
        return Err(PbeError::Wrong);
    }
    let mut plain = Zeroizing::new(data.to_vec());
    cipher.decrypt_cbc(iv, &mut plain);
    let padding = usize::from(plain.last().copied().unwrap_or_default());
    let len = plain.len().checked_sub(padding).ok_or(PbeError::Wrong)?;
    let uniform = plain.iter().skip(len).all(|b| usize::from(*b) == padding);
    if padding == 0 || padding > block || !uniform {
        return Err(PbeError::Wrong);
    }
    plain.truncate(len);
    Ok(plain)
}
