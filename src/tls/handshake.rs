//! Handshake messages: joined from record fragments, and read as far as decryption and a report need them.
//!
//! Tolerant on purpose: a field that can't be read ends the reading, what came before it stands.

use std::ops::Range;

use crate::limits::tls::OFFERED_SUITES;

/// Handshake message types (RFC 8446 appendix B.3, and those of earlier versions).
pub mod kind {
    /// HelloRequest; never part of the transcript.
    pub const HELLO_REQUEST: u8 = 0;
    /// ClientHello.
    pub const CLIENT_HELLO: u8 = 1;
    /// ServerHello, HelloRetryRequest.
    pub const SERVER_HELLO: u8 = 2;
    /// NewSessionTicket.
    pub const NEW_SESSION_TICKET: u8 = 4;
    /// EndOfEarlyData.
    pub const END_OF_EARLY_DATA: u8 = 5;
    /// EncryptedExtensions.
    pub const ENCRYPTED_EXTENSIONS: u8 = 8;
    /// Certificate.
    pub const CERTIFICATE: u8 = 11;
    /// ServerKeyExchange.
    pub const SERVER_KEY_EXCHANGE: u8 = 12;
    /// CertificateRequest.
    pub const CERTIFICATE_REQUEST: u8 = 13;
    /// ServerHelloDone.
    pub const SERVER_HELLO_DONE: u8 = 14;
    /// ClientKeyExchange.
    pub const CLIENT_KEY_EXCHANGE: u8 = 16;
    /// Finished.
    pub const FINISHED: u8 = 20;
    /// KeyUpdate.
    pub const KEY_UPDATE: u8 = 24;
    /// CompressedCertificate (RFC 8879).
    pub const COMPRESSED_CERTIFICATE: u8 = 25;
}

/// Bytes of a message's header: type and 24-bit length.
pub const HEADER: usize = 4;

/// Joins handshake messages that are split over records, and parts those that share one.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    buf: Vec<u8>,
    start: usize,
    /// Bytes left of a message too long to keep.
    skip: usize,
}

/// What the joiner has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined<'a> {
    /// Nothing whole.
    More,
    /// A message with its header.
    Message(&'a [u8]),
    /// A message longer than the bound begins; it is passed over.
    TooLong(usize),
}

impl Joiner {
    /// Memory beside its own fields.
    pub(super) fn cost(&self) -> usize {
        self.buf.capacity()
    }

    /// Takes a record's fragment.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        let n = self.skip.min(bytes.len());
        self.skip -= n;
        bytes = bytes.get(n..).unwrap_or_default();
        if self.start > 0 {
            self.buf.drain(..self.start.min(self.buf.len()));
            self.start = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// The next message. Call until [`Joined::More`].
    pub(super) fn next(&mut self, bound: usize) -> Joined<'_> {
        let rest = self.buf.get(self.start..).unwrap_or_default();
        let &[_, a, b, c, ..] = rest else {
            if rest.is_empty() {
                self.buf = Vec::new();
                self.start = 0;
            }
            return Joined::More;
        };
        let len = HEADER + u32::from_be_bytes([0, a, b, c]) as usize;
        if len > bound {
            self.skip = len.saturating_sub(rest.len());
            self.start += len.min(rest.len());
            return Joined::TooLong(len);
        }
        if rest.len() < len {
            return Joined::More;
        }
        let start = self.start;
        self.start += len;
        Joined::Message(self.buf.get(start..start + len).unwrap_or_default())
    }

    /// Whether a message has begun and not ended.
    pub(super) fn is_partial(&self) -> bool {
        self.start < self.buf.len() || self.skip > 0
    }

    /// What there is of a message that has begun and not ended.
    pub(super) fn begun(&self) -> &[u8] {
        self.buf.get(self.start..).filter(|_| self.skip == 0).unwrap_or_default()
    }

    /// Forgets what it holds.
    pub(super) fn clear(&mut self) {
        *self = Joiner::default();
    }
}

/// Reads the fields of a message, front to back.
#[derive(Copy, Clone, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn u24(&mut self) -> Option<usize> {
        let &[a, b, c] = self.take(3)? else { return None };
        Some(u32::from_be_bytes([0, a, b, c]) as usize)
    }

    pub(super) fn random(&mut self) -> Option<[u8; 32]> {
        self.take(32)?.try_into().ok()
    }

    pub(super) fn vec8(&mut self) -> Option<&'a [u8]> {
        let n = self.u8()?;
        self.take(usize::from(n))
    }

    pub(super) fn vec16(&mut self) -> Option<&'a [u8]> {
        let n = self.u16()?;
        self.take(usize::from(n))
    }

    pub(super) fn vec24(&mut self) -> Option<&'a [u8]> {
        let n = self.u24()?;
        self.take(n)
    }
}

