//! The RFCs' dialogues, and what real servers and clients do.

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

#[test]
fn apop_is_judged() {
    let steps = [
        s("+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n"),
        c("APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"),
        s("+OK\r\n"),
    ];
    let options = Options { passwords: vec![("mrose".into(), "tanstaaf".into())].into(), ..Options::default() };
    let told = play(Pop3::new, &steps, &options, false);
    assert_eq!(told.auths()[0].verified, Some(true));
    assert_eq!(told.auths()[0].secret, None);
}

#[test]
fn passwords_are_masked() {
    let steps = [
        s("+OK\r\n"),
        c("user alice\r\n"),
        s("+OK\r\n"),
        c("pass  two words \r\n"),
        s("-ERR [AUTH] Authentication failed.\r\n"),
        c("QUIT\r\n"),
        s("+OK bye\r\n"),
    ];
    let told = told(&steps);
    assert_eq!(
        told.lines(),
        [
            "< +OK",
            "> USER alice",
            "< +OK",
            "> PASS ***",
            "! plaintext-password",
            "< -ERR [AUTH] Authentication failed.",
            "auth USER alice Failure",
            "> QUIT",
            "< +OK bye",
        ]
    );
    assert_eq!(told.summary.3, Some(Outcome::AuthFailed));
    let shown = play(Pop3::new, &steps, &Options { show_secrets: true, ..Options::default() }, false);
    assert_eq!(shown.auths()[0].secret, Some(" two words ".into()));
    assert!(shown.lines().contains(&"> PASS  two words".to_owned()), "{:?}", shown.lines());
}

#[test]
fn a_password_of_many_words_does_not_push_itself_out() {
    let words: Vec<String> = (0..40).map(|n| format!("Word{n}x")).collect();
    let short = words[..10].join(" ");
    let long = words.join(" ");
    for password in [short, long] {
        let told = told(&[
            s("+OK\r\n"),
            c("USER bob\r\n"),
            s("+OK\r\n"),
            c("PASS Word0x\r\n"),
            s("-ERR no\r\n"),
            c(format!("PASS {password}\r\n")),
            s(format!("-ERR unknown command PASS {password}\r\n")),
        ]);
        assert_eq!(told.replies()[3].text, "unknown command ***".into());
        assert!(!format!("{:?}", told.events).contains("Word"));
    }
}

#[test]
fn a_maildrop_in_use_is_no_wrong_password() {
    for login in [&["USER bob", "PASS secret"][..], &["APOP bob c4c9334bac560ecc979e58001b3e22fb"]] {
        let mut steps = vec![s("+OK ready <1@x>\r\n")];
        for (at, command) in login.iter().enumerate() {
            let last = at + 1 == login.len();
            steps.extend([c(format!("{command}\r\n")), s(if last { "-ERR [IN-USE] busy\r\n" } else { "+OK\r\n" })]);
        }
        let told = told(&[&steps[..], &[c("QUIT\r\n"), s("+OK\r\n")]].concat());
        assert_eq!(told.auths()[0].outcome, AuthOutcome::Success, "{login:?}");
        assert_eq!(told.summary.3, Some(Outcome::Completed));
    }
    let wrong = told(&[s("+OK ready\r\n"), c("USER bob\r\n"), s("+OK\r\n"), c("PASS x\r\n"), s("-ERR [AUTH] no\r\n")]);
    assert_eq!((wrong.auths()[0].outcome, wrong.summary.3), (AuthOutcome::Failure, Some(Outcome::AuthFailed)));
}

#[test]
fn a_name_that_is_refused_is_an_authentication() {
    let auths = |steps: &[Step]| -> Vec<(Option<Text>, AuthOutcome)> {
        told(steps).auths().iter().map(|auth| (auth.user.clone(), auth.outcome)).collect()
    };
    let failed = |user: &str| (Some(user.into()), AuthOutcome::Failure);
    let scan = [s("+OK ready\r\n"), c("USER al\r\n"), s("-ERR no such\r\n"), c("USER bob\r\n"), s("-ERR no such\r\n")];
    assert_eq!(auths(&scan), [failed("al"), failed("bob")]);
    // Sent with its PASS: one attempt.
    let both = [s("+OK ready\r\n"), c("USER al\r\nPASS x\r\n"), s("-ERR no such\r\n-ERR no user\r\n")];
    assert_eq!(auths(&both), [failed("al")]);
}

