//! Losses between commands that were sent together and their replies: each reply names its command or none, and what a
//! mail is called is never another's.

use super::*;
use crate::event::{EventBody, Message};

/// What each reply's own words call its command, and the command that it is told to answer, by its arguments.
fn answered(told: &Told) -> Vec<(String, Option<String>)> {
    let args = |seq: u64| {
        told.events.iter().find_map(|event| match &event.body {
            EventBody::Command(command) if event.seq == seq => Some(command.args.to_str_lossy().into_owned()),
            _ => None,
        })
    };
    told.replies().iter().map(|reply| (reply.text.to_str_lossy().into_owned(), reply.command.and_then(args))).collect()
}

fn named(message: &Message) -> (Option<u32>, u64, bool) {
    (message.number, message.size, message.complete)
}

/// Of a client that sends RETR and DELE at once and then waits; `first` is what is seen of the first two replies.
fn retr_and_dele(first: &[Step]) -> Told {
    let greeting = [s("+OK\r\n"), c("RETR 1\r\nDELE 1\r\n")];
    let rest = [
        c("RETR 2\r\nDELE 2\r\n"),
        s("+OK 14 octets\r\nA: b\r\n\r\nsecond\r\n.\r\n+OK 2\r\n"),
        c("QUIT\r\n"),
        s("+OK\r\n"),
    ];
    told(&[&greeting, first, &rest].concat())
}

#[test]
fn a_client_that_waits_between_flights_had_its_replies_in_the_gap() {
    let lost = Step::Gap(Direction::Server, 100);
    for first in [
        vec![lost.clone()],
        vec![s("+OK\r\nA: b\r\n\r\nfi"), lost.clone()],
        vec![s("+OK\r\nA: b\r\n\r\nfi"), lost.clone(), s("rst\r\n.\r\n+OK 1\r\n")],
        vec![lost.clone(), s("rst\r\n.\r\n+OK 1\r\n")],
        vec![lost.clone(), s("+OK 1\r\n")],
    ] {
        let told = retr_and_dele(&first);
        let messages = told.messages();
        assert!(messages[..messages.len() - 1].iter().all(|m| m.number == Some(1) && !m.complete), "{first:?}");
        assert_eq!(named(messages[messages.len() - 1]), (Some(2), 16, true), "{first:?}");
        let answered = answered(&told);
        assert!(answered.contains(&("14 octets".into(), Some("2".into()))), "{first:?}: {answered:?}");
        assert!(answered.contains(&("2".into(), Some("2".into()))), "{first:?}: {answered:?}");
        assert!(!answered.contains(&("1".into(), Some("2".into()))), "{first:?}: {answered:?}");
        assert_eq!(told.summary.3, Some(Outcome::Completed));
    }
}

#[test]
fn a_lost_head_makes_no_mail_of_the_next_reply() {
    // As of a mail of 2,106 bytes whose first segment is lost: DELE's reply is none to RETR.
    let told = retr_and_dele(&[Step::Gap(Direction::Server, 1000), s("first 75\r\nfirst 76\r\n.\r\n+OK deleted\r\n")]);
    assert_eq!(told.messages().iter().map(|m| named(m)).collect::<Vec<_>>(), [(Some(2), 16, true)]);
    assert!(answered(&told).contains(&("deleted".into(), None)));
}

#[test]
fn a_reply_that_several_commands_may_have_got_is_none_of_theirs() {
    // The end of the first mail is lost, perhaps with more.
    let told = told(&[
        s("+OK\r\n"),
        c("RETR 1\r\nPASS x\r\nRETR 2\r\nDELE 3\r\n"),
        s("+OK\r\nA: b\r\n\r\nfi"),
        Step::Gap(Direction::Server, 100),
        s("st\r\n.\r\n+OK 18 octets\r\nSubject: x\r\n\r\nsec\r\n.\r\n+OK 3\r\n"),
        c("STAT\r\n"),
        s("+OK 0 0\r\n"),
    ]);
    let messages: Vec<_> = told.messages().iter().map(|m| named(m)).collect();
    assert_eq!(messages, [(Some(1), 14, false), (None, 19, false)]);
    assert_eq!(told.auths()[0].outcome, AuthOutcome::Unknown);
    assert_eq!(answered(&told)[2..], [("18 octets".into(), None), ("3".into(), None), ("0 0".into(), Some("".into()))]);
}

