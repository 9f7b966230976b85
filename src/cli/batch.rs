//! `mailcap batch`: an archive into a dataset, with a bar that says how far it is.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::{BinaryBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use mailcap::batch::{self, Failed, Progress, Summary};
use mailcap::output::dataset::Format;
use mailcap::output::escape::escape;
use mailcap::output::extract;

use super::args;
use super::exit::Exit;
use super::interrupt::{Interrupt, Signalled};
use super::job::{Job, Wanted, problem_line, undecided_line};
use super::open;
use super::{complain, count};

const INTERRUPTED: &str = "interrupted; the inputs that were finished are kept; run it again to continue";

/// How often the bar is drawn.
const TICK: Duration = Duration::from_millis(200);

/// How often a line says how far it is, where there is no terminal.
const LINE: Duration = Duration::from_secs(60);

/// Inputs that could not be used that are named one by one.
const NAMED: usize = 100;

pub(super) fn batch(options: &args::Batch) -> anyhow::Result<Exit> {
    let common = &options.common;
    let Some(dir) = common.file() else { bail!("batch writes a folder of tables: name it with -o DIR") };
    open::check_folder(dir)?;
    if options.paths.iter().any(|p| p.as_os_str() == "-") {
        bail!("batch can't use standard input, as it can't be read again; give it files and folders");
    }
    let mut job = Job::new(common, &[])?;
    let messages = extract::Options { attachments: options.attachments, ..extract::Options::default() };
    let wanted = batch::Options {
        dir: dir.to_owned(),
        format: format(common.json)?,
        messages: options.extract.then_some(messages),
        criteria: job.criteria()?,
        config: job.config(Wanted::default())?,
        jobs: common.jobs.map_or_else(all_cores, usize::from),
        memory: common.max_memory,
        bundle: options.bundle as u64,
        force: common.force,
    };
    let (progress, over) = (Progress::default(), AtomicBool::new(false));
    let interrupt = Interrupt::listen(Signalled { text: INTERRUPTED, stop: Arc::default(), unfinished: None });
    let result = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&progress, &interrupt, &over));
        let result = batch::run(&options.paths, &wanted, &progress);
        over.store(true, Ordering::SeqCst);
        watcher.thread().unpark();
        result
    });
    interrupt.lower();
    let summary = result?;
    tell(&summary, dir, common.stats)?;
    Ok(exit(&summary))
}

fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(feature = "parquet")]
#[expect(clippy::unnecessary_wraps, reason = "without Parquet it can fail")]
fn format(json: bool) -> anyhow::Result<Format> {
    Ok(if json { Format::Json } else { Format::Parquet })
}

#[cfg(not(feature = "parquet"))]
fn format(json: bool) -> anyhow::Result<Format> {
    if json {
        return Ok(Format::Json);
    }
    bail!("this mailcap was built without Parquet; with --json the same tables are written as JSON Lines")
}

/// Shows how far it is until it is over, and ends it on Ctrl-C.
fn watch(progress: &Progress, interrupt: &Interrupt, over: &AtomicBool) {
    let bar = io::stderr().is_terminal().then(bar);
    let (begun, mut said) = (Instant::now(), Instant::now());
    while !over.load(Ordering::SeqCst) {
        if interrupt.is_signalled() {
            progress.stop.store(true, Ordering::SeqCst);
        }
        let (read, all) = (progress.read(), progress.bytes.load(Ordering::Relaxed));
        match &bar {
            Some(bar) if all > 0 => {
                bar.set_length(all);
                bar.set_position(read);
                bar.set_message(found(progress));
            }
            None if said.elapsed() >= LINE => {
                said = Instant::now();
                let rate = (read as f64 / begun.elapsed().as_secs_f64().max(0.001)) as u64;
                let left = Duration::from_secs(all.saturating_sub(read) / rate.max(1));
                complain(&format!(
                    "{} of {}, {}/s, about {} left; {}",
                    BinaryBytes(read),
                    BinaryBytes(all),
                    BinaryBytes(rate),
                    HumanDuration(left),
                    found(progress)
                ));
            }
            _ => {}
        }
        std::thread::park_timeout(TICK);
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

fn found(progress: &Progress) -> String {
    let count = |n: &std::sync::atomic::AtomicU64| HumanCount(n.load(Ordering::Relaxed));
    let (finished, inputs, sessions) = (&progress.finished, &progress.inputs, &progress.sessions);
    format!("inputs: {} of {}; sessions: {}", count(finished), count(inputs), count(sessions))
}

fn bar() -> ProgressBar {
    let template = "{wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left; {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// What is to be known of a run, problems on stderr, and a line that sums it up.
fn tell(summary: &Summary, dir: &Path, stats: bool) -> io::Result<()> {
    for problem in &summary.problems {
        complain(&problem_line(problem));
    }
    if summary.more_problems > 0 {
        complain(&format!("and {} of this kind", count(summary.more_problems, "more problem")));
    }
    for Failed { text, kept } in summary.failed.iter().take(NAMED) {
        let there = if *kept { "its rows of an earlier run stay" } else { "nothing of it is in the dataset" };
        complain(&format!("{text} ({there})"));
    }
    if let Some(rest) = summary.failed.len().checked_sub(NAMED).filter(|rest| *rest > 0) {
        complain(&format!("and {} that can't be used", count(rest as u64, "more input")));
    }
    let why = ["their files changed", "the options differ", "TLS was not decrypted and the keys differ"];
    for (n, why) in summary.redone.iter().zip(why).filter(|(n, _)| **n > 0) {
        complain(&format!("read again, though done in an earlier run: {}; {why}", count(*n, "input")));
    }
    if summary.gone > 0 {
        complain(&format!("no longer there, from earlier runs: {}; their rows are kept", count(summary.gone, "input")));
    }
    let tally = &summary.tally;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{}: {}: {} done, {} done before, {} failed; {} read; {} ({} with something missing), {}",
        escape(dir.as_os_str().as_encoded_bytes()),
        count(summary.inputs, "input"),
        summary.done,
        summary.skipped,
        summary.failed.len(),
        BinaryBytes(summary.bytes),
        count(tally.sessions, "session"),
        tally.incomplete,
        count(tally.messages, "message"),
    )?;
    if !tally.undecrypted.is_empty() {
        let reasons: Vec<String> =
            tally.undecrypted.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        writeln!(out, "sessions not decrypted, in whole or in part: {}", reasons.join(", "))?;
    }
    if tally.undecided > 0 {
        complain(&undecided_line(tally.undecided));
    }
    let limited = [
        (tally.beyond, "connection", "to more endpoints than are kept of an input"),
        (tally.unoffered, "session", "in which servers offered more than is kept of an input"),
    ];
    for (n, what, why) in limited.iter().filter(|(n, ..)| *n > 0) {
        complain(&format!("not or not fully in `services`: {} {why} (--max-memory sets the bound)", count(*n, what)));
    }
    if stats {
        writeln!(out, "frames read: {}; messages written: {}", tally.frames, tally.extracted)?;
    }
    out.flush()
}

fn exit(summary: &Summary) -> Exit {
    if summary.stopped {
        complain(INTERRUPTED);
        Exit::Interrupted
    } else if !summary.failed.is_empty() {
        Exit::Unusable
    } else if summary.tally.incomplete > 0 || summary.tally.damaged > 0 {
        Exit::Incomplete
    } else if summary.tally.sessions > 0 {
        Exit::Done
    } else {
        complain("no mail session found; if mail is on another port, name it with `-d tcp.port==N,smtp`");
        Exit::Nothing
    }
}
