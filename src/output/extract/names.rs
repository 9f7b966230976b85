//! File names: made by us, or made harmless.

use crate::event::{Event, Message, MessagePart};
use crate::output::time;

/// `20261124T100001.178203Z-s4-m1`, with what it is when it is not a whole, complete message.
pub(super) fn stem(event: &Event, message: &Message) -> String {
    let mut stem = format!("{}-s{}-m{}", time::compact(event.span.first.ts), event.session, message.ordinal);
    match message.part {
        MessagePart::Full => {}
        MessagePart::Headers => stem.push_str("-headers"),
        MessagePart::Range => stem.push_str("-range"),
        MessagePart::Section => stem.push_str("-section"),
    }
    if !message.complete {
        stem.push_str("-incomplete");
    }
    stem
}

/// A maildir's unique name.
pub(super) fn maildir(event: &Event, message: &Message) -> String {
    let nanos = event.span.first.ts.0;
    let (seconds, micros) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000) / 1000);
    let incomplete = if message.complete { "" } else { "-incomplete" };
    format!("{seconds}.M{micros:06}S{}N{}{incomplete}.mailcap", event.session, message.ordinal)
}

/// Longest file name that is taken over, bytes; common file systems allow 255.
const NAME_BYTES: usize = 120;

/// An attachment's name made harmless: no path, no control or bidirectional character, no reserved device, not hidden. A
/// message that has no extension gets one, so that a mail program opens it.
pub(super) fn attachment(number: usize, name: Option<&str>, content_type: &str) -> String {
    let name = name.unwrap_or_default();
    let mut safe: String = name
        .chars()
        .map(
            |c| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ' | '+' | ',' | '(' | ')') { c } else { '_' },
        )
        .collect();
    safe = safe.trim_matches([' ', '.']).to_owned();
    if safe.len() > NAME_BYTES {
        let extension = safe.rfind('.').map(|at| safe[at..].to_owned()).filter(|e| e.len() <= 16).unwrap_or_default();
        let mut end = NAME_BYTES - extension.len();
        while !safe.is_char_boundary(end) {
            end -= 1;
        }
        safe.truncate(end);
        safe.truncate(safe.trim_end_matches([' ', '.']).len());
        safe += &extension;
    }
    if safe.is_empty() {
        safe.push_str("attachment");
    }
    if matches!(content_type, "message/rfc822" | "message/global") && !safe.contains('.') {
        safe.push_str(".eml");
    }
    // The number in front keeps names apart (also where case does not) and away from reserved ones such as CON.
    format!("{number:02}-{safe}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachment_names_are_harmless() {
        let names = [
            ("../../etc/passwd", "01-_.._etc_passwd"),
            ("/etc/x", "01-_etc_x"),
            ("C:\\windows\\x.exe", "01-C__windows_x.exe"),
            ("CON", "01-CON"),
            ("a\0b\u{202e}gpj.exe", "01-a_b_gpj.exe"),
            (".hidden", "01-hidden"),
            ("...", "01-attachment"),
            ("été.png", "01-été.png"),
            ("x\r\n\u{1b}[31m", "01-x____31m"),
        ];
        for (name, safe) in names {
            assert_eq!(attachment(1, Some(name), "text/plain"), safe);
        }
        assert_eq!(attachment(7, None, "text/plain"), "07-attachment");
        assert_eq!(attachment(7, None, "message/rfc822"), "07-attachment.eml");
        assert_eq!(attachment(7, Some("Fwd: hello"), "message/global"), "07-Fwd_ hello.eml");
        assert_eq!(attachment(7, Some("x.msg"), "message/rfc822"), "07-x.msg");
    }

    #[test]
    fn a_long_attachment_name_keeps_its_extension() {
        let safe = attachment(1, Some(&("é".repeat(300) + ".pdf")), "application/pdf");
        assert!(safe.len() <= NAME_BYTES + 3 && safe.ends_with(".pdf"), "{safe}");
    }
}
