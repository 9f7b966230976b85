//! Which command a reply answers.
//!
//! Without losses it is the oldest that waits. After one, every command that it may be stays in view: each reply
//! narrows them down, each gap widens them. A reply is taken for a command's only where no other is left; those before
//! it that could have been several commands' are placed then, going back from there. What stays open is told without a
//! command.

use super::reply::{Reply, is_of_auth};
use super::*;

/// Pending commands that are compared with a reply that is made for one; nobody has more under way.
const LOOKED_AT: usize = 16;

/// Bound on work after losses: how often pending commands are compared with replies, in all a session, beyond
/// [`LOOKS_A_REPLY`] for each reply. Only thousands of commands without an answer reach it.
const LOOKS: usize = 300_000;
const LOOKS_A_REPLY: usize = 64;

/// What losses have left open.
#[derive(Default)]
pub(super) struct Doubt {
    /// Bytes of the dialogue are missing, be it before the capture. From then on `Pending::maybe` counts.
    pub(super) lossy: bool,
    /// The next reply may be for a command that is not yet sent: all before it may have been answered.
    pub(super) beyond: bool,
    /// The last replies, none missing between them, whose commands are not known; `seq` is their place in the story.
    pub(super) unplaced: VecDeque<(u64, Reply)>,
    /// Looks that were more than each reply's.
    looks: usize,
    pub(super) rhythm: Rhythm,
}

/// How the client goes about it, by what was seen of it.
#[derive(Default)]
pub(super) struct Rhythm {
    /// It has sent a command behind one that had no reply yet.
    pipelines: bool,
    /// It has awaited RCPT's reply before it went on.
    waits: bool,
    /// It has not awaited a reply that everyone has to await.
    pub(super) early: bool,
    last: Option<Kind>,
    last_frame: u64,
    replies: u32,
    gap: bool,
}

impl Rhythm {
    fn command(&mut self, pending: &Pending) {
        let frame = pending.sent.map_or(0, |sent| sent.index);
        if pending.kind == Kind::EndOfData {
            self.last = None;
        } else {
            let same_frame = frame != 0 && frame == self.last_frame;
            if self.last.is_some() && (same_frame || self.replies == 0 && !self.gap) {
                self.pipelines = true;
            }
            self.early |= same_frame && self.last.is_some_and(Kind::is_awaited);
            self.waits |= matches!(self.last, Some(Kind::Rcpt(_))) && self.replies == 1 && !self.gap;
            self.last = Some(pending.kind);
        }
        self.last_frame = frame;
        (self.replies, self.gap) = (0, false);
    }

    pub(super) fn reply(&mut self) {
        self.replies += 1;
    }

    /// Whether it sends nothing before all replies have come.
    fn one_at_a_time(&self) -> bool {
        self.waits && !self.pipelines
    }
}

/// How a reply fits a pending command.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Fit {
    No,
    /// As its only reply.
    Whole,
    /// As one of several, which one is not known.
    Part,
}

/// What a reply may answer.
pub(super) enum Sight {
    /// The pending command of that index.
    One(usize),
    /// One of several.
    Several,
    /// One that is in a gap, or none.
    Unseen,
}

impl Smtp {
    /// The first loss.
    fn begin_doubt(&mut self) {
        if !std::mem::replace(&mut self.doubt.lossy, true) {
            self.doubt.beyond = self.pending.is_empty();
            for (index, pending) in self.pending.iter_mut().enumerate() {
                pending.maybe = index == 0;
            }
        }
    }

    /// Replies are missing: any command may have been answered.
    pub(super) fn replies_lost(&mut self, cx: &mut Context<'_>) {
        self.begin_doubt();
        self.doubt.rhythm.gap = true;
        self.give_up_unplaced(cx);
        self.all_possible();
    }

    fn all_possible(&mut self) {
        self.doubt.beyond = true;
        let from = self.pending.iter().position(|p| p.maybe).unwrap_or(0);
        self.pending.range_mut(from..).for_each(|p| p.maybe = true);
    }

    /// Commands may be missing.
    pub(super) fn commands_lost(&mut self, span: Span, cx: &mut Context<'_>) {
        if cx.one_sided {
            return;
        }
        self.begin_doubt();
        self.doubt.rhythm.gap = true;
        if self.pending.back().is_none_or(|p| p.kind != Kind::Unseen) {
            self.make_room(span, cx);
            let maybe = self.doubt.beyond;
            self.pending.push_back(Pending { seq: None, kind: Kind::Unseen, sent: None, transaction: 0, maybe });
        }
    }

