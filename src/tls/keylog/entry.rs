//! Lines of a key log to be written.

use zeroize::Zeroizing;

use super::{Tls13Label, hex_digit};
use crate::tls::secret::Secret;

/// What a line begins with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// `CLIENT_RANDOM`: the master secret of SSL 3.0 to TLS 1.2.
    Master,
    /// A traffic secret of TLS 1.3.
    Traffic(Tls13Label),
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Label::Master => f.write_str("CLIENT_RANDOM"),
            Label::Traffic(Tls13Label::ClientEarly) => f.write_str("CLIENT_EARLY_TRAFFIC_SECRET"),
            Label::Traffic(Tls13Label::ClientHandshake) => f.write_str("CLIENT_HANDSHAKE_TRAFFIC_SECRET"),
            Label::Traffic(Tls13Label::ServerHandshake) => f.write_str("SERVER_HANDSHAKE_TRAFFIC_SECRET"),
            Label::Traffic(Tls13Label::ClientTraffic(n)) => write!(f, "CLIENT_TRAFFIC_SECRET_{n}"),
            Label::Traffic(Tls13Label::ServerTraffic(n)) => write!(f, "SERVER_TRAFFIC_SECRET_{n}"),
        }
    }
}

/// One secret and what it is found by. `Debug` does not show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which secret.
    pub label: Label,
    /// Random of the ClientHello.
    pub client_random: [u8; 32],
    /// The secret.
    pub secret: Secret,
}

impl Entry {
    /// The line, with its line feed: `LABEL random secret`, in lower-case hex digits.
    pub fn line(&self) -> Zeroizing<Vec<u8>> {
        // Room for the whole line at once: growing would leave copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(64 + 64 + 2 * self.secret.len() + 3));
        line.extend_from_slice(self.label.to_string().as_bytes());
        for bytes in [&self.client_random[..], &self.secret[..]] {
            line.push(b' ');
            line.extend(bytes.iter().flat_map(|b| [hex_digit(b >> 4), hex_digit(b & 15)]));
        }
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SecretSource;
    use crate::tls::KeyRing;

    #[test]
    fn what_is_written_is_found_again() {
        let labels = [
            Tls13Label::ClientEarly,
            Tls13Label::ClientHandshake,
            Tls13Label::ServerHandshake,
            Tls13Label::ClientTraffic(0),
            Tls13Label::ServerTraffic(7),
        ];
        let mut log = Vec::new();
        let entry = |label, n: u8, len| Entry { label, client_random: [n; 32], secret: Secret::new(&vec![n; len]) };
        log.extend_from_slice(&entry(Label::Master, 1, 48).line());
        for (n, label) in (2..).zip(labels) {
            log.extend_from_slice(&entry(Label::Traffic(label), n, 32).line());
        }
        let mut ring = KeyRing::new();
        assert_eq!(ring.add_keylog_bytes("log", &log, SecretSource::KeyLog), Vec::<String>::new());
        assert_eq!(&ring.master_for_client_random(&[1; 32]).unwrap().secret[..], &[1; 48]);
        for (n, label) in (2..).zip(labels) {
            assert_eq!(&ring.tls13_secret(label, &[n; 32]).unwrap().secret[..], &[n; 32]);
        }
    }

    #[test]
    fn never_shown() {
        let entry = Entry { label: Label::Master, client_random: [0; 32], secret: Secret::new(&[0xab; 48]) };
        let shown = format!("{entry:?} {:?}", crate::event::EventBody::Secrets(vec![entry.clone()]));
        assert!(shown.contains("Secret(48 bytes)") && !shown.contains("abab") && !shown.contains("171"));
    }
}
