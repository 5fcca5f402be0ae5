//! Bytes to packets and replies to bytes: `$data#checksum`, acknowledgements and retransmission.
//!
//! It is in front of the protocol's state machine, for which a wrong checksum, a NAK and bytes between packets are
//! errors that end the connection.

/// Bytes of the longest packet, frame included; the debugger learns it by `PacketSize`.
pub(super) const PACKET_SIZE: usize = 4096;

/// Bytes of the longest packet without `$`, `#` and the checksum.
const MAX_DATA: usize = PACKET_SIZE - 4;

/// What the bytes of a debugger amount to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// The data of a packet whose checksum is right.
    Packet(Vec<u8>),
    /// A packet of more than [`PACKET_SIZE`] bytes, which was discarded.
    TooLong,
    /// Ctrl-C.
    Interrupt,
    /// The beginning of an HTTP request: a web page can send one to any port of this machine, with packets in its body.
    Http,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Between,
    Data,
    Checksum,
    LastDigit(u8),
}

/// One connection's framing.
#[derive(Debug, Default)]
pub(super) struct Framing {
    state: State,
    data: Vec<u8>,
    is_too_long: bool,
    sum: u8,
    /// A packet with a right checksum has come.
    has_begun: bool,
    /// Neither side acknowledges (`QStartNoAckMode`).
    without_acks: bool,
    /// The last packet that was sent, for a NAK.
    last: Vec<u8>,
    unsent: Vec<u8>,
}

impl Framing {
    /// Handles a byte. Acknowledgements are in [`Framing::take_unsent`].
    pub(super) fn push(&mut self, byte: u8) -> Option<Incoming> {
        match (self.state, byte) {
            (State::Between, b'-') => self.send_again(),
            (State::Between, 0x03) => return Some(Incoming::Interrupt),
            (State::Between, b'A'..=b'Z') if !self.has_begun => return Some(Incoming::Http),
            // A `$` is escaped in data: the rest of a packet was lost, and this is the next.
            (State::Between | State::Data, b'$') => self.begin(),
            (State::Between, _) => {}
            (State::Data, b'#') => self.state = State::Checksum,
            (State::Data, byte) => self.add(byte),
            (State::Checksum, digit) => self.state = State::LastDigit(digit),
            (State::LastDigit(first), second) => return self.end([first, second]),
        }
        None
    }

    /// Frames `data` as a reply, stored while a NAK may demand it again.
    pub(super) fn reply(&mut self, data: &[u8]) {
        self.send(&framed(data));
    }

    /// Sends replies that are framed already, as the state machine writes them, without its own acknowledgement.
    pub(super) fn send(&mut self, packets: &[u8]) {
        let start = packets.iter().position(|byte| *byte != b'+').unwrap_or(packets.len());
        let packets = &packets[start..];
        if let Some(last) = packets.iter().rposition(|byte| *byte == b'$') {
            packets[last..].clone_into(&mut self.last);
        }
        self.unsent.extend_from_slice(packets);
    }

    /// From now on neither side acknowledges.
    pub(super) fn stop_acknowledging(&mut self) {
        self.without_acks = true;
    }

    /// Bytes for the debugger.
    pub(super) fn take_unsent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unsent)
    }

    fn begin(&mut self) {
        self.data.clear();
        (self.state, self.sum, self.is_too_long) = (State::Data, 0, false);
    }

    fn add(&mut self, byte: u8) {
        self.sum = self.sum.wrapping_add(byte);
        if self.data.len() < MAX_DATA { self.data.push(byte) } else { self.is_too_long = true }
    }

    fn end(&mut self, digits: [u8; 2]) -> Option<Incoming> {
        self.state = State::Between;
        let is_right = hex(&digits) == Some(u32::from(self.sum));
        if !self.without_acks {
            self.unsent.push(if is_right { b'+' } else { b'-' });
            if !is_right {
                return None;
            }
        }
        self.has_begun = true;
        Some(if self.is_too_long {
            Incoming::TooLong
        } else {
            Incoming::Packet(std::mem::take(&mut self.data))
        })
    }

    fn send_again(&mut self) {
        if !self.without_acks {
            self.unsent.extend_from_slice(&self.last);
        }
    }
}

/// `data` as a packet.
pub(super) fn framed(data: &[u8]) -> Vec<u8> {
    let sum = data.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    [b"$", data, format!("#{sum:02x}").as_bytes()].concat()
}

/// A number of one to eight hexadecimal digits.
pub(super) fn hex(digits: &[u8]) -> Option<u32> {
    let is_number = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    is_number.then(|| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(framing: &mut Framing, bytes: &[u8]) -> Vec<Incoming> {
        bytes.iter().filter_map(|byte| framing.push(*byte)).collect()
    }

    /// Shows D208.
    #[test]
    fn a_wrong_checksum_is_refused_and_a_nak_sends_the_last_packet_again() {
        let mut framing = Framing::default();
        assert_eq!(all(&mut framing, b"+$g#68$g#00$m0,1#zz"), []);
        assert_eq!(framing.take_unsent(), b"---");
        assert_eq!(all(&mut framing, b"$?#3f"), [Incoming::Packet(b"?".to_vec())]);
        framing.send(b"+$O41#c4$OK#9a");
        assert_eq!(framing.take_unsent(), b"+$O41#c4$OK#9a");
        assert_eq!(all(&mut framing, b"--"), []);
        assert_eq!(framing.take_unsent(), b"$OK#9a$OK#9a");
        framing.stop_acknowledging();
        assert_eq!(all(&mut framing, b"-$g#00"), [Incoming::Packet(b"g".to_vec())]);
        assert_eq!(framing.take_unsent(), b"");
    }

    /// Shows D208.
    #[test]
    fn what_lies_between_packets_is_passed_over_and_a_cut_packet_too() {
        let mut framing = Framing::default();
        let come = all(&mut framing, b"\xff\0garbage#00$m0,$?#3f\x03 GET $a}\x03b#43");
        let expected =
            [Incoming::Packet(b"?".to_vec()), Incoming::Interrupt, Incoming::Packet(b"a}\x03b".to_vec())];
        assert_eq!(come, expected);
    }

    /// Shows D208.
    #[test]
    fn a_packet_that_is_too_long_is_reported_and_discarded() {
        let mut framing = Framing::default();
        let long = vec![b'x'; MAX_DATA + 1];
        assert_eq!(all(&mut framing, &framed(&long)), [Incoming::TooLong]);
        assert_eq!(all(&mut framing, &framed(&long[1..])), [Incoming::Packet(long[1..].to_vec())]);
        all(&mut framing, b"$");
        (0..1 << 20).for_each(|_| assert_eq!(framing.push(b'x'), None));
        assert!(framing.data.capacity() <= 2 * MAX_DATA);
    }

    /// Shows D209.
    #[test]
    fn the_request_of_a_web_page_is_known_as_such() {
        let mut framing = Framing::default();
        assert_eq!(framing.push(b'P'), Some(Incoming::Http));
    }
}
