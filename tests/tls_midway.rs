//! TLS 1.3 of which the capture misses the beginning: a key log is enough, through the whole program.

mod common;

use std::path::{Path, PathBuf};

use common::packets::{Dialogue, Turn, dialogues};
use common::script::{c, codes, decode, flights, only, s};
use common::{How, Told, folders, tell, testdata};
use mailcap::event::{Decrypted, SecretSource, Security};
use mailcap::flow::Side;
use mailcap::tls::Reason;
use serde_json::Value;

/// A pcap file without its first frames.
fn behind(file: &Path, frames: usize) -> tempfile::NamedTempFile {
    let bytes = std::fs::read(file).unwrap();
    let big = matches!(bytes[..2], [0xa1, _]);
    let mut at = 24;
    for _ in 0..frames {
        let len: [u8; 4] = bytes[at + 8..at + 12].try_into().unwrap();
        at += 16 + if big { u32::from_be_bytes(len) } else { u32::from_le_bytes(len) } as usize;
    }
    let cut = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    std::fs::write(cut.path(), [&bytes[..24], &bytes[at..]].concat()).unwrap();
    cut
}

fn told(file: &Path, keylogs: &[PathBuf]) -> Told {
    tell(&[file.to_owned()], &How { keylogs, all_tls: true, ..How::default() })
}

/// Replies of the session, and its messages' digests.
fn texts(told: &Told) -> Vec<String> {
    let stories = told.stories.values();
    let replies = stories.clone().flat_map(|s| &s.replies).map(|r| format!("{:?} {:?}", r.status, r.text));
    replies.chain(stories.flat_map(|s| &s.messages).filter(|m| m.complete).map(|m| format!("{:?}", m.sha256))).collect()
}

/// Captures of a mail port (a session seen from the middle is known by it), in pcap files.
fn captures() -> Vec<(PathBuf, Vec<PathBuf>)> {
    let mut captures = Vec::new();
    for folder in folders("tls") {
        let index: Value = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
        for row in index.as_array().unwrap() {
            let name = row["name"].as_str().unwrap();
            let file = folder.join(format!("{name}.pcap"));
            let implicit = row["features"].to_string().contains("implicit-tls");
            if name.starts_with("tls13-") && implicit && file.exists() {
                captures.push((file, vec![folder.join(format!("{name}.keylog"))]));
            }
        }
    }
    captures
}

#[test]
fn a_capture_that_begins_behind_the_handshake_is_decoded_by_key_log() {
    let (mut joined, mut mail) = (0, 0);
    for (file, keylogs) in captures() {
        let name = file.display();
        let whole = told(&file, &keylogs);
        let whole_texts = texts(&whole);
        let tls = &whole.stories.values().next().unwrap().tls[0];
        let (last, of) = (tls.span.last.number as usize, whole.report.frames as usize);
        // Right behind the handshake, and further on: what is missing then is not told again.
        for cut in [last, last + (of - last) / 3] {
            let file = behind(&file, cut);
            let after = told(file.path(), &keylogs);
            let story = after.stories.values().next().unwrap();
            let session = story.session();
            // The greeting is the beginning of what is said.
            assert!(!session.complete || cut == last, "{name} without {cut} frames");
            let tls = &story.tls[0];
            assert_eq!((tls.reason, tls.decrypted), (None, Decrypted::All), "{name} without {cut}: {:#?}", tls.steps);
            assert_eq!((tls.version, tls.secret), (Some("TLSv1.3"), Some(SecretSource::KeyLog)), "{name}");
            assert_eq!(tls.suite, whole.stories.values().next().unwrap().tls[0].suite, "{name}");
            for text in texts(&after) {
                assert!(whole_texts.contains(&text), "{name} without {cut}: {text} was never said");
                mail += 1;
            }
            // Without the key log, and with another's.
            let closed = told(file.path(), &[]);
            assert_eq!(closed.stories.values().next().unwrap().tls[0].reason, Some(Reason::MidSession), "{name}");
            joined += 1;
        }
    }
    assert!(joined >= 2 && mail >= 8, "{joined} joined, {mail} replies and messages");
}

#[test]
fn a_key_log_of_others_leaves_it_closed_and_the_search_ends() {
    let (file, _) = captures().remove(0);
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("others.log");
    let line =
        |n: usize| format!("SERVER_TRAFFIC_SECRET_0 {n:064x} {n:064x}\nCLIENT_TRAFFIC_SECRET_0 {n:064x} {n:064x}\n");
    std::fs::write(&log, (0..3000).map(line).collect::<String>()).unwrap();
    let whole = told(&file, &[]);
    let cut = whole.stories.values().next().unwrap().tls[0].span.last.number as usize + 4;
    let closed = told(behind(&file, cut).path(), &[log]);
    let tls = &closed.stories.values().next().unwrap().tls[0];
    assert_eq!((tls.reason, tls.records_decrypted), (Some(Reason::MidSession), 0), "{:#?}", tls.steps);
}

