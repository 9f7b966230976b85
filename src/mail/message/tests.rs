//! Headers, parts and attachments of messages that come in any pieces, with losses, and hostile ones.

use super::*;
use crate::event::Attachment;

fn build_in(pieces: &[&[u8]]) -> Message {
    let options = Options { digests: true, bodies: true, ..Options::default() };
    let mut out = Emitter::new(1);
    let message = Message::new(Protocol::Smtp, MessageDirection::Submitted, MessagePart::Full);
    let mut builder = MessageBuilder::new(message, &options, &Limits::default());
    for piece in pieces {
        builder.push(piece, Span::default(), &mut out);
    }
    let (message, _) = builder.finish(true);
    let mut bytes = Vec::new();
    for event in out.drain() {
        if let EventBody::MessageData(data) = event.body {
            assert_eq!(data.offset, bytes.len() as u64);
            bytes.extend_from_slice(&data.bytes);
        }
    }
    assert_eq!(bytes, pieces.concat());
    assert_eq!(message.sha256, Some(Sha256::digest(&bytes).into()));
    message
}

/// The message, the same for pieces of every size and with LF alone instead of CRLF.
fn build(bytes: &[u8]) -> Message {
    let whole = build_in(&[bytes]);
    for size in (1..40).chain([64, 100, 1000]) {
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        assert_eq!(build_in(&pieces), whole, "pieces of {size}");
    }
    whole
}

fn names(message: &Message) -> Vec<(Option<&str>, &str, u64)> {
    message.attachments.iter().map(|a| (a.filename.as_deref(), a.content_type.as_str(), a.size)).collect()
}

fn sha256(bytes: &[u8]) -> Option<[u8; 32]> {
    Some(Sha256::digest(bytes).into())
}

fn attachment(name: &str, content_type: &str, bytes: &[u8]) -> Attachment {
    Attachment {
        filename: Some(name.into()),
        content_type: content_type.into(),
        size: bytes.len() as u64,
        sha256: sha256(bytes),
    }
}

#[test]
fn headers_are_decoded() {
    let message = build(
        b"From: =?utf-8?q?J=C3=BCrgen_M=C3=BCller?= <j@x.test>\r\n\
          To: \"Doe, John\" <bob@x.test>,\r\n carol@x.test\r\n\
          Subject: =?UTF-8?B?R3LDvMOfZSBhdXMgS8O2bG4=?=\r\n\
          Message-ID: <1@x.test>\r\n\
          Date: Tue, 24 Nov 2026 10:00:01 +0100\r\n\r\nbody\r\n",
    );
    assert_eq!(message.from.as_deref(), Some("J\u{fc}rgen M\u{fc}ller <j@x.test>"));
    assert_eq!(message.to, ["\"Doe, John\" <bob@x.test>", "carol@x.test"]);
    assert_eq!(message.subject.as_deref(), Some("Gr\u{fc}\u{df}e aus K\u{f6}ln"));
    assert_eq!(message.message_id.as_deref(), Some("1@x.test"));
    // 2026-11-24T09:00:01Z.
    assert_eq!(message.date.map(|d| d.0), Some(1_795_510_801_000_000_000));
    assert!(message.complete && message.attachments.is_empty());
}

/// Names are written as Python's `email.utils.formataddr` writes them.
#[test]
fn an_address_in_a_name_is_no_second_sender() {
    let from = |field: &str| build(format!("From: {field}\r\n\r\n").as_bytes()).from.unwrap();
    let spoofed = "\"Boss <boss@corp.test>,\" <evil@mallory.test>";
    assert_eq!(from(spoofed), spoofed);
    assert_eq!(from("\"Smith, A\" <a@x>, \"B \\\"Bo\\\"\" <b@x>"), "\"Smith, A\" <a@x>, \"B \\\"Bo\\\"\" <b@x>");
    assert_eq!(from("\"John Q. Public\" <j@x>"), "John Q. Public <j@x>");
}

