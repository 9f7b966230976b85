//! What both directions of a session know together.

use super::join::Joins;
use super::pending::{Appended, Effect, Pending, Table};
use crate::diagnostic::Code;
use crate::event::weight::optional;
use crate::event::{EventBody, Message, MessageDirection, MessageOutcome, MessagePart, Protocol, Text};
use crate::fmt::count;
use crate::mail::line::{Line, LineEnd};
use crate::mail::sasl::Standing;
use crate::mail::{Context, Emitter};
use crate::position::{Direction, Span};

/// Waiting commands looked at for what a response belongs to: clients keep a handful under way.
const LOOK: usize = 64;

/// The selected mailbox.
#[derive(Clone, Debug, Default)]
pub(super) struct Mailbox {
    /// Its name, when the SELECT was seen.
    pub(super) name: Option<Text>,
    /// UIDVALIDITY.
    pub(super) uidvalidity: Option<u32>,
}

/// What the client's and the server's side both need to know.
#[derive(Default)]
pub(super) struct Shared {
    /// Commands that wait for their reply.
    pub(super) table: Table,
    /// What is selected.
    pub(super) mailbox: Mailbox,
    /// Ranges being put together.
    pub(super) joins: Joins,
    /// Directions of which anything was seen.
    pub(super) saw: [bool; 2],
    /// The beginning of the dialogue is not in the capture.
    pub(super) joined: bool,
    /// Only one side is in the capture.
    pub(super) one_sided: bool,
    /// Directions that are over.
    pub(super) ended: [bool; 2],
    bare_lf_told: [bool; 2],
    /// The server has spoken a line.
    pub(super) spoken: bool,
    /// The beginning was not seen, or something is missing: a lone word may be a response to an unseen challenge.
    pub(super) uncertain: bool,
    /// Commands were dropped for their number, and that was told.
    pub(super) crowded: bool,
    /// DEFLATE is on.
    pub(super) deflate: bool,
    /// Messages begun.
    ordinals: u64,
    /// Commands that carried messages.
    transactions: u64,
    /// Transaction of fetched messages whose command was not seen.
    orphan: Option<u64>,
    /// Full messages.
    pub(super) full: u64,
    /// Commands told.
    pub(super) commands: u64,
    /// The greeting.
    pub(super) banner: Option<Text>,
    /// The last NO or BAD.
    pub(super) last_error: Option<Text>,
    /// Slowest reply, nanoseconds.
    pub(super) slowest: Option<i64>,
    /// Bytes passed over.
    pub(super) skipped: u64,
    /// How many of them a diagnostic has told.
    pub(super) skipped_told: u64,
    /// The greeting was BYE.
    pub(super) refused: bool,
    pub(super) login: Standing,
    /// LOGOUT was sent, or answered.
    pub(super) logout: bool,
    /// At the end nothing was under way.
    pub(super) at_rest: bool,
    /// The server's BYE: behind no LOGOUT, it closed of its own accord.
    pub(super) bye: Option<Text>,
}

impl Shared {
    /// Memory beside its own fields, roughly.
    pub(super) fn cost(&self) -> usize {
        let texts =
            [&self.mailbox.name, &self.banner, &self.login.user, &self.last_error, &self.bye].into_iter().map(optional);
        self.table.cost() + self.joins.cost() + texts.sum::<usize>()
    }

    /// A new message with what is known of any.
    pub(super) fn message(&mut self, direction: MessageDirection, part: MessagePart, cx: &Context<'_>) -> Message {
        self.ordinals += 1;
        let mut message = Message::new(Protocol::Imap, direction, part);
        message.ordinal = self.ordinals;
        message.tls = cx.tls;
        message.assumed = cx.one_sided;
        message
    }

    /// A message comes: it may be another mailbox's where the reply to a SELECT may be missing.
    pub(super) fn mailbox_in_doubt(&mut self) {
        let selects = |(_, p): (u64, &Pending)| p.doubtful && matches!(p.effect, Effect::Select(..));
        if self.table.iter().take(LOOK).any(selects) {
            self.joins.clear();
            self.mailbox = Mailbox::default();
        }
    }

    /// Names the selected mailbox.
    pub(super) fn selected(&self, message: &mut Message) {
        message.mailbox.clone_from(&self.mailbox.name);
        message.uidvalidity = self.mailbox.uidvalidity;
    }

    /// Counts it, if it is one that counts.
    pub(super) fn count(&mut self, message: &Message) {
        self.full += u64::from(message.part == MessagePart::Full);
    }

    /// The next transaction.
    pub(super) fn begin_transaction(&mut self) -> u64 {
        self.transactions += 1;
        self.transactions
    }

