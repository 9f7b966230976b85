//! NSS key logs: secrets that an endpoint wrote down (`SSLKEYLOGFILE`, RFC 9850), and the session blocks that
//! `openssl s_client` prints.
//!
//! A log of ten million lines is no reason to hold them: large files stay on disk, and sixteen bytes a line are kept,
//! a hash of what a secret is found by and the line's offset. A lookup reads the line again and compares in full.

mod entry;
mod line;
mod prose;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

pub use self::entry::{Entry, Label};
use self::line::{Class, Line};
pub(crate) use self::prose::{entries, mask};
use super::keys::KeyError;
use super::secret::Secret;
use crate::event::SecretSource;

/// Longest line that can be an entry: a premaster secret of 2048 bytes.
const MAX_LINE: usize = 8192;

/// Bytes looked at together; longer than any line that can be an entry.
const WINDOW: usize = 256 << 10;

/// Files up to this size are held in memory.
const SMALL_FILE: u64 = 4 << 20;

/// What is read from a pipe at most: it can't be read again, so it has to be held.
const MAX_PIPE: u64 = 512 << 20;

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
    pub file: Arc<str>,
}

/// A key log, indexed. Shared between the key rings of several threads.
pub struct KeyLog {
    name: Arc<str>,
    source: SecretSource,
    store: Store,
    /// Hash and offset of each entry, sorted.
    index: Vec<(u64, u64)>,
    /// Keyed at random, so that nobody can write a log of collisions. No result depends on it.
    hasher: RandomState,
    lines: u64,
    bad: u64,
    first_bad: u64,
}

enum Store {
    Memory(Zeroizing<Vec<u8>>),
    File(Mutex<File>),
}

