//! Who is logged in, as far as it was seen.

use super::AuthOutcome;
use crate::event::Text;

/// What the authentications of a session came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Who got in, and until then who tried last.
    pub(crate) user: Option<Text>,
    /// The server refused this user.
    refused_user: bool,
    /// Somebody got in.
    pub(crate) inside: bool,
    /// Somebody was refused, and nobody got in.
    pub(crate) refused: bool,
}

impl Standing {
    /// An authentication ended.
    pub(crate) fn ended(&mut self, tried: Option<Text>, outcome: AuthOutcome) {
        if outcome == AuthOutcome::Success || tried.is_some() && !self.inside {
            self.user = tried;
            self.refused_user = outcome == AuthOutcome::Failure;
        }
        match outcome {
            AuthOutcome::Success => (self.inside, self.refused) = (true, false),
            AuthOutcome::Failure => self.refused = !self.inside,
            // Nobody refused it.
            AuthOutcome::Aborted | AuthOutcome::Unknown => {}
        }
    }

    /// The server did what it does for its users alone: behind a refusal somebody got in, which was not captured.
    pub(crate) fn served(&mut self) {
        if std::mem::take(&mut self.refused) {
            self.inside = true;
            self.user.take_if(|_| self.refused_user);
        }
    }
}
