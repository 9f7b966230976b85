//! From what a run found to an exit code, and to the line that says why there is nothing.

use mailcap::pipeline::Report;

use super::watch::Seen;
use super::{complain, count, interrupt};

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
pub(super) const MAIL: &str = "mail session";

/// The mail ports to which somebody asked for a connection: `port 25`, `ports 25, 587`.
pub(super) fn ports(report: &Report) -> String {
    let list: Vec<String> = report.tried.iter().map(u16::to_string).collect();
    format!("{} {}", if list.len() == 1 { "port" } else { "ports" }, list.join(", "))
}

/// Why there is nothing to show, of `all` that there were before the selection.
pub(super) fn nothing(thing: &str, all: u64, seen: &Seen, report: &Report) -> String {
    let times = &seen.times;
    match all {
        0 => {}
        1 => return format!("the only {thing} does not match the selection{times}"),
        _ => return format!("none of {} matches the selection{times}", count(all, thing)),
    }
    match (report.frames, report.segments) {
        (0, _) => format!("no {thing} found: there are no packets in the capture"),
        (frames, 0) => format!("no {thing} found: none of {} is TCP", count(frames, "packet")),
        _ if report.mail_sessions == 0 && !report.tried.is_empty() => {
            let ports = ports(report);
            format!(
                "no {thing} found, only attempts to connect to {ports}; `mailcap services` shows whether they were refused"
            )
        }
        _ => format!("no {thing} found; if mail is on another port, name it with `-d tcp.port==N,smtp`"),
    }
}
