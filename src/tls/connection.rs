//! One TLS connection, read passively: both directions' bytes in causal order → plaintext, loss, and the account.
//!
//! Each direction has its framer and its current [`Epoch`]; handshake messages fill a [`Handshake`], whose secrets
//! become the epochs that follow. A record goes through `record` → (after a loss: `recovery`) → `open_record` →
//! `content`; handshake messages go on to `messages`.

mod epoch;
mod inflate;
mod messages;
mod recovery;
mod report;
mod secrets;
mod state;
mod tls13;

use epoch::{Cipher, Epoch, Failure, Stage};
use inflate::Inflater;
use recovery::Lost;
pub(crate) use state::Handshake;

use super::handshake::Joiner;
use super::keys::KeyRing;
use super::record::{Framer, HEADER, Header, Step, content};
use super::resume::SessionCache;
use super::suites::Version;
use super::{Reason, Upper};
use crate::diagnostic::Code;
use crate::event::{Alert, GapCause};
use crate::limits::Limits;
use crate::position::{Direction, Span};

/// What a connection borrows for each call.
pub struct Env<'a> {
    /// Keys and key logs.
    pub keys: &'a KeyRing,
    /// Sessions that may be resumed, of all connections.
    pub sessions: &'a mut SessionCache,
    /// Bounds.
    pub limits: &'a Limits,
}

/// Renegotiations that are followed; nobody has a use for this many.
const MAX_HANDSHAKES: usize = 128;

/// Records that may fail in a row before the keys are given up.
const MAX_FAILURES: u32 = 16;

/// Bytes that a connection's searches after losses may try to open, all in all: each trial costs a decryption.
const SEARCH_BYTES: u64 = 256 << 20;

/// One direction.
struct Half {
    framer: Framer,
    joiner: Joiner,
    epoch: Epoch,
    /// What follows the next ChangeCipherSpec; in TLS 1.3, what may follow unseen.
    pending: Option<Epoch>,
    inflater: Option<Box<Inflater>>,
    /// Bytes were lost, and the next record has yet to be found.
    lost: Option<Lost>,
    /// What it carries is no TLS.
    dead: bool,
    /// Version of the last record.
    wire_version: Option<u16>,
    /// A handshake message may begin anywhere behind a loss: the next fragment is looked at before it is believed.
    unsure: bool,
    /// Bytes given.
    bytes: u64,
    /// Whole records.
    records: u64,
    ended: bool,
    closed: bool,
}

impl Half {
    fn new() -> Self {
        Half {
            framer: Framer::new(),
            joiner: Joiner::default(),
            epoch: Epoch::clear(),
            pending: None,
            inflater: None,
            lost: None,
            dead: false,
            wire_version: None,
            unsure: false,
            bytes: 0,
            records: 0,
            ended: false,
            closed: false,
        }
    }

    fn enter(&mut self, epoch: Epoch) {
        self.inflater = epoch.compressed.then(|| Box::new(Inflater::new()));
        self.epoch = epoch;
    }
}

/// Where the captured bytes went.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
struct Account {
    opened: u64,
    overhead: u64,
    undecrypted: u64,
}

/// Passive decryption of one TLS connection.
///
/// Plaintext may be handed up before [`Upper::established`]: TLS 1.3's early data and half-RTT data, and data of a
/// false start (RFC 7918).
pub struct Connection {
    halves: [Half; 2],
    handshakes: Vec<Handshake>,
    account: Account,
    search_left: u64,
    scratch: Vec<u8>,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

/// How far a connection has got.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// A ClientHello or ServerHello was seen.
    pub started: bool,
    /// A handshake ran to its end.
    pub established: bool,
    /// Application data was decrypted.
    pub decrypting: bool,
    /// The current handshake's version.
    pub version: Option<Version>,
    /// The server name that the client asked for.
    pub sni: Option<&'a [u8]>,
    /// The protocol that the server chose (TLS 1.3: only when its flight was decrypted).
    pub alpn: Option<&'a [u8]>,
    /// The protocols that the client offered.
    pub alpn_offered: &'a [Vec<u8>],
}

impl Connection {
    /// Before the first byte.
    pub fn new() -> Self {
        Connection {
            halves: [Half::new(), Half::new()],
            handshakes: Vec::new(),
            account: Account::default(),
            search_left: SEARCH_BYTES,
            scratch: Vec::new(),
        }
    }

