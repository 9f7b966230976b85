//! The list of a message's attachments, counted and hashed while they stream by.

use sha2::{Digest, Sha256};

use super::mime::{PartInfo, PartObserver};
use crate::event::Attachment;

struct Open {
    id: u64,
    /// Place in the list.
    index: usize,
    digest: Option<Sha256>,
}

/// Collects [`Attachment`]s.
pub struct Attachments {
    list: Vec<Attachment>,
    open: Vec<Open>,
    digests: bool,
    max: usize,
    overflowed: bool,
}

impl Attachments {
    /// An empty list that will hold at most `max` entries.
    pub fn new(digests: bool, max: usize) -> Self {
        Attachments { list: Vec::new(), open: Vec::new(), digests, max, overflowed: false }
    }

    /// Memory beside its own fields.
    pub(super) fn cost(&self) -> usize {
        self.list.iter().map(Attachment::weight).sum::<usize>() + self.open.capacity() * size_of::<Open>()
    }

    /// Whether there were more than `max`.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Bytes are missing: what is open now gets no digest.
    pub fn gap(&mut self) {
        for open in &mut self.open {
            open.digest = None;
        }
    }

    /// The list, in order of the attachments' beginnings.
    pub fn into_list(self) -> Vec<Attachment> {
        self.list
    }
}

impl PartObserver for Attachments {
    fn begin(&mut self, part: PartInfo) {
        if self.list.len() >= self.max {
            self.overflowed = true;
            return;
        }
        self.open.push(Open { id: part.id, index: self.list.len(), digest: self.digests.then(Sha256::new) });
        self.list.push(Attachment { filename: part.filename, content_type: part.content_type, size: 0, sha256: None });
    }

    fn data(&mut self, id: u64, bytes: &[u8]) {
        let Some(open) = self.open.iter_mut().rev().find(|o| o.id == id) else { return };
        if let Some(digest) = &mut open.digest {
            digest.update(bytes);
        }
        if let Some(attachment) = self.list.get_mut(open.index) {
            attachment.size = attachment.size.saturating_add(bytes.len() as u64);
        }
    }

    fn end(&mut self, id: u64) {
        let Some(at) = self.open.iter().rposition(|o| o.id == id) else { return };
        let open = self.open.remove(at);
        if let Some(attachment) = self.list.get_mut(open.index) {
            attachment.sha256 = open.digest.map(|d| d.finalize().into());
        }
    }
}
