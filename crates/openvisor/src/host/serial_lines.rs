//! What serial ports send, put together to lines: a device reports characters as they come.

use std::collections::BTreeMap;
use std::time::Duration;

use device::events::DeviceEvent;
use tokio::time::Instant;

/// Longest line; more of it begins another.
const LONGEST: usize = 512;

/// Pause after which the beginning of a line is shown although the line has no end.
const PAUSE: Duration = Duration::from_millis(200);

/// Lines of all ports that have begun and not ended.
#[derive(Default)]
pub(crate) struct SerialLines(BTreeMap<u8, Begun>);

/// The beginning of a line.
struct Begun {
    bytes: Vec<u8>,
    /// When it is shown as it is.
    due: Instant,
}

impl SerialLines {
    /// Takes what `port` has sent at `now`. Answers the lines that are complete by that.
    pub(crate) fn take(&mut self, port: u8, sent: &[u8], now: Instant) -> Vec<DeviceEvent> {
        let due = now + PAUSE;
        let begun = self.0.entry(port).or_insert_with(|| Begun { bytes: Vec::new(), due });
        begun.due = due;
        let mut lines = Vec::new();
        for byte in sent {
            if *byte == b'\n' {
                lines.push(line(port, &mut begun.bytes));
                continue;
            }
            begun.bytes.push(*byte);
            if begun.bytes.len() >= LONGEST {
                lines.push(line(port, &mut begun.bytes));
            }
        }
        if begun.bytes.is_empty() {
            self.0.remove(&port);
        }
        lines
    }

    /// When [`SerialLines::pop_due`] next has something.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.values().map(|begun| begun.due).min()
    }

    /// A line whose port has been silent for a while at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<DeviceEvent> {
        let port = *self.0.iter().find(|(_, begun)| begun.due <= now)?.0;
        self.pop(port)
    }

    /// Everything that has begun.
    pub(crate) fn rest(&mut self) -> Vec<DeviceEvent> {
        let ports: Vec<u8> = self.0.keys().copied().collect();
        ports.into_iter().filter_map(|port| self.pop(port)).collect()
    }

    fn pop(&mut self, port: u8) -> Option<DeviceEvent> {
        let mut begun = self.0.remove(&port)?;
        Some(line(port, &mut begun.bytes))
    }
}

/// A line without the carriage return before its end.
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
        assert_eq!(texts(lines.take(1, b"he", now)), []);
        assert_eq!(texts(lines.take(2, b"other\r\n", now)), [at(2, "other")]);
        assert_eq!(texts(lines.take(1, b"llo\r\n\nwor", now)), [at(1, "hello"), at(1, "")]);
        assert_eq!(texts(lines.take(1, b"ld\n", now)), [at(1, "world")]);
        assert_eq!((lines.due(), lines.rest()), (None, Vec::new()));
    }

    /// Shows D223.
    #[test]
    fn a_prompt_is_shown_after_a_pause_and_what_is_long_in_parts() {
        let now = Instant::now();
        let mut lines = SerialLines::default();
        assert_eq!(texts(lines.take(1, b"login: ", now)), []);
        assert_eq!(lines.due(), Some(now + PAUSE));
        assert_eq!(lines.pop_due(now + PAUSE / 2), None);
        let shown = lines.pop_due(now + PAUSE).expect("shown");
        assert_eq!(texts(vec![shown]), [at(1, "login: ")]);
        assert_eq!(lines.due(), None);
        let long = lines.take(3, &[b'x'; 2 * LONGEST + 1], now);
        assert_eq!(texts(long).len(), 2);
        assert_eq!(texts(lines.rest()), [at(3, "x")]);
    }
}
