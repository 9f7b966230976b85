//! Memory has bounds whatever the capture holds: streams without end through a pipe, and the peak that the process had.
#![cfg(target_os = "linux")]

use std::io::{BufWriter, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Most memory that a process has had so far, MiB.
fn peak(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib >> 10)
}

/// Frames into mailcap's standard input.
struct Stream {
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
    time: u64,
}

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const SYN_ACK: u8 = SYN | ACK;

impl Stream {
    fn new(args: &[&str]) -> Self {
        // Raw IP, microseconds.
        let jobs = if args.contains(&"-j") { &[][..] } else { &["-j", "1"] };
        Stream::with(&[args, jobs].concat(), Some([0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, 101]))
    }

    fn with(args: &[&str], header: Option<[u32; 6]>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mailcap"))
            .args(args)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = BufWriter::with_capacity(1 << 16, child.stdin.take().unwrap());
        for word in header.into_iter().flatten() {
            input.write_all(&word.to_le_bytes()).unwrap();
        }
        Stream { child, input: Some(input), time: 1_700_000_000_000_000 }
    }

    /// An IPv4 packet, a microsecond after the one before.
    fn ip(&mut self, protocol: u8, id: u16, fragment: u16, ends: [u32; 2], parts: [&[u8]; 2]) {
        let len = 20 + parts[0].len() + parts[1].len();
        let mut record = [0u8; 36];
        self.time += 1;
        let (seconds, micros) = ((self.time / 1_000_000) as u32, (self.time % 1_000_000) as u32);
        for (at, word) in [seconds, micros, len as u32, len as u32].into_iter().enumerate() {
            record[4 * at..4 * at + 4].copy_from_slice(&word.to_le_bytes());
        }
        record[16] = 0x45;
        record[18..20].copy_from_slice(&(len as u16).to_be_bytes());
        record[20..22].copy_from_slice(&id.to_be_bytes());
        record[22..24].copy_from_slice(&fragment.to_be_bytes());
        (record[24], record[25]) = (64, protocol);
        record[28..32].copy_from_slice(&ends[0].to_be_bytes());
        record[32..36].copy_from_slice(&ends[1].to_be_bytes());
        let input = self.input.as_mut().unwrap();
        input.write_all(&record).unwrap();
        parts.iter().for_each(|part| input.write_all(part).unwrap());
    }

    /// A segment of connection `n`, from the client or from the server.
    fn tcp(&mut self, n: u32, from_client: bool, port: u16, flags: u8, numbers: [u32; 2], payload: &[u8]) {
        let client = (0x0a00_0000 + (n >> 14), (n & 0x3fff) as u16 + 20_000);
        let server = (0xc0a8_0001, port);
        let ends = if from_client { (client, server) } else { (server, client) };
        self.segment(ends, flags, numbers, payload);
    }

    /// A segment from one address and port to another.
    fn segment(&mut self, (from, to): ((u32, u16), (u32, u16)), flags: u8, [seq, ack]: [u32; 2], payload: &[u8]) {
        let mut header = [0u8; 20];
        header[..2].copy_from_slice(&from.1.to_be_bytes());
        header[2..4].copy_from_slice(&to.1.to_be_bytes());
        header[4..8].copy_from_slice(&seq.to_be_bytes());
        header[8..12].copy_from_slice(&ack.to_be_bytes());
        (header[12], header[13]) = (0x50, flags);
        header[14..16].copy_from_slice(&[0xff; 2]);
        // Window scale 14, on SYN.
        let options: &[u8] = if flags & SYN != 0 { &[1, 3, 3, 14] } else { b"" };
        header[12] += (options.len() as u8 / 4) << 4;
        self.ip(6, 0, 0x4000, [from.0, to.0], [&[&header, options].concat(), payload]);
    }

    /// With windows of up to a gigabyte.
    fn handshake(&mut self, n: u32, port: u16) {
        self.tcp(n, true, port, SYN, [0, 0], b"");
        self.tcp(n, false, port, SYN_ACK, [0, 1], b"");
        self.tcp(n, true, port, ACK, [1, 1], b"");
    }

