//! An extended master secret without the server's certificate: it hashes every message up to ClientKeyExchange, and if
//! the certificate is lost, that of another handshake stands in. A server sends the same one again and again, and what it
//! makes is proved by a MAC or not at all.

use crate::limits::tls::{FLIGHT_BYTES, FLIGHTS_TRIED};
use std::sync::Arc;

use super::state::{Candidate, Handshake};
use super::{Connection, Env};
use crate::position::Direction;
use crate::tls::certificate;
use crate::tls::handshake::{self, kind};
use crate::tls::prf::{self, Transcript};
use crate::tls::resume::{Flight, SessionCache};
use crate::tls::suites::Suite;

/// The parts of a transcript.
pub(super) struct Parts {
    /// Both hellos.
    hellos: Transcript,
    /// The server's messages behind its hello; those behind the hole, if there is one.
    server: Vec<u8>,
    /// The client's answer up to its key exchange, once something is.
    client: Vec<u8>,
    hole: bool,
}

impl Parts {
    /// Memory that it takes.
    pub(super) fn cost(&self) -> usize {
        size_of::<Self>() + self.server.capacity() + self.client.capacity()
    }
}

impl Connection {
    /// The server chose an RSA key exchange of SSL 3.0 to TLS 1.2.
    pub(super) fn begin_flight(&mut self, env: &Env<'_>) {
        let handshake = self.last();
        let useful = !env.keys.keys().is_empty() || env.keys.has_keylog();
        if useful && handshake.transcript_whole && handshake.suite.is_some_and(|s| s.kx.opened_by_rsa_key()) {
            let hellos = handshake.transcript.clone();
            handshake.parts = Some(Box::new(Parts { hellos, server: Vec::new(), client: Vec::new(), hole: false }));
        }
    }
}

impl Handshake {
    /// A message behind the ServerHello.
    pub(super) fn keep_flight(&mut self, dir: Direction, message: &[u8], env: &mut Env<'_>) {
        let Some(parts) = &mut self.parts else { return };
        let done = message.first() == Some(&kind::SERVER_HELLO_DONE);
        let (part, wanted) = match dir {
            Direction::Server => (&mut parts.server, self.client_key_exchange.is_none()),
            Direction::Client => (&mut parts.client, parts.hole && self.client_key_exchange.is_none()),
        };
        if wanted && part.len() + message.len() <= FLIGHT_BYTES {
            part.extend_from_slice(message);
        } else if wanted {
            self.parts = None;
            return;
        }
        if done && !parts.hole {
            // Whole: it needs no other's, others may need it.
            let modulus = self.chain.first().and_then(|c| c.modulus.clone());
            if let (Some(parts), Some(modulus)) = (self.parts.take(), modulus) {
                env.sessions.insert_flight(Flight::new(modulus, parts.server), env.limits.tls_flights);
            }
        }
    }

    /// Bytes of that direction are lost.
    pub(super) fn lose_flight(&mut self, dir: Direction) {
        if self.client_key_exchange.is_some() {
            return;
        }
        match (dir, &mut self.parts) {
            (Direction::Server, Some(parts)) => {
                parts.hole = true;
                parts.server = Vec::new();
            }
            // Nobody else has the client's.
            _ => self.parts = None,
        }
    }

    /// Whether other handshakes' messages could make its secret.
    pub(super) fn needs_flight(&self) -> bool {
        let hole = self.parts.as_ref().is_some_and(|parts| parts.hole);
        hole && self.client_key_exchange.is_some() && self.needs_lost_bytes()
    }

    /// Whether it has to wait for those that other connections saw.
    pub(super) fn waits_for_flights(&self, sessions: &SessionCache) -> bool {
        !self.derived && sessions.is_partial() && self.needs_flight()
    }

    /// The master secrets that known messages make of a premaster secret; `modulus` is that of the key that opened it.
    pub(super) fn with_flights(
        &self,
        suite: &Suite,
        premaster: &[u8],
        modulus: Option<&[u8]>,
        sessions: &SessionCache,
        candidate: &Candidate,
    ) -> Vec<Candidate> {
        let (Some(version), Some(parts)) = (self.version, &self.parts) else { return Vec::new() };
        if !self.needs_flight() || sessions.is_partial() {
            return Vec::new();
        }
        let flights = sessions.flights();
        let fitting = flights.into_iter().rev().filter(|flight| modulus.is_none_or(|m| m == flight.modulus()));
        // All its messages, or its certificate with those that were captured: not each asks for a client's.
        let ways = |flight: Arc<Flight>| {
            let certificate = [flight.certificate(), &parts.server].concat();
            [flight.messages().to_vec(), certificate].map(|server| {
                let mut transcript = parts.hellos.clone();
                transcript.update(&server);
                transcript.update(&parts.client);
                let hash = transcript.session_hash(version, suite.prf);
                let secret = prf::extended_master_secret(version, suite.prf, premaster, &hash);
                Candidate { secret, flight: Some(flight.clone()), ..candidate.clone() }
            })
        };
        fitting.take(FLIGHTS_TRIED).flat_map(ways).collect()
    }

    /// A MAC proved the chosen secret, and with it the messages that it was made with.
    pub(super) fn take_over_flight(&mut self) {
        let Some(flight) = self.secret().and_then(|c| c.flight.clone()) else { return };
        let body = flight.certificate().get(handshake::HEADER..).unwrap_or_default();
        self.chain = handshake::certificates(body, false).into_iter().map(certificate::read).collect();
        self.note("The server's certificate was lost. With that of another handshake the keys fit: it was the same.");
    }
}
