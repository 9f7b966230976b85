//! What the sessions of a run are made of, for `--stats`: counts by protocol, server, verb, reply, mechanism, TLS version
//! and suite, and how long replies took.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::words::Word;
use crate::event::{Auth, AuthOutcome, Event, EventBody};

/// Distinct values kept of what the wire names freely; the rest is counted under [`OTHERS`].
const NAMES: usize = 1000;
/// Servers kept.
const SERVERS: usize = 10_000;
/// Where values beyond the bound are counted.
pub const OTHERS: &str = "(others)";

/// Counts of the events that were [noted](Tally::note).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Mail sessions by protocol; `unknown` where it stayed hidden.
    pub protocols: BTreeMap<String, u64>,
    /// Mail sessions by server.
    pub servers: BTreeMap<SocketAddr, u64>,
    /// Mail sessions with servers beyond the bound.
    pub other_servers: u64,
    /// Commands by verb, without responses to challenges.
    pub verbs: BTreeMap<String, u64>,
    /// Replies by code or status.
    pub replies: BTreeMap<String, u64>,
    /// Authentications by mechanism: success, failure, aborted, unknown.
    pub mechanisms: BTreeMap<String, [u64; 4]>,
    /// Handshakes by TLS version.
    pub tls_versions: BTreeMap<String, u64>,
    /// Handshakes by suite.
    pub suites: BTreeMap<String, u64>,
    /// How long replies took.
    pub latency: Latency,
}

impl Tally {
    /// Takes an event into account.
    pub fn note(&mut self, event: &Event) {
        match &event.body {
            EventBody::Command(command) if !command.verb.is_empty() && !command.injected => {
                add(&mut self.verbs, &command.verb.to_str_lossy(), |n| *n += 1);
            }
            EventBody::Reply(reply) => {
                add(&mut self.replies, &reply.status.to_str_lossy(), |n| *n += 1);
                if let Some(latency) = reply.latency {
                    self.latency.add(latency);
                }
            }
            EventBody::Auth(auth) => {
                let mechanism = auth.mechanism.to_str_lossy();
                let mechanism = if mechanism.is_empty() { "unknown".into() } else { mechanism };
                add(&mut self.mechanisms, &mechanism, |counts| counts[outcome(auth)] += 1);
            }
            EventBody::Tls(tls) => {
                if let Some(version) = tls.version {
                    add(&mut self.tls_versions, version, |n| *n += 1);
                }
                if let Some(suite) = &tls.suite {
                    add(&mut self.suites, suite, |n| *n += 1);
                }
            }
            EventBody::Session(session) if session.mail => {
                let protocol = session.protocol.map_or("unknown", |p| p.as_str());
                add(&mut self.protocols, protocol, |n| *n += 1);
                if self.servers.len() < SERVERS || self.servers.contains_key(&session.server) {
                    *self.servers.entry(session.server).or_default() += 1;
                } else {
                    self.other_servers += 1;
                }
            }
            _ => {}
        }
    }
}

/// The outcomes of authentications, in the order of their counts.
pub const OUTCOMES: [AuthOutcome; 4] =
    [AuthOutcome::Success, AuthOutcome::Failure, AuthOutcome::Aborted, AuthOutcome::Unknown];

fn outcome(auth: &Auth) -> usize {
    OUTCOMES.iter().position(|outcome| outcome.word() == auth.outcome.word()).unwrap_or(OUTCOMES.len() - 1)
}

fn add<T: Default>(counts: &mut BTreeMap<String, T>, name: &str, count: impl FnOnce(&mut T)) {
    if let Some(there) = counts.get_mut(name) {
        return count(there);
    }
    let name = if counts.len() < NAMES { name } else { OTHERS };
    count(counts.entry(name.to_owned()).or_default());
}

