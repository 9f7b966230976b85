//! Several readers of one file: they find the same packets, and part at the same place.
#![cfg(unix)]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::*;

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Input {
    fs::write(dir.join(name), bytes).unwrap();
    Input::File(dir.join(name))
}

fn open(inputs: &[Input]) -> Capture {
    open_within(inputs, Limits::default())
}

fn open_within(inputs: &[Input], limits: Limits) -> Capture {
    let limits = Limits { several_readers_bytes: 0, ..limits };
    let mut capture = Capture::open(inputs, &limits).unwrap();
    capture.read_ahead();
    capture
}

/// What identifies a frame.
type Essence = (FramePos, Option<u32>, Vec<u8>);

fn essence(frame: &Frame<'_>) -> Essence {
    (frame.pos, frame.interface, frame.data.to_vec())
}

/// Lets it and two twins read together, wherever they can be had, for at most `most` packets at a time; all numbers of
/// packets that were read together, one after the other, and everything that was read.
fn together(capture: &mut Capture, most: usize) -> (Vec<usize>, Vec<Essence>) {
    let (mut shared, mut all) = (Vec::new(), Vec::new());
    while let Some(item) = capture.next() {
        if let Item::Frame(frame) = item {
            all.push(essence(&frame));
        }
        let Some(mut twins) = capture.twins(2) else { continue };
        let mut count = 0;
        while count < most {
            let more = capture.advance_with_twins();
            for twin in &mut twins {
                assert_eq!(twin.advance(), more, "behind frame {}", all.len());
            }
            if !more {
                break;
            }
            let Some(Item::Frame(frame)) = capture.item() else { panic!("no packet") };
            all.push(essence(&frame));
            for twin in &twins {
                assert_eq!(twin.frame().map(|frame| essence(&frame)).as_ref(), all.last());
            }
            count += 1;
        }
        shared.push(count);
    }
    (shared, all)
}

fn alone(inputs: &[Input]) -> Vec<Essence> {
    let mut capture = Capture::open(inputs, &Limits::default()).unwrap();
    let mut all = Vec::new();
    while let Some(item) = capture.next() {
        if let Item::Frame(frame) = item {
            all.push(essence(&frame));
        }
    }
    all
}

#[test]
fn twins_find_what_the_capture_finds() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = pcap_at(&[]);
    for n in 0..5000u32 {
        file.extend(pcap_record(Order::Little, n, 7, &n.to_be_bytes().repeat(1 + n as usize % 400)));
    }
    let inputs = [write(dir.path(), "a", &file)];
    for most in [1, 100, usize::MAX] {
        let (shared, all) = together(&mut open(&inputs), most);
        assert_eq!(all, alone(&inputs));
        assert!(shared.iter().sum::<usize>() >= 2499 && (most < 5000 || shared[0] == 4999), "{shared:?}");
    }
}

#[test]
fn what_is_no_packet_parts_them() {
    let dir = tempfile::tempdir().unwrap();
    let order = Order::Little;
    let mut file = [section(order), interface(order, 1, 0, &[])].concat();
    let comment = [option(order, 1, b"a comment"), option(order, 0, &[])].concat();
    for n in 0..60 {
        let options = if n % 20 == 19 { &comment[..] } else { &[] };
        file.extend(enhanced(order, 0, n, 40, &[n as u8; 40], options));
    }
    let inputs = [write(dir.path(), "a", &file)];
    let (shared, all) = together(&mut open(&inputs), usize::MAX);
    assert_eq!(all, alone(&inputs));
    assert_eq!(shared[0], 18, "up to the comment: {shared:?}");
}

#[test]
fn they_part_where_another_files_turn_comes() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = [
        write(dir.path(), "a", &pcap_at(&(1..=100).collect::<Vec<_>>())),
        write(dir.path(), "b", &pcap_at(&(41..=50).collect::<Vec<_>>())),
        write(dir.path(), "c", &pcap_at(&(200..=300).collect::<Vec<_>>())),
    ];
    let (shared, all) = together(&mut open(&inputs), usize::MAX);
    assert_eq!(all, alone(&inputs));
    assert_eq!(shared[0], 40, "from behind 1 up to 41: {shared:?}");
}

#[test]
fn a_long_record_parts_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = pcap_at(&[1, 2, 3]);
    file.extend(pcap_record(Order::Little, 4, 0, &vec![9; 200_000]));
    file.extend(&pcap_at(&[5, 6, 7, 8, 9, 10, 11, 12])[24..]);
    let inputs = [write(dir.path(), "a", &file)];
    let (shared, all) = together(&mut open(&inputs), usize::MAX);
    assert_eq!(all, alone(&inputs));
    assert_eq!(shared[0], 2, "{shared:?}");
}

