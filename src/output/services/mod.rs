//! What each mail endpoint offers, from what was seen of it: a line an endpoint.
//!
//! `learn` reads capabilities out of replies, `show` writes what came together.

mod learn;
mod show;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::learn::Learner;
pub(in crate::output) use self::show::Row;
use super::Sink;
use super::json::push_stats;
use super::sessions::{Look, behind_proxy};
use super::tally::Tally;
use super::words::hidden_protocol;
use crate::diagnostic::Code;
use crate::event::weight::{optional, texts};
use crate::event::{
    Certificate, Connection, EndReason, Event, EventBody, Protocol, Security, Session, Text, TlsHandshake, Unreachable,
};
use crate::limits::Limits;
use crate::pipeline::Report;
use crate::ports::is_mail_port;
use crate::position::Timestamp;
use crate::tls::Reason;

/// Values of one list kept of an endpoint: no server has more capabilities, suites or certificates.
const KEPT: usize = 128;

/// Bytes kept of a value.
const LENGTH: usize = 512;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Endpoints that are none of mail, too.
    pub all: bool,
    /// Ports that count as mail ports besides the usual ones.
    pub ports: Vec<u16>,
    /// Leave out what no session is known of: the sessions were selected.
    pub only_sessions: bool,
    /// JSON instead of a table.
    pub json: bool,
    /// The account of the run at the end of the JSON.
    pub stats: bool,
    /// What the table looks like.
    pub look: Look,
}

/// What an attempt to connect came to. The order is that of weight: what was open once is open.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// SYNs without an answer.
    Silent,
    /// ICMP said that nothing gets there.
    Filtered,
    /// RST.
    Closed,
    /// SYN-ACK, or data.
    Open,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Silent => "silent",
            State::Filtered => "filtered",
            State::Closed => "closed",
            State::Open => "open",
        }
    }
}

/// What is offered outside TLS, or inside.
#[derive(Debug, Default)]
struct Offer {
    capabilities: Option<Vec<Text>>,
    auth: Option<Vec<Text>>,
}

/// How a session shows what a server's security is. The order is that of weight; among equals the first counts.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
    /// TLS of which the beginning was not seen.
    Midway,
    /// TLS was neither offered nor used; it may be another time.
    Plain,
    /// TLS was offered, or the server answered a client's hello.
    Seen,
}

/// What a mail server says about itself.
#[derive(Debug, Default)]
struct Service {
    protocol: Option<Protocol>,
    /// What the port is for, where a protocol stayed hidden in TLS.
    hidden: Option<Protocol>,
    banner: Option<Text>,
    security: Option<(Evidence, Security)>,
    offers: [Offer; 2],
    tls_versions: Vec<&'static str>,
    suites: Vec<String>,
    certificates: Vec<Certificate>,
    /// A password can be sent, or was, where everybody reads it.
    plaintext_auth: bool,
    /// It was.
    plaintext_sent: bool,
    /// It is a proxy, and was asked for these servers.
    behind: Vec<String>,
    /// And for more than are kept.
    behind_more: bool,
}

#[derive(Debug)]
struct Endpoint {
    /// None where nothing can be said: its side of the traffic was not captured.
    state: Option<State>,
    /// Connections that stood.
    sessions: u64,
    first: Timestamp,
    last: Timestamp,
    service: Option<Box<Service>>,
}

/// A session that has not ended.
#[derive(Debug, Default)]
struct Live {
    learner: Learner,
    handshakes: Vec<TlsHandshake>,
    /// What its last event said.
    session: Option<Box<Session>>,
    plaintext_sent: bool,
    /// Something was left out.
    cut: bool,
}

impl Live {
    fn weight(&self) -> usize {
        let handshakes = self.handshakes.iter().map(TlsHandshake::weight).sum::<usize>();
        let banner = self.session.as_ref().and_then(|session| session.banner.as_ref()).map_or(0, Text::heap);
        self.learner.weight() + handshakes + banner
    }
}

/// Gathers what is offered where, and writes it at the end.
pub struct Services<W: Write> {
    out: W,
    options: Options,
    limit: usize,
    live: HashMap<u64, Live>,
    live_limit: usize,
    endpoints: BTreeMap<SocketAddr, Endpoint>,
    /// Times that an endpoint was not kept.
    beyond: u64,
    /// Bytes of what sessions and endpoints offer, and their bound; sessions of which something was left out for it.
    bytes: usize,
    bound: usize,
    cut: u64,
    /// Somebody answered: the capture has both directions of something.
    answers: bool,
    tally: Tally,
    listed: Arc<AtomicU64>,
}

impl<W: Write> Services<W> {
    /// Writes to `out`.
    pub fn new(out: W, options: Options, limits: &Limits) -> Self {
        Services {
            out,
            options,
            limit: limits.endpoints,
            live: HashMap::new(),
            live_limit: limits.connections.saturating_mul(2),
            endpoints: BTreeMap::new(),
            beyond: 0,
            bytes: 0,
            bound: limits.gathered_bytes,
            cut: 0,
            answers: false,
            tally: Tally::default(),
            listed: Arc::new(AtomicU64::new(0)),
        }
    }

