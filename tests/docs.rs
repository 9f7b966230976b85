//! Keeps the documents in step with what the program says.

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

/// All Rust of the folder, one file behind the other.
fn rust(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust(&path, text);
        } else if path.extension().is_some_and(|e| e == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_vulnerabilities_name_is_there() {
    const CLASSES: &str = include_str!("../docs/vulnerabilities.md");
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    ["src", "tests"].iter().for_each(|folder| rust(&home.join(folder), &mut code));
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
        eprintln!("skipped: jq is not installed");
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
