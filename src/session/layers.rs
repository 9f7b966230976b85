//! What lies above the transport, be that TCP or TLS: inflation, detection, the mail dissector.

use std::num::NonZeroI64;

use super::detect::{Beginning, Detector, Verdict, Waiting, is_greeting};
use super::inflate::{Inflate, InflateError};
use super::plain::Recorder;
use super::stack::Fallback;
use crate::diagnostic::Code;
use crate::event::{Event, Protocol};
use crate::fmt::count;
use crate::limits::Limits;
use crate::mail::imap::Imap;
use crate::mail::line::find_byte;
use crate::mail::pop3::Pop3;
use crate::mail::sieve::Sieve;
use crate::mail::smtp::Smtp;
use crate::mail::{Chunk, Context, Dissector, Emitter, Held, Missing, Next, Options, SecurityLayer, Summary};
use crate::position::{Direction, Span};
use crate::tls;

/// Bytes that are kept for a byte of a list of names: more than for most.
pub(super) const NAME: u64 = 16;

/// The dissector for a protocol.
fn dissector(protocol: Protocol) -> Box<dyn Dissector + Send> {
    match protocol {
        Protocol::Smtp | Protocol::Lmtp => Box::new(Smtp::new()),
        Protocol::Imap => Box::new(Imap::new()),
        Protocol::Pop3 => Box::new(Pop3::new()),
        Protocol::Sieve => Box::new(Sieve::new()),
    }
}

/// The uppermost layer.
enum Top {
    /// Not known yet.
    Detecting(Detector),
    /// A mail protocol.
    Mail(Box<dyn Dissector + Send>),
    /// Something else.
    Other,
}

/// What the session told the layers about its circumstances.
#[derive(Copy, Clone)]
pub(super) struct Env<'a> {
    pub(super) options: &'a Options,
    pub(super) limits: &'a Limits,
    /// Only one side's frames were captured so far.
    pub(super) one_sided: bool,
    /// There is memory to hold TLS records back.
    pub(super) may_hold_back: bool,
}

pub(super) struct Layers {
    top: Top,
    inflate: Option<Box<[Option<Inflate>; 2]>>,
    /// Bytes inside a security layer of SASL; where there is none, compressed ones that came when the dictionary was
    /// lost.
    unread: u64,
    pub(super) emitter: Emitter,
    /// Bytes above come out of TLS.
    pub(super) in_tls: bool,
    /// What the port suggests.
    pub(super) hint: Option<Protocol>,
    /// The connection's beginning is not in the capture, and no byte of the dialogue has come yet.
    pub(super) beginning_unseen: bool,
    /// The dialogue's beginning is not in the capture.
    pub(super) joined: bool,
    /// `seq` reserved for each handshake when it was established.
    pub(super) handshakes: Vec<u64>,
    /// When the first of them was.
    pub(super) tls_began: Option<NonZeroI64>,
    pub(super) recorder: Recorder,
    /// Bytes of the dialogue so far.
    pub(super) given: u64,
    before: Before,
}

/// How far it was before the frame at hand.
#[derive(Copy, Clone, Default)]
struct Before {
    frame: u64,
    given: u64,
    events: u64,
}

impl Before {
    /// Whether what has become of the frame, events and their texts, is as much as may be told at once.
    fn is_exceeded(&self, emitter: &Emitter, given: u64, env: Env<'_>) -> bool {
        let events = (emitter.count() - self.events) * size_of::<Event>() as u64;
        events + (given - self.given) > env.limits.segment_event_bytes as u64
    }
}

/// What the layers ask the stack to do with the rest of a chunk.
pub(super) enum Ask {
    Nothing,
    /// The server took STARTTLS; that many bytes of the chunk are left.
    StartTls {
        rest: usize,
    },
}

