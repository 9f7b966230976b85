//! Authentications: what is told of them, and what stays hidden.

use super::*;

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
    // A loss before it changes nothing: `+OK` lets nobody in.
    let [greeting, begun @ ..] = &begin;
    let lossy = [greeting.clone(), c("CAPA\r\n"), Step::Gap(Direction::Server, 14)];
    let refused = told(&[&lossy[..], begun, &wrong].concat());
    assert!(refused.lines().contains(&"auth NTLM - Failure".to_owned()), "{:#?}", refused.lines());
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
    // What is not there by chance is hidden wherever it stands, but where an address would tell it.
    let unmistakable = "Zq7XkWv9Lm2";
    for reply in ["imap://jo:Zq7XkWv9Lm2@mail.test", "\\x00jo\\x00Zq7XkWv9Lm2", "jo.Zq7XkWv9Lm2", "jo%3AZq7XkWv9Lm2"] {
        let told = login(unmistakable, &format!("-ERR {reply}"));
        assert!(!format!("{:?}", told.events).contains(unmistakable), "{reply}");
    }
    // What repeats it is hidden still, and mailcap's own words are not the server's.
    for password in ["mail", "token", "password"] {
        let told = login(password, &format!("-ERR unknown \"{password}\", a {password}."));
        assert_eq!(told.replies()[2].text, "unknown \"***\", a ***.".into());
        let sentence = "a password or token was sent without TLS";
        assert!(format!("{:?}", told.events).contains(sentence), "{password}");
    }
}
