//! Gaps, and captures that begin or end within the dialogue.

use super::*;
use crate::event::{AuthOutcome, MessageOutcome, Outcome};

#[test]
fn gap_inside_a_literal() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a APPEND x {10+}\r\n123"),
        Step::GapC(4),
        c("890\r\nb NOOP\r\n"),
        s("a OK\r\n* 1 FETCH (BODY[] {10}\r\nabc"),
        Step::GapS(4),
        s("hij UID 6)\r\nb OK\r\n"),
    ]);
    let messages = story.messages();
    assert_eq!((messages[0].size, messages[0].complete, messages[0].outcome), (6, false, MessageOutcome::Accepted));
    assert_eq!((messages[1].size, messages[1].complete, messages[1].uid), (6, false, Some(6)));
    assert_eq!(story.lines(), ["a APPEND x {10+}", "b NOOP"]);
    assert_eq!(story.codes(), [""; 0]);
    assert_eq!(story.summary.skipped_bytes, 0);
}

#[test]
fn gap_beyond_a_literal() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a1 APPEND x {10+}\r\n123"),
        Step::GapC(12),
        c("text\r\nPlease select one\r\na2 NOOP\r\n"),
        s("a1 OK\r\n* 1 FETCH (BODY[] {10}\r\nabc"),
        Step::GapS(17),
        s("* a bullet\r\n* 12 eggs\r\nwhat OK\r\n* 3 EXISTS\r\na2 OK\r\n"),
    ]);
    assert_eq!(story.lines(), ["a1 APPEND x {10+}", "a2 NOOP"]);
    assert_eq!(story.told()[2], "* 1 FETCH (BODY[] {10}");
    assert_eq!(story.told()[3], "* 3 EXISTS");
    assert!(story.messages().iter().all(|m| !m.complete && m.size == 3));
    assert_eq!(story.codes(), ["resynchronised", "resynchronised"]);
    assert_eq!(story.summary.skipped_bytes, 6 + 19 + 12 + 11 + 9);
}

/// What is left of a line is told as such, and nothing is taken from it.
#[test]
fn a_line_that_a_gap_cut_is_told_as_incomplete_and_gives_no_facts() {
    let story = tell(&[
        s("* OK [CAPABILITY IMAP4rev1 SAS"),
        Step::GapS(30),
        s("\r\n* 1 RECENT\r\n"),
        c("a1 SELECT \"Arch"),
        Step::GapC(10),
        s("* OK [UIDVALIDITY 38"),
        Step::GapS(20),
        s("\r\n* 1 EXISTS\r\na1 OK done\r\n"),
        c("a2 FETCH 1 BODY[]\r\n"),
        s("* 1 FETCH (BODY[] {3}\r\nabc UID 4"),
        Step::GapS(5),
        s("\r\na2 OK done\r\n"),
        c("a3 LOGOUT\r\n"),
    ]);
    assert_eq!(story.summary.banner, None);
    let commands: Vec<_> = story.commands().into_iter().map(|command| command.incomplete).collect();
    assert_eq!(commands, [true, false, false]);
    let cut: Vec<_> =
        story.replies().into_iter().map(|reply| (reply.text.to_str_lossy().into_owned(), reply.incomplete)).collect();
    let cut: Vec<_> = cut.iter().map(|(text, cut)| (text.as_str(), *cut)).collect();
    assert_eq!(
        cut,
        [
            ("[CAPABILITY IMAP4rev1 SAS", true),
            ("1 RECENT", false),
            ("[UIDVALIDITY 38", true),
            ("1 EXISTS", false),
            ("done", false),
            ("1 FETCH (BODY[] {3} UID 4", true),
            ("done", false)
        ]
    );
    let message = &story.messages()[0];
    assert_eq!((message.mailbox.as_ref(), message.uidvalidity, message.uid), (None, None, None));
}

#[test]
fn gap_of_unsure_length() {
    let steps = [
        s("* OK hi\r\n"),
        c("a1 FETCH 1 BODY[]\r\n"),
        s("* 1 FETCH (BODY[] {20}\r\n0123456789"),
        // At most five; it was four.
        Step::GapS(5),
        s("456789)\r\n* 3 EXISTS\r\na1 OK\r\n"),
    ];
    let story = tell_with(&steps, |run| run.tls = true);
    let message = &story.messages()[0];
    assert_eq!((message.size, message.complete), (15, false));
    assert_eq!(story.told()[2..], ["* 3 EXISTS", "a1 OK "]);
}

