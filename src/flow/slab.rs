//! Where connections live: numbered slots, and lists of them in order of last use.

/// No slot.
const NONE: u32 = u32::MAX;

/// Lists: connections never established, and the others.
pub(super) const HALF_OPEN: usize = 0;
pub(super) const ESTABLISHED: usize = 1;

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    stamp: i64,
    prev: u32,
    next: u32,
    list: u8,
}

#[derive(Copy, Clone, Debug)]
struct List {
    head: u32,
    tail: u32,
    len: usize,
}

#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    lists: [List; 2],
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        let empty = List { head: NONE, tail: NONE, len: 0 };
        Slab { slots: Vec::new(), free: Vec::new(), lists: [empty; 2] }
    }

    /// Values in a list.
    pub(super) fn len(&self, list: usize) -> usize {
        self.lists.get(list).map_or(0, |list| list.len)
    }

    /// Adds a value at the end of `list`. None when slot numbers have run out.
    pub(super) fn insert(&mut self, list: usize, stamp: i64, value: T) -> Option<u32> {
        let slot = Slot { value: Some(value), stamp, prev: NONE, next: NONE, list: list as u8 };
        let index = match self.free.pop() {
            Some(index) => {
                *self.slots.get_mut(index as usize)? = slot;
                index
            }
            None => {
                let index = u32::try_from(self.slots.len()).ok().filter(|&index| index != NONE)?;
                self.slots.push(slot);
                index
            }
        };
        self.link(index, list);
        Some(index)
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.value.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.value.as_mut()
    }

    /// Gives the slot back, and what it held.
    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let value = self.slots.get_mut(index as usize)?.value.take()?;
        self.unlink(index);
        self.free.push(index);
        Some(value)
    }

    /// Moves the slot to the end of `list`, unless it is there and its stamp is less than `slack` old.
    pub(super) fn touch(&mut self, index: u32, list: usize, stamp: i64, slack: i64) {
        let Some(slot) = self.slots.get(index as usize) else { return };
        if usize::from(slot.list) == list && (0..slack).contains(&stamp.saturating_sub(slot.stamp)) {
            return;
        }
        self.unlink(index);
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.stamp = stamp;
        }
        self.link(index, list);
    }

    /// The least recently used slot of a list and its stamp.
    pub(super) fn oldest(&self, list: usize) -> Option<(u32, i64)> {
        let head = self.lists.get(list)?.head;
        self.slots.get(head as usize).map(|slot| (head, slot.stamp))
    }

    /// Slots in use.
    pub(super) fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.slots).filter(|(_, slot)| slot.value.is_some()).map(|(index, _)| index)
    }

    fn link(&mut self, index: u32, list: usize) {
        let Some(ends) = self.lists.get_mut(list) else { return };
        let tail = std::mem::replace(&mut ends.tail, index);
        ends.len += 1;
        if tail == NONE {
            ends.head = index;
        } else if let Some(slot) = self.slots.get_mut(tail as usize) {
            slot.next = index;
        }
        if let Some(slot) = self.slots.get_mut(index as usize) {
            (slot.list, slot.prev, slot.next) = (list as u8, tail, NONE);
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(slot) = self.slots.get(index as usize) else { return };
        let (list, prev, next) = (usize::from(slot.list), slot.prev, slot.next);
        let Some(ends) = self.lists.get_mut(list) else { return };
        ends.len -= 1;
        if prev == NONE {
            ends.head = next;
        }
        if next == NONE {
            ends.tail = prev;
        }
        if let Some(slot) = self.slots.get_mut(prev as usize) {
            slot.next = next;
        }
        if let Some(slot) = self.slots.get_mut(next as usize) {
            slot.prev = prev;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_the_order_of_use() {
        let mut slab = Slab::new();
        let a = slab.insert(HALF_OPEN, 1, 'a').unwrap();
        let b = slab.insert(HALF_OPEN, 2, 'b').unwrap();
        let c = slab.insert(HALF_OPEN, 3, 'c').unwrap();
        slab.touch(a, HALF_OPEN, 4, 0);
        assert_eq!(slab.oldest(HALF_OPEN), Some((b, 2)));
        slab.touch(b, ESTABLISHED, 5, 10);
        assert_eq!((slab.oldest(HALF_OPEN), slab.oldest(ESTABLISHED)), (Some((c, 3)), Some((b, 5))));
        slab.touch(b, ESTABLISHED, 9, 10);
        assert_eq!(slab.oldest(ESTABLISHED), Some((b, 5)));
        assert_eq!(slab.remove(c), Some('c'));
        assert_eq!(slab.remove(c), None);
        assert_eq!(slab.oldest(HALF_OPEN), Some((a, 4)));
        let d = slab.insert(ESTABLISHED, 6, 'd').unwrap();
        assert_eq!(d, c);
        assert_eq!((slab.len(HALF_OPEN), slab.len(ESTABLISHED)), (1, 2));
        assert_eq!(slab.indices().collect::<Vec<_>>(), [a, b, d]);
    }
}
