//! Events → lines, with what one line must know of the others.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

use super::{Layout, Options, phrase};
use crate::diagnostic::{Code, Severity};
use crate::event::{Auth, Command, Event, EventBody, Protocol, Reply, Session};
use crate::output::style::Role;
use crate::output::words::protocol_name;
use crate::output::{Files, escape, time};
use crate::position::{Direction, FileId, FramePos, Span, Timestamp};

/// Authentications of one session that are told beside their command; further ones get a line of their own.
const AUTHS: usize = 1000;

/// Bytes of an unfinished body line that wait for its end.
const BODY_LINE: usize = 8 << 10;

/// Bodies of one session that are told at once.
const BODIES: usize = 64;

/// What the lines depend on besides their events.
pub(super) struct View<'a> {
    pub(super) options: &'a Options,
    pub(super) files: &'a Files,
    /// Time of the capture's first frame.
    pub(super) start: Option<Timestamp>,
    /// The session, when it is over.
    pub(super) session: Option<&'a Session>,
}

impl View<'_> {
    /// Whether lines say that they rest on an assumption: of one direction alone all do, and a heading says so.
    fn marks_assumed(&self) -> bool {
        self.options.layout != Layout::Story || !self.session.is_some_and(|session| session.has(Code::OneSided))
    }
}

/// An authentication that is told with the command that began it.
struct Expected {
    seq: u64,
    span: Span,
    auth: Auth,
}

/// Tells one session.
#[derive(Default)]
pub(super) struct Teller {
    auths: VecDeque<Expected>,
    /// `seq` of the authentication that was told last.
    told_auth: Option<u64>,
    /// The file of the latest line.
    file: Option<FileId>,
    /// The latest frame of all lines, over all inputs.
    latest: u64,
    /// The client took its leave.
    farewell: bool,
    /// Whether the first command had a tag.
    tagged: Option<bool>,
    bodies: HashMap<u64, Vec<u8>>,
}

/// The arrow of a line.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Mark {
    From(Direction, bool),
    Note,
}

impl Teller {
    /// The session's heading was written: it names the file of its first frame.
    pub(super) fn begins(&mut self, first: FramePos) {
        self.file = Some(first.file);
    }

    /// An authentication will be told; its command came before it.
    pub(super) fn expect_auth(&mut self, seq: u64, span: Span, auth: &Auth) {
        if self.auths.len() < AUTHS {
            let at = self.auths.partition_point(|e| e.seq < seq);
            self.auths.insert(at, Expected { seq, span, auth: auth.clone() });
        }
    }

    /// The authentication that this command began.
    fn auth_of(&mut self, event: &Event, command: &Command) -> Option<Auth> {
        while self.auths.front().is_some_and(|e| e.seq < event.seq) {
            self.auths.pop_front();
        }
        let next = self.auths.front()?;
        let fits = match command.verb.0.as_slice() {
            b"AUTH" | b"AUTHENTICATE" => {
                !matches!(next.auth.mechanism.0.as_slice(), b"USER" | b"APOP" | b"LOGIN-COMMAND")
            }
            b"PASS" => next.auth.mechanism.0 == b"USER",
            b"APOP" => next.auth.mechanism.0 == b"APOP",
            b"LOGIN" => next.auth.mechanism.0 == b"LOGIN-COMMAND",
            _ => false,
        };
        let within = next.span.first.index <= event.span.first.index && event.span.last.index <= next.span.last.index;
        if !fits || !within {
            return None;
        }
        let expected = self.auths.pop_front()?;
        self.told_auth = Some(expected.seq);
        Some(expected.auth)
    }

    /// The frame that a line names: that of the last byte, but of a command whose literal ends later the one where it
    /// begins, as long as none goes back.
    fn place(&mut self, event: &Event) -> FramePos {
        let Span { first, last } = event.span;
        let at = match event.body {
            EventBody::Command(_) if first.index < last.index && first.index >= self.latest => first,
            _ => last,
        };
        self.latest = self.latest.max(at.index);
        at
    }

