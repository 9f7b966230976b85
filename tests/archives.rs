//! Archives of captures hold what their members hold, in whatever way they are packed, damaged or cut.

mod common;

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use common::{How, tell, testdata};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use mailcap::capture::{Capture, CaptureError, Input, Item, expand};
use mailcap::limits::Limits;

/// A tar header of a regular file, as POSIX has it.
fn header(name: &[u8], size: &[u8; 12], kind: u8) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(size);
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    block
}

/// Sets the checksum.
fn seal(block: &mut [u8]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block[..512].iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn octal(size: usize) -> [u8; 12] {
    format!("{size:011o}\0").as_bytes().try_into().unwrap()
}

/// A member of any type, padded.
fn entry(name: &[u8], kind: u8, data: &[u8]) -> Vec<u8> {
    let mut all = header(name, &octal(data.len()), kind);
    all.extend(data);
    all.resize(all.len().next_multiple_of(512), 0);
    all
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut all: Vec<u8> = members.iter().flat_map(|(name, data)| entry(name.as_bytes(), b'0', data)).collect();
    all.resize(all.len() + 1024, 0);
    all
}

/// A pax record.
fn pax(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let len = (1..).find(|n: &usize| n.to_string().len() + rest == *n).unwrap();
    format!("{len} {key}={value}\n")
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(Vec::new(), Compression::fast());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

fn crc(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

/// How a zip member is written.
#[derive(Clone)]
struct Zipped {
    name: String,
    method: u16,
    flags: u16,
    /// As stored.
    body: Vec<u8>,
    crc: u32,
    size: u64,
    wide: bool,
}

fn zipped(name: &str, data: &[u8], method: u16) -> Zipped {
    let body = if method == 8 { deflate(data) } else { data.to_vec() };
    Zipped { name: name.to_owned(), method, flags: 0, body, crc: crc(data), size: data.len() as u64, wide: false }
}

/// Fields from the version needed to the extra field's length; sizes are zero in a header that is described later.
fn zip_fields(z: &Zipped, later: bool) -> (Vec<u8>, Vec<u8>) {
    let (size, stored, crc) = if later { (0, 0, 0) } else { (z.size, z.body.len() as u64, z.crc) };
    let mut extra = Vec::new();
    if z.wide && !later {
        extra = [&1u16.to_le_bytes()[..], &16u16.to_le_bytes(), &size.to_le_bytes(), &stored.to_le_bytes()].concat();
    }
    let narrow = |v: u64| if z.wide && !later { u32::MAX } else { u32::try_from(v).unwrap() };
    let mut all = Vec::new();
    for field in [20, z.flags, z.method, 0, 0] {
        all.extend(field.to_le_bytes());
    }
    for field in [crc, narrow(stored), narrow(size)] {
        all.extend(field.to_le_bytes());
    }
    all.extend(u16::try_from(z.name.len()).unwrap().to_le_bytes());
    all.extend(u16::try_from(extra.len()).unwrap().to_le_bytes());
    (all, extra)
}

/// A zip file; entries of the directory may name any place.
fn zip_with(members: &[Zipped], place: impl Fn(usize, u32) -> u32) -> Vec<u8> {
    let (mut all, mut directory) = (Vec::new(), Vec::new());
    for (n, z) in members.iter().enumerate() {
        let at = place(n, u32::try_from(all.len()).unwrap());
        let later = z.flags & 8 != 0;
        let (fields, extra) = zip_fields(z, later);
        all.extend([&b"PK\x03\x04"[..], &fields, z.name.as_bytes(), &extra, &z.body].concat());
        if later {
            all.extend(b"PK\x07\x08");
            for field in [z.crc, z.body.len() as u32, z.size as u32] {
                all.extend(field.to_le_bytes());
            }
        }
        let (fields, extra) = zip_fields(z, false);
        directory.extend([&b"PK\x01\x02\x14\0"[..], &fields, &[0; 10], &at.to_le_bytes()].concat());
        directory.extend([z.name.as_bytes(), &extra].concat());
    }
    let (at, size) = (all.len() as u32, directory.len() as u32);
    let count = (members.len() as u16).to_le_bytes();
    all.extend(directory);
    all.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size.to_le_bytes(), &at.to_le_bytes(), &[0, 0]].concat());
    all
}

fn zip(members: &[Zipped]) -> Vec<u8> {
    zip_with(members, |_, at| at)
}

/// A pcap of packets of 3 bytes at these seconds.
fn pcap(seconds: &[u32]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for s in seconds {
        for field in [*s, 0, 3, 3] {
            file.extend(field.to_le_bytes());
        }
        file.extend([1, 2, 3]);
    }
    file
}

/// What was read: name of the file, number, second; and the problems: file, text, loses packets.
#[derive(Debug, Default, PartialEq)]
struct Got {
    frames: Vec<(String, u64, i64)>,
    problems: Vec<(String, u64, String, bool)>,
}

impl Got {
    /// Name and second of each frame.
    fn seconds(&self) -> Vec<(&str, i64)> {
        self.frames.iter().map(|(name, _, s)| (name.as_str(), *s)).collect()
    }

    #[track_caller]
    fn assert_problem(&self, text: &str, loses: bool) {
        let found = self.problems.iter().any(|p| p.2.contains(text) && p.3 == loses);
        assert!(found, "{text}: {:?}", self.problems);
    }
}

fn drain(capture: &mut Capture) -> Got {
    let (mut frames, mut problems) = (Vec::new(), Vec::new());
    while let Some(item) = capture.next() {
        match item {
            Item::Frame(f) => frames.push((f.pos.file, f.pos.number, f.pos.ts.0 / 1_000_000_000)),
            Item::Comment { .. } => {}
            Item::Problem(p) => problems.push(p),
            Item::Secrets { .. } => {}
        }
    }
    let frames = frames.into_iter().map(|(id, n, s)| (last(capture.file_name(id)), n, s)).collect();
    let problems =
        problems.into_iter().map(|p| (last(capture.file_name(p.file)), p.offset, p.text, p.loses_packets)).collect();
    Got { frames, problems }
}

/// A name without the test's folder.
fn last(name: &str) -> String {
    name.split_once("in.").map_or(name, |(_, rest)| rest).to_owned()
}

/// As a file that can be sought.
fn from_file(bytes: &[u8]) -> Result<Got, CaptureError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.a");
    fs::write(&path, bytes).unwrap();
    Capture::open(&[Input::File(path)], &Limits::default()).map(|mut c| drain(&mut c))
}

