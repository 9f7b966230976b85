//! Mail sessions of public captures, read by a person once, packet by packet: what happened in them, and why that is
//! the right reading. Sizes are those that BDAT or RETR's reply announce, or counted between 354 and the dot line.

mod common;

use common::{How, Story, Table, tell};
use mailcap::event::EventBody;
use mailcap::output::words::Word;

/// A session as it was read.
struct Read {
    file: &'static str,
    /// Its first frame.
    session: u64,
    /// The commands' verbs; answers to challenges are none.
    verbs: &'static str,
    /// `transaction sender>recipients size outcome`, with `incomplete` and `assumed`; of POP3 and IMAP without envelope.
    messages: &'static [&'static str],
    outcome: &'static str,
    /// Diagnostics in order.
    codes: &'static str,
    why: &'static str,
}

const READ: &[Read] = &[
    // BDAT.
    Read {
        file: "zeek/smtp__rfc3030-bdat-0-last.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT QUIT",
        messages: &["1 zeek@localhost>root@localhost 0 accepted"],
        outcome: "completed",
        codes: "",
        why: "BDAT 0 LAST alone is an empty message: the server queued 0 bytes",
    },
    Read {
        file: "zeek/smtp__rfc3030-bdat-example1.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT QUIT",
        messages: &["1 zeek@localhost>root@localhost 86 accepted"],
        outcome: "completed",
        codes: "",
        why: "the chunk comes in a segment of its own behind its command",
    },
    Read {
        file: "zeek/smtp__rfc3030-bdat-multipart.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT QUIT",
        messages: &["1 zeek@localhost>root@localhost 3460 accepted"],
        outcome: "completed",
        codes: "",
        why: "the server queued 3462 bytes: it put a line end behind a message that has none, which is not on the wire",
    },
    Read {
        file: "zeek/smtp__rfc3030-bdat-nonascii.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT BDAT QUIT",
        messages: &["1 sender@localhost>recipient@localhost 604 accepted"],
        outcome: "completed",
        codes: "unexpected-reply",
        why: "BDAT 604, then BDAT 0 LAST; the dummy server answers the latter twice",
    },
    Read {
        file: "zeek/smtp__smtp-bdat-cmd-negative-chunk-size.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT QUIT",
        messages: &[],
        outcome: "completed",
        codes: "bad-length unanswered",
        why: "BDAT -1 LAST is refused as syntax: no chunk follows; the server closes without an answer to QUIT",
    },
    Read {
        file: "zeek/smtp__smtp-bdat-pipeline-8bitmime.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT MAIL RCPT BDAT QUIT",
        messages: &[
            "1 linux-kernel-owner@vger.kernel.org>trafficwatcher@foundit.scootmail.com 4404 accepted",
            "2 linux-kernel-owner@vger.kernel.org>trafficwatcher@foundit.scootmail.com 8757 accepted",
        ],
        outcome: "completed",
        codes: "",
        why: "MAIL, RCPT, BDAT and its chunk in one flight, twice; Exim's reply to the chunk has two lines",
    },
    Read {
        file: "arkime/wireshark-bdat.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT BDAT QUIT",
        messages: &["1 >p@test.ex 8675 accepted"],
        outcome: "completed",
        codes: "",
        why: "295 and 8380 bytes make one message, from the empty sender, on port 1224",
    },
    Read {
        file: "suricata-verify/tests__smtp-bdat-last-next-mail__input.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT MAIL RCPT DATA QUIT",
        messages: &[
            "1 alice@example.com>bob@example.com 221 accepted",
            "2 bob@example.com>alice@example.com 237 accepted",
        ],
        outcome: "completed",
        codes: "",
        why: "a chunk, then DATA: neither bytes nor envelope run on into the next mail",
    },
    Read {
        file: "suricata-verify/tests__smtp-bdat-multichunk-next-mail__input.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT BDAT MAIL RCPT DATA QUIT",
        messages: &[
            "1 alice@example.com>bob@example.com 218 accepted",
            "2 bob@example.com>alice@example.com 236 accepted",
        ],
        outcome: "completed",
        codes: "",
        why: "64 and 154 bytes are one message",
    },
    Read {
        file: "suricata-verify/tests__smtp-bdat-multichunk-inspection__input.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT BDAT MAIL RCPT DATA QUIT",
        messages: &["1 a@example.com>b@example.com 123 accepted", "2 evil@example.com>victim@example.com 43 accepted"],
        outcome: "completed",
        codes: "unanswered",
        why: "79 and 44 bytes; QUIT has no answer",
    },
    Read {
        file: "suricata-verify/tests__smtp-bdat-zero-last-next-mail__input.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT MAIL RCPT DATA QUIT",
        messages: &[
            "1 alice@example.com>bob@example.com 0 accepted",
            "2 bob@example.com>alice@example.com 242 accepted",
        ],
        outcome: "completed",
        codes: "",
        why: "BDAT 0 LAST, then a mail of its own",
    },
    Read {
        file: "suricata-verify/tests__smtp-bdat-pipelined-next-mail__input.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT BDAT MAIL RCPT DATA QUIT",
        messages: &[
            "1 alice@example.com>bob@example.com 216 accepted",
            "2 bob@example.com>alice@example.com 225 accepted",
        ],
        outcome: "completed",
        codes: "",
        why: "both chunks and the next mail's MAIL and RCPT in one segment",
    },
    Read {
        file: "suricata-verify/tests__smtp-bdat-bad-tail-next-mail__input.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT BDAT BDAT MAIL RCPT DATA",
        messages: &["1 alice@example.com>bob@example.com 221 aborted"],
        outcome: "aborted",
        codes: "bad-length skipped unanswered",
        why: "`BDAT 5 X` is refused with 521, behind which the server reads no more; the client's flight behind it has a \
              whole chunk, whose fate is the reset, and data behind an unanswered DATA, which are none",
    },
    // Pipelining and RSET.
    Read {
        file: "suricata-verify/tests__smtp-pipelined-rset-after-complete__input.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT DATA RSET MAIL RCPT DATA QUIT",
        messages: &[
            "1 alice@example.com>bob@example.com 218 accepted",
            "2 bob@example.com>alice@example.com 218 accepted",
        ],
        outcome: "completed",
        codes: "",
        why: "RSET and MAIL in one segment behind a finished mail",
    },
    Read {
        file: "suricata-verify/tests__smtp-pipelined-rset-data-replies__input.pcap",
        session: 1,
        verbs: "EHLO RSET DATA",
        messages: &["1 -> 0 accepted"],
        outcome: "cut",
        codes: "",
        why: "RSET, DATA and a dot in one segment, without an envelope; the server takes the empty mail all the same",
    },
    Read {
        file: "suricata-verify/s__firewall__ruletype-firewall-139-smtp-pipelined-post-data-mail-from__smtp-pipelined-post-data-mail-from.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT DATA MAIL RCPT DATA QUIT",
        messages: &[
            "1 alice@example.com>bob@example.com 218 accepted",
            "2 bob@example.com>alice@example.com 222 accepted",
        ],
        outcome: "completed",
        codes: "",
        why: "the next MAIL comes before the answer to the data",
    },
    Read {
        file: "suricata-verify/tests__firewall__ruletype-firewall-135-smtp-multi-mail-accept__smtp-multi-mail.pcap",
        session: 1,
        verbs: "HELO MAIL RCPT DATA MAIL RCPT DATA MAIL RCPT RCPT DATA QUIT",
        messages: &[
            "1 alice@example.com>bob@example.com 199 accepted",
            "2 bob@example.com>alice@example.com 200 accepted",
            "3 alice@example.com>bob@example.com,alice@example.com 223 accepted",
        ],
        outcome: "completed",
        codes: "",
        why: "three mails of one connection, each with its own envelope",
    },
    Read {
        file: "arkime/smtp-moloch-bof.pcap",
        session: 1,
        verbs: "HELO MAIL RCPT DATA QUIT",
        messages: &["1 ibmuser@zpdt.example.com>mattenuttall@example.com 8856 accepted"],
        outcome: "completed",
        codes: "early-talker",
        why: "a batch: commands and mail are sent before the greeting, and are answered after it",
    },
    // Errors.
    Read {
        file: "suricata-verify/tests__smtp-rejected-ehlo-preserves-envelope__input.pcap",
        session: 1,
        verbs: "HELO MAIL EHLO RCPT DATA QUIT",
        messages: &["1 alice@example.com>bob@example.com 244 accepted"],
        outcome: "completed",
        codes: "",
        why: "an EHLO that is refused resets nothing: RCPT still belongs to the MAIL before it",
    },
    Read {
        file: "arkime/smtp-data-250.pcap",
        session: 1,
        verbs: "EHLO AUTH MAIL RCPT DATA",
        messages: &["1 12345678@aol.com>xxxx.xxxxxx@xxxxx.com 928 accepted"],
        outcome: "cut",
        codes: "plaintext-password",
        why: "the server says 421 unasked when the client idles; that is no verdict on the mail before it",
    },
    Read {
        file: "arkime/smtp-data-521.pcap",
        session: 1,
        verbs: "EHLO AUTH RSET MAIL RCPT DATA RSET",
        messages: &["1 1234567899@aol.com>xxxxx-xxxx@xxxx.xxx.xx.jp 2954 rejected"],
        outcome: "aborted",
        codes: "plaintext-password unanswered",
        why: "521 refuses the mail after its data, and the server closes without an answer to RSET",
    },
    Read {
        file: "arkime/smtp-nospaces.pcap",
        session: 1,
        verbs: "HELO MAIL RCPT DATA",
        messages: &["1 random@example.com>reciever@example.com 9 unknown incomplete"],
        outcome: "cut",
        codes: "message-cut",
        why: "no blank behind FROM: and TO:; HELO is refused, but MAIL to DATA are taken, so that service was not refused; \
              the capture ends amid the data",
    },
    Read {
        file: "suricata-verify/tests__smtp-errors__smtperr.pcap",
        session: 13,
        verbs: "HELO MAIL RCPT DATA",
        messages: &["1 Ina32@4447.com>jcastro2111@yahoo.com 36380 aborted"],
        outcome: "aborted",
        codes: "unexpected-reply unanswered",
        why: "the last reply lost its code (`4.7.0 [IPTS04]`): it is no verdict, and the server closes",
    },
    Read {
        file: "suricata-verify/tests__smtp-errors__smtperr.pcap",
        session: 128,
        verbs: "EHLO MAIL RCPT DATA",
        messages: &[],
        outcome: "aborted",
        codes: "",
        why: "MAIL is refused with 472, RCPT and DATA with 501: no 354, no message",
    },
    Read {
        file: "suricata-verify/tests__smtp-long-command__input.pcap",
        session: 1,
        verbs: "EHLO AUTH",
        messages: &[],
        outcome: "aborted",
        codes: "",
        why: "QUIT answers LOGIN's question for the name, the server asks for the password next, and the client closes: \
              nobody refused it",
    },
    Read {
        file: "zeek/smtp-multi-addr.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT DATA",
        messages: &["1 root@gras-os-desk.cern.ch>jan.grashofer@cern.ch 684 accepted"],
        outcome: "cut",
        codes: "unexpected-reply",
        why: "RCPT and DATA are pipelined; 451 comes unasked long after",
    },
    Read {
        file: "haka/doc__user__workshop__smtp.pcap",
        session: 11,
        verbs: "HELO MAIL RCPT DATA QUIT",
        messages: &["1 hacker@suspicious.org>backup 39 accepted"],
        outcome: "completed",
        codes: "bare-lf",
        why: "typed by hand into a program that sends bare LFs for commands",
    },
    // One side.
    Read {
        file: "zeek/smtp-one-side-only.pcap",
        session: 1,
        verbs: "EHLO MAIL RCPT DATA MAIL RCPT DATA QUIT",
        messages: &[
            "1 robin@icir.org>robin@icir.org 9178 accepted assumed",
            "2 robin@icir.org>rsommer@lbl.gov 9179 accepted assumed",
        ],
        outcome: "completed",
        codes: "one-sided",
        why: "without the server's word success is assumed, and said to be",
    },
    Read {
        file: "jnetpcap-legacy/tests__test-small-imap.pcap",
        session: 1,
        verbs: "NOOP",
        messages: &[],
        outcome: "cut",
        codes: "mid-stream one-sided",
        why: "one packet of the client alone, from the middle",
    },
    // POP3 and IMAP.
    Read {
        file: "protolens/pop3.pcap",
        session: 1,
        verbs: "USER PASS STAT LIST UIDL RETR QUIT",
        messages: &["1 6750 accepted"],
        outcome: "completed",
        codes: "plaintext-password",
        why: "the reply announces 6750 octets, which is what comes",
    },
    Read {
        file: "zeek/pop3__bad-list-retr-crafted.pcap",
        session: 1,
        verbs: "LIST RETR QUIT",
        messages: &["1 109 accepted"],
        outcome: "completed",
        codes: "resynchronised",
        why: "a line of garbage, and a list without its dot: the next status line is RETR's reply, as nothing in a list \
              begins so",
    },
    Read {
        file: "suricata-verify/tests__pop3-auth-01__input.pcap",
        session: 1,
        verbs: "CAPA AUTH STAT LIST UIDL QUIT",
        messages: &[],
        outcome: "cut",
        codes: "plaintext-password unanswered",
        why: "XOAUTH2's token comes behind an empty challenge; the server's greeting is not in the capture, nor is the end",
    },
    Read {
        file: "BruteShark/IMAP_-_Authenticate_CRAM-MD5.cap",
        session: 7,
        verbs: "CAPABILITY AUTHENTICATE NAMESPACE LIST STATUS LIST STATUS SELECT SELECT",
        messages: &[],
        outcome: "completed",
        codes: "",
        why: "the client closes without LOGOUT, all answered; an answered challenge is no password in the clear",
    },
];

