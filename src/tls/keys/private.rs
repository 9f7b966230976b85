//! An RSA private key and the one operation that passive decryption needs of it.

use std::sync::{Arc, Mutex, PoisonError};

use pkcs1::RsaPrivateKeyRef;
use pkcs1::der::Decode;
use rsa::BoxedUint;
use rsa::hazmat::rsa_decrypt;
use rsa::traits::PublicKeyParts;
use zeroize::Zeroizing;

use super::super::secret::Secret;
#[cfg(target_arch = "x86_64")]
use super::TOGETHER;
#[cfg(target_arch = "x86_64")]
use super::lanes::{Lanes, SIZE};
use super::memory::{Memory, hash};

/// Length of the premaster secret of the RSA key exchange.
const PREMASTER_LEN: usize = 48;

/// Primes of a key, as many as OpenSSL takes.
const MOST_PRIMES: usize = 5;

/// With fewer lanes in use, one by one takes no longer.
#[cfg(target_arch = "x86_64")]
const FEWEST_TOGETHER: usize = 5;

/// The private key did not make a premaster secret of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PremasterError {
    /// Longer than the modulus, or not below it.
    Range,
    /// What came out has no PKCS#1 v1.5 padding: encrypted to another key, or damaged.
    Padding,
    /// The premaster is not 48 bytes.
    Length,
}

/// An RSA private key. Never shown, zeroised on drop.
pub struct PrivateKey {
    name: Arc<str>,
    modulus: Vec<u8>,
    rsa: rsa::PrivateKey,
    #[cfg(feature = "aws-lc")]
    fast: Option<aws_lc_rs::rsa::Pkcs1PrivateDecryptingKey>,
    #[cfg(target_arch = "x86_64")]
    lanes: Option<Lanes>,
    memory: Mutex<Memory>,
}

