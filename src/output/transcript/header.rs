//! The line above a session: when, who, what, and whether TLS was opened.

use std::fmt::Write;

use super::Layout;
use super::tell::View;
use crate::diagnostic::Code;
use crate::event::{Decrypted, Opening, Resumed, SecretSource, Security, Session, TlsHandshake};
use crate::output::escape::escape;
use crate::output::style::Role;
use crate::output::words::{likely_protocol, protocol_name, why_not};
use crate::position::FramePos;
use crate::tls::Reason;
use crate::tls::explain::{self, Failure};

/// Appends the heading of a session.
pub(super) fn push(out: &mut String, session: &Session, view: &View<'_>) {
    let options = view.options;
    // Live, its beginning has been told.
    let (word, at) = match options.layout {
        Layout::Live => ("ended ", session.span.last),
        _ => ("", session.span.first),
    };
    let mut line = format!(
        "── {}  {word}{}  {} → {}  {}",
        session.id,
        options.zone.millis(at.ts),
        session.client,
        session.server,
        protection(session),
    );
    if let Some((ip, port)) = session.proxy_client {
        let _ = match port {
            Some(port) => write!(line, " · for {} (PROXY)", std::net::SocketAddr::new(ip, port)),
            None => write!(line, " · for {ip} (PROXY)"),
        };
    }
    if let Some(tls) = session.tls.first() {
        let version = tls.version.unwrap_or("TLS");
        let _ = write!(line, " · {version}");
        if let Some(suite) = &tls.suite {
            let _ = write!(line, " {}", escape(suite.as_bytes()));
        }
        if let Some(how) = how_decrypted(tls) {
            let _ = write!(line, " · {how}");
        }
    }
    if session.has(Code::OneSided) {
        line.push_str(match session.bytes {
            [0, 0] => " · only one direction was captured",
            [0, _] => " · only the server was captured",
            _ => " · only the client was captured: success is assumed",
        });
    }
    push_file(&mut line, at, view);
    options.color.push(out, Role::Heading, &line);
    out.push('\n');
    debug_assert!(options.layout != Layout::OneLine, "one-line has no headings");
}

/// Appends what is known when a session begins.
pub(super) fn push_opening(out: &mut String, id: u64, first: FramePos, opening: &Opening, view: &View<'_>) {
    let Opening { client, server } = opening;
    let mut line = format!("── {id}  {}  {client} → {server}", view.options.zone.millis(first.ts));
    push_file(&mut line, first, view);
    view.options.color.push(out, Role::Heading, &line);
    out.push('\n');
}

/// Where there are several files, the one in which it begins: its frames are counted there.
fn push_file(line: &mut String, first: FramePos, view: &View<'_>) {
    if view.options.several || view.files.len() > 1 {
        let _ = write!(line, " · in {}", escape(view.files.get(first.file).as_bytes()));
    }
}

/// `SMTP`, `SMTP + STARTTLS`, `SMTP in TLS`, `SMTP? in TLS` where only the port tells.
pub(in crate::output) fn protection(session: &Session) -> String {
    let name = likely_protocol(session).unwrap_or_else(|| protocol_name(None).to_owned());
    match session.security {
        Security::None => name,
        Security::StartTls => format!("{name} + STARTTLS"),
        Security::Implicit => format!("{name} in TLS"),
    }
}

fn failure(tls: &TlsHandshake) -> Failure {
    explain::failure(&tls.alerts, tls.progress)
}

/// With what a handshake's records were opened, or why not and what to do. None where there was nothing to open.
pub(in crate::output) fn how_decrypted(tls: &TlsHandshake) -> Option<String> {
    let key = || tls.key.as_deref().map(|k| escape(k.as_bytes()).into_owned());
    let with = match tls.secret {
        Some(SecretSource::RsaKey) => {
            format!("key {} (certificate match)", key().unwrap_or_else(|| "given".to_owned()))
        }
        Some(SecretSource::KeyLog) => match key() {
            Some(file) => format!("key log {file}"),
            None => "key log".to_owned(),
        },
        Some(SecretSource::Dsb) => "secrets inside the capture".to_owned(),
        Some(SecretSource::Psk) => "pre-shared key".to_owned(),
        Some(SecretSource::Resumption) => match tls.resumed {
            Resumed::No => "secret of an earlier handshake".to_owned(),
            _ => "resumed, secret of the earlier handshake".to_owned(),
        },
        Some(SecretSource::NoneNeeded) => "not encrypted (NULL cipher)".to_owned(),
        None => String::new(),
    };
    let reason = tls.reason.map(|reason| {
        if reason == Reason::HandshakeFailed {
            // In TLS 1.3's encryption there may have been one.
            let alert = !tls.alerts.is_empty() || tls.records_undecrypted > 0;
            let why = match alert {
                _ if tls.answered_in_clear => "the server answered in the clear",
                true => failure(tls).why,
                false => "broken off without an alert",
            };
            return format!("handshake failed: {why}");
        }
        let (why, advice) = why_not(reason);
        let what = match tls.decrypted {
            Decrypted::Part => "partly decrypted",
            _ => "not decrypted",
        };
        format!("{what}: {why}; {advice}")
    });
    match (with.is_empty(), reason) {
        (true, None) => None,
        (true, Some(reason)) => Some(reason),
        (false, None) => Some(with),
        (false, Some(reason)) => Some(format!("{with} · {reason}")),
    }
}
