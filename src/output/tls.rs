//! A line a TLS handshake, or prose that explains it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use super::escape::escape;
use super::sessions::{Look, PEER, client, push_file, server};
use super::style::Role;
use super::table::{Cell, Column, Table};
use super::transcript::{count, end, frames, grouped, how_decrypted, protection};
use super::words::{Word, why_not};
use super::{Files, Sink};
use crate::event::{Certificate, Event, EventBody, Resumed, SecretSource, Security, Session, TlsHandshake};
use crate::pipeline::Report;
use crate::position::Timestamp;
use crate::tls::Reason;

const COLUMNS: &[Column] = &[
    Column::right("ID", 5, 10),
    Column::right("FRAME", 5, 8),
    Column::left("CLIENT", 17, PEER),
    Column::left("SERVER", 17, PEER),
    Column::left("VERSION", 7, 7),
    Column::left("SUITE", 28, 46),
    Column::left("RESUMED", 7, 10),
    Column::left("DECRYPTED", 9, 9),
    Column::left("WITH, OR WHY NOT", 16, 60),
];

/// Writes a table of handshakes, or explains them.
pub struct Tls<W: Write> {
    out: W,
    table: Option<Table>,
    look: Look,
    explain: bool,
    told: u64,
    files: Files,
    /// Handshakes whose session has not ended; those of what is no mail may never see one.
    held: BTreeMap<u64, Vec<TlsHandshake>>,
    count: usize,
}

/// Handshakes that are held.
const HELD: usize = 10_000;

