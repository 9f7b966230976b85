//! Lines of a key log in a text that is none, as in the comment of a capture.

use zeroize::Zeroizing;

use super::line::{self, Line};

/// The lines that are entries, without the others.
pub(crate) fn entries(text: &[u8]) -> Zeroizing<Vec<u8>> {
    // Never grown, which would leave copies behind.
    let mut found = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    for line in text.split(|b| *b == b'\n').filter(|l| matches!(line::parse(l), Line::Entry { .. })) {
        found.extend_from_slice(line);
        found.push(b'\n');
    }
    found
}

/// Least digits of what a secret is found by and of a secret, or a part of one; what else has so many is no part of
/// prose.
const DIGITS: usize = 16;

/// What a line says that has a secret in it, in small letters: labels of NSS, and what OpenSSL's tools write before a
/// master secret.
const LABELS: [&[u8]; 6] =
    [b"client_random", b"traffic_secret", b"exporter_secret", b"early_exporter", b"ech_secret", MASTER];
const MASTER: &[u8] = b"master-key";

/// Lines without a long run of digits between a label and what belongs to it: a mail reader puts empty ones, YAML short
/// ones.
const BETWEEN: u8 = 2;

/// Puts `***` in the place of each secret, however a line of a key log stands in a text: quoted, in brackets, in JSON,
/// wrapped, cut.
pub(crate) fn mask(text: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(text.len());
    let (mut wanted, mut idle) = (Wanted::Nothing, 0);
    for line in text.split_inclusive(|b| *b == b'\n') {
        match mask_line(line, wanted, &mut shown) {
            Some(next) => (wanted, idle) = (next, 0),
            None if idle < BETWEEN => idle += 1,
            None => wanted = Wanted::Nothing,
        }
    }
    shown
}

/// Where a line names what follows: a label, or `RSA` as a word's end.
fn label_of(small: &[u8]) -> Option<usize> {
    let ends = |at: &usize| small.get(at + b"rsa".len()).is_none_or(u8::is_ascii_whitespace);
    let rsa = memchr::memmem::find_iter(small, b"rsa").find(ends);
    LABELS.iter().filter_map(|label| memchr::memmem::find(small, label)).chain(rsa).min()
}

/// What comes behind a label.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Key,
    Secret,
}

/// Masks the runs of digits behind a label's key, and behind `Master-Key` at once. Gives what comes on the next line;
/// none where there is neither a label nor such a run.
fn mask_line(line: &[u8], mut wanted: Wanted, shown: &mut Vec<u8>) -> Option<Wanted> {
    let small = line.to_ascii_lowercase();
    let label = label_of(&small);
    let master = memchr::memmem::find(&small, MASTER);
    let (mut at, mut labelled, mut found) = (0, false, label.is_some());
    while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
        let digits = rest.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let others = rest.iter().take_while(|b| !b.is_ascii_hexdigit()).count();
        let (run, _) = rest.split_at(digits.max(others));
        if label.is_some_and(|label| at >= label) && !std::mem::replace(&mut labelled, true) {
            wanted = Wanted::Key;
        }
        if master.is_some_and(|master| at > master) {
            wanted = Wanted::Secret;
        }
        let long = digits >= DIGITS;
        shown.extend_from_slice(if long && wanted == Wanted::Secret { b"***" } else { run });
        if long && wanted == Wanted::Key {
            wanted = Wanted::Secret;
        }
        found |= long;
        at += run.len();
    }
    found.then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_among_other_words() {
        let (random, master) = ("0A".repeat(32), "0b".repeat(48));
        for (text, shown) in [
            (format!("CLIENT_RANDOM {random} {master}"), format!("CLIENT_RANDOM {random} ***")),
            (
                format!("the key:  RSA 0123456789abcdef\t{master}\r\nx"),
                "the key:  RSA 0123456789abcdef\t***\r\nx".to_owned(),
            ),
            (format!("RSA Session-ID:{random} Master-Key:{master}"), format!("RSA Session-ID:{random} Master-Key:***")),
            (format!("    Master-Key: {master}\n"), "    Master-Key: ***\n".to_owned()),
            (
                format!("CLIENT_RANDOM {random} {master}\nCLIENT_RANDOM {random} {master}"),
                format!("CLIENT_RANDOM {random} ***\nCLIENT_RANDOM {random} ***"),
            ),
            (format!("EXPORTER_SECRET {random} {master}"), format!("EXPORTER_SECRET {random} ***")),
        ] {
            assert_eq!(mask(text.as_bytes()), shown.as_bytes(), "{text}");
        }
        for (before, behind) in [("\"", "\""), ("(", ");"), ("{\"a\":\"", "\\n\"}"), ("", "."), ("", "a")] {
            let text = |end: &str| format!("{before}client_random {random} {end}{behind}");
            let cut = &master[..95];
            for secret in [&master[..], cut] {
                let told = mask(text(secret).as_bytes());
                assert!(!String::from_utf8_lossy(&told).contains(cut) && told.starts_with(before.as_bytes()));
            }
        }
        for text in [
            format!("RSA\t{random}\t{master}"),
            format!("CLIENT_RANDOM\n{random}\n{}\n{}", &master[..60], &master[60..]),
            format!("ECH_SECRET {random} {}", &master[..32]),
            // As a mail reader wraps it, and YAML.
            format!("CLIENT_RANDOM {random}\n\n{master}"),
            format!("RSA\n\n{random}\n\n{master}"),
            format!("label: CLIENT_RANDOM\nrandom: {random}\nlen: 48\nsecret: {master}\n"),
        ] {
            let told = String::from_utf8(mask(text.as_bytes())).unwrap();
            assert!(told.contains(&random) && !told.contains("0b0b"), "{told}");
        }
        for other in [
            "0123456789abcdef 1234",
            "universal 0123456789abcdef0123456789abcdef 0123456789abcdef0123456789abcdef",
            "",
            " ",
            "MAIL 250 12 ab",
            "frame 12 of 34\n\n",
            "A B C",
            "sha256 0011223344556677 8899",
        ] {
            assert_eq!(mask(other.as_bytes()), other.as_bytes());
        }
    }

    /// An entry may have any white space.
    #[test]
    fn what_is_used_is_masked() {
        for blank in [" ", "\t", "\r", "\x0c", " \t ", "\r\t"] {
            let line = format!("RSA{blank}0123456789abcdef{blank}{}", "0b".repeat(48));
            assert!(!entries(line.as_bytes()).is_empty(), "{blank:?}");
            assert!(!String::from_utf8(mask(line.as_bytes())).unwrap().contains("0b0b"), "{blank:?}");
        }
    }

    #[test]
    fn only_entries_are_taken() {
        let line = format!("CLIENT_RANDOM {} {}", "0A".repeat(32), "0b".repeat(48));
        assert_eq!(*entries(format!("made by hand:\n{line}\nend").as_bytes()), format!("{line}\n").into_bytes());
        assert!(entries(b"nothing here").is_empty());
    }
}
