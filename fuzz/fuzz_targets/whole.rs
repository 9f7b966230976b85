//! A capture file, whatever it is, through the whole program.
#![no_main]

use std::io::{self, Cursor};

use libfuzzer_sys::fuzz_target;
use mailcap::capture::Capture;
use mailcap::event::Event;
use mailcap::limits::Limits;
use mailcap::mail::Options;
use mailcap::output::Sink;
use mailcap::pipeline::{Config, run_capture};
use mailcap::tls::KeyRing;

struct Nothing;

impl Sink for Nothing {
    fn event(&mut self, _event: Event) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    let Ok(capture) = Capture::from_reader("fuzz", Box::new(Cursor::new(data.to_vec())), &limits) else { return };
    let config = Config {
        inputs: Vec::new(),
        separate: false,
        keys: KeyRing::new(),
        limits,
        mail: Options { digests: true, bodies: true, ..Options::default() },
        decode_as: Vec::new(),
        all_tls: true,
        jobs: None,
        connections: false,
    };
    let _ = run_capture(capture, config, &mut Nothing);
});
