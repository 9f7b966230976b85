//! Real captures, where the folder named by `MAILCAP_CORPUS` exists.

use std::path::{Path, PathBuf};

use super::*;

/// The captures below a folder of the corpus.
fn captures(folder: &str) -> Vec<PathBuf> {
    let Ok(corpus) = std::env::var("MAILCAP_CORPUS") else { return Vec::new() };
    let found = expand(&[Path::new(&corpus).join(folder)]).unwrap_or_default();
    found.into_iter().filter_map(|i| if let Input::Found(path) = i { Some(path) } else { None }).collect()
}

#[test]
fn servers_read_to_the_end() {
    for path in captures("servers") {
        let mut capture = Capture::open(&[Input::File(path.clone())], &Limits::default()).unwrap();
        let got = drain(&mut capture);
        assert!(!times(&got).is_empty(), "{}", path.display());
        let cut = path.to_string_lossy().contains("early-stop-cut");
        assert_eq!(!problems(&got).is_empty(), cut, "{}: {:?}", path.display(), problems(&got));
    }
}

#[test]
fn wild_ones_have_the_packets_that_tshark_counts() {
    let Ok(corpus) = std::env::var("MAILCAP_CORPUS") else { return };
    let folder = Path::new(&corpus).join("wild");
    let Ok(manifest) = std::fs::read_to_string(folder.join("manifest.jsonl")) else { return };
    for line in manifest.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let path = folder.join(entry["file"].as_str().unwrap());
        if path.to_string_lossy().contains("Bluetooth") {
            // tshark stops at a frame that is too short for its link type.
            continue;
        }
        let Ok(mut capture) = Capture::open(&[Input::File(path.clone())], &Limits::default()) else { continue };
        let got = drain(&mut capture);
        let last = got.iter().rev().find_map(|g| if let Got::Frame { number, .. } = g { Some(*number) } else { None });
        // A sound file's frames are those that tshark counts; of one that it finds damaged we may read more.
        if let (Some(count @ 1..), true) = (entry["tshark"]["packets"].as_u64(), problems(&got).is_empty()) {
            assert_eq!(last.unwrap_or(0), count, "{}", path.display());
        }
    }
}
