//! Dialogues made by hand: from what both sides say to the story that is told of it.

use std::io::Write;

use mailcap::event::EventBody;
use mailcap::flow::Side;
use sha2::{Digest, Sha256};

use super::packets::{Dialogue, Packet, Random, Shape, Turn, packets, pcap};
use super::{How, Story, Told, hex, tell};

/// A dialogue given as lines, `C:` and `S:`; `\r\n` is put behind each.
pub fn dialogue(port: u16, script: &str) -> Dialogue {
    let mut turns: Vec<Turn> = Vec::new();
    for line in script.lines().map(str::trim_start).filter(|l| !l.is_empty()) {
        let (side, text) = match line.split_at(2) {
            ("C:", text) => (Side::Initiator, text),
            ("S:", text) => (Side::Responder, text),
            _ => panic!("{line}"),
        };
        let bytes = [text.strip_prefix(' ').unwrap_or(text).as_bytes(), b"\r\n"].concat();
        match turns.last_mut() {
            Some(last) if last.side == side => last.bytes.extend(bytes),
            _ => turns.push(Turn { side, bytes }),
        }
    }
    of_turns(port, turns)
}

fn of_turns(port: u16, turns: Vec<Turn>) -> Dialogue {
    let client = "10.0.0.1:40000".parse().unwrap();
    Dialogue { client, server: ([10, 0, 0, 2], port).into(), turns }
}

/// What the client says, bytes as they are.
pub fn c(bytes: impl AsRef<[u8]>) -> Turn {
    Turn { side: Side::Initiator, bytes: bytes.as_ref().to_vec() }
}

/// What the server says.
pub fn s(bytes: impl AsRef<[u8]>) -> Turn {
    Turn { side: Side::Responder, bytes: bytes.as_ref().to_vec() }
}

/// The handshake in frames 1 to 3, then a packet a turn, then the FINs.
pub fn flights(dialogue: &Dialogue) -> Vec<Packet> {
    let empty = Dialogue { turns: Vec::new(), ..dialogue.clone() };
    let mut list = packets(&empty, &Shape { segment: 1, isn: [7, 99] }, &mut Random::new(1));
    let fins = list.split_off(3);
    let mut next = [8u32, 100];
    for turn in &dialogue.turns {
        let (me, peer) = (turn.side.index(), turn.side.opposite().index());
        let ack = Some(next[peer]);
        let (syn, fin, rst) = (false, false, false);
        list.push(Packet { side: turn.side, seq: next[me], ack, syn, fin, rst, payload: turn.bytes.clone() });
        next[me] = next[me].wrapping_add(turn.bytes.len() as u32);
    }
    for mut fin in fins {
        // Theirs are numbered as if nothing had been said.
        let (me, peer) = (fin.side.index(), fin.side.opposite().index());
        fin.seq = fin.seq.wrapping_sub([8, 100][me]).wrapping_add(next[me]);
        fin.ack = fin.ack.map(|ack| ack.wrapping_sub([8, 100][peer]).wrapping_add(next[peer]));
        list.push(fin);
    }
    list
}

/// Runs what both sides say, a packet a turn.
pub fn play(port: u16, turns: &[Turn]) -> Told {
    play_how(port, turns, &How::default())
}

pub fn play_how(port: u16, turns: &[Turn], how: &How<'_>) -> Told {
    let dialogue = of_turns(port, turns.to_vec());
    decode(&dialogue, &flights(&dialogue), how)
}

/// What both sides say as a capture file, a packet a turn, for the program to read.
pub fn capture(port: u16, turns: &[Turn]) -> tempfile::NamedTempFile {
    let dialogue = of_turns(port, turns.to_vec());
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(&pcap(&dialogue, &flights(&dialogue))).unwrap();
    file
}

/// The one session of a run.
pub fn only(told: &Told) -> &Story {
    assert_eq!(told.stories.len(), 1, "sessions");
    told.stories.values().next().unwrap()
}

pub fn in_order(dialogue: &Dialogue) -> Vec<Packet> {
    packets(dialogue, &Shape { segment: 1400, isn: [7, 99] }, &mut Random::new(3))
}

pub fn decode(dialogue: &Dialogue, list: &[Packet], how: &How<'_>) -> Told {
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(&pcap(dialogue, list)).unwrap();
    tell(&[file.path().to_owned()], how)
}

/// Runs a dialogue given as lines.
pub fn told(port: u16, script: &str) -> Told {
    let dialogue = dialogue(port, script);
    decode(&dialogue, &in_order(&dialogue), &How::default())
}

pub fn codes(told: &Told) -> Vec<&'static str> {
    let events = told.stories.values().flat_map(|s| &s.events);
    events.filter_map(|e| if let EventBody::Diagnostic(d) = &e.body { Some(d.code.as_str()) } else { None }).collect()
}

pub fn verbs(told: &Told) -> Vec<String> {
    told.stories.values().flat_map(|s| &s.commands).map(|c| c.verb.to_str_lossy().into_owned()).collect()
}

pub fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
