//! Mail transactions (RFC 5321 §3.3): the envelope, the message, and what became of them.

use crate::event::weight::optional;
use crate::event::{EventBody, Message, MessageOutcome, Protocol, Recipient, Text};
use crate::mail::Emitter;
use crate::mail::message::MessageBuilder;
use crate::position::Span;

use super::reply::{self, Reply};

/// One transaction, from MAIL to the reply that ends it.
#[derive(Default)]
pub(super) struct Transaction {
    /// Which one of the session's MAIL commands began it (0 where a message came without one).
    pub(super) id: u64,
    /// Number among those that the server accepted; 0 while that is not known.
    pub(super) number: u64,
    pub(super) mail_from: Option<Text>,
    pub(super) mail_params: Option<Text>,
    pub(super) recipients: Vec<Recipient>,
    /// Some RCPT lines lost their address in a gap: these recipients have an empty one, take their turn when verdicts
    /// are counted (LMTP), and are left out of the message.
    pub(super) torn: bool,
    /// So many of the first recipients may be those of a transaction before it.
    pub(super) forgotten: usize,
    /// Its MAIL was seen, be it in part.
    pub(super) begins_seen: bool,
    /// The capture begins behind its MAIL: it may have recipients before the first.
    pub(super) begins_unseen: bool,
    /// Bytes of the client that went missing after its MAIL, and how many recipients there were when the first did.
    pub(super) gap_bytes: u64,
    pub(super) whole_to: usize,
    /// How many recipients there were when they did, if they may have been commands that begin another transaction.
    pub(super) gap_at: Option<usize>,
    /// Replies went missing.
    pub(super) server_gap: bool,
    /// What went missing had a reply that RSET may have got.
    pub(super) reset_answered: bool,
    pub(super) message: Progress,
    /// A chunk's refusal, or a refusal amid the data.
    pub(super) refusal: Option<Reply>,
    /// The refusal was of a chunk that was not the last: nothing was delivered.
    pub(super) chunk_refused: bool,
    /// Verdicts by recipient (LMTP, PRDR), or the one of all.
    pub(super) verdicts: usize,
    /// Some of them went missing.
    pub(super) passed_over: bool,
    /// A 353 said that a verdict for each recipient follows, then the one of all (draft-hall-prdr, as in Exim).
    pub(super) prdr: bool,
    pub(super) outcome: Option<MessageOutcome>,
    pub(super) status: Option<Text>,
    pub(super) queue_id: Option<Text>,
    /// `seq` of its DATA command.
    pub(super) data_seq: Option<u64>,
    /// All verdicts came before the last chunk's last byte.
    pub(super) decided: bool,
}

/// How far the message is.
#[derive(Default)]
pub(super) enum Progress {
    /// There is none yet.
    #[default]
    None,
    /// Its bytes are coming.
    Open(Box<MessageBuilder>),
    /// Its bytes are over; the final reply is to come. `seq` is its place in the story.
    Ended { message: Box<Message>, span: Span, seq: u64 },
}

impl Transaction {
    /// Memory that it takes, roughly.
    pub(super) fn cost(&self) -> usize {
        let message = match &self.message {
            Progress::None => 0,
            Progress::Open(builder) => builder.cost(),
            Progress::Ended { message, .. } => size_of_val(&**message) + message.heap(),
        };
        let texts = [&self.mail_from, &self.mail_params, &self.status, &self.queue_id].into_iter().map(optional);
        size_of::<Self>()
            + self.recipients.iter().map(Recipient::weight).sum::<usize>()
            + message
            + self.refusal.as_ref().map_or(0, Reply::cost)
            + texts.sum::<usize>()
    }

    /// Whether it has a message, under way or ended.
    pub(super) fn has_message(&self) -> bool {
        !matches!(self.message, Progress::None)
    }

