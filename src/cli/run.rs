//! Each command: from its options to a run, and from the run to an exit code.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{Context, bail};
use mailcap::capture::{self, Capture, Input};
use mailcap::limits::Limits;
use mailcap::mail;
use mailcap::output::auth::Auths;
use mailcap::output::ciphers as table;
use mailcap::output::extract;
use mailcap::output::filter::{Criteria, Filter};
use mailcap::output::json::{Json, Select};
use mailcap::output::services;
use mailcap::output::sessions::{Look, Sessions};
use mailcap::output::spill::DEFAULT_BUDGET;
use mailcap::output::tally::Tally;
use mailcap::output::time::Zone;
use mailcap::output::tls::Tls;
use mailcap::output::transcript::{Layout, Options, Transcript};
use mailcap::output::{FileError, Sink};
use mailcap::pipeline::{self, Config, InputProblem, Report};
use mailcap::position::Timestamp;
use mailcap::wire::link_type_name;

use super::args::{self, Common};
use super::interrupt::{self, Interrupt, Signalled};
use super::open::{self, Output, Reads};
use super::watch::{Seen, Watch};
use super::{complain, compute, keys, stats, stdout_is_terminal};

/// How a command ended: the exit code.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// All decoded.
    Done,
    /// Nothing of mail found, or no handshake.
    Nothing,
    /// Usage, or something that can't be used at all.
    Unusable,
    /// Part of a mail session is missing.
    Incomplete,
    /// By a signal.
    Interrupted,
}

impl Exit {
    pub(super) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Nothing => 1,
            Exit::Unusable => 2,
            Exit::Incomplete => 3,
            Exit::Interrupted => interrupt::CODE,
        }
    }
}

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
    several: bool,
    /// Something that was named can't be used, and the others are read.
    unusable: bool,
    /// The account is told on stderr.
    told: bool,
    memory: usize,
    signalled: Signalled,
}

impl<'a> Job<'a> {
    /// Opens what is named, before anything is written.
    pub(super) fn new(options: &'a Common, files: &[PathBuf]) -> anyhow::Result<Self> {
        Job::checked(options, files, |_| Ok(()))
    }

    /// As [`Job::new`], if `check` has nothing against the inputs. One bad file among several is told, and is no reason not
    /// to read the others.
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
    fn output(&self, private: bool, more: Option<&Path>) -> anyhow::Result<Output> {
        open::output(self.options, &self.reads(more), private)
    }

    pub(super) fn reads(&self, more: Option<&Path>) -> Reads {
        Reads::new(self.options, &self.inputs, more)
    }

    fn look(&self) -> Look {
        let color = open::color(self.options.color, self.options.file().is_some());
        let width = if self.options.file().is_none() { open::width() } else { 0 };
        Look { zone: self.options.tz.clone(), color, live: self.live, several: self.several, width }
    }

    /// Whether somebody may be waiting at the other end of a pipe.
    pub(super) fn flush(&self) -> bool {
        self.live || (self.options.file().is_none() && !stdout_is_terminal())
    }

    fn json(&self, out: Output, select: Select) -> Box<dyn Sink + Send> {
        Box::new(Json::new(out, select, self.flush()).with_stats(self.options.stats))
    }