/// As a pipe.
fn from_pipe(bytes: &[u8]) -> Result<Got, CaptureError> {
    Capture::from_reader("in.a", Box::new(Cursor::new(bytes.to_vec())), &Limits::default()).map(|mut c| drain(&mut c))
}

/// Both ways, which must agree.
#[track_caller]
fn both(bytes: &[u8]) -> Got {
    let (file, pipe) = (from_file(bytes).unwrap(), from_pipe(bytes).unwrap());
    assert_eq!(file.frames, pipe.frames);
    file
}

#[test]
fn members_are_files_and_others_are_passed_over() {
    let (a, b) = (pcap(&[1, 2]), gzip(&pcap(&[3])));
    let all = [("x/a.txt", &a[..]), ("README", b"hello"), ("b", &b), ("none", b"")];
    let expected = [("a/x/a.txt".to_owned(), 1, 1), ("a/x/a.txt".to_owned(), 2, 2), ("a/b".to_owned(), 1, 3)];
    let zips = all.map(|(name, data)| zipped(name, data, 8));
    for archive in [tar(&all), zip(&zips), zip(&all.map(|(name, data)| zipped(name, data, 0)))] {
        let got = both(&archive);
        assert_eq!(got.frames, expected);
        assert_eq!(got.problems.len(), 2, "{:?}", got.problems);
        got.assert_problem("README is skipped: neither pcap nor pcapng", false);
        got.assert_problem("none is skipped: the file is empty", false);
        let packed = from_file(&gzip(&archive)).unwrap();
        assert_eq!(packed.frames, expected);
        assert_eq!(packed.problems.len(), 2);
    }
}

