//! Wires the parts: frames in, events out in a fixed order, and a report of what was read.
//!
//! ```text
//! Capture ─Frame─▶ Decoder ─Segment─▶ FlowTable ─StreamChunk─▶ Session ─Event─▶ Sink
//! ```

use std::collections::BTreeMap;
use std::io;

use crate::capture::{Capture, CaptureError, Input, Item};
use crate::event::{Account, Connection, EndReason, Event, Unreachable};
use crate::flow::{ConnectionInfo, Consumer, FlowTable, Interest, Side, StreamChunk};
use crate::limits::Limits;
use crate::mail::Options;
use crate::output::Sink;
use crate::position::{FileId, FramePos, Span};
use crate::session::{self, Closed, Session, World};
use crate::tls::{KeyRing, SessionCache};
use crate::wire::{Decoded, Decoder};

pub use crate::session::DecodeAs;

/// What to read and how.
#[derive(Clone)]
pub struct Config {
    /// The captures; see [`crate::capture::expand`].
    pub inputs: Vec<Input>,
    /// Private keys, key logs, pre-shared keys.
    pub keys: KeyRing,
    /// Bounds.
    pub limits: Limits,
    /// What to compute of mail.
    pub mail: Options,
    /// The user's word on ports.
    pub decode_as: Vec<DecodeAs>,
    /// Report TLS handshakes that carry no mail, too.
    pub all_tls: bool,
    /// Tell the sink of every TCP connection and of every segment said not to have arrived.
    pub connections: bool,
}

impl Config {
    /// Reads these inputs with the default bounds, without keys.
    pub fn new(inputs: Vec<Input>) -> Self {
        Config {
            inputs,
            keys: KeyRing::new(),
            limits: Limits::default(),
            mail: Options::default(),
            decode_as: Vec::new(),
            all_tls: false,
            connections: false,
        }
    }
}

/// Something wrong with an input that did not end the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputProblem {
    /// The file, as the user named it.
    pub file: String,
    /// Offset in it, bytes.
    pub offset: u64,
    /// What is wrong and what was done about it.
    pub text: String,
    /// Packets may be missing because of it.
    pub loses_packets: bool,
}

/// What a run read and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Frames read.
    pub frames: u64,
    /// Frames that carried TCP.
    pub segments: u64,
    /// Frames passed over, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Link types that are not known, each once.
    pub unknown_link_types: Vec<u32>,
    /// Mail sessions.
    pub mail_sessions: u64,
    /// Those of which something is missing.
    pub incomplete: u64,
    /// TLS handshakes told.
    pub handshakes: u64,
    /// Where the bytes of mail sessions went.
    pub account: Account,
    /// What was wrong with the inputs.
    pub problems: Vec<InputProblem>,
    /// Names of the files, by [`FileId`].
    pub files: Vec<String>,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An input that can't be used at all.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The sink failed: the output can't be written, or nobody reads it any more.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Reads all inputs of `config` and hands the events to `sink`, in an order that depends on the inputs alone.
pub fn run(config: Config, sink: &mut dyn Sink) -> Result<Report, Error> {
    let capture = Capture::open(&config.inputs, &config.limits)?;
    run_capture(capture, config, sink)
}

/// As [`run`], over a capture that is open already ([`Capture::from_reader`]); the inputs of `config` are not looked at.
pub fn run_capture(mut capture: Capture, config: Config, sink: &mut dyn Sink) -> Result<Report, Error> {
    let files = capture.names().to_vec();
    sink.begin(&files)?;
    let mut decoder = Decoder::new(&config.limits);
    let mut table = FlowTable::new(&config.limits);
    let mut sessions = Sessions {
        sessions: SessionCache::new(),
        keys: config.keys,
        options: config.mail,
        limits: config.limits.clone(),
        decode_as: config.decode_as,
        all_tls: config.all_tls,
        out: Vec::new(),
        connections: config.connections.then(Vec::new),
        report: Report { files, ..Report::default() },
        secret_bytes: 0,
    };
    while let Some(()) = capture.advance() {
        // Archives that are read as a stream show their members one by one.
        while let Some(name) = capture.names().get(sessions.report.files.len()) {
            sink.add_file(name)?;
            sessions.report.files.push(name.clone());
        }
        let Some(item) = capture.item() else { continue };
        match item {
            Item::Frame(frame) => {
                if frame.pos.index == 1 {
                    sink.start(frame.pos.ts)?;
                }
                match decoder.decode(&frame) {
                    Decoded::Segment(segment) => table.segment(&segment, frame.pos, frame.interface, &mut sessions),
                    decoded => {
                        table.tick(frame.pos, &mut sessions);
                        if let Decoded::Unreachable(what) = decoded
                            && config.connections
                        {
                            let (source, destination, code) = (what.src, what.dst, what.code);
                            sink.unreachable(&Unreachable { source, destination, code, at: frame.pos })?;
                        }
                    }
                }
            }
            Item::Secrets { file, keylog } => sessions.add_secrets(file, keylog),
            Item::Problem(problem) => {
                let file = sessions.file_name(problem.file);
                let (offset, text, loses_packets) = (problem.offset, problem.text, problem.loses_packets);
                sessions.report.problems.push(InputProblem { file, offset, text, loses_packets });
            }
        }
        sessions.release(sink)?;
    }
    table.finish(&mut sessions);
    sessions.release(sink)?;
    let counters = decoder.counters();
    let mut report = sessions.report;
    report.frames = counters.frames;
    report.segments = counters.segments;
    report.skipped = counters.skipped_by_reason().map(|(reason, count)| (reason.to_owned(), count)).collect();
    report.unknown_link_types = counters.unknown_link_types.clone();
    sink.finish(&report)?;
    Ok(report)
}

