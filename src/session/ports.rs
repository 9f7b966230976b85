//! What ports suggest: a hint for a tie, never a condition, unless the user said so.

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

/// Mail ports: a connection there is a mail session even when nothing recognisable was said.
pub fn is_mail_port(port: u16) -> bool {
    Protocol::of_port(port).is_some()
}

/// Ports on which TLS begins with the first byte (RFC 8314).
pub fn is_tls_port(port: u16) -> bool {
    matches!(port, 465 | 993 | 995)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mail_ports_are_those_of_the_contract() {
        let ports: Vec<u16> = (0..=u16::MAX).filter(|&p| is_mail_port(p)).collect();
        assert_eq!(ports, [24, 25, 110, 143, 465, 587, 993, 995, 2000, 4190]);
    }
}