    fn make_room(&mut self, span: Span, cx: &mut Context<'_>) {
        if self.pending.len() < cx.limits.pending_commands {
            return;
        }
        if !cx.one_sided {
            self.tell_once(span, Code::EntryLimit, "more commands without a reply than are kept", cx);
        }
        if let Some(oldest) = self.pending.pop_front() {
            if oldest.maybe && !self.doubt.beyond && !self.pending.iter().any(|p| p.maybe) {
                self.all_possible();
            }
            self.unanswered(oldest, span, cx);
        }
    }

    /// The client goes on behind a message that was refused amid its data: it has taken that for the verdict.
    fn refusal_was_heard(&mut self, next: &Pending, span: Span, cx: &mut Context<'_>) {
        let Some(&end) = self.pending.front().filter(|end| end.kind == Kind::EndOfData) else { return };
        let later = next.sent.zip(end.sent).is_some_and(|(next, end)| next.index > end.index);
        if self.pending.len() == 1
            && later
            && !self.doubt.lossy
            && self.transaction(end.transaction).is_some_and(|transaction| transaction.refusal.is_some())
        {
            self.pending.pop_front();
            self.unanswered(end, span, cx);
        }
    }

    /// A message was refused amid its data, and the client sent the next command with its end: what accepts is that
    /// one's reply.
    fn refusal_was_the_verdict(&self, reply: &Reply) -> bool {
        let Some((end, next)) = self.pending.front().zip(self.pending.get(1)) else { return false };
        end.kind == Kind::EndOfData
            && reply.ok()
            && reply.queue_id().is_none()
            && likelihood(next.kind, reply) > 0
            && self.transaction(end.transaction).is_some_and(|transaction| transaction.refusal.is_some())
    }

    /// A command awaits its reply from now on.
    pub(super) fn expect(&mut self, mut pending: Pending, span: Span, cx: &mut Context<'_>) {
        self.refusal_was_heard(&pending, span, cx);
        self.make_room(span, cx);
        self.doubt.rhythm.command(&pending);
        if !self.doubt.lossy {
            self.doubt.rhythm.early |= self.pending.back().is_some_and(|p| p.kind.is_awaited());
            return self.pending.push_back(pending);
        }
        if self.shows_answers()
            && self.trail.lost[Direction::Server.index()]
            && let Some(cut) = self.assembler.take()
        {
            // The gap has the end of that reply.
            self.answer(cut, cx);
        }
        let awaited = self.shows_answers();
        pending.maybe = std::mem::take(&mut self.doubt.beyond);
        self.pending.push_back(pending);
        if awaited {
            self.settle_before(self.pending.len() - 1, span, cx);
        }
    }

    /// Whether a command shows that all before it have been answered.
    fn shows_answers(&self) -> bool {
        self.doubt.beyond && (self.doubt.rhythm.one_at_a_time() || self.last_is_awaited())
    }

    /// Whether nobody sends anything behind the last command before its reply.
    fn last_is_awaited(&self) -> bool {
        !self.doubt.rhythm.early && self.pending.back().is_some_and(|p| p.kind.is_awaited())
    }

    /// The client has gone on where it awaits all replies: they are in the gap.
    pub(super) fn all_answered(&mut self, span: Span, cx: &mut Context<'_>) {
        self.give_up_unplaced(cx);
        for pending in std::mem::take(&mut self.pending) {
            self.unanswered(pending, span, cx);
        }
        self.doubt.beyond = self.doubt.lossy;
    }

    /// Without losses: the oldest command, or none.
    pub(super) fn oldest(&self, reply: &Reply) -> Option<usize> {
        // What is no reply answers nothing.
        reply.code?;
        if self.refusal_was_the_verdict(reply) {
            return Some(1);
        }
        if !reply.code.is_some_and(|code| matches!(code, 354 | 221) || is_of_auth(code)) {
            return (!self.pending.is_empty()).then_some(0);
        }
        // Nothing but DATA, AUTH or QUIT is answered so: a reply that never came has shifted the others.
        let made_for = self.pending.iter().take(LOOKED_AT).position(|p| likelihood(p.kind, reply) == 2);
        match self.pending.front() {
            Some(oldest) if made_for.is_none() && !reply.negative() && oldest.kind.ends_message() => None,
            Some(_) => made_for.or(Some(0)),
            None => None,
        }
    }

