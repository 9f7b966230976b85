//! pcapng: sections, interfaces, comments, secrets, damaged blocks.

use super::*;

use Order::{Big, Little};

fn head(order: Order) -> Vec<u8> {
    [section(order), interface(order, 1, 0, &[])].concat()
}

fn ng(parts: &[Vec<u8>]) -> Vec<Got> {
    read(parts.concat())
}

#[test]
fn sections_of_both_orders_with_interfaces_of_their_own() {
    let nanos = |o: Order| [option(o, 2, b"eth0"), option(o, 9, &[9]), option(o, 0, &[])].concat();
    let mut parts = Vec::new();
    for order in [Little, Big] {
        parts.push(section(order));
        parts.push(interface(order, 1, 0, &nanos(order)));
        parts.push(interface(order, 101, 0, &[]));
        let comment = [option(order, 1, b"a comment"), option(order, 0, &[])].concat();
        parts.push(enhanced(order, 0, 5_000_000_001, 1500, b"abcde", &comment));
        parts.push(enhanced(order, 1, 7, 4, b"wxyz", &[]));
    }
    for step in [1, 13, usize::MAX] {
        let mut got = read_by(parts.concat(), step).unwrap();
        // Each comment comes right before its packet.
        let comment = |frame| Got::Comment("packet", Some(frame), b"a comment".to_vec());
        assert_eq!(got.remove(0), comment(1));
        assert_eq!(got.remove(2), comment(3));
        let frame = |number, ts, interface, link, data: &[u8], original| Got::Frame {
            number,
            file: 0,
            ts,
            interface: Some(interface),
            link,
            data: data.to_vec(),
            original,
        };
        let pair = |n| [frame(n, 5_000_000_001, 0, 1, b"abcde", 1500), frame(n + 1, 7000, 1, 101, b"wxyz", 4)];
        assert_eq!(got, [pair(1), pair(3)].concat());
    }
}

#[test]
fn time_resolution_and_offset() {
    for order in [Little, Big] {
        let offset = if order == Little { (-2i64).to_le_bytes() } else { (-2i64).to_be_bytes() };
        let options = [option(order, 9, &[0x8a]), option(order, 14, &offset), option(order, 0, &[])].concat();
        let got = ng(&[section(order), interface(order, 1, 0, &options), enhanced(order, 0, 1024 * 3, 0, b"", &[])]);
        assert_eq!(times(&got), [1_000_000_000], "{order:?}");
    }
}

#[test]
fn frame_check_sequence_is_cut_off() {
    for (value, expected) in [(0, "abcdFCS!"), (4, "abcd"), (32, "abcd"), (200, "abcdFCS!")] {
        let options = [option(Little, 13, &[value]), option(Little, 0, &[])].concat();
        let head = [section(Little), interface(Little, 1, 0, &options)].concat();
        let got = ng(&[head, enhanced(Little, 0, 1, 8, b"abcdFCS!", &[]), enhanced(Little, 0, 2, 60, b"cut", &[])]);
        assert_eq!(packets(&got), [expected.as_bytes(), b"cut"], "{value}");
        let cut = 60 - (8 - expected.len() as u32);
        assert!(matches!(got[1], Got::Frame { original, .. } if original == cut), "{got:?}");
    }
}