    pub(super) fn criteria(&self) -> anyhow::Result<Criteria> {
        let o = self.options;
        let time = |name: &str, text: &Option<String>, parsed: fn(&Zone, &str) -> Option<Timestamp>| {
            let Some(text) = text else { return Ok(None) };
            match parsed(&o.tz, text) {
                Some(ts) => Ok(Some(ts)),
                None => bail!(
                    "{name} {text}: no time; expected 2026-11-24, '2026-11-24 10:00' or '2026-11-24 10:00:01.5' (in the zone of \
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
        for (&number, count) in &report.unknown_link_types {
            let name = link_type_name(number).map(|name| format!(" ({name})")).unwrap_or_default();
            let (frames, were) = (self::count(*count, "frame"), if *count == 1 { "was" } else { "were" });
            complain(&format!("{frames} of link type {number}{name} {were} skipped: mailcap does not read it"));
        }
        if report.judged_early > 0 {
            let connections = count(report.judged_early, "connection");
            complain(&format!(
                "judged by their first bytes alone: {connections}, as too many said little; --max-memory sets the bound"
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

/// 2 wins over 3, 3 over 1.
pub(super) fn exit(found: bool, seen: &Seen, report: &Report) -> Exit {
    if seen.unusable {
        Exit::Unusable
    } else if seen.incomplete > 0 || report.is_unreadable() || report.problems.iter().any(|p| p.loses_packets) {
        Exit::Incomplete
    } else if found {
        Exit::Done
    } else {
        Exit::Nothing
    }
}

pub(super) fn exit_of_mail(seen: &Seen, report: &Report) -> Exit {
    let exit = exit(seen.sessions > 0, seen, report);
    if exit == Exit::Nothing {
        complain(&nothing(MAIL, report.mail_sessions, seen, report));
    }
    exit
}

/// What most commands look for.
const MAIL: &str = "mail session";

/// The mail ports to which somebody asked for a connection: `port 25`, `ports 25, 587`.
fn ports(report: &Report) -> String {
    let list: Vec<String> = report.tried.iter().map(u16::to_string).collect();
    format!("{} {}", if list.len() == 1 { "port" } else { "ports" }, list.join(", "))
}

/// Why there is nothing to show, of `all` that there were before the selection.
pub(super) fn nothing(thing: &str, all: u64, seen: &Seen, report: &Report) -> String {
    let times = &seen.times;
    match all {
        0 => {}
        1 => return format!("the only {thing} does not fit the selection{times}"),
        _ => return format!("none of {} fits the selection{times}", count(all, thing)),
    }
    match (report.frames, report.segments) {
        (0, _) => format!("no {thing} found: there are no packets in the capture"),
        (frames, 0) => format!("no {thing} found: none of {} is TCP", count(frames, "packet")),
        _ if thing == MAIL && !report.tried.is_empty() => {
            let ports = ports(report);
            format!(
                "no {thing} found, but attempts to connect to {ports}: `mailcap services` tells if they were refused"
            )
        }
        _ => format!("no {thing} found; `-d tcp.port==N,smtp` names a port, `mailcap COMMAND --help` tells more"),
    }
}

/// Of sessions that nobody could judge.
pub(super) fn undecided_line(n: u64) -> String {
    format!("{} left out may fit the selection: something is missing or stayed encrypted", count(n, "mail session"))
}

/// `1 secret`, `2 secrets`.
pub(super) fn count(n: u64, thing: &str) -> String {
    if n == 1 { format!("{n} {thing}") } else { format!("{n} {thing}s") }
}

/// Bounds that add up to about what the user grants.
pub(super) fn limits(max_memory: Option<usize>) -> Limits {
    max_memory.map_or_else(Limits::default, Limits::within)
}

pub(super) fn decode(options: &args::Decode) -> anyhow::Result<Exit> {
    let job = Job::new(&options.common, &options.input.files)?;
    let out = job.output(options.bodies, None)?;
    let sink: Box<dyn Sink + Send> = if options.common.json {
        job.json(out, Select::All)
    } else {
        let layout = match (options.live, options.one_line) {
            (true, _) => Layout::Live,
            (_, true) => Layout::OneLine,
            _ => Layout::Story,
        };
        let Look { zone, color, .. } = job.look();
        let shown = Options {
            layout,
            absolute: options.abs,
            zone,
            color,
            several: job.several,
            flush: job.flush() || options.live,
            memory: job.memory,
        };
        Box::new(Transcript::new(out, shown))
    };
    let wanted = Wanted { digests: true, bodies: options.bodies, openings: options.live, ..Wanted::default() };
    let (seen, report) = job.run(sink, wanted)?;
    Ok(exit_of_mail(&seen, &report))
}

pub(super) fn sessions(options: &args::Sessions) -> anyhow::Result<Exit> {
    let job = Job::new(&options.common, &options.input.files)?;
    let out = job.output(false, None)?;
    let sink: Box<dyn Sink + Send> = match options.common.json {
        true => job.json(out, Select::Sessions),
        false => Box::new(Sessions::new(out, job.look())),
    };
    let (seen, report) = job.run(sink, Wanted::counts())?;
    Ok(exit_of_mail(&seen, &report))
}

pub(super) fn services(options: &args::Services) -> anyhow::Result<Exit> {
    let job = Job::new(&options.common, &options.input.files)?;
    let out = job.output(false, None)?;
    let decode_as = options.common.decode_as.iter().map(|d| d.port);
    let what = services::Options {
        all: options.all,
        ports: decode_as.chain(options.common.tshark_key.iter().filter_map(|k| Some(k.decode_as?.port))).collect(),
        only_sessions: job.criteria()?.needs_sessions(),
        json: options.common.json,
        stats: options.common.stats,
        look: Look { live: false, ..job.look() },
    };
    let (selected, all) = (!job.criteria()?.is_empty(), options.all);
    let sink = services::Services::new(out, what, &limits(options.common.max_memory));
    let listed = sink.listed();
    let (seen, report) =
        job.run(Box::new(sink), Wanted { all_tls: options.all, connections: true, ..Wanted::default() })?;
    let exit = exit(listed.load(Ordering::Relaxed) > 0, &seen, &report);
    if exit == Exit::Nothing {
        complain(&match (selected, all, report.mail_sessions) {
            (true, false, sessions @ 1..) => nothing(MAIL, sessions, &seen, &report),
            (true, ..) => "no endpoint fits the selection".to_owned(),
            (false, false, _) if !report.tried.is_empty() => {
                let ports = ports(&report);
                format!(
                    "no mail endpoint found: attempts to connect to {ports}, and no answer of anybody, so that silence says nothing"
                )
            }
            (false, false, _) => "no mail endpoint found; --all lists every TCP endpoint".to_owned(),
            (false, true, _) => "no TCP endpoint found".to_owned(),
        });
    }
    Ok(exit)
}

pub(super) fn tls(options: &args::Tls) -> anyhow::Result<Exit> {
    let job = Job::new(&options.common, &options.input.files)?;
    let out = job.output(false, None)?;
    let sink: Box<dyn Sink + Send> = match options.common.json {
        true => job.json(out, Select::Tls),
        false => Box::new(Tls::new(out, job.look(), options.explain)),
    };
    let (seen, report) = job.run(sink, Wanted { all_tls: true, ..Wanted::counts() })?;
    let exit = exit(seen.handshakes > 0, &seen, &report);
    if exit == Exit::Nothing {
        complain(&nothing("TLS handshake", report.handshakes, &seen, &report));
    }
    Ok(exit)
}

pub(super) fn auth(options: &args::Auth) -> anyhow::Result<Exit> {
    if let Some(mechanism) = options.compute {
        return compute::compute(options, mechanism);
    }
    let passwords = match &options.check {
        Some(path) if path.as_os_str() == "-" && options.files.iter().any(|f| f.as_os_str() == "-") => {
            bail!("standard input can't be both the capture and the passwords")
        }
        Some(path) => compute::passwords(path)?,
        None => Vec::new(),
    };
    let job = Job::new(&options.common, &options.files)?;
    let out = job.output(false, options.check.as_deref())?;
    // Of a session in which something went wrong, what went right is not asked for.
    let failed = options.common.errors;
    let sink: Box<dyn Sink + Send> = match options.common.json {
        true => job.json(out, if failed { Select::FailedAuth } else { Select::Auth }),
        false => {
            let limits = limits(options.common.max_memory);
            let auths = Auths::new(out, job.look(), options.common.show_secrets, &limits);
            Box::new(auths.with_failed_only(failed).with_checked(options.check.is_some()))
        }
    };
    let (seen, report) = job.run(sink, Wanted { passwords, ..Wanted::counts() })?;
    let (what, listed) =
        if failed { ("failed authentication", seen.failed_auths) } else { ("authentication", seen.auths) };
    if listed == 0 && seen.sessions > 0 {
        complain(&format!("no {what} was seen in {}", count(seen.sessions, MAIL)));
    }
    Ok(exit_of_mail(&seen, &report))
}

pub(super) fn extract(options: &args::Extract) -> anyhow::Result<Exit> {
    let Some(dir) = options.common.file() else { bail!("extract writes a folder of messages: name it with -o DIR") };
    open::check_folder(dir)?;
    let mut job = Job::new(&options.common, &options.input.files)?;
    // The manifest is JSON with --json and without it; nothing of it goes to standard output.
    job.told = options.common.stats;
    let shape = extract::Options {
        format: match options.format {
            args::Layout::Eml => extract::Format::Eml,
            args::Layout::Mbox => extract::Format::Mbox,
            args::Layout::Maildir => extract::Format::Maildir,
        },
        attachments: options.attachments,
        parts: options.parts,
        force: options.common.force,
    };
    let sink = extract::Extract::new(dir, shape, &limits(options.common.max_memory))
        .with_context(|| format!("{}: can't be written to", dir.display()))?;
    let written = sink.written();
    let (seen, report) = job.run(Box::new(sink), Wanted { digests: true, bodies: true, ..Wanted::default() })?;
    complain(&format!("{}: {}", dir.display(), told(&written)));
    Ok(exit_of_mail(&seen, &report))
}

/// What `extract` did.
fn told(written: &extract::Written) -> String {
    let all = written.messages();
    let incomplete = match (written.incomplete(), all) {
        (0, _) => String::new(),
        (_, 1) => ", incomplete".to_owned(),
        (n, _) => format!(", {n} of them incomplete"),
    };
    let mut text = match all {
        0 => "no message to write".to_owned(),
        _ => {
            let messages = count(all, "message");
            format!("{messages} written{incomplete}; readable by you alone, listed in manifest.jsonl")
        }
    };
    if written.left() > 0 {
        text += &format!("; {} of messages left out (--parts writes them)", count(written.left(), "part"));
    }
    text
}

pub(super) fn ciphers(options: &args::Ciphers) -> anyhow::Result<Exit> {
    let color = open::color(options.color, false);
    let mut out = io::BufWriter::new(io::stdout().lock());
    table::write(&mut out, options.json, color)?;
    Ok(Exit::Done)
}
