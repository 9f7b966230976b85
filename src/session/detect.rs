//! What is spoken here: judged by content of both directions, on any port.
//!
//! Everything is kept, in order, until the verdict; then it is replayed into the layer that was chosen. The bound is
//! [`crate::limits::Limits::detect_bytes`], after which the likeliest protocol is taken, or none.

use crate::event::Protocol;
use crate::mail::detect::{Likely, is_http};
use crate::mail::{Missing, imap, pop3, sieve, smtp};
use crate::position::{Direction, Span};
use crate::tls::record::{HEADER, Header, MAX_FRAGMENT};
use crate::tls::{Looks, looks_like_tls};

/// Where the beginning was not seen so many bytes hold two headers of TLS records, wherever within a record they begin.
const TWO_RECORDS: usize = 2 * (MAX_FRAGMENT + 2 * HEADER);

/// What is known of the beginning of the dialogue.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    Seen,
    Unseen,
    /// Which side serves is known by the port alone, too.
    UnseenRolesUnsure,
}

/// What a connection turned out to be.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Mail(Protocol),
    Tls,
    /// Nothing of mail.
    Other,
}

/// One thing that came while nothing was decided.
#[derive(Debug)]
pub(super) enum Waiting {
    Data { dir: Direction, bytes: Vec<u8>, span: Span },
    Gap { dir: Direction, missing: Missing },
    End { dir: Direction, span: Span },
}

/// Collects the beginning of a connection until it is plain what it is.
#[derive(Debug, Default)]
pub(super) struct Detector {
    waiting: Vec<Waiting>,
    /// The first bytes of each direction, up to its first gap.
    heads: [Vec<u8>; 2],
    closed: [bool; 2],
    /// Bytes are missing before the first: they may be the end of a line.
    beginning_missing: [bool; 2],
    bytes: usize,
    /// Bytes at the last look, so that a dialogue typed a byte at a time is not judged at every byte.
    judged: usize,
    /// Whether TLS may begin here (not inside TLS).
    tls_possible: bool,
    /// Both ports are servers', so that neither says which side serves.
    pub(super) ports_alike: bool,
}

impl Detector {
    pub(super) fn new(tls_possible: bool) -> Self {
        Detector { tls_possible, ..Detector::default() }
    }

