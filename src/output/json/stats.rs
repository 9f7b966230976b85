//! Objects that are no event's: the account of a run, services, suites.

use std::collections::BTreeMap;

use super::super::tally::{self, Tally};
use super::super::words::Word;
use super::events::{begin, push_certificate};
use super::object::{Object, push_string};
use crate::pipeline::Report;

/// Appends the account of a run and what its sessions were made of: the `stats` object.
pub fn push_stats(out: &mut Vec<u8>, report: &Report, tally: &Tally) {
    let mut o = Object::new(out);
    o.str("type", "stats");
    o.number("sessions", report.mail_sessions);
    o.number("incomplete", report.incomplete);
    o.number("handshakes", report.handshakes);
    let skipped = report.skipped.values().sum::<u64>();
    o.object("frames", |o| {
        o.number("read", report.frames);
        o.number("decoded", report.frames.saturating_sub(skipped));
        o.number("tcp", report.segments);
        o.object("skipped", |o| {
            for (reason, count) in &report.skipped {
                o.number(reason, *count);
            }
        });
    });
    let account = &report.account;
    o.object("bytes", |o| {
        o.number("decoded", account.decoded);
        o.number("overhead", account.overhead);
        o.number("undecrypted", account.undecrypted);
        o.number("skipped", account.skipped);
        o.number("duplicate", account.duplicate);
        o.number("gaps", account.gaps);
    });
    push_tally(&mut o, tally);
    o.end();
}

fn push_tally(o: &mut Object<'_>, tally: &Tally) {
    let counts = |o: &mut Object<'_>, name: &str, counts: &BTreeMap<String, u64>| {
        o.object(name, |o| counts.iter().for_each(|(value, count)| o.number(value, *count)));
    };
    counts(o, "protocols", &tally.protocols);
    let servers: Vec<_> = tally.servers.iter().collect();
    o.list("servers", &servers, |out, (server, sessions)| {
        let mut o = Object::new(out);
        o.str("ip", &server.ip().to_string());
        o.number("port", server.port());
        o.number("sessions", **sessions);
        o.end();
    });
    o.number("other_servers", tally.other_servers);
    counts(o, "verbs", &tally.verbs);
    counts(o, "replies", &tally.replies);
    o.object("mechanisms", |o| {
        for (mechanism, by_outcome) in &tally.mechanisms {
            o.object(mechanism, |o| {
                for (outcome, count) in tally::OUTCOMES.iter().zip(by_outcome) {
                    o.number(outcome.word(), *count);
                }
            });
        }
    });
    counts(o, "tls_versions", &tally.tls_versions);
    counts(o, "suites", &tally.suites);
    o.object("latency", |o| {
        let latency = &tally.latency;
        o.number("count", latency.count);
        for (name, percent) in tally::PERCENTILES {
            o.seconds(name, latency.percentile(percent));
        }
        o.seconds("max", latency.percentile(100));
    });
}

/// Appends that more endpoints were seen than are kept: the `limit` object.
pub(in crate::output) fn push_services_beyond(out: &mut Vec<u8>, listed: u64, connections: u64) {
    let mut o = Object::new(out);
    o.str("type", "limit");
    o.str("what", "endpoints");
    o.number("listed", listed);
    o.number("connections", connections);
    o.end();
}

/// Appends that not everything which servers offered is in their objects.
pub(in crate::output) fn push_services_cut(out: &mut Vec<u8>, sessions: u64) {
    let mut o = Object::new(out);
    o.str("type", "limit");
    o.str("what", "offers");
    o.number("sessions", sessions);
    o.end();
}

/// Appends what is known of an endpoint: the `service` object.
pub(in crate::output) fn push_service(out: &mut Vec<u8>, row: &crate::output::services::Row<'_>, input: Option<&str>) {
    let mut o = Object::new(out);
    begin(&mut o, "service", input);
    o.str("ip", &row.address.ip().to_string());
    o.number("port", row.address.port());
    o.str("state", row.state);
    o.opt_str("protocol", row.protocol);
    o.opt_text("banner", row.banner);
    o.opt_str("security", row.security);
    let lists = [
        ("capabilities", row.capabilities[0]),
        ("capabilities_tls", row.capabilities[1]),
        ("auth", row.auth[0]),
        ("auth_tls", row.auth[1]),
    ];
    for (name, list) in lists {
        match list {
            Some(list) => o.texts(name, list),
            None => o.null(name),
        }
    }
    o.bool("plaintext_auth", row.plaintext_auth);
    o.list("tls_versions", row.tls_versions, |out, version| push_string(out, version));
    o.list("suites", row.suites, |out, suite| push_string(out, suite));
    o.list("certificates", row.certificates, push_certificate);
    o.number("sessions", row.sessions);
    o.time("first", Some(row.first));
    o.time("last", Some(row.last));
    o.end();
}

/// Appends a suite and what decrypts it.
pub(in crate::output) fn push_suite(out: &mut Vec<u8>, suite: &crate::tls::suites::Suite, opens: &str) {
    let mut o = Object::new(out);
    o.str("type", "suite");
    o.str("id", &format!("0x{:04X}", suite.id));
    o.str("name", suite.name);
    o.str("decrypted_with", opens);
    o.bool("forward_secrecy", suite.kx.is_forward_secret());
    o.end();
}
