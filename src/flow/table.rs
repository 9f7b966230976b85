//! The connection table.

use crate::flow::Consumer;
use crate::limits::Limits;
use crate::position::FramePos;
use crate::wire::Segment;

/// All connections of an input: segments in, [`StreamChunk`](crate::flow::StreamChunk)s out.
pub struct FlowTable<C: Consumer> {
    sessions: Vec<C::Session>,
}

impl<C: Consumer> FlowTable<C> {
    /// An empty table.
    pub fn new(_limits: &Limits) -> Self {
        FlowTable { sessions: Vec::new() }
    }

    /// One segment, seen in the frame `at` on `interface`.
    pub fn segment(&mut self, _segment: &Segment<'_>, _at: FramePos, _interface: Option<u32>, _consumer: &mut C) {}

    /// The clock moved on without a TCP segment: only what has waited long enough is resolved.
    pub fn tick(&mut self, _at: FramePos, _consumer: &mut C) {}

    /// The input is over: everything held is delivered, holes become gaps, every connection is closed, in order of id.
    pub fn finish(&mut self, _consumer: &mut C) {}

    /// Connections known.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no connection is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
