//! Handshake messages, ChangeCipherSpec and alerts: what each does to the state.

use super::compressed;
use super::epoch::{Cipher, Epoch, Stage};
use super::state::Handshake;
use super::{Connection, Env, Half};
use crate::diagnostic::Code;
use crate::event::{Alert, Resumed};
use crate::limits::tls::HANDSHAKES;
use crate::position::{Direction, Span, Timestamp};
use crate::tls::handshake::{self, ClientHello, EncryptedExtensions, Joined, Joiner, Reader, ServerHello, kind};
use crate::tls::suites::{self, KeyExchange, Version};
use crate::tls::{Reason, Upper, explain, prf};

/// The alert that answers a hello which is not wanted (RFC 5246 section 7.2.2).
const NO_RENEGOTIATION: u8 = 100;

/// As in `2026-11-28`, UTC.
fn day(at: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(at.0.into()).map_or_else(|_| "?".to_owned(), |at| at.strftime("%F").to_string())
}

impl Connection {
    /// A fragment of handshake messages.
    pub(super) fn fragment(&mut self, dir: Direction, bytes: &[u8], span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        let half = &mut self.halves[dir.index()];
        if half.unsure && !half.joiner.is_partial() {
            if !begins_message(bytes, env.limits.handshake_bytes) {
                return;
            }
            half.unsure = false;
        }
        let mut joiner: Joiner = std::mem::take(&mut half.joiner);
        joiner.push(bytes);
        loop {
            match joiner.next(env.limits.handshake_bytes) {
                Joined::More => break,
                Joined::Message(message) => self.message(dir, message, span, env, up),
                Joined::TooLong(len) => {
                    let handshake = self.last();
                    handshake.transcript_whole = false;
                    handshake
                        .note(format!("A handshake message of {len} bytes is longer than its bound and was skipped."));
                    up.odd(
                        Code::EntryLimit,
                        &format!("a handshake message of {len} bytes is too long to be kept"),
                        span,
                    );
                }
            }
        }
        self.halves[dir.index()].joiner = joiner;
    }

