//! Each command: from its options to a run, and from the run to an exit code.

use std::io;
use std::sync::atomic::Ordering;

use anyhow::{Context, bail};
use mailcap::output::Sink;
use mailcap::output::auth::Auths;
use mailcap::output::ciphers as table;
use mailcap::output::extract;
use mailcap::output::json::Select;
use mailcap::output::services;
use mailcap::output::sessions::{Look, Sessions};
use mailcap::output::tls::Tls;
use mailcap::output::transcript::{Layout, Options, Transcript};

use super::exit::{Exit, MAIL, exit, exit_of_mail, nothing, ports};
use super::job::{Job, Wanted, limits};
use super::{args, complain, compute, count, open};

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
    if seen.closed && !options.common.json {
        // The table has room for a word.
        complain("`mailcap tls --explain` says why TLS was not decrypted, and what to do");
    }
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
            (true, ..) => "no endpoint matches the selection".to_owned(),
            (false, false, _) if !report.tried.is_empty() => {
                let ports = ports(&report);
                format!(
                    "no mail endpoint found: there were attempts to connect to {ports}, but the capture has no answer from any host, so silence proves nothing"
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
        complain(&match (report.handshakes, report.mail_sessions) {
            (0, sessions @ 1..) => format!(
                "no TLS handshake found, in {}; `mailcap decode` shows what was said in the clear",
                count(sessions, "mail session")
            ),
            (handshakes, _) => nothing("TLS handshake", handshakes, &seen, &report),
        });
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
    let Some(dir) = options.common.file() else { bail!("extract writes messages into a folder: name it with -o DIR") };
    open::check_folder(dir)?;
    let mut job = Job::new(&options.common, &options.input.files)?;
    // Standard output has the manifest's lines, or nothing.
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
    let mut sink = extract::Extract::new(dir, shape, &limits(options.common.max_memory))
        .with_context(|| format!("{}: can't be written to", dir.display()))?;
    if options.common.json {
        sink.copy_manifest("standard output", open::stdout());
    }
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
            format!("{messages} written{incomplete}; listed in manifest.jsonl, readable only by you")
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
