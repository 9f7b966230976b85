//! Which command a reply answers after a loss: what is told is so, what is not certain stays open.

use super::*;

const CLIENT: Direction = Direction::Client;
const SERVER: Direction = Direction::Server;

fn begin() -> Vec<Step> {
    vec![s("220 mx\r\n"), c("EHLO me\r\n"), s("250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n")]
}

/// A mail's commands one at a time, up to the 354.
fn step_by_step(k: u32) -> Vec<Step> {
    vec![
        c(format!("MAIL FROM:<f{k}@x>\r\n")),
        s(format!("250 sender {k}\r\n")),
        c(format!("RCPT TO:<r{k}@x>\r\n")),
        s(format!("250 rcpt {k}\r\n")),
        c("DATA\r\n"),
        s("354 go\r\n"),
    ]
}

/// The same in one flight.
fn flight(k: u32) -> Vec<Step> {
    vec![
        c(format!("MAIL FROM:<f{k}@x>\r\nRCPT TO:<r{k}@x>\r\nDATA\r\n")),
        s(format!("250 sender {k}\r\n250 rcpt {k}\r\n354 go\r\n")),
    ]
}

fn mail(k: u32) -> Step {
    c(format!("hello {k}\r\n.\r\n"))
}

fn quit() -> Vec<Step> {
    vec![c("QUIT\r\n"), s("221 bye\r\n")]
}

/// What the capture has not: the same bytes as gaps.
fn lost(steps: Vec<Step>) -> Vec<Step> {
    let gap = |step| match step {
        C(bytes) => Step::Gap(CLIENT, bytes.len() as u64),
        S(bytes) => Step::Gap(SERVER, bytes.len() as u64),
        other => other,
    };
    steps.into_iter().map(gap).collect()
}

/// A refused mail of which `lost` is missing, then `more`.
fn refused(begin: Vec<Step>, seen: &str, missing: Vec<Step>, more: Vec<Step>) -> Vec<Step> {
    [self::begin(), begin, vec![c(seen)], lost(missing), more, quit()].concat()
}

fn messages(steps: &[Step]) -> Vec<String> {
    lines(steps).into_iter().filter(|l| l.starts_with('M')).collect()
}

fn first(size: u32, complete: &str) -> String {
    format!("M1 t1 Unknown {complete} from=f0@x to=r0@x=250 size={size} id=-")
}

const SECOND: &str = "M2 t2 Accepted complete from=f1@x to=r1@x=250 size=9 id=Q1";

fn second(begin: Vec<Step>) -> Vec<Step> {
    [begin, vec![mail(1), s("250 queued as Q1\r\n")]].concat()
}

#[test]
fn a_221_is_no_verdict_on_the_mail_whose_end_is_in_the_gap() {
    let missing = vec![c("def\r\n.\r\n"), s("550 5.7.1 spam\r\n")];
    for begin in [step_by_step(0), flight(0)] {
        let steps = refused(begin.clone(), "abc\r\n", missing.clone(), vec![]);
        assert_eq!(messages(&steps), [first(5, "incomplete")]);
        // The client's bytes are found to be missing last.
        let turned = missing.iter().rev().cloned().collect();
        assert_eq!(messages(&refused(begin, "abc\r\n", turned, vec![])), [first(5, "incomplete")]);
    }
}

#[test]
fn the_next_mails_replies_are_no_verdict() {
    let verdict = s("550 5.7.1 spam\r\n");
    // The verdict and the next MAIL are missing, or RSET is.
    let next = step_by_step(1);
    let missing = vec![verdict.clone(), next[0].clone()];
    let steps = refused(step_by_step(0), "abc\r\n.\r\n", missing, second(next[1..].to_vec()));
    assert_eq!(
        messages(&steps),
        [first(5, "complete"), "M2 t2 Accepted complete from=? to=r1@x=250 size=9 id=Q1".into()]
    );
    let missing = vec![verdict.clone(), c("RSET\r\n")];
    let steps = refused(step_by_step(0), "abc\r\n.\r\n", missing, vec![s("250 flushed\r\n")]);
    assert_eq!(messages(&steps), [first(5, "complete")]);
    // The end of the mail and the verdict: the next MAIL is a command, and no text of the mail.
    for next in [step_by_step(1), flight(1)] {
        let missing = vec![c("def\r\n.\r\n"), verdict.clone()];
        let steps = refused(step_by_step(0), "abc\r\n", missing, second(next));
        assert_eq!(messages(&steps), [first(5, "incomplete"), SECOND.into()]);
    }
    // The verdict alone.
    for next in [step_by_step(1), flight(1)] {
        let steps = refused(step_by_step(0), "abc\r\n.\r\n", vec![verdict.clone()], second(next));
        assert_eq!(messages(&steps), [first(5, "complete"), SECOND.into()]);
    }
}

