//! Datagrams in fragments: order, copies, overlaps, bounds.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000_000;

/// Decodes packets on raw IP in turn; the last one's outcome.
fn last(limits: &Limits, packets: &[(Vec<u8>, i64)]) -> (Seen, Decoder) {
    let mut decoder = Decoder::new(limits);
    let mut result = Err(Skip::NotIp);
    for (packet, time) in packets {
        let mut frame = frame(101, packet, packet.len());
        frame.pos.ts = Timestamp(*time);
        result = seen(decoder.decode(&frame));
    }
    (result, decoder)
}

fn all(packets: &[Vec<u8>]) -> Seen {
    let packets: Vec<_> = packets.iter().map(|p| (p.clone(), 0)).collect();
    last(&Limits::default(), &packets).0
}

/// A segment whose payload is known.
fn whole() -> (Vec<u8>, Vec<u8>) {
    let payload: Vec<u8> = (0..200).collect();
    (data(&payload), payload)
}

/// The IPv4 fragment of `segment` from `from` to `to`.
fn part4(segment: &[u8], id: u16, from: usize, to: usize) -> Vec<u8> {
    let more = if to < segment.len() { 0x2000 } else { 0 };
    ipv4_with(6, id, more | u16::try_from(from / 8).unwrap(), &[], &segment[from..to])
}

/// The IPv6 one.
fn part6(segment: &[u8], next: u8, from: usize, to: usize) -> Vec<u8> {
    let more = u16::from(to < segment.len());
    let field = u16::try_from(from).unwrap() | more;
    let header = [&[next, 0][..], &field.to_be_bytes(), &[0, 0, 0, 77]].concat();
    ipv6(44, &[&header[..], &segment[from..to]].concat())
}

#[test]
fn any_order_and_duplicates() {
    let (segment, payload) = whole();
    let cuts = [(0, 80), (80, 160), (160, 220)];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        for parts in [part4 as fn(&[u8], u16, usize, usize) -> Vec<u8>, |s, _, a, b| part6(s, 6, a, b)] {
            let mut packets: Vec<Vec<u8>> =
                order.iter().map(|&i: &usize| parts(&segment, 1, cuts[i].0, cuts[i].1)).collect();
            packets.insert(1, packets[0].clone());
            assert_eq!(all(&packets[..3]), Err(Skip::FragmentHeld));
            assert_eq!(all(&packets), Ok((payload.clone(), 0, None, None)), "{order:?}");
        }
    }
}

#[test]
fn the_first_bytes_win_where_fragments_overlap() {
    let (segment, mut payload) = whole();
    let other = vec![0xee; segment.len()];
    // The second one claims 80 to 160 too, and 160 to 176 for the first time.
    let packets = [
        part4(&segment, 1, 80, 160),
        part4(&other, 1, 72, 176),
        part4(&segment, 1, 0, 80),
        part4(&segment, 1, 160, 220),
    ];
    let expected = {
        payload[72 - 20..80 - 20].fill(0xee);
        payload[160 - 20..176 - 20].fill(0xee);
        payload
    };
    assert_eq!(all(&packets), Ok((expected, 0, None, None)));
}

#[test]
fn atomic_fragments_and_headers_behind_the_fragment_header() {
    let (segment, payload) = whole();
    assert_eq!(all(&[part6(&segment, 6, 0, 220)]), Ok((payload.clone(), 0, None, None)));
    let with_options = [&[6, 0, 1, 4, 0, 0, 0, 0][..], &segment].concat();
    let parts = [part6(&with_options, 60, 0, 80), part6(&with_options, 60, 80, 228)];
    assert_eq!(all(&parts), Ok((payload, 0, None, None)));
}

#[test]
fn identifications_and_ends_keep_datagrams_apart() {
    let (segment, _) = whole();
    let parts = [part4(&segment, 1, 0, 80), part4(&segment, 2, 80, 220)];
    assert_eq!(all(&parts), Err(Skip::FragmentHeld));
}

#[test]
fn old_halves_are_not_joined() {
    let (segment, payload) = whole();
    let limits = Limits::default();
    let (first, second) = (part4(&segment, 1, 0, 80), part4(&segment, 1, 80, 220));
    let late = limits.fragment_timeout + 1;
    let (got, decoder) = last(&limits, &[(first.clone(), 0), (second.clone(), late)]);
    assert_eq!(got, Err(Skip::FragmentHeld));
    assert_eq!((decoder.abandoned_datagrams(), decoder.unfinished_datagrams()), (1, 1));
    let (got, _) = last(&limits, &[(first.clone(), 0), (second.clone(), SECOND), (first, 2 * SECOND)]);
    assert_eq!(got, Err(Skip::FragmentHeld));
    let (got, _) = last(&limits, &[(second, 0), (part4(&segment, 1, 0, 80), SECOND)]);
    assert_eq!(got, Ok((payload, 0, None, None)));
}

