//! A sequence of operations as bytes: an operation, a length in two bytes, and that many bytes, again and again.

use mailcap::position::Direction;

use super::packets::Dialogue;
use mailcap::flow::Side;

/// What happens to a connection.
pub enum Operation<'a> {
    Data(&'a [u8]),
    Gap(u64),
    End,
}

/// Takes the next one off; the first byte is left to the target.
pub fn next<'a>(rest: &mut &'a [u8]) -> Option<(u8, Direction, Operation<'a>)> {
    let [first, high, low, tail @ ..] = rest else { return None };
    let length = usize::from(*high) << 8 | usize::from(*low);
    let direction = if first & 1 == 0 { Direction::Client } else { Direction::Server };
    *rest = tail;
    let operation = match first >> 4 {
        14 => Operation::Gap(length as u64 + 1),
        15 => Operation::End,
        _ => {
            let (bytes, after) = tail.split_at(length.min(tail.len()));
            *rest = after;
            Operation::Data(bytes)
        }
    };
    Some((*first, direction, operation))
}

/// A dialogue as operations, from its turn `from` on.
pub fn encode(dialogue: &Dialogue, from: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for turn in dialogue.turns.iter().skip(from) {
        for piece in turn.bytes.chunks(0xffff) {
            bytes.push(u8::from(turn.side == Side::Responder));
            bytes.extend((piece.len() as u16).to_be_bytes());
            bytes.extend(piece);
        }
    }
    bytes
}
