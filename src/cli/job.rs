//! From a command's options to a run of the pipeline, and what is said on stderr of the run itself.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{Context, bail};
use mailcap::capture::{self, Capture, Hole, Input};
use mailcap::limits::Limits;
use mailcap::mail;
use mailcap::output::filter::{Criteria, Filter};
use mailcap::output::json::{Json, Select};
use mailcap::output::sessions::Look;
use mailcap::output::spill::DEFAULT_BUDGET;
use mailcap::output::tally::Tally;
use mailcap::output::time::Zone;
use mailcap::output::{FileError, Sink};
use mailcap::pipeline::{self, Config, InputProblem, Report};
use mailcap::position::Timestamp;
use mailcap::wire::link_type_name;

use super::args::Common;
use super::interrupt::{self, Interrupt, Signalled};
use super::open::{self, Output, Reads};
use super::watch::{Seen, Watch};
use super::{complain, count, keys, stats, stdout_is_terminal};

/// What a command wants from the pipeline.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) digests: bool,
    pub(super) bodies: bool,
    /// Messages are counted, not described.
    pub(super) envelopes_only: bool,
    pub(super) all_tls: bool,
    pub(super) tls_secrets: bool,
    pub(super) connections: bool,
    pub(super) openings: bool,
    pub(super) passwords: Vec<(mailcap::event::Text, mailcap::event::Text)>,
}

impl Wanted {
    /// For commands that only count messages: their headers and attachments are not read.
    pub(super) fn counts() -> Self {
        Wanted { envelopes_only: true, ..Wanted::default() }
    }
}

/// Everything that is the same for each command that reads.
pub(super) struct Job<'a> {
    options: &'a Common,
    pub(super) inputs: Vec<Input>,
    capture: Capture,
    live: bool,
    pub(super) several: bool,
    /// Something that was named can't be used, and the others are read.
    unusable: bool,
    /// The account is told on stderr.
    pub(super) told: bool,
    pub(super) memory: usize,
    signalled: Signalled,
}

impl<'a> Job<'a> {
    /// Opens what is named, before anything is written.
    pub(super) fn new(options: &'a Common, files: &[PathBuf]) -> anyhow::Result<Self> {
        Job::checked(options, files, |_| Ok(()))
    }

    /// As [`Job::new`], if `check` has nothing against the inputs. One bad file among several is told, and is no reason
    /// not to read the others.
    pub(super) fn checked(
        options: &'a Common,
        files: &[PathBuf],
        check: fn(&[Input]) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let (inputs, missing) = capture::expand_usable(files)?;
        check(&inputs)?;
        let captures = capture::group(&inputs, options.separate);
        let capture = Capture::open_usable(captures, &limits(options.max_memory))?;
        missing.iter().chain(capture.refused()).for_each(|error| complain(&error.to_string()));
        let unusable = !missing.is_empty() || !capture.refused().is_empty();
        let holes = if options.separate { Vec::new() } else { capture::holes(&inputs) };
        holes.iter().for_each(|hole| complain(&hole_line(hole)));
        let live = inputs.contains(&Input::Stdin);
        let several = inputs.len() > 1;
        let told = options.stats && !options.json;
        // An eighth of what the user grants waits here for sessions to end; the rest is the decoder's.
        let memory = options.max_memory.map_or(DEFAULT_BUDGET, |m| m / 8);
        let signalled = Signalled { text: interrupt::TEXT, stop: capture.stop(), unfinished: None };
        Ok(Job { options, inputs, capture, live, several, unusable, told, memory, signalled })
    }

    /// What goes when the run is interrupted and does not end in order, and what is said then.
    pub(super) fn when_interrupted(&mut self, unfinished: &Path, text: &'static str) {
        self.signalled.text = text;
        self.signalled.unfinished = Some(unfinished.to_owned());
    }

    /// Where the command writes; `private` if messages, `more` what it reads besides inputs and keys.
    pub(super) fn output(&self, private: bool, more: Option<&Path>) -> anyhow::Result<Output> {
        open::output(self.options, &self.reads(more), private)
    }

    pub(super) fn reads(&self, more: Option<&Path>) -> Reads {
        Reads::new(self.options, &self.inputs, more)
    }

