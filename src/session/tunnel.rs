//! What a client and a proxy say to each other before the dialogue that the proxy relays: SOCKS 4 and 4a, SOCKS 5 (RFC
//! 1928, with RFC 1929's passwords), HTTP's CONNECT (RFC 9110 §9.3.6).

use crate::position::{Direction, Span};

/// Bytes of both sides, at most, within which a proxy must have agreed: a page that asks for a password and a Kerberos
/// ticket are 20 KB.
const MOST: usize = 64 << 10;

/// Up to so many bytes every piece is looked at. Of more, only those with an empty line, which ends an HTTP head.
const SHORT: usize = 600;

/// Proxies behind one another.
const CHAIN: u8 = 4;

/// A stretch of one direction.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) dir: Direction,
    pub(super) bytes: Vec<u8>,
    pub(super) span: Span,
}

/// What the first bytes of a connection turned out to be.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// A proxy agreed.
    pub(super) opened: Option<Opened>,
    /// What does not belong to it, in its order.
    pub(super) pieces: Vec<Piece>,
}

/// A connection through a proxy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    method: &'static str,
    host: String,
    /// The port behind the proxy.
    pub(super) port: u16,
    /// The frames of what was said to the proxy, and by it.
    pub(super) span: Span,
    /// Its bytes.
    pub(super) bytes: u64,
    /// The direction of who asked.
    pub(super) client: Direction,
}

impl std::fmt::Display for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}:{}", self.method, self.host, self.port)
    }
}

/// The beginning of a connection, while it may be a talk with a proxy.
#[derive(Debug)]
pub(super) enum Tunnel {
    /// Nothing came yet, behind so many proxies.
    Fresh(u8),
    /// The client may be asking a proxy.
    Asking(Box<Asking>),
    /// There is no such talk (any more).
    Over,
}

/// What came while that is not known.
#[derive(Debug)]
pub(super) struct Asking {
    client: Direction,
    proxies: u8,
    /// What each direction said, the client's first.
    said: [Vec<u8>; 2],
    /// In which order: direction, bytes, frames.
    order: Vec<(Direction, usize, Span)>,
}

/// What [`Tunnel::take`] made of bytes.
pub(super) enum Taken {
    /// They are nothing to it.
    Passed,
    /// They wait.
    Held,
    Settled(Settled),
}

impl Default for Tunnel {
    fn default() -> Self {
        Tunnel::Fresh(0)
    }
}

impl Tunnel {
    /// Memory beside its own fields.
    pub(super) fn cost(&self) -> usize {
        match self {
            Tunnel::Asking(asking) => asking.cost(),
            _ => 0,
        }
    }

    /// The next bytes of the connection.
    pub(super) fn take(&mut self, dir: Direction, bytes: &[u8], span: Span) -> Taken {
        if let Tunnel::Fresh(proxies) = *self {
            *self = match read(bytes, &[]) {
                Err(Stop::None) => Tunnel::Over,
                _ => Tunnel::Asking(Box::new(Asking::new(dir, proxies))),
            };
        }
        let Tunnel::Asking(asking) = self else { return Taken::Passed };
        if !asking.add(dir, bytes, span) {
            return Taken::Held;
        }
        let [asked, answered] = &asking.said;
        match read(asked, answered) {
            Err(Stop::More) if asked.len() + answered.len() <= MOST => Taken::Held,
            Err(_) => self.give_up().map_or(Taken::Held, Taken::Settled),
            Ok(agreed) => {
                let (client, proxies) = (asking.client, asking.proxies);
                let mut settled = self.give_up().unwrap_or_default();
                if proxies < CHAIN {
                    *self = Tunnel::Fresh(proxies + 1);
                }
                let span = strip(&mut settled.pieces, client, [agreed.asked, agreed.answered]).unwrap_or(span);
                let bytes = (agreed.asked + agreed.answered) as u64;
                let Agreed { method, host, port, .. } = agreed;
                settled.opened = Some(Opened { method, host, port, span, bytes, client });
                Taken::Settled(settled)
            }
        }
    }

    /// A talk may begin now: what came was a header in front of it.
    pub(super) fn begin_again(&mut self) {
        *self = Tunnel::default();
    }

    /// Nothing follows that could complete it: what came was no talk with a proxy.
    pub(super) fn give_up(&mut self) -> Option<Settled> {
        match std::mem::replace(self, Tunnel::Over) {
            Tunnel::Asking(asking) => Some(Settled { opened: None, pieces: asking.pieces() }),
            _ => None,
        }
    }
}

