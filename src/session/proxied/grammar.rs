//! The talks that a proxy understands: what both sides said, read as far as it goes.

/// Why nothing was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Too few bytes.
    More,
    /// No proxy, or one that refused.
    None,
}

/// A proxy agreed: how much of both sides' bytes is its own talk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) asked: usize,
    pub(super) answered: usize,
    pub(super) method: &'static str,
    pub(super) host: String,
    pub(super) port: u16,
}

/// Reads what was said from its beginning.
pub(super) fn read(client: &[u8], server: &[u8]) -> Result<Agreed, Stop> {
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
