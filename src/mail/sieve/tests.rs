//! Dialogues as Dovecot's Pigeonhole speaks them, and RFC 5804's own.

use super::*;
use crate::event::AuthOutcome;
use crate::mail::Options;
use crate::mail::script::{Step, Told, c, play, s};

fn told(steps: &[Step]) -> Told {
    play(Sieve::new, steps, &Options::default(), false)
}

const GREETING: &str =
    "\"IMPLEMENTATION\" \"Example1 ManageSieved v001\"\r\n\"SASL\" \"PLAIN\"\r\n\"STARTTLS\"\r\nOK \"Ready.\"\r\n";

#[test]
fn scripts_and_replies() {
    let told = told(&[
        s(GREETING),
        c("Authenticate \"PLAIN\" {24+}\r\nAGFsaWNlAHdvbmRlcmxhbmQx\r\n"),
        s("OK \"Logged in.\"\r\n"),
        c("PUTSCRIPT \"bad {3+}\" {20+}\r\nthis is not sieve;\r\n\r\n"),
        s("NO {26}\r\nbad: line 1:\r\nerror: x\"{3}\r\n"),
        c("GETSCRIPT {2+}\r\ns0\r\n"),
        s("{12}\r\nOK \"lie\"\r\n\r\n\r\nOK \"Getscript completed.\"\r\n"),
        c("LISTSCRIPTS\r\n"),
        s("\"s0\" ACTIVE\r\n\"s\\\"1\"\r\nOK\r\n"),
        c("DELETESCRIPT \"s0\"\r\n"),
        s("NO (ACTIVE) \"Cannot delete the active Sieve script.\"\r\n"),
        c("NOOP \"STARTTLS-SYNC-42\"\r\n"),
        s("OK (TAG {16}\r\nSTARTTLS-SYNC-42) \"Done\"\r\n"),
        c("LOGOUT\r\n"),
        s("OK \"Logout completed.\"\r\n"),
    ]);
    assert_eq!(
        told.lines(),
        [
            "< OK Ready.",
            "> AUTHENTICATE \"PLAIN\" {24+}",
            "! plaintext-password",
            "< OK Logged in.",
            "auth PLAIN alice Success",
            "> PUTSCRIPT \"bad {3+}\" {20+}",
            "script bad {3+} 20 Rejected true",
            "< NO bad: line 1:\r\nerror: x\"{3}",
            "> GETSCRIPT {2+} s0",
            "script s0 12 Accepted true",
            "< OK Getscript completed.",
            "> LISTSCRIPTS",
            "< OK",
            "> DELETESCRIPT \"s0\"",
            "< NO Cannot delete the active Sieve script.",
            "> NOOP \"STARTTLS-SYNC-42\"",
            "< OK Done",
            "> LOGOUT",
            "< OK Logout completed.",
        ]
    );
    assert_eq!(told.summary, (7, 0, 0, Some(Outcome::Completed)));
    let replies = told.replies();
    assert_eq!(replies[3].lines, ["{12}".into(), "Getscript completed.".into()], "a script is no reply");
    assert_eq!(replies[4].lines, ["\"s0\" ACTIVE".into(), "\"s\\\"1\"".into(), "".into()]);
    assert_eq!(replies[5].enhanced, Some("ACTIVE".into()));
    assert_eq!((replies[1].command, replies[1].latency), (Some(2), Some(1000)));
}

/// RFC 5804 §2.13: what was sent with NOOP comes back in TAG, a string of either form.
#[test]
fn text_is_behind_a_literal_within_the_code() {
    let told = told(&[
        s(GREETING),
        c("NOOP {3+}\r\nabc\r\n"),
        s("OK (TAG {3}\r\nabc) {4}\r\nDone\r\n"),
        c("NOOP \"{3}\"\r\n"),
        s("OK (TAG \"{3}\") {4}\r\nDone\r\n"),
        c("NOOP {0+}\r\n\r\n"),
        s("NO (X {1}\r\na{2}\r\nbc) {2}\r\nno\r\n"),
    ]);
    let texts: Vec<_> = told.replies().iter().skip(1).map(|r| r.text.to_str_lossy().into_owned()).collect();
    assert_eq!(texts, ["Done", "Done", "no"]);
}

