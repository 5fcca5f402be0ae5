//! Addresses on the command line.

use std::net::{SocketAddr, ToSocketAddrs};

use device::transport::Address;

use crate::output::exit::Failure;

/// Parses an address to listen on.
pub(crate) fn parse_listen_address(option: &str, text: &str) -> Result<SocketAddr, Failure> {
    let (host, _) = split(option, text)?;
    let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| {
        Failure::bad_input(format!("{option} {text}: cannot resolve {host}"))
            .hint(format!("use an address of this machine, for example {option} 127.0.0.1:7883"))
    })
}

/// Parses the address of a cloud, as `--cloud` takes it.
pub(crate) fn parse_cloud_address(text: &str) -> Result<Address, Failure> {
    Address::parse(text).map_err(|error| {
        Failure::bad_input(format!("--cloud: {error}")).hint("for example --cloud 127.0.0.1:7883")
    })
}

/// Splits HOST:PORT, and removes the brackets of an IPv6 address.
pub(crate) fn split(option: &str, text: &str) -> Result<(String, u16), Failure> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.starts_with('['));
    let parts = parts.and_then(|(host, port)| Some((unbracketed(host)?, port.parse().ok()?)));
    parts.filter(|(host, _)| !host.is_empty()).ok_or_else(|| {
        Failure::bad_input(format!("{option} {text}: not HOST:PORT"))
            .hint(format!("for example {option} 127.0.0.1:7883, or {option} '[::1]:7883'"))
    })
}

fn unbracketed(host: &str) -> Option<String> {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').map(str::to_owned),
        None => Some(host.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_of_either_version() {
        assert_eq!(split("--cloud", "a.example:1").unwrap(), ("a.example".into(), 1));
        assert_eq!(split("--cloud", "127.0.0.1:7883").unwrap(), ("127.0.0.1".into(), 7883));
        assert_eq!(split("--cloud", "[::1]:7883").unwrap(), ("::1".into(), 7883));
        for text in ["", "host", "host:", ":1", "host:port", "host:65536", "::1:80", "[::1:80", "[]:1"] {
            let failure = split("--cloud", text).unwrap_err().to_string();
            assert!(failure.contains("HOST:PORT") && failure.contains("for example"), "{text}: {failure}");
        }
    }

    #[test]
    fn a_listening_address_may_be_named_localhost() {
        assert!(parse_listen_address("--listen", "localhost:0").unwrap().ip().is_loopback());
        assert_eq!(parse_listen_address("--listen", "[::1]:7").unwrap(), "[::1]:7".parse().unwrap());
    }
}
