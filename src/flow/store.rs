//! What one direction holds back: segments behind a hole, or waiting for what they acknowledge.
//!
//! Pieces never overlap. The first copy of a byte stays; a later one only lowers the bound (see
//! [`connection`](super::connection)) and is compared. Bytes that a snapshot length cut off stand as pieces without
//! data, which a real copy replaces.

use std::collections::BTreeMap;

use crate::flow::spare;
use crate::position::FramePos;

/// What a piece costs beside its bytes, for the bound over all connections.
const OVERHEAD: usize = 128;

#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Bytes of the stream.
    pub(super) len: u64,
    /// Their content; empty where the snapshot length cut them off.
    pub(super) data: Vec<u8>,
    /// Offset of the opposite direction that has to be delivered first.
    pub(super) bound: u64,
    pub(super) at: FramePos,
}

/// What an insertion found.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inserted {
    /// Bytes that were held already.
    pub(super) duplicate: u64,
    /// Where they first differ.
    pub(super) conflict: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    pieces: BTreeMap<u64, Piece>,
    bytes: usize,
    /// A segment far beyond the window, kept until a second one says that the stream really went there.
    stray: Option<Box<(u64, Piece)>>,
}

impl Store {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Segments held.
    pub(super) fn segments(&self) -> usize {
        self.pieces.len()
    }

    /// Memory, roughly.
    pub(super) fn cost(&self) -> usize {
        let stray = self.stray.as_ref().map_or(0, |stray| stray.1.data.len() + OVERHEAD);
        self.bytes + self.pieces.len() * OVERHEAD + stray
    }

    /// The first piece and its offset.
    pub(super) fn first(&self) -> Option<(u64, &Piece)> {
        self.pieces.first_key_value().map(|(offset, piece)| (*offset, piece))
    }

    /// Offset behind the last piece; 0 without any.
    pub(super) fn end(&self) -> u64 {
        self.pieces.last_key_value().map_or(0, |(offset, piece)| offset + piece.len)
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Piece)> {
        let (offset, piece) = self.pieces.pop_first()?;
        self.bytes -= piece.data.len();
        Some((offset, piece))
    }

    /// Changes the bound of each piece.
    pub(super) fn rebind(&mut self, change: impl Fn(u64) -> u64) {
        let stray = self.stray.as_deref_mut().map(|(_, piece)| piece);
        self.pieces.values_mut().chain(stray).for_each(|piece| piece.bound = change(piece.bound));
    }

    pub(super) fn clear(&mut self) {
        *self = Store::default();
    }

    /// Takes the stray segment out.
    pub(super) fn take_stray(&mut self) -> Option<(u64, Piece)> {
        self.stray.take().map(|stray| *stray)
    }

    pub(super) fn stray(&self) -> Option<(u64, &Piece)> {
        self.stray.as_deref().map(|(offset, piece)| (*offset, piece))
    }

    pub(super) fn set_stray(&mut self, offset: u64, piece: Piece) {
        self.stray = Some(Box::new((offset, piece)));
    }

    /// The first piece that ends behind `cursor` and begins before `end`: its offset and end.
    fn overlapping(&self, cursor: u64, end: u64) -> Option<(u64, u64)> {
        let spanning = self.pieces.range(..=cursor).next_back().map(|(o, p)| (*o, o + p.len)).filter(|p| p.1 > cursor);
        spanning.or_else(|| self.pieces.range(cursor..end).next().map(|(o, p)| (*o, o + p.len)))
    }