#[test]
fn each_of_several_comments_is_told() {
    let comments = |order, texts: &[&str]| {
        let each = texts.iter().map(|text| option(order, 1, text.as_bytes()));
        each.chain([option(order, 0, &[])]).collect::<Vec<_>>().concat()
    };
    for order in [Little, Big] {
        let body = [
            &order.u32(0x1a2b_3c4d)[..],
            &order.u16(1),
            &order.u16(0),
            &[0xff; 8],
            &comments(order, &["one", "", "of three", "s3"]),
        ]
        .concat();
        let mut packet = enhanced(order, 0, 2, 1, b"d", &comments(order, &["first", "second"]));
        // Told twice though its trailer lies.
        for lie in [0, 4] {
            let at = packet.len() - 4;
            packet[at..].copy_from_slice(&order.u32(at as u32 + 4 + lie));
            let parts = [
                block(order, 0x0a0d_0d0a, &body),
                interface(order, 1, 0, &comments(order, &["a", "b"])),
                packet.clone(),
                enhanced(order, 0, 3, 1, b"e", &comments(order, &["third"])),
            ];
            let got = ng(&parts);
            let told: Vec<_> = got
                .iter()
                .filter_map(|g| if let Got::Comment(on, _, text) = g { Some((*on, text.as_slice())) } else { None })
                .collect();
            let on = |what, texts: &[&'static str]| texts.iter().map(|t| (what, t.as_bytes())).collect::<Vec<_>>();
            let packets = on("packet", &["first", "second", "third"]);
            assert_eq!(
                told,
                [on("section", &["one", "of three", "s3"]), on("interface", &["a", "b"]), packets].concat()
            );
            assert_eq!((times(&got).len(), problems(&got).len()), (2, usize::from(lie > 0)));
        }
    }
}

#[test]
fn comments_on_sections_interfaces_and_packets() {
    let comment = |order, text: &str| [option(order, 1, text.as_bytes()), option(order, 0, &[])].concat();
    let section_with = |order: Order, text| {
        let body =
            [&order.u32(0x1a2b_3c4d)[..], &order.u16(1), &order.u16(0), &[0xff; 8], &comment(order, text)].concat();
        block(order, 0x0a0d_0d0a, &body)
    };
    for order in [Little, Big] {
        let got = ng(&[
            section_with(order, "who and why"),
            interface(order, 1, 0, &[option(order, 2, b"eth0"), comment(order, "mirror")].concat()),
            enhanced(order, 0, 1, 3, b"abc", &[]),
            // Behind an option of another kind.
            enhanced(order, 0, 2, 1, b"d", &[option(order, 2, &[0; 4]), comment(order, "look")].concat()),
            // Lengths that lie are no comment.
            enhanced(order, 0, 3, 1, b"e", &[&order.u16(1)[..], &order.u16(999), b"x"].concat()),
        ]);
        let texts: Vec<_> = got
            .iter()
            .filter_map(
                |g| if let Got::Comment(on, frame, text) = g { Some((*on, *frame, text.as_slice())) } else { None },
            )
            .collect();
        let expected: [(&str, Option<u64>, &[u8]); 3] =
            [("section", None, b"who and why"), ("interface", None, b"mirror"), ("packet", Some(2), b"look")];
        assert_eq!(texts, expected);
        assert_eq!(packets(&got), [b"abc".as_slice(), b"d", b"e"]);
        assert!(matches!(got[3], Got::Comment("packet", ..)), "before its packet");
        // What mailcap wrote itself on packets.
        let program = [option(order, 4, b"mailcap 0.1.0"), option(order, 0, &[])].concat();
        let body = [&order.u32(0x1a2b_3c4d)[..], &order.u16(1), &order.u16(0), &[0xff; 8], &program].concat();
        let commented = enhanced(order, 0, 1, 3, b"abc", &comment(order, "frames 1 to 3"));
        let got = ng(&[block(order, 0x0a0d_0d0a, &body), interface(order, 1, 0, &[]), commented]);
        assert!(matches!(got[..], [Got::Frame { .. }]), "{got:?}");
    }
}

#[test]
fn simple_and_obsolete_packets() {
    let simple = |original: u32, data: &[u8]| block(Little, 3, &[&original.to_le_bytes()[..], data].concat());
    let obsolete = {
        let mut body = [&1u16.to_le_bytes()[..], &9u16.to_le_bytes()].concat();
        for field in [0u32, 3_000_000, 3, 60] {
            body.extend(field.to_le_bytes());
        }
        body.extend(b"old");
        block(Little, 2, &body)
    };
    let got = ng(&[
        section(Little),
        interface(Little, 1, 4, &[]),
        interface(Little, 101, 0, &[]),
        obsolete,
        simple(3, b"abc"),
        simple(9, b"abcd"),
    ]);
    assert_eq!(packets(&got), [b"old".as_slice(), b"abc", b"abcd"]);
    // Simple packets have no time; they take the last one.
    assert_eq!(times(&got), [3_000_000_000; 3]);
    assert!(matches!(got[0], Got::Frame { interface: Some(1), link: 101, original: 60, .. }));
    assert!(matches!(got[2], Got::Frame { interface: Some(0), link: 1, original: 9, .. }));
}

#[test]
fn secrets_and_blocks_to_pass_over() {
    let secrets = |kind: u32, text: &[u8]| {
        let body = [&kind.to_le_bytes()[..], &u32::try_from(text.len()).unwrap().to_le_bytes(), text].concat();
        block(Little, 10, &body)
    };
    let got = ng(&[
        head(Little),
        block(Little, 4, b"name resolution, damaged"),
        block(Little, 5, b"statistics"),
        block(Little, 0x0bad, b"custom"),
        block(Little, 0x7777_7777, b"unknown"),
        secrets(0x544c_534b, b"CLIENT_RANDOM 00 11\n"),
        secrets(0x5747_4b4c, b"wireguard"),
        block(Little, 9, b"__REALTIME_TIMESTAMP=1\n"),
        enhanced(Little, 0, 1, 1, b"p", &[]),
    ]);
    assert_eq!(got[0], Got::Secrets(b"CLIENT_RANDOM 00 11\n".to_vec()));
    assert!(matches!(&got[1], Got::Problem { loses: false, .. }));
    // A journal entry and a custom block count as frames in Wireshark.
    assert!(matches!(got[2], Got::Frame { number: 3, .. }));
    assert_eq!(got.len(), 3);
}

#[test]
fn a_block_that_is_too_large_counts_as_it_would_if_it_were_read() {
    let order = Order::Little;
    for (kind, number) in [(0x0bad, 2), (4, 1)] {
        let blocks = [head(order), block(order, kind, &[1; 20_000]), enhanced(order, 0, 1, 3, b"one", &[])].concat();
        for record_bytes in [30_000, 10_000] {
            let reader = Trickle { bytes: blocks.clone(), at: 0, step: usize::MAX };
            let limits = Limits { record_bytes, ..Limits::default() };
            let got = drain(&mut Capture::from_reader("test", Box::new(reader), &limits).unwrap());
            assert!(
                matches!(got.last(), Some(Got::Frame { number: n, .. }) if *n == number),
                "{record_bytes}: {got:?}"
            );
            assert_eq!(problems(&got).len(), usize::from(record_bytes < 20_000));
        }
    }
}

#[test]
fn secrets_whose_length_lies_give_what_is_there() {
    let mut dsb = block(Little, 10, &[&0x544c_534bu32.to_le_bytes()[..], &[0xff; 4], b"LINE"].concat());
    assert_eq!(ng(&[head(Little), dsb.clone()]), [Got::Secrets(b"LINE".to_vec())]);
    dsb[12..16].copy_from_slice(&2u32.to_le_bytes());
    assert_eq!(ng(&[head(Little), dsb]), [Got::Secrets(b"LI".to_vec())]);
}

#[test]
fn packet_before_its_interface() {
    let packet = |i| enhanced(Little, i, 1, 1, b"p", &[]);
    let got = ng(&[section(Little), packet(0), packet(7), interface(Little, 1, 0, &[]), packet(0)]);
    assert_eq!(problems(&got).len(), 1, "told once");
    assert!(problems(&got)[0].2);
    assert_eq!(problems(&got)[0].0, 28);
    assert!(matches!(got.last(), Some(Got::Frame { number: 3, .. })));
}

#[test]
fn lengths_that_lie() {
    for len in [0u32, 4, 11, 13, 0x7fff_ffff, 0xffff_ffff, 65 << 20] {
        let mut bad = enhanced(Little, 0, 2, 1, b"b", &[]);
        bad[4..8].copy_from_slice(&len.to_le_bytes());
        let good = |t| enhanced(Little, 0, t, 1, b"g", &[]);
        let got = ng(&[head(Little), good(1), bad, good(3)]);
        assert_eq!(times(&got), [1000, 3000], "{len}");
        assert_eq!(problems(&got).len(), 1, "{len}");
        assert_eq!(problems(&got)[0].0, 28 + 20 + 36, "{len}");
        assert!(problems(&got)[0].2);
    }
}

#[test]
fn wrong_trailer_where_the_next_block_is_sound() {
    let mut odd = enhanced(Little, 0, 2, 1, b"b", &[]);
    let end = odd.len();
    odd[end - 4..].copy_from_slice(&[9, 0, 0, 0]);
    let got = ng(&[head(Little), odd, enhanced(Little, 0, 3, 1, b"g", &[])]);
    assert_eq!(times(&got), [2000, 3000]);
    assert_eq!(problems(&got).len(), 1);
    assert!(!problems(&got)[0].2);
}

#[test]
fn captured_length_beyond_the_block() {
    let mut bad = enhanced(Little, 0, 2, 4, b"four", &[]);
    bad[20..24].copy_from_slice(&0xffff_ffffu32.to_le_bytes());
    let got = ng(&[head(Little), bad, enhanced(Little, 0, 3, 1, b"g", &[])]);
    assert_eq!(packets(&got), [b"four".as_slice(), b"g"]);
    assert_eq!(problems(&got).len(), 1);
}

#[test]
fn cut_at_every_offset() {
    let packet = enhanced(Big, 0, 1, 3, b"abc", &[]);
    let whole = [head(Big), packet.clone(), packet].concat();
    for len in 28..whole.len() {
        let got = read(whole[..len].to_vec());
        assert_eq!(times(&got).len(), len.saturating_sub(48) / 36, "{len}");
        let boundary = [28, 48, 84].contains(&len);
        assert_eq!(problems(&got).len(), usize::from(!boundary), "{len}: {got:?}");
        assert!(problems(&got).iter().all(|p| p.2));
    }
}

#[test]
fn a_million_interfaces() {
    let one = interface(Little, 1, 0, &[]);
    let mut file = section(Little);
    for _ in 0..1_000_000 {
        file.extend_from_slice(&one);
    }
    file.extend(enhanced(Little, 999_999, 1, 1, b"p", &[]));
    let got = read(file);
    assert!(matches!(got[..], [Got::Frame { interface: Some(999_999), .. }]), "{:?}", problems(&got));
}

#[test]
fn damaged_options_cost_only_the_options() {
    let broken = interface(Little, 101, 0, &[9, 0, 0xff, 0xff, 1, 2, 3, 4]);
    let got = ng(&[section(Little), broken, enhanced(Little, 0, 1, 1, b"p", &[9, 9, 0xff, 0xff])]);
    assert!(matches!(got[..], [Got::Frame { link: 101, ts: 1000, .. }]), "{got:?}");
}

#[test]
fn unaligned_length_with_padding_beyond_it() {
    // As in the files of ntar, the first implementation: the length leaves the padding out, the trailer stands behind
    // it.
    let mut packet = enhanced(Little, 0, 2, 1, b"p", &[]);
    let end = packet.len();
    packet[4..8].copy_from_slice(&33u32.to_le_bytes());
    packet[end - 4..].copy_from_slice(&33u32.to_le_bytes());
    let got = ng(&[head(Little), packet.clone(), packet]);
    assert_eq!(packets(&got), [b"p", b"p"]);
    assert_eq!(problems(&got), []);
}
