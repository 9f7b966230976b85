//! The first pass: which sessions there are, and what opens them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;

use zeroize::Zeroizing;

use crate::diagnostic::Code;
use crate::event::{Decrypted, Event, EventBody, Protocol, Session, TlsHandshake};
use crate::output::Sink;
use crate::output::pcapng::Writer;
use crate::pipeline::Report;
use crate::position::{Direction, Span};
use crate::tls::keylog::Entry;

/// Lines of a key log that go into one block.
const BLOCK: usize = 64 << 10;

/// A session that the first pass found.
#[derive(Copy, Clone, Debug)]
pub struct Found {
    /// The side that connected.
    pub client: SocketAddr,
    /// The mail server.
    pub server: SocketAddr,
    /// What was spoken.
    pub protocol: Option<Protocol>,
    /// Its first and last frame.
    pub span: Span,
    /// Its beginning is not in the capture.
    pub midway: bool,
    /// The one side of which there are frames, if only one is in the capture.
    pub heard: Option<Direction>,
    /// Bytes of it are missing in the capture.
    pub has_gaps: bool,
}

#[cfg(test)]
impl Found {
    pub(super) fn sample(client: SocketAddr, server: SocketAddr) -> Self {
        Found { client, server, protocol: None, span: Span::default(), midway: false, heard: None, has_gaps: true }
    }
}

/// What the first pass found.
#[derive(Clone, Debug, Default)]
pub struct Surveyed {
    /// The mail sessions by their ids, if they were to be kept.
    pub sessions: BTreeMap<u64, Found>,
    /// Sessions that were not kept, as there are too many.
    pub beyond: u64,
    /// Of those kept, how many have TLS that was opened.
    pub opened: u64,
    /// Of those kept, how many have TLS that stayed closed, wholly or in part.
    pub closed: u64,
    /// Secrets written.
    pub secrets: u64,
    /// Frames read.
    pub frames: u64,
}

/// The sink of the first pass. Secrets go to the file at once, as packets follow only later; so nothing but the list of
/// sessions, where it is wanted, is held.
pub struct Survey<'a, W: Write> {
    writer: Option<&'a mut Writer<W>>,
    keep: usize,
    lines: Zeroizing<Vec<u8>>,
    found: &'a mut Surveyed,
}

impl<'a, W: Write> Survey<'a, W> {
    /// Writes the sessions' secrets to `writer` and notes what is there in `found`, with the first `keep` sessions.
    /// Wants [`crate::mail::Options::tls_secrets`].
    pub fn new(writer: Option<&'a mut Writer<W>>, keep: usize, found: &'a mut Surveyed) -> Self {
        // Never grown, which would leave copies behind.
        let lines = Zeroizing::new(Vec::with_capacity(BLOCK));
        Survey { writer, keep, lines, found }
    }

    fn secrets(&mut self, entries: &[Entry]) -> io::Result<()> {
        for entry in entries {
            let line = entry.line();
            if self.lines.len() + line.len() > BLOCK {
                self.write()?;
            }
            self.lines.extend_from_slice(&line);
            self.found.secrets += 1;
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        if let Some(writer) = self.writer.as_mut().filter(|_| !self.lines.is_empty()) {
            writer.secrets(&self.lines)?;
        }
        // Wipes the bytes and keeps the room.
        self.lines.iter_mut().for_each(|b| *b = 0);
        self.lines.clear();
        Ok(())
    }

    fn session(&mut self, session: &Session) {
        if self.keep > 0 && session.mail {
            if self.found.sessions.len() >= self.keep {
                self.found.beyond += 1;
                return;
            }
            let &Session { id, client, server, protocol, span, .. } = session;
            // One that is heard acknowledging has said nothing.
            let side = if session.bytes[1] > session.bytes[0] { Direction::Server } else { Direction::Client };
            let heard = session.has(Code::OneSided).then_some(side);
            let has_gaps = session.gap_count > 0;
            let midway = session.has(Code::MidStream);
            self.found.sessions.insert(id, Found { client, server, protocol, span, midway, heard, has_gaps });
            // Between peers that did not agree there is nothing to open, nor in what SASL sealed.
            let tls = !session.tls.is_empty() && !TlsHandshake::failed_alone(&session.tls);
            let closed = session.undecrypted_bytes > 0 && tls;
            self.found.closed += u64::from(closed);
            self.found.opened += u64::from(session.tls.iter().any(|tls| tls.decrypted != Decrypted::None));
        }
    }
}

impl<W: Write> Sink for Survey<'_, W> {
    fn event(&mut self, event: Event) -> io::Result<()> {
        match &event.body {
            EventBody::Secrets(entries) if self.writer.is_some() => self.secrets(entries),
            EventBody::Session(session) => {
                self.session(session);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        self.found.frames = report.frames;
        self.write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn sessions_beyond_the_bound_are_counted() {
        let mut found = Surveyed::default();
        let mut survey = Survey::<Vec<u8>>::new(None, 1, &mut found);
        for id in [1, 2, 3] {
            let mut event = samples::story().pop().unwrap();
            let EventBody::Session(session) = &mut event.body else { panic!() };
            session.id = id;
            survey.event(event).unwrap();
        }
        assert_eq!((found.sessions.len(), found.beyond), (1, 2));
    }
}