impl Layers {
    pub(super) fn new(session: u64, hint: Option<Protocol>, tls_possible: bool) -> Self {
        Layers {
            top: Top::Detecting(Detector::new(tls_possible)),
            inflate: None,
            unread: 0,
            emitter: Emitter::new(session),
            in_tls: false,
            hint,
            beginning_unseen: false,
            joined: false,
            handshakes: Vec::new(),
            tls_began: None,
            recorder: Recorder::default(),
            given: 0,
            before: Before::default(),
        }
    }

    /// What comes now is of that frame.
    pub(super) fn begin_frame(&mut self, frame: u64) {
        if self.before.frame != frame {
            self.before = Before { frame, given: self.given, events: self.emitter.count() };
        }
    }

    /// Whether the frame at hand has become as much as may be told at once.
    pub(super) fn has_enough(&self, env: Env<'_>) -> bool {
        self.before.is_exceeded(&self.emitter, self.given, env)
    }

    pub(super) fn is_mail(&self) -> bool {
        matches!(self.top, Top::Mail(_))
    }

    /// Whether the dialogue was seen from its first byte.
    pub(super) fn begun(&self) -> bool {
        self.is_mail() && !self.joined && !self.beginning_unseen
    }

    pub(super) fn is_other(&self) -> bool {
        matches!(self.top, Top::Other)
    }

    pub(super) fn detector(&mut self) -> Option<&mut Detector> {
        match &mut self.top {
            Top::Detecting(detector) => Some(detector),
            _ => None,
        }
    }

    /// Memory that they take, roughly.
    pub(super) fn cost(&self) -> usize {
        let top = match &self.top {
            Top::Detecting(detector) => detector.cost(),
            Top::Mail(mail) => mail.cost(),
            Top::Other => 0,
        };
        top + self.inflaters_cost() + self.emitter.kept() + self.handshakes.capacity() * size_of::<u64>()
    }

    /// Memory of decompression, roughly.
    pub(super) fn inflaters_cost(&self) -> usize {
        self.inflate.iter().flat_map(|states| states.iter().flatten()).count() * Inflate::COST
    }

    /// Memory held, roughly, while it is not known what this is.
    pub(super) fn held(&self) -> usize {
        let detector = if let Top::Detecting(detector) = &self.top { detector.cost() } else { 0 };
        detector + self.emitter.cost()
    }

    pub(super) fn choose(&mut self, verdict: Verdict) {
        self.top = match verdict {
            Verdict::Mail(protocol) => Top::Mail(dissector(protocol)),
            Verdict::Tls => Top::Detecting(Detector::new(false)),
            Verdict::Other => Top::Other,
        };
    }

    /// The first that was said, more of it perhaps than the first segment has.
    pub(super) fn opens_with(&mut self, dir: Direction, bytes: &[u8]) {
        if let Top::Mail(mail) = &self.top
            && dir == Direction::Server
            && mail.greets(bytes)
        {
            self.beginning_unseen = false;
        }
    }

    pub(super) fn summary(&self) -> Option<Summary> {
        match &self.top {
            Top::Mail(mail) => Some(mail.summary()),
            _ => None,
        }
    }

    pub(super) fn at_line_start(&self, dir: Direction) -> bool {
        self.sealed() == 0 && matches!(&self.top, Top::Mail(mail) if mail.at_line_start(dir))
    }

    /// Whether that line can come next in the dialogue, and is hardly anything else. Where nothing was said yet it is
    /// the port's, or on any other port a greeting.
    pub(super) fn recognises(&self, dir: Direction, line: &[u8]) -> bool {
        match &self.top {
            Top::Mail(mail) => self.inflate.is_none() && mail.at_line_start(dir) && mail.recognises(dir, line),
            Top::Detecting(_) => match self.hint {
                Some(hint) => dissector(hint).recognises(dir, line),
                None => dir == Direction::Server && is_greeting(line),
            },
            Top::Other => false,
        }
    }

    pub(super) fn take_held(&mut self, dir: Direction) -> Option<Held> {
        match &mut self.top {
            Top::Mail(mail) => mail.take_held(dir),
            _ => None,
        }
    }

