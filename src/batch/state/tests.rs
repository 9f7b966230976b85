//! A run that ends at any step of finishing an input.

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::*;

/// A group of one input.
fn group(id: &str, key: &str, files: &[&str]) -> Group {
    let part = |table: &str| Part { path: format!("{table}/day=2026-11-24/part-{id}-0000.jsonl.gz"), rows: 1 };
    Group { id: id.to_owned(), parts: vec![part("sessions"), part("auth")], inputs: vec![record(id, key, files)] }
}

fn record(id: &str, key: &str, files: &[&str]) -> Record {
    Record {
        key: key.to_owned(),
        input: id.to_owned(),
        options: String::new(),
        keys: String::new(),
        files: files.iter().map(|f| (*f).to_owned()).collect(),
        bytes: 1,
        messages: Some(format!("mail/{id}")),
        tally: Tally::default(),
    }
}

/// Writes a group's parts as they are when it is whole.
fn write(dir: &Path, folder: &str, group: &Group) {
    let work = dir.join(HOME).join(folder).join(&group.id);
    for part in &group.parts {
        fs::create_dir_all(work.join(&part.path).parent().unwrap()).unwrap();
        let mut out = GzEncoder::new(File::create(work.join(&part.path)).unwrap(), Compression::default());
        for record in &group.inputs {
            writeln!(out, "{{\"input\":\"{}\"}}", record.key).unwrap();
        }
        out.finish().unwrap();
    }
    for record in &group.inputs {
        let mail = work.join(record.messages.as_ref().unwrap());
        fs::create_dir_all(&mail).unwrap();
        fs::write(mail.join("1.eml"), &record.input).unwrap();
    }
}

fn append(dir: &Path, text: &[u8]) {
    let mut journal = OpenOptions::new().append(true).open(dir.join(HOME).join(DONE)).unwrap();
    journal.write_all(text).unwrap();
}

fn line(group: &Group) -> Vec<u8> {
    let step = Step { groups: vec![group.clone()], replaces: Vec::new() };
    [serde_json::to_vec(&step).unwrap(), b"\n".to_vec()].concat()
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

fn of(groups: &[&Group]) -> Vec<String> {
    let all = groups.iter().flat_map(|group| group.paths());
    let file = |path: &str| if path.starts_with("mail/") { format!("{path}/1.eml") } else { path.to_owned() };
    let mut all: Vec<String> = all.map(file).collect();
    all.sort();
    all
}

fn open(dir: &Path) -> State {
    State::open(dir, false).unwrap_or_else(|e| panic!("{e}"))
}

fn done(dir: &Path, group: &Group) {
    let mut state = open(dir);
    write(dir, WORK, group);
    state.commit(group.clone()).unwrap();
}

#[test]
fn an_input_that_is_done_is_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let group = group("a", "/a", &["/a"]);
    done(dir.path(), &group);
    assert_eq!(tree(dir.path()), of(&[&group]));
    let state = open(dir.path());
    assert_eq!(state.get("/a"), group.inputs.first());
    assert!(state.is_there(&group.inputs[0]));
    assert_eq!(state.records().count(), 1);
}

#[test]
fn ended_while_parts_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (group("a", "/a", &["/a"]), group("b", "/b", &["/b"]));
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
    let first = group("a", "/a", &["/a"]);
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

