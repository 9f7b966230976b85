//! ManageSieve (RFC 5804).
//!
//! Scripts are no mail, but objects of their own: in a command or reply such a literal is told by its size, in the
//! place where it stood; of others the beginning stands behind it. A reply is all lines up to the one that begins with
//! OK, NO or BYE; capabilities, script names and the like are its `lines`.

mod client;
pub mod detect;
mod lines;
mod script;
mod server;

use self::lines::{Lines, Logical};
use super::hold::{Pause, Pauses};
use super::queue::Queue;
use super::{Advance, Chunk, Context, Dissector, Held, Missing, Summary};
use crate::diagnostic::Code;
use crate::event::{MessageOutcome, Outcome, Protocol};
use crate::position::{Direction, Span};

/// What a command asks for, as far as it matters here.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Authenticate,
    StartTls,
    Logout,
    Capability,
    /// What only a user may ask for.
    Scripts,
    /// Any other command of RFC 5804.
    Known,
    Unknown,
}

impl Kind {
    fn of(verb: &[u8]) -> Self {
        match verb.to_ascii_uppercase().as_slice() {
            b"AUTHENTICATE" => Kind::Authenticate,
            b"STARTTLS" => Kind::StartTls,
            b"LOGOUT" => Kind::Logout,
            b"CAPABILITY" => Kind::Capability,
            b"HAVESPACE" | b"PUTSCRIPT" | b"LISTSCRIPTS" | b"SETACTIVE" | b"GETSCRIPT" | b"DELETESCRIPT"
            | b"RENAMESCRIPT" | b"CHECKSCRIPT" => Kind::Scripts,
            b"NOOP" | b"UNAUTHENTICATE" | b"XCLIENT" => Kind::Known,
            _ => Kind::Unknown,
        }
    }
}

/// The ManageSieve dissector.
#[derive(Default)]
pub struct Sieve {
    lines: [Lines; 2],
    /// Bytes are missing, and no line to trust was found since.
    lost: [bool; 2],
    /// The beginning of the dialogue is not in the capture.
    joined: bool,
    gap_seen: [bool; 2],
    ended: [bool; 2],
    bare_lf_told: [bool; 2],
    queue: Queue<Kind>,
    one_sided: bool,
    /// The server's challenge waits for the client's response.
    challenged: bool,
    pause: Pause,
    greeted: bool,
    /// The lines of the reply that has not ended.
    data: Option<server::Data>,
    scripts: script::Scripts,
    logged_out: bool,
    refused: bool,
    told: Summary,
}

impl Sieve {
    /// A dissector for a connection from its beginning; [`Dissector::join`] says that it isn't.
    pub fn new() -> Self {
        Sieve::default()
    }

    fn skip(&mut self, bytes: usize) {
        self.told.skipped_bytes = self.told.skipped_bytes.saturating_add(bytes as u64);
    }

    fn found(&mut self, dir: Direction, span: Span, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.lost[dir.index()]) && !(self.joined && self.told.skipped_bytes == 0) {
            let detail = format!("the {}'s lines can be trusted again", dir.as_str());
            cx.out.diagnose(span, Code::Resynchronised, detail);
        }
    }

    /// What is odd about the line itself.
    fn tell_oddities(&mut self, dir: Direction, line: &Logical, cx: &mut Context<'_>) {
        if line.cut {
            cx.out.diagnose(line.span, Code::LongLine, format!("cut at {} bytes", line.text.len()));
        }
        if line.bad_length {
            cx.out.diagnose(line.span, Code::BadLength, "a literal's size of more than 32 bits");
        }
        if line.bare_lf && !std::mem::replace(&mut self.bare_lf_told[dir.index()], true) {
            cx.out.diagnose(line.span, Code::BareLf, format!("a line of the {} ends in LF alone", dir.as_str()));
        }
    }

    /// Whether a reply is on its way of which nothing is missing.
    fn replying(&self) -> bool {
        self.data.is_some() || !self.lost[1] && !self.lines[1].at_start()
    }

    /// Bytes are missing.
    fn lose(&mut self, dir: Direction, missing: Missing, cx: &mut Context<'_>) {
        let Missing { len, span, .. } = missing;
        let at = dir.index();
        self.gap_seen[at] = true;
        self.queue.exchanges_gap();
        // Inside TLS the length is only a bound.
        if self.lines[at].gap(len, !cx.tls) {
            return;
        }
        let skipped = self.lines[at].reset();
        self.skip(skipped);
        self.lost[at] = true;
        match dir {
            Direction::Client => {
                cx.loses_client();
                self.queue.login.loses_client(missing);
                self.queue.client_lost(self.replying(), span, cx);
            }
            Direction::Server => self.server_gap(span, cx),
        }
    }
}

