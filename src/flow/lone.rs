//! A connection of which there is one SYN and nothing else: a scan leaves millions of them.
//!
//! Only what it takes to make a [`Connection`](super::connection::Connection) of it is kept, and that is done when a
//! second segment comes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::flow::key::Key;
use crate::position::FramePos;
use crate::wire::{Segment, TcpFlags};

/// Its SYN.
#[derive(Copy, Clone, Debug)]
pub(super) struct LoneSyn {
    pub(super) at: FramePos,
    /// As [`Connection::seen`](super::connection::Connection::seen).
    pub(super) seen: i64,
    pub(super) interface: Option<u32>,
    seq: u32,
    window: u16,
    window_scale: Option<u8>,
    vlan: Option<u16>,
    pub(super) from_low: bool,
    v4: bool,
}

impl LoneSyn {
    /// What is kept of a segment that opens a connection. None where there is more to it: payload, a FIN, a tunnel.
    pub(super) fn new(
        segment: &Segment<'_>,
        from_low: bool,
        at: FramePos,
        now: i64,
        interface: Option<u32>,
    ) -> Option<Self> {
        let bare = segment.flags == TcpFlags { syn: true, ..TcpFlags::default() }
            && segment.payload.is_empty()
            && segment.missing_tail == 0
            && segment.tunnel.is_none();
        bare.then(|| LoneSyn {
            at,
            seen: now.max(at.ts.0),
            interface,
            seq: segment.seq,
            window: segment.window,
            window_scale: segment.window_scale,
            vlan: segment.vlan,
            from_low,
            v4: segment.src.is_ipv4(),
        })
    }

    /// The segment again.
    pub(super) fn segment(&self, key: &Key) -> Segment<'static> {
        let [low, high] = key.endpoints().map(|(words, port)| SocketAddr::new(address(words, self.v4), port));
        let (src, dst) = if self.from_low { (low, high) } else { (high, low) };
        Segment {
            src,
            dst,
            seq: self.seq,
            ack: 0,
            window: self.window,
            window_scale: self.window_scale,
            flags: TcpFlags { syn: true, ..TcpFlags::default() },
            payload: &[],
            missing_tail: 0,
            vlan: self.vlan,
            tunnel: None,
        }
    }
}

fn address([upper, lower]: [u64; 2], v4: bool) -> IpAddr {
    match v4 {
        true => Ipv4Addr::from_bits(lower as u32).into(),
        false => Ipv6Addr::from_bits(u128::from(upper) << 64 | u128::from(lower)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{FileId, Timestamp};

    #[test]
    fn it_gives_its_segment_back() {
        let at = FramePos { index: 7, number: 7, file: FileId(0), ts: Timestamp(5) };
        for (src, dst) in [
            ("192.0.2.9:40000", "192.0.2.1:25"),
            ("192.0.2.1:25", "192.0.2.9:40000"),
            ("[2001:db8::9]:25", "[2001:db8::1]:40000"),
            ("[::ffff:192.0.2.1]:25", "[::ffff:192.0.2.9]:1"),
        ] {
            let segment = Segment {
                src: src.parse().unwrap(),
                dst: dst.parse().unwrap(),
                seq: 0xdead_beef,
                ack: 0,
                window: 1000,
                window_scale: Some(7),
                flags: TcpFlags { syn: true, ..TcpFlags::default() },
                payload: &[],
                missing_tail: 0,
                vlan: Some(12),
                tunnel: None,
            };
            let (key, from_low) = Key::new(segment.src, segment.dst);
            let lone = LoneSyn::new(&segment, from_low, at, 9, None).unwrap();
            assert_eq!(lone.seen, 9);
            assert_eq!(format!("{:?}", lone.segment(&key)), format!("{segment:?}"));
            let more = Segment { payload: b"x", ..segment };
            assert!(LoneSyn::new(&more, from_low, at, 9, None).is_none());
        }
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<LoneSyn>() <= 72, "{}", size_of::<LoneSyn>());
    }
}
