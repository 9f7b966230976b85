//! Which files are pieces of one capture: the names that tcpdump, dumpcap and logrotate give.
//!
//! | by | names |
//! |---|---|
//! | `tcpdump -w mail.pcap -C 100` | `mail.pcap`, `mail.pcap1`, `mail.pcap2`; with `-W` `mail.pcap00`, `mail.pcap01` |
//! | `tcpdump -w mail-%Y%m%d_%H%M%S.pcap -G 3600` | `mail-20261124_100000.pcap`, any order of separators; `%s` |
//! | `dumpcap -b` | `mail_00001_20261124100000.pcapng`, or `mail_20261124100000_00001.pcapng` |
//! | `logrotate` | `mail.pcap`, `mail.pcap.1`, `mail.pcap.2.gz` |
//!
//! A number that stands anywhere else (`case1.pcap`, `case2.pcap`) says nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Input;

/// Endings of compressed files: a rotation script may not have got to all of a ring.
const COMPRESSED: [&str; 5] = [".gz", ".zst", ".xz", ".bz2", ".lz4"];

/// Endings of captures, behind which tcpdump and logrotate count.
const CAPTURES: [&str; 3] = [".pcap", ".pcapng", ".cap"];

/// Those that dumps of databases and of memory have as well.
const DUMPS: [&str; 2] = [".dmp", ".dump"];

/// What a file is by its name.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Capture,
    /// A dump of whatever.
    Dump,
    Otherwise,
}

/// Files that are one capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// The file's path, or of several, what their paths have in common, with `*` for what tells them apart.
    pub name: PathBuf,
    /// The files, sorted.
    pub files: Vec<PathBuf>,
}

/// Puts the files of a folder that are one capture together, by their names. What is no file is left out.
pub fn rings(inputs: &[Input]) -> Vec<Ring> {
    let mut found: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for input in inputs {
        let (Input::File(path) | Input::Found(path)) = input else { continue };
        found.entry(key(path)).or_default().push(path.clone());
    }
    let mut all: Vec<Ring> = found
        .into_iter()
        .map(|(name, mut files)| match files.as_slice() {
            [one] => Ring { name: one.clone(), files },
            _ => {
                files.sort();
                Ring { name, files }
            }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Numbers from there on count files only where there are that many.
const LARGE: u64 = 100;
const MANY: usize = 5;

/// Digits of the time that dumpcap writes beside its count.
const DUMPCAP_TIME: usize = 14;

/// Files that are missing amid a ring, by the numbers in the names of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The first that is missing; with `*` for a time that nobody knows.
    pub first: PathBuf,
    /// The last, if it is another.
    pub last: Option<PathBuf>,
}

/// The holes in rings that count their files. The beginning of a ring is lost to rotation, and its end is yet to come:
/// a hole has files on both sides. One with more files than are there is more likely between what two captures have
/// left, and large numbers of a few files are ports or years.
pub fn holes(inputs: &[Input]) -> Vec<Hole> {
    // By name but for the number, and by number.
    let mut all: BTreeMap<(PathBuf, String), BTreeMap<u64, Numbered<'_>>> = BTreeMap::new();
    for input in inputs {
        let (Input::File(path) | Input::Found(path)) = input else { continue };
        let Some(Counted { before, digits, behind, time }) =
            path.file_name().and_then(|n| n.to_str()).and_then(counted)
        else {
            continue;
        };
        let Ok(number) = digits.parse() else { continue };
        let series = all.entry((path.with_file_name(before), behind)).or_default();
        let it = series.entry(number).or_insert(Numbered { digits, earliest: time, latest: time });
        (it.earliest, it.latest) = (time.min(it.earliest), time.max(it.latest));
    }
    let path = |input| match input {
        &Input::Stdin => None,
        Input::File(path) | Input::Found(path) => Some(path.to_string_lossy()),
    };
    let names: BTreeSet<_> = inputs.iter().filter_map(path).collect();
    // Another ending may be behind it: an archive's.
    let is_there = |name: &Path| {
        let with_dot = format!("{}.", name.display());
        names.range(Cow::from(&with_dot)..).next().is_some_and(|next| next.starts_with(&with_dot))
    };
    let mut holes = Vec::new();
    for ((before, behind), files) in &all {
        for ((a, before_it), (b, behind_it)) in files.iter().zip(files.iter().skip(1)) {
            let missing = b - a - 1;
            let counts = !before_it.earliest.is_empty() || *b < LARGE || files.len() >= MANY;
            // dumpcap counts from 1 again when it is started again.
            if missing == 0 || missing > files.len() as u64 || before_it.earliest > behind_it.latest || !counts {
                continue;
            }
            let name = |number: u64| {
                let mut path = before.clone().into_os_string();
                path.push(format!("{number:0width$}{behind}", width = before_it.digits.len()));
                PathBuf::from(path)
            };
            if !(a + 1..*b).map(name).any(|name| is_there(&name)) {
                holes.push(Hole { first: name(a + 1), last: (missing > 1).then(|| name(b - 1)) });
            }
        }
    }
    holes
}

/// The files of one number: several where dumpcap was started again.
struct Numbered<'a> {
    digits: &'a str,
    earliest: &'a str,
    latest: &'a str,
}

/// A name that counts.
struct Counted<'a> {
    before: String,
    digits: &'a str,
    behind: String,
    /// The time that dumpcap writes beside the count, for which `before` or `behind` has a `*`.
    time: &'a str,
}

