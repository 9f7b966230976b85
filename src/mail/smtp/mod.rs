//! SMTP (RFC 5321) and LMTP (RFC 2033) with their extensions, as a dialogue that is followed and not policed.
//!
//! - `command`, `reply`: the grammar of lines; `data`: end of data and transparency;
//! - `client`, `content`: what the client's bytes are, by mode; `server`: what a reply does;
//! - `answers`: which command a reply answers, and what losses leave open of that;
//! - `exchange`: what Exchange's servers send between RCPT and the text;
//! - `transaction`: envelopes and messages; `course`: how the session as a whole went;
//! - `loss`: finding the way again after a gap; `sift`: the same where the gap may have a BDAT; `join`: finding it
//!   where the beginning is not in the capture.
//!
//! What the server's next reply decides (354 or not, 334 or not, 220 to STARTTLS, whether a line that looks like the
//! end of data was one) makes the client's bytes behind it wait: an honest client sends none, so that nothing is held.

mod answers;
mod client;
mod command;
mod content;
mod course;
mod data;
pub mod detect;
mod join;
mod loss;
mod queue_id;
mod reply;
mod server;
mod sift;
#[cfg(test)]
mod tests;
mod transaction;
mod xexch50;

use std::collections::{HashSet, VecDeque};

use super::hold::{Front, Hold};
use super::line::LineBuffer;
use super::sasl::Exchange;
use super::{Advance, Chunk, Context, Dissector, Held, Missing, Next, Summary};
use crate::diagnostic::Code;
use crate::event::{AuthOutcome, MessageOutcome, Protocol, Text};
use crate::position::{Direction, FramePos, Span};
use answers::Doubt;
use command::Verb;
use content::{ChunkUnderWay, Content};
use course::Course;
use loss::Trail;
use reply::{Assembler, Reply};
use sift::Sift;
use transaction::{Progress, Transaction};

/// What the client's next bytes are. (The server's are lines of replies in any case: no extension has other bytes in
/// them.)
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Mode {
    /// Command lines.
    Command,
    /// A message behind 354.
    Data,
    /// A chunk's bytes; the last `slack` of them may have been lost in a gap of unsure length.
    Chunk { remaining: u64, last: bool, slack: u64 },
    /// Bytes behind the XEXCH50 that has this `seq`.
    Xexch50 { remaining: u64, seq: Option<u64>, begun: bool },
    /// A response to a challenge.
    Response,
}

/// What the server has to decide before the client's bytes can be read on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Wait {
    No,
    /// What the first bytes are, as those before them are not in the capture.
    Beginning,
    /// Whether DATA is accepted.
    Data,
    /// Whether XEXCH50 is.
    Xexch50,
    /// Whether AUTH goes on.
    Auth,
    /// Whether TLS follows.
    StartTls,
    /// Whether a look-alike was the end of data.
    EndOfData,
}

/// What a pending reply is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Greeting,
    Hello,
    Mail,
    /// Index of the recipient in its transaction; none where it is beyond the bound.
    Rcpt(Option<usize>),
    Data,
    /// XEXCH50, with the size it announced.
    Xexch50(u64),
    EndOfData,
    Chunk {
        last: bool,
    },
    Auth,
    StartTls,
    Rset,
    /// The roles are exchanged if it is accepted.
    Turn,
    Quit,
    Other,
    /// Commands in a gap: none, one or many.
    Unseen,
}

impl Verb {
    /// What its reply will be about, as far as the verb alone says.
    fn awaits(self) -> Kind {
        match self {
            Verb::Helo | Verb::Ehlo | Verb::Lhlo => Kind::Hello,
            Verb::Mail => Kind::Mail,
            Verb::Rcpt => Kind::Rcpt(None),
            Verb::Data => Kind::Data,
            Verb::Rset => Kind::Rset,
            Verb::Quit => Kind::Quit,
            Verb::Auth => Kind::Auth,
            Verb::StartTls => Kind::StartTls,
            Verb::Turn => Kind::Turn,
            Verb::Xexch50 => Kind::Xexch50(0),
            // Of BDAT and BURL the arguments say.
            Verb::Bdat | Verb::Burl | Verb::Other | Verb::Unknown => Kind::Other,
        }
    }
}

