//! The layers of one connection and the hand-over between them: plaintext, then TLS after STARTTLS, or TLS at once.

mod fallback;

use super::decode_as::DecodeAs;
use super::detect::{Beginning, Verdict, Waiting, is_cut_hello};
use super::layers::{AboveTls, Ask, Env, Layers, NAME};
use super::proxied::{Opened, Piece, ProxyTalk, Settled, Taken};
use super::proxy_header::{self, Preamble};
use crate::diagnostic::Code;
use crate::event::{GapCause, Protocol, Security, TlsHandshake};
use crate::fmt::count;
use crate::mail::{Held, Missing};
use crate::position::{Direction, Span};
use crate::tls::{self, Looks};
pub(super) use fallback::Fallback;
use fallback::Past;

/// STARTTLS was accepted; the next bytes show whether TLS really follows.
#[derive(Debug, Default)]
struct Gate {
    /// The server sent something in the clear behind its answer.
    server_spoke: Option<(usize, Span)>,
    /// By direction: bytes sent behind it were lost, the beginning of a hello most likely.
    lost: [Option<(u64, Span)>; 2],
}

impl Gate {
    /// What was lost, in the order in which it was found missing.
    fn lost(&self) -> Vec<(Direction, u64, Span)> {
        let lost = BOTH.into_iter().zip(self.lost);
        let mut lost: Vec<_> = lost.filter_map(|(dir, lost)| lost.map(|(len, span)| (dir, len, span))).collect();
        lost.sort_by_key(|(_, _, span)| span.first.index);
        lost
    }
}

/// TLS, and what may be no TLS any more.
#[derive(Default)]
struct Tls {
    connection: tls::Connection,
    fallback: Fallback,
}

const BOTH: [Direction; 2] = [Direction::Client, Direction::Server];

/// More bytes of text than ciphertext begins with.
const LINE: usize = 64;

/// As lines of a mail protocol are; the last character may be cut. UTF-8 alone, where ciphertext is the other
/// possibility: among its bytes any charset would find text too often.
fn is_utf8_line(bytes: &[u8]) -> bool {
    let control = |c: char| c.is_control() && !matches!(c, '\r' | '\n' | '\t');
    let whole = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or_default(),
        _ => bytes,
    };
    std::str::from_utf8(whole).is_ok_and(|text| !text.contains(control))
}

/// Whether the bytes are records in the clear with an alert each, which is two bytes; of the last one a part may be to
/// come.
fn looks_like_alerts(bytes: &[u8]) -> Looks {
    let (records, rest) = bytes.as_chunks::<7>();
    if !records.iter().all(|record| matches!(record, [0x15, 3, 0..=4, 0, 2, 1..=2, _])) {
        return Looks::No;
    }
    match rest {
        [] => Looks::Yes,
        [0x15] | [0x15, 3, ..] if records.len() < 4 => Looks::More,
        _ => Looks::No,
    }
}

pub(super) struct Stack {
    pub(super) layers: Layers,
    proxy_talk: ProxyTalk,
    preambles: [Preamble; 2],
    /// The client as a PROXY header named it.
    pub(super) proxy_client: proxy_header::Client,
    /// What the last proxy on the way was asked for.
    pub(super) proxied: Option<Box<Opened>>,
    /// Bytes of PROXY headers, and of talks with a proxy.
    pub(super) proxy_bytes: u32,
    tls: Option<Box<Tls>>,
    /// The connection's beginning is not in the capture.
    begins_unseen: bool,
    past: Past,
    gate: Option<Box<Gate>>,
    /// STARTTLS was accepted.
    announced: bool,
    /// The server answered words in the clear with an alert.
    alerted: bool,
    /// By direction: bytes in the clear were lost, and what has come since is no text, so that TLS may have begun in
    /// the gap.
    tls_may_begin: [bool; 2],
    /// By direction: bytes at the beginning of a line with which TLS may begin; a handful.
    begun: [Option<Box<Held>>; 2],
    pub(super) security: Security,
    /// What the user said of this port.
    forced: Option<DecodeAs>,
    hint: Option<Protocol>,
    /// ALPN chose mail, as it was when TLS ended.
    by_alpn: bool,
}

