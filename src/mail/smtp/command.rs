//! A client's line: its verb, and the arguments that matter (RFC 5321 §4.1, RFC 3030, RFC 4954 and kin), read with
//! more tolerance than servers have.

use super::xexch50::xexch50_size;

/// What a command does to the dialogue.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Helo,
    Ehlo,
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Burl,
    Xexch50,
    /// ATRN (RFC 2645), TURN (RFC 821): the server is to become the client.
    Turn,
    Rset,
    Quit,
    Auth,
    StartTls,
    /// Known, and without effect here.
    Other,
    /// Not known.
    Unknown,
}

const VERBS: &[(&str, Verb)] = &[
    ("HELO", Verb::Helo),
    ("EHLO", Verb::Ehlo),
    ("LHLO", Verb::Lhlo),
    ("MAIL", Verb::Mail),
    ("RCPT", Verb::Rcpt),
    ("DATA", Verb::Data),
    ("BDAT", Verb::Bdat),
    ("BURL", Verb::Burl),
    ("XEXCH50", Verb::Xexch50),
    ("RSET", Verb::Rset),
    ("QUIT", Verb::Quit),
    ("AUTH", Verb::Auth),
    ("X-EXPS", Verb::Auth),
    ("STARTTLS", Verb::StartTls),
    ("X-ANONYMOUSTLS", Verb::StartTls),
    // RFC 821: the first step of a transaction as well.
    ("SEND", Verb::Mail),
    ("SOML", Verb::Mail),
    ("SAML", Verb::Mail),
    ("NOOP", Verb::Other),
    ("VRFY", Verb::Other),
    ("EXPN", Verb::Other),
    ("HELP", Verb::Other),
    ("ETRN", Verb::Other),
    ("ATRN", Verb::Turn),
    ("TURN", Verb::Turn),
    ("XCLIENT", Verb::Other),
    ("XFORWARD", Verb::Other),
    ("X-LINK2STATE", Verb::Other),
    ("XPROXY", Verb::Other),
    ("XPROXYTO", Verb::Other),
    ("XADR", Verb::Other),
    ("XSTA", Verb::Other),
    ("XCIR", Verb::Other),
    ("XGEN", Verb::Other),
    ("XREQUEUE", Verb::Other),
    ("ONEX", Verb::Other),
    ("VERB", Verb::Other),
];

/// A line taken apart.
#[derive(Copy, Clone, Debug)]
pub(super) struct Line<'a> {
    pub(super) verb: Verb,
    /// The verb's canonical name, or the first word as it came.
    pub(super) name: &'a [u8],
    /// What follows it, blanks at both ends taken off.
    pub(super) args: &'a [u8],
}

/// Takes a line (without its end) apart.
pub(super) fn parse(line: &[u8]) -> Line<'_> {
    let line = line.trim_ascii();
    let end = line.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(line.len());
    let (word, args) = line.split_at(end);
    let args = args.trim_ascii();
    match VERBS.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word)) {
        Some((name, verb)) => Line { verb: *verb, name: name.as_bytes(), args },
        None => Line { verb: Verb::Unknown, name: word, args },
    }
}

/// A path and its parameters.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    /// Without angle brackets; source routes are kept.
    pub(super) address: &'a [u8],
    /// What follows.
    pub(super) params: &'a [u8],
}

/// The path behind `FROM:` or `TO:`. Angle brackets, the colon and blanks may be missing.
pub(super) fn path<'a>(args: &'a [u8], keyword: &[u8]) -> Option<Path<'a>> {
    let (head, rest) = args.split_at_checked(keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let rest = match rest.strip_prefix(b":") {
        Some(rest) => rest.trim_ascii_start(),
        // Without the colon another word could begin with the keyword.
        None if rest.starts_with(b"<") => rest,
        None => return None,
    };
    let (address, params) = match rest.strip_prefix(b"<") {
        Some(inner) => {
            let end = closing_bracket(inner);
            let (address, rest) = inner.split_at(end);
            (address, rest.strip_prefix(b">").unwrap_or(rest))
        }
        None => rest.split_at(rest.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(rest.len())),
    };
    Some(Path { address: address.trim_ascii(), params: params.trim_ascii() })
}

/// Whether the path's end is there, in a line whose own is missing.
pub(super) fn is_path_whole(args: &[u8], keyword: &[u8]) -> bool {
    let longer = [args, b"x"].concat();
    path(&longer, keyword).is_some_and(|longer| path(args, keyword).is_some_and(|p| p.address == longer.address))
}

/// Where the path ends: at `>` outside quotes; where the quotes do not close, at the first `>`, or with the line.
fn closing_bracket(inner: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in inner.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return at,
            _ => {}
        }
    }
    inner.iter().position(|&b| b == b'>').unwrap_or(inner.len())
}

/// `BDAT`'s size and whether `LAST` follows; none where the size is no number (of 64 bits).
pub(super) fn bdat(args: &[u8]) -> Option<(u64, bool)> {
    let mut words = args.split(|b| matches!(b, b' ' | b'\t')).filter(|w| !w.is_empty());
    let size = std::str::from_utf8(words.next()?).ok().filter(|w| w.bytes().all(|b| b.is_ascii_digit()))?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case(b"LAST") => true,
        Some(_) => return None,
    };
    if words.next().is_some() {
        return None;
    }
    Some((size.parse().ok()?, last))
}