    /// The end: the most memory it ever had, MiB.
    fn finish(mut self) -> u64 {
        let mut most = 0;
        self.input.take().unwrap().flush().unwrap();
        while self.child.try_wait().unwrap().is_none() {
            most = most.max(peak(&self.child).unwrap_or(0));
            thread::sleep(Duration::from_micros(500));
        }
        assert!(self.child.wait().unwrap().code().is_some_and(|code| code != 2 && code < 100));
        assert!(most > 0);
        most
    }
}

/// `count` connections, each with what `each` sends.
fn connections(args: &[&str], count: u32, mut each: impl FnMut(&mut Stream, u32)) -> u64 {
    let mut stream = Stream::new(args);
    (0..count).for_each(|n| each(&mut stream, n));
    stream.finish()
}

/// Connections that stay open and say nothing, or too little to tell what they are.
fn idle(args: &[&str], count: u32, port: u16, said: &[u8]) -> u64 {
    connections(args, count, |stream, n| {
        stream.handshake(n, port);
        if !said.is_empty() {
            stream.tcp(n, true, port, ACK, [1, 1], said);
        }
    })
}

#[track_caller]
fn assert_peak(peak: u64, bound: u64) {
    println!("{peak} of {bound} MiB");
    assert!(peak <= bound, "{peak} MiB, at most {bound} expected");
}

#[test]
fn a_million_lone_syns() {
    assert_peak(connections(&["sessions"], 1_000_000, |s, n| s.tcp(n, true, 25, SYN, [0, 0], b"")), 64);
}

#[test]
fn open_idle_connections() {
    // Of 32 MiB 4,096 are kept; 120,000 would take 200.
    assert_peak(idle(&["sessions", "--max-memory", "32M"], 120_000, 25, b""), 40);
}

/// Run with `cargo test --release --test bounds -- --ignored`: docs/reliability.md has what it came to.
#[test]
#[ignore = "takes a minute in a debug build"]
fn a_million_open_idle_connections() {
    let greeted = |args: &[&str]| {
        connections(args, 1_000_000, |stream, n| {
            stream.handshake(n, 25);
            stream.tcp(n, false, 25, ACK, [1, 1], b"220 mx.example.test ESMTP\r\n");
        })
    };
    assert_peak(greeted(&["sessions", "--max-memory", "64M"]), 72);
    assert_peak(greeted(&["sessions"]), 600);
}

#[test]
fn connections_that_say_too_little() {
    // 100,000 are kept; all would take 500 MiB.
    assert_peak(idle(&["sessions"], 250_000, 8080, b"x"), 256);
    assert_peak(idle(&["sessions", "--max-memory", "32M"], 60_000, 8080, b"x"), 40);
}

#[test]
fn connections_that_say_it_a_byte_at_a_time() {
    let typed = |args: &[&str]| {
        connections(args, 3000, |stream, n| {
            stream.handshake(n, 8080);
            (0..300).for_each(|i| stream.tcp(n, true, 8080, ACK, [1 + i, 1], b"E"));
        })
    };
    // Without a bound over all of them they take 130 MiB.
    assert_peak(typed(&["sessions"]), 80);
    assert_peak(typed(&["sessions", "--max-memory", "32M"]), 40);
}

#[test]
fn reordering_over_megabytes() {
    let reordered = |args: &[&str]| {
        let mut stream = Stream::new(args);
        let text = [b'a'; 1400];
        let windows = 64;
        for n in 0..windows {
            stream.handshake(n, 25);
            stream.tcp(n, false, 25, ACK, [1, 1], b"220 a\r\n");
        }
        // The first byte of each is missing, and nobody acknowledges it.
        for i in 0..1500u32 {
            for n in 0..windows {
                stream.tcp(n, true, 25, ACK, [2 + i * 1400, 8], &text);
            }
        }
        stream.finish()
    };
    assert_peak(reordered(&["sessions"]), 64);
    assert_peak(reordered(&["sessions", "--max-memory", "16M"]), 28);
}

#[test]
fn fragments_never_completed() {
    let fragments = |args: &[&str]| {
        let mut stream = Stream::new(args);
        let text = [b'a'; 1400];
        for n in 0..150_000u32 {
            stream.ip(6, n as u16, 0x2000, [0x0a00_0000 + n, 0xc0a8_0001], [&text, b""]);
        }
        stream.finish()
    };
    assert_peak(fragments(&["sessions"]), 48);
    assert_peak(fragments(&["sessions", "--max-memory", "16M"]), 24);
}

