//! What happened in a handshake, as a person would tell it: a sentence a step.

use super::report::suite_name;
use super::state::Handshake;
use crate::event::{Resumed, SecretSource};
use crate::limits::tls::OFFERED_SUITES;
use crate::tls::Reason;
use crate::tls::keylog::Label;
use crate::tls::keys::KeyRing;
use crate::tls::resume::Closed;
use crate::tls::suites::{KeyExchange, Version};

/// Keys that are named one by one.
const NAMED: usize = 4;

impl Handshake {
    /// What was offered and chosen, which keys were tried, how far it got.
    pub(crate) fn story(&self, reason: Option<Reason>, keys: &KeyRing) -> Vec<String> {
        let failed = reason == Some(Reason::HandshakeFailed);
        let mut out = vec![self.offer(failed), self.choice(failed)];
        out.extend(self.credentials());
        out.extend(self.asked_for_certificate());
        if failed && self.stopped_before_key_exchange() {
            if self.server.is_some() {
                out.push("The client did not continue with the key exchange.".to_owned());
            }
        } else {
            out.extend(self.agreement());
            out.extend(self.other_keys(keys));
            if self.resumed == Resumed::No && self.suite.is_some_and(|s| s.kx.opened_by_rsa_key()) {
                out.extend(self.private_keys(keys));
            }
            out.extend(self.key_log(keys));
        }
        out.extend(self.notes.iter().cloned());
        for alert in self.alerts.iter().filter(|alert| alert.fatal || !self.established) {
            out.push(format!("The {} sent an alert: {}.", alert.dir.as_str(), alert.description));
        }
        out.push(self.end(failed));
        out.extend(self.records());
        out
    }

    fn offer(&self, failed: bool) -> String {
        let Some(hello) = &self.client else {
            // Nothing else is missing.
            return match failed && !self.failed && !self.gap {
                true => "The connection was closed before a whole ClientHello was sent.".to_owned(),
                false => "No ClientHello was captured.".to_owned(),
            };
        };
        let name = match &hello.sni {
            Some(sni) => format!(", for the server name {}", String::from_utf8_lossy(sni)),
            None => String::new(),
        };
        let framing = if hello.v2 { " in SSL 2.0 framing" } else { "" };
        // GREASE (RFC 8701) and signalling values are no versions and no suites.
        let best = hello.supported_versions.iter().filter_map(|&v| Version::from_wire(v)).max();
        let best = best.or(Version::from_wire(hello.version)).map_or("an unknown version", |v| v.as_str());
        let suites: Vec<String> =
            hello.suites.iter().filter(|id| !is_no_suite(**id)).map(|&id| suite_name(id)).collect();
        let list = match suites.as_slice() {
            [] => "no suite".to_owned(),
            [one] => one.clone(),
            [a, b] => format!("{a} and {b}"),
            [first, ..] if hello.suites.len() == OFFERED_SUITES => {
                format!("at least {OFFERED_SUITES} suites, {first} first")
            }
            [first, ..] => format!("{} suites, {first} first", suites.len()),
        };
        match (hello.cut, suites.is_empty()) {
            (true, true) => "Of the ClientHello only the beginning was captured.".to_owned(),
            (true, false) => {
                format!("The client offered {list}{name}; the end of its hello was not captured.")
            }
            (false, _) => format!("The client offered {list}, up to {best}{framing}{name}."),
        }
    }

    fn choice(&self, failed: bool) -> String {
        match (&self.server, self.version) {
            (Some(hello), Some(version)) => {
                let mut line = format!("The server chose {version} with {}", suite_name(hello.suite));
                for (on, what) in [
                    (hello.extended_master_secret, "extended master secret"),
                    (hello.encrypt_then_mac, "encrypt-then-MAC"),
                    (hello.truncated_hmac, "truncated HMAC"),
                    (hello.compression == 1, "DEFLATE compression"),
                ] {
                    if on {
                        line.push_str(", ");
                        line.push_str(what);
                    }
                }
                line + "."
            }
            (Some(hello), None) => format!("The server chose a version that is not known, {:#06x}.", hello.version),
            (None, _) if self.answered_in_clear => "The server answered in the clear, not in TLS.".to_owned(),
            (None, _) if failed && !self.answer_lost => "The server did not answer with a ServerHello.".to_owned(),
            (None, _) => "No ServerHello was captured.".to_owned(),
        }
    }

