//! What is known of one handshake.

use std::sync::Arc;

use super::flight::Parts;
use crate::event::{Alert, Progress, Resumed, SecretSource};
use crate::position::{Direction, Span};
use crate::tls::Reason;
use crate::tls::certificate::ReadCertificate;
use crate::tls::handshake::{ClientHello, ServerHello};
use crate::tls::keylog::Tls13Label;
use crate::tls::prf::Transcript;
use crate::tls::resume::{Closed, Flight};
use crate::tls::secret::Secret;
use crate::tls::suites::{Suite, Version};

/// A master or traffic secret that may open the session, and whose it is.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) secret: Secret,
    pub(super) source: SecretSource,
    /// Name of the key or file.
    pub(super) name: Option<Arc<str>>,
    /// What the premaster secret began with, where a private key opened it.
    pub(super) premaster_version: Option<u16>,
    /// Another handshake's messages that it was made with.
    pub(super) flight: Option<Arc<Flight>>,
}

/// One handshake, from its ClientHello on, and the records under its keys.
pub(crate) struct Handshake {
    pub(super) client: Option<ClientHello>,
    pub(super) server: Option<ServerHello>,
    pub(super) version: Option<Version>,
    pub(super) suite: Option<&'static Suite>,
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) chain: Vec<ReadCertificate>,
    pub(super) client_chain: Vec<ReadCertificate>,
    /// The server asked for a client's certificate.
    pub(super) certificate_asked: bool,
    /// A client's Certificate message was seen, be it empty.
    pub(super) client_certificate_seen: bool,
    /// Whether a server Certificate message was seen (in TLS 1.3: decrypted).
    pub(super) certificate_seen: bool,
    pub(super) transcript: Transcript,
    /// Nothing of the transcript is missing.
    pub(super) transcript_whole: bool,
    /// Kept until the key exchange, for a transcript of which the server's part is missing.
    pub(super) parts: Option<Box<Parts>>,
    /// Modulus of a temporary RSA key, or empty when ServerKeyExchange held something else.
    pub(super) server_key_exchange: Option<Vec<u8>>,
    pub(super) hello_done: bool,
    /// Body of ClientKeyExchange.
    pub(super) client_key_exchange: Option<Vec<u8>>,
    pub(super) ticket: Option<Vec<u8>>,
    pub(super) resumed: Resumed,
    /// The session that it resumes, if that stayed closed, too.
    pub(super) earlier_closed: Option<Closed>,
    pub(super) secrets: Vec<Candidate>,
    /// The one that a MAC or tag proved.
    pub(super) chosen: Option<usize>,
    /// Keys were looked for.
    pub(super) derived: bool,
    /// ChangeCipherSpec was seen, by direction.
    pub(super) changed: [bool; 2],
    /// The direction of the last one.
    pub(super) last_change: Option<Direction>,
    /// Finished was seen, by direction (TLS 1.3: decrypted).
    pub(super) finished: [bool; 2],
    pub(super) bad_finished: bool,
    /// A HelloRetryRequest was seen.
    pub(super) hello_retried: bool,
    pub(super) established: bool,
    /// A fatal alert came before it was.
    pub(super) failed: bool,
    /// The server answered in the clear, and never in TLS.
    pub(super) answered_in_clear: bool,
    /// Bytes went missing while it ran.
    pub(super) gap: bool,
    /// Bytes of the server's went missing before a ServerHello was seen.
    pub(super) answer_lost: bool,
    /// TLS 1.3: secrets that were looked for in vain, as they were needed.
    pub(super) missing: Vec<Tls13Label>,
    /// Why there are no keys.
    pub(super) why: Option<Reason>,
    /// Why the first record stayed closed.
    pub(super) reason: Option<Reason>,
    /// Records opened under its keys.
    pub(super) opened: u64,
    /// Records that stayed closed, and their bytes.
    pub(super) closed: u64,
    pub(super) closed_bytes: u64,
    /// TLS 1.3 without keys: whether the client sent anything that can't be a lone alert.
    pub(super) client_went_on: bool,
    /// Data came behind the handshake, by direction: of records that stayed closed, more than an alert. TLS 1.3's
    /// tickets can't be told from it.
    pub(super) spoke: [bool; 2],
    pub(super) alerts: Vec<Alert>,
    /// Findings along the way, for the explanation.
    pub(super) notes: Vec<String>,
    /// The client random under which a key log had the secrets of a session of which no hello was seen.
    pub(super) joined: Option<[u8; 32]>,
    pub(super) span: Span,
}

