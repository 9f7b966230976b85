//! Parts of an input.

use std::fs::File;

use super::*;
use crate::output::samples;
use crate::position::Timestamp;

fn storage(home: &Path) -> Storage {
    let memory = 1 << 20;
    Storage { home: home.to_owned(), tag: "t".to_owned(), format: Format::Json, memory }
}

fn options(input: &str) -> Options {
    Options { input: input.to_owned(), messages: None, ports: Vec::new(), only_sessions: false }
}

/// Events of an input, one on each of these days.
fn feed(parts: &mut Parts, input: &str, days: impl Iterator<Item = i64>) {
    let mut sink = Dataset::new(options(input), parts, &Limits::default()).unwrap();
    for day in days {
        let mut event = samples::event(1, 1);
        event.span.last.ts = Timestamp(day * 86_400_000_000_000);
        sink.event(event).unwrap();
    }
    sink.finish(&Report::default()).unwrap();
}

fn rows(parts: &[Part]) -> Vec<(&str, u64)> {
    parts.iter().map(|p| (p.path.as_str(), p.rows)).collect()
}

#[test]
fn rows_of_a_day_stay_together_whatever_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut parts = Parts::new(storage(dir.path()), &Limits::default());
    feed(&mut parts, "/mail.pcap", [1, 2, 1, 2, 1].into_iter());
    let parts = parts.finish().unwrap();
    assert_eq!(
        rows(&parts),
        [("commands/day=1970-01-02/part-t-0000.jsonl.gz", 3), ("commands/day=1970-01-03/part-t-0001.jsonl.gz", 2)]
    );
    let file = File::open(dir.path().join(&parts[0].path)).unwrap();
    let text = io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.starts_with(r#"{"type":"command","input":"/mail.pcap","session":1,"#), "{text}");
}

#[test]
fn wild_timestamps_make_a_bounded_number_of_files() {
    // Worse than anything: each row of another day than the last that are open.
    let limits = Limits { partitions: 50, ..Limits::default() };
    let dir = tempfile::tempdir().unwrap();
    let mut parts = Parts::new(storage(dir.path()), &limits);
    feed(&mut parts, "/mail.pcap", (0..300).map(|n| n % 100));
    assert_eq!(parts.rows(), 300);
    let parts = parts.finish().unwrap();
    assert_eq!(parts.len(), limits.partitions + 1);
    assert!(parts[limits.partitions].path.contains("__HIVE_DEFAULT_PARTITION__"));
    assert_eq!(parts.iter().map(|p| p.rows).sum::<u64>(), 300, "every row is somewhere");
}

/// Rows that don't compress, so that what waits is what was pushed.
#[cfg(feature = "parquet")]
#[test]
fn what_waits_is_bounded_and_long_parts_are_continued_in_others() {
    let dir = tempfile::tempdir().unwrap();
    let memory = 128 << 10;
    let storage = Storage { format: Format::Parquet, memory, ..storage(dir.path()) };
    let mut parts = Parts::new(storage, &Limits::default());
    let mut sink = Dataset::new(options("/mail.pcap"), &mut parts, &Limits::default()).unwrap();
    let (mut random, mut most) = (1_u64, 0);
    for seq in 0..6000 {
        let noise: String = (0..1500)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'!' + (random >> 58) as u8)
            })
            .collect();
        let mut event = samples::event(1, seq);
        event.body = samples::command("X", &noise, false);
        sink.event(event).unwrap();
        most = most.max(sink.parts.writers.values().map(|w| w.rows.held()).sum::<usize>());
    }
    // A row group's last page is made when it ends.
    assert!(most <= 2 * memory, "{most} bytes waited");
    sink.finish(&Report::default()).unwrap();
    let parts = parts.finish().unwrap();
    assert_eq!(parts.iter().map(|p| p.rows).sum::<u64>(), 6000);
    let mut groups = 0;
    for part in &parts {
        let file = File::open(dir.path().join(&part.path)).unwrap();
        let reader = ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows() as u64, part.rows);
        groups += reader.metadata().num_row_groups();
    }
    assert!(parts.len() > 1 && groups > 64, "{} parts of {groups} row groups", parts.len());
}

#[test]
fn rows_of_some_inputs_can_be_left_out() {
    #[cfg(feature = "parquet")]
    let formats = [Format::Json, Format::Parquet];
    #[cfg(not(feature = "parquet"))]
    let formats = [Format::Json];
    for format in formats {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, inputs: &[(&str, usize)]| {
            let home = dir.path().join(name);
            let mut parts = Parts::new(Storage { format, ..storage(&home) }, &Limits::default());
            inputs.iter().for_each(|(input, count)| feed(&mut parts, input, std::iter::repeat_n(1, *count)));
            let parts = parts.finish().unwrap();
            (home.join(&parts[0].path), parts[0].rows)
        };
        let (whole, _) = write("whole", &[("/a", 3), ("/b", 20_000), ("/c", 2)]);
        let (want, left) = write("want", &[("/a", 3), ("/c", 2)]);
        let (got, none) = (dir.path().join("got"), dir.path().join("none"));
        assert_eq!(copy_rows(&whole, &got, &|input| input != "/b").unwrap(), left);
        assert_eq!(std::fs::read(&got).unwrap(), std::fs::read(want).unwrap(), "as if it had never been there");
        assert_eq!(got.metadata().unwrap().permissions(), whole.metadata().unwrap().permissions());
        assert_eq!(copy_rows(&whole, &none, &|_| false).unwrap(), 0);
        assert!(!none.exists());
    }
}
