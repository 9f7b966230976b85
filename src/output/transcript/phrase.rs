//! Events as text, without frame, arrow or colour. Everything from the wire is escaped here.

use std::fmt::Write;

use crate::diagnostic::{Code, Diagnostic};
use crate::event::{
    Alert, Auth, AuthOutcome, Command, Decrypted, EndReason, Gap, GapCause, Message, MessageOutcome, MessagePart,
    Outcome, Protocol, Reply, Script, Security, Session, Text, TlsHandshake,
};
use crate::fmt::hex;
use crate::output::escape::{self, escape};
use crate::output::words::{Word, protocol_name, why_not};
use crate::ports::is_tls_port;
use crate::position::{Direction, Span};
use crate::tls::Reason;

/// A number with its thousands set apart.
pub(in crate::output) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 byte`, `4,321 bytes`.
pub(in crate::output) fn count(n: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(n), if n == 1 { "" } else { "s" })
}

fn who(dir: Direction) -> &'static str {
    match dir {
        Direction::Client => "the client",
        Direction::Server => "the server",
    }
}

/// Appends words with a blank between them, leaving out empty ones.
fn words(out: &mut String, parts: &[&Text]) {
    let mut first = out.is_empty();
    for part in parts.iter().filter(|p| !p.is_empty()) {
        if !std::mem::take(&mut first) {
            out.push(' ');
        }
        escape::push(out, &part.0);
    }
}

pub(super) fn command(command: &Command, assumed: bool) -> String {
    let mut out = String::new();
    let empty = Text::default();
    words(&mut out, &[command.tag.as_ref().unwrap_or(&empty), &command.verb, &command.args]);
    marks(&mut out, command.injected, command.incomplete, assumed);
    out
}

fn marks(out: &mut String, injected: bool, cut: bool, assumed: bool) {
    if injected {
        out.push_str("  [injected before TLS]");
    }
    if cut {
        out.push_str("  [incomplete]");
    }
    if assumed {
        out.push_str("  [assumed: one direction only]");
    }
}

/// The command that begins an authentication: `AUTH PLAIN  user alice, password hidden`.
pub(super) fn auth_command(command: &Command, auth: &Auth, assumed: bool) -> String {
    let mut out = String::new();
    let empty = Text::default();
    words(&mut out, &[command.tag.as_ref().unwrap_or(&empty), &command.verb]);
    if matches!(command.verb.0.as_slice(), b"AUTH" | b"AUTHENTICATE") {
        words(&mut out, &[&auth.mechanism]);
    }
    out.push_str("  ");
    identity(&mut out, auth);
    marks(&mut out, command.injected, command.incomplete, assumed);
    out
}

/// An authentication on a line of its own.
pub(super) fn auth(auth: &Auth, assumed: bool) -> String {
    let mut out = match auth.mechanism.is_empty() {
        true => "authentication: ".to_owned(),
        false => format!("authentication {}: ", escape(&auth.mechanism.0)),
    };
    identity(&mut out, auth);
    let _ = write!(out, ", {}", auth.outcome.word());
    marks(&mut out, false, false, assumed);
    out
}

/// Who, and what of the secret.
fn identity(out: &mut String, auth: &Auth) {
    match &auth.user {
        Some(user) if user.is_empty() => out.push_str("empty user"),
        Some(user) => {
            out.push_str("user ");
            escape::push(out, &user.0);
        }
        None => out.push_str("user not seen"),
    }
    if let Some(authzid) = auth.authzid.as_ref().filter(|a| !a.is_empty() && Some(*a) != auth.user.as_ref()) {
        out.push_str(" for ");
        escape::push(out, &authzid.0);
    }
    let kind = match auth.mechanism.0.as_slice() {
        b"PLAIN" | b"LOGIN" | b"USER" | b"LOGIN-COMMAND" => "password",
        b"XOAUTH2" | b"OAUTHBEARER" => "token",
        b"EXTERNAL" | b"ANONYMOUS" => "",
        _ => "answer",
    };
    match &auth.secret {
        Some(secret) => {
            let _ = write!(out, ", {} \"{}\"", if kind.is_empty() { "secret" } else { kind }, escape(&secret.0));
        }
        None if kind.is_empty() => {}
        None => {
            let _ = match auth.secret_sent {
                Some(true) => write!(out, ", {kind} hidden"),
                Some(false) => write!(out, ", no {kind} sent"),
                None => write!(out, ", {kind} not seen"),
            };
        }
    }
    match auth.verified {
        Some(true) => out.push_str(", matches the known password"),
        Some(false) => out.push_str(", does not match the known password"),
        None => {}
    }
    if auth.outcome == AuthOutcome::Aborted {
        out.push_str(", broken off");
    }
}

/// A reply, its lines joined by ` / ` (or what tshark uses).
pub(super) fn reply(reply: &Reply, protocol: Option<Protocol>, joiner: &str, assumed: bool) -> String {
    let mut out = String::new();
    let text = std::slice::from_ref(&reply.text);
    let lines = if reply.lines.is_empty() { text } else { &reply.lines };
    if let Some(code) = reply.code {
        for (i, line) in lines.iter().enumerate() {
            let last = i + 1 == lines.len();
            if i > 0 {
                out.push_str(joiner);
            }
            let code = reply.began.filter(|&(_, lines)| i < lines as usize).map_or(code, |(other, _)| other);
            let _ = write!(out, "{code}{}", if last { ' ' } else { '-' });
            escape::push(&mut out, &line.0);
        }
    } else {
        let star = Text::from("*");
        let empty = Text::default();
        let untagged = reply.tag.is_none()
            && protocol == Some(Protocol::Imap)
            && matches!(reply.status.0.as_slice(), b"OK" | b"NO" | b"BAD" | b"BYE" | b"PREAUTH");
        let tag = match &reply.tag {
            Some(tag) => tag,
            None if untagged => &star,
            None => &empty,
        };
        words(&mut out, &[tag, &reply.status]);
        if let Some(code) = reply.code_apart() {
            let _ = write!(out, " ({})", escape(&code.0));
        }
        words(&mut out, &[lines.first().unwrap_or(&empty)]);
        for line in lines.iter().skip(1) {
            out.push_str(joiner);
            escape::push(&mut out, &line.0);
        }
    }
    // A code without text has nothing behind its blank.
    out.truncate(out.trim_end_matches(' ').len());
    marks(&mut out, false, reply.incomplete, assumed);
    out
}

pub(super) fn message(message: &Message) -> String {
    let part = match message.part {
        MessagePart::Full if message.joined => " (joined from parts)",
        MessagePart::Full => "",
        MessagePart::Headers => " (headers)",
        MessagePart::Range => " (range)",
        MessagePart::Section => " (section)",
    };
    let mut out = format!("message {}{part}: {}", message.ordinal, count(message.size, "byte"));
    if !message.complete {
        out.push_str(", incomplete");
    }
    match message.outcome {
        MessageOutcome::Rejected => out.push_str(", rejected"),
        MessageOutcome::Aborted if message.complete => out.push_str(", no reply: the server may have taken it"),
        MessageOutcome::Aborted => out.push_str(", aborted"),
        MessageOutcome::Accepted | MessageOutcome::Unknown => {}
    }
    if let Some(digest) = &message.sha256 {
        let _ = write!(out, ", sha256 {}…", hex(digest).get(..8).unwrap_or_default());
    }
    if let Some(subject) = &message.subject {
        let _ = write!(out, ", \"{}\"", escape(subject.as_bytes()));
    }
    if !message.attachments.is_empty() {
        let _ = write!(out, ", {}", count(message.attachments.len() as u64, "attachment"));
    }
    out
}

pub(super) fn script(script: &Script) -> String {
    let name = script.name.as_ref().map(|name| format!(" \"{}\"", escape(&name.0)));
    let mut out = format!("script{}: {}", name.unwrap_or_default(), count(script.size, "byte"));
    if !script.complete {
        out.push_str(", incomplete");
    }
    match script.outcome {
        MessageOutcome::Rejected => out.push_str(", rejected"),
        MessageOutcome::Aborted => out.push_str(", aborted"),
        MessageOutcome::Accepted | MessageOutcome::Unknown => {}
    }
    if let Some(digest) = &script.sha256 {
        let _ = write!(out, ", sha256 {}…", hex(digest).get(..8).unwrap_or_default());
    }
    out
}

pub(super) fn gap(gap: &Gap) -> String {
    let cause = match gap.cause {
        GapCause::Lost => "",
        GapCause::Snaplen => ", cut off by the capture's snapshot length",
        GapCause::Limit => ", given up at a memory bound",
        GapCause::MidStream => ", before the capture began",
    };
    format!("gap: {} from {}{cause}", count(gap.bytes, "byte"), who(gap.dir))
}

pub(super) fn diagnostic(diagnostic: &Diagnostic) -> String {
    let mut out = format!("{} {}", diagnostic.code.severity().as_str(), diagnostic.code);
    if !diagnostic.detail.is_empty() {
        out.push_str(": ");
        escape::push(&mut out, diagnostic.detail.as_bytes());
    }
    out
}

/// `frames 11–14`.
pub(in crate::output) fn frames(span: Span) -> String {
    let (first, last) = (span.first.number, span.last.number);
    match (first.min(last), first.max(last)) {
        (first, last) if first == last => format!("frame {first}"),
        (first, last) => format!("frames {first}–{last}"),
    }
}

/// A handshake; why it stayed closed is left out where it has been `told`.
pub(super) fn handshake(tls: &TlsHandshake, told: bool) -> String {
    let what = match (tls.completed, tls.handshake, tls.reason) {
        (true, 0, _) => "TLS established",
        (true, ..) => "TLS renegotiated",
        (false, 0, Some(Reason::HandshakeFailed)) => "TLS failed",
        (false, _, Some(Reason::HandshakeFailed)) => "TLS renegotiation failed",
        (false, _, Some(Reason::MidSession)) => "TLS, already under way",
        (false, ..) => "TLS handshake, end not seen",
    };
    let mut out = format!("{what}, {}", frames(tls.span));
    // One that can't be read is a farewell, mostly, once TLS was established.
    let farewell = |alert: &Alert| match alert.description.as_str() {
        "encrypted" => tls.completed,
        described => !alert.fatal && described.contains("close_notify"),
    };
    for alert in tls.alerts.iter().filter(|alert| !farewell(alert)) {
        let _ = write!(out, "; alert from {}: {}", who(alert.dir), escape(alert.description.as_bytes()));
    }
    let refused = tls.alerts.iter().any(|alert| alert.fatal && alert.dir == Direction::Server);
    if refused && tls.progress.lacks_certificate {
        out.push_str("; it had asked for a client certificate and got none");
    }
    if let Some(reason) = tls.closed_for() {
        let all = tls.records_undecrypted.saturating_add(tls.records_decrypted);
        let why = if told { String::new() } else { format!(": {}", why_not(reason).0) };
        let closed = count(tls.undecrypted_bytes, "byte");
        let _ = match tls.decrypted {
            _ if (tls.records_undecrypted, tls.undecrypted_bytes) == (0, 0) => {
                write!(out, "{}", why.replacen(':', ";", 1))
            }
            // Of records that a gap cut.
            _ if tls.records_undecrypted == 0 => write!(out, "; {closed} not decrypted{why}"),
            Decrypted::Part => {
                write!(out, "; {} of {all} records ({closed}) not decrypted{why}", tls.records_undecrypted)
            }
            _ => write!(out, "; {} ({closed}) not decrypted{why}", count(tls.records_undecrypted, "record")),
        };
    }
    out
}

/// How a session's connection ended.
pub(in crate::output) fn end(session: &Session) -> String {
    let by = |dir: Option<Direction>| dir.map_or(String::new(), |d| format!(" by {}", who(d)));
    match session.end_reason {
        EndReason::Fin => format!("connection closed{}", by(session.ended_by)),
        EndReason::Rst if session.closed_by != session.ended_by => {
            format!("connection closed{}, then reset{}", by(session.closed_by), by(session.ended_by))
        }
        EndReason::Rst => format!("connection reset{}", by(session.ended_by)),
        EndReason::Timeout => "idle for too long".to_owned(),
        EndReason::Reused => "its ports were reused".to_owned(),
        EndReason::Evicted => "given up at a memory bound (--max-memory)".to_owned(),
        EndReason::Eof => match session.ended_by {
            Some(by) => {
                format!("{} closed the connection, and the capture ends before {} did", who(by), who(by.opposite()))
            }
            None => "the capture ends here".to_owned(),
        },
    }
}

/// How a session ended, where that is not as its protocol says. `farewell`: the client took its leave.
pub(super) fn closing(session: &Session, farewell: bool) -> Option<String> {
    let end = end(session);
    let mut out = match session.outcome {
        Outcome::Completed if in_the_clear_for_want_of_tls(session) => {
            let secret = if session.has(Code::PlaintextPassword) { ", the password too" } else { "" };
            return Some(format!("TLS failed, and the session went on in the clear{secret}"));
        }
        // What is missing has its lines already.
        Outcome::Completed => return None,
        Outcome::Refused => format!("refused; {end}"),
        Outcome::AuthFailed => format!("authentication failed; {end}"),
        Outcome::TlsFailed if session.tls.last().is_some_and(|tls| tls.handshake > 0) => {
            format!("TLS renegotiation failed; {end}")
        }
        Outcome::TlsFailed => format!("TLS failed; {end}"),
        Outcome::Aborted
            if farewell || !session.complete || session.has(Code::MessageCut) || session.has(Code::Unanswered) =>
        {
            format!("broke off: {end}")
        }
        Outcome::Aborted => match session.protocol {
            Some(Protocol::Imap | Protocol::Sieve) => format!("ended without LOGOUT: {end}"),
            Some(_) => format!("ended without QUIT: {end}"),
            None => format!("broke off: {end}"),
        },
        // A server of TLS waits for the client.
        Outcome::NoBanner if session.bytes == [0; 2] && is_tls_port(session.server.port()) => {
            format!("neither side sent anything, and on this port the client has to start TLS; {end}")
        }
        Outcome::NoBanner if session.bytes[1] > 0 && session.has(Code::TlsMismatch) => {
            format!("the server sent nothing but a TLS alert; {end}")
        }
        Outcome::NoBanner => format!("the server never sent anything; {end}"),
        Outcome::Cut => format!("incomplete in the capture: {end}"),
    };
    if let Some(error) = &session.last_error {
        out.push_str("; last error: ");
        escape::push(&mut out, &error.0);
    }
    // That the end is missing is what the closing line says already.
    if session.gap_count > 0 || session.undecrypted_bytes > 0 {
        out.extend(incomplete(session).map(|missing| format!("; {missing}")));
    }
    Some(out)
}

/// TLS failed at last, and words followed.
fn in_the_clear_for_want_of_tls(session: &Session) -> bool {
    let failed = session.tls.last().is_some_and(|tls| tls.reason == Some(Reason::HandshakeFailed));
    failed && session.security == Security::None
}

/// What of a session is missing, in words; none when nothing is.
pub fn incomplete(session: &Session) -> Option<String> {
    if session.complete {
        return None;
    }
    let mut parts = Vec::new();
    if session.gap_count > 0 {
        let cut = if session.cut_packets { " (packets cut short: capture with `-s 0`)" } else { "" };
        parts.push(format!("{} missing in {}{cut}", count(session.gap_bytes, "byte"), count(session.gap_count, "gap")));
    }
    if session.undecrypted_bytes > 0 || (session.security != Security::None && parts.is_empty()) {
        let reason = session.tls.iter().find_map(TlsHandshake::closed_for);
        if session.undecrypted_bytes > 0 || reason.is_some() {
            let what = match (session.undecrypted_bytes, reason) {
                (0, Some(reason)) => why_not(reason).0.to_owned(),
                (bytes, _) => format!("{} not decrypted", count(bytes, "byte")),
            };
            parts.push(what + &reason.map_or(String::new(), |reason| format!(" ({reason})")));
        }
    }
    let skipped = session.account.skipped;
    if skipped > 0 {
        let mut part = format!("{} skipped", count(skipped, "byte"));
        if let Some(protocol) = session.protocol.filter(|_| session.commands == 0) {
            let _ = write!(part, ": is this really {}?", protocol_name(Some(protocol)));
        }
        parts.push(part);
    }
    if parts.is_empty() {
        let begins = session.has(Code::MidStream) && session.banner.is_none();
        let one_sided = session.has(Code::OneSided);
        parts.push(match session.end_reason {
            _ if one_sided => "only one direction is in the capture".to_owned(),
            _ if begins => "its beginning is not in the capture".to_owned(),
            EndReason::Fin | EndReason::Rst => "part of it is not in the capture".to_owned(),
            _ => "its end is not in the capture".to_owned(),
        });
    }
    Some(parts.join(", "))
}
