//! Whether a connection speaks POP3, from its first bytes.

use crate::mail::detect::Likely;

/// Judges the first bytes of each direction; either may be empty.
///
/// `+OK` alone is Redis's, USER and PASS are FTP's too, and NNTP has CAPABILITIES: a greeting's words or POP3's own
/// verbs decide.
pub fn likely(client: &[u8], server: &[u8]) -> Likely {
    let (greeting, commands) = (greeting(server), commands(client));
    match (greeting, commands) {
        (Likely::No, _) => Likely::No,
        (Likely::Yes, _) => Likely::Yes,
        // The server answers as POP3 does, the client asks as POP3 does.
        (Likely::Maybe, Likely::Yes | Likely::Maybe) => Likely::Yes,
        (Likely::Maybe, Likely::No) => Likely::No,
        (Likely::Maybe, Likely::NeedMore) => Likely::Maybe,
        (Likely::NeedMore, Likely::No) => Likely::No,
        (Likely::NeedMore, commands) if server.is_empty() => commands,
        // The rest of its line is not in the capture: the client has read it, and goes on.
        (Likely::NeedMore, Likely::Yes | Likely::Maybe) if server.get(..4).is_some_and(|s| s == b"+OK ") => Likely::Yes,
        (Likely::NeedMore, _) => Likely::NeedMore,
    }
}

fn greeting(server: &[u8]) -> Likely {
    if server.is_empty() {
        return Likely::NeedMore;
    }
    let Some((positive, status)) = [(true, "+OK"), (false, "-ERR")].into_iter().find(|(_, status)| {
        let len = status.len().min(server.len());
        status.as_bytes()[..len].eq_ignore_ascii_case(&server[..len])
    }) else {
        return Likely::No;
    };
    let Some(rest) = server.get(status.len()..).filter(|rest| !rest.is_empty()) else { return Likely::NeedMore };
    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
        return if rest.len() > 512 { Likely::No } else { Likely::NeedMore };
    };
    let (line, behind) = rest.split_at(end);
    if line.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
        return Likely::No;
    }
    let line = line.to_ascii_lowercase();
    let has = |word: &str| line.windows(word.len()).any(|window| window == word.as_bytes());
    const WORDS: [&str; 9] = ["pop", "ready", "dovecot", "mail", "welcome", "server", "hello", "cyrus", "courier"];
    let timestamp = line.contains(&b'<') && line.contains(&b'@') && line.contains(&b'>');
    if positive && (timestamp || WORDS.iter().any(|word| has(word))) {
        return Likely::Yes;
    }
    // Redis sends several replies of its own kinds: `+OK`, `$5`, `:1`, `*2`.
    if let [b'$' | b':' | b'*', ..] = &behind[1..] {
        return Likely::No;
    }
    Likely::Maybe
}

fn commands(client: &[u8]) -> Likely {
    if client.is_empty() {
        return Likely::NeedMore;
    }
    let lines: Vec<&[u8]> = client.split(|&byte| byte == b'\n').take(8).collect();
    let Some((first, later)) = lines.split_first() else { return Likely::NeedMore };
    let verb = |line: &[u8]| -> Vec<u8> {
        let line = line.trim_ascii();
        line[..line.iter().position(|&byte| byte == b' ').unwrap_or(line.len())].to_ascii_uppercase()
    };
    let first_verb = verb(first);
    if later.is_empty() && !first.contains(&b' ') {
        // The first word is not whole yet.
        let begun = [
            "CAPA", "USER", "APOP", "STLS", "AUTH", "QUIT", "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "NOOP",
            "RSET",
        ]
        .iter()
        .any(|name| name.as_bytes().starts_with(&first_verb));
        return if begun { Likely::NeedMore } else { Likely::No };
    }
    match first_verb.as_slice() {
        b"CAPA" | b"APOP" | b"STLS" => Likely::Yes,
        // FTP logs in the same way; what comes after it does not.
        b"USER" => {
            let own = |line: &&[u8]| matches!(verb(line).as_slice(), b"STAT" | b"UIDL" | b"RETR" | b"TOP" | b"CAPA");
            if later.iter().any(own) { Likely::Yes } else { Likely::Maybe }
        }
        // Redis has AUTH with a password, SMTP one that comes after EHLO.
        b"AUTH" => {
            let mechanism = first.trim_ascii().get(5..).unwrap_or_default();
            let word = mechanism.split(|&byte| byte == b' ').next().unwrap_or_default().to_ascii_uppercase();
            match word.as_slice() {
                b"PLAIN" | b"LOGIN" | b"CRAM-MD5" | b"DIGEST-MD5" | b"NTLM" | b"XOAUTH2" | b"OAUTHBEARER"
                | b"GSSAPI" | b"" => Likely::Maybe,
                word if word.starts_with(b"SCRAM-") => Likely::Maybe,
                _ => Likely::No,
            }
        }
        // A capture may begin in the middle. FTP and NNTP have some of these, with names instead of numbers.
        b"RETR" | b"TOP" | b"DELE" if numbers_follow(first) => Likely::Maybe,
        b"UIDL" => Likely::Maybe,
        b"QUIT" | b"STAT" | b"LIST" | b"NOOP" | b"RSET" => Likely::NeedMore,
        _ => Likely::No,
    }
}

