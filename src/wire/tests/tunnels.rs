//! Tunnels, within one another and cut.

use super::*;

/// A packet on raw IP whose tunnel must show.
fn check(packet: &[u8], kind: &'static str, id: Option<u32>) {
    assert_eq!(decode(101, packet), hi(None, Some((kind, id))), "{kind}: {packet:x?}");
    cut_everywhere(101, packet);
}

fn v4() -> Vec<u8> {
    ipv4(6, &data(b"hi"))
}

fn v6() -> Vec<u8> {
    ipv6(6, &data(b"hi"))
}

fn gre(flags: u16, protocol: u16, fields: &[u8], payload: &[u8]) -> Vec<u8> {
    ipv4(47, &[&flags.to_be_bytes()[..], &protocol.to_be_bytes(), fields, payload].concat())
}

#[test]
fn ip_in_ip() {
    check(&ipv4(4, &v4()), "ipip", None);
    check(&ipv4(41, &v6()), "6in4", None);
    check(&ipv6(4, &v4()), "4in6", None);
    check(&ipv6(41, &v6()), "6in6", None);
    check(&ipv4(97, &[&[0x30, 0][..], &plain(b"hi")].concat()), "etherip", None);
    check(&ipv4(137, &[&[0, 1, 1, 64][..], &v4()].concat()), "mpls", Some(16));
}

#[test]
fn gre_with_all_its_flags() {
    let key = [0, 0, 0, 42];
    check(&gre(0, 0x0800, &[], &v4()), "gre", None);
    check(&gre(0x2000, 0x86dd, &key, &v6()), "gre", Some(42));
    check(&gre(0xb000, 0x6558, &[[1, 2, 0, 0], key, [0, 0, 0, 1]].concat(), &plain(b"hi")), "gre", Some(42));
    // Two source routes and the end of their list.
    let routes = [1, 2, 0, 0, 0, 2, 0, 4, 9, 9, 9, 9, 0, 2, 0, 0, 0, 0, 0, 0];
    check(&gre(0x4000, 0x0800, &routes, &v4()), "gre", None);
    check(&gre(0, 0x883e, &[], &v4()), "gre", None);
    check(&gre(0, 0x883e, &[0, 0, 0, 0], &v4()), "gre", None);
    check(&gre(0x3081, 0x880b, &[0, 44, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21], &v4()), "pptp", Some(7));
    check(&gre(0x2001, 0x6400, &[0, 54, 25, 0], &plain(b"hi")), "eoip", Some(25));
    assert_eq!(decode(101, &gre(0x0002, 0x0800, &[], &v4())), Err(Skip::NotIp));
    assert_eq!(decode(101, &gre(0, 0x1234, &[], &v4())), Err(Skip::NotIp));
}

#[test]
fn erspan() {
    let inner = plain(b"hi");
    check(&gre(0, 0x88be, &[], &inner), "erspan", None);
    let two = [0, 0, 0, 1, 0x10, 0x64, 0x18, 0x05, 0, 0, 0, 1];
    check(&gre(0x1000, 0x88be, &two, &inner), "erspan", Some(5));
    let three = |last: u8, ft: u8| [0, 0, 0, 1, 0x20, 0x64, 0, 0x07, 0, 0, 0, 0, 0, 0, ft, last];
    check(&gre(0x1000, 0x22eb, &three(0, 0), &inner), "erspan", Some(7));
    check(&gre(0x1000, 0x22eb, &[&three(1, 0)[..], &[0; 8]].concat(), &inner), "erspan", Some(7));
    // Frame type 2: IP without Ethernet.
    check(&gre(0x1000, 0x22eb, &three(0, 8), &v4()), "erspan", Some(7));
}

#[test]
fn on_udp() {
    let inner = plain(b"hi");
    let on = |port, header: &[u8], payload: &[u8]| ipv4(17, &udp(port, &[header, payload].concat()));
    let vxlan = [8, 0, 0, 0, 0, 0x12, 0x34, 0];
    check(&on(4789, &vxlan, &inner), "vxlan", Some(0x1234));
    check(&on(8472, &vxlan, &inner), "vxlan", Some(0x1234));
    check(&on(4790, &[0x0c, 0, 0, 1, 0, 0, 1, 0], &v4()), "vxlan", Some(1));
    check(&on(4790, &[0x0c, 0, 0, 3, 0, 0, 1, 0], &inner), "vxlan", Some(1));
    check(&on(6081, &[0, 0, 0x65, 0x58, 0, 0, 5, 0], &inner), "geneve", Some(5));
    check(&on(6081, &[2, 0, 8, 0, 0, 0, 5, 0, 1, 1, 1, 1, 0, 0, 0, 0], &v4()), "geneve", Some(5));
    check(&on(2152, &[0x30, 255, 0, 42, 0, 0, 0, 9], &v4()), "gtp", Some(9));
    check(&on(2152, &[0x34, 255, 0, 50, 0, 0, 0, 9, 0, 0, 0, 0x85, 1, 0, 0, 0], &v6()), "gtp", Some(9));
    check(&on(1701, &[0x40, 2, 0, 60, 0, 1, 0, 2, 0xff, 3, 0, 0x21], &v4()), "l2tp", Some(0x1_0002));
    check(&on(1701, &[0x0a, 2, 0, 1, 0, 2, 0, 0, 0, 0, 0, 1, 0xee, 0, 0x21], &v4()), "l2tp", Some(0x1_0002));
    check(&on(3544, &[], &v6()), "teredo", None);
    check(&on(3544, &[0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 1, 2, 2, 2, 2], &v6()), "teredo", None);
    check(&on(6635, &[0, 1, 1, 64], &v4()), "mpls", Some(16));
}

#[test]
fn other_traffic_on_their_ports() {
    for port in [4789, 8472, 4790, 6081, 2152, 1701, 3544] {
        for byte in [0x00u8, 0x80, 0xc0, 0xff] {
            let got = decode(101, &ipv4(17, &udp(port, &[byte; 200])));
            assert!(got.is_err(), "{port} {byte:x}");
        }
    }
}

#[test]
fn nested_up_to_the_bound() {
    let nested = |n: usize| (0..n).fold(v4(), |inner, _| ipv4(4, &inner));
    assert_eq!(decode(101, &nested(16)), hi(None, Some(("ipip", None))));
    assert_eq!(decode(101, &nested(17)), Err(Skip::TooDeep));
    assert_eq!(decode(101, &nested(100)), Err(Skip::TooDeep));
}

#[test]
fn snaplen_inside_a_tunnel_counts_the_inner_packet() {
    let packet = ipv4(17, &udp(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0][..], &plain(&[7; 50])].concat()));
    let bytes = ethernet(0x0800, &packet);
    let got = decode_cut(1, &bytes[..bytes.len() - 20], bytes.len()).unwrap();
    assert_eq!((got.0.len(), got.1), (30, 20));
}

#[test]
fn the_innermost_tunnel_and_the_outermost_vlan_show() {
    let tag = |id: u16, inner: &[u8]| ethernet(0x8100, &[&id.to_be_bytes()[..], &[8, 0], inner].concat());
    let inner = tag(200, &ipv4(4, &v4()));
    let outer = tag(100, &ipv4(17, &udp(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0][..], &inner].concat())));
    assert_eq!(decode(1, &outer), hi(Some(100), Some(("ipip", None))));
}
