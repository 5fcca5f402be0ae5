//! Addresses on the command line.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::output::exit::Failure;

/// Where to listen: one address of this machine and a port.
pub(crate) fn to_listen(option: &str, text: &str) -> Result<SocketAddr, Failure> {
    let (host, _) = split(option, text)?;
    let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| {
        Failure::bad_input(format!("{option} {text}: there is no address for {host}"))
            .hint(format!("name an address of this machine, for example {option} 127.0.0.1:7883"))
    })
}

/// A host, which may be a name or an address, and a port. The host comes without the brackets of an IPv6 address.
pub(crate) fn split(option: &str, text: &str) -> Result<(String, u16), Failure> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.starts_with('['));
    let parts = parts.and_then(|(host, port)| Some((unbracketed(host)?, port.parse().ok()?)));
    parts.filter(|(host, _)| !host.is_empty()).ok_or_else(|| {
        Failure::bad_input(format!("{option} {text}: this is not HOST:PORT"))
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
    fn hosts_are_names_or_addresses_of_either_kind() {
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
        assert!(to_listen("--listen", "localhost:0").unwrap().ip().is_loopback());
        assert_eq!(to_listen("--listen", "[::1]:7").unwrap(), "[::1]:7".parse().unwrap());
    }
}
