//! Real servers and real clients against mailcap: every capture of `testdata/servers` and of the corpus's `servers`
//! folder, held against what the servers logged and the clients recorded: commands, replies, authentications, messages.

mod common;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use common::{How, Story, Table, difference, hex, tell};
use mailcap::event::{AuthOutcome, MessagePart, Protocol};
use mailcap::event::{EventBody, Message};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

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

/// Where the truth of one capture is wider or narrower than the wire, or of another: each with its reason.
fn amend(truth: &mut Value) {
    let name = truth["name"].as_str().unwrap().to_owned();
    let Some(connections) = truth["expected"].as_array_mut() else { return };
    // Recorded by the server in two pieces: before TLS and inside it.
    while let Some(at) = connections.iter().position(|c| {
        let last = c["commands"].as_array().and_then(|c| c.last()).and_then(|c| c["verb"].as_str());
        c["client_ip"].is_null() && c["proto"] == "lmtp" && last == Some("STARTTLS")
    }) {
        let inside = connections.remove(at + 1);
        for list in ["commands", "replies", "messages"] {
            let mut both = connections[at][list].as_array().cloned().unwrap_or_default();
            both.extend(inside[list].as_array().cloned().unwrap_or_default());
            connections[at][list] = both.into();
        }
    }
    let mut of = |port: u64, change: &dyn Fn(&mut Value)| {
        let found = connections.iter_mut().find(|c| c["client_port"] == port);
        change(found.unwrap_or_else(|| panic!("{name} has a connection from port {port}")));
    };
    let add = |verb: &'static str| {
        move |c: &mut Value| c["commands"].as_array_mut().unwrap().push(json!({"verb": verb, "raw": verb}))
    };
    match name.as_str() {
        // The two sessions' logs stand behind one another in both entries. What each client sent are the first
        // eleven (its own record has eleven replies).
        "pop3-pipelined" => {
            for port in [34272, 34280] {
                of(port, &|c| c["commands"].as_array_mut().unwrap().truncate(11));
            }
        }
        "smtp-aborts" => {
            // EHLO in the clear to a TLS port: on the wire, but the server's TLS never took it for a command.
            of(54340, &add("EHLO"));
            // An HTTP request: the server hung up at its first line and did not read the second.
            of(53624, &add("HOST:"));
            // A handshake that failed, so that nothing of SMTP was ever said; the port alone suggests it.
            of(54350, &|c| c["proto"] = Value::Null);
        }
        // Sent behind the server's 421 and FIN (frame 107), so that the server did not read it.
        "smtp-failures" => of(45856, &add("BADCMD3")),
        // The recorder put the DATA message before it (228 bytes) in front of the BDAT one (726 bytes); this is the
        // client's own record of what it sent in the chunk.
        "lmtp-direct" => {
            let messages = connections[0]["messages"].as_array_mut().unwrap();
            messages.iter_mut().find(|m| m["size"] == 954).unwrap()["sha256"] =
                "390311462b98b26b5a0a1d058ce23a8c5d8b5e31e10819cc4b0d4a7be77cf2fd".into();
        }
        // The server's log cuts the user's name of 300 characters.
        "imap-misc-aborts" => of(43722, &|c| {
            let raw = c["commands"][0]["raw"].as_str().unwrap();
            assert!(raw.contains(c["auth"][0]["user"].as_str().unwrap().trim_end_matches('.')));
            c["auth"][0]["cut"] = true.into();
        }),
        _ => {}
    }
}

fn check(folder: &Path, truth: &Value) -> Vec<String> {
    let name = truth["name"].as_str().unwrap();
    let file = |key: &str| truth[key].as_str().map(|f| vec![folder.join(f)]).unwrap_or_default();
    let (keys, keylogs) = (file("key_file"), file("keylog"));
    let partly = PARTIAL.contains(&name);
    let how = How { keys: &keys, keylogs: &keylogs, bodies: partly, ..How::default() };
    let told = tell(&inputs(folder, truth), &how);
    let mut problems = Vec::new();
    if partly {
        partial(name, truth, &told.stories.into_values().collect::<Vec<_>>(), &mut problems);
        return problems;
    }
    let mut truth = truth.clone();
    amend(&mut truth);
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
            let problems_of = told.stories.values().map(compare);
            if let Some(fewest) = problems_of.min_by_key(Vec::len).filter(|fewest| !fewest.is_empty()) {
                let which = &connection["commands"][1]["raw"];
                problems.push(format!("no session is the one with {which}, next to it: {}", fewest.join("; ")));
            }
            continue;
        };
        let ip: IpAddr = ip.parse().unwrap();
        let client = SocketAddr::new(ip, connection["client_port"].as_u64().unwrap() as u16);
        // The server's log has the address that a PROXY header named.
        let by_proxy = || {
            let named = Some((client.ip(), Some(client.port())));
            told.stories.values().find(|s| s.session.as_ref().is_some_and(|s| s.proxy_client == named))
        };
        match told.by_client(client).or_else(by_proxy) {
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
    let want: Vec<String> = strings(&connection["replies"])
        .into_iter()
        .map(|r| r.trim_end().to_owned())
        // What the log's last line end left.
        .filter(|r| !r.is_empty())
        .collect();
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
            let named = a.user.as_ref().is_some_and(|u| match want["cut"] == true {
                true => u.to_str_lossy().starts_with(user.trim_end_matches('.')),
                false => u.to_str_lossy() == user,
            });
            same && named && outcome.is_none_or(|o| o == a.outcome)
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
    for (story, message) in stories.iter().flat_map(|s| s.messages.iter().map(move |m| (s, m))) {
        let digest = hex(&message.sha256.unwrap());
        // The truth of `early-stop-cut` ends with the capture.
        let judged = message.complete && message.part == MessagePart::Full && name != "early-stop-cut";
        if judged && !sent.contains(&digest) && !relayed(story, message, &sent) {
            problems.push(format!("a message called complete that was never sent: {:?}", message.subject));
        }
    }
    let all_complete = stories.iter().all(|s| s.session.as_ref().is_some_and(|s| s.complete));
    if all_complete {
        problems.push("nothing is said to be missing".to_owned());
    }
}

/// Whether it is a message of `sent` as the server passed it on by LMTP, a hop that the truth does not list: with
/// header fields of the server's own in front.
fn relayed(story: &Story, message: &Message, sent: &[String]) -> bool {
    let data = story.events.iter().filter_map(|e| match &e.body {
        EventBody::MessageData(data) if data.ordinal == message.ordinal => Some(data.bytes.as_slice()),
        _ => None,
    });
    let bytes = data.collect::<Vec<_>>().concat();
    let added = bytes.windows(2).enumerate().take(2000).filter(|(_, w)| w == b"\r\n").map(|(at, _)| at + 2);
    message.protocol == Protocol::Lmtp
        && bytes.starts_with(b"Received: ")
        && added.into_iter().any(|at| sent.contains(&hex(&Sha256::digest(&bytes[at..]))))
}

#[test]
fn as_servers_logged_and_clients_recorded() {
    let mut table = Table::default();
    for (folder, truth) in captures() {
        table.row(truth["name"].as_str().unwrap(), check(&folder, &truth));
    }
    table.finish("captures of servers", if common::corpus().is_some() { 82 } else { 17 });
}
