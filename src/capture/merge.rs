//! Several inputs as one capture in time order; several captures one after the other.
//!
//! Each file keeps its own order. A file is opened when the merge reaches its first timestamp and closed at its end,
//! so only files that overlap in time are open together. Members of archives are files, too; those of an archive that
//! can't be sought follow one another in its order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::limits::Limits;
use crate::position::FileId;

use super::archive::{self, Kind, Member, Notes, Stream};
use super::error::CaptureError;
use super::input::{self, Content, Format, Stored};
use super::pipe::Stop;
use super::room::Room;
use super::source::Source;
use super::{Buffer, Input, Item, Problem};

/// Files held open at once; beyond it they are opened for each read, 256 KiB or more. Few captures have so many files of
/// one time, and limits of 64 descriptors exist.
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
    /// Opens all inputs, which are one capture, and looks at the head of each, so that errors come early.
    ///
    /// # Errors
    /// An input can't be used at all: unreadable, or not a capture. Trouble further inside is an [`Item::Problem`].
    pub fn open(inputs: &[Input], limits: &Limits) -> Result<Capture, CaptureError> {
        Self::open_each(vec![inputs.to_vec()], limits)
    }

    /// Opens several captures ([`super::group`]) to be read one after the other: [`Capture::next`] ends with each, and
    /// [`Capture::begin_next`] goes on. The heads of all files that the
    /// user named are looked at, so that errors come early.
    ///
    /// # Errors
    /// As [`Capture::open`].
    pub fn open_each(captures: Vec<Vec<Input>>, limits: &Limits) -> Result<Capture, CaptureError> {
        Capture::empty(limits).begin_each(captures)
    }

    /// As [`Capture::open_each`], but a named input that can't be used is left out ([`Capture::refused`]) where there are
    /// others.
    ///
    /// # Errors
    /// None of them can be used; the error is the first one's.
    pub fn open_usable(captures: Vec<Vec<Input>>, limits: &Limits) -> Result<Capture, CaptureError> {
        let all = captures.iter().map(Vec::len).sum::<usize>();
        let mut capture = Capture { refused: Some(Vec::new()), ..Capture::empty(limits) }.begin_each(captures)?;
        match capture.refused.as_mut().filter(|refused| refused.len() == all) {
            Some(refused) if all > 0 => Err(refused.swap_remove(0)),
            _ => Ok(capture),
        }
    }

    fn begin_each(mut self, captures: Vec<Vec<Input>>) -> Result<Capture, CaptureError> {
        self.later = captures.into();
        let Some(first) = self.later.pop_front() else { return Ok(self) };
        let sole = self.later.is_empty();
        self.load(&first, sole)?;
        // What is found in a folder is looked at when its turn comes; a pipe can be opened once only.
        let mut later = std::mem::take(&mut self.later);
        for inputs in &mut later {
            let mut usable = Vec::with_capacity(inputs.len());
            for input in inputs.drain(..) {
                let looked = match matches!(input, Input::File(_)) && input.reopens() {
                    true => input::look(&input),
                    false => Ok(()),
                };
                match (looked, &mut self.refused) {
                    (Ok(()), _) => usable.push(input),
                    (Err(error), Some(refused)) => refused.push(error),
                    (Err(error), None) => return Err(error),
                }
            }
            *inputs = usable;
        }
        later.retain(|inputs| !inputs.is_empty());
        self.later = later;
        Ok(self)
    }

    /// The named inputs that were left out, with the reason.
    pub fn refused(&self) -> &[CaptureError] {
        self.refused.as_deref().unwrap_or_default()
    }

    /// Counts the inputs found in folders that can't be used at all, as their turn comes: each is an [`Item::Problem`] as well.
    pub fn unusable(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.unusable)
    }

    /// Lets a thread of its own read files some way ahead, and decompress them. What comes out is the same.
    pub fn read_ahead(&mut self) {
        self.ahead = true;
    }

    /// Once it is set to true, all inputs are at their end: nothing more is read of them, nor waited for if they are pipes.
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Begins the next capture; false if there is none. Frames and files are numbered on.
    pub fn begin_next(&mut self) -> bool {
        if self.stop.load(Ordering::Relaxed) {
            return false;
        }
        let Some(inputs) = self.later.pop_front() else { return false };
        (self.current, self.told, self.ready) = (None, None, false);
        if let Err(e) = self.load(&inputs, false) {
            // It could be used when it was looked at.
            let file = FileId(u32::try_from(self.names.len().saturating_sub(1)).unwrap_or(u32::MAX));
            self.troubles.push_back(e.into_problem(file));
        }
        true
    }

    /// Opens the inputs of one capture; the only one there is if `sole`.
    fn load(&mut self, inputs: &[Input], sole: bool) -> Result<(), CaptureError> {
        let alone = inputs.len() == 1;
        for input in inputs {
            let id = self.name(input.name());
            let reopens = input.reopens();
            self.live |= !reopens;
            let opened = input.open(false, &self.stop).map(|reader| self.metered(reader));
            let opened = opened.and_then(|reader| Ok(input::recognise(&input.name(), reader, &self.room)?));
            let used = opened.and_then(|content| match content {
                Content::Capture(buffer, format) if alone => {
                    // Nothing to compare with, and a live pipe may not have a packet yet.
                    let secrets = input.secrets(&format, &self.limits);
                    let source = Source::new(id, buffer, format).with_secrets(secrets);
                    let how = How::Opened(Box::new(source), false);
                    self.waiting.push(Waiting { id, first: i64::MIN, rank: 0, how });
                    Ok(())
                }
                Content::Capture(buffer, format) => {
                    self.wait(id, buffer, format, reopens.then(|| How::Reopen(input.clone())));
                    Ok(())
                }
                Content::Archive(kind, buffer, stored) => self.archive(id, input, (kind, buffer, stored), alone),
            });
            match used {
                // One bad file of a folder is no reason not to read the others.
                Err(e) if matches!(input, Input::Found(_)) && !(alone && sole) => {
                    self.unusable.fetch_add(1, Ordering::Relaxed);
                    self.troubles.push_back(e.into_problem(id));
                }
                Err(e) if let Some(refused) = &mut self.refused => refused.push(e),
                used => used?,
            }
        }
        self.order();
        Ok(())
    }

    /// Reads a stream of the caller's; `name` is what errors call it.
    ///
    /// # Errors
    /// It is not a capture, or can't be read.
    pub fn from_reader(name: &str, reader: Box<dyn Read + Send>, limits: &Limits) -> Result<Capture, CaptureError> {
        let mut capture = Capture::empty(limits);
        capture.live = true;
        let id = capture.name(name.to_owned());
        match input::recognise(name, reader, &capture.room)? {
            Content::Capture(buffer, format) => {
                let how = How::Opened(Box::new(Source::new(id, buffer, format)), false);
                capture.waiting.push(Waiting { id, first: i64::MIN, rank: 0, how });
            }
            Content::Archive(kind, buffer, stored) => {
                let stream = Stream::new(kind, buffer, stored, Notes::new(id, limits));
                let how = How::Stream((id, Box::new(stream)));
                capture.waiting.push(Waiting { id, first: i64::MIN, rank: 0, how });
            }
        }
        Ok(capture)
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

    /// Puts an opened input in the queue; `reopen` if it may be closed until its turn.
    fn wait(&mut self, id: FileId, buffer: Buffer, format: Format, reopen: Option<How>) {
        let mut source = Source::new(id, buffer, format);
        if let Some(how) = reopen {
            let first = first_time(&mut source, &self.limits).unwrap_or(i64::MIN);
            self.waiting.push(Waiting { id, first, rank: 0, how });
        } else {
            let more = source.advance(&self.limits);
            let first = source.packet_time().map_or(i64::MIN, |t| t.0);
            if more {
                self.waiting.push(Waiting { id, first, rank: 0, how: How::Opened(Box::new(source), true) });
            }
        }
    }

    /// Puts an archive's members in the queue, or the archive as a stream.
    fn archive(
        &mut self,
        id: FileId,
        input: &Input,
        (kind, buffer, stored): (Kind, Buffer, Stored),
        alone: bool,
    ) -> Result<(), CaptureError> {
        let mut notes = Notes::new(id, &self.limits);
        let file = input.path().filter(|_| input.reopens());
        if let Some(path) = file.filter(|_| !stored.compressed) {
            if let Some(members) = archive::list(kind, path, &mut notes, &self.limits) {
                return self.members(&input.name(), members, notes);
            }
            notes.loss(0, "the archive's directory is cut off or damaged; its members are read one after the other");
            // The notes of a mere look are not kept.
            self.troubles.extend(notes.take());
        }
        let mut chain = (id, Box::new(Stream::new(kind, buffer, stored, notes)));
        let (first, how) = if alone {
            (i64::MIN, How::Stream(chain))
        } else if file.is_some() {
            // Looked at for the first time in it only, and begun anew at its turn.
            let mut first = None;
            while first.is_none()
                && let Some((_, buffer, format)) = chain.1.next(&self.limits)
            {
                first = first_time(&mut Source::new(id, buffer, format), &self.limits);
            }
            (first.unwrap_or(i64::MIN), How::Reopen(input.clone()))
        } else if let Some((source, chain)) = self.follow(chain) {
            (source.packet_time().map_or(i64::MIN, |t| t.0), How::Begun(Box::new(source), chain))
        } else {
            return Ok(());
        };
        self.waiting.push(Waiting { id, first, rank: 0, how });
        Ok(())
    }

    /// Puts the members of a listed archive in the queue, those that are captures.
    fn members(&mut self, archive: &str, members: Vec<Member>, mut notes: Notes) -> Result<(), CaptureError> {
        let mut any = false;
        let mut end = 0;
        for member in members {
            end = end.max(member.header);
            match member.recognise() {
                Ok((buffer, format)) => {
                    any = true;
                    let id = self.name(format!("{archive}/{}", member.name));
                    self.wait(id, buffer, format, Some(How::Member(Box::new(member))));
                }
                Err(no) => no.note(member.header, &member.name, &mut notes),
            }
        }
        notes.close(end);
        let notes = notes.take();
        if !any {
            let hint = notes.iter().find(|n| n.loses_packets).or(notes.first()).map_or("", |n| &n.text);
            return Err(CaptureError::new(archive, "no member of the archive is a capture", hint));
        }
        self.troubles.extend(notes);
        Ok(())
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

    fn order(&mut self) {
        self.waiting.sort_by_key(|w| (w.first, w.id));
        self.waiting.iter_mut().enumerate().for_each(|(rank, w)| w.rank = rank);
        self.waiting.reverse();
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
                let opened = input.open(lazily, &self.stop).map(|reader| self.metered(reader));
                let opened = opened.and_then(|r| Ok(input::recognise(&input.name(), r, &self.room)?));
                match opened.map_err(failed)? {
                    Content::Capture(buffer, format) => {
                        let secrets = input.secrets(&format, &self.limits);
                        Source::new(id, buffer, format).with_secrets(secrets)
                    }
                    Content::Archive(kind, buffer, stored) => {
                        let stream = Stream::new(kind, buffer, stored, Notes::new(id, &self.limits));
                        self.go_on((id, Box::new(stream)), rank);
                        return Ok(());
                    }
                }
            }
        };
        // One thread is enough: files that overlap in time are read in turn.
        if self.ahead && !self.live && self.open.len() == self.free.len() {
            new.read_ahead();
        }
        if new.advance(&self.limits) {
            self.place(new, rank, None);
            return Ok(());
        }
        self.finished_bytes = self.finished_bytes.saturating_add(new.bytes_read());
        Ok(())
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

    /// Grows with the bytes read of the inputs as they are stored, from any thread. What is looked at before its turn is
    /// counted twice, and members of a zip file as they are when unpacked: it says how far a run is, no more.
    pub fn meter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.meter)
    }

    /// Bytes read so far over all inputs, after decompression.
    pub fn bytes_read(&self) -> u64 {
        let open = self.open.iter().flatten().map(|o| o.source.bytes_read());
        open.fold(self.finished_bytes, u64::saturating_add)
    }
}

/// Time of a source's first packet.
fn first_time(source: &mut Source, limits: &Limits) -> Option<i64> {
    while source.advance(limits) {
        if let Some(ts) = source.packet_time() {
            return Some(ts.0);
        }
    }
    None
}
