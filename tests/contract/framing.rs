//! Framing that is easy to get wrong.

use super::*;

#[test]
fn a_refused_synchronising_literal_is_never_sent() {
    for no in ["NO no such", "BAD what"] {
        let told = play(
            143,
            &mailbox(&[c("p APPEND nope {9}\r\n"), s(format!("p {no}\r\n")), c("q NOOP\r\n"), s("q OK\r\n")]),
        );
        assert_eq!(verbs(&told)[2..], ["APPEND", "NOOP"]);
        assert_eq!(only(&told).messages.len(), 0);
    }
}

#[test]
fn a_non_synchronising_literal_is_sent_even_if_refused() {
    let told = play(
        143,
        &mailbox(&[c("p APPEND nope {8+}\r\n"), s("p NO no\r\n"), c("q NOOP\r\n\r\nr NOOP\r\n"), s("r OK\r\n")]),
    );
    assert_eq!(verbs(&told)[2..], ["APPEND", "NOOP"]);
    let message = &only(&told).messages[0];
    assert_eq!((message.size, message.outcome), (8, MessageOutcome::Rejected));
}

#[test]
fn braces_in_response_text_or_quotes_are_no_literal() {
    let told = play(
        143,
        &[
            s("* OK quota {5}\r\n"),
            c("a LIST \"\" \"x {50}\"\r\n"),
            s("* LIST () \"/\" \"{3}\"\r\n* NO full {7}\r\na OK done {9}\r\n"),
            c("b LOGOUT\r\n"),
            s("* BYE {2}\r\nb OK {4}\r\n"),
        ],
    );
    assert_eq!(verbs(&told), ["LIST", "LOGOUT"]);
    assert_eq!((only(&told).replies.len(), only(&told).session().outcome), (6, Outcome::Completed));
    assert!(codes(&told).is_empty());
}

#[test]
fn injected_commands_are_outside_the_counted_ones() {
    for (port, script, injected, counted) in [
        (25, "S: 220 x\nC: EHLO a\nS: 250 STARTTLS\nC: STARTTLS\nC: MAIL FROM:<evil>\nS: 220 go", "MAIL", 2),
        (143, "S: * OK x\nC: a STARTTLS\nC: b LOGIN x y\nS: a OK go", "LOGIN", 1),
        (110, "S: +OK x\nC: STLS\nC: USER x\nS: +OK go", "USER", 1),
        (4190, "S: \"IMPLEMENTATION\" \"x\"\nS: \"SIEVE\" \"x\"\nS: OK\nC: STARTTLS\nC: NOOP\nS: OK", "NOOP", 1),
    ] {
        // TLS follows.
        let mut dialogue = dialogue(port, script);
        dialogue.turns.push(c([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]));
        let told = decode(&dialogue, &flights(&dialogue), &How::default());
        let story = only(&told);
        let flagged: Vec<_> = story.commands.iter().filter(|c| c.injected).map(|c| c.verb.to_str_lossy()).collect();
        assert_eq!(flagged, [injected], "port {port}");
        assert_eq!(story.session().commands, counted, "port {port}");
        assert!(codes(&told).contains(&"injected-commands"), "port {port}: {:?}", codes(&told));
    }
}

#[test]
fn a_dot_line_with_a_bare_lf_ends_a_message_only_if_the_server_took_it_so() {
    let smuggle = "x\n.\nMAIL FROM:<evil>\r\nRCPT TO:<v>\r\nDATA\r\ny\r\n.\r\n";
    let taken = play(25, &with(&[c(smuggle), s("250 a\r\n250 b\r\n250 c\r\n354 d\r\n250 e\r\n")]));
    assert_eq!(only(&taken).messages.len(), 2);
    assert!(codes(&taken).contains(&"smuggling"));
    let content = play(25, &with(&[c(smuggle), s("250 a\r\n"), c("QUIT\r\n"), s("221 bye\r\n")]));
    assert_eq!(only(&content).messages.len(), 1);
    assert_eq!(hex(&only(&content).messages[0].sha256.unwrap()), digest(&smuggle[..smuggle.len() - 3]));
    assert!(codes(&content).contains(&"smuggling"));
}

#[test]
fn with_one_direction_only_success_is_assumed() {
    let dialogue = of(&whole(), 25, 40_000);
    let client: Vec<Packet> = flights(&dialogue).into_iter().filter(|p| p.side == Side::Initiator).collect();
    let told = decode(&dialogue, &client, &How::default());
    let story = only(&told);
    assert_eq!(verbs(&told), ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]);
    let message = &story.messages[0];
    assert!(message.assumed && story.commands.iter().all(|c| c.assumed));
    assert_eq!(
        (message.outcome, hex(&message.sha256.unwrap())),
        (MessageOutcome::Accepted, digest("Subject: x\r\n\r\nhi\r\n"))
    );
}

#[test]
fn with_one_direction_only_authentication_and_end_are_assumed_too() {
    let side = |turns: &[Turn], port: u16, side: Side| {
        let dialogue = of(turns, port, 40_000);
        let packets: Vec<Packet> = flights(&dialogue).into_iter().filter(|p| p.side == side).collect();
        decode(&dialogue, &packets, &How::default())
    };
    let auth = |told: &Told| -> Vec<(AuthOutcome, bool)> {
        only(told).auth.iter().map(|auth| (auth.outcome, auth.assumed)).collect()
    };
    let smtp = [
        s("220 mx ESMTP\r\n"),
        c("EHLO me\r\n"),
        s("250-mx\r\n250 AUTH PLAIN LOGIN\r\n"),
        c("AUTH LOGIN\r\n"),
        s("334 VXNlcm5hbWU6\r\n"),
        c("YWxpY2U=\r\n"),
        s("334 UGFzc3dvcmQ6\r\n"),
        c("*\r\n"),
        s("501 cancelled\r\n"),
        c("AUTH PLAIN AGFsaWNlAHB3\r\n"),
        s("235 ok\r\n"),
        c("QUIT\r\n"),
        s("221 bye\r\n"),
    ];
    let client = side(&smtp, 25, Side::Initiator);
    assert_eq!(auth(&client), [(AuthOutcome::Aborted, true), (AuthOutcome::Success, true)]);
    // What the server takes its leave with is an end, although nobody is seen to ask for it.
    let imap =
        [s("* OK IMAP4rev1\r\n"), c("a LOGIN u p\r\n"), s("a OK x\r\n"), c("b LOGOUT\r\n"), s("* BYE x\r\nb OK x\r\n")];
    for (turns, port) in [(&smtp[..], 25), (&imap, 143)] {
        let server = side(turns, port, Side::Responder);
        assert_eq!((only(&server).session().outcome, only(&server).session().complete), (Outcome::Completed, false));
    }
    assert_eq!(auth(&side(&imap, 143, Side::Initiator)), [(AuthOutcome::Success, true)]);
}
