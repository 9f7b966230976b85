//! Inputs are looked at, the members of archives found, and all are put in the queue by their first timestamps.

use std::io::Read;
use std::sync::atomic::Ordering;

use crate::limits::Limits;
use crate::position::FileId;

use super::super::archive::{self, Kind, Member, Notes, Stream};
use super::super::error::CaptureError;
use super::super::input::{self, Content, Format, Stored};
use super::super::source::Source;
use super::super::{Buffer, Input};
use super::{Capture, How, Waiting};

impl Capture {
    /// Opens all inputs, which are one capture, and looks at the head of each, so that errors come early.
    ///
    /// # Errors
    /// An input can't be used at all: unreadable, or not a capture. Trouble further inside is an
    /// [`Item::Problem`](crate::capture::Item::Problem).
    pub fn open(inputs: &[Input], limits: &Limits) -> Result<Capture, CaptureError> {
        Self::open_each(vec![inputs.to_vec()], limits)
    }

    /// Opens several captures ([`crate::capture::group`]) to be read one after the other: [`Capture::next`] ends with
    /// each, and [`Capture::begin_next`] goes on. The heads of all files that the user named are looked at, so that
    /// errors come early.
    ///
    /// # Errors
    /// As [`Capture::open`].
    pub fn open_each(captures: Vec<Vec<Input>>, limits: &Limits) -> Result<Capture, CaptureError> {
        Capture::empty(limits).begin_each(captures)
    }

    /// As [`Capture::open_each`], but a named input that can't be used is left out ([`Capture::refused`]) where there
    /// are others.
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
            let used = self.open_input(input, alone, false).and_then(|(content, file)| match content {
                Content::Capture(buffer, format) if alone => {
                    // Nothing to compare with, and a live pipe may not have a packet yet.
                    let secrets = input.secrets(&format, &self.limits);
                    let source = Source::new(id, buffer, format).with_secrets(secrets).with_file(file);
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

    fn order(&mut self) {
        self.waiting.sort_by_key(|w| (w.first, w.id));
        self.waiting.iter_mut().enumerate().for_each(|(rank, w)| w.rank = rank);
        self.waiting.reverse();
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