/// What decryption needs besides [`Env`].
pub(super) struct Secrets<'a> {
    pub(super) keys: &'a tls::KeyRing,
    pub(super) sessions: &'a mut tls::SessionCache,
}

/// Bytes that TCP delivered.
#[derive(Copy, Clone)]
pub(super) struct Input<'a> {
    pub(super) dir: Direction,
    pub(super) bytes: &'a [u8],
    pub(super) span: Span,
    /// Who is the client is known for sure, or does not matter any more.
    pub(super) roles_sure: bool,
}

impl<'a> Input<'a> {
    /// What was held back.
    fn held(dir: Direction, held: &'a Held) -> Self {
        Input { dir, bytes: &held.bytes, span: held.span, roles_sure: true }
    }
}

impl Stack {
    pub(super) fn new(session: u64, hint: Option<Protocol>, forced: Option<DecodeAs>) -> Self {
        let hint = forced.and_then(|f| f.protocol).or(hint);
        let mut stack = Stack {
            layers: Layers::new(session, hint, true),
            proxy_talk: ProxyTalk::default(),
            preambles: Default::default(),
            proxy_client: None,
            proxied: None,
            proxy_bytes: 0,
            tls: None,
            begins_unseen: false,
            past: Past::default(),
            gate: None,
            announced: false,
            alerted: false,
            tls_may_begin: Default::default(),
            begun: Default::default(),
            security: Security::None,
            forced,
            hint,
            by_alpn: false,
        };
        match forced {
            Some(DecodeAs { tls: true, .. }) => stack.begin_tls(Security::Implicit),
            Some(DecodeAs { protocol: Some(protocol), .. }) => stack.layers.choose(Verdict::Mail(protocol)),
            _ => {}
        }
        stack
    }

    /// The connection's beginning is not in the capture.
    pub(super) fn begins_unseen(&mut self) {
        self.begins_unseen = true;
        self.layers.beginning_unseen = true;
        if let Some(tls) = &mut self.tls {
            tls.connection.begins_unseen();
        }
    }

    /// Memory beside its own fields, roughly.
    pub(super) fn cost(&self) -> usize {
        let begun = self.begun.iter().flatten().map(|held| held.bytes.capacity()).sum::<usize>();
        let tls = self.tls.as_ref().map_or(0, |tls| tls.connection.cost() + tls.fallback.cost());
        let proxied = self.proxied.as_ref().map_or(0, |opened| opened.cost());
        begun + self.proxy_talk.cost() + proxied + tls + self.layers.cost()
    }

    pub(super) fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Bytes that are kept for a byte that comes next, at most, besides what the dialogue makes of it.
    pub(super) fn most_below(&self) -> u64 {
        match &self.tls {
            // It waits for the rest of its record, in a buffer that doubles.
            Some(tls) if tls.connection.is_established() => 2,
            None if self.layers.is_mail() => 0,
            _ => NAME,
        }
    }

    /// Whether all that was said can be read, and something was said: in TLS, if there is any.
    pub(super) fn reads_all(&self) -> bool {
        self.undecrypted_bytes() == 0 && self.tls.as_ref().is_none_or(|tls| tls.connection.opened_bytes() > 0)
    }

    /// Whether the handshake chose a mail protocol by ALPN (RFC 8314 §7: `imap`, `pop3`, `managesieve`; `smtp` is in
    /// use).
    pub(super) fn mail_alpn(&self) -> bool {
        let alpn = self.tls.as_ref().and_then(|t| t.connection.alpn());
        self.by_alpn || matches!(alpn, Some(b"smtp" | b"imap" | b"pop3" | b"managesieve"))
    }

