//! Why a cloud does not start.

use std::io;
use std::net::SocketAddr;

use crate::authority::AuthorityError;
use crate::connector::AuthoritiesError;
use crate::data::DataError;
use crate::store::StoreError;

/// Why a cloud does not start. Each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is in use.
    #[error("{0} is in use by another program")]
    AddressInUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No certificate can be issued for a host.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// One of [`crate::Config::extra_authorities`] cannot be used.
    #[error(transparent)]
    ExtraAuthority(#[from] AuthoritiesError),
    /// One of [`crate::Config::require_tls_of`] does not exist.
    #[error("there is no account `{0}`, whose devices are to use TLS only")]
    NoAccount(String),
}
