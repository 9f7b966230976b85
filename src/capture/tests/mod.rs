//! Captures made byte by byte, sound and damaged.

mod compressed;
mod corpus;
mod docs;
mod merged;
mod pcap;
mod pcapng;
mod twins;

use std::io::Read;

use super::*;
use crate::limits::Limits;

/// Byte order of a file that is made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, v: u16) -> [u8; 2] {
        if self == Order::Little { v.to_le_bytes() } else { v.to_be_bytes() }
    }

    fn u32(self, v: u32) -> [u8; 4] {
        if self == Order::Little { v.to_le_bytes() } else { v.to_be_bytes() }
    }
}

/// A pcap file header.
fn pcap_header(order: Order, magic: u32, network: u32) -> Vec<u8> {
    let mut file = order.u32(magic).to_vec();
    file.extend(order.u16(2));
    file.extend(order.u16(4));
    file.extend([0; 8]);
    file.extend(order.u32(65_535));
    file.extend(order.u32(network));
    file
}

/// A pcap record whose lengths are true.
fn pcap_record(order: Order, seconds: u32, fraction: u32, data: &[u8]) -> Vec<u8> {
    pcap_record_of(order, seconds, fraction, u32::try_from(data.len()).unwrap(), data)
}

/// A pcap record of a packet of `original` bytes.
fn pcap_record_of(order: Order, seconds: u32, fraction: u32, original: u32, data: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    for field in [seconds, fraction, u32::try_from(data.len()).unwrap(), original] {
        record.extend(order.u32(field));
    }
    record.extend(data);
    record
}

/// A little-endian microsecond pcap of Ethernet with a packet of one byte at each second.
fn pcap_at(seconds: &[u32]) -> Vec<u8> {
    let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, 1);
    for &s in seconds {
        file.extend(pcap_record(Order::Little, s, 0, &[s.to_le_bytes()[0]]));
    }
    file
}

/// A pcapng block around `body`, which is padded.
fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut padded = body.to_vec();
    padded.resize(body.len().next_multiple_of(4), 0);
    let len = u32::try_from(padded.len() + 12).unwrap();
    [&order.u32(kind)[..], &order.u32(len), &padded, &order.u32(len)].concat()
}

fn section(order: Order) -> Vec<u8> {
    let body = [&order.u32(0x1a2b_3c4d)[..], &order.u16(1), &order.u16(0), &[0xff; 8]].concat();
    block(order, 0x0a0d_0d0a, &body)
}

/// An option, padded.
fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let mut padded = value.to_vec();
    padded.resize(value.len().next_multiple_of(4), 0);
    [&order.u16(code)[..], &order.u16(u16::try_from(value.len()).unwrap()), &padded].concat()
}

fn interface(order: Order, link_type: u16, snaplen: u32, options: &[u8]) -> Vec<u8> {
    block(order, 1, &[&order.u16(link_type)[..], &[0; 2], &order.u32(snaplen), options].concat())
}

fn enhanced(order: Order, interface: u32, time: u64, original: u32, data: &[u8], options: &[u8]) -> Vec<u8> {
    let (high, low) = (u32::try_from(time >> 32).unwrap(), time as u32);
    let captured = u32::try_from(data.len()).unwrap();
    let mut body: Vec<u8> = [interface, high, low, captured, original].iter().flat_map(|f| order.u32(*f)).collect();
    body.extend(data);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(options);
    block(order, 6, &body)
}

/// What a capture gave, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    Frame { number: u64, file: u32, ts: i64, interface: Option<u32>, link: u32, data: Vec<u8>, original: u32 },
    Secrets(Vec<u8>),
    Comment(&'static str, Option<u64>, Vec<u8>),
    Problem { offset: u64, text: String, loses: bool },
}

fn drain(capture: &mut Capture) -> Vec<Got> {
    let mut all = Vec::new();
    let mut index = 0;
    while let Some(item) = capture.next() {
        all.push(match item {
            Item::Frame(f) => {
                index += 1;
                assert_eq!(f.pos.index, index, "frames are numbered as they come");
                assert!(f.original_len as usize >= f.data.len());
                Got::Frame {
                    number: f.pos.number,
                    file: f.pos.file.0,
                    ts: f.pos.ts.0,
                    interface: f.interface,
                    link: f.link_type.0,
                    data: f.data.to_vec(),
                    original: f.original_len,
                }
            }
            Item::Secrets { keylog, .. } => Got::Secrets(keylog.to_vec()),
            Item::Comment { on, frame, text, .. } => Got::Comment(on.as_str(), frame, text.to_vec()),
            Item::Problem(p) => Got::Problem { offset: p.offset, text: p.text, loses: p.loses_packets },
        });
    }
    assert!(capture.next().is_none(), "the end is the end");
    all
}

/// Reads a file's bytes, given in pieces of `step`.
fn read_by(bytes: Vec<u8>, step: usize) -> Result<Vec<Got>, CaptureError> {
    let reader = Trickle { bytes, at: 0, step };
    Capture::from_reader("test", Box::new(reader), &Limits::default()).map(|mut c| drain(&mut c))
}

fn read(bytes: Vec<u8>) -> Vec<Got> {
    read_by(bytes, usize::MAX).unwrap()
}

