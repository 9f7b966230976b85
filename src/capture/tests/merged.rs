use std::fs;
use std::path::Path;

use super::*;

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Input {
    fs::write(dir.join(name), bytes).unwrap();
    Input::File(dir.join(name))
}

fn open(inputs: &[Input]) -> Vec<Got> {
    drain(&mut Capture::open(inputs, &Limits::default()).unwrap())
}

/// File and second of each packet.
fn order(got: &[Got]) -> Vec<(u32, i64)> {
    let place = |g: &Got| match g {
        Got::Frame { file, ts, .. } => Some((*file, ts / 1_000_000_000)),
        _ => None,
    };
    got.iter().filter_map(place).collect()
}

#[test]
fn by_time_whatever_the_order_given() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = [
        write(dir.path(), "c", &pcap_at(&[50, 60])),
        write(dir.path(), "a", &pcap_at(&[1, 10, 30])),
        write(dir.path(), "b", &pcap_at(&[2, 10, 10, 55])),
        write(dir.path(), "none", &pcap_at(&[])),
    ];
    let got = open(&inputs);
    // At one time the file that began earlier goes first.
    assert_eq!(order(&got), [(1, 1), (2, 2), (1, 10), (2, 10), (2, 10), (1, 30), (0, 50), (2, 55), (0, 60)]);
    let numbers: Vec<u64> = got
        .iter()
        .filter_map(|g| if let Got::Frame { file: 2, number, .. } = g { Some(*number) } else { None })
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[test]
fn a_files_own_order_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let inputs =
        [write(dir.path(), "a", &pcap_at(&[10, 5, 20, 7, 30])), write(dir.path(), "b", &pcap_at(&[8, 15, 25]))];
    let got = open(&inputs);
    let of = |file| order(&got).into_iter().filter(|o| o.0 == file).map(|o| o.1).collect::<Vec<_>>();
    assert_eq!(of(0), [10, 5, 20, 7, 30]);
    assert_eq!(of(1), [8, 15, 25]);
}

#[test]
fn one_wild_time_does_not_push_its_file_back() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = [
        write(dir.path(), "a", &pcap_at(&[100, 4_000_000_000, 102, 104])),
        write(dir.path(), "b", &pcap_at(&[101, 103, 105])),
    ];
    let order: Vec<i64> = order(&open(&inputs)).iter().map(|o| o.1).filter(|t| *t < 1000).collect();
    assert_eq!(order, [100, 101, 102, 103, 104, 105]);
}

#[test]
fn more_files_than_may_be_open() {
    let dir = tempfile::tempdir().unwrap();
    let inputs: Vec<Input> =
        (0..300).map(|i| write(dir.path(), &i.to_string(), &pcap_at(&[i, 1000 + i, 2000 + i]))).collect();
    let got = open(&inputs);
    let seconds: Vec<i64> = order(&got).iter().map(|o| o.1).collect();
    assert_eq!(seconds.len(), 900);
    assert!(seconds.is_sorted());
}

#[test]
fn errors_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path(), "good", &pcap_at(&[1]));
    let bad = write(dir.path(), "bad", b"<html>");
    let error = Capture::open(&[good.clone(), bad], &Limits::default()).unwrap_err();
    assert!(error.file.ends_with("bad"));
    assert!(error.to_string().contains("a web page"));
    let missing = Input::File(dir.path().join("missing"));
    assert!(Capture::open(&[missing], &Limits::default()).unwrap_err().what.contains("no such file"));
    // Found in a folder, the others are read all the same.
    let found = Input::Found(dir.path().join("bad"));
    let got = open(&[found, good]);
    assert_eq!(order(&got), [(1, 1)]);
    assert_eq!(problems(&got).len(), 1);
}

#[test]
fn names_and_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = [write(dir.path(), "x", &pcap_at(&[1])), write(dir.path(), "y", &pcap_at(&[2]))];
    let mut capture = Capture::open(&inputs, &Limits::default()).unwrap();
    assert_eq!(capture.files(), 2);
    assert!(capture.file_name(FileId(1)).ends_with('y'));
    assert_eq!(capture.file_name(FileId(2)), "");
    drain(&mut capture);
    assert_eq!(capture.bytes_read(), 2 * 41);
}

