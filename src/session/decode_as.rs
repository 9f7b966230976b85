//! What the user says of a port: obeyed, where a port's number alone is a hint for a tie ([`crate::ports`]).

use crate::event::Protocol;

/// A user's word on a port (`-d tcp.port==2587,smtp`): obeyed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct DecodeAs {
    /// The server's port.
    pub port: u16,
    /// What is spoken there; none leaves it to detection inside TLS.
    pub protocol: Option<Protocol>,
    /// TLS from the first byte.
    pub tls: bool,
}
