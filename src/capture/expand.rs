//! Files, folders and globs as inputs.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::CaptureError;
use super::ring::{self, Named};
use super::{Input, input};

/// Folders inside folders that are followed.
const DEPTH: usize = 64;

/// Expands files, folders (recursively, sorted), globs (`*` and `?`, where the shell did not) and `-` into inputs.
/// A file that comes up twice is read once.
///
/// # Errors
/// Names a file that is missing, a glob without matches, or a folder without captures.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<Input>, CaptureError> {
    let (inputs, mut refused) = expand_usable(paths)?;
    if refused.is_empty() { Ok(inputs) } else { Err(refused.swap_remove(0)) }
}

/// As [`expand`], but what gives no input is left out where other paths do; with the reasons.
///
/// # Errors
/// None of them gives any; the error is the first one's.
pub fn expand_usable(paths: &[PathBuf]) -> Result<(Vec<Input>, Vec<CaptureError>), CaptureError> {
    let (mut inputs, mut refused) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for path in paths {
        if let Err(error) = expand_one(path, &mut seen, &mut inputs) {
            refused.push(error);
        }
    }
    if inputs.is_empty() && !refused.is_empty() { Err(refused.swap_remove(0)) } else { Ok((inputs, refused)) }
}

fn expand_one(path: &Path, seen: &mut HashSet<PathBuf>, inputs: &mut Vec<Input>) -> Result<(), CaptureError> {
    if path.as_os_str() == "-" {
        if seen.insert(PathBuf::from("-")) {
            inputs.push(Input::Stdin);
        }
        return Ok(());
    }
    if path.exists() {
        return add(path, seen, inputs);
    }
    let name = path.display().to_string();
    if !is_pattern(path) {
        return Err(CaptureError::new(&name, why_not(path), ""));
    }
    let matches = glob(path);
    if matches.is_empty() {
        return Err(CaptureError::new(&name, "no file matches", ""));
    }
    matches.iter().try_for_each(|path| add(path, seen, inputs))
}

/// Why a path does not exist.
fn why_not(path: &Path) -> &'static str {
    match (path.symlink_metadata(), path.try_exists()) {
        (Ok(_), _) => "a link that leads nowhere",
        (_, Err(e)) if e.kind() == io::ErrorKind::PermissionDenied => "permission denied on the way to it",
        _ => "no such file or folder",
    }
}

/// Adds a file, or what a folder holds.
fn add(path: &Path, seen: &mut HashSet<PathBuf>, inputs: &mut Vec<Input>) -> Result<(), CaptureError> {
    let known = |path: &Path, seen: &mut HashSet<PathBuf>| {
        !seen.insert(path.canonicalize().unwrap_or_else(|_| path.to_owned()))
    };
    if !path.is_dir() {
        if !known(path, seen) {
            inputs.push(Input::File(path.to_owned()));
        }
        return Ok(());
    }
    let mut found = Vec::new();
    walk(path, DEPTH, &mut HashSet::new(), &mut found)
        .map_err(|e| CaptureError::new(&path.display().to_string(), format!("can't be listed: {e}"), ""))?;
    if found.is_empty() {
        return Err(CaptureError::new(
            &path.display().to_string(),
            "no capture in this folder",
            "looked for pcap and pcapng files, by content, plain or compressed",
        ));
    }
    inputs.extend(found.into_iter().filter(|p| !known(p, seen)).map(Input::Found));
    Ok(())
}

