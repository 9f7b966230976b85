//! Several inputs as one capture in time order.
//!
//! Each file keeps its own order. A file is opened when the merge reaches its first timestamp and closed at its end,
//! so only files that overlap in time are open together.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Read;

use crate::limits::Limits;
use crate::position::FileId;

use super::error::CaptureError;
use super::input::{self, Format};
use super::source::Source;
use super::{Buffer, Input, Item, Problem};

/// Files held open at once; beyond it they are opened for each read. Common limits are 256 and 1024 descriptors.
const OPEN: usize = 128;

/// A streaming reader over all inputs.
pub struct Capture {
    names: Vec<String>,
    limits: Limits,
    /// Not begun yet, the earliest last.
    waiting: Vec<Waiting>,
    /// Begun; a slot is free again after its file's end.
    open: Vec<Option<Opened>>,
    /// Slots of `open` by whose turn it is, but for `current`.
    turns: BinaryHeap<Reverse<(i64, usize, usize)>>,
    /// The slot whose record was handed out last.
    current: Option<usize>,
    /// Frames handed out.
    frames: u64,
    /// Bytes of files that are done.
    finished_bytes: u64,
    /// An input that could not be opened when its turn came.
    trouble: Option<Problem>,
    /// An input is a pipe.
    live: bool,
}

/// A source and its place in the order of first timestamps.
struct Opened {
    source: Source,
    rank: usize,
}

/// An input whose turn has not come.
struct Waiting {
    id: FileId,
    first: i64,
    rank: usize,
    how: How,
}

/// How a waiting input is begun.
enum How {
    /// By opening it.
    Reopen(Input),
    /// It can't be opened twice; already at its first record if the flag says so.
    Opened(Box<Source>, bool),
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("names", &self.names).field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Capture {
    /// Opens all inputs and looks at the head of each, so that errors come early.
    ///
    /// # Errors
    /// An input can't be used at all: unreadable, or not a capture. Trouble further inside is an [`Item::Problem`].
    pub fn open(inputs: &[Input], limits: &Limits) -> Result<Capture, CaptureError> {
        let mut capture = Capture::empty(limits);
        let alone = inputs.len() == 1;
        for input in inputs {
            let id = capture.name(input.name());
            let reopens = input.reopens();
            capture.live |= !reopens;
            let opened = input.open(false).and_then(|reader| input::recognise(&input.name(), reader));
            let (buffer, format) = match opened {
                Ok(opened) => opened,
                // One bad file of a folder is no reason not to read the others.
                Err(e) if matches!(input, Input::Found(_)) && !alone => {
                    capture.waiting.push(Waiting { id, first: i64::MIN, rank: 0, how: How::Reopen(input.clone()) });
                    drop(e);
                    continue;
                }
                Err(e) => return Err(e),
            };
            capture.wait(id, buffer, format, (reopens && !alone).then_some(input), alone);
        }
        capture.order();
        Ok(capture)
    }

    /// Reads a stream of the caller's; `name` is what errors call it.
    ///
    /// # Errors
    /// It is not a capture, or can't be read.
    pub fn from_reader(name: &str, reader: Box<dyn Read + Send>, limits: &Limits) -> Result<Capture, CaptureError> {
        let mut capture = Capture::empty(limits);
        capture.live = true;
        let id = capture.name(name.to_owned());
        let (buffer, format) = input::recognise(name, reader)?;
        capture.wait(id, buffer, format, None, true);
        Ok(capture)
    }

    fn empty(limits: &Limits) -> Self {
        Capture {
            names: Vec::new(),
            limits: limits.clone(),
            waiting: Vec::new(),
            open: Vec::new(),
            turns: BinaryHeap::new(),
            current: None,
            frames: 0,
            finished_bytes: 0,
            trouble: None,
            live: false,
        }
    }

    fn name(&mut self, name: String) -> FileId {
        let id = FileId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.push(name);
        id
    }

    /// Puts an opened input in the queue; `reopen` if it may be closed until its turn.
    fn wait(&mut self, id: FileId, buffer: Buffer, format: Format, reopen: Option<&Input>, alone: bool) {
        let mut source = Source::new(id, buffer, format);
        if alone {
            // Nothing to compare with, and a live pipe may not have a packet yet.
            let how = How::Opened(Box::new(source), false);
            self.waiting.push(Waiting { id, first: i64::MIN, rank: 0, how });
            return;
        }
        if let Some(input) = reopen {
            let mut first = i64::MIN;
            while source.advance(&self.limits) {
                if let Some(ts) = source.packet_time() {
                    first = ts.0;
                    break;
                }
            }
            self.waiting.push(Waiting { id, first, rank: 0, how: How::Reopen(input.clone()) });
        } else {
            let more = source.advance(&self.limits);
            let first = source.packet_time().map_or(i64::MIN, |t| t.0);
            if more {
                self.waiting.push(Waiting { id, first, rank: 0, how: How::Opened(Box::new(source), true) });
            }
        }
    }

    fn order(&mut self) {
        self.waiting.sort_by_key(|w| (w.first, w.id));
        self.waiting.iter_mut().enumerate().for_each(|(rank, w)| w.rank = rank);
        self.waiting.reverse();
    }

    /// The next item; none at the end of all inputs. Never fails: trouble is [`Item::Problem`], and reading goes on
    /// with what is left.
    #[expect(clippy::should_implement_trait, reason = "the item borrows from the reader")]
    pub fn next(&mut self) -> Option<Item<'_>> {
        let slot = self.select();
        if let Some(problem) = self.trouble.take() {
            return Some(Item::Problem(problem));
        }
        let source = &self.open.get(slot?)?.as_ref()?.source;
        if source.at_packet() {
            self.frames += 1;
        }
        source.item(self.frames)
    }