/// Each extension's type and body.
fn extensions<'a>(reader: &mut Reader<'a>) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
    let declared = reader.u16().map_or(0, usize::from);
    let mut list = Reader(reader.0.get(..declared).unwrap_or(reader.0));
    std::iter::from_fn(move || Some((list.u16()?, list.vec16()?)))
}

mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const TRUNCATED_HMAC: u16 = 4;
    pub(super) const ALPN: u16 = 16;
    pub(super) const ENCRYPT_THEN_MAC: u16 = 22;
    pub(super) const EXTENDED_MASTER_SECRET: u16 = 23;
    pub(super) const SESSION_TICKET: u16 = 35;
    pub(super) const PRE_SHARED_KEY: u16 = 41;
    pub(super) const EARLY_DATA: u16 = 42;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
    pub(super) const KEY_SHARE: u16 = 51;
}

/// ClientHello.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// `client_version`: the highest up to TLS 1.2, and what an RSA premaster secret begins with.
    pub version: u16,
    /// Random; an SSL 2.0 challenge stands at its end behind zeros.
    pub random: [u8; 32],
    /// Session ID, possibly empty.
    pub session_id: Vec<u8>,
    /// Suites in the client's order.
    pub suites: Vec<u16>,
    /// `supported_versions`, in the client's order.
    pub supported_versions: Vec<u16>,
    /// Host name of `server_name`.
    pub sni: Option<Vec<u8>>,
    /// Protocol names of ALPN.
    pub alpn: Vec<Vec<u8>>,
    /// A ticket to resume with.
    pub ticket: Option<Vec<u8>>,
    /// Whether it wants early data.
    pub early_data: bool,
    /// Whether it offers TLS 1.3 pre-shared keys.
    pub pre_shared_key: bool,
    /// Whether it came in SSL 2.0 framing.
    pub v2: bool,
    /// Whether its end was not captured.
    pub cut: bool,
}

impl ClientHello {
    /// From what there is of a message of which the end is lost: enough, if its random is there.
    pub fn parse_cut(body: &[u8]) -> Option<Self> {
        let (mut out, _) = Self::read(body)?;
        // Of a ticket or a name a part is of no use.
        out.cut = true;
        Some(out)
    }

    /// From a message's body (without its four-byte header).
    pub fn parse(body: &[u8]) -> Option<Self> {
        Self::read(body).filter(|(_, whole)| *whole).map(|(hello, _)| hello)
    }

    /// What can be read, and whether nothing is missing that every hello has.
    fn read(body: &[u8]) -> Option<(Self, bool)> {
        let mut r = Reader(body);
        let mut out = ClientHello { version: r.u16()?, random: r.random()?, ..Self::default() };
        let Some(session_id) = r.vec8() else { return Some((out, false)) };
        out.session_id = session_id.to_vec();
        let Some(suites) = r.vec16() else { return Some((out, false)) };
        out.suites = pairs(suites);
        out.suites.truncate(OFFERED_SUITES);
        out.suites.shrink_to_fit();
        // Compression methods and extensions may be missing: nothing above depends on them.
        if r.vec8().is_none() {
            return Some((out, true));
        }
        for (kind, body) in extensions(&mut r) {
            let mut e = Reader(body);
            match kind {
                extension::SERVER_NAME => {
                    out.sni = e.vec16().and_then(|list| {
                        let mut list = Reader(list);
                        (list.u8()? == 0).then(|| list.vec16())?.map(<[u8]>::to_vec)
                    });
                }
                extension::ALPN => out.alpn = protocols(&mut e),
                extension::SESSION_TICKET => out.ticket = (!body.is_empty()).then(|| body.to_vec()),
                extension::EARLY_DATA => out.early_data = true,
                extension::PRE_SHARED_KEY => out.pre_shared_key = true,
                extension::SUPPORTED_VERSIONS => out.supported_versions = pairs(e.vec8().unwrap_or_default()),
                _ => {}
            }
        }
        Some((out, true))
    }