#[test]
fn listed_members_are_merged_by_time_and_streamed_ones_are_not() {
    let (late, early) = (pcap(&[10, 12]), pcap(&[9, 11]));
    let archive = tar(&[("late", &late), ("early", &early)]);
    let by_time = [("a/early", 9), ("a/late", 10), ("a/early", 11), ("a/late", 12)];
    assert_eq!(from_file(&archive).unwrap().seconds(), by_time);
    let in_order = [("a/late", 10), ("a/late", 12), ("a/early", 9), ("a/early", 11)];
    assert_eq!(from_pipe(&archive).unwrap().seconds(), in_order);
    assert_eq!(from_file(&gzip(&archive)).unwrap().seconds(), in_order);
    // Beside other files, a stream waits for its turn.
    let dir = tempfile::tempdir().unwrap();
    let inputs = [("in.tgz", gzip(&archive)), ("in.b", pcap(&[1, 11])), ("in.c", pcap(&[30]))].map(|(name, bytes)| {
        fs::write(dir.path().join(name), bytes).unwrap();
        Input::File(dir.path().join(name))
    });
    let mut capture = Capture::open(&inputs, &Limits::default()).unwrap();
    let got = drain(&mut capture);
    let expected =
        [("b", 1), ("tgz/late", 10), ("b", 11), ("tgz/late", 12), ("tgz/early", 9), ("tgz/early", 11), ("c", 30)];
    assert_eq!(got.seconds(), expected);
    assert_eq!(got.problems, []);
}

#[test]
fn more_members_than_may_be_open() {
    let files: Vec<(String, Vec<u8>)> = (0..300).map(|n| (n.to_string(), pcap(&[n, 1000 + n]))).collect();
    let members: Vec<(&str, &[u8])> = files.iter().map(|(name, data)| (name.as_str(), data.as_slice())).collect();
    let got = from_file(&tar(&members)).unwrap();
    assert_eq!(got.frames.len(), 600);
    assert!(got.frames.is_sorted_by_key(|f| f.2));
}

#[test]
fn tar_names_and_sizes() {
    let data = pcap(&[5]);
    let end = vec![0; 1024];
    let long = "d/".repeat(150) + "x";
    let mut base256 = [0; 12];
    base256[0] = 0x80;
    base256[11] = data.len() as u8;
    let mut prefixed = entry(b"name", b'0', &data);
    prefixed[345..351].copy_from_slice(b"folder");
    seal(&mut prefixed);
    let mut gnu = entry(b"name", b'0', &data);
    gnu[257..265].copy_from_slice(b"ustar  \0");
    gnu[345..351].copy_from_slice(b"folder");
    seal(&mut gnu);
    let mut old = entry(b"name", 0, &data);
    old[257..265].fill(0);
    seal(&mut old);
    let mut wide = header(b"name", &base256, b'0');
    wide.extend(&data);
    wide.resize(1024, 0);
    let mut lying = header(b"name", &octal(0), b'0');
    lying.extend(&data);
    lying.resize(1024, 0);
    let size = pax("size", &data.len().to_string());
    let cases = [
        (prefixed, "folder/name"),
        (gnu, "name"),
        (old, "name"),
        (wide, "name"),
        ([entry(b"././@LongLink", b'L', format!("{long}\0").as_bytes()), entry(b"cut", b'0', &data)].concat(), &long),
        ([entry(b"p", b'x', pax("path", &long).as_bytes()), entry(b"cut", b'0', &data)].concat(), &long),
        ([entry(b"p", b'x', size.as_bytes()), lying].concat(), "name"),
        ([entry(b"g", b'g', pax("comment", "x").as_bytes()), entry(b"name", b'7', &data)].concat(), "name"),
        (
            [header(b"d/", &octal(0), b'5'), header(b"l", &octal(99), b'2'), entry(b"name", b'0', &data)].concat(),
            "name",
        ),
        ([entry(b"l", b'K', long.as_bytes()), entry(b"\x1b]0;../x\xff", b'0', &data)].concat(), "\x1b]0;../x\u{fffd}"),
    ];
    for (archive, name) in cases {
        let got = both(&[archive, end.clone()].concat());
        assert_eq!(got.seconds(), [(format!("a/{name}").as_str(), 5)]);
        assert_eq!(got.problems, [], "{name}");
    }
}

