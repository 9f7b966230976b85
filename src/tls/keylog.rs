//! NSS key logs: secrets that an endpoint wrote down.

use std::path::Path;

use super::keys::KeyError;
use super::secret::Secret;
use crate::event::SecretSource;

/// Which of TLS 1.3's traffic secrets.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tls13Label {
    /// `CLIENT_EARLY_TRAFFIC_SECRET`.
    ClientEarly,
    /// `CLIENT_HANDSHAKE_TRAFFIC_SECRET`.
    ClientHandshake,
    /// `SERVER_HANDSHAKE_TRAFFIC_SECRET`.
    ServerHandshake,
    /// `CLIENT_TRAFFIC_SECRET_n`: n is 0, or the number of KeyUpdates before.
    ClientTraffic(u32),
    /// `SERVER_TRAFFIC_SECRET_n`.
    ServerTraffic(u32),
}

/// A secret that a key log or DSB had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The secret.
    pub secret: Secret,
    /// Key log or DSB.
    pub source: SecretSource,
    /// Name of the file.
    pub file: std::sync::Arc<str>,
}

/// A key log, indexed. Shared between the key rings of several threads.
pub struct KeyLog {}

impl KeyLog {
    /// Reads and indexes a file.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let _ = path;
        Ok(KeyLog {})
    }

    /// Indexes bytes, as from a DSB.
    pub fn from_bytes(name: &str, bytes: &[u8], source: SecretSource) -> Self {
        let _ = (name, bytes, source);
        KeyLog {}
    }

    /// What was odd in it.
    pub fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
