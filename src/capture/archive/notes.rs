//! What is told of an archive: the first few of a kind, and how many more there were.

use std::mem;

use crate::limits::Limits;
use crate::position::FileId;

use super::super::Problem;

/// Notes on one archive.
#[derive(Debug)]
pub(in crate::capture) struct Notes {
    file: FileId,
    list: Vec<Problem>,
    most: usize,
    /// How many there were: members passed over, and those that lose packets.
    counts: [usize; 2],
}

impl Notes {
    pub(in crate::capture) fn new(file: FileId, limits: &Limits) -> Self {
        Notes { file, list: Vec::new(), most: limits.diagnostics_per_code, counts: [0; 2] }
    }

    /// Something without consequence for packets.
    pub(in crate::capture) fn harmless(&mut self, offset: u64, text: impl Into<String>) {
        self.add(offset, text.into(), false);
    }

    /// Something that may hide packets.
    pub(in crate::capture) fn loss(&mut self, offset: u64, text: impl Into<String>) {
        self.add(offset, text.into(), true);
    }

    fn add(&mut self, offset: u64, text: String, loses_packets: bool) {
        let [harmless, losses] = &mut self.counts;
        let count = if loses_packets { losses } else { harmless };
        *count = count.saturating_add(1);
        if *count <= self.most {
            self.list.push(Problem { file: self.file, offset, text, loses_packets });
        }
    }

    /// The end of the archive: how many more there were.
    pub(in crate::capture) fn close(&mut self, offset: u64) {
        for (count, loses_packets) in mem::take(&mut self.counts).into_iter().zip([false, true]) {
            let more = count.saturating_sub(self.most);
            if more > 0 {
                let text = format!("and {more} more members that were skipped");
                self.list.push(Problem { file: self.file, offset, text, loses_packets });
            }
        }
    }

    /// What has come up since, in the order of offsets.
    pub(in crate::capture) fn take(&mut self) -> Vec<Problem> {
        let mut list = mem::take(&mut self.list);
        list.sort_by_key(|p| p.offset);
        list
    }
}
