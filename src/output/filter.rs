//! Passes on only the sessions that were asked for.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::Sink;
use super::spill::Gather;
use super::words::hidden_protocol;
use crate::diagnostic::{Code, Severity};
use crate::event::{Connection, Event, EventBody, Message, Outcome, Protocol, Session, Unreachable};
use crate::pipeline::Report;
use crate::position::{Span, Timestamp};

/// An address, or a network of them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// `10.0.0.5`, `10.0.0.0/8`, `2001:db8::/32`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Network { address, bits })
    }

    /// Whether an address lies in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let wide = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
            IpAddr::V6(ip) => ip.to_bits(),
        };
        self.address.is_ipv4() == ip.is_ipv4()
            && (wide(self.address) ^ wide(ip)).checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
    }
}

/// What a session must be like. Criteria of different kinds must all hold; of several values of one kind, any.
#[derive(Clone, Debug, Default)]
pub struct Criteria {
    /// Session ids.
    pub sessions: Vec<u64>,
    /// Protocols; of a session whose protocol stayed hidden, what its port is for.
    pub protocols: Vec<Protocol>,
    /// Client's or server's address, or the client's that a PROXY header named.
    pub hosts: Vec<Network>,
    /// Client's or server's port.
    pub ports: Vec<u16>,
    /// Part of the user's name, any case.
    pub users: Vec<String>,
    /// Part of an envelope sender, accepted or not, or of a message's From; any case.
    pub from: Vec<String>,
    /// Part of an envelope recipient, accepted or not, or of a message's To; any case.
    pub to: Vec<String>,
    /// Sessions that were still going on at this time or later.
    pub since: Option<Timestamp>,
    /// Sessions that had begun by this time.
    pub until: Option<Timestamp>,
    /// Sessions in which something went wrong.
    pub errors: bool,
}

impl Criteria {
    /// Whether every session passes.
    pub fn is_empty(&self) -> bool {
        let Criteria { sessions, protocols, hosts, ports, users, from, to, since, until, errors } = self;
        sessions.is_empty()
            && protocols.is_empty()
            && hosts.is_empty()
            && ports.is_empty()
            && users.is_empty()
            && from.is_empty()
            && to.is_empty()
            && since.is_none()
            && until.is_none()
            && !errors
    }

    /// Whether only sessions of a certain kind are wanted: headers alone don't tell.
    pub fn needs_sessions(&self) -> bool {
        let Criteria { sessions, protocols, users, from, to, errors, hosts: _, ports: _, since: _, until: _ } = self;
        let lists = [sessions.is_empty(), protocols.is_empty(), users.is_empty(), from.is_empty(), to.is_empty()];
        lists.contains(&false) || *errors
    }

    /// What headers tell; `more` is an address that something else told.
    fn matches_headers(&self, ends: [SocketAddr; 2], more: Option<IpAddr>, span: Span) -> bool {
        let ips = || ends.iter().map(SocketAddr::ip).chain(more);
        (self.hosts.is_empty() || self.hosts.iter().any(|h| ips().any(|ip| h.contains(ip))))
            && (self.ports.is_empty() || ends.iter().any(|end| self.ports.contains(&end.port())))
            && self.since.is_none_or(|since| span.last.ts >= since)
            && self.until.is_none_or(|until| span.first.ts <= until)
    }

    fn fit(&self, session: &Session, seen: &Seen) -> Fit {
        let any = |list: &[String], text: Option<&[u8]>| text.is_some_and(|text| contains_any(list, text));
        let errors = || {
            // That TLS stayed closed says nothing of how it went.
            let closed = session.undecrypted_bytes > 0 && session.gap_count == 0;
            !matches!(session.outcome, Outcome::Completed)
                || session.last_error.is_some()
                || (!session.complete && !closed)
                || session
                    .diagnostics
                    .iter()
                    .any(|d| d.code.severity() == Severity::Error && d.code != Code::Undecrypted)
        };
        let proxied = session.proxy_client.map(|(ip, _)| ip);
        let certain = (self.sessions.is_empty() || self.sessions.contains(&session.id))
            && self.matches_headers([session.client, session.server], proxied, session.span)
            && (!self.errors || errors());
        // Of one that stayed hidden the port tells.
        let likely = session.protocol.or_else(|| hidden_protocol(session));
        let protocol = self.protocols.is_empty() || likely.is_some_and(|p| self.protocols.contains(&p));
        let content = (self.users.is_empty() || seen.user || any(&self.users, session.user.as_ref().map(|u| &u.0[..])))
            && (self.from.is_empty() || seen.from)
            && (self.to.is_empty() || seen.to);
        match (certain, protocol, content) {
            (true, true, true) => Fit::Yes,
            (true, true, false) if !session.complete => Fit::Open,
            (true, false, _) if !session.complete && session.protocol.is_none() => Fit::Open,
            _ => Fit::No,
        }
    }
}