/// A name with characters of eight bits, say; a script is an object, and a response a secret.
#[test]
fn names_in_literals_are_told() {
    let told = told(&[
        s("\"IMPLEMENTATION\" {3}\r\nabc\r\n\"SIEVE\" {8}\r\nfileinto\r\nOK\r\n"),
        c("AUTHENTICATE \"PLAIN\" {24+}\r\nAGFsaWNlAHdvbmRlcmxhbmQx\r\n"),
        s("OK\r\n"),
        c("DELETESCRIPT {5+}\r\ngr\u{fc}n\r\n"),
        s("OK\r\n"),
        c(
            "RENAMESCRIPT {3+}\r\nold {4+}\r\nnew1\r\nputscript {3+}\r\none {5+}\r\nstop;\r\nPUTSCRIPT {3+}\r\ntwo \"keep;\"\r\n",
        ),
        s("OK\r\nOK\r\nOK\r\n"),
        c("CHECKSCRIPT {5+}\r\nstop;\r\nLISTSCRIPTS\r\n"),
        s("OK\r\n\"summer\"\r\n{8}\r\ngr\u{fc}n}(x ACTIVE\r\n{3}\r\none\r\nOK\r\n"),
        c("LOGIN {5+}\r\nalice {6+}\r\nS3cret\r\n"),
        s("NO\r\n"),
    ]);
    let lines = told.lines();
    let commands: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("> ")).collect();
    assert_eq!(
        commands,
        [
            "AUTHENTICATE \"PLAIN\" {24+}",
            "DELETESCRIPT {5+} gr\u{fc}n",
            "RENAMESCRIPT {3+} old {4+} new1",
            "PUTSCRIPT {3+} one {5+}",
            "PUTSCRIPT {3+} two \"keep;\"",
            "CHECKSCRIPT {5+}",
            "LISTSCRIPTS",
            "LOGIN ***",
        ]
    );
    let replies = told.replies();
    let texts = |at: usize| replies[at].lines.iter().map(|l| l.to_str_lossy().into_owned()).collect::<Vec<_>>();
    assert_eq!(texts(0), ["\"IMPLEMENTATION\" {3} abc", "\"SIEVE\" {8} fileinto", ""]);
    assert_eq!(texts(7), ["\"summer\"", "{8} gr\u{fc}n}(x ACTIVE", "{3} one", ""]);
}

#[test]
fn authentication() {
    // Recorded from Dovecot 2.3.19.
    let told = told(&[
        s(GREETING),
        c("AUTHENTICATE \"PLAIN\" \"AGFsaWNlAGJhZA==\"\r\n"),
        s("NO \"Authentication failed.\"\r\n"),
        c("AUTHENTICATE \"LOGIN\"\r\n"),
        s("\"VXNlcm5hbWU6\"\r\n"),
        c("\"YWxpY2U=\"\r\n"),
        s("{12}\r\nUGFzc3dvcmQ6\r\n"),
        c("{16+}\r\nd29uZGVybGFuZDE=\r\n"),
        s("OK \"Logged in.\"\r\n"),
        c("AUTHENTICATE \"PLAIN\"\r\n"),
        s("\"\"\r\n"),
        c("\"*\"\r\n"),
        s("NO \"aborted\"\r\n"),
    ]);
    assert_eq!(
        told.lines()[1..],
        [
            "> AUTHENTICATE \"PLAIN\" \"***\"",
            "! plaintext-password",
            "< NO Authentication failed.",
            "auth PLAIN alice Failure",
            "> AUTHENTICATE \"LOGIN\"",
            "< + VXNlcm5hbWU6",
            ">  \"YWxpY2U=\"",
            "< + UGFzc3dvcmQ6",
            ">  {16+}",
            "! plaintext-password",
            "< OK Logged in.",
            "auth LOGIN alice Success",
            "> AUTHENTICATE \"PLAIN\"",
            "< +",
            ">  \"*\"",
            "< NO aborted",
            "auth PLAIN - Aborted",
        ]
    );
    assert_eq!(told.summary.0, 3);
}

