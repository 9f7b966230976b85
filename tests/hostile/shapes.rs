//! Shapes of bad input, each of any size. All are survived with every output well-formed; `MAILCAP_SHAPES=DIR` writes
//! each in five sizes to be measured (`tests/hostile/cost.sh`).

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

use crate::build::*;
use crate::run::told;

/// A name, what makes it, and how many units make a few megabytes.
pub type Shape = (&'static str, fn(usize) -> Vec<u8>, usize);

fn times(text: &str, n: usize) -> Vec<u8> {
    text.as_bytes().repeat(n)
}

fn numbered(n: usize, line: impl Fn(usize) -> String) -> Vec<u8> {
    (0..n).flat_map(|i| line(i).into_bytes()).collect()
}

// Files.

fn pcap_lengths_that_lie(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    for _ in 0..n {
        file.record([1_700_000_000, 0, u32::MAX, u32::MAX], b"");
        file.record([1_700_000_000, 0, 1, 1], b"x");
        file.record([1_700_000_000, 0, 1, 1], b"x");
    }
    file.bytes
}

fn pcap_headers_joined(n: usize) -> Vec<u8> {
    Pcap::new().bytes.repeat(n)
}

fn pcap_records_of_nothing(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    file.bytes.extend(vec![0; 16 * n]);
    file.bytes
}

fn time_backwards(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    for i in 0..n {
        file.now = 1_700_000_000_000_000 - 1_000_000 * (i as u64);
        file.packet(&Conn::new(i as u32, 25).segment(C, 1, 0, SYN, b""));
    }
    file.bytes
}

fn pcapng_of(blocks: &[u8], n: usize) -> Vec<u8> {
    [section(), interface(), blocks.repeat(n)].concat()
}

fn pcapng_lengths_that_lie(n: usize) -> Vec<u8> {
    let bad = [6u32, 1].into_iter().flat_map(u32::to_le_bytes).collect::<Vec<_>>();
    pcapng_of(&[bad, enhanced(0, b"x"), enhanced(0, b"y")].concat(), n)
}

fn pcapng_trailers_that_lie(n: usize) -> Vec<u8> {
    let mut bad = enhanced(0, b"x");
    let last = bad.len() - 1;
    bad[last] = 9;
    pcapng_of(&[bad, enhanced(0, b"y")].concat(), n)
}

fn pcapng_interfaces(n: usize) -> Vec<u8> {
    pcapng_of(&interface(), n)
}

fn pcapng_sections(n: usize) -> Vec<u8> {
    [section(), interface(), enhanced(7, b"x")].concat().repeat(n)
}

fn pcapng_unknown_blocks(n: usize) -> Vec<u8> {
    pcapng_of(&block(0x1234, b""), n)
}

fn pcapng_secrets(n: usize) -> Vec<u8> {
    let line = |i: usize| {
        let text = format!("CLIENT_RANDOM {i:064x} {i:096x}\n");
        let head: Vec<u8> = [0x544c_534bu32, text.len() as u32].into_iter().flat_map(u32::to_le_bytes).collect();
        block(10, &[&head, text.as_bytes()].concat())
    };
    let blocks: Vec<u8> = (0..n).flat_map(line).collect();
    pcapng_of(&blocks, 1)
}

fn pcapng_one_secrets_block(n: usize) -> Vec<u8> {
    let text = numbered(n, |i| format!("CLIENT_RANDOM {i:064x} {i:096x}\r\n"));
    let head: Vec<u8> = [0x544c_534bu32, text.len() as u32].into_iter().flat_map(u32::to_le_bytes).collect();
    pcapng_of(&block(10, &[&head[..], &text].concat()), 1)
}

fn pcapng_foreign_secrets(n: usize) -> Vec<u8> {
    pcapng_of(&block(10, &[1, 2, 3, 4, 0, 0, 0, 0]), n)
}

fn gzip_bomb(n: usize) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(&pcap_records_of_nothing(n)).unwrap();
    gz.finish().unwrap()
}

// IP and TCP.

fn fragments_of_many(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    for i in 0..n {
        let ip = ipv4(6, [10, 0, 0, (i >> 16) as u8], [10, 1, 0, 1], (i as u16, 0x2000), &[0; 64]);
        file.packet(&ethernet(0x0800, &ip));
    }
    file.bytes
}

fn fragments_of_one(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    for i in 0..n {
        // Never the one that would make it whole, every second overlapping with other bytes.
        let at = 1 + (i * 7919 % 8000) as u16;
        file.packet(&ethernet(0x0800, &ipv4(6, [10, 0, 0, 1], [10, 1, 0, 1], (7, 0x2000 | at), &[i as u8; 16])));
    }
    file.bytes
}