    /// The next bytes of a direction.
    pub fn data(&mut self, dir: Direction, bytes: &[u8], span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        let i = dir.index();
        self.halves[i].bytes += bytes.len() as u64;
        if self.handshakes.is_empty() {
            self.handshakes.push(Handshake::new(span));
        }
        let mut chunk = bytes;
        loop {
            if self.halves[i].dead {
                let n = chunk.len() as u64 + self.halves[i].framer.clear();
                self.account.undecrypted += n;
                self.last().closed_bytes += n;
                if n > 0 {
                    up.lost(dir, n, None, span);
                }
                return;
            }
            match self.halves[i].framer.step(&mut chunk, span) {
                Step::More => break,
                Step::Record { header, span } => {
                    let mut taken = self.halves[i].framer.take(header.record_len());
                    self.record(dir, header, taken.bytes(), span, env, up);
                    self.halves[i].framer.put_back(taken);
                }
                Step::V2Hello { len, span } => {
                    let mut taken = self.halves[i].framer.take(len);
                    self.halves[i].records += 1;
                    self.account.overhead += len as u64;
                    self.v2_hello(dir, taken.bytes().get(2..).unwrap_or_default(), span, env, up);
                    self.halves[i].framer.put_back(taken);
                }
                Step::Candidate { header, chained, span } => {
                    let mut taken = self.halves[i].framer.take(header.record_len());
                    if self.candidate(dir, header, chained, taken.bytes(), span, env, up) {
                        self.halves[i].framer.found();
                        self.halves[i].framer.put_back(taken);
                    } else {
                        self.halves[i].framer.reject(taken);
                        self.passed(dir, 1, span, up);
                    }
                }
                Step::Dropped { bytes, span } => self.passed(dir, bytes, span, up),
                Step::Garbage { span } => self.garbage(dir, span, up),
            }
        }
        self.halves[i].framer.rest_now();
        if self.scratch.capacity() > 0 {
            self.scratch = Vec::new();
        }
    }

    /// Bytes of a direction are missing.
    pub fn gap(
        &mut self,
        dir: Direction,
        len: u64,
        cause: GapCause,
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        if self.handshakes.is_empty() {
            self.handshakes.push(Handshake::new(span));
        }
        self.lose(dir, len, cause, span, env, up);
    }

    /// A direction is over: its FIN was seen.
    pub fn end(&mut self, dir: Direction, span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        let _ = (span, env, up);
        self.halves[dir.index()].ended = true;
    }

    /// Bytes of records that stayed closed, or that belong to no whole record.
    pub fn undecrypted_bytes(&self) -> u64 {
        self.account.undecrypted
    }

    /// Headers, MACs, padding, handshake messages, alerts.
    pub fn overhead_bytes(&self) -> u64 {
        self.account.overhead
    }

    /// Bytes on the wire of the application data that was handed up: its length, before decompression where TLS
    /// compressed it. This, overhead, undecrypted and held bytes add up to what was given.
    pub fn opened_bytes(&self) -> u64 {
        self.account.opened
    }

    /// Bytes of records that are not whole yet; [`Connection::finish`] counts them as undecrypted.
    pub fn held_bytes(&self) -> u64 {
        self.halves.iter().map(|half| half.framer.held() as u64).sum()
    }

