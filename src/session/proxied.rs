//! What a client and a proxy say to each other before the dialogue that the proxy relays: SOCKS 4 and 4a, SOCKS 5 (RFC
//! 1928, with RFC 1929's passwords), HTTP's CONNECT (RFC 9110 §9.3.6).

mod grammar;

use crate::position::{Direction, Span};
use grammar::{Agreed, Stop, read};

/// Bytes of both sides, at most, within which a proxy must have agreed: a page that asks for a password and a Kerberos
/// ticket are 20 KB.
const MOST: usize = 64 << 10;

/// As long as no more than this was said, every piece is tried as the end of the talk; then only one with an empty
/// line, which ends an HTTP head.
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
    pub(super) bytes: u32,
    /// The direction of who asked.
    pub(super) client: Direction,
}

impl Opened {
    /// The server that the proxy was asked for.
    pub(super) fn target(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Memory that it takes.
    pub(super) fn cost(&self) -> usize {
        size_of::<Self>() + self.host.capacity()
    }
}

impl std::fmt::Display for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.method, self.target())
    }
}

/// The beginning of a connection, while it may be a talk with a proxy.
#[derive(Debug)]
pub(super) enum ProxyTalk {
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

/// What [`ProxyTalk::take`] made of bytes.
pub(super) enum Taken {
    /// They are nothing to it.
    Passed,
    /// They wait.
    Held,
    Settled(Settled),
}

impl Default for ProxyTalk {
    fn default() -> Self {
        ProxyTalk::Fresh(0)
    }
}

impl ProxyTalk {
    /// Memory beside its own fields.
    pub(super) fn cost(&self) -> usize {
        match self {
            ProxyTalk::Asking(asking) => asking.cost(),
            _ => 0,
        }
    }

    /// The next bytes of the connection.
    pub(super) fn take(&mut self, dir: Direction, bytes: &[u8], span: Span) -> Taken {
        if let ProxyTalk::Fresh(proxies) = *self {
            *self = match read(bytes, &[]) {
                Err(Stop::None) => ProxyTalk::Over,
                _ => ProxyTalk::Asking(Box::new(Asking::new(dir, proxies))),
            };
        }
        let ProxyTalk::Asking(asking) = self else { return Taken::Passed };
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
                    *self = ProxyTalk::Fresh(proxies + 1);
                }
                let span = strip(&mut settled.pieces, client, [agreed.asked, agreed.answered]).unwrap_or(span);
                let bytes = (agreed.asked + agreed.answered) as u32;
                let Agreed { method, host, port, .. } = agreed;
                settled.opened = Some(Opened { method, host, port, span, bytes, client });
                Taken::Settled(settled)
            }
        }
    }

    /// A talk may begin now: what came was a header in front of it.
    pub(super) fn begin_again(&mut self) {
        *self = ProxyTalk::default();
    }

    /// Nothing follows that could complete it: what came was no talk with a proxy.
    pub(super) fn give_up(&mut self) -> Option<Settled> {
        match std::mem::replace(self, ProxyTalk::Over) {
            ProxyTalk::Asking(asking) => Some(Settled { opened: None, pieces: asking.pieces() }),
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

    fn play(talk: &mut ProxyTalk, dir: Direction, bytes: &[u8], out: &mut Vec<Settled>) {
        match talk.take(dir, bytes, Span::default()) {
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
                let (mut talk, mut out) = (ProxyTalk::default(), Vec::new());
                // The client does not wait; the greeting comes with the proxy's answer.
                for piece in client.chunks(step) {
                    play(&mut talk, Direction::Client, piece, &mut out);
                }
                for piece in [&server[..], b"220 mx ESMTP\r\n"].concat().chunks(step) {
                    play(&mut talk, Direction::Server, piece, &mut out);
                }
                play(&mut talk, Direction::Client, b"QUIT\r\n", &mut out);
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
            let (mut talk, mut out) = (ProxyTalk::default(), Vec::new());
            play(&mut talk, Direction::Client, &client, &mut out);
            play(&mut talk, Direction::Server, &server, &mut out);
            let [settled] = out.as_slice() else { panic!("{out:?}") };
            assert_eq!(settled.opened, None);
            let bytes: Vec<Vec<u8>> = settled.pieces.iter().map(|p| p.bytes.clone()).collect();
            assert_eq!(bytes, [client, server]);
        }
    }

    #[test]
    fn what_is_held_is_bounded() {
        let (mut talk, mut out) = (ProxyTalk::default(), Vec::new());
        play(&mut talk, Direction::Client, b"CONNECT ", &mut out);
        for _ in 0..1000 {
            play(&mut talk, Direction::Client, &[b'x'; 100], &mut out);
            assert!(talk.cost() < 4 * MOST);
        }
        assert_eq!(out.iter().flat_map(|s| &s.pieces).map(|p| p.bytes.len()).sum::<usize>(), 100_008);
        assert_eq!(out.first().map(|first| first.pieces.len()), Some(1 + MOST.div_ceil(100)));
    }
}
