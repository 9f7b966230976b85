//! What stands in a dataset's files.

use std::fs::File;
use std::path::Path;

use mailcap::output::dataset::{Table, schema::schema};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

/// A Parquet file's rows as lines of JSON.
pub fn rows(path: &Path) -> String {
    let table = Table::ALL.into_iter().find(|t| path.ancestors().any(|p| p.ends_with(t.name()))).unwrap();
    // Fails where the file's columns are others.
    let options = ArrowReaderOptions::new().with_schema(std::sync::Arc::new(schema(table)));
    let file = File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap().build().unwrap();
    let builder = arrow_json::WriterBuilder::new().with_explicit_nulls(true);
    let mut out = builder.build::<_, arrow_json::writer::LineDelimited>(Vec::new());
    for batch in reader {
        out.write(&batch.unwrap()).unwrap();
    }
    out.finish().unwrap();
    String::from_utf8(out.into_inner()).unwrap()
}
