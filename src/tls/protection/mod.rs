//! Record protection of one direction in one epoch.
//!
//! [`Protection::open`] takes a record's fragment (without the five-byte header), decrypts it in place and checks it.
//! It allocates nothing (but for the ChaCha20-Poly1305 before the IETF's). A record that fails still counts: its number and its share of the keystream are used up and
//! the CBC residue moves on, so that the records behind it can be tried. To try several record numbers, clone the
//! `Protection` and copy the fragment: a failed attempt leaves garbage in it.
//!
//! Made by [`super::schedule`].

mod aead;
mod cbc;
mod des;
mod lanes;
mod mac;
mod rc4;
mod seed;
#[cfg(test)]
pub(super) mod tests;

use std::ops::RangeInclusive;

use self::aead::Aead;
pub(crate) use self::cbc::BlockCipher;
use self::cbc::Cbc;
use self::mac::RecordMac;
use self::rc4::Rc4;
use super::schedule::Options;
use super::suites::{BulkCipher, Suite, Version};

/// Records that [`Protection::open_together`] takes.
pub const TOGETHER: usize = lanes::LANES;

/// A record that was opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The plaintext within the fragment.
    pub plaintext: &'a mut [u8],
    /// Content type: TLS 1.3's inner one, else that of the record.
    pub content_type: u8,
}

/// Why a record could not be opened.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// MAC or tag did not match.
    BadMac,
    /// CBC padding did not fit (the MAC could not be located), or TLS 1.3's inner content type is missing.
    BadPadding,
    /// The fragment is shorter than any record under this cipher, or no multiple of the block.
    BadLength,
    /// Implicit-IV CBC behind a loss: the first block is lost and with it the MAC. The next record has its IV again.
    UnknownIv,
}

/// What MACs and AEADs cover beside the content.
#[derive(Copy, Clone)]
struct Header {
    sequence: u64,
    content_type: u8,
    wire_version: u16,
}

impl Header {
    /// Record number, type, version, length of the content.
    fn bytes(self, content_len: usize) -> [u8; 13] {
        let s = self.sequence.to_be_bytes();
        let [t, v1, v2, l1, l2] = self.outer_bytes(content_len);
        [s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], t, v1, v2, l1, l2]
    }

    /// The header as on the wire: type, version, length.
    fn outer_bytes(self, len: usize) -> [u8; 5] {
        let [v1, v2] = self.wire_version.to_be_bytes();
        // A record's length has 16 bits; a longer slice can't match anyway.
        let [l1, l2] = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
        [self.content_type, v1, v2, l1, l2]
    }
}

/// One direction's keys.
pub(super) struct KeyMaterial<'a> {
    pub(super) version: Version,
    pub(super) suite: &'a Suite,
    pub(super) mac: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) iv: &'a [u8],
    pub(super) options: Options,
}

/// One direction's record protection in one epoch. Zeroised on drop.
#[derive(Clone)]
pub struct Protection {
    sequence: u64,
    mode: Mode,
}

#[derive(Clone)]
enum Mode {
    /// RC4, or no cipher.
    Stream(Box<Stream>),
    Cbc(Box<Cbc>),
    Aead(Box<Aead>),
}

#[derive(Clone)]
struct Stream {
    keystream: Option<Rc4>,
    mac: RecordMac,
}

impl Protection {
    /// None where the suite is not supported in that version.
    pub(super) fn new(material: KeyMaterial<'_>) -> Option<Self> {
        let suite = material.suite;
        let mac = || RecordMac::new(material.version, suite.mac, material.mac, material.options.truncated_hmac);
        let mode = match suite.cipher {
            BulkCipher::Unsupported => return None,
            BulkCipher::Null => Mode::Stream(Box::new(Stream { keystream: None, mac: mac()? })),
            BulkCipher::Rc4_128 | BulkCipher::Rc4_40 | BulkCipher::Rc4_56 => {
                let keystream = Some(Rc4::new(material.key)?);
                Mode::Stream(Box::new(Stream { keystream, mac: mac()? }))
            }
            cipher if cipher.cbc_block().is_some() => Mode::Cbc(Box::new(Cbc::new(&material, mac()?)?)),
            _ if material.version == Version::Ssl3 => return None,
            _ => Mode::Aead(Box::new(Aead::new(&material)?)),
        };
        Some(Protection { sequence: 0, mode })
    }

