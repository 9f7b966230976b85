//! A saved message's attachments, decoded, each in a file of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::names;
use crate::limits::Limits;
use crate::mail::message::mime::{PartInfo, PartObserver, Walker};
use crate::output::FileError;

struct Save<'a> {
    dir: &'a Path,
    force: bool,
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
        if self.force {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(Some(BufWriter::new(create_new(path)?)))
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}

/// Creates a file that was not there; never follows a link that waits under its name.
fn create_new(path: PathBuf) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path).map_err(|e| FileError::wrap(&path, &e))
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

/// Saves the attachments of the message in `message` into the new folder `dir`.
pub(super) fn save(message: &Path, dir: &Path, force: bool, limits: &Limits) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && force && dir.symlink_metadata()?.is_dir() => {}
        Err(e) => return Err(FileError::wrap(dir, &e)),
        Ok(()) => {}
    }
    let mut save = Save { dir, force, max: limits.attachments, count: 0, open: Vec::new(), error: None };
    let (mut walker, mut file, mut buffer) = (Walker::new(limits), File::open(message)?, vec![0; 64 << 10]);
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        walker.push(&buffer[..n], &mut save);
    }
    walker.finish(&mut save);
    save.error.map_or(Ok(()), Err)
}
