//! HAProxy's PROXY protocol header, versions 1 and 2: what a proxy puts in front of the client's first byte, be that a
//! command or TLS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::mail::Held;
use crate::position::Span;

/// An address as a header names it.
pub(super) type Client = Option<(IpAddr, Option<u16>)>;

/// The first bytes of a direction, while they may be a header.
#[derive(Debug, Default)]
pub(super) enum Preamble {
    /// Nothing came yet.
    #[default]
    Fresh,
    /// The beginning of a header, perhaps.
    Collecting(Box<Held>),
    /// No header can come any more.
    Over,
}

impl Preamble {
    /// Adds bytes. Once it is plain whether there is a header: what came so far, how much of it is the header, and whom
    /// that names.
    pub(super) fn take(&mut self, bytes: &[u8], span: Span) -> Option<(Held, usize, Option<Client>)> {
        let mut held = match std::mem::replace(self, Preamble::Over) {
            Preamble::Collecting(held) => Held { span: held.span.to(span), ..*held },
            _ => Held { bytes: Vec::new(), span },
        };
        held.bytes.extend_from_slice(bytes);
        match parse(&held.bytes) {
            Header::NeedMore => {
                *self = Preamble::Collecting(Box::new(held));
                None
            }
            Header::None => Some((held, 0, None)),
            Header::Proxy(len, client) => Some((held, len, Some(client))),
        }
    }

    /// The other side speaks. Unless they are certainly the beginning of a header, these were none, and none comes
    /// later.
    pub(super) fn give_up(&mut self) -> Option<Held> {
        match self {
            Preamble::Collecting(held) if is_header(&held.bytes) => None,
            _ => self.end(),
        }
    }

    /// No more bytes come that belong to these, and no header comes later.
    pub(super) fn end(&mut self) -> Option<Held> {
        match std::mem::replace(self, Preamble::Over) {
            Preamble::Collecting(held) => Some(*held),
            _ => None,
        }
    }

    /// Whether bytes must be looked at: the first byte tells, nearly always.
    pub(super) fn concerns(&self, bytes: &[u8]) -> bool {
        match self {
            Preamble::Fresh => parse(bytes) != Header::None,
            Preamble::Collecting(_) => true,
            Preamble::Over => false,
        }
    }
}

/// The address of a header for a person.
pub(super) fn endpoint(client: Client) -> String {
    match client {
        Some((address, Some(port))) => std::net::SocketAddr::new(address, port).to_string(),
        Some((address, None)) => address.to_string(),
        None => "no address given".to_owned(),
    }
}

const V1: &[u8] = b"PROXY ";
/// The specification's bound is 107 bytes.
const V1_BYTES: usize = 128;
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What the client's first bytes are.
#[derive(Debug, PartialEq, Eq)]
enum Header {
    /// Not a PROXY header.
    None,
    /// Too few bytes to tell, or to read it.
    NeedMore,
    /// A header of that many bytes; the address is absent for `UNKNOWN` and `LOCAL`.
    Proxy(usize, Client),
}

/// Reads the header at the beginning of `bytes`.
fn parse(bytes: &[u8]) -> Header {
    if begins(bytes, V1) {
        return match bytes.iter().take(V1_BYTES).position(|&b| b == b'\n') {
            Some(end) => Header::Proxy(end + 1, bytes.get(..end).and_then(v1)),
            None if bytes.len() < V1_BYTES => Header::NeedMore,
            None => Header::None,
        };
    }
    if begins(bytes, V2) {
        let Some((head, rest)) = bytes.split_first_chunk::<16>() else { return Header::NeedMore };
        let [.., command, family, high, low] = *head;
        let len = usize::from(u16::from_be_bytes([high, low]));
        let Some(body) = rest.get(..len) else { return Header::NeedMore };
        return Header::Proxy(16 + len, if command & 0x0f == 1 { v2(family, body) } else { None });
    }
    Header::None
}

/// Whether bytes that are not all of a header begin one, and nothing else.
pub(super) fn is_header(bytes: &[u8]) -> bool {
    let words = [&b"PROXY TCP4 "[..], b"PROXY TCP6 ", b"PROXY UNKNOWN", V2];
    words.iter().any(|words| bytes.starts_with(words))
}

fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    let n = bytes.len().min(signature.len());
    bytes.get(..n) == signature.get(..n)
}

fn v1(line: &[u8]) -> Client {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace().skip(1);
    if !matches!(words.next()?, "TCP4" | "TCP6") {
        return None;
    }
    let address = words.next()?.parse().ok()?;
    let port = words.nth(1).and_then(|p| p.parse().ok());
    Some((address, port))
}

fn v2(family: u8, body: &[u8]) -> Client {
    let port = |at: usize| body.get(at..)?.first_chunk::<2>().map(|p| u16::from_be_bytes(*p));
    match family >> 4 {
        1 => Some((Ipv4Addr::from(*body.first_chunk::<4>()?).into(), port(8))),
        2 => Some((Ipv6Addr::from(*body.first_chunk::<16>()?).into(), port(32))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1() {
        let header = b"PROXY TCP4 198.51.100.23 203.0.113.5 51234 25\r\nEHLO";
        assert_eq!(parse(header), Header::Proxy(47, Some(("198.51.100.23".parse().unwrap(), Some(51234)))));
        for n in 0..47 {
            assert_eq!(parse(&header[..n]), Header::NeedMore, "{n}");
        }
        let header = b"PROXY TCP6 2001:db8::1 2001:db8::2 4 25\r\n";
        assert_eq!(parse(header), Header::Proxy(header.len(), Some(("2001:db8::1".parse().unwrap(), Some(4)))));
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), Header::Proxy(15, None));
        assert_eq!(parse(b"PROXY garbage here\r\n"), Header::Proxy(20, None));
        assert_eq!(parse(b"EHLO"), Header::None);
        assert_eq!(parse(&[&b"PROXY "[..], &[b'x'; 200]].concat()), Header::None);
    }

    #[test]
    fn a_line_too_long_for_a_header_is_none_in_any_split() {
        let line = [&b"PROXY TCP4 198.51.100.24 2"[..], &[b'x'; 200], b"\r\n"].concat();
        assert_eq!(parse(&line), Header::None);
        let mut preamble = Preamble::default();
        let mut pieces = line.chunks(100).map(|piece| preamble.take(piece, Span::default()));
        assert!(pieces.next().is_some_and(|first| first.is_none()));
        assert!(
            pieces
                .next()
                .flatten()
                .is_some_and(|(held, len, client)| (held.bytes.len(), len, client) == (200, 0, None))
        );
    }

    #[test]
    fn version_2() {
        // The specification's layout (§2.2): signature, 0x21, 0x11, length, addresses, ports.
        let mut header = V2.to_vec();
        header.extend_from_slice(&[0x21, 0x11, 0, 12, 192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x34, 0, 25]);
        assert_eq!(parse(&header), Header::Proxy(28, Some(("192.0.2.1".parse().unwrap(), Some(0x1234)))));
        for n in 0..28 {
            assert_eq!(parse(&header[..n]), Header::NeedMore, "{n}");
        }
        header[12] = 0x20;
        assert_eq!(parse(&header), Header::Proxy(28, None));
        let mut header = V2.to_vec();
        header.extend_from_slice(&[0x21, 0x21, 0, 36]);
        header.extend_from_slice(&[0x20; 32]);
        header.extend_from_slice(&[0, 1, 0, 25]);
        let address: IpAddr = Ipv6Addr::from([0x20; 16]).into();
        assert_eq!(parse(&header), Header::Proxy(52, Some((address, Some(1)))));
    }
}
