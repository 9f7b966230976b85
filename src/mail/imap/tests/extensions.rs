//! Extensions, each by a small dialogue after its RFC's examples: what is told of it, and that the place is kept.

use super::*;
use crate::event::{MessageOutcome, MessagePart};

/// A dialogue behind a greeting; commands by tag and verb, untagged data, messages by section, part and size.
fn told(steps: &[Step]) -> Story {
    let story = tell(&[&[s("* OK hi\r\n")], steps, &[c("end NOOP\r\n"), s("* 7 EXISTS\r\nend OK done\r\n")]].concat());
    assert_eq!(story.lines().last().map(String::as_str), Some("end NOOP"), "the client's place");
    let replies = story.told();
    assert_eq!(replies[replies.len() - 2..], ["* 7 EXISTS", "end OK done"], "the server's place");
    story
}

fn untagged(story: &Story) -> Vec<String> {
    let all = story.told();
    let own = &all[1..all.len() - 2];
    own.iter().filter_map(|l| l.strip_prefix("* ")).map(str::to_owned).collect()
}

fn messages(story: &Story) -> Vec<(MessagePart, u64, Option<u32>)> {
    story.messages().iter().map(|m| (m.part, m.size, m.uid)).collect()
}

#[test]
fn notify() {
    // RFC 5465 §5.
    let story = told(&[
        c(
            "b NOTIFY SET (selected MessageNew (uid body.peek[header.fields (from)]) MessageExpunge) (subtree Lists MessageNew)\r\n",
        ),
        s("b OK done\r\n"),
        s("* 7 EXISTS\r\n* STATUS Lists/Im2000 (UIDNEXT 8 MESSAGES 8)\r\n"),
        s("* 7 FETCH (UID 9 BODY[HEADER.FIELDS (FROM)] {13}\r\nFrom: x@y\r\n\r\n)\r\n"),
    ]);
    assert_eq!(messages(&story), [(MessagePart::Headers, 13, Some(9))]);
    let unasked: Vec<_> = story.replies().iter().filter(|r| r.status.0 == b"*").map(|r| r.command.is_some()).collect();
    assert!(unasked[..3].iter().all(|asked| !asked), "{unasked:?}");
}

#[test]
fn catenate_with_urls() {
    // RFC 4469 §4's first example: what the URLs name is not here.
    let story = told(&[
        c(
            "A APPEND Drafts (\\Seen) CATENATE (URL \"/Drafts;UIDVALIDITY=3857529045/;UID=20/;section=HEADER\" TEXT {4}\r\n",
        ),
        s("+ Ready\r\n"),
        c("\r\n--URL \"/x;UID=20/;section=1\" TEXT {2+}\r\nhi)\r\n".replace("--URL", "-- URL").as_str()),
        s("A OK [APPENDUID 7 45] done\r\n"),
    ]);
    assert_eq!(messages(&story), [(MessagePart::Section, 4, Some(45)), (MessagePart::Section, 2, Some(45))]);
    assert_eq!(story.summary.messages, 0, "no whole message was seen");
}

#[test]
fn urlauth() {
    // RFC 4467 §8.
    let story = told(&[
        c(
            "a GENURLAUTH \"imap://joe@example.com/INBOX/;uid=20/;section=1.2;expire=2027;urlauth=submit+fred\" INTERNAL\r\n",
        ),
        s(
            "* GENURLAUTH \"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred:internal:91354a47\"\r\na OK\r\n",
        ),
        c("b URLFETCH \"imap://joe@example.com/INBOX/;uid=20\"\r\n"),
        s("* URLFETCH \"imap://joe@example.com/INBOX/;uid=20\" {28}\r\nSi vis pacem, para bellum.\r\n\r\nb OK\r\n"),
        c("c RESETKEY\r\n"),
        s("c OK [URLMECH INTERNAL] x\r\n"),
    ]);
    assert_eq!(story.lines()[1..3].len(), 2);
    assert_eq!(story.lines()[2], "c RESETKEY");
    let url = untagged(&story).into_iter().find(|l| l.starts_with("URLFETCH")).unwrap();
    assert!(url.starts_with("URLFETCH \"imap://joe@example.com/INBOX/;uid=20\" {28}"), "{url}");
}

#[test]
fn binary() {
    // RFC 3516 §7, with NULs.
    let story = told(&[
        c("a FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[2])\r\n"),
        s("* 1 FETCH (BINARY[1] ~{5}\r\n\0\r\n.\0 BINARY.SIZE[2] 9)\r\na OK\r\n"),
        c("b FETCH 1 BINARY[]<0.3>\r\n"),
        s("* 1 FETCH (BINARY[]<0> ~{3}\r\n\0\0\0)\r\nb OK\r\n"),
        c("c APPEND x ~{4}\r\n"),
        s("+ go\r\n"),
        c("\0\r\n\0\r\n"),
        s("c OK\r\n"),
        c("d APPEND x {4-}\r\n\0abc\r\n"),
        s("d OK\r\n"),
    ]);
    let sizes: Vec<_> = messages(&story).into_iter().map(|(part, size, _)| (part, size)).collect();
    let want = [(MessagePart::Section, 5), (MessagePart::Range, 3), (MessagePart::Full, 4), (MessagePart::Full, 4)];
    assert_eq!(sizes, want);
}

