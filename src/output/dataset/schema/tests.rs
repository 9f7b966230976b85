//! The columns against the JSON that they are made of.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

use super::*;
use crate::diagnostic::{Code, Diagnostic};
use crate::event::*;
use crate::output::dataset::columns::decode;
use crate::output::{Files, json, samples, services};
use crate::position::{Direction, FileId, Timestamp};

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
            dir: Direction::Client,
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
        assumed: false,
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
    let gap = Gap { dir: Direction::Client, offset: 8, bytes: 7, cause: GapCause::Lost };
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

/// Columns below a struct or list, too, in which nothing stands.
fn empty(name: &str, column: &dyn Array, found: &mut Vec<String>) {
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
        let schema = Arc::new(schema(table));
        let batches = decode(&schema, &line, true).unwrap_or_else(|e| panic!("{}: {e}", table.name()));
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
        let schema = Arc::new(schema(Table::Commands));
        let batch = decode(&schema, &line, false).unwrap().remove(0);
        let column = batch.column_by_name("ts").unwrap();
        let times = column.as_any().downcast_ref::<arrow_array::TimestampNanosecondArray>().unwrap();
        assert_eq!(times.value(0), ts);
    }
}
