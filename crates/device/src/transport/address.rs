//! Where a cloud listens.

use std::fmt;

use rustls::pki_types::{InvalidDnsNameError, ServerName};

use super::DEFAULT_PORT;

/// Where a cloud listens: a host name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) name: ServerName<'static>,
}

impl Address {
    /// Reads `host`, `host:port`, `1.2.3.4:port` or `[::1]:port`.
    ///
    /// # Errors
    /// [`AddressError`] with the text: no host name or address, or a port that is not 1 to 65535.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        let (host, port) = split_port(text).ok_or_else(wrong)?;
        let port = port.map_or(Ok(DEFAULT_PORT), str::parse).map_err(|_| wrong())?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_: InvalidDnsNameError| wrong())?;
        if port == 0 { Err(wrong()) } else { Ok(Self { host: host.to_owned(), port, name }) }
    }
}

/// Splits host and port; an IPv6 address with a port is in brackets.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after {
            "" => Some((host, None)),
            _ => Some((host, Some(after.strip_prefix(':')?))),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port))),
        _ => Some((text, None)),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A text that names no host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError(String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no address of a cloud; expected host or host:port", self.0)
    }
}

impl std::error::Error for AddressError {}
