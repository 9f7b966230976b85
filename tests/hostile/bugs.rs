//! Bugs that bad input found, each under its own name.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use mailcap::diagnostic::Code;
use mailcap::event::{EventBody, Protocol};

use crate::build::*;
use crate::run::{told, told_with, told_within};
use mailcap::limits::Limits;
use mailcap::tls::KeyRing;

/// Every damaged place was a line of its own, kept until the end: gigabytes of them for a file that is all damage.
#[test]
fn a_file_of_damage_has_few_problems_and_says_how_many_more() {
    let mut file = Pcap::new();
    for _ in 0..500 {
        file.record([1_700_000_000, 0, u32::MAX, u32::MAX], b"");
        file.record([1_700_000_000, 0, 1, 1], b"x");
        file.record([1_700_000_000, 0, 1, 1], b"x");
    }
    let told = told(file.bytes);
    assert_eq!(told.report.problems.len(), 21);
    assert!(told.says("and 480 more such places"), "{:?}", told.report.problems.last());
    assert!(told.report.problems.iter().all(|p| p.loses_packets));
    assert_eq!(told.report.frames, 1000);
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// A mebibyte of packets of zeros.
fn nothing() -> Vec<u8> {
    let len = (1 << 16) - 16;
    let mut packet = [1, 0, len, len].map(u32::to_le_bytes).concat();
    packet.resize(1 << 16, 0);
    packet.repeat(16)
}

/// A capture of megabytes that say nothing, compressed.
fn packed_nothing(megabytes: usize) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(&Pcap::new().bytes).unwrap();
    for _ in 0..megabytes {
        gz.write_all(&nothing()).unwrap();
    }
    gz.finish().unwrap()
}

/// Decompression was bounded by nothing: a gzip inside a gzip inside a gzip makes terabytes of a few kilobytes.
#[test]
fn compression_inside_compression_is_bounded() {
    let bomb = packed(&packed(&packed_nothing(70)));
    assert!(bomb.len() < 4000, "{}", bomb.len());
    let told = told(bomb);
    assert!(told.says("expands to more than 1100 times its size"), "{:?}", told.report.problems);
    assert!(told.report.problems[0].loses_packets);
}

