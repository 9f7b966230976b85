//! After a loss: where the next record begins, which number it has, and under which keys it is.
//!
//! The MAC or tag judges each guess. What a record's bytes can't prove is counted as lost, never guessed at.

use super::epoch::{Cipher, Epoch, Keys, Stage, copy};
use super::messages::begins_message;
use super::state::Handshake;
use super::{Connection, Env};
use crate::diagnostic::Code;
use crate::limits::tls::{TRIAL, UNMATCHED};
use crate::position::{Direction, Span};
use crate::tls::handshake::{self, ClientHello, kind};
use crate::tls::protection::Protection;
use crate::tls::record::{HEADER, Header, RESIDUE, content};
use crate::tls::{Reason, Upper};

/// A stretch that was lost and is not bridged yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Lost {
    /// Bytes from the last boundary known to the one that is looked for.
    bytes: u64,
    /// Fragment length of the only record that is lost, under the keys that are in use.
    pub(super) exact: Option<usize>,
    /// The end of the fragment right before the next record.
    previous: Vec<u8>,
    /// Records tried in vain.
    unmatched: u32,
    /// Lost while nothing was encrypted yet: told only if it turns out that application data was in it.
    pub(super) deferred: Option<u64>,
    /// Bytes are missing; else it is only that what came was no record.
    missing: bool,
}

/// A whole record behind a loss, whose place is not known.
#[derive(Copy, Clone)]
struct Adrift<'a> {
    dir: Direction,
    header: Header,
    fragment: &'a [u8],
    lost: &'a Lost,
}

impl Lost {
    /// Whether nothing but a record is lost whose end is known.
    pub(super) fn ends_in_sight(&self) -> bool {
        self.exact.is_some()
    }

    /// Whether more is missing than that.
    pub(super) fn is_adrift(&self) -> bool {
        self.missing && !self.ends_in_sight()
    }

    /// A record was looked at in vain.
    fn skip(&mut self, header: Header, fragment: &[u8]) {
        self.bytes = self.bytes.saturating_add(header.record_len() as u64);
        self.exact = None;
        self.previous = fragment.get(fragment.len().saturating_sub(RESIDUE)..).unwrap_or_default().to_vec();
    }
}

impl Connection {
    /// `len` bytes are missing.
    pub(super) fn lose(&mut self, dir: Direction, len: u64, span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        self.tell_aside(dir, span, up);
        self.read_begun(dir, span, env, up);
        let handshake = self.last();
        // An alert of the other side's may have come before what is missing was told.
        if !handshake.established {
            handshake.gap = true;
            handshake.answer_lost |= dir == Direction::Server && handshake.server.is_none();
            handshake.transcript_whole = false;
            handshake.lose_flight(dir);
        }
        let half = &mut self.halves[dir.index()];
        if half.dead {
            return up.lost(dir, len, span);
        }
        let cut = half.framer.gap(len);
        half.joiner.clear();
        half.unsure = true;
        let same_record = half.lost.is_some() && cut.header.is_none() && cut.exact;
        let exact = cut.header.filter(|_| cut.exact).map(|h| h.len);
        let known = half.lost.is_some();
        let lost = half.lost.get_or_insert_default();
        lost.bytes = lost.bytes.saturating_add(cut.before).saturating_add(len);
        lost.previous.clear();
        lost.missing = true;
        if !known {
            lost.exact = exact;
        } else if !same_record {
            lost.exact = None;
        }
        let amount = match exact {
            Some(fragment) => (HEADER + fragment) as u64,
            None if same_record => 0,
            None => cut.before.saturating_add(len),
        };
        let clear = half.epoch.is_clear();
        if clear {
            lost.deferred = Some(lost.deferred.unwrap_or(0).saturating_add(amount));
        }
        if half.inflater.is_some() {
            self.close_epoch(dir, Reason::CompressionStateLost);
        }
        self.account.undecrypted += cut.before;
        self.protecting(dir).closed_bytes += cut.before;
        if !clear && amount > 0 {
            up.lost(dir, amount, span);
        }
        // A ChangeCipherSpec whose header was seen did its work all the same.
        if clear && exact.is_some() && cut.header.is_some_and(|h| h.content_type == content::CHANGE_CIPHER_SPEC) {
            self.change(dir, span, env, up);
            self.halves[dir.index()].lost = None;
        }
    }

