//! Captures from public repositories whose keys lie beside them or inside: what another dissector decrypts is decrypted
//! here, mail or not. Runs where the corpus is.
//!
//! Out of scope: DTLS, QUIC, EAP-TLS, and TLS over any transport but TCP.

mod common;

use std::path::{Path, PathBuf};

use common::{How, Table, tell};
use serde_json::Value;

/// Captures with handshakes that stay closed, here and there: how many, and why that is right.
const EXCEPTIONS: &[(&str, u64, &str)] = &[
    (
        "hotplace/test__testcase__tls__tls12__tls12renogotiation.pcapng",
        1,
        "the key log has no line for the renegotiation's client random",
    ),
    (
        "tls-decryption/data__tls2__dsb-dump.pcapng",
        3,
        "the secrets inside have no line for three of the 73 client randoms",
    ),
    (
        "mercury/test__data__test_decrypt.pcap",
        5,
        "the key log has TLS 1.3 lines alone, for 16 of 20 connections; one more was on its way when the capture began",
    ),
];

fn beside(capture: &Path, suffix: &str) -> Option<PathBuf> {
    let mut name = capture.as_os_str().to_owned();
    name.push(suffix);
    Some(PathBuf::from(name)).filter(|path| path.is_file())
}

/// Suites of handshakes in the truth: `{"0xc030": 2}`.
fn suites(row: &Value) -> u64 {
    row["decrypt"]["cipher_suites"].as_object().map_or(0, |suites| suites.values().filter_map(Value::as_u64).sum())
}

fn check(folder: &Path, row: &Value) -> Vec<String> {
    let capture = folder.join(row["file"].as_str().unwrap());
    let keys: Vec<PathBuf> = beside(&capture, ".key").into_iter().collect();
    let keylogs: Vec<PathBuf> = beside(&capture, ".keylog").into_iter().collect();
    let how = How { keys: &keys, keylogs: &keylogs, all_tls: true, ..How::default() };
    let told = tell(&[capture], &how);
    let tls: Vec<_> = told.stories.values().flat_map(|story| &story.tls).collect();
    let name = row["file"].as_str().unwrap();
    let closed_ones = EXCEPTIONS.iter().find(|(file, ..)| *file == name).map_or(0, |(_, closed, _)| *closed);
    let open = tls.iter().filter(|t| t.records_decrypted > 0).count() as u64;
    let mut problems = Vec::new();
    if tls.iter().map(|t| t.records_decrypted).sum::<u64>() == 0 {
        problems.push("nothing was decrypted".to_owned());
    }
    // The peer counts what it saw chosen, opened or not.
    if open + closed_ones < suites(row) {
        problems.push(format!("{open} handshakes of {} opened", suites(row)));
    }
    let closed: Vec<_> = tls.iter().filter(|t| t.records_undecrypted > 0).collect();
    if closed.len() as u64 != closed_ones {
        problems.extend(closed.iter().map(|t| format!("frame {}: {:?}, {:?}", t.span.first.number, t.suite, t.reason)));
        problems.push(format!("{} handshakes with closed records, not {closed_ones}", closed.len()));
    }
    problems
}

#[test]
fn what_others_decrypt() {
    let Some(corpus) = common::corpus() else { return };
    let folder = corpus.join("wild");
    let text = std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    let mut table = Table::default();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        if row["decrypt"]["ok"] != true {
            continue;
        }
        let name = row["file"].as_str().unwrap();
        table.row(name, check(&folder, &row));
    }
    table.finish("wild captures with keys", 49);
}