    /// From an SSL 2.0-framed one, without its two length bytes (RFC 5246 appendix E.2).
    pub fn parse_v2(message: &[u8]) -> Option<Self> {
        let mut r = Reader(message);
        if r.u8()? != 1 {
            return None;
        }
        let version = r.u16()?;
        let (suites, session_id, challenge) = (r.u16()?, r.u16()?, r.u16()?);
        let suites = r.take(usize::from(suites))?;
        let session_id = r.take(usize::from(session_id))?.to_vec();
        let challenge = r.take(usize::from(challenge))?;
        let mut random = [0; 32];
        let tail = 32usize.checked_sub(challenge.len())?;
        random.get_mut(tail..)?.copy_from_slice(challenge);
        // Three bytes a suite; those of SSL 3.0 and later begin with zero.
        let suites = suites
            .chunks_exact(3)
            .filter_map(|s| match *s {
                [0, a, b] => Some(u16::from_be_bytes([a, b])),
                _ => None,
            })
            .take(OFFERED_SUITES)
            .collect();
        Some(ClientHello { version, random, session_id, suites, v2: true, ..Self::default() })
    }
}

fn pairs(bytes: &[u8]) -> Vec<u16> {
    let pair = |c: &[u8]| Some(u16::from_be_bytes(c.try_into().ok()?));
    bytes.chunks_exact(2).filter_map(pair).collect()
}

/// ALPN's list of names, at most as many as anyone has a use for.
fn protocols(e: &mut Reader<'_>) -> Vec<Vec<u8>> {
    let mut list = Reader(e.vec16().unwrap_or_default());
    std::iter::from_fn(|| list.vec8()).take(64).map(<[u8]>::to_vec).collect()
}

/// Random of a ServerHello that is a HelloRetryRequest: SHA-256 of that word (RFC 8446 section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// ServerHello.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// The version chosen: `supported_versions` where it is there.
    pub version: u16,
    /// Random.
    pub random: [u8; 32],
    /// Session ID, possibly empty.
    pub session_id: Vec<u8>,
    /// The suite chosen.
    pub suite: u16,
    /// The compression chosen: 0 none, 1 DEFLATE.
    pub compression: u8,
    /// RFC 7627.
    pub extended_master_secret: bool,
    /// RFC 7366.
    pub encrypt_then_mac: bool,
    /// RFC 6066.
    pub truncated_hmac: bool,
    /// The protocol chosen.
    pub alpn: Option<Vec<u8>>,
    /// Whether it took a TLS 1.3 pre-shared key.
    pub pre_shared_key: bool,
    /// Whether it has its part of TLS 1.3's key exchange.
    pub key_share: bool,
    /// Whether it is a HelloRetryRequest.
    pub retry: bool,
}

impl ServerHello {
    /// From a message's body.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut r = Reader(body);
        let mut out = ServerHello { version: r.u16()?, random: r.random()?, ..Self::default() };
        out.retry = out.random == RETRY;
        out.session_id = r.vec8()?.to_vec();
        out.suite = r.u16()?;
        out.compression = r.u8()?;
        for (kind, body) in extensions(&mut r) {
            let mut e = Reader(body);
            match kind {
                extension::SUPPORTED_VERSIONS => out.version = e.u16().unwrap_or(out.version),
                extension::EXTENDED_MASTER_SECRET => out.extended_master_secret = true,
                extension::ENCRYPT_THEN_MAC => out.encrypt_then_mac = true,
                extension::TRUNCATED_HMAC => out.truncated_hmac = true,
                extension::ALPN => out.alpn = protocols(&mut e).into_iter().next(),
                extension::PRE_SHARED_KEY => out.pre_shared_key = true,
                extension::KEY_SHARE => out.key_share = true,
                _ => {}
            }
        }
        Some(out)
    }
}

/// What TLS 1.3's EncryptedExtensions say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncryptedExtensions {
    /// The protocol chosen.
    pub alpn: Option<Vec<u8>>,
    /// Whether the server takes early data.
    pub early_data: bool,
}

impl EncryptedExtensions {
    /// From a message's body.
    pub fn parse(body: &[u8]) -> Self {
        let mut out = Self::default();
        for (kind, body) in extensions(&mut Reader(body)) {
            match kind {
                extension::ALPN => out.alpn = protocols(&mut Reader(body)).into_iter().next(),
                extension::EARLY_DATA => out.early_data = true,
                _ => {}
            }
        }
        out
    }
}

