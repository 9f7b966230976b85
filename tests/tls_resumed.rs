//! Sessions taken up from an earlier connection's (SSL 3.0 to TLS 1.2): opened with its secret, or closed for its reason,
//! whatever was lost, however a run is divided.

mod common;

use std::io::Write;
use std::num::NonZeroUsize;

use common::{Collect, How, config, stories, testdata};
use mailcap::capture::Capture;
use mailcap::event::{Resumed, TlsHandshake};
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
            let says = format!("began in session {number}, whose full handshake stayed closed itself: {reason}.");
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