#[test]
fn the_verdict_and_the_next_flight_in_gaps() {
    let verdict = s("550 5.7.1 spam\r\n");
    // With its replies: the next mail's verdict stands for either.
    let missing = [vec![verdict.clone()], flight(1)].concat();
    let more = vec![mail(1), s("250 queued as Q1\r\n")];
    assert_eq!(messages(&refused(flight(0), "abc\r\n.\r\n", missing, more)), [first(5, "complete")]);
    // Without them.
    let missing = vec![verdict, flight(1)[0].clone()];
    let more = vec![s("250 sender 1\r\n550 5.1.1 no r1\r\n250 s1\r\n354 go\r\n"), mail(1), s("250 queued as Q1\r\n")];
    assert_eq!(
        messages(&refused(flight(0), "abc\r\n.\r\n", missing, more)),
        [first(5, "complete"), "M2 t2 Accepted incomplete from=? to= size=9 id=Q1".into()]
    );
}

#[test]
fn a_354_cut_in_two_leaves_the_verdict_its_own() {
    let steps = [
        begin(),
        vec![
            flight(0)[0].clone(),
            s("250 sender 0\r\n250 rcpt 0\r\n35"),
            Step::Gap(SERVER, 6),
            c("abc\r\n"),
            Step::Gap(CLIENT, 8),
            s("550 5.7.1 spam\r\n"),
        ],
        quit(),
    ]
    .concat();
    let found = lines(&steps);
    assert_eq!(messages(&steps), ["M1 t1 Rejected incomplete from=f0@x to=r0@x=250 size=5 id=-"]);
    assert_eq!(found.last().map(String::as_str), Some("S5 221 bye"));
}

#[test]
fn a_lost_rcpt_does_not_shift_the_replies() {
    let mail = c("MAIL FROM:<a@x>\r\n");
    let steps = [
        begin(),
        vec![mail.clone(), Step::Gap(CLIENT, 15), c("BDAT 5 LAST\r\nabc\r\n")],
        vec![s("250 sender ok\r\n250 rcpt ok\r\n550 5.7.1 spam\r\n")],
        quit(),
    ]
    .concat();
    assert_eq!(messages(&steps), ["M1 t1 Rejected incomplete from=a@x to= size=5 id=-"]);
    assert!(!lines(&steps).contains(&"D unexpected-reply".into()));
    let steps = [
        begin(),
        vec![mail.clone(), Step::Gap(CLIENT, 15), c("RCPT TO:<c@x>\r\nDATA\r\n")],
        vec![s("250 sender ok\r\n550 b unknown\r\n250 c ok\r\n354 go\r\n"), c("x\r\n.\r\n"), s("250 q\r\n")],
        quit(),
    ]
    .concat();
    assert_eq!(messages(&steps), ["M1 t1 Accepted complete from=a@x to=c@x=250 size=3 id=-"]);
    assert!(lines(&steps).contains(&"S- 550 b unknown".into()));
    // Nothing tells which of two recipients was refused.
    let steps = [
        begin(),
        vec![mail, c("RCPT TO:<b@x>\r\n"), Step::Gap(CLIENT, 15), c("RCPT TO:<c@x>\r\n")],
        vec![s("250 sender ok\r\n"), Step::Gap(SERVER, 8), s("550 unknown\r\n")],
    ]
    .concat();
    assert_eq!(lines(&steps).last().map(String::as_str), Some("S- 550 unknown"));
}