/// The DER certificates of a Certificate message, the sender's own first. At most 32: a chain.
pub fn certificates(body: &[u8], tls13: bool) -> Vec<&[u8]> {
    let mut r = Reader(body);
    if tls13 && r.vec8().is_none() {
        return Vec::new();
    }
    let Some(declared) = r.u24() else { return Vec::new() };
    let mut list = Reader(r.0.get(..declared).unwrap_or(r.0));
    std::iter::from_fn(|| {
        let certificate = list.vec24()?;
        if tls13 {
            list.vec16()?;
        }
        Some(certificate)
    })
    .take(32)
    .collect()
}

/// The ticket of a NewSessionTicket up to TLS 1.2 (RFC 5077 section 3.3).
pub fn ticket(body: &[u8]) -> Option<&[u8]> {
    let mut r = Reader(body);
    r.take(4)?;
    r.vec16().filter(|ticket| !ticket.is_empty())
}

/// The encrypted premaster secret of an RSA ClientKeyExchange. TLS puts two length bytes before it, SSL 3.0 does not;
/// implementations have got both wrong, so a length that fits is believed whatever the version.
pub fn encrypted_premaster(body: &[u8]) -> &[u8] {
    let mut r = Reader(body);
    match r.vec16() {
        Some(inner) if r.0.is_empty() => inner,
        _ => body,
    }
}

/// Where the encrypted premaster secret lies in a segment that begins with the record of a ClientKeyExchange, as most of
/// them do: a look at the bytes, without knowing what came before, so it may be something else.
pub fn premaster_in_segment(payload: &[u8]) -> Option<Range<usize>> {
    let (&[22, 3, _, high, low], rest) = payload.split_first_chunk()? else { return None };
    let record = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
    let (&[kind::CLIENT_KEY_EXCHANGE, 0, high, low], rest) = record.split_first_chunk()? else { return None };
    let body = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
    let end = 9 + body.len();
    Some(end - encrypted_premaster(body).len()..end)
}

