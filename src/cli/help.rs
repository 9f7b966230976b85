//! What `--help` teaches.

use std::ffi::OsStr;
use std::path::Path;

use super::args::Cli;
use super::exit::Exit;

pub(super) const ABOUT: &str = "\
Tell what mail servers and clients said to each other (SMTP, LMTP, IMAP, POP3, ManageSieve), from packet captures: one \
story a session, from the banner through STARTTLS to QUIT, TLS decrypted with the server's RSA key or a key log.

Captures are pcap or pcapng files, compressed or not. Several files are one capture in time order; of a folder, those that \
tcpdump or dumpcap rotated are. --separate takes each file for itself.";

pub(super) const TOP: &str = "\
Examples:
  mailcap decode mail.pcap                      what was said, session by session
  mailcap decode mail.pcap -k server.key        the same, inside TLS too
  mailcap sessions /var/captures/*.pcapng.gz    a line a session
  mailcap services mail.pcap                    what the servers offer
  mailcap tls mail.pcap --explain               why was it not decrypted?
  mailcap batch /var/captures -o dataset        an archive into Parquet tables
  tcpdump -U -w - port 25 | mailcap decode --live -

Exit status: 0 all decoded; 1 no mail found; 2 usage, or a file that can't be used;
3 part of a mail session is missing or stayed encrypted (stderr says which).
`mailcap COMMAND --help` tells more.";

pub(super) const DECODE_ABOUT: &str = "\
Show every command and reply, one transcript a session.

Each line has the frame (as Wireshark counts), the latency of a reply in seconds, an arrow and the text: -> and <- are \
plain, ~> and <~ are inside TLS. Passwords are masked. What is missing from the capture has its own line. Sessions \
come in the order in which they end.";

pub(super) const DECODE: &str = "\
Examples:
  mailcap decode mail.pcap
  mailcap decode mail.pcap -k server.key --keylog keys.txt
  mailcap decode rot-*.pcap.gz --user alice --since '2026-11-24 09:00' --tz Europe/Berlin
  mailcap decode mail.pcap --json | jq 'select(.type == \"reply\" and .code >= 500)'
  mailcap decode mail.pcap --json | jq -c 'select(.type == \"message\" and .size > 1e6)'
  mailcap decode mail.pcap -d tcp.port==2587,smtp
  mailcap decode mail.pcap --tshark-key 94.127.66.53,25,smtp,server.key --one-line
  tcpdump -U -i eth0 -w - port 587 | mailcap decode --live -

docs/output.md has every field of --json, and more questions to jq.";

pub(super) const SESSIONS: &str = "\
Examples:
  mailcap sessions mail.pcap
  mailcap sessions mail.pcap | less -S          a line a session on any screen
  mailcap sessions captures/ --errors           only those in which something went wrong
  mailcap sessions mail.pcap --host 10.0.0.0/8 --proto imap
  mailcap sessions mail.pcap --json | jq -r '[.id, .user, .outcome] | @tsv'
  mailcap sessions mail.pcap --json | jq -c 'select(.slowest_reply > 5) | [.id, .client.ip]'

Rows come in the order in which sessions end. An ID is the number of a session's first frame: `sort -n` puts them in the order in \
which they began.

What --user, --from, --to and --proto ask for may be in what is missing of a session, or stayed encrypted (--proto then goes by the port): stderr says of how \
many sessions that are left out this is so.";

pub(super) const SERVICES: &str = "\
Examples:
  mailcap services mail.pcap -k server.key      what is offered before TLS, and inside it
  mailcap services captures/ --host 10.0.0.0/8
  mailcap services mail.pcap --json | jq 'select(.plaintext_auth)'
  mailcap services mail.pcap --all --json | jq -c 'select(.state == \"closed\") | [.ip, .port]'

State: open (it answered), closed (a RST to the SYN), filtered (ICMP said so), silent (no answer to the SYN, in a \
capture that has answers). Capabilities and mechanisms are those offered before anybody logged in.

Exit status 1 means that there is no such endpoint.";

pub(super) const TLS: &str = "\
Examples:
  mailcap tls mail.pcap -k keys/                which key opens which handshake
  mailcap tls mail.pcap -k server.key --explain --session 17
  mailcap tls mail.pcap --json | jq -r .reason | sort | uniq -c

The RSA key opens handshakes with RSA key exchange only; `mailcap ciphers` lists them. Everything else \
needs a key log, as written by clients and servers that honour SSLKEYLOGFILE.

Exit status 1 means that there is no handshake.";

pub(super) const AUTH: &str = "\
Examples:
  mailcap auth mail.pcap -k server.key
  mailcap auth mail.pcap --check users.txt      do the challenge answers fit these passwords?
  mailcap auth --compute cram-md5 --user tim --challenge PDE4OTYuNjk3MTcwOTUyQG1haWwudGVzdD4=
  mailcap auth --compute apop --user mrose --challenge '<1896.697170952@dbc.mtview.ca.us>'

REPLY has the words with which the server refused; `mailcap decode --session N` tells the whole exchange. Passwords and tokens \
are shown with --show-secrets only.";

pub(super) const EXTRACT: &str = "\
Examples:
  mailcap extract mail.pcap -k server.key -o mails
  mailcap extract captures/ -o mails --attachments --since 2026-11-24 --to bob@example.net
  mailcap extract mail.pcap -o mails --format mbox
  jq -r 'select(.complete) | [.path, .sha256, .queue_id] | @tsv' mails/manifest.jsonl

-o names the folder. Files are named by time, session and message; manifest.jsonl says what is what. Attachments are numbered as \
there. A message that spans a gap says so in its name. Everything is written with mode 0600.";

pub(super) const DECRYPT_ABOUT: &str = "\
Write a capture that Wireshark opens decrypted: the packets as they are, and in front of them the TLS secrets that a \
private key or key log gives.

With --plaintext each mail session becomes a TCP connection without TLS: the bytes that were inside, at their times, \
with comments that name the original frames. Ports on which Wireshark would not look for the protocol become those on \
which it does (465 → 25, 993 → 143, 995 → 110, odd ports likewise). What follows STARTTLS is a connection of its own \
between the same endpoints, as Wireshark would take it for TLS. Gaps are missing sequence numbers.";

pub(super) const DECRYPT: &str = "\
Examples:
  mailcap decrypt mail.pcap -k server.key -o open.pcapng && wireshark open.pcapng
  mailcap decrypt rot-*.pcap.gz -k keys/ -o one.pcapng --session 17    one session, to pass on
  mailcap decrypt mail.pcap -k server.key -o clear.pcapng --plaintext  no secrets in it
  mailcap decrypt mail.pcap -k server.key -w open.pcapng --mail-only

The inputs are read twice, so standard input can't be one. The file holds secrets and is written with mode 0600, \
under its name only when it is whole.";

pub(super) const KEYLOG: &str = "\
Examples:
  mailcap keylog mail.pcap -k server.key > keys.txt
  mailcap keylog mail.pcap -k server.key -o keys.txt
  tshark -o tls.keylog_file:keys.txt -r mail.pcap
  mailcap keylog mail.pcap -k server.key --session 17 -o one.txt
  tcpdump -U -w - port 993 | mailcap keylog - -k server.key

A line a secret, of all TLS that could be opened, mail or not, whatever opened it: RSA key, resumption, pre-shared key, \
key log. Whoever has a session's line can read that session, and no other. -o writes with mode 0600.";

pub(super) const BATCH_ABOUT: &str = "\
Turn an archive of captures into a dataset: a table a JSON type, in Parquet, partitioned by day (or as JSON Lines, \
gzip, with --json).

Folders are searched for captures, compressed or not, and archives of them. The files of one ring, by the names that \
tcpdump, dumpcap and logrotate give, are one input, so that sessions across a rotation stay whole; any other file is an \
input of its own. Inputs are read in parallel. Each is in the dataset whole or not at all: a run that was ended, by \
anything, goes on where it was when it is started again. An input that changed is read anew and replaced.";

pub(super) const BATCH: &str = "\
Examples:
  mailcap batch /archive/captures -k keys/ -o dataset
  mailcap batch /archive/captures -k keys/ -o dataset --extract    the messages, too
  mailcap batch /archive/captures -o dataset --json                JSON Lines instead of Parquet
  duckdb -c \"SELECT user, count(*) FROM 'dataset/auth/*/*.parquet' GROUP BY user\"

With other options than before, inputs are read anew; with other keys, those in which TLS stayed closed. Rows of inputs \
that are not there any more stay. --force starts over: what earlier runs wrote into DIR is removed first.

Exit status: 2 if an input can't be used or is not there, with all others done; 3 if part of a mail session is missing. \
docs/batch.md has the layout of the dataset and queries.";

pub(super) const CIPHERS: &str = "\
Examples:
  mailcap ciphers | grep 'RSA key'
  mailcap ciphers --json | jq -r 'select(.decrypted_with == \"neither\") | .name'";

/// What to type instead of an option that tshark or tcpdump has and mailcap does not need.
pub(super) fn habit(word: &str) -> Option<&'static str> {
    Some(match word {
        "-r" => "captures need no -r: mailcap COMMAND FILE",
        "-Y" | "-R" | "-f" => {
            "there are no display filters: --proto, --host, --port, --user, --from, --to, --since, --until, --errors"
        }
        "-T" => "for programs there is --json",
        "-V" => "decode --bodies shows messages, --json every field",
        "-n" => "names are never resolved: -n is not needed",
        "--live" => "only decode has --live",
        "--failed" | "--failures" | "--outcome" => "--errors leaves what failed",
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
