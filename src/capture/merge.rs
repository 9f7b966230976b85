//! Several inputs as one capture in time order; several captures one after the other.
//!
//! Each file keeps its own order. A file is opened when the merge reaches its first timestamp and closed at its end,
//! so only files that overlap in time are open together. Members of archives are files, too; those of an archive that
//! can't be sought follow one another in its order.
//!
//! Here is whose turn it is; how inputs come to be in the queue is in `opening`.

mod opening;
mod several;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::limits::Limits;
use crate::position::FileId;

use super::archive::{Member, Notes, Stream};
use super::error::CaptureError;
use super::input::{self, Content};
use super::pipe::Stop;
use super::room::Room;
use super::source::Source;
use super::twin::Horizon;
use super::{Input, Item, Problem};

/// Files held open at once; beyond it they are opened for each read, 256 KiB or more. Few captures have so many files
/// of one time, and limits of 64 descriptors exist.
const OPEN: usize = 32;

/// A streaming reader over all inputs.
pub struct Capture {
    names: Vec<String>,
    limits: Limits,
    /// Not begun yet, the earliest last.
    waiting: Vec<Waiting>,
    /// Begun; a slot is free again after its file's end.
    open: Vec<Option<Opened>>,
    /// Slots of `open` that are free.
    free: Vec<usize>,
    /// Slots of `open` by whose turn it is, but for `current`.
    turns: BinaryHeap<Reverse<(i64, usize, usize)>>,
    /// The slot whose record was handed out last.
    current: Option<usize>,
    /// Frames handed out.
    frames: u64,
    /// Bytes of files that are done.
    finished_bytes: u64,
    /// What archives had to tell, and inputs that could not be opened when their turn came.
    troubles: VecDeque<Problem>,
    /// The trouble that is the item at hand.
    told: Option<Problem>,
    /// The record of `current` is still to be handed out, after the troubles.
    ready: bool,
    /// An input is a pipe.
    live: bool,
    /// A thread of its own may read.
    ahead: bool,
    /// Up to where twins read what this reads.
    horizon: Option<Horizon>,
    /// Captures that come after this one.
    later: VecDeque<Vec<Input>>,
    /// Named inputs that can't be used, if they are to be left out.
    refused: Option<Vec<CaptureError>>,
    /// Found inputs that can't be used at all.
    unusable: Arc<AtomicU64>,
    /// Bytes read of the inputs as they are stored.
    meter: Arc<AtomicU64>,
    /// For what open inputs hold.
    room: Room,
    stop: Stop,
}

/// Counts what is read, for who wants to know how far a run is.
struct Metered {
    inner: Box<dyn Read + Send>,
    meter: Arc<AtomicU64>,
}

impl Read for Metered {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.meter.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// A source and its place in the order of first timestamps.
struct Opened {
    source: Source,
    rank: usize,
    /// The archive whose members follow.
    stream: Option<Chain>,
}

/// An archive that is read member by member, and which input it is.
type Chain = (FileId, Box<Stream>);

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
    /// By opening its place in an archive.
    Member(Box<Member>),
    /// It can't be opened twice; already at its first record if the flag says so.
    Opened(Box<Source>, bool),
    /// An archive to be read as a stream.
    Stream(Chain),
    /// The member of it that was begun, at its first record.
    Begun(Box<Source>, Chain),
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("names", &self.names).field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Capture {
    /// The named inputs that were left out, with the reason.
    pub fn refused(&self) -> &[CaptureError] {
        self.refused.as_deref().unwrap_or_default()
    }

    /// Counts the inputs found in folders that can't be used at all, as their turn comes: each is an [`Item::Problem`]
    /// as well.
    pub fn unusable(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.unusable)
    }

    /// Lets a thread of its own read files some way ahead, and decompress them. What comes out is the same.
    pub fn read_ahead(&mut self) {
        self.ahead = true;
    }

