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
