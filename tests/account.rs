//! The account adds up: every frame is decoded or skipped for a reason; every captured byte of a mail session is decoded,
//! overhead, undecrypted, skipped or a duplicate; the bytes in gaps are those that are missing. Held against what the
//! headers of the segments say, read apart from connections.

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use common::packets::{Dialogue, Packet, Random, dialogues, disturbed, pcap};
use common::script::{dialogue, flights, only};
use common::{How, Told, corpus, tell, testdata};
use mailcap::capture::{Capture, Input, Item};
use mailcap::event::{Account, EndReason, EventBody};
use mailcap::flow::Side;
use mailcap::limits::Limits;
use mailcap::wire::{Decoded, Decoder};
use proptest::prelude::*;

/// What the headers say.
#[derive(Default)]
struct Wire {
    frames: u64,
    segments: u64,
    skipped: u64,
    /// Segments and payload bytes between two endpoints, in either direction.
    pairs: BTreeMap<(SocketAddr, SocketAddr), (u64, u64)>,
}

fn pair(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    (a.min(b), a.max(b))
}

fn wire(file: &Path) -> Option<Wire> {
    let limits = Limits::default();
    let mut capture = Capture::open(&[Input::File(file.to_owned())], &limits).ok()?;
    let (mut decoder, mut wire) = (Decoder::new(&limits), Wire::default());
    while let Some(item) = capture.next() {
        let Item::Frame(frame) = item else { continue };
        wire.frames += 1;
        match decoder.decode(&frame) {
            Decoded::Segment(segment) => {
                wire.segments += 1;
                let counts = wire.pairs.entry(pair(segment.src, segment.dst)).or_default();
                *counts = (counts.0 + 1, counts.1 + segment.payload.len() as u64);
            }
            Decoded::Skipped(_) => wire.skipped += 1,
            Decoded::Unreachable(_) => {}
        }
    }
    Some(wire)
}

fn parts(account: &Account) -> [u64; 6] {
    let Account { decoded, overhead, undecrypted, skipped, duplicate, gaps } = *account;
    [decoded, overhead, undecrypted, skipped, duplicate, gaps]
}

/// What does not add up.
fn wrong(told: &Told, wire: &Wire) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |what: &str, got: u64, want: u64| {
        if got != want {
            wrong.push(format!("{what}: {got} instead of {want}"));
        }
    };
    let report = &told.report;
    check("frames", report.frames, wire.frames);
    check("segments", report.segments, wire.segments);
    check("skipped", report.skipped.values().sum(), wire.skipped);
    let (mut sum, mut pairs) = ([0; 6], BTreeMap::new());
    for (id, story) in &told.stories {
        let session = story.session();
        let account = parts(&session.account);
        let received: u64 = session.bytes.iter().sum();
        check(&format!("session {id}, received"), account[..4].iter().sum(), received);
        check(&format!("session {id}, gaps"), account[5], story.gaps.iter().map(|g| g.bytes).sum());
        check(&format!("session {id}, bytes of gaps"), account[5], session.gap_bytes);
        sum.iter_mut().zip(account).for_each(|(sum, part)| *sum += part);
        let counts: &mut (u64, u64) = pairs.entry(pair(session.client, session.server)).or_default();
        *counts = (counts.0 + session.frames, counts.1 + account[..5].iter().sum::<u64>());
    }
    let late = report.account.duplicate.saturating_sub(sum[4]);
    sum[4] += late;
    for (at, (part, of_sessions)) in parts(&report.account).into_iter().zip(sum).enumerate() {
        check(&format!("part {at} of the report"), part, of_sessions);
    }
    let mut behind = 0;
    for ((a, b), (frames, bytes)) in pairs {
        let (segments, payload) = wire.pairs[&(a, b)];
        if frames == segments {
            check(&format!("bytes between {a} and {b}"), bytes, payload);
        } else {
            // Segments behind a connection's end, or a connection that is no session.
            check(&format!("frames between {a} and {b} beyond those there are"), frames.saturating_sub(segments), 0);
            check(&format!("bytes between {a} and {b} beyond those there are"), bytes.saturating_sub(payload), 0);
            behind += payload.saturating_sub(bytes);
        }
    }
    check("bytes behind an end beyond those there are", late.saturating_sub(behind), 0);
    wrong
}

fn captures(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            captures(&path, out);
        } else if !path
            .extension()
            .is_some_and(|e| ["json", "jsonl", "keylog", "pem", "key", "md"].iter().any(|k| e == *k))
        {
            out.push(path);
        }
    }
}

#[test]
fn of_every_capture() {
    let keys = [testdata().join("servers/keys/server.key"), testdata().join("tls/keys/rsa2048.pem")];
    let how = How { keys: &keys, ..How::default() };
    let mut found = Vec::new();
    for home in [Some(testdata()), corpus()].into_iter().flatten() {
        captures(&home, &mut found);
    }
    let mut table = common::Table::default();
    for file in found {
        let Some(wire) = wire(&file) else { continue };
        table.row(&file.display().to_string(), wrong(&tell(std::slice::from_ref(&file), &how), &wire));
    }
    table.finish("accounts", 40);
}

