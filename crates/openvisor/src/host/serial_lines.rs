//! The output of serial ports, joined into lines: a device reports it byte by byte.

use std::collections::BTreeMap;
use std::ops::Add;
use std::time::Duration;

use device::events::DeviceEvent;
use tokio::time::Instant;

/// Longest line in bytes; a longer one is split.
const MAX_LINE: usize = 512;

/// How long a port has to be silent before its partial line is shown, such as a prompt.
const FLUSH_DELAY: Duration = Duration::from_millis(200);

/// The partial lines of all ports, in the time of the host or of the device.
pub(crate) struct SerialLines<T = Instant>(BTreeMap<u8, PartialLine<T>>);

struct PartialLine<T> {
    bytes: Vec<u8>,
    /// When it is shown although it is not complete.
    expires: T,
}

impl<T> Default for SerialLines<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Copy + Ord + Add<Duration, Output = T>> SerialLines<T> {
    /// Adds what `port` sent at `now`, and returns the lines that are complete.
    pub(crate) fn push(&mut self, port: u8, sent: &[u8], now: T) -> Vec<DeviceEvent> {
        let expires = now + FLUSH_DELAY;
        let partial = self.0.entry(port).or_insert_with(|| PartialLine { bytes: Vec::new(), expires });
        partial.expires = expires;
        let mut lines = Vec::new();
        for byte in sent {
            if *byte == b'\n' {
                lines.push(line(port, &mut partial.bytes));
                continue;
            }
            partial.bytes.push(*byte);
            if partial.bytes.len() >= MAX_LINE {
                lines.push(line(port, &mut partial.bytes));
            }
        }
        if partial.bytes.is_empty() {
            self.0.remove(&port);
        }
        lines
    }

    /// When [`SerialLines::pop_expired`] next returns a line.
    pub(crate) fn next_timeout(&self) -> Option<T> {
        self.0.values().map(|partial| partial.expires).min()
    }

    /// A partial line whose port has been silent long enough at `now`.
    pub(crate) fn pop_expired(&mut self, now: T) -> Option<DeviceEvent> {
        let port = *self.0.iter().find(|(_, partial)| partial.expires <= now)?.0;
        self.pop(port)
    }

    /// All partial lines.
    pub(crate) fn drain(&mut self) -> Vec<DeviceEvent> {
        let ports: Vec<u8> = self.0.keys().copied().collect();
        ports.into_iter().filter_map(|port| self.pop(port)).collect()
    }

    fn pop(&mut self, port: u8) -> Option<DeviceEvent> {
        let mut partial = self.0.remove(&port)?;
        Some(line(port, &mut partial.bytes))
    }
}

/// The line without its final carriage return.
fn line(port: u8, bytes: &mut Vec<u8>) -> DeviceEvent {
    let mut bytes = std::mem::take(bytes);
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    DeviceEvent::Serial { port, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(events: Vec<DeviceEvent>) -> Vec<(u8, String)> {
        let text = |event| match event {
            DeviceEvent::Serial { port, bytes } => (port, String::from_utf8(bytes).unwrap()),
            other => panic!("{other:?}"),
        };
        events.into_iter().map(text).collect()
    }

    fn at(port: u8, text: &str) -> (u8, String) {
        (port, text.to_owned())
    }

    /// Shows D223.
    #[test]
    fn characters_become_lines_of_their_port() {
        let now = Instant::now();
        let mut lines = SerialLines::default();
        assert_eq!(texts(lines.push(1, b"he", now)), []);
        assert_eq!(texts(lines.push(2, b"other\r\n", now)), [at(2, "other")]);
        assert_eq!(texts(lines.push(1, b"llo\r\n\nwor", now)), [at(1, "hello"), at(1, "")]);
        assert_eq!(texts(lines.push(1, b"ld\n", now)), [at(1, "world")]);
        assert_eq!((lines.next_timeout(), lines.drain()), (None, Vec::new()));
    }

    /// Shows D223.
    #[test]
    fn a_prompt_is_shown_after_a_pause_and_what_is_long_in_parts() {
        let now = Instant::now();
        let mut lines = SerialLines::default();
        assert_eq!(texts(lines.push(1, b"login: ", now)), []);
        assert_eq!(lines.next_timeout(), Some(now + FLUSH_DELAY));
        assert_eq!(lines.pop_expired(now + FLUSH_DELAY / 2), None);
        let shown = lines.pop_expired(now + FLUSH_DELAY).expect("shown");
        assert_eq!(texts(vec![shown]), [at(1, "login: ")]);
        assert_eq!(lines.next_timeout(), None);
        let long = lines.push(3, &[b'x'; 2 * MAX_LINE + 1], now);
        assert_eq!(texts(long).len(), 2);
        assert_eq!(texts(lines.drain()), [at(3, "x")]);
    }
}
