//! The reader's side of a run: frames to shards, rounds to their end, events to the sink. `run` says what comes when.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::batch::Batch;
use super::common::Common;
use super::load::{Load, Way};
use super::round::{BOUNDARY, FIRST_BYTES, ROUND_BYTES, Shards};
use super::sessions::Given;
use super::shard::{Place, ReportPart, SHARDS, Shared, Told, shard_of};
use super::twins::{Side, Track, ends_round, weight};
use super::workers::Workers;
use super::{Error, InputProblem, Report, Sink};
use crate::capture::{Capture, Item};
use crate::event::{Comment, CommentOn, Text, Unreachable};
use crate::flow::Clock;
use crate::ports::is_mail_port;
use crate::position::{FileId, FramePos, Timestamp};
use crate::tls::{keylog, premaster_in_segment};
use crate::wire::{Decoded, Decoder, Segment};

/// Why reading stopped.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// There are frames enough for a round.
    Full,
    /// A pipe has nothing more for now: what is finished should be told.
    Idle,
    /// Secrets came, to be used from here on.
    Secrets,
    /// Twins do not read what comes next.
    Parted,
    /// The input is over.
    End,
}

/// What reads, and what it found.
pub(super) struct Reader {
    load: Load,
    capture: Capture,
    track: Track,
    report: Report,
    /// Twins stand where this does.
    has_twins: bool,
    /// Time of the first frame, until the sink knows it.
    first: Option<Timestamp>,
    secrets: Option<(FileId, Zeroizing<Vec<u8>>)>,
    /// Key-log text taken from secrets blocks, and its bound.
    secret_bytes: usize,
    secret_limit: usize,
    /// `Limits::round_comment_bytes`.
    comment_limit: usize,
    /// Comments are told with the secrets in them.
    show_secrets: bool,
    /// Files that the sink knows of.
    told_files: usize,
    /// What there is to tell of the capture itself.
    own: Vec<(Place, Told)>,
    /// Somebody wants to hear of segments that did not arrive.
    refusals: bool,
    /// The last stop was at a boundary.
    boundary: bool,
    /// Nothing was read since the last stop.
    fresh: bool,
}

/// How a round ends.
pub(super) struct End {
    boundary: bool,
    /// `Load::bytes`.
    bytes: u64,
    /// The input ends with it.
    last: bool,
    /// What the reader adds to it.
    own: Vec<(Place, Told)>,
}

impl Reader {
    pub(super) fn new(capture: Capture, shared: &Shared, files: Vec<String>) -> Self {
        let limits = &shared.limits;
        Reader {
            show_secrets: shared.options.show_secrets,
            load: Load {
                digests: shared.options.digests,
                opens_together: shared.keys.opens_together(),
                always_twins: limits.several_readers_bytes == 0,
                // With keys, TLS is to be expected, until a round has shown it: one thread alone takes a tenth of a
                // second to open a round.
                given: Given { in_tls: if shared.opens_tls() { u64::MAX } else { 0 }, bytes: 0 },
                ..Load::default()
            },
            told_files: files.len(),
            own: Vec::new(),
            refusals: shared.connections,
            capture,
            track: Track { decoder: Decoder::new(limits), clock: Clock::default(), at: FramePos::default() },
            has_twins: false,
            report: Report { files, ..Report::default() },
            first: None,
            secrets: None,
            secret_bytes: 0,
            secret_limit: limits.secret_bytes,
            comment_limit: limits.round_comment_bytes,
            boundary: false,
            fresh: true,
        }
    }

    /// What was read, and what came of it.
    pub(super) fn report(self, sum: &ReportPart) -> Report {
        let counters = self.track.decoder.counters();
        Report {
            frames: counters.frames,
            segments: counters.segments,
            skipped: counters.skipped_by_reason().map(|(reason, count)| (reason.to_owned(), count)).collect(),
            unknown_link_types: counters.unknown_link_types.clone(),
            mail_sessions: sum.mail_sessions,
            incomplete: sum.incomplete,
            handshakes: sum.handshakes,
            judged_early: sum.judged_early,
            account: sum.account,
            ..self.report
        }
    }

