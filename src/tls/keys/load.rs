//! Key files and folders of them.

use crate::fmt::count;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pkcs8::der::Decode;
use zeroize::Zeroizing;

use super::ber;
use super::container::{BEGIN, Shape, algorithm_name, other_format, pem_blocks, shape};
use super::error::KeyError;
use super::pbe::{self, PbeError, Work};
use super::pkcs12;
use super::private::PrivateKey;
use super::{OtherKey, Password};

/// Largest key file: a bundle of many keys and chains stays far below.
const MAX_FILE: u64 = 16 << 20;

/// Larger files in a folder are not looked into.
const MAX_FILE_IN_FOLDER: u64 = 1 << 20;

/// Files of a folder, with those below it, that are looked at.
const MAX_FILES: usize = 10_000;

/// Depth of folders.
const MAX_DEPTH: usize = 8;

/// What a file or folder gave.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) keys: Vec<PrivateKey>,
    pub(super) others: Vec<OtherKey>,
    pub(super) notes: Vec<String>,
}

/// Loads a file, or every file of a folder.
pub(super) fn load(path: &Path, password: Password<'_>) -> Result<Loaded, KeyError> {
    if std::fs::metadata(path).map_err(|e| io(path, e))?.is_dir() {
        load_folder(path, password)
    } else {
        load_file(path, password, MAX_FILE)
    }
}

fn io(path: &Path, source: std::io::Error) -> KeyError {
    KeyError::Io { path: path.into(), source }
}

fn load_folder(folder: &Path, password: Password<'_>) -> Result<Loaded, KeyError> {
    let mut files = Vec::new();
    collect(folder, 0, &mut files).map_err(|e| io(folder, e))?;
    let mut all = Loaded::default();
    let mut passed_over = Vec::new();
    for path in &files {
        match load_file(path, password, MAX_FILE_IN_FOLDER) {
            Ok(loaded) => {
                all.keys.extend(loaded.keys);
                all.others.extend(loaded.others);
                all.notes.extend(loaded.notes);
            }
            Err(error) => passed_over.push(error),
        }
    }
    if all.keys.is_empty() {
        // The one that says most first.
        passed_over.sort_by_key(|error| std::cmp::Reverse(weight(error)));
        let notes = passed_over.iter().map(ToString::to_string).collect();
        return Err(KeyError::NoKeys { path: folder.into(), files: files.len(), notes });
    }
    all.others.extend(passed_over.iter().filter_map(other));
    if !passed_over.is_empty() {
        all.notes.push(summary(folder, all.keys.len(), &passed_over));
    }
    // Certificates and the like are no news; a key that could have been one is.
    let broken = passed_over.iter().filter(|error| weight(error) >= BROKEN && !is_locked(error));
    all.notes.extend(broken.map(|error| format!("skipped {error}")));
    if files.len() >= MAX_FILES {
        all.notes.push(format!("{}: more than {MAX_FILES} files, the rest was not looked at", folder.display()));
    }
    Ok(all)
}

/// The key of another kind that a file held.
fn other(error: &KeyError) -> Option<OtherKey> {
    match error {
        KeyError::NotRsa { path, algorithm } => Some(OtherKey { path: path.clone(), algorithm }),
        _ => None,
    }
}

fn is_locked(error: &KeyError) -> bool {
    matches!(error, KeyError::PasswordMissing { .. })
}

/// `keys: 3 RSA keys; 5 other files passed over, 2 of them keys of other kinds`.
fn summary(folder: &Path, keys: usize, passed_over: &[KeyError]) -> String {
    let others = passed_over.iter().filter_map(other).count();
    let locked = passed_over.iter().filter(|error| is_locked(error)).count();
    let mut of_them = String::new();
    if others > 0 {
        of_them = format!(", {others} of them keys of other kinds");
    }
    if locked > 0 {
        of_them += &format!(
            ", {locked} of them encrypted, with no password given (--key-password-file or MAILCAP_KEY_PASSWORD)"
        );
    }
    let files = count(passed_over.len() as u64, "other file");
    format!("{}: {}; {files} skipped{of_them}", folder.display(), count(keys as u64, "RSA key"))
}