impl PrivateKey {
    /// From PKCS#1's `RSAPrivateKey`. The error says what is wrong, without the key's values.
    pub(super) fn from_pkcs1(name: Arc<str>, der: &[u8]) -> Result<Self, String> {
        let parts = RsaPrivateKeyRef::from_der(der).map_err(|e| e.to_string())?;
        let others = parts.other_prime_infos.unwrap_or_default();
        if others.len() > MOST_PRIMES - 2 {
            return Err(format!("more than {MOST_PRIMES} primes"));
        }
        let modulus = parts.modulus.as_bytes().to_vec();
        let bits = u32::try_from(modulus.len()).ok().and_then(|n| n.checked_mul(8)).ok_or("absurd length")?;
        if !(256..=16_384).contains(&bits) {
            return Err(format!("{bits} bits"));
        }
        let number =
            |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).map_err(|_| "numbers longer than the modulus");
        let n = number(parts.modulus.as_bytes())?;
        let e = number(parts.public_exponent.as_bytes())?;
        let d = Zeroizing::new(number(parts.private_exponent.as_bytes())?);
        let primes = [parts.prime1, parts.prime2].into_iter().chain(others.into_iter().map(|other| other.prime));
        let primes = primes.map(|prime| number(prime.as_bytes()).map(Zeroizing::new)).collect::<Result<Vec<_>, _>>()?;
        // The key wipes its own copies.
        let own_d = || (*d).clone();
        let own_primes = || primes.iter().map(|prime| (**prime).clone()).collect();
        let rsa = rsa::PrivateKey::from_components(n.clone(), e.clone(), own_d(), own_primes())
            // Primes of unequal length are unusual, not wrong; nor are long public exponents.
            .or_else(|error| match error {
                rsa::Error::PublicExponentTooLarge => {
                    rsa::PrivateKey::from_components_with_large_exponent(n, e, own_d(), own_primes())
                }
                _ => rsa::PrivateKey::from_components_with_wide_primes(n, e, own_d(), own_primes()),
            })
            .map_err(|e| e.to_string())?;
        Ok(PrivateKey {
            name,
            modulus,
            #[cfg(feature = "aws-lc")]
            fast: fast_key(der),
            #[cfg(target_arch = "x86_64")]
            lanes: Lanes::new(&rsa),
            rsa,
            memory: Mutex::default(),
        })
    }

    /// The file it came from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Modulus, big-endian without leading zeros.
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> usize {
        let zeros = self.modulus.first().map_or(0, |b| b.leading_zeros() as usize);
        (self.modulus.len() * 8).saturating_sub(zeros)
    }

    /// The 48-byte premaster secret of a ClientKeyExchange. The two length bytes that TLS puts before the ciphertext
    /// (and SSL 3.0 does not) are the caller's to strip. The same ciphertext costs one private operation, not two.
    ///
    /// Unlike a server's, this answer is definite: a wrong key shows as an error, it does not yield a random secret.
    pub fn decrypt_premaster(&self, encrypted: &[u8]) -> Result<Secret, PremasterError> {
        let hash = hash(encrypted);
        if let Some(known) = self.memory().recall(&hash) {
            return known;
        }
        let result = self.decrypt(encrypted).and_then(premaster);
        self.memory().keep(hash, result.clone());
        result
    }

    /// See [`super::KeyRing::open_ahead`]; what it opens, it takes out.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn open_ahead(&self, encrypted: &mut Vec<&[u8]>) {
        let Some(lanes) = &self.lanes else { return };
        let mut memory = self.memory();
        let zeros = SIZE.saturating_sub(self.modulus.len());
        // Of equal length, so the bytes' order is the numbers'.
        let fits = |bytes: &&&[u8]| bytes.len() == self.modulus.len() && **bytes < &self.modulus[..];
        let hashed = encrypted.iter().filter(fits).map(|bytes| (hash(bytes), *bytes));
        let fitting: Vec<([u8; 32], &[u8])> = hashed.filter(|(hash, _)| !memory.knows(hash)).collect();
        for group in fitting.chunks(TOGETHER) {
            if group.len() < FEWEST_TOGETHER || !memory.may_go_ahead(group.len()) {
                return;
            }
            drop(memory);
            let mut numbers = [[0; SIZE]; TOGETHER];
            let digits = numbers.iter_mut().filter_map(|number| number.get_mut(zeros..));
            digits.zip(group).for_each(|(digits, (_, bytes))| digits.copy_from_slice(bytes));
            let opened = lanes.decrypt(&numbers);
            memory = self.memory();
            for ((hash, bytes), block) in group.iter().zip(&*opened) {
                // What is none may be another key's.
                if let Ok(secret) = unpad(block.get(zeros..).unwrap_or_default()).and_then(premaster) {
                    memory.keep_ahead(*hash, secret);
                    encrypted.retain(|other| other != bytes);
                }
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn open_ahead(&self, _encrypted: &mut Vec<&[u8]>) {}

    /// See [`super::KeyRing::opens_together`].
    pub(super) fn opens_together(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.lanes.is_some();
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    #[cfg(test)]
    pub(super) fn remember(&self, encrypted: &[u8], secret: Secret) {
        self.memory().keep(hash(encrypted), Ok(secret));
    }

    #[cfg(test)]
    pub(super) fn remembers(&self, encrypted: &[u8]) -> bool {
        self.memory().knows(&hash(encrypted))
    }

    #[cfg(test)]
    pub(super) fn rsa(&self) -> &rsa::PrivateKey {
        &self.rsa
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decrypt(&self, encrypted: &[u8]) -> Result<Secret, PremasterError> {
        let len = self.modulus.len();
        // Some stacks drop leading zeros, some add them.
        let start = encrypted.iter().position(|b| *b != 0).unwrap_or(encrypted.len());
        let digits = encrypted.get(start..).unwrap_or_default();
        let pad = len.checked_sub(digits.len()).ok_or(PremasterError::Range)?;
        let mut padded = vec![0; pad];
        padded.extend_from_slice(digits);
        #[cfg(feature = "aws-lc")]
        if let Some(fast) = &self.fast {
            let mut out = Zeroizing::new(vec![0; len]);
            return fast.decrypt(&padded, &mut out).map(|p| Secret::new(p)).map_err(|_| PremasterError::Padding);
        }
        self.decrypt_portably(&padded)
    }

    /// The raw operation of the `rsa` crate, whose own unpadding answers a wrong key with a random secret.
    pub(super) fn decrypt_portably(&self, padded: &[u8]) -> Result<Secret, PremasterError> {
        let c = BoxedUint::from_be_slice(padded, self.rsa.n().bits_precision()).map_err(|_| PremasterError::Range)?;
        // Without blinding: there is no one to watch the time it takes.
        let m = rsa_decrypt::<NoRng>(None, &self.rsa, &c).map_err(|_| PremasterError::Range)?;
        let encoded = Zeroizing::new(m.to_be_bytes());
        let from = encoded.len().saturating_sub(self.modulus.len());
        unpad(encoded.get(from..).unwrap_or_default())
    }
}

/// Of what was encrypted, if it has the length.
fn premaster(secret: Secret) -> Result<Secret, PremasterError> {
    if secret.len() == PREMASTER_LEN { Ok(secret) } else { Err(PremasterError::Length) }
}

/// Takes PKCS#1 v1.5 encryption padding off (RFC 8017 section 7.2.2): 00 02, eight or more bytes that are not zero, 00.
fn unpad(encoded: &[u8]) -> Result<Secret, PremasterError> {
    let Some((&[0, 2], rest)) = encoded.split_first_chunk() else { return Err(PremasterError::Padding) };
    let padding = rest.iter().position(|b| *b == 0).ok_or(PremasterError::Padding)?;
    if padding < 8 {
        return Err(PremasterError::Padding);
    }
    rest.get(padding + 1..).map(Secret::new).ok_or(PremasterError::Padding)
}

/// AWS-LC takes keys of 2048 to 8192 bits; none for the others.
#[cfg(feature = "aws-lc")]
fn fast_key(pkcs1: &[u8]) -> Option<aws_lc_rs::rsa::Pkcs1PrivateDecryptingKey> {
    use pkcs1::der::asn1::OctetStringRef;
    let info = pkcs8::PrivateKeyInfoRef::new(pkcs1::ALGORITHM_ID, OctetStringRef::new(pkcs1).ok()?);
    let document = pkcs8::SecretDocument::try_from(info).ok()?;
    let key = aws_lc_rs::rsa::PrivateDecryptingKey::from_pkcs8(document.as_bytes()).ok()?;
    aws_lc_rs::rsa::Pkcs1PrivateDecryptingKey::new(key).ok()
}

/// The type of a generator for blinding; there is none.
pub(super) enum NoRng {}

impl rsa::rand_core::TryRng for NoRng {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        match *self {}
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        match *self {}
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
        match *self {}
    }
}

impl rsa::rand_core::TryCryptoRng for NoRng {}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey").field("name", &self.name).field("bits", &self.bits()).finish_non_exhaustive()
    }
}
