//! The id that a server gives a mail which it accepts, in the words of its reply.

use super::reply::enhanced;

/// What the servers' own words put before the id.
const BEFORE_ID: &[&[u8]] = &[
    // Postfix, Haraka, Stalwart, OpenSMTPD's and others' "queued as X".
    b"queued as ",
    b"queued with id ",
    b"accepted for delivery as ",
    // CommuniGate, MDaemon, qpsmtpd kin.
    b"queued (",
    b"queue id ",
    b"queueid=",
    b"queue-id ",
    b"message-id: ",
    b"envelope id ",
    // Exim, OpenSMTPD ("2.0.0: X Message accepted" is below), Zoho.
    b"id=",
    // Exchange: `<message-id> [InternalId=123, Hostname=x] Queued mail for delivery`.
    b"internalid=",
    // qmail: `ok 1795514400 qp 456`, the time and the process of qmail-queue, which its log names.
    b" qp ",
    // IronPort: `ok:  Message 123 accepted`.
    b"ok: message ",
    b"ok:  message ",
];

/// The id in a line's text.
pub(super) fn queue_id(text: &[u8]) -> Option<&[u8]> {
    let lower = text.to_ascii_lowercase();
    for marker in BEFORE_ID {
        let Some(at) = find_marker(&lower, marker) else { continue };
        let rest = text.get(at + marker.len()..)?;
        // hMailServer: `Queued (0.016 seconds)`.
        let is_time =
            |id: &[u8]| *marker == b"queued (" && rest.get(id.len()..).is_some_and(|r| r.starts_with(b" seconds"));
        // Behind "message" a sentence may go on.
        let is_word = |id: &[u8]| marker.ends_with(b"message ") && !id.iter().any(u8::is_ascii_digit);
        if let Some(id) = first_word(rest).filter(|id| !is_time(id) && !is_word(id)) {
            return Some(id);
        }
    }
    // Yandex: `Ok: queued on HOST as X`, later without `as`.
    if let Some(at) = find(&lower, b"queued on ") {
        let mut words = text.get(at + b"queued on ".len()..)?.split(|&b| b == b' ').skip(1);
        let id = match words.next() {
            Some(word) if word.eq_ignore_ascii_case(b"as") => words.next(),
            word => word,
        };
        return id.and_then(first_word).filter(|id| looks_like_id(id));
    }
    let text = enhanced(text).and_then(|e| text.get(e.len()..)).unwrap_or(text).trim_ascii();
    let lower = text.to_ascii_lowercase();
    // Sendmail: `2.0.0 sAOA01Xx012345 Message accepted for delivery`, OpenSMTPD: `2.0.0 a1b2c3d4 Message accepted…`.
    for after in [&b" message accepted"[..], b" queued mail for delivery", b" accepted for delivery", b" saved"] {
        if let Some(at) = find(&lower, after) {
            return last_word(text.get(..at)?).filter(|w| looks_like_id(w));
        }
    }
    // Amazon SES, Momentum: `Ok` and the id alone.
    if let Some(word) = lower.strip_prefix(b"ok ").and_then(|_| last_word(text))
        && text.trim_ascii_end().len() == b"ok ".len() + word.len()
        && word.len() >= 16
        && !word.contains(&b'@')
        && looks_like_id(word)
    {
        return Some(word);
    }
    // Courier: `Ok. X`.
    if lower.starts_with(b"ok. ")
        && let Some(word) = text.get(b"ok. ".len()..)
        && word.len() >= 16
        && word.iter().all(|&b| is_id_byte(b))
        && looks_like_id(word)
    {
        return Some(word);
    }
    // Google: `OK  1700000000 a1b2c3…-d4e5si123456.0 - gsmtp`.
    if let Some(at) = find(&lower, b" - gsmtp") {
        return last_word(text.get(..at)?);
    }
    None
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// As [`find`]; `id=` ends no longer word.
fn find_marker(haystack: &[u8], marker: &[u8]) -> Option<usize> {
    let whole = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| haystack.get(before));
        marker != b"id=" || before.is_none_or(|b| !b.is_ascii_alphanumeric())
    };
    haystack.windows(marker.len()).enumerate().position(|(at, w)| w == marker && whole(at))
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=' | b'@' | b'$' | b'!')
}

fn first_word(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii_start();
    let text = text
        .strip_prefix(b"<")
        .or_else(|| text.strip_prefix(b"["))
        .or_else(|| text.strip_prefix(b"\""))
        .unwrap_or(text);
    let end = text.iter().position(|&b| !is_id_byte(b)).unwrap_or(text.len());
    let word = text.get(..end)?;
    let word = word.strip_suffix(b".").unwrap_or(word);
    (!word.is_empty()).then_some(word)
}

