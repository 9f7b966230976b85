//! A handshake with an extended master secret whose Certificate was not captured: the one of another handshake stands in.

mod common;

use std::num::NonZeroUsize;
use std::ops::Range;

use common::packets::{Dialogue, Packet, Random, Shape, dialogues, packets, pcap};
use common::{Collect, How, config, testdata};
use mailcap::event::{Decrypted, EventBody, SecretSource, TlsHandshake};
use mailcap::flow::Side;
use mailcap::pipeline::{Config, run};
use mailcap::tls::Reason;

const ISN: [u32; 2] = [1000, 5000];

/// Where in the server's stream its Certificate message lies, if it sent one.
fn certificate(dialogue: &Dialogue) -> Option<Range<usize>> {
    let mut offset = 0;
    for turn in dialogue.turns.iter().filter(|turn| turn.side == Side::Responder) {
        if turn.bytes.starts_with(&[22, 3]) {
            let mut at = 0;
            while let Some(&[kind, _, _, high, low, message, ..]) = turn.bytes.get(at..) {
                let end = at + 5 + usize::from(u16::from_be_bytes([high, low]));
                if (kind, message) == (22, 11) {
                    return Some(offset + at..offset + end);
                }
                at = end;
            }
            return None;
        }
        offset += turn.bytes.len();
    }
    None
}

/// Without the segments that hold nothing but the Certificate.
fn without_certificate(dialogue: &Dialogue, mut list: Vec<Packet>) -> Vec<Packet> {
    let lost = certificate(dialogue).unwrap();
    let before = list.len();
    list.retain(|packet| {
        let start = packet.seq.wrapping_sub(ISN[1] + 1) as usize;
        let inside = start >= lost.start && start + packet.payload.len() <= lost.end && !packet.payload.is_empty();
        packet.side == Side::Initiator || !inside
    });
    assert!(list.len() < before);
    list
}

/// The capture with those connections' certificates lost, the connections one behind the other.
fn capture(dialogues: &[Dialogue], lost: &[usize]) -> tempfile::NamedTempFile {
    let mut bytes = Vec::new();
    for (n, dialogue) in dialogues.iter().enumerate() {
        let list = packets(dialogue, &Shape { segment: 300, isn: ISN }, &mut Random::new(7));
        let list = if lost.contains(&n) { without_certificate(dialogue, list) } else { list };
        let file = pcap(dialogue, &list);
        bytes.extend_from_slice(if n == 0 { &file } else { &file[24..] });
    }
    let file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// Each connection's first handshake, in order, and everything told.
fn told(file: &tempfile::NamedTempFile, jobs: usize) -> (Vec<TlsHandshake>, String) {
    let keys = [testdata().join("servers/keys/server.key")];
    let how = How { keys: &keys, ..How::default() };
    let config = Config { jobs: NonZeroUsize::new(jobs), ..config(&[file.path().to_owned()], &how) };
    let mut sink = Collect::default();
    run(config, &mut sink).unwrap();
    let text = sink.0.iter().map(|event| format!("{event:?}\n")).collect();
    let mut first: Vec<(u64, TlsHandshake)> = Vec::new();
    for event in sink.0 {
        if let EventBody::Tls(tls) = event.body
            && tls.handshake == 0
        {
            first.push((event.session, *tls));
        }
    }
    first.sort_by_key(|(session, _)| *session);
    (first.into_iter().map(|(_, tls)| tls).collect(), text)
}

#[test]
fn a_lost_certificate_is_taken_from_an_earlier_handshake() {
    let dialogues = dialogues(testdata().join("servers/rsa12-resume.pcap"));
    let full: Vec<usize> = (0..dialogues.len()).filter(|&n| certificate(&dialogues[n]).is_some()).collect();
    let (whole, _) = told(&capture(&dialogues, &[]), 1);
    assert!(full.len() >= 4 && whole.iter().all(|tls| tls.extended_master_secret));
    // All but the first lose theirs.
    let damaged = capture(&dialogues, &full[1..]);
    let (after, text) = told(&damaged, 1);
    for (n, (before, after)) in whole.iter().zip(&after).enumerate() {
        assert_eq!(after.reason, None, "{n}: {:#?}", after.steps);
        assert_eq!((after.secret, after.decrypted), (before.secret, Decrypted::All), "{n}");
        assert_eq!((&after.certificate, &after.chain), (&before.certificate, &before.chain), "{n}");
        let borrowed = after.steps.iter().any(|step| step.contains("certificate was lost"));
        assert_eq!(borrowed, full[1..].contains(&n), "{n}: {:#?}", after.steps);
    }
    assert!(after.iter().filter(|tls| tls.secret == Some(SecretSource::RsaKey)).count() >= full.len());
    for jobs in [2, 3, 7] {
        assert!(told(&damaged, jobs).1 == text, "{jobs} threads tell something else");
    }
}

#[test]
fn a_lost_certificate_that_nobody_sent_before_is_a_gap() {
    let dialogues = dialogues(testdata().join("servers/rsa12-resume.pcap"));
    let full: Vec<usize> = (0..dialogues.len()).filter(|&n| certificate(&dialogues[n]).is_some()).collect();
    let damaged = capture(&dialogues, &full);
    let (after, text) = told(&damaged, 1);
    for &n in &full {
        assert_eq!((after[n].reason, after[n].records_decrypted), (Some(Reason::HandshakeGap), 0), "{n}");
    }
    for jobs in [2, 7] {
        assert!(told(&damaged, jobs).1 == text, "{jobs} threads tell something else");
    }
}
