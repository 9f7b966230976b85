//! Every capture of the TLS corpus, by private key and by key log: the plaintext against what the endpoints wrote down.
//! Runs when `MAILCAP_CORPUS` names the corpus' folder (the one that holds `tls/`).

#![allow(clippy::print_stdout)]

mod streams;

use std::path::PathBuf;

use mailcap::diagnostic::Code;
use mailcap::event::TlsHandshake;
use mailcap::position::Direction;
use mailcap::tls::{KeyRing, Reason, SessionCache};
use streams::play::{Case, Given, Out, corpus_cases as cases, cut, pieces, run};

/// Whether `part` is `whole` with stretches missing, each at least 60 bytes of both ends apart: good enough to see that
/// nothing wrong was inserted.
fn is_whole_with_holes(whole: &[u8], part: &[u8]) -> bool {
    let mut at = 0;
    let mut rest = part;
    while !rest.is_empty() {
        let same = whole[at..].iter().zip(rest).take_while(|(a, b)| a == b).count();
        rest = &rest[same..];
        at += same;
        if rest.is_empty() {
            return true;
        }
        let probe = &rest[..rest.len().min(60)];
        match whole[at..].windows(probe.len()).position(|w| w == probe) {
            Some(hole) if hole > 0 => at += hole,
            _ => return false,
        }
    }
    true
}

fn check(case: &Case, mode: &str, expect: &str, results: &[(Out, Vec<TlsHandshake>)], failures: &mut Vec<String>) {
    let name = case.json["name"].as_str().unwrap();
    for (index, (out, handshakes)) in results.iter().enumerate() {
        let truth = &case.json["connections"][index];
        let mut fail = |what: String| {
            let shown: Vec<String> = handshakes
                .iter()
                .map(|h| {
                    format!(
                        "{:?} {:?} {:?} reason {:?} {}/{}",
                        h.version, h.suite, h.secret, h.reason, h.records_decrypted, h.records_undecrypted
                    )
                })
                .collect();
            failures.push(format!("{name} [{index}] by {mode}: {what}\n    {shown:?}\n    {:?}", out.odd));
        };
        for (side, dir) in [("c2s", 0), ("s2c", 1)] {
            let want = case.file(truth[side]["file"].as_str().unwrap());
            let got = &out.plain[dir];
            let min = truth["expected_prefix"][format!("{side}_min")].as_u64();
            match expect {
                "full" | "full-with-psk" if *got != want => {
                    fail(format!(
                        "{side} {} of {} bytes, equal for {}",
                        got.len(),
                        want.len(),
                        got.iter().zip(&want).take_while(|(a, b)| a == b).count()
                    ));
                }
                "none" if !got.is_empty() => fail(format!("{side} opened")),
                "prefix" if name.starts_with("t-capture-gap") => {
                    let max = truth["expected_prefix"][format!("{side}_max")].as_u64().unwrap() as usize;
                    if !is_whole_with_holes(&want, got) || (got.len() as u64) < min.unwrap() {
                        fail(format!("{side} wrong around the gap"));
                    }
                    // Of the lost direction, everything but the records touched.
                    if got.len() + 2 * 16_384 < max || (want != *got && out.lost[dir] == 0) {
                        fail(format!("{side} {} bytes of at most {max}", got.len()));
                    }
                }
                "prefix" if !want.starts_with(got) || (got.len() as u64) < min.unwrap() => {
                    fail(format!("{side} is no prefix of at least {min:?}: {} bytes", got.len()));
                }
                _ => {}
            }
        }
        for handshake in handshakes {
            let all = handshake.records_undecrypted == 0 && handshake.completed;
            if (handshake.reason.is_none() && !all) || handshake.steps.len() < 3 {
                fail("neither decrypted nor explained".to_owned());
            }
        }
        if expect == "full" && handshakes.iter().any(|h| h.reason.is_some() || h.secret.is_none()) {
            fail("decrypted, and yet a reason".to_owned());
        }
        if out.odd.iter().any(|(code, _)| *code == Code::BadFinished) {
            fail("Finished".to_owned());
        }
    }
}

#[test]
fn plaintext_is_what_the_endpoints_had() {
    let only = std::env::var("MAILCAP_CASE").ok();
    let mut failures = Vec::new();
    let mut done = 0;
    for case in cases() {
        let (connections, embedded) = streams::read(&case.file(case.json["file"].as_str().unwrap()));
        for (mode, keys) in [("rsa_key", case.keys()), ("keylog", case.keylog(&embedded))] {
            let Some(expect) = case.json["expect"][mode].as_str() else { continue };
            let mut sessions = SessionCache::new();
            let results: Vec<_> =
                pieces(&case, &connections).iter().map(|pieces| run(pieces, &keys, &mut sessions, &(0..0))).collect();
            if only.is_some() {
                for (_, handshakes) in &results {
                    for h in handshakes {
                        println!("{mode}: {:?} {:?}\n{:#?}", h.decrypted, h.reason, h.steps);
                    }
                }
            }
            check(&case, mode, expect, &results, &mut failures);
            done += 1;
        }
    }
    assert!(failures.is_empty(), "{} of {done} failed:\n{}", failures.len(), failures.join("\n"));
    println!("{done} runs");
}

