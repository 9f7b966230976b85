//! What became of each handshake, when the connection is over.

use super::state::Handshake;
use super::{Connection, Env};
use crate::diagnostic::Code;
use crate::event::{Decrypted, SecretSource, Text, TlsHandshake};
use crate::fmt::count;
use crate::position::{Direction, Span};
use crate::tls::keys::KeyRing;
use crate::tls::suites::{self, BulkCipher, KeyExchange};
use crate::tls::{Reason, Upper, explain};

impl Connection {
    /// The connection is over: what became of each handshake, in order. Bytes still held are counted as undecrypted.
    pub fn finish(&mut self, span: Span, env: &mut Env<'_>, up: &mut dyn Upper) -> Vec<TlsHandshake> {
        self.open_all_held_back(env, up);
        self.go_on(env, up);
        // Not even a hello came whole.
        let begun = self.halves.iter().any(|half| half.framer.begins_handshake());
        for dir in [Direction::Client, Direction::Server] {
            self.tell_aside(dir, span, up);
            let held = self.halves[dir.index()].framer.clear();
            self.account.undecrypted += held;
            if held > 0 {
                self.protecting(dir).closed_bytes += held;
            }
        }
        self.take_early(up);
        self.note_early();
        let seen = [self.halves[0].bytes > 0, self.halves[1].bytes > 0];
        let ended = self.halves.iter().any(|half| half.ended || half.closed);
        self.silent = matches!(self.handshakes.as_slice(), [only] if only.stayed_silent());
        let mut handshakes = std::mem::take(&mut self.handshakes);
        let mut out = Vec::with_capacity(handshakes.len());
        for (index, handshake) in handshakes.iter_mut().enumerate() {
            handshake.seek_earlier(env.sessions);
            let mut reason = handshake.final_reason(seen, ended, env);
            if reason == Some(Reason::MidSession) && begun && handshake.closed == 0 {
                reason = Some(if ended { Reason::HandshakeFailed } else { Reason::HandshakeIncomplete });
            }
            if handshake.closed > 0
                && let Some(reason) = reason.filter(|&r| r != Reason::HandshakeFailed)
            {
                let of = if index > 0 { format!(" of renegotiation {index}") } else { String::new() };
                let detail = format!("{}{of}: {reason}", count(handshake.closed, "record"));
                up.odd(Code::Undecrypted, &detail, span);
            }
            out.push(handshake.report(index, reason, env.keys));
        }
        out
    }
}

impl Handshake {
    fn final_reason(&self, seen: [bool; 2], ended: bool, env: &Env<'_>) -> Option<Reason> {
        let keys = env.keys;
        if self.failed && !self.established {
            return Some(Reason::HandshakeFailed);
        }
        let reason = if self.closed > 0 {
            // Nothing but an alert came from the client, which would have been captured: it did not like what it saw.
            let heard = seen == [true; 2] || env.both_captured;
            let silent = !self.established && !self.client_went_on && !self.gap && self.opened == 0;
            if self.is_tls13() && heard && silent && ended {
                return Some(Reason::HandshakeFailed);
            }
            self.reason
        } else if self.joined.is_some() && self.opened > 0 {
            None
        } else if !self.established {
            let missing = match (self.gap, ended, &self.client, &self.server) {
                (true, ..) => Reason::HandshakeGap,
                (false, true, Some(_), _) if seen == [true; 2] || env.both_captured => Reason::HandshakeFailed,
                (false, _, None, None) => self.why_no_hello(),
                _ => Reason::HandshakeIncomplete,
            };
            Some(self.reason.unwrap_or(missing))
        } else if self.opened == 0 {
            self.why
        } else {
            None
        }?;
        // Other handshakes' certificates were tried in the place of the lost one.
        if reason == Reason::BadMac && self.opened == 0 && self.needs_lost_bytes() {
            return Some(Reason::HandshakeGap);
        }
        if reason == Reason::BadMac && self.opened == 0 && self.hangs_on_psk() {
            return Some(Reason::NoPsk);
        }
        let by_what_is_missing =
            matches!(reason, Reason::HandshakeIncomplete | Reason::HandshakeGap | Reason::MidSession);
        // A ClientHello alone may just not be answered yet.
        let unanswered = seen == [true, false] && !self.any_message() && self.closed == 0;
        if by_what_is_missing && seen.contains(&false) && !unanswered && !env.both_captured {
            return Some(Reason::OneSided);
        }
        let by_keys = matches!(
            reason,
            Reason::KeylogNoEntry
                | Reason::NoKey
                | Reason::ForwardSecrecy
                | Reason::StaticDh
                | Reason::ResumedUnseen
                | Reason::ExportEphemeral
                | Reason::NoPsk
        );
        if by_keys
            && self.client_random().is_some_and(|random| {
                keys.master_for_client_random(random).is_some()
                    || self.missing.iter().any(|&label| keys.tls13_secret(label, random).is_some())
            })
        {
            return Some(Reason::SecretLate);
        }
        Some(reason)
    }

    /// Whether all that was tried was made with pre-shared keys, as they were given.
    fn hangs_on_psk(&self) -> bool {
        let psk = self.suite.is_some_and(|suite| matches!(suite.kx, KeyExchange::Psk | KeyExchange::RsaPsk));
        psk && self.secrets.iter().all(|c| matches!(c.source, SecretSource::Psk | SecretSource::RsaKey))
    }

    fn report(&self, index: usize, reason: Option<Reason>, keys: &KeyRing) -> TlsHandshake {
        let used = self.secret().filter(|_| self.opened > 0);
        let open_anyway = self.opened > 0 && self.suite.is_some_and(|s| s.cipher == BulkCipher::Null);
        let decrypted = match (self.opened, self.closed) {
            (0, _) => Decrypted::None,
            (_, 0) => Decrypted::All,
            _ => Decrypted::Part,
        };
        let server = self.server.as_ref();
        let suite = server.map(|s| s.suite).or(self.suite.map(|s| s.id));
        let mut chain = self.chain.iter().map(|c| c.info.clone());
        TlsHandshake {
            handshake: index as u32,
            version: self.version.map(|v| v.as_str()),
            suite: suite.map(suite_name),
            sni: self.client.as_ref().and_then(|c| c.sni.clone()).map(Text),
            alpn: self.alpn.clone().map(Text),
            client_random: self.client_random().copied(),
            certificate: chain.next(),
            chain: chain.collect(),
            client_certificate: self.client_chain.first().map(|c| c.info.clone()),
            progress: self.progress(),
            answered_in_clear: self.answered_in_clear,
            resumed: self.resumed,
            extended_master_secret: server.is_some_and(|s| s.extended_master_secret),
            encrypt_then_mac: server.is_some_and(|s| s.encrypt_then_mac),
            completed: self.established,
            decrypted,
            secret: used.map(|c| c.source).or(open_anyway.then_some(SecretSource::NoneNeeded)),
            key: used.and_then(|c| c.name.as_deref()).map(str::to_owned),
            reason,
            records_decrypted: self.opened,
            records_undecrypted: self.closed,
            undecrypted_bytes: self.closed_bytes,
            alerts: self.alerts.clone(),
            offered: self.client.iter().flat_map(|c| &c.suites).map(|&id| suite_name(id)).collect(),
            steps: explain::steps(self, reason, keys),
            span: self.span,
        }
    }
}

/// IANA's name, or the number.
pub(super) fn suite_name(id: u16) -> String {
    match suites::suite(id) {
        Some(suite) => suite.name.to_owned(),
        None => format!("{id:#06x}"),
    }
}
