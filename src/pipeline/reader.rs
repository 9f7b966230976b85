//! The reader's side of a run: frames to shards, rounds to their end, events to the sink.

use std::sync::{Arc, Mutex};
use std::thread;

use zeroize::Zeroizing;

use super::batch::Batch;
use super::round::{BOUNDARY, ROUND_BYTES, Shards, first_grant};
use super::shard::{Place, ReportPart, SHARDS, Shard, Shared, Told, shard_of, share};
use super::workers::{Over, Workers};
use super::{Config, Error, InputProblem, Report, Sink};
use crate::capture::{Capture, Item};
use crate::event::{Comment, CommentOn, SecretSource, Text, Unreachable};
use crate::flow::Clock;
use crate::limits::Limits;
use crate::ports::is_mail_port;
use crate::position::{FileId, FramePos, Timestamp};
use crate::tls::{KeyRing, SessionCache, keylog, premaster_in_segment};
use crate::wire::{Decoded, Decoder, Segment};

/// Mean payload, bytes, below which a round is copied and sorted by shard.
const SMALL_SEGMENT: u64 = 100;

/// With so many premaster secrets in a round, opening them together is worth a copy of it.
const FEW_PREMASTERS: usize = 16;

/// Why reading stopped.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Stop {
    /// There are frames enough for a round.
    Full,
    /// A pipe has nothing more for now: what is finished should be told.
    Idle,
    /// Secrets came, to be used from here on.
    Secrets,
    /// The input is over.
    End,
}

/// A run.
pub(super) struct Run {
    reader: Reader,
    shards: Shards,
    common: Common,
}

/// What the shards have in common.
struct Common {
    shared: Arc<Shared>,
    /// The user's own: without what a capture holds.
    keys: KeyRing,
    cache: SessionCache,
    limits: Limits,
}

/// What the last round was like, by which the next is worked on. Nothing of it is seen in what comes out.
#[derive(Default)]
struct Load {
    segments: u64,
    bytes: u64,
    /// Of the bytes, those of connections in TLS.
    in_tls: u64,
    /// Segments that hold an encrypted premaster secret, as it seems.
    premasters: usize,
    /// Messages are hashed.
    digests: bool,
    /// There is a key that opens several premaster secrets together in less time.
    opens_together: bool,
}

impl Load {
    /// Whether the next round should go straight from the capture's buffer into the shards, without a copy.
    fn is_better_direct(&self, threads: bool) -> bool {
        // Of small segments the copy costs little, and sorted by shard each finds its table in the processor's cache.
        let small = self.bytes < self.segments * SMALL_SEGMENT;
        // Framing plain text is done before another thread could be told of it.
        let heavy = self.digests || self.in_tls > self.bytes / 4;
        let together = self.opens_together && self.premasters >= FEW_PREMASTERS;
        !(small || together || threads && heavy)
    }
}

