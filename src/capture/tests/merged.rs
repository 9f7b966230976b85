//! Several files as one capture: order, names, secrets, and the bounds over all of them.

use std::fs;
use std::path::Path;

use super::*;

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Input {
    fs::write(dir.join(name), bytes).unwrap();
    Input::File(dir.join(name))
}

fn open(inputs: &[Input]) -> Vec<Got> {
    drain(&mut Capture::open(inputs, &Limits::default()).unwrap())
}

/// File and second of each packet.
fn order(got: &[Got]) -> Vec<(u32, i64)> {
    let place = |g: &Got| match g {
        Got::Frame { file, ts, .. } => Some((*file, ts / 1_000_000_000)),
        _ => None,
    };
    got.iter().filter_map(place).collect()
}

#[test]
fn by_time_whatever_the_order_given() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = [
        write(dir.path(), "c", &pcap_at(&[50, 60])),
        write(dir.path(), "a", &pcap_at(&[1, 10, 30])),
        write(dir.path(), "b", &pcap_at(&[2, 10, 10, 55])),
        write(dir.path(), "none", &pcap_at(&[])),
    ];
    let got = open(&inputs);
    // At one time the file that began earlier goes first.
    assert_eq!(order(&got), [(1, 1), (2, 2), (1, 10), (2, 10), (2, 10), (1, 30), (0, 50), (2, 55), (0, 60)]);
    let numbers: Vec<u64> = got
        .iter()
        .filter_map(|g| if let Got::Frame { file: 2, number, .. } = g { Some(*number) } else { None })
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[test]
fn a_files_own_order_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let inputs =
        [write(dir.path(), "a", &pcap_at(&[10, 5, 20, 7, 30])), write(dir.path(), "b", &pcap_at(&[8, 15, 25]))];
    let got = open(&inputs);
    let of = |file| order(&got).into_iter().filter(|o| o.0 == file).map(|o| o.1).collect::<Vec<_>>();
    assert_eq!(of(0), [10, 5, 20, 7, 30]);
    assert_eq!(of(1), [8, 15, 25]);
}

#[test]
fn one_wild_time_does_not_push_its_file_back() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = [
        write(dir.path(), "a", &pcap_at(&[100, 4_000_000_000, 102, 104])),
        write(dir.path(), "b", &pcap_at(&[101, 103, 105])),
    ];
    let order: Vec<i64> = order(&open(&inputs)).iter().map(|o| o.1).filter(|t| *t < 1000).collect();
    assert_eq!(order, [100, 101, 102, 103, 104, 105]);
}

#[test]
fn more_files_than_may_be_open() {
    let dir = tempfile::tempdir().unwrap();
    let inputs: Vec<Input> =
        (0..300).map(|i| write(dir.path(), &i.to_string(), &pcap_at(&[i, 1000 + i, 2000 + i]))).collect();
    let got = open(&inputs);
    let seconds: Vec<i64> = order(&got).iter().map(|o| o.1).collect();
    assert_eq!(seconds.len(), 900);
    assert!(seconds.is_sorted());
}

#[test]
fn errors_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path(), "good", &pcap_at(&[1]));
    let bad = write(dir.path(), "bad", b"<html>");
    let error = Capture::open(&[good.clone(), bad], &Limits::default()).unwrap_err();
    assert!(error.file.ends_with("bad"));
    assert!(error.to_string().contains("a web page"));
    let missing = Input::File(dir.path().join("missing"));
    assert!(Capture::open(&[missing], &Limits::default()).unwrap_err().what.contains("no such file"));
    // Found in a folder, the others are read all the same.
    let found = Input::Found(dir.path().join("bad"));
    let got = open(&[found, good]);
    assert_eq!(order(&got), [(1, 1)]);
    assert_eq!(problems(&got).len(), 1);
}

#[test]
fn names_and_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = [write(dir.path(), "x", &pcap_at(&[1])), write(dir.path(), "y", &pcap_at(&[2]))];
    let mut capture = Capture::open(&inputs, &Limits::default()).unwrap();
    assert_eq!(capture.names().len(), 2);
    assert!(capture.file_name(FileId(1)).ends_with('y'));
    assert_eq!(capture.file_name(FileId(2)), "");
    drain(&mut capture);
    assert_eq!(capture.bytes_read(), 2 * 41);
}