    /// From here on bytes come out of TLS.
    pub(super) fn start_tls(&mut self) {
        self.in_tls = true;
        if let Top::Mail(mail) = &mut self.top {
            mail.tls_started();
        }
    }

    /// Client bytes that were sent behind STARTTLS in the clear.
    pub(super) fn injected(&mut self, held: &Held, env: Env<'_>) {
        self.emitter.diagnose(
            held.span,
            Code::InjectedCommands,
            format!("{} sent after STARTTLS, before TLS began", count(held.bytes.len() as u64, "byte")),
        );
        if let Top::Mail(mail) = &mut self.top {
            let mut cx = context(&mut self.emitter, self.in_tls, true, env);
            mail.input(Direction::Client, Chunk { bytes: &held.bytes, span: held.span }, &mut cx);
        }
    }

    /// The next bytes of a direction, as TCP or TLS gave them.
    pub(super) fn data(&mut self, dir: Direction, bytes: &[u8], span: Span, env: Env<'_>) -> Ask {
        if self.inflate.is_some() {
            self.deflated(dir, bytes, span, env);
            return Ask::Nothing;
        }
        match &mut self.top {
            Top::Other => Ask::Nothing,
            Top::Mail(_) => self.mail(dir, bytes, span, env),
            Top::Detecting(detector) => {
                detector.data(dir, bytes, span, env.limits.detect_bytes);
                if self.in_tls {
                    self.detect(false, env)
                }
                Ask::Nothing
            }
        }
    }

    fn mail(&mut self, dir: Direction, bytes: &[u8], span: Span, env: Env<'_>) -> Ask {
        let mut rest = bytes;
        // The line that accepts a login may have the beginning of its layer behind it.
        while self.emitter.layer == SecurityLayer::Possible
            && let Some(end) = find_byte(rest, b'\n').filter(|_| dir == Direction::Server)
        {
            let (line, behind) = rest.split_at(end + 1);
            if let Ask::StartTls { rest } = self.dissect(dir, line, span, env) {
                return Ask::StartTls { rest: rest + behind.len() };
            }
            if self.inflate.is_some() {
                self.deflated(dir, behind, span, env);
                return Ask::Nothing;
            }
            rest = behind;
        }
        if rest.is_empty() || self.takes_sealed(rest, span) {
            return Ask::Nothing;
        }
        self.dissect(dir, rest, span, env)
    }

    /// Bytes inside a security layer of SASL.
    pub(super) fn sealed(&self) -> u64 {
        if self.emitter.layer == SecurityLayer::Begun { self.unread } else { 0 }
    }

    /// Compressed bytes that could not be inflated.
    pub(super) fn not_inflated(&self) -> u64 {
        self.unread - self.sealed()
    }

    /// Takes bytes that are inside a security layer, and tells that one began; false of others. Of its pieces the first
    /// byte is zero, of a line it never is.
    fn takes_sealed(&mut self, bytes: &[u8], span: Span) -> bool {
        match self.emitter.layer {
            SecurityLayer::None | SecurityLayer::Possible => return false,
            SecurityLayer::Begun => {}
            SecurityLayer::Decided if bytes.first() == Some(&0) => {
                self.emitter.diagnose(
                    span,
                    Code::SaslLayer,
                    "what follows the login is signed or encrypted, and is not decoded",
                );
                self.emitter.layer = SecurityLayer::Begun;
            }
            SecurityLayer::Decided => {
                self.emitter.layer = SecurityLayer::None;
                return false;
            }
        }
        self.unread += bytes.len() as u64;
        true
    }