    /// Holds `bytes` at `offset` (copied), except where a copy is held.
    pub(super) fn insert(&mut self, offset: u64, bytes: &[u8], bound: u64, at: FramePos) -> Inserted {
        let mut result = Inserted::default();
        let end = offset + bytes.len() as u64;
        let mut cursor = offset;
        while cursor < end {
            let part =
                |from: u64, to: u64| bytes.get((from - offset) as usize..(to - offset) as usize).unwrap_or_default();
            match self.overlapping(cursor, end) {
                None => {
                    self.put(cursor, spare::copy(part(cursor, end)), bound, at);
                    break;
                }
                Some((start, _)) if start > cursor => {
                    self.put(cursor, spare::copy(part(cursor, start)), bound, at);
                    cursor = start;
                }
                Some((start, piece_end)) => {
                    let stop = piece_end.min(end);
                    let Some(piece) = self.pieces.get_mut(&start) else { break };
                    if piece.data.is_empty() {
                        let bound = bound.min(piece.bound);
                        self.replace_missing(start, cursor, stop);
                        self.put(cursor, spare::copy(part(cursor, stop)), bound, at);
                    } else {
                        let held = piece.data.get((cursor - start) as usize..(stop - start) as usize);
                        let copy = part(cursor, stop);
                        result.duplicate += stop - cursor;
                        if result.conflict.is_none() && held != Some(copy) {
                            let differs = held.unwrap_or_default().iter().zip(copy).take_while(|(a, b)| a == b).count();
                            result.conflict = Some(cursor + differs as u64);
                        }
                        if bound < piece.bound {
                            self.lower_bound(start, cursor, stop, bound);
                        }
                    }
                    cursor = stop;
                }
            }
        }
        result
    }

    /// Notes that `len` bytes at `offset` were sent but cut off by the snapshot length, except where a copy is held.
    pub(super) fn insert_missing(&mut self, offset: u64, len: u64, bound: u64, at: FramePos) {
        let end = offset + len;
        let mut cursor = offset;
        while cursor < end {
            let (start, next) = self.overlapping(cursor, end).unwrap_or((end, end));
            if start > cursor {
                self.pieces.insert(cursor, Piece { len: start - cursor, data: Vec::new(), bound, at });
            }
            cursor = next;
        }
    }

    fn put(&mut self, offset: u64, data: Vec<u8>, bound: u64, at: FramePos) {
        self.bytes += data.len();
        self.pieces.insert(offset, Piece { len: data.len() as u64, data, bound, at });
    }

    /// Cuts `from..to` out of the piece without data that begins at `start`.
    fn replace_missing(&mut self, start: u64, from: u64, to: u64) {
        let Some(piece) = self.pieces.remove(&start) else { return };
        let end = start + piece.len;
        if start < from {
            self.pieces.insert(start, Piece { len: from - start, ..piece.clone() });
        }
        if to < end {
            self.pieces.insert(to, Piece { len: end - to, ..piece });
        }
    }