#[test]
fn bounds_hold() {
    let (segment, payload) = whole();
    let limits = Limits { fragment_datagrams: 4, fragments_per_datagram: 3, fragment_bytes: 2000, ..Limits::default() };
    // Many that never finish do not hold up one that does.
    let mut packets: Vec<_> = (0..1000).map(|id| (part4(&segment, id, 80, 160), 0)).collect();
    packets.push((part4(&segment, 5000, 0, 80), 0));
    packets.push((part4(&segment, 5000, 80, 220), 0));
    let (got, decoder) = last(&limits, &packets);
    assert_eq!(got, Ok((payload, 0, None, None)));
    assert_eq!(decoder.unfinished_datagrams(), 3);
    assert_eq!(decoder.abandoned_datagrams(), 997);
    // Too many pieces.
    let packets: Vec<_> = (1..5).map(|i| (part4(&segment, 1, i * 8, i * 8 + 8), 0)).collect();
    assert_eq!(last(&limits, &packets).0, Err(Skip::FragmentLimit));
    // A far offset needs more bytes than allowed.
    let far = ipv4_with(6, 1, 0x2000 | 1000, &[], &[0; 8]);
    assert_eq!(last(&limits, &[(far, 0)]).0, Err(Skip::FragmentLimit));
}

#[test]
fn beyond_the_largest_datagram() {
    let death = ipv4_with(6, 1, 8191, &[], &[0; 64]);
    assert_eq!(all(&[death]), Err(Skip::Malformed));
    assert_eq!(all(&[ipv4_with(6, 1, 0x2000, &[], &[])]), Err(Skip::Malformed));
}

#[test]
fn a_tunnel_in_fragments_with_fragments_inside() {
    let (segment, payload) = whole();
    let inner = [part4(&segment, 9, 0, 80), part4(&segment, 9, 80, 220)];
    let mut packets = Vec::new();
    for (id, packet) in (1u16..).zip(&inner) {
        let outer = ipv4(4, packet);
        let body = &outer[20..];
        packets.push(ipv4_with(4, id, 0x2000, &[], &body[..48]));
        packets.push(ipv4_with(4, id, 6, &[], &body[48..]));
    }
    let tunnel = Some(Tunnel { kind: "ipip", id: None });
    assert_eq!(all(&packets), Ok((payload, 0, None, tunnel)));
}

#[test]
fn a_fragment_cut_by_the_snaplen() {
    let (segment, payload) = whole();
    let mut decoder = Decoder::new(&Limits::default());
    let (first, second) = (part4(&segment, 1, 0, 80), part4(&segment, 1, 80, 220));
    assert_eq!(seen(decoder.decode(&frame(101, &second[..60], second.len()))), Err(Skip::FragmentHeld));
    // 80 bytes of the segment and 40 of its second part were captured.
    let expected = Ok((payload[..100].to_vec(), 100, None, None));
    assert_eq!(seen(decoder.decode(&frame(101, &first, first.len()))), expected);
}

#[test]
fn many_pieces_take_linear_time() {
    // The worst for a list of ranges: every second piece from the end, then the others.
    let limits = Limits { fragments_per_datagram: 9000, ..Limits::default() };
    let mut decoder = Decoder::new(&limits);
    let offsets = (0..4000u16).rev().map(|i| 2 * i + 1).chain((0..4000).map(|i| 2 * i));
    let mut segment = data(&[]);
    segment.resize(64_000, 1);
    let mut result = Err(Skip::NotIp);
    for offset in offsets {
        let from = usize::from(offset) * 8;
        let packet = part4(&segment, 1, from, from + 8);
        result = seen(decoder.decode(&frame(101, &packet, packet.len())));
    }
    assert_eq!(result.unwrap().0.len(), 63_980);
}

/// A datagram in pieces: cuts at multiples of eight, some pieces again, some that overlap others, in any order.
#[derive(Clone, Debug)]
struct Pieces {
    v6: bool,
    len: usize,
    /// From and to, in eights, and what to sort by.
    parts: Vec<(usize, usize, u32)>,
}

fn pieces() -> impl Strategy<Value = Pieces> {
    let parts = |eights: usize| {
        let cuts = proptest::collection::btree_set(1..eights, 1..(eights - 1).min(12));
        let more = proptest::collection::vec((0..eights, 1..eights), 0..6);
        (cuts, more, proptest::collection::vec(any::<u32>(), 32)).prop_map(move |(cuts, more, order)| {
            let edges: Vec<usize> = BTreeSet::from([0, eights]).union(&cuts).copied().collect();
            let own = edges.windows(2).map(|edge| (edge[0], edge[1]));
            let again = more.into_iter().map(|(from, len)| (from, (from + len).min(eights)));
            own.chain(again).zip(order).map(|((from, to), at)| (from, to, at)).collect()
        })
    };
    (any::<bool>(), 40usize..3000).prop_flat_map(move |(v6, len)| {
        (Just(v6), Just(len), parts(len.div_ceil(8))).prop_map(|(v6, len, parts)| Pieces { v6, len, parts })
    })
}

