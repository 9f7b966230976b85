//! The RFCs' dialogues, and what real servers and clients do.

mod auth;
mod losses;

use super::*;
use crate::event::{AuthOutcome, MessageOutcome, MessagePart};
use crate::mail::Options;
use crate::mail::script::{Step, Told, c, once, play, s};

fn told(steps: &[Step]) -> Told {
    play(Pop3::new, steps, &Options::default(), false)
}

#[test]
fn a_session() {
    // RFC 1939 §10, with a message of its own.
    let told = told(&[
        s("+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n"),
        c("APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"),
        s("+OK mrose's maildrop has 2 messages (320 octets)\r\n"),
        c("STAT\r\n"),
        s("+OK 2 320\r\n"),
        c("LIST\r\n"),
        s("+OK 2 messages (320 octets)\r\n1 120\r\n2 200\r\n.\r\n"),
        c("uidl 2\r\n"),
        s("+OK 2 QhdPYR:00WBw1Ph7x7\r\n"),
        c("RETR 2\r\n"),
        s("+OK 120 octets\r\nSubject: x\r\n\r\n..dot\r\n.\r\n"),
        c("TOP 1 0\r\n"),
        s("+OK\r\nSubject: y\r\n\r\n.\r\n"),
        c("DELE 1\r\n"),
        s("-ERR [IN-USE] no\r\n"),
        c("QUIT\r\n"),
        s("+OK dewey POP3 server signing off (maildrop empty)\r\n"),
    ]);
    assert_eq!(
        told.lines(),
        [
            "< +OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>",
            "> APOP mrose ***",
            "< +OK mrose's maildrop has 2 messages (320 octets)",
            "auth APOP mrose Success",
            "> STAT",
            "< +OK 2 320",
            "> LIST",
            "< +OK 2 messages (320 octets)",
            "> UIDL 2",
            "< +OK 2 QhdPYR:00WBw1Ph7x7",
            "> RETR 2",
            "< +OK 120 octets",
            "message 1 Full 20 true",
            "> TOP 1 0",
            "< +OK",
            "message 2 Headers 14 true",
            "> DELE 1",
            "< -ERR [IN-USE] no",
            "> QUIT",
            "< +OK dewey POP3 server signing off (maildrop empty)",
        ]
    );
    assert_eq!(told.summary, (8, 1, 0, Some(Outcome::Completed)));
    let listing = told.replies()[3];
    assert_eq!(listing.lines, ["2 messages (320 octets)".into(), "1 120".into(), "2 200".into()]);
    assert_eq!((listing.command, listing.latency), (Some(7), Some(1000)));
    assert_eq!(told.replies()[7].enhanced, Some("IN-USE".into()));
    let [retrieved, top] = told.messages()[..] else { panic!() };
    assert_eq!((retrieved.number, retrieved.uidl.clone()), (Some(2), Some("QhdPYR:00WBw1Ph7x7".into())));
    assert_eq!(
        (retrieved.outcome, retrieved.status.clone()),
        (MessageOutcome::Accepted, Some("+OK 120 octets".into()))
    );
    assert_eq!((top.part, top.number, top.uidl.clone()), (MessagePart::Headers, Some(1), None));
}

/// Qpopper's way to send a mail, as Eudora used it.
#[test]
fn a_mail_sent_with_xtnd_xmit_is_no_commands() {
    let mail = "From: a@x\r\n\r\nRETR 5\r\n..\r\nQUIT\r\n.\r\n";
    let taken = told(&[
        s("+OK Qpopper (version 4.0.5) at x starting.\r\n"),
        c("XTND XMIT\r\n"),
        s("+OK Start sending message.\r\n"),
        c(mail),
        s("+OK Message sent successfully\r\n"),
        c("STAT\r\n"),
        s("+OK 0 0\r\n"),
        c("QUIT\r\n"),
        s("+OK\r\n"),
    ]);
    assert_eq!(
        taken.lines()[1..],
        [
            "> XTND XMIT",
            "< +OK Start sending message.",
            "! skipped",
            "< +OK Message sent successfully",
            "> STAT",
            "< +OK 0 0",
            "> QUIT",
            "< +OK",
        ]
    );
    let answered: Vec<_> = taken.replies().iter().map(|reply| reply.command).collect();
    assert_eq!(answered[..4], [None, Some(2), Some(2), Some(6)]);
    assert_eq!(taken.summary, (3, 0, mail.len() as u64, Some(Outcome::Completed)));
    let refused = told(&[s("+OK\r\n"), c("XTND XMIT\r\n"), s("-ERR what\r\n"), c("QUIT\r\n"), s("+OK\r\n")]);
    assert_eq!(refused.lines()[1..], ["> XTND XMIT", "< -ERR what", "> QUIT", "< +OK"]);
}

