//! Messages out of FETCH: whole, by section, put together from ranges.

use super::*;
use crate::event::MessagePart;

fn session(middle: &[Step]) -> Vec<Step> {
    let mut steps = vec![s("* OK hi\r\n"), c("s SELECT INBOX\r\n"), s("* OK [UIDVALIDITY 9] x\r\ns OK\r\n")];
    steps.extend_from_slice(middle);
    steps
}

#[test]
fn facts_behind_the_literal() {
    let story = tell(&session(&[
        c("f UID FETCH 5 (FLAGS INTERNALDATE BODY.PEEK[])\r\n"),
        s(
            "* 2 FETCH (INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" BODY[] {5}\r\nhi)\r\n UID 5 FLAGS (\\Seen $x))\r\nf OK\r\n",
        ),
    ]));
    let message = &story.messages()[0];
    assert_eq!((message.uid, message.seqno, message.size), (Some(5), Some(2), 5));
    assert_eq!(message.flags, ["\\Seen".into(), "$x".into()]);
    assert_eq!(message.internaldate, Some("17-Jul-1996 02:44:25 -0700".into()));
    assert_eq!((message.mailbox.clone(), message.uidvalidity), (Some("INBOX".into()), Some(9)));
    assert_eq!((message.part, message.complete), (MessagePart::Full, true));
    assert_eq!(story.told()[3].split(' ').next(), Some("*"));
}

#[test]
fn sections() {
    let story = tell(&session(&[
        c("f FETCH 1 (BODY BODY[1] BODY[2.MIME] BODY[HEADER.FIELDS (FROM)] RFC822.HEADER RFC822.TEXT)\r\n"),
        s(
            "* 1 FETCH (ENVELOPE (\"a (\" NIL {3}\r\n)\"( ((\"x\" NIL \"y\" \"z\"))) BODY (\"text\" \"plain\" NIL) UID 4 ",
        ),
        s(
            "BODY[1] \"q\\\"\\\\t (\" BODY[2.MIME] NIL BODY[HEADER.FIELDS ({4}\r\nFROM \"t\\\"]o\")] {2}\r\n\r\n RFC822.HEADER {0}\r\n",
        ),
        s(" RFC822.TEXT {1}\r\nx BINARY[2] ~{2}\r\n\0\0 RFC822 \"\" BODY[3] \"\")\r\nf OK\r\n"),
    ]));
    let got: Vec<_> = story
        .messages()
        .iter()
        .map(|m| (m.section.as_ref().unwrap().to_str_lossy().into_owned(), m.size, m.part))
        .collect();
    let want = [
        ("BODY[1]", 6, MessagePart::Section),
        ("BODY[HEADER.FIELDS (FROM \"t\\\"]o\")]", 2, MessagePart::Headers),
        ("RFC822.HEADER", 0, MessagePart::Headers),
        ("RFC822.TEXT", 1, MessagePart::Section),
        ("BINARY[2]", 2, MessagePart::Section),
        ("RFC822", 0, MessagePart::Full),
        ("BODY[3]", 0, MessagePart::Section),
    ];
    assert_eq!(got, want.map(|(n, s, p)| (n.to_owned(), s, p)));
    assert!(story.messages().iter().all(|m| m.uid == Some(4) && m.complete && m.transaction == 1));
}

#[test]
fn ranges_of_many_messages_fetched_in_rounds_are_joined() {
    let rounds = |count: usize| {
        let mut steps = session(&[]);
        for (origin, asked, bytes) in [(0, 4, "abcd"), (4, 9, "efg")] {
            let fetch = |n: usize| format!("* {n} FETCH (UID {n} BODY[]<{origin}> \"{bytes}\")\r\n");
            steps.push(c(&format!("f FETCH 1:{count} BODY.PEEK[]<{origin}.{asked}>\r\n")));
            steps.push(s(&((1..=count).map(fetch).collect::<String>() + "f OK\r\n")));
        }
        let mut run = Run::default();
        run.feed(&steps, usize::MAX);
        let story = run.finish();
        let joined = story.messages().iter().filter(|m| m.joined && m.size == 7 && m.complete).count();
        (joined, story.codes())
    };
    assert_eq!(rounds(17), (17, vec![]));
    assert_eq!(rounds(100), (100, vec![]));
    // Beyond the bound that is said, once.
    let (joined, codes) = rounds(2000);
    assert!((16..2000).contains(&joined), "{joined}");
    assert_eq!(codes, ["entry-limit"]);
}

