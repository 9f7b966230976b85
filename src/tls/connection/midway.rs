//! TLS 1.3 from the middle, or without one of its hellos: a key log has the traffic secrets, but which of them, for
//! which suite and with which record number is not known. The tag judges each guess, within bounds.

use super::epoch::{Cipher, Epoch, Keys, Stage, copy};
use super::state::Handshake;
use super::{Connection, Env};
use crate::diagnostic::Code;
use crate::limits::tls::{
    FEW_SECRETS, FEW_UPDATES, HANDSHAKE_RECORDS, KEYS, MIDWAY_BYTES, MIDWAY_ENTRIES, TRIAL, UPDATES,
};
use crate::position::{Direction, Span};
use crate::tls::Upper;
use crate::tls::keylog::{Found, Tls13Label};
use crate::tls::keys::KeyRing;
use crate::tls::protection::Protection;
use crate::tls::record::{Header, content};
use crate::tls::schedule;
use crate::tls::suites::{self, Suite, Version};

impl Connection {
    /// A record of a session of which a hello was not seen: looks for the keys that open it. Where they are found the
    /// direction's epoch stands right before the record.
    pub(super) fn join_midway(
        &mut self,
        dir: Direction,
        header: Header,
        fragment: &[u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) -> bool {
        let index = self.current();
        let handshake = &self.handshakes[index];
        // Records of TLS 1.3 say 1.2.
        let fits = header.content_type == content::APPLICATION && header.version == 0x0303;
        if index > 0
            || self.halves[dir.index()].tried_midway
            || !handshake.may_be_tls13_midway()
            || !fits
            || !env.keys.has_keylog()
        {
            return false;
        }
        self.halves[dir.index()].tried_midway = true;
        let mut left = MIDWAY_BYTES.min(env.sessions.tries_left());
        if left == 0 {
            return false;
        }
        let mut candidates = handshake.midway_candidates(dir, env.keys);
        env.sessions.tried(candidates.len() as u64 * KEYS);
        let cost = fragment.len() as u64 + TRIAL;
        // Low numbers first, for every candidate: most captures that miss the beginning do not miss much.
        for number in 0..env.limits.tls_search_records {
            for Midway { label, random, found, suite, protection } in &mut candidates {
                let stage = match label {
                    Tls13Label::ClientTraffic(n) | Tls13Label::ServerTraffic(n) => Stage::Application(*n),
                    Tls13Label::ClientEarly => Stage::Early,
                    _ if number >= HANDSHAKE_RECORDS => continue,
                    _ => Stage::Handshake,
                };
                let Some(rest) = left.checked_sub(cost) else { return false };
                left = rest;
                env.sessions.tried(cost);
                copy(&mut self.scratch, fragment);
                protection.set_sequence(number);
                if protection.open(header.content_type, header.version, &mut self.scratch).is_err() {
                    continue;
                }
                protection.set_sequence(number);
                let handshake = &mut self.handshakes[index];
                handshake.version = Some(Version::Tls13);
                handshake.suite = Some(suite);
                handshake.joined = Some(*random);
                handshake.secrets.push(found.clone().into());
                handshake.note(format!(
                    "The beginning was not captured; a key log's secret fits the {}'s record {number}.",
                    dir.as_str()
                ));
                let keys = Keys { protection: protection.clone(), secret: handshake.secrets.len() - 1 };
                let half = &mut self.halves[dir.index()];
                half.pending = None;
                half.enter(Epoch::new(Cipher::Keyed(vec![keys]), index, stage));
                self.follow_early(index, env.keys);
                let detail = format!("joined midway: the {} goes on at record {number}", dir.as_str());
                up.odd(Code::TlsResynchronised, &detail, span);
                return true;
            }
        }
        false
    }

    /// Now that the suite is known: what follows early data.
    fn follow_early(&mut self, index: usize, keys: &KeyRing) {
        let half = &mut self.halves[Direction::Client.index()];
        if half.epoch.stage == Stage::Early && half.pending.is_none() {
            half.pending = Some(self.handshakes[index].tls13_epoch(index, Direction::Client, Stage::Handshake, keys));
        }
    }
}

/// Keys that may open a session joined midway.
struct Midway {
    label: Tls13Label,
    random: [u8; 32],
    found: Found,
    suite: &'static Suite,
    protection: Protection,
}

impl Handshake {
    /// Whether it lacks a hello, and nothing says that it is of another version.
    pub(super) fn may_be_tls13_midway(&self) -> bool {
        let hello_lost = self.client.is_none() || self.server.is_none();
        // A ChangeCipherSpec says nothing: TLS 1.3 sends them for compatibility.
        hello_lost && (self.is_tls13() || self.version.is_none() && !self.any_key_exchange())
    }

    /// Each secret with each suite that it may be for; the session's own where its client random is known.
    fn midway_candidates(&self, dir: Direction, keys: &KeyRing) -> Vec<Midway> {
        let client = dir == Direction::Client;
        let secrets = match self.client_random() {
            Some(random) => {
                let traffic = if client { Tls13Label::ClientTraffic } else { Tls13Label::ServerTraffic };
                let first: &[Tls13Label] = match dir {
                    Direction::Client => &[Tls13Label::ClientEarly, Tls13Label::ClientHandshake],
                    Direction::Server => &[Tls13Label::ServerHandshake],
                };
                let labels = first.iter().copied().chain((0..=UPDATES).map(traffic));
                labels.filter_map(|label| Some((label, *random, keys.tls13_secret(label, random)?))).collect()
            }
            None => keys.traffic_secrets(client, MIDWAY_ENTRIES),
        };
        // Key logs have the first secret alone, mostly.
        let updates = match (self.client_random(), secrets.len()) {
            (Some(_), _) => UPDATES,
            (None, ..=FEW_SECRETS) => FEW_UPDATES,
            _ => 0,
        };
        let mut candidates = Vec::new();
        for (label, random, found) in secrets {
            for suite in suites::all().iter().filter(|s| s.is_tls13() && s.is_supported()) {
                if self.suite.is_some_and(|known| known.id != suite.id) {
                    continue;
                }
                let (mut label, mut found) = (label, found.clone());
                let later = if matches!(label, Tls13Label::ClientTraffic(0) | Tls13Label::ServerTraffic(0)) {
                    updates
                } else {
                    0
                };
                for n in 0..=later {
                    let Some(protection) = schedule::tls13_protection(suite, &found.secret) else { break };
                    candidates.push(Midway { label, random, found: found.clone(), suite, protection });
                    found.secret = schedule::tls13_next_secret(suite, &found.secret);
                    label = if client { Tls13Label::ClientTraffic(n + 1) } else { Tls13Label::ServerTraffic(n + 1) };
                }
            }
        }
        candidates
    }
}
