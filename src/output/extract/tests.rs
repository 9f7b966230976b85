//! Extraction on made-up sessions.

use super::*;
use crate::event::{EventBody, Message, MessageData, MessageDirection, MessagePart, Protocol};
use crate::position::{FramePos, Span, Timestamp};

fn span(seconds: i64) -> Span {
    Span::at(FramePos { ts: Timestamp(seconds * 1_000_000_000 + 5000), ..FramePos::default() })
}

fn feed(sink: &mut Extract, session: u64, ordinal: u64, bytes: &[u8], complete: bool) {
    let event = |body| Event { session, seq: 1, span: span(1_764_000_000), body };
    for bytes in bytes.chunks(10) {
        sink.event(event(EventBody::MessageData(MessageData {
            ordinal,
            offset: 0,
            after_gap: false,
            bytes: bytes.to_vec(),
        })))
        .unwrap();
    }
    let mut message = Message::new(Protocol::Smtp, MessageDirection::Submitted, MessagePart::Full);
    (message.ordinal, message.complete, message.size) = (ordinal, complete, bytes.len() as u64);
    message.attachments = vec![crate::event::Attachment::default()];
    sink.event(event(EventBody::Message(Box::new(message)))).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const MAIL: &[u8] = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
--b\r\nContent-Disposition: attachment; filename=\"../x\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n";

#[test]
fn each_message_is_a_file_and_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { attachments: true, ..Options::default() };
    let mut sink = Extract::new(dir.path(), options, &Limits::default()).unwrap();
    feed(&mut sink, 4, 1, MAIL, true);
    feed(&mut sink, 4, 2, b"", true);
    feed(&mut sink, 9, 1, b"cut", false);
    // A message whose end never came leaves nothing behind.
    let data = MessageData { ordinal: 3, offset: 0, after_gap: false, bytes: b"lost".to_vec() };
    sink.event(Event { session: 4, seq: 9, span: span(0), body: EventBody::MessageData(data) }).unwrap();
    sink.finish(&Report::default()).unwrap();
    drop(sink);
    let stem = "20251124T160000.000005Z";
    let mut want = [
        MANIFEST.to_owned(),
        format!("{stem}-s4-m1.attachments"),
        format!("{stem}-s4-m1.eml"),
        format!("{stem}-s4-m2.attachments"),
        format!("{stem}-s4-m2.eml"),
        format!("{stem}-s9-m1-incomplete.attachments"),
        format!("{stem}-s9-m1-incomplete.eml"),
    ];
    want.sort();
    assert_eq!(names(dir.path()), want);
    assert_eq!(fs::read(dir.path().join(format!("{stem}-s4-m1.eml"))).unwrap(), MAIL);
    assert_eq!(fs::read(dir.path().join(format!("{stem}-s4-m2.eml"))).unwrap(), b"");
    let attachments = dir.path().join(format!("{stem}-s4-m1.attachments"));
    assert_eq!(names(&attachments), ["01-_x"]);
    assert_eq!(fs::read(attachments.join("01-_x")).unwrap(), b"hello");
    let manifest = fs::read_to_string(dir.path().join(MANIFEST)).unwrap();
    let paths: Vec<String> = manifest
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["path"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(paths, ["s4-m1", "s4-m2", "s9-m1-incomplete"].map(|name| format!("{stem}-{name}.eml")));
}

#[cfg(unix)]
#[test]
fn files_and_folders_of_attachments_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let options = Options { attachments: true, ..Options::default() };
    let mut sink = Extract::new(dir.path(), options, &Limits::default()).unwrap();
    feed(&mut sink, 1, 1, MAIL, true);
    sink.finish(&Report::default()).unwrap();
    let mut folders = vec![dir.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder) {
            let path = folder.join(&name);
            let there = path.metadata().unwrap();
            let want = if there.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(there.permissions().mode() & 0o777, want, "{name}");
            if there.is_dir() {
                folders.push(path);
            }
        }
    }
}

