//! The RFCs' own examples, and what may be shown of them.

use super::*;
use crate::position::Span;

fn knowing(user: &str, password: &str) -> Options {
    Options { show_secrets: true, passwords: vec![(user.into(), password.into())].into(), ..Options::default() }
}

/// Runs a dialogue: `S: ` challenges, `C: ` responses. Gives the auth event and what was shown of the responses.
fn run(mechanism: &str, lines: &[&str], options: &Options) -> (Auth, Vec<String>) {
    let mut exchange = Exchange::sasl(mechanism.as_bytes(), false, Span::default());
    let mut shown = Vec::new();
    for line in lines {
        let (side, text) = line.split_at(3);
        match side {
            "S: " => exchange.challenge(text.as_bytes(), Span::default()),
            _ => shown.push(exchange.response(text.as_bytes(), Span::default(), options).to_str_lossy().into_owned()),
        }
    }
    (finish(exchange, AuthOutcome::Success), shown)
}

fn finish(exchange: Exchange, outcome: AuthOutcome) -> Auth {
    let mut out = Emitter::new(1);
    exchange.finish(outcome, Span::default(), false, &mut out);
    let auth = out.drain().find_map(|event| if let EventBody::Auth(auth) = event.body { Some(auth) } else { None });
    auth.expect("no auth event")
}

fn b64(side: &str, text: &str) -> String {
    format!("{side}: {}", decode::encode_base64(text.as_bytes()))
}

/// Runs it three times: with the right password, with another, and with none and secrets masked.
fn judged(mechanism: &str, lines: &[&str], user: &str, password: &str) -> Auth {
    let (auth, shown) = run(mechanism, lines, &knowing(user, password));
    assert_eq!(auth.user, Some(user.into()));
    assert_eq!(auth.verified, Some(true), "{mechanism}");
    let sent: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("C: ")).collect();
    assert_eq!(shown, sent, "shown whole where the user asked for secrets");
    let (other, _) = run(mechanism, lines, &knowing(user, "another"));
    assert_eq!(other.verified, Some(false), "{mechanism}");
    let (masked, shown) = run(mechanism, lines, &Options::default());
    assert_eq!((masked.user, masked.secret, masked.verified), (Some(user.into()), None, None));
    assert!(shown.iter().any(|text| text == MASK), "{shown:?}");
    assert!(auth.secret.is_some());
    auth
}

#[test]
fn plain() {
    // RFC 4616 §4.
    let tim = b64("C", "\0tim\0tanstaaftanstaaf");
    let auth = judged("plain", &[&tim], "tim", "tanstaaftanstaaf");
    assert_eq!((auth.mechanism, auth.authzid, auth.secret), ("PLAIN".into(), None, Some("tanstaaftanstaaf".into())));
    let auth = judged("PLAIN", &["C: dGVzdAB0ZXN0AHRlc3RwYXNz"], "test", "testpass");
    assert_eq!(auth.authzid, Some("test".into()));
    // A password may hold NULs, a user ESC; neither is cleaned away here.
    let (auth, _) = run("PLAIN", &[&b64("C", "\0a\x1b[m\0p\0q")], &knowing("x", "y"));
    assert_eq!((auth.user, auth.secret, auth.verified), (Some("a\x1b[m".into()), Some("p\0q".into()), None));
    let (auth, shown) = run("PLAIN", &["C: ="], &Options::default());
    assert_eq!((auth.user, shown), (None, vec!["=".to_owned()]));
    let (auth, shown) = run("PLAIN", &[&b64("C", "tim\0tanstaaf")], &Options::default());
    assert_eq!((auth.user, shown), (None, vec![MASK.to_owned()]), "one NUL: no telling which is which");
}

#[test]
fn cancelled_and_garbled() {
    let options = Options::default();
    let mut exchange = Exchange::sasl(b"PLAIN", true, Span::default());
    assert_eq!(exchange.response(b"*", Span::default(), &options), "*".into());
    assert!(exchange.cancelled() && !exchange.invalid_base64 && !exchange.take_revealed());
    let auth = finish(exchange, AuthOutcome::Failure);
    assert_eq!((auth.outcome, auth.tls), (AuthOutcome::Aborted, true));

    let mut exchange = Exchange::sasl(b"PLAIN", false, Span::default());
    assert_eq!(exchange.response(b"!!!", Span::default(), &options), MASK.into());
    assert!(exchange.invalid_base64);
    assert_eq!(finish(exchange, AuthOutcome::Failure).outcome, AuthOutcome::Failure);
}

