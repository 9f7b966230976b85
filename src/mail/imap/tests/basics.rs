//! Commands, replies, logins and IDLE, as RFCs and servers have them.

use super::*;
use crate::event::{AuthOutcome, Outcome};

#[test]
fn rfc_3501_section_8() {
    // The sample connection of RFC 3501 §8, its literal with the length of the text here.
    let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n\r\n";
    let fetch = format!("* 12 FETCH (BODY[HEADER] {{{}}}\r\n{header})\r\na004 OK FETCH completed\r\n", header.len());
    let story = tell(&[
        s("* OK IMAP4rev1 Service Ready\r\n"),
        c("a001 login mrc secret\r\n"),
        s("a001 OK LOGIN completed\r\n"),
        c("a002 select inbox\r\n"),
        s("* 18 EXISTS\r\n* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n* 2 RECENT\r\n"),
        s("* OK [UNSEEN 17] Message 17 is the first unseen message\r\n* OK [UIDVALIDITY 3857529045] UIDs valid\r\n"),
        s("a002 OK [READ-WRITE] SELECT completed\r\n"),
        c("a004 fetch 12 body[header]\r\n"),
        s(&fetch),
        c("a005 store 12 +flags \\deleted\r\n"),
        s("* 12 FETCH (FLAGS (\\Seen \\Deleted))\r\na005 OK +FLAGS completed\r\n"),
        c("a006 logout\r\n"),
        s("* BYE IMAP4rev1 server terminating connection\r\na006 OK LOGOUT completed\r\n"),
    ]);
    assert_eq!(
        story.lines(),
        [
            "a001 LOGIN mrc ***",
            "a002 SELECT inbox",
            "a004 FETCH 12 body[header]",
            "a005 STORE 12 +flags \\deleted",
            "a006 LOGOUT"
        ]
    );
    let told = story.told();
    assert_eq!(told[0], "OK IMAP4rev1 Service Ready");
    assert_eq!(told[2], "* 18 EXISTS");
    assert_eq!(told[5], "OK [UNSEEN 17] Message 17 is the first unseen message");
    assert_eq!(told[8], format!("* 12 FETCH (BODY[HEADER] {{{}}})", header.len()));
    assert_eq!(told.len(), 14);
    let message = &story.messages()[0];
    assert_eq!((message.size, message.complete, message.seqno), (header.len() as u64, true, Some(12)));
    assert_eq!(message.section, Some("BODY[HEADER]".into()));
    assert_eq!((message.mailbox.clone(), message.uidvalidity), (Some("inbox".into()), Some(3_857_529_045)));
    assert_eq!(story.summary.messages, 0);
    assert_eq!(story.summary.commands, 5);
    assert_eq!(story.summary.outcome, Some(Outcome::Completed));
    assert_eq!(story.summary.banner, Some("IMAP4rev1 Service Ready".into()));
    assert_eq!(story.summary.user, Some("mrc".into()));
    let auth = &story.auths()[0];
    assert_eq!((auth.outcome, auth.secret.clone()), (AuthOutcome::Success, None));
    assert_eq!(story.codes(), ["plaintext-password"]);
}

#[test]
fn tags_may_be_long() {
    // `tag = 1*<any ASTRING-CHAR except "+">`: RFC 9051 §9 has no bound.
    let tag = "t".repeat(200);
    let login = format!("{tag} LOGIN u p\r\n");
    let story = tell(&[s("* OK hi\r\n"), c(&login), s(&format!("{tag} OK in\r\n"))]);
    assert_eq!(story.told()[1], format!("{tag} OK in"));
    assert_eq!(story.replies()[1].command, Some(story.events[1].seq));
    assert_eq!(story.auths()[0].outcome, AuthOutcome::Success);
}

#[test]
fn replies_name_their_commands() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a NOOP\r\nb STATUS x (MESSAGES)\r\n"),
        s("b OK b\r\n* 3 EXISTS\r\na NO a\r\nz OK what\r\n"),
    ]);
    let seqs: Vec<u64> =
        story.events.iter().filter(|e| matches!(e.body, EventBody::Command(_))).map(|e| e.seq).collect();
    let commands: Vec<_> = story.replies().iter().map(|r| r.command).collect();
    assert_eq!(commands, [None, Some(seqs[1]), Some(seqs[0]), Some(seqs[0]), None]);
    assert_eq!(story.replies()[1].latency, Some(1000));
    assert_eq!(story.summary.last_error, Some("NO a".into()));
    assert_eq!(story.codes(), ["unexpected-reply"]);
}

