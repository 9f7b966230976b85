//! The header block of a message or of a part, gathered line by line within a bound.

/// What has been kept of the block that is being read.
pub(super) struct HeaderBlock {
    bytes: Vec<u8>,
    limit: usize,
    /// Where in it the current field and the current line begin, and whether that line is left out: one field, a long
    /// list of recipients, must not push out all that follow.
    field: usize,
    line: usize,
    left_out: bool,
    /// Lines were left out, of this block or of one before.
    cut: bool,
    /// Nothing but a line end has been seen of the current line.
    line_empty: bool,
}

impl HeaderBlock {
    pub(super) fn new(limit: usize) -> Self {
        HeaderBlock { bytes: Vec::new(), limit, field: 0, line: 0, left_out: false, cut: false, line_empty: true }
    }

    /// Memory beside its own fields.
    pub(super) fn cost(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether lines were left out for their length.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// At most so many bytes are kept of the blocks that follow.
    pub(super) fn limit(&mut self, bytes: usize) {
        self.limit = self.limit.min(bytes);
    }

    /// Another block begins.
    pub(super) fn begin(&mut self) {
        self.line_empty = true;
    }

    /// The next bytes of a line, with its end where they reach it.
    pub(super) fn push(&mut self, part: &[u8]) {
        if self.line_empty {
            self.line = self.bytes.len();
            let continues = matches!(part.first(), Some(b' ' | b'\t'));
            // Without its name, what continues a field would continue the one before.
            self.left_out &= continues && self.line == self.field;
            if !continues {
                self.field = self.bytes.len();
            }
        }
        if !self.left_out {
            let kept = self.bytes.len() + part.len();
            if kept <= self.limit && kept - self.field <= self.limit / 8 * 7 {
                self.bytes.extend_from_slice(part);
            } else {
                (self.left_out, self.cut) = (true, true);
                self.bytes.truncate(self.line);
            }
        }
        if part.iter().any(|b| !matches!(b, b'\r' | b'\n')) {
            self.line_empty = false;
        }
    }

    /// A line is over; whether nothing was in it, which ends the block.
    pub(super) fn end_line(&mut self) -> bool {
        std::mem::replace(&mut self.line_empty, true)
    }

    /// Whether it begins with a field's name (RFC 5322 §2.2).
    pub(super) fn begins_with_field(&self) -> bool {
        let end = self.bytes.iter().position(|b| *b == b':' || !b.is_ascii_graphic());
        end.is_some_and(|end| end > 0 && self.bytes.get(end) == Some(&b':'))
    }

    /// It goes on somewhere else, and its last field may go on there: that is left out.
    pub(super) fn drop_last_field(&mut self) {
        let mut starts = memchr::memrchr_iter(b'\n', &self.bytes).map(|at| at + 1);
        let whole = starts.find(|&at| self.bytes.get(at).is_some_and(|b| !matches!(b, b' ' | b'\t')));
        self.bytes.truncate(whole.unwrap_or(0));
    }

    /// What was kept, now that the block is over.
    pub(super) fn take(&mut self) -> Vec<u8> {
        (self.line, self.field, self.left_out) = (0, 0, false);
        std::mem::take(&mut self.bytes)
    }

    /// A buffer to use again.
    pub(super) fn give_back(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.bytes = buffer;
    }
}