/// RFC 2444 §6 and RFC 2808 §3.1: the names stand in front of what is good for one time.
#[test]
fn one_time_passwords_have_a_user() {
    let otp = ["C: AHRpbQ==", "S: b3RwLW1kNSAxMjMga2UxMjM0IGV4dA==", &b64("C", "hex:11d4c147e227c1f1")];
    let (auth, shown) = run("OTP", &otp, &Options::default());
    assert_eq!((auth.user, auth.authzid, shown), (Some("tim".into()), None, vec![MASK.to_owned(), MASK.to_owned()]));
    let (auth, shown) = run("SECURID", &[&b64("C", "boss\0magnus\x0012345678\0")], &Options::default());
    assert_eq!((auth.user, auth.authzid), (Some("magnus".into()), Some("boss".into())));
    assert_eq!(shown, [MASK]);
    let secrets = Options { show_secrets: true, ..Options::default() };
    assert_eq!(run("SECURID", &[&b64("C", "\0magnus\x0012345678\0")], &secrets).0.secret, Some("12345678".into()));
    assert_eq!(run("OTP", &otp, &secrets).0.secret, Some("hex:11d4c147e227c1f1".into()));
}

/// RFC 7628 §3.2.3, and as XOAUTH2 and SCRAM (RFC 5802 §5.1) have it: the verdict stands in the challenge, and what the
/// client answers to it is for the form's sake.
#[test]
fn a_star_behind_an_error_challenge_does_not_make_a_refusal_a_cancellation() {
    let (status, proof) = (b64("S", "{\"status\":\"401\"}"), b64("S", "e=invalid-proof"));
    let token = b64("C", "user=u@x\x01auth=Bearer tok\x01\x01");
    let bearer = b64("C", "n,a=u@x,\x01auth=Bearer tok\x01\x01");
    let scram = [b64("C", "n,,n=user,r=abc"), b64("S", "r=abcdef,s=QSXCR+Q6sek8bf92,i=4096")];
    let scram = [&scram[..], &[b64("C", "c=biws,r=abcdef,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="), proof]].concat();
    let cases =
        [("XOAUTH2", vec![token, status.clone()]), ("OAUTHBEARER", vec![bearer, status]), ("SCRAM-SHA-1", scram)];
    for (mechanism, lines) in cases {
        let outcome = |lines: &[String]| {
            let mut exchange = Exchange::sasl(mechanism.as_bytes(), true, Span::default());
            for line in lines {
                match line.split_at(3) {
                    ("C: ", line) => drop(exchange.response(line.as_bytes(), Span::default(), &Options::default())),
                    (_, line) => exchange.challenge(line.as_bytes(), Span::default()),
                }
            }
            exchange.response(b"*", Span::default(), &Options::default());
            assert_eq!(exchange.cancelled(), lines.len() < 2 || !lines.last().unwrap().starts_with('S'));
            finish(exchange, AuthOutcome::Failure).outcome
        };
        assert_eq!(outcome(&lines), AuthOutcome::Failure, "{mechanism}");
        // Before the verdict it is one.
        assert_eq!(outcome(&lines[..lines.len() - 1]), AuthOutcome::Aborted, "{mechanism}");
    }
}

