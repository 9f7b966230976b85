//! One input being read: its buffer, its format's state, and the record that is next.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::event::CommentOn;
use crate::limits::Limits;
use crate::position::{FileId, FramePos, Timestamp};

use super::buffer::Buffer;
use super::hop::Ahead;
use super::input::Format;
use super::record::{Record, Step};
use super::room::Room;
use super::twin::{FileAt, Horizon, LONGEST};
use super::{Frame, Item, Problem};

/// A jump of the clock beyond this is believed only when the next frame agrees.
const JUMP: i64 = 30 * 86_400 * 1_000_000_000;

/// Problems of one input that are told one by one; a damaged file can have one every few bytes.
const PROBLEMS: u64 = 20;

/// An open input.
pub(super) struct Source {
    pub(super) id: FileId,
    buffer: Buffer,
    format: Format,
    step: Step,
    /// Packet records read, as Wireshark counts.
    number: u64,
    clock: Clock,
    problems: u64,
    /// Whether one that was not told loses packets.
    loses_packets: bool,
    /// A key log to come before all else.
    ahead: Zeroizing<Vec<u8>>,
    /// Blocks that it was found in.
    known: VecDeque<u64>,
    /// The file, if it is a plain one that several can read.
    file: Option<Arc<File>>,
    /// A thread of its own reads it.
    is_ahead: bool,
}

impl Source {
    pub(super) fn new(id: FileId, buffer: Buffer, format: Format) -> Self {
        let step = Step { record: Record::End, size: 0 };
        let (ahead, known) = (Zeroizing::default(), VecDeque::new());
        let clock = Clock::default();
        Source {
            id,
            buffer,
            format,
            step,
            number: 0,
            clock,
            problems: 0,
            loses_packets: false,
            ahead,
            known,
            file: None,
            is_ahead: false,
        }
    }

    /// With the file that it reads, for twins.
    pub(super) fn with_file(mut self, file: Option<File>) -> Self {
        self.file = file.filter(|_| self.buffer.is_plain()).map(Arc::new);
        self
    }

    /// Bytes of the file behind the record at hand, if several can read it; and its length.
    pub(super) fn left_for_twins(&self) -> Option<(u64, u64)> {
        let len = self.file.as_ref()?.metadata().ok()?.len();
        Some((len.saturating_sub(self.next_offset()), len))
    }

    /// Whether it has room to read on beside others.
    pub(super) fn has_room(&mut self) -> bool {
        self.buffer.has_room()
    }

    /// Offset of the record behind the one at hand.
    fn next_offset(&self) -> u64 {
        self.buffer.offset().saturating_add(self.step.size as u64)
    }

    /// Another that reads the same from the next record on.
    pub(super) fn twin(&self, room: &Room) -> Option<Source> {
        let file = self.file.as_ref().filter(|_| self.ahead.is_empty() && self.at_packet())?;
        let offset = self.next_offset();
        let buffer = Buffer::twin(Box::new(FileAt::new(file, offset)), offset, room)?;
        let twin = Source::new(self.id, buffer, self.format.clone());
        let (number, clock, known) = (self.number, self.clock.clone(), self.known.clone());
        Some(Source { number, clock, known, ..twin })
    }

    /// Whether what comes next is a packet that its twins find as well, whatever else there is behind it. Leaves the
    /// record at hand.
    #[inline]
    pub(super) fn has_plain_packet(&mut self, horizon: &Horizon) -> bool {
        self.buffer.consume(self.step.size);
        self.step = Step::end();
        let size = match &self.format {
            Format::Pcap(pcap) => pcap.plain_packet(&mut self.buffer),
            Format::PcapNg(ng) => ng.plain_packet(&mut self.buffer, LONGEST),
        };
        size.is_some_and(|size| horizon.has(self.buffer.offset(), size))
    }

    /// Lets no thread read it ahead any more.
    pub(super) fn read_directly(&mut self, metered: impl FnOnce(FileAt) -> Box<dyn Read + Send>) {
        if let Some(file) = self.file.as_ref().filter(|_| self.is_ahead) {
            self.is_ahead = false;
            self.buffer.read_from(|offset| metered(FileAt::new(file, offset)));
        }
    }

    /// Begins with the secrets that were found ahead.
    pub(super) fn with_secrets(mut self, found: Ahead) -> Self {
        self.ahead = found.keylog;
        self.known = found.blocks.into();
        self
    }

    /// Lets a thread of its own read it.
    pub(super) fn read_ahead(&mut self) {
        self.is_ahead = self.is_ahead || self.buffer.read_ahead();
    }