    /// Whether its message's bytes are over.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.message, Progress::Ended { .. })
    }

    fn told_recipients(&self) -> impl Iterator<Item = &Recipient> {
        self.recipients.iter().skip(self.forgotten)
    }

    /// Another transaction may have begun where commands went missing: whose envelope it was is not known.
    pub(super) fn forget_envelope(&mut self) {
        if !self.has_message()
            && let Some(recipients) = self.gap_at
        {
            (self.mail_from, self.mail_params, self.begins_seen) = (None, None, false);
            self.forgotten = recipients;
        }
    }

    /// Whether it is known which recipients the server took.
    pub(super) fn recipients_known(&self) -> bool {
        self.told_recipients().all(|r| r.accepted.is_some())
    }

    /// Recipients that RCPT's reply did not refuse.
    fn taken(&self) -> impl Iterator<Item = &Recipient> {
        self.told_recipients().filter(|r| r.accepted != Some(false))
    }

    /// Whether the next verdict's recipient came before any byte that is missing.
    fn precedes_gap(&self) -> bool {
        let before = self.recipients.iter().take(self.whole_to).skip(self.forgotten);
        self.begins_seen && self.verdicts < before.filter(|recipient| recipient.accepted != Some(false)).count()
    }

    /// Which of the recipients that were taken and await a verdict this one names, as Dovecot's do: it begins with the
    /// address.
    pub(super) fn names(&self, reply: &Reply) -> Option<usize> {
        let named = named(reply)?;
        let is_named = |recipient: &Recipient| {
            let address = recipient.address.0.as_slice();
            let said = named.split_at_checked(address.len());
            !address.is_empty()
                && said.is_some_and(|(it, rest)| it.eq_ignore_ascii_case(address) && rest.starts_with(b">"))
        };
        self.taken().skip(self.verdicts).position(is_named).map(|at| self.verdicts + at)
    }

    /// How many final replies a message gets: one, or one a recipient that was taken (RFC 2033 §4.2), or both.
    pub(super) fn replies_expected(&self, lmtp: bool) -> usize {
        match (lmtp, self.prdr) {
            (true, _) => self.taken().count().max(1),
            (false, true) => self.taken().count() + 1,
            (false, false) => 1,
        }
    }

    /// Whether that may be more than one.
    pub(super) fn expects_several(&self, lmtp: bool) -> bool {
        self.prdr || lmtp && self.taken().nth(1).is_some()
    }

    /// A final reply. Gives whether it was the last one.
    pub(super) fn verdict(&mut self, reply: &Reply, lmtp: bool) -> bool {
        const SHORTEST_RCPT: u64 = "RCPT TO:<>\r\n".len() as u64;
        if reply.code == Some(353) && self.verdicts == 0 {
            self.prdr = true;
            return false;
        }
        let expected = self.replies_expected(lmtp);
        let each = lmtp || self.prdr;
        let ours = self.names(reply).filter(|_| lmtp);
        // A recipient may be missing with MAIL, before those that are not.
        let lacks_first = !self.begins_seen && self.taken().next().is_some();
        let others = self.begins_unseen || lacks_first || self.gap_bytes >= SHORTEST_RCPT;
        if lmtp && ours.is_none() && others && named(reply).is_some() {
            // Of a recipient whose RCPT is missing.
            if reply.ok() && self.outcome.replace(MessageOutcome::Accepted) != Some(MessageOutcome::Accepted) {
                self.status = Some(reply.status());
            }
            return false;
        }
        if let Some(named) = ours {
            // Those before it got theirs in a gap, or were not taken.
            let skipped = taken(&mut self.recipients, self.forgotten).skip(self.verdicts).take(named - self.verdicts);
            skipped.for_each(|recipient| (recipient.code, recipient.text) = (None, Text::default()));
            self.passed_over |= named > self.verdicts;
            self.verdicts = named;
        }
        // Its place tells nothing where recipients may be missing before it.
        let anybodys = lmtp && ours.is_none() && others && !self.precedes_gap();
        // Theirs may be to come, or lost.
        self.passed_over |= lmtp && (others || !self.begins_seen);
        // RCPT's refusals do not count; their order is that of the recipients.
        if each && let Some(recipient) = taken(&mut self.recipients, self.forgotten).nth(self.verdicts) {
            let said = if anybodys { (None, Text::default()) } else { (reply.code, reply.said()) };
            (recipient.code, recipient.text) = said;
            // `accepted` is set when all verdicts are in, so that the count above stays right.
        }
        self.verdicts += 1;
        let accepted = reply.ok();
        if self.outcome != Some(MessageOutcome::Accepted) || accepted {
            self.outcome = Some(if accepted { MessageOutcome::Accepted } else { MessageOutcome::Rejected });
            self.status = Some(reply.status());
        }
        if accepted && self.queue_id.is_none() {
            self.queue_id = reply.queue_id();
        }
        let done = self.verdicts >= expected;
        if done && self.passed_over {
            self.verdicts_missing(true);
        }
        if done && self.prdr {
            // The last one is of all.
            self.outcome = Some(if accepted { MessageOutcome::Accepted } else { MessageOutcome::Rejected });
            self.status = Some(reply.status());
            self.queue_id = reply.queue_id();
        }
        if done && each {
            for recipient in taken(&mut self.recipients, self.forgotten) {
                recipient.accepted = recipient.code.map(|c| c / 100 == 2);
            }
        }
        done
    }

    /// Not all of its verdicts came. Those that are lost may have been better than the others.
    pub(super) fn verdicts_missing(&mut self, lost: bool) {
        if lost && (self.prdr || self.outcome == Some(MessageOutcome::Rejected)) {
            (self.outcome, self.status, self.queue_id) = (None, None, None);
        }
    }

    /// No more bytes of the message. `ended`: by end of data or the last chunk. `at` stands for the span of an empty
    /// message.
    pub(super) fn end_message(&mut self, ended: bool, at: Span, out: &mut Emitter) {
        self.message = match std::mem::take(&mut self.message) {
            Progress::Open(builder) => {
                let (message, span) = builder.finish(ended);
                Progress::Ended { message: Box::new(message), span: span.unwrap_or(at), seq: out.reserve() }
            }
            other => other,
        };
    }

    /// Emits the message, if there is one, with what is known. `otherwise` is its outcome where no reply told.
    pub(super) fn close(mut self, protocol: Protocol, otherwise: MessageOutcome, at: Span, out: &mut Emitter) {
        let lmtp = protocol == Protocol::Lmtp;
        let some_missing = self.verdicts > 0 && self.verdicts < self.replies_expected(lmtp);
        self.end_message(false, at, out);
        let Progress::Ended { mut message, span, seq } = self.message else { return };
        // Its verdicts may have shown it.
        message.protocol = protocol;
        if self.chunk_refused {
            message.outcome = MessageOutcome::Aborted;
        } else {
            message.outcome = self.outcome.unwrap_or(otherwise);
        }
        if message.outcome != MessageOutcome::Accepted
            && let Some(refusal) = &self.refusal
        {
            message.status = Some(refusal.status());
        } else {
            message.status = self.status;
        }
        message.queue_id = self.queue_id;
        message.transaction = self.number;
        message.mail_from = self.mail_from;
        message.mail_params = self.mail_params;
        self.recipients.drain(..self.forgotten.min(self.recipients.len()));
        if (lmtp || self.prdr) && some_missing {
            // A verdict is its recipient's alone (RFC 2033 §4.2).
            for (at, recipient) in taken(&mut self.recipients, 0).enumerate() {
                recipient.accepted = recipient.code.filter(|_| at < self.verdicts).map(|code| code / 100 == 2);
            }
        } else if lmtp && self.outcome.is_none() && message.outcome == MessageOutcome::Unknown {
            // Whoever was taken before the message awaits its verdict.
            taken(&mut self.recipients, 0).for_each(|recipient| recipient.accepted = None);
        }
        if self.torn {
            self.recipients.retain(|recipient| !recipient.address.is_empty());
        }
        message.rcpt_to = self.recipients;
        out.push_at(seq, span, EventBody::Message(message));
    }
}

/// What a verdict names first, and what follows: Dovecot's name their recipient so.
fn named(reply: &Reply) -> Option<&[u8]> {
    let text = reply.text.0.as_slice();
    let text = reply::enhanced(text).and_then(|code| text.get(code.len()..)).unwrap_or(text).trim_ascii();
    text.strip_prefix(b"<")
}

/// As [`Transaction::taken`], to be changed.
fn taken(recipients: &mut [Recipient], forgotten: usize) -> impl Iterator<Item = &mut Recipient> {
    recipients.iter_mut().skip(forgotten).filter(|r| r.accepted != Some(false))
}
