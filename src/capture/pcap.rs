//! The pcap format and its variants (draft-ietf-opsawg-pcap).

use pcap_parser::nom;
use pcap_parser::pcap as parser;

use crate::fmt::count;
use crate::limits::Limits;
use crate::position::Timestamp;

use super::LinkType;
use super::buffer::Buffer;
use super::record::{Packet, Record, Step};

/// Size of the file header.
pub(super) const HEADER: usize = 24;

/// Magic numbers as read little-endian from a little-endian file.
const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Alexey Kuznetsov's patched libpcap: longer record headers.
const MODIFIED: u32 = 0xa1b2_cd34;
/// IXIA's lcap, hardware and software: nanoseconds, and 4 more bytes of file header.
const IXIA_HW: u32 = 0x1c00_01ac;
const IXIA_SW: u32 = 0x1c00_01ab;

/// Largest packet that libpcap and Wireshark write; only a hint, files with larger ones exist.
const USUAL_SNAPLEN: u32 = 262_144;

/// Seconds between which two records of damaged files are taken for neighbours.
const DAY: u32 = 86_400;

/// Searches for records near in time that may find none in a file: each reads far ahead.
const MOST_VAIN: u32 = 8;

/// Records with nothing in them that are looked behind.
const MOST_EMPTY: usize = 16;

/// Nanoseconds in a second.
const MOST_FRACTIONS: u32 = 1_000_000_000;

/// A pcap file's state.
#[derive(Clone, Debug)]
pub(super) struct Pcap {
    big_endian: bool,
    /// Nanoseconds in a unit of the second timestamp field.
    unit: i64,
    link_type: LinkType,
    /// Bytes of frame check sequence at the end of each frame.
    fcs: u32,
    snaplen: u32,
    /// caplen and len may be swapped: written before version 2.4.
    old: bool,
    /// Bytes of a record header: 16, 20, 24 or 28.
    record_header: usize,
    last_seconds: Option<u32>,
    /// Fractions of a second are below it; of some writers, more than there are in a second.
    fractions: u32,
    /// Its writer states original lengths below the captured ones.
    understates: bool,
    /// Searches for records near in time that found none.
    vain: u32,
    ended: bool,
}

/// Whether `head` begins with a pcap magic, and if so, whether big-endian, and the magic itself.
pub(super) fn detect(head: &[u8]) -> Option<(bool, u32)> {
    let magic = *head.first_chunk::<4>()?;
    let known = |m| matches!(m, MICROSECONDS | NANOSECONDS | MODIFIED | IXIA_HW | IXIA_SW);
    let (le, be) = (u32::from_le_bytes(magic), u32::from_be_bytes(magic));
    if known(le) {
        Some((false, le))
    } else if known(be) {
        Some((true, be))
    } else {
        None
    }
}