#[test]
fn nothing_is_overwritten_without_force() {
    let dir = tempfile::tempdir().unwrap();
    let run = |force| {
        let mut sink = Extract::new(dir.path(), Options { force, ..Options::default() }, &Limits::default())?;
        feed(&mut sink, 1, 1, MAIL, true);
        sink.finish(&Report::default())
    };
    run(false).unwrap();
    assert_eq!(run(false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    run(true).unwrap();
}

#[test]
fn a_maildir_and_an_mbox_hold_the_same_mails() {
    let dir = tempfile::tempdir().unwrap();
    for (format, name) in [(Format::Maildir, "maildir"), (Format::Mbox, "mbox")] {
        let home = dir.path().join(name);
        let mut sink = Extract::new(&home, Options { format, ..Options::default() }, &Limits::default()).unwrap();
        feed(&mut sink, 1, 1, b"From x\r\n\r\nbody\r\n", true);
        feed(&mut sink, 1, 2, b"Subject: y\r\n\r\n", true);
        sink.finish(&Report::default()).unwrap();
    }
    assert_eq!(names(&dir.path().join("maildir/new")).len(), 2);
    let mbox = fs::read_to_string(dir.path().join("mbox/messages.mbox")).unwrap();
    let from = "From MAILER-DAEMON Mon Nov 24 16:00:00 2025\n";
    assert_eq!(mbox, format!("{from}>From x\n\nbody\n\n{from}Subject: y\n\n\n"));
}

/// What is told of an attachment and its file are the same, wherever bytes are missing.
#[test]
fn attachments_of_a_message_with_a_gap_are_those_that_are_told() {
    let base64 = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\r\n";
    let mail = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png; name=a\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{base64}--b\r\nContent-Type: image/gif; name=b\r\n\r\nxyz\r\n--b--\r\n"
    );
    for lost in 0..mail.len() - 10 {
        let options = crate::mail::Options { bodies: true, ..Default::default() };
        let message = Message::new(Protocol::Smtp, MessageDirection::Submitted, MessagePart::Full);
        let mut builder = crate::mail::message::MessageBuilder::new(message, &options, &Limits::default());
        let mut out = crate::mail::Emitter::new(1);
        builder.push(&mail.as_bytes()[..lost], span(0), &mut out);
        builder.gap();
        builder.push(&mail.as_bytes()[lost + 7..], span(0), &mut out);
        let (message, _) = builder.finish(true);
        let told: Vec<u64> = message.attachments.iter().map(|attachment| attachment.size).collect();
        let dir = tempfile::tempdir().unwrap();
        let options = Options { attachments: true, ..Options::default() };
        let mut sink = Extract::new(dir.path(), options, &Limits::default()).unwrap();
        for event in out.drain() {
            sink.event(event).unwrap();
        }
        let body = EventBody::Message(Box::new(message));
        sink.event(Event { session: 1, seq: 9, span: span(0), body }).unwrap();
        sink.finish(&Report::default()).unwrap();
        let folder = names(dir.path()).into_iter().find(|name| name.ends_with(".attachments"));
        let files = folder.map_or(Vec::new(), |folder| {
            let folder = dir.path().join(folder);
            names(&folder).iter().map(|name| folder.join(name).metadata().unwrap().len()).collect()
        });
        assert_eq!(files, told, "7 bytes at {lost} are lost");
    }
}

/// As of `mailcap extract --json … | head`: the messages behind were not written, and nothing said so.
#[test]
fn who_stops_reading_the_copy_of_the_manifest_misses_no_message() {
    struct Failing(io::ErrorKind);
    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut sink = Extract::new(dir.path(), Options::default(), &Limits::default()).unwrap();
    sink.copy_manifest("the copy", Box::new(Failing(io::ErrorKind::BrokenPipe)));
    feed(&mut sink, 4, 1, MAIL, true);
    feed(&mut sink, 4, 2, MAIL, true);
    sink.finish(&Report::default()).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join(MANIFEST)).unwrap().lines().count(), 2);
    // What else goes wrong is told, and where.
    let dir = tempfile::tempdir().unwrap();
    let mut sink = Extract::new(dir.path(), Options::default(), &Limits::default()).unwrap();
    sink.copy_manifest("the copy", Box::new(io::BufWriter::new(Failing(io::ErrorKind::StorageFull))));
    feed(&mut sink, 4, 1, MAIL, true);
    let error = sink.finish(&Report::default()).unwrap_err();
    assert_eq!(FileError::of(&error).map(|error| error.path.as_path()), Some(Path::new("the copy")));
}
