//! Community ID v1: one hash for a connection that other tools print, too
//! (<https://github.com/corelight/community-id-spec>).

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The id of a TCP connection, seed 0. Both directions have the same.
pub fn community_id(a: SocketAddr, b: SocketAddr) -> String {
    const TCP: u8 = 6;
    let key = |end: SocketAddr| match end.ip() {
        IpAddr::V4(ip) => (ip.octets().to_vec(), end.port()),
        IpAddr::V6(ip) => (ip.octets().to_vec(), end.port()),
    };
    let (a, b) = (key(a), key(b));
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    hash.update(&low.0);
    hash.update(&high.0);
    hash.update([TCP, 0]);
    hash.update(low.1.to_be_bytes());
    hash.update(high.1.to_be_bytes());
    format!("1:{}", STANDARD.encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(a: &str, b: &str) -> String {
        community_id(a.parse().unwrap(), b.parse().unwrap())
    }

    /// The specification's own baseline for tcp.pcap.
    #[test]
    fn published_values() {
        assert_eq!(id("128.232.110.120:34855", "66.35.250.204:80"), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        assert_eq!(id("66.35.250.204:80", "128.232.110.120:34855"), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    }
}