    pub(super) fn data(&mut self, dir: Direction, bytes: &[u8], span: Span, limit: usize) {
        self.bytes += bytes.len();
        let i = dir.index();
        if !self.closed[i] {
            let room = limit.saturating_sub(self.heads[i].len());
            self.heads[i].extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        self.waiting.push(Waiting::Data { dir, bytes: bytes.to_vec(), span });
    }

    pub(super) fn gap(&mut self, dir: Direction, missing: Missing) {
        // A gap before the first byte leaves a beginning that is still worth judging.
        let fresh = self.heads[dir.index()].is_empty();
        self.beginning_missing[dir.index()] |= fresh;
        self.closed[dir.index()] |= !fresh;
        // With nothing in between, gaps are one gap a direction: a stream that never opens is no list of its records.
        for earlier in self.waiting.iter_mut().rev().take(2) {
            match earlier {
                Waiting::Gap { dir: same, missing: all } if *same == dir => {
                    all.len = all.len.saturating_add(missing.len);
                    all.tail &= missing.tail;
                    all.span = all.span.to(missing.span);
                    return;
                }
                Waiting::Gap { .. } => {}
                _ => break,
            }
        }
        self.waiting.push(Waiting::Gap { dir, missing });
    }

    pub(super) fn end(&mut self, dir: Direction, span: Span) {
        self.waiting.push(Waiting::End { dir, span });
    }

    /// Memory, roughly.
    pub(super) fn cost(&self) -> usize {
        const PIECE: usize = size_of::<Waiting>() + 32;
        2 * self.bytes + self.waiting.len() * PIECE
    }

    /// Whether there is anything to judge by.
    pub(super) fn has_bytes(&self) -> bool {
        self.bytes > 0
    }

    /// The first direction that spoke, and what it said, if nothing before it is known to be missing.
    pub(super) fn opening(&self) -> Option<(Direction, Vec<u8>)> {
        match self.waiting.first() {
            Some(Waiting::Data { dir, .. }) => Some((*dir, self.heads[dir.index()].clone())),
            _ => None,
        }
    }

    /// Gives up what was kept, in order.
    pub(super) fn take(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// The verdict, if there is one yet, and whether the side taken for the server is the client, where that is not
    /// sure. `hint` is what the port suggests, `last` says that no more will come or that the bound is reached.
    pub(super) fn judge(
        &mut self,
        hint: Option<Protocol>,
        beginning: Beginning,
        last: bool,
        limit: usize,
    ) -> Option<(Verdict, bool)> {
        let (unseen, roles_unsure) = (beginning != Beginning::Seen, beginning == Beginning::UnseenRolesUnsure);
        // On a mail port a capture that begins within a record of TLS is given time until that shows.
        let beginning_missing = self.beginning_missing.map(|missing| missing || unseen);
        let within_record = self.tls_possible
            && hint.is_some()
            && [0, 1].into_iter().any(|i| beginning_missing[i] && !is_charset_text(&self.heads[i]));
        let limit = if within_record { limit.max(TWO_RECORDS) } else { limit };
        let last = last || self.bytes >= limit || self.waiting.len() >= limit;
        let grown = self.bytes - self.judged;
        let newline = matches!(self.waiting.last(), Some(Waiting::Data { bytes, .. }) if bytes.contains(&b'\n'));
        if !last && !newline && self.judged > 8 && grown < self.judged / 2 {
            return None;
        }
        self.judged = self.bytes;
        let [client, server] = [&self.heads[0][..], &self.heads[1][..]];
        if self.tls_possible {
            match tls_verdict(client, server) {
                Looks::Yes => return Some((Verdict::Tls, roles_unsure && is_client_hello(server))),
                Looks::More if self.cut_hello() => return Some((Verdict::Tls, false)),
                Looks::More if !last => return None,
                _ if within_record && self.has_records(beginning_missing) => return Some((Verdict::Tls, false)),
                _ => {}
            }
        }
        if is_http(server) || (roles_unsure && is_http(client)) {
            return Some((Verdict::Other, false));
        }
        let (protocol, likely) = self.best(false, hint);
        let (other, swapped) = if roles_unsure { self.best(true, hint) } else { (Protocol::Smtp, Likely::No) };
        if likely == Likely::Yes || swapped == Likely::Yes {
            // A mail port is on the server's side, unless nothing that is said there fits.
            let swap = if hint.is_some() && !self.ports_alike { likely == Likely::No } else { swapped > likely };
            let swap = swap && swapped > likely;
            return Some((Verdict::Mail(if swap { other } else { protocol }), swap));
        }
        if !last {
            // On a mail port a capture may begin within a message: what looks like nothing is given time.
            let hopeless = likely == Likely::No && swapped == Likely::No && hint.is_none();
            return hopeless.then_some((Verdict::Other, false));
        }
        if let Some(hint) = hint
            && (unseen || self.beginning_missing.contains(&true))
            && likely < Likely::Maybe
            && self.bytes > 0
            && self.heads.iter().all(|head| is_charset_text(head))
        {
            // The middle of a mail, say.
            return Some((Verdict::Mail(hint), false));
        }
        match (likely, swapped) {
            (_, Likely::Maybe) if likely < Likely::Maybe => Some((Verdict::Mail(other), true)),
            (Likely::Maybe, _) => Some((Verdict::Mail(protocol), false)),
            // The server's lone line, `421 busy` say, or what a snapshot length left of it, could be its protocol's,
            // and so says the port.
            (Likely::NeedMore, _)
                if Some(protocol) == hint.map(spoken_as)
                    && (server.contains(&b'\n') || self.closed[1] && !server.is_empty()) =>
            {
                Some((Verdict::Mail(protocol), false))
            }
            _ => Some((Verdict::Other, false)),
        }
    }

    /// Whether a direction's first bytes, which a gap cut off, are the beginning of a handshake record.
    fn cut_hello(&self) -> bool {
        [0, 1].into_iter().any(|i| self.closed[i] && !self.beginning_missing[i] && is_cut_hello(&self.heads[i]))
    }

    /// Whether two TLS records follow each other anywhere in a direction whose beginning is missing.
    fn has_records(&self, beginning_missing: [bool; 2]) -> bool {
        let mut streams: [Vec<u8>; 2] = Default::default();
        for item in &self.waiting {
            match item {
                Waiting::Data { dir, bytes, .. } if beginning_missing[dir.index()] => {
                    streams[dir.index()].extend_from_slice(bytes)
                }
                Waiting::Gap { dir, .. } if has_records(&std::mem::take(&mut streams[dir.index()])) => return true,
                _ => {}
            }
        }
        streams.iter().any(|stream| has_records(stream))
    }

    /// The likeliest protocol, `swapped`: with the roles the other way round. A tie goes to the port's.
    fn best(&self, swapped: bool, hint: Option<Protocol>) -> (Protocol, Likely) {
        let hint = hint.map(spoken_as);
        let roles =
            |[client, server]: [&[u8]; 2]| if swapped { likely(server, client) } else { likely(client, server) };
        let whole = [0, 1].map(|i| self.heads[i].as_slice());
        let lines = [0, 1].map(|i| if self.beginning_missing[i] { behind_first_line(whole[i]) } else { whole[i] });
        let also = (lines != whole).then(|| roles(lines)).into_iter().flatten();
        roles(whole)
            .into_iter()
            .chain(also)
            .max_by_key(|&(protocol, likely)| (likely, Some(protocol) == hint, std::cmp::Reverse(protocol)))
            .unwrap_or((Protocol::Smtp, Likely::No))
    }
}

fn behind_first_line(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| end + 1);
    bytes.get(end..).unwrap_or_default()
}

/// Nothing but text, of any charset and with ISO 2022's escapes: greetings and mails are not all UTF-8.
fn is_charset_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| !byte.is_ascii_control() || matches!(byte, b'\t' | b'\r' | b'\n' | 0x1b))
}

