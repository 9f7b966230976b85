//! What `--help` teaches.

use std::ffi::OsStr;
use std::path::Path;

use super::args::Cli;
use super::exit::Exit;

pub(super) const ABOUT: &str = "\
Show what mail servers and clients said to each other (SMTP, LMTP, IMAP, POP3, ManageSieve), from packet captures: one \
transcript per session, from the banner through STARTTLS to QUIT, with TLS decrypted by the server's RSA key or a key log.

Captures are pcap or pcapng files, compressed or not. Several files are read as one capture, in time order; in a folder, \
only the files of one rotation (of tcpdump, dumpcap or logrotate) are. With --separate, each file is a capture of its own.";

pub(super) const TOP: &str = "\
Examples:
  mailcap decode mail.pcap                      what was said, session by session
  mailcap decode mail.pcap -k server.key        the same, inside TLS too
  mailcap sessions /var/captures/*.pcapng.gz    one line per session
  mailcap services mail.pcap                    what the servers offer
  mailcap tls mail.pcap --explain               why was it not decrypted?
  mailcap batch /var/captures -o dataset        an archive into Parquet tables
  tcpdump -U -w - port 25 | mailcap decode --live -

Where to begin: `mailcap sessions` shows what is there, `mailcap decode --session ID` one of them. If TLS was not decrypted,
`mailcap tls --explain` says why; if nobody answered, see `mailcap services`.

Exit status: 0 all decoded; 1 no mail found; 2 wrong usage, or a file that can't be used;
3 part of a mail session is missing or was not decrypted (stderr says which); 130 interrupted.
`mailcap COMMAND --help` shows options and examples.";

pub(super) const DECODE_ABOUT: &str = "\
Show every command and reply, one transcript per session.

Each line has the frame (as numbered by Wireshark), the latency of a reply in seconds, an arrow and the text: -> and <- \
are plain, ~> and <~ are inside TLS. Passwords are masked. What is missing from the capture has its own line. Sessions \
are shown in the order in which they end.";

pub(super) const DECODE: &str = "\
Examples:
  mailcap decode mail.pcap
  mailcap decode mail.pcap --session 17         the session with that ID in `mailcap sessions`
  mailcap decode mail.pcap -k server.key --keylog keys.txt
  mailcap decode rot-*.pcap.gz --user alice --since '2026-11-24 09:00' --tz Europe/Berlin
  mailcap decode mail.pcap --json | jq 'select(.type == \"reply\" and .code >= 500)'
  mailcap decode mail.pcap --json | jq -c 'select(.type == \"message\" and .size > 1e6)'
  mailcap decode mail.pcap -d tcp.port==2587,smtp
  mailcap decode mail.pcap --tshark-key 94.127.66.53,25,smtp,server.key --one-line
  tcpdump -U -i eth0 -w - port 587 | mailcap decode --live -

docs/output.md describes every field of --json, and has more examples for jq.";

pub(super) const SESSIONS: &str = "\
Examples:
  mailcap sessions mail.pcap
  mailcap sessions mail.pcap | less -S          without wrapping, on any screen
  mailcap sessions captures/ --errors           only those in which something went wrong
  mailcap sessions mail.pcap --host 10.0.0.0/8 --proto imap
  mailcap sessions mail.pcap --json | jq -r '[.id, .user, .outcome] | @tsv'
  mailcap sessions mail.pcap --json | jq -c 'select(.slowest_reply > 5) | [.id, .client.ip]'

Sessions are listed in the order in which they end. The ID is the number of a session's first frame, so `sort -n` puts \
them in the order in which they began.

If part of a session is missing or was not decrypted, --user, --from, --to and --proto may not be able to judge it \
(--proto then goes by the port). Such sessions are left out, and stderr says how many there are.";

pub(super) const SERVICES: &str = "\
Examples:
  mailcap services mail.pcap -k server.key      what is offered before TLS, and inside it
  mailcap services captures/ --host 10.0.0.0/8
  mailcap services mail.pcap --json | jq 'select(.plaintext_auth)'
  mailcap services mail.pcap --all --json | jq -c 'select(.state == \"closed\") | [.ip, .port]'

STATE is open (it answered), closed (the SYN was answered by a RST), filtered (by an ICMP message), or silent (no answer \
to the SYN; listed only if the capture has answers from any host). Capabilities and mechanisms are those offered before \
a login.

Exit status 1 means that there is no such endpoint.";

pub(super) const TLS: &str = "\
Examples:
  mailcap tls mail.pcap -k keys/                which key opens which handshake
  mailcap tls mail.pcap -k server.key --explain --session 17
  mailcap tls mail.pcap --json | jq -r .reason | sort | uniq -c    null: decrypted

The server's RSA key opens only handshakes with RSA key exchange; `mailcap ciphers` lists their suites. Everything else \
needs a key log, as written by clients and servers that support SSLKEYLOGFILE.

Exit status 1 means that there is no handshake.";

pub(super) const AUTH: &str = "\
Examples:
  mailcap auth mail.pcap -k server.key
  mailcap auth mail.pcap --check users.txt      do the challenge answers match these passwords?
  mailcap auth --compute cram-md5 --user tim --challenge PDE4OTYuNjk3MTcwOTUyQG1haWwudGVzdD4=
  mailcap auth --compute apop --user mrose --challenge '<1896.697170952@dbc.mtview.ca.us>'

REPLY is the server's answer to a login that it refused; `mailcap decode --session N` shows the whole exchange. Passwords \
and tokens are shown only with --show-secrets.";

pub(super) const EXTRACT: &str = "\
Examples:
  mailcap extract mail.pcap -k server.key -o mails
  mailcap extract captures/ -o mails --attachments --since 2026-11-24 --to bob@example.net
  mailcap extract mail.pcap -o mails --format mbox
  jq -r 'select(.complete) | [.path, .sha256, .queue_id] | @tsv' mails/manifest.jsonl

Files are named by time, session and message; manifest.jsonl describes each of them. Attachments are numbered as in the \
manifest. A message that is not complete has -incomplete in its name. All files have mode 0600, folders of attachments 0700.";

pub(super) const DECRYPT_ABOUT: &str = "\
Write a capture that Wireshark can show decrypted: the original packets, preceded by the TLS secrets that a private key \
or key log gives.

With --plaintext, each mail session is written as a TCP connection without TLS: the bytes that were inside, at the \
original times, with comments that name the original frames. Ports on which Wireshark does not expect the protocol are \
changed to those on which it does (465 → 25, 993 → 143, 995 → 110, and so on). What follows STARTTLS is a connection \
of its own between the same endpoints, as Wireshark would otherwise take it for TLS. Gaps show as missing sequence numbers.";

pub(super) const DECRYPT: &str = "\
Examples:
  mailcap decrypt mail.pcap -k server.key -o open.pcapng && wireshark open.pcapng
  mailcap decrypt rot-*.pcap.gz -k keys/ -o one.pcapng --session 17    one session, to pass on
  mailcap decrypt mail.pcap -k server.key -o clear.pcapng --plaintext  without TLS: passwords show
  mailcap decrypt mail.pcap -k server.key -w open.pcapng --mail-only

The inputs are read twice, so standard input can't be used. The file holds secrets: it has mode 0600, and appears under \
its name only when it is complete.";

pub(super) const KEYLOG: &str = "\
Examples:
  mailcap keylog mail.pcap -k server.key > keys.txt
  mailcap keylog mail.pcap -k server.key -o keys.txt
  tshark -o tls.keylog_file:keys.txt -r mail.pcap
  mailcap keylog mail.pcap -k server.key --session 17 -o one.txt
  tcpdump -U -w - port 993 | mailcap keylog - -k server.key

Writes one secret per line, for all TLS that could be decrypted, mail or not, by whatever means: RSA key, resumption, \
pre-shared key, key log. Whoever has a session's line can read that session, and no other. With -o the file has mode 0600.";

pub(super) const BATCH_ABOUT: &str = "\
Turn an archive of captures into a dataset: one table for each type of JSON object, as Parquet, partitioned by day (or, \
with --json, as compressed JSON Lines).

Folders are searched for captures, compressed or not, and for archives of captures. The files of one ring, recognised by \
the names that tcpdump, dumpcap and logrotate give them, are one input, so that sessions that cross a rotation stay whole; \
any other file is an input of its own. Inputs are read in parallel. Each is in the dataset completely or not at all: a run \
that was interrupted, for whatever reason, continues where it was when it is started again. An input that has changed is \
read again, and its rows are replaced.";

pub(super) const BATCH: &str = "\
Examples:
  mailcap batch /archive/captures -k keys/ -o dataset
  mailcap batch /archive/captures -k keys/ -o dataset --extract    with the messages as files
  mailcap batch /archive/captures -o dataset --json                JSON Lines instead of Parquet
  duckdb -c \"SELECT user, count(*) FROM 'dataset/auth/*/*.parquet' GROUP BY user\"

