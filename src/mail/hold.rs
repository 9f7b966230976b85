//! Client's bytes that wait for the server's word on how to read them.

use std::collections::VecDeque;

use super::{Advance, Chunk, Context, Held, Missing, Next};
use crate::position::Span;

/// Pieces told apart: of more, the last has the frames of all the rest. So bytes typed one at a time cost little.
const PIECES: usize = 1024;

#[derive(Debug)]
enum Piece {
    Bytes(usize, Span),
    Gap(Missing),
}

/// The next piece in the queue.
pub(crate) enum Front<'a> {
    Bytes(Chunk<'a>),
    Gap(Missing),
}

/// A queue of bytes and gaps.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    bytes: Vec<u8>,
    start: usize,
    pieces: VecDeque<Piece>,
}

impl Hold {
    /// Memory beside its own fields.
    pub(crate) fn cost(&self) -> usize {
        self.bytes.capacity() + self.pieces.capacity() * size_of::<Piece>()
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether TLS begins here: a handshake record, or an SSLv2 hello. No command begins so.
    pub(crate) fn begins_tls(&self) -> bool {
        matches!(self.bytes().first(), Some(0x16 | 0x80))
    }

    /// The bytes, without the gaps.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, chunk: Chunk<'_>) {
        if chunk.bytes.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(chunk.bytes);
        let many = self.pieces.len() >= PIECES;
        if let Some(Piece::Bytes(len, span)) = self.pieces.back_mut()
            && (many || *span == chunk.span)
        {
            *len += chunk.bytes.len();
            *span = span.to(chunk.span);
            return;
        }
        self.pieces.push_back(Piece::Bytes(chunk.bytes.len(), chunk.span));
    }

    /// Adds a gap.
    pub(crate) fn push_gap(&mut self, missing: Missing) {
        self.pieces.push_back(Piece::Gap(missing));
    }

    /// Adds what another holds.
    pub(crate) fn append(&mut self, other: Hold) {
        if self.is_empty() {
            *self = other;
        } else {
            self.bytes.extend_from_slice(other.bytes());
            self.pieces.extend(other.pieces);
        }
    }

    /// What comes first.
    pub(crate) fn front(&self) -> Option<Front<'_>> {
        match self.pieces.front()? {
            Piece::Bytes(len, span) => {
                let bytes = self.bytes.get(self.start..self.start + len).unwrap_or_default();
                Some(Front::Bytes(Chunk { bytes, span: *span }))
            }
            Piece::Gap(missing) => Some(Front::Gap(*missing)),
        }
    }

    /// Takes `n` bytes, or the gap, off the front.
    pub(crate) fn advance(&mut self, n: usize) {
        match self.pieces.front_mut() {
            Some(Piece::Bytes(len, _)) if n < *len => {
                *len -= n;
                self.start += n;
            }
            Some(Piece::Bytes(len, _)) => {
                self.start += *len;
                self.pieces.pop_front();
            }
            Some(Piece::Gap(..)) => {
                self.pieces.pop_front();
            }
            None => {}
        }
        // What is done with gives its room back: with a client that stays ahead of its server the queue is never empty. No
        // more is moved than was taken off.
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// Gives everything away.
    pub(crate) fn take(&mut self) -> Option<Held> {
        let hold = std::mem::take(self);
        let mut spans = hold.pieces.iter().filter_map(|p| match p {
            Piece::Bytes(_, span) => Some(*span),
            Piece::Gap(..) => None,
        });
        let first = spans.next()?;
        let span = spans.next_back().map_or(first, |last| first.to(last));
        Some(Held { bytes: hold.bytes().to_vec(), span })
    }
}

/// The client's direction behind the command that asks for TLS, while the server has not answered it (POP3's STLS,
/// ManageSieve's STARTTLS).
#[derive(Debug, Default)]
pub(crate) struct Pause {
    /// The client's bytes wait.
    pub(crate) on: bool,
    /// The answer may be lost.
    answer_lost: bool,
    hold: Hold,
}

impl Pause {
    /// Memory beside its own fields.
    pub(crate) fn cost(&self) -> usize {
        self.hold.cost()
    }

    /// Whether bytes or gaps wait.
    pub(crate) fn holds(&self) -> bool {
        !self.hold.is_empty()
    }

    /// The answer is there, and it is yes: gives up what was held.
    pub(crate) fn accepted(&mut self) -> Option<Held> {
        self.on = false;
        self.hold.take()
    }
}

