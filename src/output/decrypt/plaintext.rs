//! The second pass of `mailcap decrypt --plaintext`: each mail session as a TCP connection without TLS.
//!
//! Wireshark hands what follows an accepted STARTTLS to its TLS dissector, whatever it is; so what was inside TLS is a
//! connection of its own, between the same endpoints, that begins where the first one ends.

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::io::{self, Write};
use std::net::SocketAddr;

use super::Found;
use super::packets::{Kind, SEGMENT, Wire};
use crate::capture::LinkType;
use crate::event::{EndReason, Event, EventBody, Plain, Protocol, Session};
use crate::output::escape::escape;
use crate::output::pcapng::{Packet, Writer};
use crate::output::{Files, Sink};
use crate::pipeline::Report;
use crate::position::{Direction, Span, Timestamp};

/// Raw IP: no link layer is made up.
const RAW: LinkType = LinkType(101);

/// Bytes of packets that wait for their turn in time.
const WAITING: usize = 32 << 20;

/// Ports on which Wireshark looks for each protocol.
fn ports(protocol: Protocol) -> &'static [u16] {
    match protocol {
        Protocol::Smtp | Protocol::Lmtp => &[25, 587],
        Protocol::Imap => &[143],
        Protocol::Pop3 => &[110],
        Protocol::Sieve => &[4190],
    }
}

/// The server, at a port on which its protocol is looked for.
fn dissected(server: SocketAddr, protocol: Option<Protocol>) -> SocketAddr {
    let known = protocol.map(ports).unwrap_or_default();
    match known.first() {
        Some(&first) if !known.contains(&server.port()) => SocketAddr::new(server.ip(), first),
        _ => server,
    }
}

fn first_wire(found: Found) -> Wire {
    Wire::new(found.client, dissected(found.server, found.protocol))
}

/// The sink of the second pass. Wants [`crate::mail::Options::plaintext`].
///
/// Packets are written by rising time, but for those that came more than 32 MiB of packets late.
pub struct Plaintext<'a, W: Write> {
    writer: &'a mut Writer<W>,
    sessions: &'a BTreeMap<u64, Found>,
    files: Files,
    interface: Option<u32>,
    open: HashMap<u64, Open>,
    waiting: BinaryHeap<std::cmp::Reverse<Ready>>,
    bytes: usize,
    made: u64,
}

/// A session that is going on.
struct Open {
    wire: Wire,
    tls: bool,
    /// Time of its last packet: time does not run backwards in a session.
    clock: Timestamp,
}

/// A packet, in the order of writing.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Ready {
    ts: Timestamp,
    number: u64,
    data: Vec<u8>,
    comment: String,
}

impl<'a, W: Write> Plaintext<'a, W> {
    /// Writes the sessions that the first pass found to `writer`.
    pub fn new(writer: &'a mut Writer<W>, sessions: &'a BTreeMap<u64, Found>) -> Self {
        Plaintext {
            writer,
            sessions,
            files: Files::default(),
            interface: None,
            open: HashMap::new(),
            waiting: BinaryHeap::new(),
            bytes: 0,
            made: 0,
        }
    }

    /// Packets made.
    pub fn packets(&self) -> u64 {
        self.made
    }

    /// `frame 15 of mail.pcap`, `frames 15–17 of mail.pcap`.
    fn origin(&self, span: Span) -> String {
        let (first, last) = (span.first, span.last);
        let name = |file| escape(self.files.get(file).as_bytes()).into_owned();
        if first.file != last.file {
            format!("frame {} of {} to frame {} of {}", first.number, name(first.file), last.number, name(last.file))
        } else if first.number == last.number {
            format!("frame {} of {}", last.number, name(last.file))
        } else {
            format!("frames {}–{} of {}", first.number, last.number, name(last.file))
        }
    }

    fn push(&mut self, ts: Timestamp, data: Vec<u8>, comment: String) -> io::Result<()> {
        self.made += 1;
        self.bytes += data.len() + comment.len() + size_of::<Ready>();
        self.waiting.push(std::cmp::Reverse(Ready { ts, number: self.made, data, comment }));
        while self.bytes > WAITING {
            self.write_one()?;
        }
        Ok(())
    }

