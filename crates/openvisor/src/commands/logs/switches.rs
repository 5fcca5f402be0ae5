//! Says whose logging is off, because then no lines follow.

use std::collections::HashMap;
use std::io::{self, Write as _};

use ::cloud::DeviceId;
use ::cloud::store::Device;

use crate::operate::cloud_data::device_title;
use crate::output;
use crate::output::event::Event;
use crate::output::timeline::json_line;

/// Most devices that a message names.
const MAX_NAMED: usize = 5;

/// The last reported state of each device's logging.
pub(super) struct Switches {
    json: bool,
    known: HashMap<DeviceId, bool>,
}

impl Switches {
    pub(super) fn new(json: bool) -> Self {
        Self { json, known: HashMap::new() }
    }

    /// Reports every change: on standard error, or with `--json` as an event on standard output.
    ///
    /// # Errors
    /// The reader is gone.
    pub(super) async fn report(&mut self, devices: &[Device]) -> io::Result<()> {
        let changed = self.changes(devices);
        if self.json {
            for device in changed {
                let event = Event::LoggingSwitched { logging: device.logging };
                let line = json_line(None, Some(device.id.as_str()), &event);
                output::stdout().send(line.as_bytes()).await?;
            }
            return Ok(());
        }
        for is_on in [false, true] {
            let devices: Vec<_> = changed.iter().copied().filter(|device| device.logging == is_on).collect();
            if !devices.is_empty() {
                let _ = writeln!(anstream::stderr(), "{}", text(&devices, is_on));
            }
        }
        Ok(())
    }

    /// The devices whose state has changed. The first state of a device counts as a change if its logging is off.
    fn changes<'d>(&mut self, devices: &'d [Device]) -> Vec<&'d Device> {
        let changed =
            |device: &&Device| self.known.insert(device.id, device.logging).unwrap_or(true) != device.logging;
        devices.iter().filter(|device| device.revoked.is_none()).filter(changed).collect()
    }
}

fn text(devices: &[&Device], is_on: bool) -> String {
    let titles: Vec<_> = devices.iter().take(MAX_NAMED).map(|device| device_title(device)).collect();
    let more = devices.len() - titles.len();
    let more = if more > 0 { format!(" and {more} more devices") } else { String::new() };
    let titles = titles.join(", ");
    if is_on {
        return format!("logging of {titles}{more} is on again");
    }
    format!(
        "logging of {titles}{more} is off: no new lines until it is on \
         (openvisor devices logging ID|NAME on)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(digit: char, logging: bool) -> Device {
        let id = DeviceId::parse(&format!("UV{}", digit.to_string().repeat(32))).unwrap();
        let name = Some(format!("device-{digit}"));
        let (logging_expires, image, seen, revoked) = (None, None, None, None);
        let (fingerprint, connected, created, updated) = ([0; 32], false, 0, 0);
        Device {
            id,
            name,
            fingerprint,
            logging,
            logging_expires,
            image,
            seen,
            connected,
            revoked,
            created,
            updated,
            target: None,
            targeted: None,
        }
    }

    /// Shows D321.
    #[test]
    fn every_change_is_reported_once_and_on_is_the_normal_state() {
        let mut switches = Switches::new(false);
        let mut count = |devices: &[Device]| switches.changes(devices).len();
        assert_eq!(count(&[device('a', true), device('b', false)]), 1);
        assert_eq!(count(&[device('a', true), device('b', false)]), 0);
        assert_eq!(count(&[device('a', false), device('b', true)]), 2);
    }

    #[test]
    fn a_message_names_a_few_devices_only() {
        let devices: Vec<_> = "0123456789abcdef".chars().map(|digit| device(digit, false)).collect();
        let text = text(&devices.iter().collect::<Vec<_>>(), false);
        assert!(text.contains("device-4") && !text.contains("device-5"), "{text}");
        assert!(text.contains("and 11 more devices is off"), "{text}");
    }
}