#[test]
fn searches_sorts_and_threads() {
    // RFC 4731, 5256, 5267.
    let data = [
        "ESEARCH (TAG \"a\") UID COUNT 5 ALL 4:19,21,28",
        "SORT 5 3 4 1 2",
        "THREAD (2)(3 6 (4 23)(44 7 96))",
        "SEARCH 2 84 882",
        "VANISHED (EARLIER) 41,43:116,118",
    ];
    for line in data {
        let story = told(&[c("a UID SEARCH RETURN (COUNT ALL) FLAGGED\r\n"), s(&format!("* {line}\r\na OK done\r\n"))]);
        assert_eq!(untagged(&story), [line]);
        assert_eq!(story.lines()[0], "a UID SEARCH RETURN (COUNT ALL) FLAGGED");
    }
}

#[test]
fn metadata_acl_quota_namespace_id() {
    // RFC 5464 §4.2.1: values are literals.
    let story = told(&[
        c("a SETMETADATA INBOX (/private/comment {7}\r\n"),
        s("+ go\r\n"),
        c("a {3}\r\n /shared/x NIL)\r\n".replace("a {3}\r\n", "a {3}x ").as_str()),
        s("a OK\r\n"),
        c("b GETMETADATA \"INBOX\" /private/comment\r\n"),
        s("* METADATA \"INBOX\" (/private/comment {7}\r\na {3}x )\r\nb OK\r\n"),
        c("c GETQUOTAROOT INBOX\r\n"),
        s("* QUOTAROOT INBOX \"\"\r\n* QUOTA \"\" (STORAGE 10 512)\r\nc OK\r\n"),
        c("d NAMESPACE\r\n"),
        s("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nd OK\r\n"),
        c("e ID (\"name\" \"x {5}\")\r\n"),
        s("* ID (\"name\" \"y\" \"version\" {3}\r\n1.2)\r\ne OK\r\n"),
        c("f GETACL INBOX\r\n"),
        s("* ACL INBOX alice lrswi bob lr\r\nf OK\r\n"),
    ]);
    let verbs: Vec<String> = story.commands().iter().map(|c| c.verb.to_str_lossy().into_owned()).collect();
    assert_eq!(verbs, ["SETMETADATA", "GETMETADATA", "GETQUOTAROOT", "NAMESPACE", "ID", "GETACL", "NOOP"]);
    assert_eq!(untagged(&story).len(), 6, "{:?}", untagged(&story));
}

/// A mailbox is an astring, which a server may send as a literal (RFC 9051 §9).
#[test]
fn literals_in_untagged_data_are_told() {
    let long = "x".repeat(3000);
    let story = told(&[
        c("l LIST \"\" *\r\n"),
        s(
            "* LIST (\\X) \"/\" {7}\r\nwei{5}d\r\n* LIST () \"/\" {0}\r\n\r\n* STATUS {3}\r\nabc (MESSAGES 3)\r\nl OK\r\n",
        ),
        c("m GETMETADATA INBOX /private/comment\r\n"),
        s(&format!("* METADATA INBOX (/private/comment {{3000}}\r\n{long})\r\nm OK\r\n")),
    ]);
    let metadata = format!("METADATA INBOX (/private/comment {{3000}} {})", &long[..1024]);
    assert_eq!(
        untagged(&story),
        ["LIST (\\X) \"/\" {7} wei{5}d", "LIST () \"/\" {0}", "STATUS {3} abc (MESSAGES 3)", metadata.as_str()]
    );
}

/// Names with quotes, text of eight bits, labels: all but contents, which are messages.
#[test]
fn literals_in_a_fetch_are_told_but_for_contents() {
    let long = "x".repeat(2000);
    let fetch = format!(
        "* 1 FETCH (ENVELOPE (\"Wed\" {{11}}\r\n\"caf\u{e9}\" {{4}} ((NIL NIL \"a\" {{3}}\r\nb.c)) NIL) BODY[] {{5}}\r\nhello \
         X-GM-LABELS ({{7}}\r\nfoo bar) PREVIEW {{2000}}\r\n{long} UID 5)\r\na OK\r\n"
    );
    let story = told(&[c("a FETCH 1 ALL\r\n"), s(&fetch)]);
    let shown = format!(
        "1 FETCH (ENVELOPE (\"Wed\" {{11}} \"caf\u{e9}\" {{4}} ((NIL NIL \"a\" {{3}} b.c)) NIL) BODY[] {{5}} \
         X-GM-LABELS ({{7}} foo bar) PREVIEW {{2000}} {} UID 5)",
        &long[..1024]
    );
    assert_eq!(untagged(&story), [shown.as_str()]);
    let message = &story.messages()[0];
    assert_eq!((message.size, message.uid), (5, Some(5)));
}

