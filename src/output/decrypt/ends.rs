//! Between which endpoints a session is written: on a server's port at which Wireshark looks for its protocol, and never as
//! two sessions at once.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use super::Found;
use crate::event::Protocol;
use crate::position::Timestamp;

/// Ports on which Wireshark looks for each protocol in the clear. Not [`Protocol::of_port`]: these are the defaults of its
/// dissectors (`tcp.port`), without those on which it looks for TLS.
fn ports(protocol: Protocol) -> &'static [u16] {
    match protocol {
        Protocol::Smtp | Protocol::Lmtp => &[25, 587],
        Protocol::Imap => &[143],
        Protocol::Pop3 => &[110],
        Protocol::Sieve => &[4190],
    }
}

/// The server, at a port on which its protocol is looked for.
fn dissected(found: &Found) -> SocketAddr {
    let (server, known) = (found.server, found.protocol.map(ports).unwrap_or_default());
    match known.first() {
        Some(&first) if !known.contains(&server.port()) => SocketAddr::new(server.ip(), first),
        _ => server,
    }
}

/// The endpoints of each session.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Client ports of those that are not written with their own.
    moved: HashMap<u64, u16>,
}

impl Ends {
    /// Of two sessions that would stand between the same endpoints at the same time, the later one gets another client's
    /// port: such are one client port's to 465 and to 25, or the same session in two captures.
    pub(super) fn new(sessions: &BTreeMap<u64, Found>) -> Self {
        let mut order: Vec<(u64, &Found)> = sessions.iter().map(|(&id, found)| (id, found)).collect();
        let ends = |found: &Found| (found.client, dissected(found));
        order.sort_unstable_by_key(|(id, found)| (ends(found), found.span.first.ts, *id));
        let is_free = |wanted| order.binary_search_by_key(&wanted, |(_, found)| ends(found)).is_err();
        let mut moved = HashMap::new();
        let mut left: HashMap<(IpAddr, SocketAddr), u16> = HashMap::new();
        let mut before: Option<((SocketAddr, SocketAddr), Timestamp)> = None;
        for &(id, found) in &order {
            let (client, server) = ends(found);
            match &mut before {
                Some((same, until)) if *same == (client, server) => {
                    if found.span.first.ts < *until {
                        // What is left is not looked through again for the next one.
                        let left = left.entry((client.ip(), server)).or_insert(u16::MAX);
                        while *left > 0 {
                            let port = *left;
                            *left -= 1;
                            if is_free((SocketAddr::new(client.ip(), port), server)) {
                                moved.insert(id, port);
                                break;
                            }
                        }
                    } else {
                        *until = found.span.last.ts;
                    }
                }
                _ => before = Some(((client, server), found.span.last.ts)),
            }
        }
        Ends { moved }
    }

    /// Client and server.
    pub(super) fn of(&self, id: u64, found: &Found) -> [SocketAddr; 2] {
        let mut client = found.client;
        if let Some(&port) = self.moved.get(&id) {
            client.set_port(port);
        }
        [client, dissected(found)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{FramePos, Span};

    fn found(client: &str, server: &str, protocol: Option<Protocol>, from: i64, to: i64) -> Found {
        let at = |ts| FramePos { ts: Timestamp(ts), ..FramePos::default() };
        let span = Span { first: at(from), last: at(to) };
        Found { span, protocol, ..Found::sample(client.parse().unwrap(), server.parse().unwrap()) }
    }

    fn ends(sessions: Vec<Found>) -> Vec<(u16, u16)> {
        let sessions: BTreeMap<u64, Found> = (1..).zip(sessions).collect();
        let ends = Ends::new(&sessions);
        let ports = sessions.iter().map(|(&id, found)| ends.of(id, found).map(|end| end.port()));
        ports.map(|[client, server]| (client, server)).collect()
    }

    #[test]
    fn the_port_is_one_that_is_looked_at() {
        let smtp = Some(Protocol::Smtp);
        let sessions = [("465", smtp), ("587", smtp), ("993", Some(Protocol::Imap)), ("993", None)];
        let sessions =
            sessions.map(|(port, protocol)| found("10.0.0.1:5", &format!("10.0.0.2:{port}"), protocol, 0, 9));
        assert_eq!(ends(sessions.into()), [(5, 25), (5, 587), (5, 143), (5, 993)]);
    }

    #[test]
    fn sessions_at_the_same_time_have_ends_of_their_own() {
        let smtp = |client, server, from, to| found(client, server, Some(Protocol::Smtp), from, to);
        let got = ends(vec![
            smtp("10.0.0.1:5", "10.0.0.2:465", 0, 9),
            smtp("10.0.0.1:5", "10.0.0.2:25", 4, 20),
            smtp("10.0.0.1:5", "10.0.0.2:25", 8, 9),
            // The port is used anew.
            smtp("10.0.0.1:5", "10.0.0.2:25", 9, 30),
            smtp("10.0.0.1:65534", "10.0.0.2:25", 4, 20),
            smtp("10.0.0.3:5", "10.0.0.2:25", 4, 20),
        ]);
        assert_eq!(got, [(5, 25), (65_535, 25), (65_533, 25), (5, 25), (65_534, 25), (5, 25)]);
    }
}