#[test]
fn a_lost_command_gives_its_reply_to_no_other() {
    let flight = |first: Step| {
        let told = told(&[
            s("+OK\r\n"),
            first,
            c("RETR 2\r\n"),
            c("DELE 2\r\n"),
            s("+OK\r\nA: 1\r\n\r\n.\r\n+OK\r\nA: 2\r\n\r\n.\r\n+OK\r\n"),
            c("RETR 3\r\n"),
            s("+OK\r\nA: 3\r\n\r\n.\r\n"),
        ]);
        told.messages().iter().map(|m| m.number).collect::<Vec<_>>()
    };
    assert_eq!(flight(c("RETR 1\r\n")), [Some(1), Some(2), Some(3)]);
    assert_eq!(flight(Step::Gap(Direction::Client, 8)), [None, None, Some(3)]);
}

#[test]
fn a_client_that_runs_ahead_is_not_known_to_have_had_its_replies() {
    let told = told(&[
        s("+OK\r\n"),
        c("DELE 1\r\n"),
        c("DELE 2\r\n"),
        s("+OK 1\r\n"),
        c("DELE 3\r\n"),
        Step::Gap(Direction::Server, 7),
        c("RETR 4\r\n"),
        s("+OK 3\r\n"),
        c("RETR 5\r\n"),
        s("+OK 4\r\nA: 4\r\n\r\n.\r\n"),
        s("+OK 5\r\nA: 5\r\n\r\n.\r\n"),
    ]);
    let wrong = answered(&told).into_iter().find(|(said, told)| told.as_ref().is_some_and(|told| told != said));
    assert_eq!(wrong, None);
    assert!(told.messages().iter().all(|message| message.number.is_none()));
}

#[test]
fn a_flight_that_began_before_the_capture_may_have_more_replies() {
    let joined = || {
        let mut pop3 = Pop3::new();
        pop3.join(None);
        pop3
    };
    let replies = s("+OK\r\nA: 1\r\n\r\n.\r\n+OK\r\nA: 2\r\n\r\n.\r\n+OK\r\nA: 3\r\n\r\n.\r\n");
    let numbers = |steps: &[Step]| {
        let told = play(joined, steps, &Options::default(), false);
        told.messages().iter().map(|message| message.number).collect::<Vec<_>>()
    };
    let told = numbers(&[c("RETR 2\r\nRETR 3\r\n"), replies, c("RETR 4\r\n"), s("+OK\r\nA: 4\r\n\r\n.\r\n")]);
    assert_eq!(told, [None, None, None, Some(4)]);
    assert_eq!(numbers(&[c("RETR 2\r\n"), s("+OK\r\nA: 2\r\n\r\n.\r\n")]), [Some(2)]);
}

/// The head of a mail's reply is lost, and in the mail stand lines as servers send them.
#[test]
fn no_more_replies_than_commands_are_found_in_a_mails_text() {
    let log = "+OK evil\r\n-ERR evil\r\ntext\r\n+OK evil\r\n-ERR evil\r\n.\r\n";
    for (lost, most) in [
        ([c("RETR 1\r\n"), Step::Gap(Direction::Server, 40), s(format!("the log\r\n{log}"))], 1),
        // The command itself is lost: two may have been.
        ([Step::Gap(Direction::Client, 8), s("+OK follows\r\n"), s(log)], 2),
    ] {
        let begin = [s("+OK\r\n"), c("USER u\r\n"), s("+OK name\r\n")];
        let end = [c("NOOP\r\n"), s("+OK done\r\n"), c("QUIT\r\n"), s("+OK bye\r\n")];
        let told = told(&[&begin[..], &lost, &end].concat());
        let answered = answered(&told);
        assert!(answered.iter().filter(|(text, _)| text == "evil").count() <= most, "{answered:?}");
        let last: Vec<_> =
            told.replies().iter().rev().take(2).map(|reply| reply.text.to_str_lossy().into_owned()).collect();
        assert_eq!(last, ["bye", "done"]);
    }
}