impl Kind {
    /// Whether everyone awaits its reply before sending more (RFC 2920 §3.1, and what changes the protocol).
    fn is_awaited(self) -> bool {
        matches!(self, Kind::Hello | Kind::Data | Kind::Xexch50(_) | Kind::Auth | Kind::StartTls | Kind::Quit)
    }

    /// Whether its reply is a message's verdict.
    fn ends_message(self) -> bool {
        matches!(self, Kind::EndOfData | Kind::Chunk { last: true })
    }
}

/// A command (or end of data) that awaits its reply.
#[derive(Copy, Clone, Debug)]
struct Pending {
    seq: Option<u64>,
    kind: Kind,
    /// Frame of its last byte; none where a gap has it.
    sent: Option<FramePos>,
    /// The transaction it belongs to.
    transaction: u64,
    /// After a loss: whether the next reply may be the answer to this command.
    maybe: bool,
}

/// The dissector of one SMTP or LMTP session.
pub struct Smtp {
    protocol: Protocol,
    lines: [LineBuffer; 2],
    injected_lines: LineBuffer,
    mode: Mode,
    wait: Wait,
    hold: Hold,
    content: Option<Content>,
    /// In order of their MAIL commands. The last one takes further commands if `current`.
    transactions: VecDeque<Transaction>,
    current: bool,
    next_transaction: u64,
    numbered: u64,
    ordinals: u64,
    pending: VecDeque<Pending>,
    doubt: Doubt,
    chunk: ChunkUnderWay,
    sift: Sift,
    trail: Trail,
    assembler: Assembler,
    /// Replies that wait for a look-alike to be judged, and those that are to be looked at again.
    deferred: Vec<Reply>,
    replay: VecDeque<Reply>,
    /// The authentication under way.
    login: Option<Exchange>,
    told: HashSet<Code>,
    /// The server has become the client: what it says is not followed.
    turned: bool,
    /// The last greeting of the client was SMTP's.
    smtp_hello: bool,
    /// The name in the one before the last EHLO.
    helo_before: Option<Text>,
    course: Course,
    summary: Summary,
}

impl Default for Smtp {
    fn default() -> Self {
        Smtp::new()
    }
}

impl Smtp {
    /// A dissector at the beginning of a session. What is said makes it LMTP.
    pub fn new() -> Self {
        Smtp {
            protocol: Protocol::Smtp,
            lines: Default::default(),
            injected_lines: LineBuffer::default(),
            mode: Mode::Command,
            wait: Wait::No,
            hold: Hold::default(),
            content: None,
            transactions: VecDeque::new(),
            current: false,
            next_transaction: 1,
            numbered: 0,
            ordinals: 0,
            pending: VecDeque::from([Pending {
                seq: None,
                kind: Kind::Greeting,
                sent: None,
                transaction: 0,
                maybe: false,
            }]),
            doubt: Doubt::default(),
            chunk: ChunkUnderWay::default(),
            sift: Sift::default(),
            trail: Trail::default(),
            assembler: Assembler::default(),
            deferred: Vec::new(),
            replay: VecDeque::new(),
            login: None,
            told: HashSet::new(),
            turned: false,
            smtp_hello: false,
            helo_before: None,
            course: Course::default(),
            summary: Summary::default(),
        }
    }

    fn lmtp(&self) -> bool {
        self.protocol == Protocol::Lmtp
    }

    /// Says something once a session.
    fn tell_once(&mut self, span: Span, code: Code, detail: &'static str, cx: &mut Context<'_>) {
        if self.told.insert(code) {
            cx.out.diagnose(span, code, detail);
        }
    }

    /// The transaction that takes the client's commands.
    fn open_transaction(&mut self) -> Option<&mut Transaction> {
        if self.current { self.transactions.back_mut() } else { None }
    }

    fn transaction_mut(&mut self, id: u64) -> Option<&mut Transaction> {
        let at = self.place_of(id)?;
        self.transactions.get_mut(at)
    }

    fn transaction(&self, id: u64) -> Option<&Transaction> {
        self.transactions.get(self.place_of(id)?)
    }

    fn place_of(&self, transaction: u64) -> Option<usize> {
        self.transactions.binary_search_by_key(&transaction, |t| t.id).ok()
    }

