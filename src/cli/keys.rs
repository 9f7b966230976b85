//! Private keys, key logs and pre-shared keys of the command line.

use std::env::VarError;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use mailcap::tls::{KeyError, KeyRing};
use zeroize::Zeroizing;

use super::args::Common;
use super::{complain, parse};

const VARIABLE: &str = "MAILCAP_KEY_PASSWORD";

/// A file's first line, without its line end and without the byte order mark that some editors put first.
pub(super) fn first_line(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = fs::read(path).map(Zeroizing::new);
    let text = text.with_context(|| format!("{}: the password can't be read", path.display()))?;
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(line) => Ok(Zeroizing::new(line.to_owned())),
        Err(_) => bail!("{}: the password is not valid UTF-8", path.display()),
    }
}

/// The environment's password, where there is one.
fn variable() -> anyhow::Result<Option<Zeroizing<String>>> {
    match std::env::var(VARIABLE) {
        Ok(password) => Ok(Some(Zeroizing::new(password))),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => bail!("{VARIABLE}: the password is not valid UTF-8"),
    }
}

/// Asks on the terminal; none where there is nobody to ask.
pub(super) fn ask(prompt: &str) -> Option<Zeroizing<String>> {
    if !io::stderr().is_terminal() {
        return None;
    }
    rpassword::prompt_password(prompt).ok().map(Zeroizing::new)
}

/// Everything that could decrypt. A key that can't be used ends the run; what is only odd is told on stderr.
pub(super) fn ring(options: &Common) -> anyhow::Result<KeyRing> {
    let known = match &options.key_password_file {
        Some(path) => Some(first_line(path)?),
        // Of no account where there is no key.
        None if options.key.is_empty() && options.tshark_key.is_empty() => None,
        None => variable()?,
    };
    let mut asked: Option<Zeroizing<String>> = None;
    let mut password = |path: &Path| -> Option<Zeroizing<String>> {
        if known.is_some() {
            return known.clone();
        }
        // Keys of one folder often share a password: it is asked for once.
        if asked.is_none() {
            asked = ask(&format!("Password of {}: ", path.display()));
        }
        asked.clone()
    };
    let mut ring = KeyRing::new();
    for path in options.key.iter().chain(options.tshark_key.iter().map(|k| &k.file)) {
        match ring.add_key_path(path, &mut password) {
            Ok(notes) => notes.iter().for_each(|note| complain(note)),
            // A sound server key that opens nothing: what it protects may be opened by something else.
            Err(error @ KeyError::NotRsa { .. }) => complain(&error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    for path in &options.keylog {
        ring.add_keylog(path)?.iter().for_each(|note| complain(note));
    }
    for psk in &options.psk {
        let key = parse::hex(&psk.0).map_err(|e| anyhow!("--psk: {e}"))?;
        ring.add_psk(&key);
    }
    Ok(ring)
}
