//! The commands that write secrets by purpose: `keylog` and `decrypt`.

use std::path::Path;

use anyhow::{Context, bail};
use mailcap::capture::{Capture, Input, group};
use mailcap::output::decrypt::{self as output, Plaintext, Survey, Surveyed};
use mailcap::output::keylog::KeyLog;
use mailcap::output::pcapng::Writer;
use mailcap::pipeline::{self, Config, Error, Report};

use super::args::{Common, Decrypt, Keylog};
use super::exit::{self, Exit};
use super::interrupt;
use super::job::{Job, Wanted};
use super::open::{self, Private};
use super::watch::Seen;
use super::{complain, count};

fn no_json(options: &Common, what: &str) -> anyhow::Result<()> {
    if options.json {
        bail!("--json: {what}; `mailcap tls --json` lists which handshakes could be decrypted");
    }
    Ok(())
}

/// Handshakes are looked for as well as mail.
fn exit(seen: &Seen, report: &Report) -> Exit {
    let exit = exit::exit(seen.sessions > 0 || seen.handshakes > 0, seen, report);
    if exit == Exit::Nothing {
        complain(&match (report.handshakes, report.mail_sessions) {
            (0, 0) => exit::nothing("TLS handshake and no mail session", 0, seen, report),
            (0, sessions) => exit::nothing("mail session", sessions, seen, report),
            (handshakes, _) => exit::nothing("TLS handshake", handshakes, seen, report),
        });
    }
    exit
}

pub(super) fn keylog(options: &Keylog) -> anyhow::Result<Exit> {
    let common = &options.common;
    no_json(common, "a key log has a format of its own")?;
    let mut job = Job::new(common, &options.input.files)?;
    let private = match common.file() {
        Some(path) => Some(Private::new(path, common.force, &job.reads(None))?),
        None => None,
    };
    let out: open::Output = match &private {
        Some(private) => Box::new(private.writer()?),
        None => open::output(common, &job.reads(None), true)?,
    };
    if let Some(private) = &private {
        job.when_interrupted(private.unfinished(), interrupt::TEXT);
    }
    let mut written = 0;
    let sink = KeyLog::new(out, job.flush(), &mut written);
    let ran = job.run(Box::new(sink), Wanted { tls_secrets: true, all_tls: true, ..Wanted::default() });
    let (seen, report) = match ran {
        Err(error) if written > 0 && interrupt::is_interrupted(&error) => {
            // Each line is of use by itself.
            private.map_or(Ok(()), Private::keep)?;
            return Err(error);
        }
        ran => ran?,
    };
    let exit = exit(&seen, &report);
    if exit != Exit::Nothing {
        if let Some(private) = private {
            private.keep()?;
        }
        if written == 0 {
            complain(match seen.handshakes {
                0 => "no secret to write: there is no TLS handshake",
                _ => "no secret to write: no TLS here could be decrypted; `mailcap tls --explain` says why",
            });
            return Ok(exit);
        }
        let place = common.file().map(|path| format!("{}: ", path.display())).unwrap_or_default();
        complain(&format!("{place}{} written; whoever has them can read these sessions", count(written, "secret")));
    }
    Ok(exit)
}

