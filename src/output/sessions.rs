//! A line a session.

use std::io::{self, Write};

use super::escape::escape;
use super::style::{Color, Role};
use super::table::{Cell, Column, Table};
use super::time::{Zone, micros};
use super::transcript::incomplete;
use super::words::{Word, protocol_name};
use super::{Files, Sink};
use crate::event::{Decrypted, Event, EventBody, Outcome, Security, Session};
use crate::pipeline::Report;
use crate::tls::Reason;

const COLUMNS: &[Column] = &[
    Column::right("ID", 5, 10),
    Column::time("START"),
    Column::left("CLIENT", 21, 27),
    Column::left("SERVER", 17, 27),
    Column::left("PROTOCOL", 8, 11),
    Column::left("TLS", 7, 16),
    Column::left("USER", 8, 24),
    Column::right("MAILS", 5, 6),
    Column::left("OUTCOME", 11, 11),
    Column::right("SLOWEST", 8, 11),
    Column::left("MISSING", 7, 40),
    Column::left("LAST ERROR", 10, 60),
];

/// The last column of every table, where there are several files.
const FILE: Column = Column::left("FILE", 4, 60);

/// What the lines of a table look like.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Zone of the times.
    pub zone: Zone,
    /// Colour.
    pub color: Color,
    /// Show each row at once instead of waiting for some to set the columns' widths.
    pub live: bool,
    /// There are several files, also if their names are yet to come: what is shown says of which it is.
    pub several: bool,
    /// Columns of the screen, for text that is broken into lines; 0 where that is not known.
    pub width: usize,
}

impl Look {
    /// The table of these columns, made with its first row: by then the members of an archive have come up.
    pub(super) fn table(&self, columns: impl Into<Vec<Column>>, files: &Files) -> Table {
        let mut columns = columns.into();
        if self.several || files.len() > 1 {
            columns.push(FILE);
        }
        Table::new(columns, self.color, self.live).in_zone(&self.zone)
    }
}

/// Adds the file's name to a row of such a table, where it has a column.
pub(super) fn push_file(row: &mut Vec<Cell>, table: &Table, name: &str) {
    if row.len() < table.columns() {
        row.push(escape(name.as_bytes()).into_owned().into());
    }
}

/// Writes a table of sessions.
pub struct Sessions<W: Write> {
    out: W,
    table: Option<Table>,
    files: Files,
    look: Look,
}

