//! The chain from a server's certificate, through those it sent, to one of the named authorities.

use relay::ConnectError;
use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::names;
use super::signature::{self, SignatureError};

/// Most certificates of a chain, including the server's and the authority's.
const MAX_CHAIN_LENGTH: usize = 10;

/// Most signatures verified for one connection: a server that sends many certificates of one name must not cost much
/// computation.
const MAX_SIGNATURES: usize = 50;

/// Parses bytes that are exactly one certificate.
pub(super) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der)
        .ok()
        .filter(|(rest, _)| rest.is_empty())
        .map(|(_, certificate)| certificate)
}

/// Whether one of the authorities certifies that a server with these certificates is the one named.
pub(super) fn verify(
    end_entity: &[u8],
    sent: &[impl AsRef<[u8]>],
    authorities: &[impl AsRef<[u8]>],
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), ConnectError> {
    let server = parse(end_entity).ok_or_else(|| unusable("it is not an X.509 certificate"))?;
    let mut search = Search {
        sent: sent.iter().filter_map(|der| parse(der.as_ref())).collect(),
        authorities: authorities.iter().filter_map(|der| parse(der.as_ref())).collect(),
        now: now.as_secs().cast_signed(),
        signatures: MAX_SIGNATURES,
    };
    let chain = search.chain(&server)?;
    check_server(&server)?;
    names::check(&server, name)?;
    chain.iter().skip(1).try_for_each(|issuer| names::check_constraints(issuer, &server))
}

fn unusable(why: &str) -> ConnectError {
    ConnectError::Certificate(why.to_owned())
}

/// The search for a chain.
struct Search<'a> {
    sent: Vec<X509Certificate<'a>>,
    authorities: Vec<X509Certificate<'a>>,
    /// Seconds since 1970.
    now: i64,
    /// Signatures that may still be verified.
    signatures: usize,
}

