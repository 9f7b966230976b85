//! Captures from public repositories (`manifest.jsonl`): each runs to its end in bounded memory, and mailcap finds the
//! commands that tshark finds, in the same frames, but for the differences that [`DIFFERENCES`] explains one by one.

mod common;

use std::collections::BTreeMap;
use std::io;

use common::{How, config};
use mailcap::event::{Event, EventBody};
use mailcap::output::Sink;
use mailcap::pipeline::run;
use serde_json::Value;

/// Bytes of memory, at most, that this test may ever have had.
const MEMORY: u64 = 64 << 20;

/// What tshark finds, with its frames; the file says how it was made.
const COMMANDS: &str = include_str!("wild/commands.txt");

/// A command that one of both finds in these frames and the other does not.
struct Differs {
    file: &'static str,
    verb: &'static str,
    finds: Finds,
    frames: &'static [u64],
    why: &'static str,
}

#[derive(Copy, Clone, PartialEq)]
enum Finds {
    Mailcap,
    Tshark,
}

const fn more(file: &'static str, verb: &'static str, frames: &'static [u64], why: &'static str) -> Differs {
    Differs { file, verb, finds: Finds::Mailcap, frames, why }
}

const fn fewer(file: &'static str, verb: &'static str, frames: &'static [u64], why: &'static str) -> Differs {
    Differs { file, verb, finds: Finds::Tshark, frames, why }
}

const SENT: &str = "BruteShark/IMAP_-_Authenticate_Plain_Base64_.pcap";
const BOF: &str = "arkime/smtp-moloch-bof.pcap";
const BDAT_PORT: &str = "arkime/wireshark-bdat.pcap";
const BAD_TAIL: &str = "suricata-verify/tests__smtp-bdat-bad-tail-next-mail__input.pcap";
const LAST: &str = "suricata-verify/tests__smtp-bdat-last-next-mail__input.pcap";
const INSPECTION: &str = "suricata-verify/tests__smtp-bdat-multichunk-inspection__input.pcap";
const MULTICHUNK: &str = "suricata-verify/tests__smtp-bdat-multichunk-next-mail__input.pcap";
const PIPELINED: &str = "suricata-verify/tests__smtp-bdat-pipelined-next-mail__input.pcap";
const RSET: &str = "suricata-verify/tests__smtp-pipelined-rset-data-replies__input.pcap";
const BASE64: &str = "suricata-verify/tests__smtp-url-base64__smtp-url-b64.pcap";
const NEGATIVE: &str = "zeek/smtp__smtp-bdat-cmd-negative-chunk-size.pcap";
const EIGHT_BIT: &str = "zeek/smtp__smtp-bdat-pipeline-8bitmime.pcap";
const NTLM: &str = "arkime/ntlm_synthetic.pcap";

const APPENDED: &str = "a command's frame is that of its last byte, and its literal is part of it";
const LITERAL: &str = "tshark takes lines of the literal of APPEND for commands";
const BEFORE_BANNER: &str = "the client sends everything before the greeting, which tshark takes for message text";
const COMMENT: &str = "the key log in the file's comment is of no use to tshark";
const ODD_PORT: &str = "not a default port, so tshark does not look";
const CHUNK: &str = "tshark takes BDAT with its chunk, and everything behind it, for message text";
const TAIL: &str = "tshark does not see the dot that ends the message in the segment that began it";
const FLIGHT: &str = "tshark takes RSET, DATA and a dot in one segment for message text";
const RESPONSE: &str = "tshark takes the answer to a challenge for a command";

