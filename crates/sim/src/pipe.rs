//! One direction of a connection: bytes arrive later and in order, until it is cut.

use std::collections::VecDeque;

use sansio::Instant;

/// Bytes in flight.
#[derive(Debug, Default)]
pub struct Pipe {
    chunks: VecDeque<(Instant, Vec<u8>)>,
    /// Nothing arrives before what was sent earlier.
    last: Instant,
    in_flight: usize,
    end: Option<Instant>,
}

/// What arrives.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Bytes.
    Bytes(Vec<u8>),
    /// The other end sends no more.
    End,
}

impl Pipe {
    /// Bytes in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether it was ended or cut.
    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Sends bytes that arrive at this instant, or after what was sent before.
    pub fn send(&mut self, at: Instant, bytes: Vec<u8>) {
        if bytes.is_empty() || self.has_ended() {
            return;
        }
        self.last = self.last.max(at);
        self.in_flight += bytes.len();
        self.chunks.push_back((self.last, bytes));
    }

    /// Nothing more will be sent; the other end notices at this instant, or after what was sent before.
    pub fn end(&mut self, at: Instant) {
        if self.end.is_none() {
            self.end = Some(self.last.max(at));
        }
    }

    /// Of the bytes in flight only this many arrive; then the other end notices, not before this instant.
    pub fn cut(&mut self, keep: usize, end: Instant) {
        let mut left = keep;
        for (_, bytes) in &mut self.chunks {
            bytes.truncate(left);
            left -= bytes.len();
        }
        self.chunks.retain(|(_, bytes)| !bytes.is_empty());
        self.in_flight = self.chunks.iter().map(|(_, bytes)| bytes.len()).sum();
        self.end = Some(self.chunks.back().map_or(Instant::ZERO, |(at, _)| *at).max(end));
    }

    /// When something arrives next.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.chunks.front().map(|(at, _)| *at).or(self.end)
    }

    /// What has arrived by now, at most `max` bytes of it.
    pub fn take(&mut self, now: Instant, max: usize) -> Option<Arrival> {
        let Some((at, bytes)) = self.chunks.front_mut() else {
            return self.end.filter(|end| *end <= now).map(|_| Arrival::End);
        };
        if *at > now {
            return None;
        }
        let count = max.clamp(1, bytes.len());
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
    use sansio::Instant;

    use super::{Arrival, Pipe};

    #[test]
    fn a_cut_keeps_the_first_bytes_and_ends() {
        let (mut pipe, at) = (Pipe::default(), Instant::from_micros);
        pipe.send(at(5), b"abc".to_vec());
        pipe.send(at(3), b"def".to_vec());
        pipe.cut(4, at(9));
        assert_eq!(pipe.take(at(4), 9), None);
        assert_eq!(pipe.take(at(5), 2), Some(Arrival::Bytes(b"ab".to_vec())));
        assert_eq!(pipe.take(at(5), 9), Some(Arrival::Bytes(b"c".to_vec())));
        assert_eq!(pipe.take(at(5), 9), Some(Arrival::Bytes(b"d".to_vec())));
        assert_eq!((pipe.take(at(8), 9), pipe.take(at(9), 9)), (None, Some(Arrival::End)));
    }
}
