//! The account of a run and what its sessions are made of, for a person, on stderr: stdout may be data.

use std::collections::BTreeMap;
use std::io::{self, Write};

use mailcap::output::escape::escape;
use mailcap::output::tally::{OTHERS, PERCENTILES, Tally};
use mailcap::output::time::micros;
use mailcap::pipeline::Report;

/// Values told of a kind, the most frequent first; `--json` has them all.
const TOLD: usize = 20;

pub(super) fn write(report: &Report, tally: &Tally) -> io::Result<()> {
    let mut err = io::stderr().lock();
    account(&mut err, report)?;
    breakdown(&mut err, tally)
}

fn account(err: &mut impl Write, report: &Report) -> io::Result<()> {
    let account = &report.account;
    let skipped: u64 = report.skipped.values().sum();
    line(err, "frames read", report.frames)?;
    line(err, "  decoded", report.frames.saturating_sub(skipped))?;
    line(err, "    of TCP", report.segments)?;
    line(err, "  skipped", skipped)?;
    for (reason, count) in &report.skipped {
        line(err, &format!("    {reason}"), *count)?;
    }
    line(err, "mail sessions", report.mail_sessions)?;
    line(err, "  with something missing", report.incomplete)?;
    line(err, "TLS handshakes", report.handshakes)?;
    line(err, "mail bytes decoded", account.decoded)?;
    line(err, "  TLS overhead", account.overhead)?;
    line(err, "  not decrypted", account.undecrypted)?;
    line(err, "  skipped", account.skipped)?;
    line(err, "  duplicate", account.duplicate)?;
    line(err, "  missing in gaps", account.gaps)
}

fn breakdown(err: &mut impl Write, tally: &Tally) -> io::Result<()> {
    let mut servers: BTreeMap<String, u64> = tally.servers.iter().map(|(s, n)| (s.to_string(), *n)).collect();
    if tally.other_servers > 0 {
        servers.insert(OTHERS.to_owned(), tally.other_servers);
    }
    counts(err, "protocols", &tally.protocols)?;
    counts(err, "servers", &servers)?;
    counts(err, "commands", &tally.verbs)?;
    counts(err, "replies", &tally.replies)?;
    if !tally.mechanisms.is_empty() {
        writeln!(err, "authentications")?;
        let mut mechanisms: Vec<_> = tally.mechanisms.iter().collect();
        mechanisms.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.iter().sum::<u64>()));
        for (mechanism, [success, failure, aborted, unknown]) in mechanisms.into_iter().take(TOLD) {
            let name = format!("  {}", escape(mechanism.as_bytes()));
            let all = success + failure + aborted + unknown;
            writeln!(
                err,
                "{name:<40} {all:>14}  {success} succeeded, {failure} failed, {aborted} aborted, {unknown} unknown"
            )?;
        }
    }
    counts(err, "TLS versions", &tally.tls_versions)?;
    counts(err, "TLS suites", &tally.suites)?;
    if tally.latency.count > 0 {
        writeln!(err, "reply times, seconds")?;
        for (name, percent) in PERCENTILES.into_iter().chain([("max", 100)]) {
            let nanos = tally.latency.percentile(percent).unwrap_or_default();
            writeln!(err, "  {name:<38} {:>14}", micros(nanos))?;
        }
    }
    Ok(())
}

fn counts(err: &mut impl Write, title: &str, counts: &BTreeMap<String, u64>) -> io::Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(err, "{title}")?;
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (name, count) in sorted.iter().take(TOLD) {
        line(err, &format!("  {}", escape(name.as_bytes())), **count)?;
    }
    match sorted.get(TOLD..) {
        Some(rest @ [_, ..]) => {
            line(err, &format!("  {} more", rest.len()), rest.iter().map(|(_, count)| **count).sum())
        }
        _ => Ok(()),
    }
}

fn line(err: &mut impl Write, name: &str, count: u64) -> io::Result<()> {
    writeln!(err, "{name:<40} {count:>14}")
}