    /// The next bytes that TCP delivered. True when both roles turned out to be the other way round.
    pub(super) fn data(&mut self, input: Input<'_>, env: Env<'_>, secrets: &mut Secrets<'_>) -> bool {
        match self.proxy_talk.take(input.dir, input.bytes, input.span) {
            Taken::Passed => self.behind_proxy_talk(input, env, secrets),
            Taken::Held => false,
            Taken::Settled(settled) => self.settled(settled, input.roles_sure, env, secrets),
        }
    }

    /// Whether there is a proxy on the way is known.
    fn settled(&mut self, settled: Settled, roles_sure: bool, env: Env<'_>, secrets: &mut Secrets<'_>) -> bool {
        let Settled { opened, pieces } = settled;
        let proxied = opened.is_some();
        let mut swap = false;
        if let Some(opened) = opened {
            // Who asks a proxy is the client.
            swap = !roles_sure && opened.client == Direction::Server;
            self.hint = Protocol::of_port(opened.port).or(self.hint);
            self.layers.hint = self.hint;
            self.proxy_bytes = self.proxy_bytes.saturating_add(opened.bytes);
            self.layers.emitter.diagnose(opened.span, Code::ProxyTunnel, opened.to_string());
            self.proxied = Some(Box::new(opened));
        }
        for Piece { dir, bytes, span } in pieces {
            let dir = if swap { dir.opposite() } else { dir };
            swap ^= match proxied {
                // There may be another proxy behind it.
                true => self.data(Input { dir, bytes: &bytes, span, roles_sure: true }, env, secrets),
                false => self.behind_proxy_talk(Input { dir, bytes: &bytes, span, roles_sure }, env, secrets),
            };
        }
        swap
    }

    fn behind_proxy_talk(&mut self, input: Input<'_>, env: Env<'_>, secrets: &mut Secrets<'_>) -> bool {
        let Input { dir, bytes, span, .. } = input;
        // A proxy speaks before anybody.
        let other = dir.opposite();
        if let Some(held) = self.preambles[other.index()].give_up() {
            self.above_preamble(Input::held(other, &held), env, secrets);
        }
        let preamble = &mut self.preambles[dir.index()];
        if !preamble.concerns(bytes) {
            *preamble = Preamble::Over;
            return self.above_preamble(input, env, secrets);
        }
        let Some((held, len, header)) = preamble.take(bytes, span) else { return false };
        if let Some(client) = header {
            self.proxy_client = client;
            self.proxy_bytes = self.proxy_bytes.saturating_add(len as u32);
            self.layers.emitter.diagnose(held.span, Code::ProxyHeader, proxy_header::endpoint(client));
            self.proxy_talk.begin_again();
        }
        match held.bytes.get(len..) {
            None | Some([]) => false,
            Some(rest) => {
                let rest = Input { bytes: rest, span: held.span, ..input };
                if header.is_some() { self.data(rest, env, secrets) } else { self.above_preamble(rest, env, secrets) }
            }
        }
    }

    /// What looked like the beginning of a talk with a proxy, of a PROXY header, or of TLS, was none.
    pub(super) fn nothing_begins(&mut self, dir: Direction, env: Env<'_>, secrets: &mut Secrets<'_>) {
        if let Some(settled) = self.proxy_talk.give_up() {
            // Too little to tell roles by.
            self.settled(settled, true, env, secrets);
        }
        match self.preambles[dir.index()].end() {
            Some(held) if proxy_header::is_header(&held.bytes) => {
                self.proxy_bytes = self.proxy_bytes.saturating_add(held.bytes.len() as u32);
                let detail = format!("cut short after {}", count(held.bytes.len() as u64, "byte"));
                self.layers.emitter.diagnose(held.span, Code::ProxyHeader, detail);
            }
            // Too little to tell roles by.
            Some(held) => {
                self.above_preamble(Input::held(dir, &held), env, secrets);
            }
            None => {}
        }
        if let Some(held) = self.begun[dir.index()].take() {
            let Held { bytes, span } = *held;
            self.plain_or_tls(dir, &bytes, span, is_cut_hello(&bytes), env, secrets);
        }
    }

