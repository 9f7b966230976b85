//! Where the program writes, what it never writes over, and what it says when a selection leaves nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn mailcap(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailcap"));
    command.env_remove("MAILCAP_KEY_PASSWORD").stdin(Stdio::null()).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A copy of a capture in a folder of its own, and of the key that opens it.
fn copies() -> (tempfile::TempDir, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let copy = |from: &str, to: &str| {
        let to = dir.path().join(to);
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(from), &to).unwrap();
        to.to_str().unwrap().to_owned()
    };
    let capture = copy("testdata/servers/rsa12-smtp-starttls.pcap", "a.pcap");
    let key = copy("testdata/servers/keys/server.key", "server.key");
    (dir, capture, key)
}

fn beside(dir: &tempfile::TempDir, name: &str) -> (PathBuf, String) {
    let path = dir.path().join(name);
    let text = path.to_str().unwrap().to_owned();
    (path, text)
}

#[test]
fn a_dash_is_standard_output() {
    let (_dir, capture, _) = copies();
    let plain = mailcap(&["sessions", &capture]);
    let dash = mailcap(&["sessions", &capture, "-o", "-"]);
    assert!(!plain.stdout.is_empty());
    assert_eq!(plain.stdout, dash.stdout);
    for args in [["decrypt", &capture, "-o", "-"], ["extract", &capture, "-o", "-"], ["batch", &capture, "-o", "-"]] {
        let ran = mailcap(&args);
        assert_eq!(ran.status.code(), Some(2), "{args:?}");
        assert!(stderr(&ran).contains("name it with -o"), "{args:?}: {}", stderr(&ran));
    }
    assert!(stderr(&mailcap(&["decrypt", &capture, "-o", "-"])).contains("decrypt can't write to standard output"));
    assert!(!Path::new("-").exists());
}

