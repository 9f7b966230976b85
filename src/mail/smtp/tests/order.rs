//! Commands that the server refuses amid a transaction, and replies that are not the next command's.

use super::*;

fn messages(steps: &[Step]) -> Vec<String> {
    lines(steps).into_iter().filter(|l| l.starts_with('M')).collect()
}

#[test]
fn a_refusal_amid_the_data_stands_where_the_dot_gets_no_reply() {
    let steps = [
        &up_to_data()[..],
        &[c("part one\r\n"), s("552 too big already\r\n"), c("part two\r\n.\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
    ]
    .concat();
    let found = lines(&steps);
    assert_eq!(found.last().map(String::as_str), Some("S5 221 bye"));
    assert_eq!(messages(&steps), ["M1 t1 Rejected complete from=a@x to=b@y=250 size=20 id=-"]);
    // Nor is the next command's reply its verdict.
    let steps = [
        &up_to_data()[..],
        &[c("part one\r\n"), s("552 too big already\r\n"), c("part two\r\n.\r\n"), c("MAIL FROM:<z@x>\r\n")],
        &[s("250 z ok\r\n"), c("RCPT TO:<b@y>\r\n"), s("550 nobody\r\n"), c("QUIT\r\n"), s("221 bye\r\n")],
    ]
    .concat();
    let found = lines(&steps);
    assert_eq!(messages(&steps), ["M1 t1 Rejected complete from=a@x to=b@y=250 size=20 id=-"]);
    assert!(found.contains(&"S5 250 z ok".into()) && found.contains(&"S6 550 nobody".into()), "{found:?}");
    // 221 without QUIT is no verdict either.
    let steps = [&up_to_data()[..], &[c("x\r\n.\r\n"), s("221 bye\r\n"), Step::End(Direction::Server)]].concat();
    assert_eq!(messages(&steps), ["M1 t1 Aborted complete from=a@x to=b@y=250 size=3 id=-"]);
}

#[test]
fn a_mail_refused_between_chunks_does_not_split_the_message() {
    let steps = [
        s("220 mx\r\n"),
        c("MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nBDAT 3\r\nabc"),
        s("250 m\r\n250 r\r\n250 c\r\n"),
        c("MAIL FROM:<z@x>\r\n"),
        s("503 in chunk\r\n"),
        c("BDAT 3 LAST\r\ndef"),
        s("250 q\r\n"),
    ];
    assert_eq!(messages(&steps), ["M1 t1 Accepted complete from=a@x to=b@x=250 size=6 id=-"]);
}

#[test]
fn recipients_behind_a_refused_nested_mail_are_the_outer_ones() {
    let greeting = s("220 mx\r\n");
    let end = [c("x\r\n.\r\n"), s("250 q\r\n")];
    let flight = [
        greeting.clone(),
        c("MAIL FROM:<a@x>\r\nMAIL FROM:<b@x>\r\nRCPT TO:<c@x>\r\nDATA\r\n"),
        s("250 m\r\n503 nested\r\n250 r\r\n354 g\r\n"),
    ];
    let later = [
        greeting,
        c("MAIL FROM:<a@x>\r\nRCPT TO:<r@x>\r\n"),
        s("250 m\r\n550 r\r\n"),
        c("MAIL FROM:<b@x>\r\nRCPT TO:<c@x>\r\nDATA\r\n"),
        s("503 nested\r\n250 r\r\n354 g\r\n"),
    ];
    let chunk = [
        s("220 mx\r\n"),
        c("MAIL FROM:<a@x>\r\nMAIL FROM:<b@x>\r\nRCPT TO:<c@x>\r\nBDAT 3 LAST\r\nabc"),
        s("250 m\r\n503 nested\r\n250 r\r\n250 q\r\n"),
    ];
    assert_eq!(messages(&chunk), ["M1 t1 Accepted complete from=a@x to=c@x=250 size=3 id=-"]);
    assert_eq!(messages(&[&flight[..], &end].concat()), ["M1 t1 Accepted complete from=a@x to=c@x=250 size=3 id=-"]);
    assert_eq!(
        messages(&[&later[..], &end].concat()),
        ["M1 t1 Accepted complete from=a@x to=r@x=550,c@x=250 size=3 id=-"]
    );
}

#[test]
fn each_of_many_messages_in_one_flight_has_its_verdict() {
    let count = 70;
    let mut commands = String::new();
    let mut replies = String::new();
    for i in 0..count {
        commands += &format!("MAIL FROM:<f{i}@x>\r\nRCPT TO:<r@x>\r\nBDAT 4 LAST\r\nab\r\n");
        replies += &format!("250 s\r\n250 r\r\n250 queued as Q{i}\r\n");
    }
    let expected: Vec<String> = (0..count)
        .map(|i| format!("M{0} t{0} Accepted complete from=f{i}@x to=r@x=250 size=4 id=Q{i}", i + 1))
        .collect();
    assert_eq!(messages(&[s("220 mx\r\n"), c(commands), s(replies)]), expected);
}

#[test]
fn recipients_of_refused_nested_mails_are_bounded() {
    let mut steps = vec![s("220 mx\r\n"), c("MAIL FROM:<a@x>\r\nRCPT TO:<r@x>\r\n"), s("250 m\r\n250 r\r\n")];
    for _ in 0..5 {
        steps.push(c("MAIL FROM:<b@x>\r\nRCPT TO:<c@x>\r\nRCPT TO:<d@x>\r\n"));
        steps.push(s("503 nested\r\n250 r\r\n250 r\r\n"));
    }
    steps.extend([c("DATA\r\n"), s("354 g\r\n"), c("x\r\n.\r\n"), s("250 q\r\n")]);
    let limits = Limits { recipients: 4, ..Limits::default() };
    let (events, _) = Run { limits, ..Run::default() }.feed(&steps, usize::MAX);
    let kept =
        events.iter().find_map(|e| if let EventBody::Message(m) = &e.body { Some(m.rcpt_to.clone()) } else { None });
    let kept: Vec<_> = kept.unwrap().iter().map(|r| (r.address.to_str_lossy().into_owned(), r.code)).collect();
    assert_eq!(kept, ["r@x", "c@x", "d@x", "c@x"].map(|address| (address.to_owned(), Some(250))));
    let told = |e: &&Event| matches!(&e.body, EventBody::Diagnostic(d) if d.code == Code::EntryLimit);
    assert_eq!(events.iter().filter(told).count(), 1);
}
