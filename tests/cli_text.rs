//! What tables and transcripts say to a person.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A capture that ships with the sources.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// What a command writes to stdout.
fn text(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailcap"));
    let ran = command.env_remove("MAILCAP_KEY_PASSWORD").stdin(Stdio::null()).args(args).output().unwrap();
    String::from_utf8(ran.stdout).unwrap()
}

/// Of several files frames are counted in each from 1, however the files were named.
#[test]
fn of_several_files_each_row_and_heading_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let files = ["pop3-stls-rsa.pcap", "rsa12-smtp-starttls.pcap"].map(|name| {
        let to = dir.path().join(name);
        fs::copy(data("servers").join(name), &to).unwrap();
        to.to_str().unwrap().to_owned()
    });
    let key = data("servers/keys/server.key");
    let key = key.to_str().unwrap();
    let folder = dir.path().to_str().unwrap();
    for how in [&[folder][..], &["--separate", &files[0], &files[1]], &[&files[0], &files[1]]] {
        for command in ["sessions", "auth", "tls"] {
            let table = text(&[&[command, "-k", key], how].concat());
            let mut rows = table.lines();
            assert!(rows.next().unwrap().ends_with("  FILE"), "{table}");
            let of = |file: &String| rows.clone().filter(|row| row.ends_with(&format!("  {file}"))).count();
            let [a, b] = [of(&files[0]), of(&files[1])];
            assert!(a > 0 && b > 0 && a + b == rows.clone().count(), "{table}");
        }
        for layout in [&["decode"][..], &["decode", "--live"]] {
            let told = text(&[layout, how].concat());
            for file in &files {
                let heads = told.lines().filter(|l| l.contains("── ") && l.ends_with(&format!(" · in {file}")));
                assert!(heads.count() > 0, "{layout:?} {how:?}");
            }
            assert!(told.lines().filter(|l| l.contains("── ")).all(|l| l.contains(" · in ")));
        }
    }
    // Of one there is nothing to tell apart.
    for command in ["sessions", "auth", "tls", "decode"] {
        assert!(!text(&[command, &files[0]]).contains("pop3-stls-rsa.pcap"), "{command}");
    }
}