/// The login that worked is missing, or its answer: what only a user gets shows it.
#[test]
fn mails_behind_a_refusal_show_a_login_that_was_lost() {
    for lost in [Step::Gap(Direction::Server, 20), Step::Gap(Direction::Client, 20)] {
        let told = told(&[
            s("+OK ready\r\n"),
            c("USER alice\r\n"),
            s("+OK\r\n"),
            c("PASS wrongone\r\n"),
            s("-ERR no\r\n"),
            lost,
            c("STAT\r\n"),
            s("+OK 1 20\r\n"),
            c("RETR 1\r\n"),
            s("+OK\r\nA: 1\r\n\r\n.\r\n"),
            c("QUIT\r\n"),
            s("+OK bye\r\n"),
        ]);
        assert_eq!(told.summary.3, Some(Outcome::Completed), "{:?}", told.lines());
    }
}

/// The commands are missing with the login: a list of mails shows it as well, and one of capabilities does not.
#[test]
fn a_list_without_its_command_shows_a_login_that_was_lost() {
    for (lines, outcome) in [("1 120\r\n2 200", Outcome::Completed), ("TOP\r\nUSER", Outcome::AuthFailed)] {
        let told = told(&[
            s("+OK ready\r\n"),
            c("USER alice\r\n"),
            s("+OK\r\n"),
            c("PASS wrongone\r\n"),
            s("-ERR no\r\n"),
            Step::Gap(Direction::Server, 20),
            Step::Gap(Direction::Client, 40),
            s(format!("+OK\r\n{lines}\r\n.\r\n")),
            c("QUIT\r\n"),
            s("+OK bye\r\n"),
        ]);
        assert_eq!(told.summary.3, Some(outcome), "{:?}", told.lines());
    }
}

/// A second USER is missing: who was refused is not who got in.
#[test]
fn a_user_in_a_gap_is_not_the_one_before() {
    let told = told(&[
        s("+OK ready\r\n"),
        c("USER bob\r\n"),
        s("+OK\r\n"),
        c("PASS wrongone\r\n"),
        s("-ERR no\r\n"),
        Step::Gap(Direction::Client, 12),
        s("+OK\r\n"),
        c("PASS rightone\r\n"),
        s("+OK logged in\r\n"),
        c("QUIT\r\n"),
        s("+OK bye\r\n"),
    ]);
    let tried: Vec<_> = told.auths().iter().map(|auth| (auth.user.clone(), auth.outcome)).collect();
    assert_eq!(tried, [(Some("bob".into()), AuthOutcome::Failure), (None, AuthOutcome::Success)]);
}

/// CAPA is answered in lines too, and to anybody.
#[test]
fn capabilities_behind_a_refusal_show_no_login() {
    for (verb, lines) in [("CAPA", "TOP\r\nUSER"), ("AUTH", "PLAIN\r\nLOGIN"), ("LANG", "en English\r\nde Deutsch")] {
        let told = told(&[
            s("+OK ready\r\n"),
            c("USER alice\r\n"),
            s("+OK\r\n"),
            c("PASS wrongone\r\n"),
            s("-ERR no\r\n"),
            c(format!("{verb}\r\n")),
            s(format!("+OK\r\n{lines}\r\n.\r\n")),
            c("QUIT\r\n"),
            s("+OK bye\r\n"),
        ]);
        assert_eq!(told.summary.3, Some(Outcome::AuthFailed), "{verb} {:?}", told.lines());
    }
}

/// Of a server that never spoke all is known, whatever is missing of the client.
#[test]
fn a_silent_server_is_no_banner_where_only_the_clients_bytes_are_missing() {
    let client = Step::Gap(Direction::Client, 9);
    assert_eq!(told(&[c("QUIT\r\n"), client.clone()]).summary.3, Some(Outcome::NoBanner));
    assert_eq!(told(&[Step::Gap(Direction::Server, 9), client]).summary.3, None);
}

/// QUIT's reply is missing: its client ended in order.
#[test]
fn a_quit_whose_answer_may_be_missing_ends_the_session_in_order() {
    let quits = [s("+OK ready\r\n"), c("QUIT\r\n")];
    assert_eq!(told(&[&quits[..], &[Step::Gap(Direction::Server, 9)]].concat()).summary.3, Some(Outcome::Completed));
    assert_eq!(told(&quits).summary.3, None);
}
