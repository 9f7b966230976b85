//! TLS 1.3: which traffic secret comes when (RFC 8446). All of them come from key logs.

use super::epoch::{Cipher, Epoch, Keys, Stage};
use super::state::{Candidate, Handshake};
use crate::position::Direction;
use crate::tls::Reason;
use crate::tls::keylog::Tls13Label;
use crate::tls::keys::KeyRing;
use crate::tls::schedule;
use crate::tls::suites::{self, Suite};

/// As many labels as a connection without KeyUpdates has.
const MISSING: usize = 5;

impl Handshake {
    /// The epoch of that stage, closed where its secret is not known.
    pub(super) fn tls13_epoch(&mut self, index: usize, dir: Direction, stage: Stage, keys: &KeyRing) -> Epoch {
        let cipher = match self.traffic_keys(dir, stage, keys) {
            Ok(candidates) => Cipher::Keyed(candidates),
            Err(reason) => {
                self.why.get_or_insert(reason);
                Cipher::Closed(reason)
            }
        };
        Epoch::new(cipher, index, stage)
    }

    fn traffic_keys(&mut self, dir: Direction, stage: Stage, keys: &KeyRing) -> Result<Vec<Keys>, Reason> {
        let Some(random) = self.client_random().copied() else { return Err(self.why_no_hello()) };
        let label = match (stage, dir) {
            (Stage::Early, _) => Tls13Label::ClientEarly,
            (Stage::Handshake, Direction::Client) => Tls13Label::ClientHandshake,
            (Stage::Handshake, Direction::Server) => Tls13Label::ServerHandshake,
            (Stage::Application(n), Direction::Client) => Tls13Label::ClientTraffic(n),
            (Stage::Application(n), Direction::Server) => Tls13Label::ServerTraffic(n),
            (Stage::Clear | Stage::Changed, _) => return Err(Reason::UnsupportedSuite),
        };
        let Some(found) = keys.tls13_secret(label, &random) else {
            if self.missing.len() < MISSING && !self.missing.contains(&label) {
                self.missing.push(label);
            }
            // The capture's own secrets count as a key log where they have some of this session.
            let logged = keys.was_given_keylog() || keys.knows_tls13(&random);
            return Err(match logged {
                true => Reason::KeylogNoEntry,
                false if self.hangs_on_psk_alone() => Reason::NoPsk,
                false => Reason::ForwardSecrecy,
            });
        };
        // Early data comes before the server's choice: each suite offered that the secret fits is tried.
        let candidates: Vec<&'static Suite> =
            match (stage, self.suite.filter(|_| self.server.is_some() || self.joined.is_some())) {
                (Stage::Early, None) => {
                    let offered = self.client.iter().flat_map(|c| c.suites.iter());
                    offered.filter_map(|&id| suites::suite(id)).filter(|s| s.is_tls13()).take(16).collect()
                }
                (_, Some(suite)) => vec![suite],
                (_, None) => Vec::new(),
            };
        let secret = self.secrets.len();
        let made: Vec<Keys> = candidates
            .into_iter()
            .filter_map(|suite| schedule::tls13_protection(suite, &found.secret))
            .map(|protection| Keys { protection, secret })
            .collect();
        if made.is_empty() {
            return Err(Reason::UnsupportedSuite);
        }
        self.secrets.push(found.into());
        Ok(made)
    }

    /// The epoch behind a KeyUpdate: from the key log, else from the secret before.
    pub(super) fn updated_epoch(&mut self, index: usize, dir: Direction, now: &Epoch, keys: &KeyRing) -> Epoch {
        let Stage::Application(n) = now.stage else { return now.clone() };
        let stage = Stage::Application(n.saturating_add(1));
        if let (Some(suite), Some(before)) = (self.suite, now.secret().and_then(|i| self.secrets.get(i))) {
            let secret = schedule::tls13_next_secret(suite, &before.secret);
            if let Some(protection) = schedule::tls13_protection(suite, &secret) {
                let next = Candidate { secret, ..before.clone() };
                let keys = vec![Keys { protection, secret: self.secrets.len() }];
                self.secrets.push(next);
                return Epoch::new(Cipher::Keyed(keys), index, stage);
            }
        }
        self.tls13_epoch(index, dir, stage, keys)
    }

    /// A KeyUpdate came: the next epoch takes the place of `now`, its secret that of the one before.
    pub(super) fn key_update(&mut self, index: usize, dir: Direction, now: &Epoch, keys: &KeyRing) -> Epoch {
        let mut next = self.updated_epoch(index, dir, now, keys);
        if let (Some(old), Some(new)) = (now.secret(), next.secret())
            && new + 1 == self.secrets.len()
            && old < new
        {
            self.secrets.swap_remove(old);
            if let Cipher::Keyed(candidates) = &mut next.cipher {
                candidates.iter_mut().for_each(|c| c.secret = old);
            }
        }
        next
    }

    /// What may come after an epoch that is over without our having seen it.
    pub(super) fn tls13_following(&mut self, index: usize, dir: Direction, now: &Epoch, keys: &KeyRing) -> Vec<Epoch> {
        match (now.stage, dir) {
            (Stage::Clear | Stage::Early, _) => vec![
                self.tls13_epoch(index, dir, Stage::Handshake, keys),
                self.tls13_epoch(index, dir, Stage::Application(0), keys),
            ],
            (Stage::Handshake, _) => vec![self.tls13_epoch(index, dir, Stage::Application(0), keys)],
            (Stage::Application(_), _) => {
                let next = self.updated_epoch(index, dir, now, keys);
                let second = self.updated_epoch(index, dir, &next, keys);
                vec![next, second]
            }
            (Stage::Changed, _) => Vec::new(),
        }
    }
}
