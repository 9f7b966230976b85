//! The end of a session: what is left is told, and its account.

use super::outcome;
use super::stack::Secrets;
use super::{Closed, Live, World, env, one_sided};
use crate::diagnostic::{Code, Diagnostic};
use crate::event::{Account, EndReason, EventBody, Security, Session as SessionEvent, TlsHandshake};
use crate::flow::{ConnectionInfo, Roles, Side};
use crate::mail::Summary;
use crate::ports::is_tls_port;
use crate::position::{Direction, FramePos, Span};
use crate::tls::keylog::Entry;

impl Live {
    pub(super) fn close(
        mut self: Box<Self>,
        info: &ConnectionInfo,
        reason: EndReason,
        at: FramePos,
        world: &mut World<'_>,
    ) -> Closed {
        self.release(world);
        for side in [Side::Initiator, Side::Responder] {
            self.tell_gap(side, info);
        }
        let env = env(info, world);
        let mut secrets = Secrets { keys: world.keys, sessions: world.sessions };
        let span = Span::at(at);
        if reason == EndReason::Rst {
            // A reset ends both directions, whatever was still to come.
            let first = info.closed_by.unwrap_or(Side::Initiator);
            for side in [first, first.opposite()] {
                self.end(side, span, env, &mut secrets);
            }
        }
        for dir in [Direction::Client, Direction::Server] {
            self.stack.nothing_begins(dir, env, &mut secrets);
        }
        if self.stack.detect(info.roles == Roles::Handshake, true, env, &mut secrets) {
            self.swap();
        }
        let opened_by = match env.options.tls_secrets {
            true => self.stack.tls_secrets(secrets.keys),
            false => Vec::new(),
        };
        // Asked before the handshakes are handed over.
        let by_alpn = self.stack.mail_alpn();
        let handshakes = self.stack.finish(span, env, &mut secrets);
        let mail = by_alpn || self.is_mail(info, world);
        let told = if mail || world.all_tls { handshakes.len() as u64 } else { 0 };
        if !mail {
            if world.all_tls && !handshakes.is_empty() {
                // Only the handshakes are told of what is no mail, and whose they are.
                self.stack.layers.emitter.truncate(0);
                self.tell_handshakes(&handshakes);
                self.tell_secrets(opened_by, span);
                let session = self.session_event(info, reason, handshakes, false);
                self.tell_session(info, session, world);
            }
            return Closed { handshakes: told, ..Closed::default() };
        }
        if one_sided(info) {
            let detail = "the capture has no frame from the other side";
            self.stack.layers.emitter.diagnose(Span::at(info.first), Code::OneSided, detail);
        }
        let said_something = info.bytes.iter().sum::<u64>() > self.stack.proxy_bytes.into();
        // Of what was lost nothing can be said.
        if said_something
            && self.gaps.0 == 0
            && !self.stack.layers.is_mail()
            && self.stack.reads_all()
            && self.stack.layers.is_other()
        {
            self.stack.layers.emitter.diagnose(span, Code::NotMail, "another protocol was used on a mail port");
        }
        // To a server of TLS it is a broken record, and it hangs up.
        if said_something
            && self.bytes[Direction::Server.index()] == 0
            && (self.gaps.0, one_sided(info), info.syn) == (0, false, [true; 2])
            && self.stack.layers.is_mail()
            && is_tls_port(info.responder.port())
        {
            let detail = "the client uses no TLS, on a port for TLS";
            self.stack.layers.emitter.diagnose(span, Code::TlsMismatch, detail);
        }
        if self.is_silent() && matches!(reason, EndReason::Fin | EndReason::Rst) {
            let detail =
                "nothing was said after the handshake: a client that does not accept the certificate may hang up so";
            self.stack.layers.emitter.diagnose(span, Code::SilentTls, detail);
        }
        self.tell_handshakes(&handshakes);
        self.flush(info, world);
        let session = self.session_event(info, reason, handshakes, true);
        let closed = Closed { mail, incomplete: !session.complete, handshakes: told, account: session.account };
        self.tell_secrets(opened_by, Span { first: info.first, last: info.last });
        self.tell_session(info, session, world);
        closed
    }

    /// There was no dialogue in TLS that stayed closed.
    fn is_silent(&self) -> bool {
        self.gaps.0 == 0 && self.stack.tls_stayed_silent()
    }

