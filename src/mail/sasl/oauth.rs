//! Bearer tokens: XOAUTH2 (Google's) and OAUTHBEARER (RFC 7628).

use super::scram::unescape;
use super::{Facts, Shown};

#[derive(Copy, Clone)]
pub(super) enum Kind {
    /// `user=` user ^A `auth=Bearer ` token ^A ^A.
    XOAuth2,
    /// `n,a=` user `,` ^A `host=` … ^A `port=` … ^A `auth=Bearer ` token ^A ^A.
    OAuthBearer,
}

pub(super) fn response(kind: Kind, decoded: &[u8], facts: &mut Facts<'_>) -> Shown {
    // After an error challenge the client says ^A (or nothing), and the server ends the exchange.
    if decoded.is_empty() || decoded == b"\x01" {
        return Shown::Public;
    }
    for (place, part) in decoded.split(|&byte| byte == 1).enumerate() {
        let bearer = part.strip_prefix(b"auth=").and_then(|value| {
            let (scheme, token) = value.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
        });
        if let Some(token) = bearer {
            facts.plain_secret(token.trim_ascii());
        } else if let (Kind::XOAuth2, Some(user)) = (kind, part.strip_prefix(b"user=")) {
            facts.user(user);
        } else if let (Kind::OAuthBearer, 0) = (kind, place) {
            // The gs2 header. The token itself names its owner; the identity asked for is all that can be read.
            if let Some(user) = part.splitn(2, |&byte| byte == b',').nth(1).and_then(|rest| rest.strip_prefix(b"a=")) {
                let user = unescape(user.strip_suffix(b",").unwrap_or(user));
                facts.user(&user);
                facts.authzid(&user);
            }
        }
    }
    Shown::Secret
}
