//! The bounds that a run's memory and work stand on: each with its default and, where it is not plain, its
//! reason.

/// Bounds on memory and work. Each is in entries or bytes; what is cut off or dropped at one is an event.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest record of a capture file, bytes. Wireshark's own bound is 256 KiB for packets; DSBs may be larger.
    pub record_bytes: usize,
    /// Bytes that the inputs which are open together hold: a plain file 256 KiB, `xz -6` 9 MiB, `xz -9` 65 MiB of a
    /// file that is as long.
    pub input_bytes: usize,
    /// Bytes left of a plain file from which on several threads may each read it for themselves: less is done before they
    /// have begun. With 0 they do wherever it is possible.
    pub several_readers_bytes: u64,
    /// Key-log text taken from a capture's secrets blocks over all, bytes: about 200 a session.
    pub secret_bytes: usize,
    /// Members of one archive that are looked at: name and place of each are kept. Zip has room for 65,535 before
    /// zip64.
    pub archive_members: usize,
    /// Bytes of a member's name that are kept; paths are rarely longer.
    pub archive_name_bytes: usize,
    /// Largest extended header of a tar member: long names and attributes take kilobytes.
    pub archive_header_bytes: usize,
    /// IP datagrams being put together at once. A sender that never finishes one must not hold the others up.
    pub fragment_datagrams: usize,
    /// Fragments of one datagram: 65,535 bytes in 8-byte pieces are 8,192; nobody sends these.
    pub fragments_per_datagram: usize,
    /// Bytes in unfinished datagrams over all.
    pub fragment_bytes: usize,
    /// Nanoseconds of capture time that fragments wait for one another: RFC 1122 has 60 to 120 seconds, Linux 30.
    pub fragment_timeout: i64,
    /// Nesting of tunnels and VLANs in one frame.
    pub encapsulation_depth: usize,
    /// Connections known at once; the longest idle goes first.
    pub connections: usize,
    /// Nanoseconds of capture time after which an idle connection is over. RFC 5321 servers wait 5 minutes, IMAP IDLE
    /// 29 minutes, NAT boxes up to 2 hours 4 minutes (RFC 5382).
    pub idle_timeout: i64,
    /// Nanoseconds for a connection that never got beyond SYN.
    pub syn_timeout: i64,
    /// Bytes held out of order in one direction: the largest window in common use is 16 MiB, few fill it.
    pub reassembly_bytes: usize,
    /// Segments held out of order in one direction.
    pub reassembly_segments: usize,
    /// Bytes held out of order over all connections.
    pub reassembly_total_bytes: usize,
    /// Frames that an acknowledged hole is still waited for: the reordering of a capture with several queues. Not
    /// before `reorder_least_time` is over, too: on a busy link they are milliseconds, and interfaces are written in
    /// turns.
    pub reorder_frames: u64,
    /// Nanoseconds of capture time that it takes besides.
    pub reorder_least_time: i64,
    /// Frames after which a hole is waited for no longer, whatever the time: timestamps may stand still.
    pub reorder_most_frames: u64,
    /// Nanoseconds of capture time after which a hole is waited for no longer, however few the frames.
    pub reorder_time: i64,
    /// Bytes kept from both directions while a connection's protocol is not known.
    pub detect_bytes: usize,
    /// Bytes kept over all connections whose protocol is not known: beyond it each is judged by what it has said so
    /// far.
    pub undecided_bytes: usize,
    /// Bytes that live sessions keep over all, about: banners, envelopes, commands without an answer, inflaters,
    /// handshakes. The longest idle goes first. A session in TLS takes some 10 KiB, so that tens of thousands have
    /// room.
    pub session_bytes: usize,
    /// Longest protocol line, bytes. RFC 5321 has 512 and 1000; AUTH lines reach 12 KiB, IMAP FETCH lines megabytes.
    pub line_bytes: usize,
    /// Commands awaiting their reply.
    pub pending_commands: usize,
    /// Recipients kept of one transaction.
    pub recipients: usize,
    /// Lines kept of one reply.
    pub reply_lines: usize,
    /// Unique ids kept of one POP3 mailbox.
    pub unique_ids: usize,
    /// Bytes of events that a round makes before it ends: a line of 2 bytes is an event of 200, a compressed byte a
    /// thousand times that.
    pub round_event_bytes: usize,
    /// Bytes of events and their texts that one frame makes in a session: what it holds compressed, or what the hole
    /// that it fills had kept waiting, can't be told in part. 64 KiB of flag lists make 12 MiB.
    pub segment_event_bytes: usize,
    /// Bytes of comments after which a round ends early: a capture may have nothing else.
    pub round_comment_bytes: usize,
    /// Header bytes of a message that are parsed.
    pub header_bytes: usize,
    /// Attachments listed of one message.
    pub attachments: usize,
    /// Depth of MIME multiparts and of IMAP parentheses that is followed.
    pub nesting: usize,
    /// Largest handshake message, bytes: certificate chains of 100 KB exist.
    pub handshake_bytes: usize,
    /// TLS sessions remembered for resumption, and as many that stayed closed, each with its reason.
    pub tls_sessions: usize,
    /// Servers' certificate messages remembered for handshakes that lost theirs, each of up to 64 KiB.
    pub tls_flights: usize,
    /// Records tried for a match after a loss.
    pub tls_search_records: u64,
    /// Rounds of SCRAM's hash over all answers that are checked against known passwords: two minutes, or 60,000 answers
    /// with the usual 4,096.
    pub scram_rounds: u64,
    /// Expansion bound of compressed data: bytes out for each byte in (deflate's own maximum is 1032).
    pub expansion_ratio: u64,
    /// Bytes that may come out of a compressed file before the expansion is judged.
    pub free_expansion: u64,
    /// The same of an archive's member, of which there may be many.
    pub free_member_expansion: u64,
    /// Endpoints that `services` keeps; a scan of a network has as many as it has addresses.
    pub endpoints: usize,
    /// Bytes of what sinks gather: what endpoints offer in `services`, authentications of sessions that have not ended
    /// in `auth`.
    pub gathered_bytes: usize,
    /// Mail sessions that `decrypt` remembers from its first pass, some 150 bytes each.
    pub surveyed_sessions: usize,
    /// Times that a part of a dataset is begun for one input as the day is another. A capture with wild timestamps must
    /// not make a file of each row; a year of nine tables has 3,285.
    pub partitions: usize,
    /// Diagnostics of one code that are told of one session; the rest is counted.
    pub diagnostics_per_code: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        const SECOND: i64 = 1_000_000_000;
        Limits {
            record_bytes: 64 * MIB,
            input_bytes: 1024 * MIB,
            several_readers_bytes: 8 << 20,
            secret_bytes: 256 * MIB,
            archive_members: 100_000,
            archive_name_bytes: 1024,
            archive_header_bytes: MIB,
            fragment_datagrams: 1024,
            fragments_per_datagram: 2048,
            fragment_bytes: 8 * MIB,
            fragment_timeout: 60 * SECOND,
            encapsulation_depth: 16,
            connections: 100_000,
            idle_timeout: 7440 * SECOND,
            syn_timeout: 75 * SECOND,
            reassembly_bytes: 4 * MIB,
            reassembly_segments: 8192,
            reassembly_total_bytes: 8 * MIB,
            reorder_frames: 2000,
            reorder_least_time: SECOND,
            reorder_most_frames: 1_000_000,
            reorder_time: 3 * SECOND,
            detect_bytes: 4096,
            undecided_bytes: 32 * MIB,
            session_bytes: 256 * MIB,
            line_bytes: 64 << 10,
            pending_commands: 4096,
            recipients: 10_000,
            reply_lines: 1000,
            unique_ids: 20_000,
            round_event_bytes: 64 * MIB,
            segment_event_bytes: 16 * MIB,
            round_comment_bytes: MIB,
            header_bytes: 256 << 10,
            attachments: 1000,
            nesting: 64,
            handshake_bytes: 256 << 10,
            tls_sessions: 65_536,
            tls_flights: 64,
            tls_search_records: 4096,
            scram_rounds: 1 << 28,
            expansion_ratio: 1100,
            free_expansion: 64 << 20,
            free_member_expansion: 1 << 20,
            endpoints: 65_536,
            gathered_bytes: 64 * MIB,
            surveyed_sessions: 1_000_000,
            partitions: 4096,
            diagnostics_per_code: 20,
        }
    }
}