    /// The slot whose record is next. Sets `trouble` instead when an input can't be opened.
    fn select(&mut self) -> Option<usize> {
        if let Some(slot) = self.current.take() {
            let opened = self.open.get_mut(slot)?.as_mut()?;
            if opened.source.advance(&self.limits) {
                let turn = (opened.source.turn(), opened.rank, slot);
                if self.turns.peek().is_none_or(|Reverse(next)| turn <= *next)
                    && self.waiting.last().is_none_or(|w| (turn.0, turn.1) <= (w.first, w.rank))
                {
                    self.current = Some(slot);
                    return Some(slot);
                }
                self.turns.push(Reverse(turn));
            } else {
                self.finish(slot);
            }
        }
        loop {
            let next = self.turns.peek().map(|Reverse(next)| *next);
            match self.waiting.last() {
                Some(w) if next.is_none_or(|(turn, rank, _)| (w.first, w.rank) < (turn, rank)) => {
                    let waiting = self.waiting.pop()?;
                    if let Err(e) = self.begin(waiting) {
                        self.trouble = Some(e);
                        return None;
                    }
                }
                _ => {
                    let Reverse((_, _, slot)) = self.turns.pop()?;
                    self.current = Some(slot);
                    return Some(slot);
                }
            }
        }
    }

    /// Opens an input whose turn has come.
    fn begin(&mut self, waiting: Waiting) -> Result<(), Problem> {
        let Waiting { id, rank, how, .. } = waiting;
        let (source, more) = match how {
            How::Opened(source, true) => (*source, true),
            How::Opened(mut source, false) => {
                let more = source.advance(&self.limits);
                (*source, more)
            }
            How::Reopen(input) => {
                let lazily = self.open.iter().flatten().count() >= OPEN;
                let opened = input.open(lazily).and_then(|reader| input::recognise(&input.name(), reader));
                let (buffer, format) = opened.map_err(|e| {
                    let text = if e.hint.is_empty() { e.what } else { format!("{}; {}", e.what, e.hint) };
                    Problem { file: id, offset: 0, text, loses_packets: true }
                })?;
                let mut source = Source::new(id, buffer, format);
                let more = source.advance(&self.limits);
                (source, more)
            }
        };
        if !more {
            self.finished_bytes = self.finished_bytes.saturating_add(source.bytes_read());
            return Ok(());
        }
        let turn = source.turn();
        let slot = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
        if slot == self.open.len() {
            self.open.push(None);
        }
        if let Some(place) = self.open.get_mut(slot) {
            *place = Some(Opened { source, rank });
        }
        self.turns.push(Reverse((turn, rank, slot)));
        Ok(())
    }

    fn finish(&mut self, slot: usize) {
        if let Some(opened) = self.open.get_mut(slot).and_then(Option::take) {
            self.finished_bytes = self.finished_bytes.saturating_add(opened.source.bytes_read());
        }
    }

    /// An input as the user named it.
    pub fn file_name(&self, file: FileId) -> &str {
        self.names.get(file.0 as usize).map_or("", String::as_str)
    }

    /// How many inputs there are.
    pub fn files(&self) -> usize {
        self.names.len()
    }

    /// Whether the next item may have to be waited for: the stream is a pipe, and all that it had is used up.
    pub fn is_idle(&self) -> bool {
        self.live && self.current.and_then(|slot| self.open.get(slot)?.as_ref()).is_some_and(|o| o.source.is_drained())
    }

    /// Bytes read so far over all inputs, after decompression.
    pub fn bytes_read(&self) -> u64 {
        let open = self.open.iter().flatten().map(|o| o.source.bytes_read());
        open.fold(self.finished_bytes, u64::saturating_add)
    }
}
