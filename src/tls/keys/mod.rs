//! Private keys, pre-shared keys and key logs: everything that can open a session.
//!
//! A [`KeyRing`] is filled before (and, for secrets in pcapng blocks, while) a capture is read. Keys are matched to
//! sessions by the modulus in the server's certificate, never by address.

mod ber;
mod container;
mod error;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod load;
mod memory;
mod pbe;
mod pkcs12;
mod private;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

pub use self::error::KeyError;
pub use self::private::{PremasterError, PrivateKey};
use super::keylog::{Found, KeyLog, Tls13Label};
use super::secret::Secret;
use crate::event::SecretSource;

/// Asked for the passphrase of an encrypted key file, once a file; none where there is none.
pub type Password<'a> = &'a mut dyn FnMut(&Path) -> Option<Zeroizing<String>>;

/// All keys and key logs of a run. Cloning is cheap: the keys and logs are shared.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    keys: Vec<Arc<PrivateKey>>,
    by_modulus: HashMap<Vec<u8>, usize>,
    logs: Vec<Arc<KeyLog>>,
    psks: Vec<Secret>,
    others: Vec<OtherKey>,
}

/// A private key that opens nothing, as it is no RSA key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherKey {
    /// Its file.
    pub path: PathBuf,
    /// What it is, with its article: `an EC`.
    pub algorithm: &'static str,
}

/// Premaster secrets that a key opens together.
pub const TOGETHER: usize = 8;

/// Keys of other kinds that are remembered, for the explanation.
const MOST_OTHERS: usize = 16;

/// Each note once, with a count where it repeats.
fn told_once(notes: Vec<String>) -> Vec<String> {
    let mut counts = HashMap::new();
    notes.iter().for_each(|note| *counts.entry(note.clone()).or_insert(0u64) += 1);
    let once = notes.into_iter().filter_map(|note| counts.remove(&note).map(|count| (note, count)));
    once.map(|(note, count)| if count > 1 { format!("{note} ({count} times)") } else { note }).collect()
}

impl KeyRing {
    /// Without any.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key file, or each key of a folder and the folders in it. The notes say what was passed over: of a folder in
    /// one line, with another for each key that can't be used. A file without a usable key is an error, and so is a
    /// folder without any.
    pub fn add_key_path(&mut self, path: &Path, password: Password<'_>) -> Result<Vec<String>, KeyError> {
        let loaded = load::load(path, password);
        // Folders hold a key in several wrappings often.
        self.add_loaded(loaded, path.is_dir())
    }

    /// Adds the keys of a key file in memory; `name` stands for it in messages.
    pub fn add_key_bytes(
        &mut self,
        name: &Path,
        bytes: &[u8],
        password: Password<'_>,
    ) -> Result<Vec<String>, KeyError> {
        self.add_loaded(load::load_bytes(name, bytes, password), false)
    }

    fn add_loaded(&mut self, loaded: Result<load::Loaded, KeyError>, folder: bool) -> Result<Vec<String>, KeyError> {
        if let Err(KeyError::NotRsa { path, algorithm }) = &loaded {
            self.add_other(OtherKey { path: path.clone(), algorithm });
        }
        let loaded = loaded?;
        loaded.others.into_iter().for_each(|other| self.add_other(other));
        let mut notes = loaded.notes;
        for key in loaded.keys {
            if let Some(known) = self.by_modulus(key.modulus()) {
                if !folder {
                    notes.push(format!("{}: the same key as in {}", key.name(), known.name()));
                }
                continue;
            }
            self.by_modulus.insert(key.modulus().to_vec(), self.keys.len());
            self.keys.push(Arc::new(key));
        }
        Ok(told_once(notes))
    }

    fn add_other(&mut self, other: OtherKey) {
        if self.others.len() < MOST_OTHERS {
            self.others.push(other);
        }
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
        self.add_keylog_owned(name, Zeroizing::new(bytes.to_vec()), source)
    }

    /// As [`KeyRing::add_keylog_bytes`], without a copy.
    pub fn add_keylog_owned(&mut self, name: &str, bytes: Zeroizing<Vec<u8>>, source: SecretSource) -> Vec<String> {
        let log = KeyLog::from_owned(name.into(), bytes, source);
        let notes = log.notes();
        self.add_shared_keylog(Arc::new(log));
        notes
    }

    /// Adds a key log that another ring may have, too.
    pub fn add_shared_keylog(&mut self, mut log: Arc<KeyLog>) {
        // As with binary counters: few logs remain, and no line is indexed more than a few dozen times.
        // Captures that are read together take turns.
        while let Some(at) = self.logs.iter().rposition(|known| known.has_origin_of(&log))
            && let Some(merged) = self.logs.get(at).and_then(|last| last.merged(&log))
        {
            self.logs.remove(at);
            log = Arc::new(merged);
        }
        self.logs.push(log);
    }

