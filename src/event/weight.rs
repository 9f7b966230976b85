//! What events take in memory: bounds on what is held are kept by it.

use super::{Attachment, Auth, Certificate, Event, EventBody, Message, Recipient, Text, TlsHandshake};

impl Text {
    /// Memory beside its own fields.
    pub(crate) fn weight(&self) -> usize {
        self.0.capacity()
    }
}

/// Memory of a list of texts.
pub(crate) fn texts(list: &[Text]) -> usize {
    list.iter().map(|text| size_of::<Text>() + text.weight()).sum()
}

/// Memory of a text that may be there.
pub(crate) fn optional(text: &Option<Text>) -> usize {
    text.as_ref().map_or(0, Text::weight)
}

impl Message {
    /// Memory beside its own fields.
    pub(crate) fn weight(&self) -> usize {
        let string = |s: &Option<String>| s.as_ref().map_or(0, String::len);
        let text = optional;
        text(&self.mail_from)
            + text(&self.mail_params)
            + self.rcpt_to.iter().map(Recipient::weight).sum::<usize>()
            + text(&self.status)
            + text(&self.mailbox)
            + texts(&self.flags)
            + text(&self.section)
            + string(&self.from)
            + self.to.iter().map(|t| size_of_val(t) + t.len()).sum::<usize>()
            + string(&self.subject)
            + self.attachments.iter().map(Attachment::weight).sum::<usize>()
    }
}

impl Auth {
    /// Memory beside its own fields.
    pub(crate) fn weight(&self) -> usize {
        let texts = [&self.user, &self.authzid, &self.secret].into_iter().map(optional);
        self.mechanism.weight() + texts.sum::<usize>()
    }
}

impl Recipient {
    /// Memory in a list.
    pub(crate) fn weight(&self) -> usize {
        size_of_val(self) + self.address.weight() + self.text.weight()
    }
}

impl Attachment {
    /// Memory in a list.
    pub(crate) fn weight(&self) -> usize {
        size_of_val(self) + self.filename.as_ref().map_or(0, String::len) + self.content_type.len()
    }
}

impl Event {
    /// About how much memory an event takes. Exact numbers do not matter, growth does.
    pub(crate) fn weight(&self) -> usize {
        let (text, option, list) = (Text::weight, optional, texts);
        let own = match &self.body {
            EventBody::Command(c) => text(&c.verb) + text(&c.args) + option(&c.tag),
            EventBody::Reply(r) => {
                text(&r.status) + option(&r.enhanced) + option(&r.tag) + text(&r.text) + list(&r.lines)
            }
            EventBody::Auth(a) => a.weight(),
            EventBody::Tls(t) => t.weight(),
            EventBody::MessageData(d) => d.bytes.len(),
            EventBody::Message(m) => size_of_val(&**m) + m.weight(),
            EventBody::Script(s) => size_of_val(&**s) + option(&s.name) + option(&s.status) + option(&s.text),
            EventBody::Opening(_) | EventBody::Gap(_) => 0,
            EventBody::Secrets(s) => size_of_val(&**s),
            EventBody::Plain(p) => p.bytes.len(),
            EventBody::Diagnostic(d) => d.detail.len(),
            EventBody::Session(s) => {
                size_of_val(&**s)
                    + s.tls.iter().map(TlsHandshake::weight).sum::<usize>()
                    + [&s.banner, &s.helo, &s.user, &s.last_error].into_iter().map(optional).sum::<usize>()
            }
        };
        size_of::<Event>() + own
    }
}

impl Certificate {
    /// Memory in a list.
    pub(crate) fn weight(&self) -> usize {
        size_of_val(self) + self.subject.len() + self.issuer.len() + self.key.len()
    }
}

impl TlsHandshake {
    /// Memory in a list.
    pub(crate) fn weight(&self) -> usize {
        let certificates = self.certificate.iter().chain(&self.chain).chain(&self.client_certificate);
        size_of_val(self)
            + certificates.map(Certificate::weight).sum::<usize>()
            + self.offered.iter().chain(&self.steps).map(|s| size_of_val(s) + s.len()).sum::<usize>()
            + self.alerts.iter().map(|a| size_of_val(a) + a.description.len()).sum::<usize>()
    }
}