#[test]
fn the_envelope_does_not_leak_over_a_reset() {
    let before = vec![c("MAIL FROM:<f0@x>\r\n"), s("250 ok\r\n"), c("RCPT TO:<r0@x>\r\n"), s("550 5.1.1 no r0\r\n")];
    let next = step_by_step(1);
    let after = [next[2..].to_vec(), vec![mail(1), s("250 queued as Q1\r\n")], quit()].concat();
    let expected = "M1 t1 Accepted complete from=? to=r1@x=250 size=9 id=Q1";
    let check = |middle: Vec<Step>| {
        let steps = [begin(), before.clone(), middle, after.clone()].concat();
        let found: Vec<String> = messages(&steps).iter().map(|m| m.replacen(" t2 ", " t1 ", 1)).collect();
        assert_eq!(found, [expected], "{steps:#?}");
    };
    // The reply to RSET is missing, and the next MAIL with its reply.
    let gaps = lost(vec![s("250 reset\r\n"), next[0].clone(), next[1].clone()]);
    check([vec![c("RSET\r\n")], gaps].concat());
    // RSET as well.
    check(vec![Step::Gap(CLIENT, 24), Step::Gap(SERVER, 25)]);
    check(vec![Step::Gap(SERVER, 25), Step::Gap(CLIENT, 24)]);
    check(lost(vec![c("RSET\r\n"), s("250 reset\r\n"), next[0].clone(), next[1].clone()]));
    // The replies are there.
    check(vec![Step::Gap(CLIENT, 24), s("250 reset\r\n"), s("250 sender 1\r\n")]);
}

#[test]
fn a_mails_text_behind_a_gap_is_not_taken_for_commands() {
    // DATA, the 354 and the first line are missing; the next one reads like a command.
    let steps = [
        begin(),
        step_by_step(0)[..4].to_vec(),
        vec![Step::Gap(CLIENT, 16), Step::Gap(SERVER, 8)],
        vec![c("DATA\r\nthe word above stands alone\r\nQuit it\r\n.\r\n"), s("550 5.7.1 spam\r\n")],
        quit(),
    ]
    .concat();
    let commands: Vec<String> = lines(&steps).into_iter().filter(|l| l.starts_with('C')).skip(3).collect();
    assert_eq!(commands, ["C4 QUIT "]);
    assert!(messages(&steps).iter().all(|m| m.contains(" incomplete ") && !m.contains("Accepted")));
}

/// What is passed over may be the end of a line, but not of several.
#[test]
fn a_data_that_may_stand_in_a_mails_text_begins_no_complete_message() {
    for (text, whole) in [("ord\r\nDATA\r\n", true), ("ord\r\nand more\r\nDATA\r\n", false)] {
        let steps = [
            begin(),
            step_by_step(0)[..4].to_vec(),
            vec![Step::Gap(CLIENT, 16), c(text), s("354 go\r\n"), c("x\r\n.\r\n"), s("250 ok\r\n")],
            quit(),
        ]
        .concat();
        let told = messages(&steps);
        assert!(told.len() == 1 && told[0].contains(" complete ") == whole, "{text}: {told:?}");
    }
}

