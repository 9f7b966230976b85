//! The instructions of a layer at a time over generated captures: `cargo bench --bench instructions`, with valgrind and
//! `gungraun-runner` of gungraun's version. Unlike a time, a count does not depend on what else the machine does; it does on
//! the compiler. A layer with 2 % more instructions than in the last run, or in a saved one, fails.

// Of what the macros make.
#![allow(missing_docs)]

mod passes;
mod workload;

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig};
use passes::{Made, PASSES, Pass};

/// Of the capture that each layer's input is made of: under valgrind all takes fifty times as long.
const BYTES: u64 = 1 << 20;

/// What a layer works on, and its work: once done already, as it is in a long run.
fn warm(name: &str) -> (Made, Pass) {
    let made = Made::new(BYTES);
    let (_, pass) = PASSES.into_iter().find(|(known, _)| *known == name).expect("a layer");
    black_box(pass(&made));
    (made, pass)
}

// Gives back what it worked on, so that freeing it is not counted.
#[library_benchmark(setup = warm)]
#[bench::capture("capture")]
#[bench::wire("wire")]
#[bench::flow("flow")]
#[bench::mail("mail")]
#[bench::tls("tls")]
#[bench::output("output")]
fn layer((made, pass): (Made, Pass)) -> (Made, u64) {
    let counted = black_box(pass(&made));
    (made, counted)
}

library_benchmark_group!(name = layers, benchmarks = layer);

main!(
    config = LibraryBenchmarkConfig::default()
        .tool(Callgrind::default().format([EventKind::Ir]).soft_limits([(EventKind::Ir, 2.0)])),
    library_benchmark_groups = layers
);