/// Each member of an archive had a bound of its own, over what it was when the archive's compression was gone.
#[test]
fn compression_in_members_of_compressed_archives_is_bounded() {
    let inner = packed_nothing(40);
    let mut tar = Vec::new();
    for name in ["a.pcap.gz", "b.pcap.gz"] {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", inner.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[148..156].copy_from_slice(b"        ");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend(header);
        tar.extend(&inner);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.extend([0; 1024]);
    let bomb = packed(&tar);
    assert!(bomb.len() < 4000, "{}", bomb.len());
    let told = told(bomb);
    assert!(told.says("expands to more than 1100 times its size"), "{:?}", told.report.problems);
}

/// While nothing was decided inside TLS that stays closed, each of its records was remembered.
#[test]
fn closed_tls_is_one_gap_a_direction_until_something_is_known() {
    let mut hello = vec![3, 3];
    hello.extend([2; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let server = [record(22, &handshake(2, &hello)), record(23, b"12345").repeat(1000)].concat();
    let client = record(22, &client_hello(1));
    let told = told(talk(465, &[(C, &client), (S, &server), (C, &record(23, b"1234567").repeat(1000))]));
    let session = told.sessions().next().unwrap();
    assert!(!session.complete);
    assert_eq!(session.undecrypted_bytes, 22_000);
    let gaps = told.events.iter().filter(|e| matches!(e.body, EventBody::Gap(_))).count();
    assert!(gaps <= 2, "{gaps}");
}

/// A thousand blocks of secrets, each found.
#[test]
fn many_small_secrets_blocks_are_all_kept() {
    let mut file = [section(), interface()].concat();
    for i in 0..1000 {
        let text = format!("CLIENT_RANDOM {i:064x} {i:096x}\n");
        let head: Vec<u8> = [0x544c_534bu32, text.len() as u32].into_iter().flat_map(u32::to_le_bytes).collect();
        file.extend(block(10, &[&head, text.as_bytes()].concat()));
    }
    let told = told_with(file, KeyRing::new()).unwrap();
    assert!(told.report.problems.is_empty(), "{:?}", told.report.problems);
}

/// Only the last of several segments was counted, so that the count depended on how the bytes were cut.
#[test]
fn injected_replies_are_counted_whatever_the_segments() {
    let injected = b"250-x\r\n250 y\r\n".repeat(10);
    let hello = record(22, &client_hello(1));
    let script: [(usize, &[u8]); 5] = [
        (S, b"220 x ESMTP\r\n"),
        (C, b"EHLO x\r\n"),
        (S, b"250 STARTTLS\r\n"),
        (C, b"STARTTLS\r\n"),
        (S, b"220 go\r\n"),
    ];
    for segment in [9, 1400] {
        let told = told(talk_in(25, &[&script[..], &[(S, &injected), (C, &hello)]].concat(), segment));
        let detail = told.events.iter().find_map(|e| match &e.body {
            EventBody::Diagnostic(d) if d.code == Code::InjectedReplies => Some(d.detail.clone()),
            _ => None,
        });
        assert!(detail.as_ref().is_some_and(|d| d.starts_with("140 bytes")), "{segment}: {detail:?}");
    }
}

/// A capture that begins within an IMAP literal was forgotten at its first long line when that came alone.
#[test]
fn a_capture_that_begins_in_a_long_line_is_given_time_on_a_mail_port() {
    let body = [&b"x".repeat(90)[..], b"\r\n)\r\na7 OK FETCH completed\r\n"].concat();
    let script: [(usize, &[u8]); 3] = [(S, &body), (C, b"a8 NOOP\r\n"), (S, b"a8 OK NOOP completed\r\n")];
    for segment in [80, 1400] {
        let told = told(talk_in(143, &script, segment));
        let session = told.sessions().next().unwrap();
        assert_eq!((session.protocol, session.commands), (Some(Protocol::Imap), 1), "{segment}");
    }
}

/// A bomb in every wrapping: 100 MiB of packets of zeros.
#[test]
fn bombs_of_every_kind_of_compression_are_bounded() {
    let mut plain = Pcap::new().bytes;
    (0..100).for_each(|_| plain.extend_from_slice(&nothing()));
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&plain).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(&plain).unwrap();
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    for (name, bomb) in [("zstd", zstd), ("xz", xz.finish().unwrap()), ("bzip2", bzip2.finish().unwrap())] {
        assert!(bomb.len() < 100_000, "{name}: {}", bomb.len());
        let told = told(bomb);
        assert!(told.says("expands to more than 1100 times its size"), "{name}: {:?}", told.report.problems);
        assert!(told.report.problems.iter().any(|p| p.loses_packets), "{name}");
    }
}

/// What a capture may bring along in secrets blocks is bounded over all of them.
#[test]
fn secrets_beyond_the_bound_are_not_used_and_that_is_said() {
    let mut file = [section(), interface()].concat();
    let text = format!("CLIENT_RANDOM {:064x} {:096x}\n", 1, 1).repeat(50);
    let head: Vec<u8> = [0x544c_534bu32, text.len() as u32].into_iter().flat_map(u32::to_le_bytes).collect();
    for _ in 0..4 {
        file.extend(block(10, &[&head, text.as_bytes()].concat()));
    }
    file.extend(enhanced(0, b"not ethernet"));
    for (bound, said) in [(4 * text.len(), 0), (4 * text.len() - 1, 1), (1, 1)] {
        let limits = Limits { secret_bytes: bound, ..Limits::default() };
        let told = told_within(file.clone(), KeyRing::new(), limits).unwrap();
        assert_eq!(told.report.problems.len(), said, "{:?}", told.report.problems);
        assert_eq!(told.says("bytes of secrets; the rest is not used"), said == 1);
        assert_eq!(told.report.frames, 1, "the packets behind them are read");
    }
}