pub(super) fn decrypt(options: &Decrypt) -> anyhow::Result<Exit> {
    let common = &options.common;
    let Some(path) = common.output.as_deref().or(options.write.as_deref()) else {
        bail!("decrypt writes a capture: name it with -o FILE");
    };
    if path.as_os_str() == "-" {
        bail!(
            "decrypt can't write to standard output: its file is private, and appears only when it is complete; name it with -o FILE"
        );
    }
    no_json(common, "decrypt writes a capture")?;
    let mut job = Job::checked(common, &options.input.files, readable_twice)?;
    let private = Private::new(path, common.force, &job.reads(None))?;
    job.when_interrupted(private.unfinished(), interrupt::UNWRITTEN);
    let cant = || format!("{}: can't be written", path.display());
    let mut writer = Writer::new(private.writer()?, output::APPLICATION).with_context(cant)?;
    let filtered = options.mail_only || !job.criteria()?.is_empty();

    let wanted =
        Wanted { tls_secrets: !options.plaintext, all_tls: !options.plaintext && !filtered, ..Wanted::default() };
    let config = job.config(wanted)?;
    let mut again = config.clone();
    again.mail.tls_secrets = false;
    again.mail.plaintext = true;

    let mut surveyed = Surveyed::default();
    let keep = if filtered || options.plaintext { config.limits.surveyed_sessions } else { 0 };
    let secrets = (!options.plaintext).then_some(&mut writer);
    let survey = Survey::new(secrets, keep, &mut surveyed);
    let (seen, report) = job.run_with(Box::new(survey), config)?;
    let exit = match options.plaintext || filtered {
        true => exit::exit_of_mail(&seen, &report),
        false => exit(&seen, &report),
    };
    if seen.sessions == 0 && (filtered || options.plaintext || seen.handshakes == 0) {
        return Ok(exit);
    }
    let (read, held) = match options.plaintext {
        true => plaintext(again, &mut writer, &surveyed)?,
        false => packets(&again, filtered, &mut writer, &surveyed)?,
    };
    if read != surveyed.frames {
        bail!("the input changed while it was read; nothing was written");
    }
    writer.finish().with_context(cant)?;
    private.keep()?;
    complain(&format!("{}: holds {held}; readable only by you", path.display()));
    let exit = match surveyed.beyond {
        0 => exit,
        beyond => {
            complain(&format!(
                "{} left out, as there are more than can be remembered (see --max-memory)",
                count(beyond, "session")
            ));
            Exit::Incomplete
        }
    };
    let nothing = match options.plaintext {
        true if surveyed.opened == 0 && surveyed.closed > 0 => {
            Some("the bytes that were sent in TLS are missing from the file")
        }
        false if surveyed.secrets == 0 && seen.handshakes > 0 => Some("Wireshark will show no more of it than before"),
        _ => None,
    };
    if let Some(nothing) = nothing {
        complain(&format!("nothing was decrypted: {nothing}; `mailcap tls --explain` says why"));
    }
    Ok(exit)
}

/// Two passes need files that can be opened twice.
fn readable_twice(inputs: &[Input]) -> anyhow::Result<()> {
    let pipe = |path: &Path| path.metadata().is_ok_and(|m| !m.is_file());
    for input in inputs {
        match input {
            Input::Stdin => bail!(
                "standard input can't be read twice, as decrypt must: secrets go before packets; save it to a file \
                 first, or write a key log with `mailcap keylog -`"
            ),
            Input::File(path) | Input::Found(path) if pipe(path) => {
                bail!("{}: a pipe can't be read twice, as decrypt must; save it to a file first", path.display())
            }
            Input::File(_) | Input::Found(_) => {}
        }
    }
    Ok(())
}

fn plaintext<W: std::io::Write>(
    config: Config,
    writer: &mut Writer<W>,
    surveyed: &Surveyed,
) -> Result<(u64, String), Error> {
    let capture = Capture::open_usable(group(&config.inputs, config.separate), &config.limits)?;
    let report = pipeline::run_capture(capture, config, &mut Plaintext::new(writer, &surveyed.sessions))?;
    let mut held = format!("{} in the clear, passwords too", count(surveyed.sessions.len() as u64, "session"));
    if surveyed.closed > 0 {
        held.push_str(&format!(", except for what was not decrypted in {} of them", surveyed.closed));
    }
    Ok((report.frames, held))
}

fn packets<W: std::io::Write>(
    config: &Config,
    filtered: bool,
    writer: &mut Writer<W>,
    surveyed: &Surveyed,
) -> Result<(u64, String), Error> {
    let only = filtered.then_some(&surveyed.sessions);
    let copied = output::copy(group(&config.inputs, config.separate), &config.limits, only, writer)?;
    let held = format!("{}, and {} to open them", count(copied.written, "packet"), count(surveyed.secrets, "secret"));
    Ok((copied.read, held))
}
