//! Records of long messages wait for one another to be opened together: what comes out is what comes one by one, in the same
//! order, also where records are damaged or segments lost.

mod common;
mod streams;

use common::packets::dialogues;
use common::script::{decode, in_order};
use common::{How, testdata};
use mailcap::event::EventBody;
use mailcap::position::Direction;
use mailcap::tls::{KeyRing, SessionCache};
use streams::play::{Case, Given, all_cases, cut, pieces, run_with};

/// Bytes of one of the long records, at least.
const LONG: u64 = 4096;

/// More than wait where each is opened on its own.
const SEVERAL: u64 = 6 * LONG;

fn bulk() -> Vec<Case> {
    let mut cases = all_cases();
    cases.retain(|case| case.json["name"].as_str().unwrap().starts_with("f-bulk-"));
    assert!(cases.len() >= 3);
    cases
}

/// Whether eight lanes fit into a register.
fn has_wide_registers() -> bool {
    #[cfg(target_arch = "x86_64")]
    return fearless_simd::Level::new().as_avx2().is_some();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Plays it both ways; gives the most bytes that waited.
fn same_either_way(given: &[(Direction, Given<'_>)], keys: &KeyRing, lost: usize, what: &str) -> u64 {
    let play = |hold| run_with(hold, given, keys, &mut SessionCache::new(), &(lost..lost.saturating_add(1)));
    let (held, held_reports) = play(true);
    let (out, reports) = play(false);
    assert!(out.most_held < 2 * LONG, "{what}");
    assert!(held.plain == out.plain, "{what}: plaintext");
    assert_eq!(held.records, out.records, "{what}");
    assert_eq!((held.lost, held.odd), (out.lost, out.odd), "{what}");
    assert_eq!(serde_json::to_value(held_reports).unwrap(), serde_json::to_value(reports).unwrap(), "{what}");
    held.most_held
}

#[test]
fn held_back_or_not_the_same_comes_out() {
    for case in bulk() {
        let name = case.json["name"].as_str().unwrap();
        let (connections, _) = streams::read(&case.file(case.json["file"].as_str().unwrap()));
        let keys = case.keys();
        for pieces in pieces(&case, &connections) {
            let waited = same_either_way(&pieces, &keys, usize::MAX, name);
            assert_eq!(waited > SEVERAL, has_wide_registers(), "{name}: {waited} bytes waited");
            for size in [1, 100, 10_000] {
                same_either_way(&cut(&pieces, size), &keys, usize::MAX, name);
            }
            for lost in 0..pieces.len() {
                same_either_way(&pieces, &keys, lost, &format!("{name} without piece {lost}"));
                let mut damaged: Vec<(Direction, Vec<u8>)> = Vec::new();
                for (dir, given) in &pieces {
                    if let Given::Data(bytes) = given {
                        damaged.push((*dir, bytes.to_vec()));
                    }
                }
                let Some((_, bytes)) = damaged.get_mut(lost) else { continue };
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
                let damaged: Vec<_> = damaged.iter().map(|(dir, bytes)| (*dir, Given::Data(bytes))).collect();
                same_either_way(&damaged, &keys, usize::MAX, &format!("{name} with piece {lost} damaged"));
            }
        }
    }
}

#[test]
fn what_was_held_back_is_told_before_the_gap_behind_it() {
    let mut gaps = 0;
    for name in ["f-bulk-tls10-smtp", "f-bulk-tls12-smtp"] {
        let file = |extension| testdata().join(format!("tls/{name}.{extension}"));
        let keylogs = [file("keylog")];
        let how = How { keylogs: &keylogs, bodies: true, ..How::default() };
        let dialogue = dialogues(file("pcap")).remove(0);
        let whole = in_order(&dialogue);
        for lost in 3..whole.len() - 3 {
            let mut list = whole.clone();
            list.remove(lost);
            let told = decode(&dialogue, &list, &how);
            let events = told.stories.values().flat_map(|story| &story.events);
            let mut between = 0;
            for event in events {
                match &event.body {
                    EventBody::Gap(_) => between = 0,
                    EventBody::MessageData(data) if data.after_gap => {
                        assert_eq!(between, 0, "{name} without packet {lost}");
                        gaps += 1;
                    }
                    EventBody::MessageData(_) => between += 1,
                    _ => {}
                }
            }
        }
    }
    assert!(gaps > 20, "{gaps}");
}