#[test]
fn auth_exchanges() {
    // From a capture of Dovecot 2.3.19: a list of mechanisms, a cancelled exchange, one with a challenge.
    let told = told(&[
        s("+OK Dovecot (Debian) ready. <7710.3c.6b04fdb7.xv79ahUrz80cNqNAyw7fPQ==@vm>\r\n"),
        c("AUTH\r\n"),
        s("+OK\r\nPLAIN\r\nLOGIN\r\n.\r\n"),
        c("AUTH PLAIN\r\n"),
        s("+ \r\n"),
        c("*\r\n"),
        s("-ERR Authentication aborted by client.\r\n"),
        c("AUTH plain =\r\n"),
        s("+\r\n"),
        c("AGFsaWNlAHdvbmRlcmxhbmQx\r\n"),
        s("-ERR [AUTH] no\r\n"),
        c("AUTH CRAM-MD5\r\n"),
        s("+ PDE2NzUwOTUzNTg2MzIwNzkuMTc5NTQ4OTIwN0B2bT4=\r\n"),
        c("YWxpY2UgMDc1NDFiYTY3ZTBmNWE2NjY2MmQzZmQ0OGNkYWQ3MDI=\r\n"),
        s("+OK Logged in.\r\n"),
        c("STAT\r\n"),
        s("+OK 5 2716\r\n"),
    ]);
    assert_eq!(
        told.lines()[1..],
        [
            "> AUTH",
            "< +OK",
            "> AUTH PLAIN",
            "< +",
            ">  *",
            "< -ERR Authentication aborted by client.",
            "auth PLAIN - Aborted",
            "> AUTH plain =",
            "< +",
            ">  ***",
            "! plaintext-password",
            "< -ERR [AUTH] no",
            "auth PLAIN alice Failure",
            "> AUTH CRAM-MD5",
            "< + PDE2NzUwOTUzNTg2MzIwNzkuMTc5NTQ4OTIwN0B2bT4=",
            ">  ***",
            "< +OK Logged in.",
            "auth CRAM-MD5 alice Success",
            "> STAT",
            "< +OK 5 2716",
        ]
    );
    assert_eq!(told.summary.0, 5, "responses are no commands");
    // The final reply answers the last response.
    assert_eq!(told.replies()[7].command, told.replies()[6].command.map(|seq| seq + 2));
}

