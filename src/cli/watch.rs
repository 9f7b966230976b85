//! Keeps count of what passes by, for the exit code and for what stderr says.

use std::io;

use mailcap::event::{AuthOutcome, Comment, Connection, Event, EventBody, Unreachable};
use mailcap::output::Sink;
use mailcap::output::tally::Tally;
use mailcap::output::transcript::incomplete;
use mailcap::pipeline::Report;
use mailcap::position::Timestamp;

use super::interrupt::Interrupt;

/// Incomplete sessions that are named one by one; the rest is counted.
const NAMED: usize = 20;

/// What passed by.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Sessions.
    pub(super) sessions: u64,
    /// Authentications, and those that did not succeed.
    pub(super) auths: u64,
    pub(super) failed_auths: u64,
    /// TLS handshakes.
    pub(super) handshakes: u64,
    /// Sessions with something missing.
    pub(super) incomplete: u64,
    /// A line for each of the first of these.
    pub(super) lines: Vec<String>,
    /// TLS of one of these stayed closed.
    pub(super) closed: bool,
    /// What a selection by time has to be held against.
    pub(super) times: String,
    /// Some input could not be used, and the others were.
    pub(super) unusable: bool,
    /// What it is made of, where that is asked for.
    pub(super) tally: Option<Tally>,
}

/// Counts, and hands everything on.
pub(super) struct Watch<'a, S: Sink> {
    inner: S,
    seen: &'a mut Seen,
    interrupt: Interrupt,
}

impl<'a, S: Sink> Watch<'a, S> {
    pub(super) fn new(inner: S, seen: &'a mut Seen, interrupt: Interrupt) -> Self {
        Watch { inner, seen, interrupt }
    }
}

impl<S: Sink> Sink for Watch<'_, S> {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.inner.add_file(name)
    }

    fn start(&mut self, first: Timestamp) -> io::Result<()> {
        self.inner.start(first)
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        match &event.body {
            EventBody::Tls(_) => self.seen.handshakes += 1,
            EventBody::Auth(auth) => {
                self.seen.auths += 1;
                self.seen.failed_auths += u64::from(auth.outcome != AuthOutcome::Success);
            }
            EventBody::Session(session) if session.mail => {
                self.seen.sessions += 1;
                if let Some(missing) = incomplete(session) {
                    self.seen.incomplete += 1;
                    self.seen.closed |= session.tls.iter().any(|tls| tls.closed_for().is_some());
                    if self.seen.lines.len() < NAMED {
                        let (id, client, server) = (session.id, session.client, session.server);
                        self.seen.lines.push(format!("session {id} ({client} → {server}): {missing}"));
                    }
                }
            }
            _ => {}
        }
        if let Some(tally) = &mut self.seen.tally {
            tally.note(&event);
        }
        self.inner.event(event)?;
        self.interrupt.check()
    }

    fn connection(&mut self, connection: &Connection) -> io::Result<()> {
        self.inner.connection(connection)
    }

    fn unreachable(&mut self, unreachable: &Unreachable) -> io::Result<()> {
        self.inner.unreachable(unreachable)
    }

    fn comment(&mut self, comment: &Comment) -> io::Result<()> {
        self.inner.comment(comment)
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        self.inner.finish(report)
    }
}