/// What a file gives, and what the same bytes give from a pipe, each item as a word.
fn ahead(parts: &[Vec<u8>]) -> [Vec<String>; 2] {
    let words = |got: Vec<Got>| -> Vec<String> {
        let word = |got| match got {
            Got::Frame { data, .. } => String::from_utf8(data).unwrap(),
            Got::Secrets(text) => format!("secrets {}", String::from_utf8(text).unwrap().trim_end().replace('\n', " ")),
            Got::Comment(..) => "comment".to_owned(),
            Got::Problem { .. } => "problem".to_owned(),
        };
        got.into_iter().map(word).collect()
    };
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "a.pcapng", &parts.concat());
    [words(open(&[file])), words(read(parts.concat()))]
}

fn keylog(order: Order, text: &[u8]) -> Vec<u8> {
    let len = u32::try_from(text.len()).unwrap();
    block(order, 10, &[&order.u32(0x544c_534b)[..], &order.u32(len), text].concat())
}

#[test]
fn secrets_behind_their_packets_are_hopped_to_in_a_file() {
    use Order::{Big, Little};
    let packet = |order, data: &[u8]| enhanced(order, 0, 1, 9, data, &[]);
    let head = |order| [section(order), interface(order, 1, 0, &[])].concat();
    let parts = [
        head(Little),
        packet(Little, b"a"),
        keylog(Little, b"one"),
        packet(Little, b"b"),
        block(Little, 0x0bad, b"custom"),
        head(Big),
        packet(Big, b"c"),
        keylog(Big, b"two"),
    ];
    let [file, pipe] = ahead(&parts);
    assert_eq!(file, ["secrets one two", "a", "b", "c"]);
    assert_eq!(pipe, ["a", "secrets one", "b", "c", "secrets two"]);
    // Beside other files, too.
    let dir = tempfile::tempdir().unwrap();
    let both = [write(dir.path(), "a", &parts.concat()), write(dir.path(), "b", &pcap_at(&[0, 70]))];
    let got = open(&both);
    let at = |wanted: fn(&Got) -> bool| got.iter().position(wanted).unwrap();
    assert!(at(|g| matches!(g, Got::Secrets(_))) < at(|g| matches!(g, Got::Frame { file: 0, .. })));
    assert_eq!(got.len(), 3 + 2 + 1);
}

#[test]
fn secrets_behind_damage_come_in_their_place() {
    use Order::Little;
    let packet = |data: &[u8]| enhanced(Little, 0, 1, 9, data, &[]);
    let mut bad = packet(b"x");
    bad[4..8].copy_from_slice(&7u32.to_le_bytes());
    let head = [section(Little), interface(Little, 1, 0, &[])].concat();
    let parts = [head, packet(b"a"), keylog(Little, b"one"), bad, packet(b"b"), keylog(Little, b"two"), packet(b"c")];
    let [file, _] = ahead(&parts);
    assert_eq!(file, ["secrets one", "a", "problem", "b", "secrets two", "c"]);
    // Cut anywhere, a file gives what a pipe gives, in another order; and secrets of which only the trailer is cut off.
    let whole = parts.concat();
    for len in 28..whole.len() {
        let mut both = ahead(&[whole[..len].to_vec()]);
        let [file, pipe] = both.each_mut().map(|words| {
            let (secrets, rest): (Vec<_>, Vec<_>) = words.drain(..).partition(|w| w.starts_with("secrets"));
            (secrets.join(" ").replace(" secrets", ""), rest)
        });
        assert_eq!(file.1, pipe.1, "{len}");
        assert!(file.0.starts_with(&pipe.0), "{len}: {file:?} {pipe:?}");
    }
}

#[test]
fn secrets_ahead_are_bounded() {
    use Order::Little;
    let dir = tempfile::tempdir().unwrap();
    let head = [section(Little), interface(Little, 1, 0, &[])].concat();
    let parts =
        [head, keylog(Little, &[b'k'; 600]), keylog(Little, &[b'l'; 600]), enhanced(Little, 0, 1, 1, b"p", &[])];
    let path = dir.path().join("a");
    fs::write(&path, parts.concat()).unwrap();
    let limits = Limits { secret_bytes: 1000, ..Limits::default() };
    let found = super::super::hop::secrets(&path, &limits);
    assert_eq!((found.keylog.len(), found.blocks), (601, vec![48]));
}

