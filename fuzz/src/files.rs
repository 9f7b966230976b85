//! Capture files of any kind, and frames.

use std::io::Cursor;

use mailcap::capture::{Capture, Frame, Item, LinkType};
use mailcap::limits::Limits;
use mailcap::position::{FileId, FramePos, Timestamp};
use mailcap::wire::{Decoded, Decoder, LINK_TYPES};

use super::seeds;

/// Reads all of a file, compressed or in an archive or not.
pub fn capture(data: &[u8]) {
    let limits = Limits { record_bytes: 1 << 20, ..Limits::default() };
    let Ok(mut capture) = Capture::from_reader("fuzz", Box::new(Cursor::new(data.to_vec())), &limits) else { return };
    let (mut before, mut items) = (0, 0u64);
    while let Some(item) = capture.next() {
        if let Item::Frame(frame) = item {
            assert_eq!(frame.pos.index, before + 1, "frames are counted one by one");
            assert!(
                frame.data.len() <= limits.record_bytes && frame.data.len() as u64 <= u64::from(frame.original_len)
            );
            before = frame.pos.index;
        }
        // An expanding file may have any number of frames.
        items += 1;
        if items > 100_000 {
            break;
        }
    }
}

/// Captures, and the same in every wrapping.
pub fn capture_seeds() -> Vec<Vec<u8>> {
    let mut all = file_seeds();
    all.extend(seeds::read(seeds::files(&seeds::testdata().join("../fuzz/wrapped"))));
    all
}

pub fn file_seeds() -> Vec<Vec<u8>> {
    seeds::read(seeds::captures(""))
}

/// Frames of any link type: the type's place in the table, a length, that many bytes.
pub fn wire(mut data: &[u8]) {
    let mut decoder = Decoder::new(&Limits::default());
    let mut index = 0;
    while let [link, high, low, rest @ ..] = data {
        let (bytes, rest) = rest.split_at((usize::from(*high) << 8 | usize::from(*low)).min(rest.len()));
        data = rest;
        index += 1;
        let pos = FramePos { index, number: index, file: FileId(0), ts: Timestamp(index as i64 * 1_000_000) };
        let link_type = LINK_TYPES.get(usize::from(*link)).map_or(LinkType(u32::from(*link)), |l| LinkType(l.0));
        let original_len = bytes.len() as u32 + u32::from(*link == 0xff) * 100;
        let frame = Frame { pos, interface: None, link_type, data: bytes, original_len };
        if let Decoded::Segment(segment) = decoder.decode(&frame) {
            assert!(segment.payload.len() <= 65_535, "a datagram holds no more");
        }
    }
    assert_eq!(decoder.counters().frames, index);
}

pub fn wire_seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for file in file_seeds() {
        let Ok(mut capture) = Capture::from_reader("seed", Box::new(Cursor::new(file)), &Limits::default()) else {
            continue;
        };
        let mut seed = Vec::new();
        while let Some(item) = capture.next() {
            let Item::Frame(frame) = item else { continue };
            let link = LINK_TYPES.iter().position(|l| l.0 == frame.link_type.0).unwrap_or(0xfe);
            seed.push(link as u8);
            seed.extend((frame.data.len().min(0xffff) as u16).to_be_bytes());
            seed.extend(&frame.data[..frame.data.len().min(0xffff)]);
            if seed.len() > 4000 {
                break;
            }
        }
        all.push(seed);
    }
    all
}
