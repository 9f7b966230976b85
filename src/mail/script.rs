//! Dialogues for the dissectors' tests: played whole and byte by byte, with the same events.

use super::{Chunk, Context, Dissector, Emitter, Held, Missing, Next, Options, Summary};
use crate::event::{Auth, Command, Event, EventBody, Message, Reply};
use crate::limits::Limits;
use crate::position::{Direction, FramePos, Span, Timestamp};

/// What happens next in a dialogue. Each step is a frame of its own, a microsecond after the one before.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Client(Vec<u8>),
    Server(Vec<u8>),
    Gap(Direction, u64),
}

/// The client sends.
pub(crate) fn c(bytes: impl AsRef<[u8]>) -> Step {
    Step::Client(bytes.as_ref().to_vec())
}

/// The server sends.
pub(crate) fn s(bytes: impl AsRef<[u8]>) -> Step {
    Step::Server(bytes.as_ref().to_vec())
}

/// What came of a dialogue.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) events: Vec<Event>,
    pub(crate) summary: (u64, u64, u64, Option<crate::event::Outcome>),
    pub(crate) starttls: bool,
    pub(crate) held: Vec<u8>,
}

/// Plays it whole and in pieces of several sizes; the events are the same.
pub(crate) fn play<D: Dissector>(new: impl Fn() -> D, steps: &[Step], options: &Options, one_sided: bool) -> Told {
    let told = once(new(), steps, options, one_sided, usize::MAX, 0);
    for size in [1, 2, 3, 5, 7, 16] {
        assert_eq!(once(new(), steps, options, one_sided, size, 0), told, "in pieces of {size}");
    }
    let longest = steps.iter().map(|step| match step {
        Step::Client(bytes) | Step::Server(bytes) => bytes.len(),
        Step::Gap(..) => 0,
    });
    for at in 1..longest.max().unwrap_or(0).min(400) {
        assert_eq!(once(new(), steps, options, one_sided, usize::MAX, at), told, "each split at {at}");
    }
    told
}

pub(crate) fn once<D: Dissector>(
    mut dissector: D,
    steps: &[Step],
    options: &Options,
    one_sided: bool,
    size: usize,
    split: usize,
) -> Told {
    let mut out = Emitter::new(1);
    let limits = Limits::default();
    let mut cx = Context { out: &mut out, tls: false, injected: false, one_sided, options, limits: &limits };
    let (mut starttls, mut held) = (false, Vec::new());
    let mut span = Span::default();
    for (at, step) in steps.iter().enumerate() {
        let frame = at as u64 + 1;
        let ts = Timestamp(frame as i64 * 1000);
        span = Span::at(FramePos { index: frame, number: frame, ts, ..FramePos::default() });
        let (dir, bytes) = match step {
            Step::Client(bytes) => (Direction::Client, bytes),
            Step::Server(bytes) => (Direction::Server, bytes),
            Step::Gap(dir, len) => {
                dissector.gap(*dir, Missing { len: *len, tail: false, span }, &mut cx);
                continue;
            }
        };
        let (head, tail) = bytes.split_at(split.min(bytes.len()));
        for piece in head.chunks(size).chain(tail.chunks(size)) {
            let mut rest = piece;
            while !rest.is_empty() {
                let advance = dissector.input(dir, Chunk { bytes: rest, span }, &mut cx);
                assert!(advance.consumed == rest.len() || advance.next != Next::Continue);
                rest = &rest[advance.consumed..];
                if advance.next == Next::StartTls {
                    starttls = true;
                    if let Some(Held { bytes, span }) = dissector.take_held(Direction::Client) {
                        held.extend_from_slice(&bytes);
                        cx.injected = true;
                        dissector.input(Direction::Client, Chunk { bytes: &bytes, span }, &mut cx);
                        cx.injected = false;
                    }
                    dissector.tls_started();
                    cx.tls = true;
                }
            }
        }
    }
    for dir in [Direction::Client, Direction::Server] {
        dissector.end(dir, span, &mut cx);
    }
    dissector.finish(span, &mut cx);
    let Summary { commands, messages, skipped_bytes, outcome, .. } = dissector.summary();
    let summary = (commands, messages, skipped_bytes, outcome);
    let mut events: Vec<Event> = out.drain().collect();
    events.sort_by_key(|event| event.seq);
    assert!(events.windows(2).all(|pair| pair[0].seq < pair[1].seq), "a place in the story is taken twice");
    let verbs = events.iter().filter(
        |event| matches!(&event.body, EventBody::Command(command) if !command.verb.is_empty() && !command.injected),
    );
    assert_eq!(commands, verbs.count() as u64, "the commands that are counted are those with a verb");
    Told { events, summary, starttls, held }
}

impl Told {
    /// A line an event: `> verb args`, `< status text`, `auth …`, `message …`, `! code`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.events.iter().map(|event| line(&event.body)).collect()
    }

    pub(crate) fn replies(&self) -> Vec<&Reply> {
        self.events.iter().filter_map(|e| if let EventBody::Reply(r) = &e.body { Some(r) } else { None }).collect()
    }

    pub(crate) fn auths(&self) -> Vec<&Auth> {
        self.events.iter().filter_map(|e| if let EventBody::Auth(a) = &e.body { Some(a) } else { None }).collect()
    }

    pub(crate) fn messages(&self) -> Vec<&Message> {
        self.events.iter().filter_map(|e| if let EventBody::Message(m) = &e.body { Some(&**m) } else { None }).collect()
    }
}

fn line(body: &EventBody) -> String {
    match body {
        EventBody::Command(Command { tls, verb, args, injected, assumed, .. }) => {
            let marks = [(*tls, "~"), (*injected, "injected "), (*assumed, "assumed ")];
            let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            format!("{marks}> {} {}", verb.to_str_lossy(), args.to_str_lossy()).trim_end().to_owned()
        }
        EventBody::Reply(reply) => {
            let tls = if reply.tls { "~" } else { "" };
            format!("{tls}< {} {}", reply.status.to_str_lossy(), reply.text.to_str_lossy()).trim_end().to_owned()
        }
        EventBody::Auth(auth) => {
            let user = auth.user.as_ref().map_or("-".into(), |user| user.to_str_lossy());
            format!("auth {} {user} {:?}", auth.mechanism.to_str_lossy(), auth.outcome)
        }
        EventBody::Message(message) => {
            format!("message {} {:?} {} {}", message.ordinal, message.part, message.size, message.complete)
        }
        EventBody::Script(script) => {
            let name = script.name.as_ref().map_or("-".into(), |name| name.to_str_lossy());
            format!("script {name} {} {:?} {}", script.size, script.outcome, script.complete)
        }
        EventBody::Diagnostic(diagnostic) => format!("! {}", diagnostic.code),
        other => format!("{other:?}"),
    }
}
