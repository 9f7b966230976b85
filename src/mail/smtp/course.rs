//! How the session as a whole went.

use crate::event::Outcome;
use crate::mail::sasl::Standing;
use crate::position::Direction;

/// What a session's outcome is judged by.
#[derive(Default)]
pub(super) struct Course {
    /// By direction: something came.
    pub seen: [bool; 2],
    /// By direction: it was closed.
    pub ended: [bool; 2],
    /// No more will come.
    pub finished: bool,
    pub one_sided: bool,
    /// Bytes of the server are missing.
    pub server_gap: bool,
    /// The greeting came, or is past.
    pub greeted: bool,
    pub greeting_refused: bool,
    pub hello_refused: bool,
    /// The last MAIL was.
    pub mail_refused: bool,
    pub login: Standing,
    pub quit: bool,
}

impl Course {
    pub(super) fn closed(&self) -> bool {
        self.ended.contains(&true)
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        if self.greeting_refused {
            return Some(Outcome::Refused);
        }
        if self.login.refused {
            return Some(Outcome::AuthFailed);
        }
        if self.quit {
            return Some(Outcome::Completed);
        }
        if !self.finished && !self.closed() {
            return None;
        }
        if !self.seen[Direction::Server.index()] {
            return (self.finished && !self.one_sided && !self.server_gap).then_some(Outcome::NoBanner);
        }
        self.hello_refused.then_some(Outcome::Refused)
    }
}
