//! The files that seeds are made of: `testdata`, and `MAILCAP_CORPUS` where it is set.

use std::fs;
use std::path::{Path, PathBuf};

use mailcap::capture::{Capture, Input};
use mailcap::limits::Limits;

use super::packets::{Dialogue, dialogues};

/// Longer seeds slow the fuzzer down more than they teach it.
const LONGEST: u64 = 40_000;

/// `testdata`, seen from the package or from its `fuzz` folder.
pub fn testdata() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    [here.join("testdata"), here.join("../testdata")].into_iter().find(|p| p.is_dir()).expect("testdata")
}

/// The files below `folder` that are not too long, in the order of their names.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path));
        } else if fs::metadata(&path).is_ok_and(|m| m.len() <= LONGEST) {
            found.push(path);
        }
    }
    found
}

/// Captures with `name` in theirs.
pub fn captures(name: &str) -> Vec<PathBuf> {
    let corpus = std::env::var_os("MAILCAP_CORPUS").map(PathBuf::from);
    let homes = [Some(testdata()), corpus].into_iter().flatten();
    let is_capture = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        (file.contains(".pcap") || file.ends_with(".cap")) && file.contains(name)
    };
    homes.flat_map(|home| files(&home)).filter(is_capture).collect()
}

/// The dialogues of those captures that can be read.
pub fn conversations(name: &str) -> Vec<Dialogue> {
    let readable = |path: &PathBuf| Capture::open(&[Input::File(path.clone())], &Limits::default()).is_ok();
    captures(name).into_iter().filter(readable).flat_map(dialogues).collect()
}

pub fn read(paths: Vec<PathBuf>) -> Vec<Vec<u8>> {
    paths.into_iter().filter_map(|path| fs::read(path).ok()).collect()
}
