//! Each event's object.

use std::net::SocketAddr;

use super::super::Files;
use super::super::words::Word;
use super::community_id;
use super::object::{Object, push_string};
use crate::diagnostic::Diagnostic;
use crate::event::{
    Alert, Attachment, Auth, Certificate, Command, Event, EventBody, Gap, Message, MessageData, Recipient, Reply,
    Script, Session, TlsHandshake,
};
use crate::position::Direction;

/// What an object says besides its event.
#[derive(Copy, Clone, Debug, Default)]
pub struct Extra<'a> {
    /// The input, where several runs come together in one dataset.
    pub input: Option<&'a str>,
    /// Where a message was written to.
    pub path: Option<&'a str>,
}

/// Appends an event as one object, without a line end.
pub fn push_event(out: &mut Vec<u8>, event: &Event, files: &Files, extra: Extra<'_>) {
    let mut o = Object::new(out);
    fill(&mut o, event, files, extra);
    o.end();
}

/// The first field of every object, and the input where it is to be told.
pub(super) fn begin(o: &mut Object<'_>, kind: &str, input: Option<&str>) {
    o.str("type", kind);
    if let Some(input) = input {
        o.str("input", input);
    }
}

fn fill(o: &mut Object<'_>, event: &Event, files: &Files, extra: Extra<'_>) {
    let kind = match &event.body {
        EventBody::Command(_) => "command",
        EventBody::Reply(_) => "reply",
        EventBody::Auth(_) => "auth",
        EventBody::Tls(_) => "tls",
        EventBody::MessageData(_) => "body",
        EventBody::Message(_) => "message",
        EventBody::Script(_) => "script",
        EventBody::Gap(_) => "gap",
        EventBody::Diagnostic(_) => "diagnostic",
        EventBody::Secrets(_) => "secrets",
        EventBody::Plain(_) => "plain",
        EventBody::Opening(_) => "opening",
        EventBody::Session(_) => "session",
    };
    begin(o, kind, extra.input);
    o.number(if kind == "session" { "id" } else { "session" }, event.session);
    o.number("seq", event.seq);
    o.time("ts", Some(event.span.last.ts));
    o.number("frame", event.span.last.number);
    o.number("first_frame", event.span.first.number);
    o.str("file", files.get(event.span.last.file));
    match &event.body {
        EventBody::Command(command) => push_command(o, command),
        EventBody::Reply(reply) => push_reply(o, reply),
        EventBody::Auth(auth) => push_auth(o, auth),
        EventBody::Tls(tls) => push_handshake(o, tls),
        EventBody::MessageData(data) => push_data(o, data),
        EventBody::Message(message) => push_message(o, message, extra.path),
        EventBody::Script(script) => push_script(o, script),
        EventBody::Gap(gap) => push_gap(o, gap),
        EventBody::Diagnostic(diagnostic) => push_diagnostic(o, diagnostic),
        // Never in JSON: they are for the sinks that ask for them.
        EventBody::Opening(_) | EventBody::Secrets(_) | EventBody::Plain(_) => {}
        EventBody::Session(session) => push_session(o, session, files),
    }
}

fn push_dir(o: &mut Object<'_>, dir: Direction, tls: bool) {
    o.str("dir", dir.as_str());
    o.bool("tls", tls);
}

fn push_command(o: &mut Object<'_>, command: &Command) {
    push_dir(o, Direction::Client, command.tls);
    o.text("verb", &command.verb);
    o.text("args", &command.args);
    o.opt_text("tag", command.tag.as_ref());
    o.bool("injected", command.injected);
    o.bool("complete", !command.incomplete);
    o.bool("assumed", command.assumed);
}

fn push_reply(o: &mut Object<'_>, reply: &Reply) {
    push_dir(o, Direction::Server, reply.tls);
    o.opt_number("code", reply.code);
    o.text("status", &reply.status);
    o.opt_text("enhanced", reply.enhanced.as_ref());
    o.opt_text("tag", reply.tag.as_ref());
    o.opt_number("command", reply.command);
    o.text("text", &reply.text);
    o.texts("lines", &reply.lines);
    o.seconds("latency", reply.latency);
    o.bool("complete", !reply.incomplete);
    o.bool("assumed", reply.assumed);
}

fn push_auth(o: &mut Object<'_>, auth: &Auth) {
    push_dir(o, auth.dir, auth.tls);
    o.opt_text("mechanism", Some(&auth.mechanism).filter(|name| !name.is_empty()));
    o.opt_text("user", auth.user.as_ref());
    o.opt_text("authzid", auth.authzid.as_ref());
    o.opt_text("secret", auth.secret.as_ref());
    o.str("outcome", auth.outcome.word());
    o.opt_bool("verified", auth.verified);
    o.bool("assumed", auth.assumed);
}

