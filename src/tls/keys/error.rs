//! Why a key or key log can't be used: which file, what is wrong with it, what to do.

use std::path::PathBuf;

/// Why a key or key log can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Missing, or not readable.
    #[error("{}: can't be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A private key, but no RSA key.
    #[error(
        "{}: is {algorithm} private key, which decrypts nothing: RSA key exchange needs the server's RSA key, and any other \
         key exchange a key log (--keylog)",
        path.display()
    )]
    NotRsa {
        /// The file.
        path: PathBuf,
        /// With its article: `an EC`.
        algorithm: &'static str,
    },
    /// A public key.
    #[error("{}: is a public key; the private key that belongs to it is needed", path.display())]
    PublicKey {
        /// The file.
        path: PathBuf,
    },
    /// A certificate and nothing else.
    #[error(
        "{}: is a certificate; its private key is needed, which servers keep in a separate file (often .key, or \
         privkey.pem beside cert.pem)",
        path.display()
    )]
    Certificate {
        /// The file.
        path: PathBuf,
    },
    /// A certificate signing request.
    #[error("{}: is a certificate signing request; the private key that it was made with is needed", path.display())]
    Request {
        /// The file.
        path: PathBuf,
    },
    /// An OpenSSH key file.
    #[error(
        "{}: is in OpenSSH's own format; convert a copy with `ssh-keygen -p -m PEM -f COPY`, if it is a TLS server's RSA \
         key at all",
        path.display()
    )]
    OpenSsh {
        /// The file.
        path: PathBuf,
    },
    /// A key in a format that other programs convert.
    #[error("{}: is {format}, which is not read; convert a copy with `{command}`", path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// With its article: `a Java key store`.
        format: &'static str,
        /// What converts it.
        command: &'static str,
    },
    /// A key log where a key was expected.
    #[error("{}: is a key log, not a private key: give it with --keylog", path.display())]
    IsKeyLog {
        /// The file.
        path: PathBuf,
    },
    /// Encrypted, and nobody gave a passphrase.
    #[error(
        "{}: is encrypted, and no password was given: use --key-password-file or MAILCAP_KEY_PASSWORD",
        path.display()
    )]
    PasswordMissing {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase does not open it.
    #[error("{}: the password is wrong (or the file is damaged)", path.display())]
    PasswordWrong {
        /// The file.
        path: PathBuf,
    },
    /// Encrypted in a way that is not supported.
    #[error(
        "{}: is encrypted with {method}, which is not supported; re-encrypt a copy with `openssl pkcs8 -topk8` (or \
         `openssl pkcs12 -nodes` for PKCS#12, with -legacy for what OpenSSL 3 calls unsupported)",
        path.display()
    )]
    Encryption {
        /// The file.
        path: PathBuf,
        /// Name or number of the method.
        method: String,
    },
    /// An RSA key that makes no sense.
    #[error("{}: is a damaged or inconsistent RSA key ({detail})", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A private key in PEM whose content is none.
    #[error("{}: holds a private key in PEM that is cut off or damaged: take a whole copy of the file", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// None of the formats that hold a key.
    #[error("{}: holds no private key (mailcap reads PEM and DER: PKCS#1, PKCS#8, PKCS#12)", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// A folder without usable keys.
    #[error("{}: no usable private key in this folder ({files} files examined{})", path.display(), first_note(notes))]
    NoKeys {
        /// The folder.
        path: PathBuf,
        /// How many files were looked at.
        files: usize,
        /// Why each was passed over.
        notes: Vec<String>,
    },
    /// A file given as a key log that has no secret, and lines that are none of a key log.
    #[error(
        "{}: is not a key log: none of its {lines} lines has a secret in the format of SSLKEYLOGFILE or `openssl s_client`",
        path.display()
    )]
    NotAKeyLog {
        /// The file.
        path: PathBuf,
        /// Lines in it.
        lines: u64,
    },
}

fn first_note(notes: &[String]) -> String {
    notes.first().map_or_else(String::new, |note| format!("; {note}"))
}
