//! Real captures damaged: bytes flipped, cut, records spliced, doubled, taken out, lengths that lie.
//!
//! The seed is fixed, so that a failure can be had again. `MAILCAP_MUTATIONS=N` makes N of each capture, and
//! `MAILCAP_MUTATIONS_SEED=S` other ones.

use std::fs;
use std::path::{Path, PathBuf};

use mailcap::event::SecretSource;
use mailcap::tls::KeyRing;

use crate::common::packets::Random;
use crate::common::{corpus, testdata};
use crate::run::survives;

/// Captures below a folder, sorted.
fn captures(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            captures(&path, out);
        } else if name.contains(".pcap") || name.ends_with(".cap") {
            out.push(path);
        }
    }
}

/// All keys of the test data, and the key log beside the capture.
fn keys(of: &Path, ring: &KeyRing) -> KeyRing {
    let mut ring = ring.clone();
    if let Ok(log) = fs::read(of.with_extension("keylog")) {
        ring.add_keylog_bytes("keylog", &log, SecretSource::KeyLog);
    }
    ring
}

fn ring() -> KeyRing {
    let mut ring = KeyRing::new();
    for home in [Some(testdata()), corpus()].into_iter().flatten() {
        for folder in ["servers/keys", "tls/keys"] {
            let _ = ring.add_key_path(&home.join(folder), &mut |_| None);
        }
    }
    ring
}

/// Where the records of a little-endian pcap file begin, and its end; empty for anything else.
fn records(file: &[u8]) -> Vec<usize> {
    if !file.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) {
        return Vec::new();
    }
    let mut at = 24;
    let mut starts = vec![at];
    while let Some(len) = file.get(at + 8..).and_then(|f| f.first_chunk::<4>()) {
        at += 16 + u32::from_le_bytes(*len) as usize;
        if at > file.len() {
            break;
        }
        starts.push(at);
    }
    starts
}

const LENGTHS: [u32; 8] = [0, 1, 4, 0x3fff, 0x4001, 0xffff, 0x8000_0000, u32::MAX];

/// A damaged copy.
pub fn mutate(file: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut copy = file.to_vec();
    let starts = records(file);
    for _ in 0..1 + random.below(4) {
        let len = copy.len().max(1);
        match random.below(9) {
            // Single bits, single bytes, runs.
            0 => (0..1 + random.below(16)).for_each(|_| copy[random.below(len)] ^= 1 << random.below(8)),
            1 => (0..1 + random.below(64)).for_each(|_| copy[random.below(len)] = random.next() as u8),
            2 => {
                let at = random.below(len);
                let end = (at + random.below(64)).min(len);
                copy[at..end].fill([0, 0xff, b'\n', b'.', b'{', 0x16][random.below(6)]);
            }
            // A length anywhere, in either byte order and width.
            3 => {
                let word = LENGTHS[random.below(LENGTHS.len())];
                let word = if random.chance(2) { word.to_le_bytes() } else { word.to_be_bytes() };
                let (at, width) = (random.below(len), [2, 4][random.below(2)]);
                let end = (at + width).min(len);
                copy[at..end].copy_from_slice(&word[4 - width..][..end - at]);
            }
            4 => copy.truncate(random.below(len)),
            // Pieces of this file, or of another, put in.
            5 => {
                let from = if random.chance(2) { other } else { file };
                let at = random.below(from.len());
                let piece = &from[at..(at + random.below(2000)).min(from.len())];
                let to = random.below(len);
                copy.splice(to..to, piece.iter().copied());
            }
            6 => drop(copy.drain(random.below(len)..).take(random.below(300)).count()),
            // Whole records doubled, moved, taken out, taken over from the other file.
            7 if starts.len() > 2 => {
                let record = |n: usize| &file[starts[n]..starts[n + 1]];
                let mut list: Vec<&[u8]> = (0..starts.len() - 1).map(record).collect();
                for _ in 0..1 + random.below(8) {
                    let (a, b) = (random.below(list.len()), random.below(list.len()));
                    match random.below(3) {
                        0 => list.insert(a, list[b]),
                        1 => list.swap(a, b),
                        _ if list.len() > 1 => drop(list.remove(a)),
                        _ => {}
                    }
                }
                copy = [&file[..24], &list.concat()].concat();
            }
            _ => {
                let theirs = records(other);
                let head: Vec<u8> = copy.clone();
                if let (Some(&at), true) = (starts.get(random.below(starts.len().max(1))), theirs.len() > 1) {
                    let n = random.below(theirs.len() - 1);
                    let piece = &other[theirs[n]..theirs[(n + 5).min(theirs.len() - 1)]];
                    let at = at.min(head.len());
                    copy = [&head[..at], piece, &head[at..]].concat();
                }
            }
        }
        if copy.is_empty() {
            return copy;
        }
    }
    copy
}

#[test]
fn damaged_captures_break_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let thorough = number("MAILCAP_MUTATIONS");
    let mut files = Vec::new();
    captures(&testdata(), &mut files);
    if thorough.is_some() {
        corpus().into_iter().for_each(|home| captures(&home, &mut files));
    }
    assert!(files.len() >= 30, "{files:?}");
    let contents: Vec<Vec<u8>> = files.iter().map(|f| fs::read(f).unwrap()).collect();
    let ring = ring();
    let seed = number("MAILCAP_MUTATIONS_SEED").unwrap_or(0);
    let (mut runs, mut failures) = (0u64, Vec::new());
    for (n, (path, file)) in files.iter().zip(&contents).enumerate() {
        // Large ones cost most and show least.
        let large = file.len() > 300_000;
        let rounds = thorough.map_or(if large { 1 } else { 3 }, |n| if large { n / 10 } else { n });
        let keys = keys(path, &ring);
        for round in 0..rounds {
            let mut random = Random::new(seed ^ (n as u64) << 32 ^ round ^ 0x6d61_696c);
            let other = &contents[random.below(contents.len())];
            let copy = mutate(file, other, &mut random);
            runs += 1;
            if let Err(panic) = survives(copy.clone(), &keys) {
                if let Some(dir) = std::env::var_os("MAILCAP_MUTATIONS_KEEP") {
                    fs::write(Path::new(&dir).join(format!("{n}-{round}.pcap")), copy).unwrap();
                }
                failures.push(format!("{} round {round}: {panic}", path.display()));
            }
        }
    }
    println!("{runs} runs over {} captures", files.len());
    assert!(failures.is_empty(), "{} of {runs}:\n{}", failures.len(), failures.join("\n"));
}
