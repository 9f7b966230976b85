//! PKCS#12: what is in its safes and bags.

use super::super::{load::load_within, pbe, pkcs12};
use super::*;

/// A PKCS#12 file without a MAC, of one safe in the clear with the encrypted keys in a bag each.
fn pfx(encrypted: &[&[u8]]) -> Vec<u8> {
    pfx_of(&encrypted.iter().map(|key| bag(2, key)).collect::<Vec<_>>())
}

/// A `SafeBag` (RFC 7292 section 4.2): 2 a shrouded key, 6 more bags.
fn bag(kind: u8, content: &[u8]) -> Vec<u8> {
    let kind = [b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01", &[kind][..]].concat();
    tlv(0x30, &[&kind, &tlv(0xa0, &[content])])
}

fn pfx_of(bags: &[Vec<u8>]) -> Vec<u8> {
    const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    let content = |of: &[u8]| tlv(0x30, &[DATA, &tlv(0xa0, &[&tlv(0x04, &[of])])]);
    let safe = content(&tlv(0x30, &bags.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    // Lengths are as short as can be in DER.
    shortest(&tlv(0x30, &[&[2, 1, 3], &content(&tlv(0x30, &[&safe]))]))
}

/// Each bag was bounded, not how many of them there are.
#[test]
fn a_pkcs12_file_of_many_bags_can_not_ask_for_any_amount_of_work() {
    use pkcs8::der::Encode;
    use pkcs8::pkcs5::EncryptionScheme;
    use pkcs8::pkcs5::pbes2::Kdf;
    let text = std::fs::read_to_string(testdata("encoded/rsa2048.enc-pkcs8-aes256-pbes2.pem")).unwrap();
    let (_, document) = pkcs8::der::SecretDocument::from_pem(&text).unwrap();
    let mut info: pkcs8::EncryptedPrivateKeyInfoRef<'_> = document.decode_msg().unwrap();
    let EncryptionScheme::Pbes2(parameters) = &mut info.encryption_algorithm else { panic!() };
    let Kdf::Pbkdf2(kdf) = &mut parameters.kdf else { panic!() };
    let rounds = std::mem::replace(&mut kdf.iteration_count, u32::MAX);
    let endless = info.to_der().unwrap();
    let sound = document.as_bytes();
    let password = passphrase("".as_ref()).unwrap();
    let open = |bags: &[&[u8]], granted: u64| {
        let opened = pkcs12::open(&pfx(bags), &password, &mut pbe::Work::of(granted));
        let refused = |error| matches!(error, pbe::PbeError::Method(what) if what.contains("rounds of key derivation"));
        (opened.keys.len(), opened.closed.map(refused))
    };
    let granted = 3 * u64::from(rounds);
    assert_eq!(open(&[sound; 3], granted), (3, None));
    assert_eq!(open(&[sound; 4], granted), (3, Some(true)));
    assert_eq!(open(&[sound, &endless], granted), (1, Some(true)));
    let load = |der: &[u8]| {
        let mut ring = KeyRing::new();
        ring.add_key_bytes("key.p12".as_ref(), der, &mut passphrase).map(|_| ring.keys()[0].modulus().to_vec())
    };
    assert_eq!(load(&pfx(&[sound])).unwrap(), modulus());
    for der in [pfx(&[&endless]), endless] {
        let error = load(&der).unwrap_err().to_string();
        assert!(error.contains("key.p12: is encrypted with more than 20000000 rounds of key derivation"), "{error}");
    }
}

/// The attempt without one spent half of them.
#[test]
fn the_passphrase_has_all_rounds() {
    let sound = std::fs::read(testdata("encoded/rsa2048.enc-pkcs8-aes256-pbes2.der")).unwrap();
    let open = |rounds| load_within("key.p12".as_ref(), &pfx(&[&sound]), &mut passphrase, rounds);
    assert_eq!(open(2048).unwrap().keys.len(), 1);
    assert!(matches!(open(2047), Err(KeyError::Encryption { .. })));
}

/// Certificates in CAST5, a store's passphrase that is not the key's, a bag that is damaged: the key opens all the
/// same.
#[test]
fn a_part_of_a_pkcs12_file_that_stays_closed_hides_no_key() {
    let opens = |name: &str, mut password: &dyn Fn(&Path) -> Option<Zeroizing<String>>, note: Option<&str>| {
        let mut ring = KeyRing::new();
        let notes = ring.add_key_path(&testdata(name), &mut password).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(ring.keys()[0].modulus(), modulus(), "{name}");
        assert_eq!(notes.len(), usize::from(note.is_some()), "{notes:?}");
        assert!(notes.iter().all(|said| said.contains(name) && said.contains(note.unwrap())), "{notes:?}");
    };
    opens("encoded/rsa2048.password-cert-cast5.p12", &passphrase, Some("is encrypted with CAST5"));
    opens("encoded/rsa2048.password-of-key-alone.p12", &passphrase, Some("the password is wrong"));
    opens("clear-key.p12", &passphrase, None);
    opens("clear-key.p12", &|_| Some(Zeroizing::new("wrong".into())), Some("the password is wrong"));
    opens("clear-key.p12", &|_| None, Some("no password was given"));

    let sound = std::fs::read(testdata("encoded/rsa2048.enc-pkcs8-aes256-pbes2.der")).unwrap();
    let mut damaged = sound.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let load = |der: &[u8]| {
        let mut ring = KeyRing::new();
        let notes = ring.add_key_bytes("key.p12".as_ref(), der, &mut passphrase).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(ring.keys()[0].modulus(), modulus());
        notes
    };
    assert_eq!(load(&pfx(&[&damaged, &sound])), ["a part of key.p12: the password is wrong (or the file is damaged)"]);
    assert!(load(&pfx_of(&[tlv(0x30, &[b"\x06\x01\x2a"]), bag(2, &sound)]))[0].contains("a part of"));
    let nested = (0..12).fold(bag(2, &sound), |inner, _| bag(6, &tlv(0x30, &[&inner])));
    assert_eq!(load(&pfx_of(&[nested])), [""; 0]);
}

/// PBMAC1 (RFC 9579) and others than SHA-1 and SHA-2: what the passphrase opens is proof enough.
#[test]
fn a_mac_of_another_kind_is_no_hindrance() {
    let mut der = std::fs::read(testdata("encoded/rsa2048.password.p12")).unwrap();
    // id-sha256, at the end the MAC's; id-sha3-256.
    let sha256 = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
    let at = der.windows(sha256.len()).rposition(|w| w == sha256).unwrap();
    der[at + 8] = 8;
    let (_folder, path) = temporary("key.p12", &der);
    assert_eq!(load(&path, passphrase).unwrap().keys()[0].modulus(), modulus());
}