    /// How many endpoints were listed, once the run is over.
    pub fn listed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.listed)
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Without anybody's answers silence says nothing.
    fn settle(&mut self) {
        let answers = self.answers;
        self.endpoints.retain(|_, e| e.state.is_some_and(|state| answers || state != State::Silent));
        self.listed.store(self.endpoints.len() as u64, Ordering::Relaxed);
    }

    /// At the end, instead of [`Sink::finish`]: tells a JSON line an endpoint, with the time of its last frame.
    pub(super) fn tell(
        &mut self,
        input: Option<&str>,
        tell: &mut dyn FnMut(&[u8], Timestamp) -> io::Result<()>,
    ) -> io::Result<()> {
        self.settle();
        show::each(&self.endpoints, input, tell)
    }

    /// Connections to endpoints that were not kept, and sessions of which not all that was offered was.
    pub(super) fn unlisted(&self) -> [u64; 2] {
        [self.beyond, self.cut]
    }

    fn live(&mut self, id: u64) -> Option<&mut Live> {
        if (self.live.len() >= self.live_limit || self.bytes > self.bound) && !self.live.contains_key(&id) {
            return None;
        }
        Some(self.live.entry(id).or_default())
    }

    fn wanted(&self, port: u16) -> bool {
        self.options.all || is_mail_port(port) || self.options.ports.contains(&port)
    }

    fn endpoint(&mut self, address: SocketAddr, first: Timestamp, last: Timestamp) -> Option<&mut Endpoint> {
        if self.endpoints.len() >= self.limit && !self.endpoints.contains_key(&address) {
            self.beyond += 1;
            return None;
        }
        let new = || Endpoint { state: None, sessions: 0, first, last, service: None };
        let endpoint = self.endpoints.entry(address).or_insert_with(new);
        endpoint.first = endpoint.first.min(first);
        endpoint.last = endpoint.last.max(last);
        Some(endpoint)
    }
}

/// What a connection's headers tell of its responder.
fn state(connection: &Connection) -> Option<State> {
    let [_, answered] = connection.syn;
    if answered || connection.bytes[1] > 0 || connection.bytes[0] > 0 {
        return Some(State::Open);
    }
    if !connection.syn[0] {
        return None;
    }
    match connection.frames[1] {
        0 => Some(State::Silent),
        _ if connection.reason == EndReason::Rst && connection.closed_by_responder => Some(State::Closed),
        _ => None,
    }
}

impl<W: Write> Sink for Services<W> {
    fn event(&mut self, event: Event) -> io::Result<()> {
        if self.options.json && self.options.stats {
            self.tally.note(&event);
        }
        let full = self.bytes > self.bound;
        let last = matches!(event.body, EventBody::Session(_));
        let Some(live) = self.live(event.session) else {
            self.cut += u64::from(last);
            return Ok(());
        };
        // Of nothing else anything is kept.
        let grows = matches!(event.body, EventBody::Reply(_) | EventBody::Tls(_) | EventBody::Session(_));
        let weigh = |live: &Live| if grows { live.weight() } else { 0 };
        let before = weigh(live);
        match event.body {
            EventBody::Reply(_) | EventBody::Tls(_) if full => live.cut = true,
            EventBody::Command(command) => live.learner.command(event.seq, &command),
            EventBody::Reply(reply) => live.learner.reply(&reply),
            EventBody::Auth(auth) => live.learner.auth(&auth),
            EventBody::Diagnostic(diagnostic) => live.plaintext_sent |= diagnostic.code == Code::PlaintextPassword,
            EventBody::Tls(handshake) if live.handshakes.len() < KEPT => live.handshakes.push(*handshake),
            EventBody::Session(session) => live.session = Some(session),
            _ => {}
        }
        let (after, cut) = (weigh(live), live.cut && last);
        self.cut += u64::from(cut);
        self.bytes = (self.bytes + after).saturating_sub(before);
        Ok(())
    }

    fn connection(&mut self, connection: &Connection) -> io::Result<()> {
        self.answers |= connection.frames[1] > 0;
        let live = self.live.remove(&connection.id);
        self.bytes = self.bytes.saturating_sub(live.as_ref().map_or(0, Live::weight));
        let session = live.as_ref().and_then(|l| l.session.as_deref());
        if session.is_none() && (self.options.only_sessions || !self.wanted(connection.responder.port())) {
            return Ok(());
        }
        let (address, spoke) = match session {
            Some(session) => (session.server, session.bytes.iter().any(|&bytes| bytes > 0)),
            None => (connection.responder, false),
        };
        let state = if spoke { Some(State::Open) } else { state(connection) };
        let (first, last) = (connection.span.first.ts, connection.span.last.ts);
        let Some(endpoint) = self.endpoint(address, first, last) else { return Ok(()) };
        endpoint.state = endpoint.state.max(state);
        if state == Some(State::Open) {
            endpoint.sessions += 1;
        }
        if let Some(live) = live {
            let service = endpoint.service.get_or_insert_default();
            let before = service.weight();
            service.add(live);
            let after = service.weight();
            self.bytes = (self.bytes + after).saturating_sub(before);
        }
        Ok(())
    }