impl Asking {
    fn new(client: Direction, proxies: u8) -> Self {
        Asking { client, proxies, said: Default::default(), order: Vec::new() }
    }

    fn cost(&self) -> usize {
        size_of::<Self>()
            + self.said.iter().map(Vec::capacity).sum::<usize>()
            + self.order.capacity() * size_of::<(Direction, usize, Span)>()
    }

    /// Adds bytes; whether they may make a difference.
    fn add(&mut self, dir: Direction, bytes: &[u8], span: Span) -> bool {
        let said = &mut self.said[usize::from(dir != self.client)];
        let before = said.len().saturating_sub(3);
        said.extend_from_slice(bytes);
        self.order.push((dir, bytes.len(), span));
        let new = said.get(before..).unwrap_or_default();
        let empty_line = new.windows(2).any(|w| w == b"\n\n") || new.windows(3).any(|w| w == b"\n\r\n");
        let len = self.said.iter().map(Vec::len).sum::<usize>();
        len <= SHORT || len > MOST || empty_line
    }

    fn pieces(self) -> Vec<Piece> {
        let mut rest = [0; 2];
        let piece = |&(dir, len, span): &(Direction, usize, Span)| {
            let i = usize::from(dir != self.client);
            let bytes = self.said[i].get(rest[i]..rest[i] + len).unwrap_or_default().to_vec();
            rest[i] += len;
            Piece { dir, bytes, span }
        };
        self.order.iter().map(piece).collect()
    }
}

/// Takes so many bytes of the client and of its peer off the front; the frames that they came in.
fn strip(pieces: &mut Vec<Piece>, client: Direction, mut used: [usize; 2]) -> Option<Span> {
    let mut whole: Option<Span> = None;
    for piece in pieces.iter_mut() {
        let left = &mut used[usize::from(piece.dir != client)];
        let n = piece.bytes.len().min(*left);
        if n > 0 {
            *left -= n;
            piece.bytes.drain(..n);
            whole = Some(whole.map_or(piece.span, |span| span.to(piece.span)));
        }
    }
    pieces.retain(|piece| !piece.bytes.is_empty());
    whole
}

/// Why nothing was read.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    /// Too few bytes.
    More,
    /// No proxy, or one that refused.
    None,
}

/// A proxy agreed: how much of both sides' bytes is its own talk.
#[derive(Debug, PartialEq, Eq)]
struct Agreed {
    asked: usize,
    answered: usize,
    method: &'static str,
    host: String,
    port: u16,
}

fn read(client: &[u8], server: &[u8]) -> Result<Agreed, Stop> {
    match client.first() {
        None => Err(Stop::More),
        Some(4) => socks4(Reader::new(client), Reader::new(server)),
        Some(5) => socks5(Reader::new(client), Reader::new(server)),
        Some(b'C') => connect(Reader::new(client), Reader::new(server)),
        Some(_) => Err(Stop::None),
    }
}

/// The bytes of one side.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Stop> {
        let taken = self.bytes.get(self.at..self.at.saturating_add(n)).ok_or(Stop::More)?;
        self.at += n;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        self.take(1).map(|bytes| bytes.first().copied().unwrap_or_default())
    }

    fn expect(&mut self, expected: u8) -> Result<(), Stop> {
        if self.byte()? == expected { Ok(()) } else { Err(Stop::None) }
    }

    fn port(&mut self) -> Result<u16, Stop> {
        Ok(u16::from(self.byte()?) << 8 | u16::from(self.byte()?))
    }

    fn address<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        self.take(N)?.first_chunk().copied().ok_or(Stop::More)
    }

    /// Up to a byte, which is left out.
    fn until(&mut self, end: u8) -> Result<&'a [u8], Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let n = rest.iter().position(|byte| *byte == end).ok_or(Stop::More)?;
        self.at += n + 1;
        Ok(rest.get(..n).unwrap_or_default())
    }

    /// The head of an HTTP message, which begins like that: its first line, and the length of what follows it.
    fn head(&mut self, begins: &[u8]) -> Result<(&'a str, usize), Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let n = rest.len().min(begins.len());
        if rest.get(..n) != begins.get(..n) {
            return Err(Stop::None);
        }
        let first = std::str::from_utf8(self.until(b'\n')?).map_err(|_| Stop::None)?;
        let mut length = 0;
        loop {
            let line = self.until(b'\n')?.trim_ascii();
            if line.is_empty() {
                return Ok((first, length));
            }
            if let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':'))
                && name.eq_ignore_ascii_case("Content-Length")
            {
                length = value.trim().parse().map_err(|_| Stop::None)?;
            }
        }
    }
}

