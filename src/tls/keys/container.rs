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

/// Every PEM block of a text, whatever stands between them. Takes any line ends, indentation and blank lines; strings of
/// JSON, YAML or a program, of which each line may be one.
pub(super) fn pem_blocks(text: &str) -> Vec<Block> {
    let mut pieces = text.split(BEGIN).peekable();
    let mut before = pieces.next().unwrap_or_default();
    let mut blocks = Vec::new();
    while let Some(piece) = pieces.next() {
        let quote = before.chars().next_back().filter(|c| matches!(c, '"' | '\'' | '`'));
        before = piece;
        let Some((label, rest)) = piece.split_once("-----").filter(|(label, _)| !label.contains(['\n', '\r'])) else {
            continue;
        };
        let (content, ended) = rest.split_once("-----END").map_or((rest, false), |(content, _)| (content, true));
        let strings = Zeroizing::new(match quote {
            Some(quote) => content.split(quote).step_by(2).collect::<Vec<_>>().join("\n"),
            None => content.to_owned(),
        });
        let mut dek_info = None;
        let mut digits = Zeroizing::new(String::with_capacity(strings.len()));
        for line in strings.split("\\n").flat_map(|line| line.split(['\n', '\r'])) {
            let line = line.trim().trim_end_matches('\\');
            let line = line.strip_suffix("\\r").unwrap_or(line);
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("DEK-Info") => {
                    dek_info = Some(value.trim().to_owned())
                }
                Some(_) => {}
                None => unescape(line, &mut digits),
            }
        }
        let der = Zeroizing::new(BASE64.decode(digits.as_bytes()).unwrap_or_default());
        // Words about a block have more on their line, a sample no end where the next one begins.
        let first = rest.split(['\n', '\r', '\\']).next().unwrap_or_default();
        let is_line = first.chars().all(|c| c.is_whitespace() || c == ',' || Some(c) == quote);
        let is_block = match is_line {
            true => ended || !digits.is_empty() || pieces.peek().is_none(),
            false => ended && !der.is_empty(),
        };
        if is_block {
            blocks.push(Block { label: label.trim().to_owned(), dek_info, der });
        }
    }
    blocks
}

/// Digits of base64 as strings have them: `\/` is a slash, `\u002B` a plus; spaces may stand for line ends.
fn unescape(line: &str, digits: &mut String) {
    for (at, part) in line.split("\\u").enumerate() {
        let code = part.split_at_checked(4).filter(|_| at > 0);
        let code = code.and_then(|(hex, rest)| Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, rest)));
        let (escaped, part) = code.map_or((None, part), |(c, rest)| (Some(c), rest));
        digits.extend(escaped.into_iter().chain(part.chars()).filter(|c| !c.is_whitespace() && *c != '\\'));
    }
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
