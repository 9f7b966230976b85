//! A part as Parquet, compressed with zstd.

use std::fs::File;
use std::io;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_json::ReaderBuilder;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::parts::Rows;
use super::{Table, schema};

/// Bytes of rows that become columns at once.
const PENDING: usize = 512 << 10;

/// Bytes of a row group, encoded: readers work through one at a time, and skip by its statistics.
const ROW_GROUP: usize = 64 << 20;

/// Rows of a row group, the usual number.
const ROWS: usize = 1 << 20;

/// Row groups of a part: the description of each is held until the part ends.
const GROUPS: usize = 64;

pub(super) struct Columns {
    schema: SchemaRef,
    writer: ArrowWriter<File>,
    /// JSON lines that are no columns yet.
    pending: Vec<u8>,
    held: usize,
}

impl Columns {
    pub(super) fn new(table: Table, file: File) -> io::Result<Self> {
        let schema: SchemaRef = Arc::new(schema::schema(table));
        let writer = writer(file, schema.clone())?;
        Ok(Columns { schema, writer, pending: Vec::new(), held: 0 })
    }

    /// Makes columns of the pending rows.
    fn encode(&mut self) -> io::Result<()> {
        for batch in decode(&self.schema, &self.pending, false)? {
            self.writer.write(&batch).map_err(output)?;
        }
        self.pending.clear();
        self.held = self.writer.memory_size();
        Ok(())
    }
}

fn writer(file: File, schema: SchemaRef) -> io::Result<ArrowWriter<File>> {
    let level = ZstdLevel::try_new(3).map_err(output)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_bytes(Some(ROW_GROUP))
        .set_max_row_group_row_count(Some(ROWS))
        .build();
    // Parquet's own types say all; Arrow's description of them would be larger than a small capture's rows.
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(file, schema, options).map_err(output)
}

/// Copies the rows whose input is to be kept, with the columns that they have; gives their number.
pub(super) fn copy(from: File, to: File, keep: &dyn Fn(&str) -> bool) -> io::Result<(u64, File)> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(from).map_err(output)?;
    let mut writer = writer(to, reader.schema().clone())?;
    let mut kept = 0;
    for batch in reader.build().map_err(output)? {
        let batch = batch.map_err(wrong)?;
        let inputs = batch.column_by_name("input").and_then(|column| column.as_string_opt::<i32>());
        let Some(inputs) = inputs else { return Err(io::Error::new(io::ErrorKind::InvalidData, "no column `input`")) };
        // Rows of one input stand together.
        let mut start = 0;
        while start < batch.num_rows() {
            let input = inputs.value(start);
            let len = (start..batch.num_rows()).take_while(|&row| inputs.value(row) == input).count();
            if keep(input) {
                writer.write(&batch.slice(start, len)).map_err(output)?;
                kept += len as u64;
            }
            start += len;
        }
    }
    Ok((kept, writer.into_inner().map_err(output)?))
}

/// Reads JSON lines into columns; `strict`: a field that has none is an error.
pub(super) fn decode(schema: &SchemaRef, lines: &[u8], strict: bool) -> io::Result<Vec<RecordBatch>> {
    ReaderBuilder::new(schema.clone())
        .with_batch_size(8192)
        .with_strict_mode(strict)
        .build(lines)
        .and_then(Iterator::collect)
        .map_err(wrong)
}

fn wrong(error: ArrowError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn output(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

impl Rows for Columns {
    fn push(&mut self, line: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(line);
        if self.pending.len() >= PENDING { self.encode() } else { Ok(()) }
    }

    fn held(&self) -> usize {
        self.held.saturating_add(self.pending.capacity())
    }

    fn is_full(&self) -> bool {
        self.writer.flushed_row_groups().len() >= GROUPS
    }

    fn shed(&mut self) -> io::Result<()> {
        self.encode()?;
        self.pending = Vec::new();
        self.writer.flush().map_err(output)?;
        self.held = self.writer.memory_size();
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<File> {
        self.encode()?;
        self.writer.into_inner().map_err(output)
    }
}