    fn unreachable(&mut self, unreachable: &Unreachable) -> io::Result<()> {
        let address = unreachable.destination;
        // "Fragmentation needed" is about a packet's size.
        let too_big = address.is_ipv4() && unreachable.code == 4;
        if too_big || self.options.only_sessions || !self.wanted(address.port()) {
            return Ok(());
        }
        let at = unreachable.at.ts;
        if let Some(endpoint) = self.endpoint(address, at, at) {
            endpoint.state = endpoint.state.max(Some(State::Filtered));
        }
        Ok(())
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        self.settle();
        let unlisted = self.unlisted();
        show::write(&mut self.out, &self.endpoints, unlisted, &self.options)?;
        if self.options.json && self.options.stats {
            let mut line = Vec::new();
            push_stats(&mut line, report, &self.tally);
            line.push(b'\n');
            self.out.write_all(&line)?;
        }
        self.out.flush()
    }
}

impl Service {
    fn weight(&self) -> usize {
        let lists = self.offers.iter().flat_map(|offer| offer.capabilities.iter().chain(&offer.auth));
        optional(&self.banner)
            + lists.map(|list| texts(list)).sum::<usize>()
            + self.suites.iter().map(|suite| size_of_val(suite) + suite.len()).sum::<usize>()
            + self.behind.iter().map(|server| size_of_val(server) + server.len()).sum::<usize>()
            + self.certificates.iter().map(Certificate::weight).sum::<usize>()
    }

    /// What one more session told.
    fn add(&mut self, live: Live) {
        let Live { learner, handshakes, session, plaintext_sent, cut: _ } = live;
        for handshake in &handshakes {
            self.handshake(handshake);
        }
        let Some(session) = session else { return };
        self.plaintext_auth |= plaintext_sent;
        self.plaintext_sent |= plaintext_sent;
        if let Some(server) = behind_proxy(&session)
            && !self.behind.contains(&server)
        {
            match self.behind.len() < KEPT {
                true => self.behind.push(server),
                false => self.behind_more = true,
            }
        }
        self.protocol = self.protocol.or(session.protocol);
        if session.protocol.is_none() && !self.tls_versions.is_empty() {
            self.hidden = self.hidden.or(hidden_protocol(&session));
        }
        if self.banner.is_none() {
            self.banner = session.banner.as_ref().map(short);
        }
        let offers_tls = learner.offers_tls();
        self.plaintext_auth |= session.protocol.is_some_and(|p| learner.offers_plaintext(p));
        let found = match session.security {
            Security::None if offers_tls => Some((Evidence::Seen, Security::StartTls)),
            Security::StartTls => Some((Evidence::Seen, Security::StartTls)),
            // What a client tries says nothing.
            _ if session.bytes[1] == 0 => None,
            Security::None => learner.is_sure().then_some((Evidence::Plain, Security::None)),
            Security::Implicit if handshakes.iter().any(|h| h.suite.is_some()) => {
                Some((Evidence::Seen, Security::Implicit))
            }
            Security::Implicit => {
                let refused = handshakes.iter().any(|h| h.reason == Some(Reason::NotTls));
                (!refused).then_some((Evidence::Midway, Security::Implicit))
            }
        };
        if let Some(found) = found
            && self.security.is_none_or(|known| found.0 > known.0)
        {
            self.security = Some(found);
        }
        for (mine, (capabilities, auth)) in self.offers.iter_mut().zip(learner.into_offers(&session)) {
            merge(&mut mine.capabilities, capabilities);
            merge(&mut mine.auth, auth);
        }
    }

    fn handshake(&mut self, handshake: &TlsHandshake) {
        if let Some(version) = handshake.version
            && !self.tls_versions.contains(&version)
        {
            self.tls_versions.push(version);
        }
        if let Some(suite) = &handshake.suite
            && !self.suites.contains(suite)
            && self.suites.len() < KEPT
        {
            self.suites.push(suite.clone());
        }
        if let Some(certificate) = &handshake.certificate
            && !self.certificates.iter().any(|c| c.sha256 == certificate.sha256)
            && self.certificates.len() < KEPT
        {
            self.certificates.push(certificate.clone());
        }
    }
}

/// Adds what is new, in the order in which it was seen.
fn merge(known: &mut Option<Vec<Text>>, seen: Option<Vec<Text>>) {
    let Some(seen) = seen else { return };
    let known = known.get_or_insert_default();
    for value in seen {
        if known.len() < KEPT && !known.contains(&value) {
            known.push(value);
        }
    }
}

fn short(text: &Text) -> Text {
    Text(text.0.get(..text.0.len().min(LENGTH)).unwrap_or_default().to_vec())
}
