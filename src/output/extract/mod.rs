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
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::{Builder, NamedTempFile, TempDir};

use super::{FileError, Files, Sink, json};
use crate::event::{Event, EventBody};
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
    /// Where its lines go as well, and what that is called.
    copy: Option<(&'static str, Box<dyn Write + Send>)>,
    line: Vec<u8>,
    written: Arc<Written>,
}

/// How many messages were written, for who gave the sink away.
#[derive(Debug, Default)]
pub struct Written {
    messages: AtomicU64,
    incomplete: AtomicU64,
    left: AtomicU64,
}

impl Written {
    /// Messages and parts of messages written.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Those of which something is missing.
    pub fn incomplete(&self) -> u64 {
        self.incomplete.load(Ordering::Relaxed)
    }

    /// Headers, ranges and sections that were not asked for.
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    fn note(&self, event: &Event, written: bool) {
        let EventBody::Message(message) = &event.body else { return };
        let counter = if written { &self.messages } else { &self.left };
        counter.fetch_add(1, Ordering::Relaxed);
        self.incomplete.fetch_add(u64::from(written && !message.complete), Ordering::Relaxed);
    }
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
            let Ok(there) = path.symlink_metadata() else { continue };
            if there.is_file() && there.len() == 0 {
                // Of a run that found nothing, perhaps for want of a key.
                fs::remove_file(&path)?;
            } else if !options.force {
                let text = format!("{} already exists; choose another folder, or use --force", path.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
            }
        }
        Ok(Extract {
            messages: Messages::new(dir, options, limits)?,
            manifest: Some(Whole::new(temporary(dir)?)?),
            copy: None,
            dir: dir.to_owned(),
            files: Files::default(),
            line: Vec::new(),
            written: Arc::default(),
        })
    }

    /// Writes the manifest's lines there as well; `name` stands for it in an error.
    pub fn copy_manifest(&mut self, name: &'static str, out: Box<dyn Write + Send>) {
        self.copy = Some((name, out));
    }

    /// Does that with the copy and the line at hand.
    fn on_copy(&mut self, f: impl FnOnce(&mut dyn Write, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let Some((name, copy)) = &mut self.copy else { return Ok(()) };
        match f(copy, &self.line) {
            // Who reads it has had enough; the messages are written all the same.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => self.copy = None,
            done => done.map_err(|e| FileError::wrap(Path::new(name), &e))?,
        }
        Ok(())
    }

    /// What it counts while it runs.
    pub fn written(&self) -> Arc<Written> {
        Arc::clone(&self.written)
    }

    /// Gives the manifest and the mbox their names.
    fn settle(&mut self) -> io::Result<()> {
        if let Some(manifest) = self.manifest.take() {
            self.messages.persist(manifest.into_temp_path(), MANIFEST)?;
        }
        self.messages.finish()
    }
}

/// A run that fails, as on a full disk, leaves what was finished, and the manifest of it.
impl Drop for Extract {
    fn drop(&mut self) {
        self.messages.give_up();
        if self.written.messages() > 0 {
            let _ = self.settle();
        }
    }
}

/// Of what is not whole yet: hidden, and for the user alone.
fn hidden() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(".mailcap-").suffix(".part");
    builder
}

/// A folder for the user alone, gone when it is dropped: the names in it are senders' words.
fn temporary_folder(dir: &Path) -> io::Result<TempDir> {
    let mut builder = hidden();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(dir)
}

/// A file of mode 0600, gone when it is dropped.
fn temporary(dir: &Path) -> io::Result<NamedTempFile> {
    hidden().tempfile_in(dir)
}

impl Sink for Extract {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.files.push(name);
        Ok(())
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        let path = self.messages.event(&event)?;
        self.written.note(&event, path.is_some());
        let Some(path) = path else { return Ok(()) };
        self.line.clear();
        let extra = json::Extra { path: Some(&path), ..Default::default() };
        json::push_event(&mut self.line, &event, &self.files, extra);
        self.line.push(b'\n');
        if let Some(manifest) = &mut self.manifest {
            let line = &self.line;
            manifest.append(|out| out.write_all(line)).map_err(|e| FileError::wrap(&self.dir.join(MANIFEST), &e))?;
        }
        self.on_copy(|copy, line| copy.write_all(line))
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        self.settle()?;
        self.on_copy(|copy, _| copy.flush())
    }
}

#[cfg(test)]
mod tests;
