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
const DEPTH: u32 = 16;

/// What a passphrase opened of a file.
#[derive(Default)]
pub(super) struct Opened {
    /// Each a `PrivateKeyInfo`.
    pub(super) keys: Vec<Zeroizing<Vec<u8>>>,
    /// Why a part of it stayed closed: a key first, else what comes first.
    pub(super) closed: Option<PbeError>,
}

/// Opens every safe and bag of a `PFX` in DER, whatever becomes of those before it.
pub(super) fn open(der: &[u8], password: &str, work: &mut Work) -> Opened {
    let mut file = File { password, work, keys: Vec::new(), closed_key: None, closed: None };
    let read = file.safes(der);
    file.note(read);
    Opened { keys: file.keys, closed: file.closed_key.or(file.closed) }
}

struct File<'a> {
    password: &'a str,
    work: &'a mut Work,
    keys: Vec<Zeroizing<Vec<u8>>>,
    /// Why the first key that did not open did not, and the first of anything else.
    closed_key: Option<PbeError>,
    closed: Option<PbeError>,
}

impl File<'_> {
    fn note(&mut self, result: Result<(), PbeError>) {
        if let Err(error) = result {
            self.closed.get_or_insert(error);
        }
    }

    fn safes(&mut self, der: &[u8]) -> Result<(), PbeError> {
        let content = inside(AnyRef::from_der(der)?)?.nth(1).ok_or(PbeError::Wrong)??;
        let (kind, safes) = typed(content)?;
        if kind != DATA {
            return Err(PbeError::Method("a public key, as PKCS#12 may be".into()));
        }
        let safes = octets(safes)?;
        for safe in inside(AnyRef::from_der(&safes)?)? {
            let read = self.safe(safe?);
            self.note(read);
        }
        Ok(())
    }

    fn safe(&mut self, safe: AnyRef<'_>) -> Result<(), PbeError> {
        let (kind, content) = typed(safe)?;
        match kind.as_str() {
            DATA => self.bags(AnyRef::from_der(&octets(content)?)?, DEPTH),
            ENCRYPTED_DATA => {
                let info = inside(content)?.nth(1).ok_or(PbeError::Wrong)??;
                let mut parts = inside(info)?.skip(1);
                let (Some(algorithm), Some(data)) = (parts.next(), parts.next()) else { return Ok(()) };
                let algorithm: AlgorithmIdentifierRef<'_> = algorithm?.decode_as()?;
                let data = data?;
                // An octet string by another name.
                let data = match data.tag().is_constructed() {
                    true => ber::joined(data.value()).ok_or(PbeError::Wrong)?,
                    false => Zeroizing::new(data.value().to_vec()),
                };
                let plain = pbe::open(&algorithm, &data, self.password, self.work)?;
                self.bags(AnyRef::from_der(&plain)?, DEPTH)
            }
            _ => Ok(()),
        }
    }

    fn bags(&mut self, contents: AnyRef<'_>, depth: u32) -> Result<(), PbeError> {
        for bag in inside(contents)? {
            let read = self.bag(bag?, depth);
            self.note(read);
        }
        Ok(())
    }

    fn bag(&mut self, bag: AnyRef<'_>, depth: u32) -> Result<(), PbeError> {
        let (kind, value) = typed(bag)?;
        match kind.as_str() {
            KEY => self.keep(Zeroizing::new(value.to_der()?)),
            SHROUDED_KEY => {
                let opened = pbe::open_pkcs8(&value.to_der()?, self.password, self.work);
                if let Err(error) = opened.and_then(|key| self.keep(key)) {
                    self.closed_key.get_or_insert(error);
                }
                Ok(())
            }
            SAFE_CONTENTS => self.bags(value, depth.checked_sub(1).ok_or(PbeError::Wrong)?),
            _ => Ok(()),
        }
    }

    fn keep(&mut self, key: Zeroizing<Vec<u8>>) -> Result<(), PbeError> {
        if shape(&key) != Some(Shape::Pkcs8) {
            return Err(PbeError::Wrong);
        }
        self.keys.push(key);
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