    /// Messages in the clear that are whole although their record is cut: a hello in one record with a long
    /// certificate. And a ClientHello of which the beginning is there.
    fn read_begun(&mut self, dir: Direction, span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        let half = &self.halves[dir.index()];
        if half.epoch.is_clear()
            && half.lost.is_none()
            && let Some(begun) = half.framer.begun().filter(|(header, _)| header.content_type == content::HANDSHAKE)
        {
            let fragment = begun.1.to_vec();
            self.fragment(dir, &fragment, span, env, up);
        }
        let half = &self.halves[dir.index()];
        let begun = half.joiner.begun();
        if let Some((&[kind::CLIENT_HELLO, ..], body)) = begun.split_first_chunk::<{ handshake::HEADER }>()
            && dir == Direction::Client
            && half.epoch.is_clear()
            && let Some(hello) = ClientHello::parse_cut(body)
        {
            // Its random is all that the keys need.
            let begun = begun.to_vec();
            self.client_hello(Some(hello), &begun, span, env, up);
        }
    }

    /// Bytes that belong to no whole record.
    pub(super) fn passed(&mut self, dir: Direction, bytes: u64, span: Span, up: &mut dyn Upper) {
        self.account.undecrypted += bytes;
        self.protecting(dir).closed_bytes += bytes;
        let half = &mut self.halves[dir.index()];
        let clear = half.epoch.is_clear();
        let Some(lost) = &mut half.lost else { return };
        lost.bytes = lost.bytes.saturating_add(bytes);
        if lost.exact.is_some() {
            // Told already, as part of the record that was cut.
        } else if clear {
            lost.deferred = Some(lost.deferred.unwrap_or(0).saturating_add(bytes));
        } else if bytes > 0 {
            up.lost(dir, bytes, span);
        }
    }

    /// What stands at a boundary is no record header.
    pub(super) fn garbage(&mut self, dir: Direction, span: Span, up: &mut dyn Upper) {
        self.tell_aside(dir, span, up);
        let half = &mut self.halves[dir.index()];
        let first = half.records == 0 && half.lost.is_none();
        if first && !self.begins_unseen {
            half.dead = true;
            self.last().reason.get_or_insert(Reason::NotTls);
            return;
        }
        half.framer.search();
        half.joiner.clear();
        half.unsure = true;
        let lost = half.lost.get_or_insert_default();
        lost.exact = None;
        let handshake = self.last();
        if handshake.running() {
            handshake.transcript_whole = false;
        }
        // The rest of a record that began before the capture is nothing odd.
        if !first {
            up.odd(Code::BadRecord, "bytes that are not a record; looking for the next one", span);
        }
    }

    /// A place where a record may begin, found by searching. Says whether it is one.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn candidate(
        &mut self,
        dir: Direction,
        header: Header,
        chained: Option<bool>,
        record: &mut [u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) -> bool {
        let half = &mut self.halves[dir.index()];
        let other_version = half.wire_version.is_some_and(|version| version != header.version);
        if other_version && !half.epoch.is_clear() || chained == Some(false) && !self.fits(dir, header, record, env) {
            return false;
        }
        self.record(dir, header, record, span, env, up);
        true
    }

    /// Whether a record opens somewhere behind the loss.
    fn fits(&mut self, dir: Direction, header: Header, record: &[u8], env: &mut Env<'_>) -> bool {
        let Some(lost) = self.halves[dir.index()].lost.clone() else { return false };
        let fragment = record.get(HEADER..).unwrap_or_default();
        self.resync(Adrift { dir, header, fragment, lost: &lost }, env).is_some()
    }