/// Takes as many bytes as there is room for, as a disk does.
struct Disk {
    room: usize,
    taken: Vec<u8>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(self.room);
        self.room -= len;
        self.taken.extend(&bytes[..len]);
        if len == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(len) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_record_that_a_full_disk_cut_does_not_spoil_the_next() {
    let groups = ["a", "b", "c"].map(|id| group(id, id, &[id]));
    let steps = groups.map(|group| Step { groups: vec![group], replaces: Vec::new() });
    let len = serde_json::to_vec(&steps[0]).unwrap().len();
    for cut in 0..=len {
        let mut journal = Journal { out: Disk { room: cut, taken: Vec::new() }, cut: false };
        assert!(journal.add(&steps[0]).is_err());
        // Another thread had less to write, or somebody made room.
        journal.out.room = usize::MAX;
        journal.add(&steps[1]).unwrap();
        journal.add(&steps[2]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &journal.out.taken).unwrap();
        let read: Vec<String> = load(file.path()).unwrap().0.groups.into_keys().collect();
        // It may be whole but for its end.
        let all = if cut == len { &["a", "b", "c"][..] } else { &["b", "c"] };
        assert_eq!(read, all, "cut at {cut} of {len}");
    }
}

#[test]
fn ended_between_the_record_and_the_last_move() {
    let dir = tempfile::tempdir().unwrap();
    let (old, other) = (group("old", "/a", &["/a"]), group("other", "/b", &["/b"]));
    done(dir.path(), &old);
    done(dir.path(), &other);
    let new = group("new", "/a", &["/a"]);
    write(dir.path(), READY, &new);
    append(dir.path(), &line(&new));
    // One part is in its place already, the old ones are still there.
    let part = &new.parts[0].path;
    fs::rename(dir.path().join(HOME).join(READY).join("new").join(part), dir.path().join(part)).unwrap();
    let state = open(dir.path());
    assert_eq!(state.get("/a"), new.inputs.first());
    assert_eq!(tree(dir.path()), of(&[&new, &other]));
    drop(state);
    // The journal is as short as it can be, and says the same.
    assert_eq!(fs::read_to_string(dir.path().join(HOME).join(DONE)).unwrap().lines().count(), 2);
    assert_eq!(open(dir.path()).get("/a"), new.inputs.first());
}

#[test]
fn the_same_input_done_again_keeps_its_names() {
    let dir = tempfile::tempdir().unwrap();
    let group = group("a", "/a", &["/a"]);
    done(dir.path(), &group);
    fs::remove_file(dir.path().join(&group.parts[0].path)).unwrap();
    assert!(!open(dir.path()).is_there(&group.inputs[0]));
    // Killed while it is done again: half a part under `work/` must not get to its place.
    let work = State::work(dir.path(), "a").unwrap();
    fs::create_dir_all(work.join(&group.parts[0].path).parent().unwrap()).unwrap();
    fs::write(work.join(&group.parts[0].path), "half").unwrap();
    assert!(!open(dir.path()).is_there(&group.inputs[0]));
    done(dir.path(), &group);
    assert_eq!(tree(dir.path()), of(&[&group]));
}

#[test]
fn a_ring_takes_the_place_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &group("a", "/mail.pcap", &["/mail.pcap"]));
    let ring = group("ring", "/mail.pcap*", &["/mail.pcap", "/mail.pcap1"]);
    done(dir.path(), &ring);
    assert_eq!(tree(dir.path()), of(&[&ring]));
    assert_eq!(open(dir.path()).records().collect::<Vec<_>>(), [&ring.inputs[0]]);
}

/// What every part has in it, below a folder.
fn inputs(dir: &Path) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for path in tree(dir).iter().filter(|path| !path.starts_with("mail/")) {
        let text = io::read_to_string(GzDecoder::new(File::open(dir.join(path)).unwrap())).unwrap();
        all.extend(text.lines().map(|line| format!("{} {line}", path.split('/').next().unwrap())));
    }
    all.sort();
    all
}

#[test]
fn what_is_left_of_a_group_stays_when_some_of_its_inputs_are_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut three = group("three", "/a", &["/a"]);
    three.inputs.extend([record("b", "/b", &["/b"]), record("c", "/c", &["/c"])]);
    done(dir.path(), &three);
    let other = group("other", "/d", &["/d"]);
    done(dir.path(), &other);
    let new = group("new", "/b", &["/b"]);
    done(dir.path(), &new);
    let state = open(dir.path());
    assert_eq!(state.records().count(), 4);
    assert_eq!(state.get("/b"), new.inputs.first());
    assert_eq!(state.get("/a"), three.inputs.first());
    assert!(state.records().all(|record| state.is_there(record)));
    let rows = |table: &str| ["/a", "/b", "/c", "/d"].map(|key| format!("{table} {{\"input\":\"{key}\"}}"));
    assert_eq!(inputs(dir.path()), [rows("auth"), rows("sessions")].concat());
    let mail: Vec<String> = tree(dir.path()).into_iter().filter(|path| path.starts_with("mail/")).collect();
    assert_eq!(mail, ["mail/c/1.eml", "mail/new/1.eml", "mail/other/1.eml", "mail/three/1.eml"]);
    drop(state);
    // All that was left, too: nothing of the group is there any more.
    let mut rest = group("rest", "/a", &["/a"]);
    rest.inputs.push(record("c2", "/c", &["/c"]));
    done(dir.path(), &rest);
    assert_eq!(tree(dir.path()), of(&[&new, &other, &rest]));
}

