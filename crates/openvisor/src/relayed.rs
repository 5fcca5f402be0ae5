//! `--resolve` and `--cacert`: where an application's connections lead, and who is believed there.

use cloud::{CertificateDer, Resolve, read_authorities};

use crate::arguments;
use crate::exit::Failure;

/// What the cloud is told of relayed destinations, besides which of them are open.
#[derive(Clone, Debug, Default)]
pub struct Relayed {
    /// Destinations that are elsewhere.
    pub resolve: Vec<Resolve>,
    /// Authorities believed besides the public ones.
    pub extra_authorities: Vec<CertificateDer<'static>>,
}

impl Relayed {
    /// Reads the files.
    pub fn read(arguments: &arguments::Relayed) -> Result<Self, Failure> {
        let mut extra_authorities = Vec::new();
        for path in &arguments.authorities {
            let read = read_authorities(path).map_err(|error| {
                Failure::bad_input(format!("--cacert: {error}"))
                    .hint("name a PEM file, one with lines that begin -----BEGIN CERTIFICATE-----")
            })?;
            extra_authorities.extend(read);
        }
        Ok(Self { resolve: arguments.resolve.clone(), extra_authorities })
    }
}
