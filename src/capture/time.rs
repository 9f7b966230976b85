//! Timestamps of pcapng interfaces.

use crate::position::Timestamp;

/// What a timestamp unit is: `if_tsresol`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolution(u8);

impl Resolution {
    /// The default.
    pub(super) const MICROSECONDS: Resolution = Resolution(6);

    /// From the option's byte: a negative power of 10, or of 2 if the high bit is set.
    pub(super) fn from_option(byte: u8) -> Self {
        Resolution(byte)
    }

    /// `units` since the epoch, plus `offset` seconds; at the ends of the range it stays there.
    #[inline]
    pub(super) fn timestamp(self, units: u64, offset: i64) -> Timestamp {
        let nanos: i128 = match self.0 {
            6 => i128::from(units) * 1000,
            9 => i128::from(units),
            _ => i128::try_from(self.nanos(units)).unwrap_or(i128::MAX),
        };
        let nanos = nanos.saturating_add(i128::from(offset) * 1_000_000_000);
        Timestamp(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }

    fn nanos(self, units: u64) -> u128 {
        let (units, power) = (u128::from(units), u32::from(self.0 & 0x7f));
        if self.0 & 0x80 != 0 {
            // Below 2^94 before the shift.
            (units * 1_000_000_000) >> power
        } else if power <= 9 {
            units * 10u128.pow(9 - power)
        } else {
            // A power beyond 38 does not fit, and leaves nothing.
            10u128.checked_pow(power - 9).map_or(0, |d| units / d)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolutions() {
        let ns = |option: u8, units, offset| Resolution::from_option(option).timestamp(units, offset).0;
        assert_eq!(ns(6, 1_500_000, 0), 1_500_000_000);
        assert_eq!(ns(9, 1_500_000, 0), 1_500_000);
        assert_eq!(ns(0, 7, 0), 7_000_000_000);
        assert_eq!(ns(3, 7, 2), 2_007_000_000);
        assert_eq!(ns(12, 1_999_999, 0), 1999);
        assert_eq!(ns(127, u64::MAX, 0), 0);
        // 2^-10: 1536 units are one and a half seconds.
        assert_eq!(ns(0x8a, 1536, 0), 1_500_000_000);
        assert_eq!(ns(0xff, u64::MAX, 0), 0);
        assert_eq!(ns(0x80, 3, -1), 2_000_000_000);
    }

    #[test]
    fn saturates() {
        let at = |option: u8, units, offset| Resolution::from_option(option).timestamp(units, offset).0;
        assert_eq!(at(0, u64::MAX, 0), i64::MAX);
        assert_eq!(at(6, 0, i64::MIN), i64::MIN);
        assert_eq!(at(6, u64::MAX, i64::MAX), i64::MAX);
    }
}
