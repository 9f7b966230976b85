//! A line an authentication.

use std::collections::HashMap;
use std::io::{self, Write};

use super::escape::escape;
use super::sessions::{Look, push_file};
use super::style::Role;
use super::table::{Cell, Column, Table};
use super::words::{Word, protocol_name};
use super::{Files, Sink};
use crate::event::{Auth, AuthOutcome, Event, EventBody, Session};
use crate::limits::Limits;
use crate::pipeline::Report;
use crate::position::Span;

const COLUMNS: &[Column] = &[
    Column::right("ID", 5, 10),
    Column::right("FRAME", 5, 8),
    Column::time("TIME"),
    Column::left("CLIENT", 17, 27),
    Column::left("SERVER", 17, 27),
    Column::left("PROTOCOL", 8, 11),
    Column::left("TLS", 3, 3),
    Column::left("MECHANISM", 9, 18),
    Column::left("USER", 8, 30),
    Column::left("OUTCOME", 7, 17),
    Column::left("VERIFIED", 8, 8),
];

/// With `--show-secrets` only.
const SECRET: Column = Column::left("SECRET", 6, 40);

/// Writes a table of authentications.
pub struct Auths<W: Write> {
    out: W,
    table: Option<Table>,
    files: Files,
    look: Look,
    secrets: bool,
    failed: bool,
    held: HashMap<u64, Vec<(u64, Span, Auth)>>,
    /// Bytes of what is held until its session ends. Beyond the bound it is shown without its peers' addresses, which only
    /// the session's end tells.
    bytes: usize,
    bound: usize,
}

impl<W: Write> Auths<W> {
    /// Writes to `out`; `secrets` adds a column for what was shown of them.
    pub fn new(out: W, look: Look, secrets: bool, limits: &Limits) -> Self {
        let (held, bound) = (HashMap::new(), limits.gathered_bytes);
        Auths { out, table: None, files: Files::default(), look, secrets, failed: false, held, bytes: 0, bound }
    }

    /// Leaves out those that succeeded.
    pub fn with_failed_only(mut self, failed: bool) -> Self {
        self.failed = failed;
        self
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn release(&mut self, id: u64, session: Option<&Session>) -> io::Result<()> {
        let mut auths = self.held.remove(&id).unwrap_or_default();
        let bytes = auths.iter().map(|(.., auth)| weight(auth)).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        auths.sort_by_key(|(seq, ..)| *seq);
        for (_, span, auth) in &auths {
            let mut row = self.row(id, *span, auth, session);
            let table = self.table.get_or_insert_with(|| {
                let secret = self.secrets.then_some(SECRET);
                self.look.table(COLUMNS.iter().copied().chain(secret).collect::<Vec<_>>(), &self.files)
            });
            push_file(&mut row, table, self.files.get(span.last.file));
            table.row(&mut self.out, row)?;
        }
        Ok(())
    }

    fn row(&self, id: u64, span: Span, auth: &Auth, session: Option<&Session>) -> Vec<Cell> {
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
            session.map_or("-".to_owned(), |s| s.client.to_string()).into(),
            session.map_or("-".to_owned(), |s| s.server.to_string()).into(),
            session.and_then(|s| s.protocol).map_or("-", |p| protocol_name(Some(p))).into(),
            if auth.tls { "yes".into() } else { Cell("no".to_owned(), Some(Role::Warn)) },
            if auth.mechanism.is_empty() { "-".into() } else { escape(&auth.mechanism.0).into_owned().into() },
            user.into(),
            Cell(format!("{}{}", auth.outcome.word(), if auth.assumed { " (assumed)" } else { "" }), Some(outcome)),
            match auth.verified {
                Some(true) => "yes",
                Some(false) => "no",
                None => "-",
            }
            .into(),
        ];
        if self.secrets {
            row.push(auth.secret.as_ref().map_or("-".to_owned(), |s| escape(&s.0).into_owned()).into());
        }
        row
    }
}

fn weight(auth: &Auth) -> usize {
    2 * size_of::<(u64, Span, Auth)>() + auth.weight()
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
                self.held.entry(event.session).or_default().push((event.seq, event.span, auth));
                if self.bytes > self.bound { self.release(event.session, None) } else { Ok(()) }
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
        let mut sink = Auths::new(Vec::new(), Look::default(), secrets, &Limits::default());
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
        let expected = "   ID  FRAME  TIME (UTC)           CLIENT             SERVER             PROTOCOL  TLS  MECHANISM  USER      OUTCOME  VERIFIED  FILE
    1      1  2026-11-24 10:00:01  10.0.0.5:36034     10.0.0.9:587       SMTP      yes  PLAIN      alice     success  -         mail.pcap
    1      2  2026-11-24 10:00:01  10.0.0.5:36034     10.0.0.9:587       SMTP      no   CRAM-MD5   bob\\x1b   failure  no        mail.pcap
";
        assert_eq!(write(false, vec![plain, cram]), expected);
    }

    #[test]
    fn secrets_have_a_column_only_when_asked_for() {
        let auth = Auth { secret: Some("hunter2".into()), ..samples::auth() };
        assert!(!write(false, vec![auth.clone()]).contains("hunter2"));
        assert!(write(true, vec![auth]).contains("  hunter2  mail.pcap\n"));
    }
}