#[test]
fn gap_in_text() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a1 SELECT INBOX\r\na2 FETCH 1 (FL"),
        Step::GapC(6),
        c("S)\r\na3 NOOP\r\n"),
        s("* 5 EXISTS\r\n* FLA"),
        Step::GapS(100),
        s("mpleted\r\na2 OK done\r\n* 1 FETCH (BODY[] {1}\r\nx)\r\na3 OK\r\n"),
    ]);
    assert_eq!(story.lines(), ["a1 SELECT INBOX", "a2 FETCH 1 (FL", "a3 NOOP"]);
    let message = &story.messages()[0];
    // The answer to SELECT is lost, but what came after it was answered.
    assert_eq!(message.mailbox, Some("INBOX".into()));
    assert_eq!(story.told().last().unwrap(), "a3 OK ");
}

#[test]
fn lost_leave_for_a_literal() {
    let steps = |then: &str| [s("* OK hi\r\n"), c("a1 APPEND x {6}\r\n"), Step::GapS(30), c(then), s("* 1 EXISTS\r\n")];
    let story = tell(&steps("mail\r\n\r\na2 NOOP\r\n"));
    assert_eq!(story.messages()[0].size, 6);
    assert_eq!(story.lines(), ["a1 APPEND x {6}", "a2 NOOP"]);
    let story = tell(&steps("a2 NOOP\r\n"));
    assert_eq!(story.messages().len(), 0);
    assert_eq!(story.lines(), ["a1 APPEND x {6}", "a2 NOOP"]);
}

#[test]
fn beginning_in_the_middle() {
    let story =
        tell(&[c("the rest of a mail\r\nc3VwZXJzZWNyZXQ=\r\na7 NOOP\r\n"), s("lo world)\r\na6 OK\r\na7 OK\r\n")]);
    assert_eq!(story.lines(), ["a7 NOOP"]);
    assert_eq!(story.told(), ["a7 OK "]);
    assert_eq!(story.summary.banner, None);
    assert!(!format!("{:?}", story.events).contains("c3Vw"));
}

/// A segment is lost with the APPEND that announces a mail, or the capture begins within it.
#[test]
fn a_mails_text_behind_a_lost_append_is_no_command() {
    for (tag, next) in [("a", "a3"), ("", "3"), ("A0", "A03")] {
        let text = [
            "a copy of the report that you wanted\r\n",
            "2 copy the bowl\r\n",
            "A02 SEARCH the house\r\nand the secret word is swordfish.\r\n2 close the door\r\na list of things\r\n",
            "Kind regards\r\n",
        ];
        let start =
            [s("* OK hi\r\n"), c(&format!("{tag}1 SELECT in\r\n")), s(&format!("{tag}1 OK done\r\n")), Step::GapC(30)];
        let end = [
            c("\r\n"),
            s(&format!("{tag}2 OK [APPENDUID 1 7] done\r\n")),
            c(&format!("{next} NOOP\r\nx UNKNOWN\r\n")),
            s(&format!("{next} OK done\r\nx BAD what\r\n")),
            c(&format!("{tag}4 OTHER\r\n")),
        ];
        for start in [&start[..], &[]] {
            let story = tell_with(&[start, &text.map(c), &end].concat(), |run| {
                if start.is_empty() {
                    run.imap.join(None);
                }
            });
            let lines: Vec<_> = story.lines().into_iter().filter(|line| !line.contains("SELECT")).collect();
            // One line looks like a command in all respects; those behind it are asked again, up to a reply.
            let mut expected = vec!["A02 SEARCH the house".to_owned(), format!("{next} NOOP"), format!("{tag}4 OTHER")];
            if tag == "A0" {
                expected.insert(2, "x UNKNOWN".into());
            }
            assert_eq!(lines, expected, "{tag}");
        }
    }
}

/// A bullet in capitals may look like a response; what follows is asked again.
#[test]
fn a_mails_text_behind_a_lost_fetch_is_no_response() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a1 FETCH 1 BODY[]\r\n"),
        Step::GapS(40),
        s("of the report\r\n* NO warranty is given\r\n* OK so far\r\nThe secret word is swordfish\r\n* many fixes\r\n"),
        s("A3 OK that was it\r\n+ one more thing\r\n* 1 FETCH from the store\r\n)\r\na1 OK done\r\n"),
        c("a2 NOOP\r\n"),
        s("* 3 EXISTS\r\na2 OK done\r\n"),
    ]);
    assert_eq!(story.told(), ["OK hi", "OK so far", "a1 OK done", "* 3 EXISTS", "a2 OK done"]);
    assert_eq!(story.summary.last_error, None);
}

