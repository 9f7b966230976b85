//! Private keys, pre-shared keys and key logs: everything that can open a session.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::keylog::{Found, KeyLog, Tls13Label};
use super::secret::Secret;
use crate::event::SecretSource;

/// Why a key or key log can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It can't be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Asked for the passphrase of an encrypted key; none where there is none.
pub type Password<'a> = &'a mut dyn FnMut(&Path) -> Option<Zeroizing<String>>;

/// An RSA private key.
pub struct PrivateKey {
    name: Arc<str>,
    modulus: Vec<u8>,
}

/// The private key did not make a premaster secret of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PremasterError {
    /// Longer than the modulus, or not below it.
    Range,
    /// What came out has no PKCS#1 v1.5 padding: another key's, or damaged.
    Padding,
    /// The premaster is not 48 bytes.
    Length,
}

impl PrivateKey {
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
        0
    }

    /// The 48-byte premaster secret of a ClientKeyExchange. The two length bytes that TLS puts before it (and SSL 3.0
    /// does not) are the caller's to strip.
    pub fn decrypt_premaster(&self, encrypted: &[u8]) -> Result<Secret, PremasterError> {
        let _ = encrypted;
        Err(PremasterError::Padding)
    }
}

/// All keys and key logs of a run. Cloning is cheap: the keys and logs are shared.
#[derive(Clone, Default)]
pub struct KeyRing {
    keys: Vec<Arc<PrivateKey>>,
    logs: Vec<Arc<KeyLog>>,
    psks: Vec<Secret>,
}

impl KeyRing {
    /// Without any.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key file, or each key of a folder. The notes say what was passed over.
    pub fn add_key_path(&mut self, path: &Path, password: Password<'_>) -> Result<Vec<String>, KeyError> {
        let _ = (path, password);
        Ok(Vec::new())
    }

    /// Adds a key log file. The notes say what was odd in it.
    pub fn add_keylog(&mut self, path: &Path) -> Result<Vec<String>, KeyError> {
        let log = KeyLog::open(path)?;
        let notes = log.notes();
        self.logs.push(Arc::new(log));
        Ok(notes)
    }

    /// Adds a key log in memory: `source` is [`SecretSource::KeyLog`] or [`SecretSource::Dsb`].
    pub fn add_keylog_bytes(&mut self, name: &str, bytes: &[u8], source: SecretSource) -> Vec<String> {
        let log = KeyLog::from_bytes(name, bytes, source);
        let notes = log.notes();
        self.logs.push(Arc::new(log));
        notes
    }

    /// Adds a key log that another ring has, too.
    pub fn add_shared_keylog(&mut self, log: Arc<KeyLog>) {
        self.logs.push(log);
    }

    /// Adds a pre-shared key.
    pub fn add_psk(&mut self, key: &[u8]) {
        self.psks.push(Secret::new(key));
    }

    /// The private keys.
    pub fn keys(&self) -> &[Arc<PrivateKey>] {
        &self.keys
    }

    /// The pre-shared keys.
    pub fn psks(&self) -> &[Secret] {
        &self.psks
    }

    /// Whether there is any key log (DSBs count).
    pub fn has_keylog(&self) -> bool {
        !self.logs.is_empty()
    }

    /// The key with that modulus (big-endian, leading zeros allowed).
    pub fn by_modulus(&self, modulus: &[u8]) -> Option<&PrivateKey> {
        let _ = modulus;
        None
    }

    /// Master secret by client random (`CLIENT_RANDOM`).
    pub fn master_for_client_random(&self, random: &[u8; 32]) -> Option<Found> {
        let _ = random;
        None
    }

    /// Premaster secret by client random (`PMS_CLIENT_RANDOM`).
    pub fn premaster_for_client_random(&self, random: &[u8; 32]) -> Option<Found> {
        let _ = random;
        None
    }

    /// Premaster secret by the encrypted premaster (`RSA`), as on the wire without the length bytes.
    pub fn premaster_for_encrypted(&self, encrypted: &[u8]) -> Option<Found> {
        let _ = encrypted;
        None
    }

    /// Master secret by session ID (`RSA Session-ID:… Master-Key:…`, or the block that `openssl s_client` prints).
    pub fn master_for_session_id(&self, id: &[u8]) -> Option<Found> {
        let _ = id;
        None
    }

    /// TLS 1.3 traffic secret.
    pub fn tls13_secret(&self, label: Tls13Label, random: &[u8; 32]) -> Option<Found> {
        let _ = (label, random);
        None
    }
}
