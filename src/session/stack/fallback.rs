//! TLS is over, and the two go on in the clear: Cyrus serves on behind a handshake that failed, Exim says farewell to a
//! client that hung up.
//!
//! What stands in a record's place and is none is held. It is the dialogue again if it begins with a line of its
//! protocol and the other side speaks such a line, too, or says nothing in TLS any more; else it is given back to TLS,
//! which passes it over.

use super::super::layers::{Env, Layers};
use super::{BOTH, Input, Secrets, Stack, Tls};
use crate::diagnostic::Code;
use crate::event::{GapCause, Security, TlsHandshake};
use crate::mail::Missing;
use crate::position::{Direction, Span};

/// Pieces that are held: more gaps than that, and nobody can say what goes on.
const PIECES: usize = 256;

/// A piece of what is held.
#[derive(Copy, Clone)]
enum Piece {
    Bytes(Direction, usize, Span),
    Gap(Direction, Missing),
}

impl Piece {
    fn dir(self) -> Direction {
        match self {
            Piece::Bytes(dir, ..) | Piece::Gap(dir, _) => dir,
        }
    }

    fn span(self) -> Span {
        match self {
            Piece::Bytes(_, _, span) | Piece::Gap(_, Missing { span, .. }) => span,
        }
    }
}

/// What may be the dialogue in the clear again.
#[derive(Default)]
pub(in super::super) struct Fallback {
    /// Of both directions, as they came.
    held: Vec<Piece>,
    /// The bytes of these, by direction.
    text: [Vec<u8>; 2],
    /// By direction: what is held may begin amid a line, as bytes before it are missing.
    torn: [bool; 2],
    /// It was something else: whatever comes is TLS's.
    off: bool,
    /// FINs that came meanwhile.
    fins: [Option<Span>; 2],
    /// Alerts that ended a direction of TLS before a handshake had run to its end.
    alerts: [Option<Span>; 2],
}

impl Fallback {
    fn holds(&self, dir: Direction) -> bool {
        self.held.iter().any(|piece| piece.dir() == dir)
    }

    fn push(&mut self, dir: Direction, bytes: &[u8], span: Span) {
        if bytes.is_empty() {
            return;
        }
        self.text[dir.index()].extend_from_slice(bytes);
        match self.held.last_mut() {
            Some(Piece::Bytes(before, len, of)) if (*before, *of) == (dir, span) => *len += bytes.len(),
            _ => self.held.push(Piece::Bytes(dir, bytes.len(), span)),
        }
    }

    /// Whether what comes in that direction is held; then it has been.
    pub(in super::super) fn takes(&mut self, dir: Direction, bytes: &[u8], span: Span) -> bool {
        let begun = self.holds(dir);
        if begun {
            self.push(dir, bytes, span);
        }
        begun
    }

    /// As [`Fallback::takes`], of bytes that are missing: also of the direction that has not spoken in the clear yet,
    /// so that a reply stays behind what is missing of its command.
    pub(super) fn takes_gap(&mut self, dir: Direction, missing: Missing) -> bool {
        match self.held.last_mut() {
            None => return false,
            Some(Piece::Gap(before, of)) if *before == dir => {
                let (len, span) = (of.len.saturating_add(missing.len), of.span.to(missing.span));
                *of = Missing { len, span, tail: of.tail && missing.tail };
            }
            Some(_) => self.held.push(Piece::Gap(dir, missing)),
        }
        true
    }

    /// Begins to hold a direction, or goes on with it.
    pub(in super::super) fn begin(&mut self, dir: Direction, bytes: &[u8], span: Span) -> bool {
        if !self.off {
            self.push(dir, bytes, span);
        }
        !self.off
    }

    /// As [`Fallback::begin`], where it is not known that no record goes on here: only what is sure to be text. It is
    /// if a line is the dialogue's, or if the other side speaks so already; then nothing of the answer may be passed
    /// over, or the next would be taken for it.
    pub(in super::super) fn begin_adrift(&mut self, dir: Direction, bytes: &[u8], span: Span, layers: &Layers) -> bool {
        let answers = self.holds(dir.opposite()) && bytes.is_ascii();
        let begins = is_text(bytes) && (answers || has_a_line(dir, bytes, layers)) && self.begin(dir, bytes, span);
        self.torn[dir.index()] |= begins;
        begins
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
        self.held.capacity() * size_of::<Piece>() + self.text.iter().map(Vec::capacity).sum::<usize>()
    }