    /// A whole record behind a loss.
    pub(super) fn record_after_loss(
        &mut self,
        dir: Direction,
        header: Header,
        fragment: &mut [u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        let i = dir.index();
        let Some(mut lost) = self.halves[i].lost.take() else { return };
        if lost.exact.is_some() {
            lost.previous = self.halves[i].framer.residue().to_vec();
        }
        let clear = self.halves[i].epoch.is_clear();
        let still_clear = clear && self.still_clear(header, fragment, env);
        // What looks like a message may be one that is encrypted: where there are keys they tell.
        let keyed = self.halves[i].pending.as_ref().is_some_and(|next| matches!(next.cipher, Cipher::Keyed(_)));
        if still_clear && !keyed {
            return self.open_record(dir, header, fragment, span, env, up);
        }
        let unprotected = self.halves[i].epoch.stage.is_tls13() && header.content_type != content::APPLICATION;
        if unprotected {
            self.halves[i].lost = Some(Lost { bytes: lost.bytes + header.record_len() as u64, exact: None, ..lost });
            return self.open_record(dir, header, fragment, span, env, up);
        }
        if let Some((epoch, number)) = self.resync(Adrift { dir, header, fragment, lost: &lost }, env) {
            if let Some(amount) = lost.deferred {
                up.lost(dir, amount, span);
            }
            self.resynchronise(dir, epoch, number, span, up);
            return self.open_record(dir, header, fragment, span, env, up);
        }
        if still_clear {
            return self.open_record(dir, header, fragment, span, env, up);
        }
        if clear && self.join_midway(dir, header, fragment, span, env, up) {
            if let Some(amount) = lost.deferred {
                up.lost(dir, amount, span);
            }
            return self.open_record(dir, header, fragment, span, env, up);
        }
        if clear {
            // Nothing opens it: either it is in the clear after all, or there are no keys.
            if header.content_type == content::HANDSHAKE {
                if keyed {
                    // In the middle of a message: the encrypted ones are yet to come.
                    lost.skip(header, fragment);
                    self.halves[i].lost = Some(lost);
                }
                return self.open_record(dir, header, fragment, span, env, up);
            }
            if let Some(amount) = lost.deferred.take() {
                up.lost(dir, amount, span);
            }
            self.enter_unseen(dir, env);
        }
        let epoch = &mut self.halves[i].epoch;
        if !matches!(epoch.cipher, Cipher::Keyed(_)) {
            // Without keys every boundary is as good as the next.
            return self.open_record(dir, header, fragment, span, env, up);
        }
        lost.unmatched += 1;
        lost.skip(header, fragment);
        self.account.undecrypted += header.record_len() as u64;
        let handshake = self.protecting(dir);
        handshake.closed += 1;
        handshake.closed_bytes += header.record_len() as u64;
        handshake.reason.get_or_insert(Reason::GapNotBridged);
        if header.content_type == content::APPLICATION {
            up.lost(dir, header.len as u64, span);
        }
        if lost.unmatched >= UNMATCHED || self.search_left == 0 {
            self.close_epoch(dir, Reason::GapNotBridged);
        } else {
            self.halves[i].lost = Some(lost);
        }
    }

    /// Whether a record behind a loss in the clear epoch is in the clear, too.
    fn still_clear(&self, header: Header, fragment: &[u8], env: &Env<'_>) -> bool {
        match header.content_type {
            content::CHANGE_CIPHER_SPEC => header.len == 1,
            content::ALERT => header.len == 2,
            content::HANDSHAKE => begins_message(fragment, env.limits.handshake_bytes),
            _ => false,
        }
    }

    /// Looks for the keys and the record number under which a record opens. The epoch returned stands right before it.
    fn resync(&mut self, record: Adrift<'_>, env: &mut Env<'_>) -> Option<(Epoch, u64)> {
        self.search_left = self.search_left.min(env.sessions.tries_left());
        let before = self.search_left;
        let found = self.search(record, env);
        env.sessions.tried(before - self.search_left);
        found
    }

    fn search(&mut self, record: Adrift<'_>, env: &mut Env<'_>) -> Option<(Epoch, u64)> {
        let dir = record.dir;
        let index = self.current();
        let now = self.halves[dir.index()].epoch.clone();
        if let Some(found) = self.search_epoch(record, &now, true, env) {
            return Some(found);
        }
        let secrets = self.handshakes[index].secrets.len();
        let following = if self.handshakes[index].is_tls13() {
            self.handshakes[index].tls13_following(index, dir, &now, env.keys)
        } else if now.stage == Stage::Clear || self.handshakes[index].running() {
            self.pending(dir, env).into_iter().collect()
        } else {
            Vec::new()
        };
        let found = following.iter().find_map(|epoch| self.search_epoch(record, epoch, false, env));
        if found.is_none() && self.handshakes[index].is_tls13() {
            self.handshakes[index].secrets.truncate(secrets);
        }
        found
    }

    /// Looks under the keys of one epoch; `current` says whether it is the one before the loss, or begins within it.
    fn search_epoch(
        &mut self,
        record: Adrift<'_>,
        epoch: &Epoch,
        current: bool,
        env: &Env<'_>,
    ) -> Option<(Epoch, u64)> {
        let Cipher::Keyed(candidates) = &epoch.cipher else { return None };
        let mut search = Search {
            record,
            most: env.limits.tls_search_records,
            current,
            encrypt_then_mac: self.handshakes.get(epoch.handshake).is_some_and(Handshake::encrypts_then_macs),
            left: &mut self.search_left,
            scratch: &mut self.scratch,
        };
        let found = search.any(candidates)?;
        let number = found.protection.sequence();
        Some((Epoch { cipher: Cipher::Keyed(vec![found]), ..epoch.clone() }, number))
    }

    /// The place is found.
    fn resynchronise(&mut self, dir: Direction, epoch: Epoch, number: u64, span: Span, up: &mut dyn Upper) {
        let before = self.halves[dir.index()].epoch.stage;
        let (stage, handshake, compressed) = (epoch.stage, epoch.handshake, epoch.compressed);
        if stage == Stage::Changed && handshake == self.current() && !self.last().changed[dir.index()] {
            self.enter_changed(dir, epoch);
        } else {
            let half = &mut self.halves[dir.index()];
            if stage != before {
                half.pending = None;
            }
            half.enter(epoch);
        }
        if let (Stage::Application(_), Stage::Clear | Stage::Early | Stage::Handshake) = (stage, before) {
            self.last().finished[dir.index()] = true;
        }
        if compressed && number > 0 {
            self.close_epoch(dir, Reason::CompressionStateLost);
        }
        let detail = format!("the {} goes on at record {number}", dir.as_str());
        up.odd(Code::TlsResynchronised, &detail, span);
    }
}

/// A search for the number of a record.
struct Search<'a> {
    record: Adrift<'a>,
    /// Records that may be lost at most.
    most: u64,
    /// Whether the epoch is the one before the loss, or begins within it.
    current: bool,
    encrypt_then_mac: bool,
    /// Bytes that may still be tried.
    left: &'a mut u64,
    scratch: &'a mut Vec<u8>,
}

