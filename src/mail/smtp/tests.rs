//! Dialogues, fed in pieces of every size: the events must be the same.

mod dialogues;
mod doubt;
mod extensions;
mod framing;
mod losses;
mod order;
mod random;
mod unsure;

use super::*;
use crate::event::{Event, EventBody, Outcome};
use crate::limits::Limits;
use crate::mail::{Emitter, Options};
use crate::position::{FileId, Timestamp};

/// What happens on the wire.
#[derive(Clone)]
enum Step {
    C(Vec<u8>),
    S(Vec<u8>),
    /// Bytes missing from a direction.
    Gap(Direction, u64),
    /// The same at a packet's end, as a snapshot length cuts.
    Cut(Direction, u64),
    End(Direction),
    TlsStarted,
}

use Step::{C, S};

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            C(bytes) => write!(f, "C {:?}", String::from_utf8_lossy(bytes)),
            S(bytes) => write!(f, "S {:?}", String::from_utf8_lossy(bytes)),
            Step::Gap(dir, len) => write!(f, "gap of {len} bytes of the {}", dir.as_str()),
            Step::Cut(dir, len) => write!(f, "{len} bytes cut off of the {}", dir.as_str()),
            Step::End(dir) => write!(f, "end of the {}", dir.as_str()),
            Step::TlsStarted => write!(f, "TLS"),
        }
    }
}

fn c(bytes: impl AsRef<[u8]>) -> Step {
    C(bytes.as_ref().to_vec())
}

fn s(bytes: impl AsRef<[u8]>) -> Step {
    S(bytes.as_ref().to_vec())
}

/// A greeting, EHLO and its answer, MAIL, RCPT, DATA and 354.
fn up_to_data() -> Vec<Step> {
    vec![
        s("220 mx ESMTP\r\n"),
        c("EHLO me\r\n"),
        s("250-mx\r\n250 PIPELINING\r\n"),
        c("MAIL FROM:<a@x>\r\n"),
        s("250 2.1.0 Ok\r\n"),
        c("RCPT TO:<b@y>\r\n"),
        s("250 2.1.5 Ok\r\n"),
        c("DATA\r\n"),
        s("354 go\r\n"),
    ]
}

#[derive(Default)]
struct Run {
    one_sided: bool,
    joined: bool,
    tls: bool,
    options: Options,
    limits: Limits,
}

impl Run {
    fn feed(&self, steps: &[Step], size: usize) -> (Vec<Event>, Summary) {
        let mut smtp = Smtp::new();
        if self.joined {
            smtp.join(None);
        }
        let mut out = Emitter::new(1);
        let mut tls = self.tls;
        let mut frame = 0;
        for step in steps {
            frame += 1;
            let at = FramePos { index: frame, number: frame, file: FileId(0), ts: Timestamp(frame as i64 * 1000) };
            let span = Span::at(at);
            let mut cx = Context {
                out: &mut out,
                tls,
                injected: false,
                one_sided: self.one_sided,
                options: &self.options,
                limits: &self.limits,
            };
            match step {
                C(bytes) | S(bytes) => {
                    let dir = if matches!(step, C(_)) { Direction::Client } else { Direction::Server };
                    for mut rest in bytes.chunks(size) {
                        while !rest.is_empty() {
                            let advance = smtp.input(dir, Chunk { bytes: rest, span }, &mut cx);
                            rest = &rest[advance.consumed..];
                            if advance.next == Next::Continue {
                                assert!(rest.is_empty());
                            } else if let Some(held) = smtp.take_held(Direction::Client) {
                                cx.injected = true;
                                let chunk = Chunk { bytes: &held.bytes, span: held.span };
                                smtp.input(Direction::Client, chunk, &mut cx);
                                cx.injected = false;
                            }
                        }
                    }
                }
                Step::Gap(dir, len) => smtp.gap(*dir, Missing { len: *len, tail: false, span }, &mut cx),
                Step::Cut(dir, len) => smtp.gap(*dir, Missing { len: *len, tail: true, span }, &mut cx),
                Step::End(dir) => smtp.end(*dir, span, &mut cx),
                Step::TlsStarted => {
                    assert!(smtp.at_line_start(Direction::Client) && smtp.at_line_start(Direction::Server));
                    smtp.tls_started();
                    tls = true;
                }
            }
        }
        let mut cx = Context {
            out: &mut out,
            tls,
            injected: false,
            one_sided: self.one_sided,
            options: &self.options,
            limits: &self.limits,
        };
        smtp.finish(Span::default(), &mut cx);
        let mut events: Vec<Event> = out.drain().collect();
        events.sort_by_key(|e| e.seq);
        let seqs: Vec<u64> = events.iter().map(|e| e.seq).collect();
        assert!(seqs.windows(2).all(|w| w[0] < w[1]), "{seqs:?}");
        (events, smtp.summary())
    }

