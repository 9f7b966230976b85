//! Operations on a mail dissector, SASL exchanges, and messages.

use mailcap::event::{AuthOutcome, Message, MessageDirection, MessagePart, Protocol, Text};
use mailcap::limits::Limits;
use mailcap::mail::message::MessageBuilder;
use mailcap::mail::sasl::Exchange;
use mailcap::mail::{
    Chunk, Context, Dissector, Emitter, Missing, Next, Options, imap::Imap, pop3::Pop3, sieve::Sieve, smtp::Smtp,
};
use mailcap::position::{Direction, Span};

use super::operations::{self, Operation};
use super::seeds;

fn dissect(mut dissector: Box<dyn Dissector>, mut data: &[u8]) {
    let (options, limits) = (Options { digests: true, bodies: true, ..Options::default() }, Limits::default());
    let (mut out, span) = (Emitter::new(1), Span::default());
    while let Some((flags, dir, operation)) = operations::next(&mut data) {
        let mut cx = Context {
            out: &mut out,
            tls: flags & 2 != 0,
            injected: false,
            one_sided: flags & 4 != 0,
            options: &options,
            limits: &limits,
        };
        match operation {
            Operation::Gap(len) => dissector.gap(dir, Missing { len, tail: len % 2 == 1, span }, &mut cx),
            Operation::End => dissector.end(dir, span, &mut cx),
            Operation::Data(mut bytes) => {
                while !bytes.is_empty() {
                    let advance = dissector.input(dir, Chunk { bytes, span }, &mut cx);
                    assert!(advance.consumed <= bytes.len());
                    bytes = &bytes[advance.consumed..];
                    match advance.next {
                        Next::Continue => break,
                        _ => drop(dissector.take_held(Direction::Client)),
                    }
                }
            }
        }
        let _ = cx.out.drain();
    }
    let mut cx =
        Context { out: &mut out, tls: false, injected: false, one_sided: false, options: &options, limits: &limits };
    dissector.finish(span, &mut cx);
    let _ = dissector.summary();
}

pub fn smtp(data: &[u8]) {
    dissect(Box::new(Smtp::new()), data);
}

pub fn imap(data: &[u8]) {
    dissect(Box::new(Imap::new()), data);
}

pub fn pop3(data: &[u8]) {
    dissect(Box::new(Pop3::new()), data);
}

pub fn sieve(data: &[u8]) {
    dissect(Box::new(Sieve::new()), data);
}

fn dialogues(name: &str) -> Vec<Vec<u8>> {
    seeds::conversations(name).iter().map(|dialogue| operations::encode(dialogue, 0)).collect()
}

pub fn smtp_seeds() -> Vec<Vec<u8>> {
    [dialogues("smtp"), dialogues("lmtp")].concat()
}

pub fn imap_seeds() -> Vec<Vec<u8>> {
    dialogues("imap")
}

pub fn pop3_seeds() -> Vec<Vec<u8>> {
    dialogues("pop3")
}

pub fn sieve_seeds() -> Vec<Vec<u8>> {
    dialogues("sieve")
}

const MECHANISMS: [&[u8]; 14] = [
    b"PLAIN",
    b"LOGIN",
    b"CRAM-MD5",
    b"DIGEST-MD5",
    b"NTLM",
    b"SCRAM-SHA-1",
    b"SCRAM-SHA-256",
    b"SCRAM-SHA-256-PLUS",
    b"XOAUTH2",
    b"OAUTHBEARER",
    b"GSSAPI",
    b"GSS-SPNEGO",
    b"EXTERNAL",
    b"ANONYMOUS",
];

/// An exchange; what may be shown of it must not hold the passwords.
pub fn sasl(data: &[u8]) {
    let Some((mechanism, mut rest)) = data.split_first() else { return };
    let passwords = vec![(Text(b"tim".to_vec()), Text(b"tanstaaftanstaaf".to_vec()))];
    let options = Options { passwords: passwords.into(), ..Options::default() };
    let (mut out, span) = (Emitter::new(1), Span::default());
    let mut exchange = Exchange::sasl(MECHANISMS[usize::from(*mechanism) % MECHANISMS.len()], false, span);
    while let Some((_, dir, operation)) = operations::next(&mut rest) {
        match (operation, dir) {
            (Operation::Gap(_), _) => exchange.gap(),
            (Operation::End, _) => break,
            (Operation::Data(bytes), Direction::Server) => exchange.challenge(bytes, span),
            (Operation::Data(bytes), Direction::Client) => drop(exchange.response(bytes, span, &options)),
        }
    }
    let _ = exchange.finish(AuthOutcome::Unknown, span, true, &mut out);
}

