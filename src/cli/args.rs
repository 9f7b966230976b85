//! What can be typed.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use mailcap::event::Protocol;
use mailcap::output::filter::Network;
use mailcap::output::time::Zone;
use mailcap::pipeline::DecodeAs;
use zeroize::Zeroizing;

use super::help;
use super::parse::{self, TsharkKey};

/// Show what mail servers and clients said to each other (SMTP, LMTP, IMAP, POP3, ManageSieve), from packet captures, with TLS decrypted
#[derive(Debug, Parser)]
#[command(name = "mailcap", version, long_about = help::ABOUT, after_help = help::TOP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// All commands take the same options. What is of no use to one is not shown there, and what it means there is said.
    pub(crate) fn definition() -> clap::Command {
        let hide = |command: clap::Command, names: &[&'static str]| {
            names.iter().fold(command, |command, name| command.mut_arg(name, |arg| arg.hide(true)))
        };
        let say = |command: clap::Command, name: &str, text: &'static str| command.mut_arg(name, |arg| arg.help(text));
        let folder =
            |command| say(command, "output", "The folder to write to").mut_arg("output", |a| a.value_name("DIR"));
        Cli::command().mut_subcommands(|command| match command.get_name() {
            "auth" => {
                let user =
                    "Only this user (part of the name, any case; repeatable); with --compute, the user's full name";
                say(say(command, "user", user), "errors", "Only authentications that did not succeed")
            }
            "extract" => {
                folder(say(hide(command, &["color"]), "json", "Write the manifest's lines to standard output as well"))
            }
            "decrypt" => say(hide(command, &["json", "color", "show_secrets"]), "output", "The file to write"),
            "keylog" => hide(command, &["json", "color", "show_secrets"]),
            "batch" => folder(say(hide(command, &["color"]), "json", "Write JSON Lines instead of Parquet")),
            _ => command,
        })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show every command and reply, one transcript per session
    #[command(after_help = help::DECODE, long_about = help::DECODE_ABOUT)]
    Decode(Box<Decode>),
    /// List the mail sessions, one per line
    #[command(after_help = help::SESSIONS)]
    Sessions(Box<Sessions>),
    /// List the mail endpoints: whether they are open, and what they offer with and without TLS
    #[command(after_help = help::SERVICES)]
    Services(Box<Services>),
    /// List the TLS handshakes: what decrypted them, or why they were not decrypted
    #[command(after_help = help::TLS)]
    Tls(Box<Tls>),
    /// List the authentications: mechanism, user, outcome
    #[command(after_help = help::AUTH)]
    Auth(Box<Auth>),
    /// Write each message to a file, byte for byte as it was sent
    #[command(after_help = help::EXTRACT)]
    Extract(Box<Extract>),
    /// Write a capture that Wireshark shows decrypted
    #[command(after_help = help::DECRYPT, long_about = help::DECRYPT_ABOUT)]
    Decrypt(Box<Decrypt>),
    /// Write the sessions' secrets as a key log
    #[command(after_help = help::KEYLOG)]
    Keylog(Box<Keylog>),
    /// Turn an archive of captures into a dataset: Parquet tables for DuckDB, Polars and the like
    #[command(after_help = help::BATCH, long_about = help::BATCH_ABOUT)]
    Batch(Box<Batch>),
    /// List the cipher suites, and what decrypts each
    #[command(after_help = help::CIPHERS)]
    Ciphers(Ciphers),
}

