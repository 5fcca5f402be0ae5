//! A queue of fixed capacity.

/// First in, first out, at most `N` at a time.
pub(crate) struct Queue<T, const N: usize> {
    items: [T; N],
    first: usize,
    len: usize,
}

impl<T: Copy, const N: usize> Queue<T, N> {
    /// An empty queue. Unused slots contain `blank`.
    pub(crate) const fn new(blank: T) -> Self {
        Self { items: [blank; N], first: 0, len: 0 }
    }

    /// Number of items.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no items.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `more` further items fit.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.len + more <= N
    }

    /// Appends an item; false if the queue is full.
    pub(crate) fn push(&mut self, item: T) -> bool {
        if !self.has_room(1) {
            return false;
        }
        let slot = self.slot(self.len);
        self.len += 1;
        self.items[slot] = item;
        true
    }

    /// The item at `index`, counted from the first.
    pub(crate) fn get(&self, index: usize) -> Option<T> {
        (index < self.len).then(|| self.items[self.slot(index)])
    }

    /// The first item.
    pub(crate) fn front(&self) -> Option<&T> {
        if self.is_empty() { None } else { self.items.get(self.first) }
    }

    /// The first item, to change it.
    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        if self.is_empty() { None } else { self.items.get_mut(self.first) }
    }

    /// Removes and returns the first item.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.get(0)?;
        self.drop_front(1);
        Some(item)
    }

    /// Removes the first item, if there is one, without copying it.
    pub(crate) fn drop_first(&mut self) {
        if self.len > 0 {
            self.first = self.slot(1);
            self.len -= 1;
        }
    }

    /// Removes the first `count` items, or all if there are fewer.
    pub(crate) fn drop_front(&mut self, count: usize) {
        let count = count.min(self.len);
        self.first = self.slot(count);
        self.len -= count;
    }

    /// Removes the last item, if there is one.
    pub(crate) fn drop_last(&mut self) {
        self.len = self.len.saturating_sub(1);
    }

    /// Removes the item at `index`; later ones move up.
    pub(crate) fn remove(&mut self, index: usize) -> Option<T> {
        let item = self.get(index)?;
        // Later items move up, because they must stay in order.
        for at in index + 1..self.len {
            self.items[self.slot(at - 1)] = self.items[self.slot(at)];
        }
        self.len -= 1;
        Some(item)
    }

    /// Removes all items.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Removes every item for which `keep` returns false.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let mut index = 0;
        while let Some(item) = self.get(index) {
            if keep(&item) {
                index += 1;
            } else {
                self.remove(index);
            }
        }
    }

    fn slot(&self, index: usize) -> usize {
        // Both are at most `N`, so one subtraction wraps; a division would take more instructions.
        let slot = self.first + index;
        if slot < N { slot } else { slot - N }
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn a_queue_keeps_order_when_it_wraps_and_refuses_items_when_full() {
        let mut queue = Queue::<u8, 3>::new(0);
        assert!(queue.push(1) && queue.push(2) && queue.push(3));
        assert!(!queue.push(4));
        assert_eq!(queue.pop(), Some(1));
        assert!(queue.push(4));
        assert_eq!(queue.remove(1), Some(3));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(2), Some(4), None));
    }
}
