//! An archive of captures → one dataset, input by input: several at once, each finished or not there at all, and a run
//! that was ended goes on where it was.

mod plan;
mod progress;
mod state;
mod work;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::capture::CaptureError;
use crate::fmt::hex;
use crate::limits::Limits;
use crate::output::dataset::{Format, Tally};
use crate::output::extract;
use crate::output::filter::Criteria;
use crate::output::spill::DEFAULT_BUDGET;
use crate::pipeline::{Config, InputProblem};
use plan::Job;
pub use progress::Progress;
use state::{Record, State};
use work::Task;

/// Memory of one input where a bound is given. It does not depend on how many are read at once, so that bounds are not
/// reached sooner with more threads.
const SHARE: usize = 128 << 20;

/// Bytes of rows that wait to be written of one input, where no bound is given: row groups of some MiB of every table.
const ROWS: usize = 64 << 20;

/// Problems with inputs that are kept to be told.
const PROBLEMS: usize = 200;

/// Rises when the same captures and options give other rows than before.
const GENERATION: u32 = 9;

/// What to do.
#[derive(Clone)]
pub struct Options {
    /// The dataset's folder.
    pub dir: PathBuf,
    /// How rows are stored.
    pub format: Format,
    /// Messages to files, too.
    pub messages: Option<extract::Options>,
    /// Keys, ports, whether secrets are shown, and whether rings are torn apart. Inputs, threads and limits are not
    /// looked at.
    pub config: Config,
    /// Only these sessions.
    pub criteria: Criteria,
    /// Threads over all.
    pub jobs: usize,
    /// About how much memory to use over all; without it the usual bounds for each input.
    pub memory: Option<usize>,
    /// Captures smaller than that, as stored, are read one after the other into the same parts, up to so many bytes: a
    /// part each would be larger than its rows, and tools that open ten thousand of them are slow.
    pub bundle: u64,
    /// Forget what earlier runs did, and remove what they wrote.
    pub force: bool,
}

impl Options {
    /// Memory for one input, if it is bounded.
    fn share(&self) -> Option<usize> {
        self.memory.map(|memory| memory.clamp(1, SHARE))
    }

    fn limits(&self) -> Limits {
        self.share().map_or_else(Limits::default, Limits::within)
    }

    /// Bytes of rows of one input that wait to be written. Encoding them takes as much again and more.
    fn rows(&self) -> usize {
        self.share().map_or(ROWS, |share| share / 8)
    }

    /// Bytes of events of one input that wait for their session to end, where sessions are selected.
    fn waiting(&self) -> usize {
        self.share().map_or(DEFAULT_BUDGET, |share| share / 8)
    }

    /// Inputs read at once.
    fn workers(&self) -> usize {
        let most = self.memory.zip(self.share()).map_or(self.jobs, |(memory, share)| memory / share);
        self.jobs.min(most).max(1)
    }

    /// What shows in the rows, but for keys.
    fn digest(&self) -> String {
        let Options { format, messages, criteria, config, .. } = self;
        let shown = (GENERATION, env!("CARGO_PKG_VERSION"), format, messages, criteria);
        let decoded = (&config.decode_as, config.mail.show_secrets, self.limits());
        plan::short(&format!("{shown:?} {decoded:?}"), 64)
    }
}

/// Why a run could not be done, or not to its end. What was finished stays.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No inputs, or one that is not there.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Something can't be written, or read again.
    #[error("{}: {error}", path.display())]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// Another run writes there.
    #[error("{}: another run is writing there; wait for its end, or choose another folder", .0.display())]
    Busy(PathBuf),
    /// The folder is not empty, and no dataset.
    #[error("{}: holds something that is not a dataset; choose a new folder, or use --force to write there all the same", .0.display())]
    Foreign(PathBuf),
}

/// An input that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failed {
    /// Which, and why.
    pub text: String,
    /// It could be used in an earlier run: its rows of that time stay.
    pub kept: bool,
}

/// How a run went.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Inputs there are.
    pub inputs: u64,
    /// Those that were read in this run.
    pub done: u64,
    /// Those that were done before.
    pub skipped: u64,
    /// Those read once more as their files changed / as the options did / as the keys did and TLS had stayed closed.
    pub redone: [u64; 3],
    /// Bytes read in this run, as stored.
    pub bytes: u64,
    /// What can't be used, and why.
    pub failed: Vec<Failed>,
    /// What was wrong with inputs that were read, the first of it.
    pub problems: Vec<InputProblem>,
    /// How much more there was of that.
    pub more_problems: u64,
    /// Inputs of earlier runs of which no file is there any more; their rows stay.
    pub gone: u64,
    /// What was found in the inputs of this run, done now or before.
    pub tally: Tally,
    /// The run was stopped.
    pub stopped: bool,
}