fn ipv6_extensions(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    let mut chain = [60, 0, 1, 4, 0, 0, 0, 0].repeat(180);
    let last = chain.len() - 8;
    chain[last] = 6;
    chain.extend(tcp([1025, 25], 1, 1, ACK, b"HELO x\r\n"));
    (0..n).for_each(|_| file.packet(&ethernet(0x86dd, &ipv6(60, &chain))));
    file.bytes
}

fn tunnels_in_tunnels(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    let mut ip = ipv4(6, [10, 0, 0, 1], [10, 0, 0, 2], (1, 0), &tcp([1025, 25], 1, 1, ACK, b"HELO x\r\n"));
    for _ in 0..100 {
        ip = ipv4(4, [10, 0, 0, 1], [10, 0, 0, 2], (1, 0), &ip);
    }
    (0..n).for_each(|_| file.packet(&ethernet(0x0800, &ip)));
    file.bytes
}

fn lone_syns(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    (0..n).for_each(|i| file.packet(&Conn::new(i as u32, 25).segment(C, 1, 0, SYN, b"")));
    file.bytes
}

fn openings(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    for i in 0..n {
        let mut conn = Conn::new(i as u32, 25);
        conn.open(&mut file);
        conn.say(&mut file, S, b"220 mx ESMTP\r\n");
        conn.say(&mut file, C, b"EHLO x");
    }
    file.bytes
}

fn port_reused(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    for i in 0..n {
        let mut conn = Conn::new(0, 25);
        conn.next = [(i as u32).wrapping_mul(0x1357_9bdf), (i as u32).wrapping_mul(0x0246_8ace)];
        conn.open(&mut file);
        conn.say(&mut file, S, b"220 mx ESMTP\r\n");
        file.packet(&conn.segment(C, conn.next[C], 0, RST, b""));
    }
    file.bytes
}

/// A mail transaction as far as DATA.
fn in_data(file: &mut Pcap) -> Conn {
    let mut conn = Conn::new(0, 25);
    conn.open(file);
    conn.say(file, S, b"220 mx ESMTP\r\n");
    conn.say(file, C, b"HELO x\r\n");
    conn.say(file, S, b"250 mx\r\n");
    conn.say(file, C, b"MAIL FROM:<a@x>\r\n");
    conn.say(file, S, b"250 ok\r\n");
    conn.say(file, C, b"RCPT TO:<b@x>\r\n");
    conn.say(file, S, b"250 ok\r\n");
    conn.say(file, C, b"DATA\r\n");
    conn.say(file, S, b"354 go\r\n");
    conn
}

fn holes(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    let conn = in_data(&mut file);
    for i in 0..n {
        let seq = conn.next[C].wrapping_add(2 * i as u32 + 1);
        file.packet(&conn.segment(C, seq, conn.next[S], ACK, b"x"));
    }
    file.bytes
}

fn reversed(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    let mut conn = in_data(&mut file);
    // In windows of a thousand segments, each from its end.
    for _ in 0..n / 1000 + 1 {
        for i in (0..n.min(1000) as u32).rev() {
            file.packet(&conn.segment(C, conn.next[C].wrapping_add(i * 8), conn.next[S], ACK, b"1234567\n"));
        }
        conn.next[C] = conn.next[C].wrapping_add(8 * n.min(1000) as u32);
    }
    file.bytes
}

fn contradictions(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    let conn = in_data(&mut file);
    for i in 0..n {
        let seq = conn.next[C].wrapping_add(1 + (i * 37 % 60_000) as u32);
        file.packet(&conn.segment(C, seq, conn.next[S], ACK, &[i as u8; 100]));
    }
    file.bytes
}

fn leaps(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    let conn = in_data(&mut file);
    for i in 0..n {
        let seq = conn.next[C].wrapping_add((i as u32).wrapping_mul(0x3fff_ffff));
        file.packet(&conn.segment(C, seq, conn.next[S], ACK, b"leap"));
    }
    file.bytes
}

fn keep_alives(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    let conn = in_data(&mut file);
    for _ in 0..n {
        file.packet(&conn.segment(C, conn.next[C].wrapping_sub(1), conn.next[S], ACK, b"\0"));
        file.packet(&conn.segment(S, conn.next[S], conn.next[C], ACK, b""));
    }
    file.bytes
}

fn acknowledged_unseen(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    let mut conn = in_data(&mut file);
    for _ in 0..n {
        conn.next[C] = conn.next[C].wrapping_add(100);
        conn.say(&mut file, C, b"x");
        conn.say(&mut file, S, b"y");
    }
    file.bytes
}

fn one_byte_segments(n: usize) -> Vec<u8> {
    talk_in(25, &[(S, b"220 mx ESMTP\r\n"), (C, &times("NOOP\r\n", n / 6))], 1)
}

