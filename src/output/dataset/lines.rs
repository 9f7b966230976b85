//! A part as JSON Lines, compressed with gzip: every tool reads that.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;

use super::parts::Rows;

/// What an encoder of DEFLATE holds, and the buffer behind it.
const HELD: usize = 512 << 10;

pub(super) struct Lines(GzEncoder<BufWriter<File>>);

impl Lines {
    pub(super) fn new(file: File) -> Self {
        Lines(GzEncoder::new(BufWriter::with_capacity(64 << 10, file), Compression::default()))
    }
}

impl Rows for Lines {
    fn push(&mut self, line: &[u8]) -> io::Result<()> {
        self.0.write_all(line)
    }

    fn held(&self) -> usize {
        HELD
    }

    fn is_full(&self) -> bool {
        false
    }

    fn shed(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<File> {
        self.0.finish()?.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// Copies the rows whose input is to be kept; gives their number.
pub(super) fn copy(from: File, to: File, keep: &dyn Fn(&str) -> bool) -> io::Result<(u64, File)> {
    #[derive(Deserialize)]
    struct Row {
        input: String,
    }
    let (mut new, mut kept) = (Box::new(Lines::new(to)), 0);
    for line in BufReader::new(GzDecoder::new(BufReader::new(from))).split(b'\n') {
        let mut line = line?;
        let row: Row = serde_json::from_slice(&line)?;
        if keep(&row.input) {
            line.push(b'\n');
            new.push(&line)?;
            kept += 1;
        }
    }
    Ok((kept, new.finish()?))
}
