//! An error that says which file of the output it is about.

use std::io;
use std::path::{Path, PathBuf};

/// The file that could not be written, and why. Inside the [`io::Error`] that a sink gives.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct FileError {
    /// Its path.
    pub path: PathBuf,
    why: String,
}

impl FileError {
    /// The error with the path in it, of the same kind.
    pub fn wrap(path: &Path, error: &io::Error) -> io::Error {
        FileError::with_word(path, error, "")
    }

    /// As [`FileError::wrap`], with a word behind it.
    pub fn with_word(path: &Path, error: &io::Error, word: &str) -> io::Error {
        io::Error::new(error.kind(), FileError { path: path.to_owned(), why: format!("{error}{word}") })
    }

    /// The one inside an error.
    pub fn of(error: &io::Error) -> Option<&FileError> {
        error.get_ref()?.downcast_ref()
    }
}
