//! Whether a connection's first bytes are IMAP: a greeting, a tagged command, or the middle of a session.

use super::{plausible, verbs};
use crate::mail::detect::{Likely, is_http};

/// First words of other protocols' commands, which are no tags: `AUTH LOGIN` is SMTP, `LIST ACTIVE` NNTP.
const OTHERS: &[&str] = &[
    "APOP",
    "AUTH",
    "AUTHINFO",
    "BDAT",
    "CAPA",
    "DATA",
    "DELE",
    "EHLO",
    "EXPN",
    "GET",
    "HEAD",
    "HELO",
    "HELP",
    "LHLO",
    "LIST",
    "MAIL",
    "NOOP",
    "PASS",
    "POST",
    "PUT",
    "QUIT",
    "RCPT",
    "RETR",
    "RSET",
    "SITE",
    "STAT",
    "STLS",
    "TOP",
    "UIDL",
    "USER",
    "VRFY",
    "XCLIENT",
    "AUTHENTICATE",
    "CAPABILITY",
    "HAVESPACE",
    "LOGOUT",
    "OPTIONS",
    "DELETE",
];

/// Beyond it nobody waits for a line's end.
const LONG_LINE: usize = 1024;

/// Whether the server's first bytes are a greeting; `* OK` alone may be news.
pub(super) fn greets(server: &[u8]) -> bool {
    let line = server.split(|&byte| byte == b'\n').next().unwrap_or_default().to_ascii_lowercase();
    let says = |word: &[u8]| line.windows(word.len()).any(|window| window == word);
    line.starts_with(b"* preauth ")
        || (line.starts_with(b"* ok ") && (says(b"[capability ") || says(b"imap") || says(b"ready")))
}

/// How likely it is from the first bytes of each direction, either of which may be empty.
pub fn likely(client: &[u8], server: &[u8]) -> Likely {
    let client = if is_http(client) { Some(Likely::No) } else { judge(client, client_line) };
    match (client, judge(server, server_line)) {
        (Some(a), Some(b)) => a.max(b),
        (a, b) => a.or(b).unwrap_or(Likely::NeedMore),
    }
}

/// The best of the first lines: a capture that begins in the middle begins in the middle of a line, or of a literal.
fn judge(bytes: &[u8], line: fn(&[u8], bool) -> Likely) -> Option<Likely> {
    const LINES: usize = 64;
    if bytes.is_empty() {
        return None;
    }
    let mut lines = bytes.split_inclusive(|&b| b == b'\n');
    let first = lines.next().map_or(Likely::NeedMore, |l| line(l.trim_ascii_end(), l.ends_with(b"\n")));
    if first >= Likely::Maybe {
        return Some(first);
    }
    let later = lines.take(LINES).filter(|l| l.ends_with(b"\n")).map(|l| line(l.trim_ascii_end(), true)).max();
    // Further on, words alone do not make it sure.
    Some(first.max(later.unwrap_or(Likely::No).min(Likely::Maybe)))
}

