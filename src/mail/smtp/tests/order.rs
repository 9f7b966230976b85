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
    // 221 without QUIT is no verdict either.
    let steps = [&up_to_data()[..], &[c("x\r\n.\r\n"), s("221 bye\r\n"), Step::End(Direction::Server)]].concat();
    assert_eq!(messages(&steps), ["M1 t1 Aborted complete from=a@x to=b@y=250 size=3 id=-"]);
}
