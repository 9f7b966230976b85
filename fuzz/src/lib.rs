//! What is fuzzed: each target is a function of bytes that must not panic, and seeds made of the captures of `testdata`.
//!
//! `cargo fuzz` runs them guided by coverage; `tests/fuzz.rs` takes this file in and runs them for a moment without.
#![allow(dead_code, reason = "the test takes in the same sources")]

#[path = "../../tests/common/essence.rs"]
mod essence;
mod files;
mod keys;
mod mail;
mod operations;
#[path = "../../tests/common/packets.rs"]
mod packets;
#[path = "../../tests/hostile/run.rs"]
mod run;
mod seeds;
mod streams;
mod tls;
mod whole;

pub use packets::Random;

/// Something to fuzz.
pub struct Target {
    /// As in `cargo fuzz run NAME`.
    pub name: &'static str,
    /// Panics on a bug.
    pub run: fn(&[u8]),
    /// Where to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 15] = [
    Target { name: "capture", run: files::capture, seeds: files::capture_seeds },
    Target { name: "wire", run: files::wire, seeds: files::wire_seeds },
    Target { name: "streams", run: streams::run, seeds: streams::seeds },
    Target { name: "tls", run: tls::run, seeds: tls::seeds },
    Target { name: "keys", run: keys::files, seeds: keys::file_seeds },
    Target { name: "keylog", run: keys::log, seeds: keys::log_seeds },
    Target { name: "smtp", run: mail::smtp, seeds: mail::smtp_seeds },
    Target { name: "imap", run: mail::imap, seeds: mail::imap_seeds },
    Target { name: "pop3", run: mail::pop3, seeds: mail::pop3_seeds },
    Target { name: "sieve", run: mail::sieve, seeds: mail::sieve_seeds },
    Target { name: "sasl", run: mail::sasl, seeds: mail::sasl_seeds },
    Target { name: "mime", run: mail::mime, seeds: mail::mime_seeds },
    Target { name: "whole", run: whole::whole, seeds: files::file_seeds },
    Target { name: "jobs", run: whole::jobs, seeds: files::file_seeds },
    Target { name: "packets", run: whole::packets, seeds: whole::packets_seeds },
];

/// Runs one target on these bytes.
///
/// # Panics
/// No target has that name, or a bug was found.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|t| t.name == name).expect("a target's name");
    (target.run)(data);
}
