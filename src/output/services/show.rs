//! Endpoints as JSON lines, or as a table.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;

use super::{Endpoint, Options, Service, State};
use crate::event::{Certificate, Security, Text};
use crate::fmt::count;
use crate::output::escape::escape;
use crate::output::json::{push_service, push_services_beyond, push_services_cut};
use crate::output::style::Role;
use crate::output::table::{Cell, Column, Table, paragraph};
use crate::output::words::{Word, protocol_name};
use crate::position::Timestamp;

/// What fits on one line of 80; what a server says about itself is told beneath it.
const COLUMNS: &[Column] = &[
    Column::left("ENDPOINT", 15, 27),
    Column::left("STATE", 5, 8),
    Column::left("PROTOCOL", 8, 11),
    Column::left("SECURITY", 8, 8),
    Column::left("TLS", 7, 15),
    Column::right("SEEN", 4, 8),
    Column::left("NOTE", 4, 18),
];

/// Where lines are broken if nobody says how wide they may be.
const WIDTH: usize = 100;

/// What the contract calls a `service`, for the writer of JSON.
pub(in crate::output) struct Row<'a> {
    pub(in crate::output) address: SocketAddr,
    pub(in crate::output) state: &'static str,
    pub(in crate::output) protocol: Option<&'static str>,
    pub(in crate::output) banner: Option<&'a Text>,
    pub(in crate::output) security: Option<&'static str>,
    /// Capabilities outside TLS, inside.
    pub(in crate::output) capabilities: [Option<&'a [Text]>; 2],
    /// Mechanisms, likewise.
    pub(in crate::output) auth: [Option<&'a [Text]>; 2],
    pub(in crate::output) plaintext_auth: bool,
    pub(in crate::output) tls_versions: &'a [&'static str],
    pub(in crate::output) suites: &'a [String],
    pub(in crate::output) certificates: &'a [Certificate],
    pub(in crate::output) sessions: u64,
    pub(in crate::output) first: Timestamp,
    pub(in crate::output) last: Timestamp,
}

fn row<'a>(address: SocketAddr, endpoint: &'a Endpoint, nothing: &'a Service) -> Row<'a> {
    let service = endpoint.service.as_deref().unwrap_or(nothing);
    Row {
        address,
        state: endpoint.state.map_or("", State::word),
        protocol: service.protocol.map(|p| p.as_str()),
        banner: service.banner.as_ref(),
        security: service.security.map(|(_, s)| s.word()),
        capabilities: [0, 1].map(|i: usize| service.offers[i].capabilities.as_deref()),
        auth: [0, 1].map(|i: usize| service.offers[i].auth.as_deref()),
        plaintext_auth: service.plaintext_auth,
        tls_versions: &service.tls_versions,
        suites: &service.suites,
        certificates: &service.certificates,
        sessions: endpoint.sessions,
        first: endpoint.first,
        last: endpoint.last,
    }
}

/// Tells a JSON line an endpoint, with the time of its last frame.
pub(super) fn each(
    endpoints: &BTreeMap<SocketAddr, Endpoint>,
    input: Option<&str>,
    tell: &mut dyn FnMut(&[u8], Timestamp) -> io::Result<()>,
) -> io::Result<()> {
    let (nothing, mut line) = (Service::default(), Vec::new());
    for (&address, endpoint) in endpoints {
        line.clear();
        push_service(&mut line, &row(address, endpoint, &nothing), input);
        line.push(b'\n');
        tell(&line, endpoint.last)?;
    }
    Ok(())
}

