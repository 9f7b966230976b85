//! IMAP4rev1 and IMAP4rev2 (RFC 3501, RFC 9051) and what servers and clients in the field send.
//!
//! Framing stands apart from grammar: `fragment` finds the literals that lines announce, whatever the lines mean;
//! what a (command, reply) pair did decides what comes next. A synchronising literal is waited for until the server
//! answers, and does not exist if it is refused. Literals stream through, they are never held.
//!
//! After a loss each direction looks for a line to trust (`plausible`): a tag with a known verb; untagged data of a
//! known kind; a tagged reply to a command that waits.

mod append;
mod client;
mod command;
pub mod detect;
mod fetch;
mod fragment;
mod halves;
mod join;
mod pending;
mod plausible;
mod reply;
mod server;
mod shared;
#[cfg(test)]
mod tests;
mod tokens;
mod verbs;

use super::{Advance, Chunk, Context, Dissector, Held, Missing, Summary};
use crate::event::{Outcome, Protocol};
use crate::position::{Direction, Span};
use client::{Client, State, Wait};
use pending::Effect;
use server::Server;
use shared::Shared;

/// The dissector of one IMAP session.
#[derive(Default)]
pub struct Imap {
    client: Client,
    server: Server,
    shared: Shared,
}

impl Imap {
    /// A session from its first byte, or from wherever its capture begins.
    pub fn new() -> Self {
        Imap::default()
    }

    fn outcome(&self) -> Option<Outcome> {
        let s = &self.shared;
        if s.refused {
            Some(Outcome::Refused)
        } else if s.login.refused {
            Some(Outcome::AuthFailed)
        } else if s.logout {
            Some(Outcome::Completed)
        } else if !s.saw[Direction::Server.index()] && !s.one_sided {
            Some(Outcome::NoBanner)
        } else {
            None
        }
    }
}

impl Dissector for Imap {
    fn greets(&self, bytes: &[u8]) -> bool {
        detect::greets(bytes)
    }

    fn join(&mut self, _hint: Option<Protocol>) {
        self.shared.joined = true;
        self.shared.saw = [true; 2];
        self.shared.spoken = true;
        self.shared.uncertain = true;
        self.client.state = State::Resync;
        self.server.find_line();
    }

    fn input(&mut self, dir: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
        if !chunk.bytes.is_empty() {
            self.shared.saw[dir.index()] = true;
        }
        self.shared.one_sided = cx.one_sided;
        match dir {
            Direction::Client => self.client_input(chunk, cx),
            Direction::Server => self.server_input(chunk, cx),
        }
    }

    fn gap(&mut self, dir: Direction, missing: Missing, cx: &mut Context<'_>) {
        self.shared.saw[dir.index()] = true;
        self.shared.uncertain = true;
        match dir {
            Direction::Client => self.client_gap(missing, cx),
            Direction::Server => self.server_gap(missing, cx),
        }
    }

    fn end(&mut self, dir: Direction, _span: Span, cx: &mut Context<'_>) {
        self.shared.ended[dir.index()] = true;
        match dir {
            Direction::Client => self.client_end(cx),
            Direction::Server => self.server_end(cx),
        }
    }

    fn finish(&mut self, span: Span, cx: &mut Context<'_>) {
        self.shared.one_sided = cx.one_sided;
        self.shared.at_rest = self.shared.table.len() == 0
            && self.client.open.is_none()
            && self.client.held.is_empty()
            && self.at_line_start(Direction::Client)
            && self.server.at_line_start();
        self.all_over(span, cx);
    }

    fn take_held(&mut self, dir: Direction) -> Option<Held> {
        match dir {
            Direction::Client => {
                if let State::Wait(Wait::StartTls | Wait::Compress) = self.client.state {
                    self.client.state = State::Lines;
                }
                self.client.held.take()
            }
            Direction::Server => None,
        }
    }

    fn tls_started(&mut self) {
        // What was half said in the clear does not continue inside TLS; nor does a STARTTLS wait for an answer.
        let last_tag = std::mem::take(&mut self.client.last_tag);
        self.client = Client { last_tag, ..Client::default() };
        self.server = Server::default();
        while let Some(seq) = self.shared.table.find(|e| matches!(e, Effect::StartTls)) {
            self.shared.table.remove(seq);
        }
    }

    fn at_line_start(&self, dir: Direction) -> bool {
        match dir {
            Direction::Client => {
                let lines = matches!(self.client.state, State::Lines | State::Wait(Wait::StartTls | Wait::Compress));
                lines && self.client.open.is_none() && self.client.held.is_empty() && self.client.lines.at_start()
            }
            Direction::Server => self.server.at_line_start(),
        }
    }

    fn recognises(&self, dir: Direction, line: &[u8]) -> bool {
        match dir {
            Direction::Client => plausible::command(line, &self.client.last_tag),
            Direction::Server => {
                // Not among mails, as here, no bullet stands before these words.
                let status = line.starts_with(b"* BAD ") || line.starts_with(b"* NO ");
                status || plausible::untagged(line) || plausible::tagged(line).is_some()
            }
        }
    }

    fn cost(&self) -> usize {
        size_of::<Self>() + self.client.cost() + self.server.cost() + self.shared.cost()
    }

    fn summary(&self) -> Summary {
        let s = &self.shared;
        let closed = s.bye.as_ref().filter(|_| !s.logout);
        Summary {
            protocol: Some(Protocol::Imap),
            banner: s.banner.clone(),
            helo: None,
            user: s.login.user.clone(),
            commands: s.commands,
            messages: s.full,
            last_error: closed.or(s.last_error.as_ref()).cloned(),
            slowest_reply: s.slowest,
            outcome: self.outcome(),
            at_rest: s.at_rest,
            served: s.login.inside,
            skipped_bytes: s.skipped,
        }
    }
}
