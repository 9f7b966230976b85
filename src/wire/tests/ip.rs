//! IPv4, IPv6 and TCP headers, cut and lying ones, and the account of frames.

use std::net::SocketAddr;

use super::*;

fn segment_of(decoded: Decoded<'_>) -> Segment<'_> {
    match decoded {
        Decoded::Segment(s) => s,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_fields_of_a_syn() {
    // MSS, SACK permitted, timestamps, no-op, window scale 7.
    let options = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
    let bytes = ethernet(0x0800, &ipv4(6, &tcp(2, &options, b"")));
    let mut decoder = Decoder::new(&Limits::default());
    let s = segment_of(decoder.decode(&frame(1, &bytes, bytes.len())));
    assert_eq!(s.src, SocketAddr::from(([10, 0, 0, 1], 40_000)));
    assert_eq!(s.dst, SocketAddr::from(([10, 0, 0, 2], 25)));
    assert_eq!((s.seq, s.ack, s.window, s.window_scale), (7, 9, 0x2000, Some(7)));
    assert_eq!(s.flags, TcpFlags { syn: true, ..TcpFlags::default() });
}

#[test]
fn window_scale_only_on_syn_and_at_most_14() {
    for (flags, options, expected) in [
        (0x12, [3, 3, 14, 0], Some(14)),
        (0x02, [3, 3, 200, 0], Some(14)),
        (0x10, [3, 3, 7, 0], None),
        (0x02, [0, 3, 3, 7], None),
        (0x02, [8, 0, 3, 3], None),
        (0x02, [1, 3, 3, 2], Some(2)),
        (0x02, [1, 1, 1, 3], None),
        (0x02, [9, 200, 3, 3], None),
    ] {
        let bytes = ethernet(0x0800, &ipv4(6, &tcp(flags, &options, b"")));
        let mut decoder = Decoder::new(&Limits::default());
        assert_eq!(segment_of(decoder.decode(&frame(1, &bytes, bytes.len()))).window_scale, expected, "{options:?}");
    }
}

#[test]
fn padding_is_cut_off() {
    let mut bytes = plain(b"hi");
    bytes.resize(64, 0);
    assert_eq!(decode(1, &bytes), hi(None, None));
}

#[test]
fn snaplen_counts_what_is_missing() {
    let bytes = plain(&[1; 100]);
    for captured in 54..bytes.len() {
        let got = decode_cut(1, &bytes[..captured], bytes.len() + 4).unwrap();
        assert_eq!((got.0.len(), got.1 as usize), (captured - 54, bytes.len() - captured));
    }
    assert_eq!(decode_cut(1, &bytes[..53], bytes.len()), Err(Skip::Truncated));
    assert_eq!(decode(1, &bytes[..53]), Err(Skip::Malformed));
}

#[test]
fn snaplen_inside_the_tcp_options() {
    let bytes = ethernet(0x0800, &ipv4(6, &tcp(0x18, &[1; 12], b"payload")));
    for captured in 54..66 {
        assert_eq!(decode_cut(1, &bytes[..captured], bytes.len()), Ok((vec![], 7, None, None)), "{captured}");
    }
}

#[test]
fn an_ip_length_beyond_a_whole_frame_is_not_believed() {
    let mut bytes = plain(b"hi");
    bytes[16..18].copy_from_slice(&4148u16.to_be_bytes());
    assert_eq!(decode(1, &bytes), hi(None, None));
    bytes[16..18].copy_from_slice(&19u16.to_be_bytes());
    assert_eq!(decode(1, &bytes), Err(Skip::Malformed));
}

#[test]
fn total_length_zero_is_offload() {
    let mut v4 = plain(b"hi");
    v4[16..18].copy_from_slice(&[0, 0]);
    assert_eq!(decode(1, &v4), hi(None, None));
    assert_eq!(decode_cut(1, &v4, v4.len() + 70_000).unwrap().1, 70_000);
    assert_eq!(decode_cut(1, &v4, 1 << 30), hi(None, None));
    let mut v6 = ethernet(0x86dd, &ipv6(6, &data(b"hi")));
    v6[18..20].copy_from_slice(&[0, 0]);
    assert_eq!(decode(1, &v6), hi(None, None));
}

#[test]
fn ipv4_options() {
    let packet = ipv4_with(6, 1, 0, &[7, 4, 0, 0, 1, 1, 1, 0], &data(b"hi"));
    assert_eq!(decode(101, &packet), hi(None, None));
}

#[test]
fn ipv6_extension_headers() {
    let mut payload = data(b"hi");
    let mut next = 6;
    // Destination options, routing, authentication, hop by hop: from the inside out.
    for (kind, header) in [
        (60, vec![0, 0, 1, 4, 0, 0, 0, 0]),
        (43, vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (51, vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (0, vec![0, 0, 5, 2, 0, 0, 1, 0]),
    ] {
        let mut header = header;
        header[0] = next;
        payload = [header, payload].concat();
        next = kind;
    }
    let packet = ipv6(next, &payload);
    assert_eq!(decode(101, &packet), hi(None, None));
    cut_everywhere(101, &packet);
}

#[test]
fn jumbo_payload() {
    let payload = [&[6, 0, 0xc2, 4, 0, 1, 0x11, 0x7e][..], &data(&vec![5; 69_994 - 20])].concat();
    assert_eq!(payload.len(), 8 + 69_994);
    let mut packet = ipv6(0, &[]);
    packet.extend(&payload);
    packet[44..48].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    packet.extend([0; 10]);
    assert_eq!(decode(101, &packet).unwrap().0.len(), 69_974);
}

#[test]
fn hostile_extension_chains_end() {
    // Ten thousand headers of eight bytes, and one that claims more than there is.
    let payload = [[60u8, 0, 1, 4, 0, 0, 0, 0].repeat(8000), vec![60, 255]].concat();
    assert_eq!(decode(101, &ipv6(60, &payload)), Err(Skip::Malformed));
}

#[test]
fn neither_tcp_nor_ip() {
    assert_eq!(decode(1, &ethernet(0x0806, &[0; 28])), Err(Skip::NotIp));
    assert_eq!(decode(101, &ipv4(17, &udp(53, b"x"))), Err(Skip::NotTcp));
    assert_eq!(decode(101, &ipv6(59, b"")), Err(Skip::NotTcp));
    assert_eq!(decode(101, &[0x50; 40]), Err(Skip::NotIp));
    assert_eq!(decode(101, &ipv4(0, &[6; 40])), Err(Skip::NotTcp));
    let mut bad_offset = plain(b"hi");
    bad_offset[46] = 0x40;
    assert_eq!(decode(1, &bad_offset), Err(Skip::Malformed));
    assert_eq!(decode(1, b""), Err(Skip::Malformed));
}

#[test]
fn icmp_refusals() {
    let quoted4 = ipv4(6, &data(b"")[..8]);
    let quoted6 = ipv6(6, &data(b"")[..20]);
    for (packet, code) in [
        (ipv4(1, &[&[3, 13, 0, 0, 0, 0, 0, 0][..], &quoted4].concat()), 13),
        (ipv6(58, &[&[1, 4, 0, 0, 0, 0, 0, 0][..], &quoted6].concat()), 4),
    ] {
        let mut decoder = Decoder::new(&Limits::default());
        let Decoded::Unreachable(u) = decoder.decode(&frame(101, &packet, packet.len())) else { panic!() };
        assert_eq!((u.src.port(), u.dst.port(), u.seq, u.code), (40_000, 25, 7, code));
        assert!(u.dst.ip().to_string().ends_with('2') && u.reporter.to_string().ends_with('1'));
        assert_eq!(decoder.counters().unreachable, 1);
        cut_everywhere(101, &packet[..packet.len() - 20]);
    }
    // Path MTU discovery, echo, a quoted UDP packet.
    let fragmentation_needed = ipv4(1, &[&[3, 4, 0, 0, 0, 0, 5, 220][..], &quoted4].concat());
    assert_eq!(decode(101, &fragmentation_needed), Err(Skip::NotTcp));
    assert_eq!(decode(101, &ipv4(1, &[8, 0, 0, 0, 0, 0, 0, 0])), Err(Skip::NotTcp));
    let other = ipv4(1, &[&[3, 3, 0, 0, 0, 0, 0, 0][..], &ipv4(17, &udp(53, b""))].concat());
    assert_eq!(decode(101, &other), Err(Skip::NotTcp));
}

#[test]
fn the_account_adds_up() {
    let mut decoder = Decoder::new(&Limits::default());
    for (link, bytes) in [(1, plain(b"a")), (1, ethernet(0x0806, &[])), (9999, vec![]), (9999, vec![1]), (1, vec![])] {
        decoder.decode(&frame(link, &bytes, bytes.len()));
    }
    let counters = decoder.counters();
    assert_eq!((counters.frames, counters.segments), (5, 1));
    let skipped: Vec<_> = counters.skipped_by_reason().collect();
    assert_eq!(skipped, [("unknown-link-type", 2), ("not-ip", 1), ("malformed", 1)]);
    assert_eq!(counters.unknown_link_types, [(9999, 2)].into());
    assert_eq!(Skip::UnknownLinkType(1).as_str(), "unknown-link-type");
    assert_eq!(Skip::Malformed.as_str(), "malformed");
}
