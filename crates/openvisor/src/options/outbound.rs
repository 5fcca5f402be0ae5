//! Where applications may connect to, and how.

use std::path::PathBuf;

use clap::Args;
use cloud::Resolve;

/// Additional destinations.
#[derive(Args)]
pub(crate) struct AllowOption {
    /// Let applications also reach the addresses in this range, such as 192.168.0.0/16, including this machine's own
    /// (repeatable)
    #[arg(long, value_name = "RANGE")]
    pub(crate) allow: Vec<String>,
}

/// How the cloud connects to the brokers and servers that applications name.
#[derive(Args)]
pub(crate) struct OutboundOptions {
    /// Connect to ADDR:PORT where the application names HOST:PORT, like curl's --resolve; certificates are still
    /// checked against HOST (repeatable)
    #[arg(long, value_name = "HOST:PORT=ADDR:PORT")]
    pub(crate) resolve: Vec<Resolve>,
    /// Also trust the certificate authorities in this PEM file where the application names none (repeatable)
    #[arg(long = "cacert", value_name = "FILE")]
    pub(crate) authorities: Vec<PathBuf>,
    /// Connect to brokers on this port over TLS, verified with the public authorities, where the application sets no
    /// TLS credentials; the default for 8883 and 443 (repeatable)
    #[arg(long = "tls-port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) tls_ports: Vec<u16>,
    /// Connect to brokers on this port over plain TCP where the application sets no TLS credentials, even if it is 8883
    /// or 443 (repeatable)
    #[arg(long = "plain-port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) plain_ports: Vec<u16>,
}