/// `DONE` is good base64, too.
#[test]
fn the_end_of_an_idle_under_way_is_no_login() {
    for before in ["", "* 3 EXISTS\r\n", "+ idling\r\n"] {
        for done in ["DONE\r\n", "done\r\n"] {
            let after = [c(done), s("a1 OK Idle completed.\r\n"), c("a2 LOGOUT\r\n"), s("* BYE\r\na2 OK\r\n")];
            let steps = if before.is_empty() { after.to_vec() } else { [&[s(before)], &after[..]].concat() };
            let story = tell_with(&steps, |run| run.imap.join(None));
            assert!(story.auths().is_empty(), "{steps:?}");
            assert_eq!(story.lines(), ["DONE", "a2 LOGOUT"], "{steps:?}");
        }
    }
}

/// The capture begins within a LOGIN, or its beginning is lost, and the server repeats the password.
#[test]
fn the_end_of_a_cut_login_is_not_shown_where_the_server_repeats_it() {
    let begin = [s("* OK hi\r\n"), Step::GapC(9)];
    for line in ["gin alice s3cretPw\r\n", "s3cretPw\r\n", "cretPw\r\n", "\"alice\" \"s3cretPw\"\r\n", "cretPw\"\r\n"] {
        for refusal in ["a1 NO not s3cretPw\r\n", "* BAD what is LOGIN \"alice\" \"s3cretPw\"?\r\n"] {
            let rest =
                [c(line), s(refusal), c("a2 SELECT Mail/s3cr\r\n"), s("* OK [NOTICE] hello Alice\r\na2 OK done\r\n")];
            for steps in [rest.to_vec(), [&begin[..], &rest[..]].concat()] {
                let story = tell(&steps);
                let told = story.told();
                assert!(!format!("{:?}", story.events).contains("cretPw"), "{line} {refusal}: {told:?}");
                assert_eq!(told[told.len() - 2..], ["OK [NOTICE] hello Alice", "a2 OK done"]);
                assert_eq!(story.lines(), ["a2 SELECT Mail/s3cr"]);
            }
        }
    }
}

/// Not a whole line that is no command, which the server names.
#[test]
fn a_refusal_of_a_line_that_was_passed_over_keeps_its_tag_and_verb() {
    let refusal = "A054 BAD Error in IMAP command BOGUS: Unknown command.";
    let story =
        tell(&[c("A054 BOGUS command\r\n"), s(&format!("{refusal}\r\n")), c("A055 NOOP\r\n"), s("A055 OK\r\n")]);
    assert_eq!(story.told(), [refusal, "A055 OK "]);
}

#[test]
fn cut_by_the_end() {
    let story = tell(&[s("* OK hi\r\n"), c("a APPEND x {10+}\r\n123"), s("* 1 FETCH (UID 7 BODY[] {5}\r\nxy")]);
    let messages = story.messages();
    assert_eq!((messages[0].size, messages[0].complete, messages[0].outcome), (3, false, MessageOutcome::Aborted));
    assert_eq!((messages[1].size, messages[1].complete, messages[1].uid), (2, false, Some(7)));
}

#[test]
fn hostile_sizes_stay_linear_and_bounded() {
    let mut run = Run::default();
    let many = "(".repeat(100_000);
    run.feed(&[s("* OK hi\r\n"), s("* 1 FETCH ("), s(&many), s("\r\n"), c(&many), c("\r\n")], usize::MAX);
    let commands = "x NOOP\r\n".repeat(10_000);
    run.feed(&[c(&commands), s(&"x OK\r\n".repeat(20_000)), c(&"a CREATE {0+}\r\n".repeat(5000))], usize::MAX);
    let story = run.finish();
    assert!(story.codes().contains(&"entry-limit"));
    assert!(story.events.iter().all(|e| match &e.body {
        EventBody::Command(c) => c.args.0.len() <= Limits::default().line_bytes,
        _ => true,
    }));
}