#[test]
fn idle() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("I1 IDLE\r\n"),
        s("+ idling\r\n"),
        s("* 4 EXISTS\r\n"),
        c("DONE\r\n"),
        s("I1 OK done\r\n"),
        c("I2 NOOP\r\n"),
    ]);
    assert_eq!(story.lines(), ["I1 IDLE", "DONE", "I2 NOOP"]);
    let replies = story.replies();
    assert_eq!(replies[1].status, "+".into());
    assert_eq!(replies[2].command, None);
    assert_eq!((replies[3].command, replies[3].latency), (replies[1].command, Some(1000)));
    assert_eq!(story.summary.commands, 3);
    assert_eq!(story.codes(), ["unanswered"]);
}

#[test]
fn authenticate() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a AUTHENTICATE PLAIN\r\n"),
        s("+ \r\n"),
        c("AGFsaWNlAHdvbmRlcmxhbmQ=\r\n"),
        s("a NO [AUTHENTICATIONFAILED] no\r\n"),
        c("b authenticate plain AGFsaWNlAHdvbmRlcmxhbmQ=\r\n"),
        s("b OK in\r\n"),
        c("c CAPABILITY\r\n"),
    ]);
    let text = format!("{:?}", story.events);
    assert!(!text.contains("AGFs"), "{text}");
    let commands = story.commands();
    assert_eq!(commands[1].verb, "".into());
    assert_eq!(story.summary.commands, 3);
    let outcomes: Vec<_> = story.auths().iter().map(|a| a.outcome).collect();
    assert_eq!(outcomes, [AuthOutcome::Failure, AuthOutcome::Success]);
    assert_eq!(story.auths()[1].mechanism, "PLAIN".into());
}

#[test]
fn what_answers_a_challenge_is_a_response_whatever_it_looks_like() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a AUTHENTICATE PLAIN\r\n"),
        s("+ \r\n"),
        c("my secret word\r\n"),
        s("a NO [ALERT] Invalid base64 in response\r\n"),
        c("b AUTHENTICATE XOAUTH2 dXNlcj1h\r\n"),
        s("+ eyJzdGF0dXMiOiI0MDAifQ==\r\n"),
        c("\r\nc NOOP\r\n"),
        s("b NO failed\r\nc OK\r\n"),
    ]);
    let text = format!("{:?}", story.events);
    assert!(!text.contains("secret word"), "{text}");
    assert_eq!(story.summary.commands, 3);
    assert_eq!(
        story.told()[2..],
        ["a NO [ALERT] Invalid base64 in response", "+ eyJzdGF0dXMiOiI0MDAifQ==", "b NO failed", "c OK "]
    );
    let outcomes: Vec<_> = story.auths().iter().map(|a| a.outcome).collect();
    assert_eq!(outcomes, [AuthOutcome::Failure, AuthOutcome::Failure]);
    assert!(!story.codes().contains(&"unanswered"));
}

/// Servers take such a password, though it should be quoted.
#[test]
fn a_bare_password_with_parentheses_is_one_word() {
    let steps = [s("* OK hi\r\n"), c("a LOGIN ub5 pa(ss)wo[rd\r\n"), s("a OK\r\n"), c("b LOGIN (x) \"(y) z\"\r\n")];
    let masked = tell(&steps);
    assert_eq!(masked.lines(), ["a LOGIN ub5 ***", "b LOGIN (x) ***"]);
    let shown = tell_with(&steps, |run| {
        run.options.show_secrets = true;
        run.options.passwords = vec![("ub5".into(), "pa(ss)wo[rd".into())].into();
    });
    let auths = shown.auths();
    let facts = |at: usize| (auths[at].user.clone(), auths[at].secret.clone(), auths[at].verified);
    assert_eq!(facts(0), (Some("ub5".into()), Some("pa(ss)wo[rd".into()), Some(true)));
    assert_eq!(facts(1), (Some("(x)".into()), Some("(y) z".into()), None));
}