fn tls_verdict(client: &[u8], server: &[u8]) -> Looks {
    let look = |bytes: &[u8]| if bytes.is_empty() { Looks::No } else { looks_like_tls(bytes) };
    match (look(client), look(server)) {
        (Looks::Yes, _) | (_, Looks::Yes) => Looks::Yes,
        (Looks::More, _) | (_, Looks::More) => Looks::More,
        _ => Looks::No,
    }
}

/// A record's header, and another of that version where the record ends.
fn has_records(stream: &[u8]) -> bool {
    (0..stream.len()).any(|at| {
        let at = stream.get(at..).unwrap_or_default();
        let next = Header::parse(at).filter(|header| header.len > 0);
        next.is_some_and(|header| {
            at.get(header.record_len()..).and_then(Header::parse).is_some_and(|next| next.version == header.version)
        })
    })
}

/// The first bytes of a handshake record, too few for more than that: nothing else begins so.
pub(super) fn is_cut_hello(bytes: &[u8]) -> bool {
    matches!(bytes, [0x16, 3] | [0x16, 3, 0..=4, ..])
}

/// A handshake record whose first message is a ClientHello (RFC 5246 §7.4), or SSLv2's.
fn is_client_hello(bytes: &[u8]) -> bool {
    matches!(bytes, [0x16, 3, _, _, _, 1, ..]) || matches!(bytes, [0x80..=0xff, _, 1, ..])
}

/// The protocol under which it is recognised: LMTP is told from SMTP by what is said.
fn spoken_as(protocol: Protocol) -> Protocol {
    if protocol == Protocol::Lmtp { Protocol::Smtp } else { protocol }
}