    /// Bytes that are in no security layer, for the dissector.
    fn dissect(&mut self, dir: Direction, bytes: &[u8], span: Span, env: Env<'_>) -> Ask {
        let Top::Mail(mail) = &mut self.top else { return Ask::Nothing };
        if std::mem::take(&mut self.beginning_unseen) && !(dir == Direction::Server && mail.greets(bytes)) {
            self.joined = true;
            mail.join(self.hint);
            context(&mut self.emitter, self.in_tls, false, env).loses_client();
        }
        self.given += bytes.len() as u64;
        let mut chunk = Chunk { bytes, span };
        loop {
            let mut cx = context(&mut self.emitter, self.in_tls, false, env);
            let advance = mail.input(dir, chunk, &mut cx);
            chunk.bytes = chunk.bytes.get(advance.consumed..).unwrap_or_default();
            match advance.next {
                Next::Continue => return Ask::Nothing,
                Next::StartTls if !self.in_tls => return Ask::StartTls { rest: chunk.bytes.len() },
                // STARTTLS inside TLS means nothing; the dialogue goes on.
                Next::StartTls if chunk.bytes.is_empty() => return Ask::Nothing,
                Next::StartTls => {}
                Next::Deflate => {
                    self.inflate = Some(Box::new([Some(Inflate::new()), Some(Inflate::new())]));
                    let rest = chunk.bytes;
                    for side in [dir.opposite(), dir] {
                        if let Some(held) = self.take_held(side) {
                            self.deflated(side, &held.bytes, held.span, env);
                        }
                    }
                    self.deflated(dir, rest, span, env);
                    return Ask::Nothing;
                }
            }
        }
    }

    fn deflated(&mut self, dir: Direction, bytes: &[u8], span: Span, env: Env<'_>) {
        let Some(states) = &mut self.inflate else { return };
        let (Some(state), Top::Mail(mail)) = (&mut states[dir.index()], &mut self.top) else {
            self.unread += bytes.len() as u64;
            return;
        };
        let (emitter, in_tls) = (&mut self.emitter, self.in_tls);
        let (given, before) = (&mut self.given, self.before);
        let result = state.push(bytes, env.limits.expansion_ratio, |plain| {
            *given += plain.len() as u64;
            let mut chunk = Chunk { bytes: plain, span };
            while !chunk.bytes.is_empty() {
                let mut cx = context(emitter, in_tls, false, env);
                let advance = mail.input(dir, chunk, &mut cx);
                // Neither TLS nor a second compression can begin inside a compressed stream.
                chunk.bytes = match advance.next {
                    Next::Continue => &[],
                    _ => chunk.bytes.get(advance.consumed..).unwrap_or_default(),
                };
            }
            !before.is_exceeded(emitter, *given, env)
        });
        if let Err(error) = result {
            states[dir.index()] = None;
            let detail = match error {
                InflateError::Expansion => {
                    "the compressed stream expands beyond its bound; the rest of it is not decoded"
                }
                InflateError::Corrupt => "the compressed stream is broken; the rest of it is not decoded",
            };
            self.emitter.diagnose(span, Code::CompressionFailed, detail);
            self.mail_gap(dir, Missing { len: 0, tail: false, span }, env);
        }
    }

    /// Bytes are missing.
    pub(super) fn gap(&mut self, dir: Direction, missing: Missing, env: Env<'_>) {
        if let Some(states) = &mut self.inflate {
            if states[dir.index()].take().is_some() {
                self.emitter.diagnose(
                    missing.span,
                    Code::CompressionFailed,
                    "bytes are missing, so the compression dictionary is lost; the rest of this direction is not decoded",
                );
                self.mail_gap(dir, Missing { tail: false, ..missing }, env);
            }
            return;
        }
        match &mut self.top {
            _ if self.emitter.layer == SecurityLayer::Begun => {}
            Top::Detecting(detector) => detector.gap(dir, missing),
            _ => self.mail_gap(dir, missing, env),
        }
    }

    fn mail_gap(&mut self, dir: Direction, missing: Missing, env: Env<'_>) {
        if let Top::Mail(mail) = &mut self.top {
            let mut cx = context(&mut self.emitter, self.in_tls, false, env);
            mail.gap(dir, missing, &mut cx);
        }
    }

