//! The pcap formats: dialects of the header, cut and damaged files.

use super::*;

const MICRO: u32 = 0xa1b2_c3d4;
const NANO: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;

#[test]
fn both_orders_and_resolutions_by_any_pieces() {
    for order in [Order::Little, Order::Big] {
        for (magic, unit) in [(MICRO, 1000), (NANO, 1)] {
            let mut file = pcap_header(order, magic, 101);
            file.extend(pcap_record_of(order, 1_700_000_000, 999_999, 1514, b"hello"));
            file.extend(pcap_record(order, u32::MAX, 0, b""));
            for step in [1, 7, usize::MAX] {
                let got = read_by(file.clone(), step).unwrap();
                let frame = |number, ts, data: &[u8], original| Got::Frame {
                    number,
                    file: 0,
                    ts,
                    interface: None,
                    link: 101,
                    data: data.to_vec(),
                    original,
                };
                let first = 1_700_000_000_000_000_000 + 999_999 * unit;
                assert_eq!(got, [frame(1, first, b"hello", 1514), frame(2, 4_294_967_295_000_000_000, b"", 0)]);
            }
        }
    }
}

#[test]
fn modified_with_longer_record_headers() {
    for order in [Order::Little, Order::Big] {
        for extra in [8, 12] {
            let mut file = pcap_header(order, MODIFIED, 1);
            for data in [b"first packet".as_slice(), b"second", b"third one"] {
                let record = pcap_record(order, 1000, 5, data);
                file.extend(&record[..16]);
                file.extend(vec![0xee; extra]);
                file.extend(data);
            }
            let got = read(file);
            assert_eq!(packets(&got), [b"first packet".as_slice(), b"second", b"third one"], "{order:?} {extra}");
            assert_eq!(times(&got)[0], 1_000_000_005_000);
        }
    }
}

#[test]
fn longer_record_headers_under_the_common_magic() {
    // Nokia's and Red Hat 6.1's, and the common one.
    for (extra, records) in [(4, 3), (8, 3), (8, 5), (0, 3), (0, 1)] {
        let mut file = pcap_header(Order::Little, MICRO, 1);
        let mut sent = Vec::new();
        for n in 0..records {
            let data = format!("packet number {n}").into_bytes();
            let record = pcap_record(Order::Little, 1_700_000_000, 5, &data);
            file.extend(&record[..16]);
            file.extend(&[2, 0, 0, 0, 8, 0, 1, 0][..extra]);
            file.extend(&data);
            sent.push(data);
        }
        assert_eq!(packets(&read(file)), sent, "{extra} {records}");
    }
    // One damaged record does not make it another format.
    let mut file = pcap_at(&[1, 2, 3]);
    file[24 + 17 + 8] = 0xff;
    assert_eq!(times(&read(file))[0], 1_000_000_000);
}

#[test]
fn ixia() {
    let mut file = pcap_header(Order::Little, 0x1c00_01ac, 1);
    file.extend([0; 4]);
    file.extend(pcap_record(Order::Little, 1, 2, b"x"));
    assert_eq!(times(&read(file)), [1_000_000_002]);
}

#[test]
fn frame_check_sequence_is_cut_off() {
    // FCS present, two 16-bit words.
    let mut file = pcap_header(Order::Little, MICRO, 0x2400_0001);
    file.extend(pcap_record(Order::Little, 1, 0, b"dataFCS!"));
    file.extend(pcap_record_of(Order::Little, 1, 0, 100, b"datacut"));
    file.extend(pcap_record_of(Order::Little, 1, 0, 8, b"dataFC"));
    let got = read(file);
    assert_eq!(packets(&got), [b"data".as_slice(), b"datacut", b"data"]);
    assert!(matches!(got[0], Got::Frame { link: 1, original: 4, .. }));
    assert!(matches!(got[1], Got::Frame { original: 96, .. }));
}

#[test]
fn cut_at_every_offset() {
    let whole = pcap_at(&[1, 2, 3]);
    for len in 24..whole.len() {
        let got = read(whole[..len].to_vec());
        let packets = (len - 24) / 17;
        assert_eq!(times(&got).len(), packets, "{len}");
        let cut = (len - 24) % 17 != 0;
        let expected: Vec<u64> = cut.then_some(24 + 17 * packets as u64).into_iter().collect();
        let told = problems(&got);
        assert_eq!(told.iter().map(|p| p.0).collect::<Vec<_>>(), expected);
        assert!(told.iter().all(|p| p.2 && p.1.contains("ends inside")));
    }
}