    pub(super) fn look(&self) -> Look {
        let color = open::color(self.options.color, self.options.file().is_some());
        let width = if self.options.file().is_none() { open::width() } else { 0 };
        Look { zone: self.options.tz.clone(), color, live: self.live, several: self.several, width }
    }

    /// Whether somebody may be waiting at the other end of a pipe.
    pub(super) fn flush(&self) -> bool {
        self.live || (self.options.file().is_none() && !stdout_is_terminal())
    }

    pub(super) fn json(&self, out: Output, select: Select) -> Box<dyn Sink + Send> {
        Box::new(Json::new(out, select, self.flush()).with_stats(self.options.stats))
    }

    pub(super) fn criteria(&self) -> anyhow::Result<Criteria> {
        let o = self.options;
        let time = |name: &str, text: &Option<String>, parsed: fn(&Zone, &str) -> Option<Timestamp>| {
            let Some(text) = text else { return Ok(None) };
            match parsed(&o.tz, text) {
                Some(ts) => Ok(Some(ts)),
                None => bail!(
                    "{name} {text}: not a time; expected 2026-11-24, '2026-11-24 10:00' or '2026-11-24 10:00:01.5' (in the zone of \
                     --tz), 2026-11-24T10:00:00+01:00 (RFC 3339), or @1795514400 (seconds since 1970)"
                ),
            }
        };
        Ok(Criteria {
            sessions: o.session.clone(),
            protocols: o.proto.clone(),
            hosts: o.host.clone(),
            ports: o.port.clone(),
            users: o.user.clone(),
            from: o.from.clone(),
            to: o.to.clone(),
            since: time("--since", &o.since, Zone::parse_time)?,
            until: time("--until", &o.until, Zone::parse_end)?,
            errors: o.errors,
        })
    }

    pub(super) fn config(&mut self, wanted: Wanted) -> anyhow::Result<Config> {
        let filtered = !self.criteria()?.is_empty();
        let o = self.options;
        let mut decode_as = o.decode_as.clone();
        decode_as.extend(o.tshark_key.iter().filter_map(|k| k.decode_as));
        for (n, one) in decode_as.iter().enumerate() {
            if decode_as.iter().take(n).any(|other| other.port == one.port && other != one) {
                bail!("--decode-as: port {} is given twice, as different protocols", one.port);
            }
        }
        Ok(Config {
            inputs: std::mem::take(&mut self.inputs),
            separate: o.separate,
            keys: keys::ring(o)?,
            limits: limits(o.max_memory),
            mail: mail::Options {
                show_secrets: o.show_secrets,
                digests: wanted.digests,
                bodies: wanted.bodies,
                // A filter may ask for anything.
                envelopes_only: wanted.envelopes_only && !filtered,
                tls_secrets: wanted.tls_secrets,
                plaintext: false,
                openings: wanted.openings,
                passwords: wanted.passwords.into(),
            },
            decode_as,
            all_tls: wanted.all_tls,
            jobs: o.jobs.and_then(|jobs| NonZeroUsize::new(jobs.into())),
            connections: wanted.connections,
        })
    }

    /// Runs, says on stderr what is wrong, and gives what passed by.
    pub(super) fn run(mut self, sink: Box<dyn Sink + Send + '_>, wanted: Wanted) -> anyhow::Result<(Seen, Report)> {
        let config = self.config(wanted)?;
        self.run_with(sink, config)
    }