#[cfg(unix)]
#[test]
fn nothing_that_is_read_is_written_over_whatever_its_name() {
    let (dir, capture, key) = copies();
    let (link, hard) = beside(&dir, "b.pcap");
    fs::hard_link(&capture, link).unwrap();
    let (_, users) = beside(&dir, "users");
    fs::write(&users, "alice:x\n").unwrap();
    let (_, password) = beside(&dir, "password");
    fs::write(&password, "x\n").unwrap();
    let folder = dir.path().to_str().unwrap();
    let cases: [&[&str]; 7] = [
        &["decode", "--force", "-o", &hard, &capture],
        &["decode", "--force", "-o", &key, "-k", &key, &capture],
        &["decode", "--force", "-o", &key, "-k", folder, &capture],
        &["decode", "--force", "-o", &users, "--keylog", &users, &capture],
        &["decode", "--force", "-o", &password, "--key-password-file", &password, &capture],
        &["auth", "--force", "-o", &users, "--check", &users, &capture],
        &["keylog", "--force", "-o", &hard, "-k", &key, &capture],
    ];
    for args in cases {
        let before: Vec<Vec<u8>> = [&capture, &key, &users, &password].map(|f| fs::read(f).unwrap()).to_vec();
        let ran = mailcap(args);
        assert_eq!(ran.status.code(), Some(2), "{args:?}: {}", stderr(&ran));
        let after: Vec<Vec<u8>> = [&capture, &key, &users, &password].map(|f| fs::read(f).unwrap()).to_vec();
        assert_eq!(before, after, "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn force_replaces_a_link_not_what_it_leads_to() {
    let (dir, capture, _) = copies();
    let (target, _) = beside(&dir, "target");
    fs::write(&target, "mine").unwrap();
    let (link, name) = beside(&dir, "link");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    assert!(mailcap(&["sessions", &capture, "-o", &name]).status.code() == Some(2), "not without --force");
    mailcap(&["sessions", &capture, "--force", "-o", &name]);
    assert_eq!(fs::read(&target).unwrap(), b"mine");
    assert!(link.symlink_metadata().unwrap().is_file());
}

#[cfg(unix)]
#[test]
fn messages_and_passwords_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, capture, _) = copies();
    for (name, option) in [("bodies", "--bodies"), ("secrets", "--show-secrets")] {
        let (path, text) = beside(&dir, name);
        fs::write(&path, "older, and for all to read").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        mailcap(&["decode", &capture, option, "--force", "-o", &text]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{option}");
    }
}

#[test]
fn a_bad_file_among_others_does_not_keep_them_from_being_read() {
    let (dir, capture, _) = copies();
    let (path, empty) = beside(&dir, "empty.pcap");
    fs::write(path, "").unwrap();
    let ran = mailcap(&["sessions", "--json", &empty, &capture]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(stderr(&ran).contains("the file is empty"), "{}", stderr(&ran));
    assert!(!ran.stdout.is_empty());
}

/// However it was named, and whatever reads it.
#[test]
fn an_input_that_can_not_be_used_is_told_with_exit_code_2_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let good = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/servers/pop3-full.pcap");
    let (folder, named) = beside(&dir, "folder");
    fs::create_dir(&folder).unwrap();
    fs::copy(good, folder.join("good.pcap")).unwrap();
    fs::write(folder.join("page.pcap"), "<html>").unwrap();
    let page = folder.join("page.pcap").to_str().unwrap().to_owned();
    let (_, missing) = beside(&dir, "missing.pcap");
    let (_, pattern) = beside(&dir, "*.zip");
    let (path, empty) = beside(&dir, "empty");
    fs::create_dir(path).unwrap();
    let alone = String::from_utf8(mailcap(&["sessions", good]).stdout).unwrap();
    let rows = alone.lines().count();
    for (n, (inputs, said)) in [
        (vec![&*named], "page.pcap: a web page"),
        (vec![good, &page], "page.pcap: a web page"),
        (vec![&missing, good], "missing.pcap: no such file"),
        (vec![good, &pattern], "no file matches"),
        (vec![&empty, good], "no capture in this folder"),
    ]
    .into_iter()
    .enumerate()
    {
        for how in [&["sessions"][..], &["sessions", "--separate"]] {
            let ran = mailcap(&[how, &inputs].concat());
            assert_eq!(ran.status.code(), Some(2), "{how:?} {inputs:?}: {}", stderr(&ran));
            assert!(stderr(&ran).contains(said) && !stderr(&ran).contains("byte 0"), "{}", stderr(&ran));
            assert_eq!(stderr(&ran).lines().count(), 1, "{}", stderr(&ran));
            assert_eq!(String::from_utf8_lossy(&ran.stdout).lines().count(), rows);
        }
        let (_, out) = beside(&dir, &format!("out{n}"));
        let ran = mailcap(&[&["batch", "--json", "-o", &out], &inputs[..]].concat());
        assert_eq!(ran.status.code(), Some(2), "{inputs:?}: {}", stderr(&ran));
        assert!(stderr(&ran).contains(said), "{}", stderr(&ran));
        assert!(String::from_utf8_lossy(&ran.stdout).contains("2 inputs: 1 done, 0 done before, 1 failed"), "{ran:?}");
    }
    // What breaks off is read as far as it goes.
    let bytes = fs::read(good).unwrap();
    fs::write(folder.join("page.pcap"), &bytes[..bytes.len() - 9]).unwrap();
    for inputs in [vec![&*named], vec![good, &page]] {
        assert_eq!(mailcap(&[&["sessions"], &inputs[..]].concat()).status.code(), Some(3), "{inputs:?}");
    }
}

#[test]
fn bad_files_are_told_once_before_anything_is_written() {
    let (dir, capture, key) = copies();
    let (path, empty) = beside(&dir, "empty.pcap");
    fs::write(path, "").unwrap();
    let (path, page) = beside(&dir, "page.pcap");
    fs::write(path, "<html>").unwrap();
    // Wherever it stands, and for both passes of decrypt.
    let (_, out) = beside(&dir, "out");
    for order in [[&empty, &capture, &page], [&capture, &page, &empty], [&page, &empty, &capture]] {
        let files = order.map(String::as_str);
        let alone = mailcap(&["sessions", "--json", &capture]).stdout;
        for how in [&["sessions", "--json"][..], &["sessions", "--json", "--separate"]] {
            let ran = mailcap(&[how, &files].concat());
            assert_eq!((ran.status.code(), &ran.stdout), (Some(2), &alone), "{order:?}");
            let said = stderr(&ran);
            assert_eq!(
                (said.matches("the file is empty").count(), said.matches("a web page").count()),
                (1, 1),
                "{said}"
            );
        }
        for how in
            [&["decrypt", "-k", &key, "--force", "-o", &out][..], &["decrypt", "--plaintext", "--force", "-o", &out]]
        {
            assert_eq!(mailcap(&[how, &files].concat()).status.code(), Some(2), "{order:?}");
            assert!(fs::metadata(&out).unwrap().len() > 0);
        }
    }
    // Where none can be used, there is no output.
    fs::remove_file(&out).unwrap();
    for bad in [&[&*empty][..], &[&*empty, &*page]] {
        let ran = mailcap(&[&["decode", "-o", &out], bad].concat());
        assert_eq!(ran.status.code(), Some(2));
        assert!(stderr(&ran).contains("the file is empty"), "{}", stderr(&ran));
        assert!(!Path::new(&out).exists());
    }
}

#[test]
fn a_selection_that_nothing_fits_says_so() {
    let (_dir, capture, key) = copies();
    let all = mailcap(&["sessions", "--json", &capture, "-k", &key]).stdout.split(|b| *b == b'\n').count() - 1;
    let ran = mailcap(&["sessions", &capture, "-k", &key, "--user", "nobody-of-this-name"]);
    assert_eq!(ran.status.code(), Some(1));
    let wanted = format!("none of {all} mail session");
    assert!(stderr(&ran).contains(&wanted), "{}", stderr(&ran));
    for command in ["keylog", "services", "tls"] {
        let ran = mailcap(&[command, &capture, "-k", &key, "--session", "999999"]);
        assert_eq!(ran.status.code(), Some(1), "{command}");
        assert!(stderr(&ran).contains(&format!("none of {all} ")), "{command}: {}", stderr(&ran));
    }
}

/// Nobody knows who logged in inside TLS that stayed closed; of what headers tell there is no doubt.
#[test]
fn sessions_that_a_selection_could_not_judge_are_counted() {
    let (dir, closed, key) = copies();
    let open = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/servers/smtp-auth-all.pcap");
    let (_, out) = beside(&dir, "out");
    let left_out = |args: &[&str]| {
        let said = stderr(&mailcap(args));
        let line = said.lines().find(|line| line.contains("left out may match"));
        line.map(|line| line.split(' ').nth(1).unwrap().parse::<usize>().unwrap())
    };
    // The client logged in as alice in one of the three, and nowhere else.
    let sessions = |key: &[&str]| {
        let args = [&["sessions", "--json", "--user", "alice", "--proto", "smtp", &closed, open], key].concat();
        let ran = mailcap(&args);
        assert_eq!(ran.status.code(), Some(0));
        (ran.stdout.iter().filter(|b| **b == b'\n').count(), left_out(&args))
    };
    let with_key = sessions(&["-k", &key]);
    let without = sessions(&[]);
    assert!(with_key.0 > without.0 && without.0 > 0, "{with_key:?} {without:?}");
    assert_eq!((with_key.1, without.1), (None, Some(3)));
    for command in ["auth", "tls", "services", "decode"] {
        assert_eq!(left_out(&[command, &closed, "--user", "alice"]), Some(3), "{command}");
    }
    assert_eq!(left_out(&["extract", "-o", &out, &closed, "--to", "nobody"]), Some(3));
    // With a key `batch` looks again at what it could not judge.
    let batch = ["batch", "--json", "-o", &format!("{out}2"), &closed, "--user", "alice"];
    assert_eq!(left_out(&batch), Some(3));
    let again = mailcap(&[&batch[..], &["-k", &key]].concat());
    assert!(String::from_utf8_lossy(&again.stdout).contains("1 done, 0 done before"), "{again:?}");
    for options in [
        &["--session", "999999"][..],
        &["--since", "2030-01-01"],
        &["--host", "192.0.2.99"],
        &["--port", "9"],
        &["--port", "9", "--user", "alice"],
        // It was SMTP before TLS, for all to see.
        &["--proto", "imap"],
    ] {
        assert_eq!(left_out(&[&["sessions", &closed], options].concat()), None, "{options:?}");
    }
}

#[test]
fn senders_and_recipients_that_were_refused_are_found() {
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/servers/smtp-telnet-typed.pcap");
    let lines = |output: Output| -> Vec<serde_json::Value> {
        String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let sessions = |option: &str, address: &str| -> Vec<serde_json::Value> {
        let found = lines(mailcap(&["sessions", "--json", option, address, capture]));
        found.into_iter().map(|session| session["id"].clone()).collect()
    };
    // As typed in this capture: `RCPT TO:<nobody-here@example.com>`, refused with 550, and no DATA.
    assert_eq!(sessions("--to", "nobody-here@"), [345]);
    assert_eq!(sessions("--from", "a@outside"), [345]);
    assert!(sessions("--to", "a@outside").is_empty());
}

#[test]
fn habits_of_other_programs_get_a_hint() {
    let ran = mailcap(&["decode", "-r", "x.pcap"]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(stderr(&ran).contains("no -r is needed before a capture"), "{}", stderr(&ran));
}

#[test]
fn several_values_with_commas() {
    let (_dir, capture, _) = copies();
    assert_ne!(mailcap(&["sessions", &capture, "--port", "25,587"]).status.code(), Some(2));
    assert_ne!(mailcap(&["sessions", &capture, "--session", "1,2"]).status.code(), Some(2));
}

#[cfg(unix)]
#[test]
fn a_maildir_whose_folder_is_a_link_is_refused() {
    let (dir, capture, key) = copies();
    let (elsewhere, _) = beside(&dir, "elsewhere");
    let (out, name) = beside(&dir, "out");
    fs::create_dir(&elsewhere).unwrap();
    fs::create_dir(&out).unwrap();
    std::os::unix::fs::symlink(&elsewhere, out.join("new")).unwrap();
    let ran = mailcap(&["extract", &capture, "-k", &key, "--format", "maildir", "-o", &name]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(stderr(&ran).contains("out/new: this is not a folder"), "{}", stderr(&ran));
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn a_folder_of_messages_can_not_be_a_file() {
    let (dir, capture, _) = copies();
    let (path, file) = beside(&dir, "file");
    fs::write(&path, "mine").unwrap();
    for command in ["extract", "batch"] {
        for more in [&[][..], &["--force"]] {
            let ran = mailcap(&[&[command, &capture, "-o", &file], more].concat());
            assert_eq!(ran.status.code(), Some(2), "{command}");
            assert_eq!(
                stderr(&ran),
                format!("mailcap: {file}: this is not a folder; -o needs the name of a folder\n"),
                "{command}"
            );
        }
    }
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

/// "4 messages written in full; 1 incomplete" was said of three and one.
#[test]
fn extract_says_how_many_of_the_messages_are_incomplete() {
    let gap = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tls/t-capture-gap-pop3");
    let open = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/servers/smtp-bdat.pcap");
    let (capture, log) = (format!("{gap}.pcap"), format!("{gap}.keylog"));
    let dir = tempfile::tempdir().unwrap();
    for (n, files) in [&[&*capture][..], &[&*capture, open], &[open]].into_iter().enumerate() {
        let (path, out) = beside(&dir, &format!("out{n}"));
        let ran = mailcap(&[&["extract", "--separate", "-o", &out, "--keylog", &log], files].concat());
        let names = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names: Vec<String> = names.filter(|name| name.ends_with(".eml")).collect();
        let incomplete = names.iter().filter(|name| name.contains("incomplete")).count();
        let wanted = match (names.len(), incomplete) {
            (1, 1) => "1 message written, incomplete;".to_owned(),
            (all, 0) => format!("{all} messages written;"),
            (all, some) => format!("{all} messages written, {some} of them incomplete;"),
        };
        assert_eq!(incomplete, usize::from(n < 2));
        assert!(stderr(&ran).contains(&wanted), "{wanted:?} in {}", stderr(&ran));
    }
}

/// The server recorded who was refused.
#[test]
fn auth_errors_lists_no_success() {
    let truth = fs::read("testdata/servers/smtp-auth-all.json").unwrap();
    let truth: serde_json::Value = serde_json::from_slice(&truth).unwrap();
    let sessions = truth["expected"].as_array().unwrap().iter();
    let known = sessions.flat_map(|session| session["auth"].as_array().cloned().unwrap_or_default());
    let refused = known.filter(|auth| auth["outcome"] != "ok").count();
    assert!(refused > 0);
    let told = |more: &[&str]| {
        let args = [&["auth", "--errors", "testdata/servers/smtp-auth-all.pcap"], more].concat();
        String::from_utf8(mailcap(&args).stdout).unwrap()
    };
    for (text, heading) in [(told(&["--json"]), 0), (told(&[]), 1)] {
        assert_eq!((text.lines().count(), text.contains("success")), (refused + heading, false), "{text}");
    }
}