#[test]
fn lmtp_recipients_without_a_verdict_are_neither_accepted_nor_refused() {
    let steps = [
        s("220 l LMTP\r\n"),
        c("LHLO me\r\n"),
        s("250 l\r\n"),
        c("MAIL FROM:<a>\r\nRCPT TO:<b>\r\nRCPT TO:<c>\r\nRCPT TO:<d>\r\nDATA\r\n"),
        s("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n"),
        c("x\r\n.\r\n"),
        Step::Gap(SERVER, 8),
        s("550 spam\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let (events, _) = Run::default().feed(&steps, usize::MAX);
    let message = events.iter().find_map(|e| if let EventBody::Message(m) = &e.body { Some(m) } else { None }).unwrap();
    let accepted: Vec<Option<bool>> = message.rcpt_to.iter().map(|r| r.accepted).collect();
    assert_eq!(accepted, [None, Some(false), None]);
    assert_eq!(message.outcome, MessageOutcome::Unknown);
    // A refusal is there, the other verdict is not.
    let steps = [&steps[..6], &[s("550 spam\r\n"), Step::Gap(SERVER, 8)], &steps[8..]].concat();
    let found = messages(&steps);
    assert!(found.len() == 1 && found[0].contains("Unknown"), "{found:?}");
}

/// Its greeting does not name it, either.
#[test]
fn lmtp_whose_lhlo_is_lost_is_known_by_its_verdicts() {
    let steps = [
        s("220 mx Dovecot ready.\r\n"),
        Step::Gap(CLIENT, 9),
        s("250-mx\r\n250 8BITMIME\r\n"),
        c("MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n"),
        s("250 2.1.0 OK\r\n250 2.1.5 OK\r\n250 2.1.5 OK\r\n354 OK\r\n"),
        c("x\r\n.\r\n"),
        s("250 2.0.0 <b@y> 2KbYB7z9BGtvdwAAg Saved\r\n550 5.2.2 <c@y> Quota exceeded\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let (events, summary) = Run::default().feed(&steps, usize::MAX);
    let message = events.iter().find_map(|e| if let EventBody::Message(m) = &e.body { Some(m) } else { None }).unwrap();
    let accepted: Vec<Option<bool>> = message.rcpt_to.iter().map(|r| r.accepted).collect();
    let protocols = [summary.protocol, Some(message.protocol)];
    assert_eq!((protocols, accepted), ([Some(Protocol::Lmtp); 2], vec![Some(true), Some(false)]));
    // A server of SMTP may name one recipient as well, behind EHLO.
    let smtp = [&steps[..1], &[c("EHLO me\r\n"), Step::Gap(CLIENT, 9)], &steps[2..]].concat();
    assert_eq!(Run::default().feed(&smtp, usize::MAX).1.protocol, Some(Protocol::Smtp));
}

/// Verdicts that name their recipients, though replies to RCPT or other verdicts are lost.
#[test]
fn a_verdict_of_lmtp_is_the_recipients_that_it_names() {
    let told = |replies: &[Step], verdicts: &[Step]| {
        let begin =
            [s("220 mx\r\n"), c("LHLO me\r\n"), s("250 mx\r\n"), c("MAIL FROM:<a@x>\r\n"), s("250 2.1.0 OK\r\n")];
        let rcpt = [c("RCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nRCPT TO:<d@y>\r\nDATA\r\n")];
        let steps = [&begin[..], &rcpt, replies, &[c("x\r\n.\r\n")], verdicts, &quit()].concat();
        let (events, _) = Run::default().feed(&steps, usize::MAX);
        let message =
            events.iter().find_map(|e| if let EventBody::Message(m) = &e.body { Some(m) } else { None }).unwrap();
        let accepted: Vec<Option<bool>> = message.rcpt_to.iter().map(|r| r.accepted).collect();
        (message.outcome, accepted)
    };
    let (lost, replies) = (Step::Gap(SERVER, 14), s("250 2.1.5 OK\r\n250 2.1.5 OK\r\n354 OK\r\n"));
    let (b, c, d) = (s("250 2.0.0 <b@y> Saved\r\n"), s("250 2.0.0 <c@y> Saved\r\n"), s("550 5.2.2 <d@y> Full\r\n"));
    let all = [b.clone(), c.clone(), d.clone()];
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(told(&[lost.clone(), replies.clone()], &all), (MessageOutcome::Accepted, vec![yes, yes, no]));
    // The first recipient was not taken.
    assert_eq!(told(&[lost, replies.clone()], &all[1..]), (MessageOutcome::Accepted, vec![None, yes, no]));
    // All were, and a verdict is lost.
    let (lost, replies) = (Step::Gap(SERVER, 23), [s("250 2.1.5 OK\r\n"), replies]);
    let verdicts = [b.clone(), lost.clone(), d.clone()];
    assert_eq!(told(&replies, &verdicts), (MessageOutcome::Accepted, vec![yes, None, no]));
    assert_eq!(told(&replies, &[lost.clone(), lost, d]), (MessageOutcome::Unknown, vec![None, None, no]));
    assert_eq!(told(&replies, &all), (MessageOutcome::Accepted, vec![yes, yes, no]));
}

#[test]
fn thousands_of_commands_in_doubt_are_given_up() {
    let flood = "NOOP\r\n".repeat(4000);
    let replies = "451 no\r\n".repeat(2000);
    let steps = [
        begin(),
        vec![Step::Gap(CLIENT, 10), c(flood), s(replies)],
        flight(1),
        vec![mail(1), s("250 queued as Q1\r\n")],
        quit(),
    ]
    .concat();
    let (events, summary) = Run::default().feed(&steps, usize::MAX);
    let unknown = |e: &&Event| matches!(&e.body, EventBody::Reply(r) if r.command.is_none());
    assert!(events.iter().filter(unknown).count() >= 2000);
    assert_eq!((summary.commands, summary.messages), (4005, 1));
}