fn counted(name: &str) -> Option<Counted<'_>> {
    let name = uncompressed(name);
    let (dated, _) = without_time(name);
    let stem = uncounted(&dated);
    if is_capture(stem) && stem.len() < dated.len() {
        let (before, digits) = name.split_at(name.trim_end_matches(|c: char| c.is_ascii_digit()).len());
        return Some(Counted { before: before.to_owned(), digits, behind: String::new(), time: "" });
    }
    let at = dated.find('*')?;
    let time = name.get(at..at + 1 + name.len().checked_sub(dated.len())?)?;
    if time.len() != DUMPCAP_TIME || !time.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let parts: Vec<&str> = dated.split('_').collect();
    let count = (0..parts.len()).find(|&part| count_beside_time(&parts, part).is_some())?;
    let len = count_beside_time(&parts, count)?.len();
    let start: usize = parts.iter().take(count).map(|part| part.len() + 1).sum();
    let (before, behind) = (dated.get(..start)?.to_owned(), dated.get(start + len..)?.to_owned());
    // The time stands before it, or behind it.
    let from = if at < start { start + name.len() - dated.len() } else { start };
    Some(Counted { before, digits: name.get(from..from + len)?, behind, time })
}

/// What the paths of a ring's files have in common; of a file that could be of no ring, its path.
pub(super) fn key(path: &Path) -> PathBuf {
    let name = path.file_name().and_then(|n| n.to_str()).and_then(pattern);
    name.map_or_else(|| path.to_owned(), |name| path.parent().unwrap_or(Path::new("")).join(name))
}

/// What a name has in common with the others of its ring; none if it could be of no ring.
fn pattern(name: &str) -> Option<String> {
    let name = uncompressed(name);
    let (dated, has_time) = without_time(name);
    let (counted, ends) = without_count(&dated);
    // A plain `mail.pcap` may be the first of `mail.pcap1`…
    (has_time || ends).then_some(counted)
}

/// A name without tcpdump's and logrotate's count behind the capture's ending, and dumpcap's beside the time; whether
/// it has such an ending.
fn without_count(name: &str) -> (String, bool) {
    let stem = uncounted(name);
    let ends = is_capture(stem);
    let name = if ends { format!("{stem}*") } else { name.to_owned() };
    let parts: Vec<&str> = name.split('_').collect();
    let without = |(at, part): (usize, &&str)| match count_beside_time(&parts, at) {
        Some(number) => part.replacen(number, "*", 1),
        None => (*part).to_owned(),
    };
    (parts.iter().enumerate().map(without).collect::<Vec<_>>().join("_"), ends)
}

