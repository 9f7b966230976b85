//! Captures that begin in the middle of their sessions: what is told of the rest is what the whole capture tells of it.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use common::{How, Story, Table, Told, tell};
use mailcap::event::{Event, EventBody, MessagePart, Outcome};

/// Frames that are left out at most.
const CUTS: usize = 100;

/// Where the records of a little-endian pcap file begin, and where the file ends.
fn records(bytes: &[u8]) -> Vec<usize> {
    let mut at = 24;
    let mut all = Vec::new();
    while let Some(caplen) = bytes.get(at + 8..at + 12) {
        all.push(at);
        at += 16 + u32::from_le_bytes(caplen.try_into().unwrap()) as usize;
    }
    all
}

/// The capture without its first `n` frames.
fn without_first(bytes: &[u8], n: usize) -> tempfile::NamedTempFile {
    let from = records(bytes).get(n).copied().unwrap_or(bytes.len());
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(&[&bytes[..24], &bytes[from..]].concat()).unwrap();
    file
}

/// A command or reply by frame: what it says, and the frame and verb of the command that it answers.
type Line = (u64, String);

struct Known {
    commands: BTreeSet<Line>,
    replies: BTreeMap<Line, Vec<Option<Line>>>,
    /// Frame of the server's first byte.
    greeted: Option<u64>,
    protocol: Option<&'static str>,
    outcome: Outcome,
}

fn command_of(event: &Event, shift: u64) -> Option<Line> {
    let EventBody::Command(c) = &event.body else { return None };
    let verb = c.verb.to_str_lossy();
    Some((event.span.last.number + shift, format!("{verb} {}", c.args.to_str_lossy())))
}

fn pairs(story: &Story, shift: u64) -> Vec<(Line, Option<Line>)> {
    let by_seq: BTreeMap<u64, Line> =
        story.events.iter().filter_map(|e| Some((e.seq, command_of(e, shift)?))).collect();
    story
        .events
        .iter()
        .filter_map(|e| {
            let EventBody::Reply(r) = &e.body else { return None };
            let line = (e.span.last.number + shift, format!("{} {}", r.status.to_str_lossy(), r.text.to_str_lossy()));
            Some((line, r.command.and_then(|seq| by_seq.get(&seq)).cloned()))
        })
        .collect()
}

fn known(story: &Story) -> Known {
    let mut replies: BTreeMap<Line, Vec<Option<Line>>> = BTreeMap::new();
    for (reply, command) in pairs(story, 0) {
        replies.entry(reply).or_default().push(command);
    }
    Known {
        commands: story.events.iter().filter_map(|e| command_of(e, 0)).collect(),
        greeted: story.events.iter().find_map(|e| matches!(e.body, EventBody::Reply(_)).then_some(e.span.first.number)),
        replies,
        protocol: story.session().protocol.map(|p| p.as_str()),
        outcome: story.session().outcome,
    }
}

/// What the clients said in secret, as it stood in their lines.
fn secrets(capture: &Path) -> Vec<String> {
    let shown = tell(&[capture.to_owned()], &How { show_secrets: true, ..How::default() });
    let masked = tell(&[capture.to_owned()], &How::default());
    let args = |told: &Told| -> Vec<String> {
        told.stories.values().flat_map(|s| &s.commands).map(|c| c.args.to_str_lossy().into_owned()).collect()
    };
    let differ = args(&shown).into_iter().zip(args(&masked)).filter(|(a, b)| a != b);
    let last = |args: &str| args.rsplit(' ').next().unwrap().trim_matches('"').to_owned();
    differ.map(|(shown, _)| last(&shown)).filter(|secret| secret.len() > 3).collect()
}

fn check(capture: &Path, cuts: usize) -> Vec<String> {
    let bytes = std::fs::read(capture).unwrap();
    let whole = tell(&[capture.to_owned()], &How::default());
    let known: BTreeMap<SocketAddr, Known> = whole.stories.values().map(|s| (s.session().client, known(s))).collect();
    let digests: BTreeSet<[u8; 32]> =
        whole.stories.values().flat_map(|s| &s.messages).filter_map(|m| m.sha256).collect();
    let secrets = secrets(capture);
    let mut problems = Vec::new();
    for n in 1..=cuts.min(records(&bytes).len() - 1) {
        let file = without_first(&bytes, n);
        let told = tell(&[file.path().to_owned()], &How::default());
        let mut wrong = |what: String| problems.push(format!("{n}: {what}"));
        for story in told.stories.values() {
            let session = story.session();
            let Some(known) = known.get(&session.client) else {
                wrong(format!("{} is no client", session.client));
                continue;
            };
            let protocol = session.protocol.map(|p| p.as_str());
            if protocol != known.protocol && (story.commands.len(), story.replies.len()) != (0, 0) {
                wrong(format!("{}: {protocol:?}", session.client));
            }
            let cut = known.greeted.is_some_and(|frame| frame <= n as u64);
            if cut && session.complete {
                wrong(format!("{}: complete, without its beginning", session.client));
            }
            let outcome = session.outcome;
            let same = outcome == known.outcome || known.outcome == Outcome::AuthFailed;
            if !same && (story.commands.len(), story.replies.len()) != (0, 0) {
                wrong(format!("{}: {outcome:?}, not {:?}", session.client, known.outcome));
            }
            for event in &story.events {
                let command = command_of(event, n as u64);
                // Without the command before it, a line of which nothing is known is masked.
                let masked = |(frame, said): &Line| {
                    said.trim_matches([' ', '"']) == "***" && known.commands.iter().any(|c| c.0 == *frame)
                };
                if let Some(command) = command
                    && !known.commands.contains(&command)
                    && !masked(&command)
                {
                    wrong(format!("no such command: {command:?}"));
                }
                let text = format!("{event:?}");
                if let Some(secret) = secrets.iter().find(|secret| text.contains(secret.as_str())) {
                    wrong(format!("{secret} is shown: {text}"));
                }
            }
            for (reply, command) in pairs(story, n as u64) {
                match known.replies.get(&reply) {
                    None => wrong(format!("no such reply: {reply:?}")),
                    Some(commands) => {
                        let frame = |c: &Option<Line>| c.as_ref().map(|c| c.0);
                        let seen = commands.iter().any(|c| frame(c) == frame(&command));
                        let before =
                            |c: &Option<Line>| c.as_ref().is_some_and(|c| c.0 <= n as u64 || command.is_none());
                        if !seen && !(command.is_none() && commands.iter().any(before)) {
                            wrong(format!("{reply:?} answers {command:?}, not {commands:?}"));
                        }
                    }
                }
            }
            for message in &story.messages {
                let whole = message.complete && message.part == MessagePart::Full;
                if whole && message.sha256.is_none_or(|digest| !digests.contains(&digest)) {
                    wrong(format!("no such message: {:?}, {} bytes", message.subject, message.size));
                }
            }
        }
    }
    problems
}

#[test]
fn what_is_left_of_a_capture_is_told_as_it_was() {
    const PLAIN: [&str; 9] = [
        "imap-auth-all",
        "imap-full-plain",
        "lmtp-direct",
        "pop3-auth-all",
        "pop3-full",
        "sieve-plain",
        "smtp-auth-all",
        "smtp-bdat",
        "swaks-plain",
    ];
    let mut table = Table::default();
    for folder in common::folders("servers") {
        for name in PLAIN {
            let capture: PathBuf = folder.join(format!("{name}.pcap"));
            if capture.exists() {
                table.row(name, check(&capture, CUTS));
            }
        }
    }
    table.finish("captures without their first frames", 6);
}
