//! A line an authentication.

use std::collections::HashMap;
use std::io::{self, Write};

use super::escape::escape;
use super::sessions::{Look, PEER, USER, client, push_file, server};
use super::style::Role;
use super::table::{Cell, Column, Table, cut};
use super::words::{Word, likely_protocol};
use super::{Files, Sink};
use crate::event::{Auth, AuthOutcome, Event, EventBody, Reply, Session};
use crate::limits::Limits;
use crate::pipeline::Report;
use crate::position::{FramePos, Span};

const COLUMNS: &[Column] = &[
    Column::right("ID", 5, 10),
    Column::right("FRAME", 5, 8),
    Column::time("TIME"),
    Column::left("CLIENT", 17, PEER),
    Column::left("SERVER", 17, PEER),
    Column::left("PROTOCOL", 8, 11),
    Column::left("TLS", 3, 3),
    Column::left("MECHANISM", 9, MECHANISM),
    Column::left("USER", 8, 30),
    Column::left("OUTCOME", 7, 17),
];

/// Columns of a mechanism's name that are shown; SASL's have 20 letters at most (RFC 4422 §3.1).
const MECHANISM: usize = 20;

/// Columns of a reply that are shown.
const REPLY: usize = 60;

/// Behind `VERIFIED`.
const LAST: Column = Column::left("REPLY", 5, REPLY);

/// With `--check` only.
const VERIFIED: Column = Column::left("VERIFIED", 8, 8);

/// With `--show-secrets` only.
const SECRET: Column = Column::left("SECRET", 6, 40);

/// Writes a table of authentications.
pub struct Auths<W: Write> {
    out: W,
    table: Option<Table>,
    files: Files,
    look: Look,
    secrets: bool,
    checked: bool,
    failed: bool,
    held: HashMap<u64, Vec<Held>>,
    /// The reply that came last.
    reply: Option<Told>,
    /// Bytes of what is held until its session ends. Beyond the bound it is shown without its peers' addresses, which
    /// only the session's end tells.
    bytes: usize,
    bound: usize,
}

/// An authentication whose session has not ended.
struct Held {
    seq: u64,
    span: Span,
    auth: Auth,
    /// The reply that refused it or ended it.
    reply: Option<String>,
}

/// A final reply.
struct Told {
    session: u64,
    seq: u64,
    at: FramePos,
    reply: Reply,
}

impl Told {
    fn new(session: u64, seq: u64, at: FramePos, reply: Reply) -> Option<Self> {
        let more = reply.code == Some(334) || matches!(reply.status.0.as_slice(), b"+" | b"*");
        (!more).then_some(Told { session, seq, at, reply })
    }

    /// As it is shown.
    fn text(&self) -> String {
        let line = self.reply.lines.first().unwrap_or(&self.reply.text);
        // A character has four bytes at most.
        let line = line.0.get(..4 * REPLY).unwrap_or(&line.0);
        let code = self.reply.code_apart().map(|code| format!("({}) ", escape(&code.0))).unwrap_or_default();
        let text = format!("{} {code}{}", escape(&self.reply.status.0), escape(line));
        cut(text.trim(), REPLY)
    }

    /// Whether it is the one that ended an authentication: they end in the same place. IMAP's comes behind it, and is
    /// known by its tag; in the other protocols it comes first.
    fn ends(&self, session: u64, seq: u64, span: Span) -> bool {
        let tagged = self.reply.tag.is_some();
        let beside = if tagged { seq.checked_add(1) == Some(self.seq) } else { self.seq.checked_add(1) == Some(seq) };
        self.session == session && beside && self.at.index == span.last.index
    }
}

impl<W: Write> Auths<W> {
    /// Writes to `out`; `secrets` adds a column for what was shown of them.
    pub fn new(out: W, look: Look, secrets: bool, limits: &Limits) -> Self {
        let (held, bound) = (HashMap::new(), limits.gathered_bytes);
        Auths {
            out,
            table: None,
            files: Files::default(),
            look,
            secrets,
            checked: false,
            failed: false,
            held,
            reply: None,
            bytes: 0,
            bound,
        }
    }

    /// Leaves out those that succeeded.
    pub fn with_failed_only(mut self, failed: bool) -> Self {
        self.failed = failed;
        self
    }