/// Identity and encrypted premaster secret of an RSA_PSK ClientKeyExchange (RFC 4279 section 4), or the identity alone
/// of a PSK one.
pub fn psk_exchange(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut r = Reader(body);
    let identity = r.vec16()?;
    Some((identity, encrypted_premaster(r.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = (body.len() as u32).to_be_bytes();
        [&[kind, len[1], len[2], len[3]], body].concat()
    }

    fn all(joiner: &mut Joiner) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            match joiner.next(1000) {
                Joined::More => return out,
                Joined::Message(m) => out.push(m.to_vec()),
                Joined::TooLong(n) => out.push(vec![255, n as u8]),
            }
        }
    }

    /// In TLS behind two bytes of length, in SSL 3.0 without, and nothing of it where the segment ends before it does.
    #[test]
    fn a_premaster_secret_in_a_segment() {
        let record = |version: u8, body: &[u8]| {
            let message = message(16, body);
            [&[22, 3, version, 0, message.len() as u8], &message[..], &[20, 3, version, 0, 1, 1]].concat()
        };
        let tls = record(3, &[0, 4, 1, 2, 3, 4]);
        assert_eq!(premaster_in_segment(&tls), Some(11..15));
        assert_eq!(premaster_in_segment(&record(0, &[1, 2, 3, 4])), Some(9..13));
        (0..15).for_each(|len| assert_eq!(premaster_in_segment(&tls[..len]), None, "{len}"));
        assert_eq!(premaster_in_segment(&record(3, &[])), Some(9..9));
        assert_eq!(premaster_in_segment(&[23, 3, 3, 0, 1, 16]), None);
    }

    #[test]
    fn joined_whatever_the_split() {
        let messages = [message(11, &[1; 90]), message(14, b""), message(20, &[2; 12])];
        let stream = messages.concat();
        for size in 1..=stream.len() {
            let mut joiner = Joiner::default();
            let mut out = Vec::new();
            for piece in stream.chunks(size) {
                joiner.push(piece);
                out.extend(all(&mut joiner));
            }
            assert_eq!(out, messages, "in pieces of {size}");
            assert!(!joiner.is_partial());
        }
    }

    #[test]
    fn a_message_beyond_the_bound_is_passed_over() {
        let mut joiner = Joiner::default();
        joiner.push(&message(11, &[0; 1200])[..500]);
        assert_eq!(all(&mut joiner), [vec![255, 1204u32 as u8]]);
        assert!(joiner.is_partial());
        joiner.push(&[0; 704]);
        assert!(!joiner.is_partial());
        joiner.push(&message(14, b""));
        assert_eq!(all(&mut joiner), [message(14, b"")]);
        // 16 MB announced, nothing kept.
        joiner.push(&[11, 255, 255, 255, 0, 0]);
        assert_eq!(all(&mut joiner).len(), 1);
        assert_eq!(joiner.buf.len() - joiner.start, 0);
    }

    fn hello() -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([2, 0xaa, 0xbb]);
        body.extend([0, 4, 0x00, 0x2f, 0x13, 0x01]);
        body.extend([1, 0]);
        let extensions = [
            &[0, 0, 0, 9, 0, 7, 0, 0, 4][..],
            b"m.ex",
            &[0, 16, 0, 7, 0, 5, 4],
            b"imap",
            &[0, 43, 0, 5, 4, 3, 4, 3, 3],
            &[0, 35, 0, 2, 9, 9],
        ]
        .concat();
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        body
    }

    #[test]
    fn client_hello() {
        let hello = ClientHello::parse(&hello()).unwrap();
        assert_eq!((hello.version, hello.random), (0x0303, [7; 32]));
        assert_eq!(hello.session_id, [0xaa, 0xbb]);
        assert_eq!(hello.suites, [0x002f, 0x1301]);
        assert_eq!(hello.sni.as_deref(), Some(&b"m.ex"[..]));
        assert_eq!(hello.alpn, [b"imap"]);
        assert_eq!(hello.supported_versions, [0x0304, 0x0303]);
        assert_eq!(hello.ticket.as_deref(), Some(&[9, 9][..]));
    }

    #[test]
    fn cut_anywhere_it_does_not_panic() {
        let hello = hello();
        for end in 0..hello.len() {
            let parsed = ClientHello::parse(&hello[..end]);
            assert_eq!(parsed.is_some(), end >= 2 + 32 + 3 + 6, "cut at {end}");
            ServerHello::parse(&hello[..end]);
            ClientHello::parse_v2(&hello[..end]);
            certificates(&hello[..end], true);
            certificates(&hello[..end], false);
            EncryptedExtensions::parse(&hello[..end]);
            ticket(&hello[..end]);
            psk_exchange(&hello[..end]);
        }
    }

    #[test]
    fn v2_challenge_stands_at_the_end_of_the_random() {
        let message = [&[1, 3, 1, 0, 6, 0, 0, 0, 16][..], &[0, 0, 0x2f, 7, 0, 0xc0], &[5; 16]].concat();
        let hello = ClientHello::parse_v2(&message).unwrap();
        assert_eq!(hello.version, 0x0301);
        assert_eq!(hello.suites, [0x002f]);
        assert_eq!(hello.random, [[0; 16], [5; 16]].concat()[..]);
        assert!(ClientHello::parse_v2(&message[..20]).is_none());
    }

    #[test]
    fn premaster_with_and_without_length() {
        assert_eq!(encrypted_premaster(&[0, 3, 1, 2, 3]), [1, 2, 3]);
        assert_eq!(encrypted_premaster(&[9, 3, 1, 2, 3]), [9, 3, 1, 2, 3]);
        assert_eq!(psk_exchange(&[0, 1, b'i', 0, 1, 7]), Some((&b"i"[..], &[7][..])));
    }

    #[test]
    fn certificate_lists() {
        let tls12 = [0, 0, 9, 0, 0, 2, 1, 2, 0, 0, 1, 3];
        assert_eq!(certificates(&tls12, false), [&[1, 2][..], &[3]]);
        let tls13 = [0, 0, 0, 7, 0, 0, 2, 1, 2, 0, 0];
        assert_eq!(certificates(&tls13, true), [&[1, 2]]);
        // A list that claims more than there is.
        assert_eq!(certificates(&[0, 9, 9, 0, 0, 1, 5, 0, 9, 9], false), [&[5]]);
    }

    #[test]
    fn a_hello_of_a_thousand_suites_is_cut() {
        let suites: Vec<u8> = (0..1000u16).flat_map(u16::to_be_bytes).collect();
        let hello = [&[3, 3][..], &[7; 32], &[0], &2000u16.to_be_bytes(), &suites, &[1, 0]].concat();
        assert_eq!(ClientHello::parse(&hello).unwrap().suites.len(), OFFERED_SUITES);
    }
}
