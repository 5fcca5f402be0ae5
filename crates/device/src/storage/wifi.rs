//! The Wi-Fi settings: stored for the application, without effect on how the virtual device reaches its cloud.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kernel::limits::{MAX_SSID, MAX_WIFI_PASSWORD};
use kernel::{Wifi, WifiNetwork};

use crate::identity::write_private;

/// The stored settings, if there are any.
#[derive(Debug, Default)]
pub struct Settings {
    network: Option<Network>,
    file: Option<PathBuf>,
}

#[derive(Clone, PartialEq, Eq)]
struct Network {
    ssid: Vec<u8>,
    password: Vec<u8>,
}

impl std::fmt::Debug for Network {
    /// The password stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("ssid", &self.ssid).finish_non_exhaustive()
    }
}

impl Settings {
    /// The settings in the file at `path`. A file that is missing or malformed means no network.
    pub fn in_file(path: PathBuf) -> Self {
        let network = fs::read_to_string(&path).ok().and_then(|text| Network::parse(&text));
        Self { network, file: Some(path) }
    }

    fn replace(&mut self, network: Option<Network>) -> bool {
        // Settings count only once they are in the file, because the application expects them after a restart.
        let is_saved = self.file.as_deref().is_none_or(|path| save(path, network.as_ref()));
        if is_saved {
            self.network = network;
        }
        is_saved
    }
}

impl Wifi for Settings {
    fn store(&mut self, ssid: &[u8], password: &[u8]) -> bool {
        self.replace(Some(Network { ssid: ssid.to_vec(), password: password.to_vec() }))
    }

    fn clear(&mut self) -> bool {
        self.replace(None)
    }

    fn stored(&self) -> Option<WifiNetwork<'_>> {
        let network = self.network.as_ref()?;
        Some(WifiNetwork { ssid: &network.ssid, has_password: !network.password.is_empty() })
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (ssid, password) = text.strip_suffix('\n')?.split_once('\n')?;
        let network = Self { ssid: from_hex(ssid)?, password: from_hex(password)? };
        let fits =
            (1..=MAX_SSID).contains(&network.ssid.len()) && network.password.len() <= MAX_WIFI_PASSWORD;
        fits.then_some(network)
    }

    /// In hexadecimal, because both may contain any byte, line ends included.
    fn text(&self) -> String {
        format!("{}\n{}\n", to_hex(&self.ssid), to_hex(&self.password))
    }
}

fn save(path: &Path, network: Option<&Network>) -> bool {
    match network {
        Some(network) => write_private(path, &network.text()).is_ok(),
        None => match fs::remove_file(path) {
            // There was nothing to clear, which is what the application asked for.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
            Ok(()) => true,
        },
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if digits.len().is_multiple_of(2) { digits.chunks(2).map(pair).collect() } else { None }
}
