//! Key logs as browsers, libraries and `openssl s_client` write them, and as people mangle them.

use std::io::Write;

use super::super::keys::KeyRing;
use super::*;
use crate::fmt::hex;

fn random(n: u64) -> [u8; 32] {
    let mut out = [0xa7; 32];
    out[..8].copy_from_slice(&n.to_be_bytes());
    out
}

fn ring(text: &[u8]) -> (KeyRing, Vec<String>) {
    let mut ring = KeyRing::new();
    let notes = ring.add_keylog_bytes("log", text, SecretSource::KeyLog);
    (ring, notes)
}

fn secret(found: Option<Found>) -> Option<Vec<u8>> {
    found.map(|f| f.secret.to_vec())
}

#[test]
fn every_label() {
    let text = format!(
        "# comment\n\
         CLIENT_RANDOM {r} {m}\n\
         RSA 0011223344556677 {m}\n\
         PMS_CLIENT_RANDOM {r} {p}\n\
         RSA Session-ID:{id} Master-Key:{m}\n\
         CLIENT_EARLY_TRAFFIC_SECRET {r} {e}\n\
         CLIENT_HANDSHAKE_TRAFFIC_SECRET {r} {h}\n\
         SERVER_HANDSHAKE_TRAFFIC_SECRET {r} {h}\n\
         CLIENT_TRAFFIC_SECRET_0 {r} {h}\n\
         CLIENT_TRAFFIC_SECRET_12 {r} {e}\n\
         SERVER_TRAFFIC_SECRET_0 {r} {e}\n\
         EXPORTER_SECRET {r} {h}\n",
        r = hex(&random(1)),
        m = "1b".repeat(48),
        p = "2c".repeat(100),
        e = "3d".repeat(32),
        h = "4e".repeat(48),
        id = "5f".repeat(32),
    );
    let (ring, notes) = ring(text.as_bytes());
    assert!(notes.is_empty(), "{notes:?}");
    let r = random(1);
    let master = Some(vec![0x1b; 48]);
    let found = ring.master_for_client_random(&r).unwrap();
    assert_eq!((&*found.file, found.source), ("log", SecretSource::KeyLog));
    assert_eq!(secret(Some(found)), master);
    assert_eq!(secret(ring.premaster_for_client_random(&r)), Some(vec![0x2c; 100]));
    let encrypted = [&[0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77], [9; 120].as_slice()].concat();
    assert_eq!(secret(ring.premaster_for_encrypted(&encrypted)), master);
    assert_eq!(secret(ring.premaster_for_encrypted(&encrypted[..7])), None);
    assert_eq!(secret(ring.master_for_session_id(&[0x5f; 32])), master);
    for (label, byte, len) in [
        (Tls13Label::ClientEarly, 0x3d, 32),
        (Tls13Label::ClientHandshake, 0x4e, 48),
        (Tls13Label::ServerHandshake, 0x4e, 48),
        (Tls13Label::ClientTraffic(0), 0x4e, 48),
        (Tls13Label::ClientTraffic(12), 0x3d, 32),
        (Tls13Label::ServerTraffic(0), 0x3d, 32),
    ] {
        assert_eq!(secret(ring.tls13_secret(label, &r)), Some(vec![byte; len]), "{label:?}");
    }
    assert!(ring.tls13_secret(Tls13Label::ServerTraffic(1), &r).is_none());
    assert!(ring.master_for_client_random(&random(2)).is_none());
    assert!(!format!("{ring:?}").contains("1b1b"));
}