#[test]
fn what_is_sent_behind_a_refused_authenticate_has_its_own_reply() {
    let told = told(&[s(GREETING), c("AUTHENTICATE \"X\"\r\nXFOO\r\nNOOP\r\n"), s("NO\r\nNO\r\nOK\r\n")]);
    let answered: Vec<_> = told.replies().iter().map(|reply| reply.command).collect();
    assert_eq!(answered, [None, Some(2), Some(3), Some(4)]);
}

#[test]
fn a_masked_line_is_no_command() {
    let told = told(&[
        s(GREETING),
        c("AUTHENTICATE \"PLAIN\"\r\n"),
        s("NO\r\n"),
        c("\"AGFsaWNlAHdvbmRlcmxhbmQx\"\r\n"),
        s("NO\r\n"),
        c("LOGOUT\r\n"),
        s("OK\r\n"),
    ]);
    assert_eq!(told.summary.0, 2);
}

#[test]
fn scram_ends_with_the_reply() {
    // RFC 5804 §2.1's way of sending RFC 5802 §5's last message.
    let options = Options { passwords: vec![("user".into(), "pencil".into())].into(), ..Options::default() };
    let steps = [
        s(GREETING),
        c("AUTHENTICATE \"SCRAM-SHA-1\" \"biwsbj11c2VyLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdM\"\r\n"),
        s(
            "{96}\r\ncj1meWtvK2QybGJiRmdPTlJ2OXFreGRhd0wzcmZjTkhZSlkxWlZ2V1ZzN2oscz1RU1hDUitRNnNlazhiZjkyLGk9NDA5Ng==\r\n",
        ),
        c(
            "\"Yz1iaXdzLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdMM3JmY05IWUpZMVpWdldWczdqLHA9djBYOHYzQnoyVDBDSkdiSlF5RjBYK0hJNFRzPQ==\"\r\n",
        ),
        s("OK (SASL \"dj1ybUY5cHFWOFM3c3VBb1pXamE0ZEpSa0ZzS1E9\")\r\n"),
    ];
    let told = play(Sieve::new, &steps, &options, false);
    assert_eq!((told.auths()[0].verified, told.auths()[0].outcome), (Some(true), AuthOutcome::Success));
}

#[test]
fn starttls() {
    let told = told(&[
        s(GREETING),
        c("STARTTLS\r\nNOOP\r\nAUTHENTICATE \"PLAIN\" \"AGEAYg==\"\r\n"),
        s("OK \"Begin TLS\"\r\n"),
        s("\"IMPLEMENTATION\" \"x\"\r\nOK \"TLS negotiation successful.\"\r\n"),
        c("CAPABILITY\r\n"),
        s("\"IMPLEMENTATION\" \"x\"\r\nOK\r\n"),
        c("LOGOUT\r\n"),
        s("BYE \"x\"\r\n"),
    ]);
    assert_eq!(
        told.lines()[1..],
        [
            "> STARTTLS",
            "< OK Begin TLS",
            "injected > NOOP",
            "injected > AUTHENTICATE \"PLAIN\" ***",
            "~< OK TLS negotiation successful.",
            "~> CAPABILITY",
            "~< OK",
            "~> LOGOUT",
            "~< BYE x",
        ]
    );
    let answered: Vec<_> = told.replies().iter().map(|reply| reply.command).collect();
    assert_eq!(answered, [None, Some(2), None, Some(7), Some(9)]);
    assert_eq!(told.summary, (3, 0, 0, Some(Outcome::Completed)));
    let refused = play(
        Sieve::new,
        &[s(GREETING), c("STARTTLS\r\nNOOP\r\n"), s("NO\r\n"), s("OK\r\n")],
        &Options::default(),
        false,
    );
    assert_eq!(refused.lines()[1..], ["> STARTTLS", "< NO", "> NOOP", "< OK"]);
}