    fn above_preamble(&mut self, input: Input<'_>, env: Env<'_>, secrets: &mut Secrets<'_>) -> bool {
        let Input { dir, bytes, span, roles_sure } = input;
        if self.tls.is_some() {
            self.tls_data(dir, bytes, span, env, secrets);
        } else if self.layers.detector().is_some() {
            self.layers.data(dir, bytes, span, env);
            return self.detect(roles_sure, false, env, secrets);
        } else {
            self.plain(dir, bytes, span, env, secrets);
        }
        false
    }

    fn plain(&mut self, dir: Direction, bytes: &[u8], span: Span, env: Env<'_>, secrets: &mut Secrets<'_>) {
        if let Some(mut begun) = self.begun[dir.index()].take() {
            begun.bytes.extend_from_slice(bytes);
            return self.plain(dir, &begun.bytes, begun.span.to(span), env, secrets);
        }
        match self.tls_begins(dir, bytes) {
            Looks::More => self.begun[dir.index()] = Some(Box::new(Held { bytes: bytes.to_vec(), span })),
            looks => self.plain_or_tls(dir, bytes, span, looks == Looks::Yes, env, secrets),
        }
    }

    fn plain_or_tls(
        &mut self,
        dir: Direction,
        bytes: &[u8],
        span: Span,
        is_tls: bool,
        env: Env<'_>,
        secrets: &mut Secrets<'_>,
    ) {
        if is_tls {
            let gate = self.gate.take();
            if let Some((len, span)) = gate.as_ref().and_then(|gate| gate.server_spoke) {
                let detail =
                    format!("{} sent after the answer to STARTTLS, before TLS began", count(len as u64, "byte"));
                self.layers.emitter.diagnose(span, Code::InjectedReplies, detail);
            }
            if gate.is_none() {
                let detail = "TLS begins here without an accepted STARTTLS in the capture";
                self.layers.emitter.diagnose(span, Code::UnannouncedTls, detail);
            }
            let tls_may_begin = std::mem::take(&mut self.tls_may_begin);
            self.begin_tls(Security::StartTls);
            for dir in BOTH.into_iter().filter(|dir| tls_may_begin[dir.index()]) {
                // How much of it was TLS is not known, and it is told already.
                if let Some(tls) = &mut self.tls {
                    tls.connection.begins_unseen();
                }
                self.gap(dir, 0, GapCause::Lost, span, env, secrets);
            }
            for (dir, len, span) in gate.iter().flat_map(|gate| gate.lost()) {
                self.gap(dir, len, GapCause::Lost, span, env, secrets);
            }
            self.tls_data(dir, bytes, span, env, secrets);
            return;
        }
        if self.tls_may_begin[dir.index()] && is_utf8_line(bytes) {
            self.tls_may_begin[dir.index()] = false;
        }
        self.tell_lost(env);
        if dir == Direction::Server && self.has_said_nothing() && looks_like_alerts(bytes) == Looks::Yes {
            // Not the dialogue's: the server takes the client's words for a broken record.
            self.past.overhead += bytes.len() as u64;
            if !std::mem::replace(&mut self.alerted, true) {
                let detail = "the client uses no TLS, and the server answers with a TLS alert";
                self.layers.emitter.diagnose(span, Code::TlsMismatch, detail);
            }
            return;
        }
        match (&mut self.gate, dir) {
            (Some(gate), Direction::Server) => {
                let (len, before) = gate.server_spoke.unwrap_or((0, span));
                gate.server_spoke = Some((len + bytes.len(), before.to(span)));
            }
            (Some(_), Direction::Client) => {
                self.gate = None;
                let detail = "STARTTLS was accepted, but the client went on in the clear";
                self.layers.emitter.diagnose(span, Code::PlaintextAfterStartTls, detail);
            }
            (None, _) => {}
        }
        let asked = self.layers.data(dir, bytes, span, env);
        let rest = if let Ask::StartTls { rest } = asked { rest } else { 0 };
        self.layers.record(dir, bytes.get(..bytes.len() - rest).unwrap_or_default(), span, env);
        if let Ask::StartTls { rest } = asked {
            self.open_gate(env);
            let tail = bytes.get(bytes.len() - rest..).unwrap_or_default();
            if !tail.is_empty() {
                self.plain(dir, tail, span, env, secrets);
            }
        }
    }

