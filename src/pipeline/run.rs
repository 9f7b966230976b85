//! A run: rounds one after the other, and who works on them.

use std::cell::Cell;
use std::thread;

use super::batch::Batch;
use super::common::Common;
use super::load::Way;
use super::reader::{End, Reader, Stop};
use super::round::Shards;
use super::shard::{ReportPart, SHARDS, Told};
use super::workers::{Over, Workers};
use super::{Config, Error, Report, Sink};
use crate::capture::Capture;

/// A run.
pub(super) struct Run {
    reader: Reader,
    shards: Shards,
    common: Common,
}

impl Run {
    pub(super) fn new(capture: Capture, config: Config, files: Vec<String>) -> Self {
        let common = Common::new(config);
        Run { reader: Reader::new(capture, &common.shared, files), shards: common.shards(), common }
    }

    /// With that many threads besides this one, or none.
    pub(super) fn go(mut self, threads: usize, sink: &mut dyn Sink) -> Result<Report, Error> {
        let threads = threads.min(SHARDS);
        let workers = &Workers::new(threads, self.common.keys.clone());
        let Run { reader, shards, common } = &mut self;
        let shards: &Shards = shards;
        let whole = thread::scope(|scope| {
            let over = Over(workers);
            let spawned = Cell::new(false);
            let spawn = || {
                if !spawned.replace(true) {
                    (0..threads).for_each(|number| drop(scope.spawn(move || workers.run(number, shards))));
                }
            };
            let mut events: Vec<Told> = Vec::new();
            // How the round that the threads work on ends.
            let mut working: Option<End> = None;
            loop {
                let mut way = reader.way(workers);
                if way != Way::Batch
                    && let Some(end) = working.take()
                {
                    if !reader.end_round(Some(workers), shards, common, end, &mut events, sink)? {
                        return Ok(false);
                    }
                    reader.tell(&mut events, sink)?;
                }
                let stop = match way {
                    Way::Straight => {
                        let stop = reader.straight_through(shards);
                        if stop == Stop::End && spawned.get() {
                            // Shards may have much left to finish.
                            workers.fill(Batch::end);
                            way = Way::Batch;
                        } else if stop == Stop::End {
                            shards.all().for_each(|mut shard| shard.finish());
                        }
                        stop
                    }
                    Way::Batch => workers.fill(|batch| reader.fill(batch)),
                    Way::Twins => {
                        spawn();
                        if !reader.with_twins(workers, shards, common, &mut events, sink)? {
                            return Ok(false);
                        }
                        continue;
                    }
                };
                let end = reader.end(stop == Stop::End);
                if way == Way::Batch {
                    // The round before ends; this one begins; then there is time for the sink.
                    if let Some(end) = working.take()
                        && !reader.end_round(Some(workers), shards, common, end, &mut events, sink)?
                    {
                        return Ok(false);
                    }
                    spawn();
                    workers.begin();
                    reader.tell(&mut events, sink)?;
                    if stop == Stop::Full && threads > 0 {
                        working = Some(end);
                        continue;
                    }
                }
                let with = (way == Way::Batch).then_some(workers);
                if !reader.end_round(with, shards, common, end, &mut events, sink)? {
                    return Ok(false);
                }
                reader.tell(&mut events, sink)?;
                match stop {
                    Stop::Secrets => {
                        if let Some((file, keylog)) = reader.take_secrets() {
                            common.add_secrets(&file, keylog, shards);
                        }
                    }
                    Stop::End if reader.begin_next() => common.renew(shards),
                    Stop::End => break,
                    Stop::Full | Stop::Idle | Stop::Parted => {}
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
        self.reader.report(&sum)
    }
}
