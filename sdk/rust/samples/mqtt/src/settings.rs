//! The application's settings from the cloud: its broker, its client id there, its topics.

use core::fmt::Write;

use heapless::{String, Vec};
use openvisor_app::config::{Fetch, Key};
use openvisor_app::sys::{
    MV_CONFIGFETCHRESULT_OK, MV_CONFIGKEYFETCHRESULT_KEYNOTFOUND, MV_CONFIGKEYFETCHRESULT_OK,
};
use openvisor_app::{log_line, logging};

use crate::link::{Link, log_closure};
use crate::{BUFFERS, CHANNEL_EVENTS};

const ANSWER_TIMEOUT_MS: u32 = 15_000;
/// The longest value that the cloud stores.
const VALUE_SIZE: usize = 4096;
const TEXT_SIZE: usize = 255;
const CA_SIZE: usize = 2048;

pub(crate) type Text = String<TEXT_SIZE>;

pub(crate) struct Settings {
    pub broker_host: Text,
    pub broker_port: u16,
    pub client_id: Text,
    /// Empty: no authentication.
    pub username: Text,
    pub password: Text,
    pub publish_topic: Text,
    pub command_topic: Text,
    /// The authority that signed the broker's certificate, in DER. Empty: no TLS.
    pub broker_ca: Vec<u8, CA_SIZE>,
}

/// The keys, in the order in which they are fetched.
const KEYS: [&str; 8] = [
    "broker-host",
    "broker-port",
    "client-id",
    "username",
    "password",
    "publish-topic",
    "command-topic",
    "broker-ca",
];

/// Fetches the settings over their own channel. `None` if a required one is missing or invalid, which is logged.
pub(crate) fn fetch(link: &Link, id: &str) -> Option<Settings> {
    let fetch = Fetch::open(link.network(), &CHANNEL_EVENTS, &BUFFERS);
    let fetch = logging::checked("mvOpenChannel", fetch)?;
    let settings = request(&fetch).and_then(|()| answer(&fetch)).and_then(|()| read_all(&fetch, id));
    log_closure(fetch.channel());
    settings
}

fn request(fetch: &Fetch) -> Option<()> {
    let keys = KEYS.map(|name| if name == "password" { Key::device_secret(name) } else { Key::device(name) });
    logging::checked("mvSendConfigFetchRequest", fetch.request(&keys))
}

fn answer(fetch: &Fetch) -> Option<()> {
    if !fetch.channel().wait_readable(ANSWER_TIMEOUT_MS) {
        log_line!("settings: no answer");
        return None;
    }
    let answer = logging::checked("mvReadConfigFetchResponseData", fetch.answer())?;
    if answer.result != MV_CONFIGFETCHRESULT_OK || answer.num_items as usize != KEYS.len() {
        log_line!("settings: {}, {} items", answer.result.name(), answer.num_items);
        return None;
    }
    Some(())
}

/// The items are read in the order of the keys.
fn read_all(fetch: &Fetch, id: &str) -> Option<Settings> {
    let mut items = Items { fetch, next: 0, value: [0; VALUE_SIZE] };
    Some(Settings {
        broker_host: items.text(None)?,
        broker_port: items.port()?,
        client_id: items.text(Some(id))?,
        username: items.text(Some(""))?,
        password: items.text(Some(""))?,
        publish_topic: items.topic("sensor/device/", id)?,
        command_topic: items.topic("command/device/", id)?,
        broker_ca: items.certificate()?,
    })
}

struct Items<'a> {
    fetch: &'a Fetch,
    next: usize,
    /// The buffer for one value at a time.
    value: [u8; VALUE_SIZE],
}

impl Items<'_> {
    /// The next item. A key that is not set gives the default; without a default it is required.
    fn read<'a>(&'a mut self, otherwise: Option<&'a str>) -> Option<(&'static str, &'a str)> {
        let index = self.next;
        self.next += 1;
        let key = KEYS.get(index)?;
        let (result, value) = logging::checked(key, self.fetch.item(index as u32, &mut self.value))?;
        match (result, otherwise) {
            (MV_CONFIGKEYFETCHRESULT_OK, _) => core::str::from_utf8(value).ok().map(|value| (*key, value)),
            (MV_CONFIGKEYFETCHRESULT_KEYNOTFOUND, Some(otherwise)) => Some((key, otherwise)),
            _ => {
                log_line!("settings: {key}: {}", result.name());
                None
            }
        }
    }

    fn text(&mut self, otherwise: Option<&str>) -> Option<Text> {
        let (key, value) = self.read(otherwise)?;
        let text = Text::try_from(value).ok();
        if text.is_none() {
            log_line!("settings: {key} is too long");
        }
        text
    }

    fn port(&mut self) -> Option<u16> {
        let (_, value) = self.read(None)?;
        let port = value.parse().ok().filter(|port| *port > 0);
        if port.is_none() {
            log_line!("settings: broker-port is no port: {value}");
        }
        port
    }

    /// The prefix and the device's identifier, for a topic that is not set.
    fn topic(&mut self, prefix: &str, id: &str) -> Option<Text> {
        let mut topic = Text::new();
        write!(topic, "{prefix}{id}").ok()?;
        self.text(Some(&topic))
    }

    fn certificate(&mut self) -> Option<Vec<u8, CA_SIZE>> {
        let (_, value) = self.read(Some(""))?;
        let certificate = from_hexadecimal(value);
        if certificate.is_none() {
            log_line!("settings: broker-ca is not hexadecimal, or too long");
        }
        certificate
    }
}

fn from_hexadecimal(digits: &str) -> Option<Vec<u8, CA_SIZE>> {
    let (pairs, rest) = digits.as_bytes().as_chunks();
    let mut bytes = Vec::new();
    for [high, low] in pairs {
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        bytes.push((digit(high)? << 4 | digit(low)?) as u8).ok()?;
    }
    rest.is_empty().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    openvisor_app::test_cases! {
        #[test]
        fn a_certificate_is_read_from_its_digits() {
            assert_eq!(from_hexadecimal("00ff7E").as_deref(), Some([0x00, 0xFF, 0x7E].as_slice()));
            assert_eq!(from_hexadecimal("").as_deref(), Some([].as_slice()));
        }

        #[test]
        fn half_a_byte_is_refused_and_so_is_another_digit() {
            assert_eq!(from_hexadecimal("0"), None);
            assert_eq!(from_hexadecimal("0g"), None);
        }
    }
}
