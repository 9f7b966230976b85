//! A message in any cut through the streaming builder: the cut must not matter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailcap::event::{Message, MessageDirection, MessagePart, Protocol};
use mailcap::limits::Limits;
use mailcap::mail::message::MessageBuilder;
use mailcap::mail::{Emitter, Options};
use mailcap::position::Span;

fn build(bytes: &[u8], piece: usize) -> Message {
    let (options, limits) = (Options { digests: true, ..Options::default() }, Limits::default());
    let message = Message::new(Protocol::Smtp, MessageDirection::Submitted, MessagePart::Full);
    let mut builder = MessageBuilder::new(message, &options, &limits);
    let mut out = Emitter::new(1);
    for piece in bytes.chunks(piece.max(1)) {
        builder.push(piece, Span::default(), &mut out);
    }
    builder.finish(true).0
}

fuzz_target!(|data: &[u8]| {
    let Some((&piece, bytes)) = data.split_first() else { return };
    assert_eq!(build(bytes, bytes.len()), build(bytes, usize::from(piece)));
});