#[test]
fn what_is_added_to_a_file_meanwhile_is_read_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = [write(dir.path(), "a", &pcap_at(&(1..=50).collect::<Vec<_>>()))];
    let mut capture = open(&inputs);
    assert!(capture.next().is_some());
    let mut twin = capture.twins(1).unwrap().remove(0);
    let mut file = OpenOptions::new().append(true).open(dir.path().join("a")).unwrap();
    file.write_all(&pcap_at(&(51..=100).collect::<Vec<_>>())[24..]).unwrap();
    let mut count = 1;
    while capture.advance_with_twins() {
        assert!(twin.advance());
        count += 1;
    }
    assert!(!twin.advance());
    assert_eq!(count, 50);
    while let Some(item) = capture.next() {
        assert!(matches!(item, Item::Frame(_)));
        count += 1;
    }
    assert_eq!(count, 100);
}

#[test]
fn a_file_that_is_cut_off_meanwhile_ends_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = pcap_at(&[]);
    (0..2000).for_each(|n| bytes.extend(pcap_record(Order::Little, n, 0, &[1; 1000])));
    let inputs = [write(dir.path(), "a", &bytes)];
    let mut capture = open(&inputs);
    assert!(capture.next().is_some());
    let mut twin = capture.twins(1).unwrap().remove(0);
    OpenOptions::new().write(true).open(dir.path().join("a")).unwrap().set_len(500_000).unwrap();
    let read = std::iter::from_fn(|| twin.advance().then_some(())).count();
    assert!((400..600).contains(&read), "{read}");
    assert!(twin.frame().is_none() || !twin.advance());
}

#[test]
fn there_are_no_twins_of_what_is_compressed_or_short() {
    let dir = tempfile::tempdir().unwrap();
    let plain = pcap_at(&(1..=100).collect::<Vec<_>>());
    #[cfg(feature = "compression")]
    {
        let packed = write(dir.path(), "a.zst", &zstd::encode_all(&plain[..], 1).unwrap());
        let mut capture = open(&[packed]);
        assert!(capture.next().is_some() && capture.twins(1).is_none());
    }
    let mut capture = Capture::open(&[write(dir.path(), "a", &plain)], &Limits::default()).unwrap();
    capture.read_ahead();
    assert!(capture.next().is_some() && capture.twins(1).is_none());
}

#[test]
fn there_are_twins_only_where_all_have_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = pcap_at(&[]);
    (0..2000).for_each(|n| bytes.extend(pcap_record(Order::Little, n, 0, &[1; 1000])));
    let inputs = [write(dir.path(), "a", &bytes)];
    // Three windows of the usual size, or two.
    for (kib, count) in [(800, 1999), (600, 0)] {
        let mut capture = open_within(&inputs, Limits { input_bytes: kib << 10, ..Limits::default() });
        let (shared, all) = together(&mut capture, usize::MAX);
        assert_eq!(all, alone(&inputs));
        assert_eq!(shared.iter().sum::<usize>(), count, "{kib}: {shared:?}");
    }
}

#[test]
fn damage_parts_them_however_often_it_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = pcap_at(&[]);
    for n in 0..3000u32 {
        let mut record = pcap_record(Order::Little, n, 0, &[1; 600]);
        if n % 50 == 49 {
            // More than any packet has.
            record[8..12].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
        }
        file.extend(record);
    }
    let inputs = [write(dir.path(), "a", &file)];
    let (shared, all) = together(&mut open(&inputs), usize::MAX);
    assert_eq!(all, alone(&inputs));
    assert!(shared.len() >= 60 && shared.iter().sum::<usize>() > 2500, "{shared:?}");
}

#[test]
fn a_large_block_that_is_no_packet_parts_them() {
    let dir = tempfile::tempdir().unwrap();
    let order = Order::Little;
    for len in [100, 120_000, 200_000, 300_000, 900_000] {
        let mut file = [section(order), interface(order, 1, 0, &[])].concat();
        for n in 0..900 {
            if n % 300 == 299 {
                // Names that were resolved.
                file.extend(block(order, 4, &vec![0; len]));
            }
            file.extend(enhanced(order, 0, n, 1000, &[n as u8; 1000], &[]));
        }
        let inputs = [write(dir.path(), "a", &file)];
        let (shared, all) = together(&mut open(&inputs), usize::MAX);
        assert_eq!(all, alone(&inputs), "{len}");
        assert!(shared.iter().sum::<usize>() > 880, "{len}: {shared:?}");
    }
}

#[test]
fn what_is_looked_for_further_on_parts_them() {
    let dir = tempfile::tempdir().unwrap();
    let order = Order::Little;
    let day = 86_400;
    let mut file = pcap_at(&[]);
    for n in 0..3000u32 {
        // A clock that jumps by days, with an empty record behind it, and back.
        let time = n + if (1000..2000).contains(&n) { 3 * day } else { 0 };
        file.extend(pcap_record(order, time, 0, &[2; 700]));
        if n == 1000 || n == 2000 {
            file.extend(pcap_record(order, time, 0, &[]));
        }
    }
    let inputs = [write(dir.path(), "a", &file)];
    let (shared, all) = together(&mut open(&inputs), usize::MAX);
    assert_eq!(all, alone(&inputs));
    assert!(shared.len() > 1 && shared.iter().sum::<usize>() > 1900, "{shared:?}");
}
