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
    if !takes(known, args) {
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
        last => numbered(tag) || !numbered(last) && tag.len() == last.len(),
    }
}

/// Whether a line is a command whose tag has a number, as programs count them, in any case.
pub(super) fn numbered_command(line: &[u8]) -> bool {
    let (tag, rest) = verbs::word(line);
    let (verb, args) = verbs::word(rest);
    let numbered = verbs::is_tag(tag) && tag.iter().any(u8::is_ascii_digit);
    numbered && verbs::known(verb).is_some_and(|known| takes(known, args))
}

/// Whether a command takes these arguments, be they cut: "2 copy the bowl" is text.
fn takes(known: &str, args: &[u8]) -> bool {
    let (first, rest) = verbs::word(args);
    match known {
        "CAPABILITY" | "CHECK" | "CLOSE" | "EXPUNGE" | "IDLE" | "LOGOUT" | "NAMESPACE" | "NOOP" | "STARTTLS"
        | "UNAUTHENTICATE" | "UNSELECT" => args.is_empty(),
        "CONVERT" | "COPY" | "FETCH" | "MOVE" | "STORE" => is_set(first),
        "UID" => match verbs::uid(first) {
            Some("UID SEARCH" | "UID SORT" | "UID THREAD") => true,
            Some(_) => is_set(verbs::word(rest).0),
            None => false,
        },
        // A mailbox, then perhaps parameters.
        "CREATE" | "DELETE" | "EXAMINE" | "SELECT" | "STATUS" | "SUBSCRIBE" | "UNSUBSCRIBE" => {
            first.starts_with(b"\"") || rest.is_empty() || rest.starts_with(b"(")
        }
        _ => true,
    }
}

/// Numbers of messages (RFC 9051 §9, sequence-set), or a saved search's `$` (§6.4.4.1).
fn is_set(word: &[u8]) -> bool {
    word.iter().all(|b| b.is_ascii_digit() || matches!(b, b',' | b':' | b'*' | b'$'))
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
            b"FETCH" | b"UIDFETCH" => rest.starts_with(b"("),
            _ => false,
        };
    }
    upper(first)
        && match first {
            // A list's bullet may stand before a capital word.
            b"NO" | b"BAD" => rest.starts_with(b"["),
            b"FLAGS" | b"LIST" | b"LSUB" | b"XLIST" => rest.starts_with(b"("),
            b"SEARCH" | b"SORT" | b"THREAD" => rest.first().is_none_or(|b| b.is_ascii_digit() || *b == b'('),
            b"QUOTA" | b"STATUS" => rest.contains(&b'('),
            _ => true,
        }
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
        for text in
            ["a copy of the report that you wanted", "2 copy the bowl", "3 close the door", "4 select a nice one"]
        {
            for last in ["a1", "1", "2", "a"] {
                assert!(!command(text.as_bytes(), last.as_bytes()), "{text} behind {last}");
            }
            assert!(!numbered_command(text.as_bytes()), "{text}");
        }
        for line in [
            "a2 copy 1:3,7 Archive",
            "a2 UID STORE $ +FLAGS (x)",
            "a2 select \"Sent Items\"",
            "a2 SELECT in (CONDSTORE)",
            "a2 FETCH",
        ] {
            assert!(command(line.as_bytes(), b"a1"), "{line}");
        }
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
        for bullet in ["* NO new features", "* LIST of things", "* STATUS unknown", "* SEARCH for it"] {
            assert!(!untagged(bullet.as_bytes()), "{bullet}");
        }
        for line in ["* NO [ALERT] full", "* SEARCH", "* SEARCH 2 3", "* STATUS in (MESSAGES 1)", "* BYE"] {
            assert!(untagged(line.as_bytes()), "{line}");
        }
        assert_eq!(tagged(b"A1 OK done"), Some(b"A1".as_slice()));
        assert_eq!(tagged(b"That is OK"), None);
    }
}
