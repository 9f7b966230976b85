//! The second pass of `mailcap decrypt`: the packets as they were captured.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use super::Found;
use crate::capture::{Capture, Frame, Input, Item, LinkType};
use crate::limits::Limits;
use crate::output::escape::escape;
use crate::output::pcapng::{Packet, Writer};
use crate::pipeline::Error;
use crate::position::FileId;
use crate::wire::{Decoded, Decoder, Skip};

/// Where a fragment's addresses are looked for: link layer, VLANs and a tunnel stand before them.
const HEADERS: usize = 192;

/// What was copied.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Frames read.
    pub read: u64,
    /// Frames written.
    pub written: u64,
}

/// Copies the frames of all captures ([`crate::capture::group`]), in order; with `only`, those of these sessions, and neither others nor the secrets
/// that the inputs hold themselves.
///
/// # Errors
/// An input can't be used any more, or the output can't be written.
pub fn copy<W: Write>(
    captures: Vec<Vec<Input>>,
    limits: &Limits,
    only: Option<&BTreeMap<u64, Found>>,
    writer: &mut Writer<W>,
) -> Result<Copied, Error> {
    let mut capture = Capture::open_usable(captures, limits)?;
    let mut interfaces: HashMap<(FileId, Option<u32>, LinkType), u32> = HashMap::new();
    let mut chosen = only.map(|sessions| Chosen::new(sessions, limits));
    let mut copied = Copied::default();
    loop {
        while capture.advance().is_some() {
            match capture.item() {
                Some(Item::Frame(frame)) => {
                    copied.read += 1;
                    if chosen.as_mut().is_some_and(|chosen| !chosen.holds(&frame)) {
                        continue;
                    }
                    let key = (frame.pos.file, frame.interface, frame.link_type);
                    let interface = match interfaces.get(&key) {
                        Some(&interface) => interface,
                        None => {
                            let name = label(capture.file_name(key.0));
                            let name = match key.1 {
                                Some(number) => format!("{name}, interface {number}"),
                                None => name,
                            };
                            let interface = writer.interface(frame.link_type, &name)?;
                            interfaces.insert(key, interface);
                            interface
                        }
                    };
                    let Frame { pos, data, original_len, .. } = frame;
                    writer.packet(&Packet { interface, ts: pos.ts, data, original_len, comment: "" })?;
                    copied.written += 1;
                }
                Some(Item::Secrets { keylog, .. }) if only.is_none() => writer.secrets(keylog)?,
                // Told by the first pass.
                Some(Item::Secrets { .. } | Item::Comment { .. } | Item::Problem(_)) | None => {}
            }
        }
        if !capture.begin_next() {
            return Ok(copied);
        }
        if let Some(chosen) = &mut chosen {
            chosen.decoder.forget();
        }
    }
}

/// A file's name without its folder, fit to be shown.
fn label(name: &str) -> String {
    escape(name.rsplit(['/', '\\']).next().unwrap_or(name).as_bytes()).into_owned()
}

/// Endpoints in an order that does not depend on the direction.
fn pair<T: Ord>(a: T, b: T) -> (T, T) {
    if a <= b { (a, b) } else { (b, a) }
}

/// Frames of the sessions that were asked for.
struct Chosen {
    decoder: Decoder,
    /// First and last frame of each session between two endpoints, sorted.
    sessions: HashMap<(SocketAddr, SocketAddr), Vec<(u64, u64)>>,
    /// Hosts of these sessions: fragments show no ports.
    hosts: HashMap<(IpAddr, IpAddr), (u64, u64)>,
}

impl Chosen {
    fn new(sessions: &BTreeMap<u64, Found>, limits: &Limits) -> Self {
        let mut chosen = Chosen { decoder: Decoder::new(limits), sessions: HashMap::new(), hosts: HashMap::new() };
        for found in sessions.values() {
            let (first, last) = (found.span.first.index, found.span.last.index);
            let ends = pair(found.client, found.server);
            chosen.sessions.entry(ends).or_default().push((first, last));
            let hosts = chosen.hosts.entry((ends.0.ip(), ends.1.ip())).or_insert((first, last));
            *hosts = (hosts.0.min(first), hosts.1.max(last));
        }
        chosen.sessions.values_mut().for_each(|list| list.sort_unstable());
        chosen
    }

    fn holds(&mut self, frame: &Frame<'_>) -> bool {
        let index = frame.pos.index;
        match self.decoder.decode(frame) {
            Decoded::Segment(segment) => {
                let Some(list) = self.sessions.get(&pair(segment.src, segment.dst)) else { return false };
                // Sessions between the same endpoints follow one another.
                let before = list.partition_point(|(first, _)| *first <= index);
                before.checked_sub(1).and_then(|at| list.get(at)).is_some_and(|(_, last)| index <= *last)
            }
            Decoded::Skipped(Skip::FragmentHeld | Skip::FragmentLimit) => self.holds_fragment(frame.data, index),
            Decoded::Skipped(_) | Decoded::Unreachable(_) => false,
        }
    }