    /// How far it has got.
    pub fn progress(&self) -> Progress<'_> {
        let hello = self.handshakes.iter().find_map(|h| h.client.as_ref());
        Progress {
            started: self.handshakes.iter().any(|h| h.client.is_some() || h.server.is_some()),
            established: self.handshakes.iter().any(|h| h.established),
            decrypting: self.account.opened > 0,
            version: self.handshakes.last().and_then(|h| h.version),
            sni: hello.and_then(|h| h.sni.as_deref()),
            alpn: self.handshakes.iter().find_map(|h| h.alpn.as_deref()),
            alpn_offered: hello.map(|h| h.alpn.as_slice()).unwrap_or_default(),
        }
    }

    /// The handshake that is going on, or was last.
    fn last(&mut self) -> &mut Handshake {
        let index = self.current();
        &mut self.handshakes[index]
    }

    fn current(&mut self) -> usize {
        if self.handshakes.is_empty() {
            self.handshakes.push(Handshake::new(Span::default()));
        }
        self.handshakes.len() - 1
    }

    /// The handshake whose keys protect a direction now.
    fn protecting(&mut self, dir: Direction) -> &mut Handshake {
        let index = self.halves[dir.index()].epoch.handshake.min(self.current());
        &mut self.handshakes[index]
    }

    /// A whole record at a boundary.
    fn record(
        &mut self,
        dir: Direction,
        header: Header,
        record: &mut [u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        self.halves[dir.index()].records += 1;
        self.halves[dir.index()].wire_version = Some(header.version);
        let Some(fragment) = record.get_mut(HEADER..) else { return };
        if self.halves[dir.index()].lost.is_some() {
            self.record_after_loss(dir, header, fragment, span, env, up);
        } else {
            self.open_record(dir, header, fragment, span, env, up);
        }
    }

    /// Opens a record under the current epoch and passes on what is in it.
    fn open_record(
        &mut self,
        dir: Direction,
        header: Header,
        fragment: &mut [u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        let i = dir.index();
        if self.halves[i].epoch.is_clear() && header.content_type == content::APPLICATION {
            // Encrypted, and no change of keys was seen.
            self.enter_unseen(dir, env);
        }
        let stage = self.halves[i].epoch.stage;
        if stage == Stage::Changed
            && !self.halves[i].epoch.confirmed
            && header.content_type == content::CHANGE_CIPHER_SPEC
            && header.len == 1
        {
            // Sent twice: too short to be under the keys.
            self.account.overhead += header.record_len() as u64;
            return;
        }
        if stage.is_tls13() && header.content_type != content::APPLICATION {
            // Unprotected: the compatibility mode's ChangeCipherSpec, an early alert, a second ClientHello.
            self.account.overhead += header.record_len() as u64;
            if header.content_type != content::CHANGE_CIPHER_SPEC {
                self.content(dir, header.content_type, fragment, span, env, up);
            }
            return;
        }
        let saved = (stage.is_tls13() && self.halves[i].pending.is_some()).then(|| fragment.to_vec());
        match self.halves[i].epoch.open(&header, fragment, &mut self.scratch) {
            Ok(opened) => {
                let (kind, plain) = (opened.content_type, &*opened.plaintext);
                self.opened(dir, header, kind, plain, span, env, up);
            }
            Err(failure) => {
                if let Some(mut saved) = saved
                    && self.open_pending(dir, header, &mut saved, span, env, up)
                {
                    return;
                }
                self.unopened(dir, header, failure, span, up);
            }
        }
        self.after_record(dir, header, span, up);
    }

    /// TLS 1.3: tries the epoch that may have begun without our seeing it.
    fn open_pending(
        &mut self,
        dir: Direction,
        header: Header,
        fragment: &mut [u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) -> bool {
        let i = dir.index();
        let Some(mut next) = self.halves[i].pending.clone() else { return false };
        let Ok(opened) = next.open(&header, fragment, &mut self.scratch) else { return false };
        self.halves[i].pending = None;
        self.halves[i].enter(next);
        let (kind, plain) = (opened.content_type, &*opened.plaintext);
        self.opened(dir, header, kind, plain, span, env, up);
        true
    }

    /// A record is open: counts it, settles which secret is right, decompresses.
    #[allow(clippy::too_many_arguments)]
    fn opened(
        &mut self,
        dir: Direction,
        header: Header,
        kind: u8,
        plain: &[u8],
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) {
        let half = &mut self.halves[dir.index()];
        half.epoch.failures = 0;
        let clear = half.epoch.is_clear();
        if !clear {
            if !half.epoch.confirmed {
                half.epoch.confirmed = true;
                self.confirm(dir, span, env, up);
            }
            self.protecting(dir).opened += 1;
        }
        let mut inflater = self.halves[dir.index()].inflater.take();
        let content = match &mut inflater {
            Some(inflater) => inflater.inflate(plain, env.limits.expansion_ratio),
            None => Some(plain),
        };
        let Some(content) = content else {
            up.odd(Code::CompressionFailed, "a record does not decompress within its bound", span);
            self.protecting(dir).opened -= u64::from(!clear);
            self.close_epoch(dir, Reason::CompressionStateLost);
            return self.unopened(dir, header, Failure::Closed(Reason::CompressionStateLost), span, up);
        };
        let data = if kind == content::APPLICATION { plain.len().min(header.len) as u64 } else { 0 };
        self.account.opened += data;
        self.account.overhead += header.record_len() as u64 - data;
        self.content(dir, kind, content, span, env, up);
        let half = &mut self.halves[dir.index()];
        // Unless the content has just begun another epoch.
        if half.inflater.is_none() && half.epoch.compressed && !half.epoch.is_closed() && inflater.is_some() {
            half.inflater = inflater;
        }
    }

    /// A record stays closed.
    fn unopened(&mut self, dir: Direction, header: Header, failure: Failure, span: Span, up: &mut dyn Upper) {
        let half = &mut self.halves[dir.index()];
        let len = header.record_len() as u64;
        self.account.undecrypted += len;
        let reason = match failure {
            Failure::Closed(reason) => reason,
            Failure::Bad(error) => {
                half.epoch.failures += 1;
                let (confirmed, failures) = (half.epoch.confirmed, half.epoch.failures);
                if confirmed {
                    let detail = format!("a record of {len} bytes did not open: {error:?}");
                    up.odd(Code::BadRecord, &detail, span);
                }
                if half.inflater.is_some() {
                    self.close_epoch(dir, Reason::CompressionStateLost);
                } else if failures >= MAX_FAILURES {
                    self.close_epoch(dir, Reason::BadMac);
                }
                Reason::BadMac
            }
        };
        let stage = self.halves[dir.index()].epoch.stage;
        let handshake = self.protecting(dir);
        handshake.closed += 1;
        handshake.closed_bytes += len;
        handshake.reason.get_or_insert(reason);
        // An alert alone is 2 bytes, its inner type and the tag; a Finished is longer.
        let answered = stage == Stage::Handshake || stage == Stage::Early && handshake.server.is_some();
        if answered && dir == Direction::Client && header.len != 2 + 1 + 16 {
            handshake.client_went_on = true;
        }
        match header.content_type {
            content::APPLICATION => up.lost(dir, header.len as u64, None, span),
            content::ALERT => {
                let alert = Alert { dir, description: "encrypted".to_owned(), fatal: false, span };
                if handshake.alerts.len() < 16 {
                    handshake.alerts.push(alert);
                }
            }
            _ => {}
        }
    }

    /// What follows any record: whether the handshake has run to its end.
    fn after_record(&mut self, dir: Direction, header: Header, span: Span, up: &mut dyn Upper) {
        let current = self.current();
        let handshake = &mut self.handshakes[current];
        if handshake.established || handshake.failed || self.halves[dir.index()].epoch.handshake != current {
            return;
        }
        let done = match self.halves[dir.index()].epoch.stage {
            // The Finished behind the second ChangeCipherSpec.
            Stage::Changed => {
                handshake.changed == [true; 2]
                    && handshake.last_change == Some(dir)
                    && matches!(header.content_type, content::HANDSHAKE | content::APPLICATION)
            }
            // Nothing can be read: the client's going on says it.
            Stage::Handshake | Stage::Early => handshake.client_went_on,
            Stage::Application(_) => handshake.finished[Direction::Client.index()] || handshake.client_went_on,
            Stage::Clear => false,
        };
        if done {
            self.establish(span, up);
        }
    }

    fn establish(&mut self, span: Span, up: &mut dyn Upper) {
        let index = self.current();
        let handshake = &mut self.handshakes[index];
        if !handshake.established {
            handshake.established = true;
            handshake.span = handshake.span.to(span);
            up.established(index as u32, span);
        }
    }

    /// A MAC or tag matched for the first time in an epoch: its secret is right for both directions.
    fn confirm(&mut self, dir: Direction, span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        let epoch = &self.halves[dir.index()].epoch;
        let (Some(secret), stage) = (epoch.secret(), epoch.stage) else { return };
        let proved = epoch.proves();
        let index = epoch.handshake;
        let Some(handshake) = self.handshakes.get_mut(index) else { return };
        if stage.is_tls13() {
            handshake.chosen.get_or_insert(secret);
            return;
        }
        if handshake.chosen.is_some() {
            return;
        }
        handshake.chosen = Some(secret);
        if proved {
            for half in &mut self.halves {
                for epoch in [Some(&mut half.epoch), half.pending.as_mut()].into_iter().flatten() {
                    if epoch.handshake == index {
                        epoch.settle(secret);
                    }
                }
            }
            handshake.remember(span.last.index, env.sessions, env.limits);
        }
        let offered = handshake.client.as_ref().map(|c| c.version);
        let inside = handshake.secret().and_then(|c| c.premaster_version);
        if let (Some(offered), Some(inside)) = (offered, inside)
            && offered != inside
        {
            let detail = format!("the premaster secret says {inside:#06x}, ClientHello {offered:#06x}");
            handshake.note(format!(
                "The premaster secret carries version {inside:#06x}, the client offered {offered:#06x}: tolerated."
            ));
            up.odd(Code::PremasterVersion, &detail, span);
        }
    }

    /// The rest of a direction's epoch stays closed.
    fn close_epoch(&mut self, dir: Direction, reason: Reason) {
        let half = &mut self.halves[dir.index()];
        half.inflater = None;
        half.epoch.cipher = Cipher::Closed(reason);
    }

    /// Content of a record that is open.
    fn content(&mut self, dir: Direction, kind: u8, bytes: &[u8], span: Span, env: &mut Env<'_>, up: &mut dyn Upper) {
        match kind {
            content::APPLICATION => {
                if !bytes.is_empty() {
                    up.plaintext(dir, bytes, span);
                }
            }
            content::HANDSHAKE => self.fragment(dir, bytes, span, env, up),
            content::ALERT => self.alert(dir, bytes, span, up),
            content::CHANGE_CIPHER_SPEC => self.change(dir, span, env, up),
            // Heartbeats and what is not known carry no mail.
            _ => {}
        }
    }
}
