//! Inputs, one after the other: from their files to parts under `work/`.

use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::plan::Job;
use super::state::{Group, Record, State};
use super::{Failed, Options, Progress};
use crate::capture::Capture;
use crate::event::{Connection, Event, EventBody, Unreachable};
use crate::output::Sink;
use crate::output::dataset::{self, Dataset, Parts, Storage, Tally};
use crate::output::filter::Filter;
use crate::pipeline::{self, Config, InputProblem, Report, run_capture};
use crate::position::Timestamp;

/// An input, and what it is to be read with, besides the options.
pub(super) struct Task<'a> {
    pub(super) job: &'a Job,
    pub(super) input: String,
    pub(super) options: String,
    pub(super) keys: String,
    /// Rows of an earlier run are there.
    pub(super) kept: bool,
}

/// What became of some inputs.
#[derive(Default)]
pub(super) struct Outcome {
    /// Those that were read. Their parts are whole, and not yet in their places.
    pub(super) groups: Vec<Group>,
    /// Those that can't be used, and why.
    pub(super) failed: Vec<Failed>,
    pub(super) problems: Vec<InputProblem>,
}

/// Why an input is not done.
#[derive(Debug)]
enum Failure {
    /// It can't be used; nothing else is touched by that.
    Input(String),
    /// Rows are in the parts that must not be there: of this input, or of one before it.
    Spoiled(String),
    /// The dataset can't be written, or the run was stopped.
    Output(io::Error),
}

/// Reads inputs. An error says that the dataset can't be written, or, [`io::ErrorKind::Interrupted`], that the run was
/// stopped.
pub(super) fn process(
    tasks: &[Task<'_>],
    threads: usize,
    options: &Options,
    progress: &Progress,
) -> io::Result<Outcome> {
    let records: Vec<Record> = tasks.iter().map(Task::record).collect();
    let id = Record::id(records.iter());
    let mut ended = 0;
    let result = bundle(tasks, &id, threads, options, progress, &mut ended);
    if !result.as_ref().is_ok_and(|outcome| !outcome.groups.is_empty()) {
        State::give_up(&options.dir, &id);
    }
    match result {
        Ok(outcome) => Ok(outcome),
        Err(Failure::Output(error)) => Err(error),
        Err(Failure::Input(text) | Failure::Spoiled(text)) if tasks.len() < 2 => {
            let failed = tasks.iter().map(|task| Failed { text: text.clone(), kept: task.kept }).collect();
            Ok(Outcome { failed, ..Outcome::default() })
        }
        // What breaks one input must not spoil the others: each half is read for itself.
        Err(_) => {
            progress.take_back(ended as u64, tasks.iter().take(ended).map(|task| task.job.bytes).sum());
            let (first, second) = tasks.split_at(tasks.len() / 2);
            let mut outcome = process(first, threads, options, progress)?;
            let rest = process(second, threads, options, progress)?;
            outcome.groups.extend(rest.groups);
            outcome.failed.extend(rest.failed);
            outcome.problems.extend(rest.problems);
            Ok(outcome)
        }
    }
}

/// Reads inputs into the same parts; `ended` counts them.
fn bundle(
    tasks: &[Task<'_>],
    id: &str,
    threads: usize,
    options: &Options,
    progress: &Progress,
    ended: &mut usize,
) -> Result<Outcome, Failure> {
    let storage = Storage {
        home: State::work(&options.dir, id).map_err(Failure::Output)?,
        tag: id.to_owned(),
        format: options.format,
        memory: options.rows(),
    };
    let mut parts = Parts::new(storage, &options.limits());
    let (mut outcome, mut inputs) = (Outcome::default(), Vec::new());
    for task in tasks {
        if progress.stopped() {
            return Err(Failure::Output(io::ErrorKind::Interrupted.into()));
        }
        let mut meter = None;
        let result = catch_unwind(AssertUnwindSafe(|| read(task, threads, options, progress, &mut parts, &mut meter)));
        progress.end(meter.as_ref(), task.job.bytes);
        *ended += 1;
        let broken = || Err(Failure::Spoiled(format!("{}: an internal error ended it", task.job.name)));
        match result.unwrap_or_else(|_| broken()) {
            Ok((record, report)) => {
                inputs.push(record);
                outcome.problems.extend(report.problems);
            }
            Err(Failure::Input(text)) => outcome.failed.push(Failed { text, kept: task.kept }),
            Err(other) => return Err(other),
        }
    }
    let name = tasks.last().map_or("", |task| &task.job.name);
    let parts = parts.finish().map_err(|error| unwritten(name, error))?;
    if !inputs.is_empty() {
        outcome.groups.push(Group { id: id.to_owned(), parts, inputs });
    }
    Ok(outcome)
}

/// Rows that fit no table are the input's fault; they become columns many at a time.
fn unwritten(name: &str, error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidData => Failure::Spoiled(format!("{name}: {error}")),
        _ => Failure::Output(error),
    }
}

impl Task<'_> {
    /// What is known of it before it is read.
    fn record(&self) -> Record {
        Record {
            key: self.job.key.clone(),
            input: self.input.clone(),
            options: self.options.clone(),
            keys: self.keys.clone(),
            files: self.job.files.clone(),
            bytes: self.job.bytes,
            messages: None,
            tally: Tally::default(),
        }
    }
}