    /// After a loss: the command that a reply answers, or that it may answer.
    pub(super) fn look_for_command(&mut self, reply: &Reply, cx: &mut Context<'_>) -> Sight {
        let possible = self.pending.iter().filter(|p| p.maybe).count();
        let sole = !self.doubt.beyond && possible == 1;
        if reply.code.is_none() || reply.code == Some(421) && !sole {
            return Sight::Unseen;
        }
        // To pass over a command takes little.
        let looks = possible + self.pending.len() / 8;
        self.doubt.looks = (self.doubt.looks + looks).saturating_sub(LOOKS_A_REPLY);
        if self.doubt.looks > LOOKS {
            self.doubt.looks = 0;
            self.all_answered(reply.span, cx);
            return Sight::Unseen;
        }
        let mut fits = self.fits(sole, reply);
        if fits.is_empty() {
            // Something is missing that was not told: only a reply that is made for a command shows the way.
            self.give_up_unplaced(cx);
            self.all_possible();
            fits = self.fits(false, reply);
            let look = Look::at(reply);
            fits.retain(|&(index, _)| self.pending.get(index).is_some_and(|p| look.likelihood(p.kind) > 1));
        }
        if let [(index, Fit::Whole)] = fits[..] {
            return Sight::One(index);
        }
        if fits.is_empty() {
            return Sight::Unseen;
        }
        let unseen = fits.iter().all(|&(index, _)| self.pending.get(index).is_some_and(|p| p.kind == Kind::Unseen));
        self.pending.iter_mut().for_each(|p| p.maybe = false);
        self.doubt.beyond = false;
        for (index, fit) in fits {
            if fit == Fit::Part
                && let Some(pending) = self.pending.get_mut(index)
            {
                pending.maybe = true;
            }
            self.may_be_next(index + 1);
        }
        if unseen { Sight::Unseen } else { Sight::Several }
    }

    /// The commands that a reply may answer.
    fn fits(&self, sole: bool, reply: &Reply) -> Vec<(usize, Fit)> {
        // What is told of it late is not for what was sent since.
        let since = |p: &Pending| reply.incomplete && p.sent.is_some_and(|sent| sent.index > reply.span.last.index);
        let candidates = self.pending.iter().enumerate().filter(|(_, p)| p.maybe && !since(p));
        let look = Look::at(reply);
        candidates.map(|(index, _)| (index, self.fit(index, sole, &look))).filter(|(_, fit)| *fit != Fit::No).collect()
    }

    /// The next reply may answer the pending command of that index; a gap before it may hold none.
    fn may_be_next(&mut self, mut index: usize) {
        while let Some(pending) = self.pending.get_mut(index) {
            pending.maybe = true;
            if pending.kind != Kind::Unseen {
                return;
            }
            index += 1;
        }
        self.doubt.beyond = true;
    }

    fn fit(&self, index: usize, sole: bool, look: &Look<'_>) -> Fit {
        let Some(pending) = self.pending.get(index) else { return Fit::No };
        if pending.kind == Kind::Unseen {
            // What everyone awaits has been answered when more comes behind it.
            let reply = look.reply;
            let hello = reply.ok() && reply.lines.len() > 2;
            let awaited = hello || reply.code.is_some_and(|code| matches!(code, 220 | 221 | 354) || is_of_auth(code));
            return if awaited && index + 1 < self.pending.len() { Fit::No } else { Fit::Part };
        }
        match look.likelihood(pending.kind) {
            0 => Fit::No,
            _ if self.has_several_verdicts(pending, sole) && !self.names_recipient(pending, look.reply) => Fit::Part,
            _ => Fit::Whole,
        }
    }

    /// Whether it is not known which of a message's verdicts comes next. `sole`: none of them is missing.
    fn has_several_verdicts(&self, pending: &Pending, sole: bool) -> bool {
        if !pending.kind.ends_message() {
            return false;
        }
        self.transaction(pending.transaction).is_some_and(|transaction| {
            transaction.expects_several(self.lmtp()) && !(sole && transaction.recipients_known())
        })
    }

    /// Whether it is known all the same, as it names its recipient.
    fn names_recipient(&self, pending: &Pending, reply: &Reply) -> bool {
        let transaction = self.transaction(pending.transaction);
        self.lmtp() && transaction.is_some_and(|transaction| transaction.names(reply).is_some())
    }

    /// A reply that several commands may have got.
    pub(super) fn keep_unplaced(&mut self, reply: Reply, cx: &mut Context<'_>) {
        if self.doubt.unplaced.len() >= cx.limits.pending_commands {
            self.give_up_unplaced(cx);
        }
        self.doubt.unplaced.push_back((cx.out.reserve(), reply));
    }

    /// Which commands these replies are for will not be known.
    pub(super) fn give_up_unplaced(&mut self, cx: &mut Context<'_>) {
        for (seq, reply) in std::mem::take(&mut self.doubt.unplaced) {
            self.course.quit |= reply.code == Some(221) && self.trail.joined;
            self.envelope_may_be_replaced(&reply);
            self.tell_reply(Some(seq), &reply, None, None, cx);
        }
    }