/// Whether a session is what was asked for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Fit {
    Yes,
    No,
    /// What is asked for may be in what is missing of it, or stayed encrypted.
    Open,
}

/// Whether `text` holds one of the `parts`, whatever their case.
fn contains_any(parts: &[String], text: &[u8]) -> bool {
    if parts.is_empty() {
        return false;
    }
    let text = String::from_utf8_lossy(text).to_lowercase();
    parts.iter().any(|part| text.contains(&part.to_lowercase()))
}

/// What was met so far in a session.
#[derive(Copy, Clone, Debug, Default)]
struct Seen {
    user: bool,
    from: bool,
    to: bool,
}

/// Holds a session's events until it ends; then passes them on by rising `seq`, or drops them.
pub struct Filter<S: Sink> {
    inner: S,
    criteria: Criteria,
    gather: Gather,
    seen: HashMap<u64, Seen>,
    undecided: u64,
    /// Sessions of a client that a PROXY header named, until their connections are told.
    proxied: HashSet<u64>,
    /// The last session's secrets: the session follows them at once, and they must not be spilled.
    secrets: Option<Event>,
}

impl<S: Sink> Filter<S> {
    /// Passes to `inner` what meets the criteria; holds at most about `memory` bytes, the rest in a temporary file.
    pub fn new(inner: S, criteria: Criteria, memory: usize) -> Self {
        Filter {
            inner,
            criteria,
            gather: Gather::new(memory),
            seen: HashMap::new(),
            undecided: 0,
            proxied: HashSet::new(),
            secrets: None,
        }
    }

    /// Mail sessions that were left out and may fit all the same: something of them is missing or stayed encrypted.
    pub fn undecided(&self) -> u64 {
        self.undecided
    }

    /// The sink behind it.
    pub fn into_inner(self) -> S {
        self.inner
    }

    fn note(&mut self, event: &Event) {
        let criteria = &self.criteria;
        let (user, from, to) = match &event.body {
            EventBody::Auth(auth) => {
                let names = auth.user.iter().chain(&auth.authzid);
                (names.into_iter().any(|n| contains_any(&criteria.users, &n.0)), false, false)
            }
            EventBody::Command(command) => match &command.verb.0[..] {
                b"MAIL" => (false, contains_any(&criteria.from, &command.args.0), false),
                b"RCPT" => (false, false, contains_any(&criteria.to, &command.args.0)),
                _ => return,
            },
            EventBody::Message(message) => (false, sender(message, criteria), recipient(message, criteria)),
            _ => return,
        };
        if user || from || to {
            let seen = self.seen.entry(event.session).or_default();
            seen.user |= user;
            seen.from |= from;
            seen.to |= to;
        }
    }
}

fn sender(message: &Message, criteria: &Criteria) -> bool {
    message.mail_from.as_ref().is_some_and(|f| contains_any(&criteria.from, &f.0))
        || message.from.as_ref().is_some_and(|f| contains_any(&criteria.from, f.as_bytes()))
}

fn recipient(message: &Message, criteria: &Criteria) -> bool {
    message.rcpt_to.iter().any(|r| contains_any(&criteria.to, &r.address.0))
        || message.to.iter().any(|t| contains_any(&criteria.to, t.as_bytes()))
}