    /// The events as short lines, the same for pieces of every size.
    fn lines(&self, steps: &[Step]) -> (Vec<String>, Summary) {
        let (events, summary) = self.feed(steps, usize::MAX);
        let whole = show(&events);
        for size in [1, 2, 3, 5, 7, 11, 30, 64] {
            let (events, _) = self.feed(steps, size);
            assert_eq!(show(&events), whole, "pieces of {size}");
        }
        (whole, summary)
    }
}

fn lines(steps: &[Step]) -> Vec<String> {
    Run::default().lines(steps).0
}

fn show(events: &[Event]) -> Vec<String> {
    // `command` of a reply by its place among the commands, which is easier to read than a `seq`.
    let mut commands = Vec::new();
    let mut shown = Vec::new();
    for event in events {
        shown.push(match &event.body {
            EventBody::Command(c) => {
                commands.push(event.seq);
                let flags = [(c.injected, " injected"), (c.assumed, " assumed")];
                let flags: String = flags.iter().filter(|f| f.0).map(|f| f.1).collect();
                format!("C{} {} {}{flags}", commands.len(), c.verb.to_str_lossy(), c.args.to_str_lossy())
            }
            EventBody::Reply(r) => {
                let command = r
                    .command
                    .map_or("-".into(), |seq| (1 + commands.iter().position(|&c| c == seq).unwrap()).to_string());
                format!(
                    "S{command} {} {}",
                    r.status.to_str_lossy(),
                    joined(&r.lines).to_str_lossy().replace('\n', " / ")
                )
            }
            EventBody::Message(m) => {
                let rcpt: Vec<String> =
                    m.rcpt_to.iter().map(|r| format!("{}={}", r.address.to_str_lossy(), r.code.unwrap_or(0))).collect();
                format!(
                    "M{} t{} {:?} {} from={} to={} size={}{} id={}",
                    m.ordinal,
                    m.transaction,
                    m.outcome,
                    if m.complete { "complete" } else { "incomplete" },
                    m.mail_from.as_ref().map_or("?".into(), |f| f.to_str_lossy()),
                    rcpt.join(","),
                    m.size,
                    if m.assumed { " assumed" } else { "" },
                    m.queue_id.as_ref().map_or("-".into(), |f| f.to_str_lossy()),
                )
            }
            EventBody::Auth(a) => format!(
                "A {} {:?} {:?}",
                a.mechanism.to_str_lossy(),
                a.user.as_ref().map(|u| u.to_str_lossy().into_owned()),
                a.outcome
            ),
            EventBody::Diagnostic(d) => format!("D {}", d.code),
            EventBody::MessageData(_) => continue,
            other => format!("{other:?}"),
        });
    }
    shown
}

/// The messages' bytes, by ordinal.
fn bodies(steps: &[Step]) -> Vec<String> {
    let run = Run { options: Options { bodies: true, ..Options::default() }, ..Run::default() };
    let mut all = None;
    for size in [usize::MAX, 1, 2, 3, 4, 5, 9] {
        let mut bodies: Vec<Vec<u8>> = Vec::new();
        for event in run.feed(steps, size).0 {
            if let EventBody::MessageData(data) = event.body {
                bodies.resize_with(bodies.len().max(data.ordinal as usize), Vec::new);
                bodies[data.ordinal as usize - 1].extend_from_slice(&data.bytes);
            }
        }
        let bodies: Vec<String> = bodies.iter().map(|b| String::from_utf8_lossy(b).into_owned()).collect();
        let expected = all.get_or_insert_with(|| bodies.clone());
        assert_eq!(&bodies, expected, "pieces of {size}");
    }
    all.unwrap_or_default()
}