    /// The next reply is for the pending command of that index: what is before it has been answered, by the unplaced
    /// replies as far back as each has one command of its own.
    pub(super) fn settle_before(&mut self, index: usize, span: Span, cx: &mut Context<'_>) {
        let mut first = index;
        let mut placed = Vec::new();
        while let Some(pending) = first.checked_sub(1).and_then(|before| self.pending.get(before))
            && pending.kind != Kind::Unseen
            && !matches!(pending.kind, Kind::Data | Kind::Xexch50(_) | Kind::Auth | Kind::StartTls)
            && !self.has_several_verdicts(pending, false)
            && let Some(unplaced) = self.doubt.unplaced.pop_back()
        {
            first -= 1;
            placed.push(unplaced);
        }
        self.give_up_unplaced(cx);
        for _ in 0..first {
            if let Some(pending) = self.pending.pop_front() {
                self.unanswered(pending, span, cx);
            }
        }
        while let Some((seq, reply)) = placed.pop() {
            if let Some(pending) = self.answered(&reply) {
                let latency = self.latency(&pending, &reply);
                self.tell_reply(Some(seq), &reply, pending.seq, latency, cx);
                self.apply(pending, reply, cx);
            }
        }
        if self.doubt.lossy {
            self.doubt.beyond = false;
            self.pending.iter_mut().for_each(|p| p.maybe = false);
            self.may_be_next(0);
        }
    }

    /// The oldest command has got its reply. It awaits no other, unless its message has more verdicts to come.
    pub(super) fn answered(&mut self, reply: &Reply) -> Option<Pending> {
        let pending = *self.pending.front()?;
        let lmtp = self.lmtp();
        let last = !pending.kind.ends_message()
            || self.transaction_mut(pending.transaction).is_none_or(|t| t.verdict(reply, lmtp))
            || reply.code == Some(421);
        if last {
            self.pending.pop_front();
            if self.doubt.lossy {
                self.may_be_next(0);
            }
        }
        Some(pending)
    }
}

/// How well a reply fits a command: 0 not at all, 1 possibly, 2 it is made for it.
pub(super) fn likelihood(kind: Kind, reply: &Reply) -> u8 {
    Look::at(reply).likelihood(kind)
}

/// What matters of a reply, found out once.
struct Look<'a> {
    reply: &'a Reply,
    enhanced: Option<Text>,
    queue_id: bool,
}

impl<'a> Look<'a> {
    fn at(reply: &'a Reply) -> Self {
        let done = matches!(reply.code, Some(250 | 251));
        let enhanced = if done { reply.enhanced() } else { None };
        Look { reply, enhanced, queue_id: done && reply.queue_id().is_some() }
    }

    fn likelihood(&self, kind: Kind) -> u8 {
        let reply = self.reply;
        let Some(code) = reply.code else { return 0 };
        let only = |kinds: bool| if kinds { 2 } else { 0 };
        match code {
            354 => return only(matches!(kind, Kind::Data | Kind::Xexch50(_))),
            code if is_of_auth(code) => return only(kind == Kind::Auth),
            221 => return only(kind == Kind::Quit),
            220 => return if kind == Kind::Other { 1 } else { only(matches!(kind, Kind::StartTls | Kind::Greeting)) },
            214 | 252 => return only(kind == Kind::Other),
            400..=599 => return u8::from(kind != Kind::Unseen),
            250 | 251 => {}
            _ => return u8::from(kind != Kind::Greeting),
        }
        let enhanced = self.enhanced.as_ref().map_or(&b""[..], |e| &e.0);
        match kind {
            Kind::Greeting | Kind::Data | Kind::Xexch50(_) => 0,
            Kind::Auth | Kind::StartTls | Kind::Quit | Kind::Unseen => 0,
            Kind::Hello => 1 + u8::from(reply.lines.len() > 1),
            _ if reply.lines.len() > 2 => 0,
            Kind::Mail => match enhanced {
                b"2.1.0" => 2,
                b"2.1.5" => 0,
                _ => u8::from(!self.queue_id),
            },
            Kind::Rcpt(_) => match enhanced {
                b"2.1.5" => 2,
                b"2.1.0" => 0,
                _ => u8::from(!self.queue_id),
            },
            Kind::EndOfData | Kind::Chunk { last: true } => match enhanced {
                b"2.1.0" | b"2.1.5" => 0,
                _ => 1 + u8::from(self.queue_id),
            },
            Kind::Chunk { .. } | Kind::Rset | Kind::Turn | Kind::Other => {
                u8::from(!matches!(enhanced, b"2.1.0" | b"2.1.5"))
            }
        }
    }
}
