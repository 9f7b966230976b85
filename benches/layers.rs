//! A layer at a time over generated captures: `cargo bench --bench layers`. With `--count LAYER TIMES` it only does that work
//! so many times: for `valgrind --tool=callgrind`, where what twice costs more than once is the work itself.

mod passes;
mod workload;

use std::path::Path;
use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::BytesCount;
use passes::{Made, PASSES};

/// Of the capture that each layer's input is made of; the rates are of that.
const BYTES: u64 = 8 << 20;

/// The same for counting, which is fifty times slower.
const COUNTED: u64 = 1 << 20;

static MADE: LazyLock<Made> = LazyLock::new(|| made(BYTES));

fn made(bytes: u64) -> Made {
    Made::new(Path::new(env!("CARGO_MANIFEST_DIR")), bytes)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match &arguments[..] {
        [flag, layer, times] if flag == "--count" => {
            let times: u32 = times.parse().expect("TIMES is a number");
            let (_, pass) = PASSES.into_iter().find(|(name, _)| name == layer).expect("LAYER is one");
            let made = made(COUNTED);
            for _ in 0..times {
                divan::black_box(pass(&made));
            }
        }
        _ => divan::main(),
    }
}

#[divan::bench(args = PASSES.map(|(name, _)| name))]
fn layer(bencher: Bencher<'_, '_>, name: &str) {
    let made = &*MADE;
    let (_, pass) = PASSES.into_iter().find(|(known, _)| *known == name).expect("a layer");
    bencher.counter(BytesCount::new(BYTES)).bench(|| pass(made));
}
