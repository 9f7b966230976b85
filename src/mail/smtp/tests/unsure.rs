//! Behind losses: what may be another's is told of nobody.

use super::*;
use crate::event::{AuthOutcome, Message};

const CLIENT: Direction = Direction::Client;
const SERVER: Direction = Direction::Server;

fn lost(dir: Direction, text: &str) -> Step {
    Step::Gap(dir, text.len() as u64)
}

fn told(steps: &[&[Step]]) -> (Vec<Event>, Summary) {
    Run::default().feed(&steps.concat(), usize::MAX)
}

fn messages(events: &[Event]) -> Vec<&Message> {
    events.iter().filter_map(|e| if let EventBody::Message(m) = &e.body { Some(&**m) } else { None }).collect()
}

fn verdicts(message: &Message) -> Vec<(String, Option<u16>)> {
    message.rcpt_to.iter().map(|r| (r.address.to_str_lossy().into_owned(), r.code)).collect()
}

fn logins(events: &[Event]) -> Vec<(Option<Text>, AuthOutcome)> {
    let auths = events.iter().filter_map(|e| if let EventBody::Auth(a) = &e.body { Some(a) } else { None });
    auths.map(|auth| (auth.user.clone(), auth.outcome)).collect()
}

fn lmtp() -> [Step; 5] {
    [s("220 x LMTP\r\n"), c("LHLO me\r\n"), s("250 x\r\n"), c("MAIL FROM:<s@x>\r\n"), s("250 2.1.0 OK\r\n")]
}

