//! Real TLS stacks against mailcap: every capture of `testdata/tls` and of the corpus's `tls` folder, by RSA key and by key log, held
//! against what the endpoints recorded: commands, replies, authentications, messages, attachments, suites.

mod common;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use common::{How, Story, Table, difference, hex, tell};
use mailcap::event::{AuthOutcome, Decrypted, MessagePart, Protocol, Resumed, Security};
use serde_json::Value;

#[derive(Copy, Clone, PartialEq)]
enum By {
    Key,
    KeyLog,
}

fn captures() -> Vec<(PathBuf, Value)> {
    let mut captures = Vec::new();
    for folder in common::folders("tls") {
        let text = std::fs::read_to_string(folder.join("index.json")).unwrap();
        let index: Value = serde_json::from_str(&text).unwrap();
        for row in index.as_array().unwrap() {
            let truth = folder.join(row["name"].as_str().unwrap().to_owned() + ".json");
            captures.push((folder.clone(), serde_json::from_str(&std::fs::read_to_string(truth).unwrap()).unwrap()));
        }
    }
    captures
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map(|a| a.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn files(folder: &Path, value: &Value) -> Vec<PathBuf> {
    match value {
        Value::String(one) => vec![folder.join(one)],
        _ => strings(value).into_iter().map(|f| folder.join(f)).collect(),
    }
}

/// Runs the capture in one way and lists what differs from the truth. None where there is no expectation.
fn check(folder: &Path, truth: &Value, by: By) -> Option<Vec<String>> {
    let expect = truth["expect"][if by == By::Key { "rsa_key" } else { "keylog" }].as_str()?;
    if expect == "unspecified" {
        return None;
    }
    // Secrets inside the capture need no key.
    let expect = if truth["name"].as_str().is_some_and(|n| n.starts_with("k-dsb")) { "full" } else { expect };
    let (keys, keylogs) = match by {
        By::Key => (files(folder, &truth["key_file"]), Vec::new()),
        By::KeyLog => (Vec::new(), files(folder, &truth["keylog_file"])),
    };
    if by == By::KeyLog && keylogs.is_empty() {
        return None;
    }
    let psk = (expect == "full-with-psk").then(|| unhex(truth["psk"]["key_hex"].as_str().unwrap()));
    let how = How { keys: &keys, keylogs: &keylogs, psk: psk.as_deref(), ..How::default() };
    let told = tell(&files(folder, &truth["file"]), &how);
    let mut problems = Vec::new();
    for connection in truth["connections"].as_array().unwrap() {
        let client = address(connection["client"].as_str().unwrap());
        match told.by_client(client) {
            None => problems.push(format!("no session for {client}")),
            Some(story) => match expect {
                "full" | "full-with-psk" | "not-needed" if connection["dialogue_incomplete"] != true => {
                    full(story, connection, truth, &mut problems);
                }
                "none" => none(story, connection, &mut problems),
                _ => prefix(story, connection, truth, &mut problems),
            },
        }
    }
    Some(problems)
}

/// `IP:PORT`, the port behind the last colon.
fn address(text: &str) -> SocketAddr {
    let (ip, port) = text.rsplit_once(':').unwrap();
    SocketAddr::new(ip.trim_matches(['[', ']']).parse().unwrap(), port.parse().unwrap())
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn whole_messages(story: &Story) -> Vec<String> {
    let whole = |m: &&mailcap::event::Message| m.complete && m.part == MessagePart::Full;
    story.messages.iter().filter(whole).map(|m| hex(&m.sha256.unwrap())).collect()
}

fn wanted_messages(connection: &Value) -> Vec<String> {
    let messages = connection["messages"].as_array().cloned().unwrap_or_default();
    messages.iter().map(|m| m["sha256"].as_str().unwrap().to_owned()).collect()
}

/// The capture holds everything, so everything must be told.
fn full(story: &Story, connection: &Value, truth: &Value, problems: &mut Vec<String>) {
    let session = story.session();
    let mut differs = |what: &str, got: String, want: String| {
        if got != want {
            problems.push(format!("{what} is {got}, not {want}"));
        }
    };
    // Commands, with their arguments but for what is masked; the endpoints list continuation lines among them.
    let imap = connection["protocol"] == "imap";
    let all: Vec<&str> =
        strings(&connection["pre_tls_commands"]).into_iter().chain(strings(&connection["commands"])).collect();
    let mut literal = false;
    let want: Vec<String> = all
        .iter()
        // What follows a literal's announcement is no command; an APPEND's literal is not in the list.
        .filter(|line| {
            let inside = imap && std::mem::take(&mut literal);
            literal = line.ends_with('}') && (inside || line.split(' ').nth(1) != Some("APPEND"));
            !inside
        })
        .filter(|line| if imap { line.split(' ').count() > 1 } else { is_command(line) })
        .map(|line| {
            let mut words = line.split(' ');
            let tag = if imap { words.next().unwrap_or_default().to_owned() + " " } else { String::new() };
            tag + &words.next().unwrap_or_default().to_ascii_uppercase()
        })
        .collect();
    let got: Vec<String> = story
        .commands
        .iter()
        .filter(|c| !c.injected && !c.verb.is_empty() && c.verb.0 != b"DONE")
        .map(|c| {
            let tag = c.tag.as_ref().map(|t| t.to_str_lossy().into_owned() + " ").unwrap_or_default();
            tag + c.verb.to_str_lossy().split(' ').next().unwrap_or_default()
        })
        .collect();
    differs("the list of commands", got.join(", "), want.join(", "));
    // Replies.
    let want: Vec<String> = strings(&connection["pre_tls_replies"])
        .into_iter()
        .chain(strings(&connection["replies"]))
        .map(str::to_owned)
        .filter(|r| !imap || !r.starts_with('*'))
        .collect();
    let got: Vec<String> = story
        .replies
        .iter()
        .map(|r| match &r.tag {
            Some(tag) => format!("{} {}", tag.to_str_lossy(), r.status.to_str_lossy()),
            None => r.status.to_str_lossy().into_owned(),
        })
        .filter(|r| !imap || !r.starts_with('*') && r != "PREAUTH")
        .collect();
    let got: Vec<String> = if imap { got.into_iter().filter(|r| r.contains(' ') || r == "+").collect() } else { got };
    differs("the list of replies", got.join(", "), want.join(", "));
    // Authentication.
    if let Some(user) = connection["auth"]["username"].as_str() {
        let got: Vec<String> = story
            .auth
            .iter()
            .filter(|a| a.outcome == AuthOutcome::Success)
            .map(|a| {
                let mechanism = a.mechanism.to_str_lossy().into_owned();
                let mechanism = if mechanism == "USER" { "USER/PASS".to_owned() } else { mechanism };
                format!("{mechanism} {}", a.user.as_ref().map(|u| u.to_str_lossy()).unwrap_or_default())
            })
            .collect();
        let want = format!("{} {user}", connection["auth"]["mechanism"].as_str().unwrap_or_default());
        differs("the authentication", got.join(", "), want);
    }
    // Messages, in order, with their subjects and attachments.
    differs("the list of messages", whole_messages(story).join(" "), wanted_messages(connection).join(" "));
    for (got, want) in story.messages.iter().zip(connection["messages"].as_array().into_iter().flatten()) {
        differs("a size", got.size.to_string(), want["length"].to_string());
        if let Some(subject) = want["subject"].as_str() {
            differs("a subject", got.subject.clone().unwrap_or_default(), subject.to_owned());
        }
        if let Some(id) = want["message_id"].as_str() {
            let id = id.trim_matches(['<', '>']);
            differs("a message id", got.message_id.clone().unwrap_or_default(), id.to_owned());
        }
        let told = got.attachments.iter().map(|a| {
            format!("{} {} {}", a.filename.as_deref().unwrap_or(""), a.size, hex(&a.sha256.unwrap_or_default()))
        });
        let sent = want["attachments"].as_array().into_iter().flatten().map(|a| {
            let text = |key: &str| a[key].as_str().unwrap_or_default();
            format!("{} {} {}", text("filename"), a["length"], text("sha256"))
        });
        differs("the attachments", told.collect::<Vec<_>>().join(", "), sent.collect::<Vec<_>>().join(", "));
    }
    // The session as a whole.
    let protocol = session.protocol.map(Protocol::as_str).unwrap_or("none");
    differs("the protocol", protocol.to_owned(), connection["protocol"].as_str().unwrap_or_default().to_owned());
    if !session.complete || session.gap_count > 0 || session.undecrypted_bytes > 0 {
        problems.push(format!(
            "not complete: {} gaps, {} bytes undecrypted, ended by {:?}",
            session.gap_count, session.undecrypted_bytes, session.end_reason
        ));
    }
    tls(story, connection, truth, problems);
}

fn tls(story: &Story, connection: &Value, truth: &Value, problems: &mut Vec<String>) {
    let session = story.session();
    let Some(version) = connection["version"].as_str() else {
        if session.security != Security::None {
            problems.push("TLS where there is none".to_owned());
        }
        return;
    };
    let security = if connection["starttls"] == true { Security::StartTls } else { Security::Implicit };
    if session.security != security {
        problems.push(format!("security is {:?}, not {security:?}", session.security));
    }
    let Some(first) = story.tls.first() else {
        problems.push("no handshake told".to_owned());
        return;
    };
    let want = version.replace("SSL 3.0", "SSLv3").replace("TLS ", "TLSv");
    if first.version != Some(&want) {
        problems.push(format!("version is {:?}, not {want}", first.version));
    }
    if first.suite.as_deref() != connection["suite"].as_str() {
        problems.push(format!("suite is {:?}, not {}", first.suite, connection["suite"]));
    }
    if (first.resumed != Resumed::No) != (connection["resumed"] == true) {
        problems.push(format!("resumed is {:?}, the endpoints say {}", first.resumed, connection["resumed"]));
    }
    for handshake in &story.tls {
        if handshake.decrypted != Decrypted::All || handshake.reason.is_some() {
            let (decrypted, reason) = (handshake.decrypted, handshake.reason);
            problems.push(format!("handshake {}: decrypted {decrypted:?}, reason {reason:?}", handshake.handshake));
        }
    }
    let renegotiated = truth["features"].to_string().contains("renegotiation");
    if renegotiated && story.tls.len() < 2 {
        problems.push("the renegotiation was not told".to_owned());
    }
}

/// POP3's and SMTP's verbs; anything else in the endpoints' lists is a continuation line.
fn is_command(line: &str) -> bool {
    const VERBS: &[&str] = &[
        "HELO", "EHLO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "AUTH", "STARTTLS", "VRFY",
        "HELP", "EXPN", "USER", "PASS", "APOP", "CAPA", "STLS", "STAT", "LIST", "RETR", "DELE", "TOP", "UIDL", "ETRN",
    ];
    VERBS.contains(&line.split(' ').next().unwrap_or_default().to_ascii_uppercase().as_str())
}

/// Nothing can be decrypted: nothing may be invented, and the reason must be there.
fn none(story: &Story, connection: &Value, problems: &mut Vec<String>) {
    if !whole_messages(story).is_empty() && connection["starttls"] != true {
        problems.push("messages out of nothing".to_owned());
    }
    if story.tls.is_empty() || story.tls.iter().any(|t| t.reason.is_none()) {
        problems.push("no reason given".to_owned());
    }
}

/// The capture is damaged: nothing may be invented or called complete, and little may be lost.
fn prefix(story: &Story, connection: &Value, truth: &Value, problems: &mut Vec<String>) {
    let (want, got) = (wanted_messages(connection), whole_messages(story));
    let (missing, extra) = difference(&want, &got);
    if extra > 0 && connection["dialogue_incomplete"] != true {
        problems.push(format!("{extra} messages called complete that were never sent"));
    }
    let name = truth["name"].as_str().unwrap();
    if name.starts_with("t-capture-gap") {
        if missing > 1 {
            problems.push(format!("stopped at the gap: {missing} of {} messages missing", want.len()));
        }
        if story.session().complete || story.gaps.is_empty() {
            problems.push("the gap is not told".to_owned());
        }
    }
    if name.starts_with("f-cut") && story.session().complete {
        problems.push("a cut session is called complete".to_owned());
    }
}

fn run(by: By, title: &str) {
    let mut table = Table::default();
    for (folder, truth) in captures() {
        if let Some(problems) = check(&folder, &truth, by) {
            table.row(truth["name"].as_str().unwrap(), problems);
        }
    }
    table.finish(title, if common::corpus().is_some() { 110 } else { 20 });
}

#[test]
fn by_rsa_key_as_the_endpoints_recorded() {
    run(By::Key, "TLS captures by RSA key");
}

#[test]
fn by_key_log_as_the_endpoints_recorded() {
    run(By::KeyLog, "TLS captures by key log");
}
