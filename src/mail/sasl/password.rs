//! Mechanisms that send the identity as it is: PLAIN (RFC 4616), LOGIN, EXTERNAL (RFC 4422 appendix A), OTP (RFC 2444),
//! SECURID (RFC 2808).

use super::{Facts, Shown};

/// PLAIN: authorization identity, NUL, user, NUL, password.
pub(super) fn plain(decoded: &[u8], facts: &mut Facts<'_>) -> Shown {
    let mut parts = decoded.splitn(3, |&byte| byte == 0);
    if let (Some(authzid), Some(user), Some(password)) = (parts.next(), parts.next(), parts.next()) {
        facts.authzid(authzid);
        facts.user(user);
        facts.plain_secret(password);
        facts.check_password(password);
    }
    // Whatever is missing of it, the password is hardly.
    *facts.reveals_secret |= !decoded.is_empty();
    Shown::Secret
}

/// EXTERNAL: at most an authorization identity, which is all that names the user.
pub(super) fn external(decoded: &[u8], facts: &mut Facts<'_>) -> Shown {
    *facts.answered = true;
    facts.authzid(decoded);
    if !decoded.is_empty() {
        facts.user(decoded);
    }
    Shown::Public
}

/// OTP and SECURID: authorization identity, NUL, user, with SECURID NUL and a passcode; then OTP's answer, `hex:…`.
pub(super) fn one_time(decoded: &[u8], facts: &mut Facts<'_>) -> Shown {
    let mut parts = decoded.splitn(3, |&byte| byte == 0);
    let (first, user, passcode) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    match user.filter(|_| facts.auth.user.is_none()) {
        Some(user) => {
            facts.authzid(first);
            facts.user(user);
            if passcode.is_none() {
                return Shown::Opening;
            }
        }
        None => facts.answer(decoded),
    }
    if let Some(passcode) = passcode {
        facts.answer(passcode.split(|&byte| byte == 0).next().unwrap_or_default());
    }
    Shown::Secret
}

/// LOGIN (draft-murchison-sasl-login): the server asks for the user, then for the password.
#[derive(Default)]
pub(super) struct Login {
    user_sent: bool,
    /// The next line is (or may be) a password, whatever came before.
    password_asked: bool,
    /// Lines of the exchange are missing: what was not clearly asked for as the user may be the password.
    unsure: bool,
}

impl Login {
    pub(super) fn challenge(&mut self, decoded: &[u8]) {
        // `Username:` and `Password:` as in the draft; `User Name`, `Pass`, lower case and kin in the field.
        let asks = |word: &[u8]| decoded.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(word));
        self.password_asked = if self.unsure { !asks(b"user") } else { asks(b"pass") };
    }

    pub(super) fn gap(&mut self) {
        self.unsure = true;
        self.password_asked = true;
    }

    pub(super) fn response(&mut self, decoded: &[u8], facts: &mut Facts<'_>) -> Shown {
        if self.user_sent || self.password_asked {
            facts.plain_secret(decoded);
            facts.check_password(decoded);
            return Shown::Secret;
        }
        // An empty initial response (`=`) is no user yet: the server asks for it.
        if !decoded.is_empty() {
            self.user_sent = true;
            // `QUIT` is base64, too, but of no name. A name typed by hand may have its line end.
            if !decoded.trim_ascii_end().iter().any(u8::is_ascii_control) {
                facts.user(decoded);
            }
        }
        Shown::Public
    }
}