/// SOCKS 4, and 4a with a host's name behind an address of 0.0.0.x.
fn socks4(mut client: Reader<'_>, mut server: Reader<'_>) -> Result<Agreed, Stop> {
    client.expect(4)?;
    client.expect(1)?;
    let port = client.port()?;
    let address: [u8; 4] = client.address()?;
    client.until(0)?;
    let host = match address {
        [0, 0, 0, 1..=255] => String::from_utf8_lossy(client.until(0)?).into_owned(),
        address => std::net::Ipv4Addr::from(address).to_string(),
    };
    server.expect(0)?;
    server.expect(90)?;
    server.take(6)?;
    Ok(Agreed { asked: client.at, answered: server.at, method: "SOCKS 4", host, port })
}

/// SOCKS 5, without authentication or with a password, which is passed over.
fn socks5(mut client: Reader<'_>, mut server: Reader<'_>) -> Result<Agreed, Stop> {
    client.expect(5)?;
    let methods = client.byte()?;
    client.take(usize::from(methods))?;
    server.expect(5)?;
    match server.byte()? {
        0 => {}
        2 => {
            client.expect(1)?;
            for _ in ["user", "password"] {
                let len = client.byte()?;
                client.take(usize::from(len))?;
            }
            server.byte()?;
            server.expect(0)?;
        }
        _ => return Err(Stop::None),
    }
    let (host, port) = socks5_message(&mut client, 1)?;
    socks5_message(&mut server, 0)?;
    Ok(Agreed { asked: client.at, answered: server.at, method: "SOCKS 5", host, port })
}

/// A request or reply, with that command or status: its address (RFC 1928 §4, §6).
fn socks5_message(reader: &mut Reader<'_>, code: u8) -> Result<(String, u16), Stop> {
    reader.expect(5)?;
    reader.expect(code)?;
    reader.expect(0)?;
    let host = match reader.byte()? {
        1 => std::net::Ipv4Addr::from(reader.address::<4>()?).to_string(),
        3 => {
            let len = reader.byte()?;
            String::from_utf8_lossy(reader.take(usize::from(len))?).into_owned()
        }
        4 => format!("[{}]", std::net::Ipv6Addr::from(reader.address::<16>()?)),
        _ => return Err(Stop::None),
    };
    Ok((host, reader.port()?))
}

