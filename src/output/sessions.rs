//! A line a session.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::SocketAddr;

use super::escape::escape;
use super::style::{Color, Role};
use super::table::{Cell, Column, Table, cut};
use super::time::{Zone, micros};
use super::transcript::incomplete;
use super::words::{Word, likely_protocol};
use super::{Files, Sink};
use crate::diagnostic::Code;
use crate::event::{
    Decrypted, Event, EventBody, Message, MessageDirection, MessageOutcome, MessagePart, Outcome, Security, Session,
    TlsHandshake,
};
use crate::pipeline::Report;
use crate::tls::Reason;

const COLUMNS: &[Column] = &[
    Column::right("ID", 5, 10),
    Column::time("START"),
    Column::left("CLIENT", 21, PEER),
    Column::left("SERVER", 17, PEER),
    Column::left("PROTOCOL", 8, 12),
    Column::left("TLS", 7, 19),
    Column::left("USER", 8, 30),
    Column::left("MAILS", 5, 30),
    Column::left("OUTCOME", 11, 11),
    Column::right("SLOWEST", 8, 11),
    Column::left("MISSING", 7, 60),
    Column::left("LAST ERROR", 10, 60),
];

/// Columns that an address and a port take at most.
pub(super) const PEER: usize = 47;

/// Columns of a server behind a proxy, and of that, that are shown.
const PROXIED: usize = 80;

/// Columns of a user's name that are shown: whoever wants to logs in as anybody, at any length.
pub(super) const USER: usize = 40;

/// Columns of an error that are shown.
const ERROR: usize = 100;

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
    /// What was not well with messages of sessions that have not ended.
    faults: HashMap<u64, Faults>,
}

/// How many whole messages did not get through, by why.
#[derive(Copy, Clone, Debug, Default)]
struct Faults {
    rejected: u64,
    unanswered: u64,
    aborted: u64,
    incomplete: u64,
}

impl Faults {
    /// The counter of such a message, if something is wrong with it.
    fn of(&mut self, message: &Message) -> Option<&mut u64> {
        let submitted = message.direction == MessageDirection::Submitted;
        match message.outcome {
            _ if message.part != MessagePart::Full => None,
            MessageOutcome::Rejected if submitted => Some(&mut self.rejected),
            // Sent to its end.
            MessageOutcome::Aborted if submitted && message.complete => Some(&mut self.unanswered),
            MessageOutcome::Aborted if submitted => Some(&mut self.aborted),
            _ if !message.complete => Some(&mut self.incomplete),
            _ => None,
        }
    }

    /// `2`, `2 (1 rejected)`; `?` where nobody knows.
    fn tell(self, session: &Session) -> String {
        if session.messages == 0 && is_hidden(session) {
            return "?".to_owned();
        }
        let kinds = [
            (self.rejected, "rejected"),
            (self.unanswered, "unanswered"),
            (self.aborted, "aborted"),
            (self.incomplete, "incomplete"),
        ];
        let told: Vec<String> = kinds.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        match told.is_empty() {
            true => session.messages.to_string(),
            false => format!("{} ({})", session.messages, told.join(", ")),
        }
    }
}

