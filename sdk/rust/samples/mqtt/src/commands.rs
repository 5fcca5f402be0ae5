//! The commands that the application executes, sent to its command topic.

use openvisor_app::mqtt::Client;
use openvisor_app::{clock, log_line, logging};

use crate::led;
use crate::publisher::Publisher;

const LONGEST_PERIOD_MS: u32 = 3_600_000;

/// Executes a command; an unknown one is logged and otherwise ignored.
pub(crate) fn obey(text: &[u8], client: &Client, publisher: &mut Publisher<'_>) {
    let text = core::str::from_utf8(text).unwrap_or_default();
    match text.split_once(' ') {
        Some(("led", "on")) => led::set(true),
        Some(("led", "off")) => led::set(false),
        Some(("led", _)) => log_line!("command: led on, or led off"),
        Some(("period", number)) => set_period(number, publisher),
        Some(("echo", rest)) => publisher.echo(client, rest),
        None if text == "disconnect" => _ = logging::checked("mvMqttRequestDisconnect", client.disconnect()),
        _ => log_line!("command: unknown"),
    }
}

fn set_period(number: &str, publisher: &mut Publisher<'_>) {
    match number.parse() {
        Ok(period @ clock::TICK_MS..=LONGEST_PERIOD_MS) => publisher.set_period(period),
        _ => log_line!("command: period takes {} to {LONGEST_PERIOD_MS} milliseconds", clock::TICK_MS),
    }
}