impl Search<'_> {
    fn any(&mut self, candidates: &[Keys]) -> Option<Keys> {
        candidates.iter().find_map(|c| {
            let protection = self.one(&c.protection)?;
            Some(Keys { protection, secret: c.secret })
        })
    }

    fn one(&mut self, base: &Protection) -> Option<Protection> {
        let smallest = (HEADER + base.min_fragment()) as u64;
        let mut most = (self.record.lost.bytes / smallest.max(1)).min(self.most);
        if base.has_implicit_iv() && self.record.lost.previous.is_empty() {
            if self.current && self.record.lost.bytes > 0 {
                return None;
            }
            most = 0;
        }
        match (base.is_stream(), self.current, self.record.lost.exact) {
            (_, true, Some(fragment)) => {
                let mut next = base.clone();
                next.skip(1, fragment as u64);
                self.residue(&mut next);
                self.opens(&next).then_some(next)
            }
            (true, true, None) => self.stream(base, most),
            (true, false, _) => self.fresh_stream(base),
            (false, ..) => (0..=most).find_map(|records| {
                let mut next = base.clone();
                next.set_sequence(base.sequence().wrapping_add(records));
                if self.current || records > 0 {
                    self.residue(&mut next);
                }
                self.opens(&next).then_some(next)
            }),
        }
    }

    /// RC4: `lost.bytes` less five for each record were enciphered. The more records, the less keystream: from the most
    /// records downwards, the keystream only ever moves on.
    fn stream(&mut self, base: &Protection, most: u64) -> Option<Protection> {
        let header = HEADER as u64;
        let mut next = base.clone();
        let first = self.record.lost.bytes.saturating_sub(header.saturating_mul(most));
        if !self.spend(first) {
            return None;
        }
        next.skip(0, first);
        for records in (0..=most).rev() {
            if self.record.lost.bytes < header.saturating_mul(records) {
                continue;
            }
            next.set_sequence(base.sequence().wrapping_add(records));
            if self.opens(&next) {
                return Some(next);
            }
            next.skip(0, header);
        }
        None
    }

    /// RC4 under keys that begin within the loss: only their Finished can be behind.
    fn fresh_stream(&mut self, base: &Protection) -> Option<Protection> {
        let tag = base.tag_len() as u64;
        // Finished: a header of 4 bytes, then 12 bytes, 36 in SSL 3.0.
        [(0, 0), (1, 16 + tag), (1, 40 + tag)].into_iter().find_map(|(records, bytes)| {
            let mut next = base.clone();
            next.skip(records, bytes);
            self.opens(&next).then_some(next)
        })
    }

    fn residue(&self, next: &mut Protection) {
        if next.has_implicit_iv() {
            // The MAC does not vouch for the IV here: it has to be the right one (RFC 7366 section 3).
            let mac = if self.encrypt_then_mac { next.tag_len() } else { 0 };
            let previous = &self.record.lost.previous;
            next.iv_unknown();
            next.set_previous_block(previous.get(..previous.len().saturating_sub(mac)).unwrap_or_default());
        }
    }

    fn opens(&mut self, next: &Protection) -> bool {
        if !self.spend(self.record.fragment.len() as u64 + TRIAL) {
            return false;
        }
        copy(self.scratch, self.record.fragment);
        next.clone().open(self.record.header.content_type, self.record.header.version, self.scratch).is_ok()
    }

    fn spend(&mut self, bytes: u64) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                *self.left = left;
                true
            }
            None => {
                *self.left = 0;
                false
            }
        }
    }
}