#[test]
fn headers_in_the_charset_that_the_content_type_names_are_read() {
    let subject = |fields: &[u8]| build(&[b"Subject: ", fields, b"\r\n\r\n"].concat()).subject.unwrap();
    let named = b"\xcf\xf0\xe8\xe2\xe5\xf2\r\nContent-Type: text/plain; charset=windows-1251";
    assert_eq!(subject(named), "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}");
    let named = b"\x93\xfa\x96\x7b =?utf-8?Q?=C3=A4?=\r\nContent-Type: text/plain; charset=\"Shift_JIS\"";
    assert_eq!(subject(named), "\u{65e5}\u{672c} \u{e4}");
    assert_eq!(subject(b"\xe4\r\nContent-Type: text/plain; charset=x-none"), "\u{fffd}");
    assert_eq!(subject(b"\xe4"), "\u{fffd}");
}

#[test]
fn a_long_list_of_recipients_leaves_room_for_what_follows_it() {
    let list: Vec<String> = (0..15_000).map(|n| format!("user{n:06}@example.test")).collect();
    let mail = format!("To: {}\r\nSubject: s\r\nContent-Type: image/png\r\n\r\nx", list.join(",\r\n "));
    let mut out = Emitter::new(1);
    let message = Message::new(Protocol::Smtp, MessageDirection::Submitted, MessagePart::Full);
    let mut builder = MessageBuilder::new(message, &Options::default(), &Limits::default());
    mail.as_bytes().chunks(1448).for_each(|piece| builder.push(piece, Span::default(), &mut out));
    let (message, _) = builder.finish(true);
    assert_eq!((message.subject.as_deref(), message.attachments.len()), (Some("s"), 1));
    assert!(message.to.len() > 1000 && message.to[..] == list[..message.to.len()], "{:?}", message.to.last());
    let codes: Vec<String> = out
        .drain()
        .filter_map(|e| if let EventBody::Diagnostic(d) = e.body { Some(d.code.to_string()) } else { None })
        .collect();
    assert_eq!(codes, ["entry-limit"]);
}

#[test]
fn a_date_beyond_what_a_timestamp_holds_is_none() {
    assert_eq!(build(b"Date: Mon, 1 Jan 2500 00:00:00 +0000\r\n\r\n").date, None);
}

#[test]
fn odd_headers_do_no_harm() {
    assert_eq!(build(b"").size, 0);
    assert_eq!(build(b"\r\n").subject, None);
    assert_eq!(build(b"no header at all").subject, None);
    assert_eq!(build(b"Subject: cut").subject.as_deref(), Some("cut"));
    assert_eq!(build(b"Subject: lf\n\nbody\n").subject.as_deref(), Some("lf"));
    assert!(build(b"Subject: \xe9t\xe9\r\n\r\n").subject.is_some());
    assert_eq!(build(b"Date: nonsense\r\n\r\n").date, None);
    // Beyond what a time can be here.
    assert_eq!(build(b"Date: Mon, 1 Jan 2500 00:00:00 +0000\r\n\r\n").date, None);
}

#[test]
fn parts_are_found() {
    // Nested multiparts; `b` is a prefix of `bb`; preamble and epilogue; text without a name is no attachment.
    let mail = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n\
        preamble\r\n--bb\r\n--b-\r\n-\r\n\
        --b\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n\
        --bb\r\nContent-Type: text/plain\r\n\r\nplain\r\n\
        --bb \t\r\nContent-Type: text/html\r\n\r\n<p>\r\n--bb--\r\nepilogue of the inner\r\n\
        --b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nZm9v\r\nYmFy\r\n\
        --b\r\nContent-Disposition: attachment; filename=b.txt\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        caf=C3=A9=\r\n!\r\n\r\n\
        --b\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--\r\n--bx\r\n\
        --b--\r\nContent-Type: application/x-none; name=none\r\n\r\nepilogue";
    let message = build(mail);
    assert_eq!(
        message.attachments,
        [
            attachment("a.pdf", "application/pdf", b"foobar"),
            attachment("b.txt", "text/plain", b"caf\xc3\xa9!\r\n"),
            Attachment {
                filename: None,
                content_type: "image/png".into(),
                size: 14,
                sha256: sha256(b"\x89PNG\r\n--\r\n--bx"),
            },
        ]
    );
    let lf: Vec<u8> = mail.iter().copied().filter(|&b| b != b'\r').collect();
    let message = build(&lf);
    assert_eq!(message.attachments.len(), 3);
    assert_eq!(message.attachments[0].sha256, sha256(b"foobar"));
    assert_eq!(message.attachments[1].sha256, sha256(b"caf\xc3\xa9!\n"));
    assert_eq!(message.attachments[2].sha256, sha256(b"\x89PNG\n--\n--bx"));
}