#[test]
fn text_whose_literal_has_a_gap_is_not_whole() {
    let told = |gap: &[Step]| {
        let list = [s("* LIST () \"/\" {7}\r\nabc")];
        let behind = [s("fg\r\nl OK\r\n")];
        let story = tell(&[&[s("* OK hi\r\n"), c("l LIST \"\" *\r\n")][..], &list, gap, &behind].concat());
        let list = story.replies()[1].clone();
        (list.text.to_str_lossy().into_owned(), list.incomplete, story.told().last().cloned().unwrap())
    };
    let text = |name: &str| format!("LIST () \"/\" {{7}} {name}");
    assert_eq!(told(&[Step::GapS(2)]), (text("abc"), true, "l OK ".to_owned()));
    assert_eq!(told(&[s("de")]), (text("abcdefg"), false, "l OK ".to_owned()));
}

#[test]
fn a_fetch_that_the_end_cuts_is_told() {
    let cut = [s("* OK hi\r\n"), c("f FETCH 1 BODY[]\r\n"), s("* 1 FETCH (BODY[] {500}\r\nabc")];
    let story = tell(&cut);
    assert_eq!(story.codes(), ["message-cut", "unanswered"]);
    assert_eq!((story.messages()[0].size, story.messages()[0].complete), (3, false));
    // Behind a gap it is that which is told.
    assert_eq!(tell(&[&cut[..], &[Step::GapS(600)]].concat()).codes(), ["unanswered"]);
}

#[test]
fn a_password_behind_a_lost_user_name_is_no_user() {
    // "secretpw"; the user name and the second challenge are missing.
    for first in [&[s("+ VXNlcm5hbWU6\r\n")][..], &[]] {
        let lost = [Step::GapC(12), Step::GapS(18), c("c2VjcmV0cHc=\r\n"), s("b OK in\r\n")];
        let steps = [&[s("* OK hi\r\n"), c("b AUTHENTICATE LOGIN\r\n")], first, &lost].concat();
        let story = tell(&steps);
        assert_eq!(story.summary.user, None);
        let all = format!("{:?}", story.events);
        assert!(!all.contains("secretpw") && !all.contains("c2VjcmV0cHc"), "{all}");
    }
}

#[test]
fn a_literal_whose_end_a_gap_has_is_not_cut_by_the_client() {
    let append = [s("* OK hi\r\n"), c("a APPEND X {9+}\r\nabc")];
    let behind = [c("b NOOP\r\n"), s("a OK\r\nb OK\r\n")];
    let story = tell(&[&append[..], &[Step::GapC(8)], &behind].concat());
    assert!(!story.codes().contains(&"message-cut"), "{:?}", story.codes());
    assert_eq!(story.messages().iter().map(|m| m.complete).collect::<Vec<_>>(), [false]);
}

#[test]
fn a_lost_challenge_takes_no_user_away() {
    let steps = [
        s("* OK hi\r\n"),
        c("b AUTHENTICATE LOGIN\r\n"),
        Step::GapS(18),
        c("YWxpY2U=\r\n"),
        s("+ UGFzc3dvcmQ6\r\n"),
        c("c2VjcmV0cHc=\r\n"),
        s("b OK in\r\n"),
    ];
    let story = tell(&steps);
    assert_eq!(story.summary.user, Some("alice".into()));
    assert!(!format!("{:?}", story.events).contains("secretpw"));
}

/// The answer to the login that worked is missing: what only a user gets shows it. A SELECT that is missing leaves no
/// name of a mailbox.
#[test]
fn a_lost_login_and_a_lost_select_are_seen_by_what_follows() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a1 LOGIN alice wrongpass\r\na2 LOGIN bob goodpass1\r\n"),
        s("a1 NO no\r\n"),
        Step::GapS(20),
        c("a3 SELECT INBOX\r\n"),
        s("* OK [UIDVALIDITY 77] ok\r\na3 OK done\r\n"),
        Step::GapC(16),
        s("* OK [UIDVALIDITY 99] ok\r\na4 OK done\r\n"),
        c("a5 FETCH 1 BODY[]\r\n"),
        s("* 1 FETCH (BODY[] {8}\r\nA: 1\r\n\r\n)\r\na5 OK done\r\n"),
        c("a6 LOGOUT\r\n"),
        s("* BYE\r\na6 OK\r\n"),
    ]);
    assert_eq!(story.summary.outcome, Some(Outcome::Completed));
    assert_eq!(story.summary.user, Some("bob".into()));
    let told: Vec<_> = story.messages().iter().map(|m| (m.mailbox.clone(), m.uidvalidity)).collect();
    assert_eq!(told, [(None, Some(99))]);
}