impl Limits {
    /// Whether what may come late has had its time, after so many frames and nanoseconds. Where the clock was set back,
    /// frames alone say so.
    pub(crate) fn reordering_is_over(&self, frames: u64, time: i64) -> bool {
        let short = (0..self.reorder_least_time).contains(&time);
        frames >= self.reorder_frames && !short || time >= self.reorder_time || frames >= self.reorder_most_frames
    }

    /// Bounds that add up to about so many bytes.
    pub fn within(memory: usize) -> Self {
        let mut limits = Limits::default();
        // As much as one `xz -9` needs comes first.
        limits.input_bytes = (memory / 4).max((80 << 20).min(memory / 4 * 3));
        // A window onto a file has up to four times what it is grown for: a length that lies must find room.
        limits.record_bytes = limits.record_bytes.min(limits.input_bytes / 4);
        limits.reassembly_total_bytes = memory / 4;
        limits.reassembly_bytes = limits.reassembly_bytes.min(memory / 8);
        limits.fragment_bytes = limits.fragment_bytes.min(memory / 32);
        limits.undecided_bytes = memory / 16;
        limits.session_bytes = limits.session_bytes.min(memory / 4);
        limits.segment_event_bytes = limits.segment_event_bytes.min(memory / 8);
        limits.secret_bytes = limits.secret_bytes.min(memory / 8);
        limits.round_event_bytes = limits.round_event_bytes.min(memory / 8);
        // A connection costs some KiB in its first moments (its session counts besides), a remembered TLS session some
        // hundred bytes.
        limits.connections = limits.connections.min(memory / 4 / 2048);
        limits.gathered_bytes = limits.gathered_bytes.min(memory / 16);
        limits.surveyed_sessions = limits.surveyed_sessions.min(memory / 16 / 150);
        limits.endpoints = limits.endpoints.min(memory / 32 / 256);
        limits.tls_sessions = limits.tls_sessions.min(memory / 32 / 256);
        limits
    }
}