/// Every open session, as the connection table's consumer.
struct Sessions {
    keys: KeyRing,
    sessions: SessionCache,
    options: Options,
    limits: Limits,
    decode_as: Vec<DecodeAs>,
    all_tls: bool,
    out: Vec<Event>,
    /// Connections that ended, where somebody wants to hear of them.
    connections: Option<Vec<Connection>>,
    report: Report,
    /// Key-log text taken from secrets blocks.
    secret_bytes: usize,
}

impl Sessions {
    fn world(&mut self) -> World<'_> {
        World {
            keys: &self.keys,
            sessions: &mut self.sessions,
            options: &self.options,
            limits: &self.limits,
            decode_as: &self.decode_as,
            all_tls: self.all_tls,
            out: &mut self.out,
        }
    }

    /// Hands on what is ready.
    fn release(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        self.out.drain(..).try_for_each(|event| sink.event(event))?;
        self.connections.iter_mut().flat_map(|c| c.drain(..)).try_for_each(|connection| sink.connection(&connection))
    }

    fn file_name(&self, file: FileId) -> String {
        self.report.files.get(file.0 as usize).cloned().unwrap_or_default()
    }

    fn add_secrets(&mut self, file: FileId, keylog: &[u8]) {
        let name = self.file_name(file);
        let before = self.secret_bytes;
        self.secret_bytes = before.saturating_add(keylog.len());
        if self.secret_bytes > self.limits.secret_bytes {
            if before <= self.limits.secret_bytes {
                let text =
                    format!("more than {} bytes of secrets; the further ones are not used", self.limits.secret_bytes);
                self.report.problems.push(InputProblem { file: name, offset: 0, text, loses_packets: false });
            }
            return;
        }
        self.keys.add_keylog_bytes(&name, keylog, crate::event::SecretSource::Dsb);
    }

    fn count(&mut self, closed: Closed) {
        let report = &mut self.report;
        report.handshakes += closed.handshakes;
        report.mail_sessions += u64::from(closed.mail);
        report.incomplete += u64::from(closed.incomplete);
        let (sum, part) = (&mut report.account, closed.account);
        sum.decoded += part.decoded;
        sum.overhead += part.overhead;
        sum.undecrypted += part.undecrypted;
        sum.skipped += part.skipped;
        sum.duplicate += part.duplicate;
        sum.gaps += part.gaps;
    }
}

impl Consumer for Sessions {
    type Session = Session;

    fn open(&mut self, _info: &ConnectionInfo) -> Session {
        Session::new()
    }

    fn chunk(&mut self, session: &mut Session, info: &ConnectionInfo, chunk: StreamChunk<'_>) -> Interest {
        session.chunk(info, chunk, &mut self.world())
    }

    fn close(&mut self, session: session::Session, info: &ConnectionInfo, reason: EndReason, at: FramePos) {
        let closed = session.close(info, reason, at, &mut self.world());
        self.count(closed);
        if let Some(connections) = &mut self.connections {
            connections.push(Connection {
                id: info.id,
                initiator: info.initiator,
                responder: info.responder,
                syn: info.syn,
                frames: info.frames_by,
                bytes: info.bytes,
                closed_by_responder: info.closed_by == Some(Side::Responder),
                reason,
                span: Span { first: info.first, last: info.last },
            });
        }
    }
}