    /// Steps to the next record; false at the end.
    #[inline]
    pub(super) fn advance(&mut self, limits: &Limits) -> bool {
        if !self.ahead.is_empty() {
            self.step = Step { record: Record::Ahead(std::mem::take(&mut self.ahead)), size: 0 };
            return true;
        }
        loop {
            self.buffer.consume(self.step.size);
            self.step = match &mut self.format {
                Format::Pcap(pcap) => pcap.next(&mut self.buffer, limits),
                Format::PcapNg(ng) => {
                    let step = ng.next(&mut self.buffer, limits);
                    self.number += std::mem::take(&mut ng.uncounted);
                    step
                }
            };
            match &self.step.record {
                Record::Packet(packet) => {
                    self.number += 1;
                    self.clock.tick(packet.ts);
                    return true;
                }
                Record::Problem { loses_packets, .. } => {
                    self.problems += 1;
                    if self.problems <= PROBLEMS {
                        return true;
                    }
                    self.loses_packets |= loses_packets;
                }
                Record::End => return self.tell_the_rest(),
                Record::Secrets { .. } => {
                    if self.known.front() != Some(&self.buffer.offset()) {
                        return true;
                    }
                    self.known.pop_front();
                }
                Record::Ahead(_) | Record::Comment { .. } => return true,
            }
        }
    }

    /// At the end: how many problems were not told. False if there are none.
    fn tell_the_rest(&mut self) -> bool {
        let rest = self.problems.saturating_sub(PROBLEMS);
        if rest > 0 {
            self.problems = 0;
            let text = format!("and {rest} more such places up to here");
            self.step = Step::problem(self.buffer.offset(), text, self.loses_packets);
        }
        rest > 0
    }

    /// The time at which the current record takes its turn among the files.
    pub(super) fn turn(&self) -> i64 {
        self.clock.now.map_or(i64::MIN, |t| t.0)
    }

    /// Time of the current record, if it is a packet.
    pub(super) fn packet_time(&self) -> Option<Timestamp> {
        match &self.step.record {
            Record::Packet(packet) => Some(packet.ts),
            _ => None,
        }
    }

    /// Whether the current record is a packet.
    #[inline]
    pub(super) fn at_packet(&self) -> bool {
        matches!(self.step.record, Record::Packet(_))
    }

    /// The current record as a packet, numbered `index` over all inputs.
    #[inline]
    pub(super) fn frame(&self, index: u64) -> Option<Frame<'_>> {
        let Record::Packet(p) = &self.step.record else { return None };
        let pos = FramePos { index, number: self.number, file: self.id, ts: p.ts };
        let data = self.buffer.data().get(p.at..p.at.saturating_add(p.len)).unwrap_or_default();
        Some(Frame { pos, interface: p.interface, link_type: p.link_type, data, original_len: p.original_len })
    }

    /// The current record, numbered `index` over all inputs.
    #[inline]
    pub(super) fn item(&self, index: u64) -> Option<Item<'_>> {
        let data = self.buffer.data();
        match &self.step.record {
            Record::Packet(_) => self.frame(index).map(Item::Frame),
            Record::Secrets { at, len } => {
                let keylog = data.get(*at..at.saturating_add(*len)).unwrap_or_default();
                Some(Item::Secrets { file: self.id, keylog })
            }
            Record::Ahead(keylog) => Some(Item::Secrets { file: self.id, keylog }),
            Record::Comment { at, len, on } => Some(Item::Comment {
                file: self.id,
                on: *on,
                frame: (*on == CommentOn::Packet).then_some(self.number + 1),
                text: data.get(*at..at.saturating_add(*len)).unwrap_or_default(),
            }),
            Record::Problem { offset, text, loses_packets } => Some(Item::Problem(Problem {
                file: self.id,
                offset: *offset,
                text: text.clone(),
                loses_packets: *loses_packets,
            })),
            Record::End => None,
        }
    }

    /// Whether no whole record that was read is left behind the current one: what comes next has to be waited for.
    pub(super) fn is_drained(&self) -> bool {
        let rest = self.buffer.data().get(self.step.size..).unwrap_or_default();
        let next = match &self.format {
            Format::Pcap(pcap) => pcap.record_size(rest),
            Format::PcapNg(pcapng) => pcapng.block_size(rest),
        };
        next.is_none_or(|size| rest.len() < size)
    }

    /// Bytes read so far, after decompression.
    pub(super) fn bytes_read(&self) -> u64 {
        self.buffer.offset()
    }
}

/// A file's time for the merge. One wild timestamp must not put the rest of its file behind all others.
#[derive(Clone, Debug, Default)]
struct Clock {
    now: Option<Timestamp>,
    /// A far-off time, not yet confirmed.
    doubted: Option<Timestamp>,
}

impl Clock {
    #[inline]
    fn tick(&mut self, ts: Timestamp) {
        match self.now {
            Some(now) if ts.nanos_since(now).saturating_abs() > JUMP => {
                let agreed = self.doubted.is_some_and(|d| ts.nanos_since(d).saturating_abs() <= JUMP);
                self.doubted = Some(ts);
                if agreed {
                    self.now = Some(ts);
                }
            }
            _ => {
                self.now = Some(ts);
                self.doubted = None;
            }
        }
    }
}