#[test]
fn pipelined() {
    let told = told(&[
        s("+OK\r\n"),
        c("USER a\r\nPASS b\r\nUIDL\r\nRETR 1\r\nRETR 9\r\nTOP 2 1\r\nXFOO\r\nXBAR\r\nQUIT\r\n"),
        s("+OK\r\n+OK\r\n+OK\r\n1 u1\r\n2 u2\r\n.\r\n+OK\r\n.\r\n-ERR none\r\n+OK\r\na: b\r\n.\r\n"),
        s("+OK foo\r\n+OK\r\nbar\r\n..\r\n.\r\n+OK bye\r\n"),
    ]);
    let sizes: Vec<_> = told.messages().iter().map(|m| (m.part, m.size, m.complete, m.uidl.clone())).collect();
    assert_eq!(
        sizes,
        [(MessagePart::Full, 0, true, Some("u1".into())), (MessagePart::Headers, 6, true, Some("u2".into())),]
    );
    let answered: Vec<_> = told.replies().iter().map(|reply| reply.command).collect();
    // Commands are events 2 to 11 (3 and 4 are PASS and its diagnostic).
    assert_eq!(answered, [None, Some(2), Some(3), Some(5), Some(6), Some(7), Some(8), Some(9), Some(10), Some(11)]);
    assert_eq!(told.replies()[8].lines, ["".into(), "bar".into(), ".".into()], "an unknown command's many lines");
    assert_eq!(told.summary, (9, 1, 0, Some(Outcome::Completed)));
}

#[test]
fn stls() {
    let accepted = told(&[
        s("+OK\r\n"),
        c("STLS\r\nUSER x\r\nPASS y\r\nAUTH PLAIN AHgAeQ=="),
        s("+OK\r\n"),
        c("CAPA\r\n"),
        s("+OK\r\nUSER\r\n.\r\n"),
    ]);
    assert!(accepted.starttls);
    assert_eq!(accepted.held, b"USER x\r\nPASS y\r\nAUTH PLAIN AHgAeQ==");
    assert_eq!(
        accepted.lines(),
        [
            "< +OK",
            "> STLS",
            "< +OK",
            "injected > USER x",
            "injected > PASS ***",
            "injected > AUTH PLAIN ***",
            "~> CAPA",
            "~< +OK",
        ]
    );
    assert_eq!(accepted.summary.0, 2);
    let refused = told(&[
        s("+OK\r\n"),
        c("STLS\r\nSTLS\r\nSTAT\r\n"),
        s("-ERR no\r\n"),
        s("-ERR still no\r\n"),
        s("+OK 0 0\r\n"),
    ]);
    assert!(!refused.starttls);
    assert_eq!(refused.lines(), ["< +OK", "> STLS", "< -ERR no", "> STLS", "< -ERR still no", "> STAT", "< +OK 0 0"]);
    let unheard = told(&[s("+OK\r\n"), c("STLS\r\n"), Step::Gap(Direction::Server, 5), c("\x16")]);
    assert!(unheard.starttls, "the answer is missing, and TLS follows");
    assert_eq!(unheard.held.first(), Some(&0x16));
    let unheard =
        told(&[s("+OK\r\n"), c("STLS\r\nNOOP\r\n"), Step::Gap(Direction::Server, 5), c("STAT\r\n"), s("+OK 1 1\r\n")]);
    assert!(!unheard.starttls);
    assert_eq!(unheard.lines()[1..4], ["> STLS", "> NOOP", "> STAT"]);
    let blind = play(Pop3::new, &[c("STLS\r\n")], &Options::default(), true);
    assert!(blind.starttls, "nobody will answer: taken as accepted");
    assert_eq!(blind.lines(), ["assumed > STLS"]);
}