pub(super) fn push_certificate(out: &mut Vec<u8>, certificate: &Certificate) {
    let mut o = Object::new(out);
    o.str("subject", &certificate.subject);
    o.str("issuer", &certificate.issuer);
    o.time("not_before", certificate.not_before);
    o.time("not_after", certificate.not_after);
    o.hex("sha256", Some(&certificate.sha256));
    o.str("key", &certificate.key);
    o.end();
}

fn push_alert(out: &mut Vec<u8>, alert: &Alert) {
    let mut o = Object::new(out);
    o.str("dir", alert.dir.as_str());
    o.str("description", &alert.description);
    o.bool("fatal", alert.fatal);
    o.number("frame", alert.span.last.number);
    o.end();
}

fn push_handshake(o: &mut Object<'_>, tls: &TlsHandshake) {
    o.number("handshake", tls.handshake);
    o.opt_str("version", tls.version);
    o.opt_str("suite", tls.suite.as_deref());
    o.opt_text("sni", tls.sni.as_ref());
    o.opt_text("alpn", tls.alpn.as_ref());
    o.hex("client_random", tls.client_random.as_ref().map(|r| &r[..]));
    o.option("certificate", tls.certificate.as_ref(), push_certificate);
    o.list("chain", &tls.chain, push_certificate);
    o.option("client_certificate", tls.client_certificate.as_ref(), push_certificate);
    o.str("resumed", tls.resumed.word());
    o.bool("extended_master_secret", tls.extended_master_secret);
    o.bool("encrypt_then_mac", tls.encrypt_then_mac);
    o.bool("completed", tls.completed);
    o.str("decrypted", tls.decrypted.word());
    o.opt_str("secret", tls.secret.map(|s| s.word()));
    o.opt_str("key", tls.key.as_deref());
    o.opt_str("reason", tls.reason.map(|r| r.as_str()));
    o.object("records", |o| {
        o.number("decrypted", tls.records_decrypted);
        o.number("undecrypted", tls.records_undecrypted);
    });
    o.number("undecrypted_bytes", tls.undecrypted_bytes);
    o.list("alerts", &tls.alerts, push_alert);
    o.object("frames", |o| {
        o.number("first", tls.span.first.number);
        o.number("last", tls.span.last.number);
    });
    o.list("offered", &tls.offered, |out, name| push_string(out, name));
    o.list("steps", &tls.steps, |out, step| push_string(out, step));
}

fn push_data(o: &mut Object<'_>, data: &MessageData) {
    o.number("ordinal", data.ordinal);
    o.number("offset", data.offset);
    o.number("size", data.bytes.len() as u64);
    o.bytes("text", &data.bytes);
}

fn push_recipient(out: &mut Vec<u8>, recipient: &Recipient) {
    let mut o = Object::new(out);
    o.text("address", &recipient.address);
    o.opt_bool("accepted", recipient.accepted);
    o.opt_number("code", recipient.code);
    // Without a reply there is no text either.
    o.opt_text("text", recipient.code.map(|_| &recipient.text));
    o.end();
}

fn push_attachment(out: &mut Vec<u8>, attachment: &Attachment) {
    let mut o = Object::new(out);
    o.opt_str("filename", attachment.filename.as_deref());
    o.str("content_type", &attachment.content_type);
    o.number("size", attachment.size);
    o.hex("sha256", attachment.sha256.as_ref().map(|d| &d[..]));
    o.end();
}

