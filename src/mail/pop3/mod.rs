//! POP3: RFC 1939, extensions RFC 2449, STLS RFC 2595, AUTH RFC 5034, UTF8 and LANG RFC 6856.
//!
//! The client's lines make a queue of commands; each status line of the server answers the first of it, and the
//! command says whether a multi-line reply follows. A challenge makes the client's next line a response.

mod body;
mod client;
mod command;
pub mod detect;
mod download;
mod listing;
mod server;

use std::collections::BTreeMap;

use self::command::Kind;
use super::hold::{Pause, Pauses};
use super::line::LineBuffer;
use super::queue::Queue;
use super::{Advance, Chunk, Context, Dissector, Held, Missing, Next, Summary};
use crate::diagnostic::Code;
use crate::event::{Outcome, Protocol, Text};
use crate::position::{Direction, Span};

/// Bytes of the shortest command, `NOOP` and its line end.
const SHORTEST: u64 = 6;

/// The POP3 dissector.
#[derive(Default)]
pub struct Pop3 {
    lines: [LineBuffer; 2],
    /// The rest of an overlong line is being passed over.
    overlong: [bool; 2],
    /// Bytes are missing, and no line to trust was found since.
    lost: [bool; 2],
    /// The beginning of the dialogue is not in the capture.
    joined: bool,
    gap_seen: [bool; 2],
    /// Most commands that may have been in the client's gaps and have had no reply yet.
    unseen: u64,
    ended: [bool; 2],
    bare_lf_told: [bool; 2],
    queue: Queue<Kind>,
    one_sided: bool,
    /// The server's challenge waits for the client's response.
    challenged: bool,
    pause: Pause,
    /// The client sends a mail (XTND XMIT), with that `seq`: it is passed over.
    transmits: Option<u64>,
    /// USER's argument.
    login_user: Option<Vec<u8>>,
    greeted: bool,
    greeting: Vec<u8>,
    mode: server::Mode,
    unique_ids: BTreeMap<u32, Text>,
    ordinal: u64,
    transaction: u64,
    quit: bool,
    /// The session ended within a message.
    message_cut: bool,
    refused: bool,
    told: Summary,
}

impl Pop3 {
    /// A dissector for a connection from its beginning; [`Dissector::join`] says that it isn't.
    pub fn new() -> Self {
        Pop3::default()
    }

    /// Passes bytes over.
    fn skip(&mut self, bytes: usize) {
        self.told.skipped_bytes = self.told.skipped_bytes.saturating_add(bytes as u64);
    }

    /// A line to trust was found.
    fn found(&mut self, dir: Direction, span: Span, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.lost[dir.index()]) && !(self.joined && self.told.skipped_bytes == 0) {
            let detail = format!("the {}'s lines can be trusted again", dir.as_str());
            cx.out.diagnose(span, Code::Resynchronised, detail);
        }
    }

    fn tell_bare_lf(&mut self, dir: Direction, span: Span, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.bare_lf_told[dir.index()], true) {
            cx.out.diagnose(span, Code::BareLf, format!("a line of the {} ends in LF alone", dir.as_str()));
        }
    }

    /// Bytes are missing.
    fn lose(&mut self, dir: Direction, missing: Missing, cx: &mut Context<'_>) {
        let Missing { len, tail, span } = missing;
        let at = dir.index();
        let told = tail
            && match dir {
                Direction::Client => self.take_cut_response(cx),
                Direction::Server => self.take_cut_status(cx),
            };
        if told {
            return;
        }
        self.gap_seen[at] = true;
        self.overlong[at] = false;
        if let Some((partial, _)) = self.lines[at].take_pending() {
            self.skip(partial.len());
        }
        match dir {
            Direction::Client => {
                self.lost[at] = true;
                self.transmits = None;
                // Another USER may be missing.
                self.login_user = None;
                self.unseen = self.unseen.saturating_add(1 + len / SHORTEST);
                cx.loses_client();
                self.queue.login.loses_client(missing);
                self.queue.exchanges_gap();
                self.client_speaks(true, span, cx);
            }
            Direction::Server => self.server_gap(span, cx),
        }
    }
}