impl<S: Sink> Sink for Filter<S> {
    fn start(&mut self, first: Timestamp) -> io::Result<()> {
        self.inner.start(first)
    }

    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.inner.add_file(name)
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        if !self.criteria.sessions.is_empty() && !self.criteria.sessions.contains(&event.session) {
            return Ok(());
        }
        if let EventBody::Secrets(_) = &event.body {
            self.secrets = Some(event);
            return Ok(());
        }
        self.note(&event);
        let EventBody::Session(session) = &event.body else { return self.gather.push(event) };
        let secrets = self.secrets.take().filter(|secrets| secrets.session == event.session);
        let seen = self.seen.remove(&event.session).unwrap_or_default();
        let fit = self.criteria.fit(session, &seen);
        if fit != Fit::Yes {
            self.undecided += u64::from(fit == Fit::Open && session.mail);
            self.gather.forget(event.session);
            return Ok(());
        }
        if let EventBody::Session(session) = &event.body
            && session.proxy_client.is_some()
            && !self.criteria.matches_headers([session.client, session.server], None, session.span)
        {
            self.proxied.insert(session.id);
        }
        let inner = &mut self.inner;
        self.gather.play(event.session, &mut |event| inner.event(event))?;
        secrets.map_or(Ok(()), |secrets| self.inner.event(secrets))?;
        self.inner.event(event)
    }

    fn connection(&mut self, connection: &Connection) -> io::Result<()> {
        let proxied = self.proxied.remove(&connection.id);
        let ends = [connection.initiator, connection.responder];
        match proxied || self.criteria.matches_headers(ends, None, connection.span) {
            true => self.inner.connection(connection),
            false => Ok(()),
        }
    }

    fn unreachable(&mut self, unreachable: &Unreachable) -> io::Result<()> {
        match self.criteria.matches_headers(
            [unreachable.source, unreachable.destination],
            None,
            Span::at(unreachable.at),
        ) {
            true => self.inner.unreachable(unreachable),
            false => Ok(()),
        }
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        self.inner.finish(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    struct List(Vec<Event>);

    /// How many connections were passed.
    struct Connections(usize);

    impl Sink for Connections {
        fn event(&mut self, _: Event) -> io::Result<()> {
            Ok(())
        }

        fn connection(&mut self, _: &Connection) -> io::Result<()> {
            self.0 += 1;
            Ok(())
        }
    }

    impl Sink for List {
        fn event(&mut self, event: Event) -> io::Result<()> {
            self.0.push(event);
            Ok(())
        }
    }

    fn passes(criteria: Criteria) -> bool {
        let mut filter = Filter::new(List(Vec::new()), criteria, 0);
        let story = samples::story();
        for event in &story {
            filter.event(event.clone()).unwrap();
        }
        filter.finish(&Report::default()).unwrap();
        let passed = filter.into_inner().0;
        assert!(passed.is_empty() || passed.len() == story.len(), "all of a session or nothing");
        assert!(passed.is_sorted_by_key(|e| e.seq));
        !passed.is_empty()
    }

    fn list(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn each_criterion() {
        let none = Criteria::default;
        assert!(none().is_empty() && passes(none()));
        assert!(passes(Criteria { sessions: vec![samples::SESSION], ..none() }));
        assert!(!passes(Criteria { sessions: vec![99], ..none() }));
        assert!(passes(Criteria { protocols: vec![Protocol::Imap, Protocol::Smtp], ..none() }));
        assert!(!passes(Criteria { protocols: vec![Protocol::Imap], ..none() }));
        assert!(passes(Criteria { hosts: vec![Network::parse("10.0.0.9").unwrap()], ..none() }));
        assert!(!passes(Criteria { hosts: vec![Network::parse("10.0.1.0/24").unwrap()], ..none() }));
        assert!(passes(Criteria { ports: vec![587], ..none() }));
        assert!(!passes(Criteria { ports: vec![25], ..none() }));
        assert!(passes(Criteria { users: list("ALICE"), ..none() }));
        assert!(!passes(Criteria { users: list("mallory"), ..none() }));
        assert!(passes(Criteria { from: list("@example.test"), ..none() }));
        assert!(!passes(Criteria { from: list("bob@"), ..none() }));
        assert!(passes(Criteria { to: list("bob@EXAMPLE.net"), ..none() }));
        assert!(!passes(Criteria { to: list("alice@"), ..none() }));
        let start = samples::START;
        assert!(passes(Criteria { since: Some(start), until: Some(start), ..none() }));
        assert!(!passes(Criteria { until: Some(Timestamp(start.0 - 1)), ..none() }));
        assert!(!passes(Criteria { since: Some(Timestamp(start.0 + 3_600_000_000_000)), ..none() }));
    }

    #[test]
    fn kinds_must_all_hold() {
        let both = Criteria { ports: vec![587], users: list("mallory"), ..Criteria::default() };
        assert!(!passes(both));
    }

    fn fits(criteria: &Criteria, session: &Session) -> bool {
        criteria.fit(session, &Seen::default()) == Fit::Yes
    }

    #[test]
    fn a_host_is_also_the_client_that_a_proxy_speaks_for() {
        let hosts = |text| Criteria { hosts: vec![Network::parse(text).unwrap()], ..Criteria::default() };
        let proxied = Session { proxy_client: Some(([192, 0, 2, 1].into(), None)), ..samples::session() };
        assert!(fits(&hosts("192.0.2.0/24"), &proxied) && !fits(&hosts("192.0.2.2"), &proxied));
        assert!(!fits(&hosts("192.0.2.0/24"), &samples::session()));
    }

    /// `services` has its endpoints from connections.
    #[test]
    fn the_connection_of_such_a_client_passes_with_its_session() {
        let told = |proxy_client| {
            let hosts = vec![Network::parse("192.0.2.0/24").unwrap()];
            let mut filter = Filter::new(Connections(0), Criteria { hosts, ..Criteria::default() }, 0);
            let session = Session { proxy_client, ..samples::session() };
            let connection = Connection {
                id: session.id,
                initiator: session.client,
                responder: session.server,
                syn: [true; 2],
                frames: [2; 2],
                bytes: session.bytes,
                closed_by_responder: false,
                reason: session.end_reason,
                span: session.span,
            };
            let body = EventBody::Session(Box::new(session));
            filter.event(Event { session: connection.id, seq: 1, span: connection.span, body }).unwrap();
            for _ in 0..2 {
                filter.connection(&connection).unwrap();
            }
            filter.into_inner().0
        };
        assert_eq!((told(Some(([192, 0, 2, 1].into(), None))), told(None)), (1, 0));
    }

    #[test]
    fn of_a_hidden_protocol_the_port_tells() {
        let imap = Criteria { protocols: vec![Protocol::Imap], ..Criteria::default() };
        let at = |port, protocol| Session { protocol, server: ([10, 0, 0, 9], port).into(), ..samples::session() };
        assert!(fits(&imap, &at(993, None)) && !fits(&imap, &at(465, None)) && !fits(&imap, &at(9993, None)));
        // What was heard counts for more, be it no mail.
        let odd = vec![crate::diagnostic::Diagnostic { code: Code::NotMail, detail: String::new() }];
        assert!(!fits(&imap, &Session { diagnostics: odd, ..at(143, None) }));
        assert!(fits(&imap, &at(465, Some(Protocol::Imap))) && !fits(&imap, &at(993, Some(Protocol::Pop3))));
    }

    #[test]
    fn networks() {
        let net = |t: &str| Network::parse(t).unwrap();
        let ip = |t: &str| t.parse::<IpAddr>().unwrap();
        assert!(net("10.0.0.0/8").contains(ip("10.255.0.1")) && !net("10.0.0.0/8").contains(ip("11.0.0.0")));
        assert!(net("0.0.0.0/0").contains(ip("1.2.3.4")) && !net("0.0.0.0/0").contains(ip("::1")));
        assert!(net("2001:db8::/32").contains(ip("2001:db8:1::")) && !net("2001:db8::/32").contains(ip("2001:db9::")));
        assert!(net("::1").contains(ip("::1")) && !net("::1").contains(ip("::2")));
        for bad in ["10.0.0.0/33", "x", "10.0.0.0/", "::/129", ""] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