#[test]
fn enclosed_messages_are_attachments_that_hold_others() {
    let inner = "Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n\
        --i\r\nContent-Disposition: attachment; filename=x.bin\r\n\r\n12345\r\n--i--\r\nend";
    let mail = format!(
        "Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n\
         --o\r\nContent-Type: message/rfc822; name=\"fw.eml\"\r\n\r\n{inner}\r\n--o--\r\n"
    );
    let message = build(mail.as_bytes());
    assert_eq!(message.subject.as_deref(), Some("outer"));
    assert_eq!(
        message.attachments,
        [attachment("fw.eml", "message/rfc822", inner.as_bytes()), attachment("x.bin", "text/plain", b"12345")]
    );
    // RFC 2046 §5.1.5: the parts of a digest are messages by default.
    let digest = "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: one\r\n\r\n1\r\n--d\r\n\r\nS: 2\r\n\r\n2\r\n--d--\r\n";
    let message = build(digest.as_bytes());
    assert_eq!(names(&message), [(None, "message/rfc822", 17), (None, "message/rfc822", 9)]);
}

#[test]
fn a_single_part_can_be_an_attachment() {
    let message = build(
        b"Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\
          Content-Disposition: attachment;\r\n filename*0*=utf-8''%C3%A9t;\r\n filename*1=e.zip\r\n\r\nZm9v\r\n",
    );
    assert_eq!(message.attachments, [attachment("\u{e9}te.zip", "application/zip", b"foo")]);
    let message = build(b"Content-Type: text/csv; name=\"=?utf-8?q?=C3=A9.csv?=\"\r\n\r\na;b\r\n");
    assert_eq!(names(&message), [(Some("\u{e9}.csv"), "text/csv", 5)]);
}

#[test]
fn extended_file_name_wins() {
    // RFC 6266 §5's example, and the other way round.
    for disposition in [
        "filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates",
        "filename*=utf-8''%e2%82%ac%20rates; filename=\"EURO rates\"",
    ] {
        let message = build(format!("Content-Disposition: attachment; {disposition}\r\n\r\nx").as_bytes());
        assert_eq!(names(&message), [(Some("\u{20ac} rates"), "text/plain", 1)], "{disposition}");
    }
    let ascii = b"Content-Disposition: attachment; filename=a_b; filename*=us-ascii''a%20b\r\n\r\nx";
    assert_eq!(names(&build(ascii)), [(Some("a b"), "text/plain", 1)]);
}