fn server_line(line: &[u8], whole: bool) -> Likely {
    for greeting in [b"* OK".as_slice(), b"* PREAUTH", b"* BYE"] {
        let head = line.get(..greeting.len()).unwrap_or(line);
        if !greeting.get(..head.len()).is_some_and(|g| g.eq_ignore_ascii_case(head)) {
            continue;
        }
        match line.get(greeting.len()) {
            // What it says tells a greeting from news.
            Some(b' ') if whole || line.len() > LONG_LINE => return Likely::Yes,
            Some(b' ') => return Likely::Maybe,
            Some(_) => {}
            None if head.len() == greeting.len() && whole => return Likely::Yes,
            None if !whole => return Likely::NeedMore,
            None => {}
        }
    }
    // `354 OK` and `250 OK` are SMTP's and LMTP's.
    let is_code = |tag: &[u8]| matches!(tag, [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']);
    let complete = plausible::untagged(line) || plausible::tagged(line).is_some_and(|tag| !is_code(tag));
    if complete && (whole || line.len() > 16) {
        return Likely::Maybe;
    }
    // `+OK` and `-ERR` are POP3 and Redis, three digits SMTP and its kin.
    let other = line.starts_with(b"+OK")
        || line.starts_with(b"-")
        || line.starts_with(b"HTTP")
        || line.get(..3).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    if whole || other || line.len() > 64 { Likely::No } else { Likely::NeedMore }
}

fn client_line(line: &[u8], whole: bool) -> Likely {
    let (tag, rest) = verbs::word(line);
    // `250-AUTH=PLAIN LOGIN` is SMTP's, whoever seems to be the client.
    if matches!(tag, [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', b'-', ..]) {
        return Likely::No;
    }
    let other = OTHERS.iter().any(|o| o.as_bytes().eq_ignore_ascii_case(tag));
    if other || (!verbs::is_tag(tag) && !tag.is_empty()) {
        return Likely::No;
    }
    let (verb, args) = verbs::word(rest);
    // The verb ends where something follows it.
    let ended = whole || verb.len() < rest.len();
    if !ended {
        return if line.len() > 96 { Likely::No } else { Likely::NeedMore };
    }
    let known = match verbs::known(verb) {
        Some("UID") if whole => verbs::uid(verbs::word(args).0).is_some(),
        known => known.is_some(),
    };
    match (known, tag.iter().any(u8::is_ascii_digit)) {
        (true, true) => Likely::Yes,
        (true, false) => Likely::Maybe,
        (false, _) => Likely::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings() {
        assert_eq!(likely(b"", b"* OK [CAPABILITY IMAP4rev1] ready\r\n"), Likely::Yes);
        assert_eq!(likely(b"", b"* PREAUTH hello"), Likely::Maybe);
        assert_eq!(likely(b"", b"* PREAUTH hello\r\n"), Likely::Yes);
        assert_eq!(likely(b"", b"* BYE too many\r\n"), Likely::Yes);
        assert_eq!(likely(b"", b"* O"), Likely::NeedMore);
        assert_eq!(likely(b"A1", b""), Likely::NeedMore);
        assert_eq!(likely(b"A1 CAPABILITY\r\n", b""), Likely::Yes);
        assert_eq!(likely(b"a login alice secret\r\n", b""), Likely::Maybe);
        assert_eq!(likely(b"", b""), Likely::NeedMore);
    }

    #[test]
    fn middles() {
        assert_eq!(likely(b"x UID FETCH 1 FLAGS\r\n", b""), Likely::Maybe);
        assert_eq!(likely(b"", b"* 23 EXISTS\r\n"), Likely::Maybe);
        assert_eq!(likely(b"", b"lo world\r\n)\r\n* 2 FETCH (UID 5)\r\nA5 OK done\r\n"), Likely::Maybe);
    }

    #[test]
    fn others() {
        for client in ["AUTH LOGIN\r\n", "USER login\r\n", "EHLO a\r\n", "LIST ACTIVE\r\n", "GET / HTTP/1.1\r\n"] {
            assert_eq!(likely(client.as_bytes(), b""), Likely::No, "{client}");
        }
        assert_eq!(likely(b"250-SIZE 1000\r\n250-AUTH=PLAIN LOGIN CRAM-MD5\r\n250 CHUNKING\r\n", b""), Likely::No);
        // Bodies and header fields may look like anything.
        assert_eq!(likely(b"POST /x HTTP/1.1\r\nHost: x\r\n\r\na LOGIN b\r\n", b""), Likely::No);
        assert_eq!(likely(b"", b"550 5.1.1 <a@x> no\r\n250 2.1.5 OK\r\n354 OK\r\n"), Likely::No);
        for server in ["+OK POP3 ready\r\n", "220 smtp\r\n", "\"IMPLEMENTATION\" \"x\"\r\n", "*1\r\n$4\r\nPING\r\n"] {
            assert_eq!(likely(b"", server.as_bytes()), Likely::No, "{server}");
        }
    }
}
