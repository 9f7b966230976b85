//! SASL exchanges (RFC 4422) and the protocols' own logins, decoded and judged; secrets masked.
//!
//! One [`Exchange`] follows one authentication: the dissector hands it each challenge and response as it stands in
//! the line, and gets back what may be shown of it. A response is shown in full only where nothing in it is a secret
//! or the user asked for secrets; a line that can't be judged is taken for one.

mod cram;
mod decode;
mod digest;
mod gssapi;
mod known;
mod ntlm;
mod oauth;
mod password;
mod scram;
mod standing;

pub use cram::{compute_apop, compute_cram_md5};
pub use decode::decode_base64;
pub use known::Passwords;
pub(crate) use standing::Standing;

use zeroize::Zeroizing;

use super::{Emitter, Options, SecurityLayer};
use crate::diagnostic::Code;
use crate::event::weight::optional;
use crate::event::{Auth, AuthOutcome, EventBody, Text};
use crate::position::{Direction, Span};

/// What stands for a secret in every output.
pub const MASK: &str = "***";

/// Whether a client's line can be a response to a challenge: base64, or `*` to cancel.
pub(crate) fn is_response(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line == b"*" || (!line.is_empty() && line.len().is_multiple_of(4) && decode_base64(line).is_some())
}

/// Whether a server's word is a challenge and nothing else: base64 of what a mechanism is known by.
pub(crate) fn is_challenge(word: &[u8]) -> bool {
    decode_base64(word).is_some_and(|said| challenge_of(&said).is_some())
}

/// The mechanism whose challenge that is; empty where several have it.
fn challenge_of(said: &[u8]) -> Option<&'static str> {
    let asks = |word: &[u8]| said.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(word));
    let holds = |word: &[u8]| said.windows(word.len()).any(|window| window == word);
    match said {
        _ if asks(b"user") || asks(b"pass") => Some("LOGIN"),
        [b'<', .., b'>'] if said.contains(&b'@') => Some("CRAM-MD5"),
        _ if holds(b"nonce=\"") || said.starts_with(b"rspauth=") => Some("DIGEST-MD5"),
        _ if ntlm::is_challenge(said) => Some("NTLM"),
        // The length of the signature is the hash's; the salt and the count of rounds before it are any hash's.
        [b'v', b'=', signature @ ..] => match decode_base64(signature)?.len() {
            20 => Some("SCRAM-SHA-1"),
            32 => Some("SCRAM-SHA-256"),
            64 => Some("SCRAM-SHA-512"),
            _ => None,
        },
        [b'r', b'=', ..] if holds(b",s=") && holds(b",i=") => Some(""),
        // What XOAUTH2 and OAUTHBEARER say of a token that they refuse.
        [b'{', .., b'}'] if holds(b"\"status\"") => Some(""),
        _ => None,
    }
}

/// One authentication exchange while it goes on.
pub struct Exchange {
    auth: Auth,
    span: Span,
    mechanism: Mechanism,
    /// Domain or realm of the user, where the mechanism names one.
    realm: Option<Text>,
    invalid_base64: bool,
    cancelled: bool,
    /// The server's verdict stood in a challenge: what the client says to it only ends the exchange.
    refused: bool,
    /// The client has sent a response.
    responded: bool,
    /// The client has sent what decides it.
    answered: bool,
    reveals_secret: bool,
    reveal_told: bool,
    /// An answer was not judged, as that is too much work.
    unjudged: bool,
    /// Lines of the client are missing, and replies.
    torn: bool,
    unheard: bool,
    /// The password or token that was sent last.
    sent: Option<Zeroizing<Vec<u8>>>,
}

/// The state that each family of mechanisms keeps between lines.
enum Mechanism {
    Plain,
    Login(password::Login),
    External,
    Anonymous,
    /// OTP (RFC 2444), SECURID (RFC 2808): a one-time password behind the names.
    OneTime,
    CramMd5(cram::CramMd5),
    DigestMd5(digest::DigestMd5),
    Scram(scram::Scram),
    OAuth(oauth::Kind),
    /// NTLM and the GSS mechanisms, whose tokens may carry NTLM.
    Ntlm(ntlm::Ntlm),
    /// The protocols' own logins, and mechanisms of which nothing is known.
    Opaque,
    /// The line that named it is not in the capture; what is said may tell it.
    Unseen,
}