/// Writes all endpoints, and how many times one found no room.
pub(super) fn write(
    out: &mut impl Write,
    endpoints: &BTreeMap<SocketAddr, Endpoint>,
    [beyond, cut]: [u64; 2],
    options: &Options,
) -> io::Result<()> {
    if options.json {
        each(endpoints, None, &mut |line, _| out.write_all(line))?;
        let mut lines = Vec::new();
        if beyond > 0 {
            push_services_beyond(&mut lines, endpoints.len() as u64, beyond);
            lines.push(b'\n');
        }
        if cut > 0 {
            push_services_cut(&mut lines, cut);
            lines.push(b'\n');
        }
        return out.write_all(&lines);
    }
    let nothing = Service::default();
    let mut table = Table::new(COLUMNS, options.look.color, options.look.live);
    for (&address, endpoint) in endpoints {
        let service = endpoint.service.as_deref().unwrap_or(&nothing);
        table.row_above(out, cells(address, endpoint, service), beneath(service, options))?;
    }
    table.release(out)?;
    if beyond > 0 {
        writeln!(
            out,
            "more endpoints are not listed: {} to them (--max-memory sets the bound)",
            count(beyond, "connection")
        )?;
    }
    if cut > 0 {
        let sessions = count(cut, "session");
        writeln!(
            out,
            "not everything that servers offered in {sessions} is listed: it was too much to keep (--max-memory)"
        )?;
    }
    Ok(())
}

fn cells(address: SocketAddr, endpoint: &Endpoint, service: &Service) -> Vec<Cell> {
    let state = match endpoint.state {
        Some(State::Open) => Role::Good,
        Some(State::Closed) => Role::Bad,
        _ => Role::Warn,
    };
    let versions = service.tls_versions.join(" ");
    let protocol = match (service.protocol, endpoint.service.as_deref()) {
        (Some(protocol), _) => protocol_name(Some(protocol)).to_owned(),
        (None, Some(Service { hidden: Some(guess), .. })) => format!("{}?", protocol_name(Some(*guess))),
        _ => "-".to_owned(),
    };
    vec![
        address.to_string().into(),
        Cell(endpoint.state.map_or("", State::word).to_owned(), Some(state)),
        protocol.into(),
        service.security.map_or("-", |(_, s)| if s == Security::None { "none" } else { s.word() }).into(),
        if versions.is_empty() { "-".into() } else { versions.into() },
        endpoint.sessions.to_string().into(),
        match (service.plaintext_sent, service.plaintext_auth) {
            (true, _) => Cell("passwords in clear".to_owned(), Some(Role::Bad)),
            (_, true) => Cell("plaintext offered".to_owned(), Some(Role::Warn)),
            _ => "-".into(),
        },
    ]
}

/// What a server says about itself, a paragraph each.
fn beneath(service: &Service, options: &Options) -> String {
    let list = |texts: &Option<Vec<Text>>, between: &str| {
        let texts = texts.iter().flatten().map(|t| escape(&t.0).into_owned());
        texts.collect::<Vec<_>>().join(between)
    };
    let [outside, inside] = &service.offers;
    let certificates = service.certificates.iter().map(|c| certificate(c, options)).collect::<Vec<_>>();
    let mut behind = service.behind.join(", ");
    if service.behind_more {
        behind.push_str(", and more");
    }
    let paragraphs = [
        ("a proxy, asked for", behind),
        ("banner", service.banner.as_ref().map_or_else(String::new, |b| escape(words(&b.0)).into_owned())),
        ("offers", list(&outside.capabilities, ", ")),
        ("offers in TLS", list(&inside.capabilities, ", ")),
        ("auth", list(&outside.auth, " ")),
        ("auth in TLS", list(&inside.auth, " ")),
        ("certificate", certificates.join("; ")),
    ];
    let width = if options.look.width == 0 { WIDTH } else { options.look.width };
    let told = paragraphs.iter().filter(|(_, text)| !text.is_empty());
    told.map(|(name, text)| paragraph(name, text, width)).collect()
}

/// A banner without IMAP's response code, which has a column of its own.
fn words(banner: &[u8]) -> &[u8] {
    let coded = banner.strip_prefix(b"[CAPABILITY ").and_then(|b| Some((b, b.iter().position(|&b| b == b']')?)));
    coded.and_then(|(rest, end)| rest.get(end + 1..)).map_or(banner, <[u8]>::trim_ascii)
}

/// Whose it is, and until when.
fn certificate(certificate: &Certificate, options: &Options) -> String {
    let subject = escape(certificate.subject.as_bytes());
    match certificate.not_after {
        Some(end) => {
            let end = options.look.zone.seconds(end);
            format!("{subject} until {}", end.split(' ').next().unwrap_or_default())
        }
        None => subject.into_owned(),
    }
}
