//! A TLS handshake, as it is told.

use serde::{Deserialize, Serialize};

use super::{Text, serial};
use crate::position::{Direction, Span, Timestamp};

/// How far a handshake came that failed.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The server chose a version and a suite, or may have done so in bytes that are missing.
    pub chosen: bool,
    /// The server asked for a client certificate, and the client sent none: an empty list.
    pub lacks_certificate: bool,
}

/// What decrypted a handshake.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretSource {
    /// The server's RSA private key.
    RsaKey,
    /// A key log file.
    KeyLog,
    /// A decryption secrets block of a pcapng file.
    Dsb,
    /// A pre-shared key given by the user.
    Psk,
    /// The master secret of an earlier handshake.
    Resumption,
    /// A NULL cipher.
    NoneNeeded,
}

/// How much of a handshake's records could be decrypted.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decrypted {
    /// Every record.
    All,
    /// Some.
    Part,
    /// None.
    None,
}

/// How a handshake resumed an earlier session.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resumed {
    /// A full handshake.
    No,
    /// By session ID.
    SessionId,
    /// By session ticket.
    Ticket,
    /// By TLS 1.3 pre-shared key.
    Psk,
}

/// A certificate, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Subject, RFC 4514 order as OpenSSL's one line.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Start of validity.
    pub not_before: Option<Timestamp>,
    /// End of validity.
    pub not_after: Option<Timestamp>,
    /// SHA-256 of the DER encoding.
    pub sha256: [u8; 32],
    /// Key type and size: `RSA-2048`, `EC-P256`, `Ed25519`.
    pub key: String,
}

/// An alert record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Who sent it.
    pub dir: Direction,
    /// Level and description in IANA's words; `encrypted` where it could not be read.
    pub description: String,
    /// Fatal, as opposed to a warning.
    pub fatal: bool,
    /// Its frame.
    pub span: Span,
}

/// One of a few fixed names. (An alias, so that serde does not try to borrow it from what it reads.)
pub type Name = &'static str;

/// One TLS handshake and the records it protected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TlsHandshake {
    /// 0, or 1… for renegotiations.
    pub handshake: u32,
    /// `SSLv3` `TLSv1.0` `TLSv1.1` `TLSv1.2` `TLSv1.3`.
    #[serde(deserialize_with = "serial::version")]
    pub version: Option<Name>,
    /// IANA's name of the suite, or `0xXXXX` for one that IANA does not list.
    pub suite: Option<String>,
    /// Server name the client asked for.
    pub sni: Option<Text>,
    /// Protocol the server chose.
    pub alpn: Option<Text>,
    /// The client's random.
    pub client_random: Option<[u8; 32]>,
    /// The server's certificate.
    pub certificate: Option<Certificate>,
    /// The certificates that followed it.
    pub chain: Vec<Certificate>,
    /// The client's certificate.
    pub client_certificate: Option<Certificate>,
    /// How far it came, should it have failed. Part of `steps` in JSON.
    pub progress: Progress,
    /// It failed as the server answered in the clear. Part of `steps` in JSON.
    pub answered_in_clear: bool,
    /// Resumption.
    pub resumed: Resumed,
    /// RFC 7627.
    pub extended_master_secret: bool,
    /// RFC 7366.
    pub encrypt_then_mac: bool,
    /// Whether the handshake ran to its end (ChangeCipherSpec or Finished of both sides seen).
    pub completed: bool,
    /// How much was decrypted.
    pub decrypted: Decrypted,
    /// With what.
    pub secret: Option<SecretSource>,
    /// Name of the key or key-log file.
    pub key: Option<String>,
    /// Why not (all of it).
    pub reason: Option<crate::tls::Reason>,
    /// Application and handshake records decrypted under this handshake's keys.
    pub records_decrypted: u64,
    /// Encrypted records left as they were.
    pub records_undecrypted: u64,
    /// Bytes of those records.
    pub undecrypted_bytes: u64,
    /// Alerts seen under it.
    pub alerts: Vec<Alert>,
    /// Suites the client offered, in its order (IANA names).
    pub offered: Vec<String>,
    /// Steps for a person: what was tried, how far it got, what to do next.
    pub steps: Vec<String>,
    /// Frames of the handshake itself.
    pub span: Span,
}

impl TlsHandshake {
    /// Why records stayed closed, unless it failed between its peers, which leaves nothing to decrypt.
    pub fn closed_for(&self) -> Option<crate::tls::Reason> {
        self.reason.filter(|reason| *reason != crate::tls::Reason::HandshakeFailed)
    }

    /// Whether a session's handshakes failed between the peers, and none of them stayed closed for another reason.
    pub(crate) fn failed_alone(handshakes: &[TlsHandshake]) -> bool {
        let reasons = || handshakes.iter().filter_map(|tls| tls.reason);
        reasons().next().is_some() && reasons().all(|reason| reason == crate::tls::Reason::HandshakeFailed)
    }
}