    /// Whether the server is yet to say its first word, in the clear or in TLS.
    fn has_said_nothing(&self) -> bool {
        let silent = self.layers.summary().is_some_and(|summary| summary.banner.is_none());
        silent && !self.begins_unseen && self.past.handshakes.is_empty() && self.gate.is_none()
    }

    /// STARTTLS was accepted: what the client had sent behind it was injected, unless it is TLS already.
    fn open_gate(&mut self, env: Env<'_>) {
        self.gate = Some(Box::default());
        self.announced = true;
        if let Some(held) = self.layers.take_held(Direction::Client) {
            self.layers.injected(&held, env);
        }
    }

    /// What was lost at the gate is not going to turn out: no TLS has followed yet.
    fn tell_lost(&mut self, env: Env<'_>) {
        let Some(gate) = &mut self.gate else { return };
        let lost = gate.lost();
        gate.lost = Default::default();
        for (dir, len, span) in lost {
            self.layers.record_loss(dir, len, false);
            self.layers.gap(dir, Missing { len, tail: false, span }, env);
        }
    }

    /// Whether TLS begins with these bytes: no line of a mail protocol starts so.
    fn tls_begins(&self, dir: Direction, bytes: &[u8]) -> Looks {
        let hello_lost = self.gate.as_ref().is_some_and(|gate| gate.lost[dir.index()].is_some());
        let yes = match bytes.first() {
            // The rest of a hello is no text.
            // However it is cut: a line shows by its end, ciphertext within a few bytes.
            _ if hello_lost && is_utf8_line(bytes) && bytes.len() < LINE && !bytes.contains(&b'\n') => {
                return Looks::More;
            }
            _ if hello_lost => !is_utf8_line(bytes),
            Some(0x14..=0x17) | Some(0x80..=0xff) if self.awaits_tls(dir) => true,
            // The answer to STARTTLS may be among what was lost, and all that came before this record.
            Some(0x14..=0x17) if self.tls_may_begin[dir.index()] => return tls::looks_like_tls(bytes),
            // An alert to words in the clear begins no TLS; the end of it may be to come.
            Some(0x15) if dir == Direction::Server && self.has_said_nothing() => match looks_like_alerts(bytes) {
                Looks::More => return Looks::More,
                _ => false,
            },
            // Few bytes do not tell.
            Some(0x16 | 0x80..=0xff) if self.layers.at_line_start(dir) => return tls::looks_like_tls(bytes),
            // Other protocols have their STARTTLS, too: a ClientHello in a segment of its own.
            Some(0x16) if self.layers.is_other() => {
                matches!(bytes, [_, 3, _, _, _, 1, ..]) && tls::looks_like_tls(bytes) == Looks::Yes
            }
            _ => false,
        };
        if yes { Looks::Yes } else { Looks::No }
    }

    /// Whether nothing but TLS may come behind the answer to STARTTLS; a server that went on in the clear ends its
    /// lines first.
    fn awaits_tls(&self, dir: Direction) -> bool {
        let goes_on = |gate: &Gate| dir == Direction::Server && gate.server_spoke.is_some();
        self.gate.as_deref().is_some_and(|gate| !goes_on(gate) || self.layers.at_line_start(dir))
    }

