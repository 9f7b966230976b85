//! The commands that are known, for spelling and for finding a place to trust after a loss.

/// RFC 3501, RFC 9051 and the extensions registered with IANA, and what servers in the field take besides.
const KNOWN: &[&str] = &[
    "APPEND",
    "AUTHENTICATE",
    "CANCELUPDATE",
    "CAPABILITY",
    "CHECK",
    "CLOSE",
    "COMPRESS",
    "CONVERSIONS",
    "CONVERT",
    "COPY",
    "CREATE",
    "DELETE",
    "DELETEACL",
    "ENABLE",
    "ESEARCH",
    "EXAMINE",
    "EXPUNGE",
    "FETCH",
    "GENURLAUTH",
    "GETACL",
    "GETANNOTATION",
    "GETJMAPACCESS",
    "GETMETADATA",
    "GETQUOTA",
    "GETQUOTAROOT",
    "ID",
    "IDLE",
    "LANGUAGE",
    "COMPARATOR",
    "LIST",
    "LISTRIGHTS",
    "LOGIN",
    "LOGOUT",
    "LSUB",
    "MOVE",
    "MYRIGHTS",
    "NAMESPACE",
    "NOOP",
    "NOTIFY",
    "PARTIAL",
    "REPLACE",
    "RENAME",
    "RESETKEY",
    "RLIST",
    "RLSUB",
    "SEARCH",
    "SELECT",
    "SETACL",
    "SETANNOTATION",
    "SETMETADATA",
    "SETQUOTA",
    "SORT",
    "STARTTLS",
    "STATUS",
    "STORE",
    "SUBSCRIBE",
    "THREAD",
    "UID",
    "UNAUTHENTICATE",
    "UNSELECT",
    "UNSUBSCRIBE",
    "UIDBATCHES",
    "URLFETCH",
    "XLIST",
    "X-GM-SEARCH",
    "XAPPLEPUSHSERVICE",
];

/// What may follow UID.
const UID: &[(&str, &str)] = &[
    ("COPY", "UID COPY"),
    ("EXPUNGE", "UID EXPUNGE"),
    ("FETCH", "UID FETCH"),
    ("MOVE", "UID MOVE"),
    ("REPLACE", "UID REPLACE"),
    ("SEARCH", "UID SEARCH"),
    ("SORT", "UID SORT"),
    ("STORE", "UID STORE"),
    ("THREAD", "UID THREAD"),
];

/// Untagged data by its first word, or by the word behind its number.
const DATA: &[&str] = &[
    "ACL",
    "ANNOTATION",
    "BAD",
    "BYE",
    "CAPABILITY",
    "CONVERTED",
    "ENABLED",
    "ESEARCH",
    "EXISTS",
    "EXPUNGE",
    "FETCH",
    "FLAGS",
    "GENURLAUTH",
    "ID",
    "LIST",
    "LISTRIGHTS",
    "LSUB",
    "METADATA",
    "MYRIGHTS",
    "NAMESPACE",
    "NO",
    "OK",
    "PREAUTH",
    "QUOTA",
    "QUOTAROOT",
    "RECENT",
    "SEARCH",
    "SORT",
    "STATUS",
    "THREAD",
    "URLFETCH",
    "VANISHED",
    "XLIST",
];

/// The verb in upper case, when it is known.
pub(super) fn known(verb: &[u8]) -> Option<&'static str> {
    KNOWN.iter().find(|k| k.as_bytes().eq_ignore_ascii_case(verb)).copied()
}

/// The whole UID command, when what follows UID is known.
pub(super) fn uid(second: &[u8]) -> Option<&'static str> {
    UID.iter().find(|(k, _)| k.as_bytes().eq_ignore_ascii_case(second)).map(|&(_, whole)| whole)
}

/// Whether untagged data begins with that word.
pub(super) fn is_data(word: &[u8]) -> bool {
    DATA.iter().any(|k| k.as_bytes().eq_ignore_ascii_case(word))
}

/// Whether those bytes can be a tag: `1*<any ASTRING-CHAR except "+">` (RFC 9051 §9). The grammar has no bound; ours is no
/// program's.
pub(super) fn is_tag(word: &[u8]) -> bool {
    !word.is_empty()
        && word.len() <= 1024
        && word
            .iter()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b'+'))
}

/// The first word and what follows its spaces.
pub(super) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&b| b == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.trim_ascii_start())
}

/// OK, NO or BAD in upper case.
pub(super) fn condition(word: &[u8]) -> Option<&'static str> {
    ["OK", "NO", "BAD"].into_iter().find(|k| k.as_bytes().eq_ignore_ascii_case(word))
}

/// OK, NO, BAD, BYE or PREAUTH in upper case: what carries human text, never literals.
pub(super) fn untagged_condition(word: &[u8]) -> Option<&'static str> {
    condition(word).or_else(|| ["BYE", "PREAUTH"].into_iter().find(|k| k.as_bytes().eq_ignore_ascii_case(word)))
}
