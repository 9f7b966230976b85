//! What a private key has opened: the same ciphertext costs one operation, whoever asks and in whatever order.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest, Sha256};

use super::private::PremasterError;
use crate::tls::secret::Secret;

/// Results remembered.
const MEMORY: usize = 1024;

/// Operations done ahead beyond twice those that somebody asked for: what looks like a ClientKeyExchange need not be one, or
/// not this key's.
const CREDIT: usize = 64;

/// By SHA-256 of the ciphertext, oldest out first.
#[derive(Default)]
pub(super) struct Memory {
    results: HashMap<[u8; 32], Known>,
    order: VecDeque<[u8; 32]>,
    /// Operations done ahead, and those that were asked for since.
    ahead: usize,
    used: usize,
}

struct Known {
    result: Result<Secret, PremasterError>,
    /// Nobody has asked for it yet.
    ahead: bool,
}

/// Under which a ciphertext is remembered.
pub(super) fn hash(encrypted: &[u8]) -> [u8; 32] {
    Sha256::digest(encrypted).into()
}

impl Memory {
    pub(super) fn recall(&mut self, hash: &[u8; 32]) -> Option<Result<Secret, PremasterError>> {
        let known = self.results.get_mut(hash)?;
        self.used += usize::from(std::mem::take(&mut known.ahead));
        Some(known.result.clone())
    }

    pub(super) fn knows(&self, hash: &[u8; 32]) -> bool {
        self.results.contains_key(hash)
    }

    pub(super) fn keep(&mut self, hash: [u8; 32], result: Result<Secret, PremasterError>) {
        self.insert(hash, Known { result, ahead: false });
    }

    /// Of an operation done ahead.
    pub(super) fn keep_ahead(&mut self, hash: [u8; 32], secret: Secret) {
        if !self.knows(&hash) {
            self.insert(hash, Known { result: Ok(secret), ahead: true });
        }
    }

    /// Counts so many operations that are to be done ahead, unless too many before were of no use.
    pub(super) fn may_go_ahead(&mut self, operations: usize) -> bool {
        let may = self.ahead <= self.used.saturating_mul(2).saturating_add(CREDIT);
        self.ahead += if may { operations } else { 0 };
        may
    }

    fn insert(&mut self, hash: [u8; 32], known: Known) {
        if self.results.insert(hash, known).is_none() {
            self.order.push_back(hash);
            if self.order.len() > MEMORY
                && let Some(oldest) = self.order.pop_front()
            {
                self.results.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: usize) -> [u8; 32] {
        hash(&n.to_be_bytes())
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut memory = Memory::default();
        for n in 0..2 * MEMORY {
            memory.keep(number(n), Err(PremasterError::Padding));
        }
        assert_eq!((memory.results.len(), memory.order.len()), (MEMORY, MEMORY));
        assert!(!memory.knows(&number(0)) && memory.knows(&number(2 * MEMORY - 1)));
    }

    /// Nobody may make it work for nothing: of ciphertexts that no session comes to, only so many are opened.
    #[test]
    fn what_is_done_ahead_has_to_be_of_use() {
        let mut memory = Memory::default();
        let unused = (0..1000).take_while(|_| memory.may_go_ahead(8)).count();
        assert_eq!(unused, CREDIT / 8 + 1);
        let mut memory = Memory::default();
        for n in 0..1000 {
            assert!(memory.may_go_ahead(2));
            memory.keep_ahead(number(n), Secret::new(&[7; 48]));
            assert_eq!(memory.recall(&number(n)), Some(Ok(Secret::new(&[7; 48]))));
            // The second time is no further use.
            assert!(memory.recall(&number(n)).is_some());
        }
        assert_eq!((memory.ahead, memory.used), (2000, 1000));
    }
}