#[test]
fn damaged_tars() {
    let data = pcap(&[5]);
    let end = vec![0; 1024];
    let good = entry(b"good", b'0', &data);
    // Holes, in GNU's way with a map that goes on, and in pax.
    let mut sparse = header(b"holes", &octal(data.len()), b'S');
    sparse[482] = 1;
    seal(&mut sparse);
    sparse.extend(vec![0; 512]);
    sparse.extend(&data);
    sparse.resize(1536, 0);
    let pax_sparse =
        [entry(b"p", b'x', pax("GNU.sparse.major", "1").as_bytes()), entry(b"holes", b'0', &data)].concat();
    for holes in [sparse, pax_sparse] {
        let got = both(&[holes, good.clone(), end.clone()].concat());
        assert_eq!(got.seconds(), [("a/good", 5)]);
        assert_eq!(got.problems.len(), 1);
        got.assert_problem("holes is a sparse file", true);
    }
    // A header in the middle is damaged, or its size is negative or no number.
    for (at, byte) in [(148, b'9'), (0, b'!'), (124, 0xff), (125, b'x')] {
        let mut bad = entry(b"bad", b'0', &data);
        bad[at] = byte;
        let got = both(&[good.clone(), bad, entry(b"more", b'0', &data), end.clone()].concat());
        assert_eq!(got.seconds(), [("a/good", 5), ("a/more", 5)]);
        assert_eq!(got.problems.len(), 1);
        got.assert_problem("damaged; 1024 bytes skipped", true);
        assert_eq!(got.problems[0].1, 1024);
    }
    // A size beyond the end.
    let mut long = header(b"long", b"77777777777\0", b'0');
    long.extend(&data);
    let got = both(&[good.clone(), long].concat());
    assert_eq!(got.seconds(), [("a/good", 5), ("a/long", 5)]);
    got.assert_problem("the archive ends inside the member long", true);
    assert_eq!(got.problems[0].1, 1024 + 512 + data.len() as u64);
    // No end mark; two archives in one; something behind the end.
    both(&[good.clone(), good.clone()].concat()).assert_problem("no end mark", true);
    let two = both(&[good.clone(), end.clone(), good.clone(), end.clone()].concat());
    assert_eq!(two.frames.len(), 2);
    two.assert_problem("another tar archive is appended", false);
    both(&[good.clone(), end, b"rubbish".repeat(100)].concat()).assert_problem("end mark is not read", false);
    // An archive in an archive is named.
    let inner = tar(&[("a", &data)]);
    let got = both(&tar(&[("good", &data), ("in.tar", &inner), ("in.tgz", &gzip(&inner))]));
    assert_eq!(got.frames.len(), 1);
    assert_eq!(got.problems.len(), 2);
    got.assert_problem("a tar archive inside the archive", true);
}

#[test]
fn damaged_zips() {
    type Change<'a> = &'a dyn Fn(&mut Zipped);
    let data = pcap(&[5]);
    let good = zipped("good", &data, 8);
    let with = |change: Change<'_>| {
        let mut bad = zipped("bad", &pcap(&[4]), 8);
        change(&mut bad);
        zip(&[bad, good.clone()])
    };
    let cases: [(Change<'_>, &str); 7] = [
        (&|z| z.flags = 1, "bad is encrypted"),
        (&|z| z.method = 14, "bad is compressed by LZMA"),
        (&|z| z.method = 9, "bad is compressed by Deflate64"),
        (&|z| z.method = 77, "bad is compressed by method 77"),
        (&|z| z.crc ^= 1, "the member's checksum is wrong"),
        (&|z| z.size += 1, "the member is shorter"),
        (&|z| z.body = vec![0xff; 20], "can't be read"),
    ];
    for (change, text) in cases {
        let got = both(&with(change));
        assert!(got.seconds().contains(&("a/good", 5)), "{text}");
        got.assert_problem(text, true);
    }
    // A member that grows beyond what it said is stopped there.
    let mut bomb = zipped("bomb", &[&pcap(&[4])[..], &[0; 1 << 20]].concat(), 8);
    bomb.size = 43;
    both(&zip(&[bomb, good.clone()])).assert_problem("the member is longer", true);
    // Entries that share a place are read once.
    let all = zip_with(&vec![good.clone(); 500], |_, _| 0);
    let got = from_file(&all).unwrap();
    assert_eq!(got.frames.len(), 1);
    got.assert_problem("good overlaps another member", true);
    got.assert_problem("and 479 more members", true);
    // Places outside.
    let got =
        from_file(&zip_with(&[good.clone(), good.clone()], |n, at| if n == 0 { at } else { u32::MAX - 1 })).unwrap();
    assert_eq!(got.frames.len(), 1);
    got.assert_problem("good is not where", true);
}