impl Mechanism {
    fn named(name: &[u8]) -> Self {
        match name {
            b"PLAIN" => Mechanism::Plain,
            b"LOGIN" => Mechanism::Login(password::Login::default()),
            b"EXTERNAL" => Mechanism::External,
            b"ANONYMOUS" => Mechanism::Anonymous,
            b"OTP" | b"SECURID" => Mechanism::OneTime,
            b"CRAM-MD5" => Mechanism::CramMd5(cram::CramMd5::default()),
            b"DIGEST-MD5" => Mechanism::DigestMd5(digest::DigestMd5),
            b"XOAUTH2" => Mechanism::OAuth(oauth::Kind::XOAuth2),
            b"OAUTHBEARER" => Mechanism::OAuth(oauth::Kind::OAuthBearer),
            b"NTLM" | b"MSN" | b"GSSAPI" | b"GSS-SPNEGO" => Mechanism::Ntlm(ntlm::Ntlm::default()),
            _ => match scram::Scram::named(name) {
                Some(scram) => Mechanism::Scram(scram),
                None => Mechanism::Opaque,
            },
        }
    }
}

/// Whether a word can be a mechanism's name (RFC 4422 §3.1; some are longer). Where it can't, it may be a response in
/// the wrong place.
pub fn is_mechanism(word: &[u8]) -> bool {
    let capital = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    let known = || !matches!(Mechanism::named(&word.to_ascii_uppercase()), Mechanism::Opaque);
    let lower = || word.iter().all(|b| b.is_ascii_lowercase() || !b.is_ascii_uppercase() && capital(b));
    word.len() <= 28 && (word.iter().all(capital) || lower() || known())
}

/// What may be shown of the word in a mechanism's place.
pub fn shown_mechanism(word: &[u8], options: &Options) -> Text {
    if is_mechanism(word) || options.show_secrets { word.into() } else { MASK.into() }
}

/// Whether a line may be shown as it stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Shown {
    Public,
    /// Not in full, though the secret is yet to come.
    Opening,
    Secret,
}

/// What a mechanism writes its findings into.
struct Facts<'a> {
    auth: &'a mut Auth,
    realm: &'a mut Option<Text>,
    answered: &'a mut bool,
    reveals_secret: &'a mut bool,
    unjudged: &'a mut bool,
    sent: &'a mut Option<Zeroizing<Vec<u8>>>,
    options: &'a Options,
}

impl Facts<'_> {
    fn user(&mut self, user: &[u8]) {
        self.auth.user = Some(user.into());
    }

    /// Sets the authorization identity; an empty one is the same as none (RFC 4422 §3.4.1).
    fn authzid(&mut self, authzid: &[u8]) {
        self.auth.authzid = (!authzid.is_empty()).then(|| authzid.into());
    }

    /// A password or token that the line holds in the clear.
    fn plain_secret(&mut self, secret: &[u8]) {
        *self.reveals_secret = true;
        *self.sent = Some(Zeroizing::new(secret.to_vec()));
        self.answer(secret);
    }

    /// The answer to a challenge: no password, but made from one.
    fn answer(&mut self, answer: &[u8]) {
        *self.answered = true;
        self.auth.secret = self.options.show_secrets.then(|| answer.into());
    }

    /// Compares a password that was sent with the one that is known, if one is.
    fn check_password(&mut self, password: &[u8]) {
        let known = self.known_password();
        self.auth.verified = known.map(|known| known == password);
    }

    /// The password known of the exchange's user, by exact name or else without regard to ASCII case.
    fn known_password(&self) -> Option<&[u8]> {
        self.options.passwords.of(&self.auth.user.as_ref()?.0)
    }
}

