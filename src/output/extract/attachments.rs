//! A saved message's attachments, decoded, each in a file of its own. They come up together, once all are whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use super::names;
use crate::limits::Limits;
use crate::mail::message::mime::{PartInfo, PartObserver, Walker};
use crate::output::FileError;

struct Save<'a> {
    dir: &'a Path,
    max: usize,
    count: usize,
    open: Vec<(u64, BufWriter<File>)>,
    error: Option<io::Error>,
}

impl Save<'_> {
    fn create(&mut self, part: &PartInfo) -> io::Result<Option<BufWriter<File>>> {
        if self.count >= self.max {
            return Ok(None);
        }
        self.count += 1;
        let path = self.dir.join(names::attachment(self.count, part.filename.as_deref(), &part.content_type));
        Ok(Some(BufWriter::new(create_new(&path)?)))
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}

fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

impl PartObserver for Save<'_> {
    fn begin(&mut self, part: PartInfo) {
        match self.create(&part) {
            Ok(Some(file)) => self.open.push((part.id, file)),
            Ok(None) => {}
            Err(error) => self.note(Err(error)),
        }
    }

    fn data(&mut self, id: u64, bytes: &[u8]) {
        if let Some((_, file)) = self.open.iter_mut().rev().find(|(open, _)| *open == id) {
            let result = file.write_all(bytes);
            self.note(result);
        }
    }

    fn end(&mut self, id: u64) {
        if let Some(at) = self.open.iter().rposition(|(open, _)| *open == id) {
            let (_, mut file) = self.open.remove(at);
            let result = file.flush();
            self.note(result);
        }
    }
}

/// Saves the attachments of the message in `message` into the new folder `dir`, or all over what stands in it by
/// `force`. Before the bytes at `gaps` others are missing: the parts are those that were found while the message came.
pub(super) fn save(message: &Path, gaps: &[u64], dir: &Path, force: bool, limits: &Limits) -> io::Result<()> {
    let taken = dir.symlink_metadata().map(|there| there.is_dir());
    let result = match taken {
        Ok(is_folder) if !force || !is_folder => Err(io::ErrorKind::AlreadyExists.into()),
        _ => write(message, gaps, dir, taken.is_ok(), limits),
    };
    result.map_err(|e| FileError::wrap(dir, &e))
}

fn write(message: &Path, gaps: &[u64], dir: &Path, over: bool, limits: &Limits) -> io::Result<()> {
    let made = super::temporary_folder(dir.parent().unwrap_or(dir))?;
    let mut save = Save { dir: made.path(), max: limits.attachments, count: 0, open: Vec::new(), error: None };
    let (mut walker, mut file, mut buffer) = (Walker::new(limits), File::open(message)?, vec![0; 64 << 10]);
    let (mut at, mut gaps) = (0, gaps.iter().peekable());
    loop {
        let next = gaps.peek().map_or(usize::MAX, |&&gap| usize::try_from(gap - at).unwrap_or(usize::MAX));
        if next == 0 {
            walker.gap(&mut save);
            gaps.next();
            continue;
        }
        let room = buffer.len().min(next);
        let n = file.read(&mut buffer[..room])?;
        if n == 0 {
            break;
        }
        walker.push(&buffer[..n], &mut save);
        at += n as u64;
    }
    walker.finish(&mut save);
    save.error.map_or(Ok(()), Err)?;
    if !over {
        fs::rename(made.path(), dir)?;
        let _ = made.keep();
        return Ok(());
    }
    for entry in fs::read_dir(made.path())? {
        let entry = entry?;
        // Replaces a link that waits there, not what it names.
        fs::rename(entry.path(), dir.join(entry.file_name()))?;
    }
    Ok(())
}
