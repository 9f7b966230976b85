//! The documentation names what is read, and nothing else.

use std::collections::BTreeSet;

use super::super::archive::Kind;
use super::super::{compress, pcap, pcapng};
use super::*;

#[test]
fn support_page_is_in_step() {
    let page = include_str!("../../../docs/support.md");
    let files = page.split("## Files").nth(1).unwrap().split("\n##").next().unwrap();
    let table = files.split("\n\n").find(|part| part.starts_with("| format")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().skip(2).map(|l| l.split('|').map(str::trim).collect()).collect();
    let told: BTreeSet<&str> = rows.iter().flat_map(|row| row[1].split(", ")).collect();

    // By their first bytes, as each specification has them.
    let compressed: [(&str, &[u8]); 5] = [
        ("gzip", &[0x1f, 0x8b]),
        ("zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
        ("xz", b"\xfd7zXZ\0"),
        ("lz4", &[0x04, 0x22, 0x4d, 0x18]),
        ("bzip2", b"BZh9"),
    ];
    for (name, head) in compressed {
        assert_eq!(compress::shown_by(head), Some(name));
    }
    let archives = [Kind::Tar, Kind::Zip].map(Kind::name);
    assert!(pcapng::detect(&section(Order::Big)) && pcapng::detect(&section(Order::Little)));
    let known = compressed.iter().map(|(name, _)| *name).chain(archives).chain(["pcap", "pcapng"]);
    assert_eq!(told, known.collect());

    // Every magic number of pcap that the page names is known, and the other way round.
    let row = rows.iter().find(|row| row[1] == "pcap").unwrap()[2];
    let named: Vec<u32> = row.split('`').filter_map(|word| u32::from_str_radix(word, 16).ok()).collect();
    for magic in [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34, 0x1c00_01ac, 0x1c00_01ab] {
        assert!(named.contains(&magic), "{magic:x}");
    }
    assert_eq!(named.len(), 5);
    for magic in named {
        assert!(
            pcap::detect(&magic.to_le_bytes()).is_some() && pcap::detect(&magic.to_be_bytes()).is_some(),
            "{magic:x}"
        );
    }
}