    /// Adds a column for whether a known password made the answer.
    pub fn with_checked(mut self, checked: bool) -> Self {
        self.checked = checked;
        self
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn release(&mut self, id: u64, session: Option<&Session>) -> io::Result<()> {
        let mut auths = self.held.remove(&id).unwrap_or_default();
        let bytes = auths.iter().map(|held| weight(&held.auth)).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        auths.sort_by_key(|held| held.seq);
        for held in &auths {
            let mut row = self.row(id, held, session);
            let table = self.table.get_or_insert_with(|| {
                let more = [self.checked.then_some(VERIFIED), Some(LAST), self.secrets.then_some(SECRET)];
                self.look
                    .table(COLUMNS.iter().copied().chain(more.into_iter().flatten()).collect::<Vec<_>>(), &self.files)
            });
            push_file(&mut row, table, self.files.get(held.span.last.file));
            table.row(&mut self.out, row)?;
        }
        Ok(())
    }

    fn row(&self, id: u64, held: &Held, session: Option<&Session>) -> Vec<Cell> {
        let Held { span, auth, reply, .. } = held;
        let outcome = match auth.outcome {
            AuthOutcome::Success => Role::Good,
            AuthOutcome::Failure => Role::Bad,
            AuthOutcome::Aborted | AuthOutcome::Unknown => Role::Warn,
        };
        let user = match (&auth.user, &auth.authzid) {
            (Some(user), Some(authzid)) if !authzid.is_empty() && authzid != user => {
                format!("{} for {}", escape(&user.0), escape(&authzid.0))
            }
            (Some(user), _) => escape(&user.0).into_owned(),
            (None, _) => "-".to_owned(),
        };
        let mut row: Vec<Cell> = vec![
            id.to_string().into(),
            span.last.number.to_string().into(),
            Cell(self.look.zone.seconds(span.last.ts), Some(Role::Dim)),
            session.map_or("-".to_owned(), client).into(),
            session.map_or("-".to_owned(), server).into(),
            session.and_then(likely_protocol).unwrap_or_else(|| "-".to_owned()).into(),
            if auth.tls { "yes".into() } else { Cell("no".to_owned(), Some(Role::Warn)) },
            if auth.mechanism.is_empty() { "-".into() } else { cut(&escape(&auth.mechanism.0), MECHANISM).into() },
            cut(&user, USER).into(),
            Cell(format!("{}{}", auth.outcome.word(), if auth.assumed { " (assumed)" } else { "" }), Some(outcome)),
        ];
        if self.checked {
            let verified = match auth.verified {
                Some(true) => "yes",
                Some(false) => "no",
                None => "-",
            };
            row.push(verified.into());
        }
        row.push(reply.as_deref().filter(|_| auth.outcome != AuthOutcome::Success).unwrap_or("-").into());
        if self.secrets {
            row.push(auth.secret.as_ref().map_or("-".to_owned(), |s| escape(&s.0).into_owned()).into());
        }
        row
    }
}

fn weight(auth: &Auth) -> usize {
    2 * size_of::<Held>() + 4 * REPLY + auth.heap()
}

impl<W: Write> Sink for Auths<W> {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.files.push(name);
        Ok(())
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        match event.body {
            EventBody::Auth(auth) if self.failed && auth.outcome == AuthOutcome::Success => Ok(()),
            EventBody::Auth(auth) => {
                self.bytes += weight(&auth);
                let reply = self.reply.take_if(|reply| reply.ends(event.session, event.seq, event.span));
                let held = Held { seq: event.seq, span: event.span, auth, reply: reply.map(|reply| reply.text()) };
                self.held.entry(event.session).or_default().push(held);
                if self.bytes > self.bound { self.release(event.session, None) } else { Ok(()) }
            }
            EventBody::Reply(reply) => {
                let told = Told::new(event.session, event.seq, event.span.last, reply);
                let last = self.held.get_mut(&event.session).and_then(|held| held.last_mut());
                match (told, last) {
                    (Some(told), Some(last)) if told.ends(event.session, last.seq, last.span) => {
                        last.reply = Some(told.text());
                    }
                    (told, _) => self.reply = told,
                }
                Ok(())
            }
            EventBody::Session(session) => {
                self.release(event.session, Some(&session))?;
                if self.look.live { self.out.flush() } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        let mut open: Vec<u64> = self.held.keys().copied().collect();
        open.sort_unstable();
        open.into_iter().try_for_each(|id| self.release(id, None))?;
        if let Some(table) = &mut self.table {
            table.release(&mut self.out)?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    fn write(secrets: bool, auths: Vec<Auth>) -> String {
        let mut sink = Auths::new(Vec::new(), Look::default(), secrets, &Limits::default()).with_checked(!secrets);
        let mut events: Vec<Event> = auths
            .into_iter()
            .zip(1..)
            .map(|(auth, seq)| Event { session: 1, seq, span: samples::at(seq), body: EventBody::Auth(auth) })
            .collect();
        events.extend(samples::story().pop());
        samples::feed(&mut sink, events);
        String::from_utf8(sink.into_inner()).unwrap()
    }

    #[test]
    fn a_line_an_authentication() {
        let plain = samples::auth();
        let cram = Auth {
            tls: false,
            mechanism: "CRAM-MD5".into(),
            user: Some("bob\u{1b}".into()),
            outcome: AuthOutcome::Failure,
            verified: Some(false),
            ..samples::auth()
        };
        let expected = "ID  FRAME  TIME (UTC)           CLIENT          SERVER        PROTOCOL  TLS  MECHANISM  USER     OUTCOME  VERIFIED  REPLY  FILE
 1      1  2026-11-24 10:00:01  10.0.0.5:36034  10.0.0.9:587  SMTP      yes  PLAIN      alice    success  -         -      mail.pcap
 1      2  2026-11-24 10:00:01  10.0.0.5:36034  10.0.0.9:587  SMTP      no   CRAM-MD5   bob\\x1b  failure  no        -      mail.pcap
";
        assert_eq!(write(false, vec![plain, cram]), expected);
    }

    #[test]
    fn the_reply_is_the_one_that_ended_it() {
        let refused = || EventBody::Auth(Auth { outcome: AuthOutcome::Failure, ..samples::auth() });
        let reply = |code: Option<u16>, status: &str, tag: Option<&str>, text: &str| {
            let (status, tag, text) = (status.into(), tag.map(Into::into), text.into());
            EventBody::Reply(Reply { code, status, tag, text, ..Reply::default() })
        };
        let rows = |list: Vec<(u64, EventBody)>| -> Vec<String> {
            let mut sink = Auths::new(Vec::new(), Look::default(), false, &Limits::default());
            let events = list.into_iter().zip(10..).map(|((frame, body), seq)| Event {
                session: 1,
                seq,
                span: samples::at(frame),
                body,
            });
            samples::feed(&mut sink, events.chain(samples::story().pop()).collect());
            let text = String::from_utf8(sink.into_inner()).unwrap();
            let reply = text.lines().next().unwrap().find("REPLY").unwrap();
            text.lines().skip(1).map(|row| row[reply..].split("  ").next().unwrap().to_owned()).collect()
        };
        // SMTP, POP3, ManageSieve: it comes before the event; IMAP: behind it, and another command's may come before.
        let smtp = reply(Some(535), "535", None, "5.7.8 no");
        assert_eq!(rows(vec![(3, smtp.clone()), (3, refused())]), ["535 5.7.8 no"]);
        let (other, own) =
            (reply(None, "OK", Some("a"), "done"), reply(None, "NO", Some("b"), "[AUTHENTICATIONFAILED]"));
        let imap = vec![(3, other), (3, refused()), (3, own.clone()), (4, refused())];
        assert_eq!(rows(imap), ["NO [AUTHENTICATIONFAILED]", "-"]);
        // Of another frame, or one that asks for more: the connection ended before it was answered.
        assert_eq!(rows(vec![(3, smtp), (4, refused())]), ["-"]);
        assert_eq!(rows(vec![(3, reply(Some(334), "334", None, "VXNlcg==")), (3, refused())]), ["-"]);
        assert_eq!(rows(vec![(3, refused()), (4, own)]), ["-"]);
        let mut sieve = reply(None, "NO", None, "");
        let EventBody::Reply(inner) = &mut sieve else { panic!() };
        inner.enhanced = Some("ENCRYPT-NEEDED".into());
        assert_eq!(rows(vec![(3, sieve), (3, refused())]), ["NO (ENCRYPT-NEEDED)"]);
        let hostile = reply(Some(454), "454", None, "\u{1b}[2J");
        assert_eq!(rows(vec![(3, hostile), (3, refused())]), ["454 \\x1b[2J"]);
    }

    #[test]
    fn secrets_have_a_column_only_when_asked_for() {
        let auth = Auth { secret: Some("hunter2".into()), ..samples::auth() };
        assert!(!write(false, vec![auth.clone()]).contains("hunter2"));
        assert!(write(true, vec![auth]).contains("  hunter2  mail.pcap\n"));
    }
}
