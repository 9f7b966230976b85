//! `--stats`: the counts are those of the objects that the same run tells.

mod common;

use std::collections::BTreeMap;
use std::process::{Command, Output};

use common::testdata;
use serde_json::{Map, Value};

fn program(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mailcap")).args(args).output().unwrap()
}

/// Real captures of every protocol, and their key.
fn captures() -> Vec<String> {
    let names = [
        "smtp-auth-all.pcap",
        "imap-full-starttls-rsa.pcap",
        "pop3-auth-all.pcap",
        "sieve-starttls-rsa.pcap",
        "rsa12-resume.pcap",
        "smtp-bdat.pcap",
    ];
    let mut args: Vec<String> =
        names.iter().map(|n| testdata().join("servers").join(n).to_str().unwrap().to_owned()).collect();
    args.extend(["-k".to_owned(), testdata().join("servers/keys/server.key").to_str().unwrap().to_owned()]);
    args
}

fn counts<'a>(values: impl Iterator<Item = &'a str>) -> Value {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    serde_json::to_value(counts).unwrap()
}

#[test]
fn the_counts_are_those_of_the_objects() {
    let captures = captures();
    let args: Vec<&str> =
        ["decode", "--json", "--stats"].into_iter().chain(captures.iter().map(String::as_str)).collect();
    let text = String::from_utf8(program(&args).stdout).unwrap();
    let mut objects: Vec<Map<String, Value>> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let stats = objects.pop().unwrap();
    assert_eq!(stats["type"], "stats");
    let of = |kind: &str, field: &str| {
        let own = objects.iter().filter(|o| o["type"] == kind);
        counts(own.filter_map(|o| o[field].as_str()).filter(|v| !v.is_empty()))
    };
    assert_eq!(stats["protocols"], of("session", "protocol"));
    assert_eq!(stats["verbs"], of("command", "verb"));
    assert_eq!(stats["replies"], of("reply", "status"));
    assert_eq!(stats["tls_versions"], of("tls", "version"));
    assert_eq!(stats["suites"], of("tls", "suite"));
    for (mechanism, by_outcome) in stats["mechanisms"].as_object().unwrap() {
        for (outcome, count) in by_outcome.as_object().unwrap() {
            let own = |o: &&Map<String, Value>| {
                o["type"] == "auth" && o["mechanism"] == mechanism.as_str() && o["outcome"] == outcome.as_str()
            };
            assert_eq!(count.as_u64().unwrap(), objects.iter().filter(own).count() as u64, "{mechanism} {outcome}");
        }
    }
    assert!(stats["mechanisms"].as_object().unwrap().len() > 5);
    let sessions: u64 = stats["servers"].as_array().unwrap().iter().map(|s| s["sessions"].as_u64().unwrap()).sum();
    assert_eq!(sessions, objects.iter().filter(|o| o["type"] == "session").count() as u64);
    // Percentiles by nearest rank over the replies' own latencies, no lower and at most a 32nd higher.
    let mut latencies: Vec<f64> =
        objects.iter().filter(|o| o["type"] == "reply").filter_map(|o| o["latency"].as_f64()).collect();
    latencies.sort_by(f64::total_cmp);
    let latency = &stats["latency"];
    assert_eq!(latency["count"].as_u64(), Some(latencies.len() as u64));
    assert_eq!(latency["max"].as_f64(), latencies.last().copied());
    for (name, percent) in [("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99)] {
        let exact = latencies[(latencies.len() * percent).div_ceil(100) - 1].max(0.0);
        let told = latency[name].as_f64().unwrap();
        assert!(told >= exact && told <= exact * 33.0 / 32.0 + 1e-8, "{name}: {told}, exactly {exact}");
    }
}

#[test]
fn a_person_reads_them_on_stderr() {
    let captures = captures();
    let args: Vec<&str> = ["sessions", "--stats"].into_iter().chain(captures.iter().map(String::as_str)).collect();
    let told = String::from_utf8(program(&args).stderr).unwrap();
    for part in [
        "mail sessions",
        "protocols",
        "  smtp",
        "servers",
        "commands",
        "  EHLO",
        "replies",
        "  250",
        "authentications",
        "  CRAM-MD5",
        "TLS versions",
        "  TLSv1.2",
        "TLS suites",
        "  TLS_RSA_",
        "reply times, seconds",
        "  p99",
        "  max",
    ] {
        assert!(told.lines().any(|l| l.starts_with(part)), "{part:?} in {told}");
    }
}

#[test]
fn selection_selects_what_is_counted() {
    let captures = captures();
    let args: Vec<&str> = ["auth", "--json", "--stats", "--proto", "pop3"]
        .into_iter()
        .chain(captures.iter().map(String::as_str))
        .collect();
    let text = String::from_utf8(program(&args).stdout).unwrap();
    let stats: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let protocols: Vec<&String> = stats["protocols"].as_object().unwrap().keys().collect();
    assert_eq!(protocols, ["pop3"]);
    assert!(stats["verbs"].get("EHLO").is_none());
}

#[test]
fn commands_are_counted_alike_everywhere() {
    let mut captures = captures();
    captures.push(testdata().join("servers/starttls-inject.pcap").to_str().unwrap().to_owned());
    let args: Vec<&str> =
        ["decode", "--json", "--stats"].into_iter().chain(captures.iter().map(String::as_str)).collect();
    let text = String::from_utf8(program(&args).stdout).unwrap();
    let objects: Vec<Map<String, Value>> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of = |kind: &'static str| objects.iter().filter(move |o| o["type"] == kind);
    assert!(of("command").any(|c| c["injected"] == true) && of("command").any(|c| c["verb"] == ""));
    let told = of("command").filter(|c| c["injected"] == false && c["verb"] != "").count() as u64;
    let in_sessions: u64 = of("session").map(|s| s["commands"].as_u64().unwrap()).sum();
    let verbs = of("stats").flat_map(|s| s["verbs"].as_object().unwrap().values());
    assert_eq!((in_sessions, verbs.map(|n| n.as_u64().unwrap()).sum::<u64>()), (told, told));
}
