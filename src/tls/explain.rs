//! Why a session was, or was not, decrypted: in sentences for a person.

use super::Reason;
use super::connection::Handshake;
use super::keys::KeyRing;
use crate::event::{Alert, Progress};
use crate::position::Direction;

/// IANA's name of an alert description.
pub fn alert(description: u8) -> String {
    let name = match description {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        52 => "too_many_cids_requested",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        other => return format!("alert {other}"),
    };
    name.to_owned()
}

/// Why a handshake failed, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Words that end a sentence.
    pub why: &'static str,
    /// A sentence.
    pub advice: &'static str,
}

fn is_of_certificates(alert: &str) -> bool {
    matches!(
        alert,
        "unknown_ca"
            | "no_certificate"
            | "bad_certificate"
            | "unsupported_certificate"
            | "certificate_revoked"
            | "certificate_expired"
            | "certificate_unknown"
    )
}

/// Whether an alert may be a server's answer to the client's certificate, or to none (RFC 8446 section 4.4).
pub fn may_refuse_certificate(alert: &str) -> bool {
    const OTHERS: [&str; 4] = ["certificate_required", "handshake_failure", "access_denied", "decrypt_error"];
    is_of_certificates(alert) || OTHERS.contains(&alert)
}

/// Why a handshake failed, as far as alerts tell: a fatal one, or the last that can be read.
pub fn failure(alerts: &[Alert], progress: Progress) -> Failure {
    let Progress { chosen, lacks_certificate } = progress;
    let legible = |alert: &&Alert| alert.description != "encrypted";
    let alert = alerts.iter().filter(legible).find(|alert| alert.fatal).or(alerts.iter().rfind(legible));
    let word = alert.and_then(|alert| alert.description.rsplit(' ').next()).unwrap_or_default();
    let by_client = alert.is_some_and(|alert| alert.dir == Direction::Client);
    let of_certificates = is_of_certificates(word);
    let (why, advice) = match word {
        "unknown_ca" if by_client => (
            "the client does not trust the server's certificate",
            "Install the CA that issued it on the client, or have the server send its certificate with the chain up to a CA that the client knows.",
        ),
        "certificate_expired" if by_client => (
            "the client considered the server's certificate expired",
            "Renew the certificate, or set the client's clock.",
        ),
        _ if by_client && of_certificates => (
            "the client rejected the server's certificate",
            "Check its names, its dates, its issuer and the chain that the server sends; the client's log may say what was wrong.",
        ),
        "certificate_required" => (
            "the server wants a client certificate, and got none",
            "Give the client a certificate that the server accepts, or let the server do without.",
        ),
        _ if !by_client && lacks_certificate && (of_certificates || word == "handshake_failure") => (
            "the server wants a client certificate, and got none",
            "Give the client a certificate that the server accepts, or let the server do without.",
        ),
        _ if of_certificates => (
            "the server rejected the client's certificate",
            "Check its dates and its issuer, and the CAs that the server accepts; the server's log may say what was wrong.",
        ),
        "protocol_version" => (
            "no TLS version in common",
            "On one of the two, allow a version that the other supports; the ClientHello names the highest one that the client offers.",
        ),
        "handshake_failure" | "insufficient_security" if !by_client && !chosen => (
            "no suite in common, or no group or certificate that fits one",
            "Compare what the client offers (`offered` in `mailcap tls --json`) with what the server allows, and with the kind of its certificate.",
        ),
        "handshake_failure" | "insufficient_security" | "illegal_parameter" if by_client && chosen => (
            "the client did not accept what the server chose",
            "Check the version, the suite and the sizes of the server's key and group: the client may require stronger ones.",
        ),
        "unrecognized_name" => (
            "the server does not know the name that the client asked for",
            "Compare that name with those that the server is set up for.",
        ),
        "no_application_protocol" => {
            ("no application protocol (ALPN) in common", "Compare the protocols that client and server are set up for.")
        }
        "inappropriate_fallback" => (
            "the client tried again with an older version although the server supports a newer one",
            "Find out why the client's first attempt failed.",
        ),
        "unknown_psk_identity" => {
            ("the server does not know the client's pre-shared key", "Compare the keys of the two, and their names.")
        }
        "bad_record_mac" | "decrypt_error" | "decryption_failed" => (
            "what one side sent could not be verified by the other",
            "Look for a wrong key on one of the two, or a device between them that changes bytes.",
        ),
        "internal_error" => ("one side had an internal error", "See the log of the side that sent the alert."),
        "user_canceled" | "close_notify" => {
            ("one side gave up", "See the log of the side that sent the alert; a timeout may be too short.")
        }
        _ => ("the peers did not agree", "See the logs of both, and the alerts above if there are any."),
    };
    Failure { why, advice }
}

