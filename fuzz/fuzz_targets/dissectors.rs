//! A sequence of operations on one dissector: bytes of either side in any cut, gaps, ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailcap::event::Protocol;
use mailcap::limits::Limits;
use mailcap::mail::{
    Chunk, Context, Dissector, Emitter, Next, Options, imap::Imap, pop3::Pop3, sieve::Sieve, smtp::Smtp,
};
use mailcap::position::{Direction, Span};

fuzz_target!(|data: &[u8]| {
    let Some((&which, mut rest)) = data.split_first() else { return };
    let mut dissector: Box<dyn Dissector> = match which % 5 {
        0 => Box::new(Smtp::new(Protocol::Smtp)),
        1 => Box::new(Smtp::new(Protocol::Lmtp)),
        2 => Box::new(Imap::new()),
        3 => Box::new(Pop3::new()),
        _ => Box::new(Sieve::new()),
    };
    let (options, limits) = (Options { digests: true, bodies: true, ..Options::default() }, Limits::default());
    let mut out = Emitter::new(1);
    let span = Span::default();
    while let [operation, length, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        let dir = if operation & 1 == 0 { Direction::Client } else { Direction::Server };
        let mut cx = Context {
            out: &mut out,
            tls: operation & 2 != 0,
            injected: false,
            one_sided: operation & 4 != 0,
            options: &options,
            limits: &limits,
        };
        match operation >> 4 {
            14 => dissector.gap(dir, u64::from(*length) + 1, span, &mut cx),
            15 => dissector.end(dir, span, &mut cx),
            _ => {
                let mut bytes = bytes;
                while !bytes.is_empty() {
                    let advance = dissector.input(dir, Chunk { bytes, span }, &mut cx);
                    assert!(advance.consumed <= bytes.len());
                    bytes = &bytes[advance.consumed..];
                    match advance.next {
                        Next::Continue => break,
                        _ => drop(dissector.take_held(Direction::Client)),
                    }
                }
            }
        }
        let _ = cx.out.drain();
    }
    let mut cx =
        Context { out: &mut out, tls: false, injected: false, one_sided: false, options: &options, limits: &limits };
    dissector.finish(span, &mut cx);
    let _ = dissector.summary();
});
