//! `cargo bench --bench generate -- plain|lossy|noise MEGABYTES FILE`: a capture to measure with.

mod workload;

use std::fs::File;
use std::io::{BufWriter, Write};

use workload::{Workload, write};

fn main() {
    // `cargo bench` and `cargo test --all-targets` add arguments of their own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let [kind, megabytes, path] = &arguments[..] else {
        println!("usage: cargo bench --bench generate -- plain|lossy|noise MEGABYTES FILE");
        return;
    };
    let megabytes: u64 = megabytes.parse().expect("MEGABYTES is a number");
    let base = Workload { bytes: megabytes << 20, ..Workload::default() };
    let workload = match kind.as_str() {
        "plain" => base,
        "lossy" => Workload { disturb_one_in: 100, ..base },
        "noise" => Workload { noise_percent: 95, ..base },
        other => panic!("{other}: plain, lossy or noise"),
    };
    let mut out = BufWriter::new(File::create(path).expect("FILE can be created"));
    let connections = write(&workload, &mut out).expect("FILE can be written");
    out.flush().expect("FILE can be written");
    println!("{path}: {connections} connections, {workload:?}");
}
