//! Key logs, whatever they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailcap::event::SecretSource;
use mailcap::tls::KeyRing;

fuzz_target!(|data: &[u8]| {
    let mut keys = KeyRing::new();
    keys.add_keylog_bytes("fuzz", data, SecretSource::KeyLog);
    let mut random = [0; 32];
    let n = data.len().min(32);
    random[..n].copy_from_slice(&data[..n]);
    let _ = keys.master_for_client_random(&random);
    let _ = keys.master_for_session_id(&random);
});
