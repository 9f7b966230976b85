//! The second pass of `mailcap decrypt --plaintext`: each mail session as a TCP connection without TLS.
//!
//! Wireshark hands what follows an accepted STARTTLS to its TLS dissector, whatever it is; so what was inside TLS is a
//! connection of its own, between the same endpoints, that begins where the first one ends.

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::io::{self, Write};

use super::Found;
use super::ends::Ends;
use super::packets::{self, Kind, SEGMENT, Wire};
use crate::capture::LinkType;
use crate::event::{EndReason, Event, EventBody, Plain, Session};
use crate::fmt::count;
use crate::output::escape::escape;
use crate::output::pcapng::{Packet, Writer};
use crate::output::{Files, Sink};
use crate::pipeline::Report;
use crate::position::{Direction, Span, Timestamp};

/// Raw IP: no link layer is made up.
const RAW: LinkType = LinkType(101);

/// Bytes of packets that wait for their turn in time.
const WAITING: usize = 32 << 20;

/// The sink of the second pass. Wants [`crate::mail::Options::plaintext`].
///
/// Packets are written by rising time, but for those that came more than 32 MiB of packets late.
pub struct Plaintext<'a, W: Write> {
    writer: &'a mut Writer<W>,
    sessions: &'a BTreeMap<u64, Found>,
    ends: Ends,
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
    /// The side whose packets are made, if the other one's were not captured.
    heard: Option<Direction>,
    has_gaps: bool,
    tls: bool,
    /// Time of its last packet: time does not run backwards in a session.
    clock: Timestamp,
    /// What its first packet is to say, where that is still to come.
    comment: String,
    /// Its last packet, where any may be cut: that shows behind it.
    last: Option<(Direction, Ready)>,
}

/// A packet, in the order of writing.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Ready {
    ts: Timestamp,
    number: u64,
    data: Vec<u8>,
    /// It has a payload.
    holds_data: bool,
    /// Bytes of it that are not there.
    cut: u32,
    comment: String,
}