/// dumpcap's count, if that part of a name is it.
fn count_beside_time<'a>(parts: &[&'a str], at: usize) -> Option<&'a str> {
    let timed = |at: usize| parts.get(at).is_some_and(|part| part.starts_with('*'));
    let number = parts.get(at)?.split('.').next()?;
    let digits = number.len() >= 5 && number.bytes().all(|b| b.is_ascii_digit());
    (digits && (timed(at.wrapping_sub(1)) || timed(at + 1))).then_some(number)
}

/// The name without a count, `1` or `.1`.
fn uncounted(name: &str) -> &str {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    stem.strip_suffix('.').filter(|s| stem.len() < name.len() && is_capture(s)).unwrap_or(stem)
}

/// What a file is by the ending of its name, with a count behind it or not, compressed or not.
pub(super) fn named(path: &Path) -> Named {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_ascii_lowercase();
    match uncounted(uncompressed(&name)) {
        stem if ends(stem, &CAPTURES) => Named::Capture,
        stem if ends(stem, &DUMPS) => Named::Dump,
        _ => Named::Otherwise,
    }
}

/// The name without the ending of a compressed file.
fn uncompressed(name: &str) -> &str {
    COMPRESSED.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

fn is_capture(name: &str) -> bool {
    ends(name, &CAPTURES) || ends(name, &DUMPS)
}

/// Whether a name has one of these endings, and more than that.
fn ends(name: &str, endings: &[&str]) -> bool {
    endings.iter().any(|end| name.len() > end.len() && name.to_ascii_lowercase().ends_with(end))
}

/// A date, with or without a time, or seconds since 1970, replaced by `*`; whether there was one.
fn without_time(name: &str) -> (String, bool) {
    let bytes = name.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    for start in 0..bytes.len() {
        if !digit(start) || (start > 0 && digit(start - 1)) {
            continue;
        }
        let end = [time(bytes, start), epoch(bytes, start)].into_iter().flatten().find(|end| !digit(*end));
        if let Some(end) = end
            && let (Some(before), Some(after)) = (name.get(..start), name.get(end..))
        {
            return (format!("{before}*{after}"), true);
        }
    }
    (name.to_owned(), false)
}

/// Ten digits from 1; 2001 to 2033.
fn epoch(bytes: &[u8], start: usize) -> Option<usize> {
    let digits = bytes.get(start..start + 10)?;
    (digits.first() == Some(&b'1') && digits.iter().all(u8::is_ascii_digit)).then_some(start + 10)
}

/// Where a date that begins at `start` ends, with the time behind it as far as there is one.
fn time(bytes: &[u8], start: usize) -> Option<usize> {
    let (year, at) = number(bytes, start, 4)?;
    let separated = |at: usize, marks: &[u8]| at + usize::from(bytes.get(at).is_some_and(|b| marks.contains(b)));
    let (month, at) = number(bytes, separated(at, b"-._"), 2)?;
    let (day, date) = number(bytes, separated(at, b"-._"), 2)?;
    if !(1980..2100).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let mut end = date;
    let mut from = separated(date, b"-_T. ");
    for most in [23, 59, 60] {
        match number(bytes, from, 2) {
            Some((value, next)) if value <= most => end = next,
            _ => break,
        }
        from = separated(end, b"-_:.hm");
    }
    Some(end)
}

fn number(bytes: &[u8], start: usize, digits: usize) -> Option<(u32, usize)> {
    let text = bytes.get(start..start + digits)?;
    let value = text.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(text).ok()?.parse().ok())??;
    Some((value, start + digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(names: &[&str]) -> Vec<(String, usize)> {
        let inputs: Vec<Input> = names.iter().map(|n| Input::Found(Path::new("d").join(n))).collect();
        rings(&inputs).into_iter().map(|r| (r.name.to_string_lossy()[2..].to_owned(), r.files.len())).collect()
    }

    #[track_caller]
    fn one(names: &[&str], pattern: &str) {
        assert_eq!(group(names), [(pattern.to_owned(), names.len())]);
    }

    #[test]
    fn names_of_one_ring() {
        one(&["mail.pcap", "mail.pcap1", "mail.pcap2", "mail.pcap10.gz"], "mail.pcap*");
        one(&["mail.pcap00", "mail.pcap01"], "mail.pcap*");
        one(&["mail.pcap", "mail.pcap.1", "mail.pcap.2.gz"], "mail.pcap*");
        one(&["mail_00001_20261124100000.pcapng", "mail_00002_20261124110000.pcapng.zst"], "mail_*_*.pcapng*");
        one(&["mail_20261124100000_00001.pcapng", "mail_20261124110000_00002.pcapng"], "mail_*_*.pcapng*");
        one(&["mail-20261124_100000.pcap", "mail-20261124_110000.pcap"], "mail-*.pcap*");
        one(&["mail-2026-11-24_10:00:00.pcap", "mail-2026-11-24_11:00:00.pcap"], "mail-*.pcap*");
        one(&["mail-2026-11-24T10.pcap", "mail-2026-11-24T11.pcap"], "mail-*.pcap*");
        one(&["mail-20261124.pcap", "mail-20261125.pcap.xz"], "mail-*.pcap*");
        one(&["mail-1795514401.pcap", "mail-1795518001.pcap"], "mail-*.pcap*");
        // Both -G and -C.
        one(&["mail-20261124.pcap", "mail-20261124.pcap1", "mail-20261125.pcap"], "mail-*.pcap*");
        one(&["in-2026-11-24_10:00:00.pcap", "in-2026-11-24_11.00.pcap", "in-2026-11-25.pcap"], "in-*.pcap*");
        one(&["20261124100000", "20261124T100000", "20261124-1000", "1795514400", "2026112410"], "*");
        one(&["a_20261124_100000_eth0.pcap", "a_20261125_000000_eth0.pcap"], "a_*_eth0.pcap*");
        one(&["d_00001_20261124100000.pcapng", "d_123456_20261124110000.pcapng"], "d_*_*.pcapng*");
        one(&["cap.pcap", "cap.pcap1", "cap.pcap12", "cap.pcap007", "cap.pcap3.gz"], "cap.pcap*");
        // One file is called what it is called.
        assert_eq!(group(&["mail.pcap"]), [("mail.pcap".to_owned(), 1)]);
        assert_eq!(group(&["mail-20261124.pcap"]), [("mail-20261124.pcap".to_owned(), 1)]);
    }

    /// As they are told.
    fn missing(names: &[&str]) -> Vec<String> {
        let inputs: Vec<Input> = names.iter().map(|n| Input::Found(Path::new("d").join(n))).collect();
        let name = |path: PathBuf| path.to_string_lossy()[2..].to_owned();
        let hole = |hole: Hole| [Some(hole.first), hole.last].into_iter().flatten().map(name).collect::<Vec<_>>();
        holes(&inputs).into_iter().map(|it| hole(it).join(" to ")).collect()
    }

    #[test]
    fn a_file_that_is_missing_amid_a_ring_is_named() {
        assert_eq!(missing(&["mail.pcap", "mail.pcap1", "mail.pcap3"]), ["mail.pcap2"]);
        assert_eq!(
            missing(&["mail.pcap08", "mail.pcap09.gz", "mail.pcap12", "mail.pcap13"]),
            ["mail.pcap10 to mail.pcap11"]
        );
        assert_eq!(missing(&["mail.pcap.4.gz", "mail.pcap.2", "mail.pcap"]), ["mail.pcap.3"]);
        assert_eq!(missing(&["m-20261124.pcap1", "m-20261124.pcap3", "m-20261125.pcap2"]), ["m-20261124.pcap2"]);
        let dumpcap = ["mail_00009_20261124100000.pcapng", "mail_00011_20261124120000.pcapng.zst"];
        assert_eq!(missing(&dumpcap), ["mail_00010_*.pcapng"]);
        let dumpcap = ["mail_20261124100000_00009.pcapng", "mail_20261124120000_00011.pcapng"];
        assert_eq!(missing(&dumpcap), ["mail_*_00010.pcapng"]);
    }

    #[test]
    fn what_rotation_takes_and_what_is_no_count_is_no_hole() {
        for names in [
            // The beginning, whatever is there still, and one that may be of somebody who counts as people do.
            &["mail.pcap7", "mail.pcap8", "mail.pcap9"][..],
            &["mail.pcap", "mail.pcap7", "mail.pcap8"],
            &["mail.pcap", "mail.pcap2", "mail.pcap3"],
            &["mail_00042_20261124100000.pcapng", "mail_00043_20261124110000.pcapng"],
            // Started again: the second run has not come so far, or is far ahead.
            &["m_00008_20261124100000.pcapng", "m_00005_20261125100000.pcapng", "m_00009_20261124110000.pcapng"],
            &["m_00008_20261124100000.pcapng", "m_00100_20261125100000.pcapng", "m_00101_20261125110000.pcapng"],
            // An hour that comes twice.
            &["m_00001_20261025025900.pcapng", "m_00002_20261025020500.pcapng", "m_00003_20261025030500.pcapng"],
            &["case1.pcap", "case3.pcap"],
            &["x_00001.pcap", "x_00003.pcap"],
            &["mail-20261124.pcap", "mail-20261126.pcap"],
            &["mail.pcap1", "other.pcap3"],
            &["mail.pcap.20261124", "mail.pcap.20261126"],
            // Other numbers: of a case, ports, years.
            &["case_10234_2026-11-24.pcap", "case_10236_2026-11-25.pcap"],
            &["smtp_00025_20261124.pcap", "smtp_00027_20261124.pcap"],
            &["mail.pcap.993", "mail.pcap.995"],
            &["mail.pcap2024", "mail.pcap2026"],
            // It is there, in another wrapping.
            &["mail.pcap1", "mail.pcap2.zip", "mail.pcap3"],
        ] {
            assert_eq!(missing(names), [""; 0], "{names:?}");
        }
        let inputs = [Input::Found("a/mail.pcap1".into()), Input::Found("b/mail.pcap3".into()), Input::Stdin];
        assert_eq!(holes(&inputs), [], "other folders");
    }

    #[test]
    fn names_that_are_no_ring() {
        for names in [
            &["case1.pcap", "case2.pcap"][..],
            &["rsa12-smtp.pcap", "rsa13-smtp.pcap"],
            &["smtp-20261124.pcap", "imap-20261124.pcap"],
            &["10.0.0.1.pcap", "10.0.0.2.pcap"],
            &["a-20269924.pcap", "a-20269925.pcap"],
            &["x_00001.pcap", "x_00002.pcap"],
            &["mail.pcap", "mail.pcapng"],
            &["server1.pcap", "server2.pcap"],
            &["a_20261124_eth0.pcap", "a_20261124_eth1.pcap"],
            &["case-123456789.pcap", "case-123456788.pcap"],
            &["1", "2"],
        ] {
            assert_eq!(group(names).len(), names.len(), "{names:?}");
        }
        let inputs = [Input::Found("a/mail.pcap1".into()), Input::Found("b/mail.pcap2".into()), Input::Stdin];
        assert_eq!(rings(&inputs).len(), 2, "other folders");
    }
}
