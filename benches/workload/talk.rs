//! What is said in a connection.

use super::{Random, Turn, Workload};

/// Lines of base64 to make bodies of.
pub(crate) struct Texts(Vec<u8>);

/// A line with its end.
const LINE: usize = 78;

impl Texts {
    /// A megabyte of lines, every one its own.
    pub(crate) fn new(random: &mut Random) -> Self {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = Vec::with_capacity(1 << 20);
        while text.len() + LINE <= 1 << 20 {
            text.extend((0..LINE - 2).map(|_| LETTERS[random.below(64)]));
            text.extend_from_slice(b"\r\n");
        }
        Texts(text)
    }

    /// Appends lines until `out` has about `size` bytes.
    fn append(&self, out: &mut Vec<u8>, size: usize, random: &mut Random) {
        while out.len() < size {
            let lines = self.0.len() / LINE;
            let from = random.below(lines) * LINE;
            let want = (size - out.len()).div_ceil(LINE) * LINE;
            out.extend_from_slice(&self.0[from..(from + want).min(self.0.len())]);
        }
    }
}

/// An SMTP session with `workload.mails` mails.
pub(crate) fn smtp(workload: &Workload, number: u64, texts: &Texts, random: &mut Random) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let say = |turns: &mut Vec<Turn>, side: usize, text: String| turns.push((side, text.into_bytes()));
    say(&mut turns, 1, "220 mail.example.test ESMTP\r\n".into());
    say(&mut turns, 0, format!("EHLO client{number}.example\r\n"));
    let greeting = "250-mail.example.test\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250 8BITMIME\r\n";
    say(&mut turns, 1, greeting.into());
    for mail in 0..workload.mails {
        let envelope =
            format!("MAIL FROM:<user{number}@example.test>\r\nRCPT TO:<other{mail}@example.net>\r\nDATA\r\n");
        say(&mut turns, 0, envelope);
        say(&mut turns, 1, "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n".into());
        let size = workload.message / 5 + random.below(workload.message * 8 / 5);
        let mut message = format!(
            "From: user{number}@example.test\r\nTo: other{mail}@example.net\r\nSubject: mail {mail} of {number}\r\n\
             Message-ID: <{number}.{mail}@example.test>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\n"
        )
        .into_bytes();
        texts.append(&mut message, size, random);
        message.extend_from_slice(b".\r\n");
        turns.push((0, message));
        say(&mut turns, 1, format!("250 2.0.0 Ok: queued as {number:08X}{mail:02X}\r\n"));
    }
    say(&mut turns, 0, "QUIT\r\n".into());
    say(&mut turns, 1, "221 2.0.0 Bye\r\n".into());
    turns
}

/// A page fetched.
pub(crate) fn http(random: &mut Random) -> Vec<Turn> {
    let body = vec![b'x'; 20_000 + random.below(200_000)];
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(&body);
    vec![(0, b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n".to_vec()), (1, answer)]
}
