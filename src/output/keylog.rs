//! The sessions' secrets as an NSS key log (RFC 9850), which Wireshark and others open a capture with.

use std::io::{self, Write};

use super::Sink;
use crate::event::{Event, EventBody};
use crate::pipeline::Report;
use crate::tls::keylog::Entry;

/// The sink of `mailcap keylog`: a line a secret. Wants [`crate::mail::Options::tls_secrets`].
#[derive(Debug)]
pub struct KeyLog<'a, W: Write> {
    out: W,
    flush: bool,
    written: &'a mut u64,
}

impl<'a, W: Write> KeyLog<'a, W> {
    /// Writes to `out` and counts in `written`; with `flush`, so that a reader of a pipe has each session's secrets at
    /// once.
    pub fn new(out: W, flush: bool, written: &'a mut u64) -> Self {
        KeyLog { out, flush, written }
    }

    fn write(&mut self, entries: &[Entry]) -> io::Result<()> {
        for entry in entries {
            self.out.write_all(&entry.line())?;
            *self.written += 1;
        }
        if self.flush { self.out.flush() } else { Ok(()) }
    }
}

impl<W: Write> Sink for KeyLog<'_, W> {
    fn event(&mut self, event: Event) -> io::Result<()> {
        match &event.body {
            EventBody::Secrets(entries) => self.write(entries),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        self.out.flush()
    }
}
