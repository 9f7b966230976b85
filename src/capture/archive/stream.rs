//! An archive that can't be sought: its members in its order, as the bytes come.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::Limits;

use super::super::input::{self, Format, Stored};
use super::local::Body;
use super::member::Method;
use super::{Buffer, Kind, Notes, local, tar};

/// An archive being read.
pub(in crate::capture) struct Stream {
    /// The bytes, which the reader of the member at hand reads, too.
    shared: Arc<Mutex<Shared>>,
    walk: Walk,
    stored: Stored,
    /// What there is to tell.
    pub(in crate::capture) notes: Notes,
    /// A member was a capture.
    any: bool,
    ended: bool,
}

struct Shared {
    buffer: Buffer,
    body: Body,
}

enum Walk {
    Tar(tar::Walk),
    Zip(local::Walk),
}

impl Stream {
    pub(in crate::capture) fn new(kind: Kind, buffer: Buffer, stored: Stored, notes: Notes) -> Self {
        let walk = match kind {
            Kind::Tar => Walk::Tar(tar::Walk::default()),
            Kind::Zip => Walk::Zip(local::Walk::default()),
        };
        let shared = Arc::new(Mutex::new(Shared { buffer, body: Body::Done }));
        Stream { shared, walk, stored, notes, any: false, ended: false }
    }

    /// The next member that is a capture, and its name; nothing of the one before must be read any more.
    pub(in crate::capture) fn next(&mut self, limits: &Limits) -> Option<(String, Buffer, Format)> {
        while !self.ended {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            let Shared { buffer, body } = &mut *shared;
            let left = std::mem::replace(body, Body::Done);
            let (name, header, method, sum) = match &mut self.walk {
                Walk::Tar(walk) => {
                    let Some(found) = walk.next(buffer, &mut self.notes, limits) else { break };
                    *body = Body::Counted(found.size);
                    (found.name, found.header, Method::Stored, None)
                }
                Walk::Zip(walk) => {
                    let Some(found) = walk.next(buffer, left, &mut self.notes, limits) else { break };
                    *body = found.body;
                    (found.name, found.header, found.method, found.sum)
                }
            };
            drop(shared);
            let part = Part { shared: self.shared.clone() };
            let opened = method.reader(Box::new(part), sum).map_err(|e| input::unreadable(&name, &e));
            match opened.and_then(|reader| input::capture_inside(&name, reader, &self.stored)) {
                Ok((buffer, format)) => {
                    self.any = true;
                    return Some((name, buffer, format));
                }
                Err(no) => no.note(header, &name, &mut self.notes),
            }
        }
        if !std::mem::replace(&mut self.ended, true) {
            let at = self.shared.lock().unwrap_or_else(PoisonError::into_inner).buffer.offset();
            if !self.any {
                self.notes.harmless(at, "no member of the archive is a capture");
            }
            self.notes.close(at);
        }
        None
    }
}

/// The member at hand.
struct Part {
    shared: Arc<Mutex<Shared>>,
}

impl Read for Part {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let Shared { buffer, body } = &mut *shared;
        body.read(buffer, buf)
    }
}