#[test]
fn mangled_logs() {
    let line = format!("CLIENT_RANDOM {} {}", hex(&random(3)), "0f".repeat(48));
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(line.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let text = |s: String| s.into_bytes();
    for (what, bytes, bad) in [
        ("CRLF", text(format!("{line}\r\n{line}\r\n")), false),
        ("BOM", text(format!("\u{feff}{line}\n")), false),
        ("no last line feed", text(line.clone()), false),
        ("upper case", text(line.to_uppercase()), false),
        ("tabs and blanks", text(format!("  {}\t ", line.replace(' ', " \t"))), false),
        ("UTF-16", utf16, false),
        ("garbage before", text(format!("\0\u{1}xyz\n{line}\n")), true),
        ("cut line behind", text(format!("{line}\n{}\n", &line[..150])), true),
        ("odd digits behind", text(format!("{line}\n{}\n", &line[..line.len() - 1])), true),
        ("bad hex behind", text(format!("{line}\n{}\n", line.replace("0f", "0g"))), true),
        ("third word behind", text(format!("{line}\n{line} x\n")), true),
        ("long line before", text(format!("{}\n{line}\n", "x".repeat(1 << 20))), true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.log");
        std::fs::write(&path, bytes).unwrap();
        let mut ring = KeyRing::new();
        let notes = ring.add_keylog(&path).unwrap();
        assert_eq!(secret(ring.master_for_client_random(&random(3))), Some(vec![0x0f; 48]), "{what}");
        assert_eq!(notes.len(), usize::from(bad), "{what}: {notes:?}");
        if bad {
            assert!(notes[0].contains(": 1 of 2 lines"), "{what}: {notes:?}");
        }
    }
}

#[test]
fn files_that_are_no_key_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    assert!(matches!(KeyLog::open(&path), Err(KeyError::Io { .. })));
    std::fs::write(&path, "").unwrap();
    assert_eq!(KeyLog::open(&path).unwrap().notes().len(), 1, "empty: nothing logged yet");
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nMIIB\n").unwrap();
    let error = KeyLog::open(&path).unwrap_err().to_string();
    assert!(error.contains("is not a key log") && error.contains("2 lines"), "{error}");
}

/// Of two secrets for one client random, the later is what the endpoint had in the end.
#[test]
fn duplicates() {
    let line = |byte: &str| format!("CLIENT_RANDOM {} {}\n", hex(&random(4)), byte.repeat(48));
    let (ring, notes) = ring(format!("{}{}", line("01"), line("02")).as_bytes());
    assert!(notes.is_empty());
    assert_eq!(secret(ring.master_for_client_random(&random(4))), Some(vec![2; 48]));
}

/// The session block of `openssl s_client`.
#[test]
fn openssl_session() {
    let id = "5A3E".repeat(16);
    let text = format!(
        "New, TLSv1.2, Cipher is AES128-GCM-SHA256\nSSL-Session:\n    Protocol  : TLSv1.2\n    Cipher    : AES128-GCM-SHA256\n    \
         Session-ID: {id}\n    Session-ID-ctx: \n    Master-Key: {}\n    PSK identity: None\n",
        "C4".repeat(48)
    );
    let (found, _) = ring(text.as_bytes());
    assert_eq!(secret(found.master_for_session_id(&parse_hex(id.as_bytes()).unwrap())), Some(vec![0xc4; 48]));
    // Without an id there is nothing to find it by; the next block must not get mixed up with it.
    let text = format!("Session-ID: \nMaster-Key: {}\nMaster-Key: {}\n", "C4".repeat(48), "C5".repeat(48));
    let (none, _) = ring(text.as_bytes());
    assert!(none.master_for_session_id(&[]).is_none());
}

/// A file beyond the size that is held in memory: read again at each lookup.
#[test]
fn large_file() {
    const LINES: u64 = 4000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.log");
    let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
    for n in 0..LINES {
        writeln!(file, "# {}", "x".repeat(1200)).unwrap();
        writeln!(file, "CLIENT_RANDOM {} {}", hex(&random(n)), hex(&[n as u8; 48])).unwrap();
    }
    drop(file);
    let log = KeyLog::open(&path).unwrap();
    assert!(matches!(log.store, Store::File(_)));
    assert_eq!(log.entries() as u64, LINES);
    assert_eq!(size_of_val(log.index.as_slice()) as u64, 16 * LINES);
    for n in (0..LINES).step_by(997).chain([LINES - 1]) {
        assert_eq!(secret(log.master(&random(n))), Some(vec![n as u8; 48]), "{n}");
    }
    assert!(log.master(&random(LINES)).is_none());
    // A file that was changed meanwhile gives no wrong secret.
    std::fs::write(&path, vec![b'x'; 5 << 20]).unwrap();
    assert!(log.master(&random(5)).is_none());
}

/// A block of secrets a session: few logs remain, and all is found.
#[test]
fn many_small_logs() {
    let mut ring = KeyRing::new();
    for n in 0..500 {
        let text = format!("CLIENT_RANDOM {} {}\n", hex(&random(n)), hex(&[n as u8; 48]));
        assert!(ring.add_keylog_bytes("capture", text.as_bytes(), SecretSource::Dsb).is_empty());
    }
    assert!(ring.log_count() < 16, "{}", ring.log_count());
    for n in 0..500 {
        let found = ring.master_for_client_random(&random(n)).unwrap();
        assert_eq!(found.source, SecretSource::Dsb);
        assert_eq!(found.secret.to_vec(), [n as u8; 48]);
    }
}