    fn begin_tls(&mut self, security: Security) {
        self.security = security;
        let mut connection = tls::Connection::of_session(self.layers.emitter.session());
        if self.begins_unseen && security == Security::Implicit {
            connection.begins_unseen();
        }
        self.tls = Some(Box::new(Tls { connection, fallback: Fallback::default() }));
        if security == Security::Implicit {
            self.layers.choose(Verdict::Tls);
            if let Some(DecodeAs { protocol: Some(protocol), .. }) = self.forced {
                self.layers.choose(Verdict::Mail(protocol));
            }
        }
        self.layers.start_tls();
    }

    fn tls_data(&mut self, dir: Direction, bytes: &[u8], span: Span, env: Env<'_>, secrets: &mut Secrets<'_>) {
        let held = self.tls.as_mut().is_some_and(|tls| tls.fallback.takes(dir, bytes, span));
        if !held {
            self.with_tls(env, secrets, |tls, tls_env, above| tls.data(dir, bytes, span, tls_env, above));
        }
        self.fall_back(false, env, secrets);
    }

    /// Runs `f` with the TLS connection and what lies below and above it; none where there is no TLS.
    fn with_tls<R>(
        &mut self,
        env: Env<'_>,
        secrets: &mut Secrets<'_>,
        f: impl FnOnce(&mut tls::Connection, &mut tls::Env<'_>, &mut AboveTls<'_>) -> R,
    ) -> Option<R> {
        let Tls { connection, fallback } = &mut **self.tls.as_mut()?;
        let earlier = self.past.handshakes.len() as u32;
        let mut above = AboveTls { layers: &mut self.layers, fallback, earlier, env };
        let (keys, sessions) = (secrets.keys, &mut *secrets.sessions);
        let (limits, both_captured, may_hold_back) = (env.limits, !env.one_sided, env.may_hold_back);
        let mut tls_env = tls::Env { keys, sessions, limits, both_captured, may_hold_back };
        Some(f(connection, &mut tls_env, &mut above))
    }

    /// Opens the TLS records that were held back.
    pub(super) fn open_held_back(&mut self, env: Env<'_>, secrets: &mut Secrets<'_>) {
        self.with_tls(env, secrets, |tls, tls_env, above| tls.open_all_held_back(tls_env, above));
    }

    /// Bytes are missing from the TCP stream.
    pub(super) fn gap(
        &mut self,
        dir: Direction,
        len: u64,
        cause: GapCause,
        span: Span,
        env: Env<'_>,
        secrets: &mut Secrets<'_>,
    ) {
        self.nothing_begins(dir, env, secrets);
        if let Some(gate) = &mut self.gate {
            let (so_far, before) = gate.lost[dir.index()].unwrap_or((0, span));
            gate.lost[dir.index()] = Some((so_far.saturating_add(len), before.to(span)));
            return;
        }
        let missing = Missing { len, tail: cause == GapCause::Snaplen, span };
        if self.tls.as_mut().is_some_and(|tls| tls.fallback.takes_gap(dir, missing)) {
            return;
        }
        let through_tls = self.with_tls(env, secrets, |tls, tls_env, above| tls.gap(dir, len, span, tls_env, above));
        if through_tls.is_none() {
            // While nothing is decided the gap is kept, and comes here again.
            if self.layers.detector().is_none() {
                self.layers.record_loss(dir, len, cause == GapCause::Snaplen);
                self.tls_may_begin[dir.index()] = true;
            }
            self.layers.gap(dir, missing, env);
        }
    }

    /// A direction of the TCP stream is over.
    pub(super) fn end(&mut self, dir: Direction, span: Span, env: Env<'_>, secrets: &mut Secrets<'_>) {
        self.nothing_begins(dir, env, secrets);
        let through_tls = self.with_tls(env, secrets, |tls, tls_env, above| {
            tls.end(dir, span, tls_env);
            above.fallback.ended(dir, span);
        });
        if through_tls.is_none() {
            self.layers.end(dir, span, env);
        }
    }

