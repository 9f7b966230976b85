//! The secrets that opened a connection, for those who ask.

use super::Connection;
use super::state::Handshake;
use crate::limits::tls::UPDATES;
use crate::tls::keylog::{Entry, Label, Tls13Label};
use crate::tls::keys::KeyRing;

impl Connection {
    /// What a key log must hold so that others open this connection: the master secret of each handshake that a MAC
    /// proved, whatever it came from, and the traffic secrets of TLS 1.3 that `keys` knows. To be asked before
    /// [`Connection::finish`].
    pub fn secrets(&self, keys: &KeyRing) -> Vec<Entry> {
        self.handshakes.iter().flat_map(|handshake| handshake.entries(keys)).collect()
    }
}

impl Handshake {
    fn entries(&self, keys: &KeyRing) -> Vec<Entry> {
        let Some(&client_random) = self.client_random() else { return Vec::new() };
        if !self.is_tls13() {
            let proved = self.secret().filter(|_| self.opened > 0);
            let entry = |secret| Entry { label: Label::Master, client_random, secret };
            return proved.map(|c| entry(c.secret.clone())).into_iter().collect();
        }
        if self.opened == 0 {
            return Vec::new();
        }
        let fixed = [Tls13Label::ClientEarly, Tls13Label::ClientHandshake, Tls13Label::ServerHandshake];
        let numbered = (0..=UPDATES).flat_map(|n| [Tls13Label::ClientTraffic(n), Tls13Label::ServerTraffic(n)]);
        let found = fixed.into_iter().chain(numbered).filter_map(|label| {
            let secret = keys.tls13_secret(label, &client_random)?.secret;
            Some(Entry { label: Label::Traffic(label), client_random, secret })
        });
        found.collect()
    }
}
