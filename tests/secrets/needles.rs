//! Where secrets are searched for, and in which encodings.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// What an observer could search for: the secret in the encodings that protocols, logs and shells use.
pub fn encodings(secret: &[u8]) -> Vec<String> {
    let mut all = vec![lossy(secret)];
    let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
    all.extend([hex.clone(), hex.to_uppercase()]);
    let spaced: Vec<String> = secret.iter().map(|b| format!("{b:02x}")).collect();
    all.extend([spaced.join(" "), spaced.join(":")]);
    let url: String = secret.iter().map(|b| format!("%{b:02x}")).collect();
    all.extend([url.clone(), url.to_uppercase()]);
    let escaped: String = secret
        .iter()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(*b).to_string() } else { format!("%{b:02X}") })
        .collect();
    all.push(escaped);
    // Inside longer base64 it begins at any of three places; what depends on its neighbours is left out.
    for engine in [&STANDARD, &URL_SAFE] {
        for before in 0..3usize {
            let mut padded = vec![b'x'; before];
            padded.extend_from_slice(secret);
            let coded = engine.encode(&padded).trim_end_matches('=').to_owned();
            let from = (before * 8).div_ceil(6);
            let until = padded.len() * 8 / 6;
            all.push(coded[from..until].to_owned());
        }
    }
    // Three bytes are found by chance.
    all.retain(|e| e.len() >= 4);
    all
}

pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Everything below a folder, with its names.
pub fn files(folder: &Path, out: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, out),
            false => out.push((path.display().to_string(), content(&path) + &path.display().to_string())),
        }
    }
}

/// A file's text; what it packs is unpacked.
fn content(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&bytes[..]), &mut text).unwrap();
            lossy(&text)
        }
        #[cfg(feature = "parquet")]
        Some("parquet") => super::parquet_rows::rows(path),
        _ => lossy(&bytes),
    }
}

#[test]
fn encodings_find_a_secret_wherever_it_stands() {
    let secret = b"c@r0l s3cret";
    for before in 0..4 {
        for after in 0..4 {
            let whole = [&vec![0; before][..], secret, &vec![0xff; after][..]].concat();
            for hidden in [
                STANDARD.encode(&whole),
                URL_SAFE.encode(&whole),
                whole.iter().map(|b| format!("{b:02x}")).collect::<String>(),
                whole.iter().map(|b| format!("%{b:02X}")).collect::<String>(),
            ] {
                assert!(encodings(secret).iter().any(|e| hidden.contains(e.as_str())), "{hidden}");
            }
        }
    }
    assert!(!encodings(secret).iter().any(|e| STANDARD.encode(b"another password").contains(e.as_str())));
}
