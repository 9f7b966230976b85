//! Where output goes.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail};
use mailcap::capture::Input;
use mailcap::output::style::Color;

use super::args::{ColorChoice, Common};
use super::stdout_is_terminal;

/// An output that can be handed to a sink.
pub(super) type Output = Box<dyn Write + Send>;

/// Opens the output: stdout, or a file that does not exist yet (unless `--force`) and is none of the inputs.
pub(super) fn output(options: &Common, inputs: &[Input]) -> anyhow::Result<Output> {
    match &options.output {
        None => Ok(Box::new(BufWriter::with_capacity(64 << 10, io::stdout()))),
        Some(path) => {
            let file = create(path, options.force, options.show_secrets, inputs)?;
            Ok(Box::new(BufWriter::with_capacity(64 << 10, file)))
        }
    }
}

fn create(path: &Path, force: bool, private: bool, inputs: &[Input]) -> anyhow::Result<File> {
    let name = path.display();
    if path.is_dir() {
        bail!("{name}: this is a folder; give -o a file");
    }
    if let Ok(real) = path.canonicalize() {
        let same = |input: &Input| matches!(input, Input::File(f) if f.canonicalize().is_ok_and(|f| f == real));
        if inputs.iter().any(same) {
            bail!("{name}: this is one of the inputs; give -o another name");
        }
        if !force {
            bail!("{name}: the file exists; give -o another name, or --force to overwrite it");
        }
    }
    let mut how = OpenOptions::new();
    how.write(true);
    if force {
        how.create(true).truncate(true);
    } else {
        how.create_new(true);
    }
    #[cfg(unix)]
    if private {
        use std::os::unix::fs::OpenOptionsExt;
        how.mode(0o600);
    }
    how.open(path).with_context(|| format!("{name}: can't be written"))
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