impl Dissector for Sieve {
    fn greets(&self, bytes: &[u8]) -> bool {
        detect::greets(bytes)
    }

    fn join(&mut self, _hint: Option<Protocol>) {
        self.joined = true;
        self.queue.join();
        self.greeted = true;
        self.gap_seen = [true; 2];
        self.lost = [true; 2];
    }

    fn input(&mut self, dir: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
        match dir {
            Direction::Client if cx.injected => client::injected(chunk, cx),
            Direction::Client => self.take_client(chunk, cx),
            Direction::Server => self.server_input(chunk, cx),
        }
    }

    fn gap(&mut self, dir: Direction, missing: Missing, cx: &mut Context<'_>) {
        match dir {
            Direction::Client => self.take_client_gap(missing, cx),
            Direction::Server => self.lose(dir, missing, cx),
        }
    }

    fn end(&mut self, dir: Direction, span: Span, cx: &mut Context<'_>) {
        self.ended[dir.index()] = true;
        if dir == Direction::Server {
            self.queue.server_ended = true;
            self.server_end(span, cx);
        }
    }

    fn finish(&mut self, span: Span, cx: &mut Context<'_>) {
        self.told.at_rest = self.queue.waiting.is_empty() && !self.pause.on && self.lines.iter().all(Lines::at_start);
        let unread = self.end_pause(cx);
        self.skip(unread);
        self.server_end(span, cx);
        self.one_sided = cx.one_sided;
        self.logged_out |= self.queue.is_unheard(Kind::Logout, cx.one_sided);
        let fate = match (cx.one_sided, self.ended.contains(&true)) {
            (true, _) => MessageOutcome::Accepted,
            (false, true) => MessageOutcome::Aborted,
            (false, false) => MessageOutcome::Unknown,
        };
        let (waiting, one_sided) = (&self.queue.waiting, cx.one_sided);
        let open = |command| waiting.iter().any(|pending| pending.seq == command && !pending.uncertain);
        // What may have been answered in a gap was not aborted.
        let fate = |command| if one_sided || open(command) { fate } else { MessageOutcome::Unknown };
        self.scripts.finish(fate, cx);
        self.queue.finish(self.gap_seen == [false, false], span, cx);
        for at in 0..2 {
            let skipped = self.lines[at].reset();
            self.skip(skipped);
        }
    }

    fn take_held(&mut self, dir: Direction) -> Option<Held> {
        match dir {
            Direction::Client => self.pause.accepted(),
            Direction::Server => None,
        }
    }

    fn tls_started(&mut self) {
        // RFC 5804 §2.2: both sides forget what they knew; the server sends its capabilities again, unasked.
        self.pause = Pause::default();
        self.lines = Default::default();
        self.lost = [false; 2];
        self.challenged = false;
        self.queue.tls_started();
        self.data = None;
        self.greeted = true;
    }

    fn at_line_start(&self, dir: Direction) -> bool {
        self.lines[dir.index()].at_start() && (dir == Direction::Server || !self.pause.holds())
    }

    fn recognises(&self, dir: Direction, line: &[u8]) -> bool {
        match dir {
            Direction::Client => Kind::of(client::split_verb(line).0) != Kind::Unknown,
            Direction::Server => server::status(line).is_some(),
        }
    }

    fn cost(&self) -> usize {
        size_of::<Self>()
            + self.lines.iter().map(Lines::cost).sum::<usize>()
            + self.queue.cost()
            + self.pause.cost()
            + self.data.as_ref().map_or(0, server::Data::cost)
            + self.scripts.cost()
            + self.told.cost()
    }

    fn summary(&self) -> Summary {
        let outcome = if self.refused {
            Some(Outcome::Refused)
        } else if self.queue.login.refused {
            Some(Outcome::AuthFailed)
        } else if self.logged_out {
            Some(Outcome::Completed)
        } else if !self.greeted && !self.one_sided && !self.gap_seen[Direction::Server.index()] {
            Some(Outcome::NoBanner)
        } else {
            None
        };
        let served = self.queue.login.inside;
        Summary {
            served,
            protocol: Some(Protocol::Sieve),
            outcome,
            user: self.queue.login.user.clone(),
            ..self.told.clone()
        }
    }
}

#[cfg(test)]
mod tests;