#[test]
fn gaps_and_lies() {
    // A gap inside a script keeps the place.
    let script = told(&[
        s(GREETING),
        c("PUTSCRIPT \"a\" {100+}\r\nabc"),
        Step::Gap(Direction::Client, 90),
        c("defghij\r\nNOOP\r\n"),
        s("OK\r\nOK\r\n"),
    ]);
    assert_eq!(
        script.lines()[1..],
        ["> PUTSCRIPT \"a\" {100+}", "script a 10 Accepted false", "> NOOP", "< OK", "< OK"]
    );
    // One outside looks for the next command.
    let outside = told(&[s(GREETING), Step::Gap(Direction::Client, 9), c("\"secret\"\r\nNOOP\r\n"), s("OK\r\n")]);
    assert_eq!(outside.lines()[1..], ["! resynchronised", "> NOOP", "< OK"]);
    // Sizes that can't be, and a literal that never ends.
    let lies = told(&[s(GREETING), c("PUTSCRIPT \"a\" {99999999999+}\r\nNOOP\r\n"), s("NO\r\nOK\r\n")]);
    assert_eq!(lies.lines()[1..], ["! bad-length", "> PUTSCRIPT \"a\" {99999999999+}", "> NOOP", "< NO", "< OK"]);
    let endless = told(&[s(GREETING), c("PUTSCRIPT \"a\" {4294967295+}\r\nNOOP\r\n")]);
    assert_eq!(endless.lines().len(), 1);
    assert!(endless.summary.2 > 0, "its bytes are accounted for");
    let refused = told(&[s("BYE \"Too many\"\r\n")]);
    assert_eq!(refused.summary.3, Some(Outcome::Refused));
}

#[test]
fn a_lost_reply_gives_no_script_the_outcome_of_another() {
    // The answer NO to PUTSCRIPT is lost, LOGOUT's is not; and so within one flight.
    let lost = Step::Gap(Direction::Server, 4);
    let flights = [
        vec![c("NOOP\r\nPUTSCRIPT \"a\" \"stop;\"\r\n"), s("OK\r\n"), lost.clone(), c("LOGOUT\r\n"), s("OK bye\r\n")],
        vec![c("NOOP\r\nPUTSCRIPT \"a\" \"stop;\"\r\nLOGOUT\r\n"), s("OK\r\n"), lost.clone(), s("OK bye\r\n")],
        // It may be a line of the script that was asked for.
        vec![c("GETSCRIPT \"b\"\r\nPUTSCRIPT \"a\" \"stop;\"\r\n"), lost.clone(), s("OK\r\n{1}\r\nx\r\nNO\r\nNO\r\n")],
    ];
    for flight in flights {
        let told = told(&[&[s(GREETING)], &flight[..]].concat());
        let scripts: Vec<_> = told.lines().into_iter().filter(|line| line.starts_with("script")).collect();
        assert_eq!(scripts, ["script a 5 Unknown true"], "{flight:?}");
    }
    // Nothing is lost of the replies where the gap is inside a script.
    let inside = told(&[
        s(GREETING),
        c("GETSCRIPT \"b\"\r\nPUTSCRIPT \"a\" \"stop;\"\r\n"),
        s("{9}\r\nab"),
        lost,
        s("gh;\r\nOK\r\nNO\r\n"),
    ]);
    assert_eq!(inside.lines()[3..], ["script a 5 Rejected true", "script b 5 Accepted false", "< OK", "< NO"]);
}

