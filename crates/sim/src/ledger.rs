//! What was promised: every event is checked against it.

use std::collections::BTreeMap;

/// A publish an application made, by its serial number.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The device that made it.
    pub device: usize,
    /// 0 or 1.
    pub qos: u8,
    /// How often the broker received it.
    pub arrived: u32,
}

/// A message a broker has for an application, by its serial number.
#[derive(Clone, Debug)]
pub struct Message {
    /// The device it is for.
    pub device: usize,
    /// Bytes of topic and payload.
    pub size: usize,
    /// How often the application read it.
    pub read: u32,
    /// Whether the application acknowledged it.
    pub acknowledged: bool,
}

/// All promises of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    next: u64,
    /// Publishes of all applications.
    pub publishes: BTreeMap<u64, Publish>,
    /// Messages for all applications.
    pub messages: BTreeMap<u64, Message>,
    /// Log messages the cloud has stored: (device, start) and number, with the text.
    pub logs: BTreeMap<(usize, u32, u32), String>,
    /// Requests that succeeded.
    pub completed: u64,
    /// Requests with another answer.
    pub refused: u64,
    /// Messages that were read again after a connection was lost.
    pub repeated: u64,
    /// Log messages that the cloud received again.
    pub logs_again: u64,
}

impl Ledger {
    /// A unique number.
    pub fn serial(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A payload that can be recognised: the device, the serial number, and padding up to a length.
    pub fn payload(device: usize, serial: u64, length: usize) -> Vec<u8> {
        let mut payload = format!("d{device} s{serial} ").into_bytes();
        while payload.len() < length {
            payload.push(b'a' + (payload.len() % 26) as u8);
        }
        payload
    }

    /// Reads such a payload: device and serial. Every byte is checked.
    pub fn read(payload: &[u8]) -> (usize, u64) {
        let text = std::str::from_utf8(payload).expect("a payload of the ledger");
        let mut words = text.split(' ');
        let mut number = |letter: char| {
            let word = words.next().and_then(|word| word.strip_prefix(letter));
            word.and_then(|word| word.parse::<u64>().ok()).expect("a payload of the ledger")
        };
        let (device, serial) = (number('d') as usize, number('s'));
        assert_eq!(payload, Self::payload(device, serial, payload.len()), "a payload was changed on its way");
        (device, serial)
    }
}
