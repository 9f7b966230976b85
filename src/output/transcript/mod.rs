//! The story of a session as a person reads it: one line a command, reply, message, or oddity.
//!
//! Lines are made when the session ends, by rising `seq`; until then its events wait in a [`Gather`], or are shown
//! at once with [`Layout::Live`].

mod header;
mod phrase;
mod tell;

use std::collections::HashMap;
use std::io::{self, Write};

use self::tell::{Teller, View};
use super::spill::{DEFAULT_BUDGET, Gather};
use super::style::Color;
use super::time::Zone;
use super::{Files, Sink};
use crate::event::{Comment, Event, EventBody};
use crate::output::escape::escape;
use crate::pipeline::Report;
use crate::position::Timestamp;

pub(super) use header::{how_decrypted, protection};
pub use phrase::incomplete;
pub(super) use phrase::{count, end, frames, grouped};

/// How the lines are arranged.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// A heading and its lines for each session, when it ends.
    #[default]
    Story,
    /// Lines as they happen, each prefixed by its session.
    Live,
    /// tshark's shape, when the session ends: time, addresses, protocol, who, text.
    OneLine,
}

/// What a transcript shows.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Arrangement.
    pub layout: Layout,
    /// The time of day instead of latencies.
    pub absolute: bool,
    /// Zone of the times.
    pub zone: Zone,
    /// Colour.
    pub color: Color,
    /// There are several files, also if their names are yet to come: headings say in which a session begins.
    pub several: bool,
    /// Flush when a session ends (live: after each line).
    pub flush: bool,
    /// Bytes of events to hold in memory; 0 stands for the default.
    pub memory: usize,
}

/// Writes transcripts.
pub struct Transcript<W: Write> {
    out: W,
    options: Options,
    gather: Gather,
    /// What is known of the sessions that are going on, beside their events.
    tellers: HashMap<u64, Teller>,
    files: Files,
    start: Option<Timestamp>,
    told: u64,
    text: String,
}

impl<W: Write> Transcript<W> {
    /// Writes to `out`.
    pub fn new(out: W, options: Options) -> Self {
        let budget = if options.memory == 0 { DEFAULT_BUDGET } else { options.memory };
        Transcript {
            out,
            options,
            gather: Gather::new(budget),
            tellers: HashMap::new(),
            files: Files::default(),
            start: None,
            told: 0,
            text: String::new(),
        }
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn tell_live(&mut self, event: Event) -> io::Result<()> {
        let teller = self.tellers.entry(event.session).or_default();
        let view = View { options: &self.options, files: &self.files, start: self.start, session: None };
        self.text.clear();
        match &event.body {
            EventBody::Session(session) => {
                let view = View { session: Some(session), ..view };
                teller.finish(&view, &mut self.text);
                header::push(&mut self.text, session, &view);
            }
            EventBody::Opening(opening) => {
                teller.begins(event.span.first);
                header::push_opening(&mut self.text, event.session, event.span.first, opening, &view);
            }
            _ => teller.tell(&event, &view, &mut self.text),
        }
        if matches!(event.body, EventBody::Session(_)) {
            self.tellers.remove(&event.session);
        }
        for line in self.text.lines() {
            writeln!(self.out, "[{}] {line}", event.session)?;
        }
        if self.options.flush { self.out.flush() } else { Ok(()) }
    }

    fn tell_story(&mut self, id: u64, session: &crate::event::Session) -> io::Result<()> {
        let Transcript { out, options, gather, tellers, files, start, told, text } = self;
        let mut teller = tellers.remove(&id).unwrap_or_default();
        let view = View { options, files, start: *start, session: Some(session) };
        text.clear();
        if options.layout == Layout::Story {
            if *told > 0 {
                text.push('\n');
            }
            teller.begins(session.span.first);
            header::push(text, session, &view);
        }
        *told += 1;
        // Written before the events: there may be none.
        out.write_all(text.as_bytes())?;
        text.clear();
        gather.play(id, &mut |event| {
            teller.tell(&event, &view, text);
            out.write_all(text.as_bytes())?;
            text.clear();
            Ok(())
        })?;
        teller.finish(&view, text);
        out.write_all(text.as_bytes())?;
        if options.flush { out.flush() } else { Ok(()) }
    }
}

impl<W: Write> Sink for Transcript<W> {
    fn start(&mut self, first: Timestamp) -> io::Result<()> {
        self.start = Some(first);
        Ok(())
    }

    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.files.push(name);
        Ok(())
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        self.start.get_or_insert(event.span.first.ts);
        if self.options.layout == Layout::Live {
            return self.tell_live(event);
        }
        match &event.body {
            EventBody::Session(session) => self.tell_story(event.session, session),
            EventBody::Auth(auth) => {
                self.tellers.entry(event.session).or_default().expect_auth(event.seq, event.span, auth);
                self.gather.push(event)
            }
            _ => self.gather.push(event),
        }
    }

    fn comment(&mut self, comment: &Comment) -> io::Result<()> {
        let file = escape(self.files.get(comment.file).as_bytes());
        let text = escape(&comment.text.0);
        match comment.frame {
            Some(frame) => writeln!(self.out, "· comment in {file}, frame {frame}: {text}")?,
            None => writeln!(self.out, "· comment in {file} ({}): {text}", comment.on.as_str())?,
        }
        if self.options.flush { self.out.flush() } else { Ok(()) }
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
