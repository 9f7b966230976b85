//! `--live`: lines appear as they happen, while the writer holds the pipe open. Nothing here waits for time to pass: each
//! line must come before more is written.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::packets::{Dialogue, Packet, Random, Shape, Turn, packets, pcap};
use mailcap::flow::Side;

/// What is said, a packet a turn, and what a line must show of each.
const SAID: &[(Side, &str, &str)] = &[
    (Side::Responder, "220 mx.example ESMTP\r\n", "220 mx.example ESMTP"),
    (Side::Initiator, "EHLO client.example\r\n", "EHLO client.example"),
    (Side::Responder, "250-mx.example\r\n250 PIPELINING\r\n", "250 PIPELINING"),
    (Side::Initiator, "MAIL FROM:<a@example>\r\n", "MAIL FROM:<a@example>"),
    (Side::Responder, "250 2.1.0 Ok\r\n", "250 2.1.0 Ok"),
    (Side::Initiator, "QUIT\r\n", "QUIT"),
    (Side::Responder, "221 2.0.0 Bye\r\n", "221 2.0.0 Bye"),
];

/// A pcap file of the dialogue: its header, and each record by itself.
fn records() -> (Vec<u8>, Vec<Vec<u8>>) {
    let turns = SAID.iter().map(|(side, text, _)| Turn { side: *side, bytes: text.as_bytes().to_vec() }).collect();
    let dialogue =
        Dialogue { client: "10.0.0.1:40000".parse().unwrap(), server: "10.0.0.2:25".parse().unwrap(), turns };
    let shape = Shape { segment: 1, isn: [1000, 5000] };
    let mut list: Vec<Packet> = Vec::new();
    // Turns come in one packet each.
    for packet in packets(&dialogue, &shape, &mut Random::new(1)) {
        match list.last_mut() {
            Some(last) if last.side == packet.side && !last.payload.is_empty() && !packet.payload.is_empty() => {
                last.payload.extend(packet.payload);
            }
            _ => list.push(packet),
        }
    }
    let file = pcap(&dialogue, &list);
    let (head, mut rest) = file.split_at(24);
    let mut records = Vec::new();
    while !rest.is_empty() {
        let len = 16 + u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        records.push(rest[..len].to_vec());
        rest = &rest[len..];
    }
    (head.to_vec(), records)
}

#[test]
fn each_line_comes_before_more_is_written() {
    play(0);
}

/// As from a program that writes blocks of its own size.
#[test]
fn a_write_that_ends_inside_the_next_record_shows_the_ones_before_it() {
    play(20);
}

/// Writes the dialogue record by record, each with so many bytes of the next one.
fn play(ahead: usize) {
    for jobs in ["1", "3"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mailcap"))
            .args(["decode", "--live", "-j", jobs, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let (send, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = thread::spawn(move || output.lines().for_each(|line| send.send(line.unwrap()).unwrap_or(())));
        let (head, records) = records();
        input.write_all(&head).unwrap();
        let (handshake, rest) = records.split_at(3);
        let mut bytes = rest.concat();
        input.write_all(&handshake.concat()).unwrap();
        input.write_all(&bytes.drain(..ahead).collect::<Vec<_>>()).unwrap();
        let ends = "10.0.0.1:40000 → 10.0.0.2:25";
        let mut first = true;
        for (record, (_, _, wanted)) in rest.iter().zip(SAID) {
            // In two pieces: a record that is not whole shows nothing.
            let piece: Vec<u8> = bytes.drain(..record.len()).collect();
            input.write_all(&piece[..20]).unwrap();
            input.write_all(&piece[20..]).unwrap();
            input.flush().unwrap();
            loop {
                // The patience is only for a test that fails.
                let line = lines.recv_timeout(Duration::from_secs(60));
                let line = line.unwrap_or_else(|_| panic!("-j {jobs}: no line of {wanted:?} while the pipe is open"));
                if std::mem::take(&mut first) {
                    // Who talks to whom, before what they say.
                    assert!(line.contains(ends), "{line}");
                } else if line.contains(wanted) {
                    break;
                }
            }
        }
        // The end of the session, too: both FINs.
        input.write_all(&bytes).unwrap();
        while !lines.recv_timeout(Duration::from_secs(60)).expect("the session's end").contains(ends) {}
        drop(input);
        assert!(child.wait().unwrap().success());
        reader.join().unwrap();
    }
}
