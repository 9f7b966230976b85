//! Lines to be trusted after a loss, or at a beginning in the middle. Mail text may stand before them, so that
//! words alone do not do.

use super::append::number;
use super::verbs;

/// Whether a client's line looks like a command. `last` is the tag that was used last.
pub(super) fn command(line: &[u8], last: &[u8]) -> bool {
    let (tag, rest) = verbs::word(line);
    let (verb, args) = verbs::word(rest);
    if !verbs::is_tag(tag) || !fits(tag, last) {
        return false;
    }
    let Some(known) = verbs::known(verb) else { return false };
    if known == "UID" && verbs::uid(verbs::word(args).0).is_none() {
        return false;
    }
    // "Please select one" is text; "A7 SELECT one" is not, nor is "a8 select one" when a7 came before.
    verb.iter().all(u8::is_ascii_uppercase) || (!last.is_empty() && prefix(tag) == prefix(last))
}

/// Whether it may be a tag and not the first word that is left of a command, as in `UID FETCH` or `SET STATUS`.
fn fits(tag: &[u8], last: &[u8]) -> bool {
    let numbered = |tag: &[u8]| tag.iter().any(u8::is_ascii_digit);
    match last {
        [] => verbs::known(tag).is_none(),
        last => numbered(tag) || prefix(tag) == prefix(last) || !numbered(last) && tag.len() == last.len(),
    }
}

/// Whether a line is a command whose tag has a number, as programs count them, in any case.
pub(super) fn numbered_command(line: &[u8]) -> bool {
    let (tag, rest) = verbs::word(line);
    verbs::is_tag(tag) && tag.iter().any(u8::is_ascii_digit) && verbs::known(verbs::word(rest).0).is_some()
}

/// A tag without its number.
fn prefix(tag: &[u8]) -> &[u8] {
    let digits = tag.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    tag.get(..tag.len() - digits).unwrap_or_default()
}

/// Whether a server's line looks like untagged data or an untagged status.
pub(super) fn untagged(line: &[u8]) -> bool {
    let Some(body) = line.strip_prefix(b"* ") else { return false };
    let (first, rest) = verbs::word(body);
    let upper = |word: &[u8]| word.iter().all(u8::is_ascii_uppercase) && verbs::is_data(word);
    if !first.is_empty() && first.len() <= 10 && number(first).is_some() {
        let (second, rest) = verbs::word(rest);
        return match second {
            b"EXISTS" | b"RECENT" | b"EXPUNGE" => rest.is_empty(),
            b"FETCH" => rest.starts_with(b"("),
            _ => false,
        };
    }
    upper(first)
}

/// Whether a server's line looks like a tagged reply; the caller knows whether the tag fits.
pub(super) fn tagged(line: &[u8]) -> Option<&[u8]> {
    let (tag, rest) = verbs::word(line);
    let (status, _) = verbs::word(rest);
    (verbs::is_tag(tag) && matches!(status, b"OK" | b"NO" | b"BAD")).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_command() {
        assert!(!command(b"Please select one", b"A12"));
        assert!(command(b"A13 SELECT one", b"L1"));
        assert!(command(b"a13 select one", b"a9"));
        assert!(command(b"7 UID FETCH 1 FLAGS", b""));
        assert!(!command(b"7 UID of the process", b"6"));
    }

    #[test]
    fn what_is_left_of_a_command_is_none() {
        assert!(!command(b"UID FETCH 1 FLAGS", b""));
        assert!(!command(b"UID FETCH 1 FLAGS", b"A7"));
        assert!(!command(b"SET STATUS (selected (MessageNew))", b"7"));
        assert!(command(b"SEU STATUS INBOX (MESSAGES)", b"SET"));
    }

    #[test]
    fn text_is_no_response() {
        assert!(untagged(b"* 12 FETCH (UID 3)"));
        assert!(untagged(b"* OK Still here"));
        assert!(untagged(b"* LIST () \"/\" INBOX"));
        assert!(!untagged(b"* fetch the milk"));
        assert!(!untagged(b"* 12 eggs"));
        assert_eq!(tagged(b"A1 OK done"), Some(b"A1".as_slice()));
        assert_eq!(tagged(b"That is OK"), None);
    }
}
