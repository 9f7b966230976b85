//! From what the handshake showed to the secrets that may open it, and why there are none (SSL 3.0 to TLS 1.2).

use std::sync::Arc;

use super::epoch::{Cipher, Epoch, Keys, Stage};
use super::state::{Candidate, Handshake};
use crate::event::SecretSource;
use crate::tls::Reason;
use crate::tls::handshake::{encrypted_premaster, psk_exchange};
use crate::tls::keylog::Found;
use crate::tls::keys::{KeyRing, PrivateKey};
use crate::tls::resume::SessionCache;
use crate::tls::schedule::{self, Options};
use crate::tls::secret::Secret;
use crate::tls::suites::{BulkCipher, KeyExchange, Suite};
use crate::tls::{premaster, prf};

impl From<Found> for Candidate {
    fn from(found: Found) -> Self {
        Candidate {
            secret: found.secret,
            source: found.source,
            name: Some(found.file),
            premaster_version: None,
            flight: None,
        }
    }
}

impl Handshake {
    /// Finds the master secrets that may be right and makes both directions' next epochs of them, the client's first.
    pub(super) fn derive(&mut self, index: usize, keys: &KeyRing, sessions: &SessionCache) -> (Epoch, Epoch) {
        self.derived = true;
        let closed = |reason| {
            let epoch = Epoch::new(Cipher::Closed(reason), index, Stage::Changed);
            (epoch.clone(), epoch)
        };
        let (Some(client_random), Some(server_random)) = (self.client_random().copied(), self.server_random().copied())
        else {
            let reason = self.why_no_hello();
            self.why = Some(reason);
            return closed(reason);
        };
        let Some(version) = self.version else {
            self.why = Some(Reason::UnsupportedSuite);
            return closed(Reason::UnsupportedSuite);
        };
        let Some(suite) = self.suite.filter(|s| s.is_supported() && !s.is_tls13()) else {
            self.why = Some(Reason::UnsupportedSuite);
            return closed(Reason::UnsupportedSuite);
        };
        let missing = self.gather(suite, keys, sessions);
        let options = Options {
            encrypt_then_mac: self.server.as_ref().is_some_and(|s| s.encrypt_then_mac),
            truncated_hmac: self.server.as_ref().is_some_and(|s| s.truncated_hmac),
        };
        let (mut client, mut server) = (Vec::new(), Vec::new());
        for (secret, candidate) in self.secrets.iter().enumerate() {
            if let Some((c, s)) =
                schedule::record_keys(version, suite, &candidate.secret, &client_random, &server_random, options)
            {
                client.push(Keys { protection: c, secret });
                server.push(Keys { protection: s, secret });
            }
        }
        let compressed = self.server.as_ref().is_some_and(|s| s.compression == 1);
        let (mut client, mut server) = if !client.is_empty() {
            let epoch = |keys| Epoch::new(Cipher::Keyed(keys), index, Stage::Changed);
            (epoch(client), epoch(server))
        } else if suite.cipher == BulkCipher::Null {
            let mac_len = if options.truncated_hmac { suite.mac.len().min(10) } else { suite.mac.len() };
            let epoch = Epoch::new(Cipher::Null { mac_len }, index, Stage::Changed);
            (epoch.clone(), epoch)
        } else {
            // Candidates that make no keys: the suite does not exist in that version.
            let reason = if self.secrets.is_empty() { missing } else { Reason::UnsupportedSuite };
            self.why = Some(reason);
            closed(reason)
        };
        client.compressed = compressed;
        server.compressed = compressed;
        (client, server)
    }

    /// Fills `secrets`; says what is missing if there are none.
    fn gather(&mut self, suite: &'static Suite, keys: &KeyRing, sessions: &SessionCache) -> Reason {
        let Some(client_random) = self.client_random().copied() else { return Reason::HandshakeIncomplete };
        let id = self.server.as_ref().map(|s| s.session_id.clone()).unwrap_or_default();
        if let Some(found) = keys.master_for_client_random(&client_random) {
            self.add(found.into());
        }
        if !id.is_empty()
            && let Some(found) = keys.master_for_session_id(&id)
        {
            self.add(found.into());
        }
        if self.is_abbreviated(&id) {
            return self.gather_resumed(&id, keys, sessions);
        }
        let Some(exchange) = self.client_key_exchange.clone() else {
            return if self.gap { Reason::HandshakeGap } else { Reason::HandshakeIncomplete };
        };
        if let Some(found) = keys.premaster_for_client_random(&client_random) {
            self.add_premaster(suite, &found.secret.clone(), None, found.into(), sessions);
        }
        let logged = |reason| if keys.was_given_keylog() { Reason::KeylogNoEntry } else { reason };
        match suite.kx {
            KeyExchange::Rsa | KeyExchange::RsaExport { .. } => {
                self.gather_rsa(suite, encrypted_premaster(&exchange), None, keys, sessions)
            }
            KeyExchange::RsaPsk => {
                let Some((_, encrypted)) = psk_exchange(&exchange) else { return Reason::HandshakeIncomplete };
                if keys.psks().is_empty() {
                    let reason = self.gather_rsa(suite, encrypted, None, keys, sessions);
                    // The private key alone makes no premaster here.
                    self.secrets.retain(|c| c.source != SecretSource::RsaKey);
                    return if matches!(reason, Reason::BadPremaster | Reason::BadMac) {
                        Reason::NoPsk
                    } else {
                        reason
                    };
                }
                let mut reason = Reason::NoPsk;
                for psk in keys.psks() {
                    reason = self.gather_rsa(suite, encrypted, Some(psk), keys, sessions);
                }
                reason
            }
            KeyExchange::Psk => {
                for psk in keys.psks() {
                    let candidate = Candidate {
                        secret: Secret::new(&[]),
                        source: SecretSource::Psk,
                        name: None,
                        premaster_version: None,
                        flight: None,
                    };
                    self.add_premaster(suite, &premaster::psk(psk), None, candidate, sessions);
                }
                logged(Reason::NoPsk)
            }
            kx if kx.is_forward_secret() => logged(Reason::ForwardSecrecy),
            KeyExchange::Dh | KeyExchange::Ecdh => logged(Reason::StaticDh),
            _ => logged(Reason::UnsupportedSuite),
        }
    }