    /// Once it is set to true, all inputs are at their end: nothing more is read of them, nor waited for if they are
    /// pipes.
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    fn empty(limits: &Limits) -> Self {
        Capture {
            names: Vec::new(),
            limits: limits.clone(),
            waiting: Vec::new(),
            open: Vec::new(),
            free: Vec::new(),
            turns: BinaryHeap::new(),
            current: None,
            frames: 0,
            finished_bytes: 0,
            troubles: VecDeque::new(),
            told: None,
            ready: false,
            live: false,
            ahead: false,
            horizon: None,
            later: VecDeque::new(),
            refused: None,
            unusable: Arc::default(),
            meter: Arc::default(),
            room: Room::new(limits),
            stop: Stop::default(),
        }
    }

    fn name(&mut self, name: String) -> FileId {
        let id = FileId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.push(name);
        id
    }

    /// The next record-bearing member of an archive that is read as a stream, as a file of its own.
    fn follow(&mut self, (id, mut stream): Chain) -> Option<(Source, Chain)> {
        loop {
            let next = stream.next(&self.limits);
            self.troubles.extend(stream.notes.take());
            let (name, buffer, format) = next?;
            let name = format!("{}/{name}", self.file_name(id));
            let mut source = Source::new(self.name(name), buffer, format);
            if source.advance(&self.limits) {
                return Some((source, (id, stream)));
            }
            self.finished_bytes = self.finished_bytes.saturating_add(source.bytes_read());
        }
    }