/// What to do about it.
fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::NoKey => "RSA key exchange: give the server's private key with --key, or a key log with --keylog.",
        Reason::KeyMismatch => {
            "None of the private keys given belongs to the server's certificate: look for the key that was in use when the capture was made."
        }
        Reason::ForwardSecrecy => {
            "The key exchange is ephemeral: no private key can open it. You need a key log written by the client or the server during the session (SSLKEYLOGFILE)."
        }
        Reason::StaticDh => {
            "Static Diffie-Hellman: the secret depends on the Diffie-Hellman key in the server's certificate, which mailcap can't use. You need a key log written by the client or the server during the session (SSLKEYLOGFILE)."
        }
        Reason::ExportEphemeral => {
            "ServerKeyExchange carried a temporary RSA key, which died with the server's process: only a key log can open it."
        }
        Reason::ResumedUnseen => {
            "The session was resumed: its secret was agreed on in an earlier full handshake. Add the capture that holds that one, or a key log."
        }
        Reason::HandshakeIncomplete => {
            "The capture begins or ends within the handshake: add the capture file that comes before or after this one. Up to TLS 1.2 nothing can be derived without both randoms and the key exchange, even with a key log; with TLS 1.3 a key log is enough."
        }
        Reason::HandshakeFailed => "There is nothing to decrypt.",
        Reason::HandshakeGap => {
            "Bytes of the handshake are missing from the capture and the keys depend on them. A key log helps if both hellos were captured."
        }
        Reason::OneSided => {
            "Only one direction was captured: up to TLS 1.2 the keys depend on both sides' messages; with TLS 1.3 a key log is enough."
        }
        Reason::MidSession => {
            "The capture begins after the handshake: add the capture file that comes before this one, or capture from the beginning of the connection. With TLS 1.3 a key log is enough."
        }
        Reason::UnsupportedSuite => "mailcap does not decrypt this suite or version.",
        Reason::BadMac => {
            "MAC or tag did not match although the keys seemed right: is the capture damaged, or is the key log from another session?"
        }
        Reason::CompressionStateLost => "TLS compression: what follows a lost or damaged record can't be decompressed.",
        Reason::KeylogNoEntry => {
            "The key log has no entry for this client random, or not all of its secrets: was it written by one of these two peers, and was it begun before the connection?"
        }
        Reason::SecretLate => {
            "The secret comes later in the capture than the records that it opens: give it as a separate key log (--keylog)."
        }
        Reason::NoPsk => {
            "The suite needs the right pre-shared key: give it with --psk, and for an RSA_PSK suite the server's private key as well. For TLS 1.3 a key log is needed."
        }
        Reason::BadPremaster => {
            "The private key belongs to the certificate, but what the client encrypted is not a valid premaster secret."
        }
        Reason::GapNotBridged => "After bytes that were lost, records could not be matched.",
        Reason::NotTls => "What was sent is not TLS: name the protocol with -d tcp.port==N,PROTOCOL.",
    }
}

/// The story of a handshake.
pub(super) fn steps(handshake: &Handshake, reason: Option<Reason>, keys: &KeyRing) -> Vec<String> {
    let mut steps = handshake.story(reason, keys);
    if let Some(reason) = reason {
        steps.push(match reason {
            Reason::HandshakeFailed if handshake.was_answered_in_clear() => {
                "The server does not start TLS on this port until the client asks for it: have the client use STARTTLS, or connect to the TLS port. If the client did ask, or this is the TLS port, the server is set up wrongly.".to_owned()
            }
            Reason::HandshakeFailed if !handshake.was_refused() => {
                "The handshake broke off without an alert, and there is nothing to decrypt: the logs of client and server may say why.".to_owned()
            }
            Reason::HandshakeFailed => {
                let Failure { advice, .. } = failure(handshake.alerts(), handshake.progress());
                format!("{advice} There is nothing to decrypt.")
            }
            Reason::KeylogNoEntry if handshake.is_opened_by_rsa_key() => {
                format!("{} The server's private key opens it, too.", advice(reason))
            }
            _ => advice(reason).to_owned(),
        });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Span;

    #[test]
    fn an_alert_tells_why_a_handshake_failed() {
        let (client, server) = (Direction::Client, Direction::Server);
        let alert = |dir, description: &str| {
            let fatal = description.starts_with("fatal");
            Alert { dir, description: description.into(), fatal, span: Span::default() }
        };
        let why = |dir, description: &str, chosen, lacks_certificate| {
            failure(&[alert(dir, description)], Progress { chosen, lacks_certificate }).why
        };
        for (dir, description, chosen, lacks, words) in [
            (client, "fatal unknown_ca", true, false, "does not trust the server's certificate"),
            (client, "fatal certificate_expired", true, false, "expired"),
            (client, "fatal bad_certificate", true, false, "the client rejected the server's certificate"),
            (server, "fatal unknown_ca", true, false, "the server rejected the client's certificate"),
            (server, "fatal protocol_version", false, false, "no TLS version in common"),
            (server, "fatal handshake_failure", false, false, "no suite in common"),
            // OpenSSL's word for it up to TLS 1.2.
            (server, "fatal handshake_failure", true, true, "wants a client certificate"),
            (server, "fatal certificate_required", true, false, "wants a client certificate"),
            (client, "fatal handshake_failure", true, false, "did not accept what the server chose"),
            (server, "fatal handshake_failure", true, false, "the peers did not agree"),
            (server, "fatal alert 200", false, false, "the peers did not agree"),
            (client, "encrypted", true, false, "the peers did not agree"),
        ] {
            assert!(why(dir, description, chosen, lacks).contains(words), "{description} by the {}", dir.as_str());
        }
        // The farewell behind it does not count.
        let both = [alert(client, "fatal unknown_ca"), alert(client, "warning close_notify")];
        let progress = Progress { chosen: true, lacks_certificate: false };
        assert_eq!(failure(&both, progress), failure(&both[..1], progress));
        assert_eq!(failure(&[], progress).why, "the peers did not agree");
    }
}