#[test]
fn uidfetch_is_a_fetch() {
    // RFC 9586 §3.3.
    let story = tell(&session(&[
        c("f UID FETCH 25900:26600 (FLAGS BODY[])\r\n"),
        s("* 25996 UIDFETCH (FLAGS (\\Seen) BODY[] {5}\r\nhi)\r\n)\r\n*  2 FETCH (BODY[] {1}\r\nx)\r\nf OK\r\n"),
    ]));
    let messages: Vec<_> = story.messages().iter().map(|m| (m.uid, m.seqno, m.size, m.complete)).collect();
    assert_eq!(messages, [(Some(25996), None, 5, true), (None, Some(2), 1, true)]);
    // Behind a loss, too.
    let fetch = s("* 25996 UIDFETCH (BODY[] {1}\r\nx)\r\nf OK\r\n");
    let lossy = tell(&session(&[c("f UID FETCH 1:* BODY[]\r\n"), Step::GapS(90), s("rest\r\n"), fetch]));
    assert_eq!(lossy.messages().len(), 1);
}

#[test]
fn ranges_make_a_whole() {
    let story = tell(&session(&[
        c("f UID FETCH 5 BODY.PEEK[]<0.4>\r\n"),
        s("* 2 FETCH (UID 5 BODY[]<0> {4}\r\nabcd)\r\nf OK\r\n"),
        c("g UID FETCH 5 BODY.PEEK[]<4.4>\r\n"),
        s("* 2 FETCH (BODY[]<4> {4}\r\nefgh UID 5)\r\ng OK\r\n"),
        c("h UID FETCH 5 BODY.PEEK[]<8.4>\r\n"),
        s("* 2 FETCH (UID 5 BODY[]<8> {1}\r\ni)\r\nh OK\r\n"),
    ]));
    let messages = story.messages();
    assert_eq!(messages.len(), 4);
    assert!(messages[..3].iter().all(|m| m.part == MessagePart::Range && !m.joined));
    let whole = &messages[3];
    assert_eq!((whole.part, whole.joined, whole.size, whole.complete), (MessagePart::Full, true, 9, true));
    assert_eq!((whole.uid, whole.section.clone()), (Some(5), Some("BODY[]".into())));
    assert_eq!(story.summary.messages, 1);
}

