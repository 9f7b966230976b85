//! Writes pcapng (draft-ietf-opsawg-pcapng): one section, little-endian, times in nanoseconds.

use std::fs::File;
use std::io::{self, Seek, Write};

use zeroize::Zeroizing;

use crate::capture::LinkType;
use crate::position::Timestamp;

const SECTION: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const SECRETS: u32 = 10;
/// `secrets_type` of an NSS key log.
const TLS_KEY_LOG: u32 = 0x544c_534b;

const COMMENT: u16 = 1;
const IF_NAME: u16 = 2;
const USER_APPLICATION: u16 = 4;
const IF_TSRESOL: u16 = 9;

/// A packet to be written.
#[derive(Copy, Clone, Debug)]
pub struct Packet<'a> {
    /// Number of its interface, as [`Writer::interface`] gave it.
    pub interface: u32,
    /// Time; what lies before 1970 is written as 1970.
    pub ts: Timestamp,
    /// The captured bytes.
    pub data: &'a [u8],
    /// Bytes that were on the wire.
    pub original_len: u32,
    /// A comment, or none if it is empty.
    pub comment: &'a str,
}

/// Writes blocks to `out` as they come, but for secrets, which wait until there is an interface: Wireshark and its tools can't
/// write such a file anew (`editcap`, `mergecap`) unless an interface stands directly behind the section's header.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    interfaces: u32,
    waiting: Option<Waiting>,
}

/// Blocks of secrets that wait: in memory, and what is more than that in a file without a name.
#[derive(Debug)]
struct Waiting {
    memory: Zeroizing<Vec<u8>>,
    file: Option<File>,
}

impl Waiting {
    /// Bytes in memory: some thousand sessions.
    const MEMORY: usize = 1 << 20;

    fn new() -> Self {
        // It never grows, which would leave copies behind.
        Waiting { memory: Zeroizing::new(Vec::with_capacity(Self::MEMORY)), file: None }
    }

    fn spill(&mut self) -> io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile().map_err(|e| {
                let folder = std::env::temp_dir();
                io::Error::new(e.kind(), format!("secrets wait in the temporary folder {}: {e}", folder.display()))
            })?,
        };
        let file = self.file.insert(file);
        file.write_all(&self.memory)?;
        self.memory.clear();
        Ok(file)
    }

    fn write_to(mut self, out: &mut impl Write) -> io::Result<()> {
        if self.file.is_some() {
            let file = self.spill()?;
            file.rewind()?;
            io::copy(file, out)?;
        }
        out.write_all(&self.memory)
    }
}

impl Write for Waiting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.memory.len() + bytes.len() > Self::MEMORY {
            let file = self.spill()?;
            if bytes.len() > Self::MEMORY {
                return file.write(bytes);
            }
        }
        self.memory.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Writer<W> {
    /// Begins a section; `application` is who writes it.
    ///
    /// # Errors
    /// As for all methods: `out` can't be written to.
    pub fn new(mut out: W, application: &str) -> io::Result<Self> {
        let mut options = Vec::new();
        option(&mut options, USER_APPLICATION, application.as_bytes());
        end_options(&mut options);
        let mut fixed = [0; 16];
        fixed[..4].copy_from_slice(&BYTE_ORDER.to_le_bytes());
        fixed[4] = 1;
        // The section's length is not known.
        fixed[8..].fill(0xff);
        block(&mut out, SECTION, &[&fixed, &options])?;
        Ok(Writer { out, interfaces: 0, waiting: None })
    }

    /// Describes an interface and gives its number.
    pub fn interface(&mut self, link_type: LinkType, name: &str) -> io::Result<u32> {
        let mut options = Vec::new();
        option(&mut options, IF_NAME, name.as_bytes());
        option(&mut options, IF_TSRESOL, &[9]);
        end_options(&mut options);
        // Link types have 16 bits here; snapshot length 0 is no limit.
        let mut fixed = [0; 8];
        fixed[..2].copy_from_slice(&u16::try_from(link_type.0).unwrap_or(u16::MAX).to_le_bytes());
        block(&mut self.out, INTERFACE, &[&fixed, &options])?;
        self.interfaces += 1;
        self.write_waiting()?;
        Ok(self.interfaces - 1)
    }

    /// Writes a packet.
    pub fn packet(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let Packet { interface, ts, data, original_len, comment } = *packet;
        let ts = u64::try_from(ts.0).unwrap_or(0);
        let captured = u32::try_from(data.len()).map_err(io::Error::other)?;
        let mut fixed = [0; 20];
        let words = [interface, (ts >> 32) as u32, ts as u32, captured, original_len.max(captured)];
        for (to, word) in fixed.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        let mut options = Vec::new();
        if !comment.is_empty() {
            option(&mut options, COMMENT, comment.as_bytes());
            end_options(&mut options);
        }
        block(&mut self.out, PACKET, &[&fixed, data, padding(data.len()), &options])
    }

    /// Writes lines of a key log as a decryption secrets block. Readers want it before the packets that need it.
    pub fn secrets(&mut self, keylog: &[u8]) -> io::Result<()> {
        let mut fixed = [0; 8];
        fixed[..4].copy_from_slice(&TLS_KEY_LOG.to_le_bytes());
        fixed[4..].copy_from_slice(&u32::try_from(keylog.len()).map_err(io::Error::other)?.to_le_bytes());
        let parts: [&[u8]; 3] = [&fixed, keylog, padding(keylog.len())];
        if self.interfaces > 0 {
            return block(&mut self.out, SECRETS, &parts);
        }
        block(self.waiting.get_or_insert_with(Waiting::new), SECRETS, &parts)
    }

    fn write_waiting(&mut self) -> io::Result<()> {
        match self.waiting.take() {
            Some(waiting) => waiting.write_to(&mut self.out),
            None => Ok(()),
        }
    }

    /// Flushes, and gives what was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_waiting()?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A block of `parts`, each but the last padded to 32 bits.
fn block(out: &mut impl Write, kind: u32, parts: &[&[u8]]) -> io::Result<()> {
    let len = parts.iter().map(|part| part.len()).sum::<usize>() + 12;
    let len = u32::try_from(len).map_err(io::Error::other)?.to_le_bytes();
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&len)?;
    for part in parts {
        out.write_all(part)?;
    }
    out.write_all(&len)
}