/// What a file gives, and what the same bytes give from a pipe, each item as a word.
fn ahead(parts: &[Vec<u8>]) -> [Vec<String>; 2] {
    let words = |got: Vec<Got>| -> Vec<String> {
        let word = |got| match got {
            Got::Frame { data, .. } => String::from_utf8(data).unwrap(),
            Got::Secrets(text) => format!("secrets {}", String::from_utf8(text).unwrap().trim_end().replace('\n', " ")),
            Got::Comment(..) => "comment".to_owned(),
            Got::Problem { .. } => "problem".to_owned(),
        };
        got.into_iter().map(word).collect()
    };
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "a.pcapng", &parts.concat());
    [words(open(&[file])), words(read(parts.concat()))]
}

fn keylog(order: Order, text: &[u8]) -> Vec<u8> {
    let len = u32::try_from(text.len()).unwrap();
    block(order, 10, &[&order.u32(0x544c_534b)[..], &order.u32(len), text].concat())
}

#[test]
fn secrets_behind_their_packets_are_hopped_to_in_a_file() {
    use Order::{Big, Little};
    let packet = |order, data: &[u8]| enhanced(order, 0, 1, 9, data, &[]);
    let head = |order| [section(order), interface(order, 1, 0, &[])].concat();
    let parts = [
        head(Little),
        packet(Little, b"a"),
        keylog(Little, b"one"),
        packet(Little, b"b"),
        block(Little, 0x0bad, b"custom"),
        head(Big),
        packet(Big, b"c"),
        keylog(Big, b"two"),
    ];
    let [file, pipe] = ahead(&parts);
    assert_eq!(file, ["secrets one two", "a", "b", "c"]);
    assert_eq!(pipe, ["a", "secrets one", "b", "c", "secrets two"]);
    // Beside other files, too.
    let dir = tempfile::tempdir().unwrap();
    let both = [write(dir.path(), "a", &parts.concat()), write(dir.path(), "b", &pcap_at(&[0, 70]))];
    let got = open(&both);
    let at = |wanted: fn(&Got) -> bool| got.iter().position(wanted).unwrap();
    assert!(at(|g| matches!(g, Got::Secrets(_))) < at(|g| matches!(g, Got::Frame { file: 0, .. })));
    assert_eq!(got.len(), 3 + 2 + 1);
}

#[test]
fn secrets_behind_damage_come_in_their_place() {
    use Order::Little;
    let packet = |data: &[u8]| enhanced(Little, 0, 1, 9, data, &[]);
    let mut bad = packet(b"x");
    bad[4..8].copy_from_slice(&7u32.to_le_bytes());
    let head = [section(Little), interface(Little, 1, 0, &[])].concat();
    let parts = [head, packet(b"a"), keylog(Little, b"one"), bad, packet(b"b"), keylog(Little, b"two"), packet(b"c")];
    let [file, _] = ahead(&parts);
    assert_eq!(file, ["secrets one", "a", "problem", "b", "secrets two", "c"]);
    // Cut anywhere, a file gives what a pipe gives, in another order; and secrets of which only the trailer is cut off.
    let whole = parts.concat();
    for len in 28..whole.len() {
        let mut both = ahead(&[whole[..len].to_vec()]);
        let [file, pipe] = both.each_mut().map(|words| {
            let (secrets, rest): (Vec<_>, Vec<_>) = words.drain(..).partition(|w| w.starts_with("secrets"));
            (secrets.join(" ").replace(" secrets", ""), rest)
        });
        assert_eq!(file.1, pipe.1, "{len}");
        assert!(file.0.starts_with(&pipe.0), "{len}: {file:?} {pipe:?}");
    }
}

#[test]
fn secrets_ahead_are_bounded() {
    use Order::Little;
    let dir = tempfile::tempdir().unwrap();
    let head = [section(Little), interface(Little, 1, 0, &[])].concat();
    let parts =
        [head, keylog(Little, &[b'k'; 600]), keylog(Little, &[b'l'; 600]), enhanced(Little, 0, 1, 1, b"p", &[])];
    let path = dir.path().join("a");
    fs::write(&path, parts.concat()).unwrap();
    let limits = Limits { secret_bytes: 1000, ..Limits::default() };
    let found = super::super::hop::secrets(&path, &limits);
    assert_eq!((found.keylog.len(), found.blocks), (601, vec![48]));
}
