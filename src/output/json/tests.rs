//! The shape of each object, field by field, and what text comes to.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::*;
use crate::diagnostic::{Code, Diagnostic};
use crate::event::{Command, Gap, GapCause, MessageData, Recipient, Script, Text};
use crate::output::samples::{self, at, feed};
use crate::position::Direction;
use crate::tls::Reason;

fn write(select: Select, events: Vec<Event>) -> Vec<Map<String, Value>> {
    let mut sink = Json::new(Vec::new(), select, false);
    feed(&mut sink, events);
    let text = String::from_utf8(sink.into_inner()).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn one(body: EventBody) -> Map<String, Value> {
    let event = Event { session: samples::SESSION, seq: 5, span: samples::span(3, 7), body };
    write(Select::All, vec![event]).remove(0)
}

fn keys(object: &Map<String, Value>) -> Vec<&str> {
    object.keys().map(String::as_str).collect()
}

const BASE: &str = "type session seq ts frame first_frame file";

#[track_caller]
fn assert_keys(object: &Map<String, Value>, base: &str, own: &str) {
    let expected: Vec<&str> = base.split(' ').chain(own.split_whitespace()).collect();
    assert_eq!(keys(object), expected);
}

/// The contract's fields, all of them, in a fixed order.
#[test]
fn the_fields_of_each_type() {
    let objects = write(Select::All, samples::story());
    let first = |kind: &str| objects.iter().find(|o| o["type"] == kind).unwrap();
    assert_keys(first("command"), BASE, "dir tls verb args tag injected complete assumed");
    assert_keys(first("reply"), BASE, "dir tls code status enhanced tag command text lines latency complete assumed");
    assert_keys(first("auth"), BASE, "dir tls mechanism user authzid secret outcome verified assumed");
    let handshake = "handshake version suite sni alpn client_random certificate chain client_certificate resumed \
         extended_master_secret encrypt_then_mac completed decrypted secret key reason records undecrypted_bytes \
         alerts frames offered steps";
    assert_keys(first("tls"), BASE, handshake);
    assert_keys(
        first("message"),
        BASE,
        "dir tls ordinal protocol direction transaction mail_from mail_params rcpt_to queue_id status outcome mailbox \
         uidvalidity uid seqno flags internaldate section number uidl from to subject message_id date size sha256 \
         complete part joined attachments assumed path",
    );
    assert_keys(first("gap"), BASE, "dir offset bytes cause");
    assert_keys(first("diagnostic"), BASE, "code severity detail");
    let session = first("session");
    assert_keys(
        session,
        "type id seq ts frame first_frame file",
        "start end client server proxy_client protocol security tls banner helo user commands messages bytes gaps \
         undecrypted_bytes complete outcome last_error slowest_reply end_reason ended_by frames files community_id \
         vlan tunnel interface diagnostics",
    );
    let nested = session["tls"][0].as_object().unwrap();
    assert_eq!(keys(nested), handshake.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn every_object_of_a_type_has_the_same_keys() {
    let mut events = samples::story();
    let empty = |seq, body| Event { session: 1, seq, span: at(seq), body };
    events.insert(0, empty(90, EventBody::Command(Default::default())));
    events.insert(0, empty(91, EventBody::Reply(Default::default())));
    let mut tls = samples::closed(Reason::NoKey);
    (tls.version, tls.suite, tls.certificate, tls.client_random) = (None, None, None, None);
    events.insert(0, empty(92, EventBody::Tls(Box::new(tls))));
    let mut shapes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for object in write(Select::All, events) {
        let own: Vec<String> = object.keys().cloned().collect();
        let kind = object["type"].as_str().unwrap().to_owned();
        assert_eq!(shapes.entry(kind.clone()).or_insert_with(|| own.clone()), &own, "{kind}");
    }
}

#[test]
fn values() {
    let reply = one(samples::reply(250, &["mail.example.test", "STARTTLS"], true, Some(281_000)));
    assert_eq!(reply["type"], "reply");
    assert_eq!(reply["session"], 1);
    assert_eq!(reply["seq"], 5);
    assert_eq!((reply["frame"].as_u64(), reply["first_frame"].as_u64()), (Some(7), Some(3)));
    assert_eq!(reply["ts"], "2026-11-24T10:00:01.184000000Z");
    assert_eq!(reply["file"], "mail.pcap");
    assert_eq!(reply["latency"], 0.000_281);
    assert_eq!(reply["lines"], serde_json::json!(["mail.example.test", "STARTTLS"]));
    assert_eq!((&reply["dir"], &reply["tls"], &reply["code"]), (&"server".into(), &true.into(), &250.into()));

    let message = one(EventBody::Message(Box::new(samples::message())));
    assert_eq!(message["rcpt_to"][0]["address"], "bob@example.net");
    let mut unanswered = samples::message();
    unanswered.rcpt_to = vec![Recipient { address: "bob@example.net".into(), ..Recipient::default() }];
    let unanswered = one(EventBody::Message(Box::new(unanswered)));
    let absent = serde_json::json!({"address": "bob@example.net", "accepted": null, "code": null, "text": null});
    assert_eq!(unanswered["rcpt_to"][0], absent);
    assert_eq!(message["date"], "2026-11-24T10:00:01.178000000Z");
    assert!(message["sha256"].as_str().unwrap().starts_with("9f2c61d000"));
    assert_eq!(message["path"], Value::Null);

    let session = one(EventBody::Session(Box::new(samples::session())));
    assert_eq!(session["client"], serde_json::json!({"ip": "10.0.0.5", "port": 36034}));
    assert_eq!(session["frames"], serde_json::json!({"first": 1, "last": 36, "count": 36}));
    assert_eq!(session["slowest_reply"], 0.201_004);
    assert_eq!(session["security"], "starttls");
    assert_eq!(session["tls"][0]["records"], serde_json::json!({"decrypted": 20, "undecrypted": 0}));
    assert_eq!(session["tls"][0]["certificate"]["not_after"], "2027-01-01T00:00:00.000000000Z");
    assert_eq!(session["diagnostics"][0]["code"], "tls-resynchronised");
    assert_eq!(session["files"], serde_json::json!(["mail.pcap"]));
    assert!(session["community_id"].as_str().unwrap().starts_with("1:"));

    let gap = one(EventBody::Gap(Gap { dir: Direction::Client, offset: 9, bytes: 73, cause: GapCause::MidStream }));
    assert_eq!(gap["cause"], "mid-stream");
    let script = one(EventBody::Script(Box::new(Script {
        dir: Direction::Client,
        tls: true,
        command: 4,
        verb: "CHECKSCRIPT".into(),
        name: None,
        size: 5,
        sha256: None,
        complete: true,
        outcome: crate::event::MessageOutcome::Rejected,
        status: Some("NO x".into()),
        text: None,
        assumed: false,
    })));
    assert_keys(&script, BASE, "dir tls command verb name size sha256 complete outcome status text assumed");
    assert_eq!((&script["outcome"], &script["name"]), (&"rejected".into(), &Value::Null));
    let odd = one(EventBody::Diagnostic(Diagnostic { code: Code::BareLf, detail: "x".into() }));
    assert_eq!((&odd["code"], &odd["severity"]), (&"bare-lf".into(), &"note".into()));
}

#[test]
fn what_is_no_utf8_is_lossless() {
    use base64::Engine;
    let bytes = b"caf\xe9\x1b[2J\0".to_vec();
    let object = one(EventBody::Command(Command { args: Text(bytes.clone()), ..Command::default() }));
    assert_eq!(object["args"], "caf\u{fffd}\u{1b}[2J\0");
    let decoded = base64::engine::general_purpose::STANDARD.decode(object["args_b64"].as_str().unwrap()).unwrap();
    assert_eq!(decoded, bytes);
    assert!(!object.contains_key("verb_b64"));
}

#[test]
fn bodies() {
    let data = MessageData { ordinal: 1, offset: 10, after_gap: false, bytes: b"line\r\n".to_vec() };
    let object = one(EventBody::MessageData(data));
    assert_keys(&object, BASE, "ordinal offset size text");
    assert_eq!(object["text"], "line\r\n");
}

#[test]
fn a_command_writes_its_own_type_only() {
    for (select, kind) in [(Select::Sessions, "session"), (Select::Tls, "tls"), (Select::Auth, "auth")] {
        let objects = write(select, samples::story());
        assert_eq!(objects.len(), 1);
        assert_eq!(objects[0]["type"], kind);
    }
}

#[test]
fn the_account() {
    let mut report = Report { frames: 10, segments: 7, mail_sessions: 1, ..Report::default() };
    report.skipped.insert("udp".into(), 3);
    report.account.decoded = 99;
    let mut sink = Json::new(Vec::new(), Select::All, false).with_stats(true);
    for event in samples::story() {
        sink.event(event).unwrap();
    }
    sink.finish(&report).unwrap();
    let stats: Value = serde_json::from_slice(sink.into_inner().split(|b| *b == b'\n').nth_back(1).unwrap()).unwrap();
    assert_eq!(stats["type"], "stats");
    assert_eq!(stats["frames"], serde_json::json!({"read": 10, "decoded": 7, "tcp": 7, "skipped": {"udp": 3}}));
    assert_eq!(stats["bytes"]["decoded"], 99);
    assert_eq!(
        keys(stats.as_object().unwrap()),
        [
            "type",
            "sessions",
            "incomplete",
            "handshakes",
            "frames",
            "bytes",
            "protocols",
            "servers",
            "other_servers",
            "verbs",
            "replies",
            "mechanisms",
            "tls_versions",
            "suites",
            "latency"
        ]
    );
    assert_eq!(stats["protocols"], serde_json::json!({"smtp": 1}));
    assert_eq!(stats["servers"], serde_json::json!([{"ip": "10.0.0.9", "port": 587, "sessions": 1}]));
    assert_eq!(
        stats["mechanisms"],
        serde_json::json!({"PLAIN": {"success": 1, "failure": 0, "aborted": 0, "unknown": 0}})
    );
    assert_eq!(stats["verbs"]["EHLO"], 2);
    assert_eq!(stats["replies"]["354"], 1);
    assert_eq!(stats["latency"]["max"], 0.201_004);
}
