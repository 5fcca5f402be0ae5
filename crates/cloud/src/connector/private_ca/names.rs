//! Whether a certificate is for a host, and whether its authorities may certify that host.

use std::net::IpAddr;

use relay::ConnectError;
use tokio_rustls::rustls::pki_types::ServerName;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, GeneralSubtree};

/// Names that are shown of a certificate that is for another host, and characters of each.
pub(in crate::connector) const MAX_SHOWN_NAMES: usize = 5;
const MAX_SHOWN_CHARACTERS: usize = 64;

/// The host names and addresses in a certificate.
#[derive(Default)]
struct CertificateNames {
    dns: Vec<String>,
    addresses: Vec<Vec<u8>>,
    /// The common names, which count only if no alternative name is a host name.
    common: Vec<String>,
}

impl CertificateNames {
    fn of(certificate: &X509Certificate<'_>) -> Result<Self, ConnectError> {
        let malformed = |_| ConnectError::Certificate("its alternative names are malformed".to_owned());
        let mut names = Self::default();
        let alternative = certificate.subject_alternative_name().map_err(malformed)?;
        for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
                GeneralName::IPAddress(address) => names.addresses.push(address.to_vec()),
                _ => {}
            }
        }
        // As RFC 6125 (6.4.4) has it: alternative names replace the common name.
        if names.dns.is_empty() {
            let common = certificate.subject().iter_common_name();
            names.common = common.filter_map(|name| name.as_str().ok().map(str::to_owned)).collect();
        }
        Ok(names)
    }

    fn are_for_host(&self, host: &str) -> bool {
        self.dns.iter().chain(&self.common).any(|name| matches(name, host))
    }

    /// A common name may be an address too, because the clients of brokers accept that.
    fn are_for_address(&self, address: IpAddr) -> bool {
        self.addresses.contains(&octets(address))
            || self.common.iter().any(|name| name.parse() == Ok(address))
    }

    /// A few of them, for messages.
    fn shown(&self) -> Vec<String> {
        let addresses = self.addresses.iter().filter_map(|octets| address(octets).map(|it| it.to_string()));
        let texts = self.dns.iter().chain(&self.common).cloned().chain(addresses);
        texts.take(MAX_SHOWN_NAMES).map(|name| shown(&name)).collect()
    }
}

/// A name for messages, shortened, with unprintable characters replaced: it is the server's text.
pub(in crate::connector) fn shown(name: &str) -> String {
    let shown = |character: char| if character.is_ascii_graphic() { character } else { '?' };
    name.chars().take(MAX_SHOWN_CHARACTERS).map(shown).collect()
}

/// Whether the certificate is for this host.
pub(super) fn check(certificate: &X509Certificate<'_>, host: &ServerName<'_>) -> Result<(), ConnectError> {
    let names = CertificateNames::of(certificate)?;
    let is_for_host = match host {
        ServerName::DnsName(host) => names.are_for_host(host.as_ref()),
        ServerName::IpAddress(address) => names.are_for_address(IpAddr::from(*address)),
        _ => false,
    };
    if is_for_host { Ok(()) } else { Err(ConnectError::CertificateName { names: names.shown() }) }
}

