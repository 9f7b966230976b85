//! TLS 1.3 from the middle: a key log has the traffic secrets, but which of them, for which suite and with which record
//! number is not known. The tag judges each guess, within bounds.

use super::epoch::{Candidate as Keys, Cipher, Epoch, Stage, copy};
use super::{Connection, Env};
use crate::diagnostic::Code;
use crate::position::{Direction, Span};
use crate::tls::Upper;
use crate::tls::keylog::Tls13Label;
use crate::tls::record::{Header, content};
use crate::tls::schedule;
use crate::tls::suites::{self, Version};

/// Entries of a key log that are gone through: beyond, it is not this session's alone, and the search would not end.
const MOST_ENTRIES: usize = 4096;

/// Bytes tried for one direction's first record.
const BYTES: u64 = 64 << 20;

/// Bytes tried in each part that the connections are divided over, so that a capture full of such connections costs seconds, not hours.
const BYTES_OF_ALL: u64 = 256 << 20;

/// TLS 1.3's suites.
const SUITES: [u16; 5] = [0x1301, 0x1302, 0x1303, 0x1304, 0x1305];

impl Connection {
    /// A record of a session of which no hello was seen: looks for the keys that open it. Where they are found the
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
        let unseen = handshake.client.is_none() && handshake.server.is_none() && !handshake.any_message();
        // Records of TLS 1.3 say 1.2.
        let fits = header.content_type == content::APPLICATION && header.version == 0x0303;
        if index > 0 || !unseen || !fits || !env.keys.has_keylog() {
            return false;
        }
        let client = dir == Direction::Client;
        let mut secrets = env.keys.traffic_secrets(client, MOST_ENTRIES);
        if let Some(random) = handshake.joined {
            secrets.retain(|(_, other, _)| *other == random);
        }
        let known = handshake.suite;
        let mut candidates = Vec::new();
        for (label, random, found) in &secrets {
            for suite in SUITES.iter().filter_map(|&id| suites::suite(id)) {
                if known.is_none_or(|known| known.id == suite.id)
                    && let Some(protection) = schedule::tls13_protection(suite, &found.secret)
                {
                    candidates.push((*label, *random, found, suite, protection));
                }
            }
        }
        let mut left = BYTES.min(BYTES_OF_ALL.saturating_sub(env.sessions.tried));
        let cost = fragment.len() as u64 + 64;
        // Low numbers first, for every candidate: most captures that miss the beginning do not miss much.
        for number in 0..env.limits.tls_search_records {
            for (label, random, found, suite, protection) in &mut candidates {
                let Some(rest) = left.checked_sub(cost) else { return false };
                left = rest;
                env.sessions.tried += cost;
                copy(&mut self.scratch, fragment);
                protection.set_sequence(number);
                if protection.open(header.content_type, header.version, &mut self.scratch).is_err() {
                    continue;
                }
                protection.set_sequence(number);
                let stage = match label {
                    Tls13Label::ClientTraffic(n) | Tls13Label::ServerTraffic(n) => Stage::Application(*n),
                    _ => Stage::Application(0),
                };
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
                self.halves[dir.index()].enter(Epoch::new(Cipher::Keyed(vec![keys]), index, stage));
                let detail = format!("joined midway: the {} goes on at record {number}", dir.as_str());
                up.odd(Code::TlsResynchronised, &detail, span);
                return true;
            }
        }
        false
    }
}
