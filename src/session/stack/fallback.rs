//! TLS is over, and the two go on in the clear: Cyrus serves on behind a handshake that failed, Exim says farewell to a
//! client that hung up.
//!
//! What stands in a record's place and is none is held. It is the dialogue again if it begins with a line of its
//! protocol and the other side speaks such a line, too, or says nothing in TLS any more; else it is given back to TLS,
//! which passes it over.

use super::super::layers::Env;
use super::{BOTH, Input, Secrets, Stack, Tls};
use crate::diagnostic::Code;
use crate::event::{Security, TlsHandshake};
use crate::mail::hold::{Front, Hold};
use crate::mail::{Chunk, Missing};
use crate::position::{Direction, Span};

/// What may be the dialogue in the clear again.
#[derive(Default)]
pub(in super::super) struct Fallback {
    held: [Hold; 2],
    /// The direction that was the first to have some.
    first: Option<Direction>,
    /// It was something else: whatever comes is TLS's.
    off: bool,
    /// FINs that came meanwhile.
    fins: [Option<Span>; 2],
    /// Alerts that ended a direction of TLS before a handshake had run to its end.
    alerts: [Option<Span>; 2],
}

impl Fallback {
    /// Whether what comes in that direction is held; then it has been.
    pub(in super::super) fn takes(&mut self, dir: Direction, bytes: &[u8], span: Span) -> bool {
        let begun = !self.held[dir.index()].is_empty();
        if begun {
            self.held[dir.index()].push(Chunk { bytes, span });
        }
        begun
    }

    /// Begins to hold a direction, or goes on with it.
    pub(in super::super) fn begin(&mut self, dir: Direction, bytes: &[u8], span: Span) -> bool {
        if !self.off {
            self.first.get_or_insert(dir);
            self.held[dir.index()].push(Chunk { bytes, span });
        }
        !self.off
    }

    /// TLS is over in a direction by an alert, before it was established.
    pub(in super::super) fn alerted(&mut self, dir: Direction, span: Span) {
        self.alerts[dir.index()].get_or_insert(span);
    }

    /// TCP is over in a direction.
    pub(super) fn ended(&mut self, dir: Direction, span: Span) {
        self.fins[dir.index()].get_or_insert(span);
    }

    pub(super) fn cost(&self) -> usize {
        self.held.iter().map(Hold::cost).sum()
    }

    /// The frames of what came first.
    fn begins(&self) -> Option<Span> {
        match self.held[self.first?.index()].front()? {
            Front::Bytes(Chunk { span, .. }) | Front::Gap(Missing { span, .. }) => Some(span),
        }
    }

    fn bytes(&self) -> usize {
        self.held.iter().map(|held| held.bytes().len()).sum()
    }
}

/// What was spoken in TLS before it was given up.
#[derive(Default)]
pub(super) struct Past {
    pub(super) handshakes: Vec<TlsHandshake>,
    pub(super) undecrypted: u64,
    pub(super) overhead: u64,
}

impl Stack {
    /// Looks at what is held. `over`: nothing more will come.
    pub(super) fn fall_back(&mut self, over: bool, env: Env<'_>, secrets: &mut Secrets<'_>) {
        let Some(held) = self.tls.as_ref().map(|tls| tls.fallback.bytes()).filter(|&held| held > 0) else { return };
        let lines = BOTH.map(|dir| self.resumes(dir));
        let garbage = lines.contains(&Some(false));
        if !garbage && (lines == [Some(true); 2] || over && lines.contains(&Some(true))) {
            self.go_on_in_the_clear(env, secrets);
        } else if garbage || over || held > env.limits.detect_bytes {
            self.give_back(env, secrets);
        }
    }

    /// Whether what is held of a direction is text that begins with a line of the dialogue; none if the line has not
    /// ended.
    fn resumes(&self, dir: Direction) -> Option<bool> {
        let held = self.tls.as_ref()?.fallback.held[dir.index()].bytes();
        let control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\r' | b'\n' | b'\t');
        if held.iter().any(control) {
            return Some(false);
        }
        let end = held.iter().position(|&byte| byte == b'\n');
        let line = held.get(..end.unwrap_or(held.len()))?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        end.map(|_| self.layers.recognises(dir, line))
    }

