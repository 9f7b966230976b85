//! Key files and key logs.

use mailcap::event::SecretSource;
use mailcap::tls::KeyRing;
use zeroize::Zeroizing;

use super::seeds;

pub fn files(data: &[u8]) {
    let mut ring = KeyRing::new();
    let _ = ring.add_key_bytes("fuzz".as_ref(), data, &mut |_| Some(Zeroizing::new("mailcap-test".into())));
    for key in ring.keys() {
        assert_eq!(key.modulus().len().div_ceil(8), key.bits().div_ceil(64), "{} bits", key.bits());
    }
}

pub fn file_seeds() -> Vec<Vec<u8>> {
    seeds::read(seeds::files(&seeds::testdata().join("keys")))
}

pub fn log(data: &[u8]) {
    let mut ring = KeyRing::new();
    ring.add_keylog_bytes("fuzz", data, SecretSource::KeyLog);
    let mut random = [0; 32];
    let n = data.len().min(32);
    random[..n].copy_from_slice(&data[..n]);
    let _ = ring.master_for_client_random(&random);
    let _ = ring.premaster_for_client_random(&random);
    let _ = ring.premaster_for_encrypted(&random);
    let _ = ring.master_for_session_id(&random);
    let _ = ring.traffic_secrets(true, 16);
}

pub fn log_seeds() -> Vec<Vec<u8>> {
    let is_log = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "keylog");
    let logs = seeds::files(&seeds::testdata()).into_iter().filter(is_log).collect();
    let mut all = seeds::read(logs);
    all.push(b"RSA Session-ID:00 Master-Key:00\r\nPMS_CLIENT_RANDOM 00 00\nRSA 0011 22\n# comment\n".to_vec());
    all
}