fn push_message(o: &mut Object<'_>, message: &Message, path: Option<&str>) {
    push_dir(o, message.dir, message.tls);
    o.number("ordinal", message.ordinal);
    o.str("protocol", message.protocol.as_str());
    o.str("direction", message.direction.word());
    o.number("transaction", message.transaction);
    o.opt_text("mail_from", message.mail_from.as_ref());
    o.opt_text("mail_params", message.mail_params.as_ref());
    o.list("rcpt_to", &message.rcpt_to, push_recipient);
    o.opt_text("queue_id", message.queue_id.as_ref());
    o.opt_text("status", message.status.as_ref());
    o.str("outcome", message.outcome.word());
    o.opt_text("mailbox", message.mailbox.as_ref());
    o.opt_number("uidvalidity", message.uidvalidity);
    o.opt_number("uid", message.uid);
    o.opt_number("seqno", message.seqno);
    o.texts("flags", &message.flags);
    o.opt_text("internaldate", message.internaldate.as_ref());
    o.opt_text("section", message.section.as_ref());
    o.opt_number("number", message.number);
    o.opt_text("uidl", message.uidl.as_ref());
    o.opt_str("from", message.from.as_deref());
    o.list("to", &message.to, |out, to| push_string(out, to));
    o.opt_str("subject", message.subject.as_deref());
    o.opt_str("message_id", message.message_id.as_deref());
    o.time("date", message.date);
    o.number("size", message.size);
    o.hex("sha256", message.sha256.as_ref().map(|d| &d[..]));
    o.bool("complete", message.complete);
    o.str("part", message.part.word());
    o.bool("joined", message.joined);
    o.list("attachments", &message.attachments, push_attachment);
    o.bool("assumed", message.assumed);
    o.opt_str("path", path);
}

fn push_script(o: &mut Object<'_>, script: &Script) {
    push_dir(o, script.dir, script.tls);
    o.number("command", script.command);
    o.text("verb", &script.verb);
    o.opt_text("name", script.name.as_ref());
    o.number("size", script.size);
    o.hex("sha256", script.sha256.as_ref().map(|d| &d[..]));
    o.bool("complete", script.complete);
    o.str("outcome", script.outcome.word());
    o.opt_text("status", script.status.as_ref());
    o.opt_text("text", script.text.as_ref());
    o.bool("assumed", script.assumed);
}

fn push_gap(o: &mut Object<'_>, gap: &Gap) {
    o.str("dir", gap.dir.as_str());
    o.number("offset", gap.offset);
    o.number("bytes", gap.bytes);
    o.str("cause", gap.cause.word());
}

fn push_diagnostic(o: &mut Object<'_>, diagnostic: &Diagnostic) {
    o.str("code", diagnostic.code.as_str());
    o.str("severity", diagnostic.code.severity().as_str());
    o.str("detail", &diagnostic.detail);
}

fn push_endpoint(o: &mut Object<'_>, name: &str, end: SocketAddr) {
    o.object(name, |o| {
        o.str("ip", &end.ip().to_string());
        o.number("port", end.port());
    });
}

fn push_session(o: &mut Object<'_>, session: &Session, files: &Files) {
    o.time("start", Some(session.span.first.ts));
    o.time("end", Some(session.span.last.ts));
    push_endpoint(o, "client", session.client);
    push_endpoint(o, "server", session.server);
    match session.proxy_client {
        Some((ip, port)) => o.object("proxy_client", |o| {
            o.str("ip", &ip.to_string());
            o.opt_number("port", port);
        }),
        None => o.null("proxy_client"),
    }
    o.opt_str("protocol", session.protocol.map(|p| p.as_str()));
    o.str("security", session.security.word());
    o.list("tls", &session.tls, |out, tls| {
        let mut o = Object::new(out);
        push_handshake(&mut o, tls);
        o.end();
    });
    o.opt_text("banner", session.banner.as_ref());
    o.opt_text("helo", session.helo.as_ref());
    o.opt_text("user", session.user.as_ref());
    o.number("commands", session.commands);
    o.number("messages", session.messages);
    let [client, server] = session.bytes;
    o.object("bytes", |o| {
        o.number("client", client);
        o.number("server", server);
    });
    o.object("gaps", |o| {
        o.number("count", session.gap_count);
        o.number("bytes", session.gap_bytes);
    });
    o.number("undecrypted_bytes", session.undecrypted_bytes);
    o.bool("complete", session.complete);
    o.str("outcome", session.outcome.word());
    o.opt_text("last_error", session.last_error.as_ref());
    o.seconds("slowest_reply", session.slowest_reply);
    o.str("end_reason", session.end_reason.word());
    o.opt_str("ended_by", session.ended_by.map(Direction::as_str));
    o.object("frames", |o| {
        o.number("first", session.span.first.number);
        o.number("last", session.span.last.number);
        o.number("count", session.frames);
    });
    o.list("files", &session.files, |out, file| push_string(out, files.get(*file)));
    o.str("community_id", &community_id(session.client, session.server));
    o.opt_number("vlan", session.vlan);
    o.opt_str("tunnel", session.tunnel.as_deref());
    o.opt_number("interface", session.interface);
    o.list("diagnostics", &session.diagnostics, |out, diagnostic| {
        let mut o = Object::new(out);
        push_diagnostic(&mut o, diagnostic);
        o.end();
    });
}