impl Exchange {
    /// Memory beside its own fields, roughly.
    pub(super) fn cost(&self) -> usize {
        let auth = &self.auth;
        let said = match &self.mechanism {
            Mechanism::CramMd5(cram) => cram.cost(),
            Mechanism::Scram(scram) => scram.cost(),
            _ => 0,
        };
        let texts = [&auth.user, &auth.authzid, &auth.secret, &self.realm].into_iter().map(optional).sum::<usize>();
        said + texts + auth.mechanism.heap() + self.sent.as_ref().map_or(0, |sent| sent.capacity())
    }

    /// AUTH or AUTHENTICATE with that mechanism (any case). Responses and challenges come later.
    pub fn sasl(mechanism: &[u8], tls: bool, span: Span) -> Self {
        let name = match is_mechanism(mechanism) {
            true => mechanism.to_ascii_uppercase(),
            false => MASK.into(),
        };
        Exchange {
            mechanism: Mechanism::named(&name),
            auth: Auth {
                dir: Direction::Client,
                tls,
                mechanism: Text(name),
                user: None,
                authzid: None,
                secret: None,
                secret_sent: Some(false),
                outcome: AuthOutcome::Unknown,
                verified: None,
                assumed: false,
            },
            span,
            realm: None,
            invalid_base64: false,
            cancelled: false,
            refused: false,
            responded: false,
            answered: false,
            reveals_secret: false,
            reveal_told: false,
            unjudged: false,
            torn: false,
            unheard: false,
            sent: None,
        }
    }

    /// An exchange of which only the later lines are in the capture.
    pub fn begun_before(tls: bool, span: Span) -> Self {
        let mut exchange = Exchange { mechanism: Mechanism::Unseen, ..Exchange::sasl(b"", tls, span) };
        exchange.auth.secret_sent = None;
        exchange
    }

    /// What is said shows the mechanism: a challenge as only one has it, an answer in CRAM-MD5's shape, or PLAIN's
    /// three parts.
    fn recognise(&mut self, said: &[u8], by_client: bool) {
        let name = match said.iter().rposition(|&byte| byte == b' ') {
            _ if !by_client => challenge_of(said),
            Some(at) if said.len() == at + 33 && said[at + 1..].iter().all(u8::is_ascii_hexdigit) => Some("CRAM-MD5"),
            _ if said.iter().filter(|&&byte| byte == 0).count() == 2 => Some("PLAIN"),
            _ => None,
        };
        let Some(name) = name.filter(|name| !name.is_empty()) else { return };
        self.mechanism = Mechanism::named(name.as_bytes());
        self.auth.mechanism = name.into();
        self.gap();
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
        // The name is no SASL mechanism even where it looks like one.
        exchange.mechanism = Mechanism::Opaque;
        let mut facts = exchange.facts(options).1;
        facts.user(user);
        if let Some(password) = password {
            facts.plain_secret(password);
            facts.check_password(password);
            exchange.auth.secret_sent = Some(true);
        }
        exchange
    }

    /// POP3's APOP (RFC 1939 §7): `banner` holds the timestamp, `digest` is 32 hex digits.
    pub fn apop(banner: &[u8], user: &[u8], digest: &[u8], tls: bool, span: Span, options: &Options) -> Self {
        let mut exchange = Exchange::sasl(b"APOP", tls, span);
        let mut facts = exchange.facts(options).1;
        facts.user(user);
        facts.answer(digest);
        cram::check_apop(banner, digest, &mut facts);
        exchange.auth.secret_sent = Some(true);
        exchange
    }