fn verbs(story: &Story) -> String {
    let verbs: Vec<_> = story.commands.iter().map(|c| c.verb.to_str_lossy()).filter(|v| !v.is_empty()).collect();
    verbs.join(" ")
}

fn codes(story: &Story) -> String {
    let code = |body: &EventBody| if let EventBody::Diagnostic(d) = body { Some(d.code.as_str()) } else { None };
    story.events.iter().filter_map(|e| code(&e.body)).collect::<Vec<_>>().join(" ")
}

fn messages(story: &Story) -> Vec<String> {
    let shown = |m: &mailcap::event::Message| {
        let envelope = (m.protocol.as_str() == "smtp").then(|| {
            let rcpt: Vec<_> = m.rcpt_to.iter().map(|r| r.address.to_str_lossy()).collect();
            format!(" {}>{}", m.mail_from.as_ref().map_or("-".into(), |f| f.to_str_lossy()), rcpt.join(","))
        });
        let incomplete = if m.complete { "" } else { " incomplete" };
        let assumed = if m.assumed { " assumed" } else { "" };
        let envelope = envelope.unwrap_or_default();
        format!("{}{envelope} {} {}{incomplete}{assumed}", m.transaction, m.size, m.outcome.word())
    };
    story.messages.iter().map(shown).collect()
}

#[test]
fn sessions_are_what_a_person_read() {
    let Some(corpus) = common::corpus() else { return };
    let mut table = Table::default();
    for read in READ {
        let told = tell(&[corpus.join("wild").join(read.file)], &How::default());
        let name = format!("{} session {}", read.file, read.session);
        let Some(story) = told.stories.get(&read.session) else {
            table.row(&name, vec!["no such session".to_owned()]);
            continue;
        };
        let pairs = [
            (verbs(story), read.verbs.to_owned()),
            (messages(story).join("; "), read.messages.join("; ")),
            (story.session().outcome.word().to_owned(), read.outcome.to_owned()),
            (codes(story), read.codes.to_owned()),
        ];
        let wrong = pairs.into_iter().filter(|(got, want)| got != want);
        table.row(&name, wrong.map(|(got, want)| format!("{got:?}, read was {want:?}: {}", read.why)).collect());
    }
    table.finish("sessions read by a person", READ.len());
}