impl<W: Write> Sessions<W> {
    /// Writes to `out`.
    pub fn new(out: W, look: Look) -> Self {
        Sessions { out, table: None, files: Files::default(), look }
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> Sink for Sessions<W> {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.files.push(name);
        Ok(())
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        let EventBody::Session(session) = event.body else { return Ok(()) };
        let table = self.table.get_or_insert_with(|| self.look.table(COLUMNS, &self.files));
        let mut row = row(&session, &self.look);
        push_file(&mut row, table, self.files.get(session.span.first.file));
        table.row(&mut self.out, row)?;
        if self.look.live { self.out.flush() } else { Ok(()) }
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        if let Some(table) = &mut self.table {
            table.release(&mut self.out)?;
        }
        self.out.flush()
    }
}

fn row(session: &Session, look: &Look) -> Vec<Cell> {
    let outcome = match session.outcome {
        Outcome::Completed => Some(Role::Good),
        Outcome::Cut => Some(Role::Warn),
        _ => Some(Role::Bad),
    };
    let protocol = match session.protocol {
        Some(_) => protocol_name(session.protocol).to_owned(),
        None => "?".to_owned(),
    };
    vec![
        session.id.to_string().into(),
        Cell(look.zone.seconds(session.span.first.ts), Some(Role::Dim)),
        session.client.to_string().into(),
        session.server.to_string().into(),
        protocol.into(),
        tls(session),
        session.user.as_ref().map_or("-".to_owned(), |u| escape(&u.0).into_owned()).into(),
        session.messages.to_string().into(),
        Cell(session.outcome.word().to_owned(), outcome),
        session.slowest_reply.map_or("-".to_owned(), micros).into(),
        match incomplete(session) {
            Some(missing) => Cell(missing, Some(Role::Warn)),
            None => "-".into(),
        },
        session.last_error.as_ref().map_or("-".to_owned(), |e| escape(&e.0).into_owned()).into(),
    ]
}

/// `-`, `TLSv1.2`, and whether it stayed closed.
fn tls(session: &Session) -> Cell {
    let Some(first) = session.tls.first() else {
        return match session.security {
            Security::None => "-".into(),
            _ => Cell("failed".to_owned(), Some(Role::Bad)),
        };
    };
    let version = first.version.unwrap_or("TLS");
    match session.tls.iter().find_map(|t| Some((t.reason?, t.decrypted))) {
        None => Cell(version.to_owned(), None),
        Some((Reason::HandshakeFailed, _)) => Cell(format!("{version} failed"), Some(Role::Bad)),
        Some((_, Decrypted::None)) => Cell(format!("{version} closed"), Some(Role::Warn)),
        Some(_) => Cell(format!("{version} partly"), Some(Role::Warn)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TlsHandshake;
    use crate::output::samples;

    fn table(sessions: Vec<Session>, live: bool) -> String {
        let mut sink = Sessions::new(Vec::new(), Look { live, ..Look::default() });
        let events = sessions.into_iter().zip(1..).map(|(session, seq)| Event {
            session: session.id,
            seq,
            span: session.span,
            body: EventBody::Session(Box::new(session)),
        });
        samples::feed(&mut sink, events.collect());
        String::from_utf8(sink.into_inner()).unwrap()
    }

    #[test]
    fn a_line_a_session() {
        let last_error = Some("535 5.7.8 no".into());
        let whole = Session { last_error, complete: true, gap_count: 0, gap_bytes: 0, ..samples::session() };
        let closed = Session {
            id: 40_000,
            protocol: None,
            security: Security::Implicit,
            tls: vec![samples::closed(Reason::ForwardSecrecy)],
            user: None,
            messages: 0,
            gap_count: 0,
            undecrypted_bytes: 4321,
            outcome: Outcome::Cut,
            slowest_reply: None,
            ..samples::session()
        };
        let expected = "   ID  START (UTC)          CLIENT                 SERVER             PROTOCOL  TLS             USER      MAILS  OUTCOME       SLOWEST  MISSING                                   LAST ERROR    FILE
    1  2026-11-24 10:00:01  10.0.0.5:36034         10.0.0.9:587       SMTP      TLSv1.2         alice         1  completed    0.201004  -                                         535 5.7.8 no  mail.pcap
40000  2026-11-24 10:00:01  10.0.0.5:36034         10.0.0.9:587       ?         TLSv1.2 closed  -             0  cut                 -  4,321 bytes not decrypted (forward-secrecy)  -             mail.pcap
";
        assert_eq!(table(vec![whole, closed], false), expected);
    }

    #[test]
    fn tls_failed_is_what_its_reason_says_and_nothing_else() {
        let cell = |handshake| tls(&Session { tls: vec![handshake], ..samples::session() }).0;
        let told = |reason, completed, records_undecrypted| {
            cell(TlsHandshake { completed, records_undecrypted, ..samples::closed(reason) })
        };
        // TLS 1.3: what the server had encrypted when the client gave up.
        assert_eq!(told(Reason::HandshakeFailed, false, 4), "TLSv1.2 failed");
        // The capture ends within the handshake: nobody failed.
        assert_eq!(told(Reason::HandshakeIncomplete, false, 0), "TLSv1.2 closed");
        assert_eq!(told(Reason::NoKey, true, 4), "TLSv1.2 closed");
        let partly = TlsHandshake { decrypted: Decrypted::Part, ..samples::closed(Reason::BadMac) };
        assert_eq!(cell(partly), "TLSv1.2 partly");
        assert_eq!(cell(samples::handshake()), "TLSv1.2");
    }

    #[test]
    fn a_hostile_user_name_stays_in_its_line() {
        let hostile = Some("x\n\u{1b}[2J\u{202e}".into());
        let session = Session { user: hostile.clone(), last_error: hostile, ..samples::session() };
        let text = table(vec![session], true);
        assert_eq!(text.lines().count(), 2);
        assert_eq!(text.matches("x\\n\\x1b[2J\\u{202e}").count(), 2);
    }
}
