//! A handshake that takes up a session of another connection, or needs the messages of another's handshake, of which
//! the cache can't tell yet.
//!
//! The connection stops before the record that needs the secret, keeps what comes meanwhile, and goes on when
//! [`Connection::go_on`] says that the cache is certain.

use super::state::Handshake;
use super::{Connection, Env};
use crate::position::{Direction, Span};
use crate::tls::Upper;
use crate::tls::record::{Header, content};

/// Where it stopped.
pub(super) struct Waiting {
    dir: Direction,
    /// The record that waits in the direction's framer.
    pub(super) record: Option<(Header, Span)>,
    /// What came in the same piece.
    rest: Vec<u8>,
    span: Span,
    later: Vec<Later>,
}

enum Later {
    Data(Direction, Vec<u8>, Span),
    Gap(Direction, u64, Span),
    End(Direction, Span),
}

impl Connection {
    /// Memory of what waits.
    pub(super) fn waiting_cost(&self) -> usize {
        let bytes = |later: &Later| if let Later::Data(_, bytes, _) = later { bytes.len() } else { 0 };
        let later = |later: &Later| size_of::<Later>() + bytes(later);
        self.waiting.as_ref().map_or(0, |waiting| waiting.rest.len() + waiting.later.iter().map(later).sum::<usize>())
    }

    /// Whether it waits for [`Connection::go_on`].
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// The session cache is certain now: goes on where it stopped.
    pub fn go_on(&mut self, env: &mut Env<'_>, up: &mut dyn Upper) {
        let Some(waiting) = self.waiting.take() else { return };
        let Waiting { dir, record, rest, span, later } = *waiting;
        if self.handshakes.last().is_some_and(|handshake| !handshake.derived && handshake.needs_flight()) {
            self.derive(env);
        }
        if record.is_some() {
            self.run(dir, record, &rest, span, env, up);
        }
        for piece in later {
            match piece {
                Later::Data(dir, bytes, span) => self.data(dir, &bytes, span, env, up),
                Later::Gap(dir, len, span) => self.gap(dir, len, span, env, up),
                Later::End(dir, span) => self.end(dir, span, env),
            }
        }
    }

    /// Stops before a record if it has to wait for the cache. `rest` is what follows it.
    pub(super) fn stop_before(
        &mut self,
        dir: Direction,
        record: (Header, Span),
        rest: &[u8],
        span: Span,
        env: &Env<'_>,
    ) -> bool {
        let stop = self.handshakes.last().is_some_and(|handshake| {
            let change = matches!(record.0.content_type, content::CHANGE_CIPHER_SPEC | content::APPLICATION);
            change && handshake.is_uncertain(env.sessions) || handshake.waits_for_flights(env.sessions)
        });
        if stop {
            self.wait(dir, Some(record), rest, span);
        }
        stop
    }

    fn wait(&mut self, dir: Direction, record: Option<(Header, Span)>, rest: &[u8], span: Span) {
        let waiting = Waiting { dir, record, rest: rest.to_vec(), span, later: Vec::new() };
        self.waiting = Some(Box::new(waiting));
    }

    /// Keeps a piece of the stream for later if it has to wait.
    pub(super) fn keep_data(&mut self, dir: Direction, bytes: &[u8], span: Span, env: &Env<'_>) -> bool {
        // Keys are looked for where a change to them may be lost.
        let lost = self.halves[dir.index()].lost.is_some();
        self.keep(lost, env, || Later::Data(dir, bytes.to_vec(), span))
    }

    /// As [`Connection::keep_data`], a gap.
    pub(super) fn keep_gap(&mut self, dir: Direction, len: u64, span: Span, env: &Env<'_>) -> bool {
        self.keep(true, env, || Later::Gap(dir, len, span))
    }

    /// As [`Connection::keep_data`], an end.
    pub(super) fn keep_end(&mut self, dir: Direction, span: Span, env: &Env<'_>) -> bool {
        self.keep(false, env, || Later::End(dir, span))
    }

    fn keep(&mut self, looks_for_keys: bool, env: &Env<'_>, piece: impl FnOnce() -> Later) -> bool {
        let waits = |h: &Handshake| h.waits_for_flights(env.sessions) || looks_for_keys && h.is_uncertain(env.sessions);
        if self.waiting.is_none() && self.handshakes.last().is_some_and(waits) {
            self.wait(Direction::Client, None, &[], Span::default());
        }
        let Some(waiting) = &mut self.waiting else { return false };
        waiting.later.push(piece());
        true
    }
}
