//! Keeps the documents in step with what the program says.

#[path = "common/tools.rs"]
#[cfg(unix)]
mod tools;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mailcap::diagnostic::{Code, Severity};
use mailcap::tls::Reason;

const DIAGNOSTICS: &str = include_str!("../docs/diagnostics.md");

/// Entries (`### `code``) below a heading, with their text.
fn entries(heading: &str) -> Vec<(String, String)> {
    let (_, section) = DIAGNOSTICS.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let entry = |text: &str| {
        let (title, body) = text.split_once('\n').unwrap();
        (title.split('`').nth(1).unwrap().to_owned(), body.trim().to_owned())
    };
    section.split("\n### ").skip(1).map(entry).collect()
}

fn check(heading: &str, known: impl Iterator<Item = &'static str>) {
    let entries = entries(heading);
    let documented: BTreeSet<&str> = entries.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(documented.len(), entries.len(), "an entry twice");
    assert_eq!(documented, known.collect::<BTreeSet<_>>());
    for (code, body) in &entries {
        assert!(body.contains("*What to do:*"), "{code} gives no advice");
    }
}

#[test]
fn every_reason_has_its_entry_and_no_other() {
    check("Why TLS was not decrypted", Reason::ALL.iter().map(|r| r.as_str()));
}

#[test]
fn every_diagnostic_has_its_entry_and_no_other() {
    check("What was odd", Code::ALL.iter().map(|c| c.as_str()));
}

#[test]
fn severities_are_documented_as_they_are() {
    let entries = entries("What was odd");
    for code in Code::ALL {
        let word = match code.severity() {
            Severity::Note => "Note. ",
            Severity::Warning => "Warning. ",
            Severity::Error => "Error. ",
        };
        let (_, body) = entries.iter().find(|(name, _)| name == code.as_str()).unwrap();
        assert!(body.starts_with(word), "{code} is a {}", code.severity().as_str());
    }
}

/// The Rust files of the folder.
fn rust(folder: &Path, each: &mut dyn FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust(&path, each);
        } else if path.extension().is_some_and(|e| e == "rs") {
            each(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

/// A diagnostic that can be taken out of the code without a test that fails is promised to nobody.
#[test]
fn every_diagnostic_is_seen_by_a_test() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = String::new();
    rust(&home.join("tests"), &mut |_, code| tests.push_str(code));
    // What outputs are tested with is made up.
    for folder in ["flow", "mail", "session", "tls"] {
        rust(&home.join("src").join(folder), &mut |path, code| {
            let is_test = path.iter().any(|name| name == "tests" || name == "tests.rs");
            let inside = code.split_once("\nmod tests {").map_or("", |(_, tests)| tests);
            tests.push_str(if is_test { code } else { inside });
        });
    }
    let is_seen = |code: &&Code| {
        let name = format!("Code::{code:?}");
        let by_name =
            tests.match_indices(&name).any(|(at, _)| !tests[at + name.len()..].starts_with(char::is_alphanumeric));
        // As a string of its own, or behind who said it.
        let by_word = [format!("\"{code}\""), format!(" {code}\"")].iter().any(|word| tests.contains(word));
        by_name || by_word
    };
    let unseen: Vec<_> = Code::ALL.iter().filter(|code| !is_seen(code)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn every_test_that_vulnerabilities_name_is_there() {
    const CLASSES: &str = include_str!("../docs/vulnerabilities.md");
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    ["src", "tests"].iter().for_each(|folder| rust(&home.join(folder), &mut |_, text| code.push_str(text)));
    let words: BTreeSet<&str> = code.split(|c: char| !(c.is_alphanumeric() || "_-".contains(c))).collect();
    let mut names = 0;
    for row in CLASSES.lines().filter(|line| line.starts_with("| ") && line.ends_with('|')).skip(1) {
        let tests = row.trim_end_matches('|').rsplit(" | ").next().unwrap();
        for name in tests.split('`').skip(1).step_by(2) {
            let is_there = match name.split_once("::") {
                _ if name.contains([' ', '*']) => continue,
                Some((file, test)) if file.ends_with(".rs") => fs::read_to_string(home.join("src").join(file))
                    .is_ok_and(|code| code.contains(&format!("fn {test}("))),
                None if name.contains('/') => ["", "src"].iter().any(|folder| home.join(folder).join(name).exists()),
                _ => name.split("::").all(|part| words.contains(part)),
            };
            assert!(is_there, "{name}: there is no such test");
            names += 1;
        }
    }
    assert!(names > 60, "{names}");
}

/// The columns of the dataset, whatever the line breaks.
#[cfg(feature = "parquet")]
#[test]
fn every_column_of_the_dataset_is_documented_and_no_other() {
    use mailcap::output::dataset::{Table, schema::describe};
    const OUTPUT: &str = include_str!("../docs/output.md");
    let (_, section) = OUTPUT.split_once("\n## The dataset\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let words = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    for table in Table::ALL {
        let name = table.name();
        let (_, block) = section.split_once(&format!("\n### `{name}`\n")).unwrap_or_else(|| panic!("no {name}"));
        let block = block.split("```").nth(1).unwrap();
        assert_eq!(words(block), describe(table), "{name}: these are the columns");
    }
    assert_eq!(section.matches("\n### ").count(), Table::ALL.len());
}

/// The questions of docs/output.md, put to captures that ship with the sources.
#[cfg(unix)]
#[test]
fn questions_to_jq_have_answers() {
    use std::process::Command;
    const OUTPUT: &str = include_str!("../docs/output.md");
    if Command::new("jq").arg("--version").output().is_err() {
        tools::lacking("jq");
        return;
    }
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let programs = Path::new(env!("CARGO_BIN_EXE_mailcap")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let (_, section) = OUTPUT.split_once("\n## Questions\n").unwrap();
    let block = section.split("```").nth(1).unwrap().strip_prefix("sh\n").unwrap();
    let questions: Vec<&str> = block.split("# ").filter_map(|one| Some(one.split_once('\n')?.1)).collect();
    assert_eq!(questions.len(), 5);
    // Bounds that something is beyond.
    for (question, bound, lowered, lines) in [
        (questions[0], "> 5)", "> 0.5)", 1),
        (questions[1], "> 10)", ">= 1)", 1),
        (questions[2], "> 1e6", "> 1e5", 0),
        (questions[3], "1f2e@example.org", "", 0),
        (questions[4], "failure", "failure", 6),
    ] {
        assert!(question.contains(bound), "{question}");
        let question = question.replace(bound, lowered).replace("mail.pcap", "servers/smtp-auth-all.pcap");
        let question = question.replace("captures/", "servers/smtp-bdat.pcap");
        let ran = Command::new("sh").current_dir(&home).env("PATH", &path).args(["-c", &question]).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success() && err.is_empty(), "{question}: {err}");
        assert!(out.lines().count() >= lines, "{question}: {out}");
    }
}