    /// A challenge as it stands in the line, base64 (`334 `, `+ ` taken off).
    pub fn challenge(&mut self, base64: &[u8], span: Span) {
        self.span.last = span.last;
        // Servers send text instead of base64 for an empty challenge (`+ go on`): that is no anomaly.
        let Some(decoded) = decode_base64(base64) else { return };
        if let Mechanism::Unseen = self.mechanism {
            self.recognise(&decoded, false);
        }
        // RFC 7628 §3.2.2, and XOAUTH2 alike; RFC 5802 §5.1.
        self.refused |= self.answered
            && match self.mechanism {
                Mechanism::OAuth(_) => !decoded.is_empty(),
                Mechanism::Scram(_) => decoded.starts_with(b"e="),
                _ => false,
            };
        match &mut self.mechanism {
            Mechanism::Login(login) => login.challenge(&decoded),
            Mechanism::CramMd5(cram) => cram.challenge(decoded),
            Mechanism::Scram(scram) => scram.challenge(decoded),
            Mechanism::Ntlm(ntlm) => ntlm.challenge(&decoded),
            Mechanism::Plain
            | Mechanism::External
            | Mechanism::Anonymous
            | Mechanism::OneTime
            | Mechanism::DigestMd5(_)
            | Mechanism::OAuth(_)
            | Mechanism::Opaque
            | Mechanism::Unseen => {}
        }
    }

    /// A response as it stands in the line: base64, `=` for an empty initial one, `*` to cancel.
    /// Gives what may be shown of it.
    pub fn response(&mut self, base64: &[u8], span: Span, options: &Options) -> Text {
        self.span.last = span.last;
        self.responded = true;
        let line = base64.trim_ascii();
        if line == b"*" {
            self.cancelled = true;
            return base64.into();
        }
        if line.is_empty() || line == b"=" {
            self.interpret(&[], options);
            return base64.into();
        }
        let shown = match decode_base64(line) {
            Some(decoded) => self.interpret(&decoded, options),
            None => {
                self.invalid_base64 = true;
                self.garbled(line, options)
            }
        };
        if shown == Shown::Secret {
            self.auth.secret_sent = Some(true);
        }
        if shown == Shown::Public || options.show_secrets { base64.into() } else { MASK.into() }
    }

    fn interpret(&mut self, decoded: &[u8], options: &Options) -> Shown {
        if let Mechanism::Unseen = self.mechanism {
            self.recognise(decoded, true);
        }
        let (mechanism, mut facts) = self.facts(options);
        match mechanism {
            Mechanism::Plain => password::plain(decoded, &mut facts),
            Mechanism::Login(login) => login.response(decoded, &mut facts),
            Mechanism::External => password::external(decoded, &mut facts),
            // The trace of an anonymous user is for the log by its definition (RFC 4505).
            Mechanism::Anonymous => {
                *facts.answered = true;
                Shown::Public
            }
            Mechanism::OneTime => password::one_time(decoded, &mut facts),
            Mechanism::CramMd5(cram) => cram.response(decoded, &mut facts),
            Mechanism::DigestMd5(digest) => digest.response(decoded, &mut facts),
            Mechanism::Scram(scram) => scram.response(decoded, &mut facts),
            Mechanism::OAuth(kind) => oauth::response(*kind, decoded, &mut facts),
            Mechanism::Ntlm(ntlm) => {
                gssapi::response(decoded, &mut facts);
                ntlm.response(decoded, &mut facts)
            }
            Mechanism::Opaque | Mechanism::Unseen => {
                facts.answer(decoded);
                Shown::Secret
            }
        }
    }

    /// A response that is no base64: for LOGIN likely the bare word, else nothing can be told of it.
    fn garbled(&mut self, line: &[u8], options: &Options) -> Shown {
        let (mechanism, mut facts) = self.facts(options);
        match mechanism {
            // Of several words the last is the password.
            Mechanism::Login(login) if !line.contains(&b' ') && !line.contains(&b'\r') => {
                login.response(line, &mut facts)
            }
            // Typed by hand, and read by whoever sees it.
            Mechanism::Plain => {
                *facts.reveals_secret = true;
                Shown::Secret
            }
            _ => Shown::Secret,
        }
    }