#[test]
fn header_and_text_make_a_whole() {
    let wholes = |middle: &[Step]| -> Vec<(u64, bool, String)> {
        let story = tell(&session(middle));
        let wholes = story.messages().into_iter().filter(|m| m.part == MessagePart::Full);
        let told = wholes.map(|m| (m.size, m.complete && m.joined, m.section.unwrap().to_str_lossy().into_owned()));
        told.collect()
    };
    let header = "* 1 FETCH (RFC822.HEADER {8}\r\nA: b\r\n\r\n)\r\nf OK\r\n";
    let ask = c("f FETCH 1 RFC822.HEADER\r\n");
    // fetchmail's way, and iOS's.
    let text = [c("g FETCH 1 BODY.PEEK[TEXT]\r\n"), s("* 1 FETCH (BODY[TEXT] {3}\r\nx\r\n)\r\ng OK\r\n")];
    let joined = wholes(&[ask.clone(), s(header), text[0].clone(), text[1].clone()]);
    assert_eq!(joined, [(11, true, "RFC822.HEADER BODY[TEXT]".to_owned())]);
    let both = "* 1 FETCH (BODY[HEADER] {8}\r\nA: b\r\n\r\n BODY[TEXT] {3}\r\nx\r\n)\r\ng OK\r\n";
    let joined = wholes(&[c("g FETCH 1 (BODY[HEADER] BODY[TEXT])\r\n"), s(both)]);
    assert_eq!(joined, [(11, true, "BODY[HEADER] BODY[TEXT]".to_owned())]);
    // Another message's, by its number, its UID, or because the numbers moved; a header without its end; a gap in it.
    let other = s("* 2 FETCH (BODY[TEXT] {3}\r\nx\r\n)\r\ng OK\r\n");
    assert_eq!(wholes(&[ask.clone(), s(header), text[0].clone(), other]), []);
    let with_uid = |uid: u32, item: &str| format!("* 1 FETCH (UID {uid} {item})\r\ng OK\r\n");
    let (head, body) = ("BODY[HEADER] {8}\r\nA: b\r\n\r\n", "BODY[TEXT] {1}\r\nx");
    for (second, count) in [(7, 1), (8, 0)] {
        let steps = [ask.clone(), s(&with_uid(7, head)), text[0].clone(), s(&with_uid(second, body))];
        assert_eq!(wholes(&steps).len(), count, "{second}");
    }
    assert_eq!(wholes(&[ask.clone(), s(header), s("* 1 EXPUNGE\r\n"), text[0].clone(), text[1].clone()]), []);
    let endless = s("* 1 FETCH (RFC822.HEADER {6}\r\nA: b\r\n)\r\nf OK\r\n");
    assert_eq!(wholes(&[ask.clone(), endless, text[0].clone(), text[1].clone()]), []);
    let lossy = [s("* 1 FETCH (RFC822.HEADER {8}\r\nA: "), Step::GapS(2), s("\r\n\r\n)\r\nf OK\r\n")];
    assert_eq!(wholes(&[std::slice::from_ref(&ask), &lossy[..], &text[..]].concat()), []);
    // A gap in the text is the message's.
    let lossy = [text[0].clone(), s("* 1 FETCH (BODY[TEXT] {3}\r\n"), Step::GapS(1), s("\r\n)\r\ng OK\r\n")];
    let told = wholes(&[&[ask.clone(), s(header)], &lossy[..]].concat());
    assert_eq!(told, [(10, false, "RFC822.HEADER BODY[TEXT]".to_owned())]);
    // A gap between them may hold what moved the numbers, and another header: that of a text that had one, too.
    let [selects, lost] = [c("e SELECT other\r\n"), Step::GapS(40)];
    for steps in [&[][..], &text[..]] {
        let before = [&[ask.clone(), s(header)], steps].concat();
        let behind = [&[selects.clone(), lost.clone(), s("* OK more\r\n")], &text[..]].concat();
        assert_eq!(wholes(&[&before[..], &behind[..]].concat()).len(), steps.len() / 2);
    }
    // What is lost of the client moves none unnoticed: the server's answer is there.
    let between = [Step::GapC(40), c("e NOOP\r\n"), s("e OK\r\n")];
    assert_eq!(wholes(&[&[ask.clone(), s(header)], &between[..], &text[..]].concat()).len(), 1);
    let other = [Step::GapC(40), s("* FLAGS ()\r\n* 9 EXISTS\r\ne OK [READ-WRITE] done\r\n")];
    assert_eq!(wholes(&[&[ask, s(header)], &other[..], &text[..]].concat()), []);
}

#[test]
fn ranges_end_by_size_or_empty_range() {
    let story = tell(&session(&[
        c("e FETCH 1 RFC822.SIZE\r\n"),
        s("* 1 FETCH (RFC822.SIZE 8)\r\ne OK\r\n"),
        c("f FETCH 1 BODY[]<0.4>\r\n"),
        s("* 1 FETCH (BODY[]<0> {4}\r\nabcd)\r\nf OK\r\n"),
        c("g FETCH 1 BODY[]<4.4>\r\n"),
        s("* 1 FETCH (BODY[]<4> {4}\r\nefgh)\r\ng OK\r\n"),
        c("h FETCH 2 BODY[]<0.2>\r\n"),
        s("* 2 FETCH (BODY[]<0> {2}\r\nab)\r\nh OK\r\n"),
        c("i FETCH 2 BODY[]<2.2>\r\n"),
        s("* 2 FETCH (BODY[]<2> \"\")\r\ni OK\r\n"),
    ]));
    let joined: Vec<_> = story.messages().iter().filter(|m| m.joined).map(|m| (m.seqno, m.uid, m.size)).collect();
    assert_eq!(joined, [(Some(1), None, 8), (Some(2), None, 2)]);
}

