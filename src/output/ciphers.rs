//! The table of suites: what decrypts each.

use std::io::{self, Write};

use super::json;
use super::style::{Color, Role};
use super::table::{Cell, Column, Table};
use crate::tls::suites::{KeyExchange, Suite, all};

const COLUMNS: &[Column] =
    &[Column::left("ID", 6, 6), Column::left("SUITE", 40, 50), Column::left("DECRYPTED WITH", 14, 40)];

/// What opens a suite's sessions.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Opens {
    /// The server's RSA key, or a key log.
    RsaKey,
    /// A key log only.
    KeyLog,
    /// A pre-shared key, or a key log.
    Psk,
    /// Both the RSA key and the pre-shared key, or a key log.
    RsaKeyAndPsk,
    /// Nothing is encrypted under it.
    NotNeeded,
    /// mailcap lacks its cipher.
    Nothing,
}

impl Opens {
    /// For a suite.
    pub fn of(suite: &Suite) -> Self {
        use crate::tls::suites::BulkCipher;
        if !suite.is_supported() {
            return Opens::Nothing;
        }
        if suite.cipher == BulkCipher::Null {
            return Opens::NotNeeded;
        }
        match suite.kx {
            KeyExchange::RsaPsk => Opens::RsaKeyAndPsk,
            KeyExchange::Psk => Opens::Psk,
            kx if kx.opened_by_rsa_key() => Opens::RsaKey,
            _ => Opens::KeyLog,
        }
    }

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Opens::RsaKey => "rsa-key",
            Opens::KeyLog => "keylog",
            Opens::Psk => "psk",
            Opens::RsaKeyAndPsk => "rsa-key+psk",
            Opens::NotNeeded => "none-needed",
            Opens::Nothing => "neither",
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Opens::RsaKey => "RSA key or key log",
            Opens::KeyLog => "key log",
            Opens::Psk => "pre-shared key or key log",
            Opens::RsaKeyAndPsk => "RSA key with pre-shared key, or key log",
            Opens::NotNeeded => "not encrypted",
            Opens::Nothing => "neither",
        }
    }
}

/// Writes the table, or a JSON object a suite.
pub fn write(out: &mut impl Write, as_json: bool, color: Color) -> io::Result<()> {
    let mut table = Table::new(COLUMNS, color, false);
    for suite in all() {
        let opens = Opens::of(suite);
        if as_json {
            let mut line = Vec::new();
            json::push_suite(&mut line, suite, opens.as_str());
            line.push(b'\n');
            out.write_all(&line)?;
            continue;
        }
        let role = match opens {
            Opens::RsaKey | Opens::RsaKeyAndPsk => Some(Role::Good),
            Opens::Nothing => Some(Role::Bad),
            _ => None,
        };
        let row =
            vec![format!("0x{:04X}", suite.id).into(), suite.name.into(), Cell(opens.describe().to_owned(), role)];
        table.row(out, row)?;
    }
    table.release(out)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::suites::{BulkCipher, MacAlgorithm, PrfHash};

    fn opens(kx: KeyExchange, cipher: BulkCipher) -> &'static str {
        Opens::of(&Suite { id: 0, name: "", kx, cipher, mac: MacAlgorithm::Sha1, prf: PrfHash::Sha256 }).as_str()
    }

    #[test]
    fn what_opens_what() {
        use BulkCipher::{Aes128Cbc, Null, Unsupported};
        assert_eq!(opens(KeyExchange::Rsa, Aes128Cbc), "rsa-key");
        assert_eq!(opens(KeyExchange::EcdheRsa, Aes128Cbc), "keylog");
        assert_eq!(opens(KeyExchange::Tls13, BulkCipher::Aes128Gcm), "keylog");
        assert_eq!(opens(KeyExchange::Psk, Aes128Cbc), "psk");
        assert_eq!(opens(KeyExchange::RsaPsk, Aes128Cbc), "rsa-key+psk");
        assert_eq!(opens(KeyExchange::Rsa, Null), "none-needed");
        assert_eq!(opens(KeyExchange::Rsa, Unsupported), "neither");
    }
}