/// A dissector whose client's direction can pause.
pub(crate) trait Pauses {
    /// Where it stands.
    fn pause(&mut self) -> &mut Pause;

    /// Takes the client's lines until the chunk is used up (none), or up to the command that asks for TLS: the number of
    /// bytes behind it. That command sets [`Pause::on`].
    fn client_lines(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Option<usize>;

    /// Bytes of the client are missing here.
    fn lose_client(&mut self, missing: Missing, cx: &mut Context<'_>);

    /// Nobody will answer the command that asks for TLS: it is taken to have been accepted.
    fn assume_accepted(&mut self);

    /// The client's next bytes.
    fn take_client(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Advance {
        let len = chunk.bytes.len();
        let all = Advance { consumed: len, next: Next::Continue };
        if !self.pause().on {
            let Some(rest) = self.client_lines(chunk, cx) else { return all };
            if cx.one_sided {
                self.pause().on = false;
                self.assume_accepted();
                return Advance { consumed: len - rest, next: Next::StartTls };
            }
            let bytes = chunk.bytes.get(len - rest..).unwrap_or_default();
            self.pause().hold.push(Chunk { bytes, span: chunk.span });
            return all;
        }
        let pause = self.pause();
        pause.hold.push(chunk);
        if !pause.answer_lost && pause.hold.bytes().len() <= cx.limits.line_bytes {
            return all;
        }
        if pause.hold.begins_tls() {
            return Advance { consumed: len, next: Next::StartTls };
        }
        self.resume(cx);
        all
    }

    /// Bytes of the client are missing, behind all that came.
    fn take_client_gap(&mut self, missing: Missing, cx: &mut Context<'_>) {
        match self.pause() {
            pause if pause.on => pause.hold.push_gap(missing),
            _ => self.lose_client(missing, cx),
        }
    }

    /// TLS was refused, or the answer will not come: what the client sent behind its command were commands.
    fn resume(&mut self, cx: &mut Context<'_>) {
        let pause = self.pause();
        pause.answer_lost = false;
        pause.on = false;
        let mut hold = std::mem::take(&mut pause.hold);
        while !self.pause().on
            && let Some(front) = hold.front()
        {
            let used = match front {
                Front::Bytes(chunk) => chunk.bytes.len() - self.client_lines(chunk, cx).unwrap_or(0),
                Front::Gap(missing) => {
                    self.lose_client(missing, cx);
                    0
                }
            };
            hold.advance(used);
        }
        self.pause().hold = hold;
    }

    /// Bytes of the server are missing, the answer perhaps.
    fn answer_may_be_lost(&mut self, cx: &mut Context<'_>) {
        let pause = self.pause();
        if pause.on {
            pause.answer_lost = true;
            if pause.holds() && !pause.hold.begins_tls() {
                self.resume(cx);
            }
        }
    }

    /// No answer will come any more. Gives the number of bytes that stay unread.
    fn end_pause(&mut self, cx: &mut Context<'_>) -> usize {
        let pause = self.pause();
        if pause.on && !pause.hold.begins_tls() {
            self.resume(cx);
        }
        self.pause().hold.take().map_or(0, |held| held.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::FramePos;

    #[test]
    fn a_queue_that_never_runs_empty_does_not_grow() {
        let mut hold = Hold::default();
        for number in 0..100_000 {
            // The next is there before the one before it is done with.
            hold.push(Chunk { bytes: b"0123456789", span: Span::at(FramePos { number, ..FramePos::default() }) });
            hold.advance(if number == 0 { 0 } else { 10 });
        }
        assert!(!hold.is_empty());
        assert!(hold.cost() < 1 << 10, "{}", hold.cost());
    }

    #[test]
    fn each_piece_keeps_its_frame_up_to_a_bound() {
        let at = |n: usize| Span::at(FramePos { number: n as u64, ..FramePos::default() });
        let mut hold = Hold::default();
        for n in 0..PIECES + 10 {
            hold.push(Chunk { bytes: b"x", span: at(n) });
        }
        assert_eq!((hold.bytes().len(), hold.pieces.len()), (PIECES + 10, PIECES));
        let Some(Front::Bytes(first)) = hold.front() else { panic!() };
        assert_eq!((first.bytes, first.span), (&b"x"[..], at(0)));
        let held = hold.take().unwrap();
        assert_eq!((held.bytes.len(), held.span), (PIECES + 10, at(0).to(at(PIECES + 9))));
    }
}