fn segments_of_64k(n: usize) -> Vec<u8> {
    let line = [&times("x", 1000)[..], b"\r\n"].concat();
    let mut file = Pcap::new();
    let mut conn = in_data(&mut file);
    conn.say_in(&mut file, C, &line.repeat(65 * n), 65_000);
    file.bytes
}

fn own_duplicates(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    let mut conn = in_data(&mut file);
    for _ in 0..n {
        let segment = conn.segment(C, conn.next[C], conn.next[S], ACK, b"12345678901234\r\n");
        (0..3).for_each(|_| file.packet(&segment));
        conn.next[C] = conn.next[C].wrapping_add(16);
    }
    file.bytes
}

fn one_direction(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    let mut conn = Conn::new(0, 25);
    conn.say(&mut file, C, &times("HELO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nx\r\n.\r\n", n));
    file.bytes
}

// TLS.

fn tls(client: &[u8], server: &[u8]) -> Vec<u8> {
    let hello = record(22, &client_hello(1));
    talk(465, &[(C, &hello), (S, server), (C, client)])
}

fn server_hello() -> Vec<u8> {
    let mut hello = vec![3, 3];
    hello.extend([2; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    record(22, &handshake(2, &hello))
}

fn tls_empty_records(n: usize) -> Vec<u8> {
    tls(&record(23, b"").repeat(n), &server_hello())
}

fn tls_tiny_handshake_records(n: usize) -> Vec<u8> {
    let hello: Vec<u8> = client_hello(1).iter().flat_map(|b| record(22, &[*b])).collect();
    talk(465, &[(C, &hello.repeat(n / 43 + 1))])
}

fn tls_hellos(n: usize) -> Vec<u8> {
    tls(&record(22, &client_hello(9)).repeat(n), &server_hello().repeat(n))
}

fn tls_warnings(n: usize) -> Vec<u8> {
    tls(&record(21, &[1, 100]).repeat(n), &[server_hello(), record(21, &[1, 0]).repeat(n)].concat())
}

fn tls_cipher_changes(n: usize) -> Vec<u8> {
    tls(&record(20, &[1]).repeat(n), &[server_hello(), record(20, &[1]).repeat(n)].concat())
}

fn tls_long_message(n: usize) -> Vec<u8> {
    let certificate = handshake(11, &vec![0; (n * 1000).min(0xff_ffff)]);
    let records: Vec<u8> = certificate.chunks(1000).flat_map(|c| record(22, c)).collect();
    tls(b"", &[server_hello(), records].concat())
}

fn tls_many_certificates(n: usize) -> Vec<u8> {
    let one = [&[0, 0, 3][..], &[0x30, 1, 0]].concat().repeat(n.min(40_000));
    let list = [&(one.len() as u32).to_be_bytes()[1..], &one].concat();
    let records: Vec<u8> = handshake(11, &list).chunks(16_000).flat_map(|c| record(22, c)).collect();
    tls(b"", &[server_hello(), records].concat())
}

fn tls_data_records(n: usize) -> Vec<u8> {
    tls(&record(23, &[7; 32]).repeat(n), &server_hello())
}

fn tls_record_lengths_that_lie(n: usize) -> Vec<u8> {
    tls(&[&[23, 3, 3, 0xff, 0xff][..], &[0; 1000]].concat().repeat(n), &server_hello())
}

fn tls_sessions(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    for i in 0..n {
        let mut conn = Conn::new(i as u32, 465);
        let mut hello = vec![3, 3];
        hello.extend([3; 32]);
        hello.push(32);
        hello.extend([(i as u64).to_be_bytes(), (i as u64).to_be_bytes()].concat());
        hello.extend([0; 16]);
        hello.extend([0, 0x2f, 0]);
        conn.open(&mut file);
        conn.say(&mut file, C, &record(22, &client_hello(i as u8)));
        conn.say(&mut file, S, &record(22, &handshake(2, &hello)));
        conn.close(&mut file);
    }
    file.bytes
}

// SMTP.

fn smtp(client: &[u8], server: &[u8]) -> Vec<u8> {
    talk(25, &[(S, b"220 mx ESMTP\r\n"), (C, b"EHLO x\r\n"), (S, b"250 mx\r\n"), (C, client), (S, server)])
}

fn mail(body: &[u8]) -> Vec<u8> {
    let mut file = Pcap::new();
    let mut conn = in_data(&mut file);
    conn.say(&mut file, C, body);
    conn.say(&mut file, C, b"\r\n.\r\n");
    conn.say(&mut file, S, b"250 ok\r\n");
    conn.close(&mut file);
    file.bytes
}

fn smtp_no_line_end(n: usize) -> Vec<u8> {
    smtp(&vec![b'a'; n], b"")
}

fn smtp_reply_no_line_end(n: usize) -> Vec<u8> {
    smtp(b"NOOP\r\n", &[&b"250 "[..], &vec![b'a'; n]].concat())
}

fn smtp_empty_lines(n: usize) -> Vec<u8> {
    smtp(&times("\r\n", n), b"")
}

fn smtp_bare_carriage_returns(n: usize) -> Vec<u8> {
    smtp(&times("\r", n), &times("\r", n))
}

fn smtp_commands_unanswered(n: usize) -> Vec<u8> {
    smtp(&times("NOOP\r\n", n), b"")
}

fn smtp_replies_unasked(n: usize) -> Vec<u8> {
    smtp(b"", &times("250 ok\r\n", n))
}

fn smtp_long_reply(n: usize) -> Vec<u8> {
    smtp(b"EHLO y\r\n", &[times("250-X\r\n", n), b"250 end\r\n".to_vec()].concat())
}

fn smtp_recipients(n: usize) -> Vec<u8> {
    let client = [b"MAIL FROM:<a@x>\r\n".to_vec(), numbered(n, |i| format!("RCPT TO:<u{i}@x>\r\n"))].concat();
    smtp(&client, &times("250 ok\r\n", n + 1))
}

fn smtp_messages(n: usize) -> Vec<u8> {
    let turns = "MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n";
    let mut file = Pcap::new();
    let mut conn = Conn::new(0, 25);
    conn.open(&mut file);
    conn.say(&mut file, S, b"220 mx ESMTP\r\n");
    for _ in 0..n {
        conn.say(&mut file, C, turns.as_bytes());
        conn.say(&mut file, S, b"250 ok\r\n250 ok\r\n354 go\r\n");
        conn.say(&mut file, C, b"Subject: the same\r\n\r\nx\r\n.\r\n");
        conn.say(&mut file, S, b"250 ok\r\n");
    }
    file.bytes
}

fn smtp_chunks(n: usize) -> Vec<u8> {
    let client =
        [b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\n".to_vec(), times("BDAT 1\r\nx", n), b"BDAT 0 LAST\r\n".to_vec()];
    smtp(&client.concat(), &times("250 ok\r\n", n + 3))
}

fn smtp_empty_chunks(n: usize) -> Vec<u8> {
    let client =
        [b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\n".to_vec(), times("BDAT 0\r\n", n), b"BDAT 0 LAST\r\n".to_vec()];
    smtp(&client.concat(), &times("250 ok\r\n", n + 3))
}

fn smtp_chunk_of_everything(n: usize) -> Vec<u8> {
    let client = [b"MAIL FROM:<a@x>\r\nBDAT 18446744073709551615 LAST\r\n".to_vec(), vec![b'x'; n]];
    smtp(&client.concat(), b"250 ok\r\n")
}

fn smtp_logins(n: usize) -> Vec<u8> {
    let (mut file, mut conn) = (Pcap::new(), Conn::new(0, 25));
    conn.open(&mut file);
    conn.say(&mut file, S, b"220 mx ESMTP\r\n");
    for _ in 0..n {
        conn.say(&mut file, C, b"AUTH LOGIN\r\n");
        conn.say(&mut file, S, b"334 VXNlcm5hbWU6\r\n");
        conn.say(&mut file, C, b"=not base64=\x1b[2J\r\n");
        conn.say(&mut file, S, b"535 no\r\n");
    }
    file.bytes
}

/// Lines that may be passwords, and a server that repeats each.
fn smtp_repeated_lines(n: usize) -> Vec<u8> {
    let line = |i: usize| format!("{i:06}{}", "aA1=".repeat(100));
    let client = [b"AUTH LOGIN\r\n".to_vec(), numbered(n, |i| line(i) + "\r\n")].concat();
    let server = numbered(n, |i| format!("500 unrecognized: {0} {0}\r\n", line(i)));
    smtp(&client, &[b"504 no\r\n".to_vec(), server].concat())
}

fn smtp_data_refused(n: usize) -> Vec<u8> {
    smtp(&times("DATA\r\nSubject: x\r\n.\r\n", n), &times("503 no\r\n500 no\r\n500 no\r\n", n))
}

fn smtp_dot_lines(n: usize) -> Vec<u8> {
    mail(&times("\n.\n", n))
}

fn smtp_dots_at_edges(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    let mut conn = in_data(&mut file);
    for _ in 0..n {
        conn.say(&mut file, C, b"x\r\n.");
        conn.say(&mut file, C, b".\r");
        conn.say(&mut file, C, b"\n");
    }
    file.bytes
}

fn smtp_starttls_refused(n: usize) -> Vec<u8> {
    let (mut file, mut conn) = (Pcap::new(), Conn::new(0, 25));
    conn.open(&mut file);
    conn.say(&mut file, S, b"220 mx ESMTP\r\n");
    for i in 0..n {
        conn.say(&mut file, C, b"STARTTLS\r\n");
        conn.say(&mut file, S, if i % 2 == 0 { b"454 no\r\n" } else { b"220 go\r\n" });
        conn.say(&mut file, C, b"NOOP\r\n");
        conn.say(&mut file, S, b"250 ok\r\n");
    }
    file.bytes
}

fn smtp_proxy_lines(n: usize) -> Vec<u8> {
    talk(25, &[(C, &times("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", n)), (S, b"220 mx ESMTP\r\n")])
}

fn proxy_asked_a_byte_at_a_time(n: usize) -> Vec<u8> {
    let pages = numbered(n, |i| format!("HTTP/1.1 407 {i}\r\nContent-Length: 2\r\n\r\n\n\n"));
    let asked = numbered(n, |i| format!("CONNECT mx:25 HTTP/1.1\r\nX: {i}\r\n\r\n"));
    talk_in(1080, &[(C, &asked), (S, &pages)], 1)
}

fn proxies_asked(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    for i in 0..n {
        let mut conn = Conn::new(i as u32, 1080);
        conn.say(&mut file, C, &[5, 255]);
        conn.say(&mut file, C, &[1; 1000]);
    }
    file.bytes
}

fn undecided(n: usize) -> Vec<u8> {
    talk_in(2525, &[(C, &vec![b'+'; n]), (S, &vec![b'*'; n])], 1)
}

fn connections_undecided(n: usize) -> Vec<u8> {
    let mut file = Pcap::new();
    for i in 0..n {
        let mut conn = Conn::new(i as u32, 2525);
        conn.say(&mut file, C, &[b'+'; 1000]);
    }
    file.bytes
}

// Messages.

fn mime_depth(n: usize) -> Vec<u8> {
    let open = |i: usize| format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n");
    mail(&numbered(n, open))
}

fn mime_same_boundary_depth(n: usize) -> Vec<u8> {
    mail(&times("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", n))
}

fn mime_parts(n: usize) -> Vec<u8> {
    let head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    mail(&[head, times("--b\r\nContent-Disposition: attachment; filename=x\r\n\r\nx\r\n", n)].concat())
}

fn mime_boundaries_alike(n: usize) -> Vec<u8> {
    let mut head = Vec::new();
    for i in 1..=60 {
        let boundary = "b".repeat(i);
        head.extend(format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n").into_bytes());
    }
    mail(&[head, times("\r\n--bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbx\r\n", n)].concat())
}

fn mime_messages_in_messages(n: usize) -> Vec<u8> {
    mail(&times("Content-Type: message/rfc822\r\n\r\n", n))
}

fn header_lines(n: usize) -> Vec<u8> {
    mail(&numbered(n, |i| format!("X-{i}: y\r\n")))
}

fn header_subjects(n: usize) -> Vec<u8> {
    mail(&times("Subject: =?utf-8?q?=1b]52;c;x=07?= =?utf-8?b?4oCu?=\r\nTo: a@b, c@d\r\n", n))
}

fn header_folded(n: usize) -> Vec<u8> {
    mail(&[b"Subject: x\r\n".to_vec(), times(" y\r\n", n)].concat())
}

fn header_parameters(n: usize) -> Vec<u8> {
    mail(&[b"Content-Type: text/plain".to_vec(), numbered(n, |i| format!(";\r\n name*{i}*=%41"))].concat())
}

fn header_addresses(n: usize) -> Vec<u8> {
    mail(&[b"To: ".to_vec(), times("((<\"a", n)].concat())
}

fn header_words(n: usize) -> Vec<u8> {
    mail(&[b"Subject:".to_vec(), times(" =?utf-7?b?=?x?q?", n)].concat())
}

fn base64_body(n: usize) -> Vec<u8> {
    let head = b"Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec();
    mail(&[head, times("=A=\n", n)].concat())
}

fn quoted_body(n: usize) -> Vec<u8> {
    let head = b"Content-Disposition: attachment\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n".to_vec();
    mail(&[head, times("= \t \t", n)].concat())
}

// IMAP.

fn imap(client: &[u8], server: &[u8]) -> Vec<u8> {
    talk(143, &[(S, b"* OK [CAPABILITY IMAP4rev1] ready\r\n"), (C, client), (S, server)])
}

fn imap_parentheses(n: usize) -> Vec<u8> {
    let nest = times("(", n);
    imap(&[b"a SEARCH ".to_vec(), nest.clone(), b"\r\n".to_vec()].concat(), &[b"* 1 FETCH ".to_vec(), nest].concat())
}

fn imap_literals(n: usize) -> Vec<u8> {
    imap(&[b"a LOGIN".to_vec(), times(" {1+}\r\nx", n), b"\r\n".to_vec()].concat(), b"a NO\r\n")
}

fn imap_empty_literals(n: usize) -> Vec<u8> {
    let client = [b"a SEARCH".to_vec(), times(" {0+}\r\n", n), b"\r\n".to_vec()].concat();
    imap(&client, &[b"* 1 FETCH (X".to_vec(), times(" {0}\r\n", n), b")\r\n".to_vec()].concat())
}

fn imap_literals_that_lie(n: usize) -> Vec<u8> {
    let lengths = ["{4294967296}", "{-1}", "~{5}", "{10+}", "{18446744073709551616}", "\"{50}\"", "{ 1}", "{1"];
    let client = numbered(n, |i| format!("a{i} APPEND x {}\r\n", lengths[i % lengths.len()]));
    imap(&client, &numbered(n, |i| format!("a{i} BAD {}\r\n", lengths[i % lengths.len()])))
}

fn imap_literal_of_everything(n: usize) -> Vec<u8> {
    imap(b"a FETCH 1 BODY[]\r\n", &[b"* 1 FETCH (BODY[] {18446744073709551615}\r\n".to_vec(), vec![b'x'; n]].concat())
}

fn imap_commands_unanswered(n: usize) -> Vec<u8> {
    imap(&numbered(n, |i| format!("a{i} NOOP\r\n")), b"")
}

fn imap_same_tag(n: usize) -> Vec<u8> {
    imap(&times("a NOOP\r\n", n), &times("a OK\r\n", n))
}

fn imap_answers_backwards(n: usize) -> Vec<u8> {
    imap(&numbered(n, |i| format!("a{i} NOOP\r\n")), &numbered(n, |i| format!("a{} OK\r\n", n - 1 - i)))
}

fn imap_untagged(n: usize) -> Vec<u8> {
    imap(b"a IDLE\r\n", &[b"+ idling\r\n".to_vec(), times("* 1 EXISTS\r\n", n)].concat())
}

fn imap_idles(n: usize) -> Vec<u8> {
    imap(&times("a IDLE\r\nDONE\r\n", n), &times("+ idling\r\n* 1 EXISTS\r\na OK\r\n", n))
}

fn imap_fetches(n: usize) -> Vec<u8> {
    let server = numbered(n, |i| format!("* {i} FETCH (BODY[] {{3}}\r\nx\r\n)\r\n"));
    imap(b"a FETCH 1:* BODY[]\r\n", &[server, b"a OK\r\n".to_vec()].concat())
}

fn imap_ranges(n: usize) -> Vec<u8> {
    let server = numbered(n, |i| format!("* 1 FETCH (UID 1 BODY[]<{}> {{1}}\r\nx)\r\n", 2 * i));
    imap(&numbered(n, |i| format!("a{i} UID FETCH 1 BODY[]<{}.1>\r\n", 2 * i)), &server)
}

fn imap_ranges_of_many(n: usize) -> Vec<u8> {
    let server = numbered(n, |i| format!("* {0} FETCH (UID {0} BODY[]<0> {{1}}\r\nx)\r\n", i + 1));
    imap(b"a UID FETCH 1:* BODY[]<0.1>\r\n", &server)
}

fn imap_one_fetch_of_many_sections(n: usize) -> Vec<u8> {
    let items = numbered(n, |i| format!(" BODY[{i}] {{1}}\r\nx"));
    imap(b"a FETCH 1 BODY[]\r\n", &[b"* 1 FETCH (X 1".to_vec(), items, b")\r\n".to_vec()].concat())
}

fn imap_quotes(n: usize) -> Vec<u8> {
    let text = times("\\\"", n);
    imap(&[b"a LOGIN \"".to_vec(), text.clone(), b"\r\n".to_vec()].concat(), &[b"* LIST \"".to_vec(), text].concat())
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.flush().unwrap();
    out.get_ref().clone()
}

fn imap_deflate_bomb(n: usize) -> Vec<u8> {
    let (mut file, mut conn) = (Pcap::new(), Conn::new(0, 143));
    conn.open(&mut file);
    conn.say(&mut file, S, b"* OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] ready\r\n");
    conn.say(&mut file, C, b"a COMPRESS DEFLATE\r\n");
    conn.say(&mut file, S, b"a OK\r\n");
    conn.say(&mut file, C, &deflated(b"b NOOP\r\n"));
    conn.say(&mut file, S, &deflated(&times("* 1 EXISTS\r\n", n)));
    file.bytes
}

// POP3 and ManageSieve.

fn pop3(client: &[u8], server: &[u8]) -> Vec<u8> {
    talk(110, &[(S, b"+OK POP3 <1.2@x>\r\n"), (C, client), (S, server)])
}

fn pop3_listing(n: usize) -> Vec<u8> {
    pop3(b"UIDL\r\n", &[b"+OK\r\n".to_vec(), numbered(n, |i| format!("{i} u{i}\r\n")), b".\r\n".to_vec()].concat())
}

fn pop3_mails(n: usize) -> Vec<u8> {
    pop3(&numbered(n, |i| format!("RETR {i}\r\n")), &times("+OK\r\nSubject: x\r\n\r\n..\r\n.\r\n", n))
}

fn pop3_tops(n: usize) -> Vec<u8> {
    pop3(&numbered(n, |i| format!("TOP {i} 0\r\n")), &times("+OK\r\nx\r\n.\r\n", n))
}

fn pop3_logins(n: usize) -> Vec<u8> {
    let client = times("APOP a 0123456789abcdef0123456789abcdef\r\nUSER \x1b]0;x\x07\r\nPASS a\0b\r\n", n);
    pop3(&client, &times("-ERR\r\n+OK\r\n-ERR\r\n", n))
}

fn pop3_refused_upgrades(n: usize) -> Vec<u8> {
    pop3(&times("STLS\r\n", n), &times("-ERR\r\n", n))
}

fn sieve_strings(n: usize) -> Vec<u8> {
    let banner = b"\"IMPLEMENTATION\" \"x\"\r\n\"SASL\" \"PLAIN\"\r\nOK\r\n";
    let client = times("PUTSCRIPT {1+}\r\nx {1+}\r\ny\r\n", n);
    talk(4190, &[(S, banner), (C, &client), (S, &times("NO {1}\r\nx\r\n", n))])
}

fn sieve_capabilities(n: usize) -> Vec<u8> {
    talk(4190, &[(S, &[times("\"X\" {1}\r\ny\r\n", n), b"OK\r\n".to_vec()].concat())])
}

/// All of them.
pub const SHAPES: &[Shape] = &[
    ("pcap_lengths_that_lie", pcap_lengths_that_lie, 40_000),
    ("pcap_headers_joined", pcap_headers_joined, 100_000),
    ("pcap_records_of_nothing", pcap_records_of_nothing, 200_000),
    ("time_backwards", time_backwards, 30_000),
    ("pcapng_lengths_that_lie", pcapng_lengths_that_lie, 30_000),
    ("pcapng_trailers_that_lie", pcapng_trailers_that_lie, 40_000),
    ("pcapng_interfaces", pcapng_interfaces, 150_000),
    ("pcapng_sections", pcapng_sections, 40_000),
    ("pcapng_unknown_blocks", pcapng_unknown_blocks, 300_000),
    ("pcapng_secrets", pcapng_secrets, 15_000),
    ("pcapng_one_secrets_block", pcapng_one_secrets_block, 15_000),
    ("pcapng_foreign_secrets", pcapng_foreign_secrets, 150_000),
    ("gzip_bomb", gzip_bomb, 1_000_000),
    ("fragments_of_many", fragments_of_many, 40_000),
    ("fragments_of_one", fragments_of_one, 50_000),
    ("ipv6_extensions", ipv6_extensions, 2_000),
    ("tunnels_in_tunnels", tunnels_in_tunnels, 2_000),
    ("lone_syns", lone_syns, 50_000),
    ("openings", openings, 10_000),
    ("port_reused", port_reused, 10_000),
    ("holes", holes, 50_000),
    ("reversed", reversed, 50_000),
    ("contradictions", contradictions, 20_000),
    ("leaps", leaps, 50_000),
    ("keep_alives", keep_alives, 30_000),
    ("acknowledged_unseen", acknowledged_unseen, 25_000),
    ("one_byte_segments", one_byte_segments, 50_000),
    ("segments_of_64k", segments_of_64k, 100),
    ("own_duplicates", own_duplicates, 20_000),
    ("one_direction", one_direction, 50_000),
    ("tls_empty_records", tls_empty_records, 600_000),
    ("tls_tiny_handshake_records", tls_tiny_handshake_records, 500_000),
    ("tls_hellos", tls_hellos, 25_000),
    ("tls_warnings", tls_warnings, 200_000),
    ("tls_cipher_changes", tls_cipher_changes, 200_000),
    ("tls_long_message", tls_long_message, 3_000),
    ("tls_many_certificates", tls_many_certificates, 20_000),
    ("tls_data_records", tls_data_records, 80_000),
    ("tls_record_lengths_that_lie", tls_record_lengths_that_lie, 3_000),
    ("tls_sessions", tls_sessions, 6_000),
    ("smtp_no_line_end", smtp_no_line_end, 3_000_000),
    ("smtp_reply_no_line_end", smtp_reply_no_line_end, 3_000_000),
    ("smtp_empty_lines", smtp_empty_lines, 1_000_000),
    ("smtp_bare_carriage_returns", smtp_bare_carriage_returns, 1_000_000),
    ("smtp_commands_unanswered", smtp_commands_unanswered, 300_000),
    ("smtp_replies_unasked", smtp_replies_unasked, 300_000),
    ("smtp_long_reply", smtp_long_reply, 300_000),
    ("smtp_recipients", smtp_recipients, 60_000),
    ("smtp_messages", smtp_messages, 6_000),
    ("smtp_chunks", smtp_chunks, 150_000),
    ("smtp_empty_chunks", smtp_empty_chunks, 150_000),
    ("smtp_chunk_of_everything", smtp_chunk_of_everything, 3_000_000),
    ("smtp_logins", smtp_logins, 10_000),
    ("smtp_repeated_lines", smtp_repeated_lines, 6_000),
    ("smtp_data_refused", smtp_data_refused, 60_000),
    ("smtp_dot_lines", smtp_dot_lines, 1_000_000),
    ("smtp_dots_at_edges", smtp_dots_at_edges, 15_000),
    ("smtp_starttls_refused", smtp_starttls_refused, 10_000),
    ("smtp_proxy_lines", smtp_proxy_lines, 80_000),
    ("proxy_asked_a_byte_at_a_time", proxy_asked_a_byte_at_a_time, 1_000),
    ("proxies_asked", proxies_asked, 5_000),
    ("undecided", undecided, 30_000),
    ("connections_undecided", connections_undecided, 5_000),
    ("mime_depth", mime_depth, 50_000),
    ("mime_same_boundary_depth", mime_same_boundary_depth, 50_000),
    ("mime_parts", mime_parts, 50_000),
    ("mime_boundaries_alike", mime_boundaries_alike, 40_000),
    ("mime_messages_in_messages", mime_messages_in_messages, 80_000),
    ("header_lines", header_lines, 200_000),
    ("header_subjects", header_subjects, 40_000),
    ("header_folded", header_folded, 600_000),
    ("header_parameters", header_parameters, 100_000),
    ("header_addresses", header_addresses, 400_000),
    ("header_words", header_words, 150_000),
    ("base64_body", base64_body, 600_000),
    ("quoted_body", quoted_body, 500_000),
    ("imap_parentheses", imap_parentheses, 1_000_000),
    ("imap_literals", imap_literals, 300_000),
    ("imap_empty_literals", imap_empty_literals, 200_000),
    ("imap_literals_that_lie", imap_literals_that_lie, 50_000),
    ("imap_literal_of_everything", imap_literal_of_everything, 3_000_000),
    ("imap_commands_unanswered", imap_commands_unanswered, 200_000),
    ("imap_same_tag", imap_same_tag, 150_000),
    ("imap_answers_backwards", imap_answers_backwards, 100_000),
    ("imap_untagged", imap_untagged, 200_000),
    ("imap_idles", imap_idles, 60_000),
    ("imap_fetches", imap_fetches, 60_000),
    ("imap_ranges", imap_ranges, 30_000),
    ("imap_ranges_of_many", imap_ranges_of_many, 50_000),
    ("imap_one_fetch_of_many_sections", imap_one_fetch_of_many_sections, 100_000),
    ("imap_quotes", imap_quotes, 700_000),
    ("imap_deflate_bomb", imap_deflate_bomb, 2_000_000),
    ("pop3_listing", pop3_listing, 150_000),
    ("pop3_mails", pop3_mails, 50_000),
    ("pop3_tops", pop3_tops, 80_000),
    ("pop3_logins", pop3_logins, 30_000),
    ("pop3_refused_upgrades", pop3_refused_upgrades, 200_000),
    ("sieve_strings", sieve_strings, 60_000),
    ("sieve_capabilities", sieve_capabilities, 150_000),
];

#[test]
fn every_shape_is_survived() {
    let only = std::env::var("MAILCAP_SHAPE").ok();
    for (name, make, _) in SHAPES.iter().filter(|s| only.as_deref().is_none_or(|o| s.0.contains(o))) {
        for n in [1, 2, 150] {
            let told = told(make(n));
            assert!(told.report.problems.len() < 100, "{name}: {} problems", told.report.problems.len());
        }
    }
}

#[test]
#[ignore = "writes files to measure: MAILCAP_SHAPES=DIR"]
fn write_shapes() {
    let dir = std::path::PathBuf::from(std::env::var_os("MAILCAP_SHAPES").expect("MAILCAP_SHAPES names a folder"));
    for (name, make, n) in SHAPES {
        // In eighths: the small ones are for counting instructions, the others for memory.
        for eighths in [1, 2, 8, 16, 32] {
            std::fs::write(dir.join(format!("{name}.{eighths}")), make(n * eighths / 8)).unwrap();
        }
    }
}