    /// Adds a pre-shared key.
    pub fn add_psk(&mut self, key: &[u8]) {
        self.psks.push(Secret::new(key));
    }

    /// SHA-256 of everything in it: two rings with the same open the same sessions, and name the same files.
    pub fn digest(&self) -> [u8; 32] {
        use sha2::{Digest, Sha256};
        let mut digest = Sha256::new();
        for key in &self.keys {
            digest.update((key.name().len() as u64).to_le_bytes());
            digest.update(key.name());
            digest.update(key.modulus());
        }
        digest.update([0]);
        for log in &self.logs {
            log.identify(&mut digest);
        }
        digest.update([0]);
        for psk in &self.psks {
            digest.update((psk.len() as u64).to_le_bytes());
            digest.update(&psk[..]);
        }
        digest.finalize().into()
    }

    /// The private keys, in the order in which they were added.
    pub fn keys(&self) -> &[Arc<PrivateKey>] {
        &self.keys
    }

    /// Opens premaster secrets of many sessions together, where that takes less time, for [`PrivateKey::decrypt_premaster`]
    /// to remember; `encrypted` may hold anything. What it gains shows in [`KeyRing::opens_together`].
    pub fn open_ahead(&self, mut encrypted: Vec<&[u8]>) {
        self.keys.iter().for_each(|key| key.open_ahead(&mut encrypted));
    }

    /// Whether there is a key of which several operations together take less time than one by one.
    pub fn opens_together(&self) -> bool {
        self.keys.iter().any(|key| key.opens_together())
    }

    /// Private keys of other kinds that were given, the first few.
    pub fn others(&self) -> &[OtherKey] {
        &self.others
    }

    /// The pre-shared keys.
    pub fn psks(&self) -> &[Secret] {
        &self.psks
    }

    /// Whether there is any key log (DSBs count).
    pub fn has_keylog(&self) -> bool {
        !self.logs.is_empty()
    }

    /// Whether the user gave a key log; secrets inside captures are none.
    pub fn was_given_keylog(&self) -> bool {
        self.logs.iter().any(|log| log.was_given())
    }

    #[cfg(test)]
    pub(super) fn log_count(&self) -> usize {
        self.logs.len()
    }

    /// The key with that modulus (big-endian, leading zeros allowed).
    pub fn by_modulus(&self, modulus: &[u8]) -> Option<&PrivateKey> {
        let zeros = modulus.iter().take_while(|b| **b == 0).count();
        let index = self.by_modulus.get(modulus.get(zeros..)?)?;
        self.keys.get(*index).map(Arc::as_ref)
    }

    /// Master secret by client random (`CLIENT_RANDOM`).
    pub fn master_for_client_random(&self, random: &[u8; 32]) -> Option<Found> {
        self.logs.iter().find_map(|log| log.master(random))
    }

    /// Premaster secret by client random (`PMS_CLIENT_RANDOM`).
    pub fn premaster_for_client_random(&self, random: &[u8; 32]) -> Option<Found> {
        self.logs.iter().find_map(|log| log.premaster(random))
    }

    /// Premaster secret by the encrypted premaster (`RSA`), as on the wire without the length bytes.
    pub fn premaster_for_encrypted(&self, encrypted: &[u8]) -> Option<Found> {
        self.logs.iter().find_map(|log| log.encrypted(encrypted))
    }

    /// Master secret by session ID (`RSA Session-ID:… Master-Key:…`, or the block that `openssl s_client` prints).
    pub fn master_for_session_id(&self, id: &[u8]) -> Option<Found> {
        self.logs.iter().find_map(|log| log.session(id))
    }

    /// TLS 1.3 traffic secret.
    pub fn tls13_secret(&self, label: Tls13Label, random: &[u8; 32]) -> Option<Found> {
        self.logs.iter().find_map(|log| log.tls13(label, random))
    }

    /// Whether one of a session's first TLS 1.3 traffic secrets is there.
    pub fn knows_tls13(&self, random: &[u8; 32]) -> bool {
        const FIRST: [Tls13Label; 4] = [
            Tls13Label::ClientHandshake,
            Tls13Label::ServerHandshake,
            Tls13Label::ClientTraffic(0),
            Tls13Label::ServerTraffic(0),
        ];
        FIRST.into_iter().any(|label| self.tls13_secret(label, random).is_some())
    }

    /// One side's traffic secrets of logs with at most `most` entries, with their client randoms.
    pub fn traffic_secrets(&self, client: bool, most: usize) -> Vec<(Tls13Label, [u8; 32], Found)> {
        self.logs.iter().flat_map(|log| log.traffic_secrets(client, most)).take(most).collect()
    }
}
