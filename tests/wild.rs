//! Captures from public repositories: each runs to its end in bounded memory, and where tshark counted mail commands
//! (`manifest.jsonl`), mailcap finds the same ones but for the differences that [`DIFFERENCES`] explains one by one.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use common::{How, config};
use mailcap::event::{Event, EventBody};
use mailcap::output::Sink;
use mailcap::pipeline::run;
use serde_json::Value;

/// Bytes of memory, at most, that this test may ever have had.
const MEMORY: u64 = 64 << 20;

/// A command that one of both finds and the other does not, at its frames.
struct Differs {
    file: &'static str,
    verb: &'static str,
    /// Where mailcap alone finds it.
    more: &'static [u64],
    /// Where tshark alone finds it.
    fewer: &'static [u64],
    why: &'static str,
}

const fn more(file: &'static str, verb: &'static str, frames: &'static [u64], why: &'static str) -> Differs {
    Differs { file, verb, more: frames, fewer: &[], why }
}

const fn fewer(file: &'static str, verb: &'static str, frames: &'static [u64], why: &'static str) -> Differs {
    Differs { file, verb, more: &[], fewer: frames, why }
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

const LITERAL: &str = "tshark takes lines of the literal of APPEND for commands";
const BEFORE_BANNER: &str = "the client sends everything before the greeting, which tshark takes for message text";
const ODD_PORT: &str = "not a default port, so tshark does not look";
const CHUNK: &str = "tshark takes BDAT with its chunk, and everything behind it, for message text";
const RESPONSE: &str = "tshark takes the answer to a challenge for a command";

const DIFFERENCES: &[Differs] = &[
    fewer(SENT, "<521663E3.70", &[57], LITERAL),
    fewer(SENT, "THU", &[57], LITERAL),
    fewer(SENT, "DI", &[57], LITERAL),
    fewer(SENT, "MOZILLA/5.0", &[57], LITERAL),
    fewer(SENT, "1.0", &[57], LITERAL),
    more(SENT, "SELECT", &[74], "tshark finds it, too, but the manifest lists no more than 25 verbs of a file"),
    fewer("PcapPlusPlus/Tests__Packet++Test__PacketExamples__Smtp.pcap", "CHVU", &[5], RESPONSE),
    fewer(NTLM, "TLRMTVNTUAAB", &[192], RESPONSE),
    fewer(NTLM, "TLRMTVNTUAAD", &[196], RESPONSE),
    more(BOF, "HELO", &[4], BEFORE_BANNER),
    more(BOF, "MAIL", &[4], BEFORE_BANNER),
    more(BOF, "RCPT", &[4], BEFORE_BANNER),
    more(BOF, "DATA", &[4], BEFORE_BANNER),
    more(BOF, "QUIT", &[22], BEFORE_BANNER),
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
    more(LAST, "QUIT", &[26], "tshark has not seen the end of the message"),
    more(INSPECTION, "BDAT", &[18, 22], CHUNK),
    more(INSPECTION, "QUIT", &[42], "tshark has not seen the end of the message"),
    more(MULTICHUNK, "BDAT", &[13, 15], CHUNK),
    more(MULTICHUNK, "QUIT", &[25], "tshark has not seen the end of the message"),
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
    more(RSET, "RSET", &[7], "tshark takes RSET, DATA and a dot in one segment for message text"),
    more(RSET, "DATA", &[7], "tshark takes RSET, DATA and a dot in one segment for message text"),
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

/// Frames of the commands by verb, as tshark names verbs: without UID, and no answers to challenges, which are no
/// commands.
#[derive(Default)]
struct Count(BTreeMap<String, Vec<u64>>);

impl Sink for Count {
    fn event(&mut self, event: Event) -> io::Result<()> {
        if let EventBody::Command(command) = event.body {
            let verb = command.verb.to_str_lossy().to_uppercase();
            let verb = verb.split(' ').next_back().unwrap_or_default();
            if !verb.is_empty() && verb != "DONE" {
                self.0.entry(verb.to_owned()).or_default().push(event.span.last.number);
            }
        }
        Ok(())
    }
}

/// What tshark counted; it cuts the verbs of SMTP to four letters.
fn tshark(row: &Value) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (verb, count) in row["tshark"]["commands"].as_object().into_iter().flatten() {
        let verb = if verb == "STAR" { "STARTTLS" } else { verb };
        *counts.entry(verb.to_owned()).or_default() += count.as_u64().unwrap() as usize;
    }
    counts
}

/// What differs and is not explained, and explanations that explain nothing.
fn problems(file: &str, want: &BTreeMap<String, usize>, got: &BTreeMap<String, Vec<u64>>) -> Vec<String> {
    let mut problems = Vec::new();
    let explained = DIFFERENCES.iter().filter(|d| d.file == file);
    let verbs: BTreeSet<&str> =
        want.keys().chain(got.keys()).map(String::as_str).chain(explained.map(|d| d.verb)).collect();
    for verb in verbs {
        let want = want.get(verb).copied().unwrap_or_default();
        let mut frames = got.get(verb).cloned().unwrap_or_default();
        let found = frames.len();
        let difference = DIFFERENCES.iter().find(|d| d.file == file && d.verb == verb);
        let (more, fewer) = difference.map_or((&[][..], &[][..]), |d| (d.more, d.fewer));
        let why = difference.map_or("nothing", |d| d.why);
        if found + fewer.len() != want + more.len() {
            problems.push(format!("{verb}: {found} in frames {frames:?}, tshark {want}; explained: {why}"));
            continue;
        }
        for frame in more {
            match frames.iter().position(|f| f == frame) {
                Some(at) => drop(frames.remove(at)),
                None => problems.push(format!("{verb}: not in frame {frame}, which is explained: {why}")),
            }
        }
        if frames.iter().any(|f| fewer.contains(f)) {
            problems.push(format!("{verb}: is in a frame where only tshark finds it: {why}"));
        }
    }
    problems
}

#[test]
fn every_capture_ends_and_tells_the_commands_that_tshark_tells() {
    let Some(corpus) = common::corpus() else { return };
    let wild = corpus.join("wild");
    let manifest = std::fs::read_to_string(wild.join("manifest.jsonl")).unwrap();
    let mut table = common::Table::default();
    for line in manifest.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let file = row["file"].as_str().unwrap();
        let mut count = Count::default();
        // What is no capture at all is refused, without a panic; the others run to their end.
        let run = run(config(&[wild.join(file)], &How::default()), &mut count);
        let mut wrong = problems(file, &tshark(&row), &count.0);
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