/// RFC 2180 section 4.1.3: what servers say of it.
#[test]
fn ranges_of_a_message_that_was_expunged_meanwhile_are_no_whole() {
    for size in ["", "RFC822.SIZE 6 "] {
        let story = tell(&session(&[
            c("j FETCH 3 BODY[]<0.2>\r\n"),
            s(&format!("* 3 FETCH ({size}BODY[]<0> {{2}}\r\nab)\r\nj OK\r\n")),
            c("k FETCH 3 BODY[]<2.2>\r\n"),
            s("* 3 FETCH (BODY[]<2> NIL UID 9)\r\nk OK\r\n"),
        ]));
        assert!(!story.messages().iter().any(|m| m.joined), "{:#?}", story.messages());
    }
}

/// RFC 1730 §6.4.6, IMAP4's first version: what comes back looks like the whole.
#[test]
fn partial_fetches_are_ranges() {
    let story = tell(&session(&[
        c("f PARTIAL 4 RFC822 1 6\r\n"),
        s("* 4 FETCH (RFC822 {6}\r\nabcdef)\r\nf OK\r\n"),
        c("g PARTIAL 4 RFC822 7 6\r\n"),
        s("* 4 FETCH (RFC822 {2}\r\ngh)\r\ng OK\r\n"),
        c("h PARTIAL 4 BODY[1] 1 6\r\n"),
        s("* 4 FETCH (BODY[1] {6}\r\nabcdef)\r\nh OK\r\n"),
        c("i FETCH 5 RFC822\r\n"),
        s("* 5 FETCH (RFC822 {6}\r\nabcdef)\r\ni OK\r\n"),
    ]));
    let told: Vec<_> = story.messages().iter().map(|m| (m.seqno, m.part, m.joined, m.size)).collect();
    let (range, full) = (MessagePart::Range, MessagePart::Full);
    assert_eq!(
        told,
        [
            (Some(4), range, false, 6),
            (Some(4), range, false, 2),
            (Some(4), full, true, 8),
            (Some(4), range, false, 6),
            (Some(5), full, false, 6),
        ]
    );
}

#[test]
fn a_size_that_is_too_small_does_not_end_the_ranges() {
    // Exchange and others estimate it.
    let range = |origin: u64, bytes: &str| {
        [
            c(&format!("f FETCH 1 (RFC822.SIZE BODY[]<{origin}.4>)\r\n")),
            s(&format!("* 1 FETCH (RFC822.SIZE 6 BODY[]<{origin}> {{{}}}\r\n{bytes})\r\nf OK\r\n", bytes.len())),
        ]
    };
    for (last, size) in [("i", 9), ("", 8)] {
        let story = tell(&session(&[range(0, "abcd"), range(4, "efgh"), range(8, last)].concat()));
        let joined: Vec<_> = story.messages().iter().filter(|m| m.joined).map(|m| (m.size, m.complete)).collect();
        assert_eq!(joined, [(size, true)]);
    }
}

#[test]
fn ranges_by_number_end_by_a_size_that_was_told_with_the_uid() {
    let story = tell(&session(&[
        c("e FETCH 1 (UID RFC822.SIZE)\r\n"),
        s("* 1 FETCH (UID 10 RFC822.SIZE 8)\r\ne OK\r\n"),
        c("f FETCH 1 BODY[]<0.4>\r\n"),
        s("* 1 FETCH (BODY[]<0> {4}\r\nabcd)\r\nf OK\r\n"),
        c("g FETCH 1 BODY[]<4.4>\r\n"),
        s("* 1 FETCH (BODY[]<4> {4}\r\nefgh)\r\ng OK\r\n"),
    ]));
    let joined: Vec<_> = story.messages().iter().filter(|m| m.joined).map(|m| (m.seqno, m.size)).collect();
    assert_eq!(joined, [(Some(1), 8)]);
}