#[test]
fn cancelled_and_failed() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a AUTHENTICATE CRAM-MD5\r\n"),
        s("+ PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2U+\r\n"),
        c("*\r\n"),
        s("a BAD cancelled\r\n"),
        c("b LOGIN \"al ice\" \"x\\\"y\"\r\n"),
        s("b NO no\r\n"),
        c("c LOGOUT\r\n"),
        s("* BYE\r\nc OK\r\n"),
    ]);
    let outcomes: Vec<_> = story.auths().iter().map(|a| a.outcome).collect();
    assert_eq!(outcomes, [AuthOutcome::Aborted, AuthOutcome::Failure]);
    assert_eq!(story.auths()[1].user, Some("al ice".into()));
    assert_eq!(story.summary.outcome, Some(Outcome::AuthFailed));
    // A token that was refused by a challenge: the client's line ends the exchange, nothing else.
    let token = "a AUTHENTICATE XOAUTH2 dXNlcj11QHgBYXV0aD1CZWFyZXIgdG9rAQE=\r\n";
    let refused = [c(token), s("+ eyJzdGF0dXMiOiI0MDEifQ==\r\n"), c("*\r\n"), s("a NO SASL authentication failed\r\n")];
    let story = tell(&[&[s("* OK hi\r\n")], &refused[..], &[c("c LOGOUT\r\n"), s("* BYE\r\nc OK\r\n")]].concat());
    assert_eq!(story.auths()[0].outcome, AuthOutcome::Failure);
    assert_eq!(story.summary.outcome, Some(Outcome::AuthFailed));
}

/// As the dissectors of the other protocols do; within TLS nothing else tells.
#[test]
fn a_server_that_never_spoke_is_no_banner() {
    let silent = [c("a CAPABILITY\r\n")];
    assert_eq!(tell(&silent).summary.outcome, Some(Outcome::NoBanner));
    assert_eq!(tell(&[]).summary.outcome, Some(Outcome::NoBanner));
    assert_eq!(tell(&[s("* OK hi\r\n"), c("a CAPABILITY\r\n")]).summary.outcome, None);
    // It may have spoken, or is not in the capture.
    assert_eq!(tell(&[Step::GapS(9), c("a CAPABILITY\r\n")]).summary.outcome, None);
    assert_eq!(tell_with(&silent, |run| run.one_sided = true).summary.outcome, None);
    let joined = |run: &mut Run| run.imap.join(None);
    assert_eq!(tell_with(&silent, joined).summary.outcome, None);
}

#[test]
fn shown_secrets() {
    let steps = [s("* OK hi\r\n"), c("a LOGIN alice pass\r\n"), s("a OK\r\n")];
    let story = tell_with(&steps, |run| run.options.show_secrets = true);
    assert_eq!(story.lines(), ["a LOGIN alice pass"]);
    assert_eq!(story.auths()[0].secret, Some("pass".into()));
}

#[test]
fn without_a_tag() {
    let story = tell(&[s("* OK hi\r\n"), c("LOGIN alice secret\r\n"), s("LOGIN BAD no\r\n"), c("foo\r\n\r\n")]);
    assert_eq!(story.lines(), ["LOGIN alice ***", "foo foo"]);
    assert_eq!(story.replies()[1].command, Some(2));
}

#[test]
fn unknown_commands_and_replies() {
    let story = tell(&[
        s("* OK hi\r\n"),
        c("a Bogus command\r\nb UID fetch 1 flags\r\nc uid bogus\r\n"),
        s("garbage\r\n* XYZ data\r\na BAD x\r\nb ok x\r\nc BAD x\r\n"),
    ]);
    assert_eq!(story.lines(), ["a Bogus command", "b UID FETCH 1 flags", "c UID bogus"]);
    assert_eq!(story.told()[1], "* XYZ data");
    assert_eq!(story.told()[3], "b OK x");
}

#[test]
fn refused_service() {
    let story = tell(&[s("* BYE too many connections\r\n")]);
    assert_eq!(story.summary.outcome, Some(Outcome::Refused));
    assert_eq!(story.replies()[0].command, None);
}

#[test]
fn one_side_only() {
    let client = [c("a LOGIN {5}\r\nalice {3}\r\nfoo\r\nb APPEND x {2}\r\nhi\r\nc LOGOUT\r\n")];
    let story = tell_with(&client, |run| run.one_sided = true);
    assert_eq!(story.lines(), ["a LOGIN alice ***", "b APPEND x {2}", "c LOGOUT"]);
    let message = &story.messages()[0];
    assert!(message.assumed && message.complete);
    assert_eq!(message.outcome, crate::event::MessageOutcome::Accepted);
    assert!(story.commands().iter().all(|c| c.assumed));
    let server = [s("* 1 FETCH (BODY[] {2}\r\nhi UID 7)\r\nx OK done\r\n")];
    let story = tell_with(&server, |run| run.one_sided = true);
    assert_eq!(story.told(), ["* 1 FETCH (BODY[] {2} UID 7)", "x OK done"]);
    assert_eq!(story.messages()[0].uid, Some(7));
    assert!(!story.codes().contains(&"unexpected-reply"));
}