If the options differ from those of the last run, all inputs are read again; if the keys differ, those in which TLS was \
not decrypted. Rows of inputs that no longer exist are kept. --force starts over: what earlier runs wrote into DIR is \
removed first.

Exit status: 2 if an input can't be used or does not exist (all others are done); 3 if part of a mail session is missing \
or was not decrypted. docs/batch.md describes the layout of the dataset, and has queries.";

pub(super) const CIPHERS: &str = "\
Examples:
  mailcap ciphers | grep 'RSA key'
  mailcap ciphers --json | jq -r 'select(.decrypted_with == \"neither\") | .name'";

/// What to type instead of an option that tshark or tcpdump has and mailcap does not need.
pub(super) fn habit(word: &str) -> Option<&'static str> {
    Some(match word {
        "-r" => "no -r is needed before a capture: mailcap COMMAND FILE",
        "-Y" | "-R" | "-f" => {
            "there are no display filters; use --session, --proto, --host, --port, --user, --from, --to, --since, --until, --errors"
        }
        "-T" => "for output that programs can read, use --json",
        "-V" => "use decode --bodies for the text of messages, --json for every field",
        "-n" => "names are never resolved: -n is not needed",
        "--live" => "only decode has --live",
        "--failed" | "--failures" | "--outcome" => "--errors shows only what failed",
        "--slow" | "--slower" | "--size" | "--min-size" | "--larger" | "--subject" | "--message-id" => {
            "other conditions are for jq: `mailcap decode --help` and `mailcap sessions --help` show how"
        }
        "-i" => "mailcap reads a live capture from a pipe: tcpdump -U -w - | mailcap decode --live -",
        _ => return None,
    })
}

/// The help of `mailcap` alone.
pub(super) fn print() -> anyhow::Result<Exit> {
    Cli::definition().print_help()?;
    Ok(Exit::Done)
}

/// The first word when it names a file instead of a command.
pub(super) fn file_without_command(word: &OsStr) -> Option<&Path> {
    let path = Path::new(word);
    let text = word.to_string_lossy();
    let command = Cli::definition().get_subcommands().any(|c| *c.get_name() == *text);
    let capture = [".pcap", ".pcapng", ".cap"].iter().any(|end| text.contains(end));
    let file = !text.starts_with('-') && (path.exists() || capture);
    (file && !command).then_some(path)
}
