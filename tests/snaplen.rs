//! Captures whose packets the snapshot length cut: what is told of the rest is what the whole capture tells of it.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use common::packets::{dialogues, pcap};
use common::script::{dialogue, flights};
use common::{How, Story, tell, testdata};
use mailcap::diagnostic::Code;
use mailcap::event::{
    AuthOutcome, Command, Event, EventBody, MessageOutcome, Outcome, Protocol, Reply, Security, Text,
};

/// What `tcpdump -s` was often given, or is when nothing but headers is wanted.
const LENGTHS: [usize; 7] = [68, 90, 96, 110, 128, 200, 400];

/// The little-endian pcap with packets of at most so many bytes.
fn cut(bytes: &[u8], snaplen: usize) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    let (header, mut rest) = bytes.split_at(24);
    file.write_all(header).unwrap();
    while let Some((record, behind)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes(record[8..12].try_into().unwrap()) as usize;
        let (packet, behind) = behind.split_at(len);
        let kept = &packet[..len.min(snaplen)];
        file.write_all(&record[..8]).unwrap();
        file.write_all(&(kept.len() as u32).to_le_bytes()).unwrap();
        file.write_all(&record[12..]).unwrap();
        file.write_all(kept).unwrap();
        rest = behind;
    }
    file
}

fn commands(story: &Story) -> impl Iterator<Item = (&Event, &Command)> {
    story.events.iter().filter_map(|event| match &event.body {
        EventBody::Command(command) => Some((event, command)),
        _ => None,
    })
}

fn replies(story: &Story) -> impl Iterator<Item = (&Event, &Reply)> {
    story.events.iter().filter_map(|event| match &event.body {
        EventBody::Reply(reply) => Some((event, reply)),
        _ => None,
    })
}

/// The frame in which the command that a reply answers began.
fn asked(story: &Story, reply: &Reply) -> Option<u64> {
    let seq = reply.command?;
    commands(story).find(|(event, _)| event.seq == seq).map(|(event, _)| event.span.first.number)
}

/// Whether what follows a literal may be missing.
fn more(command: &Command) -> bool {
    command.args.0.ends_with(b"}")
}

/// Whether it is the same, or, where the line is `cut`, its beginning.
fn is_of(text: &Text, whole: &Text, cut: bool) -> bool {
    text == whole || cut && (text.0 == b"***" || text.0.ends_with(b" ***") || whole.0.starts_with(&text.0))
}

fn compare(told: &Story, whole: &Story) -> (usize, Vec<String>) {
    let mut wrong = Vec::new();
    let mut right = 0;
    for (event, command) in commands(told) {
        let frame = event.span.first.number;
        let same = |(at, other): (&Event, &Command)| {
            let frames = at.span.first.number..=at.span.last.number;
            let masked = command.verb.is_empty() && command.args.0 == b"***";
            frames.contains(&frame)
                && (masked
                    || other.verb == command.verb
                        && is_of(&command.args, &other.args, command.incomplete || more(command)))
        };
        match commands(whole).any(same) {
            true => right += 1,
            false => wrong.push(format!(
                "no such command: {frame} {} {}",
                command.verb.to_str_lossy(),
                command.args.to_str_lossy()
            )),
        }
    }
    for (event, reply) in replies(told) {
        let frame = event.span.first.number;
        let same = |(at, other): &(&Event, &Reply)| {
            let frames = at.span.first.number..=at.span.last.number;
            let lines = |text: &Text| other.lines.iter().any(|line| is_of(text, line, reply.incomplete));
            frames.contains(&frame)
                && (reply.status.is_empty() || other.status == reply.status)
                && (reply.incomplete || other.text == reply.text)
                && reply.lines.iter().all(lines)
                && (reply.enhanced.is_none() || reply.enhanced == other.enhanced)
                && (reply.command.is_none() || asked(told, reply) == asked(whole, other))
        };
        match replies(whole).any(|other| same(&other)) {
            true => right += 1,
            false => wrong.push(format!("no such reply: {frame} {reply:?}, to {:?}", asked(told, reply))),
        }
    }
    for auth in &told.auth {
        let same = |other: &mailcap::event::Auth| {
            (auth.mechanism.is_empty() || other.mechanism == auth.mechanism)
                && (auth.user.is_none() || auth.user == other.user)
                && (auth.outcome == AuthOutcome::Unknown || auth.outcome == other.outcome)
        };
        if !whole.auth.iter().any(same) {
            wrong.push(format!("no such authentication: {auth:?}"));
        }
    }
    for message in &told.messages {
        let same = |other: &mailcap::event::Message| {
            let of = |a: &Option<Text>, b: &Option<Text>| a.is_none() || a == b;
            let recipients: BTreeSet<_> = other.rcpt_to.iter().map(|r| r.address.0.as_slice()).collect();
            of(&message.mail_from, &other.mail_from)
                && of(&message.mail_params, &other.mail_params)
                && of(&message.queue_id, &other.queue_id)
                && message.rcpt_to.iter().all(|r| recipients.contains(r.address.0.as_slice()))
                && (message.outcome == MessageOutcome::Unknown || message.outcome == other.outcome)
                && (message.subject.is_none() || message.subject == other.subject)
                && (message.from.is_none() || message.from == other.from)
                && message.size <= other.size
                && !(message.complete && message.sha256 != other.sha256)
        };
        if !whole.messages.iter().any(same) {
            wrong.push(format!("no such message: {message:?}"));
        }
    }
    (right, wrong)
}