#[test]
fn the_server_alone_tells_of_an_authentication() {
    let outcomes = |said: &str| {
        let story = tell_with(&[s(&format!("* OK IMAP4rev1 ready\r\n{said}"))], |run| run.one_sided = true);
        assert!(!story.codes().contains(&"unexpected-reply"));
        story
            .auths()
            .iter()
            .map(|a| (a.mechanism.to_str_lossy().into_owned(), a.outcome, a.assumed))
            .collect::<Vec<_>>()
    };
    // RFC 2195's challenge.
    let challenge = "+ PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n";
    let cram = |outcome| vec![("CRAM-MD5".to_owned(), outcome, true)];
    assert_eq!(outcomes(&format!("{challenge}a OK done\r\nb OK done\r\n")), cram(AuthOutcome::Success));
    assert_eq!(outcomes(&format!("{challenge}a NO bad\r\n")), cram(AuthOutcome::Failure));
    // Leave to send a literal, or to idle.
    for other in ["+ \r\na OK done\r\n", "+ idling\r\na OK done\r\n", "+ continue\r\na OK done\r\n"] {
        assert!(outcomes(other).is_empty(), "{other}");
    }
}

#[test]
fn line_feeds_alone_are_told_once_of_each_side() {
    let letter = "Subject: x\n\nhi\n";
    let story = tell(&[
        s("* OK IMAP4rev1 ready\n"),
        c(&format!("a APPEND x {{{}+}}\r\n{letter}\r\n", letter.len())),
        s("a OK done\n"),
        c("z LOGOUT\r\n"),
        s("* BYE\nz OK\n"),
    ]);
    // What a mail holds is its own business.
    assert_eq!(story.codes(), ["bare-lf"]);
    assert_eq!(story.messages()[0].size, letter.len() as u64);
}

/// A bracket is a character of an atom; an open quote or a word too few makes no password part of the name.
#[test]
fn a_password_behind_an_odd_user_is_hidden() {
    for (line, shown) in [
        ("a1 LOGIN bo[b s3cret\r\n", "a1 LOGIN bo[b ***"),
        ("a1 LOGIN \"bob s3cret\r\n", "a1 LOGIN bob ***"),
        ("a1 AUTHENTICATE AGJvYgBzM2NyZXQ=\r\n", "a1 AUTHENTICATE ***"),
    ] {
        let story = tell(&[s("* OK hi\r\n"), c(line), s("a1 BAD no\r\n")]);
        assert_eq!(story.lines(), [shown]);
        let told = format!("{:?}", story.events);
        assert!(!told.contains("s3cret") && !told.contains("AGJv"), "{told}");
    }
    let story = tell(&[s("* OK hi\r\n"), c("a1 LOGIN bo[b s3cret\r\n"), s("a1 OK in\r\n")]);
    assert_eq!((story.auths()[0].user.clone(), story.auths()[0].outcome), (Some("bo[b".into()), AuthOutcome::Success));
}

#[test]
fn a_server_that_hangs_up_says_why() {
    let error = |steps: &[Step]| tell(steps).summary.last_error.map(|text| text.to_str_lossy().into_owned());
    let idle = [s("* OK hi\r\n"), c("a IDLE\r\n"), s("+ idling\r\n"), s("* BYE Disconnected for inactivity.\r\n")];
    assert_eq!(error(&idle).as_deref(), Some("BYE Disconnected for inactivity."));
    assert_eq!(error(&[s("* BYE Too many connections\r\n")]).as_deref(), Some("BYE Too many connections"));
    let logout = [s("* OK hi\r\n"), c("a FOO\r\n"), s("a BAD what\r\n"), c("b LOGOUT\r\n"), s("* BYE bye\r\nb OK\r\n")];
    assert_eq!(error(&logout).as_deref(), Some("BAD what"));
    // LOGOUT is lost; what is answered behind BYE was one.
    let lost = [s("* OK hi\r\n"), Step::GapC(10), s("* BYE bye\r\nb OK\r\n")];
    assert_eq!(error(&lost), None);
}