impl Pieces {
    /// The datagram's segment, its bytes another for each number.
    fn segment(&self, number: usize) -> Vec<u8> {
        data(&(0..self.len - 20).map(|i| (i * 7 + i / 256 + number * 31) as u8).collect::<Vec<_>>())
    }

    /// What the fragments are, each with what to sort by.
    fn packets(&self, number: usize) -> Vec<(u32, Vec<u8>)> {
        let segment = self.segment(number);
        let part = |&(from, to, at): &(usize, usize, u32)| {
            let (from, to) = (from * 8, (to * 8).min(segment.len()));
            let mut packet = match self.v6 {
                false => part4(&segment, number as u16, from, to),
                true => part6(&segment, 6, from, to),
            };
            if self.v6 {
                packet[44..48].copy_from_slice(&(number as u32).to_be_bytes());
            }
            (at, packet)
        };
        self.parts.iter().map(part).collect()
    }
}

proptest! {
    #[test]
    fn datagrams_in_any_pieces_and_any_order(datagrams in proptest::collection::vec(pieces(), 1..8)) {
        let mut packets: Vec<(u32, Vec<u8>)> = Vec::new();
        for (number, datagram) in datagrams.iter().enumerate() {
            packets.extend(datagram.packets(number));
        }
        packets.sort_by_key(|(at, _)| *at);
        let mut decoder = Decoder::new(&Limits::default());
        let mut whole: BTreeSet<Vec<u8>> = BTreeSet::new();
        for (_, packet) in &packets {
            match seen(decoder.decode(&frame(101, packet, packet.len()))) {
                // Copies that come later can make another datagram of the same bytes.
                Ok((payload, 0, None, None)) => drop(whole.insert(payload)),
                Err(Skip::FragmentHeld) => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }
        let wanted = datagrams.iter().enumerate().map(|(number, d)| d.segment(number)[20..].to_vec()).collect();
        prop_assert_eq!(whole, wanted);
        prop_assert_eq!(decoder.abandoned_datagrams(), 0);
    }

    #[test]
    fn bounds_hold_for_any_pieces(
        datagrams in proptest::collection::vec(pieces(), 1..40),
        kept in 1usize..6,
        pieces in 1usize..10,
        bytes in 100usize..5000,
    ) {
        let limits = Limits {
            fragment_datagrams: kept, fragments_per_datagram: pieces, fragment_bytes: bytes, ..Limits::default()
        };
        let mut packets: Vec<(u32, Vec<u8>)> = Vec::new();
        for (number, datagram) in datagrams.iter().enumerate() {
            packets.extend(datagram.packets(number));
        }
        packets.sort_by_key(|(at, _)| *at);
        let mut decoder = Decoder::new(&limits);
        for (_, packet) in &packets {
            let seen = seen(decoder.decode(&frame(101, packet, packet.len())));
            if let Ok((payload, cut, ..)) = seen {
                let whole = datagrams.iter().enumerate().any(|(number, d)| d.segment(number)[20..] == payload);
                prop_assert!(whole && cut == 0);
            } else {
                prop_assert!(matches!(seen, Err(Skip::FragmentHeld | Skip::FragmentLimit)), "{seen:?}");
            }
            prop_assert!(decoder.unfinished_datagrams() <= kept);
            prop_assert!(decoder.fragment_bytes() <= bytes);
        }
    }
}

#[test]
fn copies_of_fragments_are_not_joined_with_the_next_datagram_of_that_identification() {
    let (segment, payload) = whole();
    let other: Vec<u8> = payload.iter().rev().copied().collect();
    let next = data(&other);
    // Each fragment twice in a row, and the same identification again a little later.
    let twice = |segment: &[u8], at: i64| {
        let parts = [part4(segment, 7, 0, 160), part4(segment, 7, 160, 220)];
        parts.into_iter().flat_map(move |part| [(part.clone(), at), (part, at + 20_000)]).collect::<Vec<_>>()
    };
    for pause in [SECOND, 2_000_000] {
        let mut packets = [twice(&segment, 0), twice(&next, pause)].concat();
        packets.pop();
        let (result, decoder) = last(&Limits::default(), &packets);
        assert_eq!(result, Ok((other.clone(), 0, None, None)), "{pause}");
        assert_eq!(decoder.unfinished_datagrams(), 0);
    }
}