#[test]
fn login() {
    let (user, password) = ("S: VXNlcm5hbWU6", "S: UGFzc3dvcmQ6");
    let lines = [user, "C: YWxpY2U=", password, "C: d29uZGVybGFuZDE="];
    judged("LOGIN", &lines, "alice", "wonderland1");
    let (_, shown) = run("LOGIN", &lines, &Options::default());
    assert_eq!(shown, ["YWxpY2U=", MASK], "the user is no secret");
    let (auth, shown) = run("LOGIN", &["C: YWxpY2U=", password, "C: d29uZGVybGFuZDE="], &Options::default());
    assert_eq!((auth.user, shown), (Some("alice".into()), vec!["YWxpY2U=".to_owned(), MASK.to_owned()]));
    // An empty initial response is no user.
    let (auth, shown) = run("LOGIN", &["C: =", user, "C: YWxpY2U=", password, "C: eA=="], &Options::default());
    assert_eq!((auth.user, shown[2].as_str()), (Some("alice".into()), MASK));
    // The line with the user was lost.
    let (auth, shown) = run("LOGIN", &[password, "C: d29uZGVybGFuZDE="], &Options::default());
    assert_eq!((auth.user, shown), (None, vec![MASK.to_owned()]));
    // A server that asks twice does not get a password shown.
    let (_, shown) = run("LOGIN", &[user, "C: YWxpY2U=", user, "C: d29uZGVybGFuZDE="], &Options::default());
    assert_eq!(shown[1], MASK);
    let mut exchange = Exchange::sasl(b"LOGIN", false, Span::default());
    exchange.gap();
    assert_eq!(exchange.response(b"d29uZGVybGFuZDE=", Span::default(), &Options::default()), MASK.into());
}

/// Whoever reads that a password is hidden takes it for one that is known by now.
#[test]
fn a_password_that_was_never_sent_is_not_hidden() {
    let sent = |mechanism: &str, lines: &[&str]| run(mechanism, lines, &Options::default()).0.secret_sent;
    let (user, password) = ("S: VXNlcm5hbWU6", "S: UGFzc3dvcmQ6");
    for (mechanism, lines) in [
        ("LOGIN", &[][..]),
        ("LOGIN", &[user, "C: YWxpY2U=", password, "C: *"]),
        ("PLAIN", &["S: ", "C: *"]),
        ("FOO", &[]),
        ("DIGEST-MD5", &["S: bm9uY2U9IngiLHFvcD0iYXV0aCI=", "C: *"]),
        ("SCRAM-SHA-256", &["C: biwsbj1hbGljZSxyPWFi", "S: cj1hYixzPWNkLGk9NDA5Ng==", "C: *"]),
        ("NTLM", &["C: TlRMTVNTUAABAAAABoIIAAAAAAAAAAAAAAAAAAAAAAA=", "C: *"]),
    ] {
        assert_eq!(sent(mechanism, lines), Some(false), "{mechanism} {lines:?}");
    }
    for (mechanism, lines) in [
        ("LOGIN", &[user, "C: YWxpY2U=", password, "C: d29uZGVybGFuZDE="][..]),
        ("PLAIN", &["C: not base64"]),
        ("FOO", &["C: YWJj"]),
    ] {
        assert_eq!(sent(mechanism, lines), Some(true), "{mechanism} {lines:?}");
    }
    let mut exchange = Exchange::sasl(b"PLAIN", false, Span::default());
    exchange.gap();
    assert_eq!(finish(exchange, AuthOutcome::Failure).secret_sent, None, "it may be what is missing");
}

/// `QUIT` answered LOGIN's question for the name: it is base64, of no name.
#[test]
fn a_command_that_decodes_is_no_user() {
    let (auth, shown) =
        run("LOGIN", &["S: VXNlcm5hbWU6", "C: QUIT", "S: UGFzc3dvcmQ6", "C: eA=="], &Options::default());
    assert_eq!((auth.user, shown[1].as_str()), (None, MASK));
}

#[test]
fn cram_md5() {
    // RFC 2195 §2.
    let lines = [
        "S: PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+",
        "C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw",
    ];
    let auth = judged("CRAM-MD5", &lines, "tim", "tanstaaftanstaaf");
    assert_eq!(auth.secret, Some("b913a602c7eda7a495b4e6e7334d3890".into()));
    for (challenge, answer) in [
        (
            "PDMzMjE2NDkzMTA1OTExNDQuMTQxNDc5NTExOUBtYWlsLnNlcnZlci5uZXQ+",
            "dGVzdCAxNTU0YTQwNzA1NTgxZjUwZmI1MmNjZDhlZDhjM2EyYg==",
        ),
        (
            "PDgxOTAyMjA2NTYwNzcyMzEuMTQxNDc5NzA3MkBtYWlsLnNlcnZlci5uZXQ+",
            "dGVzdCA1YTZlNjYwMDlmZGJlZWNjYWRlNDY5M2FlMjU5YTA2ZQ==",
        ),
    ] {
        assert_eq!(compute_cram_md5("test", "testpass", challenge), answer);
    }
    assert_eq!(
        compute_cram_md5("tim", "tanstaaftanstaaf", "<1896.697170952@postoffice.reston.mci.net>"),
        "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw",
        "a challenge that was decoded already"
    );
}