    /// The transaction that a FETCH response belongs to.
    pub(super) fn fetch_transaction(&mut self) -> u64 {
        let next = self.transactions + 1;
        let fetch = self.table.iter_mut().take(LOOK).find(|(_, p)| matches!(p.effect, Effect::Fetch(..)));
        let slot = match fetch {
            Some((_, pending)) => &mut pending.transaction,
            None => &mut self.orphan,
        };
        let number = *slot.get_or_insert(next);
        self.transactions = self.transactions.max(number);
        number
    }

    /// The command is over: fetched messages without one begin another transaction.
    pub(super) fn end_transaction(&mut self) {
        self.orphan = None;
    }

    /// The first byte of what is fetched, where PARTIAL asks for it.
    pub(super) fn partial(&self) -> Option<u64> {
        let mut effects = self.table.iter().take(LOOK).map(|(_, p)| &p.effect);
        match effects.find(|effect| matches!(effect, Effect::Fetch(..) | Effect::Partial(_)))? {
            Effect::Partial(range) => Some(range.origin),
            _ => None,
        }
    }

    /// How many bytes of that message the client asked for of the range that begins there.
    pub(super) fn requested(&self, origin: u64, number: u32, uid: Option<u32>) -> Option<u64> {
        let fetches = self.table.iter().take(LOOK).filter_map(|(_, p)| match &p.effect {
            Effect::Partial(range) => Some(std::slice::from_ref(range)),
            Effect::Fetch(only, ranges) if only.is_none_or(|only| only.may_be(number, uid)) => Some(ranges.as_slice()),
            _ => None,
        });
        // Which command a response is for is not known: only what is shorter than each shows the end.
        fetches.flatten().filter(|r| r.origin == origin).map(|r| r.len).min()
    }

    /// The command that untagged data answers: the only one under way, unless that one waits for news, or another may be
    /// missing: behind it, and it may be over, or before it.
    pub(super) fn solicitor(&self) -> Option<u64> {
        if self.table.len() != 1 {
            return None;
        }
        self.table
            .iter()
            .next()
            .filter(|(_, p)| !p.tag.is_empty() && !matches!(p.effect, Effect::Idle))
            .filter(|(seq, p)| (!p.doubtful || !p.gap_behind) && !self.table.may_follow_unseen(*seq))
            .map(|(seq, _)| seq)
    }

    /// Nanoseconds from the last byte of the command to a reply that began with `span`; none if time ran backwards.
    pub(super) fn latency(&self, pending: &Pending, span: Span) -> Option<i64> {
        span.first.ts.latency_since(pending.last.ts)
    }

    /// Remembers the slowest.
    pub(super) fn timed(&mut self, latency: Option<i64>) {
        self.slowest = self.slowest.max(latency);
    }

    /// Only the client was captured: success is assumed.
    pub(super) fn client_only(&self) -> bool {
        self.one_sided && self.saw[Direction::Client.index()]
    }

    /// Only the server was captured.
    pub(super) fn server_only(&self) -> bool {
        self.one_sided && !self.saw[Direction::Client.index()]
    }

    /// What became of a command whose reply will not come.
    pub(super) fn without_reply(&self) -> MessageOutcome {
        if self.client_only() {
            MessageOutcome::Accepted
        } else if self.ended.contains(&true) {
            MessageOutcome::Aborted
        } else {
            MessageOutcome::Unknown
        }
    }

    /// A line ended in LF alone; said once of each side.
    pub(super) fn tell_bare_lf(&mut self, dir: Direction, line: &Line<'_>, cx: &mut Context<'_>) {
        if line.end == LineEnd::Lf && !std::mem::replace(&mut self.bare_lf_told[dir.index()], true) {
            cx.out.diagnose(line.span, Code::BareLf, format!("a line of the {} ends in LF alone", dir.as_str()));
        }
    }

    /// A line to trust was found, `skipped` bytes later.
    pub(super) fn resynchronised(&mut self, who: &str, skipped: u64, span: Span, out: &mut Emitter) {
        if skipped > 0 {
            self.skipped = self.skipped.saturating_add(skipped);
            self.skipped_told = self.skipped_told.saturating_add(skipped);
            out.diagnose(span, Code::Resynchronised, format!("{} from the {who} skipped", count(skipped, "byte")));
        }
    }

    /// Tells given messages, now that their fate is known.
    pub(super) fn settle(
        &mut self,
        messages: Vec<Appended>,
        outcome: MessageOutcome,
        status: Option<&Text>,
        uids: Option<&(u32, Vec<u32>)>,
        out: &mut Emitter,
    ) {
        for Appended { seq, span, index, mut message } in messages {
            message.outcome = outcome;
            message.status = status.cloned();
            if let Some((validity, uids)) = uids {
                message.uidvalidity = Some(*validity);
                message.uid = uids.get(index).copied();
            }
            self.count(&message);
            out.push_at(seq, span, EventBody::Message(Box::new(message)));
        }
    }
}
