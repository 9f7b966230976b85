//! A dialogue whose beginning is not in the capture: what the client's first bytes are, the server's first reply shows.
//!
//! They may be commands, a response to a challenge, or the rest of a message. What is no command at first sight is held
//! until the reply, so that neither a password nor a mail's text is taken for commands.

use super::command::{self, Verb};
use super::reply::is_of_auth;
use super::*;
use crate::mail::sasl;

impl Smtp {
    pub(super) fn join_midway(&mut self, hint: Option<Protocol>) {
        self.trail.joined = true;
        // Replies to what was sent before the capture may come.
        let unseen = Pending { seq: None, kind: Kind::Unseen, sent: None, transaction: 0, maybe: true };
        self.pending = VecDeque::from([unseen]);
        (self.doubt.lossy, self.doubt.beyond) = (true, true);
        // Chunks may have been.
        self.trail.gap_since_mail = true;
        self.trail.lost[Direction::Server.index()] = true;
        self.wait = Wait::Beginning;
        if hint == Some(Protocol::Lmtp) {
            self.protocol = Protocol::Lmtp;
        }
    }

    /// More was held of the beginning: whether it can be read without the server's word.
    pub(super) fn read_beginning(&mut self, cx: &mut Context<'_>) {
        let held = self.hold.bytes();
        if held.len() > cx.limits.line_bytes {
            // Nothing else is so long without a reply.
            return self.rest_of_message(cx);
        }
        if content::begins_with_command(held) {
            self.wait = Wait::No;
            self.release(cx);
        } else if cx.one_sided {
            self.pass_over_beginning(cx);
        }
    }

    /// The first reply: it tells what was held.
    pub(super) fn settle_beginning(&mut self, reply: &Reply, cx: &mut Context<'_>) {
        let held = self.hold.bytes();
        if held.is_empty() {
            self.wait = Wait::No;
        } else if is_response(held, reply) {
            self.wait = Wait::No;
            self.begin_login_midway(reply.span, cx);
            self.release(cx);
        } else if ends_message(held) || reply.ok() && reply.queue_id().is_some() {
            self.rest_of_message(cx);
        } else {
            self.pass_over_beginning(cx);
        }
    }

    /// An authentication whose AUTH is not in the capture goes on.
    pub(super) fn begin_login_midway(&mut self, span: Span, cx: &mut Context<'_>) {
        // Its challenge was the last reply.
        self.pending.clear();
        let exchange = Exchange::begun_before(cx.tls, span);
        self.login = Some(exchange);
        self.mode = Mode::Response;
        self.trail.lost[Direction::Client.index()] = false;
        self.sift = Sift::default();
    }

    /// Whether a message's verdict is a recipient's own, as LMTP has it: it begins with the address.
    pub(super) fn is_of_lmtp(&self, reply: &Reply) -> bool {
        let Some(pending) = self.pending.front().filter(|p| p.kind == Kind::EndOfData) else { return false };
        self.transaction(pending.transaction).is_some_and(|transaction| transaction.names(reply).is_some())
    }

    /// What is held is the rest of a message, and more of it may come.
    fn rest_of_message(&mut self, cx: &mut Context<'_>) {
        self.wait = Wait::No;
        // 354 was the last reply.
        self.pending.clear();
        self.begin_data(true, None, cx);
        if let Some(content) = &mut self.content {
            content.scanner.gap();
            content.gap = true;
        }
        self.release(cx);
    }

    /// Reads on at the first line that is a command for sure.
    pub(super) fn pass_over_beginning(&mut self, cx: &mut Context<'_>) {
        self.wait = Wait::No;
        let line = self.hold.bytes().trim_ascii();
        let known = !line.contains(&b'\n') && !matches!(command::parse(line).verb, Verb::Unknown | Verb::Auth);
        self.trail.lost[Direction::Client.index()] = !known;
        if !known {
            self.suspect_chunk(false, cx);
        }
        self.release(cx);
    }
}

/// Whether lines that are no commands, and that this reply answers, are responses to challenges.
fn is_response(held: &[u8], reply: &Reply) -> bool {
    let words = held.trim_ascii();
    let single = !words.contains(&b' ') && !words.contains(&b'\n');
    match reply.code {
        Some(code) if is_of_auth(code) => single,
        // The server took it for a command.
        Some(500 | 502) => false,
        _ => reply.negative() && single && sasl::is_response(words),
    }
}

/// Whether the last line is a dot.
fn ends_message(held: &[u8]) -> bool {
    let before = held.strip_suffix(b".\r\n").or_else(|| held.strip_suffix(b".\n"));
    before.is_some_and(|before| before.is_empty() || before.ends_with(b"\n"))
}
