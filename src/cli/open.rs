//! Where output goes.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use mailcap::capture::Input;
use mailcap::output::FileError;
use mailcap::output::style::Color;
use tempfile::{Builder, NamedTempFile};

use super::args::{ColorChoice, Common};
use super::stdout_is_terminal;

/// An output that can be handed to a sink.
pub(super) type Output = Box<dyn Write + Send>;

/// Opens the output: stdout, or a file that does not exist yet (unless `--force`) and is nothing that the run reads.
/// `private` is for what holds messages; passwords make it so, too.
pub(super) fn output(options: &Common, reads: &Reads, private: bool) -> anyhow::Result<Output> {
    match options.file() {
        None => Ok(stdout()),
        Some(path) => {
            let file = create(path, options.force, private || options.show_secrets, reads)?;
            Ok(Box::new(buffered(file, path, "; it holds what was written before")))
        }
    }
}

/// Standard output.
pub(super) fn stdout() -> Output {
    Box::new(BufWriter::with_capacity(64 << 10, io::stdout()))
}

/// Files that a run reads: an output never replaces one of them.
pub(super) struct Reads(Vec<PathBuf>);

impl Reads {
    /// The inputs and what the options name; `more` is what one command reads besides.
    pub(super) fn new(options: &Common, inputs: &[Input], more: Option<&Path>) -> Self {
        let inputs = inputs.iter().filter_map(|input| match input {
            Input::File(path) | Input::Found(path) => Some(path.as_path()),
            Input::Stdin => None,
        });
        let keys = options.key.iter().chain(&options.keylog).chain(&options.key_password_file);
        let keys = keys.chain(options.tshark_key.iter().map(|key| &key.file)).map(PathBuf::as_path);
        Reads(inputs.chain(keys).chain(more).map(Path::to_owned).collect())
    }

    /// The one that is `path`, by whatever name, or a folder of keys that holds it.
    fn find(&self, path: &Path) -> Option<&Path> {
        let (real, metadata) = (path.canonicalize().ok()?, path.metadata().ok()?);
        let is_it = |read: &Path| {
            same_file(read, &metadata)
                || read.canonicalize().is_ok_and(|r| r == real || r.is_dir() && real.starts_with(r))
        };
        self.0.iter().map(PathBuf::as_path).find(|read| is_it(read))
    }
}

/// Whether a path leads to that file, which may have several names (hard links).
#[cfg(unix)]
fn same_file(path: &Path, metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.metadata().is_ok_and(|m| (m.dev(), m.ino()) == (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn same_file(_: &Path, _: &std::fs::Metadata) -> bool {
    false
}

fn buffered(file: File, path: &Path, kept: &'static str) -> BufWriter<Named> {
    BufWriter::with_capacity(64 << 10, Named { file, path: path.to_owned(), kept })
}

/// A file whose errors say which it is.
pub(super) struct Named {
    file: File,
    path: PathBuf,
    /// What becomes of it after an error.
    kept: &'static str,
}

impl Named {
    fn name(&self, error: &io::Error) -> io::Error {
        FileError::with_word(&self.path, error, self.kept)
    }
}

impl Write for Named {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|e| if e.kind() == io::ErrorKind::Interrupted { e } else { self.name(&e) })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(|e| self.name(&e))
    }
}

/// A new file, readable by its owner alone if `private`. With `force`, in the place of what is there.
fn create(path: &Path, force: bool, private: bool, reads: &Reads) -> anyhow::Result<File> {
    let name = path.display();
    let cant = || format!("{name}: can't be written");
    let device = path.metadata().is_ok_and(|m| !m.is_file() && !m.is_dir());
    check(path, force || device, reads)?;
    let mut how = OpenOptions::new();
    how.write(true);
    if !device {
        // A link is replaced, not followed; so is what others may read.
        match path.symlink_metadata() {
            Ok(_) if force => std::fs::remove_file(path).with_context(cant)?,
            _ => {}
        }
        how.create_new(true);
    }
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    }
    how.open(path).with_context(cant)
}

/// Whether a file may be written there: it does not exist yet, unless `force`, and is nothing that the run reads.
fn check(path: &Path, force: bool, reads: &Reads) -> anyhow::Result<()> {
    let name = path.display();
    if path.is_dir() {
        bail!("{name}: this is a folder; -o needs the name of a file");
    }
    if let Some(read) = reads.find(path) {
        match read == path || !read.is_dir() {
            true => bail!("{name}: this is one of the inputs; use another name for -o"),
            false => bail!("{name}: this is in a folder that is read as input; use another name for -o"),
        }
    }
    if !force && path.symlink_metadata().is_ok() {
        bail!("{name}: the file exists; use another name, or --force to overwrite it");
    }
    match folder_of(path) {
        folder if folder.is_dir() => Ok(()),
        folder => bail!("{name}: can't be written: there is no folder {}; make it first", folder.display()),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a folder may be written to there: what is there is one, or nothing is.
pub(super) fn check_folder(path: &Path) -> anyhow::Result<()> {
    if path.symlink_metadata().is_ok() && !path.is_dir() {
        bail!("{}: this is not a folder; -o needs the name of a folder", path.display());
    }
    Ok(())
}

/// A file of secrets: with mode 0600, and under its name only when it is whole.
pub(super) struct Private<'a> {
    path: &'a Path,
    force: bool,
    file: NamedTempFile,
}

impl<'a> Private<'a> {
    /// Begins it, hidden, beside its final name.
    pub(super) fn new(path: &'a Path, force: bool, reads: &Reads) -> anyhow::Result<Self> {
        check(path, force, reads)?;
        let name = path.display();
        if path.metadata().is_ok_and(|m| !m.is_file()) {
            // It would be replaced, not written to.
            bail!("{name}: this is not a regular file; use another name for -o");
        }
        let file = Builder::new().prefix(".mailcap-").tempfile_in(folder_of(path));
        let file = file.with_context(|| format!("{name}: can't be written"))?;
        Ok(Private { path, force, file })
    }

    /// Where to write.
    pub(super) fn writer(&self) -> anyhow::Result<BufWriter<Named>> {
        let file =
            self.file.as_file().try_clone().with_context(|| format!("{}: can't be written", self.path.display()))?;
        Ok(buffered(file, self.path, "; it was not created"))
    }

    /// Where it stands until it has its name.
    pub(super) fn unfinished(&self) -> &Path {
        self.file.path()
    }

    /// Gives it its name. Without this it is removed.
    pub(super) fn keep(self) -> anyhow::Result<()> {
        let Private { path, force, file } = self;
        let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
        kept.map(|_| ()).map_err(|e| e.error).with_context(|| format!("{}: can't be written", path.display()))
    }
}

/// Whether to colour what goes to the output.
pub(super) fn color(choice: ColorChoice, to_file: bool) -> Color {
    let wanted = match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
            let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
            !to_file && !refused && !dumb && stdout_is_terminal()
        }
    };
    if wanted { Color::On } else { Color::Off }
}

/// Columns of the terminal that stdout is; 0 if it is none.
pub(super) fn width() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(0, |(width, _)| width.0.into())
}
