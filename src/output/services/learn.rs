//! Capabilities and mechanisms out of one session's replies: EHLO, CAPABILITY, CAPA, POP3's bare AUTH, ManageSieve's
//! greeting.
//!
//! What a server offers to somebody who has logged in is left out: it is about the user, not about the service.

use std::collections::VecDeque;

use super::{KEPT, short};
use crate::event::weight::texts;
use crate::event::{Auth, AuthOutcome, Command, Protocol, Reply, Security, Session, Text};

/// Commands whose replies are waited for at once.
const WAITING: usize = 16;

/// Lists outside TLS, and inside: capabilities, mechanisms.
pub(super) type Offers = [(Option<Vec<Text>>, Option<Vec<Text>>); 2];

/// What a command's reply holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// EHLO or LHLO.
    Hello,
    /// CAPA, or ManageSieve's CAPABILITY.
    List,
    /// POP3's AUTH without a mechanism: those that there are.
    Mechanisms,
    /// LOGIN, AUTHENTICATE: what comes before its end may be for the user.
    Login,
}

#[derive(Debug, Default)]
pub(super) struct Learner {
    asked: VecDeque<(u64, Asked)>,
    logged_in: bool,
    /// Outside TLS, inside.
    lists: [Option<Vec<Text>>; 2],
    /// Mechanisms that are no part of them, likewise.
    mechanisms: [Vec<Text>; 2],
    /// Asked for its list outside TLS, the server said that it has none.
    listless: bool,
}

impl Learner {
    /// Memory beside its own fields.
    pub(super) fn weight(&self) -> usize {
        self.lists.iter().flatten().chain(&self.mechanisms).map(|list| texts(list)).sum()
    }

    pub(super) fn command(&mut self, seq: u64, command: &Command) {
        let asked = match command.verb.0.as_slice() {
            b"EHLO" | b"LHLO" => Asked::Hello,
            b"CAPA" | b"CAPABILITY" => Asked::List,
            b"AUTH" if command.args.is_empty() => Asked::Mechanisms,
            b"LOGIN" | b"AUTHENTICATE" => Asked::Login,
            _ => return,
        };
        if !command.injected {
            if self.asked.len() >= WAITING {
                self.asked.pop_front();
            }
            self.asked.push_back((seq, asked));
        }
    }

    pub(super) fn auth(&mut self, auth: &Auth) {
        self.logged_in |= auth.outcome == AuthOutcome::Success;
    }

    pub(super) fn reply(&mut self, reply: &Reply) {
        let asked = reply.command.and_then(|seq| self.asked.iter().position(|(s, _)| *s == seq));
        let asked = asked
            .and_then(|at| if reply.status.0 == b"*" { self.asked.get(at).copied() } else { self.asked.remove(at) });
        let asked = asked.map(|(_, asked)| asked);
        let login = self.asked.iter().any(|(_, a)| *a == Asked::Login) || asked == Some(Asked::Login);
        if self.logged_in || login {
            return;
        }
        if reply.incomplete {
            // Of a list that is not whole it is not known what else it holds.
            return;
        }
        let lines = &reply.lines;
        match (asked, reply.status.0.as_slice()) {
            (Some(Asked::Hello), b"250") => {
                self.learn(reply.tls, lines.iter().skip(1).map(short));
                self.listless |= !reply.tls && lines.len() == 1;
            }
            // EHLO is lost, or the client's direction.
            (None, b"250") if lines.iter().skip(1).any(is_extension) => {
                self.learn(reply.tls, lines.iter().skip(1).map(short));
            }
            // A server without extensions (RFC 5321 §4.2.4). Others refuse the client.
            (Some(Asked::Hello), b"500" | b"502" | b"504") => self.listless |= !reply.tls,
            (Some(Asked::List), b"-ERR" | b"BAD" | b"NO") => self.listless |= !reply.tls,
            // CAPA: the line of +OK, then the list.
            (Some(Asked::List), b"+OK") => self.learn(reply.tls, lines.iter().skip(1).map(short)),
            (Some(Asked::Mechanisms), b"+OK") => {
                let known = &mut self.mechanisms[usize::from(reply.tls)];
                for line in lines.iter().skip(1) {
                    let name = Text(short(line).0.trim_ascii().to_ascii_uppercase());
                    if known.len() < KEPT && !known.contains(&name) {
                        known.push(name);
                    }
                }
            }
            // IMAP.
            (_, status @ (b"*" | b"OK" | b"PREAUTH")) if imap(status, &reply.text.0).is_some() => {
                let words = imap(status, &reply.text.0).unwrap_or_default();
                let words = words.split(|&b| b == b' ').filter(|w| !w.is_empty()).map(|w| short(&w.into()));
                self.learn(reply.tls, words.take(KEPT));
            }
            // ManageSieve: a list, then the line of OK; in the greeting, on request, after TLS.
            (Some(Asked::List) | None, b"OK") => {
                let list = lines.iter().filter(|l| l.0.starts_with(b"\"")).map(|l| short(&unquoted(&l.0)));
                self.learn(reply.tls, list);
            }
            _ => {}
        }
    }

