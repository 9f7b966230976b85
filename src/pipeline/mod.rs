//! Wires the parts: frames in, events out in a fixed order, and a report of what was read.
//!
//! ```text
//! Capture ─Frame─▶ Decoder ─Segment─▶ FlowTable ─StreamChunk─▶ Session ─Event─▶ Sink
//! ```
//!
//! Connections are divided over a fixed number of shards, which know nothing of one another. Reading goes in rounds:
//! the shards get the frames of a round, alone or by several threads, and at its end what crosses shards is settled and
//! their events become one sequence. How many threads there are and where rounds end is never seen in what comes out.

mod batch;
mod common;
mod load;
mod reader;
mod round;
mod run;
mod sessions;
mod shard;
mod sink;
mod twins;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroUsize;

use crate::capture::{Capture, CaptureError, Input, group};
use crate::event::Account;
use crate::limits::Limits;
use crate::mail::Options;
use crate::position::Timestamp;
use crate::tls::KeyRing;

use run::Run;

pub use crate::session::DecodeAs;
pub use sink::Sink;

/// What to read and how.
#[derive(Clone)]
pub struct Config {
    /// The inputs; see [`crate::capture::expand`].
    pub inputs: Vec<Input>,
    /// Take each input for a capture by itself; see [`crate::capture::group`].
    pub separate: bool,
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
    /// Threads, all cores if none is given. What comes out does not depend on it.
    pub jobs: Option<NonZeroUsize>,
    /// Tell the sink of every TCP connection and of every segment said not to have arrived.
    pub connections: bool,
}

impl Config {
    /// Reads these inputs with the default bounds, without keys.
    pub fn new(inputs: Vec<Input>) -> Self {
        Config {
            inputs,
            separate: false,
            keys: KeyRing::new(),
            limits: Limits::default(),
            mail: Options::default(),
            decode_as: Vec::new(),
            all_tls: false,
            jobs: None,
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
    /// Frames by link type that is not known ([`crate::wire::link_type_name`]); the first few types.
    pub unknown_link_types: BTreeMap<u32, u64>,
    /// Mail sessions.
    pub mail_sessions: u64,
    /// Those of which something is missing.
    pub incomplete: u64,
    /// TLS handshakes told.
    pub handshakes: u64,
    /// Connections that were judged by their first bytes alone, as all that were undecided held more than their bound.
    pub judged_early: u64,
    /// Where the bytes of mail sessions went.
    pub account: Account,
    /// What was wrong with the inputs.
    pub problems: Vec<InputProblem>,
    /// Time of the earliest frame, and of the latest.
    pub span: Option<[Timestamp; 2]>,
    /// Mail ports to which somebody asked for a connection, be it in vain.
    pub tried: BTreeSet<u16>,
    /// Names of the files, by [`crate::position::FileId`].
    pub files: Vec<String>,
}

impl Report {
    /// There are frames, and the link type of none of them is known: nothing can be said of what they hold.
    pub fn is_unreadable(&self) -> bool {
        let unknown = self.skipped.get("unknown-link-type").copied().unwrap_or_default();
        self.frames > 0 && unknown == self.frames
    }
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
    let capture = Capture::open_each(group(&config.inputs, config.separate), &config.limits)?;
    run_capture(capture, config, sink)
}

/// As [`run`], over a capture that is open already ([`Capture::from_reader`]); the inputs of `config` are not looked
/// at.
pub fn run_capture(mut capture: Capture, config: Config, sink: &mut dyn Sink) -> Result<Report, Error> {
    let files = capture.names().to_vec();
    files.iter().try_for_each(|name| sink.add_file(name))?;
    let jobs = config.jobs.map_or_else(default_jobs, NonZeroUsize::get);
    if jobs > 1 {
        capture.read_ahead();
    }
    let run = Run::new(capture, config, files);
    let report = run.go(jobs - 1, sink)?;
    sink.finish(&report)?;
    Ok(report)
}

fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
