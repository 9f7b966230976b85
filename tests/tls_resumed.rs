//! Sessions taken up from an earlier connection's (SSL 3.0 to TLS 1.2): opened with its secret, or closed for its
//! reason, whatever was lost, however a run is divided.

mod common;

use std::io::Write;
use std::num::NonZeroUsize;

use common::packets::{Dialogue, Packet, Turn, dialogues, pcap};
use common::script::flights;
use common::{Collect, How, config, stories, testdata};
use mailcap::capture::Capture;
use mailcap::event::{Decrypted, Resumed, TlsHandshake};
use mailcap::flow::Side;
use mailcap::limits::Limits;
use mailcap::pipeline::{Config, run, run_capture};
use mailcap::tls::Reason;

const KEY: &str = "tls/keys/rsa2048.pem";

const BY_ID: &str = "tls/f-resume-id-tls12-cbc-imap.pcap";
const BY_TICKET: &str = "tls/f-resume-ticket-tls12-smtp-starttls.pcap";

/// Gives a byte at a time: a round a frame.
struct Slow(std::io::Cursor<Vec<u8>>);

impl std::io::Read for Slow {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let len = buf.len().min(1);
        self.0.read(&mut buf[..len])
    }
}

/// The handshakes of a capture, told the same way in one round and in many, by one thread and by several.
fn handshakes(bytes: &[u8], how: &How<'_>) -> Vec<TlsHandshake> {
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let mut told = [(1, true), (3, true), (1, false), (3, false)].map(|(jobs, at_once)| {
        let config = Config { jobs: NonZeroUsize::new(jobs), ..config(&[file.path().to_owned()], how) };
        let mut sink = Collect::default();
        let report = if at_once {
            run(config, &mut sink)
        } else {
            let stream = Slow(std::io::Cursor::new(bytes.to_vec()));
            let capture = Capture::from_reader("-", Box::new(stream), &Limits::default()).unwrap();
            run_capture(capture, config, &mut sink)
        };
        stories(sink, report.unwrap()).stories.into_values().flat_map(|story| story.tls).collect::<Vec<_>>()
    });
    let first = std::mem::take(&mut told[0]);
    for other in &told[1..] {
        assert_eq!(format!("{first:#?}"), format!("{other:#?}"));
    }
    first
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(testdata().join(name)).unwrap()
}

#[test]
fn a_session_whose_full_handshake_stayed_closed_says_why_that_one_did() {
    let keys = [testdata().join("keys/rsa1024.pem")];
    let mut log = tempfile::NamedTempFile::new().unwrap();
    writeln!(log, "CLIENT_RANDOM {} {}", "ab".repeat(32), "cd".repeat(48)).unwrap();
    let logs = [log.path().to_owned()];
    for (name, resumed, number) in [(BY_ID, Resumed::SessionId, 1), (BY_TICKET, Resumed::Ticket, 1)] {
        for (how, reason) in [
            (How::default(), Reason::NoKey),
            (How { keys: &keys, ..How::default() }, Reason::KeyMismatch),
            (How { keylogs: &logs, ..How::default() }, Reason::KeylogNoEntry),
            (How { keys: &keys, keylogs: &logs, ..How::default() }, Reason::KeyMismatch),
        ] {
            let told = handshakes(&read(name), &how);
            let [first, second] = &told[..] else { panic!("{name}: {} handshakes", told.len()) };
            assert_eq!((first.resumed, first.reason), (Resumed::No, Some(reason)), "{name}");
            assert_eq!((second.resumed, second.reason), (resumed, Some(reason)), "{name}");
            let story = second.steps.join("\n");
            let says = format!("began in session {number}, whose full handshake was not decrypted either: {reason}.");
            assert!(story.contains(&says), "{name}: {story}");
        }
    }
}

#[test]
fn a_session_whose_full_handshake_is_not_there_says_so() {
    let key = [testdata().join(KEY)];
    let keyed = How { keys: &key, ..How::default() };
    for how in [How::default(), keyed] {
        let told = handshakes(&read("tls/f-resume-original-not-captured-imap-starttls.pcap"), &how);
        assert_eq!(told.iter().map(|t| t.reason).collect::<Vec<_>>(), [Some(Reason::ResumedUnseen)]);
    }
}

/// A dialogue with a turn a TLS record.
fn by_records(dialogue: &Dialogue) -> Dialogue {
    let mut turns = Vec::new();
    for turn in &dialogue.turns {
        let mut rest = &turn.bytes[..];
        while !rest.is_empty() {
            let len = match *rest {
                [20..=23, 3, _, a, b, ..] => 5 + usize::from(u16::from_be_bytes([a, b])),
                _ => rest.len(),
            };
            let (record, behind) = rest.split_at(len.min(rest.len()));
            turns.push(Turn { side: turn.side, bytes: record.to_vec() });
            rest = behind;
        }
    }
    Dialogue { turns, ..dialogue.clone() }
}

/// Where a resumed handshake's change of keys is lost, its session must be looked for all the same, and found although
/// another part of the run saw it begin.
#[test]
fn a_lost_change_of_keys_waits_for_other_connections() {
    let key = [testdata().join(KEY)];
    let how = How { keys: &key, ..How::default() };
    for name in [BY_ID, BY_TICKET] {
        let [first, second] = &dialogues(testdata().join(name))[..] else { panic!("{name}: not two connections") };
        let list = flights(&by_records(second));
        let starts = |p: &Packet, side, kind: u8| p.side == side && p.payload.starts_with(&[kind, 3]);
        let mut dropped = 0;
        for side in [Side::Initiator, Side::Responder] {
            let change = list.iter().position(|p| starts(p, side, 20)).unwrap();
            // With the Finished behind it, and alone.
            for range in [change..change + 1, change..change + 2] {
                let mut rest = list.clone();
                rest.drain(range.clone());
                let bytes = [pcap(first, &flights(first)), pcap(second, &rest)[24..].to_vec()].concat();
                let told = handshakes(&bytes, &how);
                let (open, whole) = (&told[1], second.turns.iter().filter(|t| t.bytes.starts_with(&[23, 3])).count());
                assert_eq!(
                    (open.decrypted, open.reason),
                    (Decrypted::All, None),
                    "{name}: {range:?}: {:?}",
                    open.steps
                );
                assert!(open.records_decrypted as usize >= whole, "{name}: {range:?}: {open:?}");
                dropped += 1;
            }
        }
        assert_eq!(dropped, 4);
    }
}
