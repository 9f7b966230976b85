//! Why an input can't be used at all.

use super::Problem;
use crate::position::FileId;

/// An input that can't be used: which, what is wrong with it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {what}{}{hint}", if hint.is_empty() { "" } else { "; " })]
pub struct CaptureError {
    /// The input as the user named it.
    pub file: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl CaptureError {
    pub(super) fn new(file: &str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        CaptureError { file: file.to_owned(), what: what.into(), hint: hint.into() }
    }

    /// As trouble with one input among others.
    pub(super) fn into_problem(self, file: FileId) -> Problem {
        let text = if self.hint.is_empty() { self.what } else { format!("{}; {}", self.what, self.hint) };
        Problem { file, offset: 0, text, loses_packets: true }
    }
}
