//! Messages as files: each byte for byte as it crossed the wire, and a manifest that says what is what.
//!
//! A message is written to a hidden temporary file while it streams by, and gets its final name when its end is known,
//! so that nothing half-written ever stands under a final name. Names are made of time, session and sequence, never of
//! what came from the wire. Files are created new, with mode 0600.

mod attachments;
mod drafts;
mod mbox;
mod names;
mod whole;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, TempPath};

use super::{Files, Sink, json};
use crate::event::{Event, EventBody, Message, MessagePart};
use crate::limits::Limits;
use crate::pipeline::Report;
use drafts::Drafts;
use mbox::Mbox;
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
    options: Options,
    limits: Limits,
    files: Files,
    drafts: Drafts,
    mbox: Option<Mbox>,
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
        if options.format == Format::Maildir {
            for folder in ["cur", "new", "tmp"] {
                fs::create_dir_all(dir.join(folder))?;
            }
        }
        let home = if options.format == Format::Maildir { dir.join("tmp") } else { dir.to_owned() };
        Ok(Extract {
            mbox: (options.format == Format::Mbox).then(|| Mbox::new(temporary(dir)?)).transpose()?,
            manifest: Some(Whole::new(temporary(dir)?)?),
            drafts: Drafts::new(home),
            dir: dir.to_owned(),
            options,
            limits: limits.clone(),
            files: Files::default(),
            line: Vec::new(),
            written: 0,
        })
    }

    /// Messages written.
    pub fn written(&self) -> u64 {
        self.written
    }

    fn message(&mut self, event: &Event, message: &Message) -> io::Result<()> {
        let draft = self.drafts.take(event.session, message.ordinal)?;
        if message.part != MessagePart::Full && !self.options.parts {
            return Ok(());
        }
        let stem = names::stem(event, message);
        let path = match &mut self.mbox {
            Some(mbox) => {
                mbox.append(&draft, message, event.span.first.ts)?;
                MBOX.to_owned()
            }
            None if self.options.format == Format::Maildir => format!("new/{}", names::maildir(event, message)),
            None => format!("{stem}.eml"),
        };
        if self.options.attachments && !message.attachments.is_empty() {
            attachments::save(&draft, &self.dir.join(format!("{stem}.attachments")), self.options.force, &self.limits)?;
        }
        if self.mbox.is_none() {
            self.persist(draft, &path)?;
        }
        self.line.clear();
        json::push_manifest(&mut self.line, event, &self.files, &path);
        self.line.push(b'\n');
        if let Some(manifest) = &mut self.manifest {
            let line = &self.line;
            manifest.append(|out| out.write_all(line)).map_err(|e| named(&self.dir.join(MANIFEST), &e))?;
        }
        self.written += 1;
        Ok(())
    }

    /// Gives the manifest and the mbox their names.
    fn settle(&mut self) -> io::Result<()> {
        if let Some(manifest) = self.manifest.take() {
            self.persist(manifest.into_temp_path(), MANIFEST)?;
        }
        if let Some(mbox) = self.mbox.take() {
            self.persist(mbox.into_temp_path(), MBOX)?;
        }
        Ok(())
    }

    fn persist(&self, draft: TempPath, name: &str) -> io::Result<()> {
        let path = self.dir.join(name);
        let result = if self.options.force { draft.persist(&path) } else { draft.persist_noclobber(&path) };
        result.map_err(|e| named(&path, &e.error))
    }
}

/// An error that says where.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A run that fails, as on a full disk, leaves what was finished, and the manifest of it.
impl Drop for Extract {
    fn drop(&mut self) {
        self.drafts.clear();
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
        match &event.body {
            EventBody::MessageData(data) => {
                let appended = self.drafts.append(event.session, data.ordinal, &data.bytes);
                appended.map_err(|e| named(&self.dir, &e))
            }
            EventBody::Message(message) => self.message(&event, message),
            EventBody::Session(_) => {
                self.drafts.forget(event.session);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        self.settle()
    }
}

#[cfg(test)]
mod tests;
