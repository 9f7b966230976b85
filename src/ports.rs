//! What ports suggest: a hint for a tie, never a condition, unless the user said so.

use crate::event::Protocol;

impl Protocol {
    /// What IANA (or custom, for 2000) has on that port, be it inside TLS.
    pub fn of_port(port: u16) -> Option<Self> {
        Some(match port {
            24 => Protocol::Lmtp,
            25 | 465 | 587 => Protocol::Smtp,
            110 | 995 => Protocol::Pop3,
            143 | 993 => Protocol::Imap,
            2000 | 4190 => Protocol::Sieve,
            _ => return None,
        })
    }
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