impl KeyLog {
    /// Reads and indexes a file, or a pipe. An empty file is a key log in which nothing was logged yet.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let io = |source| KeyError::Io { path: path.into(), source };
        let mut file = File::open(path).map_err(io)?;
        let meta = file.metadata().map_err(io)?;
        let mut head = Vec::new();
        (&mut file).take(2).read_to_end(&mut head).map_err(io)?;
        let wide = matches!(head.as_slice(), [0xff, 0xfe] | [0xfe, 0xff]);
        let name: Arc<str> = path.to_string_lossy().into();
        let log = if meta.is_file() && meta.len() > SMALL_FILE && !wide {
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            let mut log = KeyLog::new(name, SecretSource::KeyLog, Store::Memory(Zeroizing::default()));
            log.scan(&mut file, WINDOW).map_err(io)?;
            log.store = Store::File(Mutex::new(file));
            log
        } else {
            let mut bytes = Zeroizing::new(head);
            file.take(MAX_PIPE).read_to_end(&mut bytes).map_err(io)?;
            match decode_utf16(&bytes) {
                Some(text) => KeyLog::from_bytes(&name, text.as_bytes(), SecretSource::KeyLog),
                None => KeyLog::from_owned(name, bytes, SecretSource::KeyLog),
            }
        };
        if log.index.is_empty() && log.bad > 0 {
            return Err(KeyError::NotAKeyLog { path: path.into(), lines: log.lines });
        }
        Ok(log)
    }

    /// Indexes bytes, as from a DSB.
    pub fn from_bytes(name: &str, bytes: &[u8], source: SecretSource) -> Self {
        KeyLog::from_owned(name.into(), Zeroizing::new(bytes.to_vec()), source)
    }

    pub(super) fn from_owned(name: Arc<str>, bytes: Zeroizing<Vec<u8>>, source: SecretSource) -> Self {
        let mut log = KeyLog::new(name, source, Store::Memory(Zeroizing::default()));
        // Reading from memory does not fail.
        let _ = log.scan(&mut bytes.as_slice(), WINDOW.min(bytes.len() + 1));
        log.store = Store::Memory(bytes);
        log
    }

    fn new(name: Arc<str>, source: SecretSource, store: Store) -> Self {
        let hasher = RandomState::new();
        KeyLog { name, source, store, index: Vec::new(), hasher, lines: 0, bad: 0, first_bad: 0 }
    }

    /// Whether it was given as a file, and is none of a capture's own blocks.
    pub(super) fn was_given(&self) -> bool {
        self.source == SecretSource::KeyLog
    }

    /// Whether the other log comes from the same file, in the same way.
    pub(super) fn has_origin_of(&self, other: &KeyLog) -> bool {
        self.name == other.name && self.source == other.source
    }

    /// Both logs' lines in one, if both are in memory and have the same origin: a capture can have a block of secrets a
    /// session, and lookups should not go through them one by one.
    pub(super) fn merged(&self, later: &KeyLog) -> Option<KeyLog> {
        let (Store::Memory(a), Store::Memory(b)) = (&self.store, &later.store) else { return None };
        (self.has_origin_of(later) && a.len() <= b.len().saturating_mul(2)).then(|| {
            let mut bytes = Zeroizing::new(Vec::with_capacity(a.len() + 1 + b.len()));
            bytes.extend_from_slice(a);
            bytes.push(b'\n');
            bytes.extend_from_slice(b);
            KeyLog::from_owned(self.name.clone(), bytes, self.source)
        })
    }

    /// Entries that can be looked up.
    pub fn entries(&self) -> usize {
        self.index.len()
    }

    /// Feeds what tells this log from another one, or from itself at another time, to a digest.
    pub(super) fn identify(&self, digest: &mut sha2::Sha256) {
        use sha2::Digest;
        digest.update(self.name.as_bytes());
        digest.update(self.lines.to_le_bytes());
        digest.update((self.index.len() as u64).to_le_bytes());
        // A large file only grows: its lines are not read once more.
        if let Store::Memory(bytes) = &self.store {
            digest.update(bytes.as_slice());
        }
    }

    /// What was odd in it.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.bad > 0 {
            notes.push(format!(
                "{}: {} of {} lines are no key log entries (the first is line {})",
                self.name, self.bad, self.lines, self.first_bad
            ));
        }
        if self.index.is_empty() {
            notes.push(format!("{}: no secrets in this key log", self.name));
        }
        notes
    }

    /// Goes through the lines and fills the index.
    fn scan(&mut self, input: &mut dyn Read, window: usize) -> std::io::Result<()> {
        let mut buffer = Zeroizing::new(vec![0; window]);
        let mut filled = 0;
        let mut offset = 0u64;
        // Offset of the last `Session-ID:` line, and its value.
        let mut session: Option<(u64, Vec<u8>)> = None;
        // Within a line too long to be one.
        let mut oversized = false;
        loop {
            let room = buffer.get_mut(filled..).unwrap_or_default();
            let read = match input.read(room) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            filled += read;
            let data = buffer.get(..filled).unwrap_or_default();
            let mut consumed = 0;
            while let Some(rest) = data.get(consumed..)
                && !rest.is_empty()
            {
                let end = rest.iter().position(|b| *b == b'\n');
                let len = match end {
                    Some(end) => end,
                    None if read == 0 => rest.len(),
                    None if rest.len() > MAX_LINE => {
                        oversized = true;
                        consumed = data.len();
                        break;
                    }
                    None => break,
                };
                let line = rest.get(..len).unwrap_or_default();
                let at = offset + consumed as u64;
                self.line(if std::mem::take(&mut oversized) { None } else { Some(line) }, at, &mut session);
                consumed += len + usize::from(end.is_some());
            }
            buffer.copy_within(consumed..filled, 0);
            filled -= consumed;
            offset += consumed as u64;
            if read == 0 {
                break;
            }
        }
        self.index.sort_unstable();
        self.index.shrink_to_fit();
        Ok(())
    }

    fn line(&mut self, text: Option<&[u8]>, offset: u64, session: &mut Option<(u64, Vec<u8>)>) {
        self.lines += 1;
        match text.filter(|t| t.len() <= MAX_LINE).map_or(Line::Bad, line::parse) {
            Line::Blank | Line::Unused => {}
            Line::Entry { class, key, .. } => {
                let hash = self.hash(class, key);
                self.index.push((hash, offset));
            }
            Line::SessionId(id) => *session = Some((offset, id.to_vec())),
            Line::MasterKey(master) => {
                if let Some((start, id)) = session.take()
                    && offset.saturating_sub(start) < MAX_LINE as u64 / 2
                    && line::session(&id, master).is_some()
                {
                    let hash = self.hash(Class::SessionId, &id);
                    self.index.push((hash, start));
                }
            }
            Line::Bad => {
                self.bad += 1;
                if self.first_bad == 0 {
                    self.first_bad = self.lines;
                }
            }
        }
    }

    /// `key` is in hex digits of either case.
    fn hash(&self, class: Class, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(class.tag());
        // No key is longer than 32 bytes.
        let mut bytes = [0; 32];
        let (pairs, _) = key.as_chunks::<2>();
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high).unwrap_or_default() << 4 | digit(*low).unwrap_or_default();
        }
        hasher.write(bytes.get(..pairs.len()).unwrap_or(&bytes));
        hasher.finish()
    }

    /// The secret under `key`; of several, the last one logged.
    fn find(&self, class: Class, key: &[u8]) -> Option<Found> {
        let digits: Vec<u8> = key.iter().flat_map(|b| [hex_digit(b >> 4), hex_digit(b & 15)]).collect();
        let hash = self.hash(class, &digits);
        let from = self.index.partition_point(|(h, _)| *h < hash);
        let to = self.index.partition_point(|(h, _)| *h <= hash);
        // Equal hashes are duplicates, or so rare that a few more reads do not matter.
        let offsets = self.index.get(from..to)?;
        offsets.iter().rev().take(64).find_map(|(_, offset)| self.secret_at(*offset, class, &digits))
    }

    /// Parses the entry at `offset` and compares it.
    fn secret_at(&self, offset: u64, class: Class, digits: &[u8]) -> Option<Found> {
        self.entry_at(offset, |found, key, secret| {
            (found == class && key.eq_ignore_ascii_case(digits)).then(|| self.found(secret))?
        })
    }

    fn found(&self, secret: &[u8]) -> Option<Found> {
        Some(Found { secret: Secret::from(parse_hex(secret)?), source: self.source, file: self.name.clone() })
    }

    /// Hands the entry at `offset` to `f`: what it is, key and secret in hex digits.
    fn entry_at<T>(&self, offset: u64, f: impl FnOnce(Class, &[u8], &[u8]) -> Option<T>) -> Option<T> {
        let from_file;
        let text = match &self.store {
            Store::Memory(bytes) => bytes.get(usize::try_from(offset).ok()?..)?,
            Store::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(offset)).ok()?;
                let mut buffer = Zeroizing::new(Vec::with_capacity(MAX_LINE));
                (&mut *file).take(MAX_LINE as u64).read_to_end(&mut buffer).ok()?;
                from_file = buffer;
                from_file.as_slice()
            }
        };
        let mut lines = text.split(|b| *b == b'\n');
        let entry = match line::parse(lines.next()?) {
            Line::SessionId(id) => {
                let master = lines.take(64).find_map(|l| match line::parse(l) {
                    Line::MasterKey(master) => Some(master),
                    _ => None,
                })?;
                line::session(id, master)?
            }
            other => other,
        };
        let Line::Entry { class, key, secret } = entry else { return None };
        f(class, key, secret)
    }

    /// The traffic secrets of one side, with their client randoms, in the order of the log: for
    /// a session whose client random was not captured. None of a log that has more than `most` entries.
    pub(super) fn traffic_secrets(&self, client: bool, most: usize) -> Vec<(Tls13Label, [u8; 32], Found)> {
        if self.index.len() > most {
            return Vec::new();
        }
        let mut offsets: Vec<u64> = self.index.iter().map(|(_, offset)| *offset).collect();
        offsets.sort_unstable();
        let entry = |offset| {
            self.entry_at(offset, |class, key, secret| {
                let Class::Tls13(label) = class else { return None };
                let wanted = match label {
                    Tls13Label::ClientEarly | Tls13Label::ClientHandshake | Tls13Label::ClientTraffic(_) => client,
                    Tls13Label::ServerHandshake | Tls13Label::ServerTraffic(_) => !client,
                };
                let random = parse_hex(key)?.try_into().ok()?;
                wanted.then(|| self.found(secret).map(|found| (label, random, found)))?
            })
        };
        offsets.into_iter().filter_map(entry).collect()
    }

    pub(super) fn master(&self, random: &[u8; 32]) -> Option<Found> {
        self.find(Class::Master, random)
    }

    pub(super) fn premaster(&self, random: &[u8; 32]) -> Option<Found> {
        self.find(Class::Premaster, random)
    }

    pub(super) fn encrypted(&self, encrypted: &[u8]) -> Option<Found> {
        self.find(Class::Encrypted, encrypted.get(..8)?)
    }

    pub(super) fn session(&self, id: &[u8]) -> Option<Found> {
        self.find(Class::SessionId, id)
    }

    pub(super) fn tls13(&self, label: Tls13Label, random: &[u8; 32]) -> Option<Found> {
        self.find(Class::Tls13(label), random)
    }
}