    /// The next item; none at the end of all inputs. Never fails: trouble is [`Item::Problem`], and reading goes on
    /// with what is left.
    #[expect(clippy::should_implement_trait, reason = "the item borrows from the reader")]
    pub fn next(&mut self) -> Option<Item<'_>> {
        self.advance()?;
        self.item()
    }

    /// Steps to the next item, which may bring a new file with it ([`Capture::names`]); none at the end of all inputs.
    pub fn advance(&mut self) -> Option<()> {
        self.told = None;
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        if self.troubles.is_empty() && !self.ready {
            self.ready = self.select().is_some();
        }
        if let Some(problem) = self.troubles.pop_front() {
            self.told = Some(problem);
            return Some(());
        }
        if !std::mem::take(&mut self.ready) {
            return None;
        }
        let source = &self.open.get(self.current?)?.as_ref()?.source;
        if source.at_packet() {
            self.frames += 1;
        }
        Some(())
    }

    /// The item that [`Capture::advance`] stepped to.
    pub fn item(&self) -> Option<Item<'_>> {
        if let Some(problem) = &self.told {
            return Some(Item::Problem(problem.clone()));
        }
        self.open.get(self.current?)?.as_ref()?.source.item(self.frames)
    }

    /// The slot whose record is next. Adds to `troubles` instead when an input can't be opened.
    fn select(&mut self) -> Option<usize> {
        if let Some(slot) = self.current
            && self.goes_on(slot)
        {
            return Some(slot);
        }
        loop {
            let next = self.turns.peek().map(|Reverse(next)| *next);
            match self.waiting.last() {
                Some(w) if next.is_none_or(|(turn, rank, _)| (w.first, w.rank) < (turn, rank)) => {
                    let waiting = self.waiting.pop()?;
                    if let Err(e) = self.begin(waiting) {
                        self.troubles.push_back(e);
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

    /// Steps on in the slot whose record was handed out last; false if the next one's turn has not come, or there is none.
    fn goes_on(&mut self, slot: usize) -> bool {
        self.current = None;
        let Some(opened) = self.open.get_mut(slot).and_then(Option::as_mut) else { return false };
        if !opened.source.advance(&self.limits) {
            self.finish(slot);
            return false;
        }
        let turn = (opened.source.turn(), opened.rank, slot);
        if self.turns.peek().is_none_or(|Reverse(next)| turn <= *next)
            && self.waiting.last().is_none_or(|w| (turn.0, turn.1) <= (w.first, w.rank))
        {
            self.current = Some(slot);
            return true;
        }
        self.turns.push(Reverse(turn));
        false
    }

    /// Opens an input whose turn has come.
    fn begin(&mut self, waiting: Waiting) -> Result<(), Problem> {
        let Waiting { id, rank, how, .. } = waiting;
        let lazily = self.open.len() - self.free.len() >= OPEN;
        let failed = |e: CaptureError| e.into_problem(id);
        let mut new = match how {
            How::Opened(source, true) => {
                self.place(*source, rank, None);
                return Ok(());
            }
            How::Begun(source, chain) => {
                self.place(*source, rank, Some(chain));
                return Ok(());
            }
            How::Stream(chain) => {
                self.go_on(chain, rank);
                return Ok(());
            }
            How::Opened(source, false) => *source,
            How::Member(member) => {
                let opened = member.open(lazily).map(|(reader, window)| (self.metered(reader), window));
                let opened = opened.and_then(|r| Ok(member.look_into(r, &self.room)?));
                let (buffer, format) = opened.map_err(failed)?;
                Source::new(id, buffer, format)
            }
            How::Reopen(input) => {
                match self.open_input(&input, self.ahead && self.is_first(), lazily).map_err(failed)? {
                    (Content::Capture(buffer, format), file) => {
                        let secrets = input.secrets(&format, &self.limits);
                        Source::new(id, buffer, format).with_secrets(secrets).with_file(file)
                    }
                    (Content::Archive(kind, buffer, stored), _) => {
                        let stream = Stream::new(kind, buffer, stored, Notes::new(id, &self.limits));
                        self.go_on((id, Box::new(stream)), rank);
                        return Ok(());
                    }
                }
            }
        };
        // One thread is enough: files that overlap in time are read in turn.
        if self.ahead && !self.live && self.is_first() && !self.is_for_twins(&new) {
            new.read_ahead();
        }
        if new.advance(&self.limits) {
            self.place(new, rank, None);
            return Ok(());
        }
        self.finished_bytes = self.finished_bytes.saturating_add(new.bytes_read());
        Ok(())
    }

    /// Opens an input and looks what it is; with the file for twins, if `several` may read it.
    fn open_input(&self, input: &Input, several: bool, lazily: bool) -> Result<(Content, Option<File>), CaptureError> {
        let (reader, file) = match several {
            true => input.open_for_several(&self.stop)?,
            false => (input.open(lazily, &self.stop)?, None),
        };
        Ok((input::recognise(&input.name(), self.metered(reader), &self.room)?, file))
    }

    /// Goes on to the next member of an archive that is read as a stream.
    fn go_on(&mut self, chain: Chain, rank: usize) {
        if let Some((source, chain)) = self.follow(chain) {
            self.place(source, rank, Some(chain));
        }
    }

    /// Lets a source that stands at a record take its turn.
    fn place(&mut self, source: Source, rank: usize, stream: Option<Chain>) {
        let turn = source.turn();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.open.push(None);
            self.open.len() - 1
        });
        if let Some(place) = self.open.get_mut(slot) {
            *place = Some(Opened { source, rank, stream });
        }
        self.turns.push(Reverse((turn, rank, slot)));
    }

    fn finish(&mut self, slot: usize) {
        if let Some(Opened { source, rank, stream }) = self.open.get_mut(slot).and_then(Option::take) {
            self.free.push(slot);
            self.finished_bytes = self.finished_bytes.saturating_add(source.bytes_read());
            drop(source);
            if let Some(chain) = stream {
                self.go_on(chain, rank);
            }
        }
    }

    /// An input as the user named it.
    pub fn file_name(&self, file: FileId) -> &str {
        self.names.get(file.0 as usize).map_or("", String::as_str)
    }

    /// The names of all inputs and members of archives so far, by [`FileId`]. Those of an archive that is read as a
    /// stream are added as they come up.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the next item may have to be waited for: the stream is a pipe, and all that it had is used up.
    pub fn is_idle(&self) -> bool {
        self.live && self.current.and_then(|slot| self.open.get(slot)?.as_ref()).is_some_and(|o| o.source.is_drained())
    }

    fn metered(&self, inner: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        Box::new(Metered { inner, meter: Arc::clone(&self.meter) })
    }

    /// Grows with the bytes read of the inputs as they are stored, from any thread. What is looked at before its turn
    /// is counted twice, and members of a zip file as they are when unpacked: it says how far a run is, no more.
    pub fn meter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.meter)
    }

    /// Bytes read so far over all inputs, after decompression.
    pub fn bytes_read(&self) -> u64 {
        let open = self.open.iter().flatten().map(|o| o.source.bytes_read());
        open.fold(self.finished_bytes, u64::saturating_add)
    }
}