    fn bytes(&self) -> usize {
        self.text.iter().map(Vec::len).sum()
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\r' | b'\n' | b'\t');
    !bytes.iter().any(control)
}

/// Whether it is text that begins with a line of the dialogue; none if the line has not ended.
fn begins_with_a_line(dir: Direction, text: &[u8], layers: &Layers) -> Option<bool> {
    if !is_text(text) {
        return Some(false);
    }
    let end = text.iter().position(|&byte| byte == b'\n');
    let line = text.get(..end.unwrap_or(text.len()))?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    end.map(|_| layers.recognises(dir, line))
}

/// Whether a whole line of text is one of the dialogue.
fn has_a_line(dir: Direction, text: &[u8], layers: &Layers) -> bool {
    let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let mut lines = text.get(..whole).unwrap_or_default().split_inclusive(|&byte| byte == b'\n');
    lines.any(|line| begins_with_a_line(dir, line, layers) == Some(true))
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
        let Some(fallback) = self.tls.as_ref().map(|tls| &tls.fallback).filter(|it| it.bytes() > 0) else { return };
        let much = fallback.bytes() > env.limits.detect_bytes || fallback.held.len() > PIECES;
        let lines = BOTH.map(|dir| self.resumes(dir));
        let garbage = lines.contains(&Some(false));
        if !garbage && (lines == [Some(true); 2] || over && lines.contains(&Some(true))) {
            self.go_on_in_the_clear(env, secrets);
        } else if garbage || over || much {
            self.give_back(env, secrets);
        }
    }

    /// See [`begins_with_a_line`], of what is held of a direction.
    fn resumes(&self, dir: Direction) -> Option<bool> {
        let Fallback { held, text, torn, .. } = &self.tls.as_ref()?.fallback;
        let text = &text[dir.index()];
        let torn = torn[dir.index()] || matches!(held.iter().find(|piece| piece.dir() == dir), Some(Piece::Gap(..)));
        if torn && is_text(text) {
            // It may begin with the rest of a line, or with anything else.
            return has_a_line(dir, text, &self.layers).then_some(true);
        }
        begins_with_a_line(dir, text, &self.layers)
    }

    /// It was TLS's after all.
    pub(super) fn give_back(&mut self, env: Env<'_>, secrets: &mut Secrets<'_>) {
        let Some(fallback) = self.tls.as_mut().map(|tls| &mut tls.fallback) else { return };
        if !fallback.held.is_empty() {
            fallback.off = true;
            let (held, text) = (std::mem::take(&mut fallback.held), std::mem::take(&mut fallback.text));
            self.release(&held, &text, env, secrets);
        }
    }

    fn go_on_in_the_clear(&mut self, env: Env<'_>, secrets: &mut Secrets<'_>) {
        let Some(begins) = self.tls.as_ref().and_then(|tls| tls.fallback.held.first().copied()) else { return };
        let span = begins.span();
        let told = self.with_tls(env, secrets, |tls, _, above| {
            tls.break_off(begins.dir(), span, above);
            (tls.is_established(), tls.was_answered_in_clear())
        });
        let (established, in_clear) = told.unwrap_or_default();
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
        self.release(&fallback.held, &fallback.text, env, secrets);
        for dir in BOTH {
            if let Some(span) = fallback.fins[dir.index()] {
                self.end(dir, span, env, secrets);
            }
        }
    }

    /// Passes on what was held, as if it came now.
    fn release(&mut self, held: &[Piece], text: &[Vec<u8>; 2], env: Env<'_>, secrets: &mut Secrets<'_>) {
        let mut at = [0; 2];
        for piece in held {
            match *piece {
                Piece::Bytes(dir, len, span) => {
                    let from = &mut at[dir.index()];
                    let bytes = text[dir.index()].get(*from..*from + len).unwrap_or_default();
                    *from += len;
                    self.above_preamble(Input { dir, bytes, span, roles_sure: true }, env, secrets);
                }
                Piece::Gap(dir, Missing { len, tail, span }) => {
                    let cause = if tail { GapCause::Snaplen } else { GapCause::Lost };
                    self.gap(dir, len, cause, span, env, secrets);
                }
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