#[test]
fn lying_lengths() {
    for captured in [0xffff_ffff, 0x7fff_ffff, 65 << 20, 5 << 20] {
        let mut file = pcap_at(&[1000]);
        for field in [1001, 0, captured, 0xffff_ffff] {
            file.extend(Order::Little.u32(field));
        }
        file.extend([0xaa; 40]);
        file.extend(&pcap_at(&[1002, 1003])[24..]);
        let got = read(file);
        // The packets behind the damage are found again.
        assert_eq!(times(&got), [1000, 1002, 1003].map(|s| s * 1_000_000_000), "{captured}");
        assert_eq!(problems(&got).len(), 1);
        assert_eq!(problems(&got)[0].0, 41);
        assert!(problems(&got)[0].2);
    }
}

#[test]
fn damage_to_the_end() {
    let mut file = pcap_at(&[1]);
    file.extend([0xff; 5000]);
    let got = read(file);
    assert_eq!(times(&got).len(), 1);
    assert!(problems(&got)[0].1.contains("the rest of the file is not read"));
}

#[test]
fn captured_beyond_original() {
    let mut file = pcap_header(Order::Little, MICRO, 1);
    file.extend(pcap_record_of(Order::Little, 1, 0, 2, b"abcdef"));
    file.extend(pcap_record(Order::Little, 2, 0, b"next"));
    assert_eq!(packets(&read(file)), [b"abcdef".as_slice(), b"next"]);
}

#[test]
fn an_original_length_below_the_captured_one_hides_nothing_behind_a_pause() {
    let start = 1_700_000_000;
    // None, or that of the network layer; nanoseconds under the common magic.
    for (original, fraction, pause) in
        [(0, 0, 2 * 86_400), (46, 0, 90_000), (0, 999_999_999, 1), (0, 999_999_999, 90_000)]
    {
        let mut file = pcap_header(Order::Little, MICRO, 1);
        for n in 0..4 {
            file.extend(pcap_record_of(Order::Little, start + n * pause, fraction, original, &[0xab; 60]));
        }
        let got = read(file);
        assert_eq!((packets(&got).len(), problems(&got).len()), (4, 0), "{original} {fraction} {pause}");
    }
    // Nor where the clock goes back.
    let mut file = pcap_header(Order::Little, MICRO, 1);
    for n in 0..4 {
        file.extend(pcap_record_of(Order::Little, start - n * 90_000, 7, 0, &[0xab; 60]));
    }
    assert_eq!(packets(&read(file)).len(), 4);
    // Damage in such a file hides no more than itself, either.
    let mut file = pcap_header(Order::Little, MICRO, 1);
    for n in 0..9 {
        file.extend(pcap_record_of(Order::Little, start + n, 0, 46, &[0xab; 60]));
    }
    file[24 + 76 * 3 + 8..][..4].copy_from_slice(&Order::Little.u32(300_000));
    let got = read(file);
    assert_eq!((packets(&got).len(), problems(&got).len()), (8, 1));
}

#[test]
fn a_zeroed_page_hides_no_more_than_itself() {
    // A page, and more than is looked at in one go.
    for (len, step) in [(4096, usize::MAX), (4096, 7), (3 << 20, usize::MAX)] {
        let pages = Vec::from_iter((0..len).map(|_| 0));
        // At any place of a record, its header included.
        for at in 0..if len > 4096 { 9 } else { 17 } {
            let mut file = pcap_at(&[1_700_000_000, 1_700_000_001]);
            file.truncate(24 + 17 + at);
            file.extend(&pages);
            // The rest of a packet's bytes.
            file.extend([0xee; 30]);
            file.extend(&pcap_at(&[1_700_000_002, 1_700_000_003])[24..]);
            let got = read_by(file, step).unwrap();
            let found = times(&got);
            let wanted = [1_700_000_000, 1_700_000_002, 1_700_000_003].map(|s| s * 1_000_000_000);
            assert!(wanted.iter().all(|time| found.contains(time)), "{at}: {found:?}");
            assert!(found.len() <= 4, "{at}: {found:?}");
            assert_eq!(problems(&got).len(), 1, "{at}");
        }
    }
    // A file that was given its length before it was filled.
    let mut file = pcap_at(&[1]);
    file.extend([0; 5000]);
    let got = read(file);
    assert_eq!((times(&got).len(), problems(&got).len()), (1, 1));
}

