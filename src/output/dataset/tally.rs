//! What an input held, in numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Decrypted, Event, EventBody, MessagePart, TlsHandshake};
use crate::pipeline::Report;
use crate::tls::Reason;

/// Counts of one input, or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Frames read.
    pub frames: u64,
    /// Mail sessions.
    pub sessions: u64,
    /// Those of which something is missing.
    pub incomplete: u64,
    /// Whole messages.
    pub messages: u64,
    /// Messages that were written to files.
    pub extracted: u64,
    /// Mail sessions with TLS that stayed closed, all or part of it, by reason.
    pub undecrypted: BTreeMap<String, u64>,
    /// TLS handshakes, of mail or not, that another key could open further.
    pub closed: u64,
    /// Mail sessions that were left out and may fit the selection.
    pub undecided: u64,
    /// Inputs that are cut or damaged: packets may be missing.
    pub damaged: u64,
    /// Connections to endpoints beyond the bound, which are no rows of `services`.
    pub beyond: u64,
    /// Mail sessions of which `services` does not have all that was offered, as that was too much.
    pub unoffered: u64,
}

/// Something of it was not decrypted. A handshake that failed between its peers leaves nothing to decrypt.
fn is_closed(tls: &TlsHandshake) -> bool {
    tls.decrypted != Decrypted::All && tls.reason != Some(Reason::HandshakeFailed)
}

impl Tally {
    pub(super) fn count(&mut self, event: &Event, extracted: bool) {
        match &event.body {
            EventBody::Message(message) => {
                self.messages += u64::from(message.part == MessagePart::Full);
                self.extracted += u64::from(extracted);
            }
            EventBody::Tls(tls) => {
                self.closed += u64::from(is_closed(tls));
            }
            EventBody::Session(session) if session.mail => {
                self.sessions += 1;
                self.incomplete += u64::from(!session.complete);
                if let Some(reason) = session.tls.iter().filter(|t| is_closed(t)).find_map(|t| t.reason) {
                    *self.undecrypted.entry(reason.as_str().to_owned()).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, report: &Report) {
        self.frames = report.frames;
        self.damaged = u64::from(report.problems.iter().any(|p| p.loses_packets));
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Tally) {
        let Tally {
            frames,
            sessions,
            incomplete,
            messages,
            extracted,
            undecrypted,
            closed,
            undecided,
            damaged,
            beyond,
            unoffered,
        } = other;
        self.frames += frames;
        self.sessions += sessions;
        self.incomplete += incomplete;
        self.messages += messages;
        self.extracted += extracted;
        for (reason, count) in undecrypted {
            *self.undecrypted.entry(reason.clone()).or_default() += count;
        }
        self.closed += closed;
        self.undecided += undecided;
        self.damaged += damaged;
        self.beyond += beyond;
        self.unoffered += unoffered;
    }
}
