//! Behind a gap that may have a BDAT: whether what comes is its chunk's text or commands.
//!
//! A line that is no command shows a text, unless it may be the end of one that the gap cut; so does a command behind
//! one that everyone awaits. Lines that look like commands wait for the server's next reply: it has to fit the first of
//! them or be no chunk's, and to be made for the first where text stands before. Another BDAT announces its own chunk.
//! Without the server's word, lines without a text are taken for what they look like.

use super::answers::likelihood;
use super::command::{self, Verb};
use super::*;
use crate::mail::line::{Line, find_byte};

/// What has come since the gap, or since a reply behind it.
#[derive(Copy, Clone, Default, PartialEq, Eq)]
enum Run {
    /// Nothing is in doubt.
    #[default]
    Off,
    /// Commands, as far as that shows.
    Clean,
    /// A text, and what looks like commands behind it.
    Text,
    /// A text and such commands, and since then a reply that fits none of them, or a gap that may hold one.
    Answered,
}

/// What is sifted, and the commands among it.
#[derive(Default)]
pub(super) struct Sift {
    run: Run,
    pub(super) commands: Hold,
    /// What the last of them awaits.
    last: Option<Kind>,
    /// A BDAT behind a text was believed, and nothing has come behind its chunk.
    pub(super) unsure: bool,
    /// A BDAT that was believed turned out to stand in a mail's text: until the next gap no other BDAT is believed.
    refuted: bool,
}

impl Sift {
    /// Memory beside its own fields.
    pub(super) fn cost(&self) -> usize {
        self.commands.cost()
    }

    /// The client's lines go on for sure.
    pub(super) fn end(&mut self) {
        self.run = Run::Off;
    }

    /// Bytes of the client are missing.
    pub(super) fn gap(&mut self) {
        (self.unsure, self.refuted) = (false, false);
    }

    /// Whether a line that comes behind the chunk of an unsure BDAT shows that it stood in a text.
    pub(super) fn refutes(&mut self, line: &[u8]) -> bool {
        if !self.unsure {
            return false;
        }
        let refutes = !command::is_trustworthy(line);
        self.refuted |= refutes;
        // The BDAT itself is such a line.
        self.unsure = !refutes && command::parse(line).verb == Verb::Bdat;
        refutes
    }
}

impl Smtp {
    /// A BDAT may be missing. `sure`: nothing else is.
    pub(super) fn suspect_chunk(&mut self, sure: bool, cx: &Context<'_>) {
        // A client that never waits for replies sends the text right behind DATA: that text need not be a chunk's.
        if !cx.one_sided && (sure || self.chunk.offered && !self.doubt.rhythm.early) {
            self.sift.run = if sure { Run::Text } else { Run::Clean };
        }
    }

    /// A line that is no command has been passed over.
    pub(super) fn sift_text(&mut self) {
        let cut = self.sift.run == Run::Clean && self.sift.commands.is_empty() && self.trail.lines_skipped < 2;
        if self.sift.run != Run::Off && !cut {
            self.drop_commands();
            self.sift.run = Run::Text;
        }
    }

    /// Whether a line that looks like a command has to wait.
    pub(super) fn withhold(&mut self, line: &Line<'_>, cx: &mut Context<'_>) -> bool {
        if self.sift.run == Run::Off {
            return false;
        }
        if self.sift.run == Run::Answered {
            self.drop_commands();
            self.sift.run = Run::Clean;
        }
        if self.sift.last.is_some_and(Kind::is_awaited) {
            self.drop_commands();
            self.sift.run = Run::Text;
        }
        let verb = command::parse(line.bytes).verb;
        if verb == Verb::Bdat && self.sift.run == Run::Text {
            // A log in a mail has such, too: what follows its chunk will tell.
            if self.sift.refuted {
                self.skip(Direction::Client, line.wire_len());
                self.drop_commands();
                return true;
            }
            self.sift.unsure = true;
        }
        if verb == Verb::Bdat || self.sift.commands.bytes().len() > cx.limits.line_bytes {
            self.settle_commands(cx);
            return false;
        }
        self.sift.last = Some(verb.awaits());
        self.sift.commands.push(Chunk { bytes: line.bytes, span: line.span });
        self.sift.commands.push(Chunk { bytes: line.end.as_bytes(), span: line.span });
        true
    }

    /// A reply tells what the lines before it were.
    pub(super) fn weigh_commands(&mut self, reply: &Reply, cx: &mut Context<'_>) {
        let held = self.sift.commands.bytes();
        let first = held.get(..find_byte(held, b'\n').unwrap_or(held.len())).unwrap_or_default();
        let fit = if held.is_empty() { 0 } else { likelihood(command::parse(first).verb.awaits(), reply) };
        let believed = match self.sift.run {
            Run::Off => return,
            Run::Clean => !held.is_empty() && (fit > 0 || !is_of_chunk(reply)),
            Run::Text | Run::Answered => fit > 1,
        };
        if believed {
            self.believe_commands(cx);
        } else if self.sift.run == Run::Text {
            self.sift.run = Run::Answered;
            // A chunk need not end with a line.
            if let Some((partial, _)) = self.lines[0].take_pending() {
                self.skip(Direction::Client, partial.len());
            }
        }
    }

    /// Bytes of the server are missing, a reply perhaps.
    pub(super) fn weighing_lost(&mut self, cx: &mut Context<'_>) {
        match self.sift.run {
            Run::Clean => self.settle_commands(cx),
            Run::Text => self.sift.run = Run::Answered,
            Run::Off | Run::Answered => {}
        }
    }

    /// The connection is over. What a client says last is QUIT, whatever stands before.
    pub(super) fn end_sifting(&mut self, cx: &mut Context<'_>) {
        if self.sift.commands.bytes().trim_ascii_end().eq_ignore_ascii_case(b"QUIT") {
            self.believe_commands(cx);
        }
        self.settle_commands(cx);
    }

    /// The server's word on the lines will not come.
    pub(super) fn settle_commands(&mut self, cx: &mut Context<'_>) {
        if self.sift.run == Run::Clean && !self.sift.commands.is_empty() {
            self.believe_commands(cx);
        } else if self.sift.run != Run::Off {
            self.drop_commands();
            self.sift.run = Run::Clean;
        }
    }

    fn believe_commands(&mut self, cx: &mut Context<'_>) {
        self.hold = std::mem::take(&mut self.sift).commands;
        if let Some((partial, span)) = self.lines[0].take_pending() {
            self.hold.push(Chunk { bytes: &partial, span });
        }
        self.release(cx);
    }

    /// They were a text.
    fn drop_commands(&mut self) {
        let commands = std::mem::take(&mut self.sift.commands);
        self.sift.last = None;
        self.skip(Direction::Client, commands.bytes().len());
    }
}

/// Whether a reply may be a chunk's.
fn is_of_chunk(reply: &Reply) -> bool {
    [false, true].iter().any(|&last| likelihood(Kind::Chunk { last }, reply) > 0)
}
