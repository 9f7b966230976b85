//! One file for all messages: mboxrd, in which every line that begins with `>`s and `From ` gets one more `>`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

use super::whole::Whole;

use crate::event::Message;
use crate::output::time;
use crate::position::Timestamp;

/// Leading `>`s that are looked through for `From `; nobody forwards deeper.
const QUOTES: usize = 64;

pub(super) struct Mbox {
    out: Whole,
}

impl Mbox {
    pub(super) fn new(file: NamedTempFile) -> io::Result<Self> {
        Ok(Mbox { out: Whole::new(file)? })
    }

    /// Adds the message in `draft`, its line ends as LF.
    pub(super) fn append(&mut self, draft: &Path, message: &Message, ts: Timestamp) -> io::Result<()> {
        self.out.append(|out| {
            writeln!(out, "From {} {}", sender(message), time::asctime(ts))?;
            let mut quoter = Quoter::default();
            let (mut file, mut buffer) = (File::open(draft)?, vec![0; 64 << 10]);
            loop {
                let n = file.read(&mut buffer)?;
                if n == 0 {
                    break;
                }
                quoter.push(&buffer[..n], out)?;
            }
            quoter.finish(out)?;
            out.write_all(b"\n")
        })
    }

    pub(super) fn into_temp_path(self) -> TempPath {
        self.out.into_temp_path()
    }
}

/// The envelope sender, if it can stand in a `From ` line.
fn sender(message: &Message) -> String {
    let from = message.mail_from.as_ref().map(|f| f.to_str_lossy().into_owned()).unwrap_or_default();
    let fits = !from.is_empty() && from.len() <= 256 && from.bytes().all(|b| b.is_ascii_graphic());
    if fits { from } else { "MAILER-DAEMON".to_owned() }
}

/// Quotes `From ` lines and turns CRLF into LF, a piece at a time.
struct Quoter {
    /// What may become a `From ` line, while it may.
    start: Option<Vec<u8>>,
    /// A CR that is held back until it is known whether LF follows.
    cr: bool,
    /// Whether the last byte written ended a line.
    ended: bool,
}

impl Default for Quoter {
    fn default() -> Self {
        Quoter { start: Some(Vec::new()), cr: false, ended: true }
    }
}

impl Quoter {
    fn push(&mut self, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
        for &byte in bytes {
            if std::mem::take(&mut self.cr) && byte != b'\n' {
                self.byte(b'\r', out)?;
            }
            if byte == b'\r' {
                self.cr = true;
            } else {
                self.byte(byte, out)?;
            }
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8, out: &mut impl Write) -> io::Result<()> {
        if let Some(start) = &mut self.start {
            start.push(byte);
            let quotes = start.iter().take_while(|&&b| b == b'>').count();
            let rest = &start[quotes..];
            if b"From ".starts_with(rest) && quotes <= QUOTES && rest.len() < 5 {
                return Ok(());
            }
            if rest == b"From " {
                out.write_all(b">")?;
            }
            out.write_all(start)?;
            self.start = None;
        } else {
            out.write_all(&[byte])?;
        }
        self.ended = byte == b'\n';
        if self.ended {
            self.start = Some(Vec::new());
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut impl Write) -> io::Result<()> {
        if std::mem::take(&mut self.cr) {
            self.byte(b'\r', out)?;
        }
        if let Some(start) = self.start.take().filter(|s| !s.is_empty()) {
            out.write_all(&start)?;
            self.ended = false;
        }
        if self.ended { Ok(()) } else { out.write_all(b"\n") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str, piece: usize) -> String {
        let (mut quoter, mut out) = (Quoter::default(), Vec::new());
        for bytes in text.as_bytes().chunks(piece) {
            quoter.push(bytes, &mut out).unwrap();
        }
        quoter.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn from_lines_are_quoted_in_any_cut() {
        let text = "From me\r\n>From you\r\n>>Frontal\r\nx From y\r\n>\r\nFrom\r\nFrom ";
        for piece in 1..text.len() {
            assert_eq!(quoted(text, piece), ">From me\n>>From you\n>>Frontal\nx From y\n>\nFrom\n>From \n", "{piece}");
        }
    }

    #[test]
    fn a_lone_cr_stays() {
        assert_eq!(quoted("a\rb\r\r\nc\r", 1), "a\rb\r\nc\r\n");
    }
}
