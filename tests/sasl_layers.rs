//! Security layers of SASL (RFC 4422 §3.7): behind the reply that lets the client in, both sides send pieces that begin
//! with their lengths. GSSAPI and DIGEST-MD5 have such layers, and Cyrus's programs ask for them by themselves.

mod common;

use common::packets::Turn;
use common::script::{c, codes, dialogue, only, play, s, verbs};
use mailcap::event::{AuthOutcome, Outcome};

/// Kerberos' tokens, the last of which asks for confidentiality (RFC 4752 §3.1: 4), and DIGEST-MD5's response with
/// `qop=auth-int`.
const TOKEN: &str = "YIIFwgYGKwYBBQUCoIIFtjCC";
const ASKED: &str = "YGgGCSqGSIb3EgECAgIAb1kwV6AD";
const CHOSEN: &str = "BQQE/wAMAAwAAAAAD05xzAQACAB1c2VyOl0W8vVZ3VJ0ZQ==";
const DIGEST: &str = "Y2hhcnNldD11dGYtOCx1c2VybmFtZT0iY2hyaXMiLHJlYWxtPSJ4Iixub25jZT0iT0E2TUc5dEVRR20yaGgiLG5jPTAwMDAwMDAxLGNub25jZT0iT0E2TUhYaDZWcVRyUmsiLGRpZ2VzdC11cmk9ImltYXAveCIscmVzcG9uc2U9ZDM4OGRhZDkwZDRiYmQ3NjBhMTUyMzIxZjIxNDNhZjcscW9wPWF1dGgtaW50";

/// A dialogue with these in their places.
fn turns(script: &str) -> Vec<Turn> {
    let script = script.replace("TOKEN", TOKEN).replace("ASKED", ASKED).replace("CHOSEN", CHOSEN);
    dialogue(143, &script.replace("DIGEST-RESPONSE", DIGEST)).turns
}

fn piece(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text].concat()
}

#[test]
fn nothing_is_read_into_a_security_layer() {
    let smtp = "S: 220 x ESMTP\nC: EHLO a\nS: 250-x\nS: 250 AUTH GSSAPI\nC: AUTH GSSAPI\nS: 334 \nC: TOKEN\nS: 334 ASKED\nC: CHOSEN";
    let pop3 = "S: +OK POP3 ready\nC: AUTH GSSAPI\nS: + \nC: TOKEN\nS: + ASKED\nC: CHOSEN";
    let imap = "S: * OK hi\nC: 1 AUTHENTICATE GSSAPI\nS: + \nC: TOKEN\nS: + ASKED\nC: CHOSEN";
    let signed = "S: * OK hi\nC: 1 AUTHENTICATE DIGEST-MD5\nS: + bm9uY2U9IngiLHFvcD0iYXV0aC1pbnQi\nC: DIGEST-RESPONSE\nS: + cnNwYXV0aD1lYTQwZjYwMzM1YzQyN2I1NTI3Yjg0ZGJhYmNkZmZmZA==\nC: ";
    let sieve = "S: \"SASL\" \"GSSAPI\"\nS: OK\nC: AUTHENTICATE \"GSSAPI\" \"TOKEN\"\nS: \"ASKED\"\nC: \"CHOSEN\"";
    let cases = [
        (25, smtp, "235 2.7.0 ok\r\n"),
        (110, pop3, "+OK in\r\n"),
        (143, imap, "1 OK Success (privacy protection)\r\n"),
        (143, signed, "1 OK Success (integrity protection)\r\n"),
        (4190, sieve, "OK\r\n"),
    ];
    // Whatever it looks like inside: lines, or the beginning of TLS.
    let asks = piece(b"2 NOOP\r\nQUIT\r\n.\r\n\0\xff");
    let says = piece(b"250 ok\r\n* BYE\r\n+OK\r\n\x80");
    for (port, login, accepted) in cases {
        let login = turns(login);
        let before = [login.clone(), vec![s(accepted)]].concat();
        let exchange = vec![c(&asks), s(&says), c(b"\x16\x03\x01\0\x05rest"), s(&says)];
        let apart = [before.clone(), exchange.clone()].concat();
        // ManageSieve's server goes on with its capabilities at once.
        let at_once = [login, vec![s([accepted.as_bytes(), &says].concat())], exchange].concat();
        let plain = verbs(&play(port, &before));
        for (turns, pieces) in [(apart, 2), (at_once, 3)] {
            let told = play(port, &turns);
            assert_eq!(verbs(&told), plain, "port {port}");
            assert_eq!(codes(&told), ["sasl-layer"], "port {port}");
            let session = only(&told).session();
            assert_eq!((session.outcome, session.complete), (Outcome::Completed, false), "port {port}");
            assert_eq!(session.undecrypted_bytes as usize, asks.len() + pieces * says.len() + 9, "port {port}");
            assert_eq!(only(&told).auth[0].outcome, AuthOutcome::Success, "port {port}");
        }
    }
}

#[test]
fn a_login_that_agreed_on_no_layer_goes_on_as_ever() {
    let login = "S: * OK hi\nC: 1 AUTHENTICATE GSSAPI\nS: + \nC: TOKEN\nS: 1 OK\nC: 2 NOOP\nS: 2 OK\nC: 3 LOGOUT\nS: * BYE\nS: 3 OK";
    let told = play(143, &turns(login));
    assert_eq!(verbs(&told), ["AUTHENTICATE", "", "NOOP", "LOGOUT"]);
    assert_eq!((codes(&told), only(&told).session().complete), (vec![], true));
}

/// The OK of the login is lost, so that a layer remains possible; the server's first compressed bytes follow the answer
/// to COMPRESS at once.
#[test]
fn compression_behind_a_login_without_its_verdict_is_inflated() {
    let login = turns("S: * OK hi\nC: 1 AUTHENTICATE GSSAPI\nS: + \nC: TOKEN\nS: + ASKED\nC: CHOSEN");
    // `* 3 EXISTS` and `3 OK done`, stored (RFC 1951 section 3.2.4).
    let stored = |text: &[u8]| {
        let len = (text.len() as u16).to_le_bytes();
        [&[0, len[0], len[1], !len[0], !len[1]][..], text].concat()
    };
    let says = stored(b"* 3 EXISTS\r\n");
    let asks = stored(b"3 NOOP\r\n");
    let answer = stored(b"3 OK done\r\n");
    let turns =
        [login, vec![c("2 COMPRESS DEFLATE\r\n"), s([&b"2 OK go\r\n"[..], &says].concat()), c(asks), s(answer)]]
            .concat();
    let told = play(143, &turns);
    assert_eq!(verbs(&told).last().unwrap(), "NOOP");
    let texts: Vec<_> = only(&told).replies.iter().map(|reply| reply.text.to_str_lossy().into_owned()).collect();
    assert!(texts.contains(&"3 EXISTS".to_owned()) && texts.contains(&"done".to_owned()), "{texts:?}");
}