    /// Appends the lines of an event.
    pub(super) fn tell(&mut self, event: &Event, view: &View<'_>, out: &mut String) {
        let at = self.place(event);
        if view.options.layout != Layout::OneLine && self.file.replace(at.file).is_some_and(|f| f != at.file) {
            let name = escape::escape(view.files.get(at.file).as_bytes());
            line(out, view, None, None, Mark::Note, &format!("continues in {name}"), Role::Dim);
        }
        match &event.body {
            EventBody::Command(command) => {
                if !command.verb.is_empty() {
                    self.tagged.get_or_insert(command.tag.is_some());
                }
                // Also where it was taken for a response.
                let word = if command.verb.is_empty() { &command.args } else { &command.verb };
                self.farewell |= matches!(word.0.as_slice(), b"QUIT" | b"LOGOUT");
                let assumed = command.assumed && view.marks_assumed();
                let (text, role) = match self.auth_of(event, command) {
                    Some(auth) => (phrase::auth_command(command, &auth, assumed), Role::Client),
                    None => {
                        (phrase::command(command, assumed), if command.injected { Role::Bad } else { Role::Client })
                    }
                };
                line(out, view, Some(at), None, Mark::From(Direction::Client, command.tls), &text, role);
            }
            EventBody::Reply(reply) => {
                let joiner = if view.options.layout == Layout::OneLine { " | " } else { " / " };
                let assumed = reply.assumed && view.marks_assumed();
                let text = phrase::reply(reply, self.protocol(view, reply), joiner, assumed);
                let role = if is_refusal(reply) { Role::Bad } else { Role::Server };
                line(out, view, Some(at), reply.latency, Mark::From(Direction::Server, reply.tls), &text, role);
            }
            EventBody::Auth(auth) => {
                if self.told_auth != Some(event.seq) {
                    let text = phrase::auth(auth, auth.assumed && view.marks_assumed());
                    line(out, view, Some(at), None, Mark::From(auth.dir, auth.tls), &text, Role::Client);
                }
            }
            EventBody::Tls(tls) => {
                let role = if tls.reason.is_some() { Role::Bad } else { Role::Good };
                // It names its frames itself; a line in tshark's shape has a time, like any other.
                let at = (view.options.layout == Layout::OneLine).then_some(at);
                // Why the first one stayed closed is in the heading.
                let told = view.options.layout == Layout::Story && tls.handshake == 0;
                line(out, view, at, None, Mark::Note, &phrase::handshake(tls, told), role);
            }
            EventBody::MessageData(data) => self.tell_body(data.ordinal, &data.bytes, view, out),
            EventBody::Message(message) => {
                if let Some(rest) = self.bodies.remove(&message.ordinal).filter(|r| !r.is_empty()) {
                    body_line(out, view, &rest);
                }
                let role = if message.complete { Role::Heading } else { Role::Warn };
                let mark = Mark::From(message.dir, message.tls);
                line(out, view, Some(at), None, mark, &phrase::message(message), role);
            }
            EventBody::Script(script) => {
                let text = script.text.as_ref().map_or(&b""[..], |text| &text.0);
                for part in text.split_inclusive(|b| *b == b'\n') {
                    body_line(out, view, part.trim_ascii_end());
                }
                let mark = Mark::From(script.dir, script.tls);
                let role = if script.complete { Role::Heading } else { Role::Warn };
                line(out, view, Some(at), None, mark, &phrase::script(script), role);
            }
            EventBody::Gap(gap) => line(out, view, Some(at), None, Mark::Note, &phrase::gap(gap), Role::Bad),
            // The handshake's own line says it.
            EventBody::Diagnostic(diagnostic) if diagnostic.code == Code::Undecrypted => {}
            // So does the heading.
            EventBody::Diagnostic(diagnostic) if diagnostic.code == Code::OneSided && !view.marks_assumed() => {}
            EventBody::Diagnostic(diagnostic) => {
                let role = match diagnostic.code.severity() {
                    Severity::Note => Role::Dim,
                    Severity::Warning => Role::Warn,
                    Severity::Error => Role::Bad,
                };
                line(out, view, Some(at), None, Mark::Note, &phrase::diagnostic(diagnostic), role);
            }
            EventBody::Opening(_) | EventBody::Secrets(_) | EventBody::Plain(_) | EventBody::Session(_) => {}
        }
    }

    /// Appends the closing line, where there is one.
    pub(super) fn finish(&mut self, view: &View<'_>, out: &mut String) {
        let mut open: Vec<(u64, Vec<u8>)> = self.bodies.drain().filter(|(_, rest)| !rest.is_empty()).collect();
        open.sort_unstable();
        for (_, rest) in open {
            body_line(out, view, &rest);
        }
        let Some(session) = view.session else { return };
        if view.options.layout == Layout::OneLine {
            return;
        }
        if let Some(text) = phrase::closing(session, self.farewell) {
            line(out, view, None, None, Mark::Note, &text, Role::Bad);
        }
    }

