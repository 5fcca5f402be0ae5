//! `--resolve`, `--cacert`, `--tls-port` and `--plain-port`: where an application's connections lead, and who is believed there.

use cloud::{CertificateDer, Resolve, TlsPorts, read_authorities};

use crate::options::OutboundOptions;
use crate::output::exit::Failure;

/// What the cloud is told of relayed destinations, besides which of them are open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relayed {
    /// Destinations that are elsewhere.
    pub(crate) resolve: Vec<Resolve>,
    /// Authorities believed besides the public ones.
    pub(crate) extra_authorities: Vec<CertificateDer<'static>>,
    /// Ports with TLS where the application gives no TLS credentials.
    pub(crate) tls_ports: TlsPorts,
}

impl Relayed {
    /// Reads the files.
    pub(crate) fn read(options: &OutboundOptions) -> Result<Self, Failure> {
        let mut extra_authorities = Vec::new();
        for path in &options.authorities {
            let read = read_authorities(path).map_err(|error| {
                Failure::bad_input(format!("--cacert: {error}"))
                    .hint("name a PEM file, one with lines that begin -----BEGIN CERTIFICATE-----")
            })?;
            extra_authorities.extend(read);
        }
        let tls_ports = tls_ports(&options.tls_ports, &options.plain_ports)?;
        Ok(Self { resolve: options.resolve.clone(), extra_authorities, tls_ports })
    }
}

/// The usual ports with TLS, those named besides, and not those that are to be plain.
fn tls_ports(with_tls: &[u16], plain: &[u16]) -> Result<TlsPorts, Failure> {
    if let Some(both) = with_tls.iter().find(|port| plain.contains(port)) {
        return Err(Failure::bad_input(format!("port {both} cannot have both --tls-port and --plain-port")));
    }
    let usual = plain.iter().fold(TlsPorts::default(), |ports, port| ports.without(*port));
    let all = with_tls.iter().try_fold(usual, |ports, port| ports.with(*port));
    all.ok_or_else(|| Failure::bad_input("--tls-port: there can be 16 such ports at most"))
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
