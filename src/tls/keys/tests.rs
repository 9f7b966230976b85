//! Every wrapping of one key, and what is said of files that hold none.

mod pkcs12;

use std::path::PathBuf;

use super::*;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys").join(name)
}

fn passphrase(_: &Path) -> Option<Zeroizing<String>> {
    Some(Zeroizing::new("mailcap-test".into()))
}

fn load(path: &Path, mut password: impl FnMut(&Path) -> Option<Zeroizing<String>>) -> Result<KeyRing, KeyError> {
    let mut ring = KeyRing::new();
    ring.add_key_path(path, &mut password).map(|_| ring)
}

/// The modulus as `openssl rsa -modulus` prints its beginning.
const MODULUS: &str = "rsa2048.modulus";

fn modulus() -> Vec<u8> {
    let text = std::fs::read_to_string(testdata(MODULUS)).unwrap();
    super::super::keylog::parse_hex(text.trim().strip_prefix("Modulus=").unwrap().as_bytes()).unwrap()
}

#[test]
fn every_encoding() {
    let mut count = 0;
    for entry in std::fs::read_dir(testdata("encoded")).unwrap() {
        let path = entry.unwrap().path();
        let ring = load(&path, passphrase).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(ring.keys().len(), 1, "{}", path.display());
        let key = &ring.keys()[0];
        assert_eq!(key.modulus(), modulus(), "{}", path.display());
        assert_eq!((key.bits(), key.name()), (2048, path.to_str().unwrap()));
        count += 1;
    }
    assert!(count >= 42);
}

#[test]
fn encrypted_without_or_with_a_wrong_passphrase() {
    for entry in std::fs::read_dir(testdata("encoded")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let encrypted = name.contains(".enc-") || name.contains(".password");
        let mut asked = 0;
        let missing = load(&path, |_| {
            asked += 1;
            None
        });
        assert_eq!(matches!(missing, Err(KeyError::PasswordMissing { .. })), encrypted, "{name}: {missing:?}");
        assert_eq!(asked, usize::from(encrypted), "{name}");
        if encrypted {
            let wrong = load(&path, |_| Some(Zeroizing::new("wrong".into())));
            assert!(matches!(wrong, Err(KeyError::PasswordWrong { .. })), "{name}: {wrong:?}");
        }
    }
}

/// Files that people give for a key: the message says what they are and what to do.
#[test]
fn files_that_are_no_rsa_key() {
    let says = |name: &str, words: &[&str]| {
        let message = load(&testdata(name), passphrase).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
        for word in words {
            assert!(message.contains(word), "{message}");
        }
    };
    says("ec256.pem", &["an EC private key", "--keylog"]);
    says("ed25519.pem", &["an Ed25519 private key", "--keylog"]);
    says("dsa1024.pem", &["a DSA private key"]);
    says("rsa2048.crt", &["is a certificate", "privkey.pem"]);
    says("rsa2048.csr", &["certificate signing request"]);
    says("rsa2048.pub", &["public key"]);
    says("README.md", &["holds no private key"]);
    says("absent.pem", &["can't be read"]);
}