    fn facts<'a>(&'a mut self, options: &'a Options) -> (&'a mut Mechanism, Facts<'a>) {
        let facts = Facts {
            auth: &mut self.auth,
            realm: &mut self.realm,
            answered: &mut self.answered,
            reveals_secret: &mut self.reveals_secret,
            unjudged: &mut self.unjudged,
            sent: &mut self.sent,
            options,
        };
        (&mut self.mechanism, facts)
    }

    /// Lines of the exchange are missing here: what follows is shown only where it can't be a secret.
    pub fn gap(&mut self) {
        self.torn = true;
        self.auth.secret_sent = self.auth.secret_sent.filter(|sent| *sent);
        if let Mechanism::Login(login) = &mut self.mechanism {
            login.gap();
        }
    }

    /// Replies are missing, its verdict perhaps.
    pub(super) fn loses_reply(&mut self) {
        self.unheard = true;
    }

    /// Whether [`Exchange::loses_reply`] was told of it.
    pub(super) fn lacks_replies(&self) -> bool {
        self.unheard
    }

    /// Whether [`Exchange::gap`] was.
    pub(super) fn is_torn(&self) -> bool {
        self.torn
    }

    /// Whether the secret may have been among lines that are missing.
    pub(super) fn lacks_lines(&self) -> bool {
        self.auth.secret_sent.is_none()
    }

    /// The line that named the user is missing.
    pub fn forget_user(&mut self) {
        self.auth.user = None;
    }

    /// The mechanism's name in upper case.
    pub fn mechanism(&self) -> &Text {
        &self.auth.mechanism
    }

    /// The authentication identity, once it was sent.
    pub fn user(&self) -> Option<&Text> {
        self.auth.user.as_ref()
    }

    /// NTLM's domain or DIGEST-MD5's realm, once it was sent.
    pub fn realm(&self) -> Option<&Text> {
        self.realm.as_ref()
    }

    /// The client cancelled with `*`, and the server had not refused it before.
    pub fn cancelled(&self) -> bool {
        self.cancelled && !self.refused
    }

    /// Whether it may end with a security layer.
    pub(super) fn may_begin_layer(&self) -> bool {
        matches!(self.mechanism, Mechanism::DigestMd5(_) | Mechanism::Ntlm(_) | Mechanism::Opaque)
    }

    /// Whether nothing was said yet in a mechanism whose client begins.
    pub(super) fn lacks_token(&self) -> bool {
        matches!(self.mechanism, Mechanism::Ntlm(_)) && !self.responded
    }

    /// Whether a password or a bearer token has been sent in a form that whoever reads the line can use. Said once.
    pub fn take_revealed(&mut self) -> bool {
        self.reveals_secret && !std::mem::replace(&mut self.reveal_told, true)
    }

    /// Takes the password or token that was sent, to keep it out of what the server repeats.
    pub(super) fn take_sent(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.sent.take()
    }

    /// The exchange ended with the server's final reply, or without one. Pushes the `auth` event; gives the user.
    /// A failure after the client cancelled is told as [`AuthOutcome::Aborted`]. With one direction only success is
    /// assumed of what the client has said in full.
    pub fn finish(mut self, outcome: AuthOutcome, span: Span, one_sided: bool, out: &mut Emitter) -> Option<Text> {
        self.auth.assumed = one_sided;
        self.auth.outcome = match outcome {
            AuthOutcome::Failure if self.cancelled() => AuthOutcome::Aborted,
            AuthOutcome::Unknown if one_sided && self.cancelled => AuthOutcome::Aborted,
            AuthOutcome::Unknown if one_sided && self.answered => AuthOutcome::Success,
            outcome => outcome,
        };
        self.span.last = span.last;
        out.layer = match out.layer {
            SecurityLayer::Possible if self.auth.outcome == AuthOutcome::Success => SecurityLayer::Decided,
            SecurityLayer::Begun => SecurityLayer::Begun,
            _ => SecurityLayer::None,
        };
        let user = self.auth.user.clone();
        // Right behind the reply that ended it.
        out.push(self.span, EventBody::Auth(self.auth));
        if self.invalid_base64 {
            out.diagnose(span, Code::InvalidBase64, "in an authentication exchange");
        }
        if self.unjudged {
            out.diagnose(
                span,
                Code::EntryLimit,
                "a SCRAM answer asks for more rounds than are tried: it is not verified",
            );
        }
        user
    }
}

#[cfg(test)]
mod tests;