/// Whether a certificate's name matches a host; `*` stands for the whole first label (RFC 9525, 6.3).
fn matches(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (without_dot(pattern), without_dot(host));
    let Some(parent) = pattern.strip_prefix("*.") else { return pattern.eq_ignore_ascii_case(host) };
    let below = host.split_once('.').filter(|(label, _)| !label.is_empty());
    !parent.is_empty() && below.is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// Whether an authority's name constraints allow all names of a server (RFC 5280, 4.2.1.10).
pub(super) fn check_constraints(
    authority: &X509Certificate<'_>,
    server: &X509Certificate<'_>,
) -> Result<(), ConnectError> {
    let fault = |what: &str| Err(ConnectError::Certificate(what.to_owned()));
    let Ok(constraints) = authority.name_constraints() else {
        return fault("the name constraints of its authority are malformed");
    };
    let Some(constraints) = constraints else { return Ok(()) };
    let names = CertificateNames::of(server)?;
    let permitted = constraints.value.permitted_subtrees.as_deref().unwrap_or_default();
    let excluded = constraints.value.excluded_subtrees.as_deref().unwrap_or_default();
    let is_other = |subtree: &GeneralSubtree<'_>| {
        !matches!(
            subtree.base,
            GeneralName::DNSName(_) | GeneralName::IPAddress(_) | GeneralName::RFC822Name(_)
        )
    };
    // A constraint that is not understood must not be ignored (RFC 5280, 4.2.1.10).
    if permitted.iter().chain(excluded).any(is_other) {
        return fault("the name constraints of its authority are of a kind that is not supported");
    }
    let hosts = names.dns.iter().chain(&names.common).filter(|name| name.parse::<IpAddr>().is_err());
    let hosts: Vec<_> = hosts.map(|name| Constrained::Host(name)).collect();
    let addresses: Vec<_> = names.addresses.iter().map(|octets| Constrained::Address(octets)).collect();
    let all = hosts.iter().chain(&addresses);
    for name in all {
        let kind = || permitted.iter().filter(|subtree| name.is_kind_of(&subtree.base));
        // Without a permitted subtree of its kind a name is allowed.
        let is_permitted = kind().next().is_none() || kind().any(|subtree| name.is_within(&subtree.base));
        if !is_permitted || excluded.iter().any(|subtree| name.is_within(&subtree.base)) {
            return fault("the name constraints of its authority do not allow its names");
        }
    }
    Ok(())
}

/// A name that name constraints apply to.
enum Constrained<'a> {
    Host(&'a str),
    Address(&'a [u8]),
}

impl Constrained<'_> {
    fn is_kind_of(&self, base: &GeneralName<'_>) -> bool {
        matches!(
            (self, base),
            (Self::Host(_), GeneralName::DNSName(_)) | (Self::Address(_), GeneralName::IPAddress(_))
        )
    }

    fn is_within(&self, base: &GeneralName<'_>) -> bool {
        match (self, base) {
            (Self::Host(host), GeneralName::DNSName(base)) => is_below(host, base),
            (Self::Address(address), GeneralName::IPAddress(block)) => is_in_block(address, block),
            _ => false,
        }
    }
}

/// Whether a host name is a domain's or below it; the empty domain holds all.
fn is_below(host: &str, domain: &str) -> bool {
    let host = without_dot(host).strip_prefix("*.").unwrap_or(without_dot(host)).to_ascii_lowercase();
    let domain = domain.strip_prefix('.').unwrap_or(domain).to_ascii_lowercase();
    domain.is_empty() || host == domain || host.ends_with(&format!(".{domain}"))
}

/// Whether an address is in a block, which is an address and a mask of the same length.
fn is_in_block(address: &[u8], block: &[u8]) -> bool {
    // An odd or empty block matches nothing, because the lengths differ below.
    let (base, mask) = block.split_at(block.len() / 2);
    let is_same = |((one, base), mask): ((&u8, &u8), &u8)| one & mask == base & mask;
    address.len() == base.len() && address.iter().zip(base).zip(mask).all(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        for (pattern, host, is_match) in [
            ("broker.example", "Broker.EXAMPLE", true),
            ("broker.example", "broker.example.", true),
            ("*.example", "broker.example", true),
            ("*.example", "a.broker.example", false),
            ("*.example", "example", false),
            ("*.example", ".example", false),
            ("*.", "example", false),
            ("*", "example", false),
            ("b*.example", "broker.example", false),
            ("broker.example\0.evil", "broker.example", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, host), is_match, "{pattern} {host}");
        }
    }

    #[test]
    fn subtrees_hold_what_is_below_them() {
        assert!(is_below("a.example", "example") && is_below("example", "example"));
        assert!(is_below("*.a.example", ".example") && is_below("any", ""));
        assert!(!is_below("anexample", "example") && !is_below("example", "a.example"));
        assert!(is_in_block(&[10, 1, 2, 3], &[10, 0, 0, 0, 255, 0, 0, 0]));
        assert!(!is_in_block(&[11, 1, 2, 3], &[10, 0, 0, 0, 255, 0, 0, 0]));
        assert!(!is_in_block(&[10, 1, 2, 3], &[0; 32]) && !is_in_block(&[10, 1, 2, 3], &[]));
    }
}