/// A capture of `records` seconds, each a packet of 64 KB that compresses well.
#[cfg(feature = "compression")]
fn alike(records: u32) -> Vec<u8> {
    let mut file = pcap_at(&[]);
    for second in 0..records {
        file.extend(pcap_record(Order::Little, second, 0, &[7; 65_520]));
    }
    file
}

#[cfg(feature = "compression")]
#[test]
fn what_decoders_remember_is_bounded_over_all_files() {
    use std::io::Write;
    let file = alike(64);
    // Dictionaries of 64 MiB, of which the file fills four.
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 9);
    xz.write_all(&file).unwrap();
    let mut zs = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zs.window_log(26).unwrap();
    zs.write_all(&file).unwrap();
    for bytes in [xz.finish().unwrap(), zs.finish().unwrap()] {
        let dir = tempfile::tempdir().unwrap();
        let inputs: Vec<_> = (0..6).map(|n| write(dir.path(), &n.to_string(), &bytes)).collect();
        let read = |inputs: &[Input], mib: usize| {
            let limits = Limits { input_bytes: mib << 20, ..Limits::default() };
            let got = drain(&mut Capture::open(inputs, &limits).unwrap());
            let told = problems(&got);
            assert!(told.iter().all(|p| p.2 && p.1.contains("no room for it beside")), "{told:?}");
            (times(&got).len(), told.len())
        };
        assert_eq!(read(&inputs, 32), (6 * 64, 0));
        assert_eq!(read(&inputs[..1], 8), (64, 0), "a large dictionary costs what fills it");
        let (packets, told) = read(&inputs, 8);
        assert!(told > 0 && packets > 64 && packets < 6 * 64, "{packets} packets, {told} problems");
    }
}

#[cfg(feature = "compression")]
#[test]
fn a_window_beyond_all_measure_is_refused_with_a_way_out() {
    use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
    use std::io::Write;
    let mut options = LzmaOptions::new_preset(0).unwrap();
    options.dict_size(4096);
    let stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc32).unwrap();
    let mut xz = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    xz.write_all(&pcap_at(&[1])).unwrap();
    let mut xz = xz.finish().unwrap();
    // The block's header: size, flags, then the filter's id, the size of its properties, and the dictionary's size (xz
    // file format 5.3.1), 39 for 3 GiB; CRC-32 over it all.
    let header = usize::from(xz[12]) * 4;
    assert_eq!(xz[14..16], [0x21, 1]);
    xz[16] = 39;
    let mut crc = flate2::Crc::new();
    crc.update(&xz[12..12 + header]);
    xz[12 + header..16 + header].copy_from_slice(&crc.sum().to_le_bytes());
    let error = read_by(xz, usize::MAX).unwrap_err().to_string();
    assert!(error.contains("more than 1 GiB of memory at once; decompress it with xz first"), "{error}");

    // RFC 8878 §3.1.1: a frame with a window of 2^31, then a raw block.
    let mut zs = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (31 - 10) << 3];
    let file = pcap_at(&[1]);
    zs.extend(&(u32::try_from(file.len()).unwrap() << 3 | 1).to_le_bytes()[..3]);
    zs.extend(&file);
    let error = read_by(zs.clone(), usize::MAX).unwrap_err().to_string();
    assert!(error.contains("decompress it with zstd --long=31 first"), "{error}");
    zs[5] = (30 - 10) << 3;
    assert_eq!(read(zs), read(file));
}

#[test]
fn many_members_of_one_time_are_bounded() {
    let mut tar = Vec::new();
    for n in 0..300 {
        let file = pcap_at(&[n, 10_000 + n]);
        let mut header = vec![0; 512];
        let name = format!("{n}.pcap");
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", file.len()).as_bytes());
        header[148..156].fill(b' ');
        header[257..263].copy_from_slice(b"ustar\0");
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        tar.extend(header);
        tar.extend(&file);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    let dir = tempfile::tempdir().unwrap();
    let input = write(dir.path(), "many.tar", &tar);
    let got = open(std::slice::from_ref(&input));
    assert_eq!((times(&got).len(), problems(&got).len()), (600, 0));
    // Room for 227 of them.
    let limits = Limits { input_bytes: 8 << 20, ..Limits::default() };
    let got = drain(&mut Capture::open(&[input], &limits).unwrap());
    assert_eq!(times(&got).len(), 2 * 227);
    assert_eq!(problems(&got).iter().filter(|p| p.2 && p.1.contains("no room for it beside")).count(), 73);
}