#[test]
fn missing_ends() {
    // No closing delimiter; a header cut by a delimiter; a delimiter as the very last bytes.
    let message = build(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/gif\r\n--b\r\nContent-Type: image/png\r\n\r\nPNG\r\n");
    assert_eq!(names(&message), [(None, "image/gif", 0), (None, "image/png", 5)]);
    let message =
        build(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/gif\r\n\r\nGIF\r\n--b--");
    assert_eq!(names(&message), [(None, "image/gif", 3)]);
    // The boundary of the outer multipart ends the inner one too.
    let message = build(b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\nContent-Type: image/gif\r\n\r\nGIF\r\n--o\r\nContent-Type: image/png\r\n\r\nPNG\r\n--i\r\n--o--\r\n");
    assert_eq!(names(&message), [(None, "image/gif", 3), (None, "image/png", 8)]);
}

#[test]
fn nesting_and_number_are_bounded() {
    let mut mail = String::new();
    for depth in 0..1000 {
        mail += &format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n");
    }
    mail += "Content-Type: image/png\r\n\r\nPNG";
    assert!(build_in(&[mail.as_bytes()]).attachments.is_empty());
    let mut mail = String::from("Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    for _ in 0..3000 {
        mail += "--b\r\nContent-Type: image/png\r\n\r\nPNG\r\n";
    }
    assert_eq!(build_in(&[mail.as_bytes()]).attachments.len(), Limits::default().attachments);
    let mut mail = String::new();
    for _ in 0..1000 {
        mail += "Content-Type: message/rfc822\r\n\r\n";
    }
    assert!(build_in(&[mail.as_bytes()]).attachments.len() < 20);
}

#[test]
fn a_gap_takes_the_digest_of_what_is_open() {
    let options = Options { digests: true, ..Options::default() };
    let mut out = Emitter::new(1);
    let message = Message::new(Protocol::Pop3, MessageDirection::Retrieved, MessagePart::Full);
    let mut builder = MessageBuilder::new(message, &options, &Limits::default());
    builder.push(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/gif\r\n\r\nGI",
        Span::default(),
        &mut out,
    );
    builder.gap();
    builder.push(b"\r\n--b\r\nContent-Type: image/png\r\n\r\nPNG\r\n--b--\r\n", Span::default(), &mut out);
    let (message, _) = builder.finish(true);
    assert!(!message.complete);
    assert_eq!(message.attachments[0].sha256, None);
    assert_eq!(message.attachments[1].sha256, sha256(b"PNG"));
}

/// A message of which what is between two pieces is missing.
fn with_gaps(pieces: &[&[u8]]) -> Message {
    let options = Options { digests: true, ..Options::default() };
    let mut out = Emitter::new(1);
    let message = Message::new(Protocol::Smtp, MessageDirection::Submitted, MessagePart::Full);
    let mut builder = MessageBuilder::new(message, &options, &Limits::default());
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            builder.gap();
        }
        builder.push(piece, Span::default(), &mut out);
    }
    builder.finish(true).0
}

#[test]
fn a_text_behind_a_loss_in_the_header_is_no_header() {
    let quoted = b"gal\r\n> wrote:\r\nFrom: Mallory <m@evil.test>\r\nTo: Alice\r\nSubject: secret plans\r\n\
        Date: Tue, 1 Jan 2019 00:00:00 +0000\r\n\r\ntext\r\n";
    let told = with_gaps(&[b"", quoted]);
    assert_eq!((told.from, told.to, told.subject, told.date), (None, vec![], None, None));
    let told = with_gaps(&[b"From: a@x.test\r\nSubject: FW: report\r\nTo: b@x.test, c@x.t", quoted]);
    let (from, subject) = (told.from.as_deref(), told.subject.as_deref());
    assert_eq!((from, subject, told.to, told.date), (Some("a@x.test"), Some("FW: report"), vec![], None));
}

#[test]
fn a_field_that_may_go_on_in_a_loss_is_not_told() {
    for head in
        ["From: a@x.test\r\nTo: b@x.test,\r\n c@x.te", "From: a@x.test\r\nTo: b@x.test,\r\n", "From: a@x.test\r\nTo"]
    {
        let told = with_gaps(&[head.as_bytes(), b"st\r\n\r\ntext\r\n"]);
        assert_eq!((told.from.as_deref(), told.to), (Some("a@x.test"), vec![]), "{head}");
    }
}

#[test]
fn parts_behind_a_loss_of_the_header_are_not_one() {
    let parts =
        b"--b\r\nContent-Type: application/x; name=b.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b\r\n\
        Content-Type: application/x; name=c.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nBBBB\r\n--b--\r\n";
    assert_eq!(with_gaps(&[b"From: a@x.test\r\nContent-Ty", parts]).attachments, vec![]);
    // The boundary is known, and a delimiter in the loss is no matter to the parts behind it.
    let head = b"Content-Type: multipart/mixed; boundary=b\r\nSubject: x";
    let told = with_gaps(&[head, &parts[b"--b\r\nContent-Type: appl".len()..]]);
    assert_eq!(names(&told), vec![(Some("c.bin"), "application/x", 3)]);
    assert_eq!(told.attachments[0].sha256, sha256(&[4, 16, 65]));
}

/// Expected values as Python's `email` tells them.
#[test]
fn characters_cut_by_encoded_words_are_told_whole() {
    let message = build(
        b"From: =?utf-8?B?5L0=?=\r\n =?utf-8?B?oOWlvQ==?= <a@x.test>\r\nSubject: =?utf-8?B?5L0=?=\r\n =?utf-8?B?oOWlvQ==?=\r\n\
          Content-Type: application/pdf;\r\n name=\"=?utf-8?B?5L2g5Q==?=\r\n =?utf-8?B?pb0=?=.pdf\"\r\n\r\nx",
    );
    assert_eq!(message.from.as_deref(), Some("\u{4f60}\u{597d} <a@x.test>"));
    assert_eq!(message.subject.as_deref(), Some("\u{4f60}\u{597d}"));
    assert_eq!(names(&message)[0].0, Some("\u{4f60}\u{597d}.pdf"));
    assert_eq!(build(b"Subject: =?utf-8?b?w6Q?=\r\n\r\n").subject.as_deref(), Some("\u{e4}"));
}

/// Expected values as Python's `email` tells them.
#[test]
fn names_in_pieces_are_decoded_as_one() {
    let name = |fields: &str| {
        let message = build(format!("{fields}\r\n\r\nx").as_bytes());
        names(&message).first().and_then(|name| name.0.map(str::to_owned))
    };
    let field = "Content-Disposition: attachment;\r\n filename*0*=utf-8''%e4%bd%a0%e5;\r\n filename*1*=%a5%bd.pdf";
    assert_eq!(name(field).as_deref(), Some("\u{4f60}\u{597d}.pdf"));
    let field = "Content-Type: text/plain;\r\n name*0*=koi8-r'ru'%F0%D2%C9;\r\n name*1*=%D7%C5%D4.pdf";
    assert_eq!(name(field).as_deref(), Some("\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}.pdf"));
    assert_eq!(name("Content-Disposition: filename=\"a.pdf\"").as_deref(), Some("a.pdf"));
    let both = "Content-Disposition: inline; filename*=UTF-8''real%20name.pdf; filename=old.pdf";
    assert_eq!(name(both).as_deref(), Some("real name.pdf"));
    // The first of two.
    let twice = "Content-Type: image/png; name=a\r\nContent-Type: image/gif; name=b";
    assert_eq!(names(&build(format!("{twice}\r\n\r\nx").as_bytes())), [(Some("a"), "image/png", 1)]);
}

#[test]
fn a_part_whose_header_begins_with_a_blank_is_one() {
    let message = build(
        b"Subject: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n folded\r\n\
          Content-Type: application/x; name=a.bin\r\n\r\nA\r\n--b--\r\n",
    );
    assert_eq!(names(&message), vec![(Some("a.bin"), "application/x", 1)]);
}

#[test]
fn a_field_left_out_for_its_length_takes_its_other_lines_along() {
    let mail = format!("Message-ID: <1@x>\r\nTo: {}\r\n <last@x>\r\nSubject: s\r\n\r\n", "a@x, ".repeat(60_000));
    let mut out = Emitter::new(1);
    let message = Message::new(Protocol::Smtp, MessageDirection::Submitted, MessagePart::Full);
    let mut builder = MessageBuilder::new(message, &Options::default(), &Limits::default());
    mail.as_bytes().chunks(1448).for_each(|piece| builder.push(piece, Span::default(), &mut out));
    let (message, _) = builder.finish(true);
    assert_eq!((message.message_id.as_deref(), message.subject.as_deref()), (Some("1@x"), Some("s")));
}
