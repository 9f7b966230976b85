//! The commands that wait for their tagged reply.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::append::number;
use super::tokens::{Token, Tokens};
use crate::event::{Message, Text};
use crate::mail::sasl::Exchange;
use crate::position::{FramePos, Span};

/// A message given with APPEND whose fate is not known yet.
pub(super) struct Appended {
    /// Its reserved place.
    pub(super) seq: u64,
    /// Its frames.
    pub(super) span: Span,
    /// Which message of its command.
    pub(super) index: usize,
    /// The message.
    pub(super) message: Message,
}

/// A range that a FETCH asked for: `BODY[section]<origin.len>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requested {
    /// First byte.
    pub(super) origin: u64,
    /// Most bytes.
    pub(super) len: u64,
}

/// The one message that a FETCH is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Only {
    /// By its number.
    Number(u32),
    /// By its UID.
    Uid(u32),
}

impl Only {
    /// What FETCH, or UID FETCH, with those arguments is about; none where that is a set.
    pub(super) fn of(args: &[u8], by_uid: bool) -> Option<Self> {
        let set = args.trim_ascii_start().split(|&b| b == b' ').next()?;
        let number = number(set).filter(|_| !set.is_empty())?;
        Some(if by_uid { Only::Uid(number) } else { Only::Number(number) })
    }

    /// Whether it may be that message.
    pub(super) fn may_be(self, number: u32, uid: Option<u32>) -> bool {
        match self {
            Only::Number(only) => only == number,
            Only::Uid(only) => uid.is_none_or(|uid| uid == only),
        }
    }
}

/// What a command's reply decides.
pub(super) enum Effect {
    /// Nothing that matters here.
    None,
    /// SELECT or EXAMINE of that mailbox, with the UIDVALIDITY that came meanwhile.
    Select(Text, Option<u32>),
    /// CLOSE, UNSELECT.
    Deselect,
    /// FETCH, with the message it is about, if it is one, and the ranges it asked for.
    Fetch(Option<Only>, Vec<Requested>),
    /// PARTIAL of IMAP4's first version (RFC 1730 §6.4.6): what is fetched is that range.
    Partial(Requested),
    /// LOGIN, AUTHENTICATE.
    Auth(Box<Exchange>),
    /// IDLE.
    Idle,
    /// STARTTLS.
    StartTls,
    /// COMPRESS DEFLATE.
    Compress,
    /// LOGOUT.
    Logout,
}

/// A command that waits.
pub(super) struct Pending {
    /// Its tag; empty where the command is not in the capture.
    pub(super) tag: Vec<u8>,
    /// Frame of the last byte that the client sent for it.
    pub(super) last: FramePos,
    /// What its reply decides.
    pub(super) effect: Effect,
    /// Messages it gave.
    pub(super) messages: Vec<Appended>,
    /// Its reply may be in a gap.
    pub(super) doubtful: bool,
    /// Commands behind it may be in a gap.
    pub(super) gap_behind: bool,
    /// Its number among the commands that carried messages.
    pub(super) transaction: Option<u64>,
}

impl Appended {
    /// Memory that it takes, roughly.
    pub(super) fn cost(&self) -> usize {
        size_of::<Self>() + self.message.heap()
    }
}

impl Pending {
    /// Memory that it takes, roughly; its tag is kept twice.
    fn cost(&self) -> usize {
        const INDEX: usize = 128;
        let effect = match &self.effect {
            Effect::Select(mailbox, _) => mailbox.heap(),
            Effect::Fetch(_, ranges) => ranges.capacity() * size_of::<Requested>(),
            Effect::Auth(exchange) => size_of::<Exchange>() + exchange.cost(),
            _ => 0,
        };
        let messages = self.messages.iter().map(Appended::cost).sum::<usize>();
        size_of::<Self>() + INDEX + 2 * self.tag.capacity() + effect + messages
    }
}

/// Ranges remembered of one FETCH: clients ask for one or two.
const RANGES: usize = 16;

/// The partial fetches in a FETCH command's arguments.
pub(super) fn ranges(args: &[u8]) -> Vec<Requested> {
    // Most FETCH commands ask for none.
    if !args.contains(&b'<') {
        return Vec::new();
    }
    let words = Tokens::new(args).filter_map(|word| match word {
        Token::Atom(atom) => range(atom),
        _ => None,
    });
    words.take(RANGES).collect()
}

/// The range in PARTIAL's arguments: `4 RFC822 1 1024`, its first byte counted from one.
pub(super) fn partial(args: &[u8]) -> Option<Requested> {
    let mut words = args.split(|&b| b == b' ').filter(|word| !word.is_empty()).skip(2);
    let (first, len) = (number(words.next()?)?, number(words.next()?)?);
    Some(Requested { origin: first.checked_sub(1)?.into(), len: len.into() })
}