/// Whether all of a command's arguments are numbers, and there are some.
fn numbers_follow(line: &[u8]) -> bool {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).skip(1).peekable();
    words.peek().is_some() && words.all(|word| word.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_greeting_and_command() {
        for (client, server, expected) in [
            ("", "+OK Dovecot (Debian) ready. <1.2@vm>\r\n", Likely::Yes),
            ("", "+OK POP3 server ready\r\n", Likely::Yes),
            ("", "+O", Likely::NeedMore),
            ("", "+OK\r\n", Likely::Maybe),
            ("", "+OK\n", Likely::Maybe),
            ("", "+OKAY\n", Likely::No),
            ("USER bob\n", "+OK\n", Likely::Yes),
            ("CAPA\r\n", "+OK\r\n", Likely::Yes),
            ("USER bob\r\n", "+OK\r\n", Likely::Yes),
            ("capa\r\n", "", Likely::Yes),
            ("USER bob\r\nPASS x\r\nSTAT\r\n", "", Likely::Yes),
            ("USER bob\r\nPASS x\r\nPASV\r\n", "", Likely::Maybe),
            // Cut behind the status by the capture.
            ("USER bob\r\n", "+OK ", Likely::Yes),
            // From the middle.
            ("RETR 1\r\n", "+OK 120 octets\r\nSubject: x\r\n", Likely::Yes),
            ("STAT\r\n", "+OK 2 320\r\n", Likely::Maybe),
            ("UIDL\r\n", "+OK\r\n1 a\r\n", Likely::Yes),
            ("RETR file.txt\r\n", "", Likely::No),
            ("LIST\r\n", "", Likely::NeedMore),
            ("STAT\r\n", "211 status\r\n", Likely::No),
            // FTP, SMTP, NNTP, IMAP.
            ("USER bob\r\n", "220 FTP ready\r\n", Likely::No),
            ("CAPABILITIES\r\n", "200 news ready\r\n", Likely::No),
            ("CAPABILITIES\r\n", "", Likely::No),
            ("", "* OK ready\r\n", Likely::No),
            // Redis.
            ("*1\r\n$4\r\nPING\r\n", "+PONG\r\n", Likely::No),
            ("*3\r\n$3\r\nSET\r\n", "+OK\r\n", Likely::No),
            ("SET a b\r\n", "+OK\r\n", Likely::No),
            ("AUTH secret\r\n", "+OK\r\n", Likely::No),
            ("PING\r\n", "-ERR unknown command\r\n", Likely::No),
            ("", "+OK\r\n$5\r\n", Likely::No),
            ("GET / HTTP/1.1\r\n", "", Likely::No),
            ("\x16\x03\x01", "", Likely::No),
            ("", "", Likely::NeedMore),
        ] {
            assert_eq!(likely(client.as_bytes(), server.as_bytes()), expected, "{client:?} {server:?}");
        }
    }
}