impl<'a, W: Write> Plaintext<'a, W> {
    /// Writes the sessions that the first pass found to `writer`.
    pub fn new(writer: &'a mut Writer<W>, sessions: &'a BTreeMap<u64, Found>) -> Self {
        Plaintext {
            writer,
            sessions,
            ends: Ends::new(sessions),
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

    fn push(&mut self, ready: Ready) -> io::Result<()> {
        self.bytes += ready.data.len() + ready.comment.len() + size_of::<Ready>();
        self.waiting.push(std::cmp::Reverse(ready));
        while self.bytes > WAITING {
            self.write_one()?;
        }
        Ok(())
    }

    fn write_one(&mut self) -> io::Result<()> {
        let Some(std::cmp::Reverse(ready)) = self.waiting.pop() else { return Ok(()) };
        let Ready { ts, data, cut, comment, .. } = ready;
        self.bytes = self.bytes.saturating_sub(data.len() + comment.len() + size_of::<Ready>());
        let interface = match self.interface {
            Some(interface) => interface,
            None => *self.interface.insert(self.writer.interface(RAW, "decrypted by mailcap")?),
        };
        let original_len = u32::try_from(data.len()).unwrap_or(u32::MAX).saturating_add(cut);
        self.writer.packet(&Packet { interface, ts, data: &data, original_len, comment: &comment })
    }

    fn first_wire(&self, id: u64, found: &Found) -> Wire {
        Wire::new(id, self.ends.of(id, found))
    }

    /// Opens the connection of a session, or the one of its part inside TLS; without a handshake where it begins
    /// `midway`.
    fn open(&mut self, id: u64, found: Found, wire: Wire, tls: bool, midway: bool, at: Timestamp) -> io::Result<Open> {
        let origin = self.origin(found.span);
        let mut comment = format!("mailcap: session {id}, {} → {}, {origin}", found.client, found.server);
        if tls {
            comment.push_str("; from here on inside TLS");
        }
        if midway {
            comment.push_str("; its beginning is missing");
        }
        let mut open = Open { wire, heard: found.heard, has_gaps: found.has_gaps, tls, clock: at, comment, last: None };
        if midway {
            for dir in [Direction::Client, Direction::Server] {
                open.wire.skip(dir, 1);
            }
            return Ok(open);
        }
        for (dir, kind) in
            [(Direction::Client, Kind::Syn), (Direction::Server, Kind::SynAck), (Direction::Client, Kind::Ack)]
        {
            self.send(&mut open, dir, kind, &[], "")?;
        }
        Ok(open)
    }

    /// A packet, unless it is of a side that was not captured.
    fn send(&mut self, open: &mut Open, dir: Direction, kind: Kind, payload: &[u8], comment: &str) -> io::Result<()> {
        let data = open.wire.packet(dir, kind, payload)?;
        if open.heard.is_some_and(|heard| heard != dir) {
            return Ok(());
        }
        let first = std::mem::take(&mut open.comment);
        let between = if first.is_empty() || comment.is_empty() { "" } else { "; " };
        self.made += 1;
        let comment = format!("{first}{between}{comment}");
        let holds_data = !payload.is_empty();
        let ready = Ready { ts: open.clock, number: self.made, data, holds_data, cut: 0, comment };
        if !open.has_gaps {
            return self.push(ready);
        }
        match open.last.replace((dir, ready)) {
            Some((_, before)) => self.push(before),
            None => Ok(()),
        }
    }

    /// A connection is over.
    fn leave(&mut self, open: Open) -> io::Result<()> {
        match open.last {
            Some((_, last)) => self.push(last),
            None => Ok(()),
        }
    }

    fn close(&mut self, open: &mut Open, first: Direction) -> io::Result<()> {
        for (dir, kind) in [(first, Kind::Fin), (first.opposite(), Kind::Fin), (first, Kind::Ack)] {
            self.send(open, dir, kind, &[], "")?;
        }
        Ok(())
    }

    fn plain(&mut self, id: u64, span: Span, plain: &Plain) -> io::Result<()> {
        let Some(&found) = self.sessions.get(&id) else { return Ok(()) };
        let mut open = match self.open.remove(&id) {
            Some(open) => open,
            None => self.open(id, found, self.first_wire(id, &found), plain.tls, found.midway, found.span.first.ts)?,
        };
        let mut lost = [Direction::Client, Direction::Server].map(|dir| (dir, plain.lost[dir.index()]));
        // Of the packet that was written last, be it the answer to STARTTLS.
        if let Some((dir, last)) = &mut open.last {
            let cut = plain.cut[dir.index()];
            if cut > 0 && last.holds_data && packets::cut(&mut last.data, cut).is_some() {
                last.cut = cut.into();
                open.wire.skip(*dir, cut.into());
                lost[dir.index()].1 -= u64::from(cut);
            }
        }
        if plain.tls && !open.tls {
            self.close(&mut open, Direction::Client)?;
            let next = self.open(id, found, open.wire.successor(), true, false, open.clock)?;
            self.leave(std::mem::replace(&mut open, next))?;
        }
        open.clock = open.clock.max(span.last.ts);
        let mut comment = self.origin(span);
        let lost = lost.into_iter().filter(|(_, lost)| *lost > 0);
        for (dir, lost) in lost.clone() {
            open.wire.skip(dir, lost);
            let what = if plain.tls { "'s TLS" } else { "'s" };
            comment.push_str(&format!("; {} of the {}{what} missing before it", count(lost, "byte"), dir.as_str()));
        }
        if plain.bytes.is_empty() {
            // Nothing followed what is missing.
            for (dir, _) in lost {
                self.send(&mut open, dir, Kind::Ack, &[], &comment)?;
            }
        }
        for bytes in plain.bytes.chunks(SEGMENT) {
            self.send(&mut open, plain.dir, Kind::Data, bytes, &comment)?;
        }
        self.open.insert(id, open);
        Ok(())
    }

    fn end(&mut self, id: u64, span: Span, session: &Session) -> io::Result<()> {
        let Some(&found) = self.sessions.get(&id) else { return Ok(()) };
        let mut open = match self.open.remove(&id) {
            Some(open) => open,
            None => self.open(id, found, self.first_wire(id, &found), false, found.midway, span.first.ts)?,
        };
        open.clock = open.clock.max(span.last.ts);
        let by = session.ended_by.unwrap_or(Direction::Client);
        match session.end_reason {
            EndReason::Fin => self.close(&mut open, by)?,
            EndReason::Rst => {
                if let Some(first) = session.closed_by.filter(|&first| first != by) {
                    self.send(&mut open, first, Kind::Fin, &[], "")?;
                }
                self.send(&mut open, by, Kind::Rst, &[], "")?;
            }
            // Its end was not captured.
            EndReason::Timeout | EndReason::Reused | EndReason::Evicted | EndReason::Eof => {}
        }
        self.leave(open)
    }
}

impl<W: Write> Sink for Plaintext<'_, W> {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.files.push(name.rsplit(['/', '\\']).next().unwrap_or(name));
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
        for (_, open) in std::mem::take(&mut self.open) {
            self.leave(open)?;
        }
        while !self.waiting.is_empty() {
            self.write_one()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Capture, Item};
    use crate::event::Protocol;
    use crate::limits::Limits;
    use crate::output::samples;
    use crate::position::FramePos;
    use crate::wire::{Decoded, Decoder, Segment};

    /// Its initial sequence number is 0.
    const ID: u64 = 1 << 32;

    fn at(number: u64) -> Span {
        Span::at(FramePos { index: number, number, ts: Timestamp(number as i64 * 1000), ..FramePos::default() })
    }

    fn plain(session: u64, number: u64, dir: Direction, tls: bool, lost: u64, bytes: &[u8]) -> Event {
        let mut missing = [0; 2];
        missing[dir.index()] = lost;
        let body = EventBody::Plain(Plain { dir, tls, lost: missing, cut: [0; 2], bytes: bytes.to_vec() });
        Event { session, seq: number, span: at(number), body }
    }

    /// `seq`, `ack`, destination's port, payload of each packet, by time as written.
    fn packets(events: Vec<Event>, server: &str, protocol: Protocol) -> Vec<(u32, u32, u16, Vec<u8>)> {
        packets_of(events, server, protocol, false)
    }

    fn packets_of(events: Vec<Event>, server: &str, protocol: Protocol, midway: bool) -> Vec<(u32, u32, u16, Vec<u8>)> {
        let client = "[2001:db8::1]:40000".parse().unwrap();
        let server = server.parse().unwrap();
        let found = Found { protocol: Some(protocol), span: at(1), midway, ..Found::sample(client, server) };
        let mut out = Vec::new();
        each_segment(events, found, |s| out.push((s.seq, s.ack, s.dst.port(), s.payload.to_vec())));
        out
    }

    fn each_segment(events: Vec<Event>, found: Found, mut see: impl FnMut(&Segment<'_>)) {
        let mut another = found;
        another.client.set_port(found.client.port() + 1);
        let sessions = [(ID, found), (ID + 1, another)].into();
        let mut writer = Writer::new(Vec::new(), "test").unwrap();
        let mut sink = Plaintext::new(&mut writer, &sessions);
        sink.add_file("/secret/folder/mail.pcap").unwrap();
        for event in events {
            sink.event(event).unwrap();
        }
        sink.finish(&Report::default()).unwrap();
        let file = writer.finish().unwrap();
        assert!(!file.windows(6).any(|w| w == b"folder"), "names of folders are nobody's business");
        let limits = Limits::default();
        let mut capture = Capture::from_reader("x", Box::new(io::Cursor::new(file)), &limits).unwrap();
        let (mut decoder, mut last) = (Decoder::new(&limits), Timestamp(0));
        while let Some(item) = capture.next() {
            let frame = match item {
                Item::Frame(frame) => frame,
                Item::Comment { .. } => continue,
                other => panic!("{other:?}"),
            };
            assert!(frame.pos.ts >= last, "time runs backwards");
            last = frame.pos.ts;
            let Decoded::Segment(segment) = decoder.decode(&frame) else { panic!("no segment") };
            see(&segment);
        }
    }

    #[test]
    fn losses_are_missing_sequence_numbers() {
        use Direction::{Client, Server};
        let events = vec![
            plain(ID, 2, Server, false, 0, b"+OK\r\n"),
            plain(ID, 3, Client, false, 0, b"QUIT\r\n"),
            plain(ID, 4, Server, false, 1000, b"+OK bye\r\n"),
        ];
        let got = packets(events, "[2001:db8::2]:995", Protocol::Pop3);
        let want: Vec<(u32, u32, u16, &[u8])> = vec![
            (0, 0, 110, b""),
            (0, 1, 40000, b""),
            (1, 1, 110, b""),
            (1, 1, 40000, b"+OK\r\n"),
            (1, 6, 110, b"QUIT\r\n"),
            (1006, 7, 40000, b"+OK bye\r\n"),
        ];
        assert_eq!(got, want.into_iter().map(|(s, a, p, b)| (s, a, p, b.to_vec())).collect::<Vec<_>>());
    }

    #[test]
    fn what_the_snapshot_length_cut_off_is_missing_in_its_packet() {
        use Direction::{Client, Server};
        let cut = |dir, number, bytes: &[u8], cut: [u16; 2]| {
            let body =
                EventBody::Plain(Plain { dir, tls: false, lost: cut.map(u64::from), cut, bytes: bytes.to_vec() });
            Event { session: ID, seq: number, span: at(number), body }
        };
        for (client, server) in [("[2001:db8::1]:40000", "[2001:db8::2]:25"), ("10.0.0.1:40000", "10.0.0.2:25")] {
            let found = Found { span: at(1), ..Found::sample(client.parse().unwrap(), server.parse().unwrap()) };
            let events = vec![
                cut(Server, 2, b"220 mx.example ESMTP Post", [0; 2]),
                cut(Client, 3, b"EHLO c\r\n", [0, 5]),
                // More than fits a packet.
                cut(Server, 4, b"250 mx", [u16::MAX, 0]),
            ];
            let mut missing = Vec::new();
            each_segment(events, found, |segment| missing.push((segment.seq, segment.missing_tail)));
            assert_eq!(missing[3..], [(1, 5), (1, 0), (31, 0)], "{server}");
        }
    }

    #[test]
    fn concurrent_sessions_are_written_by_time() {
        use Direction::Server;
        // The other session was recognised later, and is told behind.
        let events =
            vec![plain(ID, 5, Server, false, 0, b"220 a\r\n"), plain(ID + 1, 3, Server, false, 0, b"220 b\r\n")];
        let got = packets(events, "[2001:db8::2]:587", Protocol::Smtp);
        let said: Vec<&[u8]> = got.iter().map(|p| &p.3[..]).filter(|b| !b.is_empty()).collect();
        assert_eq!(said, [b"220 b\r\n", b"220 a\r\n"]);
        assert!(got.iter().any(|p| p.2 == 587), "a port that is looked at stays");
    }

    #[test]
    fn what_begins_in_the_middle_has_no_handshake() {
        use Direction::{Client, Server};
        let events = vec![
            plain(ID, 2, Client, false, 0, b"half a mail\r\n.\r\n"),
            plain(ID, 3, Server, false, 0, b"250 Ok\r\n"),
        ];
        let got = packets_of(events, "[2001:db8::2]:25", Protocol::Smtp, true);
        let numbers: Vec<_> = got.iter().map(|(seq, ack, port, _)| (*seq, *ack, *port)).collect();
        assert_eq!(numbers, [(1, 1, 25), (1, 17, 40000)]);
    }

    #[test]
    fn ends_are_those_of_the_session() {
        let end = |end_reason, closed_by| {
            let ended_by = Some(Direction::Server);
            let session = Session { end_reason, ended_by, closed_by: Some(closed_by), ..samples::session() };
            let events = vec![
                plain(ID, 2, Direction::Client, true, 0, &vec![b'x'; 2 * SEGMENT + 1]),
                Event { session: ID, seq: 3, span: at(3), body: EventBody::Session(Box::new(session)) },
            ];
            packets(events, "[2001:db8::2]:993", Protocol::Imap).len()
        };
        let without = end(EndReason::Eof, Direction::Server);
        assert_eq!(without, 3 + 3, "long pieces are split");
        assert_eq!(end(EndReason::Rst, Direction::Server), without + 1);
        assert_eq!(end(EndReason::Rst, Direction::Client), without + 2, "a FIN, answered by a RST");
        assert_eq!(end(EndReason::Fin, Direction::Server), without + 3);
    }
}