#[test]
fn gaps() {
    // Inside a message.
    let inside = told(&[
        s("+OK\r\n"),
        c("RETR 1\r\n"),
        s("+OK\r\nSubject: a\r\n\r\nbo"),
        Step::Gap(Direction::Server, 100),
        s("dy\r\n.\r\n"),
        c("QUIT\r\n"),
        s("+OK\r\n"),
    ]);
    assert_eq!(inside.lines()[3..], ["message 1 Full 20 false", "> QUIT", "< +OK"]);
    // Over a message's end and the next replies.
    let over = told(&[
        s("+OK\r\n"),
        c("RETR 1\r\n"),
        s("+OK\r\nSubject: a\r\n\r\nbo"),
        Step::Gap(Direction::Server, 100),
        c("NOOP\r\n"),
        s("+OK done\r\n"),
        c("STAT\r\n"),
        s("+OK 1 1\r\n"),
    ]);
    assert_eq!(over.lines()[3..], ["message 1 Full 16 false", "> NOOP", "< +OK done", "> STAT", "< +OK 1 1"]);
    assert_eq!(over.messages()[0].outcome, MessageOutcome::Accepted);
    // Over replies: a client that waits for each has had them.
    let replies =
        told(&[s("+OK\r\n"), c("NOOP\r\n"), Step::Gap(Direction::Server, 5), c("STAT\r\n"), s("+OK 1 1\r\n")]);
    assert_eq!(replies.lines()[2..], ["> STAT", "! resynchronised", "< +OK 1 1"]);
    assert_eq!(replies.replies()[1].command, Some(3));
    // Over a command, and into the middle of a password.
    let commands = told(&[
        s("+OK\r\n"),
        Step::Gap(Direction::Client, 20),
        c("ecret\r\n"),
        s("+OK\r\n"),
        c("STAT\r\n"),
        s("+OK 1 1\r\n"),
    ]);
    assert_eq!(commands.lines(), ["< +OK", "< +OK", "! resynchronised", "> STAT", "< +OK 1 1"]);
    assert_eq!(commands.summary.2, 5);
    // The greeting is missing.
    let middle = told(&[Step::Gap(Direction::Server, 0), c("STAT\r\n"), s("+OK 1 1\r\n")]);
    assert_eq!(middle.replies()[0].command, Some(1));
}

#[test]
fn one_direction() {
    let server = play(
        Pop3::new,
        &[s(
            "+OK ready\r\n+OK\r\n+OK Logged in.\r\n+OK 1 9\r\n+OK\r\n1 9\r\n.\r\n+OK 8 octets\r\nA: b\r\n\r\n.\r\n+OK\r\nA: b\r\n\r\n.\r\n+OK bye\r\n",
        )],
        &Options::default(),
        true,
    );
    assert_eq!(
        server.lines(),
        [
            "< +OK ready",
            "< +OK",
            "< +OK Logged in.",
            "< +OK 1 9",
            "< +OK",
            "< +OK 8 octets",
            "message 1 Full 8 true",
            "< +OK",
            "message 2 Headers 8 true",
            "< +OK bye",
        ]
    );
    assert!(server.messages()[0].assumed && server.replies().iter().all(|reply| reply.assumed));
    let client =
        play(Pop3::new, &[c("USER a\r\nPASS b\r\nAUTH PLAIN\r\nAGEAYg==\r\nQUIT\r\n")], &Options::default(), true);
    assert_eq!(
        client.lines(),
        [
            "assumed > USER a",
            "assumed > PASS ***",
            "! plaintext-password",
            "assumed > AUTH PLAIN",
            "assumed >  ***",
            "! plaintext-password",
            "assumed > QUIT",
            "auth USER a Success",
            "auth PLAIN a Success",
        ]
    );
    assert_eq!(client.summary.3, Some(Outcome::Completed), "QUIT is assumed to have been answered");
}

#[test]
fn top_is_told_from_retr_without_the_commands() {
    let part = |reply: &str, mail: &str| {
        let told =
            play(Pop3::new, &[s(format!("+OK ready\r\n{reply}\r\n{mail}.\r\n+OK\r\n"))], &Options::default(), true);
        let message = told.messages()[0].clone();
        assert!(message.assumed);
        (message.part, message.complete)
    };
    let (bare, mail) = ("A: b\r\n\r\n", "A: b\r\n\r\ntext\r\n");
    // The size is right: all of it, a body or not.
    assert_eq!(part("+OK 14 octets", mail), (MessagePart::Full, true));
    assert_eq!(part("+OK 8 octets", bare), (MessagePart::Full, true));
    // The words say so, or there is nothing behind the header.
    assert_eq!(part("+OK top of message follows", mail), (MessagePart::Headers, true));
    assert_eq!(part("+OK headers follow.", mail), (MessagePart::Headers, true));
    assert_eq!(part("+OK", bare), (MessagePart::Headers, true));
    assert_eq!(part("+OK 14 octets", bare), (MessagePart::Headers, true));
    // Nothing tells: a whole message as far as one knows, which is not said to be complete.
    assert_eq!(part("+OK", mail), (MessagePart::Full, false));
    assert_eq!(part("+OK 99 octets", mail), (MessagePart::Full, false));
}