    /// Gives `from..to` of the piece at `start` a lower bound, splitting it where needed.
    fn lower_bound(&mut self, start: u64, from: u64, to: u64, bound: u64) {
        let Some(mut piece) = self.pieces.remove(&start) else { return };
        let (end, old, at) = (start + piece.len, piece.bound, piece.at);
        let tail = piece.data.split_off(((to - start) as usize).min(piece.data.len()));
        let middle = piece.data.split_off(((from - start) as usize).min(piece.data.len()));
        if start < from {
            self.pieces.insert(start, Piece { len: from - start, data: piece.data, bound: old, at });
        }
        self.pieces.insert(from, Piece { len: to - from, data: middle, bound, at });
        if to < end {
            self.pieces.insert(to, Piece { len: end - to, data: tail, bound: old, at });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(store: &mut Store) -> Vec<(u64, u64, String, u64)> {
        std::iter::from_fn(|| store.pop())
            .map(|(offset, piece)| (offset, piece.len, String::from_utf8(piece.data).unwrap(), piece.bound))
            .collect()
    }

    #[test]
    fn first_copy_wins_and_conflicts_are_told() {
        let mut store = Store::default();
        let at = FramePos::default();
        assert_eq!(store.insert(10, b"cde", 0, at), Inserted::default());
        let inserted = store.insert(8, b"abcXefg", 0, at);
        assert_eq!(inserted, Inserted { duplicate: 3, conflict: Some(11) });
        assert_eq!((store.bytes(), store.segments()), (7, 3));
        assert_eq!(pieces(&mut store), [(8, 2, "ab".into(), 0), (10, 3, "cde".into(), 0), (13, 2, "fg".into(), 0)]);
        assert_eq!(store.bytes(), 0);
    }

    #[test]
    fn a_copy_lowers_the_bound_of_what_it_covers() {
        let mut store = Store::default();
        let at = FramePos::default();
        store.insert(0, b"abcdef", 50, at);
        store.insert(2, b"cd", 40, at);
        store.insert(0, b"abcdef", 60, at);
        assert_eq!(pieces(&mut store), [(0, 2, "ab".into(), 50), (2, 2, "cd".into(), 40), (4, 2, "ef".into(), 50)]);
    }

    #[test]
    fn real_bytes_replace_cut_ones() {
        let mut store = Store::default();
        let at = FramePos::default();
        store.insert(0, b"ab", 0, at);
        store.insert_missing(2, 6, 0, at);
        store.insert(3, b"xy", 0, at);
        store.insert_missing(0, 10, 0, at);
        assert_eq!(
            pieces(&mut store),
            [
                (0, 2, "ab".into(), 0),
                (2, 1, "".into(), 0),
                (3, 2, "xy".into(), 0),
                (5, 3, "".into(), 0),
                (8, 2, "".into(), 0)
            ]
        );
    }

    /// Against a model that knows each byte: nothing, cut off, or held, and its bound.
    #[test]
    fn what_is_held_is_what_came_first_byte_by_byte() {
        const SPACE: u64 = 24;
        let mut dice = 7u64;
        let mut roll = |below: u64| {
            dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (dice >> 33) % below
        };
        for round in 0..3000 {
            let mut store = Store::default();
            let mut model = [None::<(Option<u8>, u64)>; SPACE as usize];
            for _ in 0..1 + roll(8) {
                let offset = roll(SPACE - 1);
                let len = 1 + roll(SPACE - offset).min(8);
                let bound = roll(4);
                let places = offset as usize..(offset + len).min(SPACE) as usize;
                if roll(3) == 0 {
                    store.insert_missing(offset, places.len() as u64, bound, FramePos::default());
                    model[places].iter_mut().for_each(|place| *place = place.or(Some((None, bound))));
                    continue;
                }
                let bytes: Vec<u8> = places.clone().map(|_| b'a' + roll(2) as u8).collect();
                let mut expected = Inserted::default();
                for (at, byte) in places.zip(&bytes) {
                    let (held, least) = model[at].unwrap_or((None, bound));
                    expected.duplicate += u64::from(held.is_some());
                    if held.is_some_and(|held| held != *byte) {
                        expected.conflict.get_or_insert(at as u64);
                    }
                    model[at] = Some((held.or(Some(*byte)), least.min(bound)));
                }
                assert_eq!(store.insert(offset, &bytes, bound, FramePos::default()), expected, "round {round}");
            }
            let end = model.iter().rposition(Option::is_some).map_or(0, |last| last as u64 + 1);
            assert_eq!((store.end(), store.bytes()), (end, model.iter().flatten().flat_map(|place| place.0).count()));
            let mut found = [None; SPACE as usize];
            while let Some((offset, piece)) = store.pop() {
                assert!(piece.len > 0 && (piece.data.is_empty() || piece.data.len() as u64 == piece.len));
                for at in 0..piece.len {
                    let place = &mut found[(offset + at) as usize];
                    assert!(place.replace((piece.data.get(at as usize).copied(), piece.bound)).is_none(), "twice");
                }
            }
            assert_eq!(found, model, "round {round}");
        }
    }

    #[test]
    fn nothing_is_left_of_what_is_cleared() {
        let mut store = Store::default();
        store.insert(3, b"abc", 0, FramePos::default());
        store.set_stray(9, Piece { len: 2, data: b"xy".to_vec(), bound: 0, at: FramePos::default() });
        assert_eq!(store.cost(), 3 + 2 + 2 * OVERHEAD);
        store.clear();
        assert_eq!((store.cost(), store.end(), store.segments(), store.stray().is_none()), (0, 0, 0, true));
    }
}
