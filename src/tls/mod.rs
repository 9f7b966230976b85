//! TLS records → plaintext, and why not where it can't be had.
//!
//! Knows nothing of mail. A [`Connection`] takes both directions' bytes in causal order and hands plaintext to an
//! [`Upper`]; secrets come from a [`KeyRing`] (keys and key logs) and a [`SessionCache`] (earlier handshakes).

pub mod certificate;
mod connection;
pub mod explain;
pub mod handshake;
pub mod keylog;
pub mod keys;
mod looks;
pub mod premaster;
pub mod prf;
pub mod protection;
pub mod record;
pub mod resume;
pub mod schedule;
pub mod secret;
pub mod suites;

pub use connection::{Connection, Env};
pub use handshake::premaster_in_segment;
pub use keys::{KeyError, KeyRing, PrivateKey};
pub use looks::{Looks, looks_like_tls};
pub use resume::SessionCache;
pub use secret::Secret;

use serde::{Deserialize, Serialize};

use crate::diagnostic::Code;
use crate::position::{Direction, Span};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        /// Why (part of) a TLS session stayed closed. Each has its entry in `docs/diagnostics.md`.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All of them, for the documentation's test.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)+];

            /// The word in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => $text,)+ }
            }
        }
    };
}

reasons! {
    /// RSA key exchange, but no private key was given.
    NoKey = "no-key";
    /// RSA key exchange; none of the given keys belongs to the server's certificate.
    KeyMismatch = "key-mismatch";
    /// (EC)DHE: a private key can't help, only a key log.
    ForwardSecrecy = "forward-secrecy";
    /// Static (EC)DH: only a key log can help, as mailcap does not use the certificate's Diffie-Hellman key.
    StaticDh = "static-dh";
    /// An export suite with a temporary RSA key in ServerKeyExchange.
    ExportEphemeral = "export-ephemeral";
    /// Resumed from a session whose handshake is not in the capture, or came later. From one that stayed closed: its
    /// reason.
    ResumedUnseen = "resumed-unseen";
    /// The capture begins or ends within the handshake, so that a random or key exchange is missing.
    HandshakeIncomplete = "handshake-incomplete";
    /// The peers did not agree: nothing to decrypt.
    HandshakeFailed = "handshake-failed";
    /// Bytes of the handshake are missing.
    HandshakeGap = "handshake-gap";
    /// Only one direction was captured.
    OneSided = "one-sided";
    /// The capture begins behind the handshake.
    MidSession = "mid-session";
    /// A suite or version that mailcap does not decrypt.
    UnsupportedSuite = "unsupported-suite";
    /// MAC, tag or padding did not match although the keys seemed right.
    BadMac = "bad-mac";
    /// The state of a TLS compression was lost in a gap.
    CompressionStateLost = "compression-state-lost";
    /// A key log was given; it has no entry for this client random.
    KeylogNoEntry = "keylog-no-entry";
    /// The secret came later in the capture than the records it opens.
    SecretLate = "secret-late";
    /// A PSK suite, and no fitting pre-shared key was given.
    NoPsk = "no-psk";
    /// The private key did not yield a premaster secret that fits.
    BadPremaster = "bad-premaster";
    /// Records after a gap could not be matched within the search bound.
    GapNotBridged = "gap-not-bridged";
    /// Bytes that are no TLS records.
    NotTls = "not-tls";
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What lies above TLS and takes what comes out of it, in order.
pub trait Upper {
    /// Decrypted application data; `span` covers the record's frames.
    fn plaintext(&mut self, dir: Direction, bytes: &[u8], span: Span);

    /// Application data is missing from here: at most `len` bytes, be they lost or left undecrypted.
    fn lost(&mut self, dir: Direction, len: u64, span: Span);

    /// A handshake is complete and application data can follow. `handshake` counts from 0.
    fn established(&mut self, handshake: u32, span: Span);

    /// Something odd.
    fn odd(&mut self, code: Code, detail: &str, span: Span);

    /// TLS is over in that direction (close_notify, or a fatal alert).
    fn closed(&mut self, dir: Direction, span: Span);

    /// These bytes stand where a record should begin, and are none. True: they are taken, and so will be what follows
    /// in that direction; false: they are TLS's to pass over.
    fn no_record(&mut self, _dir: Direction, _bytes: &[u8], _span: Span) -> bool {
        false
    }

    /// As [`Upper::no_record`], of bytes behind a loss, where a record may begin or go on anywhere.
    fn adrift(&mut self, _dir: Direction, _bytes: &[u8], _span: Span) -> bool {
        false
    }
}
