//! Dialogues.

mod basics;
mod extensions;
mod fetches;
mod literals;
mod losses;
mod upgrades;

use crate::event::{Auth, Command, Event, EventBody, Message, Reply};
use crate::limits::Limits;
use crate::mail::{Advance, Chunk, Context, Dissector, Emitter, Missing, Next, Options, Summary};
use crate::position::{Direction, FramePos, Span, Timestamp};

use super::Imap;

/// A step of a dialogue.
#[derive(Clone, Debug)]
pub(super) enum Step {
    C(Vec<u8>),
    S(Vec<u8>),
    GapC(u64),
    GapS(u64),
}

pub(super) fn c(text: &str) -> Step {
    Step::C(text.as_bytes().to_vec())
}

pub(super) fn s(text: &str) -> Step {
    Step::S(text.as_bytes().to_vec())
}

/// A session being fed.
pub(super) struct Run {
    pub(super) imap: Imap,
    pub(super) out: Emitter,
    pub(super) options: Options,
    pub(super) limits: Limits,
    pub(super) tls: bool,
    pub(super) one_sided: bool,
    pub(super) injected: bool,
    /// Frame of the next step.
    pub(super) frame: u64,
}

impl Default for Run {
    fn default() -> Self {
        Run {
            imap: Imap::new(),
            out: Emitter::new(1),
            options: Options { digests: true, ..Options::default() },
            limits: Limits::default(),
            tls: false,
            one_sided: false,
            injected: false,
            frame: 1,
        }
    }
}

impl Run {
    pub(super) fn span(&self) -> Span {
        let ts = Timestamp(i64::try_from(self.frame).unwrap() * 1000);
        Span::at(FramePos { index: self.frame, number: self.frame, ts, ..FramePos::default() })
    }

    pub(super) fn with<T>(&mut self, f: impl FnOnce(&mut Imap, Span, &mut Context<'_>) -> T) -> T {
        let span = self.span();
        let mut cx = Context {
            out: &mut self.out,
            tls: self.tls,
            injected: self.injected,
            one_sided: self.one_sided,
            options: &self.options,
            limits: &self.limits,
        };
        f(&mut self.imap, span, &mut cx)
    }

    pub(super) fn input(&mut self, dir: Direction, bytes: &[u8]) -> Advance {
        self.with(|imap, span, cx| imap.input(dir, Chunk { bytes, span }, cx))
    }

    /// Feeds steps whole, or their bytes in pieces of `piece`; each step is a frame.
    pub(super) fn feed(&mut self, steps: &[Step], piece: usize) {
        for step in steps {
            let (dir, bytes) = match step {
                Step::C(bytes) => (Direction::Client, bytes),
                Step::S(bytes) => (Direction::Server, bytes),
                Step::GapC(len) => {
                    self.with(|imap, span, cx| {
                        imap.gap(Direction::Client, Missing { len: *len, tail: false, span }, cx)
                    });
                    self.frame += 1;
                    continue;
                }
                Step::GapS(len) => {
                    self.with(|imap, span, cx| {
                        imap.gap(Direction::Server, Missing { len: *len, tail: false, span }, cx)
                    });
                    self.frame += 1;
                    continue;
                }
            };
            for piece in bytes.chunks(piece) {
                let advance = self.input(dir, piece);
                assert_eq!(advance, Advance { consumed: piece.len(), next: Next::Continue });
            }
            self.frame += 1;
        }
    }

    pub(super) fn finish(mut self) -> Story {
        self.with(|imap, span, cx| {
            imap.end(Direction::Client, span, cx);
            imap.end(Direction::Server, span, cx);
            imap.finish(span, cx);
        });
        let mut events: Vec<Event> = self.out.drain().collect();
        events.sort_by_key(|e| e.seq);
        Story { events, summary: self.imap.summary() }
    }
}

/// What came of it.
pub(super) struct Story {
    pub(super) events: Vec<Event>,
    pub(super) summary: Summary,
}

impl Story {
    pub(super) fn commands(&self) -> Vec<Command> {
        self.bodies(|b| if let EventBody::Command(c) = b { Some(c.clone()) } else { None })
    }

    pub(super) fn replies(&self) -> Vec<Reply> {
        self.bodies(|b| if let EventBody::Reply(r) = b { Some(r.clone()) } else { None })
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        self.bodies(|b| if let EventBody::Message(m) = b { Some((**m).clone()) } else { None })
    }

    pub(super) fn auths(&self) -> Vec<Auth> {
        self.bodies(|b| if let EventBody::Auth(a) = b { Some(a.clone()) } else { None })
    }

    pub(super) fn codes(&self) -> Vec<&'static str> {
        self.bodies(|b| if let EventBody::Diagnostic(d) = b { Some(d.code.as_str()) } else { None })
    }

    fn bodies<T>(&self, f: impl Fn(&EventBody) -> Option<T>) -> Vec<T> {
        self.events.iter().filter_map(|e| f(&e.body)).collect()
    }

    /// `tag VERB args` of each command.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |c: Command| {
            let tag = c.tag.map(|t| t.to_str_lossy().into_owned() + " ").unwrap_or_default();
            format!("{tag}{} {}", c.verb.to_str_lossy(), c.args.to_str_lossy()).trim_end().to_owned()
        };
        self.commands().into_iter().map(line).collect()
    }

    /// `status text` of each reply.
    pub(super) fn told(&self) -> Vec<String> {
        let line = |r: Reply| {
            let tag = r.tag.map(|t| t.to_str_lossy().into_owned() + " ").unwrap_or_default();
            format!("{tag}{} {}", r.status.to_str_lossy(), r.text.to_str_lossy())
        };
        self.replies().into_iter().map(line).collect()
    }
}

/// Tells a dialogue; every way of cutting its steps in two, and byte by byte, has to tell the same.
pub(super) fn tell(steps: &[Step]) -> Story {
    tell_with(steps, |_| {})
}

/// The same, with something set before.
pub(super) fn tell_with(steps: &[Step], set: impl Fn(&mut Run)) -> Story {
    let feed = |piece: usize| {
        let mut run = Run::default();
        set(&mut run);
        run.feed(steps, piece);
        run.finish()
    };
    let whole = feed(usize::MAX);
    let longest = steps.iter().map(|s| if let Step::C(b) | Step::S(b) = s { b.len() } else { 0 }).max().unwrap_or(0);
    for piece in 1..=longest {
        let other = feed(piece);
        assert_eq!(normal(&other.events), normal(&whole.events), "in pieces of {piece}");
    }
    whole
}

fn normal(events: &[Event]) -> Vec<String> {
    events.iter().map(|e| format!("{e:?}")).collect()
}