/// Not all servers name the recipient. Those before the gap have their verdicts by their places.
#[test]
fn a_verdict_without_a_name_behind_a_gap_that_may_hold_a_recipient_is_nobodys() {
    let torn = [c("RCPT TO"), Step::Gap(CLIENT, 4), c("@x>\r\nRCPT TO:<c@x>\r\n"), s("250 OK\r\n250 OK\r\n")];
    let whole = [lost(CLIENT, "RCPT TO:<b@x>\r\n"), s("250 OK\r\n"), c("RCPT TO:<c@x>\r\n"), s("250 OK\r\n")];
    for gap in [&whole, &torn] {
        let (events, _) = told(&[
            &lmtp(),
            &[c("RCPT TO:<a@x>\r\n"), s("250 OK\r\n")],
            gap,
            &[c("DATA\r\n"), s("354 OK\r\n"), c("A: 1\r\n\r\n.\r\n")],
            &[s("552 5.2.2 full\r\n451 4.2.0 later\r\n250 2.0.0 saved\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
        ]);
        let message = messages(&events)[0];
        assert_eq!(verdicts(message), [("a@x".into(), Some(552)), ("c@x".into(), None)]);
        assert_eq!(message.rcpt_to[1].accepted, None);
        assert_eq!((message.outcome, &message.status), (MessageOutcome::Unknown, &None));
    }
    // What is too short for RCPT holds none.
    let (events, _) = told(&[
        &lmtp(),
        &[c("RCPT TO:<a@x>\r\n"), s("250 OK\r\n"), lost(CLIENT, "DATA\r\n"), s("354 OK\r\n")],
        &[c("A: 1\r\n\r\n.\r\n"), s("552 5.2.2 full\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
    ]);
    assert_eq!(messages(&events)[0].outcome, MessageOutcome::Rejected);
}

/// The envelope was sent together, and is missing: each recipient has a verdict, and how many there are is not known.
#[test]
fn one_of_several_verdicts_is_not_that_of_the_message() {
    let envelope = "MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n";
    for [first, second] in [["451 4.2.0 <a@x> later", "250 2.0.0 <b@x> saved"], ["451 4.2.0 later", "250 2.0.0 saved"]]
    {
        let (events, _) = told(&[
            &lmtp()[..3],
            &[lost(CLIENT, envelope), s("250 2.1.0 OK\r\n250 2.1.5 OK\r\n250 2.1.5 OK\r\n354 OK\r\n")],
            &[c("A: 1\r\n\r\n.\r\n"), s(format!("{first}\r\n{second}\r\n"))],
            &[c("QUIT\r\n"), s("221 bye\r\n")],
        ]);
        assert_eq!(messages(&events)[0].outcome, MessageOutcome::Unknown, "{first}");
    }
}

/// Nothing is missing: the server took the text all the same.
#[test]
fn a_message_for_nobody_is_refused_as_ever() {
    let (events, _) = told(&[
        &lmtp(),
        &[c("RCPT TO:<a@x>\r\n"), s("550 no\r\n"), c("DATA\r\n"), s("354 OK\r\n"), c("A: 1\r\n\r\n.\r\n")],
        &[s("554 no valid recipients\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
    ]);
    assert_eq!(messages(&events)[0].outcome, MessageOutcome::Rejected);
}

/// RSET and MAIL are missing, in one gap that tears both or in two: what follows is not the first one's envelope.
#[test]
fn an_envelope_does_not_outlive_a_reset_that_is_torn_or_missing() {
    let torn = [c("RSE"), lost(CLIENT, "T\r\nMAIL FR"), c("OM:<c@x>\r\n"), s("250 2.0.0 ok\r\n250 2.1.0 ok\r\n")];
    let apart =
        [lost(CLIENT, "RSET\r\n"), s("250 2.0.0 ok\r\n"), lost(CLIENT, "MAIL FROM:<c@x>\r\n"), s("250 2.1.0 ok\r\n")];
    for gap in [&torn, &apart] {
        let (events, _) = told(&[
            &up_to_data()[..7],
            gap,
            &[c("RCPT TO:<d@y>\r\n"), s("250 2.1.5 ok\r\n"), c("DATA\r\n"), s("354 go\r\n")],
            &[c("A: 1\r\n\r\n.\r\n"), s("250 2.0.0 ok\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
        ]);
        let message = messages(&events)[0];
        assert_eq!(message.mail_from, None, "{gap:?}");
        assert_eq!(verdicts(message), [("d@y".into(), Some(250))], "{gap:?}");
    }
}

fn refused() -> [Step; 5] {
    let refused = [c("AUTH PLAIN AGJvYgB3\r\n"), s("535 5.7.8 no\r\n")];
    let [asked, no] = refused;
    [s("220 x\r\n"), c("EHLO me\r\n"), s("250-x\r\n250 AUTH PLAIN LOGIN\r\n"), asked, no]
}

/// The second AUTH and its 235 are missing: bob was refused, and MAIL was taken.
#[test]
fn who_was_refused_is_not_the_user_where_another_may_have_got_in() {
    let mail = [c("MAIL FROM:<a@x>\r\n"), s("250 2.1.0 ok\r\n"), c("QUIT\r\n"), s("221 bye\r\n")];
    let gaps = [lost(CLIENT, "AUTH PLAIN AGFsaWNlAHI=\r\n"), lost(SERVER, "235 2.7.0 ok\r\n")];
    let (events, summary) = told(&[&refused(), &gaps, &mail]);
    assert_eq!((summary.user, summary.outcome), (None, Some(Outcome::Completed)));
    assert_eq!(logins(&events), [(Some("bob".into()), AuthOutcome::Failure)]);
    // Nothing of the client is missing, or only later.
    let (_, summary) = told(&[&refused(), &mail]);
    assert_eq!(summary.user, Some("bob".into()));
    let (_, summary) = told(&[&refused(), &mail[..2], &gaps, &mail[2..]]);
    assert_eq!(summary.user, Some("bob".into()));
}

/// `*` is missing, and the AUTH behind it: the verdict is not on who gave up.
#[test]
fn a_login_that_was_cancelled_in_a_gap_is_over() {
    let (events, _) = told(&[
        &refused()[..3],
        &[c("AUTH LOGIN Ym9i\r\n"), s("334 UGFzc3dvcmQ6\r\n"), lost(CLIENT, "*\r\n"), s("501 5.7.0 cancelled\r\n")],
        &[lost(CLIENT, "AUTH PLAIN\r\n"), s("334 \r\n"), c("AGV2ZQBiYWQ=\r\n"), s("535 5.7.8 no\r\n")],
        &[c("QUIT\r\n"), s("221 bye\r\n")],
    ]);
    assert!(!logins(&events).contains(&(Some("bob".into()), AuthOutcome::Failure)), "{:?}", logins(&events));
    assert_eq!(logins(&events)[0], (Some("bob".into()), AuthOutcome::Unknown));
}

/// Its reply may be another's, as the beginning of the dialogue is missing.
#[test]
fn a_login_whose_reply_is_not_known_was_not_broken_off() {
    let steps = [
        c("AUTH PLAIN AGFsaWNlAHI=\r\n"),
        s("503 5.5.1 already\r\n"),
        Step::Gap(CLIENT, 17),
        s("250 2.1.0 ok\r\n"),
        Step::End(SERVER),
        Step::End(CLIENT),
    ];
    let (events, _) = Run { joined: true, ..Run::default() }.feed(&steps, usize::MAX);
    assert_eq!(logins(&events), [(Some("alice".into()), AuthOutcome::Unknown)]);
}

/// 354 is missing, the text, and whatever the server said of it.
#[test]
fn a_message_whose_end_may_be_missing_was_not_broken_off() {
    let gaps = [lost(SERVER, "354 go\r\n250 ok\r\n221 bye\r\n"), lost(CLIENT, "A: 1\r\n\r\n.\r\nQUIT\r\n")];
    let ends = [Step::End(SERVER), Step::End(CLIENT)];
    for at in 0..2 {
        let (one, other) = (gaps[at].clone(), gaps[1 - at].clone());
        let (events, _) = told(&[&up_to_data()[..8], &[one, other], &ends]);
        assert!(messages(&events).iter().all(|m| m.outcome == MessageOutcome::Unknown), "{events:?}");
    }
    // The server's words are all there.
    let (events, _) = told(&[&up_to_data(), &[c("A: 1\r\n"), lost(CLIENT, "text")], &ends]);
    assert_eq!(messages(&events)[0].outcome, MessageOutcome::Aborted);
}

#[test]
fn nothing_is_under_way_where_only_what_is_missing_may_be() {
    let gaps = [lost(CLIENT, "QUIT\r\n"), lost(SERVER, "221 bye\r\n")];
    let done = [c("A: 1\r\n\r\n.\r\n"), s("250 2.0.0 ok\r\n")];
    assert!(told(&[&up_to_data(), &done, &gaps]).1.at_rest);
    assert!(!told(&[&up_to_data(), &gaps]).1.at_rest);
}