    /// Opens the next record. `content_type` and `wire_version` are those of the record header.
    pub fn open<'a>(
        &mut self,
        content_type: u8,
        wire_version: u16,
        fragment: &'a mut [u8],
    ) -> Result<Opened<'a>, OpenError> {
        let header = Header { sequence: self.sequence, content_type, wire_version };
        self.sequence = self.sequence.wrapping_add(1);
        let plaintext = match &mut self.mode {
            Mode::Stream(stream) => stream.open(header, fragment)?,
            Mode::Cbc(cbc) => cbc.open(header, fragment)?,
            Mode::Aead(aead) => return aead.open(header, fragment),
        };
        Ok(Opened { plaintext, content_type })
    }

    /// Where [`Protection::open_together`] takes less time than one by one: the bytes of content that a fragment of `len` bytes
    /// has, if its padding is as short as can be.
    pub fn gains_together(&self, len: usize) -> Option<RangeInclusive<usize>> {
        match &self.mode {
            Mode::Cbc(cbc) if cbc.is_faster_together() => Some(cbc.content_len(len)),
            _ => None,
        }
    }

    /// Opens the next records, which have the same type and version. What comes of one does not depend on what comes of
    /// another.
    pub fn open_together<'a>(
        &mut self,
        content_type: u8,
        wire_version: u16,
        fragments: [&'a mut [u8]; TOGETHER],
    ) -> [Result<Opened<'a>, OpenError>; TOGETHER] {
        match &mut self.mode {
            Mode::Cbc(cbc) => {
                let headers = std::array::from_fn(|n| {
                    let sequence = self.sequence.wrapping_add(n as u64);
                    Header { sequence, content_type, wire_version }
                });
                self.sequence = self.sequence.wrapping_add(TOGETHER as u64);
                cbc.open_together(headers, fragments).map(|opened| Ok(Opened { plaintext: opened?, content_type }))
            }
            _ => fragments.map(|fragment| self.open(content_type, wire_version, fragment)),
        }
    }

    /// Number of the next record.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Says which record comes next; keystream and residue are left alone.
    pub fn set_sequence(&mut self, n: u64) {
        self.sequence = n;
    }

    /// `records` records are lost that held `cipher_bytes` bytes (without headers): moves on behind them. RC4 will have
    /// to run its keystream for that, at some 300 MB a second: bound what you ask for.
    pub fn skip(&mut self, records: u64, cipher_bytes: u64) {
        self.sequence = self.sequence.wrapping_add(records);
        match &mut self.mode {
            Mode::Stream(stream) => stream.skip(cipher_bytes),
            Mode::Cbc(cbc) if records > 0 => cbc.forget_iv(),
            _ => {}
        }
    }

    /// The ciphertext before the next record is not known (matters to implicit-IV CBC alone).
    pub fn iv_unknown(&mut self) {
        if let Mode::Cbc(cbc) = &mut self.mode {
            cbc.forget_iv();
        }
    }

    /// The ciphertext before the next record is known again: its last block is the IV, unknown if it is shorter.
    /// With encrypt-then-MAC the MAC does not belong to it.
    pub fn set_previous_block(&mut self, ciphertext: &[u8]) {
        if let Mode::Cbc(cbc) = &mut self.mode {
            cbc.set_iv(ciphertext);
        }
    }

    /// Whether each record's IV is the end of the record before (SSL 3.0, TLS 1.0 CBC).
    pub fn has_implicit_iv(&self) -> bool {
        matches!(&self.mode, Mode::Cbc(cbc) if !cbc.explicit_iv())
    }

    /// Whether the position in the keystream matters (RC4).
    pub fn is_stream(&self) -> bool {
        matches!(&self.mode, Mode::Stream(stream) if stream.keystream.is_some())
    }

    /// Length of the smallest fragment a record can have: bounds the number of records in a gap.
    pub fn min_fragment(&self) -> usize {
        match &self.mode {
            Mode::Stream(stream) => stream.mac.len(),
            Mode::Cbc(cbc) => cbc.min_fragment(),
            Mode::Aead(aead) => aead.min_fragment(),
        }
    }

    /// Bytes of MAC or tag.
    pub fn tag_len(&self) -> usize {
        match &self.mode {
            Mode::Stream(stream) => stream.mac.len(),
            Mode::Cbc(cbc) => cbc.mac_len(),
            Mode::Aead(aead) => aead.tag_len(),
        }
    }

    /// Whether a wrong record number or key shows: false for a cipher without MAC.
    pub fn authenticates(&self) -> bool {
        self.tag_len() > 0
    }
}

impl Stream {
    fn open<'a>(&mut self, header: Header, fragment: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        if let Some(rc4) = &mut self.keystream {
            rc4.apply(fragment);
        }
        let content_len = fragment.len().checked_sub(self.mac.len()).ok_or(OpenError::BadLength)?;
        let (content, tag) = fragment.split_at_mut(content_len);
        if !self.mac.matches(header, content, tag) {
            return Err(OpenError::BadMac);
        }
        Ok(content)
    }

    fn skip(&mut self, bytes: u64) {
        if let Some(rc4) = &mut self.keystream {
            rc4.skip(bytes);
        }
    }
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Protection").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}
