//! The capture's clock, which one frame with a wild timestamp must not move.
//!
//! Time goes forward with the frames. A frame further ahead than [`JUMP`] is believed only when the next ones are
//! there as well; so a lone frame of the year 2106 expires nothing, while the gap of a night does after a few frames.
//! Frames a little behind change nothing. If all frames are far behind, the clock was wrong, and is set back.

/// Nanoseconds: what a single frame may move the clock. Less than any expiry.
const JUMP: i64 = 60_000_000_000;

/// Frames in a row that have to agree.
const AGREE: u32 = 8;

#[derive(Clone, Debug, Default)]
/// A clock that follows the frames' timestamps and that no single frame can move far.
pub struct Clock {
    now: Option<i64>,
    /// Frames in a row beyond `JUMP`, and the one nearest to `now` of them.
    ahead: u32,
    ahead_at: i64,
    behind: u32,
    behind_at: i64,
}

impl Clock {
    /// Nanoseconds since the epoch; 0 before the first frame.
    pub fn now(&self) -> i64 {
        self.now.unwrap_or(0)
    }

    /// A frame's timestamp. Returns true when the clock was set back.
    pub fn observe(&mut self, ts: i64) -> bool {
        let Some(now) = self.now else {
            self.now = Some(ts);
            return false;
        };
        let step = ts.saturating_sub(now);
        if step > JUMP {
            self.behind = 0;
            self.ahead_at = if self.ahead == 0 { ts } else { self.ahead_at.min(ts) };
            self.ahead += 1;
            if self.ahead >= AGREE {
                self.now = Some(self.ahead_at);
                self.ahead = 0;
            }
        } else if step < -JUMP {
            self.ahead = 0;
            self.behind_at = if self.behind == 0 { ts } else { self.behind_at.max(ts) };
            self.behind += 1;
            if self.behind >= AGREE {
                self.now = Some(self.behind_at);
                self.behind = 0;
                return true;
            }
        } else {
            self.ahead = 0;
            self.behind = 0;
            self.now = Some(now.max(ts));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn one_wild_frame_moves_nothing() {
        let mut clock = Clock::default();
        clock.observe(100 * SECOND);
        clock.observe(i64::MAX);
        clock.observe(i64::MIN);
        assert_eq!(clock.now(), 100 * SECOND);
        clock.observe(101 * SECOND);
        assert_eq!(clock.now(), 101 * SECOND);
        clock.observe(99 * SECOND);
        assert_eq!(clock.now(), 101 * SECOND);
    }

    #[test]
    fn frames_that_agree_move_it() {
        let mut clock = Clock::default();
        clock.observe(0);
        for i in 0..i64::from(AGREE) {
            assert_eq!(clock.now(), 0);
            clock.observe((9000 + i) * SECOND);
        }
        assert_eq!(clock.now(), 9000 * SECOND);
    }

    #[test]
    fn a_wild_first_frame_is_forgotten() {
        let mut clock = Clock::default();
        clock.observe(i64::MAX);
        let mut set_back = false;
        for i in 0..i64::from(AGREE) {
            set_back = clock.observe(i * SECOND);
        }
        assert!(set_back);
        assert_eq!(clock.now(), i64::from(AGREE - 1) * SECOND);
    }
}
