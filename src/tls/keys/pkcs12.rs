//! PKCS#12 (RFC 7292): the keys in its safes' bags.
//!
//! The MAC is not looked at: whether the passphrase is right shows by what it opens.

use pkcs8::der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use pkcs8::der::{self, Decode, Encode, Reader, SliceReader, Tagged};
use pkcs8::spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use super::ber;
use super::container::{Shape, shape};
use super::pbe::{self, PbeError, Work};

const DATA: &str = "1.2.840.113549.1.7.1";
const ENCRYPTED_DATA: &str = "1.2.840.113549.1.7.6";
const KEY: &str = "1.2.840.113549.1.12.10.1.1";
const SHROUDED_KEY: &str = "1.2.840.113549.1.12.10.1.2";
const SAFE_CONTENTS: &str = "1.2.840.113549.1.12.10.1.6";

/// Safes inside safes that are followed.
const DEPTH: u32 = 8;

/// The private keys of a `PFX`, each a `PrivateKeyInfo`.
pub(super) fn keys(der: &[u8], password: &str, work: &mut Work) -> Result<Vec<Zeroizing<Vec<u8>>>, PbeError> {
    let mut keys = Keys { password, work, found: Vec::new() };
    let der = ber::to_der(der).ok_or(PbeError::Wrong)?;
    let content = inside(AnyRef::from_der(&der)?)?.nth(1).ok_or(PbeError::Wrong)??;
    let (kind, safes) = typed(content)?;
    if kind != DATA {
        return Err(PbeError::Method("a public key, as PKCS#12 may be".into()));
    }
    let safes = octets(safes)?;
    for safe in inside(AnyRef::from_der(&safes)?)? {
        let (kind, content) = typed(safe?)?;
        match kind.as_str() {
            DATA => keys.bags(AnyRef::from_der(&octets(content)?)?, DEPTH)?,
            ENCRYPTED_DATA => {
                let info = inside(content)?.nth(1).ok_or(PbeError::Wrong)??;
                let mut parts = inside(info)?.skip(1);
                let (Some(algorithm), Some(data)) = (parts.next(), parts.next()) else { continue };
                let algorithm: AlgorithmIdentifierRef<'_> = algorithm?.decode_as()?;
                let data = data?;
                // An octet string by another name.
                let data = match data.tag().is_constructed() {
                    true => ber::joined(data.value()).ok_or(PbeError::Wrong)?,
                    false => Zeroizing::new(data.value().to_vec()),
                };
                let plain = pbe::open(&algorithm, &data, password, keys.work)?;
                keys.bags(AnyRef::from_der(&ber::to_der(&plain).ok_or(PbeError::Wrong)?)?, DEPTH)?;
            }
            _ => {}
        }
    }
    Ok(keys.found)
}

struct Keys<'a> {
    password: &'a str,
    work: &'a mut Work,
    found: Vec<Zeroizing<Vec<u8>>>,
}

impl Keys<'_> {
    fn bags(&mut self, contents: AnyRef<'_>, depth: u32) -> Result<(), PbeError> {
        for bag in inside(contents)? {
            let (kind, value) = typed(bag?)?;
            let key = match kind.as_str() {
                KEY => Zeroizing::new(value.to_der()?),
                SHROUDED_KEY => pbe::open_pkcs8(&value.to_der()?, self.password, self.work)?,
                SAFE_CONTENTS if depth > 0 => {
                    self.bags(value, depth - 1)?;
                    continue;
                }
                _ => continue,
            };
            if shape(&key) != Some(Shape::Pkcs8) {
                return Err(PbeError::Wrong);
            }
            self.found.push(key);
        }
        Ok(())
    }
}

/// What stands in a structure; nothing more is asked for behind an error.
fn inside(structure: AnyRef<'_>) -> der::Result<impl Iterator<Item = der::Result<AnyRef<'_>>>> {
    let mut reader = SliceReader::new(structure.value())?;
    Ok(std::iter::from_fn(move || (!reader.is_finished()).then(|| AnyRef::decode(&mut reader))))
}

/// Type and content of a `ContentInfo` or `SafeBag`.
fn typed(structure: AnyRef<'_>) -> Result<(String, AnyRef<'_>), PbeError> {
    let mut parts = inside(structure)?;
    let (Some(kind), Some(content)) = (parts.next(), parts.next()) else { return Err(PbeError::Wrong) };
    let kind: ObjectIdentifier = kind?.decode_as()?;
    Ok((kind.to_string(), AnyRef::from_der(content?.value())?))
}

/// The structure in an octet string.
fn octets(any: AnyRef<'_>) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    ber::to_der(any.decode_as::<&OctetStringRef>()?.as_bytes()).ok_or(PbeError::Wrong)
}
