//! The central directory of a zip file (APPNOTE.TXT 4.3.12 to 4.3.16), zip64 too.

use std::path::Path;
use std::sync::Arc;

use crate::limits::Limits;

use super::local::{FIXED, Fields, u16_at, u32_at, u64_at};
use super::member::{Member, Sum};
use super::tape::{FileTape, Tape};
use super::{Notes, shown};

/// Bytes of an entry before its name.
const ENTRY: usize = 46;
/// The end record without its comment, and the longest comment.
const END: usize = 22;
const COMMENT: usize = 0xffff;

/// Where the directory lies and how much of it there is.
struct Directory {
    at: u64,
    size: u64,
}

/// The regular files of a zip file; none if it has no directory, being cut or damaged.
pub(super) fn list(path: &Path, mut tape: FileTape, notes: &mut Notes, limits: &Limits) -> Option<Vec<Member>> {
    let directory = find(&mut tape)?;
    let path: Arc<Path> = path.into();
    let mut entries = Vec::new();
    let mut seen = 0usize;
    tape.seek(directory.at);
    let end = directory.at.saturating_add(directory.size);
    while tape.offset() < end {
        let at = tape.offset();
        let head = tape.ahead(ENTRY);
        if !head.starts_with(b"PK\x01\x02") || head.len() < ENTRY {
            notes.loss(at, "the archive's directory is damaged; the rest of it is not read");
            break;
        }
        seen = seen.saturating_add(1);
        if seen > limits.archive_members {
            notes.loss(at, format!("more than {} members; the rest is not read", limits.archive_members));
            break;
        }
        let lengths = [28, 30, 32].map(|field| usize::from(u16_at(head, field).unwrap_or(0)));
        let [name_len, extra_len, comment_len] = lengths;
        let entry = tape.ahead(ENTRY + name_len + extra_len);
        match Entry::parse(entry, name_len, limits) {
            Some(entry) if entry.is_folder => {}
            Some(entry) => entries.push((entry, at)),
            None => notes.loss(at, "an entry of the archive's directory is damaged"),
        }
        tape.skip((ENTRY + name_len + extra_len + comment_len) as u64);
    }
    // By place, so that no byte is read for two members: thousands of entries may name one bomb.
    entries.sort_by_key(|(e, _)| e.local);
    let mut taken = 0;
    let mut members = Vec::new();
    for (entry, at) in entries {
        let Entry { name, fields, local, .. } = entry;
        let method = match fields.readable() {
            Ok(method) => method,
            Err(why) => {
                notes.loss(at, format!("{name} {why}; not read"));
                continue;
            }
        };
        tape.seek(local);
        let head = tape.ahead(FIXED);
        let lengths = (u16_at(head, 26), u16_at(head, 28));
        let (true, (Some(name_len), Some(extra_len))) = (head.starts_with(b"PK\x03\x04"), lengths) else {
            notes.loss(at, format!("{name} is not where the archive's directory says; not read"));
            continue;
        };
        let data = tape.offset() + FIXED as u64 + u64::from(name_len) + u64::from(extra_len);
        if local < taken {
            notes.loss(at, format!("{name} overlaps another member; not read"));
            continue;
        }
        taken = data.saturating_add(fields.stored);
        if taken > directory.at {
            notes.loss(at, format!("{name} is said to reach beyond the archive"));
        }
        let sum = Some(Sum { size: fields.size, crc: fields.crc });
        members.push(Member { path: path.clone(), name, header: local, data, stored: fields.stored, method, sum });
    }
    Some(members)
}

/// An entry of the directory.
struct Entry {
    name: String,
    is_folder: bool,
    fields: Fields,
    /// Offset of its local header.
    local: u64,
}

impl Entry {
    fn parse(entry: &[u8], name_len: usize, limits: &Limits) -> Option<Entry> {
        let name = entry.get(ENTRY..ENTRY.checked_add(name_len)?)?;
        let extra = entry.get(ENTRY + name_len..)?;
        let mut local = u64::from(u32_at(entry, 42)?);
        let fields = Fields::parse(entry.get(8..)?, extra, Some(&mut local))?;
        Some(Entry { name: shown(name, limits), is_folder: name.ends_with(b"/"), fields, local })
    }
}

/// Looks for the end record from behind, then for the directory that it names.
fn find(tape: &mut FileTape) -> Option<Directory> {
    let start = tape.len().saturating_sub((END + COMMENT) as u64);
    tape.seek(start);
    let tail = tape.ahead(END + COMMENT).to_vec();
    // The comment may hold anything: the right record is followed by as much as it says.
    let is_end = |at: &usize| {
        let record = tail.get(*at..).unwrap_or_default();
        record.starts_with(b"PK\x05\x06")
            && u16_at(record, 20).is_some_and(|comment| record.len() == END + usize::from(comment))
    };
    let at = (0..=tail.len().checked_sub(END)?).rev().find(is_end)?;
    let record = tail.get(at..)?;
    let end_at = start.saturating_add(at as u64);
    let (mut size, mut declared) = (u64::from(u32_at(record, 12)?), u64::from(u32_at(record, 16)?));
    let mut behind = end_at;
    // The zip64 record lies before its locator, which lies before the end record.
    tape.seek(end_at.saturating_sub(20));
    let locator = tape.ahead(20).to_vec();
    if end_at >= 20 && locator.starts_with(b"PK\x06\x07") {
        for place in [u64_at(&locator, 8)?, end_at.saturating_sub(20 + 56)] {
            tape.seek(place);
            let wide = tape.ahead(56);
            if wide.starts_with(b"PK\x06\x06")
                && let (Some(s), Some(d)) = (u64_at(wide, 40), u64_at(wide, 48))
            {
                (size, declared, behind) = (s, d, place);
                break;
            }
        }
    }
    if size == 0 {
        return Some(Directory { at: behind, size: 0 });
    }
    // It ends where the end record begins, whatever its place is said to be.
    for at in [behind.checked_sub(size), Some(declared)].into_iter().flatten() {
        tape.seek(at);
        if tape.ahead(4) == b"PK\x01\x02" {
            return Some(Directory { at, size });
        }
    }
    None
}
