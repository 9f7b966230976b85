//! Parts of an input.

use super::*;
use crate::output::samples;

fn options(home: &std::path::Path) -> Options {
    Options {
        home: home.to_owned(),
        input: "/mail.pcap".to_owned(),
        tag: "t".to_owned(),
        format: Format::Json,
        private: false,
        messages: None,
        ports: Vec::new(),
        only_sessions: false,
        memory: 1 << 20,
    }
}

fn feed(days: impl Iterator<Item = i64>, limits: &Limits) -> (tempfile::TempDir, Vec<Part>) {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = Dataset::new(options(dir.path()), limits).unwrap();
    for day in days {
        let mut event = samples::event(1, 1);
        event.span.last.ts = Timestamp(day * 86_400_000_000_000);
        sink.event(event).unwrap();
    }
    sink.finish(&Report::default()).unwrap();
    let (parts, _) = sink.into_parts();
    (dir, parts)
}

#[test]
fn rows_of_a_day_stay_together_whatever_their_order() {
    let (dir, parts) = feed([1, 2, 1, 2, 1].into_iter(), &Limits::default());
    let rows: Vec<(&str, u64)> = parts.iter().map(|p| (p.path.as_str(), p.rows)).collect();
    assert_eq!(
        rows,
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
    let (_dir, parts) = feed((0..300).map(|n| n % 100), &limits);
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
    let options = Options { format: Format::Parquet, memory, ..options(dir.path()) };
    let mut sink = Dataset::new(options, &Limits::default()).unwrap();
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
        most = most.max(sink.writers.values().map(|w| w.rows.held()).sum::<usize>());
    }
    // A row group's last page is made when it ends.
    assert!(most <= 2 * memory, "{most} bytes waited");
    sink.finish(&Report::default()).unwrap();
    let (parts, _) = sink.into_parts();
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