    /// Premasters by the `RSA` lines of key logs and by private keys.
    fn gather_rsa(
        &mut self,
        suite: &'static Suite,
        encrypted: &[u8],
        psk: Option<&Secret>,
        keys: &KeyRing,
        sessions: &SessionCache,
    ) -> Reason {
        let compose = |premaster: &Secret| match psk {
            Some(psk) => premaster::psk_with(premaster, psk),
            None => premaster.clone(),
        };
        if let Some(found) = keys.premaster_for_encrypted(encrypted) {
            self.add_premaster(suite, &compose(&found.secret), None, found.into(), sessions);
        }
        let logged = |reason| if keys.was_given_keylog() { Reason::KeylogNoEntry } else { reason };
        let temporary = self.server_key_exchange.as_deref().filter(|_| suite.kx != KeyExchange::RsaPsk);
        let modulus = temporary.or_else(|| self.chain.first().and_then(|c| c.modulus.as_deref())).map(<[u8]>::to_vec);
        if keys.keys().is_empty() {
            return logged(if temporary.is_some() { Reason::ExportEphemeral } else { Reason::NoKey });
        }
        let fitting: Vec<&PrivateKey> = match &modulus {
            Some(modulus) => keys.by_modulus(modulus).into_iter().collect(),
            // No certificate to go by: each key of the right length, the MAC judges.
            None => keys.keys().iter().map(Arc::as_ref).filter(|k| k.modulus().len() == encrypted.len()).collect(),
        };
        if fitting.is_empty() {
            return match temporary {
                Some(_) => logged(Reason::ExportEphemeral),
                None => Reason::KeyMismatch,
            };
        }
        let mut opened = false;
        for key in fitting {
            let Ok(premaster) = key.decrypt_premaster(encrypted) else { continue };
            opened = true;
            let candidate = Candidate {
                secret: Secret::new(&[]),
                source: SecretSource::RsaKey,
                name: Some(Arc::from(key.name())),
                premaster_version: premaster.first_chunk().map(|&v| u16::from_be_bytes(v)),
                flight: None,
            };
            self.add_premaster(suite, &compose(&premaster), Some(key.modulus()), candidate, sessions);
        }
        match (opened, &modulus) {
            (true, _) if self.needs_lost_bytes() => Reason::HandshakeGap,
            (true, _) => Reason::BadMac,
            (false, Some(_)) => Reason::BadPremaster,
            (false, None) => Reason::KeyMismatch,
        }
    }

    /// An extended master secret needs every byte of the handshake so far.
    pub(super) fn needs_lost_bytes(&self) -> bool {
        self.server.as_ref().is_some_and(|s| s.extended_master_secret) && !self.transcript_whole
    }

    /// The master secret that a premaster secret makes; `modulus` is that of the key that opened it.
    fn add_premaster(
        &mut self,
        suite: &'static Suite,
        premaster: &[u8],
        modulus: Option<&[u8]>,
        mut candidate: Candidate,
        sessions: &SessionCache,
    ) {
        let (Some(version), Some(client), Some(server)) = (self.version, self.client.as_ref(), self.server.as_ref())
        else {
            return;
        };
        if self.needs_lost_bytes() {
            let made = self.with_flights(suite, premaster, modulus, sessions, &candidate);
            made.into_iter().for_each(|candidate| self.add(candidate));
            return;
        }
        candidate.secret = if server.extended_master_secret {
            let hash = self.transcript.session_hash(version, suite.prf);
            prf::extended_master_secret(version, suite.prf, premaster, &hash)
        } else {
            prf::master_secret(version, suite.prf, premaster, &client.random, &server.random)
        };
        self.add(candidate);
    }

    /// A candidate, once; an RSA-opened one replaces nothing.
    pub(super) fn add(&mut self, candidate: Candidate) {
        if candidate.secret.len() == 48 && !self.secrets.iter().any(|c| c.secret == candidate.secret) {
            self.secrets.push(candidate);
        }
    }

    /// Why a handshake without both hellos can't be opened.
    pub(super) fn why_no_hello(&self) -> Reason {
        match (self.gap, &self.client, &self.server) {
            (true, ..) => Reason::HandshakeGap,
            (false, None, None) if !self.any_message() => Reason::MidSession,
            _ => Reason::HandshakeIncomplete,
        }
    }

    /// Whether anything of the handshake itself was seen.
    pub(super) fn any_message(&self) -> bool {
        self.any_key_exchange() || self.changed != [false; 2]
    }

    /// Whether anything was seen that stands between the hellos and ChangeCipherSpec.
    pub(super) fn any_key_exchange(&self) -> bool {
        self.hello_done
            || self.certificate_seen
            || self.server_key_exchange.is_some()
            || self.client_key_exchange.is_some()
    }
}