#[test]
fn zips_of_all_makes() {
    let data = pcap(&[5, 6]);
    let mut wide = zipped("m", &data, 8);
    wide.wide = true;
    let mut later = zipped("m", &data, 8);
    later.flags = 8;
    let other = zipped("n", &pcap(&[7]), 0);
    for first in [zipped("m", &data, 0), zipped("m", &data, 8), wide, later] {
        let archive = zip(&[first, zipped("folder/", b"", 0), other.clone()]);
        let got = both(&archive);
        assert_eq!(got.seconds(), [("a/m", 5), ("a/m", 6), ("a/n", 7)]);
        assert_eq!(got.problems, []);
        // A comment that looks like an end.
        let mut commented = archive.clone();
        let len = commented.len();
        commented[len - 2] = 30;
        commented.extend([&b"PK\x05\x06"[..], &[9; 26]].concat());
        assert_eq!(from_file(&commented).unwrap(), got);
    }
    // Stored without a size can be read from a file only.
    let mut later = zipped("m", &data, 0);
    later.flags = 8;
    let archive = zip(&[later, other]);
    assert_eq!(from_file(&archive).unwrap().frames.len(), 3);
    from_pipe(&archive).unwrap().assert_problem("where m ends can only be seen in a file", true);
}

#[test]
fn archives_without_captures() {
    let text = zip(&[zipped("word/document.xml", b"<?xml version", 8)]);
    let error = from_file(&text).unwrap_err().to_string();
    assert!(error.contains("no member of the archive is a capture; word/document.xml is skipped"), "{error}");
    let mut secret = zipped("a", &pcap(&[1]), 8);
    secret.flags = 1;
    assert!(from_file(&zip(&[secret])).unwrap_err().hint.contains("encrypted"));
    assert!(from_file(&zip(&[])).unwrap_err().what.contains("no member"));
    from_pipe(&text).unwrap().assert_problem("no member of the archive is a capture", false);
    // In a folder they are nothing, as other files are.
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    write("letter.docx", &text);
    write("sources.tgz", &gzip(&tar(&[("a", b"text")])));
    write("one", &tar(&[("README", b"x"), ("a", &pcap(&[1]))]));
    write("two", &gzip(&tar(&[("a", &pcap(&[2]))])));
    let found = expand(&[dir.path().to_owned()]).unwrap();
    assert_eq!(found, ["one", "two"].map(|n| Input::Found(dir.path().join(n))));
    assert_eq!(drain(&mut Capture::open(&found, &Limits::default()).unwrap()).frames.len(), 2);
}

#[test]
fn bounds_on_members_and_names() {
    let data = pcap(&[1]);
    let limits = Limits { archive_members: 3, archive_name_bytes: 4, ..Limits::default() };
    let members = [("aaaaaaaa", &data[..]), ("b", &data), ("c", &data), ("d", &data)];
    for archive in [tar(&members), zip(&members.map(|(n, d)| zipped(n, d, 8)))] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in.a");
        fs::write(&path, &archive).unwrap();
        let file = Capture::open(&[Input::File(path)], &limits);
        let pipe = Capture::from_reader("in.a", Box::new(Cursor::new(archive)), &limits);
        for capture in [file, pipe] {
            let got = drain(&mut capture.unwrap());
            assert_eq!(got.seconds(), [("a/aaaa", 1), ("a/b", 1), ("a/c", 1)]);
            got.assert_problem("more than 3 members", true);
        }
    }
}

/// Every cut gives, file by file, a beginning of what the whole gives, and is told.
fn assert_cuts(archive: &[u8], steps: impl Iterator<Item = usize>) {
    let whole = both(archive);
    let names = ["a/a", "a/b", "a/c"];
    let of = |got: &Got, name: &str| got.frames.iter().filter(|f| f.0 == name).cloned().collect::<Vec<_>>();
    let mut read = 0;
    for cut in steps.take_while(|cut| *cut < archive.len()) {
        for got in [from_file(&archive[..cut]), from_pipe(&archive[..cut]), from_file(&gzip(&archive[..cut]))] {
            // Before the first capture shows there is nothing.
            let Ok(got) = got else { continue };
            for name in names {
                let (part, all) = (of(&got, name), of(&whole, name));
                assert!(all.starts_with(&part), "{cut}: {part:?} of {all:?}");
            }
            if got.frames.len() < whole.frames.len() {
                assert!(got.problems.iter().any(|p| p.3 || p.2.contains("no member")), "{cut}: {got:?}");
            }
            read += got.frames.len();
        }
    }
    assert!(read > 0);
}