impl std::fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyLog").field("name", &self.name).field("entries", &self.index.len()).finish_non_exhaustive()
    }
}

/// Whether the first line that says anything is an entry: for telling people that gave a key log as a key.
pub(super) fn looks_like_one(bytes: &[u8]) -> bool {
    bytes
        .split(|b| *b == b'\n')
        .take(64)
        .map(line::parse)
        .find(|line| *line != Line::Blank)
        .is_some_and(|line| matches!(line, Line::Entry { .. } | Line::Unused))
}

/// Bytes of an even number of hex digits.
pub(super) fn parse_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(pairs.len());
    for [high, low] in pairs {
        out.push(digit(*high)? << 4 | digit(*low)?);
    }
    Some(out)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + (nibble & 15) - 10,
    }
}

/// Text that Windows tools saved as UTF-16 with a byte order mark.
pub(super) fn decode_utf16(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let (mark, rest) = bytes.split_first_chunk::<2>()?;
    let unit: fn([u8; 2]) -> u16 = match mark {
        [0xff, 0xfe] => u16::from_le_bytes,
        [0xfe, 0xff] => u16::from_be_bytes,
        _ => return None,
    };
    let (units, _) = rest.as_chunks::<2>();
    let units: Zeroizing<Vec<u16>> = Zeroizing::new(units.iter().map(|u| unit(*u)).collect());
    Some(Zeroizing::new(String::from_utf16_lossy(&units)))
}