/// The reply to a command and the next command are missing: what comes then is the next one's. With one of the two
/// missing it is the first one's.
#[test]
fn data_behind_two_neighbouring_losses_is_nobodys() {
    for (lost, is_known) in [([true, true], false), ([true, false], true), ([false, true], false)] {
        let mut steps = vec![s("* OK hi\r\n"), c("a1 NOOP\r\n")];
        steps.push(if lost[0] { Step::GapS(12) } else { s("a1 OK done\r\n") });
        steps.extend(lost[1].then_some(Step::GapC(20)));
        steps.extend([s("* OK [COPYUID 9 6 3] Moved\r\n* 1 EXPUNGE\r\n"), c("a3 LOGOUT\r\n"), s("* BYE\r\na3 OK\r\n")]);
        let story = tell(&steps);
        let expunge = story.events.iter().find_map(|event| match &event.body {
            EventBody::Reply(reply) if reply.text == "1 EXPUNGE".into() => Some(reply),
            _ => None,
        });
        assert_eq!(expunge.unwrap().command.is_some(), is_known, "{lost:?}");
    }
}

/// The greeting is missing, and the first line that is not is of something else.
#[test]
fn what_comes_behind_a_lost_greeting_is_none() {
    for line in ["* OK [UIDVALIDITY 77] ok\r\n", "* BYE LOGOUT received\r\n"] {
        let story = tell(&[Step::GapS(40), Step::GapC(20), s(line), c("a9 LOGOUT\r\n"), s("* BYE\r\na9 OK\r\n")]);
        assert_eq!((story.summary.banner, story.summary.outcome), (None, Some(Outcome::Completed)), "{line}");
    }
}

/// SELECT's reply is missing: the message is of the mailbox before it, or of that one.
#[test]
fn a_message_behind_a_lost_select_is_no_known_mailboxes() {
    let select = |name: &str| [c(&format!("{name} SELECT {name}\r\n")), s(&format!("{name} OK [READ-WRITE] done\r\n"))];
    let [again, _] = select("a2");
    let lost = [again, Step::GapS(24)];
    let fetch = [c("a3 FETCH 1 BODY[]\r\n"), s("* 1 FETCH (BODY[] {8}\r\nA: 1\r\n\r\n)\r\na3 OK done\r\n")];
    let told = |second: &[Step]| {
        let story = tell(&[&[s("* OK hi\r\n")], &select("a1")[..], second, &fetch[..]].concat());
        story.messages()[0].mailbox.clone()
    };
    assert_eq!(told(&lost), None);
    assert_eq!(told(&select("a2")), Some("a2".into()));
    assert_eq!(told(&[]), Some("a1".into()));
}

#[test]
fn a_login_whose_reply_may_be_missing_was_not_broken_off() {
    let begins = [s("* OK hi\r\n"), c("a1 LOGIN alice goodpass1\r\n")];
    let outcome = |more: &[Step]| tell(&[&begins, more].concat()).auths()[0].outcome;
    assert_eq!(outcome(&[Step::GapS(9)]), AuthOutcome::Unknown);
    assert_eq!(outcome(&[]), AuthOutcome::Aborted);
}

#[test]
fn a_mail_whose_reply_may_be_missing_was_not_broken_off() {
    let begins = [s("* OK hi\r\n"), c("a1 APPEND Sent {8}\r\n"), s("+ go\r\n")];
    let outcome = |more: &[Step]| tell(&[&begins, more].concat()).messages()[0].outcome;
    assert_eq!(outcome(&[Step::GapS(9), Step::GapC(10)]), MessageOutcome::Unknown);
    assert_eq!(outcome(&[Step::GapC(10), Step::GapS(9)]), MessageOutcome::Unknown);
    assert_eq!(outcome(&[c("A: 1")]), MessageOutcome::Aborted);
}

/// The first of two commands that were sent together is missing: its data is not the second one's.
#[test]
fn data_before_the_reply_to_a_lost_command_is_not_the_next_ones() {
    let fetched = |at: u32| s(&format!("* {at} FETCH (FLAGS ())\r\na{at} OK done\r\n"));
    let story = tell(&[
        s("* OK hi\r\n"),
        Step::GapC(16),
        c("a2 FETCH 2 FLAGS\r\n"),
        fetched(1),
        fetched(2),
        c("a3 FETCH 3 FLAGS\r\n"),
        fetched(3),
    ]);
    let known: Vec<_> = story.replies().into_iter().filter(|r| r.tag.is_none()).map(|r| r.command.is_some()).collect();
    assert_eq!(known, [false, false, true, true]);
}