#[test]
fn ranges_that_overlap_or_come_out_of_order_make_a_whole() {
    let fetch = |tag: &str, origin: u64, asked: u64, bytes: &str| {
        [
            c(&format!("{tag} UID FETCH 5 BODY.PEEK[]<{origin}.{asked}>\r\n")),
            s(&format!("* 2 FETCH (UID 5 BODY[]<{origin}> {{{}}}\r\n{bytes})\r\n{tag} OK\r\n", bytes.len())),
        ]
    };
    let joined = |ranges: &[[Step; 2]]| -> Vec<(u64, bool, Option<[u8; 32]>)> {
        let story = tell(&session(&ranges.concat()));
        assert_eq!(story.codes(), Vec::<&str>::new());
        story.messages().iter().filter(|m| m.joined).map(|m| (m.size, m.complete, m.sha256)).collect()
    };
    let in_order = joined(&[fetch("f", 0, 4, "abcd"), fetch("g", 4, 4, "efgh"), fetch("h", 8, 4, "i")]);
    assert_eq!((in_order.len(), in_order[0].0, in_order[0].1), (1, 9, true));
    for other in [
        [fetch("f", 0, 6, "abcdef"), fetch("g", 3, 4, "defg"), fetch("h", 5, 9, "fghi")],
        [fetch("f", 8, 4, "i"), fetch("g", 4, 4, "efgh"), fetch("h", 0, 4, "abcd")],
        [fetch("f", 0, 4, "abcd"), fetch("g", 8, 4, "i"), fetch("h", 2, 6, "cdefgh")],
        [fetch("f", 4, 9, "efghi"), fetch("g", 2, 4, "cdef"), fetch("h", 0, 4, "abcd")],
    ] {
        assert_eq!(joined(&other), in_order, "{other:?}");
    }
    // What is held behind a hole is bounded.
    let long = "x".repeat(200_000);
    let steps = session(&[fetch("f", 4, 200_000, &long), fetch("g", 200_004, 200_000, &long)].concat());
    let mut run = Run::default();
    run.feed(&steps, usize::MAX);
    let story = run.finish();
    assert_eq!(story.codes(), ["entry-limit"]);
    assert!(story.messages().iter().all(|m| !m.joined) && story.messages().len() == 2);
    let many: Vec<[Step; 2]> = (0..100).map(|i| fetch("f", 4 + 2 * i, 1, "x")).collect();
    let mut run = Run::default();
    run.feed(&session(&many.concat()), usize::MAX);
    assert_eq!(run.finish().codes(), ["entry-limit"]);
}

/// By what a session is weighed: bytes that are kept for a message that may become whole are not passed, and none is
/// twice.
#[test]
fn bytes_that_are_kept_to_be_joined_are_not_passed() {
    let range = |origin: u64| {
        let text = "x".repeat(1000);
        [
            c(&format!("r{origin} FETCH 2 BODY.PEEK[]<{origin}.1000>\r\n")),
            s(&format!("* 2 FETCH (BODY[]<{origin}> {{1000}}\r\n{text})\r\nr{origin} OK\r\n")),
        ]
    };
    let header = [c("h FETCH 2 RFC822.HEADER\r\n"), s("* 2 FETCH (RFC822.HEADER {8}\r\nA: 1\r\n\r\n)\r\nh OK\r\n")];
    let text = [c("t FETCH 2 BODY[TEXT]\r\n"), s("* 2 FETCH (BODY[TEXT] {4}\r\ntext)\r\nt OK\r\n")];
    let passed = |envelopes_only: bool, steps: &[Step]| {
        let mut run = Run::default();
        run.options.envelopes_only = envelopes_only;
        run.feed(&session(steps), usize::MAX);
        run.out.passed()
    };
    // One is held until the one before it comes.
    assert_eq!(passed(true, &range(1000)), 0);
    assert_eq!(passed(true, &[range(1000), range(0)].concat()), 2000);
    assert_eq!(passed(true, &[range(0), range(1000)].concat()), 2000);
    // The header is kept for whatever text comes behind it.
    assert_eq!(passed(true, &header), 0);
    assert_eq!(passed(true, &[header.clone(), text.clone(), text.clone()].concat()), 8);
    // Where headers are read the whole message's may be kept.
    assert_eq!(passed(false, &range(0)), 0);
}