/// Collects the captures below a folder, sorted by name, and what can't be read: its reader says so.
fn walk(folder: &Path, depth: usize, visited: &mut HashSet<PathBuf>, found: &mut Vec<PathBuf>) -> io::Result<()> {
    // Links may lead in a circle.
    if !visited.insert(folder.canonicalize()?) {
        return Ok(());
    }
    if depth == 0 {
        return Err(io::Error::other("too deep"));
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?.filter_map(|e| e.ok().map(|e| e.path())).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if walk(&path, depth - 1, visited, found).is_err() {
                found.push(path);
            }
        } else if path.is_file() && is_input(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// Whether a file of a folder is read.
fn is_input(path: &Path) -> bool {
    match ring::named(path) {
        // If it is none, its reader says so. An empty one is only a start.
        Named::Capture => path.metadata().is_ok_and(|m| m.len() > 0),
        Named::Dump => input::may_be_capture(path),
        Named::Otherwise => input::is_capture(path),
    }
}

fn is_pattern(path: &Path) -> bool {
    path.to_str().is_some_and(|p| p.contains(['*', '?']))
}

/// Files that match a pattern, sorted; `*` and `?` may stand in any component.
fn glob(pattern: &Path) -> Vec<PathBuf> {
    let mut matches: Vec<PathBuf> = vec![PathBuf::new()];
    for component in pattern.components() {
        let component = component.as_os_str();
        if !is_pattern(Path::new(component)) {
            matches.iter_mut().for_each(|m| m.push(component));
            matches.retain(|m| m.as_os_str().is_empty() || m.exists());
            continue;
        }
        let wanted = component.to_string_lossy();
        let mut next = Vec::new();
        for base in &matches {
            let folder = if base.as_os_str().is_empty() { Path::new(".") } else { base };
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // As in the shell, a leading dot must be asked for.
                if (!name.starts_with('.') || wanted.starts_with('.')) && matches_glob(&wanted, &name) {
                    next.push(base.join(entry.file_name()));
                }
            }
        }
        next.sort();
        matches = next;
    }
    matches
}

/// Whether `name` matches `pattern`, in time linear in the name for each `*`.
fn matches_glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || name.get(n) == Some(c) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                // The last star takes one more character.
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, name, expected) in [
            ("*.pcap", "a.pcap", true),
            ("*.pcap", "a.pcapng", false),
            ("a?c*", "abcdef", true),
            ("a?c", "ac", false),
            ("*a*b", "xaxbxb", true),
            ("*", "", true),
            ("", "a", false),
            ("**", "a", true),
        ] {
            assert_eq!(matches_glob(pattern, name), expected, "{pattern} {name}");
        }
    }

    fn pcap() -> Vec<u8> {
        let mut file = 0xa1b2_c3d4u32.to_le_bytes().to_vec();
        file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
        file
    }

    #[test]
    fn folders_globs_and_errors() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        for name in ["b.pcap", "a", "sub/c.cap"] {
            fs::write(at(name), pcap()).unwrap();
        }
        fs::write(at("README"), "not a capture").unwrap();
        fs::write(at("empty.pcap"), "").unwrap();
        fs::write(at("bad.pcap"), "<html>").unwrap();
        let found = |names: &[&str]| names.iter().map(|n| Input::Found(at(n))).collect::<Vec<_>>();
        let expanded = expand(&[dir.path().to_owned()]).unwrap();
        assert_eq!(expanded, found(&["a", "b.pcap", "bad.pcap", "sub/c.cap"]));
        // A file named beside its folder is one input.
        let both = expand(&[at("b.pcap"), dir.path().to_owned()]).unwrap();
        assert_eq!(both.len(), 4);
        assert_eq!(both[0], Input::File(at("b.pcap")));
        let named = ["b.pcap", "bad.pcap"].map(|n| Input::File(at(n)));
        assert_eq!(expand(&[at("b*")]).unwrap(), named);
        assert_eq!(expand(&[at("*/c.?ap")]).unwrap(), [Input::File(at("sub/c.cap"))]);
        assert_eq!(expand(&["-".into(), "-".into()]).unwrap(), [Input::Stdin]);
        assert!(expand(&[at("missing")]).unwrap_err().to_string().contains("missing: no such file"));
        assert!(expand(&[at("*.zip")]).unwrap_err().what.contains("no file matches"));
        let (found, refused) = expand_usable(&[at("missing"), at("b.pcap"), at("*.zip")]).unwrap();
        assert_eq!((found, refused.len()), (vec![Input::File(at("b.pcap"))], 2));
        assert!(
            expand_usable(&[at("missing"), at("*.zip")]).unwrap_err().to_string().contains("missing: no such file")
        );
        assert_eq!(expand_usable(&[]), Ok((vec![], vec![])));
        fs::create_dir(at("none")).unwrap();
        assert!(expand(&[at("none")]).unwrap_err().what.contains("no capture"));
    }

    #[test]
    fn what_is_named_like_a_piece_of_a_ring_or_a_compressed_capture_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let named = ["a.PCAP", "a.cap", "a.pcap.2.gz", "a.pcap.gz", "a.pcap00", "a.pcap1", "a.pcapng.zst"];
        for name in named.iter().chain(&["a.txt", "a.gz", "a1", "pcap1", "a.tar.gz"]) {
            fs::write(dir.path().join(name), "damaged").unwrap();
        }
        let found = named.map(|name| Input::Found(dir.path().join(name)));
        assert_eq!(expand(&[dir.path().to_owned()]).unwrap(), found);
    }

    #[test]
    fn dumps_of_databases_and_of_memory_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let captures = [
            ("a.dmp", pcap()),
            // Of another kind, and a gzip file that is damaged.
            ("b.dmp", b"snoop\0\0\0\0\0\0\x02\0\0\0\x04".to_vec()),
            ("c.dump1", pcap()),
            ("d.dump.gz", [&[0x1f, 0x8b, 8, 0][..], &[0xff; 40]].concat()),
        ];
        let others = [
            ("crash.dmp", b"MDMP\x93\xa7\0\0\x0e\0\0\0\x20\0\0\0".to_vec()),
            ("db.dump", b"PGDMP\x01\x0e\0\x04\x08\x01\x01\x01\0\0\0\0".to_vec()),
            ("db.dump.1", b"-- MySQL dump 10.13\n".to_vec()),
            ("empty.dump", Vec::new()),
        ];
        for (name, content) in captures.iter().chain(&others) {
            fs::write(dir.path().join(name), content).unwrap();
        }
        let found = captures.map(|(name, _)| Input::Found(dir.path().join(name)));
        assert_eq!(expand(&[dir.path().to_owned()]).unwrap(), found);
    }

    #[cfg(unix)]
    #[test]
    fn paths_that_are_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link.pcap");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert_eq!(expand(&[link]).unwrap_err().what, "a link that leads nowhere");
        assert_eq!(expand(&[dir.path().join("none")]).unwrap_err().what, "no such file or folder");
    }

    /// Who may read everything (root) can't test this.
    #[cfg(unix)]
    #[test]
    fn what_can_not_be_read_in_a_folder_is_found() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let [file, folder] = ["data", "sub"].map(|n| dir.path().join(n));
        fs::write(&file, "hidden").unwrap();
        fs::create_dir(&folder).unwrap();
        for path in [&file, &folder] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }
        if fs::read_dir(&folder).is_err() {
            let found = [&file, &folder].map(|p| Input::Found(p.clone()));
            assert_eq!(expand(&[dir.path().to_owned()]).unwrap(), found);
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn folders_too_deep_are_not_passed_over_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        let below = |depth: usize| (0..depth).fold(dir.path().to_owned(), |path, _| path.join("d"));
        fs::create_dir_all(below(DEPTH + 2)).unwrap();
        for depth in [DEPTH - 1, DEPTH, DEPTH + 2] {
            fs::write(below(depth).join("a.pcap"), pcap()).unwrap();
        }
        let found = [below(DEPTH - 1).join("a.pcap"), below(DEPTH)].map(Input::Found);
        assert_eq!(expand(&[dir.path().to_owned()]).unwrap(), found);
    }

    #[cfg(unix)]
    #[test]
    fn circular_links_end() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.pcap"), pcap()).unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
        assert_eq!(expand(&[dir.path().to_owned()]).unwrap().len(), 1);
    }
}
