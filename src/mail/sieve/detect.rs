//! Whether a connection speaks ManageSieve, from its first bytes.

use crate::mail::detect::Likely;

/// Judges the first bytes of each direction; either may be empty.
///
/// A server greets with its capabilities, quoted words a line each, `"IMPLEMENTATION"` among the first; nothing else
/// does. Of a client alone, commands that only ManageSieve has decide.
pub fn likely(client: &[u8], server: &[u8]) -> Likely {
    match (greeting(server), commands(client)) {
        (Likely::No, _) => Likely::No,
        (Likely::Yes, _) | (_, Likely::Yes) => Likely::Yes,
        (Likely::Maybe, _) | (_, Likely::Maybe) => Likely::Maybe,
        (Likely::NeedMore, Likely::No) if server.is_empty() => Likely::No,
        (Likely::NeedMore, _) => Likely::NeedMore,
    }
}

/// Whether the server's first bytes are its greeting. CAPABILITY's answer is the same but for its last words.
pub(super) fn greets(server: &[u8]) -> bool {
    let last = server.split(|&byte| byte == b'\n').find(|line| line.starts_with(b"OK")).unwrap_or_default();
    greeting(server) == Likely::Yes && !last.windows(9).any(|word| word.eq_ignore_ascii_case(b"completed"))
}

fn greeting(server: &[u8]) -> Likely {
    const NAMES: [&str; 11] = [
        "IMPLEMENTATION",
        "SIEVE",
        "SASL",
        "STARTTLS",
        "VERSION",
        "NOTIFY",
        "LANGUAGE",
        "MAXREDIRECTS",
        "OWNER",
        "RENAME",
        "UNAUTHENTICATE",
    ];
    if server.is_empty() {
        return Likely::NeedMore;
    }
    let Some(quoted) = server.strip_prefix(b"\"") else {
        // A server that is full says BYE at once; the word alone is no proof.
        let bye = b"BYE ";
        let head = &server[..server.len().min(bye.len())];
        return match bye.get(..head.len()).is_some_and(|bye| bye.eq_ignore_ascii_case(head)) {
            true if head.len() == bye.len() => Likely::Maybe,
            true => Likely::NeedMore,
            false => Likely::No,
        };
    };
    let Some(end) = quoted.iter().position(|&byte| byte == b'"') else {
        let begun = NAMES
            .iter()
            .any(|name| name.as_bytes().get(..quoted.len()).is_some_and(|head| head.eq_ignore_ascii_case(quoted)));
        return if begun { Likely::NeedMore } else { Likely::No };
    };
    let (name, behind) = quoted.split_at(end);
    if !NAMES.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)) {
        return Likely::No;
    }
    match behind.get(1) {
        None => Likely::NeedMore,
        Some(b' ') if name.eq_ignore_ascii_case(b"IMPLEMENTATION") || name.eq_ignore_ascii_case(b"SIEVE") => {
            Likely::Yes
        }
        Some(b' ' | b'\r' | b'\n') => Likely::Maybe,
        Some(_) => Likely::No,
    }
}

fn commands(client: &[u8]) -> Likely {
    if client.is_empty() {
        return Likely::NeedMore;
    }
    let end = client.iter().position(|&byte| byte == b' ' || byte == b'\r' || byte == b'\n');
    let Some(end) = end else { return if client.len() > 16 { Likely::No } else { Likely::NeedMore } };
    let (verb, rest) = client.split_at(end);
    let string = match rest {
        [b' ', b'"' | b'{', ..] => Some(true),
        [b' '] => None,
        _ => Some(false),
    };
    match (verb.to_ascii_uppercase().as_slice(), string) {
        (b"LISTSCRIPTS", _) => Likely::Yes,
        (b"AUTHENTICATE" | b"PUTSCRIPT" | b"GETSCRIPT" | b"HAVESPACE" | b"SETACTIVE" | b"CHECKSCRIPT", Some(true)) => {
            Likely::Yes
        }
        (b"AUTHENTICATE" | b"PUTSCRIPT" | b"GETSCRIPT" | b"HAVESPACE" | b"SETACTIVE" | b"CHECKSCRIPT", None) => {
            Likely::NeedMore
        }
        // IMAP has tags before it, NNTP says CAPABILITIES.
        (b"CAPABILITY", _) => Likely::Maybe,
        // SMTP and NNTP have the same words.
        (b"STARTTLS" | b"NOOP" | b"LOGOUT", _) => Likely::NeedMore,
        _ => Likely::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_greeting_and_command() {
        for (client, server, expected) in [
            ("", "\"IMPLEMENTATION\" \"Dovecot Pigeonhole\"\r\n", Likely::Yes),
            ("", "\"Sieve\" \"fileinto\"\r\n", Likely::Yes),
            ("", "\"IMPL", Likely::NeedMore),
            ("", "\"SASL\" \"PLAIN\"\r\n", Likely::Maybe),
            ("", "\"hello\" \"x\"", Likely::No),
            ("", "+OK ready\r\n", Likely::No),
            ("", "220 x ESMTP\r\n", Likely::No),
            ("", "* OK IMAP4rev1\r\n", Likely::No),
            ("", "BYE \"too many\"\r\n", Likely::Maybe),
            ("PUTSCRIPT \"a\" {3+}\r\n", "", Likely::Yes),
            ("AUTHENTICATE \"PLAIN\" \"AAA=\"\r\n", "", Likely::Yes),
            ("CAPABILITIES\r\n", "", Likely::No),
            ("STARTTLS\r\n", "", Likely::NeedMore),
            ("STARTTLS\r\n", "220 go\r\n", Likely::No),
            ("GET / HTTP/1.1\r\n", "", Likely::No),
            ("a CAPABILITY\r\n", "", Likely::No),
            ("", "", Likely::NeedMore),
        ] {
            assert_eq!(likely(client.as_bytes(), server.as_bytes()), expected, "{client:?} {server:?}");
        }
    }
}