    /// How the server showed who it is.
    fn credentials(&self) -> Option<String> {
        let how = match self.resumed {
            Resumed::SessionId => "by its session ID: no certificate, no key exchange",
            Resumed::Ticket => "by a ticket: no certificate, no key exchange",
            Resumed::Psk => {
                let how =
                    "Both already had a key, from an earlier session or agreed on in advance: no certificate was sent.";
                return Some(how.to_owned());
            }
            Resumed::No => {
                let own = self.chain.first()?;
                let names = match own.alternatives.as_str() {
                    "" => String::new(),
                    names => format!(", for {names}"),
                };
                return Some(format!("The server's certificate: {}, {}{names}.", own.info.subject, own.info.key));
            }
        };
        Some(format!("Client and server resumed an earlier session {how}."))
    }

    /// Whether the server wanted to see the client's certificate, and what came of it.
    fn asked_for_certificate(&self) -> Option<String> {
        if !self.certificate_asked {
            return None;
        }
        let sent = match (self.client_chain.first(), self.client_certificate_seen) {
            (Some(own), _) => format!("; the client sent {}, {}", own.info.subject, own.info.key),
            (None, true) => "; the client sent none".to_owned(),
            (None, false) => String::new(),
        };
        Some(format!("The server asked for a client certificate{sent}."))
    }

    /// Up to TLS 1.2: nothing came of the key exchange, and that is not for lack of packets.
    fn stopped_before_key_exchange(&self) -> bool {
        let exchanged = self.client_key_exchange.is_some() || self.changed != [false; 2];
        !self.is_tls13() && self.resumed == Resumed::No && !exchanged && !self.gap
    }

    /// What the key exchange means for whoever wants to read along.
    fn agreement(&self) -> Option<String> {
        let kx = self.suite?.kx;
        if self.resumed != Resumed::No && kx != KeyExchange::Tls13 {
            let began = self.earlier_closed.map(|earlier| {
                let Closed { session, reason, .. } = earlier;
                format!(
                    " That one began in session {session}, whose full handshake was not decrypted either: {reason}."
                )
            });
            return Some(
                "Its keys come from the master secret of that earlier session.".to_owned() + &began.unwrap_or_default(),
            );
        }
        Some(
            match kx {
                // TLS 1.3 agrees on new keys all the same, as a rule.
                KeyExchange::Tls13 if self.hangs_on_psk_alone() => {
                    "There was no key exchange: all keys are derived from that key, without forward secrecy."
                }
                KeyExchange::RsaPsk => {
                    "The premaster secret has two parts: one encrypted with the key in that certificate, which its private key opens, and the pre-shared key."
                }
                KeyExchange::Rsa => {
                    "The client encrypted the premaster secret with the key in that certificate: its private key opens it."
                }
                KeyExchange::RsaExport { .. } if self.server_key_exchange.is_some() => {
                    "The server sent a temporary RSA key, too short-lived to be in a file; the client used that one."
                }
                KeyExchange::RsaExport { .. } => {
                    "An export suite: the client used the key in the certificate itself, which is short enough."
                }
                KeyExchange::Psk => "The premaster secret is the pre-shared key alone.",
                KeyExchange::Dh | KeyExchange::Ecdh => {
                    "The secret depends on the Diffie-Hellman key in the server's certificate."
                }
                kx if kx.is_forward_secret() => {
                    "The key exchange is ephemeral (Diffie-Hellman): the server's private key only signs, and can't decrypt anything."
                }
                _ => return None,
            }
            .to_owned(),
        )
    }

    fn private_keys(&self, keys: &KeyRing) -> Option<String> {
        let own = self.chain.first();
        let modulus = own.and_then(|c| c.modulus.as_deref());
        if let Some(key) = modulus.and_then(|m| keys.by_modulus(m)) {
            return Some(format!("The private key {} belongs to the certificate.", key.name()));
        }
        let mut names: Vec<String> =
            keys.keys().iter().take(NAMED).map(|key| format!("{} (RSA-{})", key.name(), key.bits())).collect();
        if keys.keys().len() > NAMED {
            names.push(format!("{} more", keys.keys().len() - NAMED));
        }
        let names = names.join(", ");
        match (keys.keys().len(), modulus) {
            (0, _) if self.opened > 0 || keys.was_given_keylog() || !keys.others().is_empty() => None,
            (0, _) => Some("No private key was given, and no key log.".to_owned()),
            (1, Some(_)) => Some(format!("The private key given does not belong to the certificate: {names}.")),
            (_, Some(_)) => Some(format!("None of the private keys given belongs to the certificate: {names}.")),
            (_, None) => Some(format!("The certificate was not seen; tried without it: {names}.")),
        }
    }

