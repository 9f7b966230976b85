//! The word for how a session went, and whether all of it was seen.
//!
//! Three voices, in this order: TLS that failed; the dissector's word (`Summary::outcome`), by what was said; how TCP
//! ended. `tests/contract/sessions.rs` has a case for each.

use crate::event::{EndReason, Outcome, TlsHandshake};
use crate::flow::ConnectionInfo;
use crate::mail::Summary;
use crate::tls::Reason;

/// What the judgement rests on.
pub(super) struct Facts<'a> {
    pub(super) info: &'a ConnectionInfo,
    pub(super) summary: &'a Summary,
    /// The dialogue's beginning is in the capture.
    pub(super) begun: bool,
    /// It is not, and the dialogue was taken up in the middle.
    pub(super) joined: bool,
    pub(super) tls: &'a [TlsHandshake],
    /// The dialogue is in TLS at its end.
    pub(super) in_tls: bool,
    /// Bytes by client and server.
    pub(super) heard: [u64; 2],
    pub(super) gaps: u64,
    pub(super) undecrypted: u64,
    /// TLS stayed closed, and there was no dialogue in it.
    pub(super) silent: bool,
    /// The dialogue goes on in a security layer of SASL.
    pub(super) sealed: bool,
    /// What is no TLS came where it should have been.
    pub(super) garbled: bool,
    /// A FIN was delivered, whatever came after it.
    pub(super) fin: bool,
    pub(super) reason: EndReason,
}

impl Facts<'_> {
    fn one_sided(&self) -> bool {
        super::one_sided(self.info)
    }

    fn closed_in_sight(&self) -> bool {
        matches!(self.reason, EndReason::Fin | EndReason::Rst)
    }

    /// By FIN; or reset after a FIN, or after the alert that says that no more comes.
    fn closed_in_order(&self) -> bool {
        let notified = || {
            let mut alerts = self.tls.iter().filter(|t| t.completed).flat_map(|t| &t.alerts);
            alerts.any(|a| a.description == "encrypted" || a.description.ends_with("close_notify"))
        };
        self.reason == EndReason::Fin || (self.reason == EndReason::Rst && (self.fin || notified()))
    }

    /// Closed in order between two transactions, as many clients do. With one direction only its own end is all there
    /// is.
    fn closed_at_rest(&self) -> bool {
        let done = self.summary.served || self.joined;
        // A RST behind the FIN, or a capture of the server alone: no other FIN is to be expected.
        let one_fin_is_enough = self.reason == EndReason::Rst || self.one_sided() && self.heard[0] == 0;
        let over = self.reason == EndReason::Fin || self.fin && one_fin_is_enough;
        over && self.summary.at_rest && (done || self.one_sided())
    }

    fn completed(&self) -> bool {
        self.summary.outcome == Some(Outcome::Completed)
    }

    /// Nothing missing, nothing undecrypted, its beginning and its end in sight.
    pub(super) fn complete(&self) -> bool {
        let ended = self.closed_in_sight() || self.completed();
        // Between peers that did not agree there was nothing to decrypt.
        let unread = self.undecrypted > 0 && !TlsHandshake::failed_alone(self.tls) || self.garbled;
        self.gaps == 0 && !unread && self.summary.skipped_bytes == 0 && !self.one_sided() && self.begun && ended
    }

    pub(super) fn outcome(&self) -> Outcome {
        if let Some(last) = self.tls.last()
            && last.reason == Some(Reason::HandshakeFailed)
            && (self.in_tls || !self.summary.served)
        {
            return Outcome::TlsFailed;
        }
        // Nothing of TLS, or of what followed a login, could be read: how TCP ended is all there is to judge by.
        let nothing_read = (self.sealed || self.tls.iter().any(|t| t.completed)) && self.undecrypted > 0;
        match self.summary.outcome {
            Some(outcome @ (Outcome::Completed | Outcome::Refused | Outcome::AuthFailed)) => outcome,
            _ if nothing_read && self.silent && self.closed_in_sight() => Outcome::Aborted,
            _ if nothing_read && self.closed_in_order() => Outcome::Completed,
            None if self.closed_at_rest() => Outcome::Completed,
            _ if self.heard[1] == 0 && !self.one_sided() && self.tls.is_empty() => match self.gaps {
                0 if self.begun => Outcome::NoBanner,
                // What was said is not there, and so is what came of it.
                _ => Outcome::Cut,
            },
            Some(outcome) if self.closed_in_sight() => outcome,
            _ if self.closed_in_sight() => Outcome::Aborted,
            _ => Outcome::Cut,
        }
    }
}
