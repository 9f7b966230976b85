//! What the reader hands to the shards in a round when threads work on them: the one copy that it costs.

use std::ops::Range;

use super::shard::SHARDS;
use crate::position::FramePos;
use crate::tls::keys::TOGETHER;
use crate::tls::premaster_in_segment;
use crate::wire::Segment;

/// Premaster secrets of a round that are looked for: fewer than a key remembers.
const PREMASTERS: usize = 512;

/// Work on so many segments takes about as long as opening a premaster secret.
const OPENING: usize = 1000;

/// A segment without its payload, which lies in [`Batch::bytes`].
pub(super) struct Item {
    pub(super) segment: Segment<'static>,
    from: usize,
    len: usize,
    pub(super) at: FramePos,
    pub(super) now: i64,
    pub(super) interface: Option<u32>,
}

/// The segments of a round. Its memory is used again and again.
pub(super) struct Batch {
    bytes: Vec<u8>,
    shards: Vec<Vec<Item>>,
    /// Where in `bytes` encrypted premaster secrets lie, as far as a look at each segment shows, and whose shard's they are.
    premasters: Vec<(usize, Range<usize>)>,
    /// The shards with the most to do come first: the last one to finish then finishes early.
    pub(super) order: Vec<usize>,
    /// All shards look at the clock behind this round: the last frame, and the reader's clock.
    pub(super) boundary: Option<(FramePos, i64)>,
    /// The input is over.
    pub(super) last: bool,
}

impl Batch {
    pub(super) fn new() -> Self {
        Batch {
            bytes: Vec::new(),
            shards: std::iter::repeat_with(Vec::new).take(SHARDS).collect(),
            premasters: Vec::new(),
            order: (0..SHARDS).collect(),
            boundary: None,
            last: false,
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.shards.iter_mut().for_each(Vec::clear);
        self.premasters.clear();
        self.boundary = None;
        self.last = false;
    }

    /// Nothing but the input's end.
    pub(super) fn end(&mut self) {
        self.clear();
        self.last = true;
    }

    pub(super) fn push(&mut self, shard: usize, segment: &Segment<'_>, at: FramePos, now: i64, interface: Option<u32>) {
        let (from, len) = (self.bytes.len(), segment.payload.len());
        self.bytes.extend_from_slice(segment.payload);
        if self.premasters.len() < PREMASTERS
            && let Some(premaster) = premaster_in_segment(segment.payload)
        {
            self.premasters.push((shard, from + premaster.start..from + premaster.end));
        }
        let Segment { src, dst, seq, ack, window, window_scale, flags, payload: _, missing_tail, vlan, tunnel } =
            *segment;
        let segment =
            Segment { src, dst, seq, ack, window, window_scale, flags, payload: &[], missing_tail, vlan, tunnel };
        if let Some(items) = self.shards.get_mut(shard) {
            items.push(Item { segment, from, len, at, now, interface });
        }
    }

    /// No more will come: settles the order of work.
    pub(super) fn seal(&mut self) {
        let mut work: Vec<usize> = self.shards.iter().map(Vec::len).collect();
        for (shard, _) in &self.premasters {
            if let Some(work) = work.get_mut(*shard) {
                *work += OPENING;
            }
        }
        self.order.sort_by_key(|&shard| std::cmp::Reverse(work.get(shard)));
    }

    /// Of the shard of that number, in order of capture.
    pub(super) fn items(&self, shard: usize) -> &[Item] {
        self.shards.get(shard).map_or(&[], Vec::as_slice)
    }

    /// How many encrypted premaster secrets the round may hold, of those that are looked for.
    pub(super) fn premaster_count(&self) -> usize {
        self.premasters.len()
    }

    /// Encrypted premaster secrets that may be in the round, the group of that number.
    pub(super) fn premasters(&self, group: usize) -> Option<Vec<&[u8]>> {
        let group = self.premasters.chunks(TOGETHER).nth(group)?;
        Some(group.iter().filter_map(|(_, range)| self.bytes.get(range.clone())).collect())
    }

    pub(super) fn payload(&self, item: &Item) -> &[u8] {
        self.bytes.get(item.from..item.from + item.len).unwrap_or_default()
    }
}