    fn write_one(&mut self) -> io::Result<()> {
        let Some(std::cmp::Reverse(ready)) = self.waiting.pop() else { return Ok(()) };
        let Ready { ts, data, comment, .. } = ready;
        self.bytes = self.bytes.saturating_sub(data.len() + comment.len() + size_of::<Ready>());
        let interface = match self.interface {
            Some(interface) => interface,
            None => *self.interface.insert(self.writer.interface(RAW, "decrypted by mailcap")?),
        };
        let original_len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        self.writer.packet(&Packet { interface, ts, data: &data, original_len, comment: &comment })
    }

    /// Opens the connection of a session, or the one of its part inside TLS.
    fn open(&mut self, id: u64, found: Found, mut wire: Wire, tls: bool, at: Timestamp) -> io::Result<Open> {
        let origin = self.origin(found.span);
        let mut comment = format!("mailcap: session {id}, {} → {}, {origin}", found.client, found.server);
        if tls {
            comment.push_str("; from here on inside TLS");
        }
        for (dir, kind) in
            [(Direction::Client, Kind::Syn), (Direction::Server, Kind::SynAck), (Direction::Client, Kind::Ack)]
        {
            let data = wire.packet(dir, kind, &[])?;
            self.push(at, data, std::mem::take(&mut comment))?;
        }
        Ok(Open { wire, tls, clock: at })
    }

    fn close(&mut self, open: &mut Open, first: Direction, at: Timestamp) -> io::Result<()> {
        open.clock = open.clock.max(at);
        for (dir, kind) in [(first, Kind::Fin), (first.opposite(), Kind::Fin), (first, Kind::Ack)] {
            let data = open.wire.packet(dir, kind, &[])?;
            self.push(open.clock, data, String::new())?;
        }
        Ok(())
    }

    fn plain(&mut self, id: u64, span: Span, plain: &Plain) -> io::Result<()> {
        let Some(&found) = self.sessions.get(&id) else { return Ok(()) };
        let mut open = match self.open.remove(&id) {
            Some(open) => open,
            None => self.open(id, found, first_wire(found), plain.tls, found.span.first.ts)?,
        };
        if plain.tls && !open.tls {
            let clock = open.clock;
            self.close(&mut open, Direction::Client, clock)?;
            open = self.open(id, found, open.wire.successor(), true, clock)?;
        }
        open.clock = open.clock.max(span.last.ts);
        open.wire.skip(plain.dir, plain.lost);
        let mut comment = self.origin(span);
        if plain.lost > 0 {
            let most = if plain.tls { "at most " } else { "" };
            comment.push_str(&format!("; {most}{} bytes before it are missing", plain.lost));
        }
        for bytes in plain.bytes.chunks(SEGMENT) {
            let data = open.wire.packet(plain.dir, Kind::Data, bytes)?;
            self.push(open.clock, data, comment.clone())?;
        }
        self.open.insert(id, open);
        Ok(())
    }

    fn end(&mut self, id: u64, span: Span, session: &Session) -> io::Result<()> {
        let Some(&found) = self.sessions.get(&id) else { return Ok(()) };
        let mut open = match self.open.remove(&id) {
            Some(open) => open,
            None => self.open(id, found, first_wire(found), false, span.first.ts)?,
        };
        let by = session.ended_by.unwrap_or(Direction::Client);
        match session.end_reason {
            EndReason::Fin => self.close(&mut open, by, span.last.ts),
            EndReason::Rst => {
                let data = open.wire.packet(by, Kind::Rst, &[])?;
                self.push(open.clock.max(span.last.ts), data, String::new())
            }
            // Its end was not captured.
            EndReason::Timeout | EndReason::Reused | EndReason::Evicted | EndReason::Eof => Ok(()),
        }
    }
}

impl<W: Write> Sink for Plaintext<'_, W> {
    fn begin(&mut self, files: &[String]) -> io::Result<()> {
        let base = |name: &String| name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned();
        self.files = Files::new(&files.iter().map(base).collect::<Vec<_>>());
        Ok(())
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        match &event.body {
            EventBody::Plain(plain) => self.plain(event.session, event.span, plain),
            EventBody::Session(session) => self.end(event.session, event.span, session),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        while !self.waiting.is_empty() {
            self.write_one()?;
        }
        Ok(())
    }
}
