//! Which inputs are one capture.

use std::collections::HashMap;
use std::path::Path;

use super::Input;

/// Divides inputs into captures. What was named is one capture. What was found in folders is one by itself, but for the
/// files of a ring ([`ring`]), which are one together. With `separate` every input is a capture by itself.
///
/// The order is that of each capture's first input; no input is left out.
pub fn group(inputs: &[Input], separate: bool) -> Vec<Vec<Input>> {
    let mut groups: Vec<Vec<Input>> = Vec::new();
    let mut known: HashMap<Option<(&Path, String)>, usize> = HashMap::new();
    for input in inputs {
        let key = match input {
            Input::Stdin | Input::File(_) => None,
            Input::Found(path) => Some(family(path)),
        };
        let next = groups.len();
        let at = if separate { next } else { *known.entry(key).or_insert(next) };
        match groups.get_mut(at) {
            Some(group) => group.push(input.clone()),
            None => groups.push(vec![input.clone()]),
        }
    }
    groups
}

/// What the files of a ring have in common: their folder, and the name without what counts up.
fn family(path: &Path) -> (&Path, String) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    (path.parent().unwrap_or(Path::new("")), ring(&name))
}

/// The name of a file with the parts that differ within a ring replaced: `*` for a time, nothing for a number behind the
/// name. Names of which none differs only there are unrelated.
///
/// - `tcpdump -C` counts behind the name: `x.pcap`, `x.pcap1`, `x.pcap2`; with `-W` from `x.pcap00`.
/// - `tcpdump -G` puts what the user's strftime pattern gives: a date (`20261124`, `2026-11-24`), with a time of day behind
///   it or not, or seconds since the epoch.
/// - `dumpcap -b` has number and time: `x_00001_20261124100000.pcapng`, or the other way round.
fn ring(name: &str) -> String {
    let mut stem = name;
    for end in [".gz", ".zst", ".xz", ".lz4", ".bz2"] {
        stem = stem.strip_suffix(end).unwrap_or(stem);
    }
    let (mut key, timed) = without_times(stem);
    if timed {
        key = without_count(&key);
    }
    key.truncate(key.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    key
}

/// Replaces each time by `*`; whether there was one.
fn without_times(name: &str) -> (String, bool) {
    let (mut key, mut timed, mut rest) = (String::new(), false, name);
    while let Some(first) = rest.chars().next() {
        let time = time(rest);
        // No time begins within a run of digits.
        let step = time.unwrap_or_else(|| digits(rest).max(first.len_utf8()));
        let (part, behind) = rest.split_at(step);
        key.push_str(if time.is_some() { "*" } else { part });
        timed |= time.is_some();
        rest = behind;
    }
    (key, timed)
}

/// dumpcap's number of five digits or more beside its time is left out: `_00001_*`, `_*_00001`.
fn without_count(key: &str) -> String {
    let parts: Vec<&str> = key.split('_').collect();
    let beside = |i: usize| {
        let behind_time = i.checked_sub(1).and_then(|i| parts.get(i)).is_some_and(|p| *p == "*");
        behind_time || parts.get(i + 1).is_some_and(|p| p.starts_with('*'))
    };
    let short = |(i, part): (usize, &&str)| {
        let number = digits(part);
        let only = part.get(number..).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let cut = if number >= 5 && only && beside(i) { number } else { 0 };
        part.get(cut..).unwrap_or_default().to_owned()
    };
    parts.iter().enumerate().map(short).collect::<Vec<_>>().join("_")
}

/// The length of the date, with or without a time of day, or of the seconds since the epoch that `text` begins with.
fn time(text: &str) -> Option<usize> {
    let len = digits(text);
    match len {
        // From 2001 to 2106.
        10 if text.get(..10)?.parse().is_ok_and(|s: u64| (1_000_000_000..1 << 32).contains(&s)) => Some(10),
        8 | 10 | 12 | 14 => {
            let valid = is_date(text.get(..4)?, text.get(4..6)?, text.get(6..8)?) && is_clock(text.get(8..len)?);
            let behind = if len == 8 { clock(text.get(8..)?) } else { 0 };
            valid.then_some(len + behind)
        }
        4 => {
            let (month, day) = (text.get(5..)?, text.get(8..)?);
            let apart = text.get(4..5) == text.get(7..8) && text.get(4..5)?.contains(SEPARATORS);
            let valid =
                digits(month) == 2 && digits(day) == 2 && is_date(text.get(..4)?, month.get(..2)?, day.get(..2)?);
            (apart && valid).then_some(10 + clock(text.get(10..)?))
        }
        _ => None,
    }
}

/// The length of the time of day behind a date: `T100000`, `-1000`, `_10:00:00`; 0 if there is none.
fn clock(text: &str) -> usize {
    let Some(rest) = text.strip_prefix(SEPARATORS).or(text.strip_prefix('T')) else { return 0 };
    let mut len = digits(rest);
    if !matches!(len, 2 | 4 | 6) || !rest.get(..len).is_some_and(is_clock) {
        return 0;
    }
    if len == 2 {
        // Minutes, seconds.
        for _ in 0..2 {
            let part = rest.get(len..).and_then(|r| r.strip_prefix(SEPARATORS)).unwrap_or_default();
            if digits(part) != 2 || part.get(..2).is_none_or(|p| p > "60") {
                break;
            }
            len += 3;
        }
    }
    1 + len
}

const SEPARATORS: [char; 5] = ['-', '_', '.', ':', ' '];

/// How many digits `text` begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Of numbers in digits. Years are those of packet captures.
fn is_date(year: &str, month: &str, day: &str) -> bool {
    ("1980".."2200").contains(&year) && ("01"..="12").contains(&month) && ("01"..="31").contains(&day)
}

/// Whether pairs of digits are hours, minutes, seconds.
fn is_clock(digits: &str) -> bool {
    let pairs = (0..digits.len() / 2).filter_map(|i| digits.get(2 * i..2 * i + 2));
    pairs.zip(["23", "59", "60"]).all(|(pair, last)| pair <= last)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn rings_by_name() {
        for (names, key) in [
            // tcpdump -C, with and without -W, compressed by -z.
            (&["cap.pcap", "cap.pcap1", "cap.pcap12", "cap.pcap007", "cap.pcap3.gz"][..], "cap.pcap"),
            (&["mail", "mail1", "mail22.zst"], "mail"),
            // tcpdump -G.
            (&["in-20261124.pcap", "in-20261125.pcap.gz", "in-20261125.pcap2"], "in-*.pcap"),
            (&["in-2026-11-24_10:00:00.pcap", "in-2026-11-24_11.00.pcap", "in-2026-11-25.pcap"], "in-*.pcap"),
            (&["20261124100000", "20261124T100000", "20261124-1000", "1795514400", "2026112410"], "*"),
            (&["a_20261124_100000_eth0.pcap", "a_20261125_000000_eth0.pcap"], "a_*_eth0.pcap"),
            // dumpcap -b, and its nametimenum.
            (&["d_00001_20261124100000.pcapng", "d_123456_20261124110000.pcapng"], "d__*.pcapng"),
            (&["e_20261124100000_00001.pcapng", "e_20261124110000_00002.pcapng.gz"], "e_*_.pcapng"),
        ] {
            for name in names {
                assert_eq!(ring(name), key, "{name}");
            }
        }
        // Names that differ in other things.
        for (a, b) in [
            ("server1.pcap", "server2.pcap"),
            ("10.0.0.1.pcap", "10.0.0.2.pcap"),
            ("in-20261124.pcap", "out-20261124.pcap"),
            ("a_20261124_eth0.pcap", "a_20261124_eth1.pcap"),
            ("ticket-20261399.pcap", "ticket-20261398.pcap"),
            ("case-123456789.pcap", "case-123456788.pcap"),
            ("t_00001.pcap", "t_00002.pcap"),
            ("x.pcap", "x.pcapng"),
        ] {
            assert_ne!(ring(a), ring(b), "{a} {b}");
        }
    }

    #[test]
    fn what_was_named_is_one_capture_and_what_was_found_is_not() {
        let found = |name: &str| Input::Found(PathBuf::from(name));
        let named = |name: &str| Input::File(PathBuf::from(name));
        let inputs = [
            found("f/a.pcap"),
            named("z.pcap"),
            found("f/r.pcap"),
            found("f/r.pcap1"),
            found("g/r.pcap"),
            named("y.pcap"),
            Input::Stdin,
        ];
        let expected = vec![
            vec![found("f/a.pcap")],
            vec![named("z.pcap"), named("y.pcap"), Input::Stdin],
            vec![found("f/r.pcap"), found("f/r.pcap1")],
            vec![found("g/r.pcap")],
        ];
        assert_eq!(group(&inputs, false), expected);
        assert_eq!(group(&inputs, true), inputs.map(|input| vec![input]));
    }
}
