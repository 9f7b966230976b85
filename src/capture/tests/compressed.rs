//! Captures inside gzip, zstd, xz, lz4 and bzip2: joined, cut, damaged, hostile.

use std::io::Write;

use super::*;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// Many packets that do not compress to nothing.
fn sample() -> Vec<u8> {
    let mut file = pcap_at(&[]);
    let mut state = 1u32;
    for i in 0..2000 {
        let mut data = Vec::new();
        for _ in 0..50 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            data.extend(state.to_le_bytes());
        }
        file.extend(pcap_record(Order::Little, i, 0, &data));
    }
    file
}

#[test]
fn gzip_members_one_behind_the_other() {
    let file = sample();
    let (a, b) = file.split_at(100_001);
    let got = read([gzip(a), gzip(b)].concat());
    assert_eq!(got, read(file));
}

#[test]
fn zeros_behind_gzip_members_are_padding() {
    let file = sample();
    let (a, b) = file.split_at(100_001);
    assert_eq!(read([gzip(a), vec![0; 512], gzip(b), vec![0; 300_000]].concat()), read(file));
}

#[test]
fn twice_compressed() {
    let file = pcap_at(&[1, 2]);
    assert_eq!(read(gzip(&gzip(&file))), read(file));
}

#[test]
fn truncated_gzip_gives_what_was_before() {
    let whole = gzip(&sample());
    let got = read(whole[..whole.len() / 2].to_vec());
    let packets = times(&got).len();
    assert!((900..=1100).contains(&packets), "{packets}");
    let told = problems(&got);
    assert_eq!(told.len(), 1);
    assert!(told[0].2 && told[0].1.contains("reading stopped"), "{told:?}");
}

#[test]
fn a_gzip_bomb_is_streamed() {
    // 64 MiB of packets of zeros in 64 KiB: read to the end, none kept.
    let mut file = pcap_at(&[]);
    let record = pcap_record(Order::Little, 1, 0, &[0; 65_536]);
    for _ in 0..1024 {
        file.extend_from_slice(&record);
    }
    let bomb = gzip(&file);
    let mut capture =
        Capture::from_reader("bomb", Box::new(Trickle { bytes: bomb, at: 0, step: usize::MAX }), &Limits::default())
            .unwrap();
    let mut frames = 0;
    while let Some(Item::Frame(_)) = capture.next() {
        frames += 1;
    }
    assert_eq!(frames, 1024);
    assert_eq!(capture.bytes_read(), file.len() as u64);
}

#[cfg(feature = "compression")]
mod others {
    use super::*;

    fn all(data: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let mut zs = zstd::Encoder::new(Vec::new(), 1).unwrap();
        zs.include_checksum(true).unwrap();
        zs.write_all(data).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(data).unwrap();
        let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz.write_all(data).unwrap();
        // Checksums, so that damage can be seen; blocks smaller than the file, so that a cut leaves something.
        let info =
            lz4_flex::frame::FrameInfo::new().block_size(lz4_flex::frame::BlockSize::Max64KB).content_checksum(true);
        let mut lz = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        lz.write_all(data).unwrap();
        vec![
            ("zstd", zs.finish().unwrap()),
            ("xz", xz.finish().unwrap()),
            ("bzip2", bz.finish().unwrap()),
            ("lz4", lz.finish().unwrap()),
            ("gzip", gzip(data)),
        ]
    }

    #[test]
    fn each_whole_joined_and_cut() {
        let file = sample();
        let expected = read(file.clone());
        let (a, b) = file.split_at(123_457);
        for ((name, whole), ((_, a), (_, b))) in all(&file).into_iter().zip(all(a).into_iter().zip(all(b))) {
            assert_eq!(super::super::super::compress::shown_by(&whole), Some(name));
            assert_eq!(read(whole.clone()), expected, "{name}");
            assert_eq!(read([a, b].concat()), expected, "{name}, joined");
            // Blocks of bzip2 are large: cut late.
            let got = read(whole[..whole.len() - whole.len() / 8].to_vec());
            assert!(times(&got).len() < 2000, "{name}");
            assert!(problems(&got).iter().any(|p| p.2), "{name}: {:?}", problems(&got));
        }
    }

