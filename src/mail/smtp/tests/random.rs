//! Dialogues put together at random from the pieces that matter: nothing panics, memory stays bounded, and the events
//! do not depend on how the bytes were cut. Seeds are fixed, so that a failure comes again.

use super::*;

/// xorshift64*, enough to choose with.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
}

const CLIENT: &[&str] = &[
    "EHLO a\r\n",
    "LHLO a\r\n",
    "MAIL FROM:<a>\r\n",
    "MAIL FROM:<b>\n",
    "RCPT TO:<c>\r\n",
    "DATA\r\n",
    "DATA\r\n.\r\n",
    "BDAT 3\r\nabc",
    "BDAT 3 LAST\r\nabc",
    "BDAT 0 LAST\r\n",
    "BDAT 20 LAST\r\n",
    "BDAT x\r\n",
    "RSET\r\n",
    "QUIT\r\n",
    "AUTH LOGIN\r\n",
    "AUTH PLAIN AAA=\r\n",
    "AAAA\r\n",
    "*\r\n",
    "STARTTLS\r\n",
    "text\r\n",
    "..dots\r\n",
    ".\r\n",
    "\r\n.\r\n",
    "\n.\n",
    "\n.\r\n",
    "\r.\r",
    ".",
    "\r",
    "\n",
    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
];

const SERVER: &[&str] = &[
    "220 x ESMTP\r\n",
    "220 x LMTP\r\n",
    "250 ok\r\n",
    "250-a\r\n250 b\r\n",
    "250 2.1.0 ok\r\n",
    "250 2.1.5 ok\r\n",
    "250 2.0.0 Ok: queued as A1\r\n",
    "354 go\r\n",
    "334 AAAA\r\n",
    "235 ok\r\n",
    "535 no\r\n",
    "421 busy\r\n",
    "550 no\r\n",
    "503 bad sequence\r\n",
    "221 bye\r\n",
    "250-half",
    "noise\r\n",
];

fn steps(random: &mut Random, gaps: bool) -> Vec<Step> {
    // Half of them begin well, so that they get somewhere.
    let mut steps = if random.below(2) == 0 { up_to_data() } else { Vec::new() };
    for _ in 0..random.below(30) {
        let mut joined = |dictionary: &[&str]| {
            (0..1 + random.below(4)).map(|_| dictionary[random.below(dictionary.len())]).collect::<String>()
        };
        let (client, server) = (joined(CLIENT), joined(SERVER));
        steps.push(match random.below(if gaps { 12 } else { 10 }) {
            0..5 => c(client),
            5..10 => s(server),
            10 => Step::Gap(Direction::Client, 1 + random.below(40) as u64),
            _ => Step::Gap(Direction::Server, 1 + random.below(40) as u64),
        });
    }
    steps
}

fn run(seeds: std::ops::Range<u64>, gaps: bool, run: &Run) {
    for seed in seeds {
        let steps = steps(&mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), gaps);
        let (whole, summary) = run.feed(&steps, usize::MAX);
        let messages = whole.iter().filter(|e| matches!(e.body, EventBody::Message(_))).count() as u64;
        assert_eq!(messages, summary.messages, "seed {seed}: every message is told once: {steps:#?}");
        for size in [1, 3] {
            let (cut, _) = run.feed(&steps, size);
            assert_eq!(show(&cut), show(&whole), "seed {seed} in pieces of {size}: {steps:#?}");
        }
    }
}

#[test]
fn complete_captures() {
    run(0..1500, false, &Run::default());
}

#[test]
fn with_gaps() {
    run(0..1500, true, &Run::default());
    run(0..500, true, &Run { tls: true, ..Run::default() });
}

#[test]
fn one_sided() {
    run(0..500, true, &Run { one_sided: true, ..Run::default() });
}

#[test]
fn within_small_bounds() {
    let limits = Limits {
        line_bytes: 24,
        pending_commands: 3,
        recipients: 2,
        reply_lines: 1,
        header_bytes: 16,
        ..Limits::default()
    };
    for seed in 0..500 {
        let run = Run { limits: limits.clone(), ..Run::default() };
        let steps = steps(&mut Random(seed * 7919 + 1), true);
        run.feed(&steps, usize::MAX);
        run.feed(&steps, 1);
    }
}