#[test]
fn utf8_accept_and_enable() {
    // RFC 6855 §4.
    let story = told(&[
        c("a ENABLE UTF8=ACCEPT CONDSTORE\r\n"),
        s("* ENABLED UTF8=ACCEPT\r\na OK\r\n"),
        c("b SELECT \"Gr\u{fc}\u{df}e\"\r\n"),
        s("* 2 EXISTS\r\n* OK [UIDVALIDITY 3] x\r\nb OK\r\n"),
        c("c FETCH 1 BODY[]\r\n"),
        s("* 1 FETCH (BODY[] {2}\r\nhi MODSEQ (12))\r\nc OK\r\n"),
    ]);
    let message = &story.messages()[0];
    assert_eq!((message.mailbox.clone(), message.uidvalidity), (Some("Gr\u{fc}\u{df}e".into()), Some(3)));
}

#[test]
fn gmails_items() {
    let story = told(&[
        c("a FETCH 1 (UID X-GM-MSGID X-GM-THRID X-GM-LABELS BODY.PEEK[])\r\n"),
        s(
            "* 1 FETCH (X-GM-THRID 1266894439832287888 X-GM-MSGID 1278455344230334865 X-GM-LABELS (\\Inbox \"a (b\" {5}\r\nx) {1) UID 8 BODY[] {2}\r\nhi FLAGS (\\Seen))\r\na OK\r\n",
        ),
        c("b SEARCH X-GM-RAW \"has:attachment {4}\"\r\n"),
        s("* SEARCH 1\r\nb OK\r\n"),
    ]);
    assert_eq!(messages(&story), [(MessagePart::Full, 2, Some(8))]);
    assert_eq!(story.messages()[0].flags, ["\\Seen".into()]);
}

#[test]
fn the_mailbox_is_the_one_that_was_selected_last() {
    let fetch = |tag: &str| {
        [c(&format!("{tag} FETCH 1 BODY[]\r\n")), s(&format!("* 1 FETCH (BODY[] {{1}}\r\nx)\r\n{tag} OK\r\n"))]
    };
    let select = |tag: &str, verb: &str, name: &str, validity: u32| {
        [
            c(&format!("{tag} {verb} {name}\r\n")),
            s(&format!("* 1 EXISTS\r\n* OK [UIDVALIDITY {validity}] x\r\n{tag} OK\r\n")),
        ]
    };
    let story = told(
        &[
            &select("a", "SELECT", "INBOX", 1)[..],
            &fetch("b"),
            &select("c", "EXAMINE", "Sent", 2),
            &fetch("d"),
            &[c("e SELECT nope\r\n"), s("e NO no\r\n")],
            &fetch("f"),
            &select("g", "SELECT", "INBOX", 1),
            &fetch("h"),
            &[c("i CLOSE\r\n"), s("i OK\r\n")],
            &fetch("j"),
        ]
        .concat(),
    );
    let boxes: Vec<_> = story
        .messages()
        .iter()
        .map(|m| (m.mailbox.as_ref().map(|b| b.to_str_lossy().into_owned()), m.uidvalidity))
        .collect();
    let named = |name: &str, validity| (Some(name.to_owned()), Some(validity));
    // A SELECT that fails leaves none (RFC 9051 §6.3.2).
    assert_eq!(boxes, [named("INBOX", 1), named("Sent", 2), (None, None), named("INBOX", 1), (None, None)]);
}

#[test]
fn moves_copies_and_replaces() {
    let story = told(&[
        c("a UID MOVE 42:69 foo\r\n"),
        s("* OK [COPYUID 432432 42:69 1202:1229] x\r\n* 22 EXPUNGE\r\na OK Done\r\n"),
        c("b UID REPLACE 2 Drafts (\\Seen) {3+}\r\nnew\r\n"),
        s("* OK [APPENDUID 1 2000] Replacement\r\n* 2 EXPUNGE\r\nb OK done\r\n"),
    ]);
    assert_eq!(story.lines()[..2], ["a UID MOVE 42:69 foo", "b UID REPLACE 2 Drafts (\\Seen) {3+}"]);
    let message = &story.messages()[0];
    assert_eq!((message.size, message.outcome), (3, MessageOutcome::Accepted));
    assert_eq!(message.mailbox, Some("Drafts".into()));
    // RFC 8508 §3.3: told before the tagged reply.
    assert_eq!((message.uidvalidity, message.uid), (Some(1), Some(2000)));
}

#[test]
fn what_was_compressed_goes_on() {
    let mut run = Run::default();
    run.feed(&[s("* OK hi\r\n"), c("a COMPRESS DEFLATE\r\n")], 1);
    assert_eq!(run.input(Direction::Server, b"a OK on\r\n").next, Next::Deflate);
    assert!(run.imap.take_held(Direction::Client).is_none());
    run.feed(
        &[c("b SELECT x\r\n"), s("b OK\r\n"), c("c FETCH 1 BODY[]\r\n"), s("* 1 FETCH (BODY[] {2}\r\nhi)\r\nc OK\r\n")],
        1,
    );
    let story = run.finish();
    assert_eq!(story.lines(), ["a COMPRESS DEFLATE", "b SELECT x", "c FETCH 1 BODY[]"]);
    assert_eq!((story.messages()[0].size, story.messages()[0].mailbox.clone()), (2, Some("x".into())));
}
