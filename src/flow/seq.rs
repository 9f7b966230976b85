//! Serial arithmetic of 32-bit sequence numbers (RFC 9293 §3.4, RFC 1982), and how they become 64-bit offsets.

/// From `from` to `to`, taking the shorter way round.
pub(super) fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// The offset of `seq`, given that `base_seq` stands at `base`: right while both are less than 2 GiB apart.
/// None if it would lie before offset 0.
pub(super) fn unwrap(base: u64, base_seq: u32, seq: u32) -> Option<u64> {
    base.checked_add_signed(i64::from(distance(base_seq, seq)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_both_ways() {
        assert_eq!(distance(0xffff_fff0, 0x10), 0x20);
        assert_eq!(distance(0x10, 0xffff_fff0), -0x20);
        assert_eq!(unwrap(1 << 40, 0xffff_ffff, 4), Some((1 << 40) + 5));
        assert_eq!(unwrap(1 << 40, 4, 0xffff_ffff), Some((1 << 40) - 5));
        assert_eq!(unwrap(3, 4, 0xffff_ffff), None);
    }
}
