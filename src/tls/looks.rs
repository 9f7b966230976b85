//! What a direction's first bytes look like.

use super::record::{HEADER, Header, content};

/// Whether the beginning of a direction looks like TLS.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Looks {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Too few bytes to tell.
    More,
}

/// Whether bytes at the beginning of a direction look like TLS: a record header with a plausible beginning of its
/// fragment, or an SSL 2.0-framed ClientHello.
pub fn looks_like_tls(bytes: &[u8]) -> Looks {
    let Some(&first) = bytes.first() else { return Looks::More };
    if first & 0x80 != 0 {
        return match bytes {
            [_, _, t, ..] if *t != 1 => Looks::No,
            [_, _, _, major, ..] if *major != 3 => Looks::No,
            [high, low, 1, 3, minor, ..] => {
                let len = usize::from(u16::from_be_bytes([high & 0x7f, *low]));
                if *minor <= 4 && (9 + 3 + 16..4096).contains(&len) { Looks::Yes } else { Looks::No }
            }
            _ => Looks::More,
        };
    }
    if !(content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT).contains(&first)
        || bytes.get(1).is_some_and(|&major| major != 3)
        || bytes.get(2).is_some_and(|&minor| minor > 4)
    {
        return Looks::No;
    }
    if bytes.len() < HEADER {
        return Looks::More;
    }
    let Some(header) = Header::parse(bytes) else { return Looks::No };
    let body = bytes.get(HEADER..).unwrap_or_default();
    match (first, header.len) {
        (content::APPLICATION, len) => yes_if(len > 0),
        (_, 0) => Looks::No,
        (content::CHANGE_CIPHER_SPEC, 1) | (content::ALERT, 2) => match body.first() {
            None => Looks::More,
            Some(&b) => yes_if(b == 1 || (first == content::ALERT && b == 2)),
        },
        // Encrypted, or a plain handshake message: then it begins with a hello.
        (content::HANDSHAKE, _) => match body {
            [] => Looks::More,
            [0..=2, 0, ..] => Looks::Yes,
            [0..=2] => {
                if header.len == 1 {
                    Looks::Yes
                } else {
                    Looks::More
                }
            }
            _ => yes_if(header.len >= 16),
        },
        _ => Looks::Yes,
    }
}

fn yes_if(yes: bool) -> Looks {
    if yes { Looks::Yes } else { Looks::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_tls() {
        use Looks::{More, No, Yes};
        let hello = [0x80 | 1, 0, 1, 3];
        let cases: &[(&[u8], Looks)] = &[
            (b"", More),
            (b"220 ", No),
            (b"EHLO", No),
            (&[19], No),
            (&[20], More),
            (&[24, 3, 4], More),
            (&[25, 3, 3], No),
            (&[22, 2], No),
            (&[22, 3, 5], No),
            (&[22, 3, 3, 0], More),
            // Longer than any record may be.
            (&[23, 3, 3, 0xff, 0xff], No),
            // Application data: not without any.
            (&[23, 3, 3, 0, 0], No),
            (&[23, 3, 3, 0, 1], Yes),
            (&[22, 3, 3, 0, 0], No),
            // A plain change of keys or alert, by its first byte.
            (&[20, 3, 3, 0, 1], More),
            (&[20, 3, 3, 0, 1, 1], Yes),
            (&[20, 3, 3, 0, 1, 2], No),
            (&[21, 3, 3, 0, 2], More),
            (&[21, 3, 3, 0, 2, 1], Yes),
            (&[21, 3, 3, 0, 2, 2, 40], Yes),
            (&[21, 3, 3, 0, 2, 3], No),
            // An encrypted one.
            (&[21, 3, 3, 0, 26], Yes),
            // A hello: its length is below 65,536.
            (&[22, 3, 1, 1, 0], More),
            (&[22, 3, 1, 1, 0, 1], More),
            (&[22, 3, 1, 1, 0, 1, 0], Yes),
            (&[22, 3, 1, 0, 1, 1], Yes),
            (&[22, 3, 1, 0, 15, 1, 7], No),
            (&[22, 3, 1, 0, 16, 1, 7], Yes),
            (&[22, 3, 1, 0, 15, 9], No),
            (&[22, 3, 1, 0, 16, 9], Yes),
            // SSL 2.0 framing.
            (&hello[..1], More),
            (&hello, More),
            (&[0x81, 0, 2], No),
            (&[0x81, 0, 1, 2], No),
            (&[0x81, 0, 1, 3, 1], Yes),
            (&[0x81, 0, 1, 3, 5], No),
            (&[0x80, 27, 1, 3, 1], No),
            (&[0x80, 28, 1, 3, 1], Yes),
            (&[0x90, 0, 1, 3, 1], No),
        ];
        for (bytes, looks) in cases {
            assert_eq!(looks_like_tls(bytes), *looks, "{bytes:?}");
        }
    }

    #[test]
    fn looks() {
        assert_eq!(looks_like_tls(b""), Looks::More);
        assert_eq!(looks_like_tls(b"220 mail"), Looks::No);
        assert_eq!(looks_like_tls(&[22]), Looks::More);
        assert_eq!(looks_like_tls(&[22, 3, 1, 2, 0, 1, 0, 1]), Looks::Yes);
        assert_eq!(looks_like_tls(&[22, 3, 1, 2, 0, 9, 9]), Looks::Yes);
        assert_eq!(looks_like_tls(&[21, 3, 1, 0, 2, 2]), Looks::Yes);
        assert_eq!(looks_like_tls(&[22, 2, 1, 2, 0, 9, 9]), Looks::No);
        assert_eq!(looks_like_tls(&[0x80, 0x2e, 1, 3, 1, 0]), Looks::Yes);
        assert_eq!(looks_like_tls(&[0x80, 0x2e, 4, 3, 1, 0]), Looks::No);
        assert_eq!(looks_like_tls(&[0x80, 0x2e]), Looks::More);
    }
}
