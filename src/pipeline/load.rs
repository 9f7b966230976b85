//! What the last round was like, by which the next is worked on. Nothing of it is seen in what comes out.

use super::sessions::Given;

/// Mean payload, bytes, below which a round is copied and sorted by shard.
const SMALL_SEGMENT: u64 = 100;

/// With so many premaster secrets in a round, opening them together is worth a copy of it.
const FEW_PREMASTERS: usize = 16;

/// How a round is read and worked on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By the reader, from the capture's buffer straight into the shards, without a copy.
    Straight,
    /// Copied, for all threads to take from.
    Batch,
    /// By several threads that each read it.
    Twins,
}

/// The load of a round.
#[derive(Default)]
pub(super) struct Load {
    pub(super) segments: u64,
    pub(super) bytes: u64,
    /// What sessions were given of the last round that is over, and the bytes of that one.
    pub(super) given: Given,
    pub(super) of: u64,
    /// Segments that hold an encrypted premaster secret, as it seems.
    pub(super) premasters: usize,
    /// Something else than packets came.
    pub(super) mixed: bool,
    /// Several threads read whatever they can.
    pub(super) always_twins: bool,
    /// Messages are hashed.
    pub(super) digests: bool,
    /// There is a key that opens several premaster secrets together in less time.
    pub(super) opens_together: bool,
}

impl Load {
    /// For a round to come.
    pub(super) fn begin(&mut self) {
        *self = Load { segments: 0, bytes: 0, premasters: 0, mixed: false, ..*self };
    }

    /// The best way, if there are threads besides the reader's.
    pub(super) fn way(&self, threads: bool) -> Way {
        // Of small segments the copy costs little, and sorted by shard each finds its table in the processor's cache.
        let small = self.bytes < self.segments * SMALL_SEGMENT;
        let together = self.opens_together && self.premasters >= FEW_PREMASTERS;
        if threads && self.always_twins && !self.mixed {
            Way::Twins
        } else if small || together {
            Way::Batch
        } else if !threads {
            Way::Straight
        } else if self.given.in_tls > self.of / 4 || self.digests {
            // How long an operation with a key takes is no matter of bytes: whoever is free takes the next shard. And
            // beside the hash of what is copied, its copy costs less than a second look at all the rest.
            Way::Batch
        } else if self.given.bytes > self.of / 4 && !self.mixed {
            Way::Twins
        } else {
            Way::Straight
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A round of mail in the clear.
    fn mail() -> Load {
        let given = Given { bytes: 4_000_000, in_tls: 0 };
        Load { segments: 3000, bytes: 4_000_000, given, of: 4_000_000, ..Load::default() }
    }

    #[test]
    fn mail_in_the_clear_is_read_by_several() {
        assert_eq!(mail().way(true), Way::Twins);
        assert_eq!(mail().way(false), Way::Straight);
        assert_eq!(Load { digests: true, ..mail() }.way(true), Way::Batch);
        assert_eq!(Load { digests: true, ..mail() }.way(false), Way::Straight);
    }

    #[test]
    fn what_is_no_mail_is_not_worth_a_second_reader() {
        let noise = || Load { given: Given { bytes: 100_000, in_tls: 0 }, ..mail() };
        assert_eq!(noise().way(true), Way::Straight);
        assert_eq!(Load { digests: true, ..noise() }.way(true), Way::Batch);
        assert_eq!(Load { mixed: true, ..mail() }.way(true), Way::Straight);
    }

    #[test]
    fn tls_and_small_segments_are_shared_out() {
        let tls = || Load { given: Given { bytes: 4_000_000, in_tls: 3_000_000 }, ..mail() };
        assert_eq!((tls().way(true), tls().way(false)), (Way::Batch, Way::Straight));
        let small = || Load { bytes: 200_000, ..mail() };
        assert_eq!((small().way(true), small().way(false)), (Way::Batch, Way::Batch));
        let together = || Load { opens_together: true, premasters: 100, ..tls() };
        assert_eq!(together().way(false), Way::Batch);
    }
}