/// Whole records of what one side says from a record's beginning on.
fn records(stream: &[u8]) -> u64 {
    let mut rest = stream;
    let mut count = 0;
    while let [_, _, _, high, low, ..] = rest {
        let Some(next) = rest.get(5 + usize::from(u16::from_be_bytes([*high, *low]))..) else { break };
        (count, rest) = (count + 1, next);
    }
    count
}

/// As if the capture began so many bytes into the first record of either side, behind that many turns.
fn within_records(dialogue: &Dialogue, turns: usize, bytes: [usize; 2], how: &How<'_>) -> (Told, u64) {
    let mut rest = Dialogue { turns: dialogue.turns[turns..].to_vec(), ..dialogue.clone() };
    let mut whole = 0;
    for side in [Side::Initiator, Side::Responder] {
        let of: Vec<u8> = rest.turns.iter().filter(|t| t.side == side).flat_map(|t| t.bytes.clone()).collect();
        whole += records(&of);
        if let Some(first) = rest.turns.iter_mut().find(|t| t.side == side)
            && bytes[side.index()] > 0
        {
            first.bytes.drain(..bytes[side.index()]);
            whole -= 1;
        }
    }
    let list = flights(&rest).split_off(3);
    (decode(&rest, &list, how), whole)
}

#[test]
fn a_capture_that_begins_within_a_record_loses_that_record_alone() {
    let mut cuts = 0;
    for (file, keylogs) in captures() {
        let whole_texts = texts(&told(&file, &keylogs));
        let dialogue = dialogues(file.clone()).remove(0);
        let how = How { keylogs: &keylogs, all_tls: true, ..How::default() };
        for turn in 4..dialogue.turns.len().saturating_sub(4) {
            let mut cut = [0; 2];
            // Past its header, or within it.
            cut[dialogue.turns[turn].side.index()] = if turn % 2 == 0 { 9 } else { 2 };
            let name = format!("{} from turn {turn} on", file.display());
            // Behind more KeyUpdates than are searched nothing opens.
            if only(&within_records(&dialogue, turn, [0; 2], &how).0).tls[0].reason.is_some() {
                continue;
            }
            let (after, whole) = within_records(&dialogue, turn, cut, &how);
            let story = only(&after);
            let tls = &story.tls[0];
            assert_eq!((tls.reason, tls.records_decrypted), (None, whole), "{name}: {:#?}", tls.steps);
            assert!(codes(&after).contains(&"tls-resynchronised"), "{name}: {:?}", codes(&after));
            for text in texts(&after) {
                assert!(whole_texts.contains(&text), "{name}: {text} was never said");
            }
            let (closed, _) = within_records(&dialogue, turn, cut, &How { all_tls: true, ..How::default() });
            assert_eq!(only(&closed).tls[0].reason, Some(Reason::MidSession), "{name}");
            cuts += 1;
        }
    }
    assert!(cuts >= 4, "{cuts}");
}

/// Nothing begins with a record: that two of them follow each other later on says what it is.
#[test]
fn a_capture_that_begins_within_records_of_both_sides_is_tls() {
    let mut joined = 0;
    for (file, keylogs) in captures() {
        let dialogue = dialogues(file.clone()).remove(0);
        let how = How { keylogs: &keylogs, all_tls: true, ..How::default() };
        let (after, whole) = within_records(&dialogue, 4, [9, 9], &how);
        let tls = &only(&after).tls[0];
        assert_eq!((tls.reason, tls.records_decrypted), (None, whole), "{}: {:#?}", file.display(), tls.steps);
        joined += 1;
    }
    assert!(joined >= 1, "{joined}");
}

/// The client's hello behind STARTTLS is lost, whole or its beginning.
#[test]
fn a_hello_lost_behind_starttls_is_a_gap_in_tls() {
    let name = testdata().join("tls/tls13-aes-128-gcm-sha256-pop3");
    let keylogs = [name.with_extension("keylog")];
    let dialogue = dialogues(name.with_extension("pcap")).remove(0);
    let (hello, rest) = dialogue.turns.split_first().unwrap();
    let before = [s("+OK ready\r\n"), c("STLS\r\n"), s("+OK begin\r\n")];
    let count = |turns: &[Turn], lost: Option<usize>| {
        let dialogue = Dialogue { turns: turns.to_vec(), ..dialogue.clone() };
        let mut list = flights(&dialogue);
        if let Some(turn) = lost {
            list.remove(3 + turn);
        }
        let told = decode(&dialogue, &list, &How { keylogs: &keylogs, ..How::default() });
        let tls = only(&told).tls.clone();
        assert_eq!(tls.len(), 1, "{lost:?}");
        tls.into_iter().next().unwrap()
    };
    for at in [1, 5, 40, 100, hello.bytes.len() - 1, hello.bytes.len()] {
        let (first, second) = hello.bytes.split_at(at);
        let pieces: Vec<Turn> = [first, second].into_iter().filter(|b| !b.is_empty()).map(c).collect();
        let turns = [&before[..], &pieces, rest].concat();
        let whole = count(&turns, None);
        let cut = count(&turns, Some(before.len()));
        assert_eq!(cut.version, Some("TLSv1.3"), "{at}: {:?}", cut.steps);
        assert_eq!((cut.reason, cut.records_decrypted), (None, whole.records_decrypted), "{at}: {:?}", cut.steps);
    }
}