    /// Begins a transaction.
    fn begin_transaction(&mut self, cx: &mut Context<'_>) -> &mut Transaction {
        // More than one waits for replies only under pipelining, and each has a command among the pending ones or is
        // the current one.
        while self.transactions.len() > cx.limits.pending_commands
            && let Some(id) = self.transactions.front().map(|t| t.id)
        {
            self.close_transaction(id, MessageOutcome::Unknown, Span::default(), cx);
        }
        let id = self.next_transaction;
        self.next_transaction += 1;
        self.current = true;
        self.transactions.push_back(Transaction { id, ..Transaction::default() });
        let last = self.transactions.len() - 1;
        &mut self.transactions[last]
    }

    /// Ends a transaction and tells of its message.
    fn close_transaction(&mut self, id: u64, otherwise: MessageOutcome, span: Span, cx: &mut Context<'_>) {
        let Some(at) = self.place_of(id) else { return };
        if at + 1 == self.transactions.len() {
            self.current = false;
        }
        let Some(mut transaction) = self.transactions.remove(at) else { return };
        if transaction.has_message() && transaction.number == 0 {
            self.numbered += 1;
            transaction.number = self.numbered;
        }
        let accepted = transaction.outcome == Some(MessageOutcome::Accepted) && !transaction.chunk_refused;
        self.summary.served |= accepted && transaction.has_message();
        transaction.close(self.protocol, otherwise, span, cx.out);
    }

    /// Ends the transactions up to `id` whose message did not end: RSET, a new EHLO.
    fn reset_transactions(&mut self, id: u64, span: Span, cx: &mut Context<'_>) {
        let open = |t: &Transaction| t.id <= id && !t.has_ended();
        while let Some((id, began)) = self.transactions.iter().find(|t| open(t)).map(|t| (t.id, t.has_message())) {
            // The message's end may be in a gap.
            let unsure = began && self.doubt.lossy;
            let outcome = if unsure { MessageOutcome::Unknown } else { MessageOutcome::Aborted };
            self.close_transaction(id, outcome, span, cx);
        }
    }

    /// The reply to `pending` will not be known.
    fn unanswered(&mut self, pending: Pending, span: Span, cx: &mut Context<'_>) {
        match pending.kind {
            Kind::EndOfData | Kind::Chunk { last: true } => {
                let lossy = self.doubt.lossy;
                let transaction = self.transaction_mut(pending.transaction);
                let refused = transaction.is_some_and(|t| {
                    t.verdicts_missing(lossy);
                    t.refusal.is_some()
                });
                let outcome = match self.course.closed() && !self.course.server_gap {
                    _ if refused => MessageOutcome::Rejected,
                    true => MessageOutcome::Aborted,
                    false => MessageOutcome::Unknown,
                };
                self.close_transaction(pending.transaction, outcome, span, cx);
            }
            // A later reply decides: to the response that followed, or to the next AUTH.
            Kind::Auth if self.pending.iter().any(|p| p.kind == Kind::Auth) => {}
            Kind::Auth => self.end_login(AuthOutcome::Unknown, span, cx),
            // Nobody refuses it.
            Kind::Rset => self.reset_transactions(pending.transaction, span, cx),
            _ => {}
        }
    }

    fn end_login(&mut self, outcome: AuthOutcome, span: Span, cx: &mut Context<'_>) {
        let Some(login) = self.login.take() else { return };
        let outcome = match outcome {
            AuthOutcome::Failure if login.cancelled() => AuthOutcome::Aborted,
            outcome => outcome,
        };
        self.course.login.over(login, outcome, span, cx);
        self.summary.served |= outcome == AuthOutcome::Success;
        if self.mode == Mode::Response {
            self.mode = Mode::Command;
        }
    }

    fn at_rest(&self) -> bool {
        // QUIT may be what is missing.
        self.pending.iter().all(|pending| pending.kind == Kind::Unseen)
            && self.mode == Mode::Command
            && matches!(self.wait, Wait::No | Wait::Beginning)
            && self.hold.is_empty()
            && self.lines[0].at_start()
            && self.login.is_none()
            && self.transactions.is_empty()
    }

    fn skip(&mut self, dir: Direction, bytes: usize) {
        let bytes = bytes as u64;
        self.summary.skipped_bytes += bytes;
        if let Some(passed_over) = self.trail.passed_over.get_mut(dir.index()) {
            *passed_over += bytes;
        }
    }
}

