//! `cargo bench --bench generate -- WORKLOAD MEGABYTES FILE [NAME=NUMBER…]`: a capture to measure with.

mod workload;

use std::fs::File;
use std::io::{BufWriter, Write};

use workload::{Workload, write};

const USAGE: &str = "usage: cargo bench --bench generate -- plain|lossy|noise|scan|tls|bulk-cbc|bulk-gcm MEGABYTES FILE \
[seed|concurrent|segment|message|mails|disturb|noise=NUMBER…]";

fn main() {
    // `cargo bench` and `cargo test --all-targets` add arguments of their own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let [kind, megabytes, path, changes @ ..] = &arguments[..] else {
        println!("{USAGE}");
        return;
    };
    let megabytes: u64 = megabytes.parse().expect("MEGABYTES is a number");
    let Some(named) = Workload::named(kind) else { panic!("{kind}: no such workload") };
    let mut workload = Workload { bytes: megabytes << 20, ..named };
    for change in changes {
        assert!(workload.set(change), "{change}: no such parameter\n{USAGE}");
    }
    let mut out = BufWriter::new(File::create(path).expect("FILE can be created"));
    let connections = write(&workload, &mut out).expect("FILE can be written");
    out.flush().expect("FILE can be written");
    println!("{path}: {connections} connections, {workload:?}");
}