#[test]
fn a_top_for_all_lines_is_the_whole_mail() {
    // fetchmail's way to fetch a mail without marking it as read.
    let part = |command: &str, mail: &str| {
        let steps = [
            s("+OK ready\r\n"),
            c(format!("{command}\r\n")),
            s(format!("+OK 75 octets\r\n{mail}.\r\n")),
            c("QUIT\r\n"),
            s("+OK\r\n"),
        ];
        let told = once(Pop3::new(), &steps, &Options::default(), false, usize::MAX, 0);
        let message = told.messages()[0];
        assert!(message.complete);
        (message.part, message.attachments.len(), told.summary.1)
    };
    let mail = "Content-Type: application/pdf; name=a.pdf\r\n\r\na\r\nb\r\n";
    assert_eq!(part("TOP 1 99999999", mail), (MessagePart::Full, 1, 1));
    assert_eq!(part("TOP 1 20", mail), (MessagePart::Headers, 0, 0));
    assert_eq!(part("TOP 1", mail), (MessagePart::Headers, 0, 0));
    // As many lines as were asked for: there may be more.
    assert_eq!(part("TOP 1 100000", &("A: b\r\n\r\n".to_owned() + &"\n".repeat(100_000))).0, MessagePart::Headers);
}

#[test]
fn a_list_without_its_end() {
    // As in a capture made to fool Zeek: LIST's dot is missing.
    let told = told(&[
        s("+OK ready\r\n"),
        c("LIST\r\nRETR 1\r\nQUIT\r\n"),
        s(
            "+OK 2 messages\r\n1 120\r\n2 200\r\n+OK message follows\r\nSubject: x\r\n\r\n+OK inside\r\n.\r\n+OK bye\r\n",
        ),
    ]);
    assert_eq!(told.messages()[0].size, 26);
    assert_eq!(told.summary, (3, 1, 0, Some(Outcome::Completed)));
    let lines: Vec<usize> = told.replies().iter().map(|reply| reply.lines.len()).collect();
    assert_eq!(lines, [1, 3, 1, 1]);
}

#[test]
fn the_first_ok_answers_a_client_that_goes_on() {
    let answers = |steps: &[Step]| -> Vec<Option<u64>> { told(steps).replies().iter().map(|r| r.command).collect() };
    // No greeting: a client that waits for its replies goes on after each.
    let silent = [c("USER a\r\n"), s("+OK\r\n"), c("PASS b\r\n"), s("+OK\r\n"), c("QUIT\r\n"), s("+OK\r\n")];
    assert_eq!(answers(&silent), [Some(1), Some(3), Some(7)]);
    assert_eq!(told(&silent).summary.3, Some(Outcome::Completed));
    // Nor here: no greeting has more lines.
    assert_eq!(answers(&[c("CAPA\r\n"), s("+OK\r\nUSER\r\n.\r\n"), c("QUIT\r\n"), s("+OK\r\n")]), [Some(1), Some(3)]);
    // A late greeting, by its words or because another status line follows.
    assert_eq!(answers(&[c("CAPA\r\n"), s("+OK ready\r\n"), s("+OK\r\nUSER\r\n.\r\n")]), [None, Some(1)]);
    assert_eq!(answers(&[c("CAPA\r\n"), s("+OK\r\n"), s("+OK\r\nUSER\r\n.\r\n")]), [None, Some(1)]);
    assert_eq!(answers(&[c("NOOP\r\nQUIT\r\n"), s("+OK\r\n+OK\r\n+OK\r\n")]), [None, Some(1), Some(2)]);
    // Nothing follows: servers greet.
    assert_eq!(told(&[c("QUIT\r\n"), s("-ERR busy\r\n")]).summary.3, Some(Outcome::Refused));
    // It accepted STLS.
    let tls = told(&[c("STLS\r\n"), s("+OK\r\n"), c("\x16"), c("STAT\r\n"), s("+OK 1 1\r\n")]);
    assert!(tls.starttls);
    assert_eq!(tls.replies()[0].command, Some(1));
}

#[test]
fn bounds_and_noise() {
    // No line end for long, binary noise, empty lines: nothing is lost track of.
    let long = vec![b'x'; 200_000];
    let long = told(&[
        s("+OK\r\n"),
        c(&long),
        c("\r\n"),
        s("-ERR Too long\r\n"),
        c("\r\n"),
        s("-ERR What\r\n"),
        c("STAT\r\n"),
        s("+OK 1 1\r\n"),
    ]);
    assert_eq!(long.lines()[1], "! long-line");
    assert_eq!(long.lines().last().map(String::as_str), Some("< +OK 1 1"));
    assert_eq!(long.replies()[3].command, Some(7));
    // A refused greeting; a connection that says nothing.
    let refused = told(&[s("-ERR [SYS/TEMP] busy\r\n")]);
    assert_eq!(
        (refused.summary.3, refused.replies()[0].enhanced.clone()),
        (Some(Outcome::Refused), Some("SYS/TEMP".into()))
    );
    assert_eq!(told(&[]).summary.3, Some(Outcome::NoBanner));
    // The connection ends inside a message.
    let cut = told(&[s("+OK\r\n"), c("RETR 1\r\n"), s("+OK\r\nA: b\r\n")]);
    assert_eq!(cut.lines()[3..], ["! message-cut", "message 1 Full 6 false"]);
    assert_eq!(cut.summary.3, None);
}
