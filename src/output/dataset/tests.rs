//! The dataset against the JSON that it is made of.

use super::*;
use crate::diagnostic::{Code, Diagnostic};
use crate::event::*;
use crate::output::samples;
use crate::position::FileId;

/// Text that has `NAME_b64` beside it.
fn odd() -> Text {
    Text(b"caf\xe9".to_vec())
}

/// Every kind of event with every field filled, text that is no UTF-8 included.
fn filled() -> Vec<Event> {
    let event = |seq, body| Event { session: 1, seq, span: samples::at(seq), body };
    let handshake = TlsHandshake {
        sni: Some(odd()),
        alpn: Some(odd()),
        chain: vec![samples::certificate()],
        client_certificate: Some(samples::certificate()),
        reason: Some(crate::tls::Reason::NoKey),
        alerts: vec![Alert {
            dir: crate::position::Direction::Client,
            description: "close notify".into(),
            fatal: false,
            span: samples::at(3),
        }],
        ..samples::handshake()
    };
    let command = Command { verb: odd(), args: odd(), tag: Some(odd()), ..Command::default() };
    let reply = Reply {
        code: Some(250),
        status: odd(),
        enhanced: Some(odd()),
        tag: Some(odd()),
        command: Some(1),
        text: odd(),
        lines: vec![odd(), "x".into()],
        latency: Some(281_000),
        ..Reply::default()
    };
    let auth = Auth {
        mechanism: odd(),
        user: Some(odd()),
        authzid: Some(odd()),
        secret: Some(odd()),
        verified: Some(true),
        ..samples::auth()
    };
    let message = Message {
        mail_from: Some(odd()),
        mail_params: Some(odd()),
        rcpt_to: vec![Recipient { address: odd(), accepted: Some(true), code: Some(250), text: odd() }],
        queue_id: Some(odd()),
        status: Some(odd()),
        mailbox: Some(odd()),
        uidvalidity: Some(1),
        uid: Some(u32::MAX),
        seqno: Some(3),
        flags: vec![odd()],
        internaldate: Some(odd()),
        section: Some(odd()),
        number: Some(4),
        uidl: Some(odd()),
        attachments: vec![Attachment {
            filename: Some("x".into()),
            content_type: "a/b".into(),
            size: 1,
            sha256: Some([1; 32]),
        }],
        ..samples::message()
    };
    let session = Session {
        proxy_client: Some(("192.0.2.1".parse().unwrap(), Some(1))),
        tls: vec![handshake.clone()],
        banner: Some(odd()),
        helo: Some(odd()),
        user: Some(odd()),
        last_error: Some(odd()),
        files: vec![FileId(0)],
        vlan: Some(7),
        tunnel: Some("gre".into()),
        ..samples::session()
    };
    let gap = Gap { dir: crate::position::Direction::Client, offset: 8, bytes: 7, cause: GapCause::Lost };
    vec![
        event(1, EventBody::Command(command)),
        event(2, EventBody::Reply(reply)),
        event(3, EventBody::Auth(auth)),
        event(4, EventBody::Tls(Box::new(handshake))),
        event(5, EventBody::Message(Box::new(message))),
        event(6, EventBody::Gap(gap)),
        event(7, EventBody::Diagnostic(Diagnostic { code: Code::BareLf, detail: "x".into() })),
        event(8, EventBody::Session(Box::new(session))),
    ]
}

/// The lines of each table, as JSON.
fn lines() -> Vec<(Table, Vec<u8>)> {
    let mut files = Files::default();
    files.push("mail.pcap");
    let extra = json::Extra { input: Some("/mail.pcap"), path: Some("mail/1.eml") };
    let mut all: Vec<(Table, Vec<u8>)> = filled()
        .iter()
        .map(|event| {
            let mut line = Vec::new();
            json::push_event(&mut line, event, &files, extra);
            (Table::of(&event.body).unwrap(), line)
        })
        .collect();
    let (text, certificate) = ([odd()], [samples::certificate()]);
    let (versions, suites, ts) = (["TLSv1.2"], ["x".to_owned()], samples::START);
    let banner = odd();
    let row = services::Row {
        address: "10.0.0.9:25".parse().unwrap(),
        state: "open",
        protocol: Some("smtp"),
        banner: Some(&banner),
        security: Some("none"),
        capabilities: [Some(&text), Some(&text)],
        auth: [Some(&text), Some(&text)],
        plaintext_auth: true,
        tls_versions: &versions,
        suites: &suites,
        certificates: &certificate,
        sessions: 1,
        first: ts,
        last: ts,
    };
    let mut line = Vec::new();
    json::push_service(&mut line, &row, Some("/mail.pcap"));
    all.push((Table::Services, line));
    all
}

#[cfg(feature = "parquet")]
mod parquet {
    use std::sync::Arc;

    use arrow_array::{Array, RecordBatch};
    use arrow_schema::DataType;

    use super::*;

    /// Columns below a struct or list, too, in which nothing stands.
    fn empty(name: &str, column: &dyn Array, found: &mut Vec<String>) {
        use arrow_array::cast::AsArray;
        if column.null_count() == column.len() {
            found.push(name.to_owned());
            return;
        }
        match column.data_type() {
            DataType::Struct(fields) => {
                for (field, column) in fields.iter().zip(column.as_struct().columns()) {
                    empty(&format!("{name}.{}", field.name()), column, found);
                }
            }
            DataType::List(_) => empty(name, column.as_list::<i32>().values(), found),
            _ => {}
        }
    }

    #[test]
    fn each_field_has_its_column_and_each_column_its_field() {
        for (table, line) in lines() {
            let schema = Arc::new(schema::schema(table));
            let batches = columns::decode(&schema, &line, true).unwrap_or_else(|e| panic!("{}: {e}", table.name()));
            let [batch]: [RecordBatch; 1] = batches.try_into().unwrap();
            let mut found = Vec::new();
            for (field, column) in schema.fields().iter().zip(batch.columns()) {
                empty(field.name(), column, &mut found);
            }
            assert!(found.is_empty(), "{}: nothing is ever in {found:?}", table.name());
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&line).unwrap();
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            assert_eq!(object.keys().collect::<Vec<_>>(), names, "{}: the same order", table.name());
        }
    }

    #[test]
    fn times_at_the_ends_of_the_clock_have_columns() {
        for ts in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX] {
            let mut event = samples::event(1, 1);
            event.span.last.ts = Timestamp(ts);
            let mut line = Vec::new();
            json::push_event(&mut line, &event, &Files::default(), json::Extra::default());
            let schema = Arc::new(schema::schema(Table::Commands));
            let batch = columns::decode(&schema, &line, false).unwrap().remove(0);
            let column = batch.column_by_name("ts").unwrap();
            let times = column.as_any().downcast_ref::<arrow_array::TimestampNanosecondArray>().unwrap();
            assert_eq!(times.value(0), ts);
        }
    }
}

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