impl Dissector for Pop3 {
    fn greets(&self, bytes: &[u8]) -> bool {
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        matches!(command::status(line), Some((command::Status::Ok, text)) if server::is_greeting(text))
    }

    fn join(&mut self, _hint: Option<Protocol>) {
        self.joined = true;
        self.queue.join();
        self.gap_seen = [true; 2];
        self.lost[Direction::Client.index()] = true;
    }

    fn input(&mut self, dir: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
        match dir {
            Direction::Client if cx.injected => self.injected(chunk, cx),
            Direction::Client => match self.client_goes_on(cx) {
                Next::Continue => self.take_client(chunk, cx),
                next => Advance { consumed: 0, next },
            },
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
        self.told.at_rest = !self.message_cut
            && self.queue.waiting.is_empty()
            && !self.pause.on
            && self.lines.iter().all(LineBuffer::at_start);
        let unread = self.end_pause(cx);
        self.skip(unread);
        self.server_end(span, cx);
        self.one_sided = cx.one_sided;
        self.quit |= self.queue.is_unheard(Kind::Quit, cx.one_sided);
        self.queue.finish(self.gap_seen == [false, false], span, cx);
        for at in 0..2 {
            if let Some((partial, _)) = self.lines[at].take_pending() {
                self.skip(partial.len());
            }
        }
    }

    fn take_held(&mut self, dir: Direction) -> Option<Held> {
        match dir {
            Direction::Client => self.pause.accepted(),
            Direction::Server => None,
        }
    }

    fn tls_started(&mut self) {
        // RFC 2595 §4: what was known before TLS is discarded; no new greeting follows.
        self.pause = Pause::default();
        self.lines = Default::default();
        self.overlong = [false; 2];
        self.lost = [false; 2];
        self.challenged = false;
        self.transmits = None;
        self.queue.tls_started();
        self.login_user = None;
        self.greeted = true;
        // A reply to a command that was never seen (to STLS, likely) is still to be told.
        if !self.mode.is_guess() {
            self.mode = server::Mode::Status;
        }
    }

    fn at_line_start(&self, dir: Direction) -> bool {
        let at = dir.index();
        let inside = match dir {
            Direction::Client => self.pause.holds(),
            Direction::Server => self.mode.in_body(),
        };
        let mail = dir == Direction::Client && self.transmits.is_some();
        !inside && !mail && !self.overlong[at] && self.lines[at].at_start()
    }

    fn recognises(&self, dir: Direction, line: &[u8]) -> bool {
        match dir {
            Direction::Client => command::Parsed::new(line).kind != Kind::Unknown,
            Direction::Server => matches!(command::status(line), Some((command::Status::Ok | command::Status::Err, _))),
        }
    }

    fn cost(&self) -> usize {
        const ENTRY: usize = 48;
        let ids = self.unique_ids.values().map(|id| ENTRY + id.heap()).sum::<usize>();
        let texts = self.greeting.capacity() + self.login_user.as_ref().map_or(0, Vec::capacity);
        size_of::<Self>()
            + self.lines.iter().map(LineBuffer::cost).sum::<usize>()
            + self.queue.cost()
            + self.pause.cost()
            + self.mode.cost()
            + ids
            + texts
            + self.told.cost()
    }

    fn summary(&self) -> Summary {
        let outcome = if self.refused {
            Some(Outcome::Refused)
        } else if self.queue.login.refused {
            Some(Outcome::AuthFailed)
        } else if self.quit {
            Some(Outcome::Completed)
        } else if !self.greeted && !self.one_sided && !self.gap_seen[Direction::Server.index()] {
            Some(Outcome::NoBanner)
        } else {
            None
        };
        let served = self.queue.login.inside;
        Summary {
            served,
            protocol: Some(Protocol::Pop3),
            outcome,
            user: self.queue.login.user.clone(),
            ..self.told.clone()
        }
    }
}

#[cfg(test)]
mod tests;
