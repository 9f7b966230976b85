//! Literals of the client's: announced, refused, sent without leave.

use super::*;
use crate::event::{MessageOutcome, MessagePart};

#[test]
fn login_with_literals() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("L1 LOGIN {5}\r\n"),
        s("+ OK\r\n"),
        c("alice {11+}\r\nwonderland1\r\n"),
        s("L1 OK Logged in\r\n"),
    ]);
    assert_eq!(story.lines(), ["L1 LOGIN alice ***"]);
    assert_eq!(story.auths()[0].user, Some("alice".into()));
    assert!(!format!("{:?}", story.events).contains("wonderland"));
    let command = story.events.iter().find(|e| matches!(e.body, EventBody::Command(_))).unwrap();
    assert!(story.replies()[1..].iter().all(|r| r.command == Some(command.seq)));
    assert_eq!((command.span.first.number, command.span.last.number), (2, 4));
}

#[test]
fn literals_in_arguments() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("S1 SEARCH CHARSET UTF-8 BODY {6}\r\n"),
        s("+ OK\r\n"),
        c("grüß\r\n"),
        s("S1 OK\r\n"),
        c(
            "S2 CREATE {3+}\r\na{5\r\nS3 CREATE {0+}\r\n\r\nS4 SEARCH SUBJECT \"x {50}\"\r\nS5 SEARCH SUBJECT \"x {50}\r\n",
        ),
    ]);
    assert_eq!(
        story.lines(),
        [
            "S1 SEARCH CHARSET UTF-8 BODY {6} grüß",
            "S2 CREATE {3+} a{5",
            "S3 CREATE {0+}",
            "S4 SEARCH SUBJECT \"x {50}\"",
            "S5 SEARCH SUBJECT \"x {50}",
        ]
    );
}

/// Continuations come in the order of the commands: the first is IDLE's, though `DONE` is sent already.
#[test]
fn the_continuation_of_an_idle_is_no_leave_for_a_later_literal() {
    let ask = [s("* OK hi\r\n"), c("7 IDLE\r\nDONE\r\n8 APPEND Sent {5}\r\n"), s("+ idling\r\n"), s("7 OK\r\n")];
    let end = [c("9 NOOP\r\n"), s("9 OK\r\n"), c("10 LOGOUT\r\n"), s("* BYE\r\n10 OK\r\n")];
    let answered = |story: &Story| {
        let commands = story.events.iter().filter(|e| matches!(e.body, EventBody::Command(_)));
        let commands: Vec<u64> = commands.map(|e| e.seq).collect();
        let replies = story.replies().into_iter().filter_map(|r| r.command);
        replies.map(|seq| commands.iter().position(|&c| c == seq).unwrap()).collect::<Vec<_>>()
    };
    let story = tell(&[&ask[..], &[s("8 NO [OVERQUOTA]\r\n")], &end].concat());
    assert_eq!(story.lines(), ["7 IDLE", "DONE", "8 APPEND Sent {5}", "9 NOOP", "10 LOGOUT"]);
    assert_eq!(story.messages().len(), 0);
    assert_eq!(answered(&story), [0, 0, 2, 3, 4, 4]);
    assert_eq!(story.codes(), [""; 0]);

    let taken = [s("+ go\r\n"), c("hello\r\n"), s("8 OK\r\n")];
    let story = tell(&[&ask[..], &taken, &end].concat());
    assert_eq!((story.messages().len(), story.messages()[0].size), (1, 5));
    assert_eq!(answered(&story), [0, 0, 2, 2, 3, 4, 4]);
    // An IDLE that was refused has none.
    let ask = [s("* OK hi\r\n"), c("7 IDLE\r\nDONE\r\n8 APPEND Sent {5}\r\n"), s("7 BAD no\r\n")];
    assert_eq!(tell(&[&ask[..], &taken, &end].concat()).messages()[0].size, 5);
}

#[test]
fn refused_literal_is_never_sent() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a APPEND nowhere {10}\r\n"),
        s("a NO [TRYCREATE] no such mailbox\r\n"),
        c("b NOOP\r\n"),
        s("b OK\r\n"),
    ]);
    assert_eq!(story.lines(), ["a APPEND nowhere {10}", "b NOOP"]);
    assert_eq!(story.messages().len(), 0);
    assert_eq!(story.replies()[1].command, Some(2));
    assert_eq!(story.replies()[1].latency, Some(1000));
}

#[test]
fn client_that_does_not_wait() {
    // Sent before the answer: what it is depends on the answer.
    let early = [s("* OK hi\r\n"), c("a APPEND x {4}\r\nmail\r\nb NOOP\r\n")];
    let mut accepted = early.to_vec();
    accepted.extend([s("+ go\r\na OK\r\nb OK\r\n")]);
    let story = tell(&accepted);
    assert_eq!(story.lines(), ["a APPEND x {4}", "b NOOP"]);
    assert_eq!(story.messages()[0].size, 4);
    let mut refused = early.to_vec();
    refused.extend([s("a NO no\r\nmail BAD what\r\nb OK\r\n")]);
    let story = tell(&refused);
    assert_eq!(story.lines(), ["a APPEND x {4}", "mail mail", "b NOOP"]);
    assert_eq!(story.messages().len(), 0);
}

