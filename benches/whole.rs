//! The whole pass over generated captures: `cargo bench --bench whole`.

mod workload;

use std::io::{self, Write};
use std::path::Path;

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

fn pass(bencher: divan::Bencher<'_, '_>, name: &str, digests: bool) {
    let workload = Workload { bytes: 32 << 20, ..Workload::named(name).expect("a workload") };
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    write(&workload, file.as_file_mut()).expect("a capture");
    file.flush().expect("a capture");
    let size = file.as_file().metadata().expect("a size").len();
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys/encoded/rsa2048.pkcs8.pem");
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let mut keys = KeyRing::new();
        keys.add_key_path(&key, &mut |_| None).expect("a key");
        let config = Config {
            inputs: vec![Input::File(file.path().to_owned())],
            separate: false,
            keys,
            limits: Limits::default(),
            mail: Options { digests, ..Options::default() },
            decode_as: Vec::new(),
            all_tls: false,
            jobs: None,
            connections: false,
        };
        run(config, &mut Nothing).expect("a run").mail_sessions
    });
}

#[divan::bench(args = ["plain", "lossy", "noise", "scan", "tls", "bulk-cbc", "bulk-gcm"])]
fn events(bencher: divan::Bencher<'_, '_>, name: &str) {
    pass(bencher, name, false);
}

#[divan::bench]
fn plain_with_digests(bencher: divan::Bencher<'_, '_>) {
    pass(bencher, "plain", true);
}
