//! Names that the operator maps to other addresses, as `curl --resolve` and `--connect-to` do.

use std::net::SocketAddr;
use std::str::FromStr;

/// A destination at another address. It is open whatever [`crate::Destinations`] says, because the operator configured
/// it; the name in TLS is still the application's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolve {
    /// The host as applications name it, not case-sensitive.
    pub host: String,
    /// The port as applications name it.
    pub port: u16,
    /// Its actual address.
    pub to: SocketAddr,
}

/// A text that is not a [`Resolve`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not HOST:PORT=ADDRESS:PORT (like example.com:443=127.0.0.1:8443)")]
pub struct ResolveError(String);

impl Resolve {
    /// Whether it applies to this destination.
    pub fn is_for(&self, host: &str, port: u16) -> bool {
        self.port == port && super::bare_host(&self.host).eq_ignore_ascii_case(host)
    }
}

impl FromStr for Resolve {
    type Err = ResolveError;

    /// Reads `HOST:PORT=ADDRESS:PORT`; IPv6 addresses are in brackets.
    fn from_str(text: &str) -> Result<Self, ResolveError> {
        parse(text).ok_or_else(|| ResolveError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Resolve> {
    let (from, to) = text.split_once('=')?;
    let (host, port) = from.rsplit_once(':')?;
    let is_plain = !host.is_empty() && (host.starts_with('[') || !host.contains(':'));
    let host = is_plain.then(|| host.to_owned())?;
    Some(Resolve { host, port: port.parse().ok()?, to: to.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolve_reads_as_curls_does() {
        let resolve: Resolve = "Example.com:443=127.0.0.1:8443".parse().expect("one");
        assert!(resolve.is_for("example.COM", 443));
        assert!(!resolve.is_for("example.com", 8443) && !resolve.is_for("www.example.com", 443));
        assert_eq!(resolve.to, "127.0.0.1:8443".parse().expect("an address"));
        let six: Resolve = "[::2]:1883=[::1]:1884".parse().expect("one");
        assert!(six.is_for("::2", 1883));
    }

    #[test]
    fn an_invalid_text_is_refused() {
        for text in [
            "",
            "a:1",
            "a=127.0.0.1:1",
            "a:1=127.0.0.1",
            "a:1=b:1",
            ":1=127.0.0.1:1",
            "::1:1=127.0.0.1:1",
            "a:x=127.0.0.1:1",
        ] {
            assert_eq!(text.parse::<Resolve>(), Err(ResolveError(text.to_owned())));
        }
    }
}