    /// As [`Job::run`], with what [`Job::config`] gave.
    pub(super) fn run_with(self, sink: Box<dyn Sink + Send + '_>, config: Config) -> anyhow::Result<(Seen, Report)> {
        let criteria = self.criteria()?;
        let filtered = !criteria.is_empty();
        let typed = [criteria.since, criteria.until];
        let mut seen = Seen { tally: self.told.then(Tally::default), unusable: self.unusable, ..Seen::default() };
        let unusable = self.capture.unusable();
        let interrupt = Interrupt::listen(self.signalled.clone());
        let watch = Watch::new(sink, &mut seen, interrupt.clone());
        let (report, undecided) = match filtered {
            true => {
                let mut filter = Filter::new(watch, criteria, self.memory);
                (interrupt::run(self.capture, config, &mut filter, &interrupt), filter.undecided())
            }
            false => (interrupt::run(self.capture, config, &mut { watch }, &interrupt), 0),
        };
        let report = match report {
            Err(error) if interrupt::ends(&error) => {
                return Err(anyhow::Error::new(error).context(interrupt::Said(self.signalled.text)));
            }
            Err(pipeline::Error::Output(error)) if FileError::of(&error).is_none() => {
                let output = self.options.file().map_or("standard output".into(), |p| p.to_string_lossy());
                let context = format!("{output}: can't be written");
                return Err(anyhow::Error::new(pipeline::Error::Output(error)).context(context));
            }
            other => other?,
        };
        seen.unusable |= unusable.load(Ordering::Relaxed) > 0;
        for problem in &report.problems {
            complain(&problem_line(problem));
        }
        for (&number, n) in &report.unknown_link_types {
            let name = link_type_name(number).map(|name| format!(" ({name})")).unwrap_or_default();
            let (frames, were) = (count(*n, "frame"), if *n == 1 { "was" } else { "were" });
            complain(&format!("{frames} of link type {number}{name} {were} skipped: mailcap does not read it"));
        }
        if report.judged_early > 0 {
            let connections = count(report.judged_early, "connection");
            complain(&format!(
                "{connections} judged by the first bytes alone, as there were too many that had sent little; a larger --max-memory allows more"
            ));
        }
        if !filtered {
            // The pipeline knows better, and also of sessions that this command does not list.
            seen.sessions = report.mail_sessions;
            seen.incomplete = report.incomplete;
            seen.handshakes = report.handshakes;
        }
        if seen.incomplete > 0 {
            for line in &seen.lines {
                complain(line);
            }
            let rest = seen.incomplete.saturating_sub(seen.lines.len() as u64);
            if rest > 0 && !seen.lines.is_empty() {
                let sessions = count(rest, "more session");
                complain(&format!("and {sessions} with something missing: column MISSING of `mailcap sessions`"));
            } else if rest > 0 {
                complain(&format!("{}: something is missing", count(rest, "mail session")));
            }
        }
        seen.times = times(typed, &self.options.tz, &report);
        if undecided > 0 {
            complain(&undecided_line(undecided));
        }
        if let Some(tally) = &seen.tally {
            stats::write(&report, tally).context("stderr")?;
        }
        Ok((seen, report))
    }
}

/// What a selection by time, if there is one, has to be held against: what was typed may be of another zone.
fn times(typed: [Option<Timestamp>; 2], zone: &Zone, report: &Report) -> String {
    match (typed, report.span) {
        ([Some(since), Some(until)], _) if since > until => "; --since is later than --until".to_owned(),
        ([None, None], _) | (_, None) => String::new(),
        (_, Some([earliest, latest])) => {
            let (from, to) = (zone.seconds(earliest), zone.seconds(latest));
            format!("; the capture goes from {from} to {to} ({})", zone.name())
        }
    }
}

/// What is wrong with an input, and where in it, if it is not wrong as a whole.
pub(super) fn problem_line(problem: &InputProblem) -> String {
    match problem.offset {
        0 => format!("{}: {}", problem.file, problem.text),
        offset => format!("{}: {} (at byte {offset})", problem.file, problem.text),
    }
}

/// Of files of a ring that are not read.
fn hole_line(Hole { first, last }: &Hole) -> String {
    let (first, others) = (first.display(), "though files before and after are: what was captured then is missing");
    match last {
        None => format!("{first} is not among the inputs, {others}"),
        Some(last) => format!("{first} to {} are not among the inputs, {others}", last.display()),
    }
}

/// Of sessions that nobody could judge.
pub(super) fn undecided_line(n: u64) -> String {
    format!(
        "{} left out may match the selection: part of them is missing or was not decrypted",
        count(n, "mail session")
    )
}

/// Bounds that add up to about what the user grants.
pub(super) fn limits(max_memory: Option<usize>) -> Limits {
    max_memory.map_or_else(Limits::default, Limits::within)
}
