//! Where the cloud may connect on behalf of applications, and how: `--allow`, `--resolve`, `--cacert`, `--tls-port`,
//! `--plain-port`.

use cloud::destinations::{Destinations, Range};
use cloud::{CertificateDer, Config, Resolve, TlsPorts, read_authorities};

use crate::options::OutboundOptions;
use crate::output::event::Event;
use crate::output::exit::Failure;

/// The part of the cloud's configuration that is about outbound connections.
pub(crate) struct Outbound {
    destinations: Destinations,
    resolve: Vec<Resolve>,
    extra_authorities: Vec<CertificateDer<'static>>,
    tls_ports: TlsPorts,
}

impl Outbound {
    /// Reads the options and the files they name. Applications may reach `destinations` and the ranges `allow`.
    pub(crate) fn read(
        destinations: Destinations,
        allow: &[String],
        options: &OutboundOptions,
    ) -> Result<Self, Failure> {
        let mut extra_authorities = Vec::new();
        for path in &options.authorities {
            let authorities = read_authorities(path).map_err(|error| {
                Failure::bad_input(format!("--cacert: {error}"))
                    .hint("a PEM file has lines that begin with -----BEGIN CERTIFICATE-----")
            })?;
            extra_authorities.extend(authorities);
        }
        Ok(Self {
            destinations: extend(destinations, allow)?,
            resolve: options.resolve.clone(),
            extra_authorities,
            tls_ports: tls_ports(&options.tls_ports, &options.plain_ports)?,
        })
    }

    /// Which addresses applications may reach.
    pub(crate) fn event(&self) -> Event {
        Event::destinations(&self.destinations)
    }

    /// Writes it to `config`.
    pub(crate) fn apply(self, config: &mut Config) {
        config.destinations = self.destinations;
        config.resolve = self.resolve;
        config.extra_authorities = self.extra_authorities;
        config.tls_ports = self.tls_ports;
    }
}

fn extend(destinations: Destinations, allow: &[String]) -> Result<Destinations, Failure> {
    allow.iter().try_fold(destinations, |destinations, text| {
        let range: Range = text.parse().map_err(|error| Failure::bad_input(format!("--allow: {error}")))?;
        Ok(destinations.allow(range))
    })
}

/// The default ports with TLS and those of `--tls-port`, without those of `--plain-port`.
fn tls_ports(with_tls: &[u16], plain: &[u16]) -> Result<TlsPorts, Failure> {
    if let Some(both) = with_tls.iter().find(|port| plain.contains(port)) {
        return Err(Failure::bad_input(format!("port {both} cannot have both --tls-port and --plain-port")));
    }
    let defaults = plain.iter().fold(TlsPorts::default(), |ports, port| ports.without(*port));
    let ports = with_tls.iter().try_fold(defaults, |ports, port| ports.with(*port));
    ports.ok_or_else(|| Failure::bad_input("--tls-port: at most 16 ports can have TLS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D196.
    #[test]
    fn ports_with_tls_are_the_usual_ones_and_those_named() {
        let usual = tls_ports(&[], &[]).expect("ports");
        assert!(usual.contains(8883) && usual.contains(443) && !usual.contains(1883));
        let other = tls_ports(&[8884], &[8883]).expect("ports");
        assert!(other.contains(8884) && !other.contains(8883));
        assert!(tls_ports(&[8884], &[8884]).is_err());
        assert!(tls_ports(&(1..=15).collect::<Vec<_>>(), &[]).is_err());
    }
}