/// The beginnings of what is never shown.
fn secrets(capture: &Path) -> BTreeSet<String> {
    let shown = tell(&[capture.to_owned()], &How { show_secrets: true, ..How::default() });
    let hidden = tell(&[capture.to_owned()], &How::default());
    let args = |told: &common::Told| -> Vec<String> {
        told.stories.values().flat_map(|s| &s.commands).map(|c| c.args.to_str_lossy().into_owned()).collect()
    };
    let differ = args(&shown).into_iter().zip(args(&hidden)).filter(|(a, b)| a != b);
    let last = |args: &str| args.rsplit(' ').next().unwrap().trim_matches('"').to_owned();
    // Of a short one, words of another meaning may begin so.
    differ.map(|(shown, _)| last(&shown)).filter(|s| s.len() > 8).map(|s| s.chars().take(8).collect()).collect()
}

fn check(capture: &Path) -> Vec<String> {
    let bytes = std::fs::read(capture).unwrap();
    let whole = tell(&[capture.to_owned()], &How::default());
    let by_client: BTreeMap<SocketAddr, &Story> = whole.stories.values().map(|s| (s.session().client, s)).collect();
    let secrets = secrets(capture);
    let mut problems = Vec::new();
    for snaplen in LENGTHS {
        let file = cut(&bytes, snaplen);
        let told = tell(&[file.path().to_owned()], &How::default());
        let mut right = 0;
        for story in told.stories.values() {
            let Some(known) = by_client.get(&story.session().client) else {
                problems.push(format!("{snaplen}: {} is no client", story.session().client));
                continue;
            };
            let (more, wrong) = compare(story, known);
            right += more;
            problems.extend(wrong.into_iter().map(|what| format!("{snaplen}: {what}")));
            for event in &story.events {
                let text = format!("{event:?}");
                if let Some(secret) = secrets.iter().find(|secret| text.contains(secret.as_str())) {
                    problems.push(format!("{snaplen}: {secret} is shown: {text}"));
                }
            }
        }
        let of: usize = whole.stories.values().map(|s| s.commands.len() + s.replies.len()).sum();
        if snaplen >= 96 && right * 2 < of {
            problems.push(format!("{snaplen}: {right} of {of} lines"));
        }
    }
    problems
}

#[test]
fn what_is_left_of_cut_packets_is_told_as_it_was() {
    const PLAIN: [&str; 12] = [
        "imap-auth-all",
        "imap-full-plain",
        "imapclient-imapflow",
        "lmtp-direct",
        "msmtp",
        "nodemailer",
        "pop3-auth-all",
        "pop3-full",
        "sieve-plain",
        "smtp-auth-all",
        "smtp-bdat",
        "swaks-plain",
    ];
    common::check_servers(&PLAIN, "captures with cut packets", 5, check);
}

#[test]
fn what_was_cut_off_is_not_told_as_silence_nor_as_another_protocol() {
    let dialogue =
        dialogue(25, "S: 220 mx.example ESMTP\nC: EHLO a.example\nS: 250 mx.example\nC: QUIT\nS: 221 2.0.0 Bye");
    let bytes = pcap(&dialogue, &flights(&dialogue));
    for kept in [0, 2, 12] {
        // Ethernet, IPv4, TCP.
        let story = decode_file(&cut(&bytes, 54 + kept));
        let codes: Vec<Code> = story.session().diagnostics.iter().map(|d| d.code).collect();
        assert_eq!(codes, [], "{kept}");
        let (protocol, outcome) = (story.session().protocol, story.session().outcome);
        assert_eq!(protocol, (kept > 0).then_some(Protocol::Smtp), "{kept}");
        assert_ne!(outcome, Outcome::NoBanner, "{kept}");
    }
}

#[test]
fn a_handshake_of_which_six_bytes_are_left_is_tls() {
    for (sample, security) in [
        ("tls/tls12-ecdhe-rsa-aes128-gcm-sha256-pop3.pcap", Security::Implicit),
        ("servers/rsa12-smtp-starttls.pcap", Security::StartTls),
    ] {
        let dialogue = dialogues(testdata().join(sample)).remove(0);
        let bytes = pcap(&dialogue, &flights(&dialogue));
        // As much as shows that STARTTLS was said, and nothing more of TLS.
        let story = decode_file(&cut(&bytes, 54 + 6));
        assert!(story.events.iter().all(|e| !matches!(&e.body, EventBody::Command(c) if c.injected)), "{sample}");
        if security == Security::Implicit {
            assert_eq!(story.session().security, security, "{sample}");
        }
        assert!(!story.tls.is_empty(), "{sample}");
    }
}

fn decode_file(file: &tempfile::NamedTempFile) -> Story {
    let mut told = tell(&[file.path().to_owned()], &How::default());
    assert_eq!(told.stories.len(), 1);
    told.stories.pop_first().unwrap().1
}
