//! A handshake that takes up an earlier session, by its ID or by a ticket (SSL 3.0 to TLS 1.2), and what later ones
//! need of this one.

use super::state::{Candidate, Handshake};
use crate::event::{Resumed, SecretSource};
use crate::limits::Limits;
use crate::tls::Reason;
use crate::tls::keys::KeyRing;
use crate::tls::resume::{Closed, Handle, Remembered, SessionCache};

impl Handshake {
    /// Whether the server went on from its ServerHello to ChangeCipherSpec: an earlier session is taken up. Behind a
    /// gap only if the client had one to offer.
    pub(super) fn is_abbreviated(&self, id: &[u8]) -> bool {
        let full = self.client_key_exchange.is_some()
            || self.hello_done
            || self.certificate_seen
            || self.server_key_exchange.is_some();
        let offered = self.client.as_ref().is_some_and(|c| c.ticket.is_some() || !id.is_empty() && c.session_id == id);
        !full && (offered || !self.gap)
    }

    /// Whether it takes up an earlier session, as far as can be seen, whatever is known of that one.
    pub(super) fn is_resumption(&self) -> bool {
        self.client.is_some()
            && !self.is_tls13()
            && self.server.as_ref().is_some_and(|server| self.is_abbreviated(&server.session_id))
    }

    /// Whether it takes up a session that may yet turn out to be known, see [`SessionCache::is_uncertain`].
    pub(super) fn is_uncertain(&self, sessions: &SessionCache) -> bool {
        let (Some(client), Some(server)) = (&self.client, &self.server) else { return false };
        if self.derived || !self.is_resumption() {
            return false;
        }
        let by_id = || !server.session_id.is_empty() && sessions.is_uncertain(Handle::Id(&server.session_id));
        match &client.ticket {
            Some(ticket) if !ticket.is_empty() => sessions.is_uncertain(Handle::Ticket(ticket)),
            _ => by_id(),
        }
    }

    /// The secrets of the earlier session; says what is missing if there is none.
    pub(super) fn gather_resumed(&mut self, id: &[u8], keys: &KeyRing, sessions: &SessionCache) -> Reason {
        let ticket = self.client.as_ref().and_then(|c| c.ticket.as_deref());
        let ticket_lost = ticket.is_none() && self.client.as_ref().is_some_and(|c| c.cut);
        let by_ticket = ticket.and_then(|ticket| sessions.get(Handle::Ticket(ticket)));
        let by_id = if by_ticket.is_some() || id.is_empty() { None } else { sessions.get(Handle::Id(id)) };
        // A client with a ticket makes an ID up so as to see it echoed (RFC 5077 section 3.4).
        self.resumed = match (&by_ticket, &by_id, ticket) {
            (Some(_), ..) => Resumed::Ticket,
            (None, Some(_), _) => Resumed::SessionId,
            (None, None, Some(_)) => Resumed::Ticket,
            (None, None, None) => Resumed::SessionId,
        };
        for Remembered { master, key, .. } in [by_ticket, by_id].into_iter().flatten() {
            self.add(Candidate {
                secret: master,
                source: SecretSource::Resumption,
                name: key,
                premaster_version: None,
                flight: None,
            });
        }
        if keys.was_given_keylog() && keys.keys().is_empty() {
            Reason::KeylogNoEntry
        } else if ticket_lost {
            Reason::HandshakeGap
        } else {
            Reason::ResumedUnseen
        }
    }

    /// A MAC proved this secret: sessions resumed later are opened with it, too.
    pub(super) fn remember(&self, frame: u64, sessions: &mut SessionCache, limits: &Limits) {
        let Some(candidate) = self.secret() else { return };
        if self.is_tls13() {
            return;
        }
        let session = Remembered { master: candidate.secret.clone(), key: candidate.name.clone(), frame };
        if let Some(server) = &self.server {
            sessions.insert(Handle::Id(&server.session_id), session.clone(), limits.tls_sessions);
        }
        if let Some(ticket) = &self.ticket {
            sessions.insert(Handle::Ticket(ticket), session, limits.tls_sessions);
        }
    }

    /// Its secret is not known: sessions resumed later can say why. `session` is the number of its connection.
    pub(super) fn remember_closed(&self, session: u64, sessions: &mut SessionCache, limits: &Limits) {
        if self.is_tls13() || self.chosen.is_some() {
            return;
        }
        let Some(reason) = self.reason.or(self.why) else { return };
        let earlier = self.earlier();
        let closed = Closed::new(session, reason, earlier);
        if let (Some(server), None) = (&self.server, earlier) {
            sessions.insert_closed(Handle::Id(&server.session_id), closed, limits.tls_sessions);
        }
        let ticket = self.ticket.as_deref().map(Handle::Ticket).filter(|ticket| Some(*ticket) != earlier);
        if let Some(ticket) = ticket {
            sessions.insert_closed(ticket, closed, limits.tls_sessions);
        }
    }

    /// The session that it resumes.
    fn earlier(&self) -> Option<Handle<'_>> {
        if !matches!(self.resumed, Resumed::SessionId | Resumed::Ticket) {
            return None;
        }
        let ticket = self.client.as_ref().and_then(|c| c.ticket.as_deref()).map(Handle::Ticket);
        ticket.or_else(|| self.server.as_ref().map(|s| Handle::Id(&s.session_id)))
    }

    /// whether the session that it resumes can say why it stayed closed.
    pub(super) fn seeks_earlier(&self) -> bool {
        self.secrets.is_empty() && self.earlier().is_some()
    }

    /// Looks for that session among those that stayed closed, once all that other connections saw before is known.
    pub(super) fn seek_earlier(&mut self, sessions: &SessionCache) {
        if !self.seeks_earlier() {
            return;
        }
        let by_id = |resumed| {
            let id = self.server.as_ref().map(|s| Handle::Id(&s.session_id))?;
            Some((sessions.closed(id)?, resumed))
        };
        let found = self.earlier().and_then(|earlier| Some((sessions.closed(earlier)?, self.resumed)));
        let Some((found, resumed)) = found.or_else(|| by_id(Resumed::SessionId)) else { return };
        self.resumed = resumed;
        self.earlier_closed = Some(found);
        for reason in [&mut self.why, &mut self.reason].into_iter().flatten() {
            if *reason == Reason::ResumedUnseen {
                *reason = found.reason;
            }
        }
    }
}
