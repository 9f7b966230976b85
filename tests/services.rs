//! `mailcap services`: what servers said about themselves, held against their own logs; and what SYNs came to.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use common::packets::{Dialogue, Frames, Packet, dialogues, pcap};
use common::script::{dialogue, flights};
use common::{How, config, testdata};
use mailcap::flow::Side;
use mailcap::limits::Limits;
use mailcap::output::services::{Options, Services};
use mailcap::output::sessions::Look;
use mailcap::pipeline::{Config, run};
use serde_json::Value;

/// The services of a capture by endpoint.
fn services(file: &Path, keys: &[PathBuf], options: Options, limits: &Limits) -> BTreeMap<String, Value> {
    let mut sink = Services::new(Vec::new(), Options { json: true, ..options }, limits);
    let config = Config { connections: true, ..config(&[file.to_owned()], &How { keys, ..How::default() }) };
    run(config, &mut sink).unwrap();
    let listed = sink.listed().load(Ordering::Relaxed);
    let text = String::from_utf8(sink.into_inner()).unwrap();
    let mut rows: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    rows.retain(|r| r["type"] == "service");
    assert_eq!(listed, rows.len() as u64);
    rows.into_iter().map(|r| (format!("{}:{}", r["ip"].as_str().unwrap(), r["port"]), r)).collect()
}