impl Pcap {
    /// Reads the file header, which [`detect`] recognised; what is wrong with it otherwise.
    pub(super) fn open(buffer: &mut Buffer) -> Result<Self, &'static str> {
        if !buffer.ensure(HEADER) {
            return Err("the pcap header is cut short");
        }
        let (big_endian, magic) = detect(buffer.data()).ok_or("not a pcap file")?;
        let header = Header::parse(buffer.data(), big_endian, magic).ok_or("not a pcap file")?;
        let mut pcap = Pcap {
            big_endian,
            unit: if magic == MICROSECONDS || magic == MODIFIED { 1000 } else { 1 },
            // Bits 0 to 25 are the type, the upper four the FCS length in 16-bit words if bit 26 is set.
            link_type: LinkType(header.network & 0x03ff_ffff),
            fcs: if header.network & 0x0400_0000 != 0 { (header.network >> 28) * 2 } else { 0 },
            snaplen: header.snaplen,
            old: header.version < (2, 4),
            record_header: 16,
            last_seconds: None,
            fractions: if magic == MICROSECONDS || magic == MODIFIED { 1_000_000 } else { MOST_FRACTIONS },
            understates: false,
            vain: 0,
            ended: false,
        };
        buffer.consume(HEADER);
        if magic == IXIA_HW || magic == IXIA_SW {
            buffer.ensure(4);
            buffer.consume(4);
        }
        if magic == MODIFIED {
            // No more than one read's worth: a live pipe must not be waited for.
            buffer.ensure(1);
        }
        pcap.record_header = pcap.guess_record_header(buffer.data(), magic);
        Ok(pcap)
    }

    /// Patched libpcaps wrote 24 or 28 bytes of record header under one magic, and Red Hat 6.1's 24 and Nokia's 20
    /// under the common one: the first records tell.
    fn guess_record_header(&self, data: &[u8], magic: u32) -> usize {
        match magic {
            MODIFIED => {
                let size = [16, 28, 24].into_iter().max_by_key(|&size| self.chain(data, size));
                size.unwrap_or(24)
            }
            MICROSECONDS if self.chain(data, 16).1 == 0 => {
                let size = [20, 24].into_iter().find(|&size| self.chain(data, size).1 >= 2);
                size.unwrap_or(16)
            }
            _ => 16,
        }
    }

    /// Whether records with headers of that size follow one another in `data`, to its end or three times; and how many
    /// do, none if what follows one is no record.
    fn chain(&self, data: &[u8], header: usize) -> (bool, u32) {
        let mut at = 0usize;
        let mut good = 0;
        while good < 3 {
            let Some(head) = data.get(at..).and_then(|d| d.first_chunk::<16>()) else { return (false, good) };
            let Some(captured) = self.plausible(head, None) else { return (false, 0) };
            good += 1;
            at = at.saturating_add(header).saturating_add(captured as usize);
            if at == data.len() {
                break;
            }
        }
        (true, good)
    }

    fn u32(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    /// The four fields of a record header.
    fn fields(&self, head: &[u8; 16]) -> [u32; 4] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *head;
        [self.u32([a, b, c, d]), self.u32([e, f, g, h]), self.u32([i, j, k, l]), self.u32([m, n, o, p])]
    }

    /// Captured length, if this looks much like a record header.
    fn plausible(&self, head: &[u8; 16], near: Option<u32>) -> Option<u32> {
        let [seconds, fraction, captured, original] = self.fields(head);
        let good = fraction < self.fractions
            && self.are_usual(captured, original)
            && (captured <= original || self.understates)
            && near.is_none_or(|t| seconds.abs_diff(t) <= DAY);
        good.then_some(captured)
    }

    /// Whether packets have such lengths, each by itself.
    fn are_usual(&self, captured: u32, original: u32) -> bool {
        let largest = if self.snaplen == 0 { USUAL_SNAPLEN } else { self.snaplen.min(USUAL_SNAPLEN) };
        (1..=largest).contains(&captured) && original <= 4 * USUAL_SNAPLEN
    }

    /// How large the record is that `data` begins with, as far as its header is there.
    pub(super) fn record_size(&self, data: &[u8]) -> Option<usize> {
        let [_, _, captured, _] = self.fields(data.first_chunk()?);
        Some(self.record_header.saturating_add(captured as usize))
    }

    /// Size of the next record if it is a packet with nothing odd about it: whoever reads it finds the same, however far
    /// he sees.
    #[inline]
    pub(super) fn plain_packet(&self, buffer: &mut Buffer) -> Option<usize> {
        let head = buffer.ensure(16).then(|| buffer.data().first_chunk::<16>().copied()).flatten()?;
        let [seconds, fraction, captured, original] = self.fields(&head);
        let plain = self.record_header == 16
            && self.last_seconds.is_some_and(|t| seconds.abs_diff(t) <= DAY)
            && fraction < self.fractions
            && (1..=original.min(USUAL_SNAPLEN)).contains(&captured);
        plain.then(|| self.record_header + captured as usize)
    }

    /// The next record. Its bytes start at the buffer's first unread one.
    #[inline]
    pub(super) fn next(&mut self, buffer: &mut Buffer, limits: &Limits) -> Step {
        if self.record_header == 16 {
            let parsed = if self.big_endian {
                parser::parse_pcap_frame_be(buffer.data())
            } else {
                parser::parse_pcap_frame(buffer.data())
            };
            if let Ok((_, b)) = parsed {
                // Anything odd takes the slow path, which looks closer.
                let (seconds, fraction) = (b.ts_sec, b.ts_usec);
                let near = self.last_seconds.is_some_and(|t| seconds.abs_diff(t) <= DAY) && fraction < self.fractions;
                if near && b.caplen <= b.origlen && b.caplen <= USUAL_SNAPLEN && b.caplen > 0 {
                    return self.packet(seconds, fraction, b.caplen, b.origlen);
                }
            }
        }
        self.next_slow(buffer, limits)
    }

    fn packet(&mut self, seconds: u32, fraction: u32, captured: u32, original: u32) -> Step {
        self.last_seconds = Some(seconds);
        let ts = i64::from(seconds)
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::from(fraction).saturating_mul(self.unit));
        let original = original.max(captured);
        // The FCS is no part of what the link layer carried.
        let without_fcs = original.saturating_sub(self.fcs);
        let len = captured.min(without_fcs) as usize;
        let packet = Packet {
            ts: Timestamp(ts),
            interface: None,
            link_type: self.link_type,
            at: self.record_header,
            len,
            original_len: without_fcs,
        };
        Step { record: Record::Packet(packet), size: self.record_header.saturating_add(captured as usize) }
    }

    #[cold]
    fn next_slow(&mut self, buffer: &mut Buffer, limits: &Limits) -> Step {
        if self.ended {
            return Step::end();
        }
        let offset = buffer.offset();
        if !buffer.ensure(self.record_header) {
            self.ended = true;
            return self.cut(buffer, offset, "a packet's header");
        }
        let Some(head) = buffer.data().first_chunk::<16>().copied() else { return Step::end() };
        let [seconds, fraction, mut captured, mut original] = self.fields(&head);
        if let Some((big_endian, magic)) = detect(&head)
            && buffer.ensure(HEADER)
            && Header::parse(buffer.data(), big_endian, magic).is_some_and(|h| h.version == (2, 4))
        {
            // Files joined by `cat`: a file header stands where a record should.
            return match Pcap::open(buffer) {
                Ok(next) => {
                    *self = next;
                    Step::problem(offset, "another pcap file is appended here; reading continues", false)
                }
                Err(what) => {
                    self.ended = true;
                    Step::problem(offset, what, true)
                }
            };
        }
        if head == [0; 16] && buffer.ensure(32) && buffer.data().get(16..32) == Some(&[0; 16]) {
            let zeros = pass_zeros(buffer);
            return self.resynchronise(buffer, offset, zeros, "zeros instead of a packet".to_owned());
        }
        if captured > original && self.old {
            std::mem::swap(&mut captured, &mut original);
        }
        let odd = captured > original || captured > self.snaplen.max(USUAL_SNAPLEN);
        if captured as usize > limits.record_bytes || odd && !self.is_followed(buffer, (captured, original), limits) {
            // A length beyond any real packet is damage, not a cut; there may be more behind it.
            return self.resynchronise(buffer, offset, 0, format!("a packet claims {captured} captured bytes"));
        }
        let size = self.behind(0, captured);
        if captured > 0 && !odd && self.vain < MOST_VAIN && (!self.is_near(seconds) || fraction >= self.fractions) {
            // A clock that was set, a pause, a writer of nanoseconds; or bytes too many or too few before it.
            if self.has_record(buffer, size, seconds) {
                if (self.fractions..MOST_FRACTIONS).contains(&fraction) {
                    self.fractions = MOST_FRACTIONS;
                }
            } else if let Some(at) = self.find(buffer, self.last_seconds) {
                buffer.consume(at);
                return Self::skipped(offset, "a packet's header can't be right", at as u64);
            } else {
                self.vain += 1;
            }
        }
        if !buffer.ensure(size) {
            // A length that can't be right, or the last packet.
            if let Some(at) = self.find(buffer, self.last_seconds) {
                buffer.consume(at);
                return Self::skipped(offset, &format!("a packet claims {captured} captured bytes"), at as u64);
            }
            self.ended = true;
            return self.cut(buffer, offset, "the last packet");
        }
        self.understates |= captured > original;
        let known = self.last_seconds;
        let step = self.packet(seconds, fraction, captured, original);
        if captured == 0 {
            // Its time says nothing of where it belongs: a hole in the file may have such a header.
            self.last_seconds = known;
        }
        step
    }

    /// Whether behind so many captured bytes something stands that may be a record, or nothing.
    fn is_followed(&self, buffer: &mut Buffer, (captured, original): (u32, u32), limits: &Limits) -> bool {
        let usual = self.are_usual(captured, original);
        let size = self.behind(0, captured);
        buffer.ensure(size.saturating_add(16));
        let Some(rest) = buffer.data().get(size..) else { return false };
        let Some(head) = rest.first_chunk::<16>() else { return true };
        let [seconds, fraction, captured, original] = self.fields(head);
        detect(head).is_some()
            || self.is_near(seconds) && fraction < self.fractions && captured as usize <= limits.record_bytes
            // Some writers state no original length, or that of something else: then lengths have to do, after any
            // pause.
            || usual
                && self.are_usual(captured, original)
                && fraction < MOST_FRACTIONS
                // Four bytes too far, the fraction stands where seconds should.
                && (seconds >= MOST_FRACTIONS
                    || self.last_seconds.is_none_or(|t| seconds >= t)
                    // A clock that fell back to its first day; such writers do it in each record.
                    || self.understates && self.has_record(buffer, self.behind(size, captured), seconds))
    }

    /// Whether a record of that time may be the last one's neighbour.
    fn is_near(&self, seconds: u32) -> bool {
        self.last_seconds.is_none_or(|t| seconds.abs_diff(t) <= DAY)
    }

    /// Where the record behind the one at that place begins, which has so many captured bytes.
    fn behind(&self, at: usize, captured: u32) -> usize {
        at.saturating_add(self.record_header).saturating_add(captured as usize)
    }

    /// Whether a record stands at that place, or another file, or nothing at all. A record is near in time to the last
    /// one or to the one before that place, or has usual lengths. Records with nothing in them say little: what stands
    /// behind them counts.
    fn has_record(&self, buffer: &mut Buffer, mut at: usize, before: u32) -> bool {
        let mut head = self.head(buffer, at);
        for _ in 0..MOST_EMPTY {
            let Some([seconds, fraction, 0, 0]) = head.map(|head| self.fields(&head)) else { break };
            if seconds == 0 || seconds.abs_diff(before) > DAY || fraction >= self.fractions {
                break;
            }
            at = self.behind(at, 0);
            head = self.head(buffer, at);
        }
        let Some(head) = head else { return buffer.data().len() == at };
        let [seconds, fraction, captured, original] = self.fields(&head);
        let is_near = self.is_near(seconds) || seconds.abs_diff(before) <= DAY;
        detect(&head).is_some()
            // Records may be empty, or larger than the file's header says; zeros are none.
            || is_near && captured <= USUAL_SNAPLEN && (1..=4 * USUAL_SNAPLEN).contains(&original.max(captured))
            || fraction < MOST_FRACTIONS
                && self.are_usual(captured, original)
                && (captured <= original || self.understates)
    }

    /// A record's header, or what stands at that place.
    fn head(&self, buffer: &mut Buffer, at: usize) -> Option<[u8; 16]> {
        buffer.ensure(at.saturating_add(16));
        buffer.data().get(at..)?.first_chunk().copied()
    }

    /// The stream ended where more was due.
    fn cut(&mut self, buffer: &mut Buffer, offset: u64, what: &str) -> Step {
        let left = buffer.data().len();
        match buffer.take_error() {
            Some(e) => Step::problem(offset, format!("reading stopped: {e}"), true),
            None if left == 0 => Step::end(),
            None => Step::problem(offset, format!("the file ends inside {what}"), true),
        }
    }

    /// The next place from which two records follow one another, of about that time if there is one.
    fn find(&self, buffer: &mut Buffer, near: Option<u32>) -> Option<usize> {
        /// How far: beyond the largest packets in use.
        const REACH: usize = 1 << 20;
        buffer.ensure(REACH);
        let data = buffer.data();
        (1..data.len().min(REACH)).find(|&at| {
            let head = |at: usize| data.get(at..).and_then(|d| d.first_chunk::<16>());
            let Some(first) = head(at) else { return false };
            let Some(captured) = self.plausible(first, near) else { return false };
            let [seconds, ..] = self.fields(first);
            let second = self.behind(at, captured);
            second == data.len() || head(second).is_some_and(|h| self.plausible(h, near.or(Some(seconds))).is_some())
        })
    }

    /// Goes on at the next place that looks like records; `passed` bytes were passed over already.
    fn resynchronise(&mut self, buffer: &mut Buffer, offset: u64, passed: u64, text: String) -> Step {
        let mut found = self.find(buffer, self.last_seconds);
        if found.is_none() && self.vain < MOST_VAIN {
            // The last record may have been none, or the clock was set within the damage.
            self.vain += 1;
            found = self.find(buffer, None);
        }
        match found {
            Some(at) => {
                buffer.consume(at);
                Self::skipped(offset, &text, passed + at as u64)
            }
            None => {
                self.ended = true;
                Step::problem(offset, format!("{text}; the rest of the file is not read"), true)
            }
        }
    }

    fn skipped(offset: u64, text: &str, bytes: u64) -> Step {
        Step::problem(offset, format!("{text}; {} skipped up to the next packet", count(bytes, "byte")), true)
    }
}

