//! What a capture tells does not depend on how its bytes were cut into packets, nor on their order or repetition; and
//! what a loss costs is told, never invented.

mod common;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use common::essence::essence;
use common::packets::{Dialogue, Packet, Random, Shape, dialogues, disturbed, packets, pcap};
use common::{How, Told, hex, tell, testdata};
use mailcap::event::{Command, MessagePart};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// Captures, and the keys that open them.
const SAMPLES: &[(&str, Option<&str>)] = &[
    ("servers/smtp-telnet-typed.pcap", None),
    ("servers/smtp-bdat.pcap", None),
    ("servers/pop3-full.pcap", None),
    ("servers/imap-full-plain.pcap", None),
    ("servers/imap-compress.pcap", None),
    ("servers/smtp-auth-all.pcap", None),
    ("servers/rsa12-smtp-starttls.pcap", Some("servers/keys/server.key")),
    ("servers/imap-full-starttls-rsa.pcap", Some("servers/keys/server.key")),
    ("servers/pop3-stls-rsa.pcap", Some("servers/keys/server.key")),
    ("servers/starttls-failed.pcap", Some("servers/keys/server.key")),
    ("servers/smtp-proxied.pcap", Some("servers/keys/server.key")),
    ("servers/sieve-starttls-rsa.pcap", Some("servers/keys/server.key")),
    ("tls/f-v2hello-tls10-imap-starttls.pcap", Some("tls/keys/rsa2048.pem")),
    ("tls/f-reneg-client-smtp.pcap", Some("tls/keys/rsa2048.pem")),
    ("tls/tls12-aes128-gcm-sha256-imap-starttls.pcapng", Some("tls/keys/rsa2048e3.pem")),
];

fn story(told: &Told) -> Vec<String> {
    told.stories.values().flat_map(|s| &s.events).filter_map(essence).collect()
}

/// Decodes the packets; the file is named so that a failure can be looked at.
fn decode(dialogue: &Dialogue, list: &[Packet], keys: &[PathBuf]) -> Told {
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(&pcap(dialogue, list)).unwrap();
    tell(&[file.path().to_owned()], &How { keys, ..How::default() })
}

struct Sample {
    name: &'static str,
    keys: Vec<PathBuf>,
    dialogues: Vec<Dialogue>,
}

fn samples() -> Vec<Sample> {
    let sample = |&(name, key): &(&'static str, Option<&str>)| Sample {
        name,
        keys: key.into_iter().map(|k| testdata().join(k)).collect(),
        dialogues: dialogues(testdata().join(name)),
    };
    SAMPLES.iter().map(sample).collect()
}

fn plain_shape() -> Shape {
    Shape { segment: 1400, isn: [1000, 5000] }
}

fn complete_messages(told: &Told) -> BTreeSet<String> {
    let messages = told.stories.values().flat_map(|s| &s.messages);
    messages.filter(|m| m.complete && m.part == MessagePart::Full).map(|m| hex(&m.sha256.unwrap())).collect()
}

fn commands(told: &Told) -> Vec<&Command> {
    told.stories.values().flat_map(|s| &s.commands).collect()
}

/// Whether `told` is `sent`, or its beginning: the rest of the line may be what was lost. A response to a challenge of
/// which a part is lost is masked as a whole.
fn is_beginning(told: &Command, sent: &Command) -> bool {
    let masked = told.verb.is_empty() && sent.verb.is_empty() && told.args.0 == b"***";
    masked || told.tag == sent.tag && told.verb == sent.verb && sent.args.0.starts_with(&told.args.0)
}

/// Seeds tried: `PROPTEST_CASES`, or few.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 0, failure_persistence: None, rng_seed: common::rng_seed(), ..ProptestConfig::default() })]

    #[test]
    fn any_split_order_and_repetition_tells_the_same(seed in any::<u64>()) {
        for sample in samples() {
            for (n, dialogue) in sample.dialogues.iter().enumerate() {
                let whole = decode(dialogue, &packets(dialogue, &plain_shape(), &mut Random::new(1)), &sample.keys);
                let other = decode(dialogue, &disturbed(dialogue, seed), &sample.keys);
                let (want, got) = (story(&whole), story(&other));
                let at = want.iter().zip(&got).position(|(a, b)| a != b).unwrap_or(want.len().min(got.len()));
                prop_assert!(
                    want == got,
                    "{} connection {n}, seed {seed}, event {at}:\n got {:?}\nwant {:?}",
                    sample.name, got.get(at), want.get(at)
                );
            }
        }
    }

    #[test]
    fn a_loss_is_told_and_nothing_is_invented(seed in any::<u64>()) {
        one_loss(seed)?;
    }
}