#[test]
fn ended_while_the_rest_of_a_group_was_moved() {
    let dir = tempfile::tempdir().unwrap();
    let mut two = group("two", "/a", &["/a"]);
    two.inputs.push(record("b", "/b", &["/b"]));
    done(dir.path(), &two);
    // The step as it is written, on a copy; its last moves have not been made.
    let (new, rest) = (group("new", "/b", &["/b"]), group("rest", "/a", &["/a"]));
    write(dir.path(), READY, &new);
    write(dir.path(), READY, &rest);
    let step = Step { groups: vec![new.clone(), rest.clone()], replaces: Vec::new() };
    append(dir.path(), &[serde_json::to_vec(&step).unwrap(), b"\n".to_vec()].concat());
    let part = &rest.parts[1].path;
    fs::rename(dir.path().join(HOME).join(READY).join("rest").join(part), dir.path().join(part)).unwrap();
    drop(open(dir.path()));
    assert_eq!(tree(dir.path()), of(&[&new, &rest]));
    // Before the step was written it is as if it had never begun.
    write(dir.path(), READY, &group("newer", "/a", &["/a"]));
    drop(open(dir.path()));
    assert_eq!(tree(dir.path()), of(&[&new, &rest]));
}

#[test]
fn starting_over_removes_what_was_written_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &group("a", "/a", &["/a"]));
    fs::write(dir.path().join("sessions/mine"), "x").unwrap();
    drop(State::open(dir.path(), true).unwrap_or_else(|e| panic!("{e}")));
    assert_eq!(tree(dir.path()), ["sessions/mine"]);
    assert_eq!(open(dir.path()).records().count(), 0);
}

/// A journal that came with a dataset removes nothing but a dataset's parts.
#[test]
fn a_journal_can_not_name_files_elsewhere() {
    let home = tempfile::tempdir().unwrap();
    let (dir, victim) = (home.path().join("ds"), home.path().join("victim"));
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("file"), "mine").unwrap();
    drop(State::open(&dir, false).unwrap());
    let honest = group("a1", "k", &["f"]);
    for path in
        ["../victim/file", "/etc/x", "sessions/../../victim/file", "sessions/day=../part-x", "victim/day=1/part-x"]
    {
        let part = Part { path: path.to_owned(), rows: 1 };
        assert!(!Group { parts: vec![part], ..honest.clone() }.is_ours(), "{path}");
    }
    assert!(honest.is_ours() && !Group { id: "../victim".to_owned(), ..honest.clone() }.is_ours());
    let mut hostile = honest;
    hostile.parts[0].path = "../victim/file".to_owned();
    hostile.inputs[0].messages = Some("../victim".to_owned());
    append(&dir, &line(&hostile));
    append(&dir, &line(&group("b2", "k", &["f"])));
    drop(State::open(&dir, true).unwrap());
    assert_eq!(fs::read(victim.join("file")).unwrap(), b"mine");
}

#[cfg(unix)]
#[test]
fn links_that_wait_in_a_dataset_are_not_followed() {
    use std::os::unix::fs::symlink;
    let home = tempfile::tempdir().unwrap();
    let (dir, elsewhere) = (home.path().join("ds"), home.path().join("elsewhere"));
    fs::create_dir(&elsewhere).unwrap();
    drop(State::open(&dir, false).unwrap());
    let victim = home.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    symlink(&victim, dir.join(HOME).join("done.jsonl.new")).unwrap();
    symlink(&elsewhere, dir.join("sessions")).unwrap();
    let mut state = State::open(&dir, false).unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
    let group = group("a1", "k", &["f"]);
    write(&dir, WORK, &group);
    let error = state.commit(group).unwrap_err();
    assert!(error.to_string().contains("sessions: this is not a folder"), "{error}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}
