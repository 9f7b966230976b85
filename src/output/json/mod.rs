//! One JSON object a line, `type` first, the same shape every time. The fields are described in `docs/output.md`.

mod community;
mod events;
mod object;
mod stats;

use std::io::{self, Write};

pub use community::community_id;
pub use events::{Extra, push_event};
use object::Object;
pub use stats::push_stats;
pub(super) use stats::{push_service, push_services_beyond, push_services_cut, push_suite};

use super::tally::Tally;
use super::{Files, Sink};
use crate::event::{AuthOutcome, Comment, Event, EventBody};
use crate::pipeline::Report;

/// Which objects to write.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// Every event (`decode`).
    All,
    /// `session` only.
    Sessions,
    /// `tls` only.
    Tls,
    /// `auth` only.
    Auth,
    /// Those of them that did not succeed.
    FailedAuth,
}

/// Writes events as JSON lines.
pub struct Json<W: Write> {
    out: W,
    select: Select,
    flush: bool,
    stats: bool,
    tally: Tally,
    files: Files,
    line: Vec<u8>,
}

impl<W: Write> Json<W> {
    /// Writes to `out`; `flush` at the end of each session, for a reader that waits.
    pub fn new(out: W, select: Select, flush: bool) -> Self {
        Json { out, select, flush, stats: false, tally: Tally::default(), files: Files::default(), line: Vec::new() }
    }

    /// Adds the account of the run (`stats`) at the end.
    pub fn with_stats(mut self, stats: bool) -> Self {
        self.stats = stats;
        self
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn wants(&self, body: &EventBody) -> bool {
        match self.select {
            Select::All => !matches!(body, EventBody::Opening(_) | EventBody::Secrets(_) | EventBody::Plain(_)),
            Select::Sessions => matches!(body, EventBody::Session(_)),
            Select::Tls => matches!(body, EventBody::Tls(_)),
            Select::Auth => matches!(body, EventBody::Auth(_)),
            Select::FailedAuth => matches!(body, EventBody::Auth(auth) if auth.outcome != AuthOutcome::Success),
        }
    }
}

impl<W: Write> Sink for Json<W> {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.files.push(name);
        Ok(())
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        if self.stats {
            self.tally.note(&event);
        }
        if self.wants(&event.body) {
            self.line.clear();
            push_event(&mut self.line, &event, &self.files, Extra::default());
            self.line.push(b'\n');
            self.out.write_all(&self.line)?;
        }
        if self.flush && matches!(event.body, EventBody::Session(_)) {
            self.out.flush()?;
        }
        Ok(())
    }

    fn comment(&mut self, comment: &Comment) -> io::Result<()> {
        if self.select != Select::All {
            return Ok(());
        }
        self.line.clear();
        let mut o = Object::new(&mut self.line);
        o.str("type", "comment");
        o.str("on", comment.on.as_str());
        o.str("file", self.files.get(comment.file));
        o.opt_number("frame", comment.frame);
        o.text("text", &comment.text);
        o.end();
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        if self.stats {
            self.line.clear();
            push_stats(&mut self.line, report, &self.tally);
            self.line.push(b'\n');
            self.out.write_all(&self.line)?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
