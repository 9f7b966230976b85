//! What a client's line asks for, and the shape of the reply that it will get.

/// The shape of a positive reply, and what the dissector has to do about it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One line.
    Single,
    /// Lines up to a dot (RFC 1939 §3).
    Listing,
    /// Lines up to a dot: message numbers with unique ids.
    UniqueIds,
    /// One line with a number and its unique id.
    UniqueId,
    /// A message.
    Retrieve,
    /// The beginning of a message: its header, and so many lines of its text.
    Top(u64),
    Password,
    Apop,
    Auth,
    StartTls,
    /// XTND XMIT: the client sends a mail behind a positive reply, and has another reply then.
    Transmit,
    Quit,
    /// No verb that is known: one line, or lines up to a dot.
    Unknown,
}

impl Kind {
    /// Whether lines may follow a positive reply.
    pub(super) fn has_lines(self) -> bool {
        matches!(self, Kind::Listing | Kind::UniqueIds | Kind::Retrieve | Kind::Top(_) | Kind::Unknown)
    }
}

/// Whether the server does that for users alone (RFC 1939 §5): CAPA and bare AUTH, which are answered in lines as well,
/// it answers anybody.
pub(super) fn is_of_users(verb: &[u8]) -> bool {
    matches!(verb, b"STAT" | b"LIST" | b"RETR" | b"DELE" | b"TOP" | b"UIDL" | b"LAST")
}

/// A client's line, taken apart.
pub(super) struct Parsed<'a> {
    pub(super) verb: &'a [u8],
    pub(super) args: &'a [u8],
    pub(super) kind: Kind,
}

impl<'a> Parsed<'a> {
    pub(super) fn new(line: &'a [u8]) -> Self {
        let line = line.trim_ascii_start();
        let end = line.iter().position(|&byte| byte == b' ' || byte == b'\t').unwrap_or(line.len());
        let (verb, rest) = line.split_at(end);
        let args = rest.get(1..).unwrap_or_default();
        let bare = args.trim_ascii().is_empty();
        let kind = match verb.to_ascii_uppercase().as_slice() {
            b"CAPA" => Kind::Listing,
            b"LIST" | b"LANG" if bare => Kind::Listing,
            b"AUTH" if bare => Kind::Listing,
            b"UIDL" if bare => Kind::UniqueIds,
            b"UIDL" => Kind::UniqueId,
            b"RETR" => Kind::Retrieve,
            b"TOP" => Kind::Top(numeral(args, 1).unwrap_or(0)),
            b"PASS" => Kind::Password,
            b"APOP" => Kind::Apop,
            b"AUTH" => Kind::Auth,
            b"STLS" => Kind::StartTls,
            b"XTND" if args.trim_ascii().eq_ignore_ascii_case(b"XMIT") => Kind::Transmit,
            b"QUIT" => Kind::Quit,
            b"USER" | b"STAT" | b"LIST" | b"LANG" | b"DELE" | b"NOOP" | b"RSET" | b"LAST" | b"UTF8" | b"XCLIENT" => {
                Kind::Single
            }
            _ => Kind::Unknown,
        };
        Parsed { verb, args, kind }
    }

    /// The first argument as a message number.
    pub(super) fn number(&self) -> Option<u32> {
        numeral(self.args, 0)
    }
}

/// The argument with that index as a number.
fn numeral<N: std::str::FromStr>(args: &[u8], index: usize) -> Option<N> {
    let word = args.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(index)?;
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A server's line that has a status.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    Err,
    /// `+ `, the challenge of an authentication.
    Challenge,
}

/// The status of a line and the text behind it.
pub(super) fn status(line: &[u8]) -> Option<(Status, &[u8])> {
    let ends = |rest: &[u8]| rest.first().is_none_or(u8::is_ascii_whitespace);
    let text = |at: usize| line.get(at..).unwrap_or_default();
    match line {
        [b'+', o, k, rest @ ..] if [*o, *k].eq_ignore_ascii_case(b"OK") && ends(rest) => Some((Status::Ok, text(4))),
        [b'-', e, r, s, rest @ ..] if [*e, *r, *s].eq_ignore_ascii_case(b"ERR") && ends(rest) => {
            Some((Status::Err, text(5)))
        }
        [b'+', rest @ ..] if ends(rest) => Some((Status::Challenge, text(2))),
        _ => None,
    }
}

/// The extended response code (RFC 2449 §8) at the beginning of a reply's text, without its brackets.
pub(super) fn response_code(text: &[u8]) -> Option<&[u8]> {
    let inner = text.strip_prefix(b"[")?;
    let end = inner.iter().position(|&byte| byte == b']')?;
    inner.get(..end).filter(|code| !code.is_empty() && code.iter().all(|byte| (0x21..0x7f).contains(byte)))
}

/// Whether a line could begin a mail: a header field's name and colon, or mbox's `From `.
pub(super) fn begins_mail(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return line.starts_with(b"From ") };
    let name = line.get(..colon).unwrap_or_default();
    (!name.is_empty() && name.iter().all(|byte| (0x21..0x7f).contains(byte))) || line.starts_with(b"From ")
}
