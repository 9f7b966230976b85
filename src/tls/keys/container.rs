//! What is in a file: PEM blocks, and what a DER structure is.

use base64::Engine;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use pkcs8::der::{Decode, Header, Reader, SliceReader, Tag};
use zeroize::Zeroizing;

/// Base64 as found in key files: padding optional.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A PEM block.
pub(super) struct Block {
    /// Between `BEGIN` and the dashes.
    pub(super) label: String,
    /// Value of the header `DEK-Info`.
    pub(super) dek_info: Option<String>,
    /// The content; empty when it is no base64.
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// How a block's first line begins.
pub(super) const BEGIN: &str = "-----BEGIN ";

/// A text in which line ends that are written as `\n`, as in a string of JSON or YAML, are such, and each block's first
/// line is one: before it a name and a quotation mark may stand, or a tag.
fn unquoted(text: &str) -> Zeroizing<String> {
    // What grows leaves copies.
    let mut out = Zeroizing::new(String::with_capacity(text.len() + text.matches(BEGIN).count()));
    for (at, line) in text.split("\\n").enumerate() {
        out.push_str(if at > 0 { "\n" } else { "" });
        let line = line.strip_suffix("\\r").unwrap_or(line);
        for (at, part) in line.split(BEGIN).enumerate() {
            if at > 0 {
                out.push('\n');
                out.push_str(BEGIN);
            }
            // Some write a slash so in JSON.
            part.split("\\/").enumerate().for_each(|(at, piece)| {
                out.push_str(if at > 0 { "/" } else { "" });
                out.push_str(piece);
            });
        }
    }
    out
}

/// Every PEM block of a text, whatever stands between them. Takes any line ends, indentation and blank lines.
pub(super) fn pem_blocks(text: &str) -> Vec<Block> {
    let label = |line: &str| Some(line.strip_prefix(BEGIN)?.strip_suffix("-----")?.trim().to_owned());
    let text = unquoted(text);
    let mut blocks = Vec::new();
    let mut lines = text.split(['\n', '\r']).map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let Some(name) = label(line) else { continue };
        let mut dek_info = None;
        let mut digits = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("-----END") && label(line).is_none()) {
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("DEK-Info") => {
                    dek_info = Some(value.trim().to_owned())
                }
                Some(_) => {}
                None => digits.push(line),
            }
        }
        let digits = Zeroizing::new(digits.concat());
        let der = Zeroizing::new(BASE64.decode(digits.as_bytes()).unwrap_or_default());
        // A sample whose end was left out, and the next block follows.
        let mention = der.is_empty() && lines.peek().is_some_and(|line| line.starts_with(BEGIN));
        if !mention {
            blocks.push(Block { label: name, dek_info, der });
        }
    }
    blocks
}

/// What a DER structure looks like.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// PKCS#1 `RSAPrivateKey`.
    Pkcs1,
    /// PKCS#8 `PrivateKeyInfo`.
    Pkcs8,
    /// PKCS#8 `EncryptedPrivateKeyInfo`.
    EncryptedPkcs8,
    /// PKCS#12 `PFX`.
    Pkcs12,
    /// SEC 1 `ECPrivateKey`.
    Ec,
    /// OpenSSL's `DSAPrivateKey`.
    Dsa,
    /// A public key.
    Public,
    /// X.509.
    Certificate,
    /// PKCS#10.
    Request,
}

/// Tells the structures that hold keys, or that people take for keys, by the types of their first elements.
pub(super) fn shape(der: &[u8]) -> Option<Shape> {
    let elements = elements(der)?;
    let tags: Vec<Tag> = elements.iter().map(|(tag, _)| *tag).collect();
    let first = elements.first().map(|(_, value)| *value).unwrap_or_default();
    Some(match tags.as_slice() {
        [Tag::Integer, Tag::Sequence, ..] if first == [3] => Shape::Pkcs12,
        [Tag::Integer, Tag::Sequence, Tag::OctetString, ..] => Shape::Pkcs8,
        [Tag::Integer, Tag::OctetString, ..] => Shape::Ec,
        [Tag::Integer, Tag::Integer] => Shape::Public,
        [Tag::Integer, rest @ ..] if rest.iter().take(8).all(|t| *t == Tag::Integer) => match rest.len() {
            8.. => Shape::Pkcs1,
            5 => Shape::Dsa,
            _ => return None,
        },
        [Tag::Sequence, Tag::OctetString] => Shape::EncryptedPkcs8,
        [Tag::Sequence, Tag::BitString] => Shape::Public,
        [Tag::Sequence, Tag::Sequence, Tag::BitString] if x509_cert::request::CertReq::from_der(der).is_ok() => {
            Shape::Request
        }
        [Tag::Sequence, Tag::Sequence, Tag::BitString, ..] => Shape::Certificate,
        _ => return None,
    })
}

/// Tags and values of a sequence's first elements.
fn elements(der: &[u8]) -> Option<Vec<(Tag, &[u8])>> {
    let mut reader = SliceReader::new(der).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    if header.tag() != Tag::Sequence {
        return None;
    }
    let mut inside = SliceReader::new(reader.read_slice(header.length()).ok()?).ok()?;
    let mut out = Vec::new();
    while !inside.is_finished() && out.len() < 16 {
        let header = Header::decode(&mut inside).ok()?;
        out.push((header.tag(), inside.read_slice(header.length()).ok()?));
    }
    Some(out)
}

/// Formats of other programs by how they begin: the words for each, and the command that converts it.
pub(super) fn other_format(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    Some(match bytes {
        [0xfe, 0xed, 0xfe, 0xed, ..] => (
            "a Java key store (JKS)",
            "keytool -importkeystore -srckeystore COPY -destkeystore NEW.p12 -deststoretype PKCS12",
        ),
        [0xce, 0xce, 0xce, 0xce, ..] => (
            "a Java key store (JCEKS)",
            "keytool -importkeystore -srckeystore COPY -srcstoretype JCEKS -destkeystore NEW.p12 -deststoretype PKCS12",
        ),
        [0x1e, 0xf1, 0xb5, 0xb0, ..] => {
            ("a private key of Microsoft's (PVK)", "openssl rsa -inform PVK -in COPY -out NEW.pem")
        }
        // PRIVATEKEYBLOB, version 2, of an RSA key.
        [7, 2, 0, 0, _, _, _, _, b'R', b'S', b'A', b'2', ..] => {
            ("a private key of Microsoft's (MSBLOB)", "openssl rsa -inform MSBLOB -in COPY -out NEW.pem")
        }
        _ if bytes.starts_with(b"PuTTY-User-Key-File-") => {
            ("a private key of PuTTY's (PPK)", "puttygen COPY -O private-openssh -o NEW.pem")
        }
        _ => return None,
    })
}

/// The words for a private key's algorithm when it is not RSA.
pub(super) fn algorithm_name(oid: &str) -> &'static str {
    match oid {
        "1.2.840.10045.2.1" => "an EC",
        "1.2.840.10040.4.1" => "a DSA",
        "1.2.840.113549.1.1.10" => "an RSA-PSS (signing only)",
        "1.2.840.113549.1.3.1" | "1.2.840.10046.2.1" => "a Diffie-Hellman",
        "1.3.101.110" => "an X25519",
        "1.3.101.111" => "an X448",
        "1.3.101.112" => "an Ed25519",
        "1.3.101.113" => "an Ed448",
        _ => "not an RSA, but some other",
    }
}
