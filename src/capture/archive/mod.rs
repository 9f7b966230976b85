//! Archives of captures, read in place: tar and zip, recognised by content.
//!
//! An archive in a file that is not compressed as a whole is *listed*: each member is a window of the file that is
//! opened when the merge reaches it, as files are. Any other one is a *stream*: its members follow one another, as the
//! bytes come. No archive crate: the formats are small, and neither crate reads zip as a stream past damage.

mod directory;
mod local;
mod member;
mod notes;
mod stream;
mod tape;
mod tar;

use std::fs::File;
use std::path::Path;

use crate::limits::Limits;
use crate::position::FileId;

use super::buffer::Buffer;
use super::input::Stored;
pub(super) use member::Member;
pub(super) use notes::Notes;
pub(super) use stream::Stream;

/// An archive's format.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tar,
    Zip,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Tar => "tar",
            Kind::Zip => "zip",
        }
    }
}

/// The archive that a stream begins with, if any.
pub(super) fn detect(buffer: &mut Buffer) -> Option<Kind> {
    // A zip without members is only its end record.
    if matches!(buffer.data(), [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..]) {
        return Some(Kind::Zip);
    }
    // The first byte is the name's: without one it is no header, and nothing more is waited for.
    if buffer.data().first().is_none_or(|b| *b == 0) {
        return None;
    }
    buffer.ensure(tar::BLOCK);
    buffer.data().first_chunk::<{ tar::BLOCK }>().and_then(tar::Header::parse).map(|_| Kind::Tar)
}

/// The members of an archive in a regular file, with what is to be told of it; none if it has to be read as a stream.
pub(super) fn list(kind: Kind, path: &Path, notes: &mut Notes, limits: &Limits) -> Option<Vec<Member>> {
    let file = File::open(path).ok()?;
    let tape = tape::FileTape::new(file)?;
    match kind {
        Kind::Tar => Some(tar::list(path, tape, notes, limits)),
        Kind::Zip => directory::list(path, tape, notes, limits),
    }
}

/// Whether an archive holds a capture: what is found in folders is looked at for it. Documents are often zip files.
pub(super) fn holds_capture(kind: Kind, path: &Path, buffer: Buffer, stored: Stored) -> bool {
    let limits = Limits::default();
    let mut notes = Notes::new(FileId(0), &limits);
    match (!stored.compressed).then(|| list(kind, path, &mut notes, &limits)).flatten() {
        Some(members) => members.iter().any(|m| m.recognise().is_ok()),
        None => Stream::new(kind, buffer, stored, notes).next(&limits).is_some(),
    }
}

/// A member's name as it is shown: never longer than the bound, and never used as a path.
fn shown(name: &[u8], limits: &Limits) -> String {
    let cut = name.get(..limits.archive_name_bytes).unwrap_or(name);
    String::from_utf8_lossy(cut).into_owned()
}