/// Takes one packet of each sample out.
fn one_loss(seed: u64) -> Result<(), TestCaseError> {
    for sample in samples() {
        for (n, dialogue) in sample.dialogues.iter().enumerate() {
            let mut random = Random::new(seed);
            let all = packets(dialogue, &plain_shape(), &mut random);
            let whole = decode(dialogue, &all, &sample.keys);
            let loaded: Vec<usize> = (0..all.len()).filter(|&i| !all[i].payload.is_empty()).collect();
            let lost = loaded[random.below(loaded.len())];
            let mut rest = all.clone();
            let bytes = rest.remove(lost).payload.len() as u64;
            let told = decode(dialogue, &rest, &sample.keys);
            let place = format!("{} connection {n}, seed {seed}, packet {lost} lost", sample.name);
            for story in told.stories.values() {
                let session = story.session();
                prop_assert!(!session.complete, "{place}: called complete");
                prop_assert_eq!(session.gap_bytes, bytes, "{}", place);
            }
            let invented: Vec<_> = complete_messages(&told).difference(&complete_messages(&whole)).cloned().collect();
            prop_assert!(invented.is_empty(), "{place}: messages called complete: {invented:?}");
            let known = commands(&whole);
            for command in commands(&told) {
                let sent = known.iter().any(|known| is_beginning(command, known));
                prop_assert!(sent, "{place}: a command that was never sent: {command:?}");
            }
        }
    }
    Ok(())
}

/// STARTTLS was lost, and the first segment of what followed was too short to be told for a ClientHello: it became a
/// command.
#[test]
fn tls_that_begins_with_a_short_segment_behind_a_loss() {
    one_loss(5_480_010_421_064_557_155).unwrap();
}

/// Of ManageSieve's greeting the end was left, and it began with `256 `: an SMTP reply.
#[test]
fn the_end_of_a_line_behind_a_loss_is_no_beginning() {
    one_loss(617_510_765_691_972_317).unwrap();
}

/// Of `NOTIFY SET STATUS` the first word was lost: `SET` was taken for a tag.
#[test]
fn the_rest_of_a_command_has_no_tag() {
    one_loss(11_843_242_044_944_797_814).unwrap();
    one_loss(9_264_616_298_650_100_553).unwrap();
}

#[test]
fn the_undamaged_samples_are_complete() {
    for sample in samples() {
        for (n, dialogue) in sample.dialogues.iter().enumerate() {
            let told = decode(dialogue, &packets(dialogue, &plain_shape(), &mut Random::new(1)), &sample.keys);
            for story in told.stories.values() {
                let session = story.session();
                assert!(session.complete && session.gap_count == 0, "{} connection {n}: {session:?}", sample.name);
            }
        }
    }
}

/// The BDAT of a message's first chunk is lost, which ends amid a line; the next chunk has lines like commands.
#[test]
fn a_lost_first_bdat_invents_no_command() {
    one_loss(10_485_523_754_389_051_563).unwrap();
}

/// A segment with a BDAT is lost, and what is left of its chunk looks like commands.
#[test]
fn a_lost_bdat_invents_no_command() {
    let dialogue = dialogues(testdata().join("servers/smtp-bdat.pcap")).remove(0);
    let all = packets(&dialogue, &plain_shape(), &mut Random::new(17_267_564_915_164_661_640));
    let whole = decode(&dialogue, &all, &[]);
    let lost = all.iter().position(|p| p.payload.starts_with(b"BDAT 52 LAST\r\n: tri")).unwrap();
    assert!(!all[lost].payload.ends_with(b"250 ok\r\n"), "the chunk goes on in the next segment");
    let mut rest = all;
    rest.remove(lost);
    let told = decode(&dialogue, &rest, &[]);
    let known = commands(&whole);
    for command in commands(&told) {
        assert!(known.iter().any(|known| is_beginning(command, known)), "never sent: {command:?}");
    }
}