/// Whether a line is a command and hardly anything else: where to go on after a loss. A line of a mail's text must not
/// pass.
pub(super) fn is_trustworthy(line: &[u8]) -> bool {
    let parsed = parse(line);
    // A verb that begins in a blank is no command of a program.
    if line.first().is_none_or(|b| !b.is_ascii_alphabetic()) {
        return false;
    }
    let args = parsed.args;
    let one_word = !args.is_empty() && !args.contains(&b' ');
    // As a sentence begins: "Helo world", "Mail from: Bob".
    let capital = matches!(line, [b'A'..=b'Z', b'a'..=b'z', ..]);
    match parsed.verb {
        Verb::Helo | Verb::Ehlo | Verb::Lhlo | Verb::Auth if capital => false,
        Verb::Mail | Verb::Rcpt if capital && !args.contains(&b'<') => false,
        Verb::Helo | Verb::Ehlo | Verb::Lhlo => one_word,
        Verb::Mail => path(args, b"FROM").is_some(),
        Verb::Rcpt => path(args, b"TO").is_some(),
        Verb::Data | Verb::Rset | Verb::Quit | Verb::StartTls => args.is_empty(),
        Verb::Bdat => bdat(args).is_some(),
        Verb::Xexch50 => xexch50_size(args).is_some(),
        Verb::Auth => {
            let mechanism = args.split(|&b| b == b' ').next().unwrap_or_default();
            let words = args.split(|&b| b == b' ').count();
            (1..=2).contains(&words)
                && (2..=20).contains(&mechanism.len())
                && mechanism.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        }
        Verb::Other if parsed.name == b"NOOP" => args.is_empty(),
        Verb::Other if matches!(parsed.name, b"XCLIENT" | b"XFORWARD") => args.contains(&b'='),
        Verb::Other => matches!(parsed.name, b"ETRN" | b"VRFY" | b"EXPN") && one_word,
        Verb::Burl | Verb::Turn | Verb::Unknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(args: &str) -> Option<(&str, &str)> {
        path(args.as_bytes(), b"FROM")
            .map(|p| (std::str::from_utf8(p.address).unwrap(), std::str::from_utf8(p.params).unwrap()))
    }

    #[test]
    fn verbs() {
        let line = parse(b"mail from:<a@b> SIZE=1 ");
        assert_eq!((line.verb, line.name, line.args), (Verb::Mail, &b"MAIL"[..], &b"from:<a@b> SIZE=1"[..]));
        let line = parse(b"ehl\x08lo foo");
        assert_eq!((line.verb, line.name, line.args), (Verb::Unknown, &b"ehl\x08lo"[..], &b"foo"[..]));
        let line = parse(b"  quit\t");
        assert_eq!((line.verb, line.name, line.args), (Verb::Quit, &b"QUIT"[..], &b""[..]));
        assert_eq!(parse(b"").name, b"");
    }

    #[test]
    fn a_sentence_is_no_command() {
        for text in ["Helo world", "Auth failed", "Mail from: Bob", "Rcpt to: Ann", "Data of the day", "Quit it"] {
            assert!(!is_trustworthy(text.as_bytes()), "{text}");
        }
        for line in ["HELO world", "ehlo me", "Mail From:<a@b>", "Rcpt To: <a@b>", "AUTH LOGIN", "auth plain", "Quit"] {
            assert!(is_trustworthy(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn paths() {
        assert_eq!(mail("FROM:<a@b.test> SIZE=10 BODY=8BITMIME"), Some(("a@b.test", "SIZE=10 BODY=8BITMIME")));
        assert_eq!(mail("FROM:<>"), Some(("", "")));
        assert_eq!(mail("from: <a@b>"), Some(("a@b", "")));
        assert_eq!(mail("FROM:x"), Some(("x", "")));
        assert_eq!(mail("FROM: x@y  SIZE=1"), Some(("x@y", "SIZE=1")));
        assert_eq!(mail("FROM <x>"), Some(("x", "")));
        assert_eq!(mail("FROM:<@one,@two:joe@three>"), Some(("@one,@two:joe@three", "")));
        assert_eq!(mail("FROM:<\"a>b\\\"c d\"@e> X=1"), Some(("\"a>b\\\"c d\"@e", "X=1")));
        assert_eq!(mail("FROM:<bad"), Some(("bad", "")));
        assert_eq!(mail("FROM:<a\"b> SIZE=1"), Some(("a\"b", "SIZE=1")));
        assert_eq!(mail("FROMAGE"), None);
        assert_eq!(mail("TO:<x>"), None);
        assert_eq!(mail(""), None);
    }

    #[test]
    fn chunks() {
        assert_eq!(bdat(b"10"), Some((10, false)));
        assert_eq!(bdat(b"0 last"), Some((0, true)));
        assert_eq!(bdat(b"86 \t LAST"), Some((86, true)));
        assert_eq!(bdat(b"18446744073709551615"), Some((u64::MAX, false)));
        for bad in [&b""[..], b"LAST", b"-1", b"+1", b"18446744073709551616", b"1x", b"3 LAST EXTRA", b"3 EXTRA"] {
            assert_eq!(bdat(bad), None, "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn lines_to_trust() {
        for good in ["EHLO x", "mail from:<a>", "RCPT TO:b", "DATA", "BDAT 3 LAST", "AUTH PLAIN AAA=", "quit", "NOOP"] {
            assert!(is_trustworthy(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "Data is here",
            "mail me",
            "Quit smoking",
            "help",
            " DATA",
            "AUTH is a command of SMTP",
            "Helo my dear",
        ] {
            assert!(!is_trustworthy(bad.as_bytes()), "{bad}");
        }
    }
}
