//! Memory of segments that are held back no longer, for those that are next. A hole holds back and lets go hundreds of
//! one size: what a thread has used last is in its processor's cache, and the allocator would join and split it each
//! time.

use std::cell::RefCell;

/// Shorter copies get memory of their own, as they would waste most of it.
const LEAST: usize = 1024;

/// What segments of an Ethernet fit into.
const USUAL: usize = 1536;

/// Pieces that a thread keeps: 1.5 MiB.
const MOST: usize = 1024;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A copy of `bytes`.
pub(super) fn copy(bytes: &[u8]) -> Vec<u8> {
    if !(LEAST..=USUAL).contains(&bytes.len()) {
        return bytes.to_vec();
    }
    let mut copy = SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(USUAL));
    copy.extend_from_slice(bytes);
    copy
}

/// Takes back what is not needed any more.
pub(super) fn take_back(mut bytes: Vec<u8>) {
    if bytes.capacity() == USUAL {
        bytes.clear();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MOST {
                spare.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> usize {
        SPARE.with_borrow(Vec::len)
    }

    #[test]
    fn memory_is_used_again_and_says_nothing_of_what_it_held() {
        let first = copy(&[1; 1448]);
        let place = first.as_ptr();
        take_back(first);
        let second = copy(&[2; 1200]);
        assert_eq!((second.as_ptr(), &second[..]), (place, &[2; 1200][..]));
    }

    #[test]
    fn short_and_long_ones_take_what_they_need_and_little_is_kept() {
        for len in [0, 1, 1023, 1537, 9000] {
            let copy = copy(&vec![7; len]);
            assert!(copy.len() == len && copy.capacity() == len);
            take_back(copy);
        }
        assert_eq!(kept(), 0);
        let many: Vec<_> = (0..2 * MOST).map(|_| copy(&[3; 1448])).collect();
        many.into_iter().for_each(take_back);
        assert_eq!(kept(), MOST);
    }
}