/// Passes zeros over, but for the last sixteen: the next header may begin with some. How many.
fn pass_zeros(buffer: &mut Buffer) -> u64 {
    let start = buffer.offset();
    loop {
        let data = buffer.data();
        let zeros = data.iter().take_while(|&&b| b == 0).count();
        let is_all = zeros == data.len();
        buffer.consume(zeros.saturating_sub(16));
        if !is_all || !buffer.ensure(17) {
            return buffer.offset() - start;
        }
    }
}

/// The file header's fields that matter.
struct Header {
    version: (u16, u16),
    snaplen: u32,
    network: u32,
}

impl Header {
    fn parse(data: &[u8], big_endian: bool, magic: u32) -> Option<Header> {
        if let Ok((_, h)) = parser::parse_pcap_header(data) {
            return Some(Header {
                version: (h.version_major, h.version_minor),
                snaplen: h.snaplen,
                network: h.network.0.cast_unsigned(),
            });
        }
        // The magics that the parser does not know: parse as if it were the common one of that byte order.
        if magic == MICROSECONDS || magic == NANOSECONDS {
            return None;
        }
        let mut copy = *data.first_chunk::<HEADER>()?;
        let common = if big_endian { MICROSECONDS.to_be_bytes() } else { MICROSECONDS.to_le_bytes() };
        copy.iter_mut().zip(common).for_each(|(to, from)| *to = from);
        match parser::parse_pcap_header(&copy) {
            Ok((_, h)) => Some(Header {
                version: (h.version_major, h.version_minor),
                snaplen: h.snaplen,
                network: h.network.0.cast_unsigned(),
            }),
            Err(nom::Err::Incomplete(_) | nom::Err::Error(_) | nom::Err::Failure(_)) => None,
        }
    }
}
