//! The pcapng format (draft-ietf-opsawg-pcapng): sections, interfaces, packets, secrets.

use pcap_parser::pcapng as parser;
use pcap_parser::{BOM_MAGIC, DSB_MAGIC, EPB_MAGIC, IDB_MAGIC, ISB_MAGIC, NRB_MAGIC, OptionCode, PcapNGOption};
use pcap_parser::{SHB_MAGIC, SJE_MAGIC, SPB_MAGIC};

use crate::event::CommentOn;
use crate::fmt::count;
use crate::limits::Limits;
use crate::position::Timestamp;

use super::LinkType;
use super::buffer::Buffer;
use super::record::{Packet, Record, Step};
use super::time::Resolution;

/// The obsolete Packet Block (appendix A).
const OPB_MAGIC: u32 = 2;
/// Custom blocks, to be copied or not when a file is edited.
const CUSTOM: u32 = 0x0bad;
/// Events of sysdig and Falco: their two versions, and large ones.
const SYSDIG: [u32; 3] = [0x204, 0x216, 0x222];
const CUSTOM_UNCOPIED: u32 = 0x4000_0bad;
/// Option of any block.
const OPT_COMMENT: u16 = 1;
/// Option of a section: the program that wrote it; and where a section's options begin.
const SHB_USERAPPL: u16 = 4;
const SECTION_OPTIONS: usize = 24;
/// Option of an interface: the length of its frame check sequence.
const IF_FCSLEN: u16 = 13;
/// `secrets_type` of an NSS key log.
const TLS_KEY_LOG: u32 = 0x544c_534b;
/// Type, length, length again.
pub(super) const FRAME: usize = 12;
/// Interfaces of a section that are kept: 16 bytes each.
const INTERFACES: usize = 1 << 20;
/// How far a place to go on is looked for.
const REACH: usize = 1 << 20;

/// What a packet needs to know of its interface.
#[derive(Copy, Clone, Debug)]
struct Interface {
    /// Seconds added to every time.
    offset: i64,
    snaplen: u32,
    link_type: u16,
    /// Bytes of frame check sequence at the end of each frame.
    fcs: u8,
    resolution: Resolution,
}

/// A pcapng file's state.
#[derive(Clone, Debug)]
pub(super) struct PcapNg {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Told once a section each.
    told_interfaces: bool,
    told_unknown: bool,
    /// For blocks without a time.
    last: Timestamp,
    /// Records that Wireshark numbers but that are no packets; taken by the reader of the file.
    pub(super) uncounted: u64,
    /// Where the options go on behind the comment on the block at hand that was handed out last.
    commented: Option<usize>,
    /// mailcap wrote this section: its comments on packets say what they were made of, and it knows.
    own: bool,
    /// A block whose trailer did not match has been delivered; look before going on.
    suspect: Option<(u64, String)>,
    ended: bool,
}

/// Whether `head` begins with a section header.
pub(super) fn detect(head: &[u8]) -> bool {
    head.first_chunk::<4>().is_some_and(|m| u32::from_le_bytes(*m) == SHB_MAGIC)
        && head.get(8..12).is_none_or(|bom| byte_order(bom).is_some())
}

/// Whether the byte-order magic says big-endian.
fn byte_order(bom: &[u8]) -> Option<bool> {
    let bom = *bom.first_chunk::<4>()?;
    if u32::from_le_bytes(bom) == BOM_MAGIC {
        Some(false)
    } else if u32::from_be_bytes(bom) == BOM_MAGIC {
        Some(true)
    } else {
        None
    }
}

/// Of the first bytes of a block: whether it is a section header, and if so its byte order, if that is sound.
pub(super) fn section(head: &[u8; FRAME]) -> Option<Option<bool>> {
    let [k0, k1, k2, k3, .., b0, b1, b2, b3] = *head;
    // The type reads the same in both orders.
    (u32::from_le_bytes([k0, k1, k2, k3]) == SHB_MAGIC).then(|| byte_order(&[b0, b1, b2, b3]))
}

/// Whether a block of that type, whose body begins with `first`, holds a key log.
pub(super) fn is_keylog(kind: u32, first: u32) -> bool {
    kind == DSB_MAGIC && first == TLS_KEY_LOG
}