/// The folder's files in the order of their names, so that runs agree.
fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder)?.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
    entries.sort();
    for path in entries {
        if files.len() >= MAX_FILES {
            break;
        }
        // Follows links to files (as Let's Encrypt lays its keys out), not to folders: no cycles.
        if path.is_dir() {
            if depth < MAX_DEPTH && !path.is_symlink() {
                // A folder below that can't be read does not spoil the rest.
                let _ = collect(&path, depth + 1, files);
            }
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn load_file(path: &Path, password: Password<'_>, max: u64) -> Result<Loaded, KeyError> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|e| io(path, e))?;
    let len = file.metadata().map_or(0, |file| file.len()).min(max);
    // What grows leaves copies.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1));
    file.take(max + 1).read_to_end(&mut bytes).map_err(|e| io(path, e))?;
    if bytes.len() as u64 > max {
        return Err(KeyError::NotAKey { path: path.into() });
    }
    load_bytes(path, &bytes, password)
}

/// Loads what a file holds; `path` is its name in messages.
pub(super) fn load_bytes(path: &Path, bytes: &[u8], password: Password<'_>) -> Result<Loaded, KeyError> {
    load_within(path, bytes, password, pbe::MAX_ROUNDS)
}

/// With so many rounds of key derivation, and as many again for attempts without a passphrase.
pub(super) fn load_within(path: &Path, bytes: &[u8], password: Password<'_>, rounds: u64) -> Result<Loaded, KeyError> {
    let mut file = File {
        path,
        name: path.to_string_lossy().into(),
        password,
        asked: None,
        loaded: Loaded::default(),
        errors: Vec::new(),
        work: Work::of(rounds),
        unasked: Work::of(rounds),
    };
    file.read(bytes)?;
    Ok(file.loaded)
}

/// A file being loaded.
struct File<'a> {
    path: &'a Path,
    name: Arc<str>,
    password: Password<'a>,
    /// The passphrase, once it was asked for.
    asked: Option<Option<Zeroizing<String>>>,
    loaded: Loaded,
    /// What could not be used.
    errors: Vec<KeyError>,
    work: Work,
    /// For attempts without a passphrase: they leave what the passphrase needs.
    unasked: Work,
}

impl File<'_> {
    /// A usable key makes up for whatever else stands in the file; without one the most telling error is returned.
    fn read(&mut self, bytes: &[u8]) -> Result<(), KeyError> {
        let utf16 = super::super::keylog::decode_utf16(bytes);
        let bytes = utf16.as_ref().map_or(bytes, |text| text.as_bytes());
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
        if text.contains(BEGIN) {
            self.pem_blocks(&text);
        } else if super::super::keylog::looks_like_one(bytes) {
            return Err(KeyError::IsKeyLog { path: self.path.into() });
        } else if let Some((format, command)) = other_format(bytes) {
            return Err(KeyError::OtherFormat { path: self.path.into(), format, command });
        } else {
            let read = self.structure(bytes);
            self.errors.extend(read.err());
        }
        let errors = std::mem::take(&mut self.errors);
        if !self.loaded.keys.is_empty() {
            self.loaded.others.extend(errors.iter().filter_map(other));
            // Certificates beside their key are as it should be.
            let telling = errors.iter().filter(|e| weight(e) > CERTIFICATE);
            self.loaded.notes.extend(telling.map(|error| format!("a part of {error}")));
            return Ok(());
        }
        Err(errors.into_iter().max_by_key(weight).unwrap_or_else(|| KeyError::NotAKey { path: self.path.into() }))
    }

    fn pem_blocks(&mut self, text: &str) {
        for block in pem_blocks(text) {
            let read = self.pem_block(&block.label, block.dek_info.as_deref(), &block.der);
            self.errors.extend(read.err().map(|error| match error {
                KeyError::NotAKey { path } if block.label.ends_with("PRIVATE KEY") => KeyError::Damaged { path },
                error => error,
            }));
        }
    }

    fn pem_block(&mut self, label: &str, dek_info: Option<&str>, der: &[u8]) -> Result<(), KeyError> {
        let path = || self.path.into();
        match label {
            "RSA PRIVATE KEY" => match dek_info {
                Some(dek_info) => {
                    let plain = self.unlock(|password, _| pbe::open_dek(dek_info, der, password))?;
                    // A wrong passphrase leaves valid padding once in 256 times.
                    if shape(&plain) != Some(Shape::Pkcs1) {
                        return Err(self.closed(PbeError::Wrong));
                    }
                    self.pkcs1(&plain)
                }
                None => self.pkcs1(der),
            },
            "OPENSSH PRIVATE KEY" => Err(KeyError::OpenSsh { path: path() }),
            "EC PRIVATE KEY" => Err(KeyError::NotRsa { path: path(), algorithm: "an EC" }),
            "DSA PRIVATE KEY" => Err(KeyError::NotRsa { path: path(), algorithm: "a DSA" }),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Err(KeyError::PublicKey { path: path() }),
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => Err(self.certificate()),
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Err(KeyError::Request { path: path() }),
            "DH PARAMETERS" | "EC PARAMETERS" | "DSA PARAMETERS" => Err(KeyError::NotAKey { path: path() }),
            // The label says less than the content.
            _ => self.structure(der),
        }
    }

    fn certificate(&self) -> KeyError {
        KeyError::Certificate { path: self.path.into() }
    }

    /// Reads the structure at the start of `bytes`, in DER or BER.
    fn structure(&mut self, bytes: &[u8]) -> Result<(), KeyError> {
        let path = || self.path.into();
        let der = &ber::to_der(bytes).ok_or_else(|| KeyError::NotAKey { path: path() })?;
        match shape(der) {
            Some(Shape::Pkcs1) => self.pkcs1(der),
            Some(Shape::Pkcs8) => self.pkcs8(der),
            Some(Shape::EncryptedPkcs8) => {
                let plain = self.unlock(|password, work| pbe::open_pkcs8(der, password, work))?;
                match shape(&plain) {
                    Some(Shape::Pkcs8) => self.pkcs8(&plain),
                    _ => Err(KeyError::PasswordWrong { path: path() }),
                }
            }
            Some(Shape::Pkcs12) => self.pkcs12(der),
            Some(Shape::Ec) => Err(KeyError::NotRsa { path: path(), algorithm: "an EC" }),
            Some(Shape::Dsa) => Err(KeyError::NotRsa { path: path(), algorithm: "a DSA" }),
            Some(Shape::Public) => Err(KeyError::PublicKey { path: path() }),
            Some(Shape::Certificate) => Err(self.certificate()),
            Some(Shape::Request) => Err(KeyError::Request { path: path() }),
            None => Err(KeyError::NotAKey { path: path() }),
        }
    }

    fn pkcs1(&mut self, der: &[u8]) -> Result<(), KeyError> {
        let key = PrivateKey::from_pkcs1(self.name.clone(), der)
            .map_err(|detail| KeyError::Malformed { path: self.path.into(), detail })?;
        self.loaded.keys.push(key);
        Ok(())
    }

    fn pkcs8(&mut self, der: &[u8]) -> Result<(), KeyError> {
        let info = pkcs8::PrivateKeyInfoRef::from_der(der)
            .map_err(|e| KeyError::Malformed { path: self.path.into(), detail: e.to_string() })?;
        if info.algorithm.oid != pkcs1::ALGORITHM_OID {
            let algorithm = algorithm_name(&info.algorithm.oid.to_string());
            return Err(KeyError::NotRsa { path: self.path.into(), algorithm });
        }
        self.pkcs1(info.private_key.as_bytes())
    }

    fn pkcs12(&mut self, der: &[u8]) -> Result<(), KeyError> {
        // Many are made without a passphrase: no need to ask.
        let mut opened = pkcs12::open(der, "", &mut self.unasked);
        if opened.closed.is_some() {
            match self.unlock(|password, work| Ok(pkcs12::open(der, password, work))) {
                Ok(more) if more.keys.len() >= opened.keys.len() => opened = more,
                Ok(_) => {}
                Err(missing) => {
                    self.errors.push(missing);
                    opened.closed = None;
                }
            }
        }
        for key in &opened.keys {
            let read = self.pkcs8(key);
            self.errors.extend(read.err());
        }
        opened.closed.map_or(Ok(()), |error| Err(self.closed(error)))
    }

    /// Asks for the file's passphrase, once, and tries it.
    fn unlock<T>(&mut self, open: impl FnOnce(&str, &mut Work) -> Result<T, PbeError>) -> Result<T, KeyError> {
        let path = self.path;
        let password = self.asked.get_or_insert_with(|| (self.password)(path));
        let Some(password) = password else { return Err(KeyError::PasswordMissing { path: path.into() }) };
        open(password, &mut self.work).map_err(|error| self.closed(error))
    }

    fn closed(&self, error: PbeError) -> KeyError {
        match error {
            PbeError::Wrong => KeyError::PasswordWrong { path: self.path.into() },
            PbeError::Method(method) => KeyError::Encryption { path: self.path.into(), method },
        }
    }
}

const CERTIFICATE: u8 = 3;

/// From here on a file is, or may be, a key that can't be used.
const BROKEN: u8 = 8;

/// Which of several errors says most about a file.
fn weight(error: &KeyError) -> u8 {
    match error {
        KeyError::PasswordMissing { .. } | KeyError::PasswordWrong { .. } | KeyError::Encryption { .. } => 9,
        KeyError::Malformed { .. } | KeyError::Damaged { .. } | KeyError::OtherFormat { .. } | KeyError::Io { .. } => {
            BROKEN
        }
        KeyError::NotRsa { .. } => 7,
        KeyError::OpenSsh { .. } => 6,
        KeyError::Request { .. } => 5,
        KeyError::PublicKey { .. } => 4,
        KeyError::Certificate { .. } => CERTIFICATE,
        _ => 0,
    }
}