/// What TLS bounds for itself; nobody has a reason to set it.
pub(crate) mod tls {
    /// What all searches of a capture may cost, in bytes deciphered, so that a capture full of sessions that need one
    /// costs seconds, not hours.
    pub(crate) const SEARCH_ALL: u64 = 512 << 20;

    /// Until the next boundary each shard's view may spend one in so many of what is left: few connections search at a
    /// time, so that it is more than a shard's part.
    pub(crate) const SEARCH_SHARE: u64 = 8;

    /// What it costs to try a record, besides its bytes, in bytes: copies of keys, and a tag.
    pub(crate) const TRIAL: u64 = 300;

    /// Servers' messages that are taken between two boundaries, where [`super::Limits::tls_flights`] is kept.
    pub(crate) const FLIGHTS_UNSETTLED: usize = 256;

    /// Tickets that were each got with the one before and are followed back to a full handshake.
    pub(crate) const TICKETS_BACK: usize = 64;

    /// Suites kept of a ClientHello: IANA knows 350, a hello has room for 32,000, and each is told by name.
    pub(crate) const OFFERED_SUITES: usize = 512;

    /// Renegotiations that are followed; nobody has a use for this many.
    pub(crate) const HANDSHAKES: usize = 128;

    /// Bytes that a connection's searches after losses may try to open, all in all: each trial costs a decryption.
    pub(crate) const SEARCH_CONNECTION: u64 = 256 << 20;

    /// Whole records behind a loss that may stay closed before the search is given up.
    pub(crate) const UNMATCHED: u32 = 16;

    /// Records that may fail in a row before the keys are given up.
    pub(crate) const FAILURES: u32 = 16;

    /// Entries of a key log that are gone through for a session seen from the middle: beyond, it is not this session's
    /// alone, and the search would not end.
    pub(crate) const MIDWAY_ENTRIES: usize = 4096;

    /// Bytes tried for the first record of one direction of a session seen from the middle.
    pub(crate) const MIDWAY_BYTES: u64 = 64 << 20;

    /// What it costs to make keys of a secret, in the same bytes.
    pub(crate) const KEYS: u64 = 1024;

    /// Records that a side may have sent under its handshake keys: certificates in small fragments, no more.
    pub(crate) const HANDSHAKE_RECORDS: u64 = 64;

    /// KeyUpdates that may have come before, of a session whose client random is known; and whose secrets are exported.
    pub(crate) const UPDATES: u32 = 16;

    /// The same where it is not, if the key log has few secrets.
    pub(crate) const FEW_UPDATES: u32 = 2;

    /// What few secrets are.
    pub(crate) const FEW_SECRETS: usize = 64;

    /// Bytes kept of either side's handshake messages: chains of certificates are a few kilobytes, hostile ones longer.
    pub(crate) const FLIGHT_BYTES: usize = 64 << 10;

    /// Other handshakes' messages that are tried, the latest first: servers change certificates rarely.
    pub(crate) const FLIGHTS_TRIED: usize = 8;
}