/// Exchange 2003, as MailKit's issue 391 has it recorded.
#[test]
fn ok_to_auth_ntlm_asks_for_the_first_token() {
    let begin = [s("+OK Microsoft Exchange Server 2003 POP3 server ready.\r\n"), c("AUTH NTLM\r\n"), s("+OK\r\n")];
    // [MS-NLMP] 4.2.4's messages, of user `User`.
    let challenge = "TlRMTVNTUAACAAAADAAMADgAAAAzgoriASNFZ4mrze8AAAAAAAAAACQAJABEAAAABgBwFwAAAA9TAGUAcgB2AGUAcgACAAwARABvAG0AYQBpAG4AAQAMAFMAZQByAHYAZQByAAAAAAA=";
    let taken = told(&[
        &begin[..],
        &[
            c("TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAFASgKAAAADw==\r\n"),
            s(format!("+ {challenge}\r\n")),
            c("TlRMTVNTUAADAAAAAAAAAEAAAAAAAAAAQAAAAAAAAABAAAAACAAIAEAAAAAAAAAASAAAAAAAAABIAAAAM4KK4lUAcwBlAHIA\r\n"),
            s("+OK User successfully logged on\r\n"),
            c("STAT\r\n"),
            s("+OK 0 0\r\n"),
            c("QUIT\r\n"),
            s("+OK\r\n"),
        ],
    ]
    .concat());
    let challenge = format!("< + {challenge}");
    assert_eq!(
        taken.lines()[1..],
        [
            "> AUTH NTLM",
            "< +OK",
            ">  ***",
            &challenge,
            ">  ***",
            "< +OK User successfully logged on",
            "auth NTLM User Success",
            "> STAT",
            "< +OK 0 0",
            "> QUIT",
            "< +OK",
        ]
    );
    let wrong = [c("Q0FQQQ==\r\n"), s("-ERR Logon failure\r\n"), c("QUIT\r\n"), s("+OK\r\n")];
    let refused = told(&[&begin[..], &wrong].concat());
    assert_eq!(refused.lines()[5..], ["auth NTLM - Failure", "> QUIT", "< +OK"]);
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
fn what_is_sent_behind_a_refused_auth_has_its_own_reply() {
    let answers = |steps: &[Step]| {
        let told = told(steps);
        assert!(!told.lines().iter().any(|line| line.starts_with("! unexpected")), "{:?}", told.lines());
        told.replies().iter().map(|reply| (reply.status.to_str_lossy().into_owned(), reply.command)).collect::<Vec<_>>()
    };
    let reply = |status: &str, command| (status.to_owned(), command);
    // An unknown command may be a password, and is masked; servers take it for a command.
    let refused = [s("+OK\r\n"), c("AUTH LOGIN\r\nXTND x\r\nNOOP\r\n"), s("-ERR no\r\n-ERR what\r\n+OK\r\n")];
    assert_eq!(
        answers(&refused),
        [reply("+OK", None), reply("-ERR", Some(2)), reply("-ERR", Some(3)), reply("+OK", Some(4))]
    );
    // Where the server asks for it, it is the response.
    let asked = [s("+OK\r\n"), c("AUTH PLAIN\r\nAGEAYg==\r\nNOOP\r\n"), s("+ \r\n-ERR no\r\n+OK\r\n")];
    assert_eq!(
        answers(&asked),
        [reply("+OK", None), reply("+", Some(2)), reply("-ERR", Some(3)), reply("+OK", Some(5))]
    );
}

#[test]
fn a_masked_line_is_no_command() {
    let told = told(&[
        s("+OK\r\n"),
        c("AUTH PLAIN\r\n"),
        s("-ERR no\r\n"),
        c("AGFsaWNlAHdvbmRlcmxhbmQx\r\n"),
        s("-ERR what\r\n"),
        c("\r\n"),
        s("-ERR what\r\n"),
        c("QUIT\r\n"),
        s("+OK\r\n"),
    ]);
    assert_eq!(told.summary.0, 2);
}

#[test]
fn known_passwords_judge_exchanges() {
    // Recorded from Dovecot 2.3.19.
    let options = Options { passwords: vec![("alice".into(), "wonderland1".into())].into(), ..Options::default() };
    let cram = [
        s("+OK x\r\n"),
        c("AUTH CRAM-MD5\r\n"),
        s("+ PDE2NzUwOTUzNTg2MzIwNzkuMTc5NTQ4OTIwN0B2bT4=\r\n"),
        c("YWxpY2UgMDc1NDFiYTY3ZTBmNWE2NjY2MmQzZmQ0OGNkYWQ3MDI=\r\n"),
        s("+OK Logged in.\r\n"),
    ];
    let scram = [
        s("+OK x\r\n"),
        c("AUTH SCRAM-SHA-1 biwsbj1hbGljZSxyPWZ5a28rZDJsYmJGZ09OUnY5cWt4ZGF3THBvcA==\r\n"),
        s("+ cj1meWtvK2QybGJiRmdPTlJ2OXFreGRhd0xwb3AoUVc0NGBZU1QrJlJhOGZfVV0hPjglKWsuU0NQLlwoSEx+Rng2O0A4eUwmU3piW1Yn\
           KnQ1UT48fVBsMkVZOS07LHM9VnhoektnV3RRVmxjeXM1S2g5bm1PUT09LGk9NDA5Ng==\r\n"),
        c("Yz1iaXdzLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdMcG9wKFFXNDRgWVNUKyZSYThmX1VdIT44JSlrLlNDUC5cKEhMfkZ4NjtAOHlM\
           JlN6YltWJyp0NVE+PH1QbDJFWTktOyxwPUZKN2FaRnk2VHBJLzY5c0c0WWtreWN4WlJiZz0=\r\n"),
        s("+ dj1JTXUwQk5MODBNRFI2ZnVrTEpRbi9JQTc3YUU9\r\n"),
        c("\r\n"),
        s("+OK Logged in.\r\n"),
    ];
    for steps in [&cram[..], &scram[..]] {
        let told = play(Pop3::new, steps, &options, false);
        assert_eq!(told.auths()[0].verified, Some(true));
        assert_eq!((told.auths()[0].outcome, told.summary.0), (AuthOutcome::Success, 1));
    }
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
    assert_eq!(cut.summary.3, Some(Outcome::Aborted));
}

#[test]
fn a_mask_amid_a_word_does_not_tell_what_it_hides() {
    let login = |password: &str, reply: &str| {
        let password = c(format!("PASS {password}\r\n"));
        told(&[s("+OK\r\n"), c("USER jo.doe@mail.test\r\n"), s("+OK\r\n"), password, s(format!("{reply}\r\n"))])
    };
    // Who sees the rest of a name or a number knows what is missing in it.
    for (password, reply) in [
        ("mail", "-ERR mail.example.com: try later"),
        ("jo.doe", "-ERR no mailbox of jo.doe@mail.test"),
        ("2023", "+OK 12023 messages"),
    ] {
        let told = login(password, reply);
        assert_eq!(told.replies()[2].text, reply.split_once(' ').unwrap().1.into());
    }
    // What repeats it is hidden still, and mailcap's own words are not the server's.
    for password in ["mail", "token", "password"] {
        let told = login(password, &format!("-ERR unknown \"{password}\", a {password}."));
        assert_eq!(told.replies()[2].text, "unknown \"***\", a ***.".into());
        let sentence = "a password or token was sent without TLS";
        assert!(format!("{:?}", told.events).contains(sentence), "{password}");
    }
}
