//! Messages to files, as they stream by: for `extract`, and for whoever lists them in his own way.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::drafts::Drafts;
use super::mbox::Mbox;
use super::{Format, MBOX, Options, attachments, names, temporary};
use crate::event::{Event, EventBody, Message, MessagePart};
use crate::limits::Limits;
use crate::output::FileError;
use crate::position::Timestamp;

/// Writes each message below a folder.
pub struct Messages {
    dir: PathBuf,
    options: Options,
    limits: Limits,
    drafts: Drafts,
    mbox: Option<Mbox>,
}

/// Makes a folder if it is not there; a link that waits under its name leads elsewhere.
fn real_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match path.symlink_metadata()?.is_dir() {
            true => Ok(()),
            false => Err(FileError::wrap(path, &io::Error::other("this is not a folder but a file or a link"))),
        },
        made => made.map_err(|e| FileError::wrap(path, &e)),
    }
}

impl Messages {
    /// Writes below `dir`, which is made if it is not there.
    pub fn new(dir: &Path, options: Options, limits: &Limits) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        if options.format == Format::Maildir {
            for folder in ["cur", "new", "tmp"] {
                real_folder(&dir.join(folder))?;
            }
        }
        let home = if options.format == Format::Maildir { dir.join("tmp") } else { dir.to_owned() };
        Ok(Messages {
            mbox: (options.format == Format::Mbox).then(|| Mbox::new(temporary(dir)?)).transpose()?,
            drafts: Drafts::new(home),
            dir: dir.to_owned(),
            options,
            limits: limits.clone(),
        })
    }

    /// Takes the next event. Of one that ends a message: where that was written to, below the folder, if it was.
    pub fn event(&mut self, event: &Event) -> io::Result<Option<String>> {
        match &event.body {
            EventBody::MessageData(data) => {
                let appended = self.drafts.append(event.session, data);
                appended.map_err(|e| FileError::wrap(&self.dir, &e))?;
            }
            EventBody::Message(message) => return self.message(event, message),
            EventBody::Session(_) => self.drafts.forget(event.session),
            _ => {}
        }
        Ok(None)
    }

    fn message(&mut self, event: &Event, message: &Message) -> io::Result<Option<String>> {
        let (draft, gaps) = self.drafts.take(event.session, message.ordinal)?;
        if message.part != MessagePart::Full && !self.options.parts {
            return Ok(None);
        }
        let stem = names::stem(event, message);
        if self.options.attachments && !message.attachments.is_empty() {
            let dir = self.dir.join(format!("{stem}.attachments"));
            attachments::save(&draft, &gaps, &dir, self.options.force, &self.limits)?;
        }
        self.keep(draft, event, message, stem).map(Some)
    }

    /// Gives a message its place.
    fn keep(&mut self, draft: TempPath, event: &Event, message: &Message, stem: String) -> io::Result<String> {
        let first: Timestamp = event.span.first.ts;
        let path = match &mut self.mbox {
            Some(mbox) => {
                mbox.append(&draft, message, first)?;
                return Ok(MBOX.to_owned());
            }
            None if self.options.format == Format::Maildir => format!("new/{}", names::maildir(event, message)),
            None => stem + ".eml",
        };
        self.persist(draft, &path)?;
        Ok(path)
    }

    /// Gives a temporary file its name below the folder.
    pub(super) fn persist(&self, draft: TempPath, name: &str) -> io::Result<()> {
        let path = self.dir.join(name);
        let result = if self.options.force { draft.persist(&path) } else { draft.persist_noclobber(&path) };
        result.map_err(|e| FileError::wrap(&path, &e.error))
    }

    /// Drops what is not whole.
    pub(super) fn give_up(&mut self) {
        self.drafts.clear();
    }

    /// Ends what all messages share.
    pub fn finish(&mut self) -> io::Result<()> {
        match self.mbox.take() {
            Some(mbox) => self.persist(mbox.into_temp_path(), MBOX),
            None => Ok(()),
        }
    }
}