#[test]
fn a_damaged_length_hides_no_packets_behind_it() {
    let record = |time: u32| pcap_record(Order::Little, time, 0, &[0xab; 60]);
    for captured in [61, 100, 5001, 300_000] {
        let mut file = pcap_header(Order::Little, MICRO, 1);
        for n in 0..9000 {
            file.extend(record(1_700_000_000 + n));
        }
        file[24 + 76 * 3 + 8..][..4].copy_from_slice(&Order::Little.u32(captured));
        let got = read(file);
        assert_eq!(times(&got).len(), 8999, "{captured}");
        assert_eq!(
            problems(&got),
            [(
                24 + 76 * 3,
                &*format!("a packet claims {captured} captured bytes; 76 bytes skipped up to the next packet"),
                true
            )]
        );
    }
}

/// On a loopback interface packets begin with zeros: four bytes too far, fraction, lengths and the first of them read
/// like a record's header that states no original length, of 1970.
#[test]
fn a_length_that_is_four_too_large_on_loopback_costs_one_packet() {
    let mut file = pcap_header(Order::Little, MICRO, 1);
    for n in 0..9u32 {
        let packet = [&[0; 12][..], &[8, 0], &[0xab; 52]].concat();
        file.extend(pcap_record(Order::Little, 1_700_000_000 + n, 500_000 + n, &packet));
    }
    file[24 + 82 * 3 + 8..][..4].copy_from_slice(&Order::Little.u32(70));
    let got = read(file);
    assert_eq!(times(&got).len(), 8);
    assert_eq!(problems(&got).len(), 1);
}

/// A byte too many, or a length that is too small by one: the next header, read one byte too early, has lengths that may
/// be, and a time that was taken for the file's.
#[test]
fn a_byte_too_many_costs_no_more_than_the_packet_that_it_is_in() {
    for magic in [MICRO, NANO] {
        let mut file = pcap_header(Order::Little, magic, 1);
        for n in 0..9000u32 {
            file.extend(pcap_record(Order::Little, 1_700_000_000 + n, 500_000 + n, &[0xab; 60]));
        }
        let header = 24 + 76 * 4000;
        let mut inserted = file.clone();
        inserted.insert(header + 30, 0xcd);
        let mut short = file.clone();
        short[header + 8] -= 1;
        // Near the end that header claims more than there is.
        let mut late = file.clone();
        late[24 + 76 * 8990 + 8] -= 1;
        for damaged in [inserted, short, late] {
            let got = read(damaged);
            assert_eq!((times(&got).len(), problems(&got).len()), (9000, 1), "{magic:x}");
            assert!(problems(&got)[0].1.ends_with("; 1 byte skipped up to the next packet") && problems(&got)[0].2);
        }
    }
}

#[test]
fn a_jump_of_the_clock_is_no_damage() {
    let now = 1_700_000_000;
    // Set right and back, days of silence, files joined in any order; the last packet is cut.
    for times_of in [vec![10, now, 20, now + 1], vec![now, 2 * 86_400 + now, 9 * 86_400 + now], vec![now, 5, 6, 7, now]]
    {
        for cut in [0, 7] {
            let mut file = pcap_header(Order::Little, MICRO, 1);
            times_of.iter().for_each(|&time| file.extend(pcap_record(Order::Little, time, 1, &[0xab; 60])));
            file.truncate(file.len() - cut);
            let got = read(file);
            let whole = times_of.len() - usize::from(cut > 0);
            assert_eq!(times(&got).len(), whole, "{times_of:?} {cut}");
            assert!(
                problems(&got).iter().all(|p| p.1 == "the file ends inside the last packet"),
                "{:?}",
                problems(&got)
            );
        }
    }
    // Fractions that none are, at any time: believed, and looked into once.
    let mut file = pcap_header(Order::Little, MICRO, 1);
    (0..9000).for_each(|n| file.extend(pcap_record(Order::Little, now ^ (n << 20), u32::MAX - n, &[0xab; 60])));
    let got = read(file);
    assert_eq!((times(&got).len(), problems(&got).len()), (9000, 0));
}

/// What follows a jump may be empty, or larger than the file's header says, or lie between two more: then it was not
/// taken for a record, and up to the next two of the last one's day all was skipped.
#[test]
fn records_behind_a_jump_of_the_clock_may_have_any_lengths() {
    let mut file = pcap_header(Order::Little, MICRO, 1);
    file[16..20].copy_from_slice(&Order::Little.u32(68));
    for n in 0..50 {
        let time = 1_700_000_000 + n % 2 * 9 * 86_400;
        file.extend(pcap_record(Order::Little, time, 1, &[0xab; 60]));
        file.extend(pcap_record_of(Order::Little, time, 2, 60, b""));
        file.extend(pcap_record(Order::Little, time + 9 * 86_400, 3, &[0xab; 1400]));
        file.extend(pcap_record(Order::Little, time, 4, &[0xab; 1400]));
    }
    let got = read(file);
    assert_eq!((times(&got).len(), problems(&got).len()), (200, 0));
}

