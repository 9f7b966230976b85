//! Events of sessions that are still going on, held in memory up to a bound and then in a temporary file, so that a
//! session of any length can be told from its beginning once it is over.

use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::event::Event;

/// Bytes of events held in memory over all sessions unless told otherwise.
pub const DEFAULT_BUDGET: usize = 64 << 20;

/// What is read of a segment at once.
const READ: usize = 64 << 10;

/// A stretch of the temporary file: events of one session by rising `seq`.
#[derive(Copy, Clone, Debug)]
struct Segment {
    first_seq: u64,
    offset: u64,
    len: u64,
}

/// The events of one session so far.
#[derive(Debug, Default)]
pub struct Story {
    held: Vec<Event>,
    weight: usize,
    segments: Vec<Segment>,
}

/// The stories of all sessions that are going on.
///
/// When they outgrow the budget, all of them are written to one temporary file, sorted by `seq`, and merged when
/// played. The file is emptied whenever no story has a part in it.
#[derive(Debug)]
pub struct Gather {
    stories: HashMap<u64, Story>,
    weight: usize,
    budget: usize,
    file: Option<File>,
    end: u64,
    /// Stories, kept or taken, with a part in the file.
    spilled: usize,
}

impl Default for Gather {
    fn default() -> Self {
        Gather::new(DEFAULT_BUDGET)
    }
}

impl Gather {
    /// Holds at most about `budget` bytes in memory.
    pub fn new(budget: usize) -> Self {
        Gather { stories: HashMap::new(), weight: 0, budget, file: None, end: 0, spilled: 0 }
    }

    /// Adds an event to its session's story.
    pub fn push(&mut self, event: Event) -> io::Result<()> {
        let weight = event.weight();
        let story = self.stories.entry(event.session).or_default();
        story.weight = story.weight.saturating_add(weight);
        story.held.push(event);
        self.weight = self.weight.saturating_add(weight);
        if self.weight > self.budget { self.spill() } else { Ok(()) }
    }

    /// Tells a session's story by rising `seq`, and forgets it.
    pub fn play(&mut self, session: u64, tell: &mut dyn FnMut(Event) -> io::Result<()>) -> io::Result<()> {
        let Some(mut story) = self.stories.remove(&session) else { return Ok(()) };
        self.weight = self.weight.saturating_sub(story.weight);
        story.held.sort_by_key(|e| e.seq);
        if story.segments.is_empty() {
            return story.held.into_iter().try_for_each(tell);
        }
        let result = self.merge(story, tell);
        self.release();
        result
    }

    /// Forgets a session's story untold.
    pub fn forget(&mut self, session: u64) {
        if let Some(story) = self.stories.remove(&session) {
            self.weight = self.weight.saturating_sub(story.weight);
            if !story.segments.is_empty() {
                self.release();
            }
        }
    }

    fn release(&mut self) {
        self.spilled = self.spilled.saturating_sub(1);
        if self.spilled == 0 {
            // Room that can't be given back is only room: the next write starts at the front either way.
            if let Some(file) = &self.file {
                let _ = file.set_len(0);
            }
            self.end = 0;
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.seek(SeekFrom::Start(self.end))?;
        let mut out = io::BufWriter::with_capacity(1 << 20, file);
        let mut record = Vec::new();
        for story in self.stories.values_mut() {
            story.held.sort_by_key(|e| e.seq);
            let Some(first_seq) = story.held.first().map(|e| e.seq) else { continue };
            if story.segments.is_empty() {
                self.spilled += 1;
            }
            let offset = self.end;
            for event in story.held.drain(..) {
                record.clear();
                serde_json::to_writer(&mut record, &event)?;
                let len = u32::try_from(record.len()).map_err(io::Error::other)?;
                out.write_all(&len.to_le_bytes())?;
                out.write_all(&record)?;
                self.end += 4 + u64::from(len);
            }
            story.held.shrink_to_fit();
            story.weight = 0;
            story.segments.push(Segment { first_seq, offset, len: self.end - offset });
        }
        self.weight = 0;
        out.flush()
    }

    fn merge(&mut self, story: Story, tell: &mut dyn FnMut(Event) -> io::Result<()>) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(io::Error::other("the temporary file is gone")) };
        let mut waiting = story.segments;
        waiting.sort_by_key(|s| std::cmp::Reverse(s.first_seq));
        let mut held = story.held.into_iter().peekable();
        let mut open: BinaryHeap<Cursor> = BinaryHeap::new();
        loop {
            // A segment is opened only when its turn has come: usually one is open at a time.
            while let Some(segment) = waiting.last() {
                if open.peek().is_some_and(|c| c.event.seq < segment.first_seq) {
                    break;
                }
                open.extend(Cursor::open(*segment, file)?);
                waiting.pop();
            }
            let from_memory = match (held.peek(), open.peek()) {
                (None, None) => return Ok(()),
                (Some(event), Some(cursor)) => event.seq < cursor.event.seq,
                (Some(_), None) => true,
                (None, Some(_)) => false,
            };
            if from_memory {
                held.next().map_or(Ok(()), &mut *tell)?;
            } else if let Some(cursor) = open.pop() {
                let (event, rest) = cursor.step(file)?;
                open.extend(rest);
                tell(event)?;
            }
        }
    }
}

