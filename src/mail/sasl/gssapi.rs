//! GSSAPI (RFC 4752): the tokens of Kerberos are sealed, but for the client's last one, which is only signed.

use super::Facts;

/// The client's last token (RFC 4121 §4.2.6.2): a flag says whether it is sealed.
const WRAP: [u8; 2] = [5, 4];
const SEALED: u8 = 2;
const HEADER: usize = 16;
/// The security layer that was chosen, and the longest message, come before the name (RFC 4752 §3.1).
const LAYER: usize = 4;

/// Takes the identity out of the client's last token, where it has one: most clients leave it to the ticket.
pub(super) fn response(decoded: &[u8], facts: &mut Facts<'_>) {
    if let Some(name) = wrapped(decoded).filter(|name| !name.is_empty()) {
        facts.user(&name);
        facts.authzid(&name);
    }
}

fn wrapped(token: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = token.split_at_checked(HEADER)?;
    if header[..2] != WRAP || header[2] & SEALED != 0 || rest.is_empty() {
        return None;
    }
    let number = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    // What is signed, then its checksum; both turned to the right together.
    let (checksum, turned) = (number(4), number(6));
    let mut signed = rest.to_vec();
    signed.rotate_left(turned % rest.len());
    signed.truncate(rest.len().checked_sub(checksum)?);
    Some(signed.get(LAYER..)?.to_vec())
}