/// They were no records, so that all the days between the jumps were skipped.
#[test]
fn empty_records_behind_a_jump_of_the_clock_hide_nothing() {
    for empty in [1, 3] {
        let mut file = pcap_header(Order::Little, MICRO, 1);
        for n in 0..60 {
            let time = 1_700_000_000 + n + if (20..40).contains(&n) { 3 * 86_400 } else { 0 };
            file.extend(pcap_record(Order::Little, time, 1, &[0xab; 60]));
            if n == 20 || n == 40 || n == 59 {
                (0..empty).for_each(|_| file.extend(pcap_record(Order::Little, time, 2, b"")));
            }
        }
        let got = read(file);
        assert_eq!((times(&got).len(), problems(&got)), (60 + 3 * empty, vec![]));
    }
}

/// A length that may be one, but reaches beyond the file's end, was taken for that of a last packet that is cut.
#[test]
fn a_length_beyond_the_end_does_not_hide_what_is_before_it() {
    let mut file = pcap_at(&[1, 2, 3, 4, 5]);
    file[24 + 17 + 8..][..8].copy_from_slice(&[100_000, 200_000].map(|n| Order::Little.u32(n)).concat());
    let got = read(file);
    assert_eq!((times(&got).len(), problems(&got).len()), (4, 1));
    assert_eq!(problems(&got)[0].1, "a packet claims 100000 captured bytes; 17 bytes skipped up to the next packet");
}

/// Of a wrong time, or no record at all: damage behind it made the rest of the file unreadable, as nothing was near.
#[test]
fn damage_behind_a_record_of_another_time_costs_one_packet() {
    let mut file = pcap_header(Order::Little, MICRO, 1);
    for n in 0..90 {
        let time = if n == 40 || n == 41 { (n - 39) * 100_000 } else { 1_700_000_000 + n };
        file.extend(pcap_record(Order::Little, time, 1, &[0xab; 60]));
    }
    file[24 + 76 * 42..][..16].fill(0xff);
    let got = read(file);
    assert_eq!((times(&got).len(), problems(&got).len()), (89, 1));
}

#[test]
fn a_clock_that_falls_back_to_its_first_day_ends_no_file_without_original_lengths() {
    for first in [0, 10, 946_684_800] {
        let mut file = pcap_header(Order::Little, MICRO, 1);
        (0..5).for_each(|n| file.extend(pcap_record_of(Order::Little, 1_700_000_000 + n, 7, 0, &[0xab; 60])));
        (0..5).for_each(|n| file.extend(pcap_record_of(Order::Little, first + n, 7, 0, &[0xab; 60])));
        let got = read(file);
        assert_eq!((times(&got).len(), problems(&got).len()), (10, 0), "{first}");
    }
}

#[test]
fn old_files_with_swapped_lengths() {
    let mut file = pcap_header(Order::Little, MICRO, 1);
    file[6] = 3;
    let mut record = pcap_record_of(Order::Little, 1, 0, 60, b"abc");
    record[8..16].rotate_left(4);
    file.extend(record);
    assert_eq!(packets(&read(file)), [b"abc"]);
}

#[test]
fn appended_files_go_on() {
    let mut file = pcap_at(&[1, 2]);
    file.extend(pcap_header(Order::Little, MICRO, 228));
    file.extend(pcap_record(Order::Little, 3, 0, b"z"));
    let got = read(file);
    assert_eq!(times(&got), [1, 2, 3].map(|s| s * 1_000_000_000));
    assert!(matches!(got.last(), Some(Got::Frame { number: 3, link: 228, .. })));
    assert_eq!(problems(&got), [(58, "another pcap file is appended here; reading continues", false)]);
    // Of another byte order and resolution.
    let mut file = pcap_at(&[1, 2]);
    file.extend(pcap_header(Order::Big, NANO, 1));
    file.extend(pcap_record(Order::Big, 3, 7, b"z"));
    assert_eq!(times(&read(file)), [1_000_000_000, 2_000_000_000, 3_000_000_007]);
}

#[test]
fn packets_larger_than_the_buffer() {
    let large = vec![7; 600_000];
    let mut file = pcap_header(Order::Little, MICRO, 1);
    for _ in 0..3 {
        file.extend(pcap_record(Order::Little, 1, 0, &large));
    }
    let got = read(file);
    assert_eq!(packets(&got), [large.as_slice(), &large, &large]);
}
