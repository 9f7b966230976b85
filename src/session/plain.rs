//! The dialogue's bytes as they were before TLS, for a sink that asks ([`crate::mail::Options::plaintext`]).

use super::layers::{Env, Layers};
use crate::event::{EventBody, Plain};
use crate::position::{Direction, Span};

/// Bytes lost in each direction since the last that were told.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    lost: [u64; 2],
    /// Of these, what came right behind the last that were told, in the same packet.
    cut: [u16; 2],
}

impl Layers {
    /// Bytes that TCP delivered in the clear, or TLS in its protection.
    pub(super) fn record(&mut self, dir: Direction, bytes: &[u8], span: Span, env: Env<'_>) {
        // What is no mail is not told, and must not pile up.
        if !env.options.plaintext || self.is_other() {
            return;
        }
        self.tell(dir, bytes, span);
    }

    fn tell(&mut self, dir: Direction, bytes: &[u8], span: Span) {
        let Recorder { lost, cut } = std::mem::take(&mut self.recorder);
        let plain = Plain { dir, tls: self.in_tls, lost, cut, bytes: bytes.to_vec() };
        self.emitter.push(span, EventBody::Plain(plain));
    }

    /// Bytes that are missing; `tail` is of a packet that was cut by the snapshot length.
    pub(super) fn record_loss(&mut self, dir: Direction, len: u64, tail: bool) {
        let lost = &mut self.recorder.lost[dir.index()];
        if tail && *lost == 0 {
            self.recorder.cut[dir.index()] = u16::try_from(len).unwrap_or(0);
        }
        *lost = lost.saturating_add(len);
    }

    /// The connection is over: losses that nothing followed, and those of a dialogue of which nothing is known.
    pub(super) fn record_end(&mut self, span: Span, env: Env<'_>) {
        if env.options.plaintext && self.recorder.lost != [0; 2] {
            self.tell(Direction::Client, &[], span);
        }
    }
}
