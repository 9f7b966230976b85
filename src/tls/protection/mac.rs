//! The record MAC of suites that are not AEAD: SSL 3.0's keyed hash (RFC 6101 section 5.2.3.1) and HMAC.

use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384};
use zeroize::Zeroizing;

use super::super::prf::{SSL3_PAD1, SSL3_PAD2, SSL3_SHA_PAD, hmac};
use super::super::suites::{MacAlgorithm, Version};
use super::Header;
use super::lanes::{self, LANES};

/// Longest MAC, of HMAC-SHA384.
const MAX_LEN: usize = 48;

/// A keyed MAC; the state behind the key is kept, so that a record costs its own bytes only.
#[derive(Clone)]
pub(super) struct RecordMac {
    keyed: Keyed,
    len: usize,
}

#[derive(Clone)]
enum Keyed {
    None,
    Md5(Hmac<Md5>),
    /// With the key, for several at once.
    Sha1(Hmac<Sha1>, Zeroizing<[u8; lanes::SIZE]>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    /// Inner and outer hash behind secret and padding.
    Ssl3Md5(Md5, Md5),
    Ssl3Sha1(Sha1, Sha1),
}

/// What is to match.
#[derive(Copy, Clone)]
pub(super) struct Authenticated<'a> {
    pub(super) header: Header,
    pub(super) content: &'a [u8],
    pub(super) tag: &'a [u8],
}

impl RecordMac {
    /// None where SSL 3.0 has no such MAC.
    pub(super) fn new(version: Version, algorithm: MacAlgorithm, key: &[u8], truncated: bool) -> Option<Self> {
        fn ssl3<D: Digest>(key: &[u8], pad: usize) -> (D, D) {
            let keyed = |pad: &[u8]| D::new().chain_update(key).chain_update(pad);
            let cut = |full: &'static [u8; 48]| full.get(..pad).unwrap_or_default();
            (keyed(cut(&SSL3_PAD1)), keyed(cut(&SSL3_PAD2)))
        }
        let keyed = match (algorithm, version == Version::Ssl3) {
            (MacAlgorithm::Null, _) => Keyed::None,
            (MacAlgorithm::Md5, true) => {
                let (inner, outer) = ssl3(key, SSL3_PAD1.len());
                Keyed::Ssl3Md5(inner, outer)
            }
            (MacAlgorithm::Sha1, true) => {
                let (inner, outer) = ssl3(key, SSL3_SHA_PAD);
                Keyed::Ssl3Sha1(inner, outer)
            }
            (_, true) => return None,
            (MacAlgorithm::Md5, false) => Keyed::Md5(hmac(key)),
            (MacAlgorithm::Sha1, false) => Keyed::Sha1(hmac(key), Zeroizing::new(key.try_into().ok()?)),
            (MacAlgorithm::Sha256, false) => Keyed::Sha256(hmac(key)),
            (MacAlgorithm::Sha384, false) => Keyed::Sha384(hmac(key)),
        };
        let full = algorithm.len();
        Some(RecordMac { keyed, len: if truncated && version != Version::Ssl3 { full.min(10) } else { full } })
    }

    /// Bytes on the wire.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether `tag` is the MAC of `content`. Not in constant time: nobody watches an offline reader's clock.
    pub(super) fn matches(&self, header: Header, content: &[u8], tag: &[u8]) -> bool {
        let mut computed = [0; MAX_LEN];
        self.compute(header, content, &mut computed);
        tag.len() == self.len && computed.get(..self.len) == Some(tag)
    }

    /// Whether [`RecordMac::match_together`] takes less time than one by one.
    pub(super) fn is_faster_together(&self) -> bool {
        matches!(self.keyed, Keyed::Sha1(..)) && lanes::are_faster()
    }

    /// As [`RecordMac::matches`]; false for those that there are not.
    pub(super) fn match_together(&self, records: [Option<Authenticated<'_>>; LANES]) -> [bool; LANES] {
        if let Keyed::Sha1(_, key) = &self.keyed
            && let [Some(a), Some(b), Some(c), Some(d), Some(e), Some(f), Some(g), Some(h)] = records
        {
            let all = [a, b, c, d, e, f, g, h];
            let heads = all.map(|record| record.header.bytes(record.content.len()));
            if let Some(macs) = lanes::hmac_sha1(key, &heads, &all.map(|record| record.content)) {
                return std::array::from_fn(|lane| macs[lane].get(..self.len) == Some(all[lane].tag));
            }
        }
        records.map(|record| record.is_some_and(|it| self.matches(it.header, it.content, it.tag)))
    }

    /// The MAC before truncation, at the start of `out`.
    fn compute(&self, header: Header, content: &[u8], out: &mut [u8; MAX_LEN]) {
        let head = header.bytes(content.len());
        // SSL 3.0 leaves the version out.
        let (head_start, head_end) = (&head[..9], &head[11..]);
        fn put(out: &mut [u8; MAX_LEN], digest: &[u8]) {
            out.iter_mut().zip(digest).for_each(|(o, d)| *o = *d);
        }
        match &self.keyed {
            Keyed::None => {}
            Keyed::Md5(mac) => put(out, &mac.clone().chain_update(head).chain_update(content).finalize().into_bytes()),
            Keyed::Sha1(mac, _) => {
                put(out, &mac.clone().chain_update(head).chain_update(content).finalize().into_bytes())
            }
            Keyed::Sha256(mac) => {
                put(out, &mac.clone().chain_update(head).chain_update(content).finalize().into_bytes());
            }
            Keyed::Sha384(mac) => {
                put(out, &mac.clone().chain_update(head).chain_update(content).finalize().into_bytes());
            }
            Keyed::Ssl3Md5(inner, outer) => {
                let inner = inner.clone().chain_update(head_start).chain_update(head_end).chain_update(content);
                put(out, &outer.clone().chain_update(inner.finalize()).finalize());
            }
            Keyed::Ssl3Sha1(inner, outer) => {
                let inner = inner.clone().chain_update(head_start).chain_update(head_end).chain_update(content);
                put(out, &outer.clone().chain_update(inner.finalize()).finalize());
            }
        }
    }
}
