//! The words of the contract for what events say: the same in JSON and in text.

use crate::diagnostic::Code;
use crate::event::{
    AuthOutcome, Decrypted, EndReason, GapCause, MessageDirection, MessageOutcome, MessagePart, Outcome, Protocol,
    Resumed, SecretSource, Security, Session,
};
use crate::tls::Reason;

/// A value with one fixed word.
pub trait Word {
    /// The word.
    fn word(&self) -> &'static str;
}

macro_rules! words {
    ($($type:ident { $($variant:ident = $word:literal),+ $(,)? })+) => {$(
        impl Word for $type {
            fn word(&self) -> &'static str {
                match self { $($type::$variant => $word,)+ }
            }
        }
    )+};
}

words! {
    AuthOutcome { Success = "success", Failure = "failure", Aborted = "aborted", Unknown = "unknown" }
    Decrypted { All = "all", Part = "part", None = "none" }
    EndReason {
        Fin = "fin", Rst = "rst", Timeout = "timeout", Reused = "reused", Evicted = "evicted", Eof = "eof",
    }
    GapCause { Lost = "lost", Snaplen = "snaplen", Limit = "limit", MidStream = "mid-stream" }
    MessageDirection { Submitted = "submitted", Retrieved = "retrieved" }
    MessageOutcome { Accepted = "accepted", Rejected = "rejected", Aborted = "aborted", Unknown = "unknown" }
    MessagePart { Full = "full", Headers = "headers", Range = "range", Section = "section" }
    Outcome {
        Completed = "completed", Refused = "refused", AuthFailed = "auth-failed", TlsFailed = "tls-failed",
        Aborted = "aborted", NoBanner = "no-banner", Cut = "cut",
    }
    Resumed { No = "no", SessionId = "session-id", Ticket = "ticket", Psk = "psk" }
    SecretSource {
        RsaKey = "rsa-key", KeyLog = "keylog", Dsb = "dsb", Psk = "psk", Resumption = "resumption",
        NoneNeeded = "none-needed",
    }
    Security { None = "none", StartTls = "starttls", Implicit = "implicit" }
}

/// A protocol's name as people write it.
pub fn protocol_name(protocol: Option<Protocol>) -> &'static str {
    match protocol {
        Some(Protocol::Smtp) => "SMTP",
        Some(Protocol::Lmtp) => "LMTP",
        Some(Protocol::Imap) => "IMAP",
        Some(Protocol::Pop3) => "POP3",
        Some(Protocol::Sieve) => "ManageSieve",
        None => "unknown protocol",
    }
}

/// What the port of a session is for whose protocol stayed hidden; none where another was heard.
pub fn hidden_protocol(session: &Session) -> Option<Protocol> {
    Protocol::of_port(session.server.port()).filter(|_| !session.has(Code::NotMail))
}

/// A session's protocol. Of one that stayed hidden, what its port is for, as a guess: `IMAP?`.
pub fn likely_protocol(session: &Session) -> Option<String> {
    let guess = || Some(format!("{}?", protocol_name(Some(hidden_protocol(session)?))));
    session.protocol.map(|known| protocol_name(Some(known)).to_owned()).or_else(guess)
}

/// Why a handshake stayed closed, in a few words, and what to do about it.
pub fn why_not(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::NoKey => ("no key was given", "give the server's RSA private key with -k, or a key log with --keylog"),
        Reason::KeyMismatch => (
            "none of the given keys belongs to the server's certificate",
            "find the key that was in use then; `mailcap tls --explain` shows the certificate",
        ),
        Reason::ForwardSecrecy => {
            ("forward secrecy", "a key log is needed (--keylog); the server's private key can't open it")
        }
        Reason::StaticDh => (
            "a static Diffie-Hellman key in the certificate",
            "a key log is needed (--keylog); mailcap can't use such keys",
        ),
        Reason::ExportEphemeral => (
            "an export suite with a temporary RSA key",
            "a key log is needed (--keylog); the certificate's key can't open it",
        ),
        Reason::ResumedUnseen => (
            "resumed from a session whose full handshake is not in the capture",
            "add the capture that holds the first handshake, or a key log (--keylog)",
        ),
        Reason::HandshakeIncomplete => (
            "the capture does not hold the whole handshake",
            "add the capture file that comes before or after; with TLS 1.2 and older nothing else helps",
        ),
        Reason::HandshakeFailed => ("the peers did not agree", "nothing was encrypted; see the alerts"),
        Reason::HandshakeGap => {
            ("packets of the handshake are missing", "try a key log (--keylog), or a capture without loss")
        }
        Reason::OneSided => {
            ("only one direction was captured", "capture both directions; with TLS 1.3 a key log is enough (--keylog)")
        }
        Reason::MidSession => (
            "the capture begins after the handshake",
            "add the capture file that comes before; with TLS 1.3 a key log is enough (--keylog)",
        ),
        Reason::UnsupportedSuite => ("mailcap can't decrypt this suite", "`mailcap ciphers` lists those that it can"),
        Reason::BadMac => (
            "records did not verify although the keys seemed right",
            "the capture may be damaged, or the key log from another connection",
        ),
        Reason::CompressionStateLost => {
            ("TLS compression: what is lost in a gap is needed to go on", "use a capture without loss")
        }
        Reason::KeylogNoEntry => (
            "the key log has no entry for this connection",
            "check that it was written by one of these two peers, from before the connection began",
        ),
        Reason::SecretLate => {
            ("its secret came later in the capture than the records", "give the secret as a file with --keylog")
        }
        Reason::NoPsk => {
            ("a pre-shared key is needed", "give it with --psk (up to TLS 1.2), or a key log with --keylog")
        }
        Reason::BadPremaster => (
            "the private key does not yield a valid secret",
            "packets may be damaged, or two certificates share a name; try a key log (--keylog)",
        ),
        Reason::GapNotBridged => ("records after a gap could not be matched", "use a capture without loss"),
        Reason::NotTls => {
            ("these bytes are not TLS", "name the protocol that is used there with -d tcp.port==N,PROTOCOL")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_for_each_reason() {
        for &reason in Reason::ALL {
            let (why, advice) = why_not(reason);
            assert!(!why.is_empty() && !advice.is_empty(), "{reason}");
            assert!(!why.ends_with('.') && !advice.ends_with('.'), "{reason}: parts of a sentence");
        }
    }
}