    /// Looks at what TCP has given so far. True when the roles were the other way round.
    pub(super) fn detect(&mut self, roles_sure: bool, last: bool, env: Env<'_>, secrets: &mut Secrets<'_>) -> bool {
        let hint = self.hint;
        // What is inside TLS is looked at there.
        let unseen = self.layers.beginning_unseen;
        let Some(detector) = self.layers.detector().filter(|_| self.tls.is_none()) else { return false };
        let beginning = if roles_sure { Beginning::Seen } else { Beginning::UnseenRolesUnsure };
        let Some((verdict, swap)) = detector.judge(hint, beginning, last, env.limits.detect_bytes) else {
            return false;
        };
        let opening = if unseen { detector.opening() } else { None };
        let waiting = detector.take();
        if swap {
            self.preambles.swap(0, 1);
        }
        let turned = |dir: Direction| if swap { dir.opposite() } else { dir };
        match verdict {
            Verdict::Tls => self.begin_tls(Security::Implicit),
            other => self.layers.choose(other),
        }
        if let Some((dir, bytes)) = opening {
            self.layers.opens_with(turned(dir), &bytes);
        }
        for item in waiting {
            match item {
                Waiting::Data { dir, bytes, span } => {
                    self.above_preamble(Input::held(turned(dir), &Held { bytes, span }), env, secrets);
                }
                Waiting::Gap { dir, missing: Missing { len, tail, span } } => {
                    let cause = if tail { GapCause::Snaplen } else { GapCause::Lost };
                    self.gap(turned(dir), len, cause, span, env, secrets);
                }
                Waiting::End { dir, span } => self.end(turned(dir), span, env, secrets),
            }
        }
        swap
    }

    /// Whether it waits until the session cache is certain.
    pub(super) fn is_waiting(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.connection.is_waiting())
    }

    /// How many earlier TLS sessions it has taken up.
    pub(super) fn resumptions(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.connection.resumptions())
    }

    /// Whether its end must wait until the session cache is certain: what is said of it depends on a session of another
    /// connection.
    pub(super) fn ends_uncertain(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.connection.asks_for_closed())
    }

    /// The session cache is certain.
    pub(super) fn go_on(&mut self, env: Env<'_>, secrets: &mut Secrets<'_>) {
        self.with_tls(env, secrets, |tls, tls_env, above| tls.go_on(tls_env, above));
        self.fall_back(false, env, secrets);
    }

    /// The connection is over; what became of its handshakes.
    pub(super) fn finish(&mut self, span: Span, env: Env<'_>, secrets: &mut Secrets<'_>) -> Vec<TlsHandshake> {
        self.by_alpn = self.mail_alpn();
        self.tell_lost(env);
        self.go_on(env, secrets);
        self.fall_back(true, env, secrets);
        self.detect(true, true, env, secrets);
        self.tell_alerts(env);
        let handshakes = self.handshakes(span, env, secrets);
        if self.has_tls() {
            self.layers.detect(true, env);
        }
        self.layers.finish(span, env);
        self.layers.record_end(span, env);
        handshakes
    }

    /// What opens its TLS; to be asked before [`Stack::finish`].
    pub(super) fn tls_secrets(&self, keys: &tls::KeyRing) -> Vec<tls::keylog::Entry> {
        self.tls.as_ref().map(|t| t.connection.secrets(keys)).unwrap_or_default()
    }

    /// Bytes of TLS records that stayed closed, and of SASL's layers.
    pub(super) fn undecrypted_bytes(&self) -> u64 {
        self.layers.sealed() + self.past.undecrypted + self.tls.as_ref().map_or(0, |t| t.connection.undecrypted_bytes())
    }

    /// See [`tls::Connection::stayed_silent`].
    pub(super) fn tls_stayed_silent(&self) -> bool {
        self.tls.as_ref().is_some_and(|t| t.connection.stayed_silent())
    }

    /// Bytes of TLS that carried no application data.
    pub(super) fn overhead_bytes(&self) -> u64 {
        self.past.overhead + self.tls.as_ref().map_or(0, |t| t.connection.overhead_bytes())
    }
}
