//! X.509 certificates, as far as a report and the match with a key need them. One that can't be read keeps its hash.

use std::collections::VecDeque;

use der::asn1::{Ia5StringRef, PrintableStringRef, TeletexStringRef, UintRef, Utf8StringRef};
use der::{Decode, Encode, SliceReader, Tag, Tagged};
use sha2::{Digest, Sha256};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use x509_cert::{der, spki};

use crate::event::Certificate;
use crate::position::Timestamp;

/// A certificate with what a private key is matched by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadCertificate {
    /// What is told of it.
    pub info: Certificate,
    /// RSA modulus, big-endian without leading zeros; none for other keys.
    pub modulus: Option<Vec<u8>>,
    /// Names and addresses that it is for (subject alternative names), the first few, as a list to read.
    pub alternatives: String,
}

impl ReadCertificate {
    /// Memory that it takes, roughly.
    pub(super) fn cost(&self) -> usize {
        let texts = self.info.subject.len() + self.info.issuer.len() + self.info.key.len();
        size_of::<Self>() + texts + self.alternatives.len() + self.modulus.as_ref().map_or(0, Vec::capacity)
    }
}

/// Certificates that were read lately: a server sends the same one again and again.
#[derive(Debug, Default)]
pub(crate) struct Lately(VecDeque<(Vec<u8>, ReadCertificate)>);

impl Lately {
    /// Most that are kept, and the longest: as many as a server's chain and a few others'.
    const KEPT: usize = 8;
    const LONGEST: usize = 4096;

    /// As [`read`].
    pub(crate) fn read(&mut self, bytes: &[u8]) -> ReadCertificate {
        if let Some((_, known)) = self.0.iter().find(|(known, _)| known == bytes) {
            return known.clone();
        }
        let certificate = read(bytes);
        if bytes.len() <= Self::LONGEST {
            self.0.truncate(Self::KEPT - 1);
            self.0.push_front((bytes.to_vec(), certificate.clone()));
        }
        certificate
    }
}

/// Longest name that is told, in characters: names come from the wire.
const NAME: usize = 1024;

/// Alternative names that are told one by one.
const NAMED: usize = 8;

/// Reads a DER certificate.
pub fn read(bytes: &[u8]) -> ReadCertificate {
    let mut out = ReadCertificate::default();
    out.info.sha256 = Sha256::digest(bytes).into();
    // Trailing bytes and deviations from RFC 5280 are the wild's habit: the lenient profile, else the hash alone.
    let Ok(certificate) = CertificateInner::<Raw>::from_der(bytes) else { return out };
    let tbs = certificate.tbs_certificate();
    out.info.subject = one_line(tbs.subject());
    out.info.issuer = one_line(tbs.issuer());
    out.info.not_before = timestamp(tbs.validity().not_before);
    out.info.not_after = timestamp(tbs.validity().not_after);
    if let Ok(Some((_, SubjectAltName(names)))) = tbs.get_extension() {
        out.alternatives = alternatives(&names);
    }
    let key = tbs.subject_public_key_info();
    out.modulus = modulus(key);
    out.info.key = key_name(key, out.modulus.as_deref());
    out
}

/// None beyond 2262, as the 31st of December 9999 of certificates without an end (RFC 5280 §4.1.2.5).
fn timestamp(time: x509_cert::time::Time) -> Option<Timestamp> {
    i64::try_from(time.to_unix_duration().as_nanos()).ok().map(Timestamp)
}

fn alternatives(names: &[GeneralName]) -> String {
    let named = names.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => match bytes.as_bytes() {
            bytes if let Ok(v4) = <[u8; 4]>::try_from(bytes) => Some(std::net::Ipv4Addr::from(v4).to_string()),
            bytes if let Ok(v6) = <[u8; 16]>::try_from(bytes) => Some(std::net::Ipv6Addr::from(v6).to_string()),
            _ => None,
        },
        _ => None,
    });
    let mut named: Vec<String> = named.collect();
    let more = named.len().saturating_sub(NAMED);
    named.truncate(NAMED);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let mut list = named.join(", ");
    if list.len() > NAME {
        list.truncate(list.floor_char_boundary(NAME));
        list.push('…');
    }
    list
}

