//! One direction of a connection: bytes that arrive later, in order, until somebody cuts it.

use std::collections::VecDeque;

/// Bytes under way.
#[derive(Debug, Default)]
pub struct Pipe {
    chunks: VecDeque<(u64, Vec<u8>)>,
    /// Nothing arrives before what was sent earlier.
    last: u64,
    in_flight: usize,
    end: Option<u64>,
}

/// What arrives.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Bytes.
    Bytes(Vec<u8>),
    /// The other end will say no more.
    End,
}

impl Pipe {
    /// Bytes under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether it was ended or cut.
    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Sends bytes that arrive at this moment, or after what was sent before.
    pub fn send(&mut self, at: u64, bytes: Vec<u8>) {
        if bytes.is_empty() || self.has_ended() {
            return;
        }
        self.last = self.last.max(at);
        self.in_flight += bytes.len();
        self.chunks.push_back((self.last, bytes));
    }

    /// Nothing more will be sent; the other end hears of it at this moment, or after what was sent before.
    pub fn end(&mut self, at: u64) {
        if self.end.is_none() {
            self.end = Some(self.last.max(at));
        }
    }

    /// Of what is under way only this many bytes arrive, and then the end is seen, not before the moment given.
    pub fn cut(&mut self, keep: usize, end: u64) {
        let mut left = keep;
        for (_, bytes) in &mut self.chunks {
            bytes.truncate(left);
            left -= bytes.len();
        }
        self.chunks.retain(|(_, bytes)| !bytes.is_empty());
        self.in_flight = self.chunks.iter().map(|(_, bytes)| bytes.len()).sum();
        self.end = Some(self.chunks.back().map_or(0, |(at, _)| *at).max(end));
    }

    /// When something arrives next.
    pub fn due(&self) -> Option<u64> {
        self.chunks.front().map(|(at, _)| *at).or(self.end)
    }

    /// What has arrived by now, at most `most` bytes of it.
    pub fn take(&mut self, now: u64, most: usize) -> Option<Arrival> {
        let Some((at, bytes)) = self.chunks.front_mut() else {
            return self.end.filter(|end| *end <= now).map(|_| Arrival::End);
        };
        if *at > now {
            return None;
        }
        let count = most.clamp(1, bytes.len());
        let taken: Vec<u8> = bytes.drain(..count).collect();
        if bytes.is_empty() {
            self.chunks.pop_front();
        }
        self.in_flight -= count;
        Some(Arrival::Bytes(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrival, Pipe};

    #[test]
    fn a_cut_keeps_the_first_bytes_and_ends() {
        let mut pipe = Pipe::default();
        pipe.send(5, b"abc".to_vec());
        pipe.send(3, b"def".to_vec());
        pipe.cut(4, 9);
        assert_eq!(pipe.take(4, 9), None);
        assert_eq!(pipe.take(5, 2), Some(Arrival::Bytes(b"ab".to_vec())));
        assert_eq!(pipe.take(5, 9), Some(Arrival::Bytes(b"c".to_vec())));
        assert_eq!(pipe.take(5, 9), Some(Arrival::Bytes(b"d".to_vec())));
        assert_eq!((pipe.take(8, 9), pipe.take(9, 9)), (None, Some(Arrival::End)));
    }
}
