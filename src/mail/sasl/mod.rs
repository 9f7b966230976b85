//! SASL exchanges (RFC 4422) and the protocols' own logins, decoded and judged; secrets masked.

use super::{Emitter, Options};
use crate::event::{Auth, AuthOutcome, EventBody, Text};
use crate::position::{Direction, Span};

/// What stands for a secret in every output.
pub const MASK: &str = "***";

/// One authentication exchange while it goes on.
pub struct Exchange {
    auth: Auth,
    span: Span,
}

impl Exchange {
    /// AUTH or AUTHENTICATE with that mechanism (any case). Responses and challenges come later.
    pub fn sasl(mechanism: &[u8], tls: bool, span: Span) -> Self {
        Exchange {
            auth: Auth {
                dir: Direction::Client,
                tls,
                mechanism: Text(mechanism.to_ascii_uppercase()),
                user: None,
                authzid: None,
                secret: None,
                outcome: AuthOutcome::Unknown,
                verified: None,
            },
            span,
        }
    }

    /// POP3's USER/PASS (`USER`) and IMAP's LOGIN (`LOGIN-COMMAND`).
    pub fn password(
        mechanism: &str,
        user: &[u8],
        password: Option<&[u8]>,
        tls: bool,
        span: Span,
        options: &Options,
    ) -> Self {
        let mut exchange = Exchange::sasl(mechanism.as_bytes(), tls, span);
        exchange.auth.user = Some(user.into());
        exchange.auth.secret = password.filter(|_| options.show_secrets).map(Text::from);
        exchange
    }

    /// POP3's APOP (RFC 1939 §7): `banner` holds the timestamp, `digest` is 32 hex digits.
    pub fn apop(_banner: &[u8], user: &[u8], _digest: &[u8], tls: bool, span: Span, _options: &Options) -> Self {
        let mut exchange = Exchange::sasl(b"APOP", tls, span);
        exchange.auth.user = Some(user.into());
        exchange
    }

    /// A challenge as it stands in the line, base64 (`334 `, `+ ` taken off).
    pub fn challenge(&mut self, _base64: &[u8], span: Span, _options: &Options) {
        self.span.last = span.last;
    }

    /// A response as it stands in the line: base64, `=` for an empty initial one, `*` to cancel.
    /// Gives what may be shown of it.
    pub fn response(&mut self, _base64: &[u8], span: Span, _options: &Options) -> Text {
        self.span.last = span.last;
        MASK.into()
    }

    /// The exchange ended with the server's final reply, or without one. Pushes the `auth` event; gives the user.
    pub fn finish(mut self, outcome: AuthOutcome, span: Span, out: &mut Emitter) -> Option<Text> {
        self.auth.outcome = outcome;
        self.span.last = span.last;
        let user = self.auth.user.clone();
        out.push(self.span, EventBody::Auth(self.auth));
        user
    }
}