fn last_word(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii_end();
    let start = text.iter().rposition(|b| matches!(b, b' ' | b'\t')).map_or(0, |at| at + 1);
    let word = text.get(start..)?;
    let word = word.strip_prefix(b"<").and_then(|w| w.strip_suffix(b">")).unwrap_or(word);
    (!word.is_empty() && word.iter().all(|&b| is_id_byte(b))).then_some(word)
}

/// A word of a sentence is none: an id has a digit.
fn looks_like_id(word: &[u8]) -> bool {
    word.len() >= 4 && word.iter().any(u8::is_ascii_digit) && enhanced(word).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Option<&str> {
        queue_id(text.as_bytes()).map(|id| std::str::from_utf8(id).unwrap())
    }

    #[test]
    fn queue_ids() {
        assert_eq!(id("2.0.0 Ok: queued as 837BB9A4129"), Some("837BB9A4129"));
        assert_eq!(id("2.0.0 Ok: 409 bytes queued as D38BA9A40F1"), Some("D38BA9A40F1"));
        assert_eq!(id("OK id=1rABCd-0001Xy-2z"), Some("1rABCd-0001Xy-2z"));
        assert_eq!(id("2.0.0 sAOA01Xx012345 Message accepted for delivery"), Some("sAOA01Xx012345"));
        assert_eq!(
            id(
                "2.6.0 <a@b.test> [InternalId=4711, Hostname=X.test] 8345 bytes in 0.1, 42 KB/sec Queued mail for delivery"
            ),
            Some("4711")
        );
        assert_eq!(id("2.6.0 <abc123@x.test> Queued mail for delivery"), Some("abc123@x.test"));
        assert_eq!(id("ok 1700000001 qp 4567"), Some("4567"));
        assert_eq!(id("Ok 0102018f3a2b4c5d-6e7f8091-a2b3-000000"), Some("0102018f3a2b4c5d-6e7f8091-a2b3-000000"));
        assert_eq!(id("2.0.0 OK 5C/2A-12345-6F7E8D9C"), Some("5C/2A-12345-6F7E8D9C"));
        assert_eq!(id("2.1.5 Ok user1@mail4.example.test"), None);
        assert_eq!(id("2.1.0 Ok for 1234567890123456"), None);
        assert_eq!(id("2.0.0 OK  1700000000 a1-20020a05si123.45 - gsmtp"), Some("a1-20020a05si123.45"));
        assert_eq!(id("2.0.0 <alice@example.com> yGwGLrr9BGvrdwAAg+zDdQ:T3 Saved"), Some("yGwGLrr9BGvrdwAAg+zDdQ:T3"));
        assert_eq!(id("2.0.0 Ok"), None);
        assert_eq!(id("Message accepted for delivery"), None);
        assert_eq!(id("2.0.0 Message accepted for delivery"), None);
    }

    #[test]
    fn queue_ids_as_servers_word_them() {
        // hMailServer tells how long it took.
        assert_eq!(id("Queued (0.016 seconds)"), None);
        // Yandex.
        assert_eq!(
            id("2.0.0 Ok: queued on mxback9j.mail.yandex.net as 1500000000-q1wErTyUi0"),
            Some("1500000000-q1wErTyUi0")
        );
        assert_eq!(
            id("2.0.0 Ok: queued on mail-1.vla.yp-c.yandex.net 1690000000-q1wErTy0"),
            Some("1690000000-q1wErTy0")
        );
        assert_eq!(id("Ok: queued on disk"), None);
        // Courier.
        assert_eq!(
            id("Ok. 0000000000A40B3D.0000000051F2C3D4.00001A2B"),
            Some("0000000000A40B3D.0000000051F2C3D4.00001A2B")
        );
        assert_eq!(id("Ok. Message accepted and on its way"), None);
        assert_eq!(id("2.0.0 message accepted, envelope id 4711-23"), Some("4711-23"));
        assert_eq!(id("queued as \"XYZ1\""), Some("XYZ1"));
        // IronPort.
        assert_eq!(id("ok:  Message 4711 accepted"), Some("4711"));
        assert_eq!(id("Ok: Message accepted for delivery"), None);
    }

    #[test]
    fn id_that_ends_a_word_is_no_queue_id() {
        assert_eq!(id("Ok invalid=yes"), None);
        assert_eq!(id("Ok invalid=yes id=1rABCd-0001Xy-2z"), Some("1rABCd-0001Xy-2z"));
        assert_eq!(id("Ok [id=7]"), Some("7"));
        assert_eq!(id("2.6.0 <a@b.test> [InternalId=4711] Queued mail for delivery"), Some("4711"));
    }
}
