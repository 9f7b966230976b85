//! A run that ends at any step of finishing an input.

use super::*;

fn record(id: &str, key: &str, files: &[&str]) -> Record {
    let part = |table: &str| Part { path: format!("{table}/day=2026-11-24/part-{id}-0000.parquet"), rows: 1 };
    Record {
        key: key.to_owned(),
        id: id.to_owned(),
        input: id.to_owned(),
        options: String::new(),
        keys: String::new(),
        files: files.iter().map(|f| (*f).to_owned()).collect(),
        bytes: 1,
        parts: vec![part("sessions"), part("auth")],
        messages: Some(format!("mail/{id}")),
        tally: Tally::default(),
        replaces: Vec::new(),
    }
}

/// Writes an input's parts as they are when it is whole.
fn write(dir: &Path, folder: &str, record: &Record) {
    let work = dir.join(HOME).join(folder).join(&record.id);
    for part in &record.parts {
        fs::create_dir_all(work.join(&part.path).parent().unwrap()).unwrap();
        fs::write(work.join(&part.path), &record.input).unwrap();
    }
    let mail = work.join(record.messages.as_ref().unwrap());
    fs::create_dir_all(&mail).unwrap();
    fs::write(mail.join("1.eml"), &record.input).unwrap();
}

fn append(dir: &Path, text: &[u8]) {
    let mut journal = OpenOptions::new().append(true).open(dir.join(HOME).join(DONE)).unwrap();
    journal.write_all(text).unwrap();
}

fn line(record: &Record) -> Vec<u8> {
    [serde_json::to_vec(record).unwrap(), b"\n".to_vec()].concat()
}

/// What is in the dataset.
fn tree(dir: &Path) -> Vec<String> {
    fn walk(dir: &Path, home: &Path, all: &mut Vec<String>) {
        for path in fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
            match path.is_dir() {
                true if path.ends_with(HOME) => {}
                true => walk(&path, home, all),
                false => all.push(path.strip_prefix(home).unwrap().display().to_string()),
            }
        }
    }
    let mut all = Vec::new();
    walk(dir, dir, &mut all);
    all.sort();
    all
}

fn of(records: &[&Record]) -> Vec<String> {
    let mut all: Vec<String> = records
        .iter()
        .flat_map(|r| r.parts.iter().map(|p| p.path.clone()).chain([format!("mail/{}/1.eml", r.id)]))
        .collect();
    all.sort();
    all
}

fn open(dir: &Path) -> State {
    State::open(dir, false).unwrap_or_else(|e| panic!("{e}"))
}

fn done(dir: &Path, record: &Record) {
    let mut state = open(dir);
    write(dir, WORK, record);
    state.commit(record.clone()).unwrap();
}

#[test]
fn an_input_that_is_done_is_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let record = record("a", "/a", &["/a"]);
    done(dir.path(), &record);
    assert_eq!(tree(dir.path()), of(&[&record]));
    let state = open(dir.path());
    assert_eq!(state.get("/a"), Some(&record));
    assert!(state.is_there(&record));
    assert_eq!(state.records().count(), 1);
}

#[test]
fn ended_while_parts_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (record("a", "/a", &["/a"]), record("b", "/b", &["/b"]));
    done(dir.path(), &first);
    write(dir.path(), WORK, &second);
    let state = open(dir.path());
    assert_eq!(state.get("/b"), None);
    assert_eq!(tree(dir.path()), of(&[&first]));
    assert!(!dir.path().join(HOME).join(WORK).exists());
}

#[test]
fn ended_before_the_record_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let first = record("a", "/a", &["/a"]);
    drop(open(dir.path()));
    write(dir.path(), READY, &first);
    // Half of a record is none.
    let text = line(&first);
    append(dir.path(), &text[..text.len() / 2]);
    assert_eq!(open(dir.path()).get("/a"), None);
    assert!(tree(dir.path()).is_empty());
    assert!(!dir.path().join(HOME).join(READY).exists());
    // What follows half a record is whole again.
    done(dir.path(), &first);
    assert!(open(dir.path()).get("/a").is_some());
}

#[test]
fn ended_between_the_record_and_the_last_move() {
    let dir = tempfile::tempdir().unwrap();
    let (old, other) = (record("old", "/a", &["/a"]), record("other", "/b", &["/b"]));
    done(dir.path(), &old);
    done(dir.path(), &other);
    let new = record("new", "/a", &["/a"]);
    write(dir.path(), READY, &new);
    append(dir.path(), &line(&new));
    // One part is in its place already, the old ones are still there.
    let part = &new.parts[0].path;
    fs::rename(dir.path().join(HOME).join(READY).join("new").join(part), dir.path().join(part)).unwrap();
    let state = open(dir.path());
    assert_eq!(state.get("/a"), Some(&new));
    assert_eq!(tree(dir.path()), of(&[&new, &other]));
    drop(state);
    // The journal is as short as it can be, and says the same.
    assert_eq!(fs::read_to_string(dir.path().join(HOME).join(DONE)).unwrap().lines().count(), 2);
    assert_eq!(open(dir.path()).get("/a"), Some(&new));
}

#[test]
fn the_same_input_done_again_keeps_its_names() {
    let dir = tempfile::tempdir().unwrap();
    let record = record("a", "/a", &["/a"]);
    done(dir.path(), &record);
    fs::remove_file(dir.path().join(&record.parts[0].path)).unwrap();
    assert!(!open(dir.path()).is_there(&record));
    // Killed while it is done again: half a part under `work/` must not get to its place.
    let work = State::work(dir.path(), "a").unwrap();
    fs::create_dir_all(work.join(&record.parts[0].path).parent().unwrap()).unwrap();
    fs::write(work.join(&record.parts[0].path), "half").unwrap();
    assert!(!open(dir.path()).is_there(&record));
    done(dir.path(), &record);
    assert_eq!(tree(dir.path()), of(&[&record]));
}

#[test]
fn a_ring_takes_the_place_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &record("a", "/mail.pcap", &["/mail.pcap"]));
    let files = ["/mail.pcap".to_owned(), "/mail.pcap1".to_owned()];
    let mut ring = record("ring", "/mail.pcap*", &[&files[0], &files[1]]);
    let mut state = open(dir.path());
    assert!(state.holders("/mail.pcap", &files[..1]).is_empty(), "its own");
    ring.replaces = state.holders("/mail.pcap*", &files);
    assert_eq!(ring.replaces, ["/mail.pcap"]);
    write(dir.path(), WORK, &ring);
    state.commit(ring.clone()).unwrap();
    assert_eq!(tree(dir.path()), of(&[&ring]));
    drop(state);
    assert_eq!(open(dir.path()).records().collect::<Vec<_>>(), [&ring]);
}

#[test]
fn starting_over_removes_what_was_written_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &record("a", "/a", &["/a"]));
    fs::write(dir.path().join("sessions/mine"), "x").unwrap();
    drop(State::open(dir.path(), true).unwrap_or_else(|e| panic!("{e}")));
    assert_eq!(tree(dir.path()), ["sessions/mine"]);
    assert_eq!(open(dir.path()).records().count(), 0);
}
