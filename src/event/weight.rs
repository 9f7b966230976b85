//! What events take in memory: bounds on what is held are kept by it.

use super::{Certificate, Event, EventBody, Text, TlsHandshake};

impl Event {
    /// About how much memory an event takes. Exact numbers do not matter, growth does.
    pub(crate) fn weight(&self) -> usize {
        let text = |t: &Text| t.0.len();
        let option = |t: &Option<Text>| t.as_ref().map_or(0, text);
        let list = |l: &[Text]| l.iter().map(|t| size_of::<Text>() + t.0.len()).sum::<usize>();
        let string = |s: &Option<String>| s.as_ref().map_or(0, String::len);
        let own = match &self.body {
            EventBody::Command(c) => text(&c.verb) + text(&c.args) + option(&c.tag),
            EventBody::Reply(r) => {
                text(&r.status) + option(&r.enhanced) + option(&r.tag) + text(&r.text) + list(&r.lines)
            }
            EventBody::Auth(a) => text(&a.mechanism) + option(&a.user) + option(&a.authzid) + option(&a.secret),
            EventBody::Tls(t) => weigh_handshake(t),
            EventBody::MessageData(d) => d.bytes.len(),
            EventBody::Message(m) => {
                size_of_val(&**m)
                    + option(&m.mail_from)
                    + option(&m.mail_params)
                    + m.rcpt_to.iter().map(|r| size_of_val(r) + text(&r.address) + text(&r.text)).sum::<usize>()
                    + option(&m.status)
                    + option(&m.mailbox)
                    + list(&m.flags)
                    + option(&m.section)
                    + string(&m.from)
                    + m.to.iter().map(|t| size_of_val(t) + t.len()).sum::<usize>()
                    + string(&m.subject)
                    + m.attachments
                        .iter()
                        .map(|a| size_of_val(a) + string(&a.filename) + a.content_type.len())
                        .sum::<usize>()
            }
            EventBody::Script(s) => size_of_val(&**s) + option(&s.name) + option(&s.status) + option(&s.text),
            EventBody::Gap(_) => 0,
            EventBody::Secrets(s) => size_of_val(&**s),
            EventBody::Plain(p) => p.bytes.len(),
            EventBody::Diagnostic(d) => d.detail.len(),
            EventBody::Session(s) => size_of_val(&**s) + s.tls.iter().map(weigh_handshake).sum::<usize>(),
        };
        size_of::<Event>() + own
    }
}

fn weigh_handshake(t: &TlsHandshake) -> usize {
    let certificate = |c: &Certificate| size_of_val(c) + c.subject.len() + c.issuer.len() + c.key.len();
    size_of_val(t)
        + t.certificate.iter().chain(&t.chain).chain(&t.client_certificate).map(certificate).sum::<usize>()
        + t.offered.iter().chain(&t.steps).map(|s| size_of_val(s) + s.len()).sum::<usize>()
        + t.alerts.iter().map(|a| size_of_val(a) + a.description.len()).sum::<usize>()
}