/// The percentiles that are told, by their names.
pub const PERCENTILES: [(&str, u64); 4] = [("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99)];

/// Steps an octave of [`Latency`] is divided into: a percentile is at most one 32nd too high.
const STEPS: u32 = 5;

/// Durations, counted by size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many there are.
    pub count: u64,
    /// The longest, nanoseconds.
    pub max: i64,
    steps: BTreeMap<u32, u64>,
}

impl Latency {
    /// Adds a duration, nanoseconds. One below zero (clocks that run backwards) counts as zero.
    pub fn add(&mut self, nanos: i64) {
        let nanos = nanos.max(0);
        self.count += 1;
        self.max = self.max.max(nanos);
        *self.steps.entry(step(nanos.unsigned_abs())).or_default() += 1;
    }

    /// The duration that `percent` of them do not exceed (nearest rank), nanoseconds, exact to one 32nd; none where
    /// there are none.
    pub fn percentile(&self, percent: u64) -> Option<i64> {
        let rank = self.count.saturating_mul(percent).div_ceil(100).max(1);
        let mut below = 0;
        for (&step, &count) in &self.steps {
            below += count;
            if below >= rank {
                return Some(end(step).min(self.max));
            }
        }
        None
    }
}

/// The step that a value lies in: below 2^[`STEPS`] each has its own.
fn step(value: u64) -> u32 {
    let bits = 64 - value.leading_zeros();
    let octave = bits.saturating_sub(STEPS + 1);
    (octave << STEPS) + u32::try_from(value >> octave).unwrap_or(u32::MAX)
}

/// The greatest value of a step.
fn end(step: u32) -> i64 {
    let octave = (step >> STEPS).saturating_sub(1);
    let within = u64::from(step - (octave << STEPS));
    i64::try_from(((within + 1) << octave) - 1).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn each_count_of_a_story() {
        let mut tally = Tally::default();
        samples::story().iter().for_each(|event| tally.note(event));
        let one = |name: &str| BTreeMap::from([(name.to_owned(), 1)]);
        assert_eq!(tally.protocols, one("smtp"));
        assert_eq!(tally.servers, BTreeMap::from([("10.0.0.9:587".parse().unwrap(), 1)]));
        assert_eq!(tally.mechanisms, BTreeMap::from([("PLAIN".to_owned(), [1, 0, 0, 0])]));
        assert_eq!(tally.tls_versions, one("TLSv1.2"));
        assert_eq!(tally.suites, one("TLS_RSA_WITH_AES_128_CBC_SHA"));
        assert_eq!((tally.verbs["EHLO"], tally.verbs["QUIT"]), (2, 1));
        assert_eq!(tally.replies["354"], 1);
        assert!(tally.latency.count > 0);
    }

    #[test]
    fn steps_cover_every_value() {
        for value in (0..5000).chain([1 << 20, (1 << 40) + 12_345, i64::MAX as u64]) {
            let end = end(step(value)) as u64;
            assert!(end >= value && end - value <= value >> STEPS, "{value}: up to {end}");
        }
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentile(50), None);
        (1..=100).rev().for_each(|ms| latency.add(ms * 1_000_000));
        let near = |percent, ms: i64| {
            let got = latency.percentile(percent).unwrap();
            assert!(got >= ms * 1_000_000 && got <= ms * 1_000_000 * 33 / 32, "{percent} %: {got}");
        };
        near(50, 50);
        near(90, 90);
        near(99, 99);
        assert_eq!((latency.percentile(100), latency.max, latency.count), (Some(100_000_000), 100_000_000, 100));
    }

    #[test]
    fn names_are_bounded() {
        let mut counts = BTreeMap::new();
        for n in 0..NAMES + 5 {
            add(&mut counts, &format!("X{n}"), |n: &mut u64| *n += 1);
        }
        add(&mut counts, "X1", |n| *n += 1);
        assert_eq!((counts.len(), counts[OTHERS], counts["X1"]), (NAMES + 1, 5, 2));
    }
}