/// `O=Example, CN=mail.example.test`: the order of the encoding, RFC 4514's escapes.
fn one_line(name: &Name) -> String {
    let mut out = String::new();
    for (i, rdn) in name.iter_rdn().enumerate() {
        for (j, attribute) in rdn.iter().enumerate() {
            match (i, j) {
                (0, 0) => {}
                (_, 0) => out.push_str(", "),
                _ => out.push('+'),
            }
            let oid = attribute.oid.to_string();
            out.push_str(short_name(&oid).unwrap_or(&oid));
            out.push('=');
            match text(&attribute.value) {
                Some(value) => escape(&value, &mut out),
                None => {
                    out.push('#');
                    for byte in attribute.value.value().iter().take(64) {
                        out.push_str(&format!("{byte:02x}"));
                    }
                }
            }
            if out.len() > NAME {
                out.truncate(out.floor_char_boundary(NAME));
                out.push('…');
                return out;
            }
        }
    }
    out
}

/// The short names of RFC 4514 and OpenSSL.
fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.42" => "GN",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

fn text(value: &der::Any) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String => Utf8StringRef::try_from(value).ok().map(|s| s.as_str().to_owned()),
        Tag::PrintableString => PrintableStringRef::try_from(value).ok().map(|s| s.as_str().to_owned()),
        Tag::Ia5String => Ia5StringRef::try_from(value).ok().map(|s| s.as_str().to_owned()),
        // Latin-1 in practice.
        Tag::TeletexString => TeletexStringRef::try_from(value)
            .ok()
            .map(|s| s.as_str().to_owned())
            .or_else(|| Some(bytes.iter().map(|&b| char::from(b)).collect())),
        Tag::BmpString => {
            let units = bytes.chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]]));
            Some(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
        _ => None,
    }
}