fn range(atom: &[u8]) -> Option<Requested> {
    let body = atom.strip_suffix(b">")?;
    let open = body.iter().rposition(|&b| b == b'<')?;
    // Of a part or a text it says nothing about the message.
    if !body.get(..open)?.ends_with(b"[]") {
        return None;
    }
    let (origin, len) = {
        let mut ends = body.get(open + 1..)?.splitn(2, |&b| b == b'.');
        (ends.next()?, ends.next()?)
    };
    Some(Requested { origin: number(origin)?.into(), len: number(len)?.into() })
}

/// All of them, by age and by tag.
#[derive(Default)]
pub(super) struct Table {
    by_seq: BTreeMap<u64, Pending>,
    by_tag: HashMap<Vec<u8>, VecDeque<u64>>,
    /// How many of them are doubtful.
    doubtful: usize,
    /// Commands may be missing behind the one with that `seq`, and before any later one; none of both had a reply yet.
    unseen_behind: Option<u64>,
}

impl Table {
    /// Memory beside its own fields, roughly.
    pub(super) fn cost(&self) -> usize {
        self.by_seq.values().map(Pending::cost).sum()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.by_seq.len()
    }

    /// Adds the command with that `seq`.
    pub(super) fn insert(&mut self, seq: u64, pending: Pending) {
        self.by_tag.entry(pending.tag.clone()).or_default().push_back(seq);
        self.doubtful += usize::from(pending.doubtful);
        self.by_seq.insert(seq, pending);
    }

    /// Takes the oldest with that tag.
    pub(super) fn take(&mut self, tag: &[u8]) -> Option<(u64, Pending)> {
        let Some(seq) = self.by_tag.get(tag).and_then(|seqs| seqs.front().copied()) else {
            self.unseen_behind = None;
            return None;
        };
        self.unseen_behind.take_if(|before| *before < seq);
        self.remove(seq).map(|p| (seq, p))
    }

    /// Takes the one with that `seq`.
    pub(super) fn remove(&mut self, seq: u64) -> Option<Pending> {
        let pending = self.by_seq.remove(&seq)?;
        self.doubtful -= usize::from(pending.doubtful);
        if let Some(seqs) = self.by_tag.get_mut(&pending.tag) {
            // Mostly the oldest.
            if let Some(at) = seqs.iter().position(|&s| s == seq) {
                seqs.remove(at);
            }
            if seqs.is_empty() {
                self.by_tag.remove(&pending.tag);
            }
        }
        Some(pending)
    }

    /// Whether one with that tag waits.
    pub(super) fn has_tag(&self, tag: &[u8]) -> bool {
        self.by_tag.contains_key(tag)
    }

    /// The one with that `seq`.
    pub(super) fn get(&self, seq: u64) -> Option<&Pending> {
        self.by_seq.get(&seq)
    }

    /// The one with that `seq`.
    pub(super) fn get_mut(&mut self, seq: u64) -> Option<&mut Pending> {
        self.by_seq.get_mut(&seq)
    }

    /// The oldest.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.by_seq.keys().next().copied()
    }

    /// The oldest with such an effect.
    pub(super) fn find(&self, effect: impl Fn(&Effect) -> bool) -> Option<u64> {
        self.iter().find(|(_, p)| effect(&p.effect)).map(|(seq, _)| seq)
    }

    /// All, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Pending)> {
        self.by_seq.iter().map(|(&seq, p)| (seq, p))
    }

    /// All, oldest first.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Pending)> {
        self.by_seq.iter_mut().map(|(&seq, p)| (seq, p))
    }

    /// Replies are missing: any of those that wait may have had its own.
    pub(super) fn doubt(&mut self) {
        for pending in self.by_seq.values_mut() {
            pending.doubtful = true;
        }
        self.doubtful = self.by_seq.len();
    }

    /// Commands are missing.
    pub(super) fn commands_lost(&mut self) {
        self.by_seq.values_mut().for_each(|pending| pending.gap_behind = true);
        self.unseen_behind = Some(self.by_seq.keys().next_back().copied().unwrap_or(0));
    }

    /// Whether a command that is missing may have come before that one, and have had no reply yet.
    pub(super) fn may_follow_unseen(&self, seq: u64) -> bool {
        self.unseen_behind.is_some_and(|before| before < seq)
    }

    /// Takes one that is doubtful and older than `seq`: a later command was answered, so it had been too.
    pub(super) fn take_doubtful(&mut self, seq: u64) -> Option<(u64, Pending)> {
        if self.doubtful == 0 {
            return None;
        }
        let found = self.by_seq.range(..seq).find(|(_, p)| p.doubtful).map(|(&s, _)| s)?;
        self.remove(found).map(|p| (found, p))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_fetches() {
        assert_eq!(ranges(b"1 BODY.PEEK[]<0.100>"), [Requested { origin: 0, len: 100 }]);
        assert_eq!(
            ranges(b"1 (UID BODY[HEADER.FIELDS (TO)]<5.6> BODY[1] BINARY.PEEK[]<7.8>)"),
            [Requested { origin: 7, len: 8 }],
            "parts say nothing of the whole"
        );
        assert_eq!(ranges(b"1 BODY[]<x.y>"), []);
    }
}