const DIFFERENCES: &[Differs] = &[
    fewer(SENT, "APPEND", &[56], APPENDED),
    more(SENT, "APPEND", &[57], APPENDED),
    fewer(SENT, "<521663E3.70", &[57], LITERAL),
    fewer(SENT, "THU", &[57], LITERAL),
    fewer(SENT, "DI", &[57], LITERAL),
    fewer(SENT, "MOZILLA/5.0", &[57], LITERAL),
    fewer(SENT, "1.0", &[57], LITERAL),
    fewer(SENT, "W.BUCHANAN@N", &[57], LITERAL),
    fewer(SENT, "W_J_BUCHANAN", &[57], LITERAL),
    fewer(SENT, "TESTING", &[57], LITERAL),
    fewer(SENT, "TEXT/PLAIN;", &[57], LITERAL),
    fewer(SENT, "7BIT", &[57], LITERAL),
    fewer(SENT, "...", &[57], LITERAL),
    fewer("PcapPlusPlus/Tests__Packet++Test__PacketExamples__Smtp.pcap", "CHVU", &[5], RESPONSE),
    fewer(NTLM, "TLRMTVNTUAAB", &[192], RESPONSE),
    fewer(NTLM, "TLRMTVNTUAAD", &[196], RESPONSE),
    more(BOF, "HELO", &[4], BEFORE_BANNER),
    more(BOF, "MAIL", &[4], BEFORE_BANNER),
    more(BOF, "RCPT", &[4], BEFORE_BANNER),
    more(BOF, "DATA", &[4], BEFORE_BANNER),
    more(BOF, "QUIT", &[22], BEFORE_BANNER),
    more("wireshark-notes/tls__imap-ssl.pcapng", "CAPABILITY", &[20, 32], COMMENT),
    more("wireshark-notes/tls__smtp-ssl.pcapng", "EHLO", &[22], COMMENT),
    more("wireshark-notes/tls__smtp-ssl.pcapng", "MAIL", &[26], COMMENT),
    more(BDAT_PORT, "EHLO", &[5], ODD_PORT),
    more(BDAT_PORT, "MAIL", &[8], ODD_PORT),
    more(BDAT_PORT, "RCPT", &[8], ODD_PORT),
    more(BDAT_PORT, "BDAT", &[8, 12], ODD_PORT),
    more(BDAT_PORT, "QUIT", &[17], ODD_PORT),
    fewer("nDPI/pop3.pcap", "AGRPZ2L0YWXP", &[56, 85, 104], RESPONSE),
    fewer("zeek/pop3__pop3.pcap", "AGRPZ2L0YWXP", &[37, 66, 85], RESPONSE),
    fewer("suricata-verify/tests__pop3-auth-01__input.pcap", "DXNLCJ1QB2UU", &[12], RESPONSE),
    more(BAD_TAIL, "BDAT", &[16], CHUNK),
    more(BAD_TAIL, "MAIL", &[16], CHUNK),
    more(BAD_TAIL, "RCPT", &[16], CHUNK),
    more(BAD_TAIL, "DATA", &[16], CHUNK),
    more(LAST, "BDAT", &[13], CHUNK),
    more(LAST, "QUIT", &[26], TAIL),
    more(INSPECTION, "BDAT", &[18, 22], CHUNK),
    more(INSPECTION, "QUIT", &[42], TAIL),
    more(MULTICHUNK, "BDAT", &[13, 15], CHUNK),
    more(MULTICHUNK, "QUIT", &[25], TAIL),
    more(PIPELINED, "BDAT", &[13, 13], CHUNK),
    more(PIPELINED, "MAIL", &[13], CHUNK),
    more(PIPELINED, "RCPT", &[13], CHUNK),
    more(PIPELINED, "DATA", &[15], CHUNK),
    more(PIPELINED, "QUIT", &[19], CHUNK),
    fewer(
        "suricata-verify/tests__smtp-long-command__input.pcap",
        "QUIT",
        &[19],
        "the server took it for the user name: it asked for the password next",
    ),
    more(RSET, "RSET", &[7], FLIGHT),
    more(RSET, "DATA", &[7], FLIGHT),
    more(BASE64, "EHLO", &[7], ODD_PORT),
    more(BASE64, "HELO", &[11], ODD_PORT),
    more(BASE64, "MAIL", &[15], ODD_PORT),
    more(BASE64, "RCPT", &[19], ODD_PORT),
    more(BASE64, "DATA", &[23], ODD_PORT),
    more(NEGATIVE, "BDAT", &[16], CHUNK),
    more(NEGATIVE, "QUIT", &[20], CHUNK),
    more(EIGHT_BIT, "MAIL", &[9, 17], CHUNK),
    more(EIGHT_BIT, "RCPT", &[9, 17], CHUNK),
    more(EIGHT_BIT, "BDAT", &[9, 17], CHUNK),
];

/// A command: its frame, and its verb as tshark names it.
type Command = (u64, String);

/// The commands found, without UID, and without answers to challenges, which are no commands.
#[derive(Default)]
struct Found(Vec<Command>);