/// Damaged and reordered sessions: no panic, the account adds up (which `run` checks), and nothing is made up.
#[test]
fn damaged_sessions_are_survived() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % n.max(1)
    };
    for case in cases() {
        let (connections, embedded) = streams::read(&case.file(case.json["file"].as_str().unwrap()));
        let keys = if random(2) == 0 { case.keys() } else { case.keylog(&embedded) };
        let mut sessions = SessionCache::new();
        for pieces in pieces(&case, &connections) {
            for _ in 0..12 {
                let mut owned: Vec<(Direction, Vec<u8>)> = cut(&pieces, 1 + random(3000))
                    .iter()
                    .filter_map(|(dir, given)| match given {
                        Given::Data(bytes) => Some((*dir, bytes.to_vec())),
                        Given::Gap(_) => None,
                    })
                    .collect();
                for _ in 0..1 + random(4) {
                    let at = random(owned.len());
                    let len = owned[at].1.len();
                    match random(6) {
                        0 => owned[at].1[random(len)] ^= 1 << random(8),
                        1 => owned[at].1.truncate(random(len) + 1),
                        2 => {
                            let other = random(owned.len());
                            owned.swap(at, other);
                        }
                        3 => owned[at].0 = owned[at].0.opposite(),
                        4 => owned.truncate(at + 1),
                        _ => {
                            let copy = owned[at].clone();
                            owned.insert(random(owned.len()), copy);
                        }
                    }
                }
                let given: Vec<_> = owned.iter().map(|(dir, bytes)| (*dir, Given::Data(bytes))).collect();
                let lost = random(given.len());
                run(&given, &keys, &mut sessions, &(lost..lost + random(2)));
            }
        }
    }
}

/// What follows a stream's first five records of encrypted data: behind the handshake, at a boundary.
fn late(stream: &[u8]) -> &[u8] {
    let (mut at, mut seen) = (0, 0);
    while at + 5 <= stream.len() {
        seen += usize::from(stream[at] == 23);
        if seen > 5 {
            break;
        }
        at += 5 + usize::from(u16::from_be_bytes([stream[at + 3], stream[at + 4]]));
    }
    &stream[at..]
}

/// TLS 1.3 whose beginning was not captured: a key log is enough, with other sessions' secrets in it, too.
#[test]
fn tls13_is_joined_midway() {
    let mut joined = 0;
    let all = cases();
    let logs: Vec<PathBuf> = all
        .iter()
        .filter(|c| ["tls13-aes", "tls13-chacha"].iter().any(|n| c.json["name"].as_str().unwrap().starts_with(n)))
        .map(|c| c.folder.join(c.json["keylog_file"].as_str().unwrap()))
        .collect();
    let mut ring = KeyRing::new();
    for log in &logs {
        ring.add_keylog(log).unwrap();
    }
    for case in
        all.iter().filter(|c| logs.iter().any(|log| log.ends_with(c.json["keylog_file"].as_str().unwrap_or("-"))))
    {
        let name = case.json["name"].as_str().unwrap();
        let (connections, _) = streams::read(&case.file(case.json["file"].as_str().unwrap()));
        let mut whole: [Vec<u8>; 2] = Default::default();
        for (dir, given) in pieces(case, &connections).remove(0) {
            let Given::Data(bytes) = given else { continue };
            whole[dir.index()].extend_from_slice(bytes);
        }
        let given =
            [(Direction::Client, Given::Data(late(&whole[0]))), (Direction::Server, Given::Data(late(&whole[1])))];
        let (out, reports) = run(&given, &KeyRing::new(), &mut SessionCache::new(), &(0..0));
        assert_eq!((&out.plain, reports[0].reason), (&Default::default(), Some(Reason::MidSession)), "{name}");
        let (out, reports) = run(&given, &ring, &mut SessionCache::new(), &(0..0));
        for (side, plain) in ["c2s", "s2c"].iter().zip(&out.plain) {
            let truth = case.file(case.json["connections"][0][side]["file"].as_str().unwrap());
            assert!(!plain.is_empty() && truth.ends_with(plain), "{name}: {side}");
        }
        assert_eq!((reports[0].reason, reports[0].records_undecrypted), (None, 0), "{name}");
        assert_eq!(reports[0].suite.as_deref(), case.json["connections"][0]["suite"].as_str(), "{name}");
        joined += 1;
    }
    assert!(all.is_empty() || joined >= 5, "{joined} joined");
}