/// What reads, and what it found.
struct Reader {
    load: Load,
    capture: Capture,
    decoder: Decoder,
    clock: Clock,
    report: Report,
    at: FramePos,
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

impl Run {
    pub(super) fn new(capture: Capture, config: Config, files: Vec<String>) -> Self {
        let limits = config.limits;
        let keys = config.keys;
        let shared = Arc::new(Shared {
            keys: keys.clone(),
            options: config.mail,
            limits: limits.clone(),
            decode_as: config.decode_as,
            all_tls: config.all_tls,
            connections: config.connections,
            weight: Arc::default(),
        });
        let cache = SessionCache::new();
        let share = first_share(&limits);
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new(&shared, &share, &cache))).collect();
        let reader = Reader {
            show_secrets: shared.options.show_secrets,
            load: Load {
                digests: shared.options.digests,
                opens_together: keys.opens_together(),
                // With keys, TLS is to be expected, until a round has shown it: one thread alone takes a tenth of a second
                // to open a round.
                in_tls: if shared.opens_tls() { u64::MAX } else { 0 },
                ..Load::default()
            },
            told_files: files.len(),
            own: Vec::new(),
            refusals: config.connections,
            capture,
            decoder: Decoder::new(&limits),
            clock: Clock::default(),
            report: Report { files, ..Report::default() },
            at: FramePos::default(),
            first: None,
            secrets: None,
            secret_bytes: 0,
            secret_limit: limits.secret_bytes,
            comment_limit: limits.round_comment_bytes,
            boundary: false,
            fresh: true,
        };
        Run { reader, shards: Shards(shards), common: Common { shared, keys, cache, limits } }
    }

    /// With that many threads besides this one, or none.
    pub(super) fn go(mut self, threads: usize, sink: &mut dyn Sink) -> Result<Report, Error> {
        let threads = threads.min(SHARDS);
        let workers = Workers::new(threads, self.common.keys.clone());
        let Run { reader, shards, common } = &mut self;
        let shards: &Shards = shards;
        let whole = thread::scope(|scope| {
            let over = Over(&workers);
            let mut spawned = false;
            let mut events: Vec<Told> = Vec::new();
            // How the round that the threads work on ends.
            let mut working: Option<End> = None;
            loop {
                let direct = reader.load.is_better_direct(threads > 0);
                if direct && let Some(end) = working.take() {
                    if !reader.end_round(Some(&workers), shards, common, end, &mut events, sink)? {
                        return Ok(false);
                    }
                    reader.tell(&mut events, sink)?;
                }
                let stop = match direct {
                    true => reader.straight_through(shards),
                    false => workers.fill(|batch| reader.fill(batch)),
                };
                let end = reader.end(stop == Stop::End);
                if !direct {
                    // The round before ends; this one begins; then there is time for the sink.
                    if let Some(end) = working.take()
                        && !reader.end_round(Some(&workers), shards, common, end, &mut events, sink)?
                    {
                        return Ok(false);
                    }
                    if !spawned {
                        spawned = true;
                        (0..threads).for_each(|_| drop(scope.spawn(|| workers.run(shards))));
                    }
                    workers.begin();
                    reader.tell(&mut events, sink)?;
                    if stop == Stop::Full && threads > 0 {
                        working = Some(end);
                        continue;
                    }
                }
                let workers = (!direct).then_some(&workers);
                if !reader.end_round(workers, shards, common, end, &mut events, sink)? {
                    return Ok(false);
                }
                reader.tell(&mut events, sink)?;
                match stop {
                    Stop::Secrets => common.add_secrets(reader, shards),
                    Stop::End if reader.begin_next() => common.renew(shards),
                    Stop::End => break,
                    Stop::Full | Stop::Idle => {}
                }
            }
            drop(over);
            Ok::<_, Error>(true)
        })?;
        debug_assert!(whole, "a worker's panic ends the scope above");
        Ok(self.report())
    }

    fn report(self) -> Report {
        let mut sum = ReportPart::default();
        for shard in self.shards.0.iter().filter_map(|shard| shard.lock().ok()) {
            sum.add(&shard.sessions.tally);
        }
        let counters = self.reader.decoder.counters();
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
            ..self.reader.report
        }
    }
}

/// Nobody works on the shards meanwhile.
impl Common {
    /// Adds what a decryption secrets block holds.
    fn add_secrets(&mut self, reader: &mut Reader, shards: &Shards) {
        let Some((file, keylog)) = reader.secrets.take() else { return };
        self.change(shards, |shared| {
            shared.keys.add_keylog_owned(&reader.file_name(file), keylog, SecretSource::Dsb);
        });
    }

    /// Changes what the shards share.
    fn change(&mut self, shards: &Shards, change: impl FnOnce(&mut Shared)) {
        let each = |with: &Arc<Shared>| shards.all().for_each(|mut s| s.sessions.set_shared(Arc::clone(with)));
        each(&Arc::default());
        if let Some(own) = Arc::get_mut(&mut self.shared) {
            change(own);
        }
        each(&self.shared);
    }

    /// For the next capture: nothing of the one before is known any more.
    fn renew(&mut self, shards: &Shards) {
        let keys = self.keys.clone();
        self.change(shards, |shared| shared.keys = keys);
        self.cache = SessionCache::new();
        let share = first_share(&self.limits);
        for mut shard in shards.all() {
            let tally = std::mem::take(&mut shard.sessions.tally);
            *shard = Shard::new(&self.shared, &share, &self.cache);
            shard.sessions.tally = tally;
        }
    }
}

/// The bounds of a shard until the first boundary.
fn first_share(limits: &Limits) -> Limits {
    Limits { reassembly_total_bytes: first_grant(limits), ..share(limits) }
}

/// How a round ends.
struct End {
    boundary: bool,
    /// The input ends with it.
    last: bool,
    /// What the reader adds to it.
    own: Vec<(Place, Told)>,
}