    /// A fragment shows no ports: whether it is between the hosts of a session that was going on. Source and destination
    /// stand side by side in the header of either IP.
    fn holds_fragment(&self, data: &[u8], index: u64) -> bool {
        let head = data.get(..HEADERS).unwrap_or(data);
        let between = |a: IpAddr, b: IpAddr| {
            self.hosts.get(&pair(a, b)).is_some_and(|(first, last)| (*first..=*last).contains(&index))
        };
        let v4 = head.windows(8).filter_map(|w| Some((w.first_chunk::<4>()?, w.last_chunk::<4>()?)));
        let v6 = head.windows(32).filter_map(|w| Some((w.first_chunk::<16>()?, w.last_chunk::<16>()?)));
        v4.into_iter().any(|(&a, &b)| between(a.into(), b.into()))
            || v6.into_iter().any(|(&a, &b)| between(a.into(), b.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::packets::{Kind, Wire};
    use super::*;
    use crate::position::{Direction, FramePos, Span, Timestamp};

    const LIMITS: fn() -> Limits = Limits::default;

    /// A packet in two fragments (RFC 791 §3.1: more-fragments flag, offset in units of eight bytes).
    fn fragments(packet: &[u8]) -> [Vec<u8>; 2] {
        let (header, payload) = packet.split_at(20);
        let fragment = |from: usize, bytes: &[u8], more: bool| {
            let mut out = [header, bytes].concat();
            let len = out.len() as u16;
            out[2..4].copy_from_slice(&len.to_be_bytes());
            let field = u16::from(more) << 13 | (from / 8) as u16;
            out[6..8].copy_from_slice(&field.to_be_bytes());
            out
        };
        [fragment(0, &payload[..24], true), fragment(24, &payload[24..], false)]
    }

    fn frames(file: &std::path::Path) -> Vec<(Vec<u8>, Timestamp)> {
        let mut capture = Capture::open(&[Input::File(file.to_owned())], &LIMITS()).unwrap();
        let mut out = Vec::new();
        while let Some(item) = capture.next() {
            if let Item::Frame(frame) = item {
                out.push((frame.data.to_vec(), frame.pos.ts));
            }
        }
        out
    }

    #[test]
    fn chosen_sessions_keep_their_fragments_and_nothing_else() {
        let end = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (client, server) = (end("10.0.0.1:5000"), end("10.0.0.2:25"));
        let mut wanted = Wire::new(0, [client, server]);
        let mut other = Wire::new(0, [end("10.0.0.3:5000"), server]);
        let mut later = Wire::new(0, [client, server]);
        let from = |wire: &mut Wire, kind, bytes: &[u8]| wire.packet(Direction::Client, kind, bytes).unwrap();
        let text = [b'x'; 100];
        let mut packets = vec![(false, from(&mut other, Kind::Syn, b"")), (true, from(&mut wanted, Kind::Syn, b""))];
        packets.extend(fragments(&from(&mut wanted, Kind::Data, &text)).map(|f| (true, f)));
        packets.extend(fragments(&from(&mut other, Kind::Data, &text)).map(|f| (false, f)));
        packets.push((true, from(&mut wanted, Kind::Fin, b"")));
        // The same endpoints again: another session.
        packets.push((false, from(&mut later, Kind::Syn, b"")));
        packets.push((false, vec![0; 3]));

        let dir = tempfile::tempdir().unwrap();
        let (input, output) = (dir.path().join("in"), dir.path().join("out"));
        let mut writer = Writer::new(std::fs::File::create(&input).unwrap(), "test").unwrap();
        writer.secrets(b"CLIENT_RANDOM 00 11\n").unwrap();
        let interface = writer.interface(LinkType(101), "").unwrap();
        for (n, (_, data)) in (0i64..).zip(&packets) {
            let original_len = data.len() as u32;
            let ts = Timestamp(1_000_000_000 * n + 7);
            writer.packet(&Packet { interface, ts, data, original_len, comment: "" }).unwrap();
        }
        writer.finish().unwrap();

        let at = |index| FramePos { index, ..FramePos::default() };
        let span = Span { first: at(2), last: at(7) };
        let found = Found { span, ..Found::sample(client, server) };
        let only: BTreeMap<u64, Found> = [(2, found)].into();
        let mut writer = Writer::new(std::fs::File::create(&output).unwrap(), "test").unwrap();
        let inputs = [Input::File(input.clone())];
        let copied = copy(vec![inputs.to_vec()], &LIMITS(), Some(&only), &mut writer).unwrap();
        writer.finish().unwrap();
        let all = frames(&input);
        let want: Vec<_> =
            packets.iter().zip(&all).filter(|((wanted, _), _)| *wanted).map(|(_, f)| f.clone()).collect();
        assert_eq!(frames(&output), want);
        assert_eq!((copied.read, copied.written), (packets.len() as u64, 4));
        let secrets = |file: &std::path::Path| std::fs::read(file).unwrap().windows(13).any(|w| w == b"CLIENT_RANDOM");
        assert!(secrets(&input) && !secrets(&output), "the input's own secrets are not only this session's");

        let mut writer = Writer::new(std::fs::File::create(&output).unwrap(), "test").unwrap();
        copy(vec![inputs.to_vec()], &LIMITS(), None, &mut writer).unwrap();
        writer.finish().unwrap();
        assert_eq!(frames(&output), all);
        assert!(secrets(&output));
    }
}
