//! Link layers, VLANs, MPLS, PPPoE.

use super::*;

fn v4() -> Vec<u8> {
    ipv4(6, &data(b"hi"))
}

fn v6() -> Vec<u8> {
    ipv6(6, &data(b"hi"))
}

/// `header`, then a packet.
fn on(header: &[u8], packet: &[u8]) -> Vec<u8> {
    [header, packet].concat()
}

#[test]
fn each_link_type() {
    let sll = |protocol: u16| [&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0][..], &protocol.to_be_bytes()].concat();
    let sll2 = |protocol: u16| [&protocol.to_be_bytes()[..], &[0; 18]].concat();
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let wifi = |control: u8, flags: u8, size: usize| {
        let mut header = vec![control, flags];
        header.resize(size, 0);
        header.extend(snap);
        header
    };
    let radiotap = [0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let padded = [&wifi(0x88, 2, 26)[..26], &[0, 0], &snap].concat();
    let mut timed = vec![0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0];
    timed.resize(25, 0);
    timed[24] = 0x20;
    // A timestamp attribute before the packet's.
    let nflog = [2, 0, 0, 0, 6, 0, 1, 0, 9, 9, 0, 0, 46, 0, 9, 0];
    let cases: Vec<(u32, Vec<u8>)> = vec![
        (1, on(&ethernet(0x0800, b""), &v4())),
        (239, on(&[2, 0, 0, 0, 0, 6, 0, 1, 9, 9, 0, 0, 0, 46, 0, 9], &v4())),
        (1, on(&ethernet(0x86dd, b""), &v6())),
        (1, on(&[&ethernet(50, b"")[..], &snap].concat(), &v4())),
        (0, on(&[2, 0, 0, 0], &v4())),
        (0, on(&[0, 0, 0, 2], &v4())),
        (0, on(&[30, 0, 0, 0], &v6())),
        (0, on(&[0, 0, 0, 28], &v6())),
        (0, on(&[24, 0, 0, 0], &v6())),
        (108, on(&[0, 0, 0, 2], &v4())),
        (108, on(&[0, 0, 0, 24], &v6())),
        (101, v4()),
        (101, v6()),
        (12, v4()),
        (14, v6()),
        (228, v4()),
        (229, v6()),
        (113, on(&sll(0x0800), &v4())),
        (113, on(&sll(0x86dd), &v6())),
        (113, on(&[&sll(4)[..], &snap].concat(), &v4())),
        (276, on(&sll2(0x0800), &v4())),
        (276, on(&sll2(0x86dd), &v6())),
        (9, on(&[0xff, 3, 0, 0x21], &v4())),
        (9, on(&[0, 0x57], &v6())),
        (9, on(&[0x21], &v4())),
        (50, on(&[0xff, 3, 0, 0x57], &v6())),
        (104, on(&[0x0f, 0, 8, 0], &v4())),
        (166, on(&[1, 0, 0x21], &v4())),
        (166, on(&[1, 3, 0, 0x21], &v4())),
        (166, on(&[0, 0xff, 3, 0, 0x21], &v4())),
        (204, on(&[0, 0xff, 3, 0, 0x21], &v4())),
        (109, on(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &v4())),
        (109, on(&[0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0], &v6())),
        (117, on(&[&[61, 2][..], &[0; 62]].concat(), &v4())),
        (105, on(&wifi(0x08, 1, 24), &v4())),
        (105, on(&wifi(0x88, 3, 32), &v4())),
        (127, on(&[&radiotap[..], &wifi(0x88, 2, 26)].concat(), &v4())),
        // Padded to a word: behind a timestamp and one more word of what is present, and without.
        (127, on(&[&[0, 0, 9, 0, 2, 0, 0, 0, 0x20][..], &padded].concat(), &v4())),
        (127, on(&[&timed[..], &padded].concat(), &v4())),
        (192, on(&[&[0, 0, 8, 0, 105, 0, 0, 0][..], &wifi(0x08, 1, 24)].concat(), &v4())),
        (192, on(&[&[0, 0, 8, 0, 1, 0, 0, 0][..], &ethernet(0x0800, b"")].concat(), &v4())),
        (239, on(&nflog, &v4())),
    ];
    let mut tried: Vec<u32> = cases.iter().map(|c| c.0).collect();
    for (link, bytes) in cases {
        assert_eq!(decode(link, &bytes), hi(None, None), "link type {link}: {bytes:x?}");
        cut_everywhere(link, &bytes);
    }
    let pppoe = on(&[0x11, 0, 0x12, 0x34, 0, 44, 0, 0x21], &v4());
    assert_eq!(decode(51, &pppoe), hi(None, Some(("pppoe", Some(0x1234)))));
    tried.push(51);
    for (number, name) in LINK_TYPES {
        assert!(tried.contains(number), "{name} is not tried");
    }
}

#[test]
fn what_link_layers_do_not_give() {
    assert_eq!(decode(147, &v4()), Err(Skip::UnknownLinkType(147)));
    assert_eq!(decode(0, &on(&[7, 0, 0, 0], &v4())), Err(Skip::NotIp));
    assert_eq!(decode(1, &ethernet(38, &[0x42, 0x42, 3, 0, 0, 0, 0])), Err(Skip::NotIp));
    // Encrypted, and no data at all.
    assert_eq!(decode(105, &[&[0x08, 0x40][..], &[0; 60]].concat()), Err(Skip::NotIp));
    assert_eq!(decode(105, &[&[0x80, 0][..], &[0; 60]].concat()), Err(Skip::NotIp));
    assert_eq!(decode(239, &[2, 0, 0, 0, 0, 0, 0, 0]), Err(Skip::Malformed));
    assert_eq!(decode(9, &[0xc0, 0x21, 1, 2]), Err(Skip::NotIp));
}

