//! Each layer alone over what the layer below made of a generated capture: what the benchmarks time and count.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use mailcap::capture::{Capture, Frame, Input, Item, LinkType};
use mailcap::diagnostic::Code;
use mailcap::event::{EndReason, Event};
use mailcap::flow::{ConnectionInfo, Consumer, FlowTable, Interest, Side, StreamChunk};
use mailcap::limits::Limits;
use mailcap::mail::smtp::Smtp;
use mailcap::mail::{self, Chunk, Context, Dissector, Emitter};
use mailcap::output::{Files, Sink, json};
use mailcap::pipeline::{Config, run};
use mailcap::position::{Direction, FramePos, Span};
use mailcap::tls::{Connection, Env, KeyRing, SessionCache, Upper};
use mailcap::wire::{Decoded, Decoder};

use crate::workload::{Workload, write};

/// What opens the TLS workloads.
const KEY: &str = "testdata/keys/encoded/rsa2048.pkcs8.pem";

struct Packet {
    pos: FramePos,
    data: Vec<u8>,
}

/// What was said in a connection, in order.
type Story = Vec<(Direction, Vec<u8>)>;

/// What each layer works on.
pub(crate) struct Made {
    file: tempfile::NamedTempFile,
    packets: Vec<Packet>,
    mail: Vec<Story>,
    tls: Vec<Story>,
    events: Vec<Event>,
    keys: KeyRing,
    limits: Limits,
}

/// A layer's work; gives what it counted, so that none of it is left out.
pub(crate) type Pass = fn(&Made) -> u64;

/// All of them.
pub(crate) const PASSES: [(&str, Pass); 6] = [
    ("capture", Made::capture),
    ("wire", Made::wire),
    ("flow", Made::flow),
    ("mail", Made::mail),
    ("tls", Made::tls),
    ("output", Made::output),
];

impl Made {
    /// Of captures of so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let home = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut keys = KeyRing::new();
        keys.add_key_path(&home.join(KEY), &mut |_| None).expect("a key");
        let limits = Limits::default();
        let (file, tls) = (generate("plain", bytes), generate("tls", bytes));
        let packets = packets(file.path(), &limits);
        let mail = stories(&packets, &limits);
        let tls = stories(&self::packets(tls.path(), &limits), &limits);
        let events = events(file.path());
        Made { file, packets, mail, tls, events, keys, limits }
    }

    /// Frames of the file.
    pub(crate) fn capture(&self) -> u64 {
        let mut frames = 0;
        each_frame(self.file.path(), &self.limits, |_| frames += 1);
        frames
    }

    /// Segments of the frames.
    pub(crate) fn wire(&self) -> u64 {
        let mut decoder = Decoder::new(&self.limits);
        self.packets.iter().filter(|packet| matches!(decoder.decode(&packet.frame()), Decoded::Segment(_))).count()
            as u64
    }

    /// Streams of the frames: [`Made::wire`] is in it.
    pub(crate) fn flow(&self) -> u64 {
        let mut count = Count::default();
        streams(&self.packets, &self.limits, &mut count);
        count.0
    }

    /// Events of SMTP.
    pub(crate) fn mail(&self) -> u64 {
        let (options, mut events) = (mail::Options { digests: true, ..mail::Options::default() }, 0);
        for story in &self.mail {
            let (mut smtp, mut out) = (Smtp::new(), Emitter::new(1));
            for (dir, bytes) in story {
                let chunk = Chunk { bytes, span: Span::default() };
                let (options, limits) = (&options, &self.limits);
                let mut cx = Context { out: &mut out, tls: false, injected: false, one_sided: false, options, limits };
                smtp.input(*dir, chunk, &mut cx);
            }
            events += out.drain().count() as u64;
        }
        events
    }

    /// Plaintext of TLS.
    pub(crate) fn tls(&self) -> u64 {
        let (mut sessions, mut upper) = (SessionCache::new(), Count::default());
        let limits = &self.limits;
        for story in &self.tls {
            let mut env =
                Env { keys: &self.keys, sessions: &mut sessions, limits, both_captured: true, may_hold_back: true };
            let mut connection = Connection::new();
            for (dir, bytes) in story {
                connection.data(*dir, bytes, Span::default(), &mut env, &mut upper);
            }
            connection.finish(Span::default(), &mut env, &mut upper);
        }
        upper.0
    }

    /// JSON of events.
    pub(crate) fn output(&self) -> u64 {
        let (mut line, mut files, mut bytes) = (Vec::new(), Files::default(), 0);
        files.push("mail.pcap");
        for event in &self.events {
            line.clear();
            json::push_event(&mut line, event, &files, json::Extra::default());
            bytes += line.len() as u64;
        }
        bytes
    }
}