#[test]
fn a_round_that_makes_many_events() {
    let lines = |jobs: &str| {
        let mut stream = Stream::new(&["sessions", "--max-memory", "16M", "-j", jobs]);
        stream.handshake(0, 25);
        stream.tcp(0, false, 25, ACK, [1, 1], b"220 a\r\n");
        let text = b"R\n".repeat(25_000);
        for i in 0..40 {
            stream.tcp(0, true, 25, ACK, [1 + i * 50_000, 8], &text);
        }
        stream.finish()
    };
    // A million events, of 270 bytes each.
    assert_peak(lines("1"), 96);
    assert_peak(lines("2"), 96);
}

#[test]
fn a_segment_that_inflates_to_many_events() {
    use flate2::{Compression, write::DeflateEncoder};
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    (0..1_000_000).for_each(|_| packed.write_all(b"* 1 x\n").unwrap());
    let packed = packed.finish().unwrap();
    let mut stream = Stream::new(&["sessions", "--max-memory", "16M", "-j", "1"]);
    stream.handshake(0, 143);
    stream.tcp(0, false, 143, ACK, [1, 1], b"* OK x\r\n");
    stream.tcp(0, true, 143, ACK, [1, 9], b"b COMPRESS DEFLATE\r\n");
    stream.tcp(0, false, 143, ACK, [9, 21], b"b OK go\r\n");
    stream.tcp(0, false, 143, ACK, [18, 21], &packed);
    assert_peak(stream.finish(), 128);
}

/// The most memory that extracting one message of that many MiB takes: each turn is the side that sends, and its bytes;
/// `text` is where the message goes.
fn extracting(jobs: &str, port: u16, mebibytes: usize, turns: &[(bool, &str)]) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("out");
    let mut stream = Stream::new(&["extract", "--attachments", "-j", jobs, "-o", into.to_str().unwrap()]);
    stream.handshake(0, port);
    let mut at = [1u32, 1];
    let mut send = |stream: &mut Stream, client: bool, bytes: &[u8]| {
        let side = usize::from(!client);
        stream.tcp(0, client, port, ACK, [at[side], at[1 - side]], bytes);
        at[side] += bytes.len() as u32;
    };
    let head = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
                 --b\r\nContent-Type: text/plain; name=a\r\n\r\n";
    let piece = [&[b'a'; 1022][..], b"\r\n"].concat();
    let size = head.len() + (mebibytes << 20);
    for &(client, said) in turns {
        if said != "text" {
            send(&mut stream, client, said.replace("SIZE", &size.to_string()).as_bytes());
            continue;
        }
        send(&mut stream, client, head);
        for number in 0..mebibytes << 10 {
            send(&mut stream, client, &piece);
            if number % 16 == 0 {
                send(&mut stream, !client, b"");
            }
        }
    }
    let peak = stream.finish();
    let written = std::fs::read_dir(&into).unwrap().filter_map(|e| e.unwrap().metadata().ok()).map(|m| m.len()).max();
    assert_eq!(written, Some(size as u64));
    peak
}

#[test]
fn a_large_message_takes_no_more_memory_than_a_small_one() {
    const C: bool = true;
    const S: bool = false;
    let smtp =
        [(S, "220 a ESMTP\r\n"), (C, "EHLO a\r\n"), (S, "250 a\r\n"), (C, "MAIL FROM:<a>\r\n"), (S, "250 a\r\n")];
    let imap =
        [(S, "* OK IMAP4rev1\r\n"), (C, "a LOGIN a b\r\n"), (S, "a OK\r\n"), (C, "b SELECT a\r\n"), (S, "b OK\r\n")];
    let data: &[_] = &[(C, "DATA\r\n"), (S, "354 a\r\n"), (C, "text"), (C, ".\r\n"), (S, "250 a\r\n")];
    let bdat: &[_] = &[(C, "BDAT SIZE LAST\r\n"), (C, "text"), (S, "250 a\r\n")];
    let append: &[_] = &[(C, "c APPEND a {SIZE}\r\n"), (S, "+\r\n"), (C, "text"), (C, "\r\n"), (S, "c OK\r\n")];
    let fetch: &[_] =
        &[(C, "c FETCH 1 BODY[]\r\n"), (S, "* 1 FETCH (BODY[] {SIZE}\r\n"), (S, "text"), (S, ")\r\nc OK\r\n")];
    let retr: &[_] = &[
        (S, "+OK a\r\n"),
        (C, "USER a\r\n"),
        (S, "+OK\r\n"),
        (C, "PASS b\r\n"),
        (S, "+OK\r\n"),
        (C, "RETR 1\r\n"),
        (S, "+OK SIZE octets\r\n"),
        (S, "text"),
        (S, ".\r\n"),
    ];
    for (port, begun, rest) in
        [(25, &smtp[..], data), (25, &smtp, bdat), (143, &imap, append), (143, &imap, fetch), (110, &[], retr)]
    {
        let turns = [begun, rest].concat();
        // Two rounds fill what a second thread is given ahead.
        for (jobs, small) in [("1", 1), ("2", 16)] {
            let few = extracting(jobs, port, small, &turns);
            assert_peak(extracting(jobs, port, 40, &turns), few + 2);
        }
    }
}

