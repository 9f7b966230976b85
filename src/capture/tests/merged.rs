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
