//! Messages as files: each byte for byte as it crossed the wire, and a manifest that says what is what.
//!
//! A message is written to a hidden temporary file while it streams by, and gets its final name when its end is known,
//! so that nothing half-written ever stands under a final name. Names are made of time, session and sequence, never of
//! what came from the wire. Files are created new, with mode 0600.

mod attachments;
mod drafts;
mod mbox;
mod messages;
mod names;
mod whole;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::{Files, Sink, json};
use crate::event::Event;
use crate::limits::Limits;
use crate::pipeline::Report;
pub use messages::Messages;
use whole::Whole;

/// How messages are laid out.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A file a message.
    #[default]
    Eml,
    /// One `messages.mbox` (mboxrd: `>*From ` quoted, LF line ends).
    Mbox,
    /// `new/`, `cur/`, `tmp/`.
    Maildir,
}

/// What to write.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Layout.
    pub format: Format,
    /// Save attachments, decoded, in a folder beside their message.
    pub attachments: bool,
    /// Save headers, ranges and sections too, not only whole messages.
    pub parts: bool,
    /// Overwrite what is there.
    pub force: bool,
}

/// The sink of `mailcap extract`.
pub struct Extract {
    dir: PathBuf,
    messages: Messages,
    files: Files,
    /// None once it stands under its name.
    manifest: Option<Whole>,
    line: Vec<u8>,
    written: u64,
}

const MANIFEST: &str = "manifest.jsonl";
const MBOX: &str = "messages.mbox";

impl Extract {
    /// Writes below `dir`, which is made if it is not there.
    pub fn new(dir: &Path, options: Options, limits: &Limits) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let taken = [MANIFEST, MBOX].into_iter().filter(|n| *n == MANIFEST || options.format == Format::Mbox);
        for name in taken {
            let path = dir.join(name);
            if !options.force && path.symlink_metadata().is_ok() {
                let text = format!("{} is there already; choose another folder, or --force", path.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
            }
        }
        Ok(Extract {
            messages: Messages::new(dir, options, limits)?,
            manifest: Some(Whole::new(temporary(dir)?)?),
            dir: dir.to_owned(),
            files: Files::default(),
            line: Vec::new(),
            written: 0,
        })
    }

    /// Messages written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Gives the manifest and the mbox their names.
    fn settle(&mut self) -> io::Result<()> {
        if let Some(manifest) = self.manifest.take() {
            self.messages.persist(manifest.into_temp_path(), MANIFEST)?;
        }
        self.messages.finish()
    }
}

/// An error that says where.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A run that fails, as on a full disk, leaves what was finished, and the manifest of it.
impl Drop for Extract {
    fn drop(&mut self) {
        self.messages.give_up();
        if self.written > 0 {
            let _ = self.settle();
        }
    }
}

/// A hidden file of mode 0600, gone when it is dropped.
fn temporary(dir: &Path) -> io::Result<NamedTempFile> {
    Builder::new().prefix(".mailcap-").suffix(".part").tempfile_in(dir)
}

impl Sink for Extract {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.files.push(name);
        Ok(())
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        let Some(path) = self.messages.event(&event)? else { return Ok(()) };
        self.line.clear();
        let extra = json::Extra { path: Some(&path), ..Default::default() };
        json::push_event(&mut self.line, &event, &self.files, extra);
        self.line.push(b'\n');
        if let Some(manifest) = &mut self.manifest {
            let line = &self.line;
            manifest.append(|out| out.write_all(line)).map_err(|e| named(&self.dir.join(MANIFEST), &e))?;
        }
        self.written += 1;
        Ok(())
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        self.settle()
    }
}

#[cfg(test)]
mod tests;