impl<W: Write> Tls<W> {
    /// Writes to `out`; `explain` gives prose instead of a table.
    pub fn new(out: W, look: Look, explain: bool) -> Self {
        Tls { out, table: None, look, explain, told: 0, files: Files::default(), held: BTreeMap::new(), count: 0 }
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn release_all(&mut self) -> io::Result<()> {
        self.count = 0;
        for (id, handshakes) in std::mem::take(&mut self.held) {
            handshakes.iter().try_for_each(|tls| self.tell(id, None, tls))?;
        }
        Ok(())
    }

    fn tell(&mut self, id: u64, session: Option<&Session>, tls: &TlsHandshake) -> io::Result<()> {
        if !self.explain {
            let table = self.table.get_or_insert_with(|| self.look.table(COLUMNS, &self.files));
            let mut row = row(id, session, tls);
            push_file(&mut row, table, self.files.get(tls.span.first.file));
            return table.row(&mut self.out, row);
        }
        let mut text = String::new();
        if self.told > 0 {
            text.push('\n');
        }
        self.told += 1;
        explain(&mut text, id, session, tls, &self.look, &self.files);
        self.out.write_all(text.as_bytes())
    }
}

impl<W: Write> Sink for Tls<W> {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.files.push(name);
        Ok(())
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        match event.body {
            EventBody::Tls(tls) => {
                self.held.entry(event.session).or_default().push(*tls);
                self.count += 1;
                if self.count > HELD { self.release_all() } else { Ok(()) }
            }
            EventBody::Session(session) => {
                self.count -= self.held.remove(&event.session).map_or(0, |held| held.len());
                session.tls.iter().try_for_each(|tls| self.tell(event.session, Some(&session), tls))?;
                if self.look.live { self.out.flush() } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        self.release_all()?;
        if let Some(table) = &mut self.table {
            table.release(&mut self.out)?;
        }
        self.out.flush()
    }
}

fn row(id: u64, session: Option<&Session>, tls: &TlsHandshake) -> Vec<Cell> {
    let peer = |end: fn(&Session) -> String| session.map_or("-".to_owned(), end);
    let role = match tls.reason {
        None => Role::Good,
        Some(Reason::HandshakeFailed) => Role::Bad,
        Some(_) => Role::Warn,
    };
    vec![
        id.to_string().into(),
        tls.span.first.number.to_string().into(),
        peer(client).into(),
        peer(server).into(),
        tls.version.unwrap_or("-").into(),
        tls.suite.as_ref().map_or("-".to_owned(), |s| escape(s.as_bytes()).into_owned()).into(),
        tls.resumed.word().into(),
        Cell(tls.decrypted.word().to_owned(), Some(role)),
        short(tls).into(),
    ]
}

/// ` (client: unknown_ca)`: what made a handshake fail, if that was said.
fn failed_by(tls: &TlsHandshake) -> Option<String> {
    if tls.answered_in_clear {
        return Some(" (answered in the clear)".to_owned());
    }
    let alert = tls.alerts.iter().find(|alert| alert.fatal)?;
    let word = alert.description.strip_prefix("fatal ").unwrap_or(&alert.description);
    Some(format!(" ({}: {})", alert.dir.as_str(), escape(word.as_bytes())))
}

/// The key's name or the reason, in a word.
fn short(tls: &TlsHandshake) -> String {
    let mut out = match (tls.secret, &tls.key) {
        (Some(source), Some(key)) => format!("{} {}", source.word(), escape(key.as_bytes())),
        (Some(source), None) => source.word().to_owned(),
        (None, _) => String::new(),
    };
    if let Some(reason) = tls.reason {
        if !out.is_empty() {
            out.push_str("; ");
        }
        out.push_str(reason.as_str());
        if reason == Reason::HandshakeFailed {
            out.extend(failed_by(tls));
        }
    }
    if out.is_empty() { "-".to_owned() } else { out }
}

fn explain(out: &mut String, id: u64, session: Option<&Session>, tls: &TlsHandshake, look: &Look, files: &Files) {
    look.color.push(out, Role::Heading, &heading(id, session, tls, look));
    out.push('\n');

    let mut say = |name: &str, text: &str| {
        let _ = writeln!(out, "  {name:<12} {text}");
    };
    facts(&mut say, session, tls, look, files);
    // With a reason the last step is what to do about it.
    let (next, steps) = match (tls.reason, tls.steps.split_last()) {
        (Some(_), Some((last, steps))) => (Some(last), steps),
        _ => (None, tls.steps.as_slice()),
    };
    for (number, step) in steps.iter().enumerate() {
        let name = if number == 0 { "Story" } else { "" };
        say(name, &format!("{}. {}", number + 1, escape(step.as_bytes())));
    }
    say("Verdict", &verdict(tls));
    say("Records", &records(tls));
    if let Some(reason) = tls.reason {
        if let Some(next) = next {
            say("Next", &escape(next.as_bytes()));
        }
        say("Look up", &format!("`{reason}` in docs/diagnostics.md"));
    } else if tls.secret == Some(SecretSource::NoneNeeded) {
        say("Note", "the suite has no encryption: anyone on the path could read along");
    }
}

fn heading(id: u64, session: Option<&Session>, tls: &TlsHandshake, look: &Look) -> String {
    let mut out = format!("── {id}  {}", look.zone.millis(tls.span.first.ts));
    if let Some(session) = session {
        let _ = write!(out, "  {} → {}", session.client, session.server);
    }
    match session.filter(|s| s.protocol.is_some() || s.security != Security::None) {
        Some(session) => {
            let _ = write!(out, "  {}", protection(session));
        }
        None => out.push_str("  TLS"),
    }
    if tls.handshake > 0 {
        let _ = write!(out, ", renegotiation {}", tls.handshake);
    }
    out
}

/// What was seen of it, a line each.
fn facts(say: &mut dyn FnMut(&str, &str), session: Option<&Session>, tls: &TlsHandshake, look: &Look, files: &Files) {
    let file = files.get(tls.span.first.file);
    let within = if file.is_empty() { String::new() } else { format!(" of {}", escape(file.as_bytes())) };
    say(
        "Handshake",
        &format!(
            "{}{within}{}",
            frames(tls.span),
            match tls.reason {
                _ if tls.completed => "",
                Some(Reason::HandshakeFailed) => "; it broke off",
                _ => "; end not seen",
            }
        ),
    );
    if let Some(version) = tls.version {
        let suite = tls.suite.as_deref().unwrap_or("suite not seen");
        say("Agreed on", &format!("{version}, {}", escape(suite.as_bytes())));
    }
    if let Some(sni) = &tls.sni {
        say("Asked for", &escape(&sni.0));
    }
    if let Some(alpn) = &tls.alpn {
        say("Protocol", &escape(&alpn.0));
    }
    match tls.resumed {
        Resumed::No => {}
        Resumed::SessionId => say("Resumed", "by session ID: no certificate and no key exchange are sent again"),
        Resumed::Ticket => say("Resumed", "by session ticket: no certificate and no key exchange are sent again"),
        Resumed::Psk => say("Resumed", "by a pre-shared key, of an earlier session or agreed on in advance"),
    }
    for (name, certificate) in
        tls.certificate.iter().map(|c| ("Certificate", c)).chain(tls.client_certificate.iter().map(|c| ("Client's", c)))
    {
        say(name, &describe(certificate, tls.span.first.ts, look));
    }
    for alert in &tls.alerts {
        // What can't be read at a session's end is a farewell, mostly.
        let guess = if tls.completed && alert.description == "encrypted" { " (most likely close_notify)" } else { "" };
        say(
            "Alert",
            &format!(
                "by the {}, frame {}: {}{guess}",
                alert.dir.as_str(),
                alert.span.last.number,
                escape(alert.description.as_bytes())
            ),
        );
    }
    if let Some(session) = session.filter(|_| tls.reason == Some(Reason::HandshakeFailed)) {
        // A server that hangs up at once is another than one that leaves its client waiting.
        let after = session.span.last.ts.nanos_since(tls.span.last.ts) as f64 / 1e9;
        say("Ended", &format!("{}, {after:.3} s later", end(session)));
    }
}

/// Whether it is open, with what or why not.
fn verdict(tls: &TlsHandshake) -> String {
    match (tls.reason, how_decrypted(tls)) {
        // With what was opened is part of it.
        (Some(reason @ Reason::HandshakeFailed), Some(how)) => format!("{how} ({reason})"),
        (Some(reason), _) if tls.records_decrypted > 0 => {
            format!("decrypted in part; the rest not: {} ({reason})", why_not(reason).0)
        }
        (Some(reason), _) => format!("not decrypted: {} ({reason})", why_not(reason).0),
        (None, Some(how)) if tls.undecrypted_bytes > 0 => {
            format!("decrypted: {how}, except for records cut by missing bytes")
        }
        (None, Some(how)) => format!("decrypted: {how}"),
        (None, None) => "nothing was encrypted".to_owned(),
    }
}

/// How many records are open, and what is not.
fn records(tls: &TlsHandshake) -> String {
    let closed = match (tls.records_undecrypted, tls.undecrypted_bytes) {
        (0, 1..) => {
            let what = match tls.reason {
                Some(Reason::NotTls) => "that are not records",
                Some(Reason::HandshakeFailed) => "of a record that was not sent to its end",
                _ => "of records cut by missing bytes",
            };
            format!("0 not, and {} {what}", count(tls.undecrypted_bytes, "byte"))
        }
        (records, bytes) => format!("{} not ({})", grouped(records), count(bytes, "byte")),
    };
    format!("{} decrypted, {closed}", grouped(tls.records_decrypted))
}

fn describe(certificate: &Certificate, at: Timestamp, look: &Look) -> String {
    if certificate.key.is_empty() {
        return "not readable as X.509".to_owned();
    }
    let mut out = escape(certificate.subject.as_bytes()).into_owned();
    let _ = write!(out, ", {}", escape(certificate.key.as_bytes()));
    if let Some(from) = certificate.not_before {
        let _ = match certificate.not_after {
            Some(to) => write!(out, ", valid {} to {}", look.zone.day(from), look.zone.day(to)),
            None => write!(out, ", valid from {}, without an end", look.zone.day(from)),
        };
        // A remark, no more: clocks of captures are wrong as often as certificates are. Time 0 is no time.
        if at.0 > 0 && (at < from || certificate.not_after.is_some_and(|to| to < at)) {
            out.push_str(if at < from { " (not yet valid when captured)" } else { " (expired when captured)" });
        }
    }
    if certificate.subject == certificate.issuer {
        out.push_str(", self-signed");
    } else {
        let _ = write!(out, ", by {}", escape(certificate.issuer.as_bytes()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Alert, Decrypted};
    use crate::output::samples;
    use crate::position::Direction;

    fn write(tls: TlsHandshake, explain: bool, with_session: bool) -> String {
        let mut sink = Tls::new(Vec::new(), Look::default(), explain);
        let mut events = vec![Event {
            session: samples::SESSION,
            seq: 6,
            span: tls.span,
            body: EventBody::Tls(Box::new(tls.clone())),
        }];
        if with_session {
            let session = Session { tls: vec![tls], ..samples::session() };
            events.push(Event {
                seq: 7,
                span: session.span,
                body: EventBody::Session(Box::new(session)),
                ..events[0].clone()
            });
        }
        samples::feed(&mut sink, events);
        String::from_utf8(sink.into_inner()).unwrap()
    }

    #[test]
    fn a_line_a_handshake() {
        let expected = "ID  FRAME  CLIENT          SERVER        VERSION  SUITE                         RESUMED  DECRYPTED  WITH, OR WHY NOT    FILE
 1     11  10.0.0.5:36034  10.0.0.9:587  TLSv1.2  TLS_RSA_WITH_AES_128_CBC_SHA  no       all        rsa-key server.key  mail.pcap
";
        assert_eq!(write(samples::handshake(), false, true), expected);
    }

    #[test]
    fn handshakes_without_a_session_are_told_at_the_end() {
        let text = write(samples::closed(Reason::NoKey), false, false);
        assert_eq!(text.lines().count(), 2);
        assert!(text.ends_with("none       no-key            mail.pcap\n"), "{text}");
    }

    #[test]
    fn prose() {
        let mut tls = samples::closed(Reason::ForwardSecrecy);
        tls.suite = Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".into());
        tls.steps = vec!["the handshake ran to its end".into(), "a key log is needed".into()];
        tls.alerts = vec![Alert {
            dir: Direction::Client,
            description: "warning close_notify".into(),
            fatal: false,
            span: samples::at(35),
        }];
        let expected = "\
── 1  2026-11-24 10:00:01.188  10.0.0.5:36034 → 10.0.0.9:587  SMTP + STARTTLS
  Handshake    frames 11–14 of mail.pcap
  Agreed on    TLSv1.2, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
  Asked for    mail.example.test
  Certificate  CN=mail.example.test, RSA-2048, valid 2025-01-01 to 2027-01-01, by CN=Test CA
  Alert        by the client, frame 35: warning close_notify
  Story        1. the handshake ran to its end
  Verdict      not decrypted: forward secrecy (forward-secrecy)
  Records      0 decrypted, 12 not (4,321 bytes)
  Next         a key log is needed
  Look up      `forward-secrecy` in docs/diagnostics.md
";
        assert_eq!(write(tls, true, true), expected);
    }

    #[test]
    fn prose_of_a_handshake_that_broke_off() {
        let mut tls = samples::closed(Reason::HandshakeFailed);
        (tls.completed, tls.records_undecrypted, tls.undecrypted_bytes) = (false, 0, 0);
        let text = write(tls.clone(), true, true);
        assert!(text.contains("  Ended        connection closed by the client, 0.022 s later\n"), "{text}");
        let said = "  Verdict      handshake failed: broken off without an alert (handshake-failed)\n";
        assert!(text.contains(said), "{text}");
        // What was opened of it is no part of something whose rest is closed.
        (tls.secret, tls.records_decrypted, tls.decrypted) = (Some(SecretSource::KeyLog), 4, Decrypted::All);
        let alert = |description: &str| Alert {
            dir: Direction::Client,
            description: description.into(),
            fatal: true,
            span: samples::at(14),
        };
        tls.alerts = vec![alert("fatal unknown_ca")];
        let said = "  Verdict      key log server.key · handshake failed: the client does not trust the server's certificate \
                    (handshake-failed)\n";
        let tls = TlsHandshake { key: Some("server.key".into()), ..tls };
        let text = write(tls.clone(), true, true);
        assert!(text.contains(said), "{text}");
        let row = write(tls, false, true);
        assert!(row.contains("handshake-failed (client: unknown_ca)"), "{row}");
    }

    #[test]
    fn a_record_that_was_never_sent_whole_is_not_cut_by_a_loss() {
        let mut tls = samples::closed(Reason::HandshakeFailed);
        (tls.completed, tls.records_undecrypted, tls.undecrypted_bytes) = (false, 0, 3);
        let text = write(tls, true, true);
        let said = "  Records      0 decrypted, 0 not, and 3 bytes of a record that was not sent to its end\n";
        assert!(text.contains(said) && text.contains(" of mail.pcap; it broke off\n"), "{text}");
    }

    #[test]
    fn bytes_that_are_no_records_are_not_called_cut() {
        let mut tls = samples::closed(Reason::NotTls);
        (tls.records_undecrypted, tls.undecrypted_bytes) = (0, 29);
        let text = write(tls, true, true);
        assert!(text.contains("  Records      0 decrypted, 0 not, and 29 bytes that are not records\n"), "{text}");
    }

    #[test]
    fn prose_of_what_was_decrypted() {
        let text = write(samples::handshake(), true, true);
        assert!(text.contains("  Verdict      decrypted: key server.key (certificate match)\n"), "{text}");
        assert!(!text.contains("Look up"));
    }
}