impl Handshake {
    pub(super) fn new(span: Span) -> Self {
        Handshake {
            client: None,
            server: None,
            version: None,
            suite: None,
            alpn: None,
            chain: Vec::new(),
            client_chain: Vec::new(),
            certificate_asked: false,
            client_certificate_seen: false,
            certificate_seen: false,
            transcript: Transcript::new(),
            transcript_whole: true,
            parts: None,
            server_key_exchange: None,
            hello_done: false,
            client_key_exchange: None,
            ticket: None,
            resumed: Resumed::No,
            earlier_closed: None,
            secrets: Vec::new(),
            chosen: None,
            derived: false,
            changed: [false; 2],
            last_change: None,
            finished: [false; 2],
            bad_finished: false,
            hello_retried: false,
            established: false,
            failed: false,
            answered_in_clear: false,
            gap: false,
            answer_lost: false,
            missing: Vec::new(),
            why: None,
            reason: None,
            opened: 0,
            closed: 0,
            closed_bytes: 0,
            client_went_on: false,
            spoke: [false; 2],
            alerts: Vec::new(),
            notes: Vec::new(),
            joined: None,
            span,
        }
    }

    /// Memory that it takes, roughly.
    pub(super) fn cost(&self) -> usize {
        /// What a suite takes once it is told.
        const NAME: usize = 64;
        let optional = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::capacity);
        let hello = self.client.as_ref().map_or(0, |hello| {
            let names = hello.alpn.iter().map(|name| size_of_val(name) + name.capacity()).sum::<usize>();
            NAME * hello.suites.len()
                + 2 * hello.supported_versions.capacity()
                + names
                + optional(&hello.sni)
                + optional(&hello.ticket)
        });
        let kept = [&self.server_key_exchange, &self.client_key_exchange, &self.ticket].into_iter().map(optional);
        let certificates = self.chain.iter().chain(&self.client_chain).map(ReadCertificate::cost).sum::<usize>();
        let alerts = self.alerts.iter().map(|alert| size_of_val(alert) + alert.description.len()).sum::<usize>();
        let notes = self.notes.iter().map(|note| size_of_val(note) + note.len()).sum::<usize>();
        let parts = self.parts.as_ref().map_or(0, |parts| parts.cost());
        let secrets = self.secrets.capacity() * size_of::<Candidate>();
        let missing = self.missing.capacity() * size_of::<Tls13Label>();
        size_of::<Self>() + hello + kept.sum::<usize>() + certificates + alerts + notes + parts + secrets + missing
    }

    /// Adds a finding; a few tell the story, thousands do not.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        if self.notes.len() < 24 {
            self.notes.push(note.into());
        }
    }

    /// Whether somebody said that it is over, or may have said so in TLS 1.3's encryption.
    pub(crate) fn was_refused(&self) -> bool {
        !self.alerts.is_empty() || self.closed > 0
    }

    /// Whether the server's answer was no TLS at all.
    pub(crate) fn was_answered_in_clear(&self) -> bool {
        self.answered_in_clear
    }

    /// The alerts so far.
    pub(crate) fn alerts(&self) -> &[Alert] {
        &self.alerts
    }

    /// How far it came, should it have failed.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            chosen: self.server.is_some() || self.gap,
            lacks_certificate: self.certificate_asked && self.client_certificate_seen && self.client_chain.is_empty(),
        }
    }

    /// TLS 1.3: all keys come from a pre-shared one, without a key exchange (`psk_ke`, RFC 8446 section 4.2.9).
    pub(super) fn hangs_on_psk_alone(&self) -> bool {
        self.is_tls13() && self.server.as_ref().is_some_and(|hello| hello.pre_shared_key && !hello.key_share)
    }

    /// Whether the server's private key opens it.
    pub(crate) fn is_opened_by_rsa_key(&self) -> bool {
        self.resumed == Resumed::No
            && self.server_key_exchange.is_none()
            && self.suite.is_some_and(|s| s.kx.opened_by_rsa_key())
    }

    /// Whether it is still going on.
    pub(super) fn running(&self) -> bool {
        !self.established && !self.failed
    }

    pub(super) fn encrypts_then_macs(&self) -> bool {
        self.version != Some(Version::Ssl3) && self.server.as_ref().is_some_and(|s| s.encrypt_then_mac)
    }

    /// All that came behind it stayed closed, and one side can't have said a word in it.
    pub(super) fn stayed_silent(&self) -> bool {
        let closed = self.opened == 0 && self.closed > 0 && !self.gap;
        self.established && closed && self.spoke != [true; 2]
    }

    pub(super) fn is_tls13(&self) -> bool {
        self.version == Some(Version::Tls13)
    }

    pub(super) fn client_random(&self) -> Option<&[u8; 32]> {
        self.client.as_ref().map(|hello| &hello.random).or(self.joined.as_ref())
    }

    pub(super) fn server_random(&self) -> Option<&[u8; 32]> {
        self.server.as_ref().map(|hello| &hello.random)
    }

    /// The secret that a MAC or tag proved.
    pub(super) fn secret(&self) -> Option<&Candidate> {
        self.secrets.get(self.chosen?)
    }
}