#[test]
fn non_synchronising_literal_is_sent_even_if_refused() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a APPEND x {10+}\r\n12345"),
        s("a NO [OVERQUOTA] full\r\n"),
        c("67890\r\nb NOOP\r\n"),
        s("b OK\r\n"),
    ]);
    assert_eq!(story.lines(), ["a APPEND x {10+}", "b NOOP"]);
    let message = &story.messages()[0];
    assert_eq!((message.size, message.complete, message.outcome), (10, true, MessageOutcome::Rejected));
    assert_eq!(message.status, Some("NO [OVERQUOTA] full".into()));
    assert_eq!(story.replies()[1].command, Some(2));
}

#[test]
fn append() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("P1 APPEND \"My Box\" (\\Seen custom) \"24-Nov-2026 01:02:03 +0100\" {5}\r\n"),
        s("+ OK\r\n"),
        c("a\r\n.\r\r\n"),
        s("P1 OK [APPENDUID 1795489192 6] done\r\n"),
        c("P2 APPEND INBOX {0}\r\n"),
        s("+ OK\r\n"),
        c("\r\n"),
        s("P2 NO empty\r\n"),
        c("P3 APPEND INBOX ~{3+}\r\n\0\r\n\r\nP4 APPEND INBOX UTF8 (~{1+}\r\nx)\r\n"),
        s("P3 OK\r\nP4 OK\r\n"),
    ]);
    let messages = story.messages();
    let first = &messages[0];
    assert_eq!(first.mailbox, Some("My Box".into()));
    assert_eq!(first.flags, ["\\Seen".into(), "custom".into()]);
    assert_eq!(first.internaldate, Some("24-Nov-2026 01:02:03 +0100".into()));
    assert_eq!((first.uidvalidity, first.uid, first.size), (Some(1_795_489_192), Some(6), 5));
    assert_eq!((first.part, first.outcome, first.ordinal), (MessagePart::Full, MessageOutcome::Accepted, 1));
    assert_eq!((messages[1].size, messages[1].outcome, messages[1].complete), (0, MessageOutcome::Rejected, true));
    assert_eq!((messages[2].size, messages[2].transaction), (3, 3));
    assert_eq!(messages[3].size, 1);
    assert_eq!(story.summary.messages, 4);
}

#[test]
fn multiappend_and_catenate() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("P3 APPEND INBOX (\\Flagged) {1+}\r\na (\\Seen) {2+}\r\nbb {3+}\r\nccc\r\n"),
        s("P3 OK [APPENDUID 7 8:10] done\r\n"),
        // After RFC 4469 §3.
        c("A003 APPEND Drafts (\\Draft) CATENATE (TEXT {4}\r\n"),
        s("+ Ready for literal data\r\n"),
        c("part TEXT {2}\r\n"),
        s("+ Ready for literal data\r\n"),
        c("--)\r\n"),
        s("A003 OK [APPENDUID 7 11] catenate append completed\r\n"),
    ]);
    let messages = story.messages();
    let sizes: Vec<_> = messages.iter().map(|m| (m.size, m.uid, m.part, m.transaction)).collect();
    assert_eq!(
        sizes,
        [
            (1, Some(8), MessagePart::Full, 1),
            (2, Some(9), MessagePart::Full, 1),
            (3, Some(10), MessagePart::Full, 1),
            (4, Some(11), MessagePart::Section, 2),
            (2, Some(11), MessagePart::Section, 2),
        ]
    );
    assert_eq!(messages[1].flags, ["\\Seen".into()]);
    assert_eq!(messages[2].flags, []);
    assert_eq!(story.lines()[1], "A003 APPEND Drafts (\\Draft) CATENATE (TEXT {4} TEXT {2})");
    assert_eq!(story.summary.messages, 3);
}

#[test]
fn lengths_that_lie() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a APPEND x {4294967296}\r\n"),
        s("a BAD too big\r\n"),
        c("b CREATE {-1}\r\n"),
        s("b BAD what\r\n"),
        c("c CREATE {4294967296+}\r\nd CREATE {99999999999999999999}\r\n"),
        s(
            "c BAD what\r\nd BAD what\r\n* LIST () \"/\" {99999999999}\r\n* 1 FETCH (BODY[] {2}\r\nfour)\r\n* 4 EXISTS\r\n",
        ),
    ]);
    assert_eq!(
        story.lines(),
        ["a APPEND x {4294967296}", "b CREATE {-1}", "c CREATE {4294967296+}", "d CREATE {99999999999999999999}"]
    );
    assert_eq!(story.told().last().unwrap(), "* 4 EXISTS");
    assert_eq!(story.codes(), ["bad-length", "bad-length", "bad-length", "bad-length", "bad-length", "resynchronised"]);
}

#[test]
fn response_text_carries_no_literals() {
    let story = tell(&[
        s("* OK quota {5}\r\n"),
        c("a NOOP\r\n"),
        s("* NO nearly full {3}\r\na OK done {7}\r\n+ more {2}\r\n* LIST () \"/\" {5}\r\nIN{BX\r\n* 2 EXISTS\r\n"),
    ]);
    assert_eq!(
        story.told(),
        [
            "OK quota {5}",
            "NO nearly full {3}",
            "a OK done {7}",
            "+ more {2}",
            "* LIST () \"/\" {5} IN{BX",
            "* 2 EXISTS"
        ]
    );
}