    /// The protocol as far as it can be known: a session that goes on tells it by its commands' tags.
    fn protocol(&self, view: &View<'_>, reply: &Reply) -> Option<Protocol> {
        match view.session {
            Some(session) => session.protocol,
            // ManageSieve has no tags; its greeting lists capabilities, IMAP's is one line.
            None => self.tagged.unwrap_or(reply.lines.len() <= 1).then_some(Protocol::Imap),
        }
    }

    fn tell_body(&mut self, ordinal: u64, bytes: &[u8], view: &View<'_>, out: &mut String) {
        if view.options.layout == Layout::OneLine {
            return;
        }
        let mut rest = self.bodies.remove(&ordinal).unwrap_or_default();
        let mut bytes = bytes;
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            let (now, later) = bytes.split_at(end + 1);
            bytes = later;
            rest.extend_from_slice(now);
            body_line(out, view, &rest);
            rest.clear();
        }
        for piece in bytes.chunks(BODY_LINE) {
            rest.extend_from_slice(piece);
            if rest.len() >= BODY_LINE {
                body_line(out, view, &rest);
                rest.clear();
            }
        }
        if !rest.is_empty() {
            if self.bodies.len() < BODIES {
                self.bodies.insert(ordinal, rest);
            } else {
                body_line(out, view, &rest);
            }
        }
    }
}

/// A line of a message, its line end taken off.
fn body_line(out: &mut String, view: &View<'_>, bytes: &[u8]) {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let indent = if view.options.absolute { 24 } else { 19 };
    out.extend(std::iter::repeat_n(' ', indent));
    view.options.color.push(out, Role::Dim, "|");
    if !bytes.is_empty() {
        out.push_str("   ");
        escape::push(out, bytes);
    }
    out.push('\n');
}

fn is_refusal(reply: &Reply) -> bool {
    reply.code.is_some_and(|c| c >= 400) || matches!(reply.status.0.as_slice(), b"NO" | b"BAD" | b"-ERR")
}

/// Appends one line in the chosen arrangement. `at` gives frame and time; without it the line stands between the
/// frames.
fn line(
    out: &mut String,
    view: &View<'_>,
    at: Option<FramePos>,
    latency: Option<i64>,
    mark: Mark,
    text: &str,
    role: Role,
) {
    if view.options.layout == Layout::OneLine {
        return one_line(out, view, at, mark, text, role);
    }
    let color = view.options.color;
    let mut left = String::new();
    let _ = match at {
        Some(at) => write!(left, "{:>6}", at.number),
        None => write!(left, "{:>6}", '·'),
    };
    let moment = match at {
        Some(at) if view.options.absolute => view.options.zone.clock(at.ts),
        _ => latency.map(time::micros).unwrap_or_default(),
    };
    let width = if view.options.absolute { 16 } else { 11 };
    let _ = write!(left, "{moment:>width$}  ");
    color.push(out, Role::Dim, &left);
    let arrow = match (mark, at) {
        (Mark::From(Direction::Client, false), _) => " -> ",
        (Mark::From(Direction::Client, true), _) => " ~> ",
        (Mark::From(Direction::Server, false), _) => "<-  ",
        (Mark::From(Direction::Server, true), _) => "<~  ",
        (Mark::Note, Some(_)) => " ·  ",
        (Mark::Note, None) => " ",
    };
    out.push_str(arrow);
    color.push(out, role, text);
    out.push('\n');
}

/// tshark's shape: `0.178964 94.127.66.21 -> 94.127.66.53 SMTP C: EHLO RC4-MD5`.
fn one_line(out: &mut String, view: &View<'_>, at: Option<FramePos>, mark: Mark, text: &str, role: Role) {
    let Some(session) = view.session else { return };
    let ts = at.map_or(session.span.first.ts, |at| at.ts);
    let start = view.start.unwrap_or(session.span.first.ts);
    let moment = match view.options.absolute {
        true => view.options.zone.millis(ts),
        false => time::micros(ts.nanos_since(start)),
    };
    let (from, to) = match mark {
        Mark::From(Direction::Server, _) => (session.server, session.client),
        _ => (session.client, session.server),
    };
    let who = match mark {
        Mark::From(Direction::Client, _) => "C",
        Mark::From(Direction::Server, _) => "S",
        Mark::Note => "*",
    };
    // One word: programs count the columns.
    let name = session.protocol.map_or("?", |protocol| protocol_name(Some(protocol)));
    let left = format!("{moment} {} -> {} {name} {who}: ", from.ip(), to.ip());
    view.options.color.push(out, Role::Dim, &left);
    view.options.color.push(out, role, text);
    out.push('\n');
}