    /// The legacy frame of lz4_Frame_format.md: magic, then blocks of 8 MiB, the last one smaller, behind their sizes. These
    /// are all literals.
    fn lz4_as_it_was(data: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0x21, 0x4c, 0x18];
        for part in data.chunks(8 << 20) {
            let more = part.len() - 15;
            let block = [&[0xf0][..], &vec![255; more / 255], &[(more % 255) as u8], part].concat();
            frame.extend((block.len() as u32).to_le_bytes());
            frame.extend(block);
        }
        frame
    }

    fn decoded(name: &str, bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
        let mut made = Vec::new();
        let (mut decoder, _) = super::super::super::compress::decoder(name, Box::new(std::io::Cursor::new(bytes)))?;
        decoder.read_to_end(&mut made).map(|_| made)
    }

    #[test]
    fn lz4_legacy_frames_are_read() {
        let file = sample();
        assert_eq!(read(lz4_as_it_was(&file)), read(file));
    }

    #[test]
    fn lz4_legacy_blocks_that_did_not_compress_are_read() {
        // The first is larger than what it holds.
        let data: Vec<u8> = sample().iter().copied().cycle().take((8 << 20) + 1000).collect();
        assert!(decoded("lz4", lz4_as_it_was(&data)).unwrap() == data);
    }

    #[test]
    fn lz4_frames_of_any_kind_behind_a_legacy_one_are_read() {
        let file = sample();
        let lz4 = |part: &[u8]| all(part).into_iter().find(|(name, _)| *name == "lz4").unwrap().1;
        let skipped = [&[0x5f, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"hello"].concat();
        let parts: Vec<&[u8]> = file.chunks(file.len() / 4 + 1).collect();
        let joined = [
            lz4_as_it_was(parts[0]),
            lz4_as_it_was(parts[1]),
            lz4(parts[2]),
            lz4_as_it_was(b""),
            skipped,
            lz4_as_it_was(parts[3]),
        ]
        .concat();
        assert_eq!(decoded("lz4", joined.clone()).unwrap(), file);
        assert_eq!(read(joined), read(file));
    }

    #[test]
    fn lz4_frames_with_blocks_of_other_sizes_are_read() {
        use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
        let file = sample();
        let sizes = [BlockSize::Max4MB, BlockSize::Max64KB, BlockSize::Max1MB, BlockSize::Max256KB];
        let modes = [BlockMode::Linked, BlockMode::Linked, BlockMode::Independent, BlockMode::Linked];
        let mut joined = Vec::new();
        for ((part, size), mode) in file.chunks(file.len() / 4 + 1).zip(sizes).zip(modes) {
            let mut frame =
                FrameEncoder::with_frame_info(FrameInfo::new().block_size(size).block_mode(mode), Vec::new());
            frame.write_all(part).unwrap();
            joined.extend(frame.finish().unwrap());
        }
        assert_eq!(decoded("lz4", joined).unwrap(), file);
    }

    #[test]
    fn what_is_no_frame_behind_a_legacy_one_is_an_error() {
        let file = sample();
        for garbage in [&b"no such format"[..], &[0xff; 7], &[0xff; 4], &[0; 4], &[1]] {
            assert!(decoded("lz4", [&lz4_as_it_was(&file), garbage].concat()).is_err(), "{garbage:?}");
        }
        // Cut within a block and within its size.
        for left in [file.len() / 2, 7, 5] {
            assert!(decoded("lz4", lz4_as_it_was(&file)[..left].to_vec()).is_err(), "{left}");
        }
    }

    #[test]
    fn an_lz4_frame_that_is_cut_anywhere_is_an_error() {
        let (_, whole) = all(b"some bytes").into_iter().find(|(name, _)| *name == "lz4").unwrap();
        for (whole, shortest) in [(&whole, 1), (&lz4_as_it_was(b"fifteen bytes and more"), 5)] {
            for len in shortest..whole.len() {
                let error = decoded("lz4", whole[..len].to_vec()).unwrap_err();
                assert_eq!(error.to_string(), "the lz4 frame is cut off", "{len}");
            }
        }
        assert_eq!(decoded("lz4", whole.clone()).unwrap(), b"some bytes");
        // What it is in is cut off, not the frame.
        let around = gzip(&whole);
        let error = read_by(around[..around.len() / 2].to_vec(), usize::MAX).unwrap_err();
        assert_eq!(error.what, "can't be read: the gzip stream is cut off");
    }

    /// An lz4 frame of blocks that are not compressed, with those bytes amid it.
    fn lz4_with(block: &[u8], header: [u8; 3], data: &[u8], checksum: &[u8]) -> Vec<u8> {
        let mut frame = [&[4, 0x22, 0x4d, 0x18][..], &header].concat();
        for (n, part) in data.chunks(60_000).enumerate() {
            if n == 1 {
                frame.extend(block);
            }
            frame.extend((part.len() as u32 | 1 << 31).to_le_bytes());
            frame.extend(part);
            let sum = twox_hash::XxHash32::oneshot(0, part).to_le_bytes();
            frame.extend(if checksum.is_empty() { &[] } else { &sum[..] });
        }
        frame.extend([0; 4]);
        frame
    }

    #[test]
    fn an_empty_block_ends_no_lz4_frame() {
        let file = sample();
        let header = |flags: u8| [flags, 0x40, (twox_hash::XxHash32::oneshot(0, &[flags, 0x40]) >> 8) as u8];
        // Not compressed, and what nothing compresses to.
        for block in [&[0, 0, 0, 0x80][..], &[1, 0, 0, 0, 0]] {
            let frame = lz4_with(block, header(0x60), &file, &[]);
            assert_eq!(decoded("lz4", frame.clone()).unwrap(), file, "{block:?}");
            assert_eq!(read([frame.clone(), frame].concat()), read([&file[..], &file].concat()), "{block:?}");
            let checksum = twox_hash::XxHash32::oneshot(0, &block[4..]).to_le_bytes();
            let frame = lz4_with(&[block, &checksum].concat(), header(0x70), &file, &checksum);
            assert_eq!(decoded("lz4", frame).unwrap(), file, "{block:?}");
        }
        // Nor does one hide that the end is missing.
        let cut = lz4_with(&[0, 0, 0, 0x80], header(0x60), &file[..60_001], &[]);
        assert!(decoded("lz4", cut[..7 + 4 + 60_000 + 4].to_vec()).is_err());
    }

    #[test]
    fn skippable_frames_come_before_those_of_any_kind() {
        let file = sample();
        let skipped = |len: u32| [&[0x50, 0x2a, 0x4d, 0x18][..], &len.to_le_bytes(), &vec![7; len as usize]].concat();
        for (name, whole) in all(&file).into_iter().filter(|(name, _)| matches!(*name, "zstd" | "lz4")) {
            for lens in [&[0][..], &[4], &[4, 0, 300], &[40_000]] {
                let before: Vec<u8> = lens.iter().flat_map(|len| skipped(*len)).collect();
                assert_eq!(read([before, whole.clone()].concat()), read(file.clone()), "{name}: {lens:?}");
            }
        }
        assert_eq!(read([skipped(9), lz4_as_it_was(&file)].concat()), read(file));
    }

    /// What decoding gives byte by byte before it fails.
    fn byte_by_byte(name: &str, bytes: &[u8]) -> Vec<u8> {
        let bytes = Box::new(std::io::Cursor::new(bytes.to_vec()));
        let (mut decoder, _) = super::super::super::compress::decoder(name, bytes).unwrap();
        let mut byte = [0];
        std::iter::from_fn(|| decoder.read(&mut byte).ok().filter(|n| *n == 1).map(|_| byte[0])).collect()
    }

    #[test]
    fn nothing_is_lost_before_the_damage() {
        let file = sample();
        for (name, whole) in all(&file) {
            // Garbage behind the end, of a file that is decompressed in one go and of a larger one.
            for plain in [pcap_at(&[1, 2, 3]), file.clone()] {
                let (_, mut bytes) = all(&plain).into_iter().find(|(other, _)| *other == name).unwrap();
                bytes.extend(b"no such format");
                let got = read(bytes);
                assert_eq!(times(&got), times(&read(plain)), "{name}");
                assert!(!problems(&got).is_empty(), "{name}");
            }
            for part in [3, 5, 7, 9] {
                let mut bytes = whole.clone();
                let at = bytes.len() * part / 10;
                bytes[at..at + 40].iter_mut().for_each(|b| *b = !*b);
                let made = byte_by_byte(name, &bytes);
                if made.len() >= 24 {
                    // A checksum behind the last byte takes this with it, if it is asked for alone.
                    assert!(
                        times(&read(bytes.clone())).len() >= times(&read(made.clone())).len(),
                        "{name}, {part}: {} of {}",
                        times(&read(bytes.clone())).len(),
                        times(&read(made.clone())).len()
                    );
                }
            }
        }
    }

    #[test]
    fn skippable_frames_of_lz4_are_skipped() {
        let file = sample();
        let (a, b) = file.split_at(123_457);
        let [a, b] = [a, b].map(|part| all(part).into_iter().find(|(name, _)| *name == "lz4").unwrap().1);
        let skipped = [&[0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"hello"].concat();
        assert_eq!(read([a, skipped.clone(), b, skipped].concat()), read(file));
    }

    #[test]
    fn damaged_streams_are_told() {
        for (name, mut bytes) in all(&sample()) {
            let middle = bytes.len() / 2;
            for byte in &mut bytes[middle..middle + 64] {
                *byte = !*byte;
            }
            let got = read(bytes);
            assert!(!problems(&got).is_empty(), "{name}");
        }
    }
}
