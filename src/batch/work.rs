//! One input: from its files to parts under `work/`.

use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::plan::{Job, short};
use super::state::{Record, State};
use super::{Options, Progress};
use crate::capture::Capture;
use crate::event::{Connection, Event, EventBody, Unreachable};
use crate::output::Sink;
use crate::output::dataset::{self, Dataset};
use crate::output::filter::Filter;
use crate::pipeline::{self, Config, Report, run_capture};
use crate::position::Timestamp;

/// What an input is to be read with, besides the options.
pub(super) struct Task<'a> {
    pub(super) job: &'a Job,
    pub(super) input: String,
    pub(super) options: String,
    pub(super) keys: String,
    pub(super) replaces: Vec<String>,
    pub(super) threads: usize,
}

/// Why an input is not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The run was stopped.
    Stopped,
    /// It can't be used; nothing else is touched by that.
    Input(String),
    /// The dataset can't be written.
    Output(io::Error),
}

/// Reads an input. Its parts are whole when this is over, and not yet in their places.
pub(super) fn process(task: Task<'_>, options: &Options, progress: &Progress) -> Result<(Record, Report), Failure> {
    let mut meter = None;
    // What breaks one input must not end the others.
    let result = catch_unwind(AssertUnwindSafe(|| read(&task, options, progress, &mut meter)));
    progress.end(meter.as_ref(), task.job.bytes);
    let result =
        result.unwrap_or_else(|_| Err(Failure::Input(format!("{}: an internal error ended it", task.job.name))));
    if result.is_err() {
        State::give_up(&options.dir, &task.id());
    }
    result
}

impl Task<'_> {
    /// Tells its parts from those of other inputs, and of the same at another time.
    fn id(&self) -> String {
        let what = format!("{} {} {}", self.input, self.options, self.keys);
        format!("{}-{}", short(&self.job.key, 12), short(&what, 8))
    }
}

fn read(
    task: &Task<'_>,
    options: &Options,
    progress: &Progress,
    meter: &mut Option<Arc<AtomicU64>>,
) -> Result<(Record, Report), Failure> {
    let Task { job, input, keys, .. } = task;
    let id = task.id();
    let mut config = Config { inputs: Vec::new(), ..options.config.clone() };
    config.jobs = NonZeroUsize::new(task.threads);
    config.limits = options.limits();
    config.all_tls = true;
    config.connections = true;
    config.mail.digests = true;
    config.mail.bodies = options.messages.is_some();

    let capture = Capture::open(&job.inputs, &config.limits).map_err(|e| Failure::Input(e.to_string()))?;
    progress.begin(meter.insert(capture.meter()), job.bytes);
    let messages = options.messages.as_ref().map(|_| format!("mail/{id}"));
    let home = State::work(&options.dir, &id).map_err(Failure::Output)?;
    let shape = dataset::Options {
        home,
        input: job.key.clone(),
        tag: id.clone(),
        format: options.format,
        private: config.mail.show_secrets,
        messages: messages.clone().zip(options.messages.clone()),
        ports: config.decode_as.iter().map(|d| d.port).collect(),
        only_sessions: options.criteria.needs_sessions(),
        memory: options.rows(),
    };
    let rows = Dataset::new(shape, &config.limits).map_err(Failure::Output)?;
    let (report, rows) = match options.criteria.is_empty() {
        true => {
            let mut sink = Guard { inner: rows, progress };
            (run_capture(capture, config, &mut sink), sink.inner)
        }
        false => {
            let mut sink = Filter::new(Guard { inner: rows, progress }, options.criteria.clone(), options.waiting());
            (run_capture(capture, config, &mut sink), sink.into_inner().inner)
        }
    };
    let report = report.map_err(|error| match error {
        pipeline::Error::Capture(error) => Failure::Input(error.to_string()),
        pipeline::Error::Output(error) => match error.kind() {
            io::ErrorKind::Interrupted => Failure::Stopped,
            // A row that does not fit its table.
            io::ErrorKind::InvalidData => Failure::Input(format!("{}: {error}", job.name)),
            _ => Failure::Output(error),
        },
    })?;
    let lost = report.problems.iter().filter(|p| p.loses_packets);
    if let Some(problem) = lost.clone().next()
        && report.frames == 0
        && lost.count() >= job.files.len()
    {
        return Err(Failure::Input(format!("{}: {}", problem.file, problem.text)));
    }
    let (parts, tally) = rows.into_parts();
    let record = Record {
        key: job.key.clone(),
        id,
        input: input.clone(),
        options: task.options.clone(),
        keys: keys.clone(),
        files: job.files.clone(),
        bytes: job.bytes,
        parts,
        messages: messages.filter(|_| tally.extracted > 0),
        tally,
        replaces: task.replaces.clone(),
    };
    Ok((record, report))
}

/// Ends the run when it is to stop, and counts for who watches.
struct Guard<'a, S: Sink> {
    inner: S,
    progress: &'a Progress,
}

impl<S: Sink> Sink for Guard<'_, S> {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.inner.add_file(name)
    }

    fn start(&mut self, first: Timestamp) -> io::Result<()> {
        self.inner.start(first)
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        if self.progress.stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if matches!(&event.body, EventBody::Session(session) if session.mail) {
            self.progress.sessions.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.event(event)
    }

    fn connection(&mut self, connection: &Connection) -> io::Result<()> {
        if self.progress.stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.inner.connection(connection)
    }

    fn unreachable(&mut self, unreachable: &Unreachable) -> io::Result<()> {
        self.inner.unreachable(unreachable)
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        self.inner.finish(report)
    }
}
