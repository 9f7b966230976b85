//! What identifies a connection: both endpoints, the same for both directions.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::{IpAddr, SocketAddr};

/// Two endpoints in numeric order. IPv4 addresses stand as IPv4-mapped IPv6.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    low: [u64; 2],
    high: [u64; 2],
    ports: u32,
}

impl Key {
    /// The key, and whether `src` is its lower endpoint.
    pub(super) fn new(src: SocketAddr, dst: SocketAddr) -> (Key, bool) {
        let (a, b) = (address(src.ip()), address(dst.ip()));
        let src_is_low = (a, src.port()) <= (b, dst.port());
        let (low, high, low_port, high_port) =
            if src_is_low { (a, b, src.port(), dst.port()) } else { (b, a, dst.port(), src.port()) };
        (Key { low, high, ports: u32::from(low_port) << 16 | u32::from(high_port) }, src_is_low)
    }

    /// Address and port of the lower endpoint and of the higher.
    pub(super) fn endpoints(&self) -> [([u64; 2], u16); 2] {
        [(self.low, (self.ports >> 16) as u16), (self.high, self.ports as u16)]
    }
}

fn address(ip: IpAddr) -> [u64; 2] {
    match ip {
        IpAddr::V4(v4) => [0, 0xffff_0000_0000 | u64::from(v4.to_bits())],
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            [(bits >> 64) as u64, bits as u64]
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for word in self.low.into_iter().chain(self.high) {
            state.write_u64(word);
        }
        state.write_u64(u64::from(self.ports));
    }
}

/// Builds [`KeyHasher`]s with a secret of this process, so that nobody can prepare collisions. The order of a hash map
/// never shows in what the table does.
#[derive(Clone, Debug)]
pub(super) struct KeyHash {
    seed: u64,
    multiplier: u64,
}

impl Default for KeyHash {
    fn default() -> Self {
        let random = RandomState::new();
        KeyHash { seed: random.hash_one(0u8), multiplier: random.hash_one(1u8) | 1 }
    }
}

impl BuildHasher for KeyHash {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher { state: self.seed, multiplier: self.multiplier }
    }
}

/// Keyed folded multiplication: three times as fast as SipHash for the five words of a key.
#[derive(Debug)]
pub(super) struct KeyHasher {
    state: u64,
    multiplier: u64,
}

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.multiplier);
        self.state = (product as u64 ^ (product >> 64) as u64).wrapping_add(self.multiplier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_share_a_key() {
        let a: SocketAddr = "192.0.2.1:40000".parse().unwrap();
        let b: SocketAddr = "192.0.2.2:25".parse().unwrap();
        let (there, low) = Key::new(a, b);
        let (back, low_back) = Key::new(b, a);
        assert_eq!(there, back);
        assert_ne!(low, low_back);
        let hash = KeyHash::default();
        assert_eq!(hash.hash_one(there), hash.hash_one(back));
        let (other, _) = Key::new(a, "192.0.2.2:26".parse().unwrap());
        assert_ne!(there, other);
        assert_ne!(hash.hash_one(there), hash.hash_one(other));
    }

    #[test]
    fn ports_belong_to_their_addresses() {
        let (one, _) = Key::new("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        let (two, _) = Key::new("10.0.0.1:2".parse().unwrap(), "10.0.0.2:1".parse().unwrap());
        assert_ne!(one, two);
        let (v6, _) = Key::new("[2001:db8::1]:25".parse().unwrap(), "[2001:db8::2]:25".parse().unwrap());
        assert_ne!(one, v6);
    }
}