/// A length that lies was waited for until there was no room for more of the file, whose rest was lost with it.
#[test]
fn a_length_that_lies_hides_nothing_where_there_is_little_memory() {
    const PACKETS: usize = 250;
    let order = Order::Little;
    let data = [0xab; 65_000];
    let mut pcap = pcap_header(order, 0xa1b2_c3d4, 1);
    let mut pcapng = [section(order), interface(order, 1, 0, &[])].concat();
    for n in 0..PACKETS as u32 {
        let (at, block) = (pcap.len(), pcapng.len());
        pcap.extend(pcap_record(order, n, 0, &data));
        pcapng.extend(enhanced(order, 0, n.into(), 65_000, &data, &[]));
        if n == 7 {
            (pcap[at + 8..][..8]).copy_from_slice(&[order.u32(14 << 20); 2].concat());
            (pcapng[block + 4..][..4]).copy_from_slice(&order.u32(14 << 20));
        }
    }
    for file in [pcap, pcapng] {
        let reader = Trickle { bytes: file, at: 0, step: usize::MAX };
        let got = drain(&mut Capture::from_reader("test", Box::new(reader), &Limits::within(16 << 20)).unwrap());
        assert_eq!((times(&got).len(), problems(&got).len()), (PACKETS - 1, 1), "{:?}", problems(&got));
    }
}

/// The packets' bytes.
fn packets(got: &[Got]) -> Vec<&[u8]> {
    got.iter().filter_map(|g| if let Got::Frame { data, .. } = g { Some(data.as_slice()) } else { None }).collect()
}

/// The packets' times.
fn times(got: &[Got]) -> Vec<i64> {
    got.iter().filter_map(|g| if let Got::Frame { ts, .. } = g { Some(*ts) } else { None }).collect()
}

/// The problems: offset, text, whether packets are lost.
fn problems(got: &[Got]) -> Vec<(u64, &str, bool)> {
    let problem = |g: &'_ Got| matches!(g, Got::Problem { .. });
    let part = |g| match g {
        &Got::Problem { offset, ref text, loses } => (offset, text.as_str(), loses),
        _ => unreachable!(),
    };
    got.iter().filter(|g| problem(g)).map(part).collect()
}

/// A stream that gives few bytes at a time, as a pipe does.
struct Trickle {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
}

impl Read for Trickle {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.bytes[self.at..];
        let n = rest.len().min(buf.len()).min(self.step);
        buf[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}

#[test]
fn not_a_capture() {
    let error = |bytes: &[u8]| read_by(bytes.to_vec(), usize::MAX).unwrap_err().to_string();
    assert_eq!(error(b""), "test: the file is empty");
    assert_eq!(error(b"\xd4"), "test: too short for a capture: 1 byte");
    assert!(error(b"text").starts_with("test: neither pcap nor pcapng, plain or compressed"));
    let nothing = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(error(&nothing), "test: a compressed file with nothing in it");
    assert!(error(b"<!DOCTYPE html><html>").contains("a web page"));
    assert!(error(b"\n <HTML>").contains("a web page"));
    assert!(error(b"snoop\0\0\0\0\0\0\x02").contains("editcap"));
    assert!(error(b"XCP\x002.00").contains("Sniffer"));
    assert!(error(b"7z\xbc\xaf\x27\x1c\0\x04").contains("7z archive"));
    assert!(error(b"-----BEGIN RSA PRIVATE KEY-----").contains("--key"));
    assert!(error(&pcap_at(&[])[..23]).contains("cut short"));
    assert!(error(&section(Order::Little)[..27]).contains("cut short"));
}

#[test]
fn a_key_log_is_told_by_any_of_its_labels() {
    let error = |text: &str| read_by(text.as_bytes().to_vec(), usize::MAX).unwrap_err().to_string();
    let (random, secret) = ("0a".repeat(32), "B1".repeat(48));
    for label in [
        "CLIENT_RANDOM",
        "RSA",
        "PMS_CLIENT_RANDOM",
        "CLIENT_EARLY_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    ] {
        for before in ["", "# TLS secrets of Monday\n\n", "\u{feff}# made by hand\r\n"] {
            let text = format!("{before}{label} {random} {secret}\r\n{label} {random} {secret}\r\n");
            assert_eq!(error(&text), "test: a key log, not a capture; give it with --keylog", "{text}");
        }
    }
    assert!(error("# SSL/TLS secrets log file, generated by NSS\n").contains("--keylog"));
    for text in
        ["# TLS notes of Monday, 24 November\n", "# SSL certificates\n", "CLIENT_RANDOM is a label, and no entry\n"]
    {
        assert!(error(text).contains("neither pcap nor pcapng"), "{text}");
    }
}

#[test]
fn a_frame_is_delivered_before_more_arrives() {
    use std::sync::mpsc;
    struct Pipe(mpsc::Receiver<Vec<u8>>, Vec<u8>);
    impl Read for Pipe {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            if self.1.is_empty() {
                // Reading when nothing was sent would block a live pipe.
                self.1 = self.0.try_recv().expect("read beyond what is needed");
            }
            let n = self.1.len().min(buf.len());
            buf[..n].copy_from_slice(&self.1[..n]);
            self.1.drain(..n);
            Ok(n)
        }
    }
    for ng in [false, true] {
        let (send, receive) = mpsc::channel();
        let (head, packet) = if ng {
            let head = [section(Order::Little), interface(Order::Little, 1, 0, &[])].concat();
            (head, enhanced(Order::Little, 0, 5, 3, b"abc", &[]))
        } else {
            (pcap_at(&[]), pcap_record(Order::Little, 5, 0, b"abc"))
        };
        send.send(head).unwrap();
        let mut capture =
            Capture::from_reader("pipe", Box::new(Pipe(receive, Vec::new())), &Limits::default()).unwrap();
        for _ in 0..3 {
            send.send(packet.clone()).unwrap();
            let Some(Item::Frame(frame)) = capture.next() else { panic!("no frame") };
            assert_eq!(frame.data, b"abc");
        }
    }
}