/// Whether a server's line, its end taken off, is surely a mail protocol's greeting.
pub(super) fn is_greeting(line: &[u8]) -> bool {
    let line = [line, b"\r\n"].concat();
    likely(&[], &line).iter().any(|&(_, likely)| likely == Likely::Yes)
}

/// How likely each protocol is.
fn likely(client: &[u8], server: &[u8]) -> [(Protocol, Likely); 4] {
    [
        (Protocol::Smtp, smtp::detect::likely(client, server)),
        (Protocol::Imap, imap::detect::likely(client, server)),
        (Protocol::Pop3, pop3::detect::likely(client, server)),
        (Protocol::Sieve, sieve::detect::likely(client, server)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn beginning(midway: bool) -> Beginning {
        if midway { Beginning::UnseenRolesUnsure } else { Beginning::Seen }
    }

    fn judge(detector: &mut Detector, hint: Option<Protocol>, midway: bool) -> Option<Verdict> {
        let limit = Limits::default().detect_bytes;
        detector.judge(hint, beginning(midway), false, limit).map(|(verdict, _)| verdict)
    }

    /// Neither text nor a header anywhere.
    fn ciphertext(len: u16) -> Vec<u8> {
        (0..len).map(|i| i.wrapping_mul(167) as u8).collect()
    }

    /// The end of a record as long as they get, then others.
    fn within_a_record() -> Vec<u8> {
        let record = |len: u16| [&[23, 3, 3][..], &len.to_be_bytes(), &ciphertext(len)].concat();
        [ciphertext(16_000), record(16_401), record(40)].concat()
    }

    #[test]
    fn a_beginning_within_a_tls_record_is_tls_on_a_mail_port() {
        let stream = within_a_record();
        for (midway, piece) in [(true, 1), (true, 1400), (false, 1400), (true, 40_000)] {
            let (mut detector, mut verdicts) = (Detector::new(true), Vec::new());
            if !midway {
                detector.gap(Direction::Server, Missing { len: 1000, tail: false, span: Span::default() });
            }
            for bytes in stream.chunks(piece) {
                detector.data(Direction::Server, bytes, Span::default(), Limits::default().detect_bytes);
                verdicts.extend(judge(&mut detector, Some(Protocol::Imap), midway));
            }
            let at_last = detector.judge(Some(Protocol::Imap), beginning(midway), true, 4096);
            verdicts.extend(at_last.map(|(verdict, _)| verdict));
            assert_eq!(verdicts.first(), Some(&Verdict::Tls), "{midway}, {piece} bytes at a time");
        }
    }

    #[test]
    fn what_is_no_record_is_something_else_within_a_bound() {
        for (hint, midway, most) in
            [(Some(Protocol::Imap), true, TWO_RECORDS), (Some(Protocol::Imap), false, 4096), (None, true, 1)]
        {
            let (mut detector, mut given) = (Detector::new(true), 0);
            let verdict = loop {
                detector.data(Direction::Server, &ciphertext(100), Span::default(), Limits::default().detect_bytes);
                given += 100;
                if let Some(verdict) = judge(&mut detector, hint, midway) {
                    break verdict;
                }
            };
            assert_eq!(verdict, Verdict::Other);
            assert!(given < most + 100, "{given}");
        }
    }

    #[test]
    fn the_middle_of_a_text_is_that_of_the_port_also_behind_a_gap() {
        let limit = Limits::default().detect_bytes;
        for (gap, beginning, expected) in [
            (true, Beginning::Seen, Verdict::Mail(Protocol::Imap)),
            (false, Beginning::Unseen, Verdict::Mail(Protocol::Imap)),
            (false, Beginning::Seen, Verdict::Other),
        ] {
            let mut detector = Detector::new(false);
            if gap {
                detector.gap(Direction::Server, Missing { len: 1000, tail: false, span: Span::default() });
            }
            detector.data(Direction::Server, &b"line of text\r\n".repeat(9), Span::default(), limit);
            let verdict = detector.judge(Some(Protocol::Imap), beginning, true, limit);
            assert_eq!(verdict, Some((expected, false)), "{gap} {beginning:?}");
        }
    }
}