    /// An SSL 2.0-framed ClientHello; its two length bytes are no part of the transcript (RFC 5246 appendix E.2).
    pub(super) fn v2_hello(
        &mut self,
        dir: Direction,
        message: &[u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        if dir == Direction::Client {
            self.client_hello(ClientHello::parse_v2(message), message, span, env, up);
        }
    }

    fn message(&mut self, dir: Direction, message: &[u8], span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        let Some((&[kind, ..], body)) = message.split_first_chunk::<{ handshake::HEADER }>() else { return };
        match (kind, dir) {
            (kind::HELLO_REQUEST, Direction::Server) => {
                return self.last().note("The server asked for a renegotiation.");
            }
            (kind::HELLO_REQUEST, Direction::Client) => return,
            (kind::CLIENT_HELLO, Direction::Client) => {
                return self.client_hello(ClientHello::parse(body), message, span, env, up);
            }
            _ => {}
        }
        let handshake = self.last();
        if handshake.established && !handshake.is_tls13() {
            if kind != kind::SERVER_HELLO || dir != Direction::Server || !self.renegotiate(span, up) {
                return;
            }
            // Its ClientHello was lost.
            self.last().gap = true;
            self.last().transcript_whole = false;
        }
        let handshake = self.last();
        if handshake.running() {
            handshake.span = handshake.span.to(span);
        }
        if kind == kind::FINISHED {
            return self.finished(dir, message, body, span, env, up);
        }
        if !handshake.is_tls13() {
            handshake.transcript.update(message);
        }
        handshake.keep_flight(dir, message, env);
        match (kind, dir) {
            (kind::SERVER_HELLO, Direction::Server) => self.server_hello(body, env),
            (kind::ENCRYPTED_EXTENSIONS, Direction::Server) => self.encrypted_extensions(body, up),
            (kind::CERTIFICATE, _) => self.certificate(dir, body, span, env, up),
            (kind::COMPRESSED_CERTIFICATE, _) if handshake.is_tls13() => {
                self.compressed_certificate(dir, body, span, env, up);
            }
            (kind::SERVER_KEY_EXCHANGE, Direction::Server) => {
                // Only that of an export suite is an RSA key; others begin with a curve, a prime or a hint.
                let export = handshake.suite.is_some_and(|s| matches!(s.kx, KeyExchange::RsaExport { .. }));
                let modulus = Reader(body).vec16().filter(|_| export).unwrap_or_default();
                handshake.server_key_exchange = Some(modulus.to_vec());
            }
            (kind::CERTIFICATE_REQUEST, Direction::Server) => handshake.certificate_asked = true,
            (kind::SERVER_HELLO_DONE, Direction::Server) => handshake.hello_done = true,
            (kind::CLIENT_KEY_EXCHANGE, Direction::Client) if handshake.client_key_exchange.is_none() => {
                handshake.client_key_exchange = Some(body.to_vec());
                handshake.derived = false;
                if !handshake.waits_for_flights(env.sessions) {
                    self.derive(env);
                }
            }
            (kind::NEW_SESSION_TICKET, Direction::Server) if !handshake.is_tls13() => {
                handshake.ticket = handshake::ticket(body).map(<[u8]>::to_vec);
                handshake.remember(span.last.index, env.sessions, env.limits);
            }
            // It has taken the client's certificate, if it wanted one (RFC 8446 section 4.6.1).
            (kind::NEW_SESSION_TICKET, Direction::Server) => handshake.spoke[dir.index()] = true,
            (kind::END_OF_EARLY_DATA, Direction::Client) => self.end_of_early_data(dir, up),
            (kind::KEY_UPDATE, _) => self.key_update(dir, env),
            _ => {}
        }
    }

    fn encrypted_extensions(&mut self, body: &[u8], up: &mut dyn Upper) {
        let extensions = EncryptedExtensions::parse(body);
        self.last().alpn = extensions.alpn;
        match extensions.early_data {
            true => self.take_early(up),
            false => self.refuse_early(),
        }
    }

    fn compressed_certificate(
        &mut self,
        dir: Direction,
        body: &[u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        match compressed::certificate(body, env.limits.handshake_bytes) {
            Ok(body) => self.certificate(dir, &body, span, env, up),
            Err(how) => {
                let handshake = self.last();
                handshake.certificate_seen |= dir == Direction::Server;
                handshake.note(format!(
                    "The {}'s certificate was sent compressed ({how}) and could not be decompressed.",
                    dir.as_str()
                ));
            }
        }
    }

    fn end_of_early_data(&mut self, dir: Direction, up: &mut dyn Upper) {
        self.take_early(up);
        let half = &mut self.halves[dir.index()];
        if half.epoch.stage == Stage::Early {
            // Without a ServerHello the next record shows how it goes on.
            half.tried_midway = false;
            let next = half.pending.take().unwrap_or_else(Epoch::clear);
            half.enter(next);
        }
    }

    pub(super) fn client_hello(
        &mut self,
        hello: Option<ClientHello>,
        message: &[u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        let last = self.last();
        let (retried, first) = (last.hello_retried, last.client.is_none());
        if !first {
            let again = last.running() && (retried || last.server.is_none());
            if !again {
                if !self.renegotiate(span, up) {
                    return;
                }
            } else if !retried {
                *self.last() = Handshake::new(span);
            }
        }
        let index = self.current();
        let handshake = &mut self.handshakes[index];
        if !handshake.hello_retried && !handshake.gap {
            handshake.span = span;
        }
        handshake.transcript.update(message);
        handshake.transcript_whole &= hello.as_ref().is_some_and(|hello| !hello.cut);
        handshake.client = hello;
        let half = &mut self.halves[Direction::Client.index()];
        if handshake.client.as_ref().is_some_and(|c| c.early_data) {
            let epoch = handshake.tls13_epoch(index, Direction::Client, Stage::Early, env.keys);
            half.enter(epoch);
        } else if half.epoch.stage == Stage::Early {
            // A second ClientHello: the server wanted another, and early data is off.
            half.enter(Epoch::new(Cipher::Clear, index, Stage::Clear));
            self.refuse_early();
        }
    }

    /// Another handshake begins; not if there were too many.
    fn renegotiate(&mut self, span: Span, up: &mut dyn Upper) -> bool {
        self.halves.iter_mut().for_each(|half| half.pending = None);
        if self.handshakes.len() < HANDSHAKES {
            self.handshakes.push(Handshake::new(span));
            return true;
        }
        up.odd(Code::EntryLimit, "too many renegotiations; the rest is not decoded", span);
        for half in &mut self.halves {
            half.inflater = None;
            half.epoch.cipher = Cipher::Closed(Reason::UnsupportedSuite);
        }
        false
    }

    fn server_hello(&mut self, body: &[u8], env: &mut Env<'_>) {
        let index = self.current();
        let handshake = &mut self.handshakes[index];
        if handshake.server.is_some() {
            return;
        }
        let Some(hello) = ServerHello::parse(body) else {
            handshake.transcript_whole = false;
            return;
        };
        handshake.version = Version::from_wire(hello.version);
        handshake.suite = suites::suite(hello.suite);
        if hello.retry {
            handshake.hello_retried = true;
            handshake.note("The server asked for another ClientHello (HelloRetryRequest).");
            return;
        }
        if hello.alpn.is_some() {
            handshake.alpn.clone_from(&hello.alpn);
        }
        let resumed_psk = hello.pre_shared_key;
        handshake.server = Some(hello);
        let (Some(version), Some(suite)) = (handshake.version, handshake.suite) else { return };
        if version != Version::Tls13 {
            handshake.transcript.settle(version, suite.prf);
            return self.begin_flight(env);
        }
        if resumed_psk {
            handshake.resumed = Resumed::Psk;
        }
        if handshake.client_random().is_none() {
            // The first encrypted record shows whether a key log knows the session.
            return;
        }
        let server = handshake.tls13_epoch(index, Direction::Server, Stage::Handshake, env.keys);
        let client = handshake.tls13_epoch(index, Direction::Client, Stage::Handshake, env.keys);
        for (dir, epoch) in [(Direction::Server, server), (Direction::Client, client)] {
            // Without the handshake's secret the application's may still be there: it is tried on each record.
            let following =
                epoch.is_closed().then(|| handshake.tls13_epoch(index, dir, Stage::Application(0), env.keys));
            let half = &mut self.halves[dir.index()];
            if half.epoch.stage == Stage::Early {
                half.pending = Some(epoch);
                continue;
            }
            half.enter(epoch);
            half.pending = following.filter(|next| !next.is_closed());
        }
    }

    fn certificate(&mut self, dir: Direction, body: &[u8], span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        let handshake = self.last();
        let chain = handshake::certificates(body, handshake.is_tls13());
        let chain: Vec<_> = chain.into_iter().map(|der| env.sessions.certificates.read(der)).collect();
        if dir == Direction::Client {
            handshake.client_chain = chain;
            handshake.client_certificate_seen = true;
            return;
        }
        handshake.certificate_seen = true;
        handshake.chain = chain;
        if let Some(own) = handshake.chain.first() {
            let now = span.last.ts;
            let early = own.info.not_before.filter(|&from| now < from).map(|from| ("valid only from", from));
            let late = own.info.not_after.filter(|&to| now > to).map(|to| ("expired on", to));
            if let Some((word, at)) = early.or(late) {
                let detail = format!("{word} {}: {}", day(at), own.info.subject);
                up.odd(Code::CertificateNotValid, &detail, span);
            }
        }
    }

    /// Both directions' next epochs (SSL 3.0 to TLS 1.2).
    pub(super) fn derive(&mut self, env: &mut Env<'_>) {
        let index = self.current();
        let (client, server) = self.handshakes[index].derive(index, env.keys, env.sessions);
        let changed = self.handshakes[index].changed;
        for (half, (epoch, changed)) in self.halves.iter_mut().zip([(client, changed[0]), (server, changed[1])]) {
            if !changed {
                half.pending = Some(epoch);
            }
        }
    }

    /// The epoch behind a ChangeCipherSpec, made now if need be.
    pub(super) fn pending(&mut self, dir: Direction, env: &mut Env<'_>) -> Option<Epoch> {
        let index = self.current();
        let i = dir.index();
        if self.handshakes[index].changed[i] {
            return None;
        }
        if self.halves[i].pending.as_ref().is_none_or(|epoch| epoch.handshake != index) {
            self.derive(env);
        }
        self.halves[i].pending.clone()
    }

    /// Goes over to an epoch of SSL 3.0 to TLS 1.2.
    pub(super) fn enter_changed(&mut self, dir: Direction, epoch: Epoch) {
        let handshake = self.last();
        handshake.changed[dir.index()] = true;
        handshake.last_change = Some(dir);
        let half = &mut self.halves[dir.index()];
        half.pending = None;
        half.joiner.clear();
        half.enter(epoch);
    }

    /// ChangeCipherSpec.
    pub(super) fn change(&mut self, dir: Direction, span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        let handshake = self.last();
        if handshake.is_tls13() {
            return;
        }
        if handshake.changed[dir.index()] {
            // Under the established keys it ends a renegotiation whose beginning was lost.
            let unseen = handshake.established && !self.halves[dir.index()].epoch.is_closed();
            if !unseen || !self.renegotiate(span, up) {
                return;
            }
            self.last().gap = true;
            self.last().transcript_whole = false;
        }
        let handshake = self.last();
        // TLS 1.3's compatibility mode sends one before the version is known.
        let may_be_tls13 = handshake.client.as_ref().is_some_and(|c| c.supported_versions.contains(&0x0304));
        let may_be_tls13 = may_be_tls13 && handshake.server.is_none() && handshake.client_key_exchange.is_none();
        if may_be_tls13 && dir == Direction::Client && !handshake.gap {
            return;
        }
        handshake.span = handshake.span.to(span);
        if let Some(epoch) = self.pending(dir, env) {
            self.enter_changed(dir, epoch);
        }
    }

    /// An encrypted record came in the clear epoch: its change of keys was not seen.
    pub(super) fn enter_unseen(&mut self, dir: Direction, env: &mut Env<'_>) {
        match self.pending(dir, env) {
            Some(epoch) => self.enter_changed(dir, epoch),
            None => {
                let index = self.current();
                let reason = self.handshakes[index].why_no_hello();
                self.halves[dir.index()].enter(Epoch::new(Cipher::Closed(reason), index, Stage::Changed));
            }
        }
    }

    fn finished(
        &mut self,
        dir: Direction,
        message: &[u8],
        body: &[u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        let index = self.current();
        let handshake = &mut self.handshakes[index];
        if handshake.is_tls13() {
            let half = &mut self.halves[dir.index()];
            // Behind the handshake it answers a CertificateRequest and changes no keys.
            if matches!(half.epoch.stage, Stage::Handshake | Stage::Early) {
                let client = dir == Direction::Client;
                handshake.finished[dir.index()] = true;
                let epoch = handshake.tls13_epoch(index, dir, Stage::Application(0), env.keys);
                half.pending = None;
                half.enter(epoch);
                if client {
                    self.take_early(up);
                    self.establish(span, env, up);
                }
            }
            return;
        }
        if let (Some(version), Some(suite), Some(candidate)) = (handshake.version, handshake.suite, handshake.secret())
        {
            let client = dir == Direction::Client;
            let right = prf::finished(version, suite.prf, &candidate.secret, client, &handshake.transcript);
            if right == body {
                handshake.remember(span.last.index, env.sessions, env.limits);
            } else if handshake.transcript_whole && !handshake.bad_finished {
                handshake.bad_finished = true;
                handshake
                    .note(format!("The {}'s Finished does not match the handshake that was captured.", dir.as_str()));
                up.odd(Code::BadFinished, dir.as_str(), span);
            }
        }
        handshake.transcript.update(message);
        handshake.finished[dir.index()] = true;
    }

    fn key_update(&mut self, dir: Direction, env: &mut Env<'_>) {
        let half = &mut self.halves[dir.index()];
        let index = half.epoch.handshake;
        if let (Stage::Application(_), Some(handshake)) = (half.epoch.stage, self.handshakes.get_mut(index)) {
            let epoch = handshake.key_update(index, dir, &half.epoch, env.keys);
            half.enter(epoch);
        }
    }

    /// The server wants no other handshake: the one in force goes on.
    fn decline(&mut self) {
        let [.., before, asked] = self.handshakes.as_slice() else { return };
        let index = self.handshakes.len() - 1;
        let under = |half: &Half| half.epoch.handshake == index || half.pending.is_some();
        if before.established && asked.running() && asked.server.is_none() && !self.halves.iter().any(under) {
            self.handshakes.truncate(index);
            self.last().note("The client asked for a renegotiation; the server declined.");
        }
    }

    /// Alerts, two bytes each.
    pub(super) fn alert(&mut self, dir: Direction, bytes: &[u8], span: Span, up: &mut dyn Upper) {
        for alert in bytes.chunks_exact(2).take(4) {
            let &[level, description] = alert else { continue };
            let name = explain::alert(description);
            if (level, description, dir) == (1, NO_RENEGOTIATION, Direction::Server) {
                self.decline();
            }
            let handshake = self.last();
            // In TLS 1.3 the level says nothing (RFC 8446 section 6).
            let fatal = level == 2 || handshake.is_tls13() && !matches!(description, 0 | 90);
            let word = if fatal { "fatal" } else { "warning" };
            if handshake.alerts.len() < 16 {
                handshake.alerts.push(Alert { dir, description: format!("{word} {name}"), fatal, span });
            }
            if fatal {
                // In TLS 1.3 the client is done before the server has judged its certificate (RFC 8446 section
                // 4.4.2.4).
                let [client, server] = [Direction::Client, Direction::Server].map(Direction::index);
                let from_the_finished = handshake.joined.is_none() || handshake.finished[client];
                let unjudged = handshake.is_tls13() && from_the_finished && !handshake.spoke[server];
                // A client that was asked for one, and has not spoken since, gave no other reason.
                let asked = handshake.certificate_asked && !handshake.spoke[client];
                let refused = unjudged && dir == Direction::Server && (asked || explain::may_refuse_certificate(&name));
                if !handshake.established || refused {
                    (handshake.failed, handshake.established) = (true, false);
                    handshake.span = handshake.span.to(span);
                }
                up.odd(Code::FatalAlert, &format!("{name}, sent by the {}", dir.as_str()), span);
            }
            let half = &mut self.halves[dir.index()];
            if (fatal || description == 0) && !half.closed {
                half.closed = true;
                up.closed(dir, span);
            }
        }
    }
}

/// Whether a fragment that follows a loss begins with a handshake message.
pub(super) fn begins_message(bytes: &[u8], bound: usize) -> bool {
    let mut r = Reader(bytes);
    let (Some(first), Some(len)) = (r.u8(), r.u24()) else { return false };
    let known = matches!(first, 0..=2 | 4 | 5 | 8 | 11..=16 | 20 | 22 | 24 | 25);
    let whole = len <= r.0.len();
    // A nonce of zeros looks like a HelloRequest, which is alone in its record.
    let known = known && (first != kind::HELLO_REQUEST || len == 0 && r.0.is_empty());
    known && len <= bound && (whole || matches!(first, kind::CERTIFICATE | kind::CERTIFICATE_REQUEST))
}