    /// Why the keys that were given do not help, if none of them is an RSA key.
    fn other_keys(&self, keys: &KeyRing) -> Option<String> {
        let kx = self.suite?.kx;
        if keys.others().is_empty() || !keys.keys().is_empty() || self.resumed != Resumed::No || self.opened > 0 {
            return None;
        }
        let named = keys.others().iter().take(NAMED);
        let mut names: Vec<String> =
            named.map(|key| format!("{} ({} key)", key.path.display(), key.algorithm)).collect();
        if keys.others().len() > NAMED {
            names.push("others".to_owned());
        }
        let why = match kx {
            kx if kx.opened_by_rsa_key() => "the RSA key of the certificate is needed",
            kx if kx.is_forward_secret() => "whatever its kind, a server's key only signs",
            KeyExchange::Dh | KeyExchange::Ecdh => "mailcap can't use such a key",
            _ => "that is no use here",
        };
        Some(format!("No RSA key was given, only {}: {why}.", names.join(", ")))
    }

    fn key_log(&self, keys: &KeyRing) -> Option<String> {
        if !keys.has_keylog() {
            return None;
        }
        let random = self.client_random()?;
        let has = |label| keys.tls13_secret(label, random).is_some();
        let known = keys.master_for_client_random(random).is_some()
            || keys.premaster_for_client_random(random).is_some()
            || keys.knows_tls13(random);
        let log = if keys.was_given_keylog() { "The key log has" } else { "The secrets in the capture have" };
        let lacks = self.missing.iter().find(|&&label| self.closed > 0 && !has(label));
        Some(match (known, lacks) {
            (true, Some(&label)) => {
                format!("{log} entries for this client random, but no {}.", Label::Traffic(label))
            }
            (true, None) => format!("{log} an entry for this client random."),
            (false, _) => {
                let hex: String = random.iter().take(8).map(|b| format!("{b:02x}")).collect();
                format!("{log} no entry for this client random ({hex}…).")
            }
        })
    }

    /// How far the handshake came.
    fn end(&self, failed: bool) -> String {
        let seen = match (self.changed, self.hello_done, &self.server) {
            _ if self.established => return "The handshake was completed.".to_owned(),
            _ if failed && self.opened + self.closed > 0 => return "The handshake failed.".to_owned(),
            _ if failed && self.failed => return "The handshake failed: no data was sent in TLS.".to_owned(),
            _ if failed => {
                return "The connection was over before the handshake was: no data was sent in TLS.".to_owned();
            }
            ([true, true], ..) => "both sides had changed to encryption",
            ([true, false], ..) => "the client had changed to encryption, the server had not",
            ([false, true], ..) => "the server had changed to encryption, the client had not",
            _ if self.client_key_exchange.is_some() => "the client had sent its part of the key exchange",
            (_, true, _) => "the server had sent its part, the client had yet to answer",
            (.., Some(_)) => "the server's hello was the last that was seen",
            _ if self.client.is_some() => "nothing but the client's hello was seen",
            _ => return "Nothing of the handshake itself was seen.".to_owned(),
        };
        let why = if self.gap { ", and bytes of it are missing" } else { "" };
        format!("The end of the handshake was not seen: {seen}{why}.")
    }

    /// What came of the records.
    fn records(&self) -> Option<String> {
        if self.opened == 0 && self.closed > 0 && !self.secrets.is_empty() {
            let mut tried: Vec<&str> = self.secrets.iter().map(|c| whose(c.source)).collect();
            tried.dedup();
            return Some(format!("Tried with {}: not a single record was decrypted.", tried.join(", ")));
        }
        let used = self.secret().filter(|_| self.opened > 0)?;
        let with = whose(used.source);
        let name = used.name.as_deref().map(|n| format!(" ({n})")).unwrap_or_default();
        let rest = if self.closed > 0 { "; the rest was not decrypted" } else { "" };
        Some(format!("Decrypted with {with}{name}{rest}."))
    }
}

/// A signalling value (RFC 5746 §3.3, RFC 7507), or GREASE (RFC 8701).
fn is_no_suite(id: u16) -> bool {
    matches!(id, 0x00ff | 0x5600) || id & 0x0f0f == 0x0a0a && id >> 8 == id & 0xff
}

fn whose(source: SecretSource) -> &'static str {
    match source {
        SecretSource::RsaKey => "the server's private key",
        SecretSource::KeyLog => "a key log's secret",
        SecretSource::Dsb => "a secret in the capture file",
        SecretSource::Psk => "a pre-shared key",
        SecretSource::Resumption => "the master secret of the session's full handshake",
        SecretSource::NoneNeeded => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use super::is_no_suite;

    #[test]
    fn what_clients_offer_without_meaning_it_is_no_suite() {
        assert!([0x0a0a, 0x1a1a, 0xfafa, 0x00ff, 0x5600].into_iter().all(is_no_suite));
        assert!(![0x002f, 0x1301, 0x0a1a, 0xc0a0, 0xcca8].into_iter().any(is_no_suite));
    }
}