impl<W: Write> Sessions<W> {
    /// Writes to `out`.
    pub fn new(out: W, look: Look) -> Self {
        Sessions { out, table: None, files: Files::default(), look, faults: HashMap::new() }
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
        let session = match event.body {
            EventBody::Session(session) => session,
            EventBody::Message(message) => {
                if Faults::default().of(&message).is_some()
                    && let Some(counter) = self.faults.entry(event.session).or_default().of(&message)
                {
                    *counter += 1;
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        let faults = self.faults.remove(&event.session).unwrap_or_default();
        let table = self.table.get_or_insert_with(|| self.look.table(COLUMNS, &self.files));
        let mut row = row(&session, faults, &self.look);
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

/// Whether something was said inside TLS that stayed closed, or in a layer of SASL.
fn is_hidden(session: &Session) -> bool {
    session.has(Code::SaslLayer)
        || session.tls.iter().any(|tls| tls.decrypted != Decrypted::All && tls.closed_for().is_some())
}

/// The client, and behind a proxy whom that speaks for: `192.0.2.1:4711 via 10.0.0.5:36034`.
pub(super) fn client(session: &Session) -> String {
    let via = session.client;
    match session.proxy_client {
        Some((ip, Some(port))) => format!("{} via {via}", SocketAddr::new(ip, port)),
        Some((ip, None)) => format!("{ip} via {via}"),
        None => via.to_string(),
    }
}

/// Where a proxy was asked to connect to, if one was.
pub(super) fn behind_proxy(session: &Session) -> Option<String> {
    session.proxied_to.as_ref().map(|server| escape(&server.0).into_owned())
}

/// The server, likewise: `mx.example.com:25 via 10.0.0.9:1080`.
pub(super) fn server(session: &Session) -> String {
    let via = session.server.to_string();
    match behind_proxy(session) {
        Some(server) => format!("{} via {via}", cut(&server, PROXIED.saturating_sub(5 + via.len()))),
        None => via,
    }
}

fn row(session: &Session, faults: Faults, look: &Look) -> Vec<Cell> {
    let outcome = match session.outcome {
        Outcome::Completed => Some(Role::Good),
        Outcome::Cut => Some(Role::Warn),
        _ => Some(Role::Bad),
    };
    let nobody = if is_hidden(session) { "?" } else { "-" };
    vec![
        session.id.to_string().into(),
        Cell(look.zone.seconds(session.span.first.ts), Some(Role::Dim)),
        client(session).into(),
        server(session).into(),
        likely_protocol(session).unwrap_or_else(|| "?".to_owned()).into(),
        tls(session),
        session.user.as_ref().map_or(nobody.to_owned(), |u| cut(&escape(&u.0), USER)).into(),
        faults.tell(session).into(),
        Cell(session.outcome.word().to_owned(), outcome),
        session.slowest_reply.map_or("-".to_owned(), micros).into(),
        match incomplete(session) {
            Some(missing) => Cell(missing, Some(Role::Warn)),
            None => "-".into(),
        },
        session.last_error.as_ref().map_or("-".to_owned(), |e| cut(&escape(&e.0), ERROR)).into(),
    ]
}

/// Why a handshake stayed closed, and how far; a renegotiation that failed left the TLS that was there.
fn shortfall(tls: &TlsHandshake) -> Option<(Reason, Decrypted)> {
    let reason = tls.reason?;
    (reason != Reason::HandshakeFailed || tls.handshake == 0).then_some((reason, tls.decrypted))
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
    match session.tls.iter().find_map(shortfall) {
        None => Cell(version.to_owned(), None),
        Some((Reason::HandshakeFailed, _)) => Cell(format!("{version} failed"), Some(Role::Bad)),
        Some((_, Decrypted::None)) => Cell(format!("{version} undecrypted"), Some(Role::Warn)),
        Some(_) => Cell(format!("{version} partly"), Some(Role::Warn)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let expected = "   ID  START (UTC)          CLIENT          SERVER        PROTOCOL  TLS                  USER   MAILS  OUTCOME     SLOWEST  MISSING                                      LAST ERROR    FILE
    1  2026-11-24 10:00:01  10.0.0.5:36034  10.0.0.9:587  SMTP      TLSv1.2              alice  1      completed  0.201004  -                                            535 5.7.8 no  mail.pcap
40000  2026-11-24 10:00:01  10.0.0.5:36034  10.0.0.9:587  SMTP?     TLSv1.2 undecrypted  ?      ?      cut               -  4,321 bytes not decrypted (forward-secrecy)  -             mail.pcap
";
        assert_eq!(table(vec![whole, closed], false), expected);
    }

    /// They were counted as if they had been delivered.
    #[test]
    fn messages_that_did_not_get_through_are_told() {
        let message = |direction, outcome, complete| Message { direction, outcome, complete, ..samples::message() };
        let (submitted, retrieved) = (MessageDirection::Submitted, MessageDirection::Retrieved);
        let list = [
            message(submitted, MessageOutcome::Accepted, true),
            message(submitted, MessageOutcome::Rejected, true),
            message(submitted, MessageOutcome::Rejected, false),
            message(submitted, MessageOutcome::Aborted, true),
            message(retrieved, MessageOutcome::Unknown, false),
            Message { part: MessagePart::Headers, ..message(submitted, MessageOutcome::Rejected, true) },
        ];
        let session = Session { messages: 4, ..samples::session() };
        let bodies = list.into_iter().map(|m| EventBody::Message(Box::new(m)));
        let bodies =
            bodies.chain([EventBody::Session(Box::new(session.clone())), EventBody::Session(Box::new(session))]);
        let mut sink = Sessions::new(Vec::new(), Look::default());
        let events = bodies.zip(1..).map(|(body, seq)| Event { session: 1, seq, span: samples::at(seq), body });
        samples::feed(&mut sink, events.collect());
        let text = String::from_utf8(sink.into_inner()).unwrap();
        let column = text.find("MAILS").unwrap();
        let cells: Vec<&str> = text.lines().map(|row| row[column..].split("  ").next().unwrap()).collect();
        assert_eq!(cells, ["MAILS", "4 (2 rejected, 1 unanswered, 1 incomplete)", "4"]);
    }

    #[test]
    fn proxies_are_named_with_whom_they_speak_for() {
        let proxied = Session { proxy_client: Some(([192, 0, 2, 1].into(), Some(4711))), ..samples::session() };
        assert_eq!(client(&proxied), "192.0.2.1:4711 via 10.0.0.5:36034");
        let told = |target: &str| server(&Session { proxied_to: Some(target.into()), ..samples::session() });
        assert_eq!(told("mx.example.com:25"), "mx.example.com:25 via 10.0.0.9:587");
        let long = format!("{}:25", "x".repeat(300));
        assert!(told(&long).ends_with("… via 10.0.0.9:587") && told(&long).chars().count() == PROXIED);
    }

    #[test]
    fn what_is_too_long_is_cut_for_all_rows_sakes() {
        let name = "x".repeat(300);
        let long =
            Session { user: Some(name.as_str().into()), last_error: Some(name.as_str().into()), ..samples::session() };
        let text = table(vec![long, samples::session()], false);
        let user = format!("  {}…  ", "x".repeat(USER - 1));
        assert!(text.contains(&user) && text.lines().all(|row| row.chars().count() < 330), "{text}");
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
        assert_eq!(told(Reason::HandshakeIncomplete, false, 0), "TLSv1.2 undecrypted");
        assert_eq!(told(Reason::NoKey, true, 4), "TLSv1.2 undecrypted");
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