#[test]
fn scripts_are_objects() {
    let script = "keep;\r\n# OK \"no\"\r\n";
    let steps = [
        s(GREETING),
        c(format!("PUTSCRIPT \"one\" {{{}+}}\r\n{script}\r\n", script.len())),
        s("OK (WARNINGS) \"fine\"\r\n"),
        c("CHECKSCRIPT \"stop;\"\r\n"),
        s("OK\r\n"),
        c("GETSCRIPT \"one\"\r\nGETSCRIPT \"none\"\r\n"),
        s(format!("{{{}}}\r\n{script}\r\nOK\r\nNO (NONEXISTENT) \"no\"\r\n", script.len())),
        c("PUTSCRIPT \"late\" {4+}\r\nstop\r\n"),
    ];
    let options = Options { digests: true, bodies: true, ..Options::default() };
    let told = play(Sieve::new, &steps, &options, false);
    let scripts: Vec<_> = told
        .events
        .iter()
        .filter_map(
            |e| if let crate::event::EventBody::Script(s) = &e.body { Some((e.span.last.number, s)) } else { None },
        )
        .collect();
    let facts: Vec<_> = scripts
        .iter()
        .map(|(frame, s)| (*frame, s.dir, s.name.as_ref().map(|n| n.to_str_lossy().into_owned()), s.size, s.outcome))
        .collect();
    let size = script.len() as u64;
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(
        facts,
        [
            (2, Direction::Client, name("one"), size, MessageOutcome::Accepted),
            (4, Direction::Client, None, 5, MessageOutcome::Accepted),
            (7, Direction::Server, name("one"), size, MessageOutcome::Accepted),
            (8, Direction::Client, name("late"), 4, MessageOutcome::Aborted),
        ]
    );
    assert_eq!(scripts[0].1.sha256, scripts[2].1.sha256);
    assert!(scripts.iter().all(|(_, s)| s.complete && s.sha256.is_some()));
    assert_eq!(scripts[0].1.text, Some(script.into()));
    assert_eq!(scripts[0].1.status, Some("OK (WARNINGS) fine".into()));
}

#[test]
fn the_server_alone_tells_of_an_authentication() {
    let greeting = "\"IMPLEMENTATION\" \"Dovecot Pigeonhole\"\r\n\"SASL\" \"PLAIN SCRAM-SHA-1\"\r\nOK\r\n";
    let one_sided = |steps: &[Step]| play(Sieve::new, steps, &Options::default(), true);
    // RFC 5802 section 5's exchange, its last word with the success.
    let told = one_sided(&[
        s(greeting),
        s("\"cj1meWtvK2QybGJiRmdPTlJ2OXFreGRhd0wzcmZjTkhZSlkxWlZ2V1ZzN2oscz1RU1hDUitRNnNlazhiZjkyLGk9NDA5Ng==\"\r\n"),
        s("OK (SASL \"dj1ybUY5cHFWOFM3c3VBb1pXamE0ZEpSa0ZzS1E9\") \"Logged in.\"\r\n"),
    ]);
    assert_eq!(told.lines().last().unwrap(), "auth SCRAM-SHA-1 - Success");
    assert!(told.auths()[0].assumed);
    // A script's name is no challenge, and what OK answers is not known.
    let told = one_sided(&[s(greeting), s("\"vacation\"\r\nOK\r\n")]);
    assert!(told.auths().is_empty());
}

/// The login that worked is missing: who was refused before it did not store the script, and somebody did.
#[test]
fn scripts_behind_a_refusal_show_a_login_that_was_lost() {
    let told = told(&[
        s(GREETING),
        c("AUTHENTICATE \"PLAIN\" \"AGFsaWNlAHdyb25ncGFzcw==\"\r\n"),
        s("NO \"wrong\"\r\n"),
        Step::Gap(Direction::Client, 60),
        Step::Gap(Direction::Server, 16),
        c("LISTSCRIPTS\r\n"),
        s("\"s0\" ACTIVE\r\nOK \"done\"\r\n"),
        c("LOGOUT\r\n"),
        s("OK \"bye\"\r\n"),
    ]);
    assert_eq!(told.summary.3, Some(Outcome::Completed), "{:?}", told.lines());
}

#[test]
fn a_silent_server_is_no_banner_where_only_the_clients_bytes_are_missing() {
    let client = Step::Gap(Direction::Client, 9);
    assert_eq!(told(&[c("LOGOUT\r\n"), client.clone()]).summary.3, Some(Outcome::NoBanner));
    assert_eq!(told(&[Step::Gap(Direction::Server, 9), client]).summary.3, None);
}

#[test]
fn a_logout_whose_answer_may_be_missing_ends_the_session_in_order() {
    let leaves = [s(GREETING), c("LOGOUT\r\n")];
    assert_eq!(told(&[&leaves[..], &[Step::Gap(Direction::Server, 9)]].concat()).summary.3, Some(Outcome::Completed));
    assert_eq!(told(&leaves).summary.3, None);
}