/// The examples of RFC 4616, 2195, 5802, 7677, 2831 and 7628, as operations.
pub fn sasl_seeds() -> Vec<Vec<u8>> {
    let exchange = |mechanism: u8, lines: &[(u8, &str)]| {
        let mut seed = vec![mechanism];
        for (side, line) in lines {
            seed.push(*side);
            seed.extend((line.len() as u16).to_be_bytes());
            seed.extend(line.as_bytes());
        }
        seed
    };
    vec![
        exchange(0, &[(0, "AHRpbQB0YW5zdGFhZnRhbnN0YWFm")]),
        exchange(1, &[(1, "VXNlcm5hbWU6"), (0, "dGlt"), (1, "UGFzc3dvcmQ6"), (0, "dGFuc3RhYWZ0YW5zdGFhZg==")]),
        exchange(
            2,
            &[
                (1, "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"),
                (0, "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"),
            ],
        ),
        exchange(
            3,
            &[(1, "cmVhbG09IngiLG5vbmNlPSJ5Iixxb3A9ImF1dGgi"), (0, "dXNlcm5hbWU9InRpbSIscmVhbG09IngiLG5vbmNlPSJ5Ig==")],
        ),
        exchange(4, &[(0, "TlRMTVNTUAABAAAAB4IIAA=="), (1, "TlRMTVNTUAACAAAA"), (0, "TlRMTVNTUAADAAAA")]),
        exchange(
            5,
            &[
                (0, "biwsbj11c2VyLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdM"),
                (1, "cj1meWtvK2QybGJiRmdPTlJ2OXFreGRhd0wzcmZjTkhZSlkxWlZ2V1ZzN2oscz1RU1hDUitRNnNlazhiZjkyLGk9NDA5Ng=="),
                (
                    0,
                    "Yz1iaXdzLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdMM3JmY05IWUpZMVpWdldWczdqLHA9djBYOHYzQnoyVDBDSkdiSlF5RjBYK0hJNFRzPQ==",
                ),
                (1, "dj1ybUY5cHFWOFM3c3VBb1pXamE0ZEpSa0ZzS1E9"),
            ],
        ),
        exchange(9, &[(0, "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9eAFhdXRoPUJlYXJlciB2RjlkZnQBAQ==")]),
    ]
}

fn build(bytes: &[u8], piece: usize) -> Message {
    let (options, limits) = (Options { digests: true, ..Options::default() }, Limits::default());
    let message = Message::new(Protocol::Smtp, MessageDirection::Submitted, MessagePart::Full);
    let mut builder = MessageBuilder::new(message, &options, &limits);
    let mut out = Emitter::new(1);
    for piece in bytes.chunks(piece.max(1)) {
        builder.push(piece, Span::default(), &mut out);
    }
    builder.finish(true).0
}

/// A message in any cut through the streaming builder: the cut must not matter.
pub fn mime(data: &[u8]) {
    let Some((&piece, bytes)) = data.split_first() else { return };
    assert_eq!(build(bytes, bytes.len()), build(bytes, usize::from(piece)));
}

pub fn mime_seeds() -> Vec<Vec<u8>> {
    let nested = b"\x07Subject: =?utf-8?B?w6k=?=\r\nTo: a@b,\r\n c <d@e>\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=\"x\"\r\n\r\n--x\r\nContent-Type: multipart/alternative; boundary=xx\r\n\r\n\
        --xx\r\n\r\ntext\r\n--xx--\r\n--x\r\nContent-Type: application/pdf; name*0*=utf-8''a%20; name*1=b.pdf\r\n\
        Content-Disposition: attachment; filename=\"../x\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n\
        --x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n=3D\r\n--x--\r\n";
    let plain = b"\x01From: a\nSubject: x\n\nhello\n.\n";
    vec![nested.to_vec(), plain.to_vec()]
}