#[test]
fn vlans() {
    let tag = |id: u16, next: u16| [id.to_be_bytes(), next.to_be_bytes()].concat();
    let one = ethernet(0x8100, &on(&tag(0xe064, 0x0800), &v4()));
    assert_eq!(decode(1, &one), hi(Some(0x64), None));
    for outer in [0x88a8, 0x9100, 0x9200, 0x8100] {
        let two = ethernet(outer, &on(&[tag(100, 0x8100), tag(200, 0x86dd)].concat(), &v6()));
        assert_eq!(decode(1, &two), hi(Some(100), None), "the outermost");
        cut_everywhere(1, &two);
    }
    let priority = ethernet(0x8100, &on(&tag(0x6000, 0x0800), &v4()));
    assert_eq!(decode(1, &priority), hi(None, None));
    let deep = ethernet(0x8100, &on(&[tag(1, 0x8100).repeat(50), tag(1, 0x0800)].concat(), &v4()));
    assert_eq!(decode(1, &deep), Err(Skip::TooDeep));
}

#[test]
fn mpls_and_pppoe() {
    // Labels 16 and 0x12345, then IPv4; a control word, then Ethernet; Ethernet at once.
    let labels = [0, 1, 0, 64, 0x12, 0x34, 0x51, 64];
    let tunnel = Some(("mpls", Some(0x12345)));
    let inner = plain(b"hi");
    let mut zero_mac = inner.clone();
    zero_mac[0] = 0;
    for payload in [v4(), v6(), on(&[0, 0, 0, 1], &inner), inner, zero_mac.clone(), on(&[0; 4], &zero_mac)] {
        let bytes = ethernet(0x8847, &on(&labels, &payload));
        assert_eq!(decode(1, &bytes), hi(None, tunnel));
        cut_everywhere(1, &bytes);
    }
    let pppoe = ethernet(0x8864, &on(&[0x11, 0, 0, 9, 0, 44, 0, 0x57], &v6()));
    assert_eq!(decode(1, &pppoe), hi(None, Some(("pppoe", Some(9)))));
    let backbone = ethernet(0x88e7, &on(&[0x80, 0, 1, 2], &plain(b"hi")));
    assert_eq!(decode(1, &backbone), hi(None, Some(("pbb", Some(0x102)))));
}

#[test]
fn ethernet_over_mpls_of_cards_whose_address_begins_like_ip() {
    // Of both lengths, one that fits a packet as well.
    for (first, length) in [0x00, 0x48, 0x4c, 0x60, 0x6c].into_iter().flat_map(|first| [(first, 0xfe), (first, 0)]) {
        for (ether_type, packet) in [(0x0800, v4()), (0x86dd, v6())] {
            let mut inner = on(&ethernet(ether_type, b""), &packet);
            (inner[0], inner[2], inner[4]) = (first, length, length);
            let outer = on(&[&ethernet(0x8847, b"")[..], &[0x12, 0x34, 0x51, 64]].concat(), &inner);
            assert_eq!(decode(1, &outer), hi(None, Some(("mpls", Some(0x12345)))), "{first:#x}");
        }
    }
}

#[test]
fn ip_over_mpls_from_addresses_that_read_like_a_type_of_ethernet() {
    let tunnel = Some(("mpls", Some(0x12345)));
    let outer = |packet: &[u8]| on(&[&ethernet(0x8847, b"")[..], &[0x12, 0x34, 0x51, 64]].concat(), packet);
    for address in [[136, 168, 0, 1], [129, 0, 7, 7], [136, 71, 0, 1], [136, 100, 0, 1], [8, 0, 69, 9]] {
        let mut packet = v4();
        packet[12..16].copy_from_slice(&address);
        for padding in [0, 2, 6, 10] {
            let frame = outer(&on(&packet, &vec![0; padding]));
            assert_eq!(decode(1, &frame), hi(None, tunnel), "{address:?} {padding}");
            cut_everywhere(1, &frame);
            assert!(decode_cut(1, &frame[..58], frame.len()).is_ok(), "{address:?} {padding}");
        }
    }
    for hextet in [[0x81, 0], [0x88, 0xa8], [0x88, 0x47]] {
        let mut packet = v6();
        packet[12..14].copy_from_slice(&hextet);
        let frame = outer(&packet);
        assert_eq!(decode(1, &frame), hi(None, tunnel), "{hextet:x?}");
        assert!(decode_cut(1, &frame[..78], frame.len()).is_ok(), "{hextet:x?}");
    }
}

#[test]
fn long_packets_in_nflog_of_either_byte_order() {
    let packet = ipv4(6, &data(&[b'x'; 4217]));
    let length = u16::try_from(packet.len() + 4).unwrap();
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let attribute = |kind: u16, length: u16| [order(length), order(kind)].concat();
        let head =
            [&[2, 0, 0, 0][..], &attribute(1, 8), &[8, 0, 3, 0], &attribute(10, 6), b"p\0\0\0", &attribute(9, length)];
        let seen = decode(239, &on(&head.concat(), &packet));
        assert_eq!(seen.map(|(payload, missing, ..)| (payload.len(), missing)), Ok((4217, 0)));
    }
}