    /// A direction is over.
    pub(super) fn end(&mut self, dir: Direction, span: Span, env: Env<'_>) {
        match &mut self.top {
            Top::Detecting(detector) => detector.end(dir, span),
            Top::Mail(mail) => {
                let mut cx = context(&mut self.emitter, self.in_tls, false, env);
                mail.end(dir, span, &mut cx);
            }
            Top::Other => {}
        }
    }

    /// Looks at what has come out of TLS so far; `last` when no more will come.
    pub(super) fn detect(&mut self, last: bool, env: Env<'_>) {
        let (hint, limit) = (self.hint, env.limits.detect_bytes);
        let beginning = if self.beginning_unseen { Beginning::Unseen } else { Beginning::Seen };
        let Top::Detecting(detector) = &mut self.top else { return };
        if let Some((verdict, _)) = detector.judge(hint, beginning, last, limit) {
            let waiting = detector.take();
            self.choose(verdict);
            for item in waiting {
                match item {
                    Waiting::Data { dir, bytes, span } => {
                        self.data(dir, &bytes, span, env);
                    }
                    Waiting::Gap { dir, missing } => self.gap(dir, missing, env),
                    Waiting::End { dir, span } => self.end(dir, span, env),
                }
            }
        }
    }

    /// The connection is over.
    pub(super) fn finish(&mut self, span: Span, env: Env<'_>) {
        if let Top::Mail(mail) = &mut self.top {
            let mut cx = context(&mut self.emitter, self.in_tls, false, env);
            mail.finish(span, &mut cx);
        }
    }
}

fn context<'a>(emitter: &'a mut Emitter, tls: bool, injected: bool, env: Env<'a>) -> Context<'a> {
    Context { out: emitter, tls, injected, one_sided: env.one_sided, options: env.options, limits: env.limits }
}

/// The layers as TLS sees them.
pub(super) struct AboveTls<'a> {
    pub(super) layers: &'a mut Layers,
    pub(super) fallback: &'a mut Fallback,
    /// Handshakes of a TLS that was given up before.
    pub(super) earlier: u32,
    pub(super) env: Env<'a>,
}

impl tls::Upper for AboveTls<'_> {
    fn plaintext(&mut self, dir: Direction, bytes: &[u8], span: Span) {
        if self.layers.has_enough(self.env) {
            let detail = "the compressed records of one segment expand beyond their bound; the rest of them is skipped";
            self.layers.emitter.diagnose(span, Code::CompressionFailed, detail);
            return self.lost(dir, bytes.len() as u64, span);
        }
        self.layers.record(dir, bytes, span, self.env);
        self.layers.data(dir, bytes, span, self.env);
    }

    fn lost(&mut self, dir: Direction, len: u64, span: Span) {
        self.layers.record_loss(dir, len, false);
        self.layers.gap(dir, Missing { len, tail: false, span }, self.env);
    }

    fn established(&mut self, handshake: u32, span: Span) {
        self.layers.tls_began = self.layers.tls_began.or(NonZeroI64::new(span.last.ts.0));
        while self.layers.handshakes.len() <= (self.earlier + handshake) as usize {
            let seq = self.layers.emitter.reserve();
            self.layers.handshakes.push(seq);
        }
    }

    fn odd(&mut self, code: Code, detail: &str, span: Span) {
        self.layers.emitter.diagnose(span, code, detail.to_owned());
    }

    fn closed(&mut self, dir: Direction, span: Span) {
        if self.layers.handshakes.len() as u32 > self.earlier {
            self.layers.end(dir, span, self.env);
        } else {
            self.fallback.alerted(dir, span);
        }
    }

    fn no_record(&mut self, dir: Direction, bytes: &[u8], span: Span) -> bool {
        self.fallback.begin(dir, bytes, span)
    }

    fn adrift(&mut self, dir: Direction, bytes: &[u8], span: Span) -> bool {
        self.fallback.begin_adrift(dir, bytes, span, self.layers)
    }
}