/// The server says `greeting`, then both in turns what is in `turns`, in one connection after the other: none ends.
fn live(args: &[&str], count: u32, port: u16, turns: &[&[u8]]) -> u64 {
    connections(args, count, |stream, n| {
        stream.handshake(n, port);
        let mut at = [1, 1];
        for (i, said) in turns.iter().enumerate() {
            let sender = usize::from(i % 2 == 0);
            for piece in said.chunks(32_000) {
                stream.tcp(n, sender == 0, port, ACK, [at[sender], at[1 - sender]], piece);
                at[sender] += piece.len() as u32;
            }
        }
    })
}

#[test]
fn live_sessions_that_say_long_things() {
    let long = b"x".repeat(50_000);
    let line = |head: &[u8]| [head, &long, b"\r\n"].concat();
    let turns = [&line(b"220 a ESMTP ")[..], &line(b"EHLO "), b"250 a\r\n", b"NOOP\r\n", &line(b"550 ")];
    // All would take 150 MB, and twice as much by the end.
    for jobs in ["1", "2"] {
        assert_peak(live(&["sessions", "--max-memory", "32M", "-j", jobs], 1000, 25, &turns), 64);
    }
}

#[test]
fn a_session_of_long_recipients() {
    let mut turns = vec![b"220 a ESMTP\r\n".to_vec(), b"EHLO a\r\n".to_vec(), b"250 a\r\n".to_vec()];
    turns.extend([b"MAIL FROM:<a@example.com>\r\n".to_vec(), b"250 ok\r\n".to_vec()]);
    for n in 0..2000 {
        turns.push(format!("RCPT TO:<{n}{}@example.com>\r\n", "x".repeat(50_000)).into_bytes());
        turns.push(b"250 ok\r\n".to_vec());
    }
    let turns: Vec<&[u8]> = turns.iter().map(Vec::as_slice).collect();
    assert_peak(live(&["sessions", "--max-memory", "32M"], 1, 25, &turns), 48);
}

#[test]
fn commands_with_long_tags_that_nobody_answers() {
    let tags: Vec<u8> =
        (0..2000).flat_map(|n| [format!("{n}{}", "t".repeat(50_000)).as_bytes(), b" SELECT a\r\n"].concat()).collect();
    assert_peak(live(&["sessions", "--max-memory", "32M"], 1, 143, &[b"* OK x\r\n", &tags]), 48);
}

#[test]
fn compressed_connections_that_stay_open() {
    use flate2::{Compression, write::DeflateEncoder};
    let packed = |text: &[u8]| {
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
        packed.write_all(text).unwrap();
        packed.flush().unwrap();
        packed.get_ref().clone()
    };
    let (asked, answered) = (packed(b"c NOOP\r\n"), packed(b"c OK x\r\n"));
    let turns = [&b"* OK x\r\n"[..], b"b COMPRESS DEFLATE\r\n", b"b OK go\r\n", &asked, &answered];
    // All would take 250 MB.
    assert_peak(live(&["sessions", "--max-memory", "32M"], 3000, 143, &turns), 64);
}