    fn tell_session(&mut self, info: &ConnectionInfo, session: SessionEvent, world: &mut World<'_>) {
        let whole = Span { first: info.first, last: info.last };
        self.stack.layers.emitter.push(whole, EventBody::Session(Box::new(session)));
        world.out.extend(self.stack.layers.emitter.drain());
    }

    fn tell_handshakes(&mut self, handshakes: &[TlsHandshake]) {
        for handshake in handshakes {
            let layers = &mut self.stack.layers;
            let reserved = layers.handshakes.get(handshake.handshake as usize).copied();
            let seq = reserved.unwrap_or_else(|| layers.emitter.reserve());
            layers.emitter.push_at(seq, handshake.span, EventBody::Tls(Box::new(handshake.clone())));
        }
    }

    fn tell_secrets(&mut self, secrets: Vec<Entry>, span: Span) {
        if !secrets.is_empty() {
            self.stack.layers.emitter.push(span, EventBody::Secrets(secrets));
        }
    }

    fn session_event(
        &self,
        info: &ConnectionInfo,
        reason: EndReason,
        tls: Vec<TlsHandshake>,
        mail: bool,
    ) -> SessionEvent {
        let summary = self.stack.layers.summary().unwrap_or_default();
        let (client, server) = match self.swapped {
            false => (info.initiator, info.responder),
            true => (info.responder, info.initiator),
        };
        let undecrypted = self.stack.undecrypted_bytes();
        let facts = outcome::Facts {
            info,
            summary: &summary,
            // Of what was in TLS before the capture began there is no trace.
            begun: info.syn.contains(&true) || self.stack.security != Security::Implicit && self.stack.layers.begun(),
            joined: self.stack.layers.joined,
            tls: &tls,
            in_tls: self.stack.has_tls(),
            heard: self.bytes,
            gaps: self.gaps.0,
            undecrypted,
            silent: self.is_silent(),
            sealed: self.stack.layers.sealed() > 0,
            garbled: self.diagnostics.contains_key(&Code::BadRecord),
            fin: self.fin,
            reason,
        };
        let (outcome, complete) = (facts.outcome(), facts.complete());
        SessionEvent {
            id: info.id,
            mail,
            client,
            server,
            proxy_client: self.stack.proxy_client,
            proxied_to: self.stack.proxied.as_ref().map(|opened| opened.target().into()),
            protocol: summary.protocol,
            security: self.stack.security,
            banner: summary.banner.clone(),
            helo: summary.helo.clone(),
            user: summary.user.clone(),
            commands: summary.commands,
            messages: summary.messages,
            bytes: self.bytes,
            gap_count: self.gaps.0,
            gap_bytes: self.gaps.1,
            cut_packets: self.cut_packets,
            undecrypted_bytes: undecrypted,
            complete,
            outcome,
            last_error: summary.last_error.clone(),
            slowest_reply: summary.slowest_reply,
            end_reason: reason,
            ended_by: match reason {
                EndReason::Rst => info.reset_by,
                _ => info.closed_by,
            }
            .map(|side| self.direction(side)),
            closed_by: info.closed_by.map(|side| self.direction(side)),
            frames: info.frames,
            span: Span { first: info.first, last: info.last },
            files: info.files.clone(),
            vlan: info.vlan,
            tunnel: info.tunnel.map(|t| t.to_string()),
            interface: info.interface,
            diagnostics: self
                .diagnostics
                .iter()
                .map(|(&code, (count, detail))| Diagnostic {
                    code,
                    detail: if *count > 1 { format!("{detail} ({count} times in all)") } else { detail.clone() },
                })
                .collect(),
            account: self.account(info, &summary, undecrypted),
            tls,
        }
    }

    /// Where the bytes went; decoded is what is left after the others.
    fn account(&self, info: &ConnectionInfo, summary: &Summary, undecrypted: u64) -> Account {
        let received: u64 = self.bytes.iter().sum();
        let overhead = self.stack.overhead_bytes();
        let known = self.stack.layers.is_mail() || self.stack.has_tls();
        let skipped = if known { summary.skipped_bytes + self.stack.layers.not_inflated() } else { received };
        // Of a compressed stream the dissector skips more than there was.
        let skipped = skipped.min(received.saturating_sub(overhead + undecrypted));
        Account {
            decoded: received.saturating_sub(overhead + undecrypted + skipped),
            overhead,
            undecrypted,
            skipped,
            duplicate: info.duplicate_bytes,
            gaps: self.gaps.1,
        }
    }
}