impl Reader {
    fn end(&mut self, last: bool) -> End {
        End { boundary: self.boundary, last, own: std::mem::take(&mut self.own) }
    }

    /// Waits for those who work on the round and ends it. Where shards stop, as there is much to tell, it is told to
    /// the sink and they go on; what is left to tell is in `events`. False when a worker panicked.
    fn end_round(
        &mut self,
        workers: Option<&Workers>,
        shards: &Shards,
        common: &Common,
        mut end: End,
        events: &mut Vec<Told>,
        sink: &mut dyn Sink,
    ) -> Result<bool, Error> {
        self.load.in_tls = 0;
        loop {
            if workers.is_some_and(|workers| !workers.join(shards)) {
                return Ok(false);
            }
            if shards.end_round(&common.cache, &mut end.own, &mut self.load.in_tls, events) {
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

    /// Reads a round from the capture's buffer into the shards.
    fn straight_through(&mut self, shards: &Shards) -> Stop {
        let mut open: Vec<_> = shards.all().collect();
        let mut premasters = 0;
        let stop = self.read(|number, segment, at, now, interface| {
            premasters += usize::from(premaster_in_segment(segment.payload).is_some());
            open.get_mut(number).is_some_and(|shard| {
                shard.segment(segment, at, now, interface);
                shard.sessions.is_full()
            })
        });
        self.load.premasters = premasters;
        for shard in &mut open {
            if self.boundary {
                shard.tick(self.at, self.clock.now());
            }
            if stop == Stop::End {
                shard.finish();
            }
        }
        stop
    }

    /// Reads a round into a batch.
    fn fill(&mut self, batch: &mut Batch) -> Stop {
        batch.clear();
        let stop = self.read(|number, segment, at, now, interface| {
            batch.push(number, segment, at, now, interface);
            false
        });
        self.load.premasters = batch.premaster_count();
        batch.boundary = self.boundary.then(|| (self.at, self.clock.now()));
        batch.last = stop == Stop::End;
        batch.seal();
        stop
    }

    /// Reads until a round is full or has to end; each segment goes to `take`, with the number of its shard. It says
    /// whether there is enough to tell.
    fn read(&mut self, mut take: impl FnMut(usize, &Segment<'_>, FramePos, i64, Option<u32>) -> bool) -> Stop {
        let mut comments = 0;
        let mut full = false;
        self.load = Load { segments: 0, bytes: 0, premasters: 0, ..self.load };
        self.boundary = false;
        self.fresh = true;
        loop {
            if !self.fresh && self.capture.is_idle() {
                return Stop::Idle;
            }
            if self.capture.advance().is_none() {
                return Stop::End;
            }
            // Archives that are read as a stream show their members one by one.
            let known = self.report.files.len();
            self.report.files.extend_from_slice(self.capture.names().get(known..).unwrap_or_default());
            let Some(item) = self.capture.item() else { continue };
            match item {
                Item::Frame(frame) => {
                    let pos = frame.pos;
                    self.fresh = false;
                    if pos.index == 1 {
                        self.first = Some(pos.ts);
                    }
                    let [earliest, latest] = self.report.span.get_or_insert([pos.ts; 2]);
                    (*earliest, *latest) = (pos.ts.min(*earliest), pos.ts.max(*latest));
                    if pos.index != self.at.index {
                        self.clock.observe(pos.ts.0);
                    }
                    self.at = pos;
                    match self.decoder.decode(&frame) {
                        Decoded::Segment(segment) => {
                            self.load.segments += 1;
                            if segment.flags.syn && !segment.flags.ack && is_mail_port(segment.dst.port()) {
                                self.report.tried.insert(segment.dst.port());
                            }
                            self.load.bytes += segment.payload.len() as u64;
                            full = take(shard_of(&segment), &segment, pos, self.clock.now(), frame.interface);
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
                    if full || self.load.bytes >= ROUND_BYTES {
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
                    self.own.push(((self.at.index, 0), Told::Comment(comment)));
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
    fn begin_next(&mut self) -> bool {
        let more = self.capture.begin_next();
        if more {
            self.decoder.forget();
            self.clock = Clock::default();
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
    fn tell(&mut self, events: &mut Vec<Told>, sink: &mut dyn Sink) -> Result<(), Error> {
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