/// Reads one segment.
struct Cursor {
    event: Event,
    buffer: Vec<u8>,
    at: usize,
    offset: u64,
    end: u64,
}

impl Cursor {
    fn open(segment: Segment, file: &mut File) -> io::Result<Option<Cursor>> {
        let end = segment.offset + segment.len;
        let (mut buffer, mut at, mut offset) = (Vec::new(), 0, segment.offset);
        let event = next(file, &mut buffer, &mut at, &mut offset, end)?;
        Ok(event.map(|event| Cursor { event, buffer, at, offset, end }))
    }

    fn step(mut self, file: &mut File) -> io::Result<(Event, Option<Cursor>)> {
        match next(file, &mut self.buffer, &mut self.at, &mut self.offset, self.end)? {
            Some(event) => {
                let told = std::mem::replace(&mut self.event, event);
                Ok((told, Some(self)))
            }
            None => Ok((self.event, None)),
        }
    }
}

/// The next event behind `at` in `buffer`, which is refilled from `offset`.
fn next(
    file: &mut File,
    buffer: &mut Vec<u8>,
    at: &mut usize,
    offset: &mut u64,
    end: u64,
) -> io::Result<Option<Event>> {
    loop {
        let rest = buffer.get(*at..).unwrap_or_default();
        let wanted = match rest.split_first_chunk::<4>() {
            Some((len, body)) => {
                let len = u32::from_le_bytes(*len) as usize;
                if let Some(record) = body.get(..len) {
                    let event = serde_json::from_slice(record)?;
                    *at += 4 + len;
                    return Ok(Some(event));
                }
                4 + len - rest.len()
            }
            None => 4 - rest.len(),
        };
        let available = end - *offset;
        if available == 0 {
            return Ok(None);
        }
        buffer.drain(..*at);
        *at = 0;
        let take = available.min(wanted.max(READ) as u64);
        file.seek(SeekFrom::Start(*offset))?;
        let got = file.take(take).read_to_end(buffer)? as u64;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *offset += got;
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.event.seq == other.event.seq
    }
}

impl Eq for Cursor {}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cursor {
    /// The lowest `seq` is the greatest, for the heap.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.event.seq.cmp(&self.event.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    /// The sessions that are going on, by id.
    fn open_sessions(gather: &Gather) -> Vec<u64> {
        let mut ids: Vec<u64> = gather.stories.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    fn seqs(gather: &mut Gather, session: u64) -> Vec<u64> {
        let mut seen = Vec::new();
        gather
            .play(session, &mut |event| {
                assert_eq!(event.session, session);
                seen.push(event.seq);
                Ok(())
            })
            .unwrap();
        seen
    }

    #[test]
    fn every_kind_of_event_survives_the_file() {
        let story = samples::story();
        for budget in [0, usize::MAX] {
            let mut gather = Gather::new(budget);
            for event in story.iter().rev() {
                gather.push(event.clone()).unwrap();
            }
            let mut told = Vec::new();
            gather
                .play(samples::SESSION, &mut |e| {
                    told.push(e);
                    Ok(())
                })
                .unwrap();
            let mut expected = story.clone();
            expected.sort_by_key(|e| e.seq);
            assert_eq!(told, expected, "budget {budget}");
        }
    }

    #[test]
    fn sessions_that_alternate_come_apart_again_in_order() {
        let mut gather = Gather::new(2000);
        // Each block of four backwards, so that segments overlap.
        for n in 0..400_u64 {
            for session in [7, 8] {
                let seq = (n / 4) * 4 + (3 - n % 4) + 1;
                gather.push(samples::event(session, seq)).unwrap();
            }
        }
        assert_eq!(open_sessions(&gather), [7, 8]);
        assert_eq!(seqs(&mut gather, 7), (1..=400).collect::<Vec<_>>());
        assert_eq!(seqs(&mut gather, 8), (1..=400).collect::<Vec<_>>());
        assert_eq!(seqs(&mut gather, 8), [0_u64; 0]);
        assert_eq!((gather.spilled, gather.end), (0, 0), "the file is empty again");
    }

    #[test]
    fn memory_stays_within_the_budget() {
        let mut gather = Gather::new(10_000);
        for n in 1..10_000_u64 {
            gather.push(samples::event(n % 50, n)).unwrap();
            assert!(gather.weight <= 10_000);
        }
        for session in open_sessions(&gather) {
            gather.forget(session);
        }
        assert_eq!((gather.weight, gather.spilled, gather.end), (0, 0, 0));
    }

    #[test]
    fn an_error_of_the_listener_is_passed_on() {
        let mut gather = Gather::new(0);
        gather.push(samples::event(1, 1)).unwrap();
        let error = gather.play(1, &mut |_| Err(io::ErrorKind::BrokenPipe.into())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(gather.spilled, 0);
    }
}