    /// What a decryption secrets block holds, and its file.
    pub(super) fn take_secrets(&mut self) -> Option<(String, Zeroizing<Vec<u8>>)> {
        let (file, keylog) = self.secrets.take()?;
        Some((self.file_name(file), keylog))
    }

    pub(super) fn end(&mut self, last: bool) -> End {
        End { boundary: self.boundary, bytes: self.load.bytes, last, own: std::mem::take(&mut self.own) }
    }

    /// Waits for those who work on the round and ends it. Where shards stop, as there is much to tell, it is told to
    /// the sink and they go on; what is left to tell is in `events`. False when a worker panicked.
    pub(super) fn end_round(
        &mut self,
        workers: Option<&Workers>,
        shards: &Shards,
        common: &Common,
        mut end: End,
        events: &mut Vec<Told>,
        sink: &mut dyn Sink,
    ) -> Result<bool, Error> {
        (self.load.given, self.load.of) = (Given::default(), end.bytes);
        loop {
            if workers.is_some_and(|workers| !workers.join(shards)) {
                return Ok(false);
            }
            if shards.end_round(&common.cache, &mut end.own, &mut self.load.given, events) {
                break;
            }
            self.tell(events, sink)?;
            match workers {
                Some(workers) => workers.again(),
                // Straight through nothing stops but the input's end.
                None if end.last => shards.all().for_each(|mut shard| shard.finish()),
                None => {}
            }
        }
        if end.boundary {
            shards.settle_bounds(&common.cache, &common.limits);
        }
        Ok(true)
    }

    /// How the next round is read. Where that is with twins, they are there.
    pub(super) fn way(&mut self, workers: &Workers) -> Way {
        let way = self.load.way(workers.threads() > 0);
        if way == Way::Twins && !self.capture.is_stopped() && self.may_have_twins(workers) {
            return way;
        }
        self.part(workers);
        if self.track.at.index > 0 {
            self.capture.read_ahead_again();
        }
        // Framing plain text is done before another thread could be told of it.
        if way == Way::Twins { Way::Straight } else { way }
    }

    fn may_have_twins(&mut self, workers: &Workers) -> bool {
        if !self.has_twins
            && let Some(twins) = self.capture.twins(workers.twins.count())
        {
            self.has_twins = true;
            workers.twins.seat(twins.into_iter().map(|twin| Side::new(twin, self.track.clone())));
        }
        self.has_twins
    }

    fn part(&mut self, workers: &Workers) {
        if std::mem::take(&mut self.has_twins) {
            workers.twins.seat([]);
        }
    }

    /// Reads and ends a round while twins do the same, which have the time meanwhile in which the `events` of the round
    /// before are told; its own are there then. False when one of them panicked.
    pub(super) fn with_twins(
        &mut self,
        workers: &Workers,
        shards: &Shards,
        common: &Common,
        events: &mut Vec<Told>,
        sink: &mut dyn Sink,
    ) -> Result<bool, Error> {
        let mut weights = [0; SHARDS];
        let mut busy = Duration::ZERO;
        let (mut done, mut parted) = (false, false);
        self.begin_round();
        self.load.given = Given::default();
        loop {
            workers.begin_twins();
            let begin = Instant::now();
            self.tell(events, sink)?;
            if !done {
                let mut enough = false;
                let mut own = workers.twins.own(workers.twins.count(), shards);
                let stop = self.read(true, |number, segment, at, now, interface| {
                    if let Some(sum) = weights.get_mut(number) {
                        *sum += weight(segment);
                    }
                    enough = own.take(number, segment, at, now, interface);
                    enough
                });
                parted = stop == Stop::Parted;
                done = parted || !enough || ends_round(self.track.at.index);
                if self.boundary {
                    own.tick(self.track.at, self.track.clock.now());
                }
            }
            busy += begin.elapsed();
            if !workers.wait() {
                return Ok(false);
            }
            if shards.end_round(&common.cache, &mut self.own, &mut self.load.given, events) {
                break;
            }
        }
        self.load.of = self.load.bytes;
        if self.boundary {
            shards.settle_bounds(&common.cache, &common.limits);
        }
        if !workers.twins.end_round(self.track.at, &weights, busy) {
            let text = "the file changed while it was read: packets may be missing from here on".to_owned();
            let file = self.file_name(self.track.at.file);
            let offset = self.capture.bytes_read();
            self.report.problems.push(InputProblem { file, offset, text, loses_packets: true });
            parted = true;
        }
        if parted {
            self.part(workers);
        }
        Ok(true)
    }

