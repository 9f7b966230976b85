//! What events take in memory: bounds on what is held are kept by it.
//!
//! `heap` is what lies beside a type's own fields, `weight` all of it. The larger types are taken apart field by field:
//! a new field compiles only once it is weighed, or said to weigh nothing.

use super::{Attachment, Auth, Certificate, Event, EventBody, Message, Recipient, Script, Session, Text, TlsHandshake};

impl Text {
    /// Memory beside its own fields.
    pub(crate) fn heap(&self) -> usize {
        self.0.capacity()
    }
}

/// Memory of a list of texts.
pub(crate) fn texts(list: &[Text]) -> usize {
    list.iter().map(|text| size_of::<Text>() + text.heap()).sum()
}

/// Memory of a text that may be there.
pub(crate) fn optional(text: &Option<Text>) -> usize {
    text.as_ref().map_or(0, Text::heap)
}

/// Memory of a string that may be there.
fn string(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

/// Memory of a list of strings.
fn strings(list: &[String]) -> usize {
    list.iter().map(|s| size_of_val(s) + s.len()).sum()
}

impl Message {
    /// Memory beside its own fields.
    pub(crate) fn heap(&self) -> usize {
        let Message {
            mail_from,
            mail_params,
            rcpt_to,
            queue_id,
            status,
            mailbox,
            flags,
            internaldate,
            section,
            uidl,
            from,
            to,
            subject,
            message_id,
            attachments,
            ordinal: _,
            tls: _,
            protocol: _,
            direction: _,
            dir: _,
            transaction: _,
            outcome: _,
            uidvalidity: _,
            uid: _,
            seqno: _,
            number: _,
            date: _,
            size: _,
            sha256: _,
            complete: _,
            part: _,
            joined: _,
            assumed: _,
        } = self;
        let list = [mail_from, mail_params, queue_id, status, mailbox, internaldate, section, uidl];
        list.into_iter().map(optional).sum::<usize>()
            + rcpt_to.iter().map(Recipient::weight).sum::<usize>()
            + texts(flags)
            + [from, subject, message_id].into_iter().map(string).sum::<usize>()
            + strings(to)
            + attachments.iter().map(Attachment::weight).sum::<usize>()
    }
}

impl Auth {
    /// Memory beside its own fields.
    pub(crate) fn heap(&self) -> usize {
        let Auth {
            mechanism,
            user,
            authzid,
            secret,
            dir: _,
            tls: _,
            secret_sent: _,
            outcome: _,
            verified: _,
            assumed: _,
        } = self;
        mechanism.heap() + [user, authzid, secret].into_iter().map(optional).sum::<usize>()
    }
}

impl Script {
    /// Memory beside its own fields.
    fn heap(&self) -> usize {
        let Script {
            verb,
            name,
            status,
            text,
            dir: _,
            tls: _,
            command: _,
            size: _,
            sha256: _,
            complete: _,
            outcome: _,
            assumed: _,
        } = self;
        verb.heap() + [name, status, text].into_iter().map(optional).sum::<usize>()
    }
}

impl Session {
    /// Memory beside its own fields.
    fn heap(&self) -> usize {
        let Session {
            tls,
            proxied_to,
            banner,
            helo,
            user,
            last_error,
            files,
            tunnel,
            diagnostics,
            id: _,
            mail: _,
            client: _,
            server: _,
            proxy_client: _,
            protocol: _,
            security: _,
            commands: _,
            messages: _,
            bytes: _,
            gap_count: _,
            gap_bytes: _,
            cut_packets: _,
            undecrypted_bytes: _,
            complete: _,
            outcome: _,
            slowest_reply: _,
            end_reason: _,
            ended_by: _,
            closed_by: _,
            frames: _,
            span: _,
            vlan: _,
            interface: _,
            account: _,
        } = self;
        tls.iter().map(TlsHandshake::weight).sum::<usize>()
            + [proxied_to, banner, helo, user, last_error].into_iter().map(optional).sum::<usize>()
            + size_of_val(files.as_slice())
            + string(tunnel)
            + diagnostics.iter().map(|d| size_of_val(d) + d.detail.len()).sum::<usize>()
    }
}

impl Recipient {
    /// Memory in a list.
    pub(crate) fn weight(&self) -> usize {
        size_of_val(self) + self.address.heap() + self.text.heap()
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
        let (text, option, list) = (Text::heap, optional, texts);
        let own = match &self.body {
            EventBody::Command(c) => text(&c.verb) + text(&c.args) + option(&c.tag),
            EventBody::Reply(r) => {
                text(&r.status) + option(&r.enhanced) + option(&r.tag) + text(&r.text) + list(&r.lines)
            }
            EventBody::Auth(a) => a.heap(),
            EventBody::Tls(t) => t.weight(),
            EventBody::MessageData(d) => d.bytes.len(),
            EventBody::Message(m) => size_of_val(&**m) + m.heap(),
            EventBody::Script(s) => size_of_val(&**s) + s.heap(),
            EventBody::Opening(_) | EventBody::Gap(_) => 0,
            EventBody::Secrets(s) => size_of_val(&**s),
            EventBody::Plain(p) => p.bytes.len(),
            EventBody::Diagnostic(d) => d.detail.len(),
            EventBody::Session(s) => size_of_val(&**s) + s.heap(),
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
        let TlsHandshake {
            suite,
            sni,
            alpn,
            certificate,
            chain,
            client_certificate,
            key,
            alerts,
            offered,
            steps,
            handshake: _,
            version: _,
            client_random: _,
            progress: _,
            answered_in_clear: _,
            resumed: _,
            extended_master_secret: _,
            encrypt_then_mac: _,
            completed: _,
            decrypted: _,
            secret: _,
            reason: _,
            records_decrypted: _,
            records_undecrypted: _,
            undecrypted_bytes: _,
            span: _,
        } = self;
        let certificates = certificate.iter().chain(chain).chain(client_certificate);
        size_of_val(self)
            + string(suite)
            + optional(sni)
            + optional(alpn)
            + certificates.map(Certificate::weight).sum::<usize>()
            + string(key)
            + alerts.iter().map(|a| size_of_val(a) + a.description.len()).sum::<usize>()
            + strings(offered)
            + strings(steps)
    }
}
