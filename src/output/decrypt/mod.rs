//! Captures that Wireshark opens decrypted, written in two passes over the inputs: the first decodes, and finds the
//! sessions and their secrets; the second copies the packets behind the secrets ([`copy`]), or writes the dialogue as
//! packets without TLS ([`Plaintext`]).

mod copy;
mod ends;
mod packets;
mod plaintext;
mod survey;

pub use copy::{Copied, copy};
pub use plaintext::Plaintext;
pub use survey::{Found, Survey, Surveyed};

/// Who writes the files, for their section headers.
pub const APPLICATION: &str = concat!("mailcap ", env!("CARGO_PKG_VERSION"));