fn padding(len: usize) -> &'static [u8] {
    &[0; 3][..len.next_multiple_of(4) - len]
}

/// Appends an option; what is too long for one is cut at a character's boundary.
fn option(out: &mut Vec<u8>, code: u16, mut value: &[u8]) {
    while u16::try_from(value.len()).is_err() || value.last().is_some_and(|_| std::str::from_utf8(value).is_err()) {
        value = match std::str::from_utf8(value.get(..usize::from(u16::MAX)).unwrap_or(value)) {
            Ok(whole) => whole.as_bytes(),
            Err(e) => value.get(..e.valid_up_to()).unwrap_or_default(),
        };
    }
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    out.extend_from_slice(padding(value.len()));
}

fn end_options(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Capture, Item};
    use crate::limits::Limits;

    fn sample() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), "mailcap").unwrap();
        writer.secrets(b"CLIENT_RANDOM 00 11\n").unwrap();
        let first = writer.interface(LinkType(1), "a.pcap").unwrap();
        let second = writer.interface(LinkType(101), "b.pcap").unwrap();
        assert_eq!((first, second), (0, 1));
        let packet = Packet {
            interface: second,
            ts: Timestamp(1_700_000_000_123_456_789),
            data: b"12345",
            original_len: 9,
            comment: "é",
        };
        writer.packet(&packet).unwrap();
        writer.packet(&Packet { interface: 0, ts: Timestamp(-1), data: b"", original_len: 0, comment: "" }).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn read_by_our_own_reader() {
        let bytes = io::Cursor::new(sample());
        let mut capture = Capture::from_reader("x", Box::new(bytes), &Limits::default()).unwrap();
        let Some(Item::Secrets { keylog, .. }) = capture.next() else { panic!("no secrets") };
        assert_eq!(keylog, b"CLIENT_RANDOM 00 11\n");
        let Some(Item::Comment { frame: Some(1), text, .. }) = capture.next() else { panic!("no comment") };
        assert_eq!(text, "é".as_bytes());
        let Some(Item::Frame(frame)) = capture.next() else { panic!("no frame") };
        assert_eq!((frame.interface, frame.link_type, frame.original_len), (Some(1), LinkType(101), 9));
        assert_eq!((frame.pos.ts.0, frame.data), (1_700_000_000_123_456_789, &b"12345"[..]));
        let Some(Item::Frame(frame)) = capture.next() else { panic!("no frame") };
        assert_eq!((frame.interface, frame.link_type), (Some(0), LinkType(1)));
        assert_eq!((frame.pos.ts.0, frame.data), (0, &b""[..]));
        assert!(capture.next().is_none());
    }

    /// Kinds of the blocks, in order.
    fn kinds(file: &[u8]) -> Vec<u32> {
        let word = |at: usize| file.get(at..at + 4).map(|w| u32::from_le_bytes(w.try_into().unwrap()));
        let (mut at, mut kinds) = (0, Vec::new());
        while let (Some(kind), Some(len)) = (word(at), word(at + 4)) {
            kinds.push(kind);
            at += len as usize;
        }
        kinds
    }

    #[test]
    fn secrets_stand_behind_an_interface() {
        assert_eq!(kinds(&sample()), [SECTION, INTERFACE, SECRETS, INTERFACE, PACKET, PACKET]);
        let mut writer = Writer::new(Vec::new(), "mailcap").unwrap();
        writer.secrets(b"CLIENT_RANDOM 00 11\n").unwrap();
        assert_eq!(kinds(&writer.finish().unwrap()), [SECTION, SECRETS], "there are no packets");
    }

    #[test]
    fn secrets_that_wait_keep_their_order() {
        let long = vec![b'x'; Waiting::MEMORY + 8];
        let logs = [&b"CLIENT_RANDOM 00 11\n"[..], &long[..Waiting::MEMORY - 8], &long, b"CLIENT_RANDOM 22 33\n"];
        let write = |first: bool| {
            let mut writer = Writer::new(Vec::new(), "mailcap").unwrap();
            if first {
                writer.interface(LinkType(1), "eth0").unwrap();
            }
            logs.iter().for_each(|log| writer.secrets(log).unwrap());
            if !first {
                writer.interface(LinkType(1), "eth0").unwrap();
            }
            writer.finish().unwrap()
        };
        assert!(write(true) == write(false));
    }

    #[test]
    fn a_comment_of_any_length_fits() {
        for text in ["é".repeat(40_000), "a".repeat(65_535), "a".repeat(65_536), "€".repeat(65_536)] {
            let mut out = Vec::new();
            option(&mut out, COMMENT, text.as_bytes());
            let len = usize::from(u16::from_le_bytes([out[2], out[3]]));
            assert!(len > 65_530 && out.len() == 4 + len.next_multiple_of(4));
            assert!(text.starts_with(std::str::from_utf8(&out[4..4 + len]).unwrap()));
        }
    }
}
