//! One line of a key log.

use super::Tls13Label;

/// What a secret is found by. The bytes are hex digits as in the log.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `CLIENT_RANDOM`: master secret by client random.
    Master,
    /// `PMS_CLIENT_RANDOM`: premaster secret by client random.
    Premaster,
    /// `RSA`: premaster secret by the first eight bytes of its encryption.
    Encrypted,
    /// Master secret by session ID.
    SessionId,
    /// TLS 1.3.
    Tls13(Tls13Label),
}

impl Class {
    /// A number for hashing.
    pub(super) fn tag(self) -> u64 {
        match self {
            Class::Master => 0,
            Class::Premaster => 1,
            Class::Encrypted => 2,
            Class::SessionId => 3,
            Class::Tls13(Tls13Label::ClientEarly) => 4,
            Class::Tls13(Tls13Label::ClientHandshake) => 5,
            Class::Tls13(Tls13Label::ServerHandshake) => 6,
            Class::Tls13(Tls13Label::ClientTraffic(n)) => 1 << 32 | u64::from(n),
            Class::Tls13(Tls13Label::ServerTraffic(n)) => 2 << 32 | u64::from(n),
        }
    }

    /// Whether key and secret have that many hex digits.
    fn fits(self, key: usize, secret: usize) -> bool {
        const RANDOM: usize = 64;
        const MASTER: usize = 96;
        match self {
            Class::Master => key == RANDOM && secret == MASTER,
            // RSA's is 48 bytes; Diffie-Hellman's as long as its group.
            Class::Premaster => key == RANDOM && (2..=4096).contains(&secret),
            Class::Encrypted => key == 16 && secret == MASTER,
            Class::SessionId => (2..=64).contains(&key) && secret == MASTER,
            // As long as the suite's hash.
            Class::Tls13(_) => key == RANDOM && (secret == 64 || secret == 96),
        }
    }
}

/// What a line is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Blank, or a comment.
    Blank,
    /// A well-formed entry.
    Entry { class: Class, key: &'a [u8], secret: &'a [u8] },
    /// An entry of a kind that decryption has no use for (exporters, ECH, QUIC).
    Unused,
    /// `Session-ID:` in what `openssl s_client` prints.
    SessionId(&'a [u8]),
    /// `Master-Key:` of the same.
    MasterKey(&'a [u8]),
    /// None of these.
    Bad,
}

/// Reads a line without its line feed.
pub(super) fn parse(line: &[u8]) -> Line<'_> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Line::Blank;
    }
    if let Some(value) = line.strip_prefix(b"Session-ID:") {
        return Line::SessionId(value.trim_ascii());
    }
    if let Some(value) = line.strip_prefix(b"Master-Key:") {
        return Line::MasterKey(value.trim_ascii());
    }
    let mut words = line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    let (Some(label), Some(key), Some(secret), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Line::Bad;
    };
    let (class, key, secret) = match label {
        b"CLIENT_RANDOM" => (Class::Master, key, secret),
        b"PMS_CLIENT_RANDOM" => (Class::Premaster, key, secret),
        b"RSA" => match (key.strip_prefix(b"Session-ID:"), secret.strip_prefix(b"Master-Key:")) {
            (Some(id), Some(master)) => (Class::SessionId, id, master),
            _ => (Class::Encrypted, key, secret),
        },
        _ => match tls13_label(label) {
            Some(label) => (Class::Tls13(label), key, secret),
            None if is_label(label) && is_hex(key) && is_hex(secret) => return Line::Unused,
            None => return Line::Bad,
        },
    };
    if class.fits(key.len(), secret.len()) && is_hex(key) && is_hex(secret) {
        Line::Entry { class, key, secret }
    } else {
        Line::Bad
    }
}

/// A session block's entry, from its two lines.
pub(super) fn session<'a>(id: &'a [u8], master: &'a [u8]) -> Option<Line<'a>> {
    (Class::SessionId.fits(id.len(), master.len()) && is_hex(id) && is_hex(master)).then_some(Line::Entry {
        class: Class::SessionId,
        key: id,
        secret: master,
    })
}

fn tls13_label(label: &[u8]) -> Option<Tls13Label> {
    let numbered =
        |prefix: &[u8]| -> Option<u32> { std::str::from_utf8(label.strip_prefix(prefix)?).ok()?.parse().ok() };
    match label {
        b"CLIENT_EARLY_TRAFFIC_SECRET" => Some(Tls13Label::ClientEarly),
        b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Some(Tls13Label::ClientHandshake),
        b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => Some(Tls13Label::ServerHandshake),
        _ => numbered(b"CLIENT_TRAFFIC_SECRET_")
            .map(Tls13Label::ClientTraffic)
            .or_else(|| numbered(b"SERVER_TRAFFIC_SECRET_").map(Tls13Label::ServerTraffic)),
    }
}

fn is_label(word: &[u8]) -> bool {
    word.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
}

/// An even number of hex digits of either case.
fn is_hex(digits: &[u8]) -> bool {
    digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit)
}