impl Packet {
    fn frame(&self) -> Frame<'_> {
        let (pos, data) = (self.pos, &self.data[..]);
        Frame { pos, interface: None, link_type: LinkType(1), data, original_len: data.len() as u32 }
    }
}

fn generate(name: &str, bytes: u64) -> tempfile::NamedTempFile {
    let workload = Workload { bytes, ..Workload::named(name).expect("a workload") };
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    write(&workload, file.as_file_mut()).expect("a capture");
    file.flush().expect("a capture");
    file
}

fn each_frame(path: &Path, limits: &Limits, mut each: impl FnMut(&Frame<'_>)) {
    let mut capture = Capture::open(&[Input::File(path.to_owned())], limits).expect("a capture");
    while let Some(item) = capture.next() {
        if let Item::Frame(frame) = item {
            each(&frame);
        }
    }
}

fn packets(path: &Path, limits: &Limits) -> Vec<Packet> {
    let mut all = Vec::new();
    each_frame(path, limits, |frame| all.push(Packet { pos: frame.pos, data: frame.data.to_vec() }));
    all
}

fn streams<C: Consumer>(packets: &[Packet], limits: &Limits, consumer: &mut C) {
    let (mut decoder, mut table) = (Decoder::new(limits), FlowTable::new(limits));
    for packet in packets {
        if let Decoded::Segment(segment) = decoder.decode(&packet.frame()) {
            table.segment(&segment, packet.pos, None, consumer);
        }
    }
    table.finish(consumer);
}

fn stories(packets: &[Packet], limits: &Limits) -> Vec<Story> {
    let mut record = Record::default();
    streams(packets, limits, &mut record);
    record.0.into_values().collect()
}

fn events(path: &Path) -> Vec<Event> {
    let mut all = Collect(Vec::new());
    let mail = mail::Options { digests: true, ..mail::Options::default() };
    let inputs = vec![Input::File(path.to_owned())];
    run(Config { mail, ..Config::new(inputs) }, &mut all).expect("a run");
    all.0
}

struct Collect(Vec<Event>);

impl Sink for Collect {
    fn event(&mut self, event: Event) -> io::Result<()> {
        self.0.push(event);
        Ok(())
    }
}

/// Bytes that were delivered.
#[derive(Default)]
struct Count(u64);

impl Consumer for Count {
    type Session = ();

    fn open(&mut self, _: &ConnectionInfo) {}

    fn chunk(&mut self, (): &mut (), _: &ConnectionInfo, chunk: StreamChunk<'_>) -> Interest {
        if let StreamChunk::Data { bytes, .. } = chunk {
            self.0 += bytes.len() as u64;
        }
        Interest::Keep
    }

    fn close(&mut self, (): (), _: &ConnectionInfo, _: EndReason, _: FramePos) -> Interest {
        Interest::Drop
    }
}

impl Upper for Count {
    fn plaintext(&mut self, _: Direction, bytes: &[u8], _: Span) {
        self.0 += bytes.len() as u64;
    }
    fn lost(&mut self, _: Direction, _: u64, _: Span) {}
    fn established(&mut self, _: u32, _: Span) {}
    fn odd(&mut self, _: Code, _: &str, _: Span) {}
    fn closed(&mut self, _: Direction, _: Span) {}
}

/// What was delivered, by connection.
#[derive(Default)]
struct Record(BTreeMap<u64, Story>);

impl Consumer for Record {
    type Session = ();

    fn open(&mut self, _: &ConnectionInfo) {}

    fn chunk(&mut self, (): &mut (), info: &ConnectionInfo, chunk: StreamChunk<'_>) -> Interest {
        if let StreamChunk::Data { side, bytes, .. } = chunk {
            let dir = if side == Side::Initiator { Direction::Client } else { Direction::Server };
            self.0.entry(info.id).or_default().push((dir, bytes.to_vec()));
        }
        Interest::Keep
    }

    fn close(&mut self, (): (), _: &ConnectionInfo, _: EndReason, _: FramePos) -> Interest {
        Interest::Drop
    }
}
