//! Arguments → options, and the exit code. Only the binary knows clap and colour.

mod args;
mod batch;
mod compute;
mod exit;
mod help;
mod interrupt;
mod job;
mod keys;
mod open;
mod parse;
mod run;
mod secrets;
mod stats;
mod watch;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use mailcap::output::escape::escape;

use self::args::{Cli, Command};
use self::exit::Exit;

/// Writes a line to stderr, prefixed by the program's name and made safe for the terminal. Nothing can be done when
/// stderr is gone.
fn complain(text: &str) {
    let text = without_numbers(text);
    let shown = escape(text.as_bytes());
    let _ = writeln!(io::stderr().lock(), "mailcap: {shown}");
}

/// Without the numbers that the standard library puts behind the system's messages: ` (os error 2)`.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => out.push_str(rest),
            _ => {
                out.push_str(" (os error ");
                out.push_str(part);
            }
        }
    }
    out
}

/// `1 secret`, `2 secrets`.
fn count(n: u64, thing: &str) -> String {
    if n == 1 { format!("{n} {thing}") } else { format!("{n} {thing}s") }
}

/// Runs the command line.
pub(crate) fn main() -> ExitCode {
    interrupt::survive_file_limits();
    let words: Vec<_> = std::env::args_os().collect();
    if let Some(file) = words.get(1).filter(|_| words.len() > 1).and_then(|w| help::file_without_command(w)) {
        let file = file.display();
        complain(&format!("{file}: this is a file, not a command; try: mailcap decode {file}"));
        return ExitCode::from(Exit::Unusable.code());
    }
    let cli = match Cli::definition().try_get_matches_from(&words).and_then(|mut m| Cli::from_arg_matches_mut(&mut m)) {
        Ok(cli) => cli,
        Err(mut error) => {
            // In tshark's syntax a password follows: it must not be repeated.
            if matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(arg)) if arg.starts_with("--tshark-key"))
            {
                error.insert(ContextKind::InvalidValue, ContextValue::String("…".to_owned()));
            }
            if error.kind() == ErrorKind::UnknownArgument {
                // "To pass it as a value": no file is called like that.
                error.remove(ContextKind::Suggested);
            }
            // Help and version go to stdout with 0, usage errors to stderr with 2.
            tell_usage(&error, &words);
            if let Some(hint) = hint(&error, &words) {
                complain(hint);
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match cli.command {
        None => help::print(),
        Some(Command::Decode(options)) => run::decode(&options),
        Some(Command::Sessions(options)) => run::sessions(&options),
        Some(Command::Services(options)) => run::services(&options),
        Some(Command::Tls(options)) => run::tls(&options),
        Some(Command::Auth(options)) => run::auth(&options),
        Some(Command::Extract(options)) => run::extract(&options),
        Some(Command::Decrypt(options)) => secrets::decrypt(&options),
        Some(Command::Keylog(options)) => secrets::keylog(&options),
        Some(Command::Batch(options)) => batch::batch(&options),
        Some(Command::Ciphers(options)) => run::ciphers(&options),
    };
    match result {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) if interrupt::is_interrupted(&error) => {
            complain(error.downcast_ref::<interrupt::Said>().map_or(interrupt::TEXT, |said| said.0));
            ExitCode::from(interrupt::CODE)
        }
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&describe(&error));
            ExitCode::from(Exit::Unusable.code())
        }
    }
}

/// What to do instead of what was typed, where that is known.
fn hint(error: &clap::Error, words: &[OsString]) -> Option<&'static str> {
    let typed = |option: &str| words.iter().any(|word| word == option);
    match error.kind() {
        ErrorKind::UnknownArgument if words.get(1).is_some_and(|word| word.as_encoded_bytes().starts_with(b"-")) => {
            Some("options come after the command: mailcap decode FILE -k KEY")
        }
        ErrorKind::UnknownArgument => match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(word)) => help::habit(word),
            _ => None,
        },
        ErrorKind::MissingRequiredArgument => match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(missing)) if missing.iter().any(|arg| arg.starts_with("<FILE>")) => {
                Some("to read a capture from standard input, name it: -")
            }
            _ => None,
        },
        ErrorKind::ArgumentConflict if typed("--live") && typed("--json") => {
            Some("--json alone writes each object as soon as it is known")
        }
        _ => None,
    }
}

/// An argument may be the name of a file that somebody else chose (`decode *`): clap repeats it as it is.
fn tell_usage(error: &clap::Error, words: &[OsString]) {
    let harmless = |word: &OsString| escape(word.as_encoded_bytes()).as_bytes() == word.as_encoded_bytes();
    if !error.use_stderr() || words.iter().all(harmless) {
        let _ = error.print();
        return;
    }
    for line in error.render().to_string().lines() {
        let _ = writeln!(io::stderr().lock(), "{}", escape(line.as_bytes()));
    }
}

/// The error and what caused it, each said once.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

/// Whether the reader of our output went away: that is no fault of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
            || matches!(
                cause.downcast_ref::<mailcap::pipeline::Error>(),
                Some(mailcap::pipeline::Error::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe
            )
    })
}

/// Whether a person sees what is written to stdout.
fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}
