//! The time of a layer at a time over generated captures: `cargo bench --bench layers`.

mod passes;
mod workload;

use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::BytesCount;
use passes::{Made, PASSES};

/// Of the capture that each layer's input is made of; the rates are of that.
const BYTES: u64 = 8 << 20;

static MADE: LazyLock<Made> = LazyLock::new(|| Made::new(BYTES));

fn main() {
    divan::main();
}

#[divan::bench(args = PASSES.map(|(name, _)| name))]
fn layer(bencher: Bencher<'_, '_>, name: &str) {
    let made = &*MADE;
    let (_, pass) = PASSES.into_iter().find(|(known, _)| *known == name).expect("a layer");
    bencher.counter(BytesCount::new(BYTES)).bench(|| pass(made));
}