impl<'a> Search<'a> {
    /// The certificates from the server's to an authority, in this order.
    fn chain(&mut self, server: &X509Certificate<'a>) -> Result<Vec<X509Certificate<'a>>, ConnectError> {
        self.extend(vec![server.clone()])
    }

    /// Searches for the rest of a chain.
    fn extend(&mut self, chain: Vec<X509Certificate<'a>>) -> Result<Vec<X509Certificate<'a>>, ConnectError> {
        let Some(last) = chain.last() else { return Err(ConnectError::UnknownCa) };
        self.check_by_itself(last)?;
        if self.authorities.iter().any(|authority| authority.as_raw() == last.as_raw()) {
            return Ok(chain);
        }
        let mut cause = ConnectError::UnknownCa;
        for (issuer, is_authority) in self.issuers(last, &chain) {
            match self.step(&chain, issuer, is_authority) {
                Ok(chain) => return Ok(chain),
                // The first cause that says more than that no issuer was found.
                Err(found) if cause == ConnectError::UnknownCa => cause = found,
                Err(_) => {}
            }
        }
        Err(cause)
    }

    /// Certificates with the name of a certificate's issuer: first the authorities, which end the search.
    fn issuers(
        &self,
        of: &X509Certificate<'a>,
        chain: &[X509Certificate<'a>],
    ) -> Vec<(X509Certificate<'a>, bool)> {
        let authorities = self.authorities.iter().map(|authority| (authority, true));
        let sent = self.sent.iter().map(|sent| (sent, false));
        let is_new = |one: &X509Certificate<'_>| chain.iter().all(|other| other.as_raw() != one.as_raw());
        authorities
            .chain(sent)
            .filter(|(issuer, _)| is_same_name(issuer.subject(), of.issuer()) && is_new(issuer))
            .map(|(issuer, is_authority)| (issuer.clone(), is_authority))
            .collect()
    }

    /// Adds an issuer to a chain, if it has signed the last certificate and may do so, and searches on from there.
    fn step(
        &mut self,
        chain: &[X509Certificate<'a>],
        issuer: X509Certificate<'a>,
        is_authority: bool,
    ) -> Result<Vec<X509Certificate<'a>>, ConnectError> {
        self.signatures = self.signatures.checked_sub(1).ok_or_else(|| unusable("its chain is too long"))?;
        let last = chain.last().ok_or(ConnectError::UnknownCa)?;
        match signature::verify_certificate(last, issuer.public_key()) {
            Ok(()) => {}
            // It has the authority's name, but another key.
            Err(SignatureError::Invalid) => return Err(ConnectError::UnknownCa),
            Err(SignatureError::Unsupported(what)) => return Err(ConnectError::CertificateAlgorithm(what)),
        }
        check_issuer(&issuer, is_authority, chain)?;
        if chain.len() + 1 > MAX_CHAIN_LENGTH {
            return Err(unusable("its chain is too long"));
        }
        self.extend([chain, &[issuer]].concat())
    }

    /// Requirements for every certificate of a chain.
    fn check_by_itself(&self, certificate: &X509Certificate<'_>) -> Result<(), ConnectError> {
        let validity = certificate.validity();
        if self.now > validity.not_after.timestamp() {
            return Err(ConnectError::CertificateExpired);
        }
        if self.now < validity.not_before.timestamp() {
            return Err(ConnectError::CertificateNotYetValid);
        }
        if let Some(weak) = signature::weakness(certificate.public_key()) {
            return Err(ConnectError::CertificateAlgorithm(weak));
        }
        for extension in certificate.extensions() {
            if extension.critical && !is_understood(extension.parsed_extension()) {
                let oid = extension.oid.to_id_string();
                return Err(unusable(&format!("its critical extension {oid} is not understood")));
            }
        }
        Ok(())
    }
}

/// Extensions that are evaluated, and those that OpenSSL ignores too although they are critical.
fn is_understood(extension: &ParsedExtension<'_>) -> bool {
    use ParsedExtension as E;
    matches!(
        extension,
        E::KeyUsage(_)
            | E::ExtendedKeyUsage(_)
            | E::BasicConstraints(_)
            | E::SubjectAlternativeName(_)
            | E::NameConstraints(_)
            | E::CertificatePolicies(_)
            | E::PolicyMappings(_)
            | E::PolicyConstraints(_)
            | E::InhibitAnyPolicy(_)
            | E::CRLDistributionPoints(_)
            | E::AuthorityKeyIdentifier(_)
            | E::SubjectKeyIdentifier(_)
            | E::NSCertType(_)
    )
}

/// Requirements for the server's own certificate. It may be marked as an authority's, because its chain has been
/// verified.
fn check_server(server: &X509Certificate<'_>) -> Result<(), ConnectError> {
    check_purpose(server)
}

/// If a certificate lists its purposes, TLS servers must be among them.
fn check_purpose(certificate: &X509Certificate<'_>) -> Result<(), ConnectError> {
    match certificate.extended_key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.value.server_auth => Ok(()),
        Ok(Some(_)) => Err(unusable("it is not for TLS servers")),
        Err(_) => Err(unusable("its extended key usage is malformed")),
    }
}

/// Whether a certificate may have signed the last of `below`.
fn check_issuer(
    issuer: &X509Certificate<'_>,
    is_authority: bool,
    below: &[X509Certificate<'_>],
) -> Result<(), ConnectError> {
    check_purpose(issuer)?;
    let usage = issuer.key_usage().map_err(|_| unusable("a key usage in its chain is malformed"))?;
    if usage.as_ref().is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(unusable("the key of its issuer is not for signing certificates"));
    }
    let constraints = issuer.basic_constraints();
    match constraints.map_err(|_| unusable("basic constraints in its chain are malformed"))? {
        Some(constraints) if !constraints.value.ca => Err(unusable("its issuer is no authority")),
        Some(constraints) => check_length(constraints.value.path_len_constraint, below),
        // A named authority needs no mark: X.509 version 1 has none.
        None if is_authority => Ok(()),
        None => Err(unusable("its issuer is not marked as an authority")),
    }
}

/// Checks the number of certificates between an authority and the server's; self-issued ones do not count (RFC 5280,
/// 4.2.1.9).
fn check_length(most: Option<u32>, below: &[X509Certificate<'_>]) -> Result<(), ConnectError> {
    let between = below.iter().skip(1).filter(|other| !is_same_name(other.subject(), other.issuer())).count();
    if most.is_some_and(|most| between > most as usize) {
        return Err(unusable("its chain is longer than an authority allows"));
    }
    Ok(())
}

/// Names are equal whatever string types, case and blanks they are written with.
fn is_same_name(one: &X509Name<'_>, other: &X509Name<'_>) -> bool {
    one.as_raw() == other.as_raw() || canonical(one).is_some_and(|name| canonical(other) == Some(name))
}

/// The attributes of a name as text; `None` if one is not text.
fn canonical(name: &X509Name<'_>) -> Option<Vec<(String, String)>> {
    let attribute = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        let words: Vec<_> = attribute.as_str().ok()?.split_whitespace().map(str::to_lowercase).collect();
        Some((attribute.attr_type().to_id_string(), words.join(" ")))
    };
    name.iter_attributes().map(attribute).collect()
}