/// As `keytool`, `puttygen` and `openssl rsa -outform` begin them.
#[test]
fn keys_in_other_formats() {
    for (head, words, command) in [
        (&b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01\0\0\0\x01"[..], "Java key store (JKS)", "-deststoretype PKCS12"),
        (b"\xce\xce\xce\xce\0\0\0\x02\0\0\0\x01\0\0\0\x01", "Java key store (JCEKS)", "-srcstoretype JCEKS"),
        (b"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n", "PuTTY", "puttygen COPY -O private-openssh"),
        (b"\x1e\xf1\xb5\xb0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0", "PVK", "openssl rsa -inform PVK"),
        (b"\x07\x02\0\0\0\xa4\0\0RSA2\0\x04\0\0\x01\0\x01\0", "MSBLOB", "openssl rsa -inform MSBLOB"),
    ] {
        let (folder, path) = temporary("server.key", head);
        let error = load(&path, passphrase).unwrap_err().to_string();
        assert!([words, command, "server.key"].iter().all(|word| error.contains(word)), "{error}");
        // In a folder, too, it is a key that can't be used.
        std::fs::copy(testdata("rsa1024.pem"), folder.path().join("rsa.pem")).unwrap();
        let notes = KeyRing::new().add_key_path(folder.path(), &mut passphrase).unwrap();
        assert!(notes.iter().any(|note| note.contains("skipped ") && note.contains(words)), "{notes:?}");
    }
}

fn temporary(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

#[test]
fn unusual_but_valid_files() {
    let pem = std::fs::read_to_string(testdata("rsa2048.pem")).unwrap();
    let certificate = std::fs::read_to_string(testdata("rsa2048.crt")).unwrap();
    let der = std::fs::read(testdata("encoded/rsa2048.pkcs8.der")).unwrap();
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(pem.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let sample = r"-----BEGIN PRIVATE KEY-----\nMIIE...";
    let files: [(&str, Vec<u8>); 10] = [
        ("BOM", [b"\xef\xbb\xbf", pem.as_bytes()].concat()),
        ("UTF-16", utf16),
        ("JSON", format!(r#"{{"name": "x", "key": "{}"}}"#, pem.replace('\n', r"\n")).into()),
        ("YAML, CRLF", format!("crt: \"{certificate}\"\nkey: \"{pem}\"\n").replace('\n', r"\r\n").into()),
        ("indented, bag attributes", format!("Bag Attributes\n  x: y\n{}", pem.replace('\n', "\n   ")).into()),
        ("certificate first, CRLF", format!("{certificate}{pem}").replace('\n', "\r\n").into()),
        (
            "EC parameters first",
            format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{pem}").into(),
        ),
        ("newline behind DER", [der.as_slice(), b"\n"].concat()),
        ("a sample on one line first", format!("# KEY=\"{sample}\"\n{pem}").into()),
        ("a sample in YAML first", format!("example: \"{sample}\"\nkey: |\n  {}", pem.replace('\n', "\n  ")).into()),
    ];
    for (what, content) in files {
        let (_folder, path) = temporary("key", &content);
        let ring = load(&path, |_| None).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(ring.keys()[0].modulus(), modulus(), "{what}");
    }
}

/// Configuration files hold several keys, each in its way; of two on different kinds of lines one was not found.
#[test]
fn keys_in_any_kind_of_lines_of_one_file() {
    let of = |name: &str| std::fs::read_to_string(testdata(name)).unwrap();
    let (wanted, other, ec) = (of("rsa2048.pem"), of("rsa1024.pem"), of("ec256.pem"));
    let line = |pem: &str| pem.replace('\n', r"\n");
    let indented = other.replace('\n', "\n  ");
    let (key, mut no_password) = (wanted.trim(), |_: &Path| None);
    for (what, content, keys) in [
        ("escaped first", format!("KEY=\"{}\"\n{other}", line(&wanted)), 2),
        ("escaped last", format!("{other}KEY=\"{}\"\n", line(&wanted)), 2),
        ("YAML", format!("old: |\n  {indented}\nnew: \"{}\"\n", line(&wanted)), 2),
        ("an array", format!("[\"{}\",\"{}\"]", line(&other), line(&wanted)), 2),
        ("behind an EC key", format!("{ec}KEY=\"{}\"\n", line(&wanted)), 1),
        ("dotenv", format!("KEY=\"{key}\"\nX=1\n"), 1),
        ("Python", format!("KEY = \"\"\"{key}\"\"\"\n"), 1),
        ("XML", format!("<key>{key}</key>\n"), 1),
        ("HTML", format!("<pre>{wanted}</pre>\n"), 1),
        ("one line", line(&wanted), 1),
        ("one line behind another", format!("{}{}", line(&ec), line(&wanted)), 1),
        ("behind one without an end", format!("-----BEGIN RSA PRIVATE KEY-----\n{wanted}"), 1),
        ("behind one that ends without a line end", format!("{}{wanted}", other.trim()), 2),
    ] {
        let mut ring = KeyRing::new();
        let notes = ring.add_key_bytes(what.as_ref(), content.as_bytes(), &mut no_password);
        let notes = notes.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(ring.keys().len(), keys, "{what}");
        assert!(ring.by_modulus(&modulus()).is_some(), "{what}");
        assert!(notes.iter().all(|note| note.contains("is an EC private key")), "{what}: {notes:?}");
    }
    // Each line a string, of a program or of JSON; escaped twice, or more than need be; no line ends at all.
    let strings = |begin: &str, between: &str, end: &str| {
        let lines: Vec<_> = key.lines().collect();
        format!("{begin}\"{}\"{end}\n", lines.join(between))
    };
    for (what, content) in [
        ("C", strings("char k[] =\n  ", "\\n\"\n  \"", ";")),
        ("C, continued", strings("#define K ", "\\n\" \\\n  \"", "")),
        ("C, CRLF", strings("char *k = ", "\\r\\n\"\r\n\"", ";")),
        ("Java", strings("String k = ", "\\n\" +\n    \"", ";")),
        ("Java, plus first", strings("String k = ", "\\n\"\n    + \"", ";")),
        ("an array of lines", strings("{\"key\": [", "\",\n  \"", "]}")),
        ("an array on one line", strings("[", "\", \"", "]")),
        ("JSON in JSON", format!("{{\"a\": \"{{\\\"k\\\": \\\"{}\\\"}}\"}}", wanted.replace('\n', r"\\n"))),
        ("CRLF in JSON in JSON", format!("\"\\\"{}\\\"\"", wanted.replace('\n', r"\\r\\n"))),
        ("escaped digits", format!("\"{}\"", line(&wanted).replace('+', r"\u002B").replace('/', r"\/"))),
        ("spaces", format!("KEY={}\n", key.replace('\n', " "))),
    ] {
        let mut ring = KeyRing::new();
        let notes = ring.add_key_bytes(what.as_ref(), content.as_bytes(), &mut no_password);
        assert_eq!(notes.unwrap_or_else(|e| panic!("{what}: {e}")).len(), 0, "{what}");
        assert!(ring.by_modulus(&modulus()).is_some(), "{what}");
    }
    // A key that lacks its end is damaged, whatever follows.
    let cut = format!("{}\n{ec}", &key[..key.len() / 2]);
    let error = KeyRing::new().add_key_bytes("cut".as_ref(), cut.as_bytes(), &mut no_password).unwrap_err();
    assert!(matches!(error, KeyError::Damaged { .. } | KeyError::Malformed { .. }), "{error:?}");
    // What can't be used is what it is on one line, too.
    let error = KeyRing::new().add_key_bytes("ec".as_ref(), line(&ec).as_bytes(), &mut no_password).unwrap_err();
    assert!(matches!(error, KeyError::NotRsa { .. }), "{error}");
    // Words of such a line are no key.
    let words = "if pem.starts_with(\"-----BEGIN RSA PRIVATE KEY-----\") {\n";
    let error = KeyRing::new().add_key_bytes("rs".as_ref(), words.as_bytes(), &mut no_password).unwrap_err();
    assert!(matches!(error, KeyError::NotAKey { .. }), "{error}");
}

#[test]
fn damaged_files() {
    let der = std::fs::read(testdata("encoded/rsa2048.pkcs1.der")).unwrap();
    for len in 0..der.len() {
        let (_folder, path) = temporary("cut.der", &der[..len]);
        assert!(load(&path, passphrase).is_err(), "{len} bytes");
    }
    // A flipped bit in the modulus: the numbers no longer belong together.
    let mut flipped = der.clone();
    flipped[100] ^= 4;
    let (_folder, path) = temporary("flipped.der", &flipped);
    assert!(matches!(load(&path, passphrase), Err(KeyError::Malformed { .. })));
    // PEM, with and without its last line.
    for tail in ["", "\n-----END PRIVATE KEY-----\n"] {
        let text = format!("-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEA{tail}");
        let (_folder, path) = temporary("cut.key", text.as_bytes());
        let error = load(&path, passphrase).err().unwrap();
        assert!(error.to_string().ends_with("cut off or damaged: take a whole copy of the file"), "{error}");
    }
    let keylog = format!("CLIENT_RANDOM {} {}\n", "ab".repeat(32), "cd".repeat(48));
    let (_folder, path) = temporary("keys.log", keylog.as_bytes());
    assert!(matches!(load(&path, passphrase), Err(KeyError::IsKeyLog { .. })));
}

#[test]
fn folders() {
    let mut ring = KeyRing::new();
    let notes = ring.add_key_path(&testdata(""), &mut passphrase).unwrap();
    // Of two PKCS#12 files the certificates stay closed.
    let (closed, notes): (Vec<_>, Vec<_>) = notes.into_iter().partition(|note| note.starts_with("a part of "));
    assert_eq!(closed.len(), 2, "{closed:?}");
    let bits: std::collections::BTreeSet<usize> = ring.keys().iter().map(|k| k.bits()).collect();
    assert_eq!(Vec::from_iter(bits), [512, 768, 1024, 2047, 2048, 3072, 4096, 8192]);
    // One line for what is no RSA key, none for the same key again.
    let [note] = notes.as_slice() else { panic!("{notes:?}") };
    assert!(note.contains("other files skipped, 3 of them keys of other kinds"), "{note}");

    // Keys without their passphrase are counted; one that can't be used has a line of its own.
    let mixed = tempfile::tempdir().unwrap();
    for name in ["rsa1024.pem", "rsa2048.crt", "encoded/rsa2048.enc-pkcs8-aes256-pbes2.pem"] {
        let to = mixed.path().join(Path::new(name).file_name().unwrap());
        std::fs::copy(testdata(name), to).unwrap();
    }
    let notes = KeyRing::new().add_key_path(mixed.path(), &mut |_| None).unwrap();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("1 RSA key; 2 other files skipped, 1 of them encrypted"), "{notes:?}");
    let wrong = |_: &Path| Some(Zeroizing::new("wrong".into()));
    let notes = KeyRing::new().add_key_path(mixed.path(), &mut { wrong }).unwrap();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[1].contains("skipped ") && notes[1].contains("password is wrong"), "{notes:?}");

    assert!(ring.by_modulus(&[&[0], modulus().as_slice()].concat()).is_some());
    assert!(ring.by_modulus(&modulus()[1..]).is_none());
    assert!(ring.by_modulus(&[]).is_none());

    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("readme"), "nothing here").unwrap();
    let error = load(empty.path(), passphrase).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("no usable private key in this folder (1 files"), "{error}");
}

/// A bundle of 500 bags had 499 lines to say.
#[test]
fn what_repeats_in_a_file_is_told_once() {
    let of = |name: &str| std::fs::read_to_string(testdata(name)).unwrap();
    let bundle = [of("rsa1024.pem").repeat(3), of("ec256.pem").repeat(2), of("ed25519.pem")].concat();
    let mut ring = KeyRing::new();
    let notes = ring.add_key_bytes("bundle.pem".as_ref(), bundle.as_bytes(), &mut passphrase).unwrap();
    assert_eq!((ring.keys().len(), ring.others().len(), notes.len()), (1, 3, 3), "{notes:?}");
    let said = |words: &str, end: &str| notes.iter().any(|note| note.contains(words) && note.ends_with(end));
    assert!(said("the same key as in bundle.pem", " (2 times)"), "{notes:?}");
    assert!(said("an EC private key", "(--keylog) (2 times)"), "{notes:?}");
    assert!(said("an Ed25519 private key", "(--keylog)"), "{notes:?}");
}

/// PKCS#1 v1.5 to that key (RFC 8017 section 7.2.1).
fn encrypt(key: &PrivateKey, message: &[u8]) -> Vec<u8> {
    use rsa::traits::PublicKeyParts;
    let len = key.modulus().len();
    let (n, e) = (key.rsa().n().as_ref().clone(), key.rsa().e().clone());
    let public = rsa::PublicKey::new_unchecked(n, e);
    assert_eq!(public.size(), len);
    let mut block = vec![0, 2];
    block.extend((1..=255).cycle().take(len - 3 - message.len()));
    block.push(0);
    block.extend(message);
    let block = rsa::BoxedUint::from_be_slice(&block, (len * 8) as u32).unwrap();
    let bytes = rsa::hazmat::rsa_encrypt(&public, &block).unwrap().to_be_bytes();
    bytes[bytes.len() - len..].to_vec()
}

/// Both implementations agree, on every size; a wrong key is an error and not a random secret.
#[test]
fn premasters() {
    let premaster: Vec<u8> = (0..48).map(|n| n * 5 + 3).collect();
    let other = load(&testdata("rsa1024.pem"), passphrase).unwrap();
    for name in [
        "rsa512.pem",
        "rsa768.pem",
        "rsa1024.pem",
        "rsa2047.pem",
        "rsa2048.pem",
        "rsa2048e3.pem",
        "rsa1024e500.pem",
        "rsa2048e60.pem",
        "rsa2048-primes3.pem",
        "rsa2048-primes3.enc.pem",
        "rsa3072.pem",
        "rsa4096.pem",
        "rsa8192.pem",
    ] {
        let ring = load(&testdata(name), passphrase).unwrap();
        let key = &ring.keys()[0];
        let encrypt = |message: &[u8]| encrypt(key, message);
        let encrypted = encrypt(&premaster);
        assert_eq!(&key.decrypt_premaster(&encrypted).unwrap()[..], premaster, "{name}");
        assert_eq!(&key.decrypt_portably(&encrypted).unwrap()[..], premaster, "{name}");
        assert_eq!(&key.decrypt_premaster(&encrypted).unwrap()[..], premaster, "{name}, remembered");
        let padded = [&[0], encrypted.as_slice()].concat();
        assert_eq!(&key.decrypt_premaster(&padded).unwrap()[..], premaster, "{name}, leading zero");
        assert_eq!(key.decrypt_premaster(&encrypt(&premaster[..47])), Err(PremasterError::Length), "{name}");
        let mut damaged = encrypted.clone();
        damaged[20] ^= 1;
        assert_eq!(key.decrypt_premaster(&damaged), Err(PremasterError::Padding), "{name}");
        assert!(key.decrypt_premaster(&[]).is_err());
        assert_eq!(key.decrypt_premaster(&vec![0xff; key.modulus().len() + 1]), Err(PremasterError::Range));
        if name != "rsa1024.pem" {
            assert!(other.keys()[0].decrypt_premaster(&encrypted).is_err(), "{name} with another key");
        }
    }
}

/// Long public exponents (RFC 8017 section 3.1: below n) and up to five primes are no damage.
#[test]
fn what_is_wrong_with_an_rsa_key() {
    use cbc::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
    use md5::{Digest, Md5};
    let says = |der: &[u8], words: &str| {
        let iv = *b"an IV of 16 byte";
        let key = Md5::new().chain_update("mailcap-test").chain_update(&iv[..8]).finalize();
        let encrypted = cbc::Encryptor::<aes::Aes128>::new(&key, &iv.into()).encrypt_padded_vec::<Pkcs7>(der);
        let hex: String = iv.iter().map(|b| format!("{b:02X}")).collect();
        let clear = pem("RSA PRIVATE KEY", "", der);
        // Encrypted, it is the same: the passphrase is right.
        let locked = pem("RSA PRIVATE KEY", &format!("DEK-Info: AES-128-CBC,{hex}\n\n"), &encrypted);
        for file in [clear, locked] {
            let (_folder, path) = temporary("key.pem", &file);
            let error = load(&path, passphrase).unwrap_err();
            assert!(matches!(&error, KeyError::Malformed { detail, .. } if detail.contains(words)), "{error}");
        }
    };
    let sound = std::fs::read(testdata("encoded/rsa2048.pkcs1.der")).unwrap();
    let mut flipped = sound.clone();
    flipped[100] ^= 4;
    says(&flipped, "invalid modulus");
    let numbers = |version: u8| -> Vec<u8> { [&[2, 1, version], sound.get(7..).unwrap()].concat() };
    let other = tlv(0x30, &[&[2, 1, 3], &[2, 1, 3], &[2, 1, 3]]);
    let with_primes = |count: usize| shortest(&tlv(0x30, &[&numbers(1), &tlv(0x30, &vec![other.as_slice(); count])]));
    says(&with_primes(4), "more than 5 primes");
    says(&with_primes(3), "invalid modulus");
}

/// What is remembered is returned, not computed again: here something that no computation gives.
#[test]
fn the_same_ciphertext_is_decrypted_once() {
    let ring = load(&testdata("rsa1024.pem"), passphrase).unwrap();
    let key = &ring.keys()[0];
    let encrypted = [0x55; 128];
    assert_eq!(key.decrypt_premaster(&encrypted), Err(PremasterError::Padding));
    key.remember(&encrypted, Secret::new(&[7; 48]));
    assert_eq!(key.decrypt_premaster(&encrypted), Ok(Secret::new(&[7; 48])));
}

/// Premasters of two keys, in one list with what is none: each is opened by its key, and the rest is left.
#[test]
fn premasters_opened_together_are_those_opened_one_by_one() {
    for (first, second) in [("rsa2048.pem", "rsa2048e3.pem"), ("rsa2048.pem", "rsa1024.pem")] {
        let mut ring = load(&testdata(first), passphrase).unwrap();
        ring.add_key_path(&testdata(second), &mut passphrase).unwrap();
        open_together(&ring);
    }
}

fn open_together(ring: &KeyRing) {
    let premaster = |n: u8| [&[3, 3], [n; 46].as_slice()].concat();
    let mut wire: Vec<Vec<u8>> = Vec::new();
    for n in 0..40 {
        wire.push(encrypt(&ring.keys()[usize::from(n % 2)], &premaster(n)));
    }
    wire.push(vec![0xff; 256]);
    wire.push(vec![0x17; 256]);
    wire.push(vec![0x17; 128]);
    wire.push(Vec::new());
    ring.open_ahead(wire.iter().map(Vec::as_slice).collect());
    for (n, encrypted) in wire.iter().enumerate() {
        for (index, key) in ring.keys().iter().enumerate() {
            let own = n < 40 && n % 2 == index;
            assert_eq!(key.remembers(encrypted), own && ring.opens_together(), "{n} by {index}");
            let opened = key.decrypt_premaster(encrypted);
            assert_eq!(opened.is_ok(), own, "{n} by {index}");
            if own {
                assert_eq!(opened.unwrap()[..], premaster(n as u8));
            }
        }
    }
}

/// A key file could ask for a terabyte of memory, and an `N` of 0 brought the decoder down.
#[test]
fn a_key_file_can_not_ask_for_any_amount_of_work() {
    use pkcs8::der::Encode;
    use pkcs8::pkcs5::EncryptionScheme;
    use pkcs8::pkcs5::pbes2::Kdf;
    let text = std::fs::read_to_string(testdata("encoded/rsa2048.enc-pkcs8-aes256-scrypt.pem")).unwrap();
    let (_, document) = pkcs8::der::SecretDocument::from_pem(&text).unwrap();
    let open = |n: u64, r: u16, p: u16| {
        let mut info: pkcs8::EncryptedPrivateKeyInfoRef<'_> = document.decode_msg().unwrap();
        let EncryptionScheme::Pbes2(parameters) = &mut info.encryption_algorithm else { panic!() };
        let Kdf::Scrypt(kdf) = &mut parameters.kdf else { panic!() };
        assert_eq!((kdf.cost_parameter, kdf.block_size, kdf.parallelization), (16384, 8, 1));
        (kdf.cost_parameter, kdf.block_size, kdf.parallelization) = (n, r, p);
        let mut ring = KeyRing::new();
        ring.add_key_bytes("key".as_ref(), &info.to_der().unwrap(), &mut passphrase).map(|_| ring.keys().len())
    };
    assert!(matches!(open(16384, 8, 1), Ok(1)));
    for (n, r, p) in
        [(0, 8, 1), (1, 8, 1), (1000, 8, 1), (1 << 40, 8, 1), (1 << 63, 8, 1), (1 << 24, 8, 1), (16384, 8, 999)]
    {
        let refused = open(n, r, p).unwrap_err();
        assert!(
            matches!(&refused, KeyError::Encryption { method, .. } if method.contains("scrypt") || method.contains("rounds")),
            "{n}: {refused}"
        );
    }
}

fn pem(label: &str, headers: &str, content: &[u8]) -> Vec<u8> {
    use base64::Engine;
    let content = base64::prelude::BASE64_STANDARD.encode(content);
    format!("-----BEGIN {label}-----\n{headers}{content}\n-----END {label}-----\n").into_bytes()
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let len = u32::try_from(value.len()).unwrap().to_be_bytes();
    [&[tag, 0x84][..], &len, &value].concat()
}

/// The same with definite lengths in their shortest form, all the way down.
fn shortest(der: &[u8]) -> Vec<u8> {
    let (mut rest, mut out) = (der, Vec::new());
    while let [tag, first, more @ ..] = rest {
        let (len, value) = match *first {
            0x84 => (u32::from_be_bytes(more[..4].try_into().unwrap()) as usize, &more[4..]),
            first @ 0..0x80 => (usize::from(first), more),
            first => {
                let bytes = usize::from(first & 0x7f);
                (more[..bytes].iter().fold(0, |len, b| len << 8 | usize::from(*b)), &more[bytes..])
            }
        };
        let nested = tag & 0x20 != 0 || (*tag == 0x04 && value.first() == Some(&0x30) && value[1] == 0x84);
        let content = if nested { shortest(&value[..len]) } else { value[..len].to_vec() };
        out.push(*tag);
        match content.len() {
            short @ 0..0x80 => out.push(short as u8),
            long => {
                let bytes: Vec<u8> = long.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
                out.push(0x80 | bytes.len() as u8);
                out.extend(bytes);
            }
        }
        out.extend(content);
        rest = &value[len..];
    }
    out
}

#[test]
fn a_method_that_is_not_known_is_named() {
    let mut der = std::fs::read(testdata("encoded/rsa2048.enc-pkcs8-aes256-salt128.der")).unwrap();
    let aes = b"\x60\x86\x48\x01\x65\x03\x04\x01\x2a";
    let at = der.windows(aes.len()).position(|w| w == aes).unwrap();
    // 256-bit AES in CFB mode; the node above it, which no one uses.
    for (last, words) in
        [([1, 0x2c], "with AES in this mode (2.16.840.1.101.3.4.1.44)"), ([9, 9], "with 2.16.840.1.101.3.4.9.9,")]
    {
        der[at + 7..at + 9].copy_from_slice(&last);
        let error = KeyRing::new().add_key_bytes("key".as_ref(), &der, &mut passphrase).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Indefinite lengths inside a definite one, and in PEM.
#[test]
fn ber_wherever_it_stands() {
    let ber = std::fs::read(testdata("encoded/rsa2048.password-nss.p12")).unwrap();
    let inner = ber.strip_prefix(&[0x30, 0x80]).and_then(|ber| ber.strip_suffix(&[0, 0])).unwrap();
    let definite = tlv(0x30, &[inner]);
    let mut key = std::fs::read(testdata("encoded/rsa2048.pkcs8.der")).unwrap();
    // Two bytes of length.
    let value = key.split_off(4);
    let key = [&[0x30, 0x80], value.as_slice(), &[0, 0]].concat();
    for (what, file) in [
        ("definite outside", definite.clone()),
        ("PEM of it", pem("PKCS12", "", &definite)),
        ("PEM", pem("PKCS12", "", &ber)),
        ("PKCS#8", key.clone()),
        ("PKCS#8 in PEM", pem("PRIVATE KEY", "", &key)),
        ("zeros behind it", [key, vec![0; 100]].concat()),
    ] {
        let (_folder, path) = temporary("key", &file);
        let ring = load(&path, passphrase).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(ring.keys()[0].modulus(), modulus(), "{what}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let ring = load(&testdata("rsa512.pem"), passphrase).unwrap();
    let text = format!("{ring:?}");
    assert!(text.contains("512") && text.contains("rsa512.pem"));
    assert!(text.len() < 600, "{text}");
}

/// Rings and protections go to the threads that decode.
#[test]
fn shared_between_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<KeyRing>();
    is_shared::<super::super::protection::Protection>();
}

#[test]
fn secrets_of_captures_that_take_turns_stay_in_few_logs() {
    let mut ring = KeyRing::new();
    for n in 0..1000u64 {
        let line = format!("CLIENT_RANDOM {n:064x} {n:096x}\n");
        let name = ["a.pcapng", "b.pcapng"][n as usize % 2];
        ring.add_keylog_bytes(name, line.as_bytes(), SecretSource::Dsb);
    }
    // Of each, one for a power of two at most.
    assert!(ring.log_count() <= 20, "{} logs", ring.log_count());
    let mut random = [0; 32];
    random[30..].copy_from_slice(&999u16.to_be_bytes());
    assert_eq!(ring.master_for_client_random(&random).map(|found| found.file.to_string()), Some("b.pcapng".to_owned()));
}