impl Sink for Found {
    fn event(&mut self, event: Event) -> io::Result<()> {
        if let EventBody::Command(command) = event.body {
            let verb = command.verb.to_str_lossy().to_uppercase();
            let verb = verb.split(' ').next_back().unwrap_or_default();
            if !verb.is_empty() && verb != "DONE" {
                self.0.push((event.span.last.number, verb.to_owned()));
            }
        }
        Ok(())
    }
}

/// tshark cuts the verbs of SMTP to four letters.
fn whole(verb: &str) -> &str {
    if verb == "STAR" { "STARTTLS" } else { verb }
}

/// What tshark finds in each file.
fn tshark() -> BTreeMap<&'static str, Vec<Command>> {
    let lines = COMMANDS.lines().filter(|line| !line.starts_with('#'));
    let command = |word: &'static str| {
        let (frame, verb) = word.split_once(':').unwrap();
        (frame.parse().unwrap(), whole(verb).to_owned())
    };
    lines
        .map(|line| line.split_once('\t').unwrap())
        .map(|(file, commands)| (file, commands.split(' ').map(command).collect()))
        .collect()
}

/// Where what tshark finds, frame by frame, is not what the manifest counts: it tells at most 25 verbs of a file.
fn miscounted(row: &Value, commands: &[Command]) -> Vec<String> {
    let mut problems = Vec::new();
    for (verb, count) in row["tshark"]["commands"].as_object().into_iter().flatten() {
        let found = commands.iter().filter(|(_, other)| other == whole(verb)).count() as u64;
        if count != found {
            problems.push(format!("{verb}: the manifest counts {count}, commands.txt has {found}"));
        }
    }
    problems
}

/// Takes `frame` and `verb` out of `commands`, once.
fn take(commands: &mut Vec<Command>, frame: u64, verb: &str) -> bool {
    let at = commands.iter().position(|(number, other)| *number == frame && other == verb);
    at.map(|at| commands.swap_remove(at)).is_some()
}

/// What differs and is not explained, and explanations that explain nothing.
fn problems(file: &str, tshark: &[Command], found: Vec<Command>) -> Vec<String> {
    let (mut tshark, mut found) = (tshark.to_vec(), found);
    let both: Vec<Command> = found.extract_if(.., |(frame, verb)| take(&mut tshark, *frame, verb)).collect();
    let mut problems = Vec::new();
    for difference in DIFFERENCES.iter().filter(|d| d.file == file) {
        let Differs { verb, finds, why, .. } = difference;
        let rest = if *finds == Finds::Mailcap { &mut found } else { &mut tshark };
        for &frame in difference.frames {
            if !take(rest, frame, verb) {
                let both = both.contains(&(frame, (*verb).to_owned()));
                problems.push(format!("{frame} {verb} is no difference (both find it: {both}), but explained: {why}"));
            }
        }
    }
    problems.extend(found.iter().map(|(frame, verb)| format!("{frame} {verb}: only mailcap finds it")));
    problems.extend(tshark.iter().map(|(frame, verb)| format!("{frame} {verb}: only tshark finds it")));
    problems
}

#[test]
fn every_capture_ends_and_tells_the_commands_that_tshark_tells() {
    let Some(corpus) = common::corpus() else { return };
    let wild = corpus.join("wild");
    let manifest = std::fs::read_to_string(wild.join("manifest.jsonl")).unwrap();
    let tshark = tshark();
    let mut table = common::Table::default();
    for line in manifest.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let file = row["file"].as_str().unwrap();
        let commands = tshark.get(file).map_or(&[][..], Vec::as_slice);
        let mut found = Found::default();
        // What is no capture at all is refused, without a panic; the others run to their end.
        let run = run(config(&[wild.join(file)], &How::default()), &mut found);
        let mut wrong = problems(file, commands, found.0);
        wrong.extend(miscounted(&row, commands));
        if let (Err(error), Some(packets)) = (&run, row["tshark"]["packets"].as_u64())
            && packets > 0
        {
            wrong.push(format!("tshark reads {packets} packets, mailcap: {error}"));
        }
        table.row(file, wrong);
    }
    table.finish("captures of others", 200);
    if let Some(peak) = common::peak_memory() {
        assert!(peak <= MEMORY, "{peak} bytes of memory");
    }
}