#[test]
fn ranges_with_a_hole_make_none() {
    let story = tell(&session(&[
        c("f FETCH 1 BODY[]<0.4>\r\n"),
        s("* 1 FETCH (BODY[]<0> {4}\r\nabcd)\r\nf OK\r\n"),
        c("g FETCH 1 BODY[]<6.4>\r\n"),
        s("* 1 FETCH (BODY[]<6> {1}\r\ne)\r\ng OK\r\n"),
    ]));
    assert_eq!(story.messages().iter().filter(|m| m.joined).count(), 0);
    // Another message has the number by then.
    let story = tell(&session(&[
        c("f FETCH 2 BODY[]<0.4>\r\n"),
        s("* 2 FETCH (BODY[]<0> {4}\r\nabcd)\r\nf OK\r\n"),
        s("* 1 EXPUNGE\r\n"),
        c("g FETCH 2 BODY[]<4.4>\r\n"),
        s("* 2 FETCH (BODY[]<4> {1}\r\ne)\r\ng OK\r\n"),
        c("h FETCH 1 BODY[]<4.4>\r\n"),
        s("* 1 FETCH (BODY[]<4> {1}\r\ne)\r\nh OK\r\n"),
    ]));
    let joined: Vec<_> = story.messages().iter().filter(|m| m.joined).map(|m| (m.seqno, m.size)).collect();
    assert_eq!(joined, [(Some(1), 5)]);
}

#[test]
fn literal_right_behind_its_name() {
    let story = tell(&session(&[
        c("f FETCH 1:3 (UID BODY[])\r\n"),
        s("* 1 FETCH (UID 5 BODY[]{2}\r\nhi)\r\n* 2 FETCH (BODY[]{0}\r\n UID 6)\r\n"),
        s("* 3 FETCH (BODY[HEADER]{2}\r\n\r\n BODY[]<0>{3}\r\nabc UID 7)\r\nf OK\r\n"),
    ]));
    let got: Vec<_> = story
        .messages()
        .iter()
        .map(|m| (m.uid.unwrap(), m.section.as_ref().unwrap().to_str_lossy().into_owned(), m.size, m.part))
        .collect();
    let want = [
        (5, "BODY[]", 2, MessagePart::Full),
        (6, "BODY[]", 0, MessagePart::Full),
        (7, "BODY[HEADER]", 2, MessagePart::Headers),
        (7, "BODY[]<0>", 3, MessagePart::Range),
    ];
    assert_eq!(got, want.map(|(uid, section, size, part)| (uid, section.to_owned(), size, part)));
    assert!(story.codes().is_empty());
}

/// RFC 7162 §3.2.10: behind EARLIER no message number has changed.
#[test]
fn vanished_earlier_moves_nothing() {
    let joined = |vanished: &str| {
        let story = tell(&session(&[
            c("f UID FETCH 5 BODY.PEEK[]<0.4>\r\n"),
            s("* 2 FETCH (UID 5 BODY[]<0> {4}\r\nabcd)\r\nf OK\r\n"),
            c("v UID FETCH 1:4 (FLAGS) (CHANGEDSINCE 1 VANISHED)\r\n"),
            s(&format!("* VANISHED {vanished}1:3\r\nv OK\r\n")),
            c("g UID FETCH 5 BODY.PEEK[]<4.4>\r\n"),
            s("* 2 FETCH (UID 5 BODY[]<4> {1}\r\ne)\r\ng OK\r\n"),
        ]));
        story.messages().iter().filter(|m| m.joined).map(|m| m.size).collect::<Vec<_>>()
    };
    assert_eq!((joined("(EARLIER) "), joined("")), (vec![5], vec![]));
}