fn read(
    task: &Task<'_>,
    threads: usize,
    options: &Options,
    progress: &Progress,
    parts: &mut Parts,
    meter: &mut Option<Arc<AtomicU64>>,
) -> Result<(Record, Report), Failure> {
    let job = task.job;
    let mut config = Config { inputs: Vec::new(), ..options.config.clone() };
    config.jobs = NonZeroUsize::new(threads);
    config.limits = options.limits();
    config.all_tls = true;
    config.connections = true;
    config.mail.digests = true;
    config.mail.bodies = options.messages.is_some();

    let capture = Capture::open(&job.inputs, &config.limits).map_err(|e| Failure::Input(e.to_string()))?;
    progress.begin(meter.insert(capture.meter()), job.bytes);
    let record = task.record();
    let messages = options.messages.as_ref().map(|_| format!("mail/{}", Record::id([&record].into_iter())));
    let told = dataset::Options {
        input: job.key.clone(),
        messages: messages.clone().zip(options.messages.clone()),
        ports: config.decode_as.iter().map(|d| d.port).collect(),
        only_sessions: options.criteria.needs_sessions(),
    };
    let before = parts.rows();
    let rows = Dataset::new(told, parts, &config.limits).map_err(Failure::Output)?;
    let (report, rows, undecided) = match options.criteria.is_empty() {
        true => {
            let mut sink = Guard { inner: rows, progress };
            (run_capture(capture, config, &mut sink), sink.inner, 0)
        }
        false => {
            let mut sink = Filter::new(Guard { inner: rows, progress }, options.criteria.clone(), options.waiting());
            let report = run_capture(capture, config, &mut sink);
            let undecided = sink.undecided();
            (report, sink.into_inner().inner, undecided)
        }
    };
    let tally = Tally { undecided, ..rows.into_tally() };
    let failure = |text| if parts.rows() == before { Failure::Input(text) } else { Failure::Spoiled(text) };
    let report = report.map_err(|error| match error {
        pipeline::Error::Capture(error) => failure(error.to_string()),
        pipeline::Error::Output(error) => unwritten(&job.name, error),
    })?;
    let lost = report.problems.iter().filter(|p| p.loses_packets);
    if let Some(problem) = lost.clone().next()
        && report.frames == 0
        && lost.count() >= job.files.len()
    {
        return Err(failure(format!("{}: {}", problem.file, problem.text)));
    }
    let messages = messages.filter(|_| tally.extracted > 0);
    Ok((Record { messages, tally, ..record }, report))
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