impl PcapNg {
    /// Checks the section header, which stays unread; what is wrong with it otherwise.
    pub(super) fn open(buffer: &mut Buffer) -> Result<Self, &'static str> {
        if !buffer.ensure(28) {
            return Err("the pcapng section header is cut short");
        }
        let big_endian = byte_order(buffer.data().get(8..).unwrap_or_default()).ok_or("not a pcapng file")?;
        Ok(PcapNg {
            big_endian,
            interfaces: Vec::new(),
            told_interfaces: false,
            told_unknown: false,
            last: Timestamp(0),
            uncounted: 0,
            commented: None,
            own: false,
            suspect: None,
            ended: false,
        })
    }

    fn u16(&self, data: &[u8], at: usize) -> Option<u16> {
        let b = *data.get(at..)?.first_chunk::<2>()?;
        Some(if self.big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    }

    #[inline]
    fn u32(&self, data: &[u8], at: usize) -> Option<u32> {
        let b = *data.get(at..)?.first_chunk::<4>()?;
        Some(if self.big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }

    /// How large the block is that `data` begins with, as far as its header is there.
    pub(super) fn block_size(&self, data: &[u8]) -> Option<usize> {
        self.u32(data, 4).map(|size| size as usize)
    }

    /// Size of the next block if it is an enhanced packet with nothing odd about it, of at most so many bytes: whoever
    /// reads it finds the same, however far he sees.
    #[inline]
    pub(super) fn plain_packet(&self, buffer: &mut Buffer, longest: usize) -> Option<usize> {
        let len = buffer.ensure(FRAME).then(|| self.u32(buffer.data(), 4)).flatten()?;
        let size = len as usize;
        if self.ended
            || self.suspect.is_some()
            || self.commented.is_some()
            || self.u32(buffer.data(), 0) != Some(EPB_MAGIC)
            || !(32..=longest).contains(&size)
            || !size.is_multiple_of(4)
            || !buffer.ensure(size)
        {
            return None;
        }
        let block = buffer.data();
        let known = (self.u32(block, 8)? as usize) < self.interfaces.len();
        let fits = self.u32(block, 20)? as usize <= size - 32;
        (known && fits && self.u32(block, size - 4)? == len).then_some(size)
    }

    /// The next record. Its bytes start at the buffer's first unread one.
    pub(super) fn next(&mut self, buffer: &mut Buffer, limits: &Limits) -> Step {
        if self.ended {
            return Step::end();
        }
        if let Some((offset, text)) = self.suspect.take() {
            buffer.ensure(FRAME);
            if !buffer.data().is_empty() && self.plausible(buffer.data()).is_none() {
                return self.resynchronise(buffer, offset, text);
            }
            return Step::problem(offset, text, false);
        }
        loop {
            let offset = buffer.offset();
            if !buffer.ensure(FRAME) {
                self.ended = true;
                return cut(buffer, offset);
            }
            let Some(kind) = self.u32(buffer.data(), 0) else { return Step::end() };
            if kind == SHB_MAGIC {
                // A new section may have the other byte order.
                match byte_order(buffer.data().get(8..).unwrap_or_default()) {
                    Some(big_endian) => self.big_endian = big_endian,
                    None => return self.resynchronise(buffer, offset, "a section without byte order".to_owned()),
                }
            }
            let Some(len) = self.u32(buffer.data(), 4) else { return Step::end() };
            if (len as usize) < FRAME {
                return self.resynchronise(buffer, offset, format!("a block of type {kind:#x} claims length {len}"));
            }
            if len as usize > limits.record_bytes {
                if matches!(kind, EPB_MAGIC | SPB_MAGIC | OPB_MAGIC | IDB_MAGIC | SHB_MAGIC) || !known(kind) {
                    let text = format!("a block of type {kind:#x} claims length {len}");
                    return self.resynchronise(buffer, offset, text);
                }
                self.uncounted += u64::from(counts(kind));
                let there = buffer.skip(u64::from(len));
                self.ended = there < u64::from(len);
                let text = format!("a block of type {kind:#x} and length {len} was skipped");
                return Step::problem(offset, text, self.ended || kind == DSB_MAGIC);
            }
            let mut size = len as usize;
            if !size.is_multiple_of(4) {
                size = self.odd_size(buffer, size);
            }
            if !buffer.ensure(size) {
                if size > REACH {
                    // More likely a damaged length than a packet cut short.
                    let text = format!("a block of type {kind:#x} claims length {len}");
                    return self.resynchronise(buffer, offset, text);
                }
                self.ended = true;
                return cut(buffer, offset);
            }
            let Some(block) = buffer.data().get(..size) else { return Step::end() };
            if self.u32(block, size - 4) != Some(len) {
                let text = format!("a block of type {kind:#x} ends with another length than its {len}");
                if self.u32(block, size - 4).is_some_and(|end| end != len) && !self.followed(buffer, size) {
                    return self.resynchronise(buffer, offset, text);
                }
                if self.commented.is_none() {
                    self.suspect = Some((offset, text));
                }
            }
            let Some(block) = buffer.data().get(..size) else { return Step::end() };
            if let Some((at, len, on)) = self.comment(kind, block) {
                self.commented = Some(at + len.next_multiple_of(4));
                return Step { record: Record::Comment { at, len, on }, size: 0 };
            }
            self.commented = None;
            if let Some(record) = self.block(kind, block, offset) {
                return Step { record, size };
            }
            buffer.consume(size);
            if self.suspect.is_some() {
                return self.next(buffer, limits);
            }
        }
    }

    /// A length that is no multiple of four, as early writers had it: with or without the padding, as its trailer says.
    fn odd_size(&self, buffer: &mut Buffer, len: usize) -> usize {
        let padded = len.next_multiple_of(4);
        let trailer = |data: &[u8], size: usize| self.u32(data, size - 4).is_some_and(|end| end as usize == len);
        if buffer.ensure(padded) && !trailer(buffer.data(), len) && trailer(buffer.data(), padded) {
            padded
        } else {
            len
        }
    }

    /// Whether a sane block, or nothing, stands `size` bytes on.
    fn followed(&self, buffer: &mut Buffer, size: usize) -> bool {
        buffer.ensure(size.saturating_add(FRAME));
        let rest = buffer.data().get(size..).unwrap_or_default();
        rest.is_empty() || self.plausible(rest).is_some()
    }

    /// What a whole block holds, if it is for the reader.
    fn block(&mut self, kind: u32, block: &[u8], offset: u64) -> Option<Record> {
        match kind {
            EPB_MAGIC => self.enhanced(block, offset),
            SPB_MAGIC => self.simple(block, offset),
            OPB_MAGIC => self.obsolete(block, offset),
            SHB_MAGIC => {
                self.interfaces.clear();
                self.told_interfaces = false;
                self.told_unknown = false;
                let program = self.option(block, SECTION_OPTIONS, SHB_USERAPPL);
                let program = program.and_then(|(at, len)| block.get(at..at + len)).unwrap_or_default();
                self.own = program.starts_with(b"mailcap ");
                let major = match parser::parse_sectionheaderblock(block) {
                    Ok((_, section)) => section.major_version,
                    Err(_) => self.u16(block, 12)?,
                };
                (major != 1).then(|| Record::Problem {
                    offset,
                    text: format!("a section of pcapng version {major}; it is read as version 1"),
                    loses_packets: false,
                })
            }
            IDB_MAGIC => self.interface(block, offset),
            DSB_MAGIC => self.secrets(block, offset),
            _ => {
                self.uncounted += u64::from(counts(kind));
                None
            }
        }
    }

    /// The next comment on a block of those that may have some.
    fn comment(&self, kind: u32, block: &[u8]) -> Option<(usize, usize, CommentOn)> {
        let (on, options) = match kind {
            SHB_MAGIC => (CommentOn::Section, SECTION_OPTIONS),
            IDB_MAGIC => (CommentOn::Interface, 16),
            EPB_MAGIC if !self.own => {
                let captured = self.u32(block, 20)? as usize;
                (CommentOn::Packet, 28usize.saturating_add(captured.checked_next_multiple_of(4)?))
            }
            _ => return None,
        };
        let (at, len) = self.option(block, self.commented.unwrap_or(options), OPT_COMMENT)?;
        Some((at, len, on))
    }

    /// Where the first option of that kind is that has a value, and its length, the options beginning at `at`.
    fn option(&self, block: &[u8], mut at: usize, wanted: u16) -> Option<(usize, usize)> {
        let end = block.len().saturating_sub(4);
        while at.saturating_add(4) <= end {
            let (code, len) = (self.u16(block, at)?, usize::from(self.u16(block, at + 2)?));
            if code == 0 || at + 4 + len > end {
                break;
            }
            if code == wanted && len > 0 {
                return Some((at + 4, len));
            }
            at += 4 + len.next_multiple_of(4);
        }
        None
    }

    fn interface(&mut self, block: &[u8], offset: u64) -> Option<Record> {
        if self.interfaces.len() >= INTERFACES {
            let first = !std::mem::replace(&mut self.told_interfaces, true);
            return first.then(|| Record::Problem {
                offset,
                text: format!("more than {INTERFACES} interfaces; packets of the others are not read"),
                loses_packets: true,
            });
        }
        let parsed = if self.big_endian {
            parser::parse_interfacedescriptionblock_be(block)
        } else {
            parser::parse_interfacedescriptionblock_le(block)
        };
        let interface = match &parsed {
            Ok((_, idb)) => Interface {
                offset: self.time_offset(&idb.options),
                snaplen: idb.snaplen,
                link_type: u16::try_from(idb.linktype.0).unwrap_or(0),
                fcs: fcs(&idb.options),
                resolution: Resolution::from_option(idb.if_tsresol),
            },
            // Damaged options: the fixed part is enough.
            Err(_) => Interface {
                offset: 0,
                snaplen: self.u32(block, 12).unwrap_or(0),
                link_type: self.u16(block, 8)?,
                fcs: 0,
                resolution: Resolution::MICROSECONDS,
            },
        };
        self.interfaces.push(interface);
        None
    }

    /// `if_tsoffset`, in the section's byte order.
    fn time_offset(&self, options: &[PcapNGOption<'_>]) -> i64 {
        let option = options.iter().find(|o| o.code == OptionCode::IfTsoffset);
        let bytes = option.and_then(|o| o.as_bytes().ok()).and_then(|b| b.first_chunk::<8>()).copied();
        bytes.map_or(0, |b| if self.big_endian { i64::from_be_bytes(b) } else { i64::from_le_bytes(b) })
    }

    #[inline]
    fn enhanced(&mut self, block: &[u8], offset: u64) -> Option<Record> {
        let (interface, high, low) = (self.u32(block, 8)?, self.u32(block, 12)?, self.u32(block, 16)?);
        let time = u64::from(high) << 32 | u64::from(low);
        self.packet(block, offset, interface, Some(time), (self.u32(block, 20)?, self.u32(block, 24)?), 28)
    }

    fn obsolete(&mut self, block: &[u8], offset: u64) -> Option<Record> {
        let interface = u32::from(self.u16(block, 8)?);
        let (high, low) = (self.u32(block, 12)?, self.u32(block, 16)?);
        let time = u64::from(high) << 32 | u64::from(low);
        self.packet(block, offset, interface, Some(time), (self.u32(block, 20)?, self.u32(block, 24)?), 28)
    }

    fn simple(&mut self, block: &[u8], offset: u64) -> Option<Record> {
        let original = self.u32(block, 8)?;
        let snaplen = self.interfaces.first().map_or(0, |i| i.snaplen);
        let room = u32::try_from(block.len().saturating_sub(16)).unwrap_or(u32::MAX);
        let limit = if snaplen == 0 { room } else { snaplen.min(room) };
        self.packet(block, offset, 0, None, (original.min(limit), original), 12)
    }

    #[inline]
    fn packet(
        &mut self,
        block: &[u8],
        offset: u64,
        id: u32,
        time: Option<u64>,
        (captured, original): (u32, u32),
        at: usize,
    ) -> Option<Record> {
        let Some(interface) = self.interfaces.get(id as usize) else {
            self.uncounted += 1;
            let first = !std::mem::replace(&mut self.told_unknown, true);
            return first.then(|| Record::Problem {
                offset,
                text: format!("a packet of interface {id}, which is not described; such packets are not read"),
                loses_packets: true,
            });
        };
        // The block's end bounds a captured length that lies; its data is what there is.
        let room = block.len().saturating_sub(at).saturating_sub(4);
        let len = (captured as usize).min(room);
        if let Some(time) = time {
            self.last = interface.resolution.timestamp(time, interface.offset);
        }
        if captured as usize > room && self.suspect.is_none() {
            self.suspect = Some((offset, format!("a packet claims {captured} captured bytes, its block has {room}")));
        }
        let original_len = original.max(u32::try_from(len).unwrap_or(u32::MAX));
        let original_len = original_len.saturating_sub(interface.fcs.into());
        let len = len.min(original_len as usize);
        Some(Record::Packet(Packet {
            ts: self.last,
            interface: Some(id),
            link_type: LinkType(u32::from(interface.link_type)),
            at,
            len,
            original_len,
        }))
    }

    fn secrets(&self, block: &[u8], offset: u64) -> Option<Record> {
        let parsed = if self.big_endian {
            parser::parse_decryptionsecretsblock_be(block)
        } else {
            parser::parse_decryptionsecretsblock_le(block)
        };
        // A length beyond the block is cut to what is there: whole lines of it are still good.
        let (kind, len) = match parsed {
            Ok((_, dsb)) => (dsb.secrets_type.0, dsb.secrets_len),
            Err(_) => (self.u32(block, 8)?, self.u32(block, 12)?),
        };
        let room = block.len().saturating_sub(20);
        match kind {
            TLS_KEY_LOG => Some(Record::Secrets { at: 16, len: (len as usize).min(room) }),
            _ => Some(Record::Problem {
                offset,
                text: format!("secrets of type {kind:#x} are not TLS keys and were skipped"),
                loses_packets: false,
            }),
        }
    }

    /// The length of a block that `data` seems to begin with.
    fn plausible(&self, data: &[u8]) -> Option<usize> {
        let kind = self.u32(data, 0)?;
        if kind == SHB_MAGIC {
            byte_order(data.get(8..)?)?;
            return Some(28);
        }
        let len = self.u32(data, 4)? as usize;
        (known(kind) && len >= FRAME && len.is_multiple_of(4) && len <= REACH).then_some(len)
    }

    /// Looks for the next place where a block stands whose two lengths agree.
    fn resynchronise(&mut self, buffer: &mut Buffer, offset: u64, text: String) -> Step {
        buffer.ensure(REACH);
        let data = buffer.data();
        let found = (1..data.len().min(REACH)).find(|&at| {
            let Some(rest) = data.get(at..) else { return false };
            match self.plausible(rest) {
                Some(_) if self.u32(rest, 0) == Some(SHB_MAGIC) => true,
                Some(len) => self.u32(rest, len - 4) == u32::try_from(len).ok(),
                None => false,
            }
        });
        match found {
            Some(at) => {
                buffer.consume(at);
                Step::problem(
                    offset,
                    format!("{text}; {} skipped up to the next block", count(at as u64, "byte")),
                    true,
                )
            }
            None => {
                self.ended = true;
                Step::problem(offset, format!("{text}; the rest of the file is not read"), true)
            }
        }
    }
}

/// `if_fcslen` in bytes. The specification has bits, and "4" as its example; both are written.
fn fcs(options: &[PcapNGOption<'_>]) -> u8 {
    let option = options.iter().find(|o| o.code == OptionCode(IF_FCSLEN));
    match option.and_then(|o| o.value.first().copied()) {
        Some(bytes @ 1..=8) => bytes,
        Some(bits @ (16 | 32 | 64)) => bits / 8,
        _ => 0,
    }
}

/// Blocks that are no packets, and that Wireshark counts as frames.
fn counts(kind: u32) -> bool {
    matches!(kind, SJE_MAGIC | CUSTOM | CUSTOM_UNCOPIED) || SYSDIG.contains(&kind)
}

/// Block types that are in use; others are passed over by their length.
fn known(kind: u32) -> bool {
    const PROCESS_INFORMATION: u32 = 0x8000_0001;
    matches!(kind, SHB_MAGIC | IDB_MAGIC | OPB_MAGIC | SPB_MAGIC | NRB_MAGIC | ISB_MAGIC | EPB_MAGIC | SJE_MAGIC)
        || SYSDIG.contains(&kind)
        || matches!(kind, DSB_MAGIC | PROCESS_INFORMATION | CUSTOM | CUSTOM_UNCOPIED)
}

/// The stream ended where a block should go on.
fn cut(buffer: &mut Buffer, offset: u64) -> Step {
    let left = buffer.data().len();
    match buffer.take_error() {
        Some(e) => Step::problem(offset, format!("reading stopped: {e}"), true),
        None if left == 0 => Step::end(),
        None => Step::problem(offset, "the file ends inside a block", true),
    }
}
