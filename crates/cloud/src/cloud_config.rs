//! The configuration of a cloud.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use relay::TlsPorts;
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::connector::Resolve;
use crate::destinations::{Destinations, Range};
use crate::limits::Limits;
use crate::store_url::StoreUrl;

/// The configuration of a cloud.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder, created if it does not exist.
    pub data: PathBuf,
    /// The store; `None`: the one recorded in the data folder, else the SQLite file in it.
    pub store: Option<StoreUrl>,
    /// Address to listen on for devices; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Addresses of load balancers, whose connections must begin with a PROXY header; the addresses in it are believed
    /// (D356).
    pub proxies: Vec<Range>,
    /// Address to serve health and metrics on; port 0 picks a free one. `None`: they are not served.
    pub metrics: Option<SocketAddr>,
    /// Host names and addresses of the cloud as devices know them, for its certificate.
    pub hosts: Vec<String>,
    /// Addresses at which brokers and HTTPS servers may be (D62).
    pub destinations: Destinations,
    /// Brokers and HTTPS servers that are at other addresses than their names resolve to.
    pub resolve: Vec<Resolve>,
    /// Authorities trusted in addition to the public ones where the application names none; [`crate::read_authorities`]
    /// reads a file.
    pub extra_authorities: Vec<CertificateDer<'static>>,
    /// DNS servers; empty: those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// Whether brokers must be reached by TLS: without it a password crosses the network as plain text (D42, M46).
    pub require_tls: bool,
    /// Ids or names of accounts whose devices must reach brokers by TLS.
    pub require_tls_of: Vec<String>,
    /// Ports on which brokers are reached by TLS even if the application gives no TLS credentials, because a plain-text
    /// connection to them never works (D196).
    pub tls_ports: TlsPorts,
    /// The limits.
    pub limits: Limits,
}

impl Config {
    /// A cloud for this machine: its certificate names `localhost`, the loopback addresses and the address it listens
    /// on; brokers may be on the public internet and on this machine.
    pub fn local(data: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        if !listen.ip().is_unspecified() && !contains(&hosts, listen.ip()) {
            hosts.push(listen.ip().to_string());
        }
        Self {
            data: data.into(),
            store: None,
            listen,
            proxies: Vec::new(),
            metrics: None,
            hosts,
            destinations: Destinations::with_loopback(),
            resolve: Vec::new(),
            extra_authorities: Vec::new(),
            name_servers: Vec::new(),
            require_tls: false,
            require_tls_of: Vec::new(),
            tls_ports: TlsPorts::default(),
            limits: Limits::default(),
        }
    }
}

fn contains(hosts: &[String], address: IpAddr) -> bool {
    hosts.contains(&address.to_string())
}
