//! `mailcap extract` on real captures: the files are what the endpoints sent, and the manifest is true.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{hex, testdata};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn extract(capture: &str, key: Option<&str>, dir: &Path, more: &[&str]) -> i32 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailcap"));
    command.arg("extract").arg(testdata().join(capture)).arg("-o").arg(dir).args(more);
    if let Some(key) = key {
        command.arg("--key").arg(testdata().join(key));
    }
    command.output().unwrap().status.code().unwrap()
}

fn digest(path: PathBuf) -> String {
    hex(&Sha256::digest(fs::read(path).unwrap()))
}

fn manifest(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("manifest.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn truth(name: &str, list: &str) -> Vec<Value> {
    let text = fs::read_to_string(testdata().join(name)).unwrap();
    let truth: Value = serde_json::from_str(&text).unwrap();
    let connections = truth[list].as_array().unwrap();
    connections.iter().flat_map(|c| c["messages"].as_array().cloned().unwrap_or_default()).collect()
}

/// What is extracted without the key is nothing, and was in the way of what is extracted with it.
#[test]
fn a_manifest_of_nothing_is_not_in_the_way() {
    let capture = "servers/rsa12-resume.pcap";
    for format in ["eml", "mbox"] {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(extract(capture, None, dir.path(), &["--format", format]), 3);
        assert!(manifest(dir.path()).is_empty());
        assert_eq!(extract(capture, Some("servers/keys/server.key"), dir.path(), &["--format", format]), 0);
        let list = manifest(dir.path());
        assert!(!list.is_empty());
        // Another run does not replace these.
        assert_eq!(extract(capture, None, dir.path(), &["--format", format]), 2);
        assert_eq!(manifest(dir.path()), list);
    }
}

#[test]
fn json_shows_the_manifest_as_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailcap"));
    command.arg("extract").arg(testdata().join("servers/pop3-full.pcap")).arg("--json").arg("-o").arg(dir.path());
    let output = command.output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty());
    assert_eq!(output.stdout, fs::read(dir.path().join("manifest.jsonl")).unwrap());
}

#[test]
fn files_are_what_servers_and_clients_recorded() {
    let key = Some("servers/keys/server.key");
    for (name, key) in [("rsa12-smtp-starttls", key), ("pop3-stls-rsa", key), ("pop3-full", None), ("smtp-bdat", None)]
    {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(extract(&format!("servers/{name}.pcap"), key, dir.path(), &[]), 0, "{name}");
        let mut written = BTreeSet::new();
        for row in manifest(dir.path()) {
            let file = dir.path().join(row["path"].as_str().unwrap());
            assert_eq!(row["size"], file.metadata().unwrap().len(), "{name}");
            let digest = digest(file);
            assert_eq!(row["sha256"], digest, "{name}");
            written.insert(digest);
        }
        for message in truth(&format!("servers/{name}.json"), "expected") {
            assert!(written.contains(message["sha256"].as_str().unwrap()), "{name}: {message} is missing");
        }
    }
}

#[test]
fn attachments_are_what_the_endpoints_sent() {
    let dir = tempfile::tempdir().unwrap();
    let name = "tls/tls11-aes256-sha-imap-starttls";
    let code = extract(&format!("{name}.pcap"), Some("tls/keys/rsa2048.pem"), dir.path(), &["--attachments"]);
    assert_eq!(code, 0);
    let mut saved = BTreeSet::new();
    for entry in fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()) {
        saved.extend(fs::read_dir(entry).unwrap().map(|e| digest(e.unwrap().path())));
    }
    let sent: BTreeSet<String> = truth(&format!("{name}.json"), "connections")
        .iter()
        .flat_map(|m| m["attachments"].as_array().cloned().unwrap())
        .map(|a| a["sha256"].as_str().unwrap().to_owned())
        .collect();
    assert!(!sent.is_empty());
    assert_eq!(saved, sent);
}

/// As docs/output.md has it: by the number in front a saved attachment is found in the manifest.
#[test]
fn attachments_are_numbered_as_the_manifest_lists_them() {
    let dir = tempfile::tempdir().unwrap();
    let key = Some("servers/keys/server.key");
    assert_eq!(extract("servers/imap-full-starttls-rsa.pcap", key, dir.path(), &["--attachments"]), 0);
    let mut several = 0;
    for row in manifest(dir.path()) {
        let attachments = row["attachments"].as_array().unwrap();
        let path = row["path"].as_str().unwrap();
        let folder = dir.path().join(path.strip_suffix(".eml").unwrap()).with_added_extension("attachments");
        assert_eq!(folder.exists(), !attachments.is_empty(), "{path}");
        if attachments.is_empty() {
            continue;
        }
        let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        assert_eq!(files.len(), attachments.len());
        for ((number, file), attachment) in (1..).zip(files).zip(attachments) {
            assert!(file.file_name().unwrap().to_str().unwrap().starts_with(&format!("{number:02}-")));
            assert_eq!(attachment["sha256"], digest(file));
        }
        several += usize::from(attachments.len() > 1);
    }
    assert!(several > 0);
}

#[test]
fn a_message_with_a_gap_says_so_in_its_name() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(extract("tls/t-capture-gap-pop3.pcap", Some("tls/keys/rsa2048.pem"), dir.path(), &[]), 3);
    let rows = manifest(dir.path());
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["complete"], false);
    assert!(rows[0]["path"].as_str().unwrap().ends_with("-incomplete.eml"));
}