impl Dissector for Smtp {
    fn greets(&self, bytes: &[u8]) -> bool {
        detect::greets(bytes)
    }

    fn join(&mut self, hint: Option<Protocol>) {
        self.join_midway(hint);
    }

    fn input(&mut self, dir: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
        if chunk.bytes.is_empty() {
            return Advance { consumed: 0, next: Next::Continue };
        }
        if cx.injected {
            self.injected(chunk, cx);
            return Advance { consumed: chunk.bytes.len(), next: Next::Continue };
        }
        if self.turned {
            self.skip(dir, chunk.bytes.len());
            return Advance { consumed: chunk.bytes.len(), next: Next::Continue };
        }
        self.course.seen[dir.index()] = true;
        self.course.one_sided = cx.one_sided;
        match dir {
            Direction::Client => self.client_input(chunk, cx),
            Direction::Server => self.server_input(chunk, cx),
        }
    }

    fn gap(&mut self, dir: Direction, missing: Missing, cx: &mut Context<'_>) {
        match dir {
            _ if self.turned => {}
            Direction::Client => self.gap_of_client(missing, cx),
            Direction::Server => self.gap_of_server(missing, cx),
        }
    }

    fn end(&mut self, dir: Direction, _span: Span, _cx: &mut Context<'_>) {
        self.course.ended[dir.index()] = true;
    }

    fn finish(&mut self, span: Span, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.course.finished, true) {
            self.summary.at_rest = self.at_rest();
            self.wind_up(span, cx);
        }
    }

    fn take_held(&mut self, dir: Direction) -> Option<Held> {
        match dir {
            Direction::Client => {
                self.wait = Wait::No;
                self.hold.take()
            }
            Direction::Server => None,
        }
    }

    fn tls_started(&mut self) {
        self.lines = Default::default();
        self.assembler = Assembler::default();
        self.mode = Mode::Command;
        self.wait = Wait::No;
        self.hold = Hold::default();
        self.content = None;
        self.pending.retain(|p| matches!(p.kind, Kind::EndOfData | Kind::Chunk { last: true }));
        if self.doubt.lossy {
            self.pending.iter_mut().for_each(|p| p.maybe = true);
            self.doubt.beyond = true;
        }
        self.transactions.retain(Transaction::has_message);
        self.current = false;
        (self.trail.lost, self.trail.torn) = ([false; 2], [false; 2]);
        self.sift = Sift::default();
        self.trail.too_long = false;
    }

    fn at_line_start(&self, dir: Direction) -> bool {
        match dir {
            Direction::Client => {
                self.mode == Mode::Command
                    && matches!(self.wait, Wait::No | Wait::StartTls | Wait::Beginning)
                    && self.hold.is_empty()
                    && self.lines[0].at_start()
            }
            Direction::Server => self.lines[1].at_start() && self.assembler.at_start(),
        }
    }

    fn recognises(&self, dir: Direction, line: &[u8]) -> bool {
        match dir {
            Direction::Client => command::is_trustworthy(line),
            Direction::Server => reply::is_trustworthy(line),
        }
    }

    fn cost(&self) -> usize {
        let waiting =
            self.deferred.iter().chain(&self.replay).chain(self.doubt.unplaced.iter().map(|(_, reply)| reply));
        let replies = waiting.map(|reply| size_of::<Reply>() + reply.cost());
        size_of::<Self>()
            + self.lines.iter().map(LineBuffer::cost).sum::<usize>()
            + self.hold.cost()
            + self.sift.cost()
            + self.transactions.iter().map(Transaction::cost).sum::<usize>()
            + self.pending.capacity() * size_of::<Pending>()
            + self.assembler.cost()
            + replies.sum::<usize>()
            + self.login.as_ref().map_or(0, Exchange::cost)
            + self.summary.cost()
            + self.helo_before.as_ref().map_or(0, Text::heap)
            + self.course.login.user.as_ref().map_or(0, Text::heap)
    }

    fn summary(&self) -> Summary {
        let (outcome, user) = (self.course.outcome(), self.course.login.user.clone());
        Summary { protocol: Some(self.protocol), outcome, user, ..self.summary.clone() }
    }
}

/// Lines joined for a person's eye.
fn joined(lines: &[Text]) -> Text {
    Text(lines.iter().map(|l| l.0.as_slice()).collect::<Vec<_>>().join(&b'\n'))
}