#[derive(Debug, Args)]
pub(crate) struct Decode {
    #[command(flatten)]
    pub(crate) input: Inputs,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Show lines as they happen, each prefixed with its session
    #[arg(long, conflicts_with_all = ["one_line", "json"])]
    pub(crate) live: bool,
    /// One line per event, in the format of tshark
    #[arg(long, conflicts_with = "json")]
    pub(crate) one_line: bool,
    /// Show the time of day instead of latencies
    #[arg(long)]
    pub(crate) abs: bool,
    /// Show the text of messages and Sieve scripts, too
    #[arg(long, conflicts_with = "one_line")]
    pub(crate) bodies: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Sessions {
    #[command(flatten)]
    pub(crate) input: Inputs,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Services {
    #[command(flatten)]
    pub(crate) input: Inputs,
    #[command(flatten)]
    pub(crate) common: Common,
    /// List every TCP endpoint, not only those of mail
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tls {
    #[command(flatten)]
    pub(crate) input: Inputs,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Explain each handshake in prose: what was agreed, what was tried, what to do
    #[arg(long, conflicts_with = "json")]
    pub(crate) explain: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Auth {
    /// Captures: files, folders, globs, or - for standard input
    #[arg(value_name = "FILE", required_unless_present = "compute")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Verify challenge answers with the passwords in this file, one `user:password` per line (- for standard input)
    #[arg(long, value_name = "USERS", conflicts_with = "compute")]
    pub(crate) check: Option<PathBuf>,
    /// Compute an answer instead of reading a capture
    #[arg(long, value_name = "MECHANISM", requires_all = ["user", "challenge"], conflicts_with_all = ["files", "json"])]
    pub(crate) compute: Option<Mechanism>,
    /// With --compute: the challenge, in base64 as the server sent it, or its <timestamp>; for APOP the banner or its <timestamp>
    #[arg(long, value_name = "TEXT", requires = "compute")]
    pub(crate) challenge: Option<String>,
    /// With --compute: read the password from the first line of this file instead of asking for it
    #[arg(long, value_name = "FILE", requires = "compute")]
    pub(crate) password_file: Option<PathBuf>,
}

/// Mechanisms whose answers can be computed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mechanism {
    /// RFC 2195
    CramMd5,
    /// RFC 1939
    Apop,
}

#[derive(Debug, Args)]
pub(crate) struct Extract {
    #[command(flatten)]
    pub(crate) input: Inputs,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Layout of the messages
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "eml")]
    pub(crate) format: Layout,
    /// Save attachments too, decoded, in a folder beside their message
    #[arg(long)]
    pub(crate) attachments: bool,
    /// Save headers, ranges and sections (TOP, partial FETCH), not only whole messages
    #[arg(long)]
    pub(crate) parts: bool,
}

/// Layouts of extracted messages.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// One file per message
    Eml,
    /// All in one messages.mbox
    Mbox,
    /// A maildir
    Maildir,
}

