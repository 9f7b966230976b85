//! Whether a connection's first bytes are SMTP or LMTP. The port has no say.
//!
//! FTP greets with 220 as well, NNTP with 200 or 201: a greeting counts by its words, a client by its verb.

use super::command::{self, Verb};
use super::reply;
use crate::mail::detect::Likely;

/// A greeting is judged by this much of it (RFC 5321 §4.5.3.1.5 allows 512 bytes).
const LONG_LINE: usize = 1024;

/// How likely the connection is SMTP or LMTP, by the first bytes of each direction (empty where nothing came yet).
pub fn likely(client: &[u8], server: &[u8]) -> Likely {
    match (detect_client(client), detect_server(server)) {
        (Likely::No, _) => Likely::No,
        // Whatever else the greeting says: no other client says HELO or MAIL.
        (Likely::Yes, _) if server.starts_with(b"220") => Likely::Yes,
        (_, Likely::No) => Likely::No,
        (client, server) => match client.max(server) {
            // Nothing speaks against a bare 220 but the client's silence.
            Likely::Maybe if client == Likely::NeedMore && server == Likely::Maybe => Likely::Maybe,
            best => best,
        },
    }
}

/// Whether the server's first bytes are a greeting. 220 also answers STARTTLS, and refusals answer anything.
pub(super) fn greets(server: &[u8]) -> bool {
    let Some((line, true)) = first_line(server) else { return false };
    let text = line.get(4..).unwrap_or_default();
    let words = || text.split(|b| !b.is_ascii_alphanumeric());
    let says = |word: &[u8]| words().any(|w| w.eq_ignore_ascii_case(word));
    line.starts_with(b"220")
        && reply::is_trustworthy(line)
        && reply::enhanced(text).is_none()
        && (!(says(b"TLS") || says(b"STARTTLS")) || says(b"ESMTP") || says(b"SMTP") || says(b"LMTP"))
}

/// By the client's bytes alone.
pub fn detect_client(bytes: &[u8]) -> Likely {
    let Some((line, ended)) = first_line(bytes) else { return Likely::NeedMore };
    if line.iter().any(|b| b.is_ascii_control() && !matches!(b, b'\t' | 0x08 | 0x7f)) || line.starts_with(&[0x16]) {
        return Likely::No;
    }
    let parsed = command::parse(line);
    if !ended {
        return unfinished(line);
    }
    match parsed.verb {
        Verb::Helo | Verb::Ehlo | Verb::Lhlo => Likely::Yes,
        Verb::Mail if command::path(parsed.args, b"FROM").is_some() => Likely::Yes,
        Verb::Rcpt if command::path(parsed.args, b"TO").is_some() => Likely::Yes,
        Verb::Bdat if command::bdat(parsed.args).is_some() => Likely::Yes,
        Verb::StartTls if parsed.args.is_empty() => Likely::Maybe,
        Verb::Data | Verb::Rset if parsed.args.is_empty() => Likely::Maybe,
        Verb::Auth if !parsed.args.is_empty() => Likely::Maybe,
        // POP3, NNTP, FTP and ManageSieve have these, too.
        Verb::Quit | Verb::Xexch50 | Verb::Turn | Verb::Other => Likely::NeedMore,
        _ if is_other_protocol(parsed.name) => Likely::No,
        // A typing error, a tagged command: the server's words decide.
        _ => Likely::NeedMore,
    }
}

/// By the server's bytes alone.
pub fn detect_server(bytes: &[u8]) -> Likely {
    let Some((line, ended)) = first_line(bytes) else { return Likely::NeedMore };
    let code = line.get(..line.len().min(3)).unwrap_or_default();
    if !code.iter().all(u8::is_ascii_digit) {
        return Likely::No;
    }
    if !ended && line.len() < LONG_LINE {
        return Likely::NeedMore;
    }
    if !reply::is_trustworthy(line) {
        return Likely::No;
    }
    match code {
        b"220" | b"421" | b"554" => by_words(bytes, code),
        // In the middle of a session: other protocols have these numbers, too.
        b"250" | b"354" | b"334" | b"235" => Likely::Maybe,
        // NNTP's greetings, HTTP and FTP.
        b"200" | b"201" | b"230" | b"331" => Likely::No,
        _ => Likely::NeedMore,
    }
}

fn by_words(greeting: &[u8], code: &[u8]) -> Likely {
    let mut words =
        greeting.split(|b| !b.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).map(|w| w.to_ascii_lowercase());
    let mut verdict = if code == b"220" { Likely::Maybe } else { Likely::NeedMore };
    // FTP and NNTP have these codes, but no enhanced ones (RFC 3463).
    if code != b"220" && greeting.get(4..).is_some_and(|text| reply::enhanced(text).is_some()) {
        return Likely::Yes;
    }
    // A host may be called anything.
    let host = greeting.get(4..).unwrap_or_default().split(|b| *b == b' ').next().unwrap_or_default();
    let in_host = host.split(|b| !b.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).count();
    let named = host.contains(&b'.');
    for (at, word) in words.by_ref().take(400).enumerate() {
        match word.as_slice() {
            b"smtp" | b"esmtp" | b"lmtp" | b"postfix" | b"exim" | b"sendmail" | b"esmtps" | b"mailer" => {
                return Likely::Yes;
            }
            // Behind the code.
            _ if named && (1..=in_host).contains(&at) => {}
            w if w.starts_with(b"ftp") || w.ends_with(b"ftp") || w.ends_with(b"ftpd") || w == b"filezilla" => {
                verdict = Likely::No;
            }
            b"nntp" | b"nnrp" | b"inn2" | b"innd" => verdict = Likely::No,
            _ => {}
        }
    }
    verdict
}