/// Reads what is below `paths` into the dataset, but for what is there already.
pub fn run(paths: &[PathBuf], options: &Options, progress: &Progress) -> Result<Summary, Error> {
    let (bundles, missing) = plan::plan(paths, &options.dir, options.bundle, options.config.separate)?;
    let mut state = State::open(&options.dir, options.force)?;
    let (digest, keys) = (options.digest(), hex(&options.config.keys.digest()));
    let jobs = || bundles.iter().flatten();
    let inputs = (jobs().count() + missing.len()) as u64;
    let failed =
        |error: &CaptureError| Failed { text: error.to_string(), kept: state.holds_any(Path::new(&error.file)) };
    let failed = missing.iter().map(failed).collect();
    let mut summary = Summary { inputs, failed, ..Summary::default() };
    let here: HashSet<&str> = jobs().flat_map(|job| job.files.iter().map(String::as_str)).collect();
    let is_gone = |record: &&Record| !record.files.iter().any(|f| here.contains(f.as_str()) || Path::new(f).exists());
    summary.gone = state.records().filter(is_gone).count() as u64;
    let due = due(&bundles, (&digest, &keys), &state, &mut summary);
    let tasks = || due.iter().flatten();
    progress.inputs.store(tasks().count() as u64, Ordering::Relaxed);
    progress.bytes.store(tasks().map(|task| task.job.bytes).sum(), Ordering::Relaxed);

    let workers = options.workers().min(due.len().max(1));
    let next = AtomicUsize::new(0);
    let shared = Mutex::new((&mut state, &mut summary, None));
    let work = || {
        while let Some(tasks) = due.get(next.fetch_add(1, Ordering::Relaxed)) {
            let left = due.len().saturating_sub(next.load(Ordering::Relaxed)) + 1;
            if progress.stopped() {
                break;
            }
            // The last ones get the threads that have nothing else to do.
            let threads = (options.jobs / workers.min(left)).max(1);
            let result = work::process(tasks, threads, options, progress);
            let mut guard = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (state, summary, fatal) = &mut *guard;
            match result.and_then(|outcome| note(outcome, state, summary)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    progress.stop.store(true, Ordering::Relaxed);
                    fatal.get_or_insert(error);
                }
                _ => {}
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(work);
        }
        work();
    });
    let (_, _, fatal) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = fatal {
        return Err(Error::Output { path: options.dir.clone(), error });
    }
    summary.stopped = progress.stopped();
    // Who came first depends on the threads.
    summary.failed.sort();
    summary.problems.sort_by(|a, b| (&a.file, a.offset).cmp(&(&b.file, b.offset)));
    Ok(summary)
}

/// What there is to do, bundle by bundle.
fn due<'a>(
    bundles: &'a [Vec<Job>],
    (digest, keys): (&str, &str),
    state: &State,
    summary: &mut Summary,
) -> Vec<Vec<Task<'a>>> {
    let mut due = Vec::new();
    for jobs in bundles {
        let mut tasks = Vec::new();
        for job in jobs {
            let before = state.get(&job.key);
            let kept = before.is_some();
            let input = match job.fingerprint() {
                Ok(input) => input,
                Err(error) => {
                    summary.failed.push(Failed { text: format!("{}: can't be read: {error}", job.name), kept });
                    continue;
                }
            };
            match before {
                Some(record) if !is_due(record, &input, digest, keys, state, summary) => {
                    summary.skipped += 1;
                    summary.tally.add(&record.tally);
                }
                _ => tasks.push(Task { job, input, options: digest.to_owned(), keys: keys.to_owned(), kept }),
            }
        }
        if !tasks.is_empty() {
            due.push(tasks);
        }
    }
    due
}

/// Takes what became of a bundle: from here on it is done.
fn note(outcome: work::Outcome, state: &mut State, summary: &mut Summary) -> io::Result<()> {
    summary.failed.extend(outcome.failed);
    let room = PROBLEMS.saturating_sub(summary.problems.len()).min(outcome.problems.len());
    summary.more_problems += (outcome.problems.len() - room) as u64;
    summary.problems.extend(outcome.problems.into_iter().take(room));
    for group in outcome.groups {
        summary.done += group.inputs.len() as u64;
        for record in &group.inputs {
            summary.bytes += record.bytes;
            summary.tally.add(&record.tally);
        }
        state.commit(group)?;
    }
    Ok(())
}

/// Whether an input has to be read once more, and why.
fn is_due(record: &Record, input: &str, options: &str, keys: &str, state: &State, summary: &mut Summary) -> bool {
    let [changed, other_options, other_keys] = &mut summary.redone;
    let count = if record.input != input || !state.is_there(record) {
        changed
    } else if record.options != options {
        other_options
    } else if record.keys != keys && record.tally.closed + record.tally.undecided > 0 {
        other_keys
    } else {
        return false;
    };
    *count += 1;
    true
}
