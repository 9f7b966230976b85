//! The tables of a dataset, and which event is a row of which.

use crate::event::EventBody;
use crate::output::time;
use crate::position::Timestamp;

/// A table: one JSON type.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `session`
    Sessions,
    /// `command`
    Commands,
    /// `reply`
    Replies,
    /// `auth`
    Auth,
    /// `tls`
    Tls,
    /// `message`
    Messages,
    /// `script`
    Scripts,
    /// `gap`
    Gaps,
    /// `diagnostic`
    Diagnostics,
    /// `service`
    Services,
}

impl Table {
    /// All of them.
    pub const ALL: [Table; 10] = [
        Table::Sessions,
        Table::Commands,
        Table::Replies,
        Table::Auth,
        Table::Tls,
        Table::Messages,
        Table::Scripts,
        Table::Gaps,
        Table::Diagnostics,
        Table::Services,
    ];

    /// Its folder.
    pub fn name(self) -> &'static str {
        match self {
            Table::Sessions => "sessions",
            Table::Commands => "commands",
            Table::Replies => "replies",
            Table::Auth => "auth",
            Table::Tls => "tls",
            Table::Messages => "messages",
            Table::Scripts => "scripts",
            Table::Gaps => "gaps",
            Table::Diagnostics => "diagnostics",
            Table::Services => "services",
        }
    }

    /// Where an event belongs, if it is a row at all. A session that carries no mail is none: only its TLS is told.
    pub(super) fn of(body: &EventBody) -> Option<Table> {
        match body {
            EventBody::Command(_) => Some(Table::Commands),
            EventBody::Reply(_) => Some(Table::Replies),
            EventBody::Auth(_) => Some(Table::Auth),
            EventBody::Tls(_) => Some(Table::Tls),
            EventBody::Message(_) => Some(Table::Messages),
            EventBody::Script(_) => Some(Table::Scripts),
            EventBody::Gap(_) => Some(Table::Gaps),
            EventBody::Diagnostic(_) => Some(Table::Diagnostics),
            EventBody::Session(session) => session.mail.then_some(Table::Sessions),
            EventBody::Opening(_) | EventBody::MessageData(_) | EventBody::Secrets(_) | EventBody::Plain(_) => None,
        }
    }
}

const NANOS: i64 = 86_400 * 1_000_000_000;

/// A day, UTC, counted from 1970-01-01. None stands for the days beyond the bound on partitions.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(pub(super) Option<i64>);

impl Day {
    pub(super) fn of(ts: Timestamp) -> Self {
        Day(Some(ts.0.div_euclid(NANOS)))
    }

    /// The partition's folder, as Hive names it. Not `date`: messages have a field of that name.
    pub(super) fn folder(self) -> String {
        match self.0 {
            Some(day) => format!("day={}", time::date(Timestamp(day.saturating_mul(NANOS)))),
            None => "day=__HIVE_DEFAULT_PARTITION__".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions() {
        assert_eq!(Day::of(Timestamp(1_795_514_401_178_000_000)).folder(), "day=2026-11-24");
        assert_eq!(Day::of(Timestamp(-1)).folder(), "day=1969-12-31");
        assert_eq!(Day::of(Timestamp(0)).folder(), "day=1970-01-01");
        assert_eq!(Day::of(Timestamp(i64::MAX)).folder(), "day=2262-04-11");
        assert_eq!(Day::of(Timestamp(i64::MIN)).folder(), "day=1677-09-21");
        assert_eq!(Day(None).folder(), "day=__HIVE_DEFAULT_PARTITION__");
    }
}