/// A line that has not ended: whether it can still become one of ours.
fn unfinished(line: &[u8]) -> Likely {
    if line.len() > 4096 { Likely::No } else { Likely::NeedMore }
}

fn is_other_protocol(word: &[u8]) -> bool {
    const OTHERS: &[&str] = &[
        // HTTP, RTSP, SIP.
        "GET",
        "POST",
        "PUT",
        "HEAD",
        "OPTIONS",
        "CONNECT",
        "DELETE",
        "PATCH",
        "DESCRIBE",
        "REGISTER",
        "INVITE",
        // FTP.
        "USER",
        "PASS",
        "SYST",
        "FEAT",
        "PASV",
        "EPSV",
        "PORT",
        "RETR",
        "STOR",
        "LIST",
        "NLST",
        "CWD",
        "PWD",
        "TYPE",
        // POP3, NNTP, ManageSieve.
        "CAPA",
        "APOP",
        "STLS",
        "UIDL",
        "MODE",
        "GROUP",
        "ARTICLE",
        "LISTGROUP",
        "AUTHINFO",
        "AUTHENTICATE",
        "CAPABILITY",
        "NICK",
        "JOIN",
        "PING",
        "INFO",
    ];
    OTHERS.iter().any(|o| o.as_bytes().eq_ignore_ascii_case(word))
        || word.starts_with(b"SSH-")
        || word.starts_with(b"*")
}

/// The first line without its end, and whether it has one.
fn first_line(bytes: &[u8]) -> Option<(&[u8], bool)> {
    if bytes.is_empty() {
        return None;
    }
    let end = bytes.iter().position(|&b| b == b'\n');
    let line = bytes.get(..end.unwrap_or(bytes.len()))?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), end.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smtp_is_recognised() {
        for (client, server) in [
            ("", "220 mail.example.test ESMTP Postfix\r\n"),
            ("", "220-mail.example.test\r\n220 ESMTP\r\n"),
            ("EHLO x\r\n", "220 hello there\r\n"),
            ("EHLO x\r\n", ""),
            ("helo x\n", ""),
            ("LHLO x\r\n", "220 x\r\n"),
            ("MAIL FROM:<a@b>\r\n", ""),
            ("RCPT TO:<a@b>\r\n", "250 2.1.0 Ok\r\n"),
            ("", "554 mail.example.test ESMTP not accepting messages\r\n"),
            ("", "220 mail Microsoft ESMTP MAIL Service ready\r\n"),
            ("", "421 4.3.0 mail.example.com Server local error\r\n"),
            ("QUIT\r\n", "220 x SMTP\r\n"),
            ("EHLO x\r\n", "220 ftp.example.test ready\r\n"),
            ("HELO x\r\n", "220 FTP and mail\r\n"),
        ] {
            assert_eq!(likely(client.as_bytes(), server.as_bytes()), Likely::Yes, "{client:?} {server:?}");
        }
    }

    #[test]
    fn a_greeting_without_end_is_judged_by_its_words() {
        let long = [&b"220 mail.example.test ESMTP "[..], &[b'A'; 5000]].concat();
        assert_eq!(likely(b"", &long), Likely::Yes);
        let binary = [&b"220 mail.example.test"[..], &[0; 5000]].concat();
        assert_ne!(likely(b"", &binary), Likely::Yes);
    }

    #[test]
    fn others_are_not() {
        for (client, server) in [
            ("", "220 ProFTPD Server ready\r\n"),
            ("USER anonymous\r\n", "421 Service not available\r\n"),
            ("", "220 (vsFTPd 3.0.5)\r\n"),
            ("", "220 ftp.example.test FTP server ready\r\n"),
            ("USER x\r\n", "220 ftp.example.test ready\r\n"),
            ("USER anonymous\r\n", "220 ready\r\n"),
            ("", "200 news.example.test InterNetNews NNRP server\r\n"),
            ("", "+OK POP3 ready\r\n"),
            ("", "* OK IMAP4rev1\r\n"),
            ("GET / HTTP/1.1\r\n", ""),
            ("", "HTTP/1.1 200 OK\r\n"),
            ("\x16\x03\x01\x02\x00\x01", ""),
            ("CAPA\r\n", ""),
            ("", "SSH-2.0-OpenSSH\r\n"),
            ("*1\r\n$4\r\nPING\r\n", ""),
        ] {
            assert_eq!(likely(client.as_bytes(), server.as_bytes()), Likely::No, "{client:?} {server:?}");
        }
    }

    #[test]
    fn some_need_more() {
        for (client, server) in [("", ""), ("EHL", ""), ("", "22"), ("", "220 mail.exam"), ("QUIT\r\n", "")] {
            assert_eq!(likely(client.as_bytes(), server.as_bytes()), Likely::NeedMore, "{client:?} {server:?}");
        }
        assert_eq!(likely(b"", b"220 mail.example.test ready\r\n"), Likely::Maybe);
        assert_eq!(likely(b"", b"220 ftp.example.test ready\r\n"), Likely::Maybe);
        assert_eq!(likely(b"", b"250 ok\r\n"), Likely::Maybe);
    }
}