#[test]
fn of_copies_that_come_behind_the_end() {
    for dialogue in dialogues(testdata().join("servers/pop3-full.pcap")).iter().take(2) {
        let once = disturbed(dialogue, 1);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&pcap(dialogue, &[once.clone(), once.clone()].concat())).unwrap();
        let told = tell(&[file.path().to_owned()], &How::default());
        assert_eq!(wrong(&told, &wire(file.path()).unwrap()), Vec::<String>::new());
        assert_eq!((told.stories.len(), told.report.incomplete), (1, 0));
        let payload: u64 = once.iter().map(|p| p.payload.len() as u64).sum();
        assert_eq!(parts(&told.report.account)[..5].iter().sum::<u64>(), 2 * payload);
    }
}

#[test]
fn of_a_fin_that_was_lost_with_the_last_command_long_before_the_server_closed() {
    let dialogue = dialogue(25, "S: 220 mx ESMTP\nC: EHLO me\nS: 250 mx\nC: QUIT\nS: 221 bye");
    let mut list = flights(&dialogue);
    // The handshake, five turns, two FINs and the last acknowledgement. The FIN came with QUIT, and neither was captured.
    let quit = list.remove(6);
    assert_eq!(quit.payload, b"QUIT\r\n");
    let mut fin = list.remove(7);
    assert!(fin.fin && fin.side == Side::Initiator);
    list[6].ack = Some(fin.seq.wrapping_add(1));
    fin = Packet { fin: false, seq: fin.seq.wrapping_add(1), ..fin };
    // More frames than a hole is waited for.
    list.splice(7..7, std::iter::repeat_n(fin, 2 * Limits::default().reorder_frames as usize));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&pcap(&dialogue, &list)).unwrap();
    let told = tell(&[file.path().to_owned()], &How::default());
    assert_eq!(wrong(&told, &wire(file.path()).unwrap()), Vec::<String>::new());
    let story = only(&told);
    assert_eq!(story.gaps.iter().map(|gap| (gap.offset, gap.bytes)).collect::<Vec<_>>(), [(9, 6)]);
    assert_eq!((story.session().gap_bytes, story.session().end_reason), (6, EndReason::Fin));
    assert!(story.events.is_sorted_by_key(|event| event.seq));
    // Declared lost before the reply, it is told before the reply.
    let place = |wanted: fn(&EventBody) -> bool| story.events.iter().position(|event| wanted(&event.body)).unwrap();
    let gap = place(|body| matches!(body, EventBody::Gap(_)));
    let bye = place(|body| matches!(body, EventBody::Reply(reply) if reply.code == Some(221)));
    assert!(gap < bye, "{gap} {bye}");
}

const SAMPLES: &[&str] = &[
    "servers/smtp-bdat.pcap",
    "servers/pop3-full.pcap",
    "servers/imap-full-plain.pcap",
    "servers/imap-compress.pcap",
    "servers/rsa12-smtp-starttls.pcap",
    "servers/imap-full-starttls-rsa.pcap",
];

/// The dialogue's bytes of which no packet is left.
fn missing(dialogue: &Dialogue, all: &[Packet], left: &[Packet]) -> u64 {
    let sent: u64 = dialogue.turns.iter().map(|t| t.bytes.len() as u64).sum();
    let mut held = [Vec::new(), Vec::new()];
    let isn = |side: usize| all.iter().find(|p| p.syn && p.side.index() == side).unwrap().seq;
    let isns = [isn(0), isn(1)];
    for packet in left {
        let side = packet.side.index();
        let from = packet.seq.wrapping_sub(isns[side]) as usize;
        let marks: &mut Vec<bool> = &mut held[side];
        marks.resize(marks.len().max(from + packet.payload.len()), false);
        marks[from..from + packet.payload.len()].fill(true);
    }
    sent - held.iter().flatten().filter(|held| **held).count() as u64
}

/// Seeds tried: `PROPTEST_CASES`, or few.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 0, failure_persistence: None, rng_seed: common::rng_seed(), ..ProptestConfig::default() })]

    #[test]
    fn of_disturbed_captures(seed in any::<u64>()) {
        let keys = [testdata().join("servers/keys/server.key")];
        for (with_keys, sample) in SAMPLES.iter().flat_map(|s| [(true, s), (false, s)]) {
            let how = How { keys: if with_keys { &keys } else { &[] }, ..How::default() };
            for (n, dialogue) in dialogues(testdata().join(sample)).iter().enumerate().take(3) {
                let mut random = Random::new(seed);
                let all = disturbed(dialogue, seed);
                let one_in = [0, 2, 10, 60][random.below(4)];
                let left: Vec<Packet> =
                    all.iter().filter(|p| p.payload.is_empty() || !random.chance(one_in)).cloned().collect();
                let mut file = tempfile::NamedTempFile::new().unwrap();
                file.write_all(&pcap(dialogue, &left)).unwrap();
                let told = tell(&[file.path().to_owned()], &how);
                let wrong = wrong(&told, &wire(file.path()).unwrap());
                prop_assert!(wrong.is_empty(), "{sample} connection {n}, seed {seed}: {wrong:?}");
                let gaps: u64 = told.stories.values().map(|s| s.session().gap_bytes).sum();
                prop_assert_eq!(gaps, missing(dialogue, &all, &left), "{} connection {}, seed {}", sample, n, seed);
            }
        }
    }
}