/// RFC 7162 §3.2.10: a UID is never another message's, whatever vanishes.
#[test]
fn size_by_uid_outlives_what_vanishes() {
    let story = tell(&session(&[
        c("e UID FETCH 5 RFC822.SIZE\r\n"),
        s("* 2 FETCH (UID 5 RFC822.SIZE 8)\r\ne OK\r\n* VANISHED 3\r\n"),
        c("f UID FETCH 5 BODY.PEEK[]<0.4>\r\n"),
        s("* 1 FETCH (UID 5 BODY[]<0> {4}\r\nabcd)\r\nf OK\r\n"),
        c("g UID FETCH 5 BODY.PEEK[]<4.4>\r\n"),
        s("* 1 FETCH (UID 5 BODY[]<4> {4}\r\nefgh)\r\ng OK\r\n"),
    ]));
    let joined: Vec<_> = story.messages().iter().filter(|m| m.joined).map(|m| (m.uid, m.size)).collect();
    assert_eq!(joined, [(Some(5), 8)]);
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("* 1 FETCH (BODYSTRUCTURE {}{} UID 3 BODY[] {{2}}\r\nhi)\r\n", "(".repeat(100), ")".repeat(100));
    let story = tell(&session(&[s(&deep)]));
    assert_eq!(story.codes(), ["nesting-limit"]);
    assert_eq!((story.messages()[0].uid, story.messages()[0].size), (Some(3), 2));
}

#[test]
fn long_lines_are_cut_and_still_read() {
    let name = "x".repeat(300);
    let line =
        format!("* 1 FETCH (ENVELOPE (\"{name}\") BODY[] \"{name}\" BODY[1] {{2}}\r\nhi UID 3)\r\n* 2 EXISTS\r\n");
    let story = tell_with(&session(&[s(&line)]), |run| run.limits.line_bytes = 100);
    let messages = story.messages();
    assert_eq!((messages[0].size, messages[0].uid, messages[1].size), (300, Some(3), 2));
    assert_eq!(story.told().last().unwrap(), "* 2 EXISTS");
    assert_eq!(story.codes(), ["long-line"]);
    let text = story.replies().iter().find(|r| r.text.0.starts_with(b"1 FETCH")).map(|r| r.text.0.len());
    assert_eq!(text, Some(100));
}

/// What a part or another command asked for does not make a short answer the message's end.
#[test]
fn a_range_is_short_only_beside_all_that_may_have_asked_for_it() {
    let joined = |commands: &str, replies: &str| {
        let story = tell(&session(&[c(commands), s(replies)]));
        story.messages().iter().filter(|m| m.joined).map(|m| m.size).collect::<Vec<_>>()
    };
    let first = "* 1 FETCH (UID 9 BODY[]<0> {5}\r\nabcde)\r\n";
    assert_eq!(
        joined("f UID FETCH 9 (BODY.PEEK[TEXT]<0.2048> BODY.PEEK[]<0.5>)\r\n", &format!("{first}f OK\r\n")),
        [0; 0]
    );
    let two = "f UID FETCH 8 BODY.PEEK[]<0.2048>\r\ng UID FETCH 9 BODY.PEEK[]<0.5>\r\n";
    assert_eq!(joined(two, &format!("{first}f OK\r\ng OK\r\n")), [0; 0]);
    assert_eq!(joined("f UID FETCH 9 BODY.PEEK[]<0.6>\r\n", &format!("{first}f OK\r\n")), [5]);
    // What is asked of another message does not matter; of a set it may be this one.
    let other = "f UID FETCH 9 BODY.PEEK[]<0.4096>\r\ng UID FETCH 8 BODY.PEEK[]<0.5>\r\n";
    assert_eq!(joined(other, &format!("{first}f OK\r\ng OK\r\n")), [5]);
    let set = "f UID FETCH 9 BODY.PEEK[]<0.4096>\r\ng UID FETCH 8:10 BODY.PEEK[]<0.5>\r\n";
    assert_eq!(joined(set, &format!("{first}f OK\r\ng OK\r\n")), [0; 0]);
    let number = "f FETCH 1 BODY.PEEK[]<0.4096>\r\ng FETCH 2 BODY.PEEK[]<0.5>\r\n";
    assert_eq!(joined(number, &format!("{first}f OK\r\ng OK\r\n")), [5]);
}

/// RFC 2180 §4.1: what a server has of a message that another session expunged.
#[test]
fn a_range_from_the_beginning_that_is_nil_is_no_empty_message() {
    let gone = [c("b UID FETCH 7 BODY.PEEK[]<0.1000>\r\n"), s("* 3 FETCH (UID 7 BODY[]<0> NIL)\r\nb OK\r\n")];
    assert!(tell(&session(&gone)).messages().is_empty());
}