fn of_server(name: &str, key: bool) -> (BTreeMap<String, Value>, Value) {
    let folder = testdata().join("servers");
    let truth = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    let keys = if key { vec![folder.join("keys/server.key")] } else { Vec::new() };
    let rows = services(&folder.join(format!("{name}.pcap")), &keys, Options::default(), &Limits::default());
    (rows, serde_json::from_str(&truth).unwrap())
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map(|a| a.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// Every line that the server logged of a reply to EHLO, without code.
fn logged(truth: &Value) -> Vec<String> {
    let connections = truth["expected"].as_array().unwrap();
    let replies = connections.iter().flat_map(|c| strings(&c["replies"]));
    let lines = replies.filter_map(|r| r.strip_prefix("250-").or(r.strip_prefix("250 ")));
    lines.map(|l| l.trim_end().to_owned()).collect()
}

#[test]
fn smtp_as_the_server_logged_it() {
    let (rows, truth) = of_server("smtp-auth-all", false);
    let row = &rows["127.0.0.1:587"];
    assert_eq!(
        (&row["state"], &row["protocol"], &row["security"]),
        (&"open".into(), &"smtp".into(), &"starttls".into())
    );
    let logged = logged(&truth);
    let auth = logged.iter().find_map(|l| l.strip_prefix("AUTH ")).unwrap();
    assert_eq!(strings(&row["auth"]), auth.split(' ').collect::<Vec<_>>());
    for capability in strings(&row["capabilities"]) {
        assert!(logged.iter().any(|l| l == capability), "{capability}");
    }
    assert!(strings(&row["capabilities"]).contains(&"PIPELINING"));
    assert_eq!(row["plaintext_auth"], true);
    assert_eq!((&row["capabilities_tls"], &row["auth_tls"]), (&Value::Null, &Value::Null));
    assert_eq!(row["sessions"], truth["expected"].as_array().unwrap().len());
}

#[test]
fn starttls_changes_what_is_offered() {
    let (rows, _) = of_server("sieve-starttls-rsa", true);
    let row = &rows["127.0.0.2:4190"];
    assert!(strings(&row["capabilities"]).contains(&"STARTTLS"));
    assert!(!strings(&row["capabilities_tls"]).contains(&"STARTTLS"));
    assert!(strings(&row["auth_tls"]).contains(&"SCRAM-SHA-256"));
    assert_eq!(strings(&row["tls_versions"]), ["TLSv1.2"]);
    assert_eq!(row["certificates"][0]["key"], "RSA-2048");
    let (closed, _) = of_server("sieve-starttls-rsa", false);
    assert_eq!(closed["127.0.0.2:4190"]["capabilities_tls"], Value::Null);
    assert_eq!(closed["127.0.0.2:4190"]["certificates"], row["certificates"]);
}

/// Dialogues with one server, one after the other, each from another port.
fn one_after_the_other(mut all: Vec<Dialogue>) -> tempfile::NamedTempFile {
    let mut bytes = Vec::new();
    for (port, dialogue) in (40_000..).zip(&mut all) {
        dialogue.client.set_port(port);
        let own = pcap(dialogue, &flights(dialogue));
        bytes.extend_from_slice(if bytes.is_empty() { &own } else { &own[24..] });
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

#[test]
fn a_client_that_tries_tls_does_not_make_a_server_of_tls() {
    let turns = &dialogues(testdata().join("servers/rsa12-smtp-starttls.pcap"))[0].turns;
    let hello = turns.iter().find(|t| t.bytes.starts_with(&[22, 3, 1])).unwrap();
    let offers = dialogue(587, "S: 220 mx ESMTP\nC: EHLO me\nS: 250-mx\nS: 250 STARTTLS\nC: QUIT\nS: 221 bye");
    let tries = |answer: &str| {
        let mut tries = dialogue(587, answer);
        tries.turns.insert(0, hello.clone());
        tries
    };
    let security = |all: Vec<Dialogue>| {
        let file = one_after_the_other(all);
        services(file.path(), &[], Options::default(), &Limits::default())["10.0.0.2:587"]["security"].clone()
    };
    assert_eq!(security(vec![dialogue(587, "C: EHLO me")]), Value::Null);
    // It says what a plain server says, which may offer STARTTLS, or nothing.
    for answer in ["S: 220 mx ESMTP\nS: 500 5.5.2 Error: bad syntax", ""] {
        assert_eq!(security(vec![tries(answer)]), Value::Null);
        assert_eq!(security(vec![tries(answer), offers.clone()]), "starttls");
        assert_eq!(security(vec![offers.clone(), tries(answer)]), "starttls");
    }
}

#[test]
fn what_is_offered_to_a_user_is_not_the_services() {
    let (rows, _) = of_server("imap-full-plain", false);
    for row in rows.values() {
        let capabilities = strings(&row["capabilities"]);
        assert!(capabilities.contains(&"IMAP4rev1") && !capabilities.contains(&"CONDSTORE"), "{capabilities:?}");
    }
    assert!(!rows.is_empty());
}

#[test]
fn apop_is_told_of_by_the_banner() {
    let (rows, truth) = of_server("pop3-auth-all", false);
    let used = truth["expected"].as_array().unwrap().iter().flat_map(|c| c["auth"].as_array().unwrap().clone());
    assert!(used.into_iter().any(|a| a["mech"] == "APOP"));
    assert!(rows.values().all(|row| strings(&row["auth"]).contains(&"APOP")));
}

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

fn states(frames: Frames, options: Options, limits: &Limits) -> BTreeMap<String, String> {
    let file = frames.write();
    let rows = services(file.path(), &[], options, limits);
    rows.into_iter().map(|(name, row)| (name, row["state"].as_str().unwrap().to_owned())).collect()
}

fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

/// One SYN to each of four servers, and what came of it.
fn attempts() -> Frames {
    let mut frames = Frames::default();
    let me = ([10, 0, 0, 1], 40_000);
    for last in 2..=5 {
        frames.tcp(me, ([10, 0, 0, last], 25), 100, 0, SYN, b"");
    }
    frames.tcp(([10, 0, 0, 2], 25), me, 500, 101, SYN | ACK, b"");
    frames.tcp(([10, 0, 0, 3], 25), me, 0, 101, RST | ACK, b"");
    frames.icmp_unreachable(([10, 0, 0, 4], 25), me, 100, 13);
    // Retransmitted in vain.
    frames.tcp(me, ([10, 0, 0, 5], 25), 100, 0, SYN, b"");
    frames
}

#[test]
fn open_closed_filtered_silent() {
    let expected =
        [("10.0.0.2:25", "open"), ("10.0.0.3:25", "closed"), ("10.0.0.4:25", "filtered"), ("10.0.0.5:25", "silent")];
    assert_eq!(states(attempts(), Options::default(), &Limits::default()), pairs(&expected));
}

/// `decode` and `sessions` said that there is no mail, and no more.
#[test]
fn attempts_that_came_to_nothing_are_told() {
    let said = |command: &str, frames: Frames| {
        let (file, program) = (frames.write(), env!("CARGO_BIN_EXE_mailcap"));
        let ran = std::process::Command::new(program).arg(command).arg(file.path()).output().unwrap();
        assert_eq!(ran.status.code(), Some(1));
        String::from_utf8(ran.stderr).unwrap()
    };
    let (me, server) = (([10, 0, 0, 1], 40_000), [10, 0, 0, 2]);
    let silent = || {
        let mut frames = Frames::default();
        frames.tcp(me, (server, 25), 100, 0, SYN, b"");
        frames
    };
    let refused = || {
        let mut frames = silent();
        frames.tcp(me, (server, 587), 100, 0, SYN, b"");
        frames.tcp((server, 587), me, 0, 101, RST | ACK, b"");
        frames
    };
    for (command, thing) in
        [("decode", "mail session"), ("sessions", "mail session"), ("auth", "mail session"), ("tls", "TLS handshake")]
    {
        let text = said(command, refused());
        let words = format!("no {thing} found, only attempts to connect to ports 25, 587; `mailcap services`");
        assert!(text.contains(&words), "{text}");
    }
    assert!(said("services", silent()).contains("connect to port 25, but the capture has no answer from any host"));
    let mut other = Frames::default();
    other.tcp(me, (server, 80), 100, 0, SYN, b"");
    assert!(!said("decode", other).contains("attempts"));
}

#[test]
fn silence_says_nothing_where_answers_were_not_captured() {
    let mut frames = Frames::default();
    for last in 2..=5 {
        frames.tcp(([10, 0, 0, 1], 40_000), ([10, 0, 0, last], 25), 100, 0, SYN, b"");
    }
    assert!(states(frames, Options::default(), &Limits::default()).is_empty());
}

#[test]
fn a_packet_too_big_is_not_filtered() {
    let mut frames = Frames::default();
    frames.icmp_unreachable(([10, 0, 0, 4], 25), ([10, 0, 0, 1], 40_000), 100, 4);
    assert!(states(frames, Options::default(), &Limits::default()).is_empty());
}

#[test]
fn other_ports_only_with_all_and_no_more_than_the_bound() {
    let scan = || {
        let mut frames = Frames::default();
        for port in 1..=2000 {
            frames.tcp(([10, 0, 0, 1], 40_000), ([10, 0, 0, 2], port), 100, 0, SYN, b"");
            frames.tcp(([10, 0, 0, 2], port), ([10, 0, 0, 1], 40_000), 0, 101, RST | ACK, b"");
        }
        frames
    };
    let mail = states(scan(), Options::default(), &Limits::default());
    // 24 25 110 143 465 587 993 995 2000.
    assert_eq!(mail.len(), 9);
    assert!(mail.values().all(|s| s == "closed"));
    let all = Options { all: true, ..Options::default() };
    assert_eq!(states(scan(), all.clone(), &Limits::default()).len(), 2000);
    let few = Limits { endpoints: 100, ..Limits::default() };
    assert_eq!(states(scan(), all.clone(), &few).len(), 100);
    // What was left out is said.
    let file = scan().write();
    let told = |json: bool| {
        let mut sink = Services::new(Vec::new(), Options { json, ..all.clone() }, &few);
        run(Config { connections: true, ..config(&[file.path().to_owned()], &How::default()) }, &mut sink).unwrap();
        String::from_utf8(sink.into_inner()).unwrap()
    };
    let last: Value = serde_json::from_str(told(true).lines().last().unwrap()).unwrap();
    assert_eq!((&last["type"], &last["listed"], &last["connections"]), (&"limit".into(), &100.into(), &1900.into()));
    assert!(told(false).lines().last().unwrap().contains("1900 connections"));
}

#[test]
fn the_text_fits_the_screen() {
    let file = testdata().join("servers/sieve-starttls-rsa.pcap");
    let keys = [testdata().join("servers/keys/server.key")];
    for width in [80, 100, 120] {
        let look = Look { width, ..Look::default() };
        let mut sink = Services::new(Vec::new(), Options { look, ..Options::default() }, &Limits::default());
        let how = How { keys: &keys, ..How::default() };
        run(Config { connections: true, ..config(std::slice::from_ref(&file), &how) }, &mut sink).unwrap();
        let text = String::from_utf8(sink.into_inner()).unwrap();
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{line}");
        }
        // Nothing is left out for it.
        let words: Vec<&str> = text.split_whitespace().collect();
        for wanted in ["127.0.0.2:4190", "starttls", "TLSv1.2", "SCRAM-SHA-256", "STARTTLS,"] {
            assert!(words.contains(&wanted), "{wanted} in {text}");
        }
    }
}

fn table(capture: &str) -> String {
    let file = testdata().join("servers").join(capture);
    let mut sink = Services::new(Vec::new(), Options::default(), &Limits::default());
    run(Config { connections: true, ..config(std::slice::from_ref(&file), &How::default()) }, &mut sink).unwrap();
    String::from_utf8(sink.into_inner()).unwrap()
}

/// Both were called passwords in clear.
#[test]
fn what_is_offered_is_told_from_what_was_sent() {
    let row = |capture: &str| table(capture).lines().nth(1).unwrap().to_owned();
    // All went through STARTTLS; PASS went without.
    assert!(row("rsa12-smtp-starttls.pcap").ends_with("  plaintext offered"));
    assert!(row("pop3-auth-all.pcap").ends_with("  passwords in clear"));
}

#[test]
fn a_proxy_is_no_mail_server() {
    let text = table("smtp-proxied.pcap");
    let beneath = |address: &str| text.lines().skip_while(|l| !l.starts_with(address)).nth(1).unwrap().to_owned();
    assert_eq!(beneath("127.0.0.1:1080"), "    a proxy, asked for: mail.example.com:10025, 127.0.0.1:10025");
    assert_eq!(beneath("127.0.0.1:8888"), "    a proxy, asked for: mail.example.com:10025");
}

#[test]
fn a_port_that_the_user_names_counts() {
    let mut frames = Frames::default();
    frames.tcp(([10, 0, 0, 1], 40_000), ([10, 0, 0, 2], 2525), 100, 0, SYN, b"");
    frames.tcp(([10, 0, 0, 2], 2525), ([10, 0, 0, 1], 40_000), 0, 101, RST | ACK, b"");
    let named = Options { ports: vec![2525], ..Options::default() };
    assert_eq!(states(frames, named, &Limits::default()), pairs(&[("10.0.0.2:2525", "closed")]));
}

#[test]
fn capability_completed_is_no_capability() {
    use common::script::{c, capture, s};
    let list =
        "\"IMPLEMENTATION\" \"x\"\r\n\"SIEVE\" \"fileinto\"\r\n\"SASL\" \"PLAIN\"\r\nOK \"Capability completed.\"\r\n";
    let imap = "* CAPABILITY IMAP4rev1\r\na OK Capability completed.\r\n";
    for (port, turns) in [
        (4190, vec![s(list), c("CAPABILITY\r\n"), s(list), c("LOGOUT\r\n"), s("OK \"bye\"\r\n")]),
        (143, vec![s("* OK IMAP ready\r\n"), c("a CAPABILITY\r\n"), s(imap), c("b LOGOUT\r\n")]),
    ] {
        let file = capture(port, &turns);
        let rows = services(file.path(), &[], Options::default(), &Limits::default());
        let row = rows.values().next().unwrap();
        assert!(!strings(&row["capabilities"]).is_empty());
        assert!(!strings(&row["capabilities"]).iter().any(|c| c.contains("completed")), "{row}");
    }
}

/// Exchange ends its list so.
#[test]
fn the_ok_behind_a_list_is_no_capability() {
    use common::script::{c, capture, s};
    let turns =
        [s("220 x\r\n"), c("EHLO me\r\n"), s("250-x\r\n250-CHUNKING\r\n250-XEXCH50\r\n250 OK\r\n"), c("QUIT\r\n")];
    let rows = services(capture(25, &turns).path(), &[], Options::default(), &Limits::default());
    assert_eq!(strings(&rows.values().next().unwrap()["capabilities"]), ["CHUNKING", "XEXCH50"]);
}

/// RFC 5804 §1.7: a value is a string of either form.
#[test]
fn a_value_in_a_literal_is_a_capabilitys() {
    use common::script::{c, capture, s};
    let list = "\"IMPLEMENTATION\" {3}\r\na b\r\n\"SIEVE\" {17}\r\nfileinto envelope\r\nOK\r\n";
    let rows = services(capture(4190, &[s(list), c("LOGOUT\r\n")]).path(), &[], Options::default(), &Limits::default());
    let capabilities = &rows.values().next().unwrap()["capabilities"];
    assert_eq!(strings(capabilities), ["IMPLEMENTATION a b", "SIEVE fileinto envelope"]);
}

/// POP3's AUTH without a mechanism lists those that there are.
#[test]
fn mechanisms_of_a_bare_auth() {
    use common::script::{c, capture, s};
    let capa = [c("CAPA\r\n"), s("+OK\r\nSASL PLAIN\r\nUSER\r\n.\r\n")];
    let auth = [c("AUTH\r\n"), s("+OK\r\nNTLM\r\nPlain\r\n.\r\n")];
    let told = |turns: &[_]| {
        let file = capture(110, &[&[s("+OK ready\r\n")], turns, &[c("QUIT\r\n"), s("+OK bye\r\n")]].concat());
        services(file.path(), &[], Options::default(), &Limits::default()).into_values().next().unwrap()
    };
    let both = told(&[capa, auth.clone()].concat());
    assert_eq!(strings(&both["auth"]), ["PLAIN", "NTLM"]);
    assert_eq!(strings(&both["capabilities"]), ["SASL PLAIN", "USER"]);
    let alone = told(&auth);
    assert_eq!((strings(&alone["auth"]), &alone["plaintext_auth"]), (vec!["NTLM", "PLAIN"], &true.into()));
    assert_eq!(alone["capabilities"], Value::Null);
}

/// Nobody asked, or the answer was not captured: that there is no STARTTLS is not known.
#[test]
fn what_nobody_asked_is_not_known() {
    let row = |port, script: &str, keep: &dyn Fn(&Packet) -> bool| {
        let dialogue = dialogue(port, script);
        let mut list = flights(&dialogue);
        list.retain(keep);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pcap(&dialogue, &list)).unwrap();
        services(file.path(), &[], Options::default(), &Limits::default()).into_values().next().unwrap()
    };
    let all = |_: &Packet| true;
    let helo = "S: 220 mx ESMTP\nC: HELO me\nS: 250 mx\nC: QUIT\nS: 221 bye";
    let login = "S: * OK ready\nC: a LOGIN joe secret\nS: a OK in\nC: b LOGOUT\nS: * BYE x\nS: b OK x";
    let refused = "S: 220 mx ESMTP\nC: EHLO me\nS: 550 5.7.1 not you\nC: QUIT\nS: 221 bye";
    let away = "S: 554 5.7.1 go away\nC: QUIT\nS: 221 bye";
    for (port, script) in [(25, helo), (143, login), (25, away), (25, refused)] {
        assert_eq!(row(port, script, &all)["security"], Value::Null, "{script}");
    }
    // It was asked, and has none.
    for reply in ["S: 502 5.5.2 no such command", "S: 250 mx", "S: 250-mx\nS: 250 SIZE 1000"] {
        let script = format!("S: 220 mx ESMTP\nC: EHLO me\n{reply}\nC: QUIT\nS: 221 bye");
        assert_eq!(row(25, &script, &all)["security"], "none", "{reply}");
    }
    let ehlo = "S: 220 mx ESMTP\nC: EHLO me\nS: 250-mx\nS: 250-STARTTLS\nS: 250 AUTH PLAIN\nC: QUIT\nS: 221 bye";
    let says = |p: &Packet, word: &[u8]| p.payload.windows(word.len()).any(|w| w == word);
    assert_eq!(row(25, ehlo, &|p| !says(p, b"STARTTLS"))["security"], Value::Null, "its answer is lost");
    for (what, keep) in [
        ("the server alone", &(|p: &Packet| p.side == Side::Responder) as &dyn Fn(&Packet) -> bool),
        ("EHLO is lost", &|p: &Packet| !says(p, b"EHLO")),
    ] {
        let row = row(25, ehlo, keep);
        assert_eq!(row["security"], "starttls", "{what}");
        assert_eq!(
            (strings(&row["capabilities"]), strings(&row["auth"])),
            (vec!["STARTTLS", "AUTH PLAIN"], vec!["PLAIN"])
        );
    }
}

/// The end of the list is lost: what else is in it, STARTTLS perhaps, nobody knows.
#[test]
fn of_a_list_that_is_not_whole_nothing_is_said() {
    for (port, script, lost) in [
        (
            587,
            "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250-SIZE\nS: 250 STARTTLS\nC: NOOP\nS: 250 Ok\nC: QUIT\nS: 221 bye",
            10,
        ),
        (
            143,
            "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] hi\nC: a NOOP\nS: a OK done\nC: b LOGOUT\nS: * BYE x\nS: b OK x",
            19,
        ),
    ] {
        let dialogue = dialogue(port, script);
        let mut list = flights(&dialogue);
        let cut = list.iter_mut().find(|p| p.payload.windows(8).any(|w| w == b"STARTTLS")).unwrap();
        cut.payload.truncate(cut.payload.len() - lost);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pcap(&dialogue, &list)).unwrap();
        let row = services(file.path(), &[], Options::default(), &Limits::default()).into_values().next().unwrap();
        assert_eq!((&row["security"], &row["capabilities"], &row["auth"]), (&Value::Null, &Value::Null, &Value::Null));
    }
}
