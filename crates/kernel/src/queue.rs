//! A queue of a fixed number of places.

/// First in, first out, at most `N` at a time.
pub(crate) struct Queue<T, const N: usize> {
    items: [T; N],
    first: usize,
    len: usize,
}

impl<T: Copy, const N: usize> Queue<T, N> {
    /// An empty queue. Its places hold `blank` until they are used.
    pub(crate) const fn new(blank: T) -> Self {
        Self { items: [blank; N], first: 0, len: 0 }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `more` others have a place.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.len + more <= N
    }

    /// Puts one at the end, and tells whether there was a place.
    pub(crate) fn push(&mut self, item: T) -> bool {
        if !self.has_room(1) {
            return false;
        }
        let place = self.place(self.len);
        self.len += 1;
        self.items[place] = item;
        true
    }

    /// The one that is `index` places behind the first.
    pub(crate) fn get(&self, index: usize) -> Option<T> {
        (index < self.len).then(|| self.items[self.place(index)])
    }

    /// The first, where it is.
    pub(crate) fn front(&self) -> Option<&T> {
        if self.is_empty() { None } else { self.items.get(self.first) }
    }

    /// The first, to be changed where it is.
    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        if self.is_empty() { None } else { self.items.get_mut(self.first) }
    }

    /// Takes the first.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.get(0)?;
        self.drop_front(1);
        Some(item)
    }

    /// Takes the first, if there is one, without looking at it.
    pub(crate) fn drop_first(&mut self) {
        if self.len > 0 {
            self.first = self.place(1);
            self.len -= 1;
        }
    }

    /// Takes the first `count`, or all if there are fewer.
    pub(crate) fn drop_front(&mut self, count: usize) {
        let count = count.min(self.len);
        self.first = self.place(count);
        self.len -= count;
    }

    /// Takes the last, if there is one, without looking at it.
    pub(crate) fn drop_last(&mut self) {
        self.len = self.len.saturating_sub(1);
    }

    /// Takes the one at `index`; those behind it move up.
    pub(crate) fn remove(&mut self, index: usize) -> Option<T> {
        let item = self.get(index)?;
        for at in index + 1..self.len {
            self.items[self.place(at - 1)] = self.items[self.place(at)];
        }
        self.len -= 1;
        Some(item)
    }

    /// Takes all.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Only those stay for which `keep` says so.
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

    fn place(&self, index: usize) -> usize {
        // `index` is at most `N`, and `first` below it.
        let place = self.first + index;
        if place < N { place } else { place - N }
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn a_queue_keeps_order_across_its_end_and_refuses_what_has_no_place() {
        let mut queue = Queue::<u8, 3>::new(0);
        assert!(queue.push(1) && queue.push(2) && queue.push(3));
        assert!(!queue.push(4));
        assert_eq!(queue.pop(), Some(1));
        assert!(queue.push(4));
        assert_eq!(queue.remove(1), Some(3));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(2), Some(4), None));
    }
}