#[test]
fn cut_anywhere() {
    let members = [("a", pcap(&[1, 2, 3])), ("b", gzip(&pcap(&[4]))), ("c", pcap(&(5..40).collect::<Vec<_>>()))];
    let stored = members.each_ref().map(|(name, data)| (*name, data.as_slice()));
    let archive = tar(&stored);
    assert_cuts(&archive, (0..).step_by(512));
    assert_cuts(&archive, (1..).step_by(61));
    for method in [0, 8] {
        let archive = zip(&members.each_ref().map(|(name, data)| zipped(name, data, method)));
        assert_cuts(&archive, (0..).step_by(7));
    }
}

/// The story of captures as a list of events, with files counted from `shift` on.
fn story(inputs: &[PathBuf], shift: usize) -> Vec<String> {
    let told = tell(inputs, &How { bodies: true, ..How::default() });
    let events = told.stories.values().flat_map(|s| &s.events).map(|e| format!("{e:?}"));
    let shifted = |text: String| {
        (0..9).rev().fold(text, |t, n| t.replace(&format!("FileId({n})"), &format!("FileId({})", n + shift)))
    };
    events.map(shifted).collect()
}

#[test]
fn the_story_is_that_of_the_bare_files() {
    let at = |name: &str| testdata().join("servers").join(name);
    let files = ["imap-compress.pcap", "imap-full-plain.pcap", "lmtp-direct.pcap"].map(at);
    let contents = files.each_ref().map(|f| fs::read(f).unwrap());
    let members: Vec<(&str, &[u8])> =
        ["one", "two", "three"].into_iter().zip(contents.iter().map(Vec::as_slice)).collect();
    let bare = story(&files, 1);
    assert!(bare.len() > 50);
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path: &Path = &dir.path().join(name);
        fs::write(path, bytes).unwrap();
        path.to_owned()
    };
    let zips: Vec<Zipped> = members.iter().map(|(name, data)| zipped(name, data, 8)).collect();
    let packed: Vec<(&str, Vec<u8>)> = members.iter().map(|(name, data)| (*name, gzip(data))).collect();
    let packed: Vec<(&str, &[u8])> = packed.iter().map(|(name, data)| (*name, data.as_slice())).collect();
    for (name, archive) in [("tar", tar(&members)), ("gz", tar(&packed)), ("zip", zip(&zips))] {
        let path = write(name, &archive);
        assert_eq!(story(std::slice::from_ref(&path), 0), bare, "{name}");
        let names = tell(std::slice::from_ref(&path), &How::default()).report.files;
        let expected = ["", "/one", "/two", "/three"].map(|m| format!("{}{m}", path.display()));
        assert_eq!(names, expected);
    }
    // As a stream, one capture at a time.
    for (n, file) in files.iter().enumerate() {
        for (name, archive) in [("tgz", tar(&members[n..=n])), ("zip.gz", zip(&zips[n..=n]))] {
            let path = write(name, &gzip(&archive));
            assert_eq!(story(std::slice::from_ref(&path), 0), story(std::slice::from_ref(file), 1), "{name}");
            let names = tell(&[path], &How::default()).report.files;
            assert!(names.len() == 2 && names[1].ends_with(["/one", "/two", "/three"][n]), "{names:?}");
        }
    }
}

#[test]
fn a_stream_is_read_as_it_comes() {
    // The last member's end is never waited for: each frame is handed out once its bytes are there.
    struct Stops(Cursor<Vec<u8>>);
    impl Read for Stops {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buf)? {
                0 => panic!("read beyond what is needed"),
                n => Ok(n),
            }
        }
    }
    let archive = entry(b"m", b'0', &pcap(&[1, 2]));
    let arrived = archive[..512 + pcap(&[1, 2]).len()].to_vec();
    let mut capture = Capture::from_reader("pipe", Box::new(Stops(Cursor::new(arrived))), &Limits::default()).unwrap();
    for second in [1, 2] {
        let Some(Item::Frame(frame)) = capture.next() else { panic!("no frame") };
        assert_eq!(frame.pos.ts.0, second * 1_000_000_000);
    }
}
