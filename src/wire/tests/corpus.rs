//! Real captures, where the folder named by `MAILCAP_CORPUS` exists.

use std::path::Path;

use super::*;
use crate::capture::{Capture, Input, Item, expand};

/// Frames and TCP connections by their addresses.
fn count(path: &Path) -> Option<(u64, usize)> {
    let mut capture = Capture::open(&[Input::File(path.to_owned())], &Limits::default()).ok()?;
    let mut decoder = Decoder::new(&Limits::default());
    let mut pairs = std::collections::HashSet::new();
    while let Some(item) = capture.next() {
        if let Item::Frame(frame) = item
            && let Decoded::Segment(s) = decoder.decode(&frame)
        {
            pairs.insert((s.src.min(s.dst), s.src.max(s.dst)));
        }
    }
    let counters = decoder.counters();
    let skipped: u64 = counters.skipped.iter().sum();
    assert_eq!(counters.frames, counters.segments + counters.unreachable + skipped);
    Some((counters.frames, pairs.len()))
}

#[test]
fn wild_captures_have_the_connections_that_tshark_counts() {
    let Ok(corpus) = std::env::var("MAILCAP_CORPUS") else { return };
    let folder = Path::new(&corpus).join("wild");
    let Ok(manifest) = std::fs::read_to_string(folder.join("manifest.jsonl")) else { return };
    for line in manifest.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let path = folder.join(entry["file"].as_str().unwrap());
        let (Some((frames, pairs)), Some(streams)) = (count(&path), entry["tshark"]["tcp_streams"].as_u64()) else {
            continue;
        };
        // tshark stops at the first damage.
        if entry["tshark"]["packets"].as_u64().is_some_and(|read| read < frames) {
            continue;
        }
        // tshark counts reused ports anew, and does not look behind some MPLS labels.
        assert!(pairs as u64 <= streams + 1, "{}: {pairs} of {streams}", path.display());
        assert!(streams == 0 || pairs > 0, "{}", path.display());
    }
}

#[test]
fn damaged_captures_do_no_harm() {
    // Each capture of the corpus with bytes turned over at regular places.
    let Ok(corpus) = std::env::var("MAILCAP_CORPUS") else { return };
    for input in expand(&[Path::new(&corpus).join("wild")]).unwrap_or_default() {
        let Input::Found(path) = input else { continue };
        let Ok(mut bytes) = std::fs::read(&path) else { continue };
        bytes.truncate(200_000);
        for (step, turn) in [(97, 0xff), (41, 0x01), (23, 0x80)] {
            let mut damaged = bytes.clone();
            damaged.iter_mut().skip(24 + step).step_by(step).for_each(|b| *b ^= turn);
            let reader = Box::new(std::io::Cursor::new(damaged));
            let Ok(mut capture) = Capture::from_reader("damaged", reader, &Limits::default()) else { continue };
            let mut decoder = Decoder::new(&Limits::default());
            while let Some(item) = capture.next() {
                if let Item::Frame(frame) = item {
                    decoder.decode(&frame);
                }
            }
        }
    }
}
