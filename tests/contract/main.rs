//! The contract, sentence by sentence: what sessions and messages are, and what the fields of the JSON mean. Captures are
//! made by hand; truth is the dialogue itself. What a single protocol does beyond that is tested beside its dissector.

#[path = "../common/mod.rs"]
mod common;
mod fields;
mod framing;
mod messages;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::Command;

use common::packets::{Dialogue, Packet, Turn, dialogues, pcap};
use common::script::{c, capture, codes, decode, dialogue, digest, flights, only, play, s, verbs};
use common::{How, Story, Told, config, hex, tell_config, testdata};
use mailcap::event::{
    AuthOutcome, EndReason, EventBody, GapCause, MessageOutcome, MessagePart, Outcome, Protocol, Security,
};
use mailcap::flow::Side;
use mailcap::position::{Direction, Span, Timestamp};
use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Runs the program; the objects that it writes.
fn program(args: &[&str]) -> (i32, Vec<Object>) {
    let run = Command::new(env!("CARGO_BIN_EXE_mailcap")).args(args).arg("--json").output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    (run.status.code().unwrap(), text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn exit_code(args: &[&str]) -> i32 {
    Command::new(env!("CARGO_BIN_EXE_mailcap")).args(args).output().unwrap().status.code().unwrap()
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// Frames of the events of a kind; the first turn is frame 4.
fn frames(story: &Story, kind: impl Fn(&EventBody) -> bool) -> Vec<(u64, u64)> {
    let span = |span: Span| (span.first.number, span.last.number);
    story.events.iter().filter(|e| kind(&e.body)).map(|e| span(e.span)).collect()
}

/// Up to the 354 of one message: 9 turns, frames 4 to 12.
fn up_to_data() -> Vec<Turn> {
    vec![
        s("220 mx ESMTP\r\n"),
        c("EHLO me\r\n"),
        s("250 mx\r\n"),
        c("MAIL FROM:<a@x>\r\n"),
        s("250 2.1.0 Ok\r\n"),
        c("RCPT TO:<b@y>\r\n"),
        s("250 2.1.5 Ok\r\n"),
        c("DATA\r\n"),
        s("354 go\r\n"),
    ]
}

fn with(more: &[Turn]) -> Vec<Turn> {
    [up_to_data(), more.to_vec()].concat()
}

/// A whole mail and the farewell.
fn whole() -> Vec<Turn> {
    with(&[
        c("Subject: x\r\n\r\nhi\r\n.\r\n"),
        s("250 2.0.0 Ok: queued as A1\r\n"),
        c("QUIT\r\n"),
        s("221 2.0.0 Bye\r\n"),
    ])
}

/// A dialogue with an IMAP server, logged in, with a mailbox.
fn mailbox(more: &[Turn]) -> Vec<Turn> {
    let begin = [
        s("* OK hi\r\n"),
        c("a LOGIN alice pw\r\n"),
        s("a OK\r\n"),
        c("b SELECT INBOX\r\n"),
        s("* 9 EXISTS\r\n* OK [UIDVALIDITY 77] x\r\nb OK [READ-WRITE] x\r\n"),
    ];
    [&begin, more].concat()
}

fn of(turns: &[Turn], port: u16, client: u16) -> Dialogue {
    Dialogue { client: ([10, 0, 0, 1], client).into(), server: ([10, 0, 0, 2], port).into(), turns: turns.to_vec() }
}

/// Several connections in one file, one after the other.
fn file_of(parts: &[(Dialogue, Vec<Packet>)]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    for (n, (dialogue, list)) in parts.iter().enumerate() {
        let bytes = pcap(dialogue, list);
        file.write_all(if n == 0 { &bytes } else { &bytes[24..] }).unwrap();
    }
    file
}

fn tell_file(file: &tempfile::NamedTempFile) -> Told {
    tell_config(config(&[file.path().to_owned()], &How::default()))
}