/// HTTP's CONNECT, also asked again after the proxy wanted to know who asks (407, RFC 9110 §15.5.8).
fn connect(mut client: Reader<'_>, mut server: Reader<'_>) -> Result<Agreed, Stop> {
    loop {
        let (request, _) = client.head(b"CONNECT ")?;
        let target = request.split_ascii_whitespace().nth(1).ok_or(Stop::None)?;
        let (host, port) = target.rsplit_once(':').ok_or(Stop::None)?;
        let port = port.parse().map_err(|_| Stop::None)?;
        let (status, length) = server.head(b"HTTP/1.")?;
        match status.split_ascii_whitespace().nth(1) {
            Some("407") => server.take(length)?,
            Some(code) if code.starts_with('2') => {
                let (asked, answered, host) = (client.at, server.at, host.to_owned());
                return Ok(Agreed { asked, answered, method: "HTTP CONNECT", host, port });
            }
            _ => return Err(Stop::None),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: &[u8] = b"CONNECT mx:25 HTTP/1.1\r\n\r\n";
    const WHO: &[u8] = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 600\r\n\r\n";

    /// Client, server, what is asked for.
    fn talks() -> Vec<(Vec<u8>, Vec<u8>, &'static str)> {
        let name = b"mx.example.org";
        let named = [&[5, 1, 0, 3, 14], &name[..], &[0, 25]].concat();
        let bound = [5, 0, 0, 1, 10, 0, 0, 1, 0xd1, 0xcd];
        let v6 = [&[5, 1, 0, 4, 0x20, 1, 0x0d, 0xb8], &[0; 11][..], &[1, 1, 187]].concat();
        vec![
            ([&[5, 1, 0][..], &named].concat(), [&[5, 0][..], &bound].concat(), "SOCKS 5 to mx.example.org:25"),
            (
                [&[5, 2, 0, 2, 1, 2, b'm', b'e', 3, b'p', b'w', b'd'][..], &v6].concat(),
                [&[5, 2, 1, 0][..], &bound].concat(),
                "SOCKS 5 to [2001:db8::1]:443",
            ),
            (
                b"\x04\x01\x00\x19\xc0\x00\x02\x01me\0".to_vec(),
                b"\x00\x5a\x00\x00\x00\x00\x00\x00".to_vec(),
                "SOCKS 4 to 192.0.2.1:25",
            ),
            (
                b"\x04\x01\x00\x19\x00\x00\x00\x07me\0mx.example.org\0".to_vec(),
                b"\x00\x5a\x00\x00\x00\x00\x00\x00".to_vec(),
                "SOCKS 4 to mx.example.org:25",
            ),
            (
                b"CONNECT [2001:db8::1]:587 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic bWU6cHdk\r\n\r\n"
                    .to_vec(),
                b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec(),
                "HTTP CONNECT to [2001:db8::1]:587",
            ),
            (
                [ASK, b"CONNECT mx:25 HTTP/1.1\r\nProxy-Authorization: Basic bWU6cHdk\r\n\r\n"].concat(),
                [WHO, &b"<html>\r\n\r\n".repeat(60), b"HTTP/1.1 200 OK\r\n\r\n"].concat(),
                "HTTP CONNECT to mx:25",
            ),
        ]
    }

    fn play(tunnel: &mut Tunnel, dir: Direction, bytes: &[u8], out: &mut Vec<Settled>) {
        match tunnel.take(dir, bytes, Span::default()) {
            Taken::Held => {}
            Taken::Settled(settled) => out.push(settled),
            Taken::Passed => {
                let pieces = vec![Piece { dir, bytes: bytes.to_vec(), span: Span::default() }];
                out.push(Settled { opened: None, pieces });
            }
        }
    }

    #[test]
    fn what_follows_is_the_dialogue_however_it_is_cut() {
        for (client, server, target) in talks() {
            for step in [1, 2, 3, 7, 500] {
                let (mut tunnel, mut out) = (Tunnel::default(), Vec::new());
                // The client does not wait; the greeting comes with the proxy's answer.
                for piece in client.chunks(step) {
                    play(&mut tunnel, Direction::Client, piece, &mut out);
                }
                for piece in [&server[..], b"220 mx ESMTP\r\n"].concat().chunks(step) {
                    play(&mut tunnel, Direction::Server, piece, &mut out);
                }
                play(&mut tunnel, Direction::Client, b"QUIT\r\n", &mut out);
                let told: Vec<String> = out.iter().filter_map(|s| Some(s.opened.as_ref()?.to_string())).collect();
                assert_eq!(told, [target], "step {step}");
                let left = |dir: Direction| -> Vec<u8> {
                    out.iter().flat_map(|s| &s.pieces).filter(|p| p.dir == dir).flat_map(|p| p.bytes.clone()).collect()
                };
                assert_eq!(left(Direction::Client), b"QUIT\r\n");
                assert_eq!(left(Direction::Server), b"220 mx ESMTP\r\n");
            }
        }
    }

    #[test]
    fn a_proxy_that_refuses_opens_nothing_and_all_bytes_come_out() {
        for (client, mut server, _) in talks() {
            // SOCKS's status, or HTTP's first digit.
            let at = match server.first() {
                Some(b'H') => server.windows(7).rposition(|w| w == b"HTTP/1.").unwrap() + 9,
                Some(5) => server.len() - 9,
                _ => 1,
            };
            server[at] = b'4';
            let (mut tunnel, mut out) = (Tunnel::default(), Vec::new());
            play(&mut tunnel, Direction::Client, &client, &mut out);
            play(&mut tunnel, Direction::Server, &server, &mut out);
            let [settled] = out.as_slice() else { panic!("{out:?}") };
            assert_eq!(settled.opened, None);
            let bytes: Vec<Vec<u8>> = settled.pieces.iter().map(|p| p.bytes.clone()).collect();
            assert_eq!(bytes, [client, server]);
        }
    }

    #[test]
    fn what_is_held_is_bounded() {
        let (mut tunnel, mut out) = (Tunnel::default(), Vec::new());
        play(&mut tunnel, Direction::Client, b"CONNECT ", &mut out);
        for _ in 0..1000 {
            play(&mut tunnel, Direction::Client, &[b'x'; 100], &mut out);
            assert!(tunnel.cost() < 4 * MOST);
        }
        assert_eq!(out.iter().flat_map(|s| &s.pieces).map(|p| p.bytes.len()).sum::<usize>(), 100_008);
        assert_eq!(out.first().map(|first| first.pieces.len()), Some(1 + MOST.div_ceil(100)));
    }
}