/// A session behind STARTTLS of which a stretch is lost at the handover: the packets of turns and the rest of one.
fn handover(lost: &[usize], cut: usize, step: usize) -> (Told, usize) {
    let name = testdata().join("tls/tls13-aes-128-gcm-sha256-pop3");
    let keylogs = [name.with_extension("keylog")];
    let mut dialogue = dialogues(name.with_extension("pcap")).remove(0);
    let before = [s("+OK ready\r\n"), c("STLS\r\n"), s("+OK begin\r\n")];
    // The server's flight in two, the second in pieces.
    let rest = dialogue.turns[1].bytes.split_off(cut);
    dialogue.turns.splice(2..2, rest.chunks(step).map(s));
    let hello = before.len();
    dialogue.turns.splice(0..0, before);
    let mut list = flights(&dialogue);
    for turn in lost.iter().rev() {
        list.remove(3 + turn);
    }
    (decode(&dialogue, &list, &How { keylogs: &keylogs, ..How::default() }), hello)
}

/// The answer to STARTTLS, both hellos, or more: only records under keys are left.
#[test]
fn tls_whose_announcement_and_hellos_are_lost_is_tls() {
    for (lost, cut) in [(&[2, 3, 4][..], 300), (&[2, 3, 4, 5], 300), (&[1, 2, 3, 4], 200)] {
        let (told, _) = handover(lost, cut, 10_000);
        let story = only(&told);
        assert_eq!(story.session().security, Security::StartTls, "{lost:?}");
        let tls = &story.tls[0];
        assert!(tls.records_decrypted > 5, "{lost:?}: {:#?}", tls.steps);
        assert!(story.commands.iter().any(|c| c.tls), "{lost:?}");
        assert!(codes(&told).contains(&"unannounced-tls"), "{lost:?}: {:?}", codes(&told));
    }
}

/// The client's hello and the beginning of the server's answer, or the latter alone: what is left of it was no reply.
#[test]
fn the_rest_of_a_server_hello_behind_starttls_is_no_injected_reply() {
    for (lost, cut, step) in
        [(&[3, 4][..], 40, 10_000), (&[3, 4], 300, 10_000), (&[4], 300, 1), (&[3, 4], 700, 10_000), (&[3, 4], 301, 1)]
    {
        let (told, hello) = handover(lost, cut, step);
        let story = only(&told);
        let codes = codes(&told);
        assert!(!codes.contains(&"injected-replies") && !codes.contains(&"unannounced-tls"), "{cut}: {codes:?}");
        let tls = &story.tls[0];
        assert!(tls.records_decrypted > 5, "{cut}: {:#?}", tls.steps);
        assert!(story.replies.iter().filter(|r| !r.tls).count() < hello, "{cut}: {:?}", story.replies);
    }
}

/// What is decrypted begins within a message: the port says what it is.
#[test]
fn a_session_joined_within_a_message_is_that_of_the_port() {
    let (file, keylogs) = captures().remove(0);
    let mut dialogue = dialogues(file).remove(0);
    let how = How { keylogs: &keylogs, all_tls: true, ..How::default() };
    let whole = decode(&dialogue, &flights(&dialogue), &how);
    let (mut judged, mut within) = (0, 0);
    for turn in 4..dialogue.turns.len() {
        let told = within_records(&dialogue, turn, [0, 0], &how).0;
        let story = only(&told);
        if story.tls[0].records_decrypted > 1 {
            assert_eq!(story.session().protocol, only(&whole).session().protocol, "from turn {turn} on");
            judged += 1;
        }
    }
    // Nothing but the rest of a message's text.
    dialogue.turns.retain(|turn| turn.side == Side::Responder);
    for turn in 2..dialogue.turns.len() {
        let told = within_records(&dialogue, turn, [0, 0], &how).0;
        let story = only(&told);
        if story.tls[0].records_decrypted > 0 {
            assert_eq!(story.session().protocol, only(&whole).session().protocol, "server's turn {turn}");
            within += 1;
        }
    }
    assert!(judged > 2 && within > 0, "{judged} {within}");
}

/// Its first byte may be a letter.
#[test]
fn how_the_rest_of_a_server_hello_is_cut_makes_no_difference() {
    for cut in 200..260 {
        let (told, _) = handover(&[3, 4], cut, 1);
        assert!(!codes(&told).contains(&"injected-replies"), "{cut}: {:?}", codes(&told));
        assert!(only(&told).tls[0].records_decrypted > 5, "{cut}");
    }
}