    /// It was TLS's after all.
    pub(super) fn give_back(&mut self, env: Env<'_>, secrets: &mut Secrets<'_>) {
        let Some(fallback) = self.tls.as_mut().map(|tls| &mut tls.fallback) else { return };
        if let Some(first) = fallback.first.take() {
            fallback.off = true;
            let held = std::mem::take(&mut fallback.held);
            self.release(first, held, env, secrets);
        }
    }

    fn go_on_in_the_clear(&mut self, env: Env<'_>, secrets: &mut Secrets<'_>) {
        let first = self.tls.as_ref().and_then(|tls| tls.fallback.first).unwrap_or(Direction::Server);
        let told = self.with_tls(env, secrets, |tls, _, _| {
            tls.break_off(first);
            (tls.is_established(), tls.was_answered_in_clear())
        });
        let (established, in_clear) = told.unwrap_or_default();
        let Some(span) = self.tls.as_ref().and_then(|tls| tls.fallback.begins()) else { return };
        self.past.handshakes = self.handshakes(span, env, secrets);
        let Some(Tls { connection, fallback }) = self.tls.take().map(|tls| *tls) else { return };
        self.past.undecrypted += connection.undecrypted_bytes();
        self.past.overhead += connection.overhead_bytes();
        while self.layers.handshakes.len() < self.past.handshakes.len() {
            let seq = self.layers.emitter.reserve();
            self.layers.handshakes.push(seq);
        }
        self.layers.in_tls = false;
        if !established {
            self.security = Security::None;
        }
        let (code, detail) = match established {
            true => (Code::PlaintextAfterStartTls, "TLS was over, and the dialogue went on in the clear"),
            false if in_clear && !self.announced => {
                (Code::TlsMismatch, "the client starts TLS, and the server answers in the clear")
            }
            false => (Code::PlaintextAfterStartTls, "the handshake failed, and the dialogue went on in the clear"),
        };
        self.layers.emitter.diagnose(span, code, detail);
        if let Some(first) = fallback.first {
            self.release(first, fallback.held, env, secrets);
        }
        for dir in BOTH {
            if let Some(span) = fallback.fins[dir.index()] {
                self.end(dir, span, env, secrets);
            }
        }
    }

    /// Passes on what was held, as if it came now.
    fn release(&mut self, first: Direction, mut both: [Hold; 2], env: Env<'_>, secrets: &mut Secrets<'_>) {
        for dir in [first, first.opposite()] {
            let held = &mut both[dir.index()];
            while let Some(Front::Bytes(Chunk { bytes, span })) = held.front() {
                let len = bytes.len();
                self.above_preamble(Input { dir, bytes, span, roles_sure: true }, env, secrets);
                held.advance(len);
            }
        }
    }

    /// Alerts that ended a direction, once it is sure that nothing follows them in the clear.
    pub(super) fn tell_alerts(&mut self, env: Env<'_>) {
        let alerts = self.tls.as_mut().map(|tls| std::mem::take(&mut tls.fallback.alerts)).unwrap_or_default();
        for (dir, alert) in BOTH.into_iter().zip(alerts) {
            if let Some(span) = alert {
                self.layers.end(dir, span, env);
            }
        }
    }

    /// TLS is over: what became of all handshakes so far.
    pub(super) fn handshakes(&mut self, span: Span, env: Env<'_>, secrets: &mut Secrets<'_>) -> Vec<TlsHandshake> {
        let mut all = std::mem::take(&mut self.past.handshakes);
        let earlier = all.len() as u32;
        let last = self.with_tls(env, secrets, |tls, tls_env, above| tls.finish(span, tls_env, above));
        let last = last.unwrap_or_default().into_iter();
        all.extend(last.map(|h| TlsHandshake { handshake: earlier + h.handshake, ..h }));
        all
    }
}