#[derive(Debug, Args)]
pub(crate) struct Decrypt {
    #[command(flatten)]
    pub(crate) input: Inputs,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Same as -o
    #[arg(short, long, value_name = "FILE", conflicts_with = "output", help_heading = "Output")]
    pub(crate) write: Option<PathBuf>,
    /// Write the decrypted bytes as TCP payload instead of secrets
    #[arg(long)]
    pub(crate) plaintext: bool,
    /// Only frames of mail sessions (with a selection option: only those of the selected sessions)
    #[arg(long)]
    pub(crate) mail_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Keylog {
    #[command(flatten)]
    pub(crate) input: Inputs,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Batch {
    /// Captures: files, folders, globs
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Also write whole messages to files, in DIR/mail
    #[arg(long)]
    pub(crate) extract: bool,
    /// With --extract: save attachments too, decoded, in a folder beside their message
    #[arg(long, requires = "extract")]
    pub(crate) attachments: bool,
    /// Captures smaller than this share part files, each with up to this size of captures; 0: each capture has its own
    #[arg(long, value_name = "SIZE", value_parser = parse::any_size, default_value = "64M")]
    pub(crate) bundle: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Ciphers {
    /// Write JSON, one object per suite
    #[arg(long)]
    pub(crate) json: bool,
    /// When to use colour
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Args)]
pub(crate) struct Inputs {
    /// Captures: files, folders, globs, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// When to use colour.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Options of every command that reads.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Private key (PEM, DER, PKCS#12), or a folder of them; the one that fits is found by the certificate in the capture (repeatable)
    #[arg(short, long, value_name = "FILE|DIR", help_heading = "Decryption")]
    pub(crate) key: Vec<PathBuf>,
    /// File whose first line is the password of encrypted keys (default: MAILCAP_KEY_PASSWORD, or a prompt)
    #[arg(long, value_name = "FILE", help_heading = "Decryption")]
    pub(crate) key_password_file: Option<PathBuf>,
    /// Key log of a client or server (SSLKEYLOGFILE; repeatable)
    #[arg(long, value_name = "FILE", help_heading = "Decryption")]
    pub(crate) keylog: Vec<PathBuf>,
    /// Pre-shared key in hexadecimal, up to TLS 1.2 (repeatable)
    #[arg(long, value_name = "HEX", help_heading = "Decryption")]
    pub(crate) psk: Vec<Psk>,
    /// Key in tshark's syntax, as in 94.127.66.53,25,smtp,server.key (chosen by certificate, not by address; repeatable)
    #[arg(long, value_name = "IP,PORT,PROTOCOL,FILE", value_parser = parse::tshark_key, help_heading = "Decryption")]
    pub(crate) tshark_key: Vec<TsharkKey>,
    /// Decode a port as smtp, lmtp, imap, pop3 or sieve, or in TLS as smtps, imaps, pop3s or tls, as in tcp.port==2587,smtp (repeatable)
    #[arg(short, long, value_name = "tcp.port==N,PROTOCOL", value_parser = parse::decode_as, help_heading = "Decryption")]
    pub(crate) decode_as: Vec<DecodeAs>,

    /// Treat each file as a capture of its own: no session continues in another file
    #[arg(long, help_heading = "Captures")]
    pub(crate) separate: bool,

    /// Only the session with this id (several with commas)
    #[arg(long, value_name = "ID", value_parser = parse::session, value_delimiter = ',', help_heading = "Selection")]
    pub(crate) session: Vec<u64>,
    /// Only this protocol, inside TLS or not: smtp, lmtp, imap, pop3, sieve (several with commas)
    #[arg(long, value_name = "NAME", value_parser = parse::protocol, value_delimiter = ',', help_heading = "Selection")]
    pub(crate) proto: Vec<Protocol>,
    /// Only sessions from or to this address or network, a PROXY header's client too (several with commas)
    #[arg(long, value_name = "IP[/BITS]", value_parser = parse::network, value_delimiter = ',', help_heading = "Selection")]
    pub(crate) host: Vec<Network>,
    /// Only sessions from or to this port (several with commas)
    #[arg(long, value_name = "N", value_parser = parse::port, value_delimiter = ',', help_heading = "Selection")]
    pub(crate) port: Vec<u16>,
    /// Only sessions of this user (part of the name, any case; repeatable)
    #[arg(long, value_name = "TEXT", help_heading = "Selection")]
    pub(crate) user: Vec<String>,
    /// Only sessions with this sender, in the envelope (even if refused) or a From header (part of it, any case; repeatable)
    #[arg(long, value_name = "TEXT", help_heading = "Selection")]
    pub(crate) from: Vec<String>,
    /// Only sessions with this recipient, in the envelope (even if refused) or a To header (part of it, any case; repeatable)
    #[arg(long, value_name = "TEXT", help_heading = "Selection")]
    pub(crate) to: Vec<String>,
    /// Only sessions still going on at this time or later: 2026-11-24, '2026-11-24 10:00' (in the zone of --tz), RFC 3339, or @SECONDS since 1970
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    pub(crate) since: Option<String>,
    /// Only sessions that began by this time, written as for --since; a day, minute or second is included to its end
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    pub(crate) until: Option<String>,
    /// Only sessions in which something went wrong
    #[arg(long, help_heading = "Selection")]
    pub(crate) errors: bool,

    /// Write JSON, one object per line
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
    /// Overwrite existing files
    #[arg(long, help_heading = "Output")]
    pub(crate) force: bool,
    /// When to use colour
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub(crate) color: ColorChoice,
    /// Show passwords and tokens instead of masking them
    #[arg(long, help_heading = "Output")]
    pub(crate) show_secrets: bool,
    /// Time zone of what is shown: UTC, local, Europe/Berlin, +02:00 (JSON is always UTC)
    #[arg(
        long,
        value_name = "ZONE",
        value_parser = parse::zone,
        default_value = "UTC",
        allow_hyphen_values = true,
        help_heading = "Output"
    )]
    pub(crate) tz: Zone,
    /// At the end, account for every frame and byte, and give statistics
    #[arg(long, help_heading = "Output")]
    pub(crate) stats: bool,

    /// Number of threads (default: all cores)
    #[arg(short, long, value_name = "N", value_parser = parse::jobs, help_heading = "Resources")]
    pub(crate) jobs: Option<u16>,
    /// Use about this much memory at most, as in 512M (at least 16M)
    #[arg(long, value_name = "SIZE", value_parser = parse::size, help_heading = "Resources")]
    pub(crate) max_memory: Option<usize>,
}

impl Common {
    /// The file to write to; none is standard output.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| path.as_os_str() != "-")
    }
}

/// What was typed as a pre-shared key; never shown, nor repeated in an error.
#[derive(Clone)]
pub(crate) struct Psk(pub(crate) Zeroizing<String>);

impl From<&str> for Psk {
    fn from(text: &str) -> Self {
        Psk(Zeroizing::new(text.to_owned()))
    }
}

impl std::fmt::Debug for Psk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Psk")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::definition().debug_assert();
    }

    #[test]
    fn only_what_exists_is_offered() {
        let names: Vec<String> = Cli::definition().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        assert_eq!(
            names,
            ["decode", "sessions", "services", "tls", "auth", "extract", "decrypt", "keylog", "batch", "ciphers"]
        );
    }
}
