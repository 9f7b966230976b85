//! From a whole record to its content: opened under the current epoch, or counted as closed.

use super::epoch::{Cipher, Failure, Stage};
use super::{Connection, Env};
use crate::diagnostic::Code;
use crate::event::Alert;
use crate::limits::tls::FAILURES;
use crate::position::{Direction, Span};
use crate::tls::protection::{OpenError, Opened};
use crate::tls::record::{HEADER, Header, content};
use crate::tls::{Reason, Upper};

impl Connection {
    /// A whole record at a boundary.
    pub(super) fn record(
        &mut self,
        dir: Direction,
        header: Header,
        record: &mut [u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        self.halves[dir.index()].count(header);
        let Some(fragment) = record.get_mut(HEADER..) else { return };
        if self.halves[dir.index()].lost.is_some() {
            self.record_after_loss(dir, header, fragment, span, env, up);
        } else {
            self.open_record(dir, header, fragment, span, env, up);
        }
    }

    /// Opens a record under the current epoch and passes on what is in it.
    pub(super) fn open_record(
        &mut self,
        dir: Direction,
        header: Header,
        fragment: &mut [u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        let i = dir.index();
        let clear = self.halves[i].epoch.is_clear();
        // A ChangeCipherSpec without a ServerHello: it may be the one of TLS 1.3.
        let unknown = self.halves[i].epoch.is_closed() && self.protecting(dir).server.is_none();
        if (clear || unknown) && header.content_type == content::APPLICATION {
            // Encrypted, and no change of keys was seen.
            if !self.join_midway(dir, header, fragment, span, env, up) && clear {
                self.enter_unseen(dir, env);
            }
        }
        let stage = self.halves[i].epoch.stage;
        if stage == Stage::Changed
            && !self.halves[i].epoch.confirmed
            && header.content_type == content::CHANGE_CIPHER_SPEC
            && header.len == 1
        {
            // Sent twice: too short to be under the keys.
            self.account.overhead += header.record_len() as u64;
            return;
        }
        if stage.is_tls13() && header.content_type != content::APPLICATION {
            // Unprotected: the compatibility mode's ChangeCipherSpec, an early alert, a second ClientHello.
            self.account.overhead += header.record_len() as u64;
            if header.content_type != content::CHANGE_CIPHER_SPEC {
                self.content(dir, header.content_type, fragment, span, env, up);
            }
            return;
        }
        let saved = (stage.is_tls13() && self.halves[i].pending.is_some()).then(|| fragment.to_vec());
        match self.halves[i].epoch.open(&header, fragment, &mut self.scratch) {
            Ok(opened) => {
                let (kind, plain) = (opened.content_type, &*opened.plaintext);
                self.opened(dir, header, kind, plain, span, env, up);
            }
            Err(failure) => {
                if let Some(mut saved) = saved
                    && self.open_pending(dir, header, &mut saved, span, env, up)
                {
                    return;
                }
                self.unopened(dir, header, failure, span, up);
            }
        }
        self.after_record(dir, header, span, env, up);
    }

    /// TLS 1.3: tries the epoch that may have begun without our seeing it.
    fn open_pending(
        &mut self,
        dir: Direction,
        header: Header,
        fragment: &mut [u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) -> bool {
        let i = dir.index();
        let Some(mut next) = self.halves[i].pending.clone() else { return false };
        let Ok(opened) = next.open(&header, fragment, &mut self.scratch) else { return false };
        if self.halves[i].epoch.stage == Stage::Early && next.stage == Stage::Handshake {
            // No EndOfEarlyData: the server did not take it. That itself is under the early keys.
            self.tell_closed_early(up);
            self.refuse_early();
        }
        let half = &mut self.halves[i];
        half.pending = None;
        // It opened as number 0: nothing of the dialogue came before it.
        half.aside = 0;
        half.enter(next);
        let (kind, plain) = (opened.content_type, &*opened.plaintext);
        self.opened(dir, header, kind, plain, span, env, up);
        true
    }

    /// A record of content behind the handshake is open, or not, under keys that have proved right.
    pub(super) fn opened_together(
        &mut self,
        dir: Direction,
        header: Header,
        opened: Result<Opened<'_>, OpenError>,
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        let half = &mut self.halves[dir.index()];
        half.count(header);
        let failure = match (&half.epoch.cipher, opened) {
            // By the failure of those before.
            (Cipher::Closed(reason), _) => Failure::Closed(*reason),
            (_, Err(error)) => Failure::Bad(error),
            (_, Ok(opened)) => return self.opened(dir, header, opened.content_type, opened.plaintext, span, env, up),
        };
        self.unopened(dir, header, failure, span, up);
    }

    /// A record is open: counts it, settles which secret is right, decompresses.
    #[allow(clippy::too_many_arguments)]
    fn opened(
        &mut self,
        dir: Direction,
        header: Header,
        kind: u8,
        plain: &[u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        let half = &mut self.halves[dir.index()];
        half.epoch.failures = 0;
        let clear = half.epoch.is_clear();
        if !clear {
            if !half.epoch.confirmed {
                half.epoch.confirmed = true;
                self.confirm(dir, span, env, up);
            }
            self.protecting(dir).opened += 1;
        }
        let mut inflater = self.halves[dir.index()].inflater.take();
        let content = match &mut inflater {
            Some(inflater) => inflater.inflate(plain, env.limits.expansion_ratio),
            None => Some(plain),
        };
        let Some(content) = content else {
            up.odd(Code::CompressionFailed, "a record does not decompress within its bound", span);
            self.protecting(dir).opened -= u64::from(!clear);
            self.close_epoch(dir, Reason::CompressionStateLost);
            return self.unopened(dir, header, Failure::Closed(Reason::CompressionStateLost), span, up);
        };
        let data = if kind == content::APPLICATION { plain.len().min(header.len) as u64 } else { 0 };
        self.protecting(dir).spoke[dir.index()] |= data > 0;
        self.account.opened += data;
        self.account.overhead += header.record_len() as u64 - data;
        self.content(dir, kind, content, span, env, up);
        let half = &mut self.halves[dir.index()];
        // Unless the content has just begun another epoch.
        if half.inflater.is_none() && half.epoch.compressed && !half.epoch.is_closed() && inflater.is_some() {
            half.inflater = inflater;
        }
    }

    /// A record stays closed.
    fn unopened(&mut self, dir: Direction, header: Header, failure: Failure, span: Span, up: &mut dyn Upper) {
        let half = &mut self.halves[dir.index()];
        let len = header.record_len() as u64;
        self.account.undecrypted += len;
        let reason = match failure {
            Failure::Closed(reason) => reason,
            Failure::Bad(error) => {
                half.epoch.failures += 1;
                let (confirmed, failures) = (half.epoch.confirmed, half.epoch.failures);
                if confirmed {
                    let detail = format!("a record of {len} bytes did not open: {error:?}");
                    up.odd(Code::BadRecord, &detail, span);
                }
                if half.inflater.is_some() {
                    self.close_epoch(dir, Reason::CompressionStateLost);
                } else if failures >= FAILURES {
                    self.close_epoch(dir, Reason::BadMac);
                }
                Reason::BadMac
            }
        };
        let stage = self.halves[dir.index()].epoch.stage;
        let handshake = self.protecting(dir);
        handshake.closed += 1;
        handshake.closed_bytes += len;
        handshake.reason.get_or_insert(reason);
        // An alert alone is 2 bytes, its inner type and the tag; a Finished is longer.
        let alert = header.len == 2 + 1 + 16;
        let behind = stage == Stage::Changed || handshake.client_went_on && !alert;
        handshake.spoke[dir.index()] |= behind && header.content_type == content::APPLICATION;
        let answered = stage == Stage::Handshake || stage == Stage::Early && handshake.server.is_some();
        if answered && dir == Direction::Client && !alert {
            handshake.client_went_on = true;
        }
        match header.content_type {
            content::APPLICATION => {
                let half = &mut self.halves[dir.index()];
                if stage == Stage::Handshake && half.pending.is_some() {
                    half.aside += header.len as u64;
                } else if dir == Direction::Server {
                    up.lost(dir, header.len as u64, span);
                } else if !self.hold_closed_early(header, span) {
                    self.tell_closed_early(up);
                    up.lost(dir, header.len as u64, span);
                }
            }
            content::ALERT => {
                let alert = Alert { dir, description: "encrypted".to_owned(), fatal: false, span };
                if handshake.alerts.len() < 16 {
                    handshake.alerts.push(alert);
                }
            }
            _ => {}
        }
    }

    /// The traffic's first record is not going to be found right behind the handshake.
    pub(super) fn tell_aside(&mut self, dir: Direction, span: Span, up: &mut dyn Upper) {
        let len = std::mem::take(&mut self.halves[dir.index()].aside);
        if len > 0 {
            up.lost(dir, len, span);
        }
    }

    /// What follows any record: whether the handshake has run to its end.
    fn after_record(&mut self, dir: Direction, header: Header, span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        let current = self.current();
        let handshake = &mut self.handshakes[current];
        if handshake.established || handshake.failed || self.halves[dir.index()].epoch.handshake != current {
            return;
        }
        let done = match self.halves[dir.index()].epoch.stage {
            // The Finished behind the second ChangeCipherSpec.
            Stage::Changed => {
                handshake.changed == [true; 2]
                    && handshake.last_change == Some(dir)
                    && matches!(header.content_type, content::HANDSHAKE | content::APPLICATION)
            }
            // Nothing can be read: the client's going on says it.
            Stage::Handshake | Stage::Early => handshake.client_went_on,
            Stage::Application(_) => handshake.finished[Direction::Client.index()] || handshake.client_went_on,
            Stage::Clear => false,
        };
        if done {
            self.establish(span, env, up);
        }
    }

    pub(super) fn establish(&mut self, span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        let index = self.current();
        let handshake = &mut self.handshakes[index];
        if !handshake.established {
            handshake.established = true;
            handshake.span = handshake.span.to(span);
            handshake.remember_closed(self.session, env.sessions, env.limits);
            up.established(index as u32, span);
        }
    }

    /// A MAC or tag matched for the first time in an epoch: its secret is right for both directions.
    fn confirm(&mut self, dir: Direction, span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        let epoch = &self.halves[dir.index()].epoch;
        let (Some(secret), stage) = (epoch.secret(), epoch.stage) else { return };
        let proved = epoch.proves();
        let index = epoch.handshake;
        let Some(handshake) = self.handshakes.get_mut(index) else { return };
        if stage.is_tls13() {
            handshake.chosen.get_or_insert(secret);
            return;
        }
        if handshake.chosen.is_some() {
            return;
        }
        handshake.chosen = Some(secret);
        handshake.take_over_flight();
        if proved {
            for half in &mut self.halves {
                for epoch in [Some(&mut half.epoch), half.pending.as_mut()].into_iter().flatten() {
                    if epoch.handshake == index {
                        epoch.settle(secret);
                    }
                }
            }
            handshake.remember(span.last.index, env.sessions, env.limits);
        }
        let offered = handshake.client.as_ref().map(|c| c.version);
        let inside = handshake.secret().and_then(|c| c.premaster_version);
        if let (Some(offered), Some(inside)) = (offered, inside)
            && offered != inside
        {
            let detail = format!("the premaster secret says {inside:#06x}, ClientHello {offered:#06x}");
            handshake.note(format!(
                "The premaster secret carries version {inside:#06x}, the client offered {offered:#06x}: tolerated."
            ));
            up.odd(Code::PremasterVersion, &detail, span);
        }
    }

    /// The rest of a direction's epoch stays closed.
    pub(super) fn close_epoch(&mut self, dir: Direction, reason: Reason) {
        let half = &mut self.halves[dir.index()];
        half.inflater = None;
        half.epoch.cipher = Cipher::Closed(reason);
    }

    /// Content of a record that is open.
    fn content(&mut self, dir: Direction, kind: u8, bytes: &[u8], span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        match kind {
            content::APPLICATION if bytes.is_empty() => {}
            content::APPLICATION if self.halves[dir.index()].epoch.stage == Stage::Early => {
                self.hold_early(bytes, span, env.limits.handshake_bytes, up);
            }
            content::APPLICATION => up.plaintext(dir, bytes, span),
            content::HANDSHAKE => self.fragment(dir, bytes, span, env, up),
            content::ALERT => self.alert(dir, bytes, span, up),
            content::CHANGE_CIPHER_SPEC => self.change(dir, span, env, up),
            // Heartbeats and what is not known carry no mail.
            _ => {}
        }
    }
}
