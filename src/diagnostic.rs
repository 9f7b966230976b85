//! Anomalies as values: what was odd in one connection, each with one documented meaning (`docs/diagnostics.md`).

use serde::{Deserialize, Serialize};

/// How much it matters.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Something is missing or odd.
    Warning,
    /// Part of the session could not be told.
    Error,
}

impl Severity {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// A diagnostic in a session's event stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// What it is.
    pub code: Code,
    /// The particulars, for a person.
    pub detail: String,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $severity:ident;)+) => {
        /// Every diagnostic there is.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// All of them, for the documentation's test.
            pub const ALL: &'static [Code] = &[$(Code::$name,)+];

            /// The word in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)+ }
            }

            /// Its severity, always the same.
            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity,)+ }
            }
        }
    };
}

// Their order is that of a session's `diagnostics` in JSON.
codes! {
    // Streams.
    /// A retransmission carried other bytes than the first copy.
    ConflictingRetransmission = "conflicting-retransmission", Warning;
    /// The connection's beginning is not in the capture.
    MidStream = "mid-stream", Note;
    /// Only one direction was captured.
    OneSided = "one-sided", Warning;
    /// A bound on buffered segments was reached; what was missing is taken as lost.
    ReassemblyLimit = "reassembly-limit", Warning;
    /// Bytes that the other side never acknowledged: they did not arrive.
    Unacknowledged = "unacknowledged", Warning;
    /// A RST outside the receive window was ignored.
    ResetIgnored = "reset-ignored", Note;
    // Session.
    /// STARTTLS was accepted, and plaintext followed.
    PlaintextAfterStartTls = "plaintext-after-starttls", Warning;
    /// One side speaks TLS from the first byte, the other in the clear.
    TlsMismatch = "tls-mismatch", Warning;
    /// Commands were sent behind STARTTLS before TLS began.
    InjectedCommands = "injected-commands", Error;
    /// The server sent bytes behind its answer to STARTTLS before TLS began.
    InjectedReplies = "injected-replies", Error;
    /// TLS began although no STARTTLS was seen accepted.
    UnannouncedTls = "unannounced-tls", Note;
    /// The server took its time to greet.
    LateGreeting = "late-greeting", Note;
    /// The client did not wait for the greeting.
    EarlyTalker = "early-talker", Note;
    /// Nothing was said in TLS.
    SilentTls = "silent-tls", Note;
    /// Another protocol was spoken on a mail port.
    NotMail = "not-mail", Note;
    /// The dissector lost its place and goes on at the next line it trusts.
    Resynchronised = "resynchronised", Warning;
    /// Bytes were passed over while looking for that line.
    Skipped = "skipped", Warning;
    /// A compressed stream expanded beyond its bound, or was broken.
    CompressionFailed = "compression-failed", Error;
    /// A login began a security layer of SASL, which is not read.
    SaslLayer = "sasl-layer", Warning;
    // TLS.
    /// Records stayed closed; the `tls` object's reason says why.
    Undecrypted = "undecrypted", Error;
    /// A record's MAC or tag did not match.
    BadRecord = "bad-record", Error;
    /// Finished did not match the handshake that was seen.
    BadFinished = "bad-finished", Warning;
    /// TLS goes on after a gap, at a record that was found by its MAC or tag.
    TlsResynchronised = "tls-resynchronised", Note;
    /// A fatal alert ended TLS.
    FatalAlert = "fatal-alert", Warning;
    /// The certificate was outside its validity at the time of capture.
    CertificateNotValid = "certificate-not-valid", Warning;
    /// The premaster secret carried another version than the client offered.
    PremasterVersion = "premaster-version", Note;
    // Mail.
    /// A line was longer than its bound and was cut.
    LongLine = "long-line", Warning;
    /// A line ended in a bare LF.
    BareLf = "bare-lf", Note;
    /// An end-of-data look-alike (`\n.\n`, `\r.\r` and kin) stood in a message: SMTP smuggling, if the server takes it.
    Smuggling = "smuggling", Error;
    /// The server took an irregular line for the end of the message.
    IrregularEndOfData = "irregular-end-of-data", Error;
    /// A password crossed the wire without TLS.
    PlaintextPassword = "plaintext-password", Warning;
    /// Base64 that was none.
    InvalidBase64 = "invalid-base64", Warning;
    /// A reply answers no command that was seen.
    UnexpectedReply = "unexpected-reply", Note;
    /// A command was not answered before the session ended.
    Unanswered = "unanswered", Note;
    /// A literal's or chunk's announced length was not to be believed.
    BadLength = "bad-length", Warning;
    /// Nesting beyond its bound was left unparsed.
    NestingLimit = "nesting-limit", Warning;
    /// More entries than their bound; the rest is not kept.
    EntryLimit = "entry-limit", Warning;
    /// A message ended before its protocol's end.
    MessageCut = "message-cut", Warning;
    // Session, later ones.
    /// A PROXY header named the real client, or was cut short.
    ProxyHeader = "proxy-header", Note;
    /// A proxy relayed the dialogue: SOCKS, or HTTP's CONNECT.
    ProxyTunnel = "proxy-tunnel", Note;
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
