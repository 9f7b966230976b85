//! The whole pass over generated captures: `cargo bench --bench whole`.

mod workload;

use std::io::{self, Write};

use divan::counter::BytesCount;
use mailcap::capture::Input;
use mailcap::event::Event;
use mailcap::limits::Limits;
use mailcap::mail::Options;
use mailcap::output::Sink;
use mailcap::pipeline::{Config, run};
use mailcap::tls::KeyRing;
use workload::{Workload, write};

fn main() {
    divan::main();
}

struct Nothing;

impl Sink for Nothing {
    fn event(&mut self, event: Event) -> io::Result<()> {
        divan::black_box(event);
        Ok(())
    }
}

fn pass(bencher: divan::Bencher<'_, '_>, workload: Workload, digests: bool) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    write(&workload, file.as_file_mut()).expect("a capture");
    file.flush().expect("a capture");
    let size = file.as_file().metadata().expect("a size").len();
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let config = Config {
            inputs: vec![Input::File(file.path().to_owned())],
            keys: KeyRing::new(),
            limits: Limits::default(),
            mail: Options { digests, ..Options::default() },
            decode_as: Vec::new(),
            all_tls: false,
            jobs: None,
        };
        run(config, &mut Nothing).expect("a run").mail_sessions
    });
}

fn small() -> Workload {
    Workload { bytes: 32 << 20, ..Workload::default() }
}

#[divan::bench]
fn plain(bencher: divan::Bencher<'_, '_>) {
    pass(bencher, small(), false);
}

#[divan::bench]
fn plain_with_digests(bencher: divan::Bencher<'_, '_>) {
    pass(bencher, small(), true);
}

#[divan::bench]
fn lossy(bencher: divan::Bencher<'_, '_>) {
    pass(bencher, Workload { disturb_one_in: 100, ..small() }, false);
}

#[divan::bench]
fn noise(bencher: divan::Bencher<'_, '_>) {
    pass(bencher, Workload { noise_percent: 95, ..small() }, false);
}