#[test]
fn apop() {
    // RFC 1939 §7.
    let digest = "c4c9334bac560ecc979e58001b3e22fb";
    let banner = "POP3 server ready <1896.697170952@dbc.mtview.ca.us>";
    assert_eq!(compute_apop("<1896.697170952@dbc.mtview.ca.us>", "tanstaaf"), digest);
    assert_eq!(compute_apop(banner, "tanstaaf"), digest);
    for (password, right) in [("tanstaaf", true), ("tanstaa", false)] {
        let options = knowing("mrose", password);
        let sent = digest.to_uppercase();
        let span = Span::default();
        let exchange = Exchange::apop(banner.as_bytes(), b"mrose", sent.as_bytes(), false, span, &options);
        let auth = finish(exchange, AuthOutcome::Success);
        assert_eq!((auth.verified, auth.mechanism), (Some(right), "APOP".into()));
    }
}

#[test]
fn digest_md5() {
    // RFC 2831 §4.
    let challenge =
        b64("S", r#"realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8"#);
    let response = b64(
        "C",
        "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",nc=00000001,\
         cnonce=\"OA6MHXh6VqTrRk\",digest-uri=\"imap/elwood.innosoft.com\",\
         response=d388dad90d4bbd760a152321f2143af7,qop=auth",
    );
    let lines = [challenge.as_str(), &response, "S: cnNwYXV0aD1lYTQwZjYwMzM1YzQyN2I1NTI3Yjg0ZGJhYmNkZmZmZA==", "C: "];
    let auth = judged("DIGEST-MD5", &lines, "chris", "secret");
    assert_eq!(auth.secret, Some("d388dad90d4bbd760a152321f2143af7".into()));
    let mut exchange = Exchange::sasl(b"DIGEST-MD5", false, Span::default());
    exchange.response(&response.as_bytes()[3..], Span::default(), &Options::default());
    assert_eq!(exchange.realm(), Some(&"elwood.innosoft.com".into()));
    // Escapes, blanks, an unclosed quote.
    let (auth, _) = run("DIGEST-MD5", &[&b64("C", r#"username="a\"b\\" , response="0"#)], &Options::default());
    assert_eq!(auth.user, Some(r#"a"b\"#.into()));
}

#[test]
fn scram() {
    // RFC 5802 §5.
    let sha1 = [
        b64("C", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
        b64("S", "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"),
        b64("C", "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
        b64("S", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="),
        "C: ".to_owned(),
    ];
    let lines: Vec<&str> = sha1.iter().map(String::as_str).collect();
    judged("SCRAM-SHA-1", &lines, "user", "pencil");
    // The server asks first where the protocol has no initial response.
    judged("SCRAM-SHA-1", &[&["S: "], lines.as_slice()].concat(), "user", "pencil");
    // RFC 7677 §3.
    let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let sha256 = [
        b64("C", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"),
        b64("S", &format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")),
        b64("C", &format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")),
    ];
    let lines: Vec<&str> = sha256.iter().map(String::as_str).collect();
    let auth = judged("SCRAM-SHA-256", &lines, "user", "pencil");
    assert_eq!(auth.secret, Some("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".into()));
    // Names with escapes, an authorization identity, channel binding.
    let first = b64("C", "p=tls-unique,a=bo=3Db,n=al=2Cice=x,r=q");
    let (auth, shown) = run("scram-sha-256-plus", &[&first], &Options::default());
    assert_eq!((auth.user, auth.authzid), (Some("al,ice=x".into()), Some("bo=b".into())));
    assert_eq!((auth.mechanism, shown), ("SCRAM-SHA-256-PLUS".into(), vec![MASK.to_owned()]));
}

#[test]
fn scram_iterations_are_bounded() {
    let lines = [
        b64("C", "n,,n=user,r=a"),
        b64("S", "r=ab,s=QSXCR+Q6sek8bf92,i=4294967295"),
        b64("C", "c=biws,r=ab,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(run("SCRAM-SHA-1", &lines, &knowing("user", "pencil")).0.verified, None);
}

#[test]
fn scram_iterations_are_bounded_over_all_answers() {
    let lines = [
        b64("C", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
        b64("S", "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"),
        b64("C", "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let options = knowing("user", "pencil");
    let options = Options { passwords: options.passwords.with_rounds(10_000), ..options };
    let verified = [(); 4].map(|()| run("SCRAM-SHA-1", &lines, &options).0.verified);
    assert_eq!(verified, [Some(true), Some(true), None, None]);
    assert_eq!(run("SCRAM-SHA-1", &lines, &options.clone()).0.verified, Some(true));
    assert!(!format!("{options:?}").contains("pencil"));
}

#[test]
fn bearer_tokens() {
    // Google's documentation of XOAUTH2.
    let line = "C: dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==";
    let (auth, _) = run("XOAUTH2", &[line], &knowing("x", "y"));
    assert_eq!(auth.user, Some("someuser@example.com".into()));
    assert_eq!(auth.secret, Some("ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg".into()));
    let (auth, shown) = run("XOAUTH2", &[line, "S: eyJzdGF0dXMiOiI0MDEifQ==", "C: "], &Options::default());
    assert_eq!((auth.secret, shown), (None, vec![MASK.to_owned(), String::new()]));
    // RFC 7628 §4.1, §4.3.
    let line = "C: bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB";
    let (auth, _) = run("OAUTHBEARER", &[line], &knowing("x", "y"));
    assert_eq!((auth.user, auth.authzid), (Some("user@example.com".into()), Some("user@example.com".into())));
    assert_eq!(auth.secret, Some("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==".into()));
    let (auth, shown) =
        run("OAUTHBEARER", &[line, "S: eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=", "C: AQ=="], &Options::default());
    assert_eq!((auth.secret, shown), (None, vec![MASK.to_owned(), "AQ==".to_owned()]));
}

#[test]
fn ntlm() {
    // Davenport's NTLM documentation, type 3 message.
    let type3 = "C: TlRMTVNTUAADAAAAGAAYAGoAAAAYABgAggAAAAwADABAAAAACAAIAEwAAAAWABYAVAAAAAAAAACaAAAAAQIAAEQATwBNAEEASQBOAHUAcwBlAHIAVwBPAFIASwBTAFQAQQBUAEkATwBOAMM3zVy9RPyXgqZnr21CfG3mfCDC0+d8ViWpjBwx6BhHRmspst9GgPOZWPuMITqcxg==";
    let type1 = "C: TlRMTVNTUAABAAAABzIAAAYABgArAAAACwALACAAAABXT1JLU1RBVElPTkRPTUFJTg==";
    for name in ["NTLM", "msn", "GSS-SPNEGO"] {
        let (auth, shown) = run(name, &[type1, "S: TlRMTVNTUAACAAAA", type3], &Options::default());
        assert_eq!((auth.user, auth.secret), (Some("user".into()), None));
        assert_eq!(shown, [MASK, MASK]);
    }
    // Its server's challenge, and the password that it was made with.
    let type2 = "S: TlRMTVNTUAACAAAADAAMADAAAAABAoEAASNFZ4mrze8AAAAAAAAAAGIAYgA8AAAA";
    judged("NTLM", &[type1, type2, type3], "user", "SecREt01");
    let (auth, _) = run("NTLM", &[type1, type2, type3], &knowing("DOMAIN\\user", "SecREt01"));
    assert_eq!(auth.verified, Some(true));
    let (auth, _) = run("NTLM", &[type1, type3], &knowing("user", "SecREt01"));
    assert_eq!(auth.verified, None, "the challenge is missing");
    let mut exchange = Exchange::sasl(b"NTLM", false, Span::default());
    exchange.response(&type3.as_bytes()[3..], Span::default(), &Options::default());
    assert_eq!(exchange.realm(), Some(&"DOMAIN".into()));
    // Offsets that point outside.
    let decoded = decode_base64(&type3.as_bytes()[3..]).unwrap();
    for cut in 0..decoded.len() {
        let line = format!("C: {}", decode::encode_base64(&decoded[..cut]));
        run("NTLM", &[&line], &knowing("user", "x"));
    }
}

#[test]
fn external_anonymous_and_unknown() {
    let (auth, shown) = run("EXTERNAL", &["C: YWxpY2U="], &Options::default());
    assert_eq!((auth.user, auth.authzid), (Some("alice".into()), Some("alice".into())));
    assert_eq!(shown, ["YWxpY2U="]);
    let (auth, shown) = run("ANONYMOUS", &["C: dHJhY2VAeA=="], &Options::default());
    assert_eq!((auth.user, shown), (None, vec!["dHJhY2VAeA==".to_owned()]));
    let (auth, shown) = run("FOO", &["C: dHJhY2VAeA=="], &Options::default());
    assert_eq!((auth.user, auth.secret, shown), (None, None, vec![MASK.to_owned()]));
}

#[test]
fn passwords_sent_as_they_are() {
    let options = knowing("Alice", "wonderland1");
    let span = Span::default();
    let mut exchange = Exchange::password("USER", b"alice", Some(b"wonderland1"), false, span, &options);
    assert!(exchange.take_revealed());
    let auth = finish(exchange, AuthOutcome::Success);
    assert_eq!((auth.mechanism, auth.verified, auth.secret), ("USER".into(), Some(true), Some("wonderland1".into())));
    let mut exchange = Exchange::password("LOGIN-COMMAND", b"alice", None, false, span, &Options::default());
    assert!(!exchange.take_revealed());
    let auth = finish(exchange, AuthOutcome::Unknown);
    assert_eq!((auth.secret, auth.verified), (None, None));
}

/// What GNU SASL and curl sent to a Dovecot: the last token is signed, not sealed.
#[test]
fn gssapi_names_whom_its_last_token_asks_for() {
    let context = "C: YIIC0wYJKoZIhvcSAQICAQBuggLCMIICvqADAgEF";
    let offer = "S: BQQF/wAMAAAAAAAAL27lTQH///+lSqp/1bw1wVZnQnA=";
    let named = "C: BQQE/wAMAAAAAAAAM31hqAH///9nd2Vu80q6/4wQ91Cg2zCX";
    let (auth, shown) = run("GSSAPI", &[context, offer, named], &Options::default());
    assert_eq!((auth.user, auth.authzid), (Some("gwen".into()), Some("gwen".into())));
    assert_eq!(shown, [MASK, MASK]);
    let left_to_the_ticket = "C: BQQA/wAMAAAAAAAAD/76TAEAAADmuKHDvR9he4Dn8J0=";
    assert_eq!(run("GSSAPI", &[context, offer, left_to_the_ticket], &Options::default()).0.user, None);
    // The same, turned as RFC 4121 §4.2.5 lets senders do; sealed; cut.
    let token = |flags: u8, turned: u16, len: usize| {
        let mut rest = [b"\x01\xff\xff\xffgwen".as_slice(), &[0xaa; 12]].concat();
        rest.rotate_right(usize::from(turned % 20));
        let token = [&[5, 4, flags, 0xff, 0, 12][..], &turned.to_be_bytes(), &[0; 8], &rest].concat();
        format!("C: {}", decode::encode_base64(&token[..len.min(token.len())]))
    };
    let user = |line: String| run("GSSAPI", &[&line], &Options::default()).0.user;
    assert_eq!(user(token(4, 12, 99)), Some("gwen".into()));
    assert_eq!(user(token(4, 32, 99)), Some("gwen".into()));
    assert_eq!(user(token(6, 0, 99)), None);
    for len in 0..28 {
        assert_eq!(user(token(4, 0, len)), None, "{len}");
    }
}