#[test]
fn a_frame_that_releases_many_events() {
    let mut stream = Stream::new(&["sessions", "--max-memory", "32M"]);
    stream.handshake(0, 25);
    stream.tcp(0, false, 25, ACK, [1, 1], b"220 a\r\n");
    // 3 MB behind a hole, a million and a half events.
    let text = b"R\n".repeat(25_000);
    for i in 0..60 {
        stream.tcp(0, true, 25, ACK, [3 + i * 50_000, 8], &text);
    }
    stream.tcp(0, true, 25, ACK, [1, 8], b"R\n");
    assert_peak(stream.finish(), 96);
}

#[test]
fn what_servers_offer() {
    let mut hello = b"250-a\r\n".to_vec();
    (0..120).for_each(|n| hello.extend_from_slice(format!("250-{n}{}\r\n", "C".repeat(500)).as_bytes()));
    hello.extend_from_slice(b"250 z\r\n");
    // A server each.
    let offers = |args: &[&str]| {
        connections(args, 1200, |stream, n| {
            let (client, server) = ((0x0a00_0001, 20_000), (0xc0a8_0000 + n, 25));
            let mut said = |from_client: bool, flags, seq: [u32; 2], text: &[u8]| {
                let ends = if from_client { (client, server) } else { (server, client) };
                stream.segment(ends, flags, seq, text);
            };
            said(true, SYN, [0, 0], b"");
            said(false, SYN_ACK, [0, 1], b"");
            said(false, ACK, [1, 1], b"220 a ESMTP\r\n");
            said(true, ACK, [1, 14], b"EHLO a\r\n");
            said(false, ACK, [14, 9], &hello);
            said(true, RST | ACK, [9, 14 + hello.len() as u32], b"");
        })
    };
    // All would take 75 MB.
    assert_peak(offers(&["services", "--max-memory", "32M"]), 48);
}

#[test]
fn authentications_of_a_session_without_end() {
    let mut turns = vec![b"220 a ESMTP\r\n".to_vec(), b"EHLO a\r\n".to_vec(), b"250-a\r\n250 AUTH PLAIN\r\n".to_vec()];
    // `\0uuu…\0p`.
    let response = ["AHV1", &"dXV1".repeat(12_000), "AHA="].concat();
    for _ in 0..2000 {
        turns.push(format!("AUTH PLAIN {response}\r\n").into_bytes());
        turns.push(b"535 no\r\n".to_vec());
    }
    let turns: Vec<&[u8]> = turns.iter().map(Vec::as_slice).collect();
    // All would take 72 MB.
    assert_peak(live(&["auth", "--max-memory", "32M"], 1, 25, &turns), 48);
}

#[test]
fn segments_of_many_sessions_that_inflate_to_many_events() {
    use flate2::{Compression, write::DeflateEncoder};
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    (0..200_000).for_each(|_| packed.write_all(b"* 1 x\n").unwrap());
    let packed = packed.finish().unwrap();
    for jobs in ["1", "2"] {
        let mut stream = Stream::new(&["sessions", "--max-memory", "32M", "-j", jobs]);
        for n in 0..300 {
            stream.handshake(n, 143);
            stream.tcp(n, false, 143, ACK, [1, 1], b"* OK x\r\n");
            stream.tcp(n, true, 143, ACK, [1, 9], b"b COMPRESS DEFLATE\r\n");
            stream.tcp(n, false, 143, ACK, [9, 21], b"b OK go\r\n");
        }
        // Up to the next boundary, so that what follows is read in a round of its own, behind frames that make nothing.
        (0..4096).for_each(|n| stream.tcp(n % 300, true, 143, ACK, [21, 18], b""));
        // All in one round: gigabytes.
        (0..300).for_each(|n| stream.tcp(n, false, 143, ACK, [18, 21], &packed));
        assert_peak(stream.finish(), 160);
    }
}

#[test]
fn comments_without_a_packet() {
    let mut stream = Stream::with(&["sessions", "--max-memory", "16M", "-j", "1"], None);
    let block = |kind: u32, body: &[u8]| {
        let len = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes(), &len[..], body, &len].concat()
    };
    let section = [&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let interface = [&[101, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0xe8, 0xff][..], &[b'A'; 0xffe8], &[0; 4]].concat();
    let input = stream.input.as_mut().unwrap();
    input.write_all(&block(0x0a0d_0d0a, &section)).unwrap();
    let interface = block(1, &interface);
    (0..2000).for_each(|_| input.write_all(&interface).unwrap());
    // 130 MB.
    assert_peak(stream.finish(), 64);
}
