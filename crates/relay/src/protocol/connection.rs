//! Connections to brokers.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::ConnectError;

/// Names an outbound connection of one relay. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// Where to connect, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A host name or an address, as the application gave it.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// TLS, or `None` for plain TCP, where the application gave no TLS credentials and the port does not imply TLS
    /// (D42, D196).
    pub tls: Option<TlsOptions>,
}

impl Target {
    /// Bytes of names, certificates and keys in it, for a caller that limits them.
    pub fn bytes(&self) -> usize {
        self.host.len() + self.tls.as_ref().map_or(0, TlsOptions::bytes)
    }
}

/// What the application wants of TLS, all DER (M47 to M50).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Authorities to trust; none means the public ones, which have certified most brokers on the internet (D42).
    pub authorities: Vec<Vec<u8>>,
    /// The client's own certificate and those above it; none means no client authentication.
    pub chain: Vec<Vec<u8>>,
    /// The client's private key, PKCS#8.
    pub key: Vec<u8>,
}

impl TlsOptions {
    fn bytes(&self) -> usize {
        let certificates: usize = self.authorities.iter().chain(&self.chain).map(Vec::len).sum();
        certificates + self.key.len()
    }
}

impl fmt::Debug for TlsOptions {
    /// Says how much there is: the key must not get into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("authorities", &self.authorities.len())
            .field("chain", &self.chain.len())
            .field("key", &super::Omitted(self.key.len()))
            .finish()
    }
}

/// How an open connection has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// The other end closed it in order.
    Closed,
    /// It was reset, or its TLS failed: with TLS 1.3 a server refuses a client certificate only after the handshake.
    Failed(ConnectError),
}
