//! The whole program: into every output, over threads, and over other packets of the same dialogue.

use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use mailcap::capture::Capture;
use mailcap::event::Event;
use mailcap::flow::Side;
use mailcap::limits::Limits;
use mailcap::mail::Options;
use mailcap::output::Sink;
use mailcap::pipeline::{Config, run_capture};
use mailcap::position::Direction;
use mailcap::tls::KeyRing;

use super::essence::essence;
use super::operations::{self, Operation};
use super::packets::{Dialogue, Random, Shape, Turn, disturbed, packets as packets_of, pcap};
use super::{run, seeds};

/// A capture file, whatever it is, into every output at once.
pub fn whole(data: &[u8]) {
    let _ = run::told_with(data.to_vec(), KeyRing::new());
}

#[derive(Default)]
struct Collect(Vec<Event>);

impl Sink for Collect {
    fn event(&mut self, event: Event) -> io::Result<()> {
        self.0.push(event);
        Ok(())
    }
}

fn decode(file: &[u8], jobs: usize, all_tls: bool) -> Vec<Event> {
    let limits = Limits::default();
    let Ok(capture) = Capture::from_reader("fuzz", Box::new(Cursor::new(file.to_vec())), &limits) else {
        return Vec::new();
    };
    let config = Config {
        inputs: Vec::new(),
        separate: false,
        keys: KeyRing::new(),
        limits,
        mail: Options { digests: true, ..Options::default() },
        decode_as: Vec::new(),
        all_tls,
        jobs: NonZeroUsize::new(jobs),
        connections: false,
    };
    let mut collect = Collect::default();
    run_capture(capture, config, &mut collect).expect("the sink takes everything");
    collect.0
}

/// Threads change nothing.
pub fn jobs(data: &[u8]) {
    let (one, four) = (decode(data, 1, true), decode(data, 4, true));
    assert_eq!(one.len(), four.len());
    for (a, b) in one.iter().zip(&four) {
        assert_eq!(format!("{a:?}"), format!("{b:?}"));
    }
}

/// Mail ports: elsewhere what looks like nothing is forgotten as soon as it does, which depends on the packets.
const PORTS: [u16; 8] = [25, 143, 110, 4190, 587, 24, 993, 2000];

/// What a dialogue tells does not depend on its packets. Eight bytes of seed, one of port, then operations.
pub fn packets(data: &[u8]) {
    let Some((seed, rest)) = data.split_first_chunk::<8>() else { return };
    let Some((port, mut rest)) = rest.split_first() else { return };
    let mut turns: Vec<Turn> = Vec::new();
    while let Some((_, dir, operation)) = operations::next(&mut rest) {
        let Operation::Data(bytes) = operation else { continue };
        let side = if dir == Direction::Client { Side::Initiator } else { Side::Responder };
        match turns.last_mut() {
            Some(last) if last.side == side => last.bytes.extend(bytes),
            _ if bytes.is_empty() => {}
            _ => turns.push(Turn { side, bytes: bytes.to_vec() }),
        }
    }
    let client: SocketAddr = ([10, 0, 0, 1], 40_000).into();
    let server: SocketAddr = ([10, 0, 0, 2], PORTS[usize::from(*port) % PORTS.len()]).into();
    let dialogue = Dialogue { client, server, turns };
    let plain = packets_of(&dialogue, &Shape { segment: 1400, isn: [1000, 5000] }, &mut Random::new(1));
    let other = disturbed(&dialogue, u64::from_be_bytes(*seed));
    let story = |list| -> Vec<String> { decode(&pcap(&dialogue, list), 1, false).iter().filter_map(essence).collect() };
    let (want, got) = (story(&plain), story(&other));
    // Behind garbage, a record is taken for one by what of the next is there: waiting for it would turn the order. The
    // ClientHello of another protocol is found where it has a segment of its own, and so is what begins like TLS and is none
    // behind an answer to STARTTLS.
    let by_packets = ["BadRecord", "NotMail", "NotTls"];
    if want.iter().chain(&got).any(|told| by_packets.iter().any(|word| told.contains(word))) {
        return;
    }
    let at = want.iter().zip(&got).position(|(a, b)| a != b).unwrap_or(want.len().min(got.len()));
    assert!(want == got, "event {at}:\n got {:?}\nwant {:?}", got.get(at), want.get(at));
}

pub fn packets_seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (n, dialogue) in seeds::conversations("").iter().enumerate() {
        let port = PORTS.iter().position(|p| *p == dialogue.server.port()).unwrap_or(7);
        let mut seed = (n as u64 * 0x9e37).to_be_bytes().to_vec();
        seed.push(port as u8);
        seed.extend(operations::encode(dialogue, 0));
        all.push(seed);
    }
    all
}
