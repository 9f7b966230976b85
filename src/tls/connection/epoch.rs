//! What protects one direction's records at a time.

use crate::tls::Reason;
use crate::tls::protection::{OpenError, Opened, Protection};
use crate::tls::record::Header;

/// Which of TLS 1.3's keys, or an epoch of an earlier version.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before any ChangeCipherSpec or ServerHello.
    Clear,
    /// SSL 3.0 to TLS 1.2 behind a ChangeCipherSpec.
    Changed,
    /// TLS 1.3 early data.
    Early,
    /// TLS 1.3 handshake traffic.
    Handshake,
    /// TLS 1.3 application traffic behind so many KeyUpdates.
    Application(u32),
}

impl Stage {
    /// Whether records are TLS 1.3's: type 23 whatever they hold, others in the clear.
    pub(super) fn is_tls13(self) -> bool {
        matches!(self, Stage::Early | Stage::Handshake | Stage::Application(_))
    }
}

/// Keys that may be the right ones.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) protection: Protection,
    /// Index of the secret in the handshake's list.
    pub(super) secret: usize,
}

/// How records are protected.
#[derive(Clone)]
pub(super) enum Cipher {
    /// Not at all.
    Clear,
    /// With one of these; the first record that opens says which.
    Keyed(Vec<Keys>),
    /// Not encrypted; the MAC can't be checked for want of its key.
    Null { mac_len: usize },
    /// It is not known.
    Closed(Reason),
}

/// One direction's keys between two changes.
#[derive(Clone)]
pub(super) struct Epoch {
    pub(super) cipher: Cipher,
    /// Index of the handshake that made them.
    pub(super) handshake: usize,
    pub(super) stage: Stage,
    /// A MAC or tag matched.
    pub(super) confirmed: bool,
    /// Records that did not open since the last that did.
    pub(super) failures: u32,
    /// Whether DEFLATE lies under the protection.
    pub(super) compressed: bool,
}

/// A record that stays closed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There are no keys.
    Closed(Reason),
    /// The keys do not fit.
    Bad(OpenError),
}

impl Epoch {
    pub(super) fn new(cipher: Cipher, handshake: usize, stage: Stage) -> Self {
        Epoch { cipher, handshake, stage, confirmed: false, failures: 0, compressed: false }
    }

    /// Memory beside its own fields, roughly.
    pub(super) fn cost(&self) -> usize {
        match &self.cipher {
            Cipher::Keyed(candidates) => candidates.capacity() * size_of::<Keys>(),
            _ => 0,
        }
    }

    pub(super) fn clear() -> Self {
        Epoch::new(Cipher::Clear, 0, Stage::Clear)
    }

    pub(super) fn is_clear(&self) -> bool {
        matches!(self.cipher, Cipher::Clear)
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.cipher, Cipher::Closed(_))
    }

    /// The secret in use, once there is only one that can be.
    pub(super) fn secret(&self) -> Option<usize> {
        match &self.cipher {
            Cipher::Keyed(candidates) => match candidates.as_slice() {
                [one] => Some(one.secret),
                _ => None,
            },
            _ => None,
        }
    }

    /// The only keys that there can be.
    pub(super) fn protection(&mut self) -> Option<&mut Protection> {
        match &mut self.cipher {
            Cipher::Keyed(candidates) => match candidates.as_mut_slice() {
                [one] => Some(&mut one.protection),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a record that opens proves the keys.
    pub(super) fn proves(&self) -> bool {
        match &self.cipher {
            Cipher::Keyed(candidates) => candidates.iter().all(|c| c.protection.authenticates()),
            _ => false,
        }
    }

    /// Another direction's record showed which secret is right.
    pub(super) fn settle(&mut self, secret: usize) {
        if let Cipher::Keyed(candidates) = &mut self.cipher
            && candidates.iter().any(|c| c.secret == secret)
        {
            candidates.retain(|c| c.secret == secret);
        }
    }

    /// Opens a record's fragment in place. `scratch` is for trying.
    pub(super) fn open<'a>(
        &mut self,
        header: &Header,
        fragment: &'a mut [u8],
        scratch: &mut Vec<u8>,
    ) -> Result<Opened<'a>, Failure> {
        match &mut self.cipher {
            Cipher::Clear => Ok(Opened { plaintext: fragment, content_type: header.content_type }),
            Cipher::Null { mac_len } => match fragment.len().checked_sub(*mac_len) {
                Some(len) => Ok(Opened { plaintext: &mut fragment[..len], content_type: header.content_type }),
                None => Err(Failure::Bad(OpenError::BadLength)),
            },
            Cipher::Closed(reason) => Err(Failure::Closed(*reason)),
            Cipher::Keyed(candidates) => {
                if candidates.len() > 1 {
                    let right = candidates.iter().position(|c| {
                        copy(scratch, fragment);
                        c.protection.clone().open(header.content_type, header.version, scratch).is_ok()
                    });
                    match right {
                        Some(right) => {
                            candidates.swap(0, right);
                            candidates.truncate(1);
                        }
                        None => {
                            for c in candidates {
                                copy(scratch, fragment);
                                let _ = c.protection.open(header.content_type, header.version, scratch);
                            }
                            return Err(Failure::Bad(OpenError::BadMac));
                        }
                    }
                }
                let Some(candidate) = candidates.first_mut() else { return Err(Failure::Closed(Reason::BadMac)) };
                candidate.protection.open(header.content_type, header.version, fragment).map_err(Failure::Bad)
            }
        }
    }
}

/// Makes `scratch` a copy of `bytes`.
pub(super) fn copy(scratch: &mut Vec<u8>, bytes: &[u8]) {
    scratch.clear();
    scratch.extend_from_slice(bytes);
}
