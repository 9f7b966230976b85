//! Passwords to check answers with, and answers computed from them.

use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use mailcap::event::Text;
use mailcap::mail::sasl;

use super::args::{Auth, Mechanism};
use super::exit::Exit;
use super::{complain, keys};

/// Known passwords, `user:password` a line. Empty lines and those that begin with `#` are passed over; a user may
/// have several lines. A password may hold colons.
pub(super) fn passwords(path: &Path) -> anyhow::Result<Vec<(Text, Text)>> {
    let name = path.display();
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => io::stdin().lock().read_to_end(&mut bytes).map(|_| ()),
        false => std::fs::read(path).map(|read| bytes = read),
    };
    read.with_context(|| format!("{name}: the passwords can't be read"))?;
    let mut users = Vec::new();
    // Editors on Windows begin UTF-8 with a byte order mark.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    for (number, line) in (1..).zip(text.split(|b| *b == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            // The line is not repeated: it may be a password.
            bail!("{name}: line {number} has no colon; expected user:password");
        };
        let (user, password) = line.split_at(colon);
        users.push((Text::from(user), Text::from(password.get(1..).unwrap_or_default())));
    }
    if users.is_empty() {
        bail!("{name}: no user:password line in it");
    }
    Ok(users)
}

fn is_base64(text: &str) -> bool {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text.trim()).is_ok()
}

/// `auth --compute`: what the client must answer.
pub(super) fn compute(options: &Auth, mechanism: Mechanism) -> anyhow::Result<Exit> {
    let [user] = options.common.user.as_slice() else { bail!("--compute: give one --user") };
    let Some(challenge) = options.challenge.as_deref() else { bail!("--compute: give the --challenge") };
    let password = match &options.password_file {
        Some(path) => keys::first_line(path)?,
        None => match keys::ask(&format!("Password of {user}: ")) {
            Some(password) => password,
            None => bail!("--compute: no terminal to ask for the password; use --password-file"),
        },
    };
    let answer = match mechanism {
        Mechanism::CramMd5 => {
            // A challenge is a message id in angle brackets (RFC 2195 §2), given as it is or in base64.
            if challenge.is_empty() {
                bail!("--challenge: it is empty; give it as the server sent it, after `334 ` or `+ `");
            }
            if !challenge.starts_with('<') && !is_base64(challenge) {
                complain(
                    "--challenge: this is neither base64 nor a <timestamp>; the answer is to the text as it stands",
                );
            }
            sasl::compute_cram_md5(user, &password, challenge)
        }
        Mechanism::Apop => {
            // The whole banner will do: the timestamp is what stands in angle brackets.
            let timestamp = challenge.find('<').and_then(|from| {
                let rest = challenge.get(from..)?;
                rest.get(..=rest.find('>')?)
            });
            let Some(timestamp) = timestamp else { bail!("--challenge: no <timestamp> in it") };
            format!("APOP {user} {}", sasl::compute_apop(timestamp, &password))
        }
    };
    writeln!(io::stdout().lock(), "{answer}")?;
    Ok(Exit::Done)
}