    fn learn(&mut self, tls: bool, list: impl Iterator<Item = Text>) {
        let mut list = list.peekable();
        if list.peek().is_none() {
            return;
        }
        let known = self.lists[usize::from(tls)].get_or_insert_default();
        // Exchange ends its list with `250 OK`.
        for capability in list.filter(|capability| capability.0 != b"OK") {
            if known.len() < KEPT && !known.contains(&capability) {
                known.push(capability);
            }
        }
    }

    /// Whether TLS can be started.
    pub(super) fn offers_tls(&self) -> bool {
        let is = |c: &Text| c.0.eq_ignore_ascii_case(b"STARTTLS") || c.0.eq_ignore_ascii_case(b"STLS");
        self.lists[0].iter().flatten().any(is)
    }

    /// Whether it is known what is offered outside TLS.
    pub(super) fn is_sure(&self) -> bool {
        self.listless || self.lists[0].is_some()
    }

    /// Whether a password may be sent outside TLS.
    pub(super) fn offers_plaintext(&self, protocol: Protocol) -> bool {
        let plain = |m: &Text| m.0.eq_ignore_ascii_case(b"PLAIN") || m.0.eq_ignore_ascii_case(b"LOGIN");
        if self.mechanisms[0].iter().any(plain) {
            return true;
        }
        let Some(list) = &self.lists[0] else { return false };
        let has = |name: &[u8]| list.iter().any(|c| c.0.eq_ignore_ascii_case(name));
        mechanisms(list).iter().any(plain)
            || match protocol {
                // The LOGIN command needs no mechanism (RFC 9051 §6.2.3).
                Protocol::Imap => !has(b"LOGINDISABLED"),
                Protocol::Pop3 => has(b"USER"),
                _ => false,
            }
    }

    /// What was offered. POP3's APOP is told of by the `banner` alone.
    pub(super) fn into_offers(self, session: &Session) -> Offers {
        let mut offers = self.lists.map(|list| {
            let auth = list.as_deref().map(mechanisms);
            (list, auth)
        });
        for ((_, auth), more) in offers.iter_mut().zip(self.mechanisms) {
            if !more.is_empty() {
                let auth = auth.get_or_insert_default();
                let new: Vec<Text> = more.into_iter().filter(|name| !auth.contains(name)).collect();
                auth.extend(new);
            }
        }
        let banner = session.banner.as_ref().filter(|_| session.protocol == Some(Protocol::Pop3));
        if banner.is_some_and(|b| is_challenge(&b.0)) {
            let inside = usize::from(session.security == Security::Implicit);
            offers[inside].1.get_or_insert_default().push("APOP".into());
        }
        offers
    }
}

/// Whether a line of a 250 shows that EHLO was asked: what most servers offer.
fn is_extension(line: &Text) -> bool {
    ["STARTTLS", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"]
        .iter()
        .any(|name| line.0.eq_ignore_ascii_case(name.as_bytes()))
}

/// The list of IMAP's CAPABILITY, as a response or as a response code. "Capability completed." is neither.
fn imap<'t>(status: &[u8], text: &'t [u8]) -> Option<&'t [u8]> {
    let coded = text.strip_prefix(b"[");
    let rest = coded.unwrap_or(text);
    let (word, list) = rest.split_at_checked(b"CAPABILITY ".len())?;
    if !word.eq_ignore_ascii_case(b"CAPABILITY ") {
        return None;
    }
    match coded {
        Some(_) => list.iter().position(|&b| b == b']').and_then(|end| list.get(..end)),
        None => (status == b"*").then_some(list),
    }
}

/// `"SASL" "PLAIN LOGIN"` → `SASL PLAIN LOGIN`, and `"SIEVE" {8} fileinto` → `SIEVE fileinto`.
fn unquoted(line: &[u8]) -> Text {
    let words = line.split(|&b| b == b' ').filter(|word| !(word.starts_with(b"{") && word.ends_with(b"}")));
    let mut line = words.collect::<Vec<_>>().join(&b' ');
    line.retain(|&b| b != b'"');
    Text(line)
}

/// A timestamp in a POP3 banner, which makes APOP possible (RFC 1939 §7).
fn is_challenge(banner: &[u8]) -> bool {
    let Some(start) = banner.iter().position(|&b| b == b'<') else { return false };
    let rest = banner.get(start..).unwrap_or_default();
    let end = rest.iter().position(|&b| b == b'>').unwrap_or(0);
    rest.get(..end).is_some_and(|inside| inside.contains(&b'@'))
}

/// The mechanisms among capabilities: `AUTH PLAIN LOGIN` and the older `AUTH=PLAIN LOGIN` of SMTP, `AUTH=PLAIN` of
/// IMAP, `SASL PLAIN LOGIN` of POP3 and ManageSieve.
fn mechanisms(capabilities: &[Text]) -> Vec<Text> {
    let mut found: Vec<Text> = Vec::new();
    for capability in capabilities {
        let mut words = capability.0.split(|b| matches!(b, b' ' | b'=')).filter(|w| !w.is_empty());
        if !words.next().is_some_and(|w| w.eq_ignore_ascii_case(b"AUTH") || w.eq_ignore_ascii_case(b"SASL")) {
            continue;
        }
        for word in words {
            let name = Text(word.to_ascii_uppercase());
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}
