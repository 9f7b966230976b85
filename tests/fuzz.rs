//! The fuzz targets of `fuzz/`, for a moment and without a fuzzer: their seeds as they are, and mutated.
//!
//! `MAILCAP_FUZZ_ROUNDS=N` makes N mutations a target, `MAILCAP_FUZZ_SEED=S` others, `MAILCAP_FUZZ_TARGET=NAME` of one only.

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::panic::{AssertUnwindSafe, catch_unwind};

use fuzz::{Random, TARGETS, Target};

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Flips, writes, cuts, doubles and splices.
fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len());
        match random.below(6) {
            _ if bytes.is_empty() => bytes.push(random.next() as u8),
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'\r', b'\n', b'.'][random.below(8)],
            2 => bytes.truncate(at),
            3 => {
                let end = (at + random.below(40)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            4 => drop(bytes.drain(at..(at + random.below(40)).min(bytes.len()))),
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
        }
    }
    bytes
}

fn holds(target: &Target, bytes: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_ok()
}

/// For `cargo fuzz run TARGET FILE`.
fn keep(target: &Target, bytes: &[u8]) -> String {
    let folder = std::env::temp_dir().join("mailcap-fuzz");
    let path = folder.join(format!("{}-{}", target.name, std::process::id()));
    let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, bytes));
    kept.map_or_else(|e| e.to_string(), |()| path.display().to_string())
}

#[test]
fn every_target_stands_its_seeds_and_what_is_made_of_them() {
    let rounds = number("MAILCAP_FUZZ_ROUNDS", 60);
    let mut random = Random::new(number("MAILCAP_FUZZ_SEED", 1));
    let mut failures = Vec::new();
    let only = std::env::var("MAILCAP_FUZZ_TARGET").ok();
    for target in TARGETS.iter().filter(|target| only.as_ref().is_none_or(|name| name == target.name)) {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        let inputs = seeds.iter().cloned().chain((0..rounds).map(|_| mutate(&seeds, &mut random)));
        if let Some(bytes) = inputs.into_iter().find(|bytes| !holds(target, bytes)) {
            failures.push(format!("{}: {}", target.name, keep(target, &bytes)));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Not a test: writes the seeds where `cargo fuzz` looks for them.
#[test]
#[ignore = "writes fuzz/corpus"]
fn seeds_to_start_from() {
    for target in &TARGETS {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name);
        std::fs::create_dir_all(&folder).unwrap();
        let seeds = (target.seeds)();
        for (n, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{n}")), seed).unwrap();
        }
        println!("{}: {} seeds", target.name, seeds.len());
    }
}