    /// Reads a round from the capture's buffer into the shards.
    pub(super) fn straight_through(&mut self, shards: &Shards) -> Stop {
        self.begin_round();
        let mut open: Vec<_> = shards.all().collect();
        let mut premasters = 0;
        let stop = self.read(false, |number, segment, at, now, interface| {
            premasters += usize::from(premaster_in_segment(segment.payload).is_some());
            open.get_mut(number).is_some_and(|shard| {
                shard.segment(segment, at, now, interface);
                shard.sessions.is_full()
            })
        });
        self.load.premasters = premasters;
        for shard in &mut open {
            if self.boundary {
                shard.tick(self.track.at, self.track.clock.now());
            }
        }
        stop
    }

    /// Reads a round into a batch.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> Stop {
        batch.clear();
        self.begin_round();
        let stop = self.read(false, |number, segment, at, now, interface| {
            batch.push(number, segment, at, now, interface);
            false
        });
        self.load.premasters = batch.premaster_count();
        batch.boundary = self.boundary.then(|| (self.track.at, self.track.clock.now()));
        batch.last = stop == Stop::End;
        batch.seal();
        stop
    }

    fn begin_round(&mut self) {
        self.load.begin();
        self.boundary = false;
        self.fresh = true;
    }

    /// Reads until a round is full or has to end; each segment goes to `take`, with the number of its shard. It says
    /// whether there is enough to tell.
    fn read(
        &mut self,
        with_twins: bool,
        mut take: impl FnMut(usize, &Segment<'_>, FramePos, i64, Option<u32>) -> bool,
    ) -> Stop {
        let mut comments = 0;
        let mut full = false;
        let first = if self.load.always_twins { 0 } else { FIRST_BYTES };
        let most = if self.load.of == 0 { first } else { ROUND_BYTES };
        loop {
            if with_twins {
                if !self.capture.advance_with_twins() {
                    return Stop::Parted;
                }
            } else if !self.fresh && self.capture.is_idle() {
                return Stop::Idle;
            } else if self.capture.advance().is_none() {
                return Stop::End;
            }
            // Archives that are read as a stream show their members one by one.
            let known = self.report.files.len();
            self.report.files.extend_from_slice(self.capture.names().get(known..).unwrap_or_default());
            let Some(item) = self.capture.item() else { continue };
            self.load.mixed |= !matches!(item, Item::Frame(_));
            match item {
                Item::Frame(frame) => {
                    let pos = frame.pos;
                    self.fresh = false;
                    if pos.index == 1 {
                        self.first = Some(pos.ts);
                    }
                    let [earliest, latest] = self.report.span.get_or_insert([pos.ts; 2]);
                    (*earliest, *latest) = (pos.ts.min(*earliest), pos.ts.max(*latest));
                    self.track.observe(pos);
                    match self.track.decoder.decode(&frame) {
                        Decoded::Segment(segment) => {
                            self.load.segments += 1;
                            if segment.flags.syn && !segment.flags.ack && is_mail_port(segment.dst.port()) {
                                self.report.tried.insert(segment.dst.port());
                            }
                            self.load.bytes += segment.payload.len() as u64;
                            full = take(shard_of(&segment), &segment, pos, self.track.clock.now(), frame.interface);
                        }
                        Decoded::Unreachable(what) => {
                            if self.refusals {
                                let (source, destination, code) = (what.src, what.dst, what.code);
                                let what = Unreachable { source, destination, code, at: pos };
                                self.own.push(((pos.index, 0), Told::Unreachable(what)));
                            }
                        }
                        Decoded::Skipped(_) => {}
                    }
                    if pos.index % BOUNDARY == 0 {
                        self.boundary = true;
                        return Stop::Full;
                    }
                    // Twins keep no bytes.
                    if full || if with_twins { ends_round(pos.index) } else { self.load.bytes >= most } {
                        return Stop::Full;
                    }
                }
                Item::Secrets { file, keylog } => {
                    // A record's length is bounded, and the bound on all of them judges before it is used.
                    let keylog = Zeroizing::new(keylog.to_vec());
                    if self.count_secrets(file, keylog.len()) {
                        self.secrets = Some((file, keylog));
                        return Stop::Secrets;
                    }
                }
                Item::Comment { file, on, frame, text } => {
                    comments += text.len() + size_of::<Told>();
                    let shown = if self.show_secrets { text.to_vec() } else { keylog::mask(text) };
                    let comment = Comment { on, file, frame, text: Text(shown) };
                    let keylog = if on == CommentOn::Packet { Zeroizing::default() } else { keylog::entries(text) };
                    self.own.push(((self.track.at.index, 0), Told::Comment(comment)));
                    // Some write a key log into what Wireshark calls the file's comment.
                    if self.count_secrets(file, keylog.len()) {
                        self.secrets = Some((file, keylog));
                        return Stop::Secrets;
                    }
                    if comments >= self.comment_limit {
                        return Stop::Full;
                    }
                }
                Item::Problem(problem) => {
                    let (offset, text, loses_packets) = (problem.offset, problem.text, problem.loses_packets);
                    let file = self.report.files.get(problem.file.0 as usize).cloned().unwrap_or_default();
                    self.report.problems.push(InputProblem { file, offset, text, loses_packets });
                }
            }
        }
    }

    /// Goes on with the next capture; false if there is none.
    pub(super) fn begin_next(&mut self) -> bool {
        let more = self.capture.begin_next();
        if more {
            self.track.decoder.forget();
            self.track.clock = Clock::default();
            self.secret_bytes = 0;
        }
        more
    }

    /// Counts so many bytes of secrets more. Gives whether they are within the bound, and tells once when they are not.
    fn count_secrets(&mut self, file: FileId, bytes: usize) -> bool {
        let before = self.secret_bytes;
        self.secret_bytes = before.saturating_add(bytes);
        let fits = self.secret_bytes <= self.secret_limit;
        if !fits && before <= self.secret_limit {
            let text = format!("more than {} bytes of secrets; the rest is not used", self.secret_limit);
            let file = self.file_name(file);
            self.report.problems.push(InputProblem { file, offset: 0, text, loses_packets: false });
        }
        fits && bytes > 0
    }

    /// Hands on what there is to tell.
    pub(super) fn tell(&mut self, events: &mut Vec<Told>, sink: &mut dyn Sink) -> Result<(), Error> {
        for name in self.report.files.get(self.told_files..).unwrap_or_default() {
            sink.add_file(name)?;
        }
        self.told_files = self.report.files.len();
        if let Some(first) = self.first.take() {
            sink.start(first)?;
        }
        for told in events.drain(..) {
            match told {
                Told::Event(event) => sink.event(event)?,
                Told::Connection(connection) => sink.connection(&connection)?,
                Told::Unreachable(what) => sink.unreachable(&what)?,
                Told::Comment(comment) => sink.comment(&comment)?,
            }
        }
        Ok(())
    }

    fn file_name(&self, file: FileId) -> String {
        self.report.files.get(file.0 as usize).cloned().unwrap_or_default()
    }
}
