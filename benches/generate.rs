//! `cargo bench --bench generate -- plain|lossy|noise|scan|tls|bulk-cbc|bulk-gcm MEGABYTES FILE`: a capture to measure with.

mod workload;

use std::fs::File;
use std::io::{BufWriter, Write};

use workload::{Workload, write};

fn main() {
    // `cargo bench` and `cargo test --all-targets` add arguments of their own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let [kind, megabytes, path] = &arguments[..] else {
        println!("usage: cargo bench --bench generate -- plain|lossy|noise|scan|tls|bulk-cbc|bulk-gcm MEGABYTES FILE");
        return;
    };
    let megabytes: u64 = megabytes.parse().expect("MEGABYTES is a number");
    let Some(named) = Workload::named(kind) else { panic!("{kind}: no such workload") };
    let workload = Workload { bytes: megabytes << 20, ..named };
    let mut out = BufWriter::new(File::create(path).expect("FILE can be created"));
    let connections = write(&workload, &mut out).expect("FILE can be written");
    out.flush().expect("FILE can be written");
    println!("{path}: {connections} connections, {workload:?}");
}