fn escape(value: &str, out: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (i, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', c]),
            ' ' if i == 0 || i == last => out.push_str("\\ "),
            '#' if i == 0 => out.push_str("\\#"),
            c if c.is_control() => out.push_str(&format!("\\{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
}

const RSA: &[&str] = &["1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "2.5.8.1.1"];

fn modulus(key: &spki::SubjectPublicKeyInfoOwned) -> Option<Vec<u8>> {
    RSA.contains(&key.algorithm.oid.to_string().as_str()).then_some(())?;
    first_integer(key.subject_public_key.as_bytes()?)
}

/// Type and size: `RSA-2048`, `EC-P256`, `Ed25519`.
fn key_name(key: &spki::SubjectPublicKeyInfoOwned, modulus: Option<&[u8]>) -> String {
    if let Some(modulus) = modulus {
        return format!("RSA-{}", bits(modulus));
    }
    let oid = key.algorithm.oid.to_string();
    let curve = || {
        let curve = key.algorithm.parameters.as_ref()?.decode_as::<der::asn1::ObjectIdentifier>().ok()?.to_string();
        Some(match curve.as_str() {
            "1.2.840.10045.3.1.1" => "EC-P192".to_owned(),
            "1.3.132.0.33" => "EC-P224".to_owned(),
            "1.2.840.10045.3.1.7" => "EC-P256".to_owned(),
            "1.3.132.0.34" => "EC-P384".to_owned(),
            "1.3.132.0.35" => "EC-P521".to_owned(),
            "1.3.132.0.10" => "EC-secp256k1".to_owned(),
            "1.3.36.3.3.2.8.1.1.7" => "EC-brainpoolP256r1".to_owned(),
            "1.3.36.3.3.2.8.1.1.11" => "EC-brainpoolP384r1".to_owned(),
            "1.3.36.3.3.2.8.1.1.13" => "EC-brainpoolP512r1".to_owned(),
            other => format!("EC-{other}"),
        })
    };
    match oid.as_str() {
        "1.2.840.10045.2.1" => curve().unwrap_or_else(|| "EC".to_owned()),
        "1.3.101.112" => "Ed25519".to_owned(),
        "1.3.101.113" => "Ed448".to_owned(),
        "1.2.840.10040.4.1" => match key.algorithm.parameters.as_ref().and_then(|p| first_integer(&p.to_der().ok()?)) {
            Some(prime) => format!("DSA-{}", bits(&prime)),
            None => "DSA".to_owned(),
        },
        "1.2.840.10046.2.1" | "1.2.840.113549.1.3.1" => "DH".to_owned(),
        other => other.to_owned(),
    }
}

/// The first number of a SEQUENCE of numbers: RSA's modulus, DSA's prime.
fn first_integer(sequence: &[u8]) -> Option<Vec<u8>> {
    let body = der::asn1::AnyRef::from_der(sequence).ok().filter(|any| any.tag() == Tag::Sequence)?;
    let mut reader = SliceReader::new(body.value()).ok()?;
    Some(UintRef::decode(&mut reader).ok()?.as_bytes().to_vec())
}

fn bits(number: &[u8]) -> usize {
    let number = number.get(number.iter().take_while(|&&b| b == 0).count()..).unwrap_or_default();
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmt::hex;

    fn der(hex: &[&str]) -> Vec<u8> {
        let hex = hex.concat();
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    /// A self-signed certificate of the test corpus (`rsa512.crt`); what it says is from `openssl x509 -text`.
    const RSA512: &[&str] = &[
        "308201e830820192a003020102021461add802db02a00369b8d1f8680737e34b8fa9e3300d06092a864886f70d01010b0500",
        "303331163014060355040a0c0d6d6174726978207368617265643119301706035504030c106d61696c2d7273613531322e74",
        "657374301e170d3236313132343032343535325a170d3336313132313032343535325a303331163014060355040a0c0d6d61",
        "74726978207368617265643119301706035504030c106d61696c2d7273613531322e74657374305c300d06092a864886f70d",
        "0101010500034b003048024100d8a46e7b10b6641cf42339eb80778d3218573a79f2bdba162f5a4c6e6172d8082df55224ba",
        "f6b4f9e05252137bdb898162d731804f0e19caed77b424e69d7f670203010001a37e307c301d0603551d0e04160414857175",
        "7bf88957714066d0fa91fa15d9ae01156a301f0603551d230418301680148571757bf88957714066d0fa91fa15d9ae01156a",
        "300f0603551d130101ff040530030101ff30290603551d110422302082106d61696c2d7273613531322e74657374820c6d61",
        "696c2e6578616d706c65300d06092a864886f70d01010b050003410021f520f803bf9f0c42ba554363e9a28dd7e626861194",
        "04281233a04d0505ee6d78064aa3bf43f2a5addb0c8c7d72414f4b4a5e6b6804fa43855b34e2b69ba349",
    ];

    /// Another (`ec384.crt`).
    const EC384: &[&str] = &[
        "30820220308201a6a003020102021413ce0a1476479f43b4160d161c4e926d777fcb47300a06082a8648ce3d040302303231",
        "163014060355040a0c0d6d6174726978207368617265643118301606035504030c0f6d61696c2d65633338342e7465737430",
        "1e170d3236313132343032343535365a170d3336313132313032343535365a303231163014060355040a0c0d6d6174726978",
        "207368617265643118301606035504030c0f6d61696c2d65633338342e746573743076301006072a8648ce3d020106052b81",
        "0400220362000401a9997c7e8fbe358d9939a71e747f81dd82695c7937f2c9e79fcbfbf066b7b0f47c349ae7d985b236dffe",
        "5994b8562c785c83d7ada405830dd435cc3319d21db670781011dfe4b4c355f4469fbd255a2b0f8af13ab2707a1fe040c1c9",
        "b5fd95a37d307b301d0603551d0e0416041401f7617b20254ac70bbe0baf36f922313b2d53ad301f0603551d230418301680",
        "1401f7617b20254ac70bbe0baf36f922313b2d53ad300f0603551d130101ff040530030101ff30280603551d110421301f82",
        "0f6d61696c2d65633338342e74657374820c6d61696c2e6578616d706c65300a06082a8648ce3d040302036800306502300c",
        "44e529b025a417f16d1803c9d2d9f221ee06d8098de95dc9a9d50ac17631555c478a90e121140ae38169f5533ec126023100",
        "e83201690fff5c0c2bc15d537d599ce3776b6ef2897f9835db46902429b05786d15f463949f07b23fc1b0d2b7d8c6de9",
    ];

    #[test]
    fn rsa() {
        let read = read(&der(RSA512));
        assert_eq!(read.info.subject, "O=matrix shared, CN=mail-rsa512.test");
        assert_eq!(read.info.issuer, read.info.subject);
        assert_eq!(read.info.key, "RSA-512");
        assert_eq!(read.alternatives, "mail-rsa512.test, mail.example");
        // 2026-11-24 02:45:52 and 2036-11-21 02:45:52, UTC.
        assert_eq!(read.info.not_before, Some(Timestamp(1_795_488_352_000_000_000)));
        assert_eq!(read.info.not_after, Some(Timestamp(2_110_848_352_000_000_000)));
        assert_eq!(hex(&read.info.sha256), "eca70c1b339105827db055c19944fc9a13674bd57b13fc7e5f1ff91bf5c12648");
        let modulus = read.modulus.unwrap();
        assert_eq!((modulus.len(), hex(&modulus[..4])), (64, "d8a46e7b".to_owned()));
    }

    #[test]
    fn no_end_is_no_other_date() {
        use x509_cert::der::{DateTime, asn1::GeneralizedTime};
        let time = |year| {
            let date = DateTime::new(year, 12, 31, 23, 59, 59).unwrap();
            timestamp(x509_cert::time::Time::GeneralTime(GeneralizedTime::from_date_time(date)))
        };
        assert_eq!(time(9999), None);
        assert_eq!(time(2099), Some(Timestamp(4_102_444_799_000_000_000)));
    }

    #[test]
    fn alternative_names() {
        let dns = |name: &str| GeneralName::DnsName(der::asn1::Ia5String::new(name).unwrap());
        let ip = |bytes: &[u8]| GeneralName::IpAddress(der::asn1::OctetString::new(bytes).unwrap());
        let v6 = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let names = [dns("a.test"), ip(&[192, 0, 2, 1]), ip(&v6), ip(&[1])];
        assert_eq!(alternatives(&names), "a.test, 192.0.2.1, 2001:db8::1");
        let many = vec![dns("a.test"); NAMED + 3];
        assert!(alternatives(&many).ends_with("a.test, 3 more"));
        let long = vec![dns(&"x".repeat(400)); 4];
        assert!(alternatives(&long).ends_with("x…"));
    }

    #[test]
    fn elliptic_curve() {
        let read = read(&der(EC384));
        assert_eq!((read.info.key.as_str(), read.modulus), ("EC-P384", None));
        assert_eq!(hex(&read.info.sha256), "b4bd4d5440f45324f05ea439d1186c7ed68ea5efa358a280b26306b006dae004");
    }

    #[test]
    fn cut_anywhere_it_does_not_panic() {
        let whole = der(RSA512);
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]).modulus, None);
        }
    }

    #[test]
    fn garbage_keeps_its_hash() {
        let read = read(b"no certificate");
        assert_eq!(read.info.sha256, <[u8; 32]>::from(Sha256::digest(b"no certificate")));
        assert_eq!((read.modulus, read.info.subject.as_str(), read.info.not_before), (None, "", None));
    }
}
