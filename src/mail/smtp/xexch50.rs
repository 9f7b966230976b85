//! What Exchange's servers tell each other about a message between RCPT and its text: `XEXCH50`, behind whose 354 come
//! exactly as many bytes as it announced.

use super::command;
use super::content::begins_with_command;
use super::*;

impl Smtp {
    /// XEXCH50 is answered: its bytes follow behind 354 alone.
    pub(super) fn xexch50_answered(&mut self, pending: Pending, size: u64, reply: &Reply, cx: &mut Context<'_>) {
        if self.wait != Wait::Xexch50 {
            return;
        }
        self.wait = Wait::No;
        if reply.class() == 3 {
            self.begin_xexch50(size, pending.seq, reply.span, cx);
        }
        self.release(cx);
    }

    /// The bytes behind XEXCH50 begin.
    pub(super) fn begin_xexch50(&mut self, remaining: u64, seq: Option<u64>, span: Span, cx: &mut Context<'_>) {
        self.mode = Mode::Xexch50 { remaining, seq, begun: true };
        if remaining == 0 {
            self.end_xexch50(span, cx);
        }
    }

    pub(super) fn xexch50_bytes(&mut self, input: &mut Chunk<'_>, cx: &mut Context<'_>) {
        let Mode::Xexch50 { remaining, seq, begun } = self.mode else { return };
        if !begun && begins_with_command(input.bytes) {
            // Nobody heard the server refuse it; they are no text.
            self.mode = Mode::Command;
            return;
        }
        let n = usize::try_from(remaining).unwrap_or(usize::MAX).min(input.bytes.len());
        input.bytes = input.bytes.get(n..).unwrap_or_default();
        let remaining = remaining - n as u64;
        self.mode = Mode::Xexch50 { remaining, seq, begun: true };
        if remaining == 0 {
            self.end_xexch50(input.span, cx);
        }
    }

    /// They are all there: the next reply answers the command a second time.
    fn end_xexch50(&mut self, span: Span, cx: &mut Context<'_>) {
        let Mode::Xexch50 { seq, .. } = self.mode else { return };
        self.mode = Mode::Command;
        let transaction = self.open_transaction().map_or(0, |t| t.id);
        let sent = Some(span.last);
        self.expect(Pending { seq, kind: Kind::Other, sent, transaction, maybe: false }, span, cx);
    }

    /// Bytes among them are missing, `len` or (inside TLS) fewer. Whether they go on behind that, or end with it.
    pub(super) fn xexch50_gap(&mut self, len: u64, span: Span, cx: &mut Context<'_>) -> bool {
        let Mode::Xexch50 { remaining, seq, .. } = self.mode else { return true };
        match remaining.checked_sub(len).filter(|_| !cx.tls) {
            Some(left) => {
                self.begin_xexch50(left, seq, span, cx);
                true
            }
            None => {
                self.end_xexch50(span, cx);
                false
            }
        }
    }
}

/// The size in the arguments of `XEXCH50`: `<size> <flags>`.
pub(super) fn xexch50_size(args: &[u8]) -> Option<u64> {
    let word = args.split(|b| matches!(b, b' ' | b'\t')).next()?;
    command::bdat(word).map(|(size, _)| size)
}
