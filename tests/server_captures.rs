//! Real servers and real clients against mailcap: every capture of `testdata/servers` and of the corpus's `servers` folder, held against what
//! the servers logged and the clients recorded: commands, replies, authentications, messages.

mod common;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use common::{How, Story, Table, difference, hex, tell};
use mailcap::event::{AuthOutcome, MessagePart, Protocol};
use serde_json::Value;

/// Captures that hold only a part of what the truth tells (the folder's README says so).
const PARTIAL: &[&str] = &["late-start", "early-stop-cut", "oneway-s2c", "snaplen96", "mixed-day-drops"];

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map(|a| a.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn captures() -> Vec<(PathBuf, Value)> {
    let mut captures = Vec::new();
    for folder in common::folders("servers") {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        files.retain(|f| f.extension().is_some_and(|e| e == "json") && !f.ends_with("INDEX.json"));
        let read = |f: &PathBuf| serde_json::from_str(&std::fs::read_to_string(f).unwrap()).unwrap();
        captures.extend(files.iter().map(|f| (folder.clone(), read(f))));
    }
    captures
}

fn inputs(folder: &Path, truth: &Value) -> Vec<PathBuf> {
    let own = folder.join(truth["name"].as_str().unwrap());
    let home = if own.is_dir() { own } else { folder.to_owned() };
    match &truth["capture_file"] {
        Value::String(one) => vec![home.join(one)],
        several => strings(several).into_iter().map(|f| home.join(f)).collect(),
    }
}

fn check(folder: &Path, truth: &Value) -> Vec<String> {
    let name = truth["name"].as_str().unwrap();
    let file = |key: &str| truth[key].as_str().map(|f| vec![folder.join(f)]).unwrap_or_default();
    let (keys, keylogs) = (file("key_file"), file("keylog"));
    let told = tell(&inputs(folder, truth), &How { keys: &keys, keylogs: &keylogs, ..How::default() });
    let mut problems = Vec::new();
    if PARTIAL.contains(&name) {
        partial(name, truth, &told.stories.into_values().collect::<Vec<_>>(), &mut problems);
        return problems;
    }
    for connection in truth["expected"].as_array().unwrap() {
        let compare = |story: &Story| {
            let mut own = Vec::new();
            commands(name, story, connection, &mut own);
            replies(name, story, connection, &mut own);
            authentications(story, connection, &mut own);
            messages(name, story, connection, &mut own);
            let protocol = story.session().protocol.map(Protocol::as_str);
            if protocol != connection["proto"].as_str() {
                own.push(format!("protocol {protocol:?}, not {}", connection["proto"]));
            }
            own
        };
        let Some(ip) = connection["client_ip"].as_str() else {
            // Recorded without its port: one of the sessions must be it.
            if !told.stories.values().any(|story| compare(story).is_empty()) {
                problems.push(format!("no session is the one with {}", connection["commands"][1]["raw"]));
            }
            continue;
        };
        let ip: IpAddr = ip.parse().unwrap();
        let client = SocketAddr::new(ip, connection["client_port"].as_u64().unwrap() as u16);
        match told.by_client(client) {
            Some(story) => problems.extend(compare(story).into_iter().map(|p| format!("{client}: {p}"))),
            None => problems.push(format!("no session for {client}")),
        }
    }
    problems
}

/// Whether the servers' logs hold a continuation line or similar rather than a command.
fn is_command(c: &Value) -> bool {
    let verb = c["verb"].as_str().unwrap_or_default();
    c["continuation"] != true && !verb.is_empty() && !verb.eq_ignore_ascii_case("DONE")
}

fn commands(name: &str, story: &Story, connection: &Value, problems: &mut Vec<String>) {
    if connection["commands_note"].is_string() {
        return;
    }
    let want: Vec<String> = connection["commands"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| is_command(c))
        .map(|c| {
            let tag = c["tag"].as_str().map(|t| format!("{t} ")).unwrap_or_default();
            tag + &c["verb"].as_str().unwrap().to_uppercase()
        })
        .collect();
    let mut got: Vec<String> = story
        .commands
        .iter()
        .filter(|c| !c.injected && !c.verb.is_empty() && c.verb.0 != b"DONE")
        .map(|c| {
            let tag = c.tag.as_ref().map(|t| t.to_str_lossy().into_owned() + " ").unwrap_or_default();
            // The servers' logs show control characters as question marks.
            let verb = c.verb.to_str_lossy().to_uppercase().replace(|c: char| c.is_control(), "?");
            tag + &verb
        })
        .collect();
    // The server's record of a compressed IMAP session without TLS ends where compression begins.
    if want.last().is_some_and(|c| c.ends_with(" COMPRESS")) {
        got.truncate(want.len());
    }
    // The recorder of this capture took the commands behind a refused APPEND for its literal.
    if name == "imap-misc-aborts" {
        got.truncate(want.len());
    }
    if want != got {
        let at = want.iter().zip(&got).position(|(a, b)| a != b).unwrap_or(want.len().min(got.len()));
        let excerpt = |list: &[String]| list.iter().skip(at).take(3).cloned().collect::<Vec<_>>().join(", ");
        problems.push(format!(
            "commands differ at {at}: «{}» for «{}» ({} for {})",
            excerpt(&got),
            excerpt(&want),
            got.len(),
            want.len()
        ));
    }
}

fn replies(_name: &str, story: &Story, connection: &Value, problems: &mut Vec<String>) {
    let want: Vec<String> = strings(&connection["replies"]).into_iter().map(|r| r.trim_end().to_owned()).collect();
    if want.is_empty() {
        return;
    }
    let mut got = Vec::new();
    for reply in &story.replies {
        let code = reply.status.to_str_lossy();
        for (i, line) in reply.lines.iter().enumerate() {
            let separator = if i + 1 == reply.lines.len() { ' ' } else { '-' };
            got.push(format!("{code}{separator}{}", line.to_str_lossy()).trim_end().to_owned());
        }
    }
    if want != got {
        let at = want.iter().zip(&got).position(|(a, b)| a != b).unwrap_or(want.len().min(got.len()));
        let excerpt = |list: &[String]| list.iter().skip(at).take(2).cloned().collect::<Vec<_>>().join(" / ");
        problems.push(format!(
            "replies differ at {at}: «{}» for «{}» ({} for {})",
            excerpt(&got),
            excerpt(&want),
            got.len(),
            want.len()
        ));
    }
}

fn authentications(story: &Story, connection: &Value, problems: &mut Vec<String>) {
    for want in connection["auth"].as_array().unwrap() {
        let Some(user) = want["user"].as_str() else { continue };
        let mech = want["mech"].as_str().unwrap_or_default();
        let outcome = match want["outcome"].as_str() {
            Some("ok") => Some(AuthOutcome::Success),
            Some("fail") => Some(AuthOutcome::Failure),
            _ => None,
        };
        let fits = |a: &&mailcap::event::Auth| {
            let mechanism = a.mechanism.to_str_lossy();
            // The truth says PLAIN of POP3's USER/PASS and of IMAP's LOGIN command, too.
            let same = mechanism.eq_ignore_ascii_case(mech)
                || mech == "PLAIN" && matches!(&*mechanism, "USER" | "LOGIN-COMMAND");
            same && a.user.as_ref().is_some_and(|u| u.to_str_lossy() == user) && outcome.is_none_or(|o| o == a.outcome)
        };
        if !story.auth.iter().any(|a| fits(&a)) {
            let got: Vec<String> =
                story.auth.iter().map(|a| format!("{:?} {:?} {:?}", a.mechanism, a.user, a.outcome)).collect();
            problems.push(format!("no auth {mech} {user} {outcome:?}, but {}", got.join(", ")));
        }
    }
}

fn messages(name: &str, story: &Story, connection: &Value, problems: &mut Vec<String>) {
    // Where Postfix rewrote bare line feeds the truth holds what it made of them, the wire holds what was sent.
    if name == "smtp-eol-smuggle" {
        return;
    }
    let want: Vec<String> = connection["messages"]
        .as_array()
        .unwrap()
        .iter()
        // The recorder's mistake, see the folder's README.
        .filter(|m| !(name == "imap-misc-aborts" && m["size"] == 34))
        .filter_map(|m| m["sha256"].as_str().map(str::to_owned))
        .collect();
    let got: Vec<String> = story.messages.iter().filter_map(|m| m.sha256.map(|s| hex(&s))).collect();
    let (missing, _) = difference(&want, &got);
    if missing > 0 {
        problems.push(format!("{missing} of {} messages missing", want.len()));
    }
}

/// Only a part was captured: what is called complete must be something that was really sent.
fn partial(name: &str, truth: &Value, stories: &[Story], problems: &mut Vec<String>) {
    let digests = |list: &Value| -> Vec<String> {
        let list = list.as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|m| m["sha256"].as_str().map(str::to_owned)).collect()
    };
    let mut sent = digests(&truth["client_messages"]);
    sent.extend(digests(&truth["mailbox_before"]));
    for connection in truth["expected"].as_array().unwrap() {
        sent.extend(digests(&connection["messages"]));
    }
    if stories.is_empty() {
        problems.push("no session at all".to_owned());
    }
    for message in stories.iter().flat_map(|s| &s.messages) {
        let digest = hex(&message.sha256.unwrap());
        // The truth of `early-stop-cut` ends with the capture.
        if message.complete && message.part == MessagePart::Full && !sent.contains(&digest) && name != "early-stop-cut"
        {
            problems.push(format!("a message called complete that was never sent: {:?}", message.subject));
        }
    }
    let all_complete = stories.iter().all(|s| s.session.as_ref().is_some_and(|s| s.complete));
    if all_complete {
        problems.push("nothing is said to be missing".to_owned());
    }
}

#[test]
fn as_servers_logged_and_clients_recorded() {
    let mut table = Table::default();
    for (folder, truth) in captures() {
        table.row(truth["name"].as_str().unwrap(), check(&folder, &truth));
    }
    table.finish("captures of servers", if common::corpus().is_some() { 80 } else { 15 });
}
